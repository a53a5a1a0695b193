//! What a Zipkin search asks of a trace's spans, as conditions that find candidates: a trace that
//! matches is always among them, others may be. Each condition may hold on another span of the
//! service, so they are asked by the most selective one, or, where none is, together trace by trace.
//! Who reads the candidates whole has the last word.

use model::mark;

use super::match_span::{UNVOUCHED, on_column};
use super::sql::{Conditions, Param};

/// Conditions on spans. All but the service may be met by different spans of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZipkinMatch {
    /// Service that recorded the spans, lower-case.
    pub service: Option<String>,
    /// Service on the other side, lower-case.
    pub remote_service: Option<String>,
    /// Span name, lower-case.
    pub span_name: Option<String>,
    /// Tags by key and value; with an empty value, a tag of that key or an annotation of that text.
    pub terms: Vec<(String, String)>,
    /// Shortest duration of a span in microseconds.
    pub min_duration_us: Option<u64>,
    /// Longest.
    pub max_duration_us: Option<u64>,
}

/// How candidates are found.
pub(super) enum Ways {
    /// By one condition on one span, to be read in one or two ways.
    One(Vec<Conditions>),
    /// By several conditions, each on any span: what spans to look at, and what each trace needs.
    All(Conditions, Conditions),
}

/// Attributes that name the other side of an OpenTelemetry client's or producer's span, in order of
/// preference.
pub const REMOTE_KEYS: [&str; 11] = [
    "peer.service",
    "server.address",
    "net.peer.name",
    "network.peer.address",
    "server.socket.domain",
    "server.socket.address",
    "net.sock.peer.name",
    "net.sock.peer.addr",
    "peer.hostname",
    "peer.address",
    "db.name",
];

