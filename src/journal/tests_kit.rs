//! What the tests of this room share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::{Config, Damage, Entry, Frame, FrameHeader, Journal, Lsn, Recovery, Seal, lock};

pub(crate) type Sunk = Arc<Mutex<Vec<(Lsn, u64)>>>;

/// A small journal: segments of 16 KiB, 1 MiB in all.
pub(crate) fn config(dir: &Path) -> Config {
    Config { budget_bytes: 1 << 20, segment_bytes: 16 << 10, ..Config::new(dir) }
}

pub(crate) struct Opened {
    pub(crate) journal: Journal<u64>,
    pub(crate) recovery: Recovery,
    pub(crate) sunk: Sunk,
}

pub(crate) fn open(config: Config) -> Opened {
    let sunk = Sunk::default();
    let into = sunk.clone();
    let (journal, recovery) = Journal::open(config, move |group| lock(&into).extend(group)).unwrap();
    Opened { journal, recovery, sunk }
}

/// A frame whose content follows from `seed`.
pub(crate) fn frame(seed: u64, body_bytes: usize) -> Frame {
    let body: Vec<u8> =
        (0..body_bytes as u64).map(|at| (seed.wrapping_mul(31).wrapping_add(at * 7) >> 2) as u8).collect();
    Frame {
        header: FrameHeader {
            protocol: 1,
            encoding: 2,
            flags: 3,
            durability: crate::Durability::Fsync,
            rule: 4,
            tenant: format!("tenant-{}", seed % 3).into(),
            sender: "10.0.0.1".into(),
            received_ns: 1_700_000_000_000_000_000 + seed as i64 * 1_000_000_000,
            body_hash: u128::from(seed) + 1,
            items: [seed as u32, 1, 2],
            decisions: Bytes::copy_from_slice(&seed.to_le_bytes()),
            limits: Bytes::new(),
            settles: None,
        },
        body: body.into(),
    }
}

pub(crate) fn append(journal: &Journal<u64>, seed: u64, body_bytes: usize) -> Lsn {
    journal.append(frame(seed, body_bytes), seed).unwrap().wait().unwrap()
}

pub(crate) fn seal(batch: u128, from: Lsn, to: Lsn) -> Seal {
    Seal {
        batch,
        table: 1,
        partition: "2026-11-21".into(),
        from: (from, 0),
        to: (to, 9),
        rows: 10,
        min_time_ns: 5,
        max_time_ns: 6,
        token: batch ^ 0xFF,
    }
}

/// What a reader gives from the start on, with the seed that each frame was made of.
pub(crate) fn read_all(journal: &Journal<u64>) -> (Vec<(Lsn, u64)>, Vec<Damage>) {
    let (mut frames, mut damage) = (Vec::new(), Vec::new());
    for entry in journal.reader(0) {
        match entry.unwrap() {
            Entry::Frame { lsn, header, body } => {
                let seed = u64::from_le_bytes((&header.decisions[..]).try_into().unwrap());
                let wanted = frame(seed, body.len());
                assert!(header == wanted.header && body == wanted.body, "frame {lsn} reads as it was written");
                frames.push((lsn, seed));
            }
            Entry::Damaged(one) => damage.push(one),
        }
    }
    (frames, damage)
}

/// The segment files, oldest first.
pub(crate) fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    files.sort();
    files
}

/// Copies a directory as it is now: what a killed process would leave behind.
pub(crate) fn snapshot(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(dir, copy.path());
    copy
}

/// Newest first: segments go oldest first, so what vanishes meanwhile was at the end of this list.
pub(crate) fn copy_into(dir: &Path, copy: &Path) {
    let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names.iter().rev().filter(|name| !dir.join(name).is_dir()) {
        // A file that is being renamed or removed may be gone.
        let _ = std::fs::copy(dir.join(name), copy.join(name));
    }
}

/// Waits, in real time but without asserting any, for something that must come.
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("never came: {what}");
}
