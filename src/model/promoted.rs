//! Promoted attributes that searches ask by column: which they are, which of their values a column can
//! be asked for, and whether the columns of a span say all that its maps say. A column is filled from
//! one place and holds one value, so it cannot know a key that stands elsewhere, comes twice, has an
//! unusual type, or lost to its newer name; such spans do not *vouch* for their columns, and searches
//! look into their maps.

use crate::text::DictColumn;
use crate::{MapColumn, Resources, Spans};

/// Longer values may stand cut in their column.
pub const VALUE_BYTES_MAX: usize = 200;

/// A column that is asked for attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promoted {
    /// `ServiceName`, from the resource.
    ServiceName,
    /// `ServiceVersion`, from the resource.
    ServiceVersion,
    /// `HttpRoute`.
    HttpRoute,
    /// `HttpStatusCode`.
    HttpStatusCode,
    /// `DbSystem`.
    DbSystem,
    /// `MessagingDestination`.
    MessagingDestination,
}

impl Promoted {
    /// The column that is asked for a key.
    #[inline]
    pub fn of(key: &[u8]) -> Option<Promoted> {
        Some(match key {
            b"service.name" => Promoted::ServiceName,
            b"service.version" => Promoted::ServiceVersion,
            b"http.route" => Promoted::HttpRoute,
            b"http.response.status_code" | b"http.status_code" => Promoted::HttpStatusCode,
            b"db.system.name" | b"db.system" => Promoted::DbSystem,
            b"messaging.destination.name" => Promoted::MessagingDestination,
            _ => return None,
        })
    }

    /// Whether the column can be asked for a value.
    pub fn can_hold(self, value: &[u8]) -> bool {
        match self {
            Promoted::HttpStatusCode => status_code(value).is_some(),
            _ => !value.is_empty() && value.len() <= VALUE_BYTES_MAX,
        }
    }

    /// Whether every value of the column was the value of one key; else it may have come from another.
    pub fn has_one_key(self) -> bool {
        matches!(self, Promoted::ServiceName | Promoted::ServiceVersion | Promoted::HttpRoute)
    }

    fn holds(self, spans: &Spans, resources: &Resources, row: usize, value: &[u8]) -> bool {
        let resource = spans.resource[row] as usize;
        match self {
            Promoted::ServiceName => resources.service_name.get(resource) == value,
            Promoted::ServiceVersion => resources.service_version.get(resource) == value,
            Promoted::HttpRoute => spans.http_route.get(row) == value,
            Promoted::HttpStatusCode => status_code(value) == Some(spans.http_status[row]),
            Promoted::DbSystem => spans.db_system.get(row) == value,
            Promoted::MessagingDestination => spans.messaging_destination.get(row) == value,
        }
    }
}

/// The code that a text is, where the code's own text is that text.
pub fn status_code(value: &[u8]) -> Option<u16> {
    let is_canonical = (1..=5).contains(&value.len()) && value[0] != b'0' && value.iter().all(u8::is_ascii_digit);
    is_canonical.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

/// Whether the columns of spans `rows` say all that their maps say, in order.
pub fn vouches(spans: &Spans, resources: &Resources, rows: std::ops::Range<usize>, mut out: impl FnMut(bool)) {
    let map = &spans.attributes;
    let pairs = if rows.is_empty() { 0 } else { map.pairs_of(rows.end - 1).end - map.pairs_of(rows.start).start };
    let columns = Columns::of(&map.keys, pairs);
    let mut last = None;
    for row in rows {
        let resource = spans.resource[row];
        let is_plain = match last {
            Some((known, is_plain)) if known == resource => is_plain,
            _ => resource_vouches(resources, resource as usize),
        };
        last = Some((resource, is_plain));
        out(is_plain && span_vouches(spans, resources, row, &columns));
    }
}

fn resource_vouches(resources: &Resources, resource: usize) -> bool {
    resources.attributes.row(resource).all(|(key, value)| match Promoted::of(key) {
        Some(Promoted::ServiceName) => {
            !Promoted::ServiceName.can_hold(value) || resources.service_name.get(resource) == value
        }
        Some(Promoted::ServiceVersion) => {
            !Promoted::ServiceVersion.can_hold(value) || resources.service_version.get(resource) == value
        }
        // Filled from spans.
        Some(promoted) => !promoted.can_hold(value),
        None => true,
    })
}

#[inline]
fn span_vouches(spans: &Spans, resources: &Resources, row: usize, columns: &Columns<'_>) -> bool {
    let map: &MapColumn = &spans.attributes;
    map.pairs_of(row).all(|pair| match columns.at(pair) {
        None => true,
        Some(promoted) => {
            let value = map.values.get(pair);
            promoted.holds(spans, resources, row, value) || !promoted.can_hold(value)
        }
    })
}

/// The columns that pairs belong to: by the numbers of their keys, where that pays.
struct Columns<'a> {
    keys: &'a DictColumn,
    by_number: Vec<Option<Promoted>>,
}

impl<'a> Columns<'a> {
    fn of(keys: &'a DictColumn, pairs: usize) -> Columns<'a> {
        let dict = keys.dict();
        let by_number = if dict.len() <= pairs { dict.iter().map(Promoted::of).collect() } else { Vec::new() };
        Columns { keys, by_number }
    }

    #[inline]
    fn at(&self, pair: usize) -> Option<Promoted> {
        match self.by_number.is_empty() {
            true => Promoted::of(self.keys.get(pair)),
            false => self.by_number[self.keys.index()[pair] as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: status codes written in many ways.
    // Guarantee: only the texts that codes are written as are codes.
    #[test]
    fn codes() {
        for (text, expected) in [("200", Some(200)), ("65535", Some(65_535)), ("1", Some(1))] {
            assert_eq!(status_code(text.as_bytes()), expected, "{text}");
        }
        for text in ["", "0", "0200", "+200", "-1", "65536", "70000", "200.0", "2e2", "true", " 200"] {
            assert_eq!(status_code(text.as_bytes()), None, "{text}");
        }
    }
}
