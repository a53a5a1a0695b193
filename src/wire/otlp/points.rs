//! The points of each kind of metric, read into the columns of their kind.

use model::mark;
use model::metrics::{ExponentialHistograms, Summaries};

use super::metrics::{Common, Metric, Row, Writers};
use super::shared::{Bounds, Home};
use crate::proto::{Cursor, Fault, fields};

const NUMBER: u64 = fields(&[2, 3, 4, 5, 6, 7, 8]);
const HISTOGRAM: u64 = fields(&[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
const EXPONENTIAL: u64 = fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
const BUCKETS: u64 = fields(&[1, 2]);
const SUMMARY: u64 = fields(&[2, 3, 4, 5, 6, 7, 8]);
const QUANTILE: u64 = fields(&[1, 2]);
const QUANTILE_BYTES: u64 = 16;

/// A number that may be sent in two types, or not at all.
pub(super) enum Number {
    None,
    Double(f64),
    Int(i64),
}

impl Number {
    /// As double, as integer, and which of them was sent: 0, 1, or 2 for none.
    pub(super) fn columns(&self) -> (f64, i64, u8) {
        match self {
            Number::Double(value) => (*value, 0, 0),
            Number::Int(value) => (*value as f64, *value, 1),
            Number::None => (0.0, 0, 2),
        }
    }
}

/// A gauge or sum point.
pub(super) fn number_point<'a>(
    row: &mut Row<'_, 'a>,
    values: &mut Vec<f64>,
    integers: &mut Vec<i64>,
    point: &'a [u8],
) -> Result<(), Fault> {
    let mut value = Number::None;
    row.begin();
    let mut cursor = Cursor::new(point);
    while !cursor.is_empty() {
        match cursor.key()? {
            0x11 => row.common.start = cursor.fixed64()?,
            0x19 => row.common.sent = cursor.fixed64()?,
            0x21 => value = Number::Double(f64::from_bits(cursor.fixed64()?)),
            0x2a => row.exemplar(cursor.bytes()?)?,
            0x31 => value = Number::Int(cursor.fixed64()? as i64),
            0x3a => row.attribute(cursor.bytes()?)?,
            0x40 => row.common.flags = cursor.varint()? as u32,
            key => cursor.skip_unknown(key, NUMBER)?,
        }
    }
    let (double, int, kind) = value.columns();
    row.common.marks |= [0, mark::INTEGER, mark::NO_VALUE][usize::from(kind)];
    values.push(double);
    integers.push(int);
    Ok(())
}

/// The single numbers of a histogram point.
#[derive(Default)]
pub(super) struct Statistics {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Statistics {
    fn sum(&mut self, marks: &mut u32, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        *marks |= mark::HAS_SUM;
        self.sum = f64::from_bits(cursor.fixed64()?);
        Ok(())
    }

    fn min(&mut self, marks: &mut u32, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        *marks |= mark::HAS_MIN;
        self.min = f64::from_bits(cursor.fixed64()?);
        Ok(())
    }

    fn max(&mut self, marks: &mut u32, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        *marks |= mark::HAS_MAX;
        self.max = f64::from_bits(cursor.fixed64()?);
        Ok(())
    }
}

/// A histogram point, but for its single numbers.
pub(super) fn histogram_point<'a>(
    row: &mut Row<'_, 'a>,
    counts: &mut Vec<u64>,
    bounds: &mut Vec<f64>,
    point: &'a [u8],
) -> Result<Statistics, Fault> {
    let mut read = Statistics::default();
    row.begin();
    let mut cursor = Cursor::new(point);
    while !cursor.is_empty() {
        match cursor.key()? {
            0x11 => row.common.start = cursor.fixed64()?,
            0x19 => row.common.sent = cursor.fixed64()?,
            0x21 => read.count = cursor.fixed64()?,
            0x29 => read.sum(&mut row.common.marks, &mut cursor)?,
            0x31 => counts.push(cursor.fixed64()?),
            0x32 => {
                let list = cursor.bytes()?;
                row.home.bounds.take(list.len() as u64, list)?;
                packed(list, Cursor::fixed64, |count| counts.push(count))?;
            }
            0x39 => bounds.push(f64::from_bits(cursor.fixed64()?)),
            0x3a => {
                let list = cursor.bytes()?;
                row.home.bounds.take(list.len() as u64, list)?;
                packed(list, Cursor::fixed64, |bits| bounds.push(f64::from_bits(bits)))?;
            }
            0x42 => row.exemplar(cursor.bytes()?)?,
            0x4a => row.attribute(cursor.bytes()?)?,
            0x50 => row.common.flags = cursor.varint()? as u32,
            0x59 => read.min(&mut row.common.marks, &mut cursor)?,
            0x61 => read.max(&mut row.common.marks, &mut cursor)?,
            key => cursor.skip_unknown(key, HISTOGRAM)?,
        }
    }
    Ok(read)
}

/// A whole exponential histogram point.
pub(super) fn exponential_point<'a>(
    rows: &mut ExponentialHistograms,
    writers: &mut Writers<'a>,
    home: &mut Home<'a>,
    metric: &mut Metric<'a>,
    point: &'a [u8],
) -> Result<(), Fault> {
    let mut row = Row { points: &mut rows.points, writers, home, common: Common::default() };
    let mut read = Statistics::default();
    let (mut scale, mut zero_count, mut zero_threshold) = (0, 0, 0.0);
    let (mut positive_offset, mut negative_offset) = (0, 0);
    row.begin();
    let mut cursor = Cursor::new(point);
    while !cursor.is_empty() {
        match cursor.key()? {
            0x0a => row.attribute(cursor.bytes()?)?,
            0x11 => row.common.start = cursor.fixed64()?,
            0x19 => row.common.sent = cursor.fixed64()?,
            0x21 => read.count = cursor.fixed64()?,
            0x29 => read.sum(&mut row.common.marks, &mut cursor)?,
            0x30 => scale = zigzag(cursor.varint()?),
            0x39 => zero_count = cursor.fixed64()?,
            0x42 => buckets(&mut row.home.bounds, cursor.bytes()?, &mut positive_offset, &mut rows.positive_counts)?,
            0x4a => buckets(&mut row.home.bounds, cursor.bytes()?, &mut negative_offset, &mut rows.negative_counts)?,
            0x50 => row.common.flags = cursor.varint()? as u32,
            0x5a => row.exemplar(cursor.bytes()?)?,
            0x61 => read.min(&mut row.common.marks, &mut cursor)?,
            0x69 => read.max(&mut row.common.marks, &mut cursor)?,
            0x71 => zero_threshold = f64::from_bits(cursor.fixed64()?),
            key => cursor.skip_unknown(key, EXPONENTIAL)?,
        }
    }
    rows.count.push(read.count);
    rows.sum.push(read.sum);
    rows.min.push(read.min);
    rows.max.push(read.max);
    rows.scale.push(scale);
    rows.zero_count.push(zero_count);
    rows.zero_threshold.push(zero_threshold);
    rows.positive_offset.push(positive_offset);
    rows.positive_ends.push(rows.positive_counts.len() as u32);
    rows.negative_offset.push(negative_offset);
    rows.negative_ends.push(rows.negative_counts.len() as u32);
    row.close(metric, point)
}

