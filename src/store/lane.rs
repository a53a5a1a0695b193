//! Lanes: which rows of a batch go into which insert. A lane is a table and one of its partitions,
//! because an insert that touches one partition is in the table whole or not at all.
//!
//! Rows are told by their number in the batch, table by table. The trace index has no rows of its own
//! there: its source rows are the batch's spans, then its log records.

use std::collections::HashMap;
use std::ops::Range;

use model::time::{DAY_NS, day, day_text, monday};
use model::{Batch, Table};

/// A table and one of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey {
    /// The table.
    pub table: Table,
    /// The partition: day number (since 1970-01-01, UTC), in the trace index the Monday's.
    pub day: i32,
}

impl LaneKey {
    /// The partition as text, `YYYY-MM-DD`: what seals keep.
    pub fn partition_text(&self) -> String {
        day_text(self.day)
    }

    /// The lane of a table's number and a partition's text; `None` when either is not ours.
    pub fn parse(table: u8, partition: &str) -> Option<LaneKey> {
        let mut parts = partition.rsplitn(3, '-');
        let (d, m, y) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let key = LaneKey { table: Table::from_number(table)?, day: day_of(y, m, d)? };
        (key.partition_text() == partition).then_some(key)
    }
}

/// The lanes of a batch, in a fixed order, each with its rows as ascending ranges. The same batch
/// always gives the same lanes: replay depends on it.
pub fn lanes(batch: &Batch) -> Vec<(LaneKey, Vec<Range<u32>>)> {
    let mut lanes = Vec::new();
    split(&mut lanes, Table::Traces, &batch.spans.start);
    split(&mut lanes, Table::Logs, &batch.logs.time);
    index_lanes(&mut lanes, batch);
    for (table, points) in POINT_TABLES.into_iter().zip(batch.metrics.points()) {
        split(&mut lanes, table, &points.time);
    }
    split(&mut lanes, Table::Ledger, &batch.ledger.time);
    split(&mut lanes, Table::DeadLetters, &batch.dead_letters.time);
    lanes
}

/// The tables of [`model::Metrics::points`], in its order.
pub(crate) const POINT_TABLES: [Table; 5] =
    [Table::Gauge, Table::Sum, Table::Histogram, Table::ExponentialHistogram, Table::Summary];

type Lanes = Vec<(LaneKey, Vec<Range<u32>>)>;

fn split(lanes: &mut Lanes, table: Table, times: &[i64]) {
    if times.is_empty() {
        return;
    }
    if let Some(day) = only_day(times) {
        lanes.push((LaneKey { table, day }, one_range(0..times.len() as u32)));
        return;
    }
    let mut days = Days::new(table, lanes.len());
    for (row, time_ns) in times.iter().enumerate() {
        days.put(lanes, day(*time_ns), row as u32);
    }
}

// Index rows stand in the week of their event. Log records without a trace id have none; they are
// stepped over, but do not break a range in two.
fn index_lanes(lanes: &mut Lanes, batch: &Batch) {
    let spans = batch.spans.len() as u32;
    let rows = spans + batch.logs.len() as u32;
    let first_log = batch.logs.trace_id.iter().position(|id| *id != [0; 16]);
    if spans == 0 && first_log.is_none() {
        return;
    }
    let weeks = |times: &[i64]| only_day(times).map(monday);
    let week = match (spans, first_log) {
        (0, _) => weeks(&batch.logs.time),
        (_, None) => weeks(&batch.spans.start),
        _ => weeks(&batch.spans.start).filter(|week| weeks(&batch.logs.time) == Some(*week)),
    };
    let last_log = batch.logs.trace_id.iter().rposition(|id| *id != [0; 16]);
    let end = last_log.map_or(spans, |last| spans + last as u32 + 1);
    let start = if spans > 0 { 0 } else { first_log.map_or(0, |first| first as u32) };
    if let Some(day) = week {
        lanes.push((LaneKey { table: Table::TraceIndex, day }, one_range(start..end)));
        return;
    }
    let mut days = Days::new(Table::TraceIndex, lanes.len());
    for row in 0..rows {
        if let Some(event) = index_event(batch, row) {
            days.put(lanes, monday(day(event.start_ns)), row);
        }
    }
}

/// A source row of the trace index.
pub(crate) struct IndexEvent {
    pub(crate) trace_id: [u8; 16],
    pub(crate) start_ns: i64,
    pub(crate) end_ns: i64,
    pub(crate) is_span: bool,
}

