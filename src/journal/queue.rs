//! Where appending threads meet the writer: the queue, the tickets, and the state that decides
//! whether a frame is taken at all.

use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::book::Book;
use crate::disk::Disk;
use crate::error::AppendError;
use crate::frame::{Durability, Encoded};
use crate::lock;
use crate::metrics::Metrics;
use crate::record::Lsn;
use crate::seal::{Seal, Totals};
use crate::summary::Recent;

pub(crate) type Done = oneshot::Sender<Result<Lsn, AppendError>>;

/// Completes when the record is as durable as was asked for, with the frame's number (for a seal:
/// the number of the next frame).
///
/// Dropping a ticket does not take the record back.
#[derive(Debug)]
#[must_use = "an append is not acknowledged before its ticket completes"]
pub struct Ticket(oneshot::Receiver<Result<Lsn, AppendError>>);

impl Ticket {
    pub(crate) fn pair() -> (Done, Self) {
        let (done, ticket) = oneshot::channel();
        (done, Self(ticket))
    }

    /// Waits on this thread. Panics inside an async runtime, where the ticket is to be awaited.
    pub fn wait(self) -> Result<Lsn, AppendError> {
        self.0.blocking_recv().unwrap_or(Err(AppendError::Closed))
    }
}

impl Future for Ticket {
    type Output = Result<Lsn, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The writer drops its end only when it ends.
        Pin::new(&mut self.0).poll(context).map(|told| told.unwrap_or(Err(AppendError::Closed)))
    }
}

/// How much room a frame may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A sender's: what is left of the senders' share.
    Share,
    /// Our own books: what is left of the budget.
    Budget,
    /// Settles a batch, so that frames can be freed: like a seal, it is let in beyond the budget.
    Beyond,
}

/// Work for the writer.
pub(crate) enum Op<P> {
    Frame { encoded: Encoded, note: Recent, durability: Durability, claim: Claim, payload: P, done: Done },
    Seal { seal: Seal, done: Done },
}

impl<P> Op<P> {
    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Frame { encoded, .. } => encoded.total_bytes(),
            // Two copies.
            Self::Seal { seal, .. } => 2 * (160 + seal.partition.len() as u64),
        }
    }

    pub(crate) fn refuse(self, error: AppendError) {
        match self {
            Self::Frame { done, .. } | Self::Seal { done, .. } => drop(done.send(Err(error))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    No,
    /// Write everything, then a clean-stop record.
    Clean,
    /// Write everything; leave the log as after a crash.
    Unclean,
    /// The writer has ended.
    Done,
}

pub(crate) struct Queue<P> {
    pub(crate) ops: VecDeque<Op<P>>,
    pub(crate) bytes: u64,
    pub(crate) confirms: Vec<u128>,
    pub(crate) totals: Totals,
    pub(crate) closing: Closing,
}

/// Limits that were resolved when the journal was opened.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) dir: PathBuf,
    pub(crate) budget_bytes: u64,
    /// Records of frames may fill this much, those of our own books included.
    pub(crate) frames_bytes: u64,
    /// Frames of senders may fill this much.
    pub(crate) senders_bytes: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) free_min_bytes: u64,
    pub(crate) retention: Duration,
    pub(crate) durability: Durability,
    pub(crate) group_wait: Duration,
}

/// What the threads of one journal share.
pub(crate) struct Shared<P> {
    pub(crate) limits: Limits,
    pub(crate) disk: Disk,
    pub(crate) book: Arc<Book>,
    pub(crate) metrics: Metrics,
    pub(crate) queue: Mutex<Queue<P>>,
    pub(crate) wake: Condvar,
    pub(crate) free_bytes: AtomicU64,
    pub(crate) disk_low: AtomicBool,
    /// As [`Shared::is_spent`] last said.
    pub(crate) spent: AtomicBool,
    pub(crate) next_lsn: AtomicU64,
    /// Set while nothing can be written.
    pub(crate) trouble: Mutex<Option<AppendError>>,
    /// The last error, kept after it is over.
    pub(crate) last_error: Mutex<Option<Arc<str>>>,
    pub(crate) spare_bytes: AtomicU64,
    /// The writer has written its clean stop.
    pub(crate) clean: AtomicBool,
}

/// No more than this waits in memory for the writer.
const QUEUE_BYTES_MAX: u64 = 256 << 20;

impl<P> Shared<P> {
    /// Puts a frame into the queue, if it fits everywhere.
    pub(crate) fn offer(&self, op: Op<P>, claim: Claim) -> Result<(), AppendError> {
        if let Some(trouble) = lock(&self.trouble).clone() {
            return Err(trouble);
        }
        if claim == Claim::Beyond {
            return self.offer_beyond(op);
        }
        if self.disk_low.load(Ordering::Relaxed) {
            return Err(AppendError::DiskLow { free_bytes: self.free_bytes.load(Ordering::Relaxed) });
        }
        let bytes = op.bytes();
        let mut queue = lock(&self.queue);
        if queue.closing != Closing::No {
            return Err(AppendError::Closed);
        }
        let waiting = queue.bytes + bytes;
        let share = if claim == Claim::Share { self.limits.senders_bytes } else { self.limits.frames_bytes };
        let needed = self.book.needed_bytes();
        let fits = needed + waiting <= share;
        if !fits && claim == Claim::Share && needed + queue.bytes > share - share / 8 {
            // Not because this one frame is huge.
            self.spent.store(true, Ordering::Relaxed);
        }
        if !fits || (waiting > QUEUE_BYTES_MAX && !queue.ops.is_empty()) {
            return Err(AppendError::Full { budget_bytes: self.limits.budget_bytes });
        }
        self.push(&mut queue, op, bytes);
        Ok(())
    }

    /// Whether the senders' share is spent. Once it is, an eighth of it must be free before it no longer
    /// is, so that whoever asks does not hear yes and no in turns.
    pub(crate) fn is_spent(&self) -> bool {
        let share = self.limits.senders_bytes;
        let level = self.book.needed_bytes() + lock(&self.queue).bytes;
        let was = self.spent.load(Ordering::Relaxed);
        let spent = level > if was { share - share / 8 } else { share - share / 64 };
        self.spent.store(spent, Ordering::Relaxed);
        spent
    }

    /// Puts a record into the queue that is let in beyond the budget: seals and settlements are what
    /// frees it.
    pub(crate) fn offer_beyond(&self, op: Op<P>) -> Result<(), AppendError> {
        let bytes = op.bytes();
        let mut queue = lock(&self.queue);
        if queue.closing != Closing::No {
            return Err(AppendError::Closed);
        }
        self.push(&mut queue, op, bytes);
        Ok(())
    }

    fn push(&self, queue: &mut Queue<P>, op: Op<P>, bytes: u64) {
        queue.bytes += bytes;
        queue.ops.push_back(op);
        self.wake.notify_one();
    }

    pub(crate) fn fail(&self, error: &AppendError) {
        *lock(&self.last_error) = Some(error.to_string().into());
        *lock(&self.trouble) = Some(error.clone());
        self.metrics.io_errors.inc();
        self.metrics.healthy.set(0);
    }

    pub(crate) fn recovered(&self) {
        *lock(&self.trouble) = None;
        self.metrics.healthy.set(1);
    }
}
