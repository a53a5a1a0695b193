//! Integration tests: they start the real program and speak its protocols with real clients. One
//! binary, so that it is linked once.

#![allow(clippy::unwrap_used)]
// One binary: nothing is reached from outside it.
#![allow(unreachable_pub)]

mod changes;
mod clients;
mod demo;
mod graph;
mod import;
mod incidents;
mod large;
mod limits;
mod mcp;
mod patterns;
mod program;
mod remote;
mod request;
mod smtp;
mod suspects;
mod tidy;
mod zipkin;
