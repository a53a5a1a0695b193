//! What OTLP and our limits demand, point by point, in JSON where that reads best.

use model::{Decoded, Limits, Protocol, Reason, mark};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use prost::Message as _;
use serde_json::json;

use super::RECEIVED_NS;
use super::oracle::{self, attributes};
use super::random::Random;
use crate::DecodeError;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID: &str = "b7ad6b7169203331";

fn decode_with(protocol: Protocol, body: impl AsRef<[u8]>, limits: &Limits) -> Result<Decoded, DecodeError> {
    crate::decode(protocol, body.as_ref(), super::envelope(), limits)
}

fn spans(spans: serde_json::Value) -> Decoded {
    spans_with(spans, &Limits::default())
}

fn spans_with(spans: serde_json::Value, limits: &Limits) -> Decoded {
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string();
    decode_with(Protocol::OtlpTracesJson, body, limits).unwrap()
}

fn logs(records: serde_json::Value) -> Decoded {
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
    decode_with(Protocol::OtlpLogsJson, body, &Limits::default()).unwrap()
}

// A valid span with these members in addition.
fn span(members: serde_json::Value) -> serde_json::Value {
    let start = RECEIVED_NS.to_string();
    let mut span =
        json!({"traceId": TRACE_ID, "spanId": SPAN_ID, "startTimeUnixNano": start, "endTimeUnixNano": start});
    for (key, value) in members.as_object().unwrap() {
        span[key] = value.clone();
    }
    span
}

fn reasons(decoded: &Decoded) -> Vec<(Reason, u64)> {
    decoded.account.refusals.iter().map(|refusal| (refusal.reason, refusal.items)).collect()
}

fn attribute(key: &str, value: serde_json::Value) -> serde_json::Value {
    json!({"key": key, "value": value})
}

// Scenario: requests without any item, in every form.
// Guarantee: success, nothing stored, no resource or scope, no phantom service.
#[test]
fn empty_requests() {
    let json = [
        "{}",
        " { } ",
        "\u{feff}{}",
        "{\"resourceSpans\":[]}",
        "{\"resourceSpans\":null}",
        "{\"resourceSpans\":[{}]}",
        "{\"resourceSpans\":[null]}",
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"ghost\"}}]}}]}",
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"ghost\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"s\"}}]}]}",
        "{\"unknown\":{\"deep\":[1,2,{\"x\":null}]}}",
    ];
    let cases = json.iter().map(|body| (Protocol::OtlpTracesJson, body.as_bytes().to_vec()));
    let protobuf: [&[u8]; 4] = [b"", b"\x0a\x00", b"\x0a\x02\x0a\x00", b"\x0a\x04\x0a\x00\x12\x00"];
    let cases = cases.chain(protobuf.iter().map(|body| (Protocol::OtlpTracesProto, body.to_vec())));
    for (protocol, body) in cases {
        let decoded = decode_with(protocol, &body, &Limits::default()).unwrap();
        let batch = &decoded.batch;
        assert_eq!((batch.items(), batch.resources.len(), batch.scopes.len()), ([0; 3], 0, 0), "{body:?}");
        assert!(batch.resources.service_name.dict().is_empty() && decoded.account.refusals.is_empty());
    }
    // A resource whose spans are all refused leaves no trace either.
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": [attribute("service.name", json!({"stringValue": "ghost"}))]},
        "scopeSpans": [{"spans": [{"traceId": "", "spanId": SPAN_ID}]}],
    }]});
    let decoded = decode_with(Protocol::OtlpTracesJson, body.to_string(), &Limits::default()).unwrap();
    assert!(decoded.batch.resources.service_name.dict().is_empty());
    assert_eq!(reasons(&decoded), [(Reason::InvalidTraceId, 1)]);
}

