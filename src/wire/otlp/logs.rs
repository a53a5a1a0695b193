//! Log records (opentelemetry/proto/logs/v1/logs.proto) into columns. A record with malformed ids is
//! kept, unlinked: dropping it is the classic mistake.

use model::{Batch, Logs, Reason, Signal, Value, logs, mark};

use super::attributes::{Attributes, NO_ROLE};
use super::memo::Memo;
use super::originals::Originals;
use super::shared::{Home, Sink, cut};
use super::time;
use super::traces::{malformed, wrong_id};
use super::value::{self, Scalar, Signs};
use crate::proto::{self, Cursor, Fault, fields};

const RECORD: u64 = fields(&[1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]);
const RECORD_ROW_BYTES: u64 = 160;

/// Builds the log columns of a request.
pub(super) struct Records<'a> {
    logs: Logs,
    attributes: Attributes<'a>,
    severities: Memo<'a, 16>,
    event_names: Memo<'a, 16>,
    signs: Signs,
    scratch: Vec<u8>,
    originals: Originals,
}

#[derive(Default)]
struct Fields<'a> {
    sent: u64,
    observed: u64,
    severity: i32,
    severity_text: &'a [u8],
    body: Body<'a>,
    dropped: u32,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a [u8],
    marks: u32,
}

#[derive(Default)]
enum Body<'a> {
    #[default]
    Absent,
    /// The one occurrence of the field.
    Once(&'a [u8]),
    /// Several, merged.
    Merged(Value),
}

impl<'a> Records<'a> {
    pub(super) fn new() -> Records<'a> {
        Records {
            logs: Logs::default(),
            attributes: Attributes::new(|_| NO_ROLE),
            severities: Memo::new(),
            event_names: Memo::new(),
            signs: Signs::default(),
            scratch: Vec::new(),
            originals: Originals::default(),
        }
    }

    fn read(&mut self, home: &mut Home<'a>, item: &'a [u8]) -> Result<Fields<'a>, Fault> {
        let mut record = Fields::default();
        let mut cursor = Cursor::new(item);
        while !cursor.is_empty() {
            match cursor.key()? {
                0x09 => record.sent = cursor.fixed64()?,
                0x10 => record.severity = cursor.varint()? as i32,
                0x1a => record.severity_text = cursor.text()?,
                0x2a => record.body.add(home, cursor.bytes()?)?,
                0x32 => self.attributes.push(&mut self.logs.attributes, cursor.bytes()?, &mut home.bounds)?,
                0x38 => record.dropped = cursor.varint()? as u32,
                0x45 => record.flags = cursor.fixed32()?,
                0x4a => record.trace_id = cursor.bytes()?,
                0x52 => record.span_id = cursor.bytes()?,
                0x59 => record.observed = cursor.fixed64()?,
                0x62 => record.event_name = cursor.text()?,
                key => cursor.skip_unknown(key, RECORD)?,
            }
        }
        Ok(record)
    }

    fn body(&mut self, home: &mut Home<'a>, record: &mut Fields<'a>) -> Result<(), Fault> {
        let limit = home.bounds.limits.body_bytes_max;
        self.signs.clear();
        let merged;
        let value = match &record.body {
            Body::Absent => {
                record.marks |= mark::NO_BODY;
                self.logs.body.push(b"");
                self.logs.body_type.push(b"");
                return Ok(());
            }
            Body::Once(any_value) => match value::scalar(any_value) {
                Scalar::Str(text) => {
                    self.logs.body.push(cut_body(text, limit, &mut record.marks));
                    self.logs.body_type.push(b"");
                    return Ok(());
                }
                Scalar::Nested(open, content) => {
                    home.bounds.take_json(content)?;
                    self.scratch.clear();
                    let depth = value::depth(&home.bounds.limits);
                    if value::write_nested(open, content, &mut self.scratch, &mut self.signs, depth) {
                        None
                    } else {
                        merged = merge(Value::Empty, any_value, home)?;
                        Some(&merged)
                    }
                }
                Scalar::Unusual => {
                    merged = merge(Value::Empty, any_value, home)?;
                    Some(&merged)
                }
                scalar => {
                    self.scratch.clear();
                    value::write_scalar(&scalar, &mut self.scratch, &mut self.signs);
                    None
                }
            },
            Body::Merged(value) => Some(value),
        };
        if let Some(value) = value {
            self.scratch.clear();
            self.signs.clear();
            value::write_value(value, &mut self.scratch, &mut self.signs);
        }
        let kept = cut_body(&self.scratch, limit, &mut record.marks);
        if kept.len() < self.scratch.len() {
            // What was cut is no JSON or base64 any more: it becomes a string.
            self.signs.clear();
        }
        self.logs.body.push(kept);
        self.logs.body_type.push(self.signs.finish());
        Ok(())
    }

    fn ids(&mut self, home: &mut Home<'a>, record: &mut Fields<'a>) {
        let trace_id: [u8; 16] = record.trace_id.try_into().unwrap_or_default();
        let span_id: [u8; 8] = record.span_id.try_into().unwrap_or_default();
        for (field, id, width) in [("trace_id", record.trace_id, 16), ("span_id", record.span_id, 8)] {
            if malformed(id, width) && record.marks & mark::INVALID_IDS == 0 {
                record.marks |= mark::INVALID_IDS;
                home.count(Reason::LogUnlinked, || wrong_id(field, id));
            }
        }
        // Half an identity would link to the wrong place: malformed means unlinked altogether.
        let whole = record.marks & mark::INVALID_IDS == 0;
        let joined = whole && trace_id != [0; 16];
        self.logs.trace_id.push(if whole { trace_id } else { [0; 16] });
        self.logs.span_id.push(if whole { span_id } else { [0; 8] });
        self.logs.join.push(if joined { logs::JOIN_OWN } else { logs::JOIN_NONE });
    }

    #[cold]
    fn keep_originals(&mut self, home: &mut Home<'a>, record: &mut Fields<'a>, item: &[u8]) -> Result<(), Fault> {
        self.originals.begin();
        if !(0..=255).contains(&record.severity) {
            self.originals.number("severity_number", record.severity);
            home.count(Reason::UnknownNumber, || format!("severity_number is {}", record.severity));
        }
        if record.marks & mark::INVALID_IDS != 0 {
            self.originals.id("trace_id", record.trace_id);
            self.originals.id("span_id", record.span_id);
        }
        let rows = &mut self.logs;
        let (text, marks) = self.originals.finish();
        home.bounds.charge(text.len() as u64, item)?;
        rows.original_fields.fill_empty(rows.marks.len());
        rows.original_fields.push(text);
        record.marks |= marks;
        Ok(())
    }

    fn close(&mut self, home: &mut Home<'a>, mut record: Fields<'a>, item: &[u8]) -> Result<(), Fault> {
        let (resource, scope) = home.numbers()?;
        record.marks |= home.shared_marks();
        home.bounds.charge(RECORD_ROW_BYTES, item)?;
        home.bounds.charge_pairs(self.logs.attributes.open_pairs(), item)?;
        self.body(home, &mut record)?;
        self.ids(home, &mut record);
        let rows = &mut self.logs;
        rows.resource.push(resource);
        rows.scope.push(scope);
        rows.flags.push(record.flags);
        rows.severity_number.push(record.severity.clamp(0, 255) as u8);
        self.severities.push(&mut rows.severity_text, cut(record.severity_text, &home.bounds, &mut record.marks));
        self.event_names.push(&mut rows.event_name, cut(record.event_name, &home.bounds, &mut record.marks));
        let attributes = &mut self.attributes;
        attributes.end(&mut rows.attributes, &mut rows.attribute_types);
        record.marks |= attributes.row_marks();
        rows.dropped_attributes.push(record.dropped.saturating_add(attributes.dropped));
        let stand = time::place(record.sent, record.observed, &home.bounds);
        record.marks |= stand.marks;
        if record.marks & mark::INVALID_IDS != 0 || !(0..=255).contains(&record.severity) {
            self.keep_originals(home, &mut record, item)?;
        }
        let rows = &mut self.logs;
        rows.time.push(stand.time);
        rows.original_time.push(stand.original);
        rows.observed.push(record.observed);
        rows.join_source.push(b"");
        rows.pattern_key.push(0);
        rows.marks.push(record.marks);
        if record.marks != 0 {
            account(home, &record);
        }
        Ok(())
    }
}

