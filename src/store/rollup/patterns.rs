//! What the keeper of log patterns asks and writes. What a pattern is, is `correlate::patterns`'
//! business; which keys are looked at when, is the root's.

use clickhouse::Row;
use model::time::DAY_NS;
use serde::{Deserialize, Serialize};

use super::{Rolling, bounded, trouble};
use crate::access::LookupError;

/// That there are logs of a key is noted again when the last note is so old.
pub const RENEW_NS: i64 = DAY_NS;
/// Stands for all keys of a service that it has too many of.
pub const REST_KEY: u64 = u64::MAX;
/// Bytes of an example: 2 KiB, and what a character needs that begins in them.
pub const EXAMPLE_BYTES: u64 = 2_052;

/// Above this, counting keys goes by way of the server's disk.
const SPILL_BYTES: &str = "268435456";

/// A key of logs in given parts.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct KeyRow {
    /// Tenant.
    pub tenant: String,
    /// Service.
    pub service: String,
    /// The key.
    pub key: u64,
    /// Logs that have it.
    pub logs: u64,
    /// Time of the first.
    pub first_ns: i64,
    /// Time of the last.
    pub last_ns: i64,
}

/// One log that has a key, as far as it makes a pattern.
#[allow(missing_docs)] // the names are the columns'
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct ExampleRow {
    pub key: u64,
    pub example: String,
    pub event_name: String,
    pub severity_number: u8,
    pub code_file: String,
    pub code_line: String,
    pub code_function: String,
}

/// What is known of a key, without its texts.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct KnownRow {
    /// The key.
    pub key: u64,
    /// Its pattern.
    pub id: u64,
    /// When it was first seen.
    pub first_ns: i64,
    /// When that was noted.
    pub written_ns: i64,
}

/// A row of `log_patterns`.
#[allow(missing_docs)] // the names are the columns' (schemas/0001/60_log_patterns.sql)
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct PatternRow {
    #[serde(rename = "Tenant")]
    pub tenant: String,
    #[serde(rename = "Service")]
    pub service: String,
    #[serde(rename = "PatternKey")]
    pub key: u64,
    #[serde(rename = "PatternId")]
    pub id: u64,
    #[serde(rename = "Template")]
    pub template: String,
    #[serde(rename = "EventName")]
    pub event_name: String,
    #[serde(rename = "SeverityNumber")]
    pub severity_number: u8,
    #[serde(rename = "CodeFile")]
    pub code_file: String,
    #[serde(rename = "CodeLine")]
    pub code_line: String,
    #[serde(rename = "CodeFunction")]
    pub code_function: String,
    #[serde(rename = "Example")]
    pub example: String,
    #[serde(rename = "KeyRule")]
    pub key_rule: u16,
    #[serde(rename = "Rule")]
    pub rule: u16,
    #[serde(rename = "FirstSeen")]
    pub first_ns: i64,
    #[serde(rename = "LastSeen")]
    pub last_ns: i64,
    #[serde(rename = "WrittenAt")]
    pub written_ns: i64,
    #[serde(rename = "Generation")]
    pub generation: u64,
}

#[derive(Row, Serialize)]
struct IdInsert {
    #[serde(rename = "Tenant")]
    tenant: String,
    #[serde(rename = "PatternId")]
    id: u64,
    #[serde(rename = "Service")]
    service: String,
    #[serde(rename = "PatternKey")]
    key: u64,
    #[serde(rename = "WrittenAt")]
    written_ns: i64,
}

#[derive(Row, Deserialize)]
struct ServiceRow {
    tenant: String,
    service: String,
}

impl Rolling {
    /// Hands the keys of the logs in the parts to `each`, those of a tenant's service together.
    pub async fn pattern_keys(&self, parts: &[String], mut each: impl FnMut(KeyRow)) -> Result<(), LookupError> {
        let query = self.ask(include_str!("pattern_keys.sql")).param("parts", parts);
        // Bodies that no rule understands may have a key each.
        let query = query
            .with_setting("max_bytes_before_external_group_by", SPILL_BYTES)
            .with_setting("max_bytes_before_external_sort", SPILL_BYTES);
        let mut rows = query.fetch::<KeyRow>().map_err(|error| trouble(&error))?;
        bounded(async {
            while let Some(row) = rows.next().await? {
                each(row);
            }
            Ok(())
        })
        .await
    }

    /// A log of each key that the parts have of a service.
    pub async fn pattern_examples(
        &self,
        parts: &[String],
        tenant: &str,
        service: &str,
        keys: &[u64],
    ) -> Result<Vec<ExampleRow>, LookupError> {
        let query = self.of(include_str!("pattern_examples.sql"), tenant).param("service", service);
        self.all(query.param("parts", parts).param("keys", keys).param("bytes", EXAMPLE_BYTES)).await
    }

    /// The keys of a service that are known.
    pub async fn known_patterns(&self, tenant: &str, service: &str) -> Result<Vec<KnownRow>, LookupError> {
        self.all(self.of(include_str!("pattern_known.sql"), tenant).param("service", service)).await
    }

    /// Hands all rows of a service to `each`, or, unless `ids` is empty, those of some of its patterns.
    pub async fn patterns(
        &self,
        tenant: &str,
        service: &str,
        ids: &[u64],
        mut each: impl FnMut(PatternRow),
    ) -> Result<(), LookupError> {
        let query = self.of(include_str!("pattern_rows.sql"), tenant).param("service", service).param("ids", ids);
        let mut rows = query.fetch::<PatternRow>().map_err(|error| trouble(&error))?;
        bounded(async {
            while let Some(row) = rows.next().await? {
                each(row);
            }
            Ok(())
        })
        .await
    }

    /// The services of which rows were made by other rules.
    pub async fn outdated_patterns(&self, rule: u16) -> Result<Vec<(String, String)>, LookupError> {
        let rows: Vec<ServiceRow> =
            self.all(self.ask(include_str!("pattern_outdated.sql")).param("rule", rule)).await?;
        Ok(rows.into_iter().map(|row| (row.tenant, row.service)).collect())
    }

    /// Writes rows; before them their ids, so that each id that was ever seen leads somewhere.
    pub async fn write_patterns(&self, rows: &[PatternRow]) -> Result<(), LookupError> {
        let mut ids: Vec<IdInsert> = rows
            .iter()
            .map(|row| IdInsert {
                tenant: row.tenant.clone(),
                id: row.id,
                service: row.service.clone(),
                key: row.key,
                written_ns: row.written_ns,
            })
            .collect();
        ids.sort_by(|a, b| (a.id, &a.tenant).cmp(&(b.id, &b.tenant)));
        ids.dedup_by(|a, b| a.id == b.id && a.tenant == b.tenant);
        self.insert("log_pattern_ids", &ids).await?;
        self.insert("log_patterns", rows).await
    }
}
