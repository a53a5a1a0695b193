//! The frame around every record: how records are told from noise, and noise from the end.
//!
//! ```text
//! head, 24 bytes:   magic 4 | kind 1 | version 1 | flags 2 | length 4 | head CRC32C 4 | LSN 8
//! payload:          `length` bytes, then zeros up to a multiple of 8
//! tail, 8 bytes:    CRC32C 4 | length 4
//! ```
//! All numbers are little-endian; records begin at multiples of 8. The head has its own checksum,
//! so that a damaged payload costs exactly one record: its length can still be trusted. The tail's
//! checksum covers payload, padding and head; the length in the tail lets the last record of a
//! closed segment be found from the end of the file.
//!
//! Both checksums end with the *salt* of the segment, which is stored nowhere in it but derived
//! from the journal's secret key. A sender can put bytes that look like a record into a body; when
//! damage makes the reader search for the next record, it must not take those for one.
//!
//! Knows neither files nor what the payloads mean. Design section 2.

use bytes::{Buf, BufMut};

/// Number of a frame: consecutive, starting at 1.
pub type Lsn = u64;

pub(crate) const HEAD_BYTES: usize = 24;
pub(crate) const TAIL_BYTES: usize = 8;
pub(crate) const ALIGN: u64 = 8;
const MAGIC: [u8; 4] = *b"HyRc";
const VERSION: u8 = 1;
/// No payload is longer: a frame's body, its header, and room.
pub(crate) const PAYLOAD_BYTES_MAX: u64 = 96 << 20;

/// What a record is. A reader that meets a number below 128 which it does not know reports it;
/// kinds from 128 on may be skipped silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// What a sender sent, with its header.
    Frame = 1,
    /// A batch is about to be inserted.
    Seal = 2,
    /// A batch is in its table.
    Confirm = 3,
    /// Low water and totals.
    Mark = 4,
    /// Part of an earlier segment was refused and does not count.
    Abandon = 5,
    /// The journal was closed in order.
    CleanStop = 6,
    /// Rows were deleted. Reserved: nothing writes it yet.
    Tombstone = 7,
    /// Body hashes of the frames of a closed segment.
    Notes = 8,
    /// Everything that a start needs to know of a closed segment. Its last record.
    Summary = 9,
}

impl Kind {
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Frame,
            2 => Self::Seal,
            3 => Self::Confirm,
            4 => Self::Mark,
            5 => Self::Abandon,
            6 => Self::CleanStop,
            7 => Self::Tombstone,
            8 => Self::Notes,
            9 => Self::Summary,
            _ => return None,
        })
    }
}

/// The salt of segment `number` in a journal with `key`.
pub(crate) fn salt(key: u64, number: u64) -> [u8; 8] {
    let mixed = (key ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed ^ (mixed >> 32)).to_le_bytes()
}

/// A record's head, as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u8,
    pub(crate) version: u8,
    pub(crate) length: u32,
    /// A frame's own number; for other kinds the number that the next frame gets.
    pub(crate) lsn: Lsn,
}

impl Head {
    pub(crate) fn new(kind: Kind, length: u32, lsn: Lsn) -> Self {
        Self { kind: kind as u8, version: VERSION, length, lsn }
    }

    pub(crate) fn encode(&self, salt: [u8; 8]) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let mut rest = &mut bytes[..];
        rest.put_slice(&MAGIC);
        rest.put_u8(self.kind);
        rest.put_u8(self.version);
        rest.put_u16_le(0);
        rest.put_u32_le(self.length);
        rest.put_u32_le(0);
        rest.put_u64_le(self.lsn);
        let crc = head_crc(&bytes, salt);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` unless every bit is right.
    pub(crate) fn decode(bytes: &[u8], salt: [u8; 8]) -> Option<Self> {
        let mut bytes: [u8; HEAD_BYTES] = bytes.get(..HEAD_BYTES)?.try_into().ok()?;
        if bytes[..4] != MAGIC {
            return None;
        }
        let mut rest = &bytes[4..];
        let (kind, version) = (rest.get_u8(), rest.get_u8());
        rest.advance(2);
        let (length, crc, lsn) = (rest.get_u32_le(), rest.get_u32_le(), rest.get_u64_le());
        bytes[12..16].fill(0);
        let right = crc == head_crc(&bytes, salt) && u64::from(length) <= PAYLOAD_BYTES_MAX;
        right.then_some(Self { kind, version, length, lsn })
    }

    /// True when the first bytes could begin a head: a cheap test before the checksum.
    pub(crate) fn looks_like(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        total_bytes(u64::from(self.length))
    }

    /// `Some` when this program knows kind and version.
    pub(crate) fn known_kind(&self) -> Option<Kind> {
        Kind::from_number(self.kind).filter(|_| self.version == VERSION)
    }
}

/// Bytes of a whole record with a payload of `length` bytes.
pub(crate) fn total_bytes(length: u64) -> u64 {
    HEAD_BYTES as u64 + length.next_multiple_of(ALIGN) + TAIL_BYTES as u64
}

/// Zeros after a payload of `length` bytes.
pub(crate) fn padding(length: usize) -> &'static [u8] {
    &[0; 8][..length.next_multiple_of(ALIGN as usize) - length]
}

/// The tail for a payload whose checksum, padding included, is `padded_crc`.
pub(crate) fn tail(padded_crc: u32, head: &[u8; HEAD_BYTES], salt: [u8; 8], length: u32) -> [u8; TAIL_BYTES] {
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(padded_crc, head), &salt);
    let mut bytes = [0; TAIL_BYTES];
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes[4..].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// Appends a whole record to `out`.
pub(crate) fn put(out: &mut Vec<u8>, kind: Kind, lsn: Lsn, payload: &[u8], salt: [u8; 8]) {
    // Payloads of this form are bounded far below 4 GiB by their writers.
    let length = payload.len() as u32;
    let head = Head::new(kind, length, lsn).encode(salt);
    let pad = padding(payload.len());
    let crc = crc32c::crc32c_append(crc32c::crc32c(payload), pad);
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(pad);
    out.extend_from_slice(&tail(crc, &head, salt, length));
}

/// The payload of a whole record in `bytes`, if its checksum is right.
pub(crate) fn payload<'a>(bytes: &'a [u8], head: &Head, salt: [u8; 8]) -> Option<&'a [u8]> {
    let length = head.length as usize;
    let padded = length.next_multiple_of(ALIGN as usize);
    let raw_head: &[u8; HEAD_BYTES] = bytes.get(..HEAD_BYTES)?.try_into().ok()?;
    let body = bytes.get(HEAD_BYTES..HEAD_BYTES + padded)?;
    let found = bytes.get(HEAD_BYTES + padded..HEAD_BYTES + padded + 4)?;
    let wanted = tail(crc32c::crc32c(body), raw_head, salt, head.length);
    (found == &wanted[..4]).then(|| &body[..length])
}

fn head_crc(bytes: &[u8; HEAD_BYTES], salt: [u8; 8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(bytes), &salt)
}
