//! The small tables beside the signals: the trace index, the loss ledger, the dead letters.

use crate::column::ColumnRef::*;
use crate::table::{ROW_VERSION, columns};
use crate::text::{DictColumn, StrColumn, held};

/// Trace index rows: one per trace and block.
#[derive(Clone, Debug, Default)]
pub struct TraceIndex {
    /// Trace id.
    pub trace_id: Vec<[u8; 16]>,
    /// First event, seconds since the epoch, rounded down.
    pub start: Vec<u32>,
    /// Last event, seconds since the epoch, rounded up.
    pub end: Vec<u32>,
    /// Spans.
    pub spans: Vec<u32>,
    /// Log records.
    pub logs: Vec<u32>,
}

/// Loss ledger rows: what was refused, cut or set aside.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// When, nanoseconds since the epoch.
    pub time: Vec<i64>,
    /// Who sent it.
    pub sender: DictColumn,
    /// Signal: traces, logs, metrics.
    pub signal: DictColumn,
    /// Reason code.
    pub reason: DictColumn,
    /// Outcome: refused, altered or set_aside.
    pub outcome: DictColumn,
    /// How many items.
    pub items: Vec<u64>,
    /// One example in words.
    pub example: StrColumn,
}

/// Rows that ClickHouse refused for good, kept readable.
#[derive(Clone, Debug, Default)]
pub struct DeadLetters {
    /// When the row was set aside, nanoseconds since the epoch.
    pub time: Vec<i64>,
    /// The table that refused it.
    pub table: DictColumn,
    /// What ClickHouse said.
    pub reason: StrColumn,
    /// The row, as JSON.
    pub row: StrColumn,
}

columns! {
    /// `otel_traces_trace_id_ts`: where in time a trace lies, and how much of it there is.
    static TRACE_INDEX = "otel_traces_trace_id_ts" for TraceIndex, |i, c| {
        "TraceId", "String", "ZSTD(1)", "trace id, 32 hex digits" => TraceIds(&i.trace_id);
        "Start", "DateTime", "Delta(4), ZSTD(1)", "first event, rounded down" => U32(&i.start);
        "End", "DateTime", "Delta(4), ZSTD(1)", "last event, rounded up" => U32(&i.end);
        "Spans", "UInt32", "ZSTD(1)", "spans of the trace in this insert" => U32(&i.spans);
        "Logs", "UInt32", "ZSTD(1)", "log records of the trace in this insert" => U32(&i.logs);
        "Tenant", "LowCardinality(String)", "ZSTD(1)", "tenant, or empty" => SameText(&c.envelope.tenant);
        "RetentionClass", "LowCardinality(String)", "ZSTD(1)", "retention class; empty is the default" => SameText("");
        "ReceivedAt", "DateTime64(9)", "ZSTD(1)", "when the latest request of the insert arrived" => SameI64(c.envelope.received_ns);
        "BatchId", "UInt128", "ZSTD(1)", "the insert that brought the row" => BatchId;
        "RowVersion", "UInt8", "ZSTD(1)", "version of the row's encoding" => SameU8(ROW_VERSION);
    }
}

columns! {
    /// `loss_ledger`: every item that was refused, cut or set aside, by sender and reason.
    static LEDGER = "loss_ledger" for Ledger, |r, c| {
        "Timestamp", "DateTime64(9)", "Delta(8), ZSTD(1)", "when" => I64(&r.time);
        "Sender", "LowCardinality(String)", "ZSTD(1)", "address and program of the sender" => Dict(&r.sender);
        "Signal", "LowCardinality(String)", "ZSTD(1)", "traces, logs or metrics" => Dict(&r.signal);
        "Reason", "LowCardinality(String)", "ZSTD(1)", "reason code" => Dict(&r.reason);
        "Outcome", "LowCardinality(String)", "ZSTD(1)", "refused, altered, set_aside or repeated" => Dict(&r.outcome);
        "Items", "UInt64", "ZSTD(1)", "how many items" => U64(&r.items);
        "Example", "String", "ZSTD(1)", "one example in words" => Str(&r.example);
        "Tenant", "LowCardinality(String)", "ZSTD(1)", "tenant, or empty" => SameText(&c.envelope.tenant);
        "RetentionClass", "LowCardinality(String)", "ZSTD(1)", "retention class; empty is the default" => SameText("");
        "ReceivedAt", "DateTime64(9)", "Delta(8), ZSTD(1)", "when the entry was written" => SameI64(c.envelope.received_ns);
        "BatchId", "UInt128", "ZSTD(1)", "the insert that brought the row" => BatchId;
        "RowVersion", "UInt8", "ZSTD(1)", "version of the row's encoding" => SameU8(ROW_VERSION);
    }
}

columns! {
    /// `dead_letters`: rows that ClickHouse refused for good.
    static DEAD_LETTERS = "dead_letters" for DeadLetters, |d, c| {
        "Timestamp", "DateTime64(9)", "Delta(8), ZSTD(1)", "when the row was set aside" => I64(&d.time);
        "Table", "LowCardinality(String)", "ZSTD(1)", "table that refused it" => Dict(&d.table);
        "Reason", "String", "ZSTD(1)", "what ClickHouse said" => Str(&d.reason);
        "Row", "String", "ZSTD(1)", "the row as JSON" => Str(&d.row);
        "Tenant", "LowCardinality(String)", "ZSTD(1)", "tenant, or empty" => SameText(&c.envelope.tenant);
        "RetentionClass", "LowCardinality(String)", "ZSTD(1)", "retention class; empty is the default" => SameText("");
        "ReceivedAt", "DateTime64(9)", "Delta(8), ZSTD(1)", "when the row was set aside" => SameI64(c.envelope.received_ns);
        "BatchId", "UInt128", "ZSTD(1)", "the insert that brought the row" => BatchId;
        "RowVersion", "UInt8", "ZSTD(1)", "version of the row's encoding" => SameU8(ROW_VERSION);
    }
}

impl Ledger {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Ledger { time, sender, signal, reason, outcome, items, example } = self;
        held(time)
            + sender.heap_bytes()
            + signal.heap_bytes()
            + reason.heap_bytes()
            + outcome.heap_bytes()
            + held(items)
            + example.heap_bytes()
    }
}

impl DeadLetters {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let DeadLetters { time, table, reason, row } = self;
        held(time) + table.heap_bytes() + reason.heap_bytes() + row.heap_bytes()
    }
}
