//! Log search: pages in time order, and the histogram.
//!
//! A page is found in two steps. First only the times of the next matching records are read, in growing
//! slices from the page's end of the window; that gives the page's exact time range. Then the records of
//! that range are read whole. A cursor is (time, records of that time already given, snapshot), which is
//! exact even when records are equal in everything.

use clickhouse::Row;
use model::time::SECOND_NS;
use serde::Deserialize;

use super::match_log::severity_number;
use super::sql::{Conditions, Param, Sql};
use super::trace::Pairs;
use super::{Ask, AskError, Bounds, LogMatch, Slices, Window};

/// Records of one instant (many loggers count in milliseconds) come in the order in which they were
/// observed, then sent. An insert is one part and stays together in merges, which keep the order of
/// equal keys: so its id and the place in the part order all records, the same way at every page.
macro_rules! row_order {
    ($direction:literal) => {
        concat!(
            "ORDER BY Timestamp ",
            $direction,
            ", ObservedTimestamp ",
            $direction,
            ", BatchId ",
            $direction,
            ", _part_offset ",
            $direction
        )
    };
}

/// Width of the first slice.
const FIRST_SLICE_NS: i64 = 60 * SECOND_NS;
/// How much wider each next slice is.
const GROWTH: i64 = 6;

/// A search.
#[derive(Clone, Debug)]
pub struct LogSearch {
    /// Window of the records' times.
    pub window: Window,
    /// Conditions.
    pub matching: LogMatch,
    /// Newest first, else oldest first.
    pub newest_first: bool,
    /// Records wanted.
    pub limit: usize,
    /// Where the previous page ended.
    pub after: Option<PageEnd>,
}

/// The end of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageEnd {
    /// Time of the last record given.
    pub time_ns: i64,
    /// How many records of that time have been given.
    pub given: u64,
    /// Records received later are not part of this search, nanoseconds since the epoch.
    pub snapshot_ns: i64,
}

/// One page.
#[derive(Clone, Debug, Default)]
pub struct LogPage {
    /// The records, in the order asked for.
    pub logs: Vec<LogRow>,
    /// Time of the last record and how many of that time have been given, when there are more.
    pub more: Option<(i64, u64)>,
}

/// A log record with everything it carries. Texts and types as stored (`model::value`).
#[allow(missing_docs)] // the names are the columns' (model::logs)
#[derive(Clone, Debug, Row, Deserialize)]
pub struct LogRow {
    pub time_ns: i64,
    pub trace_id: String,
    pub span_id: String,
    pub service: String,
    pub severity_text: String,
    pub severity_number: u8,
    pub body: String,
    pub body_type: String,
    pub event_name: String,
    pub attributes: Pairs,
    pub attribute_types: String,
    pub dropped_attributes: u32,
    pub flags: u32,
    pub marks: u32,
    pub observed_ns: u64,
    pub original_ns: u64,
    pub resource_attributes: Pairs,
    pub resource_attribute_types: String,
    pub resource_schema_url: String,
    pub resource_dropped: u32,
    pub entity_refs: String,
    pub scope_name: String,
    pub scope_version: String,
    pub scope_attributes: Pairs,
    pub scope_attribute_types: String,
    pub scope_schema_url: String,
    pub scope_dropped: u32,
    pub join_kind: String,
    pub join_source: String,
    pub pattern_key: u64,
    pub original_fields: String,
}

/// Records of one step and severity.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct HistogramRow {
    /// Number of the step, counted from the origin.
    pub step: i64,
    /// Severity number; 0 when there is none.
    pub severity: u8,
    /// Records.
    pub logs: u64,
}

#[derive(Row, Deserialize)]
struct TimeRow {
    time_ns: i64,
}

/// One page of a search.
pub async fn search(ask: &Ask<'_>, search: &LogSearch) -> Result<LogPage, AskError> {
    let Some(window) = Bounds::Logs.clip(ask, search.window).await? else { return Ok(LogPage::default()) };
    let rest = search.rest(window);
    let skip = search.after.as_ref().map_or(0, |end| end.given);
    // One more than the page, to know whether there is one.
    let wanted = search.limit as u64 + 1;
    let Some(edge_ns) = edge(ask, search, rest, skip + wanted).await? else { return Ok(LogPage::default()) };
    let exact = if search.newest_first {
        Window { from_ns: edge_ns, ..rest }
    } else {
        Window { to_ns: edge_ns.saturating_add(1), ..rest }
    };
    let sql = search
        .sql(include_str!("logs_rows.sql"), ask.tenant, exact, search.row_order(), wanted)
        .set("skip", Param::U64(skip));
    let mut logs: Vec<LogRow> = sql.query(ask).fetch_all().await?;
    let more = logs.len() > search.limit;
    logs.truncate(search.limit);
    let more = logs.last().filter(|_| more).map(|last| {
        let given = logs.iter().rev().take_while(|log| log.time_ns == last.time_ns).count() as u64;
        let before = search.after.as_ref().filter(|end| end.time_ns == last.time_ns).map_or(0, |end| end.given);
        (last.time_ns, given + before)
    });
    Ok(LogPage { logs, more })
}

