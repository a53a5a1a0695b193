//! The legacy's spans as Zipkin v2 JSON, as Brave sends them: B3's 128-bit trace ids, servers that
//! share their caller's span id, times in microseconds, tags that are texts.

use serde_json::{Map, Value as Json, json};

use crate::telemetry::{Resource, Span, SpanKind, Value};

/// The list that is posted.
pub fn spans(spans: &[(Resource, Span)]) -> Json {
    spans.iter().map(|(resource, span)| zipkin_span(*resource, span)).collect()
}

fn zipkin_span(resource: Resource, span: &Span) -> Json {
    let service = resource.service.about();
    let timestamp = span.start_ns / 1000;
    let mut out = json!({
        "traceId": format!("{:032x}", span.trace_id),
        "id": format!("{:016x}", span.span_id),
        "name": span.name,
        "timestamp": timestamp,
        "duration": (span.end_ns / 1000 - timestamp).max(1),
        "localEndpoint": {
            "serviceName": service.name, "ipv4": service.pod_ip(resource.pod), "port": service.port,
        },
    });
    if span.parent_id != 0 {
        out["parentId"] = format!("{:016x}", span.parent_id).into();
    }
    if span.shared {
        out["shared"] = true.into();
    }
    let kind = match span.kind {
        SpanKind::Internal => None,
        SpanKind::Server => Some("SERVER"),
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
    };
    if let Some(kind) = kind {
        out["kind"] = kind.into();
    }
    if let Some(remote) = &span.remote {
        let mut endpoint = json!({"ipv4": remote.ipv4});
        if !remote.name.is_empty() {
            endpoint["serviceName"] = remote.name.into();
        }
        if remote.port != 0 {
            endpoint["port"] = remote.port.into();
        }
        out["remoteEndpoint"] = endpoint;
    }
    let tags: Map<String, Json> = span.attributes.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect();
    if !tags.is_empty() {
        out["tags"] = tags.into();
    }
    let annotations: Vec<Json> =
        span.events.iter().map(|event| json!({"timestamp": event.time_ns / 1000, "value": event.name})).collect();
    if !annotations.is_empty() {
        out["annotations"] = annotations.into();
    }
    out
}

fn text(value: &Value) -> Json {
    match value {
        Value::Text(text) => text.clone().into(),
        Value::Int(number) => number.to_string().into(),
        Value::Bool(yes) => yes.to_string().into(),
    }
}
