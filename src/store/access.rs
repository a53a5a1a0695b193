//! The way to ClickHouse: [`Store`]. Inserts sealed blocks, says whether a batch is there, and gives
//! the questions a client that is bounded and read only.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use clickhouse::{Client, Row};
use model::time::SECOND_NS;
use model::{BatchId, Table};
use prometheus_client::registry::Registry;
use serde::Deserialize;
use tokio::sync::watch;

use crate::block::SealedBlock;
use crate::client::{Connections, Unavailable};
use crate::config::{Config, Endpoint};
use crate::metrics::Metrics;
use crate::pack::Packer;
use crate::schema::{self, Entry, Guarantee, SchemaError, quoted, time_column};
use crate::trouble::{InsertError, code, describe};

/// ClickHouse, embedded or remote. Clones share connections.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    config: Config,
    connections: Connections,
    entries: RwLock<Vec<Entry>>,
    metrics: Metrics,
}

/// The configuration cannot work.
#[derive(Debug, thiserror::Error)]
#[error("the database name `{0}` cannot be used: it must be an identifier other than `default` and `system`")]
pub struct BadDatabase(String);

/// ClickHouse did not answer a look-up.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// No way to it.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// It failed on the way, or took too long.
    #[error("asking ClickHouse failed: {0}")]
    Failed(String),
    /// ClickHouse is there and answers with an error.
    #[error("asking ClickHouse failed: {0}")]
    Refused(String),
    /// An insert of one of the batches is still running there.
    #[error("an insert of the batch is still running")]
    StillRunning,
}

/// A server in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct ServerInfo {
    /// Version, such as `26.7.2.1`.
    pub version: String,
    /// Time zone.
    pub timezone: String,
    /// Whether that is UTC by another name.
    pub is_utc: bool,
}

/// How large a table is.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct TableSize {
    /// Name.
    pub table: String,
    /// Rows.
    pub rows: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Active parts.
    pub parts: u64,
}

#[derive(Row, Deserialize)]
struct BatchRow {
    #[serde(rename = "BatchId")]
    batch: u128,
}

/// A chunk that is not taken for so long: the server is stopped or gone.
const STALL_MAX: Duration = Duration::from_secs(15);
/// Longest wait for a look-up.
const LOOKUP_MAX: Duration = Duration::from_secs(15);
/// Far above any block of ours: a block is never cut or joined with another on its way in.
const BLOCK_ROWS: &str = "100000000";

impl Store {
    /// A store at `endpoint`, which may come later and may change. Nothing is connected yet.
    ///
    /// # Errors
    /// When the database name is not an identifier of its own.
    pub fn new(
        config: Config,
        endpoint: watch::Receiver<Option<Endpoint>>,
        registry: &mut Registry,
    ) -> Result<Store, BadDatabase> {
        let name = &config.database;
        let identifier = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if name.is_empty() || !identifier || name == "default" || name == "system" {
            return Err(BadDatabase(name.clone()));
        }
        let metrics = Metrics::default();
        metrics.register(registry);
        let whole =
            |table: Table| Entry { wanted: vec![true; table.def().columns.len()], guarantee: Guarantee::ExactlyOnce };
        let entries = RwLock::new(Table::ALL.into_iter().map(whole).collect());
        let connections = Connections::new(config.clone(), endpoint);
        Ok(Store(Arc::new(Inner { config, connections, entries, metrics })))
    }

    /// Makes and completes the tables. May be repeated at any time.
    pub async fn apply_schema(&self) -> Result<(), SchemaError> {
        let applied = match self.0.connections.clients() {
            Ok(clients) => schema::apply(&clients.own, &self.0.config).await,
            Err(error) => Err(error.into()),
        };
        self.0.metrics.schema_applied(if applied.is_ok() { "done" } else { "failed" });
        *self.0.entries.write().unwrap_or_else(PoisonError::into_inner) = applied?;
        Ok(())
    }

    /// What inserts into each table are worth, as found when the schema was applied last.
    pub fn guarantees(&self) -> Vec<(Table, Guarantee)> {
        let entries = self.0.entries.read().unwrap_or_else(PoisonError::into_inner);
        Table::ALL.into_iter().zip(entries.iter().map(|entry| entry.guarantee.clone())).collect()
    }

