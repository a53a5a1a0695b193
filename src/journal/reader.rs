//! Reads frames back, in order, from the files: for replay after a start, and to catch up after an
//! outage, also while the journal is being written.
//!
//! The reader trusts nothing but checksums. Damage costs the damaged frames and is told in place.
//! It reads only what is durable, and holds one record in memory.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::book::Book;
use crate::damage::{Damage, Reason, Register};
use crate::frame::{self, FrameHeader};
use crate::record::{self, Kind, Lsn};
use crate::scan::{Scanner, Step};
use crate::segment::{self, HEADER_BLOCK_BYTES};

/// What a reader comes across.
#[derive(Debug)]
pub enum Entry {
    /// A frame.
    Frame {
        /// Its number.
        lsn: Lsn,
        /// Its header.
        header: FrameHeader,
        /// The sender's bytes.
        body: Bytes,
    },
    /// Something that is lost. The frames it names will not come.
    Damaged(Damage),
}

/// Iterates over the durable frames from a number on.
///
/// `None` means "nothing more now": call again after further appends. An error (too many open
/// files, say) leaves the place as it is: call again.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    key: u64,
    book: Arc<Book>,
    register: Arc<Register>,
    /// The last segment that is done with.
    after: u64,
    place: Option<Place>,
    /// Frame that comes next, if nothing is lost.
    expected: Lsn,
    /// A good frame that waits until the damage before it has been told.
    held: Option<(Lsn, FrameHeader, Bytes)>,
    /// Damage whose frames are not known before the next frame is found.
    pending: Option<Damage>,
}

struct Place {
    number: u64,
    end: u64,
    scanner: Scanner,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment {} at {}", self.number, self.scanner.at())
    }
}

impl Iterator for Reader {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl Reader {
    pub(crate) fn new(dir: PathBuf, key: u64, book: Arc<Book>, register: Arc<Register>, from: Lsn) -> Self {
        let start = book.find(from);
        let after = start.map_or(0, |segment| segment.number - 1);
        let expected = start.map_or(from, |segment| from.max(segment.first)).max(1);
        Self { dir, key, book, register, after, place: None, expected, held: None, pending: None }
    }

    /// The frame that comes next, if nothing is lost.
    pub fn position(&self) -> Lsn {
        self.expected
    }

