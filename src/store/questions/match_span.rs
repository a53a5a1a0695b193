//! What a trace search asks for: conditions that one span has to meet together, and conditions that
//! the whole trace has to meet. Attributes that have a column of their own are asked there first.

use super::sql::{Conditions, Param};

/// Conditions on one span. All hold on the same span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanMatch {
    /// Service name.
    pub service: Option<String>,
    /// Span name.
    pub operation: Option<String>,
    /// Only spans with status error.
    pub error: bool,
    /// Attributes of the span or its resource, compared as text.
    pub attributes: Vec<(String, String)>,
}

/// Conditions on the whole trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceMatch {
    /// No span has status error.
    pub ok: bool,
    /// Shortest duration in nanoseconds.
    pub min_duration_ns: Option<u64>,
    /// Longest duration in nanoseconds.
    pub max_duration_ns: Option<u64>,
}

impl SpanMatch {
    /// Whether every span matches.
    pub fn is_any(&self) -> bool {
        *self == SpanMatch::default()
    }

    /// As conditions on `otel_traces`.
    pub fn conditions(&self, prefix: &'static str) -> Conditions {
        let mut out = Conditions::new(prefix);
        if let Some(service) = &self.service {
            out.and("ServiceName = {@:String}", [Param::Text(service.clone())]);
        }
        if let Some(operation) = &self.operation {
            out.and("SpanName = {@:String}", [Param::Text(operation.clone())]);
        }
        if self.error {
            out.and("StatusCode = 'Error'", []);
        }
        for (key, value) in &self.attributes {
            attribute(&mut out, key, value);
        }
        out
    }
}

impl TraceMatch {
    /// Whether every trace matches.
    pub fn is_any(&self) -> bool {
        *self == TraceMatch::default()
    }

    /// As conditions on the aggregates `errors` and `duration_ns` of a trace.
    pub(crate) fn conditions(&self, prefix: &'static str) -> Conditions {
        let mut out = Conditions::new(prefix);
        if self.ok {
            out.and("errors = 0", []);
        }
        if let Some(min) = self.min_duration_ns {
            out.and("duration_ns >= {@:UInt64}", [Param::U64(min)]);
        }
        if let Some(max) = self.max_duration_ns {
            out.and("duration_ns <= {@:UInt64}", [Param::U64(max)]);
        }
        out
    }

    /// Whether a trace with these sums matches.
    pub fn accepts(&self, errors: u64, duration_ns: u64) -> bool {
        (!self.ok || errors == 0)
            && self.min_duration_ns.is_none_or(|min| duration_ns >= min)
            && self.max_duration_ns.is_none_or(|max| duration_ns <= max)
    }
}

/// One attribute. A promoted column is a sieve that spares reading the maps of most rows; rows that
/// another program wrote (`RowVersion = 0`) have none. The map decides.
fn attribute(out: &mut Conditions, key: &str, value: &str) {
    let text = |text: &str| Param::Text(text.to_owned());
    match key {
        _ if value.is_empty() => {}
        "service.name" => out.and("RowVersion = 0 OR ServiceName = {@:String}", [text(value)]),
        "service.version" => out.and("RowVersion = 0 OR ServiceVersion = {@:String}", [text(value)]),
        "http.route" => out.and("RowVersion = 0 OR HttpRoute = {@:String}", [text(value)]),
        "db.system.name" => out.and("RowVersion = 0 OR DbSystem = {@:String}", [text(value)]),
        // The newer key wins the column, and may say it in another word.
        "db.system" => out.and("RowVersion = 0 OR DbSystem != ''", []),
        "messaging.destination.name" => out.and("RowVersion = 0 OR MessagingDestination = {@:String}", [text(value)]),
        "http.response.status_code" | "http.status_code" => {
            if let Some(code) = value.parse::<u16>().ok().filter(|code| *code > 0) {
                out.and("RowVersion = 0 OR HttpStatusCode = {@:UInt16}", [Param::U64(u64::from(code))]);
            }
        }
        _ => {}
    }
    let both = if value.is_empty() {
        "(mapContains(SpanAttributes, {@1:String}) AND SpanAttributes[{@1:String}] = {@2:String}) OR (mapContains(ResourceAttributes, {@1:String}) AND ResourceAttributes[{@1:String}] = {@2:String})"
    } else {
        "SpanAttributes[{@1:String}] = {@2:String} OR ResourceAttributes[{@1:String}] = {@2:String}"
    };
    out.and(both, [text(key), text(value)]);
}
