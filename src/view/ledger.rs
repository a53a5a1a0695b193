//! The loss ledger: what was refused, cut, repeated or set aside, so that nothing is lost silently.

use serde::Serialize;
use store::questions::ledger::{LedgerSearch, search};
use store::questions::logs::PageEnd;
use utoipa::ToSchema;

use crate::shared::{Ns, some};
use crate::time::TimeRange;
use crate::{View, ViewError, ask, cursor};

/// Entries when no limit is given.
const LIMIT_DEFAULT: usize = 1_000;

/// What is asked of the ledger.
#[derive(Clone, Debug, Default)]
pub struct LedgerQuestion {
    /// Range of the entries' times.
    pub range: TimeRange,
    /// Sender, or its beginning.
    pub sender: Option<String>,
    /// Reason code.
    pub reason: Option<String>,
    /// Entries wanted.
    pub limit: Option<usize>,
    /// Where the previous page ended.
    pub cursor: Option<String>,
}

/// One page of the ledger.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LedgerAnswer {
    /// Newest first.
    pub entries: Vec<LedgerEntry>,
    /// Gives the next page, when there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One entry.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LedgerEntry {
    /// When.
    #[schema(value_type = String)]
    pub time_ns: Ns,
    /// Address and program of the sender.
    pub sender: String,
    /// traces, logs or metrics.
    pub signal: String,
    /// Reason code.
    pub reason: String,
    /// refused, altered, set_aside or repeated.
    pub outcome: String,
    /// Items; 0 when a request was refused before its items could be counted.
    pub items: u64,
    /// One example in words.
    pub example: Option<String>,
}

impl View {
    /// One page of the ledger, newest first.
    pub async fn ledger(&self, tenant: &str, question: LedgerQuestion, now_ns: i64) -> Result<LedgerAnswer, ViewError> {
        let after = question.cursor.as_deref().map(|text| cursor::to_times(cursor::LEDGER, text)).transpose()?;
        let snapshot_ns = after.as_ref().map_or(now_ns, |end| end.snapshot_ns);
        let asked = LedgerSearch {
            window: question.range.window(now_ns)?,
            sender: question.sender,
            reason: question.reason,
            limit: self.limit(question.limit, LIMIT_DEFAULT)?,
            after,
        };
        let client = self.store.client()?;
        let (rows, more) = search(&ask(&client, tenant), &asked).await?;
        let entries = rows
            .into_iter()
            .map(|row| LedgerEntry {
                time_ns: row.time_ns.into(),
                sender: row.sender,
                signal: row.signal,
                reason: row.reason,
                outcome: row.outcome,
                items: row.items,
                example: some(row.example),
            })
            .collect();
        let next =
            more.map(|(time_ns, given)| cursor::of_times(cursor::LEDGER, &PageEnd { time_ns, given, snapshot_ns }));
        Ok(LedgerAnswer { entries, next_cursor: next })
    }
}
