//! Columns of text. A [`StrColumn`] holds its values as ClickHouse's Native format writes strings
//! (LEB128 length, then bytes), so that a run of rows moves into a block as one copy; a
//! [`DictColumn`] holds each distinct value once and an index per row, as LowCardinality does.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Strings, back to back, each as LEB128 length and bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StrColumn {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

/// Distinct strings in order of first appearance, with look-up.
#[derive(Clone, Default)]
pub struct Dict {
    values: StrColumn,
    table: HashTable<u32>,
}

/// A column with few distinct values: a dictionary and an index per row.
#[derive(Clone, Default, Debug)]
pub struct DictColumn {
    dict: Dict,
    index: Vec<u32>,
}

impl StrColumn {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends one string.
    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        push_length(&mut self.bytes, value.len());
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Appends one string that stands in its Native form already: LEB128 length, then bytes.
    ///
    /// # Panics
    /// In tests, when the length is not that of the bytes.
    #[inline]
    pub fn push_encoded(&mut self, encoded: &[u8]) {
        self.bytes.extend_from_slice(encoded);
        self.ends.push(self.bytes.len() as u32);
        debug_assert_eq!(
            self.get(self.len() - 1).len() + length_prefix(&mut [0; 10], self.get(self.len() - 1).len()),
            encoded.len()
        );
    }

    /// Appends one string that `write` produces; what it writes is the string.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - start;
        let mut prefix = [0; 10];
        let width = length_prefix(&mut prefix, length);
        self.bytes.extend_from_slice(&prefix[..width]);
        // The length is known only afterwards: rotate it in front of the value.
        self.bytes[start..].rotate_right(width);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Appends empty strings until there are `rows` rows.
    pub fn fill_empty(&mut self, rows: usize) {
        let (mut end, missing) = (self.bytes.len() as u32, rows.saturating_sub(self.len()));
        self.bytes.resize(self.bytes.len() + missing, 0);
        self.ends.extend((0..missing).map(|_| {
            end += 1;
            end
        }));
    }

    /// Makes room for `rows` more strings of `bytes` bytes together.
    pub fn reserve(&mut self, rows: usize, bytes: usize) {
        self.ends.reserve(rows);
        self.bytes.reserve(bytes + rows);
    }

    /// The string at `row`, without its length prefix.
    pub fn get(&self, row: usize) -> &[u8] {
        let encoded = self.encoded(row..row + 1);
        let prefix = encoded.iter().position(|byte| byte & 0x80 == 0).map_or(0, |last| last + 1);
        &encoded[prefix..]
    }

    /// Rows `rows` in their Native form.
    pub fn encoded(&self, rows: std::ops::Range<usize>) -> &[u8] {
        &self.bytes[self.start(rows.start)..self.start(rows.end)]
    }

    /// Replaces the string at `row`; costs a shift of everything behind it.
    pub fn replace(&mut self, row: usize, value: &[u8]) {
        let mut fresh = StrColumn::default();
        for at in 0..self.len() {
            fresh.push(if at == row { value } else { self.get(at) });
        }
        *self = fresh;
    }

    /// Forgets every row from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.bytes.truncate(self.start(rows));
        self.ends.truncate(rows);
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4
    }

    fn start(&self, row: usize) -> usize {
        if row == 0 { 0 } else { self.ends[row - 1] as usize }
    }
}

impl Dict {
    /// Number of distinct values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The number of `value`, which is added when new.
    pub fn intern(&mut self, value: &[u8]) -> u32 {
        let hash = hash(value);
        let Dict { values, table } = self;
        if let Some(found) = table.find(hash, |&at| values.get(at as usize) == value) {
            return *found;
        }
        let at = values.len() as u32;
        values.push(value);
        table.insert_unique(hash, at, |&other| self::hash(values.get(other as usize)));
        at
    }

    /// The value with number `at`.
    pub fn get(&self, at: u32) -> &[u8] {
        self.values.get(at as usize)
    }

    /// All values in their Native form.
    pub fn encoded(&self) -> &[u8] {
        self.values.encoded(0..self.values.len())
    }

