//! The shapes in which trace context is written. Each reader takes the text from where the value
//! begins, and answers only when the whole shape is there, ends cleanly, and is not zero.

use model::{SpanId, TraceId};

use crate::keys::Key;

/// Trace and span id of one value; the span may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
}

/// The ids in the value of a trace key.
pub(crate) fn ids(key: Key, text: &[u8]) -> Option<Ids> {
    match key {
        Key::Traceparent => traceparent(text),
        Key::Uber => uber(text),
        Key::Xray => xray_header(text),
        Key::CloudContext => cloud_context(text),
        Key::B3 => b3(text),
        Key::DdTrace => datadog_trace(text).map(alone),
        Key::Trace => plain(text)
            .or_else(|| traceparent(text))
            .or_else(|| xray_header(text))
            .or_else(|| google_path(text))
            .or_else(|| uber(text)),
        Key::TraceShort => google_path(text).or_else(|| plain(text)),
        Key::Other | Key::Span | Key::SpanShort | Key::DdSpan => None,
    }
}

/// The span id in the value of a span key.
pub(crate) fn span(key: Key, text: &[u8]) -> Option<SpanId> {
    match key {
        Key::Span | Key::SpanShort => span_id(hex_of(text, 16)?),
        Key::DdSpan => decimal(text)
            .map(|number| SpanId(number.to_be_bytes()))
            .filter(|id| !id.is_none())
            .or_else(|| span_id(hex_of(text, 16)?)),
        _ => None,
    }
}

/// `version-trace-span-flags`.
pub(crate) fn traceparent(text: &[u8]) -> Option<Ids> {
    let (version, rest) = group(text, 2)?;
    let (trace, rest) = group(rest, 32)?;
    let (parent, rest) = group(rest, 16)?;
    let flags = hex_run(rest);
    let later_version = rest.get(2) == Some(&b'-') && version != b"00";
    if version.eq_ignore_ascii_case(b"ff") || flags.len() != 2 || !(ends(rest, 2) || later_version) {
        return None;
    }
    // Without a span id the whole header is invalid by its specification.
    Some(Ids { trace: TraceId::from_hex(trace)?, span: SpanId::from_hex(parent)? })
}

/// `trace-span[-flag[-parent]]`.
pub(crate) fn b3(text: &[u8]) -> Option<Ids> {
    let trace = hex_run(text);
    if !matches!(trace.len(), 16 | 32) {
        return None;
    }
    let rest = text[trace.len()..].strip_prefix(b"-")?;
    let span = hex_run(rest);
    let rest = &rest[span.len()..];
    let flagged = matches!(rest, [b'-', b'0' | b'1' | b'd', ..]) && (ends(rest, 2) || rest[2] == b'-');
    if span.len() != 16 || !(flagged || ends(rest, 0)) {
        return None;
    }
    Some(Ids { trace: TraceId::from_hex(trace)?, span: SpanId::from_hex(span)? })
}

/// `Root=1-seconds-random[;Parent=span]`, or the root alone.
pub(crate) fn xray_header(text: &[u8]) -> Option<Ids> {
    let head = &text[..text.len().min(200)];
    let root = memchr::memmem::find(head, b"oot=1-").map_or(0, |at| at + 4);
    let ids = xray_root(&text[root..])?;
    let parent = memchr::memmem::find(head, b"Parent=").and_then(|at| hex_of(&text[at + 7..], 16));
    Some(Ids { span: parent.and_then(span_id).unwrap_or(ids.span), ..ids })
}

/// `1-seconds-random`: 8 and 24 digits that together are the trace id.
pub(crate) fn xray_root(text: &[u8]) -> Option<Ids> {
    let rest = text.strip_prefix(b"1-")?;
    let (seconds, rest) = group(rest, 8)?;
    let random = hex_of(rest, 24)?;
    Some(alone(TraceId::from_hex(&[seconds, random].concat())?))
}

