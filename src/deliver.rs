//! From sealed blocks to ClickHouse. A block's seal is durable before the first byte of its insert;
//! the insert is repeated under the same token until ClickHouse has it; then it is confirmed. While
//! ClickHouse is away, everything here waits, and the lanes stop reading. What it refuses because of the
//! rows goes to `sift.rs`; what it refuses because of rights or tables waits for a person, and says so.
//!
//! What changes when ClickHouse is down: inserts are repeated here until it is back, the journal grows,
//! memory does not (`lanes.rs` reads the frames again later), `/ready` says degraded, and questions are
//! answered with 503. Senders notice nothing until the journal's budget is spent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use journal::{AppendError, Journal, Seal, Ticket};
use model::{BatchId, Table};
use store::{Block, InsertError, LookupError, SealedBlock, Store};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tracing::{error, info, warn};

use crate::books::Books;
use crate::lanes::{Parcel, Payload};
use crate::sift::{PATIENT, Patience, Refused};
use crate::storage::Schema;
use crate::waterline::Waterline;

/// First and longest pause between tries.
pub(crate) const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Between two looks for an absent batch: as a rule, and after ClickHouse was away. An insert of an earlier
/// life may still lie in the server's socket and be read only now, so absence must be seen twice, apart.
pub(crate) const SETTLE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(5));
/// After this long without success the store counts as slow.
const SLOW: Duration = Duration::from_secs(10);
/// Longest pause between tries of a block that waits for a person.
pub(crate) const HELD_PAUSE: Duration = Duration::from_secs(30);
/// Applying the schema so often must have mended it.
const REPAIRS: u32 = 5;
/// How often ClickHouse is asked whether it is there while nothing is inserted.
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// How the store is doing, as users read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreState {
    /// Inserts succeed.
    Ok,
    /// Inserts are tried again and again.
    Down(String),
    /// It answers, and refuses for a reason that no repetition mends: rights, tables that are not ours.
    Refusing(String),
}

/// Inserts that succeeded, by table: the proof that a refusal was about the rows.
#[derive(Default)]
pub(crate) struct Progress {
    by_table: [AtomicU64; 16],
    changed: Notify,
}

impl Progress {
    /// So many inserts into the table succeeded.
    pub(crate) fn of(&self, table: Table) -> u64 {
        self.by_table[table as usize % 16].load(Ordering::Relaxed)
    }

    fn one_more(&self, table: Table) {
        self.by_table[table as usize % 16].fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Waits for `pause`, less when the table goes on from `known`: then it is worth another try at once.
    pub(crate) async fn wait(&self, table: Table, known: u64, pause: Duration) {
        let until = tokio::time::Instant::now() + pause;
        loop {
            let changed = self.changed.notified();
            if self.of(table) != known || tokio::time::timeout_at(until, changed).await.is_err() {
                return;
            }
        }
    }
}

/// The right to have an insert running. Who waits for a person lets others go first.
pub(crate) struct Place {
    all: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Place {
    async fn take(all: &Arc<Semaphore>) -> Place {
        let mut place = Place { all: Arc::clone(all), taken: None };
        place.come_back().await;
        place
    }

    /// Gives the place to others.
    pub(crate) fn step_aside(&mut self) {
        self.taken = None;
    }

    /// Takes a place again, if it was given away.
    pub(crate) async fn come_back(&mut self) {
        if self.taken.is_none() {
            // The places are never closed.
            self.taken = Arc::clone(&self.all).acquire_owned().await.ok();
        }
    }
}

/// Delivery and what it needs.
pub(crate) struct Delivery {
    pub(crate) journal: Journal<Payload>,
    pub(crate) store: Store,
    pub(crate) waterline: Arc<Waterline>,
    pub(crate) books: Arc<Books>,
    pub(crate) budget: access::Budget,
    pub(crate) state: watch::Sender<StoreState>,
    /// Bytes that blocks may hold together.
    pub(crate) block_memory_bytes_max: usize,
    pub(crate) stored: Progress,
    /// Blocks that wait for a person, and why.
    pub(crate) held: Mutex<BTreeMap<u128, String>>,
    pub(crate) writer: u64,
    /// Sequence numbers of batches made here; apart from those of the lanes.
    pub(crate) sequence: AtomicU64,
    /// By what ClickHouse's process is known to be the same; `None` before it was marked.
    pub(crate) marker: tokio::sync::Mutex<Option<u64>>,
}

/// Batches made in delivery count from here, those of the lanes from 1.
pub(crate) const DELIVERY_SEQUENCE: u64 = 1 << 63;

impl Delivery {
    /// Takes parcels until there are no more, `at_once` at the same time.
    pub(crate) async fn run(self: Arc<Self>, mut parcels: UnboundedReceiver<Parcel>, at_once: usize) {
        let places = Arc::new(Semaphore::new(at_once));
        while let Some(parcel) = parcels.recv().await {
            let mut place = Place::take(&places).await;
            let delivery = Arc::clone(&self);
            let Parcel { seal, block, sealed, waiting } = parcel;
            drop(waiting);
            tokio::spawn(async move {
                delivery.deliver(seal, block, sealed, &mut place).await;
            });
        }
        // The last ones are still on their way.
        let _ = places.acquire_many(at_once as u32).await;
    }

