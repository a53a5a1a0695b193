//! ClickHouse: the schema, the blocks that go in, the questions that come out. The only room that
//! knows SQL, and the only one that talks to ClickHouse, always through the `clickhouse` crate: the
//! embedded engine and a remote server are the same code (design sections 4 and 5).
//!
//! The way in: [`lanes`] says which rows of a [`model::Batch`] belong into which insert, a [`Block`]
//! gathers them, [`Store::insert`] sends a [`SealedBlock`]. When blocks are sealed, confirmed and
//! rebuilt is decided elsewhere; this room keeps nothing between calls but connections.

mod access;
mod block;
mod buffer;
mod client;
mod column;
mod config;
mod dictionary;
pub mod evidence;
mod index;
mod json;
mod lane;
mod metrics;
mod pack;
pub mod questions;
pub mod records;
#[cfg(test)]
mod reference;
pub mod rollup;
#[cfg(test)]
mod sample;
mod schema;
mod shape;
mod trouble;

pub use access::{BadDatabase, LookupError, ServerInfo, Store, TableSize};
pub use block::{Block, NativeBlock, SealedBlock, keep_spare};
pub use client::Unavailable;
pub use config::{Compression, Config, Endpoint, QueryLimits, Retention};
pub use lane::{LaneKey, lanes};
pub use metrics::Metrics;
pub use pack::Packer;
pub use schema::{Guarantee, SCHEMA_VERSION, SchemaError};
pub use trouble::InsertError;
