//! What a trace search asks for: conditions that one span has to meet together, and conditions that
//! the whole trace has to meet. Attributes that have a column of their own are asked there first.

use model::promoted::{Promoted, status_code};

use super::match_log::in_map;
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
    /// rejects may be among them, a row that matches is never missing: rows that do not vouch for their
    /// promoted columns ([`model::promoted`]) are asked by their maps.
    pub(crate) fn ways(&self) -> Vec<Conditions> {
        let mut by_columns = Conditions::new("p");
        if let Some(at) = self.attributes.iter().position(is_promoted) {
            by_columns.and("RowVersion > 0", []);
            self.may(&mut by_columns);
            let (mut span, mut resource) = (Conditions::new("q"), Conditions::new("o"));
            span.and(UNVOUCHED, []);
            resource.and(UNVOUCHED, []);
            self.by_maps(at, &mut span, &mut resource);
            return vec![by_columns, span, resource];
        }
        let Some(at) = self.attributes.iter().position(|(_, value)| !value.is_empty()) else {
            self.may(&mut by_columns);
            return vec![by_columns];
        };
        let (mut span, mut resource) = (Conditions::new("p"), Conditions::new("q"));
        self.by_maps(at, &mut span, &mut resource);
        vec![span, resource]
    }

    /// What a row has to meet to be found by [`SpanMatch::ways`]. Where every row vouches for its
    /// promoted columns (not `unvouched`), maps are left alone as far as these know.
    pub(crate) fn finds(&self, unvouched: bool) -> Conditions {
        let mut out = Conditions::new("p");
        if unvouched && self.has_promoted() {
            out.and_either(
                |out| {
                    out.and("RowVersion > 0", []);
                    self.may(out);
                },
                |out| {
                    out.and(UNVOUCHED, []);
                    self.full(out);
                },
            );
        } else {
            self.may(&mut out);
        }
        out
    }

    /// What such a row has to meet besides: a column that several keys share may hold another key's value.
    pub(crate) fn refines(&self, unvouched: bool) -> Conditions {
        let mut out = Conditions::new("r");
        for (key, value) in &self.attributes {
            if by_column(key, value).is_some_and(|promoted| !promoted.has_one_key()) {
                match unvouched {
                    true => either_map(&mut out, key, value),
                    false => out.and(IN_SPAN, [text(key), text(value)]),
                }
            }
        }
        out
    }

    /// Whether a column is asked for an attribute.
    pub(crate) fn has_promoted(&self) -> bool {
        self.attributes.iter().any(is_promoted)
    }

    // Attribute `at` on the span, or on its resource; with both maps in one condition the index on the
    // span's values would be of no use.
    fn by_maps(&self, at: usize, span: &mut Conditions, resource: &mut Conditions) {
        let (key, value) = &self.attributes[at];
        let pair = || [text(key), text(value)];
        span.and(concat!("has(mapValues(SpanAttributes), {@2:String}) AND ", in_map!("SpanAttributes")), pair());
        // Rows that another program wrote know no keys.
        resource.and("ResourceKeys = '' OR position(ResourceKeys, {@:String}) > 0", [Param::Text(format!(",{key},"))]);
        resource.and(in_map!("ResourceAttributes"), pair());
        for way in [span, resource] {
            self.columns(way);
            let others = self.attributes.iter().enumerate().filter(|(other, _)| *other != at);
            others.for_each(|(_, (key, value))| either_map(way, key, value));
        }
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

    // For rows that vouch for them: promoted attributes by their columns.
    fn may(&self, out: &mut Conditions) {
        self.columns(out);
        for (key, value) in &self.attributes {
            match by_column(key, value) {
                Some(promoted) => out.and(condition(promoted), [param(promoted, value)]),
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

/// Rows that another program wrote, whose own columns are empty, and rows of ours whose maps say more than
/// their columns. An index on the version passes over all others.
pub(super) const UNVOUCHED: &str = "RowVersion < 2";

const IN_SPAN: &str = in_map!("SpanAttributes");

fn is_promoted((key, value): &(String, String)) -> bool {
    by_column(key, value).is_some()
}

/// The condition on the column that can be asked for an attribute; true of every row of ours that holds the
/// attribute, unless the row is unvouched.
pub(super) fn on_column(key: &str, value: &str) -> Option<(&'static str, Param)> {
    by_column(key, value).map(|promoted| (condition(promoted), param(promoted, value)))
}

/// The column that can be asked for an attribute.
fn by_column(key: &str, value: &str) -> Option<Promoted> {
    Promoted::of(key.as_bytes()).filter(|promoted| promoted.can_hold(value.as_bytes()))
}

fn condition(promoted: Promoted) -> &'static str {
    match promoted {
        Promoted::ServiceName => "ServiceName = {@:String}",
        Promoted::ServiceVersion => "ServiceVersion = {@:String}",
        Promoted::HttpRoute => "HttpRoute = {@:String}",
        Promoted::HttpStatusCode => "HttpStatusCode = {@:UInt16}",
        Promoted::DbSystem => "DbSystem = {@:String}",
        Promoted::MessagingDestination => "MessagingDestination = {@:String}",
    }
}

fn param(promoted: Promoted, value: &str) -> Param {
    match (promoted, status_code(value.as_bytes())) {
        (Promoted::HttpStatusCode, Some(code)) => Param::U64(u64::from(code)),
        _ => text(value),
    }
}

/// The attribute in one of the maps, as stored.
fn either_map(out: &mut Conditions, key: &str, value: &str) {
    out.and(concat!(in_map!("SpanAttributes"), " OR ", in_map!("ResourceAttributes")), [text(key), text(value)]);
}

fn text(value: &str) -> Param {
    Param::Text(value.to_owned())
}