    async fn deliver(&self, seal: Seal, block: Block, sealed: Option<Result<Ticket, AppendError>>, place: &mut Place) {
        if let Some(sealed) = sealed
            && !self.make_durable(sealed, &seal).await
        {
            return;
        }
        self.insert(seal, block, place).await;
    }

    // After ClickHouse's process changed: ask whether it has the batch.
    async fn settle(&self, seal: Seal, place: &mut Place) {
        match self.is_stored(&seal).await {
            true => self.confirm(&seal),
            false => self.renew(&seal, place).await,
        }
    }

    // The rows of an absent batch go under a new id, never under the old token.
    async fn renew(&self, seal: &Seal, place: &mut Place) {
        for (seal, block) in self.seal_again(seal, &[(seal.from, seal.to)]).await {
            self.insert(seal, block, place).await;
        }
    }

    // The seal must be on disk before the insert's first byte.
    pub(crate) async fn make_durable(&self, mut sealed: Result<Ticket, AppendError>, seal: &Seal) -> bool {
        let mut pause = PAUSE.0;
        loop {
            let outcome = match sealed {
                Ok(ticket) => ticket.await.map(|_| ()),
                Err(reason) => Err(reason),
            };
            match outcome {
                Ok(()) => return true,
                Err(AppendError::Closed) => return false, // rebuilt from the journal at the next start
                Err(reason) => warn!(%reason, "cannot write a seal; trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
            sealed = self.journal.seal(seal.clone());
        }
    }

    /// Inserts a block until ClickHouse has its rows, in one block or in many.
    async fn insert(&self, seal: Seal, block: Block, place: &mut Place) {
        if let Some(refused) = self.attempt(seal, block, PATIENT, place).await {
            self.sift(refused, place).await;
        }
    }

    /// Tries until ClickHouse has the block; gives it back when its rows seem to be the reason that it has not.
    pub(crate) async fn attempt(
        &self,
        seal: Seal,
        block: Block,
        patience: Patience,
        place: &mut Place,
    ) -> Option<Refused> {
        let table = block.table();
        let batch = BatchId(seal.batch);
        let Ok(native) = tokio::task::spawn_blocking(move || block.finish(batch)).await else {
            error!("a block could not be encoded");
            return None;
        };
        let sealed = SealedBlock { table, batch, rows: native.rows(), native };
        self.attempt_sealed(seal, sealed, patience, place).await
    }

    /// The same with a block that is encoded already.
    pub(crate) async fn attempt_sealed(
        &self,
        seal: Seal,
        sealed: SealedBlock,
        patience: Patience,
        place: &mut Place,
    ) -> Option<Refused> {
        let began = Instant::now();
        let marker = self.mark().await;
        let (mut pause, mut was_lost, mut refusals, mut repairs) = (PAUSE.0, false, 0, 0);
        loop {
            journal::crash::crash_point("before-insert");
            let stored = self.stored.of(sealed.table);
            let mut longest = PAUSE.1;
            place.come_back().await;
            match self.store.insert(&sealed).await {
                Ok(()) => {
                    journal::crash::crash_point("after-insert");
                    self.stored.one_more(sealed.table);
                    self.let_go(seal.batch);
                    self.report(StoreState::Ok);
                    self.confirm(&seal);
                    return None;
                }
                Err(InsertError::Poison(reason)) => return Some(Refused { seal, sealed, reason, sure: true, stored }),
                Err(InsertError::Unknown(reason)) => {
                    refusals += 1;
                    if refusals >= patience.tries && began.elapsed() >= patience.time {
                        return Some(Refused { seal, sealed, reason, sure: false, stored });
                    }
                    // It answers; that another block waits for a person is the better answer.
                    let nothing_held = self.held.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
                    self.report(if nothing_held { StoreState::Down(reason) } else { StoreState::Ok });
                }
                Err(InsertError::Schema(reason)) => {
                    warn!(%reason, "the schema is not as expected: applying it");
                    let applied = self.store.apply_schema().await;
                    repairs += 1;
                    match applied {
                        Ok(()) if repairs <= REPAIRS => self.report(StoreState::Down(reason)),
                        Ok(()) => longest = self.hold(seal.batch, &reason),
                        Err(error) => {
                            longest =
                                self.hold(seal.batch, &format!("{reason}; and the schema cannot be applied: {error}"))
                        }
                    }
                }
                Err(InsertError::Denied(reason)) => longest = self.hold(seal.batch, &reason),
                Err(InsertError::Lost(reason)) => {
                    was_lost = true;
                    self.report(StoreState::Down(reason));
                }
                Err(InsertError::Retry(reason)) => {
                    if began.elapsed() > SLOW {
                        info!(table = sealed.table.def().name, %reason, waited_s = began.elapsed().as_secs(), "still waiting for ClickHouse");
                    }
                    self.report(StoreState::Down(reason));
                }
            }
            if longest == HELD_PAUSE {
                place.step_aside();
            }
            self.stored.wait(sealed.table, stored, pause).await;
            pause = (pause * 2).min(longest);
            if was_lost && !self.is_same_server(marker).await {
                // Its record of tokens may say more than its table holds: presence decides.
                self.let_go(seal.batch);
                Box::pin(self.settle(seal, place)).await;
                return None;
            }
        }
    }

    /// Notes that a block waits for a person, and gives the longest pause between tries.
    pub(crate) fn hold(&self, batch: u128, reason: &str) -> Duration {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(batch, reason.to_owned());
        self.store.metrics().held(held.len());
        drop(held);
        self.report(StoreState::Refusing(reason.to_owned()));
        HELD_PAUSE
    }

    /// Notes that a block no longer waits for a person.
    pub(crate) fn let_go(&self, batch: u128) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.remove(&batch).is_some() {
            self.store.metrics().held(held.len());
        }
    }

    /// Watches ClickHouse while nothing is inserted, so that its state is not yesterday's.
    pub(crate) async fn watch(self: Arc<Self>, mut schema: watch::Receiver<Schema>) {
        loop {
            match &*schema.borrow_and_update() {
                Schema::Pending => {}
                Schema::Applied => break,
                Schema::Failed(reason) => {
                    self.report(StoreState::Down(format!("the schema cannot be applied: {reason}")))
                }
            }
            if schema.changed().await.is_err() {
                return;
            }
        }
        self.report(StoreState::Ok);
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            if self.waterline.sent_blocks() == 0 {
                let pinged = self.store.ping().await;
                self.report(pinged.map_or_else(|error| StoreState::Down(error.to_string()), |()| StoreState::Ok));
            }
        }
    }

