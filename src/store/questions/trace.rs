//! One trace by its id alone: its range from the trace index, then bounded reads of its spans (narrow
//! for the tree, wide for a page) and of its log counts. Log records themselves come from `logs`.

use clickhouse::Row;
use model::time::SECOND_NS;
use serde::Deserialize;

use super::sql::{Conditions, Param, Sql};
use super::{Ask, AskError, Window};
use crate::rollup::SpanRow;

/// More span ids than this are not sent with a query; the reader picks its rows instead.
const IDS_MAX: usize = 2_000;

/// Where a trace lies in time.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct TraceRange {
    /// Trace id, 32 hex digits.
    pub trace_id: String,
    first_s: i64,
    last_s: i64,
    /// Spans stored, resent ones included.
    pub spans: u64,
    /// Log records stored.
    pub logs: u64,
}

/// One span, narrow.
#[derive(Debug, Row, Deserialize)]
pub struct SkeletonRow<'a> {
    /// Span id, 16 hex digits.
    pub span_id: &'a str,
    /// Parent's span id, or empty.
    pub parent_span_id: &'a str,
    /// Service name.
    pub service: &'a str,
    /// Span name.
    pub name: &'a str,
    /// Kind as stored: `Server`.
    pub kind: &'a str,
    /// Status as stored: `Error`.
    pub status: &'a str,
    /// Start, nanoseconds since the epoch.
    pub start_ns: i64,
    /// Duration in nanoseconds.
    pub duration_ns: u64,
    /// Bits of `model::mark`.
    pub marks: u32,
    /// Whether attributes, events or links were dropped.
    pub dropped: bool,
    /// Whether the stored trace id is a padded 64-bit one.
    pub padded_id: bool,
}

/// Text pairs of a map column.
pub type Pairs = Vec<(String, String)>;

/// One span with everything it carries. Texts and types as stored (`model::value`).
#[allow(missing_docs)] // the names are the columns' (model::spans)
#[derive(Clone, Debug, Row, Deserialize)]
pub struct DetailRow {
    pub span_id: String,
    pub parent_span_id: String,
    pub service: String,
    pub name: String,
    pub kind: String,
    pub status: String,
    pub start_ns: i64,
    pub duration_ns: u64,
    pub trace_state: String,
    pub status_message: String,
    pub flags: u32,
    pub marks: u32,
    pub weight: f64,
    pub original_start_ns: u64,
    pub original_end_ns: u64,
    pub attributes: Pairs,
    pub attribute_types: String,
    pub dropped_attributes: u32,
    pub dropped_events: u32,
    pub dropped_links: u32,
    pub event_times_ns: Vec<i64>,
    pub event_names: Vec<String>,
    pub event_attributes: Vec<Pairs>,
    pub event_attribute_types: Vec<String>,
    pub event_dropped: Vec<u32>,
    pub link_trace_ids: Vec<String>,
    pub link_span_ids: Vec<String>,
    pub link_trace_states: Vec<String>,
    pub link_attributes: Vec<Pairs>,
    pub link_attribute_types: Vec<String>,
    pub link_dropped: Vec<u32>,
    pub link_flags: Vec<u32>,
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
    pub local_endpoint: String,
    pub remote_endpoint: String,
    pub original_fields: String,
    pub padded_id: bool,
}

impl DetailRow {
    fn order(&self) -> (i64, &str, &str, &str, u64) {
        (self.start_ns, &self.span_id, &self.kind, &self.service, self.duration_ns)
    }
}

/// Log records of one span and service in a trace.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct SpanLogsRow {
    /// Span id, 16 hex digits, or empty.
    pub span_id: String,
    /// Service name.
    pub service: String,
    /// Records.
    pub logs: u64,
    /// First record, nanoseconds since the epoch.
    pub first_ns: i64,
    /// Last record, nanoseconds since the epoch.
    pub last_ns: i64,
}

#[derive(Row, Deserialize)]
struct LogCountRow {
    trace_id: String,
    logs: u64,
}

#[derive(Row, Deserialize)]
struct SpanCountRow {
    spans: u64,
}

/// A trace's ids and where it lies: what every question about it needs.
#[derive(Clone, Debug)]
pub struct TraceAt {
    /// The ids under which its rows are stored.
    pub ids: Vec<String>,
    /// The window that holds its rows.
    pub window: Window,
}

impl TraceRange {
    #[cfg(test)]
    pub(super) fn new(trace_id: &str, first_s: i64, last_s: i64) -> TraceRange {
        TraceRange { trace_id: trace_id.to_owned(), first_s, last_s, spans: 1, logs: 0 }
    }

    /// The window that holds the trace's rows.
    pub fn window(&self) -> Window {
        Window { from_ns: self.first_s * SECOND_NS, to_ns: (self.last_s + 1) * SECOND_NS }.within(Window::ALL)
    }
}

