//! OTLP/HTTP against the checklist: each rule of facts/otlp.md that a door decides.

#![allow(clippy::type_complexity)] // Rows of tables.

use std::time::Duration;

use access::{Access, Code, Error, Token};
use bytes::Bytes;
use model::{Account, Protocol, Reason, Signal};
use wire::encoding::Encoding;

use crate::rig::*;
use crate::{Config, Cors};

// Scenario: methods and content types as the SDKs, browsers and careless users send them, on every path.
// Guarantee: rules 2-5: the three signals in two encodings; else 405, 415 or 404, and the body says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn methods_types_and_paths() {
    let rig = Rig::start().await;
    let rows: &[(&str, &str, &[(&str, &str)], u16, &str)] = &[
        ("POST", "/v1/traces", &[PROTO], 200, "OtlpTracesProto"),
        ("POST", "/v1/logs", &[PROTO], 200, "OtlpLogsProto"),
        ("POST", "/v1/metrics", &[PROTO], 200, "OtlpMetricsProto"),
        ("POST", "/v1/traces", &[JSON], 200, "OtlpTracesJson"),
        ("POST", "/v1/logs", &[JSON], 200, "OtlpLogsJson"),
        ("POST", "/v1/metrics", &[JSON], 200, "OtlpMetricsJson"),
        ("POST", "/v1/traces?x=y", &[JSON], 200, "OtlpTracesJson"),
        ("POST", "/v1/traces", &[("content-type", "application/json; charset=utf-8")], 200, "OtlpTracesJson"),
        ("POST", "/v1/traces", &[("content-type", "APPLICATION/JSON")], 200, "OtlpTracesJson"),
        ("POST", "/v1/traces", &[("content-type", "Application/X-Protobuf ;a=b")], 200, "OtlpTracesProto"),
        ("POST", "/v1/traces", &[], 415, "unsupported media type"),
        ("POST", "/v1/traces", &[("content-type", "")], 415, "unsupported media type"),
        ("POST", "/v1/traces", &[("content-type", "text/plain")], 415, "unsupported media type"),
        ("POST", "/v1/traces", &[("content-type", "application/jsonx")], 415, "unsupported media type"),
        ("POST", "/v1/traces", &[JSON, PROTO], 415, "unsupported media type"),
        ("GET", "/v1/traces", &[], 405, "supported: [POST]"),
        ("PUT", "/v1/traces", &[JSON], 405, "supported: [POST]"),
        ("DELETE", "/v1/logs", &[PROTO], 405, "supported: [POST]"),
        ("TRACE", "/v1/metrics", &[], 405, "supported: [POST]"),
        ("OPTIONS", "/v1/traces", &[], 405, "supported: [POST]"),
        ("BREW", "/v1/traces", &[], 405, "supported: [POST]"),
        ("POST", "/", &[PROTO], 404, "/v1/traces"),
        ("GET", "/", &[], 404, "/v1/traces"),
        ("POST", "/v1/trace", &[JSON], 404, "/v1/traces"),
        ("POST", "/v1/traces/", &[JSON], 404, "/v1/traces"),
        ("POST", "//v1/traces", &[JSON], 404, "/v1/traces"),
        ("POST", "/v1%2ftraces", &[JSON], 404, "/v1/traces"),
        ("POST", "/v1development/profiles", &[PROTO], 404, "/v1/traces"),
    ];
    for (method, path, headers, status, part) in rows {
        let answer = send(rig.http, method, path, headers, full(b"x")).await;
        assert_eq!(answer.status, *status, "{method} {path} {headers:?}");
        if *status == 200 {
            assert_eq!(format!("{:?}", rig.seen_one().protocol), *part);
            continue;
        }
        assert!(answer.text().contains(part), "{method} {path} {headers:?}: {}", answer.text());
        assert!(rig.seen().is_empty());
        // Rule 11: in the request's language where it has one.
        let expected = match headers {
            [JSON] => JSON.1,
            [PROTO] => PROTO.1,
            _ => "text/plain; charset=utf-8",
        };
        assert_eq!(answer.header("content-type"), expected, "{method} {path}");
        assert_eq!(answer.header("allow"), if *status == 405 { "POST, OPTIONS" } else { "" });
    }
    let head = send(rig.http, "HEAD", "/v1/traces", &[], full(b"")).await;
    assert_eq!((head.status, head.body.len()), (405, 0));
    let grpc = send(rig.http, "POST", EXPORT, &[("content-type", "application/grpc")], full(b"")).await;
    assert_eq!((grpc.status, grpc.grpc_status()), (200, 12));
    assert!(grpc.grpc_field("grpc-message").contains("4317"), "{:?}", grpc.headers);
    rig.settle().await;
}

