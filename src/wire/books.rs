//! Our own books as they stand in the journal: loss ledger entries and dead letters, one JSON object
//! a line. Old fields keep their meaning for ever; readers ignore fields they do not know.

use model::{Batch, Decoded, Envelope};
use serde::{Deserialize, Serialize};

use crate::DecodeError;

/// Items that were refused, altered, set aside or repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LedgerEntry {
    /// When, nanoseconds since the epoch.
    pub time_ns: i64,
    /// Who sent them.
    pub sender: String,
    /// `traces`, `logs` or `metrics`.
    pub signal: String,
    /// Reason code ([`model::Reason::code`]).
    pub reason: String,
    /// Outcome ([`model::Outcome::name`]).
    pub outcome: String,
    /// How many.
    pub items: u64,
    /// One example in words.
    pub example: String,
}

/// A row that ClickHouse refused for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetterEntry {
    /// When it was set aside, nanoseconds since the epoch.
    pub time_ns: i64,
    /// The table that refused it.
    pub table: String,
    /// What ClickHouse said.
    pub reason: String,
    /// The row as JSON.
    pub row: String,
}

/// The body of a [`model::Protocol::Ledger`] frame.
pub fn encode_ledger(entries: &[LedgerEntry]) -> Vec<u8> {
    encode(entries)
}

/// The body of a [`model::Protocol::DeadLetters`] frame.
pub fn encode_dead_letters(entries: &[DeadLetterEntry]) -> Vec<u8> {
    encode(entries)
}

/// Reads what [`encode_ledger`] wrote.
pub(crate) fn ledger(body: &[u8], envelope: Envelope) -> Result<Decoded, DecodeError> {
    let mut batch = Batch::new(envelope);
    for entry in decode::<LedgerEntry>(body) {
        let entry = entry?;
        let rows = &mut batch.ledger;
        rows.time.push(entry.time_ns);
        rows.sender.push(entry.sender.as_bytes());
        rows.signal.push(entry.signal.as_bytes());
        rows.reason.push(entry.reason.as_bytes());
        rows.outcome.push(entry.outcome.as_bytes());
        rows.items.push(entry.items);
        rows.example.push(entry.example.as_bytes());
    }
    Ok(Decoded { batch, account: Default::default() })
}

/// Reads what [`encode_dead_letters`] wrote.
pub(crate) fn dead_letters(body: &[u8], envelope: Envelope) -> Result<Decoded, DecodeError> {
    let mut batch = Batch::new(envelope);
    for entry in decode::<DeadLetterEntry>(body) {
        let entry = entry?;
        let rows = &mut batch.dead_letters;
        rows.time.push(entry.time_ns);
        rows.table.push(entry.table.as_bytes());
        rows.reason.push(entry.reason.as_bytes());
        rows.row.push(entry.row.as_bytes());
    }
    Ok(Decoded { batch, account: Default::default() })
}

fn encode<T: Serialize>(entries: &[T]) -> Vec<u8> {
    let mut body = Vec::new();
    for entry in entries {
        // Structs of numbers and strings: there is nothing in them that JSON cannot hold.
        if serde_json::to_writer(&mut body, entry).is_ok() {
            body.push(b'\n');
        }
    }
    body
}

fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> impl Iterator<Item = Result<T, DecodeError>> {
    let lines = body.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(at, line)| {
        serde_json::from_slice(line)
            .map_err(|error| DecodeError::new(format!("reading line {} of our own books: {error}", at + 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Limits, Protocol};

    // Scenario: entries with hostile text go through the journal's form.
    // Guarantee: every field comes back, in order; a spoilt line is an error that names it.
    #[test]
    fn books_come_back() {
        let envelope = Envelope { tenant: "".into(), received_ns: 7, sender: "x".into() };
        let entry = |items| LedgerEntry {
            time_ns: 1_700_000_000_000_000_000,
            sender: "10.0.0.1 a\n\"b\"".into(),
            signal: "logs".into(),
            reason: "undecodable".into(),
            outcome: "refused".into(),
            items,
            example: "\u{0}é\\".into(),
        };
        let body = encode_ledger(&[entry(1), entry(u64::MAX)]);
        let rows = crate::decode(Protocol::Ledger, &body, envelope.clone(), &Limits::default()).unwrap().batch.ledger;
        assert_eq!(rows.items, [1, u64::MAX]);
        assert_eq!(rows.time, [1_700_000_000_000_000_000; 2]);
        assert_eq!((rows.sender.get(1), rows.example.get(1)), (&b"10.0.0.1 a\n\"b\""[..], "\u{0}é\\".as_bytes()));

        let letter =
            DeadLetterEntry { time_ns: 1, table: "otel_logs".into(), reason: "no".into(), row: "{\"a\":1}".into() };
        let mut body = encode_dead_letters(std::slice::from_ref(&letter));
        let decoded = crate::decode(Protocol::DeadLetters, &body, envelope.clone(), &Limits::default()).unwrap();
        assert_eq!(decoded.batch.dead_letters.row.get(0), letter.row.as_bytes());
        body.extend_from_slice(b"{oops\n");
        let error = crate::decode(Protocol::DeadLetters, &body, envelope, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
