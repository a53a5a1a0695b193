//! Columns back to OTLP messages, and messages as they should come back: the reference that the
//! walker is held against. Rows are compared one by one, each with its resource and scope.

use model::column::MapColumn;
use model::metrics::Points;
use model::text::DictColumn;
use model::value::Types;
use model::{Batch, Value, mark};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::*;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};

/// One item with everything that belongs to it. Compared as text, so that NaN equals NaN.
#[derive(Debug)]
#[allow(dead_code, reason = "read through Debug")]
pub(super) struct Row<T> {
    resource: Resource,
    resource_schema_url: String,
    scope: InstrumentationScope,
    scope_schema_url: String,
    item: T,
}

pub(super) fn lines<T: std::fmt::Debug>(rows: &[Row<T>]) -> Vec<String> {
    rows.iter().map(|row| format!("{row:?}")).collect()
}

// ---- columns -> messages

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn any_value(value: Value) -> AnyValue {
    use any_value::Value as Sent;
    let value = match value {
        Value::Empty => return AnyValue { value: None },
        Value::Str(value) => Sent::StringValue(value),
        Value::Bool(value) => Sent::BoolValue(value),
        Value::Int(value) => Sent::IntValue(value),
        Value::Double(value) => Sent::DoubleValue(value),
        Value::Bytes(value) => Sent::BytesValue(value),
        Value::Array(values) => Sent::ArrayValue(ArrayValue { values: values.into_iter().map(any_value).collect() }),
        Value::Map(pairs) => Sent::KvlistValue(KeyValueList {
            values: pairs.into_iter().map(|(key, value)| key_value(key, value)).collect(),
        }),
    };
    AnyValue { value: Some(value) }
}

fn key_value(key: String, value: Value) -> KeyValue {
    KeyValue { key, value: Some(any_value(value)), key_strindex: 0 }
}

pub(super) fn attributes(map: &MapColumn, types: &DictColumn, row: usize) -> Vec<KeyValue> {
    let mut types = Types::new(types.get(row));
    map.row(row).map(|(key, value)| key_value(text(key), types.value(&text(value)))).collect()
}

fn id(bytes: &[u8]) -> Vec<u8> {
    if bytes.iter().all(|byte| *byte == 0) { Vec::new() } else { bytes.to_vec() }
}

fn originals(text: &[u8]) -> serde_json::Value {
    if text.is_empty() { serde_json::Value::Null } else { serde_json::from_slice(text).unwrap() }
}

