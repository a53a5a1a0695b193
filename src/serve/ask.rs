//! The questions of `/api/v1`: parameters in, `view`'s answers out.

use std::sync::Arc;

use access::{Caller, Error};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::Uri;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use view::edge::Edge;
use view::feedback::{Feedback, FeedbackAnswer, FeedbackQuestion};
use view::graph::{GraphAnswer, GraphQuestion, NodeGraphAnswer};
use view::ledger::{LedgerAnswer, LedgerQuestion};
use view::logs::{HistogramAnswer, LogsAnswer, LogsQuestion};
use view::patterns::{PatternsAnswer, PatternsQuestion};
use view::query;
use view::services::{OperationsAnswer, ServicesAnswer};
use view::suspects::{SuspectsAnswer, SuspectsQuestion};
use view::trace::{TraceAnswer, TraceColumnsAnswer, TraceQuestion, log_ids};
use view::traces::{TracesAnswer, TracesQuestion};
use view::{LogMatch, SpanMatch, TimePoint, TimeRange, TraceMatch};

use crate::answer::{ErrorAnswer, Failure, json, json_aside};
use crate::app::App;
use crate::params::{Params, Segment, wrong};

type Answer = Result<Response, Failure>;

/// Parameters of a log filter.
const LOG_FILTER: [&str; 8] = ["from", "to", "query", "service", "severity", "trace_id", "span_id", "pattern_id"];

