//! Zipkin as a table of bodies and what becomes of them, and as properties over random spans and bytes.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;
use std::sync::Arc;

use model::{Reason, SpanId, TraceId, mark};
use proptest::prelude::*;
use prost::Message as _;

use super::*;

const RECEIVED_NS: i64 = 1_700_000_000_000_000_000;

fn envelope() -> Envelope {
    Envelope { tenant: Arc::from(""), received_ns: RECEIVED_NS, sender: Arc::from("") }
}

fn decoded(protocol: Protocol, body: &[u8]) -> Result<Decoded, String> {
    let decoded = decode(protocol, body, envelope(), &Limits::default()).map_err(|error| error.to_string())?;
    decoded.batch.spans.assert_whole();
    Ok(decoded)
}

// The spans as v2 JSON after a way through the columns, or the refusal.
fn through(protocol: Protocol, body: &[u8]) -> String {
    match decoded(protocol, body) {
        Ok(decoded) => {
            let spans = &decoded.batch.spans;
            let mut out = Vec::new();
            encode_v2_json(&mut out, (0..spans.len()).map(|row| Row::of(spans, row).into_span()));
            String::from_utf8(out).unwrap()
        }
        Err(refusal) => refusal,
    }
}

fn check_all(protocol: Protocol, cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        let got = through(protocol, body.as_bytes());
        match expected.strip_suffix('…') {
            Some(start) => assert!(got.starts_with(start), "{body}\n gave {got}"),
            None => assert_eq!(&got, expected, "{body}"),
        }
    }
}

