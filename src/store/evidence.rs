//! The evidence of minutes as stored: packed into one text of bytes each, so that a generation is there whole or
//! not at all, and hours of them are read as one small column.
//!
//! Layout: version (u8), names (count, then length and bytes each), then the lists of `model::evidence::Evidence`
//! in its order. Numbers are LEB128, except events (8 bytes, little end first); names are numbers of names.

use std::collections::HashMap;

use clickhouse::Row;
use model::evidence::{
    AttributeRow, Count, Cut, Dist, EdgeRow, EdgeType, EventKind, EventRow, Evidence, OperationRow, OriginRow,
    PatternRow, RULE, RequestRow, TransitionRow,
};
use serde::{Deserialize, Serialize};

/// A minute's evidence on its way in.
#[allow(missing_docs)] // the names are the columns' (schemas/0001/50_evidence_minutes.sql)
#[derive(Clone, Debug, Row, Serialize)]
pub struct EvidenceRow {
    #[serde(rename = "Tenant")]
    pub tenant: String,
    /// Seconds since the epoch.
    #[serde(rename = "Minute")]
    pub minute_s: u32,
    #[serde(rename = "Generation")]
    pub generation: u64,
    #[serde(rename = "Rule")]
    pub rule: u16,
    #[serde(rename = "Spans")]
    pub spans: u64,
    #[serde(rename = "RolledAt")]
    pub rolled_ns: i64,
    #[serde(rename = "Evidence", with = "as_bytes")]
    pub evidence: Vec<u8>,
}

/// A minute whose evidence is missing or older than its spans.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct StaleRow {
    /// Tenant.
    pub tenant: String,
    /// Minutes since the epoch.
    pub minute: i64,
    /// Its spans.
    pub spans: u64,
}

/// A minute's evidence as stored.
#[derive(Debug, Row, Deserialize)]
pub struct StoredRow {
    /// Minutes since the epoch.
    pub minute: i64,
    /// Spans of the minute when it was made.
    pub spans: u64,
    /// Packed.
    #[serde(with = "as_bytes")]
    pub evidence: Vec<u8>,
}