// An id as sent: aside where it is malformed.
fn sent_id(aside: &serde_json::Value, stored: &[u8]) -> Vec<u8> {
    let Some(hex) = aside.as_str() else { return id(stored) };
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn sent_number(aside: &serde_json::Value, stored: u8) -> i32 {
    aside.as_i64().map_or(stored.into(), |number| number as i32)
}

fn row<T>(batch: &Batch, resource: u32, scope: u32, item: T) -> Row<T> {
    let (resource, scope) = (resource as usize, scope as usize);
    let (resources, scopes) = (&batch.resources, &batch.scopes);
    let entities = resources.entity_refs.get(resource);
    let entities: Vec<serde_json::Value> =
        if entities.is_empty() { Vec::new() } else { serde_json::from_slice(entities).unwrap() };
    let strings = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    Row {
        resource: Resource {
            attributes: attributes(&resources.attributes, &resources.attribute_types, resource),
            dropped_attributes_count: resources.dropped_attributes[resource],
            entity_refs: entities
                .iter()
                .map(|entity| EntityRef {
                    schema_url: entity["schemaUrl"].as_str().unwrap_or_default().to_owned(),
                    r#type: entity["type"].as_str().unwrap_or_default().to_owned(),
                    id_keys: strings(&entity["idKeys"]),
                    description_keys: strings(&entity["descriptionKeys"]),
                })
                .collect(),
        },
        resource_schema_url: text(resources.schema_url.get(resource)),
        scope: InstrumentationScope {
            name: text(scopes.name.get(scope)),
            version: text(scopes.version.get(scope)),
            attributes: attributes(&scopes.attributes, &scopes.attribute_types, scope),
            dropped_attributes_count: scopes.dropped_attributes[scope],
        },
        scope_schema_url: text(scopes.schema_url.get(scope)),
        item,
    }
}

fn elements(ends: &[u32], row: usize) -> std::ops::Range<usize> {
    let start = if row == 0 { 0 } else { ends[row - 1] as usize };
    start..ends[row] as usize
}

pub(super) fn read_spans(batch: &Batch) -> Vec<Row<Span>> {
    let s = &batch.spans;
    let span = |at: usize| {
        let aside = originals(s.original_fields.get(at));
        let first_link = elements(&s.links.ends, at).start;
        let link_aside = |link: usize| {
            let mut links = aside["links"].as_array().into_iter().flatten();
            links.find(|aside| aside["index"] == link - first_link).cloned().unwrap_or_default()
        };
        Span {
            trace_id: s.trace_id[at].to_vec(),
            span_id: s.span_id[at].to_vec(),
            trace_state: text(s.trace_state.get(at)),
            parent_span_id: sent_id(&aside["parent_span_id"], &s.parent_span_id[at]),
            flags: s.flags[at],
            name: text(s.name.get(at)),
            kind: sent_number(&aside["kind"], s.kind[at]),
            start_time_unix_nano: s.sent_start(at),
            end_time_unix_nano: s.sent_end(at),
            attributes: attributes(&s.attributes, &s.attribute_types, at),
            dropped_attributes_count: s.dropped_attributes[at],
            events: elements(&s.events.ends, at)
                .map(|at| span::Event {
                    time_unix_nano: s.events.time[at] as u64,
                    name: text(s.events.name.get(at)),
                    attributes: attributes(&s.events.attributes, &s.events.attribute_types, at),
                    dropped_attributes_count: s.events.dropped_attributes[at],
                })
                .collect(),
            dropped_events_count: s.dropped_events[at],
            links: elements(&s.links.ends, at)
                .map(|at| span::Link {
                    trace_id: sent_id(&link_aside(at)["trace_id"], &s.links.trace_id[at]),
                    span_id: sent_id(&link_aside(at)["span_id"], &s.links.span_id[at]),
                    trace_state: text(s.links.trace_state.get(at)),
                    attributes: attributes(&s.links.attributes, &s.links.attribute_types, at),
                    dropped_attributes_count: s.links.dropped_attributes[at],
                    flags: s.links.flags[at],
                })
                .collect(),
            dropped_links_count: s.dropped_links[at],
            status: Some(Status {
                message: text(s.status_message.get(at)),
                code: sent_number(&aside["status_code"], s.status[at]),
            }),
        }
    };
    (0..s.len()).map(|at| row(batch, s.resource[at], s.scope[at], span(at))).collect()
}

pub(super) fn read_logs(batch: &Batch) -> Vec<Row<LogRecord>> {
    let l = &batch.logs;
    let record = |at: usize| {
        let aside = originals(l.original_fields.get(at));
        LogRecord {
            time_unix_nano: l.sent_time(at),
            observed_time_unix_nano: l.observed[at],
            severity_number: sent_number(&aside["severity_number"], l.severity_number[at]),
            severity_text: text(l.severity_text.get(at)),
            body: (l.marks[at] & mark::NO_BODY == 0)
                .then(|| any_value(Types::new(l.body_type.get(at)).value(&text(l.body.get(at))))),
            attributes: attributes(&l.attributes, &l.attribute_types, at),
            dropped_attributes_count: l.dropped_attributes[at],
            flags: l.flags[at],
            trace_id: sent_id(&aside["trace_id"], &l.trace_id[at]),
            span_id: sent_id(&aside["span_id"], &l.span_id[at]),
            event_name: text(l.event_name.get(at)),
        }
    };
    (0..l.len()).map(|at| row(batch, l.resource[at], l.scope[at], record(at))).collect()
}

fn exemplars(points: &Points, at: usize) -> Vec<Exemplar> {
    let e = &points.exemplars;
    elements(&e.ends, at)
        .map(|at| Exemplar {
            filtered_attributes: attributes(&e.attributes, &e.attribute_types, at),
            time_unix_nano: e.time[at] as u64,
            span_id: id(&e.span_id[at]),
            trace_id: id(&e.trace_id[at]),
            value: match e.value_kind[at] {
                0 => Some(exemplar::Value::AsDouble(e.value[at])),
                1 => Some(exemplar::Value::AsInt(e.value_int[at])),
                _ => None,
            },
        })
        .collect()
}

fn number_point(points: &Points, value: f64, value_int: i64, at: usize) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(&points.attributes, &points.attribute_types, at),
        start_time_unix_nano: points.sent_start(at),
        time_unix_nano: points.sent_time(at),
        exemplars: exemplars(points, at),
        flags: points.flags[at],
        value: match points.marks[at] & (mark::INTEGER | mark::NO_VALUE) {
            0 => Some(number_data_point::Value::AsDouble(value)),
            mark::INTEGER => Some(number_data_point::Value::AsInt(value_int)),
            _ => None,
        },
    }
}

