//! Evidence of faults, from whole traces: the rows of a minute (`model::evidence`), and traces small enough
//! to look at one by one. Pure and order-free: one set of spans and logs gives the same rows, byte for byte.
//!
//! # What is counted
//! - Spans meet as in [`crate::graph`]; equal ones count once. A call is a child in another service, or a
//!   server under its client; a client without a child calls its peer. A message is a consumer under its
//!   producer, or one that links to it.
//! - A *request failed* when its first span did: status ERROR, or HTTP 500 and above. Where no span of the
//!   trace has a kind or a status, a log line of severity ERROR says so.
//! - An *error starts* at an error span without one below it, and passes through the others.
//! - *Own time* is a span's duration without its children's; of a client span it is the edge's *gap*.
//! - *Events* of a span are its log lines, its children and its exceptions, by time; equal ones in a row are
//!   one. Every pair of neighbours is a transition, from the span's start to its end.
//!
//! # Bounds
//! Per minute [`OPERATIONS_MAX`] and so on; beyond, a fixed choice of keys stays, whatever came first (errors'
//! events before others'), and `Cut` counts what did not. Per trace 20,000 spans, per span 256 events.
//! Work is n log n within a trace and linear in traces.

mod bounded;
mod digest;
mod minute;
mod sample;
mod span;
mod tally;
mod template;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_exact;
#[cfg(test)]
mod tests_kit;
mod texts;
mod tree;

pub use minute::Minute;
pub use sample::{TRACES_MAX, sample};
pub use span::{EvidenceLog, EvidenceSpan, Exception, PeerType};
pub use tally::{
    ATTRIBUTES_MAX, EDGES_MAX, EVENTS_MAX, OPERATIONS_MAX, ORIGINS_MAX, PATTERNS_MAX, REQUESTS_MAX, TRANSITIONS_MAX,
};
pub use template::Template;
