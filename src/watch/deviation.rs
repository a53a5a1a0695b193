//! How a subject deviates from what was usual for it: the rules of thumb of a person at a chart, with the odds
//! worked out. Several windows, so that a strong change shows at once and a moderate one a little later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::history::SLOT_S;
use crate::latency::middle;
use crate::series::{Series, Slot, Span};
use crate::subject::Subject;
use crate::tails;

/// Lengths of the windows, in slots.
const WINDOWS: [i64; 6] = [2, 3, 4, 6, 9, 12];
/// To hold on to what has deviated, the last minute decides.
const WINDOWS_HOLD: [i64; 2] = [3, 6];

/// What of a subject deviates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// More of it fails.
    Errors,
    /// More of it is slow.
    Latency,
    /// There is far less of it, or nothing.
    Drop,
    /// There is far more of it.
    Surge,
    /// A line of severity WARN or above that is new, or comes far more often.
    Lines,
    /// A line that no longer comes.
    Vanished,
    /// Requests whose caller's context is lost.
    Roots,
    /// Clocks disagree.
    Clock,
    /// A rule fired.
    Rule,
}

/// How far a subject is from what was usual.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deviation {
    pub(crate) signal: Signal,
    /// How unlikely it is without a change: -log10 of the probability.
    pub(crate) decades: f64,
    /// What was usual, and what is: a share, nanoseconds, or a number in a minute, as the signal has it.
    pub(crate) usual: f64,
    pub(crate) now: f64,
    /// The first slot that shows it.
    pub(crate) onset_s: i64,
}

/// What must be reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    windows: &'static [i64],
    /// Decades that errors and durations need, counts need, and surges need.
    ratios: f64,
    counts: f64,
    surges: f64,
    /// The size of a change, against that of one that opens.
    size: f64,
}

/// What opens an incident.
pub(crate) const OPENS: Bar = Bar { windows: &WINDOWS, ratios: 4.3, counts: 5.0, surges: 10.0, size: 1.0 };
/// What keeps it open.
pub(crate) const HOLDS: Bar = Bar { windows: &WINDOWS_HOLD, ratios: 2.0, counts: 2.5, surges: 4.0, size: 0.6 };

/// When and against what.
#[derive(Clone, Debug)]
pub(crate) struct At {
    /// Slots before this one are complete.
    pub(crate) settled_s: i64,
    /// The end of the newest slot.
    pub(crate) fresh_s: i64,
    /// Slots in which nothing could be seen.
    pub(crate) blind: Option<Span>,
    /// Share of all requests that usually fail.
    pub(crate) errors: f64,
    /// Lines of any kind: how many usually come in a slot, and how many came.
    pub(crate) lines: (f64, BTreeMap<i64, f64>),
    /// Slots of history without which nothing is said.
    pub(crate) learn_slots: f64,
}

impl At {
    // Whether there are far fewer lines of all other kinds, too: then it is the way of the logs that is broken.
    fn is_mute(&self, from_s: i64, to_s: i64, expected: f64, seen: f64) -> bool {
        let usual = self.lines.0 * ((to_s - from_s) / SLOT_S) as f64 - expected;
        let came: f64 = self.lines.1.range(from_s..to_s).map(|(_, lines)| lines).sum();
        usual >= 8.0 && came - seen < usual * 0.35
    }
}

impl Signal {
    /// Whether it says that something is wrong, and not only that there is more or less to do.
    pub fn is_hard(self) -> bool {
        !matches!(self, Signal::Drop | Signal::Surge | Signal::Vanished)
    }
}