/// A condition of its own.
#[derive(Clone, Copy)]
enum Want<'a> {
    Tag(&'a str, &'a str),
    Remote(&'a str),
    Name(&'a str),
    Word(&'a str),
    Duration,
}

impl ZipkinMatch {
    pub(super) fn ways(&self) -> Ways {
        let wants = self.wants();
        if wants.len() > 1 && !wants.iter().any(|want| want.is_indexed()) {
            return Ways::All(self.any(&wants, "p"), self.each(&wants));
        }
        let (mut first, mut second) = (self.of_service("p"), self.of_service("q"));
        let mut ways = Vec::with_capacity(2);
        match wants.iter().find(|want| want.is_indexed()).or(wants.first()) {
            Some(Want::Tag(key, value)) if own_column(key, value) => {
                first.and("RowVersion > 0", []);
                on_column(key, value).into_iter().for_each(|(condition, param)| first.and(condition, [param]));
                second.and(UNVOUCHED, []);
                self.want(&mut second, Want::Tag(key, value));
                ways.extend([first, second]);
            }
            Some(Want::Remote(name)) => {
                first.and("lowerUTF8(Peer) = {@:String}", [text(name)]);
                second.and("bitAnd(Marks, {@:UInt32}) = 0", [bits(mark::ZIPKIN)]);
                second.and("has(mapValues(SpanAttributes), {@:String})", [text(name)]);
                ways.extend([first, second]);
            }
            Some(want) => {
                self.want(&mut first, *want);
                ways.push(first);
            }
            None => ways.push(first),
        }
        Ways::One(ways)
    }

    /// Spans that meet any of the conditions, wherever they stand.
    pub(super) fn any_of(&self) -> Conditions {
        self.any(&self.wants(), "p")
    }

    fn wants(&self) -> Vec<Want<'_>> {
        let terms = self.terms.iter().map(|(key, value)| match value.is_empty() {
            true => Want::Word(key),
            false => Want::Tag(key, value),
        });
        let mut wants: Vec<Want<'_>> = terms.collect();
        wants.extend(self.remote_service.as_deref().map(Want::Remote));
        wants.extend(self.span_name.as_deref().map(Want::Name));
        if self.min_duration_us.or(self.max_duration_us).is_some() {
            wants.push(Want::Duration);
        }
        wants
    }

    fn any(&self, wants: &[Want<'_>], prefix: &'static str) -> Conditions {
        let mut out = self.of_service(prefix);
        out.and_any(|out| wants.iter().for_each(|want| self.want(out, *want)));
        out
    }

    fn each(&self, wants: &[Want<'_>]) -> Conditions {
        let mut out = Conditions::new("h");
        wants.iter().for_each(|want| out.and_counted(|out| self.want(out, *want)));
        out
    }

    fn of_service(&self, prefix: &'static str) -> Conditions {
        let mut out = Conditions::new(prefix);
        if let Some(service) = &self.service {
            out.and("lowerUTF8(ServiceName) = {@:String}", [text(service)]);
        }
        out
    }

    // Each adds exactly one condition.
    fn want(&self, out: &mut Conditions, want: Want<'_>) {
        match want {
            Want::Tag("error", value) => out.and(
                "SpanAttributes['error'] = {@2:String} OR (bitAnd(Marks, {@1:UInt32}) = 0 AND StatusCode = 'Error' AND StatusMessage = {@2:String})",
                [bits(mark::ZIPKIN), text(value)],
            ),
            Want::Tag(key, value) if is_derived(key) => out.and(
                "SpanAttributes[{@2:String}] = {@3:String} OR bitAnd(Marks, {@1:UInt32}) = 0",
                [bits(mark::ZIPKIN), text(key), text(value)],
            ),
            Want::Tag(key, value) => out.and(
                "has(mapValues(SpanAttributes), {@2:String}) AND SpanAttributes[{@1:String}] = {@2:String}",
                [text(key), text(value)],
            ),
            Want::Remote(name) => out.and(
                "lowerUTF8(Peer) = {@2:String} OR (bitAnd(Marks, {@1:UInt32}) = 0 AND has(mapValues(SpanAttributes), {@2:String}))",
                [bits(mark::ZIPKIN), text(name)],
            ),
            Want::Name(name) => out.and("lowerUTF8(SpanName) = {@:String}", [text(name)]),
            // Zipkin's tag is the error of both.
            Want::Word("error") => out.and("StatusCode = 'Error' OR mapContains(SpanAttributes, 'error') OR has(Events.Name, 'error')", []),
            Want::Word(word) if is_derived(word) || word.starts_with('"') => out.and(
                "mapContains(SpanAttributes, {@2:String}) OR has(Events.Name, {@2:String}) OR bitAnd(Marks, {@1:UInt32}) = 0",
                [bits(mark::ZIPKIN), text(word)],
            ),
            Want::Word(word) => {
                out.and("mapContains(SpanAttributes, {@1:String}) OR has(Events.Name, {@1:String})", [text(word)]);
            }
            // Durations are compared in whole microseconds, of which a span has at least one.
            Want::Duration => out.and(
                "Duration >= {@1:UInt64} AND (Duration <= {@2:UInt64} OR Duration = {@3:UInt64})",
                [
                    Param::U64(self.min_duration_us.filter(|min| *min > 1).unwrap_or(0).saturating_mul(1000)),
                    Param::U64(self.max_duration_us.unwrap_or(u64::MAX).saturating_mul(1000).saturating_add(999)),
                    Param::U64(u64::MAX),
                ],
            ),
        }
    }
}

impl Want<'_> {
    // Whether few enough spans can be expected, and an index or a narrow column finds them.
    fn is_indexed(self) -> bool {
        matches!(self, Want::Tag(key, _) if !is_derived(key) && key != "error")
    }
}

/// Tags that the translation of OpenTelemetry spans makes of other columns.
fn is_derived(key: &str) -> bool {
    key.starts_with("otel.")
}

// Those of the resource are no tags.
fn own_column(key: &str, value: &str) -> bool {
    !key.starts_with("service.") && on_column(key, value).is_some()
}

fn bits(mark: u32) -> Param {
    Param::U64(u64::from(mark))
}

fn text(value: &str) -> Param {
    Param::Text(value.to_owned())
}
