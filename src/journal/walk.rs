//! What one segment file holds: from its summary when it was closed, else by walking its records.
//!
//! Whether the bytes after the last good record are a torn write or damage is not decided here: that
//! depends on the segments after it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::book::{Segment, State};
use crate::damage::{Damage, Reason};
use crate::frame::{self, FrameHeader};
use crate::reader;
use crate::record::{self, ALIGN, HEAD_BYTES, Head, Kind, Lsn, TAIL_BYTES};
use crate::recover::{Finder, whole_file};
use crate::scan::{Scanner, Step};
use crate::seal::{Abandon, Mark, Seal};
use crate::segment::HEADER_BLOCK_BYTES;
use crate::summary::{Recent, Summary};

/// One segment as found.
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    /// Records end here.
    pub(crate) end: u64,
    pub(crate) length: u64,
    pub(crate) summary: Summary,
    /// Where the notes stand, when they were not read yet.
    pub(crate) notes_at: Option<u64>,
    pub(crate) closed: bool,
    /// No record was found before the first damage: frames may be missing at the front.
    pub(crate) open_front: bool,
    pub(crate) damage: Vec<Damage>,
    pub(crate) torn: u64,
}

impl Finder<'_> {
    /// Reads what segment `number` says. `cut`: where an abandon record ends it; `limit`: the first frame of
    /// the segment after it.
    pub(crate) fn look(&self, number: u64, path: PathBuf, cut: Option<u64>, limit: Option<Lsn>) -> io::Result<Found> {
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        let salt = record::salt(self.key, number);
        let mut found = Found {
            number,
            path,
            end: length,
            length,
            summary: Summary::default(),
            notes_at: None,
            closed: false,
            open_front: false,
            damage: Vec::new(),
            torn: 0,
        };
        if let Some((summary, notes_at)) = read_summary(&file, length, salt) {
            found.summary = summary;
            found.end = notes_at;
            found.notes_at = Some(notes_at);
            found.closed = true;
            return Ok(found);
        }
        self.scan(&mut found, file, salt, cut, limit)?;
        Ok(found)
    }

    fn scan(
        &self,
        found: &mut Found,
        file: File,
        salt: [u8; 8],
        cut: Option<u64>,
        limit: Option<Lsn>,
    ) -> io::Result<()> {
        let end = cut.map_or(found.length, |cut| cut.min(found.length));
        let mut scanner = Scanner::new(file, salt, HEADER_BLOCK_BYTES.min(end), end);
        let mut walk = Walk { found, limit: limit.unwrap_or(Lsn::MAX), started: false, open: Vec::new() };
        walk.found.end = end;
        loop {
            let (head, at, to, reason) = match scanner.step()? {
                Step::Record { head, at, payload } => {
                    if walk.record(&head, at, payload) {
                        continue;
                    }
                    return Ok(());
                }
                Step::Bad { head, at, end, reason } => (head, at, end, reason),
                Step::Tail { at, end, .. } => {
                    (walk.found.end, walk.found.torn) = (at, end - at);
                    return Ok(());
                }
                Step::End { at } => {
                    walk.found.end = walk.found.end.min(at);
                    return Ok(());
                }
            };
            let damage = walk.bad(head, at, to, reason);
            let bytes = scanner.bytes(at, to, reader::COPY_BYTES_MAX).unwrap_or_default();
            self.register.keep(&damage, &bytes);
        }
    }
}

impl Found {
    pub(crate) fn into_segment(self) -> Segment {
        let frames = Summary {
            first: self.summary.first,
            next: self.summary.next,
            samples: self.summary.samples,
            ..Summary::default()
        };
        Segment {
            number: self.number,
            state: State::Closed,
            end: self.end,
            disk_bytes: self.length,
            frames,
            released_since: None,
        }
    }
}

/// A segment being walked.
struct Walk<'a> {
    found: &'a mut Found,
    limit: Lsn,
    started: bool,
    /// Damage since the last good record, by place in `found.damage`.
    open: Vec<usize>,
}