// Scenario: spans with missing, zero, short, long, non-hex and upper-case ids among valid ones.
// Guarantee: exactly the invalid spans are refused and counted with an example; case does not matter.
#[test]
fn span_ids() {
    let zero = "0".repeat(32);
    let cases = [
        (json!({}), None),
        (json!({"traceId": TRACE_ID.to_uppercase(), "spanId": SPAN_ID.to_uppercase()}), None),
        (json!({"parentSpanId": ""}), None),
        (json!({"parentSpanId": "0000000000000000"}), None),
        (json!({"parentSpanId": SPAN_ID}), None),
        (json!({"traceId": null}), Some(Reason::InvalidTraceId)),
        (json!({"traceId": ""}), Some(Reason::InvalidTraceId)),
        (json!({"traceId": zero}), Some(Reason::InvalidTraceId)),
        (json!({"traceId": &TRACE_ID[..30]}), Some(Reason::InvalidTraceId)),
        (json!({"traceId": &TRACE_ID[..31]}), Some(Reason::InvalidTraceId)),
        (json!({"traceId": format!("{TRACE_ID}00")}), Some(Reason::InvalidTraceId)),
        (json!({"traceId": "CvdlGRbNQ92ESOshHIAxnA=="}), Some(Reason::InvalidTraceId)),
        (json!({"traceId": "not hex at all!!"}), Some(Reason::InvalidTraceId)),
        (json!({"traceId": "é".repeat(100)}), Some(Reason::InvalidTraceId)),
        (json!({"spanId": ""}), Some(Reason::InvalidSpanId)),
        (json!({"spanId": "0000000000000000"}), Some(Reason::InvalidSpanId)),
        (json!({"spanId": "b7ad6b7"}), Some(Reason::InvalidSpanId)),
    ];
    for (members, expected) in cases {
        let events = json!([{"name": "e", "attributes": [attribute("k", json!({"stringValue": "v"}))]}]);
        let full = json!({"name": "mine", "events": events, "links": [{"traceId": TRACE_ID, "spanId": SPAN_ID}],
            "attributes": [attribute("http.route", json!({"stringValue": "/a"}))]});
        let mut hurt = span(full.clone());
        members.as_object().unwrap().iter().for_each(|(key, value)| hurt[key] = value.clone());
        let decoded = spans(json!([span(full.clone()), hurt, span(full)]));
        let refused: Vec<_> = expected.iter().map(|reason| (*reason, 1)).collect();
        assert_eq!(reasons(&decoded), refused, "{members}");
        let rows = oracle::lines(&oracle::read_spans(&decoded.batch));
        assert_eq!(rows.len(), 3 - refused.len());
        assert_eq!(rows[0], rows[rows.len() - 1], "a refused neighbour leaves nothing behind");
        assert!(decoded.batch.spans.trace_id.iter().all(|id| id == &decoded.batch.spans.trace_id[0]));
        if let Some(refusal) = decoded.account.refusals.first() {
            assert!(refusal.example.contains("item 1"), "{}", refusal.example);
        }
    }
}

