//! Spans as columns, and the table `otel_traces`: the OpenTelemetry ClickHouse exporter's names and
//! types first, then ours, which keep what the exporter loses.

use crate::column::ColumnRef::*;
use crate::column::MapColumn;
use crate::kind::{SPAN_KINDS, STATUS_CODES};
use crate::mark;
use crate::table::columns;
use crate::text::{DictColumn, StrColumn, held};

/// Spans, one row each. Every plain column has one entry per finished row.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// Number of the row's resource.
    pub resource: Vec<u32>,
    /// Number of the row's scope.
    pub scope: Vec<u32>,
    /// Trace id.
    pub trace_id: Vec<[u8; 16]>,
    /// Span id.
    pub span_id: Vec<[u8; 8]>,
    /// Parent's span id; zero for a root.
    pub parent_span_id: Vec<[u8; 8]>,
    /// W3C trace state.
    pub trace_state: StrColumn,
    /// Name.
    pub name: DictColumn,
    /// Kind by OTLP number, 0 to 5.
    pub kind: Vec<u8>,
    /// Start, nanoseconds since the epoch; the receive time when there is none or it is nonsense.
    pub start: Vec<i64>,
    /// Duration in nanoseconds, never negative.
    pub duration: Vec<u64>,
    /// Status code by OTLP number, 0 to 2.
    pub status: Vec<u8>,
    /// Status message.
    pub status_message: StrColumn,
    /// OTLP span flags, all 32 bits.
    pub flags: Vec<u32>,
    /// Attributes.
    pub attributes: MapColumn,
    /// Types of the attributes ([`crate::value`]).
    pub attribute_types: DictColumn,
    /// Attributes that the sender or the limits dropped.
    pub dropped_attributes: Vec<u32>,
    /// Events that the sender or the limits dropped.
    pub dropped_events: Vec<u32>,
    /// Links that the sender or the limits dropped.
    pub dropped_links: Vec<u32>,
    /// Events of all rows.
    pub events: Events,
    /// Links of all rows.
    pub links: Links,
    /// How many spans this one stands for (sampling).
    pub weight: Vec<f64>,
    /// Bits of [`crate::mark`].
    pub marks: Vec<u32>,
    /// The start as sent, where `start` is not it; else 0.
    pub original_start: Vec<u64>,
    /// The end as sent, where start + duration is not it ([`END_IS_ASIDE`]); else 0.
    pub original_end: Vec<u64>,
    /// `http.route`, or empty.
    pub http_route: DictColumn,
    /// `http.response.status_code` (or the older `http.status_code`), or 0.
    pub http_status: Vec<u16>,
    /// `db.system.name` (or the older `db.system`), or empty.
    pub db_system: DictColumn,
    /// `db.namespace` (or the older `db.name`), or empty.
    pub db_namespace: DictColumn,
    /// The peer by its best name: `peer.service`, else the server's address (not on a server, whose own
    /// it is), or empty.
    pub peer: DictColumn,
    /// `messaging.destination.name`, or empty.
    pub messaging_destination: DictColumn,
    /// `messaging.system`, or empty.
    pub messaging_system: DictColumn,
    /// Zipkin's local endpoint as sent (JSON), or empty.
    pub local_endpoint: StrColumn,
    /// Zipkin's remote endpoint as sent (JSON), or empty.
    pub remote_endpoint: StrColumn,
    /// Fields as sent that no column can hold, as a JSON object (`kind`, `status_code`,
    /// `parent_span_id`, `links`), or empty.
    pub original_fields: StrColumn,
}

/// Events of many spans.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// For each span the number of events up to and including it.
    pub ends: Vec<u32>,
    /// Time, nanoseconds since the epoch.
    pub time: Vec<i64>,
    /// Name.
    pub name: DictColumn,
    /// Attributes.
    pub attributes: MapColumn,
    /// Types of the attributes.
    pub attribute_types: DictColumn,
    /// Dropped attributes.
    pub dropped_attributes: Vec<u32>,
}

/// Links of many spans.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// For each span the number of links up to and including it.
    pub ends: Vec<u32>,
    /// Trace id; zero when the sender's was malformed.
    pub trace_id: Vec<[u8; 16]>,
    /// Span id; zero when the sender's was malformed.
    pub span_id: Vec<[u8; 8]>,
    /// W3C trace state.
    pub trace_state: StrColumn,
    /// Attributes.
    pub attributes: MapColumn,
    /// Types of the attributes.
    pub attribute_types: DictColumn,
    /// Dropped attributes.
    pub dropped_attributes: Vec<u32>,
    /// OTLP flags.
    pub flags: Vec<u32>,
}

