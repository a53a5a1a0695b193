//! OTLP over gRPC: the Export methods of the trace, logs and metrics services, and health checks.
//!
//! The handlers are plain axum routes over HTTP/2 (also without TLS), see [`crate::grpc`] for why.
//! Spec: OTLP 1.11, OTLP/gRPC.

use std::sync::Arc;

use access::Access;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use http::request::Parts;
use model::{Protocol, Signal};
use tokio::time::timeout;
use wire::otlp::answer::{self, Format};

use crate::door::{self, Door, Visit};
use crate::fault::Fault;
use crate::intake::{Intake, Receipt};
use crate::metrics::{DoorName, Metrics};
use crate::{Config, grpc, health};

/// The services by signal, with the protocol of their messages.
const SERVICES: [(Signal, Protocol, &str); 3] = [
    (Signal::Traces, Protocol::OtlpTracesProto, "opentelemetry.proto.collector.trace.v1.TraceService"),
    (Signal::Logs, Protocol::OtlpLogsProto, "opentelemetry.proto.collector.logs.v1.LogsService"),
    (Signal::Metrics, Protocol::OtlpMetricsProto, "opentelemetry.proto.collector.metrics.v1.MetricsService"),
];

/// The OTLP/gRPC port as a router; unknown services and methods are UNIMPLEMENTED.
pub fn otlp_grpc_router<I: Intake>(intake: Arc<I>, access: Arc<Access>, config: &Config, metrics: &Metrics) -> Router {
    let health = health::router(intake.clone(), SERVICES.map(|(_, _, service)| service));
    let door = Arc::new(Door::new(intake, access, config, metrics, DoorName::OtlpGrpc));
    let mut router = Router::new();
    for (signal, protocol, service) in SERVICES {
        let door = door.clone();
        let path = format!("/{service}/Export");
        router = router.route(&path, any(move |request| export(door, signal, protocol, request)));
    }
    router.merge(health).fallback(elsewhere)
}

async fn export<I: Intake>(door: Arc<Door<I>>, signal: Signal, protocol: Protocol, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    if let Some(answer) = grpc::not_grpc(&parts) {
        return answer;
    }
    let mut visit = door.open(signal, &parts);
    let work = take_in(&mut visit, &door, protocol, &parts, &mut body);
    let outcome = match grpc::deadline(&parts.headers) {
        Some(time) => timeout(time, work).await.unwrap_or_else(|_| Err(Fault::late(time))),
        None => work.await,
    };
    visit.close(&outcome);
    match outcome {
        Ok(receipt) => grpc::reply(&answer::export_response(signal, Format::Protobuf, &receipt.account)),
        Err(fault) => grpc::refuse(&fault),
    }
}

async fn take_in<I: Intake>(
    visit: &mut Visit<'_, I>,
    door: &Door<I>,
    protocol: Protocol,
    parts: &Parts,
    body: &mut Body,
) -> Result<Receipt, Fault> {
    visit.admit(parts)?;
    let encoding = door::encoding(&parts.headers, grpc::ENCODING)?;
    let message = grpc::read_message(body, encoding, &door.config.limits, door.intake.budget()).await?;
    visit.hand_over(protocol, message.encoding, message.bytes, message.permit).await
}

async fn elsewhere(request: Request) -> Response {
    let (parts, _) = request.into_parts();
    grpc::not_grpc(&parts).unwrap_or_else(|| {
        let path: String = parts.uri.path().chars().take(200).collect();
        grpc::refuse(&Fault::NotHere(format!("unknown gRPC service or method {path}")))
    })
}
