//! The small records: seals, marks, abandons. Design section 2, "The rules".

use bytes::{Buf, BufMut};

use crate::record::Lsn;

/// Said, durably, before the first byte of an INSERT: which rows of which frames go into one
/// batch. After a restart the batch is looked up by its id; it is never cut again under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The batch's id.
    pub batch: u128,
    /// Table number, the caller's.
    pub table: u8,
    /// Partition, the caller's words. At most 65,535 bytes.
    pub partition: Box<str>,
    /// First frame and row.
    pub from: (Lsn, u32),
    /// Last frame and row, inclusive.
    pub to: (Lsn, u32),
    /// Rows of the batch.
    pub rows: u32,
    /// Smallest event time, nanoseconds since 1970.
    pub min_time_ns: i64,
    /// Largest event time, nanoseconds since 1970.
    pub max_time_ns: i64,
    /// The insert's deduplication token.
    pub token: u128,
}

/// What became of a sealed batch, as far as the log knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It may be in its table, or not.
    Open,
    /// It was in its table.
    Confirmed,
    /// It never will be: a frame of the log stands in for it ([`crate::FrameHeader::settles`]).
    SetAside,
}

impl Seal {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u128_le(self.batch);
        out.put_u8(self.table);
        out.put_u8(0);
        out.put_u16_le(self.partition.len() as u16);
        for (lsn, row) in [self.from, self.to] {
            out.put_u64_le(lsn);
            out.put_u32_le(row);
        }
        out.put_u32_le(self.rows);
        out.put_i64_le(self.min_time_ns);
        out.put_i64_le(self.max_time_ns);
        out.put_u128_le(self.token);
        out.put_slice(self.partition.as_bytes());
    }

    /// Reads one seal off the front of `rest`.
    pub(crate) fn decode(rest: &mut &[u8]) -> Option<Self> {
        let batch = rest.try_get_u128_le().ok()?;
        let table = rest.try_get_u8().ok()?;
        rest.try_get_u8().ok()?;
        let partition_bytes = usize::from(rest.try_get_u16_le().ok()?);
        let from = (rest.try_get_u64_le().ok()?, rest.try_get_u32_le().ok()?);
        let to = (rest.try_get_u64_le().ok()?, rest.try_get_u32_le().ok()?);
        let rows = rest.try_get_u32_le().ok()?;
        let (min_time_ns, max_time_ns) = (rest.try_get_i64_le().ok()?, rest.try_get_i64_le().ok()?);
        let token = rest.try_get_u128_le().ok()?;
        let (partition, after) = rest.split_at_checked(partition_bytes)?;
        *rest = after;
        let partition = std::str::from_utf8(partition).ok()?.into();
        Some(Self { batch, table, partition, from, to, rows, min_time_ns, max_time_ns, token })
    }
}

/// Number of counters in [`Totals`].
pub const TOTALS: usize = 32;

/// Counters of the caller since the data directory was made; what each one counts is the caller's
/// business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals(pub [u64; TOTALS]);

/// What is noted at the start of each segment and at most once a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub(crate) low_water: Lsn,
    pub(crate) totals: Totals,
}

impl Mark {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.low_water);
        self.totals.0.iter().for_each(|count| out.put_u64_le(*count));
    }

    pub(crate) fn decode(rest: &mut &[u8]) -> Option<Self> {
        let low_water = rest.try_get_u64_le().ok()?;
        let mut totals = Totals::default();
        for count in &mut totals.0 {
            *count = rest.try_get_u64_le().ok()?;
        }
        Some(Self { low_water, totals })
    }
}

/// From `offset` on, segment `segment` holds only what was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abandon {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) from: Lsn,
    /// Exclusive.
    pub(crate) to: Lsn,
}

impl Abandon {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.segment, self.offset, self.from, self.to] {
            out.put_u64_le(number);
        }
    }

    pub(crate) fn decode(rest: &mut &[u8]) -> Option<Self> {
        let mut next = || rest.try_get_u64_le().ok();
        Some(Self { segment: next()?, offset: next()?, from: next()?, to: next()? })
    }
}
