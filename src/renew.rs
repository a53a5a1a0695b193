//! Batches of earlier lives that ClickHouse does not have: their rows are read again from the journal and
//! sealed under new ids. Many at once: a frame has rows in a dozen lanes, and is read and decoded once for
//! all of them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use journal::{Entry, Journal, Seal};
use model::BatchId;
use store::{Block, LaneKey};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, warn};

use crate::decode;
use crate::deliver::{Delivery, PAUSE};
use crate::lanes::{Parcel, Payload};
use crate::ranges::Point;

/// Rows that are rebuilt in one reading, unless a single batch has more.
const ROWS_AT_ONCE: u32 = 100_000;
/// Longest wait for room beside the blocks of new data.
const ROOM_WAIT: Duration = Duration::from_secs(5);

impl Delivery {
    /// Renews absent batches and hands them to delivery, oldest first, while blocks have room.
    pub(crate) async fn renew_all(&self, mut seals: Vec<Seal>, parcels: &UnboundedSender<Parcel>) {
        seals.sort_by_key(|seal| (seal.from, seal.to));
        let mut rest = &seals[..];
        while !rest.is_empty() {
            let mut rows = 0u32;
            let more = |seal: &&Seal| {
                rows = rows.saturating_add(seal.rows);
                rows <= ROWS_AT_ONCE
            };
            let (some, after) = rest.split_at(rest.iter().take_while(more).count().max(1));
            rest = after;
            // New data fills the room as fast as it is made; old batches hold the journal, so they wait, but not long.
            let began = Instant::now();
            while self.waterline.sent_bytes() >= self.block_memory_bytes_max && began.elapsed() < ROOM_WAIT {
                tokio::time::sleep(PAUSE.0).await;
            }
            if !self.renew_some(some.to_vec(), parcels).await {
                return; // the journal is closed: rebuilt at the next start
            }
        }
    }

    // All new seals share a flush or two; an old batch is let go when its new seal is durable.
    async fn renew_some(&self, old: Vec<Seal>, parcels: &UnboundedSender<Parcel>) -> bool {
        let old: Arc<[Seal]> = old.into();
        let reading = Arc::clone(&old);
        let blocks = self.insist(move |journal| rebuild_many(journal, &reading)).await;
        let mut renewed = Vec::new();
        for (old, (block, rows)) in old.iter().zip(blocks) {
            match self.new_seal(old, block, rows) {
                Some((seal, block)) => renewed.push((old, self.journal.seal(seal.clone()), seal, block)),
                None => self.confirm(old),
            }
        }
        for (old, sealed, seal, block) in renewed {
            if !self.make_durable(sealed, &seal).await {
                return false;
            }
            self.confirm(old);
            // The receiver goes away only when everything ends.
            let _ = parcels.send(Parcel { seal, block, sealed: None, waiting: Arc::default() });
        }
        true
    }

    /// Seals parts of a lost or refused batch anew. All seals are durable before the old batch is let go: what
    /// newer seals cover, recovery takes from the old one.
    pub(crate) async fn seal_again(&self, old: &Seal, parts: &[(Point, Point)]) -> Vec<(Seal, Block)> {
        let mut renewed = Vec::new();
        for &(from, to) in parts {
            let (block, rows) = self.read_again(old, from, to, rebuild).await;
            let part = Seal { from, to, ..old.clone() };
            let Some((seal, block)) = self.new_seal(&part, block, rows) else { continue };
            if !self.make_durable(self.journal.seal(seal.clone()), &seal).await {
                return Vec::new();
            }
            renewed.push((seal, block));
        }
        self.confirm(old);
        renewed
    }

    // A seal of the same rows under a new id; the waterline knows it before it is used.
    fn new_seal(&self, old: &Seal, block: Block, rows: u32) -> Option<(Seal, Block)> {
        if rows == 0 {
            warn!(from = ?old.from, to = ?old.to, "rows of a batch are no longer in the journal");
            return None;
        }
        let batch = BatchId::new(self.writer, self.sequence.fetch_add(1, Ordering::Relaxed)).0;
        let (min_time_ns, max_time_ns) = block.time_range_ns();
        let seal = Seal { batch, rows, min_time_ns, max_time_ns, token: batch, ..old.clone() };
        self.waterline.sent(&seal, block.held_bytes());
        Some((seal, block))
    }

