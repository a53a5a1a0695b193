//! Incidents, end to end: a shop that breaks while it is watched, and who is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::program::{Program, eventually, request};
use crate::smtp::{Smtp, Taken};

/// A receiver of webhooks: keeps what it took; refuses as often as it is told to.
struct Receiver {
    url: String,
    taken: Arc<Mutex<Vec<(String, Value)>>>,
    refuse: Arc<AtomicU32>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (taken, refuse) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(0)));
        let (kept, refused) = (Arc::clone(&taken), Arc::clone(&refuse));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
                reader.read_line(&mut first).unwrap();
                let path = first.split(' ').nth(1).unwrap().to_owned();
                while reader.read_line(&mut line).unwrap() > 2 {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let is_refused =
                    refused.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
                if !is_refused {
                    kept.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
                }
                let status = if is_refused { "500 Internal Server Error" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Receiver { url, taken, refuse }
    }

    fn taken(&self, path: &str) -> Vec<Value> {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|(at, _)| at == path).map(|(_, body)| body.clone()).collect()
    }
}

fn demo(program: &Program, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_hypocenter"))
        .args(["demo", "--endpoint", &program.otlp_http, "--zipkin-endpoint", &program.zipkin, "--rate", "10"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn incidents(program: &Program, query: &str) -> Vec<Value> {
    program.api(&format!("/incidents{query}"))["incidents"].as_array().unwrap().clone()
}

fn send(program: &Program, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [("content-type", "application/json")];
    let answer = request(method, &format!("{}{path}", program.http), &headers, text.as_bytes());
    (answer.status, answer.json())
}

// Scenario: a shop runs for twelve minutes; then, while it is watched, one of its services is gone. The receiver
// refuses the first tries, and so does the mail server; the program is restarted before anything is taken. Then all is
// well again.
// Guarantee: one incident on the right service, in the API, by the command, and in one message that each kind of
// receiver takes once, with a link to the incident; it survives the restart.
#[test]
fn one_incident_one_message() {
    let receiver = Receiver::start();
    receiver.refuse.store(u32::MAX, Ordering::SeqCst);
    let post = Smtp::start();
    post.refuse.store(u32::MAX, Ordering::SeqCst);
    let dir = tempfile::tempdir().unwrap();
    let hooks = [("webhooks", "hook"), ("slack", "slack"), ("alertmanager", "api/v2/alerts")]
        .map(|(key, path)| format!("notify.{key}={}/{path}", receiver.url));
    let mails = [
        format!("notify.smtp=smtp://hypocenter:secret@{}", post.address),
        "notify.from=watch@example.com".to_owned(),
        "notify.email=ops@example.com,dev@example.com".to_owned(),
    ];
    let sets: Vec<String> = hooks.into_iter().chain(mails).collect();
    let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    let mut program = Program::start_in(dir.path(), &arguments);
    let past = demo(&program, &["--backfill", "12m", "--duration", "12m", "--seed", "3"]).wait().unwrap();
    assert!(past.success());
    program.flush();
    // What is usual is learnt at start.
    assert!(program.stop().success());
    let mut program = Program::start_in(dir.path(), &arguments);
    let mut live = demo(&program, &["--duration", "6m", "--seed", "4", "--fault", "gone:shipping@20s+90s"]);
    let began = std::time::Instant::now();
    while incidents(&program, "?state=open").is_empty() {
        assert!(began.elapsed().as_secs() < 240, "an incident is open: {:#?}", incidents(&program, "?state=suspected"));
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    eventually("deliveries are tried", || {
        receiver.refuse.load(Ordering::SeqCst) < u32::MAX && post.refuse.load(Ordering::SeqCst) < u32::MAX
    });
    let open = incidents(&program, "?state=open");
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!(open[0]["suspects"][0]["service"], "shipping", "{open:#?}");
    assert!(!open[0]["symptoms"].as_array().unwrap().is_empty() && open[0]["verdict"] == "localised", "{open:#?}");
    assert!(receiver.taken("/hook").is_empty());
    program.kill();
    let program = Program::start_in(dir.path(), &arguments);
    receiver.refuse.store(2, Ordering::SeqCst);
    post.refuse.store(1, Ordering::SeqCst);
    eventually("the message is taken", || !receiver.taken("/hook").is_empty());
    let taken = receiver.taken("/hook");
    let id = open[0]["id"].as_str().unwrap();
    assert_eq!((&taken[0]["kind"], &taken[0]["incident"]), (&json!("opened"), &json!(id)), "{taken:#?}");
    assert_eq!(taken[0]["suspect"], "shipping", "{taken:#?} {:#?}", incidents(&program, ""));
    assert!(taken[0]["url"].as_str().unwrap().ends_with(&format!("/incidents/{id}")), "{taken:#?}");
    let kept = program.api(&format!("/incidents/{id}"));
    assert_eq!(kept["suspects"][0]["service"], "shipping");
    let still = incidents(&program, "?state=open");
    assert_eq!(still.len(), 1, "the same one: {still:#?}");
    assert_eq!(receiver.taken("/hook").iter().filter(|message| message["kind"] == "opened").count(), 1);
    eventually("the others take theirs", || {
        !receiver.taken("/slack").is_empty() && !receiver.taken("/api/v2/alerts").is_empty()
    });
    assert!(receiver.taken("/slack")[0]["blocks"].to_string().contains("shipping"));
    assert_eq!(receiver.taken("/api/v2/alerts")[0][0]["labels"]["incident"], id);
    eventually("everybody has a mail", || post.taken().len() >= 2);
    let mails = post.taken();
    for to in ["ops@example.com", "dev@example.com"] {
        let of = |mail: &&Taken| mail.header("To").as_deref() == Some(to);
        let opened: Vec<&Taken> = mails.iter().filter(of).filter(|mail| mail.header("References").is_none()).collect();
        assert_eq!(opened.len(), 1, "{to}: {mails:#?}");
        assert_eq!(opened[0].header("Message-ID").unwrap(), format!("<{id}-opened-1@example.com>"));
        assert!(opened[0].header("Subject").unwrap().starts_with("[Hypocenter] shipping: "), "{mails:#?}");
        assert!(opened[0].commands.iter().any(|said| said == &format!("RCPT TO:<{to}>")), "{mails:#?}");
        assert!(opened[0].mail.contains(&format!("/incidents/{id}")), "{mails:#?}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
        .args(["incidents", "--endpoint", &program.http, "--state", "open"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.starts_with("open  shipping") && said.contains(id), "{said}");
    live.kill().unwrap();
    live.wait().unwrap();
}

// Scenario: rules and silences are written, replaced, ended; wrong ones; an incident that does not exist.
// Guarantee: what makes sense is kept; what does not is refused with the field that is wrong.
#[test]
fn wishes_are_kept_or_refused() {
    let program = Program::start();
    let rule = json!({"name": "slow", "when": {"kind": "threshold", "signal": "p95_ms", "service": "pay*", "above": 500.0, "window_s": 60}});
    let (status, kept) = send(&program, "POST", "/api/v1/rules", &rule);
    let known = |path: &str| program.api(path);
    assert_eq!((status, &kept["name"], &kept["enabled"]), (200, &json!("slow"), &json!(true)), "{kept}");
    let silence = json!({"id": "deploy", "service": "pay", "from_ns": "1", "until_ns": 2, "comment": "we know"});
    assert_eq!(send(&program, "POST", "/api/v1/silences", &silence).0, 200);
    assert_eq!(send(&program, "POST", "/api/v1/silences", &silence).0, 200);
    assert_eq!(known("/rules")["rules"].as_array().unwrap().len(), 1);
    assert_eq!(known("/silences")["silences"].as_array().unwrap().len(), 1);
    for (path, wrong, field) in [
        ("/api/v1/rules", json!({"name": "", "when": {"kind": "absence", "service": "a", "for_s": 60}}), "name"),
        ("/api/v1/rules", json!({"name": "a", "when": {"kind": "absence", "service": "a", "for_s": -1}}), "for_s"),
        ("/api/v1/rules", json!({"name": "a", "wen": {}}), "wen"),
        ("/api/v1/silences", json!({"id": "x", "from_ns": 1, "until_ns": 2}), "service"),
        ("/api/v1/silences", json!({"id": "x", "service": "a", "from_ns": 3, "until_ns": 2}), "until_ns"),
    ] {
        let (status, answer) = send(&program, "POST", path, &wrong);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(status == 400 && message.contains(field), "{wrong}: {answer}");
    }
    let (status, left) = send(&program, "DELETE", "/api/v1/silences/deploy", &Value::Null);
    assert_eq!((status, &left["silences"]), (200, &json!([])));
    assert_eq!(send(&program, "DELETE", "/api/v1/silences/deploy", &Value::Null).0, 404);
    assert_eq!(send(&program, "GET", "/api/v1/incidents/nothing", &Value::Null).0, 404);
    assert_eq!(send(&program, "GET", "/api/v1/incidents?state=odd", &Value::Null).0, 400);
    assert!(incidents(&program, "").is_empty());
}

// Scenario: rules and a silence stand in the configuration, one rule that any request breaks; a tenant replaces the other,
// giving back what was listed, takes that back, and tries to end what is configured.
// Guarantee: all are listed with their source, and followed; the tenant's own stands in place of the configured one, until it
// ends; what is configured cannot be ended here, and it is said why.
#[test]
fn configured_wishes_are_shown() {
    let rule = json!({"name": "gone", "when": {"kind": "absence", "service": "pay", "for_s": 60}});
    let silence = json!({"id": "tests", "service": "test*", "until_ns": "2100-01-01T00:00:00Z"});
    let busy = json!({"name": "busy", "when": {"kind": "threshold", "signal": "throughput", "service": "*", "above": 0, "window_s": 10}});
    let sets = [format!("watch.rules=[{rule},{busy}]"), format!("watch.silences=[{silence}]")];
    let program = Program::start_with(&["--set", &sets[0], "--set", &sets[1]]);
    let rules = || -> Vec<(String, String, i64)> {
        let shown = program.api("/rules")["rules"].as_array().unwrap().clone();
        let text = |rule: &Value, key: &str| rule[key].as_str().unwrap().to_owned();
        let row = |rule: &Value| (text(rule, "name"), text(rule, "source"), rule["when"]["for_s"].as_i64().unwrap());
        shown.iter().filter(|rule| rule["name"] == "gone").map(row).collect()
    };
    let mut live = demo(&program, &["--duration", "3m", "--seed", "5"]);
    let row = |source: &str, for_s| vec![("gone".to_owned(), source.to_owned(), for_s)];
    assert_eq!(rules(), row("config", 60));
    let silences = program.api("/silences")["silences"].clone();
    assert_eq!((&silences[0]["source"], &silences[0]["until_ns"]), (&json!("config"), &json!("4102444800000000000")));
    let mut own = program.api("/rules")["rules"][0].clone();
    own["when"]["for_s"] = json!(90);
    assert_eq!(send(&program, "POST", "/api/v1/rules", &own).0, 200);
    assert_eq!(rules(), row("api", 90));
    assert_eq!(send(&program, "DELETE", "/api/v1/rules/gone", &Value::Null).0, 200);
    assert_eq!(rules(), row("config", 60));
    for (path, key) in [("/api/v1/rules/gone", "watch.rules"), ("/api/v1/silences/tests", "watch.silences")] {
        let (status, answer) = send(&program, "DELETE", path, &Value::Null);
        assert!(status == 400 && answer["error"]["message"].as_str().unwrap().contains(key), "{answer}");
    }
    let began = std::time::Instant::now();
    let broken =
        |state: &str| incidents(&program, state).iter().any(|incident| incident.to_string().contains("rule busy"));
    while !broken("?state=suspected") && !broken("?state=open") {
        assert!(began.elapsed().as_secs() < 150, "the rule is followed");
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    live.kill().unwrap();
    live.wait().unwrap();
}