/// `trace:span:parent:flags`, ids without padding, the colons possibly escaped.
fn uber(text: &[u8]) -> Option<Ids> {
    let (trace, rest) = colon(text, 32)?;
    let (span, rest) = colon(rest, 16)?;
    let (_parent, rest) = colon(rest, 16)?;
    let flags = hex_run(rest).len();
    if !(1..=2).contains(&flags) || !ends(rest, flags) {
        return None;
    }
    Some(Ids { trace: TraceId::from_hex(trace)?, span: SpanId::from_hex(span)? })
}

/// `trace/span;o=1`, the span in decimal.
fn cloud_context(text: &[u8]) -> Option<Ids> {
    let trace = hex_run(text);
    if trace.len() != 32 {
        return None;
    }
    let rest = &text[32..];
    let span = rest.strip_prefix(b"/").and_then(decimal).map_or(SpanId::NONE, |number| SpanId(number.to_be_bytes()));
    (rest.first() == Some(&b'/') || ends(rest, 0)).then_some(())?;
    Some(Ids { trace: TraceId::from_hex(trace)?, span })
}

/// `projects/<name>/traces/<trace>`.
fn google_path(text: &[u8]) -> Option<Ids> {
    let name = text.strip_prefix(b"projects/")?;
    let end = name.iter().take(100).position(|byte| *byte == b'/')?;
    let trace = hex_of(name[end..].strip_prefix(b"/traces/")?, 32)?;
    Some(alone(TraceId::from_hex(trace)?))
}

/// 32 or 16 digits, with or without `-span` behind.
fn plain(text: &[u8]) -> Option<Ids> {
    let trace = hex_run(text);
    if !matches!(trace.len(), 16 | 32) {
        return None;
    }
    if ends(text, trace.len()) && text.get(trace.len()) != Some(&b'-') {
        return Some(alone(TraceId::from_hex(trace)?));
    }
    b3(text)
}

/// Decimal of 64 bits, or 32 hex digits.
fn datadog_trace(text: &[u8]) -> Option<TraceId> {
    if let Some(number) = decimal(text) {
        return Some(TraceId::from_low(number)).filter(|id| !id.is_none());
    }
    TraceId::from_hex(hex_of(text, 32).or_else(|| hex_of(text, 16))?)
}

/// Whether the text ends, or goes on with something that is not part of a word, at `at`.
pub(crate) fn ends(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
}

pub(crate) fn hex_run(text: &[u8]) -> &[u8] {
    let length = text.iter().take(33).take_while(|byte| byte.is_ascii_hexdigit()).count();
    &text[..length]
}

pub(crate) fn alone(trace: TraceId) -> Ids {
    Ids { trace, span: SpanId::NONE }
}

fn span_id(hex: &[u8]) -> Option<SpanId> {
    SpanId::from_hex(hex)
}

// Exactly `digits` hex digits that end a word; a UUID goes on with a hyphen.
fn hex_of(text: &[u8], digits: usize) -> Option<&[u8]> {
    let run = hex_run(text);
    (run.len() == digits && ends(text, digits) && text.get(digits) != Some(&b'-')).then_some(run)
}

// `digits` hex digits and a hyphen, and what follows.
fn group(text: &[u8], digits: usize) -> Option<(&[u8], &[u8])> {
    let run = hex_run(text);
    let rest = text.get(digits..)?.strip_prefix(b"-")?;
    (run.len() == digits).then_some((run, rest))
}

// Up to `digits_max` hex digits and a colon, plain or escaped for URLs.
fn colon(text: &[u8], digits_max: usize) -> Option<(&[u8], &[u8])> {
    let run = hex_run(text);
    let rest = &text[run.len()..];
    let escaped = || rest.strip_prefix(b"%3A").or_else(|| rest.strip_prefix(b"%3a"));
    let rest = rest.strip_prefix(b":").or_else(escaped)?;
    (1..=digits_max).contains(&run.len()).then_some((run, rest))
}

fn decimal(text: &[u8]) -> Option<u64> {
    let length = text.iter().take(21).take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || !ends(text, length) || text.get(length) == Some(&b'-') {
        return None;
    }
    std::str::from_utf8(&text[..length]).ok()?.parse().ok()
}
