//! What Zipkin's read API asks: candidates of a trace search, whole traces by id, names, and the spans
//! that make dependency links. What the rows mean in Zipkin's words is `view`'s business.

use clickhouse::Row;
use model::mark;
use model::time::SECOND_NS;
use serde::Deserialize;

use super::sql::{Conditions, Param, Sql};
use super::trace::{Pairs, TraceRange};
use super::traces::{held, within};
use super::zipkin_match::{REMOTE_KEYS, Ways};
use super::{Ask, AskError, Window, ZipkinMatch};

/// Spans that do not stand at the time they say.
pub const ODD: u32 = mark::NO_TIME | mark::QUARANTINED;

/// A trace that may match.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Candidate {
    /// Trace id, 32 hex digits.
    pub trace_id: String,
    /// Its latest span that may match, nanoseconds since the epoch.
    pub last_ns: i64,
}

/// When a trace is.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Time {
    /// Trace id, 32 hex digits.
    pub trace_id: String,
    /// Its earliest span without a parent, nanoseconds since the epoch; [`NEVER`] when there is none.
    pub root_ns: i64,
    /// Its earliest span; as above.
    pub first_ns: i64,
    /// Whether a span says another time than the one it stands at, so that the whole trace must be read.
    pub is_elsewhere: bool,
}

/// What a `DateTime` holds.
const DATE_TIMES: Window = Window { from_ns: 0, to_ns: u32::MAX as i64 * SECOND_NS };

/// No time at all.
pub const NEVER: i64 = i64::MAX;

/// Which candidates are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    /// When the latest span that may match starts.
    pub window: Window,
    /// How far before the window the other spans of a trace are looked for.
    pub around_ns: i64,
    /// Only traces of which, by the trace index, a batch reaches over the first instant, or begins so long before it.
    pub straddling: Option<(i64, i64)>,
    /// Only those before this time and id.
    pub before: (i64, &'a str),
    /// Most candidates.
    pub limit: usize,
}

/// A span with what its Zipkin form carries. Texts and types as stored (`model::value`).
#[allow(missing_docs)] // the names are the columns' (model::spans)
#[derive(Clone, Debug, Default, Row, Deserialize)]
pub struct SpanRow {
    pub trace_id: String,
    pub span_id: String,
    pub parent_span_id: String,
    pub service: String,
    pub name: String,
    pub kind: String,
    pub status: String,
    pub status_message: String,
    pub start_ns: i64,
    pub duration_ns: u64,
    pub marks: u32,
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
    pub scope_name: String,
    pub scope_version: String,
    pub local_endpoint: String,
    pub remote_endpoint: String,
}

/// A span as far as links go.
#[allow(missing_docs)] // as above
#[derive(Debug, Row, Deserialize)]
pub struct LinkRow<'a> {
    /// The low 64 bits of the trace id, 16 hex digits.
    pub trace: &'a str,
    pub span_id: &'a str,
    pub parent_span_id: &'a str,
    pub service: &'a str,
    pub kind: &'a str,
    pub start_ns: i64,
    pub marks: u32,
    pub local_endpoint: &'a str,
    pub remote_endpoint: &'a str,
    /// Whether the Zipkin form has a tag `error`.
    pub error: bool,
    /// What names the other side where the sender was no Zipkin client.
    pub peer: &'a str,
}

/// A rolled-up minute.
#[derive(Clone, Copy, Debug, Row, Deserialize)]
pub struct Density {
    /// Its start, seconds since the epoch.
    pub minute_s: i64,
    /// Its spans.
    pub spans: u64,
}

