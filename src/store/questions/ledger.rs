//! The loss ledger: every item that was refused, cut, repeated or set aside, by sender and reason.

use clickhouse::Row;
use serde::Deserialize;

use super::sql::{Conditions, Param, Sql};
use super::{Ask, AskError, Window};

/// A question to the ledger.
#[derive(Clone, Debug)]
pub struct LedgerSearch {
    /// Window of the entries' times.
    pub window: Window,
    /// Sender, whole or only the beginning (an address without its program).
    pub sender: Option<String>,
    /// Reason code.
    pub reason: Option<String>,
    /// Entries wanted.
    pub limit: usize,
    /// Where the previous page ended: time of its last entry, entries of that time given, snapshot.
    pub after: Option<super::logs::PageEnd>,
}

/// One entry.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct LedgerRow {
    /// When, nanoseconds since the epoch.
    pub time_ns: i64,
    /// Address and program of the sender.
    pub sender: String,
    /// traces, logs or metrics.
    pub signal: String,
    /// Reason code.
    pub reason: String,
    /// refused, altered, set_aside or repeated.
    pub outcome: String,
    /// Items.
    pub items: u64,
    /// One example in words.
    pub example: String,
}

/// One page: entries newest first, and, when there are more, the time of the last entry and how many
/// of that time have been given.
pub async fn search(ask: &Ask<'_>, search: &LedgerSearch) -> Result<(Vec<LedgerRow>, Option<(i64, u64)>), AskError> {
    let mut rows: Vec<LedgerRow> = search.sql(ask.tenant).query(ask).fetch_all().await?;
    let more = rows.len() > search.limit;
    rows.truncate(search.limit);
    let more = rows.last().filter(|_| more).map(|last| {
        let given = rows.iter().rev().take_while(|row| row.time_ns == last.time_ns).count() as u64;
        let before = search.after.as_ref().filter(|end| end.time_ns == last.time_ns).map_or(0, |end| end.given);
        (last.time_ns, given + before)
    });
    Ok((rows, more))
}

impl LedgerSearch {
    fn sql(&self, tenant: &str) -> Sql {
        let mut matching = Conditions::new("p");
        if let Some(sender) = &self.sender {
            matching.and("startsWith(Sender, {@:String})", [Param::Text(sender.clone())]);
        }
        if let Some(reason) = &self.reason {
            matching.and("Reason = {@:String}", [Param::Text(reason.clone())]);
        }
        let mut window = self.window.within(Window::ALL);
        if let Some(end) = &self.after {
            window.to_ns = window.to_ns.min(end.time_ns.saturating_add(1));
            matching.and("ReceivedAt <= fromUnixTimestamp64Nano({@:Int64})", [Param::I64(end.snapshot_ns)]);
        }
        Sql::new(include_str!("ledger.sql"), tenant)
            .window(window)
            .set("limit", Param::U64(self.limit as u64 + 1))
            .set("skip", Param::U64(self.after.as_ref().map_or(0, |end| end.given)))
            .fill("match", &matching)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::sql::check_golden;

    // Scenario: the ledger of a window, filtered, second page.
    // Guarantee: the composed SQL is the reviewed one.
    #[test]
    fn composed() {
        let search = LedgerSearch {
            window: Window { from_ns: 1_000, to_ns: 2_000 },
            sender: Some("10.0.0.1".into()),
            reason: Some("too_large".into()),
            limit: 100,
            after: Some(super::super::logs::PageEnd { time_ns: 1_500, given: 2, snapshot_ns: 3_000 }),
        };
        check_golden("ledger", &search.sql("acme").drawn());
    }
}
