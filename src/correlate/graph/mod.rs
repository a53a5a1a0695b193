//! The service graph of one minute: who called whom, from nothing but the set of stored spans.
//!
//! Knows no storage and no clock. The same set of spans gives the same rows, byte for byte, in whatever
//! order, with whatever repetitions and in whatever chunks it is handed in. Spec: design section 6.
//!
//! # What is drawn
//! Spans meet by the low 64 bits of the trace id and the span id, so ids of both widths meet. An edge
//! belongs to the minute in which its callee began; an edge to a node without spans to the client's.
//!
//! - **A call** is a server whose parent is a client; a server that carries its client's id (Zipkin's
//!   shared span, marked or with the same parent); or any span whose parent is of another service,
//!   whatever the kinds. The last covers kind-less spans and callers without a client span: the first
//!   span of a service below another *is* where the call arrives, so no ancestors need be searched. A
//!   server right under a span of its own service that is no client is a step of the same work.
//! - The client around a call is paired too when steps of its service lie between (same minute; across a
//!   minute's border the direct parent only).
//! - **A message** goes from its producer to the topic in the producer's minute, received or not, and
//!   from the topic to the consumer in the consumer's. The consumer finds its producers through its parent
//!   and its links; a found producer's name for the topic wins, so that exchange and queue meet. Without
//!   a destination the topic is the broker (the peer); without that, producer to consumer directly. Where
//!   only the consumer knows the topic, producer to topic counts deliveries. A client with a messaging
//!   system and links receives, and is a consumer. A consumer under its service's receiving span is a
//!   step, unless only it has links.
//! - **What has no spans**: a client (or any span with a database system) without a stored callee draws
//!   an edge to its database, topic or external host. A client directly in a client that has named its
//!   peer draws nothing; in one that has not, it speaks for it.
//! - **Entry**: a server without parent is called by its named peer, else by the user.
//!
//! # What is counted
//! Calls weigh what the callee's row weighs (its client's where there is no callee). A call failed when
//! either side is an error; a delivery when the consumer is. Durations are the callee's, the client's
//! where there is no callee, the producer's on the way to a topic. A service's requests are the work that
//! entered it: calls, messages, and internal or kind-less roots; other nodes' are what their callers
//! did, the user's what he called. A service without a name is `unknown_service`.
//!
//! # Bad input
//! A span on a circle of parents draws nothing. Of several spans under one id a child's parent is the one
//! of its own service, its server first, else a server, else the first by kind, start and duration.
//! Repetitions (same ids, service, kind, start, duration) are one span, every field the greatest given.
//! Work is near linear in spans and links; the nodes of a minute are bounded (`tally`).

mod books;
mod index;
mod kin;
mod minute;
mod names;
mod pair;
mod reason;
mod rows;
mod sketch;
mod source;
mod span;
mod tally;
#[cfg(test)]
mod tests_exact;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_kit;
#[cfg(test)]
mod tests_pair;
#[cfg(test)]
mod tests_sketch;
#[cfg(test)]
mod tests_world;

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
