//! The rows on an Automerge crate; built once for each generation.

use automerge::sync::{self, SyncDoc};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ObjId, ObjType, ReadDoc, Value, ROOT};
use measure::*;

fn actor(n: u8) -> ActorId {
    ActorId::from(vec![n; 16])
}

fn type_trace(edits: &[Edit], change_each: bool) -> (Automerge, ObjId) {
    let mut doc = Automerge::new().with_actor(actor(1));
    let mut tx = doc.transaction();
    let text = tx.put_object(ROOT, "text", ObjType::Text).unwrap();
    for edit in edits {
        if change_each {
            tx.commit();
            tx = doc.transaction();
        }
        tx.splice_text(&text, edit.at, edit.delete as isize, &edit.insert).unwrap();
    }
    tx.commit();
    (doc, text)
}

fn trace(change_each: bool) {
    let edits = edits();
    let (_, (doc, _)) = measure(|| (), |()| type_trace(&edits, change_each));
    digest([doc.save_nocompress()]);
}

fn load(file: &str) {
    let bytes = read(file);
    let (_, doc) = measure(|| (), |()| Automerge::load(&bytes).unwrap());
    digest(doc.get_heads().iter().map(|head| head.0));
}

/// The trace, loaded and one keystroke later.
fn edited_trace() -> Automerge {
    let mut doc = Automerge::load(&read("trace-one.am")).unwrap().with_actor(actor(1));
    let (_, text) = doc.get(ROOT, "text").unwrap().unwrap();
    let mut tx = doc.transaction();
    tx.splice_text(&text, 50_000, 0, "x").unwrap();
    tx.commit();
    doc
}

fn save(compressed: bool) {
    let write = |doc: &mut Automerge| if compressed { doc.save() } else { doc.save_nocompress() };
    let (doc, bytes) = measure(edited_trace, write);
    say("bytes", bytes.len());
    digest([doc.save_nocompress()]);
}

