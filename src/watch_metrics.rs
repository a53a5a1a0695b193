//! What the watch and its outbox count: names and meanings, registered on a registry passed in.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The watch's metrics; clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// Looks, each tenant's counted.
    pub(crate) ticks: Counter,
    /// Time spent.
    pub(crate) seconds: Counter<f64, AtomicU64>,
    /// Looks that failed.
    pub(crate) failures: Counter,
    /// Looks that were left out because the store was behind.
    pub(crate) skipped: Counter,
    /// Subjects watched.
    pub(crate) subjects: Gauge,
    /// Incidents that last.
    pub(crate) open: Gauge,
    /// Messages that receivers took.
    pub(crate) delivered: Counter,
    /// Tries to deliver that failed; each is repeated.
    pub(crate) undelivered: Counter,
    /// Messages that wait for their receiver.
    pub(crate) waiting: Gauge,
}

impl Metrics {
    /// Registers everything under `watch_`.
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let registry = registry.sub_registry_with_prefix("watch");
        registry.register("ticks", "Looks at what was counted", metrics.ticks.clone());
        registry.register_with_unit("looking", "Time spent on looking", Unit::Seconds, metrics.seconds.clone());
        registry.register("look_failures", "Failed looks; each is repeated", metrics.failures.clone());
        registry.register("looks_skipped", "Looks left out because the store was behind", metrics.skipped.clone());
        registry.register("subjects", "Operations, calls, patterns and clocks watched", metrics.subjects.clone());
        registry.register("incidents_open", "Incidents that last", metrics.open.clone());
        registry.register("notices_delivered", "Messages that their receivers took", metrics.delivered.clone());
        registry.register("notice_failures", "Failed deliveries; each is repeated", metrics.undelivered.clone());
        registry.register("notices_waiting", "Messages that wait for their receivers", metrics.waiting.clone());
        metrics
    }
}
