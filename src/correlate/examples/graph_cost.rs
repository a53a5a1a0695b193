//! What pairing costs per span: `cargo run --release -p hypocenter-correlate --example graph_cost`.
//! A million spans of one minute in traces of about sixteen: three services that call one another, with
//! steps, databases, a topic and an external host.
#![allow(clippy::print_stdout)]

use std::collections::HashSet;
use std::time::Instant;

use correlate::graph::{GraphSpan, Kind, MINUTE_NS, Minute, Name, Names, SpanRef};

const TRACES: u64 = 62_500;

fn main() {
    let mut names = Names::default();
    let mut spans = Vec::new();
    let mut dice = 1u64;
    let mut roll = move || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        dice ^ (dice >> 29)
    };
    let services: Vec<Name> = (0..40).map(|number| names.intern(&format!("service-{number}"))).collect();
    let [db, peer, mq, topic, api] =
        ["postgresql", "db-1", "kafka", "orders", "api.example.com"].map(|t| names.intern(t));
    for _ in 0..TRACES {
        let trace_low = roll();
        let first = roll() as usize % 40;
        let mut start_ns = 100 * MINUTE_NS + (roll() % 50_000_000_000) as i64;
        let mut parent_id = 0;
        for hop in 0..3 {
            for step in 0..5 {
                let kind = [Kind::Server, Kind::Internal, Kind::Client, Kind::Internal, Kind::Client][step];
                start_ns += (roll() % 1_000_000) as i64;
                let mut span = GraphSpan {
                    at: SpanRef { trace_low, span_id: roll() },
                    parent_id,
                    trace_high: 1,
                    service: services[(first + hop * 7) % 40],
                    kind,
                    error: roll() % 50 == 0,
                    start_ns,
                    duration_ns: roll() % (1 << (10 + roll() % 20)),
                    weight: 1.0,
                    ..GraphSpan::default()
                };
                if step == 2 {
                    (span.db_system, span.peer) = (db, peer);
                } else {
                    parent_id = span.at.span_id; // the last client leads to the next service
                }
                if step == 4 && hop == 2 {
                    span.peer = api;
                }
                spans.push(span);
            }
        }
        let mut producer = spans[spans.len() - 1].clone();
        (producer.at.span_id, producer.kind) = (roll(), Kind::Producer);
        (producer.messaging_system, producer.destination) = (mq, topic);
        spans.push(producer);
    }
    report("by trace, as stored", &names, &spans);
    spans.sort_by_key(|span| span.start_ns);
    report("by start", &names, &spans);
}

fn report(order: &str, names: &Names, spans: &[GraphSpan]) {
    let (mut missing_ns, mut pairing_ns) = (f64::MAX, f64::MAX);
    for _ in 0..5 {
        let start = Instant::now();
        assert!(Minute::missing(spans).is_empty());
        missing_ns = missing_ns.min(start.elapsed().as_nanos() as f64);
        let start = Instant::now();
        let mut minute = Minute::new(100 * MINUTE_NS);
        minute.add(names, spans, &[], &HashSet::new());
        let graph = minute.finish();
        pairing_ns = pairing_ns.min(start.elapsed().as_nanos() as f64);
        assert!(graph.edges.len() > 100);
    }
    let count = spans.len() as f64;
    println!(
        "{} spans {order}: pairing {:.0} ns per span, references {:.0} ns",
        spans.len(),
        pairing_ns / count,
        missing_ns / count
    );
}
