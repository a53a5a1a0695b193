//! What the keeper of log patterns counts: names and meanings, registered on a registry passed in.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The keeper's metrics; clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// Logs whose keys were looked at.
    pub(crate) logs: Counter,
    /// Keys that were new, or noted again.
    pub(crate) keys: Counter,
    /// Logs of keys for which there was no room.
    pub(crate) overflowed: Counter,
    /// Rows of patterns written.
    pub(crate) written: Counter,
    /// Time spent.
    pub(crate) seconds: Counter<f64, AtomicU64>,
    /// Tries that failed; they are repeated.
    pub(crate) failures: Counter,
    /// Entries for keys held in memory: those that are known, and those of miners.
    pub(crate) held: Gauge,
    /// Templates held in memory.
    pub(crate) templates: Gauge,
    /// Stored logs that were not looked at.
    pub(crate) behind: Gauge,
}

impl Metrics {
    /// Registers everything under `patterns_`.
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let registry = registry.sub_registry_with_prefix("patterns");
        registry.register("logs_seen", "Logs whose pattern keys were looked at", metrics.logs.clone());
        registry.register("keys_found", "Pattern keys that were new, or noted again after a day", metrics.keys.clone());
        registry.register(
            "logs_overflowed",
            "Logs of services with more kinds of bodies than are told apart: they share one pattern",
            metrics.overflowed.clone(),
        );
        registry.register("rows_written", "Rows of patterns written", metrics.written.clone());
        registry.register_with_unit("keeping", "Time spent on patterns", Unit::Seconds, metrics.seconds.clone());
        registry.register("keep_failures", "Failed tries; each is repeated", metrics.failures.clone());
        registry.register("keys_held", "Entries for pattern keys held in memory", metrics.held.clone());
        registry.register("templates_held", "Templates held in memory", metrics.templates.clone());
        registry.register("logs_behind", "Stored logs whose keys are still to be looked at", metrics.behind.clone());
        metrics
    }
}
