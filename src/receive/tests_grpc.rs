//! OTLP/gRPC against the checklist: each rule of facts/otlp.md that a door decides.

#![allow(clippy::type_complexity)] // Rows of tables.

use std::time::Duration;

use access::{Access, Code, Error, Limits, Token};
use bytes::Bytes;
use model::{Account, Protocol, Reason, Signal};
use wire::encoding::Encoding;

use crate::Config;
use crate::metrics::DoorName;
use crate::rig::*;

const CHECK: &str = "/grpc.health.v1.Health/Check";

fn small() -> Config {
    let limits = Limits { body_bytes_max: 1000, ..Limits::default() };
    Config { limits, ..Config::default() }
}

// Scenario: the three services, messages from empty to some MiB, cut into HTTP/2 frames at every awkward place.
// Guarantee: the message arrives byte by byte, the answer is an empty message with status 0 in the trailers.
#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_whole() {
    let rig = Rig::start().await;
    let mut client = Client::http2(rig.grpc).await;
    let services = [
        ("trace", Protocol::OtlpTracesProto),
        ("logs", Protocol::OtlpLogsProto),
        ("metrics", Protocol::OtlpMetricsProto),
    ];
    for (name, protocol) in services {
        let service = if name == "trace" {
            "Trace"
        } else if name == "logs" {
            "Logs"
        } else {
            "Metrics"
        };
        let path = format!("/opentelemetry.proto.collector.{name}.v1.{service}Service/Export");
        for size in [0usize, 1, 100, 16_384, 3_000_000] {
            let message: Vec<u8> = (0..size).map(|at| ((at * 31) >> 3) as u8 & 0x7f).collect();
            let framed = framed(0, &message);
            for piece_bytes in [1usize, 2, 4, 5, 6, 1000, 16_384, 10_000_000] {
                // Floods of tiny frames are cut off by the HTTP/2 layer.
                if size / piece_bytes > 200 {
                    continue;
                }
                let pieces = framed.chunks(piece_bytes).map(Bytes::copy_from_slice).collect();
                let answer = client.call(&path, &[], pieces).await;
                assert_eq!((answer.status, answer.grpc_status()), (200, 0), "{name} {size} {piece_bytes}");
                assert_eq!(&answer.body[..], &[0; 5]);
                assert_eq!(answer.header("content-type"), "application/grpc");
                let seen = rig.seen_one();
                assert_eq!((seen.protocol, seen.plain == message), (protocol, true), "{name} {size} {piece_bytes}");
                assert_eq!((seen.encoding, seen.permit_bytes), (Encoding::Identity, size + 5));
            }
        }
    }
    rig.settle().await;
}

// Scenario: packed and plain messages, flags with and without grpc-encoding, unknown encodings, other content types and paths.
// Guarantee: rules 7, 8, 24: gRPC's own codes, and the connection goes on after each.
#[tokio::test(flavor = "multi_thread")]
async fn packing_and_protocol_errors() {
    let rig = Rig::start().await;
    let mut client = Client::http2(rig.grpc).await;
    let plain = vec![b'a'; 50_000];
    let rows: &[(&str, &str, u8, Vec<u8>, i32)] = &[
        (EXPORT, "gzip", 1, gzip(&plain), 0),
        (EXPORT, "zstd", 1, zst(&plain), 0),
        (EXPORT, "deflate", 1, deflate(&plain), 0),
        (EXPORT, "gzip", 0, plain.clone(), 0),
        (EXPORT, "identity", 0, plain.clone(), 0),
        (EXPORT, "", 0, plain.clone(), 0),
        (EXPORT, "", 1, gzip(&plain), 13),
        (EXPORT, "identity", 1, gzip(&plain), 13),
        (EXPORT, "snappy", 1, plain.clone(), 12),
        (EXPORT, "snappy", 0, plain.clone(), 12),
        (EXPORT, "", 2, plain.clone(), 3),
        (EXPORT, "gzip", 1, plain.clone(), 3),
        (EXPORT, "gzip", 1, gzip(&plain)[..100].to_vec(), 3),
        (EXPORT, "zstd", 1, vec![], 3),
        (EXPORT, "", 0, b"\xff".to_vec(), 3),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Import", "", 0, plain.clone(), 12),
        ("/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", "", 0, plain.clone(), 12),
        ("/", "", 0, plain.clone(), 12),
    ];
    for (path, encoding, flag, message, status) in rows {
        let headers = [("grpc-encoding", *encoding)];
        let headers = if encoding.is_empty() { &[][..] } else { &headers[..] };
        let answer = client.call(path, headers, vec![framed(*flag, message)]).await;
        assert_eq!((answer.status, answer.grpc_status()), (200, *status), "{path} {encoding} {flag}");
        assert_eq!(answer.grpc_field("grpc-message").is_empty(), *status == 0);
        if *encoding == "snappy" {
            assert_eq!(answer.header("grpc-accept-encoding"), "gzip,zstd,deflate,identity");
        }
        for seen in rig.seen().into_iter().filter(|_| *status == 0) {
            assert_eq!((&seen.plain[..], &seen.body[..]), (&plain[..], &message[..]), "{encoding}");
        }
    }
    for (kind, method, status) in [
        ("application/grpc+proto", "POST", 200),
        ("application/json", "POST", 415),
        ("application/grpc-web", "POST", 415),
        ("application/grpc", "GET", 405),
    ] {
        let uri = format!("http://{}{EXPORT}", rig.grpc);
        let answer =
            client.send(request(method, &uri, &[("content-type", kind)], full(&[0; 5]))).await.expect("answer");
        assert_eq!(answer.status, status, "{kind} {method}");
    }
    let lost = post(rig.grpc, "/v1/traces", &[PROTO], b"x").await;
    assert_eq!(lost.status, 415);
    assert!(lost.text().contains("4318"), "{}", lost.text());
    rig.seen();
    rig.settle().await;
}

