//! The outside reader: what it may run, and within which limits.
//!
//! Three gates, each enough for what the others miss (measured in the tests): the engine's own
//! parser must call the text one read-only statement; the connection is `readonly=1`, which
//! blocks table functions that reach files and networks and the overlay database; and settings
//! from outside pass only when they cannot raise a limit.

use crate::exception::Failure;
use crate::ffi::Connection;

/// Limits of one statement of the reader.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory of one query, bytes.
    pub memory_bytes_max: u64,
    /// Seconds a query may run.
    pub execution_time_s_max: u64,
    /// Rows of a result.
    pub result_rows_max: u64,
    /// Bytes of a result, uncompressed, in memory.
    pub result_bytes_max: u64,
    /// Threads of one query.
    pub threads_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 512 << 20,
            execution_time_s_max: 30,
            result_rows_max: 10_000_000,
            result_bytes_max: 1 << 30,
            threads_max: 2,
        }
    }
}

impl Limits {
    fn caps(&self) -> [(&'static str, u64); 5] {
        [
            ("max_memory_usage", self.memory_bytes_max),
            ("max_execution_time", self.execution_time_s_max),
            ("max_result_rows", self.result_rows_max),
            ("max_result_bytes", self.result_bytes_max),
            ("max_threads", self.threads_max),
        ]
    }
}

/// Settings that shape an answer but neither raise a limit nor reach anything; others that a
/// client sends are dropped, as most clients send some without being asked.
const HARMLESS_PREFIXES: &[&str] =
    &["output_format_", "date_time_", "format_", "join_use_nulls", "use_client_time_zone"];
const HARMLESS: &[&str] = &[
    "extremes",
    "session_timezone",
    "max_block_size",
    "limit",
    "offset",
    "group_by_overflow_mode",
    "prefer_column_name_to_alias",
    "final",
];

/// The connection's settings: the client's harmless ones, its own tighter caps, ours for the rest.
pub(crate) fn settings(asked: Vec<(String, String)>, limits: &Limits) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let mut caps = limits.caps();
    for (name, value) in asked {
        if let Some((_, cap)) = caps.iter_mut().find(|(cap, _)| *cap == name) {
            // Zero means no limit in ClickHouse, so it raises.
            let wanted = value.parse::<f64>().ok().filter(|wanted| *wanted >= 1.0);
            *cap = wanted.map_or(*cap, |wanted| (*cap).min(wanted as u64));
        } else if HARMLESS.contains(&name.as_str()) || HARMLESS_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            settings.push((name, value));
        }
    }
    for (name, cap) in caps {
        settings.push((name.to_owned(), cap.to_string()));
    }
    for (name, value) in [
        ("result_overflow_mode", "throw"),
        ("timeout_overflow_mode", "throw"),
        ("max_untracked_memory", "1048576"),
        ("allow_introspection_functions", "0"),
        ("allow_ddl", "0"),
        ("readonly", "1"),
    ] {
        settings.push((name.to_owned(), value.to_owned()));
    }
    settings
}

/// The refusal of everything that is not a read.
pub(crate) fn refused() -> Failure {
    Failure::new(164, "READONLY", "reader: Not enough privileges: this user may only read").with_status(403)
}

/// Admits exactly one read-only statement.
pub(crate) fn admit(connection: &mut Connection, sql: &[u8]) -> Result<(), Failure> {
    let analysis = connection.classify(sql);
    match analysis.statements {
        0 => Err(syntax_error(connection, sql)),
        1 if analysis.read_only => Ok(()),
        1 => Err(refused()),
        _ => Err(Failure::new(62, "SYNTAX_ERROR", "Multi-statements are not allowed")),
    }
}

/// Says what is wrong with a text that does not parse, without giving it a chance to run.
fn syntax_error(connection: &mut Connection, sql: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(sql);
    let escaped = text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n");
    let params = [("text".to_owned(), escaped)];
    let checked = connection
        .query(b"SELECT formatQuery({text:String})", "Null", &params)
        .and_then(|mut select| select.next().map(drop));
    match checked {
        Err(error) => error.into(),
        Ok(()) => refused(),
    }
}
