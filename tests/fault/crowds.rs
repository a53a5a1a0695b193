//! Crowds: many clients who each hold or send a lot at once, and small bodies that become much memory.
//! Scenario 39, which the notes do not number.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::Client;
use crate::hostile::{Scene, hex_of, now_ns, request, span, text, trace_id};
use crate::report::Stop;
use crate::rig::{RSS_MAX_MIB, Rig};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const ANSWER_MAX: Duration = Duration::from_secs(100);
/// `ingest.memory_max` and `ingest.block_memory_max`, and a tenth: the program itself included.
const CONFIGURED_MIB: u64 = (256 + 96) * 11 / 10;
/// Kept, malformed, too large, or no memory for it now.
const ANSWERS: &[u16] = &[200, 202, 400, 413, 503];

// Scenario: 150 clients stop in the middle of 8 MiB bodies; 64 send 8 MiB at once over gRPC, each on its own connection; bodies that become up to seventy times their size come by the dozen.
// Guarantee: memory stays within what is configured and a tenth (with the program beside it for the bodies that grow), others are answered meanwhile, what is acknowledged is stored.
pub async fn crowds(rig: &Rig) -> Outcome {
    let mut scene = Scene::open(rig).await?;
    let slow = stop_in_the_middle(&scene, if rig.full { 400 } else { 150 }).await?;
    for number in 0..20 {
        let body = request(vec![span(&trace_id(rig.seed), number + 1, "meanwhile")]);
        let url = scene.otlp("/v1/traces");
        let allowed: &[u16] = if rig.full { &[200, 503] } else { &[200] };
        scene.http("meanwhile", &url, &[PROTOBUF], &body, allowed).await;
    }
    peak(&mut scene, "slow_mib", CONFIGURED_MIB);
    drop(slow);
    let kept = large_messages(rig, &mut scene, if rig.full { 200 } else { 64 }).await;
    peak(&mut scene, "large_mib", CONFIGURED_MIB);
    expanding(rig, &mut scene, if rig.full { 24 } else { 6 }).await;
    peak(&mut scene, "expanding_mib", RSS_MAX_MIB);
    for (trace, spans) in kept {
        let stored = scene.sql(&format!("SELECT count() FROM otel_traces WHERE TraceId = '{trace}'")).await?;
        scene.report.require(stored == spans.to_string(), format!("{stored} of {spans} acknowledged spans are stored"));
    }
    scene.close().await
}

fn peak(scene: &mut Scene<'_>, name: &'static str, mib_max: u64) {
    let mib = scene.setup.peak_kib.load(Ordering::Relaxed) / 1024;
    scene.report.note(name, json!(mib));
    scene.report.require(mib <= mib_max, format!("{name}: {mib} MiB of memory, {mib_max} are allowed"));
}

/// Connections that have sent a megabyte of eight and say no more.
async fn stop_in_the_middle(scene: &Scene<'_>, count: usize) -> Result<Vec<TcpStream>, Stop> {
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 8388608\r\n\r\n";
    let part = vec![10; 1 << 20];
    let mut streams = Vec::new();
    for _ in 0..count {
        let opened = async {
            let mut stream = TcpStream::connect(&scene.hypocenter.doors.http).await?;
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&part).await?;
            Ok::<_, std::io::Error>(stream)
        };
        // Beyond the budget they are refused, and may find their connection closed.
        let opened = tokio::time::timeout(Duration::from_secs(20), opened).await;
        streams.extend(opened.map_err(|_| "a slow client cannot send")?);
    }
    Ok(streams)
}

