//! Zipkin v1 as a Thrift list in the binary protocol. Sizes are claims of the sender: none is
//! believed beyond the bytes that are there, and nesting of skipped values is bounded.

use std::borrow::Cow;

use model::value::{push_base64, push_double};
use model::{SpanId, TraceId};

use super::span::{Endpoint, ZipkinSpan, lower_case};
use super::v1::{BinaryAnnotation, V1Annotation, V1Span, convert};
use super::{SPAN_ITEMS_MAX, too_many};

// Thrift's type numbers.
const STOP: u8 = 0;
const BOOL: u8 = 2;
const BYTE: u8 = 3;
const DOUBLE: u8 = 4;
const I16: u8 = 6;
const I32: u8 = 8;
const I64: u8 = 10;
const STRING: u8 = 11;
const STRUCT: u8 = 12;
const MAP: u8 = 13;
const SET: u8 = 14;
const LIST: u8 = 15;

/// Reads a Thrift list of v1 spans; values nested deeper than `depth_max` are refused.
pub(super) fn read_list<'a>(
    body: &'a [u8],
    depth_max: u32,
    sink: &mut dyn FnMut(ZipkinSpan<'a>),
) -> Result<(), String> {
    let mut reader = Reader { rest: body, depth_max };
    let mut read = || {
        // The element type is not looked at: a known client writes 11 where 12 is meant.
        reader.take(1)?;
        for _ in 0..reader.length()? {
            convert(span(&mut reader)?, sink)?;
        }
        Ok(())
    };
    read().map_err(|cause: String| format!("{cause} reading List<Span> from TBinary"))
}

fn span<'a>(reader: &mut Reader<'a>) -> Result<V1Span<'a>, String> {
    let mut span = V1Span::default();
    let (mut high, mut low) = (0, 0);
    while let Some(field) = reader.field()? {
        match field {
            (I64, 1) => low = reader.i64()?,
            (I64, 12) => high = reader.i64()?,
            (STRING, 3) => span.name = lower_case(reader.text()?),
            (I64, 4) => span.id = SpanId(reader.i64()?.to_be_bytes()),
            (I64, 5) => span.parent_id = Some(SpanId(reader.i64()?.to_be_bytes())).filter(|id| !id.is_none()),
            (LIST, 6) => reader.list(|reader| {
                few(span.annotations.len())?;
                span.annotations.extend(annotation(reader)?);
                Ok(())
            })?,
            (LIST, 8) => reader.list(|reader| {
                few(span.binary_annotations.len())?;
                span.binary_annotations.extend(binary_annotation(reader)?);
                Ok(())
            })?,
            (BOOL, 9) => span.debug = Some(reader.take(1)? == [1]),
            (I64, 10) => span.timestamp_us = reader.i64()?,
            (I64, 11) => span.duration_us = reader.i64()?,
            (kind, _) => reader.skip(kind, 0)?,
        }
    }
    // As Zipkin: the low half must be there whatever the high half says.
    if low != 0 {
        span.trace_id = TraceId(((high as u64 as u128) << 64 | (low as u64 as u128)).to_be_bytes());
    }
    span.id64 = high == 0;
    Ok(span)
}

fn few(held: usize) -> Result<(), String> {
    if held >= SPAN_ITEMS_MAX { Err(too_many()) } else { Ok(()) }
}

// An annotation without time or value says nothing and is left out.
fn annotation<'a>(reader: &mut Reader<'a>) -> Result<Option<V1Annotation<'a>>, String> {
    let (mut timestamp_us, mut value, mut host) = (0, None, None);
    while let Some(field) = reader.field()? {
        match field {
            (I64, 1) => timestamp_us = reader.i64()?,
            (STRING, 2) => value = Some(reader.text()?),
            (STRUCT, 3) => host = Some(endpoint(reader)?),
            (kind, _) => reader.skip(kind, 0)?,
        }
    }
    Ok(value.filter(|_| timestamp_us != 0).map(|value| V1Annotation { timestamp_us, value, endpoint: host }))
}

