//! What the roller counts: names and meanings, registered on a registry passed in.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The roller's metrics; clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// Generations written.
    pub(crate) minutes: Counter,
    /// Spans read for them.
    pub(crate) spans: Counter,
    /// Minutes that could not be rolled by what was new in them.
    pub(crate) whole: Counter,
    /// Time spent on them.
    pub(crate) seconds: Counter<f64, AtomicU64>,
    /// Tries that failed; they are repeated.
    pub(crate) failures: Counter,
    /// Minutes that wait to be rolled.
    pub(crate) dirty: Gauge,
    /// Age of the oldest stored spans that are not rolled up.
    pub(crate) lag: Gauge<f64, AtomicU64>,
    /// Minutes whose evidence was made.
    pub(crate) evidence: Counter,
    /// Time spent on that.
    pub(crate) evidence_seconds: Counter<f64, AtomicU64>,
    /// Whether it is this process that rolls.
    pub(crate) leading: Gauge,
}

impl Metrics {
    /// Registers everything under `graph_`.
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let registry = registry.sub_registry_with_prefix("graph");
        registry.register("minutes_rolled", "Generations of minutes written", metrics.minutes.clone());
        registry.register("spans_read", "Spans read to roll minutes", metrics.spans.clone());
        registry.register(
            "minutes_read_whole",
            "Minutes of which something old changed, so that they were read again from the start",
            metrics.whole.clone(),
        );
        registry.register_with_unit("rolling", "Time spent on rolling", Unit::Seconds, metrics.seconds.clone());
        registry.register("roll_failures", "Failed tries; each is repeated", metrics.failures.clone());
        registry.register("dirty_minutes", "Minutes that wait to be rolled", metrics.dirty.clone());
        registry.register_with_unit(
            "lag",
            "Age of the oldest stored spans that are not in the graph",
            Unit::Seconds,
            metrics.lag.clone(),
        );
        registry.register("evidence_minutes", "Minutes whose evidence was made", metrics.evidence.clone());
        registry.register_with_unit(
            "evidence",
            "Time spent on making evidence",
            Unit::Seconds,
            metrics.evidence_seconds.clone(),
        );
        registry.register("leading", "1 while this process rolls for its database", metrics.leading.clone());
        metrics
    }
}
