//! Integration tests: they start the real program and speak its protocols with real clients. One
//! binary, so that it is linked once.

#![allow(clippy::unwrap_used)]

mod program;
mod request;
mod tidy;
