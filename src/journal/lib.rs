//! The durable log: what a sender was told is kept, is in here.
//!
//! Frames go in, are made durable in groups, and come out again after a restart or an outage. The
//! room knows disks and nothing else: not what a body means, not where batches go, not who waits.
//! Design section 2, "Journal"; facts/reliability.md A2 to A7.
//!
//! # Map
//! [`Journal`] offers work to the `queue`; the `writer` makes a `group` of it, writes it, and answers
//! (`room`: when there is no space; `undo`: when the disk fails). The `keeper` makes, closes and
//! removes `segment` files; the `book` lists them. `record`, `frame`, `seal` and `summary` are the
//! format. At a start, `recover` looks at each file (`walk`, over `scan`) and at what lies between
//! (`gaps`). The [`Reader`] reads frames back. `crash` and `faults` serve tests.
//!
//! # What is promised
//! - A ticket that completed with success names a frame that [`Journal::reader`] returns, after any
//!   crash, until [`Journal::release`] lets it go. (For [`Durability::Process`]: after a kill; for
//!   [`Durability::Memory`]: while the process lives.)
//! - A refused frame never reaches the sink and does not come back. One hole is left, where nothing
//!   can be done: a flush fails, then neither cutting the file nor writing a new one works, and then
//!   the process dies before the disk recovers.
//! - The sink sees frames in the order of the file, durable, and before their tickets complete.
//! - Damage costs the damaged frames, is reported, and never keeps a journal from opening. Segments
//!   of a newer version do: to go on without them would be to lose what they hold.
//! - A frame that settles a batch and the settlement are one record: there is no instant at which one
//!   of them is durable without the other.
//! - Disk use stays below the budget. Nothing that is not released is ever removed to make room.
//!
//! # Why removing segments oldest first suffices
//! Claim: while a frame is retained, every seal that covers it, every confirmation of such a seal,
//! and every mark or abandon record that decides how the frame is read, is retained too.
//!
//! 1. Segments are removed strictly in the order of their numbers: the book's `take_reclaimable` looks
//!    only at the oldest one; the keeper makes each removal durable (unlink, directory flush) before
//!    the next begins, and refuses to remove what is not the oldest. So at every instant, and after
//!    a power cut, the segments on disk are a suffix of those ever written.
//! 2. Positions in the log (segment number, offset) are totally ordered, and a record, once
//!    acknowledged, never moves.
//! 3. A seal is taken only if its last frame `to` is already in the log ([`AppendError::Misuse`]
//!    otherwise), so it lies behind every frame that it covers. A confirmation is asked for after
//!    its seal's ticket completed, so it lies behind the seal. An abandon record lies in a later
//!    segment than the one it speaks of.
//! 4. Let a frame at position p be retained. By 1 everything behind p is retained, by 3 its seals,
//!    their confirmations and the abandon record for its segment are behind p. ∎
//!
//! The converse does not hold and need not: a retained seal may cover frames that are gone. That
//! happens only when they were released, so the batch is stored.
//!
//! A segment is removed only after a mark that says "all below `low_water` is stored", with
//! `low_water` above the segment's last frame, was flushed *in a later segment*. So the numbering
//! survives, and frames that somebody else removed show up as a gap above the highest mark.
//!
//! # Why a torn tail can be told from damage
//! Space is reserved, reads as zeros, and is never reused. Bytes that are no record, at the end of
//! the last segment, were being written when the process died: their flush had not returned, so
//! nobody was told. If a good record follows them, they were flushed before: damage. About a second
//! after the last frame a mark follows it, so only the last second's frames lack such a witness.
//! Between segments, the numbers of the frames are the witness.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

mod book;
pub mod crash;
mod damage;
mod disk;
mod error;
mod frame;
mod gaps;
mod group;
mod keeper;
mod metrics;
mod queue;
mod reader;
mod record;
mod recover;
mod room;
mod scan;
mod seal;
mod segment;
mod settings;
mod summary;
mod undo;
mod walk;
mod writer;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests_append;
#[cfg(test)]
mod tests_crash;
#[cfg(test)]
mod tests_damage;
#[cfg(test)]
mod tests_disk;
#[cfg(test)]
mod tests_format;
#[cfg(test)]
mod tests_kit;
#[cfg(test)]
mod tests_model;

