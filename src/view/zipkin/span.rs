//! A stored span as a Zipkin span. One that came from a Zipkin sender is given back as it was sent;
//! others are translated (`otlp`).

use model::kind::SPAN_KINDS;
use model::{SpanId, TraceId, mark};
use serde::Deserialize;
use store::questions::zipkin::SpanRow;

use super::otlp;
use crate::shared::number_of;

/// A span in Zipkin's model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Trace id; a 64-bit one stands in the low half.
    pub trace_id: TraceId,
    /// Whether the trace id is a 64-bit one.
    pub id64: bool,
    /// Parent's span id.
    pub parent_id: Option<SpanId>,
    /// Span id.
    pub id: SpanId,
    /// Kind by OTLP number; unspecified and internal are none.
    pub kind: u8,
    /// Name, lower-case, or empty.
    pub name: String,
    /// Start, microseconds since the epoch; 0 when absent.
    pub timestamp_us: u64,
    /// Duration in microseconds; 0 when absent.
    pub duration_us: u64,
    /// Who recorded it.
    pub local: Option<Endpoint>,
    /// The other side.
    pub remote: Option<Endpoint>,
    /// Annotations, by time.
    pub annotations: Vec<Annotation>,
    /// Tags, each key once.
    pub tags: Vec<(String, String)>,
    /// `debug` as sent.
    pub debug: Option<bool>,
    /// `shared` as sent.
    pub shared: Option<bool>,
}

/// One side of a span.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// Service name, lower-case, or empty.
    #[serde(rename = "serviceName")]
    pub service: String,
    /// IPv4 address, or empty.
    pub ipv4: String,
    /// IPv6 address, or empty.
    pub ipv6: String,
    /// Port; 0 when absent.
    pub port: u16,
}

/// Something that happened at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Annotation {
    /// Microseconds since the epoch.
    pub timestamp_us: i64,
    /// What.
    pub value: String,
}

/// Key of the event attribute that keeps an annotation's time when nanoseconds cannot hold it.
const TIME_KEY: &str = "zipkin.timestamp";

impl Span {
    /// The Zipkin form of a stored span.
    pub fn of(row: SpanRow) -> Span {
        if row.marks & mark::ZIPKIN != 0 { as_sent(row) } else { otlp::translate(row) }
    }

    /// Name of the service that recorded it, or empty.
    pub fn local_service(&self) -> &str {
        self.local.as_ref().map_or("", |endpoint| &endpoint.service)
    }

    /// Name of the service on the other side, or empty.
    pub fn remote_service(&self) -> &str {
        self.remote.as_ref().map_or("", |endpoint| &endpoint.service)
    }

    // What both kinds of rows have in common.
    pub(super) fn bare(row: &SpanRow) -> Span {
        let trace_id = TraceId::from_hex(row.trace_id.as_bytes()).unwrap_or_default();
        let id = SpanId::from_hex(row.span_id.as_bytes()).unwrap_or_default();
        Span {
            trace_id,
            id64: row.marks & mark::ID64 != 0 || trace_id.is_64_bit(),
            parent_id: SpanId::from_hex(row.parent_span_id.as_bytes()).filter(|parent| *parent != id),
            id,
            kind: number_of(&SPAN_KINDS, &row.kind),
            ..Span::default()
        }
    }
}

impl Endpoint {
    /// From its stored JSON; `None` when there is none.
    pub(super) fn read(json: &str) -> Option<Endpoint> {
        if json.is_empty() {
            return None;
        }
        serde_json::from_str(json).ok()
    }
}

fn as_sent(row: SpanRow) -> Span {
    let marked = |bit: u32| row.marks & bit != 0;
    let said = |on: u32, off: u32| if marked(on) { Some(true) } else { marked(off).then_some(false) };
    let timestamp_us = match (marked(mark::NO_TIME), marked(mark::QUARANTINED), marked(mark::CLAMPED)) {
        (true, ..) => 0,
        (_, true, true) => row.original_start_ns,
        (_, true, false) => row.original_start_ns / 1000,
        _ => (row.start_ns / 1000).cast_unsigned(),
    };
    let own_times = row
        .event_attributes
        .iter()
        .map(|attributes| attributes.iter().find(|(key, _)| key == TIME_KEY).and_then(|(_, text)| text.parse().ok()));
    let times = row.event_times_ns.iter().map(|ns| ns.div_euclid(1000));
    let annotations = times.zip(own_times.chain(std::iter::repeat(None))).zip(row.event_names.iter().cloned());
    Span {
        name: row.name.clone(),
        timestamp_us,
        // No whole number of nanoseconds: the duration itself stands beside it.
        duration_us: if row.duration_ns == u64::MAX { row.original_end_ns } else { row.duration_ns / 1000 },
        local: Endpoint::read(&row.local_endpoint),
        remote: Endpoint::read(&row.remote_endpoint),
        annotations: annotations
            .map(|((time_us, own), value)| Annotation { timestamp_us: own.unwrap_or(time_us), value })
            .collect(),
        debug: said(mark::DEBUG, mark::DEBUG_FALSE),
        shared: said(mark::SHARED, mark::SHARED_FALSE),
        tags: row.attributes.clone(),
        ..Span::bare(&row)
    }
}
