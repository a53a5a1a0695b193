//! The list of segments, shared by the writer, the keeper and the readers, and the sums that decide
//! whether another frame fits the budget.
//!
//! Segments stand in the order of their numbers, which is the order of their frames, and leave the
//! list only at its front (see [`Book::take_reclaimable`]).

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::lock;
use crate::metrics::Metrics;
use crate::record::Lsn;
use crate::summary::Summary;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Being written.
    Active,
    /// Complete; the keeper appends the summary.
    Closing,
    /// Immutable.
    Closed,
    /// The keeper removes it.
    Deleting,
}

#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) state: State,
    /// Records up to here may be read.
    pub(crate) end: u64,
    /// Bytes on disk, reserved ones included.
    pub(crate) disk_bytes: u64,
    /// First, next and receive times; seals and notes are not kept here.
    pub(crate) frames: Summary,
    pub(crate) released_since: Option<Instant>,
}

/// What a reader needs of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    pub(crate) number: u64,
    pub(crate) first: Lsn,
    pub(crate) end: u64,
}

impl From<&Segment> for Glance {
    fn from(segment: &Segment) -> Self {
        Self { number: segment.number, first: segment.frames.first, end: segment.end }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    segments: Mutex<VecDeque<Segment>>,
    /// Bytes on disk without space reserved ahead.
    used_bytes: AtomicU64,
    /// The part of it that may be deleted.
    reclaimable_bytes: AtomicU64,
    /// All frames below this are stored. 0 until the caller has spoken: nothing is deleted before.
    released: AtomicU64,
    metrics: Metrics,
}

impl Book {
    pub(crate) fn new(segments: Vec<Segment>, metrics: Metrics) -> Self {
        let book = Self { segments: Mutex::new(segments.into()), metrics, ..Self::default() };
        book.change(|_| ());
        book
    }

    /// Bytes that count against the budget if all that may be deleted were.
    pub(crate) fn needed_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed).saturating_sub(self.reclaimable_bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn released(&self) -> Lsn {
        self.released.load(Ordering::Acquire)
    }

    pub(crate) fn release(&self, low_water: Lsn) {
        if self.released.fetch_max(low_water, Ordering::AcqRel) < low_water {
            self.change(|_| ());
        }
    }

    pub(crate) fn add(&self, segment: Segment) {
        self.change(|segments| segments.push_back(segment));
    }

    pub(crate) fn update(&self, number: u64, update: impl FnOnce(&mut Segment)) {
        self.change(|segments| segments.iter_mut().rev().find(|segment| segment.number == number).map(update));
    }

    pub(crate) fn remove(&self, number: u64) {
        self.change(|segments| segments.retain(|segment| segment.number != number));
    }

    /// Takes the oldest segment for deletion, if it may go: closed, all of it below `low_water`,
    /// and either released for `retention` or wanted back now. Only ever the oldest: see the proof
    /// in the crate's documentation.
    pub(crate) fn take_reclaimable(&self, low_water: Lsn, retention: Duration, pressed: bool) -> Option<u64> {
        self.change(|segments| {
            let oldest = segments.iter_mut().find(|segment| segment.state != State::Deleting)?;
            let released = oldest.state == State::Closed && oldest.frames.next <= low_water;
            let old = oldest.released_since.is_some_and(|since| since.elapsed() >= retention);
            (released && (old || pressed)).then(|| {
                oldest.state = State::Deleting;
                oldest.number
            })
        })
    }

    /// The segment in which a reader that wants `lsn` begins.
    pub(crate) fn find(&self, lsn: Lsn) -> Option<Glance> {
        let segments = lock(&self.segments);
        let found = segments.iter().rev().find(|segment| segment.frames.first <= lsn);
        found.or(segments.front()).map(Glance::from)
    }

    /// The segment `number` as it is now, and the first one after it.
    pub(crate) fn look(&self, number: u64) -> (Option<Glance>, Option<Glance>) {
        let segments = lock(&self.segments);
        let after = segments.partition_point(|segment| segment.number <= number);
        let here = after.checked_sub(1).and_then(|at| segments.get(at)).filter(|found| found.number == number);
        (here.map(Glance::from), segments.get(after).map(Glance::from))
    }

    /// Receive time of the oldest frame that is not released.
    pub(crate) fn oldest_unreleased_ns(&self) -> Option<i64> {
        let low_water = self.released();
        let segments = lock(&self.segments);
        let holder = segments.iter().find(|segment| segment.frames.next > low_water && segment.frames.frames() > 0)?;
        holder.frames.received_ns(low_water)
    }

    pub(crate) fn oldest(&self) -> Option<u64> {
        lock(&self.segments).front().map(|segment| segment.number)
    }

    /// Segments and bytes on disk.
    pub(crate) fn size(&self) -> (u64, u64) {
        let segments = lock(&self.segments);
        (segments.len() as u64, segments.iter().map(|segment| segment.disk_bytes).sum())
    }

    fn change<T>(&self, change: impl FnOnce(&mut VecDeque<Segment>) -> T) -> T {
        let mut segments = lock(&self.segments);
        let result = change(&mut segments);
        let low_water = self.released();
        let (mut used, mut reclaimable, mut disk, mut prefix) = (0, 0, 0, true);
        for segment in segments.iter_mut() {
            if segment.state == State::Deleting {
                // As good as gone: else more would be given back than is needed.
                disk += segment.disk_bytes;
                continue;
            }
            // What is reserved ahead for the active one is a fixed part of the budget.
            let bytes = if segment.state == State::Active { segment.end } else { segment.disk_bytes };
            used += bytes;
            disk += segment.disk_bytes;
            prefix &= segment.state != State::Active && segment.frames.next <= low_water;
            if prefix {
                reclaimable += bytes;
                segment.released_since.get_or_insert_with(Instant::now);
            }
        }
        self.used_bytes.store(used, Ordering::Relaxed);
        self.reclaimable_bytes.store(reclaimable, Ordering::Relaxed);
        self.metrics.segments.set(segments.len() as i64);
        self.metrics.disk_bytes.set(disk as i64);
        result
    }
}
