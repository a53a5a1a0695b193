//! Traces in a form small enough to look at one by one: what explaining away and examples need.

use std::ops::Range;

/// Some traces of a window, their texts numbered.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Texts; services, operations, instances and versions are numbers in it.
    pub names: Vec<String>,
    /// The traces.
    pub traces: Vec<SampleTrace>,
}

/// One trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleTrace {
    /// Its id.
    pub trace_id: u128,
    /// Start of its first span, nanoseconds since the epoch.
    pub start_ns: i64,
    /// Whether the request failed as its caller saw it (see `correlate::evidence`).
    pub failed: bool,
    /// How many traces it stands for.
    pub weight: f64,
    /// Spans, parents before their children; at most [`SampleTrace::SPANS_MAX`].
    pub spans: Vec<SampleSpan>,
    /// Events of all spans; each span names its range.
    pub events: Vec<u64>,
}

/// A span of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleSpan {
    /// Span id.
    pub span_id: u64,
    /// Place of the parent in the trace; none for a root, or a span that has lost its parent.
    pub parent: Option<u32>,
    /// Service.
    pub service: u32,
    /// Operation.
    pub operation: u32,
    /// Service instance, 0 when unknown.
    pub instance: u32,
    /// Service version, 0 when unknown.
    pub version: u32,
    /// Duration, nanoseconds.
    pub duration_ns: u64,
    /// Duration without the children's, nanoseconds.
    pub self_ns: u64,
    /// Whether it is the client side of a call whose server side is a child: its own time is the gap.
    pub is_caller: bool,
    /// Where a call from another service arrives: the client span's duration minus this one's, nanoseconds.
    pub gap_ns: Option<u64>,
    /// Whether its status is ERROR, or its HTTP status says as much.
    pub error: bool,
    /// Whether an error starts here: it is an error and nothing below is.
    pub is_origin: bool,
    /// Its events in [`SampleTrace::events`], without start and end.
    pub events: Range<u32>,
}

impl Sample {
    /// The text of a number; empty for one out of range.
    pub fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", |name| name)
    }
}

impl SampleTrace {
    /// Spans of one trace that are kept; what was cut is counted in the rows.
    pub const SPANS_MAX: usize = 20_000;

    /// The events of a span, in order.
    pub fn events_of(&self, span: &SampleSpan) -> &[u64] {
        self.events.get(span.events.start as usize..span.events.end as usize).unwrap_or_default()
    }
}
