//! Appending to byte buffers in bulk. Every loop here is written so that the compiler can see the
//! whole run at once: this is where a stored row's CPU goes.

use model::text::push_length;

/// Appends fixed-width values.
pub(crate) fn put<const WIDTH: usize>(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = [u8; WIDTH]>) {
    let start = out.len();
    out.resize(start + values.len() * WIDTH, 0);
    let (slots, _) = out[start..].as_chunks_mut::<WIDTH>();
    for (slot, value) in slots.iter_mut().zip(values) {
        *slot = value;
    }
}

/// Appends `piece` `count` times.
pub(crate) fn repeat(out: &mut Vec<u8>, piece: &[u8], count: usize) {
    let start = out.len();
    out.extend_from_slice(piece);
    repeat_tail(out, start, count);
}

/// Makes what stands from `start` on stand there `count` times.
pub(crate) fn repeat_tail(out: &mut Vec<u8>, start: usize, count: usize) {
    let once = out.len() - start;
    if count == 0 {
        return out.truncate(start);
    }
    let whole = once * count;
    out.reserve(whole - once);
    while out.len() - start < whole {
        let have = out.len() - start;
        out.extend_from_within(start..start + have.min(whole - have));
    }
}

/// Appends a text: length and bytes.
pub(crate) fn text(out: &mut Vec<u8>, value: &[u8]) {
    push_length(out, value.len());
    out.extend_from_slice(value);
}

/// Appends ids as texts of lower-case hex; all zero is the empty text.
pub(crate) fn hex_texts<const BYTES: usize>(out: &mut Vec<u8>, ids: &[[u8; BYTES]]) {
    out.reserve(ids.len() * (1 + 2 * BYTES));
    for id in ids {
        if *id == [0; BYTES] {
            out.push(0);
            continue;
        }
        let start = out.len();
        out.resize(start + 1 + 2 * BYTES, (2 * BYTES) as u8);
        let (digits, _) = out[start + 1..].as_chunks_mut::<2>();
        for (pair, byte) in digits.iter_mut().zip(id) {
            *pair = [hex_digit(byte >> 4), hex_digit(byte & 15)];
        }
    }
}

/// Neighbours that are equal, as (value, how many).
pub(crate) fn runs<T: Copy + PartialEq>(mut rest: &[T]) -> impl Iterator<Item = (T, usize)> {
    std::iter::from_fn(move || {
        let first = *rest.first()?;
        let count = rest.iter().position(|value| *value != first).unwrap_or(rest.len());
        rest = &rest[count..];
        Some((first, count))
    })
}

// Without a branch or a table, so that sixteen of them become a few vector instructions.
fn hex_digit(nibble: u8) -> u8 {
    nibble + b'0' + u8::from(nibble > 9) * (b'a' - b'0' - 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: ids, repeats and runs of every small size.
    // Guarantee: the bytes are those that one value at a time would give.
    #[test]
    fn bulk_is_the_same_as_one_by_one() {
        for count in 0..20 {
            let mut out = b"x".to_vec();
            repeat(&mut out, b"abc", count);
            assert_eq!(out, [b"x".as_slice(), "abc".repeat(count).as_bytes()].concat());
        }
        let mut out = Vec::new();
        hex_texts(&mut out, &[[0x00, 0x9a, 0xf1], [0; 3]]);
        assert_eq!(out, b"\x06009af1\x00");
        assert_eq!(runs(&[1, 1, 2, 1]).collect::<Vec<_>>(), [(1, 2), (2, 1), (1, 1)]);
        assert_eq!(runs::<u8>(&[]).count(), 0);
    }
}
