//! Tools that show what is stored: a trace, logs, patterns, the graph. The same answers as the API's, with less in them.

use serde::Serialize;
use serde_json::{Value, json};
use view::graph::{GraphAnswer, GraphEdge, GraphNode, GraphQuestion};
use view::logs::{LogLine, LogsQuestion};
use view::patterns::PatternsQuestion;
use view::shared::Resource;
use view::trace::{Span, SpanEvent, TraceQuestion};
use view::{TimePoint, TimeRange};

use super::Asked;
use super::envelope::{Reply, fitting, without_empty};
use crate::answer::Failure;
use crate::ask::log_match;
use crate::params::wrong;

/// An hour, and a quarter of one.
pub(super) const HOUR_NS: i64 = 3_600_000_000_000;
pub(super) const QUARTER_NS: i64 = HOUR_NS / 4;
const SPANS: (usize, usize) = (50, 200);
const TRACE_LOGS: (usize, usize) = (50, 200);
const LOGS: (usize, usize) = (30, 200);
const PATTERNS: (usize, usize) = (40, 200);
const NODES: (usize, usize) = (60, 200);

/// The service graph.
pub(super) async fn graph(asked: &Asked<'_>) -> Result<Reply, Failure> {
    let (service, hops) = (asked.params.owned("service"), asked.params.count("hops")?);
    if hops.is_some() && service.is_none() {
        return Err(access::Error::invalid("`hops` counts from a `service`").into());
    }
    let limit = asked.limit(NODES.0, NODES.1)?;
    let question = GraphQuestion { range: recent(asked, ("from", "to"), HOUR_NS)?, service, hops };
    let GraphAnswer { mut nodes, mut edges, from_ns, to_ns, partial_reason, .. } =
        asked.app.graph(asked.tenant, question, asked.now_ns).await?;
    nodes.sort_by(|a, b| b.errors.0.total_cmp(&a.errors.0).then_with(|| b.requests.0.total_cmp(&a.requests.0)));
    edges.sort_by(|a, b| b.errors.0.total_cmp(&a.errors.0).then_with(|| b.requests.0.total_cmp(&a.requests.0)));
    let mut data = json!({
        "from_ns": from_ns,
        "to_ns": to_ns,
        "total_nodes": nodes.len(),
        "total_edges": edges.len(),
        "nodes": nodes.iter().take(limit).map(node).collect::<Vec<_>>(),
        "edges": edges.iter().take(limit).map(edge).collect::<Vec<_>>(),
        "partial_reason": partial_reason,
    });
    without_empty(&mut data);
    let is_more = nodes.len().max(edges.len()) > limit;
    let reply = Reply::new(data, &["edges", "nodes"]);
    Ok(if is_more { reply.note("There is more: ask around one `service`, or with a higher `limit`.") } else { reply })
}

/// One trace.
pub(super) async fn trace(asked: &Asked<'_>) -> Result<Reply, Failure> {
    let id = asked.required("trace_id")?;
    let offset = asked.params.count("offset")?.unwrap_or(0);
    let question = TraceQuestion {
        offset,
        limit: Some(asked.limit(SPANS.0, SPANS.1)?),
        span_id: asked.params.owned("span_id"),
        ..TraceQuestion::default()
    };
    let is_whole = question.span_id.is_none();
    let answer = asked.app.view.trace(asked.tenant, &id, question, asked.now_ns).await?;
    let spans: Vec<Value> = answer.spans.iter().map(|one| span(one, answer.start_ns.0, &answer.resources)).collect();
    let problems: Vec<Value> = answer.problems.iter().take(10).map(value).collect();
    let mut data = json!({
        "trace_id": answer.trace_id,
        "start_ns": answer.start_ns,
        "duration_ms": ms(answer.duration_ns.0),
        "root": format!("{} {}", answer.root_service, answer.root_operation),
        "services": answer.services,
        "total_spans": answer.total_spans,
        "total_logs": answer.total_logs,
        "errors": answer.errors,
        "complete": answer.complete,
        "spans": spans,
        "problems": problems,
        "partial_reason": answer.partial_reason,
    });
    without_empty(&mut data);
    let mut reply = Reply::new(data, &["spans"]);
    let next = offset + reply.shown("spans");
    if is_whole && (next as u64) < answer.total_spans && reply.shown("spans") > 0 {
        reply.set("next_offset", next.into());
    }
    Ok(reply)
}

