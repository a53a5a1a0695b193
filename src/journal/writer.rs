//! The one thread that writes: group commit, rotation, and what happens when the disk says no.
//!
//! Batching needs no timer: while one flush runs, the next group collects. The order is always
//! write, flush, tell the sink, answer. What was refused is taken back from the file before it is
//! answered; a flush that failed is never repeated (the kernel may have dropped the pages and call
//! the next flush a success): the segment is left behind and the next one says from where it does
//! not count. Design section 2; facts/reliability.md A6.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::book::{Segment, State};
use crate::crash::crash_point;
use crate::error::AppendError;
use crate::frame::Durability;
use crate::group::Group;
use crate::keeper::{Command, Shelf};
use crate::lock;
use crate::queue::{Closing, Op, Shared};
use crate::record::{self, Lsn};
use crate::seal::{Abandon, Mark, Totals};
use crate::segment::HEADER_BLOCK_BYTES;
use crate::summary::Summary;

/// Totals, low water and lazily durable records wait at most this long.
const MARK_INTERVAL: Duration = Duration::from_millis(900);
/// How often writing is tried again while it fails.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// How often the space is looked at when nothing happens.
const IDLE_INTERVAL: Duration = Duration::from_millis(500);
/// Bounds the time of one flush.
const GROUP_BYTES_MAX: u64 = 16 << 20;
/// Bounds the notes of one segment.
const FRAMES_PER_SEGMENT_MAX: u64 = 65_536;

pub(crate) struct Writer<P, S> {
    pub(crate) shared: Arc<Shared<P>>,
    pub(crate) sink: S,
    pub(crate) keeper: Sender<Command>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) key: u64,
    pub(crate) next: Lsn,
    pub(crate) active: Option<Active>,
    pub(crate) confirms: Vec<u128>,
    pub(crate) abandons: Vec<Abandon>,
    pub(crate) totals: Totals,
    /// The mark that was written last, and when.
    pub(crate) marked: Mark,
    pub(crate) marked_at: Instant,
    /// Low water that is durably noted: segments below may go.
    pub(crate) durable_low_water: Lsn,
    /// Low water to note while the caller has not released anything.
    pub(crate) recovered_low_water: Lsn,
    /// Something was written since the last mark.
    pub(crate) dirty: bool,
    /// Something was written since the last flush.
    pub(crate) unsynced: bool,
    pub(crate) spare_asked_at: Instant,
    pub(crate) failed_at: Option<Instant>,
    /// A segment is being left behind; if that fails too, it is not tried again at once.
    pub(crate) leaving: bool,
}

/// The segment being written.
pub(crate) struct Active {
    pub(crate) number: u64,
    pub(crate) file: Arc<File>,
    pub(crate) salt: [u8; 8],
    pub(crate) at: u64,
    pub(crate) reserved: u64,
    pub(crate) summary: Summary,
    /// It begins with a durable mark.
    pub(crate) opened: bool,
}

