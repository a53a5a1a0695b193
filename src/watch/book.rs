//! All series, within bounds, and which services and patterns are known.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::history::SLOT_S;
use crate::names::Names;
use crate::series::{LEARN_AFTER_S, Series, Skip, Span, clean};
use crate::settings::Settings;
use crate::subject::{Observation, Subject};

/// Slots that are older or newer than this are not believed.
const PAST_S: i64 = 2 * 3_600;
const FUTURE_S: i64 = 60;
/// Who was not heard of for so long makes room for others.
const FORGET_S: i64 = 6 * 3_600;
/// Patterns that are remembered as seen.
const SEEN_MAX: usize = 100_000;
/// A new pattern counts as one only in a service that is known for so long.
const ACQUAINTED_S: i64 = 300;
/// So long is waited for the pattern of a new key.
const UNNAMED_S: i64 = 40;
/// New patterns told at once.
const FRESH_MAX: usize = 1_000;

/// When a service was first and last heard of, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) since_s: i64,
    pub(crate) seen_s: i64,
}

/// What was not taken in, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Observations of services beyond the limit.
    pub services: u64,
    /// Observations of operations beyond the limit.
    pub operations: u64,
    /// Observations of patterns beyond the limit.
    pub patterns: u64,
    /// Observations of slots that were closed already.
    pub late: u64,
    /// Observations of slots far in the past or in the future.
    pub senseless: u64,
}

/// A pattern that its service never wrote before.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    pub(crate) subject: Subject,
    pub(crate) slot_s: i64,
}

/// All series.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) series: BTreeMap<Subject, Series>,
    pub(crate) services: BTreeMap<String, Known>,
    pub(crate) seen: BTreeSet<u64>,
    pub(crate) fresh: Vec<Fresh>,
    pub(crate) names: Names,
    /// What the patterns that rules name are called now.
    pub(crate) present: BTreeMap<u64, BTreeSet<u64>>,
    pub(crate) refused: Refused,
    /// Share of all requests that usually fail.
    pub(crate) errors: f64,
    heard: BTreeSet<i64>,
    /// Slots in which any line was heard.
    heard_lines: BTreeSet<i64>,
    operations: usize,
    patterns: usize,
    tidied_s: i64,
    learnt_s: i64,
}

impl Book {
    pub(crate) fn observe(
        &mut self,
        settings: &Settings,
        now_s: i64,
        all: &[Observation],
        excluded: &BTreeMap<Subject, Span>,
    ) {
        let believed = now_s - PAST_S..=now_s + FUTURE_S;
        let slot_of = |seen: &Observation| seen.slot_s.saturating_sub(seen.slot_s.rem_euclid(SLOT_S));
        self.heard.extend(all.iter().map(slot_of).filter(|slot_s| believed.contains(slot_s)));
        for seen in all {
            let slot_s = slot_of(seen);
            if !believed.contains(&slot_s) {
                self.refused.senseless += 1;
                continue;
            }
            if seen.requests.is_nan() || seen.requests <= 0.0 {
                // Nothing is said of a subject by naming it; a slot that was not empty before may be now.
                if !self.series.contains_key(&seen.subject) {
                    continue;
                }
            } else if !self.meet(settings, &seen.subject, slot_s) {
                continue;
            }
            if seen.subject.is_line() {
                self.heard_lines.insert(slot_s);
            }
            let skip = Skip {
                excluded: excluded.get(&seen.subject).copied(),
                heard: if seen.subject.is_line() { &self.heard_lines } else { &self.heard },
            };
            let Some(series) = self.series.get_mut(&seen.subject) else { continue };
            let taken = match slot_s == seen.slot_s {
                true => series.observe(seen, skip),
                false => series.observe(&Observation { slot_s, ..seen.clone() }, skip),
            };
            self.refused.late += u64::from(!taken);
        }
    }

    /// Requests at this time of the day before, in one observation for each subject; who is not among them had none.
    pub(crate) fn day_before(&mut self, today: Span, slots: f64, all: &[Observation]) {
        let mut before: BTreeMap<&Subject, f64> = BTreeMap::new();
        all.iter().for_each(|seen| *before.entry(&seen.subject).or_default() += clean(seen.requests));
        for (subject, series) in &mut self.series {
            let requests = before.get(subject).copied().unwrap_or_default() / slots.max(1.0);
            series.history.day_before = (!before.is_empty()).then_some((today, requests));
        }
    }

    /// Makes history of what is old enough.
    pub(crate) fn learn(&mut self, now_s: i64, excluded: &BTreeMap<Subject, Span>) {
        let until_s = now_s - LEARN_AFTER_S;
        let until_s = until_s - until_s.rem_euclid(SLOT_S);
        if until_s != self.learnt_s {
            for (subject, series) in &mut self.series {
                let heard = if subject.is_line() { &self.heard_lines } else { &self.heard };
                series.learn(until_s, Skip { excluded: excluded.get(subject).copied(), heard });
            }
            self.learnt_s = until_s;
        }
        if (now_s - self.tidied_s).abs() >= 60 {
            self.tidied_s = now_s;
            self.tidy(now_s);
        }
    }

    /// The clock went back to `now_s`.
    pub(crate) fn forget(&mut self, now_s: i64) {
        self.series.values_mut().for_each(|series| series.forget(now_s));
        self.heard.retain(|slot_s| *slot_s <= now_s);
        self.heard_lines.retain(|slot_s| *slot_s <= now_s);
        for known in self.services.values_mut() {
            known.since_s = known.since_s.min(now_s);
            known.seen_s = known.seen_s.min(now_s);
        }
        self.fresh.clear();
        self.tidied_s = now_s;
    }

