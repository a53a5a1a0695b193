//! Walks the records of one file, over whatever lies between them.
//!
//! The walker never stops at damage: it reports the bad bytes and goes on at the next place where a
//! record begins. If there is no such place the rest is a [`Step::Tail`]; whether that is a torn
//! write or damage depends on what comes after this file, which the walker does not know.
//! Memory is bounded by the longest record.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::disk::is_bad_sector;
use crate::record::{self, ALIGN, HEAD_BYTES, Head};

/// Why bytes could not be read as a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The checksum over head and payload is wrong.
    Checksum,
    /// No record begins where one should.
    NoRecord,
    /// The record is longer than the rest of the file.
    CutOff,
    /// The checksum is right, but the content is not of this format or this version.
    Unknown,
    /// The disk could not read these bytes.
    Unreadable,
    /// The segment header is damaged; the records were read all the same.
    Header,
    /// The header is whole but of a format version that this program does not know.
    Version,
    /// The file belongs to another journal or carries another file's number.
    Misplaced,
    /// A segment is not there, or ends too early.
    Missing,
    /// A file that is not ours lies in the directory. It is left alone.
    ForeignFile,
}

/// One step of the walk.
pub(crate) enum Step<'a> {
    /// A record whose checksums are right.
    Record { head: Head, at: u64, payload: &'a [u8] },
    /// Bytes that are no record, with a record behind them. The head is given when it is whole.
    Bad { head: Option<Head>, at: u64, end: u64, reason: Reason },
    /// Bytes that are no record, and none behind them.
    Tail { at: u64, end: u64, reason: Reason },
    /// Nothing but zeros up to the end.
    End { at: u64 },
}

pub(crate) struct Scanner {
    window: Window,
    salt: [u8; 8],
    at: u64,
    end: u64,
}

impl Scanner {
    /// Walks `[at, end)` of `file`.
    pub(crate) fn new(file: File, salt: [u8; 8], at: u64, end: u64) -> Self {
        Self { window: Window::new(file), salt, at, end }
    }

    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Moves the end of a file that has grown.
    pub(crate) fn extend(&mut self, end: u64) {
        if end > self.end {
            self.end = end;
            // What was read ahead, behind the old end, has been written over.
            self.window.forget();
        }
    }

    /// The head at the current place, if it is whole: lets a caller skip without reading.
    pub(crate) fn peek(&mut self) -> io::Result<Option<Head>> {
        let head = self.head(self.at)?;
        Ok(head.filter(|head| self.at + head.total_bytes() <= self.end))
    }

    /// Skips the record with this head, found by [`Self::peek`].
    pub(crate) fn skip(&mut self, head: &Head) {
        self.at += head.total_bytes();
    }

    /// The bytes `[at, end)`, at most `max` of them, for the quarantine.
    pub(crate) fn bytes(&mut self, at: u64, end: u64, max: u64) -> io::Result<Vec<u8>> {
        Ok(self.window.get(at, (end - at).min(max) as usize)?.to_vec())
    }

