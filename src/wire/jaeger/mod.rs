//! Jaeger's JSON (the query API's and the UI's download) as OTLP JSON, for import. One trace becomes
//! one `ResourceSpans` per process. It knows no columns: OTLP's decoder does the rest.

mod model;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use self::model::{KeyValue, Log, Process, Reference, Span, Trace};

/// A trace as OTLP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Converted {
    /// `ResourceSpans` objects in OTLP JSON.
    pub resource_spans: Vec<String>,
    /// Spans in them.
    pub spans: u64,
    /// Spans without a usable id, left out.
    pub refused: u64,
}

/// Converts a document: a trace, a list of traces, or the query API's envelope with `data`. The
/// result is one OTLP JSON `TracesData` a trace and line.
///
/// # Errors
/// When the document is no Jaeger JSON.
pub fn to_otlp_json_lines(document: &[u8]) -> Result<String, String> {
    let traces: Value = serde_json::from_slice(document).map_err(|error| format!("reading Jaeger JSON: {error}"))?;
    let traces = match traces {
        Value::Object(mut object) if object.contains_key("data") => object.remove("data").unwrap_or_default(),
        other => other,
    };
    let traces = if let Value::Array(traces) = traces { traces } else { vec![traces] };
    let mut lines = String::new();
    for trace in traces {
        let converted = convert(Trace::read(trace)?);
        lines.push_str("{\"resourceSpans\":[");
        lines.push_str(&converted.resource_spans.join(","));
        lines.push_str("]}\n");
    }
    Ok(lines)
}

/// Converts one trace object.
///
/// # Errors
/// When it is no Jaeger trace.
pub fn to_resource_spans(trace: &[u8]) -> Result<Converted, String> {
    let trace = serde_json::from_slice(trace).map_err(|error| format!("reading a Jaeger trace: {error}"))?;
    Ok(convert(Trace::read(trace)?))
}

// Spans by process and scope, in order of first appearance.
type Groups = Vec<(Process, Vec<((String, String), Vec<Value>)>)>;

fn convert(trace: Trace) -> Converted {
    let mut converted = Converted::default();
    let mut groups: Groups = Vec::new();
    let mut at_of: HashMap<String, usize> = HashMap::new();
    for mut span in trace.spans {
        let (key, process) = match span.process.take() {
            // Inline, as in Elasticsearch's documents.
            Some(process) => (format!("inline {process:?}"), process),
            None => (span.process_id.clone(), trace.processes.get(&span.process_id).cloned().unwrap_or_default()),
        };
        let scope = scope(&mut span);
        let Some(span) = otlp_span(span, &trace.trace_id) else {
            converted.refused += 1;
            continue;
        };
        converted.spans += 1;
        let at = *at_of.entry(key).or_insert_with(|| {
            groups.push((process, Vec::new()));
            groups.len() - 1
        });
        let scopes = &mut groups[at].1;
        match scopes.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, spans)) => spans.push(span),
            None => scopes.push((scope, vec![span])),
        }
    }
    converted.resource_spans = groups.into_iter().map(|(process, scopes)| resource_spans(&process, scopes)).collect();
    converted
}

fn resource_spans(process: &Process, scopes: Vec<((String, String), Vec<Value>)>) -> String {
    let mut attributes = Vec::new();
    if !process.service_name.is_empty() {
        attributes.push(json!({"key": "service.name", "value": {"stringValue": process.service_name}}));
    }
    attributes.extend(process.tags.iter().filter(|tag| tag.key != "service.name").map(attribute));
    let scope_spans: Vec<Value> = scopes
        .into_iter()
        .map(|((name, version), spans)| json!({"scope": {"name": name, "version": version}, "spans": spans}))
        .collect();
    json!({"resource": {"attributes": attributes}, "scopeSpans": scope_spans}).to_string()
}

// The OTLP span; `None` when its ids cannot be read.
fn otlp_span(mut span: Span, trace_id: &str) -> Option<Value> {
    let own_trace_id = if span.trace_id.is_empty() { trace_id } else { &span.trace_id };
    let trace_id = padded(own_trace_id, 32)?;
    let mut out = Map::new();
    out.insert("traceId".into(), trace_id.clone().into());
    out.insert("spanId".into(), padded(&span.span_id, 16)?.into());
    let (parent, links) = references(&span, &trace_id);
    if let Some(parent) = parent {
        out.insert("parentSpanId".into(), parent.into());
    }
    if let Some(state) = take_text(&mut span.tags, "w3c.tracestate") {
        out.insert("traceState".into(), state.into());
    }
    out.insert("name".into(), span.operation_name.into());
    out.insert("kind".into(), kind(&mut span.tags).into());
    let start_ns = u128::from(span.start_us) * 1000;
    let end_ns = start_ns + u128::from(span.duration_us) * 1000;
    out.insert("startTimeUnixNano".into(), nanos(start_ns).into());
    out.insert("endTimeUnixNano".into(), nanos(end_ns).into());
    out.insert("flags".into(), (span.flags & 0xff).into());
    out.insert("status".into(), status(&mut span.tags));
    let mut attributes: Vec<Value> = span.tags.iter().map(attribute).collect();
    if !span.warnings.is_empty() {
        let values: Vec<Value> = span.warnings.iter().map(|text| json!({"stringValue": text})).collect();
        attributes.push(json!({"key": "jaeger.warnings", "value": {"arrayValue": {"values": values}}}));
    }
    for (name, values) in [("attributes", attributes), ("events", span.logs.into_iter().map(event).collect())] {
        out.insert(name.into(), Value::Array(values));
    }
    out.insert("links".into(), Value::Array(links));
    Some(Value::Object(out))
}

