//! `AnyValue` straight to its stored form (text and signs, [`model::value`]), without a tree in
//! between. Bytes that are not in the usual form (a message in several pieces, unknown fields, a
//! repeated oneof) take the slow way through [`model::Value`], which knows protobuf's merge rules.

use model::Value;
use model::value::{push_base64, push_double, push_json_string};

use super::shared::Bounds;
use crate::proto::{Cursor, Fault, VARINT, What, fields, key};

const STRING: u32 = 0x0a;
const BOOL: u32 = 0x10;
const INT: u32 = 0x18;
const DOUBLE: u32 = 0x21;
const ARRAY: u32 = 0x2a;
const MAP: u32 = 0x32;
const BYTES: u32 = 0x3a;
/// `string_value_strindex`: only profiles may use it; elsewhere the value counts as empty.
const STRING_INDEX: u32 = key(8, VARINT);
const ANY_VALUE: u64 = fields(&[1, 2, 3, 4, 5, 6, 7, 8]);
const KEY_VALUE: u64 = fields(&[1, 2, 3]);
const LIST: u64 = fields(&[1]);

/// Whatever the configured depth is, the stack must bear it.
const DEPTH_CEILING: u32 = 128;
/// What a node of the slow tree takes in memory, roughly.
const NODE_BYTES: u64 = 64;
/// What it takes more while the list that it stands in doubles.
const NODE_SLACK_BYTES: u64 = 32;

/// The signs of one row being built: runs are counted and written when they end.
#[derive(Default)]
pub(super) struct Signs {
    out: Vec<u8>,
    run: u8,
    count: u32,
}

/// A place to return to.
#[derive(Clone, Copy)]
pub(super) struct Place {
    length: usize,
    run: u8,
    count: u32,
}

impl Signs {
    /// Begins a row.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.out.clear();
        self.run = 0;
        self.count = 0;
    }

    /// Appends the sign of a scalar.
    #[inline]
    pub(super) fn push(&mut self, sign: u8) {
        if sign == self.run {
            self.count += 1;
        } else {
            self.flush();
            self.run = sign;
            self.count = 1;
        }
    }

    fn bracket(&mut self, sign: u8) {
        self.flush();
        self.out.push(sign);
    }

    fn flush(&mut self) {
        if self.run != 0 {
            self.out.push(self.run);
            if self.count > 1 {
                self.out.extend_from_slice(itoa::Buffer::new().format(self.count).as_bytes());
            }
        }
        self.run = 0;
        self.count = 0;
    }

    /// Ends the row; a final run of strings is left out.
    #[inline]
    pub(super) fn finish(&mut self) -> &[u8] {
        if self.run != b's' {
            self.flush();
        }
        &self.out
    }

    /// The present place.
    pub(super) fn place(&self) -> Place {
        Place { length: self.out.len(), run: self.run, count: self.count }
    }

    /// Forgets everything since `place`.
    pub(super) fn back_to(&mut self, place: Place) {
        self.out.truncate(place.length);
        self.run = place.run;
        self.count = place.count;
    }

    fn push_value(&mut self, value: &Value) {
        match value {
            Value::Empty => self.push(b'e'),
            Value::Str(_) => self.push(b's'),
            Value::Bool(_) => self.push(b'b'),
            Value::Int(_) => self.push(b'i'),
            Value::Double(_) => self.push(b'd'),
            Value::Bytes(_) => self.push(b'y'),
            Value::Array(values) => {
                self.bracket(b'[');
                values.iter().for_each(|value| self.push_value(value));
                self.bracket(b']');
            }
            Value::Map(pairs) => {
                self.bracket(b'{');
                pairs.iter().for_each(|(_, value)| self.push_value(value));
                self.bracket(b'}');
            }
        }
    }
}

/// A scalar as it stands on the wire: the usual content of attributes.
pub(super) enum Scalar<'a> {
    Empty,
    Str(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    /// An array or map, with its content.
    Nested(u8, &'a [u8]),
    /// Not in the usual form.
    Unusual,
}

/// The value of an `AnyValue` message that holds exactly one known field, or none.
/// Strings are checked here; nested content is not.
#[inline]
pub(super) fn scalar(any_value: &[u8]) -> Scalar<'_> {
    let mut cursor = Cursor::new(any_value);
    if cursor.is_empty() {
        return Scalar::Empty;
    }
    let value = match cursor.key() {
        Ok(STRING) => cursor.text().map(Scalar::Str),
        Ok(BOOL) => cursor.varint().map(|number| Scalar::Bool(number != 0)),
        Ok(INT) => cursor.varint().map(|number| Scalar::Int(number as i64)),
        Ok(DOUBLE) => cursor.fixed64().map(|bits| Scalar::Double(f64::from_bits(bits))),
        Ok(ARRAY) => cursor.bytes().map(|content| Scalar::Nested(b'[', content)),
        Ok(MAP) => cursor.bytes().map(|content| Scalar::Nested(b'{', content)),
        Ok(BYTES) => cursor.bytes().map(Scalar::Bytes),
        _ => return Scalar::Unusual,
    };
    match value {
        Ok(value) if cursor.is_empty() => value,
        _ => Scalar::Unusual,
    }
}

