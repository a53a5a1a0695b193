//! Log records: pages of a search, and how many there are over time.

use std::collections::BTreeMap;

use model::kind::severity_name;
use model::mark;
use serde::Serialize;
use store::questions::logs::{LogPage, LogRow, LogSearch, PageEnd, histogram, search};
use store::questions::{Ask, Bounds, LogMatch, Window};
use utoipa::ToSchema;

use crate::attributes::{AnyValue, Attributes};
use crate::patterns::understand;
use crate::shared::{Gathered, Ns, Resource, ResourceKey, Scope, ScopeKey, json, mark_names, shown_trace_id, some};
use crate::time::TimeRange;
use crate::{View, ViewError, ask, cursor};

/// Records in a list when no limit is given.
const LIMIT_DEFAULT: usize = 100;
/// Steps that a histogram aims at, and may have.
const STEPS: (i64, i64) = (60, 2_000);

/// What is searched for.
#[derive(Clone, Debug, Default)]
pub struct LogsQuestion {
    /// Range of the records' times.
    pub range: TimeRange,
    /// Conditions.
    pub matching: LogMatch,
    /// Oldest first, else newest first.
    pub oldest_first: bool,
    /// Records wanted.
    pub limit: Option<usize>,
    /// Where the previous page ended.
    pub cursor: Option<String>,
    /// Attributes and bodies in OTLP `AnyValue` form.
    pub typed: bool,
}

/// One page of log records.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LogsAnswer {
    /// The records.
    pub logs: Vec<LogLine>,
    /// Their resources, by `resource_index`.
    pub resources: Vec<Resource>,
    /// Their instrumentation scopes, by `scope_index`.
    pub scopes: Vec<Scope>,
    /// Gives the next page, when there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One log record.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LogLine {
    /// Time of the record; its observed or receive time where it had none.
    #[schema(value_type = String)]
    pub time_ns: Ns,
    /// Observed time as sent; 0 when absent.
    #[schema(value_type = String)]
    pub observed_time_ns: Ns,
    /// The time as sent, where `time_ns` is not it; 0 when none was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub original_time_ns: Option<Ns>,
    /// Fields as sent that the others cannot hold (ids as hex): malformed `trace_id` and `span_id`,
    /// `severity_number` outside 0 to 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub original_fields: Option<serde_json::Value>,
    /// Service name.
    pub service: String,
    /// Severity as sent.
    pub severity: String,
    /// Severity number as sent, 0 to 24.
    pub severity_number: u8,
    /// trace, debug, info, warn, error or fatal, by number, else by the text; empty when neither tells.
    pub level: &'static str,
    /// Body: a text, or JSON where the sender's was structured; null without one.
    #[schema(value_type = serde_json::Value)]
    pub body: AnyValue,
    /// Attributes.
    #[schema(value_type = crate::AttributesShape)]
    pub attributes: Attributes,
    /// Attributes that the sender or a limit dropped.
    pub dropped_attributes_count: u32,
    /// OTLP flags.
    pub flags: u32,
    /// Event name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_name: Option<String>,
    /// Number of its resource.
    pub resource_index: u32,
    /// Number of its scope.
    pub scope_index: u32,
    /// Trace id, own or found.
    pub trace_id: Option<String>,
    /// Span id, own or found.
    pub span_id: Option<String>,
    /// How it came to its trace: own, found or placed.
    pub join: Option<String>,
    /// Where a found id stood, such as `body:traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_source: Option<String>,
    /// How certain the join is; 1 for own and found ids.
    pub confidence: Option<f64>,
    /// The pattern that it belongs to, 16 hex digits.
    pub pattern_id: Option<String>,
    /// What is special about it, such as `truncated`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub marks: Vec<&'static str>,
}

/// Log records over time.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistogramAnswer {
    /// Width of a bucket.
    #[schema(value_type = String)]
    pub step_ns: Ns,
    /// Every bucket of the range, empty ones included.
    pub buckets: Vec<HistogramBucket>,
}

/// One bucket.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistogramBucket {
    /// Its beginning, a multiple of the step.
    #[schema(value_type = String)]
    pub time_ns: Ns,
    /// Records by lower-case severity; `unset` where none was sent.
    pub counts: BTreeMap<&'static str, u64>,
}

