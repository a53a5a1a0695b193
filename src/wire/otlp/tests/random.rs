//! Random OTLP messages from a seed, and random ways to write the same message as bytes or JSON.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::*;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};

use crate::otlp::schema::{Kind, Message};
use crate::proto::{self, BYTES, Cursor, FIXED32, FIXED64, VARINT, push_varint};

/// A small generator of random numbers (splitmix64): a seed names a case.
pub(super) struct Random {
    state: u64,
    /// Whether infinite doubles and negative zero are left out.
    pub(super) plain: bool,
}

const TEXTS: [&str; 14] = [
    "",
    "a",
    "GET /x/{id}",
    "0",
    "é€😀",
    "\u{0}\u{1f}\"\\/\u{7f}",
    "NaN",
    "true",
    "{\"a\":1}",
    "[",
    "line\nbreak\ttab",
    "\u{2028}",
    "a longer text that does not fit into any small buffer: 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789",
    "'; DROP TABLE otel_traces; --",
];
const KEYS: [&str; 18] = [
    "",
    "service.name",
    "service.version",
    "service.instance.id",
    "host.name",
    "http.route",
    "http.response.status_code",
    "http.status_code",
    "db.system",
    "peer.service",
    "server.address",
    "messaging.destination.name",
    "messaging.system",
    "db.namespace",
    "k",
    "k",
    "key.é",
    "another.key.of.some.length",
];

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random { state: seed, plain: false }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(super) fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn list<T>(&mut self, up_to: usize, mut make: impl FnMut(&mut Random) -> T) -> Vec<T> {
        (0..self.below(up_to + 1)).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> String {
        self.pick(&TEXTS).to_owned()
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.list(9, |random| random.next() as u8)
    }

    fn number(&mut self) -> u64 {
        let whole = self.next();
        self.pick(&[0, 1, 127, 128, 300, u64::from(u32::MAX), i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX, whole])
    }

    fn double(&mut self) -> f64 {
        let bits = f64::from_bits(self.next());
        let any = if bits.is_finite() { bits } else { 0.5 };
        let picked = self.pick(&[
            0.0,
            -0.0,
            1.0,
            -1.5,
            1e300,
            5e-324,
            0.1,
            1e16,
            123456789.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            any,
        ]);
        if self.plain && (picked.is_infinite() || picked == 0.0) { 2.5 } else { picked }
    }

    fn time(&mut self) -> u64 {
        let jitter = self.next() % 1_000_000_000_000;
        match self.below(8) {
            0 => self.number(),
            1 => 0,
            _ => 1_700_000_000_000_000_000 + jitter,
        }
    }

    fn id(&mut self, width: usize) -> Vec<u8> {
        let id: Vec<u8> = (0..width).map(|_| self.next() as u8).collect();
        match self.below(12) {
            0 => Vec::new(),
            1 => vec![0; width],
            2 => id[1..].to_vec(),
            _ => id,
        }
    }

    // Proto3 JSON has no NaN payloads and prost compares NaN unequal: both are covered elsewhere.
    fn value(&mut self, depth: usize) -> AnyValue {
        use any_value::Value::*;
        let value = match self.below(if depth == 0 { 7 } else { 10 }) {
            0 => return AnyValue { value: None },
            1 | 2 => StringValue(self.text()),
            3 => BoolValue(self.chance(2)),
            4 => IntValue(self.number() as i64),
            5 => DoubleValue(self.double()),
            6 => BytesValue(self.bytes()),
            7 | 8 => ArrayValue(self::ArrayValue { values: self.list(4, |random| random.value(depth - 1)) }),
            _ => KvlistValue(KeyValueList { values: self.list(4, |random| random.pair(depth - 1)) }),
        };
        AnyValue { value: Some(value) }
    }

    fn pair(&mut self, depth: usize) -> KeyValue {
        let value = if self.chance(12) { None } else { Some(self.value(depth)) };
        KeyValue { key: self.pick(&KEYS).to_owned(), value, key_strindex: 0 }
    }

    fn pairs(&mut self) -> Vec<KeyValue> {
        self.list(7, |random| {
            let depth = random.below(5);
            random.pair(depth)
        })
    }

    fn resource(&mut self) -> Option<Resource> {
        (!self.chance(6)).then(|| Resource {
            attributes: self.pairs(),
            dropped_attributes_count: self.number() as u32,
            entity_refs: self.list(2, |random| EntityRef {
                schema_url: random.text(),
                r#type: random.text(),
                id_keys: random.list(2, Random::text),
                description_keys: random.list(2, Random::text),
            }),
        })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        (!self.chance(6)).then(|| InstrumentationScope {
            name: self.text(),
            version: self.text(),
            attributes: self.pairs(),
            dropped_attributes_count: self.number() as u32,
        })
    }

    pub(super) fn traces(&mut self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest {
            resource_spans: self.list(3, |random| ResourceSpans {
                resource: random.resource(),
                scope_spans: random.list(3, |random| ScopeSpans {
                    scope: random.scope(),
                    spans: random.list(4, Random::span),
                    schema_url: random.text(),
                }),
                schema_url: random.text(),
            }),
        }
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.pick(&["", "ot=th:8", "a=b,ot=rv:1;th:c", "x"]).to_owned(),
            parent_span_id: self.id(8),
            flags: self.number() as u32,
            name: self.text(),
            kind: self.pick(&[0, 1, 2, 3, 4, 5, 6, -1, 77]),
            start_time_unix_nano: self.time(),
            end_time_unix_nano: self.time(),
            attributes: self.pairs(),
            dropped_attributes_count: self.number() as u32,
            events: self.list(3, |random| span::Event {
                time_unix_nano: random.time(),
                name: random.text(),
                attributes: random.pairs(),
                dropped_attributes_count: random.number() as u32,
            }),
            dropped_events_count: self.number() as u32,
            links: self.list(2, |random| span::Link {
                trace_id: random.id(16),
                span_id: random.id(8),
                trace_state: random.text(),
                attributes: random.pairs(),
                dropped_attributes_count: random.number() as u32,
                flags: random.number() as u32,
            }),
            dropped_links_count: self.number() as u32,
            status: (!self.chance(3)).then(|| Status { message: self.text(), code: self.pick(&[0, 1, 2, 3, -1]) }),
        }
    }

    pub(super) fn logs(&mut self) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest {
            resource_logs: self.list(3, |random| ResourceLogs {
                resource: random.resource(),
                scope_logs: random.list(3, |random| ScopeLogs {
                    scope: random.scope(),
                    log_records: random.list(4, Random::record),
                    schema_url: random.text(),
                }),
                schema_url: random.text(),
            }),
        }
    }

    fn record(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.time(),
            observed_time_unix_nano: self.time(),
            severity_number: self.pick(&[0, 1, 9, 24, 25, 255, 256, -1]),
            severity_text: self.text(),
            body: (!self.chance(5)).then(|| {
                let depth = self.below(5);
                self.value(depth)
            }),
            attributes: self.pairs(),
            dropped_attributes_count: self.number() as u32,
            flags: self.number() as u32,
            trace_id: self.id(16),
            span_id: self.id(8),
            event_name: self.text(),
        }
    }

    pub(super) fn metrics(&mut self) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest {
            resource_metrics: self.list(3, |random| ResourceMetrics {
                resource: random.resource(),
                scope_metrics: random.list(2, |random| ScopeMetrics {
                    scope: random.scope(),
                    metrics: random.list(4, Random::metric),
                    schema_url: random.text(),
                }),
                schema_url: random.text(),
            }),
        }
    }

    fn metric(&mut self) -> Metric {
        let temporality = self.pick(&[0, 1, 2, 3, -1]);
        let data = match self.below(6) {
            0 => None,
            1 => Some(metric::Data::Gauge(Gauge { data_points: self.list(3, Random::number_point) })),
            2 => Some(metric::Data::Sum(Sum {
                data_points: self.list(3, Random::number_point),
                aggregation_temporality: temporality,
                is_monotonic: self.chance(2),
            })),
            3 => Some(metric::Data::Histogram(Histogram {
                data_points: self.list(3, Random::histogram_point),
                aggregation_temporality: temporality,
            })),
            4 => Some(metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.list(3, Random::exponential_point),
                aggregation_temporality: temporality,
            })),
            _ => Some(metric::Data::Summary(Summary { data_points: self.list(3, Random::summary_point) })),
        };
        Metric { name: self.text(), description: self.text(), unit: self.text(), metadata: self.pairs(), data }
    }

    fn number_point(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.pairs(),
            start_time_unix_nano: self.time(),
            time_unix_nano: self.time(),
            exemplars: self.list(2, Random::exemplar),
            flags: self.number() as u32,
            value: match self.below(3) {
                0 => None,
                1 => Some(number_data_point::Value::AsDouble(self.double())),
                _ => Some(number_data_point::Value::AsInt(self.number() as i64)),
            },
        }
    }

    fn exemplar(&mut self) -> Exemplar {
        Exemplar {
            filtered_attributes: self.pairs(),
            time_unix_nano: self.time(),
            span_id: self.id(8),
            trace_id: self.id(16),
            value: match self.below(3) {
                0 => None,
                1 => Some(exemplar::Value::AsDouble(self.double())),
                _ => Some(exemplar::Value::AsInt(self.number() as i64)),
            },
        }
    }

    fn maybe(&mut self) -> Option<f64> {
        (!self.chance(3)).then(|| self.double())
    }

    fn histogram_point(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.pairs(),
            start_time_unix_nano: self.time(),
            time_unix_nano: self.time(),
            count: self.number(),
            sum: self.maybe(),
            bucket_counts: self.list(5, Random::number),
            explicit_bounds: self.list(4, Random::double),
            exemplars: self.list(2, Random::exemplar),
            flags: self.number() as u32,
            min: self.maybe(),
            max: self.maybe(),
        }
    }

    fn buckets(&mut self) -> Option<exponential_histogram_data_point::Buckets> {
        (!self.chance(3)).then(|| exponential_histogram_data_point::Buckets {
            offset: self.number() as i32,
            bucket_counts: self.list(5, Random::number),
        })
    }

    fn exponential_point(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.pairs(),
            start_time_unix_nano: self.time(),
            time_unix_nano: self.time(),
            count: self.number(),
            sum: self.maybe(),
            scale: self.number() as i32,
            zero_count: self.number(),
            positive: self.buckets(),
            negative: self.buckets(),
            flags: self.number() as u32,
            exemplars: self.list(2, Random::exemplar),
            min: self.maybe(),
            max: self.maybe(),
            zero_threshold: self.double(),
        }
    }

    fn summary_point(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.pairs(),
            start_time_unix_nano: self.time(),
            time_unix_nano: self.time(),
            count: self.number(),
            sum: self.double(),
            quantile_values: self.list(4, |random| summary_data_point::ValueAtQuantile {
                quantile: random.double(),
                value: random.double(),
            }),
            flags: self.number() as u32,
        }
    }
}

