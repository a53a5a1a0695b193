//! Metrics of the journal: names and types, declared once, registered on a registry passed in.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::error::{AppendError, Reason};

/// Why something was refused.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RefusalLabels {
    /// The reason.
    pub reason: Reason,
}

/// All metrics of one journal. Clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Frames appended durably.
    pub appends: Counter,
    /// Bytes written, records of all kinds.
    pub written_bytes: Counter,
    /// Seals made durable.
    pub seals: Counter,
    /// Batches confirmed.
    pub confirms: Counter,
    /// Time of each flush.
    pub fsync_seconds: Histogram,
    /// Frames and seals that shared one flush.
    pub group_records: Histogram,
    /// Refused appends and seals.
    pub refusals: Family<RefusalLabels, Counter>,
    /// Failed writes and flushes.
    pub io_errors: Counter,
    /// Places of damage.
    pub damaged: Counter,
    /// Frames lost through damage.
    pub damaged_frames: Counter,
    /// Segment files.
    pub segments: Gauge,
    /// Bytes on disk, reserved space included.
    pub disk_bytes: Gauge,
    /// 1 while records can be written.
    pub healthy: Gauge,
    /// 1 while senders' frames have room.
    pub accepting: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        // 0.1 ms to 3.3 s, and groups of 1 to 2048.
        let seconds = (0..16).map(|power| 0.000_1 * f64::from(1 << power));
        let records = (0..12).map(|power| f64::from(1 << power));
        Self {
            appends: Counter::default(),
            written_bytes: Counter::default(),
            seals: Counter::default(),
            confirms: Counter::default(),
            fsync_seconds: Histogram::new(seconds),
            group_records: Histogram::new(records),
            refusals: Family::default(),
            io_errors: Counter::default(),
            damaged: Counter::default(),
            damaged_frames: Counter::default(),
            segments: Gauge::default(),
            disk_bytes: Gauge::default(),
            healthy: Gauge::default(),
            accepting: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Registers everything under `journal_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("journal");
        registry.register("appends", "Frames appended durably", self.appends.clone());
        registry.register_with_unit("written", "Bytes written to the journal", Unit::Bytes, self.written_bytes.clone());
        registry.register("seals", "Batch seals made durable", self.seals.clone());
        registry.register("confirms", "Batches confirmed as stored", self.confirms.clone());
        registry.register_with_unit("fsync", "Time of each flush", Unit::Seconds, self.fsync_seconds.clone());
        registry.register("group_records", "Frames and seals per flush", self.group_records.clone());
        registry.register("refusals", "Refused appends and seals by reason", self.refusals.clone());
        registry.register("io_errors", "Failed writes and flushes", self.io_errors.clone());
        registry.register("damaged", "Places of damage found", self.damaged.clone());
        registry.register("damaged_frames", "Frames lost through damage", self.damaged_frames.clone());
        registry.register("segments", "Segment files", self.segments.clone());
        registry.register_with_unit(
            "disk",
            "Bytes on disk, reserved space included",
            Unit::Bytes,
            self.disk_bytes.clone(),
        );
        registry.register("healthy", "1 while records can be written", self.healthy.clone());
        registry.register("accepting", "1 while there is room for what senders send", self.accepting.clone());
    }

    pub(crate) fn refuse(&self, error: &AppendError) {
        self.refusals.get_or_create(&RefusalLabels { reason: error.reason() }).inc();
    }
}