// A ClickHouse String that is no text.
mod as_bytes {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// Packs evidence.
pub fn pack(evidence: &Evidence) -> Vec<u8> {
    let mut packer = Packer::default();
    let Evidence { requests, operations, edges, origins, transitions, events, patterns, attributes, cut } = evidence;
    packer.list(requests, |packer, row| {
        packer.names([&row.service, &row.operation]);
        packer.counts([row.requests, row.failed]);
        packer.dist(&row.duration);
    });
    packer.list(operations, |packer, row| {
        packer.names([&row.service, &row.operation]);
        packer.number(u64::from(row.is_caller));
        packer.counts([row.spans, row.errors]);
        packer.dist(&row.self_time);
    });
    packer.list(edges, |packer, row| {
        packer.names([&row.caller, &row.operation, &row.callee, &row.peer]);
        packer.number(EDGES.iter().position(|edge| *edge == row.edge).unwrap_or(0) as u64);
        packer.counts([row.calls, row.errors, row.silent, row.skewed, row.parents, row.retries]);
        packer.dist(&row.latency);
        packer.dist(&row.gap);
    });
    packer.list(origins, |packer, row| {
        packer.names([&row.service, &row.operation, &row.what, &row.message]);
        packer.counts([row.starts, row.passes, row.failed]);
    });
    packer.list(transitions, |packer, row| {
        packer.names([&row.service, &row.operation]);
        packer.event(row.from);
        packer.event(row.to);
        packer.counts([row.count]);
    });
    packer.list(events, |packer, row| {
        packer.event(row.event);
        packer.number(KINDS.iter().position(|kind| *kind == row.kind).unwrap_or(0) as u64);
        packer.names([&row.text, &row.location]);
        packer.number(u64::from(row.severity));
    });
    packer.list(patterns, |packer, row| {
        packer.names([&row.service]);
        packer.event(row.event);
        packer.counts([row.lines, row.failing, row.good]);
    });
    packer.list(attributes, |packer, row| {
        packer.names([&row.service, &row.key, &row.value]);
        packer.counts([row.spans, row.origins, row.errors, row.late, row.early]);
        packer.dist(&row.self_time);
    });
    [cut.rows, cut.spans, cut.events].into_iter().for_each(|count| packer.number(count));
    packer.finish()
}

/// Unpacks evidence; `None` when it was packed by other rules or is damaged.
pub fn unpack(bytes: &[u8]) -> Option<Evidence> {
    let (version, rest) = bytes.split_first()?;
    if u32::from(*version) != RULE {
        return None;
    }
    let mut parcel = Parcel { rest, names: Vec::new() };
    let count = parcel.length()?;
    for _ in 0..count {
        let length = parcel.length()?;
        let (name, rest) = parcel.rest.split_at_checked(length)?;
        parcel.names.push(std::str::from_utf8(name).ok()?);
        parcel.rest = rest;
    }
    let evidence = Evidence {
        requests: parcel.list(|parcel| {
            let [service, operation] = parcel.names()?;
            let [requests, failed] = parcel.counts()?;
            Some(RequestRow { service, operation, requests, failed, duration: parcel.dist()? })
        })?,
        operations: parcel.list(|parcel| {
            let [service, operation] = parcel.names()?;
            let is_caller = parcel.number()? != 0;
            let [spans, errors] = parcel.counts()?;
            Some(OperationRow { service, operation, is_caller, spans, errors, self_time: parcel.dist()? })
        })?,
        edges: parcel.list(|parcel| {
            let [caller, operation, callee, peer] = parcel.names()?;
            let edge = *EDGES.get(parcel.length()?)?;
            let [calls, errors, silent, skewed, parents, retries] = parcel.counts()?;
            let (latency, gap) = (parcel.dist()?, parcel.dist()?);
            Some(EdgeRow {
                caller,
                operation,
                callee,
                edge,
                calls,
                errors,
                silent,
                skewed,
                parents,
                retries,
                latency,
                gap,
                peer,
            })
        })?,
        origins: parcel.list(|parcel| {
            let [service, operation, what, message] = parcel.names()?;
            let [starts, passes, failed] = parcel.counts()?;
            Some(OriginRow { service, operation, what, starts, passes, failed, message })
        })?,
        transitions: parcel.list(|parcel| {
            let [service, operation] = parcel.names()?;
            let (from, to) = (parcel.event()?, parcel.event()?);
            let [count] = parcel.counts()?;
            Some(TransitionRow { service, operation, from, to, count })
        })?,
        events: parcel.list(|parcel| {
            let event = parcel.event()?;
            let kind = *KINDS.get(parcel.length()?)?;
            let [text, location] = parcel.names()?;
            Some(EventRow { event, kind, text, location, severity: u8::try_from(parcel.number()?).ok()? })
        })?,
        patterns: parcel.list(|parcel| {
            let [service] = parcel.names()?;
            let event = parcel.event()?;
            let [lines, failing, good] = parcel.counts()?;
            Some(PatternRow { service, event, lines, failing, good })
        })?,
        attributes: parcel.list(|parcel| {
            let [service, key, value] = parcel.names()?;
            let [spans, origins, errors, late, early] = parcel.counts()?;
            Some(AttributeRow { service, key, value, spans, origins, errors, late, early, self_time: parcel.dist()? })
        })?,
        cut: Cut { rows: parcel.number()?, spans: parcel.number()?, events: parcel.number()? },
    };
    parcel.rest.is_empty().then_some(evidence)
}

const EDGES: [EdgeType; 4] = [EdgeType::Rpc, EdgeType::Messaging, EdgeType::Database, EdgeType::External];
const KINDS: [EventKind; 3] = [EventKind::Log, EventKind::Call, EventKind::Exception];

#[derive(Default)]
struct Packer<'a> {
    out: Vec<u8>,
    names: Vec<&'a str>,
    numbers: HashMap<&'a str, u64>,
}

impl<'a> Packer<'a> {
    fn list<T>(&mut self, rows: &'a [T], mut each: impl FnMut(&mut Packer<'a>, &'a T)) {
        self.number(rows.len() as u64);
        rows.iter().for_each(|row| each(self, row));
    }

    fn number(&mut self, number: u64) {
        leb(&mut self.out, number);
    }

    fn event(&mut self, event: u64) {
        self.out.extend_from_slice(&event.to_le_bytes());
    }

    fn names<const N: usize>(&mut self, names: [&'a String; N]) {
        for name in names {
            let number = *self.numbers.entry(name).or_insert_with(|| {
                self.names.push(name);
                self.names.len() as u64 - 1
            });
            self.number(number);
        }
    }

    fn counts<const N: usize>(&mut self, counts: [Count; N]) {
        for count in counts {
            self.number(count.spans());
            self.number(count.units());
        }
    }

    fn dist(&mut self, dist: &Dist) {
        self.number(dist.buckets().count() as u64);
        for (index, count) in dist.buckets() {
            self.number(u64::from(index));
            self.counts([count]);
        }
    }

    fn finish(self) -> Vec<u8> {
        let mut all = vec![RULE as u8];
        leb(&mut all, self.names.len() as u64);
        for name in self.names {
            leb(&mut all, name.len() as u64);
            all.extend_from_slice(name.as_bytes());
        }
        all.extend(self.out);
        all
    }
}

fn leb(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Parcel<'a> {
    rest: &'a [u8],
    names: Vec<&'a str>,
}

impl Parcel<'_> {
    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.length()?;
        (0..count).map(|_| each(self)).collect()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    // A count of things that take a byte at least: no more than there are bytes, and room enough for a place.
    fn length(&mut self) -> Option<usize> {
        let length = usize::try_from(self.number()?).ok()?;
        (length <= self.rest.len() || length < 8).then_some(length)
    }

