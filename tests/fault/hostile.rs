//! Input that nobody should send: bombs, broken and random bodies, huge items, hostile text. While it
//! comes in on every port, a usual sender goes on, and memory is watched. Scenarios 31, 32, 34 and 35.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::Outcome;
use crate::client::{Answer, Broken};
use crate::item::{Kind, Run};
use crate::process::{Hypocenter, Setup};
use crate::report::{Report, Stop};
use crate::rig::{Oracle, Rig};
use crate::sql::shortened;

const ANSWER_MAX: Duration = Duration::from_secs(60);

/// A Hypocenter under a light, correct load, and what is needed to hurt it.
pub struct Scene<'a> {
    rig: &'a Rig,
    /// How it was started.
    pub setup: Setup,
    /// The running program.
    pub hypocenter: Hypocenter,
    oracle: Oracle,
    /// What is found.
    pub report: Report,
    statuses: std::collections::BTreeMap<String, u64>,
}

impl<'a> Scene<'a> {
    /// On the embedded engine.
    pub async fn open(rig: &'a Rig) -> Result<Scene<'a>, Stop> {
        let setup = rig.embedded();
        let hypocenter = setup.start().await?;
        let mut oracle = rig.oracle().await?;
        oracle.target(Some(&hypocenter.doors)).await?;
        oracle.load(1, 40, 300).await?;
        let report = Report::default();
        Ok(Scene { rig, setup, hypocenter, oracle, report, statuses: Default::default() })
    }

    /// The usual end: the correct sender lost nothing, and the program is well.
    pub async fn close(mut self) -> Outcome {
        self.report.require(!self.hypocenter.has_ended(), "it ended");
        let place = self.setup.reader();
        self.rig.finish(&mut self.report, &mut self.oracle, &self.hypocenter, &self.setup, &place).await?;
        let log = self.setup.log();
        self.report.require(!log.contains("panicked"), "a thread panicked");
        self.report.note("answers", json!(self.statuses));
        crate::kills::orderly_end(&mut self.report, &mut self.hypocenter).await?;
        Ok(self.report)
    }

    /// SIGKILL, and a start on the same directory.
    pub async fn restart_after_kill(&mut self) -> Result<(), Stop> {
        self.hypocenter.kill().await;
        self.oracle.target(None).await?;
        self.hypocenter = self.setup.start().await?;
        self.oracle.target(Some(&self.hypocenter.doors)).await
    }

    /// A URL of the OTLP/HTTP door.
    pub fn otlp(&self, path: &str) -> String {
        format!("http://{}{path}", self.hypocenter.doors.http)
    }

    /// A URL of the Zipkin door.
    pub fn zipkin(&self, path: &str) -> String {
        format!("http://{}{path}", self.hypocenter.doors.zipkin)
    }

    /// Sends over HTTP and requires one of the statuses.
    pub async fn http(
        &mut self,
        what: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        allowed: &[u16],
    ) -> Option<Answer> {
        self.report.cycles += 1;
        let sent = self.rig.client.send("POST", url, headers, Bytes::copy_from_slice(body), ANSWER_MAX).await;
        match sent {
            Ok(answer) => {
                *self.statuses.entry(answer.status.to_string()).or_default() += 1;
                let fits = allowed.contains(&answer.status);
                self.report.require(fits, format!("{what}: HTTP {}: {}", answer.status, shortened(&answer.text())));
                Some(answer)
            }
            // A server may close on a body that it will not read.
            Err(broken) => {
                *self.statuses.entry("closed".into()).or_default() += 1;
                let early = matches!(&broken, Broken::Unknown(why) if !why.starts_with("after"));
                self.report.require(early && allowed.contains(&413), format!("{what}: {broken}"));
                None
            }
        }
    }

    /// Calls over gRPC and requires one of the codes.
    pub async fn grpc(
        &mut self,
        what: &str,
        signal: &str,
        encoding: Option<&str>,
        message: &[u8],
        allowed: &[u16],
    ) -> Option<Answer> {
        self.report.cycles += 1;
        let method = grpc_method(signal);
        let doors = self.hypocenter.doors.grpc.clone();
        match self.rig.client.call(&doors, &method, encoding, message, ANSWER_MAX).await {
            Ok(answer) => {
                let code = answer.grpc_status.unwrap_or(999);
                *self.statuses.entry(format!("grpc {code}")).or_default() += 1;
                let fits = allowed.contains(&code);
                self.report.require(fits, format!("{what}: gRPC {code}: {:?}", answer.headers.get("grpc-message")));
                Some(answer)
            }
            Err(broken) => {
                *self.statuses.entry("grpc closed".into()).or_default() += 1;
                let early = matches!(&broken, Broken::Unknown(why) if !why.starts_with("after"));
                self.report.require(early, format!("{what}: {broken}"));
                None
            }
        }
    }

    /// Runs SQL past Hypocenter, after everything is stored.
    pub async fn sql(&self, sql: &str) -> Result<String, Stop> {
        self.hypocenter.flush(&self.rig.client, Duration::from_secs(60)).await?;
        Ok(self.setup.reader().text(&self.rig.client, sql).await?)
    }

    /// GET of the own API.
    pub async fn api(&self, path: &str) -> Result<Answer, Stop> {
        let url = format!("http://{}/api/v1{path}", self.hypocenter.http);
        let answer = self.rig.client.get(&url, Duration::from_secs(120)).await;
        Ok(answer.map_err(|broken| format!("{path}: {broken}"))?)
    }
}

fn grpc_method(signal: &str) -> String {
    let service = match signal {
        "traces" => "trace.v1.TraceService",
        "logs" => "logs.v1.LogsService",
        _ => "metrics.v1.MetricsService",
    };
    format!("opentelemetry.proto.collector.{service}/Export")
}

const SIGNALS: [&str; 3] = ["traces", "logs", "metrics"];
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
/// Too large, malformed, or no memory for it now.
const BOMB: &[u16] = &[400, 413, 503];

// Scenario: gigabytes of zeros in gzip, zstd and deflate on every port, many at once; packed twice; with garbage behind; in several members; lengths that lie.
// Guarantee: each is refused with its own error, legal ones are taken, memory stays within its limit.
pub async fn bombs(rig: &Rig) -> Outcome {
    let mut scene = Scene::open(rig).await?;
    let zeros = if rig.full { 10u64 << 30 } else { 200 << 20 };
    let bombs: Vec<(&str, Vec<u8>)> = vec![
        ("gzip", pack("gzip", Zeros(zeros))?),
        ("zstd", pack("zstd", Zeros(zeros))?),
        ("deflate", pack("deflate", Zeros(zeros / 4))?),
    ];
    for (encoding, bomb) in &bombs {
        for signal in SIGNALS {
            for kind in [PROTOBUF, JSON] {
                let url = scene.otlp(&format!("/v1/{signal}"));
                scene.http("a bomb", &url, &[kind, ("content-encoding", encoding)], bomb, BOMB).await;
            }
            if *encoding != "deflate" {
                // INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE.
                scene.grpc("a bomb", signal, Some(encoding), bomb, &[3, 8, 14]).await;
            }
        }
        for path in ["/api/v2/spans", "/api/v1/spans"] {
            let url = scene.zipkin(path);
            scene.http("a bomb", &url, &[JSON, ("content-encoding", encoding)], bomb, BOMB).await;
        }
    }
    swarm(rig, &mut scene, &bombs).await;
    let (_, gzip) = &bombs[0];
    let twice = pack("gzip", &gzip[..])?;
    let traces = scene.otlp("/v1/traces");
    scene.http("packed twice", &traces, &[PROTOBUF, ("content-encoding", "gzip")], &twice, BOMB).await;
    scene
        .http("packed twice", &traces, &[PROTOBUF, ("content-encoding", "gzip, gzip")], &twice, &[400, 413, 415])
        .await;
    scene.grpc("snappy", "traces", Some("snappy"), &twice, &[12]).await;

    let run = Run { id: crate::item::mix(rig.seed) | 1, base_ns: now_ns() };
    let plain = run.request(Kind::Spans, 1, 50, "");
    let packed = pack("gzip", &plain[..])?;
    let (front, back) = plain.split_at(plain.len() / 2);
    let members = [pack("gzip", front)?, pack("gzip", back)?].concat();
    scene.http("two members", &traces, &[PROTOBUF, ("content-encoding", "gzip")], &members, &[200]).await;
    let garbage = [&packed[..], b"garbage behind the end"].concat();
    scene.http("garbage behind", &traces, &[PROTOBUF, ("content-encoding", "gzip")], &garbage, &[400]).await;
    scene
        .http("cut short", &traces, &[PROTOBUF, ("content-encoding", "gzip")], &packed[..packed.len() / 2], &[400])
        .await;
    scene.http("not packed", &traces, &[PROTOBUF, ("content-encoding", "gzip")], &plain, &[400]).await;
    scene.http("not zstd", &traces, &[PROTOBUF, ("content-encoding", "zstd")], &packed, &[400]).await;
    lying_lengths(&mut scene, &plain).await;
    let stored =
        scene.sql(&format!("SELECT count() FROM otel_traces WHERE SpanAttributes['run'] = '{}'", run.name())).await?;
    scene.report.require(stored == "50", format!("{stored} of 50 items of the legal request are stored"));
    scene.report.note("bomb_mib", zeros >> 20);
    scene.close().await
}

async fn swarm(rig: &Rig, scene: &mut Scene<'_>, bombs: &[(&str, Vec<u8>)]) {
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..24 {
        let (encoding, bomb) = &bombs[number % 2];
        let (client, body) = (rig.client.clone(), Bytes::from(bomb.clone()));
        let (url, encoding) = (scene.otlp("/v1/traces"), (*encoding).to_owned());
        calls.spawn(async move {
            client.send("POST", &url, &[PROTOBUF, ("content-encoding", &encoding)], body, ANSWER_MAX).await
        });
    }
    while let Some(Ok(sent)) = calls.join_next().await {
        scene.report.cycles += 1;
        if let Ok(answer) = sent {
            scene.report.require(BOMB.contains(&answer.status), format!("a bomb among many: HTTP {}", answer.status));
        }
    }
}

async fn lying_lengths(scene: &mut Scene<'_>, plain: &[u8]) {
    let traces = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    for (what, head) in [
        ("longer than the body", format!("{traces}content-length: {}\r\n\r\n", plain.len() + 1000)),
        ("enormous", format!("{traces}content-length: 18446744073709551615\r\n\r\n")),
        ("not a number", format!("{traces}content-length: 5e3\r\n\r\n")),
        ("negative", format!("{traces}content-length: -1\r\n\r\n")),
        ("two of them", format!("{traces}content-length: 5\r\ncontent-length: 6\r\n\r\n")),
        ("a chunk that ends early", format!("{traces}transfer-encoding: chunked\r\n\r\nfffffff\r\n")),
        ("a chunk size that overflows", format!("{traces}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n")),
    ] {
        let answer = raw(&scene.hypocenter.doors.http, head.as_bytes(), plain).await;
        scene.report.cycles += 1;
        scene.report.require(!answer.contains(" 200 "), format!("a length {what} was taken: {}", shortened(&answer)));
        scene.report.require(!answer.contains(" 500 "), format!("a length {what}: {}", shortened(&answer)));
    }
    for (what, length) in
        [("longer", plain.len() as u32 + 9), ("shorter", plain.len() as u32 - 9), ("enormous", u32::MAX)]
    {
        let framed = [&[0][..], &length.to_be_bytes(), plain].concat();
        let doors = scene.hypocenter.doors.grpc.clone();
        let sent = scene.rig.client.call_framed(&doors, &grpc_method("traces"), None, framed.into(), ANSWER_MAX).await;
        scene.report.cycles += 1;
        if let Ok(answer) = sent {
            let code = answer.grpc_status;
            let fits = !matches!(code, Some(0 | 2 | 15));
            scene.report.require(fits, format!("a gRPC frame {what} than the message: code {code:?}"));
        }
    }
}

/// Writes bytes as they are, ends the sending side, and reads what comes.
async fn raw(address: &str, head: &[u8], body: &[u8]) -> String {
    let exchange = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let _ = stream.write_all(head).await;
        let _ = stream.write_all(body).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    match tokio::time::timeout(Duration::from_secs(30), exchange).await {
        Ok(answer) => answer.unwrap_or_default(),
        Err(_) => " 500 no end within 30 s".to_owned(),
    }
}

// Scenario: legal requests cut at every byte, random bytes, deep nesting, giant lengths, unknown fields, and the like in JSON, on every door.
// Guarantee: each is taken or refused as malformed; nothing else happens.
pub async fn broken_bodies(rig: &Rig) -> Outcome {
    let mut scene = Scene::open(rig).await?;
    let run = Run { id: crate::item::mix(rig.seed) | 1, base_ns: now_ns() };
    let spans = run.request(Kind::Spans, 1, 2, "");
    let logs = run.request(Kind::Logs, 1000, 2, "");
    let zipkin = zipkin_json(3);
    let otlp = otlp_json();
    let step = if rig.full { 1 } else { 5 };
    let doors = [
        (scene.otlp("/v1/traces"), PROTOBUF, spans.clone()),
        (scene.otlp("/v1/logs"), PROTOBUF, logs),
        (scene.otlp("/v1/metrics"), PROTOBUF, spans.clone()),
        (scene.otlp("/v1/traces"), JSON, otlp.clone()),
        (scene.zipkin("/api/v2/spans"), JSON, zipkin.clone()),
        (scene.zipkin("/api/v1/spans"), JSON, zipkin.clone()),
        (scene.zipkin("/api/v2/spans"), PROTOBUF, spans.clone()),
        (scene.zipkin("/api/v1/spans"), ("content-type", "application/x-thrift"), spans.clone()),
    ];
    for (url, kind, body) in &doors {
        for end in (0..body.len()).step_by(step) {
            scene.http(&format!("{url} {} cut at {end}", kind.1), url, &[*kind], &body[..end], &[200, 202, 400]).await;
        }
        for _ in 0..if rig.full { 2000 } else { 60 } {
            let bytes: Vec<u8> = (0..rig.roll(300)).map(|_| rig.roll(256) as u8).collect();
            scene.http(&format!("{url} {} random", kind.1), url, &[*kind], &bytes, &[200, 202, 400]).await;
            let mut changed = body.clone();
            for _ in 0..1 + rig.roll(4) {
                let at = rig.roll(changed.len() as u64) as usize;
                changed[at] = rig.roll(256) as u8;
            }
            scene.http(&format!("{url} {} changed", kind.1), url, &[*kind], &changed, &[200, 202, 400]).await;
        }
    }
    for end in (0..spans.len()).step_by(step * 3) {
        for signal in SIGNALS {
            scene.grpc("cut", signal, None, &spans[..end], &[0, 3]).await;
        }
    }
    nested(&mut scene).await;
    strange_json(&mut scene).await;
    // Unknown fields are what newer senders send.
    let mut unknown = run.request(Kind::Spans, 5000, 3, "");
    unknown.extend([0xf8, 0x07, 0x2a, 0xfa, 0x07, 0x03, b'n', b'e', b'w']);
    let traces = scene.otlp("/v1/traces");
    scene.http("unknown fields", &traces, &[PROTOBUF], &unknown, &[200]).await;
    let of_run = format!("SELECT count() FROM otel_traces WHERE SpanAttributes['run'] = '{}'", run.name());
    let stored = scene.sql(&format!("{of_run} AND toUInt64(SpanAttributes['seq']) >= 5000")).await?;
    scene.report.require(stored == "3", format!("{stored} of 3 items with unknown fields are stored"));
    scene.close().await
}

async fn nested(scene: &mut Scene<'_>) {
    for depth in [50, 1000, 10_000, 100_000] {
        let mut value = AnyValue { value: Some(Value::IntValue(1)) }.encode_to_vec();
        for _ in 0..depth {
            let mut array = Vec::with_capacity(value.len() + 8);
            prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut array);
            prost::encoding::encode_varint(value.len() as u64, &mut array);
            array.append(&mut value);
            prost::encoding::encode_key(5, prost::encoding::WireType::LengthDelimited, &mut value);
            prost::encoding::encode_varint(array.len() as u64, &mut value);
            value.append(&mut array);
        }
        let body = with_raw_attribute(&value);
        let traces = scene.otlp("/v1/traces");
        scene.http(&format!("nested {depth} deep"), &traces, &[PROTOBUF], &body, &[200, 400]).await;
        scene.grpc(&format!("nested {depth} deep"), "traces", None, &body, &[0, 3]).await;
        let json = format!("{{\"resourceSpans\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        scene.http(&format!("JSON nested {depth} deep"), &traces, &[JSON], json.as_bytes(), &[200, 400]).await;
        let zipkin = scene.zipkin("/api/v2/spans");
        let json = format!("[{}1{}]", "{\"tags\":".repeat(depth), "}".repeat(depth));
        scene.http(&format!("Zipkin nested {depth} deep"), &zipkin, &[JSON], json.as_bytes(), &[200, 202, 400]).await;
    }
    for length in
        [vec![0xff; 9], [vec![0xff; 9], vec![0x01]].concat(), [vec![0xff; 4], vec![0x7f]].concat(), vec![0xff; 30]]
    {
        let body = [vec![0x0a], length].concat();
        for signal in SIGNALS {
            let url = scene.otlp(&format!("/v1/{signal}"));
            scene.http("a giant length", &url, &[PROTOBUF], &body, &[400]).await;
            scene.grpc("a giant length", signal, None, &body, &[3]).await;
        }
    }
}

async fn strange_json(scene: &mut Scene<'_>) {
    let span = |extra: &str| {
        format!(
            "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\
             \"spanId\":\"eee19b7ec3c1b174\",\"name\":\"n\",\"startTimeUnixNano\":\"1\",{extra}\"kind\":1}}]}}]}}]}}"
        )
    };
    let bodies = [
        span("\"kind\":2,\"kind\":3,"),
        span("\"endTimeUnixNano\":NaN,"),
        span("\"endTimeUnixNano\":1e400,"),
        span("\"endTimeUnixNano\":-5,"),
        span("\"endTimeUnixNano\":\"99999999999999999999999\","),
        span("\"attributes\":{\"a\":1},"),
        span("\"attributes\":[null,1,\"x\",{}],"),
        span("\"attributes\":[{\"key\":5}],"),
        span("\"unknown\":{\"deep\":[1,2,{\"x\":null}]},"),
        span("\"name\":\"\\ud800\","),
        "{\"resourceSpans\":null}".into(),
        "{\"resourceSpans\":{}}".into(),
        "null".into(),
        "[]".into(),
        "\"text\"".into(),
        "{".into(),
        "{}{}".into(),
        "\u{feff}{}".into(),
        "{\"resourceSpans\":[],}".into(),
    ];
    for body in &bodies {
        for signal in SIGNALS {
            let url = scene.otlp(&format!("/v1/{signal}"));
            scene.http(&format!("JSON {}", shortened(body)), &url, &[JSON], body.as_bytes(), &[200, 400]).await;
        }
        for path in ["/api/v2/spans", "/api/v1/spans"] {
            let url = scene.zipkin(path);
            scene.http(&format!("Zipkin {}", shortened(body)), &url, &[JSON], body.as_bytes(), &[200, 202, 400]).await;
        }
    }
}

// Scenario: an attribute of 10 MB, 10,000 attributes, 100,000 events on a span, a log body of 10 MB, beside usual items.
// Guarantee: they are stored, cut to their limits and marked with what was dropped; the items beside them are whole.
pub async fn huge_items(rig: &Rig) -> Outcome {
    let mut scene = Scene::open(rig).await?;
    let trace = trace_id(rig.seed);
    let hex = hex_of(&trace);
    let mut spans: Vec<Span> = (1..=4).map(|number| span(&trace, number, "huge")).collect();
    spans[0].attributes = vec![text("big", "x".repeat(10 << 20))];
    spans[1].attributes = (0..10_000).map(|number| text(&format!("key-{number}"), "value".into())).collect();
    spans[2].events = (0..100_000)
        .map(|number| Event { time_unix_nano: now_ns(), name: format!("event {number}"), ..Default::default() })
        .collect();
    let body = request(spans.clone());
    let traces = scene.otlp("/v1/traces");
    scene.http("huge items", &traces, &[PROTOBUF], &body, &[200]).await;
    // The same over gRPC, in a trace of its own.
    let other = trace_id(rig.seed + 1);
    spans.iter_mut().for_each(|span| span.trace_id = other.to_vec());
    scene.grpc("huge items", "traces", None, &request(spans), &[0]).await;
    let log = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"timeUnixNano": now_ns().to_string(), "traceId": hex, "spanId": "00000000000000aa", "body": {"stringValue": "y".repeat(10 << 20)}},
        {"timeUnixNano": now_ns().to_string(), "traceId": hex, "spanId": "00000000000000ab", "body": {"stringValue": "short"}}]}]}]});
    let logs = scene.otlp("/v1/logs");
    scene.http("a huge body", &logs, &[JSON], log.to_string().as_bytes(), &[200]).await;

    for hex in [hex.clone(), hex_of(&other)] {
        let columns = "length(SpanAttributes['big']), length(SpanAttributes), DroppedAttributesCount, length(Events.Name), DroppedEventsCount, Marks > 0";
        let rows = scene
            .sql(&format!("SELECT {columns} FROM otel_traces WHERE TraceId = '{hex}' ORDER BY SpanId FORMAT CSV"))
            .await?;
        let expected = "262144,1,0,0,0,1\n0,1024,8976,0,0,1\n0,0,0,4096,95904,1\n0,0,0,0,0,0";
        scene.report.require(rows == expected, format!("stored as {rows:?}, not {expected:?}"));
    }
    let rows = scene
        .sql(&format!("SELECT length(Body) FROM otel_logs WHERE TraceId = '{hex}' ORDER BY SpanId FORMAT CSV"))
        .await?;
    scene.report.require(rows == "1048576\n5", format!("log bodies of {rows:?} bytes"));
    let ledger = scene.api("/ledger").await?;
    scene.report.require(
        ledger.status == 200 && ledger.text().contains("truncated"),
        "the ledger does not tell of what was cut",
    );
    let page = scene.api(&format!("/traces/{hex}")).await?;
    scene.report.require(page.status == 200, format!("the trace cannot be shown: {}", page.status));
    scene.close().await
}

