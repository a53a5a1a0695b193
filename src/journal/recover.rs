//! From a directory in any state to a log that can be continued: which frames are there, what is
//! damaged, where the next record goes. Never refuses to start because of what it finds.
//!
//! Closed segments carry a summary and are not read through: their frames are checked when they are
//! replayed. Segments without one (the last, after `kill -9`) are walked record by record, newest
//! first: an abandon record or a first LSN in a newer segment says what does not count in an older.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::book::{Segment, State};
use crate::crash::crash_point;
use crate::damage::{Damage, Reason, Register};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::frame::FrameHeader;
use crate::record::{self, ALIGN, HEAD_BYTES, Head, Kind, Lsn, TAIL_BYTES};
use crate::scan::{Scanner, Step};
use crate::seal::{Abandon, Mark, Seal, Totals};
use crate::segment::{self, HEADER_BLOCK_BYTES, Opening};
use crate::summary::{Recent, Summary};
use crate::{frame, reader};

/// What an opened journal found.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Random, new at every open: the upper half of the batch ids of this process.
    pub writer: u64,
    /// Secret of the directory: seeds the hashes of bodies.
    pub hash_key: u64,
    /// The next frame's number.
    pub next_lsn: Lsn,
    /// All frames below were released when last noted; up to about a second old after a crash.
    pub low_water: Lsn,
    /// The oldest frame that is still there; equal to `next_lsn` when there is none.
    pub first_lsn: Lsn,
    /// The journal was closed in order, and nothing was written since.
    pub clean: bool,
    /// The seals of the retained segments, oldest first, and whether each was confirmed.
    pub seals: Vec<(Seal, bool)>,
    /// What could not be read. Frames of closed segments are checked when they are read.
    pub damage: Vec<Damage>,
    /// Bytes of a write that was cut off at the end of the log; never acknowledged.
    pub torn_bytes: u64,
    /// Counters as last noted.
    pub totals: Totals,
    /// The first frame that may not be counted in `totals`.
    pub totals_lsn: Lsn,
    /// Body hashes of the last two minutes of the log, oldest first.
    pub recent: Vec<Recent>,
}

/// Everything that the journal continues from.
pub(crate) struct Recovered {
    pub(crate) recovery: Recovery,
    pub(crate) segments: Vec<Segment>,
    pub(crate) next_number: u64,
}

/// How far back [`Recovery::recent`] reaches.
const RECENT_NS: i64 = 120_000_000_000;

/// One segment as found.
struct Found {
    number: u64,
    path: PathBuf,
    /// Records end here.
    end: u64,
    length: u64,
    summary: Summary,
    /// Where the notes stand, when they were not read yet.
    notes_at: Option<u64>,
    closed: bool,
    /// No record was found before the first damage: frames may be missing at the front.
    open_front: bool,
    damage: Vec<Damage>,
    torn: u64,
}

struct Finder<'a> {
    dir: &'a Path,
    disk: &'a Disk,
    register: &'a Register,
    key: u64,
    damage: Vec<Damage>,
}

pub(crate) fn recover(dir: &Path, disk: &Disk, register: &Register, now_ns: i64) -> Result<Recovered, OpenError> {
    let listing = segment::list(dir).map_err(OpenError::io("listing the journal directory", dir))?;
    for path in &listing.unfinished {
        let _ = std::fs::remove_file(path);
    }
    let mut damage: Vec<Damage> = listing.foreign.iter().map(|path| whole_file(0, path, Reason::ForeignFile)).collect();
    let opened = open_all(listing.segments, &mut damage)?;
    let key = find_key(dir, disk, &opened)?;
    let mut finder = Finder { dir, disk, register, key, damage };
    let mut found = finder.walk(opened)?;
    finder.connect(&mut found);
    finder.finish(found, now_ns)
}

type Opened = (u64, PathBuf, Opening);

fn open_all(segments: BTreeMap<u64, PathBuf>, damage: &mut Vec<Damage>) -> Result<Vec<Opened>, OpenError> {
    let mut opened = Vec::with_capacity(segments.len());
    for (number, path) in segments {
        let read = File::open(&path).and_then(|file| segment::read_header(&file));
        let (opening, copies) = read.map_err(OpenError::io("opening the journal segment", &path))?;
        if copies == 1 || opening == Opening::Unreadable {
            damage.push(Damage { bytes: HEADER_BLOCK_BYTES, ..whole_file(number, &path, Reason::Header) });
        }
        opened.push((number, path, opening));
    }
    Ok(opened)
}

