//! Evidence of faults: what a minute of whole traces tells, in rows that add up, and traces in a form
//! small enough to look at one by one.
//!
//! `correlate::evidence` makes both, `store` keeps the rows of every minute, `locate` compares two windows
//! of them. Rows of minutes merge by addition, so hours of baseline cost one sum. A trace counts in the
//! minute in which its first span began, and nowhere else.

mod count;
mod dist;
mod rows;
mod sample;

pub use count::Count;
pub use dist::Dist;
pub use rows::{
    AttributeRow, Cut, EdgeRow, EdgeType, EventKind, EventRow, Evidence, OperationRow, OriginRow, PatternRow,
    RequestRow, TransitionRow,
};
pub use sample::{Sample, SampleSpan, SampleTrace};

/// Version of the rules and of the rows. Rows of different rules are not added up: a change of what is
/// counted, of the keys or of the buckets needs a new number.
pub const RULE: u32 = 1;

/// The event with which every span begins.
pub const START: u64 = 1;

/// The event with which every span ends.
pub const END: u64 = 2;