impl Walk<'_> {
    /// Takes a good record in. False when it and all behind it do not count.
    fn record(&mut self, head: &Head, at: u64, payload: &[u8]) -> bool {
        let kind = head.known_kind();
        let refused = head.lsn > self.limit || (kind == Some(Kind::Frame) && head.lsn == self.limit);
        if refused {
            self.found.end = at;
            return false;
        }
        if matches!(kind, Some(Kind::Notes | Kind::Summary)) {
            // The segment was being closed; that is done again.
            self.found.end = at;
            return false;
        }
        self.meet(head.lsn);
        let summary = &mut self.found.summary;
        let understood = match kind {
            Some(Kind::Frame) => self.frame(head.lsn, payload),
            Some(Kind::Seal) => Seal::decode(&mut { payload }).map(|seal| summary.add_seal(seal)).is_some(),
            Some(Kind::Confirm) => payload.try_into().map(|id| summary.confirms.push(u128::from_le_bytes(id))).is_ok(),
            Some(Kind::Mark) => {
                summary.clean = false;
                let mark = Mark::decode(&mut { payload });
                summary.mark = mark.map(|mark| (head.lsn, mark)).or(summary.mark);
                mark.is_some()
            }
            Some(Kind::Abandon) => {
                Abandon::decode(&mut { payload }).map(|abandon| summary.abandons.push(abandon)).is_some()
            }
            Some(Kind::CleanStop) => {
                summary.clean = true;
                true
            }
            Some(Kind::Notes | Kind::Summary | Kind::Tombstone) | None => head.kind >= 128,
        };
        if !understood {
            self.bad(Some(*head), at, at + head.total_bytes(), Reason::Unknown);
        }
        true
    }

    fn frame(&mut self, lsn: Lsn, payload: &[u8]) -> bool {
        let Some((header, _)) = frame::decode(payload) else { return false };
        if lsn < self.found.summary.next {
            return false;
        }
        let FrameHeader { body_hash, received_ns, items, settles, .. } = header;
        self.found.summary.add_frame(Recent { body_hash, received_ns, lsn, items });
        self.found.summary.set_aside.extend(settles);
        true
    }

    /// A record that says "the next frame is `lsn`", or is it: closes the damage before it.
    fn meet(&mut self, lsn: Lsn) {
        let summary = &mut self.found.summary;
        if !self.started {
            self.started = true;
            self.found.open_front = !self.open.is_empty();
            *summary = Summary::starting_at(lsn);
        }
        if lsn > summary.next {
            let lost = Some((summary.next, lsn - 1));
            match self.open.first().and_then(|at| self.found.damage.get_mut(*at)) {
                Some(damage) => damage.lsns = lost,
                None => {
                    let gap = whole_file(self.found.number, &self.found.path, Reason::Missing);
                    self.found.damage.push(Damage { bytes: 0, lsns: lost, ..gap });
                }
            }
            summary.next = lsn;
        }
        self.open.clear();
    }

    fn bad(&mut self, head: Option<Head>, at: u64, end: u64, reason: Reason) -> Damage {
        // Whether a frame is lost shows at the next record; the head of a frame says it at once.
        if let Some(head) = head.filter(|head| head.lsn < self.limit) {
            self.meet(head.lsn);
        }
        let place = whole_file(self.found.number, &self.found.path, reason);
        let mut damage = Damage { offset: at, bytes: end - at, ..place };
        let next = self.found.summary.next;
        let is_new = |head: &Head| head.known_kind() == Some(Kind::Frame) && (next..self.limit).contains(&head.lsn);
        if let Some(head) = head.filter(is_new) {
            damage.lsns = Some((head.lsn, head.lsn));
            self.found.summary.next = head.lsn + 1;
        }
        self.found.damage.push(damage.clone());
        self.open.push(self.found.damage.len() - 1);
        damage
    }
}

/// The summary at the end of a closed segment, and where its closing records begin.
fn read_summary(file: &File, length: u64, salt: [u8; 8]) -> Option<(Summary, u64)> {
    let tail_at = length.checked_sub(TAIL_BYTES as u64).filter(|at| at % ALIGN == 0)?;
    let mut tail = [0; TAIL_BYTES];
    file.read_exact_at(&mut tail, tail_at).ok()?;
    let payload_bytes = u64::from(u32::from_le_bytes([tail[4], tail[5], tail[6], tail[7]]));
    let at = length.checked_sub(record::total_bytes(payload_bytes)).filter(|at| *at >= HEADER_BLOCK_BYTES)?;
    let payload = read_record(file, at, length, salt, Kind::Summary)?;
    Summary::decode(&payload).filter(|(_, notes_at)| *notes_at <= at)
}

pub(crate) fn read_record(file: &File, at: u64, end: u64, salt: [u8; 8], kind: Kind) -> Option<Vec<u8>> {
    let mut head_bytes = [0; HEAD_BYTES];
    file.read_exact_at(&mut head_bytes, at).ok()?;
    let head = Head::decode(&head_bytes, salt)?;
    if head.known_kind() != Some(kind) || at + head.total_bytes() > end {
        return None;
    }
    let mut bytes = vec![0; head.total_bytes() as usize];
    file.read_exact_at(&mut bytes, at).ok()?;
    record::payload(&bytes, &head, salt).map(<[u8]>::to_vec)
}
