//! OTLP 1.11 (opentelemetry.io/docs/specs/otlp): requests of the three signals as protobuf or JSON.
//! Protobuf is walked once, from the bytes straight into columns; there is no tree in between.

pub mod answer;
mod attributes;
mod logs;
mod shared;
mod time;
mod traces;
mod value;
mod weight;

use model::{Decoded, Envelope, Limits};

use crate::DecodeError;
use crate::proto::Fault;

/// Offsets in columns are 32 bits wide, and escapes can make a text six times as long.
const BODY_BYTES_MAX: usize = 512 << 20;

/// Spans, protobuf.
pub(crate) fn traces(body: &[u8], envelope: Envelope, limits: &Limits) -> Result<Decoded, DecodeError> {
    sized(body)?;
    shared::walk(traces::Traces::new(), body, envelope, limits).map_err(|fault| error(body, fault))
}

/// Log records, protobuf.
pub(crate) fn logs(body: &[u8], envelope: Envelope, limits: &Limits) -> Result<Decoded, DecodeError> {
    sized(body)?;
    shared::walk(logs::Records::new(), body, envelope, limits).map_err(|fault| error(body, fault))
}

fn sized(body: &[u8]) -> Result<(), DecodeError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(DecodeError::new(format!("the body has {} bytes, more than can be decoded", body.len())));
    }
    Ok(())
}

fn error(body: &[u8], fault: Fault) -> DecodeError {
    let offset = fault.address.saturating_sub(body.as_ptr() as usize).min(body.len());
    DecodeError::new(format!("{} at byte {offset}", fault.what.words()))
}
