//! Joins as a table: what a log carries, and what is found in it.

use std::sync::Arc;

use model::logs::{JOIN_FOUND, JOIN_NONE, JOIN_OWN, JOINS};
use model::{Batch, Envelope, SpanId, TraceId};
use proptest::prelude::*;

use crate::{absorb, find_in_text};

// Short names in the tables: T a trace id, S a span id, L the 64-bit trace id.
const T: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const S: &str = "00f067aa0ba902b7";
const L: &str = "a3ce929d0e0e4736";

fn spell(text: &str) -> String {
    text.replace("{T}", T).replace("{S}", S).replace("{L}", L)
}

fn padded(id: TraceId) -> String {
    let hex = id.to_string();
    hex.strip_prefix("0000000000000000").map_or(hex.clone(), str::to_owned)
}

// Scenario: bodies in the spellings of loggers, SDKs, proxies and clouds, and bodies that only look alike.
// Guarantee: the id, its span and the way it was written; nothing where there is nothing.
#[test]
fn bodies() {
    let cases = [
        // W3C
        ("traceparent: 00-{T}-{S}-01", "{T} {S} traceparent"),
        ("traceparent=00-{T}-{S}-00 next", "{T} {S} traceparent"),
        (r#"{"headers":{"traceparent":"00-{T}-{S}-01"}}"#, "{T} {S} traceparent"),
        (r#"{"traceparent":["00-{T}-{S}-01"]}"#, "{T} {S} traceparent"),
        ("calling with 00-{T}-{S}-01.", "{T} {S} traceparent"),
        ("(00-{T}-{S}-01)", "{T} {S} traceparent"),
        ("traceparent: cc-{T}-{S}-01-what-the-future-brings", "{T} {S} traceparent"),
        ("TRACEPARENT=00-{T}-{S}-01", "{T} {S} traceparent"),
        ("elastic-apm-traceparent: 00-{T}-{S}-01", "{T} {S} traceparent"),
        // key=value
        ("level=info trace_id={T} span_id={S} msg=x", "{T} {S} trace_id"),
        ("trace_id={T}", "{T} - trace_id"),
        ("trace_id={L} span_id={S}", "{L} {S} trace_id"),
        ("traceId={T}, spanId={S}", "{T} {S} trace_id"),
        ("trace.id={T} span.id={S} transaction.id=1", "{T} {S} trace_id"),
        ("trace-id: {T}", "{T} - trace_id"),
        ("TRACE_ID={T} SPAN_ID={S}", "{T} {S} trace_id"),
        ("x-trace-id: {T}", "{T} - trace_id"),
        ("X-Trace-Id:{T}", "{T} - trace_id"),
        ("INFO a.Impl#65 TraceID: {T} SpanID: {S} [create]", "{T} {S} trace_id"),
        ("TraceId {T} done", "{T} - trace_id"),
        ("trace id: {T}, span id: {S}", "{T} {S} trace_id"),
        ("Trace ID={T}", "{T} - trace_id"),
        ("trace_id='{T}'", "{T} - trace_id"),
        ("trace_id=>{T}", "{T} - trace_id"),
        ("[trace_id={T} span_id={S} resource.service.name=shop trace_sampled=True] hi", "{T} {S} trace_id"),
        ("otelTraceID={T} otelSpanID={S} otelServiceName=shop", "{T} {S} trace_id"),
        ("mdc.traceId={T} parent_span_id=1111111111111111 mdc.spanId={S}", "{T} {S} trace_id"),
        ("trace={T} span={S}", "{T} {S} trace_id"),
        ("trace_id=0AF7651916CD43DD8448EB211C80319C", "0af7651916cd43dd8448eb211c80319c - trace_id"),
        ("trace_id={T}-{S}", "{T} {S} trace_id"),
        // JSON
        (r#"{"trace_id":"{T}","span_id":"{S}"}"#, "{T} {S} trace_id"),
        (r#"{"traceId" : "{T}", "parentSpanId":"1111111111111111", "spanId" : "{S}"}"#, "{T} {S} trace_id"),
        (r#"{"ctx":{"a":[{"traceID":"{T}"}]},"SpanID":"{S}"}"#, "{T} {S} trace_id"),
        (r#"{"trace":{"id":"{T}"},"span":{"id":"{S}"},"transaction":{"id":"1111111111111111"}}"#, "{T} {S} trace_id"),
        (r#"{"trace":{"sampled":true,"id":"{T}"}}"#, "{T} - trace_id"),
        (r#"{"trace.id":"{T}","span.id":"{S}"}"#, "{T} {S} trace_id"),
        (r#"{"log":"{\"trace_id\":\"{T}\",\"span_id\":\"{S}\"}\n"}"#, "{T} {S} trace_id"),
        (r#"{"log":"{\"log\":\"{\\\"traceId\\\":\\\"{T}\\\"}\"}"}"#, "{T} - trace_id"),
        (r#""{\"traceId\":\"{T}\"}""#, "{T} - trace_id"),
        // B3
        ("b3: {T}-{S}-1", "{T} {S} b3"),
        (r#"{"b3":"{T}-{S}-d-1111111111111111"}"#, "{T} {S} b3"),
        ("B3={L}-{S}", "{L} {S} b3"),
        ("X-B3-TraceId: {T} X-B3-ParentSpanId: 1111111111111111 X-B3-SpanId: {S}", "{T} {S} trace_id"),
        ("x-b3-traceid={L} x-b3-spanid={S}", "{L} {S} trace_id"),
        // Spring
        ("2023 INFO [shop,{T},{S}] 1 --- [main] x", "{T} {S} sleuth"),
        ("INFO [shop,{L},{S},true] 1 --- x", "{L} {S} sleuth"),
        ("INFO [,{T},{S}] x", "{T} {S} sleuth"),
        ("INFO [shop] [main] [{T}-{S}] x", "{T} {S} sleuth"),
        ("INFO [shop,{T}-{S}] x", "{T} {S} sleuth"),
        // Datadog
        ("dd.trace_id=1234567890123456789 dd.span_id=987654321 msg", "112210f47de98115 000000003ade68b1 dd.trace_id"),
        (
            r#"{"dd":{"trace_id":"1234567890123456789","span_id":"987654321","service":"x"}}"#,
            "112210f47de98115 000000003ade68b1 dd.trace_id",
        ),
        (
            r#"{"dd.trace_id":1234567890123456789,"dd.span_id":987654321}"#,
            "112210f47de98115 000000003ade68b1 dd.trace_id",
        ),
        ("[dd.service=a dd.trace_id={T} dd.span_id=987654321]", "{T} 000000003ade68b1 dd.trace_id"),
        ("dd.trace_id=0 dd.span_id=0", "-"),
        ("dd.trace_id=99999999999999999999999", "-"),
        ("dd.trace_id=11803532876627986230 trace_id={T} span_id={S}", "{T} {S} trace_id"),
        // Jaeger
        ("uber-trace-id: {T}:{S}:0:1", "{T} {S} uber-trace-id"),
        ("uber-trace-id=1f00:2a:0:1", "0000000000001f00 000000000000002a uber-trace-id"),
        ("Uber-Trace-Id: {L}%3A{S}%3A0%3A1", "{L} {S} uber-trace-id"),
        // AWS
        (
            "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "5759e988bd862e3fe1be46a994272793 53995c3f42cd8ad8 x-amzn-trace-id",
        ),
        ("header Root=1-5759e988-bd862e3fe1be46a994272793", "5759e988bd862e3fe1be46a994272793 - x-amzn-trace-id"),
        (
            "XRAY TraceId: 1-5759e988-bd862e3fe1be46a994272793\tSegmentId: 53995c3f42cd8ad8\tSampled: true",
            "5759e988bd862e3fe1be46a994272793 53995c3f42cd8ad8 trace_id",
        ),
        // Google
        (
            r#"{"logging.googleapis.com/trace":"projects/my-shop/traces/{T}","logging.googleapis.com/spanId":"{S}"}"#,
            "{T} {S} trace_id",
        ),
        ("see projects/my-shop/traces/{T} for more", "{T} - trace_id"),
        ("X-Cloud-Trace-Context: {T}/987654321;o=1", "{T} 000000003ade68b1 x-cloud-trace-context"),
        // Zero, broken and foreign
        ("trace_id=00000000000000000000000000000000 span_id=0000000000000000", "-"),
        ("traceparent: 00-00000000000000000000000000000000-{S}-01", "-"),
        ("traceparent: 00-{T}-0000000000000000-01", "-"),
        ("traceparent: ff-{T}-{S}-01", "-"),
        ("trace_id= span_id={S}", "-"),
        ("trace_id=null trace_id=- trace_id=None", "-"),
        ("trace_id=4bf92f3577b34da6a3ce929d0e0e473", "-"),
        ("trace_id={T}0", "-"),
        ("trace_id={T}xyz", "-"),
        ("trace_id=123e4567-e89b-12d3-a456-426614174000", "-"),
        ("order {T} paid", "-"),
        ("md5={T}", "-"),
        ("order_id={T} user={L}", "-"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "-"),
        ("parent_trace_id={T}", "-"),
        ("linkedTraceId={T}", "-"),
        ("caused_by_trace_id={T}", "-"),
        ("cause.traceId={T}", "-"),
        ("not_trace_id={T}", "-"),
        ("notTraceId={T}", "-"),
        ("original_trace_id={T}", "-"),
        ("origin.trace_id={T}", "-"),
        ("previous_trace_id={T}", "-"),
        ("prev_trace_id={T}", "-"),
        ("other_trace_id={T}", "-"),
        ("related-trace-id={T}", "-"),
        ("source_trace_id={T}", "-"),
        ("sourceTraceId={T}", "-"),
        ("upstream_trace_id={T}", "-"),
        ("link.trace_id={T}", "-"),
        ("otel.trace_id={T}", "{T} - trace_id"),
        ("mdc.trace_id={T}", "{T} - trace_id"),
        ("ctx_trace_id={T}", "{T} - trace_id"),
        ("context.trace_id={T}", "{T} - trace_id"),
        ("log.trace_id={T}", "{T} - trace_id"),
        ("span.trace_id={T}", "{T} - trace_id"),
        ("contextMap.traceId={T}", "{T} - trace_id"),
        ("resource.trace_id={T}", "{T} - trace_id"),
        ("notification.trace_id={T}", "{T} - trace_id"),
        ("backtrace_id={T}", "-"),
        ("backtraceid={T}", "-"),
        ("trace_identifier={T}", "-"),
        ("traceIds=[{T}]", "-"),
        ("span_id={S}", "-"),
        ("stack trace: deadbeefdeadbeef is bad", "-"),
        ("TRACE {T}", "-"),
        ("[main] [worker-1, {T}]", "-"),
        ("[a,b,c] [shop,,] [shop,-,-]", "-"),
        ("00-{T}", "-"),
        ("2024-01-00-{T}-{S}-01", "-"),
        ("b3: 0", "-"),
        ("ab3={T}-{S}-1", "-"),
        ("Root=1-5759e988", "-"),
        ("", "-"),
    ];
    let mut wrong = Vec::new();
    for (body, expected) in cases {
        let (body, expected) = (spell(body), spell(expected));
        let got = find_in_text(body.as_bytes()).map_or("-".to_owned(), |found| {
            let span = if found.span.is_none() { "-".to_owned() } else { found.span.to_string() };
            format!("{} {span} {}", padded(found.trace), found.source)
        });
        if got != expected {
            wrong.push(format!("{body}\n    got  {got}\n    want {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn batch(logs: &[(&[(&str, &str)], &str)]) -> Batch {
    let mut batch = Batch::new(Envelope { tenant: Arc::from(""), received_ns: 1, sender: Arc::from("") });
    batch.resources.push_service(b"shop");
    batch.scopes.push_plain(b"", b"");
    for (attributes, body) in logs {
        let rows = &mut batch.logs;
        for (key, value) in *attributes {
            rows.attributes.push(spell(key).as_bytes(), spell(value).as_bytes());
        }
        rows.attributes.end_row();
        rows.body.push(spell(body).as_bytes());
        rows.resource.push(0);
        rows.scope.push(0);
        rows.time.push(1);
        rows.observed.push(0);
        rows.trace_id.push([0; 16]);
        rows.span_id.push([0; 8]);
        rows.flags.push(0);
        rows.severity_text.push(b"");
        rows.severity_number.push(9);
        rows.body_type.push(b"");
        rows.event_name.push(b"");
        rows.attribute_types.push(b"");
        rows.dropped_attributes.push(0);
        rows.original_time.push(0);
        rows.join.push(JOIN_NONE);
        rows.join_source.push(b"");
        rows.pattern_key.push(0);
        rows.original_fields.push(b"");
        rows.marks.push(0);
    }
    batch
}

// Scenario: the same in attributes, alone, together with a body, and as maps of headers.
// Guarantee: attributes win over the body, 128 bits over 64, and the label names the attribute.
#[test]
fn attributes() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: [Case<'_>; 14] = [
        (&[("trace_id", "{T}"), ("span_id", "{S}")], "", "{T} {S} attribute:trace_id"),
        (&[("otelSpanID", "{S}"), ("otelTraceID", "{T}")], "", "{T} {S} attribute:otelTraceID"),
        (&[("traceparent", "00-{T}-{S}-01")], "", "{T} {S} attribute:traceparent"),
        (
            &[("http.request.header.traceparent", "[\"00-{T}-{S}-01\"]")],
            "",
            "{T} {S} attribute:http.request.header.traceparent",
        ),
        (
            &[("dd.trace_id", "1234567890123456789"), ("dd.span_id", "987654321")],
            "",
            "112210f47de98115 000000003ade68b1 attribute:dd.trace_id",
        ),
        (&[("http.request.header.b3", "{T}-{S}-1")], "", "{T} {S} attribute:http.request.header.b3"),
        (&[("uber-trace-id", "1f00%3A2a%3A0%3A1")], "", "0000000000001f00 000000000000002a attribute:uber-trace-id"),
        (
            &[("logging.googleapis.com/trace", "projects/p/traces/{T}"), ("logging.googleapis.com/spanId", "{S}")],
            "",
            "{T} {S} attribute:logging.googleapis.com/trace",
        ),
        (&[("headers", "{\"x\":1,\"traceparent\":\"00-{T}-{S}-01\"}")], "", "{T} {S} attribute:headers.traceparent"),
        (&[("trace_id", "{T}")], "trace_id=1111111111111111", "{T} - attribute:trace_id"),
        (&[("trace_id", "nonsense"), ("order_id", "{T}")], "traceId={L} spanId={S}", "{L} {S} body:trace_id"),
        (&[("a.trace_id", "{L}"), ("b.trace_id", "{T}")], "", "{T} - attribute:b.trace_id"),
        (&[("parent_trace_id", "{T}"), ("md5", "{T}")], "hello", "-"),
        (&[], "[shop,{T},{S}]", "{T} {S} body:sleuth"),
    ];
    for (attributes, body, expected) in cases {
        let mut batch = batch(&[(attributes, body)]);
        absorb(&mut batch);
        batch.logs.assert_whole();
        let logs = &batch.logs;
        let got = if logs.join[0] == JOIN_FOUND {
            let span = SpanId(logs.span_id[0]);
            let span = if span.is_none() { "-".to_owned() } else { span.to_string() };
            let source = String::from_utf8_lossy(logs.join_source.get(0));
            format!("{} {span} {source}", padded(TraceId(logs.trace_id[0])))
        } else {
            "-".to_owned()
        };
        assert_eq!(got, spell(expected), "{attributes:?} {body}");
        assert_ne!(logs.pattern_key[0], 0);
    }
}

// Scenario: one body, from places in the source under the present and the older names of the conventions, in parts,
// and under names that are none.
// Guarantee: the place is part of the key, whichever names it stood under, and only then.
#[test]
fn places_are_part_of_keys() {
    let at: [&[(&str, &str)]; 9] = [
        &[],
        &[("code.file.path", "a.rs"), ("code.line.number", "12"), ("code.function.name", "run")],
        &[("code.lineno", "12"), ("code.filepath", "a.rs"), ("code.function", "run"), ("user", "x")],
        &[
            ("code.file.path", "a.rs"),
            ("code.filepath", "old.rs"),
            ("code.line.number", "12"),
            ("code.function", "run"),
        ],
        &[("code.file.path", "a.rs"), ("code.line.number", "13"), ("code.function.name", "run")],
        &[("code.function.name", "run")],
        &[("code.stacktrace", "x"), ("code.file.paths", "a.rs"), ("file", "a.rs")],
        &[("code.file.path", "")],
        &[],
    ];
    let mut batch = batch(&at.map(|attributes| (attributes, "user 42 logged in")));
    absorb(&mut batch);
    let keys = &batch.logs.pattern_key;
    let plain = crate::pattern_key(b"user 42 logged in", b"", 9, 0);
    let located = crate::pattern_key(b"user 42 logged in", b"", 9, crate::patterns::place(b"a.rs", b"12", b"run"));
    assert_eq!([keys[0], keys[6], keys[7], keys[8]], [plain; 4]);
    assert_eq!([keys[1], keys[2], keys[3]], [located; 3]);
    assert!(keys[4] != located && keys[4] != plain && keys[5] != plain && keys[5] != keys[4]);
}

// Scenario: a log with an id of its own that differs from the one in its body.
// Guarantee: its own stays.
#[test]
fn own_ids_stay() {
    let mut batch = batch(&[(&[], "trace_id={T}")]);
    batch.logs.trace_id[0] = [7; 16];
    batch.logs.join[0] = JOIN_OWN;
    absorb(&mut batch);
    assert_eq!((batch.logs.trace_id[0], JOINS[batch.logs.join[0] as usize]), ([7; 16], "own"));
}

proptest! {
    // Scenario: random bytes, and random text of the signs that the shapes are made of.
    // Guarantee: never a panic, the same answer twice, never a zero id.
    #[test]
    fn any_text_is_answered(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        text in "(trace|Trace|RACE|span|Span|id|ID|_id|traceparent|uber-trace-id|dd|\\{|\\}|b3|B3|Root=1-|00-|projects/|/traces/|[ =:\"'\\\\\\[\\],.-]|[0-9a-f]{1,40}|%3A){0,30}",
    ) {
        for text in [&bytes[..], text.as_bytes()] {
            let found = find_in_text(text);
            prop_assert_eq!(found, find_in_text(text));
            if let Some(found) = found {
                prop_assert!(!found.trace.is_none());
            }
        }
    }
}
