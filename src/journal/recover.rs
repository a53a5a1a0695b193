//! From a directory in any state to a log that can be continued: which frames are there, what is
//! damaged, where the next record goes. Damage never keeps it from starting; whole segments of a newer
//! version do, because this one would set acknowledged data aside.
//!
//! Closed segments carry a summary and are not read through: their frames are checked when they are
//! replayed. Segments without one (the last, after `kill -9`) are walked record by record, newest
//! first: an abandon record or a first LSN in a newer segment says what does not count in an older.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::path::{Path, PathBuf};

use crate::book::Segment;
use crate::crash::crash_point;
use crate::damage::{Damage, Reason, Register};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::record::{self, Kind, Lsn};
use crate::seal::{Fate, Mark, Seal, Totals};
use crate::segment::{self, FORMAT_VERSION, HEADER_BLOCK_BYTES, Opening};
use crate::summary::{Recent, Summary};
use crate::walk::{Found, read_record};

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
    /// The seals of the retained segments, oldest first, and what became of each.
    pub seals: Vec<(Seal, Fate)>,
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

/// Looks through the directory.
pub(crate) struct Finder<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) disk: &'a Disk,
    pub(crate) register: &'a Register,
    pub(crate) key: u64,
    pub(crate) damage: Vec<Damage>,
}

pub(crate) fn recover(
    dir: &Path,
    disk: &Disk,
    register: &Register,
    rule: u16,
    now_ns: i64,
) -> Result<Recovered, OpenError> {
    let listing = segment::list(dir).map_err(OpenError::io("listing the journal directory", dir))?;
    let opened = open_all(listing.segments)?;
    refuse_newer(&opened, rule)?;
    for path in &listing.unfinished {
        let _ = std::fs::remove_file(path);
    }
    let mut damage: Vec<Damage> = listing.foreign.iter().map(|path| whole_file(0, path, Reason::ForeignFile)).collect();
    for one in opened.iter().filter(|one| one.copies == 1 || one.opening == Opening::Unreadable) {
        damage.push(Damage { bytes: HEADER_BLOCK_BYTES, ..whole_file(one.number, &one.path, Reason::Header) });
    }
    let key = find_key(dir, disk, &opened)?;
    let mut finder = Finder { dir, disk, register, key, damage };
    let mut found = finder.walk(opened)?;
    finder.connect(&mut found);
    finder.finish(found, now_ns)
}

/// A segment file and what its header says.
struct Opened {
    number: u64,
    path: PathBuf,
    opening: Opening,
    /// Whole copies of the header.
    copies: usize,
}

fn open_all(segments: BTreeMap<u64, PathBuf>) -> Result<Vec<Opened>, OpenError> {
    let mut opened = Vec::with_capacity(segments.len());
    for (number, path) in segments {
        let read = File::open(&path).and_then(|file| segment::read_header(&file));
        let (opening, copies) = read.map_err(OpenError::io("opening the journal segment", &path))?;
        opened.push(Opened { number, path, opening, copies });
    }
    Ok(opened)
}

/// Nothing has been touched yet when this says no.
fn refuse_newer(opened: &[Opened], rule: u16) -> Result<(), OpenError> {
    for Opened { path, opening, .. } in opened {
        let (what, found, known) = match *opening {
            Opening::Unsupported(version) if version > FORMAT_VERSION => ("format", version, FORMAT_VERSION),
            Opening::Good(header) if header.rule > rule => ("decode rules", header.rule.into(), rule.into()),
            _ => continue,
        };
        return Err(OpenError::Newer { path: path.clone(), what, found, known });
    }
    Ok(())
}

/// The journal's key: from its own file, else from the segments, else a new one.
fn find_key(dir: &Path, disk: &Disk, opened: &[Opened]) -> Result<u64, OpenError> {
    if let Some(key) = segment::read_identity(dir) {
        return Ok(key);
    }
    let mut votes: HashMap<u64, usize> = HashMap::new();
    for one in opened {
        if let Opening::Good(header) = &one.opening {
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
        for Opened { number, path, opening, .. } in opened.into_iter().rev() {
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

fn pair(found: &[Found]) -> Vec<(Seal, Fate)> {
    let confirmed: HashSet<u128> = found.iter().flat_map(|one| one.summary.confirms.iter().copied()).collect();
    let set_aside: HashSet<u128> = found.iter().flat_map(|one| one.summary.set_aside.iter().copied()).collect();
    let fate = |batch: u128| match set_aside.contains(&batch) {
        true => Fate::SetAside,
        false if confirmed.contains(&batch) => Fate::Confirmed,
        false => Fate::Open,
    };
    let mut seen = HashSet::new();
    let seals = found.iter().flat_map(|one| one.summary.seals.iter());
    seals.filter(|seal| seen.insert(seal.batch)).map(|seal| (seal.clone(), fate(seal.batch))).collect()
}

pub(crate) fn whole_file(segment: u64, path: &Path, reason: Reason) -> Damage {
    let bytes = std::fs::metadata(path).map_or(0, |meta| meta.len());
    Damage { segment, offset: 0, bytes, lsns: None, reason, path: path.to_owned() }
}