// Scenario: spans and log records with numbers that no enumeration has, and with ids of the wrong length where the item can live without them.
// Guarantee: each is kept, marked and counted as altered, and what was sent stands aside, so that it can be given back.
#[test]
fn odd_fields_are_kept_aside() {
    let kept = |members: serde_json::Value, original: &str, marks: u32, reasons_expected: &[(Reason, u64)]| {
        let decoded = spans(json!([span(json!({})), span(members), span(json!({}))]));
        let rows = &decoded.batch.spans;
        let texts: Vec<_> = (0..3).map(|at| std::str::from_utf8(rows.original_fields.get(at)).unwrap()).collect();
        assert_eq!(texts, ["", original, ""]);
        assert_eq!(rows.marks, [0, marks, 0], "{original}");
        assert_eq!((reasons(&decoded), decoded.account.refused()), (reasons_expected.to_vec(), 0), "{original}");
    };
    let number = mark::UNKNOWN_NUMBER;
    kept(json!({"kind": 99}), r#"{"kind":99}"#, number, &[(Reason::UnknownNumber, 1)]);
    kept(json!({"kind": -1}), r#"{"kind":-1}"#, number, &[(Reason::UnknownNumber, 1)]);
    kept(json!({"status": {"code": 7}}), r#"{"status_code":7}"#, number, &[(Reason::UnknownNumber, 1)]);
    kept(
        json!({"kind": 6, "status": {"code": i32::MIN}, "parentSpanId": "b7ad"}),
        r#"{"kind":6,"status_code":-2147483648,"parent_span_id":"b7ad"}"#,
        number | mark::INVALID_IDS,
        &[(Reason::UnknownNumber, 1), (Reason::ParentUnlinked, 1)],
    );
    kept(
        json!({"parentSpanId": TRACE_ID}),
        &format!("{{\"parent_span_id\":\"{TRACE_ID}\"}}"),
        mark::INVALID_IDS,
        &[(Reason::ParentUnlinked, 1)],
    );
    let good = json!({"traceId": TRACE_ID, "spanId": SPAN_ID});
    kept(
        json!({"links": [good, {"traceId": "ab", "spanId": SPAN_ID}, good, {"spanId": "cdef"}]}),
        &format!(
            "{{\"links\":[{{\"index\":1,\"trace_id\":\"ab\",\"span_id\":\"{SPAN_ID}\"}},{{\"index\":3,\"trace_id\":\"\",\"span_id\":\"cdef\"}}]}}"
        ),
        mark::INVALID_IDS,
        &[(Reason::LinkUnlinked, 1)],
    );
    let long = "ab".repeat(1000);
    kept(
        json!({"parentSpanId": long}),
        &format!("{{\"parent_span_id\":\"{}\"}}", &long[..128]),
        mark::INVALID_IDS | mark::TRUNCATED,
        &[(Reason::ParentUnlinked, 1), (Reason::ValueTruncated, 1)],
    );
    let decoded =
        logs(json!([{"severityNumber": 99}, {"severityNumber": 300, "traceId": "abcd"}, {"severityNumber": -5}]));
    let rows = &decoded.batch.logs;
    assert_eq!(rows.severity_number, [99, 255, 0]);
    let texts: Vec<_> = (0..3).map(|at| std::str::from_utf8(rows.original_fields.get(at)).unwrap()).collect();
    assert_eq!(texts, ["", r#"{"severity_number":300,"trace_id":"abcd","span_id":""}"#, r#"{"severity_number":-5}"#]);
    assert_eq!(reasons(&decoded), [(Reason::LogUnlinked, 1), (Reason::UnknownNumber, 2)]);
}

// Scenario: log records with every combination of good, absent, zero and malformed ids.
// Guarantee: each record is kept; malformed ids unlink it and are counted, absent and zero ones do not count.
#[test]
fn log_ids() {
    for (trace_id, span_id, joined, malformed) in [
        (TRACE_ID, SPAN_ID, true, false),
        (TRACE_ID, "", true, false),
        ("", "", false, false),
        ("", SPAN_ID, false, false),
        ("00000000000000000000000000000000", "0000000000000000", false, false),
        ("abc", SPAN_ID, false, true),
        (TRACE_ID, "zz", false, true),
        ("abc", "zz", false, true),
    ] {
        let decoded = logs(json!([{"traceId": trace_id, "spanId": span_id, "body": {"stringValue": "x"}}]));
        let rows = &decoded.batch.logs;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows.trace_id[0] != [0; 16], joined, "{trace_id} {span_id}");
        assert_eq!(rows.join[0], if joined { model::logs::JOIN_OWN } else { model::logs::JOIN_NONE });
        assert_eq!(rows.marks[0] & mark::INVALID_IDS != 0, malformed);
        let expected = if malformed { vec![(Reason::LogUnlinked, 1)] } else { Vec::new() };
        assert_eq!(reasons(&decoded), expected);
        assert_eq!(decoded.account.refused(), 0);
    }
}

// Scenario: start and end in every relation to zero, to each other, to plausible time and to 2^63.
// Guarantee: the row stands where the rules say, durations never wrap, and what was sent comes back exactly.
#[test]
fn span_times() {
    let now = RECEIVED_NS as u64;
    let day = model::time::DAY_NS as u64;
    let moved = mark::QUARANTINED;
    let past = (1u64 << 63, mark::QUARANTINED | mark::CLAMPED);
    for (start, end, marks, duration) in [
        (now, now + 5, 0, 5),
        (now, now, 0, 0),
        (now - 1, now + 100 * day, 0, 100 * day + 1),
        (now, now - 1, mark::END_BEFORE_START, 0),
        (now, 0, mark::END_BEFORE_START, 0),
        (now, u64::MAX, 0, u64::MAX - now),
        (0, 0, mark::NO_TIME, 0),
        (0, now, mark::NO_TIME, 0),
        (0, u64::MAX, mark::NO_TIME, 0),
        (1, 2, moved, 1),
        (now / 1000, now / 1000 + 7, moved, 7),
        (now + day + 1, now + day + 3, moved, 2),
        (now + day, now + day + 3, 0, 3),
        (now + 2 * day, now, moved | mark::END_BEFORE_START, 0),
        (model::time::YEAR_2000_NS as u64, now, 0, now - model::time::YEAR_2000_NS as u64),
        (model::time::YEAR_2000_NS as u64 - 1, 0, moved | mark::END_BEFORE_START, 0),
        (past.0, past.0 + 1, past.1, 1),
        (u64::MAX, u64::MAX, past.1, 0),
        (u64::MAX, 0, past.1 | mark::END_BEFORE_START, 0),
    ] {
        let decoded = spans(json!([span(json!({"startTimeUnixNano": start.to_string(), "endTimeUnixNano": end}))]));
        let mut batch = decoded.batch.clone();
        assert_eq!((batch.spans.marks[0], batch.spans.duration[0]), (marks, duration), "{start} to {end}");
        let aside = marks & (mark::QUARANTINED | mark::NO_TIME) != 0;
        assert_eq!(batch.spans.start[0], if aside { RECEIVED_NS } else { start as i64 });
        assert_eq!((batch.spans.sent_start(0), batch.spans.sent_end(0)), (start, end), "{start} to {end}");
        let expected = if marks & mark::QUARANTINED != 0 { vec![(Reason::TimeQuarantined, 1)] } else { Vec::new() };
        assert_eq!(reasons(&decoded), expected);
        // The partition quota may move the row later: still nothing is lost.
        batch.quarantine_days(&batch.days());
        batch.quarantine_days(&batch.days());
        assert_eq!(batch.spans.start[0], RECEIVED_NS);
        assert_eq!((batch.spans.sent_start(0), batch.spans.sent_end(0)), (start, end), "{start} to {end}, moved");
    }
}

// Scenario: records with and without time and observed time, plausible and not.
// Guarantee: time, else observed time, else receipt; nonsense is set aside with the original kept.
#[test]
fn log_times() {
    let now = RECEIVED_NS as u64;
    for (time, observed, stands_at, marks) in [
        (now - 5, now, now - 5, 0),
        (0, now - 7, now - 7, mark::NO_TIME),
        (0, 0, now, mark::NO_TIME),
        (0, 12, now, mark::NO_TIME),
        (12, now - 7, now, mark::QUARANTINED),
        (u64::MAX, u64::MAX, now, mark::QUARANTINED | mark::CLAMPED),
    ] {
        let mut batch = logs(json!([{"timeUnixNano": time, "observedTimeUnixNano": observed.to_string()}])).batch;
        let rows = &batch.logs;
        assert_eq!((rows.time[0], rows.marks[0]), (stands_at as i64, marks | mark::NO_BODY), "{time} {observed}");
        assert_eq!((rows.sent_time(0), rows.observed[0]), (time, observed));
        batch.quarantine_days(&batch.days());
        assert_eq!(
            (batch.logs.sent_time(0), batch.logs.observed[0], batch.logs.time[0]),
            (time, observed, RECEIVED_NS)
        );
    }
}

// Scenario: values of every type in JSON, with the spellings that senders use.
// Guarantee: each arrives as what it is.
#[test]
fn json_values() {
    let cases = [
        (json!({"stringValue": ""}), "StringValue(\"\")"),
        (json!({"string_value": "a"}), "StringValue(\"a\")"),
        (json!({"boolValue": false}), "BoolValue(false)"),
        (json!({"intValue": "9223372036854775807"}), "IntValue(9223372036854775807)"),
        (json!({"intValue": -3}), "IntValue(-3)"),
        (json!({"intValue": 1.0e3}), "IntValue(1000)"),
        (json!({"doubleValue": 1}), "DoubleValue(1.0)"),
        (json!({"doubleValue": "1.5"}), "DoubleValue(1.5)"),
        (json!({"doubleValue": "NaN"}), "DoubleValue(NaN)"),
        (json!({"doubleValue": "-Infinity"}), "DoubleValue(-inf)"),
        (json!({"bytesValue": "AQID"}), "BytesValue([1, 2, 3])"),
        (json!({"bytesValue": "-_8"}), "BytesValue([251, 255])"),
        (json!({"bytesValue": ""}), "BytesValue([])"),
        (json!({"arrayValue": {}}), "ArrayValue(ArrayValue { values: [] })"),
        (
            json!({"arrayValue": {"values": [{}, null]}}),
            "ArrayValue(ArrayValue { values: [AnyValue { value: None }, AnyValue { value: None }] })",
        ),
        (
            json!({"kvlistValue": {"values": [{"key": "k"}]}}),
            "KvlistValue(KeyValueList { values: [KeyValue { key: \"k\", value: Some(AnyValue { value: None }), key_strindex: 0 }] })",
        ),
        (json!({"intValue": 2, "stringValue": "a"}), "StringValue(\"a\")"),
    ];
    for (value, expected) in cases {
        let batch = spans(json!([span(json!({"attributes": [attribute("k", value.clone())]}))])).batch;
        let got = attributes(&batch.spans.attributes, &batch.spans.attribute_types, 0);
        let got = got[0].value.clone().unwrap().value.unwrap();
        assert_eq!(format!("{got:?}"), expected, "{value}");
    }
    for value in [json!({}), json!(null), json!({"stringValue": null}), json!({"unknown": [1]})] {
        let batch = spans(json!([span(json!({"attributes": [attribute("k", value)]}))])).batch;
        assert_eq!(batch.spans.attribute_types.get(0), b"e");
    }
}

// Scenario: JSON that is broken, or has values of wrong types, anywhere.
// Guarantee: the whole request is refused with the place in the message; nothing panics.
#[test]
fn json_refusals() {
    let at = |member: &str| format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{}},{{{member}}}]}}]}}]}}");
    let cases = [
        (String::new(), "an object was expected"),
        ("[]".into(), "an object was expected"),
        ("null".into(), "an object was expected"),
        ("{} {}".into(), "after the end"),
        ("{}x".into(), "after the end"),
        ("{\"resourceSpans\":{}}".into(), "resourceSpans: an array"),
        ("{\"resourceSpans\":[1]}".into(), "resourceSpans[0]: an object"),
        (at("\"name\":1"), "resourceSpans[0].scopeSpans[0].spans[1].name: a string"),
        (at("\"name\":\"\\ud800\""), "spans[1].name: a lone surrogate"),
        (at("\"traceId\":1"), "spans[1].traceId: a string"),
        (at("\"kind\":\"SPAN_KIND_NONSENSE\""), "spans[1].kind: a number or name"),
        (at("\"kind\":1.5"), "spans[1].kind"),
        (at("\"startTimeUnixNano\":\"\""), "spans[1].startTimeUnixNano: an unsigned 64-bit"),
        (at("\"startTimeUnixNano\":-1"), "spans[1].startTimeUnixNano"),
        (at("\"startTimeUnixNano\":1.5"), "spans[1].startTimeUnixNano"),
        (at("\"startTimeUnixNano\":18446744073709551616"), "spans[1].startTimeUnixNano"),
        (at("\"startTimeUnixNano\":1e400"), "spans[1].startTimeUnixNano"),
        (at("\"flags\":4294967296"), "spans[1].flags"),
        (at("\"attributes\":{}"), "spans[1].attributes: an array"),
        (
            at("\"attributes\":[{\"key\":\"k\",\"value\":{\"doubleValue\":1e400}}]"),
            "attributes[0].value.doubleValue: a double",
        ),
        (at("\"attributes\":[{\"key\":\"k\",\"value\":{\"boolValue\":1}}]"), "value.boolValue: true or false"),
        (at("\"attributes\":[{\"key\":\"k\",\"value\":{\"bytesValue\":\"%\"}}]"), "value.bytesValue: base64"),
        (at("\"events\":[{\"name\":\"a\"},{\"name\":[]}]"), "spans[1].events[1].name: a string"),
    ];
    for (body, expected) in cases {
        let error = decode_with(Protocol::OtlpTracesJson, &body, &Limits::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{body}: {error}");
    }
    let error = decode_with(Protocol::OtlpTracesJson, b"{\"a\":\"\xff\"}", &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("invalid UTF-8 at byte 6"), "{error}");
}

