//! Answers and errors as HTTP: JSON bodies, status codes, the headers that go with them.

use access::{Code, Error};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use view::ViewError;

/// What every failed request is answered with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorAnswer {
    error: ErrorBody,
}

/// The failure.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// invalid_argument, unauthenticated, permission_denied, not_found, too_large, resource_exhausted,
    /// unavailable, deadline_exceeded or internal.
    code: &'static str,
    /// One sentence.
    message: String,
    /// Named facts.
    details: BTreeMap<&'static str, String>,
}

/// A failure on its way out.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Error,
    status: StatusCode,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { status: error.code.http(), error }
    }
}

impl From<ViewError> for Failure {
    fn from(error: ViewError) -> Failure {
        let text = error.to_string();
        match error {
            ViewError::Invalid(_) => Error::invalid(text).into(),
            ViewError::NotFound(_) => Error::new(Code::NotFound, text).into(),
            ViewError::Unavailable(_) => Error::unavailable(text, std::time::Duration::from_secs(2)).into(),
            ViewError::Deadline(_) => Error::new(Code::DeadlineExceeded, text).into(),
            ViewError::TooMuch(_) => Error::new(Code::ResourceExhausted, text).into(),
            ViewError::Broken(_) => {
                tracing::error!(error = %text, "a question failed");
                Error::internal("the question failed inside Hypocenter; its log says more").into()
            }
        }
    }
}

impl Failure {
    /// Code and message, for those who are not answered over HTTP.
    pub(crate) fn told(&self) -> (&'static str, &str) {
        (self.error.code.name(), &self.error.message)
    }

    /// No such thing in the API.
    pub(crate) fn no_such_path(path: &str) -> Failure {
        let shown: String = path.chars().take(200).collect();
        Error::new(Code::NotFound, format!("there is no {shown}; /api/openapi.json lists what there is")).into()
    }

    /// A sender that was pointed at this port by mistake.
    pub(crate) fn another_port(path: &str, receiver: &str) -> Failure {
        Error::new(Code::NotFound, format!("{path} is not received here: {receiver} has a port of its own")).into()
    }

    /// The path exists, the method does not.
    pub(crate) fn no_such_method(method: &http::Method) -> Failure {
        let error = Error::invalid(format!("the method {method} is not for this path"));
        Failure { error, status: StatusCode::METHOD_NOT_ALLOWED }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Failure { error, status } = self;
        let retry_after_s = error.retry_after_s();
        let details = error.details.iter().cloned().collect();
        let body = ErrorAnswer { error: ErrorBody { code: error.code.name(), message: error.message, details } };
        let mut response = json(&body);
        *response.status_mut() = status;
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if error.code == Code::Unauthenticated {
            // Programs read the first, browsers ask their user for the second.
            response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hypocenter\""));
            response
                .headers_mut()
                .append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"hypocenter\", charset=\"UTF-8\""));
        }
        response
    }
}

/// A JSON answer.
pub(crate) fn json(body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => json_bytes(bytes),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A large JSON answer, written beside the threads that serve.
pub(crate) async fn json_aside(body: impl Serialize + Send + 'static) -> Result<Response, Failure> {
    let written = tokio::task::spawn_blocking(move || serde_json::to_vec(&body)).await;
    match written {
        Ok(Ok(bytes)) => Ok(json_bytes(bytes)),
        Ok(Err(error)) => {
            tracing::error!(%error, "an answer could not be written");
            Err(Error::internal("the answer could not be written").into())
        }
        Err(error) => {
            tracing::error!(%error, "writing an answer broke off");
            Err(Error::internal("the answer could not be written").into())
        }
    }
}

fn json_bytes(bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Keeps the `Allow` header that the routing made when it refused a method.
pub(crate) fn with_allow(mut failure: Response, allow: Option<HeaderValue>) -> Response {
    if let Some(allow) = allow {
        failure.headers_mut().insert(ALLOW, allow);
    }
    failure
}