/// The message written in another legal way: fields in another order, singular fields repeated or
/// in pieces, unknown fields and groups between them, padded varints, packed lists unpacked.
pub(super) fn rewrite(bytes: &[u8], message: &'static Message, random: &mut Random) -> Vec<u8> {
    let mut pieces: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let key = cursor.key().unwrap();
        let field = message.by_number(key >> 3).unwrap();
        let start = cursor.rest();
        let mut piece = Vec::new();
        match (field.kind, key & 7) {
            (Kind::Message(inner), _) => {
                let content = rewrite(cursor.bytes().unwrap(), inner, random);
                push_key(&mut piece, key, random);
                push_padded(&mut piece, content.len() as u64, random);
                piece.extend_from_slice(&content);
                if !field.repeated && random.chance(4) {
                    // An empty piece more: it merges into the other.
                    push_key(&mut piece, key, random);
                    piece.push(0);
                }
            }
            (Kind::Fixed64 | Kind::Double, BYTES) if random.chance(2) => {
                for number in cursor.bytes().unwrap().chunks(8) {
                    push_key(&mut piece, key & !7 | FIXED64, random);
                    piece.extend_from_slice(number);
                }
            }
            (Kind::Uint64, BYTES) if random.chance(2) => {
                let mut numbers = Cursor::new(cursor.bytes().unwrap());
                while !numbers.is_empty() {
                    push_key(&mut piece, key & !7 | VARINT, random);
                    push_padded(&mut piece, numbers.varint().unwrap(), random);
                }
            }
            _ => {
                cursor.skip(key).unwrap();
                let value = &start[..start.len() - cursor.rest().len()];
                push_key(&mut piece, key, random);
                piece.extend_from_slice(value);
            }
        }
        pieces.push((key >> 3, piece));
    }
    shuffle(&mut pieces, random);
    let mut out = Vec::new();
    for (_, piece) in &pieces {
        if random.chance(8) {
            push_unknown(&mut out, random);
        }
        out.extend_from_slice(piece);
    }
    out
}

