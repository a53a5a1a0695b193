//! Log patterns: how often each is there, what it looks like, which one a key belongs to, and what an id
//! stands for. Counts are made from the logs themselves, by key; `log_patterns` says what a key means. A
//! key that nobody has looked at yet stands for itself: its number is an id that works as any other.

use clickhouse::Row;
use serde::Deserialize;

use super::match_log::severity_number;
use super::sql::{Param, Sql};
use super::{Ask, AskError, LogMatch, Meaning, Window};
use crate::rollup::{EXAMPLE_BYTES, REST_KEY};

/// A pattern's logs in a window.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct PatternCount {
    /// Its service.
    pub service: String,
    /// Its id.
    pub id: u64,
    /// One of its keys.
    pub key: u64,
    /// Whether it is a pattern, and not a key that has none yet.
    pub is_kept: bool,
    /// Logs.
    pub logs: u64,
    /// The highest severity number of them; 0 when there is none.
    pub severity: u8,
    /// Time of the first.
    pub first_ns: i64,
    /// Time of the last.
    pub last_ns: i64,
    /// When it was first seen at all, as far as is known; 0 when not.
    pub since_ns: i64,
    /// Patterns in all.
    pub patterns: u64,
    /// Logs in all.
    pub all_logs: u64,
}

/// What a pattern looks like.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct PatternText {
    /// Its id.
    pub id: u64,
    /// Template.
    pub template: String,
    /// The body of one of its logs, cut.
    pub example: String,
    /// The place in the source that the log named: file, line and function, as far as it did.
    pub code: (String, String, String),
}

/// The pattern of a key.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct KeyPattern {
    /// Service.
    pub service: String,
    /// Key.
    pub key: u64,
    /// Pattern.
    pub id: u64,
}

/// What the pattern of a key looks like.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct PatternName {
    /// Service.
    pub service: String,
    /// Key.
    pub key: u64,
    /// Pattern.
    pub id: u64,
    /// Template.
    pub template: String,
    /// When it was first seen.
    pub since_ns: i64,
}

#[derive(Row, Deserialize)]
struct KeyExample {
    key: u64,
    example: String,
}

/// The patterns of matching logs, the most frequent first.
pub async fn counts(
    ask: &Ask<'_>,
    window: Window,
    matching: &LogMatch,
    limit: usize,
) -> Result<Vec<PatternCount>, AskError> {
    Ok(counts_sql(ask.tenant, window, matching, limit).query(ask).fetch_all().await?)
}

fn counts_sql(tenant: &str, window: Window, matching: &LogMatch, limit: usize) -> Sql {
    Sql::new(include_str!("pattern_counts.sql"), tenant)
        .window(window)
        .set("rest", Param::U64(REST_KEY))
        .set("limit", Param::U64(limit as u64))
        .put_text("severity", severity_number!(" AS number,"))
        .fill("match", &matching.conditions("p"))
}

/// The looks of patterns, by id.
pub async fn texts(ask: &Ask<'_>, ids: Vec<u64>) -> Result<Vec<PatternText>, AskError> {
    Ok(Sql::new(include_str!("pattern_texts.sql"), ask.tenant)
        .set("ids", Param::U64s(ids))
        .query(ask)
        .fetch_all()
        .await?)
}

/// A body of each of some keys, cut, from a window.
pub async fn examples(ask: &Ask<'_>, window: Window, keys: Vec<u64>) -> Result<Vec<(u64, String)>, AskError> {
    let sql = Sql::new(include_str!("pattern_bodies.sql"), ask.tenant)
        .window(window)
        .set("keys", Param::U64s(keys))
        .set("bytes", Param::U64(EXAMPLE_BYTES));
    let rows: Vec<KeyExample> = sql.query(ask).fetch_all().await?;
    Ok(rows.into_iter().map(|row| (row.key, row.example)).collect())
}

/// The patterns of keys; those that have none are left out. A service's key [`REST_KEY`] tells which
/// pattern those have.
pub async fn of_keys(ask: &Ask<'_>, services: Vec<String>, keys: Vec<u64>) -> Result<Vec<KeyPattern>, AskError> {
    Ok(Sql::new(include_str!("pattern_of_keys.sql"), ask.tenant)
        .set("services", Param::Texts(services))
        .set("keys", Param::U64s(keys))
        .query(ask)
        .fetch_all()
        .await?)
}

/// What the patterns of keys look like; keys that have none are left out. A service's key [`REST_KEY`] tells which
/// pattern those have.
pub async fn names(ask: &Ask<'_>, services: Vec<String>, keys: Vec<u64>) -> Result<Vec<PatternName>, AskError> {
    Ok(Sql::new(include_str!("pattern_names.sql"), ask.tenant)
        .set("services", Param::Texts(services))
        .set("keys", Param::U64s(keys))
        .query(ask)
        .fetch_all()
        .await?)
}

/// What an id stands for: the pattern that has it, or had it, or to which the key of this number belongs.
pub async fn meanings(ask: &Ask<'_>, id: u64) -> Result<Vec<Meaning>, AskError> {
    Ok(Sql::new(include_str!("pattern_meanings.sql"), ask.tenant)
        .set("id", Param::U64(id))
        .set("rest", Param::U64(REST_KEY))
        .query(ask)
        .fetch_all()
        .await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::sql::check_golden;

    // Scenario: patterns of a service's warnings.
    // Guarantee: the composed SQL is the reviewed one.
    #[test]
    fn composed() {
        let matching = LogMatch { service: Some("front".into()), severity_min: Some(13), ..LogMatch::default() };
        let window = Window { from_ns: 1_000, to_ns: 2_000 };
        check_golden("pattern_counts", &counts_sql("acme", window, &matching, 100).drawn());
    }
}