/// The journal's key: from its own file, else from the segments, else a new one.
fn find_key(dir: &Path, disk: &Disk, opened: &[Opened]) -> Result<u64, OpenError> {
    if let Some(key) = segment::read_identity(dir) {
        return Ok(key);
    }
    let mut votes: HashMap<u64, usize> = HashMap::new();
    for (_, _, opening) in opened {
        if let Opening::Good(header) = opening {
            *votes.entry(header.key).or_default() += 1;
        }
    }
    let key = votes.into_iter().max_by_key(|(_, count)| *count).map_or_else(rand::random, |(key, _)| key);
    match segment::write_identity(disk, dir, key) {
        // Every segment header holds the key too: a full disk must not keep us from starting.
        Err(_) if !opened.is_empty() => Ok(key),
        written => written.map(|()| key).map_err(OpenError::io("writing the identity of the journal in", dir)),
    }
}

impl Finder<'_> {
    /// Looks into every segment, newest first.
    fn walk(&mut self, opened: Vec<Opened>) -> Result<Vec<Found>, OpenError> {
        let mut abandons: HashMap<u64, u64> = HashMap::new();
        let mut limit: Option<Lsn> = None;
        let mut found = Vec::new();
        for (number, path, opening) in opened.into_iter().rev() {
            if !self.is_ours(number, &path, &opening) {
                continue;
            }
            let cut = abandons.get(&number).copied();
            let looked = self.look(number, path.clone(), cut, limit);
            let mut one = looked.map_err(OpenError::io("reading the journal segment", &path))?;
            if cut.is_some() && one.summary.next == 0 {
                // Left behind before anything in it was durable; it keeps its place in the row.
                one.summary = Summary::starting_at(limit.unwrap_or(1));
            } else if self.is_empty(&one, found.is_empty(), opening == Opening::Unreadable) {
                continue;
            }
            for abandon in &one.summary.abandons {
                let offset = abandons.entry(abandon.segment).or_insert(abandon.offset);
                *offset = (*offset).min(abandon.offset);
            }
            limit = Some(limit.map_or(one.summary.first, |limit| limit.min(one.summary.first)));
            found.push(one);
        }
        found.reverse();
        Ok(found)
    }

    fn is_ours(&mut self, number: u64, path: &Path, opening: &Opening) -> bool {
        let reason = match opening {
            Opening::Good(header) if header.number == number && header.key == self.key => return true,
            Opening::Good(_) => Reason::Misplaced,
            Opening::Unsupported(_) => Reason::Version,
            Opening::Unreadable => return true,
        };
        self.damage.push(whole_file(number, path, reason));
        self.register.move_file(path);
        false
    }

    /// A file without any record: one made ahead of need goes silently, others are kept aside.
    fn is_empty(&mut self, one: &Found, newest: bool, unreadable: bool) -> bool {
        let Summary { mark, seals, confirms, .. } = &one.summary;
        if mark.is_some() || one.summary.frames() > 0 || one.closed || !seals.is_empty() || !confirms.is_empty() {
            return false;
        }
        if newest && !unreadable && one.damage.is_empty() && one.torn == 0 {
            let _ = std::fs::remove_file(&one.path);
        } else if unreadable || !one.damage.is_empty() {
            self.damage.extend(one.damage.iter().cloned());
            self.register.move_file(&one.path);
        } else if newest {
            // Its first write was cut off: nothing in it was ever acknowledged.
            let _ = std::fs::remove_file(&one.path);
        } else {
            self.damage.push(whole_file(one.number, &one.path, Reason::Missing));
            self.register.move_file(&one.path);
        }
        true
    }

    fn look(&self, number: u64, path: PathBuf, cut: Option<u64>, limit: Option<Lsn>) -> io::Result<Found> {
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

    /// Puts the segments into a row and finds what is missing between them.
    fn connect(&mut self, found: &mut [Found]) {
        for at in 1..found.len() {
            let (before, after) = found.split_at_mut(at);
            let (Some(before), Some(after)) = (before.last_mut(), after.first_mut()) else { continue };
            let gap =
                (after.summary.first > before.summary.next).then(|| (before.summary.next, after.summary.first - 1));
            if before.torn > 0 && gap.is_some() {
                let reason = Reason::CutOff;
                let tail = whole_file(before.number, &before.path, reason);
                let (offset, bytes) = (before.end, before.torn);
                self.keep_tail(before);
                before.damage.push(Damage { offset, bytes, ..tail });
            }
            before.torn = 0;
            let explained = explain(gap, before, after);
            if after.number > before.number + 1 {
                for number in before.number + 1..after.number.min(before.number + 1000) {
                    let path = self.dir.join(segment::file_name(number));
                    let lsns = if explained { None } else { gap };
                    if !self.damage.iter().any(|known| known.segment == number && known.reason != Reason::Header) {
                        self.damage.push(Damage { lsns, ..whole_file(number, &path, Reason::Missing) });
                    }
                }
                set_lost(&mut self.damage, before.number + 1..after.number, gap.filter(|_| !explained));
            } else if !explained && gap.is_some() {
                let lost =
                    Damage { bytes: 0, offset: before.end, ..whole_file(before.number, &before.path, Reason::Missing) };
                before.damage.push(Damage { lsns: gap, ..lost });
            }
        }
    }

    fn keep_tail(&self, before: &Found) {
        let mut bytes = vec![0; before.torn.min(reader::COPY_BYTES_MAX) as usize];
        let read = File::open(&before.path).and_then(|file| file.read_exact_at(&mut bytes, before.end));
        if read.is_ok() {
            let place = whole_file(before.number, &before.path, Reason::CutOff);
            self.register.keep(&Damage { offset: before.end, ..place }, &bytes);
        }
    }

    fn finish(mut self, mut found: Vec<Found>, now_ns: i64) -> Result<Recovered, OpenError> {
        self.missing_front(&mut found);
        let recent = self.recent(&mut found, now_ns);
        let torn_bytes = found.last().map_or(0, |last| last.torn);
        let clean = torn_bytes == 0 && found.last().is_some_and(|last| last.summary.clean);
        let seals = pair(&found);
        let (totals_lsn, mark) = found.iter().rev().find_map(|one| one.summary.mark).unwrap_or((1, Mark::default()));
        let first_lsn = found.first().map_or(1, |first| first.summary.first);
        let sealed = seals.iter().map(|(seal, _)| seal.to.0 + 1).max().unwrap_or(1);
        let next_lsn =
            found.iter().map(|one| one.summary.next).max().unwrap_or(1).max(mark.low_water).max(sealed).max(1);
        for one in &mut found {
            self.damage.append(&mut one.damage);
        }
        self.damage.sort_by_key(|damage| (damage.segment, damage.offset));
        self.damage.iter().for_each(|damage| self.register.report(damage));
        for one in found.iter_mut().filter(|one| !one.closed) {
            self.close(one);
        }
        let recovery = Recovery {
            writer: rand::random(),
            hash_key: self.key,
            next_lsn,
            low_water: mark.low_water.max(first_lsn),
            first_lsn,
            clean,
            seals,
            damage: self.damage,
            torn_bytes,
            totals: mark.totals,
            totals_lsn,
            recent,
        };
        let next_number = found.last().map_or(1, |last| last.number + 1);
        let segments = found.into_iter().map(Found::into_segment).collect();
        Ok(Recovered { recovery, segments, next_number })
    }

    /// Segments leave only after a mark says that their frames are released: if frames above the
    /// last mark are missing at the front, somebody else removed them.
    fn missing_front(&mut self, found: &mut [Found]) {
        let marks = found.iter().filter_map(|one| one.summary.mark);
        let low_water = marks.map(|(_, mark)| mark.low_water).max().unwrap_or(1).max(1);
        let Some(first) = found.first_mut() else { return };
        if first.summary.first <= low_water {
            return;
        }
        let lost = Some((low_water, first.summary.first - 1));
        if let Some(damage) = first.damage.first_mut().filter(|_| first.open_front) {
            damage.lsns = lost;
            first.summary.first = low_water;
            return;
        }
        let earlier = |damage: &&mut Damage| damage.segment > 0 && damage.segment < first.number;
        if let Some(damage) = self.damage.iter_mut().find(earlier) {
            damage.lsns = lost;
        } else {
            let number = first.number.saturating_sub(1);
            let path = self.dir.join(segment::file_name(number));
            self.damage.push(Damage { lsns: lost, ..whole_file(number, &path, Reason::Missing) });
        }
    }

    fn recent(&self, found: &mut [Found], now_ns: i64) -> Vec<Recent> {
        let newest = found.iter().map(|one| one.summary.received_max_ns).max().unwrap_or(i64::MIN);
        let since = newest.min(now_ns).saturating_sub(RECENT_NS);
        let mut recent = Vec::new();
        for one in found.iter_mut().filter(|one| one.summary.received_max_ns >= since) {
            if let Some(at) = one.notes_at {
                let salt = record::salt(self.key, one.number);
                one.summary.notes = File::open(&one.path)
                    .ok()
                    .and_then(|file| read_record(&file, at, one.length, salt, Kind::Notes))
                    .and_then(|payload| Summary::decode_notes(&payload))
                    .unwrap_or_default();
            }
            recent.extend(one.summary.notes.iter().filter(|note| note.received_ns >= since));
        }
        recent
    }

    /// Cuts a segment to its records and appends its summary. A start must not fail for it: without
    /// a summary the segment is walked again next time.
    fn close(&self, one: &mut Found) {
        let records = one.summary.closing_records(record::salt(self.key, one.number), one.end);
        crash_point("segment-close");
        let closed = OpenOptions::new().write(true).open(&one.path).and_then(|file| {
            self.disk.truncate(&file, one.end)?;
            // The records were in the page cache at least; from now on others rely on them.
            self.disk.sync_data(&file)?;
            self.disk.write_all_at(&file, &mut [IoSlice::new(&records)], one.end)?;
            self.disk.sync_data(&file)
        });
        one.length = one.end;
        if closed.is_ok() {
            one.length += records.len() as u64;
        }
    }
}

