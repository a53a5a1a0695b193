//! Configuration of the journal, and the limits that follow from it on a given disk.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::disk::{Disk, Space};
use crate::frame::Durability;
use crate::queue::Limits;

/// How a journal is opened. Made by [`Config::new`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory, used by one process at a time. Made with mode 0700 when missing.
    pub dir: PathBuf,
    /// Bytes that the directory may fill, reserved space included. Default 8 GiB. When frames that
    /// are not stored fill it, new ones are refused; a sixteenth of it (at most 64 MiB) is kept for the
    /// caller's own books.
    pub budget_bytes: u64,
    /// A segment closes after passing this size. Default 64 MiB; at most a sixteenth of the budget
    /// and a thirty-second of the file system.
    pub segment_bytes: u64,
    /// Frames are refused while the file system has less free space. Default 256 MiB; at most a
    /// twentieth of the file system.
    pub free_space_min_bytes: u64,
    /// How long a segment stays after all of it was released, if the budget allows. Default 10 min.
    pub confirmed_retention: Duration,
    /// The most that any frame, seal or confirmation waits for. Default [`Durability::Fsync`].
    pub durability: Durability,
    /// How long a group waits for company before it is written. Default zero: groups form while the
    /// flush before them runs.
    pub group_wait: Duration,
    /// The newest decode rule that frames may follow, the caller's number. A log with a newer one is not
    /// opened. Default zero.
    pub rule: u16,
    /// Wall clock, nanoseconds since 1970. May jump: nothing depends on its going forward.
    pub clock: fn() -> i64,
    #[cfg(test)]
    pub(crate) disk: Disk,
}

impl Config {
    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            budget_bytes: 8 << 30,
            segment_bytes: 64 << 20,
            free_space_min_bytes: 256 << 20,
            confirmed_retention: Duration::from_secs(600),
            durability: Durability::Fsync,
            group_wait: Duration::ZERO,
            rule: 0,
            clock: system_clock,
            #[cfg(test)]
            disk: Disk::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn disk(&self) -> Disk {
        self.disk.clone()
    }

    #[cfg(not(test))]
    pub(crate) fn disk(&self) -> Disk {
        Disk::default()
    }

    pub(crate) fn resolve(&self, space: Space) -> Limits {
        const SEGMENT_BYTES_MIN: u64 = 64 << 10;
        let of_budget = (self.budget_bytes / 16).max(SEGMENT_BYTES_MIN);
        let of_disk = (space.total_bytes / 32).max(SEGMENT_BYTES_MIN);
        let segment_bytes = self.segment_bytes.min(of_budget).min(of_disk).max(8 << 10);
        // The active segment and the spare are reserved in full, before they are filled.
        let frames_bytes = self.budget_bytes.saturating_sub(2 * segment_bytes).max(self.budget_bytes / 2);
        let books_bytes = (frames_bytes / 16).min(64 << 20);
        Limits {
            dir: self.dir.clone(),
            budget_bytes: self.budget_bytes,
            frames_bytes,
            senders_bytes: frames_bytes - books_bytes,
            segment_bytes,
            free_min_bytes: self.free_space_min_bytes.min(space.total_bytes / 20),
            retention: self.confirmed_retention,
            durability: self.durability,
            group_wait: self.group_wait,
        }
    }
}

fn system_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
