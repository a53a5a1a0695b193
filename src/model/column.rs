//! Columns of maps and lists, and [`ColumnRef`]: how a batch shows one of its columns to whoever
//! copies rows out of it, without saying where the values come from.

use crate::text::{DictColumn, StrColumn};
use crate::{Resources, Spans};

/// Maps from text to text, one per row: keys by dictionary, values as text, row ends.
#[derive(Clone, Debug, Default)]
pub struct MapColumn {
    /// Keys, one per pair.
    pub keys: DictColumn,
    /// Values, one per pair.
    pub values: StrColumn,
    /// For each row the number of pairs up to and including it.
    pub ends: Vec<u32>,
}

impl MapColumn {
    /// Number of finished rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Makes room for `rows` more rows with `pairs` pairs of `bytes` value bytes together.
    pub fn reserve(&mut self, rows: usize, pairs: usize, bytes: usize) {
        self.keys.reserve(pairs);
        self.values.reserve(pairs, bytes);
        self.ends.reserve(rows);
    }

    /// Appends a pair to the row being built.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.keys.push(key);
        self.values.push(value);
    }

    /// Pairs so far, those of the unfinished row included.
    pub fn pairs(&self) -> usize {
        self.values.len()
    }

    /// Pairs of the unfinished row.
    pub fn open_pairs(&self) -> usize {
        self.values.len() - self.ends.last().map_or(0, |end| *end as usize)
    }

    /// Closes the row being built.
    pub fn end_row(&mut self) {
        debug_assert_eq!(self.keys.len(), self.values.len(), "every key has a value");
        self.ends.push(self.values.len() as u32);
    }

    /// Forgets pairs from `pairs` on and rows from `rows` on.
    pub fn truncate(&mut self, rows: usize, pairs: usize) {
        self.keys.truncate(pairs);
        self.values.truncate(pairs);
        self.ends.truncate(rows);
    }

    /// The pair numbers of `row`.
    pub fn pairs_of(&self, row: usize) -> std::ops::Range<usize> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        start..self.ends[row] as usize
    }

    /// The pairs of `row`, in the order they came.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs_of(row).map(|pair| (self.keys.get(pair), self.values.get(pair)))
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        self.keys.heap_bytes() + self.values.heap_bytes() + self.ends.capacity() * 4
    }
}

/// One column as seen by a copier. `Via` forms gather through an index (the resource or scope of
/// each row); `Same` forms hold one value for every row.
#[derive(Clone, Debug)]
pub enum ColumnRef<'a> {
    /// The id of the block that the row ends up in; only the block knows it.
    BatchId,
    /// The same text in every row.
    SameText(&'a str),
    /// The same number in every row, in the width of the column's type.
    SameI64(i64),
    /// The same small number in every row.
    SameU8(u8),
    /// The version of each span's row: whether it vouches for its promoted columns.
    SpanVersions(&'a Spans, &'a Resources),
    /// Numbers, one per row.
    U8(&'a [u8]),
    /// Numbers, one per row.
    U16(&'a [u16]),
    /// Numbers, one per row.
    U32(&'a [u32]),
    /// Numbers, one per row.
    U64(&'a [u64]),
    /// Numbers, one per row.
    I32(&'a [i32]),
    /// Numbers, one per row.
    I64(&'a [i64]),
    /// Numbers, one per row.
    F32(&'a [f32]),
    /// Numbers, one per row.
    F64(&'a [f64]),
    /// The low byte of each number.
    LowByte(&'a [u32]),
    /// Numbers through an index.
    U32Via(&'a [u32], &'a [u32]),
    /// Numbers through an index.
    I32Via(&'a [u32], &'a [i32]),
    /// Numbers through an index.
    U8Via(&'a [u32], &'a [u8]),
    /// Ids as lower-case hex; all zero becomes empty text.
    TraceIds(&'a [[u8; 16]]),
    /// Ids as lower-case hex; all zero becomes empty text.
    SpanIds(&'a [[u8; 8]]),
    /// A number per row that stands for one of few fixed texts.
    Names(&'a [u8], &'static [&'static str]),
    /// Texts.
    Str(&'a StrColumn),
    /// Texts through an index.
    StrVia(&'a [u32], &'a StrColumn),
    /// Texts with few distinct values.
    Dict(&'a DictColumn),
    /// Texts with few distinct values through an index.
    DictVia(&'a [u32], &'a DictColumn),
    /// Maps.
    Map(&'a MapColumn),
    /// Maps through an index.
    MapVia(&'a [u32], &'a MapColumn),
    /// The keys of maps through an index, each between commas.
    KeysVia(&'a [u32], &'a MapColumn),
    /// Lists: for each row the number of elements up to and including it, and the elements.
    List(&'a [u32], Box<ColumnRef<'a>>),
}