    fn event(&mut self) -> Option<u64> {
        let (event, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*event))
    }

    fn names<const N: usize>(&mut self) -> Option<[String; N]> {
        let mut names = [const { String::new() }; N];
        for name in &mut names {
            let number = usize::try_from(self.number()?).ok()?;
            name.push_str(self.names.get(number)?);
        }
        Some(names)
    }

    fn counts<const N: usize>(&mut self) -> Option<[Count; N]> {
        let mut counts = [Count::default(); N];
        for count in &mut counts {
            let spans = self.number()?;
            *count = Count::from_parts(self.number()?, spans);
        }
        Some(counts)
    }

    fn dist(&mut self) -> Option<Dist> {
        let count = self.length()?;
        let mut buckets = Vec::with_capacity(count);
        for _ in 0..count {
            let index = u16::try_from(self.number()?).ok()?;
            let [count] = self.counts()?;
            buckets.push((index, count));
        }
        Some(Dist::from_buckets(buckets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> Evidence {
        let mut time = Dist::default();
        [5, 900, 1_000_000, u64::MAX].into_iter().for_each(|ns| time.add(ns, Count::new(2.5)));
        let count = |weight: f64| Count::new(weight);
        let text = str::to_owned;
        Evidence {
            requests: vec![RequestRow {
                service: text("shop"),
                operation: text("GET /"),
                requests: count(3.0),
                failed: count(1.0),
                duration: time.clone(),
            }],
            operations: vec![OperationRow {
                service: text("shop"),
                operation: text("ä"),
                is_caller: true,
                spans: count(9.0),
                errors: Count::default(),
                self_time: time.clone(),
            }],
            edges: vec![EdgeRow {
                caller: text("shop"),
                operation: text("GET"),
                callee: text("pay"),
                edge: EdgeType::Database,
                calls: count(7.0),
                silent: count(1.0),
                latency: time.clone(),
                gap: time.clone(),
                peer: text("pay:80"),
                ..EdgeRow::default()
            }],
            origins: vec![OriginRow {
                service: text("pay"),
                operation: text("POST"),
                what: text("HTTP 503"),
                starts: count(1.0),
                message: text("no"),
                ..OriginRow::default()
            }],
            transitions: vec![TransitionRow {
                service: text("pay"),
                operation: text("POST"),
                from: 1,
                to: u64::MAX,
                count: count(300.0),
            }],
            events: vec![EventRow {
                event: u64::MAX,
                kind: EventKind::Exception,
                text: text("boom"),
                location: text("Pay#3"),
                severity: 17,
            }],
            patterns: vec![PatternRow {
                service: text("pay"),
                event: u64::MAX,
                lines: count(2.0),
                failing: count(1.0),
                good: count(1.0),
            }],
            attributes: vec![AttributeRow {
                service: text("pay"),
                key: text("k8s.pod.name"),
                value: text("p-1"),
                spans: count(1.0),
                self_time: time,
                ..AttributeRow::default()
            }],
            cut: Cut { rows: 1, spans: 200, events: 0 },
        }
    }

    // Scenario: evidence with every kind of row, and none at all.
    // Guarantee: what is unpacked is what was packed.
    #[test]
    fn packs_without_loss() {
        for evidence in [evidence(), Evidence::default()] {
            assert_eq!(unpack(&pack(&evidence)), Some(evidence));
        }
    }

    // Scenario: packed bytes cut at every place, changed at every place, of another version.
    // Guarantee: never a panic or an endless list; what is cut is not taken for whole.
    #[test]
    fn damage_is_noticed() {
        let packed = pack(&evidence());
        for at in 0..packed.len() {
            assert_eq!(unpack(&packed[..at]), None, "cut at {at}");
            for value in [0, 0x7f, 0xff] {
                let mut changed = packed.clone();
                changed[at] = value;
                let _ = unpack(&changed);
            }
        }
        assert_eq!(unpack(&[packed.clone(), vec![0]].concat()), None);
        let mut other = packed;
        other[0] += 1;
        assert_eq!(unpack(&other), None);
    }
}