impl View {
    /// One page of a log search.
    pub async fn logs(&self, tenant: &str, question: LogsQuestion, now_ns: i64) -> Result<LogsAnswer, ViewError> {
        let kind = if question.oldest_first { cursor::LOGS_OLDEST } else { cursor::LOGS_NEWEST };
        let after = question.cursor.as_deref().map(|text| cursor::to_times(kind, text)).transpose()?;
        let snapshot_ns = after.as_ref().map_or(now_ns, |end| end.snapshot_ns);
        let mut asked = LogSearch {
            window: question.range.window(now_ns)?,
            matching: question.matching,
            newest_first: !question.oldest_first,
            limit: self.limit(question.limit, LIMIT_DEFAULT)?,
            after,
        };
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        understand(&ask, &mut asked.matching).await?;
        let page = search(&ask, &asked).await?;
        let next_cursor = next(kind, &page, snapshot_ns);
        let mut gathered = Gathered::new(question.typed);
        let logs = self.lines(&ask, page.logs, &mut gathered, question.typed).await?;
        let (resources, scopes) = gathered.into_lists();
        Ok(LogsAnswer { logs, resources, scopes, next_cursor })
    }

    /// How many records match, over time. Without a step a round one is chosen.
    pub async fn histogram(
        &self,
        tenant: &str,
        range: TimeRange,
        mut matching: LogMatch,
        step_ns: Option<u64>,
        now_ns: i64,
    ) -> Result<HistogramAnswer, ViewError> {
        let asked = range.window(now_ns)?;
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        understand(&ask, &mut matching).await?;
        // Open ends reach as far as there are records; given ones stay, empty or not.
        let open = range.from.is_none() || range.to.is_none();
        let held = if open { Bounds::Logs.clip(&ask, asked).await? } else { Some(asked) };
        let window = match held {
            Some(held) => Window {
                from_ns: if range.from.is_some() { asked.from_ns } else { held.from_ns },
                to_ns: if range.to.is_some() { asked.to_ns } else { held.to_ns },
            },
            None => Window { from_ns: 0, to_ns: 0 },
        };
        self.histogram_of(&ask, window, &matching, step_ns).await
    }

    /// Rows as an answer tells them.
    pub(crate) async fn lines(
        &self,
        ask: &Ask<'_>,
        rows: Vec<LogRow>,
        gathered: &mut Gathered,
        typed: bool,
    ) -> Result<Vec<LogLine>, ViewError> {
        let ids = self.pattern_ids(ask, &rows).await?;
        let ids: Vec<Option<String>> = rows.iter().map(|row| ids.shown(&row.service, row.pattern_key)).collect();
        let mut lines: Vec<LogLine> = Vec::with_capacity(rows.len());
        for (row, pattern_id) in rows.into_iter().zip(ids) {
            lines.push(line(row, pattern_id, gathered, typed));
        }
        Ok(lines)
    }

    async fn histogram_of(
        &self,
        ask: &Ask<'_>,
        window: Window,
        matching: &LogMatch,
        step_ns: Option<u64>,
    ) -> Result<HistogramAnswer, ViewError> {
        let step_ns = match step_ns {
            Some(0) => return Err(ViewError::Invalid("`step` is longer than nothing".into())),
            Some(step_ns) => i64::try_from(step_ns).unwrap_or(i64::MAX),
            None => round_step(window),
        };
        if window.is_empty() {
            return Ok(HistogramAnswer { step_ns: step_ns.into(), buckets: Vec::new() });
        }
        let origin_ns = window.from_ns.div_euclid(step_ns) * step_ns;
        let steps = (window.to_ns - 1 - origin_ns) / step_ns + 1;
        if steps > STEPS.1 {
            return Err(ViewError::Invalid(format!(
                "that makes {steps} steps, and {} are the most: give a longer `step`",
                STEPS.1
            )));
        }
        let mut buckets: Vec<HistogramBucket> = (0..steps)
            .map(|step| HistogramBucket { time_ns: (origin_ns + step * step_ns).into(), counts: BTreeMap::new() })
            .collect();
        for row in histogram(ask, window, matching, origin_ns, step_ns).await? {
            let bucket = usize::try_from(row.step).ok().and_then(|step| buckets.get_mut(step));
            if let Some(bucket) = bucket {
                *bucket.counts.entry(level_or_unset(row.severity)).or_default() += row.logs;
            }
        }
        Ok(HistogramAnswer { step_ns: step_ns.into(), buckets })
    }
}

