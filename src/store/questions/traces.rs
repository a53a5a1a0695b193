//! Trace search: which traces match (newest first, in stable pages), and what a list says about each.
//!
//! The key of a page is the trace's earliest span in the window by which it was found; without
//! conditions that is its start. Spans are found by narrow columns and indexes where these know enough
//! ([`SpanMatch::ways`]); the summary, which reads the whole trace anyway, has the last word.
//! The window is read in growing slices from its newest end, so the latest twenty traces of a year cost
//! seconds of data. A trace that reaches into several slices is seen in each; the summary says which
//! slice its key lies in, so it is listed once.

use clickhouse::Row;
use model::mark;
use model::time::SECOND_NS;
use serde::Deserialize;

use super::sql::{Conditions, Param, Sql};
use super::trace::TraceRange;
use super::{Ask, AskError, Bounds, Slices, SpanMatch, TraceMatch, Window, trace};

/// How far around a slice the other spans of a trace are looked for when whole traces are judged.
const AROUND_NS: i64 = 3_600 * SECOND_NS;
/// Width of the first slice when spans decide, and when whole traces do.
const FIRST_SLICE_NS: [i64; 2] = [5 * SECOND_NS, 900 * SECOND_NS];
/// How much wider each next slice is.
const GROWTH: i64 = 10;
/// How far before a slice traces are looked at too: one that began there is not listed in the slice.
const BACK_NS: i64 = 10 * SECOND_NS;
/// Most ranges that the spans of one page are looked for in.
const RANGES_MAX: usize = 50;
/// Ranges this near to each other are read as one: the table is sorted by ten seconds.
const GAP_NS: i64 = 10 * SECOND_NS;
/// Queries for candidates in one page; a search that needs more is answered in part.
const ROUNDS_MAX: usize = 48;
/// Fewest candidates fetched at once: some will turn out to belong to another slice.
const CANDIDATES_MIN: usize = 20;

/// A search.
#[derive(Clone, Debug)]
pub struct TraceSearch {
    /// Window in which the matching span starts.
    pub window: Window,
    /// Conditions on one span.
    pub span: SpanMatch,
    /// Conditions on the whole trace.
    pub whole: TraceMatch,
    /// Traces wanted.
    pub limit: usize,
    /// Where the previous page ended.
    pub after: Option<PageEnd>,
}

/// The end of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageEnd {
    /// Key of the last trace that was looked at.
    pub key_ns: i64,
    /// Its id.
    pub trace_id: String,
    /// Rows received later are not part of this search, nanoseconds since the epoch.
    pub snapshot_ns: i64,
}

/// One page.
#[derive(Clone, Debug, Default)]
pub struct TracePage {
    /// The traces, newest key first.
    pub traces: Vec<Summary>,
    /// Key and id of the last trace looked at, when there may be more.
    pub more: Option<(i64, String)>,
    /// Whether the search stopped before the page was full, though there may be more.
    pub partial: bool,
}

/// What a list says about a trace.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Summary {
    /// Trace id, 32 hex digits.
    pub trace_id: String,
    key_ns: i64,
    matches: u64,
    /// Start of the earliest span, nanoseconds since the epoch.
    pub start_ns: i64,
    /// From the earliest start to the latest end, in nanoseconds.
    pub duration_ns: u64,
    /// Spans.
    pub spans: u64,
    /// Spans with status error.
    pub errors: u64,
    /// Services, by name.
    pub services: Vec<String>,
    /// Parentless spans.
    pub roots: u64,
    root: (String, String),
    earliest: (String, String),
    parents_present: bool,
    /// Whether a sender used a 64-bit id.
    pub id64: bool,
    /// Whether one of its spans does not vouch for its promoted columns.
    unvouched: bool,
}

#[derive(Row, Deserialize)]
struct Candidate {
    trace_id: String,
    key_ns: i64,
}

impl Summary {
    /// Service and name of the root: the earliest parentless span, else the earliest.
    pub fn root(&self) -> (&str, &str) {
        let (service, name) = if self.roots > 0 { &self.root } else { &self.earliest };
        (service, name)
    }

    /// By what it stands in its page.
    pub fn key_ns(&self) -> i64 {
        self.key_ns
    }

    /// Whether there is a root and every parent is there.
    pub fn complete(&self) -> bool {
        self.roots > 0 && self.parents_present
    }
}