// Swaps neighbours of different fields; pieces of one field keep their order, and so do the members
// of a oneof (they have different numbers, so the last of them must stay the last).
fn shuffle(pieces: &mut [(u32, Vec<u8>)], random: &mut Random) {
    for _ in 0..pieces.len() * 2 {
        let at = random.below(pieces.len().saturating_sub(1));
        if at + 1 < pieces.len() && pieces[at].0 != pieces[at + 1].0 {
            pieces.swap(at, at + 1);
        }
    }
}

fn push_key(out: &mut Vec<u8>, key: u32, random: &mut Random) {
    push_padded(out, u64::from(key), random);
}

fn push_padded(out: &mut Vec<u8>, value: u64, random: &mut Random) {
    push_varint(out, value);
    if random.chance(6) && value < 1 << 56 {
        if let Some(last) = out.last_mut() {
            *last |= 0x80;
        }
        out.extend_from_slice(&[0x80, 0x00]);
    }
}

fn push_unknown(out: &mut Vec<u8>, random: &mut Random) {
    let field = random.pick(&[900, 100_000, 50]);
    match random.below(5) {
        0 => {
            push_varint(out, u64::from(proto::key(field, VARINT)));
            push_varint(out, random.next());
        }
        1 => {
            push_varint(out, u64::from(proto::key(field, FIXED64)));
            out.extend_from_slice(&random.next().to_le_bytes());
        }
        2 => {
            push_varint(out, u64::from(proto::key(field, FIXED32)));
            out.extend_from_slice(&[1, 2, 3, 4]);
        }
        3 => proto::push_bytes(out, field, b"\xff\xfe unknown"),
        _ => {
            push_varint(out, u64::from(proto::key(field, proto::GROUP)));
            proto::push_bytes(out, 1, b"\xff");
            push_varint(out, u64::from(proto::key(field, proto::END_GROUP)));
        }
    }
}

