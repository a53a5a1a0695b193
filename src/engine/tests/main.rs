//! The engine room's tests against the real engine, in a child process as in production.
#![allow(clippy::unwrap_used)]

mod documents;
mod fences;
mod inserts;
mod life;
mod reader;
mod rust_client;
mod statements;
mod support;
