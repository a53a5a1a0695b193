//! What the doors out want to know about the process. The root implements it; tests fake it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;
use view::ingest::IngestAnswer;
pub use wire::zipkin::answer::Collected;

/// How the process is doing.
pub trait Status: Send + Sync + 'static {
    /// Now, nanoseconds since the epoch: the one clock.
    fn now_ns(&self) -> i64;

    /// Counters, journal, store, addresses.
    fn ingest(&self) -> IngestAnswer;

    /// Whether new data is accepted.
    fn readiness(&self) -> Readiness;

    /// Ends when everything accepted before the call is stored and rolled up: true; false when it is stored, and the
    /// graph needs longer. `deadline_exceeded` when it was not stored within `timeout`, `unavailable` when it cannot be.
    fn flush(&self, timeout: Duration) -> Flushing<'_>;

    /// Says that the service graph is asked for; ends when the answer will be fresh, within two seconds at most.
    fn freshen(&self) -> Freshening<'_> {
        Box::pin(async {})
    }

    /// Whether a rule or silence (`kind`) makes sense: its id, and its text as it is to be kept; else what is wrong.
    fn check_wish(&self, kind: &str, body: &str) -> Result<(String, String), String>;

    /// The rules or silences (`kind`) of the configuration, which are every tenant's.
    fn configured(&self, _kind: &str) -> Vec<Value> {
        Vec::new()
    }

    /// What came in on the Zipkin port, over HTTP and over gRPC.
    fn zipkin_collected(&self) -> [Collected; 2] {
        Default::default()
    }
}

/// A flush under way.
pub type Flushing<'a> = Pin<Box<dyn Future<Output = Result<bool, access::Error>> + Send + 'a>>;

/// What [`Status::freshen`] waits for.
pub type Freshening<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Whether new data is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is, and stored at once.
    Ready,
    /// It is, and kept in the journal; what is wrong, in one sentence.
    Degraded(String),
    /// It is not; why, in one sentence.
    NotReady(String),
}
