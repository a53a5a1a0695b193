//! The schema in ClickHouse: made where it is missing, completed where another program (the
//! OpenTelemetry ClickHouse exporter) made the tables first, kept at the configured retention. Every
//! step can be repeated and can meet another collector that does the same at the same time.

use std::time::Duration;

use clickhouse::{Client, Row};
use model::{ColumnDef, Table};
use serde::Deserialize;
use tracing::{debug, info, warn};

use crate::access::ServerInfo;
use crate::config::Config;
use crate::trouble::{code, describe};

/// Version of the schema in `schemas/`; every version is additive.
pub const SCHEMA_VERSION: u32 = 1;

/// The statements of the schema, in order.
const STATEMENTS: &[(Option<Table>, &str)] = &[
    (None, include_str!("../../schemas/0001/01_schema_version.sql")),
    (Some(Table::Traces), include_str!("../../schemas/0001/10_otel_traces.sql")),
    (Some(Table::Logs), include_str!("../../schemas/0001/11_otel_logs.sql")),
    (Some(Table::TraceIndex), include_str!("../../schemas/0001/12_otel_traces_trace_id_ts.sql")),
    (Some(Table::Gauge), include_str!("../../schemas/0001/20_otel_metrics_gauge.sql")),
    (Some(Table::Sum), include_str!("../../schemas/0001/21_otel_metrics_sum.sql")),
    (Some(Table::Histogram), include_str!("../../schemas/0001/22_otel_metrics_histogram.sql")),
    (Some(Table::ExponentialHistogram), include_str!("../../schemas/0001/23_otel_metrics_exponential_histogram.sql")),
    (Some(Table::Summary), include_str!("../../schemas/0001/24_otel_metrics_summary.sql")),
    (Some(Table::Ledger), include_str!("../../schemas/0001/30_loss_ledger.sql")),
    (Some(Table::DeadLetters), include_str!("../../schemas/0001/31_dead_letters.sql")),
];
/// What is derived from the tables above, and what is said of it, each with its name, in order. Their columns are
/// described by `rollup` and `records`, which alone write them.
const DERIVED: &[(&str, &str)] = &[
    ("graph_minutes", include_str!("../../schemas/0001/40_graph_minutes.sql")),
    ("graph_edges", include_str!("../../schemas/0001/41_graph_edges.sql")),
    ("graph_nodes", include_str!("../../schemas/0001/42_graph_nodes.sql")),
    ("graph_progress", include_str!("../../schemas/0001/43_graph_progress.sql")),
    ("graph_lease", include_str!("../../schemas/0001/44_graph_lease.sql")),
    ("evidence_minutes", include_str!("../../schemas/0001/50_evidence_minutes.sql")),
    ("log_patterns", include_str!("../../schemas/0001/60_log_patterns.sql")),
    ("log_pattern_ids", include_str!("../../schemas/0001/61_log_pattern_ids.sql")),
    ("records", include_str!("../../schemas/0001/70_records.sql")),
];
/// What is known of a pattern is kept so much longer than its logs: it is noted again that there are any
/// only once a day ([`crate::rollup::RENEW_NS`]).
const PATTERN_SLACK: Duration = Duration::from_secs(2 * 86_400);
const DATABASE: &str = include_str!("../../schemas/0001/00_database.sql");

/// What an insert into a table is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Every accepted row is in the table once.
    ExactlyOnce,
    /// Every accepted row is in the table; after trouble some may be there twice, or in part.
    AtLeastOnce {
        /// What the table lacks.
        reason: String,
    },
}

/// How rows get into a table as it is.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Which columns of the column table it has.
    pub(crate) wanted: Vec<bool>,
    pub(crate) guarantee: Guarantee,
}

/// Why the schema could not be applied; trying again is right in every case.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// No way to ClickHouse.
    #[error(transparent)]
    Unavailable(#[from] crate::client::Unavailable),
    /// ClickHouse refused a step.
    #[error("{step}: {reason}")]
    Refused {
        /// What was being done.
        step: String,
        /// What ClickHouse said.
        reason: String,
    },
    /// A table was made by another program in a way that cannot be joined.
    #[error(
        "table {table} was made by another program, and its column {column} is {found} instead of {wanted}; rename the table or set `storage.database`"
    )]
    Foreign {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Its type there.
        found: String,
        /// Our type.
        wanted: &'static str,
    },
}