    fn advance(&mut self) -> io::Result<Option<Entry>> {
        if let Some((lsn, header, body)) = self.held.take() {
            return Ok(Some(self.frame(lsn, header, body)));
        }
        loop {
            if self.place.is_none() {
                match self.enter()? {
                    Enter::Inside => {}
                    Enter::Nothing => return Ok(None),
                    Enter::Gap(damage) => return Ok(Some(Entry::Damaged(damage))),
                }
            }
            match self.event()? {
                Event::Skipped => {}
                Event::Frame(lsn, header, body) => return Ok(Some(self.frame(lsn, header, body))),
                Event::Bad(bad) => {
                    if let Some(damage) = self.damaged(bad) {
                        return Ok(Some(Entry::Damaged(damage)));
                    }
                }
                Event::End => {
                    if !self.leave() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Goes to the segment after the last one.
    fn enter(&mut self) -> io::Result<Enter> {
        let (_, Some(next)) = self.book.look(self.after) else { return Ok(Enter::Nothing) };
        if next.first > self.expected {
            // Segments that were released may have gone since the last step: nothing is missing.
            self.expected = self.expected.max(self.book.released().min(next.first));
        }
        if next.first > self.expected {
            let damage = self.lost_before(next.first);
            return Ok(Enter::Gap(damage));
        }
        let path = self.path(next.number);
        match File::open(&path) {
            Ok(file) => {
                let salt = record::salt(self.key, next.number);
                let scanner = Scanner::new(file, salt, HEADER_BLOCK_BYTES, next.end);
                self.place = Some(Place { number: next.number, end: next.end, scanner });
                Ok(Enter::Inside)
            }
            // Released and deleted since, or removed by hand: the next frame's number will tell.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.after = next.number;
                self.enter()
            }
            Err(error) => Err(error),
        }
    }

    /// At the end of what could be read of a segment. False when nothing more is there now.
    fn leave(&mut self) -> bool {
        let Some(place) = self.place.as_mut() else { return true };
        let (here, next) = self.book.look(place.number);
        if let Some(here) = here.filter(|here| here.end > place.end) {
            place.end = here.end;
            place.scanner.extend(here.end);
            return true;
        }
        if next.is_none() {
            return false;
        }
        self.after = place.number;
        self.place = None;
        true
    }

    fn event(&mut self) -> io::Result<Event> {
        let expected = self.expected;
        let Some(Place { scanner, .. }) = self.place.as_mut() else { return Ok(Event::End) };
        if let Some(head) = scanner.peek()?
            && head.known_kind() == Some(Kind::Frame)
            && head.lsn < expected
        {
            scanner.skip(&head);
            return Ok(Event::Skipped);
        }
        let (head, at, end, reason) = match scanner.step()? {
            Step::Record { head, at, payload } => match head.known_kind() {
                Some(Kind::Frame) => match frame::decode(payload) {
                    Some((header, body)) => return Ok(Event::Frame(head.lsn, header, body)),
                    None => (Some(head), at, at + head.total_bytes(), Reason::Unknown),
                },
                Some(_) => return Ok(Event::Skipped),
                None if head.kind >= 128 => return Ok(Event::Skipped),
                None => (None, at, at + head.total_bytes(), Reason::Unknown),
            },
            Step::Bad { head, at, end, reason } => (head, at, end, reason),
            Step::Tail { at, end, reason } => (None, at, end, reason),
            Step::End { .. } => return Ok(Event::End),
        };
        let lsn = head.filter(|head| head.known_kind() == Some(Kind::Frame)).map(|head| head.lsn);
        let bytes = scanner.bytes(at, end, COPY_BYTES_MAX).unwrap_or_default();
        Ok(Event::Bad(Bad { lsn, at, end, reason, bytes }))
    }

    /// A good frame; if frames are missing before it, that is told first.
    fn frame(&mut self, lsn: Lsn, header: FrameHeader, body: Bytes) -> Entry {
        if lsn == self.expected && self.pending.is_none() {
            self.expected += 1;
            return Entry::Frame { lsn, header, body };
        }
        self.held = Some((lsn, header, body));
        Entry::Damaged(self.lost_before(lsn))
    }

    /// Ends at `lsn` what is lost: the damage that is pending, or a gap that nothing explains.
    fn lost_before(&mut self, lsn: Lsn) -> Damage {
        let lsns = (lsn > self.expected).then(|| (self.expected, lsn - 1));
        self.expected = self.expected.max(lsn);
        let number = self.place.as_ref().map_or(self.after + 1, |place| place.number);
        let path = self.path(number);
        let gap = Damage { segment: number, offset: 0, bytes: 0, lsns, reason: Reason::Missing, path };
        let damage = Damage { lsns, ..self.pending.take().unwrap_or(gap) };
        self.register.report(&damage);
        damage
    }

    /// Bad bytes. What they were is told at once when their head can still be read.
    fn damaged(&mut self, bad: Bad) -> Option<Damage> {
        let Bad { lsn, at, end, reason, bytes } = bad;
        let number = self.place.as_ref().map_or(0, |place| place.number);
        let path = self.path(number);
        let damage = Damage { segment: number, offset: at, bytes: end - at, lsns: None, reason, path };
        self.register.keep(&damage, &bytes);
        self.pending.get_or_insert(damage);
        lsn.filter(|lsn| *lsn >= self.expected).map(|lsn| self.lost_before(lsn + 1))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(segment::file_name(number))
    }
}

/// More of one damaged place is not copied to the quarantine.
pub(crate) const COPY_BYTES_MAX: u64 = 65 << 20;

enum Enter {
    Inside,
    Nothing,
    Gap(Damage),
}

enum Event {
    Skipped,
    Frame(Lsn, FrameHeader, Bytes),
    Bad(Bad),
    End,
}

struct Bad {
    /// The frame's number, when it was a frame and its head is whole.
    lsn: Option<Lsn>,
    at: u64,
    end: u64,
    reason: Reason,
    bytes: Vec<u8>,
}
