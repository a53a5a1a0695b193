//! One subject in time: its last slots, which may still change, and its history, which does not.

use std::collections::{BTreeSet, VecDeque};

use crate::history::{Counts, History, SLOT_S};
use crate::latency::Latency;
use crate::subject::Observation;

/// Slots that are kept; rules may look back so far.
const SLOTS_MAX: usize = 60;
/// A slot becomes history when it is so old; by then it is known whether it belongs to an incident.
pub(crate) const LEARN_AFTER_S: i64 = 180;

/// A slot that may still change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    pub(crate) slot_s: i64,
    pub(crate) requests: f64,
    pub(crate) errors: f64,
    pub(crate) slow: f64,
    pub(crate) timed: f64,
    pub(crate) latency: Latency,
}

/// One subject in time.
#[derive(Debug)]
pub(crate) struct Series {
    /// Ascending; slots without anything are not there.
    pub(crate) recent: VecDeque<Slot>,
    pub(crate) history: History,
    /// Every slot before this one is history, or was left out of it.
    pub(crate) learnt_s: i64,
    /// The last slot with anything in it.
    pub(crate) seen_s: i64,
}

/// What is not learnt of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skip<'a> {
    /// Slots that belong to an incident.
    pub(crate) excluded: Option<Span>,
    /// Slots in which anything at all was heard of anybody; the silence of others says nothing of a subject.
    pub(crate) heard: &'a BTreeSet<i64>,
}

/// Slots from one on, before another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from_s: i64,
    pub(crate) to_s: i64,
}

impl Span {
    pub(crate) fn holds(&self, slot_s: i64) -> bool {
        (self.from_s..self.to_s).contains(&slot_s)
    }
}

impl Series {
    /// A subject that appears at `slot_s`; `absent` slots before it are known to have been empty.
    pub(crate) fn new(slot_s: i64, absent: u32) -> Series {
        Series { recent: VecDeque::new(), history: History::zeros(absent), learnt_s: slot_s, seen_s: slot_s }
    }

    /// Takes the newest numbers of a slot; says whether it was too late for them.
    pub(crate) fn observe(&mut self, seen: &Observation, skip: Skip) -> bool {
        let slot_s = seen.slot_s;
        let oldest_s = self.recent.front().map_or(slot_s, |slot| slot.slot_s);
        if slot_s < oldest_s && (slot_s < self.learnt_s || self.recent.len() >= SLOTS_MAX) {
            return false;
        }
        let latency = Latency::read(&seen.latency);
        let mut slot = Slot {
            slot_s,
            requests: clean(seen.requests),
            errors: clean(seen.errors),
            slow: 0.0,
            timed: latency.count(),
            latency,
        };
        slot.errors = slot.errors.min(slot.requests);
        self.rate(&mut slot);
        match self.recent.binary_search_by_key(&slot_s, |slot| slot.slot_s) {
            Ok(place) => self.recent[place] = slot,
            Err(place) => self.recent.insert(place, slot),
        }
        self.seen_s = self.seen_s.max(slot_s);
        if self.recent.len() > SLOTS_MAX {
            // Many at once: what was stored before a start.
            let until_s = self.recent.front().map_or(0, |slot| slot.slot_s) + SLOT_S;
            self.learn(until_s, skip);
            self.recent.pop_front();
        }
        true
    }

    /// Makes the slots before `until_s` history, empty ones too.
    pub(crate) fn learn(&mut self, until_s: i64, skip: Skip) {
        let had = self.history.slow_above;
        // What would be longer than the history need not be walked through.
        self.learnt_s = self.learnt_s.max(until_s.saturating_sub(2 * 3600));
        let (mut place, empty) = (0, Slot::default());
        while self.learnt_s < until_s {
            let slot_s = self.learnt_s;
            self.learnt_s += SLOT_S;
            place += self.recent.iter().skip(place).take_while(|slot| slot.slot_s < slot_s).count();
            let slot = self.recent.get(place).filter(|slot| slot.slot_s == slot_s);
            let silent = slot.is_none() && !skip.heard.contains(&slot_s);
            if silent || skip.excluded.is_some_and(|excluded| excluded.holds(slot_s)) {
                continue;
            }
            let slot = slot.unwrap_or(&empty);
            let counts = Counts { requests: slot.requests, errors: slot.errors, slow: slot.slow };
            self.history.learn(counts, &slot.latency);
        }
        // Durations are most of the memory; from here on counts are enough.
        let learnt_s = self.learnt_s;
        self.recent
            .iter_mut()
            .take_while(|slot| slot.slot_s < learnt_s)
            .for_each(|slot| slot.latency = Latency::default());
        if had != self.history.slow_above {
            let mut recent = std::mem::take(&mut self.recent);
            recent.iter_mut().filter(|slot| slot.slot_s >= learnt_s).for_each(|slot| self.rate(slot));
            self.recent = recent;
        }
    }

    /// Forgets slots that no longer count, and those after `now_s`: a clock went back.
    pub(crate) fn forget(&mut self, now_s: i64) {
        self.recent.retain(|slot| slot.slot_s <= now_s && slot.slot_s > now_s - SLOTS_MAX as i64 * SLOT_S);
        self.seen_s = self.seen_s.min(now_s);
        self.learnt_s = self.learnt_s.min(now_s);
    }

    /// The sum of the slots in `from_s..to_s`, without durations.
    pub(crate) fn sum(&self, from_s: i64, to_s: i64) -> Slot {
        let mut sum = Slot { slot_s: from_s, ..Slot::default() };
        for slot in self.within(from_s, to_s) {
            sum.requests += slot.requests;
            sum.errors += slot.errors;
            sum.slow += slot.slow;
            sum.timed += slot.timed;
        }
        sum
    }

    /// The durations of the slots in `from_s..to_s`.
    pub(crate) fn latency(&self, from_s: i64, to_s: i64) -> Latency {
        let mut all = Latency::default();
        self.within(from_s, to_s).for_each(|slot| all.merge(&slot.latency));
        all
    }

    pub(crate) fn within(&self, from_s: i64, to_s: i64) -> impl Iterator<Item = &Slot> {
        let newest_first = self.recent.iter().rev().skip_while(move |slot| slot.slot_s >= to_s);
        newest_first.take_while(move |slot| slot.slot_s >= from_s)
    }

    fn rate(&self, slot: &mut Slot) {
        slot.slow = self.history.slow_above.map_or(0.0, |bucket| slot.latency.above(bucket));
    }
}

/// What is no count is none.
pub(crate) fn clean(count: f64) -> f64 {
    if count.is_finite() { count.clamp(0.0, 1e12) } else { 0.0 }
}
