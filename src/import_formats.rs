//! What import must know of the formats: telling them apart by their beginning, counting what an
//! item holds (and thereby checking it), and moving its times.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use memchr::memchr;
use memchr::memmem::find;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

use crate::import_items::Shape;

/// A file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OTLP JSON, lines or a document.
    Otlp,
    /// Zipkin JSON, v1 or v2.
    Zipkin,
    /// Jaeger JSON.
    Jaeger,
}

/// What a request carries, which says where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cargo {
    /// OTLP resource spans.
    Traces,
    /// OTLP resource logs.
    Logs,
    /// OTLP resource metrics.
    Metrics,
    /// Zipkin v2 spans.
    ZipkinV2,
    /// Zipkin v1 spans.
    ZipkinV1,
}

const OTLP_KEYS: [&str; 6] =
    ["resourceSpans", "resourceLogs", "resourceMetrics", "resource_spans", "resource_logs", "resource_metrics"];

impl Format {
    /// The name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Otlp => "OTLP JSON",
            Format::Zipkin => "Zipkin JSON",
            Format::Jaeger => "Jaeger JSON",
        }
    }
}

impl Cargo {
    /// The OTLP cargo under the key with this number in [`detect`]'s shape.
    pub(crate) fn of_key(key: usize) -> Cargo {
        [Cargo::Traces, Cargo::Logs, Cargo::Metrics][key % 3]
    }

    /// The text around the items of a request.
    pub(crate) fn frame(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Cargo::Traces => (b"{\"resourceSpans\":[", b"]}"),
            Cargo::Logs => (b"{\"resourceLogs\":[", b"]}"),
            Cargo::Metrics => (b"{\"resourceMetrics\":[", b"]}"),
            Cargo::ZipkinV2 | Cargo::ZipkinV1 => (b"[", b"]"),
        }
    }
}

/// The format of a file that begins with `head`, what its items are, and whether a line holds whole
/// values; `None` when it is none of them.
pub(crate) fn detect(head: &[u8]) -> Option<(Format, Shape, bool)> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let has = |word: &str| find(head, word.as_bytes()).is_some();
    let lines = first_break_is_between_values(text);
    let list = text.first() == Some(&b'[');
    let found = match text.first()? {
        b'{' if OTLP_KEYS.iter().any(|key| has(&format!("\"{key}\""))) => (Format::Otlp, Shape::Elements(&OTLP_KEYS)),
        b'{' | b'[' if has("\"traceID\"") && (has("\"spans\"") || has("\"processes\"")) => {
            let data = find(head, b"\"data\"").unwrap_or(usize::MAX);
            let trace = find(head, b"\"traceID\"").unwrap_or(usize::MAX);
            let shape = if list || data < trace { Shape::Elements(&["data"]) } else { Shape::Values };
            (Format::Jaeger, shape)
        }
        b'[' if has("\"traceId\"") || text[1..].trim_ascii_start().first() == Some(&b']') => {
            (Format::Zipkin, Shape::Elements(&[]))
        }
        b'{' if has("\"traceId\"") && has("\"id\"") => (Format::Zipkin, Shape::Values),
        _ => return None,
    };
    Some((found.0, found.1, lines))
}

/// The cargo of a Zipkin span.
pub(crate) fn zipkin_version(span: &[u8]) -> Cargo {
    let v2 = find(span, b"Endpoint\"").is_some() || find(span, b"\"tags\"").is_some();
    let v1 = find(span, b"yAnnotations\"").is_some() || (!v2 && find(span, b"\"endpoint\"").is_some());
    if v1 { Cargo::ZipkinV1 } else { Cargo::ZipkinV2 }
}

/// How many spans, records or points an item holds.
///
/// # Errors
/// When it is not good JSON of its kind.
pub(crate) fn count(cargo: Cargo, item: &[u8]) -> Result<u64, serde_json::Error> {
    Ok(match cargo {
        Cargo::Traces => serde_json::from_slice::<Traces>(item)?.0,
        Cargo::Logs => serde_json::from_slice::<Logs>(item)?.0,
        Cargo::Metrics => serde_json::from_slice::<Metrics>(item)?.0,
        Cargo::ZipkinV2 | Cargo::ZipkinV1 => {
            serde_json::from_slice::<HashMap<Cow<'_, str>, IgnoredAny>>(item)?;
            1
        }
    })
}

