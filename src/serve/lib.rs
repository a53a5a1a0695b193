//! The doors out: our API, its description, the assistant's door (MCP), health, metrics and the UI's files, all on
//! one port; and Zipkin's read API on its own.
//!
//! Handlers are thin: they read parameters, ask `view`, and write JSON; every failure becomes one of
//! `access`'s outward codes. How the process is doing is told by whoever runs it, through [`Status`].
//! Knows no SQL, no journal, no engine. Spec: api.md; design section 8.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod app;
mod ask;
mod changes;
mod guard;
mod incidents;
mod mcp;
mod metrics;
mod openapi;
mod params;
mod process;
mod routes;
mod status;
mod ui;
mod zipkin;

use std::sync::Arc;
use std::time::Duration;

use access::Access;
use axum::Router;
use prometheus_client::registry::Registry;
use view::View;

pub use openapi::document;
pub use status::{Collected, Flushing, Freshening, Readiness, Status};
pub use zipkin::ZipkinConfig;

/// How the doors out behave.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host names under which this server is reached, besides loopback names and IP addresses. Browsers
    /// that come under another name are refused what could be misused (DNS rebinding).
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may read the API (CORS), such as `https://grafana.example`; none by default.
    pub cors_origins: Vec<String>,
    /// Whether the port listens on loopback only: then browsers under foreign names are refused reads too.
    pub loopback_only: bool,
    /// Longest time for one answer; after: `deadline_exceeded`.
    pub answer_timeout: Duration,
    /// Questions answered at once; others wait, and are refused as `unavailable` after a while.
    pub questions_max: usize,
    /// Largest request body, in bytes; above: `too_large`.
    pub body_bytes_max: usize,
    /// Zipkin's read API.
    pub zipkin: ZipkinConfig,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            allowed_hosts: Vec::new(),
            cors_origins: Vec::new(),
            loopback_only: true,
            answer_timeout: Duration::from_secs(60),
            questions_max: 32,
            body_bytes_max: 64 << 10,
            zipkin: ZipkinConfig::default(),
        }
    }
}

/// What this room answers, by port.
pub struct Routers {
    /// Everything that port 7700 answers.
    pub own: Router,
    /// What the Zipkin port answers besides taking spans in.
    pub zipkin: Router,
}

/// The routes of all ports. `registry` gets this room's metrics and is what `/metrics` shows.
pub fn routers(
    view: View,
    status: Arc<impl Status>,
    access: Arc<Access>,
    config: Config,
    mut registry: Registry,
) -> Routers {
    let metrics = metrics::Metrics::new(&mut registry);
    let app = Arc::new(app::App::new(view, status, access, config, metrics, registry));
    Routers { zipkin: zipkin::router(Arc::clone(&app)), own: routes::router(app) }
}