    pub(crate) fn confirm(&self, seal: &Seal) {
        self.journal.confirm(seal.batch);
        self.waterline.settled(seal.batch);
    }

    // Whether ClickHouse has the batch; waits until it can say.
    async fn is_stored(&self, seal: &Seal) -> bool {
        let Some(table) = Table::from_number(seal.table) else { return true };
        let mut pause = PAUSE.0;
        let mut seen_absent = false;
        let mut was_away = false;
        loop {
            match self.store.is_present(table, BatchId(seal.batch), (seal.min_time_ns, seal.max_time_ns)).await {
                Ok(present) => {
                    self.report(StoreState::Ok);
                    if present || seen_absent {
                        return present;
                    }
                    seen_absent = true;
                    tokio::time::sleep(if was_away { SETTLE.1 } else { SETTLE.0 }).await;
                    continue;
                }
                Err(reason) => {
                    if matches!(reason, LookupError::Refused(_)) {
                        // The table may be gone; inserts into it are over then, so making it is safe.
                        let _ = self.store.apply_schema().await;
                    }
                    self.report(StoreState::Down(reason.to_string()));
                }
            }
            (seen_absent, was_away) = (false, true);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    // The marker by which ClickHouse's present process can be recognised; 0 when it takes none.
    async fn mark(&self) -> u64 {
        let mut known = self.marker.lock().await;
        if let Some(marker) = *known {
            return marker;
        }
        let marker = rand::random::<u64>() | 1;
        match self.store.mark_incarnation(marker).await {
            Ok(()) => {
                *known = Some(marker);
                marker
            }
            Err(_) => 0,
        }
    }

    // Whether ClickHouse is still the process that it was at `marker`; waits until it can say.
    async fn is_same_server(&self, marker: u64) -> bool {
        let mut pause = PAUSE.0;
        loop {
            if marker == 0 {
                return false; // never marked: presence decides
            }
            match self.store.is_incarnation(marker).await {
                Ok(same) => {
                    let mut known = self.marker.lock().await;
                    if !same && *known == Some(marker) {
                        *known = None;
                    }
                    return same;
                }
                // Without its table it remembers nobody.
                Err(LookupError::Refused(_)) => {
                    *self.marker.lock().await = None;
                    return false;
                }
                Err(reason) => self.report(StoreState::Down(reason.to_string())),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    pub(crate) fn report(&self, state: StoreState) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).values().next().cloned();
        let state = match (state, held) {
            // One block goes in while another waits for a person.
            (StoreState::Ok, Some(reason)) => StoreState::Refusing(reason),
            (state, _) => state,
        };
        self.state.send_if_modified(|present| {
            let changed = *present != state;
            if changed {
                match &state {
                    StoreState::Ok => info!("ClickHouse takes inserts"),
                    StoreState::Down(reason) => {
                        warn!(%reason, "ClickHouse does not take inserts; the journal keeps the data")
                    }
                    StoreState::Refusing(reason) => {
                        error!(%reason, "ClickHouse refuses inserts and needs a person; the journal keeps the data")
                    }
                }
                *present = state;
            }
            changed
        });
    }
}
