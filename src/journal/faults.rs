//! Injected faults of the disk, for tests only.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::disk::Space;
use crate::lock;

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
    recorder: Mutex<Option<Recorder>>,
}

/// Images of the directory, each with what was acknowledged when it was taken.
pub(crate) type Images = Arc<Mutex<Vec<(tempfile::TempDir, u64)>>>;

/// Takes an image of the directory at every flush, as a power cut might leave it.
struct Recorder {
    dir: PathBuf,
    acknowledged: Arc<AtomicU64>,
    images: Images,
    /// What was written and not flushed: file name, offset, length.
    pending: Vec<(PathBuf, u64, u64)>,
    random: u64,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
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
            recorder: Mutex::new(None),
        }
    }
}

impl Faults {
    pub(crate) fn write(&self, file: &File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let room = self.room.load(Ordering::SeqCst);
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if let Some(recorder) = lock(&self.recorder).as_mut() {
            recorder.pending.push((path_of(file), offset, length as u64));
        }
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

    pub(crate) fn record_power_cuts(&self, dir: &Path, acknowledged: Arc<AtomicU64>) -> Images {
        let images = Images::default();
        let recorder =
            Recorder { dir: dir.to_owned(), acknowledged, images: images.clone(), pending: Vec::new(), random: 1 };
        *lock(&self.recorder) = Some(recorder);
        images
    }

    pub(crate) fn stop_recording(&self) {
        *lock(&self.recorder) = None;
    }

    /// Before a flush of `file`: what would be there if the power went now?
    pub(crate) fn flushing(&self, file: &File) {
        if let Some(recorder) = lock(&self.recorder).as_mut() {
            recorder.take_image();
            let path = path_of(file);
            recorder.pending.retain(|(written, ..)| *written != path);
        }
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

impl Recorder {
    fn take_image(&mut self) {
        let image = tempfile::tempdir().unwrap();
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        crate::tests_kit::copy_into(&self.dir, image.path());
        for (path, offset, length) in self.pending.clone() {
            let Some(mut bytes) = std::fs::read(image.path().join(&path)).ok() else { continue };
            let end = (offset + length).min(bytes.len() as u64);
            for sector in (offset / 512)..end.div_ceil(512) {
                self.random =
                    self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if self.random >> 40 & 1 == 0 {
                    // What was flushed before in the same sector is written again with it.
                    let (from, to) = ((sector * 512).max(offset) as usize, ((sector + 1) * 512).min(end) as usize);
                    bytes[from..to].fill(0);
                }
            }
            std::fs::write(image.path().join(&path), bytes).unwrap();
        }
        lock(&self.images).push((image, acknowledged));
    }
}

fn path_of(file: &File) -> PathBuf {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    link.file_name().unwrap().into()
}

fn full() -> io::Error {
    rustix::io::Errno::NOSPC.into()
}

fn broken() -> io::Error {
    rustix::io::Errno::IO.into()
}
