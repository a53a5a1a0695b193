//! The service graph, end to end: spans come in in any order, the graph is what their set says.

use serde_json::{Value, json};

use crate::program::{Program, command, eventually, now_ns, request};

/// A span as a line: `minute id<parent service kind [key=value …]`.
fn span(trace: u64, base_ns: u64, line: &str) -> (String, Value) {
    let mut words = line.split_whitespace();
    let mut next = || words.next().unwrap();
    let (at_ms, ids, service, kind) = (next(), next(), next().to_owned(), next());
    let (id, parent) = ids.split_once('<').unwrap();
    let hex = |text: &str| {
        if text.is_empty() { String::new() } else { format!("{:016x}", trace * 100 + text.parse::<u64>().unwrap()) }
    };
    let start = base_ns.wrapping_add_signed(at_ms.parse::<i64>().unwrap() * 1_000_000);
    let kind =
        ["", "internal", "server", "client", "producer", "consumer"].iter().position(|known| *known == kind).unwrap();
    let attributes: Vec<Value> = words
        .map(|word| word.split_once('=').unwrap())
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect();
    let span = json!({"traceId": format!("{:032x}", 0xabcd_0000 + trace), "spanId": hex(id), "parentSpanId": hex(parent),
        "name": "work", "kind": kind, "startTimeUnixNano": start.to_string(),
        "endTimeUnixNano": (start + 2_000_000).to_string(), "attributes": attributes});
    (service, span)
}

fn body(spans: &[(String, Value)]) -> Value {
    let resources: Vec<Value> = spans
        .iter()
        .map(|(service, span)| {
            json!({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                   "scopeSpans": [{"spans": [span]}]})
        })
        .collect();
    json!({"resourceSpans": resources})
}

