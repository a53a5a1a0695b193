//! The books: counts of accepted, rejected, refused and repeated items since the data directory was
//! created, and the loss ledger. Entries gather here for a second and are then journalled like any
//! other data, so that the ledger itself is neither lost nor counted twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use journal::{Durability, Frame, FrameHeader, Journal, Totals};
use model::{Account, Batch, Envelope, Outcome, Protocol, Reason, Signal, Table};
use wire::books::{DeadLetterEntry, LedgerEntry};

use crate::decode;
use crate::lanes::Payload;
use crate::waterline::items_of;

/// Kinds of counters in [`Totals`], each with three places (traces, logs, metrics).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    /// Items in durable frames.
    Accepted = 0,
    /// Items of whole requests that were refused (retryable or not).
    Refused = 1,
    /// Items refused through partial success.
    Rejected = 2,
    /// Items of repeated requests.
    Repeated = 3,
    /// Rows set aside.
    DeadLetters = 4,
}

/// The place in [`Totals`] that holds the newest frame that is counted.
const COUNTED_LSN: usize = 31;
/// Different (sender, signal, reason) entries between two writings; more share one entry.
const ENTRIES_MAX: usize = 4096;

/// Counters and ledger.
pub(crate) struct Books {
    state: Mutex<State>,
}

/// Tenant, sender, signal and reason of an entry.
type Cause = (Arc<str>, Arc<str>, Signal, Reason);

#[derive(Default)]
struct State {
    totals: Totals,
    entries: BTreeMap<Cause, (u64, String)>,
}

impl Books {
    /// Books that go on from `totals`.
    pub(crate) fn new(totals: Totals) -> Books {
        Books { state: Mutex::new(State { totals, entries: BTreeMap::new() }) }
    }

    /// The newest frame whose items are counted.
    pub(crate) fn counted_lsn(&self) -> u64 {
        self.lock().totals.0[COUNTED_LSN]
    }

    /// Counts a durable frame: its items, and those that it sets aside if it is of our own books.
    pub(crate) fn durable(&self, lsn: u64, items: [u32; 3], set_aside: [u64; 3]) {
        let mut state = self.lock();
        if lsn > state.totals.0[COUNTED_LSN] {
            state.totals.0[COUNTED_LSN] = lsn;
            add(&mut state, Count::Accepted, items.map(u64::from));
            add(&mut state, Count::DeadLetters, set_aside);
        }
    }

    /// Enters what decoding refused or altered.
    pub(crate) fn count(&self, envelope: &Envelope, account: &Account) {
        let mut state = self.lock();
        for refusal in &account.refusals {
            if refusal.reason.outcome() == Outcome::Refused {
                add(&mut state, Count::Rejected, at(refusal.signal, refusal.items));
            }
            enter(&mut state, envelope, refusal.signal, refusal.reason, refusal.items, &refusal.example);
        }
    }

    /// Enters a refused request; a request whose items are unknown counts as one.
    pub(crate) fn note(&self, envelope: &Envelope, signal: Signal, reason: Reason, items: u64, example: String) {
        let mut state = self.lock();
        let items = items.max(1);
        add(&mut state, Count::Refused, at(signal, items));
        enter(&mut state, envelope, signal, reason, items, &example);
    }

    /// Enters a repeated request.
    pub(crate) fn repeated(&self, envelope: &Envelope, signal: Signal, items: [u32; 3]) {
        let mut state = self.lock();
        add(&mut state, Count::Repeated, items.map(u64::from));
        let total = items.iter().map(|count| u64::from(*count)).sum();
        enter(&mut state, envelope, signal, Reason::Resent, total, "the same request came again");
    }

    /// Enters a row that ClickHouse refused for good into the ledger; its frame was counted when it became durable.
    pub(crate) fn dead_letter(&self, table: &str, items: [u64; 3], reason: &str) {
        let mut state = self.lock();
        let signal = match items {
            [_, 0, 0] => Signal::Traces,
            [_, _, 0] => Signal::Logs,
            _ => Signal::Metrics,
        };
        let envelope = Envelope { tenant: "".into(), received_ns: 0, sender: "hypocenter".into() };
        enter(&mut state, &envelope, signal, Reason::DeadLetter, 1, &format!("{table}: {reason}"));
    }

    /// One kind of counter by signal.
    pub(crate) fn total(&self, kind: Count) -> [u64; 3] {
        let totals = &self.lock().totals.0;
        let first = kind as usize * 3;
        [totals[first], totals[first + 1], totals[first + 2]]
    }

    /// All counters, for the journal.
    pub(crate) fn totals(&self) -> Totals {
        self.lock().totals
    }