columns! {
    /// `otel_traces`: one row per span.
    static TRACES = "otel_traces" for Spans, |s, c| {
        "Timestamp", "DateTime64(9)", "T64('bit'), ZSTD(1)", "start of the span; the receive time when it was absent or nonsense (Marks)" => I64(&s.start);
        "TraceId", "String", "ZSTD(1)", "trace id, 32 hex digits; 64-bit ids are padded (Marks)" => TraceIds(&s.trace_id);
        "SpanId", "String", "ZSTD(1)", "span id, 16 hex digits" => SpanIds(&s.span_id);
        "ParentSpanId", "String", "ZSTD(1)", "parent's span id, or empty" => SpanIds(&s.parent_span_id);
        "TraceState", "String", "ZSTD(1)", "W3C trace state" => Str(&s.trace_state);
        "SpanName", "LowCardinality(String)", "ZSTD(1)", "span name" => Dict(&s.name);
        "SpanKind", "LowCardinality(String)", "ZSTD(1)", "Unspecified, Internal, Server, Client, Producer or Consumer" => Names(&s.kind, &SPAN_KINDS);
        "ServiceName", "LowCardinality(String)", "ZSTD(1)", "resource attribute service.name" => DictVia(&s.resource, &c.resources.service_name);
        "ResourceAttributes", "Map(LowCardinality(String), LowCardinality(String))", "ZSTD(1)", "resource attributes as text" => MapVia(&s.resource, &c.resources.attributes);
        "ScopeName", "LowCardinality(String)", "ZSTD(1)", "instrumentation scope" => DictVia(&s.scope, &c.scopes.name);
        "ScopeVersion", "LowCardinality(String)", "ZSTD(1)", "instrumentation scope version" => DictVia(&s.scope, &c.scopes.version);
        "SpanAttributes", "Map(LowCardinality(String), String)", "ZSTD(3)", "span attributes as text" => Map(&s.attributes);
        "Duration", "UInt64", "T64('bit'), ZSTD(1)", "duration in nanoseconds" => U64(&s.duration);
        "StatusCode", "LowCardinality(String)", "ZSTD(1)", "Unset, Ok or Error" => Names(&s.status, &STATUS_CODES);
        "StatusMessage", "String", "ZSTD(1)", "status description" => Str(&s.status_message);
        "Events.Timestamp", "Array(DateTime64(9))", "T64('bit'), ZSTD(1)", "event times" => List(&s.events.ends, Box::new(I64(&s.events.time)));
        "Events.Name", "Array(LowCardinality(String))", "ZSTD(1)", "event names" => List(&s.events.ends, Box::new(Dict(&s.events.name)));
        "Events.Attributes", "Array(Map(LowCardinality(String), String))", "ZSTD(1)", "event attributes as text" => List(&s.events.ends, Box::new(Map(&s.events.attributes)));
        "Events.AttributeTypes", "Array(LowCardinality(String))", "ZSTD(1)", "types of the event attributes" => List(&s.events.ends, Box::new(Dict(&s.events.attribute_types)));
        "Events.DroppedAttributesCount", "Array(UInt32)", "ZSTD(1)", "dropped event attributes" => List(&s.events.ends, Box::new(U32(&s.events.dropped_attributes)));
        "Links.TraceId", "Array(String)", "ZSTD(1)", "linked trace ids" => List(&s.links.ends, Box::new(TraceIds(&s.links.trace_id)));
        "Links.SpanId", "Array(String)", "ZSTD(1)", "linked span ids" => List(&s.links.ends, Box::new(SpanIds(&s.links.span_id)));
        "Links.TraceState", "Array(String)", "ZSTD(1)", "linked trace states" => List(&s.links.ends, Box::new(Str(&s.links.trace_state)));
        "Links.Attributes", "Array(Map(LowCardinality(String), String))", "ZSTD(1)", "link attributes as text" => List(&s.links.ends, Box::new(Map(&s.links.attributes)));
        "Links.AttributeTypes", "Array(LowCardinality(String))", "ZSTD(1)", "types of the link attributes" => List(&s.links.ends, Box::new(Dict(&s.links.attribute_types)));
        "Links.DroppedAttributesCount", "Array(UInt32)", "ZSTD(1)", "dropped link attributes" => List(&s.links.ends, Box::new(U32(&s.links.dropped_attributes)));
        "Links.Flags", "Array(UInt32)", "ZSTD(1)", "link flags" => List(&s.links.ends, Box::new(U32(&s.links.flags)));
        "Tenant", "LowCardinality(String)", "ZSTD(1)", "tenant, or empty" => SameText(&c.envelope.tenant);
        "RetentionClass", "LowCardinality(String)", "ZSTD(1)", "retention class; empty is the default" => SameText("");
        "ReceivedAt", "DateTime64(9)", "ZSTD(1)", "when the request arrived" => SameI64(c.envelope.received_ns);
        "BatchId", "UInt128", "ZSTD(1)", "the insert that brought the row" => BatchId;
        "RowVersion", "UInt8", "ZSTD(1)", "version of the row's encoding; 2: the columns of promoted attributes also hold all that searches ask them for; 0: another program's row" => SpanVersions(s, c.resources);
        "Flags", "UInt32", "ZSTD(1)", "OTLP span flags" => U32(&s.flags);
        "Marks", "UInt32", "ZSTD(1)", "what is special about the row (model::mark)" => U32(&s.marks);
        "Weight", "Float64", "ZSTD(1)", "how many spans this one stands for (sampling)" => F64(&s.weight);
        "OriginalTimestamp", "UInt64", "ZSTD(1)", "the start as sent where Timestamp is not it" => U64(&s.original_start);
        "OriginalEndTimestamp", "UInt64", "ZSTD(1)", "the end as sent where start + duration is not it" => U64(&s.original_end);
        "SpanAttributeTypes", "LowCardinality(String)", "ZSTD(1)", "types of the span attributes (model::value)" => Dict(&s.attribute_types);
        "ResourceAttributeTypes", "LowCardinality(String)", "ZSTD(1)", "types of the resource attributes" => DictVia(&s.resource, &c.resources.attribute_types);
        "ResourceKeys", "LowCardinality(String)", "ZSTD(1)", "keys of the resource attributes, each between commas, by which searches pass over resources" => KeysVia(&s.resource, &c.resources.attributes);
        "ResourceSchemaUrl", "LowCardinality(String)", "ZSTD(1)", "schema URL of the resource" => DictVia(&s.resource, &c.resources.schema_url);
        "ResourceDroppedAttributesCount", "UInt32", "ZSTD(1)", "dropped resource attributes" => U32Via(&s.resource, &c.resources.dropped_attributes);
        "EntityRefs", "String", "ZSTD(1)", "entity references of the resource as JSON" => StrVia(&s.resource, &c.resources.entity_refs);
        "ScopeAttributes", "Map(LowCardinality(String), LowCardinality(String))", "ZSTD(1)", "scope attributes as text" => MapVia(&s.scope, &c.scopes.attributes);
        "ScopeAttributeTypes", "LowCardinality(String)", "ZSTD(1)", "types of the scope attributes" => DictVia(&s.scope, &c.scopes.attribute_types);
        "ScopeDroppedAttributesCount", "UInt32", "ZSTD(1)", "dropped scope attributes" => U32Via(&s.scope, &c.scopes.dropped_attributes);
        "ScopeSchemaUrl", "LowCardinality(String)", "ZSTD(1)", "schema URL of the scope" => DictVia(&s.scope, &c.scopes.schema_url);
        "DroppedAttributesCount", "UInt32", "ZSTD(1)", "dropped span attributes" => U32(&s.dropped_attributes);
        "DroppedEventsCount", "UInt32", "ZSTD(1)", "dropped events" => U32(&s.dropped_events);
        "DroppedLinksCount", "UInt32", "ZSTD(1)", "dropped links" => U32(&s.dropped_links);
        "HttpRoute", "LowCardinality(String)", "ZSTD(1)", "http.route" => Dict(&s.http_route);
        "HttpStatusCode", "UInt16", "ZSTD(1)", "http.response.status_code, or 0" => U16(&s.http_status);
        "DbSystem", "LowCardinality(String)", "ZSTD(1)", "db.system.name" => Dict(&s.db_system);
        "Peer", "LowCardinality(String)", "ZSTD(1)", "best name of the other side" => Dict(&s.peer);
        "MessagingDestination", "LowCardinality(String)", "ZSTD(1)", "messaging.destination.name" => Dict(&s.messaging_destination);
        "DbNamespace", "LowCardinality(String)", "ZSTD(1)", "db.namespace or db.name" => Dict(&s.db_namespace);
        "MessagingSystem", "LowCardinality(String)", "ZSTD(1)", "messaging.system" => Dict(&s.messaging_system);
        "ServiceVersion", "LowCardinality(String)", "ZSTD(1)", "service.version" => DictVia(&s.resource, &c.resources.service_version);
        "ServiceInstance", "LowCardinality(String)", "ZSTD(1)", "service.instance.id, or the pod, host or container that stands for it" => DictVia(&s.resource, &c.resources.service_instance);
        "LocalEndpoint", "String", "ZSTD(1)", "Zipkin's local endpoint as sent" => Str(&s.local_endpoint);
        "RemoteEndpoint", "String", "ZSTD(1)", "Zipkin's remote endpoint as sent" => Str(&s.remote_endpoint);
        "OriginalFields", "String", "ZSTD(1)", "fields as sent that no other column can hold, as JSON, ids as hex: unknown kind and status_code, malformed parent_span_id and links" => Str(&s.original_fields);
    }
}

