//! The protobuf wire format: a cursor over borrowed bytes that knows keys, varints, lengths and
//! groups, and nothing of messages. Rules: protobuf.dev/programming-guides/encoding.
//!
//! A fault carries the address of the byte it stands at, so that the happy path pays nothing for
//! error paths: whoever knows the message types finds the field by walking there again.

/// What is wrong with the bytes, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Address of the byte in the body.
    pub(crate) address: usize,
    /// What was met there.
    pub(crate) what: What,
}

/// The ways in which bytes are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The message ends inside a field.
    Short,
    /// A varint of more than 64 bits.
    Varint,
    /// Field number 0, a number above 2^29, or an unknown wire type.
    Key,
    /// A known field with another wire type than its own.
    WireType,
    /// A group that does not end, or an end without a group, or groups nested too deep.
    Group,
    /// Text that is not UTF-8.
    Utf8,
    /// Arrays and maps nested deeper than the limit.
    Depth,
    /// Rows that would take far more memory than the bytes they came in.
    Expands,
    /// Rows that take more memory than was granted.
    Memory,
}

impl What {
    /// The words for the sender.
    pub(crate) fn words(self) -> &'static str {
        match self {
            What::Short => "the message ends inside a field",
            What::Varint => "invalid varint",
            What::Key => "invalid field key",
            What::WireType => "wrong wire type for this field",
            What::Group => "unbalanced or too deeply nested group",
            What::Utf8 => "invalid UTF-8",
            What::Depth => "values are nested too deeply",
            What::Expands => "too many (nearly) empty items for one request",
            What::Memory => "not enough memory",
        }
    }
}

/// Wire type of numbers in varint form.
pub(crate) const VARINT: u32 = 0;
/// Wire type of eight bytes.
pub(crate) const FIXED64: u32 = 1;
/// Wire type of a length and as many bytes.
pub(crate) const BYTES: u32 = 2;
/// Wire type that opens a group.
pub(crate) const GROUP: u32 = 3;
/// Wire type that closes a group.
pub(crate) const END_GROUP: u32 = 4;
/// Wire type of four bytes.
pub(crate) const FIXED32: u32 = 5;

/// Groups are only ever skipped; no known message has any.
const GROUPS_MAX: usize = 100;

/// The key of `field` with wire type `wire`, as [`Cursor::key`] gives it.
pub(crate) const fn key(field: u32, wire: u32) -> u32 {
    field << 3 | wire
}

/// A set of field numbers below 64, for [`Cursor::skip_unknown`].
pub(crate) const fn fields(numbers: &[u32]) -> u64 {
    let (mut set, mut at) = (0, 0);
    while at < numbers.len() {
        set |= 1 << numbers[at];
        at += 1;
    }
    set
}

/// Reads one message from front to back.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Over a whole message.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: bytes }
    }

    /// Whether the message has ended.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// A fault at the present place.
    #[cold]
    pub(crate) fn fault(&self, what: What) -> Fault {
        Fault { address: self.rest.as_ptr() as usize, what }
    }

    /// The next key: field number and wire type, not yet judged.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<u32, Fault> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u32::from(*byte))
            }
            _ => {
                let at = *self;
                u32::try_from(self.varint()?).map_err(|_| at.fault(What::Key))
            }
        }
    }

    /// A varint of up to ten bytes.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Fault> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                if at == 9 && *byte > 1 {
                    return Err(self.fault(What::Varint));
                }
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(self.fault(if self.rest.len() < 10 { What::Short } else { What::Varint }))
    }

    /// A length and as many bytes.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        if let [length @ 0..0x80, rest @ ..] = self.rest
            && let Some((bytes, rest)) = rest.split_at_checked(usize::from(*length))
        {
            self.rest = rest;
            return Ok(bytes);
        }
        self.long_bytes()
    }

    fn long_bytes(&mut self) -> Result<&'a [u8], Fault> {
        let at = *self;
        let length = self.varint()?;
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let Some((bytes, rest)) = split else { return Err(at.fault(What::Short)) };
        self.rest = rest;
        Ok(bytes)
    }

    /// Bytes that must be UTF-8.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a [u8], Fault> {
        let bytes = self.bytes()?;
        if is_utf8(bytes) { Ok(bytes) } else { Err(Cursor::new(bytes).fault(What::Utf8)) }
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Fault> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else { return Err(self.fault(What::Short)) };
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Four bytes, little-endian.
    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, Fault> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else { return Err(self.fault(What::Short)) };
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// Passes over the field of `key`, which the caller does not know. `known` are the field numbers
    /// that the message has: meeting one of them here means that its wire type is wrong.
    #[cold]
    pub(crate) fn skip_unknown(&mut self, key: u32, known: u64) -> Result<(), Fault> {
        let field = key >> 3;
        if field < 64 && known >> field & 1 == 1 {
            return Err(self.fault(What::WireType));
        }
        self.skip(key)
    }

    /// Passes over one field, groups included.
    pub(crate) fn skip(&mut self, key: u32) -> Result<(), Fault> {
        let mut open = Vec::new();
        let mut key = key;
        loop {
            if key >> 3 == 0 {
                return Err(self.fault(What::Key));
            }
            match key & 7 {
                VARINT => drop(self.varint()?),
                FIXED64 => drop(self.fixed64()?),
                BYTES => drop(self.bytes()?),
                FIXED32 => drop(self.fixed32()?),
                GROUP if open.len() < GROUPS_MAX => open.push(key >> 3),
                GROUP => return Err(self.fault(What::Group)),
                END_GROUP if open.pop() == Some(key >> 3) => {}
                END_GROUP => return Err(self.fault(What::Group)),
                _ => return Err(self.fault(What::Key)),
            }
            if open.is_empty() {
                return Ok(());
            }
            key = self.key()?;
        }
    }
}