/// The latest times of an item, nanoseconds: of its events, and observed.
pub(crate) fn latest_ns(cargo: Cargo, item: &[u8]) -> (u64, u64) {
    let (mut event, mut observed, mut begun) = (0u64, 0u64, 0u64);
    each_time(cargo, item, &mut |key, _, time| match key {
        b"duration" => event = event.max(begun.saturating_add(time)),
        b"observedTimeUnixNano" | b"observed_time_unix_nano" => observed = observed.max(time),
        _ => {
            begun = begun.max(time);
            event = event.max(time);
        }
    });
    let unit = if is_otlp(cargo) { 1 } else { 1000 };
    let sane = |time: u64| time.checked_mul(unit).filter(|time| *time < i64::MAX as u64).unwrap_or(0);
    (sane(event), sane(observed))
}

/// Moves every time in `item` by `by_ns`, a multiple of 1000.
pub(crate) fn shift(cargo: Cargo, item: &mut Vec<u8>, by_ns: i64) {
    let by = if is_otlp(cargo) { by_ns } else { by_ns / 1000 };
    let mut out = Vec::with_capacity(item.len() + 64);
    let mut written = 0;
    each_time(cargo, item, &mut |key, place, time| {
        if key != b"duration" && time > 0 {
            out.extend_from_slice(&item[written..place.start]);
            out.extend_from_slice(time.saturating_add_signed(by).max(1).to_string().as_bytes());
            written = place.end;
        }
    });
    out.extend_from_slice(&item[written..]);
    *item = out;
}

fn is_otlp(cargo: Cargo) -> bool {
    !matches!(cargo, Cargo::ZipkinV2 | Cargo::ZipkinV1)
}

// Visits the times of an item: key, place of the digits, value.
fn each_time(cargo: Cargo, item: &[u8], visit: &mut impl FnMut(&[u8], Range<usize>, u64)) {
    let otlp = is_otlp(cargo);
    let mut at = 0;
    while let Some((key, behind)) = next_key(item, at) {
        at = behind;
        let is_time = match key {
            b"timestamp" | b"duration" => !otlp,
            b"timeUnixNano" | b"startTimeUnixNano" | b"endTimeUnixNano" | b"observedTimeUnixNano" => otlp,
            b"time_unix_nano" | b"start_time_unix_nano" | b"end_time_unix_nano" | b"observed_time_unix_nano" => otlp,
            _ => false,
        };
        if is_time {
            let (place, time) = number(item, behind);
            let quoted = place.start > 0 && item[place.start - 1] == b'"';
            at = if quoted { end_of_string(item, place.start).map_or(item.len(), |end| end + 1) } else { place.end };
            visit(key, place, time);
        } else if !otlp && key == b"tags" {
            // A tag may be called anything.
            at = end_of_object(item, behind);
        }
    }
}

// The next object key from `at` on, and where its value begins.
fn next_key(item: &[u8], mut at: usize) -> Option<(&[u8], usize)> {
    loop {
        let start = at + memchr(b'"', item.get(at..)?)? + 1;
        let end = end_of_string(item, start)?;
        let colon = end + 1 + blank(&item[end + 1..]);
        if item.get(colon) == Some(&b':') {
            return Some((&item[start..end], colon + 1));
        }
        at = end + 1;
    }
}

// A whole number, bare or in quotes; 0 with an empty place when there is none.
fn number(item: &[u8], at: usize) -> (Range<usize>, u64) {
    let start = at + blank(&item[at..]);
    let start = if item.get(start) == Some(&b'"') { start + 1 } else { start };
    let signs = item[start..].iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+'));
    let end = start + signs.count();
    let text = std::str::from_utf8(&item[start..end]).unwrap_or("");
    // Floats are how some tools write large whole numbers.
    let value = text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as u64));
    (start..end, value.unwrap_or(0))
}

