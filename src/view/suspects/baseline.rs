//! With what a fault window is compared: minutes that were as usual, near in time.

use correlate::graph::MINUTE_NS;
use store::questions::Window;
use store::questions::evidence::MinuteRow;

/// Usual minutes are looked for in so much time before the fault, else after it.
pub(super) const REACH_NS: i64 = 60 * MINUTE_NS;
/// Minutes of a baseline.
const MINUTES: (usize, usize) = (5, 15);
/// Minutes that tell what is usual, besides.
const HEALTHY_MAX: usize = 6;

/// Minutes of a baseline, and minutes to learn from what is usual; ascending, disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) baseline: Vec<i64>,
    pub(super) healthy: Vec<i64>,
}

impl Chosen {
    /// The baseline's minutes, those that follow each other together.
    pub(super) fn baseline_windows(&self) -> Vec<Window> {
        let run = |minutes: &[i64]| Window {
            from_ns: minutes[0] * MINUTE_NS,
            to_ns: (minutes[minutes.len() - 1] + 1) * MINUTE_NS,
        };
        self.baseline.chunk_by(|a, b| a + 1 == *b).map(run).collect()
    }

    /// Every minute to learn from.
    pub(super) fn healthy_windows(&self) -> Vec<Window> {
        let window = |minute: &i64| Window { from_ns: minute * MINUTE_NS, to_ns: (minute + 1) * MINUTE_NS };
        self.healthy.iter().map(window).collect()
    }
}

/// The minute of an instant.
pub(super) fn minute_of(at_ns: i64) -> i64 {
    at_ns.div_euclid(MINUTE_NS)
}

/// Chooses among `rows`, whole minutes outside `fault`. Minutes that failed or dragged far more than the others
/// of their time are passed over, and so is the one beside the fault, in which it may have begun, when there
/// are others. Nearer ones come first, before the fault or, when there are none, after it.
pub(super) fn choose(rows: &[MinuteRow], fault: Window) -> Chosen {
    let first = fault.from_ns.div_euclid(MINUTE_NS);
    let end = fault.to_ns.saturating_add(MINUTE_NS - 1).div_euclid(MINUTE_NS);
    let mut before: Vec<MinuteRow> = rows.iter().filter(|row| row.minute < first).copied().collect();
    let mut after: Vec<MinuteRow> = rows.iter().filter(|row| row.minute >= end).copied().collect();
    before.sort_by_key(|row| std::cmp::Reverse(row.minute));
    after.sort_by_key(|row| row.minute);
    let mut near = if before.is_empty() { after } else { before };
    if near.len() > MINUTES.0 && near.first().is_some_and(|row| row.minute == first - 1 || row.minute == end) {
        near.remove(0);
    }
    let usual: Vec<i64> = usual(&near).iter().map(|row| row.minute).collect();
    let wanted = usize::try_from(end - first).unwrap_or(MINUTES.1).saturating_mul(2).clamp(MINUTES.0, MINUTES.1);
    // What is usual is learnt from minutes of their own; few minutes are all baseline.
    let spare = usual.len().saturating_sub(MINUTES.0).min(HEALTHY_MAX);
    let wanted = wanted.min(usual.len() - spare);
    let mut chosen = Chosen { baseline: usual[..wanted].to_vec(), healthy: usual[wanted..].to_vec() };
    chosen.healthy.truncate(HEALTHY_MAX);
    chosen.baseline.sort_unstable();
    chosen.healthy.sort_unstable();
    chosen
}

fn usual(rows: &[MinuteRow]) -> Vec<MinuteRow> {
    let share = |row: &MinuteRow| row.errors as f64 / row.spans.max(1) as f64;
    let errors = median(rows.iter().map(share).collect());
    let slow = median(rows.iter().map(|row| row.slow_ns as f64).collect());
    let spans = median(rows.iter().map(|row| row.spans as f64).collect());
    let is_usual = |row: &&MinuteRow| {
        share(row) <= errors * 2.0 + 0.01 && row.slow_ns as f64 <= slow * 2.0 && row.spans as f64 >= spans / 4.0
    };
    rows.iter().filter(is_usual).copied().collect()
}

/// The upper median; 0 of nothing.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(minutes: impl IntoIterator<Item = (i64, u64)>) -> Vec<MinuteRow> {
        minutes
            .into_iter()
            .map(|(minute, errors)| MinuteRow { minute, spans: 1_000, errors, slow_ns: 1_000_000 })
            .collect()
    }

    fn fault(first: i64, minutes: i64) -> Window {
        Window { from_ns: first * MINUTE_NS, to_ns: (first + minutes) * MINUTE_NS }
    }

    // Scenario: an hour before a fault of three minutes, with an earlier bad minute; one minute only; nothing
    // before it; nothing at all.
    // Guarantee: the nearest usual minutes, not the one beside the fault nor the bad one; what there is; what comes after.
    #[test]
    fn nearest_usual_minutes() {
        let hour = rows((40..100).map(|minute| (minute, if minute == 97 { 400 } else { 2 })));
        let chosen = choose(&hour, fault(100, 3));
        assert_eq!(chosen.baseline, [92, 93, 94, 95, 96, 98]);
        assert_eq!(chosen.healthy, [86, 87, 88, 89, 90, 91]);
        assert_eq!(choose(&rows([(99, 0)]), fault(100, 3)).baseline, [99]);
        let after = choose(&rows((103..110).map(|minute| (minute, 0))), fault(100, 3));
        assert_eq!((after.baseline.as_slice(), after.healthy.as_slice()), (&[104, 105, 106, 107, 108][..], &[109][..]));
        assert_eq!(choose(&[], fault(100, 3)), Chosen::default());
        assert_eq!(chosen.baseline_windows(), [fault(92, 5), fault(98, 1)]);
        assert!(Chosen::default().baseline_windows().is_empty() && Chosen::default().healthy_windows().is_empty());
    }
}