// Scenario: protobuf that is cut, has wrong wire types, or text that is not UTF-8, in known places.
// Guarantee: the whole request is refused; the message names field and byte.
#[test]
fn protobuf_refusals() {
    let wrap = |span: &[u8]| {
        let mut body = span.to_vec();
        for field in [2, 2, 1] {
            let mut outer = Vec::new();
            crate::proto::push_bytes(&mut outer, field, &body);
            body = outer;
        }
        body
    };
    for (body, expected) in [
        (wrap(b"\x2a\x02\xff\xfe"), "resource_spans[0].scope_spans[0].spans[0].name: invalid UTF-8"),
        (wrap(b"\x4a\x04\x0a\x02\xc3\x28"), "spans[0].attributes[0].key: invalid UTF-8"),
        (wrap(b"\x4a\x07\x0a\x00\x12\x03\x0a\x01\xff"), "attributes[0].value.string_value: invalid UTF-8"),
        (wrap(b"\x2a\x09abc"), "spans[0].name: the message ends inside a field"),
        (wrap(b"\x28\x01"), "spans[0].name: wrong wire type"),
        (wrap(b"\x5a\x02\x12\x05"), "spans[0].events[0].name: the message ends"),
        (wrap(b"\x07\x00"), "invalid field key"),
        (b"\x0a\x05ab".to_vec(), "resource_spans[0]: the message ends inside a field"),
        (b"hello".to_vec(), "byte"),
        (b"{}".to_vec(), "byte"),
    ] {
        let error = decode_with(Protocol::OtlpTracesProto, &body, &Limits::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{body:?}: {error}");
    }
}

// Scenario: attribute values, in attributes and bodies, nested to the limit, above it, and 10,000 deep.
// Guarantee: the limit itself is fine, what is deeper refuses the request, and the stack holds.
#[test]
fn depth() {
    let deep = |open: &str, close: &str, levels: usize| {
        let value = open.repeat(levels) + "{\"intValue\":1}" + &close.repeat(levels);
        let attribute = format!(
            "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"traceId\":\"{TRACE_ID}\",\"spanId\":\"{SPAN_ID}\",\"attributes\":[{{\"key\":\"k\",\"value\":{value}}}]}}]}}]}}]}}"
        );
        let body = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{value}}}]}}]}}]}}");
        [(Protocol::OtlpTracesJson, attribute), (Protocol::OtlpLogsJson, body)]
    };
    let array = ("{\"arrayValue\":{\"values\":[", "]}}");
    let map = ("{\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":", "}]}}");
    let limits = Limits::default();
    for (open, close) in [array, map] {
        for (levels, fine) in [(1, true), (64, true), (65, false), (10_000, false)] {
            for (protocol, body) in deep(open, close, levels) {
                let got = decode_with(protocol, &body, &limits);
                assert_eq!(got.is_ok(), fine, "{levels} levels of {open}");
                if let Err(error) = got {
                    assert!(error.to_string().contains("nested too deeply"), "{error}");
                }
            }
        }
    }
    // The same in protobuf, also in the form that takes the slow way.
    for (levels, fine) in [(64, true), (65, false), (10_000, false)] {
        for unusual in [false, true] {
            let mut value = vec![0x18, 1];
            for _ in 0..levels {
                let (mut array, mut outer) = (Vec::new(), Vec::new());
                crate::proto::push_bytes(&mut array, 1, &value);
                if unusual {
                    array.extend_from_slice(&[0x50, 0]);
                }
                crate::proto::push_bytes(&mut outer, 5, &array);
                value = outer;
            }
            let mut body = value;
            for field in [5, 2, 2, 1] {
                let mut outer = Vec::new();
                crate::proto::push_bytes(&mut outer, field, &body);
                body = outer;
            }
            assert_eq!(decode_with(Protocol::OtlpLogsProto, &body, &limits).is_ok(), fine, "{levels} {unusual}");
        }
    }
    // A depth that no stack bears is not granted, whatever the configuration says.
    let generous = Limits { depth_max: u32::MAX, ..limits };
    for (protocol, body) in deep(array.0, array.1, 10_000) {
        assert!(decode_with(protocol, &body, &generous).is_err());
    }
}