// Scenario: NUL, terminal escapes, bidirectional overrides, quotes and markup in every text; invalid UTF-8 and lone surrogates.
// Guarantee: valid text is stored as it is, invalid text is refused or repaired and counted; JSON answers stay valid; the log shows no raw escapes.
pub async fn hostile_text(rig: &Rig) -> Outcome {
    let mut scene = Scene::open(rig).await?;
    let texts = [
        "nul\0inside",
        "\u{1b}[31mred\u{1b}[0m\u{7}\u{8}",
        "bidi \u{202e}txt.exe\u{202c} \u{2066}x\u{2069}",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "'; DROP TABLE otel_traces; --\\'\\\\",
        "line\r\nHTTP/1.1 200 OK\r\n\r\n",
        "{\"json\":[1,2]}\u{2028}\u{2029}",
        "\u{feff}\u{fffe}\u{ffff}\u{10ffff}",
        "e\u{301}\u{200d}👩‍👩‍👧‍👦",
        "%s%n${jndi:ldap://x}{{7*7}}",
    ];
    let trace = trace_id(rig.seed);
    let hex = hex_of(&trace);
    let spans = texts.iter().enumerate().map(|(number, hostile)| Span {
        attributes: vec![text(hostile, (*hostile).to_owned()), text("value", (*hostile).to_owned())],
        trace_state: (*hostile).to_owned(),
        ..span(&trace, number as u64 + 1, hostile)
    });
    let traces = scene.otlp("/v1/traces");
    let body = request(spans.collect());
    scene.http("hostile text", &traces, &[PROTOBUF], &body, &[200]).await;
    let columns = "hex(SpanName), hex(SpanAttributes['value']), hex(TraceState)";
    let rows = scene
        .sql(&format!("SELECT {columns} FROM otel_traces WHERE TraceId = '{hex}' ORDER BY SpanId FORMAT CSV"))
        .await?;
    let expected: Vec<String> = texts
        .iter()
        .map(|text| {
            let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
            format!("\"{hex}\",\"{hex}\",\"{hex}\"")
        })
        .collect();
    scene.report.require(rows == expected.join("\n"), format!("texts are stored otherwise: {rows}"));

    // Each byte of the text that breaks UTF-8, in protobuf; lone surrogates in JSON; on Zipkin's doors as well.
    for broken in [&b"\xff\xfe"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"abc\x80"] {
        let mut body = request(vec![span(&trace, 77, "PLACEHOLDER")]);
        let at = body.windows(11).position(|window| window == b"PLACEHOLDER").unwrap_or(0);
        body[at..at + broken.len()].copy_from_slice(broken);
        scene.http("invalid UTF-8", &traces, &[PROTOBUF], &body, &[200, 400]).await;
        scene.grpc("invalid UTF-8", "traces", None, &body, &[0, 3]).await;
        let zipkin = [&b"[{\"traceId\":\"1\",\"id\":\"2\",\"name\":\""[..], broken, b"\"}]"].concat();
        let url = scene.zipkin("/api/v2/spans");
        scene.http("invalid UTF-8", &url, &[JSON], &zipkin, &[202, 400]).await;
        // In places that end up in answers and in the log: headers, paths, types.
        let path = scene.otlp("/v1/%1b%5b31mtraces%00");
        scene.http("a hostile path", &path, &[("content-type", "text/\u{e9}vil")], broken, &[400, 404, 415]).await;
    }
    for escape in ["\\ud800", "\\udc00x", "\\ud800\\ud800"] {
        let json = json!({"resourceSpans": [{"scopeSpans": [{"spans": [
            {"traceId": hex, "spanId": "00000000000000ee", "name": "NAME", "startTimeUnixNano": now_ns().to_string()}]}]}]});
        let body = json.to_string().replace("NAME", escape);
        scene.http("a lone surrogate", &traces, &[JSON], body.as_bytes(), &[200, 400]).await;
    }
    for path in [
        format!("/traces/{hex}"),
        "/traces?from=now-1h&to=now%2B1h".into(),
        "/services?from=now-1h".into(),
        "/ledger".into(),
        "/logs?from=now-1h".into(),
    ] {
        let answer = scene.api(&path).await?;
        let valid = serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok();
        scene
            .report
            .require(answer.status == 200 && valid, format!("{path}: {} {}", answer.status, shortened(&answer.text())));
    }
    let log = std::fs::read(scene.setup.log_path()).unwrap_or_default();
    let raw = log.iter().filter(|byte| **byte < 0x20 && !matches!(byte, b'\n' | b'\t')).count();
    scene.report.require(raw == 0, format!("{raw} control characters in the log"));
    scene.close().await
}