// A metric of one point.
fn metric(points: &Points, at: usize, data: impl Fn(i32, bool) -> metric::Data) -> Metric {
    let d = &points.descriptors;
    let number = points.metric[at] as usize;
    Metric {
        name: text(d.name.get(number)),
        description: text(d.description.get(number)),
        unit: text(d.unit.get(number)),
        metadata: attributes(&d.metadata, &d.metadata_types, number),
        data: Some(data(d.temporality[number], d.monotonic[number] == 1)),
    }
}

/// One row per point, kind after kind.
pub(super) fn read_metrics(batch: &Batch) -> Vec<Row<Metric>> {
    let mut rows = Vec::new();
    let mut add = |points: &Points, at: usize, data: &dyn Fn(i32, bool) -> metric::Data| {
        rows.push(row(batch, points.resource[at], points.scope[at], metric(points, at, data)));
    };
    let g = &batch.metrics.gauge;
    for at in 0..g.points.len() {
        let point = number_point(&g.points, g.value[at], g.value_int[at], at);
        add(&g.points, at, &|_, _| metric::Data::Gauge(Gauge { data_points: vec![point.clone()] }));
    }
    let s = &batch.metrics.sum;
    for at in 0..s.points.len() {
        let point = number_point(&s.points, s.value[at], s.value_int[at], at);
        add(&s.points, at, &|aggregation_temporality, is_monotonic| {
            metric::Data::Sum(Sum { data_points: vec![point.clone()], aggregation_temporality, is_monotonic })
        });
    }
    let h = &batch.metrics.histogram;
    let has = |points: &Points, at: usize, mark: u32, value: f64| (points.marks[at] & mark != 0).then_some(value);
    for at in 0..h.points.len() {
        let p = &h.points;
        let point = HistogramDataPoint {
            attributes: attributes(&p.attributes, &p.attribute_types, at),
            start_time_unix_nano: p.sent_start(at),
            time_unix_nano: p.sent_time(at),
            count: h.count[at],
            sum: has(p, at, mark::HAS_SUM, h.sum[at]),
            bucket_counts: h.bucket_counts[elements(&h.bucket_ends, at)].to_vec(),
            explicit_bounds: h.bounds[elements(&h.bound_ends, at)].to_vec(),
            exemplars: exemplars(p, at),
            flags: p.flags[at],
            min: has(p, at, mark::HAS_MIN, h.min[at]),
            max: has(p, at, mark::HAS_MAX, h.max[at]),
        };
        add(p, at, &|aggregation_temporality, _| {
            metric::Data::Histogram(Histogram { data_points: vec![point.clone()], aggregation_temporality })
        });
    }
    let e = &batch.metrics.exponential;
    for at in 0..e.points.len() {
        let p = &e.points;
        let buckets = |offset, counts: &[u64]| {
            Some(exponential_histogram_data_point::Buckets { offset, bucket_counts: counts.to_vec() })
        };
        let point = ExponentialHistogramDataPoint {
            attributes: attributes(&p.attributes, &p.attribute_types, at),
            start_time_unix_nano: p.sent_start(at),
            time_unix_nano: p.sent_time(at),
            count: e.count[at],
            sum: has(p, at, mark::HAS_SUM, e.sum[at]),
            scale: e.scale[at],
            zero_count: e.zero_count[at],
            positive: buckets(e.positive_offset[at], &e.positive_counts[elements(&e.positive_ends, at)]),
            negative: buckets(e.negative_offset[at], &e.negative_counts[elements(&e.negative_ends, at)]),
            flags: p.flags[at],
            exemplars: exemplars(p, at),
            min: has(p, at, mark::HAS_MIN, e.min[at]),
            max: has(p, at, mark::HAS_MAX, e.max[at]),
            zero_threshold: e.zero_threshold[at],
        };
        add(p, at, &|aggregation_temporality, _| {
            let data_points = vec![point.clone()];
            metric::Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        });
    }
    let u = &batch.metrics.summary;
    for at in 0..u.points.len() {
        let p = &u.points;
        let point = SummaryDataPoint {
            attributes: attributes(&p.attributes, &p.attribute_types, at),
            start_time_unix_nano: p.sent_start(at),
            time_unix_nano: p.sent_time(at),
            count: u.count[at],
            sum: u.sum[at],
            quantile_values: elements(&u.quantile_ends, at)
                .map(|at| summary_data_point::ValueAtQuantile { quantile: u.quantiles[at], value: u.values[at] })
                .collect(),
            flags: p.flags[at],
        };
        add(p, at, &|_, _| metric::Data::Summary(Summary { data_points: vec![point.clone()] }));
    }
    rows
}

