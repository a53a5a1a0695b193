//! The JSON that Jaeger's query API answers with, read leniently: numbers may be strings, absent and
//! null fields are empty.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// A trace.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trace {
    #[serde(rename = "traceID", deserialize_with = "or_default")]
    pub(super) trace_id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) spans: Vec<Span>,
    #[serde(deserialize_with = "or_default")]
    pub(super) processes: HashMap<String, Process>,
}

/// A span.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Span {
    #[serde(rename = "traceID", deserialize_with = "or_default")]
    pub(super) trace_id: String,
    #[serde(rename = "spanID", deserialize_with = "or_default")]
    pub(super) span_id: String,
    // Before there were references.
    #[serde(rename = "parentSpanID", deserialize_with = "or_default")]
    pub(super) parent_span_id: String,
    #[serde(rename = "operationName", deserialize_with = "or_default")]
    pub(super) operation_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) references: Vec<Reference>,
    #[serde(deserialize_with = "number")]
    pub(super) flags: u64,
    #[serde(rename = "startTime", deserialize_with = "number")]
    pub(super) start_us: u64,
    #[serde(rename = "duration", deserialize_with = "number")]
    pub(super) duration_us: u64,
    #[serde(deserialize_with = "or_default")]
    pub(super) tags: Vec<KeyValue>,
    #[serde(deserialize_with = "or_default")]
    pub(super) logs: Vec<Log>,
    #[serde(rename = "processID", deserialize_with = "or_default")]
    pub(super) process_id: String,
    pub(super) process: Option<Process>,
    #[serde(deserialize_with = "or_default")]
    pub(super) warnings: Vec<String>,
}

/// A reference to another span.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reference {
    #[serde(rename = "refType", deserialize_with = "or_default")]
    pub(super) ref_type: String,
    #[serde(rename = "traceID", deserialize_with = "or_default")]
    pub(super) trace_id: String,
    #[serde(rename = "spanID", deserialize_with = "or_default")]
    pub(super) span_id: String,
}

/// A point in time with fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    #[serde(rename = "timestamp", deserialize_with = "number")]
    pub(super) timestamp_us: u64,
    #[serde(deserialize_with = "or_default")]
    pub(super) fields: Vec<KeyValue>,
}

/// Who recorded spans.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Process {
    #[serde(rename = "serviceName", deserialize_with = "or_default")]
    pub(super) service_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) tags: Vec<KeyValue>,
}

/// A typed tag.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    #[serde(deserialize_with = "or_default")]
    pub(super) key: String,
    #[serde(rename = "type", deserialize_with = "or_default")]
    kind: String,
    pub(super) value: Value,
}

impl Trace {
    /// Reads a trace object.
    pub(super) fn read(trace: Value) -> Result<Trace, String> {
        if !trace.get("spans").is_some_and(Value::is_array) {
            return Err("reading a Jaeger trace: it has no list of spans".into());
        }
        serde_json::from_value(trace).map_err(|error| format!("reading a Jaeger trace: {error}"))
    }
}

impl KeyValue {
    /// The value when it is text.
    pub(super) fn text(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// Whether it is true, as a boolean or as text.
    pub(super) fn is_true(&self) -> bool {
        self.value == Value::Bool(true) || self.text().is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// The OTLP value of the declared type; a value that does not fit it is kept as what it is.
    pub(super) fn otlp_value(&self) -> Value {
        let text = || self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned);
        let typed = match &*self.kind.to_ascii_lowercase() {
            "string" => Some(json!({"stringValue": text()})),
            "bool" | "boolean" => text().parse::<bool>().ok().map(|value| json!({"boolValue": value})),
            "int64" | "int" | "long" => text().parse::<i64>().ok().map(|value| json!({"intValue": value.to_string()})),
            "float64" | "double" => double(&text()),
            "binary" => bytes(&text()).map(|bytes| json!({"bytesValue": STANDARD.encode(bytes)})),
            _ => None,
        };
        typed.unwrap_or_else(|| untyped(&self.value))
    }
}

fn untyped(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({"boolValue": value}),
        Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
        Value::Number(number) => json!({"doubleValue": number}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(values) => {
            json!({"arrayValue": {"values": values.iter().map(untyped).collect::<Vec<_>>()}})
        }
        Value::Object(pairs) => {
            let values: Vec<Value> =
                pairs.iter().map(|(key, value)| json!({"key": key, "value": untyped(value)})).collect();
            json!({"kvlistValue": {"values": values}})
        }
    }
}

fn double(text: &str) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    // JSON has no number for these; OTLP writes them as text.
    let name = match number {
        number if number.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => return Some(json!({"doubleValue": number})),
    };
    Some(json!({"doubleValue": name}))
}

// The query API writes base64, Elasticsearch's documents hex.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let hex = !text.is_empty() && text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    STANDARD.decode(text).ok().or_else(|| if hex { (0..text.len()).step_by(2).map(pair).collect() } else { None })
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

// A whole number, written as such, as a float or as text; negative and nonsense is 0.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(|number| number as u64)).unwrap_or(0),
        Value::String(text) => text.parse().unwrap_or(0),
        _ => 0,
    })
}
