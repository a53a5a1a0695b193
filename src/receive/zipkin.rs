//! Zipkin over HTTP, inwards: `POST /api/v2/spans` (JSON, protobuf) and `/api/v1/spans` (JSON, Thrift),
//! also under `/zipkin`. Answers are Zipkin's: 202 without a body, errors as plain text.
//!
//! The port is shared with the read API, so this router has no fallback. Spec: zipkin-api;
//! facts on Zipkin, section 1.

use std::sync::Arc;

use access::Access;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use http::header::{self, HeaderMap};
use http::request::Parts;
use model::{Protocol, Signal};

use crate::body;
use crate::door::{self, Door, Visit};
use crate::fault::Fault;
use crate::intake::{Intake, Receipt};
use crate::metrics::{DoorName, Metrics};
use crate::otlp_http::{explain, keep_reading};
use crate::{Config, cors};

/// The two versions of the format, each with its binary form's content type.
const VERSIONS: [Version; 2] = [
    Version {
        path: "/api/v2/spans",
        json: Protocol::ZipkinV2Json,
        binary: Protocol::ZipkinV2Proto,
        binary_type: "application/x-protobuf",
    },
    Version {
        path: "/api/v1/spans",
        json: Protocol::ZipkinV1Json,
        binary: Protocol::ZipkinV1Thrift,
        binary_type: "application/x-thrift",
    },
];

#[derive(Clone, Copy)]
struct Version {
    path: &'static str,
    json: Protocol,
    binary: Protocol,
    binary_type: &'static str,
}

/// The ingest half of the Zipkin port. Other methods on these paths are left to the read half.
pub fn zipkin_ingest_router<I: Intake>(
    intake: Arc<I>,
    access: Arc<Access>,
    config: &Config,
    metrics: &Metrics,
) -> Router {
    let rules = config.zipkin_cors.clone();
    let door = Arc::new(Door::new(intake, access, config, metrics, DoorName::Zipkin));
    let mut router = Router::new();
    for version in VERSIONS {
        for prefix in ["", "/zipkin"] {
            let door = door.clone();
            let path = format!("{prefix}{}", version.path);
            router = router.route(&path, post(move |request| spans(door, version, request)));
        }
    }
    cors::apply(router, rules)
}

async fn spans<I: Intake>(door: Arc<Door<I>>, version: Version, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let mut visit = door.open(Signal::Traces, &parts);
    let outcome = take_in(&mut visit, &door, version, &parts, &mut body).await;
    visit.close(&outcome);
    match outcome {
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err(fault) => {
            keep_reading(&fault, &parts, body);
            let mut response = (fault.http(), fault.message()).into_response();
            explain(&fault, response.headers_mut());
            response
        }
    }
}

async fn take_in<I: Intake>(
    visit: &mut Visit<'_, I>,
    door: &Door<I>,
    version: Version,
    parts: &Parts,
    body: &mut Body,
) -> Result<Receipt, Fault> {
    visit.admit(parts)?;
    let encoding = door::encoding(&parts.headers, header::CONTENT_ENCODING.as_str())?;
    let (packed, permit) = body::read(body, &door.config.limits, door.intake.budget()).await?;
    // Zipkin takes an empty body for an empty list, whatever its headers say.
    if packed.is_empty() {
        return Ok(Receipt::default());
    }
    visit.hand_over(version.protocol(&parts.headers), encoding, packed, permit).await
}

impl Version {
    // As Zipkin does: JSON unless the binary type is named.
    fn protocol(self, headers: &HeaderMap) -> Protocol {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match kind.to_ascii_lowercase().contains(self.binary_type) {
            true => self.binary,
            false => self.json,
        }
    }
}
