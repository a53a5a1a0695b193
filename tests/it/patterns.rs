//! Log patterns, end to end: logs come in, the real program says what they have in common.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::program::{Answer, Program, eventually, now_ns, request};

/// A log of a service.
#[derive(Clone)]
struct Log {
    service: &'static str,
    severity: u8,
    body: String,
    attributes: Vec<(&'static str, String)>,
}

fn log(service: &'static str, severity: u8, body: impl Into<String>) -> Log {
    Log { service, severity, body: body.into(), attributes: Vec::new() }
}

fn closed(name: &str) -> Log {
    log("shop", 9, format!("session closed for user {name}"))
}

// Answers when they are stored.
fn send(program: &Program, tenant: &str, logs: &[Log]) {
    post(program, tenant, true, logs);
}

fn post(program: &Program, tenant: &str, wait: bool, logs: &[Log]) {
    let now_ns = now_ns();
    let resource = |log: &Log| {
        let attributes: Vec<Value> =
            log.attributes.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect();
        json!({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": log.service}}]},
               "scopeLogs": [{"logRecords": [{"timeUnixNano": now_ns.to_string(), "severityNumber": log.severity,
                              "body": {"stringValue": log.body}, "attributes": attributes}]}]})
    };
    let body = json!({"resourceLogs": logs.iter().map(resource).collect::<Vec<_>>()});
    let mut headers = vec![("content-type", "application/json"), ("x-scope-orgid", tenant)];
    headers.extend(wait.then_some(("x-hypocenter-wait", "stored")));
    let answer = request("POST", &format!("{}/v1/logs", program.otlp_http), &headers, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn ask(program: &Program, tenant: &str, path: &str) -> Answer {
    request("GET", &format!("{}/api/v1{path}", program.http), &[("x-scope-orgid", tenant)], &[])
}

fn patterns(program: &Program, tenant: &str, parameters: &str) -> Vec<Value> {
    let answer = ask(program, tenant, &format!("/patterns{parameters}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["patterns"].as_array().unwrap().clone()
}

/// `shop info x4 session closed for user <*>`, by that text.
fn drawn(patterns: &[Value]) -> BTreeMap<String, String> {
    let text = |pattern: &Value, key: &str| pattern[key].as_str().unwrap().to_owned();
    let line = |pattern: &Value| {
        let words = [text(pattern, "service"), text(pattern, "severity"), format!("x{}", pattern["count"])];
        (format!("{} {}", words.join(" "), text(pattern, "template")), text(pattern, "pattern_id"))
    };
    patterns.iter().map(line).collect()
}

fn waits_for(program: &Program, tenant: &str, expected: &str) -> BTreeMap<String, String> {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut found = BTreeMap::new();
    eventually(&format!("{expected:?}, and not {:?}", drawn(&patterns(program, tenant, ""))), || {
        found = drawn(&patterns(program, tenant, ""));
        found.keys().map(String::as_str).eq(expected.iter().copied())
    });
    found
}

fn bodies(program: &Program, tenant: &str, parameters: &str) -> Vec<(String, String)> {
    let answer = ask(program, tenant, &format!("/logs?order=oldest&{parameters}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = |log: &Value, key: &str| log[key].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<(String, String)> = answer.json()["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| (text(log, "body"), text(log, "pattern_id")))
        .collect();
    found.sort();
    found
}

// Scenario: one user's session ends, later those of others, after a restart one more; another service and another
// tenant say the same.
// Guarantee: the patterns that were told apart become one, whose id stays over restarts; every id ever shown finds its
// logs; logs are shown with the id that finds them; services and tenants have theirs.
#[test]
fn patterns_join_and_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start_in(dir.path(), &["--set", "tenancy.enabled=true"]);
    send(&program, "main", &[closed("alice")]);
    let first = waits_for(&program, "main", "shop info x1 session closed for user alice");
    let old = first.values().next().unwrap().clone();
    send(&program, "main", &["bob", "carol", "dave", "erin"].map(closed));
    send(&program, "main", &[log("cart", 17, "disk is full"), log("cart", 9, "disk is full")]);
    send(&program, "other", &[closed("mallory")]);
    let apart = "cart error x1 disk is full
        cart info x1 disk is full
        shop info x5 session closed for user <*>";
    let joined = waits_for(&program, "main", apart);
    let id = joined["shop info x5 session closed for user <*>"].clone();
    assert_ne!(id, old);
    waits_for(&program, "other", "shop info x1 session closed for user mallory");

    let expected: Vec<(String, String)> = ["alice", "bob", "carol", "dave", "erin"]
        .map(|name| (format!("session closed for user {name}"), id.clone()))
        .to_vec();
    // What logs are shown with is remembered for a moment.
    eventually("logs are shown with it", || bodies(&program, "main", &format!("pattern_id={id}")) == expected);
    assert_eq!(bodies(&program, "main", &format!("pattern_id={old}")), expected, "by the id that it had");
    assert_eq!(bodies(&program, "main", &format!("query=pattern_id:{id}%20alice")), expected[..1]);
    assert_eq!(bodies(&program, "main", &format!("query=-pattern_id:{id}&severity=error")).len(), 1);
    assert!(bodies(&program, "other", &format!("pattern_id={old}")).is_empty(), "another tenant's");
    let histogram = ask(&program, "main", &format!("/logs/histogram?pattern_id={old}")).json();
    let counted: u64 =
        histogram["buckets"].as_array().unwrap().iter().filter_map(|b| b["counts"]["info"].as_u64()).sum();
    assert_eq!(counted, 5, "{histogram}");

    assert!(program.stop().success());
    drop(program);
    let program = Program::start_in(dir.path(), &["--set", "tenancy.enabled=true"]);
    let restarted = drawn(&patterns(&program, "main", ""));
    assert!(restarted.keys().eq(joined.keys()), "{restarted:?}");
    // An id that was shown before the pattern was kept may have become another.
    for (pattern, id) in joined.iter().chain(&restarted) {
        let count = if pattern.starts_with("shop") { 5 } else { 1 };
        assert_eq!(bodies(&program, "main", &format!("pattern_id={id}")).len(), count, "{pattern}");
    }
    send(&program, "main", &[closed("zoe")]);
    let after = waits_for(&program, "main", &apart.replace("x5", "x6"));
    assert_eq!(after["shop info x6 session closed for user <*>"], id);
    eventually("all are found by the first id", || bodies(&program, "main", &format!("pattern_id={old}")).len() == 6);
}

// Scenario: two statements that say the same, known by their places in the source, under new and old names; logs of
// a trace; filters, limits, and values that none can have.
// Guarantee: places tell patterns apart, and are shown; each filter counts what it lets through; wrong values are
// refused.
#[test]
fn places_and_filters() {
    let program = Program::start();
    let at = |keys: [&'static str; 3], line: &str, body: &str| Log {
        attributes: vec![(keys[0], "src/pay.rs".into()), (keys[1], line.into()), (keys[2], "pay".into())],
        ..log("pay", 17, body)
    };
    let present = ["code.file.path", "code.line.number", "code.function.name"];
    let old = ["code.filepath", "code.lineno", "code.function"];
    send(&program, "", &[at(present, "12", "card 17 declined"), at(old, "12", "card 18 declined")]);
    send(&program, "", &[at(present, "40", "card 19 declined"), log("pay", 13, "slow"), log("shop", 9, "hello")]);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    send(&program, "", &[log("shop", 9, format!("traceparent=00-{trace}-b7ad6b7169203331-01 done"))]);
    let located = || patterns(&program, "", "").iter().filter(|pattern| pattern["code"].is_string()).count();
    eventually("all are kept", || located() == 2);
    assert_eq!(patterns(&program, "", "").len(), 5);
    let declined = patterns(&program, "", "?severity=error");
    let text = |pattern: &Value, key: &str| pattern[key].as_str().unwrap().to_owned();
    let codes: Vec<(String, u64)> =
        declined.iter().map(|pattern| (text(pattern, "code"), pattern["count"].as_u64().unwrap())).collect();
    assert_eq!(codes, [("src/pay.rs:12 pay".into(), 2), ("src/pay.rs:40 pay".into(), 1)]);
    assert!(declined.iter().all(|pattern| text(pattern, "template") == "card <*> declined"));
    assert!(text(&declined[0], "example").starts_with("card 1"));
    assert_eq!(patterns(&program, "", "?service=shop").len(), 2);
    assert_eq!(patterns(&program, "", &format!("?trace_id={trace}")).len(), 1);
    assert_eq!(patterns(&program, "", &format!("?pattern_id={}", text(&declined[0], "pattern_id"))).len(), 1);
    assert_eq!(patterns(&program, "", "?query=hello").len(), 1);
    assert!(patterns(&program, "", "?to=now-1h").is_empty());
    let page = ask(&program, "", "/patterns?limit=1").json();
    let totals =
        (page["patterns"].as_array().unwrap().len(), page["total_patterns"].as_u64(), page["total_logs"].as_u64());
    assert_eq!(totals, (1, Some(5), Some(6)));
    for wrong in ["limit=0", "limit=1001", "pattern_id=xyz", "severity=loud", "nonsense=1", "from=never"] {
        assert_eq!(ask(&program, "", &format!("/patterns?{wrong}")).status, 400, "{wrong}");
    }
}

// Scenario: bodies that are empty, huge, binary, unfinished, full of markup or SQL, and a service with an odd name.
// Guarantee: each is in a pattern that finds it; the program keeps up with what comes after.
#[test]
fn hostile_bodies() {
    let program = Program::start();
    let odd = [
        String::new(),
        "\u{0}\u{1a}\u{1a} \u{fffd}".to_owned(),
        "é".repeat(40_000),
        "{\"msg\": \"".to_owned(),
        "'); DROP TABLE log_patterns; --".to_owned(),
        "<script>alert(1)</script>".to_owned(),
        "[[[[((((<<<<\"\"\"\"''''====,,,,;;;;".to_owned(),
        "a ".repeat(5_000),
    ];
    let logs: Vec<Log> = odd.iter().map(|body| log("it's \\ odd\n", 9, body.clone())).collect();
    send(&program, "", &logs);
    send(&program, "", &[log("shop", 9, "still here")]);
    eventually("the last one is kept", || {
        let all = patterns(&program, "", "?limit=1000");
        all.iter().map(|pattern| pattern["count"].as_u64().unwrap()).sum::<u64>() == 9
            && ask(&program, "", "/patterns?query=still").json()["patterns"][0]["template"] == "still here"
    });
    let kept = "hypocenter_patterns_keys_found_total";
    eventually("all are kept", || {
        let metrics = program.get("/metrics").text();
        let value = metrics.lines().find_map(|line| line.strip_prefix(kept)).unwrap().trim().parse::<f64>();
        value.unwrap() >= patterns(&program, "", "").len() as f64
    });
    for pattern in patterns(&program, "", "") {
        let id = pattern["pattern_id"].as_str().unwrap();
        let found = bodies(&program, "", &format!("pattern_id={id}"));
        assert_eq!(found.len() as u64, pattern["count"].as_u64().unwrap(), "{pattern}");
        assert!(pattern["template"].as_str().unwrap().len() < 10_000);
    }
}

// Scenario: the program dies just before and just after patterns are written, while several become one.
// Guarantee: after the next start they are one, and the ids that any life gave find it.
#[test]
fn kills_leave_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start_in(dir.path(), &[]);
    send(&program, "", &[closed("alice")]);
    let old = waits_for(&program, "", "shop info x1 session closed for user alice").into_values().next().unwrap();
    assert!(program.stop().success());
    drop(program);
    for (point, names) in [("before-patterns", ["bob", "carol"]), ("after-patterns", ["dave", "erin"])] {
        let mut child = Program::start_in(dir.path(), &["--crash-at", point]);
        post(&child, "", false, &names.map(closed));
        eventually(point, || child.ended());
    }
    let program = Program::start_in(dir.path(), &[]);
    let joined = waits_for(&program, "", "shop info x5 session closed for user <*>");
    assert_eq!(joined.len(), 1);
    eventually("every log is found by the first id", || bodies(&program, "", &format!("pattern_id={old}")).len() == 5);
}
