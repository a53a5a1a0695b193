//! Zipkin spans out: stored rows become [`ZipkinSpan`]s again, and spans become v2 JSON. A row that
//! came as a Zipkin span gives that span back exactly.

use std::borrow::Cow;
use std::io::Write as _;

use model::value::push_json_string;
use model::{SpanId, Spans, TraceId, mark};

use super::columns::TIME_KEY;
use super::span::{Annotation, Endpoint, Kind, Tag, ZipkinSpan};

/// What of a stored span makes its Zipkin form: the columns of the same names, units as stored.
#[derive(Clone, Debug, Default)]
pub struct Row<'a> {
    /// Trace id.
    pub trace_id: TraceId,
    /// Span id.
    pub span_id: SpanId,
    /// Parent's span id; zero for none.
    pub parent_span_id: SpanId,
    /// Name.
    pub name: Cow<'a, str>,
    /// Kind by OTLP number.
    pub kind: u8,
    /// Start, nanoseconds.
    pub start_ns: i64,
    /// Duration, nanoseconds.
    pub duration_ns: u64,
    /// Start as sent where `start_ns` is not it.
    pub original_start: u64,
    /// End as sent where start and duration are not it.
    pub original_end: u64,
    /// Bits of [`model::mark`].
    pub marks: u32,
    /// Local endpoint as JSON, or empty.
    pub local_endpoint: Cow<'a, str>,
    /// Remote endpoint as JSON, or empty.
    pub remote_endpoint: Cow<'a, str>,
    /// Attributes.
    pub attributes: Vec<Tag<'a>>,
    /// Events: time in nanoseconds, name, and the annotation's own time where nanoseconds cannot hold it.
    pub events: Vec<(i64, Cow<'a, str>, Option<i64>)>,
}

impl<'a> Row<'a> {
    /// The row with number `row` of a decoded batch.
    pub fn of(spans: &'a Spans, row: usize) -> Row<'a> {
        let text = String::from_utf8_lossy;
        let from = if row == 0 { 0 } else { spans.events.ends[row - 1] as usize };
        let events = (from..spans.events.ends[row] as usize).map(|event| {
            let mut attributes = spans.events.attributes.row(event);
            let own = attributes.find(|(key, _)| *key == TIME_KEY.as_bytes());
            let own = own.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
            (spans.events.time[event], text(spans.events.name.get(event)), own)
        });
        Row {
            trace_id: TraceId(spans.trace_id[row]),
            span_id: SpanId(spans.span_id[row]),
            parent_span_id: SpanId(spans.parent_span_id[row]),
            name: text(spans.name.get(row)),
            kind: spans.kind[row],
            start_ns: spans.start[row],
            duration_ns: spans.duration[row],
            original_start: spans.original_start[row],
            original_end: spans.original_end[row],
            marks: spans.marks[row],
            local_endpoint: text(spans.local_endpoint.get(row)),
            remote_endpoint: text(spans.remote_endpoint.get(row)),
            attributes: spans.attributes.row(row).map(|(key, value)| (text(key), text(value))).collect(),
            events: events.collect(),
        }
    }

    /// The Zipkin span of a row that came as one ([`mark::ZIPKIN`]).
    pub fn into_span(self) -> ZipkinSpan<'a> {
        let marked = |bit: u32| self.marks & bit != 0;
        let said = |on: u32, off: u32| if marked(on) { Some(true) } else { marked(off).then_some(false) };
        let timestamp_us = match (marked(mark::NO_TIME), marked(mark::QUARANTINED), marked(mark::CLAMPED)) {
            (true, ..) => 0,
            (_, true, true) => self.original_start,
            (_, true, false) => self.original_start / 1000,
            _ => (self.start_ns / 1000) as u64,
        };
        let duration_us = if self.duration_ns == u64::MAX { self.original_end } else { self.duration_ns / 1000 };
        let annotations = self
            .events
            .into_iter()
            .map(|(time_ns, value, own)| Annotation { timestamp_us: own.unwrap_or(time_ns.div_euclid(1000)), value });
        ZipkinSpan {
            trace_id: self.trace_id,
            id64: self.marks & mark::ID64 != 0,
            parent_id: Some(self.parent_span_id).filter(|id| !id.is_none()),
            id: self.span_id,
            kind: Kind::from_otlp(self.kind),
            name: self.name,
            timestamp_us,
            duration_us,
            local: endpoint(&self.local_endpoint),
            remote: endpoint(&self.remote_endpoint),
            annotations: annotations.collect(),
            tags: self.attributes,
            debug: said(mark::DEBUG, mark::DEBUG_FALSE),
            shared: said(mark::SHARED, mark::SHARED_FALSE),
        }
    }
}

