//! What is refused, altered or separated: limits, nonsense times, tokens, TLS, browsers, tenants.

use std::process::Command;

use serde_json::{Value, json};

use crate::program::{Answer, Program, eventually, now_ns, request};

fn span(trace: &str, more: Value) -> Value {
    let now = now_ns();
    let mut span = json!({"traceId": trace, "spanId": "00000000000000a1", "name": "n",
                          "startTimeUnixNano": now.to_string(), "endTimeUnixNano": (now + 4).to_string()});
    span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    span
}

fn traces(spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                              "scopeSpans": [{"spans": spans}]}]})
}

fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut all = vec![("content-type", "application/json"), ("x-hypocenter-wait", "stored")];
    all.extend_from_slice(headers);
    request("POST", url, &all, body.as_bytes())
}

// Scenario: one request with a good span, one of a nonsense time, one above the limits of attributes,
// one without ids; a log with malformed ids; a body above the limit.
// Guarantee: the answer counts what was rejected and says what was altered; originals come back;
// the ledger, the counters and the metrics agree; nothing is a dead letter.
#[test]
fn limits_are_told_and_counted() {
    let program = Program::start_with(&[
        "--set",
        "ingest.attributes_max=4",
        "--set",
        "ingest.attribute_value_max=16",
        "--set",
        "ingest.body_max=1MiB",
    ]);
    let ids = ["11", "12", "13"].map(|end| format!("5b8efff798038103d269b633813fc6{end}"));
    let attributes: Vec<Value> = ["a", "b", "c", "d", "e", "f"]
        .iter()
        .map(|key| json!({"key": key, "value": {"stringValue": "0123456789abcdefXYZ"}}))
        .collect();
    let answer = program.send_json(
        "traces",
        &traces(&[
            span(&ids[0], json!({})),
            span(&ids[1], json!({"startTimeUnixNano": "1", "endTimeUnixNano": "18446744073709551615"})),
            span(&ids[2], json!({"attributes": attributes, "droppedAttributesCount": 5})),
            span("", json!({})),
        ]),
    );
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "1");
    for reason in ["time_quarantined", "value_truncated", "attributes_dropped", "invalid_trace_id"] {
        assert!(partial["errorMessage"].as_str().unwrap().contains(reason), "{partial}");
    }
    let read = |id: &str| program.api(&format!("/traces/{id}"))["spans"][0].clone();
    assert_eq!(read(&ids[0]).get("marks"), None);
    let odd = read(&ids[1]);
    assert_eq!((&odd["original_start_ns"], &odd["original_end_ns"]), (&json!("1"), &json!("18446744073709551615")));
    assert_eq!(odd["marks"], json!(["quarantined"]));
    let cut = read(&ids[2]);
    assert_eq!(
        cut["attributes"],
        json!({"a": "0123456789abcdef", "b": "0123456789abcdef", "c": "0123456789abcdef", "d": "0123456789abcdef"})
    );
    assert_eq!((&cut["dropped_attributes_count"], &cut["marks"]), (&json!(7), &json!(["truncated", "trimmed"])));

    let log = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"timeUnixNano": now_ns().to_string(), "traceId": "abcd", "body": {"stringValue": "unlinked"}}]}]}]});
    assert_eq!(program.send_json("logs", &log).status, 200);
    assert_eq!(program.api("/logs?query=unlinked")["logs"][0]["trace_id"], Value::Null);

    let large = post(&format!("{}/v1/traces", program.otlp_http), &[], &" ".repeat(2 << 20));
    assert_eq!((large.status, large.json()["code"].as_u64()), (413, Some(8)));

    let ingest = program.api("/ingest");
    assert_eq!(ingest["accepted"], json!({"traces": 3, "logs": 1, "metrics": 0}), "{ingest}");
    assert_eq!(ingest["stored"], json!({"traces": 3, "logs": 1, "metrics": 0}), "{ingest}");
    assert_eq!(ingest["rejected"]["traces"], 1, "{ingest}");
    assert_eq!(ingest["dead_letters"], json!({"traces": 0, "logs": 0, "metrics": 0}));
    let wanted = [
        ("invalid_trace_id", "refused"),
        ("time_quarantined", "altered"),
        ("value_truncated", "altered"),
        ("attributes_dropped", "altered"),
    ];
    eventually("the ledger has it all", || {
        let entries = program.api("/ledger?from=now-1h&to=now%2B1m");
        let has = |reason: &str, outcome: &str| {
            entries["entries"].as_array().unwrap().iter().any(|entry| {
                entry["reason"] == reason
                    && entry["outcome"] == outcome
                    && entry["items"] == 1
                    && entry["signal"] == "traces"
            })
        };
        wanted.iter().all(|(reason, outcome)| has(reason, outcome))
    });
    let metrics = program.get("/metrics").text();
    assert!(
        metrics.contains("hypocenter_receive_items_refused_total{signal=\"traces\",reason=\"invalid_trace_id\"} 1")
    );
    for line in [
        "hypocenter_items_total{fate=\"accepted\",signal=\"traces\"} 3",
        "hypocenter_items_total{fate=\"stored\",signal=\"logs\"} 1",
        "hypocenter_items_total{fate=\"rejected\",signal=\"traces\"} 1",
        "hypocenter_items_total{fate=\"dead_letter\",signal=\"traces\"} 0",
        "hypocenter_ready 1",
        "hypocenter_store_up 1",
        "hypocenter_store_held_blocks 0",
        "hypocenter_journal_accepting 1",
    ] {
        assert!(metrics.lines().any(|told| told.strip_suffix(".0").unwrap_or(told) == line), "{line}: {metrics}");
    }
    assert!(metrics.contains("hypocenter_oldest_unconfirmed_seconds ") && metrics.contains("hypocenter_build_info{"));
}