/// The services seen in a range.
#[utoipa::path(get, path = "/api/v1/services", tag = "traces", params(
    ("from" = Option<String>, Query, description = "RFC 3339, epoch in s/ms/µs/ns, or relative (now-1h); inclusive"),
    ("to" = Option<String>, Query, description = "The same; exclusive"),
    ("limit" = Option<u32>, Query, description = "Most services; all when absent")),
    responses((status = 200, description = "The services, by name", body = ServicesAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn services(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &["from", "to", "limit"], &[])?;
    let (range, limit) = (params.range()?, params.count("limit")?);
    let answer = app.view.services(&caller.tenant, range, app.status.now_ns()).await?;
    match limit {
        Some(limit) => Ok(json(&ServicesAnswer { services: answer.services.iter().take(limit).cloned().collect() })),
        None => Ok(json(&*answer)),
    }
}

/// The operations of a service seen in a range.
#[utoipa::path(get, path = "/api/v1/services/{service}/operations", tag = "traces", params(
    ("service" = String, Path, description = "Service name"),
    ("from" = Option<String>, Query, description = "Start of the range; inclusive"),
    ("to" = Option<String>, Query, description = "End of the range; exclusive"),
    ("limit" = Option<u32>, Query, description = "Most operations; all when absent")),
    responses((status = 200, description = "The operations, by name and kind", body = OperationsAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn operations(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segment(service): Segment,
    uri: Uri,
) -> Answer {
    let params = Params::read(&uri, &["from", "to", "limit"], &[])?;
    let (range, limit) = (params.range()?, params.count("limit")?);
    let answer = app.view.operations(&caller.tenant, range, &service, app.status.now_ns()).await?;
    match limit {
        Some(limit) => {
            Ok(json(&OperationsAnswer { operations: answer.operations.iter().take(limit).cloned().collect() }))
        }
        None => Ok(json(&*answer)),
    }
}

/// Traces with a matching span in a range, newest first. Service, operation, attributes and
/// `status=error` have to meet on one span; `status=ok` and durations are asked of the whole trace.
#[utoipa::path(get, path = "/api/v1/traces", tag = "traces", params(
    ("from" = Option<String>, Query, description = "Start of the range of the matching span's start; inclusive"),
    ("to" = Option<String>, Query, description = "Its end; exclusive"),
    ("service" = Option<String>, Query, description = "Service name"),
    ("operation" = Option<String>, Query, description = "Span name"),
    ("status" = Option<String>, Query, description = "error: a matching span has status error; ok: no span of the trace has"),
    ("min_duration" = Option<String>, Query, description = "Shortest duration of the trace, such as 250ms or 1.5s"),
    ("max_duration" = Option<String>, Query, description = "Longest duration of the trace"),
    ("attr" = Option<Vec<String>>, Query, description = "key=value of a span or resource attribute, the value as text (3, true, [1,2]); each value of a repeated key counts; may be repeated"),
    ("edge_source" = Option<String>, Query, description = "With `edge_target`: only traces that draw this edge of the service graph in the range's minutes; a node's id, or a service's name"),
    ("edge_target" = Option<String>, Query, description = "The other end of the edge"),
    ("limit" = Option<u32>, Query, description = "Traces per page; 20 when absent"),
    ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, description = "The traces, newest first", body = TracesAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn traces(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let known = [
        "from",
        "to",
        "service",
        "operation",
        "status",
        "min_duration",
        "max_duration",
        "edge_source",
        "edge_target",
        "limit",
        "cursor",
    ];
    let params = Params::read(&uri, &known, &["attr"])?;
    let edge = match (params.text("edge_source"), params.text("edge_target")) {
        (None, None) => None,
        (Some(source), Some(target)) => Some(Edge::new(source, target)),
        _ => return Err(Error::invalid("`edge_source` and `edge_target` come together").into()),
    };
    let (error, ok) = match params.text("status") {
        None => (false, false),
        Some("error") => (true, false),
        Some("ok") => (false, true),
        Some(other) => return Err(wrong("status", other, "error or ok")),
    };
    let question = TracesQuestion {
        range: params.range()?,
        span: SpanMatch {
            service: params.owned("service"),
            operation: params.owned("operation"),
            error,
            attributes: params.all("attr").filter(|text| !text.is_empty()).map(attribute).collect::<Result<_, _>>()?,
        },
        whole: TraceMatch {
            ok,
            min_duration_ns: params.duration_ns("min_duration")?,
            max_duration_ns: params.duration_ns("max_duration")?,
        },
        edge,
        limit: params.count("limit")?,
        cursor: params.owned("cursor"),
    };
    Ok(json(&app.view.traces(&caller.tenant, question, app.status.now_ns()).await?))
}

/// One trace, or with `format=columns` its tree as arrays.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum OneTrace {
    /// Plain.
    #[schema(title = "trace")]
    Trace(TraceAnswer),
    /// `format=columns`.
    #[schema(title = "columns")]
    Columns(TraceColumnsAnswer),
}

/// One trace with its logs, found by its id alone.
#[utoipa::path(get, path = "/api/v1/traces/{trace_id}", tag = "traces", params(
    ("trace_id" = String, Path, description = "32 or 16 hex digits, either case"),
    ("offset" = Option<u32>, Query, description = "Spans to pass over, in depth-first order"),
    ("limit" = Option<u32>, Query, description = "Most spans; 10,000 when absent, 0 for none; total_spans counts all"),
    ("span_id" = Option<String>, Query, description = "Only spans with this id, and their logs"),
    ("logs" = Option<bool>, Query, description = "false leaves the logs out"),
    ("logs_limit" = Option<u32>, Query, description = "Most log records; 10,000 when absent"),
    ("logs_cursor" = Option<String>, Query, description = "logs_next_cursor of the page before"),
    ("typed" = Option<bool>, Query, description = "true: attributes and bodies as OTLP AnyValues"),
    ("format" = Option<String>, Query, description = "columns: the whole tree as arrays (TraceColumnsAnswer), without what spans carry")),
    responses((status = 200, description = "The trace: spans depth first, logs in time order (with format=columns as arrays)", body = OneTrace),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn trace(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segment(trace_id): Segment,
    uri: Uri,
) -> Answer {
    let known = ["offset", "limit", "span_id", "logs", "logs_limit", "logs_cursor", "typed", "format"];
    let params = Params::read(&uri, &known, &[])?;
    match params.text("format") {
        None | Some("json") => {}
        Some("columns") => {
            return json_aside(OneTrace::Columns(app.view.trace_columns(&caller.tenant, &trace_id).await?)).await;
        }
        Some(other) => return Err(wrong("format", other, "columns or absent")),
    }
    let question = TraceQuestion {
        offset: params.count("offset")?.unwrap_or(0),
        limit: params.count("limit")?,
        span_id: params.owned("span_id"),
        logs: params.flag("logs")?.unwrap_or(true),
        logs_limit: params.count("logs_limit")?,
        logs_cursor: params.owned("logs_cursor"),
        typed: params.flag("typed")?.unwrap_or(false),
    };
    json_aside(OneTrace::Trace(app.view.trace(&caller.tenant, &trace_id, question, app.status.now_ns()).await?)).await
}

/// Log records in a range.
#[utoipa::path(get, path = "/api/v1/logs", tag = "logs", params(
    ("from" = Option<String>, Query, description = "Start of the range; inclusive"),
    ("to" = Option<String>, Query, description = "End of the range; exclusive"),
    ("query" = Option<String>, Query, description = "Words (whole ones; with letters outside ASCII also inside longer ones), \"quoted phrases\", key:value (an attribute, not what a body says; each value of a repeated key counts), and - in front of any of them; all have to hold; case does not matter to words and phrases"),
    ("service" = Option<String>, Query, description = "Service name"),
    ("severity" = Option<String>, Query, description = "Lowest severity: trace, debug, info, warn, error, fatal, or 1 to 24"),
    ("trace_id" = Option<String>, Query, description = "32 or 16 hex digits"),
    ("span_id" = Option<String>, Query, description = "16 hex digits"),
    ("pattern_id" = Option<String>, Query, description = "16 hex digits: an id that the pattern has or had"),
    ("typed" = Option<bool>, Query, description = "true: attributes and bodies as OTLP AnyValues"),
    ("order" = Option<String>, Query, description = "newest (first; the default) or oldest"),
    ("limit" = Option<u32>, Query, description = "Records per page; 100 when absent"),
    ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, description = "The records, in the order asked for", body = LogsAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn logs(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &[&LOG_FILTER[..], &["typed", "order", "limit", "cursor"]].concat(), &[])?;
    let oldest_first = match params.text("order") {
        None | Some("newest" | "desc") => false,
        Some("oldest" | "asc") => true,
        Some(other) => return Err(wrong("order", other, "newest or oldest")),
    };
    let question = LogsQuestion {
        range: params.range()?,
        matching: log_match(&params)?,
        oldest_first,
        limit: params.count("limit")?,
        cursor: params.owned("cursor"),
        typed: params.flag("typed")?.unwrap_or(false),
    };
    json_aside(app.view.logs(&caller.tenant, question, app.status.now_ns()).await?).await
}

