//! What fault localization asks for: how minutes were, and the spans and log records of windows.

use clickhouse::Row;
use clickhouse::query::Query;
use model::evidence::Evidence;
use serde::Deserialize;

use super::sql::{Conditions, Param, Sql};
use super::{Ask, AskError, Window};
use crate::evidence::{StoredRow, unpack};

const MINUTE_NS: i64 = 60_000_000_000;

/// Resource attributes by which outcomes are told apart, besides version and instance.
const RESOURCE_KEYS: [&str; 11] = [
    "host.name",
    "k8s.pod.name",
    "k8s.node.name",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "cloud.region",
    "cloud.availability_zone",
    "container.image.tag",
    "deployment.environment.name",
    "deployment.environment",
    "service.namespace",
];

/// Whose spans and log records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of all traces.
    All,
    /// Of so many of those that have a span in a window: by their ids, from somewhere on, so that they lie together.
    Some {
        /// The window.
        within: Window,
        /// How many.
        traces: u64,
    },
}

/// How a minute was.
#[derive(Clone, Copy, Debug, PartialEq, Row, Deserialize)]
pub struct MinuteRow {
    /// Minutes since the epoch.
    pub minute: i64,
    /// Its spans.
    pub spans: u64,
    /// Those that failed.
    pub errors: u64,
    /// What is usual for durations of work that entered services.
    pub slow_ns: u64,
}

/// A span. Texts as stored.
#[allow(missing_docs)] // the names are the columns'
#[derive(Debug, Row, Deserialize)]
pub struct SpanRow<'a> {
    pub trace_id: &'a str,
    pub span_id: &'a str,
    pub parent_span_id: &'a str,
    pub service: &'a str,
    pub operation: &'a str,
    pub kind: &'a str,
    pub error: bool,
    pub shared: bool,
    pub http_status: u16,
    pub start_ns: i64,
    pub duration_ns: u64,
    pub weight: f64,
    pub version: &'a str,
    pub instance: &'a str,
    pub message: &'a str,
    pub peer: &'a str,
    pub db_system: &'a str,
    pub db_namespace: &'a str,
    pub destination: &'a str,
    pub resource_attributes: Vec<(&'a str, &'a str)>,
    /// Those with values of 1 to 40 bytes.
    pub span_attributes: Vec<(&'a str, &'a str)>,
    pub exception_times_ns: Vec<i64>,
    pub exception_types: Vec<&'a str>,
    pub exception_messages: Vec<&'a str>,
    pub link_trace_ids: Vec<&'a str>,
    pub link_span_ids: Vec<&'a str>,
}

/// A log record.
#[allow(missing_docs)] // the names are the columns'
#[derive(Debug, Row, Deserialize)]
pub struct LogRow<'a> {
    pub trace_id: &'a str,
    pub span_id: &'a str,
    pub service: &'a str,
    pub time_ns: i64,
    pub severity: u8,
    /// Its beginning.
    pub body: &'a str,
    pub file: &'a str,
    pub line: &'a str,
}

/// How the minutes were that have spans. Of those that are not rolled up yet, the newest, only spans are counted.
pub async fn minutes(ask: &Ask<'_>, window: Window) -> Result<Vec<MinuteRow>, AskError> {
    let sql = Sql::new(include_str!("evidence_minutes.sql"), ask.tenant).window(window);
    let mut rows: Vec<MinuteRow> = sql.query(ask).fetch_all().await?;
    let rolled = rows.last().map_or(window.from_ns, |row| (row.minute + 1).saturating_mul(MINUTE_NS));
    let rest = Window { from_ns: rolled.max(window.from_ns), ..window };
    if !rest.is_empty() {
        let sql = Sql::new(include_str!("evidence_unrolled.sql"), ask.tenant).window(rest);
        rows.extend(sql.query(ask).fetch_all::<MinuteRow>().await?);
    }
    Ok(rows)
}

/// The stored evidence of the window's minutes: minute, its spans when it was made, evidence. What other rules
/// made is left out.
pub async fn stored(ask: &Ask<'_>, window: Window) -> Result<Vec<(i64, u64, Evidence)>, AskError> {
    let sql = Sql::new(include_str!("evidence_stored.sql"), ask.tenant).window(window);
    let rows: Vec<StoredRow> = sql.query(ask).fetch_all().await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.minute, row.spans, unpack(&row.evidence)?))).collect())
}

/// Hands every span of the window to `each`, or those of some traces.
pub async fn spans(
    ask: &Ask<'_>,
    window: Window,
    whose: Whose,
    mut each: impl FnMut(&SpanRow<'_>),
) -> Result<(), AskError> {
    let keys = RESOURCE_KEYS.map(str::to_owned).to_vec();
    let sql = Sql::new(include_str!("evidence_spans.sql"), ask.tenant)
        .window(window)
        .fill("traces", &those(whose))
        .set("shared", Param::U64(u64::from(model::mark::SHARED)))
        .set("resource_keys", Param::Texts(keys));
    let mut rows = read(sql, ask, whose).fetch::<SpanRow<'_>>()?;
    while let Some(row) = rows.next().await? {
        each(&row);
    }
    Ok(())
}

/// The same of log records that belong to a trace.
pub async fn logs(
    ask: &Ask<'_>,
    window: Window,
    whose: Whose,
    mut each: impl FnMut(&LogRow<'_>),
) -> Result<(), AskError> {
    let sql = Sql::new(include_str!("evidence_logs.sql"), ask.tenant).window(window).fill("traces", &those(whose));
    let mut rows = read(sql, ask, whose).fetch::<LogRow<'_>>()?;
    while let Some(row) = rows.next().await? {
        each(&row);
    }
    Ok(())
}

// An index by trace id spares nothing where so many ids are looked for.
fn read(sql: Sql, ask: &Ask<'_>, whose: Whose) -> Query {
    match whose {
        Whose::All => sql.query(ask),
        Whose::Some { .. } => sql.query(ask).with_setting("use_skip_indexes", "0"),
    }
}

fn those(whose: Whose) -> Conditions {
    let mut those = Conditions::new("t");
    if let Whose::Some { within, traces } = whose {
        // Another place each time: ids may begin with what tells senders apart.
        let from = format!("{:016x}", within.from_ns.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15));
        those.and(
            "TraceId IN (SELECT DISTINCT TraceId FROM otel_traces WHERE Tenant = {tenant:String} AND Timestamp >= fromUnixTimestamp64Nano({@1:Int64}) AND Timestamp < fromUnixTimestamp64Nano({@2:Int64}) ORDER BY TraceId < {@3:String}, TraceId LIMIT {@4:UInt64})",
            [Param::I64(within.from_ns), Param::I64(within.to_ns), Param::Text(from), Param::U64(traces)],
        );
    }
    those
}