impl<P: Send + 'static, S: FnMut(Vec<(Lsn, P)>)> Writer<P, S> {
    pub(crate) fn run(mut self) {
        let _guard = Guard(self.shared.clone());
        loop {
            let (ops, closing) = self.take();
            self.commit(ops, false);
            self.reclaim();
            if closing != Closing::No && lock(&self.shared.queue).ops.is_empty() {
                return self.finish(closing);
            }
        }
    }

    /// Waits for work, or for the time at which something is due.
    fn take(&mut self) -> (Vec<Op<P>>, Closing) {
        let room = self.group_room();
        let shared = self.shared.clone();
        let mut queue = lock(&shared.queue);
        let until = Instant::now() + self.patience(!queue.confirms.is_empty() || queue.totals != self.totals);
        while queue.ops.is_empty() && queue.closing == Closing::No {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = shared.wake.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        let group_wait = shared.limits.group_wait;
        if !group_wait.is_zero() && !queue.ops.is_empty() && queue.closing == Closing::No {
            drop(queue);
            std::thread::sleep(group_wait);
            queue = lock(&shared.queue);
        }
        let mut ops = Vec::new();
        let mut bytes = 0;
        while bytes < room
            && let Some(op) = queue.ops.pop_front()
        {
            bytes += op.bytes();
            ops.push(op);
        }
        self.confirms.append(&mut queue.confirms);
        self.totals = queue.totals;
        (ops, queue.closing)
    }

    /// How long there is nothing to do if nobody comes.
    fn patience(&self, more: bool) -> Duration {
        if let Some(failed) = self.failed_at {
            return RETRY_INTERVAL.saturating_sub(failed.elapsed());
        }
        let lazy = more || self.wants_mark() || !self.confirms.is_empty() || self.unsynced;
        match lazy {
            true => MARK_INTERVAL.saturating_sub(self.marked_at.elapsed()).max(Duration::from_millis(1)),
            false => IDLE_INTERVAL,
        }
    }

    fn group_room(&self) -> u64 {
        let limit = self.shared.limits.segment_bytes;
        let left = self.active.as_ref().map_or(limit, |active| limit.saturating_sub(active.at));
        if left == 0 { limit.min(GROUP_BYTES_MAX) } else { left.min(GROUP_BYTES_MAX) }
    }

    pub(crate) fn low_water(&self) -> Lsn {
        match self.shared.book.released() {
            0 => self.recovered_low_water,
            released => released,
        }
    }

    fn wants_mark(&self) -> bool {
        self.dirty || self.marked != (Mark { low_water: self.low_water(), totals: self.totals })
    }

    /// Writes and flushes one group, if there is anything to write.
    fn commit(&mut self, ops: Vec<Op<P>>, clean_stop: bool) {
        let taken: u64 = ops.iter().map(Op::bytes).sum();
        self.look_at_space();
        let ops = self.refuse_without_room(ops);
        let retry = self.failed_at.is_some_and(|failed| failed.elapsed() >= RETRY_INTERVAL);
        let pressed = self.pressed() && self.low_water() > self.durable_low_water;
        let due = self.marked_at.elapsed() >= MARK_INTERVAL;
        let lazy = due && (self.wants_mark() || !self.confirms.is_empty() || self.unsynced);
        if !(ops.is_empty() && !clean_stop && !retry && !pressed && !lazy) {
            let roomy = self.reserve_again();
            let outcome = match self.open_segment() {
                // Full disk: seals still find room in what was reserved, but it is no recovery.
                Ok(()) if ops.is_empty() && !roomy && !clean_stop => Ok(()),
                Ok(()) => self.write(ops, due || pressed || retry || clean_stop, clean_stop),
                Err(error) => {
                    let error = self.append_error(&error);
                    ops.into_iter().for_each(|op| {
                        self.shared.metrics.refuse(&error);
                        op.refuse(error.clone());
                    });
                    Err(error)
                }
            };
            match outcome {
                Ok(()) if self.failed_at.is_none() => {}
                Ok(()) if roomy => {
                    self.failed_at = None;
                    self.shared.recovered();
                }
                Ok(()) => self.failed_at = Some(Instant::now()),
                Err(error) => {
                    self.failed_at = Some(Instant::now());
                    self.shared.fail(&error);
                }
            }
        }
        lock(&self.shared.queue).bytes -= taken;
    }

    /// Makes sure that there is a segment with room.
    pub(crate) fn open_segment(&mut self) -> io::Result<()> {
        let limit = self.shared.limits.segment_bytes;
        let full = |active: &Active| active.at >= limit || active.summary.frames() >= FRAMES_PER_SEGMENT_MAX;
        if self.active.as_ref().is_some_and(|active| !full(active)) {
            return Ok(());
        }
        let spare = self.shelf.take();
        self.ask_for_spare();
        let spare = match spare {
            Ok(spare) => spare,
            // Seals and confirms must find a place even now; frames are refused by `disk_low`.
            Err(_) if self.active.is_some() => return Ok(()),
            Err(error) => return Err(error),
        };
        if let Some(old) = self.active.take() {
            self.close(old);
        }
        self.shared.book.add(Segment {
            number: spare.number,
            state: State::Active,
            end: HEADER_BLOCK_BYTES,
            disk_bytes: spare.reserved,
            frames: Summary::starting_at(self.next),
            released_since: None,
        });
        self.active = Some(Active {
            number: spare.number,
            file: Arc::new(spare.file),
            salt: record::salt(self.key, spare.number),
            at: HEADER_BLOCK_BYTES,
            reserved: spare.reserved,
            summary: Summary::starting_at(self.next),
            opened: false,
        });
        Ok(())
    }

    fn close(&self, old: Active) {
        let records = old.summary.closing_records(old.salt, old.at);
        self.shared.book.update(old.number, |segment| segment.state = State::Closing);
        let command = Command::Close { number: old.number, file: old.file, end: old.at, records };
        // Without a keeper the segment stays without a summary, which only costs time later.
        let _ = self.keeper.send(command);
    }

    pub(crate) fn write(&mut self, ops: Vec<Op<P>>, mark: bool, clean_stop: bool) -> Result<(), AppendError> {
        let Some(active) = self.active.as_ref() else { return Err(AppendError::Closed) };
        let mut group = Group::new(active.salt, self.next);
        if !active.opened || mark {
            group.add_mark(Mark { low_water: self.low_water(), totals: self.totals });
            group.sync = true;
        }
        self.abandons.iter().for_each(|abandon| group.add_abandon(abandon));
        for op in ops {
            self.add(&mut group, op);
        }
        self.confirms.iter().for_each(|batch| group.add_confirm(*batch));
        if clean_stop {
            group.add_clean_stop();
        }
        if group.is_empty() {
            return Ok(());
        }
        let (file, at) = (active.file.clone(), active.at);
        match self.write_out(&group, &file, at) {
            Ok(synced) => {
                self.accept(group, synced);
                Ok(())
            }
            Err(Failed { error, flush }) => Err(self.take_back(group, &error, flush)),
        }
    }

    fn add(&self, group: &mut Group<P>, op: Op<P>) {
        let ceiling = self.shared.limits.durability;
        match op {
            Op::Frame { encoded, note, durability, payload, done, .. } => {
                group.sync |= durability.min(ceiling) == Durability::Fsync;
                group.add_frame(encoded, note, payload, done);
            }
            Op::Seal { seal, done } if seal.to.0 >= group.next => {
                let _ = done.send(Err(AppendError::Misuse("a seal names frames that are not in the log")));
            }
            Op::Seal { seal, done } => {
                group.sync |= ceiling == Durability::Fsync;
                group.add_seal(seal, done);
            }
        }
    }

    fn write_out(&self, group: &Group<P>, file: &File, at: u64) -> Result<bool, Failed> {
        let disk = &self.shared.disk;
        disk.write_all_at(file, &mut group.slices(), at).map_err(|error| Failed { error, flush: false })?;
        if !group.seals.is_empty() {
            crash_point("seal-write");
        }
        if !group.confirms.is_empty() {
            crash_point("confirm-write");
        }
        if !group.sync {
            return Ok(false);
        }
        crash_point("before-fdatasync");
        let start = Instant::now();
        disk.sync_data(file).map_err(|error| Failed { error, flush: true })?;
        self.shared.metrics.fsync_seconds.observe(start.elapsed().as_secs_f64());
        crash_point("after-fdatasync");
        disk.forget(file, at, group.bytes());
        Ok(true)
    }

    /// The group is durable: note it, tell the sink, answer.
    fn accept(&mut self, mut group: Group<P>, synced: bool) {
        let Some(active) = self.active.as_mut() else { return };
        let samples_before = active.summary.samples.len();
        active.opened = true;
        active.at += group.bytes();
        active.reserved = active.reserved.max(active.at);
        if let Some(mark) = group.mark {
            active.summary.mark = Some((self.next, mark));
        }
        active.summary.abandons.extend(self.abandons.drain(..group.abandons));
        group.notes.iter().for_each(|note| active.summary.add_frame(*note));
        group.seals.drain(..).for_each(|seal| active.summary.add_seal(seal));
        active.summary.confirms.extend(self.confirms.drain(..group.confirms.len()));
        active.summary.set_aside.append(&mut group.settled);
        active.summary.clean = group.clean_stop;
        let (at, reserved, next) = (active.at, active.reserved, group.next);
        let samples = &active.summary.samples[samples_before..];
        self.shared.book.update(active.number, |segment| {
            segment.end = at;
            segment.disk_bytes = reserved;
            segment.frames.next = next;
            segment.frames.samples.extend_from_slice(samples);
        });
        self.next = next;
        self.shared.next_lsn.store(next, Ordering::Release);
        self.note_written(&group, synced);
        if !group.payloads.is_empty() {
            (self.sink)(std::mem::take(&mut group.payloads));
        }
        for (lsn, done) in group.dones.drain(..) {
            // Who no longer waits need not be told.
            let _ = done.send(Ok(lsn));
        }
    }

    fn note_written(&mut self, group: &Group<P>, synced: bool) {
        let metrics = &self.shared.metrics;
        metrics.written_bytes.inc_by(group.bytes());
        metrics.appends.inc_by(group.notes.len() as u64);
        metrics.seals.inc_by((group.dones.len() - group.notes.len()) as u64);
        metrics.confirms.inc_by(group.confirms.len() as u64);
        if !group.dones.is_empty() {
            metrics.group_records.observe(group.dones.len() as f64);
        }
        self.unsynced = !synced;
        self.dirty = group.mark.is_none() || !group.dones.is_empty();
        if let Some(mark) = group.mark {
            self.marked = mark;
            self.marked_at = Instant::now();
            // Marks are always flushed.
            self.durable_low_water = mark.low_water;
        }
    }

    pub(crate) fn append_error(&self, error: &io::Error) -> AppendError {
        AppendError::from_io(error, self.shared.free_bytes.load(Ordering::Relaxed))
    }

    fn finish(mut self, closing: Closing) {
        self.commit(Vec::new(), closing == Closing::Clean);
        if closing == Closing::Clean
            && let Some(active) = self.active.take().filter(|active| active.summary.clean)
        {
            self.shared.clean.store(true, Ordering::Release);
            self.close(active);
        }
    }
}

struct Failed {
    error: io::Error,
    /// The flush failed, not the write.
    flush: bool,
}

/// However the writer ends, nobody waits for it afterwards.
struct Guard<P>(Arc<Shared<P>>);

impl<P> Drop for Guard<P> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        queue.closing = Closing::Done;
        queue.bytes = 0;
        let left = std::mem::take(&mut queue.ops);
        drop(queue);
        left.into_iter().for_each(|op| op.refuse(AppendError::Closed));
        if std::thread::panicking() {
            *lock(&self.0.last_error) = Some("the journal's writer has panicked".into());
        }
        self.0.metrics.healthy.set(0);
    }
}