// Counts of one byte become eight, in a list that doubles.
fn buckets(bounds: &mut Bounds, message: &[u8], offset: &mut i32, counts: &mut Vec<u64>) -> Result<(), Fault> {
    bounds.take(12 * message.len() as u64, message)?;
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        match cursor.key()? {
            0x08 => *offset = zigzag(cursor.varint()?),
            0x10 => counts.push(cursor.varint()?),
            0x12 => packed(cursor.bytes()?, Cursor::varint, |count| counts.push(count))?,
            key => cursor.skip_unknown(key, BUCKETS)?,
        }
    }
    Ok(())
}

/// A whole summary point.
pub(super) fn summary_point<'a>(
    rows: &mut Summaries,
    writers: &mut Writers<'a>,
    home: &mut Home<'a>,
    metric: &mut Metric<'a>,
    point: &'a [u8],
) -> Result<(), Fault> {
    let mut row = Row { points: &mut rows.points, writers, home, common: Common::default() };
    let (mut count, mut sum) = (0, 0.0);
    row.begin();
    let mut cursor = Cursor::new(point);
    while !cursor.is_empty() {
        match cursor.key()? {
            0x11 => row.common.start = cursor.fixed64()?,
            0x19 => row.common.sent = cursor.fixed64()?,
            0x21 => count = cursor.fixed64()?,
            0x29 => sum = f64::from_bits(cursor.fixed64()?),
            0x32 => {
                let message = cursor.bytes()?;
                row.home.bounds.take(2 * QUANTILE_BYTES, message)?;
                let (quantile, value) = quantile(message)?;
                rows.quantiles.push(quantile);
                rows.values.push(value);
            }
            0x3a => row.attribute(cursor.bytes()?)?,
            0x40 => row.common.flags = cursor.varint()? as u32,
            key => cursor.skip_unknown(key, SUMMARY)?,
        }
    }
    rows.count.push(count);
    rows.sum.push(sum);
    rows.quantile_ends.push(rows.quantiles.len() as u32);
    row.close(metric, point)
}

fn quantile(message: &[u8]) -> Result<(f64, f64), Fault> {
    let (mut quantile, mut value) = (0.0, 0.0);
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        match cursor.key()? {
            0x09 => quantile = f64::from_bits(cursor.fixed64()?),
            0x11 => value = f64::from_bits(cursor.fixed64()?),
            key => cursor.skip_unknown(key, QUANTILE)?,
        }
    }
    Ok((quantile, value))
}

fn packed<'a>(
    bytes: &'a [u8],
    read: fn(&mut Cursor<'a>) -> Result<u64, Fault>,
    mut push: impl FnMut(u64),
) -> Result<(), Fault> {
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        push(read(&mut cursor)?);
    }
    Ok(())
}

fn zigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}
