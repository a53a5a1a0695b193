//! Times and durations as people write them in queries: RFC 3339, epochs in four units, `now-2d`,
//! `250ms`. No clock is read here: `now` is a parameter. Spec: api.md, Conventions.

use model::time::{DAY_NS, SECOND_NS};
use store::questions::Window;

/// A point in time, possibly relative to the moment of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimePoint {
    /// Nanoseconds since the epoch.
    At(i64),
    /// Nanoseconds after (or, negative, before) now.
    FromNow(i64),
}

/// A half-open range; open ends reach as far as the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First instant inside.
    pub from: Option<TimePoint>,
    /// First instant outside.
    pub to: Option<TimePoint>,
}

/// A text that is no time or duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not a time.
    #[error("`{0}` is not a time: give RFC 3339 (2026-01-31T12:00:00Z), an epoch in s, ms, µs or ns, or now-15m")]
    Time(String),
    /// Not a duration.
    #[error("`{0}` is not a duration: give a number with a unit, such as 250ms, 1.5s or 2m")]
    Duration(String),
    /// The end lies before the start.
    #[error("`to` lies before `from`")]
    Reversed,
}

impl TimePoint {
    /// Reads a time.
    pub fn parse(text: &str) -> Result<TimePoint, TimeError> {
        let trimmed = text.trim();
        let bad = || TimeError::Time(shown(text));
        if let Some(offset) = trimmed.strip_prefix("now") {
            return relative(offset).map(TimePoint::FromNow).ok_or_else(bad);
        }
        if trimmed.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            && trimmed[1..].bytes().all(|b| b.is_ascii_digit() || b == b'.')
        {
            return epoch(trimmed).map(TimePoint::At).ok_or_else(bad);
        }
        calendar(trimmed).map(TimePoint::At).ok_or_else(bad)
    }

    /// Nanoseconds since the epoch.
    pub fn at(self, now_ns: i64) -> i64 {
        match self {
            TimePoint::At(ns) => ns,
            TimePoint::FromNow(offset_ns) => now_ns.saturating_add(offset_ns),
        }
    }
}

impl TimeRange {
    /// Reads `from` and `to`; empty texts are open ends.
    pub fn parse(from: Option<&str>, to: Option<&str>) -> Result<TimeRange, TimeError> {
        let read = |text: Option<&str>| text.filter(|text| !text.trim().is_empty()).map(TimePoint::parse).transpose();
        Ok(TimeRange { from: read(from)?, to: read(to)? })
    }

    /// The window at the moment of asking.
    pub fn window(self, now_ns: i64) -> Result<Window, TimeError> {
        let window = Window {
            from_ns: self.from.map_or(Window::ALL.from_ns, |from| from.at(now_ns)),
            to_ns: self.to.map_or(Window::ALL.to_ns, |to| to.at(now_ns)),
        };
        if window.from_ns > window.to_ns { Err(TimeError::Reversed) } else { Ok(window.within(Window::ALL)) }
    }
}

/// Reads a duration in nanoseconds: one or more numbers with units (`1m30s`).
pub fn parse_duration_ns(text: &str) -> Result<u64, TimeError> {
    let bad = || TimeError::Duration(shown(text));
    if text.trim() == "0" {
        return Ok(0);
    }
    sum_of_units(text.trim()).ok_or_else(bad)
}

fn relative(offset: &str) -> Option<i64> {
    match offset.trim().split_at_checked(1) {
        None => Some(0),
        Some(("-", span)) => i64::try_from(sum_of_units(span)?).ok().map(|ns| -ns),
        // `+` arrives as a space where a client forgot to escape it; `trim` has then taken it.
        Some(("+", span)) => i64::try_from(sum_of_units(span)?).ok(),
        Some(_) => i64::try_from(sum_of_units(offset.trim())?).ok(),
    }
}

fn sum_of_units(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        let unit_ns: u64 = match unit.trim() {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND_NS as u64,
            "m" => 60 * SECOND_NS as u64,
            "h" => 3_600 * SECOND_NS as u64,
            "d" => DAY_NS as u64,
            "w" => 7 * DAY_NS as u64,
            _ => return None,
        };
        sum = sum.checked_add(scaled(number, unit_ns)?)?;
        rest = next;
    }
    Some(sum)
}