// Scenario: one item above each limit.
// Guarantee: it is cut on a character boundary or left out, marked, counted, and the dropped counts say so.
#[test]
fn limits() {
    let limits = Limits {
        attributes_max: 2,
        attribute_value_bytes_max: 8,
        name_bytes_max: 5,
        body_bytes_max: 6,
        events_max: 1,
        links_max: 1,
        ..Limits::default()
    };
    let check = |members: serde_json::Value, marks: u32, reason: Reason, text: &str| {
        let decoded = spans_with(json!([span(members.clone()), span(json!({}))]), &limits);
        assert_eq!(reasons(&decoded), [(reason, 1)], "{members}");
        assert_eq!(decoded.batch.spans.marks, [marks, 0], "{members}");
        let row = &oracle::lines(&oracle::read_spans(&decoded.batch))[0];
        assert!(row.contains(text), "{text} is not in {row}");
    };
    let string = |text: &str| json!({"stringValue": text});
    check(json!({"name": "ééé"}), mark::TRUNCATED, Reason::ValueTruncated, "name: \"éé\"");
    check(json!({"traceState": "abcdef"}), mark::TRUNCATED, Reason::ValueTruncated, "trace_state: \"abcde\"");
    check(
        json!({"status": {"message": "123456789"}}),
        mark::TRUNCATED,
        Reason::ValueTruncated,
        "message: \"12345678\"",
    );
    check(
        json!({"attributes": [attribute("k", string("1234567é"))]}),
        mark::TRUNCATED,
        Reason::ValueTruncated,
        "StringValue(\"1234567\")",
    );
    check(
        json!({"attributes": [attribute("keykey", string("v"))]}),
        mark::TRUNCATED,
        Reason::ValueTruncated,
        "\"keyke\"",
    );
    check(
        json!({"attributes": [attribute("k", json!({"bytesValue": "AAECAwQFBgcICQ=="}))]}),
        mark::TRUNCATED,
        Reason::ValueTruncated,
        "BytesValue([0, 1, 2, 3, 4, 5])",
    );
    let nested = json!({"arrayValue": {"values": [string("aaaaaaaa"), {"intValue": 5}]}});
    check(
        json!({"attributes": [attribute("k", nested), attribute("l", json!({"intValue": 7}))]}),
        mark::TRUNCATED,
        Reason::ValueTruncated,
        "StringValue(\"[\\\"aaaaaa\")) }), key_strindex: 0 }, KeyValue { key: \"l\", value: Some(AnyValue { value: Some(IntValue(7))",
    );
    let three: Vec<_> = ["a", "b", "c"].map(|key| attribute(key, string("v"))).to_vec();
    check(
        json!({"attributes": three, "droppedAttributesCount": 4}),
        mark::TRIMMED,
        Reason::AttributesDropped,
        "dropped_attributes_count: 5",
    );
    check(
        json!({"attributes": three, "droppedAttributesCount": u32::MAX}),
        mark::TRIMMED,
        Reason::AttributesDropped,
        "dropped_attributes_count: 4294967295",
    );
    check(
        json!({"events": [{"name": "a"}, {"name": "b", "attributes": three}], "droppedEventsCount": 1}),
        mark::TRIMMED,
        Reason::EventsDropped,
        "dropped_events_count: 2",
    );
    let link = json!({"traceId": TRACE_ID, "spanId": SPAN_ID, "attributes": [attribute("k", string("v"))]});
    check(json!({"links": [link, link, link]}), mark::TRIMMED, Reason::LinksDropped, "dropped_links_count: 2");
    check(
        json!({"events": [{"attributes": three}]}),
        mark::TRIMMED,
        Reason::AttributesDropped,
        "dropped_attributes_count: 1",
    );
    check(
        json!({"links": [{"traceId": "abcd", "spanId": SPAN_ID}]}),
        mark::INVALID_IDS,
        Reason::LinkUnlinked,
        "links: [Link { trace_id: [171, 205], span_id: [183,",
    );
    // What is cut from a resource or scope marks every row of theirs, and none of others.
    let group = |name: &str, scope: &str| {
        let attributes = json!([attribute("service.name", string(name))]);
        let spans = json!([span(json!({})), span(json!({}))]);
        json!({"resource": {"attributes": attributes}, "scopeSpans": [{"scope": {"name": scope}, "spans": spans}]})
    };
    let groups = [group("shop", "s"), group("a long name", "s"), group("shop", "a long name"), group("shop", "s")];
    let body = json!({"resourceSpans": groups}).to_string();
    let decoded = decode_with(Protocol::OtlpTracesJson, body, &Limits { name_bytes_max: 12, ..limits }).unwrap();
    let cut = mark::TRUNCATED;
    assert_eq!(decoded.batch.spans.marks, [0, 0, cut, cut, 0, 0, 0, 0]);
    let body = json!({"resourceSpans": [group("shop", "a long scope name"), group("shop", "s")]}).to_string();
    let decoded = decode_with(Protocol::OtlpTracesJson, body, &Limits { name_bytes_max: 12, ..limits }).unwrap();
    assert_eq!(decoded.batch.spans.marks, [cut, cut, 0, 0]);
    assert_eq!(reasons(&decoded), [(Reason::ValueTruncated, 2)]);
    assert_eq!(decoded.batch.resources.len(), 1, "equal neighbours are one resource");

    // An attribute that is left out must be readable all the same.
    let broken = b"\x0a\x1d\x12\x1b\x12\x19\x4a\x05\x0a\x01a\x12\x00\x4a\x05\x0a\x01b\x12\x00\x4a\x09\x0a\x01\xff\x12\x04\x0a\x02bb";
    let error = decode_with(Protocol::OtlpTracesProto, broken, &limits).unwrap_err();
    assert!(error.to_string().contains("attributes[2].key: invalid UTF-8"), "{error}");

    let body = |value: serde_json::Value| {
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": value}]}]}]}).to_string();
        let decoded = decode_with(Protocol::OtlpLogsJson, body, &limits).unwrap();
        assert_eq!(reasons(&decoded), [(Reason::ValueTruncated, 1)]);
        let rows = decoded.batch.logs;
        (String::from_utf8(rows.body.get(0).to_vec()).unwrap(), rows.body_type.get(0).to_vec())
    };
    assert_eq!(body(string("12345é")), ("12345".to_owned(), Vec::new()));
    assert_eq!(body(json!({"arrayValue": {"values": [string("abcdef")]}})), ("[\"abcd".to_owned(), Vec::new()));
}

