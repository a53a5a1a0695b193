//! Stored spans and logs as evidence sees them: narrow, their texts numbered.

use crate::graph::{Kind, Name, SpanRef};

/// One stored span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvidenceSpan {
    /// Its ids.
    pub at: SpanRef,
    /// Parent's span id; 0 for none.
    pub parent_id: u64,
    /// High 64 bits of the trace id; 0 for a 64-bit id.
    pub trace_high: u64,
    /// Service name.
    pub service: Name,
    /// Span name.
    pub operation: Name,
    /// Kind.
    pub kind: Kind,
    /// Zipkin's `shared`: this side joined the span that its client began.
    pub shared: bool,
    /// Whether its status is ERROR.
    pub error: bool,
    /// HTTP status code; 0 when there is none. From 500 on the span is an error.
    pub http_status: u16,
    /// gRPC status code; 0 when there is none, or OK.
    pub grpc_status: u16,
    /// Start, nanoseconds since the epoch.
    pub start_ns: i64,
    /// Duration in nanoseconds.
    pub duration_ns: u64,
    /// How many spans this one stands for (sampling).
    pub weight: f64,
    /// `service.version`, or empty.
    pub version: Name,
    /// `service.instance.id`, the pod or the host that tells instances apart, or empty.
    pub instance: Name,
    /// Status message, or empty.
    pub message: Name,
    /// Whom a client calls, a database (`mysql/stock`) or a topic, by the best name; or empty.
    pub peer: Name,
    /// Type of what `peer` names.
    pub peer_type: PeerType,
    /// Attributes by which outcomes are told apart, key and value: pod, host, region, tenant, feature flag…
    pub attributes: Vec<(Name, Name)>,
    /// Exceptions recorded as span events.
    pub exceptions: Vec<Exception>,
    /// Spans that it links to.
    pub links: Vec<SpanRef>,
}

/// What a span's peer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerType {
    /// A service, instrumented or not.
    #[default]
    Service,
    /// A database or cache.
    Database,
    /// A topic or queue.
    Topic,
}

/// An exception event of a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exception {
    /// When, nanoseconds since the epoch.
    pub time_ns: i64,
    /// `exception.type`.
    pub kind: Name,
    /// `exception.message`.
    pub message: Name,
}

/// One stored log line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvidenceLog {
    /// Trace and span that it belongs to; span id 0 when only the trace is known.
    pub at: SpanRef,
    /// Service name.
    pub service: Name,
    /// Time, nanoseconds since the epoch.
    pub time_ns: i64,
    /// Severity number, 0 when unknown.
    pub severity: u8,
    /// What kind of line it is: the miner's pattern where it is known, else [`super::Template`]'s key.
    pub pattern: u64,
    /// The pattern's template.
    pub template: Name,
    /// Where in the source it was written, or empty.
    pub location: Name,
}