use book::Book;
use damage::Register;
use frame::Encoded;
use keeper::{Command, Keeper, Shelf};
use queue::{Claim, Closing, Op, Queue, Shared};
use seal::Mark;
use writer::Writer;

pub use damage::{Damage, Reason};
pub use error::{AppendError, OpenError, Reason as RefusalReason};
pub use frame::{BODY_BYTES_MAX, DECISIONS_BYTES_MAX, Durability, Frame, FrameHeader, LIMITS_BYTES_MAX};
pub use metrics::{Metrics, RefusalLabels};
pub use queue::Ticket;
pub use reader::{Entry, Reader};
pub use record::{Kind, Lsn};
pub use recover::Recovery;
pub use seal::{Fate, Seal, TOTALS, Totals};
pub use segment::FORMAT_VERSION;
pub use settings::Config;
pub use summary::Recent;

/// An open journal. Clones share it; `P` is what the caller keeps of a frame while it is in memory.
///
/// When the last clone is dropped without [`Journal::close`], what was taken is written (the drop
/// waits for it), and the next start treats the stop as a crash.
pub struct Journal<P> {
    inner: Arc<Inner<P>>,
}

struct Inner<P> {
    shared: Arc<Shared<P>>,
    register: Arc<Register>,
    hash_key: u64,
    threads: Mutex<Vec<JoinHandle<()>>>,
    _lock: disk::DirLock,
}

/// How full the journal is, and how it feels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on disk, reserved space included.
    pub bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// The configured budget.
    pub budget_bytes: u64,
    /// Receive time (to a quarter second) of the oldest frame that is not released.
    pub oldest_unreleased_ns: Option<i64>,
    /// Free bytes of the file system, as of the last half second.
    pub free_bytes: u64,
    /// The next frame's number.
    pub next_lsn: Lsn,
    /// Frames below are released.
    pub low_water: Lsn,
    /// False while frames are refused because the disk refuses.
    pub healthy: bool,
    /// True while the senders' share of the budget is spent; it ends when an eighth of it is free again.
    pub spent: bool,
    /// The last error, also when it is over.
    pub last_error: Option<Arc<str>>,
}