/// The cursor after a page.
pub(crate) fn next(kind: &str, page: &LogPage, snapshot_ns: i64) -> Option<String> {
    page.more.map(|(time_ns, given)| cursor::of_times(kind, &PageEnd { time_ns, given, snapshot_ns }))
}

fn line(row: LogRow, pattern_id: Option<String>, gathered: &mut Gathered, typed: bool) -> LogLine {
    let has_trace = !row.trace_id.is_empty();
    let number =
        if row.severity_number > 0 { row.severity_number } else { model::kind::severity_number(&row.severity_text) };
    let no_body = row.marks & mark::NO_BODY != 0;
    LogLine {
        time_ns: row.time_ns.into(),
        observed_time_ns: row.observed_ns.into(),
        original_time_ns: (row.original_ns != 0 || row.marks & mark::NO_TIME != 0).then(|| row.original_ns.into()),
        original_fields: json(&row.original_fields),
        service: row.service,
        severity: row.severity_text,
        severity_number: row.severity_number,
        level: severity_name(number),
        body: if no_body { AnyValue::none(typed) } else { AnyValue::read(&row.body, &row.body_type, typed) },
        attributes: Attributes::read(&row.attributes, &row.attribute_types, typed),
        dropped_attributes_count: row.dropped_attributes,
        flags: row.flags,
        event_name: some(row.event_name),
        resource_index: gathered.resource(ResourceKey {
            attributes: row.resource_attributes,
            types: row.resource_attribute_types,
            schema_url: row.resource_schema_url,
            dropped: row.resource_dropped,
            entity_refs: row.entity_refs,
        }),
        scope_index: gathered.scope(ScopeKey {
            name: row.scope_name,
            version: row.scope_version,
            attributes: row.scope_attributes,
            types: row.scope_attribute_types,
            schema_url: row.scope_schema_url,
            dropped: row.scope_dropped,
        }),
        trace_id: has_trace.then(|| shown_trace_id(&row.trace_id, row.marks & mark::ID64 != 0)),
        span_id: some(row.span_id),
        // Rows of other programs say nothing about it: their ids are the record's own.
        join: has_trace.then(|| if row.join_kind.is_empty() { "own".to_owned() } else { row.join_kind }),
        join_source: some(row.join_source),
        confidence: has_trace.then_some(1.0),
        pattern_id,
        marks: mark_names(row.marks),
    }
}

fn level_or_unset(number: u8) -> &'static str {
    match severity_name(number) {
        "" => "unset",
        name => name,
    }
}

/// A round step that cuts the window into about sixty.
fn round_step(window: Window) -> i64 {
    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;
    const ROUND: [i64; 29] = [
        MS,
        2 * MS,
        5 * MS,
        10 * MS,
        20 * MS,
        50 * MS,
        100 * MS,
        200 * MS,
        500 * MS,
        S,
        2 * S,
        5 * S,
        10 * S,
        15 * S,
        30 * S,
        60 * S,
        120 * S,
        300 * S,
        600 * S,
        900 * S,
        1_800 * S,
        3_600 * S,
        7_200 * S,
        14_400 * S,
        21_600 * S,
        43_200 * S,
        86_400 * S,
        7 * 86_400 * S,
        28 * 86_400 * S,
    ];
    let width_ns = window.to_ns.saturating_sub(window.from_ns);
    let fits = |step: &&i64| width_ns / **step <= STEPS.0;
    ROUND.iter().find(fits).copied().unwrap_or_else(|| (width_ns / STEPS.0 / (86_400 * S) + 1) * 86_400 * S)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: windows from a millisecond to centuries.
    // Guarantee: the step is round and gives a readable number of buckets.
    #[test]
    fn steps_are_round() {
        let second = 1_000_000_000;
        for (width_ns, step_ns) in [
            (1, 1_000_000),
            (60 * second, second),
            (900 * second, 15 * second),
            (3_600 * second, 60 * second),
            (86_400 * second, 1_800 * second),
            (7 * 86_400 * second, 14_400 * second),
            (30 * 86_400 * second, 43_200 * second),
        ] {
            assert_eq!(round_step(Window { from_ns: 5, to_ns: 5 + width_ns }), step_ns, "{width_ns}");
        }
        let all = Window::ALL;
        assert!((all.to_ns as i128 - all.from_ns as i128) / i128::from(round_step(all)) < 100);
    }
}
