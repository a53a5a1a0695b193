//! The test rig: the three doors on loopback ports before a fake intake, with clients that speak
//! HTTP/1, HTTP/2 and gRPC through hyper, and raw bytes through a socket.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::{Access, Budget, Error};
use axum::Router;
use axum::extract::ConnectInfo;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use model::{Account, Envelope, Reason, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::intake::{Arrival, Intake, Receipt};
use crate::metrics::{DoorName, Metrics};
use crate::{Config, otlp_grpc_router, otlp_http_router, zipkin_ingest_router};

/// What the fake does with the next requests.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Keep(Account),
    Fail(Error),
    Hang,
}

/// An arrival, remembered without its permit.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) protocol: model::Protocol,
    pub(crate) encoding: wire::encoding::Encoding,
    pub(crate) body: Bytes,
    pub(crate) plain: Bytes,
    pub(crate) envelope: Envelope,
    pub(crate) permit_bytes: usize,
    pub(crate) wait_stored: bool,
}

pub(crate) struct Fake {
    budget: Budget,
    clock: AtomicI64,
    pub(crate) behaviour: Mutex<Behaviour>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) notes: Mutex<Vec<String>>,
    pub(crate) ready: AtomicBool,
}

pub(crate) struct Rig {
    pub(crate) fake: Arc<Fake>,
    pub(crate) metrics: Metrics,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) zipkin: SocketAddr,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What hyper's two client connections have in common.
pub(crate) enum Client {
    One(hyper::client::conn::http1::SendRequest<ClientBody>),
    Two(hyper::client::conn::http2::SendRequest<ClientBody>),
}

pub(crate) type ClientBody = http_body_util::combinators::BoxBody<Bytes, std::io::Error>;

impl Intake for Fake {
    async fn accept(&self, arrival: Arrival) -> Result<Receipt, Error> {
        let Arrival { protocol, encoding, body, plain, envelope, permit, wait_stored } = arrival;
        let seen = Seen { protocol, encoding, body, plain, envelope, permit_bytes: permit.bytes(), wait_stored };
        let undecodable = seen.plain.starts_with(b"\xff");
        self.seen.lock().expect("lock").push(seen);
        if undecodable {
            return Err(Error::invalid("resource_spans[0]: the tag is not valid"));
        }
        let behaviour = self.behaviour.lock().expect("lock").clone();
        match behaviour {
            Behaviour::Keep(account) => Ok(Receipt { account, items: [1, 0, 0], repeated: false }),
            Behaviour::Fail(error) => Err(error),
            Behaviour::Hang => {
                std::future::pending::<()>().await;
                Err(Error::internal("woken"))
            }
        }
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn now_ns(&self) -> i64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn note(&self, envelope: &Envelope, signal: Signal, reason: Reason, items: u64, example: String) {
        let line = format!("{} {} {items} [{}] {example}", signal.name(), reason.code(), envelope.tenant);
        self.notes.lock().expect("lock").push(line);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

impl Rig {
    pub(crate) async fn start() -> Rig {
        Rig::with(Config::default(), Access::open(), 256 << 20).await
    }

    pub(crate) async fn with(config: Config, access: Access, budget_bytes: usize) -> Rig {
        let fake = Arc::new(Fake {
            budget: Budget::new(budget_bytes),
            clock: AtomicI64::new(1_700_000_000_000_000_000),
            behaviour: Mutex::new(Behaviour::Keep(Account::default())),
            seen: Mutex::default(),
            notes: Mutex::default(),
            ready: AtomicBool::new(true),
        });
        let access = Arc::new(access);
        let metrics = Metrics::default();
        let grpc = serve(otlp_grpc_router(fake.clone(), access.clone(), &config, &metrics)).await;
        let http = serve(otlp_http_router(fake.clone(), access.clone(), &config, &metrics)).await;
        let zipkin = serve(zipkin_ingest_router(fake.clone(), access, &config, &metrics)).await;
        Rig { fake, metrics, grpc, http, zipkin }
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.fake.behaviour.lock().expect("lock") = behaviour;
    }

    /// The arrivals since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.fake.seen.lock().expect("lock"))
    }

    /// The only arrival since the last call.
    pub(crate) fn seen_one(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "one arrival");
        seen.remove(0)
    }

    /// The ledger notes since the last call.
    pub(crate) fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.fake.notes.lock().expect("lock"))
    }

    /// Good requests still work on both OTLP ports, and nothing is held: no byte, no request.
    pub(crate) async fn settle(&self) {
        self.behave(Behaviour::Keep(Account::default()));
        self.seen();
        let answer = post(self.http, "/v1/traces", &[PROTO], b"after").await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b""[..]), "the next good request works");
        assert_eq!(&self.seen_one().plain[..], b"after");
        self.idle().await;
    }

    /// Waits until no byte and no request is held.
    pub(crate) async fn idle(&self) {
        let doors = [DoorName::OtlpGrpc, DoorName::OtlpHttp, DoorName::Zipkin];
        for _ in 0..2000 {
            let flying: i64 = doors.iter().map(|door| self.metrics.requests_in_flight(*door)).sum();
            if self.fake.budget.used() == 0 && flying == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("held for ever: {:?}", self.fake.budget);
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `grpc-status`, from trailers or headers.
    pub(crate) fn grpc_status(&self) -> i32 {
        self.grpc_field("grpc-status").parse().expect("a number")
    }

    /// A gRPC field, from trailers or headers.
    pub(crate) fn grpc_field(&self, name: &str) -> String {
        let value = self.trailers.get(name).or_else(|| self.headers.get(name));
        value.map(|value| value.to_str().expect("text").to_string()).unwrap_or_default()
    }
}

impl Client {
    pub(crate) async fn http1(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.expect("connects");
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("handshake");
        tokio::spawn(connection);
        Client::One(sender)
    }

    pub(crate) async fn http2(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.expect("connects");
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("handshake");
        tokio::spawn(connection);
        Client::Two(sender)
    }

    pub(crate) async fn send(&mut self, request: Request<ClientBody>) -> Result<Answer, hyper::Error> {
        let response: Response<Incoming> = match self {
            Client::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Client::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (parts, body) = response.into_parts();
        let collected = body.collect().await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, trailers, body: collected.to_bytes() })
    }

    /// A gRPC call whose body is sent in the given pieces.
    pub(crate) async fn call(&mut self, path: &str, headers: &[(&str, &str)], pieces: Vec<Bytes>) -> Answer {
        let mut all = vec![("content-type", "application/grpc"), ("te", "trailers")];
        all.extend_from_slice(headers);
        let request = request("POST", &format!("http://hypocenter{path}"), &all, chunks(pieces));
        self.send(request).await.expect("an answer")
    }
}

