//! The store against the real engine, in a child process as in production.

#![allow(clippy::unwrap_used)] // A failed step fails the test.

mod attach;
mod blocks;
mod faults;
mod patterns;
mod questions_client;
mod rollup;
#[path = "../sample.rs"]
#[allow(dead_code, unused_imports)] // Shared with the unit tests, which use other parts of it.
mod sample;
mod schema;
mod search;
mod support;
