//! Spans and graphs as text, for tests.

use std::collections::HashSet;
use std::fmt::Write;

use super::{EdgeRow, GraphSpan, Kind, MINUTE_NS, Minute, MinuteGraph, Names, NodeRow, SpanRef};

/// The minute in which tests play.
pub(super) const MINUTE: i64 = 100 * MINUTE_NS;

/// Reads spans, one a line: `kind id<parent service key=value…`, e.g. `CLIENT 2<1 shop peer=pay ms=5`.
/// Trace 1 unless `trace=`; they begin at second 1 of [`MINUTE`] unless `at=` (milliseconds).
pub(super) fn spans(names: &mut Names, text: &str) -> Vec<GraphSpan> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| span(names, line)).collect()
}

fn span(names: &mut Names, line: &str) -> GraphSpan {
    let mut words = line.split_whitespace();
    let kind = match words.next().unwrap() {
        "SERVER" => Kind::Server,
        "CLIENT" => Kind::Client,
        "PRODUCER" => Kind::Producer,
        "CONSUMER" => Kind::Consumer,
        "INTERNAL" => Kind::Internal,
        "-" => Kind::Unspecified,
        other => panic!("{other} is no kind"),
    };
    let (id, parent) = words.next().unwrap().split_once('<').unwrap();
    let number = |text: &str| if text.is_empty() { 0 } else { text.parse::<u64>().unwrap() };
    let service = words.next().unwrap();
    let mut span = GraphSpan {
        at: SpanRef { trace_low: 1, span_id: number(id) },
        parent_id: number(parent),
        trace_high: 7,
        service: names.intern(if service == "_" { "" } else { service }),
        kind,
        start_ns: MINUTE + 1_000_000_000,
        duration_ns: 1_000_000,
        weight: 1.0,
        ..GraphSpan::default()
    };
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "trace" => span.at.trace_low = number(value),
            "high" => span.trace_high = number(value),
            "at" => span.start_ns = MINUTE + value.parse::<i64>().unwrap() * 1_000_000,
            "ms" => span.duration_ns = number(value) * 1_000_000,
            "weight" => span.weight = value.parse().unwrap(),
            "flags" => span.flags = number(value) as u32,
            "error" => span.error = true,
            "shared" => span.shared = true,
            "peer" => span.peer = names.intern(value),
            "db" => span.db_system = names.intern(value),
            "ns" => span.db_namespace = names.intern(value),
            "mq" => span.messaging_system = names.intern(value),
            "dest" => span.destination = names.intern(value),
            "link" => {
                let (trace, id) = value.split_once('/').unwrap();
                span.links.push(SpanRef { trace_low: number(trace), span_id: number(id) });
            }
            other => panic!("{other} is no key"),
        }
    }
    span
}

/// Pairs the spans of [`MINUTE`] in one chunk, with all others at hand.
pub(super) fn graph(text: &str) -> MinuteGraph {
    let mut names = Names::default();
    let all = spans(&mut names, text);
    one_shot(&names, &all, MINUTE, &HashSet::new())
}

/// Pairs a minute of `all` spans in one chunk.
pub(super) fn one_shot(names: &Names, all: &[GraphSpan], minute_ns: i64, answered: &HashSet<SpanRef>) -> MinuteGraph {
    let here: Vec<GraphSpan> =
        all.iter().filter(|span| super::minute_of(span.start_ns) == minute_ns).cloned().collect();
    let missing: HashSet<SpanRef> = Minute::missing(&here).into_iter().collect();
    let others: Vec<GraphSpan> = all.iter().filter(|span| missing.contains(&span.at)).cloned().collect();
    let mut minute = Minute::new(minute_ns);
    minute.add(names, &here, &others, answered);
    minute.finish()
}

/// `service:a -> service:b rpc 1`, then nodes with what they handled and lack, then references.
pub(super) fn draw(graph: &MinuteGraph) -> String {
    let mut out = String::new();
    graph.edges.iter().for_each(|edge| writeln!(out, "{}", draw_edge(edge)).unwrap());
    graph
        .nodes
        .iter()
        .filter(|node| !node.unpaired.is_empty())
        .for_each(|node| writeln!(out, "{}", lacks(node)).unwrap());
    for wanted in &graph.wanted {
        writeln!(out, "wants {}/{} {}", wanted.at.trace_low, wanted.at.span_id, wanted.reason.code()).unwrap();
    }
    for answer in &graph.answers {
        let minutes = (answer.minute_ns - MINUTE) / MINUTE_NS;
        writeln!(out, "answers {}/{} {minutes:+}", answer.at.trace_low, answer.at.span_id).unwrap();
    }
    out
}

fn draw_edge(edge: &EdgeRow) -> String {
    let mut line =
        format!("{} -> {} {} {}", edge.source.id(), edge.target.id(), edge.connection_type.text(), edge.calls);
    if edge.errors > 0.0 {
        write!(line, " errors {}", edge.errors).unwrap();
    }
    line
}

fn lacks(node: &NodeRow) -> String {
    let reasons: Vec<String> =
        node.unpaired.iter().map(|(reason, count)| format!("{} {count}", reason.code())).collect();
    format!("{}: {}", node.node.id(), reasons.join(", "))
}

/// Compares as text, whatever the indent.
pub(super) fn check(spans: &str, expected: &str) {
    let got = draw(&graph(spans));
    let expected: String =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
    assert_eq!(got, expected, "\nspans:\n{spans}\ngot:\n{got}");
}
