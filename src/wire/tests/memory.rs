//! What decoding takes in memory, against what it says beforehand: an allocator counts. A test binary
//! of its own, because there is one allocator per process.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use model::Protocol::{self, *};
use model::{Decoded, Envelope, Limits};
use wire::DecodeError;

struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(place, layout) }
    }
    // `realloc` is the default: take the new piece, copy, give the old one back. That is the worst case.
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut out = varint(number << 3 | 2);
    out.extend(varint(content.len() as u64));
    out.extend_from_slice(content);
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A request with one resource and scope that holds `items`.
fn request(items: &[u8]) -> Vec<u8> {
    field(1, &[field(1, &field(1, &pair("service.name", "shop"))), field(2, items)].concat())
}

fn pair(key: &str, value: &str) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat()
}

fn span(number: u64, rest: &[u8]) -> Vec<u8> {
    let id = (number + 1).to_be_bytes();
    let ids = [field(1, &[&[7; 8][..], &id].concat()), field(2, &id)].concat();
    field(2, &[&ids[..], rest].concat())
}

fn many(count: u64, item: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(item).collect()
}

fn point(kind: u64, point: &[u8]) -> Vec<u8> {
    field(2, &[field(1, b"m"), field(kind, &field(1, point))].concat())
}

/// The request of one group in OTLP's JSON names.
fn json(names: [&str; 3], items: &str) -> Vec<u8> {
    let [resources, scopes, list] = names;
    format!(r#"{{"{resources}":[{{"{scopes}":[{{"{list}":[{items}]}}]}}]}}"#).into_bytes()
}

fn joined(count: u64, item: impl Fn(u64) -> String) -> String {
    (1..=count).map(item).collect::<Vec<_>>().join(",")
}

const LOGS: [&str; 3] = ["resourceLogs", "scopeLogs", "logRecords"];
const SPANS: [&str; 3] = ["resourceSpans", "scopeSpans", "spans"];
const RECEIVED_NS: u64 = 1_790_000_000_000_000_000;

/// What telemetry looks like, in three languages.
fn usual(count: u64) -> Vec<(&'static str, Protocol, Vec<u8>)> {
    let span = |number: u64| {
        let name = field(5, format!("GET /orders/{}", number % 20).as_bytes());
        let time = (RECEIVED_NS + number).to_le_bytes();
        let times = [&[0x39][..], &time, &[0x41], &time].concat();
        let attributes =
            many(10, |at| field(9, &pair(&format!("attribute.number.{at}"), &format!("value {}", number * at))));
        span(number, &[name, times, attributes].concat())
    };
    let span_json = |n: u64| {
        format!(
            r#"{{"traceId":"{n:032x}","spanId":"{:016x}","name":"GET /","startTimeUnixNano":"{RECEIVED_NS}",
            "endTimeUnixNano":"{RECEIVED_NS}","attributes":[{{"key":"a.b","value":{{"stringValue":"{n}"}}}},
            {{"key":"http.route","value":{{"stringValue":"/x/y"}}}}]}}"#,
            n
        )
    };
    let zipkin = |n: u64| {
        format!(
            r#"{{"traceId":"{:032x}","id":"{:016x}","kind":"SERVER","name":"get /orders","timestamp":1700000000000000,
            "duration":1234,"localEndpoint":{{"serviceName":"shop","ipv4":"10.0.0.1"}},
            "tags":{{"http.method":"GET","http.path":"/orders/{n}"}}}}"#,
            n + 1,
            n
        )
    };
    vec![
        ("protobuf", OtlpTracesProto, request(&many(count, span))),
        ("json", OtlpTracesJson, json(SPANS, &joined(count, span_json))),
        ("zipkin", ZipkinV2Json, format!("[{}]", joined(count, zipkin)).into_bytes()),
    ]
}

