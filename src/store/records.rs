//! Writing records (schemas/0001/70_records.sql): each is a generation that replaces the older ones of its id.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use crate::access::{LookupError, Store};

/// A record on its way in.
#[allow(missing_docs)] // the names are the columns'
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize)]
pub struct Record {
    #[serde(rename = "Tenant")]
    pub tenant: String,
    /// incident, rule, silence, notice, feedback…
    #[serde(rename = "Kind")]
    pub kind: String,
    #[serde(rename = "Id")]
    pub id: String,
    /// Nanoseconds since the epoch.
    #[serde(rename = "At")]
    pub at_ns: i64,
    #[serde(rename = "Deleted")]
    pub deleted: bool,
    /// JSON.
    #[serde(rename = "Body")]
    pub body: String,
    #[serde(rename = "Generation")]
    pub generation: u64,
}

impl Record {
    /// A record, by kind and id, as it stands now.
    pub fn new(tenant: &str, (kind, id): (&str, &str), at_ns: i64, now_ns: i64, body: String) -> Record {
        Record {
            tenant: tenant.to_owned(),
            kind: kind.to_owned(),
            id: id.to_owned(),
            at_ns,
            deleted: false,
            body,
            generation: now_ns.unsigned_abs(),
        }
    }

    /// The end of it.
    #[must_use]
    pub fn deleted(self) -> Record {
        Record { deleted: true, ..self }
    }
}

/// A record of some tenant, as it stands.
#[allow(missing_docs)] // as above
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct TenantRecord {
    pub tenant: String,
    pub id: String,
    /// Nanoseconds since the epoch.
    pub at_ns: i64,
    /// JSON.
    pub body: String,
}

impl Store {
    /// Writes records; those that are read afterwards are these.
    ///
    /// # Errors
    /// When ClickHouse does not take them.
    pub async fn write_records(&self, records: &[Record]) -> Result<(), LookupError> {
        self.rolling()?.insert("records", records).await
    }

    /// The oldest records of a kind, whoever's they are: for the process itself.
    ///
    /// # Errors
    /// When ClickHouse does not say.
    pub async fn records_of_all(&self, kind: &str, limit: u64) -> Result<Vec<TenantRecord>, LookupError> {
        self.rolling()?.records_of_all(kind, limit).await
    }
}