fn end_of_object(item: &[u8], at: usize) -> usize {
    let (mut at, mut depth) = (at, 0usize);
    while let Some(byte) = item.get(at) {
        match byte {
            b'"' => at = end_of_string(item, at + 1).unwrap_or(item.len()),
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    item.len()
}

fn end_of_string(item: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr(b'"', item.get(at..)?)?;
        let escapes = item[start..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some(at);
        }
        at += 1;
    }
}

fn blank(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

// Whether the first line break stands where a value has ended, or there is none.
fn first_break_is_between_values(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0i64, false, false);
    for byte in text {
        match byte {
            b'\n' => return depth == 0 || in_string,
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    true
}

// The number of elements of a list; null is none.
#[derive(Default)]
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;
        impl<'de> Visitor<'de> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(0))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }
        deserializer.deserialize_any(CountVisitor)
    }
}

// Sums what the objects of a list hold under some keys, level by level.
macro_rules! counted {
    ($name:ident, $inner:ty, $($key:literal)|+) => {
        #[derive(Default)]
        struct $name(u64);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct MapVisitor;
                impl<'de> Visitor<'de> for MapVisitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut sum = 0u64;
                        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                            match &*key {
                                $($key)|+ => sum += map.next_value::<$inner>()?.0,
                                _ => {
                                    map.next_value::<IgnoredAny>()?;
                                }
                            }
                        }
                        Ok($name(sum))
                    }
                }
                deserializer.deserialize_map(MapVisitor)
            }
        }
    };
}

// A list of objects that are counted each.
struct Sum<T>(u64, std::marker::PhantomData<T>);

trait Counted {
    fn counted(&self) -> u64;
}

macro_rules! sums {
    ($($name:ident)+) => { $(impl Counted for $name { fn counted(&self) -> u64 { self.0 } })+ };
}

impl<'de, T: Deserialize<'de> + Counted> Deserialize<'de> for Sum<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Option::<Vec<T>>::deserialize(deserializer).map_err(D::Error::custom)?;
        let sum = list.iter().flatten().map(Counted::counted).sum();
        Ok(Sum(sum, std::marker::PhantomData))
    }
}