/// Small bodies that become much.
fn bombs() -> Vec<(&'static str, Protocol, Vec<u8>)> {
    let word = |number: u64| format!("{number:06x}");
    let spans = |items: Vec<u8>| (OtlpTracesProto, request(&items));
    let logs = |items: Vec<u8>| (OtlpLogsProto, request(&items));
    let metrics = |items: Vec<u8>| (OtlpMetricsProto, request(&items));
    let body = |any_value: Vec<u8>| field(2, &field(5, &any_value));
    let nested = |text: Vec<u8>| field(5, &field(1, &field(1, &text)));
    let zipkin = |inner: String| format!(r#"[{{"traceId":"1","id":"1",{inner}}}]"#).into_bytes();
    let cases: Vec<(&'static str, (Protocol, Vec<u8>))> = vec![
        ("bare spans", spans(many(20_000, |n| span(n, b"")))),
        ("empty logs", logs(many(50_000, |_| field(2, b"")))),
        ("empty links", spans(many(10, |n| span(n, &many(4096, |_| field(13, b"")))))),
        ("empty events", spans(many(10, |n| span(n, &many(4096, |_| field(11, b"")))))),
        (
            "event names",
            spans(many(5, |n| span(n, &many(4096, |m| field(11, &field(2, word(n << 12 | m).as_bytes())))))),
        ),
        ("empty pairs", spans(many(100, |n| span(n, &many(1024, |_| field(9, b"")))))),
        ("keys", spans(many(20, |n| span(n, &many(1024, |m| field(9, &field(1, word(n << 10 | m).as_bytes()))))))),
        ("span names", spans(many(20_000, |n| span(n, &field(5, word(n).as_bytes()))))),
        ("long texts", logs(many(4, |_| body(field(1, &vec![b'x'; 300_000]))))),
        ("escapes", logs(many(4, |_| body(nested(vec![1; 100_000]))))),
        ("one escape", logs(body(nested(vec![1; 500_000])))),
        ("merged", logs(body(field(5, &[many(100_000, |_| field(1, b"")), vec![0x78, 1]].concat())))),
        ("gauges", metrics(field(2, &[field(1, b"m"), field(5, &many(50_000, |_| field(1, b"")))].concat()))),
        (
            "metrics",
            metrics(many(20_000, |n| field(2, &[field(1, word(n).as_bytes()), field(5, &field(1, b""))].concat()))),
        ),
        ("exemplars", metrics(point(5, &many(50_000, |_| field(5, b""))))),
        ("buckets", metrics(point(10, &field(8, &field(2, &vec![1; 1 << 20]))))),
        ("bounds", metrics(point(9, &field(7, &vec![1; 1 << 20])))),
        ("quantiles", metrics(point(11, &many(100_000, |_| field(6, b""))))),
        (
            "scopes",
            (
                OtlpTracesProto,
                field(
                    1,
                    &many(10_000, |n| field(2, &[field(1, &field(1, word(n).as_bytes())), span(n, b"")].concat())),
                ),
            ),
        ),
        (
            "resources",
            (
                OtlpTracesProto,
                many(10_000, |n| {
                    field(1, &[field(1, &field(1, &pair("k", &word(n)))), field(2, &span(n, b""))].concat())
                }),
            ),
        ),
        ("json logs", (OtlpLogsJson, json(LOGS, &joined(50_000, |_| "{}".into())))),
        (
            "json pairs",
            (
                OtlpLogsJson,
                json(LOGS, &joined(50, |_| format!("{{\"attributes\":[{}]}}", joined(1024, |_| "{}".into())))),
            ),
        ),
        (
            "json array",
            (
                OtlpLogsJson,
                json(
                    LOGS,
                    &format!(r#"{{"body":{{"arrayValue":{{"values":[{}]}}}}}}"#, joined(100_000, |_| "{}".into())),
                ),
            ),
        ),
        (
            "zipkin spans",
            (
                ZipkinV2Json,
                format!("[{}]", joined(20_000, |n| format!(r#"{{"traceId":"1","id":"{:x}"}}"#, n + 1))).into_bytes(),
            ),
        ),
        (
            "zipkin tags",
            (ZipkinV2Json, zipkin(format!(r#""tags":{{{}}}"#, joined(100_000, |n| format!("\"{n:x}\":\"\""))))),
        ),
        (
            "zipkin notes",
            (
                ZipkinV2Json,
                zipkin(format!(
                    r#""annotations":[{}]"#,
                    joined(100_000, |n| format!(r#"{{"timestamp":{n},"value":"x"}}"#))
                )),
            ),
        ),
        (
            "zipkin v1 tags",
            (ZipkinV1Json, zipkin(format!(r#""binaryAnnotations":[{}]"#, joined(100_000, |_| r#"{"key":""}"#.into())))),
        ),
        (
            "zipkin v1 services",
            (
                ZipkinV1Json,
                zipkin(format!(
                    r#""annotations":[{}]"#,
                    joined(30_000, |n| format!(r#"{{"timestamp":1,"value":"x","endpoint":{{"serviceName":"{n}"}}}}"#))
                )),
            ),
        ),
        ("thrift", (ZipkinV1Thrift, thrift(100_000))),
    ];
    cases.into_iter().map(|(name, (protocol, body))| (name, protocol, body)).collect()
}

/// A list of one span with so many binary annotations without content.
fn thrift(count: u32) -> Vec<u8> {
    let id = |number: u8| [&[10, 0, number][..], &7u64.to_be_bytes()].concat();
    let annotation = [&[11, 0, 1, 0, 0, 0, 0][..], &[11, 0, 2, 0, 0, 0, 0], &[8, 0, 3, 0, 0, 0, 6], &[0]].concat();
    let list = [&[15, 0, 8, 12][..], &count.to_be_bytes(), &annotation.repeat(count as usize)].concat();
    [&[12][..], &1u32.to_be_bytes(), &id(1), &id(4), &list, &[0]].concat()
}

/// Rows are reserved ahead, up to so much; what is not used of it is never written to.
const RESERVED_BYTES: usize = 4 << 20;

struct Run {
    decoded: Result<Decoded, DecodeError>,
    /// Most bytes held at a time, and bytes held by the result.
    peak: usize,
    held: usize,
}

fn decode(protocol: Protocol, body: &[u8], memory_bytes_max: usize) -> Run {
    let envelope = Envelope { tenant: "".into(), received_ns: RECEIVED_NS as i64, sender: "test".into() };
    let limits = Limits { memory_bytes_max, ..Limits::default() };
    let before = HELD.get();
    PEAK.set(before);
    let decoded = wire::decode(protocol, body, envelope, &limits);
    let held = (HELD.get() - before).max(0) as usize;
    Run { decoded, peak: (PEAK.get() - before) as usize, held }
}

/// What the intake gives at first; see there.
fn first_room(body: &[u8]) -> usize {
    (64 << 10) + 2 * body.len()
}

// Scenario: usual requests, small and large, in the memory that every request gets at first.
// Guarantee: they are decoded at once, and what the columns say that they hold is what the allocator gave them.
#[test]
fn usual_requests_fit() {
    for count in [1, 30, 3000] {
        for (name, protocol, body) in usual(count) {
            let Run { decoded, peak, held } = decode(protocol, &body, first_room(&body));
            let decoded = decoded.unwrap_or_else(|error| panic!("{count} {name}: {error}"));
            assert_eq!(decoded.batch.items()[0], count as u32);
            let said = decoded.batch.heap_bytes();
            assert!(said <= held && held <= said + 4096, "{count} {name}: {said} bytes said, {held} held");
            assert!(peak <= first_room(&body), "{count} {name}: {peak} bytes at the peak");
        }
    }
}

// Scenario: bodies that become up to seventy times their size, with more and more memory until they are decoded or refused for good.
// Guarantee: decoding never takes much more than it was given (a column that doubles holds both halves for a
// moment), gives everything back when it ends early, and what it needs in the end is what it said.
#[test]
fn bombs_stay_within_their_memory() {
    for (name, protocol, body) in bombs() {
        let mut room = first_room(&body);
        loop {
            let Run { decoded, peak, held } = decode(protocol, &body, room);
            assert!(peak <= 3 * room + RESERVED_BYTES, "{name}: {peak} bytes at the peak with {room} given");
            match decoded {
                Err(error) => {
                    drop(error.to_string());
                    assert!(held < 4096, "{name}: {held} bytes are left behind");
                    if error != DecodeError::Memory {
                        break;
                    }
                }
                Ok(decoded) => {
                    let said = decoded.batch.heap_bytes();
                    assert!(said <= held && held <= said + 4096, "{name}: {said} bytes said, {held} held");
                    break;
                }
            }
            room *= 3;
            assert!(room < 1 << 30, "{name} is never decoded");
        }
    }
}