/// The logs of one trace.
pub(super) async fn trace_logs(asked: &Asked<'_>) -> Result<Reply, Failure> {
    let id = asked.required("trace_id")?;
    let mut page = Page::of(asked.limit(TRACE_LOGS.0, TRACE_LOGS.1)?);
    loop {
        let question = TraceQuestion {
            limit: Some(0),
            logs: true,
            logs_limit: Some(page.limit),
            logs_cursor: asked.params.owned("cursor"),
            span_id: asked.params.owned("span_id"),
            ..TraceQuestion::default()
        };
        let answer = asked.app.view.trace(asked.tenant, &id, question, asked.now_ns).await?;
        let data = json!({
            "trace_id": answer.trace_id,
            "total_logs": answer.total_logs,
            "logs": answer.logs.iter().map(line).collect::<Vec<_>>(),
            "next_cursor": answer.logs_next_cursor,
        });
        if let Some(reply) = page.filled(data) {
            return Ok(reply);
        }
    }
}

/// A page of a log search.
pub(super) async fn logs(asked: &Asked<'_>) -> Result<Reply, Failure> {
    let params = &asked.params;
    let oldest_first = match params.text("order") {
        None | Some("newest") => false,
        Some("oldest") => true,
        Some(other) => return Err(wrong("order", other, "newest or oldest")),
    };
    let (range, matching) = (recent(asked, ("from", "to"), HOUR_NS)?, log_match(params)?);
    // A trace's logs are found whenever it was.
    let range = if params.text("trace_id").is_some() { params.range()? } else { range };
    let mut page = Page::of(asked.limit(LOGS.0, LOGS.1)?);
    loop {
        let question = LogsQuestion {
            range,
            matching: matching.clone(),
            oldest_first,
            limit: Some(page.limit),
            cursor: params.owned("cursor"),
            typed: false,
        };
        let answer = asked.app.view.logs(asked.tenant, question, asked.now_ns).await?;
        let logs: Vec<Value> = answer.logs.iter().map(line).collect();
        if let Some(reply) = page.filled(json!({"logs": logs, "next_cursor": answer.next_cursor})) {
            return Ok(reply);
        }
    }
}

/// Log patterns.
pub(super) async fn patterns(asked: &Asked<'_>) -> Result<Reply, Failure> {
    let params = &asked.params;
    let range =
        if params.text("trace_id").is_some() { params.range()? } else { recent(asked, ("from", "to"), HOUR_NS)? };
    let question =
        PatternsQuestion { range, matching: log_match(params)?, limit: Some(asked.limit(PATTERNS.0, PATTERNS.1)?) };
    let answer = asked.app.view.patterns(asked.tenant, question, asked.now_ns).await?;
    let mut data = value(&answer);
    if let Some(patterns) = data.get_mut("patterns").and_then(Value::as_array_mut) {
        for pattern in patterns.iter_mut().filter_map(Value::as_object_mut) {
            // Where nothing differs the template is the example.
            if pattern.get("template") == pattern.get("example") {
                pattern.remove("example");
            }
        }
    }
    without_empty(&mut data);
    Ok(Reply::new(data, &["patterns"]))
}

/// A range that ends now and is so long, where it does not say otherwise.
pub(super) fn recent(asked: &Asked<'_>, (from, to): (&str, &str), length_ns: i64) -> Result<TimeRange, Failure> {
    let range = asked.params.range_of(from, to)?;
    let to = range.to.unwrap_or(TimePoint::At(asked.now_ns));
    let from = range.from.unwrap_or(TimePoint::At(to.at(asked.now_ns).saturating_sub(length_ns)));
    Ok(TimeRange { from: Some(from), to: Some(to) })
}

/// An answer as JSON.
pub(super) fn value(answer: &impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}

/// Milliseconds, to the microsecond.
pub(super) fn ms(ns: i128) -> f64 {
    (ns / 1_000) as f64 / 1_000.0
}

// A page of `logs` that fits, so that its cursor goes on where it ends: asked for again, smaller, when it does not.
struct Page {
    limit: usize,
    is_cut: bool,
}

