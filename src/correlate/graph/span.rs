//! A stored span as the graph sees it: narrow, its texts numbered.

use super::names::Name;

/// Where a span is found: the low 64 bits of its trace id (ids of both widths meet there) and its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanRef {
    /// Low 64 bits of the trace id.
    pub trace_low: u64,
    /// Span id.
    pub span_id: u64,
}

/// One stored span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphSpan {
    /// Its ids.
    pub at: SpanRef,
    /// Parent's span id; 0 for none.
    pub parent_id: u64,
    /// High 64 bits of the trace id; 0 for a 64-bit id.
    pub trace_high: u64,
    /// Service name.
    pub service: Name,
    /// Kind.
    pub kind: Kind,
    /// Whether its status is ERROR.
    pub error: bool,
    /// Zipkin's `shared`: this side joined the span that its client began.
    pub shared: bool,
    /// OTLP span flags, all 32 bits; 0 when unknown.
    pub flags: u32,
    /// Start, nanoseconds since the epoch.
    pub start_ns: i64,
    /// Duration in nanoseconds.
    pub duration_ns: u64,
    /// How many spans this one stands for (sampling).
    pub weight: f64,
    /// The peer by its best name, or empty. A server's peer is its caller: by `peer.service` or Zipkin's
    /// remote service name only, never by `server.address`, which on a server is its own.
    pub peer: Name,
    /// `db.system.name`, or empty.
    pub db_system: Name,
    /// `db.namespace`, or empty.
    pub db_namespace: Name,
    /// `messaging.system`, or empty.
    pub messaging_system: Name,
    /// `messaging.destination.name`, or empty.
    pub destination: Name,
    /// Spans that it links to.
    pub links: Vec<SpanRef>,
}

/// Span kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Not given.
    #[default]
    Unspecified,
    /// INTERNAL.
    Internal,
    /// SERVER.
    Server,
    /// CLIENT.
    Client,
    /// PRODUCER.
    Producer,
    /// CONSUMER.
    Consumer,
}

impl Kind {
    /// From the OTLP number; unknown numbers are unspecified.
    pub fn from_number(number: u8) -> Kind {
        match number {
            model::kind::INTERNAL => Kind::Internal,
            model::kind::SERVER => Kind::Server,
            model::kind::CLIENT => Kind::Client,
            model::kind::PRODUCER => Kind::Producer,
            model::kind::CONSUMER => Kind::Consumer,
            _ => Kind::Unspecified,
        }
    }

    /// From the stored text (`model::kind::SPAN_KINDS`); unknown texts are unspecified.
    pub fn from_text(text: &str) -> Kind {
        let number = model::kind::SPAN_KINDS.iter().position(|known| *known == text);
        number.map_or(Kind::Unspecified, |number| Kind::from_number(number as u8))
    }
}
