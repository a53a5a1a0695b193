//! Metric points (opentelemetry/proto/metrics/v1/metrics.proto) into columns, kind by kind. A metric
//! is described once, when its first point comes; a metric without points leaves no trace.

use model::metrics::{Descriptors, Histograms, Points};
use model::{Batch, Metrics, Reason, Signal, mark};

use super::attributes::{Attributes, NO_ROLE};
use super::points::{Number, exponential_point, histogram_point, number_point, summary_point};
use super::shared::{Home, Sink, cut, occurrences};
use super::time;
use super::traces::malformed;
use super::value;
use crate::proto::{Cursor, Fault, fields};

const METRIC: u64 = fields(&[1, 2, 3, 5, 7, 9, 10, 11, 12]);
const EXEMPLAR: u64 = fields(&[2, 3, 4, 5, 6, 7]);

const POINT_ROW_BYTES: u64 = 200;
const EXEMPLAR_ROW_BYTES: u64 = 70;
const METRIC_ROW_BYTES: u64 = 60;
const METADATA: u32 = 0x62;

/// The five kinds of data, by the key of their field in `Metric`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge = 0x2a,
    Sum = 0x3a,
    Histogram = 0x4a,
    Exponential = 0x52,
    Summary = 0x5a,
}

impl Kind {
    // The fields of its data message: temporality and monotonicity are not everywhere.
    fn fields(self) -> u64 {
        match self {
            Kind::Gauge | Kind::Summary => fields(&[1]),
            Kind::Histogram | Kind::Exponential => fields(&[1, 2]),
            Kind::Sum => fields(&[1, 2, 3]),
        }
    }

    fn from_key(key: u32) -> Option<Kind> {
        [Kind::Gauge, Kind::Sum, Kind::Histogram, Kind::Exponential, Kind::Summary]
            .into_iter()
            .find(|kind| *kind as u32 == key)
    }
}

/// Builds the metric columns of a request.
pub(super) struct Measures<'a> {
    metrics: Metrics,
    writers: [Writers<'a>; 5],
}

/// Attribute writers of one kind; their key numbers belong to its columns. Made when first needed.
#[derive(Default)]
pub(super) struct Writers<'a> {
    points: Option<Attributes<'a>>,
    exemplars: Option<Attributes<'a>>,
    metadata: Option<Attributes<'a>>,
}

fn ready<'w, 'a>(writer: &'w mut Option<Attributes<'a>>) -> &'w mut Attributes<'a> {
    writer.get_or_insert_with(|| Attributes::new(|_| NO_ROLE))
}

/// A metric while its points are read.
pub(super) struct Metric<'a> {
    item: &'a [u8],
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    temporality: i32,
    monotonic: bool,
    number: Option<u32>,
    // Marks of what was cut from the description; its points carry them.
    marks: u32,
}

/// What points of all kinds have.
#[derive(Default)]
pub(super) struct Common {
    pub(super) start: u64,
    pub(super) sent: u64,
    pub(super) flags: u32,
    pub(super) marks: u32,
    exemplar_ids_malformed: bool,
}

/// Where a point goes: the common columns of its kind and their writers.
pub(super) struct Row<'r, 'a> {
    pub(super) points: &'r mut Points,
    pub(super) writers: &'r mut Writers<'a>,
    pub(super) home: &'r mut Home<'a>,
    pub(super) common: Common,
}

impl<'a> Sink<'a> for Measures<'a> {
    const SIGNAL: Signal = Signal::Metrics;

    fn reserve(&mut self, _items: usize, _bytes: usize) {}

    fn held(&self) -> usize {
        self.metrics.heap_bytes()
    }

    fn item(&mut self, home: &mut Home<'a>, item: &'a [u8]) -> Result<(), Fault> {
        let mut metric = Metric {
            item,
            name: b"",
            description: b"",
            unit: b"",
            temporality: 0,
            monotonic: false,
            number: None,
            marks: 0,
        };
        // The data is a oneof: another kind replaces what came before, the same kind adds to it. So
        // the last run of one kind counts.
        let mut run: Option<(Kind, &[u8])> = None;
        let mut cursor = Cursor::new(item);
        while !cursor.is_empty() {
            let before = cursor.rest();
            match cursor.key()? {
                0x0a => metric.name = cursor.text()?,
                0x12 => metric.description = cursor.text()?,
                0x1a => metric.unit = cursor.text()?,
                METADATA => drop(cursor.bytes()?),
                key => match Kind::from_key(key) {
                    Some(kind) => {
                        metric.data(&mut cursor, kind, run.is_none_or(|(last, _)| last != kind))?;
                        if run.is_none_or(|(last, _)| last != kind) {
                            run = Some((kind, before));
                        }
                    }
                    None => cursor.skip_unknown(key, METRIC)?,
                },
            }
        }
        if let Some((kind, from)) = run {
            for data in occurrences(from, kind as u32) {
                for point in occurrences(data, 0x0a) {
                    self.point(home, &mut metric, kind, point)?;
                }
            }
        }
        if metric.number.is_none() {
            let depth = value::depth(&home.bounds.limits);
            for pair in occurrences(item, METADATA) {
                value::merge_pair(pair, &mut home.bounds, depth)?;
            }
        }
        Ok(())
    }

    fn finish(self, batch: &mut Batch) {
        self.metrics.assert_whole();
        batch.metrics = self.metrics;
    }
}

