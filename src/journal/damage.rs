//! Damage found in the log, and the place where damaged bytes are kept for a human.
//!
//! Nothing is thrown away silently: what cannot be read is copied to `quarantine/` before the file
//! that held it goes, and reported once with the frames that are probably gone.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::disk;
use crate::lock;
use crate::metrics::Metrics;
use crate::record::Lsn;
pub use crate::scan::Reason;
use crate::segment::QUARANTINE;

/// Bytes that could not be read as what they were.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Damage {
    /// Segment number; zero for a foreign file.
    pub segment: u64,
    /// Where in the file the bad bytes begin.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
    /// The frames that are gone, first and last; `None` when none is, as far as can be told.
    pub lsns: Option<(Lsn, Lsn)>,
    /// Why they could not be read.
    pub reason: Reason,
    /// The file.
    pub path: PathBuf,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, bytes, reason, .. } = self;
        write!(f, "journal damage in {}: {bytes} bytes at {offset} ({reason:?}); ", self.path.display())?;
        match self.lsns {
            Some((from, to)) => write!(f, "lost frames {from} to {to}"),
            None => write!(f, "no frame lost"),
        }
    }
}

/// The quarantine is a help for repair, not an archive: copies stop at this size.
const QUARANTINE_BYTES_MAX: u64 = 256 << 20;

/// Collects damage, each piece once.
#[derive(Debug)]
pub(crate) struct Register {
    dir: PathBuf,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: HashSet<(u64, u64, Reason)>,
    lost: HashSet<(Lsn, Lsn)>,
    copied_bytes: u64,
}

impl Register {
    pub(crate) fn new(dir: &Path, metrics: Metrics) -> Self {
        let quarantine = dir.join(QUARANTINE);
        let copied_bytes = std::fs::read_dir(&quarantine)
            .map(|entries| entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum())
            .unwrap_or(0);
        Self { dir: quarantine, metrics, state: Mutex::new(State { copied_bytes, ..State::default() }) }
    }

    /// Counts `damage`, the first time that it is met.
    pub(crate) fn report(&self, damage: &Damage) {
        let mut state = lock(&self.state);
        // Start and replay may meet the same loss from two sides.
        let known = damage.lsns.is_some_and(|lsns| !state.lost.insert(lsns));
        if state.seen.insert((damage.segment, damage.offset, damage.reason)) && !known {
            self.metrics.damaged.inc();
            self.metrics.damaged_frames.inc_by(damage.lsns.map_or(0, |(from, to)| to - from + 1));
        }
    }

    /// Copies damaged bytes. A full disk must not keep the log from working: without room there is
    /// no copy.
    pub(crate) fn keep(&self, damage: &Damage, bytes: &[u8]) {
        let size = bytes.len() as u64;
        let mut state = lock(&self.state);
        if size > 0 && state.copied_bytes + size <= QUARANTINE_BYTES_MAX && self.copy(damage, bytes).unwrap_or(false) {
            state.copied_bytes += size;
        }
    }

    fn copy(&self, damage: &Damage, bytes: &[u8]) -> io::Result<bool> {
        disk::make_dir(&self.dir)?;
        let path = self.dir.join(format!("{:012}-{:010}.bytes", damage.segment, damage.offset));
        if path.exists() {
            return Ok(false);
        }
        let mut file = disk::create_file(&path)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        Ok(true)
    }

    /// Moves a whole file to the quarantine. When that fails, the file stays where it is.
    pub(crate) fn move_file(&self, path: &Path) {
        let Some(name) = path.file_name() else { return };
        if disk::make_dir(&self.dir).is_err() {
            return;
        }
        let free = (0..1000).map(|turn| match turn {
            0 => self.dir.join(name),
            turn => self.dir.join(format!("{}.{turn}", name.to_string_lossy())),
        });
        if let Some(target) = free.into_iter().find(|target| !target.exists()) {
            let _ = std::fs::rename(path, target);
        }
    }
}
