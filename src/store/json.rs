//! Rows of a block as JSON: what a dead letter keeps of a row that ClickHouse refused. Read from the
//! same bytes that are sent, so it shows what was sent.

use std::ops::Range;

use serde_json::{Map, Number as JsonNumber, Value};

use crate::block::Body;
use crate::column::{Column, Values};
use crate::shape::Number;

/// Row `row` of `body` as a JSON object, without columns that are empty or zero.
pub(crate) fn row(body: &Body, row: usize) -> String {
    let columns = body.table.def().columns.iter().zip(&body.columns);
    let pairs = columns.filter_map(|(def, column)| {
        let value = value(column, row);
        (!is_nothing(&value)).then(|| (def.name.to_owned(), value))
    });
    Value::Object(pairs.collect::<Map<_, _>>()).to_string()
}

fn value(column: &Column, row: usize) -> Value {
    match column {
        Column::Fixed { width, number, bytes } => fixed(*number, &bytes[row * width..(row + 1) * width]),
        Column::Text(bytes) => string(nth_text(bytes, row)),
        Column::Dict(dict) => string(dict.get(row)),
        Column::Map { ends, keys, values } => {
            let Range { start, end } = ends.elements(row);
            let pairs = (start..end).map(|at| (text_of(keys.get(at)), string(values_at(values, at))));
            Value::Object(pairs.collect())
        }
        Column::List { ends, inner } => Value::Array(ends.elements(row).map(|at| value(inner, at)).collect()),
        Column::BatchId => Value::Null,
    }
}

fn values_at(values: &Values, at: usize) -> &[u8] {
    match values {
        Values::Text(bytes) => nth_text(bytes, at),
        Values::Dict(dict) => dict.get(at),
    }
}

fn fixed(number: Number, bytes: &[u8]) -> Value {
    let mut wide = [0; 16];
    wide[..bytes.len()].copy_from_slice(bytes);
    let unsigned = u128::from_le_bytes(wide);
    match (number, bytes.len()) {
        (Number::Bool, _) => Value::Bool(unsigned != 0),
        (Number::Unsigned, 16) => Value::String(unsigned.to_string()),
        (Number::Unsigned, _) => Value::Number((unsigned as u64).into()),
        (Number::Signed, 4) => Value::Number((unsigned as u32 as i32).into()),
        (Number::Signed, _) => Value::Number((unsigned as u64 as i64).into()),
        (Number::Float, 4) => float(f64::from(f32::from_bits(unsigned as u32))),
        (Number::Float, _) => float(f64::from_bits(unsigned as u64)),
    }
}

fn float(number: f64) -> Value {
    JsonNumber::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
}

// A walk over the texts before it: dead letters are rare.
fn nth_text(mut bytes: &[u8], nth: usize) -> &[u8] {
    for at in 0.. {
        let (mut length, mut shift) = (0usize, 0);
        while let Some((byte, rest)) = bytes.split_first() {
            bytes = rest;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (value, rest) = bytes.split_at(length);
        if at == nth {
            return value;
        }
        bytes = rest;
    }
    &[]
}

fn string(bytes: &[u8]) -> Value {
    Value::String(text_of(bytes))
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(values) => values.is_empty(),
        Value::Object(pairs) => pairs.is_empty(),
        Value::Bool(value) => !value,
    }
}