/// A decimal number times a unit, without going through floating point.
fn scaled(number: &str, unit_ns: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut ns = whole.checked_mul(unit_ns)?;
    let mut place_ns = unit_ns as u128 * 1_000_000_000;
    for digit in fraction.bytes() {
        place_ns /= 10;
        ns = ns.checked_add((u128::from(digit - b'0') * place_ns / 1_000_000_000) as u64)?;
    }
    Some(ns)
}

/// An epoch: the unit follows from the magnitude, as no telemetry is from before 1973 or after 5138.
fn epoch(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let whole = digits.split('.').next()?;
    let magnitude: u64 = whole.parse().ok()?;
    let unit_ns = match magnitude {
        0..100_000_000_000 => SECOND_NS as u64,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    Some(sign * i64::try_from(scaled(digits, unit_ns)?).ok()?)
}

fn calendar(text: &str) -> Option<i64> {
    if let Some(ns) = timestamp(text) {
        return Some(ns);
    }
    // `2026-01-31T12:00:00+01:00` whose plus arrived as a space.
    let mended = text.rfind(' ').map(|at| format!("{}+{}", &text[..at], &text[at + 1..]));
    if let Some(ns) = mended.as_deref().filter(|text| text.contains('T')).and_then(timestamp) {
        return Some(ns);
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    i64::try_from(zoned.timestamp().as_nanosecond()).ok()
}

fn timestamp(text: &str) -> Option<i64> {
    let read: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(read.as_nanosecond()).ok()
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: times in every accepted spelling, and in none.
    // Guarantee: each is read to the nanosecond; what is no time says so.
    #[test]
    fn times() {
        let now_ns = 1_700_000_000_000_000_000;
        let table = "
            2023-11-14T22:13:20Z          1700000000000000000
            2023-11-14T22:13:20.5Z        1700000000500000000
            2023-11-14T23:13:20+01:00     1700000000000000000
            2023-11-14T23:13:20_01:00     1700000000000000000
            2023-11-14T22:13:20           1700000000000000000
            2023-11-14                    1699920000000000000
            1700000000                    1700000000000000000
            1700000000.25                 1700000000250000000
            1700000000123                 1700000000123000000
            1700000000123456              1700000000123456000
            1700000000123456789           1700000000123456789
            0                             0
            -5                            -5000000000
            now                           1700000000000000000
            now-2d                        1699827200000000000
            now+1m                        1700000060000000000
            now_1m                        1700000060000000000
            now-1h30m                     1699994600000000000
            now-                          no
            now-5                         no
            now-5y                        no
            yesterday                     no
            2023-13-01T00:00:00Z          no
            99999999999999999999999       no
            1.2.3                         no
            -                             no
        ";
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (text, expected) = line.split_once(' ').unwrap();
            let text = text.replace('_', " ");
            let read = TimePoint::parse(&text).map_or("no".to_owned(), |point| point.at(now_ns).to_string());
            assert_eq!(read, expected.trim(), "{text}");
        }
        assert!(TimePoint::parse("").is_err());
    }

    // Scenario: durations in every unit, compound, fractional, and wrong.
    // Guarantee: exact nanoseconds, or an error.
    #[test]
    fn durations() {
        let cases = [
            ("250ms", Some(250_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("10us", Some(10_000)),
            ("10µs", Some(10_000)),
            ("7ns", Some(7)),
            ("2h", Some(7_200_000_000_000)),
            ("0", Some(0)),
            (".5s", Some(500_000_000)),
            ("100", None),
            ("", None),
            ("-1s", None),
            ("1.2.3s", None),
            ("9999999999999d", None),
            ("ms", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration_ns(text).ok(), expected, "{text}");
        }
    }

    // Scenario: ranges with open, relative and reversed ends.
    // Guarantee: open ends reach everything, reversed ones are refused.
    #[test]
    fn ranges() {
        let window = |from, to| TimeRange::parse(from, to).and_then(|range| range.window(100));
        assert_eq!(window(None, Some("")), Ok(Window::ALL));
        assert_eq!(window(Some("now"), Some("now+1s")), Ok(Window { from_ns: 100, to_ns: 1_000_000_100 }));
        assert_eq!(window(Some("now"), Some("now-1s")), Err(TimeError::Reversed));
    }
}
