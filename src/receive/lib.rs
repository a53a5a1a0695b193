//! Doors in: OTLP and Zipkin, each over gRPC and HTTP.
//!
//! A door reads a request without trusting it (size, speed, packing, credentials), hands the bytes to
//! the [`Intake`], and says the outcome in the words of the protocol. What the bytes mean is `wire`'s
//! business, where they go is the intake's: nothing here decodes, stores or reads a clock for data.
//! The client is answered when the intake says that the request is durable (`src/intake.rs`).
//!
//! - [`door`] the path that all protocols share: admit, read, unpack, hand over, account
//! - [`otlp_grpc`], [`otlp_http`], [`zipkin`], [`zipkin_grpc`] the protocols; [`health`] gRPC health checks
//! - [`fault`] every way of refusing, mapped once to HTTP and gRPC
//!
//! Spec: OTLP 1.11 (facts on OTLP, checklist), Zipkin API v1 and v2, design sections 2 and 8.

pub mod cors;
pub mod intake;
pub mod metrics;

mod body;
mod door;
mod fault;
mod grpc;
mod health;
mod otlp_grpc;
mod otlp_http;
mod sender;
mod unpack;
mod zipkin;
mod zipkin_grpc;

#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests_grpc;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_http;
#[cfg(test)]
mod tests_zipkin;

pub use cors::Cors;
pub use intake::{Arrival, Intake, Receipt};
pub use metrics::{Metrics, Tally};
pub use otlp_grpc::otlp_grpc_router;
pub use otlp_http::otlp_http_router;
pub use zipkin::zipkin_ingest_router;
pub use zipkin_grpc::zipkin_grpc_router;

/// Header by which a sender asks to be answered after storing, not after journalling.
pub const WAIT_HEADER: &str = "x-hypocenter-wait";

/// Settings of the doors.
#[derive(Clone, Debug)]
pub struct Config {
    /// Sizes and times of requests.
    pub limits: access::Limits,
    /// Path before `/v1/traces` and its siblings: empty or `/prefix`.
    pub otlp_http_prefix: String,
    /// Web pages that may send OTLP/HTTP.
    pub otlp_cors: Cors,
    /// Web pages that may send Zipkin spans.
    pub zipkin_cors: Cors,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: access::Limits::default(),
            otlp_http_prefix: String::new(),
            // Beacons of browser exporters always carry credentials, which browsers allow only when
            // the answer repeats the page's origin.
            otlp_cors: Cors { origins: vec!["*".into()], credentials: true },
            zipkin_cors: Cors { origins: vec!["*".into()], credentials: false },
        }
    }
}