// ---- messages as they should come back

fn expect_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(any_value::Value::ArrayValue(array)) => array.values.iter_mut().for_each(expect_value),
        Some(any_value::Value::KvlistValue(list)) => expect_pairs(&mut list.values),
        Some(any_value::Value::StringValueStrindex(_)) => value.value = None,
        _ => {}
    }
}

// An absent value and an empty one are alike; references to profile tables do not count.
fn expect_pairs(pairs: &mut [KeyValue]) {
    for pair in pairs {
        pair.key_strindex = 0;
        expect_value(pair.value.get_or_insert_default());
    }
}

fn expect_home(resource: &Option<Resource>, scope: &Option<InstrumentationScope>) -> (Resource, InstrumentationScope) {
    let (mut resource, mut scope) = (resource.clone().unwrap_or_default(), scope.clone().unwrap_or_default());
    expect_pairs(&mut resource.attributes);
    expect_pairs(&mut scope.attributes);
    (resource, scope)
}

fn malformed(id: &[u8], width: usize) -> bool {
    !id.is_empty() && id.len() != width
}

// An id of zeros is none.
fn expect_id(id: &mut Vec<u8>, width: usize) {
    if !malformed(id, width) && id.iter().all(|byte| *byte == 0) {
        id.clear();
    }
}

/// What the valid spans of a request should look like when read back, and how many are invalid.
pub(super) fn expect_spans(request: &ExportTraceServiceRequest) -> (Vec<Row<Span>>, u64) {
    let (mut rows, mut refused) = (Vec::new(), 0);
    for group in &request.resource_spans {
        for scope_group in &group.scope_spans {
            for span in &scope_group.spans {
                let valid = |id: &[u8], width| id.len() == width && id.iter().any(|byte| *byte != 0);
                if !valid(&span.trace_id, 16) || !valid(&span.span_id, 8) {
                    refused += 1;
                    continue;
                }
                let mut item = span.clone();
                expect_id(&mut item.parent_span_id, 8);
                item.status.get_or_insert_default();
                expect_pairs(&mut item.attributes);
                item.events.iter_mut().for_each(|event| expect_pairs(&mut event.attributes));
                for link in &mut item.links {
                    expect_pairs(&mut link.attributes);
                    if !malformed(&link.trace_id, 16) && !malformed(&link.span_id, 8) {
                        expect_id(&mut link.trace_id, 16);
                        expect_id(&mut link.span_id, 8);
                    }
                }
                let (resource, scope) = expect_home(&group.resource, &scope_group.scope);
                rows.push(Row {
                    resource,
                    resource_schema_url: group.schema_url.clone(),
                    scope,
                    scope_schema_url: scope_group.schema_url.clone(),
                    item,
                });
            }
        }
    }
    (rows, refused)
}

