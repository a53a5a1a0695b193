//! One byte budget for everything that is in flight.
//!
//! A request takes bytes as they arrive, as they grow under decompression and as they become columns,
//! and gives them all back when it is over. Nobody waits for bytes: a request that cannot have them is
//! refused at once with a retryable answer, so that overload costs neither memory nor time (design
//! section 2; facts on reliability, rule 9).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The budget; clones share it.
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

/// Bytes that one request holds. Dropping it gives them back.
pub struct Permit {
    shared: Arc<Shared>,
    bytes: usize,
}

struct Shared {
    max: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(max_bytes: usize) -> Budget {
        Budget { shared: Arc::new(Shared { max: max_bytes, used: AtomicUsize::new(0) }) }
    }

    /// A permit without bytes, which will [`grow`](Permit::grow).
    pub fn open(&self) -> Permit {
        Permit { shared: self.shared.clone(), bytes: 0 }
    }

    /// Takes bytes; `None` when there are not enough.
    pub fn take(&self, bytes: usize) -> Option<Permit> {
        self.shared.take(bytes).then(|| Permit { shared: self.shared.clone(), bytes })
    }

    /// Whether so many bytes could be had now. A hint for refusing early: it takes nothing.
    pub fn has(&self, bytes: usize) -> bool {
        self.shared.max.saturating_sub(self.used()) >= bytes
    }

    /// Bytes taken.
    pub fn used(&self) -> usize {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// Bytes there are in all.
    pub fn max(&self) -> usize {
        self.shared.max
    }

    /// Declares the gauges `memory_budget_used_bytes` and `memory_budget_max_bytes`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }
}

impl Permit {
    /// Takes more bytes; `false`, and nothing taken, when there are not enough.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.shared.take(bytes);
        if taken {
            self.bytes += bytes;
        }
        taken
    }

    /// Takes bytes whether or not there are enough: for work that must go on and holds little. Requests are
    /// refused until the budget is within its bounds again.
    pub fn grow_beyond(&mut self, bytes: usize) {
        self.shared.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// Gives back some bytes, at most all.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.shared.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Shared {
    // Relaxed is enough: the number guards no other memory.
    fn take(&self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.max)
            })
            .is_ok()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {} bytes)", self.used(), self.shared.max)
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({} bytes)", self.bytes)
    }
}

impl Collector for Budget {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let gauges = [
            ("memory_budget_used_bytes", "Bytes taken by requests in flight", self.used()),
            ("memory_budget_max_bytes", "Bytes that requests in flight may take in all", self.max()),
        ];
        for (name, help, bytes) in gauges {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, ConstGauge::<i64>::TYPE)?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: permits are taken, grown, shrunk and dropped around the limit.
    // Guarantee: the sum never passes the maximum and is nought when all are gone.
    #[test]
    fn bytes_are_lent_and_come_back() {
        let budget = Budget::new(100);
        let mut first = budget.take(60).expect("fits");
        assert!(budget.take(41).is_none());
        assert!(budget.has(40) && !budget.has(41));
        let second = budget.take(40).expect("fits exactly");
        assert!(!first.grow(1));
        assert_eq!((first.bytes(), budget.used()), (60, 100));
        drop(second);
        assert!(first.grow(40));
        first.shrink(1000);
        assert_eq!((first.bytes(), budget.used()), (0, 0));
        assert!(!first.grow(usize::MAX));
        assert!(first.grow(100));
        drop(first);
        assert_eq!(budget.used(), 0);
    }

    // Scenario: work that must go on takes more than there is.
    // Guarantee: nobody else gets a byte until it has given back what was too much.
    #[test]
    fn work_that_must_go_on_shuts_others_out() {
        let budget = Budget::new(100);
        let mut urgent = budget.take(60).expect("fits");
        urgent.grow_beyond(60);
        assert_eq!((urgent.bytes(), budget.used()), (120, 120));
        assert!(!budget.has(1) && budget.take(1).is_none() && !urgent.grow(1));
        urgent.shrink(30);
        assert!(budget.take(10).is_some());
        drop(urgent);
        assert_eq!(budget.used(), 0);
    }

    // Scenario: four threads take and give back without pause.
    // Guarantee: no byte is lost or invented under contention.
    #[test]
    fn contention_loses_nothing() {
        let budget = Budget::new(1000);
        std::thread::scope(|scope| {
            for seed in 0..4usize {
                let budget = budget.clone();
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let Some(mut permit) = budget.take((seed * 131 + round * 17) % 400) else { continue };
                        let _ = permit.grow(round % 300);
                        assert!(budget.used() <= 1000);
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }

    // Scenario: the budget is scraped.
    // Guarantee: both gauges appear under the registry's prefix.
    #[test]
    fn gauges_are_exposed() {
        let budget = Budget::new(1000);
        let _held = budget.take(42);
        let mut registry = Registry::with_prefix("hypocenter");
        budget.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
        assert!(text.contains("hypocenter_memory_budget_used_bytes 42\n"), "{text}");
        assert!(text.contains("hypocenter_memory_budget_max_bytes 1000\n"), "{text}");
    }
}
