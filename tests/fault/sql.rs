//! SQL over ClickHouse's HTTP interface, past Hypocenter: the checker believes tables only.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::client::{Answer, Client};

/// Where the tables are, and who asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// `http://…`.
    pub url: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Database.
    pub database: String,
}

const TIMEOUT: Duration = Duration::from_secs(120);

impl Place {
    /// Runs one statement; its answer's body.
    pub async fn run(&self, client: &Client, sql: &str) -> Result<Bytes, String> {
        let url = format!("{}/?database={}", self.url, self.database);
        let headers = [("x-clickhouse-user", self.user.as_str()), ("x-clickhouse-key", self.password.as_str())];
        let sent = client.send("POST", &url, &headers, Bytes::from(sql.to_owned()), TIMEOUT).await;
        match sent {
            Ok(Answer { status: 200, body, .. }) if !failed_late(&body) => Ok(body),
            Ok(answer) => Err(format!("{}: {}", answer.status, shortened(&answer.text()))),
            Err(broken) => Err(broken.to_string()),
        }
    }

    /// Runs a statement whose answer is one number.
    pub async fn number(&self, client: &Client, sql: &str) -> Result<u64, String> {
        let body = self.run(client, sql).await?;
        let text = String::from_utf8_lossy(&body);
        text.trim().parse().map_err(|_| format!("not a number: {}", shortened(&text)))
    }

    /// Runs a statement whose answer is text.
    pub async fn text(&self, client: &Client, sql: &str) -> Result<String, String> {
        Ok(String::from_utf8_lossy(&self.run(client, sql).await?).trim().to_owned())
    }
}

// An answer that began well and then failed carries the error at its end.
fn failed_late(body: &[u8]) -> bool {
    let tail = &body[body.len().saturating_sub(4096)..];
    let marker = b"__exception__";
    tail.windows(marker.len()).any(|window| window == marker)
}

/// The first line, of bounded length.
pub fn shortened(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}
