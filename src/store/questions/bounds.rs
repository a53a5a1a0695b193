//! How far the stored rows reach: clips windows like "everything" to where there is something.

use clickhouse::Row;
use serde::Deserialize;

use super::sql::Sql;
use super::{Ask, AskError, Window};

/// Which table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bounds {
    /// `otel_traces`.
    Spans,
    /// `otel_logs`.
    Logs,
}

#[derive(Row, Deserialize)]
struct Extremes {
    rows: u64,
    first_ns: i64,
    last_ns: i64,
}

impl Bounds {
    /// The part of `window` in which the table can have rows; `None` when there is none.
    pub async fn clip(self, ask: &Ask<'_>, window: Window) -> Result<Option<Window>, AskError> {
        let Some((_, held)) = self.held(ask).await? else { return Ok(None) };
        let clipped = window.within(held).within(Window::ALL);
        Ok((!clipped.is_empty()).then_some(clipped))
    }

    /// How many rows the table has, and from when to when; `None` when it is empty.
    pub async fn held(self, ask: &Ask<'_>) -> Result<Option<(u64, Window)>, AskError> {
        let template = match self {
            Bounds::Spans => include_str!("bounds.sql"),
            Bounds::Logs => include_str!("bounds_logs.sql"),
        };
        let found: Extremes = Sql::new(template, ask.tenant).query(ask).fetch_one().await?;
        let held = Window { from_ns: found.first_ns, to_ns: found.last_ns.saturating_add(1) };
        Ok((found.rows > 0).then_some((found.rows, held)))
    }
}
