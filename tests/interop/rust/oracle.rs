//! An Automerge engine driven line by line: one command on stdin, one reply line on stdout,
//! `ok [words]` or `err reason`. Documents and sync states live in numbered slots.
//!
//!   units UNIT                        index unit of documents made or loaded from now on
//!   new DOC ACTOR                     fork DOC FROM ACTOR          merge DOC FROM
//!   forkat DOC FROM ACTOR HEADS       actor DOC ACTOR
//!   put DOC OBJ PROP SCALAR           make DOC OBJ PROP TYPE       -> object id
//!   insert DOC OBJ INDEX SCALAR       insmake DOC OBJ INDEX TYPE   -> object id
//!   splice DOC OBJ INDEX DELETE TEXT  delete DOC OBJ PROP          incr DOC OBJ PROP N
//!   splicelist DOC OBJ INDEX DELETE [SCALAR …]
//!   mark DOC OBJ START END NAME SCALAR EXPAND     (a null SCALAR is an unmark)
//!   unmark DOC OBJ START END NAME EXPAND
//!   split DOC OBJ INDEX -> object id  join DOC OBJ INDEX           replace DOC OBJ INDEX -> id
//!   updatetext DOC OBJ TEXT           updateobject DOC OBJ JSON
//!   updatespans DOC OBJ EXPAND SPANS  (JSON: [{"text":"…","marks":{name:value}},{"block":{…}}])
//!   create DOC OBJ PROP put|insert JSON           -> object id (0.12)
//!   initroot DOC JSON                             (0.12)
//!   commit DOC SECONDS [MESSAGE]      -> hash or -
//!   empty DOC SECONDS                 -> hash
//!   rollback DOC                      -> operations undone
//!   isolate DOC HEADS                 integrate DOC
//!   load DOC ACTOR BYTES              loadinc DOC BYTES            loadfile DOC PATH
//!   save DOC raw|deflate              saveinc DOC                  saveafter DOC HEADS
//!   changes DOC [HEADS]               heads DOC                    missing DOC HEADS
//!   bundle DOC HASH … -> bytes (not deterministic)                 unbundle BYTES -> changes
//!   json DOC                          dump DOC [HEADS]
//!   get DOC OBJ PROP [HEADS]          text DOC OBJ [HEADS]         length DOC OBJ [HEADS]
//!   marks DOC OBJ [HEADS]             marksat DOC OBJ INDEX [HEADS]
//!   spans DOC OBJ [HEADS]
//!   cursor DOC OBJ POSITION before|after [HEADS]  -> text form, bytes
//!   seek DOC OBJ CURSOR [HEADS]       -> index    cursorbytes BYTES -> text form
//!   diff DOC BEFORE AFTER             -> patches
//!   observe DOC                       patches DOC -> patches since the last of either
//!   state SLOT                        statesave SLOT               stateload SLOT BYTES
//!   readonly SLOT on|off              (0.12)
//!   gen DOC SLOT -> message or -      recv DOC SLOT MESSAGE
//!
//! OBJ is `_root` or `counter@actor`; PROP is `k:HEX` or `i:INDEX`; BYTES, TEXT, NAME, JSON,
//! MESSAGE and ACTOR are hex, `-` being empty; SCALAR is `null`, `true`, `false`, `int:N`, `uint:N`,
//! `f64:BITS`, `str:HEX`, `bytes:HEX`, `counter:N`, `timestamp:N`. HEADS is hashes with commas
//! between, `-` for none, `now` (as when left out) for the present. TYPE is map, list, text, table;
//! EXPAND none, before, after, both; UNIT codepoint, utf8, utf16, grapheme; POSITION an index, `s`
//! or `e`. Of JSON, words.rs says what each value becomes.
//!
//! `dump` shows every visible value with its type and the id of its operation. Marks read
//! `start:end:name=scalar`, a span `text:HEX{name=scalar,…}` or `block:{key=value,…}`. Patches are
//! a JSON array without spaces of {"obj":id,"path":[[id,prop],…],"do":ACTION…}, ACTION being
//!   "put","prop":…,"value":…,"conflict":b            "insert","index":n,"values":[[value,b],…]
//!   "splice","index":n,"text":hex,"marks":"{…}"      "increment","prop":…,"by":n
//!   "conflict","prop":…                              "delete","prop":"k:…"
//!   "delete","prop":"i:n","length":n                 "mark","marks":["start:end:name=scalar",…]
//! where a value is a scalar's word or `type@id`.

