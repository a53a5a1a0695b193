//! What the roller asks and writes: the change feed over the parts of a table, narrow spans,
//! generations of a minute's graph, progress, and the lease of the one who rolls; beside it, what the
//! keeper of log patterns does. The rows are plain
//! data: what they mean is `correlate::graph`'s business, when they are written is the root's.
//!
//! A minute is one row (schemas/0001/40_graph_minutes.sql): a generation is there whole or not at all.

mod patterns;
mod rows;
pub mod watch;

use std::time::Duration;

use clickhouse::query::Query;
use clickhouse::{Client, RowOwned, RowRead};
use model::Table;
use model::time::SECOND_NS;

pub use patterns::{EXAMPLE_BYTES, ExampleRow, KeyRow, KnownRow, PatternRow, RENEW_NS, REST_KEY};
pub use rows::{
    AnswerRow, LeaderRow, MinuteRow, MinuteState, PartRow, ProgressRow, SpanRow, TableRow, TouchedRow, WantingRow,
};

use crate::access::{LookupError, Store};
use crate::evidence::{EvidenceRow, StaleRow};
use crate::records::TenantRecord;
use crate::trouble::{code, describe};

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Memory of one question on the server.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// Above this many traces, asking the index on trace ids costs more than it spares.
const INDEXED_MAX: usize = 500;
/// Nanoseconds of a minute.
const MINUTE_NS: i64 = 60 * SECOND_NS;

/// The roller's way to ClickHouse.
#[derive(Clone)]
pub struct Rolling {
    client: Client,
    database: String,
}

/// Which of a window's spans.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All.
    All,
    /// One of several parts that keep traces whole.
    Part {
        /// Its number.
        part: u64,
        /// How many there are.
        of: u64,
    },
    /// Those of these batches; one of several parts that keep traces whole.
    Batches {
        /// Ids of the batches.
        ids: &'a [u128],
        /// The part's number.
        part: u64,
        /// How many there are.
        of: u64,
    },
    /// Those of these traces with these span ids.
    TraceIds(&'a [String], &'a [String]),
}

impl Store {
    /// The roller's way to ClickHouse: bounded in memory, one thread, so that it leaves room for others.
    ///
    /// # Errors
    /// When there is no way to it.
    pub fn rolling(&self) -> Result<Rolling, LookupError> {
        let client = self
            .roll_client()?
            .with_database(self.database())
            .with_setting("max_threads", "1")
            .with_setting("max_memory_usage", MEMORY_BYTES_MAX.to_string())
            .with_setting("max_execution_time", ANSWER_MAX.as_secs().to_string())
            .with_setting("do_not_merge_across_partitions_select_final", "1")
            .with_setting("async_insert", "0");
        Ok(Rolling { client, database: self.database().to_owned() })
    }
}

impl Rolling {
    /// Which span or log table there is; `None` without one that has parts of its own.
    pub async fn table(&self, of: Table) -> Result<Option<TableRow>, LookupError> {
        let rows: Vec<TableRow> = self.all(self.about_parts(include_str!("table.sql"), of)).await?;
        Ok(rows.into_iter().next())
    }

    /// Its parts.
    pub async fn parts(&self, of: Table) -> Result<Vec<PartRow>, LookupError> {
        self.all(self.about_parts(include_str!("parts.sql"), of)).await
    }

    /// The minutes that the parts have spans of.
    pub async fn touched(&self, parts: &[String]) -> Result<Vec<TouchedRow>, LookupError> {
        self.all(self.ask(include_str!("touched.sql")).param("parts", parts)).await
    }

    /// The minutes that refer to a span of the parts, each with the traces (low halves) of what came.
    pub async fn wanting(&self, parts: &[String]) -> Result<Vec<WantingRow>, LookupError> {
        self.all(self.ask(include_str!("wanting.sql")).param("parts", parts)).await
    }

    /// How many spans each minute of [first, last] has, as (minute, spans).
    pub async fn counts(&self, tenant: &str, first: i64, last: i64) -> Result<Vec<(i64, u64)>, LookupError> {
        let query = self
            .of(include_str!("counts.sql"), tenant)
            .param("from", first * MINUTE_NS)
            .param("to", (last + 1) * MINUTE_NS);
        let rows: Vec<rows::Count> = self.all(query).await?;
        Ok(rows.into_iter().map(|row| (row.minute, row.spans)).collect())
    }

