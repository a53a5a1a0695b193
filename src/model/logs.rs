//! Log records as columns, and the table `otel_logs`: the OpenTelemetry ClickHouse exporter's names
//! and types first, then ours.

use crate::column::ColumnRef::*;
use crate::column::MapColumn;
use crate::mark;
use crate::table::{ROW_VERSION, columns};
use crate::text::{DictColumn, StrColumn, held};

/// Log records, one row each.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// Number of the row's resource.
    pub resource: Vec<u32>,
    /// Number of the row's scope.
    pub scope: Vec<u32>,
    /// Event time in nanoseconds: the record's time, else its observed time, else the receive time.
    pub time: Vec<i64>,
    /// Observed time as sent, nanoseconds; 0 when absent.
    pub observed: Vec<u64>,
    /// Trace id, own or found; zero when there is none.
    pub trace_id: Vec<[u8; 16]>,
    /// Span id, own or found; zero when there is none.
    pub span_id: Vec<[u8; 8]>,
    /// OTLP flags, all 32 bits.
    pub flags: Vec<u32>,
    /// Severity text as sent.
    pub severity_text: DictColumn,
    /// Severity number, 0 to 24; numbers that nobody knows as they are up to 255, else 0 or 255.
    pub severity_number: Vec<u8>,
    /// Body as text.
    pub body: StrColumn,
    /// Type of the body ([`crate::value`]); empty for text.
    pub body_type: DictColumn,
    /// Event name.
    pub event_name: DictColumn,
    /// Attributes.
    pub attributes: MapColumn,
    /// Types of the attributes.
    pub attribute_types: DictColumn,
    /// Attributes that the sender or the limits dropped.
    pub dropped_attributes: Vec<u32>,
    /// Bits of [`crate::mark`].
    pub marks: Vec<u32>,
    /// The event time as sent, where `time` is not it; else 0.
    pub original_time: Vec<u64>,
    /// How the log came to its trace id, by number of [`JOINS`].
    pub join: Vec<u8>,
    /// Where a found id stood, such as `body:traceparent` or `attribute:dd.trace_id`.
    pub join_source: DictColumn,
    /// Stateless, versioned key of the log's pattern; 0 when not computed.
    pub pattern_key: Vec<u64>,
    /// Fields as sent that no column can hold, as a JSON object (`severity_number`, `trace_id`,
    /// `span_id`), or empty.
    pub original_fields: StrColumn,
}

/// How a log came to its trace id: not at all, by its own field, found in attributes or body.
pub const JOINS: [&str; 3] = ["", "own", "found"];
/// Index in [`JOINS`]: no trace id.
pub const JOIN_NONE: u8 = 0;
/// Index in [`JOINS`]: the record's own field.
pub const JOIN_OWN: u8 = 1;
/// Index in [`JOINS`]: found in attributes or body.
pub const JOIN_FOUND: u8 = 2;