/// What of the subject deviates, each signal by its most telling window.
pub(crate) fn deviations(subject: &Subject, series: &Series, at: &At, bar: Bar) -> Vec<Deviation> {
    if series.history.sums.slots < at.learn_slots {
        return Vec::new();
    }
    let look = Look { series, at, bar };
    let mut found = Vec::new();
    match subject {
        Subject::Entry { .. } => {
            found.extend(look.errors(Signal::Errors));
            found.extend(look.latency());
            found.extend(look.less(Signal::Drop));
            found.extend(look.more(Signal::Surge, bar.surges, 30.0));
        }
        Subject::Call { .. } => {
            found.extend(look.errors(Signal::Errors));
            found.extend(look.latency());
            found.extend(look.less(Signal::Drop));
        }
        Subject::Wait { .. } => found.extend(look.latency()),
        Subject::Roots { .. } => found.extend(look.more(Signal::Roots, bar.counts, 8.0)),
        Subject::Lines { severity: 13.., .. } => found.extend(look.more(Signal::Lines, bar.ratios, 3.0)),
        Subject::Lines { .. } => found.extend(look.less(Signal::Vanished)),
        Subject::Clock { .. } => found.extend(look.errors(Signal::Clock)),
    }
    found
}

struct Look<'a> {
    series: &'a Series,
    at: &'a At,
    bar: Bar,
}