    /// What is known of the minutes, where they have been rolled.
    pub async fn states(&self, tenant: &str, minutes: &[i64]) -> Result<Vec<MinuteState>, LookupError> {
        self.all(self.of(include_str!("states.sql"), tenant).param("minutes", minutes)).await
    }

    /// References that were looked for in vain when the minutes were rolled last, by this version of the
    /// rules, as (minute, trace, span id). `found` is the reason of those that were found.
    pub async fn missing(
        &self,
        tenant: &str,
        minutes: &[i64],
        rule: u16,
        found: &str,
    ) -> Result<Vec<(i64, u64, u64)>, LookupError> {
        let query = self.of(include_str!("missing.sql"), tenant);
        let query = query.param("minutes", minutes).param("rule", rule).param("found", found);
        let rows: Vec<rows::Reference> = self.all(query).await?;
        Ok(rows.into_iter().map(|row| (row.minute, row.low, row.id)).collect())
    }

    /// The answers of other minutes that name these.
    pub async fn answers(&self, tenant: &str, minutes: &[i64]) -> Result<Vec<AnswerRow>, LookupError> {
        self.all(self.of(include_str!("answers.sql"), tenant).param("minutes", minutes)).await
    }

    /// Hands the spans that start in [`from_ns`, `to_ns`) to `each`.
    pub async fn spans(
        &self,
        tenant: &str,
        (from_ns, to_ns): (i64, i64),
        which: Which<'_>,
        mut each: impl FnMut(&SpanRow<'_>),
    ) -> Result<(), LookupError> {
        let condition = match which {
            Which::All => "",
            Which::Part { .. } => "AND cityHash64(substring(TraceId, 17)) % {of:UInt64} = {part:UInt64}",
            Which::Batches { of: 1, .. } => "AND BatchId IN {batches:Array(UInt128)}",
            Which::Batches { .. } => {
                "AND BatchId IN {batches:Array(UInt128)} AND cityHash64(substring(TraceId, 17)) % {of:UInt64} = {part:UInt64}"
            }
            Which::TraceIds(..) => "AND TraceId IN {traces:Array(String)} AND SpanId IN {ids:Array(String)}",
        };
        let sql = include_str!("spans.sql").replace("--[which]", condition);
        let query = self
            .of(&sql, tenant)
            .param("from", from_ns)
            .param("to", to_ns)
            .param("shared", model::mark::SHARED)
            .param("limit", u64::MAX);
        let query = match which {
            Which::All => query,
            Which::Part { part, of } => query.param("part", part).param("of", of),
            Which::Batches { ids, part, of } => {
                let ids: Vec<String> = ids.iter().map(u128::to_string).collect();
                let query = query.param("batches", format!("[{}]", ids.join(",")));
                if of == 1 { query } else { query.param("part", part).param("of", of) }
            }
            Which::TraceIds(traces, ids) => {
                let query = query.param("traces", traces).param("ids", ids);
                if traces.len() > INDEXED_MAX { query.with_setting("use_skip_indexes", "0") } else { query }
            }
        };
        let mut rows = query.fetch::<SpanRow<'_>>().map_err(|error| trouble(&error))?;
        bounded(async {
            while let Some(row) = rows.next().await? {
                each(&row);
            }
            Ok(())
        })
        .await
    }

    /// The batches that brought the spans that start in [`from_ns`, `to_ns`), and how many each.
    pub async fn batches(&self, tenant: &str, (from_ns, to_ns): (i64, i64)) -> Result<Vec<(u128, u64)>, LookupError> {
        let query = self.of(include_str!("batches.sql"), tenant).param("from", from_ns).param("to", to_ns);
        let rows: Vec<rows::BatchCount> = self.all(query).await?;
        Ok(rows.into_iter().map(|row| (row.batch, row.spans)).collect())
    }

    /// Where in time traces lie, as (trace id, first, end) in nanoseconds, by the trace index.
    pub async fn ranges(&self, tenant: &str, ids: &[String]) -> Result<Vec<(String, i64, i64)>, LookupError> {
        let rows: Vec<rows::Range> = self.all(self.of(include_str!("ranges.sql"), tenant).param("ids", ids)).await?;
        let range = |row: rows::Range| (row.trace_id, row.first_s * SECOND_NS, (row.last_s + 1) * SECOND_NS);
        Ok(rows.into_iter().map(range).collect())
    }

    /// Writes generations.
    pub async fn write_minutes(&self, minutes: &[MinuteRow]) -> Result<(), LookupError> {
        self.insert("graph_minutes", minutes).await
    }

    /// Which blocks of a table are rolled up.
    pub async fn progress(&self, table: &str) -> Result<Vec<ProgressRow>, LookupError> {
        self.all(self.ask(include_str!("progress.sql")).param("table", table)).await
    }

    /// Notes which blocks of a table are rolled up.
    pub async fn write_progress(
        &self,
        table: &str,
        generation: u64,
        progress: &[ProgressRow],
    ) -> Result<(), LookupError> {
        let rows: Vec<rows::ProgressInsert> = progress
            .iter()
            .map(|row| rows::ProgressInsert {
                table: table.to_owned(),
                partition: row.partition.clone(),
                first: row.first.clone(),
                last: row.last.clone(),
                generation,
            })
            .collect();
        self.insert("graph_progress", &rows).await
    }

    /// Who rolls.
    pub async fn leader(&self) -> Result<Option<LeaderRow>, LookupError> {
        self.all(self.ask(include_str!("leader.sql"))).await.map(|rows: Vec<LeaderRow>| rows.into_iter().next())
    }

    /// Takes or renews the lease.
    pub async fn lease(&self, epoch: u64, owner: u64, length: Duration) -> Result<(), LookupError> {
        let query = self.ask(include_str!("lease.sql")).param("epoch", epoch).param("owner", owner);
        bounded(query.param("lease_ms", length.as_millis() as u64).execute()).await
    }

    /// Minutes written by others than `writer` under generation `generation` or later, and, unless `rule`
    /// is 0, those of other rules.
    pub async fn strangers(&self, generation: u64, writer: u64, rule: u16) -> Result<Vec<(String, i64)>, LookupError> {
        let query = self.ask(include_str!("strangers.sql")).param("generation", generation);
        let rows: Vec<rows::TenantMinute> = self.all(query.param("writer", writer).param("rule", rule)).await?;
        Ok(rows.into_iter().map(|row| (row.tenant, row.minute)).collect())
    }

    /// Minutes whose evidence is missing, or older than their spans or the rule; not before `after` has passed.
    pub async fn stale_evidence(&self, rule: u16, after: Duration, limit: u64) -> Result<Vec<StaleRow>, LookupError> {
        let query = self.ask(include_str!("stale.sql")).param("rule", rule).param("after_s", after.as_secs());
        self.all(query.param("limit", limit)).await
    }

    /// Writes the evidence of minutes.
    pub async fn write_evidence(&self, rows: &[EvidenceRow]) -> Result<(), LookupError> {
        self.insert("evidence_minutes", rows).await
    }

    pub(crate) async fn records_of_all(&self, kind: &str, limit: u64) -> Result<Vec<TenantRecord>, LookupError> {
        self.all(self.ask(include_str!("records_of_all.sql")).param("kind", kind).param("limit", limit)).await
    }

    fn ask(&self, sql: &str) -> Query {
        self.client.query(sql)
    }

    fn of(&self, sql: &str, tenant: &str) -> Query {
        self.ask(sql).param("tenant", tenant)
    }

    fn about_parts(&self, sql: &str, of: Table) -> Query {
        self.ask(sql).param("database", &self.database).param("table", of.def().name)
    }

    async fn all<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, LookupError> {
        bounded(query.fetch_all()).await
    }

    pub(crate) async fn insert<T>(&self, table: &str, rows: &[T]) -> Result<(), LookupError>
    where
        T: RowOwned + clickhouse::RowWrite,
    {
        if rows.is_empty() {
            return Ok(());
        }
        bounded(async {
            let mut insert = self.client.insert::<T>(table).await?;
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        })
        .await
    }
}

async fn bounded<T>(asked: impl Future<Output = clickhouse::error::Result<T>>) -> Result<T, LookupError> {
    match tokio::time::timeout(ANSWER_MAX, asked).await {
        Ok(answer) => answer.map_err(|error| trouble(&error)),
        Err(_) => Err(LookupError::Failed(format!("no answer within {ANSWER_MAX:?}"))),
    }
}

fn trouble(error: &clickhouse::error::Error) -> LookupError {
    match code(error) {
        Some(_) => LookupError::Refused(describe(error)),
        None => LookupError::Failed(describe(error)),
    }
}