/// Marks under which the end that was sent stands in `original_end`.
pub const END_IS_ASIDE: u32 = mark::QUARANTINED | mark::NO_TIME | mark::END_BEFORE_START;

/// The start that the sender gave, from the columns `Timestamp`, `OriginalTimestamp` and `Marks`;
/// 0 when it gave none.
pub fn sent_start(start: i64, original_start: u64, marks: u32) -> u64 {
    match marks {
        marks if marks & mark::QUARANTINED != 0 => original_start,
        marks if marks & mark::NO_TIME != 0 => 0,
        _ => start as u64,
    }
}

/// The end that the sender gave, from the columns `Timestamp`, `Duration`, `OriginalEndTimestamp`
/// and `Marks`; 0 when it gave none.
pub fn sent_end(start: i64, duration: u64, original_end: u64, marks: u32) -> u64 {
    if marks & END_IS_ASIDE != 0 { original_end } else { (start as u64).wrapping_add(duration) }
}

impl Spans {
    /// The start that the sender gave; 0 when it gave none.
    pub fn sent_start(&self, row: usize) -> u64 {
        sent_start(self.start[row], self.original_start[row], self.marks[row])
    }

    /// The end that the sender gave; 0 when it gave none.
    pub fn sent_end(&self, row: usize) -> u64 {
        sent_end(self.start[row], self.duration[row], self.original_end[row], self.marks[row])
    }