/// The ranges of those of `ids` that the trace index knows.
pub async fn ranges(ask: &Ask<'_>, ids: &[String]) -> Result<Vec<TraceRange>, AskError> {
    let sql = Sql::new(include_str!("trace_ranges.sql"), ask.tenant).set("ids", Param::Texts(ids.to_vec()));
    Ok(sql.query(ask).fetch_all().await?)
}

/// Hands the trace's spans, by start, to `each`; at most `limit`.
pub async fn skeleton(
    ask: &Ask<'_>,
    trace: &TraceAt,
    limit: usize,
    mut each: impl FnMut(&SkeletonRow<'_>),
) -> Result<(), AskError> {
    let sql = about(include_str!("trace_skeleton.sql"), ask, trace).set("limit", Param::U64(limit as u64));
    let mut rows = sql.query(ask).fetch::<SkeletonRow<'_>>()?;
    while let Some(row) = rows.next().await? {
        each(&row);
    }
    Ok(())
}

/// Hands the traces' spans as the service graph needs them to `each`; at most `limit`.
pub async fn graph_spans(
    ask: &Ask<'_>,
    trace: &TraceAt,
    limit: usize,
    mut each: impl FnMut(&SpanRow<'_>),
) -> Result<(), AskError> {
    let mut these = Conditions::new("p");
    these.and("TraceId IN {ids:Array(String)}", []);
    let sql = about(include_str!("../rollup/spans.sql"), ask, trace)
        .fill("which", &these)
        .set("shared", Param::U64(u64::from(model::mark::SHARED)))
        .set("limit", Param::U64(limit as u64));
    let mut rows = sql.query(ask).fetch::<SpanRow<'_>>()?;
    while let Some(row) = rows.next().await? {
        each(&row);
    }
    Ok(())
}

/// How many spans the trace has, each counted once.
pub async fn span_count(ask: &Ask<'_>, trace: &TraceAt) -> Result<u64, AskError> {
    let row: SpanCountRow = about(include_str!("trace_span_count.sql"), ask, trace).query(ask).fetch_one().await?;
    Ok(row.spans)
}

/// Hands the trace's spans with everything they carry to `each`: those with one of `span_ids`, or,
/// when there are too many to ask for, all that lie in the trace's window.
pub async fn details(
    ask: &Ask<'_>,
    trace: &TraceAt,
    span_ids: &[String],
    mut each: impl FnMut(DetailRow),
) -> Result<(), AskError> {
    let mut chosen = Conditions::new("p");
    if span_ids.len() <= IDS_MAX {
        chosen.and("SpanId IN {@:Array(String)}", [Param::Texts(span_ids.to_vec())]);
    }
    let mut rows = details_sql(ask, trace, &chosen, u64::MAX).query(ask).fetch::<DetailRow>()?;
    while let Some(row) = rows.next().await? {
        each(row);
    }
    Ok(())
}

/// A small trace in one read: its spans with everything they carry, in the order of [`skeleton`];
/// `None` when there are more than `limit`.
pub async fn whole(ask: &Ask<'_>, trace: &TraceAt, limit: usize) -> Result<Option<Vec<DetailRow>>, AskError> {
    let sql = details_sql(ask, trace, &Conditions::default(), limit as u64 + 1);
    let mut rows: Vec<DetailRow> = sql.query(ask).fetch_all().await?;
    if rows.len() > limit {
        return Ok(None);
    }
    rows.sort_by(|a, b| a.order().cmp(&b.order()));
    Ok(Some(rows))
}

fn details_sql(ask: &Ask<'_>, trace: &TraceAt, chosen: &Conditions, limit: u64) -> Sql {
    about(include_str!("trace_details.sql"), ask, trace).fill("spans", chosen).set("limit", Param::U64(limit))
}

/// Log records of the trace per span and service.
pub async fn span_logs(ask: &Ask<'_>, trace: &TraceAt) -> Result<Vec<SpanLogsRow>, AskError> {
    Ok(about(include_str!("trace_span_logs.sql"), ask, trace).query(ask).fetch_all().await?)
}

/// Log records of given traces, as (trace id, count).
pub async fn log_counts(ask: &Ask<'_>, ids: &[String], window: Window) -> Result<Vec<(String, u64)>, AskError> {
    let trace = TraceAt { ids: ids.to_vec(), window };
    let rows: Vec<LogCountRow> =
        about(include_str!("trace_log_counts.sql"), ask, &trace).query(ask).fetch_all().await?;
    Ok(rows.into_iter().map(|row| (row.trace_id, row.logs)).collect())
}

fn about(template: &'static str, ask: &Ask<'_>, trace: &TraceAt) -> Sql {
    Sql::new(template, ask.tenant).window(trace.window).set("ids", Param::Texts(trace.ids.clone()))
}
