//! Attribute values in answers: JSON values of their own type for people, or the OTLP `AnyValue` form
//! (`typed=true`) for programs that need every type, order and repeated key exactly.

use std::collections::{BTreeMap, HashSet};

use model::Value;
use model::value::{Types, push_base64};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use utoipa::ToSchema;

/// Largest integer that JSON numbers carry everywhere: 2^53.
const EXACT_MAX: u64 = 1 << 53;

/// Attributes of one thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    pairs: Vec<(String, Value)>,
    typed: bool,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct AnyValue {
    value: Value,
    typed: bool,
}

/// Attributes by name; with `typed=true` a list that keeps their order, repeated names and every type.
/// Describes [`Attributes`] as they are written.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
pub enum AttributesShape {
    /// Plain.
    #[schema(title = "plain")]
    Plain(BTreeMap<String, serde_json::Value>),
    /// `typed=true`.
    #[schema(title = "typed")]
    Typed(Vec<TypedAttribute>),
}

/// One attribute of a typed answer.
#[derive(serde::Serialize, ToSchema)]
pub struct TypedAttribute {
    /// Name.
    pub key: String,
    /// Its OTLP `AnyValue`.
    #[schema(value_type = Object)]
    pub value: serde_json::Value,
}

impl Attributes {
    /// From a stored map and its types.
    pub fn read(pairs: &[(String, String)], types: &str, typed: bool) -> Attributes {
        let mut types = Types::new(types.as_bytes());
        Attributes { pairs: pairs.iter().map(|(key, text)| (key.clone(), types.value(text))).collect(), typed }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl AnyValue {
    /// From a stored text and its type; an empty type is text.
    pub fn read(text: &str, types: &str, typed: bool) -> AnyValue {
        AnyValue { value: Types::new(types.as_bytes()).value(text), typed }
    }

    /// No value at all.
    pub fn none(typed: bool) -> AnyValue {
        AnyValue { value: Value::Empty, typed }
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.typed { pairs_typed(&self.pairs, serializer) } else { pairs_plain(&self.pairs, serializer) }
    }
}

impl Serialize for AnyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.typed { Typed(&self.value).serialize(serializer) } else { Plain(&self.value).serialize(serializer) }
    }
}

/// A JSON object; of a repeated key the first value stays, as in the store's own look-ups.
fn pairs_plain<S: Serializer>(pairs: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    let mut seen = HashSet::with_capacity(pairs.len());
    for (key, value) in pairs {
        if seen.insert(key.as_str()) {
            map.serialize_entry(key, &Plain(value))?;
        }
    }
    map.end()
}

fn pairs_typed<S: Serializer>(pairs: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(pairs.len()))?;
    for pair in pairs {
        list.serialize_element(&TypedPair(pair))?;
    }
    list.end()
}

struct Plain<'a>(&'a Value);
struct PlainMap<'a>(&'a [(String, Value)]);
struct Typed<'a>(&'a Value);
struct TypedPair<'a>(&'a (String, Value));
struct TypedPairs<'a>(&'a [(String, Value)]);
struct TypedList<'a>(&'a [Value]);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Empty => serializer.serialize_unit(),
            Value::Str(text) => serializer.serialize_str(text),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) if value.unsigned_abs() <= EXACT_MAX => serializer.serialize_i64(*value),
            Value::Int(value) => serializer.collect_str(value),
            Value::Double(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::Double(value) => serializer.serialize_str(not_finite(*value)),
            Value::Bytes(bytes) => serializer.serialize_str(&base64(bytes)),
            Value::Array(values) => serializer.collect_seq(values.iter().map(Plain)),
            Value::Map(pairs) => PlainMap(pairs).serialize(serializer),
        }
    }
}

