//! Zipkin's HTTP collector as its own tests describe it (facts on Zipkin, section 1).

#![allow(clippy::type_complexity)] // Rows of tables.

use access::{Access, Code, Error, Limits};
use model::Protocol;

use axum::Router;
use axum::routing::get;

use crate::Config;
use crate::rig::*;

// Scenario: both versions, all content types and packings, with and without the prefix, empty bodies.
// Guarantee: 202 without a body; the format follows path and content type; an empty body is an empty list.
#[tokio::test(flavor = "multi_thread")]
async fn spans_are_taken() {
    let rig = Rig::start().await;
    let proto = ("content-type", "application/x-protobuf");
    let thrift = ("content-type", "application/x-thrift");
    let json = ("content-type", "application/json; charset=utf-8");
    let rows: &[(&str, &[(&str, &str)], Protocol)] = &[
        ("/api/v2/spans", &[json], Protocol::ZipkinV2Json),
        ("/api/v2/spans", &[], Protocol::ZipkinV2Json),
        ("/api/v2/spans", &[("content-type", "text/plain")], Protocol::ZipkinV2Json),
        ("/api/v2/spans", &[proto], Protocol::ZipkinV2Proto),
        ("/api/v2/spans", &[thrift], Protocol::ZipkinV2Json),
        ("/zipkin/api/v2/spans", &[json], Protocol::ZipkinV2Json),
        ("/api/v1/spans", &[json], Protocol::ZipkinV1Json),
        ("/api/v1/spans", &[], Protocol::ZipkinV1Json),
        ("/api/v1/spans", &[thrift], Protocol::ZipkinV1Thrift),
        ("/zipkin/api/v1/spans", &[thrift], Protocol::ZipkinV1Thrift),
    ];
    for (path, headers, protocol) in rows {
        for (packing, body) in [("", b"[1]".to_vec()), ("gzip", gzip(b"[1]")), ("zstd", zst(b"[1]"))] {
            let headers = [&headers[..], &[("content-encoding", packing)]].concat();
            let headers = if packing.is_empty() { &headers[..headers.len() - 1] } else { &headers[..] };
            let answer = post(rig.zipkin, path, headers, &body).await;
            assert_eq!((answer.status, answer.body.len()), (202, 0), "{path} {headers:?}");
            let seen = rig.seen_one();
            assert_eq!((seen.protocol, &seen.plain[..]), (*protocol, &b"[1]"[..]), "{path} {headers:?}");
        }
    }
    for headers in [&[][..], &[("content-encoding", "gzip")], &[proto]] {
        let answer = post(rig.zipkin, "/api/v2/spans", headers, b"").await;
        assert_eq!((answer.status, answer.body.len()), (202, 0));
    }
    assert!(rig.seen().is_empty());
    rig.settle().await;
}

// Scenario: bad packing, undecodable and too large bodies, a busy server, other methods.
// Guarantee: the right status with one line of plain text; nothing is kept.
#[tokio::test(flavor = "multi_thread")]
async fn errors_are_plain_text() {
    let limits = Limits { body_bytes_max: 1000, ..Limits::default() };
    let rig = Rig::with(Config { limits, ..Config::default() }, Access::open(), 1 << 20).await;
    let gz = ("content-encoding", "gzip");
    let rows: &[(&[(&str, &str)], Vec<u8>, u16, &str)] = &[
        (&[gz], b"no gzip".to_vec(), 400, "the gzip body is corrupt or cut short"),
        (&[gz], gzip(&[b' '; 1001]), 413, "the decompressed body is larger than the limit of 1000 bytes"),
        (&[], vec![b' '; 1001], 413, "the body is larger than the limit of 1000 bytes"),
        (&[], b"\xff".to_vec(), 400, "resource_spans[0]: the tag is not valid"),
        (&[("content-encoding", "br")], b"[]".to_vec(), 415, "unsupported encoding `br`"),
    ];
    for (headers, body, status, text) in rows {
        let answer = post(rig.zipkin, "/api/v2/spans", headers, body).await;
        assert_eq!(answer.status, *status, "{text}");
        assert!(answer.text().starts_with(text), "{}", answer.text());
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    let busy = Error::new(Code::Unavailable, "full").with_retry_after(std::time::Duration::from_secs(3));
    rig.behave(Behaviour::Fail(busy));
    let answer = post(rig.zipkin, "/api/v2/spans", &[], b"[]").await;
    assert_eq!((answer.status, answer.header("retry-after"), answer.text().as_str()), (503, "3", "full"));
    for method in ["GET", "TRACE", "PUT", "DELETE"] {
        assert_eq!(send(rig.zipkin, method, "/api/v2/spans", &[], full(b"")).await.status, 405, "{method}");
    }
    rig.settle().await;
}

// Scenario: a browser asks and sends.
// Guarantee: Zipkin's default: any origin, said as `*`, without Vary.
#[tokio::test(flavor = "multi_thread")]
async fn any_page_may_send() {
    let rig = Rig::start().await;
    let origin = ("origin", "http://foo.example.com");
    let asked = [origin, ("access-control-request-method", "POST"), ("access-control-request-headers", "content-type")];
    let answer = send(rig.zipkin, "OPTIONS", "/api/v2/spans", &asked, full(b"")).await;
    assert_eq!(answer.status, 204);
    assert_eq!((answer.header("access-control-allow-origin"), answer.header("vary")), ("*", ""));
    assert_eq!(answer.header("access-control-allow-headers"), "content-type");
    let answer = post(rig.zipkin, "/api/v2/spans", &[origin], b"[]").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (202, "*"));
    rig.settle().await;
}

