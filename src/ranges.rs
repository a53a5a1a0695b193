//! Which rows of the journal are spoken for. A row is named by its frame's LSN and its number within
//! that frame; seals cover closed ranges of such points, per lane.

use std::collections::HashMap;
use std::ops::Range;

use journal::{Lsn, Seal};

/// A row: frame and number within the frame (per table).
pub(crate) type Point = (Lsn, u32);

/// Closed ranges of rows by lane: number of the table and partition.
pub(crate) type ByLane = HashMap<(u8, Box<str>), Vec<(Point, Point)>>;

/// The sealed ranges of every lane.
#[derive(Debug, Default)]
pub(crate) struct Coverage(ByLane);

impl Coverage {
    /// Adds a seal's range.
    pub(crate) fn add(&mut self, seal: &Seal) {
        self.0.entry((seal.table, seal.partition.clone())).or_default().push((seal.from, seal.to));
    }

    /// The parts of frame `lsn`'s rows `rows` that no seal of the lane covers.
    pub(crate) fn uncovered(&self, table: u8, partition: &str, lsn: Lsn, rows: Range<u32>) -> Vec<Range<u32>> {
        let Some(sealed) = self.0.get(&(table, Box::from(partition))) else { return vec![rows] };
        let mut open = vec![rows];
        for (from, to) in sealed.iter().filter(|(from, to)| from.0 <= lsn && lsn <= to.0) {
            let start = if from.0 == lsn { from.1 } else { 0 };
            let end = if to.0 == lsn { to.1.saturating_add(1) } else { u32::MAX };
            open = open.into_iter().flat_map(|range| without(range, start..end)).collect();
        }
        open
    }
}

/// What is left of a range of points when later ranges are taken out of it: the part of an old
/// seal that no newer seal of the same lane has taken over.
pub(crate) fn remainder(range: (Point, Point), later: &[(Point, Point)]) -> Vec<(Point, Point)> {
    let mut left = vec![range];
    for &(from, to) in later {
        left = left
            .into_iter()
            .flat_map(|(start, end)| {
                if to < start || end < from {
                    return vec![(start, end)];
                }
                let mut parts = Vec::new();
                if start < from {
                    parts.push((start, before(from)));
                }
                if to < end {
                    parts.push((after(to), end));
                }
                parts
            })
            .collect();
    }
    left
}

fn before(point: Point) -> Point {
    if point.1 == 0 { (point.0 - 1, u32::MAX) } else { (point.0, point.1 - 1) }
}

fn after(point: Point) -> Point {
    if point.1 == u32::MAX { (point.0 + 1, 0) } else { (point.0, point.1 + 1) }
}

fn without(range: Range<u32>, cut: Range<u32>) -> Vec<Range<u32>> {
    let left = range.start..range.end.min(cut.start);
    let right = range.start.max(cut.end)..range.end;
    [left, right].into_iter().filter(|part| part.start < part.end).collect()
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)] // One range of rows is what is meant.
mod tests {
    use super::*;

    fn seal(from: Point, to: Point) -> Seal {
        Seal { batch: 1, table: 1, partition: "d".into(), from, to, rows: 0, min_time_ns: 0, max_time_ns: 0, token: 0 }
    }

    // Scenario: seals that cover all, the start, the middle and the end of a frame's rows.
    // Guarantee: exactly the other rows are open.
    #[test]
    fn open_rows() {
        let check = |from, to, expected: &[Range<u32>]| {
            let mut coverage = Coverage::default();
            coverage.add(&seal(from, to));
            assert_eq!(coverage.uncovered(1, "d", 5, 0..10), expected);
            assert_eq!(coverage.uncovered(2, "d", 5, 0..10), [0..10], "another table is another lane");
        };
        check((4, 7), (6, 0), &[]);
        check((4, 7), (5, 3), &[4..10]);
        check((5, 3), (5, 6), &[0..3, 7..10]);
        check((5, 3), (9, 0), &[0..3]);
        check((6, 0), (9, 0), &[0..10]);
    }

    // Scenario: an old seal whose halves were sealed again, wholly or in part.
    // Guarantee: only what no newer seal took over is left.
    #[test]
    fn newer_seals_take_over() {
        let old = ((3, 5), (8, 2));
        assert_eq!(remainder(old, &[]), [old]);
        assert_eq!(remainder(old, &[((3, 5), (5, 1)), ((5, 2), (8, 2))]), []);
        assert_eq!(remainder(old, &[((3, 5), (5, 1))]), [((5, 2), (8, 2))]);
        assert_eq!(remainder(old, &[((4, 0), (4, 9))]), [((3, 5), (3, u32::MAX)), ((4, 10), (8, 2))]);
    }
}