/// The message as JSON in one of the many accepted spellings. `bytes` are prost's.
pub(super) fn json(bytes: &[u8], message: &'static Message, random: &mut Random, out: &mut String) {
    let mut members: Vec<(u32, String, Vec<String>)> = Vec::new();
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let key = cursor.key().unwrap();
        let field = message.by_number(key >> 3).unwrap();
        let mut values = Vec::new();
        match (field.kind, key & 7) {
            (Kind::Fixed64 | Kind::Double, BYTES) => {
                let mut packed = Cursor::new(cursor.bytes().unwrap());
                while !packed.is_empty() {
                    values.push(json_value(&mut packed, field.kind, random));
                }
            }
            (Kind::Uint64, BYTES) => {
                let mut packed = Cursor::new(cursor.bytes().unwrap());
                while !packed.is_empty() {
                    values.push(json_value(&mut packed, field.kind, random));
                }
            }
            _ => values.push(json_value(&mut cursor, field.kind, random)),
        }
        match members.iter_mut().find(|member| member.0 == field.number) {
            Some(member) => member.2.extend(values),
            None => {
                let name = if random.chance(3) { field.name } else { field.json };
                members.push((field.number, name.to_owned(), values));
            }
        }
    }
    out.push('{');
    let mut first = true;
    for (number, name, values) in members {
        let repeated = message.by_number(number).unwrap().repeated;
        if random.chance(10) {
            comma(out, &mut first, random);
            out.push_str(random.pick(&["\"unknown\":{\"a\":[1,{}]}", "\"\\u0000\":null", "\"traceid\":-1.5e3"]));
        }
        comma(out, &mut first, random);
        out.push_str(&format!("\"{name}\" :"));
        let joined = values.join(if random.chance(4) { " ,\r\n\t" } else { "," });
        out.push_str(&if repeated { format!("[{joined}]") } else { joined });
    }
    // Absent fields may be null.
    if random.chance(5)
        && let Some(field) = message.fields.iter().find(|field| !out.contains(field.json) && !out.contains(field.name))
    {
        comma(out, &mut first, random);
        out.push_str(&format!("\"{}\":null", field.json));
    }
    out.push('}');
}

