//! The rows, and how they add up.

use super::{Count, Dist};

/// Evidence of a minute, or of several added up. Every list is sorted by its key, each key once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Work that entered the system, by where it entered.
    pub requests: Vec<RequestRow>,
    /// What services did.
    pub operations: Vec<OperationRow>,
    /// Calls and messages between services, and to what has no spans.
    pub edges: Vec<EdgeRow>,
    /// Where errors start and where they only pass through.
    pub origins: Vec<OriginRow>,
    /// What follows what inside spans.
    pub transitions: Vec<TransitionRow>,
    /// What the events are.
    pub events: Vec<EventRow>,
    /// Log patterns by the outcome of their request.
    pub patterns: Vec<PatternRow>,
    /// Attribute values by outcome.
    pub attributes: Vec<AttributeRow>,
    /// What was left out to keep within bounds.
    pub cut: Cut,
}

/// Requests of one entry operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestRow {
    /// Service of the trace's first span.
    pub service: String,
    /// Operation of it.
    pub operation: String,
    /// How many began here.
    pub requests: Count,
    /// How many of them failed.
    pub failed: Count,
    /// Duration of the first span.
    pub duration: Dist,
}

/// Spans of one operation of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperationRow {
    /// Service.
    pub service: String,
    /// Operation (span name).
    pub operation: String,
    /// Whether these are client sides of calls to services with spans: their own time is the way there and
    /// back, and counts on the edge.
    pub is_caller: bool,
    /// Spans.
    pub spans: Count,
    /// Spans with an error.
    pub errors: Count,
    /// Duration without the children's.
    pub self_time: Dist,
}

/// What lies between the two ends of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeType {
    /// A call.
    #[default]
    Rpc,
    /// A message; its gap is the time it waited.
    Messaging,
    /// A database or cache, which has no spans.
    Database,
    /// Something else without spans.
    External,
}

/// Calls of one client operation to one callee.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeRow {
    /// Calling or sending service.
    pub caller: String,
    /// Operation of the span that calls (the client span where there is one).
    pub operation: String,
    /// Called service; a database, host or topic by its name; empty when a client span has no server span
    /// and names nobody.
    pub callee: String,
    /// Type.
    pub edge: EdgeType,
    /// Calls.
    pub calls: Count,
    /// Calls that failed on either side.
    pub errors: Count,
    /// Calls of a service from which no span came back (and which is therefore named by its address at best).
    pub silent: Count,
    /// Calls whose server span lies outside its client span by more than the clocks' tolerance.
    pub skewed: Count,
    /// Spans that made such calls, one or several: calls per parent is the fan-out.
    pub parents: Count,
    /// Calls that came right after a failed one of the same parent to the same callee.
    pub retries: Count,
    /// Duration as the caller saw it.
    pub latency: Dist,
    /// Client span minus server span; for messages from the producer's end to the consumer's start.
    pub gap: Dist,
    /// How the caller names the callee (an address; the least in byte order), or empty; no part of the key. It
    /// tells whom a call was meant for that nobody answers.
    pub peer: String,
}

/// Errors as they start in, or pass through, an operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OriginRow {
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// What the error is: exception type, `HTTP 503`, `gRPC 14`, or empty when only the status tells.
    pub what: String,
    /// Requests with an error that starts here: an error span without one below it.
    pub starts: Count,
    /// Requests with an error that only passes through here.
    pub passes: Count,
    /// Requests that failed and in which an error starts here.
    pub failed: Count,
    /// A message seen with it (the least in byte order), shortened; no part of the key.
    pub message: String,
}

/// Inside spans of an operation, `to` came right after `from`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransitionRow {
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// An event; [`super::START`] for the span's start.
    pub from: u64,
    /// The next event; [`super::END`] for the span's end.
    pub to: u64,
    /// How often.
    pub count: Count,
}

/// Kind of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A log line.
    #[default]
    Log,
    /// A child span: a call to another service, or a step.
    Call,
    /// An exception recorded in the span.
    Exception,
}

/// What an event is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventRow {
    /// Its number: the pattern's for logs, else a hash.
    pub event: u64,
    /// Kind.
    pub kind: EventKind,
    /// The pattern's template, what is called, or the exception's type.
    pub text: String,
    /// Where in the source, when known: `Class#line`, `file.go:12`.
    pub location: String,
    /// OpenTelemetry severity number of a log, 0 when unknown; 17 for exceptions.
    pub severity: u8,
}

/// Lines of one pattern of a service, by the outcome of their request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatternRow {
    /// Service.
    pub service: String,
    /// The event.
    pub event: u64,
    /// Lines.
    pub lines: Count,
    /// Requests that failed and have such a line.
    pub failing: Count,
    /// Requests that did not fail and have such a line.
    pub good: Count,
}

/// Work that entered a service (its spans without a parent of the service) with an attribute value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributeRow {
    /// Service.
    pub service: String,
    /// Attribute key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Spans that entered the service.
    pub spans: Count,
    /// Those in which an error starts in this service.
    pub origins: Count,
    /// Those that are errors.
    pub errors: Count,
    /// Those that end after their caller's span does, by more than the clocks' tolerance: the clock is ahead.
    pub late: Count,
    /// Those that begin before their caller's span does, by as much: the clock is behind.
    pub early: Count,
    /// Time spent in the service itself, below the entering span.
    pub self_time: Dist,
}

