//! What is worth knowing of a segment without reading its frames: kept in memory while the segment
//! is written, appended to it when it closes, so that a start reads kilobytes instead of the whole
//! budget. Built from the same records, in the same way, when a closed segment has none.
//!
//! Pure: bytes in, bytes out.

use bytes::{Buf, BufMut};

use crate::record::{self, Kind, Lsn};
use crate::seal::{Abandon, Mark, Seal};

/// A frame's body hash and what an answer to its repetition needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Keyed hash of the body, never zero.
    pub body_hash: u128,
    /// Receive time, nanoseconds since 1970.
    pub received_ns: i64,
    /// The frame.
    pub lsn: Lsn,
    /// Accepted spans, log records, metric points.
    pub items: [u32; 3],
}

/// Receive times closer together than this share a sample.
const SAMPLE_NS: u64 = 250_000_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    /// First frame of the segment; equal to `next` when it has none.
    pub(crate) first: Lsn,
    /// One past the last frame.
    pub(crate) next: Lsn,
    pub(crate) received_max_ns: i64,
    pub(crate) clean: bool,
    /// The last mark and the number of the frame that came after it.
    pub(crate) mark: Option<(Lsn, Mark)>,
    pub(crate) abandons: Vec<Abandon>,
    pub(crate) seals: Vec<Seal>,
    pub(crate) confirms: Vec<u128>,
    /// Batches that a frame of this segment stands in for.
    pub(crate) set_aside: Vec<u128>,
    /// Receive times: a frame was received at most a quarter second after the last sample at or
    /// before it.
    pub(crate) samples: Vec<(Lsn, i64)>,
    /// Frames with a body hash. Stored as a record of their own, read only when young enough.
    pub(crate) notes: Vec<Recent>,
}

impl Summary {
    pub(crate) fn starting_at(lsn: Lsn) -> Self {
        Self { first: lsn, next: lsn, received_max_ns: i64::MIN, ..Self::default() }
    }

    pub(crate) fn add_frame(&mut self, note: Recent) {
        self.clean = false;
        self.next = note.lsn + 1;
        self.received_max_ns = self.received_max_ns.max(note.received_ns);
        let sampled = self
            .samples
            .last()
            .is_some_and(|(_, at)| note.received_ns >= *at && note.received_ns.abs_diff(*at) < SAMPLE_NS);
        if !sampled {
            self.samples.push((note.lsn, note.received_ns));
        }
        if note.body_hash != 0 {
            self.notes.push(note);
        }
    }

    pub(crate) fn add_seal(&mut self, seal: Seal) {
        self.clean = false;
        // A seal is written twice; a repetition is a copy, never another batch.
        if self.seals.last().is_none_or(|last| last.batch != seal.batch) {
            self.seals.push(seal);
        }
    }

    pub(crate) fn frames(&self) -> u64 {
        self.next - self.first
    }

    /// Receive time of frame `lsn`, to a quarter second; `None` when it is not in this segment.
    pub(crate) fn received_ns(&self, lsn: Lsn) -> Option<i64> {
        let lsn = lsn.max(self.first);
        let after = self.samples.partition_point(|(first, _)| *first <= lsn);
        (lsn < self.next).then(|| after.checked_sub(1).map(|at| self.samples[at].1)).flatten()
    }

    /// The two records that close a segment, for appending at `offset`.
    pub(crate) fn closing_records(&self, salt: [u8; 8], offset: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut payload = Vec::with_capacity(self.notes.len() * 44);
        for note in &self.notes {
            payload.put_u128_le(note.body_hash);
            payload.put_i64_le(note.received_ns);
            payload.put_u64_le(note.lsn);
            note.items.iter().for_each(|count| payload.put_u32_le(*count));
        }
        record::put(&mut out, Kind::Notes, self.next, &payload, salt);
        payload.clear();
        self.encode(offset, &mut payload);
        record::put(&mut out, Kind::Summary, self.next, &payload, salt);
        out
    }

    fn encode(&self, notes_at: u64, out: &mut Vec<u8>) {
        out.put_u64_le(notes_at);
        out.put_u64_le(self.first);
        out.put_u64_le(self.next);
        out.put_i64_le(self.received_max_ns);
        out.put_u8(u8::from(self.clean));
        out.put_u8(u8::from(self.mark.is_some()));
        let (lsn, mark) = self.mark.unwrap_or_default();
        out.put_u64_le(lsn);
        mark.encode(out);
        for count in [self.abandons.len(), self.seals.len(), self.confirms.len(), self.samples.len()] {
            out.put_u32_le(count as u32);
        }
        self.abandons.iter().for_each(|abandon| abandon.encode(out));
        self.seals.iter().for_each(|seal| seal.encode(out));
        self.confirms.iter().for_each(|batch| out.put_u128_le(*batch));
        for (lsn, received_ns) in &self.samples {
            out.put_u64_le(*lsn);
            out.put_i64_le(*received_ns);
        }
        out.put_u32_le(self.set_aside.len() as u32);
        self.set_aside.iter().for_each(|batch| out.put_u128_le(*batch));
    }

    /// Reads a summary without its notes; also returns where those stand.
    pub(crate) fn decode(payload: &[u8]) -> Option<(Self, u64)> {
        let rest = &mut { payload };
        let notes_at = rest.try_get_u64_le().ok()?;
        let (first, next) = (rest.try_get_u64_le().ok()?, rest.try_get_u64_le().ok()?);
        let received_max_ns = rest.try_get_i64_le().ok()?;
        let (clean, marked) = (rest.try_get_u8().ok()? != 0, rest.try_get_u8().ok()? != 0);
        let mark = (rest.try_get_u64_le().ok()?, Mark::decode(rest)?);
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = rest.try_get_u32_le().ok()?;
        }
        let mut summary = Self {
            first,
            next,
            received_max_ns,
            clean,
            mark: marked.then_some(mark),
            abandons: (0..counts[0]).map(|_| Abandon::decode(rest)).collect::<Option<_>>()?,
            seals: (0..counts[1]).map(|_| Seal::decode(rest)).collect::<Option<_>>()?,
            confirms: (0..counts[2]).map(|_| rest.try_get_u128_le().ok()).collect::<Option<_>>()?,
            samples: (0..counts[3])
                .map(|_| Some((rest.try_get_u64_le().ok()?, rest.try_get_i64_le().ok()?)))
                .collect::<Option<_>>()?,
            set_aside: Vec::new(),
            notes: Vec::new(),
        };
        // Format version 1 ends here.
        if !rest.is_empty() {
            let count = rest.try_get_u32_le().ok()?;
            summary.set_aside = (0..count).map(|_| rest.try_get_u128_le().ok()).collect::<Option<_>>()?;
        }
        (first <= next).then_some((summary, notes_at))
    }

    pub(crate) fn decode_notes(payload: &[u8]) -> Option<Vec<Recent>> {
        let rest = &mut { payload };
        let mut notes = Vec::with_capacity(payload.len() / 44);
        while !rest.is_empty() {
            let body_hash = rest.try_get_u128_le().ok()?;
            let (received_ns, lsn) = (rest.try_get_i64_le().ok()?, rest.try_get_u64_le().ok()?);
            let mut items = [0; 3];
            for count in &mut items {
                *count = rest.try_get_u32_le().ok()?;
            }
            notes.push(Recent { body_hash, received_ns, lsn, items });
        }
        Some(notes)
    }
}
