//! Durations as a histogram that merges by addition, in any order and grouping.
//!
//! Coarser than the service graph's sketch, for there are many of these: every octave has 16 buckets of
//! equal width, so a duration is known within 3.2 %; below 16 ns each has its own. Statistics of evidence
//! are logarithmic and compare calls that vary by tens of percent, so that is fine enough.

use super::Count;

/// A mergeable histogram of durations in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dist {
    // Ascending by index; none empty.
    buckets: Vec<(u16, Count)>,
}

const STEP_BITS: u32 = 4;
const STEPS: u64 = 1 << STEP_BITS;
const BUCKETS: u16 = ((64 - STEP_BITS as u16) + 1) << STEP_BITS;

impl Dist {
    /// Adds a duration.
    pub fn add(&mut self, duration_ns: u64, count: Count) {
        self.add_bucket(bucket(duration_ns), count);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Dist) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        for (index, count) in &other.buckets {
            self.add_bucket(*index, *count);
        }
    }

    /// What is left without a part of it.
    #[must_use]
    pub fn without(&self, part: &Dist) -> Dist {
        let mut rest = self.clone();
        for (index, count) in &part.buckets {
            if let Ok(place) = rest.buckets.binary_search_by_key(index, |(index, _)| *index) {
                rest.buckets[place].1 = rest.buckets[place].1.minus(*count);
            }
        }
        rest.buckets.retain(|(_, count)| !count.is_empty());
        rest
    }

    /// How many durations there are.
    pub fn count(&self) -> Count {
        self.buckets.iter().fold(Count::default(), |sum, (_, count)| sum.plus(*count))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Duration in nanoseconds (the middle of its bucket, at least 1) and weight, ascending.
    pub fn values(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.buckets.iter().map(|(index, count)| (middle(*index), count.weight()))
    }

    /// The duration in nanoseconds at the share `q` (0 to 1) of all, by nearest rank; none when empty.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total: f64 = self.values().map(|(_, weight)| weight).sum();
        let rank = q.clamp(0.0, 1.0) * total;
        let mut seen = 0.0;
        let found = self.values().find(|(_, weight)| {
            seen += weight;
            seen >= rank
        });
        found.or(self.values().last()).map(|(value, _)| value)
    }

    /// The mean in nanoseconds; 0 when empty.
    pub fn mean(&self) -> f64 {
        let (sum, total) = self.values().fold((0.0, 0.0), |(sum, total), (value, w)| (sum + value * w, total + w));
        if total > 0.0 { sum / total } else { 0.0 }
    }

    /// Bucket indexes, ascending, with weight in units and number of spans: what is stored. All add up by index.
    pub fn buckets(&self) -> impl Iterator<Item = (u16, Count)> + '_ {
        self.buckets.iter().copied()
    }

    /// From what was stored, in any order; unknown indexes and empty counts are left out.
    pub fn from_buckets(buckets: impl IntoIterator<Item = (u16, Count)>) -> Dist {
        let mut dist = Dist::default();
        for (index, count) in buckets {
            if index < BUCKETS && !count.is_empty() {
                dist.add_bucket(index, count);
            }
        }
        dist
    }

    fn add_bucket(&mut self, index: u16, count: Count) {
        match self.buckets.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(place) => self.buckets[place].1 = self.buckets[place].1.plus(count),
            Err(place) => self.buckets.insert(place, (index, count)),
        }
    }
}

fn bucket(duration_ns: u64) -> u16 {
    if duration_ns < STEPS {
        return duration_ns as u16;
    }
    let octave = 63 - duration_ns.leading_zeros() - STEP_BITS;
    let step = (duration_ns >> octave) - STEPS;
    ((octave as u16 + 1) << STEP_BITS) + step as u16
}

fn middle(index: u16) -> f64 {
    if u64::from(index) < STEPS {
        return f64::from(index.max(1));
    }
    let octave = u32::from(index >> STEP_BITS) - 1;
    let step = (u64::from(index) & (STEPS - 1)) + STEPS;
    (step as f64 + 0.5) * (1u128 << octave) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: durations over the whole range, each alone.
    // Guarantee: read back within half a bucket; indexes grow with durations and stay below the bound.
    #[test]
    fn a_duration_is_known_within_half_a_bucket() {
        let mut last = 0;
        for shift in 0..64 {
            for part in [0u64, 3, 7, 12] {
                let duration_ns = (1u64 << shift).saturating_add((1u64 << shift) / 16 * part);
                let index = bucket(duration_ns);
                assert!(index >= last && index < BUCKETS, "{duration_ns}");
                last = index;
                let error = (middle(index) / duration_ns as f64 - 1.0).abs();
                assert!(error <= 0.032, "{duration_ns} read as {}", middle(index));
            }
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    // Scenario: two halves merged either way, stored and read.
    // Guarantee: the same histogram; quantiles by nearest rank; senseless indexes left out.
    #[test]
    fn merges_and_stores() {
        let (mut low, mut high) = (Dist::default(), Dist::default());
        (1..=50u64).for_each(|ms| low.add(ms * 1_000_000, Count::ONE));
        (51..=100u64).for_each(|ms| high.add(ms * 1_000_000, Count::new(2.0)));
        let (mut one, mut other) = (low.clone(), high.clone());
        one.merge(&high);
        other.merge(&low);
        assert_eq!(one, other);
        assert_eq!((one.without(&high), low.without(&low)), (low.clone(), Dist::default()));
        assert_eq!(one.count().weight(), 150.0);
        assert_eq!(one.count().spans(), 100);
        assert!((one.quantile(0.5).unwrap() / 63e6 - 1.0).abs() < 0.04);
        assert_eq!(Dist::from_buckets(one.buckets().chain([(BUCKETS, Count::ONE)])), one);
        assert_eq!(Dist::default().quantile(0.5), None);
    }
}
