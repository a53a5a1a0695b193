//! Files of the journal directory: names, the segment header, the identity.
//!
//! ```text
//! 000000000001.seg   segments; numbers are consecutive
//! *.tmp              a segment being made; worthless after a restart
//! identity           the secret key (also in every segment header)
//! lock               held by the process that has the directory open
//! quarantine/        copies of damaged bytes, and files that cannot be read at all
//! ```
//! A segment begins with a block of 4096 bytes that holds the header twice, 2048 bytes apart, so
//! that no single damaged sector makes it unreadable. The header is written when the file is made,
//! ahead of need; the first LSN is not known then and stands in the first record, a mark. Bytes
//! behind the last record are zero: the space is reserved with `fallocate`, and files are never
//! reused, so no old record can be mistaken for a new one.
//!
//! Knows nothing of records. Design section 2; facts/reliability.md A6 rule 1.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};

use crate::crash::crash_point;
use crate::disk::{self, Disk};

/// Records begin here.
pub(crate) const HEADER_BLOCK_BYTES: u64 = 4096;
const COPY_AT: [usize; 2] = [0, 2048];
const HEADER_BYTES_V1: usize = 8 + 4 + 4 + 8 + 8 + 8 + 16 + 8 + 4;
const HEADER_BYTES: usize = HEADER_BYTES_V1 + 4;
const MAGIC: &[u8; 8] = b"HYPOJRNL";
/// Version of the segment format that this program writes. It reads all from 1 on: version 2 added the
/// decode rule to the segment header, and limits and settled batches to the headers of frames.
pub const FORMAT_VERSION: u32 = 2;
pub(crate) const QUARANTINE: &str = "quarantine";
const IDENTITY: &str = "identity";
const LOCK: &str = "lock";

/// Header of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: u64,
    /// The journal's secret key: salts checksums, seeds body hashes, names the journal.
    pub(crate) key: u64,
    /// The writer id of the process that made the file.
    pub(crate) writer: u64,
    /// The kernel's boot id: tells a killed process from a power cut.
    pub(crate) boot: u128,
    pub(crate) created_ns: i64,
    /// The newest decode rule that frames in the file may follow, the caller's number.
    pub(crate) rule: u16,
}

/// What the header block of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Good(Header),
    /// A header that is whole, but of a version that this program does not know.
    Unsupported(u32),
    Unreadable,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(HEADER_BYTES);
        copy.put_slice(MAGIC);
        copy.put_u32_le(FORMAT_VERSION);
        copy.put_u32_le(HEADER_BYTES as u32);
        copy.put_u64_le(self.number);
        copy.put_u64_le(self.key);
        copy.put_u64_le(self.writer);
        copy.put_u128_le(self.boot);
        copy.put_i64_le(self.created_ns);
        copy.put_u16_le(self.rule);
        copy.put_u16_le(0);
        copy.put_u32_le(crc32c::crc32c(&copy));
        let mut block = vec![0; HEADER_BLOCK_BYTES as usize];
        COPY_AT.iter().for_each(|&at| block[at..at + HEADER_BYTES].copy_from_slice(&copy));
        block
    }

    /// Reads a header block; also says how many of the copies were whole.
    pub(crate) fn decode(block: &[u8]) -> (Opening, usize) {
        let copies = COPY_AT.map(|at| block.get(at..).and_then(Self::decode_copy));
        let whole = copies.iter().flatten().count();
        (copies.into_iter().flatten().next().unwrap_or(Opening::Unreadable), whole)
    }

    fn decode_copy(bytes: &[u8]) -> Option<Opening> {
        let mut rest = bytes;
        let magic = rest.get(..8)?;
        rest.advance(8);
        let version = rest.try_get_u32_le().ok()?;
        let length = rest.try_get_u32_le().ok()? as usize;
        let end = length.checked_sub(4)?;
        let crc = bytes.get(end..length)?.try_into().map(u32::from_le_bytes).ok()?;
        if magic != MAGIC || length < HEADER_BYTES_V1 || crc != crc32c::crc32c(&bytes[..end]) {
            return None;
        }
        if !(1..=FORMAT_VERSION).contains(&version) {
            return Some(Opening::Unsupported(version));
        }
        let mut header = Self {
            number: rest.try_get_u64_le().ok()?,
            key: rest.try_get_u64_le().ok()?,
            writer: rest.try_get_u64_le().ok()?,
            boot: rest.try_get_u128_le().ok()?,
            created_ns: rest.try_get_i64_le().ok()?,
            rule: 0,
        };
        if version >= 2 {
            header.rule = rest.try_get_u16_le().ok()?;
        }
        Some(Opening::Good(header))
    }
}

