//! From sealed blocks to ClickHouse. A block's seal is durable before the first byte of its insert;
//! the insert is repeated under the same token until ClickHouse has it; then it is confirmed. A row
//! that ClickHouse refuses for good is found by halving and set aside as a dead letter. While
//! ClickHouse is away, everything here waits, and the lanes stop reading.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use journal::{AppendError, Entry, Journal, Seal, Ticket};
use model::{BatchId, Table};
use store::{Block, InsertError, LaneKey, LookupError, SealedBlock, Store};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Semaphore, watch};
use tracing::{error, info, warn};
use wire::books::DeadLetterEntry;

use crate::books::{self, Books};
use crate::decode::{self, Rules};
use crate::lanes::{Parcel, Payload};
use crate::ranges::Point;
use crate::waterline::Waterline;

/// First and longest pause between tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Between two looks for an absent batch: as a rule, and after ClickHouse was away. An insert of an earlier
/// life may still lie in the server's socket and be read only now, so absence must be seen twice, apart.
pub(crate) const SETTLE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(5));
/// After this long without success the store counts as slow.
const SLOW: Duration = Duration::from_secs(10);

/// How the store is doing, as users read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreState {
    /// Inserts succeed.
    Ok,
    /// Inserts are tried again and again.
    Down(String),
}