impl<'a> Body<'a> {
    fn add(&mut self, home: &mut Home<'a>, any_value: &'a [u8]) -> Result<(), Fault> {
        *self = match std::mem::take(self) {
            Body::Absent => Body::Once(any_value),
            Body::Once(first) => Body::Merged(merge(merge(Value::Empty, first, home)?, any_value, home)?),
            Body::Merged(value) => Body::Merged(merge(value, any_value, home)?),
        };
        Ok(())
    }
}

fn merge(mut value: Value, any_value: &[u8], home: &mut Home<'_>) -> Result<Value, Fault> {
    let depth = value::depth(&home.bounds.limits);
    home.bounds.take_json(any_value)?;
    value::merge_value(&mut value, any_value, &mut home.bounds, depth)?;
    Ok(value)
}

fn cut_body<'t>(text: &'t [u8], limit: u32, marks: &mut u32) -> &'t [u8] {
    let kept = proto::cut(text, limit);
    if kept.len() < text.len() {
        *marks |= mark::TRUNCATED;
    }
    kept
}

#[cold]
fn account(home: &mut Home<'_>, record: &Fields<'_>) {
    if record.marks & mark::QUARANTINED != 0 {
        home.count(Reason::TimeQuarantined, || format!("time_unix_nano is {}", record.sent));
    }
    if record.marks & mark::TRUNCATED != 0 {
        home.count(Reason::ValueTruncated, || "a text was longer than the limit".to_owned());
    }
    if record.marks & mark::TRIMMED != 0 {
        home.count(Reason::AttributesDropped, || "more attributes than the limit".to_owned());
    }
}

impl<'a> Sink<'a> for Records<'a> {
    const SIGNAL: Signal = Signal::Logs;

    fn reserve(&mut self, items: usize, bytes: usize) {
        self.logs.reserve(items, bytes);
    }

    fn held(&self) -> usize {
        self.logs.heap_bytes() + self.scratch.capacity()
    }

    fn item(&mut self, home: &mut Home<'a>, item: &'a [u8]) -> Result<(), Fault> {
        self.attributes.begin();
        let record = self.read(home, item)?;
        self.close(home, record, item)
    }

    fn finish(mut self, batch: &mut Batch) {
        let rows = self.logs.len();
        self.logs.original_fields.fill_empty(rows);
        self.logs.assert_whole();
        batch.logs = self.logs;
    }
}
