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

    /// As conditions on any row of `otel_traces`: they decide.
    pub fn conditions(&self, prefix: &'static str) -> Conditions {
        let mut out = Conditions::new(prefix);
        self.full(&mut out);
        out
    }

    /// The ways in which a row can match, each a narrow read of its own; a row that [`SpanMatch::refines`]
    /// rejects may be among them, a row that matches is never missing.
    pub(crate) fn ways(&self) -> Vec<Conditions> {
        let (mut first, mut second) = (Conditions::new("p"), Conditions::new("q"));
        if self.has_promoted() {
            first.and("RowVersion > 0", []);
            self.may(&mut first);
            second.and("RowVersion = 0", []);
            self.full(&mut second);
            return vec![first, second];
        }
        let Some(at) = self.attributes.iter().position(|(_, value)| !value.is_empty()) else {
            self.may(&mut first);
            return vec![first];
        };
        // Only the span's values have an index; with both maps in one condition it would be of no use.
        let (key, value) = &self.attributes[at];
        let pair = || [text(key), text(value)];
        first.and("has(mapValues(SpanAttributes), {@2:String}) AND SpanAttributes[{@1:String}] = {@2:String}", pair());
        // Rows that another program wrote know no keys.
        second.and("ResourceKeys = '' OR position(ResourceKeys, {@:String}) > 0", [Param::Text(format!(",{key},"))]);
        second.and("ResourceAttributes[{@1:String}] = {@2:String}", pair());
        for way in [&mut first, &mut second] {
            self.columns(way);
            let others = self.attributes.iter().enumerate().filter(|(other, _)| *other != at);
            others.for_each(|(_, (key, value))| either_map(way, key, value));
        }
        vec![first, second]
    }

    /// What a row has to meet to be found by [`SpanMatch::ways`]. Where no row is `foreign` (written by
    /// another program), maps are left alone as far as columns know.
    pub(crate) fn finds(&self, foreign: bool) -> Conditions {
        let mut out = Conditions::new("p");
        if foreign && self.has_promoted() {
            out.and_unless("RowVersion > 0", |out| self.full(out));
            out.and_unless("RowVersion = 0", |out| self.may(out));
        } else {
            self.may(&mut out);
        }
        out
    }

    /// What such a row has to meet besides.
    pub(crate) fn refines(&self) -> Conditions {
        let mut out = Conditions::new("r");
        for (key, value) in &self.attributes {
            if promoted(key, value).is_some_and(|promoted| !promoted.decides) {
                out.and("RowVersion = 0 OR SpanAttributes[{@:String}] = {@:String}", [text(key), text(value)]);
            }
        }
        out
    }

    fn has_promoted(&self) -> bool {
        self.attributes.iter().any(|(key, value)| promoted(key, value).is_some())
    }

    fn columns(&self, out: &mut Conditions) {
        if let Some(service) = &self.service {
            out.and("ServiceName = {@:String}", [text(service)]);
        }
        if let Some(operation) = &self.operation {
            out.and("SpanName = {@:String}", [text(operation)]);
        }
        if self.error {
            out.and("StatusCode = 'Error'", []);
        }
    }

    // For rows of ours: promoted attributes by their columns.
    fn may(&self, out: &mut Conditions) {
        self.columns(out);
        for (key, value) in &self.attributes {
            match promoted(key, value) {
                Some(Promoted { condition, param, .. }) => out.and(condition, param),
                None => either_map(out, key, value),
            }
        }
    }

    fn full(&self, out: &mut Conditions) {
        self.columns(out);
        self.attributes.iter().for_each(|(key, value)| either_map(out, key, value));
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

/// An attribute that has a column of its own in rows of ours.
pub(super) struct Promoted {
    pub(super) condition: &'static str,
    pub(super) param: Option<Param>,
    /// Whether the column says it all; else a row may hold the value under another key.
    decides: bool,
}

/// Longer values may stand cut in their column.
const PROMOTED_BYTES_MAX: usize = 200;

pub(super) fn promoted(key: &str, value: &str) -> Option<Promoted> {
    if value.is_empty() || value.len() > PROMOTED_BYTES_MAX {
        return None;
    }
    let (condition, decides) = match key {
        "service.name" => ("ServiceName = {@:String}", true),
        "service.version" => ("ServiceVersion = {@:String}", true),
        "http.route" => ("HttpRoute = {@:String}", true),
        "db.system.name" => ("DbSystem = {@:String}", false),
        // The newer key wins the column, and may say it in another word.
        "db.system" => return Some(Promoted { condition: "DbSystem != ''", param: None, decides: false }),
        "messaging.destination.name" => ("MessagingDestination = {@:String}", false),
        "http.response.status_code" | "http.status_code" => {
            let code = value.parse::<u16>().ok().filter(|code| *code > 0)?;
            let param = Some(Param::U64(u64::from(code)));
            return Some(Promoted { condition: "HttpStatusCode = {@:UInt16}", param, decides: false });
        }
        _ => return None,
    };
    Some(Promoted { condition, param: Some(text(value)), decides })
}

/// The attribute in one of the maps, as stored.
fn either_map(out: &mut Conditions, key: &str, value: &str) {
    let both = if value.is_empty() {
        "(mapContains(SpanAttributes, {@1:String}) AND SpanAttributes[{@1:String}] = {@2:String}) OR (mapContains(ResourceAttributes, {@1:String}) AND ResourceAttributes[{@1:String}] = {@2:String})"
    } else {
        "SpanAttributes[{@1:String}] = {@2:String} OR ResourceAttributes[{@1:String}] = {@2:String}"
    };
    out.and(both, [text(key), text(value)]);
}

fn text(value: &str) -> Param {
    Param::Text(value.to_owned())
}
