//! Dictionary numbers of texts that come again and again, without hashing them whole: telemetry
//! repeats its keys, names and types, so a small table of the latest ones answers nearly always.

use model::DictColumn;

const UNUSED: u32 = u32::MAX;
/// Up to this length the first and last eight bytes are the whole text.
const WORDS_BYTES: usize = 16;

/// Remembers up to `N` texts (a power of two) of one dictionary column.
pub(super) struct Memo<'a, const N: usize> {
    slots: Box<[Slot<'a>; N]>,
    // Number of the empty text, which most rows of optional columns have.
    empty: u32,
}

#[derive(Clone, Copy)]
struct Slot<'a> {
    first: u64,
    last: u64,
    length: u32,
    number: u32,
    // Only where the words do not tell everything.
    text: &'a [u8],
}

impl<'a, const N: usize> Memo<'a, N> {
    pub(super) fn new() -> Memo<'a, N> {
        const { assert!(N.is_power_of_two() && N > 1) };
        let unused = Slot { first: 0, last: 0, length: 0, number: UNUSED, text: b"" };
        Memo { slots: Box::new([unused; N]), empty: UNUSED }
    }

    /// The number of `text`, which `intern` gives when it is not remembered.
    #[inline]
    pub(super) fn number<E>(&mut self, text: &'a [u8], intern: impl FnOnce() -> Result<u32, E>) -> Result<u32, E> {
        let (first, last) = words(text);
        let slot = &mut self.slots[place::<N>(first, last, text.len())];
        let alike = slot.first == first && slot.last == last && slot.length as usize == text.len();
        if alike && slot.number != UNUSED && (text.len() <= WORDS_BYTES || slot.text == text) {
            return Ok(slot.number);
        }
        let number = intern()?;
        *slot = Slot { first, last, length: text.len() as u32, number, text };
        Ok(number)
    }

    /// Appends a row with `text`.
    #[inline]
    pub(super) fn push(&mut self, column: &mut DictColumn, text: &'a [u8]) {
        let number = self.number(text, || Ok::<u32, std::convert::Infallible>(column.intern(text)));
        let Ok(number) = number;
        column.push_index(number);
    }

    /// Appends a row without text.
    #[inline]
    pub(super) fn push_empty(&mut self, column: &mut DictColumn) {
        if self.empty == UNUSED {
            self.empty = column.intern(b"");
        }
        column.push_index(self.empty);
    }

    /// Appends a row with `text`, which need not outlive the call; long texts are not remembered.
    #[inline]
    pub(super) fn push_passing(&mut self, column: &mut DictColumn, text: &[u8]) {
        if text.is_empty() {
            return self.push_empty(column);
        }
        if text.len() > WORDS_BYTES {
            return column.push(text);
        }
        let (first, last) = words(text);
        let slot = &mut self.slots[place::<N>(first, last, text.len())];
        if slot.first != first || slot.last != last || slot.length as usize != text.len() || slot.number == UNUSED {
            *slot = Slot { first, last, length: text.len() as u32, number: column.intern(text), text: b"" };
        }
        column.push_index(slot.number);
    }
}

// The first and last bytes as numbers. Texts of one length up to WORDS_BYTES with equal words are
// equal: below eight bytes the two halves overlap in the same way.
#[inline]
fn words(text: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into());
    }
    match text {
        [] => (0, 0),
        [a] => (u64::from(*a), 0),
        [a, b] => (u64::from(*a), u64::from(*b)),
        [a, b, c, ..] => (u64::from(*a), u64::from(*b) << 8 | u64::from(*c)),
    }
}

#[inline]
fn place<const N: usize>(first: u64, last: u64, length: usize) -> usize {
    let mixed = (first ^ last.rotate_left(29) ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - N.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Scenario: many texts, alike at their ends, more than there are places.
        // Guarantee: each row has its own text.
        #[test]
        fn texts_stay_apart(texts in prop::collection::vec("[ab]{0,3}|a{7,9}|[ab]{8}x?[ab]{8}|k.{0,20}", 0..60)) {
            let (mut memo, mut passing) = (Memo::<4>::new(), Memo::<4>::new());
            let (mut one, mut other) = (DictColumn::default(), DictColumn::default());
            for text in &texts {
                memo.push(&mut one, text.as_bytes());
                passing.push_passing(&mut other, text.as_bytes());
            }
            for (row, text) in texts.iter().enumerate() {
                prop_assert_eq!(one.get(row), text.as_bytes());
                prop_assert_eq!(other.get(row), text.as_bytes());
            }
        }
    }
}
