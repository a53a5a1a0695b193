//! Spans (opentelemetry/proto/trace/v1/trace.proto) into columns. The hottest code of the program:
//! one pass, no allocation per span.

use model::{Batch, Reason, Signal, Spans, mark};

use super::attributes::{Attributes, Found, NO_ROLE};
use super::memo::Memo;
use super::originals::Originals;
use super::shared::{Home, Sink, cut};
use super::time;
use super::weight::weight;
use crate::proto::{self, Cursor, Fault, fields};

const SPAN: u64 = fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const EVENT: u64 = fields(&[1, 2, 3, 4]);
const LINK: u64 = fields(&[1, 2, 3, 4, 5, 6]);
const STATUS: u64 = fields(&[2, 3]);

const SPAN_ROW_BYTES: u64 = 220;
const EVENT_ROW_BYTES: u64 = 30;
const LINK_ROW_BYTES: u64 = 50;

// Groups of promoted keys, as bits in order of preference.
const ROUTE: u16 = 0b1;
const HTTP_STATUS: u16 = 0b110;
const DB_SYSTEM: u16 = 0b1_1000;
const DESTINATION: u16 = 0b110_0000;
const PEER: u16 = 0b1111_1000_0000;
// A server's own address is no peer; its caller is named by `peer.service` only.
const CALLER: u16 = 0b1000_0000;
const DB_NAMESPACE: u16 = 0b11 << 12;
const MESSAGING_SYSTEM: u16 = 1 << 14;

fn span_role(key: &[u8]) -> u8 {
    match key {
        b"http.route" => 0,
        b"http.response.status_code" => 1,
        b"http.status_code" => 2,
        b"db.system.name" => 3,
        b"db.system" => 4,
        b"messaging.destination.name" => 5,
        b"messaging.destination" => 6,
        b"peer.service" => 7,
        b"server.address" => 8,
        b"net.peer.name" => 9,
        b"network.peer.address" => 10,
        b"net.sock.peer.addr" => 11,
        b"db.namespace" => 12,
        b"db.name" => 13,
        b"messaging.system" => 14,
        _ => NO_ROLE,
    }
}

/// Builds the span columns of a request.
pub(super) struct Traces<'a> {
    spans: Spans,
    attributes: Attributes<'a>,
    event_attributes: Attributes<'a>,
    link_attributes: Attributes<'a>,
    names: Memo<'a, 64>,
    event_names: Memo<'a, 16>,
    routes: Memo<'a, 16>,
    db_systems: Memo<'a, 4>,
    destinations: Memo<'a, 4>,
    peers: Memo<'a, 16>,
    db_namespaces: Memo<'a, 4>,
    messaging_systems: Memo<'a, 4>,
    originals: Originals,
}

/// The plain fields of a span while it is read: the last occurrence wins.
#[derive(Default)]
struct Fields<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
    trace_state: &'a [u8],
    name: &'a [u8],
    kind: i32,
    start: u64,
    end: u64,
    flags: u32,
    status: i32,
    status_message: &'a [u8],
    dropped_attributes: u32,
    dropped_events: u32,
    dropped_links: u32,
    marks: u32,
    events: u32,
    links: u32,
    events_over: u32,
    links_over: u32,
    link_ids_malformed: bool,
}