/// The traces whose spans were acknowledged.
async fn large_messages(rig: &Rig, scene: &mut Scene<'_>, count: u64) -> Vec<(String, u64)> {
    let mut calls = JoinSet::new();
    for number in 0..count {
        let trace = trace_id(rig.seed * 1000 + number);
        let spans = (0..20)
            .map(|number| {
                let mut span = span(&trace, number + 1, "large");
                span.start_time_unix_nano = now_ns();
                span.attributes = (0..4).map(|at| text(&format!("text.{at}"), "x".repeat(100_000))).collect();
                span
            })
            .collect();
        let doors = scene.hypocenter.doors.grpc.clone();
        calls.spawn(async move {
            let method = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
            let message = request(spans);
            (hex_of(&trace), Client::new().call(&doors, method, None, &message, ANSWER_MAX).await)
        });
    }
    let (mut kept, mut refused) = (Vec::new(), 0);
    while let Some(Ok((trace, sent))) = calls.join_next().await {
        scene.report.cycles += 1;
        match sent.map(|answer| answer.grpc_status) {
            Ok(Some(0)) => kept.push((trace, 20)),
            Ok(Some(14)) => refused += 1,
            other => scene.report.require(false, format!("a large message: {other:?}")),
        }
    }
    scene.report.note("large_kept", json!(kept.len()));
    scene.report.note("large_refused", json!(refused));
    kept
}

/// Small bodies that become many rows, from many clients.
async fn expanding(rig: &Rig, scene: &mut Scene<'_>, of_each: usize) {
    let list = |number: u8, content: &[u8]| {
        let length = content.len() as u32;
        let mut out = vec![number << 3 | 2];
        out.extend([length, length >> 7, length >> 14, length >> 21].map(|part| part as u8 & 0x7f | 0x80));
        out.push((length >> 28) as u8);
        out.extend_from_slice(content);
        out
    };
    let wrapped = |items: Vec<u8>| list(1, &list(2, &items));
    let records = wrapped([0x12, 0].repeat(400_000));
    let links = [&[0x0a, 16][..], &[7; 16], &[0x12, 8], &[9; 8], &[0x6a, 0].repeat(4096)].concat();
    let spans = wrapped(list(2, &links).repeat(100));
    let point = list(10, &list(1, &list(8, &list(2, &vec![1; 8 << 20]))));
    let metric = wrapped(list(2, &point));
    let zipkin = format!(
        "[{}]",
        (1..60_000).map(|n| format!(r#"{{"traceId":"1","id":"{n:x}"}}"#)).collect::<Vec<_>>().join(",")
    );
    let objects =
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, vec!["{}"; 400_000].join(","));
    let pair = r#"{"key":"k","value":{"arrayValue":{"values":[{},{},{}]}}}"#;
    let pairs = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"attributes":[{}]}}]}}]}}]}}"#,
        vec![pair; 60_000].join(",")
    );
    let bodies = [
        (scene.otlp("/v1/logs"), PROTOBUF, records),
        (scene.otlp("/v1/traces"), PROTOBUF, spans),
        (scene.otlp("/v1/metrics"), PROTOBUF, metric),
        (scene.zipkin("/api/v2/spans"), JSON, zipkin.into_bytes()),
        (scene.otlp("/v1/logs"), JSON, objects.into_bytes()),
        (scene.otlp("/v1/logs"), JSON, pairs.into_bytes()),
    ];
    let mut calls = JoinSet::new();
    for number in 0..bodies.len() * of_each {
        let (url, kind, body) = &bodies[number % bodies.len()];
        // Not byte for byte the same, or it would be known as sent again.
        let mut body = body.clone();
        if kind.1 == JSON.1 {
            body.extend(vec![b' '; number + 1])
        } else {
            body.extend([&[0xfa, 1, 2], &(number as u16).to_le_bytes()[..]].concat())
        }
        let (client, url, kind) = (rig.client.clone(), url.clone(), *kind);
        calls.spawn(async move {
            client.send("POST", &url, &[kind], Bytes::from(body), ANSWER_MAX).await.map(|answer| (url, answer))
        });
    }
    let mut statuses = std::collections::BTreeMap::<String, u64>::new();
    while let Some(Ok(sent)) = calls.join_next().await {
        scene.report.cycles += 1;
        match sent {
            Ok((url, answer)) => {
                let path =
                    url.rsplit_once(':').map_or("", |(_, rest)| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
                *statuses.entry(format!("{path} {}", answer.status)).or_default() += 1;
                scene.report.require(ANSWERS.contains(&answer.status), format!("{url}: HTTP {}", answer.status));
            }
            Err(broken) => scene.report.require(false, format!("an expanding body: {broken}")),
        }
    }
    scene.report.note("expanding", json!(statuses));
}
