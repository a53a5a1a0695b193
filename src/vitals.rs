//! What is worth an alarm, as metrics: items by what became of them, the age of the oldest data that is not
//! stored, whether requests are taken and inserts succeed. Read when asked for; nothing is counted here that
//! `status.rs` does not know already.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use serve::{Readiness, Status as _};
use view::ingest::{Counts, StoreHealth};

use crate::status::Health;

/// The metrics of a running path.
pub(crate) struct Vitals(Arc<Health>);

impl Vitals {
    /// Declares them; `health` answers when they are read.
    pub(crate) fn register(health: &Arc<Health>, registry: &mut Registry) {
        registry.register_collector(Box::new(Vitals(Arc::clone(health))));
    }
}

impl fmt::Debug for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vitals")
    }
}

impl Collector for Vitals {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let ingest = self.0.ingest();
        let help = "Items since the data directory was created, by what became of them";
        let mut items = encoder.encode_descriptor("items", help, None, MetricType::Counter)?;
        for (fate, Counts { traces, logs, metrics }) in [
            ("accepted", ingest.accepted),
            ("stored", ingest.stored),
            ("refused", ingest.refused),
            ("rejected", ingest.rejected),
            ("dead_letter", ingest.dead_letters),
            ("repeated", ingest.duplicates),
        ] {
            for (signal, count) in [("traces", traces), ("logs", logs), ("metrics", metrics)] {
                ConstCounter::new(count).encode(items.encode_family(&[("fate", fate), ("signal", signal)])?)?;
            }
        }
        let gauges = [
            (
                "oldest_unconfirmed_seconds",
                "Age of the oldest accepted data that ClickHouse has not confirmed; 0 when there is none",
                self.0.oldest_unconfirmed_s(),
            ),
            ("ready", "1 while requests are taken", number(!matches!(self.0.readiness(), Readiness::NotReady(_)))),
            ("store_up", "1 while inserts succeed", number(ingest.store.state != StoreHealth::Down)),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        let help = "Version of this program";
        let mut build = encoder.encode_descriptor("build_info", help, None, MetricType::Gauge)?;
        ConstGauge::new(1i64).encode(build.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
    }
}

fn number(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}