// Scenario: one sender's request holds spans of 150 days, most of them long ago.
// Guarantee: all are stored and found; those beyond the hourly number of new days stand at their
// receive time, the sender is told, and every original time comes back.
#[test]
fn a_sender_opens_few_days() {
    let program = Program::start();
    let (now, day) = (now_ns(), 86_400_000_000_000_u64);
    let sent: Vec<(String, u64)> =
        (10..160).map(|days| (format!("{:032x}", 0xd000 + days), now - days * day)).collect();
    let spans: Vec<Value> = sent
        .iter()
        .map(|(id, start)| {
            span(id, json!({"startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 7).to_string()}))
        })
        .collect();
    let answer = program.send_json("traces", &traces(&spans));
    let partial = &answer.json()["partialSuccess"];
    assert_eq!((answer.status, &partial["rejectedSpans"]), (200, &json!("0")));
    assert!(partial["errorMessage"].as_str().unwrap().contains("partitions_quarantined"), "{partial}");
    let mut moved = 0;
    for (id, start) in &sent {
        let found = &program.api(&format!("/traces/{id}"))["spans"][0];
        let original = found.get("original_start_ns").unwrap_or(&found["start_ns"]);
        assert_eq!((original, &found["duration_ns"]), (&json!(start.to_string()), &json!("7")));
        moved += usize::from(found.get("original_start_ns").is_some());
    }
    assert!((50..100).contains(&moved), "{moved} spans moved");
}

// Scenario: tokens that may read, write, both, none, on every HTTP port.
// Guarantee: 401 without a known one, 403 with one that may not; a good one works.
#[test]
fn tokens_open_what_they_may() {
    let program = Program::start_with(&["--set", "access.tokens=both:s-both,reads:s-read:read,writes:s-write:write"]);
    let body = traces(&[span("5b8efff798038103d269b633813fc621", json!({}))]).to_string();
    for (token, write, read) in
        [("", 401, 401), ("wrong", 401, 401), ("s-both", 200, 200), ("s-read", 403, 200), ("s-write", 200, 403)]
    {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        assert_eq!(post(&format!("{}/v1/traces", program.otlp_http), &headers, &body).status, write, "OTLP {token}");
        let zipkin = post(&format!("{}/api/v2/spans", program.zipkin), &headers, "[]").status;
        assert_eq!(zipkin, if write == 200 { 202 } else { write }, "Zipkin {token}");
        for path in ["/api/v1/services", "/api/v1/traces/5b8efff798038103d269b633813fc621", "/metrics"] {
            let status = request("GET", &format!("{}{path}", program.http), &headers, &[]).status;
            assert!(status == read || read == 200 && status == 404, "{path} {token}: {status}");
        }
    }
    assert_eq!(program.get("/ready").status, 200);
}

// Scenario: two tenants send the same trace id; others ask; names that are none.
// Guarantee: each sees its own and nobody else's; without a name nothing is taken or told.
#[test]
fn tenants_see_their_own() {
    let program = Program::start_with(&["--set", "tenancy.enabled=true"]);
    let trace = "5b8efff798038103d269b633813fc631";
    let as_tenant = |name: &str, path: &str| {
        request("GET", &format!("{}/api/v1{path}", program.http), &[("x-scope-orgid", name)], &[])
    };
    for (tenant, operation) in [("red", "red-work"), ("blue", "blue-work")] {
        let body = traces(&[span(trace, json!({"name": operation}))]).to_string();
        assert_eq!(post(&format!("{}/v1/traces", program.otlp_http), &[("x-scope-orgid", tenant)], &body).status, 200);
    }
    for (tenant, operation) in [("red", "red-work"), ("blue", "blue-work")] {
        let answer = as_tenant(tenant, &format!("/traces/{trace}")).json();
        assert_eq!((&answer["total_spans"], &answer["spans"][0]["name"]), (&json!(1), &json!(operation)));
        let listed = as_tenant(tenant, "/services/shop/operations?from=now-1h&to=now%2B1m").json();
        assert_eq!(listed["operations"].as_array().unwrap().len(), 1, "{listed}");
    }
    assert_eq!(as_tenant("green", &format!("/traces/{trace}")).status, 404);
    assert_eq!(as_tenant("green", "/services?from=now-1h").json()["services"], json!([]));
    assert_eq!(program.get("/api/v1/services").status, 401);
    assert_eq!(post(&format!("{}/v1/traces", program.otlp_http), &[], "{}").status, 401);
    for (name, status) in [("", 401), ("a b", 400), ("../red", 400)] {
        assert_eq!(as_tenant(name, "/services").status, status, "{name}");
        assert_eq!(
            post(&format!("{}/v1/traces", program.otlp_http), &[("x-scope-orgid", name)], "{}").status,
            status,
            "{name}"
        );
    }
}

// Scenario: a browser asks leave to send from another page; then sends.
// Guarantee: the preflight allows it and the answer may be read by the page.
#[test]
fn browsers_may_send() {
    let program = Program::start();
    let url = format!("{}/v1/traces", program.otlp_http);
    let headers = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-custom"),
    ];
    let asked = request("OPTIONS", &url, &headers, &[]);
    assert_eq!(asked.status, 204);
    let allowed = asked.header("access-control-allow-headers").to_ascii_lowercase();
    assert!(allowed.contains("content-type") && allowed.contains("x-custom"), "{allowed}");
    assert!(asked.header("access-control-allow-methods").contains("POST"));
    let sent =
        request("POST", &url, &[("origin", "https://shop.example"), ("content-type", "application/json")], b"{}");
    assert_eq!(sent.status, 200);
    for answer in [&asked, &sent] {
        assert!(["*", "https://shop.example"].contains(&answer.header("access-control-allow-origin")), "{answer:?}");
    }
}

// Scenario: a certificate and key are configured; clients with and without its authority come.
// Guarantee: every port speaks TLS, and only TLS; spans arrive through it.
#[test]
fn every_port_speaks_tls() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .expect("openssl is needed to make a certificate");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let set = [format!("tls.cert_file={}", cert.display()), format!("tls.key_file={}", key.display())];
    let program = Program::start_unasked(&["--set", &set[0], "--set", &set[1]]);
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["-s", "-w", "%{http_code}", "--cacert"])
            .arg(&cert)
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    eventually("ready", || curl(&[&format!("{}/ready", program.http), "-o", "/dev/null"]) == "200");
    let body = traces(&[span("5b8efff798038103d269b633813fc641", json!({}))]).to_string();
    let sent = curl(&[
        "-H",
        "content-type: application/json",
        "-H",
        "x-hypocenter-wait: stored",
        "-d",
        &body,
        &format!("{}/v1/traces", program.otlp_http),
    ]);
    assert_eq!(sent, "{}200");
    assert!(
        curl(&[&format!("{}/api/v1/traces/5b8efff798038103d269b633813fc641", program.http)])
            .contains("\"total_spans\":1")
    );
    assert_eq!(
        curl(&["-H", "content-type: application/json", "-d", "[]", &format!("{}/api/v2/spans", program.zipkin)]),
        "202"
    );
    for address in [&program.http, &program.otlp_http, &program.otlp_grpc, &program.zipkin] {
        assert!(address.starts_with("https://"), "{address}");
        assert_eq!(curl(&[&address.replace("https://", "http://")]), "000", "{address} answered without TLS");
    }
}

