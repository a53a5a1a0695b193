//! Traces by search and by id.
//!
//! A search reads candidates from the newest end of the window, in growing slices, by the latest of
//! their spans that can match; whole traces are then read and judged here. A trace's own time is
//! mostly, not always, before that span; so the search goes on a while after the list is full: for
//! as long as the stored data is small until nothing can come any more, then for a second of data.

use std::collections::{HashMap, HashSet};

use model::TraceId;
use model::time::SECOND_NS;
use store::questions::trace::TraceRange;
use store::questions::zipkin::{self, Slice};
use store::questions::{Ask, Bounds, Slices, Window, trace};

use super::{ALL_ROWS_MAX, Query, Span};
use crate::{Limits, View, ViewError, ask};

/// How far from its time a trace's spans are looked for.
const AROUND_NS: i64 = 3_600 * SECOND_NS;
/// Width of the first slice when one condition decides, and when several do.
const FIRST_SLICE_NS: [i64; 2] = [5 * SECOND_NS, 900 * SECOND_NS];
/// How much wider each next slice is.
const GROWTH: i64 = 10;
/// Traces up to which a search may take its time to be exact about the order.
const THOROUGH_TRACES: usize = 300;
/// How much later than its latest matching span a trace is expected to begin at most, after that.
const SKEW_NS: i64 = SECOND_NS;
/// Fewest and most candidates asked for at once.
const CANDIDATES: (usize, usize) = (50, 1_000);
/// Spans read at once, about, and traces.
const READ_SPANS: u64 = 50_000;
const READ_TRACES: usize = 200;
/// Most spans in one answer.
const ANSWER_SPANS_MAX: usize = 1_000_000;

/// A trace: its spans as sent, earliest first.
pub type Trace = Vec<Span>;

impl View {
    /// The newest traces that match, newest first. Without `strict`, ids that agree in their low 64 bits
    /// are one trace.
    pub async fn zipkin_traces(&self, tenant: &str, query: &Query, strict: bool) -> Result<Vec<Trace>, ViewError> {
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        let Some((rows, held)) = Bounds::Spans.held(&ask).await? else { return Ok(Vec::new()) };
        let limit = query.limit.min(self.limits.list_max);
        let mut search = Search {
            ask,
            query,
            limit,
            reader: Reader { strict, limits: self.limits },
            seen: HashSet::new(),
            found: Vec::new(),
        };
        search.run(rows, held).await?;
        Ok(search.found.into_iter().map(|found| found.spans).collect())
    }

    /// The traces with these ids, each once, as far as they exist.
    pub async fn zipkin_traces_by_id(
        &self,
        tenant: &str,
        ids: &[TraceId],
        strict: bool,
    ) -> Result<Vec<Trace>, ViewError> {
        let client = self.store.client()?;
        let reader = Reader { strict, limits: self.limits };
        let mut wanted: Vec<String> = Vec::new();
        for id in ids {
            let key = reader.key(&id.to_string());
            if !wanted.contains(&key) {
                wanted.push(key);
            }
        }
        let mut traces = Vec::new();
        reader.read(&ask(&client, tenant), wanted, |spans| traces.push(spans)).await?;
        Ok(traces)
    }
}

struct Search<'a> {
    ask: Ask<'a>,
    query: &'a Query,
    limit: usize,
    reader: Reader,
    /// Traces that have been looked at.
    seen: HashSet<String>,
    /// Those that match, newest first.
    found: Vec<Found>,
}

struct Found {
    time_us: u64,
    spans: Trace,
}