// Scenario: huge numbers of items of two bytes each.
// Guarantee: the request is refused before its columns outgrow a multiple of the body.
#[test]
fn expansion() {
    let group = |item: &[u8], fields: &[u32]| {
        let mut body = item.repeat(4_000_000);
        for field in fields {
            let mut outer = Vec::new();
            crate::proto::push_bytes(&mut outer, *field, &body);
            body = outer;
        }
        body
    };
    for (protocol, body) in [
        (Protocol::OtlpLogsProto, group(b"\x12\x00", &[2, 1])),
        (Protocol::OtlpMetricsProto, group(b"\x0a\x00", &[5, 2, 2, 1])),
        (Protocol::OtlpMetricsProto, group(b"\x2a\x00", &[1, 5, 2, 2, 1])),
        (Protocol::OtlpMetricsProto, group(b"\x12\x04\x2a\x02\x0a\x00", &[2, 1])),
        (Protocol::OtlpLogsProto, group(b"\x0a\x00", &[5, 5, 2, 2, 1])),
    ] {
        let got = decode_with(protocol, &body, &Limits::default());
        match got {
            Err(error) => assert!(error.to_string().contains("empty items"), "{error}"),
            Ok(decoded) => assert!(decoded.batch.heap_bytes() < 64 << 20),
        }
    }
    // Spans without ids are refused one by one, and cost nothing.
    let decoded = decode_with(Protocol::OtlpTracesProto, group(b"\x12\x00", &[2, 1]), &Limits::default()).unwrap();
    assert_eq!(reasons(&decoded), [(Reason::InvalidTraceId, 4_000_000)]);
    assert!(decoded.batch.heap_bytes() < 64 << 20);
}

