//! The closed set of outward errors, and the one place where it is mapped to HTTP and gRPC.
//!
//! Rooms fail with their own typed errors; at a door every failure becomes one of these codes. The
//! difference that matters to senders is *retry or not*: OTLP clients retry only HTTP 429, 502, 503,
//! 504 and the gRPC codes of the OTLP table, so nothing retryable may ever become `Internal`.

use std::time::Duration;

use http::StatusCode;

/// What went wrong, in words that hold on every transport.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Code {
    /// The request itself is wrong; sending it again will not help.
    InvalidArgument,
    /// No valid credentials.
    Unauthenticated,
    /// Valid credentials, but not for this.
    PermissionDenied,
    /// The thing asked for does not exist.
    NotFound,
    /// The request is larger than the limit.
    TooLarge,
    /// A tenant's quota is spent.
    ResourceExhausted,
    /// Overload, or a part of the service is away: try again.
    Unavailable,
    /// It took longer than allowed.
    DeadlineExceeded,
    /// A fault of ours.
    Internal,
}

/// An outward error: a code, one sentence for the caller, and whether to come back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The code.
    pub code: Code,
    /// One sentence for the caller; never a secret, never a stack of causes.
    pub message: String,
    /// Named facts (`limit_bytes` = `67108864`), for programs.
    pub details: Vec<(&'static str, String)>,
    /// When to try again, where that makes sense.
    pub retry_after: Option<Duration>,
}

impl Code {
    /// Every code, in the order of the API description.
    pub const ALL: [Code; 9] = [
        Code::InvalidArgument,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::NotFound,
        Code::TooLarge,
        Code::ResourceExhausted,
        Code::Unavailable,
        Code::DeadlineExceeded,
        Code::Internal,
    ];

    /// The name in JSON answers and metrics: `invalid_argument`.
    pub const fn name(self) -> &'static str {
        match self {
            Code::InvalidArgument => "invalid_argument",
            Code::Unauthenticated => "unauthenticated",
            Code::PermissionDenied => "permission_denied",
            Code::NotFound => "not_found",
            Code::TooLarge => "too_large",
            Code::ResourceExhausted => "resource_exhausted",
            Code::Unavailable => "unavailable",
            Code::DeadlineExceeded => "deadline_exceeded",
            Code::Internal => "internal",
        }
    }

    /// The HTTP status.
    pub const fn http(self) -> StatusCode {
        match self {
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The gRPC code. `TooLarge` is RESOURCE_EXHAUSTED: without RetryInfo that is final for OTLP
    /// clients, while OUT_OF_RANGE, the habit of gRPC libraries, would make them resend for ever.
    pub const fn grpc(self) -> tonic::Code {
        match self {
            Code::InvalidArgument => tonic::Code::InvalidArgument,
            Code::Unauthenticated => tonic::Code::Unauthenticated,
            Code::PermissionDenied => tonic::Code::PermissionDenied,
            Code::NotFound => tonic::Code::NotFound,
            Code::TooLarge | Code::ResourceExhausted => tonic::Code::ResourceExhausted,
            Code::Unavailable => tonic::Code::Unavailable,
            Code::DeadlineExceeded => tonic::Code::DeadlineExceeded,
            Code::Internal => tonic::Code::Internal,
        }
    }
}

impl Error {
    /// An error without details.
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error { code, message: message.into(), details: Vec::new(), retry_after: None }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(Code::InvalidArgument, message)
    }

    /// The request is above a limit in bytes.
    pub fn too_large(message: impl Into<String>, limit_bytes: usize) -> Error {
        Error::new(Code::TooLarge, message).with("limit_bytes", limit_bytes)
    }

    /// Try again after a while.
    pub fn unavailable(message: impl Into<String>, retry_after: Duration) -> Error {
        Error::new(Code::Unavailable, message).with_retry_after(retry_after)
    }

    /// A fault of ours; the message must not show its inside.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Code::Internal, message)
    }

    /// The same with one more named fact.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Error {
        self.details.push((name, value.to_string()));
        self
    }

    /// The same with a time to come back after.
    pub fn with_retry_after(mut self, after: Duration) -> Error {
        self.retry_after = Some(after);
        self
    }

    /// Value of the `Retry-After` header: whole seconds, rounded up, at least one.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after.map(|after| (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: every code is asked for its name, HTTP status and gRPC code.
    // Guarantee: the table of the API description holds, and nothing retryable looks final or the other way round.
    #[test]
    fn codes_have_one_meaning_everywhere() {
        let table = "\
invalid_argument 400 3
unauthenticated 401 16
permission_denied 403 7
not_found 404 5
too_large 413 8
resource_exhausted 429 8
unavailable 503 14
deadline_exceeded 504 4
internal 500 13
";
        let drawn: String = Code::ALL
            .iter()
            .map(|code| format!("{} {} {}\n", code.name(), code.http().as_u16(), code.grpc() as i32))
            .collect();
        assert_eq!(drawn, table);
    }

    // Scenario: pauses of a part of a second, whole seconds, and none.
    // Guarantee: Retry-After is never 0, which clients read as "at once".
    #[test]
    fn retry_after_rounds_up() {
        let cases = [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (30_000, 30)];
        for (after_ms, seconds) in cases {
            let error = Error::unavailable("full", Duration::from_millis(after_ms));
            assert_eq!(error.retry_after_s(), Some(seconds), "{after_ms} ms");
        }
        assert_eq!(Error::invalid("no").retry_after_s(), None);
    }
}