/// Applies the schema; gives how rows get into each table, in the order of [`Table::ALL`].
pub(crate) async fn apply(client: &Client, config: &Config) -> Result<Vec<Entry>, SchemaError> {
    let mut tries = 0;
    loop {
        match (Application { client, config }).run().await {
            // Another collector was quicker at a step: look again.
            Err(Step { error, race: true, .. }) if tries < 5 => {
                tries += 1;
                info!(%error, "another program changes the schema at the same time; looking again");
                tokio::time::sleep(Duration::from_millis(50 << tries)).await;
            }
            Err(step) => return Err(step.error),
            Ok(entries) => return Ok(entries),
        }
    }
}

struct Application<'a> {
    client: &'a Client,
    config: &'a Config,
}

struct Step {
    error: SchemaError,
    race: bool,
    /// ClickHouse understood and said no; trying again changes nothing by itself.
    refused: bool,
}

#[derive(Debug, Row, Deserialize)]
struct TableRow {
    name: String,
    engine: String,
    engine_full: String,
    partition_key: String,
}

#[derive(Debug, Row, Deserialize)]
struct ColumnRow {
    table: String,
    name: String,
    r#type: String,
}

impl Application<'_> {
    async fn run(&self) -> Result<Vec<Entry>, Step> {
        let server: ServerInfo = self.ask("asking for the server's version", include_str!("sql/server.sql")).await?;
        let databases: u64 = self.ask("looking for the database", include_str!("sql/databases.sql")).await?;
        if databases == 0 {
            self.execute("making the database", DATABASE).await?;
        }
        let mut tables = self.tables().await?;
        for (table, statement) in STATEMENTS {
            let name = table.map_or("schema_version", |table| table.def().name);
            if !tables.iter().any(|row| row.name == name) {
                let statement = as_known_to(statement, &server.version);
                self.execute(&format!("making table {name}"), &statement).await?;
            }
        }
        for (name, statement) in DERIVED.iter().filter(|(name, _)| tables.iter().all(|row| row.name != *name)) {
            self.execute(&format!("making table {name}"), statement).await?;
        }
        tables = self.tables().await?;
        let columns = self.columns().await?;
        let mut entries = Vec::new();
        for table in Table::ALL {
            let present = tables.iter().find(|row| row.name == table.def().name);
            match present {
                Some(present) => entries.push(self.join(table, present, &columns, &server).await?),
                None => return Err(Step::race(format!("table {} has gone", table.def().name))),
            }
        }
        let retention = &self.config.retention;
        for (name, later, kept, slack) in [
            ("graph_minutes", "greatest(Minute, RolledAt)", retention.graph, Duration::ZERO),
            ("evidence_minutes", "greatest(Minute, RolledAt)", retention.graph, Duration::ZERO),
            ("log_patterns", "greatest(LastSeen, WrittenAt)", retention.logs, PATTERN_SLACK),
            ("log_pattern_ids", "WrittenAt", retention.logs, PATTERN_SLACK),
        ] {
            if let Some(present) = tables.iter().find(|row| row.name == name) {
                let seconds = kept.saturating_add(slack).as_secs().min(TTL_SECONDS_MAX);
                let wanted = (!kept.is_zero()).then(|| expiry(later, seconds));
                self.follow_retention(name, present, wanted).await?;
            }
        }
        self.note_version().await?;
        Ok(entries)
    }

    // Brings one table to what we need; what is not allowed there lowers the guarantee.
    async fn join(
        &self,
        table: Table,
        present: &TableRow,
        columns: &[ColumnRow],
        server: &ServerInfo,
    ) -> Result<Entry, Step> {
        let def = table.def();
        let mut found: Vec<&ColumnRow> = columns.iter().filter(|row| row.table == def.name).collect();
        let missing: Vec<&ColumnDef> =
            def.columns.iter().filter(|column| found.iter().all(|row| row.name != column.name)).collect();
        let mut weak = Vec::new();
        let again;
        if !missing.is_empty() {
            info!(
                table = def.name,
                columns = missing.len(),
                "another program made this table: adding the missing columns"
            );
            if self
                .change(def.name, &additions(&missing))
                .await?
                .is_err_and(|reason| note(&mut weak, table, "columns cannot be added", &reason))
            {
                warn!(table = def.name, "rows will be stored without the missing columns");
            } else {
                again = self.columns().await?;
                found = again.iter().filter(|row| row.table == def.name).collect();
            }
        }
        check_types(table, &found)?;
        let settings = missing_settings(present);
        if !settings.is_empty()
            && let Err(reason) = self.change(def.name, &format!("MODIFY SETTING {}", settings.join(", "))).await?
        {
            note(&mut weak, table, "its settings cannot be changed", &reason);
        }
        if !present.engine.ends_with("MergeTree") {
            weak.push(format!("its engine {} does not recognise repeated inserts", present.engine));
        }
        if !is_partitioned_as_ours(table, &present.partition_key, server.is_utc) {
            weak.push(format!(
                "it is partitioned by {}, so that one insert may become several parts",
                present.partition_key
            ));
        }
        self.set_retention(table, present, &found).await?;
        let wanted = def.columns.iter().map(|column| found.iter().any(|row| row.name == column.name)).collect();
        let guarantee = match weak.is_empty() {
            true => Guarantee::ExactlyOnce,
            false => Guarantee::AtLeastOnce { reason: weak.join("; ") },
        };
        Ok(Entry { wanted, guarantee })
    }

    async fn set_retention(&self, table: Table, present: &TableRow, columns: &[&ColumnRow]) -> Result<(), Step> {
        let has_receipt = columns.iter().any(|row| row.name == "ReceivedAt");
        let wanted = ttl(table, &self.config.retention, has_receipt);
        self.follow_retention(table.def().name, present, wanted).await
    }

    async fn follow_retention(&self, table: &str, present: &TableRow, wanted: Option<String>) -> Result<(), Step> {
        let found = present_ttl(&present.engine_full);
        if !present.engine.ends_with("MergeTree") || wanted.as_deref() == found {
            return Ok(());
        }
        let change = wanted.as_ref().map_or_else(|| "REMOVE TTL".to_owned(), |ttl| format!("MODIFY TTL {ttl}"));
        match self.change(table, &change).await? {
            // A table just made has none yet: nothing changed for anybody.
            Ok(()) if found.is_none() => debug!(table, change, "the retention was set"),
            Ok(()) => info!(table, change, "the retention was changed"),
            Err(reason) => warn!(table, %reason, "the retention cannot be changed"),
        }
        // Parts remember when they expire; have them look again, without being rewritten.
        if found.is_some()
            && wanted.is_some()
            && let Err(reason) = self.change(table, "MATERIALIZE TTL").await?
        {
            warn!(table, %reason, "stored parts keep their old retention");
        }
        Ok(())
    }

    async fn note_version(&self) -> Result<(), Step> {
        let database = quoted(&self.config.database);
        let sql = format!("SELECT max(Version) FROM {database}.schema_version");
        let present: u32 = self.ask("reading the schema version", &sql).await?;
        if present > SCHEMA_VERSION {
            info!(present, ours = SCHEMA_VERSION, "a newer program has extended the schema; extensions are compatible");
        }
        if present >= SCHEMA_VERSION {
            return Ok(());
        }
        let program = env!("CARGO_PKG_VERSION");
        let sql =
            format!("INSERT INTO {database}.schema_version (Version, Program) SELECT {SCHEMA_VERSION}, '{program}'");
        self.execute("noting the schema version", &sql).await
    }

    async fn tables(&self) -> Result<Vec<TableRow>, Step> {
        self.ask_all("listing tables", include_str!("sql/tables.sql")).await
    }

    async fn columns(&self) -> Result<Vec<ColumnRow>, Step> {
        self.ask_all("listing columns", include_str!("sql/columns.sql")).await
    }

    async fn ask<T: clickhouse::RowOwned + clickhouse::RowRead>(&self, step: &str, sql: &str) -> Result<T, Step> {
        let query = self.client.query(sql).param("database", &self.config.database);
        query.fetch_one().await.map_err(|error| Step::new(step, &error))
    }

    async fn ask_all<T: clickhouse::RowOwned + clickhouse::RowRead>(
        &self,
        step: &str,
        sql: &str,
    ) -> Result<Vec<T>, Step> {
        let query = self.client.query(sql).param("database", &self.config.database);
        query.fetch_all().await.map_err(|error| Step::new(step, &error))
    }

    async fn execute(&self, step: &str, statement: &str) -> Result<(), Step> {
        let sql = statement.replace("{database}", &quoted(&self.config.database));
        self.client.query(&sql).execute().await.map_err(|error| Step::new(step, &error))
    }

    // Alters a table; the inner error is a refusal.
    async fn change(&self, name: &str, change: &str) -> Result<Result<(), String>, Step> {
        let sql = format!("ALTER TABLE {}.{name} {change}", quoted(&self.config.database));
        let query = self
            .client
            .query(&sql)
            .with_setting("materialize_ttl_after_modify", "0")
            .with_setting("mutations_sync", "0");
        match query.execute().await.map_err(|error| Step::new(&format!("changing table {name}"), &error)) {
            Ok(()) => Ok(Ok(())),
            Err(step) if step.refused && !step.race => Ok(Err(step.error.to_string())),
            Err(step) => Err(step),
        }
    }
}

