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
    /// ClickHouse will not take it from us: rights, settings, a version without what we need. A person must
    /// act; try again now and then.
    #[error("{0}")]
    Denied(String),
    /// These rows will never be taken: find the one and set it aside.
    #[error("{0}")]
    Poison(String),
    /// An error that says neither. It may be about a row: that shows when other rows go in.
    #[error("{0}")]
    Unknown(String),
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
            InsertError::Denied(_) => "denied",
            InsertError::Poison(_) => "poison",
            InsertError::Unknown(_) => "unknown",
        }
    }

    pub(crate) fn from_server(error: &Error) -> InsertError {
        let text = describe(error);
        match code(error) {
            Some(code) => match class_of(code) {
                Class::Retry => InsertError::Retry(text),
                Class::Lost => InsertError::Lost(text),
                Class::Schema => InsertError::Schema(text),
                Class::Denied => InsertError::Denied(text),
                Class::Poison => InsertError::Poison(text),
                Class::Unknown => InsertError::Unknown(text),
            },
            None if is_unconnected(error) => InsertError::Retry(text),
            None => InsertError::Lost(text),
        }
    }
}

enum Class {
    Retry,
    Lost,
    Schema,
    Denied,
    Poison,
    Unknown,
}

// ClickHouse's ErrorCodes.cpp, by what is done about each. Only errors that speak of values lead to a dead
// letter without further proof: a wait can be ended by the operator, a dropped row cannot be brought back.
fn class_of(code: u32) -> Class {
    match code {
        // The body was cut or garbled on its way; files and sockets.
        3 | 21..=24 | 30..=33 | 39 | 40 | 74..=77 | 83 | 86..=88 | 95..=97 | 99..=104 | 107 | 172 => Class::Retry,
        // Too slow, too much at once, no memory, no room, quota of a time span.
        158..=160 | 173 | 198 | 201..=204 | 209 | 210 | 214 | 216 | 241 | 243 | 252 | 290 | 307 => Class::Retry,
        // Replicas, Keeper, parts that are moved or merged, a server that stops or starts.
        225..=236 | 242 | 244 | 254 | 255 | 265 | 279 | 285 | 286 | 289 | 295..=297 | 335 | 337 | 364 => Class::Retry,
        367 | 369 | 373 | 384 | 394 | 400 | 411 | 415 | 416 | 425 | 439 | 454 | 473 | 499 | 517 | 519 | 529 => {
            Class::Retry
        }
        270..=275 | 354 | 355 | 391 | 410 | 423 | 424 | 458 | 504 | 505 | 521 | 531 | 999..=1001 => Class::Retry,
        // UNKNOWN_STATUS_OF_INSERT.
        319 => Class::Lost,
        // THERE_IS_NO_COLUMN, NOT_FOUND_COLUMN_IN_BLOCK, NO_SUCH_COLUMN_IN_TABLE, NUMBER_OF_COLUMNS_DOESNT_MATCH,
        // ILLEGAL_COLUMN, UNKNOWN_IDENTIFIER, TYPE_MISMATCH, UNKNOWN_TABLE, CANNOT_CONVERT_TYPE, UNKNOWN_DATABASE,
        // INCOMPATIBLE_COLUMNS, TABLE_IS_DROPPED.
        8 | 10 | 16 | 20 | 44 | 47 | 53 | 60 | 70 | 81 | 122 | 218 => Class::Schema,
        // UNSUPPORTED_METHOD, NOT_IMPLEMENTED, UNKNOWN_TYPE, SYNTAX_ERROR, UNKNOWN_FORMAT, UNKNOWN_SETTING, READONLY,
        // users and passwords, DATABASE_ACCESS_DENIED, SUPPORT_IS_DISABLED, QUERY_IS_PROHIBITED,
        // SETTING_CONSTRAINT_VIOLATION, READONLY_SETTING, ACCESS_DENIED, roles, AUTHENTICATION_FAILED.
        1 | 48 | 50 | 62 | 73 | 115 | 164 | 192..=195 | 291 | 344 | 392 | 452 | 472 | 492 | 497 | 511 | 512 | 516 => {
            Class::Denied
        }
        // Texts, numbers, times and booleans that cannot be parsed; values out of range; arrays of unequal length;
        // NULL where none may be; constraints; elements that an enum does not have.
        6
        | 25..=27
        | 38
        | 41
        | 69
        | 72
        | 117
        | 128
        | 131
        | 190
        | 321
        | 349
        | 376
        | 395
        | 407
        | 441
        | 467
        | 469
        | 691 => Class::Poison,
        _ => Class::Unknown,
    }
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
    // Guarantee: nothing that can get better is given up; missing tables lead to the schema; rights to a
    // person; only errors about values lead to a dead letter at once; what nobody knows is told apart.
    #[test]
    fn classes() {
        let cases = [
            ("Code: 241. DB::Exception: (total) memory limit exceeded", "retry"),
            ("Code: 252. DB::Exception: Too many parts (300)", "retry"),
            ("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space", "retry"),
            ("Code: 164. DB::Exception: Cannot execute query in readonly mode", "denied"),
            ("Code: 242. DB::Exception: Table is in readonly mode", "retry"),
            ("Code: 516. DB::Exception: Authentication failed", "denied"),
            ("Code: 497. DB::Exception: Not enough privileges", "denied"),
            ("Code: 319. DB::Exception: Unknown status, client must retry", "lost"),
            ("Code: 999. Coordination::Exception: Session expired", "retry"),
            ("Code: 49. DB::Exception: Logical error", "unknown"),
            ("Code: 36. DB::Exception: Bad arguments", "unknown"),
            ("Code: 2999. DB::Exception: Invented later", "unknown"),
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
