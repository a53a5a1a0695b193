//! Metric points as columns, and the OpenTelemetry ClickHouse exporter's five metric tables. A
//! compatible collector cannot refuse a signal, so points are accepted, validated and kept whole.

use crate::column::ColumnRef::*;
use crate::column::MapColumn;
use crate::mark;
use crate::table::{ROW_VERSION, columns};
use crate::text::{DictColumn, held};

/// All metric points of a batch: the metrics they belong to, and the points by kind.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Gauge points.
    pub gauge: Gauges,
    /// Sum points.
    pub sum: Sums,
    /// Histogram points.
    pub histogram: Histograms,
    /// Exponential histogram points.
    pub exponential: ExponentialHistograms,
    /// Summary points.
    pub summary: Summaries,
}

/// Name, unit and the like of metrics, one row each.
#[derive(Clone, Debug, Default)]
pub struct Descriptors {
    /// Name.
    pub name: DictColumn,
    /// Description.
    pub description: DictColumn,
    /// Unit.
    pub unit: DictColumn,
    /// Metadata attributes.
    pub metadata: MapColumn,
    /// Types of the metadata.
    pub metadata_types: DictColumn,
    /// Aggregation temporality by OTLP number.
    pub temporality: Vec<i32>,
    /// Whether a sum is monotonic (0 or 1).
    pub monotonic: Vec<u8>,
}

/// What points of every kind have, one row each.
#[derive(Clone, Debug, Default)]
pub struct Points {
    /// Number of the point's resource.
    pub resource: Vec<u32>,
    /// Number of the point's scope.
    pub scope: Vec<u32>,
    /// Number of the point's metric in [`Points::descriptors`].
    pub metric: Vec<u32>,
    /// The metrics.
    pub descriptors: Descriptors,
    /// Attributes.
    pub attributes: MapColumn,
    /// Types of the attributes.
    pub attribute_types: DictColumn,
    /// Start of the interval, nanoseconds; 0 when absent.
    pub start: Vec<i64>,
    /// Time of the point in nanoseconds; the receive time when absent or nonsense.
    pub time: Vec<i64>,
    /// The start as sent where `start` is not it; else 0.
    pub original_start: Vec<u64>,
    /// The time as sent where `time` is not it; else 0.
    pub original_time: Vec<u64>,
    /// OTLP flags.
    pub flags: Vec<u32>,
    /// Bits of [`crate::mark`].
    pub marks: Vec<u32>,
    /// Exemplars of all points.
    pub exemplars: Exemplars,
}

/// Exemplars of many points.
#[derive(Clone, Debug, Default)]
pub struct Exemplars {
    /// For each point the number of exemplars up to and including it.
    pub ends: Vec<u32>,
    /// Filtered attributes.
    pub attributes: MapColumn,
    /// Types of the attributes.
    pub attribute_types: DictColumn,
    /// Time, nanoseconds.
    pub time: Vec<i64>,
    /// Value.
    pub value: Vec<f64>,
    /// Value, where it was sent as an integer.
    pub value_int: Vec<i64>,
    /// 1 where the value was sent as an integer, 2 where there was none.
    pub value_kind: Vec<u8>,
    /// Span id.
    pub span_id: Vec<[u8; 8]>,
    /// Trace id.
    pub trace_id: Vec<[u8; 16]>,
}

/// Gauge points.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// What every point has.
    pub points: Points,
    /// Value.
    pub value: Vec<f64>,
    /// Value, where it was sent as an integer.
    pub value_int: Vec<i64>,
}

/// Sum points.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// What every point has.
    pub points: Points,
    /// Value.
    pub value: Vec<f64>,
    /// Value, where it was sent as an integer.
    pub value_int: Vec<i64>,
}

