//! Traces by search and by id.
//!
//! A search reads candidates from the newest end of the window, in growing slices, by the latest of
//! their spans that can match; a narrow read tells when they are, and those that can be in the list
//! are read whole and judged here. A trace's own time is before its latest matching span, unless
//! clocks disagree; where little is stored, the search goes on until not even then one could come.
//! Spans that match after the window belong to a trace of it only if that began before its end.

use std::collections::{HashMap, HashSet};

use model::TraceId;
use model::time::SECOND_NS;
use store::questions::trace::TraceRange;
use store::questions::zipkin::{self, Candidate, Density, NEVER, Slice};
use store::questions::{Ask, Bounds, Slices, Window, trace};

use super::{ALL_ROWS_MAX, Query, Span};
use crate::{Limits, View, ViewError, ask};

/// How far from its time a trace's spans are looked for.
const AROUND_NS: i64 = 3_600 * SECOND_NS;
/// Width of the first slice when one condition decides, and when several do.
const FIRST_SLICE_NS: [i64; 2] = [5 * SECOND_NS, 900 * SECOND_NS];
/// Spans of a first slice that is wider, because there are so few.
const FIRST_SLICE_SPANS: u64 = 50_000;
/// How much wider each next slice is.
const GROWTH: i64 = 5;
/// With more rows stored than this, of traces that match after the window only those are looked at of which a batch
/// reached over its end, or began so long before.
const STRADDLING: (u64, i64) = (2_000_000, 60 * SECOND_NS);
/// Rows stored up to which a search is exact about the order also where clocks disagree by an hour.
const THOROUGH_ROWS: u64 = 50_000;
/// With more, by how much they may, as long as so few traces had to be looked at.
const SKEW_NS: i64 = SECOND_NS;
const THOROUGH_TRACES: usize = 80;
/// Candidates asked for at once: for each trace wanted, and fewest and most.
const CANDIDATES_PER_TRACE: usize = 8;
const CANDIDATES: (usize, usize) = (100, 1_000);
/// Fewest and most traces of a search that are read at once.
const READ_TRACES: (usize, usize) = (10, 50);
/// How far from a candidate's last span its others are looked for when the index does not know it yet.
const NEAR_NS: i64 = 300 * SECOND_NS;
/// Spans read at once, about, and traces.
const SHARE_SPANS: u64 = 50_000;
const SHARE_TRACES: usize = 200;
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
        let (held, density) = tokio::join!(Bounds::Spans.held(&ask), zipkin::density(&ask, query.window()));
        let Some((rows, held)) = held? else { return Ok(Vec::new()) };
        let limit = query.limit.min(self.limits.list_max);
        let reader = Reader { strict, limits: self.limits };
        let (seen, ranges, waiting, found) = (HashSet::new(), HashMap::new(), Vec::new(), Vec::new());
        let mut search = Search { ask, query, limit, reader, seen, ranges, waiting, found, rows };
        search.run(held, &density?).await?;
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
        let mut seen = HashSet::new();
        let ids = ids.iter().map(TraceId::to_string).filter(|id| seen.insert(reader.key(id)));
        let mut traces = Vec::new();
        let ids = ids.collect();
        let ask = ask(&client, tenant);
        reader.read(&ask, ids, &HashMap::new(), Window::ALL, |spans| traces.push(spans)).await?;
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
    /// Where they lie, by id.
    ranges: Ranges,
    /// Those that may match and were not read yet, by time; the latest come last.
    waiting: Vec<(i64, String)>,
    /// Those that match, newest first.
    found: Vec<Found>,
    /// Rows stored.
    rows: u64,
}

struct Found {
    time_us: u64,
    spans: Trace,
}

