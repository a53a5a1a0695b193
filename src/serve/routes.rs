//! Every route, in one table, and what surrounds them: compression, panics, security headers, CORS.

use std::sync::Arc;

use access::Error;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Router, middleware::Next};
use http::header::{
    ALLOW, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, Method};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::answer::{Failure, with_allow};
use crate::app::App;
use crate::{Config, ask, changes, guard, incidents, mcp, openapi, process, ui, zipkin};

/// Answers below this size are not worth compressing.
const COMPRESS_BYTES_MIN: u64 = 1_024;
/// Scripts, styles, pictures and data only from here; no inline code; nobody may frame us.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

macro_rules! routes {
    ($( $group:ident ( $guard:path ) { $( $method:ident $path:literal => $handler:path; )* } )*) => {
        /// Every described route: method and path.
        #[cfg(test)]
        pub(crate) const ROUTES: &[(&str, &str)] = &[$( $( (stringify!($method), $path), )* )*];

        fn described(app: &Arc<App>) -> Router<Arc<App>> {
            let router = Router::new();
            $(
                let $group = Router::new()$( .route($path, $method($handler)) )*
                    .route_layer(from_fn_with_state(Arc::clone(app), $guard));
                let router = router.merge($group);
            )*
            router
        }
    };
}

routes! {
    questions(guard::question) {
        get "/api/v1/services" => ask::services;
        get "/api/v1/services/{service}/operations" => ask::operations;
        get "/api/v1/traces" => ask::traces;
        get "/api/v1/traces/{trace_id}" => ask::trace;
        get "/api/v1/logs" => ask::logs;
        get "/api/v1/logs/histogram" => ask::histogram;
        get "/api/v1/patterns" => ask::patterns;
        get "/api/v1/changes" => changes::changes;
        get "/api/v1/graph" => ask::graph;
        post "/api/v1/suspects" => ask::suspects;
        get "/api/v1/feedback" => ask::feedback;
        get "/api/v1/incidents" => incidents::incidents;
        get "/api/v1/incidents/{id}" => incidents::incident;
        get "/api/v1/rules" => incidents::rules;
        get "/api/v1/silences" => incidents::silences;
        get "/api/v1/ledger" => ask::ledger;
    }
    readers(guard::reader) {
        get "/api/v1/ingest" => process::ingest;
        get "/api/openapi.json" => openapi::openapi;
        get "/metrics" => process::metrics;
    }
    changes(guard::change) {
        post "/api/v1/feedback" => ask::tell_feedback;
        post "/api/v1/rules" => incidents::put_rule;
        delete "/api/v1/rules/{name}" => incidents::end_rule;
        post "/api/v1/silences" => incidents::put_silence;
        delete "/api/v1/silences/{id}" => incidents::end_silence;
        post "/api/v1/flush" => process::flush;
    }
    anybody(nothing) {
        get "/health" => process::health;
        get "/ready" => process::ready;
    }
}

/// The whole port.
pub(crate) fn router(app: Arc<App>) -> Router {
    let cors = cors(&app.config);
    let body_bytes_max = app.config.body_bytes_max;
    let mut router = described(&app)
        .route("/healthz", get(process::health))
        .route("/-/healthy", get(process::health))
        .route("/readyz", get(process::ready))
        .route("/-/ready", get(process::ready))
        .merge(zipkin::routes(&app, "/zipkin"))
        .merge(mcp::routes(&app))
        .fallback(elsewhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), guard::every_request))
        .layer(DefaultBodyLimit::max(body_bytes_max));
    if let Some(cors) = cors {
        router = router.layer(cors);
    }
    let worthwhile = SizeAbove::new(COMPRESS_BYTES_MIN).and(NotForContentType::IMAGES);
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worthwhile))
        .layer(from_fn(security_headers))
        .with_state(app)
}

/// Paths that are no route: the API says so in JSON, everything else belongs to the UI.
async fn elsewhere(State(app): State<Arc<App>>, request: Request) -> Response {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        return match receiver_of(path) {
            Some(receiver) => Failure::another_port(path, receiver).into_response(),
            None => Failure::no_such_path(path).into_response(),
        };
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        if let Some(receiver) = receiver_of(path) {
            return Failure::another_port(path, receiver).into_response();
        }
        return with_allow(
            Failure::no_such_method(request.method()).into_response(),
            Some(HeaderValue::from_static("GET, HEAD")),
        );
    }
    ui::page(&app.pages, path, request.headers())
}

/// What receives at a path that a sender, pointed at the wrong port, posts to.
fn receiver_of(path: &str) -> Option<&'static str> {
    match path {
        "/v1/traces" | "/v1/logs" | "/v1/metrics" => Some("OTLP over HTTP (4318 by default)"),
        "/api/v1/spans" | "/api/v2/spans" => Some("Zipkin (9411 by default)"),
        _ if path.starts_with("/opentelemetry.proto.collector.") => Some("OTLP over gRPC (4317 by default)"),
        _ => None,
    }
}

async fn wrong_method(request: Request) -> Response {
    let response = Failure::no_such_method(request.method()).into_response();
    let known = if ["/api/v1/flush", mcp::PATH].contains(&request.uri().path()) { "POST" } else { "GET, HEAD" };
    let present = response.headers().get(ALLOW).cloned();
    with_allow(response, present.or(Some(HeaderValue::from_static(known))))
}

async fn nothing(request: Request, next: Next) -> Response {
    next.run(request).await
}

async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn cors(config: &Config) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = config.cors_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let layer = || CorsLayer::new().allow_methods([Method::GET, Method::POST]).allow_headers(tower_http::cors::Any);
    (!origins.is_empty()).then(|| layer().allow_origin(AllowOrigin::list(origins)))
}

fn panicked(cause: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    tracing::error!(panic = text, "a request broke something");
    Failure::from(Error::internal("Hypocenter broke on this request; its log says more")).into_response()
}
