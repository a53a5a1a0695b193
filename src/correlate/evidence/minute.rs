//! One (tenant, minute): chunks of whole traces in, rows out.

use model::evidence::Evidence;

use crate::graph::{Name, Names, SpanRef};

use super::digest::{Digest, Source};
use super::span::{EvidenceLog, EvidenceSpan};
use super::tally::Tally;
use super::texts::Texts;

/// Accumulates the evidence of one (tenant, minute), or of any set of traces.
#[derive(Debug, Default)]
pub struct Minute {
    texts: Texts,
    digest: Digest,
    tally: Tally,
}

impl Minute {
    /// Adds a chunk: all spans and logs of some traces (by the low 64 bits of the trace id), in any order,
    /// duplicates and all; a trace is in one chunk only. Logs without spans of their trace are left out.
    ///
    /// `senders`: spans of other traces that these link to (messages), as far as they are not in the chunk.
    /// All chunks of a minute come with the same `names`, which may have grown.
    pub fn add(&mut self, names: &Names, spans: &[EvidenceSpan], logs: &[EvidenceLog], senders: &[EvidenceSpan]) {
        self.texts.update(names);
        let (digest, tally, texts) = (&mut self.digest, &mut self.tally, &self.texts);
        each_trace((names, texts), spans, logs, senders, |source, rows, lines| {
            digest.load(source, rows, lines);
            tally.take(source, digest);
        });
    }

    /// The rows, sorted.
    pub fn finish(self, names: &Names) -> Evidence {
        self.tally.finish(names, &self.texts)
    }
}

/// Calls `take` with the rows of the spans and logs of every trace.
pub(super) fn each_trace(
    (names, texts): (&Names, &Texts),
    spans: &[EvidenceSpan],
    logs: &[EvidenceLog],
    senders: &[EvidenceSpan],
    mut take: impl FnMut(&Source, &[u32], &[u32]),
) {
    let rows = by_trace(spans.iter().map(|span| span.at));
    let lines = by_trace(logs.iter().map(|log| log.at));
    let wanted = spans.iter().any(|span| !span.links.is_empty());
    let all = if wanted { spans.iter().chain(senders).map(|span| (span.at, span)).collect() } else { Vec::new() };
    let mut senders: Vec<(SpanRef, &EvidenceSpan)> = all;
    let order = |span: &EvidenceSpan| {
        let of = |name: Name| texts.hash(name);
        (
            span.kind != crate::graph::Kind::Producer,
            of(span.service),
            of(span.operation),
            span.start_ns,
            span.duration_ns,
        )
    };
    senders.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| order(a.1).cmp(&order(b.1))));
    let source = Source { names, texts, spans, logs, senders: &senders };
    let (mut rest, mut members, mut own) = (&lines[..], Vec::new(), Vec::new());
    for trace in rows.chunk_by(|a, b| a.0 == b.0) {
        rest = &rest[rest.partition_point(|line| line.0 < trace[0].0)..];
        let count = rest.iter().take_while(|line| line.0 == trace[0].0).count();
        members.clear();
        members.extend(trace.iter().map(|(_, row)| *row));
        own.clear();
        own.extend(rest[..count].iter().map(|(_, row)| *row));
        take(&source, &members, &own);
    }
}

// (trace, row), sorted. Spans come grouped by trace more often than not, which sorts fast.
fn by_trace(ids: impl Iterator<Item = SpanRef>) -> Vec<(u64, u32)> {
    let mut rows: Vec<(u64, u32)> = ids.enumerate().map(|(row, at)| (at.trace_low, row as u32)).collect();
    rows.sort();
    rows
}
