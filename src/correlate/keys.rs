//! What a key says about its value: the spellings under which loggers and HTTP clients write trace
//! and span ids. A key decides; a bare number never is an id because it looks like one.

/// What stands behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Nothing of interest.
    Other,
    /// A trace id in any self-describing form.
    Trace,
    /// `trace` alone: an id, a path to one, or an object that holds one.
    TraceShort,
    /// Datadog's decimal trace id.
    DdTrace,
    /// W3C `traceparent`.
    Traceparent,
    /// Jaeger's `uber-trace-id`.
    Uber,
    /// AWS X-Ray's header.
    Xray,
    /// Google's `X-Cloud-Trace-Context`.
    CloudContext,
    /// B3 in a single header.
    B3,
    /// A span id.
    Span,
    /// `span` alone.
    SpanShort,
    /// Datadog's decimal span id.
    DdSpan,
}

impl Key {
    /// The name that a join from a body is labelled with.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Key::Traceparent => "traceparent",
            Key::Uber => "uber-trace-id",
            Key::Xray => "x-amzn-trace-id",
            Key::CloudContext => "x-cloud-trace-context",
            Key::B3 => "b3",
            Key::DdTrace => "dd.trace_id",
            _ => "trace_id",
        }
    }

    /// Whether a trace id is to be expected.
    pub(crate) fn is_trace(self) -> bool {
        !matches!(self, Key::Other | Key::Span | Key::SpanShort | Key::DdSpan)
    }
}

/// Longest key looked at, bytes.
pub(crate) const KEY_BYTES_MAX: usize = 64;

// Ids of something related to the log, but not the log's own.
const FOREIGN: [&[u8]; 11] =
    [b"cause", b"parent", b"link", b"prev", b"orig", b"old", b"other", b"relat", b"target", b"follow", b"upstream"];

// The same, where the letters also stand in words that say nothing ("notification", "resource").
const FOREIGN_WORDS: [&[u8]; 2] = [b"not", b"source"];

// Prefixes that are glued on in lower case.
const GLUED: [&[u8]; 12] =
    [b"otel", b"x", b"xb3", b"b3", b"dd", b"mdc", b"apm", b"w3c", b"context", b"http", b"grpc", b"app"];

/// Whether a byte may be part of a key.
pub(crate) fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
}

/// What `key` says, in any case and with any of the usual separators.
pub(crate) fn classify(key: &[u8]) -> Key {
    let mut flat = [0; KEY_BYTES_MAX];
    let mut length = 0;
    if key.len() > KEY_BYTES_MAX {
        return Key::Other;
    }
    for byte in key.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        flat[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let flat = &flat[..length];
    let named = flat.strip_suffix(b"traceparent").unwrap_or(flat);
    if FOREIGN.iter().any(|word| contains(named, word)) || FOREIGN_WORDS.iter().any(|word| has_word(key, word)) {
        return Key::Other;
    }
    let ends = |word: &[u8]| flat.ends_with(word);
    match flat {
        b"b3" => Key::B3,
        b"trace" => Key::TraceShort,
        b"span" => Key::SpanShort,
        _ if ends(b"traceparent") => Key::Traceparent,
        _ if ends(b"ubertraceid") => Key::Uber,
        _ if ends(b"amzntraceid") || ends(b"xraytraceid") => Key::Xray,
        _ if ends(b"cloudtracecontext") => Key::CloudContext,
        _ if ends(b"googleapiscomtrace") => Key::TraceShort,
        _ if ends(b"traceid") && stands_alone(key, flat, 7) => if_datadog(flat, 7, Key::DdTrace, Key::Trace),
        _ if ends(b"spanid") && stands_alone(key, flat, 6) => if_datadog(flat, 6, Key::DdSpan, Key::Span),
        _ if ends(b"segmentid") && stands_alone(key, flat, 9) => Key::Span,
        _ if key.ends_with(b".b3") || key.ends_with(b"-b3") => Key::B3,
        _ => Key::Other,
    }
}

// Whether the last `letters` letters of the key are a word of their own: behind a separator, a hump
// of camel case or a known prefix ("backtraceid" is none).
fn stands_alone(key: &[u8], flat: &[u8], letters: usize) -> bool {
    let prefix = &flat[..flat.len() - letters];
    if prefix.is_empty() || GLUED.contains(&prefix) {
        return true;
    }
    let mut left = letters;
    let start = key.iter().rposition(|byte| {
        left -= usize::from(byte.is_ascii_alphanumeric());
        left == 0
    });
    let Some(start) = start else { return false };
    match start.checked_sub(1).map(|before| key[before]) {
        Some(before) if before.is_ascii_alphabetic() => key[start].is_ascii_uppercase() && before.is_ascii_lowercase(),
        _ => true,
    }
}

fn if_datadog(flat: &[u8], letters: usize, yes: Key, no: Key) -> Key {
    let prefix = &flat[..flat.len() - letters];
    if prefix.ends_with(b"dd") || prefix.ends_with(b"datadog") { yes } else { no }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

// Whether `word` stands in `key` between separators or humps of camel case.
fn has_word(key: &[u8], word: &[u8]) -> bool {
    let parted = |before: u8, next: u8| {
        !before.is_ascii_alphabetic()
            || !next.is_ascii_alphabetic()
            || (before.is_ascii_lowercase() && next.is_ascii_uppercase())
    };
    (0..(key.len() + 1).saturating_sub(word.len())).any(|at| {
        let end = at + word.len();
        key[at..end].eq_ignore_ascii_case(word)
            && (at == 0 || parted(key[at - 1], key[at]))
            && (end == key.len() || parted(key[end - 1], key[end]))
    })
}