impl<'a> Traces<'a> {
    pub(super) fn new() -> Traces<'a> {
        Traces {
            spans: Spans::default(),
            attributes: Attributes::new(span_role),
            event_attributes: Attributes::new(|_| NO_ROLE),
            link_attributes: Attributes::new(|_| NO_ROLE),
            names: Memo::new(),
            event_names: Memo::new(),
            routes: Memo::new(),
            db_systems: Memo::new(),
            destinations: Memo::new(),
            peers: Memo::new(),
            db_namespaces: Memo::new(),
            messaging_systems: Memo::new(),
            originals: Originals::default(),
        }
    }

    fn read(&mut self, home: &mut Home<'a>, item: &'a [u8]) -> Result<Fields<'a>, Fault> {
        let mut span = Fields::default();
        self.originals.begin();
        let mut cursor = Cursor::new(item);
        while !cursor.is_empty() {
            match cursor.key()? {
                0x0a => span.trace_id = cursor.bytes()?,
                0x12 => span.span_id = cursor.bytes()?,
                0x1a => span.trace_state = cursor.text()?,
                0x22 => span.parent_span_id = cursor.bytes()?,
                0x2a => span.name = cursor.text()?,
                0x30 => span.kind = cursor.varint()? as i32,
                0x39 => span.start = cursor.fixed64()?,
                0x41 => span.end = cursor.fixed64()?,
                0x4a => self.attributes.push(&mut self.spans.attributes, cursor.bytes()?, &mut home.bounds)?,
                0x50 => span.dropped_attributes = cursor.varint()? as u32,
                0x5a => self.event(home, &mut span, cursor.bytes()?)?,
                0x60 => span.dropped_events = cursor.varint()? as u32,
                0x6a => self.link(home, &mut span, cursor.bytes()?)?,
                0x70 => span.dropped_links = cursor.varint()? as u32,
                0x7a => status(&mut span, cursor.bytes()?)?,
                0x85 => span.flags = cursor.fixed32()?,
                key => cursor.skip_unknown(key, SPAN)?,
            }
        }
        Ok(span)
    }

    fn event(&mut self, home: &mut Home<'a>, span: &mut Fields<'a>, event: &'a [u8]) -> Result<(), Fault> {
        let (mut sent, mut dropped) = (0, 0);
        let mut name: &[u8] = b"";
        let rows = &mut self.spans.events;
        let pairs = rows.attributes.pairs();
        self.event_attributes.begin();
        let mut cursor = Cursor::new(event);
        while !cursor.is_empty() {
            match cursor.key()? {
                0x09 => sent = cursor.fixed64()?,
                0x12 => name = cursor.text()?,
                0x1a => self.event_attributes.push(&mut rows.attributes, cursor.bytes()?, &mut home.bounds)?,
                0x20 => dropped = cursor.varint()? as u32,
                key => cursor.skip_unknown(key, EVENT)?,
            }
        }
        if span.events >= home.bounds.limits.events_max {
            rows.attributes.truncate(rows.attributes.len(), pairs);
            span.events_over = span.events_over.saturating_add(1);
            return Ok(());
        }
        span.events += 1;
        home.bounds.charge(EVENT_ROW_BYTES, event)?;
        home.bounds.charge_pairs(rows.attributes.open_pairs(), event)?;
        rows.time.push(time::aside(sent, &mut span.marks));
        self.event_names.push(&mut rows.name, cut(name, &home.bounds, &mut span.marks));
        let attributes = &mut self.event_attributes;
        attributes.end(&mut rows.attributes, &mut rows.attribute_types);
        rows.dropped_attributes.push(dropped.saturating_add(attributes.dropped));
        span.marks |= attributes.row_marks();
        Ok(())
    }

    fn link(&mut self, home: &mut Home<'a>, span: &mut Fields<'a>, link: &'a [u8]) -> Result<(), Fault> {
        let (mut trace_id, mut span_id, mut trace_state): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
        let (mut dropped, mut flags) = (0, 0);
        let rows = &mut self.spans.links;
        let pairs = rows.attributes.pairs();
        self.link_attributes.begin();
        let mut cursor = Cursor::new(link);
        while !cursor.is_empty() {
            match cursor.key()? {
                0x0a => trace_id = cursor.bytes()?,
                0x12 => span_id = cursor.bytes()?,
                0x1a => trace_state = cursor.text()?,
                0x22 => self.link_attributes.push(&mut rows.attributes, cursor.bytes()?, &mut home.bounds)?,
                0x28 => dropped = cursor.varint()? as u32,
                0x35 => flags = cursor.fixed32()?,
                key => cursor.skip_unknown(key, LINK)?,
            }
        }
        if span.links >= home.bounds.limits.links_max {
            rows.attributes.truncate(rows.attributes.len(), pairs);
            span.links_over = span.links_over.saturating_add(1);
            return Ok(());
        }
        span.links += 1;
        home.bounds.charge(LINK_ROW_BYTES, link)?;
        home.bounds.charge_pairs(rows.attributes.open_pairs(), link)?;
        if malformed(trace_id, 16) || malformed(span_id, 8) {
            span.link_ids_malformed = true;
            self.originals.link(span.links - 1, trace_id, span_id);
        }
        rows.trace_id.push(trace_id.try_into().unwrap_or_default());
        rows.span_id.push(span_id.try_into().unwrap_or_default());
        rows.trace_state.push(cut(trace_state, &home.bounds, &mut span.marks));
        let attributes = &mut self.link_attributes;
        attributes.end(&mut rows.attributes, &mut rows.attribute_types);
        rows.dropped_attributes.push(dropped.saturating_add(attributes.dropped));
        rows.flags.push(flags);
        span.marks |= attributes.row_marks();
        Ok(())
    }

    // Everything that is known once the whole span was read.
    fn close(&mut self, home: &mut Home<'a>, mut span: Fields<'a>, ids: Ids, item: &[u8]) -> Result<(), Fault> {
        let (resource, scope) = home.numbers()?;
        span.marks |= home.shared_marks();
        let rows = &mut self.spans;
        home.bounds.charge(SPAN_ROW_BYTES, item)?;
        home.bounds.charge_pairs(rows.attributes.open_pairs(), item)?;
        rows.resource.push(resource);
        rows.scope.push(scope);
        rows.trace_id.push(ids.trace_id);
        rows.span_id.push(ids.span_id);
        rows.parent_span_id.push(ids.parent_span_id);
        rows.weight.push(weight(span.trace_state));
        rows.trace_state.push(cut(span.trace_state, &home.bounds, &mut span.marks));
        self.names.push(&mut rows.name, cut(span.name, &home.bounds, &mut span.marks));
        rows.kind.push(known(span.kind, 5));
        rows.status.push(known(span.status, 2));
        let message = proto::cut(span.status_message, home.bounds.limits.attribute_value_bytes_max);
        span.marks |= if message.len() < span.status_message.len() { mark::TRUNCATED } else { 0 };
        rows.status_message.push(message);
        rows.flags.push(span.flags);
        rows.events.ends.push(rows.events.time.len() as u32);
        rows.links.ends.push(rows.links.flags.len() as u32);
        let attributes = &mut self.attributes;
        attributes.end(&mut rows.attributes, &mut rows.attribute_types);
        span.marks |= attributes.row_marks();
        rows.dropped_attributes.push(span.dropped_attributes.saturating_add(attributes.dropped));
        rows.dropped_events.push(span.dropped_events.saturating_add(span.events_over));
        rows.dropped_links.push(span.dropped_links.saturating_add(span.links_over));
        self.promote(if span.kind == i32::from(model::kind::SERVER) { CALLER } else { PEER });
        self.place(home, &mut span);
        let is_unknown = !(0..=5).contains(&span.kind) | !(0..=2).contains(&span.status);
        if is_unknown || span.link_ids_malformed || malformed(span.parent_span_id, 8) {
            self.keep_originals(home, &mut span, item)?;
        }
        if span.marks != 0 || span.events_over | span.links_over != 0 || span.link_ids_malformed {
            self.account(home, &mut span);
        }
        self.spans.marks.push(span.marks);
        Ok(())
    }

    fn promote(&mut self, peer: u16) {
        let Traces { spans, attributes, .. } = self;
        Found::push(attributes.promoted(ROUTE), &mut spans.http_route, &mut self.routes);
        Found::push(attributes.promoted(DB_SYSTEM), &mut spans.db_system, &mut self.db_systems);
        Found::push(attributes.promoted(DESTINATION), &mut spans.messaging_destination, &mut self.destinations);
        Found::push(attributes.promoted(peer), &mut spans.peer, &mut self.peers);
        Found::push(attributes.promoted(DB_NAMESPACE), &mut spans.db_namespace, &mut self.db_namespaces);
        Found::push(attributes.promoted(MESSAGING_SYSTEM), &mut spans.messaging_system, &mut self.messaging_systems);
        spans.http_status.push(match attributes.promoted(HTTP_STATUS) {
            None => 0,
            Some(Found::Int(code)) => u16::try_from(code).unwrap_or(0),
            Some(Found::Text(text)) => status_code(text),
        });
    }

    // Start, duration and the originals, so that what was sent can be read back
    // ([`Spans::sent_start`], [`Spans::sent_end`]).
    fn place(&mut self, home: &Home<'a>, span: &mut Fields<'a>) {
        let stand = time::place(span.start, 0, &home.bounds);
        span.marks |= stand.marks;
        let duration = if span.start == 0 { Some(0) } else { span.end.checked_sub(span.start) };
        if duration.is_none() {
            span.marks |= mark::END_BEFORE_START;
        }
        let end_follows = span.marks & model::spans::END_IS_ASIDE == 0;
        self.spans.start.push(stand.time);
        self.spans.duration.push(duration.unwrap_or(0));
        self.spans.original_start.push(stand.original);
        self.spans.original_end.push(if end_follows { 0 } else { span.end });
    }

    #[cold]
    fn keep_originals(&mut self, home: &mut Home<'a>, span: &mut Fields<'a>, item: &[u8]) -> Result<(), Fault> {
        let is_known = [span.kind == i32::from(known(span.kind, 5)), span.status == i32::from(known(span.status, 2))];
        if !is_known[0] {
            self.originals.number("kind", span.kind);
        }
        if !is_known[1] {
            self.originals.number("status_code", span.status);
        }
        if is_known != [true; 2] {
            home.count(Reason::UnknownNumber, || format!("kind {}, status code {}", span.kind, span.status));
        }
        if malformed(span.parent_span_id, 8) {
            span.marks |= mark::INVALID_IDS;
            self.originals.id("parent_span_id", span.parent_span_id);
            home.count(Reason::ParentUnlinked, || wrong_id("parent_span_id", span.parent_span_id));
        }
        if span.link_ids_malformed {
            span.marks |= mark::INVALID_IDS;
        }
        let rows = &mut self.spans;
        let (text, marks) = self.originals.finish();
        home.bounds.charge(text.len() as u64, item)?;
        rows.original_fields.fill_empty(rows.marks.len());
        rows.original_fields.push(text);
        span.marks |= marks;
        Ok(())
    }

    #[cold]
    fn account(&mut self, home: &mut Home<'a>, span: &mut Fields<'a>) {
        if span.marks & mark::QUARANTINED != 0 {
            home.count(Reason::TimeQuarantined, || format!("start_time_unix_nano is {}", span.start));
        }
        if span.marks & mark::TRUNCATED != 0 {
            home.count(Reason::ValueTruncated, || "a text was longer than the limit".to_owned());
        }
        if span.marks & mark::TRIMMED != 0 {
            home.count(Reason::AttributesDropped, || "more attributes than the limit".to_owned());
        }
        if span.events_over > 0 {
            home.count(Reason::EventsDropped, || format!("{} events above the limit", span.events_over));
        }
        if span.links_over > 0 {
            home.count(Reason::LinksDropped, || format!("{} links above the limit", span.links_over));
        }
        if span.link_ids_malformed {
            home.count(Reason::LinkUnlinked, || "the ids of a link are of the wrong length".to_owned());
        }
        if span.events_over | span.links_over != 0 {
            span.marks |= mark::TRIMMED;
        }
    }
}