pub mod show;
pub mod words;

use crate::generation;
use automerge::iter::Span;
use automerge::marks::{Mark, UpdateSpansConfig};
use automerge::sync::{self, SyncDoc};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{
    ActorId, AutoCommit, Bundle, ChangeHash, Cursor, CursorPosition, LoadOptions, MoveCursor, ObjId,
    ReadDoc, TextEncoding,
};
use show::View;
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, Write as _};
use std::sync::Arc;
use words::*;

type Reply = Result<String, String>;

const EDITS: [&str; 17] = [
    "put", "make", "insert", "insmake", "splice", "splicelist", "delete", "incr", "mark", "unmark",
    "split", "join", "replace", "updatetext", "updateobject", "updatespans", "create",
];
const READS: [&str; 9] =
    ["dump", "get", "text", "length", "marks", "marksat", "spans", "cursor", "seek"];

fn joined<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
    all.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" ")
}

struct Oracle {
    docs: HashMap<u32, AutoCommit>,
    states: HashMap<u32, sync::State>,
    observed: HashSet<String>,
    units: TextEncoding,
}

impl Oracle {
    fn doc(&mut self, slot: &str) -> Result<&mut AutoCommit, String> {
        self.docs.get_mut(&number(slot)?).ok_or_else(|| format!("no document {slot}"))
    }

    /// A document that is about to take changes. 0.7 panics then if its patch log remembers an
    /// actor whose transaction came to nothing.
    fn receiver(&mut self, slot: &str) -> Result<&mut AutoCommit, String> {
        let observed = self.observed.contains(slot);
        let doc = self.doc(slot)?;
        if !observed {
            doc.reset_diff_cursor();
        }
        Ok(doc)
    }

    fn adopt(&mut self, slot: &str, doc: AutoCommit) -> Reply {
        self.observed.remove(slot);
        self.docs.insert(number(slot)?, doc);
        Ok(String::new())
    }

    fn take(&mut self, slot: &str) -> Result<AutoCommit, String> {
        self.docs.remove(&number(slot)?).ok_or_else(|| format!("no document {slot}"))
    }

    fn edit(&mut self, words: &[&str]) -> Reply {
        let doc = self.doc(words[1])?;
        let id = object(words[2])?;
        let done = String::new();
        match (words[0], &words[3..]) {
            ("put", [at, value]) => {
                doc.put(&id, prop(at)?, scalar(value)?).map_err(text_of)?;
                Ok(done)
            }
            ("make", [at, kind]) => doc
                .put_object(&id, prop(at)?, object_type(kind)?)
                .map(|id| id.to_string())
                .map_err(text_of),
            ("insert", [index, value]) => {
                doc.insert(&id, number(index)?, scalar(value)?).map_err(text_of)?;
                Ok(done)
            }
            ("insmake", [index, kind]) => doc
                .insert_object(&id, number(index)?, object_type(kind)?)
                .map(|id| id.to_string())
                .map_err(text_of),
            ("splice", [index, delete, text]) => {
                let text = unhex_text(text)?;
                doc.splice_text(&id, number(index)?, number(delete)?, &text).map_err(text_of)?;
                Ok(done)
            }
            ("delete", [at]) => {
                doc.delete(&id, prop(at)?).map_err(text_of)?;
                Ok(done)
            }
            ("incr", [at, by]) => {
                doc.increment(&id, prop(at)?, number(by)?).map_err(text_of)?;
                Ok(done)
            }
            ("splicelist", [index, delete, values @ ..]) => {
                let values = values.iter().map(|word| scalar(word)).collect::<Result<Vec<_>, _>>()?;
                doc.splice(&id, number(index)?, number(delete)?, values).map_err(text_of)?;
                Ok(done)
            }
            _ => self.rich_edit(words, &id),
        }
    }