columns! {
    /// `otel_logs`: one row per log record.
    static LOGS = "otel_logs" for Logs, |l, c| {
        "Timestamp", "DateTime64(9)", "Delta(8), ZSTD(1)", "time of the record, else observed time, else receive time" => I64(&l.time);
        "TraceId", "String", "ZSTD(1)", "trace id, own or found (JoinKind), or empty" => TraceIds(&l.trace_id);
        "SpanId", "String", "ZSTD(1)", "span id, own or found, or empty" => SpanIds(&l.span_id);
        "TraceFlags", "UInt8", "ZSTD(1)", "low byte of the flags" => LowByte(&l.flags);
        "SeverityText", "LowCardinality(String)", "ZSTD(1)", "severity as sent" => Dict(&l.severity_text);
        "SeverityNumber", "UInt8", "ZSTD(1)", "severity number, 0 to 24 (others as sent, within 0 to 255)" => U8(&l.severity_number);
        "ServiceName", "LowCardinality(String)", "ZSTD(1)", "resource attribute service.name" => DictVia(&l.resource, &c.resources.service_name);
        "Body", "String", "ZSTD(1)", "body as text" => Str(&l.body);
        "ResourceSchemaUrl", "LowCardinality(String)", "ZSTD(1)", "schema URL of the resource" => DictVia(&l.resource, &c.resources.schema_url);
        "ResourceAttributes", "Map(LowCardinality(String), LowCardinality(String))", "ZSTD(1)", "resource attributes as text" => MapVia(&l.resource, &c.resources.attributes);
        "ScopeSchemaUrl", "LowCardinality(String)", "ZSTD(1)", "schema URL of the scope" => DictVia(&l.scope, &c.scopes.schema_url);
        "ScopeName", "String", "ZSTD(1)", "instrumentation scope" => DictVia(&l.scope, &c.scopes.name);
        "ScopeVersion", "LowCardinality(String)", "ZSTD(1)", "instrumentation scope version" => DictVia(&l.scope, &c.scopes.version);
        "ScopeAttributes", "Map(LowCardinality(String), LowCardinality(String))", "ZSTD(1)", "scope attributes as text" => MapVia(&l.scope, &c.scopes.attributes);
        "LogAttributes", "Map(LowCardinality(String), String)", "ZSTD(1)", "log attributes as text" => Map(&l.attributes);
        "EventName", "String", "ZSTD(1)", "event name" => Dict(&l.event_name);
        "Tenant", "LowCardinality(String)", "ZSTD(1)", "tenant, or empty" => SameText(&c.envelope.tenant);
        "RetentionClass", "LowCardinality(String)", "ZSTD(1)", "retention class; empty is the default" => SameText("");
        "ReceivedAt", "DateTime64(9)", "Delta(8), ZSTD(1)", "when the request arrived" => SameI64(c.envelope.received_ns);
        "BatchId", "UInt128", "ZSTD(1)", "the insert that brought the row" => BatchId;
        "RowVersion", "UInt8", "ZSTD(1)", "version of the row's encoding" => SameU8(ROW_VERSION);
        "Flags", "UInt32", "ZSTD(1)", "OTLP log flags" => U32(&l.flags);
        "Marks", "UInt32", "ZSTD(1)", "what is special about the row (model::mark)" => U32(&l.marks);
        "ObservedTimestamp", "UInt64", "ZSTD(1)", "observed time as sent, nanoseconds, or 0" => U64(&l.observed);
        "OriginalTimestamp", "UInt64", "ZSTD(1)", "the time as sent where Timestamp is not it" => U64(&l.original_time);
        "BodyType", "LowCardinality(String)", "ZSTD(1)", "type of the body (model::value), empty for text" => Dict(&l.body_type);
        "LogAttributeTypes", "LowCardinality(String)", "ZSTD(1)", "types of the log attributes" => Dict(&l.attribute_types);
        "ResourceAttributeTypes", "LowCardinality(String)", "ZSTD(1)", "types of the resource attributes" => DictVia(&l.resource, &c.resources.attribute_types);
        "ResourceDroppedAttributesCount", "UInt32", "ZSTD(1)", "dropped resource attributes" => U32Via(&l.resource, &c.resources.dropped_attributes);
        "EntityRefs", "String", "ZSTD(1)", "entity references of the resource as JSON" => StrVia(&l.resource, &c.resources.entity_refs);
        "ScopeAttributeTypes", "LowCardinality(String)", "ZSTD(1)", "types of the scope attributes" => DictVia(&l.scope, &c.scopes.attribute_types);
        "ScopeDroppedAttributesCount", "UInt32", "ZSTD(1)", "dropped scope attributes" => U32Via(&l.scope, &c.scopes.dropped_attributes);
        "DroppedAttributesCount", "UInt32", "ZSTD(1)", "dropped log attributes" => U32(&l.dropped_attributes);
        "ServiceVersion", "LowCardinality(String)", "ZSTD(1)", "service.version" => DictVia(&l.resource, &c.resources.service_version);
        "ServiceInstance", "LowCardinality(String)", "ZSTD(1)", "service.instance.id, or the pod, host or container that stands for it" => DictVia(&l.resource, &c.resources.service_instance);
        "JoinKind", "LowCardinality(String)", "ZSTD(1)", "how the record came to its trace id: own, found, or empty" => Names(&l.join, &JOINS);
        "JoinSource", "LowCardinality(String)", "ZSTD(1)", "where a found id stood" => Dict(&l.join_source);
        "PatternKey", "UInt64", "ZSTD(1)", "stateless versioned key of the log's pattern" => U64(&l.pattern_key);
        "OriginalFields", "String", "ZSTD(1)", "fields as sent that no other column can hold, as JSON, ids as hex: unknown severity_number, malformed trace_id and span_id" => Str(&l.original_fields);
    }
}