    /// How many lines of any kind usually come in a slot, and how many came in each of the last slots.
    pub(crate) fn lines(&self, from_s: i64) -> (f64, BTreeMap<i64, f64>) {
        let (mut usual, mut slots) = (0.0, BTreeMap::new());
        for (_, series) in self.series.iter().filter(|(subject, _)| subject.is_line()) {
            usual += series.history.sums.requests.total / series.history.sums.slots.max(1.0);
            for slot in series.within(from_s, i64::MAX) {
                *slots.entry(slot.slot_s).or_default() += slot.requests;
            }
        }
        (usual, slots)
    }

    /// Keys of lines whose pattern is not known, or has not been asked for lately.
    pub(crate) fn unnamed(&self, now_s: i64, most: usize) -> Vec<(String, u64)> {
        let lines = self.series.keys().filter_map(|subject| match subject {
            Subject::Lines { service, pattern, .. } => Some((service, *pattern)),
            _ => None,
        });
        let unnamed = lines.filter(|(service, key)| !self.names.is_good(now_s, service, *key));
        unnamed.take(most).map(|(service, key)| (service.clone(), key)).collect()
    }

    /// Whether the lines of a key are of the pattern that a rule names: by the key, or by an id that it has or had.
    pub(crate) fn is_of(&self, service: &str, key: u64, named: u64) -> bool {
        let is = |id: u64| id == named || self.present.get(&named).is_some_and(|present| present.contains(&id));
        key == named || self.names.of(service, key).is_some_and(|pattern| is(pattern.id))
    }

    /// The new patterns that are certain to be: a key that joined a pattern which was there before is none. Whoever
    /// nobody has told of is waited for a little.
    pub(crate) fn take_fresh(&mut self, now_s: i64) -> Vec<Fresh> {
        let mut told = Vec::new();
        let names = &self.names;
        self.fresh.retain(|fresh| {
            let Subject::Lines { service, pattern, .. } = &fresh.subject else { return false };
            match names.of(service, *pattern) {
                Some(known) if known.since_s < fresh.slot_s - SLOT_S => false,
                None if now_s - fresh.slot_s < UNNAMED_S => true,
                _ => {
                    told.push(fresh.clone());
                    false
                }
            }
        });
        told
    }

    // Makes sure that there is a series; says whether there is room for one.
    fn meet(&mut self, settings: &Settings, subject: &Subject, slot_s: i64) -> bool {
        let name = subject.service();
        let full = self.services.len() >= settings.services_max;
        let since_s = match self.services.get_mut(name) {
            Some(known) => {
                known.since_s = known.since_s.min(slot_s);
                known.seen_s = known.seen_s.max(slot_s);
                known.since_s
            }
            None if full => {
                self.refused.services += 1;
                return false;
            }
            None => {
                self.services.insert(name.to_owned(), Known { since_s: slot_s, seen_s: slot_s });
                slot_s
            }
        };
        if self.series.contains_key(subject) {
            return true;
        }
        match subject {
            Subject::Lines { pattern, severity, .. } => {
                if self.seen.len() < SEEN_MAX && self.seen.insert(hash(name, *pattern)) {
                    let acquainted = slot_s - since_s >= ACQUAINTED_S;
                    if acquainted && *severity >= 9 && self.fresh.len() < FRESH_MAX {
                        self.fresh.push(Fresh { subject: subject.clone(), slot_s });
                    }
                }
                if self.patterns >= settings.patterns_max {
                    self.refused.patterns += 1;
                    return false;
                }
                self.patterns += 1;
            }
            Subject::Roots { .. } | Subject::Clock { .. } => {}
            _ if self.operations >= settings.operations_max => {
                self.refused.operations += 1;
                return false;
            }
            _ => self.operations += 1,
        }
        // Lines of a known service could have come before: that they did not is history, as far as it was watched.
        let since_s = since_s.max(self.heard.first().copied().unwrap_or(slot_s));
        let absent = if subject.counts_from_zero() { (slot_s - LEARN_AFTER_S - since_s).max(0) / SLOT_S } else { 0 };
        self.series.insert(subject.clone(), Series::new(slot_s, absent.min(i64::from(u32::MAX)) as u32));
        true
    }

    fn tidy(&mut self, now_s: i64) {
        self.heard = self.heard.split_off(&(now_s - PAST_S));
        self.heard_lines = self.heard_lines.split_off(&(now_s - PAST_S));
        self.series.retain(|_, series| series.seen_s > now_s - FORGET_S);
        self.services.retain(|_, known| known.seen_s > now_s - 8 * 86_400);
        let mut lines: BTreeSet<(&str, u64)> = BTreeSet::new();
        lines.extend(self.series.keys().filter_map(|subject| match subject {
            Subject::Lines { service, pattern, .. } => Some((service.as_str(), *pattern)),
            _ => None,
        }));
        self.names.retain(|service, key| lines.contains(&(service, key)));
        self.patterns = self.series.keys().filter(|subject| subject.is_line()).count();
        let others = |subject: &&Subject| matches!(subject, Subject::Roots { .. } | Subject::Clock { .. });
        self.operations = self.series.len() - self.patterns - self.series.keys().filter(others).count();
        let entries = self.series.iter().filter(|(subject, _)| matches!(subject, Subject::Entry { .. }));
        let sums = entries.map(|(_, series)| series.history.sums);
        let (failed, all) = sums.fold((0.0, 0.0), |sum, next| (sum.0 + next.errors.total, sum.1 + next.requests.total));
        self.errors = (failed + 1.0) / (all + 200.0);
    }
}

// FNV-1a: a pattern key means something only with its service.
fn hash(service: &str, pattern: u64) -> u64 {
    let bytes = service.bytes().chain([0]).chain(pattern.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