impl Step {
    fn new(step: &str, error: &clickhouse::error::Error) -> Step {
        let code = code(error);
        // TABLE_ALREADY_EXISTS, DATABASE_ALREADY_EXISTS, DUPLICATE_COLUMN, DEADLOCK_AVOIDED, CANNOT_ASSIGN_ALTER.
        let race = matches!(code, Some(57 | 82 | 15 | 473 | 517));
        // Timeouts, memory, disk, readonly tables, connections: these pass.
        let passes = matches!(code, None | Some(159 | 160 | 202 | 209 | 210 | 241 | 242 | 243 | 319 | 999));
        let error = SchemaError::Refused { step: step.to_owned(), reason: describe(error) };
        Step { error, race, refused: !passes }
    }

    fn race(reason: String) -> Step {
        let error = SchemaError::Refused { step: "looking at the tables".to_owned(), reason };
        Step { error, race: true, refused: false }
    }
}

fn note(weak: &mut Vec<String>, table: Table, what: &str, reason: &str) -> bool {
    warn!(table = table.def().name, reason, "{what}");
    weak.push(what.to_owned());
    true
}

/// `name` as an identifier in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

fn additions(missing: &[&ColumnDef]) -> String {
    let mut actions: Vec<String> = missing
        .iter()
        .map(|column| format!("ADD COLUMN IF NOT EXISTS `{}` {} CODEC({})", column.name, column.ty, column.codec))
        .collect();
    if missing.iter().any(|column| column.name == "BatchId") {
        actions.push("ADD INDEX IF NOT EXISTS idx_batch BatchId TYPE minmax GRANULARITY 1".to_owned());
    }
    actions.join(", ")
}

