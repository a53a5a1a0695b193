//! The change feed: which parts of the span table hold rows that were not looked at yet. Merging makes
//! parts of seen blocks, which are no news; a part of seen and unseen blocks is looked at whole.

use std::collections::HashMap;

use store::rollup::{PartRow, ProgressRow};

/// Blocks that were seen, by partition, as disjoint ascending ranges.
#[derive(Clone, Debug, Default)]
pub(crate) struct Feed {
    seen: HashMap<String, Vec<(i64, i64)>>,
    /// Whether a block is seen as soon as any later one is (see `table.sql`).
    ordered: bool,
}

/// How a part relates to what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// All of it was seen.
    None,
    /// None of it was seen.
    All,
    /// It may hold both: a merge was quicker than we.
    Some,
}

impl Feed {
    /// A feed that goes on where `progress` ends.
    pub(crate) fn new(ordered: bool, progress: Vec<ProgressRow>) -> Feed {
        let ranges = |row: &ProgressRow| row.first.iter().copied().zip(row.last.iter().copied()).collect();
        let seen = progress.into_iter().map(|row| (row.partition.clone(), ranges(&row))).collect();
        Feed { seen, ordered }
    }

    /// What of the part is new.
    pub(crate) fn news(&self, part: &PartRow) -> News {
        let ranges = self.seen.get(&part.partition).map_or(&[][..], Vec::as_slice);
        if ranges.iter().any(|(first, last)| *first <= part.first && part.last <= *last) {
            return News::None;
        }
        let touches = ranges.iter().any(|(first, last)| *first <= part.last && part.first <= *last);
        if touches { News::Some } else { News::All }
    }

    /// Notes parts as seen: the oldest of those that were new. Gives the ranges of their partitions.
    pub(crate) fn take<'a>(&mut self, parts: impl IntoIterator<Item = &'a PartRow>) -> Vec<ProgressRow> {
        let mut touched: Vec<&str> = Vec::new();
        for part in parts {
            touched.push(&part.partition);
            let ranges = self.seen.entry(part.partition.clone()).or_default();
            ranges.push((if self.ordered { 0 } else { part.first }, part.last));
            coalesce(ranges);
        }
        touched.sort_unstable();
        touched.dedup();
        touched.into_iter().map(|partition| self.progress_of(partition)).collect()
    }

    /// Forgets blocks that no part has any more: after parts were dropped, a restarted server may give
    /// their numbers again. Gives the ranges of the partitions that changed.
    pub(crate) fn forget(&mut self, parts: &[PartRow]) -> Vec<ProgressRow> {
        let mut last: HashMap<&str, i64> = HashMap::new();
        for part in parts {
            let known = last.entry(&part.partition).or_insert(part.last);
            *known = part.last.max(*known);
        }
        let mut changed = Vec::new();
        for (partition, ranges) in &mut self.seen {
            let end = last.get(partition.as_str()).copied().unwrap_or(-1);
            if ranges.last().is_some_and(|(_, last)| *last > end) {
                ranges.retain(|(first, _)| *first <= end);
                if let Some(range) = ranges.last_mut() {
                    range.1 = range.1.min(end);
                }
                changed.push(partition.clone());
            }
        }
        changed.iter().map(|partition| self.progress_of(partition)).collect()
    }

    fn progress_of(&self, partition: &str) -> ProgressRow {
        let ranges = self.seen.get(partition).map_or(&[][..], Vec::as_slice);
        let (first, last) = ranges.iter().copied().unzip();
        ProgressRow { partition: partition.to_owned(), first, last }
    }
}

// Sorts ranges and joins those that overlap or touch.
fn coalesce(ranges: &mut Vec<(i64, i64)>) {
    ranges.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges.drain(..) {
        match joined.last_mut() {
            Some(range) if first <= range.1.saturating_add(1) => range.1 = range.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    *ranges = joined;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(partition: &str, first: i64, last: i64) -> PartRow {
        PartRow { partition: partition.into(), name: format!("{partition}_{first}_{last}"), first, last, rows: 1 }
    }

    // Scenario: parts come, are merged with seen and with unseen ones, in two partitions that share the counter.
    // Guarantee: only parts with unseen blocks are news; merged parts of seen blocks never are.
    #[test]
    fn merges_are_no_news() {
        let mut feed = Feed::new(true, Vec::new());
        assert_eq!(feed.news(&part("a", 1, 1)), News::All);
        feed.take(&[part("a", 1, 1), part("b", 2, 2), part("a", 3, 3)]);
        assert_eq!(feed.news(&part("a", 1, 3)), News::None);
        assert_eq!(feed.news(&part("b", 2, 2)), News::None);
        assert_eq!(feed.news(&part("b", 4, 4)), News::All);
        assert_eq!(feed.news(&part("a", 1, 5)), News::Some);
        let progress = feed.take(&[part("a", 1, 5)]);
        assert_eq!(progress, [ProgressRow { partition: "a".into(), first: vec![0], last: vec![5] }]);
        let again = Feed::new(true, progress);
        assert_eq!(again.news(&part("a", 4, 5)), News::None);
        assert_eq!(again.news(&part("b", 2, 2)), News::All);
    }

    // Scenario: block numbers that become visible out of order (replicated tables).
    // Guarantee: a hole that is filled later is news.
    #[test]
    fn holes_are_kept() {
        let mut feed = Feed::new(false, Vec::new());
        feed.take(&[part("a", 0, 0), part("a", 2, 2)]);
        assert_eq!(feed.news(&part("a", 1, 1)), News::All);
        assert_eq!(feed.news(&part("a", 0, 2)), News::Some);
        feed.take(&[part("a", 1, 1)]);
        assert_eq!(feed.news(&part("a", 0, 2)), News::None);
    }

    // Scenario: a partition is dropped, of another one the newest part; then the numbers are given again.
    // Guarantee: what comes under old numbers is news.
    #[test]
    fn dropped_blocks_are_forgotten() {
        let mut feed = Feed::new(true, Vec::new());
        feed.take(&[part("a", 1, 4), part("b", 5, 5), part("b", 6, 9)]);
        assert!(feed.forget(&[part("a", 1, 4), part("b", 5, 5), part("b", 6, 9)]).is_empty());
        assert_eq!(feed.forget(&[part("b", 5, 5)]).len(), 2);
        assert_eq!(feed.news(&part("a", 6, 6)), News::All);
        assert_eq!(feed.news(&part("b", 6, 6)), News::All);
        assert_eq!(feed.news(&part("b", 5, 5)), News::None);
    }
}