/// Histogram points.
#[derive(Clone, Debug, Default)]
pub struct Histograms {
    /// What every point has.
    pub points: Points,
    /// Number of values.
    pub count: Vec<u64>,
    /// Sum of values.
    pub sum: Vec<f64>,
    /// Least value.
    pub min: Vec<f64>,
    /// Greatest value.
    pub max: Vec<f64>,
    /// For each point the number of buckets up to and including it.
    pub bucket_ends: Vec<u32>,
    /// Bucket counts.
    pub bucket_counts: Vec<u64>,
    /// For each point the number of bounds up to and including it.
    pub bound_ends: Vec<u32>,
    /// Explicit bounds.
    pub bounds: Vec<f64>,
}

/// Exponential histogram points.
#[derive(Clone, Debug, Default)]
pub struct ExponentialHistograms {
    /// What every point has.
    pub points: Points,
    /// Number of values.
    pub count: Vec<u64>,
    /// Sum of values.
    pub sum: Vec<f64>,
    /// Least value.
    pub min: Vec<f64>,
    /// Greatest value.
    pub max: Vec<f64>,
    /// Scale.
    pub scale: Vec<i32>,
    /// Values that are zero.
    pub zero_count: Vec<u64>,
    /// What counts as zero.
    pub zero_threshold: Vec<f64>,
    /// Offset of the positive buckets.
    pub positive_offset: Vec<i32>,
    /// For each point the number of positive buckets up to and including it.
    pub positive_ends: Vec<u32>,
    /// Positive bucket counts.
    pub positive_counts: Vec<u64>,
    /// Offset of the negative buckets.
    pub negative_offset: Vec<i32>,
    /// For each point the number of negative buckets up to and including it.
    pub negative_ends: Vec<u32>,
    /// Negative bucket counts.
    pub negative_counts: Vec<u64>,
}

/// Summary points.
#[derive(Clone, Debug, Default)]
pub struct Summaries {
    /// What every point has.
    pub points: Points,
    /// Number of values.
    pub count: Vec<u64>,
    /// Sum of values.
    pub sum: Vec<f64>,
    /// For each point the number of quantiles up to and including it.
    pub quantile_ends: Vec<u32>,
    /// Quantiles, 0 to 1.
    pub quantiles: Vec<f64>,
    /// Values at the quantiles.
    pub values: Vec<f64>,
}

