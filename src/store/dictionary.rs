//! A `LowCardinality(String)` column of a block: the block's own dictionary, and one index per row in
//! the least width that the dictionary needs (as ClickHouse writes it, so nothing is converted at
//! the end). Batches bring dictionaries of their own; their numbers are translated once per append.

use std::borrow::Cow;
use std::ops::Range;

use model::text::{Dict, DictColumn, StrColumn};

use crate::buffer::{put, runs};

/// Version of the LowCardinality layout, written once before a column's data.
const VERSION: u64 = 1;
/// Flags of the one dictionary that follows: it has its own keys and updates no shared dictionary.
const OWN_KEYS: u64 = 0x600;

#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    dict: Dict,
    /// Little-endian numbers of `1 << width` bytes.
    index: Vec<u8>,
    width: u8,
    /// Translation of the last batch's dictionary. The next batch of the same sender has most
    /// likely the same values in the same order, so it serves as a guess and saves the hash.
    translation: Vec<u32>,
}

impl Dictionary {
    pub(crate) fn clear(&mut self) {
        *self = Dictionary { index: std::mem::take(&mut self.index), ..Dictionary::default() };
        self.index.clear();
    }

    pub(crate) fn rows(&self) -> usize {
        self.index.len() >> self.width
    }

    pub(crate) fn bytes(&self) -> usize {
        self.index.len() + self.dict.encoded().len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.index.capacity() + self.dict.heap_bytes()
    }

    /// The value of `row`.
    pub(crate) fn get(&self, row: usize) -> &[u8] {
        let at = row << self.width;
        let mut number = [0; 4];
        number[..1 << self.width].copy_from_slice(&self.index[at..at + (1 << self.width)]);
        self.dict.get(u32::from_le_bytes(number))
    }

    /// Appends `count` rows of one value.
    pub(crate) fn same(&mut self, value: &[u8], count: usize) {
        let at = self.intern(value);
        self.repeat(at, count);
    }

    /// Appends rows of a batch's column.
    pub(crate) fn rows_of(&mut self, source: &DictColumn, rows: Range<usize>) {
        let index = &source.index()[rows];
        if source.dict().len() <= index.len() {
            self.translate(source.dict().len(), source.dict().iter());
            self.translated(index.iter().copied());
            return;
        }
        for (at, count) in runs(index) {
            self.same(source.dict().get(at), count);
        }
    }

    /// Appends rows of a batch's column through an index.
    pub(crate) fn rows_via(&mut self, via: &[u32], source: &DictColumn) {
        let index = source.index();
        if source.dict().len() <= via.len() {
            self.translate(source.dict().len(), source.dict().iter());
            for (at, count) in runs(via) {
                self.repeat(self.translation[index[at as usize] as usize], count);
            }
            return;
        }
        for (at, count) in runs(via) {
            self.same(source.get(at as usize), count);
        }
    }

    /// Appends rows that are numbers of fixed names.
    pub(crate) fn names(&mut self, rows: &[u8], names: &[&str]) {
        if names.len() <= rows.len() {
            self.translate(names.len(), names.iter().map(|name| name.as_bytes()));
            return self.translated(rows.iter().map(|at| u32::from(*at)));
        }
        for (at, count) in runs(rows) {
            self.same(names[usize::from(at)].as_bytes(), count);
        }
    }

    /// Appends, for each run of rows that point at the same row of a map column, the keys of that row.
    pub(crate) fn keys_via(&mut self, runs: &[(Range<usize>, usize)], source: &DictColumn, rows: usize) {
        let dense = source.dict().len() <= rows;
        if dense {
            self.translate(source.dict().len(), source.dict().iter());
        }
        for (pairs, count) in runs {
            let keys = &source.index()[pairs.clone()];
            if keys.is_empty() {
                continue;
            }
            // Interning may widen the index, so it comes before the first number is written.
            if !dense {
                let fresh: Vec<u32> = keys.iter().map(|key| self.intern(source.dict().get(*key))).collect();
                self.translation.clear();
                self.translation.extend(fresh);
            }
            let start = self.index.len();
            match dense {
                true => self.translated(keys.iter().copied()),
                false => self.translated(0..keys.len() as u32),
            }
            crate::buffer::repeat_tail(&mut self.index, start, *count);
        }
    }

