//! Legal input in shapes that break assumptions: a trace of a million spans, times from all
//! centuries, ids that are zero or twice there, cycles, and the same request again and again.
//! Scenarios 33, 36, 37 and 38.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Outcome;
use crate::hostile::{Scene, hex_of, now_ns, request, span, trace_id};
use crate::report::Stop;
use crate::rig::Rig;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

// Scenario: one trace of a million spans (100,000 in CI) comes in over a chain of requests.
// Guarantee: every span is stored once and counted; the trace is shown in pages.
pub async fn huge_trace(rig: &Rig) -> Outcome {
    let mut scene = Scene::open(rig).await?;
    let total = rig.cycles(100_000, 1_000_000);
    let trace = trace_id(rig.seed);
    let hex = hex_of(&trace);
    let traces = scene.otlp("/v1/traces");
    let began = Instant::now();
    let mut first = 1;
    while first <= total {
        let last = (first + 4999).min(total);
        let spans = (first..=last).map(|number| {
            // A tree in which every span has up to ten children.
            let parent = if number == 1 { Vec::new() } else { (1 + (number - 2) / 10).to_be_bytes().to_vec() };
            opentelemetry_proto::tonic::trace::v1::Span { parent_span_id: parent, ..span(&trace, number, "work") }
        });
        let body = request(spans.collect());
        scene.http("a part of a huge trace", &traces, &[PROTOBUF], &body, &[200]).await;
        first = last + 1;
    }
    scene.report.note("sent_in_s", (began.elapsed().as_secs_f64() * 10.0).round() / 10.0);
    let counts = "count(), uniqExact(SpanId)";
    let rows = scene.sql(&format!("SELECT {counts} FROM otel_traces WHERE TraceId = '{hex}' FORMAT CSV")).await?;
    scene.report.require(rows == format!("{total},{total}"), format!("{rows} rows and spans of {total}"));
    let indexed = scene.sql(&format!("SELECT sum(Spans) FROM otel_traces_trace_id_ts WHERE TraceId = '{hex}'")).await?;
    scene.report.require(indexed == total.to_string(), format!("{indexed} spans in the index"));
    for (note, path) in
        [("first_page_ms", "limit=1000".to_owned()), ("last_page_ms", format!("limit=1000&offset={}", total - 1000))]
    {
        let began = Instant::now();
        let page = scene.api(&format!("/traces/{hex}?{path}")).await?;
        scene.report.note(note, began.elapsed().as_millis() as u64);
        let shown: Value = serde_json::from_slice(&page.body).unwrap_or_default();
        let spans = shown["spans"].as_array().map_or(0, Vec::len);
        let fits = page.status == 200 && shown["total_spans"] == total && spans == 1000;
        scene.report.require(fits, format!("{path}: {} with {spans} spans of {}", page.status, shown["total_spans"]));
    }
    scene.report.note("spans_of_the_trace", total);
    scene.close().await
}