impl Page {
    fn of(limit: usize) -> Page {
        Page { limit, is_cut: false }
    }

    // The answer; none when it has to be asked for again.
    fn filled(&mut self, mut data: Value) -> Option<Reply> {
        without_empty(&mut data);
        let shown = data.get("logs").and_then(Value::as_array).map_or(0, Vec::len);
        let fits = fitting(&data, "logs").max(1);
        if fits < shown {
            (self.limit, self.is_cut) = (fits, true);
            return None;
        }
        let has_more = data.get("next_cursor").is_some();
        let reply = Reply::new(data, &[]);
        Some(match (self.is_cut, has_more) {
            (true, _) => reply.note("Cut to what an answer holds; `cursor` goes on."),
            (false, true) => reply.note("There is more: `cursor` goes on."),
            (false, false) => reply,
        })
    }
}

fn node(node: &GraphNode) -> Value {
    json!({
        "id": node.id,
        "name": node.name,
        "kind": node.kind,
        "requests": node.requests,
        "errors": node.errors,
        "p50_ms": ms(node.p50_ns.0),
        "p95_ms": ms(node.p95_ns.0),
        "p99_ms": ms(node.p99_ns.0),
        "unpaired": node.unpaired,
    })
}

fn edge(edge: &GraphEdge) -> Value {
    json!({
        "source": edge.source,
        "target": edge.target,
        "connection_type": edge.connection_type,
        "requests": edge.requests,
        "errors": edge.errors,
        "p50_ms": ms(edge.p50_ns.0),
        "p95_ms": ms(edge.p95_ns.0),
        "p99_ms": ms(edge.p99_ns.0),
    })
}

fn span(span: &Span, start_ns: i128, resources: &[Resource]) -> Value {
    let event = |event: &SpanEvent| {
        json!({
            "name": event.name,
            "offset_ms": ms(event.time_ns.0 - start_ns),
            "attributes": value(&event.attributes),
        })
    };
    let resource = resources.get(span.resource_index as usize).map(|resource| value(&resource.attributes));
    let of = |key: &str| resource.as_ref().and_then(|resource| resource.get(key)).cloned().unwrap_or_default();
    json!({
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "depth": span.depth,
        "service": span.service,
        "version": of("service.version"),
        "instance": of("service.instance.id"),
        "name": span.name,
        "kind": span.kind,
        "offset_ms": ms(span.start_ns.0 - start_ns),
        "duration_ms": ms(span.duration_ns.0),
        "status": if span.status == "unset" { "" } else { span.status },
        "status_message": span.status_message,
        "critical": if span.critical { Value::Bool(true) } else { Value::Null },
        "log_count": if span.log_count > 0 { span.log_count.into() } else { Value::Null },
        "attributes": value(&span.attributes),
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
        "links": span.links.iter().take(5).map(|link| format!("{}/{}", link.trace_id, link.span_id)).collect::<Vec<_>>(),
    })
}

fn line(line: &LogLine) -> Value {
    json!({
        "time_ns": line.time_ns,
        "service": line.service,
        "level": line.level,
        "body": value(&line.body),
        "attributes": value(&line.attributes),
        "trace_id": line.trace_id,
        "span_id": line.span_id,
        "join": line.join.as_deref().filter(|join| *join != "own"),
        "pattern_id": line.pattern_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: pages of small and of large records.
    // Guarantee: a page that does not fit is asked for again with as many as do, so that its cursor is that of its end.
    #[test]
    fn pages_fit() {
        for (bytes, limit, expected) in [(10, 50, 50), (900, 50, 19), (900, 1, 1)] {
            let mut page = Page::of(limit);
            let filled = |page: &mut Page| {
                let logs: Vec<Value> = (0..page.limit).map(|_| json!({"body": "x".repeat(bytes)})).collect();
                let next = format!("after {}", page.limit);
                page.filled(json!({"logs": logs, "next_cursor": next}))
            };
            let reply = filled(&mut page).or_else(|| filled(&mut page)).unwrap();
            assert_eq!((reply.shown("logs"), page.limit), (expected, expected), "{bytes}");
            assert!(reply.text().contains(&format!("after {expected}")), "{bytes}");
        }
    }
}