impl Found {
    fn into_segment(self) -> Segment {
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
        let FrameHeader { body_hash, received_ns, items, .. } = header;
        self.found.summary.add_frame(Recent { body_hash, received_ns, lsn, items });
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

/// Gives the gap between two segments to damage that can explain it. True when it did.
fn explain(gap: Option<(Lsn, Lsn)>, before: &mut Found, after: &mut Found) -> bool {
    let Some((from, to)) = gap else { return true };
    if let Some(last) = before.damage.last_mut().filter(|last| last.lsns.is_none()) {
        last.lsns = Some((from, to));
        return true;
    }
    if after.open_front
        && let Some(first) = after.damage.first_mut().filter(|first| first.lsns.is_none())
    {
        first.lsns = Some((from, to));
        // The reader then meets the damage where it is, not as a gap before the file.
        after.summary.first = from;
        return true;
    }
    false
}

/// Whole files that are gone explain a gap only together: the first of them names it.
fn set_lost(damage: &mut [Damage], numbers: std::ops::Range<u64>, gap: Option<(Lsn, Lsn)>) {
    let mut gap = gap;
    for one in damage.iter_mut().filter(|one| numbers.contains(&one.segment) && one.reason != Reason::Header) {
        one.lsns = gap.take();
    }
}

fn pair(found: &[Found]) -> Vec<(Seal, bool)> {
    let confirmed: std::collections::HashSet<u128> =
        found.iter().flat_map(|one| one.summary.confirms.iter().copied()).collect();
    let mut seen = std::collections::HashSet::new();
    let seals = found.iter().flat_map(|one| one.summary.seals.iter());
    seals.filter(|seal| seen.insert(seal.batch)).map(|seal| (seal.clone(), confirmed.contains(&seal.batch))).collect()
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

fn read_record(file: &File, at: u64, end: u64, salt: [u8; 8], kind: Kind) -> Option<Vec<u8>> {
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

fn whole_file(segment: u64, path: &Path, reason: Reason) -> Damage {
    let bytes = std::fs::metadata(path).map_or(0, |meta| meta.len());
    Damage { segment, offset: 0, bytes, lsns: None, reason, path: path.to_owned() }
}
