//! The demo against the real program: what it says it sent is what is stored, and its faults are
//! switched while it runs.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::program::{Answer, Program, eventually, request};

fn demo(program: &Program, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hypocenter"));
    command.args(["demo", "--zipkin-endpoint", &program.zipkin]).args(arguments);
    command
}

/// Runs the past minute, and gives its last line, which is a sum, and the truth.
fn past_minute(program: &Program, arguments: &[&str]) -> (String, Vec<Value>) {
    let dir = tempfile::tempdir().unwrap();
    let truth = dir.path().join("truth.jsonl");
    let mut command = demo(program, &["--backfill", "60s", "--duration", "60s", "--rate", "6", "--seed", "17"]);
    let output = command.args(arguments).arg("--truth").arg(&truth).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let truth = std::fs::read_to_string(truth).unwrap();
    let truth = truth.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (out.trim().lines().last().unwrap().to_owned(), truth)
}

/// The number before a word of the demo's sum.
fn number(sum: &str, word: &str) -> u64 {
    let before = sum.split(word).next().unwrap_or_else(|| panic!("{sum} has no {word}"));
    before.trim_end().rsplit(' ').next().unwrap().parse().unwrap_or_else(|error| panic!("{error}: {sum}"))
}

// Scenario: a minute of the shop over HTTP with three faults, one of them over before the end; then the same minute over gRPC.
// Guarantee: every span and log that the demo counts as sent is stored once, nothing is refused, all
// services are there and those in fault fail; the Zipkin service's spans and logs stand in their callers' traces.
#[test]
fn what_is_sent_is_stored() {
    let program = Program::start();
    let faults = ["--fault", "bad-version=1", "--fault", "gone:email@30s", "--fault", "latency@10s+20s"];
    let http = [&["--endpoint", &program.otlp_http][..], &faults].concat();
    let (sum, truth) = past_minute(&program, &http);
    program.flush();
    let (spans, logs) = (number(&sum, "spans,") + number(&sum, "Zipkin spans"), number(&sum, "logs,"));
    assert!(spans > 2000 && logs > 800 && number(&sum, "Zipkin spans") > 20, "{sum}");
    let ingest = program.api("/ingest");
    assert_eq!(ingest["stored"], json!({"traces": spans, "logs": logs, "metrics": 0}), "{sum} {ingest}");
    assert!(
        [&ingest["rejected"], &ingest["dead_letters"]]
            .iter()
            .all(|counts| !counts.to_string().contains(|digit| ('1'..='9').contains(&digit))),
        "{ingest}"
    );

    let services = program.api("/services?from=now-1h&to=now%2B5m");
    let services = services["services"].as_array().unwrap();
    assert_eq!(services.len(), 13, "{services:?}");
    let counted: u64 = services.iter().map(|service| service["spans"].as_u64().unwrap()).sum();
    assert_eq!(counted, spans);
    let errors =
        |name: &str| services.iter().find(|service| service["name"] == name).unwrap()["errors"].as_u64().unwrap();
    assert!(errors("payment") > 2 && errors("frontend") > 2 && errors("catalog") < 20);

    // Three begin, three end; what lasted ends with the run.
    let events: Vec<(&str, &str)> =
        truth.iter().map(|line| (line["event"].as_str().unwrap(), line["kind"].as_str().unwrap())).collect();
    assert_eq!(events.len(), 6, "{events:?}");
    assert_eq!(events.iter().filter(|(event, _)| *event == "ends").count(), 3);
    let ended = truth.iter().find(|line| line["event"] == "ends" && line["kind"] == "bad-version").unwrap();
    assert_eq!((&ended["service"], &ended["version"]), (&json!("payment"), &json!("2.4.0")));
    let example = program.api(&format!("/traces/{}", ended["examples"][0].as_str().unwrap()));
    let failed = example["spans"].as_array().unwrap().iter().find(|span| span["service"] == "payment").unwrap();
    let resource = &example["resources"][failed["resource_index"].as_u64().unwrap() as usize];
    assert!(
        resource.to_string().contains("2.4.0") && resource.to_string().contains(ended["pod"].as_str().unwrap()),
        "{resource}"
    );

    let listed = program.api("/traces?from=now-1h&to=now%2B5m&service=tax&limit=1");
    let trace = program.api(&format!("/traces/{}", listed["traces"][0]["trace_id"].as_str().unwrap()));
    let spans_of = |trace: &Value, service: &str| -> Vec<Value> {
        trace["spans"].as_array().unwrap().iter().filter(|span| span["service"] == service).cloned().collect()
    };
    let tax = spans_of(&trace, "tax");
    assert_eq!(tax.len(), 2, "{trace:#}");
    let caller = spans_of(&trace, "checkout").into_iter().find(|span| span["span_id"] == tax[0]["span_id"]);
    assert!(caller.is_some(), "no caller shares its span with tax: {trace:#}");
    let logs = trace["logs"].as_array().unwrap();
    assert!(logs.iter().any(|log| log["service"] == "tax" && log["join"] == "found"), "{logs:?}");

    let (sum, _) =
        past_minute(&program, &["--protocol", "grpc", "--endpoint", &program.otlp_grpc, "--tenant", "shop-a"]);
    program.flush();
    let more = number(&sum, "spans,") + number(&sum, "Zipkin spans");
    assert_eq!(program.api("/ingest")["stored"]["traces"], spans + more, "{sum}");
}

