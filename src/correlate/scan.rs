//! Trace context in running text: logfmt, JSON (also within JSON strings), brackets, headers dumped
//! into a line. A handful of anchors is searched first, so that text without an id costs little.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use model::{SpanId, TraceId};

use crate::keys::{KEY_BYTES_MAX, Key, classify, is_key_byte};
use crate::values::{self, Ids, ends, hex_run};

/// Trace context found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Trace id; a 64-bit one stands in the low half.
    pub trace: TraceId,
    /// Span id; zero when there is none.
    pub span: SpanId,
    /// How it was written.
    pub source: &'static str,
}

struct Anchors {
    trace_lower: Finder<'static>,
    trace_upper: Finder<'static>,
    w3c: Finder<'static>,
    xray: Finder<'static>,
    b3_lower: Finder<'static>,
    b3_upper: Finder<'static>,
    span_lower: Finder<'static>,
    span_upper: Finder<'static>,
    segment: Finder<'static>,
}

static ANCHORS: LazyLock<Anchors> = LazyLock::new(|| Anchors {
    trace_lower: Finder::new(b"race"),
    trace_upper: Finder::new(b"RACE"),
    w3c: Finder::new(b"00-"),
    xray: Finder::new(b"oot=1-"),
    b3_lower: Finder::new(b"b3"),
    b3_upper: Finder::new(b"B3"),
    span_lower: Finder::new(b"pan"),
    span_upper: Finder::new(b"PAN"),
    segment: Finder::new(b"egment"),
});

/// The trace context that `text` carries under a key or in a shape that describes itself. Of several
/// the first 128-bit id wins, searching keys before bare shapes; else the first 64-bit one.
pub fn find_in_text(text: &[u8]) -> Option<Found> {
    let anchors = &*ANCHORS;
    let mut best: Option<Found> = None;
    let mut wide = |found: Option<Found>| {
        let Some(found) = found else { return false };
        let narrow = found.trace.is_64_bit();
        if !narrow || best.is_none() {
            best = Some(found);
        }
        !narrow
    };
    let _ = anchors.trace_lower.find_iter(text).any(|at| wide(keyed(text, at)))
        || anchors.trace_upper.find_iter(text).any(|at| wide(keyed(text, at)))
        || anchors.w3c.find_iter(text).any(|at| wide(bare_traceparent(text, at)))
        || anchors.xray.find_iter(text).any(|at| wide(bare_xray(text, at)))
        || anchors.b3_lower.find_iter(text).any(|at| wide(keyed_b3(text, at)))
        || anchors.b3_upper.find_iter(text).any(|at| wide(keyed_b3(text, at)))
        || memchr::memchr_iter(b'[', text).any(|at| wide(brackets(text, at)));
    best
}

/// The text behind a key's separator: where the value begins, and whether quotes or a separator
/// stood between; `None` when something else follows the key.
pub(crate) fn value_of(text: &[u8]) -> Option<&[u8]> {
    let (rest, _) = skip(text, b"\"'\\ \t]");
    let rest = rest.strip_prefix(b":").or_else(|| rest.strip_prefix(b"="))?;
    let rest = rest.strip_prefix(b">").unwrap_or(rest);
    Some(skip(rest, b"\"'\\ \t[<(").0)
}

// The key around "race" at `at`, and its value.
fn keyed(text: &[u8], at: usize) -> Option<Found> {
    let (start, end) = key_around(text, at);
    let key = classify(&text[start..end]);
    let behind = &text[end..];
    if let Some(traces) = memchr::memmem::find(&text[start..end], b"/traces/") {
        // A path to a trace describes itself; it may be longer than a key.
        let project = text[..start + traces].len().saturating_sub(110);
        let path = memchr::memmem::rfind(&text[project..start + traces], b"projects/")? + project;
        return found(text, values::ids(Key::TraceShort, &text[path..])?, Key::Trace);
    }
    match key {
        Key::TraceShort => short(text, behind),
        key if key.is_trace() => {
            let ids = match value_of(behind) {
                Some(value) if key == Key::Trace && in_datadog_object(&text[..start]) => {
                    values::ids(Key::DdTrace, value).map(|ids| (ids, Key::DdTrace))
                }
                Some(value) => values::ids(key, value).map(|ids| (ids, key)),
                None => bare_value(behind).map(|ids| (ids, key)),
            };
            let (ids, key) = ids?;
            found(text, ids, key)
        }
        _ => None,
    }
}

// "trace" alone: "trace id: …", {"trace":{"id":"…"}}, trace=….
fn short(text: &[u8], behind: &[u8]) -> Option<Found> {
    let spaced = behind.strip_prefix(b" ").filter(|rest| rest.len() > 2 && rest[..2].eq_ignore_ascii_case(b"id"));
    if let Some(rest) = spaced.map(|rest| &rest[2..]).filter(|rest| ends(rest, 0)) {
        let ids = match value_of(rest) {
            Some(value) => values::ids(Key::Trace, value),
            None => bare_value(rest),
        };
        return found(text, ids?, Key::Trace);
    }
    let value = value_of(behind)?;
    let object = value.first() == Some(&b'{');
    let ids = values::ids(Key::TraceShort, if object { id_in_object(value)? } else { value })?;
    // "stack trace: deadbeefdeadbeef" is a sentence, not a key.
    let sentence = !object && ids.trace.is_64_bit() && behind.starts_with(b":");
    if sentence { None } else { found(text, ids, Key::Trace) }
}

