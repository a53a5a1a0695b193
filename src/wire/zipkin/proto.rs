//! Zipkin v2 as protobuf (`zipkin.proto3.ListOfSpans`), read field by field without generated types.
//! Unknown fields are passed over, groups refused.

use std::borrow::Cow;

use model::{SpanId, TraceId};

use super::span::{Annotation, Endpoint, Kind, Tag, ZipkinSpan, lower_case};
use super::{SPAN_ITEMS_MAX, too_many};

/// Reads a `ListOfSpans`.
pub(super) fn read_list<'a>(body: &'a [u8], sink: &mut dyn FnMut(ZipkinSpan<'a>)) -> Result<(), String> {
    let read = each_field(body, &mut |number, field| {
        if number == 1 {
            sink(span(field.bytes()?)?);
        }
        Ok(())
    });
    read.map_err(|cause| format!("{cause} reading List<Span> from proto3"))
}

fn span(body: &[u8]) -> Result<ZipkinSpan<'_>, String> {
    let mut span = ZipkinSpan::default();
    each_field(body, &mut |number, field| {
        match number {
            1 => {
                span.trace_id = TraceId(padded("traceId", field.bytes()?)?);
                span.id64 = span.trace_id.is_64_bit();
            }
            2 => span.parent_id = Some(SpanId(padded("parentId", field.bytes()?)?)).filter(|id| !id.is_none()),
            3 => span.id = SpanId(padded("id", field.bytes()?)?),
            4 => span.kind = Kind::from_proto(field.number()?).or(span.kind),
            5 => span.name = lower_case(field.text()?),
            6 => span.timestamp_us = positive(field.number()?),
            7 => span.duration_us = positive(field.number()?),
            8 => span.local = Some(endpoint(field.bytes()?)?),
            9 => span.remote = Some(endpoint(field.bytes()?)?),
            10 | 11 if span.annotations.len().max(span.tags.len()) >= SPAN_ITEMS_MAX => return Err(too_many()),
            10 => span.annotations.extend(annotation(field.bytes()?)?),
            11 => span.tags.extend(tag(field.bytes()?)?),
            // proto3 does not write false; true is the only thing that was surely said.
            12 if flag(&field)? => span.debug = Some(true),
            13 if flag(&field)? => span.shared = Some(true),
            _ => {}
        }
        Ok(())
    })?;
    span.finish()
}

fn endpoint(body: &[u8]) -> Result<Endpoint<'_>, String> {
    let mut endpoint = Endpoint::default();
    each_field(body, &mut |number, field| {
        match number {
            1 => endpoint.service_name = lower_case(field.text()?),
            2 | 3 => endpoint.set_ip_bytes(field.bytes()?),
            // int32: negative numbers arrive as 64-bit two's complement.
            4 => endpoint.set_port(i64::from(field.number()? as i32))?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(endpoint)
}

fn annotation(body: &[u8]) -> Result<Option<Annotation<'_>>, String> {
    let (mut timestamp_us, mut value) = (0, Cow::Borrowed(""));
    each_field(body, &mut |number, field| {
        match number {
            1 => timestamp_us = field.number()? as i64,
            2 => value = field.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((timestamp_us != 0 && !value.is_empty()).then_some(Annotation { timestamp_us, value }))
}

fn tag(body: &[u8]) -> Result<Option<Tag<'_>>, String> {
    let (mut key, mut value) = (Cow::Borrowed(""), Cow::Borrowed(""));
    each_field(body, &mut |number, field| {
        match number {
            1 => key = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((!key.is_empty()).then_some((key, value)))
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn number(&self) -> Result<u64, String> {
        match self {
            Field::Number(number) => Ok(*number),
            Field::Bytes(_) => Err("Malformed: expected a number".into()),
        }
    }

    fn bytes(&self) -> Result<&'a [u8], String> {
        match self {
            Field::Bytes(bytes) => Ok(bytes),
            Field::Number(_) => Err("Malformed: expected a length-delimited field".into()),
        }
    }

    fn text(&self) -> Result<Cow<'a, str>, String> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(Cow::Borrowed).map_err(|_| "Malformed: text is not UTF-8".to_owned())
    }
}

fn each_field<'a>(
    mut body: &'a [u8],
    visit: &mut dyn FnMut(u32, Field<'a>) -> Result<(), String>,
) -> Result<(), String> {
    while !body.is_empty() {
        let key = varint(&mut body)?;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut body)?),
            1 => Field::Number(u64::from_le_bytes(array(&mut body)?)),
            2 => {
                let length = varint(&mut body)?;
                Field::Bytes(take(&mut body, usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => Field::Number(u64::from(u32::from_le_bytes(array(&mut body)?))),
            wire_type => return Err(format!("Malformed: invalid wireType {wire_type}")),
        };
        match u32::try_from(key >> 3) {
            Ok(number @ 1..) => visit(number, field)?,
            _ => return Err("Malformed: fieldNumber was zero".into()),
        }
    }
    Ok(())
}

fn varint(body: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let [byte] = array(body)?;
        number |= u64::from(byte & 0x7f) << shift.min(63);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("Malformed: a number is longer than 64 bits".into())
}

fn take<'a>(body: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let Some((taken, rest)) = body.split_at_checked(length) else {
        return Err(format!("Truncated: length {length} > bytes available {}", body.len()));
    };
    *body = rest;
    Ok(taken)
}

fn array<const N: usize>(body: &mut &[u8]) -> Result<[u8; N], String> {
    take(body, N)?.try_into().map_err(|_| "Malformed".to_owned())
}

// Ids are big-endian and may be short; zeros count as missing.
fn padded<const N: usize>(name: &str, bytes: &[u8]) -> Result<[u8; N], String> {
    let mut id = [0; N];
    let start = N.checked_sub(bytes.len()).ok_or_else(|| format!("{name}.length > {}", N * 2))?;
    id[start..].copy_from_slice(bytes);
    Ok(id)
}

// Java reads these as signed: what is above is negative, that is, absent.
fn positive(number: u64) -> u64 {
    if number > i64::MAX as u64 { 0 } else { number }
}

fn flag(field: &Field<'_>) -> Result<bool, String> {
    match field.number()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err("Malformed: invalid boolean value".into()),
    }
}
