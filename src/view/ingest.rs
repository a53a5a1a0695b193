//! How ingest is doing, as the answer says it. The numbers come from whoever runs the path (`serve`'s
//! trait `Status`); this is only their shape.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::shared::Ns;

/// Items by signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// Spans.
    pub traces: u64,
    /// Log records.
    pub logs: u64,
    /// Metric points.
    pub metrics: u64,
}

/// How ingest is doing. Counts are items since the data directory was created.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IngestAnswer {
    /// Accepted: durable in the journal and acknowledged.
    pub accepted: Counts,
    /// Stored in ClickHouse.
    pub stored: Counts,
    /// Refused before or while decoding, in overload or without permission.
    pub refused: Counts,
    /// Rejected by the rules of the protocol (partial success).
    pub rejected: Counts,
    /// Set aside because ClickHouse refused them for good.
    pub dead_letters: Counts,
    /// Resent items that were recognised and not stored again.
    pub duplicates: Counts,
    /// The durable log.
    pub journal: JournalState,
    /// Where rows are stored.
    pub store: StoreState,
    /// Where to send to, by protocol: `otlp_grpc`, `otlp_http`, `zipkin`, `http`.
    pub addresses: BTreeMap<String, String>,
    /// Whether these ports speak TLS.
    pub tls: bool,
}

/// The durable log.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct JournalState {
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes it may take; new data is refused above.
    pub bytes_max: Option<u64>,
    /// When the oldest frame that is not yet confirmed in the store was received; null without any.
    #[schema(value_type = Option<String>)]
    pub oldest_unconfirmed_ns: Option<Ns>,
    /// Whether it can be written; when not, why.
    pub problem: Option<String>,
}

/// Where rows are stored.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StoreState {
    /// Whether rows go in.
    pub state: StoreHealth,
    /// What holds between the journal and the tables.
    pub guarantee: Guarantee,
    /// What is wrong, when something is.
    pub message: Option<String>,
}

/// Whether rows go into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreHealth {
    /// They do.
    Ok,
    /// It cannot be reached; the journal keeps what comes.
    Down,
    /// They do, slower than they come.
    Slow,
}

/// How often an acknowledged item is in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// Once.
    ExactlyOnce,
    /// Once, or more often after a crash: tables that may not be altered.
    AtLeastOnce,
}
