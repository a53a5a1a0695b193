//! Jaeger documents and the OTLP they become.

use serde_json::{Value, json};

use super::*;

fn converted(document: Value) -> Vec<Value> {
    let lines = to_otlp_json_lines(document.to_string().as_bytes()).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// The fields of the only span of a document with only this span.
fn span(fields: Value) -> Value {
    let mut span = json!({"traceID": "1f00", "spanID": "2A", "operationName": "op", "processID": "p1"});
    span.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let trace = json!({"traceID": "1f00", "spans": [span], "processes": {"p1": {"serviceName": "shop"}}});
    converted(trace)[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0].clone()
}

// Scenario: the query API's envelope with two traces, processes with tags, scopes.
// Guarantee: one line a trace, one resource a process, spans under their scope, ids padded.
#[test]
fn documents() {
    let document = json!({"data": [
        {"traceID": "1f00", "processes": {
            "p1": {"serviceName": "shop", "tags": [{"key": "hostname", "type": "string", "value": "h"}, {"key": "pid", "type": "int64", "value": 7}]},
            "p2": {"serviceName": "pay"}},
         "spans": [
            {"traceID": "1f00", "spanID": "1", "operationName": "a", "processID": "p1", "startTime": 1_700_000_000_000_001u64, "duration": 5,
             "tags": [{"key": "otel.scope.name", "type": "string", "value": "lib"}, {"key": "otel.scope.version", "type": "string", "value": "2"}]},
            {"traceID": "1f00", "spanID": "2", "operationName": "b", "processID": "p2", "startTime": "6", "duration": null},
            {"traceID": "1f00", "spanID": "3", "operationName": "c", "processID": "p1"},
            {"traceID": "", "spanID": "0", "operationName": "lost", "processID": "p1"}]},
        {"traceID": "2", "spans": [], "processes": null},
    ], "total": 0, "errors": null});
    let lines = converted(document.clone());
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1], json!({"resourceSpans": []}));
    let resources = lines[0]["resourceSpans"].as_array().unwrap();
    assert_eq!(
        resources[0]["resource"]["attributes"],
        json!([{"key": "service.name", "value": {"stringValue": "shop"}}, {"key": "hostname", "value": {"stringValue": "h"}}, {"key": "pid", "value": {"intValue": "7"}}])
    );
    assert_eq!(resources[0]["scopeSpans"][0]["scope"], json!({"name": "lib", "version": "2"}));
    let first = &resources[0]["scopeSpans"][0]["spans"][0];
    assert_eq!(first["traceId"], "00000000000000000000000000001f00");
    assert_eq!(
        (&first["startTimeUnixNano"], &first["endTimeUnixNano"]),
        (&json!("1700000000000001000"), &json!("1700000000000006000"))
    );
    assert_eq!(first["attributes"], json!([]));
    assert_eq!(resources[0]["scopeSpans"][1]["spans"][0]["name"], "c");
    assert_eq!(resources[1]["scopeSpans"][0]["spans"][0]["startTimeUnixNano"], "6000");
    let counted = to_resource_spans(document["data"][0].to_string().as_bytes()).unwrap();
    assert_eq!((counted.spans, counted.refused, counted.resource_spans.len()), (3, 1, 2));
}

// Scenario: references of both kinds, to the own and to other traces, and the older parentSpanID.
// Guarantee: the first CHILD_OF of the own trace is the parent, everything else stays a link.
#[test]
fn references_become_parent_and_links() {
    let reference = |kind: &str, trace: &str, span: &str| json!({"refType": kind, "traceID": trace, "spanID": span});
    let link = |trace: &str, span: &str, kind: &str| json!({"traceId": padded(trace, 32), "spanId": padded(span, 16), "attributes": [{"key": "opentracing.ref_type", "value": {"stringValue": kind}}]});
    let check = |references: Value, parent: Value, links: Value| {
        let span = span(json!({"references": references, "parentSpanID": ""}));
        assert_eq!((&span["parentSpanId"], &span["links"]), (&parent, &links), "{references}");
    };
    check(json!([]), Value::Null, json!([]));
    check(json!([reference("CHILD_OF", "1f00", "b")]), json!("000000000000000b"), json!([]));
    check(
        json!([
            reference("CHILD_OF", "99", "a"),
            reference("CHILD_OF", "00001F00", "b"),
            reference("CHILD_OF", "1f00", "c")
        ]),
        json!("000000000000000b"),
        json!([link("99", "a", "child_of"), link("1f00", "c", "child_of")]),
    );
    check(
        json!([reference("FOLLOWS_FROM", "1f00", "d")]),
        json!("000000000000000d"),
        json!([link("1f00", "d", "follows_from")]),
    );
    assert_eq!(span(json!({"parentSpanID": "e"}))["parentSpanId"], "000000000000000e");
}

