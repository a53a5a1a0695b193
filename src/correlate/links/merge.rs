//! Cleans the spans of a trace: halves of one span that were sent apart become one, and a server that
//! joined its client's span is told so where its library forgot.

use std::cmp::Ordering;

use super::{Endpoint, Kind, LinkSpan, Name, Names};

/// The spans of a trace, each once: by id, clients before servers.
pub(super) fn merge(mut spans: Vec<LinkSpan>, names: &Names) -> Vec<LinkSpan> {
    spans.sort_by(|a, b| order(a, b, names));
    let mut merged: Vec<LinkSpan> = Vec::with_capacity(spans.len());
    let mut rest = spans.into_iter().peekable();
    while let Some(mut span) = rest.next() {
        while let Some(next) = rest.next_if(|next| is_part(&span, next)) {
            span.absorb(&next);
        }
        if let Some(before) = merged.last().filter(|before| before.id == span.id) {
            span.shared |= before.kind == Some(Kind::Client) && span.kind == Some(Kind::Server);
            if span.shared && span.parent == 0 {
                span.parent = before.parent;
            }
        }
        merged.push(span);
    }
    merged
}

fn order(a: &LinkSpan, b: &LinkSpan, names: &Names) -> Ordering {
    let is_client = |span: &LinkSpan| !span.shared && span.kind == Some(Kind::Client);
    a.id.cmp(&b.id)
        .then_with(|| a.shared.cmp(&b.shared))
        .then_with(|| is_client(b).cmp(&is_client(a)))
        .then_with(|| order_endpoints(&a.local, &b.local, names))
}

fn order_endpoints(a: &Endpoint, b: &Endpoint, names: &Names) -> Ordering {
    b.is_absent()
        .cmp(&a.is_absent())
        .then_with(|| names.compare(a.service, b.service))
        .then_with(|| names.compare(a.ipv4, b.ipv4))
        .then_with(|| names.compare(a.ipv6, b.ipv6))
}

// Whether both were recorded by the same side, as far as their endpoints say.
fn is_part(span: &LinkSpan, next: &LinkSpan) -> bool {
    let same = |a: Name, b: Name| a.is_none() || b.is_none() || a == b;
    let (a, b) = (&span.local, &next.local);
    span.id == next.id
        && span.shared == next.shared
        && same(a.service, b.service)
        && same(a.ipv4, b.ipv4)
        && same(a.ipv6, b.ipv6)
        && (a.port == 0 || b.port == 0 || a.port == b.port)
}

impl LinkSpan {
    // What is missing comes from the other part.
    fn absorb(&mut self, other: &LinkSpan) {
        if self.parent == 0 {
            self.parent = other.parent;
        }
        if self.timestamp_us == 0 {
            self.timestamp_us = other.timestamp_us;
        }
        if self.local.port == 0 {
            self.local.port = other.local.port;
        }
        self.kind = self.kind.or(other.kind);
        self.error |= other.error;
        for (mine, others) in [
            (&mut self.local.service, other.local.service),
            (&mut self.local.ipv4, other.local.ipv4),
            (&mut self.local.ipv6, other.local.ipv6),
            (&mut self.remote, other.remote),
        ] {
            if mine.is_none() {
                *mine = others;
            }
        }
    }
}

impl Endpoint {
    fn is_absent(&self) -> bool {
        *self == Endpoint::default()
    }
}
