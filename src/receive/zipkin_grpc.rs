//! Zipkin over gRPC: `zipkin.proto3.SpanService/Report` takes a `ListOfSpans`, which is what the
//! HTTP door calls protobuf, and answers with an empty message. It shares Zipkin's port.
//! Spec: zipkin-api, `zipkin.proto`.

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

use crate::door::{self, Door, Visit};
use crate::fault::Fault;
use crate::intake::{Intake, Receipt};
use crate::metrics::{DoorName, Metrics};
use crate::{Config, grpc};

/// The gRPC half of the Zipkin port.
pub fn zipkin_grpc_router<I: Intake>(
    intake: Arc<I>,
    access: Arc<Access>,
    config: &Config,
    metrics: &Metrics,
) -> Router {
    let door = Arc::new(Door::new(intake, access, config, metrics, DoorName::ZipkinGrpc));
    Router::new()
        .route("/zipkin.proto3.SpanService/Report", any(move |request| report(door, request)))
        .route("/zipkin.proto3.SpanService/{method}", any(elsewhere))
}

async fn report<I: Intake>(door: Arc<Door<I>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    if let Some(answer) = grpc::not_grpc(&parts) {
        return answer;
    }
    let mut visit = door.open(Signal::Traces, &parts);
    let work = take_in(&mut visit, &door, &parts, &mut body);
    let outcome = match grpc::deadline(&parts.headers) {
        Some(time) => timeout(time, work).await.unwrap_or_else(|_| Err(Fault::late(time))),
        None => work.await,
    };
    visit.close(&outcome);
    match outcome {
        Ok(_) => grpc::reply(&[]),
        Err(fault) => grpc::refuse(&fault),
    }
}

async fn take_in<I: Intake>(
    visit: &mut Visit<'_, I>,
    door: &Door<I>,
    parts: &Parts,
    body: &mut Body,
) -> Result<Receipt, Fault> {
    visit.admit(parts)?;
    let encoding = door::encoding(&parts.headers, grpc::ENCODING)?;
    let message = grpc::read_message(body, encoding, &door.config.limits, door.intake.budget()).await?;
    if message.bytes.is_empty() {
        return Ok(Receipt::default());
    }
    visit.hand_over(Protocol::ZipkinV2Proto, message.encoding, message.bytes, message.permit).await
}

async fn elsewhere(request: Request) -> Response {
    let (parts, _) = request.into_parts();
    grpc::not_grpc(&parts)
        .unwrap_or_else(|| grpc::refuse(&Fault::NotHere("zipkin.proto3.SpanService has the method Report".into())))
}