impl Look<'_> {
    // Of equally unlikely windows the shorter: it says more of now.
    fn best(&self, newest_s: i64, judge: impl Fn(i64, i64) -> Option<Deviation>) -> Option<Deviation> {
        let windows = self.bar.windows.iter().map(|slots| (newest_s - slots * SLOT_S, newest_s));
        windows
            .filter_map(|(from_s, to_s)| judge(from_s, to_s))
            .reduce(|best, next| if next.decades > best.decades { next } else { best })
    }

    fn errors(&self, signal: Signal) -> Option<Deviation> {
        let sums = &self.series.history.sums;
        let burst = sums.errors.burst(sums.slots);
        // Few errors are usual anywhere: what all requests show stands in where little is known.
        let stands_in = (0.5 / self.at.errors.max(1e-9)).clamp(20.0, 300.0);
        let (failed, all) = (sums.errors.total / burst, sums.requests.total / burst);
        let usual = (failed + 0.5) / (all + 0.5 + stands_in);
        let (yes, no) = (failed + 0.5, (all - failed).max(0.0) + stands_in);
        self.best(self.at.fresh_s, |from_s, to_s| {
            let sum = self.series.sum(from_s, to_s);
            let (seen, of) = (sum.errors / burst, sum.requests / burst);
            let now = sum.errors / sum.requests.max(1e-9);
            let differs = now >= (3.0 * usual).max(usual + 0.03) * self.bar.size || now > 0.9 && usual < 0.5;
            let few = if self.bar.size < 1.0 { 2.0 } else { 3.0 };
            (seen >= few && differs).then_some(())?;
            let decades = tails::share(seen, of, yes, no);
            let told = if sums.requests.total > 0.0 { sums.errors.total / sums.requests.total } else { 0.0 };
            (decades >= self.bar.ratios).then_some(Deviation { signal, decades, usual: told, now, onset_s: from_s })
        })
        .map(|found| self.since(found, |slot| (slot.errors, slot.requests), usual))
    }

    fn latency(&self) -> Option<Deviation> {
        let history = &self.series.history;
        let (all, slow) = history.timed;
        if all < 20.0 {
            return None;
        }
        let burst = history.sums.slow.burst(history.sums.slots);
        let (yes, no) = (slow / burst + 0.5, (all - slow) / burst + 10.0);
        let usual = yes / (yes + no);
        let found = self.best(self.at.fresh_s, |from_s, to_s| {
            let sum = self.series.sum(from_s, to_s);
            let (seen, of) = (sum.slow / burst, sum.timed / burst);
            let now = sum.slow / sum.timed.max(1e-9);
            (seen >= 3.0 && now >= 0.15 * self.bar.size && now >= 3.0 * usual * self.bar.size).then_some(())?;
            let decades = tails::share(seen, of, yes, no);
            let (usual, onset_s) = (0.0, from_s);
            let deviation = Deviation { signal: Signal::Latency, decades, usual, now, onset_s };
            (decades >= self.bar.ratios).then_some(deviation)
        })?;
        let newest_s = self.at.fresh_s;
        let found = self.since(found, |slot| (slot.slow, slot.timed), usual);
        let p95 = self.series.latency(found.onset_s, newest_s).quantile(0.95).map_or(0.0, middle);
        Some(Deviation { usual: history.p95_ns(), now: p95, ..found })
    }

    fn since(&self, found: Deviation, part: impl Fn(&Slot) -> (f64, f64), usual: f64) -> Deviation {
        let half = ((found.now + usual) / 2.0).min(0.5);
        let shows = |slot: &Slot| {
            let (seen, of) = part(slot);
            seen >= 1.0 && seen / of.max(1e-9) >= half
        };
        Deviation { onset_s: self.began(shows).unwrap_or(found.onset_s), ..found }
    }

    // The first slot that is nearer to now than to what was usual, with no longer pause from there on.
    fn began(&self, shows: impl Fn(&Slot) -> bool) -> Option<i64> {
        let newest_s = self.at.fresh_s;
        let mut began: Option<i64> = None;
        for slot in self.series.within(newest_s - 12 * SLOT_S, newest_s).filter(|slot| shows(slot)) {
            if began.is_some_and(|began_s| began_s - slot.slot_s > 2 * SLOT_S) {
                break;
            }
            began = Some(slot.slot_s);
        }
        began
    }

    fn more(&self, signal: Signal, decades_min: f64, seen_min: f64) -> Option<Deviation> {
        let sums = &self.series.history.sums;
        let burst = sums.requests.burst(sums.slots);
        // Something that was never there is rare by nature.
        let slots = sums.slots + if sums.requests.total == 0.0 { 60.0 } else { 0.0 };
        let before = self.day_before();
        let found = self.best(self.at.fresh_s, |from_s, to_s| {
            let sum = self.series.sum(from_s, to_s);
            let length = ((to_s - from_s) / SLOT_S) as f64;
            let usual = (sums.requests.total / slots.max(1.0)).max(before.unwrap_or(0.0));
            let seen = sum.requests / burst;
            (seen >= seen_min * self.bar.size && sum.requests >= 3.0 * self.bar.size * usual * length).then_some(())?;
            let decades = tails::more(seen, length, usual * slots / burst, slots);
            let (usual, now) = (usual * 6.0, sum.requests / length * 6.0);
            (decades >= decades_min).then_some(Deviation { signal, decades, usual, now, onset_s: from_s })
        })?;
        let onset_s = self.began(|slot| slot.requests * 12.0 >= found.usual + found.now);
        Some(Deviation { onset_s: onset_s.unwrap_or(found.onset_s), ..found })
    }

    // Only complete slots tell of what is not there, and only those that were seen.
    fn less(&self, signal: Signal) -> Option<Deviation> {
        let sums = &self.series.history.sums;
        let burst = sums.requests.burst(sums.slots);
        let before = self.day_before();
        let found = self.best(self.at.settled_s, |from_s, to_s| {
            if self.at.blind.is_some_and(|blind| blind.from_s < to_s && from_s < blind.to_s) {
                return None;
            }
            let length = ((to_s - from_s) / SLOT_S) as f64;
            let usual = (sums.requests.total / sums.slots.max(1.0)).min(before.unwrap_or(f64::INFINITY));
            let expected = usual * length / burst;
            if expected < 8.0 * self.bar.size {
                return None;
            }
            let requests = self.series.sum(from_s, to_s).requests;
            if signal == Signal::Vanished && self.at.is_mute(from_s, to_s, usual * length, requests) {
                return None;
            }
            let seen = requests / burst;
            (seen <= expected * 0.35 / self.bar.size.sqrt()).then_some(())?;
            let decades = tails::less(seen, length, usual * sums.slots / burst, sums.slots);
            let (usual, now) = (usual * 6.0, seen * burst / length * 6.0);
            (decades >= self.bar.counts).then_some(Deviation { signal, decades, usual, now, onset_s: from_s })
        })?;
        // Back to the last slot that was as usual.
        let newest_s = self.at.settled_s;
        let usual =
            self.series.within(newest_s - 13 * SLOT_S, newest_s).find(|slot| slot.requests * 12.0 > found.usual);
        let onset_s = usual.map_or(found.onset_s, |slot| slot.slot_s + SLOT_S).min(found.onset_s);
        Some(Deviation { onset_s: onset_s.max(newest_s - 12 * SLOT_S), ..found })
    }

    fn day_before(&self) -> Option<f64> {
        self.series.history.day_before(self.at.settled_s)
    }
}