/// Delivery and what it needs.
pub(crate) struct Delivery {
    pub(crate) journal: Journal<Payload>,
    pub(crate) store: Store,
    pub(crate) waterline: Arc<Waterline>,
    pub(crate) books: Arc<Books>,
    pub(crate) budget: access::Budget,
    pub(crate) rules: Rules,
    pub(crate) state: watch::Sender<StoreState>,
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
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let delivery = Arc::clone(&self);
            let Parcel { seal, block, sealed, waiting } = parcel;
            drop(waiting);
            tokio::spawn(async move {
                delivery.deliver(seal, block, sealed).await;
                drop(place);
            });
        }
        // The last ones are still on their way.
        let _ = places.acquire_many(at_once as u32).await;
    }

    async fn deliver(&self, seal: Seal, block: Option<Block>, sealed: Option<Result<Ticket, AppendError>>) {
        if let Some(sealed) = sealed
            && !self.make_durable(sealed, &seal).await
        {
            return;
        }
        match block {
            Some(block) => self.insert(seal, block).await,
            None => self.renew(&seal).await,
        }
    }

    // After ClickHouse's process changed: ask whether it has the batch.
    async fn settle(&self, seal: Seal) {
        match self.is_stored(&seal).await {
            true => self.confirm(&seal),
            false => self.renew(&seal).await,
        }
    }

    // The rows of an absent batch go under a new id, never under the old token.
    async fn renew(&self, seal: &Seal) {
        for (seal, block) in self.seal_again(seal, &[(seal.from, seal.to)]).await {
            self.insert(seal, block).await;
        }
    }

    // The seal must be on disk before the insert's first byte.
    async fn make_durable(&self, mut sealed: Result<Ticket, AppendError>, seal: &Seal) -> bool {
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

    async fn insert(&self, seal: Seal, block: Block) {
        let table = block.table();
        let rows = seal.rows;
        let mut pause = PAUSE.0;
        let began = Instant::now();
        let batch = BatchId(seal.batch);
        let Ok(native) = tokio::task::spawn_blocking(move || block.finish(batch)).await else {
            error!("a block could not be encoded");
            return;
        };
        let sealed = SealedBlock { table, batch, rows: native.rows(), native };
        let marker = self.mark().await;
        let mut was_lost = false;
        loop {
            journal::crash::crash_point("before-insert");
            match self.store.insert(&sealed).await {
                Ok(()) => {
                    journal::crash::crash_point("after-insert");
                    self.report(StoreState::Ok);
                    return self.confirm(&seal);
                }
                Err(InsertError::Poison(reason)) => {
                    warn!(table = table.def().name, rows, %reason, "ClickHouse refuses a block for good: looking for the row");
                    return Box::pin(self.halve(&seal, sealed, &reason)).await;
                }
                Err(InsertError::Schema(reason)) => {
                    warn!(%reason, "the schema is not as expected: applying it");
                    if let Err(error) = self.store.apply_schema().await {
                        warn!(%error, "the schema cannot be applied");
                    }
                    self.report(StoreState::Down(reason));
                }
                Err(InsertError::Lost(reason)) => {
                    was_lost = true;
                    self.report(StoreState::Down(reason));
                }
                Err(InsertError::Retry(reason)) => {
                    if began.elapsed() > SLOW {
                        info!(table = table.def().name, %reason, waited_s = began.elapsed().as_secs(), "still waiting for ClickHouse");
                    }
                    self.report(StoreState::Down(reason));
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
            if was_lost && !self.is_same_server(marker).await {
                // Its record of tokens may say more than its table holds: presence decides.
                return Box::pin(self.settle(seal)).await;
            }
        }
    }

    fn confirm(&self, seal: &Seal) {
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

    // Seals parts of a lost or refused batch anew and rebuilds their blocks. All seals are durable
    // before the old batch is let go: what newer seals cover, recovery takes from the old one.
    async fn seal_again(&self, old: &Seal, parts: &[(Point, Point)]) -> Vec<(Seal, Block)> {
        let mut renewed = Vec::new();
        for &(from, to) in parts {
            let (block, rows) = self.read_again(old, from, to, rebuild).await;
            if rows == 0 {
                warn!(?from, ?to, "rows of a batch are no longer in the journal");
                continue;
            }
            let batch = BatchId::new(self.writer, self.sequence.fetch_add(1, Ordering::Relaxed)).0;
            let (min_time_ns, max_time_ns) = block.time_range_ns();
            let seal = Seal { batch, from, to, rows, min_time_ns, max_time_ns, token: batch, ..old.clone() };
            self.waterline.sent(&seal, block.bytes());
            if !self.make_durable(self.journal.seal(seal.clone()), &seal).await {
                return Vec::new();
            }
            renewed.push((seal, block));
        }
        self.confirm(old);
        renewed
    }

    async fn halve(&self, seal: &Seal, refused: SealedBlock, reason: &str) {
        if seal.rows <= 1 {
            return self.bury(seal, &refused, reason).await;
        }
        drop(refused);
        let middle = seal.rows / 2;
        let find = move |journal: &Journal<Payload>, rules: &Rules, lane: &LaneKey, from, to| {
            middle_of(journal, rules, lane, from, to, middle)
        };
        let halves = match self.read_again(seal, seal.from, seal.to, find).await {
            Some((last_of_first, first_of_second)) => vec![(seal.from, last_of_first), (first_of_second, seal.to)],
            None => vec![(seal.from, seal.to)],
        };
        for (seal, block) in self.seal_again(seal, &halves).await {
            self.insert(seal, block).await;
        }
    }

    // Reads rows of the seal's lane from the journal on a blocking thread, as often as it takes: to give
    // up would be to lose them.
    async fn read_again<T, F>(&self, seal: &Seal, from: Point, to: Point, read: F) -> T
    where
        T: Send + 'static,
        F: Fn(&Journal<Payload>, &Rules, &LaneKey, Point, Point) -> std::io::Result<T> + Clone + Send + 'static,
    {
        let mut pause = PAUSE.0;
        loop {
            let (journal, rules, read) = (self.journal.clone(), self.rules.clone(), read.clone());
            let lane = LaneKey::parse(seal.table, &seal.partition);
            let outcome = tokio::task::spawn_blocking(move || match lane {
                Some(lane) => read(&journal, &rules, &lane, from, to),
                None => Err(std::io::Error::other("the seal names a lane that this version does not know")),
            });
            match outcome.await {
                Ok(Ok(found)) => return found,
                Ok(Err(error)) => error!(%error, "rows cannot be read again from the journal; trying again"),
                Err(error) => error!(%error, "reading rows again from the journal was cut off; trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    async fn bury(&self, seal: &Seal, refused: &SealedBlock, reason: &str) {
        let table = refused.table.def().name;
        let now_ns = crate::clock::now_ns();
        let letter = DeadLetterEntry {
            time_ns: now_ns,
            table: table.to_owned(),
            reason: reason.to_owned(),
            row: cut(refused.native.row_as_json(0)),
        };
        let mut pause = PAUSE.0;
        while !books::bury(&self.journal, &self.rules, &self.budget, now_ns, std::slice::from_ref(&letter)).await {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
        warn!(table, reason, "a row was set aside as a dead letter");
        let items = crate::waterline::items_of(seal.table, 1);
        self.books.dead_letter(table, items, reason);
        self.confirm(seal);
    }

    fn report(&self, state: StoreState) {
        self.state.send_if_modified(|present| {
            let changed = *present != state;
            if changed {
                match &state {
                    StoreState::Ok => info!("ClickHouse takes inserts"),
                    StoreState::Down(reason) => {
                        warn!(%reason, "ClickHouse does not take inserts; the journal keeps the data")
                    }
                }
                *present = state;
            }
            changed
        });
    }
}

/// Longest text of a row in a dead letter, bytes.
const LETTER_BYTES_MAX: usize = 4 << 20;

fn cut(mut row: String) -> String {
    if row.len() > LETTER_BYTES_MAX {
        let end = (0..=LETTER_BYTES_MAX).rev().find(|at| row.is_char_boundary(*at)).unwrap_or(0);
        row.truncate(end);
    }
    row
}

/// Visits the rows of a lane between two points, frame by frame. What is damaged or cannot be decoded is
/// passed over: the reader and the lanes have told of it.
fn walk(
    journal: &Journal<Payload>,
    rules: &Rules,
    lane: &LaneKey,
    (from, to): (Point, Point),
    mut visit: impl FnMut(journal::Lsn, &model::Batch, Range<u32>),
) -> std::io::Result<()> {
    for entry in journal.reader(from.0) {
        let Entry::Frame { lsn, header, body } = entry? else { continue };
        if lsn > to.0 {
            break;
        }
        let Ok(decoded) = decode::frame(&header, &body, rules) else { continue };
        for (key, ranges) in store::lanes(&decoded.batch) {
            if key != *lane {
                continue;
            }
            for rows in ranges {
                let start = if lsn == from.0 { rows.start.max(from.1) } else { rows.start };
                let end = if lsn == to.0 { rows.end.min(to.1.saturating_add(1)) } else { rows.end };
                if start < end {
                    visit(lsn, &decoded.batch, start..end);
                }
            }
        }
    }
    Ok(())
}

/// The block of a lane's rows between two points.
fn rebuild(
    journal: &Journal<Payload>,
    rules: &Rules,
    lane: &LaneKey,
    from: Point,
    to: Point,
) -> std::io::Result<(Block, u32)> {
    let mut block = Block::new(lane.table);
    let mut count = 0;
    walk(journal, rules, lane, (from, to), |_, batch, rows| {
        count += rows.end - rows.start;
        block.append(batch, rows);
    })?;
    Ok((block, count))
}

/// The last row of the first half and the first row of the second.
fn middle_of(
    journal: &Journal<Payload>,
    rules: &Rules,
    lane: &LaneKey,
    from: Point,
    to: Point,
    middle: u32,
) -> std::io::Result<Option<(Point, Point)>> {
    let (mut seen, mut last, mut cut) = (0, from, None);
    walk(journal, rules, lane, (from, to), |lsn, _, rows| {
        for row in rows {
            if seen == middle {
                cut = Some((last, (lsn, row)));
            }
            last = (lsn, row);
            seen += 1;
        }
    })?;
    Ok(cut)
}
