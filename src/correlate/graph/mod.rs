//! The service graph of one minute: who called whom, from nothing but the set of stored spans.
//!
//! Knows no storage and no clock. The same set of spans gives the same rows, byte for byte, in
//! whatever order, with whatever duplicates and in whatever chunks it is handed in. Spec: design
//! section 6.

mod minute;
mod names;
mod reason;
mod rows;
mod sketch;
mod span;

pub use minute::Minute;
pub use names::{Name, Names};
pub use reason::Reason;
pub use rows::{Answer, ConnectionType, EdgeRow, MinuteGraph, NodeKey, NodeKind, NodeRow, Wanted};
pub use sketch::Sketch;
pub use span::{GraphSpan, Kind, SpanRef};

/// Version of the rules. Tables of different rules must not be mixed: a change of what is drawn, of
/// the reasons or of the sketch's buckets needs a new number, and minutes of an older one are redone.
pub const RULE: u32 = 1;

/// Length of a minute, nanoseconds.
pub const MINUTE_NS: i64 = 60_000_000_000;

/// Start of the UTC minute that holds `at_ns`.
pub fn minute_of(at_ns: i64) -> i64 {
    at_ns.div_euclid(MINUTE_NS).saturating_mul(MINUTE_NS)
}
