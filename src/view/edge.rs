//! The traces of one edge of the service graph: exactly those in which it is drawn. Candidates are the
//! traces with a span of a service at one of its ends; each is paired by itself, by the rules that drew
//! the graph (`correlate::graph`), and kept when the edge is among its edges in the range.

use std::collections::{HashMap, HashSet};

use correlate::graph::{GraphSpan, Kind, MINUTE_NS, Minute, MinuteGraph, Names, NodeKey, NodeKind, SpanRef, minute_of};
use store::questions::trace::{TraceAt, graph_spans, ranges};
use store::questions::traces::{PageEnd, Summary, TracePage, TraceSearch, search};
use store::questions::{Ask, Window};
use store::rollup::SpanRow;

use crate::ViewError;

/// Traces that are looked at together.
const CANDIDATES: usize = 50;
/// Looks for one page; then the answer is partial, and the cursor goes on.
const LOOKS_MAX: usize = 20;
/// Spans that are read for one look.
const SPANS_MAX: usize = 500_000;
/// Traces that are linked to and read with one look.
const LINKED_MAX: usize = 1_000;

/// An edge by the ids of its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    source: NodeKey,
    target: NodeKey,
}

impl Edge {
    /// An edge between two nodes, given by id (`service:checkout`) or, for services, by name.
    pub fn new(source: &str, target: &str) -> Edge {
        let key = |text: &str| NodeKey::from_id(text).unwrap_or_else(|| NodeKey::new(NodeKind::Service, text));
        Edge { source: key(source), target: key(target) }
    }

    /// A service that has a span in every trace of the edge; `None` when neither end is a service.
    pub fn service(&self) -> Option<&str> {
        let ends = [&self.target, &self.source];
        // A span without a service name stands under a name that it does not have.
        ends.into_iter().find(|end| end.kind == NodeKind::Service).map(|end| end.name.as_str())
    }
}

/// One page of the traces of an edge that also match `asked`.
pub(crate) async fn traces_of(ask: &Ask<'_>, asked: &TraceSearch, edge: &Edge) -> Result<TracePage, ViewError> {
    let mut page = TracePage::default();
    let mut look = TraceSearch { limit: asked.limit.max(CANDIDATES), ..asked.clone() };
    let snapshot_ns = asked.after.as_ref().map_or(i64::MAX, |end| end.snapshot_ns);
    for _ in 0..LOOKS_MAX {
        let found = search(ask, &look).await?;
        let drawn = drawn(ask, &found.traces, asked.window, edge).await?;
        for summary in found.traces {
            if page.traces.len() == asked.limit {
                page.more = page.traces.last().map(|last| (last.key_ns(), last.trace_id.clone()));
                return Ok(page);
            }
            if drawn.contains(&summary.trace_id) {
                page.traces.push(summary);
            }
        }
        match found.more {
            None => return Ok(page),
            Some((key_ns, trace_id)) => {
                page.more = Some((key_ns, trace_id.clone()));
                look.after = Some(PageEnd { key_ns, trace_id, snapshot_ns });
            }
        }
        if page.traces.len() == asked.limit {
            return Ok(page);
        }
    }
    page.partial = true;
    Ok(page)
}

// The ids of those traces in which the edge is drawn in a minute of the window.
async fn drawn(ask: &Ask<'_>, traces: &[Summary], window: Window, edge: &Edge) -> Result<HashSet<String>, ViewError> {
    let mut read = Read::default();
    let ids: Vec<String> = traces.iter().map(|summary| summary.trace_id.clone()).collect();
    read.traces(ask, &ids).await?;
    let of_page = read.spans.len();
    // What they link to lies in other traces.
    let linked = std::mem::take(&mut read.linked);
    let linked: Vec<String> = linked.into_iter().filter(|id| !ids.contains(id)).take(LINKED_MAX).collect();
    read.traces(ask, &linked).await?;
    let (spans, others) = read.spans.split_at(of_page);
    let mut drawn = HashSet::new();
    for id in &ids {
        let Some((_, low)) = trace_id(id) else { continue };
        let own: Vec<GraphSpan> = spans.iter().filter(|span| span.at.trace_low == low).cloned().collect();
        let elsewhere = || spans.iter().filter(|span| span.at.trace_low != low).chain(others);
        if edges_of(&read.names, &own, elsewhere, window, edge) {
            drawn.insert(id.clone());
        }
    }
    Ok(drawn)
}

