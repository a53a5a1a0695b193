//! What is missing between segments, and which damage explains it.
//!
//! The numbers of the frames are consecutive, so a gap between two segments is always seen; here it
//! is given to the damage that caused it: bad bytes at the end of the one, at the start of the other,
//! or whole segments that are not there.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::damage::{Damage, Reason};
use crate::reader;
use crate::record::Lsn;
use crate::recover::{Finder, whole_file};
use crate::segment;
use crate::walk::Found;

impl Finder<'_> {
    /// Puts the segments into a row and finds what is missing between them.
    pub(crate) fn connect(&mut self, found: &mut [Found]) {
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

    /// Segments leave only after a mark says that their frames are released: if frames above the
    /// last mark are missing at the front, somebody else removed them.
    pub(crate) fn missing_front(&mut self, found: &mut [Found]) {
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
