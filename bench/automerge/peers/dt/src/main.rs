//! The text rows on diamond-types, which hashes nothing.

use diamond_types::list::{encoding::EncodeOptions, ListCRDT, OpLog};
use measure::*;

fn type_trace(edits: &[Edit]) -> ListCRDT {
    let mut doc = ListCRDT::new();
    let agent = doc.get_or_create_agent_id("bench");
    for edit in edits {
        if edit.delete > 0 {
            doc.delete_without_content(agent, edit.at..edit.at + edit.delete);
        }
        if !edit.insert.is_empty() {
            doc.insert(agent, edit.at, &edit.insert);
        }
    }
    doc
}

fn main() {
    match row().as_str() {
        "trace-one" => {
            let edits = edits();
            let (_, doc) = measure(|| (), |()| type_trace(&edits));
            say("length", doc.branch.len());
        }
        "save-raw" => {
            let edits = edits();
            let write = |doc: &mut ListCRDT| doc.oplog.encode(EncodeOptions::default());
            let (_, bytes) = measure(|| type_trace(&edits), write);
            say("bytes", bytes.len());
        }
        "load-one" => {
            let bytes = type_trace(&edits()).oplog.encode(EncodeOptions::default());
            let checkout = |()| OpLog::load_from(&bytes).unwrap().checkout_tip();
            let (_, branch) = measure(|| (), |&mut ()| checkout(()));
            say("length", branch.len());
        }
        _ => {}
    }
}
