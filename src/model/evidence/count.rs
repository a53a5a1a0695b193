//! How often something was seen.

use std::fmt;

/// How often something was seen: what it stands for (sampling) and how many spans or lines really were
/// there. Shares are computed from the first, certainty from the second. Both are integers, so that sums
/// do not depend on their order.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count {
    units: u64,
    spans: u64,
}

// Weights are kept in units of 1/1024; the heaviest is one of 2^20.
const UNITS: f64 = 1024.0;
const WEIGHT_MAX: f64 = 1_048_576.0;

impl Count {
    /// One that stands for itself.
    pub const ONE: Count = Count { units: UNITS as u64, spans: 1 };

    /// One that stands for `weight`; what is no weight counts as 1.
    pub fn new(weight: f64) -> Count {
        if weight.is_finite() && weight > 0.0 {
            Count { units: (weight.min(WEIGHT_MAX) * UNITS).round().max(1.0) as u64, spans: 1 }
        } else {
            Count::ONE
        }
    }

    /// From what was stored: see [`Count::units`] and [`Count::spans`].
    pub fn from_parts(units: u64, spans: u64) -> Count {
        Count { units, spans }
    }

    /// What it stands for, in units of 1/1024: what is stored.
    pub fn units(self) -> u64 {
        self.units
    }

    /// What it stands for.
    pub fn weight(self) -> f64 {
        self.units as f64 / UNITS
    }

    /// How many were really there.
    pub fn spans(self) -> u64 {
        self.spans
    }

    /// Whether there were none.
    pub fn is_empty(self) -> bool {
        self.units == 0
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Count) -> Count {
        Count { units: self.units.saturating_add(other.units), spans: self.spans.saturating_add(other.spans) }
    }

    /// The difference, at least nothing.
    #[must_use]
    pub fn minus(self, other: Count) -> Count {
        Count { units: self.units.saturating_sub(other.units), spans: self.spans.saturating_sub(other.spans) }
    }

    /// Adds to it.
    pub fn add(&mut self, other: Count) {
        *self = self.plus(other);
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.weight(), self.spans)
    }
}