/// Whether `bytes` are UTF-8; plain ASCII is told quickly.
#[inline]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    is_ascii(bytes) || std::str::from_utf8(bytes).is_ok()
}

/// Whether `bytes` are ASCII. Most texts are short: eight bytes at a time, the last ones overlapping.
#[inline]
pub(crate) fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Some(last) = bytes.last_chunk::<8>() else {
        if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            return (u32::from_le_bytes(*first) | u32::from_le_bytes(*last)) & HIGH as u32 == 0;
        }
        return bytes.iter().fold(0, |all, byte| all | byte) < 0x80;
    };
    if bytes.len() > 64 {
        return bytes.is_ascii();
    }
    let words = bytes.chunks_exact(8).map(|word| word.try_into().map_or(HIGH, u64::from_le_bytes));
    words.fold(u64::from_le_bytes(*last), |all, word| all | word) & HIGH == 0
}

/// At most `limit` bytes of UTF-8 `text`, cut between characters.
#[inline]
pub(crate) fn cut(text: &[u8], limit: u32) -> &[u8] {
    if text.len() <= limit as usize {
        return text;
    }
    let mut end = limit as usize;
    // Continuation bytes are 10xxxxxx; a cut must stand before a first byte.
    while end > 0 && text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

/// Appends a varint.
pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field of bytes.
pub(crate) fn push_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    push_varint(out, u64::from(key(field, BYTES)));
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a varint field, unless it is zero (proto3's default is not written).
pub(crate) fn push_number(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        push_varint(out, u64::from(key(field, VARINT)));
        push_varint(out, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: varints of every width, padded, overlong and cut.
    // Guarantee: up to ten bytes and 64 bits are read, everything else is a fault.
    #[test]
    fn varints() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), i64::MAX as u64, u64::MAX] {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, value);
            let mut cursor = Cursor::new(&bytes);
            assert_eq!(cursor.varint(), Ok(value));
            assert!(cursor.is_empty());
            for cut in 0..bytes.len() {
                assert_eq!(Cursor::new(&bytes[..cut]).varint().map_err(|fault| fault.what), Err(What::Short));
            }
        }
        assert_eq!(Cursor::new(&[0x81, 0x80, 0x80, 0x00]).varint(), Ok(1), "padded");
        let overlong = [0xff; 11];
        assert_eq!(Cursor::new(&overlong).varint().map_err(|fault| fault.what), Err(What::Varint));
        let mut above_64_bits = [0xff; 10];
        above_64_bits[9] = 0x02;
        assert_eq!(Cursor::new(&above_64_bits).varint().map_err(|fault| fault.what), Err(What::Varint));
    }

    // Scenario: unknown fields of every wire type, groups in groups, unbalanced groups, known fields with a wrong type.
    // Guarantee: unknown fields are passed over whole; what cannot be balanced is a fault.
    #[test]
    fn unknown_fields() {
        let check = |bytes: &[u8], expected: Result<usize, What>| {
            let mut cursor = Cursor::new(bytes);
            let got = cursor.key().and_then(|key| cursor.skip_unknown(key, fields(&[1, 2])));
            assert_eq!(got.map(|()| cursor.rest().len()).map_err(|fault| fault.what), expected, "{bytes:?}");
        };
        check(&[0x18, 0x96, 0x01, 7], Ok(1));
        check(&[0x19, 1, 2, 3, 4, 5, 6, 7, 8], Ok(0));
        check(&[0x1d, 1, 2, 3, 4], Ok(0));
        check(&[0x1a, 2, 9, 9, 1], Ok(1));
        check(&[0x1b, 0x23, 0x18, 5, 0x24, 0x1c, 1], Ok(1));
        check(&[0x1b, 0x24], Err(What::Group));
        check(&[0x1c], Err(What::Group));
        check(&[0x1b, 0x18], Err(What::Short));
        check(&[0x1f, 0], Err(What::Key));
        check(&[0x00, 0], Err(What::Key));
        check(&[0x0a, 0], Err(What::WireType));
        check(&[0xff, 0xff, 0xff, 0xff, 0x1f], Err(What::Key));
        let deep: Vec<u8> = std::iter::repeat_n(0x1b, 200).chain(std::iter::repeat_n(0x1c, 200)).collect();
        check(&deep, Err(What::Group));
    }

    // Scenario: text with characters of one to four bytes, cut at every length.
    // Guarantee: the longest prefix of whole characters within the limit remains.
    #[test]
    fn cuts() {
        let text = "aé€😀z";
        for limit in 0..=text.len() as u32 + 1 {
            let kept = std::str::from_utf8(cut(text.as_bytes(), limit)).unwrap();
            assert!(text.starts_with(kept) && kept.len() <= limit as usize);
            let next = text[kept.len()..].chars().next();
            assert!(next.is_none_or(|next| kept.len() + next.len_utf8() > limit as usize));
        }
    }
}
