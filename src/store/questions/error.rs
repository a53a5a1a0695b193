//! What can go wrong when asking: ClickHouse's and the network's many errors as the few that decide
//! what the user is told. Spec: design section 8 (codes), facts on the engine section 6.

use clickhouse::error::Error;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The store cannot be reached, is starting, or is overloaded: ask again later.
    #[error("the store did not answer: {0}")]
    Unavailable(String),
    /// The question ran longer than the limit.
    #[error("the question took longer than the store may spend on it; narrow the time range or the filter")]
    Deadline,
    /// The question needed more memory or rows than the limit.
    #[error("the question reads more than the store may spend on it; narrow the time range or the filter")]
    TooMuch,
    /// The tables are not there yet.
    #[error("the store has no tables yet: {0}")]
    NoSchema(String),
    /// Our own mistake, or a store that behaves unlike ClickHouse.
    #[error("asking the store failed: {0}")]
    Broken(String),
}

impl From<Error> for AskError {
    fn from(error: Error) -> AskError {
        match error {
            Error::TimedOut => AskError::Deadline,
            Error::Network(cause) => AskError::Unavailable(chain(cause.as_ref())),
            Error::BadResponse(text) => from_server(&text),
            other => from_server(&chain(&other)),
        }
    }
}

/// Reads `Code: N.` of a server error.
fn from_server(text: &str) -> AskError {
    let code = text.find("Code: ").and_then(|at| {
        let digits = text[at + 6..].split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u32>().ok()
    });
    let short: String = text.chars().take(400).collect();
    match code {
        Some(159 | 160) => AskError::Deadline,
        Some(158 | 241 | 307 | 396) => AskError::TooMuch,
        Some(60 | 81) => AskError::NoSchema(short),
        Some(202 | 203 | 209 | 210 | 236 | 242 | 279 | 394 | 439) => AskError::Unavailable(short),
        _ => AskError::Broken(short),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: the error texts that ClickHouse sends for limits, missing tables and plain mistakes.
    // Guarantee: each becomes the error that tells the user what to do.
    #[test]
    fn server_codes() {
        let cases = [
            ("Code: 159. DB::Exception: Timeout exceeded", "Deadline"),
            ("Code: 241. DB::Exception: (total) memory limit exceeded", "TooMuch"),
            ("Code: 396. DB::Exception: Limit for result exceeded", "TooMuch"),
            ("Code: 60. DB::Exception: Table hypocenter.otel_traces does not exist", "NoSchema"),
            ("Code: 394. DB::Exception: Query was cancelled", "Unavailable"),
            ("Code: 62. DB::Exception: Syntax error", "Broken"),
            ("something else", "Broken"),
        ];
        for (text, expected) in cases {
            let read = format!("{:?}", AskError::from(Error::BadResponse(text.into())));
            assert!(read.starts_with(expected), "{text}: {read}");
        }
    }
}