/// How many log records there are over time, by severity.
#[utoipa::path(get, path = "/api/v1/logs/histogram", tag = "logs", params(
    ("from" = Option<String>, Query, description = "Start of the range; inclusive"),
    ("to" = Option<String>, Query, description = "End of the range; exclusive"),
    ("query" = Option<String>, Query, description = "As for /api/v1/logs"),
    ("service" = Option<String>, Query, description = "Service name"),
    ("severity" = Option<String>, Query, description = "Lowest severity"),
    ("trace_id" = Option<String>, Query, description = "32 or 16 hex digits"),
    ("span_id" = Option<String>, Query, description = "16 hex digits"),
    ("pattern_id" = Option<String>, Query, description = "16 hex digits"),
    ("step" = Option<String>, Query, description = "Width of a bucket, such as 30s; auto or absent: a round one")),
    responses((status = 200, description = "Counts per step and level", body = HistogramAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn histogram(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &[&LOG_FILTER[..], &["step"]].concat(), &[])?;
    let step_ns = if params.text("step") == Some("auto") { None } else { params.duration_ns("step")? };
    let (range, matching) = (params.range()?, log_match(&params)?);
    Ok(json(&app.view.histogram(&caller.tenant, range, matching, step_ns, app.status.now_ns()).await?))
}

/// Log patterns: what the logs of a range say, grouped by service and by the text that they share. The most
/// frequent come first. A pattern that is some seconds old may still be in parts.
#[utoipa::path(get, path = "/api/v1/patterns", tag = "logs", params(
    ("from" = Option<String>, Query, description = "Start of the range; inclusive"),
    ("to" = Option<String>, Query, description = "End of the range; exclusive"),
    ("query" = Option<String>, Query, description = "As for /api/v1/logs"),
    ("service" = Option<String>, Query, description = "Service name"),
    ("severity" = Option<String>, Query, description = "Lowest severity"),
    ("trace_id" = Option<String>, Query, description = "32 or 16 hex digits"),
    ("span_id" = Option<String>, Query, description = "16 hex digits"),
    ("pattern_id" = Option<String>, Query, description = "16 hex digits"),
    ("limit" = Option<u32>, Query, description = "Patterns in the answer, 1,000 at most; 100 when absent")),
    responses((status = 200, description = "The patterns, the most frequent first", body = PatternsAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn patterns(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &[&LOG_FILTER[..], &["limit"]].concat(), &[])?;
    let question =
        PatternsQuestion { range: params.range()?, matching: log_match(&params)?, limit: params.count("limit")? };
    Ok(json(&app.view.patterns(&caller.tenant, question, app.status.now_ns()).await?))
}

/// The service graph, or with `format=nodegraph` the frames of Grafana's node graph panel.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum OneGraph {
    /// Plain.
    #[schema(title = "graph")]
    Graph(GraphAnswer),
    /// `format=nodegraph`.
    #[schema(title = "nodegraph")]
    NodeGraph(NodeGraphAnswer),
}

