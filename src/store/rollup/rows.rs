//! Rows of the roller's questions and tables.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

/// The span table.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct TableRow {
    /// Its id; another one after it was dropped and made anew.
    pub id: String,
    /// Whether block numbers become visible in order.
    pub ordered: bool,
}

/// A part of the span table: blocks `first` to `last` of its partition.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct PartRow {
    /// Partition.
    pub partition: String,
    /// Name.
    pub name: String,
    /// First block.
    pub first: i64,
    /// Last block.
    pub last: i64,
    /// Rows.
    pub rows: u64,
}

/// A minute that parts have spans of.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct TouchedRow {
    /// Tenant.
    pub tenant: String,
    /// Minutes since the epoch.
    pub minute: i64,
    /// Spans of it in the parts.
    pub spans: u64,
}

/// A minute that refers to spans of parts.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct WantingRow {
    /// Tenant.
    pub tenant: String,
    /// Minutes since the epoch.
    pub minute: i64,
    /// Low halves of the spans' trace ids.
    pub lows: Vec<u64>,
}

/// What is known of a rolled minute.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct MinuteState {
    /// Minutes since the epoch.
    pub minute: i64,
    /// Its generation.
    pub generation: u64,
    /// Version of the rules.
    pub rule: u16,
    /// Stored spans that it was made of.
    pub spans: u64,
    /// Digest of the answers that it was made with.
    pub answered: u64,
    /// Minutes that it has answers for.
    pub targets: Vec<i64>,
}

/// One answer: a span of `target` has a callee in `source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct AnswerRow {
    /// The minute that answers.
    pub source: i64,
    /// The span's minute.
    pub target: i64,
    /// Low half of its trace id.
    pub low: u64,
    /// Its id.
    pub id: u64,
}

/// A span, narrow, as stored.
#[allow(missing_docs)] // the names are the columns'
#[derive(Debug, Row, Deserialize)]
pub struct SpanRow<'a> {
    pub trace_id: &'a str,
    pub span_id: &'a str,
    pub parent_span_id: &'a str,
    pub service: &'a str,
    pub kind: &'a str,
    pub error: bool,
    pub shared: bool,
    pub flags: u32,
    pub start_ns: i64,
    pub duration_ns: u64,
    pub weight: f64,
    pub peer: &'a str,
    pub db_system: &'a str,
    pub db_namespace: &'a str,
    pub messaging_system: &'a str,
    pub destination: &'a str,
    pub link_trace_ids: Vec<&'a str>,
    pub link_span_ids: Vec<&'a str>,
}

/// Rolled blocks of a partition, as ranges.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct ProgressRow {
    /// Partition.
    pub partition: String,
    /// First blocks of the ranges.
    pub first: Vec<i64>,
    /// Their last ones.
    pub last: Vec<i64>,
}

/// Who rolls.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct LeaderRow {
    /// The reign.
    pub epoch: u64,
    /// Who.
    pub owner: u64,
    /// Whether the lease holds.
    pub alive: bool,
}

/// A generation of a minute: its whole graph. Lists of one prefix are of one length.
#[allow(missing_docs)] // the names are the columns' (schemas/0001/40_graph_minutes.sql)
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize)]
pub struct MinuteRow {
    #[serde(rename = "Tenant")]
    pub tenant: String,
    /// Seconds since the epoch.
    #[serde(rename = "Minute")]
    pub minute_s: u32,
    #[serde(rename = "Generation")]
    pub generation: u64,
    #[serde(rename = "Rule")]
    pub rule: u16,
    #[serde(rename = "Spans")]
    pub spans: u64,
    #[serde(rename = "Answered")]
    pub answered: u64,
    #[serde(rename = "RolledAt")]
    pub rolled_ns: i64,
    #[serde(rename = "Writer")]
    pub writer: u64,
    #[serde(rename = "Nodes.Kind")]
    pub node_kinds: Vec<&'static str>,
    #[serde(rename = "Nodes.Name")]
    pub node_names: Vec<String>,
    #[serde(rename = "Nodes.Requests")]
    pub node_requests: Vec<f64>,
    #[serde(rename = "Nodes.Errors")]
    pub node_errors: Vec<f64>,
    #[serde(rename = "Nodes.Buckets")]
    pub node_buckets: Vec<Vec<i16>>,
    #[serde(rename = "Nodes.Counts")]
    pub node_counts: Vec<Vec<f64>>,
    #[serde(rename = "Nodes.Reasons")]
    pub node_reasons: Vec<Vec<&'static str>>,
    #[serde(rename = "Nodes.Unpaired")]
    pub node_unpaired: Vec<Vec<u64>>,
    #[serde(rename = "Edges.SourceKind")]
    pub edge_source_kinds: Vec<&'static str>,
    #[serde(rename = "Edges.Source")]
    pub edge_sources: Vec<String>,
    #[serde(rename = "Edges.TargetKind")]
    pub edge_target_kinds: Vec<&'static str>,
    #[serde(rename = "Edges.Target")]
    pub edge_targets: Vec<String>,
    #[serde(rename = "Edges.ConnectionType")]
    pub edge_types: Vec<&'static str>,
    #[serde(rename = "Edges.Calls")]
    pub edge_calls: Vec<f64>,
    #[serde(rename = "Edges.Spans")]
    pub edge_spans: Vec<u64>,
    #[serde(rename = "Edges.Errors")]
    pub edge_errors: Vec<f64>,
    #[serde(rename = "Edges.Buckets")]
    pub edge_buckets: Vec<Vec<i16>>,
    #[serde(rename = "Edges.Counts")]
    pub edge_counts: Vec<Vec<f64>>,
    #[serde(rename = "Wanted.TraceLow")]
    pub wanted_traces: Vec<u64>,
    #[serde(rename = "Wanted.SpanId")]
    pub wanted_ids: Vec<u64>,
    #[serde(rename = "Wanted.Reason")]
    pub wanted_reasons: Vec<&'static str>,
    #[serde(rename = "Answers.TraceLow")]
    pub answer_traces: Vec<u64>,
    #[serde(rename = "Answers.SpanId")]
    pub answer_ids: Vec<u64>,
    /// Seconds since the epoch.
    #[serde(rename = "Answers.Minute")]
    pub answer_minutes_s: Vec<u32>,
}

#[derive(Row, Deserialize)]
pub(super) struct TenantMinute {
    pub(super) tenant: String,
    pub(super) minute: i64,
}

#[derive(Row, Deserialize)]
pub(super) struct Count {
    pub(super) minute: i64,
    pub(super) spans: u64,
}

#[derive(Row, Deserialize)]
pub(super) struct BatchCount {
    pub(super) batch: u128,
    pub(super) spans: u64,
}

#[derive(Row, Deserialize)]
pub(super) struct Reference {
    pub(super) minute: i64,
    pub(super) low: u64,
    pub(super) id: u64,
}

#[derive(Row, Deserialize)]
pub(super) struct Range {
    pub(super) trace_id: String,
    pub(super) first_s: i64,
    pub(super) last_s: i64,
}

#[derive(Row, Serialize)]
pub(super) struct ProgressInsert {
    #[serde(rename = "TableId")]
    pub(super) table: String,
    #[serde(rename = "Partition")]
    pub(super) partition: String,
    #[serde(rename = "First")]
    pub(super) first: Vec<i64>,
    #[serde(rename = "Last")]
    pub(super) last: Vec<i64>,
    #[serde(rename = "Generation")]
    pub(super) generation: u64,
}
