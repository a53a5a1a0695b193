//! Injected faults of the disk, for tests only.

use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::disk::Space;

/// What the disk refuses. All off by default.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Bytes that may still be written; negative: no limit. Beyond: written in part, then ENOSPC.
    pub(crate) room: AtomicI64,
    /// Every flush fails with EIO.
    pub(crate) sync_broken: AtomicBool,
    /// The flush after this many good ones fails, once; negative: none.
    pub(crate) sync_fails_after: AtomicI64,
    pub(crate) truncate_broken: AtomicBool,
    /// Free space to report; 0: the truth.
    pub(crate) free_bytes: AtomicU64,
    pub(crate) total_bytes: AtomicU64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            room: AtomicI64::new(-1),
            sync_broken: AtomicBool::new(false),
            sync_fails_after: AtomicI64::new(-1),
            truncate_broken: AtomicBool::new(false),
            free_bytes: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
        }
    }
}

impl Faults {
    pub(crate) fn write(&self, file: &File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let room = self.room.load(Ordering::SeqCst);
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if room < 0 {
            return Ok(());
        }
        if (length as i64) <= room {
            self.room.fetch_sub(length as i64, Ordering::SeqCst);
            return Ok(());
        }
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        std::os::unix::fs::FileExt::write_all_at(file, &all[..room as usize], offset)?;
        Err(full())
    }

    pub(crate) fn reserve(&self) -> io::Result<()> {
        if self.room.load(Ordering::SeqCst) >= 0 { Err(full()) } else { Ok(()) }
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        let left = self.sync_fails_after.load(Ordering::SeqCst);
        if left >= 0 {
            self.sync_fails_after.store(left - 1, Ordering::SeqCst);
        }
        if left == 0 || self.sync_broken.load(Ordering::SeqCst) { Err(broken()) } else { Ok(()) }
    }

    pub(crate) fn truncate(&self) -> io::Result<()> {
        if self.truncate_broken.load(Ordering::SeqCst) { Err(broken()) } else { Ok(()) }
    }

    pub(crate) fn space(&self, truth: Space) -> Space {
        let pick = |fault: &AtomicU64, truth| match fault.load(Ordering::SeqCst) {
            0 => truth,
            bytes => bytes,
        };
        Space {
            free_bytes: pick(&self.free_bytes, truth.free_bytes),
            total_bytes: pick(&self.total_bytes, truth.total_bytes),
        }
    }
}

fn full() -> io::Error {
    rustix::io::Errno::NOSPC.into()
}

fn broken() -> io::Error {
    rustix::io::Errno::IO.into()
}
