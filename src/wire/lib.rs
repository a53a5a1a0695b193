//! Languages: bytes of a protocol become the columns of a [`model::Batch`], with an account of what
//! was refused. Everything here is a pure function of its arguments: no clock, no file, no network,
//! so that a journalled frame decodes the same at every replay.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod books;
pub mod encoding;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod jaeger;
pub mod otlp;
mod proto;
pub mod zipkin;

use model::{Decoded, Envelope, Limits, Protocol};

/// Version of the decode rules. It stands in journal frames; a change of what comes out of the same
/// bytes needs a new number, and the old rules stay as long as journals of them may exist.
pub const RULE: u16 = 1;

/// Why a request as a whole is not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It cannot be read; the text is meant for whoever sent it.
    #[error("{0}")]
    Malformed(String),
    /// It takes more memory than [`Limits::memory_bytes_max`] grants.
    #[error("decoding takes more memory than it was given")]
    Memory,
}

impl DecodeError {
    /// Malformed, with a message for the sender.
    pub fn new(message: impl Into<String>) -> DecodeError {
        DecodeError::Malformed(message.into())
    }
}

/// Decodes `body`, which is plain (decompressed), into columns.
///
/// Items that break a rule of their own are left out and counted in the account; what is above
/// `limits` is cut, marked and counted.
///
/// # Errors
/// When the request as a whole cannot be read, or not within the memory; nothing of it is to be stored.
pub fn decode(protocol: Protocol, body: &[u8], envelope: Envelope, limits: &Limits) -> Result<Decoded, DecodeError> {
    match protocol {
        Protocol::OtlpTracesProto | Protocol::OtlpLogsProto | Protocol::OtlpMetricsProto => {
            otlp::protobuf(protocol.signal(), body, envelope, limits)
        }
        Protocol::OtlpTracesJson | Protocol::OtlpLogsJson | Protocol::OtlpMetricsJson => {
            otlp::json(protocol.signal(), body, envelope, limits)
        }
        Protocol::Ledger => books::ledger(body, envelope),
        Protocol::DeadLetters => books::dead_letters(body, envelope),
        Protocol::ZipkinV2Json | Protocol::ZipkinV2Proto | Protocol::ZipkinV1Json | Protocol::ZipkinV1Thrift => {
            zipkin::decode(protocol, body, envelope, limits)
        }
    }
}
