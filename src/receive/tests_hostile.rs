//! Bad input on the HTTP port: lies about length, bombs, drips, broken packing, spent memory. After
//! each, the next good request works and no byte is held.

#![allow(clippy::type_complexity)] // Rows of tables.

use std::time::Duration;

use access::{Access, Limits};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::Config;
use crate::metrics::DoorName;
use crate::rig::*;

const HEAD: &str = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n";

fn config(limits: Limits) -> Config {
    Config { limits, ..Config::default() }
}

fn small() -> Limits {
    Limits { body_bytes_max: 10_000, ..Limits::default() }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

// Scenario: bodies above the limit: declared, sent, chunked without end, packed bombs in every encoding, bombs within bombs.
// Guarantee: rules 18, 19: 413 in the request's encoding for each, before reading when it was declared.
#[tokio::test(flavor = "multi_thread")]
async fn too_large_is_413() {
    let rig = Rig::with(config(small()), Access::open(), 1 << 20).await;
    let zeros = vec![0; 32 << 20];
    let bombs = [("gzip", gzip(&zeros)), ("zstd", zst(&zeros)), ("deflate", deflate(&zeros))];
    for (name, bomb) in &bombs {
        // The gzip bomb itself is above this limit as well; what counts is the answer.
        let answer = post(rig.http, "/v1/traces", &[JSON, ("content-encoding", name)], bomb).await;
        assert_eq!((answer.status, answer.header("content-type")), (413, JSON.1), "{name}");
        assert!(answer.text().contains("limit"), "{}", answer.text());
    }
    let nested = gzip(&gzip(&zeros[..1 << 18]));
    assert_eq!(post(rig.http, "/v1/traces", &[PROTO, ("content-encoding", "gzip")], &nested).await.status, 200);
    assert_eq!(post(rig.http, "/v1/traces", &[PROTO], &zeros[..10_000]).await.status, 200);
    assert_eq!(post(rig.http, "/v1/traces", &[PROTO], &zeros[..10_001]).await.status, 413);
    let answer = raw(rig.http, format!("{HEAD}Content-Length: 99999999999\r\n\r\nabc").as_bytes()).await;
    assert_eq!(status(&answer), "413", "{answer}");
    let expecting = format!("{HEAD}Content-Length: 10001\r\nExpect: 100-continue\r\n\r\n");
    let answer = raw(rig.http, expecting.as_bytes()).await;
    assert_eq!(status(&answer), "413", "asked before sending: {answer}");
    let pieces = (0..2000).map(|_| Bytes::from_static(&[0; 1000])).collect();
    let answer = send(rig.http, "POST", "/v1/traces", &[PROTO], chunks(pieces)).await;
    assert_eq!(answer.status, 413, "chunked");
    rig.seen();
    assert!(rig.notes().iter().all(|note| note.starts_with("traces too_large 0")));
    rig.settle().await;
}

// Scenario: a large budget and limit, and bombs of 64 MiB that are tried on both sides of the thread border, eight at once.
// Guarantee: memory stays within the budget: what does not fit is 503 with Retry-After, never a crash, and all comes back.
#[tokio::test(flavor = "multi_thread")]
async fn bombs_stay_within_the_budget() {
    let rig = Rig::with(Config::default(), Access::open(), 80 << 20).await;
    let zeros = vec![0; 60 << 20];
    for (name, bomb) in [("gzip", gzip(&zeros)), ("zstd", zst(&zeros))] {
        let headers = [PROTO, ("content-encoding", name)];
        let tries = (0..8).map(|_| post(rig.http, "/v1/traces", &headers, &bomb));
        let answers = futures_util::future::join_all(tries).await;
        let kept = answers.iter().filter(|answer| answer.status == 200).count();
        for answer in &answers {
            let expected = if answer.status == 503 { "1" } else { "" };
            assert!(answer.status == 200 || answer.status == 503, "{name}: {}", answer.status);
            assert_eq!(answer.header("retry-after"), expected);
        }
        // The fake intake remembers bodies without their permits, so any number may fit one by one.
        assert_eq!(rig.seen().len(), kept, "{name}");
        rig.idle().await;
    }
    rig.settle().await;
}

// Scenario: packed bodies cut at every byte, with a flipped byte, with a tail, and plain garbage under a packing's name.
// Guarantee: rule 7: 400 with a Status body, never 5xx, never a hang; the body is never half accepted.
#[tokio::test(flavor = "multi_thread")]
async fn broken_packing_is_400() {
    let rig = Rig::start().await;
    let mut client = Client::http1(rig.http).await;
    let plain: Vec<u8> = (0..2000u32).map(|at| ((at * at) >> 5) as u8 & 0x7f).collect();
    for (name, packed) in [("gzip", gzip(&plain)), ("zstd", zst(&plain)), ("deflate", deflate(&plain))] {
        let headers = [PROTO, ("content-encoding", name), ("host", "x")];
        let mut broken: Vec<Vec<u8>> = (0..packed.len()).step_by(13).map(|cut| packed[..cut].to_vec()).collect();
        broken.push(packed[..packed.len() - 1].to_vec());
        broken.push([&packed[..], b"tail"].concat());
        broken.push(b"not packed at all".to_vec());
        for body in broken {
            let answer = client.send(request("POST", "/v1/traces", &headers, full(&body))).await.expect("an answer");
            assert_eq!((answer.status, answer.header("content-type")), (400, PROTO.1), "{name} {}", body.len());
            assert!(answer.text().contains("corrupt or cut short"), "{}", answer.text());
        }
    }
    assert!(rig.seen().is_empty());
    rig.settle().await;
}

// Scenario: lengths that lie in both directions, chunks that are none, two lengths, length and chunking, bare line feeds.
// Guarantee: one defined meaning or a refusal; what was not wholly sent is not kept; nothing is taken for a second request with our headers.
#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_lie() {
    let rig = Rig::start().await;
    let rows: &[(&str, String, &[&str], usize)] = &[
        ("longer than sent", format!("{HEAD}Content-Length: 100\r\n\r\nabc"), &["400", "none"], 0),
        ("shorter than sent", format!("{HEAD}Content-Length: 3\r\n\r\nabcGARBAGE\r\n\r\n"), &["200"], 1),
        ("chunk cut", format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nabc"), &["400", "none"], 0),
        ("chunk size no number", format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"), &["400", "none"], 0),
        (
            "chunk size huge",
            format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n"),
            &["400", "none"],
            0,
        ),
        ("two lengths", format!("{HEAD}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), &["400"], 0),
        ("length no number", format!("{HEAD}Content-Length: -1\r\n\r\nabcd"), &["400"], 0),
        ("no length", format!("{HEAD}\r\n"), &["200"], 1),
        ("garbage", "\0\u{1}\u{2}GARBAGE\r\n\r\n".into(), &["400", "none"], 0),
        ("chunked well", format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), &["200"], 1),
    ];
    for (name, bytes, expected, kept) in rows {
        let cut = expected.contains(&"none");
        let answer =
            if cut { raw_cut(rig.http, bytes.as_bytes()).await } else { raw(rig.http, bytes.as_bytes()).await };
        assert!(expected.contains(&status(&answer)), "{name}: {answer}");
        assert_eq!(rig.seen().len(), *kept, "{name}");
    }
    // Length and chunking together: chunking wins or the request is refused; never both readings.
    let both = format!("{HEAD}Content-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    raw(rig.http, both.as_bytes()).await;
    assert!(rig.seen().iter().all(|seen| &seen.plain[..] == b"abc"));
    rig.settle().await;
}

// Scenario: bodies that stop or drip, on HTTP/1 and as gRPC, also with empty frames; clients that leave in the middle.
// Guarantee: given up after the body time with 408 or DEADLINE_EXCEEDED; the bytes held meanwhile come back.
#[tokio::test(flavor = "multi_thread")]
async fn drips_are_given_up() {
    let limits = Limits { body_timeout: Duration::from_millis(150), ..Limits::default() };
    let rig = Rig::with(config(limits), Access::open(), 1 << 20).await;
    let mut stuck = TcpStream::connect(rig.http).await.expect("connects");
    stuck.write_all(format!("{HEAD}Content-Length: 5000\r\n\r\n").as_bytes()).await.expect("writes");
    let mut drip = TcpStream::connect(rig.http).await.expect("connects");
    drip.write_all(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await.expect("writes");
    for _ in 0..100 {
        if drip.write_all(b"1\r\nx\r\n").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for mut stream in [stuck, drip] {
        let answer = read_all(&mut stream).await;
        assert_eq!(status(&answer), "408", "{answer}");
    }
    let empties = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some((Ok(hyper::body::Frame::data(Bytes::new())), ()))
    });
    let body = http_body_util::BodyExt::boxed(http_body_util::StreamBody::new(empties));
    let uri = format!("http://{}{EXPORT}", rig.grpc);
    let mut client = Client::http2(rig.grpc).await;
    let answer = client.send(request("POST", &uri, &[("content-type", "application/grpc")], body)).await;
    assert_eq!(answer.expect("an answer").grpc_status(), 4);
    let mut leaving = TcpStream::connect(rig.http).await.expect("connects");
    leaving.write_all(format!("{HEAD}Content-Length: 5000\r\n\r\nabc").as_bytes()).await.expect("writes");
    drop(leaving);
    assert!(rig.seen().is_empty());
    rig.settle().await;
}

// Scenario: the budget is smaller than what many senders bring at once: declared, chunked, packed.
// Guarantee: rule 21: 503 with Retry-After, at once; small requests get through as soon as there is room; nobody waits for bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_is_503() {
    let rig = Rig::with(Config::default(), Access::open(), 120_000).await;
    let large = vec![0; 120_001];
    let declared = post(rig.http, "/v1/traces", &[JSON], &large).await;
    let pieces = large.chunks(1000).map(Bytes::copy_from_slice).collect();
    let chunked = send(rig.http, "POST", "/v1/traces", &[JSON], chunks(pieces)).await;
    let packed = post(rig.http, "/v1/traces", &[JSON, ("content-encoding", "gzip")], &gzip(&large)).await;
    for answer in [declared, chunked, packed] {
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
        assert_eq!(answer.header("content-type"), JSON.1);
    }
    assert_eq!(rig.notes().len(), 3);
    // Requests that hold bytes while others come.
    rig.behave(Behaviour::Hang);
    let held = [0; 30_000];
    let holders: Vec<_> = (0..3).map(|_| Client::http1(rig.http)).collect();
    let mut holding = Vec::new();
    for client in holders {
        let mut client = client.await;
        let body = full(&held);
        holding.push(tokio::spawn(async move {
            let headers = [PROTO, ("host", "x")];
            let _ = client.send(request("POST", "/v1/traces", &headers, body)).await;
        }));
    }
    while rig.fake.seen.lock().expect("lock").len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    rig.behave(Behaviour::Keep(model::Account::default()));
    assert_eq!(post(rig.http, "/v1/traces", &[PROTO], &large[..60_000]).await.status, 503);
    assert_eq!(post(rig.http, "/v1/traces", &[PROTO], &held[..5000]).await.status, 200);
    assert_eq!(call(rig.grpc, EXPORT, &[], 0, &large[..60_000]).await.grpc_status(), 14);
    for holder in holding {
        holder.abort();
    }
    rig.idle().await;
    assert_eq!(rig.metrics.requests_with(DoorName::OtlpHttp, "cancelled"), 3);
    rig.settle().await;
}

// Scenario: a refused client goes on writing megabytes before it reads, as simple HTTP clients do.
// Guarantee: it gets the answer, not a reset connection.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_clients_that_write_first() {
    let rig = Rig::with(config(small()), Access::open(), 1 << 20).await;
    let body = vec![b'x'; 8 << 20];
    for (path, kind, expected) in
        [("/v1/traces", PROTO.1, "413"), ("/v1/traces", "text/plain", "415"), ("/nowhere", PROTO.1, "404")]
    {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(rig.http).await.expect("connects");
        stream.write_all(head.as_bytes()).await.expect("writes");
        stream.write_all(&body).await.expect("the server reads on");
        let answer = read_all(&mut stream).await;
        assert_eq!(status(&answer), expected, "{answer}");
    }
    rig.settle().await;
}