    /// Inserts a sealed block. Its batch id is the deduplication token: repeating the same block is
    /// safe while this process and the server's live.
    pub async fn insert(&self, block: &SealedBlock) -> Result<(), InsertError> {
        let native = &block.native;
        if native.rows() == 0 {
            return Ok(());
        }
        let began = Instant::now();
        let sent = tokio::time::timeout(self.0.config.insert_timeout, self.send(block)).await;
        let outcome = sent
            .unwrap_or_else(|_| Err(InsertError::Lost(format!("no answer within {:?}", self.0.config.insert_timeout))));
        match &outcome {
            Ok(()) => {
                self.0.metrics.inserted(block.table, native.rows(), native.bytes(), began.elapsed().as_secs_f64())
            }
            Err(error) => self.0.metrics.failed(block.table, error.class()),
        }
        outcome
    }

    async fn send(&self, block: &SealedBlock) -> Result<(), InsertError> {
        let clients = self.0.connections.clients().map_err(|error| InsertError::Retry(error.to_string()))?;
        let wanted = self.entry(block.table).wanted;
        let columns: Vec<String> = block
            .table
            .def()
            .columns
            .iter()
            .zip(&wanted)
            .filter(|(_, wanted)| **wanted)
            .map(|(column, _)| quoted(column.name))
            .collect();
        let sql = format!(
            "INSERT INTO {}.{} ({}) FORMAT Native",
            quoted(&self.0.config.database),
            block.table.def().name,
            columns.join(", ")
        );
        let failed = |error: clickhouse::error::Error| InsertError::from_server(&error);
        let mut insert = clients
            .insert
            .insert_formatted_with(sql)
            .with_setting("query_id", query_id(block.table, block.batch))
            .with_setting("async_insert", "0")
            .with_setting("insert_deduplicate", "1")
            .with_setting("insert_deduplication_token", block.batch.to_string())
            .with_setting("max_insert_block_size", BLOCK_ROWS)
            .with_setting("min_insert_block_size_rows", BLOCK_ROWS)
            .with_setting("min_insert_block_size_bytes", "0")
            .with_setting("max_insert_threads", "1")
            .with_setting("input_format_parallel_parsing", "0")
            .with_setting("wait_end_of_query", "1")
            .with_timeouts(Some(STALL_MAX), Some(self.0.config.insert_timeout));
        let mut packer = Packer::default();
        for chunk in block.native.chunks(&|at| wanted[at]) {
            let chunk = match clients.packs {
                true => packer.pack(&chunk).map_err(|error| InsertError::Retry(format!("packing a block: {error}")))?,
                false => chunk,
            };
            insert.send(chunk).await.map_err(failed)?;
        }
        insert.end().await.map_err(failed)
    }

    /// Whether the batch is in the table. `times_ns` bounds where its rows can lie.
    ///
    /// # Errors
    /// When ClickHouse cannot say, also while an insert of the batch is still running there.
    pub async fn is_present(&self, table: Table, batch: BatchId, times_ns: (i64, i64)) -> Result<bool, LookupError> {
        Ok(self.present(table, &[batch], times_ns).await?.contains(&batch))
    }

    /// Which of the batches are in the table.
    ///
    /// # Errors
    /// As [`Store::is_present`].
    pub async fn present(
        &self,
        table: Table,
        batches: &[BatchId],
        times_ns: (i64, i64),
    ) -> Result<HashSet<BatchId>, LookupError> {
        let found = self.look_up(table, batches, times_ns).await;
        match &found {
            Ok(found) => {
                self.0.metrics.looked_up("present", found.len());
                self.0.metrics.looked_up("absent", batches.len().saturating_sub(found.len()));
            }
            Err(_) => self.0.metrics.looked_up("failed", batches.len()),
        }
        found
    }