sums!(ScopeSpans ScopeLogs ScopeMetrics Metric);
counted!(ScopeSpans, Count, "spans");
counted!(ScopeLogs, Count, "logRecords" | "log_records");
counted!(Points, Count, "dataPoints" | "data_points");
counted!(Metric, Points, "gauge" | "sum" | "histogram" | "exponentialHistogram" | "exponential_histogram" | "summary");
counted!(ScopeMetrics, Sum<Metric>, "metrics");
counted!(Traces, Sum<ScopeSpans>, "scopeSpans" | "scope_spans" | "instrumentationLibrarySpans");
counted!(Logs, Sum<ScopeLogs>, "scopeLogs" | "scope_logs" | "instrumentationLibraryLogs");
counted!(Metrics, Sum<ScopeMetrics>, "scopeMetrics" | "scope_metrics" | "instrumentationLibraryMetrics");
#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: the beginnings of files of all kinds.
    // Guarantee: format, items and lines are known; other files are refused.
    #[test]
    fn detection() {
        let check = |head: &str, expected: Option<(Format, Shape, bool)>| {
            assert_eq!(detect(head.as_bytes()), expected, "{head}")
        };
        let otlp = |lines| Some((Format::Otlp, Shape::Elements(&OTLP_KEYS), lines));
        check("{\"resourceSpans\":[{}]}\n{\"resourceSpans\":[{}]}", otlp(true));
        check("{\"resourceLogs\":[{", otlp(true));
        check("{\n  \"resourceMetrics\": [\n", otlp(false));
        check("\u{feff}{\"resource_spans\":[]}", otlp(true));
        check("[{\"traceId\":\"1\",\"id\":\"2\"}]", Some((Format::Zipkin, Shape::Elements(&[]), true)));
        check("[\n {\"traceId\":", Some((Format::Zipkin, Shape::Elements(&[]), false)));
        check("[]", Some((Format::Zipkin, Shape::Elements(&[]), true)));
        check("{\"traceId\":\"1\",\"id\":\"2\"}\n", Some((Format::Zipkin, Shape::Values, true)));
        check("{\"data\":[{\"traceID\":\"1\",\"spans\":[", Some((Format::Jaeger, Shape::Elements(&["data"]), true)));
        check("{\"traceID\":\"1\",\"spans\":[", Some((Format::Jaeger, Shape::Values, true)));
        check("[{\"traceID\":\"1\",\"spans\":[", Some((Format::Jaeger, Shape::Elements(&["data"]), true)));
        check("{\"hello\":1}", None);
        check("hello", None);
        check("", None);
    }

    // Scenario: items of every cargo, with absent, null and wrong parts.
    // Guarantee: exactly what the server will count; bad JSON is refused.
    #[test]
    fn counting() {
        let check = |cargo, item: &str, expected: Option<u64>| {
            assert_eq!(count(cargo, item.as_bytes()).ok(), expected, "{item}")
        };
        check(
            Cargo::Traces,
            r#"{"resource":{"a":[1]},"scopeSpans":[{"spans":[{},{}]},{"spans":null},{"scope":{},"spans":[{"x":"\ud83d\ude00"}]}]}"#,
            Some(3),
        );
        check(Cargo::Traces, r#"{}"#, Some(0));
        check(Cargo::Traces, r#"[]"#, None);
        check(Cargo::Traces, r#"{"scopeSpans":[{"spans":[{]}]}"#, None);
        check(Cargo::Logs, r#"{"scope_logs":[{"log_records":[{},{}]}]}"#, Some(2));
        check(
            Cargo::Metrics,
            r#"{"scopeMetrics":[{"metrics":[{"name":"a","sum":{"dataPoints":[{},{}]}},{"gauge":{"dataPoints":[{}]}},{"name":"none"}]}]}"#,
            Some(3),
        );
        check(Cargo::ZipkinV2, r#"{"traceId":"1"}"#, Some(1));
        check(Cargo::ZipkinV2, r#"5"#, None);
    }

    // Scenario: items whose times are numbers, strings, floats, absent, zero, and text that looks like one.
    // Guarantee: times and nothing else move, by the same distance; the latest one is found.
    #[test]
    fn times() {
        let check = |cargo, item: &str, latest: (u64, u64), expected: &str| {
            assert_eq!(latest_ns(cargo, item.as_bytes()), latest, "{item}");
            let mut moved = item.as_bytes().to_vec();
            shift(cargo, &mut moved, 7000);
            assert_eq!(String::from_utf8(moved).unwrap(), expected);
        };
        check(
            Cargo::Traces,
            r#"{"spans":[{"name":"a \"timeUnixNano\":1","startTimeUnixNano":"10","endTimeUnixNano" : 20,"events":[{"timeUnixNano":"0"}]}]}"#,
            (20, 0),
            r#"{"spans":[{"name":"a \"timeUnixNano\":1","startTimeUnixNano":"7010","endTimeUnixNano" : 7020,"events":[{"timeUnixNano":"0"}]}]}"#,
        );
        check(
            Cargo::Logs,
            r#"{"logRecords":[{"time_unix_nano":5,"observedTimeUnixNano":"9","body":{"stringValue":"timeUnixNano"}}]}"#,
            (5, 9),
            r#"{"logRecords":[{"time_unix_nano":7005,"observedTimeUnixNano":"7009","body":{"stringValue":"timeUnixNano"}}]}"#,
        );
        check(
            Cargo::ZipkinV2,
            r#"{"timestamp":10,"duration":5,"annotations":[{"timestamp":1.2e1,"value":"x"}],"tags":{"timestamp":"3","a":"}"},"x":1}"#,
            (15_000, 0),
            r#"{"timestamp":17,"duration":5,"annotations":[{"timestamp":19,"value":"x"}],"tags":{"timestamp":"3","a":"}"},"x":1}"#,
        );
        check(
            Cargo::Traces,
            r#"{"endTimeUnixNano":"18446744073709551615"}"#,
            (0, 0),
            r#"{"endTimeUnixNano":"18446744073709551615"}"#,
        );
        let mut early = br#"{"timeUnixNano":"5"}"#.to_vec();
        shift(Cargo::Logs, &mut early, -1000);
        assert_eq!(early, br#"{"timeUnixNano":"1"}"#);
    }
}
