//! The writer's view of space: when frames are refused, when segments are given back.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::book::Book;
use crate::error::AppendError;
use crate::keeper::Command;
use crate::lock;
use crate::queue::{Claim, Limits, Op, Shared};
use crate::record::Lsn;
use crate::writer::{RETRY_INTERVAL, Writer};

impl<P: Send + 'static, S: FnMut(Vec<(Lsn, P)>)> Writer<P, S> {
    /// Space is looked at before every group: it must be refused before it runs out, so that seals
    /// still find room. While frames are refused here, a reserved spare or the rest of the active
    /// segment is left for them.
    pub(crate) fn look_at_space(&mut self) {
        let (spare_bytes, failed) = self.shelf.state();
        let shared = &self.shared;
        shared.spare_bytes.store(spare_bytes, Ordering::Relaxed);
        if let Ok(space) = shared.disk.space(&shared.limits.dir) {
            shared.free_bytes.store(space.free_bytes, Ordering::Relaxed);
            // Once low, an eighth more must be free: neither frames nor readiness are to flap.
            let free_min = shared.limits.free_min_bytes;
            let was = shared.disk_low.load(Ordering::Relaxed);
            let low = failed || space.free_bytes < if was { free_min + free_min / 8 } else { free_min };
            shared.disk_low.store(low, Ordering::Relaxed);
        }
        let accepting = !shared.disk_low.load(Ordering::Relaxed) && !shared.is_spent();
        shared.metrics.accepting.set(i64::from(accepting));
        if failed && self.spare_asked_at.elapsed() >= RETRY_INTERVAL {
            // Takes the failure away and asks for another try.
            let _ = self.shelf.take();
            self.ask_for_spare();
        }
    }

    pub(crate) fn ask_for_spare(&mut self) {
        self.spare_asked_at = Instant::now();
        // A keeper that has ended shows when the spare is taken.
        let _ = self.keeper.send(Command::Make);
    }

    /// Takes the frames out of `ops` when there is no room for them, and refuses them.
    pub(crate) fn refuse_without_room(&self, ops: Vec<Op<P>>) -> Vec<Op<P>> {
        if !self.shared.disk_low.load(Ordering::Relaxed) {
            return ops;
        }
        let error = AppendError::DiskLow { free_bytes: self.shared.free_bytes.load(Ordering::Relaxed) };
        let waits = |op: &Op<P>| matches!(op, Op::Frame { claim: Claim::Share | Claim::Budget, .. });
        let (frames, rest): (Vec<_>, Vec<_>) = ops.into_iter().partition(waits);
        for frame in frames {
            self.shared.metrics.refuse(&error);
            frame.refuse(error.clone());
        }
        rest
    }

    pub(crate) fn pressed(&self) -> bool {
        let Shared { limits, book, queue, disk_low, .. } = &*self.shared;
        disk_low.load(Ordering::Relaxed) || book.used_bytes() + lock(queue).bytes > limits.senders_bytes
    }

    pub(crate) fn reclaim(&mut self) {
        let opened = self.active.as_ref().is_some_and(|active| active.opened);
        // Before the caller has spoken nothing goes; nor while nothing else holds the numbers.
        if !opened || self.shared.book.released() == 0 {
            return;
        }
        let Limits { retention, .. } = self.shared.limits;
        let book: &Book = &self.shared.book;
        while let Some(number) = book.take_reclaimable(self.durable_low_water, retention, self.pressed()) {
            if self.keeper.send(Command::Remove { number }).is_err() {
                return;
            }
        }
    }

    /// After a failure: can space be had again? True when there was none.
    pub(crate) fn reserve_again(&mut self) -> bool {
        let limit = self.shared.limits.segment_bytes;
        let Some(active) = self.active.as_mut().filter(|_| self.failed_at.is_some()) else { return true };
        match self.shared.disk.reserve(&active.file, active.at, limit.max(active.at)) {
            Ok(reserved) => active.reserved = active.reserved.max(reserved),
            Err(_) => return false,
        }
        true
    }
}