/// What was left out to keep within bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Rows that would have had keys of their own, counted once for each time they were seen.
    pub rows: u64,
    /// Spans of traces with too many.
    pub spans: u64,
    /// Events of spans with too many.
    pub events: u64,
}

impl Evidence {
    /// Adds all of another. The result does not depend on the order in which rows are added.
    pub fn merge(&mut self, other: Evidence) {
        self.merge_all([other]);
    }

    /// Adds all of several: the same, with each list put in order once.
    pub fn merge_all(&mut self, others: impl IntoIterator<Item = Evidence>) {
        for other in others {
            self.requests.extend(other.requests);
            self.operations.extend(other.operations);
            self.edges.extend(other.edges);
            self.origins.extend(other.origins);
            self.transitions.extend(other.transitions);
            self.events.extend(other.events);
            self.patterns.extend(other.patterns);
            self.attributes.extend(other.attributes);
            self.cut.rows = self.cut.rows.saturating_add(other.cut.rows);
            self.cut.spans = self.cut.spans.saturating_add(other.cut.spans);
            self.cut.events = self.cut.events.saturating_add(other.cut.events);
        }
        fold(&mut self.requests);
        fold(&mut self.operations);
        fold(&mut self.edges);
        fold(&mut self.origins);
        fold(&mut self.transitions);
        fold(&mut self.events);
        fold(&mut self.patterns);
        fold(&mut self.attributes);
    }

    /// The event of a number.
    pub fn event(&self, event: u64) -> Option<&EventRow> {
        self.events.binary_search_by_key(&event, |row| row.event).ok().map(|place| &self.events[place])
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.requests.len()
            + self.operations.len()
            + self.edges.len()
            + self.origins.len()
            + self.transitions.len()
            + self.events.len()
            + self.patterns.len()
            + self.attributes.len()
    }
}

/// A row that adds up with those of its key.
trait Row: Default {
    fn order(&self, other: &Self) -> std::cmp::Ordering;
    fn absorb(&mut self, other: Self);
}

// What a row is known by, and what of it adds up.
macro_rules! row {
    ($row:ty, key: [$($key:ident),*], counts: [$($count:ident),*], dists: [$($dist:ident),*]) => {
        impl Row for $row {
            fn order(&self, other: &Self) -> std::cmp::Ordering {
                ($(&self.$key,)*).cmp(&($(&other.$key,)*))
            }
            fn absorb(&mut self, other: Self) {
                $(self.$count.add(other.$count);)*
                $(self.$dist.merge(&other.$dist);)*
            }
        }
    };
}

row!(RequestRow, key: [service, operation], counts: [requests, failed], dists: [duration]);
row!(OperationRow, key: [service, operation, is_caller], counts: [spans, errors], dists: [self_time]);
row!(TransitionRow, key: [service, operation, from, to], counts: [count], dists: []);
row!(PatternRow, key: [service, event], counts: [lines, failing, good], dists: []);
row!(AttributeRow, key: [service, key, value], counts: [spans, origins, errors, late, early], dists: [self_time]);

impl Row for EdgeRow {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        (&self.caller, &self.callee, &self.operation, self.edge).cmp(&(
            &other.caller,
            &other.callee,
            &other.operation,
            other.edge,
        ))
    }

    fn absorb(&mut self, other: Self) {
        self.calls.add(other.calls);
        self.errors.add(other.errors);
        self.silent.add(other.silent);
        self.skewed.add(other.skewed);
        self.parents.add(other.parents);
        self.retries.add(other.retries);
        self.latency.merge(&other.latency);
        self.gap.merge(&other.gap);
        least(&mut self.peer, other.peer);
    }
}

// Keeps the least text that is one.
fn least(kept: &mut String, other: String) {
    if kept.is_empty() || (!other.is_empty() && other < *kept) {
        *kept = other;
    }
}

impl Row for OriginRow {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        (&self.service, &self.operation, &self.what).cmp(&(&other.service, &other.operation, &other.what))
    }

    fn absorb(&mut self, other: Self) {
        self.starts.add(other.starts);
        self.passes.add(other.passes);
        self.failed.add(other.failed);
        least(&mut self.message, other.message);
    }
}

impl Row for EventRow {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.event.cmp(&other.event)
    }

    // Rows of one event say the same; if not, the least is kept.
    fn absorb(&mut self, other: Self) {
        let of = |row: &EventRow| (row.kind, row.severity, row.location.clone(), row.text.clone());
        if of(&other) < of(self) {
            *self = other;
        }
    }
}

fn fold<R: Row>(rows: &mut Vec<R>) {
    rows.sort_by(R::order); // stable: it merges what is in order already
    rows.dedup_by(|next, kept| {
        let same = next.order(kept).is_eq();
        if same {
            kept.absorb(std::mem::take(next));
        }
        same
    });
}