pub(crate) const PROTO: (&str, &str) = ("content-type", "application/x-protobuf");
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub(crate) fn request(method: &str, uri: &str, headers: &[(&str, &str)], body: ClientBody) -> Request<ClientBody> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).expect("a request")
}

/// A body of known length.
pub(crate) fn full(bytes: &[u8]) -> ClientBody {
    Full::new(Bytes::copy_from_slice(bytes)).map_err(|never| match never {}).boxed()
}

/// A body in pieces of unknown total: chunked on HTTP/1.
pub(crate) fn chunks(pieces: Vec<Bytes>) -> ClientBody {
    let frames = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
    BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)))
}

/// One request on a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: ClientBody,
) -> Answer {
    let mut headers = headers.to_vec();
    headers.push(("host", "localhost"));
    Client::http1(address).await.send(request(method, path, &headers, body)).await.expect("an answer")
}

pub(crate) async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(address, "POST", path, headers, full(body)).await
}

/// One gRPC call with one message, on a connection of its own.
pub(crate) async fn call(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    flag: u8,
    message: &[u8],
) -> Answer {
    Client::http2(address).await.call(path, headers, vec![framed(flag, message)]).await
}

/// A gRPC message with its prefix.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Bytes {
    prefixed(flag, message.len(), message)
}

/// A gRPC message whose prefix claims any length.
pub(crate) fn prefixed(flag: u8, length: usize, message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(flag);
    bytes.put_u32(length as u32);
    bytes.put_slice(message);
    bytes.freeze()
}

/// Writes raw bytes and reads what comes back: up to the first head or the end, then to the end.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    // The server may answer and close before all is written.
    let _ = stream.write_all(bytes).await;
    let mut answer = String::new();
    let mut piece = [0; 4096];
    while !answer.contains("\r\n\r\n") {
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut piece)).await;
        let Ok(Ok(count @ 1..)) = read else { return answer };
        answer += &String::from_utf8_lossy(&piece[..count]);
    }
    let _ = stream.shutdown().await;
    answer + &read_all(&mut stream).await
}

/// Writes raw bytes and hangs up on the sending side, in the middle of the request.
pub(crate) async fn raw_cut(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    read_all(&mut stream).await
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("packs");
    encoder.finish().expect("packs")
}

pub(crate) fn deflate(plain: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("packs");
    encoder.finish().expect("packs")
}

pub(crate) fn zst(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).expect("packs")
}

/// The same way of serving as the program's: hyper's automatic choice between HTTP/1 and HTTP/2.
pub(crate) async fn serve(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let Ok((stream, peer)) = listener.accept().await else { return };
            let service = routes.clone().map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                request.map(axum::body::Body::new)
            });
            tokio::spawn(async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(5));
                builder.http2().timer(TokioTimer::new());
                let _ = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await;
            });
        }
    });
    address
}
