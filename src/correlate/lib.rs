//! Correlation that needs nothing but the row itself: trace context found in a log's attributes or
//! body, and the key of a log's pattern; and [`links`], which need whole traces. Pure: no clock, no
//! I/O, no protocol; the same row gives the same result at every replay. Spec: design section 7.
//!
//! A certain join (an id that the log carries) is made here; a likely one (same pod, same second) is
//! a question asked when logs are read, and never mixed up with this.

pub mod evidence;
pub mod graph;
mod join;
mod keys;
pub mod links;
mod pattern;
pub mod patterns;
pub mod place;
mod scan;
mod values;

#[cfg(test)]
mod tests;

use model::Batch;

pub use join::join_logs;
pub use pattern::{key_patterns, pattern_key};
pub use scan::{Found, find_in_text};

/// Version of the rules in this room. A change of what is found or keyed needs a new number; it is
/// the seed of the pattern keys, so that keys of different rules never meet.
pub const RULE: u64 = 2;

/// Joins the logs of `batch` that carry a trace id somewhere, and gives every log its pattern key.
pub fn absorb(batch: &mut Batch) {
    join_logs(batch);
    key_patterns(batch);
}
