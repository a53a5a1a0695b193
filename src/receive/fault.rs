//! Every way in which a door refuses, with its HTTP status, gRPC code and ledger reason side by side.
//!
//! The shared codes come from `access`; here are the few that exist only at a door: wrong path,
//! method, type, packing, framing or speed.

use std::time::Duration;

use access::{Code, Error};
use http::StatusCode;
use model::Reason;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One of the shared outward errors.
    Code(Error),
    /// No such path or gRPC method; the text is a hint.
    NotHere(String),
    /// Another HTTP method than POST.
    Method,
    /// A content type that this path does not speak; the text names those it does.
    Type(&'static str),
    /// A content encoding that nobody knows.
    Encoding(String),
    /// The body did not come in time.
    Slow,
    /// The body broke the framing.
    Broken(String),
    /// The client went away before its body was here. Most never see the answer; nothing was lost
    /// that they do not know of.
    Gone,
    /// A compressed gRPC message without `grpc-encoding`.
    Flag,
    /// No message, or more than one, in a unary gRPC call.
    Cardinality,
}

/// What a spent byte budget answers: requests in flight are over within a second.
const BUDGET_PAUSE: Duration = Duration::from_secs(1);

/// Longest message in an answer, in bytes; longer ones would burst gRPC clients' header limits.
const MESSAGE_BYTES_MAX: usize = 1024;

impl Fault {
    /// The byte budget is spent.
    pub(crate) fn no_budget() -> Fault {
        Fault::Code(Error::unavailable("the server is busy: the memory for requests in flight is spent", BUDGET_PAUSE))
    }

    /// The body is above the limit.
    pub(crate) fn too_large(what: &str, limit_bytes: usize) -> Fault {
        Fault::Code(Error::too_large(format!("{what} is larger than the limit of {limit_bytes} bytes"), limit_bytes))
    }

    /// The answer did not come in time.
    pub(crate) fn late(after: Duration) -> Fault {
        let message = format!("no answer within {} ms; the request may have been kept all the same", after.as_millis());
        Fault::Code(Error::new(Code::DeadlineExceeded, message))
    }

    /// The label in metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Fault::Code(error) => error.code.name(),
            Fault::NotHere(_) => "not_found",
            Fault::Method => "method_not_allowed",
            Fault::Type(_) => "unsupported_type",
            Fault::Encoding(_) => "unsupported_encoding",
            Fault::Slow => "body_timeout",
            Fault::Broken(_) | Fault::Flag | Fault::Cardinality => "broken_body",
            Fault::Gone => "cancelled",
        }
    }

    /// The HTTP status.
    pub(crate) fn http(&self) -> StatusCode {
        match self {
            Fault::Code(error) => error.code.http(),
            Fault::NotHere(_) => StatusCode::NOT_FOUND,
            Fault::Method => StatusCode::METHOD_NOT_ALLOWED,
            Fault::Type(_) | Fault::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Fault::Slow => StatusCode::REQUEST_TIMEOUT,
            Fault::Broken(_) | Fault::Gone | Fault::Flag | Fault::Cardinality => StatusCode::BAD_REQUEST,
        }
    }

    /// The gRPC code. The last ones follow gRPC's own documents on compression and status codes,
    /// except that a body cut short is the caller's fault, not INTERNAL.
    pub(crate) fn grpc(&self) -> tonic::Code {
        match self {
            Fault::Code(error) => error.code.grpc(),
            Fault::NotHere(_) | Fault::Method | Fault::Type(_) | Fault::Encoding(_) => tonic::Code::Unimplemented,
            Fault::Slow => tonic::Code::DeadlineExceeded,
            Fault::Broken(_) => tonic::Code::InvalidArgument,
            Fault::Gone => tonic::Code::Cancelled,
            Fault::Flag => tonic::Code::Internal,
            Fault::Cardinality => tonic::Code::Unimplemented,
        }
    }

    /// One sentence for the sender, of bounded length.
    pub(crate) fn message(&self) -> String {
        let mut text = match self {
            Fault::Code(error) => error.message.clone(),
            Fault::NotHere(hint) => hint.clone(),
            Fault::Method => "method not allowed, supported: [POST]".into(),
            Fault::Type(known) => format!("unsupported media type, supported: [{known}]"),
            Fault::Encoding(name) => {
                format!("unsupported encoding `{}`, supported: [gzip, zstd, deflate, identity]", name.escape_debug())
            }
            Fault::Slow => "the body did not arrive in time".into(),
            Fault::Broken(why) => format!("the body is malformed: {why}"),
            Fault::Gone => "the body ended early".into(),
            Fault::Flag => "the message is marked as compressed, but no grpc-encoding is given".into(),
            Fault::Cardinality => "a unary call carries exactly one message".into(),
        };
        if text.len() > MESSAGE_BYTES_MAX {
            text.truncate(text.floor_char_boundary_at(MESSAGE_BYTES_MAX));
        }
        text
    }

    /// When to send again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Fault::Code(error) => error.retry_after,
            _ => None,
        }
    }

    /// What the loss ledger calls it; `None` when no data was lost by it.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Fault::Code(error) => match error.code {
                Code::TooLarge => Some(Reason::TooLarge),
                Code::Unavailable | Code::ResourceExhausted => Some(Reason::Overloaded),
                Code::Unauthenticated | Code::PermissionDenied => Some(Reason::NotAllowed),
                Code::InvalidArgument => Some(Reason::Undecodable),
                Code::NotFound | Code::DeadlineExceeded | Code::Internal => None,
            },
            Fault::NotHere(_) | Fault::Method | Fault::Gone => None,
            _ => Some(Reason::Undecodable),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Code(error)
    }
}