    /// Journals the gathered ledger entries. What cannot be journalled now is kept for later.
    pub(crate) async fn write(&self, journal: &Journal<Payload>, budget: &access::Budget, now_ns: i64) {
        let entries = std::mem::take(&mut self.lock().entries);
        if entries.is_empty() {
            return;
        }
        let mut by_tenant: BTreeMap<Arc<str>, Vec<LedgerEntry>> = BTreeMap::new();
        for ((tenant, sender, signal, reason), (items, example)) in &entries {
            by_tenant.entry(Arc::clone(tenant)).or_default().push(LedgerEntry {
                time_ns: now_ns,
                sender: sender.to_string(),
                signal: signal.name().to_owned(),
                reason: reason.code().to_owned(),
                outcome: reason.outcome().name().to_owned(),
                items: *items,
                example: example.clone(),
            });
        }
        for (tenant, ledger) in by_tenant {
            let body = wire::books::encode_ledger(&ledger);
            let page = Page { protocol: Protocol::Ledger, tenant: &tenant, now_ns, body, settles: None };
            if !page.append(journal, budget).await {
                let mut state = self.lock();
                for (key, (items, example)) in entries.iter().filter(|(key, _)| key.0 == tenant) {
                    let kept = state.entries.entry(key.clone()).or_insert((0, example.clone()));
                    kept.0 += items;
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Items that the dead letters of a batch stand for, by signal.
pub(crate) fn set_aside(batch: &Batch) -> [u64; 3] {
    let mut items = [0; 3];
    for row in 0..batch.dead_letters.len() {
        let name = batch.dead_letters.table.get(row);
        let table = Table::ALL.into_iter().find(|table| table.def().name.as_bytes() == name);
        let of_row = table.map_or([0; 3], |table| items_of(table as u8, 1));
        (0..3).for_each(|at| items[at] += of_row[at]);
    }
    items
}

/// Journals a dead letter in place of the batch `settles`; true when both are durable, which is one event.
pub(crate) async fn bury(
    journal: &Journal<Payload>,
    budget: &access::Budget,
    now_ns: i64,
    letter: &DeadLetterEntry,
    settles: u128,
) -> bool {
    let body = wire::books::encode_dead_letters(std::slice::from_ref(letter));
    let page = Page { protocol: Protocol::DeadLetters, tenant: "", now_ns, body, settles: Some(settles) };
    page.append(journal, budget).await
}

/// A frame of our own books.
struct Page<'a> {
    protocol: Protocol,
    tenant: &'a str,
    now_ns: i64,
    body: Vec<u8>,
    settles: Option<u128>,
}

impl Page<'_> {
    async fn append(self, journal: &Journal<Payload>, budget: &access::Budget) -> bool {
        let Page { protocol, tenant, now_ns, body, settles } = self;
        let envelope = Envelope { tenant: tenant.into(), received_ns: now_ns, sender: "hypocenter".into() };
        let batch = match decode::own(protocol, &body, envelope) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(%error, "our own books cannot be read back");
                return true;
            }
        };
        let Some(permit) = budget.take(batch.heap_bytes()) else { return false };
        let header = FrameHeader {
            protocol: protocol as u8,
            encoding: wire::encoding::Encoding::Identity.number(),
            flags: 0,
            durability: Durability::Fsync,
            rule: wire::RULE,
            tenant: tenant.into(),
            sender: "hypocenter".into(),
            received_ns: now_ns,
            body_hash: 0,
            items: [0; 3],
            decisions: bytes::Bytes::new(),
            limits: bytes::Bytes::new(),
            settles,
        };
        match journal.append_own(Frame { header, body: body.into() }, Payload { batch, permit }) {
            Ok(ticket) => ticket.await.is_ok(),
            Err(_) => false,
        }
    }
}

fn add(state: &mut State, kind: Count, items: [u64; 3]) {
    let first = kind as usize * 3;
    (0..3).for_each(|place| state.totals.0[first + place] += items[place]);
}

fn at(signal: Signal, items: u64) -> [u64; 3] {
    match signal {
        Signal::Traces => [items, 0, 0],
        Signal::Logs => [0, items, 0],
        Signal::Metrics => [0, 0, items],
    }
}

fn enter(state: &mut State, envelope: &Envelope, signal: Signal, reason: Reason, items: u64, example: &str) {
    let sender = if state.entries.len() < ENTRIES_MAX { Arc::clone(&envelope.sender) } else { "(many senders)".into() };
    let key = (Arc::clone(&envelope.tenant), sender, signal, reason);
    state.entries.entry(key).or_insert_with(|| (0, example.to_owned())).0 += items;
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: frames reported in order, some of them twice (as after a restart), dead letters among them; refusals of
    // known and unknown size.
    // Guarantee: every item is counted once, under its kind and signal.
    #[test]
    fn counts() {
        let books = Books::new(Totals::default());
        let envelope = Envelope { tenant: "".into(), received_ns: 0, sender: "s".into() };
        let mut letters = Batch::new(envelope.clone());
        for table in ["otel_logs", "otel_traces_trace_id_ts"] {
            letters.dead_letters.time.push(0);
            letters.dead_letters.table.push(table.as_bytes());
        }
        books.durable(1, [5, 0, 0], [0; 3]);
        books.durable(2, [0, 7, 0], [0; 3]);
        books.durable(2, [0, 7, 0], [0; 3]);
        (0..2).for_each(|_| books.durable(3, [0; 3], set_aside(&letters)));
        let mut account = Account::default();
        account.count_many(Signal::Traces, Reason::InvalidTraceId, 3, || "x".into());
        account.count_many(Signal::Traces, Reason::ValueTruncated, 9, || "y".into());
        books.count(&envelope, &account);
        books.note(&envelope, Signal::Logs, Reason::TooLarge, 0, "z".into());
        assert_eq!(books.total(Count::Accepted), [5, 7, 0]);
        assert_eq!(books.total(Count::Rejected), [3, 0, 0], "altered items are stored");
        assert_eq!(books.total(Count::Refused), [0, 1, 0]);
        assert_eq!(books.total(Count::DeadLetters), [0, 1, 0], "a row of the index is no item");
        assert_eq!(books.counted_lsn(), 3);
        assert_eq!(Books::new(books.totals()).total(Count::Accepted), [5, 7, 0]);
    }
}