// The value of the key "id" in an object that begins here.
fn id_in_object(text: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b'}', text)?.min(300);
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&text[from..end], b"id") {
        let at = from + at;
        if matches!(text[at - 1], b'"' | b'\'' | b' ' | b',' | b'{') && ends(text, at + 2) {
            return value_of(&text[at + 2..]);
        }
        from = at + 2;
    }
    None
}

// A full-width id directly behind its key and a space.
fn bare_value(behind: &[u8]) -> Option<Ids> {
    let value = behind.strip_prefix(b" ")?;
    if hex_run(value).len() == 32 { values::ids(Key::Trace, value) } else { None }
}

// Whether the key is the first one in an object called "dd", as Datadog's loggers write.
fn in_datadog_object(before: &[u8]) -> bool {
    let trim = |text: &[u8], signs: &[u8]| {
        let length = text.iter().rev().take(8).take_while(|byte| signs.contains(byte)).count();
        text.len() - length
    };
    let before = &before[..trim(before, b"\"'\\ {:")];
    before.ends_with(b"dd") && before.len().checked_sub(3).is_none_or(|at| !before[at].is_ascii_alphanumeric())
}

fn bare_traceparent(text: &[u8], at: usize) -> Option<Found> {
    let fresh = at == 0 || (ends(text, at - 1) && text[at - 1] != b'-');
    let ids = fresh.then(|| values::traceparent(&text[at..])).flatten()?;
    Some(Found { trace: ids.trace, span: ids.span, source: "traceparent" })
}

fn bare_xray(text: &[u8], at: usize) -> Option<Found> {
    let ids = values::xray_header(&text[at..])?;
    found(text, ids, Key::Xray)
}

fn keyed_b3(text: &[u8], at: usize) -> Option<Found> {
    let fresh = at == 0 || (ends(text, at - 1) && text[at - 1] != b'-');
    if !fresh || !ends(text, at + 2) {
        return None;
    }
    let ids = values::ids(Key::B3, value_of(&text[at + 2..])?)?;
    Some(Found { trace: ids.trace, span: ids.span, source: Key::B3.name() })
}

// Spring's brackets: [app,trace,span], [app,trace,span,true], [trace-span].
fn brackets(text: &[u8], at: usize) -> Option<Found> {
    let inner = &text[at + 1..];
    if hex_run(inner).len() == 32 && inner.get(32) == Some(&b'-') {
        return bracketed(values::b3(inner)?);
    }
    let window = &inner[..inner.len().min(128)];
    let comma = memchr::memchr3(b',', b']', b'[', window).filter(|at| window[*at] == b',')?;
    let ids = inner[comma + 1..].trim_ascii_start();
    let trace = hex_run(ids);
    if !matches!(trace.len(), 16 | 32) {
        return None;
    }
    if ids.get(trace.len()) == Some(&b'-') {
        return bracketed(values::b3(ids)?);
    }
    let rest = ids[trace.len()..].strip_prefix(b",")?.trim_ascii_start();
    let span = hex_run(rest);
    if span.len() != 16 || !matches!(rest.get(16), Some(b',' | b']')) {
        return None;
    }
    bracketed(Ids { trace: TraceId::from_hex(trace)?, span: SpanId::from_hex(span)? })
}

fn bracketed(ids: Ids) -> Option<Found> {
    Some(Found { trace: ids.trace, span: ids.span, source: "sleuth" })
}

// Completes ids with a span id that stands elsewhere in the text.
fn found(text: &[u8], ids: Ids, key: Key) -> Option<Found> {
    let span = if ids.span.is_none() { span_in(text, key == Key::DdTrace) } else { ids.span };
    Some(Found { trace: ids.trace, span, source: key.name() })
}

// The first span id under a key; Datadog's decimal ones belong to Datadog's trace ids.
fn span_in(text: &[u8], datadog: bool) -> SpanId {
    let anchors = &*ANCHORS;
    let read = |at: usize| {
        let (start, end) = key_around(text, at);
        let behind = &text[end..];
        let key = match classify(&text[start..end]) {
            Key::Span if datadog => Key::DdSpan,
            Key::DdSpan if !datadog => return None,
            key => key,
        };
        let spaced = behind.strip_prefix(b" ").filter(|rest| rest.len() > 2 && rest[..2].eq_ignore_ascii_case(b"id"));
        let behind = if key == Key::SpanShort { spaced.map_or(behind, |rest| &rest[2..]) } else { behind };
        let value = value_of(behind)?;
        let value = if value.first() == Some(&b'{') { id_in_object(value)? } else { value };
        values::span(key, value)
    };
    let finders = [&anchors.span_lower, &anchors.span_upper, &anchors.segment];
    finders.iter().find_map(|finder| finder.find_iter(text).find_map(read)).unwrap_or(SpanId::NONE)
}

// The bounds of the key that `at` lies in; cut off where it is longer than any key.
fn key_around(text: &[u8], at: usize) -> (usize, usize) {
    let before = text[..at].iter().rev().take(KEY_BYTES_MAX).take_while(|byte| is_key_byte(**byte)).count();
    let behind = text[at..].iter().take(KEY_BYTES_MAX).take_while(|byte| is_key_byte(**byte)).count();
    (at - before, at + behind)
}

fn skip<'a>(text: &'a [u8], signs: &[u8]) -> (&'a [u8], usize) {
    let length = text.iter().take(8).take_while(|byte| signs.contains(byte)).count();
    (&text[length..], length)
}
