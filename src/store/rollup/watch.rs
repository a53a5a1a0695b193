//! What the watch counts (schemas/0001): spans and lines of short windows, of all tenants.

use clickhouse::Row;
use serde::Deserialize;

use super::Rolling;
use crate::access::LookupError;

/// Rows of one answer; beyond, nothing is watched.
const ROWS_MAX: u64 = 500_000;
/// Length of a slot, seconds.
const SLOT_S: i64 = 10;

/// Spans of one service and operation in a slot.
#[allow(missing_docs)]
#[derive(Clone, Debug, Row, Deserialize)]
pub struct SpanSlot {
    pub tenant: String,
    /// Start of the slot, seconds since the epoch.
    pub slot_s: i64,
    pub service: String,
    pub operation: String,
    /// Whether they enter the service; else they are calls, to `peer`.
    pub enters: bool,
    pub peer: String,
    /// How many, weighted.
    pub requests: f64,
    pub errors: f64,
    /// Of them, server spans without a parent.
    pub roots: f64,
    /// Durations: buckets of the stored sketches, and how many.
    pub latency: (Vec<i16>, Vec<f64>),
}

/// Messages that a service took in a slot.
#[allow(missing_docs)]
#[derive(Clone, Debug, Row, Deserialize)]
pub struct WaitSlot {
    pub tenant: String,
    pub slot_s: i64,
    pub service: String,
    pub operation: String,
    pub requests: f64,
    /// How long they had waited.
    pub latency: (Vec<i16>, Vec<f64>),
}

/// Log lines of a pattern key in a slot.
#[allow(missing_docs)]
#[derive(Clone, Debug, Row, Deserialize)]
pub struct LineSlot {
    pub tenant: String,
    pub slot_s: i64,
    pub service: String,
    pub pattern: u64,
    pub severity: u8,
    pub lines: u64,
}

/// Calls that a service took in a minute, and those whose clocks disagree.
#[allow(missing_docs)]
#[derive(Clone, Debug, Row, Deserialize)]
pub struct ClockSlot {
    pub tenant: String,
    pub slot_s: i64,
    pub service: String,
    pub requests: f64,
    pub skewed: f64,
}

/// A call graph's edge.
#[allow(missing_docs)]
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Edge {
    pub tenant: String,
    pub source: String,
    pub target: String,
}

#[derive(Row, Deserialize)]
struct Since {
    since_s: i64,
}

/// Everything counted in a window; slots ascend in each list.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Spans.
    pub spans: Vec<SpanSlot>,
    /// Messages.
    pub waits: Vec<WaitSlot>,
    /// Lines.
    pub lines: Vec<LineSlot>,
}

impl Rolling {
    /// Counts what starts in [`from_ns`, `to_ns`), in slots of ten seconds, without the waits of messages.
    pub async fn counted(&self, from_ns: i64, to_ns: i64) -> Result<Counted, LookupError> {
        self.counted_by(SLOT_S, from_ns, to_ns).await
    }

    /// How long the messages that were taken in [`from_ns`, `to_ns`) had waited, in slots of ten seconds.
    pub async fn waits(&self, from_ns: i64, to_ns: i64) -> Result<Vec<WaitSlot>, LookupError> {
        let asked = self.ask(include_str!("watch_waits.sql")).param("from", from_ns).param("to", to_ns);
        self.all(asked.param("limit", ROWS_MAX)).await
    }

    /// Counts what starts in [`from_ns`, `to_ns`), in slots of so many seconds, without the waits of messages.
    pub async fn counted_by(&self, slot_s: i64, from_ns: i64, to_ns: i64) -> Result<Counted, LookupError> {
        let asked = |sql: &str| {
            let asked = self.ask(sql).param("from", from_ns).param("to", to_ns);
            asked.param("slot", slot_s).param("limit", ROWS_MAX)
        };
        Ok(Counted {
            spans: self.all(asked(include_str!("watch_spans.sql"))).await?,
            waits: Vec::new(),
            lines: self.all(asked(include_str!("watch_lines.sql"))).await?,
        })
    }

    /// The clocks of the minutes that start in [`from_ns`, `to_ns`).
    pub async fn clocks(&self, from_ns: i64, to_ns: i64) -> Result<Vec<ClockSlot>, LookupError> {
        let asked = self.ask(include_str!("watch_clocks.sql")).param("from", from_ns).param("to", to_ns);
        self.all(asked.param("limit", ROWS_MAX)).await
    }

    /// Who calls whom in the minutes that start in [`from_ns`, `to_ns`).
    pub async fn edges(&self, from_ns: i64, to_ns: i64) -> Result<Vec<Edge>, LookupError> {
        let asked = self.ask(include_str!("watch_edges.sql")).param("from", from_ns).param("to", to_ns);
        self.all(asked.param("limit", ROWS_MAX)).await
    }

    /// The second from which on at most `spans` spans are stored, not before `from_ns`; `None` when nothing is.
    pub async fn since(&self, from_ns: i64, spans: u64) -> Result<Option<i64>, LookupError> {
        let asked = self.ask(include_str!("watch_spans_since.sql")).param("from", from_ns).param("spans", spans);
        let rows: Vec<Since> = self.all(asked).await?;
        Ok(rows.first().map(|row| row.since_s).filter(|since_s| *since_s > 0))
    }
}
