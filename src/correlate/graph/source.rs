//! The spans of a chunk by row, with repetitions made one.

use std::cmp::Ordering;

use super::names::{Name, Names};
use super::sketch::units;
use super::span::{GraphSpan, SpanRef};

/// Rows: first the chunk's spans, then the others, then what repetitions were made into.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) names: &'a Names,
    pub(super) spans: &'a [GraphSpan],
    pub(super) others: &'a [GraphSpan],
    merged: Vec<GraphSpan>,
}

impl<'a> Source<'a> {
    pub(super) fn new(names: &'a Names, spans: &'a [GraphSpan], others: &'a [GraphSpan]) -> Source<'a> {
        Source { names, spans, others, merged: Vec::new() }
    }

    /// The span of a row.
    pub(super) fn span(&self, row: u32) -> &GraphSpan {
        let row = row as usize;
        if let Some(span) = self.spans.get(row) {
            return span;
        }
        let row = row - self.spans.len();
        self.others.get(row).unwrap_or_else(|| &self.merged[row - self.others.len()])
    }

    /// Puts rows with the same ids into canonical order and makes repetitions of a span one row. The
    /// result depends on the set alone: texts are compared, not their numbers.
    pub(super) fn settle(&mut self, rows: &mut Vec<u32>) {
        if rows.len() < 2 {
            return;
        }
        rows.sort_unstable_by(|a, b| self.order(self.span(*a), self.span(*b)));
        let mut kept = 0;
        let mut next = 1;
        while next < rows.len() {
            if self.order(self.span(rows[kept]), self.span(rows[next])) == Ordering::Equal {
                let mut end = next + 1;
                while end < rows.len() && self.order(self.span(rows[kept]), self.span(rows[end])) == Ordering::Equal {
                    end += 1;
                }
                rows[kept] = self.merge(rows[kept], &rows[next..end]);
                next = end;
            } else {
                kept += 1;
                rows[kept] = rows[next];
                next += 1;
            }
        }
        rows.truncate(kept + 1);
    }

    /// The first in canonical order of rows with the same ids, repetitions merged.
    pub(super) fn first(&self, rows: &[u32]) -> Option<GraphSpan> {
        let first = *rows.iter().min_by(|a, b| self.order(self.span(**a), self.span(**b)))?;
        let mut span = self.span(first).clone();
        let same = rows.iter().filter(|row| **row != first && self.order(self.span(**row), &span) == Ordering::Equal);
        let rows: Vec<u32> = same.copied().collect();
        self.absorb(&mut span, &rows);
        Some(span)
    }

    // Equal for repetitions of one span.
    pub(super) fn order(&self, a: &GraphSpan, b: &GraphSpan) -> Ordering {
        let key = |span: &GraphSpan| (span.kind, span.start_ns, span.duration_ns);
        key(a).cmp(&key(b)).then_with(|| self.compare(a.service, b.service))
    }

    fn compare(&self, a: Name, b: Name) -> Ordering {
        if a == b { Ordering::Equal } else { self.names.text(a).cmp(self.names.text(b)) }
    }

    fn merge(&mut self, first: u32, rest: &[u32]) -> u32 {
        // Nearly always repetitions are equal in everything, and no copy is needed.
        if rest.iter().all(|row| self.span(*row) == self.span(first)) {
            return first;
        }
        let mut span = self.span(first).clone();
        self.absorb(&mut span, rest);
        self.merged.push(span);
        (self.spans.len() + self.others.len() + self.merged.len() - 1) as u32
    }

    // Field by field the greatest: the order of repetitions does not matter.
    fn absorb(&self, span: &mut GraphSpan, rest: &[u32]) {
        for other in rest.iter().map(|row| self.span(*row)) {
            let greater = |a: Name, b: Name| if self.compare(a, b) == Ordering::Less { b } else { a };
            span.parent_id = span.parent_id.max(other.parent_id);
            span.trace_high = span.trace_high.max(other.trace_high);
            span.error |= other.error;
            span.shared |= other.shared;
            span.flags |= other.flags;
            if units(span.weight) < units(other.weight) {
                span.weight = other.weight;
            }
            span.peer = greater(span.peer, other.peer);
            span.db_system = greater(span.db_system, other.db_system);
            span.db_namespace = greater(span.db_namespace, other.db_namespace);
            span.messaging_system = greater(span.messaging_system, other.messaging_system);
            span.destination = greater(span.destination, other.destination);
            span.links.extend_from_slice(&other.links);
        }
        span.links.sort_unstable();
        span.links.dedup();
    }
}

/// What a message's receiver must know of its producer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) at: SpanRef,
    pub(super) service: Name,
    pub(super) is_producer: bool,
    pub(super) error: bool,
    pub(super) start_ns: i64,
    pub(super) duration_ns: u64,
    pub(super) messaging_system: Name,
    pub(super) destination: Name,
    pub(super) peer: Name,
}

impl From<&GraphSpan> for Sender {
    fn from(span: &GraphSpan) -> Sender {
        Sender {
            at: span.at,
            service: span.service,
            is_producer: span.kind == super::Kind::Producer,
            error: span.error,
            start_ns: span.start_ns,
            duration_ns: span.duration_ns,
            messaging_system: span.messaging_system,
            destination: span.destination,
            peer: span.peer,
        }
    }
}
