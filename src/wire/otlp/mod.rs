//! OTLP 1.11 (opentelemetry.io/docs/specs/otlp): requests of the three signals as protobuf or JSON.
//! Protobuf is walked once, from the bytes straight into columns; there is no tree in between.

pub mod answer;
mod attributes;
mod json_text;
mod logs;
mod memo;
mod metrics;
mod originals;
mod path;
mod points;
mod resource;
mod schema;
mod shared;
#[cfg(test)]
mod tests;
mod time;
mod traces;
mod transcode;
mod value;
mod weight;

use model::{Decoded, Envelope, Limits, Signal};

use crate::DecodeError;
use crate::proto::{Fault, What};

/// Offsets in columns are 32 bits wide, and escapes can make a text six times as long.
const BODY_BYTES_MAX: usize = 512 << 20;

/// A request of `signal` in protobuf.
pub(crate) fn protobuf(
    signal: Signal,
    body: &[u8],
    envelope: Envelope,
    limits: &Limits,
) -> Result<Decoded, DecodeError> {
    sized(body)?;
    walk(signal, body, envelope, limits).map_err(|fault| {
        if fault.what == What::Memory {
            return DecodeError::Memory;
        }
        let path = path::path_to(body, fault.address, schema::request(signal));
        let offset = fault.address.saturating_sub(body.as_ptr() as usize).min(body.len());
        let colon = if path.is_empty() { "" } else { ": " };
        DecodeError::new(format!("{path}{colon}{} (at byte {offset})", fault.what.words()))
    })
}

/// A request of `signal` in JSON.
pub(crate) fn json(signal: Signal, body: &[u8], envelope: Envelope, limits: &Limits) -> Result<Decoded, DecodeError> {
    sized(body)?;
    let protobuf = transcode::to_protobuf(body, signal, value::depth(limits), limits.memory_bytes_max)?;
    let left = limits.memory_bytes_max.saturating_sub(protobuf.len());
    let limits = &Limits { memory_bytes_max: left, ..*limits };
    // Only depth and expansion can still be wrong; offsets into the other form would mislead.
    walk(signal, &protobuf, envelope, limits).map_err(|fault| {
        if fault.what == What::Memory {
            return DecodeError::Memory;
        }
        let path = path::path_to(&protobuf, fault.address, schema::request(signal));
        DecodeError::new(format!("{path}: {}", fault.what.words()))
    })
}

fn walk(signal: Signal, body: &[u8], envelope: Envelope, limits: &Limits) -> Result<Decoded, Fault> {
    match signal {
        Signal::Traces => shared::walk(traces::Traces::new(), body, envelope, limits),
        Signal::Logs => shared::walk(logs::Records::new(), body, envelope, limits),
        Signal::Metrics => shared::walk(metrics::Measures::new(), body, envelope, limits),
    }
}

fn sized(body: &[u8]) -> Result<(), DecodeError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(DecodeError::new(format!("the body has {} bytes, more than can be decoded", body.len())));
    }
    Ok(())
}
