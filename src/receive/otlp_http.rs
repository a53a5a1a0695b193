//! OTLP over HTTP: `POST /v1/traces`, `/v1/logs`, `/v1/metrics`, protobuf or JSON by content type.
//!
//! Answers, also errors, speak the language of the request; what cannot be told in it (wrong type) is
//! plain text. Retryable trouble is 503 with `Retry-After`, never 500. Spec: OTLP 1.11, OTLP/HTTP.

use std::sync::Arc;

use access::Access;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version};
use model::{Protocol, Signal};
use wire::otlp::answer::{self, Format};

use crate::body::{self, linger};
use crate::door::{self, Door, Visit};
use crate::fault::Fault;
use crate::intake::{Intake, Receipt};
use crate::metrics::{DoorName, Metrics};
use crate::{Config, cors, grpc};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const TYPES: &str = "application/json, application/x-protobuf";

/// The OTLP/HTTP port as a router, with a fallback that explains wrong paths.
pub fn otlp_http_router<I: Intake>(intake: Arc<I>, access: Arc<Access>, config: &Config, metrics: &Metrics) -> Router {
    let rules = config.otlp_cors.clone();
    let prefix = config.otlp_http_prefix.trim_end_matches('/').to_string();
    let door = Arc::new(Door::new(intake, access, config, metrics, DoorName::OtlpHttp));
    let mut router = Router::new();
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        let door = door.clone();
        let path = format!("{prefix}/v1/{}", signal.name());
        router = router.route(&path, any(move |request| export(door, signal, request)));
    }
    let hint = format!("send OTLP to POST {prefix}/v1/traces, {prefix}/v1/logs or {prefix}/v1/metrics");
    cors::apply(router.fallback(move |request| elsewhere(hint, request)), rules)
}

async fn export<I: Intake>(door: Arc<Door<I>>, signal: Signal, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let format = format(&parts.headers);
    if parts.method != Method::POST {
        return refuse(&Fault::Method, format, &parts, body);
    }
    let mut visit = door.open(signal, &parts);
    let outcome = take_in(&mut visit, &door, signal, format, &parts, &mut body).await;
    visit.close(&outcome);
    match (outcome, format) {
        (Ok(receipt), Some(format)) => success(signal, format, &receipt),
        (Ok(_), None) => StatusCode::OK.into_response(),
        (Err(fault), format) => refuse(&fault, format, &parts, body),
    }
}

async fn take_in<I: Intake>(
    visit: &mut Visit<'_, I>,
    door: &Door<I>,
    signal: Signal,
    format: Option<Format>,
    parts: &Parts,
    body: &mut Body,
) -> Result<Receipt, Fault> {
    visit.admit(parts)?;
    let format = format.ok_or(Fault::Type(TYPES))?;
    let encoding = door::encoding(&parts.headers, header::CONTENT_ENCODING.as_str())?;
    let (packed, permit) = body::read(body, &door.config.limits, door.intake.budget()).await?;
    visit.hand_over(protocol(signal, format), encoding, packed, permit).await
}

async fn elsewhere(hint: String, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if grpc::is_grpc(&parts.headers) {
        let fault =
            Fault::NotHere(format!("this is the OTLP/HTTP port, OTLP/gRPC has its own (4317 by default); {hint}"));
        return grpc::refuse(&fault);
    }
    let fault = Fault::NotHere(format!("nothing is served at {}; {hint}", shown(parts.uri.path())));
    let format = format(&parts.headers);
    refuse(&fault, format, &parts, body)
}

fn success(signal: Signal, format: Format, receipt: &Receipt) -> Response {
    let message = answer::export_response(signal, format, &receipt.account);
    ([(header::CONTENT_TYPE, content_type(format))], Body::from(message)).into_response()
}

fn refuse(fault: &Fault, format: Option<Format>, parts: &Parts, body: Body) -> Response {
    keep_reading(fault, parts, body);
    let (kind, message) = match format {
        Some(format) => {
            (content_type(format), answer::status(format, fault.grpc() as i32, &fault.message(), fault.retry_after()))
        }
        None => (HeaderValue::from_static("text/plain; charset=utf-8"), fault.message().into_bytes()),
    };
    let mut response = (fault.http(), [(header::CONTENT_TYPE, kind)], Body::from(message)).into_response();
    explain(fault, response.headers_mut());
    response
}

/// The headers that belong to a refusal on HTTP.
pub(crate) fn explain(fault: &Fault, headers: &mut HeaderMap) {
    match fault {
        Fault::Method => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
        }
        Fault::Encoding(_) => {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd, deflate"));
        }
        // The rest of the body would be taken for the next request.
        Fault::Slow => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Fault::Code(error) => {
            if let Some(seconds) = error.retry_after_s() {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            if error.code == access::Code::Unauthenticated {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(access::admit::CHALLENGE));
            }
        }
        _ => {}
    }
}

/// Leaves the rest of a refused HTTP/1 body to a task, unless the client waits for leave to send it,
/// or has had its time.
pub(crate) fn keep_reading(fault: &Fault, parts: &Parts, body: Body) {
    use http_body::Body as _;
    let writes_on = parts.version < Version::HTTP_2 && !parts.headers.contains_key(header::EXPECT);
    if writes_on && !body.is_end_stream() && !matches!(fault, Fault::Slow | Fault::Gone) {
        tokio::spawn(linger(body));
    }
}

// The kind of the request, by its one content type, parameters and case apart.
fn format(headers: &HeaderMap) -> Option<Format> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(PROTOBUF) {
        Some(Format::Protobuf)
    } else if essence.eq_ignore_ascii_case(JSON) {
        Some(Format::Json)
    } else {
        None
    }
}

fn content_type(format: Format) -> HeaderValue {
    HeaderValue::from_static(match format {
        Format::Protobuf => PROTOBUF,
        Format::Json => JSON,
    })
}

fn protocol(signal: Signal, format: Format) -> Protocol {
    match (signal, format) {
        (Signal::Traces, Format::Protobuf) => Protocol::OtlpTracesProto,
        (Signal::Logs, Format::Protobuf) => Protocol::OtlpLogsProto,
        (Signal::Metrics, Format::Protobuf) => Protocol::OtlpMetricsProto,
        (Signal::Traces, Format::Json) => Protocol::OtlpTracesJson,
        (Signal::Logs, Format::Json) => Protocol::OtlpLogsJson,
        (Signal::Metrics, Format::Json) => Protocol::OtlpMetricsJson,
    }
}

fn shown(path: &str) -> String {
    path.chars().take(100).collect()
}
