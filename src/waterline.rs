//! The waterline: every frame below it is stored and confirmed in all its lanes. It frees journal
//! segments, answers those who wait for storage, and knows what is on its way.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use journal::{Lsn, Seal};
use model::Table;
use tokio::sync::watch;

/// Shared between the lanes (which raise blocks) and delivery (which confirms them).
pub(crate) struct Waterline {
    state: Mutex<State>,
    level: watch::Sender<Lsn>,
}

struct State {
    /// The oldest frame that is not wholly in sealed blocks.
    lanes_low: Lsn,
    /// Sealed blocks that are not confirmed.
    sent: BTreeMap<u128, Sent>,
    /// Items in open blocks, by signal.
    open_items: [u64; 3],
    /// Items in frames that the lanes have not read yet, by signal; short by what a start has not counted yet.
    unread_items: [i64; 3],
}

struct Sent {
    from: Lsn,
    bytes: usize,
    items: [u64; 3],
}

impl Waterline {
    /// A waterline at `low`.
    pub(crate) fn new(low: Lsn) -> Waterline {
        let state = State { lanes_low: low, sent: BTreeMap::new(), open_items: [0; 3], unread_items: [0; 3] };
        Waterline { state: Mutex::new(state), level: watch::Sender::new(low) }
    }

    /// Notes a sealed block before its insert begins.
    pub(crate) fn sent(&self, seal: &Seal, bytes: usize) {
        let sent = Sent { from: seal.from.0, bytes, items: items_of(seal.table, seal.rows) };
        self.lock().sent.insert(seal.batch, sent);
    }

    /// Notes that a block is stored (or replaced by others that were noted before).
    pub(crate) fn settled(&self, batch: u128) {
        let mut state = self.lock();
        state.sent.remove(&batch);
        self.publish(&state);
    }

    /// Keeps frame `lsn` and all after it in the journal: it holds something that cannot be stored now.
    pub(crate) fn hold(&self, lsn: Lsn, items: [u32; 3]) {
        let held = Sent { from: lsn, bytes: 0, items: items.map(u64::from) };
        self.lock().sent.insert(u128::from(lsn), held);
    }

    /// Notes how far the lanes have come: the oldest frame with rows outside sealed blocks, and the
    /// items in open blocks.
    pub(crate) fn lanes_at(&self, lanes_low: Lsn, open_items: [u64; 3]) {
        let mut state = self.lock();
        state.lanes_low = lanes_low;
        state.open_items = open_items;
        self.publish(&state);
    }

    /// Notes items that became durable and wait for the lanes.
    pub(crate) fn arrived(&self, items: [u32; 3]) {
        let mut state = self.lock();
        (0..3).for_each(|at| state.unread_items[at] += i64::from(items[at]));
    }

    /// Notes items that the lanes have read.
    pub(crate) fn read(&self, items: [u32; 3]) {
        let mut state = self.lock();
        (0..3).for_each(|at| state.unread_items[at] -= i64::from(items[at]));
    }

    /// Every frame below this is stored.
    pub(crate) fn level(&self) -> Lsn {
        *self.level.borrow()
    }

    /// Items accepted and not yet stored, by signal.
    pub(crate) fn pending_items(&self) -> [u64; 3] {
        let state = self.lock();
        let mut pending = [0; 3];
        for (at, total) in pending.iter_mut().enumerate() {
            *total = state.unread_items[at].max(0) as u64
                + state.open_items[at]
                + state.sent.values().map(|sent| sent.items[at]).sum::<u64>();
        }
        pending
    }

    /// Bytes in sealed blocks.
    pub(crate) fn sent_bytes(&self) -> usize {
        self.lock().sent.values().map(|sent| sent.bytes).sum()
    }

    /// Sealed blocks.
    pub(crate) fn sent_blocks(&self) -> usize {
        self.lock().sent.len()
    }

    /// Waits until frame `lsn` is stored; false when `timeout` passes first.
    pub(crate) async fn reach(&self, lsn: Lsn, timeout: Duration) -> bool {
        let mut level = self.level.subscribe();
        let reached = tokio::time::timeout(timeout, level.wait_for(|level| *level > lsn)).await;
        matches!(reached, Ok(Ok(_)))
    }

    /// Follows the level.
    pub(crate) fn follow(&self) -> watch::Receiver<Lsn> {
        self.level.subscribe()
    }

    fn publish(&self, state: &State) {
        let low = state.sent.values().map(|sent| sent.from).fold(state.lanes_low, Lsn::min);
        self.level.send_if_modified(|level| {
            let changed = low > *level;
            *level = low.max(*level);
            changed
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while holding the lock leaves counts that are still right to read.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Items of `rows` rows of a table, by signal; the index and our own books count for none.
pub(crate) fn items_of(table: u8, rows: u32) -> [u64; 3] {
    let rows = u64::from(rows);
    match Table::from_number(table) {
        Some(Table::Traces) => [rows, 0, 0],
        Some(Table::Logs) => [0, rows, 0],
        Some(Table::TraceIndex | Table::Ledger | Table::DeadLetters) | None => [0; 3],
        Some(_) => [0, 0, rows],
    }
}
