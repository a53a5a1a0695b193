//! OTLP's messages as tables: field numbers, both JSON names, types. They drive the JSON reader and
//! name the place of a fault in protobuf. Source: opentelemetry-proto 1.11.

use model::Signal;

/// A message type.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// Name in the .proto file.
    pub(super) name: &'static str,
    /// Name in JSON.
    pub(super) json: &'static str,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

/// A field's type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    /// `bytes`, base64 in JSON.
    Bytes,
    /// `bytes` of an id of so many bytes, hex in OTLP's JSON.
    Id(usize),
    Bool,
    Uint32,
    Int64,
    Uint64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    /// Numbers, or these names after the prefix.
    Enum(&'static str, &'static [(&'static str, i32)]),
    Message(&'static Message),
}

impl Message {
    /// The field with this number.
    pub(super) fn by_number(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// The field with this name, in either spelling.
    pub(super) fn by_name(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.json == name || field.name == name)
    }
}

/// The request message of a signal (also its `…Data` message: the shapes are the same).
pub(super) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Logs => &LOGS,
        Signal::Metrics => &METRICS,
    }
}

const fn one(number: u32, name: &'static str, json: &'static str, kind: Kind) -> Field {
    Field { number, name, json, kind, repeated: false }
}

const fn many(number: u32, name: &'static str, json: &'static str, kind: Kind) -> Field {
    Field { number, name, json, kind, repeated: true }
}

use Kind::*;

static TRACES: Message = Message { fields: &[many(1, "resource_spans", "resourceSpans", Message(&RESOURCE_SPANS))] };
static LOGS: Message = Message { fields: &[many(1, "resource_logs", "resourceLogs", Message(&RESOURCE_LOGS))] };
static METRICS: Message =
    Message { fields: &[many(1, "resource_metrics", "resourceMetrics", Message(&RESOURCE_METRICS))] };

static ANY_VALUE: Message = Message {
    fields: &[
        one(1, "string_value", "stringValue", Text),
        one(2, "bool_value", "boolValue", Bool),
        one(3, "int_value", "intValue", Int64),
        one(4, "double_value", "doubleValue", Double),
        one(5, "array_value", "arrayValue", Message(&ARRAY_VALUE)),
        one(6, "kvlist_value", "kvlistValue", Message(&KEY_VALUE_LIST)),
        one(7, "bytes_value", "bytesValue", Bytes),
    ],
};
static ARRAY_VALUE: Message = Message { fields: &[many(1, "values", "values", Message(&ANY_VALUE))] };
static KEY_VALUE_LIST: Message = Message { fields: &[many(1, "values", "values", Message(&KEY_VALUE))] };
static KEY_VALUE: Message =
    Message { fields: &[one(1, "key", "key", Text), one(2, "value", "value", Message(&ANY_VALUE))] };

static RESOURCE: Message = Message {
    fields: &[
        many(1, "attributes", "attributes", Message(&KEY_VALUE)),
        one(2, "dropped_attributes_count", "droppedAttributesCount", Uint32),
        many(3, "entity_refs", "entityRefs", Message(&ENTITY_REF)),
    ],
};
static ENTITY_REF: Message = Message {
    fields: &[
        one(1, "schema_url", "schemaUrl", Text),
        one(2, "type", "type", Text),
        many(3, "id_keys", "idKeys", Text),
        many(4, "description_keys", "descriptionKeys", Text),
    ],
};
static SCOPE: Message = Message {
    fields: &[
        one(1, "name", "name", Text),
        one(2, "version", "version", Text),
        many(3, "attributes", "attributes", Message(&KEY_VALUE)),
        one(4, "dropped_attributes_count", "droppedAttributesCount", Uint32),
    ],
};

static RESOURCE_SPANS: Message = Message {
    fields: &[
        one(1, "resource", "resource", Message(&RESOURCE)),
        many(2, "scope_spans", "scopeSpans", Message(&SCOPE_SPANS)),
        one(3, "schema_url", "schemaUrl", Text),
    ],
};
static SCOPE_SPANS: Message = Message {
    fields: &[
        one(1, "scope", "scope", Message(&SCOPE)),
        many(2, "spans", "spans", Message(&SPAN)),
        one(3, "schema_url", "schemaUrl", Text),
    ],
};
static SPAN: Message = Message {
    fields: &[
        one(1, "trace_id", "traceId", Id(16)),
        one(2, "span_id", "spanId", Id(8)),
        one(3, "trace_state", "traceState", Text),
        one(4, "parent_span_id", "parentSpanId", Id(8)),
        one(16, "flags", "flags", Fixed32),
        one(5, "name", "name", Text),
        one(6, "kind", "kind", Enum("SPAN_KIND_", &SPAN_KINDS)),
        one(7, "start_time_unix_nano", "startTimeUnixNano", Fixed64),
        one(8, "end_time_unix_nano", "endTimeUnixNano", Fixed64),
        many(9, "attributes", "attributes", Message(&KEY_VALUE)),
        one(10, "dropped_attributes_count", "droppedAttributesCount", Uint32),
        many(11, "events", "events", Message(&EVENT)),
        one(12, "dropped_events_count", "droppedEventsCount", Uint32),
        many(13, "links", "links", Message(&LINK)),
        one(14, "dropped_links_count", "droppedLinksCount", Uint32),
        one(15, "status", "status", Message(&STATUS)),
    ],
};
const SPAN_KINDS: [(&str, i32); 6] =
    [("UNSPECIFIED", 0), ("INTERNAL", 1), ("SERVER", 2), ("CLIENT", 3), ("PRODUCER", 4), ("CONSUMER", 5)];
static EVENT: Message = Message {
    fields: &[
        one(1, "time_unix_nano", "timeUnixNano", Fixed64),
        one(2, "name", "name", Text),
        many(3, "attributes", "attributes", Message(&KEY_VALUE)),
        one(4, "dropped_attributes_count", "droppedAttributesCount", Uint32),
    ],
};
static LINK: Message = Message {
    fields: &[
        one(1, "trace_id", "traceId", Id(16)),
        one(2, "span_id", "spanId", Id(8)),
        one(3, "trace_state", "traceState", Text),
        many(4, "attributes", "attributes", Message(&KEY_VALUE)),
        one(5, "dropped_attributes_count", "droppedAttributesCount", Uint32),
        one(6, "flags", "flags", Fixed32),
    ],
};
static STATUS: Message = Message {
    fields: &[
        one(2, "message", "message", Text),
        one(3, "code", "code", Enum("STATUS_CODE_", &[("UNSET", 0), ("OK", 1), ("ERROR", 2)])),
    ],
};

static RESOURCE_LOGS: Message = Message {
    fields: &[
        one(1, "resource", "resource", Message(&RESOURCE)),
        many(2, "scope_logs", "scopeLogs", Message(&SCOPE_LOGS)),
        one(3, "schema_url", "schemaUrl", Text),
    ],
};
static SCOPE_LOGS: Message = Message {
    fields: &[
        one(1, "scope", "scope", Message(&SCOPE)),
        many(2, "log_records", "logRecords", Message(&LOG_RECORD)),
        one(3, "schema_url", "schemaUrl", Text),
    ],
};
static LOG_RECORD: Message = Message {
    fields: &[
        one(1, "time_unix_nano", "timeUnixNano", Fixed64),
        one(11, "observed_time_unix_nano", "observedTimeUnixNano", Fixed64),
        one(2, "severity_number", "severityNumber", Enum("SEVERITY_NUMBER_", &SEVERITIES)),
        one(3, "severity_text", "severityText", Text),
        one(5, "body", "body", Message(&ANY_VALUE)),
        many(6, "attributes", "attributes", Message(&KEY_VALUE)),
        one(7, "dropped_attributes_count", "droppedAttributesCount", Uint32),
        one(8, "flags", "flags", Fixed32),
        one(9, "trace_id", "traceId", Id(16)),
        one(10, "span_id", "spanId", Id(8)),
        one(12, "event_name", "eventName", Text),
    ],
};
#[rustfmt::skip]
const SEVERITIES: [(&str, i32); 25] = [
    ("UNSPECIFIED", 0),
    ("TRACE", 1), ("TRACE2", 2), ("TRACE3", 3), ("TRACE4", 4),
    ("DEBUG", 5), ("DEBUG2", 6), ("DEBUG3", 7), ("DEBUG4", 8),
    ("INFO", 9), ("INFO2", 10), ("INFO3", 11), ("INFO4", 12),
    ("WARN", 13), ("WARN2", 14), ("WARN3", 15), ("WARN4", 16),
    ("ERROR", 17), ("ERROR2", 18), ("ERROR3", 19), ("ERROR4", 20),
    ("FATAL", 21), ("FATAL2", 22), ("FATAL3", 23), ("FATAL4", 24),
];

static RESOURCE_METRICS: Message = Message {
    fields: &[
        one(1, "resource", "resource", Message(&RESOURCE)),
        many(2, "scope_metrics", "scopeMetrics", Message(&SCOPE_METRICS)),
        one(3, "schema_url", "schemaUrl", Text),
    ],
};
static SCOPE_METRICS: Message = Message {
    fields: &[
        one(1, "scope", "scope", Message(&SCOPE)),
        many(2, "metrics", "metrics", Message(&METRIC)),
        one(3, "schema_url", "schemaUrl", Text),
    ],
};
static METRIC: Message = Message {
    fields: &[
        one(1, "name", "name", Text),
        one(2, "description", "description", Text),
        one(3, "unit", "unit", Text),
        one(5, "gauge", "gauge", Message(&GAUGE)),
        one(7, "sum", "sum", Message(&SUM)),
        one(9, "histogram", "histogram", Message(&HISTOGRAM)),
        one(10, "exponential_histogram", "exponentialHistogram", Message(&EXPONENTIAL_HISTOGRAM)),
        one(11, "summary", "summary", Message(&SUMMARY)),
        many(12, "metadata", "metadata", Message(&KEY_VALUE)),
    ],
};
const TEMPORALITY: Field = one(
    2,
    "aggregation_temporality",
    "aggregationTemporality",
    Enum("AGGREGATION_TEMPORALITY_", &[("UNSPECIFIED", 0), ("DELTA", 1), ("CUMULATIVE", 2)]),
);
const START: Field = one(2, "start_time_unix_nano", "startTimeUnixNano", Fixed64);
const TIME: Field = one(3, "time_unix_nano", "timeUnixNano", Fixed64);
const COUNT: Field = one(4, "count", "count", Fixed64);
static GAUGE: Message = Message { fields: &[many(1, "data_points", "dataPoints", Message(&NUMBER_POINT))] };
static SUM: Message = Message {
    fields: &[
        many(1, "data_points", "dataPoints", Message(&NUMBER_POINT)),
        TEMPORALITY,
        one(3, "is_monotonic", "isMonotonic", Bool),
    ],
};
static HISTOGRAM: Message =
    Message { fields: &[many(1, "data_points", "dataPoints", Message(&HISTOGRAM_POINT)), TEMPORALITY] };
static EXPONENTIAL_HISTOGRAM: Message =
    Message { fields: &[many(1, "data_points", "dataPoints", Message(&EXPONENTIAL_POINT)), TEMPORALITY] };
static SUMMARY: Message = Message { fields: &[many(1, "data_points", "dataPoints", Message(&SUMMARY_POINT))] };
static NUMBER_POINT: Message = Message {
    fields: &[
        many(7, "attributes", "attributes", Message(&KEY_VALUE)),
        START,
        TIME,
        one(4, "as_double", "asDouble", Double),
        one(6, "as_int", "asInt", Sfixed64),
        many(5, "exemplars", "exemplars", Message(&EXEMPLAR)),
        one(8, "flags", "flags", Uint32),
    ],
};
static HISTOGRAM_POINT: Message = Message {
    fields: &[
        many(9, "attributes", "attributes", Message(&KEY_VALUE)),
        START,
        TIME,
        COUNT,
        one(5, "sum", "sum", Double),
        many(6, "bucket_counts", "bucketCounts", Fixed64),
        many(7, "explicit_bounds", "explicitBounds", Double),
        many(8, "exemplars", "exemplars", Message(&EXEMPLAR)),
        one(10, "flags", "flags", Uint32),
        one(11, "min", "min", Double),
        one(12, "max", "max", Double),
    ],
};
static EXPONENTIAL_POINT: Message = Message {
    fields: &[
        many(1, "attributes", "attributes", Message(&KEY_VALUE)),
        START,
        TIME,
        COUNT,
        one(5, "sum", "sum", Double),
        one(6, "scale", "scale", Sint32),
        one(7, "zero_count", "zeroCount", Fixed64),
        one(8, "positive", "positive", Message(&BUCKETS)),
        one(9, "negative", "negative", Message(&BUCKETS)),
        one(10, "flags", "flags", Uint32),
        many(11, "exemplars", "exemplars", Message(&EXEMPLAR)),
        one(12, "min", "min", Double),
        one(13, "max", "max", Double),
        one(14, "zero_threshold", "zeroThreshold", Double),
    ],
};
static BUCKETS: Message =
    Message { fields: &[one(1, "offset", "offset", Sint32), many(2, "bucket_counts", "bucketCounts", Uint64)] };
static SUMMARY_POINT: Message = Message {
    fields: &[
        many(7, "attributes", "attributes", Message(&KEY_VALUE)),
        START,
        TIME,
        COUNT,
        one(5, "sum", "sum", Double),
        many(6, "quantile_values", "quantileValues", Message(&VALUE_AT_QUANTILE)),
        one(8, "flags", "flags", Uint32),
    ],
};
static VALUE_AT_QUANTILE: Message =
    Message { fields: &[one(1, "quantile", "quantile", Double), one(2, "value", "value", Double)] };
static EXEMPLAR: Message = Message {
    fields: &[
        many(7, "filtered_attributes", "filteredAttributes", Message(&KEY_VALUE)),
        one(2, "time_unix_nano", "timeUnixNano", Fixed64),
        one(3, "as_double", "asDouble", Double),
        one(6, "as_int", "asInt", Sfixed64),
        one(4, "span_id", "spanId", Id(8)),
        one(5, "trace_id", "traceId", Id(16)),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: every message reachable from the three requests.
    // Guarantee: numbers and names are unique in each, and JSON names are the camel case of the others.
    #[test]
    fn tables_are_well_formed() {
        let mut seen: Vec<*const Message> = Vec::new();
        let mut open: Vec<&'static Message> = [Signal::Traces, Signal::Logs, Signal::Metrics].map(request).to_vec();
        while let Some(message) = open.pop() {
            if seen.contains(&std::ptr::from_ref(message)) {
                continue;
            }
            seen.push(message);
            for field in message.fields {
                assert!(std::ptr::eq(message.by_number(field.number).unwrap(), field), "{field:?}");
                assert!(std::ptr::eq(message.by_name(field.name).unwrap(), field), "{field:?}");
                assert!(std::ptr::eq(message.by_name(field.json).unwrap(), field), "{field:?}");
                let mut camel = String::new();
                let mut upper = false;
                for letter in field.name.chars() {
                    match letter {
                        '_' => upper = true,
                        _ => camel.push(if std::mem::take(&mut upper) { letter.to_ascii_uppercase() } else { letter }),
                    }
                }
                assert_eq!(camel, field.json);
                if let Message(inner) = field.kind {
                    open.push(inner);
                }
            }
        }
        assert_eq!(seen.len(), 34);
    }
}
