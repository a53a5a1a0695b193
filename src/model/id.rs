//! Trace, span and batch ids. A 64-bit trace id (Zipkin, B3) is held in the low half with a zero
//! high half, so that both widths meet in one column; [`crate::mark::ID64`] remembers what was sent.

use std::fmt;

/// 128-bit trace id, big-endian bytes as on the wire. All zero means "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TraceId(pub [u8; 16]);

/// 64-bit span id, big-endian bytes as on the wire. All zero means "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SpanId(pub [u8; 8]);

/// Identity of one insert: the writer's random id (high half) and a sequence number (low half).
/// It is stored in every row, so that presence in the table can be asked for after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BatchId(pub u128);

impl TraceId {
    /// No trace: the all-zero id.
    pub const NONE: TraceId = TraceId([0; 16]);

    /// From raw bytes; `None` unless there are exactly 16 and they are not all zero.
    pub fn from_slice(bytes: &[u8]) -> Option<TraceId> {
        let id = TraceId(bytes.try_into().ok()?);
        (!id.is_none()).then_some(id)
    }

    /// From 1 to 32 hex digits of either case, padded on the left; `None` for anything else or zero.
    pub fn from_hex(text: &[u8]) -> Option<TraceId> {
        let mut bytes = [0; 16];
        parse_hex(text, &mut bytes)?;
        (bytes != [0; 16]).then_some(TraceId(bytes))
    }

    /// From a 64-bit number; the high half is zero.
    pub fn from_low(low: u64) -> TraceId {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        TraceId(bytes)
    }

    /// Whether this is the all-zero id.
    pub fn is_none(&self) -> bool {
        self.0 == [0; 16]
    }

    /// Whether the high 64 bits are zero.
    pub fn is_64_bit(&self) -> bool {
        self.0[..8] == [0; 8]
    }

    /// The low 64 bits.
    pub fn low(&self) -> u64 {
        let mut low = [0; 8];
        low.copy_from_slice(&self.0[8..]);
        u64::from_be_bytes(low)
    }
}

impl SpanId {
    /// No span: the all-zero id.
    pub const NONE: SpanId = SpanId([0; 8]);

    /// From raw bytes; `None` unless there are exactly 8 and they are not all zero.
    pub fn from_slice(bytes: &[u8]) -> Option<SpanId> {
        let id = SpanId(bytes.try_into().ok()?);
        (!id.is_none()).then_some(id)
    }

    /// From 1 to 16 hex digits of either case, padded on the left; `None` for anything else or zero.
    pub fn from_hex(text: &[u8]) -> Option<SpanId> {
        let mut bytes = [0; 8];
        parse_hex(text, &mut bytes)?;
        (bytes != [0; 8]).then_some(SpanId(bytes))
    }

    /// Whether this is the all-zero id.
    pub fn is_none(&self) -> bool {
        self.0 == [0; 8]
    }
}

impl BatchId {
    /// The id of `writer`'s `sequence`-th insert.
    pub fn new(writer: u64, sequence: u64) -> BatchId {
        BatchId(u128::from(writer) << 64 | u128::from(sequence))
    }
}

/// The 16 lower-case hex digits.
pub const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `bytes` as lower-case hex.
pub fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Right-aligned parse of hex digits into `out`; `None` when empty, too long or not hex.
fn parse_hex(text: &[u8], out: &mut [u8]) -> Option<()> {
    if text.is_empty() || text.len() > out.len() * 2 {
        return None;
    }
    let width = out.len();
    for (position, digit) in text.iter().rev().enumerate() {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        out[width - 1 - position / 2] |= nibble << (4 * (position % 2));
    }
    Some(())
}

macro_rules! hex_text {
    ($type:ty) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}
hex_text!(TraceId);
hex_text!(SpanId);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: ids written in the widths and cases that senders use.
    // Guarantee: hex of either case and any width up to the id's is read; zero, overlong and foreign text is refused.
    #[test]
    fn hex_ids() {
        let cases = [
            ("0af7651916cd43dd8448eb211c80319c", Some("0af7651916cd43dd8448eb211c80319c")),
            ("0AF7651916CD43DD8448EB211C80319C", Some("0af7651916cd43dd8448eb211c80319c")),
            ("8448eb211c80319c", Some("00000000000000008448eb211c80319c")),
            ("abc", Some("00000000000000000000000000000abc")),
            ("", None),
            ("00000000000000000000000000000000", None),
            ("0af7651916cd43dd8448eb211c80319c0", None),
            ("0x448eb211c80319", None),
        ];
        for (text, expected) in cases {
            let read = TraceId::from_hex(text.as_bytes()).map(|id| id.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert!(TraceId::from_low(7).is_64_bit());
        assert_eq!(TraceId::from_low(7).low(), 7);
    }
}