    async fn look_up(
        &self,
        table: Table,
        batches: &[BatchId],
        (from_ns, to_ns): (i64, i64),
    ) -> Result<HashSet<BatchId>, LookupError> {
        let has_ids = table
            .def()
            .columns
            .iter()
            .zip(self.entry(table).wanted)
            .any(|(column, has)| has && column.name == "BatchId");
        if !has_ids || batches.is_empty() {
            return Ok(HashSet::new());
        }
        let own = self.own()?;
        // An insert of the process before this one may still be on its way into the table.
        let queries: Vec<String> = batches.iter().map(|batch| query_id(table, *batch)).collect();
        let running = own.query(include_str!("sql/running.sql")).param("queries", queries);
        if answer(running.fetch_one::<u64>()).await? > 0 {
            return Err(LookupError::StillRunning);
        }
        let ids: Vec<String> = batches.iter().map(|batch| batch.0.to_string()).collect();
        let query = own
            .query(include_str!("sql/present.sql"))
            .param("database", &self.0.config.database)
            .param("table", table.def().name)
            .param("time", time_column(table))
            .with_setting("param_batches", format!("[{}]", ids.join(",")))
            // The trace index rounds to seconds.
            .param("from", from_ns.saturating_sub(SECOND_NS))
            .param("to", to_ns.saturating_add(SECOND_NS));
        let rows = answer(query.fetch_all::<BatchRow>()).await?;
        Ok(rows.into_iter().map(|row| BatchId(row.batch)).collect())
    }

    /// Leaves a marker in the server's memory, by which it is known to be the same process later.
    pub async fn mark_incarnation(&self, marker: u64) -> Result<(), LookupError> {
        let own = self.own()?;
        let database = &self.0.config.database;
        answer(own.query(include_str!("sql/incarnation_table.sql")).param("database", database).execute()).await?;
        let mark =
            own.query(include_str!("sql/incarnation_mark.sql")).param("database", database).param("marker", marker);
        answer(mark.execute()).await
    }

    /// Whether the server is still the process that was marked.
    pub async fn is_incarnation(&self, marker: u64) -> Result<bool, LookupError> {
        let known = self.own()?.query(include_str!("sql/incarnation_known.sql"));
        let known = known.param("database", &self.0.config.database).param("marker", marker);
        Ok(answer(known.fetch_one::<u64>()).await? > 0)
    }

    /// A client for questions: in our database, read only, bounded, and cancelled when dropped.
    pub fn client(&self) -> Result<Client, Unavailable> {
        Ok(self.0.connections.clients()?.read)
    }

    /// A client for work in the background: one thread, bounded in memory, patient.
    ///
    /// # Errors
    /// When there is no way to it.
    pub fn background_client(&self) -> Result<Client, Unavailable> {
        let client = self.0.connections.clients()?.roll;
        let settings = [("max_threads", "1"), ("max_memory_usage", "1073741824"), ("max_execution_time", "120")];
        let client = client.with_database(self.database());
        Ok(settings.into_iter().fold(client, |client, (name, value)| client.with_setting(name, value)))
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.0.config.database
    }

    /// Whether ClickHouse answers.
    pub async fn ping(&self) -> Result<(), LookupError> {
        answer(self.own()?.query("SELECT 1").fetch_one::<u8>()).await.map(drop)
    }

    /// The store's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// What the server says of itself.
    pub async fn server_info(&self) -> Result<ServerInfo, LookupError> {
        answer(self.own()?.query(include_str!("sql/server.sql")).fetch_one()).await
    }

    /// How large the tables of our database are.
    pub async fn table_sizes(&self) -> Result<Vec<TableSize>, LookupError> {
        let query = self.own()?.query(include_str!("sql/sizes.sql")).param("database", &self.0.config.database);
        answer(query.fetch_all()).await
    }

    pub(crate) fn roll_client(&self) -> Result<Client, LookupError> {
        Ok(self.0.connections.clients()?.roll)
    }

    fn own(&self) -> Result<Client, LookupError> {
        Ok(self.0.connections.clients()?.own)
    }

    fn entry(&self, table: Table) -> Entry {
        let at = Table::ALL.iter().position(|of| *of == table).unwrap_or_default();
        self.0.entries.read().unwrap_or_else(PoisonError::into_inner)[at].clone()
    }
}

// A repeat while the first try is still running there is refused by ClickHouse, and tried again.
fn query_id(table: Table, batch: BatchId) -> String {
    format!("hypocenter-{}-{batch}", table as u8)
}

async fn answer<T>(asked: impl Future<Output = clickhouse::error::Result<T>>) -> Result<T, LookupError> {
    match tokio::time::timeout(LOOKUP_MAX, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) if code(&error).is_some() => Err(LookupError::Refused(describe(&error))),
        Ok(Err(error)) => Err(LookupError::Failed(describe(&error))),
        Err(_) => Err(LookupError::Failed(format!("no answer within {LOOKUP_MAX:?}"))),
    }
}