// What ClickHouse converts on its way in, or what is the same to us.
fn check_types(table: Table, found: &[&ColumnRow]) -> Result<(), Step> {
    let container = |ty: &str| {
        ty.starts_with("Map(") || ty.starts_with("Array(") || ty.starts_with("JSON") || ty.starts_with("Object(")
    };
    for column in table.def().columns {
        let Some(row) = found.iter().find(|row| row.name == column.name) else { continue };
        // Dictionary or not, ClickHouse converts the values on their way in.
        let bare = |ty: &str| ty.replace("LowCardinality(String)", "String");
        if bare(&row.r#type) != bare(column.ty) && (container(&row.r#type) || container(column.ty)) {
            let error = SchemaError::Foreign {
                table: table.def().name,
                column: column.name,
                found: row.r#type.clone(),
                wanted: column.ty,
            };
            return Err(Step { error, race: false, refused: true });
        }
    }
    Ok(())
}

// The table settings that our promise rests on, where the table does not have them.
fn missing_settings(present: &TableRow) -> Vec<&'static str> {
    if !present.engine.ends_with("MergeTree") {
        return Vec::new();
    }
    let mut wanted = vec!["fsync_after_insert = 1", "fsync_part_directory = 1", "min_rows_to_fsync_after_merge = 1"];
    match present.engine.starts_with("Replicated") {
        true => wanted.push("replicated_deduplication_window = 10000"),
        false => wanted.push("non_replicated_deduplication_window = 10000"),
    }
    wanted.push("materialize_ttl_recalculate_only = 1");
    wanted.retain(|setting| !present.engine_full.contains(setting));
    wanted
}

fn is_partitioned_as_ours(table: Table, partition_key: &str, is_utc: bool) -> bool {
    let time = time_column(table);
    let key = partition_key.replace(' ', "");
    let key = key.strip_prefix("(RetentionClass,").and_then(|rest| rest.strip_suffix(')')).unwrap_or(&key);
    let function = if table == Table::TraceIndex { "toMonday" } else { "toDate" };
    key.is_empty() || key == format!("{function}({time},'UTC')") || (is_utc && key == format!("{function}({time})"))
}

/// The column that says when a row happened.
pub(crate) fn time_column(table: Table) -> &'static str {
    match table {
        Table::TraceIndex => "Start",
        Table::Gauge | Table::Sum | Table::Histogram | Table::ExponentialHistogram | Table::Summary => "TimeUnix",
        _ => "Timestamp",
    }
}

// Fifty years. `DateTime` ends in 2106 and starts again at 1970: a longer TTL would expire at once.
const TTL_SECONDS_MAX: u64 = 50 * 365 * 86_400;

