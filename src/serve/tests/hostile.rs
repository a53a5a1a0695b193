//! Hostile text in every parameter and in stored data: it is text everywhere.

use crate::rig::{Rig, texts};

const PAYLOADS: [&str; 32] = [
    "'",
    "''",
    "\"",
    "\\",
    "\\'",
    "'; DROP TABLE otel_traces; --",
    "' OR '1'='1",
    "') OR 1=1 --",
    "\\') OR 1=1 --",
    "1 UNION ALL SELECT * FROM otel_logs",
    "{tenant:String}",
    "{p0:String}",
    "{x:Identifier}",
    "?",
    "??fields",
    "%",
    "_",
    "%27",
    "\n\n DROP TABLE otel_logs",
    "\t",
    "\u{0}",
    "\u{1b}[31m",
    "\u{202e}abc",
    "🦀",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "$(id)",
    "${env:HOME}",
    "/*",
    "*/",
    "-- ",
    "\r\nX-Injected: yes",
];

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

// Scenario: every payload in every parameter of every question.
// Guarantee: each is answered or refused as the client's mistake; never a server error, and the rows stay.
#[tokio::test]
async fn every_parameter() {
    let rig = Rig::new().await;
    rig.spans("1 a - front root server 0+10").await;
    rig.logs("0 front INFO 1 a | canary").await;
    let long = "x'".repeat(3_000);
    let questions = [
        ("/api/v1/services", vec!["from", "to", "limit"]),
        (
            "/api/v1/traces",
            vec![
                "from",
                "to",
                "service",
                "operation",
                "status",
                "min_duration",
                "max_duration",
                "attr",
                "limit",
                "cursor",
            ],
        ),
        (
            "/api/v1/logs",
            vec![
                "from",
                "to",
                "query",
                "service",
                "severity",
                "trace_id",
                "span_id",
                "pattern_id",
                "limit",
                "cursor",
                "order",
            ],
        ),
        ("/api/v1/logs/histogram", vec!["query", "service", "step"]),
        ("/api/v1/ledger", vec!["from", "sender", "reason", "cursor"]),
    ];
    let check = async |path: String| {
        let (status, body) = rig.ask(&path).await;
        assert!(status < 500, "{path}: {status} {body}");
    };
    for payload in PAYLOADS.iter().copied().chain([long.as_str()]) {
        let text = escaped(payload);
        for (path, names) in &questions {
            for name in names {
                check(format!("{path}?{name}={text}")).await;
            }
        }
        for value in [format!("k%3D{text}"), format!("{text}%3Dv")] {
            check(format!("/api/v1/traces?attr={value}")).await;
        }
        for query in [format!("%22{text}%22"), format!("-{text}"), format!("key%3A%22{text}%22"), format!("{text}%3Av")]
        {
            check(format!("/api/v1/logs?query={query}")).await;
        }
        check(format!("/api/v1/services/{text}/operations")).await;
        check(format!("/api/v1/traces/{text}")).await;
        check(format!("/api/v1/traces/{}?span_id={text}", crate::rig::trace_id("1"))).await;
    }
    assert_eq!(rig.get("/api/v1/traces").await["traces"].as_array().unwrap().len(), 1);
    assert_eq!(texts(&rig.get("/api/v1/logs").await, "logs", "body"), ["canary"]);
}

// Scenario: paths whose named part is not UTF-8 once it is unescaped.
// Guarantee: each is refused as the client's mistake, in the API's own form.
#[tokio::test]
async fn paths_that_are_no_text() {
    let rig = Rig::new().await;
    for path in ["/api/v1/services/%ff/operations", "/api/v1/traces/%ff", "/api/v1/traces/%C3%28?limit=1"] {
        let (status, body) = rig.ask(path).await;
        assert_eq!((status, body["error"]["code"].as_str()), (400, Some("invalid_argument")), "{path}: {body}");
    }
}

// Scenario: payloads stored as service, operation, attribute key and value, and log body; then used as filters.
// Guarantee: each finds exactly itself.
#[tokio::test]
async fn stored_text_is_text() {
    let rig = Rig::new().await;
    let id = |number: usize| format!("{:032x}", number + 1);
    let span = |(number, text): (usize, &&str)| {
        serde_json::json!({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": format!("s{text}")}}]}, "scopeSpans": [{"spans": [{
            "traceId": format!("1{}", &id(number)[1..]), "spanId": "000000000000000a", "name": format!("o{text}"), "startTimeUnixNano": (crate::rig::T + number as i64).to_string(),
            "endTimeUnixNano": (crate::rig::T + number as i64 + 5).to_string(), "attributes": [{"key": format!("k{text}"), "value": {"stringValue": format!("v{text}")}}],
        }]}]})
    };
    let spans: Vec<_> = PAYLOADS.iter().enumerate().map(span).collect();
    rig.store("", model::Protocol::OtlpTracesJson, &serde_json::json!({"resourceSpans": spans})).await;
    for (number, text) in PAYLOADS.iter().enumerate() {
        let text = escaped(text);
        for query in [format!("service=s{text}"), format!("operation=o{text}"), format!("attr=k{text}%3Dv{text}")] {
            let found = texts(&rig.get(&format!("/api/v1/traces?limit=100&{query}")).await, "traces", "trace_id");
            // A parameter name's `=` inside the key splits the pair early: only then nothing may be found.
            assert_eq!(found, [format!("1{}", &id(number)[1..])].to_vec(), "{query}");
            if PAYLOADS[number].contains('=') {
                break;
            }
        }
    }
}