impl<P: Send + 'static> Journal<P> {
    /// Opens the journal in `config.dir`, making it if need be. Blocks while the last segments are
    /// read: milliseconds as a rule.
    ///
    /// `sink` is called on the writer's thread with the frames of each group, in order, after they
    /// are durable and before their tickets complete. It should be quick: nothing is written
    /// meanwhile.
    pub fn open(
        config: Config,
        sink: impl FnMut(Vec<(Lsn, P)>) + Send + 'static,
    ) -> Result<(Self, Recovery), OpenError> {
        let dir = config.dir.clone();
        disk::make_dir_durably(&dir).map_err(OpenError::io("making the journal directory", &dir))?;
        let lock_path = segment::lock_path(&dir);
        let locked = disk::lock(&lock_path).map_err(OpenError::io("locking the journal directory by", &lock_path))?;
        let Some(lock_file) = locked else { return Err(OpenError::InUse { dir }) };

        let metrics = Metrics::default();
        let disk = config.disk();
        let space = disk.space(&dir).map_err(OpenError::io("asking for the free space of", &dir))?;
        let register = Arc::new(Register::new(&dir, metrics.clone()));
        let recovered = recover::recover(&dir, &disk, &register, config.rule, (config.clock)())?;
        let recovery = recovered.recovery;
        let limits = config.resolve(space);
        let book = Arc::new(Book::new(recovered.segments, metrics.clone()));
        let shared = Arc::new(Shared {
            disk_low: (space.free_bytes < limits.free_min_bytes).into(),
            spent: false.into(),
            limits,
            disk: disk.clone(),
            book: book.clone(),
            metrics,
            queue: Mutex::new(Queue::new(recovery.totals)),
            wake: Condvar::new(),
            free_bytes: AtomicU64::new(space.free_bytes),
            next_lsn: AtomicU64::new(recovery.next_lsn),
            trouble: Mutex::new(None),
            last_error: Mutex::new(None),
            clean: false.into(),
            spare_bytes: AtomicU64::new(0),
        });
        shared.recovered();

        let shelf = Arc::new(Shelf::new());
        let keeper = Keeper {
            dir: dir.clone(),
            disk,
            book,
            shelf: shelf.clone(),
            header: segment::Header {
                number: recovered.next_number,
                key: recovery.hash_key,
                writer: recovery.writer,
                boot: segment::boot_id(),
                created_ns: 0,
                rule: config.rule,
            },
            reserve_bytes: shared.limits.segment_bytes,
            clock: config.clock,
        };
        let thread_error = || OpenError::io("starting the threads of the journal in", &dir);
        let (commands, keeper_thread) = keeper::start(keeper).map_err(thread_error())?;
        // The keeper was started just now and lives as long as `commands`.
        let _ = commands.send(Command::Make);
        let writer = Writer::new(shared.clone(), sink, commands, shelf, &recovery);
        let builder = std::thread::Builder::new().name("journal-writer".into());
        let writer_thread = builder.spawn(move || writer.run()).map_err(thread_error())?;

        let threads = Mutex::new(vec![writer_thread, keeper_thread]);
        let inner = Inner { shared, register, hash_key: recovery.hash_key, threads, _lock: lock_file };
        Ok((Self { inner: Arc::new(inner) }, recovery))
    }

    /// Takes a sender's frame in. An error means that it is not taken; success that the ticket will tell.
    pub fn append(&self, frame: Frame, payload: P) -> Result<Ticket, AppendError> {
        self.take(frame, payload, Claim::Share)
    }

    /// Takes a frame of the caller's own books in: room is kept for them when that of senders is spent,
    /// and a frame that settles a batch is let in beyond the budget, because it helps to free it.
    pub fn append_own(&self, frame: Frame, payload: P) -> Result<Ticket, AppendError> {
        let claim = if frame.header.settles.is_some() { Claim::Beyond } else { Claim::Budget };
        self.take(frame, payload, claim)
    }

    fn take(&self, frame: Frame, payload: P, claim: Claim) -> Result<Ticket, AppendError> {
        let shared = &self.inner.shared;
        let FrameHeader { body_hash, received_ns, items, durability, .. } = frame.header;
        let note = Recent { body_hash, received_ns, lsn: 0, items };
        let (done, ticket) = Ticket::pair();
        let taken = Encoded::new(frame)
            .and_then(|encoded| shared.offer(Op::Frame { encoded, note, durability, claim, payload, done }, claim));
        taken.map(|()| ticket).inspect_err(|error| shared.metrics.refuse(error))
    }

    /// Notes durably that a batch is about to be inserted. Not held back by the budget.
    pub fn seal(&self, seal: Seal) -> Result<Ticket, AppendError> {
        let shared = &self.inner.shared;
        let (done, ticket) = Ticket::pair();
        let taken = match seal.partition.len() <= usize::from(u16::MAX) && seal.from <= seal.to {
            true => shared.offer_beyond(Op::Seal { seal, done }),
            false => Err(AppendError::Misuse("a seal ends before it begins, or its partition is too long")),
        };
        taken.map(|()| ticket).inspect_err(|error| shared.metrics.refuse(error))
    }

    /// Notes that a batch is in its table. Durable within about a second; until then a crash makes
    /// the batch be looked up once more.
    pub fn confirm(&self, batch: u128) {
        lock(&self.inner.shared.queue).confirms.push(batch);
    }

    /// All frames below `low_water` are stored and confirmed. Never goes back. Before the first call
    /// after an open nothing is removed, so that verification may ask for old frames.
    pub fn release(&self, low_water: Lsn) {
        let shared = &self.inner.shared;
        let next = shared.next_lsn.load(Ordering::Acquire);
        let first = shared.book.find(0).map_or(next, |segment| segment.first);
        debug_assert!(low_water <= next, "released frames are in the log");
        shared.book.release(low_water.min(next).max(first));
    }

    /// Sets the counters that are to survive. Noted at most once a second.
    pub fn set_totals(&self, totals: Totals) {
        lock(&self.inner.shared.queue).totals = totals;
    }

    /// Reads the durable frames from `from` on, or from the oldest one that is left.
    pub fn reader(&self, from: Lsn) -> Reader {
        let Inner { shared, register, hash_key, .. } = &*self.inner;
        Reader::new(shared.limits.dir.clone(), *hash_key, shared.book.clone(), register.clone(), from)
    }

    /// How full the journal is.
    pub fn usage(&self) -> Usage {
        let shared = &self.inner.shared;
        let (segments, bytes) = shared.book.size();
        let ended = lock(&shared.queue).closing == Closing::Done;
        Usage {
            bytes: bytes + shared.spare_bytes.load(Ordering::Relaxed),
            segments,
            budget_bytes: shared.limits.budget_bytes,
            oldest_unreleased_ns: shared.book.oldest_unreleased_ns(),
            free_bytes: shared.free_bytes.load(Ordering::Relaxed),
            next_lsn: shared.next_lsn.load(Ordering::Acquire),
            low_water: shared.book.released(),
            healthy: !ended && lock(&shared.trouble).is_none() && !shared.disk_low.load(Ordering::Relaxed),
            spent: shared.is_spent(),
            last_error: lock(&shared.last_error).clone(),
        }
    }

    /// The metrics of this journal, to be registered.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.shared.metrics
    }

    /// Writes everything that was taken, notes the clean stop, and ends the threads. Appends are
    /// refused from here on. Blocks. An error means that the next start will see a crash; nothing
    /// that was acknowledged is lost by it.
    pub fn close(&self) -> Result<(), AppendError> {
        self.inner.stop(Closing::Clean);
        let shared = &self.inner.shared;
        if shared.clean.load(Ordering::Acquire) {
            return Ok(());
        }
        let why = lock(&shared.last_error).clone();
        Err(lock(&shared.trouble).clone().or(why.map(AppendError::Io)).unwrap_or(AppendError::Closed))
    }
}