// Scenario: times of zero, of 1970, of the year 2554, the largest number, ends before starts, milliseconds for nanoseconds; 400 days in one request.
// Guarantee: every row is stored, nothing becomes a dead letter, no insert is poisoned by its partitions.
pub async fn nonsense_times(rig: &Rig) -> Outcome {
    let mut scene = Scene::open(rig).await?;
    let now = now_ns();
    let day = 86_400_000_000_000u64;
    let pairs = [
        (0, 0),
        (1, 2),
        (now, 0),
        (0, now),
        (u64::MAX, u64::MAX),
        (now, u64::MAX),
        (i64::MAX as u64, i64::MAX as u64 + 1),
        (9_223_372_036_854_775_808, 9_300_000_000_000_000_000),
        (now + 1000, now),
        (now / 1_000_000, now / 1_000_000 + 5),
        (now / 1000, now / 1000 + 5),
        (now / 1_000_000_000, now / 1_000_000_000 + 1),
        (now + 365 * day, now + 366 * day),
        (now - 20 * 365 * day, now - 20 * 365 * day + 5),
        (now - 10 * day, now + 10 * day),
    ];
    let trace = trace_id(rig.seed);
    let hex = hex_of(&trace);
    let mut spans: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(number, (start, end))| opentelemetry_proto::tonic::trace::v1::Span {
            start_time_unix_nano: *start,
            end_time_unix_nano: *end,
            ..span(&trace, number as u64 + 1, "strange")
        })
        .collect();
    spans.extend((0..400).map(|number| opentelemetry_proto::tonic::trace::v1::Span {
        start_time_unix_nano: now - number * day,
        end_time_unix_nano: now - number * day + 10,
        ..span(&trace, 1000 + number, "many days")
    }));
    let total = spans.len();
    let body = request(spans);
    let traces = scene.otlp("/v1/traces");
    scene.http("strange times", &traces, &[PROTOBUF], &body, &[200]).await;
    let records: Vec<Value> = pairs
        .iter()
        .map(|(time, observed)| {
            json!({"timeUnixNano": time.to_string(), "observedTimeUnixNano": observed.to_string(),
                                       "traceId": hex, "spanId": "00000000000000a1", "body": {"stringValue": "t"}})
        })
        .collect();
    let logs = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
    let url = scene.otlp("/v1/logs");
    scene.http("strange times", &url, &[JSON], logs.to_string().as_bytes(), &[200]).await;
    // Zipkin's numbers are signed: beyond, its own server calls the whole request malformed.
    let signed: Vec<&(u64, u64)> = pairs.iter().filter(|(start, end)| (*start).max(*end) <= i64::MAX as u64).collect();
    let zipkin: Vec<Value> = signed
        .iter()
        .enumerate()
        .map(|(number, (start, end))| json!({"traceId": hex, "id": format!("{:016x}", 5000 + number), "timestamp": start, "duration": end}))
        .collect();
    let url = scene.zipkin("/api/v2/spans");
    scene.http("strange times", &url, &[JSON], Value::from(zipkin).to_string().as_bytes(), &[202]).await;
    let beyond = json!([{"traceId": hex, "id": "5", "timestamp": u64::MAX, "duration": 1}]);
    scene.http("beyond 63 bits", &url, &[JSON], beyond.to_string().as_bytes(), &[400]).await;

    let stored = scene.sql(&format!("SELECT count() FROM otel_traces WHERE TraceId = '{hex}'")).await?;
    let wanted = (total + signed.len()).to_string();
    scene.report.require(stored == wanted, format!("{stored} spans of {wanted} are stored"));
    let stored = scene.sql(&format!("SELECT count() FROM otel_logs WHERE TraceId = '{hex}'")).await?;
    scene.report.require(stored == pairs.len().to_string(), format!("{stored} logs of {} are stored", pairs.len()));
    let letters = scene.sql("SELECT count() FROM dead_letters").await?;
    scene.report.require(letters == "0", format!("{letters} dead letters of legal rows"));
    let days = scene
        .sql(&format!("SELECT uniqExact(toDate(Timestamp, 'UTC')) FROM otel_traces WHERE TraceId = '{hex}'"))
        .await?;
    scene.report.note("days", days.as_str());
    scene
        .report
        .require(days.parse::<u64>().is_ok_and(|days| days <= 120), format!("{days} partitions were opened at once"));
    // The original is kept where the row was moved.
    let originals =
        scene.sql(&format!("SELECT countIf(OriginalTimestamp > 0) FROM otel_traces WHERE TraceId = '{hex}'")).await?;
    scene.report.note("originals_kept", originals.as_str());
    scene.close().await
}