impl<'a> Sink<'a> for Traces<'a> {
    const SIGNAL: Signal = Signal::Traces;

    fn reserve(&mut self, items: usize, bytes: usize) {
        self.spans.reserve(items, bytes);
    }

    fn held(&self) -> usize {
        self.spans.heap_bytes()
    }

    fn item(&mut self, home: &mut Home<'a>, item: &'a [u8]) -> Result<(), Fault> {
        self.attributes.begin();
        let span = self.read(home, item)?;
        match Ids::of(&span) {
            Ok(ids) => self.close(home, span, ids, item),
            Err((reason, field, id)) => {
                self.spans.roll_back();
                home.count(reason, || wrong_id(field, id));
                Ok(())
            }
        }
    }

    fn finish(mut self, batch: &mut Batch) {
        let rows = self.spans.len();
        self.spans.local_endpoint.fill_empty(rows);
        self.spans.remote_endpoint.fill_empty(rows);
        self.spans.original_fields.fill_empty(rows);
        self.spans.assert_whole();
        batch.spans = self.spans;
    }
}

struct Ids {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent_span_id: [u8; 8],
}

impl Ids {
    #[inline]
    fn of<'a>(span: &Fields<'a>) -> Result<Ids, (Reason, &'static str, &'a [u8])> {
        let trace_id = span.trace_id.try_into().unwrap_or_default();
        let span_id = span.span_id.try_into().unwrap_or_default();
        let parent_span_id = span.parent_span_id.try_into().unwrap_or_default();
        if trace_id == [0; 16] {
            return Err((Reason::InvalidTraceId, "trace_id", span.trace_id));
        }
        if span_id == [0; 8] {
            return Err((Reason::InvalidSpanId, "span_id", span.span_id));
        }
        Ok(Ids { trace_id, span_id, parent_span_id })
    }
}

#[cold]
pub(super) fn wrong_id(field: &str, id: &[u8]) -> String {
    if id.is_empty() {
        format!("{field} is missing")
    } else if id.iter().all(|byte| *byte == 0) {
        format!("{field} is zero")
    } else {
        format!("{field} is not an id ({} bytes)", id.len())
    }
}

/// The number of an enumeration that ends at `last`; 0 stands for those it does not have.
#[inline]
fn known(number: i32, last: u8) -> u8 {
    u8::try_from(number).ok().filter(|number| *number <= last).unwrap_or(0)
}

/// Whether an optional id is neither absent nor of its own width.
pub(super) fn malformed(id: &[u8], width: usize) -> bool {
    !id.is_empty() && id.len() != width
}

fn status<'a>(span: &mut Fields<'a>, status: &'a [u8]) -> Result<(), Fault> {
    let mut cursor = Cursor::new(status);
    while !cursor.is_empty() {
        match cursor.key()? {
            0x12 => span.status_message = cursor.text()?,
            0x18 => span.status = cursor.varint()? as i32,
            key => cursor.skip_unknown(key, STATUS)?,
        }
    }
    Ok(())
}

fn status_code(text: &[u8]) -> u16 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
