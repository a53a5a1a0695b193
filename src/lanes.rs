//! From frames to blocks. Durable frames arrive in LSN order with their columns; each lane (table
//! and partition) gathers its rows in a block, which is sealed when it is full or has waited long
//! enough. When blocks may not grow any further (ClickHouse is away), columns are dropped and the
//! frames are read again from the journal later: memory stays bounded, order stays the same.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use journal::{Entry, FrameHeader, Journal, Lsn, Reader, Seal};
use model::{Batch, BatchId};
use store::{Block, LaneKey};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, info, warn};

use crate::decode;
use crate::ranges::{Coverage, Point};
use crate::waterline::{Waterline, items_of};

/// What travels with a frame through the journal: its columns and their share of the memory budget.
pub(crate) struct Payload {
    /// The columns.
    pub batch: Batch,
    /// The memory they occupy, given back when they are dropped.
    pub permit: access::Permit,
}

/// A sealed block on its way to ClickHouse.
pub(crate) struct Parcel {
    /// What the journal knows of it.
    pub seal: Seal,
    /// Its rows.
    pub block: Block,
    /// Completes when the seal is durable; `None` when it already is.
    pub sealed: Option<Result<journal::Ticket, journal::AppendError>>,
    /// Gone once delivery has begun with the parcel: then the lane may cut its next block by time.
    pub waiting: Arc<()>,
}

/// What the lanes are told.
pub(crate) enum Message {
    /// Frames that have become durable.
    Frames(Vec<(Lsn, Payload)>),
    /// Seal every open block now: somebody waits.
    Cut,
    /// Seal what is open and end.
    Stop,
}

/// When blocks are sealed and how much they may hold together.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Rows of one block.
    pub rows_max: u32,
    /// Bytes of one block.
    pub bytes_max: usize,
    /// Bytes of all blocks, open and sealed.
    pub memory_bytes_max: usize,
    /// Longest wait of the busiest lanes.
    pub linger: Duration,
    /// Longest wait of the others.
    pub linger_cold: Duration,
}

/// Lanes that may be sealed every [`Bounds::linger`]; beyond, the least recently used wait longer.
const HOT_LANES: usize = 8;
/// How often waiting blocks are looked at.
const TICK: Duration = Duration::from_millis(20);
/// Columns of a frame that go into blocks before their memory is looked at again.
const STEP_BYTES: usize = 4 << 20;
/// Frames read from the journal before messages are looked at again.
const CATCH_UP_FRAMES: usize = 64;

/// The lanes and what they need.
pub(crate) struct Lanes {
    journal: Journal<Payload>,
    waterline: Arc<Waterline>,
    parcels: UnboundedSender<Parcel>,
    /// Pays for the columns of frames that are read again.
    memory: access::Budget,
    bounds: Bounds,
    coverage: Coverage,
    writer: u64,
    sequence: u64,
    /// The next frame to read.
    next: Lsn,
    /// Frames arrived that were not read: read them from the journal.
    behind: bool,
    /// Where reading from the journal goes on, while behind.
    reader: Option<Reader>,
    open: HashMap<LaneKey, Open>,
    open_bytes: usize,
    /// Each lane's newest parcel, while delivery has not begun with it.
    waiting: HashMap<LaneKey, Weak<()>>,
    /// The frame at `next`, when blocks were full before all of it was in them.
    half: Option<Half>,
}

/// A frame on its way into blocks.
struct Half {
    lsn: Lsn,
    payload: Payload,
    todo: VecDeque<Piece>,
    /// Rows that go in before the memory is looked at again.
    step: u32,
}

struct Piece {
    lane: LaneKey,
    rows: Range<u32>,
    /// Whether a sealed block covers neighbours of these rows: then no block may go on behind them.
    cut: bool,
}

struct Open {
    block: Block,
    from: Point,
    to: Point,
    rows: u32,
    opened: Instant,
    used: Instant,
}

/// Where the lanes begin after a start.
pub(crate) struct Start {
    /// The oldest frame that may have rows outside sealed blocks.
    pub next: Lsn,
    /// What sealed blocks cover from there on.
    pub coverage: Coverage,
    /// This process's half of batch ids.
    pub writer: u64,
    /// Batch ids that recovery has used.
    pub sequence: u64,
}

impl Lanes {
    /// Lanes that begin at `start`, reading what the journal already holds.
    pub(crate) fn new(
        journal: Journal<Payload>,
        waterline: Arc<Waterline>,
        parcels: UnboundedSender<Parcel>,
        memory: access::Budget,
        bounds: Bounds,
        start: Start,
    ) -> Lanes {
        let Start { next, coverage, writer, sequence } = start;
        Lanes {
            journal,
            waterline,
            parcels,
            memory,
            bounds,
            coverage,
            writer,
            sequence,
            next,
            behind: true,
            reader: None,
            open: HashMap::new(),
            open_bytes: 0,
            waiting: HashMap::new(),
            half: None,
        }
    }

