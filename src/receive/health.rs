//! `grpc.health.v1.Health`: Check and Watch, for probes that speak only gRPC. The two messages are one
//! field each, so they are read and written here by hand.
//!
//! A service is SERVING while requests can be kept. Health tells nothing about data and asks for no
//! credentials.

use std::sync::Arc;
use std::time::Duration;

use access::{Budget, Limits};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use futures_util::stream;
use http::header;
use http_body::Frame;
use http_body_util::StreamBody;
use wire::encoding::Encoding;

use crate::fault::Fault;
use crate::grpc;
use crate::intake::Intake;

const SERVICE: &str = "grpc.health.v1.Health";

/// How often a watch looks again.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// A request names one service; this is room for any sensible name.
const REQUEST_BYTES_MAX: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Serving = 1,
    Not = 2,
    Unknown = 3,
}

struct Health<I> {
    intake: Arc<I>,
    services: [&'static str; 3],
    limits: Limits,
    budget: Budget,
}

/// The health service as routes.
pub(crate) fn router<I: Intake>(intake: Arc<I>, services: [&'static str; 3]) -> Router {
    let limits = Limits { body_bytes_max: REQUEST_BYTES_MAX, ..Limits::default() };
    // Probes must be answered under overload, so they do not live on the common budget.
    let budget = Budget::new(usize::MAX);
    let health = Arc::new(Health { intake, services, limits, budget });
    let watched = health.clone();
    Router::new()
        .route(&format!("/{SERVICE}/Check"), any(move |request| check(health, request)))
        .route(&format!("/{SERVICE}/Watch"), any(move |request| watch(watched, request)))
}

async fn check<I: Intake>(health: Arc<Health<I>>, request: Request) -> Response {
    match health.asked(request).await {
        Ok(name) => match health.state(&name) {
            State::Unknown => grpc::refuse(&Fault::Code(access::Error::new(access::Code::NotFound, "unknown service"))),
            state => grpc::reply(&message(state)),
        },
        Err(answer) => *answer,
    }
}

async fn watch<I: Intake>(health: Arc<Health<I>>, request: Request) -> Response {
    let name = match health.asked(request).await {
        Ok(name) => name,
        Err(answer) => return *answer,
    };
    let states = stream::unfold((health, name, None), |(health, name, told)| async move {
        loop {
            let state = health.state(&name);
            if told != Some(state) {
                let frame = Frame::data(grpc::frame(&message(state)));
                return Some((Ok::<_, std::convert::Infallible>(frame), (health, name, Some(state))));
            }
            tokio::time::sleep(WATCH_PERIOD).await;
        }
    });
    ([(header::CONTENT_TYPE, "application/grpc")], Body::new(StreamBody::new(states))).into_response()
}

impl<I: Intake> Health<I> {
    async fn asked(&self, request: Request) -> Result<String, Box<Response>> {
        let (parts, mut body) = request.into_parts();
        if let Some(answer) = grpc::not_grpc(&parts) {
            return Err(Box::new(answer));
        }
        let read = grpc::read_message(&mut body, Encoding::Identity, &self.limits, &self.budget).await;
        read.and_then(|message| service_name(&message.bytes)).map_err(|fault| Box::new(grpc::refuse(&fault)))
    }

    fn state(&self, name: &str) -> State {
        if !name.is_empty() && name != SERVICE && !self.services.contains(&name) {
            State::Unknown
        } else if self.intake.is_ready() {
            State::Serving
        } else {
            State::Not
        }
    }
}

// HealthCheckRequest { string service = 1 }, at most one field of up to 127 bytes is ever sent.
fn service_name(message: &Bytes) -> Result<String, Fault> {
    match &message[..] {
        [] => Ok(String::new()),
        [0x0a, length, name @ ..] if name.len() == usize::from(*length) && *length < 128 => {
            String::from_utf8(name.to_vec()).map_err(|_| malformed())
        }
        _ => Err(malformed()),
    }
}

// HealthCheckResponse { ServingStatus status = 1 }
fn message(state: State) -> [u8; 2] {
    [0x08, state as u8]
}

fn malformed() -> Fault {
    Fault::Code(access::Error::invalid("the health request cannot be read"))
}
