//! What evidence costs per span: `cargo run --release -p hypocenter-correlate --example evidence_cost`.
//! A million spans of one minute in traces of about sixteen, and half as many log lines: three services that call
//! one another, with steps and databases, two pods of each.
#![allow(clippy::print_stdout)]

use correlate::evidence::{EvidenceLog, EvidenceSpan, Minute, PeerType, sample};
use correlate::graph::{Kind, Name, Names, SpanRef};

const TRACES: u64 = 62_500;
const SERVICES: usize = 40;

fn main() {
    let mut names = Names::default();
    let (mut spans, mut logs) = (Vec::new(), Vec::new());
    let mut dice = 1u64;
    let mut roll = move || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        dice ^ (dice >> 29)
    };
    let mut numbered = |what: &str, count: usize| -> Vec<Name> {
        (0..count).map(|number| names.intern(&format!("{what}-{number}"))).collect()
    };
    let (services, operations, lines) =
        (numbered("service", SERVICES), numbered("operation", SERVICES * 8), numbered("line", SERVICES * 10));
    let (pods, key) = (numbered("pod", SERVICES * 2), numbered("host.name", 1)[0]);
    for _ in 0..TRACES {
        let trace_low = roll();
        let first = roll() as usize % SERVICES;
        let (mut parent_id, mut start_ns) = (0, (roll() % 50_000_000_000) as i64);
        let mut left_ns = 200_000_000;
        for hop in 0..3 {
            let service = (first + hop * 7) % SERVICES;
            for step in 0..5 {
                let at = SpanRef { trace_low, span_id: roll() };
                let duration_ns = left_ns - left_ns / 10 - roll() % (left_ns / 10);
                start_ns += (roll() % 1_000_000) as i64;
                let database = names_of(step == 2, &services);
                spans.push(EvidenceSpan {
                    at,
                    parent_id,
                    service: services[service],
                    operation: operations[service * 8 + step],
                    kind: [Kind::Server, Kind::Internal, Kind::Client, Kind::Internal, Kind::Client][step],
                    error: roll() % 50 == 0,
                    start_ns,
                    duration_ns,
                    weight: 1.0,
                    version: pods[0],
                    instance: pods[service * 2 + (roll() % 2) as usize],
                    attributes: vec![(key, pods[service])],
                    peer: database,
                    peer_type: PeerType::Database,
                    ..EvidenceSpan::default()
                });
                if step % 2 == 0 {
                    let line = service * 10 + (roll() % 10) as usize;
                    logs.push(EvidenceLog {
                        at,
                        service: services[service],
                        time_ns: start_ns + 1_000,
                        severity: 9,
                        pattern: 1_000 + line as u64,
                        template: lines[line],
                        location: lines[line],
                    });
                }
                if step != 2 {
                    (parent_id, left_ns) = (at.span_id, duration_ns);
                }
            }
        }
    }
    report("by trace, as stored", &names, &spans, &logs);
    spans.sort_by_key(|span| span.start_ns);
    logs.sort_by_key(|log| log.time_ns);
    report("by time", &names, &spans, &logs);
}

// Time on a processor, so that a busy machine does not show.
fn cpu_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn names_of(names: bool, services: &[Name]) -> Name {
    if names { services[0] } else { Name::EMPTY }
}

fn report(order: &str, names: &Names, spans: &[EvidenceSpan], logs: &[EvidenceLog]) {
    let (mut rows_ns, mut rows) = (f64::MAX, 0);
    for _ in 0..3 {
        let start = cpu_ns();
        let mut minute = Minute::default();
        minute.add(names, spans, logs, &[]);
        let evidence = minute.finish(names);
        rows_ns = rows_ns.min(cpu_ns() - start);
        rows = evidence.rows();
    }
    let start = cpu_ns();
    let traces = sample(names, spans, logs, &[]).traces.len();
    let sample_ms = (cpu_ns() - start) / 1e6;
    println!(
        "{} spans and {} logs {order}: {:.0} CPU-ns per span, {rows} rows; a sample of {traces} traces in {sample_ms:.0} ms",
        spans.len(),
        logs.len(),
        rows_ns / spans.len() as f64,
    );
}