/// A running demo.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    control: String,
}

impl Running {
    fn start(program: &Program, arguments: &[&str]) -> Running {
        let mut command = demo(program, &["--endpoint", &program.otlp_http, "--control", "127.0.0.1:0"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let control = loop {
            let line = lines.next().expect("the demo ended before it told its address").unwrap();
            if let Some(url) = line.strip_prefix("Control page: ") {
                break url.to_owned();
            }
        };
        Running { child, lines, control }
    }

    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        request(method, &format!("{}{path}", self.control), headers, body.as_bytes())
    }

    fn api(&self, path: &str) -> Value {
        let answer = self.call("GET", path, &[], "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// Scenario: a live demo with its page: every fault is switched on, half of them by the page's forms and
// half by the API; one is mended by its number, one by the page, the rest together; then Ctrl-C. Other
// sites and nonsense try, too.
// Guarantee: each fault acts while it is on and says when it was; the others are refused with a reason;
// the end is a success, and everything sent is stored.
#[test]
fn faults_are_switched_while_it_runs() {
    let program = Program::start();
    let mut demo = Running::start(&program, &["--rate", "25", "--seed", "5"]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let page = demo.call("GET", "/", &[], "");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(!page.text().contains("<script"));
    let menu = demo.api("/api/faults")["menu"].as_array().unwrap().clone();
    assert_eq!(menu.len(), 10);
    for (at, entry) in menu.iter().enumerate() {
        let (kind, target) = (entry["kind"].as_str().unwrap(), entry["target"].as_str().unwrap());
        assert!(page.text().contains(&format!("value={kind}>")), "{kind} is not on the page");
        // The frontend's neighbours are left whole, so that every other fault is still reached.
        if at % 2 == 0 {
            let answer = demo.call("POST", "/api/faults", &[], &json!({"kind": kind, "target": target}).to_string());
            assert_eq!(answer.status, 201, "{}", answer.text());
            assert_eq!(answer.json()["kind"], kind);
        } else {
            let body = format!("kind={kind}&target={}&size=&for=", target.replace('>', "%3E").replace(' ', "+"));
            let answer = demo.call("POST", "/on", &form, &body);
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        eventually(kind, || {
            let on = demo.api("/api/faults")["on"].as_array().unwrap().clone();
            on.iter().any(|fault| fault["kind"] == kind && fault["acted"].as_u64().unwrap() > 0)
        });
        let state = demo.call("GET", "/state", &[], "").text();
        assert!(state.contains(kind) && state.contains("Mend"), "{state}");
        // What comes first on the way would hide what comes later: only the first two last.
        if at >= 2 {
            let id = demo.api("/api/faults")["on"].as_array().unwrap().last().unwrap()["id"].clone();
            let answer = match at % 2 {
                0 => demo.call("DELETE", &format!("/api/faults/{id}"), &[], ""),
                _ => demo.call("POST", "/off", &form, &format!("id={id}")),
            };
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    let faults = demo.api("/api/faults");
    assert_eq!((faults["on"].as_array().unwrap().len(), faults["over"].as_array().unwrap().len()), (2, 8));
    assert_eq!(demo.call("DELETE", "/api/faults", &[], "").json().as_array().unwrap().len(), 2);
    let over = demo.api("/api/faults")["over"].as_array().unwrap().clone();
    let time = |fault: &Value, key: &str| fault[key].as_str().unwrap().parse::<u64>().unwrap();
    assert!(over.len() == 10 && over.iter().all(|fault| time(fault, "from_ns") < time(fault, "to_ns")), "{over:?}");

    let refused = |path: &str, headers: &[(&str, &str)], body: &str, status: u16, reason: &str| {
        let answer = demo.call("POST", path, headers, body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(reason), "{body}: {}", answer.text());
    };
    refused("/api/faults", &[("origin", "http://elsewhere.example")], "{\"kind\":\"gone\"}", 403, "only from itself");
    refused("/api/faults", &[], "{\"kind\":\"fire\"}", 400, "there are latency");
    refused("/api/faults", &[], "{\"kind\":\"gone\",\"at\":1}", 400, "`at` is not known");
    refused("/api/faults", &[], "{\"kind\":\"gone\",\"for\":\"soon\"}", 400, "not a length of time");
    refused("/api/faults", &[], "[", 400, "not JSON");
    refused("/on", &form, "kind=gone&target=%3Cscript%3E", 400, "&lt;script&gt;");
    assert_eq!(demo.call("DELETE", "/api/faults/99", &[], "").status, 404);
    assert_eq!(demo.api("/api/topology")["edges"].as_array().unwrap().len(), 31);

    let status = Command::new("kill").args(["-INT", &demo.child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let said: Vec<String> = demo.lines.by_ref().map(Result::unwrap).collect();
    let sum = said.last().unwrap();
    assert!(demo.child.wait().unwrap().success(), "{said:?}");
    assert!(sum.starts_with("Closed."), "{said:?}");
    program.flush();
    let (spans, logs) = (number(sum, "spans,") + number(sum, "Zipkin spans"), number(sum, "logs,"));
    assert_eq!(program.api("/ingest")["stored"], json!({"traces": spans, "logs": logs, "metrics": 0}), "{sum}");
}

// Scenario: the menu, the graph, wrong arguments, and no server.
// Guarantee: the first two are printed; the others end at once, or after the patience, with a reason.
#[test]
fn arguments() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_hypocenter")).arg("demo").args(arguments).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), out.into_owned(), err.into_owned())
    };
    let (success, menu, _) = run(&["--list-faults"]);
    assert!(success && menu.contains("retry-storm:checkout->inventory=0.7") && menu.contains("targets: node-1"));
    let (success, topology, _) = run(&["--topology"]);
    let topology: Value = serde_json::from_str(&topology).unwrap();
    assert!(success && topology["nodes"].as_array().unwrap().len() == 13 + 8 + 2 + 2 + 1, "{topology}");
    let nobody = "http://127.0.0.1:9";
    let wrong: &[(&[&str], &str)] = &[
        (&["--fault", "fire"], "no fault is called `fire`"),
        (&["--rate", "0"], "a rate is a number above 0"),
        (&["--backfill", "yesterday"], "a length of time is written"),
        (&["--endpoint", "localhost"], "is no address such as"),
        (
            &["--endpoint", nobody, "--zipkin-endpoint", nobody, "--patience", "0"],
            "start a server with `hypocenter run`",
        ),
    ];
    for (arguments, reason) in wrong {
        let (success, _, err) = run(arguments);
        assert!(!success && err.contains(reason), "{arguments:?}: {err}");
    }
}

// Scenario: a minute of the shop without faults.
// Guarantee: the graph drawn from its spans is the shop's topology, no node and no edge more or less, and
// every visit is counted on the user's edge.
#[test]
fn the_graph_is_the_topology() {
    let program = Program::start();
    let (sum, _) = past_minute(&program, &["--endpoint", &program.otlp_http]);
    program.flush();
    let output = Command::new(env!("CARGO_BIN_EXE_hypocenter")).args(["demo", "--topology"]).output().unwrap();
    let topology: Value = serde_json::from_slice(&output.stdout).unwrap();
    let graph = program.api("/graph?from=now-10m&to=now%2B2m");
    let edges = |graph: &Value| -> BTreeSet<String> {
        let edges = graph["edges"].as_array().unwrap().iter();
        edges.map(|edge| format!("{} -> {} {}", edge["source"], edge["target"], edge["connection_type"])).collect()
    };
    let nodes = |graph: &Value| -> BTreeSet<String> {
        graph["nodes"].as_array().unwrap().iter().map(|node| format!("{} {}", node["id"], node["kind"])).collect()
    };
    assert_eq!(edges(&graph), edges(&topology));
    assert_eq!(nodes(&graph), nodes(&topology));
    let visits = graph["edges"].as_array().unwrap().iter().find(|edge| edge["source"] == "user:user").unwrap();
    assert_eq!(visits["requests"].as_f64(), Some(number(&sum, "visits;") as f64), "{sum} {visits}");
}