// Scenario: spans with a kind, a status and a parent that nobody can understand, and a log record likewise; then the API is asked.
// Guarantee: all are kept, the sender is warned, and what was sent is read back.
#[test]
fn odd_fields_come_back() {
    let program = Program::start();
    let trace = "5b8efff798038103d269b633813fc6aa";
    let odd =
        json!({"kind": 99, "status": {"code": 7}, "parentSpanId": "abcd", "links": [{"traceId": "ef", "spanId": ""}]});
    let answer = program.send_json("traces", &traces(&[span(trace, odd)]));
    let partial = &answer.json()["partialSuccess"];
    assert_eq!((answer.status, &partial["rejectedSpans"]), (200, &json!("0")), "{partial}");
    for reason in ["unknown_number", "parent_unlinked", "link_unlinked"] {
        assert!(partial["errorMessage"].as_str().unwrap().contains(reason), "{partial}");
    }
    let read = program.api(&format!("/traces/{trace}"))["spans"][0].clone();
    assert_eq!(
        read["original_fields"],
        json!({"kind": 99, "status_code": 7, "parent_span_id": "abcd",
               "links": [{"index": 0, "trace_id": "ef", "span_id": ""}]})
    );
    assert_eq!((&read["kind"], &read["parent_span_id"]), (&json!("unspecified"), &Value::Null));
    assert_eq!(read["marks"], json!(["invalid_ids", "unknown_number"]));
    let log = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": now_ns().to_string(),
        "traceId": "abcd", "severityNumber": 999, "body": {"stringValue": "odd"}}]}]}]});
    assert_eq!(program.send_json("logs", &log).status, 200);
    let read = program.api("/logs?query=odd")["logs"][0].clone();
    assert_eq!(read["original_fields"], json!({"severity_number": 999, "trace_id": "abcd", "span_id": ""}));
}

// Scenario: a start while another program has the reader's port.
// Guarantee: it ends and names port and key, instead of trying for ever.
#[test]
fn taken_reader_port_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("storage.embedded.http_port={}", taken.local_addr().unwrap().port());
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--set", &port, "--set", "storage.embedded.reader_password=x"];
    let ended = crate::program::command(dir.path(), &arguments).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("(storage.embedded.http_port)"), "{said}");
}
