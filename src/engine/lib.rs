//! The engine room: ClickHouse's engine (libchdb) in a child process that speaks ClickHouse's
//! HTTP interface, and the parent's side of it.
//!
//! A child, because that isolates memory and crashes and makes embedded and remote ClickHouse the
//! same code and the same failure model (design section 4). This room imports nothing of ours: it
//! knows neither tables nor telemetry, only statements, bodies and processes. The only FFI and
//! the only unsafe code of the project are in `ffi`.
//!
//! - [`serve`]: the child's body.
//! - [`Supervisor`]: the parent's side: start, readiness, restart, stop.
//! - [`install`](install::install): brings the library to this machine.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod body;
mod caps;
mod compress;
mod core;
mod exception;
mod ffi;
mod http;
pub mod install;
mod pool;
mod pulse;
mod reader;
mod request;
mod run;
mod server;
mod session;
mod statement;
mod stitch;
mod supervise;

pub use caps::Caps;
pub use ffi::{ENGINE_VERSION, LoadError};
pub use pulse::PulseConfig;
pub use reader::Limits as ReaderLimits;
pub use server::{ServeConfig, ServeError, serve, serve_from_parent};
pub use supervise::{Address, State, Supervisor, SupervisorConfig};