impl<P> Clone for Journal<P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<P> std::fmt::Debug for Journal<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("dir", &self.inner.shared.limits.dir).finish_non_exhaustive()
    }
}

impl<P> Inner<P> {
    fn stop(&self, closing: Closing) {
        let mut queue = lock(&self.shared.queue);
        if queue.closing == Closing::No {
            queue.closing = closing;
        }
        drop(queue);
        self.shared.wake.notify_all();
        let threads = std::mem::take(&mut *lock(&self.threads));
        let here = std::thread::current().id();
        // The sink may hold the last clone: then the writer ends by itself, and the keeper after it.
        if threads.iter().all(|thread| thread.thread().id() != here) {
            // A panic of the writer shows in the last error.
            threads.into_iter().for_each(|thread| drop(thread.join()));
        }
    }
}

impl<P> Drop for Inner<P> {
    fn drop(&mut self) {
        self.stop(Closing::Unclean);
    }
}

impl<P> Queue<P> {
    fn new(totals: Totals) -> Self {
        Self { ops: Default::default(), bytes: 0, confirms: Vec::new(), totals, closing: Closing::No }
    }
}

impl<P, S> Writer<P, S> {
    fn new(
        shared: Arc<Shared<P>>,
        sink: S,
        keeper: std::sync::mpsc::Sender<Command>,
        shelf: Arc<Shelf>,
        recovery: &Recovery,
    ) -> Self {
        Self {
            shared,
            sink,
            keeper,
            shelf,
            key: recovery.hash_key,
            next: recovery.next_lsn,
            active: None,
            confirms: Vec::new(),
            abandons: Vec::new(),
            totals: recovery.totals,
            marked: Mark { low_water: recovery.low_water, totals: recovery.totals },
            marked_at: Instant::now(),
            durable_low_water: 0,
            recovered_low_water: recovery.low_water,
            dirty: false,
            unsynced: false,
            spare_asked_at: Instant::now(),
            failed_at: None,
            leaving: false,
        }
    }
}

/// Nothing under these locks can be left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