// Scenario: bodies without a message, with two, cut within prefix or message, and with a tail.
// Guarantee: each is refused with a final code; nothing is kept; the connection goes on.
#[tokio::test(flavor = "multi_thread")]
async fn calls_carry_exactly_one_message() {
    let rig = Rig::start().await;
    let mut client = Client::http2(rig.grpc).await;
    let one = framed(0, b"abc");
    let two = [&one[..], &one[..]].concat();
    let rows: Vec<(&str, Vec<Bytes>, i32)> = vec![
        ("none", vec![], 12),
        ("empty frames", vec![Bytes::new(), Bytes::new()], 12),
        ("two in one frame", vec![two.clone().into()], 12),
        ("two in two frames", vec![one.clone(), one.clone()], 12),
        ("two in odd frames", vec![two[..6].to_vec().into(), two[6..].to_vec().into()], 12),
        ("tail of one byte", vec![one.clone(), Bytes::from_static(b"x")], 12),
        ("cut in the prefix", vec![one.slice(..3)], 3),
        ("cut in the message", vec![one.slice(..7)], 3),
        ("cut after the prefix", vec![one.slice(..5)], 3),
        ("less than claimed", vec![prefixed(0, 1000, b"abc")], 3),
    ];
    for (name, pieces, status) in rows {
        let answer = client.call(EXPORT, &[], pieces).await;
        assert_eq!((answer.status, answer.grpc_status()), (200, status), "{name}");
        assert!(rig.seen().is_empty(), "{name}");
    }
    rig.settle().await;
}

// Scenario: messages at and above the limit, on the wire, in their claim, and after unpacking.
// Guarantee: rule 17: RESOURCE_EXHAUSTED without RetryInfo, so that clients do not send again; at the limit all is well.
#[tokio::test(flavor = "multi_thread")]
async fn too_large_is_final() {
    let rig = Rig::with(small(), Access::open(), 1 << 20).await;
    let mut client = Client::http2(rig.grpc).await;
    let rows: Vec<(&str, &str, Bytes, i32)> = vec![
        ("at the limit", "", framed(0, &[1; 1000]), 0),
        ("one above", "", framed(0, &[1; 1001]), 8),
        ("claims 4 GiB", "", prefixed(0, u32::MAX as usize, b"x"), 8),
        ("unpacks to the limit", "gzip", framed(1, &gzip(&[1; 1000])), 0),
        ("unpacks to one above", "gzip", framed(1, &gzip(&[1; 1001])), 8),
        ("zstd bomb", "zstd", framed(1, &zst(&vec![0; 8 << 20])), 8),
        ("far above", "", framed(0, &vec![1; 300_000]), 8),
    ];
    for (name, encoding, body, status) in rows {
        let headers = [("grpc-encoding", encoding)];
        let headers = if encoding.is_empty() { &[][..] } else { &headers[..] };
        let answer = client.call(EXPORT, headers, vec![body]).await;
        assert_eq!(answer.grpc_status(), status, "{name}");
        assert_eq!(answer.grpc_field("grpc-status-details-bin"), "", "{name}");
    }
    let notes = rig.notes();
    assert_eq!((notes.len(), notes.iter().all(|note| note.starts_with("traces too_large 0"))), (5, true), "{notes:?}");
    rig.settle().await;
}