// Scenario: span ids twice there, ids of zeros, parents of themselves, cycles from 2 to 100,000 spans, two roots, a parent an hour after its child.
// Guarantee: every stored trace is shown, whole and soon; refused items are told in the answer.
pub async fn twisted_traces(rig: &Rig) -> Outcome {
    use opentelemetry_proto::tonic::trace::v1::Span;
    let mut scene = Scene::open(rig).await?;
    let traces = scene.otlp("/v1/traces");
    let id = |number: u64| number.to_be_bytes().to_vec();
    let child =
        |trace: &[u8; 16], number: u64, parent: u64| Span { parent_span_id: id(parent), ..span(trace, number, "x") };
    let mut cases: Vec<(&str, [u8; 16], Vec<Span>)> = Vec::new();
    let mut next = rig.seed * 1000;
    let mut add = |what, build: &dyn Fn(&[u8; 16]) -> Vec<Span>| {
        next += 1;
        let trace = trace_id(next);
        cases.push((what, trace, build(&trace)));
    };
    add("a span id twice", &|t| vec![span(t, 1, "a"), child(t, 2, 1), child(t, 2, 1)]);
    add("all the same id", &|t| (0..50).map(|_| child(t, 7, 7)).collect());
    add("its own parent", &|t| vec![child(t, 1, 1), child(t, 2, 1)]);
    add("two roots", &|t| vec![span(t, 1, "a"), span(t, 2, "b"), child(t, 3, 2)]);
    add("a missing parent", &|t| vec![child(t, 1, 99), child(t, 2, 1)]);
    add("a parent an hour late", &|t| {
        let late = span(t, 1, "parent");
        vec![
            child(t, 2, 1),
            Span {
                start_time_unix_nano: late.start_time_unix_nano + 3_600_000_000_000,
                end_time_unix_nano: late.end_time_unix_nano + 3_600_000_000_000,
                ..late
            },
        ]
    });
    for length in [2, 3, 1000, 100_000] {
        add("a cycle", &move |t| (1..=length).map(|number| child(t, number, number % length + 1)).collect());
    }
    add("a chain of 100,000", &|t| (1..=100_000).map(|number| child(t, number, number - 1)).collect());
    add("a star of 100,000", &|t| (1..=100_000).map(|number| child(t, number, u64::from(number > 1))).collect());
    for (what, trace, spans) in cases {
        let count = spans.len();
        scene.http(what, &traces, &[PROTOBUF], &request(spans), &[200]).await;
        let hex = hex_of(&trace);
        let stored = scene.sql(&format!("SELECT count() FROM otel_traces WHERE TraceId = '{hex}'")).await?;
        scene.report.require(stored == count.to_string(), format!("{what}: {stored} of {count} spans are stored"));
        let began = Instant::now();
        let page = scene.api(&format!("/traces/{hex}?limit=5000")).await?;
        let took = began.elapsed();
        let shown: Value = serde_json::from_slice(&page.body).unwrap_or_default();
        scene.report.require(
            page.status == 200 && took < Duration::from_secs(60),
            format!("{what}: {} after {took:?}", page.status),
        );
        scene.report.require(shown["total_spans"].as_u64() > Some(0), format!("{what}: no spans are shown"));
        if count >= 100_000 {
            scene.report.note(&format!("{what} ms").replace([' ', ','], "_"), took.as_millis() as u64);
        }
    }
    // Ids of zeros are refused, span by span; the others of the request are kept.
    let trace = trace_id(next + 1);
    let spans = vec![
        Span { trace_id: vec![0; 16], ..span(&trace, 1, "no trace") },
        Span { span_id: vec![0; 8], ..span(&trace, 2, "no span") },
        Span { trace_id: vec![1; 5], ..span(&trace, 3, "a short trace id") },
        Span { span_id: Vec::new(), ..span(&trace, 4, "none") },
        span(&trace, 5, "good"),
    ];
    let answer = scene.http("ids of zeros", &traces, &[PROTOBUF], &request(spans), &[200]).await;
    let rejected = answer.and_then(|answer| {
        use prost::Message as _;
        let message =
            opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse::decode(&answer.body[..]);
        message.ok()?.partial_success.map(|partial| partial.rejected_spans)
    });
    scene.report.require(rejected == Some(4), format!("{rejected:?} spans rejected, not 4"));
    let stored = scene.sql(&format!("SELECT count() FROM otel_traces WHERE TraceId = '{}'", hex_of(&trace))).await?;
    scene.report.require(stored == "1", format!("{stored} spans beside those with ids of zeros"));
    // Zipkin's short ids.
    let short = format!("{:016x}", crate::item::mix(next) | 1);
    let zipkin = json!([{"traceId": short, "id": "1", "timestamp": now_ns() / 1000, "duration": 5, "name": "short"}]);
    let url = scene.zipkin("/api/v2/spans");
    scene.http("short ids", &url, &[JSON], zipkin.to_string().as_bytes(), &[202]).await;
    scene.sql("SELECT 1").await?;
    let page = scene.api(&format!("/traces/{short}")).await?;
    let shown: Value = serde_json::from_slice(&page.body).unwrap_or_default();
    scene.report.require(shown["total_spans"] == 1, format!("a short id: {} {}", page.status, shown["total_spans"]));
    scene.close().await
}