/// The columns that all five tables share, around the ones of a kind.
macro_rules! point_columns {
    (
        $(#[$doc:meta])*
        static $NAME:ident = $table:literal for $Rows:ty, |$r:ident, $c:ident| {
            $( $name:literal, $ty:literal, $about:literal => $value:expr; )*
        }
    ) => {
        columns! {
            $(#[$doc])*
            static $NAME = $table for $Rows, |$r, $c| {
                "ResourceAttributes", "Map(LowCardinality(String), LowCardinality(String))", "ZSTD(1)", "resource attributes as text" => MapVia(&$r.points.resource, &$c.resources.attributes);
                "ResourceSchemaUrl", "String", "ZSTD(1)", "schema URL of the resource" => DictVia(&$r.points.resource, &$c.resources.schema_url);
                "ScopeName", "String", "ZSTD(1)", "instrumentation scope" => DictVia(&$r.points.scope, &$c.scopes.name);
                "ScopeVersion", "String", "ZSTD(1)", "instrumentation scope version" => DictVia(&$r.points.scope, &$c.scopes.version);
                "ScopeAttributes", "Map(LowCardinality(String), LowCardinality(String))", "ZSTD(1)", "scope attributes as text" => MapVia(&$r.points.scope, &$c.scopes.attributes);
                "ScopeDroppedAttrCount", "UInt32", "ZSTD(1)", "dropped scope attributes" => U32Via(&$r.points.scope, &$c.scopes.dropped_attributes);
                "ScopeSchemaUrl", "String", "ZSTD(1)", "schema URL of the scope" => DictVia(&$r.points.scope, &$c.scopes.schema_url);
                "ServiceName", "LowCardinality(String)", "ZSTD(1)", "resource attribute service.name" => DictVia(&$r.points.resource, &$c.resources.service_name);
                "MetricName", "String", "ZSTD(1)", "metric name" => DictVia(&$r.points.metric, &$r.points.descriptors.name);
                "MetricDescription", "String", "ZSTD(1)", "metric description" => DictVia(&$r.points.metric, &$r.points.descriptors.description);
                "MetricUnit", "String", "ZSTD(1)", "metric unit" => DictVia(&$r.points.metric, &$r.points.descriptors.unit);
                "Attributes", "Map(LowCardinality(String), String)", "ZSTD(1)", "point attributes as text" => Map(&$r.points.attributes);
                "StartTimeUnix", "DateTime64(9)", "Delta(8), ZSTD(1)", "start of the interval; the epoch when absent" => I64(&$r.points.start);
                "TimeUnix", "DateTime64(9)", "Delta(8), ZSTD(1)", "time of the point; the receive time when absent or nonsense" => I64(&$r.points.time);
                $( $name, $ty, "ZSTD(1)", $about => $value; )*
                "Flags", "UInt32", "ZSTD(1)", "OTLP point flags" => U32(&$r.points.flags);
                "Exemplars.FilteredAttributes", "Array(Map(LowCardinality(String), String))", "ZSTD(1)", "exemplar attributes as text" => List(&$r.points.exemplars.ends, Box::new(Map(&$r.points.exemplars.attributes)));
                "Exemplars.TimeUnix", "Array(DateTime64(9))", "ZSTD(1)", "exemplar times" => List(&$r.points.exemplars.ends, Box::new(I64(&$r.points.exemplars.time)));
                "Exemplars.Value", "Array(Float64)", "ZSTD(1)", "exemplar values" => List(&$r.points.exemplars.ends, Box::new(F64(&$r.points.exemplars.value)));
                "Exemplars.SpanId", "Array(String)", "ZSTD(1)", "exemplar span ids" => List(&$r.points.exemplars.ends, Box::new(SpanIds(&$r.points.exemplars.span_id)));
                "Exemplars.TraceId", "Array(String)", "ZSTD(1)", "exemplar trace ids" => List(&$r.points.exemplars.ends, Box::new(TraceIds(&$r.points.exemplars.trace_id)));
                "Exemplars.AttributeTypes", "Array(LowCardinality(String))", "ZSTD(1)", "types of the exemplar attributes" => List(&$r.points.exemplars.ends, Box::new(Dict(&$r.points.exemplars.attribute_types)));
                "Exemplars.ValueInt", "Array(Int64)", "ZSTD(1)", "exemplar values sent as integers" => List(&$r.points.exemplars.ends, Box::new(I64(&$r.points.exemplars.value_int)));
                "Exemplars.ValueKind", "Array(UInt8)", "ZSTD(1)", "0 double, 1 integer, 2 none" => List(&$r.points.exemplars.ends, Box::new(U8(&$r.points.exemplars.value_kind)));
                "Tenant", "LowCardinality(String)", "ZSTD(1)", "tenant, or empty" => SameText(&$c.envelope.tenant);
                "RetentionClass", "LowCardinality(String)", "ZSTD(1)", "retention class; empty is the default" => SameText("");
                "ReceivedAt", "DateTime64(9)", "Delta(8), ZSTD(1)", "when the request arrived" => SameI64($c.envelope.received_ns);
                "BatchId", "UInt128", "ZSTD(1)", "the insert that brought the row" => BatchId;
                "RowVersion", "UInt8", "ZSTD(1)", "version of the row's encoding" => SameU8(ROW_VERSION);
                "Marks", "UInt32", "ZSTD(1)", "what is special about the row (model::mark)" => U32(&$r.points.marks);
                "OriginalStartTimeUnix", "UInt64", "ZSTD(1)", "the start as sent where StartTimeUnix is not it" => U64(&$r.points.original_start);
                "OriginalTimeUnix", "UInt64", "ZSTD(1)", "the time as sent where TimeUnix is not it" => U64(&$r.points.original_time);
                "AttributeTypes", "LowCardinality(String)", "ZSTD(1)", "types of the point attributes (model::value)" => Dict(&$r.points.attribute_types);
                "ResourceAttributeTypes", "LowCardinality(String)", "ZSTD(1)", "types of the resource attributes" => DictVia(&$r.points.resource, &$c.resources.attribute_types);
                "ResourceDroppedAttributesCount", "UInt32", "ZSTD(1)", "dropped resource attributes" => U32Via(&$r.points.resource, &$c.resources.dropped_attributes);
                "EntityRefs", "String", "ZSTD(1)", "entity references of the resource as JSON" => StrVia(&$r.points.resource, &$c.resources.entity_refs);
                "ScopeAttributeTypes", "LowCardinality(String)", "ZSTD(1)", "types of the scope attributes" => DictVia(&$r.points.scope, &$c.scopes.attribute_types);
                "MetricMetadata", "Map(LowCardinality(String), String)", "ZSTD(1)", "metric metadata as text" => MapVia(&$r.points.metric, &$r.points.descriptors.metadata);
                "MetricMetadataTypes", "LowCardinality(String)", "ZSTD(1)", "types of the metric metadata" => DictVia(&$r.points.metric, &$r.points.descriptors.metadata_types);
            }
        }
    };
}

point_columns! {
    /// `otel_metrics_gauge`: one row per gauge point.
    static GAUGE = "otel_metrics_gauge" for Gauges, |r, c| {
        "Value", "Float64", "value" => F64(&r.value);
        "ValueInt", "Int64", "value where it was sent as an integer (Marks)" => I64(&r.value_int);
    }
}
point_columns! {
    /// `otel_metrics_sum`: one row per sum point.
    static SUM = "otel_metrics_sum" for Sums, |r, c| {
        "Value", "Float64", "value" => F64(&r.value);
        "AggregationTemporality", "Int32", "OTLP number" => I32Via(&r.points.metric, &r.points.descriptors.temporality);
        "IsMonotonic", "Bool", "whether the sum only grows" => U8Via(&r.points.metric, &r.points.descriptors.monotonic);
        "ValueInt", "Int64", "value where it was sent as an integer (Marks)" => I64(&r.value_int);
    }
}
point_columns! {
    /// `otel_metrics_histogram`: one row per histogram point.
    static HISTOGRAM = "otel_metrics_histogram" for Histograms, |r, c| {
        "Count", "UInt64", "number of values" => U64(&r.count);
        "Sum", "Float64", "sum of values (Marks say whether it was sent)" => F64(&r.sum);
        "BucketCounts", "Array(UInt64)", "bucket counts" => List(&r.bucket_ends, Box::new(U64(&r.bucket_counts)));
        "ExplicitBounds", "Array(Float64)", "bucket bounds" => List(&r.bound_ends, Box::new(F64(&r.bounds)));
        "Min", "Float64", "least value (Marks)" => F64(&r.min);
        "Max", "Float64", "greatest value (Marks)" => F64(&r.max);
        "AggregationTemporality", "Int32", "OTLP number" => I32Via(&r.points.metric, &r.points.descriptors.temporality);
    }
}
point_columns! {
    /// `otel_metrics_exponential_histogram`: one row per exponential histogram point.
    static EXPONENTIAL_HISTOGRAM = "otel_metrics_exponential_histogram" for ExponentialHistograms, |r, c| {
        "Count", "UInt64", "number of values" => U64(&r.count);
        "Sum", "Float64", "sum of values (Marks say whether it was sent)" => F64(&r.sum);
        "Scale", "Int32", "scale" => I32(&r.scale);
        "ZeroCount", "UInt64", "values that are zero" => U64(&r.zero_count);
        "PositiveOffset", "Int32", "offset of the positive buckets" => I32(&r.positive_offset);
        "PositiveBucketCounts", "Array(UInt64)", "positive bucket counts" => List(&r.positive_ends, Box::new(U64(&r.positive_counts)));
        "NegativeOffset", "Int32", "offset of the negative buckets" => I32(&r.negative_offset);
        "NegativeBucketCounts", "Array(UInt64)", "negative bucket counts" => List(&r.negative_ends, Box::new(U64(&r.negative_counts)));
        "Min", "Float64", "least value (Marks)" => F64(&r.min);
        "Max", "Float64", "greatest value (Marks)" => F64(&r.max);
        "AggregationTemporality", "Int32", "OTLP number" => I32Via(&r.points.metric, &r.points.descriptors.temporality);
        "ZeroThreshold", "Float64", "what counts as zero" => F64(&r.zero_threshold);
    }
}
point_columns! {
    /// `otel_metrics_summary`: one row per summary point.
    static SUMMARY = "otel_metrics_summary" for Summaries, |r, c| {
        "Count", "UInt64", "number of values" => U64(&r.count);
        "Sum", "Float64", "sum of values" => F64(&r.sum);
        "ValueAtQuantiles.Quantile", "Array(Float64)", "quantiles, 0 to 1" => List(&r.quantile_ends, Box::new(F64(&r.quantiles)));
        "ValueAtQuantiles.Value", "Array(Float64)", "values at the quantiles" => List(&r.quantile_ends, Box::new(F64(&r.values)));
    }
}

impl Points {
    /// Number of finished points.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The time that the sender gave; 0 when it gave none.
    pub fn sent_time(&self, row: usize) -> u64 {
        match self.marks[row] {
            marks if marks & mark::QUARANTINED != 0 => self.original_time[row],
            marks if marks & mark::NO_TIME != 0 => 0,
            _ => self.time[row] as u64,
        }
    }

    /// The start that the sender gave; 0 when it gave none.
    pub fn sent_start(&self, row: usize) -> u64 {
        if self.original_start[row] != 0 { self.original_start[row] } else { self.start[row] as u64 }
    }

    // Lengths of the columns that have one entry per point.
    fn lengths(&self) -> [usize; 12] {
        [
            self.resource.len(),
            self.scope.len(),
            self.metric.len(),
            self.attributes.len(),
            self.attribute_types.len(),
            self.start.len(),
            self.time.len(),
            self.original_start.len(),
            self.original_time.len(),
            self.flags.len(),
            self.marks.len(),
            self.exemplars.ends.len(),
        ]
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Points {
            resource,
            scope,
            metric,
            descriptors,
            attributes,
            attribute_types,
            start,
            time,
            original_start,
            original_time,
            flags,
            marks,
            exemplars,
        } = self;
        held(resource)
            + held(scope)
            + held(metric)
            + descriptors.heap_bytes()
            + attributes.heap_bytes()
            + attribute_types.heap_bytes()
            + held(start)
            + held(time)
            + held(original_start)
            + held(original_time)
            + held(flags)
            + held(marks)
            + exemplars.heap_bytes()
    }
}

impl Metrics {
    /// Number of points of all kinds.
    pub fn len(&self) -> usize {
        self.points().iter().map(|points| points.len()).sum()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The common columns of each kind, in the order of the tables.
    pub fn points(&self) -> [&Points; 5] {
        [&self.gauge.points, &self.sum.points, &self.histogram.points, &self.exponential.points, &self.summary.points]
    }

    /// The common columns of each kind, to change.
    pub fn points_mut(&mut self) -> [&mut Points; 5] {
        [
            &mut self.gauge.points,
            &mut self.sum.points,
            &mut self.histogram.points,
            &mut self.exponential.points,
            &mut self.summary.points,
        ]
    }

    /// Panics unless all columns of each kind have the same number of rows.
    pub fn assert_whole(&self) {
        let assert_equal = |kind: &str, points: &Points, own: &[usize]| {
            let lengths = points.lengths();
            let whole = lengths.iter().chain(own).all(|length| *length == points.len());
            assert!(whole, "{kind} columns differ in length: {lengths:?} and {own:?}");
            assert_eq!(
                points.exemplars.time.len(),
                points.exemplars.attributes.len(),
                "every exemplar has its attributes"
            );
        };
        let Metrics { gauge, sum, histogram: h, exponential: e, summary: s } = self;
        assert_equal("gauge", &gauge.points, &[gauge.value.len(), gauge.value_int.len()]);
        assert_equal("sum", &sum.points, &[sum.value.len(), sum.value_int.len()]);
        let own = [h.count.len(), h.sum.len(), h.min.len(), h.max.len(), h.bucket_ends.len(), h.bound_ends.len()];
        assert_equal("histogram", &h.points, &own);
        let own = [e.count.len(), e.sum.len(), e.min.len(), e.max.len(), e.scale.len(), e.zero_count.len()];
        assert_equal("exponential histogram", &e.points, &own);
        let own = [e.zero_threshold.len(), e.positive_offset.len(), e.positive_ends.len(), e.negative_offset.len()];
        assert_equal("exponential histogram", &e.points, &own);
        assert_equal("exponential histogram", &e.points, &[e.negative_ends.len()]);
        assert_equal("summary", &s.points, &[s.count.len(), s.sum.len(), s.quantile_ends.len()]);
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Metrics { gauge, sum, histogram, exponential, summary } = self;
        gauge.heap_bytes() + sum.heap_bytes() + histogram.heap_bytes() + exponential.heap_bytes() + summary.heap_bytes()
    }
}

impl Descriptors {
    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Descriptors { name, description, unit, metadata, metadata_types, temporality, monotonic } = self;
        name.heap_bytes()
            + description.heap_bytes()
            + unit.heap_bytes()
            + metadata.heap_bytes()
            + metadata_types.heap_bytes()
            + held(temporality)
            + held(monotonic)
    }
}

impl Exemplars {
    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Exemplars { ends, attributes, attribute_types, time, value, value_int, value_kind, span_id, trace_id } =
            self;
        held(ends)
            + attributes.heap_bytes()
            + attribute_types.heap_bytes()
            + held(time)
            + held(value)
            + held(value_int)
            + held(value_kind)
            + held(span_id)
            + held(trace_id)
    }
}

impl Gauges {
    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Gauges { points, value, value_int } = self;
        points.heap_bytes() + held(value) + held(value_int)
    }
}

