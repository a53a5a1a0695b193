//! What one frame says: the sender's bytes and everything that decoding them again needs.
//!
//! Decoding is a pure function of a frame (design section 2), so receive time, rule version and
//! stateful decisions stand in the header. This room copies them through and interprets none.

use std::fmt;

use bytes::{Buf, BufMut, Bytes};

use crate::error::AppendError;
use crate::record::{self, PAYLOAD_BYTES_MAX};

/// The longest body of a frame: 64 MiB.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// The longest opaque decisions of a frame: 16 MiB.
pub const DECISIONS_BYTES_MAX: usize = 16 << 20;

/// The longest opaque limits of a frame.
pub const LIMITS_BYTES_MAX: usize = 255;

/// What may stand behind the decisions: number, length, value. A reader that meets a number below 128
/// which it does not know cannot read the frame; from 128 on it skips.
mod extra {
    pub(super) const LIMITS: u8 = 1;
    pub(super) const SETTLES: u8 = 2;
}

/// How much a success answer promises for a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Durability {
    /// Nothing beyond this process: the frame is handed to the kernel and never waited for.
    Memory = 0,
    /// Survives `kill -9`, not a power cut: the frame is in the kernel's page cache, and flushed
    /// within about a second.
    Process = 1,
    /// Survives a power cut: the ticket waits for `fdatasync`.
    #[default]
    Fsync = 2,
}

/// The header of a frame.
#[derive(Clone, PartialEq, Eq)]
pub struct FrameHeader {
    /// Protocol number, the caller's.
    pub protocol: u8,
    /// Encoding of the body, the caller's number.
    pub encoding: u8,
    /// Free bits of the caller.
    pub flags: u8,
    /// What the answer promises.
    pub durability: Durability,
    /// Version of the decode rules that were in force.
    pub rule: u16,
    /// Tenant; empty without tenancy. At most 65,535 bytes.
    pub tenant: Box<str>,
    /// Who sent it, for the ledger. At most 65,535 bytes.
    pub sender: Box<str>,
    /// Receive time in nanoseconds since 1970.
    pub received_ns: i64,
    /// Keyed hash of tenant, path and decompressed body; zero when the frame is never suppressed.
    pub body_hash: u128,
    /// Accepted spans, log records, metric points.
    pub items: [u32; 3],
    /// Stateful decisions that replay must repeat. Opaque here.
    pub decisions: Bytes,
    /// Decode limits that were in force, as far as they are not the rule's own. Opaque here, at most
    /// [`LIMITS_BYTES_MAX`].
    pub limits: Bytes,
    /// The batch that this frame stands in for: with the frame durable, the batch is settled, in one record.
    pub settles: Option<u128>,
}

/// A header and the body as received or recompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The header.
    pub header: FrameHeader,
    /// The sender's bytes, at most [`BODY_BYTES_MAX`].
    pub body: Bytes,
}

// Telemetry of users does not belong into our own logs: no body, no decisions.
impl fmt::Debug for FrameHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("FrameHeader");
        shown
            .field("protocol", &self.protocol)
            .field("encoding", &self.encoding)
            .field("flags", &self.flags)
            .field("durability", &self.durability)
            .field("rule", &self.rule)
            .field("tenant", &self.tenant)
            .field("sender", &self.sender)
            .field("received_ns", &self.received_ns)
            .field("body_hash", &format_args!("{:032x}", self.body_hash))
            .field("items", &self.items)
            .field("decisions_bytes", &self.decisions.len());
        if !self.limits.is_empty() {
            shown.field("limits_bytes", &self.limits.len());
        }
        if let Some(batch) = self.settles {
            shown.field("settles", &format_args!("{batch:032x}"));
        }
        shown.finish()
    }
}

/// A frame ready for the writer: all that can be computed without its number and segment.
pub(crate) struct Encoded {
    pub(crate) meta: Vec<u8>,
    pub(crate) body: Bytes,
    pub(crate) padded_crc: u32,
    pub(crate) settles: Option<u128>,
}

impl Encoded {
    /// Encodes on the caller's thread, checksum included, so that the writer stays free.
    pub(crate) fn new(frame: Frame) -> Result<Self, AppendError> {
        let Frame { header, body } = frame;
        check_sizes(&header, &body)?;
        let texts = header.tenant.len() + header.sender.len() + header.decisions.len() + header.extras_bytes();
        let mut meta = Vec::with_capacity(64 + texts);
        header.encode(&mut meta);
        let length = meta.len() + body.len();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&meta), &body);
        let padded_crc = crc32c::crc32c_append(crc, record::padding(length));
        Ok(Self { meta, body, padded_crc, settles: header.settles })
    }

    pub(crate) fn length(&self) -> usize {
        self.meta.len() + self.body.len()
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        record::total_bytes(self.length() as u64)
    }
}