/// A span with the usual fields.
pub fn span(trace: &[u8; 16], number: u64, name: &str) -> Span {
    let start = now_ns() - 1_000_000_000 + number * 1000;
    Span {
        trace_id: trace.to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        name: name.into(),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 500_000,
        ..Default::default()
    }
}

/// Spans of one service as a request.
pub fn request(spans: Vec<Span>) -> Vec<u8> {
    let resource = opentelemetry_proto::tonic::resource::v1::Resource {
        attributes: vec![text("service.name", "hostile".into())],
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// A text attribute.
pub fn text(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.into(), value, ..Default::default() }
}

/// A trace id that belongs to a seed.
pub fn trace_id(seed: u64) -> [u8; 16] {
    let (high, low) = (crate::item::mix(seed) | 1, crate::item::mix(!seed) | 1);
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// Lower hex.
pub fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Nanoseconds since the epoch.
pub fn now_ns() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// A trace request whose one span has one attribute with this encoded value.
fn with_raw_attribute(value: &[u8]) -> Vec<u8> {
    let mut attribute = KeyValue { key: "deep".into(), value: None, ..Default::default() }.encode_to_vec();
    field(2, value, &mut attribute);
    let mut span = span(&trace_id(4711), 1, "deep").encode_to_vec();
    field(9, &attribute, &mut span);
    let (mut scope, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new());
    field(2, &span, &mut scope);
    field(2, &scope, &mut resource);
    field(1, &resource, &mut request);
    request
}

fn field(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, out);
    prost::encoding::encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn zipkin_json(spans: u64) -> Vec<u8> {
    let span = |number: u64| {
        json!({"traceId": format!("{:016x}", number + 1), "id": format!("{:016x}", number + 1), "name": "get", "kind": "SERVER",
               "timestamp": now_ns() / 1000, "duration": 5, "localEndpoint": {"serviceName": "z", "ipv4": "10.0.0.1"},
               "tags": {"a": "b\u{e9}"}, "annotations": [{"timestamp": 1, "value": "x"}]})
    };
    serde_json::Value::from((0..spans).map(span).collect::<Vec<_>>()).to_string().into_bytes()
}

fn otlp_json() -> Vec<u8> {
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "j\u{e9}"}}]},
        "scopeSpans": [{"spans": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "n",
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000000000005",
        "attributes": [{"key": "k", "value": {"kvlistValue": {"values": [{"key": "x", "value": {"doubleValue": 1.5}}]}}}]}]}]}]})
    .to_string()
    .into_bytes()
}

/// So many zeros, without holding them.
struct Zeros(u64);

impl std::io::Read for Zeros {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = out.len().min(usize::try_from(self.0).unwrap_or(usize::MAX));
        out[..count].fill(0);
        self.0 -= count as u64;
        Ok(count)
    }
}

fn pack(encoding: &str, mut from: impl std::io::Read) -> Result<Vec<u8>, Stop> {
    let level = flate2::Compression::new(6);
    let packed = match encoding {
        "gzip" => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), level);
            copy(&mut from, &mut to).and_then(|()| to.finish())
        }
        "deflate" => {
            let mut to = flate2::write::ZlibEncoder::new(Vec::new(), level);
            copy(&mut from, &mut to).and_then(|()| to.finish())
        }
        _ => zstd::stream::encode_all(from, 3),
    };
    Ok(packed.map_err(|error| error.to_string())?)
}

fn copy(from: &mut impl std::io::Read, to: &mut impl std::io::Write) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])?;
    }
}
