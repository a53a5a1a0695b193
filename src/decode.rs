//! From a frame to columns: the one function that both the first decoding and every replay go
//! through. It is pure: the frame's header carries all that it depends on besides the bytes.

use std::sync::Arc;

use journal::FrameHeader;
use model::{Account, Batch, Decoded, Envelope, Limits, Protocol, Reason, Signal};
use wire::encoding::Encoding;

/// What decoding follows beside the frame itself.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Decode limits.
    pub limits: Limits,
    /// Largest decompressed body, bytes.
    pub body_bytes_max: usize,
}

/// A journalled body is decompressed up to this many bytes, whatever the limit for new ones is.
const REPLAY_BYTES_MAX: usize = 1 << 30;

/// Why a journalled frame cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The header has a number that this version does not know.
    #[error("the frame's {0} {1} is not known to this version")]
    Unknown(&'static str, u16),
    /// The body cannot be decompressed.
    #[error("the frame's body cannot be decompressed")]
    Encoding(#[source] wire::encoding::DecompressError),
    /// The body cannot be decoded.
    #[error("the frame's body cannot be decoded")]
    Body(#[from] wire::DecodeError),
}

/// Decodes a journalled frame.
pub(crate) fn frame(header: &FrameHeader, body: &[u8], rules: &Rules) -> Result<Decoded, FrameError> {
    if header.rule != wire::RULE {
        return Err(FrameError::Unknown("decode rule", header.rule));
    }
    let protocol =
        Protocol::from_number(header.protocol).ok_or(FrameError::Unknown("protocol", header.protocol.into()))?;
    let encoding =
        Encoding::from_number(header.encoding).ok_or(FrameError::Unknown("encoding", header.encoding.into()))?;
    let envelope = Envelope {
        tenant: Arc::from(&*header.tenant),
        received_ns: header.received_ns,
        sender: Arc::from(&*header.sender),
    };
    let plain;
    let body = match encoding {
        Encoding::Identity => body,
        _ => {
            // What was accepted under an earlier, larger limit is still accepted.
            let limit = rules.body_bytes_max.max(REPLAY_BYTES_MAX);
            plain = wire::encoding::decompress(encoding, body, limit, &mut |_| true).map_err(FrameError::Encoding)?;
            &plain
        }
    };
    let days = days_from_bytes(&header.decisions);
    Ok(request(protocol, body, envelope, rules, |_| days)?)
}

/// Decodes a request. `decide` names the days whose rows are set aside (the partition quota).
pub(crate) fn request(
    protocol: Protocol,
    body: &[u8],
    envelope: Envelope,
    rules: &Rules,
    decide: impl FnOnce(&Batch) -> Vec<i32>,
) -> Result<Decoded, wire::DecodeError> {
    let Decoded { mut batch, mut account } = wire::decode(protocol, body, envelope, &rules.limits)?;
    let days = decide(&batch);
    if !days.is_empty() {
        set_aside(&mut batch, &mut account, protocol, &days);
    }
    correlate::absorb(&mut batch);
    batch.spans.assert_whole();
    batch.logs.assert_whole();
    Ok(Decoded { batch, account })
}

/// The decision of the partition quota, as the frame header keeps it.
pub(crate) fn days_to_bytes(days: &[i32]) -> Vec<u8> {
    days.iter().flat_map(|day| day.to_le_bytes()).collect()
}

fn days_from_bytes(bytes: &[u8]) -> Vec<i32> {
    bytes.chunks_exact(4).map(|day| i32::from_le_bytes([day[0], day[1], day[2], day[3]])).collect()
}

fn set_aside(batch: &mut Batch, account: &mut Account, protocol: Protocol, days: &[i32]) {
    let moved = batch.quarantine_days(days);
    let signal: Signal = protocol.signal();
    account.count_many(signal, Reason::PartitionsQuarantined, moved, || {
        format!(
            "rows of {} and other days were more partitions than may be opened per hour",
            model::time::day_text(days[0])
        )
    });
}