// Scenario: v2 JSON bodies, one for each rule of Zipkin's model.
// Guarantee: what Zipkin accepts comes back as Zipkin would hold it, what it refuses is refused in its words.
#[test]
fn v2_json() {
    check_all(
        Protocol::ZipkinV2Json,
        &[
            ("", "[]"),
            ("[]", "[]"),
            (" \n[ ]", "[]"),
            ("hello", "Expected a JSON_V2 encoded list"),
            ("{}", "Expected a JSON_V2 encoded list"),
            ("[1]", "invalid type: integer `1`, expected a span…"),
            ("[{]", "Malformed reading List<Span> from json…"),
            ("[] x", "Malformed reading List<Span> from json…"),
            (
                r#"[{"traceId":"1","id":"2","binaryAnnotations":[]}]"#,
                "Expected a JSON_V2 encoded list, but received: JSON_V1",
            ),
            (r#"[{"traceId":"1","id":"2"}]"#, r#"[{"traceId":"0000000000000001","id":"0000000000000002"}]"#),
            (r#"[{"id":"2"}]"#, "Missing : traceId…"),
            (r#"[{"traceId":"2"}]"#, "Missing : id…"),
            (r#"[{"traceId":"","id":"2"}]"#, "traceId is empty…"),
            (r#"[{"traceId":"0","id":"2"}]"#, "traceId is all zeros…"),
            (r#"[{"traceId":"1","id":"0"}]"#, "id is all zeros…"),
            (r#"[{"traceId":"1","id":"11111111111111111"}]"#, "id.length > 16…"),
            (
                r#"[{"traceId":"48485A3953BB6124","id":"2"}]"#,
                "48485A3953BB6124 should be lower-hex encoded with no prefix…",
            ),
            (r#"[{"traceId":null,"id":"2"}]"#, "invalid type: null, expected a string…"),
            (
                r#"[{"traceId":"f123456789abcdef1","id":"2"}]"#,
                r#"[{"traceId":"000000000000000f123456789abcdef1","id":"0000000000000002"}]"#,
            ),
            (
                r#"[{"traceId":"00000000000000008448eb211c80319c","id":"2"}]"#,
                r#"[{"traceId":"8448eb211c80319c","id":"0000000000000002"}]"#,
            ),
            (
                r#"[{"traceId":"1","id":"2","parentId":"2","name":"GET /Ä","kind":"CLIENT","shared":true,"debug":false}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002","kind":"CLIENT","name":"get /ä","debug":false}]"#,
            ),
            (
                r#"[{"traceId":"1","id":"2","parentId":"0","kind":"SERVER","shared":true,"debug":true,"name":""}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002","kind":"SERVER","debug":true,"shared":true}]"#,
            ),
            (r#"[{"traceId":"1","id":"2","kind":"INTERNAL"}]"#, "No enum constant zipkin2.Span.Kind.INTERNAL…"),
            (
                r#"[{"traceId":"1","id":"2","timestamp":-1,"duration":0,"parentId":null,"tags":null,"shared":null}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002"}]"#,
            ),
            (
                r#"[{"traceId":"1","id":"2","timestamp":"1472470996199000","duration":207000.0}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002","timestamp":1472470996199000,"duration":207000}]"#,
            ),
            (
                r#"[{"traceId":"1","id":"2","timestamp":9223372036854775807,"duration":9223372036854775807}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002","timestamp":9223372036854775807,"duration":9223372036854775807}]"#,
            ),
            (r#"[{"traceId":"1","id":"2","timestamp":9223372036854775808}]"#, "9223372036854775808 is above 64 bits…"),
            (
                r#"[{"traceId":"1","id":"2","localEndpoint":{"serviceName":"Frontend","ipv4":"127.0.0.1","port":8080},"remoteEndpoint":{"ipv6":"2001:DB8:0:0:0:0:0:C001","port":0}}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002","localEndpoint":{"serviceName":"frontend","ipv4":"127.0.0.1","port":8080},"remoteEndpoint":{"ipv6":"2001:db8::c001"}}]"#,
            ),
            (
                r#"[{"traceId":"1","id":"2","localEndpoint":{"serviceName":"","ipv4":null,"x":[1]},"remoteEndpoint":{"ipv4":"nonsense"}}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002"}]"#,
            ),
            (r#"[{"traceId":"1","id":"2","localEndpoint":{"port":65536}}]"#, "invalid port 65536…"),
            (
                r#"[{"traceId":"1","id":"2","annotations":[{"timestamp":2,"value":"b"},{"timestamp":1,"value":"c"},{"value":"b","timestamp":2,"x":{}}]}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002","annotations":[{"timestamp":1,"value":"c"},{"timestamp":2,"value":"b"}]}]"#,
            ),
            (
                r#"[{"traceId":"1","id":"2","annotations":[{"timestamp":9223372036854775807,"value":"far"},{"timestamp":-5,"value":"before"}]}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002","annotations":[{"timestamp":-5,"value":"before"},{"timestamp":9223372036854775807,"value":"far"}]}]"#,
            ),
            (r#"[{"traceId":"1","id":"2","annotations":[{"timestamp":2}]}]"#, "Incomplete annotation…"),
            (
                r#"[{"traceId":"1","id":"2","tags":{"z":"1","a":"","z":"{\"k\":\"\u00e4\"}"}}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002","tags":{"a":"","z":"{\"k\":\"ä\"}"}}]"#,
            ),
            (r#"[{"traceId":"1","id":"2","tags":{"a":1}}]"#, "invalid type: integer `1`, expected a string…"),
            (r#"[{"traceId":"1","id":"2","tags":{"a":null}}]"#, "No value at tags.a…"),
            (
                r#"[{"traceId":"1","id":"2","tags":{"cut":"\ud83d"}}]"#,
                "[{\"traceId\":\"0000000000000001\",\"id\":\"0000000000000002\",\"tags\":{\"cut\":\"\u{fffd}\u{fffd}\u{fffd}\"}}]",
            ),
            (
                r#"[{"traceId":"1","id":"2","unknown":{"deep":[[[{}]]]}}]"#,
                r#"[{"traceId":"0000000000000001","id":"0000000000000002"}]"#,
            ),
        ],
    );
}

// Scenario: v1 JSON spans as the instrumentation of ten years wrote them.
// Guarantee: each becomes the v2 spans that Zipkin's converter makes of it.
#[test]
fn v1_json() {
    let front = r#""endpoint":{"serviceName":"front","ipv4":"10.0.0.1"}"#;
    let back = r#""endpoint":{"serviceName":"back","port":9000}"#;
    let kafka = r#""endpoint":{"serviceName":"kafka"}"#;
    let check = |fields: &str, expected: &[&str]| {
        let fields = fields.replace("@f", front).replace("@b", back).replace("@k", kafka);
        let body = format!(r#"[{{"traceId":"1","id":"2","name":"GET"{fields}}}]"#);
        let local = |name: &str| match name {
            "front" => r#","localEndpoint":{"serviceName":"front","ipv4":"10.0.0.1"}"#,
            "back" => r#","localEndpoint":{"serviceName":"back","port":9000}"#,
            _ => "",
        };
        let spans: Vec<String> = expected
            .iter()
            .map(|line| {
                // kind name-of-local times,rest
                let mut words = line.splitn(4, ' ');
                let mut next = || words.next().unwrap_or("");
                let (kind, service, times, rest) = (next(), next(), next(), next());
                let kind = if kind == "-" { String::new() } else { format!(r#","kind":"{kind}""#) };
                let mut parts = times.split('+').filter(|part| !part.is_empty() && *part != "-");
                let time = parts.next().map(|t| format!(r#","timestamp":{t}"#)).unwrap_or_default();
                let duration = parts.next().map(|t| format!(r#","duration":{t}"#)).unwrap_or_default();
                let head = r#"{"traceId":"0000000000000001","id":"0000000000000002""#;
                format!(r#"{head}{kind},"name":"get"{time}{duration}{}{rest}}}"#, local(service))
            })
            .collect();
        assert_eq!(through(Protocol::ZipkinV1Json, body.as_bytes()), format!("[{}]", spans.join(",")), "{fields}");
    };
    let remote_back = r#","remoteEndpoint":{"serviceName":"back","port":9000}"#;
    let remote_front = r#","remoteEndpoint":{"serviceName":"front","ipv4":"10.0.0.1"}"#;
    let remote_kafka = r#","remoteEndpoint":{"serviceName":"kafka"}"#;
    // Client, then server, each alone.
    check(
        r#","annotations":[{"timestamp":10,"value":"cs",@f},{"timestamp":30,"value":"cr",@f}]"#,
        &["CLIENT front 10+20"],
    );
    check(
        r#","timestamp":10,"duration":25,"annotations":[{"timestamp":11,"value":"sr",@b},{"timestamp":30,"value":"ss",@b}]"#,
        &["SERVER back 10+25"],
    );
    // A server without times of its own shares the span.
    check(
        r#","annotations":[{"timestamp":11,"value":"sr",@b},{"timestamp":30,"value":"ss",@b}]"#,
        &[r#"SERVER back 11+19 ,"shared":true"#],
    );
    check(
        r#","timestamp":11,"annotations":[{"timestamp":11,"value":"sr",@b},{"timestamp":30,"value":"ss",@b}]"#,
        &[r#"SERVER back 11+19 ,"shared":true"#],
    );
    // Both sides in one span, between services and within one.
    check(
        r#","timestamp":10,"duration":30,"annotations":[{"timestamp":10,"value":"cs",@f},{"timestamp":15,"value":"sr",@b},{"timestamp":35,"value":"ss",@b},{"timestamp":40,"value":"cr",@f}]"#,
        &["CLIENT front 10+30", r#"SERVER back 15+20 ,"shared":true"#],
    );
    check(
        r#","annotations":[{"timestamp":10,"value":"cs",@f},{"timestamp":15,"value":"sr",@f},{"timestamp":35,"value":"ss",@f},{"timestamp":40,"value":"cr",@f}]"#,
        &["CLIENT front 10+30", r#"SERVER front 15+20 ,"shared":true"#],
    );
    // One-way: no duration.
    check(
        r#","annotations":[{"timestamp":10,"value":"cs",@f},{"timestamp":15,"value":"sr",@b}]"#,
        &["CLIENT front 10", r#"SERVER back 15 ,"shared":true"#],
    );
    // A missing start is told by the span's own times.
    check(r#","timestamp":10,"duration":20,"annotations":[{"timestamp":30,"value":"cr",@f}]"#, &["CLIENT front 10+20"]);
    // Incomplete: the end stays an annotation.
    check(
        r#","annotations":[{"timestamp":30,"value":"cr",@f}]"#,
        &[r#"CLIENT front - ,"annotations":[{"timestamp":30,"value":"cr"}]"#],
    );
    check(
        r#","timestamp":5,"duration":6,"annotations":[{"timestamp":30,"value":"ss",@b},{"timestamp":7,"value":"x",@b}]"#,
        &[r#"SERVER back 5+6 ,"annotations":[{"timestamp":7,"value":"x"},{"timestamp":30,"value":"ss"}]"#],
    );
    // Core annotations count only with an endpoint.
    check(
        r#","annotations":[{"timestamp":10,"value":"cs"},{"timestamp":11,"value":"foo","endpoint":null}]"#,
        &[r#"- - - ,"annotations":[{"timestamp":10,"value":"cs"},{"timestamp":11,"value":"foo"}]"#],
    );
    // Messaging, with and without wire times, and both sides in one span.
    check(r#","annotations":[{"timestamp":10,"value":"ms",@f}]"#, &["PRODUCER front 10"]);
    check(
        r#","annotations":[{"timestamp":10,"value":"ms",@f},{"timestamp":14,"value":"ws",@f}],"binaryAnnotations":[{"key":"ma","value":true,@k}]"#,
        &[&format!("PRODUCER front 10+4 {remote_kafka}")],
    );
    check(
        r#","annotations":[{"timestamp":10,"value":"wr",@b},{"timestamp":14,"value":"mr",@b}],"binaryAnnotations":[{"key":"ma","value":"1",@k}]"#,
        &[&format!("CONSUMER back 10+4 {remote_kafka}")],
    );
    check(
        r#","annotations":[{"timestamp":10,"value":"ms",@f},{"timestamp":14,"value":"mr",@b}],"binaryAnnotations":[{"key":"ma","value":true,@k}]"#,
        &[&format!("PRODUCER front 10 {remote_kafka}"), &format!(r#"CONSUMER back 14 {remote_kafka},"shared":true"#)],
    );
    check(
        r#","annotations":[{"timestamp":10,"value":"ws",@f}]"#,
        &[r#"- front - ,"annotations":[{"timestamp":10,"value":"ws"}]"#],
    );
    // Addresses of the other side.
    check(
        r#","annotations":[{"timestamp":10,"value":"cs",@f}],"binaryAnnotations":[{"key":"sa","value":true,@b}]"#,
        &[&format!("CLIENT front 10 {remote_back}")],
    );
    check(
        r#","annotations":[{"timestamp":10,"value":"sr",@b}],"binaryAnnotations":[{"key":"ca","value":true,@f}]"#,
        &[&format!(r#"SERVER back 10 {remote_front},"shared":true"#)],
    );
    check(
        r#","annotations":[{"timestamp":10,"value":"sr",@b}],"binaryAnnotations":[{"key":"ca","value":true,"endpoint":{"serviceName":"back","ipv4":"1.2.3.4"}}]"#,
        &[r#"SERVER back 10 ,"remoteEndpoint":{"ipv4":"1.2.3.4"},"shared":true"#],
    );
    check(
        r#","binaryAnnotations":[{"key":"ca","value":true,@f},{"key":"sa","value":true,@b}]"#,
        &[&format!("- front - {remote_back}")],
    );
    check(r#","binaryAnnotations":[{"key":"sa","value":true,@b}]"#, &[&format!("- - - {remote_back}")]);
    check(r#","binaryAnnotations":[{"key":"ca","value":true,@f}]"#, &[&format!("SERVER - - {remote_front}")]);
    // Tags go to their service's span; an empty "lc" only names the service.
    check(
        r#","timestamp":10,"duration":5,"binaryAnnotations":[{"key":"lc","value":"",@f},{"key":"n","value":42,"type":"I64",@f},{"key":"b","value":false},{"key":"none"},{"key":"list","value":[1]}]"#,
        &[r#"- front 10+5 ,"tags":{"b":"false","n":"42"}"#],
    );
    check_all(
        Protocol::ZipkinV1Json,
        &[
            (r#"[{"traceId":"1","id":"2","tags":{}}]"#, "Expected a JSON_V1 encoded list, but received: JSON_V2"),
            (r#"[{"traceId":"1"}]"#, "id == 0…"),
            (r#"[{"traceId":"1","id":"G"}]"#, "G should be a 1 to 32 character lower-hex string with no prefix…"),
            (r#"[{"traceId":"1","id":"2","binaryAnnotations":[{"value":"x"}]}]"#, "No key in a binary annotation…"),
            (
                r#"[{"traceId":"463ac35c9f6413ad48485a3953bb6124","id":"463ac35c9f6413ad48485a3953bb6124","debug":true}]"#,
                r#"[{"traceId":"463ac35c9f6413ad48485a3953bb6124","id":"48485a3953bb6124","debug":true}]"#,
            ),
        ],
    );
}

// Thrift bytes, written the long way.
#[derive(Default)]
struct Thrift(Vec<u8>);

impl Thrift {
    fn field(mut self, kind: u8, number: u8, value: &[u8]) -> Self {
        self.0.extend_from_slice(&[kind, 0, number]);
        self.0.extend_from_slice(value);
        self
    }

    fn i64(self, number: u8, value: i64) -> Self {
        self.field(10, number, &value.to_be_bytes())
    }

    fn text(self, number: u8, value: &[u8]) -> Self {
        let bytes = [&(value.len() as u32).to_be_bytes()[..], value].concat();
        self.field(11, number, &bytes)
    }

    fn list(self, number: u8, items: &[Vec<u8>]) -> Self {
        self.field(15, number, &list(items))
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(0);
        self.0
    }
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [&[12][..], &(items.len() as u32).to_be_bytes(), &items.concat()].concat()
}

// Scenario: a Thrift list with every field of the model, typed values and fields nobody knows.
// Guarantee: it becomes the same spans as its JSON form, typed values as text.
#[test]
fn v1_thrift() {
    let host = Thrift::default()
        .field(8, 1, &[10, 0, 0, 1])
        .field(6, 2, &9411u16.to_be_bytes())
        .text(3, b"Front")
        .text(4, &Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xc001).octets())
        .end();
    let annotation =
        |time: i64, value: &str| Thrift::default().i64(1, time).text(2, value.as_bytes()).field(12, 3, &host).end();
    let binary = |key: &str, value: &[u8], form: i32| {
        Thrift::default()
            .text(1, key.as_bytes())
            .text(2, value)
            .field(8, 3, &form.to_be_bytes())
            .field(12, 4, &host)
            .end()
    };
    let span = Thrift::default()
        .i64(1, 0x4848_5a39_53bb_6124)
        .text(3, b"GET")
        .i64(4, -1)
        .i64(5, 7)
        .list(6, &[annotation(10, "cs"), annotation(30, "cr"), annotation(0, "lost")])
        .list(
            8,
            &[
                binary("s", "ä".as_bytes(), 6),
                binary("b", &[1], 0),
                binary("i16", &(-2i16).to_be_bytes(), 2),
                binary("i32", &3i32.to_be_bytes(), 3),
                binary("i64", &4i64.to_be_bytes(), 4),
                binary("double", &1.5f64.to_be_bytes(), 5),
                binary("bytes", &[0xff, 0], 1),
            ],
        )
        .field(2, 9, &[1])
        .i64(12, 0x463a_c35c_9f64_13ad)
        .field(13, 99, &[&[11, 15][..], &1u32.to_be_bytes(), &[0, 0, 0, 1, b'k'], &[8], &0u32.to_be_bytes()].concat())
        .end();
    let endpoint = r#"{"serviceName":"front","ipv4":"10.0.0.1","ipv6":"2001:db8::c001","port":9411}"#;
    let expected = format!(
        "[{}{}{}{}]",
        r#"{"traceId":"463ac35c9f6413ad48485a3953bb6124","parentId":"0000000000000007","id":"ffffffffffffffff","#,
        r#""kind":"CLIENT","name":"get","timestamp":10,"duration":20,"localEndpoint":"#,
        endpoint,
        r#","tags":{"b":"true","bytes":"/wA=","double":"1.5","i16":"-2","i32":"3","i64":"4","s":"ä"},"debug":true}"#,
    );
    assert_eq!(through(Protocol::ZipkinV1Thrift, &list(&[span])), expected);
}

// Scenario: Thrift whose sizes and nesting are lies.
// Guarantee: refused at once, in bounded time, stack and memory.
#[test]
fn hostile_thrift() {
    let check = |body: &[u8], cause: &str| {
        let refusal = through(Protocol::ZipkinV1Thrift, body);
        assert!(refusal.contains(cause), "{refusal}");
    };
    check(&[12, 0x7f, 0xff, 0xff, 0xff], "Truncated: length 2147483647");
    check(&[12, 0xff, 0xff, 0xff, 0xff, 0], "Truncated: length -1");
    let list_of_lists = [vec![15, 0, 99], [15, 0, 0, 0, 1].repeat(100_000)].concat();
    check(&list(&[list_of_lists]), "nested deeper than");
    let structs = [12, 0, 1].repeat(100_000);
    check(&list(&[structs]), "nested deeper than");
    // Elements of a type without bytes would loop for free.
    check(&list(&[[&[15, 0, 99, 1, 0, 0, 0, 1][..], &[0; 20]].concat()]), "unknown type 1");
    check(&list(&[Thrift::default().text(3, b"\xff").end()]), "not UTF-8");
    check(&list(&[Thrift::default().i64(1, 0).i64(4, 1).end()]), "traceId == 0");
    check(&[1, 2, 3], "Expected a THRIFT encoded list");
}

// zipkin.proto3, for the other side of the test.
#[derive(Clone, PartialEq, prost::Message)]
struct ProtoEndpoint {
    #[prost(string, tag = "1")]
    service_name: String,
    #[prost(bytes = "vec", tag = "2")]
    ipv4: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    ipv6: Vec<u8>,
    #[prost(int32, tag = "4")]
    port: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoAnnotation {
    #[prost(fixed64, tag = "1")]
    timestamp: u64,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    parent_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    id: Vec<u8>,
    #[prost(int32, tag = "4")]
    kind: i32,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(fixed64, tag = "6")]
    timestamp: u64,
    #[prost(uint64, tag = "7")]
    duration: u64,
    #[prost(message, optional, tag = "8")]
    local_endpoint: Option<ProtoEndpoint>,
    #[prost(message, optional, tag = "9")]
    remote_endpoint: Option<ProtoEndpoint>,
    #[prost(message, repeated, tag = "10")]
    annotations: Vec<ProtoAnnotation>,
    #[prost(btree_map = "string, string", tag = "11")]
    tags: std::collections::BTreeMap<String, String>,
    #[prost(bool, tag = "12")]
    debug: bool,
    #[prost(bool, tag = "13")]
    shared: bool,
    #[prost(string, tag = "99")]
    unknown: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoList {
    #[prost(message, repeated, tag = "1")]
    spans: Vec<ProtoSpan>,
}

fn to_proto(span: &ZipkinSpan<'_>) -> ProtoSpan {
    let endpoint = |endpoint: &Option<Endpoint<'_>>| {
        endpoint.as_ref().map(|endpoint| ProtoEndpoint {
            service_name: endpoint.service_name.to_string(),
            ipv4: endpoint.ipv4.map_or(vec![], |ip| ip.octets().to_vec()),
            ipv6: endpoint.ipv6.map_or(vec![], |ip| ip.octets().to_vec()),
            port: endpoint.port.into(),
        })
    };
    ProtoSpan {
        trace_id: span.trace_id.0[if span.id64 { 8 } else { 0 }..].to_vec(),
        parent_id: span.parent_id.map_or(vec![], |id| id.0.to_vec()),
        id: span.id.0.to_vec(),
        kind: span.kind.map_or(0, |kind| kind as i32 + 1),
        name: span.name.to_string(),
        timestamp: span.timestamp_us,
        duration: span.duration_us,
        local_endpoint: endpoint(&span.local),
        remote_endpoint: endpoint(&span.remote),
        annotations: span
            .annotations
            .iter()
            .map(|a| ProtoAnnotation { timestamp: a.timestamp_us as u64, value: a.value.to_string() })
            .collect(),
        tags: span.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        debug: span.debug == Some(true),
        shared: span.shared == Some(true),
        unknown: "passed over".into(),
    }
}

fn any_endpoint() -> impl Strategy<Value = Option<Endpoint<'static>>> {
    let ip = (any::<Option<u32>>(), any::<Option<[u16; 8]>>());
    prop::option::of(("[a-zäß]{0,6}", ip, any::<u16>())).prop_map(|parts| {
        let (name, (v4, v6), port) = parts?;
        let ipv6 = v6.map(|groups| Ipv6Addr::from(groups.map(|group| if group & 1 == 0 { 0 } else { group })));
        // Compatible addresses become IPv4 on some ways.
        let ipv6 = ipv6.filter(|ip| ip.segments()[0] != 0);
        Some(Endpoint { service_name: name.into(), ipv4: v4.map(Ipv4Addr::from), ipv6, port })
    })
}

fn any_span() -> impl Strategy<Value = ZipkinSpan<'static>> {
    let ids = (any::<u128>(), any::<bool>(), any::<Option<u64>>(), 1..u64::MAX);
    let times = (prop_oneof![Just(0), 1..2_000_000_000_000_000u64, 1..i64::MAX as u64], 0..i64::MAX as u64);
    let flags = (any::<Option<bool>>(), any::<Option<bool>>(), 0u64..6);
    let annotation = (prop_oneof![1..2_000_000_000_000_000i64, any::<i64>()], ".{1,20}")
        .prop_filter("0 is absent in protobuf", |(time, _)| *time != 0);
    let tags = prop::collection::btree_map("[a-z.]{1,8}", any::<String>(), 0..6);
    (
        ids,
        times,
        flags,
        any::<String>(),
        (any_endpoint(), any_endpoint()),
        prop::collection::vec(annotation, 0..5),
        tags,
    )
        .prop_map(|(ids, times, flags, name, endpoints, annotations, tags)| {
            let (trace, id64, parent, id) = ids;
            let trace = if id64 { u128::from(trace as u64 | 1) } else { trace | 1 << 127 };
            let span = ZipkinSpan {
                trace_id: TraceId(trace.to_be_bytes()),
                id64,
                parent_id: parent.map(|id| SpanId(id.to_be_bytes())).filter(|id| !id.is_none()),
                id: SpanId(id.to_be_bytes()),
                kind: Kind::from_proto(flags.2),
                name: span::lower_case(Cow::Owned(name.to_lowercase())),
                timestamp_us: times.0,
                duration_us: times.1,
                local: endpoints.0,
                remote: endpoints.1,
                annotations: annotations
                    .into_iter()
                    .map(|(timestamp_us, value)| Annotation { timestamp_us, value: value.into() })
                    .collect(),
                tags: tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
                debug: flags.0,
                shared: flags.1,
            };
            span.finish().unwrap()
        })
}

fn back(protocol: Protocol, body: &[u8]) -> Vec<ZipkinSpan<'static>> {
    let decoded = decoded(protocol, body).unwrap();
    let spans = &decoded.batch.spans;
    let mut json = Vec::new();
    encode_v2_json(&mut json, (0..spans.len()).map(|row| Row::of(spans, row).into_span()));
    let owned: &'static [u8] = json.leak();
    let mut out = Vec::new();
    read(Protocol::ZipkinV2Json, owned, &Limits::default(), &mut |span| out.push(span)).unwrap();
    out
}

proptest! {
    // Scenario: random valid spans, sent as JSON.
    // Guarantee: through columns and back they are the same, whatever their times and texts.
    #[test]
    fn json_spans_come_back(spans in prop::collection::vec(any_span(), 0..4)) {
        let mut body = Vec::new();
        encode_v2_json(&mut body, spans.iter().cloned());
        prop_assert_eq!(back(Protocol::ZipkinV2Json, &body), spans);
    }

    // Scenario: the same spans as protobuf, with an unknown field.
    // Guarantee: the same, but for false flags, which protobuf does not send.
    #[test]
    fn proto_spans_come_back(mut spans in prop::collection::vec(any_span(), 1..4)) {
        let body = ProtoList { spans: spans.iter().map(to_proto).collect() }.encode_to_vec();
        for span in &mut spans {
            span.debug = span.debug.filter(|flag| *flag);
            span.shared = span.shared.filter(|flag| *flag);
        }
        prop_assert_eq!(back(Protocol::ZipkinV2Proto, &body), spans);
    }

    // Scenario: random bytes, and valid bodies with one byte changed or cut.
    // Guarantee: an answer, never a panic.
    #[test]
    fn any_bytes_are_answered(noise in prop::collection::vec(any::<u8>(), 0..200), spans in prop::collection::vec(any_span(), 1..3), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut json = Vec::new();
        encode_v2_json(&mut json, spans.iter().cloned());
        let proto = ProtoList { spans: spans.iter().map(to_proto).collect() }.encode_to_vec();
        let thrift = [&[12, 0, 0, 0, 1][..], &noise].concat();
        for body in [noise, json, proto, thrift] {
            let mut body = body;
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
                if cut {
                    body.truncate(at);
                }
            }
            sniff(&body);
            for protocol in [Protocol::ZipkinV2Json, Protocol::ZipkinV2Proto, Protocol::ZipkinV1Json, Protocol::ZipkinV1Thrift] {
                let _ = decoded(protocol, &body);
            }
        }
    }
}

// Scenario: what OpenTelemetry's columns say of Zipkin spans.
// Guarantee: status, peer, promoted columns, marks and times as documented in the model.
#[test]
fn columns() {
    let body = br#"[
        {"traceId":"1","id":"1","timestamp":1699999999000000,"duration":5,"kind":"CLIENT","localEndpoint":{"serviceName":"A"},
         "remoteEndpoint":{"serviceName":"DB","ipv4":"1.2.3.4"},"annotations":[{"timestamp":1699999999000001,"value":"x"}],
         "tags":{"http.route":"/a","http.status_code":"503","db.system":"mysql","db.name":"d","error":"boom","messaging.destination.name":"q","messaging.system":"k"}},
        {"traceId":"1","id":"2","kind":"SERVER","localEndpoint":{"serviceName":"a"},"remoteEndpoint":{"ipv4":"1.2.3.4"},"tags":{"otel.status_code":"OK"}},
        {"traceId":"1","id":"3","timestamp":1,"kind":"CLIENT","remoteEndpoint":{"ipv4":"1.2.3.4"},"tags":{"otel.status_code":"ERROR","otel.status_description":"why"}},
        {"traceId":"1","id":"4","timestamp":1699999999000000,"tags":{"error":"","span.kind":"internal"}}
    ]"#;
    let Decoded { batch, account } = decoded(Protocol::ZipkinV2Json, body).unwrap();
    let spans = &batch.spans;
    let text = |column: &model::DictColumn, row: usize| String::from_utf8_lossy(column.get(row)).into_owned();
    let rows: Vec<String> = (0..spans.len())
        .map(|row| {
            format!(
                "{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{:x}",
                text(&batch.resources.service_name, spans.resource[row] as usize),
                spans.kind[row],
                spans.start[row] - RECEIVED_NS,
                spans.duration[row],
                spans.original_start[row],
                spans.status[row],
                String::from_utf8_lossy(spans.status_message.get(row)),
                text(&spans.http_route, row),
                spans.http_status[row],
                text(&spans.db_system, row),
                text(&spans.peer, row),
                text(&spans.messaging_destination, row),
                text(&spans.db_namespace, row),
                text(&spans.messaging_system, row),
                spans.marks[row],
            )
        })
        .collect();
    let base = mark::ZIPKIN | mark::ID64;
    let expected = [
        format!("a|3|-1000000000|5000|0|2|boom|/a|503|mysql|db|q|d|k|{base:x}"),
        format!("a|2|0|0|0|1|||0||||||{:x}", base | mark::NO_TIME | mark::NO_DURATION),
        format!("|3|0|0|1000|2|why||0||1.2.3.4||||{:x}", base | mark::QUARANTINED | mark::NO_DURATION),
        format!("|1|-1000000000|0|0|2|||0||||||{:x}", base | mark::NO_DURATION),
    ];
    assert_eq!(rows, expected);
    assert_eq!(batch.resources.len(), 2);
    assert_eq!(spans.events.time, [1_699_999_999_000_001_000]);
    assert_eq!(account.refusals.len(), 1);
    assert_eq!((account.refusals[0].reason, account.refusals[0].items), (Reason::TimeQuarantined, 1));
}

// Scenario: a span above every limit.
// Guarantee: it is kept, cut, marked, and each kind of cut is counted once.
#[test]
fn limits() {
    let body = r#"[{"traceId":"1","id":"1","name":"äää","tags":{"a":"1","b":"22222","c":"3"},"annotations":[{"timestamp":1,"value":"x"},{"timestamp":2,"value":"y"}]}]"#;
    let limits = Limits {
        attributes_max: 2,
        attribute_value_bytes_max: 4,
        name_bytes_max: 3,
        events_max: 1,
        ..Limits::default()
    };
    let Decoded { batch, account } = decode(Protocol::ZipkinV2Json, body.as_bytes(), envelope(), &limits).unwrap();
    let spans = &batch.spans;
    assert_eq!(String::from_utf8_lossy(spans.name.get(0)), "ä");
    assert_eq!(spans.attributes.row(0).collect::<Vec<_>>(), [(&b"a"[..], &b"1"[..]), (b"b", b"2222")]);
    assert_eq!((spans.dropped_attributes[0], spans.dropped_events[0], spans.events.ends[0]), (1, 1, 1));
    assert_ne!(spans.marks[0] & mark::TRUNCATED, 0);
    assert_ne!(spans.marks[0] & mark::TRIMMED, 0);
    let reasons: Vec<_> = account.refusals.iter().map(|refusal| (refusal.reason, refusal.items)).collect();
    assert_eq!(reasons, [(Reason::ValueTruncated, 1), (Reason::AttributesDropped, 1), (Reason::EventsDropped, 1)]);
    assert_eq!(account.refused(), 0);
}

// Scenario: bodies from a transport without a content type.
// Guarantee: the format is known by what is in them.
#[test]
fn sniffing() {
    for (body, expected) in [
        (&b"[{\"traceId\":\"1\"}]"[..], Some(Protocol::ZipkinV1Json)),
        (b"[{\"tags\":{}}]", Some(Protocol::ZipkinV2Json)),
        (b"\n[{\"localEndpoint\":{}}]", Some(Protocol::ZipkinV2Json)),
        (b"\x0a\x5b\x0a\x10", Some(Protocol::ZipkinV2Proto)),
        (b"\x0a\0", None),
        (b"\x0a\x1f\x0a", Some(Protocol::ZipkinV2Proto)),
        (b"\x0c\0\0\0\x01", Some(Protocol::ZipkinV1Thrift)),
        (b"\x0b\0\0\0\x01", Some(Protocol::ZipkinV1Thrift)),
        (b"{}", None),
        (b"", None),
    ] {
        assert_eq!(sniff(body), expected, "{body:?}");
    }
}