impl<'a> Metric<'a> {
    // The fields beside the points of a data message, whose frame is checked on the way.
    fn data(&mut self, cursor: &mut Cursor<'a>, kind: Kind, fresh: bool) -> Result<(), Fault> {
        if fresh {
            (self.temporality, self.monotonic) = (0, false);
        }
        let known = kind.fields();
        let mut data = Cursor::new(cursor.bytes()?);
        while !data.is_empty() {
            match data.key()? {
                0x0a => drop(data.bytes()?),
                0x10 if known & fields(&[2]) != 0 => self.temporality = data.varint()? as i32,
                0x18 if known & fields(&[3]) != 0 => self.monotonic = data.varint()? != 0,
                key => data.skip_unknown(key, known)?,
            }
        }
        Ok(())
    }

    // Describes the metric, once.
    fn number(
        &mut self,
        rows: &mut Descriptors,
        writer: &mut Option<Attributes<'a>>,
        home: &mut Home<'a>,
    ) -> Result<u32, Fault> {
        if let Some(number) = self.number {
            return Ok(number);
        }
        let writer = ready(writer);
        writer.begin();
        for pair in occurrences(self.item, METADATA) {
            writer.push(&mut rows.metadata, pair, &mut home.bounds)?;
        }
        home.bounds.charge(METRIC_ROW_BYTES, self.item)?;
        home.bounds.charge_pairs(rows.metadata.open_pairs(), self.item)?;
        writer.end(&mut rows.metadata, &mut rows.metadata_types);
        let mut marks = writer.row_marks();
        rows.name.push(cut(self.name, &home.bounds, &mut marks));
        rows.description.push(cut(self.description, &home.bounds, &mut marks));
        rows.unit.push(cut(self.unit, &home.bounds, &mut marks));
        rows.temporality.push(self.temporality);
        rows.monotonic.push(u8::from(self.monotonic));
        self.marks = marks;
        self.number = Some(rows.temporality.len() as u32 - 1);
        Ok(rows.temporality.len() as u32 - 1)
    }
}

impl<'a> Measures<'a> {
    pub(super) fn new() -> Measures<'a> {
        Measures { metrics: Metrics::default(), writers: Default::default() }
    }

    fn point(
        &mut self,
        home: &mut Home<'a>,
        metric: &mut Metric<'a>,
        kind: Kind,
        point: &'a [u8],
    ) -> Result<(), Fault> {
        let [gauge, sum, histogram, exponential, summary] = &mut self.writers;
        let common = Common::default();
        let m = &mut self.metrics;
        match kind {
            Kind::Gauge => {
                let mut row = Row { points: &mut m.gauge.points, writers: gauge, home, common };
                number_point(&mut row, &mut m.gauge.value, &mut m.gauge.value_int, point)?;
                row.close(metric, point)
            }
            Kind::Sum => {
                let mut row = Row { points: &mut m.sum.points, writers: sum, home, common };
                number_point(&mut row, &mut m.sum.value, &mut m.sum.value_int, point)?;
                row.close(metric, point)
            }
            Kind::Histogram => {
                let Histograms { points, count, sum, min, max, bucket_ends, bucket_counts, bound_ends, bounds } =
                    &mut m.histogram;
                let mut row = Row { points, writers: histogram, home, common };
                let read = histogram_point(&mut row, bucket_counts, bounds, point)?;
                count.push(read.count);
                sum.push(read.sum);
                min.push(read.min);
                max.push(read.max);
                bucket_ends.push(bucket_counts.len() as u32);
                bound_ends.push(bounds.len() as u32);
                row.close(metric, point)
            }
            Kind::Exponential => exponential_point(&mut m.exponential, exponential, home, metric, point),
            Kind::Summary => summary_point(&mut m.summary, summary, home, metric, point),
        }
    }
}

