//! Durations as a histogram of logarithmic buckets. It merges exactly, in any order and grouping, and
//! gives quantiles within 1 %.
//!
//! Durations below 512 ns have a bucket each. Above, every octave has 40 buckets whose bounds are
//! 2^(k/40): half a bucket is 0.87 %, rounding to whole nanoseconds adds at most 0.1 %. The bounds are
//! integers in a table, so that a duration falls into the same bucket on every machine.

/// A mergeable histogram of durations, weighted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sketch {
    // Ascending by index; counts in units, never 0.
    buckets: Vec<(i16, u64)>,
}

/// Weights are kept in units of 1/1024: sums of integers do not depend on their order, and stay exact
/// as `f64` up to 2^43 calls.
pub(super) const UNITS: f64 = 1024.0;

// The heaviest weight: one of 2^20.
const UNITS_MAX: f64 = 1024.0 * 1_048_576.0;

const EXACT_NS: u64 = 512;
const EXACT_BITS: u32 = 9;
const PER_OCTAVE: usize = 40;
const BUCKETS: i16 = EXACT_NS as i16 + (64 - EXACT_BITS as i16) * PER_OCTAVE as i16;

// (2^(k/40) - 1) * 65536, rounded.
const BOUNDS: [u32; PER_OCTAVE + 1] = [
    0, 1_146, 2_311, 3_497, 4_704, 5_932, 7_181, 8_452, 9_745, 11_061, 12_400, 13_762, 15_148, 16_559, 17_994, 19_454,
    20_939, 22_451, 23_989, 25_554, 27_146, 28_766, 30_414, 32_092, 33_798, 35_534, 37_301, 39_099, 40_928, 42_788,
    44_682, 46_609, 48_569, 50_563, 52_593, 54_658, 56_759, 58_896, 61_071, 63_284, 65_536,
];

// The bucket in which each 64th of an octave begins. No 64th holds more than one bound.
const GUESSES: [u8; 64] = {
    let mut guesses = [0; 64];
    let mut part = 0;
    while part < 64 {
        let mut step = 0;
        while BOUNDS[step + 1] <= (part as u32) << 10 {
            step += 1;
        }
        guesses[part] = step as u8;
        part += 1;
    }
    guesses
};

/// A sketch that is being filled: what is new is sorted in by the hundred.
#[derive(Clone, Debug, Default)]
pub(super) struct Filling {
    sketch: Sketch,
    fresh: Vec<(i16, u64)>,
}

const FRESH_MIN: usize = 128;

impl Filling {
    pub(super) fn add(&mut self, duration_ns: u64, units: u64) {
        self.fresh.push((bucket(duration_ns), units));
        if self.fresh.len() >= FRESH_MIN.max(self.sketch.buckets.len()) {
            self.settle();
        }
    }

    pub(super) fn merge(&mut self, other: &Filling) {
        self.settle();
        self.sketch.merge(&other.sketch);
        self.fresh.extend_from_slice(&other.fresh);
    }

    pub(super) fn finish(mut self) -> Sketch {
        self.settle();
        self.sketch.buckets.shrink_to_fit();
        self.sketch
    }

    fn settle(&mut self) {
        self.fresh.sort_unstable_by_key(|(index, _)| *index);
        self.sketch.buckets.append(&mut self.fresh);
        self.sketch.tidy();
    }
}

impl Sketch {
    /// Adds a duration that stands for `weight` of its kind.
    pub fn add(&mut self, duration_ns: u64, weight: f64) {
        self.add_bucket(bucket(duration_ns), units(weight));
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Sketch) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
        } else if self.buckets.len() + other.buckets.len() < 16 {
            other.buckets.iter().for_each(|(index, units)| self.add_bucket(*index, *units));
        } else {
            self.buckets.extend_from_slice(&other.buckets);
            self.tidy();
        }
    }

    /// How many durations there are, weighted.
    pub fn count(&self) -> f64 {
        self.total() as f64 / UNITS
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The duration in nanoseconds at the share `q` (0 to 1) of all, by nearest rank; none when empty.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let total = self.total();
        let rank = ((q.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0u64;
        let found = self.buckets.iter().find(|(_, units)| {
            seen = seen.saturating_add(*units);
            seen >= rank
        });
        found.or(self.buckets.last()).map(|(index, _)| middle(*index))
    }

    /// Bucket indexes, ascending, and their weighted counts: what is stored. Both add up by index.
    pub fn buckets(&self) -> (Vec<i16>, Vec<f64>) {
        self.buckets.iter().map(|(index, units)| (*index, *units as f64 / UNITS)).unzip()
    }

    /// From what was stored, in any order; unknown indexes and senseless counts are left out.
    pub fn from_buckets(indexes: &[i16], counts: &[f64]) -> Sketch {
        let known = indexes.iter().zip(counts).filter(|(index, count)| (0..BUCKETS).contains(*index) && **count > 0.0);
        let buckets = known.map(|(index, count)| (*index, (count * UNITS).round() as u64));
        let mut sketch = Sketch { buckets: buckets.filter(|(_, units)| *units > 0).collect() };
        sketch.tidy();
        sketch
    }

    fn total(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, units)| sum.saturating_add(*units))
    }

    fn add_bucket(&mut self, index: i16, units: u64) {
        match self.buckets.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(place) => self.buckets[place].1 = self.buckets[place].1.saturating_add(units),
            Err(place) => self.buckets.insert(place, (index, units)),
        }
    }

    // Sorts, and adds up equal indexes.
    fn tidy(&mut self) {
        self.buckets.sort_by_key(|(index, _)| *index); // stable: it merges what is in order already
        self.buckets.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
    }
}

/// A weight in units. What is no weight counts as one span.
pub(super) fn units(weight: f64) -> u64 {
    if weight.is_finite() && weight > 0.0 {
        (weight * UNITS).round().clamp(1.0, UNITS_MAX) as u64
    } else {
        UNITS as u64
    }
}

fn bucket(duration_ns: u64) -> i16 {
    if duration_ns < EXACT_NS {
        return duration_ns as i16;
    }
    let zeros = duration_ns.leading_zeros();
    // The 16 bits behind the leading one.
    let fraction = (duration_ns << zeros >> 47) as u32 & 0xffff;
    let step = usize::from(GUESSES[fraction as usize >> 10]);
    let step = step + usize::from(BOUNDS[step + 1] <= fraction);
    EXACT_NS as i16 + (63 - zeros - EXACT_BITS) as i16 * PER_OCTAVE as i16 + step as i16
}

// The duration from which both ends of the bucket are equally far, relatively.
fn middle(index: i16) -> u64 {
    let Some(above) = index.checked_sub(EXACT_NS as i16).filter(|above| *above >= 0) else {
        return index.max(0) as u64;
    };
    let octave = EXACT_BITS + u32::from(above.unsigned_abs()) / PER_OCTAVE as u32;
    let step = above as usize % PER_OCTAVE;
    let bound = |step: usize| (u128::from(65_536 + BOUNDS[step]) << octave) as f64 / 65_536.0;
    let (low, high) = (bound(step), bound(step + 1));
    (2.0 * low * high / (low + high)).round() as u64
}