fn in_one_change(edit: impl Fn(&mut automerge::transaction::Transaction<'_>)) -> Automerge {
    let mut doc = Automerge::new().with_actor(actor(1));
    let mut tx = doc.transaction();
    edit(&mut tx);
    tx.commit();
    doc
}

fn map(distinct: usize) {
    let keys = keys(distinct);
    let (_, doc) = measure(
        || (),
        |()| {
            in_one_change(|tx| {
                for i in 0..100_000 {
                    tx.put(ROOT, keys[i % distinct].as_str(), i as i64).unwrap();
                }
            })
        },
    );
    digest([doc.save_nocompress()]);
}

fn map_changes() {
    let keys = keys(100);
    let work = |doc: &mut Automerge| {
        for i in 0..10_000 {
            let mut tx = doc.transaction();
            tx.put(ROOT, keys[i % 100].as_str(), i as i64).unwrap();
            tx.commit();
        }
    };
    let (doc, ()) = measure(|| Automerge::new().with_actor(actor(1)), work);
    digest([doc.save_nocompress()]);
}

fn small(n: usize) -> Automerge {
    in_one_change(|tx| {
        for (key, value) in strings_of(n) {
            tx.put(ROOT, key.as_str(), value.as_str()).unwrap();
        }
        tx.put(ROOT, "counter", n as i64).unwrap();
        let position = tx.put_object(ROOT, "position", ObjType::Map).unwrap();
        for (key, value) in [("lat", latitude(n)), ("lon", -77.2), ("alt", 120.5)] {
            tx.put(&position, key, value).unwrap();
        }
        let tags = tx.put_object(ROOT, "tags", ObjType::List).unwrap();
        for (k, tag) in TAGS.into_iter().enumerate() {
            tx.insert(&tags, k, tag).unwrap();
        }
    })
}

fn all_small() -> Vec<Automerge> {
    (0..DOCUMENTS).map(small).collect()
}

fn load_all(saved: &[Vec<u8>], n: u8) -> Vec<Automerge> {
    saved.iter().map(|bytes| Automerge::load(bytes).unwrap().with_actor(actor(n))).collect()
}

fn update_all(docs: &mut [Automerge]) {
    for (i, doc) in docs.iter_mut().enumerate() {
        let mut tx = doc.transaction();
        tx.put(ROOT, "counter", i as i64 + 1).unwrap();
        tx.commit();
    }
}

fn digest_all(docs: &[Automerge]) {
    digest(docs.iter().map(|doc| doc.save_nocompress()));
}

fn small_create() {
    let (_, docs) = measure(|| (), |()| all_small());
    digest_all(&docs);
}

fn small_save(compressed: bool) {
    let write = |doc: &Automerge| if compressed { doc.save() } else { doc.save_nocompress() };
    let (docs, saved) = measure(all_small, |docs| docs.iter().map(write).collect::<Vec<_>>());
    say("bytes", saved.iter().map(Vec::len).sum::<usize>() / DOCUMENTS);
    digest_all(&docs);
}

fn small_load() {
    let saved: Vec<_> = all_small().iter().map(Automerge::save).collect();
    let (_, docs) = measure(|| (), |()| load_all(&saved, 2));
    digest_all(&docs);
}

fn small_update() {
    let (docs, ()) = measure(all_small, |docs| update_all(docs));
    digest_all(&docs);
}

/// Both sides of 10,000 documents, one field changed on the first.
fn small_pairs(saved: &[Vec<u8>]) -> Vec<(Automerge, Automerge)> {
    let mut changed = load_all(saved, 1);
    update_all(&mut changed);
    changed.into_iter().zip(load_all(saved, 2)).collect()
}

/// Bytes of all messages until both sides are silent.
fn converse(a: &mut Automerge, b: &mut Automerge) -> usize {
    let (mut at_a, mut at_b) = (sync::State::new(), sync::State::new());
    let mut total = 0;
    loop {
        let mut quiet = true;
        if let Some(message) = a.generate_sync_message(&mut at_a) {
            let bytes = message.encode();
            total += bytes.len();
            let message = sync::Message::decode(&bytes).unwrap();
            b.receive_sync_message(&mut at_b, message).unwrap();
            quiet = false;
        }
        if let Some(message) = b.generate_sync_message(&mut at_b) {
            let bytes = message.encode();
            total += bytes.len();
            let message = sync::Message::decode(&bytes).unwrap();
            a.receive_sync_message(&mut at_a, message).unwrap();
            quiet = false;
        }
        if quiet {
            assert_eq!(a.get_heads(), b.get_heads());
            return total;
        }
    }
}

fn small_sync() {
    let saved: Vec<_> = all_small().iter().map(Automerge::save).collect();
    let (pairs, bytes) = measure(
        || small_pairs(&saved),
        |pairs| pairs.iter_mut().map(|(a, b)| converse(a, b)).sum::<usize>(),
    );
    say("bytes", bytes / DOCUMENTS);
    digest(pairs.iter().map(|(_, b)| b.save_nocompress()));
}

fn small_push() {
    let saved: Vec<_> = all_small().iter().map(Automerge::save).collect();
    let push = |(a, b): &mut (Automerge, Automerge)| {
        let bytes = a.save_after(&b.get_heads());
        b.load_incremental(&bytes).unwrap();
        bytes.len()
    };
    let (pairs, bytes) =
        measure(|| small_pairs(&saved), |pairs| pairs.iter_mut().map(push).sum::<usize>());
    say("bytes", bytes / DOCUMENTS);
    digest(pairs.iter().map(|(_, b)| b.save_nocompress()));
}

fn diverge(doc: &mut Automerge, tag: &str) {
    for i in 0..1000 {
        let mut tx = doc.transaction();
        tx.put(ROOT, format!("{tag}-{}", i % 100), i as i64).unwrap();
        tx.commit();
    }
}

fn diverged(pair: (Automerge, Automerge)) {
    let (pair, bytes) = measure(|| pair.clone(), |(a, b)| converse(a, b));
    say("bytes", bytes);
    digest(pair.0.get_heads().iter().map(|head| head.0));
}

fn diverged_maps() {
    let mut a = Automerge::new().with_actor(actor(1));
    diverge(&mut a, "base");
    let mut b = a.fork().with_actor(actor(2));
    diverge(&mut a, "a");
    diverge(&mut b, "b");
    diverged((a, b));
}

fn diverged_texts() {
    let (mut a, text) = type_trace(&edits()[..50_000], false);
    let mut b = a.fork().with_actor(actor(2));
    for i in 0..1000 {
        for (doc, at, delete, insert) in [(&mut a, i * 3, 0, "x"), (&mut b, i * 5, 1, "y")] {
            let mut tx = doc.transaction();
            tx.splice_text(&text, at, delete, insert).unwrap();
            tx.commit();
        }
    }
    diverged((a, b));
}

/// Behind every time in the files, some of which are in milliseconds.
const LATE: i64 = 4_000_000_000_000;

/// Loads a real file, inserts a character in the middle of the first text of the root, sets a key,
/// saves.
fn real_file(file: &str) {
    let bytes = read(file);
    let cycle = |_: &mut ()| {
        let mut doc = Automerge::load(&bytes).unwrap().with_actor(actor(9));
        let text = doc.keys(ROOT).find_map(|key| match doc.get(ROOT, key).unwrap() {
            Some((Value::Object(ObjType::Text), id)) => Some(id),
            _ => None,
        });
        let middle = text.as_ref().map_or(0, |id| doc.length(id) / 2);
        let mut tx = doc.transaction();
        if let Some(text) = text {
            tx.splice_text(&text, middle, 0, "x").unwrap();
        }
        tx.put(ROOT, "edited", true).unwrap();
        tx.commit_with(CommitOptions::default().with_time(LATE));
        let saved = doc.save();
        (doc.get_heads(), saved)
    };
    let (_, (heads, saved)) = measure(|| (), cycle);
    say("bytes", saved.len());
    digest(heads.iter().map(|head| head.0));
}

pub fn main() {
    match row().as_str() {
        "trace-one" => trace(false),
        "trace-keys" => trace(true),
        "load-one" => load("trace-one.am"),
        "load-keys" => load("trace-keys.am"),
        "save-raw" => save(false),
        "save-deflate" => save(true),
        "map-puts" => map(100_000),
        "map-overwrites" => map(100),
        "map-changes" => map_changes(),
        "small-create" => small_create(),
        "small-save-raw" => small_save(false),
        "small-save-deflate" => small_save(true),
        "small-load" => small_load(),
        "small-update" => small_update(),
        "small-sync" => small_sync(),
        "small-push" => small_push(),
        "diverged-map" => diverged_maps(),
        "diverged-text" => diverged_texts(),
        "file-godot-thread" => real_file("godot-thread.amrg"),
        "file-C2" => real_file("C2.am"),
        "file-S3" => real_file("S3.am"),
        _ => {}
    }
}
