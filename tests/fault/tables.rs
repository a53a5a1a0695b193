//! The comparison: every row of a run against what was sent, by number and by content, and the trace
//! index against the rows. Reads tables only; knows nothing of how they were filled.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Buf as _;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::item::{Kind, Run};
use crate::ledger::{Ledger, Outcome};
use crate::oracle::lock;
use crate::sql::Place;

const LOST_NAMED: usize = 4096;

/// What the comparison found. All counts are items.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Sent at least once.
    pub sent: u64,
    /// Acknowledged.
    pub acked: u64,
    /// In the tables, each counted once.
    pub stored: u64,
    /// Acknowledged and not in the tables.
    pub lost: u64,
    /// Rows beyond the first of an item.
    pub dup: u64,
    /// Rows whose content is not what was sent.
    pub corrupt: u64,
    /// Rows that nobody sent.
    pub spurious: u64,
    /// Difference between the trace index and the rows that it indexes.
    pub index_off: u64,
    /// Requests with at least one lost item.
    pub lost_requests: u64,
    /// Requests of which some items are stored and others lost.
    pub torn_requests: u64,
    /// Which they are, by the order of their minting (the first few thousand).
    pub lost_at: Vec<u64>,
    /// Damaged bytes were kept for a human (where there was damage).
    #[serde(default)]
    pub kept_aside: bool,
    /// A few findings in words.
    pub examples: Vec<String>,
    /// Looks it took.
    pub looks: u32,
    /// The tables could not be read.
    pub error: Option<String>,
}

impl Found {
    /// Whether nothing is wrong.
    pub fn is_zero_set(&self) -> bool {
        self.error.is_none()
            && [self.lost, self.dup, self.corrupt, self.spurious, self.index_off, self.torn_requests]
                .iter()
                .all(|count| *count == 0)
    }

    fn say(&mut self, what: String) {
        if self.examples.len() < 12 {
            self.examples.push(what);
        }
    }
}

/// Looks again while something is missing, until `patience` ends.
pub async fn patiently<F: Future<Output = Result<Found, String>>>(patience: Duration, look: impl Fn() -> F) -> Found {
    let began = Instant::now();
    let mut looks = 0;
    loop {
        looks += 1;
        let found = look().await.unwrap_or_else(|error| Found { error: Some(error), ..Found::default() });
        let done = found.is_zero_set() || found.dup + found.corrupt + found.spurious > 0;
        if done || began.elapsed() > patience {
            return Found { looks, ..found };
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Rows of one item.
pub async fn rows_of(client: &Client, place: &Place, run: &Run, kind: Kind, number: u64) -> Result<u64, String> {
    let (table, attributes) = match kind {
        Kind::Spans => ("otel_traces", "SpanAttributes"),
        Kind::Logs => ("otel_logs", "LogAttributes"),
    };
    let name = run.name();
    let sql = format!(
        "SELECT count() FROM {table} WHERE {attributes}['run'] = '{name}' AND {attributes}['seq'] = '{number}'"
    );
    place.number(client, &sql).await
}

/// One look.
pub async fn check(client: &Client, place: &Place, run: &Run, ledger: &Mutex<Ledger>) -> Result<Found, String> {
    let spans = place.run(client, &run.select(Kind::Spans)).await?;
    let logs = place.run(client, &run.select(Kind::Logs)).await?;
    let index = "SELECT {} FROM otel_traces_trace_id_ts WHERE startsWith(TraceId, '')";
    let indexed = |column: &str| index.replace("{}", column).replace("''", &format!("'{}'", run.name()));
    let indexed_spans = place.number(client, &indexed("sum(Spans)")).await?;
    let indexed_logs = place.number(client, &indexed("sum(Logs)")).await?;

    let ledger = lock(ledger);
    let (sent, acked, _) = ledger.counts();
    let mut found = Found { sent, acked, ..Found::default() };
    let mut rows = vec![0u8; sent as usize + 1];
    let span_rows = compare(&spans, Kind::Spans, run, &ledger, &mut rows, &mut found)?;
    let log_rows = compare(&logs, Kind::Logs, run, &ledger, &mut rows, &mut found)?;
    found.index_off = indexed_spans.abs_diff(span_rows) + indexed_logs.abs_diff(log_rows);
    if found.index_off > 0 {
        found.say(format!("index {indexed_spans}+{indexed_logs}, rows {span_rows}+{log_rows}"));
    }
    found.stored = rows.iter().filter(|rows| **rows > 0).count() as u64;
    found.dup = rows.iter().map(|rows| u64::from(rows.saturating_sub(1))).sum();
    missing(&ledger, &rows, &mut found);
    Ok(found)
}

/// Reads rows of (UInt64, String) in RowBinary; gives their number.
fn compare(
    mut body: &[u8],
    kind: Kind,
    run: &Run,
    ledger: &Ledger,
    rows: &mut [u8],
    found: &mut Found,
) -> Result<u64, String> {
    let mut count = 0;
    while !body.is_empty() {
        let number = body.try_get_u64_le().map_err(|error| error.to_string())?;
        let length = leb128(&mut body).ok_or("a row is cut short")?;
        let content = body.get(..length).ok_or("a row is cut short")?;
        count += 1;
        match ledger.request_of(number).filter(|(_, request)| request.kind == kind) {
            None => {
                found.spurious += 1;
                found.say(format!("{kind:?} {number} was never sent"));
            }
            Some((at, request)) => {
                rows[number as usize] = rows[number as usize].saturating_add(1);
                let expected = run.expected(number, request.first);
                if content != expected.as_bytes() {
                    found.corrupt += 1;
                    let content = String::from_utf8_lossy(content);
                    found.say(format!("{kind:?} {number} of request {at}: {content:?} is not {expected:?}"));
                }
                if rows[number as usize] == 2 {
                    found.say(format!("{kind:?} {number} of request {at} ({:?}) is there twice", request.outcome));
                }
            }
        }
        body.advance(length);
    }
    Ok(count)
}

fn missing(ledger: &Ledger, rows: &[u8], found: &mut Found) {
    let mut by_outcome: BTreeMap<&str, u64> = BTreeMap::new();
    for (at, request) in ledger.requests.iter().enumerate() {
        let numbers = request.first as usize..request.first as usize + request.items as usize;
        let absent = rows[numbers].iter().filter(|rows| **rows == 0).count() as u64;
        let torn = absent > 0 && absent < u64::from(request.items);
        match request.outcome {
            Outcome::Acked if absent > 0 => {
                found.lost += absent;
                found.lost_requests += 1;
                if found.lost_at.len() < LOST_NAMED {
                    found.lost_at.push(at as u64);
                }
                found.torn_requests += u64::from(torn);
                found.say(format!(
                    "request {at} ({:?}): {absent} of {} acknowledged items lost",
                    request.kind, request.items
                ));
            }
            Outcome::Acked => {}
            // A request is kept whole or not at all.
            _ if torn => {
                found.torn_requests += 1;
                *by_outcome.entry("torn without an acknowledgement").or_default() += 1;
            }
            _ => {}
        }
    }
    by_outcome.into_iter().for_each(|(what, count)| found.say(format!("{count} requests {what}")));
}

fn leb128(body: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = body.try_get_u8().ok()?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
