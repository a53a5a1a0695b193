//! OpenTelemetry spans in Zipkin's model, as OpenTelemetry's specification for Zipkin exporters and
//! Zipkin's own translator put it; facts on Zipkin, section 3. Stored attribute texts are the tags:
//! numbers in decimal, booleans in lower case, arrays as JSON.

use model::kind::{CLIENT, PRODUCER, STATUS_CODES, STATUS_ERROR, STATUS_OK};
use model::spans::sent_start;
use model::{Value, mark, value::Types};
use store::questions::zipkin::SpanRow;
use store::questions::zipkin_match::REMOTE_KEYS;

use super::span::{Annotation, Endpoint, Span};
use crate::attributes::Attributes;
use crate::shared::number_of;

pub(super) fn translate(row: SpanRow) -> Span {
    let bare = Span::bare(&row);
    let start_us = sent_start(row.start_ns, row.original_start_ns, row.marks) / 1000;
    let service = row.service.to_lowercase();
    let mut annotations: Vec<Annotation> = (0..row.event_names.len()).map(|at| annotation(&row, at)).collect();
    annotations.sort();
    annotations.dedup();
    Span {
        name: row.name.to_lowercase(),
        timestamp_us: if row.marks & mark::NO_TIME != 0 { 0 } else { start_us },
        duration_us: (row.duration_ns / 1000).max(1),
        local: (!service.is_empty()).then(|| Endpoint { service, ..Endpoint::default() }),
        remote: matches!(bare.kind, CLIENT | PRODUCER).then(|| remote(&row)).flatten(),
        annotations,
        tags: tags(&row),
        ..bare
    }
}

/// The other side of a client or producer: the first attribute that says it.
fn remote(row: &SpanRow) -> Option<Endpoint> {
    let text = |key: &str| {
        row.attributes
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, text)| text.as_str())
            .filter(|text| !text.is_empty())
    };
    let (key, value) = REMOTE_KEYS.iter().find_map(|key| Some((*key, text(key)?)))?;
    let mut endpoint = named(value);
    let port_key = match key {
        "network.peer.address" => "network.peer.port",
        "server.socket.address" => "server.socket.port",
        "net.sock.peer.addr" => "net.sock.peer.port",
        _ => "",
    };
    endpoint.port = text(port_key).and_then(|port| port.parse().ok()).unwrap_or(0);
    Some(endpoint)
}

/// An address by its family, anything else as a service name.
pub(super) fn named(value: &str) -> Endpoint {
    match value.parse() {
        Ok(std::net::IpAddr::V4(ip)) => Endpoint { ipv4: ip.to_string(), ..Endpoint::default() },
        Ok(std::net::IpAddr::V6(ip)) => Endpoint { ipv6: ip.to_string(), ..Endpoint::default() },
        Err(_) => Endpoint { service: value.to_lowercase(), ..Endpoint::default() },
    }
}

fn tags(row: &SpanRow) -> Vec<(String, String)> {
    let mut types = Types::new(row.attribute_types.as_bytes());
    let mut tags: Vec<(String, String)> = Vec::with_capacity(row.attributes.len() + 4);
    let mut seen = std::collections::HashSet::with_capacity(row.attributes.len());
    for (key, text) in &row.attributes {
        let says_no = matches!(types.value(text), Value::Bool(false));
        // Any tag of that name is an error in Zipkin.
        if !(key == "error" && says_no) && seen.insert(key.as_str()) {
            tags.push((key.clone(), text.clone()));
        }
    }
    let mut put = |key: &str, text: String| match tags.iter_mut().find(|(known, _)| known == key) {
        Some((_, present)) => *present = text,
        None => tags.push((key.to_owned(), text)),
    };
    let status = number_of(&STATUS_CODES, &row.status);
    if matches!(status, STATUS_OK | STATUS_ERROR) {
        put("otel.status_code", STATUS_CODES[usize::from(status)].to_uppercase());
    }
    if status == STATUS_ERROR {
        put("error", row.status_message.clone());
    }
    for (names, value) in [
        (["otel.scope.name", "otel.library.name"], &row.scope_name),
        (["otel.scope.version", "otel.library.version"], &row.scope_version),
    ] {
        if !value.is_empty() {
            names.iter().for_each(|name| put(name, value.clone()));
        }
    }
    for (name, count) in [
        ("otel.dropped_attributes_count", row.dropped_attributes),
        ("otel.dropped_events_count", row.dropped_events),
        ("otel.dropped_links_count", row.dropped_links),
    ] {
        if count > 0 {
            put(name, count.to_string());
        }
    }
    tags
}

fn annotation(row: &SpanRow, at: usize) -> Annotation {
    let none = Vec::new();
    let attributes = row.event_attributes.get(at).unwrap_or(&none);
    let name = &row.event_names[at];
    let value = if attributes.is_empty() {
        name.clone()
    } else {
        let types = row.event_attribute_types.get(at).map_or("", String::as_str);
        let json = serde_json::to_string(&Attributes::read(attributes, types, false)).unwrap_or_default();
        format!("{}:{json}", serde_json::Value::from(name.as_str()))
    };
    let timestamp_us = row.event_times_ns.get(at).copied().unwrap_or_default().div_euclid(1000);
    Annotation { timestamp_us, value }
}
