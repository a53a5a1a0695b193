//! What this room is told at start: where ClickHouse is, how long rows are kept, what a query may cost.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How the room behaves; resolved and validated elsewhere.
#[derive(Clone, Debug)]
pub struct Config {
    /// Database; an identifier, never `default` (in the embedded engine it overlays the file system).
    pub database: String,
    /// Compression of inserts.
    pub compression: Compression,
    /// An insert that takes longer has failed and is tried again.
    pub insert_timeout: Duration,
    /// PEM file of the authority that signed the server's certificate; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// How long rows are kept.
    pub retention: Retention,
    /// Bounds of one query.
    pub query: QueryLimits,
}

/// Compression of inserts on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// LZ4 to another machine, none on loopback.
    #[default]
    Auto,
    /// None.
    None,
    /// LZ4.
    Lz4,
}

/// How long rows are kept, counted from the later of event time and receipt; zero is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Spans.
    pub traces: Duration,
    /// Log records.
    pub logs: Duration,
    /// Metric points.
    pub metrics: Duration,
    /// Minutes of the service graph.
    pub graph: Duration,
}

/// Bounds of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Longest run.
    pub timeout: Duration,
    /// Memory on the server, bytes.
    pub memory_bytes_max: u64,
    /// Rows read.
    pub rows_max: u64,
}

/// Where ClickHouse's HTTP interface is, and who we are there.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `http://…` or `https://…`.
    pub url: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

impl Default for Config {
    fn default() -> Self {
        let month = Duration::from_secs(30 * 86_400);
        Config {
            database: "hypocenter".to_owned(),
            compression: Compression::Auto,
            insert_timeout: Duration::from_secs(60),
            ca_file: None,
            retention: Retention { traces: month, logs: month, metrics: month, graph: month },
            query: QueryLimits { timeout: Duration::from_secs(30), memory_bytes_max: 1 << 30, rows_max: 200_000_000 },
        }
    }
}

impl Endpoint {
    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]")
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}