// Scenario: tags of every type, well and badly declared; kind, status, state, warnings, logs.
// Guarantee: types survive; what OTLP has a field for goes there and nowhere else.
#[test]
fn tags_logs_and_status() {
    let tag = |kind: &str, value: Value| json!({"key": "k", "type": kind, "value": value});
    let check = |tag: Value, expected: Value| {
        assert_eq!(span(json!({"tags": [tag]}))["attributes"], json!([{"key": "k", "value": expected}]), "{tag}");
    };
    check(tag("string", json!("x")), json!({"stringValue": "x"}));
    check(tag("string", json!(5)), json!({"stringValue": "5"}));
    check(tag("bool", json!(true)), json!({"boolValue": true}));
    check(tag("bool", json!("false")), json!({"boolValue": false}));
    check(tag("int64", json!(-5)), json!({"intValue": "-5"}));
    check(tag("int64", json!("9223372036854775807")), json!({"intValue": "9223372036854775807"}));
    check(tag("int64", json!("many")), json!({"stringValue": "many"}));
    check(tag("float64", json!(1.5)), json!({"doubleValue": 1.5}));
    check(tag("float64", json!("NaN")), json!({"doubleValue": "NaN"}));
    check(tag("binary", json!("AAEC")), json!({"bytesValue": "AAEC"}));
    check(
        tag("", json!([1, "a", null])),
        json!({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}, {}]}}),
    );
    let full = span(json!({
        "flags": 1, "warnings": ["clock skew"],
        "tags": [
            {"key": "span.kind", "type": "string", "value": "client"}, {"key": "error", "type": "bool", "value": true},
            {"key": "otel.status_description", "type": "string", "value": "why"}, {"key": "w3c.tracestate", "type": "string", "value": "a=b"}],
        "logs": [{"timestamp": 7, "fields": [{"key": "event", "type": "string", "value": "retry"}, {"key": "n", "type": "int64", "value": 2}]}, {"timestamp": 8, "fields": []}],
    }));
    assert_eq!((&full["kind"], &full["status"]), (&json!(3), &json!({"code": 2, "message": "why"})));
    assert_eq!((&full["traceState"], &full["flags"]), (&json!("a=b"), &json!(1)));
    assert_eq!(
        full["attributes"],
        json!([{"key": "jaeger.warnings", "value": {"arrayValue": {"values": [{"stringValue": "clock skew"}]}}}])
    );
    assert_eq!(
        full["events"],
        json!([{"timeUnixNano": "7000", "name": "retry", "attributes": [{"key": "n", "value": {"intValue": "2"}}]}, {"timeUnixNano": "8000", "name": "log", "attributes": []}])
    );
    let ok = span(
        json!({"tags": [{"key": "otel.status_code", "type": "string", "value": "OK"}, {"key": "error", "type": "bool", "value": false}]}),
    );
    assert_eq!((&ok["status"]["code"], ok["attributes"].as_array().unwrap().len()), (&json!(1), 1));
}

// Scenario: what is not a Jaeger document.
// Guarantee: refused with a reason.
#[test]
fn foreign_documents() {
    for document in ["", "[", "[1]", "{}", r#"{"data":[{"traceID":"1"}]}"#, r#"{"spans":[{"spanID":5}]}"#] {
        assert!(to_otlp_json_lines(document.as_bytes()).unwrap_err().starts_with("reading"), "{document}");
    }
}