fn check_sizes(header: &FrameHeader, body: &Bytes) -> Result<(), AppendError> {
    let checks = [
        (body.len(), BODY_BYTES_MAX),
        (header.decisions.len(), DECISIONS_BYTES_MAX),
        (header.tenant.len(), usize::from(u16::MAX)),
        (header.sender.len(), usize::from(u16::MAX)),
        (header.limits.len(), LIMITS_BYTES_MAX),
    ];
    const { assert!((BODY_BYTES_MAX + DECISIONS_BYTES_MAX + (1 << 20)) as u64 <= PAYLOAD_BYTES_MAX) }
    match checks.into_iter().find(|(bytes, max)| bytes > max) {
        Some((bytes, max)) => Err(AppendError::TooLarge { bytes: bytes as u64, max_bytes: max as u64 }),
        None => Ok(()),
    }
}

impl FrameHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.protocol);
        out.put_u8(self.encoding);
        out.put_u8(self.flags);
        out.put_u8(self.durability as u8);
        out.put_u16_le(self.rule);
        out.put_u16_le(self.tenant.len() as u16);
        out.put_u16_le(self.sender.len() as u16);
        out.put_u16_le(self.extras_bytes() as u16);
        out.put_u32_le(self.decisions.len() as u32);
        out.put_i64_le(self.received_ns);
        out.put_u128_le(self.body_hash);
        self.items.iter().for_each(|count| out.put_u32_le(*count));
        out.put_slice(self.tenant.as_bytes());
        out.put_slice(self.sender.as_bytes());
        out.put_slice(&self.decisions);
        if !self.limits.is_empty() {
            out.put_slice(&[extra::LIMITS, self.limits.len() as u8]);
            out.put_slice(&self.limits);
        }
        if let Some(batch) = self.settles {
            out.put_slice(&[extra::SETTLES, 16]);
            out.put_u128_le(batch);
        }
    }

    fn extras_bytes(&self) -> usize {
        let limits = if self.limits.is_empty() { 0 } else { 2 + self.limits.len() };
        limits + if self.settles.is_some() { 18 } else { 0 }
    }
}

/// Reads a frame's payload; `None` when it does not follow the format.
pub(crate) fn decode(payload: &[u8]) -> Option<(FrameHeader, Bytes)> {
    let mut rest = payload;
    let (protocol, encoding, flags) = (rest.try_get_u8().ok()?, rest.try_get_u8().ok()?, rest.try_get_u8().ok()?);
    let durability = match rest.try_get_u8().ok()? {
        0 => Durability::Memory,
        1 => Durability::Process,
        _ => Durability::Fsync,
    };
    let rule = rest.try_get_u16_le().ok()?;
    let tenant_bytes = usize::from(rest.try_get_u16_le().ok()?);
    let sender_bytes = usize::from(rest.try_get_u16_le().ok()?);
    let extras_bytes = usize::from(rest.try_get_u16_le().ok()?);
    let decisions_bytes = rest.try_get_u32_le().ok()? as usize;
    let received_ns = rest.try_get_i64_le().ok()?;
    let body_hash = rest.try_get_u128_le().ok()?;
    let mut items = [0; 3];
    for count in &mut items {
        *count = rest.try_get_u32_le().ok()?;
    }
    let (tenant, rest) = rest.split_at_checked(tenant_bytes)?;
    let (sender, rest) = rest.split_at_checked(sender_bytes)?;
    let (decisions, rest) = rest.split_at_checked(decisions_bytes)?;
    let (extras, body) = rest.split_at_checked(extras_bytes)?;
    let (limits, settles) = decode_extras(extras)?;
    let header = FrameHeader {
        protocol,
        encoding,
        flags,
        durability,
        rule,
        tenant: std::str::from_utf8(tenant).ok()?.into(),
        sender: std::str::from_utf8(sender).ok()?.into(),
        received_ns,
        body_hash,
        items,
        decisions: Bytes::copy_from_slice(decisions),
        limits: Bytes::copy_from_slice(limits),
        settles,
    };
    Some((header, Bytes::copy_from_slice(body)))
}

fn decode_extras(mut rest: &[u8]) -> Option<(&[u8], Option<u128>)> {
    let (mut limits, mut settles) = (&[][..], None);
    while !rest.is_empty() {
        let (number, length) = (rest.try_get_u8().ok()?, rest.try_get_u8().ok()?);
        let (value, after) = rest.split_at_checked(usize::from(length))?;
        rest = after;
        match number {
            extra::LIMITS => limits = value,
            extra::SETTLES => settles = Some(u128::from_le_bytes(value.try_into().ok()?)),
            128.. => {}
            _ => return None,
        }
    }
    Some((limits, settles))
}