// Scenario: the intake fails in every way; the byte budget is spent.
// Guarantee: rules 20-23: the code is the table's; retryable ones carry RetryInfo, others must not; a broken body has BadRequest.
#[tokio::test(flavor = "multi_thread")]
async fn failures_carry_what_clients_need() {
    let rig = Rig::with(Config::default(), Access::open(), 10_000).await;
    let mut client = Client::http2(rig.grpc).await;
    for code in Code::ALL {
        let error = Error::new(code, "said why, \u{fc}ber all");
        let retryable = matches!(code, Code::Unavailable | Code::ResourceExhausted);
        let error = if retryable { error.with_retry_after(Duration::from_millis(1500)) } else { error };
        rig.behave(Behaviour::Fail(error));
        let answer = client.call(EXPORT, &[], vec![framed(0, b"x")]).await;
        assert_eq!(answer.grpc_status(), code.grpc() as i32, "{code:?}");
        assert_eq!(answer.grpc_field("grpc-message"), "said%20why,%20%C3%BCber%20all");
        let details = details(&answer);
        assert_eq!(details.contains("google.rpc.RetryInfo"), retryable, "{code:?}");
        assert_eq!(details.contains("google.rpc.BadRequest"), code == Code::InvalidArgument, "{code:?}");
    }
    rig.behave(Behaviour::Keep(Account::default()));
    let answer = client.call(EXPORT, &[], vec![framed(0, &[1; 20_000])]).await;
    assert_eq!(answer.grpc_status(), 14);
    assert!(details(&answer).contains("google.rpc.RetryInfo"));
    assert!(rig.notes().last().is_some_and(|note| note.starts_with("traces overloaded 0")));
    let mut partial = Account::default();
    partial.count_many(Signal::Traces, Reason::InvalidSpanId, 2, || "spans[1]".into());
    rig.behave(Behaviour::Keep(partial));
    let answer = client.call(EXPORT, &[], vec![framed(0, b"x")]).await;
    assert_eq!((answer.grpc_status(), answer.body[5], &answer.body[7..9]), (0, 0x0a, &[0x08, 2][..]));
    rig.settle().await;
}

// Scenario: deadlines that pass and that do not; a client that goes away in the middle of its body, and one while it waits.
// Guarantee: rule 24: DEADLINE_EXCEEDED in time; nothing of an abandoned request stays.
#[tokio::test(flavor = "multi_thread")]
async fn deadlines_and_departures() {
    let rig = Rig::start().await;
    let mut client = Client::http2(rig.grpc).await;
    let answer = client.call(EXPORT, &[("grpc-timeout", "30S")], vec![framed(0, b"x")]).await;
    assert_eq!(answer.grpc_status(), 0);
    rig.behave(Behaviour::Hang);
    let answer = client.call(EXPORT, &[("grpc-timeout", "50m")], vec![framed(0, b"x")]).await;
    assert_eq!(answer.grpc_status(), 4);
    let waiting = client.call(EXPORT, &[], vec![framed(0, b"x")]);
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
    let endless = futures_util::StreamExt::chain(
        futures_util::stream::iter([Ok(hyper::body::Frame::data(prefixed(0, 100_000, &[1; 50_000])))]),
        futures_util::stream::pending(),
    );
    let body = http_body_util::BodyExt::boxed(http_body_util::StreamBody::new(endless));
    let uri = format!("http://{}{EXPORT}", rig.grpc);
    let stuck = client.send(request("POST", &uri, &[("content-type", "application/grpc")], body));
    assert!(tokio::time::timeout(Duration::from_millis(100), stuck).await.is_err());
    rig.idle().await;
    assert_eq!(rig.metrics.requests_with(DoorName::OtlpGrpc, "cancelled"), 2);
    rig.settle().await;
}