impl Search<'_> {
    async fn run(&mut self, held: Window, density: &[Density]) -> Result<(), ViewError> {
        let asked = self.query.window();
        let wide =
            Window { from_ns: asked.from_ns.saturating_sub(AROUND_NS), to_ns: asked.to_ns.saturating_add(AROUND_NS) };
        let wide = wide.within(Window::ALL);
        let least_ns = FIRST_SLICE_NS[usize::from(self.query.matching.looks_around())];
        let first_ns = first_width(density, asked.to_ns.min(held.to_ns), least_ns);
        let (after, straddling) = match self.rows > STRADDLING.0 {
            true => (Window { from_ns: asked.to_ns, ..wide }, Some((asked.to_ns, STRADDLING.1))),
            false => (Window { from_ns: wide.to_ns, ..wide }, None),
        };
        let before = Window { to_ns: after.from_ns, ..wide };
        for (part, first_ns, straddling) in [(after, i64::MAX, straddling), (before, first_ns, None)] {
            for window in Slices::new(part.within(held), true, first_ns, GROWTH) {
                if self.look(window, straddling).await? {
                    return Ok(());
                }
            }
        }
        // What stands inside was among the candidates.
        let is_inside = wide.from_ns <= held.from_ns && held.to_ns <= wide.to_ns;
        if !is_inside && self.found.len() < self.limit && self.rows <= ALL_ROWS_MAX {
            let odd = zipkin::odd_candidates(&self.ask, &self.query.matching, wide, CANDIDATES.1).await?;
            self.judge(&odd).await?;
        }
        Ok(())
    }

    // Judges the candidates of a slice; true when the list is complete.
    async fn look(&mut self, window: Window, straddling: Option<(i64, i64)>) -> Result<bool, ViewError> {
        let ask = self.ask.clone();
        let mut before = (i64::MAX, String::new());
        for look in 0.. {
            let wanted = self.limit.saturating_mul(CANDIDATES_PER_TRACE).clamp(CANDIDATES.0, CANDIDATES.1);
            let limit = (wanted << look.min(4)).min(CANDIDATES.1);
            let slice = Slice { window, around_ns: AROUND_NS, straddling, before: (before.0, &before.1), limit };
            let candidates = zipkin::candidates(&ask, &self.query.matching, slice).await?;
            let exhausted = candidates.len() < limit;
            if let Some(last) = candidates.last() {
                before = (last.last_ns, last.trace_id.clone());
            }
            self.judge(&candidates).await?;
            if self.is_done(if exhausted { window.from_ns } else { before.0 }) {
                return Ok(true);
            }
            if exhausted {
                break;
            }
        }
        Ok(false)
    }

    // Learns when traces are that have not been looked at, and reads those that can be in the list.
    async fn judge(&mut self, candidates: &[Candidate]) -> Result<(), ViewError> {
        let times = || candidates.iter().map(|candidate| candidate.last_ns);
        let near = Window {
            from_ns: times().min().unwrap_or(0).saturating_sub(NEAR_NS),
            to_ns: times().max().unwrap_or(0).saturating_add(NEAR_NS),
        };
        let ids = candidates.iter().map(|candidate| candidate.trace_id.clone());
        let fresh: Vec<String> = ids.filter(|id| self.seen.insert(self.reader.key(id))).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let asked = self.query.window();
        for (id, time) in self.reader.times(&self.ask, fresh, near, &mut self.ranges).await? {
            match time {
                Some(at_ns) if (asked.from_ns..asked.to_ns).contains(&at_ns) => self.waiting.push((at_ns, id)),
                Some(_) => {}
                // Only the whole trace tells.
                None => self.waiting.push((i64::MAX, id)),
            }
        }
        self.waiting.sort_unstable();
        while self.waiting.last().is_some_and(|(at_ns, _)| self.may_enter(*at_ns)) {
            let few = self.limit.saturating_sub(self.found.len()).clamp(READ_TRACES.0, READ_TRACES.1);
            let rest = self.waiting.len().saturating_sub(few);
            let ids = self.waiting.split_off(rest).into_iter().rev().map(|(_, id)| id).collect();
            self.read(ids, near).await?;
        }
        Ok(())
    }

    // Reads traces whole and keeps those that match.
    async fn read(&mut self, ids: Vec<String>, near: Window) -> Result<(), ViewError> {
        let (query, found) = (self.query, &mut self.found);
        self.reader
            .read(&self.ask, ids, &self.ranges, near, |spans| {
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

    /// The time of the last trace of a full list.
    fn last_ns(&self) -> Option<i128> {
        self.found.get(self.limit - 1).map(|last| i128::from(last.time_us) * 1000)
    }

    // Whether a trace of this time would be in the list, as far as it is known.
    fn may_enter(&self, at_ns: i64) -> bool {
        self.last_ns().is_none_or(|last_ns| i128::from(at_ns) / 1000 * 1000 > last_ns)
    }

    // Whether no trace can come any more that is newer than those in the full list. `edge_ns` is
    // before every span that may match and belongs to a trace that was not looked at.
    fn is_done(&self, edge_ns: i64) -> bool {
        let skew_ns = match (self.rows, self.seen.len()) {
            (..=THOROUGH_ROWS, _) => AROUND_NS,
            (_, ..=THOROUGH_TRACES) => SKEW_NS,
            _ => 0,
        };
        self.last_ns().is_some_and(|last_ns| last_ns >= i128::from(edge_ns.saturating_add(skew_ns)))
    }
}

/// Where traces lie, by id.
type Ranges = HashMap<String, TraceRange>;

// Width of the first slice that ends at `to_ns`: it holds so many spans, as far as the rolled-up minutes tell.
fn first_width(density: &[Density], to_ns: i64, least_ns: i64) -> i64 {
    let mut from_ns = to_ns;
    let mut rest = FIRST_SLICE_SPANS;
    for minute in density {
        let (start_ns, end_ns) = (minute.minute_s * SECOND_NS, (minute.minute_s + 60) * SECOND_NS);
        if minute.spans > rest {
            let share = rest as f64 / minute.spans as f64;
            from_ns = from_ns.min(end_ns - (share * 60.0 * SECOND_NS as f64) as i64);
            break;
        }
        from_ns = from_ns.min(start_ns);
        rest -= minute.spans;
    }
    (to_ns - from_ns).max(least_ns)
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

    // The ids under which traces are stored.
    async fn stored(&self, ask: &Ask<'_>, ids: Vec<String>) -> Result<Vec<String>, ViewError> {
        if self.strict {
            return Ok(ids);
        }
        let keys: Vec<String> = ids.iter().map(|id| self.key(id)).collect();
        let mut known = zipkin::with_suffixes(ask, &keys).await?;
        let found: HashSet<String> = known.iter().map(|id| self.key(id)).collect();
        known.extend(ids.into_iter().filter(|id| !found.contains(&self.key(id))));
        Ok(known)
    }

    // One id of each trace with its time; `None` where only the whole trace tells. Those without any
    // time are left out.
    async fn times(
        &self,
        ask: &Ask<'_>,
        ids: Vec<String>,
        near: Window,
        known: &mut Ranges,
    ) -> Result<Vec<(String, Option<i64>)>, ViewError> {
        let ids = self.stored(ask, ids).await?;
        let ranges = trace::ranges(ask, &ids).await?;
        known.extend(ranges.iter().map(|range| (range.trace_id.clone(), range.clone())));
        let mut traces: HashMap<String, zipkin::Time> = HashMap::new();
        for time in zipkin::times(ask, &ids, &ranges, near).await? {
            let of_trace = traces.entry(self.key(&time.trace_id)).or_insert_with(|| time.clone());
            of_trace.root_ns = of_trace.root_ns.min(time.root_ns);
            of_trace.first_ns = of_trace.first_ns.min(time.first_ns);
            of_trace.is_elsewhere |= time.is_elsewhere;
        }
        let told = traces.into_values().filter_map(|time| {
            let at_ns = if time.root_ns == NEVER { time.first_ns } else { time.root_ns };
            match time.is_elsewhere {
                true => Some((time.trace_id, None)),
                false => (at_ns != NEVER).then_some((time.trace_id, Some(at_ns))),
            }
        });
        Ok(told.collect())
    }

    // Hands every trace with one of the ids to `each`, whole. `known` says where some of them lie; `near` is where
    // those are looked for that the index does not know.
    async fn read(
        &self,
        ask: &Ask<'_>,
        ids: Vec<String>,
        known: &Ranges,
        near: Window,
        mut each: impl FnMut(Trace),
    ) -> Result<(), ViewError> {
        let ids = self.stored(ask, ids).await?;
        if ids.is_empty() {
            return Ok(());
        }
        let ranges: Vec<TraceRange> = match ids.iter().map(|id| known.get(id).cloned()).collect() {
            Some(ranges) => ranges,
            None => trace::ranges(ask, &ids).await?,
        };
        for few in self.shares(&ids, &ranges) {
            let ranges: Vec<TraceRange> =
                ranges.iter().filter(|range| few.contains(&range.trace_id)).cloned().collect();
            let limit = self.limits.trace_spans_max.max(SHARE_SPANS as usize * 2);
            let rows = zipkin::spans(ask, &few, &ranges, near, limit).await?;
            let mut traces: HashMap<String, Trace> = HashMap::new();
            for row in rows {
                traces.entry(self.key(&row.trace_id)).or_default().push(Span::of(row));
            }
            // In the order asked for.
            for id in &few {
                if let Some(mut spans) = traces.remove(&self.key(id)) {
                    spans.sort_by_key(|span| (span.timestamp_us, span.id, span.shared));
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
            let full = shares.last().is_none_or(|share| share.len() >= SHARE_TRACES || spans + more > SHARE_SPANS);
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

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: no rolled-up minutes; sparse ones with gaps; a dense one at the end, and one before the end.
    // Guarantee: the first slice holds about so many spans and is never narrower than asked for.
    #[test]
    fn first_slices_follow_density() {
        let width = |minutes: &[(i64, u64)], to_s: i64| {
            let density: Vec<Density> =
                minutes.iter().map(|(minute, spans)| Density { minute_s: minute * 60, spans: *spans }).collect();
            first_width(&density, to_s * SECOND_NS, 5 * SECOND_NS) / SECOND_NS
        };
        assert_eq!(width(&[], 6_000), 5);
        assert_eq!(width(&[(98, 10_000), (50, 20_000)], 6_000), 6_000 - 50 * 60);
        assert_eq!(width(&[(98, 10_000), (50, 80_000), (3, 1)], 6_000), 6_000 - (51 * 60 - 30));
        assert_eq!(width(&[(99, 3_000_000)], 6_000), 5);
        assert_eq!(width(&[(90, 3_000_000)], 6_000), 6_000 - 91 * 60 + 1);
    }
}