    /// Runs until told to stop; the thread's body.
    pub(crate) fn run(mut self, messages: &Receiver<Message>) {
        let mut pause = TICK;
        loop {
            let mut message = messages.recv_timeout(pause);
            // While behind, columns that arrive are dropped, and their memory is wanted: all of them at once.
            while let Ok(Message::Frames(frames)) = message {
                frames.into_iter().for_each(|(lsn, payload)| self.arrived(lsn, payload));
                message = match self.behind {
                    true => messages.try_recv().map_err(|_| RecvTimeoutError::Timeout),
                    false => Err(RecvTimeoutError::Timeout),
                };
            }
            match message {
                Ok(Message::Cut) => self.cut_all(),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Message::Frames(_)) | Err(RecvTimeoutError::Timeout) => {}
            }
            self.go_on();
            pause = if self.behind && self.has_room() && self.catch_up() { Duration::ZERO } else { TICK };
            self.cut_waiting();
            self.report();
        }
        self.cut_all();
        self.report();
    }

    fn arrived(&mut self, lsn: Lsn, payload: Payload) {
        if lsn < self.next {
            return; // already read from the journal
        }
        if self.behind || lsn != self.next || self.half.is_some() || !self.has_room() {
            if !self.behind {
                info!(lsn, "blocks are full or frames are missing: reading from the journal from here on");
            }
            self.behind = true;
            return;
        }
        self.absorb(lsn, payload);
    }

    // Reads the next frames from the journal; true when there may be more.
    fn catch_up(&mut self) -> bool {
        if self.half.is_some() {
            return false;
        }
        // Kept between rounds: a fresh reader would pass over its segment from the start.
        let mut reader = self.reader.take().unwrap_or_else(|| self.journal.reader(self.next));
        let more = self.read_some(&mut reader);
        self.reader = self.behind.then_some(reader);
        more
    }

    fn read_some(&mut self, reader: &mut Reader) -> bool {
        for _ in 0..CATCH_UP_FRAMES {
            if self.half.is_some() || !self.has_room() {
                return false;
            }
            match reader.next() {
                Some(Ok(Entry::Frame { lsn, header, body })) => self.read(lsn, &header, &body),
                Some(Ok(Entry::Damaged(damage))) => {
                    warn!(?damage, "part of the journal is lost; the rest goes on");
                    self.next = self.next.max(Reader::position(reader));
                }
                Some(Err(error)) => {
                    warn!(%error, "cannot read the journal; trying again");
                    return false;
                }
                None => {
                    self.behind = false;
                    // What was sealed before this start lies behind us now.
                    self.coverage = Coverage::default();
                    return false;
                }
            }
        }
        true
    }

    fn read(&mut self, lsn: Lsn, header: &FrameHeader, body: &[u8]) {
        match decode::frame_within(header, body, &self.memory) {
            Ok((decoded, permit)) => self.absorb(lsn, Payload { batch: decoded.batch, permit }),
            Err(error) => {
                // It was decoded once before it was acknowledged: another version or a defect leads here. The
                // frame is passed over and keeps its place in the journal: nothing from it on is freed.
                error!(lsn, %error, "a journalled frame cannot be decoded; the journal keeps it");
                self.waterline.hold(lsn, header.items);
                self.waterline.read(header.items);
                self.next = lsn + 1;
            }
        }
    }

    fn absorb(&mut self, lsn: Lsn, payload: Payload) {
        debug_assert!(lsn >= self.next, "frames are absorbed in order");
        let mut todo = VecDeque::new();
        for (lane, ranges) in store::lanes(&payload.batch) {
            for rows in ranges {
                let parts = self.coverage.uncovered(lane.table as u8, &lane.partition_text(), lsn, rows.clone());
                let whole = parts == [rows];
                if !whole {
                    // No seal may span what another one covers.
                    todo.push_back(Piece { lane, rows: 0..0, cut: true });
                }
                todo.extend(parts.into_iter().map(|rows| Piece { lane, rows, cut: !whole }));
            }
        }
        let rows: u64 = payload.batch.items().iter().map(|items| u64::from(*items)).sum();
        let steps = payload.batch.heap_bytes().div_ceil(STEP_BYTES) as u64;
        let step = u32::try_from(rows / steps.max(1)).unwrap_or(u32::MAX).max(1);
        self.half = Some(Half { lsn, payload, todo, step });
        self.go_on();
    }

    // A frame may hold more rows than blocks have room for: then the rest of it waits, paid for.
    fn go_on(&mut self) {
        let Some(mut half) = self.half.take() else { return };
        while let Some(mut piece) = half.todo.pop_front() {
            let end = piece.rows.end.min(piece.rows.start.saturating_add(half.step));
            if end > piece.rows.start {
                if !self.has_room() {
                    half.todo.push_front(piece);
                    self.half = Some(half);
                    return;
                }
                self.append(&piece.lane, half.lsn, &half.payload.batch, piece.rows.start..end);
            }
            if end < piece.rows.end {
                piece.rows.start = end;
                half.todo.push_front(piece);
            } else if piece.cut {
                self.cut(&piece.lane);
            }
        }
        self.next = half.lsn + 1;
        self.waterline.read(half.payload.batch.items());
        drop(half.payload.batch);
        drop(half.payload.permit);
    }

    fn append(&mut self, lane: &LaneKey, lsn: Lsn, batch: &Batch, rows: Range<u32>) {
        let mut start = rows.start;
        while start < rows.end {
            let now = Instant::now();
            let open = self.open.entry(*lane).or_insert_with(|| {
                let block = Block::new(lane.table);
                // Columns that were used before come with room.
                self.open_bytes += block.held_bytes();
                Open { block, from: (lsn, start), to: (lsn, start), rows: 0, opened: now, used: now }
            });
            let room = self.bounds.rows_max.saturating_sub(open.rows).max(1);
            let end = rows.end.min(start.saturating_add(room));
            let held_before = open.block.held_bytes();
            open.block.append(batch, start..end);
            open.rows += end - start;
            open.to = (lsn, end - 1);
            open.used = now;
            let full = open.rows >= self.bounds.rows_max || open.block.bytes() >= self.bounds.bytes_max;
            self.open_bytes += open.block.held_bytes() - held_before;
            if full {
                self.cut(lane);
            }
            start = end;
        }
    }

    // What is kept of old blocks for new ones gives way to those that have rows.
    fn has_room(&self) -> bool {
        let left = self.bounds.memory_bytes_max.saturating_sub(self.open_bytes + self.waterline.sent_bytes());
        store::keep_spare(left);
        left > 0
    }

    fn cut_waiting(&mut self) {
        let now = Instant::now();
        // A lane whose last block still waits for its insert gains nothing from another small one: its
        // block grows instead, so a slow ClickHouse gets fewer and larger inserts.
        self.waiting.retain(|_, parcel| parcel.strong_count() > 0);
        let mut due: Vec<(Instant, LaneKey)> = self
            .open
            .iter()
            .filter(|(lane, open)| now - open.opened >= self.bounds.linger && !self.waiting.contains_key(lane))
            .map(|(lane, open)| (open.used, *lane))
            .collect();
        if due.len() > HOT_LANES {
            due.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        }
        for (rank, (_, lane)) in due.into_iter().enumerate() {
            let waited = self.open.get(&lane).map_or(Duration::ZERO, |open| now - open.opened);
            if rank < HOT_LANES
                || waited >= self.bounds.linger_cold
                || self.open_bytes > self.bounds.memory_bytes_max / 2
            {
                self.cut(&lane);
            }
        }
    }

    fn cut_all(&mut self) {
        let lanes: Vec<LaneKey> = self.open.keys().cloned().collect();
        lanes.iter().for_each(|lane| self.cut(lane));
    }

    fn cut(&mut self, lane: &LaneKey) {
        let Some(open) = self.open.remove(lane) else { return };
        self.open_bytes -= open.block.held_bytes();
        self.sequence += 1;
        let batch = BatchId::new(self.writer, self.sequence).0;
        let (min_time_ns, max_time_ns) = open.block.time_range_ns();
        let seal = Seal {
            batch,
            table: lane.table as u8,
            partition: lane.partition_text().into(),
            from: open.from,
            to: open.to,
            rows: open.rows,
            min_time_ns,
            max_time_ns,
            token: batch,
        };
        self.waterline.sent(&seal, open.block.held_bytes());
        let sealed = self.journal.seal(seal.clone());
        let waiting = Arc::new(());
        self.waiting.insert(*lane, Arc::downgrade(&waiting));
        // The receiver goes away only after the lanes have stopped.
        let _ = self.parcels.send(Parcel { seal, block: open.block, sealed: Some(sealed), waiting });
    }

    fn report(&self) {
        let low = self.open.values().map(|open| open.from.0).fold(self.next, Lsn::min);
        let mut items = [0; 3];
        for (lane, open) in &self.open {
            let of_lane = items_of(lane.table as u8, open.rows);
            (0..3).for_each(|at| items[at] += of_lane[at]);
        }
        self.waterline.lanes_at(low, items);
    }
}

/// Sends to the lanes; they outlive every sender, so a failure only means that they have stopped.
pub(crate) fn tell(lanes: &Sender<Message>, message: Message) {
    let _ = lanes.send(message);
}
