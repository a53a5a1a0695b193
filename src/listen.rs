//! Ports: bind, TLS, and the serving loop. One loop serves HTTP/1.1 and HTTP/2 (cleartext prior
//! knowledge too) on every port, so gRPC and HTTP clients meet the same time-outs and limits. When a
//! connection has had its time is decided in `connection`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access::Limits;
use anyhow::Context as _;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::config::Tls;
use crate::connection::{Activity, Heard, Register};

/// Time to finish a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Flow-control windows: a large message must not wait for window updates, and what stands in them is
/// in no budget yet.
const WINDOW_BYTES: u32 = 1 << 20;
/// Most that is read ahead on an HTTP/1 connection; heads must fit.
const READ_BYTES_MAX: usize = 128 << 10;
/// Largest HTTP/2 frame: a body in few frames is put together with fewer steps.
const FRAME_BYTES_MAX: u32 = 64 << 10;
/// A pause after the system refused to accept (too many open files): it will not get better at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often connections are looked through for those that have had their time.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// One port with its routes.
pub(crate) struct Port {
    /// What it is for, in the addresses that are printed.
    pub name: &'static str,
    listener: TcpListener,
    address: SocketAddr,
}

impl Port {
    /// Binds; an address in use says which port it was and what to do.
    pub(crate) async fn bind(name: &'static str, ip: IpAddr, port: u16) -> anyhow::Result<Port> {
        let wanted = SocketAddr::new(ip, port);
        let listener = TcpListener::bind(wanted).await.with_context(|| {
            format!(
                "cannot listen on {wanted} ({name}); is another program there? `ports.{name}: 0` takes any free port"
            )
        })?;
        let address = listener.local_addr()?;
        Ok(Port { name, listener, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` says true, then lets open requests end; they are cut after `grace`.
    pub(crate) async fn serve(
        self,
        routes: Router,
        tls: Option<TlsAcceptor>,
        limits: Arc<Limits>,
        mut stop: watch::Receiver<bool>,
        grace: Duration,
    ) {
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let register = Arc::new(Register::default());
        let server = Arc::new(builder(&limits));
        let sweeping = tokio::spawn(sweep(Arc::clone(&register), Arc::clone(&limits)));
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &places, &register) => accepted,
                () = stopped(&mut stop) => break,
            };
            let Some((stream, peer, place)) = accepted else { continue };
            let entry = register.enter();
            let activity = Arc::clone(&entry.activity);
            let connection =
                serve_one(Arc::clone(&server), stream, peer, routes.clone(), tls.clone(), activity, stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = connection => {}
                    () = entry.activity.was_cut() => debug!(%peer, "a connection had had its time"),
                }
                drop((entry, place));
            });
        }
        drop(self.listener);
        let all = places.acquire_many(limits.connections_max as u32);
        if tokio::time::timeout(grace, all).await.is_err() {
            warn!(port = self.name, "connections were still open at the end of the grace period");
        }
        sweeping.abort();
    }
}

/// TLS of all ports.
pub(crate) fn acceptor(tls: &Tls) -> anyhow::Result<TlsAcceptor> {
    let certificates = certificates(&tls.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file)
        .with_context(|| format!("cannot read the private key {}", tls.key_file.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let config = match &tls.client_ca_file {
        Some(file) => {
            let mut roots = rustls::RootCertStore::empty();
            for authority in self::certificates(file)? {
                roots.add(authority)?;
            }
            config.with_client_cert_verifier(
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
            )
        }
        None => config.with_no_client_auth(),
    };
    let mut config =
        config.with_single_cert(certificates, key).context("certificate and private key do not fit together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read the certificates in {}", file.display()))
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    register: &Register,
) -> Option<(TcpStream, SocketAddr, Place)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Small answers must not wait for more to send.
            let _ = stream.set_nodelay(true);
            let place = match Arc::clone(places).try_acquire_owned() {
                Ok(place) => place,
                Err(_) => {
                    register.make_room();
                    Arc::clone(places).acquire_owned().await.ok()?
                }
            };
            Some((stream, peer, place))
        }
        Err(error) => {
            warn!(%error, "cannot accept a connection");
            register.make_room();
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn sweep(register: Arc<Register>, limits: Arc<Limits>) {
    let mut every = tokio::time::interval(SWEEP_EVERY.min(limits.idle_timeout / 4));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        register.sweep(&limits);
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Its own time-out for heads would also end connections that are kept alive between two exports.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(limits.headers_max)
        .max_buf_size(READ_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_bytes_max as u32)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

async fn serve_one(
    server: Arc<auto::Builder<TokioExecutor>>,
    stream: TcpStream,
    peer: SocketAddr,
    routes: Router,
    tls: Option<TlsAcceptor>,
    activity: Arc<Activity>,
    stop: watch::Receiver<bool>,
) {
    match tls {
        None => drive(&server, stream, peer, routes, activity, stop).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => drive(&server, stream, peer, routes, activity, stop).await,
            Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => debug!(%peer, "TLS handshake took too long"),
        },
    }
}

async fn drive<S>(
    server: &auto::Builder<TokioExecutor>,
    stream: S,
    peer: SocketAddr,
    routes: Router,
    activity: Arc<Activity>,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Heard::new(stream, Arc::clone(&activity)));
    let noted = Arc::clone(&activity);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let guard = noted.begin(request.version());
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = routes.clone().oneshot(request.map(axum::body::Body::new));
        async move { answer.await.map(|response| guard.answered(response)) }
    });
    let connection = server.serve_connection(io, service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = activity.asked() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended
        && !is_usual(&*error)
    {
        debug!(%peer, %error, "a connection ended badly");
    }
}

// The guard that `wait_for` gives must not live across an await.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

// Clients that hang up are everyday life.
fn is_usual(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return matches!(
                io.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof
            );
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::routing::any;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

    fn short() -> Limits {
        let (header_timeout, idle_timeout) = (Duration::from_millis(300), Duration::from_millis(600));
        Limits { header_timeout, idle_timeout, ..Limits::default() }
    }

    async fn serve(limits: Limits) -> (SocketAddr, watch::Sender<bool>) {
        let port = Port::bind("http", [127, 0, 0, 1].into(), 0).await.unwrap();
        let (address, stop) = (port.address(), watch::Sender::new(false));
        // More than the sockets of both sides hold, so that it can wait for its reader.
        let large = Bytes::from(vec![b'x'; 32 << 20]);
        let routes = Router::new().route("/", any(|| async { "ok" })).route("/large", any(|| async { large }));
        tokio::spawn(port.serve(routes, None, Arc::new(limits), stop.subscribe(), Duration::from_secs(1)));
        (address, stop)
    }

    async fn ok(stream: &mut TcpStream) {
        stream.write_all(GET).await.unwrap();
        let mut answer = [0; 1024];
        let bytes = stream.read(&mut answer).await.unwrap();
        assert!(answer[..bytes].starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&answer[..bytes]));
    }

    // Until the other side has closed; a reset is an end too.
    async fn ends(stream: &mut TcpStream) {
        let mut sink = [0; 4096];
        while matches!(stream.read(&mut sink).await, Ok(bytes) if bytes > 0) {}
    }

    fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), body].concat()
    }

    // Scenario: connections that say nothing, that were used once, that drip a head, that sent half a preface, whose answer nobody reads.
    // Guarantee: each is ended; one that is used again and again is not.
    #[tokio::test(flavor = "multi_thread")]
    async fn held_connections_are_ended() {
        let (address, _stop) = serve(short()).await;
        let connect = || TcpStream::connect(address);
        let (silent, used, dripping) = tokio::join!(connect(), connect(), connect());
        let (half, deaf, busy) = tokio::join!(connect(), connect(), connect());
        let (mut silent, mut used, mut dripping) = (silent.unwrap(), used.unwrap(), dripping.unwrap());
        let (mut half, mut deaf, mut busy) = (half.unwrap(), deaf.unwrap(), busy.unwrap());
        ok(&mut used).await;
        half.write_all(&PREFACE[..10]).await.unwrap();
        deaf.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let drip = async {
            for byte in GET.iter().cycle() {
                if dripping.write_all(&[*byte]).await.is_err() || *byte == b'x' {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            ends(&mut dripping).await;
        };
        let all = async { tokio::join!(ends(&mut silent), ends(&mut used), ends(&mut half), drip) };
        tokio::pin!(all);
        let mut rounds = 0;
        let mut every = tokio::time::interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                _ = &mut all => break,
                _ = every.tick() => ok(&mut busy).await,
            }
            rounds += 1;
        }
        assert!(rounds > 5, "it was kept alive between requests");
        tokio::time::sleep(short().idle_timeout * 2).await;
        let mut taken = 0;
        let mut sink = vec![0; 1 << 20];
        while let Ok(bytes @ 1..) = deaf.read(&mut sink).await {
            taken += bytes;
        }
        assert!(taken < 32 << 20, "the answer was given up: {taken}");
    }

    // Scenario: an HTTP/2 client makes a request, then answers pings only; another never makes one.
    // Guarantee: both are told to go (GOAWAY without an error), so that honest clients connect anew.
    #[tokio::test(flavor = "multi_thread")]
    async fn idle_http2_is_told_to_go() {
        let (address, _stop) = serve(short()).await;
        for requests in [1, 0] {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = tokio::spawn(connection);
            for _ in 0..requests {
                let request = http::Request::get("http://x/").body(()).unwrap();
                assert_eq!(client.send_request(request, true).unwrap().0.await.unwrap().status(), 200);
            }
            connection.await.unwrap().unwrap();
        }
    }

    // Scenario: floods of HTTP/2 frames that are never a request: pings, settings, priorities, window updates, unknown ones, and of requests reset at once or with endless heads.
    // Guarantee: each connection is ended by the server after a bounded number of bytes; others are served.
    #[tokio::test(flavor = "multi_thread")]
    async fn floods_are_ended() {
        let (address, _stop) = serve(Limits::default()).await;
        let head = b"\x82\x84\x86\x41\x01x";
        let resets: Vec<u8> = (0..500u32)
            .flat_map(|at| [frame(1, 5, 2 * at + 1, head), frame(3, 0, 2 * at + 1, &[0, 0, 0, 8])].concat())
            .collect();
        let floods: [(&str, Vec<u8>); 7] = [
            ("pings", frame(6, 0, 0, &[0; 8])),
            ("settings", frame(4, 0, 0, &[])),
            ("priorities", frame(2, 0, 3, &[0; 5])),
            ("window updates", frame(8, 0, 0, &[0, 0, 0, 1])),
            ("unknown frames", frame(0xbb, 0, 0, &[0; 100])),
            ("resets", resets),
            ("a head without end", [frame(1, 0, 1, b"\x82"), frame(9, 0, 1, &[]).repeat(1000)].concat()),
        ];
        for (name, piece) in floods {
            let piece = piece.repeat((64 << 10) / piece.len() + 1);
            let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
            // Answers are taken, so that it is not our deafness that ends it.
            let reading = tokio::spawn(async move { while matches!(read.read(&mut [0; 65536]).await, Ok(1..)) {} });
            let mut sent = 0;
            let mut result = write.write_all(PREFACE).await;
            while result.is_ok() && sent < 256 << 20 {
                result = write.write_all(&piece).await;
                sent += piece.len();
            }
            assert!(result.is_err(), "{name}: {sent} bytes were taken");
            reading.await.unwrap();
            ok(&mut TcpStream::connect(address).await.unwrap()).await;
        }
    }

    // Scenario: more connections than there are places, all idle; then a client with a request.
    // Guarantee: it is served at once, in the place of the one that was idle for the longest time.
    #[tokio::test(flavor = "multi_thread")]
    async fn idle_connections_make_room() {
        let (address, _stop) = serve(Limits { connections_max: 4, ..Limits::default() }).await;
        let mut held = Vec::new();
        for _ in 0..12 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            ok(&mut stream).await;
            held.push(stream);
        }
        ends(&mut held[0]).await;
        ok(held.last_mut().unwrap()).await;
    }
}
