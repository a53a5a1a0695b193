//! Trace search: the list of traces that match, newest first.
//!
//! Service, operation, attributes and `status=error` have to meet on one span; `status=ok` (no span with
//! an error) and the durations are asked of the whole trace. A trace is in the list when a matching span
//! starts in the range.

use serde::Serialize;
use store::questions::traces::{PageEnd, Summary, TraceSearch, search};
use store::questions::{Ask, SpanMatch, TraceMatch, Window, trace};
use utoipa::ToSchema;

use crate::edge::{Edge, traces_of};
use crate::graph;
use crate::shared::{Ns, shown_trace_id};
use crate::time::TimeRange;
use crate::{View, ViewError, ask, cursor};

/// Traces in a list when no limit is given.
const LIMIT_DEFAULT: usize = 20;
/// Most attribute conditions in one search.
const ATTRIBUTES_MAX: usize = 20;

/// What is searched for.
#[derive(Clone, Debug, Default)]
pub struct TracesQuestion {
    /// Range of the matching span's start.
    pub range: TimeRange,
    /// Conditions on one span.
    pub span: SpanMatch,
    /// Conditions on the trace.
    pub whole: TraceMatch,
    /// Only traces that draw this edge of the service graph in the range.
    pub edge: Option<Edge>,
    /// Traces wanted.
    pub limit: Option<usize>,
    /// Where the previous page ended.
    pub cursor: Option<String>,
}

/// One page of traces.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct TracesAnswer {
    /// Newest first.
    pub traces: Vec<TraceSummary>,
    /// Gives the next page, when there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// True when the search stopped early; `next_cursor` goes on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub partial: bool,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_reason: Option<String>,
}

/// What a list says about a trace.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TraceSummary {
    /// Trace id, 32 hex digits, or 16 where the sender used 64 bits.
    pub trace_id: String,
    /// Service of the root span: the earliest without a parent, else the earliest.
    pub root_service: String,
    /// Name of the root span.
    pub root_operation: String,
    /// Earliest start.
    #[schema(value_type = String)]
    pub start_ns: Ns,
    /// From the earliest start to the latest end.
    #[schema(value_type = String)]
    pub duration_ns: Ns,
    /// Spans; resent ones count once.
    pub spans: u64,
    /// Spans with status error.
    pub errors: u64,
    /// Log records.
    pub logs: u64,
    /// Services, by name.
    pub services: Vec<String>,
    /// Whether there is a root and every parent is there.
    pub complete: bool,
}

impl View {
    /// One page of a trace search.
    pub async fn traces(&self, tenant: &str, question: TracesQuestion, now_ns: i64) -> Result<TracesAnswer, ViewError> {
        if question.span.attributes.len() > ATTRIBUTES_MAX {
            return Err(ViewError::Invalid(format!("at most {ATTRIBUTES_MAX} `attr` conditions")));
        }
        let after = question.cursor.as_deref().map(cursor::to_traces).transpose()?;
        let snapshot_ns = after.as_ref().map_or(now_ns, |end| end.snapshot_ns);
        let mut span = question.span;
        let mut window = question.range.window(now_ns)?;
        if let Some(edge) = &question.edge {
            let Some(service) = edge.service() else { return Ok(TracesAnswer::default()) };
            window = graph::outward(window);
            // `unknown_service` is what the graph calls a span without a service name.
            if span.service.is_none() && service != "unknown_service" {
                span.service = Some(service.to_owned());
            }
        }
        let asked = TraceSearch {
            window,
            span,
            whole: question.whole,
            limit: self.limit(question.limit, LIMIT_DEFAULT)?,
            after,
        };
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        let page = match &question.edge {
            None => search(&ask, &asked).await?,
            Some(edge) => traces_of(&ask, &asked, edge).await?,
        };
        let logs = log_counts(&ask, &page.traces).await?;
        let mut traces: Vec<TraceSummary> =
            page.traces.into_iter().zip(logs).map(|(summary, logs)| told(summary, logs)).collect();
        // The page's order is that of matching spans; within it people read starts.
        traces.sort_by_key(|trace| std::cmp::Reverse(trace.start_ns));
        Ok(TracesAnswer {
            traces,
            next_cursor: page
                .more
                .map(|(key_ns, trace_id)| cursor::of_traces(&PageEnd { key_ns, trace_id, snapshot_ns })),
            partial: page.partial,
            partial_reason: page.partial.then(|| "the search took many steps; go on with next_cursor".to_owned()),
        })
    }
}

/// Log records of each trace, those found under the low half of its id included.
async fn log_counts(ask: &Ask<'_>, traces: &[Summary]) -> Result<Vec<u64>, ViewError> {
    let Some(window) = range_of(ask, traces).await? else { return Ok(vec![0; traces.len()]) };
    let ids: Vec<String> = traces.iter().flat_map(|summary| crate::trace::log_ids(&summary.trace_id)).collect();
    let counts: std::collections::HashMap<String, u64> =
        trace::log_counts(ask, &ids, window).await?.into_iter().collect();
    let sum = |id: &str| crate::trace::log_ids(id).iter().filter_map(|id| counts.get(id)).sum();
    Ok(traces.iter().map(|summary| sum(&summary.trace_id)).collect())
}

/// The window that holds the traces' logs; `None` when the index knows of none.
async fn range_of(ask: &Ask<'_>, traces: &[Summary]) -> Result<Option<Window>, ViewError> {
    if traces.is_empty() {
        return Ok(None);
    }
    let ids: Vec<String> = traces.iter().flat_map(|summary| crate::trace::log_ids(&summary.trace_id)).collect();
    let ranges = trace::ranges(ask, &ids).await?;
    let known = |summary: &Summary| ranges.iter().any(|range| range.trace_id == summary.trace_id);
    if !traces.iter().all(known) {
        return Ok(Some(Window::ALL));
    }
    let with_logs = ranges.iter().filter(|range| range.logs > 0).map(trace::TraceRange::window);
    Ok(with_logs.reduce(|a, b| Window { from_ns: a.from_ns.min(b.from_ns), to_ns: a.to_ns.max(b.to_ns) }))
}

fn told(summary: Summary, logs: u64) -> TraceSummary {
    let (service, operation) = summary.root();
    TraceSummary {
        trace_id: shown_trace_id(&summary.trace_id, summary.id64),
        root_service: service.to_owned(),
        root_operation: operation.to_owned(),
        start_ns: summary.start_ns.into(),
        duration_ns: summary.duration_ns.into(),
        spans: summary.spans,
        errors: summary.errors,
        logs,
        complete: summary.complete(),
        services: summary.services,
    }
}