impl Logs {
    /// The event time that the sender gave; 0 when it gave none.
    pub fn sent_time(&self, row: usize) -> u64 {
        match self.marks[row] {
            marks if marks & mark::QUARANTINED != 0 => self.original_time[row],
            marks if marks & mark::NO_TIME != 0 => 0,
            _ => self.time[row] as u64,
        }
    }

    /// Makes room for `rows` more records that came in `bytes` bytes. Attributes take about 40 bytes of
    /// those each; a wrong guess costs a copy or some spare memory.
    pub fn reserve(&mut self, rows: usize, bytes: usize) {
        self.resource.reserve(rows);
        self.scope.reserve(rows);
        self.time.reserve(rows);
        self.observed.reserve(rows);
        self.trace_id.reserve(rows);
        self.span_id.reserve(rows);
        self.flags.reserve(rows);
        self.severity_text.reserve(rows);
        self.severity_number.reserve(rows);
        self.body.reserve(rows, bytes / 4);
        self.body_type.reserve(rows);
        self.event_name.reserve(rows);
        self.attributes.reserve(rows, bytes / 40, bytes / 2);
        self.attribute_types.reserve(rows);
        self.dropped_attributes.reserve(rows);
        self.marks.reserve(rows);
        self.original_time.reserve(rows);
        self.join.reserve(rows);
        self.join_source.reserve(rows);
        self.pattern_key.reserve(rows);
        self.original_fields.reserve(rows, 0);
    }

    /// Number of finished records.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Panics unless all columns have the same number of rows. Join and pattern columns may be
    /// empty altogether before correlation has filled them.
    pub fn assert_whole(&self) {
        let rows = self.len();
        let whole = [
            self.resource.len(),
            self.scope.len(),
            self.time.len(),
            self.observed.len(),
            self.trace_id.len(),
            self.span_id.len(),
            self.flags.len(),
            self.severity_text.len(),
            self.severity_number.len(),
            self.body.len(),
            self.body_type.len(),
            self.event_name.len(),
            self.attributes.len(),
            self.attribute_types.len(),
            self.dropped_attributes.len(),
            self.original_time.len(),
            self.join.len(),
            self.join_source.len(),
            self.pattern_key.len(),
            self.original_fields.len(),
        ];
        assert!(whole.iter().all(|length| *length == rows), "log columns differ in length: {rows} against {whole:?}");
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Logs {
            resource,
            scope,
            time,
            observed,
            trace_id,
            span_id,
            flags,
            severity_text,
            severity_number,
            body,
            body_type,
            event_name,
            attributes,
            attribute_types,
            dropped_attributes,
            marks,
            original_time,
            join,
            join_source,
            pattern_key,
            original_fields,
        } = self;
        held(resource)
            + held(scope)
            + held(time)
            + held(observed)
            + held(trace_id)
            + held(span_id)
            + held(flags)
            + severity_text.heap_bytes()
            + held(severity_number)
            + body.heap_bytes()
            + body_type.heap_bytes()
            + event_name.heap_bytes()
            + attributes.heap_bytes()
            + attribute_types.heap_bytes()
            + held(dropped_attributes)
            + held(marks)
            + held(original_time)
            + held(join)
            + join_source.heap_bytes()
            + held(pattern_key)
            + original_fields.heap_bytes()
    }
}