    /// Makes room for `rows` more spans that came in `bytes` bytes. Attributes take about 40 bytes of
    /// those each; a wrong guess costs a copy or some spare memory.
    pub fn reserve(&mut self, rows: usize, bytes: usize) {
        self.resource.reserve(rows);
        self.scope.reserve(rows);
        self.trace_id.reserve(rows);
        self.span_id.reserve(rows);
        self.parent_span_id.reserve(rows);
        self.trace_state.reserve(rows, 0);
        self.name.reserve(rows);
        self.kind.reserve(rows);
        self.start.reserve(rows);
        self.duration.reserve(rows);
        self.status.reserve(rows);
        self.status_message.reserve(rows, 0);
        self.flags.reserve(rows);
        self.attributes.reserve(rows, bytes / 40, bytes / 2);
        self.attribute_types.reserve(rows);
        self.dropped_attributes.reserve(rows);
        self.dropped_events.reserve(rows);
        self.dropped_links.reserve(rows);
        self.events.ends.reserve(rows);
        self.links.ends.reserve(rows);
        self.weight.reserve(rows);
        self.marks.reserve(rows);
        self.original_start.reserve(rows);
        self.original_end.reserve(rows);
        self.http_route.reserve(rows);
        self.http_status.reserve(rows);
        self.db_system.reserve(rows);
        self.db_namespace.reserve(rows);
        self.peer.reserve(rows);
        self.messaging_destination.reserve(rows);
        self.messaging_system.reserve(rows);
        self.local_endpoint.reserve(rows, 0);
        self.remote_endpoint.reserve(rows, 0);
        self.original_fields.reserve(rows, 0);
    }

    /// Number of finished spans.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Forgets the span being built: everything appended since the last finished one.
    pub fn roll_back(&mut self) {
        let rows = self.len();
        let events = self.events.ends.get(rows.wrapping_sub(1)).map_or(0, |end| *end as usize);
        let links = self.links.ends.get(rows.wrapping_sub(1)).map_or(0, |end| *end as usize);
        let pairs = last_end(&self.attributes.ends);
        self.attributes.truncate(rows, pairs);
        self.events.truncate(events);
        self.links.truncate(links);
    }