impl Search<'_> {
    async fn run(&mut self, rows: u64, held: Window) -> Result<(), ViewError> {
        let asked = self.query.window();
        let wide =
            Window { from_ns: asked.from_ns.saturating_sub(AROUND_NS), to_ns: asked.to_ns.saturating_add(AROUND_NS) };
        let wide = wide.within(Window::ALL);
        let matching = &self.query.matching;
        let first_ns = FIRST_SLICE_NS[usize::from(matching.looks_around())];
        let ask = self.ask.clone();
        for window in Slices::new(wide.within(held), true, first_ns, GROWTH) {
            let mut before = (i64::MAX, String::new());
            for look in 0.. {
                let wanted = (self.limit.saturating_sub(self.found.len()) + 20).clamp(CANDIDATES.0, CANDIDATES.1);
                let limit = (wanted << look.min(4)).min(CANDIDATES.1);
                let slice = Slice { window, around_ns: AROUND_NS, before: (before.0, &before.1), limit };
                let candidates = zipkin::candidates(&ask, matching, slice).await?;
                let exhausted = candidates.len() < limit;
                let edge_ns = match candidates.last() {
                    Some(last) if !exhausted => last.last_ns,
                    _ => window.from_ns,
                };
                if let Some(last) = candidates.last() {
                    before = (last.last_ns, last.trace_id.clone());
                }
                for few in candidates.chunks(CANDIDATES.0) {
                    let ids = few.iter().map(|candidate| candidate.trace_id.clone()).collect();
                    self.judge(ids).await?;
                    if self.is_done(few.last().map_or(edge_ns, |last| last.last_ns)) {
                        return Ok(());
                    }
                }
                if self.is_done(edge_ns) {
                    return Ok(());
                }
                if exhausted {
                    break;
                }
            }
        }
        if self.found.len() < self.limit && rows <= ALL_ROWS_MAX {
            let odd = zipkin::odd_candidates(&ask, matching, wide, self.limit.max(CANDIDATES.1)).await?;
            self.judge(odd.into_iter().map(|candidate| candidate.trace_id).collect()).await?;
        }
        Ok(())
    }

    // Reads traces that have not been looked at and keeps those that match.
    async fn judge(&mut self, ids: Vec<String>) -> Result<(), ViewError> {
        let keys = ids.into_iter().map(|id| self.reader.key(&id));
        let fresh: Vec<String> = keys.filter(|key| self.seen.insert(key.clone())).collect();
        let (query, found) = (self.query, &mut self.found);
        self.reader
            .read(&self.ask, fresh, |spans| {
                if let Some(time_us) = query.accepts(&spans) {
                    found.push(Found { time_us, spans });
                }
            })
            .await?;
        let id = |found: &Found| found.spans.first().map(|span| span.trace_id);
        self.found.sort_by(|a, b| b.time_us.cmp(&a.time_us).then_with(|| id(b).cmp(&id(a))));
        self.found.truncate(self.limit);
        let spans: usize = self.found.iter().map(|found| found.spans.len()).sum();
        match spans > ANSWER_SPANS_MAX {
            true => Err(ViewError::TooMuch(format!(
                "the traces have more than {ANSWER_SPANS_MAX} spans together; ask for fewer"
            ))),
            false => Ok(()),
        }
    }

    // Whether no trace can come any more that is newer than those in the full list. `edge_ns` is
    // before every span that may match and belongs to a trace that was not looked at.
    fn is_done(&self, edge_ns: i64) -> bool {
        let skew_ns = if self.seen.len() > THOROUGH_TRACES { SKEW_NS } else { AROUND_NS };
        let last_us = self.found.get(self.limit - 1).map(|last| i128::from(last.time_us));
        last_us.is_some_and(|last_us| last_us * 1000 >= i128::from(edge_ns.saturating_add(skew_ns)))
    }
}

/// Reads whole traces.
struct Reader {
    strict: bool,
    limits: Limits,
}

impl Reader {
    /// What is the same for all ids of one trace.
    fn key(&self, trace_id: &str) -> String {
        if self.strict || trace_id.len() != 32 { trace_id.to_owned() } else { trace_id[16..].to_owned() }
    }

    // Hands every trace with one of the keys to `each`, whole.
    async fn read(&self, ask: &Ask<'_>, keys: Vec<String>, mut each: impl FnMut(Trace)) -> Result<(), ViewError> {
        if keys.is_empty() {
            return Ok(());
        }
        let ids = if self.strict { keys } else { zipkin::with_suffixes(ask, &keys).await? };
        let ranges = trace::ranges(ask, &ids).await?;
        for few in self.shares(&ids, &ranges) {
            let ranges: Vec<TraceRange> =
                ranges.iter().filter(|range| few.contains(&range.trace_id)).cloned().collect();
            let limit = self.limits.trace_spans_max.max(READ_SPANS as usize * 2);
            let rows = zipkin::spans(ask, &few, &ranges, limit).await?;
            let mut traces: HashMap<String, Trace> = HashMap::new();
            for row in rows {
                traces.entry(self.key(&row.trace_id)).or_default().push(Span::of(row));
            }
            // In the order asked for.
            for id in &few {
                if let Some(mut spans) = traces.remove(&self.key(id)) {
                    spans.sort_by(|a, b| (a.timestamp_us, a.id, a.shared).cmp(&(b.timestamp_us, b.id, b.shared)));
                    each(spans);
                }
            }
        }
        Ok(())
    }

    // The ids in shares that are read at once: few traces and few spans, ids of one trace together.
    fn shares(&self, ids: &[String], ranges: &[TraceRange]) -> Vec<Vec<String>> {
        let counts: HashMap<&str, u64> = ranges.iter().map(|range| (range.trace_id.as_str(), range.spans)).collect();
        let mut ids: Vec<&String> = ids.iter().collect();
        if !self.strict {
            ids.sort_by_key(|id| self.key(id));
        }
        let mut shares: Vec<Vec<String>> = Vec::new();
        let mut spans = 0;
        for id in ids {
            let more = counts.get(id.as_str()).copied().unwrap_or(0);
            let together =
                shares.last().and_then(|share| share.last()).is_some_and(|last| self.key(last) == self.key(id));
            let full = shares.last().is_none_or(|share| share.len() >= READ_TRACES || spans + more > READ_SPANS);
            if full && !together {
                shares.push(Vec::new());
                spans = 0;
            }
            spans += more;
            if let Some(share) = shares.last_mut() {
                share.push(id.clone());
            }
        }
        shares
    }
}
