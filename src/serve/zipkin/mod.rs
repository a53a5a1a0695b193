//! Zipkin's read API as its server gives it: paths, texts of errors, caching headers. On Zipkin's own
//! port at the root and under `/zipkin`, and on ours under `/zipkin`. Taking spans in is the room
//! `receive`'s business; the root joins both on one port. Spec: zipkin-api; facts on Zipkin, section 1.

mod ask;
mod guard;
mod pages;
mod params;
mod show;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ALLOW, LOCATION};
use http::{Method, StatusCode};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::app::App;

/// How Zipkin's read API behaves.
#[derive(Clone, Debug)]
pub struct ZipkinConfig {
    /// Whether trace ids that agree only in their low 64 bits are different traces.
    pub strict_trace_id: bool,
    /// Whether there is a search; without, lists of traces and names are empty.
    pub search_enabled: bool,
    /// Tags whose values are offered.
    pub autocomplete_keys: Vec<String>,
    /// Window of searches and links that name none.
    pub default_lookback: Duration,
    /// Traces in a list when no limit is given.
    pub query_limit: usize,
    /// Longest time for one answer.
    pub query_timeout: Duration,
}

impl Default for ZipkinConfig {
    fn default() -> ZipkinConfig {
        ZipkinConfig {
            strict_trace_id: true,
            search_enabled: true,
            autocomplete_keys: Vec::new(),
            default_lookback: Duration::from_secs(86_400),
            query_limit: 10,
            query_timeout: Duration::from_secs(11),
        }
    }
}

/// What Zipkin's port answers besides taking spans in.
pub(crate) fn router(app: Arc<App>) -> Router {
    routes(&app, "")
        .merge(routes(&app, "/zipkin"))
        .route("/", get(to_zipkin))
        .fallback(elsewhere)
        .layer(from_fn_with_state(Arc::clone(&app), guard::every_request))
        .layer(CatchPanicLayer::new())
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .with_state(app)
}

/// The read API below a prefix.
pub(crate) fn routes(app: &Arc<App>, prefix: &str) -> Router<Arc<App>> {
    let at = |path: &str| format!("{prefix}{path}");
    let questions = Router::new()
        .route(&at("/api/v2/services"), get(ask::services))
        .route(&at("/api/v2/spans"), get(ask::spans))
        .route(&at("/api/v2/remoteServices"), get(ask::remote_services))
        .route(&at("/api/v2/traces"), get(ask::traces))
        .route(&at("/api/v2/trace/{trace_id}"), get(ask::trace))
        .route(&at("/api/v2/traceMany"), get(ask::trace_many))
        .route(&at("/api/v2/dependencies"), get(ask::dependencies))
        .route(&at("/api/v2/autocompleteKeys"), get(ask::autocomplete_keys))
        .route(&at("/api/v2/autocompleteValues"), get(ask::autocomplete_values))
        .route_layer(from_fn_with_state(Arc::clone(app), guard::question));
    let counters = Router::new()
        .route(&at("/metrics"), get(pages::metrics))
        .route(&at("/prometheus"), get(pages::prometheus))
        .route_layer(from_fn_with_state(Arc::clone(app), guard::reader));
    let pages = Router::new()
        .route(&at("/health"), get(pages::health))
        .route(&at("/info"), get(pages::info))
        .route(&at("/config.json"), get(pages::config));
    let all = questions.merge(counters).merge(pages);
    match prefix {
        "" => all,
        _ => all.route(prefix, get(to_zipkin)).route(&at("/"), get(pages::home)),
    }
}

async fn to_zipkin() -> Response {
    (StatusCode::FOUND, [(LOCATION, "/zipkin/")]).into_response()
}

async fn elsewhere(request: Request) -> Response {
    if request.method() == Method::TRACE {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD, POST")]).into_response();
    }
    let path: String = request.uri().path().chars().take(200).collect();
    (StatusCode::NOT_FOUND, format!("there is no {path} in Zipkin's API")).into_response()
}
