//! Ports: bind, TLS, and the serving loop. One loop serves HTTP/1.1 and HTTP/2 (cleartext prior
//! knowledge too) on every port, so gRPC and HTTP clients meet the same time-outs and limits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access::Limits;
use anyhow::Context as _;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::config::Tls;

/// Time to send the first byte.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time to finish a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Flow-control windows: a large message must not wait for window updates.
const WINDOW_BYTES: u32 = 2 << 20;
/// Largest HTTP/2 frame: a body in few frames is put together with fewer steps.
const FRAME_BYTES_MAX: u32 = 64 << 10;
/// A pause after the system refused to accept (too many open files): it will not get better at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
        let server = Arc::new(builder(&limits));
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &places) => accepted,
                () = stopped(&mut stop) => break,
            };
            let Some((stream, peer, place)) = accepted else { continue };
            let connection = serve_one(Arc::clone(&server), stream, peer, routes.clone(), tls.clone(), stop.clone());
            tokio::spawn(async move {
                connection.await;
                drop(place);
            });
        }
        drop(self.listener);
        let all = places.acquire_many(limits.connections_max as u32);
        if tokio::time::timeout(grace, all).await.is_err() {
            warn!(port = self.name, "connections were still open at the end of the grace period");
        }
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

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, Place)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Small answers must not wait for more to send.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_headers(limits.headers_max);
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
    stop: watch::Receiver<bool>,
) {
    // A connection that says nothing must not hold its place for ever.
    if !matches!(tokio::time::timeout(FIRST_BYTE_TIMEOUT, stream.peek(&mut [0; 1])).await, Ok(Ok(1))) {
        return;
    }
    match tls {
        None => drive(&server, TokioIo::new(stream), peer, routes, stop).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => drive(&server, TokioIo::new(stream), peer, routes, stop).await,
            Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => debug!(%peer, "TLS handshake took too long"),
        },
    }
}

async fn drive<I>(
    server: &auto::Builder<TokioExecutor>,
    io: I,
    peer: SocketAddr,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = routes.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let connection = server.serve_connection(io, TowerToHyperService::new(service));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
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