impl<'a> Row<'_, 'a> {
    pub(super) fn begin(&mut self) {
        ready(&mut self.writers.points).begin();
    }

    pub(super) fn attribute(&mut self, pair: &'a [u8]) -> Result<(), Fault> {
        ready(&mut self.writers.points).push(&mut self.points.attributes, pair, &mut self.home.bounds)
    }

    pub(super) fn exemplar(&mut self, exemplar: &'a [u8]) -> Result<(), Fault> {
        let rows = &mut self.points.exemplars;
        let writer = ready(&mut self.writers.exemplars);
        let (mut trace_id, mut span_id): (&[u8], &[u8]) = (b"", b"");
        let (mut sent, mut value) = (0, Number::None);
        writer.begin();
        let mut cursor = Cursor::new(exemplar);
        while !cursor.is_empty() {
            match cursor.key()? {
                0x11 => sent = cursor.fixed64()?,
                0x19 => value = Number::Double(f64::from_bits(cursor.fixed64()?)),
                0x22 => span_id = cursor.bytes()?,
                0x2a => trace_id = cursor.bytes()?,
                0x31 => value = Number::Int(cursor.fixed64()? as i64),
                0x3a => writer.push(&mut rows.attributes, cursor.bytes()?, &mut self.home.bounds)?,
                key => cursor.skip_unknown(key, EXEMPLAR)?,
            }
        }
        self.home.bounds.charge(EXEMPLAR_ROW_BYTES, exemplar)?;
        self.home.bounds.charge_pairs(rows.attributes.open_pairs(), exemplar)?;
        writer.end(&mut rows.attributes, &mut rows.attribute_types);
        self.common.marks |= writer.row_marks();
        self.common.exemplar_ids_malformed |= malformed(trace_id, 16) || malformed(span_id, 8);
        rows.time.push(time::aside(sent, &mut self.common.marks));
        rows.trace_id.push(trace_id.try_into().unwrap_or_default());
        rows.span_id.push(span_id.try_into().unwrap_or_default());
        let (double, int, kind) = value.columns();
        rows.value.push(double);
        rows.value_int.push(int);
        rows.value_kind.push(kind);
        Ok(())
    }

    pub(super) fn close(self, metric: &mut Metric<'a>, point: &[u8]) -> Result<(), Fault> {
        let Row { points, writers, home, mut common } = self;
        let (resource, scope) = home.numbers()?;
        common.marks |= home.shared_marks();
        home.bounds.charge(POINT_ROW_BYTES, point)?;
        home.bounds.charge_pairs(points.attributes.open_pairs(), point)?;
        let number = metric.number(&mut points.descriptors, &mut writers.metadata, home)?;
        common.marks |= metric.marks;
        points.resource.push(resource);
        points.scope.push(scope);
        points.metric.push(number);
        let writer = ready(&mut writers.points);
        writer.end(&mut points.attributes, &mut points.attribute_types);
        common.marks |= writer.row_marks();
        let stand = time::place(common.sent, 0, &home.bounds);
        common.marks |= stand.marks;
        points.time.push(stand.time);
        points.original_time.push(stand.original);
        let start = i64::try_from(common.start);
        common.marks |= if start.is_err() { mark::CLAMPED } else { 0 };
        points.start.push(start.unwrap_or(0));
        points.original_start.push(if start.is_err() { common.start } else { 0 });
        points.flags.push(common.flags);
        points.exemplars.ends.push(points.exemplars.time.len() as u32);
        if common.exemplar_ids_malformed {
            common.marks |= mark::INVALID_IDS;
            home.count(Reason::LinkUnlinked, || "the ids of an exemplar are of the wrong length".to_owned());
        }
        if common.marks & mark::QUARANTINED != 0 {
            home.count(Reason::TimeQuarantined, || format!("time_unix_nano is {}", common.sent));
        }
        count_cuts(home, common.marks);
        points.marks.push(common.marks);
        Ok(())
    }
}

fn count_cuts(home: &mut Home<'_>, marks: u32) {
    if marks & mark::TRUNCATED != 0 {
        home.count(Reason::ValueTruncated, || "a text was longer than the limit".to_owned());
    }
    if marks & mark::TRIMMED != 0 {
        home.count(Reason::AttributesDropped, || "more attributes than the limit".to_owned());
    }
}