    /// Edits of marks and blocks, and those that find out themselves what to do.
    fn rich_edit(&mut self, words: &[&str], id: &ObjId) -> Reply {
        let units = self.units;
        let doc = self.doc(words[1])?;
        let done = |result: Result<(), automerge::AutomergeError>| {
            result.map(|()| String::new()).map_err(text_of)
        };
        let named = |result: Result<ObjId, automerge::AutomergeError>| {
            result.map(|id| id.to_string()).map_err(text_of)
        };
        match (words[0], &words[3..]) {
            ("mark", [start, end, name, value, how]) => {
                let (start, end) = (number(start)?, number(end)?);
                let mark = Mark::new(unhex_text(name)?, scalar(value)?, start, end);
                done(doc.mark(id, mark, expand(how)?))
            }
            ("unmark", [start, end, name, how]) => {
                let name = unhex_text(name)?;
                done(doc.unmark(id, &name, number(start)?, number(end)?, expand(how)?))
            }
            ("split", [index]) => named(doc.split_block(id, number(index)?)),
            ("join", [index]) => done(doc.join_block(id, number(index)?)),
            ("replace", [index]) => named(doc.replace_block(id, number(index)?)),
            ("updatetext", [text]) => done(doc.update_text(id, unhex_text(text)?)),
            ("updateobject", [value]) => {
                let value = hydrated(&json(value)?, units);
                doc.update_object(id, &value).map(|()| String::new()).map_err(text_of)
            }
            ("updatespans", [how, spans_word]) => {
                let config = UpdateSpansConfig::default().with_default_expand(expand(how)?);
                done(doc.update_spans(id, config, spans(&json(spans_word)?, units)?))
            }
            ("create", [at, how, value]) => {
                let value = hydrated(&json(value)?, units);
                generation::create(doc, id, prop(at)?, &value, *how == "insert")
            }
            _ => Err("wrong number of words".into()),
        }
    }

    fn sync(&mut self, words: &[&str]) -> Reply {
        match words {
            ["state", slot] => {
                self.states.insert(number(slot)?, sync::State::new());
                Ok(String::new())
            }
            ["statesave", slot] => {
                let state = self.states.get(&number(slot)?).ok_or("no such state")?;
                Ok(hex(&state.encode()))
            }
            ["stateload", slot, bytes] => {
                let state = sync::State::decode(&unhex(bytes)?).map_err(text_of)?;
                self.states.insert(number(slot)?, state);
                Ok(String::new())
            }
            ["readonly", slot, how] => {
                let state = self.states.get_mut(&number(slot)?).ok_or("no such state")?;
                generation::set_read_only(state, *how == "on")
            }
            ["gen", doc, slot] => {
                let slot = number(slot)?;
                let mut state = self.states.remove(&slot).ok_or("no such state")?;
                let message = self.doc(doc)?.sync().generate_sync_message(&mut state);
                self.states.insert(slot, state);
                Ok(message.map_or("-".into(), |message| hex(&message.encode())))
            }
            ["recv", doc, slot, message] => {
                let slot = number(slot)?;
                let message = sync::Message::decode(&unhex(message)?).map_err(text_of)?;
                let mut state = self.states.remove(&slot).ok_or("no such state")?;
                let result = self.receiver(doc)?.sync().receive_sync_message(&mut state, message);
                self.states.insert(slot, state);
                result.map(|()| String::new()).map_err(text_of)
            }
            _ => Err("unknown command".into()),
        }
    }

    fn load(&mut self, slot: &str, actor: Option<Vec<u8>>, bytes: &[u8]) -> Reply {
        let options = LoadOptions::new().text_encoding(self.units);
        let mut doc = AutoCommit::load_with_options(bytes, options).map_err(text_of)?;
        if let Some(actor) = actor {
            doc.set_actor(ActorId::from(actor));
        }
        self.adopt(slot, doc)
    }

