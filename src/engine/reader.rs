//! The outside reader: what it may run, and within which limits.
//!
//! Four gates, each for what the others miss (measured in the tests): the engine's own parser must
//! call the text one read-only statement; the connection is `readonly=1`, which blocks table
//! functions that reach files and networks and the overlay database; names that read-only
//! connections can still reach files through are refused; and settings from outside pass only
//! when they can neither raise a limit nor name a file.

use std::collections::HashSet;

use crate::exception::Failure;
use crate::ffi::{Connection, EngineError};
use crate::statement;

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

/// Settings that shape an answer but neither raise a limit nor reach a file or a network; others
/// that a client sends are dropped, as most clients send some without being asked.
fn is_harmless(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "date_time_output_format",
        "extremes",
        "final",
        "format_csv_delimiter",
        "format_csv_null_representation",
        "format_tsv_null_representation",
        "join_use_nulls",
        "limit",
        "max_block_size",
        "max_bytes_to_read",
        "max_rows_to_read",
        "offset",
        "session_timezone",
    ];
    // `output_format_schema` names a file that the engine writes.
    NAMES.contains(&name) || (name.starts_with("output_format_") && name != "output_format_schema")
}

/// The connection's settings: the client's harmless ones, its own tighter caps, ours for the rest.
pub(crate) fn settings(asked: Vec<(String, String)>, limits: &Limits) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let mut caps = limits.caps();
    for (name, value) in asked {
        if let Some((_, cap)) = caps.iter_mut().find(|(cap, _)| *cap == name) {
            // Zero means no limit in ClickHouse, so it raises.
            let wanted = value.parse::<f64>().ok().filter(|wanted| *wanted >= 1.0);
            *cap = wanted.map_or(*cap, |wanted| (*cap).min(wanted as u64));
        } else if is_harmless(&name) {
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

/// What the reader may not call, besides what the engine itself refuses: the engine lets a
/// read-only connection read any file through the function `file`, and lets DESCRIBE open any
/// file or address through a table function (both shown by the tests).
pub(crate) struct Gate {
    calls: HashSet<String>,
}

/// Table functions that reach nothing but the engine itself.
const TABLE_FUNCTIONS: &[&str] = &[
    "format",
    "fuzzquery",
    "generate_series",
    "generaterandom",
    "generateseries",
    "null",
    "numbers",
    "numbers_mt",
    "primes",
    "sqlstandardvalues",
    "values",
    "view",
    "zeros",
    "zeros_mt",
];
/// Functions that reach files or networks.
const FUNCTIONS: &[&str] = &["file", "hascolumnintable", "catboostevaluate", "showcertificate"];
/// Functions that ask outside models.
const FUNCTION_PREFIX: &str = "ai";

impl Gate {
    /// `functions` and `table_functions` are all the engine has, so that those of a later engine
    /// are refused until someone has looked at them.
    pub(crate) fn new(functions: &[String], table_functions: &[String]) -> Self {
        let mut calls: HashSet<String> = FUNCTIONS.iter().map(|&name| name.to_owned()).collect();
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>();
        calls.extend(lower(functions).into_iter().filter(|name| name.starts_with(FUNCTION_PREFIX)));
        calls.extend(lower(table_functions).into_iter().filter(|name| !TABLE_FUNCTIONS.contains(&name.as_str())));
        Self { calls }
    }

    /// Admits exactly one read-only statement that reaches nothing outside.
    pub(crate) fn admit(
        &self,
        connection: &mut Connection,
        sql: &[u8],
        params: &[(String, String)],
    ) -> Result<(), Failure> {
        let analysis = connection.classify(sql);
        match analysis.statements {
            0 => return Err(syntax_error(connection, sql)),
            1 if analysis.read_only => {}
            1 => return Err(refused()),
            _ => return Err(Failure::new(62, "SYNTAX_ERROR", "Multi-statements are not allowed")),
        }
        self.check_names(sql)?;
        // `{x:Identifier}` makes a name of a value.
        let values = params.iter().map(|(_, value)| value.as_str());
        if contains_ignoring_case(sql, b"identifier")
            && values.into_iter().any(|value| value == OVERLAY || value.contains(['\\', '.']))
        {
            return Err(refused());
        }
        Ok(())
    }

    fn check_names(&self, sql: &[u8]) -> Result<(), Failure> {
        let names = statement::names(sql).ok_or_else(|| refused_name(UNCLEAR))?;
        for name in names {
            // An escape could spell any name.
            if name.quoted && name.text.contains(&b'\\') {
                return Err(refused_name("an escaped name"));
            }
            let text = String::from_utf8_lossy(name.text);
            let called = name.followed_by == Some(b'(') || name.applied;
            if called && self.calls.contains(&text.to_ascii_lowercase()) {
                return Err(refused_name(&text));
            }
            if text == OVERLAY && name.followed_by == Some(b'.') {
                return Err(refused_name(&text));
            }
        }
        Ok(())
    }
}

/// The engine's own database, which overlays the file system.
pub(crate) const OVERLAY: &str = "default";

const UNCLEAR: &str = "here documents, nested or open comments, or characters outside ASCII that are not in quotes";

fn refused_name(name: &str) -> Failure {
    let message = format!("reader: Not enough privileges: this user may not use {name}");
    Failure::new(497, "ACCESS_DENIED", message)
}

fn contains_ignoring_case(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
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
        Err(error) => {
            let own_part = error.0.find(": In scope SELECT formatQuery(");
            let said = &error.0[..own_part.unwrap_or(error.0.len())];
            let name = if own_part.is_some() { ". (SYNTAX_ERROR)" } else { "" };
            EngineError(format!("{said}{name}")).into()
        }
        Ok(()) => refused(),
    }
}
