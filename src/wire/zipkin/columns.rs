//! Zipkin spans into columns. What OpenTelemetry's model has no place for goes into marks and the
//! endpoint columns, so that [`super::encode`] can give back every span as it came.

use std::collections::HashMap;

use model::kind::{INTERNAL, STATUS_ERROR, STATUS_OK};
use model::{Account, Batch, Decoded, Envelope, Limits, Reason, Signal, mark};

use super::span::{Endpoint, Kind, ZipkinSpan, ipv6_text};

/// Key of the event attribute that keeps an annotation's time when nanoseconds cannot hold it.
pub(super) const TIME_KEY: &str = "zipkin.timestamp";

/// A batch being filled with Zipkin spans.
pub(super) struct Columns {
    batch: Batch,
    account: Account,
    limits: Limits,
    // Resource number by local service name.
    services: HashMap<String, u32>,
    // What came since the memory was counted last, in rows and pairs, and whether it was too much.
    uncounted: usize,
    is_over: bool,
}

/// Rows, tags and annotations between two counts of the memory held.
const COUNT_EVERY: usize = 64;
/// What a service name takes beside its bytes, which the resources hold too.
const SERVICE_BYTES: usize = 64;

impl Columns {
    pub(super) fn new(envelope: Envelope, limits: &Limits) -> Columns {
        let mut batch = Batch::new(envelope);
        batch.scopes.push_plain(b"", b"");
        let (account, services) = (Account::default(), HashMap::new());
        Columns { batch, account, limits: *limits, services, uncounted: 0, is_over: false }
    }

    /// `None` when the memory did not suffice.
    pub(super) fn finish(mut self) -> Option<Decoded> {
        if self.batch.spans.is_empty() {
            self.batch = Batch::new(self.batch.envelope);
        }
        (!self.is_over).then_some(Decoded { batch: self.batch, account: self.account })
    }

    // Whether there is still memory; once there is none, the rest of the request is only read.
    fn has_room(&mut self, span: &ZipkinSpan<'_>) -> bool {
        self.uncounted += 1 + span.tags.len() + span.annotations.len();
        if self.uncounted >= COUNT_EVERY && !self.is_over {
            self.uncounted = 0;
            let services = self.services.len() * SERVICE_BYTES + self.batch.resources.heap_bytes();
            self.is_over = self.batch.heap_bytes() + services > self.limits.memory_bytes_max;
        }
        !self.is_over
    }

    pub(super) fn push(&mut self, span: ZipkinSpan<'_>) {
        if !self.has_room(&span) {
            return;
        }
        let mut marks = mark::ZIPKIN | flags(&span);
        let name = self.cut(&span.name, self.limits.name_bytes_max, &mut marks);
        let resource = self.resource(span.local.as_ref(), &mut marks);
        self.times(&span, &mut marks);
        self.tags(&span, &mut marks);
        self.events(&span, &mut marks);
        self.endpoints(&span, &mut marks);
        self.promoted(&span, &mut marks);
        let spans = &mut self.batch.spans;
        spans.resource.push(resource);
        spans.scope.push(0);
        spans.trace_id.push(span.trace_id.0);
        spans.span_id.push(span.id.0);
        spans.parent_span_id.push(span.parent_id.unwrap_or_default().0);
        spans.trace_state.push(b"");
        spans.name.push(name.as_bytes());
        spans.kind.push(kind(&span));
        spans.flags.push(0);
        spans.links.ends.push(spans.links.trace_id.len() as u32);
        spans.dropped_links.push(0);
        spans.weight.push(1.0);
        spans.marks.push(marks);
    }

    fn resource(&mut self, local: Option<&Endpoint<'_>>, marks: &mut u32) -> u32 {
        let name = local.map_or("", |endpoint| &*endpoint.service_name);
        let name = self.cut(name, self.limits.name_bytes_max, marks);
        if let Some(at) = self.services.get(name) {
            return *at;
        }
        let at = self.batch.resources.push_service(name.as_bytes());
        self.services.insert(name.to_owned(), at);
        at
    }

