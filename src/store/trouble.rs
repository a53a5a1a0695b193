//! ClickHouse's errors by what we do about them. The `clickhouse` crate gives them as text that
//! begins with `Code: N`; what has no code came from the network or from something between.

use clickhouse::error::Error;

/// Why an insert did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// ClickHouse refused for now: try again, the same bytes under the same token.
    #[error("{0}")]
    Retry(String),
    /// No answer of ClickHouse's own: it may have the rows, or may have died with them. Repeating under the
    /// same token is right only if it is still the same process.
    #[error("{0}")]
    Lost(String),
    /// A table, column or database is missing: apply the schema, then try again.
    #[error("{0}")]
    Schema(String),
    /// These rows will never be taken: find the one and set it aside.
    #[error("{0}")]
    Poison(String),
}

/// Longest text of an error that is kept.
const TEXT_BYTES_MAX: usize = 600;

impl InsertError {
    /// The class, as metrics name it.
    pub fn class(&self) -> &'static str {
        match self {
            InsertError::Retry(_) => "retry",
            InsertError::Lost(_) => "lost",
            InsertError::Schema(_) => "schema",
            InsertError::Poison(_) => "poison",
        }
    }

    pub(crate) fn from_server(error: &Error) -> InsertError {
        let text = describe(error);
        match code(error) {
            // THERE_IS_NO_COLUMN, NOT_FOUND_COLUMN_IN_BLOCK, NO_SUCH_COLUMN_IN_TABLE, ILLEGAL_COLUMN,
            // UNKNOWN_IDENTIFIER, TYPE_MISMATCH, UNKNOWN_TABLE, CANNOT_CONVERT_TYPE, UNKNOWN_DATABASE.
            Some(8 | 10 | 16 | 44 | 47 | 53 | 60 | 70 | 81) => InsertError::Schema(text),
            Some(code) if is_poison(code) => InsertError::Poison(text),
            Some(_) => InsertError::Retry(text),
            None if is_unconnected(error) => InsertError::Retry(text),
            None => InsertError::Lost(text),
        }
    }
}

// Errors that speak of values. Everything else is tried again: a wait can be ended by the operator,
// a dropped row cannot be brought back.
fn is_poison(code: u32) -> bool {
    matches!(
        code,
        6 | 25 | 26 | 27 | 38 | 41 | 69 | 72 | 117 | 128 | 131 | 190 | 321 | 349 | 395 | 407 | 467 | 469 | 691
    )
}

// There was no connection, so nothing can have been sent.
fn is_unconnected(error: &Error) -> bool {
    let Error::Network(cause) = error else { return false };
    cause.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(hyper_util::client::legacy::Error::is_connect)
}

/// ClickHouse's error code.
pub(crate) fn code(error: &Error) -> Option<u32> {
    let Error::BadResponse(text) = error else { return None };
    let digits = text.split_once("Code: ")?.1;
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// The error with its causes, shortened.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = match error {
        Error::BadResponse(reason) => reason.clone(),
        other => other.to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: the answers of servers in trouble, and of things that stand before servers.
    // Guarantee: nothing that can get better is given up; missing tables lead to the schema; only
    // errors about values lead to a dead letter.
    #[test]
    fn classes() {
        let cases = [
            ("Code: 241. DB::Exception: (total) memory limit exceeded", "retry"),
            ("Code: 252. DB::Exception: Too many parts (300)", "retry"),
            ("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space", "retry"),
            ("Code: 164. DB::Exception: Cannot execute query in readonly mode", "retry"),
            ("Code: 242. DB::Exception: Table is in readonly mode", "retry"),
            ("Code: 516. DB::Exception: Authentication failed", "retry"),
            ("Code: 216. DB::Exception: Query with id is already running", "retry"),
            ("Code: 33. DB::Exception: Cannot read all data", "retry"),
            ("503 Service Unavailable", "lost"),
            ("<html>500</html>", "lost"),
            ("Code: 60. DB::Exception: Table hypocenter.otel_traces does not exist", "schema"),
            ("Code: 16. DB::Exception: No such column Marks in table", "schema"),
            ("Code: 81. DB::Exception: Database hypocenter does not exist", "schema"),
            ("Code: 117. DB::Exception: Unexpected data", "poison"),
            ("Code: 469. DB::Exception: Constraint `c` is violated", "poison"),
        ];
        for (text, class) in cases {
            assert_eq!(InsertError::from_server(&Error::BadResponse(text.into())).class(), class, "{text}");
        }
        assert_eq!(InsertError::from_server(&Error::TimedOut).class(), "lost");
        let long = InsertError::from_server(&Error::BadResponse("ä".repeat(1000))).to_string();
        assert!(long.len() <= TEXT_BYTES_MAX + 3);
    }
}
