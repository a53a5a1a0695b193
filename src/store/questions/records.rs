//! Records: what is decided and said about faults (schemas/0001/70_records.sql), as JSON bodies that this room
//! does not look into.

use clickhouse::Row;
use serde::Deserialize;

use super::sql::{Conditions, Param, Sql};
use super::{Ask, AskError, Window};

/// A record as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct RecordRow {
    /// Its id among those of its kind.
    pub id: String,
    /// Its time, nanoseconds since the epoch.
    pub at_ns: i64,
    /// JSON.
    pub body: String,
}

/// The newest `limit` records of a kind whose time lies in the window, newest first.
pub async fn list(ask: &Ask<'_>, kind: &str, window: Window, limit: u64) -> Result<Vec<RecordRow>, AskError> {
    let mut which = Conditions::new("r");
    let window = window.within(Window::ALL);
    which.and("At >= fromUnixTimestamp64Nano({@:Int64})", [Param::I64(window.from_ns)]);
    which.and("At < fromUnixTimestamp64Nano({@:Int64})", [Param::I64(window.to_ns)]);
    Ok(sql(ask, kind, &which, limit).query(ask).fetch_all().await?)
}

/// One record.
pub async fn one(ask: &Ask<'_>, kind: &str, id: &str) -> Result<Option<RecordRow>, AskError> {
    let mut which = Conditions::new("r");
    which.and("Id = {@:String}", [Param::Text(id.to_owned())]);
    let rows: Vec<RecordRow> = sql(ask, kind, &which, 1).query(ask).fetch_all().await?;
    Ok(rows.into_iter().next())
}

fn sql(ask: &Ask<'_>, kind: &str, which: &Conditions, limit: u64) -> Sql {
    Sql::new(include_str!("records.sql"), ask.tenant)
        .set("kind", Param::Text(kind.to_owned()))
        .set("limit", Param::U64(limit))
        .fill("which", which)
}
