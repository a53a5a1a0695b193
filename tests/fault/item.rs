//! Items: everything about one follows from its run and number, so that a stored row can be compared
//! with what was sent without remembering it.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

/// A run's items.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Names the run; the first half of its trace ids.
    pub id: u64,
    /// Time of the first item, nanoseconds since the epoch.
    pub base_ns: u64,
}

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Spans.
    Spans,
    /// Log records.
    Logs,
}

const DAY_NS: u64 = 86_400 * 1_000_000_000;
/// Items of one trace.
const TRACE_ITEMS: u64 = 8;
/// Every so many items one lies on an earlier day, so that several partitions are in use.
const OTHER_DAY_EVERY: u64 = 89;

impl Run {
    /// The run's name, as rows carry it: the first 16 digits of its trace ids.
    pub fn name(&self) -> String {
        format!("{:016x}", self.id)
    }

    /// A request of items `first` to `first + items - 1`, encoded in protobuf.
    pub fn request(&self, kind: Kind, first: u64, items: u32, marker: &str) -> Vec<u8> {
        let numbers = first..first + u64::from(items);
        let scope = Some(InstrumentationScope { name: "fault".into(), ..Default::default() });
        let resource = Some(Resource { attributes: vec![text("service.name", service(first))], ..Default::default() });
        match kind {
            Kind::Spans => {
                let spans = numbers.map(|number| self.span(number, marker)).collect();
                let scope_spans = vec![ScopeSpans { scope, spans, ..Default::default() }];
                let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
                ExportTraceServiceRequest { resource_spans }.encode_to_vec()
            }
            Kind::Logs => {
                let log_records = numbers.map(|number| self.log(number, marker)).collect();
                let scope_logs = vec![ScopeLogs { scope, log_records, ..Default::default() }];
                let resource_logs = vec![ResourceLogs { resource, scope_logs, ..Default::default() }];
                ExportLogsServiceRequest { resource_logs }.encode_to_vec()
            }
        }
    }

    /// The same spans as Zipkin's JSON says them.
    pub fn zipkin_request(&self, first: u64, items: u32) -> Vec<u8> {
        let endpoint = serde_json::json!({ "serviceName": service(first) });
        let span = |number: u64| {
            serde_json::json!({
                "traceId": format!("{:016x}{:016x}", self.id, self.trace(number)),
                "id": format!("{:016x}", span_id(number)),
                "name": name(number),
                "timestamp": self.time_ns(number) / 1000,
                "duration": 1 + mix(number) % 1_000_000,
                "localEndpoint": endpoint,
                "tags": { "run": self.name(), "seq": number.to_string(), "payload": payload(number) },
            })
        };
        let spans: Vec<_> = (first..first + u64::from(items)).map(span).collect();
        serde_json::Value::from(spans).to_string().into_bytes()
    }

    /// What [`Run::select`] must give for item `number`, sent in a request that began with `first`.
    pub fn expected(&self, number: u64, first: u64) -> String {
        format!(
            "{:016x}{:016x}|{:016x}|{}|{}|{}|{}",
            self.id,
            self.trace(number),
            span_id(number),
            name(number),
            self.time_ns(number),
            service(first),
            payload(number),
        )
    }

    /// A query for all rows of this run in one table: number and content, in RowBinary.
    pub fn select(&self, kind: Kind) -> String {
        let (table, attributes, name, content) = match kind {
            Kind::Spans => ("otel_traces", "SpanAttributes", "SpanName", "SpanAttributes['payload']"),
            Kind::Logs => ("otel_logs", "LogAttributes", "SeverityText", "Body"),
        };
        format!(
            "SELECT toUInt64OrZero({attributes}['seq']) AS seq, \
             concat(TraceId, '|', SpanId, '|', {name}, '|', toString(toUnixTimestamp64Nano(Timestamp)), '|', \
             ServiceName, '|', {content}) AS content \
             FROM {table} WHERE {attributes}['run'] = '{}' FORMAT RowBinary",
            self.name()
        )
    }

    fn span(&self, number: u64, marker: &str) -> Span {
        Span {
            trace_id: self.trace_id(number),
            span_id: span_id(number).to_be_bytes().to_vec(),
            name: name(number),
            kind: (1 + number % 5) as i32,
            start_time_unix_nano: self.time_ns(number),
            end_time_unix_nano: self.time_ns(number) + mix(number) % 1_000_000_000,
            attributes: self.attributes(number, Some(payload(number)), marker),
            status: Some(Status { code: (number % 3) as i32, ..Default::default() }),
            ..Default::default()
        }
    }

    fn log(&self, number: u64, marker: &str) -> LogRecord {
        LogRecord {
            time_unix_nano: self.time_ns(number),
            severity_number: (1 + number % 24) as i32,
            severity_text: name(number),
            body: Some(AnyValue { value: Some(Value::StringValue(payload(number))) }),
            attributes: self.attributes(number, None, marker),
            trace_id: self.trace_id(number),
            span_id: span_id(number).to_be_bytes().to_vec(),
            ..Default::default()
        }
    }

    fn attributes(&self, number: u64, payload: Option<String>, marker: &str) -> Vec<KeyValue> {
        let seq = AnyValue { value: Some(Value::IntValue(number as i64)) };
        let mut attributes =
            vec![text("run", self.name()), KeyValue { key: "seq".into(), value: Some(seq), ..Default::default() }];
        attributes.extend(payload.map(|payload| text("payload", payload)));
        if !marker.is_empty() {
            attributes.push(text("marker", marker.to_owned()));
        }
        attributes
    }

    fn trace_id(&self, number: u64) -> Vec<u8> {
        [self.id.to_be_bytes(), self.trace(number).to_be_bytes()].concat()
    }

    fn trace(&self, number: u64) -> u64 {
        mix(number / TRACE_ITEMS) | 1
    }

    fn time_ns(&self, number: u64) -> u64 {
        let days = if number % OTHER_DAY_EVERY == 7 { 1 + number % 3 } else { 0 };
        self.base_ns + number * 1000 - days * DAY_NS
    }
}

/// SplitMix64: well-mixed bits of a number.
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn span_id(number: u64) -> u64 {
    mix(!number) | 1
}

fn name(number: u64) -> String {
    format!("op {}", number % 23)
}

fn service(first: u64) -> String {
    format!("service-{}", mix(first) % 7)
}

/// Text of 8 to about 250 bytes with everything that is quoted, escaped or more than one byte long.
fn payload(number: u64) -> String {
    const ALPHABET: [char; 64] = [
        'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
        'w', 'x', 'y', 'z', 'A', 'B', 'C', 'D', 'E', 'F', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ' ', ' ',
        '\'', '"', '\\', '`', '\n', '\t', '{', '}', '|', ';', '-', '%', '$', '<', 'é', 'ß', '漢', '☃', '🦀', '\u{7f}',
    ];
    let mut state = mix(number ^ 0x5eed);
    let length = 8 + state % 160;
    let pick = |_| {
        state = mix(state);
        ALPHABET[(state % 64) as usize]
    };
    (0..length).map(pick).collect()
}

fn text(key: &str, value: String) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(Value::StringValue(value)) }), ..Default::default() }
}