/// Which names are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// Services that recorded spans.
    Services,
    /// Names of a service's spans.
    Spans(&'a str),
    /// Services on the other side of a service's spans.
    RemoteServices(&'a str),
    /// Values of a tag.
    TagValues(&'a str),
}

#[derive(Row, Deserialize)]
struct NameRow {
    name: String,
}

#[derive(Row, Deserialize)]
struct IdRow {
    trace_id: String,
}

#[derive(Row, Deserialize)]
struct CountRow {
    spans: u64,
}

impl ZipkinMatch {
    /// Whether candidates have to be looked for in a wider window than that of their latest span.
    pub fn looks_around(&self) -> bool {
        matches!(self.ways(), Ways::All(..))
    }
}

/// Traces that may match, by their latest span that may, newest first.
pub async fn candidates(ask: &Ask<'_>, matching: &ZipkinMatch, slice: Slice<'_>) -> Result<Vec<Candidate>, AskError> {
    Ok(candidates_sql(ask.tenant, matching, slice).query(ask).fetch_all().await?)
}

fn candidates_sql(tenant: &str, matching: &ZipkinMatch, slice: Slice<'_>) -> Sql {
    let mut ways = matching.ways();
    if let Some((at_ns, before_ns)) = slice.straddling {
        let seconds = |ns: i64| Param::I64(ns.div_euclid(SECOND_NS).clamp(0, u32::MAX.into()));
        let add = |conditions: &mut Conditions| {
            conditions.and(
                "TraceId IN (SELECT TraceId FROM otel_traces_trace_id_ts WHERE Tenant = {tenant:String} AND Start <= toDateTime({@1:Int64}) AND (End >= toDateTime({@1:Int64}) OR Start >= toDateTime({@2:Int64})))",
                [seconds(at_ns), seconds(at_ns.saturating_sub(before_ns))],
            );
        };
        match &mut ways {
            Ways::All(any, _) => add(any),
            Ways::One(ways) => ways.iter_mut().for_each(add),
        }
    }
    let read = match &ways {
        Ways::One(_) => slice.window,
        Ways::All(..) => Window { from_ns: slice.window.from_ns.saturating_sub(slice.around_ns), ..slice.window },
    };
    let asked = |template| {
        Sql::new(template, tenant)
            .window(read.within(Window::ALL))
            .set("key_from", Param::I64(slice.window.from_ns))
            .set("before_ns", Param::I64(slice.before.0))
            .set("before_id", Param::Text(slice.before.1.to_owned()))
            .set("limit", Param::U64(slice.limit as u64))
    };
    match &ways {
        Ways::All(any, each) => asked(include_str!("zipkin_candidates.sql")).fill("way", any).fill("each", each),
        Ways::One(ways) => match &ways[..] {
            [way] => asked(include_str!("zipkin_candidates.sql")).fill("way", way),
            ways => asked(include_str!("zipkin_candidates_ways.sql")).fill_each("way", ways),
        },
    }
}

/// The newest rolled-up minutes of a window, newest first.
pub async fn density(ask: &Ask<'_>, window: Window) -> Result<Vec<Density>, AskError> {
    let sql = Sql::new(include_str!("zipkin_density.sql"), ask.tenant).window(window.within(DATE_TIMES));
    Ok(sql.query(ask).fetch_all().await?)
}

/// The same for spans that stand outside of `window` only because they had no time of their own.
pub async fn odd_candidates(
    ask: &Ask<'_>,
    matching: &ZipkinMatch,
    window: Window,
    limit: usize,
) -> Result<Vec<Candidate>, AskError> {
    Ok(odd_sql(ask.tenant, matching, window, limit).query(ask).fetch_all().await?)
}

fn odd_sql(tenant: &str, matching: &ZipkinMatch, window: Window, limit: usize) -> Sql {
    Sql::new(include_str!("zipkin_candidates_odd.sql"), tenant)
        .window(window.within(Window::ALL))
        .set("odd", Param::U64(ODD.into()))
        .set("limit", Param::U64(limit as u64))
        .fill("any", &matching.any_of())
}

/// The stored ids of traces whose low 64 bits (16 hex digits) are among `suffixes`.
pub async fn with_suffixes(ask: &Ask<'_>, suffixes: &[String]) -> Result<Vec<String>, AskError> {
    let sql =
        Sql::new(include_str!("zipkin_suffixes.sql"), ask.tenant).set("suffixes", Param::Texts(suffixes.to_vec()));
    let rows: Vec<IdRow> = sql.query(ask).fetch_all().await?;
    Ok(rows.into_iter().map(|row| row.trace_id).collect())
}

/// When the traces with these ids are; the ranges as for [`spans`].
pub async fn times(
    ask: &Ask<'_>,
    ids: &[String],
    ranges: &[TraceRange],
    elsewhere: Window,
) -> Result<Vec<Time>, AskError> {
    let sql = Sql::new(include_str!("zipkin_times.sql"), ask.tenant)
        .set("ids", Param::Texts(ids.to_vec()))
        .set("odd", Param::U64(ODD.into()))
        .set("elsewhere", Param::U64(mark::QUARANTINED.into()))
        .set("never", Param::I64(NEVER))
        .fill("held", &in_ranges(ids, ranges, elsewhere));
    Ok(sql.query(ask).fetch_all().await?)
}

fn in_ranges(ids: &[String], ranges: &[TraceRange], elsewhere: Window) -> Conditions {
    let mut windows = held(ranges, ranges.len());
    if ranges.len() < ids.len() {
        windows.push(elsewhere.within(Window::ALL));
    }
    within(&windows)
}

/// Spans of the traces with these ids, which lie in `ranges`, in no order; at most `limit`. Those that the
/// index does not know (yet) are looked for in `elsewhere`.
pub async fn spans(
    ask: &Ask<'_>,
    ids: &[String],
    ranges: &[TraceRange],
    elsewhere: Window,
    limit: usize,
) -> Result<Vec<SpanRow>, AskError> {
    let sql = Sql::new(include_str!("zipkin_spans.sql"), ask.tenant)
        .set("ids", Param::Texts(ids.to_vec()))
        .set("limit", Param::U64(limit as u64))
        .fill("held", &in_ranges(ids, ranges, elsewhere));
    Ok(sql.query(ask).fetch_all().await?)
}

/// Names in lower case (values as they are), in order; at most `limit`. Without a window, among all spans.
pub async fn names(
    ask: &Ask<'_>,
    names: Names<'_>,
    window: Option<Window>,
    limit: usize,
) -> Result<Vec<String>, AskError> {
    let sql = |template| {
        let windows: Vec<Window> = window.map(|window| window.within(Window::ALL)).into_iter().collect();
        Sql::new(template, ask.tenant).set("limit", Param::U64(limit as u64)).fill("held", &within(&windows))
    };
    let own = |text: &str| Param::Text(text.to_owned());
    let sql = match names {
        Names::Services => sql(include_str!("zipkin_services.sql")),
        Names::Spans(service) => sql(include_str!("zipkin_span_names.sql")).set("service", own(service)),
        Names::RemoteServices(service) => sql(include_str!("zipkin_remote_services.sql"))
            .set("service", own(service))
            .set("zipkin", Param::U64(mark::ZIPKIN.into()))
            .set("remote_keys", remote_keys()),
        Names::TagValues(key) => sql(include_str!("zipkin_tag_values.sql")).set("key", own(key)),
    };
    let rows: Vec<NameRow> = sql.query(ask).fetch_all().await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Spans that start in a window.
pub async fn count(ask: &Ask<'_>, window: Window) -> Result<u64, AskError> {
    let sql = Sql::new(include_str!("zipkin_links_count.sql"), ask.tenant).window(window.within(Window::ALL));
    let row: CountRow = sql.query(ask).fetch_one().await?;
    Ok(row.spans)
}

/// Hands every span that starts in `window` to `each`, in no order.
pub async fn links(ask: &Ask<'_>, window: Window, mut each: impl FnMut(&LinkRow<'_>)) -> Result<(), AskError> {
    let sql = Sql::new(include_str!("zipkin_links.sql"), ask.tenant)
        .window(window.within(Window::ALL))
        .set("zipkin", Param::U64(mark::ZIPKIN.into()))
        .set("remote_keys", remote_keys());
    let mut rows = sql.query(ask).fetch::<LinkRow<'_>>()?;
    while let Some(row) = rows.next().await? {
        each(&row);
    }
    Ok(())
}

fn remote_keys() -> Param {
    Param::Texts(REMOTE_KEYS.map(str::to_owned).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::sql::check_golden;

    fn drawn(name: &str, change: impl FnOnce(&mut ZipkinMatch)) {
        let mut matching =
            ZipkinMatch { service: Some("front'; DROP TABLE otel_traces --".into()), ..ZipkinMatch::default() };
        change(&mut matching);
        let slice = Slice {
            window: Window { from_ns: 1_000, to_ns: 2_000 },
            around_ns: 500,
            straddling: name.ends_with("after").then_some((90_000_000_000, 60_000_000_000)),
            before: (1_900, "ab"),
            limit: 20,
        };
        check_golden(name, &candidates_sql("acme", &matching, slice).drawn());
    }

    // Scenario: searches by service alone, also after the window, by an indexed tag among others, by a promoted tag, by the other side, by several broad conditions.
    // Guarantee: the composed SQL is the reviewed one; hostile text is a parameter.
    #[test]
    fn composed() {
        drawn("zipkin_service", |_| {});
        drawn("zipkin_service_after", |_| {});
        drawn("zipkin_tag", |matching| {
            matching.terms = vec![("error".into(), String::new()), ("user'id".into(), "\\x' OR 1=1".into())];
            matching.span_name = Some("get /".into());
        });
        drawn("zipkin_promoted", |matching| matching.terms = vec![("http.status_code".into(), "500".into())]);
        drawn("zipkin_remote", |matching| matching.remote_service = Some("db".into()));
        drawn("zipkin_broad", |matching| {
            matching.terms = vec![
                ("error".into(), String::new()),
                ("error".into(), "x".into()),
                ("otel.scope.name".into(), "y".into()),
                ("w".into(), String::new()),
            ];
            matching.remote_service = Some("db".into());
            matching.span_name = Some("get /".into());
            (matching.min_duration_us, matching.max_duration_us) = (Some(1), Some(2));
        });
        let any = ZipkinMatch { span_name: Some("x".into()), ..ZipkinMatch::default() };
        check_golden("zipkin_odd", &odd_sql("acme", &any, Window { from_ns: 1_000, to_ns: 2_000 }, 9).drawn());
    }
}
