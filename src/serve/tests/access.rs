//! Who may ask, for whom, and what happens when the store is away.

use std::collections::BTreeSet;

use access::{Access, Config, Token};
use axum::body::Body;
use http::{Request, Response};
use model::Protocol;
use prometheus_client::registry::Registry;
use store::{Endpoint, Store};
use tokio::sync::watch;

use crate::rig::{Rig, logs, spans, texts, trace_id};

fn token(secret: &str, may_read: bool, tenant: Option<&str>) -> Token {
    Token { secret: secret.into(), name: secret.into(), may_read, may_write: true, tenant: tenant.map(str::to_owned) }
}

fn doors(tokens: Vec<Token>, tenancy_enabled: bool) -> Access {
    Access::new(Config { tokens, tenancy_enabled, tenant_pattern: "*".into(), tenant_default: None }).unwrap()
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost:7700");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

async fn body(response: Response<Body>) -> String {
    String::from_utf8(axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap().to_vec()).unwrap()
}

// Scenario: every route of the description, asked without, with wrong, and with insufficient tokens, and by odd ways round.
// Guarantee: only health is open; 401 says how to identify, 403 that it is not enough; no spelling of a path gets round it.
#[tokio::test]
async fn every_route_is_guarded() {
    let rig = Rig::with(doors(vec![token("good", true, None), token("writer", false, None)], false)).await;
    let document: serde_json::Value = serde_json::from_str(&serve::document()).unwrap();
    let open = BTreeSet::from(["/health", "/ready"]);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let asked = path.replace("{trace_id}", &trace_id("1")).replace("{service}", "x");
            let status = async |headers: &[(&str, &str)]| {
                rig.send(request(&method.to_uppercase(), &asked, headers)).await.status().as_u16()
            };
            let none = status(&[]).await;
            if open.contains(path.as_str()) {
                assert_eq!(none, 200, "{path}");
                continue;
            }
            assert_eq!(none, 401, "{path}");
            for wrong in ["Bearer", "Bearer ", "Bearer bad", "bearer", "Basic Z29vZDo=", "Token good"] {
                assert_eq!(status(&[("authorization", wrong)]).await, 401, "{path} {wrong}");
            }
            // A question that comes with a body is a question, and one without its body is none.
            let is_question = method == "get" || path == "/api/v1/suspects";
            let has_body = method == "post" && path != "/api/v1/flush";
            let written = match (is_question, has_body, method.as_str()) {
                (true, ..) => 403,
                (false, true, _) => 400,
                (false, false, "delete") => 404,
                (false, false, _) => 200,
            };
            assert_eq!(status(&[("authorization", "Bearer writer")]).await, written, "{method} {path}");
            let good = status(&[("authorization", "Bearer good")]).await;
            assert!(if has_body { good == 400 } else { good == 200 || good == 404 }, "{method} {path}: {good}");
        }
    }
    for odd in [
        "//api/v1/services",
        "/api//v1/services",
        "/api/v1/services/",
        "/api/v1/./services",
        "/API/v1/services",
        "/api/v1/services;a=b",
        "/api/v1/%73ervices",
        "/x/../api/v1/services",
    ] {
        let response = rig.send(request("GET", odd, &[])).await;
        let status = response.status().as_u16();
        assert!(status == 401 || status == 404 || !body(response).await.contains("\"services\""), "{odd}: {status}");
    }
    let overridden = rig.send(request("POST", "/api/v1/services", &[("x-http-method-override", "GET")])).await;
    assert_ne!(overridden.status().as_u16(), 200);
}

// Scenario: two tenants with the same trace id, service and log.
// Guarantee: neither sees the other's rows, counts or names, cached or not.
#[tokio::test]
async fn tenants_are_apart() {
    let rig = Rig::with(doors(vec![token("a", true, Some("red")), token("b", true, Some("blue"))], true)).await;
    for (tenant, service) in [("red", "one"), ("blue", "two")] {
        rig.store(tenant, Protocol::OtlpTracesJson, &spans(&format!("1 a - {service} op{tenant} server 0+10"))).await;
        rig.store(tenant, Protocol::OtlpLogsJson, &logs(&format!("0 {service} INFO 1 a | {tenant} line"))).await;
    }
    for (secret, tenant, service, other) in [("Bearer a", "red", "one", "two"), ("Bearer b", "blue", "two", "one")] {
        for path in [
            "/api/v1/services",
            "/api/v1/traces",
            "/api/v1/logs",
            &format!("/api/v1/traces/{}", trace_id("1")),
            "/api/v1/logs?query=line",
        ] {
            let answer = body(rig.send(request("GET", path, &[("authorization", secret)])).await).await;
            assert!(answer.contains(service) && !answer.contains(&format!("\"{other}\"")), "{tenant} {path}: {answer}");
        }
        let crossing = rig
            .send(request("GET", "/api/v1/services", &[("authorization", secret), ("x-scope-orgid", "green")]))
            .await;
        assert!(crossing.status().is_client_error());
    }
}