trait FloorCharBoundary {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorCharBoundary for String {
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        (0..=at).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: every fault is asked for its name, HTTP status, gRPC code and ledger reason.
    // Guarantee: only overload and lateness look retryable; nothing the sender did wrong is a 5xx.
    #[test]
    fn faults_have_one_meaning() {
        let faults = [
            Fault::no_budget(),
            Fault::too_large("the body", 10),
            Fault::late(Duration::from_secs(1)),
            Fault::from(Error::invalid("x")),
            Fault::from(Error::new(Code::Unauthenticated, "x")),
            Fault::NotHere("x".into()),
            Fault::Method,
            Fault::Type("x"),
            Fault::Encoding("br".into()),
            Fault::Slow,
            Fault::Broken("x".into()),
            Fault::Gone,
            Fault::Flag,
            Fault::Cardinality,
        ];
        let drawn: String = faults
            .iter()
            .map(|fault| {
                let reason = fault.reason().map_or("-", Reason::code);
                format!("{} {} {:?} {reason}\n", fault.name(), fault.http().as_u16(), fault.grpc())
            })
            .collect();
        let table = "\
unavailable 503 Unavailable overloaded
too_large 413 ResourceExhausted too_large
deadline_exceeded 504 DeadlineExceeded -
invalid_argument 400 InvalidArgument undecodable
unauthenticated 401 Unauthenticated not_allowed
not_found 404 Unimplemented -
method_not_allowed 405 Unimplemented -
unsupported_type 415 Unimplemented undecodable
unsupported_encoding 415 Unimplemented undecodable
body_timeout 408 DeadlineExceeded undecodable
broken_body 400 InvalidArgument undecodable
cancelled 400 Cancelled -
broken_body 400 Internal undecodable
broken_body 400 Unimplemented undecodable
";
        assert_eq!(drawn, table);
    }

    // Scenario: an error with a message of many kilobytes that ends in a wide character.
    // Guarantee: answers stay small and are cut between characters.
    #[test]
    fn messages_are_bounded() {
        let long = Fault::from(Error::invalid(format!("{}{}", "x".repeat(1022), "\u{1f600}".repeat(1000))));
        assert_eq!(long.message(), "x".repeat(1022));
    }
}