    pub(crate) fn step(&mut self) -> io::Result<Step<'_>> {
        let at = self.at;
        if at >= self.end {
            return Ok(Step::End { at });
        }
        match self.head(at) {
            Ok(Some(head)) => self.step_record(head),
            Ok(None) => self.step_noise(at, at, None, Reason::NoRecord),
            Err(error) if is_bad_sector(&error) => self.step_noise(at, at + 1, None, Reason::Unreadable),
            Err(error) => Err(error),
        }
    }

    fn step_record(&mut self, head: Head) -> io::Result<Step<'_>> {
        let (at, next) = (self.at, self.at + head.total_bytes());
        if next > self.end {
            return self.step_noise(at, at + HEAD_BYTES as u64, Some(head), Reason::CutOff);
        }
        let salt = self.salt;
        let whole = match self.window.get(at, head.total_bytes() as usize) {
            Ok(bytes) => record::payload(bytes, &head, salt).is_some(),
            Err(error) if is_bad_sector(&error) => {
                return self.step_damaged(head, next, Reason::Unreadable);
            }
            Err(error) => return Err(error),
        };
        if !whole {
            return self.step_damaged(head, next, Reason::Checksum);
        }
        self.at = next;
        let bytes = self.window.get(at, head.total_bytes() as usize)?;
        // Checked just above; the window still holds the same bytes.
        let payload = &bytes[HEAD_BYTES..HEAD_BYTES + head.length as usize];
        Ok(Step::Record { head, at, payload })
    }

    /// The head is right, the payload is not: the length can be trusted.
    fn step_damaged(&mut self, head: Head, next: u64, reason: Reason) -> io::Result<Step<'_>> {
        let at = self.at;
        if self.find_record(next)?.is_none() {
            self.at = self.end;
            return Ok(Step::Tail { at, end: self.end, reason });
        }
        self.at = next;
        Ok(Step::Bad { head: Some(head), at, end: next, reason })
    }

    /// Nothing can be trusted before the next record.
    fn step_noise(&mut self, at: u64, from: u64, head: Option<Head>, reason: Reason) -> io::Result<Step<'_>> {
        if let Some(next) = self.find_record(from)? {
            self.at = next;
            return Ok(Step::Bad { head, at, end: next, reason });
        }
        self.at = self.end;
        if head.is_none() && reason == Reason::NoRecord && self.only_zeros(at)? {
            return Ok(Step::End { at });
        }
        Ok(Step::Tail { at, end: self.end, reason })
    }

    fn head(&mut self, at: u64) -> io::Result<Option<Head>> {
        let room = self.end.saturating_sub(at).min(HEAD_BYTES as u64) as usize;
        let salt = self.salt;
        Ok(Head::decode(self.window.get(at, room)?, salt))
    }

    /// The next place at or behind `from` where a whole head stands.
    fn find_record(&mut self, from: u64) -> io::Result<Option<u64>> {
        let (salt, end) = (self.salt, self.end);
        let mut at = from.next_multiple_of(ALIGN);
        while at + HEAD_BYTES as u64 <= end {
            let want = (end - at).min(SEARCH_BYTES as u64) as usize;
            let bytes = match self.window.get(at, want) {
                Ok(bytes) => bytes,
                Err(error) if is_bad_sector(&error) => {
                    at = (at + 1).next_multiple_of(SECTOR_BYTES);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if bytes.len() < HEAD_BYTES {
                return Ok(None);
            }
            let last = bytes.len() - HEAD_BYTES;
            let found = (0..=last)
                .step_by(ALIGN as usize)
                .find(|&place| Head::looks_like(&bytes[place..]) && Head::decode(&bytes[place..], salt).is_some());
            if let Some(place) = found {
                return Ok(Some(at + place as u64));
            }
            at += (last as u64 + 1).next_multiple_of(ALIGN);
        }
        Ok(None)
    }

    fn only_zeros(&mut self, from: u64) -> io::Result<bool> {
        let mut at = from;
        while at < self.end {
            let want = (self.end - at).min(SEARCH_BYTES as u64) as usize;
            match self.window.get(at, want) {
                Ok([]) => return Ok(true),
                Ok(bytes) if bytes.iter().any(|byte| *byte != 0) => return Ok(false),
                Ok(bytes) => at += bytes.len() as u64,
                Err(error) if is_bad_sector(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

const SEARCH_BYTES: usize = 256 << 10;
const SECTOR_BYTES: u64 = 4096;
/// A buffer that a long record made longer than this is given back.
const KEEP_BYTES: usize = 1 << 20;

/// A part of a file in memory.
struct Window {
    file: File,
    start: u64,
    buffer: Vec<u8>,
}

impl Window {
    fn new(file: File) -> Self {
        Self { file, start: 0, buffer: Vec::new() }
    }

    fn forget(&mut self) {
        self.buffer.clear();
    }

    /// `length` bytes at `at`; fewer at the end of the file.
    fn get(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let inside = at >= self.start && at + length as u64 <= self.start + self.buffer.len() as u64;
        if !inside {
            // A bad sector behind the wanted bytes must not spoil them.
            match self.fill(at, length.max(SEARCH_BYTES)) {
                Err(error) if is_bad_sector(&error) => self.fill(at, length)?,
                filled => filled?,
            }
        }
        let from = (at - self.start) as usize;
        let to = (from + length).min(self.buffer.len());
        Ok(&self.buffer[from..to])
    }

    fn fill(&mut self, at: u64, length: usize) -> io::Result<()> {
        if self.buffer.capacity() > KEEP_BYTES && length <= KEEP_BYTES {
            self.buffer = Vec::new();
        }
        self.start = at;
        self.buffer.resize(length, 0);
        let mut filled = 0;
        while filled < length {
            match self.file.read_at(&mut self.buffer[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.clear();
                    return Err(error);
                }
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }
}
