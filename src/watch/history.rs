//! What was usual for a subject: counts of the last sixty minutes in which it belonged to no incident, its
//! durations, and how many requests there were at this time of the day before.

use std::collections::VecDeque;

use crate::latency::{Latency, bucket, middle};
use crate::series::Span;

pub(crate) const SLOT_S: i64 = 10;
const SLOTS_A_MINUTE: u32 = 6;
const MINUTES_MAX: usize = 60;
/// After so many slots one that is far off is not believed whole.
const SLOTS_TO_KNOW: f64 = 30.0;
/// What the assumption of independent events weighs against what was seen, in slots.
const INDEPENDENT_SLOTS: f64 = 12.0;
/// Durations of so many slots make a generation of the histogram; two are kept.
const GENERATION_SLOTS: u32 = 180;
/// Slower than usual begins this far above the 95th percentile: a third, and a millisecond.
const SLOWER: f64 = 1.3;
const SLOWER_NS: f64 = 1e6;

/// A number that is counted in every slot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) total: f64,
    squares: f64,
}

/// Sums over slots.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) slots: f64,
    pub(crate) requests: Sum,
    pub(crate) errors: Sum,
    pub(crate) slow: Sum,
}

/// Counts of one slot, as history takes them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: f64,
    pub(crate) errors: f64,
    pub(crate) slow: f64,
}

/// What was usual.
#[derive(Debug, Default)]
pub(crate) struct History {
    minutes: VecDeque<Sums>,
    current: Sums,
    slots: u32,
    pub(crate) sums: Sums,
    old: Latency,
    new: Latency,
    generation: u32,
    /// Durations in buckets above this one are slow; none until something is known.
    pub(crate) slow_above: Option<i16>,
    /// How many durations are known, and how many of them are slow.
    pub(crate) timed: (f64, f64),
    /// Requests of a slot at this time of the day before, and the slots of today for which that holds.
    pub(crate) day_before: Option<(Span, f64)>,
}

impl Sum {
    fn add(&mut self, value: f64) {
        self.total += value;
        self.squares += value * value;
    }

    fn plus(self, other: Sum) -> Sum {
        Sum { total: self.total + other.total, squares: self.squares + other.squares }
    }

    /// How much more it varies than independent events would, at least 1: events that come in bursts are fewer
    /// events than they seem.
    pub(crate) fn burst(&self, slots: f64) -> f64 {
        let mean = self.total / slots.max(1.0);
        if mean <= 0.0 {
            return 1.0;
        }
        let fano = (self.squares / slots - mean * mean).max(0.0) / mean;
        ((fano * slots + INDEPENDENT_SLOTS) / (slots + INDEPENDENT_SLOTS)).max(1.0)
    }

    // The most that is believed of one slot.
    fn cap(&self, slots: f64, value: f64) -> f64 {
        if slots < SLOTS_TO_KNOW {
            return value;
        }
        let mean = self.total / slots;
        value.min(mean + 6.0 * (mean * self.burst(slots)).sqrt() + 3.0)
    }
}

impl Sums {
    fn add(&mut self, counts: Counts) {
        self.slots += 1.0;
        self.requests.add(counts.requests);
        self.errors.add(counts.errors);
        self.slow.add(counts.slow);
    }

    fn plus(self, other: &Sums) -> Sums {
        Sums {
            slots: self.slots + other.slots,
            requests: self.requests.plus(other.requests),
            errors: self.errors.plus(other.errors),
            slow: self.slow.plus(other.slow),
        }
    }
}

impl History {
    /// Of a subject that was not there for so many slots, though it could have been.
    pub(crate) fn zeros(slots: u32) -> History {
        let mut history = History::default();
        let slots = slots.min(SLOTS_A_MINUTE * MINUTES_MAX as u32);
        (0..slots).for_each(|_| history.learn(Counts::default(), &Latency::default()));
        history
    }

    /// Takes a slot.
    pub(crate) fn learn(&mut self, counts: Counts, latency: &Latency) {
        let slots = self.sums.slots;
        let counts = Counts {
            requests: self.sums.requests.cap(slots, counts.requests),
            errors: self.sums.errors.cap(slots, counts.errors),
            slow: self.sums.slow.cap(slots, counts.slow),
        };
        self.current.add(counts);
        self.sums.add(counts);
        self.slots += 1;
        if self.slots.is_multiple_of(SLOTS_A_MINUTE) {
            self.minutes.push_back(std::mem::take(&mut self.current));
            if self.minutes.len() > MINUTES_MAX {
                self.minutes.pop_front();
                // Added anew, so that rounding does not pile up.
                self.sums = self.minutes.iter().fold(Sums::default(), Sums::plus);
            }
        }
        if latency.count() > 0.0 {
            self.new.merge(latency);
            self.generation += 1;
            if self.generation >= GENERATION_SLOTS {
                (self.generation, self.old) = (0, std::mem::take(&mut self.new));
            }
            if self.slots.is_multiple_of(SLOTS_A_MINUTE) || self.slow_above.is_none() {
                self.rate();
            }
        }
    }

    /// The 95th percentile, nanoseconds; 0 when unknown.
    pub(crate) fn p95_ns(&self) -> f64 {
        let mut all = self.old.clone();
        all.merge(&self.new);
        all.quantile(0.95).map_or(0.0, middle)
    }

    /// Requests of a slot at this time of the day before, if they are known.
    pub(crate) fn day_before(&self, slot_s: i64) -> Option<f64> {
        self.day_before.filter(|(span, _)| span.holds(slot_s)).map(|(_, requests)| requests)
    }

    fn rate(&mut self) {
        let mut all = self.old.clone();
        all.merge(&self.new);
        self.slow_above = all.quantile(0.95).map(|p95| bucket(middle(p95) * SLOWER + SLOWER_NS));
        self.timed = (all.count(), self.slow_above.map_or(0.0, |bucket| all.above(bucket)));
    }
}