/// What the records of a request should look like when read back.
pub(super) fn expect_logs(request: &ExportLogsServiceRequest) -> Vec<Row<LogRecord>> {
    let mut rows = Vec::new();
    for group in &request.resource_logs {
        for scope_group in &group.scope_logs {
            for record in &scope_group.log_records {
                let mut item = record.clone();
                if !malformed(&item.trace_id, 16) && !malformed(&item.span_id, 8) {
                    expect_id(&mut item.trace_id, 16);
                    expect_id(&mut item.span_id, 8);
                }
                expect_pairs(&mut item.attributes);
                if let Some(body) = &mut item.body {
                    expect_value(body);
                }
                let (resource, scope) = expect_home(&group.resource, &scope_group.scope);
                rows.push(Row {
                    resource,
                    resource_schema_url: group.schema_url.clone(),
                    scope,
                    scope_schema_url: scope_group.schema_url.clone(),
                    item,
                });
            }
        }
    }
    rows
}

fn expect_exemplars(exemplars: &mut [Exemplar]) {
    for exemplar in exemplars {
        expect_pairs(&mut exemplar.filtered_attributes);
        // Malformed ones of exemplars are not kept.
        for (id, width) in [(&mut exemplar.trace_id, 16), (&mut exemplar.span_id, 8)] {
            if malformed(id, width) {
                id.clear();
            }
            expect_id(id, width);
        }
    }
}

/// What the points of a request should look like when read back, one metric per point, in the order
/// of the kinds.
pub(super) fn expect_metrics(request: &ExportMetricsServiceRequest) -> Vec<Row<Metric>> {
    let mut by_kind: [Vec<Row<Metric>>; 5] = Default::default();
    for group in &request.resource_metrics {
        for scope_group in &group.scope_metrics {
            for metric in &scope_group.metrics {
                let mut whole = metric.clone();
                expect_pairs(&mut whole.metadata);
                let Some(data) = whole.data.take() else { continue };
                let (kind, points) = split(data);
                for data in points {
                    let (resource, scope) = expect_home(&group.resource, &scope_group.scope);
                    by_kind[kind].push(Row {
                        resource,
                        resource_schema_url: group.schema_url.clone(),
                        scope,
                        scope_schema_url: scope_group.schema_url.clone(),
                        item: Metric { data: Some(data), ..whole.clone() },
                    });
                }
            }
        }
    }
    by_kind.into_iter().flatten().collect()
}

fn split(data: metric::Data) -> (usize, Vec<metric::Data>) {
    use metric::Data;
    let expect_number = |mut point: NumberDataPoint| {
        expect_pairs(&mut point.attributes);
        expect_exemplars(&mut point.exemplars);
        vec![point]
    };
    match data {
        Data::Gauge(gauge) => {
            (0, gauge.data_points.into_iter().map(|p| Data::Gauge(Gauge { data_points: expect_number(p) })).collect())
        }
        Data::Sum(sum) => {
            let points = sum.data_points.clone().into_iter();
            (1, points.map(|p| Data::Sum(Sum { data_points: expect_number(p), ..sum })).collect())
        }
        Data::Histogram(histogram) => {
            let one = |mut point: HistogramDataPoint| {
                expect_pairs(&mut point.attributes);
                expect_exemplars(&mut point.exemplars);
                Data::Histogram(Histogram { data_points: vec![point], ..histogram })
            };
            (2, histogram.data_points.clone().into_iter().map(one).collect())
        }
        Data::ExponentialHistogram(histogram) => {
            let one = |mut point: ExponentialHistogramDataPoint| {
                expect_pairs(&mut point.attributes);
                expect_exemplars(&mut point.exemplars);
                point.positive.get_or_insert_default();
                point.negative.get_or_insert_default();
                Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![point], ..histogram })
            };
            (3, histogram.data_points.clone().into_iter().map(one).collect())
        }
        Data::Summary(summary) => {
            let one = |mut point: SummaryDataPoint| {
                expect_pairs(&mut point.attributes);
                Data::Summary(Summary { data_points: vec![point] })
            };
            (4, summary.data_points.into_iter().map(one).collect())
        }
    }
}
