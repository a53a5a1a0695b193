//! The walker against `opentelemetry-proto`, and the table tests of what OTLP demands.

mod checklist;
mod differential;
mod oracle;
mod promotion;
mod random;

use std::sync::Arc;

use model::{Envelope, time};

/// The receive time of all tests.
pub(super) const RECEIVED_NS: i64 = 1_700_000_000 * time::SECOND_NS;

pub(super) fn envelope() -> Envelope {
    Envelope { tenant: Arc::from(""), received_ns: RECEIVED_NS, sender: Arc::from("test") }
}