fn comma(out: &mut String, first: &mut bool, random: &mut Random) {
    if !std::mem::replace(first, false) {
        out.push(',');
    }
    if random.chance(5) {
        out.push_str(" \n");
    }
}

fn json_value(cursor: &mut Cursor<'_>, kind: Kind, random: &mut Random) -> String {
    let quoted = |text: String, random: &mut Random| if random.chance(2) { format!("\"{text}\"") } else { text };
    match kind {
        Kind::Message(inner) => {
            let mut out = String::new();
            json(cursor.bytes().unwrap(), inner, random, &mut out);
            out
        }
        Kind::Text => json_text(std::str::from_utf8(cursor.bytes().unwrap()).unwrap(), random),
        Kind::Bytes => {
            use base64::Engine;
            use base64::engine::general_purpose::*;
            let bytes = cursor.bytes().unwrap();
            match random.below(4) {
                0 => format!("\"{}\"", STANDARD.encode(bytes)),
                1 => format!("\"{}\"", STANDARD_NO_PAD.encode(bytes)),
                2 => format!("\"{}\"", URL_SAFE.encode(bytes)),
                _ => format!("\"{}\"", URL_SAFE_NO_PAD.encode(bytes)),
            }
        }
        Kind::Id(_) => {
            let upper = random.chance(2);
            let digits = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
            format!("\"{}\"", cursor.bytes().unwrap().iter().map(digits).collect::<String>())
        }
        Kind::Bool => (cursor.varint().unwrap() != 0).to_string(),
        Kind::Uint32 => quoted((cursor.varint().unwrap() as u32).to_string(), random),
        Kind::Int64 => quoted((cursor.varint().unwrap() as i64).to_string(), random),
        Kind::Uint64 => quoted(cursor.varint().unwrap().to_string(), random),
        Kind::Sint32 => {
            let raw = cursor.varint().unwrap() as u32;
            quoted(((raw >> 1) as i32 ^ -((raw & 1) as i32)).to_string(), random)
        }
        Kind::Fixed32 => quoted(cursor.fixed32().unwrap().to_string(), random),
        Kind::Fixed64 => {
            let number = cursor.fixed64().unwrap();
            let text = if number.is_multiple_of(1000) && random.chance(3) {
                format!("{}.0e3", number / 1000)
            } else {
                number.to_string()
            };
            quoted(text, random)
        }
        Kind::Sfixed64 => quoted((cursor.fixed64().unwrap() as i64).to_string(), random),
        Kind::Double => {
            let number = f64::from_bits(cursor.fixed64().unwrap());
            match number {
                f64::INFINITY => "\"Infinity\"".to_owned(),
                f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
                number => quoted(format!("{number:?}"), random),
            }
        }
        Kind::Enum(prefix, names) => {
            let number = cursor.varint().unwrap() as i32;
            match names.iter().find(|(_, known)| *known == number) {
                Some((name, _)) if random.chance(2) => format!("\"{prefix}{name}\""),
                _ => quoted(number.to_string(), random),
            }
        }
    }
}

fn json_text(text: &str, random: &mut Random) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        if (letter as u32) < 0x20 || matches!(letter, '"' | '\\') || random.chance(6) {
            letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(letter);
        }
    }
    out.push('"');
    out
}
