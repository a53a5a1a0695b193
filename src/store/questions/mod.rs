//! Questions to the store: one `.sql` file each, beside the Rust that binds it.
//!
//! Every question names its tenant first, is bounded by the limits that come with the
//! [`clickhouse::Client`] it is given (time, memory, result rows), and stops when its future is
//! dropped, because the connection closes then. Values reach ClickHouse only as `{name:Type}`
//! parameters; where conditions are composed, [`sql::Sql`] does it from static text, so nothing a user
//! wrote can become SQL. This room of the house does not know what an answer means to a person: that
//! is `view`. Spec: design sections 5 and 8, `api.md`.

pub mod bounds;
pub mod error;
pub mod evidence;
pub mod graph;
pub mod ledger;
pub mod logs;
pub mod match_log;
pub mod match_span;
pub mod patterns;
pub mod records;
pub mod services;
pub mod sql;
pub mod trace;
pub mod traces;
pub mod window;
pub mod zipkin;
pub mod zipkin_match;

pub use bounds::Bounds;
pub use clickhouse::Client;
pub use error::AskError;
pub use match_log::{LogMatch, Meaning, PatternMatch, Term};
pub use match_span::{SpanMatch, TraceMatch};
pub use window::{Slices, Window};
pub use zipkin_match::ZipkinMatch;

/// Whom a question is asked on behalf of, and through which client.
#[derive(Clone)]
pub struct Ask<'a> {
    /// Client with address, credentials, database and read limits.
    pub client: &'a Client,
    /// Tenant; empty without tenancy. The first condition of every question.
    pub tenant: &'a str,
}
