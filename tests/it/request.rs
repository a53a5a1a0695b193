//! The main job, end to end: spans and logs come in over each door and come out as one request.

use serde_json::{Value, json};

use crate::program::{Program, now_ns, request};

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

fn span(name: &str, id: &str, parent: &str, start_ns: u64, end_ns: u64) -> Value {
    json!({"traceId": TRACE, "spanId": id, "parentSpanId": parent, "name": name, "kind": 2,
           "startTimeUnixNano": start_ns.to_string(), "endTimeUnixNano": end_ns.to_string(),
           "attributes": [{"key": "http.route", "value": {"stringValue": "/cart"}},
                          {"key": "retries", "value": {"intValue": "3"}},
                          {"key": "tags", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"doubleValue": 1.5}]}}}]})
}

fn traces(service: &str, spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                              "scopeSpans": [{"scope": {"name": "test"}, "spans": spans}]}]})
}

fn logs(service: &str, records: &[Value]) -> Value {
    json!({"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                             "scopeLogs": [{"scope": {"name": "test"}, "logRecords": records}]}]})
}

// Scenario: two services send spans, one sends a log with its own ids, another a log that only names the trace in its text.
// Guarantee: the trace is found by its id alone, with spans in depth-first order and both logs, labelled how they joined.
#[test]
fn one_request_with_its_logs() {
    let program = Program::start();
    let now = now_ns() - 5_000_000_000;
    let root = span("GET /cart", "00000000000000a1", "", now, now + 50_000_000);
    let child = span("SELECT cart", "00000000000000a2", "00000000000000a1", now + 10_000_000, now + 30_000_000);
    assert_eq!(program.send_json("traces", &traces("cart", &[child])).status, 200);
    assert_eq!(program.send_json("traces", &traces("frontend", &[root])).status, 200);
    let own = json!({"timeUnixNano": (now + 11_000_000).to_string(), "severityNumber": 17, "severityText": "ERROR",
                     "traceId": TRACE, "spanId": "00000000000000a2", "body": {"stringValue": "connection reset by peer"}});
    let found = json!({"timeUnixNano": (now + 12_000_000).to_string(), "severityNumber": 9,
                       "body": {"stringValue": format!("retrying trace_id={TRACE} span_id=00000000000000a1 attempt=2")}});
    assert_eq!(program.send_json("logs", &logs("cart", &[own])).status, 200);
    assert_eq!(program.send_json("logs", &logs("frontend", &[found])).status, 200);

    let trace = program.api(&format!("/traces/{TRACE}"));
    let names: Vec<&str> =
        trace["spans"].as_array().unwrap().iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["GET /cart", "SELECT cart"]);
    assert_eq!(trace["spans"][1]["depth"], 1);
    assert_eq!(trace["spans"][1]["attributes"]["retries"], 3);
    assert_eq!(trace["spans"][1]["attributes"]["tags"], json!(["a", 1.5]));
    let joins: Vec<&str> = trace["logs"].as_array().unwrap().iter().map(|log| log["join"].as_str().unwrap()).collect();
    assert_eq!(joins, ["own", "found"]);
    assert_eq!(trace["logs"][1]["span_id"], "00000000000000a1");

    let listed = program.api("/traces?from=now-1h&to=now%2B1m");
    assert_eq!(listed["traces"][0]["trace_id"], TRACE);
    assert_eq!(listed["traces"][0]["root_service"], "frontend");
    assert_eq!(listed["traces"][0]["spans"], 2);
    assert_eq!(listed["traces"][0]["logs"], 2);
    let services: Vec<Value> = program.api("/services?from=now-1h&to=now%2B1m")["services"].as_array().unwrap().clone();
    assert_eq!(services.len(), 2);
    let searched = program.api("/logs?from=now-1h&to=now%2B1m&query=reset%20peer");
    assert_eq!(searched["logs"].as_array().unwrap().len(), 1);
}

// Scenario: the same request is sent three times; metrics twice.
// Guarantee: spans are stored once and the repeats are counted; metrics are stored each time.
#[test]
fn resent_requests_are_stored_once() {
    let program = Program::start();
    let now = now_ns();
    let body = traces("cart", &[span("a", "00000000000000b1", "", now - 1000, now)]);
    for _ in 0..3 {
        assert_eq!(program.send_json("traces", &body).status, 200);
    }
    let point = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [
        {"timeUnixNano": now.to_string(), "asInt": "7"}]}}]}]}]});
    for _ in 0..2 {
        assert_eq!(program.send_json("metrics", &point).status, 200);
    }
    program.flush();
    assert_eq!(program.api(&format!("/traces/{TRACE}"))["total_spans"], 1);
    let ingest = program.api("/ingest");
    assert_eq!(ingest["accepted"]["traces"], 1, "{ingest}");
    assert_eq!(ingest["stored"]["traces"], 1, "{ingest}");
    assert_eq!(ingest["duplicates"]["traces"], 2, "{ingest}");
    assert_eq!(ingest["accepted"]["metrics"], 2, "{ingest}");
}

// Scenario: data is stored, the program is stopped and started again on the same directory.
// Guarantee: it ends with success, and everything is still there.
#[test]
fn a_restart_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let now = now_ns();
    let mut program = Program::start_in(dir.path(), &[]);
    let headers = [("content-type", "application/json")];
    let body = traces("cart", &[span("a", "00000000000000c1", "", now - 1000, now)]).to_string();
    let answer = request("POST", &format!("{}/v1/traces", program.otlp_http), &headers, body.as_bytes());
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
    assert!(program.stop().success());
    let program = Program::start_in(dir.path(), &[]);
    program.flush();
    assert_eq!(program.api(&format!("/traces/{TRACE}"))["total_spans"], 1);
    assert_eq!(program.api("/ingest")["stored"]["traces"], 1);
}

// Scenario: spans and logs are acknowledged without waiting for the store, and the program is killed
// (kill -9) at once, several times over, on one directory.
// Guarantee: after each restart everything acknowledged is there, once.
#[test]
fn a_kill_keeps_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let headers = [("content-type", "application/json")];
    for round in 1..=3_u64 {
        let mut program = Program::start_in(dir.path(), &[]);
        let now = now_ns();
        for number in 0..5 {
            let id = format!("{:016x}", round * 100 + number);
            let spans = traces("cart", &[span("a", &id, "", now - 1000, now)]).to_string();
            let records = json!({"timeUnixNano": now.to_string(), "traceId": TRACE, "spanId": id, "body": {"stringValue": "kept"}});
            for (signal, body) in [("traces", spans), ("logs", logs("cart", &[records]).to_string())] {
                let answer = request("POST", &format!("{}/v1/{signal}", program.otlp_http), &headers, body.as_bytes());
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        }
        program.kill();
    }
    let program = Program::start_in(dir.path(), &[]);
    program.flush();
    let trace = program.api(&format!("/traces/{TRACE}"));
    assert_eq!((&trace["total_spans"], &trace["total_logs"]), (&json!(15), &json!(15)));
    let ingest = program.api("/ingest");
    assert_eq!(ingest["stored"], json!({"traces": 15, "logs": 15, "metrics": 0}), "{ingest}");
}
