//! The simulator's telemetry as spans and lines.

use correlate::evidence::{EvidenceLog, EvidenceSpan, Exception, PeerType, Template};
use correlate::find_in_text;
use correlate::graph::{Kind, Name, Names, SpanRef};
use demo::{Item, Log, Payload, Resource, Span, Status, Value};

/// What was read of an item.
#[derive(Clone)]
pub struct Read {
    pub due_ns: i64,
    pub what: What,
}

#[derive(Clone)]
pub enum What {
    Span(Box<EvidenceSpan>),
    /// A line, and the place of it in a trace where it has one.
    Line {
        service: Name,
        pattern: u64,
        severity: u8,
        time_ns: i64,
        log: Option<Box<EvidenceLog>>,
    },
}

pub fn read(names: &mut Names, items: &[Item]) -> Vec<Read> {
    let read = items.iter().map(|item| {
        let what = match &item.payload {
            Payload::Span(span) | Payload::ZipkinSpan(span) => {
                What::Span(Box::new(read_span(names, item, item.resource, span)))
            }
            Payload::Log(log) => read_line(names, item.resource, log),
        };
        Read { due_ns: item.due_ns, what }
    });
    read.collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
    }
}

fn read_span(names: &mut Names, item: &Item, resource: Resource, span: &Span) -> EvidenceSpan {
    let of = demo::otlp::resource_attributes(resource);
    let resource_value =
        |key: &str| of.iter().find(|(known, _)| *known == key).map(|(_, value)| text(value)).unwrap_or_default();
    let value = |keys: &[&str]| keys.iter().find_map(|key| span.attribute(key)).map(text).unwrap_or_default();
    let database = value(&["db.system.name", "db.system"]);
    let topic = value(&["messaging.destination.name", "messaging.destination"]);
    let namespace = value(&["db.namespace", "db.name"]);
    let remote = span.remote.as_ref().map(|remote| remote.name.to_owned()).unwrap_or_default();
    let (peer, peer_type) = match (database.is_empty(), topic.is_empty()) {
        (false, _) => (format!("{database}/{namespace}"), PeerType::Database),
        (true, false) => (topic, PeerType::Topic),
        (true, true) => {
            let address = value(&["peer.service", "server.address", "net.peer.name", "rpc.service"]);
            (if address.is_empty() { remote } else { address }, PeerType::Service)
        }
    };
    let exceptions = span.events.iter().filter(|event| event.name == "exception").map(|event| {
        let attribute = |key: &str| {
            event.attributes.iter().find(|(known, _)| *known == key).map(|(_, value)| text(value)).unwrap_or_default()
        };
        Exception {
            time_ns: event.time_ns,
            kind: names.intern(&attribute("exception.type")),
            message: names.intern(&attribute("exception.message")),
        }
    });
    let exceptions: Vec<Exception> = exceptions.collect();
    let is_zipkin = matches!(item.payload, Payload::ZipkinSpan(_));
    let message = match &span.status {
        Status::Error(message) => message.clone(),
        _ => String::new(),
    };
    let mut keyed = Vec::new();
    for key in ["host.name", "k8s.pod.name"] {
        let value = resource_value(key);
        if !value.is_empty() {
            keyed.push((names.intern(key), names.intern(&value)));
        }
    }
    EvidenceSpan {
        at: SpanRef { trace_low: span.trace_id as u64, span_id: span.span_id },
        parent_id: span.parent_id,
        trace_high: (span.trace_id >> 64) as u64,
        service: names.intern(&resource_value("service.name")),
        operation: names.intern(&span.name),
        kind: Kind::from_number(span.kind as u8),
        shared: span.shared,
        error: span.is_error() || (is_zipkin && span.attribute("error").is_some()),
        http_status: value(&["http.response.status_code", "http.status_code"]).parse().unwrap_or_default(),
        grpc_status: value(&["rpc.grpc.status_code", "rpc.response.status_code"]).parse().unwrap_or_default(),
        start_ns: span.start_ns,
        duration_ns: (span.end_ns - span.start_ns).max(0) as u64,
        weight: 1.0,
        version: names.intern(&resource_value("service.version")),
        instance: Name::EMPTY,
        message: names.intern(&message),
        peer: names.intern(&peer),
        peer_type,
        attributes: keyed,
        exceptions,
        links: span.links.iter().map(|(trace, span)| SpanRef { trace_low: *trace as u64, span_id: *span }).collect(),
    }
}

fn read_line(names: &mut Names, resource: Resource, log: &Log) -> What {
    let attribute = |keys: &[&str]| {
        let found = log.attributes.iter().find(|(known, _)| keys.contains(known));
        found.map(|(_, value)| text(value)).unwrap_or_default()
    };
    let (mut trace, mut span) = (log.trace_id, log.span_id);
    if trace == 0 {
        let hex = attribute(&["trace_id", "traceId"]);
        if let Ok(found) = u128::from_str_radix(&hex, 16) {
            trace = found;
            span = u64::from_str_radix(&attribute(&["span_id", "spanId"]), 16).unwrap_or_default();
        } else if let Some(found) = find_in_text(log.body.as_bytes()) {
            trace = u128::from_be_bytes(found.trace.0);
            span = u64::from_be_bytes(found.span.0);
        }
    }
    let file = attribute(&["code.file.path", "code.filepath"]);
    let line = attribute(&["code.line.number", "code.lineno"]);
    let location =
        if file.is_empty() { String::new() } else { format!("{}:{line}", file.rsplit('/').next().unwrap_or_default()) };
    let template = Template::of(log.body.as_bytes(), log.severity as u8, &location);
    let of = demo::otlp::resource_attributes(resource);
    let service = of.iter().find(|(key, _)| *key == "service.name").map(|(_, value)| text(value)).unwrap_or_default();
    let service = names.intern(&service);
    let evidence = (trace != 0).then(|| {
        Box::new(EvidenceLog {
            at: SpanRef { trace_low: trace as u64, span_id: span },
            service,
            time_ns: log.time_ns,
            severity: log.severity as u8,
            pattern: template.key,
            template: names.intern(&template.text),
            location: names.intern(&template.location),
        })
    });
    What::Line { service, pattern: template.key, severity: log.severity as u8, time_ns: log.time_ns, log: evidence }
}
