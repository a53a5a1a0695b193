//! Durations as buckets of a logarithmic histogram. They come in the buckets of the stored sketches (512 exact ones,
//! then 40 an octave); half of that resolution is enough to watch, and half the memory.

use serde::{Deserialize, Serialize};

const EXACT_NS: f64 = 512.0;
const SENT_PER_OCTAVE: i16 = 40;
const PER_OCTAVE: f64 = 20.0;
const SENT_BUCKETS: i16 = 512 + 55 * SENT_PER_OCTAVE;
/// Buckets kept of one histogram; beyond, the fastest are thrown together.
const BUCKETS_MAX: usize = 256;

/// A histogram as it is handed over: ascending bucket indexes and how many durations lie in each.
pub type Buckets = (Vec<i16>, Vec<f64>);

/// A histogram as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    buckets: Vec<(i16, f32)>,
}

/// The bucket of a duration.
pub(crate) fn bucket(ns: f64) -> i16 {
    if ns <= EXACT_NS { 0 } else { ((ns / EXACT_NS).log2() * PER_OCTAVE).min(2_000.0) as i16 }
}

/// The duration in the middle of a bucket, nanoseconds.
pub(crate) fn middle(bucket: i16) -> f64 {
    EXACT_NS * ((f64::from(bucket) + 0.5) / PER_OCTAVE).exp2()
}

impl Latency {
    /// From what was handed over; unknown buckets and senseless counts are left out.
    pub(crate) fn read(sent: &Buckets) -> Latency {
        let known = sent.0.iter().zip(&sent.1).filter(|(index, count)| {
            (0..SENT_BUCKETS).contains(*index) && count.is_finite() && **count > 0.0 && **count < 1e12
        });
        let mut latency =
            Latency { buckets: known.map(|(index, count)| ((index - 512).max(0) / 2, *count as f32)).collect() };
        latency.tidy();
        latency
    }

    pub(crate) fn merge(&mut self, other: &Latency) {
        if !other.buckets.is_empty() {
            self.buckets.extend_from_slice(&other.buckets);
            self.tidy();
        }
    }

    pub(crate) fn count(&self) -> f64 {
        self.buckets.iter().map(|(_, count)| f64::from(*count)).sum()
    }

    /// How many are in buckets above this one.
    pub(crate) fn above(&self, bucket: i16) -> f64 {
        self.buckets.iter().rev().take_while(|(index, _)| *index > bucket).map(|(_, count)| f64::from(*count)).sum()
    }

    /// The bucket at a share of all; none when empty.
    pub(crate) fn quantile(&self, q: f64) -> Option<i16> {
        let rank = (q * self.count()).max(f64::MIN_POSITIVE);
        let mut seen = 0.0;
        let found = self.buckets.iter().find(|(_, count)| {
            seen += f64::from(*count);
            seen >= rank
        });
        found.or(self.buckets.last()).map(|(index, _)| *index)
    }

    fn tidy(&mut self) {
        self.buckets.sort_by_key(|(index, _)| *index);
        self.buckets.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        let surplus = self.buckets.len().saturating_sub(BUCKETS_MAX);
        if surplus > 0 {
            let thrown: f32 = self.buckets.drain(..surplus).map(|(_, count)| count).sum();
            self.buckets[0].1 += thrown;
        }
        self.buckets.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: durations in the buckets that stored sketches have (40 an octave above 512 ns).
    // Guarantee: quantiles come out within 4 %, counts exactly; nonsense is left out.
    #[test]
    fn sent_buckets_are_read() {
        let index = |ns: f64| 512 + ((ns / 512.0).log2() * 40.0) as i16;
        let (fast, slow) = (index(2e6), index(900e6));
        let read = Latency::read(&(vec![slow, fast, -4, 30_000, fast], vec![10.0, 85.0, 1.0, 1.0, 5.0]));
        assert_eq!(read.count(), 100.0);
        for (q, ns) in [(0.5, 2e6), (0.95, 900e6)] {
            let told = middle(read.quantile(q).unwrap());
            assert!((told / ns - 1.0).abs() < 0.04, "{told}");
        }
        assert_eq!(read.above(bucket(100e6)), 10.0);
        assert_eq!(Latency::read(&(vec![600], vec![f64::NAN])), Latency::default());
        assert_eq!(Latency::default().quantile(0.5), None);
    }
}
