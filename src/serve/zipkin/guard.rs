//! Who may ask, how many at once and for how long: the rules of our own API, told in plain text.

use std::sync::Arc;
use std::time::Instant;

use access::{Code, Error, Purpose};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use view::ViewError;

use crate::app::App;
use crate::guard::TURN_MAX;

/// A refusal on its way out: a status and a sentence.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
    retry_after_s: Option<u64>,
}

/// Counts every request.
pub(super) async fn every_request(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let _in_flight = app.metrics.begun();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "zipkin other".to_owned(), |path| format!("zipkin {}", path.as_str()));
    let response = next.run(request).await;
    app.metrics.answered(&route, response.status().as_u16(), began.elapsed());
    response
}

/// Lets a question in: its caller may read, it gets its turn, and it ends in time.
pub(super) async fn question(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let caller = match app.access.admit(request.headers(), Purpose::Read) {
        Ok(caller) => caller,
        Err(error) => return Refusal::from(error).into_response(),
    };
    let Ok(Ok(_turn)) = tokio::time::timeout(TURN_MAX, app.questions.acquire()).await else {
        return Refusal::busy("too many questions are being answered; ask again shortly").into_response();
    };
    request.extensions_mut().insert(caller);
    let allowed = app.config.zipkin.query_timeout;
    match tokio::time::timeout(allowed, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::late().into_response(),
    }
}

/// Lets a reader in, without a turn: what is cheap to answer.
pub(super) async fn reader(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.access.admit(request.headers(), Purpose::Read) {
        Ok(_) => next.run(request).await,
        Err(error) => Refusal::from(error).into_response(),
    }
}

impl Refusal {
    /// The question makes no sense.
    pub(super) fn invalid(text: impl Into<String>) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, text: text.into(), retry_after_s: None }
    }

    /// What was asked for does not exist.
    pub(super) fn not_found(text: impl Into<String>) -> Refusal {
        Refusal { status: StatusCode::NOT_FOUND, ..Refusal::invalid(text) }
    }

    fn busy(text: impl Into<String>) -> Refusal {
        Refusal { status: StatusCode::SERVICE_UNAVAILABLE, retry_after_s: Some(2), ..Refusal::invalid(text) }
    }

    // As Zipkin's server says it.
    fn late() -> Refusal {
        Refusal {
            retry_after_s: None,
            ..Refusal::busy("the answer took too long; narrow the time range or the filter")
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal { status: error.code.http(), retry_after_s: error.retry_after_s(), text: error.message }
    }
}

impl From<ViewError> for Refusal {
    fn from(error: ViewError) -> Refusal {
        let text = error.to_string();
        match error {
            ViewError::Invalid(_) => Refusal::invalid(text),
            ViewError::NotFound(_) => Refusal::not_found(text),
            ViewError::Unavailable(_) => Refusal::busy(text),
            ViewError::Deadline(_) => Refusal::late(),
            ViewError::TooMuch(_) => Refusal::from(Error::new(Code::ResourceExhausted, text)),
            ViewError::Broken(_) => {
                tracing::error!(error = %text, "a Zipkin question failed");
                Refusal::from(Error::internal("the question failed inside Hypocenter; its log says more"))
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.text).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer realm=\"hypocenter\"");
            response.headers_mut().append(WWW_AUTHENTICATE, bearer);
            let basic = HeaderValue::from_static("Basic realm=\"hypocenter\", charset=\"UTF-8\"");
            response.headers_mut().append(WWW_AUTHENTICATE, basic);
        }
        response
    }
}