pub fn send(program: &Program, tenant: &str, spans: &[(String, Value)]) {
    let headers = [("content-type", "application/json"), ("x-scope-orgid", tenant)];
    let url = format!("{}/v1/traces", program.otlp_http);
    let answer = request("POST", &url, &headers, body(spans).to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

pub fn graph_of(program: &Program, tenant: &str, parameters: &str) -> Value {
    let url = format!("{}/api/v1/graph{parameters}", program.http);
    let answer = request("GET", &url, &[("x-scope-orgid", tenant)], &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// `shop -> pay rpc 3`, one line per edge, by source and target.
pub fn edges(graph: &Value) -> String {
    let line = |edge: &Value| {
        let text = |key: &str| edge[key].as_str().unwrap().replace("service:", "");
        format!("{} -> {} {} {}\n", text("source"), text("target"), text("connection_type"), edge["requests"])
    };
    graph["edges"].as_array().unwrap().iter().map(line).collect()
}

/// Traces over three minutes: an entry, a call across a minute's border, a database, an external host.
pub fn shop(base_ns: u64, traces: std::ops::Range<u64>) -> Vec<(String, Value)> {
    let lines = "
        0     1<   shop  server
        1     2<1  shop  client server.address=pay
        30000 3<2  pay   server
        30001 4<3  pay   client db.system=postgresql db.name=orders server.address=db-1
        70000 5<3  pay   client server.address=bank
        95000 6<5  bank  server
        95001 7<6  bank  client server.address=rates.example.com";
    let of = |trace| {
        let start_ns = base_ns + trace * 1_500_000_000;
        lines.lines().filter(|line| !line.trim().is_empty()).map(move |line| span(trace, start_ns, line))
    };
    traces.flat_map(of).collect()
}

// One minute's start, an hour ago, so that the shop's traces lie across several minutes.
pub fn base_ns() -> u64 {
    (now_ns() - 3_600_000_000_000) / 60_000_000_000 * 60_000_000_000
}

// A fixed shuffle: the same for every run.
fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed;
    for at in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(at, (state >> 33) as usize % (at + 1));
    }
    items
}

// Runs the program until it dies at a named point.
fn crash_at(dir: &std::path::Path, point: &str) {
    let mut child = command(dir, &["--crash-at", point]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut ended = None;
    eventually(point, || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert!(!ended.unwrap().success(), "it must die at {point}");
}

// All of the answer that does not say when it was made.
fn lasting(graph: &Value) -> (Value, Value) {
    (graph["nodes"].clone(), graph["edges"].clone())
}

pub const SHOP: &str = "bank -> external:rates.example.com external 40
pay -> database:postgresql/orders@db-1 database 40
pay -> bank rpc 40
shop -> pay rpc 40
user:user -> shop rpc 40
";

pub fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

// Scenario: the spans of forty traces at once; the same shuffled, in many requests, twice some of them, with
// kills just before and just after minutes are written, and another restart.
// Guarantee: both give the same nodes and edges, byte for byte; nothing is left waiting after a flush.
#[test]
fn order_repetition_and_restarts_do_not_show() {
    let base_ns = base_ns();
    let spans = shop(base_ns, 0..40);
    let once = Program::start();
    send(&once, "", &spans);
    once.flush();
    let expected = graph_of(&once, "", "");
    assert_eq!(sorted(&edges(&expected)), sorted(SHOP), "{expected}");
    drop(once);

    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start_in(dir.path(), &[]);
    let mixed = shuffled(spans.iter().chain(&spans[..100]).cloned().collect(), 7);
    let chunks: Vec<&[(String, Value)]> = mixed.chunks(23).collect();
    for (number, chunk) in chunks.iter().enumerate() {
        send(&program, "", chunk);
        match number {
            4 => {
                program.kill();
                // What was sent last is rolled up now: killed just before, then just after it was written.
                for point in ["before-roll", "after-roll"] {
                    crash_at(dir.path(), point);
                }
                program = Program::start_in(dir.path(), &[]);
            }
            9 => {
                assert!(program.stop().success());
                program = Program::start_in(dir.path(), &[]);
            }
            7 => program.flush(),
            _ => std::thread::sleep(std::time::Duration::from_millis(150)),
        }
    }
    program.flush();
    let got = graph_of(&program, "", "");
    assert_eq!(lasting(&got), lasting(&expected));
    assert_eq!(got["partial"], Value::Null, "{got}");
}

// Scenario: a client without its server; then the server, in a later minute; a child whose parent comes
// later, in an earlier minute.
// Guarantee: the edge to the external host is drawn and vanishes again; the late parent gives its child's
// edge its caller; each within seconds, without a flush.
#[test]
fn late_spans_correct_the_past() {
    let base_ns = base_ns();
    let program = Program::start();
    let lines = ["0 1< shop server", "10 2<1 shop client server.address=pay", "90000 9<8 mail server"];
    let early: Vec<_> = lines.iter().map(|line| span(1, base_ns, line)).collect();
    send(&program, "", &early);
    program.flush();
    let first = graph_of(&program, "", "");
    assert_eq!(sorted(&edges(&first)), ["shop -> external:pay external 1", "user:user -> shop rpc 1"]);
    let mail = first["nodes"].as_array().unwrap().iter().find(|node| node["name"] == "mail").unwrap();
    assert_eq!(mail["unpaired"], json!({"parent_not_stored": 1}));

    send(&program, "", &[span(1, base_ns, "61000 3<2 pay server"), span(1, base_ns, "5 8<1 shop client")]);
    let wanted = ["shop -> mail rpc 1", "shop -> pay rpc 1", "user:user -> shop rpc 1"];
    eventually("the late spans are in the graph", || sorted(&edges(&graph_of(&program, "", ""))) == wanted);
}

// Scenario: spans of the last minutes come in shuffled portions, some twice, a roll between any two; when their
// traces have long been quiet, one more span of each comes, and consumers that link to them.
// Guarantee: the graph is that of the same spans sent at once; what came early was not read for every portion.
#[test]
fn minutes_that_fill_are_as_if_read_at_once() {
    let program = Program::start_with(&["--set", "tenancy.enabled=true"]);
    let base_ns = now_ns() - 110_000_000_000;
    let spans = shop(base_ns, 0..10);
    let mut late = Vec::new();
    for trace in 0..10 {
        let start_ns = base_ns + trace * 1_500_000_000;
        let topic = "messaging.system=kafka messaging.destination.name=orders";
        late.push(span(trace, start_ns, &format!("40000 8<2 shop producer {topic}")));
        let (service, mut consumer) = span(50 + trace, start_ns, &format!("41000 1< mail consumer {topic}"));
        consumer["links"] =
            json!([{"traceId": late[late.len() - 1].1["traceId"], "spanId": late[late.len() - 1].1["spanId"]}]);
        late.insert(0, (service, consumer));
    }
    let mixed = shuffled(spans.iter().chain(&spans[..20]).cloned().collect(), 3);
    for portion in mixed.chunks(9) {
        send(&program, "a", portion);
        // Who asks has what is new rolled first.
        graph_of(&program, "a", "");
        std::thread::sleep(std::time::Duration::from_millis(700));
    }
    std::thread::sleep(std::time::Duration::from_secs(9));
    for portion in late.chunks(10) {
        send(&program, "a", portion);
        std::thread::sleep(std::time::Duration::from_millis(1_200));
    }
    let flush = || request("POST", &format!("{}/api/v1/flush", program.http), &[("x-scope-orgid", "a")], &[]);
    assert_eq!(flush().status, 200);
    let metrics = request("GET", &format!("{}/metrics", program.http), &[("x-scope-orgid", "a")], &[]).text();
    let count = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let sent = mixed.len() + late.len();
    let (read, rolled) = (count("hypocenter_graph_spans_read_total"), count("hypocenter_graph_minutes_rolled_total"));
    assert!(rolled > 6.0 && read < 5.0 * sent as f64, "{read} spans read of {sent} for {rolled} generations");
    assert!(count("hypocenter_graph_minutes_read_whole_total") >= 1.0, "late spans change what was quiet");
    send(&program, "b", &[mixed, late].concat());
    assert_eq!(flush().status, 200);
    let (filled, at_once) = (graph_of(&program, "a", ""), graph_of(&program, "b", ""));
    assert_eq!(lasting(&filled), lasting(&at_once));
    assert!(edges(&filled).contains("messaging:kafka/orders -> mail messaging 10"), "{}", edges(&filled));
}

// Scenario: for every edge of the graph its traces are asked for, over all and page by page; edges that are
// not drawn, and half an edge.
// Guarantee: exactly the traces that draw it; none for what is not drawn (a client whose server is stored calls
// nobody outside); half an edge is refused.
#[test]
fn an_edge_leads_to_its_traces() {
    let base_ns = base_ns();
    let program = Program::start();
    send(&program, "", &shop(base_ns, 0..40));
    send(&program, "", &[span(77, base_ns, "0 1< pay server"), span(77, base_ns, "1 2<1 bank server")]);
    program.flush();
    let traces = |source: &str, target: &str, more: &str| {
        program.api(&format!("/traces?edge_source={source}&edge_target={target}&limit=100{more}"))
    };
    let count = |answer: &Value| answer["traces"].as_array().unwrap().len();
    for (source, target, expected) in [
        ("shop", "pay", 40),
        ("service:pay", "bank", 41),
        ("user:user", "pay", 1),
        ("pay", "database:postgresql/orders@db-1", 40),
        ("bank", "external:rates.example.com", 40),
        ("pay", "external:bank", 0),
        ("pay", "shop", 0),
        ("nobody", "pay", 0),
    ] {
        let answer = traces(source, target, "");
        assert_eq!(count(&answer), expected, "{source} -> {target}: {answer}");
        assert_eq!(answer["next_cursor"], Value::Null);
    }
    let minute = format!("&from={}&to={}", base_ns + 30_000_000_000, base_ns + 31_000_000_000);
    let edge = graph_of(&program, "", &minute.replacen('&', "?", 1));
    let edge = edge["edges"]
        .as_array()
        .unwrap()
        .iter()
        .find(|edge| edge["target"] == "service:pay" && edge["source"] == "service:shop");
    let calls = edge.unwrap()["requests"].as_u64().unwrap() as usize;
    assert!((1..40).contains(&calls));
    assert_eq!(count(&traces("shop", "pay", &minute)), calls, "the traces of a minute are those of its edge");
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    for _ in 0..10 {
        let page = program.api(&format!("/traces?edge_source=pay&edge_target=bank&limit=9{cursor}"));
        listed.extend(page["traces"].as_array().unwrap().iter().map(|trace| trace["trace_id"].to_string()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(listed.len(), 41);
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), 41, "each once");
    assert_eq!(program.get("/api/v1/traces?edge_source=pay").status, 400);
}

// Scenario: two tenants send other spans under the same ids; one asks around a service, in Grafana's form,
// for nothing, and wrongly.
// Guarantee: each sees its own; the window told is made of whole minutes; focus and form as described; wrong
// parameters are refused.
#[test]
fn tenants_windows_and_forms() {
    let base_ns = base_ns();
    let program = Program::start_with(&["--set", "tenancy.enabled=true"]);
    send(&program, "a", &shop(base_ns, 0..40));
    send(&program, "b", &[span(1, base_ns, "0 1< elsewhere server")]);
    let flushed = request("POST", &format!("{}/api/v1/flush", program.http), &[("x-scope-orgid", "a")], &[]);
    assert_eq!(flushed.status, 200, "{}", flushed.text());
    assert_eq!(sorted(&edges(&graph_of(&program, "a", ""))), sorted(SHOP));
    assert_eq!(edges(&graph_of(&program, "b", "")), "user:user -> elsewhere rpc 1\n");
    assert_eq!(graph_of(&program, "c", "")["nodes"], json!([]));

    let window = format!("?from={}&to={}", base_ns + 1, base_ns + 2);
    let minute = graph_of(&program, "a", &window);
    assert_eq!(minute["from_ns"], base_ns.to_string());
    assert_eq!(minute["to_ns"], (base_ns + 60_000_000_000).to_string());
    let around = graph_of(&program, "a", "?service=bank&hops=1");
    assert_eq!(sorted(&edges(&around)), ["bank -> external:rates.example.com external 40", "pay -> bank rpc 40"]);
    assert_eq!(graph_of(&program, "a", "?service=nobody")["nodes"], json!([]));
    let panel = graph_of(&program, "a", "?format=nodegraph");
    assert_eq!(panel["nodes"].as_array().unwrap().len(), 6);
    assert!(panel["edges"][0]["source"].is_string() && panel["nodes"][0]["arc__ok"].is_number(), "{panel}");
    for wrong in ["?from=yesterday", "?hops=2", "?service=a&hops=-1", "?format=dot", "?from=2000&to=1000"] {
        let answer = request("GET", &format!("{}/api/v1/graph{wrong}", program.http), &[("x-scope-orgid", "a")], &[]);
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
    }
}
