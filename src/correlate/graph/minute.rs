//! One (tenant, minute): chunks of spans in, rows out.

use std::collections::HashSet;

use super::names::Names;
use super::rows::MinuteGraph;
use super::span::{GraphSpan, SpanRef};

/// Accumulates one (tenant, minute).
#[derive(Debug)]
pub struct Minute {
    minute_ns: i64,
}

impl Minute {
    /// The minute that starts at `minute_ns` (see [`super::minute_of`]).
    pub fn new(minute_ns: i64) -> Minute {
        Minute { minute_ns }
    }

    /// References of `spans` that are not among them, sorted, each once. `spans` are spans of this
    /// minute: all of a trace (same low 64 bits) or none.
    pub fn missing(_spans: &[GraphSpan]) -> Vec<SpanRef> {
        Vec::new()
    }

    /// Pairs a chunk: all spans of this minute of some traces (by the low 64 bits of the trace id), in
    /// any order, duplicates and all; a trace is in one chunk only.
    ///
    /// `others`: all stored spans whose ids are in `Minute::missing(spans)`, of any minute. (A link may
    /// lead to another trace of this very minute; spans that are in the chunk anyway do no harm.)
    /// `answered`: the spans of this minute that the answers of other minutes name.
    ///
    /// Numbers of `names` hold for this call only: another chunk may come with another interner.
    pub fn add(&mut self, _names: &Names, _spans: &[GraphSpan], _others: &[GraphSpan], _answered: &HashSet<SpanRef>) {}

    /// The rows, in canonical order.
    pub fn finish(self) -> MinuteGraph {
        let _ = self.minute_ns;
        MinuteGraph::default()
    }
}