    fn times(&mut self, span: &ZipkinSpan<'_>, marks: &mut u32) {
        let received_ns = self.batch.envelope.received_ns;
        let in_ns = span.timestamp_us.checked_mul(1000);
        let latest_ns = received_ns.saturating_add(self.limits.time_ahead_max_ns);
        let plausible_ns = in_ns
            .and_then(|time_ns| i64::try_from(time_ns).ok())
            .filter(|time_ns| (self.limits.time_min_ns..=latest_ns).contains(time_ns));
        let (start, original) = match plausible_ns {
            Some(time_ns) => (time_ns, 0),
            None if span.timestamp_us == 0 => {
                *marks |= mark::NO_TIME;
                (received_ns, 0)
            }
            None => {
                *marks |= mark::QUARANTINED;
                self.account.count(Signal::Traces, Reason::TimeQuarantined, || {
                    format!("span {} starts at {} us since the epoch", span.id, span.timestamp_us)
                });
                // Beyond 64 bits of nanoseconds the original stays in microseconds.
                *marks |= if in_ns.is_none() { mark::CLAMPED } else { 0 };
                (received_ns, in_ns.unwrap_or(span.timestamp_us))
            }
        };
        let (duration, original_end) = match span.duration_us.checked_mul(1000) {
            Some(duration_ns) if *marks & mark::QUARANTINED != 0 => {
                (duration_ns, in_ns.unwrap_or(u64::MAX).saturating_add(duration_ns))
            }
            Some(duration_ns) => (duration_ns, 0),
            // No whole number of microseconds: says that the duration itself stands beside it.
            None => (u64::MAX, span.duration_us),
        };
        if span.duration_us == 0 {
            *marks |= mark::NO_DURATION;
        }
        let spans = &mut self.batch.spans;
        spans.start.push(start);
        spans.original_start.push(original);
        spans.duration.push(duration);
        spans.original_end.push(original_end);
    }

    fn tags(&mut self, span: &ZipkinSpan<'_>, marks: &mut u32) {
        let kept = span.tags.len().min(self.limits.attributes_max as usize);
        for (key, value) in &span.tags[..kept] {
            let key = self.cut(key, self.limits.name_bytes_max, marks);
            let value = self.cut(value, self.limits.attribute_value_bytes_max, marks);
            self.batch.spans.attributes.push(key.as_bytes(), value.as_bytes());
        }
        let dropped = span.tags.len() - kept;
        self.trimmed(dropped, Reason::AttributesDropped, span, marks);
        let spans = &mut self.batch.spans;
        spans.attributes.end_row();
        spans.attribute_types.push(b"");
        spans.dropped_attributes.push(dropped as u32);
    }

    fn events(&mut self, span: &ZipkinSpan<'_>, marks: &mut u32) {
        let kept = span.annotations.len().min(self.limits.events_max as usize);
        for annotation in &span.annotations[..kept] {
            let name = self.cut(&annotation.value, self.limits.attribute_value_bytes_max, marks);
            let events = &mut self.batch.spans.events;
            events.name.push(name.as_bytes());
            let time_us = annotation.timestamp_us;
            events.time.push(time_us.saturating_mul(1000));
            if time_us.checked_mul(1000).is_none() {
                events.attributes.push(TIME_KEY.as_bytes(), time_us.to_string().as_bytes());
            }
            events.attributes.end_row();
            events.attribute_types.push(b"");
            events.dropped_attributes.push(0);
        }
        let dropped = span.annotations.len() - kept;
        self.trimmed(dropped, Reason::EventsDropped, span, marks);
        let spans = &mut self.batch.spans;
        spans.events.ends.push(spans.events.time.len() as u32);
        spans.dropped_events.push(dropped as u32);
    }

    fn endpoints(&mut self, span: &ZipkinSpan<'_>, marks: &mut u32) {
        for local in [true, false] {
            let endpoint = if local { &span.local } else { &span.remote };
            let service_name = endpoint.as_ref().map_or("", |endpoint| &*endpoint.service_name);
            let service_name = self.cut(service_name, self.limits.name_bytes_max, marks);
            let spans = &mut self.batch.spans;
            let column = if local { &mut spans.local_endpoint } else { &mut spans.remote_endpoint };
            column.push_with(|out| {
                if let Some(endpoint) = endpoint {
                    Endpoint { service_name: service_name.into(), ..*endpoint }.push_json(out);
                }
            });
        }
        self.batch.spans.original_fields.push(b"");
    }

