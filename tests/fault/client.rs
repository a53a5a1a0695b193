//! A small HTTP client for both sides of the rig: requests to the doors (HTTP/1.1 and gRPC's HTTP/2)
//! and SQL to the engine. It tells a request that never left from one whose fate is unknown, because
//! only the second may have been kept. Knows nothing of items (facts/reliability.md A7).

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::header::HeaderMap;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Connections are shared by all users of one client.
#[derive(Clone)]
pub struct Client {
    http1: legacy::Client<HttpConnector, Full<Bytes>>,
    http2: legacy::Client<HttpConnector, Full<Bytes>>,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// gRPC status, from the trailers or the headers.
    pub grpc_status: Option<u16>,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Broken {
    /// There was no connection: the server cannot have seen the request.
    NotSent(String),
    /// It was sent, at least in part, and nothing is known of it.
    Unknown(String),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::NotSent(why) => write!(f, "not sent: {why}"),
            Broken::Unknown(why) => write!(f, "no answer: {why}"),
        }
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A gRPC answer's message, without its frame.
    pub fn message(&self) -> Bytes {
        self.body.slice(self.body.len().min(5)..)
    }
}

impl Client {
    /// A client without connections.
    pub fn new() -> Client {
        let connector = || {
            let mut connector = HttpConnector::new();
            connector.set_connect_timeout(Some(Duration::from_secs(3)));
            connector.set_nodelay(true);
            connector
        };
        let http1 =
            legacy::Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(5)).build(connector());
        let http2 = legacy::Client::builder(TokioExecutor::new()).http2_only(true).build(connector());
        Client { http1, http2 }
    }

    /// GET.
    pub async fn get(&self, url: &str, timeout: Duration) -> Result<Answer, Broken> {
        self.send("GET", url, &[], Bytes::new(), timeout).await
    }

    /// Any HTTP/1.1 request with a body.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, Broken> {
        whole(&self.http1, request(method, url, headers, body)?, timeout).await
    }

    /// A unary gRPC call with a message that is already encoded (and compressed, if `encoding` says so).
    pub async fn call(
        &self,
        address: &str,
        method: &str,
        encoding: Option<&str>,
        message: &[u8],
        timeout: Duration,
    ) -> Result<Answer, Broken> {
        let mut framed = BytesMut::with_capacity(message.len() + 5);
        framed.put_u8(u8::from(encoding.is_some()));
        framed.put_u32(message.len() as u32);
        framed.put_slice(message);
        self.call_framed(address, method, encoding, framed.freeze(), timeout).await
    }

    /// The same with a frame of the caller's making.
    pub async fn call_framed(
        &self,
        address: &str,
        method: &str,
        encoding: Option<&str>,
        framed: Bytes,
        timeout: Duration,
    ) -> Result<Answer, Broken> {
        let mut headers = vec![("content-type", "application/grpc"), ("te", "trailers")];
        headers.extend(encoding.map(|name| ("grpc-encoding", name)));
        let url = format!("http://{address}/{method}");
        whole(&self.http2, request("POST", &url, &headers, framed)?, timeout).await
    }
}

fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<hyper::Request<Full<Bytes>>, Broken> {
    let mut request = hyper::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body)).map_err(|error| Broken::NotSent(error.to_string()))
}

async fn whole(
    client: &legacy::Client<HttpConnector, Full<Bytes>>,
    request: hyper::Request<Full<Bytes>>,
    timeout: Duration,
) -> Result<Answer, Broken> {
    let exchange = async {
        let answer = client.request(request).await.map_err(|error| match error.is_connect() {
            true => Broken::NotSent(chain(&error)),
            false => Broken::Unknown(chain(&error)),
        })?;
        let (head, body) = answer.into_parts();
        let collected = body.collect().await.map_err(|error| Broken::Unknown(chain(&error)))?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let code = |map: &HeaderMap| map.get("grpc-status")?.to_str().ok()?.parse().ok();
        let grpc_status = code(&trailers).or_else(|| code(&head.headers));
        Ok(Answer { status: head.status.as_u16(), grpc_status, headers: head.headers, body: collected.to_bytes() })
    };
    tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(Broken::Unknown(format!("after {timeout:?}"))))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
