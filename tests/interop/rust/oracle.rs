//! An Automerge engine driven line by line: one command on stdin, one reply line on stdout,
//! `ok [words]` or `err reason`. Documents and sync states live in numbered slots.
//!
//!   new DOC ACTOR                     fork DOC FROM ACTOR          merge DOC FROM
//!   put DOC OBJ PROP SCALAR           make DOC OBJ PROP TYPE       -> object id
//!   insert DOC OBJ INDEX SCALAR       insmake DOC OBJ INDEX TYPE   -> object id
//!   splice DOC OBJ INDEX DELETE TEXT  delete DOC OBJ PROP          incr DOC OBJ PROP N
//!   commit DOC SECONDS [MESSAGE]      -> hash or -
//!   empty DOC SECONDS                 -> hash
//!   load DOC ACTOR BYTES              loadinc DOC BYTES            loadfile DOC PATH
//!   save DOC raw|deflate              changes DOC                  heads DOC
//!   json DOC                          dump DOC
//!   state SLOT                        statesave SLOT               stateload SLOT BYTES
//!   gen DOC SLOT -> message or -      recv DOC SLOT MESSAGE
//!
//! OBJ is `_root` or `counter@actor`; PROP is `k:HEX` or `i:INDEX`; BYTES, TEXT, MESSAGE and ACTOR
//! are hex, `-` being empty; SCALAR is `null`, `true`, `false`, `int:N`, `uint:N`, `f64:BITS`,
//! `str:HEX`, `bytes:HEX`, `counter:N`, `timestamp:N`.
//!
//! `dump` shows every visible value with its type and the id of its operation.

use automerge::sync::{self, SyncDoc};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ObjId, ObjType, Prop, ReadDoc, ScalarValue, Value, ROOT};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, Write as _};

type Reply = Result<String, String>;

fn text_of<E: std::fmt::Display>(error: E) -> String {
    error.to_string().replace('\n', " ")
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".into();
    }
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    if text == "-" {
        return Ok(Vec::new());
    }
    let digit = |b: u8| (b as char).to_digit(16).ok_or_else(|| format!("not hex: {text}"));
    let bytes = text.as_bytes();
    if bytes.len() % 2 != 0 {
        return Err("odd number of hex digits".into());
    }
    bytes.chunks(2).map(|p| Ok((digit(p[0])? << 4 | digit(p[1])?) as u8)).collect()
}

fn unhex_text(text: &str) -> Result<String, String> {
    String::from_utf8(unhex(text)?).map_err(text_of)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn object(text: &str) -> Result<ObjId, String> {
    if text == "_root" {
        return Ok(ROOT);
    }
    let (counter, actor) = text.split_once('@').ok_or("not an object id")?;
    Ok(ObjId::Id(number(counter)?, ActorId::from(unhex(actor)?), 0))
}

fn prop(text: &str) -> Result<Prop, String> {
    match text.split_once(':') {
        Some(("k", key)) => Ok(Prop::Map(unhex_text(key)?)),
        Some(("i", index)) => Ok(Prop::Seq(number(index)?)),
        _ => Err(format!("not a prop: {text}")),
    }
}

fn scalar(text: &str) -> Result<ScalarValue, String> {
    let (kind, value) = text.split_once(':').unwrap_or((text, ""));
    Ok(match kind {
        "null" => ScalarValue::Null,
        "true" => ScalarValue::Boolean(true),
        "false" => ScalarValue::Boolean(false),
        "int" => ScalarValue::Int(number(value)?),
        "uint" => ScalarValue::Uint(number(value)?),
        "f64" => {
            let bits = u64::from_str_radix(value, 16).map_err(text_of)?;
            ScalarValue::F64(f64::from_bits(bits))
        }
        "str" => ScalarValue::Str(unhex_text(value)?.into()),
        "bytes" => ScalarValue::Bytes(unhex(value)?),
        "counter" => ScalarValue::counter(number(value)?),
        "timestamp" => ScalarValue::Timestamp(number(value)?),
        _ => return Err(format!("not a scalar: {text}")),
    })
}

fn object_type(text: &str) -> Result<ObjType, String> {
    match text {
        "map" => Ok(ObjType::Map),
        "list" => Ok(ObjType::List),
        "text" => Ok(ObjType::Text),
        _ => Err(format!("not an object type: {text}")),
    }
}

fn dump_scalar(out: &mut String, value: &ScalarValue) {
    let _ = match value {
        ScalarValue::Null => write!(out, "null"),
        ScalarValue::Boolean(v) => write!(out, "{v}"),
        ScalarValue::Int(v) => write!(out, "int:{v}"),
        ScalarValue::Uint(v) => write!(out, "uint:{v}"),
        ScalarValue::F64(v) => write!(out, "f64:{:016x}", v.to_bits()),
        ScalarValue::Str(v) => write!(out, "str:{}", hex(v.as_bytes())),
        ScalarValue::Bytes(v) => write!(out, "bytes:{}", hex(v)),
        ScalarValue::Counter(v) => write!(out, "counter:{}", i64::from(v)),
        ScalarValue::Timestamp(v) => write!(out, "timestamp:{v}"),
        ScalarValue::Unknown { type_code, bytes } => {
            write!(out, "unknown{type_code}:{}", hex(bytes))
        }
    };
}

fn dump_values(doc: &AutoCommit, out: &mut String, id: &ObjId, at: Prop) {
    out.push('[');
    for (n, (value, op)) in doc.get_all(id, at).unwrap_or_default().into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        match value {
            Value::Scalar(value) => {
                dump_scalar(out, value.as_ref());
                let _ = write!(out, "@{op}");
            }
            Value::Object(kind) => dump_object(doc, out, &op, kind),
        }
    }
    out.push(']');
}

