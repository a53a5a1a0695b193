//! The service graph of a window of whole minutes, merged from the generations that the roller wrote.
//! Merging in ClickHouse is exact: counts are multiples of 1/1024, latencies are histograms.

use clickhouse::Row;
use serde::Deserialize;

use super::sql::{Param, Sql};
use super::{Ask, AskError};

/// A window of whole minutes, in seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Minutes {
    /// Start of the first minute.
    pub from_s: i64,
    /// End of the last one.
    pub to_s: i64,
}

/// An edge of a slot, summed.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct EdgeRow {
    /// Start in widths since the epoch.
    pub slot: i64,
    /// What calls.
    pub source_kind: String,
    /// Its name.
    pub source: String,
    /// What is called.
    pub target_kind: String,
    /// Its name.
    pub target: String,
    /// How.
    pub connection_type: String,
    /// Calls, weighted.
    pub requests: f64,
    /// Failed ones, weighted.
    pub errors: f64,
    /// Spans behind them.
    pub spans: u64,
    /// Durations: bucket indexes and weighted counts.
    pub latency: (Vec<i16>, Vec<f64>),
}

/// A node of a slot, summed.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct NodeRow {
    /// Start in widths since the epoch.
    pub slot: i64,
    /// What.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Work that entered it, weighted.
    pub requests: f64,
    /// Failed, weighted.
    pub errors: f64,
    /// Durations: bucket indexes and weighted counts.
    pub latency: (Vec<i16>, Vec<f64>),
    /// Reason codes and spans.
    pub unpaired: (Vec<String>, Vec<u64>),
}

/// The reasons of a node.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct ReasonsRow {
    /// What.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Reason codes and spans.
    pub unpaired: (Vec<String>, Vec<u64>),
}

/// Which generations a slot has in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Row, Deserialize)]
pub struct Slot {
    /// Start in widths since the epoch.
    pub slot: i64,
    /// Of its minutes in the window and their generations: a sum, so that slots add up.
    pub digest: u64,
    /// The same of all of its minutes, also outside of the window.
    pub around: u64,
    /// Edges of all of its minutes.
    pub edges: u64,
    /// First minute of the window that has one, seconds since the epoch.
    pub first_s: i64,
    /// Last minute that has one.
    pub last_s: i64,
    /// When the newest was made, nanoseconds since the epoch.
    pub rolled_ns: i64,
}

#[derive(Row, Deserialize)]
struct Waiting {
    waiting: u64,
}

/// Which generations the slots of `width_s` seconds of the window have; slots without any are left out.
pub async fn slots(ask: &Ask<'_>, minutes: Minutes, width_s: i64) -> Result<Vec<Slot>, AskError> {
    Ok(sql(include_str!("graph_slots.sql"), ask, minutes)
        .set("width", Param::I64(width_s))
        .query(ask)
        .fetch_all()
        .await?)
}

/// The edges, by slots of `width_s` seconds, source and target.
pub async fn edges(ask: &Ask<'_>, minutes: Minutes, width_s: i64) -> Result<Vec<EdgeRow>, AskError> {
    Ok(sql(include_str!("graph_edges.sql"), ask, minutes)
        .set("width", Param::I64(width_s))
        .query(ask)
        .fetch_all()
        .await?)
}

/// The nodes, by slots of `width_s` seconds, kind and name.
pub async fn nodes(ask: &Ask<'_>, minutes: Minutes, width_s: i64) -> Result<Vec<NodeRow>, AskError> {
    Ok(sql(include_str!("graph_nodes.sql"), ask, minutes)
        .set("width", Param::I64(width_s))
        .query(ask)
        .fetch_all()
        .await?)
}

/// The reasons of the nodes that have any.
pub async fn reasons(ask: &Ask<'_>, minutes: Minutes) -> Result<Vec<ReasonsRow>, AskError> {
    Ok(sql(include_str!("graph_reasons.sql"), ask, minutes).query(ask).fetch_all().await?)
}

/// Whether stored spans wait for the roller for longer than usual.
pub async fn is_behind(ask: &Ask<'_>) -> Result<bool, AskError> {
    let found: Waiting = Sql::new(include_str!("bounds_graph.sql"), ask.tenant).query(ask).fetch_one().await?;
    Ok(found.waiting > 0)
}

fn sql(template: &'static str, ask: &Ask<'_>, minutes: Minutes) -> Sql {
    Sql::new(template, ask.tenant).set("from", Param::I64(minutes.from_s)).set("to", Param::I64(minutes.to_s))
}