impl Serialize for PlainMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        pairs_plain(self.0, serializer)
    }
}

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Value::Empty => {}
            Value::Str(text) => map.serialize_entry("stringValue", text)?,
            Value::Bool(value) => map.serialize_entry("boolValue", value)?,
            Value::Int(value) => map.serialize_entry("intValue", &value.to_string())?,
            Value::Double(value) if value.is_finite() => map.serialize_entry("doubleValue", value)?,
            Value::Double(value) => map.serialize_entry("doubleValue", not_finite(*value))?,
            Value::Bytes(bytes) => map.serialize_entry("bytesValue", &base64(bytes))?,
            Value::Array(values) => map.serialize_entry("arrayValue", &TypedList(values))?,
            Value::Map(pairs) => {
                struct List<'a>(&'a [(String, Value)]);
                impl Serialize for List<'_> {
                    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                        let mut map = serializer.serialize_map(Some(1))?;
                        map.serialize_entry("values", &TypedPairs(self.0))?;
                        map.end()
                    }
                }
                map.serialize_entry("kvlistValue", &List(pairs))?;
            }
        }
        map.end()
    }
}

impl Serialize for TypedPairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        pairs_typed(self.0, serializer)
    }
}

impl Serialize for TypedPair<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, value) = self.0;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("key", key)?;
        map.serialize_entry("value", &Typed(value))?;
        map.end()
    }
}

impl Serialize for TypedList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Values<'a>(&'a [Value]);
        impl Serialize for Values<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.iter().map(Typed))
            }
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("values", &Values(self.0))?;
        map.end()
    }
}

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn base64(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    push_base64(&mut out, bytes);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::value::finish_types;

    fn stored(values: &[(&str, Value)]) -> (Vec<(String, String)>, String) {
        let mut types = Vec::new();
        let pairs = values
            .iter()
            .map(|(key, value)| {
                let mut text = Vec::new();
                value.encode(&mut text, &mut types);
                ((*key).to_owned(), String::from_utf8(text).unwrap())
            })
            .collect();
        finish_types(&mut types);
        (pairs, String::from_utf8(types).unwrap())
    }

    // Scenario: one attribute of every type, large and odd numbers, nested values, a repeated key.
    // Guarantee: plain JSON keeps each type as far as JSON has it; typed JSON keeps all, in order.
    #[test]
    fn every_type() {
        let map = Value::Map(vec![("k".into(), Value::Int(1)), ("k".into(), Value::Bool(false))]);
        let (pairs, types) = stored(&[
            ("s", Value::Str("1".into())),
            ("i", Value::Int(-7)),
            ("big", Value::Int(i64::MIN)),
            ("d", Value::Double(1.5)),
            ("whole", Value::Double(2.0)),
            ("nan", Value::Double(f64::NAN)),
            ("b", Value::Bool(true)),
            ("y", Value::Bytes(vec![0, 255])),
            ("e", Value::Empty),
            ("a", Value::Array(vec![Value::Int(1), Value::Str("x".into()), Value::Double(f64::INFINITY)])),
            ("m", map),
            ("s", Value::Str("again".into())),
        ]);
        let json = |typed| serde_json::to_string(&Attributes::read(&pairs, &types, typed)).unwrap();
        assert_eq!(
            json(false),
            r#"{"s":"1","i":-7,"big":"-9223372036854775808","d":1.5,"whole":2.0,"nan":"NaN","b":true,"y":"AP8=","e":null,"a":[1,"x","Infinity"],"m":{"k":1}}"#
        );
        assert_eq!(
            json(true),
            concat!(
                r#"[{"key":"s","value":{"stringValue":"1"}},{"key":"i","value":{"intValue":"-7"}},{"key":"big","value":{"intValue":"-9223372036854775808"}},"#,
                r#"{"key":"d","value":{"doubleValue":1.5}},{"key":"whole","value":{"doubleValue":2.0}},{"key":"nan","value":{"doubleValue":"NaN"}},"#,
                r#"{"key":"b","value":{"boolValue":true}},{"key":"y","value":{"bytesValue":"AP8="}},{"key":"e","value":{}},"#,
                r#"{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"x"},{"doubleValue":"Infinity"}]}}},"#,
                r#"{"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"intValue":"1"}},{"key":"k","value":{"boolValue":false}}]}}},"#,
                r#"{"key":"s","value":{"stringValue":"again"}}]"#
            )
        );
    }
}
