//! The words of the command language: hex, ids, properties, scalars, heads, JSON.

use automerge::hydrate;
use automerge::marks::{ExpandMark, Mark, MarkSet};
use automerge::{ActorId, ChangeHash, ObjId, ObjType, Prop, ScalarValue, TextEncoding, ROOT};
use std::collections::HashMap;
use std::fmt::Write as _;

pub fn text_of<E: std::fmt::Display>(error: E) -> String {
    error.to_string().replace('\n', " ")
}

pub fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".into();
    }
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

pub fn unhex(text: &str) -> Result<Vec<u8>, String> {
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

pub fn unhex_text(text: &str) -> Result<String, String> {
    String::from_utf8(unhex(text)?).map_err(text_of)
}

pub fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

pub fn object(text: &str) -> Result<ObjId, String> {
    if text == "_root" {
        return Ok(ROOT);
    }
    let (counter, actor) = text.split_once('@').ok_or("not an object id")?;
    Ok(ObjId::Id(number(counter)?, ActorId::from(unhex(actor)?), 0))
}

pub fn prop(text: &str) -> Result<Prop, String> {
    match text.split_once(':') {
        Some(("k", key)) => Ok(Prop::Map(unhex_text(key)?)),
        Some(("i", index)) => Ok(Prop::Seq(number(index)?)),
        _ => Err(format!("not a prop: {text}")),
    }
}

pub fn prop_word(prop: &Prop) -> String {
    match prop {
        Prop::Map(key) => format!("k:{}", hex(key.as_bytes())),
        Prop::Seq(index) => format!("i:{index}"),
    }
}

pub fn scalar(text: &str) -> Result<ScalarValue, String> {
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

pub fn scalar_word(value: &ScalarValue) -> String {
    match value {
        ScalarValue::Null => "null".into(),
        ScalarValue::Boolean(v) => format!("{v}"),
        ScalarValue::Int(v) => format!("int:{v}"),
        ScalarValue::Uint(v) => format!("uint:{v}"),
        ScalarValue::F64(v) => format!("f64:{:016x}", v.to_bits()),
        ScalarValue::Str(v) => format!("str:{}", hex(v.as_bytes())),
        ScalarValue::Bytes(v) => format!("bytes:{}", hex(v)),
        ScalarValue::Counter(v) => format!("counter:{}", i64::from(v)),
        ScalarValue::Timestamp(v) => format!("timestamp:{v}"),
        ScalarValue::Unknown { type_code, bytes } => format!("unknown{type_code}:{}", hex(bytes)),
    }
}

pub fn object_type(text: &str) -> Result<ObjType, String> {
    match text {
        "map" => Ok(ObjType::Map),
        "list" => Ok(ObjType::List),
        "text" => Ok(ObjType::Text),
        "table" => Ok(ObjType::Table),
        _ => Err(format!("not an object type: {text}")),
    }
}

pub fn type_word(kind: ObjType) -> &'static str {
    match kind {
        ObjType::Map => "map",
        ObjType::List => "list",
        ObjType::Text => "text",
        ObjType::Table => "table",
    }
}

/// None for `now`.
pub fn heads(text: &str) -> Result<Option<Vec<ChangeHash>>, String> {
    match text {
        "now" => Ok(None),
        _ => hashes(text).map(Some),
    }
}

pub fn hashes(text: &str) -> Result<Vec<ChangeHash>, String> {
    if text == "-" {
        return Ok(Vec::new());
    }
    text.split(',').map(|hash| hash.parse().map_err(text_of)).collect()
}

pub fn expand(text: &str) -> Result<ExpandMark, String> {
    match text {
        "none" => Ok(ExpandMark::None),
        "before" => Ok(ExpandMark::Before),
        "after" => Ok(ExpandMark::After),
        "both" => Ok(ExpandMark::Both),
        _ => Err(format!("not an expand: {text}")),
    }
}

pub fn units(text: &str) -> Result<TextEncoding, String> {
    match text {
        "codepoint" => Ok(TextEncoding::UnicodeCodePoint),
        "utf8" => Ok(TextEncoding::Utf8CodeUnit),
        "utf16" => Ok(TextEncoding::Utf16CodeUnit),
        "grapheme" => Ok(TextEncoding::GraphemeCluster),
        _ => Err(format!("not a unit: {text}")),
    }
}

pub fn mark_word(mark: &Mark) -> String {
    let name = hex(mark.name.as_bytes());
    format!("{}:{}:{name}={}", mark.start, mark.end, scalar_word(&mark.value))
}

/// `{name=scalar,…}`, names ascending.
pub fn marks_word(marks: Option<&MarkSet>) -> String {
    let all = marks.map(MarkSet::iter).unwrap_or_default();
    let words = all.map(|(name, value)| format!("{}={}", hex(name.as_bytes()), scalar_word(value)));
    format!("{{{}}}", words.collect::<Vec<_>>().join(","))
}

/// A JSON value as `update_object` and its kin take it. An object with the single key `$text`,
/// `$counter` or `$timestamp` is one of those; other strings are scalar strings.
pub fn hydrated(json: &serde_json::Value, units: TextEncoding) -> hydrate::Value {
    use serde_json::Value;
    match json {
        Value::Null => hydrate::Value::Scalar(ScalarValue::Null),
        Value::Bool(v) => hydrate::Value::Scalar(ScalarValue::Boolean(*v)),
        Value::Number(v) => hydrate::Value::Scalar(match (v.as_i64(), v.as_u64()) {
            (Some(int), _) => ScalarValue::Int(int),
            (None, Some(uint)) => ScalarValue::Uint(uint),
            _ => ScalarValue::F64(v.as_f64().unwrap_or_default()),
        }),
        Value::String(v) => hydrate::Value::Scalar(ScalarValue::Str(v.as_str().into())),
        Value::Array(all) => {
            hydrate::Value::from(all.iter().map(|v| hydrated(v, units)).collect::<Vec<_>>())
        }
        Value::Object(all) => {
            let single = all.iter().next().filter(|_| all.len() == 1);
            match single.map(|(key, value)| (key.as_str(), value)) {
                Some(("$text", v)) => hydrate::Value::text(units, v.as_str().unwrap_or_default()),
                Some(("$counter", v)) => hydrate::Value::Scalar(ScalarValue::counter(
                    v.as_i64().unwrap_or_default(),
                )),
                Some(("$timestamp", v)) => hydrate::Value::Scalar(ScalarValue::Timestamp(
                    v.as_i64().unwrap_or_default(),
                )),
                _ => hydrate::Value::Map(hydrated_map(all, units)),
            }
        }
    }
}

pub fn hydrated_map(
    all: &serde_json::Map<String, serde_json::Value>,
    units: TextEncoding,
) -> hydrate::Map {
    let entry = |(key, value): (&String, &serde_json::Value)| (key.clone(), hydrated(value, units));
    hydrate::Map::from(all.iter().map(entry).collect::<HashMap<String, hydrate::Value>>())
}

pub fn json(word: &str) -> Result<serde_json::Value, String> {
    serde_json::from_slice(&unhex(word)?).map_err(text_of)
}
