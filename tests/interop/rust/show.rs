//! What a document holds, in one line: dumps, spans, patches.

use crate::oracle::words::*;
use automerge::iter::Span;
use automerge::{hydrate, AutoCommit, ChangeHash, ObjId, ObjType, Patch, PatchAction, Prop};
use automerge::{ReadDoc, Value, ROOT};
use std::fmt::Write as _;

/// A document now or as it was at some heads.
pub struct View<'a> {
    pub doc: &'a AutoCommit,
    pub at: Option<&'a [ChangeHash]>,
}

impl View<'_> {
    pub fn text(&self, id: &ObjId) -> Result<String, String> {
        match self.at {
            Some(heads) => self.doc.text_at(id, heads),
            None => self.doc.text(id),
        }
        .map_err(text_of)
    }

    pub fn length(&self, id: &ObjId) -> usize {
        match self.at {
            Some(heads) => self.doc.length_at(id, heads),
            None => self.doc.length(id),
        }
    }

    fn keys(&self, id: &ObjId) -> Vec<String> {
        let mut keys: Vec<String> = match self.at {
            Some(heads) => self.doc.keys_at(id, heads).collect(),
            None => self.doc.keys(id).collect(),
        };
        keys.dedup(); // 0.12 can name a key twice whose conflicting counters were incremented
        keys
    }

    pub fn values(&self, out: &mut String, id: &ObjId, at: Prop) {
        let all = match self.at {
            Some(heads) => self.doc.get_all_at(id, at, heads),
            None => self.doc.get_all(id, at),
        };
        out.push('[');
        for (n, (value, op)) in all.unwrap_or_default().into_iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            match value {
                Value::Scalar(value) => {
                    let _ = write!(out, "{}@{op}", scalar_word(value.as_ref()));
                }
                Value::Object(kind) => self.object(out, &op, kind),
            }
        }
        out.push(']');
    }

    pub fn object(&self, out: &mut String, id: &ObjId, kind: ObjType) {
        match kind {
            ObjType::Text => {
                let text = self.text(id).unwrap_or_default();
                let _ = write!(out, "text:{}@{id}", hex(text.as_bytes()));
            }
            ObjType::List => {
                let _ = write!(out, "list@{id}<");
                for index in 0..self.length(id) {
                    self.values(out, id, Prop::Seq(index));
                }
                out.push('>');
            }
            ObjType::Map | ObjType::Table => {
                let _ = write!(out, "{}@{id}{{", type_word(kind));
                for key in self.keys(id) {
                    let _ = write!(out, "{}=", hex(key.as_bytes()));
                    self.values(out, id, Prop::Map(key));
                }
                out.push('}');
            }
        }
    }

    pub fn dump(&self) -> String {
        let mut out = String::new();
        self.object(&mut out, &ROOT, ObjType::Map);
        out
    }

    pub fn marks(&self, id: &ObjId) -> Result<String, String> {
        let all = match self.at {
            Some(heads) => self.doc.marks_at(id, heads),
            None => self.doc.marks(id),
        };
        Ok(all.map_err(text_of)?.iter().map(mark_word).collect::<Vec<_>>().join(" "))
    }

    pub fn spans(&self, id: &ObjId) -> Result<String, String> {
        let all = match self.at {
            Some(heads) => self.doc.spans_at(id, heads),
            None => self.doc.spans(id),
        };
        let word = |span| match span {
            Span::Text { text, marks } => {
                format!("text:{}{}", hex(text.as_bytes()), marks_word(marks.as_deref()))
            }
            Span::Block(map) => format!("block:{}", hydrated_word(&hydrate::Value::Map(map))),
        };
        Ok(all.map_err(text_of)?.map(word).collect::<Vec<_>>().join(" "))
    }
}

/// `{key=value,…}`, `<value,…>`, `text:HEX` or a scalar; keys ascending.
fn hydrated_word(value: &hydrate::Value) -> String {
    match value {
        hydrate::Value::Scalar(value) => scalar_word(value),
        hydrate::Value::Text(text) => format!("text:{}", hex(String::from(text).as_bytes())),
        hydrate::Value::List(all) => {
            let words: Vec<_> = all.iter().map(|item| hydrated_word(&item.value)).collect();
            format!("<{}>", words.join(","))
        }
        hydrate::Value::Map(all) => {
            let mut entries: Vec<_> = all.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            let word = |(key, item): &(&String, &hydrate::MapValue)| {
                format!("{}={}", hex(key.as_bytes()), hydrated_word(&item.value))
            };
            format!("{{{}}}", entries.iter().map(word).collect::<Vec<_>>().join(","))
        }
    }
}

fn patch_value(value: &Value<'_>, id: &ObjId) -> String {
    match value {
        Value::Scalar(value) => format!("\"{}\"", scalar_word(value)),
        Value::Object(kind) => format!("\"{}@{id}\"", type_word(*kind)),
    }
}

fn patch_action(action: &PatchAction) -> String {
    match action {
        PatchAction::PutMap { key, value, conflict } => format!(
            "\"put\",\"prop\":\"k:{}\",\"value\":{},\"conflict\":{conflict}",
            hex(key.as_bytes()),
            patch_value(&value.0, &value.1)
        ),
        PatchAction::PutSeq { index, value, conflict } => format!(
            "\"put\",\"prop\":\"i:{index}\",\"value\":{},\"conflict\":{conflict}",
            patch_value(&value.0, &value.1)
        ),
        PatchAction::Insert { index, values } => {
            let word = |(value, id, conflict): &(Value<'static>, ObjId, bool)| {
                format!("[{},{conflict}]", patch_value(value, id))
            };
            let words: Vec<_> = values.iter().map(word).collect();
            format!("\"insert\",\"index\":{index},\"values\":[{}]", words.join(","))
        }
        PatchAction::SpliceText { index, value, marks } => format!(
            "\"splice\",\"index\":{index},\"text\":\"{}\",\"marks\":\"{}\"",
            hex(value.make_string().as_bytes()),
            marks_word(marks.as_ref())
        ),
        PatchAction::Increment { prop, value } => {
            format!("\"increment\",\"prop\":\"{}\",\"by\":{value}", prop_word(prop))
        }
        PatchAction::Conflict { prop } => {
            format!("\"conflict\",\"prop\":\"{}\"", prop_word(prop))
        }
        PatchAction::DeleteMap { key } => {
            format!("\"delete\",\"prop\":\"k:{}\"", hex(key.as_bytes()))
        }
        PatchAction::DeleteSeq { index, length } => {
            format!("\"delete\",\"prop\":\"i:{index}\",\"length\":{length}")
        }
        PatchAction::Mark { marks } => {
            let words: Vec<_> = marks.iter().map(|m| format!("\"{}\"", mark_word(m))).collect();
            format!("\"mark\",\"marks\":[{}]", words.join(","))
        }
    }
}

pub fn patches(all: &[Patch]) -> String {
    let one = |patch: &Patch| {
        let step = |(id, prop): &(ObjId, Prop)| format!("[\"{id}\",\"{}\"]", prop_word(prop));
        let path = patch.path.iter().map(step).collect::<Vec<_>>().join(",");
        let action = patch_action(&patch.action);
        format!("{{\"obj\":\"{}\",\"path\":[{path}],\"do\":{action}}}", patch.obj)
    };
    format!("[{}]", all.iter().map(one).collect::<Vec<_>>().join(","))
}
