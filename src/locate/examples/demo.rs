//! The faults of `hypocenter demo`, each located: `cargo run --release -p hypocenter-locate --example demo --
//! [--all] [--rate N] [--seeds N] [-v] [FAULT]`. The simulator's telemetry is read as it is sent, and every report
//! is compared with the truth that the demo tells. `--all` tries every target of every fault, not the default one.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;

use correlate::evidence::{EvidenceLog, EvidenceSpan, Exception, Minute, PeerType, Template, sample};
use correlate::find_in_text;
use correlate::graph::{Kind, Name, Names, SpanRef};
use demo::{Item, Log, Order, Payload, Resource, Settings, Simulator, Span, Status, Value};
use locate::{Question, Report, Verdict, Weights, locate};
use model::evidence::{Evidence, Sample};

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
const START_NS: i64 = 1_764_331_200 * SECOND_NS;
/// Minutes: baseline, healthy, fault.
const BASELINE: i64 = 5;
const HEALTHY: i64 = 3;
const FAULT: i64 = 3;

/// Spans and logs of a window.
#[derive(Clone, Default)]
struct Window {
    spans: Vec<EvidenceSpan>,
    logs: Vec<EvidenceLog>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let number = |flag: &str, default: f64| {
        let at = arguments.iter().position(|argument| argument == flag);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let (rate, seeds) = (number("--rate", 20.0), number("--seeds", 1.0) as u64);
    let only = arguments.last().filter(|last| demo::Kind::ALL.iter().any(|kind| last.starts_with(kind.name())));
    let mut orders: Vec<Option<String>> = vec![None];
    for kind in demo::Kind::ALL {
        match has("--all") {
            true => orders.extend(kind.targets().iter().map(|target| Some(format!("{}:{target}", kind.name())))),
            false => orders.push(Some(kind.name().to_owned())),
        }
    }
    if let Some(only) = only {
        orders.retain(|order| order.as_ref().is_some_and(|order| order.starts_with(only.as_str())));
    }
    let (mut right, mut near, mut all, mut false_leads) = (0, 0, 0, 0);
    for order in &orders {
        for seed in 1..=seeds {
            let (names, windows, truth) = simulate(order.as_deref(), rate, seed);
            if truth.as_ref().is_some_and(|truth| truth["acted"] == 0) {
                println!("{} seed {seed}: never acted", order.as_deref().unwrap_or_default());
                continue;
            }
            let report = ask(&names, &windows);
            let Some(truth) = truth else {
                false_leads += u32::from(report.verdict == Verdict::Localised);
                tell("no fault", seed, &report, has("-v"));
                continue;
            };
            let guilty = truth["service"].as_str();
            let rank = report.suspects.iter().position(|suspect| Some(suspect.service.as_str()) == guilty);
            all += u32::from(guilty.is_some());
            right += u32::from(rank == Some(0));
            near += u32::from(rank.is_some_and(|rank| rank < 3));
            if rank != Some(0) || has("-v") {
                let what = format!("{} (guilty {guilty:?} is {rank:?})", order.as_deref().unwrap_or_default());
                tell(&what, seed, &report, has("-v"));
            }
        }
    }
    println!(
        "right first {right} of {all}, in the first three {near}; false leads without a fault {false_leads} of {seeds}"
    );
}

fn tell(what: &str, seed: u64, report: &Report, at_length: bool) {
    println!("{what}, seed {seed}: {}", report.verdict.code());
    println!("  {}", report.summary);
    for suspect in report.suspects.iter().take(3) {
        let parts: Vec<String> = suspect.parts.iter().map(|part| format!("{} {:.2}", part.name, part.score)).collect();
        println!("  {:.2} {:.2} {}: {}", suspect.score, suspect.confidence, suspect.service, parts.join(", "));
        for item in suspect.evidence.iter().take(if at_length { 5 } else { 2 }) {
            println!("       {:.2} {}: {}", item.score, item.kind.code(), item.text);
        }
    }
}

fn simulate(order: Option<&str>, rate: f64, seed: u64) -> (Names, Vec<Window>, Option<serde_json::Value>) {
    let minutes = BASELINE + HEALTHY + FAULT;
    let mut shop = Simulator::new(Settings { seed, start_ns: START_NS, rate });
    let from_ns = START_NS + (BASELINE + HEALTHY) * MINUTE_NS;
    if let Some(order) = order {
        let mut order = Order::parse(order).expect("a fault of the menu");
        order.after_ms = ((from_ns - START_NS) / 1_000_000) as f64;
        shop.switch_on(&order, START_NS);
    }
    let mut items = Vec::new();
    while shop.next_ns() < START_NS + minutes * MINUTE_NS {
        shop.step(&mut items);
    }
    let truth = order.map(|_| shop.faults()[0].truth());
    let mut names = Names::default();
    let mut began: BTreeMap<u64, i64> = BTreeMap::new();
    let mut all = Window::default();
    for item in &items {
        match &item.payload {
            Payload::Span(span) | Payload::ZipkinSpan(span) => {
                let first = began.entry(span.trace_id as u64).or_insert(i64::MAX);
                *first = (*first).min(span.start_ns);
                all.spans.push(read_span(&mut names, item, item.resource, span));
            }
            Payload::Log(log) => all.logs.extend(read_log(&mut names, item.resource, log)),
        }
    }
    // Baseline, every healthy minute, fault.
    let window = |trace: u64| {
        let minute = (began.get(&trace).copied().unwrap_or(i64::MAX).saturating_sub(START_NS)) / MINUTE_NS;
        (minute - BASELINE + 1).clamp(0, HEALTHY + 1) as usize
    };
    let mut windows = vec![Window::default(); HEALTHY as usize + 2];
    all.spans.into_iter().for_each(|span| windows[window(span.at.trace_low)].spans.push(span));
    all.logs.into_iter().for_each(|log| windows[window(log.at.trace_low)].logs.push(log));
    (names, windows, truth)
}

fn ask(names: &Names, windows: &[Window]) -> Report {
    let producers = windows.iter().flat_map(|window| &window.spans).filter(|span| span.kind == Kind::Producer);
    let senders: Vec<EvidenceSpan> = producers.cloned().collect();
    let evidence = |window: &Window| {
        let mut minute = Minute::default();
        minute.add(names, &window.spans, &window.logs, &senders);
        minute.finish(names)
    };
    let traces = |window: &Window| -> Sample { sample(names, &window.spans, &window.logs, &senders) };
    let rows: Vec<Evidence> = windows.iter().map(evidence).collect();
    let last = windows.len() - 1;
    let (good, bad) = (traces(&windows[0]), traces(&windows[last]));
    locate(&Question {
        fault: &rows[last],
        baseline: &rows[0],
        fault_ns: FAULT * MINUTE_NS,
        baseline_ns: BASELINE * MINUTE_NS,
        healthy: &rows[1..last],
        samples: Some((&good, &bad)),
        service: None,
        limit: 10,
        weights: Weights::default(),
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
    }
}

fn read_span(names: &mut Names, item: &Item, resource: Resource, span: &Span) -> EvidenceSpan {
    let of = demo::otlp::resource_attributes(resource);
    let resource_value =
        |key: &str| of.iter().find(|(known, _)| *known == key).map(|(_, value)| text(value)).unwrap_or_default();
    let value = |keys: &[&str]| keys.iter().find_map(|key| span.attribute(key)).map(text).unwrap_or_default();
    let database = value(&["db.system.name", "db.system"]);
    let topic = value(&["messaging.destination.name", "messaging.destination"]);
    let namespace = value(&["db.namespace", "db.name"]);
    let remote = span.remote.as_ref().map(|remote| remote.name.to_owned()).unwrap_or_default();
    let (peer, peer_type) = match (database.is_empty(), topic.is_empty()) {
        (false, _) => (format!("{database}/{namespace}"), PeerType::Database),
        (true, false) => (topic, PeerType::Topic),
        (true, true) => {
            let address = value(&["peer.service", "server.address", "net.peer.name", "rpc.service"]);
            (if address.is_empty() { remote } else { address }, PeerType::Service)
        }
    };
    let exceptions = span.events.iter().filter(|event| event.name == "exception").map(|event| {
        let attribute = |key: &str| {
            event.attributes.iter().find(|(known, _)| *known == key).map(|(_, value)| text(value)).unwrap_or_default()
        };
        (event.time_ns, attribute("exception.type"), attribute("exception.message"))
    });
    let exceptions: Vec<Exception> = exceptions
        .map(|(time_ns, kind, message)| Exception {
            time_ns,
            kind: names.intern(&kind),
            message: names.intern(&message),
        })
        .collect();
    let is_zipkin = matches!(item.payload, Payload::ZipkinSpan(_));
    let message = match &span.status {
        Status::Error(message) => message.clone(),
        _ => String::new(),
    };
    let mut keyed = Vec::new();
    for key in ["host.name", "k8s.pod.name"] {
        let value = resource_value(key);
        if !value.is_empty() {
            keyed.push((names.intern(key), names.intern(&value)));
        }
    }
    EvidenceSpan {
        at: SpanRef { trace_low: span.trace_id as u64, span_id: span.span_id },
        parent_id: span.parent_id,
        trace_high: (span.trace_id >> 64) as u64,
        service: names.intern(&resource_value("service.name")),
        operation: names.intern(&span.name),
        kind: Kind::from_number(span.kind as u8),
        shared: span.shared,
        error: matches!(span.status, Status::Error(_)) || (is_zipkin && span.attribute("error").is_some()),
        http_status: value(&["http.response.status_code", "http.status_code"]).parse().unwrap_or_default(),
        grpc_status: value(&["rpc.grpc.status_code", "rpc.response.status_code"]).parse().unwrap_or_default(),
        start_ns: span.start_ns,
        duration_ns: (span.end_ns - span.start_ns).max(0) as u64,
        weight: 1.0,
        version: names.intern(&resource_value("service.version")),
        instance: Name::EMPTY,
        message: names.intern(&message),
        peer: names.intern(&peer),
        peer_type,
        attributes: keyed,
        exceptions,
        links: span.links.iter().map(|(trace, span)| SpanRef { trace_low: *trace as u64, span_id: *span }).collect(),
    }
}

fn read_log(names: &mut Names, resource: Resource, log: &Log) -> Option<EvidenceLog> {
    let attribute = |keys: &[&str]| {
        let found = log.attributes.iter().find(|(known, _)| keys.contains(known));
        found.map(|(_, value)| text(value)).unwrap_or_default()
    };
    let (mut trace, mut span) = (log.trace_id, log.span_id);
    if trace == 0 {
        let hex = attribute(&["trace_id", "traceId"]);
        if let Ok(found) = u128::from_str_radix(&hex, 16) {
            trace = found;
            span = u64::from_str_radix(&attribute(&["span_id", "spanId"]), 16).unwrap_or_default();
        } else {
            let found = find_in_text(log.body.as_bytes())?;
            trace = u128::from_be_bytes(found.trace.0);
            span = u64::from_be_bytes(found.span.0);
        }
    }
    let file = attribute(&["code.file.path", "code.filepath"]);
    let line = attribute(&["code.line.number", "code.lineno"]);
    let location =
        if file.is_empty() { String::new() } else { format!("{}:{line}", file.rsplit('/').next().unwrap_or_default()) };
    let template = Template::of(log.body.as_bytes(), log.severity as u8, &location);
    let of = demo::otlp::resource_attributes(resource);
    let service = of.iter().find(|(key, _)| *key == "service.name").map(|(_, value)| text(value)).unwrap_or_default();
    Some(EvidenceLog {
        at: SpanRef { trace_low: trace as u64, span_id: span },
        service: names.intern(&service),
        time_ns: log.time_ns,
        severity: log.severity as u8,
        pattern: template.key,
        template: names.intern(&template.text),
        location: names.intern(&template.location),
    })
}
