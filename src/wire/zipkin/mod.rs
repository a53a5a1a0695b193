//! Zipkin: v2 as JSON and protobuf, v1 as JSON and Thrift, all read into one [`ZipkinSpan`] and from
//! there into columns, so that the rules of Zipkin's model stand in one place ([`span`]) and nothing
//! that a reader could ask back is lost ([`encode`]). It knows neither HTTP nor the query side.
//!
//! As in Zipkin, one invalid span refuses the whole request. Spec: facts on Zipkin, sections 1 to 3.

pub mod answer;
mod columns;
pub mod encode;
mod json;
mod json_v1;
mod proto;
pub mod span;
mod thrift;
mod v1;

use memchr::memmem;
use model::{Decoded, Envelope, Limits, Protocol};

use crate::DecodeError;
use columns::Columns;
pub use encode::{Row, encode_v2_json};
pub use span::{Annotation, Endpoint, Kind, ZipkinSpan};

/// Tags, annotations or v1 annotations of one span above which a request is refused. More than any
/// limit keeps, and few enough to be held while the span is read.
const SPAN_ITEMS_MAX: usize = 32 * 1024;

fn too_many() -> String {
    format!("a span has more than {SPAN_ITEMS_MAX} tags or annotations")
}

/// Decodes one of the four Zipkin formats. An empty body is an empty list.
///
/// # Errors
/// When the body is not a list of its format, is of the other version, or any span breaks a rule. The
/// texts are Zipkin's own where it has them, without a line end.
pub fn decode(protocol: Protocol, body: &[u8], envelope: Envelope, limits: &Limits) -> Result<Decoded, DecodeError> {
    let mut columns = Columns::new(envelope, limits);
    if !body.is_empty() {
        read(protocol, body, limits, &mut |span| columns.push(span)).map_err(DecodeError::new)?;
    }
    columns.finish().ok_or(DecodeError::Memory)
}

/// Reads the spans of `body` without making columns of them.
///
/// # Errors
/// As [`decode`].
pub fn read<'a>(
    protocol: Protocol,
    body: &'a [u8],
    limits: &Limits,
    sink: &mut dyn FnMut(ZipkinSpan<'a>),
) -> Result<(), String> {
    if let Some(refusal) = unexpected(protocol, body) {
        return Err(refusal);
    }
    match protocol {
        Protocol::ZipkinV2Json => json::read_list(body, sink),
        Protocol::ZipkinV2Proto => proto::read_list(body, sink),
        Protocol::ZipkinV1Json => json_v1::read_list(body, sink),
        Protocol::ZipkinV1Thrift => thrift::read_list(body, limits.depth_max, sink),
        _ => Err(format!("{protocol:?} is not a Zipkin format")),
    }
}

/// The format of a list of spans by its first bytes and fields, as Zipkin's message queue transports
/// tell them apart; `None` when it is no list that Zipkin knows.
pub fn sniff(body: &[u8]) -> Option<Protocol> {
    if let Some(rest) = body.trim_ascii_start().strip_prefix(b"[")
        && matches!(rest.trim_ascii_start().first(), Some(b'{' | b']'))
    {
        return Some(if has_v2_fields(body) { Protocol::ZipkinV2Json } else { Protocol::ZipkinV1Json });
    }
    match body {
        [10, next, ..] if *next != 0 => Some(Protocol::ZipkinV2Proto),
        [11 | 12, ..] => Some(Protocol::ZipkinV1Thrift),
        _ => None,
    }
}

// Zipkin's answer to a body that is not what its path and content type say. A v1 and a v2 span with
// few fields look the same, so only fields that the other version alone has count.
fn unexpected(protocol: Protocol, body: &[u8]) -> Option<String> {
    let name = format_name(protocol);
    let list = match protocol {
        Protocol::ZipkinV2Json | Protocol::ZipkinV1Json => body.trim_ascii_start().first() == Some(&b'['),
        Protocol::ZipkinV1Thrift => matches!(body.first(), Some(11 | 12)),
        _ => body.first() == Some(&10),
    };
    if !list {
        return Some(format!("Expected a {name} encoded list"));
    }
    let other = match protocol {
        Protocol::ZipkinV2Json if memmem::find(body, b"yAnnotations\"").is_some() => Protocol::ZipkinV1Json,
        Protocol::ZipkinV1Json if has_v2_fields(body) => Protocol::ZipkinV2Json,
        _ => return None,
    };
    Some(format!("Expected a {name} encoded list, but received: {}", format_name(other)))
}

fn has_v2_fields(body: &[u8]) -> bool {
    memmem::find(body, b"Endpoint\"").is_some() || memmem::find(body, b"\"tags\"").is_some()
}

fn format_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::ZipkinV2Json => "JSON_V2",
        Protocol::ZipkinV2Proto => "PROTO3",
        Protocol::ZipkinV1Json => "JSON_V1",
        _ => "THRIFT",
    }
}

#[cfg(test)]
mod tests;
