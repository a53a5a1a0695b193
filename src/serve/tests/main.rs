//! The API against a real engine: what is sent in OTLP comes out of `/api/v1`. From the decoder to the
//! JSON everything is real but the journal and the sockets.

#![allow(clippy::unwrap_used)] // Tests.

mod access;
mod hostile;
mod large;
mod logs;
mod rig;
mod traces;
