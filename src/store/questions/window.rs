//! Time windows, and how a wide one is searched: newest (or oldest) part first, in growing slices, so
//! that "the latest twenty" reads minutes rather than months.

use model::time::SECOND_NS;

/// Half-open window [from, to) in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// First instant inside.
    pub from_ns: i64,
    /// First instant outside.
    pub to_ns: i64,
}

/// Earliest instant that a `DateTime64(9)` comparison is asked about: 1900-01-01.
const EARLIEST_NS: i64 = -2_208_988_800 * SECOND_NS;
/// Latest such instant: 2262-01-01.
const LATEST_NS: i64 = 9_214_646_400 * SECOND_NS;

impl Window {
    /// All that the store can hold.
    pub const ALL: Window = Window { from_ns: EARLIEST_NS, to_ns: LATEST_NS };

    /// The part that lies in `other` too.
    pub fn within(self, other: Window) -> Window {
        Window { from_ns: self.from_ns.max(other.from_ns), to_ns: self.to_ns.min(other.to_ns) }
    }

    /// Whether nothing lies inside.
    pub fn is_empty(self) -> bool {
        self.from_ns >= self.to_ns
    }
}

/// The slices of a window, one after the other.
#[derive(Clone, Debug)]
pub struct Slices {
    rest: Window,
    newest_first: bool,
    width_ns: i64,
    growth: i64,
}

impl Slices {
    /// Slices of `window` in the given direction, the first `first_width_ns` wide, each `growth` times
    /// as wide as the one before.
    pub fn new(window: Window, newest_first: bool, first_width_ns: i64, growth: i64) -> Slices {
        Slices { rest: window, newest_first, width_ns: first_width_ns.max(1), growth: growth.max(1) }
    }
}

impl Iterator for Slices {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        if self.rest.is_empty() {
            return None;
        }
        let slice = if self.newest_first {
            let from_ns = self.rest.to_ns.saturating_sub(self.width_ns).max(self.rest.from_ns);
            let slice = Window { from_ns, to_ns: self.rest.to_ns };
            self.rest.to_ns = from_ns;
            slice
        } else {
            let to_ns = self.rest.from_ns.saturating_add(self.width_ns).min(self.rest.to_ns);
            let slice = Window { from_ns: self.rest.from_ns, to_ns };
            self.rest.from_ns = to_ns;
            slice
        };
        self.width_ns = self.width_ns.saturating_mul(self.growth);
        Some(slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: windows of many widths, cut from either end.
    // Guarantee: slices are disjoint, in order, cover the window exactly, and are few.
    #[test]
    fn slices_cover() {
        for (from_ns, to_ns) in [(0, 0), (5, 6), (0, 1_000), (-7, 1_000_000), (EARLIEST_NS, LATEST_NS)] {
            let window = Window { from_ns, to_ns };
            let newest: Vec<Window> = Slices::new(window, true, 10, 6).collect();
            let oldest: Vec<Window> = Slices::new(window, false, 10, 10).collect();
            let mut edge = to_ns;
            for slice in &newest {
                assert!(!slice.is_empty());
                assert_eq!(slice.to_ns, edge);
                edge = slice.from_ns;
            }
            assert_eq!(edge, from_ns);
            let mut edge = from_ns;
            for slice in &oldest {
                assert_eq!(slice.from_ns, edge);
                edge = slice.to_ns;
            }
            assert_eq!(edge, to_ns);
            assert!(newest.len() < 30, "{}", newest.len());
        }
    }
}