/// One page of a search.
pub async fn search(ask: &Ask<'_>, search: &TraceSearch) -> Result<TracePage, AskError> {
    let mut page = TracePage::default();
    let Some(window) = Bounds::Spans.clip(ask, search.window).await? else { return Ok(page) };
    let mut before = match &search.after {
        Some(end) => (end.key_ns, end.trace_id.clone()),
        None => (i64::MAX, String::new()),
    };
    let rest = Window { to_ns: window.to_ns.min(before.0.saturating_add(1)), ..window };
    let first_ns = FIRST_SLICE_NS[usize::from(!search.whole.is_any())];
    let mut rounds = 0;
    for slice in Slices::new(rest, true, first_ns, GROWTH) {
        // Traces that began long before the slice may crowd it: each look takes more.
        for look in 0.. {
            if rounds == ROUNDS_MAX {
                page.partial = true;
                page.more = Some(before);
                return Ok(page);
            }
            rounds += 1;
            let wanted = (search.limit + 1 - page.traces.len()).max(CANDIDATES_MIN) << look.min(3);
            let found = candidates(ask, search, window, slice, &before, wanted).await?;
            let exhausted = found.len() < wanted;
            let Some(last) = found.last() else { break };
            before = (last.key_ns, last.trace_id.clone());
            let summaries = summaries(ask, search, window, found).await?;
            for summary in summaries {
                // A key before the slice: the trace will come again, in the slice of its key.
                if summary.key_ns >= slice.from_ns && search.whole.accepts(summary.errors, summary.duration_ns) {
                    page.traces.push(summary);
                }
            }
            if page.traces.len() > search.limit {
                page.traces.truncate(search.limit);
                page.more = page.traces.last().map(|last| (last.key_ns, last.trace_id.clone()));
                return Ok(page);
            }
            if exhausted {
                break;
            }
        }
    }
    Ok(page)
}

fn seen(search: &TraceSearch, prefix: &'static str) -> Conditions {
    let mut out = Conditions::new(prefix);
    if let Some(end) = &search.after {
        out.and("ReceivedAt <= fromUnixTimestamp64Nano({@:Int64})", [Param::I64(end.snapshot_ns)]);
    }
    out
}

fn candidates_sql(
    tenant: &str,
    search: &TraceSearch,
    window: Window,
    slice: Window,
    before: &(i64, String),
    limit: usize,
) -> Sql {
    let asked = |template, read: Window| {
        Sql::new(template, tenant)
            .window(read)
            .set("before_ns", Param::I64(before.0))
            .set("before_id", Param::Text(before.1.clone()))
            .set("limit", Param::U64(limit as u64))
            .fill("seen", &seen(search, "s"))
    };
    if !search.whole.is_any() {
        let around =
            Window { from_ns: slice.from_ns.saturating_sub(AROUND_NS), to_ns: slice.to_ns.saturating_add(AROUND_NS) };
        let wide = around.within(Window::ALL);
        return asked(include_str!("traces_newest_whole.sql"), slice)
            .fill("span", &search.span.conditions("p"))
            .set("wide_from", Param::I64(wide.from_ns))
            .set("wide_to", Param::I64(wide.to_ns))
            .fill("trace", &search.whole.conditions("t"));
    }
    let read = Window { from_ns: slice.from_ns.saturating_sub(BACK_NS).max(window.from_ns), ..slice };
    let sql = match &search.span.ways()[..] {
        [way] => asked(include_str!("traces_newest.sql"), read).fill("way", way),
        ways => asked(include_str!("traces_newest_ways.sql"), read).fill_each("way", ways),
    };
    sql.set("key_from", Param::I64(slice.from_ns))
}

async fn candidates(
    ask: &Ask<'_>,
    search: &TraceSearch,
    window: Window,
    slice: Window,
    before: &(i64, String),
    limit: usize,
) -> Result<Vec<Candidate>, AskError> {
    Ok(candidates_sql(ask.tenant, search, window, slice, before, limit).query(ask).fetch_all().await?)
}

fn summary_sql(
    tenant: &str,
    search: &TraceSearch,
    window: Window,
    held: &[Window],
    ids: &[String],
    unvouched: bool,
) -> Sql {
    // Whole traces are found by the conditions themselves.
    let (finds, refines) = match search.whole.is_any() {
        true => (search.span.finds(unvouched), search.span.refines(unvouched)),
        false => (search.span.conditions("p"), Conditions::default()),
    };
    Sql::new(include_str!("traces_summary.sql"), tenant)
        .window(window)
        .set("ids", Param::Texts(ids.to_vec()))
        .set("id64", Param::U64(u64::from(mark::ID64)))
        .fill("seen", &seen(search, "s"))
        .fill("finds", &finds)
        .fill("refines", &refines)
        .fill("held", &within(held))
}

/// One of the windows holds the row.
pub(super) fn within(windows: &[Window]) -> Conditions {
    let mut out = Conditions::new("h");
    out.and_any(|out| {
        for window in windows {
            out.and(
                "Timestamp >= fromUnixTimestamp64Nano({@:Int64}) AND Timestamp < fromUnixTimestamp64Nano({@:Int64})",
                [Param::I64(window.from_ns), Param::I64(window.to_ns)],
            );
        }
    });
    out
}