/// Matching records of `window` per `step_ns`, counted from `origin_ns`.
pub async fn histogram(
    ask: &Ask<'_>,
    window: Window,
    matching: &LogMatch,
    origin_ns: i64,
    step_ns: i64,
) -> Result<Vec<HistogramRow>, AskError> {
    let sql = Sql::new(include_str!("logs_histogram.sql"), ask.tenant)
        .window(window)
        .set("origin", Param::I64(origin_ns))
        .set("step", Param::I64(step_ns))
        .put_text("severity", severity_number!(" AS severity,"))
        .fill("match", &matching.conditions("p"));
    Ok(sql.query(ask).fetch_all().await?)
}

/// The time of the `wanted`-th record, or of the last there is.
async fn edge(ask: &Ask<'_>, search: &LogSearch, rest: Window, wanted: u64) -> Result<Option<i64>, AskError> {
    let mut left = wanted;
    let mut edge_ns = None;
    for slice in Slices::new(rest, search.newest_first, FIRST_SLICE_NS, GROWTH) {
        let sql = search.sql(include_str!("logs_times.sql"), ask.tenant, slice, search.time_order(), left);
        let mut times = sql.query(ask).fetch::<TimeRow>()?;
        while let Some(row) = times.next().await? {
            edge_ns = Some(row.time_ns);
            left = left.saturating_sub(1);
        }
        if left == 0 {
            break;
        }
    }
    Ok(edge_ns)
}

impl LogSearch {
    fn rest(&self, window: Window) -> Window {
        match &self.after {
            Some(end) if self.newest_first => {
                Window { to_ns: window.to_ns.min(end.time_ns.saturating_add(1)), ..window }
            }
            Some(end) => Window { from_ns: window.from_ns.max(end.time_ns), ..window },
            None => window,
        }
    }

    fn sql(&self, template: &'static str, tenant: &str, window: Window, order: &'static str, limit: u64) -> Sql {
        let mut seen = Conditions::new("s");
        if let Some(end) = &self.after {
            seen.and("ReceivedAt <= fromUnixTimestamp64Nano({@:Int64})", [Param::I64(end.snapshot_ns)]);
        }
        Sql::new(template, tenant)
            .window(window)
            .set("limit", Param::U64(limit))
            .fill("seen", &seen)
            .fill("match", &self.matching.conditions("p"))
            .put_text("order", order)
    }

    fn time_order(&self) -> &'static str {
        if self.newest_first { "ORDER BY Timestamp DESC" } else { "ORDER BY Timestamp ASC" }
    }

    fn row_order(&self) -> &'static str {
        if self.newest_first { row_order!("DESC") } else { row_order!("ASC") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::sql::check_golden;
    use crate::questions::{Meaning, PatternMatch, Term};

    // Scenario: searches with no, some and all conditions, both directions, and a following page.
    // Guarantee: the composed SQL is the reviewed one; hostile text is a parameter.
    #[test]
    fn composed() {
        let mut search = LogSearch {
            window: Window { from_ns: 1_000, to_ns: 2_000 },
            matching: LogMatch::default(),
            newest_first: true,
            limit: 100,
            after: None,
        };
        let drawn = |search: &LogSearch| {
            let times = search
                .sql(include_str!("logs_times.sql"), "acme", search.rest(search.window), search.time_order(), 101)
                .drawn();
            let rows =
                search.sql(include_str!("logs_rows.sql"), "acme", search.window, search.row_order(), 101).drawn();
            format!("{times}\n{rows}")
        };
        check_golden("logs_any", &drawn(&search));
        search.newest_first = false;
        search.after = Some(PageEnd { time_ns: 1_500, given: 3, snapshot_ns: 3_000 });
        let meaning = |id, is_rest| Meaning { service: "it's".into(), id, is_rest };
        let pattern = PatternMatch { id: 7, means: vec![meaning(8, false), meaning(9, true)] };
        search.matching = LogMatch {
            service: Some("front".into()),
            severity_min: Some(17),
            trace_ids: vec!["ab".into(), "cd".into()],
            span_id: Some("ef".into()),
            pattern: Some(pattern.clone()),
            terms: vec![
                Term::Words("timeout".into()),
                Term::Words("order-4711".into()),
                Term::Phrase("it's %_\\ broken".into()),
                Term::Attribute("user".into(), "O'Brien".into()),
                Term::Attribute("empty".into(), String::new()),
                Term::HasAttribute("key".into()),
                Term::EventName("e".into()),
                Term::Not(Box::new(Term::Words("retry later".into()))),
                Term::Not(Box::new(Term::TraceId("99".into()))),
                Term::Not(Box::new(Term::Pattern(PatternMatch::new(11)))),
            ],
        };
        check_golden("logs_all", &drawn(&search));
    }
}