/// Who calls whom in a range: the service graph, with counts, latencies, and a place for every node. It is
/// made of whole minutes; the answer says to which the range was rounded. A service without calls in the
/// range, or unknown, gives an empty graph.
#[utoipa::path(get, path = "/api/v1/graph", tag = "graph", params(
    ("from" = Option<String>, Query, description = "Start of the range, rounded down to a minute"),
    ("to" = Option<String>, Query, description = "End of the range, rounded up to a minute"),
    ("service" = Option<String>, Query, description = "Only what lies around this service (its name), or node (its id)"),
    ("hops" = Option<u32>, Query, description = "With `service`: within so many calls, in either direction; 1 when absent"),
    ("format" = Option<String>, Query, description = "nodegraph: the frames of Grafana's node graph panel")),
    responses((status = 200, description = "Nodes and edges (with format=nodegraph as frames)", body = OneGraph),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn graph(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &["from", "to", "service", "hops", "format"], &[])?;
    let is_panel = match params.text("format") {
        None | Some("json") => false,
        Some("nodegraph") => true,
        Some(other) => return Err(wrong("format", other, "nodegraph or absent")),
    };
    let (service, hops) = (params.owned("service"), params.count("hops")?);
    if hops.is_some() && service.is_none() {
        return Err(Error::invalid("`hops` counts from a `service`").into());
    }
    let question = GraphQuestion { range: params.range()?, service, hops };
    let answer = app.graph(&caller.tenant, question, app.status.now_ns()).await?;
    json_aside(if is_panel { OneGraph::NodeGraph(answer.node_graph()) } else { OneGraph::Graph(answer) }).await
}

/// A window of time, as in a query string: RFC 3339, epoch in s/ms/µs/ns (also as a number), or relative.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowBody {
    /// Its beginning; inclusive.
    #[schema(value_type = String)]
    from: Option<TimeBody>,
    /// Its end; exclusive; now when absent.
    #[schema(value_type = Option<String>)]
    to: Option<TimeBody>,
}

/// A time as text or number.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum TimeBody {
    Text(String),
    Number(i64),
}

/// What suspects are asked for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuspectsBody {
    /// When something was wrong.
    fault: WindowBody,
    /// When nothing was; usual minutes near the fault when absent.
    baseline: Option<WindowBody>,
    /// Only what this service depends on, itself included.
    service: Option<String>,
    /// At most so many suspects; 10 when absent.
    limit: Option<usize>,
}

impl WindowBody {
    fn range(&self) -> Result<TimeRange, Failure> {
        let read = |time: &Option<TimeBody>| {
            let text = match time {
                None => return Ok(None),
                Some(TimeBody::Text(text)) => text.clone(),
                Some(TimeBody::Number(number)) => number.to_string(),
            };
            TimePoint::parse(&text).map(Some).map_err(|error| Failure::from(Error::invalid(error.to_string())))
        };
        Ok(TimeRange { from: read(&self.from)?, to: read(&self.to)? })
    }
}