// Scenario: attributes of several conventions on one span, in several orders and types.
// Guarantee: each promoted column takes its best key.
#[test]
fn promoted() {
    let check = |pairs: &[(&str, serde_json::Value)], column: &str, expected: &str| {
        let list: Vec<_> = pairs.iter().map(|(key, value)| attribute(key, value.clone())).collect();
        let resource = json!({"attributes": list});
        let body = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span(json!({"attributes": list}))]}]}]});
        let batch = decode_with(Protocol::OtlpTracesJson, body.to_string(), &Limits::default()).unwrap().batch;
        let (spans, resources) = (&batch.spans, &batch.resources);
        let status = spans.http_status[0].to_string();
        let got = match column {
            "route" => spans.http_route.get(0),
            "status" => status.as_bytes(),
            "db" => spans.db_system.get(0),
            "peer" => spans.peer.get(0),
            "destination" => spans.messaging_destination.get(0),
            "namespace" => spans.db_namespace.get(0),
            "system" => spans.messaging_system.get(0),
            "service" => resources.service_name.get(0),
            "version" => resources.service_version.get(0),
            _ => resources.service_instance.get(0),
        };
        assert_eq!(String::from_utf8_lossy(got), expected, "{pairs:?}");
    };
    let s = |text: &str| json!({"stringValue": text});
    let i = |number: i64| json!({"intValue": number});
    check(&[("http.route", s("/a"))], "route", "/a");
    check(&[("http.route", s("/a")), ("http.route", s("/b"))], "route", "/a");
    check(&[("http.status_code", i(200)), ("http.response.status_code", i(404))], "status", "404");
    check(&[("http.status_code", s("503"))], "status", "503");
    check(&[("http.status_code", i(70_000))], "status", "0");
    check(&[("http.status_code", i(-1))], "status", "0");
    check(&[("db.system", s("old")), ("db.system.name", s("new"))], "db", "new");
    check(&[("db.system.name", s("")), ("db.system", s("old"))], "db", "old");
    check(&[("messaging.destination", s("q"))], "destination", "q");
    check(&[("messaging.destination.name", s("t")), ("messaging.destination", s("q"))], "destination", "t");
    check(&[("db.name", s("old")), ("db.namespace", s("new"))], "namespace", "new");
    check(&[("db.name", s("old"))], "namespace", "old");
    check(&[("messaging.system", s("kafka"))], "system", "kafka");
    let peers = ["peer.service", "server.address", "net.peer.name", "network.peer.address", "net.sock.peer.addr"];
    for (rank, best) in peers.iter().enumerate() {
        let mut pairs: Vec<_> = peers[rank..].iter().map(|key| (*key, s(key))).collect();
        check(&pairs, "peer", best);
        pairs.reverse();
        check(&pairs, "peer", best);
    }
    check(&[("peer.service", json!({"arrayValue": {}})), ("server.address", s("h"))], "peer", "h");
    check(&[("service.name", s("shop")), ("service.version", s("1"))], "service", "shop");
    check(&[("service.version", i(3))], "version", "3");
    check(&[("container.id", s("c")), ("host.name", s("h"))], "instance", "h");
    check(&[("k8s.pod.name", s("p")), ("host.name", s("h"))], "instance", "p");
    check(&[("k8s.pod.name", s("p")), ("service.instance.id", s("i"))], "instance", "i");
    check(&[], "peer", "");
}

