//! Finds spans by their ids: sorted rows rather than a hash table. Spans come grouped by trace more
//! often than not, so sorting means many tiny sorts within the cache, and no chosen ids can slow it.

use super::span::{GraphSpan, SpanRef};

/// A span's ids and its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) at: SpanRef,
    pub(super) row: u32,
}

/// Rows sorted by trace, then span id.
#[derive(Debug, Default)]
pub(super) struct Index(Vec<Entry>);

impl Index {
    /// Of a chunk's spans.
    pub(super) fn of(spans: &[GraphSpan]) -> Index {
        let entry = |row: usize| Entry { at: spans[row].at, row: row as u32 };
        let mut runs: Vec<(u64, u32, u32)> = Vec::new();
        for (row, span) in spans.iter().enumerate() {
            match runs.last_mut() {
                Some(run) if run.0 == span.at.trace_low => run.2 = row as u32 + 1,
                _ => runs.push((span.at.trace_low, row as u32, row as u32 + 1)),
            }
        }
        if runs.len() > spans.len() / 2 {
            return Index::sorted((0..spans.len()).map(entry).collect());
        }
        runs.sort_unstable();
        let mut entries = Vec::with_capacity(spans.len());
        entries.extend(runs.iter().flat_map(|(_, start, end)| (*start as usize..*end as usize).map(entry)));
        for trace in entries.chunk_by_mut(|a, b| a.at.trace_low == b.at.trace_low) {
            trace.sort_unstable_by_key(|entry| entry.at.span_id);
        }
        Index(entries)
    }

    /// Of entries in any order.
    pub(super) fn sorted(mut entries: Vec<Entry>) -> Index {
        entries.sort_unstable_by_key(|entry| entry.at);
        Index(entries)
    }

    /// One slice per trace, ascending.
    pub(super) fn traces(&self) -> impl Iterator<Item = &[Entry]> {
        self.0.chunk_by(|a, b| a.at.trace_low == b.at.trace_low)
    }

    /// The rows with these ids.
    pub(super) fn find(&self, at: SpanRef) -> &[Entry] {
        within(&self.0, at)
    }

    /// The rows of a trace.
    pub(super) fn trace(&self, trace_low: u64) -> &[Entry] {
        let start = self.0.partition_point(|entry| entry.at.trace_low < trace_low);
        let count = self.0[start..].partition_point(|entry| entry.at.trace_low == trace_low);
        &self.0[start..start + count]
    }
}

/// The rows with these ids among sorted entries.
pub(super) fn within(entries: &[Entry], at: SpanRef) -> &[Entry] {
    let start = entries.partition_point(|entry| entry.at < at);
    // Mostly one.
    let count = entries[start..].iter().take(2).take_while(|entry| entry.at == at).count();
    let count = if count < 2 { count } else { entries[start..].partition_point(|entry| entry.at == at) };
    &entries[start..start + count]
}