    fn read(&mut self, words: &[&str]) -> Reply {
        // The heads, where a command may name them, are the word after its others.
        let others = match words[0] {
            "dump" => 2,
            "text" | "length" | "marks" | "spans" => 3,
            "get" | "marksat" | "seek" => 4,
            _ => 5,
        };
        let at = words.get(others).map_or(Ok(None), |word| heads(word))?;
        let at = at.as_deref();
        let doc = &*self.doc(words[1])?;
        let view = View { doc, at };
        let id = words.get(2).filter(|_| others > 2).map_or(Ok(ObjId::Root), |word| object(word))?;
        match words {
            ["dump", ..] => Ok(view.dump()),
            ["text", ..] => Ok(hex(view.text(&id)?.as_bytes())),
            ["length", ..] => Ok(view.length(&id).to_string()),
            ["marks", ..] => view.marks(&id),
            ["spans", ..] => view.spans(&id),
            ["get", _, _, property, ..] => {
                let mut out = String::new();
                view.values(&mut out, &id, prop(property)?);
                Ok(out)
            }
            ["marksat", _, _, index, ..] => {
                let marks = doc.get_marks(&id, number(index)?, at).map_err(text_of)?;
                Ok(marks_word(Some(&marks)))
            }
            ["cursor", _, _, position, how, ..] => {
                let position = match *position {
                    "s" => CursorPosition::Start,
                    "e" => CursorPosition::End,
                    index => CursorPosition::Index(number(index)?),
                };
                let how = if *how == "before" { MoveCursor::Before } else { MoveCursor::After };
                let cursor = doc.get_cursor_moving(&id, position, at, how).map_err(text_of)?;
                Ok(format!("{cursor} {}", hex(&cursor.to_bytes())))
            }
            ["seek", _, _, cursor, ..] => {
                let cursor = Cursor::try_from(*cursor).map_err(text_of)?;
                let index = doc.get_cursor_position(&id, &cursor, at).map_err(text_of)?;
                Ok(index.to_string())
            }
            _ => Err("unknown command".into()),
        }
    }

    fn history(&mut self, words: &[&str]) -> Reply {
        let done = String::new();
        match words {
            ["forkat", slot, from, actor, at] => {
                let forked = self.doc(from)?.fork_at(&hashes(at)?).map_err(text_of)?;
                self.adopt(slot, forked.with_actor(ActorId::from(unhex(actor)?)))
            }
            ["isolate", slot, at] => {
                self.doc(slot)?.isolate(&hashes(at)?);
                Ok(done)
            }
            ["integrate", slot] => {
                self.doc(slot)?.integrate();
                Ok(done)
            }
            ["diff", slot, before, after] => {
                let (before, after) = (hashes(before)?, hashes(after)?);
                Ok(show::patches(&self.doc(slot)?.diff(&before, &after)))
            }
            ["observe", slot] => {
                self.doc(slot)?.update_diff_cursor();
                self.observed.insert(slot.to_string());
                Ok(done)
            }
            ["patches", slot] => Ok(show::patches(&self.doc(slot)?.diff_incremental())),
            ["missing", slot, at] => Ok(joined(self.doc(slot)?.get_missing_deps(&hashes(at)?))),
            ["bundle", slot, at @ ..] => {
                let hashes = hashes(&at.join(","))?;
                let bundle = self.doc(slot)?.bundle(hashes).map_err(text_of)?;
                Ok(hex(bundle.bytes()))
            }
            ["unbundle", bytes] => {
                let bytes = unhex(bytes)?;
                let bundle = Bundle::try_from(bytes.as_slice()).map_err(text_of)?;
                let changes = bundle.to_changes().map_err(text_of)?;
                Ok(joined(changes.iter().map(|change| hex(change.raw_bytes()))))
            }
            ["cursorbytes", bytes] => {
                let cursor = Cursor::try_from(unhex(bytes)?.as_slice()).map_err(text_of)?;
                Ok(cursor.to_string())
            }
            _ => self.sync(words),
        }
    }

    fn run(&mut self, words: &[&str]) -> Reply {
        match words {
            [name, _, _, ..] if EDITS.contains(name) => self.edit(words),
            [name, _, ..] if READS.contains(name) => self.read(words),
            ["units", unit] => {
                self.units = units(unit)?;
                Ok(String::new())
            }
            ["new", slot, actor] => {
                let doc = AutoCommit::new_with_encoding(self.units);
                self.adopt(slot, doc.with_actor(ActorId::from(unhex(actor)?)))
            }
            ["actor", slot, actor] => {
                self.doc(slot)?.set_actor(ActorId::from(unhex(actor)?));
                Ok(String::new())
            }
            ["fork", slot, from, actor] => {
                let doc = self.doc(from)?.fork().with_actor(ActorId::from(unhex(actor)?));
                self.adopt(slot, doc)
            }
            ["merge", slot, from] => {
                let mut other = self.take(from)?;
                let result = self.receiver(slot).and_then(|d| d.merge(&mut other).map_err(text_of));
                self.docs.insert(number(from)?, other);
                result.map(|_| String::new())
            }
            ["initroot", slot, value] => {
                let units = self.units;
                let value = json(value)?;
                let all = value.as_object().ok_or("the root is an object")?;
                generation::init_root(self.doc(slot)?, &hydrated_map(all, units))
            }
            ["commit", slot, time] => self.commit(slot, time, None),
            ["commit", slot, time, message] => self.commit(slot, time, Some(unhex_text(message)?)),
            ["empty", slot, time] => {
                let options = CommitOptions::default().with_time(number(time)?);
                Ok(self.doc(slot)?.empty_change(options).to_string())
            }
            ["rollback", slot] => Ok(self.doc(slot)?.rollback().to_string()),
            _ => self.bytes(words),
        }
    }