// Scenario: no store, no such path, the wrong method, a foreign page.
// Guarantee: JSON errors with the right code; readiness and ingest answer without the store.
#[tokio::test]
async fn errors_are_json() {
    let (_, nowhere) =
        watch::channel(Some(Endpoint { url: "http://127.0.0.1:9".into(), user: "u".into(), password: "p".into() }));
    let store = Store::new(store::Config::default(), nowhere, &mut Registry::default()).unwrap();
    let rig = Rig::over(store, Access::open());
    let table = "
        GET  /api/v1/services       503 unavailable
        GET  /api/v1/traces         503 unavailable
        GET  /api/v1/nothing        404 not_found
        GET  /api                   404 not_found
        POST /api/v1/services       405 invalid_argument
        GET  /api/v1/flush          405 invalid_argument
        DELETE /traces              405 invalid_argument
        POST /v1/traces             404 not_found
        POST /api/v2/spans          404 not_found
        POST /opentelemetry.proto.collector.trace.v1.TraceService/Export 404 not_found
        GET  /api/v1/traces/xyz     400 invalid_argument
        GET  /api/v1/traces/00000000000000000000000000000000 400 invalid_argument
        GET  /api/v1/traces?lookback=1h 400 invalid_argument
        GET  /api/v1/traces?limit=0 400 invalid_argument
        GET  /api/v1/traces?limit=100000 400 invalid_argument
        GET  /api/v1/traces?cursor=x 400 invalid_argument
        GET  /api/v1/logs?severity=loud 400 invalid_argument
        GET  /api/v1/ingest         200 -
        GET  /ready                 200 -
        GET  /healthz               200 -
        GET  /metrics               200 -
        GET  /traces                200 -
        POST /api/v1/flush?timeout=1s 200 -
    ";
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let response = rig.send(request(words[0], words[1], &[])).await;
        assert_eq!(response.status().as_u16().to_string(), words[2], "{line}");
        assert!(
            response.headers().contains_key("content-security-policy")
                && response.headers()["x-content-type-options"] == "nosniff",
            "{line}"
        );
        if words[3] != "-" {
            let answer: serde_json::Value = serde_json::from_str(&body(response).await).unwrap();
            assert_eq!(answer["error"]["code"], words[3], "{line}");
            assert!(
                answer["error"]["message"].as_str().unwrap().len() > 5 && answer["error"]["details"].is_object(),
                "{line}"
            );
        }
    }
    let foreign = rig.send(request("POST", "/api/v1/flush", &[("origin", "https://evil.example")])).await;
    assert_eq!(foreign.status().as_u16(), 403);
    let text = body(rig.send(request("GET", "/metrics", &[])).await).await;
    assert!(text.contains("hypocenter_api_requests_total{route=\"/api/v1/traces\",status=\"503\"} 1"), "{text}");
    assert_eq!(rig.get("/ready").await["status"], "degraded");
}

// Scenario: an answer asked for with and without gzip.
// Guarantee: large ones are compressed when accepted, and say the same.
#[tokio::test]
async fn answers_are_compressed() {
    let rig = Rig::new().await;
    let text: String = (0..100).map(|trace| format!("{trace:x} a - front root server {trace}+1\n")).collect();
    rig.spans(&text).await;
    let plain = body(rig.send(request("GET", "/api/v1/traces?limit=100", &[])).await).await;
    let response = rig.send(request("GET", "/api/v1/traces?limit=100", &[("accept-encoding", "gzip")])).await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
    assert!(bytes.len() < plain.len() / 4);
    let mut unpacked = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
    let whole: serde_json::Value = serde_json::from_str(&plain).unwrap();
    assert_eq!(texts(&whole, "traces", "spans").len(), 100);
}
