//! A sink that looks like ClickHouse over HTTP to those who insert: it swallows every body and counts
//! bytes. Both sides of a comparison write to it, so that only the collectors' own work differs.
//!
//! `cargo bench --bench sink -- --port 18123`; `GET /counts` answers `{"inserts","bytes"}`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use clap::Parser;
use http_body_util::BodyExt as _;

#[derive(Debug, Parser)]
struct Args {
    #[arg(long, default_value_t = 18_123)]
    port: u16,
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Default)]
struct Counts {
    inserts: AtomicU64,
    bytes: AtomicU64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let counts = Arc::new(Counts::default());
    let routes = Router::new().fallback(swallow).with_state(counts);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", args.port)).await?;
    axum::serve(listener, routes).await
}

async fn swallow(State(counts): State<Arc<Counts>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    if parts.uri.path() == "/counts" {
        let counted = serde_json::json!({"inserts": counts.inserts.load(Ordering::Relaxed), "bytes": counts.bytes.load(Ordering::Relaxed)});
        return counted.to_string().into_response();
    }
    let query = parts.uri.query().unwrap_or("").to_owned();
    let mut length = 0;
    let mut head = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            length += data.len() as u64;
            if head.len() < 64 {
                head.extend_from_slice(&data[..data.len().min(64)]);
            }
        }
    }
    if query.contains("INSERT") || head.starts_with(b"INSERT") {
        counts.inserts.fetch_add(1, Ordering::Relaxed);
        counts.bytes.fetch_add(length, Ordering::Relaxed);
    }
    (StatusCode::OK, Body::empty()).into_response()
}