/// Appends `spans` as a Zipkin v2 JSON list.
pub fn encode_v2_json<'a>(out: &mut Vec<u8>, spans: impl IntoIterator<Item = ZipkinSpan<'a>>) {
    out.push(b'[');
    for (at, span) in spans.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_span(out, &span);
    }
    out.push(b']');
}

/// Appends one span as JSON, fields in Zipkin's order.
pub fn push_span(out: &mut Vec<u8>, span: &ZipkinSpan<'_>) {
    let trace_id = &span.trace_id.0[if span.id64 { 8 } else { 0 }..];
    out.extend_from_slice(b"{\"traceId\":\"");
    model::id::push_hex(out, trace_id);
    out.push(b'"');
    if let Some(parent) = span.parent_id {
        out.extend_from_slice(b",\"parentId\":\"");
        model::id::push_hex(out, &parent.0);
        out.push(b'"');
    }
    out.extend_from_slice(b",\"id\":\"");
    model::id::push_hex(out, &span.id.0);
    out.push(b'"');
    if let Some(kind) = span.kind {
        push_field(out, "kind", |out| push_json_string(out, kind.name()));
    }
    if !span.name.is_empty() {
        push_field(out, "name", |out| push_json_string(out, &span.name));
    }
    for (name, number) in [("timestamp", span.timestamp_us), ("duration", span.duration_us)] {
        if number != 0 {
            push_field(out, name, |out| push_number(out, number));
        }
    }
    for (name, endpoint) in [("localEndpoint", &span.local), ("remoteEndpoint", &span.remote)] {
        if let Some(endpoint) = endpoint {
            push_field(out, name, |out| endpoint.push_json(out));
        }
    }
    if !span.annotations.is_empty() {
        push_field(out, "annotations", |out| push_annotations(out, &span.annotations));
    }
    if !span.tags.is_empty() {
        push_field(out, "tags", |out| push_tags(out, &span.tags));
    }
    for (name, flag) in [("debug", span.debug), ("shared", span.shared)] {
        if let Some(flag) = flag {
            push_field(out, name, |out| out.extend_from_slice(if flag { b"true" } else { b"false" }));
        }
    }
    out.push(b'}');
}

/// An endpoint from its stored JSON; `None` when there is none.
pub fn endpoint(json: &str) -> Option<Endpoint<'static>> {
    let read: Endpoint<'_> = serde_json::from_str(json).ok()?;
    let service_name = Cow::Owned(read.service_name.into_owned());
    Some(Endpoint { service_name, ..read })
}

fn push_field(out: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    out.push(b',');
    push_json_string(out, name);
    out.push(b':');
    value(out);
}

fn push_annotations(out: &mut Vec<u8>, annotations: &[Annotation<'_>]) {
    for (at, annotation) in annotations.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"[{\"timestamp\":" } else { b",{\"timestamp\":" });
        push_number(out, annotation.timestamp_us);
        out.extend_from_slice(b",\"value\":");
        push_json_string(out, &annotation.value);
        out.push(b'}');
    }
    out.push(b']');
}

fn push_tags(out: &mut Vec<u8>, tags: &[Tag<'_>]) {
    for (at, (key, value)) in tags.iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        push_json_string(out, key);
        out.push(b':');
        push_json_string(out, value);
    }
    out.push(b'}');
}

fn push_number(out: &mut Vec<u8>, number: impl std::fmt::Display) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}