// Scenario: the read half of the port is merged in, on the same paths, and the rules for pages are applied over both.
// Guarantee: the halves share the port without a clash; preflights and both methods work.
#[tokio::test(flavor = "multi_thread")]
async fn the_port_is_shared_with_the_read_half() {
    let rig = Rig::start().await;
    let reads =
        Router::new().route("/api/v2/spans", get(async || "[]")).fallback(async || (http::StatusCode::GONE, ""));
    let merged = crate::zipkin_ingest_router(
        rig.fake.clone(),
        std::sync::Arc::new(Access::open()),
        &Config::default(),
        &rig.metrics,
    )
    .merge(reads);
    let address = serve(crate::cors::apply(merged, Config::default().zipkin_cors)).await;
    let origin = ("origin", "http://foo.example.com");
    let asked = [origin, ("access-control-request-method", "POST")];
    for (method, headers, path, status) in [
        ("OPTIONS", &asked[..], "/api/v2/spans", 204),
        ("POST", &[origin][..], "/api/v2/spans", 202),
        ("GET", &[origin][..], "/api/v2/spans", 200),
        ("PUT", &[origin][..], "/api/v2/spans", 405),
        ("GET", &[origin][..], "/elsewhere", 410),
    ] {
        let answer = send(address, method, path, headers, full(b"[]")).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, "*"), "{method} {path}");
    }
    rig.settle().await;
}

// Scenario: spans over gRPC on the same port as HTTP: plain, packed, none at all, malformed; an unknown method; the counters after it.
// Guarantee: the message reaches the intake as Zipkin's protobuf and is answered with an empty message; refusals speak gRPC; both transports are counted apart.
#[tokio::test(flavor = "multi_thread")]
async fn spans_are_taken_over_grpc() {
    let rig = Rig::start().await;
    let access = std::sync::Arc::new(Access::open());
    let config = Config::default();
    let http = crate::zipkin_ingest_router(rig.fake.clone(), access.clone(), &config, &rig.metrics);
    let both = http.merge(crate::zipkin_grpc_router(rig.fake.clone(), access, &config, &rig.metrics));
    let address = serve(both).await;
    let mut client = Client::http2(address).await;
    let report = "/zipkin.proto3.SpanService/Report";
    for (encoding, flag, message) in [("", 0, b"[1]".to_vec()), ("gzip", 1, gzip(b"[1]"))] {
        let headers: &[(&str, &str)] = if encoding.is_empty() { &[] } else { &[("grpc-encoding", encoding)] };
        let answer = client.call(report, headers, vec![framed(flag, &message)]).await;
        assert_eq!((answer.status, answer.grpc_status(), &answer.body[..]), (200, 0, &[0; 5][..]));
        let seen = rig.seen_one();
        assert_eq!((seen.protocol, &seen.plain[..]), (Protocol::ZipkinV2Proto, &b"[1]"[..]));
    }
    let answer = client.call(report, &[], vec![framed(0, b"")]).await;
    assert_eq!((answer.grpc_status(), rig.seen().len()), (0, 0), "an empty list is fine");
    let answer = client.call(report, &[], vec![framed(0, b"\xff")]).await;
    assert_eq!(answer.grpc_status(), 3);
    let answer = client.call("/zipkin.proto3.SpanService/Other", &[], vec![framed(0, b"")]).await;
    assert_eq!(answer.grpc_status(), 12);
    assert_eq!(post(address, "/api/v2/spans", &[], b"[1]").await.status, 202);
    let [http, grpc] = rig.metrics.zipkin_tally();
    assert_eq!((http.messages, http.messages_dropped, http.bytes), (1, 0, 3));
    assert_eq!((grpc.messages, grpc.messages_dropped, grpc.bytes), (4, 1, 7));
    rig.settle().await;
}