// The first CHILD_OF of the same trace is the parent, failing that the first FOLLOWS_FROM, which
// stays a link as well, because it says more than "parent".
fn references(span: &Span, trace_id: &str) -> (Option<String>, Vec<Value>) {
    let same_trace = |reference: &Reference| {
        let other = padded(&reference.trace_id, 32);
        other.is_none_or(|other| other == trace_id)
    };
    let of_kind = |child: bool| {
        let mut all = span.references.iter().enumerate();
        all.find(|(_, reference)| (reference.ref_type != "FOLLOWS_FROM") == child && same_trace(reference))
    };
    let child = of_kind(true);
    let parent = child.or_else(|| of_kind(false)).and_then(|(_, reference)| padded(&reference.span_id, 16));
    let parent = parent.or_else(|| padded(&span.parent_span_id, 16));
    let others = span.references.iter().enumerate().filter(|(at, _)| child.map(|(child, _)| child) != Some(*at));
    let links = others.filter_map(|(_, reference)| {
        let trace_id = padded(&reference.trace_id, 32).unwrap_or_else(|| trace_id.to_owned());
        let kind = reference.ref_type.to_ascii_lowercase();
        Some(json!({
            "traceId": trace_id,
            "spanId": padded(&reference.span_id, 16)?,
            "attributes": [{"key": "opentracing.ref_type", "value": {"stringValue": kind}}],
        }))
    });
    (parent, links.collect())
}

fn event(mut log: Log) -> Value {
    let name = take_text(&mut log.fields, "event").unwrap_or_else(|| "log".to_owned());
    let attributes: Vec<Value> = log.fields.iter().map(attribute).collect();
    json!({"timeUnixNano": nanos(u128::from(log.timestamp_us) * 1000), "name": name, "attributes": attributes})
}

fn kind(tags: &mut Vec<KeyValue>) -> u8 {
    const KINDS: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];
    let known = |tag: &KeyValue| KINDS.iter().position(|kind| tag.key == "span.kind" && tag.text() == Some(*kind));
    let Some(at) = tags.iter().position(|tag| known(tag).is_some()) else { return 0 };
    known(&tags.remove(at)).map_or(0, |kind| kind as u8 + 1)
}

fn status(tags: &mut Vec<KeyValue>) -> Value {
    let code = take_text(tags, "otel.status_code").unwrap_or_default();
    let message = take_text(tags, "otel.status_description").unwrap_or_default();
    let error = tags.iter().any(|tag| tag.key == "error" && tag.is_true());
    tags.retain(|tag| tag.key != "error" || tag.value != Value::Bool(true));
    let code = match &*code.to_ascii_uppercase() {
        "OK" if !error => 1,
        "ERROR" => 2,
        _ if error => 2,
        _ => 0,
    };
    json!({"code": code, "message": message})
}

fn scope(span: &mut Span) -> (String, String) {
    let tags = &mut span.tags;
    let mut take = |keys: [&str; 2]| keys.iter().find_map(|key| take_text(tags, key)).unwrap_or_default();
    (take(["otel.scope.name", "otel.library.name"]), take(["otel.scope.version", "otel.library.version"]))
}

fn attribute(tag: &KeyValue) -> Value {
    json!({"key": tag.key, "value": tag.otlp_value()})
}

fn take_text(tags: &mut Vec<KeyValue>, key: &str) -> Option<String> {
    let at = tags.iter().position(|tag| tag.key == key && tag.text().is_some())?;
    tags.remove(at).text().map(str::to_owned)
}

// Ids may be written without leading zeros and in either case; zero is none.
fn padded(id: &str, width: usize) -> Option<String> {
    let hex = !id.is_empty() && id.len() <= width && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = format!("{:0>width$}", id.to_ascii_lowercase());
    (hex && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

// Times beyond 64 bits of nanoseconds are sent as the latest there is.
fn nanos(time_ns: u128) -> String {
    time_ns.min(u128::from(u64::MAX)).to_string()
}

#[cfg(test)]
mod tests;