    /// Appends `count` times the texts of a batch's column that differ from row to row.
    pub(crate) fn texts(&mut self, source: &StrColumn, rows: Range<usize>, count: usize) {
        if rows.is_empty() {
            return;
        }
        let distinct = rows.len();
        self.translate(distinct, rows.map(|row| source.get(row)));
        let start = self.index.len();
        self.translated(0..distinct as u32);
        crate::buffer::repeat_tail(&mut self.index, start, count);
    }

    /// What is written once before the column's data, even when there is none.
    pub(crate) fn prefix() -> [u8; 8] {
        VERSION.to_le_bytes()
    }

    /// The column's data; nothing when there are no rows.
    pub(crate) fn emit<'a>(&'a self, out: &mut dyn FnMut(Cow<'a, [u8]>)) {
        if self.index.is_empty() {
            return;
        }
        let mut head = [0; 16];
        head[..8].copy_from_slice(&(u64::from(self.width) | OWN_KEYS).to_le_bytes());
        head[8..].copy_from_slice(&(self.dict.len() as u64).to_le_bytes());
        out(Cow::Owned(head.to_vec()));
        out(Cow::Borrowed(self.dict.encoded()));
        out(Cow::Owned((self.rows() as u64).to_le_bytes().to_vec()));
        out(Cow::Borrowed(&self.index));
    }

    fn intern(&mut self, value: &[u8]) -> u32 {
        let at = self.dict.intern(value);
        let width = match at {
            0..0x100 => 0,
            0x100..0x1_0000 => 1,
            _ => 2,
        };
        if width > self.width {
            self.widen(width);
        }
        at
    }

    fn translate<'s>(&mut self, count: usize, source: impl Iterator<Item = &'s [u8]>) {
        let mut guesses = std::mem::take(&mut self.translation);
        guesses.resize(count, u32::MAX);
        for (guess, value) in guesses.iter_mut().zip(source) {
            if (*guess as usize) >= self.dict.len() || self.dict.get(*guess) != value {
                *guess = self.intern(value);
            }
        }
        self.translation = guesses;
    }

    fn translated(&mut self, numbers: impl ExactSizeIterator<Item = u32>) {
        let Dictionary { index, width, translation, .. } = self;
        let numbers = numbers.map(|at| translation[at as usize]);
        match *width {
            0 => put(index, numbers.map(|at| [at as u8])),
            1 => put(index, numbers.map(|at| (at as u16).to_le_bytes())),
            _ => put(index, numbers.map(u32::to_le_bytes)),
        }
    }

    fn repeat(&mut self, at: u32, count: usize) {
        match self.width {
            0 => self.index.resize(self.index.len() + count, at as u8),
            1 => put(&mut self.index, std::iter::repeat_n((at as u16).to_le_bytes(), count)),
            _ => put(&mut self.index, std::iter::repeat_n(at.to_le_bytes(), count)),
        }
    }

    fn widen(&mut self, width: u8) {
        let narrow = std::mem::take(&mut self.index);
        let (from, to) = (1usize << self.width, 1usize << width);
        self.index.reserve(narrow.len() / from * to * 2);
        for number in narrow.chunks_exact(from) {
            self.index.extend_from_slice(number);
            self.index.resize(self.index.len() + to - from, 0);
        }
        self.width = width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: dictionaries just below and above the sizes where the index grows, filled row by row
    // and by whole columns in several appends.
    // Guarantee: every row keeps its value; the index has the least width that ClickHouse knows for it.
    #[test]
    fn indexes_grow() {
        for (distinct, width) in [(1, 0), (256, 0), (257, 1), (65_536, 1), (65_537, 2)] {
            let mut column = DictColumn::default();
            (0..distinct).for_each(|at: u32| column.push(at.to_string().as_bytes()));
            let mut dictionary = Dictionary::default();
            dictionary.same(b"0", 3);
            dictionary.rows_of(&column, 0..distinct as usize);
            dictionary.rows_of(&column, distinct as usize / 2..distinct as usize);
            assert_eq!(dictionary.width, width, "{distinct}");
            assert_eq!(dictionary.get(2), b"0");
            for row in (0..distinct).step_by(97) {
                assert_eq!(dictionary.get(3 + row as usize), row.to_string().as_bytes());
            }
            let last = dictionary.get(dictionary.rows() - 1);
            assert_eq!(last, (distinct - 1).to_string().as_bytes());
        }
    }
}