// Scenario: one message in every packing, whole and chunked, on HTTP/1 and on HTTP/2 without TLS.
// Guarantee: rules 6 and 7: the intake gets the same plain bytes, the body as it was received, and a permit for both.
#[tokio::test(flavor = "multi_thread")]
async fn packings_and_transfers() {
    let rig = Rig::start().await;
    let mut two = Client::http2(rig.http).await;
    for size in [0usize, 1, 1000, 100_000, 3_000_000] {
        let plain: Vec<u8> = (0..size).map(|at| ((at * at) >> 9) as u8 & 0x7f).collect();
        let rows: [(&str, Encoding, Vec<u8>); 7] = [
            ("", Encoding::Identity, plain.clone()),
            ("identity", Encoding::Identity, plain.clone()),
            ("gzip", Encoding::Gzip, gzip(&plain)),
            ("GZIP", Encoding::Gzip, gzip(&plain)),
            ("x-gzip", Encoding::Gzip, gzip(&plain)),
            ("zstd", Encoding::Zstd, zst(&plain)),
            ("deflate", Encoding::Deflate, deflate(&plain)),
        ];
        for (name, encoding, body) in rows {
            let headers = [PROTO, ("content-encoding", name)];
            let headers = if name.is_empty() { &headers[..1] } else { &headers[..] };
            let pieces: Vec<Bytes> = body.chunks(7001).map(Bytes::copy_from_slice).collect();
            let whole = post(rig.http, "/v1/traces", headers, &body).await;
            let chunked = send(rig.http, "POST", "/v1/traces", headers, chunks(pieces.clone())).await;
            let uri = format!("http://{}/v1/traces", rig.http);
            let second = two.send(request("POST", &uri, headers, chunks(pieces))).await.expect("an answer");
            for (how, answer) in [("whole", whole), ("chunked", chunked), ("h2", second)] {
                assert_eq!(answer.status, 200, "{name} {size} {how}: {}", answer.text());
            }
            let seen = rig.seen();
            assert_eq!(seen.len(), 3);
            for arrival in seen {
                assert_eq!((arrival.encoding, &arrival.body[..]), (encoding, &body[..]), "{name} {size}");
                assert_eq!(arrival.plain, plain, "{name} {size}");
                let both = if encoding == Encoding::Identity { size } else { body.len() + size };
                assert!(arrival.permit_bytes >= both, "{name} {size}: {} for {both}", arrival.permit_bytes);
                // The permit covers what is held, not more than a growing buffer explains.
                assert!(arrival.permit_bytes <= both * 2 + (64 << 10), "{name} {size}: {}", arrival.permit_bytes);
            }
        }
    }
    for name in ["br", "gzip, gzip", "gzip,identity", "compress", "snappy"] {
        let answer = post(rig.http, "/v1/traces", &[JSON, ("content-encoding", name)], b"{}").await;
        assert_eq!((answer.status, answer.header("accept-encoding")), (415, "gzip, zstd, deflate"), "{name}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let doubled = [JSON, ("content-encoding", "gzip"), ("content-encoding", "gzip")];
    assert_eq!(post(rig.http, "/v1/traces", &doubled, &gzip(&gzip(b"{}"))).await.status, 415);
    rig.settle().await;
}

// Scenario: full success, partial success and a warning, asked for in both encodings, with and without Accept-Encoding.
// Guarantee: rules 9-12, 14, 15: nothing at all on full success; counts and words otherwise; the content type is the request's.
#[tokio::test(flavor = "multi_thread")]
async fn success_is_said_in_the_requests_language() {
    let rig = Rig::start().await;
    let mut partial = Account::default();
    partial.count_many(Signal::Traces, Reason::InvalidTraceId, 3, || "spans[0]: trace_id has 4 bytes".into());
    let mut warning = Account::default();
    warning.count(Signal::Traces, Reason::ValueTruncated, || "attribute x".into());
    for accept in [("accept-encoding", "gzip"), ("accept-encoding", "identity")] {
        rig.behave(Behaviour::Keep(Account::default()));
        let proto = post(rig.http, "/v1/traces", &[PROTO, accept], b"").await;
        assert_eq!((proto.status, proto.body.len()), (200, 0));
        assert_eq!((proto.header("content-type"), proto.header("content-encoding")), (PROTO.1, ""));
        let json = post(rig.http, "/v1/traces", &[JSON, accept], b"{}").await;
        assert_eq!((json.status, json.text().as_str(), json.header("content-type")), (200, "{}", JSON.1));
        rig.behave(Behaviour::Keep(partial.clone()));
        let json = post(rig.http, "/v1/traces", &[JSON, accept], b"{}").await;
        assert_eq!((json.status, json.header("content-type")), (200, JSON.1));
        let text = json.text();
        assert!(text.contains("\"rejectedSpans\":\"3\"") && text.contains("trace_id has 4 bytes"), "{text}");
        let proto = post(rig.http, "/v1/traces", &[PROTO, accept], b"").await;
        // ExportTraceServiceResponse { partial_success = 1 { rejected_spans = 1: 3, error_message = 2 } }
        assert_eq!((proto.status, proto.body[0], &proto.body[2..4]), (200, 0x0a, &[0x08, 3][..]));
        rig.behave(Behaviour::Keep(warning.clone()));
        let text = post(rig.http, "/v1/traces", &[JSON, accept], b"{}").await.text();
        assert!(text.contains("errorMessage") && !text.contains("\"rejectedSpans\":\"1\""), "{text}");
    }
    rig.settle().await;
}

// Scenario: the intake fails in every way, for protobuf and JSON senders; one body cannot be decoded.
// Guarantee: rules 11, 20-23: right status, a Status body with code and message in the request's language, Retry-After in whole seconds.
#[tokio::test(flavor = "multi_thread")]
async fn failures_are_said_in_the_requests_language() {
    let rig = Rig::start().await;
    for code in Code::ALL {
        let error = Error::new(code, format!("because of {}", code.name()));
        let retryable = matches!(code, Code::Unavailable | Code::ResourceExhausted);
        let error = if retryable { error.with_retry_after(Duration::from_millis(1500)) } else { error };
        rig.behave(Behaviour::Fail(error));
        for kind in [PROTO, JSON] {
            let answer = post(rig.http, "/v1/logs", &[kind], b"x").await;
            assert_eq!(answer.status, code.http().as_u16(), "{code:?}");
            assert_eq!(answer.header("content-type"), kind.1);
            assert_eq!(answer.header("retry-after"), if retryable { "2" } else { "" }, "{code:?}");
            assert!(answer.text().contains(&format!("because of {}", code.name())), "{code:?}: {}", answer.text());
            if kind == JSON {
                let status: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
                assert_eq!(status["code"], code.grpc() as i32, "{status}");
            } else {
                assert_eq!(&answer.body[..2], &[0x08, code.grpc() as u8], "google.rpc.Status.code");
            }
        }
    }
    // All but undecodable bodies are the intake's own to note.
    assert_eq!(rig.notes(), vec!["logs undecodable 0 [] because of invalid_argument"; 2]);
    let answer = post(rig.http, "/v1/traces", &[PROTO], b"\xff").await;
    assert_eq!(answer.status, 400);
    assert_eq!(rig.notes(), ["traces undecodable 0 [] resource_spans[0]: the tag is not valid"]);
    rig.settle().await;
}

// Scenario: tokens are configured; requests with the right, the wrong and no token, and readers' tokens; tenancy on.
// Guarantee: rule 39: 401 and 403 on every path that writes, nothing is read or kept, the tenant is the header's.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_and_tenants() {
    let token = |name: &str, may_write| Token {
        secret: format!("{name}-secret"),
        name: name.into(),
        may_read: true,
        may_write,
        tenant: None,
    };
    let config = access::Config {
        tokens: vec![token("app", true), token("eyes", false)],
        tenancy_enabled: true,
        ..access::Config::default()
    };
    let rig = Rig::with(Config::default(), Access::new(config).expect("valid"), 1 << 20).await;
    let app = ("authorization", "Bearer app-secret");
    let org = ("x-scope-orgid", "shop");
    let rows: &[(&[(&str, &str)], u16)] = &[
        (&[app, org], 200),
        (&[org], 401),
        (&[("authorization", "Bearer nope"), org], 401),
        (&[("authorization", "Bearer eyes-secret"), org], 403),
        (&[app], 401),
        (&[app, org, org], 400),
        (&[app, ("x-scope-orgid", "a|b")], 400),
    ];
    for (headers, status) in rows {
        for kind in [PROTO, ("content-type", "text/plain")] {
            let headers = [&headers[..], &[kind]].concat();
            let answer = post(rig.http, "/v1/traces", &headers, b"x").await;
            let status = if *status == 200 && kind != PROTO { 415 } else { *status };
            assert_eq!(answer.status, status, "{headers:?}");
            assert_eq!(answer.header("www-authenticate").is_empty(), status != 401);
            assert_eq!(
                rig.seen().iter().map(|seen| &*seen.envelope.tenant).collect::<Vec<_>>(),
                match status {
                    200 => vec!["shop"],
                    _ => vec![],
                }
            );
        }
    }
    let notes = rig.notes();
    let not_allowed = notes.iter().filter(|note| note.contains("not_allowed")).count();
    assert_eq!((not_allowed, notes.len()), (8, 13), "{notes:#?}");
    assert!(!format!("{notes:?}").contains("secret"));
    rig.idle().await;
}

// Scenario: browsers ask before they send, from allowed and other origins, also for private networks; then they send.
// Guarantee: rule 38: preflights are answered with what was asked for; other origins get no CORS header; no origin, no change.
#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_send() {
    let ask = ("access-control-request-method", "POST");
    let wanted = ("access-control-request-headers", "content-type,x-team,authorization");
    let private = ("access-control-request-private-network", "true");
    let shop = ("origin", "https://shop.example.com");
    let evil = ("origin", "https://evil.example.org");
    let listed = Config {
        otlp_cors: Cors { origins: vec!["https://*.example.com".into()], credentials: true },
        ..Config::default()
    };
    let open = Rig::start().await;
    let closed = Rig::with(listed, Access::open(), 1 << 20).await;
    for (rig, origin, allowed) in
        [(&open, shop, shop.1), (&open, evil, evil.1), (&closed, shop, shop.1), (&closed, evil, "")]
    {
        let answer = send(rig.http, "OPTIONS", "/v1/traces", &[origin, ask, wanted, private], full(b"")).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed, "{origin:?}");
        if allowed.is_empty() {
            assert_eq!(answer.status, 405);
            assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
        } else {
            assert_eq!((answer.status, answer.header("vary")), (204, "origin"));
            assert!(answer.header("access-control-allow-methods").contains("POST"));
            assert_eq!(answer.header("access-control-allow-headers"), wanted.1);
            assert_eq!(answer.header("access-control-allow-private-network"), "true");
            assert_eq!(answer.header("access-control-allow-credentials"), "true");
        }
        let answer = post(rig.http, "/v1/traces", &[origin, JSON], b"{}").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, allowed));
        let wrong = post(rig.http, "/nowhere", &[origin, JSON], b"{}").await;
        assert_eq!((wrong.status, wrong.header("access-control-allow-origin")), (404, allowed));
    }
    let plain = post(open.http, "/v1/traces", &[JSON], b"{}").await;
    assert_eq!(plain.header("access-control-allow-origin"), "");
    open.settle().await;
    closed.settle().await;
}