// Scenario: a hundred calls at once on one connection, some packed, some refused.
// Guarantee: rule 24: every one gets its own answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_on_one_connection() {
    let rig = Rig::start().await;
    let Client::Two(sender) = Client::http2(rig.grpc).await else { panic!("an HTTP/2 client") };
    let calls = (0..100u8).map(|number| {
        let mut client = Client::Two(sender.clone());
        async move {
            let (message, status) = if number % 10 == 9 { (vec![0xff, number], 3) } else { (vec![number; 20_000], 0) };
            let body = framed(1, &gzip(&message));
            let answer = client.call(EXPORT, &[("grpc-encoding", "gzip")], vec![body]).await;
            assert_eq!(answer.grpc_status(), status, "{number}");
        }
    });
    futures_util::future::join_all(calls).await;
    let mut numbers: Vec<u8> = rig.seen().iter().filter_map(|seen| seen.plain.last().copied()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
    assert_eq!(rig.metrics.requests_with(DoorName::OtlpGrpc, "ok"), 90);
    rig.settle().await;
}

// Scenario: health is asked for known and unknown services, watched, while readiness changes; a token is required for data.
// Guarantee: probes get SERVING, NOT_SERVING or NOT_FOUND without credentials; data without them is UNAUTHENTICATED.
#[tokio::test(flavor = "multi_thread")]
async fn health_and_credentials() {
    let token = Token { secret: "s3cret".into(), name: "app".into(), may_read: false, may_write: true, tenant: None };
    let access = Access::new(access::Config { tokens: vec![token], ..access::Config::default() }).expect("valid");
    let rig = Rig::with(Config::default(), access, 1 << 20).await;
    let named = |name: &str| [&[0x0a, name.len() as u8], name.as_bytes()].concat();
    let service = named("opentelemetry.proto.collector.trace.v1.TraceService");
    let rows: &[(&[u8], bool, i32, u8)] = &[
        (b"", true, 0, 1),
        (&service, true, 0, 1),
        (b"", false, 0, 2),
        (&named("grpc.health.v1.Health"), true, 0, 1),
        (&named("no.such.Service"), true, 5, 0),
        (b"\x0a\x09abc", true, 3, 0),
        (b"\x0a\x02\xff\xfe", true, 3, 0),
    ];
    for (message, ready, status, state) in rows {
        rig.fake.ready.store(*ready, std::sync::atomic::Ordering::Relaxed);
        let answer = call(rig.grpc, CHECK, &[], 0, message).await;
        assert_eq!(answer.grpc_status(), *status, "{message:?}");
        if *status == 0 {
            assert_eq!(&answer.body[..], &[0, 0, 0, 0, 2, 0x08, *state], "{message:?}");
        }
    }
    watch_follows(&rig).await;
    assert_eq!(call(rig.grpc, EXPORT, &[], 0, b"x").await.grpc_status(), 16);
    assert_eq!(call(rig.grpc, EXPORT, &[("authorization", "Bearer wrong")], 0, b"x").await.grpc_status(), 16);
    assert_eq!(call(rig.grpc, EXPORT, &[("authorization", "Bearer s3cret")], 0, b"x").await.grpc_status(), 0);
    rig.idle().await;
}

async fn watch_follows(rig: &Rig) {
    use http_body_util::BodyExt;
    rig.fake.ready.store(true, std::sync::atomic::Ordering::Relaxed);
    let Client::Two(mut sender) = Client::http2(rig.grpc).await else { panic!("an HTTP/2 client") };
    let uri = format!("http://{}/grpc.health.v1.Health/Watch", rig.grpc);
    let request = request("POST", &uri, &[("content-type", "application/grpc")], full(&framed(0, b"")));
    let mut body = sender.send_request(request).await.expect("an answer").into_body();
    let mut next = async || body.frame().await.expect("a frame").expect("no error").into_data().expect("data");
    assert_eq!(&next().await[..], &[0, 0, 0, 0, 2, 8, 1]);
    rig.fake.ready.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(&next().await[..], &[0, 0, 0, 0, 2, 8, 2]);
}

fn details(answer: &Answer) -> String {
    use base64::Engine;
    let text = answer.grpc_field("grpc-status-details-bin");
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text.trim_end_matches('=')).expect("base64");
    String::from_utf8_lossy(&bytes).into_owned()
}
