//! Metrics of the store: names and meanings, registered on a registry passed in.

use model::Table;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// What the store counts; clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    seconds: Family<TableLabels, Histogram, fn() -> Histogram>,
    rows: Family<TableLabels, Counter>,
    bytes: Family<TableLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    lookups: Family<OutcomeLabels, Counter>,
    schema: Family<OutcomeLabels, Counter>,
    held: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TableLabels {
    table: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ErrorLabels {
    table: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Metrics {
        // 1 ms to 33 s.
        let seconds: fn() -> Histogram = || Histogram::new((0..16).map(|power| 0.001 * f64::from(1 << power)));
        Metrics {
            seconds: Family::new_with_constructor(seconds),
            rows: Family::default(),
            bytes: Family::default(),
            errors: Family::default(),
            lookups: Family::default(),
            schema: Family::default(),
            held: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Registers everything under `store_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("store");
        registry.register_with_unit("insert", "Time of successful inserts", Unit::Seconds, self.seconds.clone());
        registry.register("rows", "Rows inserted", self.rows.clone());
        registry.register_with_unit("inserted", "Bytes inserted, before compression", Unit::Bytes, self.bytes.clone());
        registry.register(
            "insert_errors",
            "Failed inserts by what is done about them: retry, lost, schema, denied, poison, unknown",
            self.errors.clone(),
        );
        registry.register(
            "presence_lookups",
            "Batches looked up after a restart: present, absent, failed",
            self.lookups.clone(),
        );
        registry.register(
            "held_blocks",
            "Blocks that ClickHouse refuses for a reason that needs a person: rights, foreign tables, unknown errors",
            self.held.clone(),
        );
        registry.register("schema_applications", "Applications of the schema: done, failed", self.schema.clone());
    }

    /// Notes how many blocks wait for a person.
    pub fn held(&self, blocks: usize) {
        self.held.set(blocks as i64);
    }

    pub(crate) fn inserted(&self, table: Table, rows: u32, bytes: usize, seconds: f64) {
        let labels = TableLabels { table: table.def().name };
        self.rows.get_or_create(&labels).inc_by(u64::from(rows));
        self.bytes.get_or_create(&labels).inc_by(bytes as u64);
        self.seconds.get_or_create(&labels).observe(seconds);
    }

    pub(crate) fn failed(&self, table: Table, class: &'static str) {
        self.errors.get_or_create(&ErrorLabels { table: table.def().name, class }).inc();
    }

    pub(crate) fn looked_up(&self, outcome: &'static str, batches: usize) {
        self.lookups.get_or_create(&OutcomeLabels { outcome }).inc_by(batches as u64);
    }

    pub(crate) fn schema_applied(&self, outcome: &'static str) {
        self.schema.get_or_create(&OutcomeLabels { outcome }).inc();
    }
}
