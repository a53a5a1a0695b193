//! Durations as a histogram of logarithmic buckets that merges exactly.

/// Relative error of quantiles at most 1 %. Counts are multiples of 1/1024, so that sums are exact in
/// any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sketch {
    buckets: Vec<(i16, u64)>,
}

impl Sketch {
    /// Adds `weight` durations.
    pub fn add(&mut self, _duration_ns: u64, _weight: f64) {}

    /// Adds all of another.
    pub fn merge(&mut self, _other: &Sketch) {}

    /// How many durations there are, weighted.
    pub fn count(&self) -> f64 {
        0.0
    }

    /// The duration (nanoseconds) below which the share `q` of all lies, by nearest rank; none when empty.
    pub fn quantile(&self, _q: f64) -> Option<u64> {
        None
    }

    /// Bucket indexes, ascending, and their counts: what is stored.
    pub fn buckets(&self) -> (Vec<i16>, Vec<f64>) {
        (self.buckets.iter().map(|b| b.0).collect(), self.buckets.iter().map(|b| b.1 as f64).collect())
    }

    /// From what was stored, in any order; unknown indexes and senseless counts are left out.
    pub fn from_buckets(_indexes: &[i16], _counts: &[f64]) -> Sketch {
        Sketch::default()
    }
}