// In ClickHouse's own spelling, so that it can be compared with what a table has.
fn ttl(table: Table, retention: &crate::config::Retention, has_receipt: bool) -> Option<String> {
    let kept = |all: &[Duration]| {
        if all.iter().any(Duration::is_zero) { 0 } else { all.iter().map(Duration::as_secs).max().unwrap_or(0) }
    };
    let seconds = match table {
        Table::Traces => kept(&[retention.traces]),
        Table::Logs => kept(&[retention.logs]),
        Table::TraceIndex => kept(&[retention.traces, retention.logs]),
        Table::Ledger | Table::DeadLetters => kept(&[retention.traces, retention.logs, retention.metrics]),
        _ => kept(&[retention.metrics]),
    };
    let seconds = seconds.min(TTL_SECONDS_MAX);
    let time = time_column(table);
    let later = if has_receipt { format!("greatest({time}, ReceivedAt)") } else { time.to_owned() };
    (seconds > 0).then(|| expiry(&later, seconds))
}

fn expiry(later: &str, seconds: u64) -> String {
    format!("toDateTime({later}) + toIntervalSecond({seconds})")
}

fn present_ttl(engine_full: &str) -> Option<&str> {
    let rest = engine_full.split_once(" TTL ")?.1;
    Some(rest.split_once(" SETTINGS ").map_or(rest, |(ttl, _)| ttl).trim())
}

// Before 26.2, where text indexes became generally available, a server gets neither them (words are
// found by reading) nor the younger settings (it merges more often).
fn as_known_to(statement: &str, version: &str) -> String {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (26, 2) {
        return statement.to_owned();
    }
    let unknown =
        |line: &str| line.contains("INDEX ") && line.contains(" TYPE text(") || line.contains("merge_selector_base");
    let lines = statement.lines().filter(|line| !unknown(line));
    lines.collect::<Vec<_>>().join("\n").replace(",\n)", "\n)")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: retention per signal, some for ever; tables with and without a receive time.
    // Guarantee: what serves several signals lives as long as the longest of them; for ever is no TTL.
    #[test]
    fn retention_of_tables() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let retention = crate::config::Retention { traces: days(1), logs: days(0), metrics: days(2), graph: days(0) };
        assert_eq!(
            ttl(Table::Traces, &retention, true).as_deref(),
            Some("toDateTime(greatest(Timestamp, ReceivedAt)) + toIntervalSecond(86400)")
        );
        assert_eq!(ttl(Table::Logs, &retention, true), None);
        assert_eq!(ttl(Table::TraceIndex, &retention, true), None);
        let long = crate::config::Retention { traces: days(100_000), ..retention };
        assert!(ttl(Table::Traces, &long, true).is_some_and(|ttl| ttl.ends_with("(1576800000)")));
        assert_eq!(
            ttl(Table::Sum, &retention, false).as_deref(),
            Some("toDateTime(TimeUnix) + toIntervalSecond(172800)")
        );
    }

    // Scenario: the statement of the log table for servers before and after text indexes.
    // Guarantee: only what they do not know is left out, and the statement stays well formed.
    #[test]
    fn old_servers_get_what_they_know() {
        let statement = include_str!("../../schemas/0001/11_otel_logs.sql");
        assert_eq!(as_known_to(statement, "26.7.2.1"), statement);
        let old = as_known_to(statement, "25.8.1.1");
        assert!(
            !old.contains("merge_selector_base") && old.contains("materialize_ttl_recalculate_only = 1,\n"),
            "{old}"
        );
        assert!(!old.contains("TYPE text") && old.contains("idx_batch BatchId TYPE minmax GRANULARITY 1\n)"), "{old}");
    }

    // Scenario: partition keys of our tables and of those that the exporter makes, on servers in two time zones.
    // Guarantee: only keys under which one of our inserts is one part pass.
    #[test]
    fn partition_keys() {
        let cases = [
            (Table::Traces, "(RetentionClass, toDate(Timestamp, 'UTC'))", false, true),
            (Table::Traces, "toDate(Timestamp)", true, true),
            (Table::Traces, "toDate(Timestamp)", false, false),
            (Table::Traces, "", false, true),
            (Table::TraceIndex, "toStartOfWeek(Start)", true, false),
            (Table::TraceIndex, "(RetentionClass, toMonday(Start, 'UTC'))", true, true),
            (Table::Sum, "toDate(TimeUnix)", true, true),
        ];
        for (table, key, is_utc, expected) in cases {
            assert_eq!(is_partitioned_as_ours(table, key, is_utc), expected, "{key} with UTC {is_utc}");
        }
    }
}