async fn summaries(
    ask: &Ask<'_>,
    search: &TraceSearch,
    window: Window,
    found: Vec<Candidate>,
) -> Result<Vec<Summary>, AskError> {
    let ids: Vec<String> = found.into_iter().map(|candidate| candidate.trace_id).collect();
    let held = held(&trace::ranges(ask, &ids).await?, ids.len());
    let ask_for = |unvouched| summary_sql(ask.tenant, search, window, &held, &ids, unvouched).query(ask);
    let mut summaries: Vec<Summary> = ask_for(false).fetch_all().await?;
    let by_columns = search.whole.is_any() && search.span.has_promoted();
    if by_columns && summaries.iter().any(|summary| summary.unvouched) {
        summaries = ask_for(true).fetch_all().await?;
    }
    summaries.retain(|summary| summary.matches > 0);
    summaries.sort_by(|a, b| (b.key_ns, &b.trace_id).cmp(&(a.key_ns, &a.trace_id)));
    Ok(summaries)
}

/// The windows that hold traces with these ranges, in order and apart; everything when the index does
/// not know them all.
pub(super) fn held(ranges: &[TraceRange], wanted: usize) -> Vec<Window> {
    if ranges.len() < wanted {
        return vec![Window::ALL];
    }
    let mut windows: Vec<Window> = ranges.iter().map(TraceRange::window).collect();
    windows.sort_unstable_by_key(|window| window.from_ns);
    let mut gap_ns = GAP_NS;
    loop {
        let mut joined: Vec<Window> = Vec::with_capacity(windows.len());
        for window in &windows {
            match joined.last_mut() {
                Some(last) if window.from_ns <= last.to_ns.saturating_add(gap_ns) => {
                    last.to_ns = last.to_ns.max(window.to_ns);
                }
                _ => joined.push(*window),
            }
        }
        if joined.len() <= RANGES_MAX {
            return joined;
        }
        gap_ns = gap_ns.saturating_mul(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::sql::check_golden;

    fn drawn(name: &str, change: impl FnOnce(&mut TraceSearch)) {
        let mut search = TraceSearch {
            window: Window { from_ns: 1_000, to_ns: 2_000 },
            span: SpanMatch::default(),
            whole: TraceMatch::default(),
            limit: 20,
            after: None,
        };
        change(&mut search);
        let before = search.after.clone().map_or((i64::MAX, String::new()), |end| (end.key_ns, end.trace_id));
        let candidates = candidates_sql("acme", &search, Window::ALL, search.window, &before, 21).drawn();
        let held = [Window { from_ns: 500, to_ns: 900 }, Window::ALL];
        let summary = |unvouched| summary_sql("acme", &search, search.window, &held, &["ab".into()], unvouched).drawn();
        check_golden(name, &format!("{candidates}\n{}\n{}", summary(false), summary(true)));
    }

    // Scenario: traces near each other, far apart, and more of those than are asked for one by one.
    // Guarantee: the windows hold every trace, in order, apart from each other, and are few.
    #[test]
    fn windows_of_traces() {
        let range = |first_s: i64, last_s: i64| TraceRange::new("ab", first_s, last_s);
        let found = held(&[range(100, 102), range(90, 91), range(500, 500)], 3);
        let seconds = |window: &Window| (window.from_ns / SECOND_NS, window.to_ns / SECOND_NS);
        assert_eq!(found.iter().map(seconds).collect::<Vec<_>>(), [(90, 103), (500, 501)]);
        assert_eq!(held(&[range(1, 2)], 2), [Window::ALL]);
        let many: Vec<TraceRange> = (0..1_000).map(|at| range(at * 100, at * 100 + 1)).collect();
        let found = held(&many, 1_000);
        assert!(found.len() <= RANGES_MAX);
        assert!(many.iter().all(|range| found.iter().any(|window| range.window().within(*window) == range.window())));
    }

    // Scenario: searches with no, some and all conditions, and a following page.
    // Guarantee: the composed SQL is the reviewed one; hostile text is a parameter.
    #[test]
    fn composed() {
        drawn("traces_any", |_| {});
        drawn("traces_span", |search| {
            search.span.service = Some("front'; DROP TABLE otel_traces --".into());
            search.span.operation = Some("GET /".into());
            search.span.error = true;
            search.span.attributes = vec![
                ("http.route".into(), "/a/{id}".into()),
                ("http.status_code".into(), "500".into()),
                ("db.system".into(), "mysql".into()),
                ("user'id".into(), "\\x' OR 1=1".into()),
                ("empty".into(), String::new()),
            ];
        });
        drawn("traces_attribute", |search| {
            search.span.service = Some("front".into());
            search.span.attributes = vec![("user'id".into(), "\\x' OR 1=1".into()), ("region".into(), "eu".into())];
        });
        drawn("traces_whole", |search| {
            search.whole = TraceMatch { ok: true, min_duration_ns: Some(5), max_duration_ns: Some(9) };
            search.span.service = Some("front".into());
            search.after = Some(PageEnd { key_ns: 1_500, trace_id: "cd".into(), snapshot_ns: 3_000 });
        });
    }
}