// Scenario: tracestates of sampled spans.
// Guarantee: the weight column counts what a span stands for.
#[test]
fn weights() {
    let batch = spans(json!([span(json!({})), span(json!({"traceState": "a=b,ot=th:c"}))])).batch;
    assert_eq!(batch.spans.weight, [1.0, 4.0]);
}

// Scenario: the four example files of the specification.
// Guarantee: they are read as the official types read them, field by field.
#[test]
fn examples() {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    let limits = Limits { time_min_ns: 0, ..Limits::default() };
    let json = include_str!("fixtures/trace.json");
    let request: ExportTraceServiceRequest = serde_json::from_str(json).unwrap();
    let batch = decode_with(Protocol::OtlpTracesJson, json, &limits).unwrap().batch;
    assert_eq!(oracle::lines(&oracle::read_spans(&batch)), oracle::lines(&oracle::expect_spans(&request).0));
    assert_eq!((batch.spans.len(), batch.resources.service_name.get(0)), (1, &b"my.service"[..]));
    for json in [include_str!("fixtures/logs.json"), include_str!("fixtures/events.json")] {
        let request: ExportLogsServiceRequest = serde_json::from_str(json).unwrap();
        let batch = decode_with(Protocol::OtlpLogsJson, json, &limits).unwrap().batch;
        assert_eq!(oracle::lines(&oracle::read_logs(&batch)), oracle::lines(&oracle::expect_logs(&request)));
        assert_eq!(batch.logs.len(), 1);
    }
    let json = include_str!("fixtures/metrics.json");
    let request: ExportMetricsServiceRequest = serde_json::from_str(json).unwrap();
    let batch = decode_with(Protocol::OtlpMetricsJson, json, &limits).unwrap().batch;
    assert_eq!(oracle::lines(&oracle::read_metrics(&batch)), oracle::lines(&oracle::expect_metrics(&request)));
    assert_eq!(batch.metrics.len(), 4);
}

// Scenario: random attribute lists in prost's bytes.
// Guarantee: texts and types are byte for byte those of [`model::Value::encode`].
#[test]
fn one_encoding() {
    for seed in 0..300 {
        let request = Random::new(seed).traces();
        let batch = decode_with(Protocol::OtlpTracesProto, request.encode_to_vec(), &Limits::default()).unwrap().batch;
        for row in 0..batch.spans.len() {
            let pairs = attributes(&batch.spans.attributes, &batch.spans.attribute_types, row);
            let mut types = Vec::new();
            for (pair, (_, stored)) in pairs.iter().zip(batch.spans.attributes.row(row)) {
                let mut text = Vec::new();
                value(pair).encode(&mut text, &mut types);
                assert_eq!(String::from_utf8_lossy(&text), String::from_utf8_lossy(stored));
            }
            model::value::finish_types(&mut types);
            assert_eq!(String::from_utf8_lossy(&types), String::from_utf8_lossy(batch.spans.attribute_types.get(row)));
        }
    }
}

fn value(pair: &KeyValue) -> model::Value {
    let mut value = model::Value::Empty;
    let bytes = pair.value.clone().unwrap_or_default().encode_to_vec();
    let received_ns = RECEIVED_NS;
    let mut bounds = crate::otlp::shared::Bounds::new(&Limits::default(), received_ns, &bytes);
    crate::otlp::value::merge_value(&mut value, &bytes, &mut bounds, 64).unwrap();
    value
}
