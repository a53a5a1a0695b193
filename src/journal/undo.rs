//! How the writer takes back a group that could not be written or flushed.
//!
//! A failed write is cut off the file again. After a failed flush nothing about the file can be
//! known, so it is left behind, and the next segment says from where it does not count. Refusals are
//! answered only after that.

use std::io;

use crate::book::State;
use crate::error::AppendError;
use crate::group::Group;
use crate::record::Lsn;
use crate::seal::Abandon;
use crate::writer::Writer;

impl<P: Send + 'static, S: FnMut(Vec<(Lsn, P)>)> Writer<P, S> {
    /// Removes a refused group from the file, or the file from the log; then answers.
    pub(crate) fn take_back(&mut self, group: Group<P>, error: &io::Error, flush: bool) -> AppendError {
        let told = self.append_error(error);
        let undone = if flush { Err(()) } else { self.cut_back().map_err(|_| ()) };
        if undone.is_err() {
            self.abandon(group.next);
        }
        let count = group.refuse(&told);
        (0..count).for_each(|_| self.shared.metrics.refuse(&told));
        told
    }

    fn cut_back(&mut self) -> io::Result<()> {
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        let disk = &self.shared.disk;
        disk.truncate(&active.file, active.at)?;
        disk.sync_data(&active.file)?;
        // The space was ours before; keep it for seals if the system lets us.
        let reserved = disk.reserve(&active.file, active.at, active.reserved);
        active.reserved = reserved.unwrap_or(active.at).max(active.at);
        let (number, reserved) = (active.number, active.reserved);
        self.shared.book.update(number, |segment| segment.disk_bytes = reserved);
        Ok(())
    }

    /// Leaves the active segment behind as it was before the group, and says so in the next one.
    fn abandon(&mut self, to: Lsn) {
        let Some(old) = self.active.take() else { return };
        self.abandons.push(Abandon { segment: old.number, offset: old.at, from: self.next, to });
        // Helps when it works; the record below is what counts.
        let _ = self.shared.disk.truncate(&old.file, old.at);
        self.shared.book.update(old.number, |segment| {
            segment.state = State::Closed;
            segment.disk_bytes = old.at;
        });
        self.unsynced = false;
        if !std::mem::replace(&mut self.leaving, true) {
            let noted = self.open_segment().is_ok() && self.write(Vec::new(), true, false).is_ok();
            // When even that fails it is written before anything else, once writing works again.
            debug_assert!(!noted || self.abandons.is_empty(), "a durable mark carries all abandons");
            self.leaving = false;
        }
    }
}