// Whether the edge is drawn from a trace's own spans, in a minute that the window touches.
fn edges_of<'a, I: Iterator<Item = &'a GraphSpan>>(
    names: &Names,
    own: &'a [GraphSpan],
    elsewhere: impl Fn() -> I,
    window: Window,
    edge: &Edge,
) -> bool {
    let mut minutes: HashMap<i64, Vec<GraphSpan>> = HashMap::new();
    for span in own {
        minutes.entry(minute_of(span.start_ns)).or_default().push(span.clone());
    }
    let pair = |minute_ns: i64, spans: &[GraphSpan], answered: &HashSet<SpanRef>| -> MinuteGraph {
        let missing: HashSet<SpanRef> = Minute::missing(spans).into_iter().collect();
        let others: Vec<GraphSpan> =
            own.iter().chain(elsewhere()).filter(|span| missing.contains(&span.at)).cloned().collect();
        let mut minute = Minute::new(minute_ns);
        minute.add(names, spans, &others, answered);
        minute.finish()
    };
    // Answers do not depend on answers: two rounds do.
    let mut answered: HashMap<i64, HashSet<SpanRef>> = HashMap::new();
    if minutes.len() > 1 {
        for (minute_ns, spans) in &minutes {
            for answer in pair(*minute_ns, spans, &HashSet::new()).answers {
                answered.entry(answer.minute_ns).or_default().insert(answer.at);
            }
        }
    }
    let none = HashSet::new();
    minutes.iter().any(|(minute_ns, spans)| {
        let touches = minute_ns.saturating_add(MINUTE_NS) > window.from_ns && *minute_ns < window.to_ns;
        touches && {
            let graph = pair(*minute_ns, spans, answered.get(minute_ns).unwrap_or(&none));
            graph.edges.iter().any(|row| row.source == edge.source && row.target == edge.target)
        }
    })
}

#[derive(Default)]
struct Read {
    names: Names,
    spans: Vec<GraphSpan>,
    linked: HashSet<String>,
}

impl Read {
    async fn traces(&mut self, ask: &Ask<'_>, ids: &[String]) -> Result<(), ViewError> {
        if ids.is_empty() {
            return Ok(());
        }
        let all = ranges(ask, ids)
            .await?
            .iter()
            .map(store::questions::trace::TraceRange::window)
            .reduce(|a, b| Window { from_ns: a.from_ns.min(b.from_ns), to_ns: a.to_ns.max(b.to_ns) });
        let trace = TraceAt { ids: ids.to_vec(), window: all.unwrap_or(Window::ALL) };
        let Read { names, spans, linked } = self;
        graph_spans(ask, &trace, SPANS_MAX, |row| {
            linked.extend(row.link_trace_ids.iter().filter(|id| **id != row.trace_id).map(|id| (*id).to_owned()));
            spans.extend(narrow(names, row, &mut HashMap::new()));
        })
        .await?;
        Ok(())
    }
}

/// A stored span for pairing; `None` when its ids are not hex, as only foreign writers have them. The
/// high halves of the trace ids that it links to go to `link_highs`.
pub fn narrow(names: &mut Names, row: &SpanRow<'_>, link_highs: &mut HashMap<u64, u64>) -> Option<GraphSpan> {
    let (trace_high, trace_low) = trace_id(row.trace_id)?;
    let mut links = Vec::with_capacity(row.link_span_ids.len());
    for (trace, span) in row.link_trace_ids.iter().zip(&row.link_span_ids) {
        if let (Some((high, trace_low)), Some(span_id)) = (trace_id(trace), number(span)) {
            link_highs.insert(trace_low, high);
            links.push(SpanRef { trace_low, span_id });
        }
    }
    Some(GraphSpan {
        at: SpanRef { trace_low, span_id: number(row.span_id)? },
        parent_id: number(row.parent_span_id).unwrap_or(0),
        trace_high,
        service: names.intern(row.service),
        kind: Kind::from_text(row.kind),
        error: row.error,
        shared: row.shared,
        flags: row.flags,
        start_ns: row.start_ns,
        duration_ns: row.duration_ns,
        weight: row.weight,
        peer: names.intern(row.peer),
        db_system: names.intern(row.db_system),
        db_namespace: names.intern(row.db_namespace),
        messaging_system: names.intern(row.messaging_system),
        destination: names.intern(row.destination),
        links,
    })
}

pub(crate) fn trace_id(text: &str) -> Option<(u64, u64)> {
    let (high, low) = text.split_at_checked(text.len().saturating_sub(16))?;
    let high = if high.is_empty() { 0 } else { number(high)? };
    Some((high, number(low)?))
}

pub(crate) fn number(hex: &str) -> Option<u64> {
    u64::from_str_radix(hex, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: edges given by ids and by names.
    // Guarantee: a name is a service's; candidates are looked for by the service that is called, else by the caller's.
    #[test]
    fn ends_of_edges() {
        assert_eq!(Edge::new("shop", "service:pay").service(), Some("pay"));
        assert_eq!(Edge::new("shop", "database:redis@cache").service(), Some("shop"));
        assert_eq!(Edge::new("user:user", "shop").service(), Some("shop"));
        assert_eq!(Edge::new("messaging:a", "external:b").service(), None);
        assert_eq!(Edge::new("a:b", "shop").source, NodeKey::new(NodeKind::Service, "a:b"));
    }
}
