//! How the process is doing: ingest counters, flush, health, metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode, Uri};
use serde::Serialize;
use utoipa::ToSchema;
use view::ingest::IngestAnswer;

use crate::answer::{ErrorAnswer, Failure, json};
use crate::app::App;
use crate::params::Params;
use crate::status::Readiness;

/// Longest flush when none is asked for.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest flush that may be asked for.
const FLUSH_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// Answer of a flush.
#[derive(Serialize, ToSchema)]
pub(crate) struct FlushAnswer {
    /// True: everything accepted before the call is stored.
    flushed: bool,
    /// Whether it is rolled up into the service graph too; many minutes of old data may need longer.
    rolled_up: bool,
    /// How long it took.
    took_ms: u64,
}

/// Answer of a health check.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    /// ok; ready, degraded or not_ready.
    status: &'static str,
    /// What is wrong, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// How ingest is doing: items accepted, stored, refused; the journal; the store.
#[utoipa::path(get, path = "/api/v1/ingest", tag = "ingest", responses(
    (status = 200, description = "Counters, journal, store, addresses", body = IngestAnswer),
    (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn ingest(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Failure> {
    Params::read(&uri, &[], &[])?;
    Ok(json(&app.status.ingest()))
}

/// Waits until everything accepted before the call is stored, and up to half a minute more for the service graph.
#[utoipa::path(post, path = "/api/v1/flush", tag = "ingest",
    params(("timeout" = Option<String>, Query, description = "Longest wait, such as 30s; 60s when absent")),
    responses((status = 200, description = "Everything is stored; `rolled_up` says whether the service graph has it", body = FlushAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn flush(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Failure> {
    let params = Params::read(&uri, &["timeout"], &[])?;
    let timeout = params.duration_ns("timeout")?.map_or(FLUSH_TIMEOUT, Duration::from_nanos).min(FLUSH_TIMEOUT_MAX);
    let began = Instant::now();
    let rolled_up = app.status.flush(timeout).await?;
    app.view.forget_names();
    Ok(json(&FlushAnswer { flushed: true, rolled_up, took_ms: began.elapsed().as_millis() as u64 }))
}

/// Whether the process lives.
#[utoipa::path(get, path = "/health", tag = "process", responses(
    (status = 200, description = "It lives", body = HealthAnswer)))]
pub(crate) async fn health() -> Response {
    json(&HealthAnswer { status: "ok", reason: None })
}

/// Whether new data is accepted. Without the store it still is, and the answer says so.
#[utoipa::path(get, path = "/ready", tag = "process", responses(
    (status = 200, description = "ready, or degraded: the store is away and the journal keeps what comes", body = HealthAnswer),
    (status = 503, description = "not_ready: requests are refused", body = HealthAnswer)))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.status.readiness() {
        Readiness::Ready => json(&HealthAnswer { status: "ready", reason: None }),
        Readiness::Degraded(reason) => json(&HealthAnswer { status: "degraded", reason: Some(reason) }),
        Readiness::NotReady(reason) => {
            let mut response = json(&HealthAnswer { status: "not_ready", reason: Some(reason) });
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    }
}

/// Metrics in the Prometheus (OpenMetrics) text format.
#[utoipa::path(get, path = "/metrics", tag = "process", responses(
    (status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text")))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut text = String::new();
    if prometheus_client::encoding::text::encode(&mut text, &app.registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(CONTENT_TYPE, kind)], text).into_response()
}
