//! The few things that the log asks of the operating system, in one place, so that tests can make
//! each of them fail. Knows files, not records. Linux only (`fallocate`, `flock`).

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation};

use crate::crash;

/// Access to the disk. Cheap to clone; carries the injected faults in tests and nothing otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) faults: std::sync::Arc<crate::faults::Faults>,
}

/// Free and total bytes of a file system, as an unprivileged process sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
}

impl Disk {
    /// Writes all `slices` one after the other at `offset`.
    pub(crate) fn write_all_at(&self, file: &File, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        if crash::due("append-half") {
            write_half(file, slices, offset);
            std::process::abort();
        }
        #[cfg(test)]
        self.faults.write(file, slices, offset)?;
        write_slices(file, slices, offset)
    }

    /// Makes the file's data durable, and as much metadata as reading it back needs.
    pub(crate) fn sync_data(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.faults.flushing(file);
        #[cfg(test)]
        self.faults.sync()?;
        rustix::fs::fdatasync(file).map_err(Into::into)
    }

    /// Lets the kernel forget `bytes` bytes from `offset`, which are durable. They are hardly ever read
    /// again, and the next write finds their memory warm: into fresh memory the copy costs several times
    /// as much. Only advice, so a failure means nothing.
    pub(crate) fn forget(&self, file: &File, offset: u64, bytes: u64) {
        // The page in which the last write began is whole now.
        let start = offset & !4095;
        if let Some(length) = std::num::NonZeroU64::new(bytes + (offset - start)) {
            let _ = rustix::fs::fadvise(file, start, Some(length), rustix::fs::Advice::DontNeed);
        }
    }

    /// Makes a change of directory entries durable.
    pub(crate) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        crash::crash_point("dir-fsync");
        #[cfg(test)]
        self.faults.sync()?;
        rustix::fs::fsync(File::open(dir)?).map_err(Into::into)
    }

    /// Reserves disk space for `[offset, end)`. A file system that cannot reserve is not an error.
    /// Returns the end of the reserved space.
    pub(crate) fn reserve(&self, file: &File, offset: u64, end: u64) -> io::Result<u64> {
        #[cfg(test)]
        self.faults.reserve()?;
        if end <= offset {
            return Ok(offset);
        }
        match rustix::fs::fallocate(file, FallocateFlags::empty(), offset, end - offset) {
            Ok(()) => Ok(end),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(offset),
            Err(error) => Err(error.into()),
        }
    }

    /// Cuts the file to `length`.
    pub(crate) fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        #[cfg(test)]
        self.faults.truncate()?;
        file.set_len(length)
    }

    /// Free space where `dir` lies.
    pub(crate) fn space(&self, dir: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(dir)?;
        let space = Space {
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        };
        #[cfg(test)]
        let space = self.faults.space(space);
        Ok(space)
    }
}

/// Creates a directory with mode 0700; an existing one is left as it is.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// The same, and a power cut afterwards does not take the directory away again.
pub(crate) fn make_dir_durably(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    make_dir(dir)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
        rustix::fs::fsync(File::open(parent.unwrap_or(Path::new(".")))?)?;
    }
    Ok(())
}

/// Creates or empties a file with mode 0600, open for reading and writing.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// The directory's lock. The kernel gives it back when the process ends, also after `kill -9`.
#[derive(Debug)]
pub(crate) struct DirLock(File);

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing alone is not enough: a process that is just being started from this one holds a
        // copy of the file until it executes its program. If this fails, closing has to do.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// Takes the directory's lock; `None` when somebody else keeps it. A holder that has just died may
/// leave it, for the same reason, to a child for some milliseconds: so it is tried for a while.
pub(crate) fn lock(path: &Path) -> io::Result<Option<DirLock>> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    for _ in 0..25 {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(DirLock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(std::time::Duration::from_millis(20)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// A read error that concerns these bytes only, unlike, say, too many open files.
pub(crate) fn is_bad_sector(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

fn write_slices(file: &File, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    // The kernel takes at most 1024 pieces at a time.
    const PIECES_MAX: usize = 1024;
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let count = slices.len().min(PIECES_MAX);
        match rustix::io::pwritev(file, &slices[..count], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn write_half(file: &File, slices: &[IoSlice<'_>], offset: u64) {
    let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
    let half = &all[..all.len() / 2];
    // The process dies next; whether this worked does not matter.
    let _ = write_slices(file, &mut [IoSlice::new(half)], offset);
}
