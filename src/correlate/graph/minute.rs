//! One (tenant, minute): chunks of spans in, rows out.

use std::collections::HashSet;

use super::books::{Books, Desk};
use super::index::{Entry, Index, within};
use super::kin::Kin;
use super::minute_of;
use super::names::Names;
use super::pair::{Links, pair};
use super::rows::MinuteGraph;
use super::source::Source;
use super::span::{GraphSpan, Kind, SpanRef};

/// Accumulates one (tenant, minute).
#[derive(Clone, Debug)]
pub struct Minute {
    books: Books,
    kin: Kin,
}

impl Minute {
    /// The minute that starts at `minute_ns` (see [`super::minute_of`]).
    pub fn new(minute_ns: i64) -> Minute {
        Minute { books: Books::new(minute_of(minute_ns)), kin: Kin::default() }
    }

    /// References of `spans` that are not among them, sorted, each once: parents, what consumers and
    /// clients link to, and the span's own ids where it joined its client's span (Zipkin's `shared`) and the client
    /// is not here. `spans` are all spans of this minute of some traces.
    pub fn missing(spans: &[GraphSpan]) -> Vec<SpanRef> {
        let index = Index::of(spans);
        let mut missing = Vec::new();
        for trace in index.traces() {
            for same in trace.chunk_by(|a, b| a.at == b.at) {
                let spans = || same.iter().map(|entry| &spans[entry.row as usize]);
                if spans().any(is_joined) && !spans().any(|span| span.kind == Kind::Client) {
                    missing.push(same[0].at);
                }
                for span in spans() {
                    let parent = SpanRef { span_id: span.parent_id, ..span.at };
                    if span.parent_id != 0 && within(trace, parent).is_empty() {
                        missing.push(parent);
                    }
                    // Repetitions may make one a receiver only together.
                    if matches!(span.kind, Kind::Client | Kind::Consumer) {
                        missing.extend(span.links.iter().filter(|at| index.find(**at).is_empty()));
                    }
                }
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Pairs a chunk: all spans of this minute of some traces (by the low 64 bits of the trace id), in
    /// any order, duplicates and all; a trace is in one chunk only.
    ///
    /// `others`: all stored spans whose ids are in `Minute::missing(spans)`, of any minute. (A link may
    /// lead to another trace of this very minute; spans that are in the chunk anyway do no harm.)
    /// `answered`: the spans of this minute that the answers of other minutes name.
    ///
    /// Numbers of `names` hold for this call only: another chunk may come with another interner.
    pub fn add(&mut self, names: &Names, spans: &[GraphSpan], others: &[GraphSpan], answered: &HashSet<SpanRef>) {
        let minute_ns = self.books.minute_ns;
        let here = Index::of(spans);
        let first = spans.len() as u32;
        let entries = others.iter().enumerate().map(|(row, span)| Entry { at: span.at, row: first + row as u32 });
        // Of this minute only links to traces of other chunks are looked up.
        let (nearby, others_entries): (Vec<Entry>, Vec<Entry>) =
            entries.partition(|entry| minute_of(others[(entry.row - first) as usize].start_ns) == minute_ns);
        let (nearby, away) = (Index::sorted(nearby), Index::sorted(others_entries));
        let mut answered: Vec<SpanRef> = answered.iter().copied().collect();
        answered.sort_unstable();
        let mut source = Source::new(names, spans, others);
        let mut links = Links::new(&here, &nearby, &away, minute_ns);
        let mut desk = Desk::new(&mut self.books, names);
        for trace in here.traces() {
            let trace_low = trace[0].at.trace_low;
            self.kin.load(&mut source, trace, away.trace(trace_low));
            let start = answered.partition_point(|at| at.trace_low < trace_low);
            let count = answered[start..].partition_point(|at| at.trace_low == trace_low);
            pair(&source, &mut self.kin, &mut links, &answered[start..start + count], &mut desk);
        }
        self.books.settle();
    }

    /// The rows, in canonical order.
    pub fn finish(self) -> MinuteGraph {
        self.books.finish()
    }
}

fn is_joined(span: &GraphSpan) -> bool {
    span.shared && span.kind == Kind::Server
}
