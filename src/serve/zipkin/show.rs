//! `view`'s Zipkin spans in the words of `wire`, which writes them.

use std::borrow::Cow;

use view::zipkin::{Annotation, Endpoint, Span};
use wire::zipkin::span;

/// A span, borrowed.
pub(super) fn shown(it: &Span) -> span::ZipkinSpan<'_> {
    span::ZipkinSpan {
        trace_id: it.trace_id,
        id64: it.id64,
        parent_id: it.parent_id,
        id: it.id,
        kind: span::Kind::from_otlp(it.kind),
        name: text(&it.name),
        timestamp_us: it.timestamp_us,
        duration_us: it.duration_us,
        local: it.local.as_ref().map(endpoint),
        remote: it.remote.as_ref().map(endpoint),
        annotations: it.annotations.iter().map(annotation).collect(),
        tags: it.tags.iter().map(|(key, value)| (text(key), text(value))).collect(),
        debug: it.debug,
        shared: it.shared,
    }
}

fn endpoint(it: &Endpoint) -> span::Endpoint<'_> {
    let Endpoint { service, ipv4, ipv6, port } = it;
    span::Endpoint { service_name: text(service), ipv4: ipv4.parse().ok(), ipv6: ipv6.parse().ok(), port: *port }
}

fn annotation(it: &Annotation) -> span::Annotation<'_> {
    span::Annotation { timestamp_us: it.timestamp_us, value: text(&it.value) }
}

fn text(it: &str) -> Cow<'_, str> {
    Cow::Borrowed(it)
}