    /// Reads rows of the seal's lane from the journal.
    pub(crate) async fn read_again<T, F>(&self, seal: &Seal, from: Point, to: Point, read: F) -> T
    where
        T: Send + 'static,
        F: Fn(&Journal<Payload>, &LaneKey, Point, Point) -> std::io::Result<T> + Clone + Send + 'static,
    {
        let lane = lane_of(seal);
        self.insist(move |journal| match &lane {
            Some(lane) => read(journal, lane, from, to),
            None => Err(std::io::Error::other("the seal names a lane that this version does not know")),
        })
        .await
    }

    // Reads on a blocking thread, as often as it takes: to give up would be to lose rows.
    async fn insist<T, F>(&self, read: F) -> T
    where
        T: Send + 'static,
        F: Fn(&Journal<Payload>) -> std::io::Result<T> + Clone + Send + 'static,
    {
        let mut pause = PAUSE.0;
        loop {
            let (journal, read) = (self.journal.clone(), read.clone());
            match tokio::task::spawn_blocking(move || read(&journal)).await {
                Ok(Ok(found)) => return found,
                Ok(Err(error)) => error!(%error, "rows cannot be read again from the journal; trying again"),
                Err(error) => error!(%error, "reading rows again from the journal was cut off; trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}

fn lane_of(seal: &Seal) -> Option<LaneKey> {
    LaneKey::parse(seal.table, &seal.partition)
}

/// Visits the rows of a lane between two points, frame by frame.
pub(crate) fn walk(
    journal: &Journal<Payload>,
    lane: &LaneKey,
    (from, to): (Point, Point),
    mut visit: impl FnMut(journal::Lsn, &model::Batch, Range<u32>),
) -> std::io::Result<()> {
    walk_lanes(journal, from.0, to.0, |lsn, batch, key, rows| {
        if key == *lane
            && let Some(rows) = within(lsn, rows, from, to)
        {
            visit(lsn, batch, rows);
        }
    })
}

/// Visits all rows of frames, lane by lane. What is damaged or cannot be decoded is passed over: the reader
/// and the lanes have told of it.
fn walk_lanes(
    journal: &Journal<Payload>,
    from: journal::Lsn,
    to: journal::Lsn,
    mut visit: impl FnMut(journal::Lsn, &model::Batch, LaneKey, Range<u32>),
) -> std::io::Result<()> {
    for entry in journal.reader(from) {
        let Entry::Frame { lsn, header, body } = entry? else { continue };
        if lsn > to {
            break;
        }
        let Ok(decoded) = decode::frame(&header, &body) else { continue };
        for (key, ranges) in store::lanes(&decoded.batch) {
            ranges.into_iter().for_each(|rows| visit(lsn, &decoded.batch, key, rows));
        }
    }
    Ok(())
}

// The part of a frame's rows that lies between two points.
fn within(lsn: journal::Lsn, rows: Range<u32>, from: Point, to: Point) -> Option<Range<u32>> {
    if lsn < from.0 || lsn > to.0 {
        return None;
    }
    let start = if lsn == from.0 { rows.start.max(from.1) } else { rows.start };
    let end = if lsn == to.0 { rows.end.min(to.1.saturating_add(1)) } else { rows.end };
    (start < end).then_some(start..end)
}

/// The block of a lane's rows between two points.
fn rebuild(journal: &Journal<Payload>, lane: &LaneKey, from: Point, to: Point) -> std::io::Result<(Block, u32)> {
    let mut block = Block::new(lane.table);
    let mut count = 0;
    walk(journal, lane, (from, to), |_, batch, rows| {
        count += rows.end - rows.start;
        block.append(batch, rows);
    })?;
    Ok((block, count))
}

/// The blocks of many seals, in one reading, in the order of the seals.
fn rebuild_many(journal: &Journal<Payload>, seals: &[Seal]) -> std::io::Result<Vec<(Block, u32)>> {
    let unknown = || std::io::Error::other("a seal names a lane that this version does not know");
    let lanes: Vec<LaneKey> = seals.iter().map(lane_of).collect::<Option<_>>().ok_or_else(unknown)?;
    let mut blocks: Vec<(Block, u32)> = lanes.iter().map(|lane| (Block::new(lane.table), 0)).collect();
    let first = seals.iter().map(|seal| seal.from.0).min().unwrap_or_default();
    let last = seals.iter().map(|seal| seal.to.0).max().unwrap_or_default();
    walk_lanes(journal, first, last, |lsn, batch, key, rows| {
        for (at, seal) in seals.iter().enumerate().filter(|(at, _)| lanes[*at] == key) {
            if let Some(rows) = within(lsn, rows.clone(), seal.from, seal.to) {
                blocks[at].1 += rows.end - rows.start;
                blocks[at].0.append(batch, rows);
            }
        }
    })?;
    Ok(blocks)
}
