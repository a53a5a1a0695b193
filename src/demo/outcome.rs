//! How an operation can fail, in the words of its language and its protocol.

use crate::shop::Language;

/// A failure on its way up.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Class of the exception, or `error.type`.
    pub(crate) exception: String,
    /// Its message.
    pub(crate) message: String,
    /// What it becomes in HTTP.
    pub(crate) http: u16,
    /// What it becomes in gRPC.
    pub(crate) grpc: i64,
}

/// gRPC's code for "unavailable".
pub(crate) const GRPC_UNAVAILABLE: i64 = 14;
/// gRPC's code for "internal".
pub(crate) const GRPC_INTERNAL: i64 = 13;

impl Failure {
    /// A bug in the service itself.
    pub(crate) fn bug(language: Language, message: String) -> Failure {
        let exception = match language {
            Language::Java => "java.lang.IllegalStateException",
            Language::Python => "ValueError",
            Language::Nodejs => "TypeError",
            Language::Dotnet => "System.InvalidOperationException",
            Language::Go => "*errors.errorString",
            Language::Rust => "shipping::Error",
        };
        Failure { exception: exception.to_owned(), message, http: 500, grpc: GRPC_INTERNAL }
    }

    /// The line to another broke; it happens now and then.
    pub(crate) fn hiccup(language: Language) -> Failure {
        let exception = match language {
            Language::Java => "java.net.SocketTimeoutException",
            Language::Python => "ConnectionResetError",
            Language::Nodejs => "Error",
            Language::Dotnet => "System.IO.IOException",
            Language::Go => "*net.OpError",
            Language::Rust => "std::io::Error",
        };
        let message = "connection reset by peer".to_owned();
        Failure { exception: exception.to_owned(), message, http: 503, grpc: GRPC_UNAVAILABLE }
    }

    /// Too busy.
    pub(crate) fn overloaded(language: Language) -> Failure {
        let exception = match language {
            Language::Java => "java.util.concurrent.RejectedExecutionException",
            _ => "Overloaded",
        };
        let message = "all workers are busy, 0 of 64 are free".to_owned();
        Failure { exception: exception.to_owned(), message, http: 503, grpc: GRPC_UNAVAILABLE }
    }

    /// Nobody listens there.
    pub(crate) fn refused(language: Language, address: &str) -> Failure {
        let (exception, message) = match language {
            Language::Java => ("java.net.ConnectException", format!("Connection refused: {address}")),
            Language::Python => ("ConnectionRefusedError", format!("[Errno 111] Connection refused: {address}")),
            Language::Nodejs => ("ECONNREFUSED", format!("connect ECONNREFUSED {address}")),
            Language::Dotnet => ("System.Net.Sockets.SocketException", format!("Connection refused ({address})")),
            Language::Go => ("*net.OpError", format!("dial tcp {address}: connect: connection refused")),
            Language::Rust => ("std::io::Error", format!("Connection refused (os error 111): {address}")),
        };
        Failure { exception: exception.to_owned(), message, http: 503, grpc: GRPC_UNAVAILABLE }
    }

    /// What it looks like to the callers of a service whose own call failed.
    pub(crate) fn passed_on(callee: &str, cause: &Failure) -> Failure {
        Failure {
            exception: cause.http.max(500).to_string(),
            message: format!("call to {callee} failed: {}", cause.message),
            http: cause.http.max(500),
            grpc: cause.grpc,
        }
    }
}
