//! What is said about the server: health, version, counters, what Zipkin's UI has to know.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use wire::zipkin::answer::{self, Collected, UiConfig};

use crate::app::App;

type Shared = State<Arc<App>>;

/// The store as health checks name it.
const STORAGE: &str = "ClickHouse";
/// Window that Zipkin's UI begins with, in milliseconds.
const UI_LOOKBACK_MS: u64 = 900_000;
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Whether questions can be answered. Spans are taken also when not.
pub(super) async fn health(State(app): Shared) -> Response {
    let trouble = app.view.ping().await.err().map(|error| error.to_string());
    let status = if trouble.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CONTENT_TYPE, JSON)], answer::health(STORAGE, trouble.as_deref())).into_response()
}

/// Which version this is.
pub(super) async fn info() -> Response {
    ([(CONTENT_TYPE, JSON)], answer::info(env!("CARGO_PKG_VERSION"))).into_response()
}

/// What Zipkin's UI has to know.
pub(super) async fn config(State(app): Shared) -> Response {
    let config = &app.config.zipkin;
    let lookback_ms = u64::try_from(config.default_lookback.as_millis()).unwrap_or(u64::MAX);
    let body = answer::ui_config(UiConfig {
        query_limit: config.query_limit,
        default_lookback_ms: lookback_ms.min(UI_LOOKBACK_MS),
        search_enabled: config.search_enabled,
    });
    let for_a_while = HeaderValue::from_static("max-age=600, must-revalidate");
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json")), (CACHE_CONTROL, for_a_while)], body).into_response()
}

/// What came in, as JSON.
pub(super) async fn metrics(State(app): Shared) -> Response {
    ([(CONTENT_TYPE, JSON)], answer::metrics(&by_transport(&app))).into_response()
}

/// What came in, for Prometheus.
pub(super) async fn prometheus(State(app): Shared) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, kind)], answer::prometheus(&by_transport(&app))).into_response()
}

/// For people who come here with a browser.
pub(super) async fn home() -> Response {
    Html(HOME).into_response()
}

const HOME: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Hypocenter: Zipkin API</title>\
    <h1>Zipkin's API</h1><p>Hypocenter takes spans and answers questions here as a Zipkin server does. \
    Its own pages are on its own port (7700 by default).</p></html>";

fn by_transport(app: &App) -> [(&'static str, Collected); 2] {
    let [http, grpc] = app.status.zipkin_collected();
    [("http", http), ("grpc", grpc)]
}