/// Key and `AnyValue` of a `KeyValue` message that holds exactly one of each, in this order.
/// The key is not checked yet.
#[inline]
pub(super) fn pair(key_value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut cursor = Cursor::new(key_value);
    if cursor.key() != Ok(STRING) {
        return None;
    }
    let key = cursor.bytes().ok()?;
    if cursor.key() != Ok(0x12) {
        return None;
    }
    let value = cursor.bytes().ok()?;
    cursor.is_empty().then_some((key, value))
}

/// Key and `AnyValue` of a short `KeyValue`, whose lengths all take one byte: the usual form.
#[inline]
pub(super) fn short_pair(key_value: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, key_length @ 0..0x80, rest @ ..] = key_value else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*key_length))?;
    let [0x12, value_length @ 0..0x80, any_value @ ..] = rest else { return None };
    (any_value.len() == usize::from(*value_length)).then_some((key, any_value))
}

/// The text of a short `AnyValue` that is a string, with its length before it; not checked for UTF-8.
#[inline]
pub(super) fn short_string(any_value: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, encoded @ ..] = any_value else { return None };
    let [length @ 0..0x80, text @ ..] = encoded else { return None };
    (text.len() == usize::from(*length)).then_some((encoded, text))
}

/// The number of an `AnyValue` that is an integer.
#[inline]
pub(super) fn plain_int(any_value: &[u8]) -> Option<i64> {
    let [0x18, number @ ..] = any_value else { return None };
    let mut cursor = Cursor::new(number);
    let number = cursor.varint().ok()?;
    cursor.is_empty().then_some(number as i64)
}

/// Writes the text of a scalar and its sign.
pub(super) fn write_scalar(value: &Scalar<'_>, text: &mut Vec<u8>, signs: &mut Signs) {
    match value {
        Scalar::Empty => signs.push(b'e'),
        Scalar::Str(value) => {
            text.extend_from_slice(value);
            signs.push(b's');
        }
        Scalar::Bool(value) => {
            text.extend_from_slice(if *value { b"true" } else { b"false" });
            signs.push(b'b');
        }
        Scalar::Int(value) => {
            text.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes());
            signs.push(b'i');
        }
        Scalar::Double(value) => {
            push_double(text, *value);
            signs.push(b'd');
        }
        Scalar::Bytes(value) => {
            push_base64(text, value);
            signs.push(b'y');
        }
        Scalar::Nested(..) | Scalar::Unusual => {}
    }
}

/// Writes an array or map as JSON. `false` when something in it is not in the usual form or nested
/// too deep: then text and signs hold a part of it, and the caller goes the slow way.
pub(super) fn write_nested(open: u8, content: &[u8], text: &mut Vec<u8>, signs: &mut Signs, depth: u32) -> bool {
    if depth == 0 {
        return false;
    }
    let close = open + 2;
    text.push(open);
    signs.bracket(open);
    let mut cursor = Cursor::new(content);
    let mut first = true;
    while !cursor.is_empty() {
        if cursor.key() != Ok(STRING) {
            return false;
        }
        let Ok(element) = cursor.bytes() else { return false };
        if !first {
            text.push(b',');
        }
        first = false;
        let any_value = if open == b'{' {
            let Some((key, any_value)) = pair(element) else { return false };
            let Ok(key) = std::str::from_utf8(key) else { return false };
            push_json_string(text, key);
            text.push(b':');
            any_value
        } else {
            element
        };
        if !write_json(any_value, text, signs, depth - 1) {
            return false;
        }
    }
    signs.bracket(close);
    text.push(close);
    true
}

fn write_json(any_value: &[u8], text: &mut Vec<u8>, signs: &mut Signs, depth: u32) -> bool {
    match scalar(any_value) {
        Scalar::Empty => {
            text.extend_from_slice(b"null");
            signs.push(b'e');
        }
        Scalar::Str(value) => {
            let Ok(value) = std::str::from_utf8(value) else { return false };
            push_json_string(text, value);
            signs.push(b's');
        }
        Scalar::Nested(open, content) => return write_nested(open, content, text, signs, depth),
        Scalar::Unusual => return false,
        value @ (Scalar::Bytes(_) | Scalar::Double(f64::INFINITY | f64::NEG_INFINITY)) => quoted(&value, text, signs),
        value @ Scalar::Double(number) if number.is_nan() => quoted(&value, text, signs),
        value => write_scalar(&value, text, signs),
    }
    true
}

fn quoted(value: &Scalar<'_>, text: &mut Vec<u8>, signs: &mut Signs) {
    text.push(b'"');
    write_scalar(value, text, signs);
    text.push(b'"');
}

/// Appends the text of `value` and its signs.
pub(super) fn write_value(value: &Value, text: &mut Vec<u8>, signs: &mut Signs) {
    value.encode(text, &mut Vec::new());
    signs.push_value(value);
}