fn dump_object(doc: &AutoCommit, out: &mut String, id: &ObjId, kind: ObjType) {
    match kind {
        ObjType::Text => {
            let _ = write!(out, "text:{}@{id}", hex(doc.text(id).unwrap().as_bytes()));
        }
        ObjType::List => {
            let _ = write!(out, "list@{id}<");
            for index in 0..doc.length(id) {
                dump_values(doc, out, id, Prop::Seq(index));
            }
            out.push('>');
        }
        ObjType::Map | ObjType::Table => {
            let _ = write!(out, "map@{id}{{");
            let mut keys: Vec<String> = doc.keys(id).collect();
            keys.dedup(); // 0.12 can name a key twice whose conflicting counters were incremented
            for key in keys {
                let _ = write!(out, "{}=", hex(key.as_bytes()));
                dump_values(doc, out, id, Prop::Map(key));
            }
            out.push('}');
        }
    }
}

#[derive(Default)]
struct Oracle {
    docs: HashMap<u32, AutoCommit>,
    states: HashMap<u32, sync::State>,
}

impl Oracle {
    fn doc(&mut self, slot: &str) -> Result<&mut AutoCommit, String> {
        self.docs.get_mut(&number(slot)?).ok_or_else(|| format!("no document {slot}"))
    }

    /// A document that is about to take changes. 0.7 panics then if its patch log remembers an
    /// actor whose transaction came to nothing.
    fn receiver(&mut self, slot: &str) -> Result<&mut AutoCommit, String> {
        let doc = self.doc(slot)?;
        doc.reset_diff_cursor();
        Ok(doc)
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
        let mut doc = AutoCommit::load(bytes).map_err(text_of)?;
        if let Some(actor) = actor {
            doc.set_actor(ActorId::from(actor));
        }
        self.docs.insert(number(slot)?, doc);
        Ok(String::new())
    }

    fn run(&mut self, words: &[&str]) -> Reply {
        match words {
            ["put" | "make" | "insert" | "insmake" | "splice" | "delete" | "incr", _, _, ..] => {
                self.edit(words)
            }
            ["new", slot, actor] => {
                let doc = AutoCommit::new().with_actor(ActorId::from(unhex(actor)?));
                self.docs.insert(number(slot)?, doc);
                Ok(String::new())
            }
            ["fork", slot, from, actor] => {
                let doc = self.doc(from)?.fork().with_actor(ActorId::from(unhex(actor)?));
                self.docs.insert(number(slot)?, doc);
                Ok(String::new())
            }
            ["merge", slot, from] => {
                let mut other = self.take(from)?;
                let result = self.receiver(slot).and_then(|d| d.merge(&mut other).map_err(text_of));
                self.docs.insert(number(from)?, other);
                result.map(|_| String::new())
            }
            ["commit", slot, time] => self.commit(slot, time, None),
            ["commit", slot, time, message] => self.commit(slot, time, Some(unhex_text(message)?)),
            ["empty", slot, time] => {
                let options = CommitOptions::default().with_time(number(time)?);
                Ok(self.doc(slot)?.empty_change(options).to_string())
            }
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
            ["changes", slot] => {
                let changes = self.doc(slot)?.get_changes(&[]);
                Ok(changes.iter().map(|c| hex(c.raw_bytes())).collect::<Vec<_>>().join(" "))
            }
            ["heads", slot] => {
                let heads = self.doc(slot)?.get_heads();
                Ok(heads.iter().map(|h| h.to_string()).collect::<Vec<_>>().join(" "))
            }
            ["json", slot] => {
                let doc = self.doc(slot)?;
                serde_json::to_string(&automerge::AutoSerde::from(&*doc)).map_err(text_of)
            }
            ["dump", slot] => {
                let mut out = String::new();
                dump_object(self.doc(slot)?, &mut out, &ROOT, ObjType::Map);
                Ok(out)
            }
            _ => self.sync(words),
        }
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

pub fn main() {
    let mut oracle = Oracle::default();
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
