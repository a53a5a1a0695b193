//! Hostile minutes: large, and all in one place. Each is finished in seconds even unoptimised; a
//! quadratic step would take hours.

use std::collections::HashSet;

use super::tests_kit::MINUTE;
use super::{ConnectionType, GraphSpan, Kind, Minute, MinuteGraph, Name, Names, Reason, SpanRef};

const MANY: u64 = 100_000;

fn paired(names: &Names, spans: &[GraphSpan]) -> MinuteGraph {
    let missing: HashSet<SpanRef> = Minute::missing(spans).into_iter().collect();
    let others: Vec<GraphSpan> = spans.iter().filter(|span| missing.contains(&span.at)).cloned().collect();
    let mut minute = Minute::new(MINUTE);
    minute.add(names, spans, &others, &HashSet::new());
    minute.finish()
}

fn span(span_id: u64, parent_id: u64, kind: Kind, service: Name) -> GraphSpan {
    let at = SpanRef { trace_low: 1, span_id };
    GraphSpan { at, parent_id, kind, service, start_ns: MINUTE, weight: 1.0, ..GraphSpan::default() }
}

fn lacks(graph: &MinuteGraph, wanted: Reason) -> u64 {
    let all = graph.nodes.iter().flat_map(|node| &node.unpaired);
    all.filter(|(reason, _)| *reason == wanted).map(|(_, count)| count).sum()
}

// Scenario: a hundred thousand spans under one another, with a server below each, in one trace.
// Guarantee: every call is drawn, without recursion and without walking up again and again.
#[test]
fn a_deep_trace() {
    let mut names = Names::default();
    let (a, b) = (names.intern("a"), names.intern("b"));
    let mut spans: Vec<GraphSpan> = (1..=MANY).map(|id| span(id, id - 1, Kind::Internal, a)).collect();
    spans.extend((1..=MANY).map(|id| span(MANY + id, id, Kind::Server, b)));
    let graph = paired(&names, &spans);
    assert_eq!(graph.edges.iter().map(|edge| edge.calls).collect::<Vec<_>>(), [MANY as f64]);
}

// Scenario: one circle of a hundred thousand spans.
// Guarantee: all marked, nothing drawn.
#[test]
fn one_great_circle() {
    let mut names = Names::default();
    let a = names.intern("a");
    let spans: Vec<GraphSpan> = (1..=MANY).map(|id| span(id, id % MANY + 1, Kind::Internal, a)).collect();
    let graph = paired(&names, &spans);
    assert_eq!((graph.edges.len(), lacks(&graph, Reason::CyclicParents)), (0, MANY));
}

// Scenario: a hundred thousand spans of one id, each of another service, kind or time, and as many children.
// Guarantee: marked as surplus; each child belongs to the span of its service.
#[test]
fn one_id_for_all() {
    let mut names = Names::default();
    let kinds = [Kind::Server, Kind::Client, Kind::Internal, Kind::Consumer];
    let mut spans = Vec::new();
    for number in 0..MANY {
        let service = names.intern(&format!("s{}", number % 5_000));
        let mut crowd = span(9, number % 2 * 9, kinds[number as usize % 4], service);
        crowd.start_ns += number as i64;
        crowd.shared = number % 3 == 0;
        spans.push(crowd);
        spans.push(span(10 + number, 9, Kind::Internal, service));
    }
    let graph = paired(&names, &spans);
    assert_eq!(lacks(&graph, Reason::DuplicateId), MANY - 2);
    let called: u64 =
        graph.edges.iter().filter(|edge| edge.connection_type == ConnectionType::Rpc).map(|e| e.spans).sum();
    assert!(called < 2 * MANY);
}

// Scenario: the same span a hundred thousand times; one consumer with as many links to as many spans of one id.
// Guarantee: one span; one delivery.
#[test]
fn repetitions_and_links() {
    let mut names = Names::default();
    let (a, b) = (names.intern("a"), names.intern("b"));
    let again = span(1, 0, Kind::Server, a);
    let graph = paired(&names, &vec![again; MANY as usize]);
    assert_eq!(graph.edges.iter().map(|edge| edge.spans).sum::<u64>(), 1);

    let mut spans: Vec<GraphSpan> = (0..MANY).map(|_| span(1, 0, Kind::Producer, a)).collect();
    spans.iter_mut().zip(0..).for_each(|(span, number)| span.duration_ns = number);
    for id in 0..20 {
        let mut consumer = span(2 + id, 0, Kind::Consumer, b);
        consumer.at.trace_low = 2;
        consumer.links = (0..MANY / 20).map(|id| SpanRef { trace_low: 1, span_id: 1 + id % 2 * id }).collect();
        spans.push(consumer);
    }
    let graph = paired(&names, &spans);
    assert_eq!(
        graph.edges.iter().map(|edge| (edge.calls, edge.connection_type)).collect::<Vec<_>>(),
        [(20.0, ConnectionType::Messaging)]
    );
}

// Scenario: a hundred thousand external hosts and services, in one chunk and in twenty.
// Guarantee: the number of nodes is bounded, no call is lost, and the cut into chunks does not show.
#[test]
fn a_flood_of_names() {
    let mut names = Names::default();
    let mut spans = Vec::new();
    for number in 0..MANY {
        let service = names.intern(&format!("s{}", number % 9_000));
        let mut client = span(1, 0, Kind::Client, service);
        client.at.trace_low = number;
        client.peer = names.intern(&format!("host-{number}"));
        spans.push(client);
    }
    let whole = paired(&names, &spans);
    assert!(whole.nodes.len() <= super::tally::NODES_MAX + 5, "{} nodes", whole.nodes.len());
    assert_eq!(whole.edges.iter().map(|edge| edge.calls).sum::<f64>(), MANY as f64);
    let mut minute = Minute::new(MINUTE);
    for chunk in spans.chunks(5_000).rev() {
        minute.add(&names, chunk, &[], &HashSet::new());
    }
    assert!(minute.finish() == whole, "chunks show");
}

// Scenario: times at both ends of the scale, and minutes far from the epoch.
// Guarantee: no overflow.
#[test]
fn times_at_the_ends() {
    let mut names = Names::default();
    let a = names.intern("a");
    for start_ns in [i64::MIN, i64::MAX, -1] {
        let mut server = span(1, 0, Kind::Server, a);
        (server.start_ns, server.duration_ns) = (start_ns, u64::MAX);
        let mut minute = Minute::new(super::minute_of(start_ns));
        minute.add(&names, &[server], &[], &HashSet::new());
        assert_eq!(minute.finish().edges.len(), 1);
    }
}
