//! ClickHouse: the schema, the blocks that go in, the questions that come out. The only room that
//! knows SQL, and the only one that talks to ClickHouse, always through the `clickhouse` crate: the
//! embedded engine and a remote server are the same code (design sections 4 and 5).
//!
//! The way in: [`lanes`] says which rows of a [`model::Batch`] belong into which insert, a [`Block`]
//! gathers them, [`Store::insert`] sends a [`SealedBlock`]. When blocks are sealed, confirmed and
//! rebuilt is decided elsewhere; this room keeps nothing between calls but connections.

mod block;
mod buffer;
mod column;
mod dictionary;
mod index;
mod json;
mod lane;
pub mod questions;
#[cfg(test)]
mod sample;
mod shape;

pub use block::{Block, NativeBlock, SealedBlock};
pub use lane::{LaneKey, lanes};
