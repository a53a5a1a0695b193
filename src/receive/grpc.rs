//! The gRPC framing of unary calls, by hand: one length-prefixed message in, one message and trailers
//! out.
//!
//! A gRPC library would give us a decompressed, decoded message and its own error codes. We need the
//! message as received (the journal keeps it), paid from the byte budget frame by frame, and OTLP's
//! codes: too large must be RESOURCE_EXHAUSTED, a corrupt stream INVALID_ARGUMENT.
//! Spec: gRPC over HTTP/2; gRPC compression.

use std::time::Duration;

use access::{Budget, Limits, Permit};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use wire::encoding::Encoding;
use wire::otlp::answer::{self, Format};

use crate::body::{self, Frames, Whole};
use crate::fault::Fault;

/// Flag and length before a message.
pub(crate) const PREFIX_BYTES: usize = 5;

const CONTENT_TYPE: &str = "application/grpc";
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Header with the packing of messages whose flag is set.
pub(crate) const ENCODING: &str = "grpc-encoding";

/// A message as received.
pub(crate) struct Message {
    /// Its packing: the call's, or identity when its flag is not set.
    pub(crate) encoding: Encoding,
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// The budget held for them.
    pub(crate) permit: Permit,
}

/// Whether the request speaks gRPC with protobuf messages.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let Some(rest) = value.strip_prefix(CONTENT_TYPE.as_bytes()) else { return false };
    rest.is_empty() || rest.starts_with(b";") || rest == b"+proto" || rest.starts_with(b"+proto;")
}

/// What is wrong with a request that should be a gRPC call: answered on HTTP, as gRPC prescribes.
pub(crate) fn not_grpc(parts: &Parts) -> Option<Response> {
    if !is_grpc(&parts.headers) {
        let text = "this is a gRPC method; OTLP/HTTP has a port of its own (4318 by default)\n";
        return Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response());
    }
    if parts.method != Method::POST {
        return Some((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")], "").into_response());
    }
    None
}

/// The caller's deadline; a malformed one is no deadline.
pub(crate) fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Reads the one message of a unary call. A message in one HTTP/2 frame is not copied, others once.
pub(crate) async fn read_message(
    body: &mut Body,
    encoding: Encoding,
    limits: &Limits,
    budget: &Budget,
) -> Result<Message, Fault> {
    let declared = body.size_hint().exact();
    body::check_claim(declared.map(|bytes| bytes.saturating_sub(PREFIX_BYTES as u64)), limits.body_bytes_max, budget)?;
    let mut frames = Frames::new(body, limits, budget);
    let mut head = frames.next().await?.ok_or(Fault::Cardinality)?;
    while head.len() < PREFIX_BYTES {
        let more = frames.next().await?.ok_or_else(cut)?;
        head = [head, more].concat().into();
    }
    let flag = head.get_u8();
    let length = head.get_u32() as usize;
    check_prefix(flag, length, encoding, limits, budget)?;
    let (bytes, permit) = read_rest(frames, head, length).await?;
    let encoding = if flag == 0 { Encoding::Identity } else { encoding };
    Ok(Message { encoding, bytes, permit })
}

fn check_prefix(flag: u8, length: usize, encoding: Encoding, limits: &Limits, budget: &Budget) -> Result<(), Fault> {
    match flag {
        0 => {}
        1 if encoding == Encoding::Identity => return Err(Fault::Flag),
        1 => {}
        _ => return Err(Fault::Broken(format!("the message flag is {flag}, not 0 or 1"))),
    }
    if length > limits.body_bytes_max {
        return Err(Fault::too_large("the message", limits.body_bytes_max));
    }
    body::check_claim(Some(length as u64), limits.body_bytes_max, budget)
}

// Also waits for the end of the stream: a second message would have no answer.
async fn read_rest(mut frames: Frames<'_>, head: Bytes, length: usize) -> Result<(Bytes, Permit), Fault> {
    if head.len() > length {
        return Err(Fault::Cardinality);
    }
    if head.len() == length {
        return match frames.is_over() || frames.next().await?.is_none() {
            true => Ok((head, frames.into_permit())),
            false => Err(Fault::Cardinality),
        };
    }
    let mut whole = Whole::start(&head, length, &mut frames)?;
    drop(head);
    while let Some(frame) = frames.next().await? {
        if whole.len() + frame.len() > length {
            return Err(Fault::Cardinality);
        }
        whole.add(&frame, &mut frames)?;
    }
    if whole.len() < length {
        return Err(cut());
    }
    Ok(whole.finish(frames))
}

fn cut() -> Fault {
    Fault::Broken("it ends within a message".into())
}

/// The answer to a call that succeeded.
pub(crate) fn reply(message: &[u8]) -> Response {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    let body = Full::new(frame(message)).with_trailers(std::future::ready(Some(Ok(trailers))));
    ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], Body::new(body)).into_response()
}

/// A message with its prefix, not packed.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.freeze()
}

/// The answer to a call that failed: trailers only, with a `google.rpc.Status` in
/// `grpc-status-details-bin` where it says more than code and message do.
pub(crate) fn refuse(fault: &Fault) -> Response {
    let (code, message) = (fault.grpc(), fault.message());
    let says_more = fault.retry_after().is_some() || code == tonic::Code::InvalidArgument;
    let details = match says_more {
        true => answer::status(Format::Protobuf, code as i32, &message, fault.retry_after()).into(),
        false => Bytes::new(),
    };
    let mut response: Response = tonic::Status::with_details(code, message, details).into_http();
    if matches!(fault, Fault::Encoding(_)) {
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip,zstd,deflate,identity"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: grpc-timeout values of the specification, and malformed ones.
    // Guarantee: every unit is understood; nonsense means no deadline rather than a failed request.
    #[test]
    fn deadlines() {
        for (text, expected_ns) in [
            ("1H", Some(3_600_000_000_000u128)),
            ("2M", Some(120_000_000_000)),
            ("3S", Some(3_000_000_000)),
            ("250m", Some(250_000_000)),
            ("5u", Some(5_000)),
            ("7n", Some(7)),
            ("99999999H", Some(359_999_996_400_000_000_000)),
            ("0S", Some(0)),
            ("999999999S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("+1S", None),
            ("1", None),
            ("1s", None),
            ("1 S", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, text.parse().expect("a header value"));
            assert_eq!(deadline(&headers).map(|time| time.as_nanos()), expected_ns, "{text}");
        }
    }

    // Scenario: content types of gRPC, of its relatives, and of others.
    // Guarantee: only protobuf over plain gRPC is taken for it.
    #[test]
    fn content_types() {
        for (text, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc+proto; x=y", true),
            ("application/grpc+json", false),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/x-protobuf", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().expect("a header value"));
            assert_eq!(is_grpc(&headers), expected, "{text}");
        }
    }
}