    /// All values in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.values.len()).map(|at| self.values.get(at))
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        self.values.heap_bytes() + self.table.allocation_size()
    }
}

impl std::fmt::Debug for Dict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

impl DictColumn {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Appends one row. The previous row's value is tried first: neighbours are often equal.
    pub fn push(&mut self, value: &[u8]) {
        let at = match self.index.last() {
            Some(&last) if self.dict.get(last) == value => last,
            _ => self.dict.intern(value),
        };
        self.index.push(at);
    }

    /// Appends one row, trying the value number in `hint` first and leaving the one used in it.
    /// Attribute keys come in the same order row after row, so a hint per position saves the hash.
    pub fn push_hinted(&mut self, value: &[u8], hint: &mut u32) {
        if (*hint as usize) >= self.dict.len() || self.dict.get(*hint) != value {
            *hint = self.dict.intern(value);
        }
        self.index.push(*hint);
    }

    /// Appends one row by its value's number.
    ///
    /// # Panics
    /// When the dictionary has no such number.
    #[inline]
    pub fn push_index(&mut self, at: u32) {
        assert!((at as usize) < self.dict.len(), "a row must point into its dictionary");
        self.index.push(at);
    }

    /// The number of `value`, which is added when new; no row is appended.
    pub fn intern(&mut self, value: &[u8]) -> u32 {
        self.dict.intern(value)
    }

    /// Makes room for `rows` more rows.
    pub fn reserve(&mut self, rows: usize) {
        self.index.reserve(rows);
    }

    /// The value at `row`.
    pub fn get(&self, row: usize) -> &[u8] {
        self.dict.get(self.index[row])
    }

    /// Sets the value at `row`.
    pub fn set(&mut self, row: usize, value: &[u8]) {
        self.index[row] = self.dict.intern(value);
    }

    /// The dictionary.
    pub fn dict(&self) -> &Dict {
        &self.dict
    }

    /// The value number of each row.
    pub fn index(&self) -> &[u32] {
        &self.index
    }

    /// Forgets every row from `rows` on; dictionary entries stay.
    pub fn truncate(&mut self, rows: usize) {
        self.index.truncate(rows);
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        self.dict.heap_bytes() + self.index.capacity() * 4
    }
}

/// Bytes that a vector of plain values holds.
pub(crate) fn held<T: Copy>(values: &Vec<T>) -> usize {
    values.capacity() * size_of::<T>()
}

/// Appends `length` as LEB128.
pub fn push_length(out: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        out.push(length as u8);
        return;
    }
    let mut prefix = [0; 10];
    let width = length_prefix(&mut prefix, length);
    out.extend_from_slice(&prefix[..width]);
}

fn length_prefix(out: &mut [u8; 10], mut length: usize) -> usize {
    let mut width = 0;
    while length >= 0x80 {
        out[width] = length as u8 | 0x80;
        length >>= 7;
        width += 1;
    }
    out[width] = length as u8;
    width + 1
}

// Senders choose the keys: a seed of this process's own keeps them from choosing collisions. The order of
// a dictionary is that of first appearance, so the seed never shows.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);

fn hash(value: &[u8]) -> u64 {
    SEED.hash_one(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Scenario: strings of all lengths around the prefix widths, pushed both ways, some rows forgotten.
        // Guarantee: what went in comes out, in order.
        #[test]
        fn strings_come_back(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40), cut in 0usize..40) {
            let mut column = StrColumn::default();
            let mut dict = DictColumn::default();
            for (at, value) in values.iter().enumerate() {
                if at % 2 == 0 { column.push(value) } else { column.push_with(|out| out.extend_from_slice(value)) }
                dict.push(value);
            }
            let keep = cut.min(values.len());
            column.truncate(keep);
            dict.truncate(keep);
            prop_assert_eq!(column.len(), keep);
            for (at, value) in values.iter().take(keep).enumerate() {
                prop_assert_eq!(column.get(at), &value[..]);
                prop_assert_eq!(dict.get(at), &value[..]);
            }
        }
    }
}
