//! Zipkin's view of what is stored: spans in Zipkin's model, whoever sent them, and the questions of
//! its read API: traces by search and by id, names, dependency links. Spans are given raw; Zipkin's UI
//! merges them and builds trees itself. Knows no JSON of Zipkin's: that is `wire`'s.
//! Spec: facts on Zipkin, sections 1 to 3.

mod links;
mod names;
mod otlp;
mod query;
mod search;
mod span;

#[cfg(test)]
mod tests;

pub use correlate::links::Link;
pub use names::Names;
pub(crate) use names::ServiceCounts;
pub use query::{Query, QueryParams};
pub use search::Trace;
pub use span::{Annotation, Endpoint, Span};

use model::time::{DAY_NS, SECOND_NS};
use store::questions::Window;

/// Rows up to which names and spans without a time are looked for in all that is stored. With
/// more, only around the time asked for.
const ALL_ROWS_MAX: u64 = 50_000_000;

/// Milliseconds as nanoseconds.
const MILLI_NS: i64 = SECOND_NS / 1000;

/// Days before the newest span in which names are looked for, when there are many rows.
const NAMES_NS: i64 = 7 * DAY_NS;

/// The window of spans whose microseconds lie in [end − lookback, end] milliseconds.
fn window(end_ts_ms: i64, lookback_ms: i64) -> Window {
    Window {
        from_ns: end_ts_ms.saturating_sub(lookback_ms).saturating_mul(MILLI_NS),
        to_ns: end_ts_ms.saturating_mul(MILLI_NS).saturating_add(1000),
    }
}