    /// Panics unless all columns have the same number of rows: the seam between decoding and storing.
    pub fn assert_whole(&self) {
        let rows = self.len();
        let whole = [
            self.resource.len(),
            self.scope.len(),
            self.trace_id.len(),
            self.span_id.len(),
            self.parent_span_id.len(),
            self.trace_state.len(),
            self.name.len(),
            self.kind.len(),
            self.start.len(),
            self.duration.len(),
            self.status.len(),
            self.status_message.len(),
            self.flags.len(),
            self.attributes.len(),
            self.attribute_types.len(),
            self.dropped_attributes.len(),
            self.dropped_events.len(),
            self.dropped_links.len(),
            self.events.ends.len(),
            self.links.ends.len(),
            self.weight.len(),
            self.original_start.len(),
            self.original_end.len(),
            self.http_route.len(),
            self.http_status.len(),
            self.db_system.len(),
            self.db_namespace.len(),
            self.peer.len(),
            self.messaging_destination.len(),
            self.messaging_system.len(),
            self.local_endpoint.len(),
            self.remote_endpoint.len(),
            self.original_fields.len(),
        ];
        assert!(whole.iter().all(|length| *length == rows), "span columns differ in length: {rows} against {whole:?}");
        assert_eq!(self.events.time.len(), self.events.attributes.len(), "every event has its attributes");
        assert_eq!(self.links.trace_id.len(), self.links.attributes.len(), "every link has its attributes");
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Spans {
            resource,
            scope,
            trace_id,
            span_id,
            parent_span_id,
            trace_state,
            name,
            kind,
            start,
            duration,
            status,
            status_message,
            flags,
            attributes,
            attribute_types,
            dropped_attributes,
            dropped_events,
            dropped_links,
            events,
            links,
            weight,
            marks,
            original_start,
            original_end,
            http_route,
            http_status,
            db_system,
            db_namespace,
            peer,
            messaging_destination,
            messaging_system,
            local_endpoint,
            remote_endpoint,
            original_fields,
        } = self;
        held(resource)
            + held(scope)
            + held(trace_id)
            + held(span_id)
            + held(parent_span_id)
            + trace_state.heap_bytes()
            + name.heap_bytes()
            + held(kind)
            + held(start)
            + held(duration)
            + held(status)
            + status_message.heap_bytes()
            + held(flags)
            + attributes.heap_bytes()
            + attribute_types.heap_bytes()
            + held(dropped_attributes)
            + held(dropped_events)
            + held(dropped_links)
            + events.heap_bytes()
            + links.heap_bytes()
            + held(weight)
            + held(marks)
            + held(original_start)
            + held(original_end)
            + http_route.heap_bytes()
            + held(http_status)
            + db_system.heap_bytes()
            + db_namespace.heap_bytes()
            + peer.heap_bytes()
            + messaging_destination.heap_bytes()
            + messaging_system.heap_bytes()
            + local_endpoint.heap_bytes()
            + remote_endpoint.heap_bytes()
            + original_fields.heap_bytes()
    }
}

impl Events {
    /// Forgets events from `events` on; spans keep their ends.
    pub fn truncate(&mut self, events: usize) {
        self.time.truncate(events);
        self.name.truncate(events);
        self.attribute_types.truncate(events);
        self.dropped_attributes.truncate(events);
        let pairs = last_end(&self.attributes.ends[..events.min(self.attributes.ends.len())]);
        self.attributes.truncate(events, pairs);
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Events { ends, time, name, attributes, attribute_types, dropped_attributes } = self;
        held(ends)
            + held(time)
            + name.heap_bytes()
            + attributes.heap_bytes()
            + attribute_types.heap_bytes()
            + held(dropped_attributes)
    }
}

impl Links {
    /// Forgets links from `links` on; spans keep their ends.
    pub fn truncate(&mut self, links: usize) {
        self.trace_id.truncate(links);
        self.span_id.truncate(links);
        self.trace_state.truncate(links);
        self.attribute_types.truncate(links);
        self.dropped_attributes.truncate(links);
        self.flags.truncate(links);
        let pairs = last_end(&self.attributes.ends[..links.min(self.attributes.ends.len())]);
        self.attributes.truncate(links, pairs);
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Links { ends, trace_id, span_id, trace_state, attributes, attribute_types, dropped_attributes, flags } =
            self;
        held(ends)
            + held(trace_id)
            + held(span_id)
            + trace_state.heap_bytes()
            + attributes.heap_bytes()
            + attribute_types.heap_bytes()
            + held(dropped_attributes)
            + held(flags)
    }
}

fn last_end(ends: &[u32]) -> usize {
    ends.last().map_or(0, |end| *end as usize)
}