/// Who is guilty of a fault, and why: the services ranked by what the fault's window shows against them that the
/// baseline does not, each with its evidence, the place in it, traces that show it, and who suffers from it.
#[utoipa::path(post, path = "/api/v1/suspects", tag = "faults", request_body = SuspectsBody,
    responses((status = 200, description = "The suspects, best first", body = SuspectsAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn suspects(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    Params::read(&uri, &[], &[])?;
    let asked: SuspectsBody = read(&body)?;
    let question = SuspectsQuestion {
        fault: asked.fault.range()?,
        baseline: asked.baseline.as_ref().map(WindowBody::range).transpose()?,
        service: asked.service.filter(|service| !service.is_empty()),
        limit: asked.limit,
    };
    json_aside(app.view.suspects(&caller.tenant, question, app.status.now_ns()).await?).await
}

/// What is said of a suspect.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackBody {
    /// The fault window of the report.
    fault: WindowBody,
    /// The suspect.
    service: String,
    /// Whether it was the cause.
    right: bool,
    /// What was the cause, when it was not.
    actual: Option<String>,
    /// Anything else.
    comment: Option<String>,
}

/// Keeps whether a suspect was right. Who says something of the same window and suspect again replaces it.
#[utoipa::path(post, path = "/api/v1/feedback", tag = "faults", request_body = FeedbackBody,
    responses((status = 200, description = "What is kept", body = Feedback),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn tell_feedback(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    Params::read(&uri, &[], &[])?;
    let said: FeedbackBody = read(&body)?;
    let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let question = FeedbackQuestion {
        fault: said.fault.range()?,
        service: said.service,
        right: said.right,
        actual: some(said.actual),
        comment: some(said.comment),
    };
    Ok(json(&app.view.tell_feedback(&caller.tenant, question, app.status.now_ns()).await?))
}

/// What was said of suspects, newest first.
#[utoipa::path(get, path = "/api/v1/feedback", tag = "faults", params(
    ("from" = Option<String>, Query, description = "Said since; inclusive"),
    ("to" = Option<String>, Query, description = "Said before; exclusive"),
    ("limit" = Option<u32>, Query, description = "At most so many; 100 when absent")),
    responses((status = 200, description = "What was said", body = FeedbackAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn feedback(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &["from", "to", "limit"], &[])?;
    let (range, limit) = (params.range()?, params.count("limit")?);
    Ok(json(&app.view.feedback(&caller.tenant, range, limit, app.status.now_ns()).await?))
}

/// The loss ledger: what was refused, cut, repeated or set aside, newest first.
#[utoipa::path(get, path = "/api/v1/ledger", tag = "ingest", params(
    ("from" = Option<String>, Query, description = "Start of the range; inclusive"),
    ("to" = Option<String>, Query, description = "End of the range; exclusive"),
    ("sender" = Option<String>, Query, description = "Sender, or its beginning"),
    ("reason" = Option<String>, Query, description = "Reason code"),
    ("limit" = Option<u32>, Query, description = "Entries per page; 1,000 when absent"),
    ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, description = "The entries, newest first", body = LedgerAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn ledger(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &["from", "to", "sender", "reason", "limit", "cursor"], &[])?;
    let question = LedgerQuestion {
        range: params.range()?,
        sender: params.owned("sender"),
        reason: params.owned("reason"),
        limit: params.count("limit")?,
        cursor: params.owned("cursor"),
    };
    Ok(json(&app.view.ledger(&caller.tenant, question, app.status.now_ns()).await?))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Error::invalid(format!("the body cannot be read: {error}")).into())
}

fn attribute(text: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(wrong("attr", text, "key=value")),
    }
}

/// What a log filter asks.
pub(crate) fn log_match(params: &Params) -> Result<LogMatch, Failure> {
    let bad = |name: &'static str| {
        move |error: query::QueryError| -> Failure { Error::invalid(format!("`{name}`: {error}")).into() }
    };
    Ok(LogMatch {
        service: params.owned("service"),
        severity_min: params.text("severity").map(query::severity).transpose().map_err(bad("severity"))?,
        trace_ids: params
            .text("trace_id")
            .map(query::trace_id)
            .transpose()
            .map_err(bad("trace_id"))?
            .map_or(Vec::new(), |id| log_ids(&id)),
        span_id: params.text("span_id").map(query::span_id).transpose().map_err(bad("span_id"))?,
        pattern: params.text("pattern_id").map(query::pattern).transpose().map_err(bad("pattern_id"))?,
        terms: params.text("query").map(query::parse).transpose().map_err(bad("query"))?.unwrap_or_default(),
    })
}
