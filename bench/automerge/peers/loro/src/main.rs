//! The rows that loro has a counterpart for. It hashes no history.

use loro::{ExportMode, LoroDoc, LoroList, LoroMap};
use measure::*;

fn type_trace(edits: &[Edit], commit_each: bool) -> LoroDoc {
    let doc = LoroDoc::new();
    doc.set_peer_id(1).unwrap();
    let text = doc.get_text("text");
    for edit in edits {
        if edit.delete > 0 {
            text.delete(edit.at, edit.delete).unwrap();
        }
        if !edit.insert.is_empty() {
            text.insert(edit.at, &edit.insert).unwrap();
        }
        if commit_each {
            doc.commit();
        }
    }
    doc.commit();
    doc
}

fn trace(commit_each: bool) {
    let edits = edits();
    let (_, doc) = measure(|| (), |()| type_trace(&edits, commit_each));
    say("length", doc.get_text("text").len_unicode());
}

fn loaded(bytes: &[u8]) -> LoroDoc {
    let doc = LoroDoc::new();
    doc.import(bytes).unwrap();
    doc
}

fn save(mode: fn() -> ExportMode<'static>) {
    let edits = edits();
    let write = |doc: &mut LoroDoc| doc.export(mode()).unwrap();
    let (_, bytes) = measure(|| type_trace(&edits, false), write);
    say("bytes", bytes.len());
}

fn load(mode: fn() -> ExportMode<'static>, commit_each: bool) {
    let bytes = type_trace(&edits(), commit_each).export(mode()).unwrap();
    measure(|| (), |()| loaded(&bytes));
}

fn map(distinct: usize, n: usize, commit_each: bool) {
    let keys = keys(distinct);
    let work = |doc: &mut LoroDoc| {
        let root = doc.get_map("root");
        for i in 0..n {
            root.insert(&keys[i % distinct], i as i64).unwrap();
            if commit_each {
                doc.commit();
            }
        }
        doc.commit();
    };
    measure(LoroDoc::new, work);
}

fn small(n: usize) -> LoroDoc {
    let doc = LoroDoc::new();
    doc.set_peer_id(1).unwrap();
    let root = doc.get_map("root");
    for (key, value) in strings_of(n) {
        root.insert(key, value.as_str()).unwrap();
    }
    root.insert("counter", n as i64).unwrap();
    let position = root.insert_container("position", LoroMap::new()).unwrap();
    for (key, value) in [("lat", latitude(n)), ("lon", -77.2), ("alt", 120.5)] {
        position.insert(key, value).unwrap();
    }
    let tags = root.insert_container("tags", LoroList::new()).unwrap();
    for tag in TAGS {
        tags.push(tag).unwrap();
    }
    doc.commit();
    doc
}

fn all_small() -> Vec<LoroDoc> {
    (0..DOCUMENTS).map(small).collect()
}

fn save_all(docs: &[LoroDoc]) -> Vec<Vec<u8>> {
    docs.iter().map(|doc| doc.export(ExportMode::Snapshot).unwrap()).collect()
}

fn update_all(docs: &[LoroDoc]) {
    for (i, doc) in docs.iter().enumerate() {
        doc.get_map("root").insert("counter", i as i64 + 1).unwrap();
        doc.commit();
    }
}

fn push() {
    let saved = save_all(&all_small());
    let pairs = || {
        let changed: Vec<_> = saved.iter().map(|bytes| loaded(bytes)).collect();
        update_all(&changed);
        changed.into_iter().zip(saved.iter().map(|bytes| loaded(bytes))).collect::<Vec<_>>()
    };
    let one = |(a, b): &mut (LoroDoc, LoroDoc)| {
        let bytes = a.export(ExportMode::updates(&b.oplog_vv())).unwrap();
        b.import(&bytes).unwrap();
        bytes.len()
    };
    let (_, bytes) = measure(pairs, |pairs| pairs.iter_mut().map(one).sum::<usize>());
    say("bytes", bytes / DOCUMENTS);
}

fn main() {
    let snapshot = || ExportMode::Snapshot;
    match row().as_str() {
        "trace-one" => trace(false),
        "trace-keys" => trace(true),
        "load-one" => load(ExportMode::all_updates, false),
        "load-one-lazy" => load(snapshot, false),
        "load-keys" => load(ExportMode::all_updates, true),
        "load-keys-lazy" => load(snapshot, true),
        "save-raw" => save(snapshot),
        "save-deflate" => save(ExportMode::all_updates),
        "map-puts" => map(100_000, 100_000, false),
        "map-overwrites" => map(100, 100_000, false),
        "map-changes" => map(100, 10_000, true),
        "small-create" => drop(measure(|| (), |()| all_small())),
        "small-save-raw" => {
            let (_, saved) = measure(all_small, |docs| save_all(docs));
            say("bytes", saved.iter().map(Vec::len).sum::<usize>() / DOCUMENTS);
        }
        "small-load" => {
            let saved = save_all(&all_small());
            let load_all = |_: &mut ()| saved.iter().map(|b| loaded(b)).collect::<Vec<_>>();
            measure(|| (), load_all);
        }
        "small-update" => drop(measure(all_small, |docs| update_all(docs))),
        "small-push" => push(),
        _ => {}
    }
}