fn binary_annotation<'a>(reader: &mut Reader<'a>) -> Result<Option<BinaryAnnotation<'a>>, String> {
    let (mut key, mut value, mut form, mut host) = (None, None, -1, None);
    while let Some(field) = reader.field()? {
        match field {
            (STRING, 1) => key = Some(reader.text()?),
            (STRING, 2) => value = Some(reader.bytes()?),
            (I32, 3) => form = i32::from_be_bytes(reader.array()?),
            (STRUCT, 4) => host = Some(endpoint(reader)?),
            (kind, _) => reader.skip(kind, 0)?,
        }
    }
    let (Some(key), Some(value)) = (key, value) else { return Ok(None) };
    Ok(Some(BinaryAnnotation { key, value: Some(plain(form, value)?), endpoint: host }))
}

// The typed value as text: v2 has only text.
fn plain(form: i32, value: &[u8]) -> Result<Cow<'_, str>, String> {
    let number = match (form, value) {
        (0, _) => return Ok(Cow::Borrowed(if value == [1] { "true" } else { "false" })),
        (2, &[a, b]) => i64::from(i16::from_be_bytes([a, b])).to_string(),
        (3, &[a, b, c, d]) => i64::from(i32::from_be_bytes([a, b, c, d])).to_string(),
        (4, &[a, b, c, d, e, f, g, h]) => i64::from_be_bytes([a, b, c, d, e, f, g, h]).to_string(),
        (5, &[a, b, c, d, e, f, g, h]) => {
            let mut out = Vec::new();
            push_double(&mut out, f64::from_be_bytes([a, b, c, d, e, f, g, h]));
            String::from_utf8_lossy(&out).into_owned()
        }
        (6, _) => return text(value),
        _ => {
            let mut out = Vec::new();
            push_base64(&mut out, value);
            String::from_utf8_lossy(&out).into_owned()
        }
    };
    Ok(Cow::Owned(number))
}

fn endpoint<'a>(reader: &mut Reader<'a>) -> Result<Endpoint<'a>, String> {
    let mut endpoint = Endpoint::default();
    while let Some(field) = reader.field()? {
        match field {
            (I32, 1) => {
                let ip: [u8; 4] = reader.array()?;
                endpoint.ipv4 = Some(ip.into()).filter(|_| ip != [0; 4]).or(endpoint.ipv4);
            }
            (I16, 2) => endpoint.port = u16::from_be_bytes(reader.array()?),
            (STRING, 3) => endpoint.service_name = lower_case(reader.text()?),
            (STRING, 4) => endpoint.set_ip_bytes(reader.bytes()?),
            (kind, _) => reader.skip(kind, 0)?,
        }
    }
    Ok(endpoint)
}

struct Reader<'a> {
    rest: &'a [u8],
    depth_max: u32,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(format!("Truncated: length {length} > bytes available {}", self.rest.len()));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| "Malformed".to_owned())
    }

    fn i64(&mut self) -> Result<i64, String> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    // A length in bytes or in elements of at least one byte: never more than what is left.
    fn length(&mut self) -> Result<usize, String> {
        let length = i32::from_be_bytes(self.array()?);
        match usize::try_from(length) {
            Ok(length) if length <= self.rest.len() => Ok(length),
            _ => Err(format!("Truncated: length {length} > bytes available {}", self.rest.len())),
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<Cow<'a, str>, String> {
        text(self.bytes()?)
    }

    // Type and number of the next field; `None` at the end of the struct.
    fn field(&mut self) -> Result<Option<(u8, i16)>, String> {
        let [kind] = self.array()?;
        if kind == STOP {
            return Ok(None);
        }
        Ok(Some((kind, i16::from_be_bytes(self.array()?))))
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        self.take(1)?;
        for _ in 0..self.length()? {
            item(self)?;
        }
        Ok(())
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Result<(), String> {
        if depth > self.depth_max {
            return Err(format!("Malformed: nested deeper than {}", self.depth_max));
        }
        match kind {
            BOOL | BYTE => self.take(1).map(drop),
            I16 => self.take(2).map(drop),
            I32 => self.take(4).map(drop),
            DOUBLE | I64 => self.take(8).map(drop),
            STRING => self.bytes().map(drop),
            STRUCT => {
                while let Some((kind, _)) = self.field()? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            MAP => {
                let [key, value] = self.array()?;
                for _ in 0..self.length()? {
                    self.skip(key, depth + 1)?;
                    self.skip(value, depth + 1)?;
                }
                Ok(())
            }
            SET | LIST => {
                let [kind] = self.array()?;
                for _ in 0..self.length()? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(format!("Malformed: unknown type {kind}")),
        }
    }
}

fn text(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| "Malformed: text is not UTF-8".to_owned())
}
