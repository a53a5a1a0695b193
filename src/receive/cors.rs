//! CORS by hand: which web pages may send. Browser exporters ask first (preflight), also for leave to
//! reach a private network; the answer repeats what they asked for. The rules are few and the same for
//! every path of a port, so they stand here in one piece.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

/// Which origins may send, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Allowed origins, such as `https://shop.example.com`; `*` stands for any characters. None = no
    /// page may send.
    pub origins: Vec<String>,
    /// Whether requests with credentials are allowed. The answer then repeats the origin instead of `*`.
    pub credentials: bool,
}

const REQUEST_PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// How long browsers may remember a preflight: an hour, in seconds.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("3600");

/// Puts the rules in front of all routes and the fallback of a router. Doing so twice changes nothing.
pub fn apply<S: Clone + Send + Sync + 'static>(router: Router<S>, cors: Cors) -> Router<S> {
    if cors.origins.is_empty() {
        return router;
    }
    router.layer(from_fn_with_state(cors, check))
}

async fn check(State(cors): State<Cors>, request: Request, next: Next) -> Response {
    let Some(allowed) = cors.allowed(request.headers()) else { return next.run(request).await };
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        let mut response = StatusCode::NO_CONTENT.into_response();
        preflight(request.headers(), response.headers_mut());
        response
    } else {
        let mut response = next.run(request).await;
        response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        response
    };
    let headers = response.headers_mut();
    if allowed != "*" {
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    if cors.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    response
}

fn preflight(asked: &HeaderMap, answer: &mut HeaderMap) {
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET"));
    let headers = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    answer.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        headers.unwrap_or(HeaderValue::from_static("content-type, content-encoding")),
    );
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
    if asked.get(REQUEST_PRIVATE).is_some_and(|value| value == "true") {
        answer.insert(ALLOW_PRIVATE, HeaderValue::from_static("true"));
    }
}

impl Cors {
    /// The allow-origin value for a request; `None` when there is no origin, or none that may.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let everybody = self.origins.iter().any(|pattern| pattern == "*");
        if everybody && !self.credentials {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?;
        let known = everybody || self.origins.iter().any(|pattern| access::tenant::matches(pattern, text));
        known.then(|| origin.clone())
    }
}