    fn bytes(&mut self, words: &[&str]) -> Reply {
        match words {
            ["load", slot, actor, bytes] => self.load(slot, Some(unhex(actor)?), &unhex(bytes)?),
            ["loadfile", slot, path] => {
                let bytes = std::fs::read(path).map_err(text_of)?;
                self.load(slot, None, &bytes)
            }
            ["loadinc", slot, bytes] => {
                let bytes = unhex(bytes)?;
                self.receiver(slot)?.load_incremental(&bytes).map_err(text_of)?;
                Ok(String::new())
            }
            ["save", slot, "raw"] => Ok(hex(&self.doc(slot)?.save_nocompress())),
            ["save", slot, "deflate"] => Ok(hex(&self.doc(slot)?.save())),
            ["saveinc", slot] => Ok(hex(&self.doc(slot)?.save_incremental())),
            ["saveafter", slot, at] => Ok(hex(&self.doc(slot)?.save_after(&hashes(at)?))),
            ["changes", slot] => self.changes(slot, &[]),
            ["changes", slot, at] => self.changes(slot, &hashes(at)?),
            ["heads", slot] => Ok(joined(self.doc(slot)?.get_heads())),
            ["json", slot] => {
                let doc = self.doc(slot)?;
                serde_json::to_string(&automerge::AutoSerde::from(&*doc)).map_err(text_of)
            }
            _ => self.history(words),
        }
    }

    fn changes(&mut self, slot: &str, have: &[ChangeHash]) -> Reply {
        let changes = self.doc(slot)?.get_changes(have);
        Ok(joined(changes.iter().map(|change| hex(change.raw_bytes()))))
    }

    fn commit(&mut self, slot: &str, time: &str, message: Option<String>) -> Reply {
        let mut options = CommitOptions::default().with_time(number(time)?);
        if let Some(message) = message {
            options = options.with_message(message);
        }
        let hash = self.doc(slot)?.commit_with(options);
        Ok(hash.map_or("-".into(), |hash| hash.to_string()))
    }
}

/// The argument of `updatespans`.
fn spans(json: &serde_json::Value, units: TextEncoding) -> Result<Vec<Span>, String> {
    let one = |span: &serde_json::Value| {
        if let Some(block) = span["block"].as_object() {
            return Ok(Span::Block(hydrated_map(block, units)));
        }
        let text = span["text"].as_str().ok_or("neither text nor block")?.to_string();
        let marks = span["marks"].as_object().map(|all| {
            let scalars = all.iter().filter_map(|(name, value)| match hydrated(value, units) {
                automerge::hydrate::Value::Scalar(value) => Some((name.clone(), value)),
                _ => None,
            });
            Arc::new(scalars.collect())
        });
        Ok(Span::Text { text, marks })
    };
    json.as_array().ok_or("not an array")?.iter().map(one).collect()
}

pub fn main() {
    let mut oracle = Oracle {
        docs: HashMap::new(),
        states: HashMap::new(),
        observed: HashSet::new(),
        units: TextEncoding::UnicodeCodePoint,
    };
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("stdin is text");
        let words: Vec<&str> = line.split(' ').collect();
        let reply = match oracle.run(&words) {
            Ok(words) if words.is_empty() => "ok".to_string(),
            Ok(words) => format!("ok {words}"),
            Err(reason) => format!("err {reason}"),
        };
        writeln!(out, "{reply}").and_then(|()| out.flush()).expect("stdout is open");
    }
}