/// Source row `row` of the trace index; `None` for a log record without a trace.
pub(crate) fn index_event(batch: &Batch, row: u32) -> Option<IndexEvent> {
    let (at, spans) = (row as usize, &batch.spans);
    if at < spans.len() {
        let start_ns = spans.start[at];
        let end_ns = start_ns.saturating_add_unsigned(spans.duration[at]);
        return Some(IndexEvent { trace_id: spans.trace_id[at], start_ns, end_ns, is_span: true });
    }
    let (at, logs) = (at - spans.len(), &batch.logs);
    let (trace_id, time) = (logs.trace_id[at], logs.time[at]);
    (trace_id != [0; 16]).then_some(IndexEvent { trace_id, start_ns: time, end_ns: time, is_span: false })
}

fn one_range(range: Range<u32>) -> Vec<Range<u32>> {
    std::iter::once(range).collect()
}

// The common case, checked without a division per row.
fn only_day(times: &[i64]) -> Option<i32> {
    let first = day(*times.first()?);
    let midnight = i64::from(first) * DAY_NS;
    let inside = |time: &i64| (time.wrapping_sub(midnight) as u64) < DAY_NS as u64;
    times.iter().all(inside).then_some(first)
}

struct Days {
    table: Table,
    first: usize,
    places: HashMap<i32, usize>,
    last: Option<(i32, usize)>,
}

impl Days {
    fn new(table: Table, first: usize) -> Days {
        Days { table, first, places: HashMap::new(), last: None }
    }

    fn put(&mut self, lanes: &mut Lanes, day: i32, row: u32) {
        let place = match self.last {
            Some((last, place)) if last == day => place,
            _ => *self.places.entry(day).or_insert_with(|| {
                lanes.push((LaneKey { table: self.table, day }, Vec::new()));
                lanes.len() - 1
            }),
        };
        debug_assert!(place >= self.first, "lanes of other tables are not touched");
        self.last = Some((day, place));
        match lanes[place].1.last_mut() {
            Some(range) if range.end == row => range.end = row + 1,
            _ => lanes[place].1.push(row..row + 1),
        }
    }
}

// The inverse of `model::time::civil` (Howard Hinnant's `days_from_civil`).
fn day_of(year: i64, month: i64, day: i64) -> Option<i32> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year.abs() > 1_000_000 {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let yoe = year.rem_euclid(400);
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    i32::try_from(era * 146_097 + doe - 719_468).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use proptest::prelude::*;

    // Scenario: partitions written as text and read again; text that is no partition.
    // Guarantee: seals keep lanes exactly; foreign text is refused.
    #[test]
    fn partitions_are_text() {
        for day in [-720_000, -1, 0, 59, 19_782, 20_000, 106_750] {
            let key = LaneKey { table: Table::Logs, day };
            assert_eq!(LaneKey::parse(2, &key.partition_text()), Some(key));
        }
        for text in ["", "2024", "2024-13-01", "2024-02-30", "2024-2-3", "x-y-z"] {
            assert_eq!(LaneKey::parse(1, text), None, "{text}");
        }
        assert_eq!(LaneKey::parse(99, "2024-01-01"), None);
    }

    proptest! {
        // Scenario: spans and logs on days that change from row to row, logs with and without a trace.
        // Guarantee: every row is in exactly one lane of its table, in that lane's partition; the index
        // has every span and every log that has a trace.
        #[test]
        fn every_row_has_one_lane(days in prop::collection::vec(19_990i64..20_010, 0..30), logs in prop::collection::vec((19_990i64..20_010, any::<bool>()), 0..30)) {
            let batch = sample::on_days(&days, &logs);
            let found = lanes(&batch);
            let rows = |table: Table| -> Vec<(u32, i32)> {
                let of_table = found.iter().filter(|(key, _)| key.table == table);
                let mut rows: Vec<_> = of_table.flat_map(|(key, ranges)| ranges.iter().cloned().flatten().map(|row| (row, key.day))).collect();
                rows.sort_unstable();
                rows
            };
            let expected: Vec<_> = days.iter().enumerate().map(|(row, day)| (row as u32, *day as i32)).collect();
            prop_assert_eq!(rows(Table::Traces), expected);
            let events: Vec<_> = (0..(days.len() + logs.len()) as u32)
                .filter_map(|row| index_event(&batch, row).map(|event| (row, monday(day(event.start_ns)))))
                .collect();
            let indexed: Vec<_> = rows(Table::TraceIndex).into_iter().filter(|(row, _)| index_event(&batch, *row).is_some()).collect();
            prop_assert_eq!(indexed, events);
            let mut keys: Vec<_> = found.iter().map(|(key, _)| *key).collect();
            keys.dedup();
            prop_assert_eq!(keys.len(), found.len());
        }
    }
}
