//! The rows that yrs has a counterpart for. It hashes no history and keeps no deleted content. The
//! trace in one transaction takes it minutes, and is left out.

use measure::*;
use yrs::updates::{decoder::Decode, encoder::Encode};
use yrs::{Array, ArrayPrelim, Doc, Map, MapPrelim, ReadTxn, StateVector, Text, Transact, Update};

fn type_trace(edits: &[Edit]) -> Doc {
    let doc = Doc::with_client_id(1u64);
    let text = doc.get_or_insert_text("text");
    for edit in edits {
        let mut tx = doc.transact_mut();
        if edit.delete > 0 {
            text.remove_range(&mut tx, edit.at as u32, edit.delete as u32);
        }
        if !edit.insert.is_empty() {
            text.insert(&mut tx, edit.at as u32, &edit.insert);
        }
    }
    doc
}

fn saved(doc: &Doc) -> Vec<u8> {
    doc.transact().encode_state_as_update_v1(&StateVector::default())
}

fn loaded(bytes: &[u8], root: impl Fn(&Doc)) -> Doc {
    let doc = Doc::with_client_id(2u64);
    root(&doc);
    doc.transact_mut().apply_update(Update::decode_v1(bytes).unwrap()).unwrap();
    doc
}

fn with_text(doc: &Doc) {
    doc.get_or_insert_text("text");
}

fn with_map(doc: &Doc) {
    doc.get_or_insert_map("root");
}

fn map(distinct: usize, n: usize, transaction_each: bool) {
    let keys = keys(distinct);
    let work = |doc: &mut Doc| {
        let root = doc.get_or_insert_map("root");
        let mut tx = doc.transact_mut();
        for i in 0..n {
            if transaction_each {
                drop(tx);
                tx = doc.transact_mut();
            }
            root.insert(&mut tx, keys[i % distinct].as_str(), i as i64);
        }
    };
    measure(|| Doc::with_client_id(1u64), work);
}

fn small(n: usize) -> Doc {
    let doc = Doc::with_client_id(1u64);
    let root = doc.get_or_insert_map("root");
    let mut tx = doc.transact_mut();
    for (key, value) in strings_of(n) {
        root.insert(&mut tx, key.as_str(), value.as_str());
    }
    root.insert(&mut tx, "counter", n as i64);
    let position = root.insert(&mut tx, "position", MapPrelim::default());
    for (key, value) in [("lat", latitude(n)), ("lon", -77.2), ("alt", 120.5)] {
        position.insert(&mut tx, key, value);
    }
    let tags = root.insert(&mut tx, "tags", ArrayPrelim::default());
    for tag in TAGS {
        tags.push_back(&mut tx, tag);
    }
    drop(tx);
    doc
}

fn all_small() -> Vec<Doc> {
    (0..DOCUMENTS).map(small).collect()
}

fn update_all(docs: &[Doc]) {
    for (i, doc) in docs.iter().enumerate() {
        let root = doc.get_or_insert_map("root");
        root.insert(&mut doc.transact_mut(), "counter", i as i64 + 1);
    }
}

fn push() {
    let bytes: Vec<_> = all_small().iter().map(saved).collect();
    let pairs = || {
        let changed: Vec<_> = bytes.iter().map(|b| loaded(b, with_map)).collect();
        update_all(&changed);
        changed.into_iter().zip(bytes.iter().map(|b| loaded(b, with_map))).collect::<Vec<_>>()
    };
    let one = |(a, b): &mut (Doc, Doc)| {
        let known = b.transact().state_vector().encode_v1();
        let known = StateVector::decode_v1(&known).unwrap();
        let update = a.transact().encode_state_as_update_v1(&known);
        b.transact_mut().apply_update(Update::decode_v1(&update).unwrap()).unwrap();
        update.len()
    };
    let (_, sent) = measure(pairs, |pairs| pairs.iter_mut().map(one).sum::<usize>());
    say("bytes", sent / DOCUMENTS);
}

fn main() {
    match row().as_str() {
        "trace-keys" => {
            let edits = edits();
            measure(|| (), |()| type_trace(&edits));
        }
        "save-raw" => {
            let edits = edits();
            let (_, bytes) = measure(|| type_trace(&edits), |doc| saved(doc));
            say("bytes", bytes.len());
        }
        "load-one" => {
            let bytes = saved(&type_trace(&edits()));
            measure(|| (), |()| loaded(&bytes, with_text));
        }
        "map-puts" => map(100_000, 100_000, false),
        "map-overwrites" => map(100, 100_000, false),
        "map-changes" => map(100, 10_000, true),
        "small-create" => drop(measure(|| (), |()| all_small())),
        "small-save-raw" => {
            let write = |docs: &mut Vec<Doc>| docs.iter().map(saved).collect::<Vec<_>>();
            let (_, bytes) = measure(all_small, write);
            say("bytes", bytes.iter().map(Vec::len).sum::<usize>() / DOCUMENTS);
        }
        "small-load" => {
            let bytes: Vec<_> = all_small().iter().map(saved).collect();
            let load = |b: &Vec<u8>| loaded(b, with_map);
            measure(|| (), |()| bytes.iter().map(load).collect::<Vec<_>>());
        }
        "small-update" => drop(measure(all_small, |docs| update_all(docs))),
        "small-push" => push(),
        _ => {}
    }
}