// Scenario: the same request comes a hundred times, one after the other and all at once, on every door, and again after a kill.
// Guarantee: each is stored once; every repeat is answered like the first.
pub async fn resent(rig: &Rig) -> Outcome {
    let mut scene = Scene::open(rig).await?;
    let mut traces = Vec::new();
    for (number, encoding) in [None, Some("gzip")].into_iter().enumerate() {
        for at_once in [false, true] {
            let trace = trace_id(rig.seed * 100 + traces.len() as u64);
            let body = request((1..=20).map(|number| span(&trace, number, "again")).collect());
            let body = if encoding.is_some() { gzip(&body)? } else { body };
            let mut headers = vec![PROTOBUF];
            headers.extend(encoding.map(|name| ("content-encoding", name)));
            let url = scene.otlp("/v1/traces");
            repeat(rig, &mut scene, &url, &headers, &body, 100, at_once, 200).await;
            traces.push((trace, 20, url, headers.clone(), body));
        }
        let trace = trace_id(rig.seed * 100 + 50 + number as u64);
        let spans: Vec<Value> = (1..=20)
            .map(|number| json!({"traceId": hex_of(&trace), "id": format!("{number:x}"), "timestamp": now_ns() / 1000, "duration": 5}))
            .collect();
        let body = Value::from(spans).to_string().into_bytes();
        let url = scene.zipkin("/api/v2/spans");
        repeat(rig, &mut scene, &url, &[JSON], &body, 100, number == 1, 202).await;
        traces.push((trace, 20, url, vec![JSON], body));
    }
    let trace = trace_id(rig.seed * 100 + 80);
    let message = request((1..=20).map(|number| span(&trace, number, "again")).collect());
    for _ in 0..100 {
        scene.grpc("again", "traces", None, &message, &[0]).await;
    }
    for (trace, count, ..) in &traces {
        let stored = scene.sql(&format!("SELECT count() FROM otel_traces WHERE TraceId = '{}'", hex_of(trace))).await?;
        scene
            .report
            .require(stored == count.to_string(), format!("{stored} rows of {count} spans sent a hundred times"));
    }
    let stored = scene.sql(&format!("SELECT count() FROM otel_traces WHERE TraceId = '{}'", hex_of(&trace))).await?;
    scene.report.require(stored == "20", format!("{stored} rows of 20 spans sent a hundred times over gRPC"));
    after_a_kill(rig, &mut scene).await?;
    scene.close().await
}

async fn after_a_kill(rig: &Rig, scene: &mut Scene<'_>) -> Result<(), Stop> {
    let trace = trace_id(rig.seed * 100 + 90);
    let body = request((1..=20).map(|number| span(&trace, number, "again")).collect());
    for _ in 0..3 {
        let url = scene.otlp("/v1/traces");
        repeat(rig, scene, &url, &[PROTOBUF], &body, 3, false, 200).await;
        scene.restart_after_kill().await?;
    }
    let url = scene.otlp("/v1/traces");
    repeat(rig, scene, &url, &[PROTOBUF], &body, 3, true, 200).await;
    let stored = scene.sql(&format!("SELECT count() FROM otel_traces WHERE TraceId = '{}'", hex_of(&trace))).await?;
    scene.report.require(stored == "20", format!("{stored} rows of 20 spans sent again after kills"));
    Ok(())
}

#[allow(clippy::too_many_arguments)] // A request and how often, once.
async fn repeat(
    rig: &Rig,
    scene: &mut Scene<'_>,
    url: &str,
    headers: &[(&'static str, &'static str)],
    body: &[u8],
    times: usize,
    at_once: bool,
    status: u16,
) {
    let mut answers = Vec::new();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..times {
        let (client, url, headers, body) =
            (rig.client.clone(), url.to_owned(), headers.to_vec(), Bytes::copy_from_slice(body));
        let call = async move { client.send("POST", &url, &headers, body, Duration::from_secs(60)).await };
        if at_once { drop(calls.spawn(call)) } else { answers.push(call.await) }
    }
    while let Some(joined) = calls.join_next().await {
        answers.extend(joined);
    }
    let wrong = answers.iter().filter(|answer| !answer.as_ref().is_ok_and(|answer| answer.status == status)).count();
    scene.report.cycles += times as u64;
    scene.report.require(wrong == 0, format!("{wrong} of {times} repeats were answered otherwise"));
}

fn gzip(body: &[u8]) -> Result<Vec<u8>, Stop> {
    use std::io::Write as _;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    Ok(out.write_all(body).and_then(|()| out.finish()).map_err(|error| error.to_string())?)
}