/// Reads the header block of an open file.
pub(crate) fn read_header(file: &File) -> io::Result<(Opening, usize)> {
    let mut block = vec![0; HEADER_BLOCK_BYTES as usize];
    let mut filled = 0;
    while filled < block.len() {
        match file.read_at(&mut block[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if disk::is_bad_sector(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Header::decode(&block[..filled]))
}

/// Makes a durable, empty segment with reserved space. Returns it with the end of that space.
pub(crate) fn create(disk: &Disk, dir: &Path, header: &Header, reserve_bytes: u64) -> io::Result<(File, u64)> {
    let path = dir.join(file_name(header.number));
    let unfinished = path.with_extension("tmp");
    let made = write_new(disk, &unfinished, header, reserve_bytes).and_then(|made| {
        crash_point("rename");
        std::fs::rename(&unfinished, &path)?;
        disk.sync_dir(dir)?;
        Ok(made)
    });
    if made.is_err() {
        // Not our last word on the disk's trouble: what cannot be removed now goes at the next start.
        let _ = std::fs::remove_file(&unfinished);
        let _ = std::fs::remove_file(&path);
    }
    made
}

fn write_new(disk: &Disk, path: &Path, header: &Header, reserve_bytes: u64) -> io::Result<(File, u64)> {
    let file = disk::create_file(path)?;
    crash_point("segment-create");
    let block = header.encode();
    let reserved = disk.reserve(&file, 0, reserve_bytes)?.max(HEADER_BLOCK_BYTES);
    disk.write_all_at(&file, &mut [io::IoSlice::new(&block)], 0)?;
    crash_point("header-write");
    disk.sync_data(&file)?;
    Ok((file, reserved))
}

/// The name of segment `number`.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:012}.seg")
}

fn number_of(name: &str) -> Option<u64> {
    let number: u64 = name.strip_suffix(".seg")?.parse().ok()?;
    // Only the one spelling that we write.
    (number > 0 && file_name(number) == name).then_some(number)
}

/// What lies in the directory.
#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) segments: BTreeMap<u64, PathBuf>,
    pub(crate) unfinished: Vec<PathBuf>,
    pub(crate) foreign: Vec<PathBuf>,
}

pub(crate) fn list(dir: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let is_file = entry.file_type()?.is_file();
        match name.to_str() {
            Some(IDENTITY | LOCK | QUARANTINE) => {}
            Some(name) if is_file && name.ends_with(".tmp") => listing.unfinished.push(path),
            Some(name) if is_file && number_of(name).is_some() => {
                listing.segments.extend(number_of(name).map(|number| (number, path)));
            }
            _ => listing.foreign.push(path),
        }
    }
    listing.foreign.sort();
    Ok(listing)
}

pub(crate) fn lock_path(dir: &Path) -> PathBuf {
    dir.join(LOCK)
}

/// The key in the identity file, if it is whole.
pub(crate) fn read_identity(dir: &Path) -> Option<u64> {
    let bytes = std::fs::read(dir.join(IDENTITY)).ok()?;
    let (body, crc) = (bytes.get(..16)?, bytes.get(16..20)?);
    let whole = body.starts_with(b"HYPOJKEY") && crc == crc32c::crc32c(body).to_le_bytes();
    whole.then(|| (&body[8..]).get_u64_le())
}

/// Writes the identity file durably.
pub(crate) fn write_identity(disk: &Disk, dir: &Path, key: u64) -> io::Result<()> {
    let mut bytes = b"HYPOJKEY".to_vec();
    bytes.put_u64_le(key);
    bytes.put_u32_le(crc32c::crc32c(&bytes));
    let path = dir.join(IDENTITY);
    let unfinished = path.with_extension("tmp");
    let file = disk::create_file(&unfinished)?;
    disk.write_all_at(&file, &mut [io::IoSlice::new(&bytes)], 0)?;
    disk.sync_data(&file)?;
    std::fs::rename(&unfinished, &path)?;
    disk.sync_dir(dir)
}

/// The kernel's boot id, or zero where there is none.
pub(crate) fn boot_id() -> u128 {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .and_then(|text| u128::from_str_radix(&text.trim().replace('-', ""), 16).ok())
        .unwrap_or(0)
}