// Scenario: one connection carries good requests, refused ones and good ones again; a prefix is set; a sender waits for storing.
// Guarantee: rule 24: a refusal does not cost the connection; the prefix moves the paths; wait, sender and time reach the intake.
#[tokio::test(flavor = "multi_thread")]
async fn connections_prefix_and_envelope() {
    let config = Config { otlp_http_prefix: "/otlp/".into(), ..Config::default() };
    let rig = Rig::with(config, Access::open(), 1 << 20).await;
    let mut client = Client::http1(rig.http).await;
    let rows: &[(&str, &str, &[(&str, &str)], u16)] = &[
        ("POST", "/otlp/v1/traces", &[PROTO], 200),
        ("POST", "/v1/traces", &[PROTO], 404),
        ("GET", "/otlp/v1/traces", &[], 405),
        ("POST", "/otlp/v1/traces", &[("content-type", "x/y")], 415),
        ("POST", "/otlp/v1/traces", &[PROTO, ("content-encoding", "gzip")], 400),
        ("POST", "/otlp/v1/traces", &[PROTO, ("x-hypocenter-wait", "maybe")], 400),
        ("POST", "/otlp/v1/traces", &[PROTO, ("x-hypocenter-wait", "Stored"), ("user-agent", "sdk/1 (x)")], 200),
    ];
    for (method, path, headers, status) in rows {
        let headers = [&headers[..], &[("host", "localhost")]].concat();
        let answer = client.send(request(method, path, &headers, full(&[b'x'; 5000]))).await.expect("an answer");
        assert_eq!(answer.status, *status, "{method} {path} {headers:?}");
    }
    let seen = rig.seen();
    assert_eq!(seen.iter().map(|seen| seen.wait_stored).collect::<Vec<_>>(), [false, true]);
    assert_eq!(&*seen[1].envelope.sender, "127.0.0.1 sdk/1");
    assert!(seen[1].envelope.received_ns > seen[0].envelope.received_ns);
    assert_eq!(seen[0].protocol, Protocol::OtlpTracesProto);
    rig.idle().await;
}