/// The slow way: an `AnyValue` merged into `value` by protobuf's rules.
///
/// # Errors
/// Whatever is wrong with the bytes, and [`What::Depth`].
pub(super) fn merge_value(value: &mut Value, any_value: &[u8], bounds: &mut Bounds, depth: u32) -> Result<(), Fault> {
    let mut cursor = Cursor::new(any_value);
    while !cursor.is_empty() {
        match cursor.key()? {
            STRING => *value = Value::Str(string(cursor.text()?)),
            BOOL => *value = Value::Bool(cursor.varint()? != 0),
            INT => *value = Value::Int(cursor.varint()? as i64),
            DOUBLE => *value = Value::Double(f64::from_bits(cursor.fixed64()?)),
            BYTES => *value = Value::Bytes(cursor.bytes()?.to_vec()),
            ARRAY => {
                let content = cursor.bytes()?;
                let mut values = match std::mem::replace(value, Value::Empty) {
                    Value::Array(values) => values,
                    _ => Vec::new(),
                };
                merge_array(&mut values, content, bounds, depth)?;
                *value = Value::Array(values);
            }
            MAP => {
                let content = cursor.bytes()?;
                let mut pairs = match std::mem::replace(value, Value::Empty) {
                    Value::Map(pairs) => pairs,
                    _ => Vec::new(),
                };
                merge_map(&mut pairs, content, bounds, depth)?;
                *value = Value::Map(pairs);
            }
            STRING_INDEX => {
                cursor.varint()?;
                *value = Value::Empty;
            }
            key => cursor.skip_unknown(key, ANY_VALUE)?,
        }
    }
    Ok(())
}

fn merge_array(values: &mut Vec<Value>, content: &[u8], bounds: &mut Bounds, depth: u32) -> Result<(), Fault> {
    let mut cursor = Cursor::new(content);
    let Some(depth) = depth.checked_sub(1) else { return Err(cursor.fault(What::Depth)) };
    while !cursor.is_empty() {
        match cursor.key()? {
            STRING => {
                let element = cursor.bytes()?;
                bounds.charge(NODE_BYTES, element)?;
                bounds.take(NODE_SLACK_BYTES, element)?;
                let mut value = Value::Empty;
                merge_value(&mut value, element, bounds, depth)?;
                values.push(value);
            }
            key => cursor.skip_unknown(key, LIST)?,
        }
    }
    Ok(())
}

fn merge_map(pairs: &mut Vec<(String, Value)>, content: &[u8], bounds: &mut Bounds, depth: u32) -> Result<(), Fault> {
    let mut cursor = Cursor::new(content);
    let Some(depth) = depth.checked_sub(1) else { return Err(cursor.fault(What::Depth)) };
    while !cursor.is_empty() {
        match cursor.key()? {
            STRING => {
                let element = cursor.bytes()?;
                bounds.charge(NODE_BYTES, element)?;
                bounds.take(NODE_SLACK_BYTES, element)?;
                let (key, value) = merge_pair(element, bounds, depth)?;
                pairs.push((string(key), value));
            }
            key => cursor.skip_unknown(key, LIST)?,
        }
    }
    Ok(())
}

/// The slow way of a whole `KeyValue`.
///
/// # Errors
/// As [`merge_value`].
pub(super) fn merge_pair<'a>(key_value: &'a [u8], bounds: &mut Bounds, depth: u32) -> Result<(&'a [u8], Value), Fault> {
    let mut cursor = Cursor::new(key_value);
    let mut name: &[u8] = b"";
    let mut value = Value::Empty;
    while !cursor.is_empty() {
        match cursor.key()? {
            STRING => name = cursor.text()?,
            0x12 => merge_value(&mut value, cursor.bytes()?, bounds, depth)?,
            // `key_strindex`: only profiles may use it.
            0x18 => drop(cursor.varint()?),
            key => cursor.skip_unknown(key, KEY_VALUE)?,
        }
    }
    Ok((name, value))
}

/// The last string in a `KeyValue`: its value where [`merge_pair`] made a string of it, because the
/// last member of a oneof wins.
///
/// # Errors
/// As [`merge_value`].
pub(super) fn last_text(key_value: &[u8]) -> Result<&[u8], Fault> {
    let mut last: &[u8] = b"";
    let mut cursor = Cursor::new(key_value);
    while !cursor.is_empty() {
        let key = cursor.key()?;
        if key != 0x12 {
            cursor.skip_unknown(key, 0)?;
            continue;
        }
        let mut any_value = Cursor::new(cursor.bytes()?);
        while !any_value.is_empty() {
            match any_value.key()? {
                STRING => last = any_value.bytes()?,
                key => any_value.skip_unknown(key, 0)?,
            }
        }
    }
    Ok(last)
}

/// The depth that the walker grants: the limit, within what the stack bears.
pub(super) fn depth(limits: &model::Limits) -> u32 {
    limits.depth_max.min(DEPTH_CEILING)
}

fn string(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