impl Sums {
    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Sums { points, value, value_int } = self;
        points.heap_bytes() + held(value) + held(value_int)
    }
}

impl Histograms {
    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Histograms { points, count, sum, min, max, bucket_ends, bucket_counts, bound_ends, bounds } = self;
        points.heap_bytes()
            + held(count)
            + held(sum)
            + held(min)
            + held(max)
            + held(bucket_ends)
            + held(bucket_counts)
            + held(bound_ends)
            + held(bounds)
    }
}

impl ExponentialHistograms {
    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let ExponentialHistograms {
            points,
            count,
            sum,
            min,
            max,
            scale,
            zero_count,
            zero_threshold,
            positive_offset,
            positive_ends,
            positive_counts,
            negative_offset,
            negative_ends,
            negative_counts,
        } = self;
        points.heap_bytes()
            + held(count)
            + held(sum)
            + held(min)
            + held(max)
            + held(scale)
            + held(zero_count)
            + held(zero_threshold)
            + held(positive_offset)
            + held(positive_ends)
            + held(positive_counts)
            + held(negative_offset)
            + held(negative_ends)
            + held(negative_counts)
    }
}

impl Summaries {
    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Summaries { points, count, sum, quantile_ends, quantiles, values } = self;
        points.heap_bytes() + held(count) + held(sum) + held(quantile_ends) + held(quantiles) + held(values)
    }
}