    fn promoted(&mut self, span: &ZipkinSpan<'_>, marks: &mut u32) {
        let (status, message) = status(span);
        let message = self.cut(message, self.limits.attribute_value_bytes_max, marks);
        let name_bytes_max = self.limits.name_bytes_max;
        let first = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| span.tag(key)).unwrap_or("");
            head(found, name_bytes_max).as_bytes()
        };
        let http_status = first(&["http.response.status_code", "http.status_code"]);
        let spans = &mut self.batch.spans;
        spans.status.push(status);
        spans.status_message.push(message.as_bytes());
        spans.http_route.push(first(&["http.route"]));
        spans.http_status.push(std::str::from_utf8(http_status).ok().and_then(|text| text.parse().ok()).unwrap_or(0));
        spans.db_system.push(first(&["db.system.name", "db.system"]));
        spans.messaging_destination.push(first(&["messaging.destination.name", "messaging.destination"]));
        spans.db_namespace.push(first(&["db.namespace", "db.name"]));
        spans.messaging_system.push(first(&["messaging.system"]));
        let peer = peer(span);
        spans.peer.push(head(&peer, name_bytes_max).as_bytes());
    }

    fn trimmed(&mut self, dropped: usize, reason: Reason, span: &ZipkinSpan<'_>, marks: &mut u32) {
        if dropped > 0 {
            *marks |= mark::TRIMMED;
            self.account.count(Signal::Traces, reason, || format!("span {} had {dropped} above the limit", span.id));
        }
    }

    // What of `text` is kept; a cut is marked and counted, once a span.
    fn cut<'t>(&mut self, text: &'t str, bytes_max: u32, marks: &mut u32) -> &'t str {
        let kept = head(text, bytes_max);
        if kept.len() < text.len() && *marks & mark::TRUNCATED == 0 {
            *marks |= mark::TRUNCATED;
            self.account.count(Signal::Traces, Reason::ValueTruncated, || {
                format!("a text of {} bytes was cut to {}", text.len(), kept.len())
            });
        }
        kept
    }
}

fn flags(span: &ZipkinSpan<'_>) -> u32 {
    let said = |flag: Option<bool>, on: u32, off: u32| flag.map_or(0, |flag| if flag { on } else { off });
    said(span.shared, mark::SHARED, mark::SHARED_FALSE)
        | said(span.debug, mark::DEBUG, mark::DEBUG_FALSE)
        | if span.id64 { mark::ID64 } else { 0 }
}

// OpenTelemetry's exporters say "internal" by a tag, as Zipkin has no such kind.
fn kind(span: &ZipkinSpan<'_>) -> u8 {
    match span.kind {
        Some(kind) => kind.otlp(),
        None if span.tag("span.kind").is_some_and(|kind| kind.eq_ignore_ascii_case("internal")) => INTERNAL,
        None => 0,
    }
}

// A tag "error" is an error whatever it says; OpenTelemetry's exporters add the code they had.
fn status<'s>(span: &'s ZipkinSpan<'_>) -> (u8, &'s str) {
    let code = span.tag("otel.status_code").unwrap_or("");
    match span.tag("error") {
        Some(message) => (STATUS_ERROR, message),
        None if code.eq_ignore_ascii_case("ERROR") => (STATUS_ERROR, span.tag("otel.status_description").unwrap_or("")),
        None if code.eq_ignore_ascii_case("OK") => (STATUS_OK, ""),
        None => (0, ""),
    }
}

// A SERVER's other side is its caller, who is known by name or not at all.
fn peer(span: &ZipkinSpan<'_>) -> String {
    let remote = span.remote.as_ref();
    let named = remote.map(|endpoint| &*endpoint.service_name).filter(|name| !name.is_empty());
    // A server's own address is no peer; its caller is named by `peer.service` only.
    let keys = ["peer.service", "server.address", "net.peer.name"];
    let keys = if span.kind == Some(Kind::Server) { &keys[..1] } else { &keys[..] };
    let tagged = || keys.iter().find_map(|key| span.tag(key));
    if let Some(name) = named.or_else(tagged) {
        return name.to_owned();
    }
    match remote {
        Some(endpoint) if span.kind != Some(Kind::Server) => {
            let v6 = || endpoint.ipv6.map(ipv6_text);
            endpoint.ipv4.map(|ip| ip.to_string()).or_else(v6).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn head(text: &str, bytes_max: u32) -> &str {
    let mut end = text.len().min(bytes_max as usize);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
