//! Connections. One `clickhouse` client per endpoint, made anew when the endpoint changes, with
//! timeouts below it: a server that is stopped, half gone or behind a black hole must be noticed.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clickhouse::Client;
use hyper_rustls::{HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::watch;

use crate::config::{Compression, Config, Endpoint, QueryLimits};

/// There is no way to ClickHouse right now.
#[derive(Debug, thiserror::Error)]
#[error("ClickHouse cannot be reached: {0}")]
pub struct Unavailable(pub(crate) String);

/// Waiting for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Data that was sent and is not acknowledged by the other machine for so long: the way is gone.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);
/// Silence after which the other side is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// ClickHouse closes idle connections after 3 seconds or more.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// Clients for the present endpoint.
pub(crate) struct Connections {
    config: Config,
    endpoint: watch::Receiver<Option<Endpoint>>,
    present: Mutex<Option<(Endpoint, Clients)>>,
}

/// The clients of one endpoint; they share their connections.
#[derive(Clone)]
pub(crate) struct Clients {
    /// For DDL and our own look-ups.
    pub(crate) own: Client,
    /// For inserts; it sends bytes as they are.
    pub(crate) insert: Client,
    /// Whether inserts are to be packed.
    pub(crate) packs: bool,
    /// For the roller; unbounded, it sets its own bounds.
    pub(crate) roll: Client,
    /// For questions: read only, bounded, cancelled when the asker goes away.
    pub(crate) read: Client,
}

impl Connections {
    pub(crate) fn new(config: Config, endpoint: watch::Receiver<Option<Endpoint>>) -> Connections {
        Connections { config, endpoint, present: Mutex::new(None) }
    }

    /// The clients of the present endpoint.
    pub(crate) fn clients(&self) -> Result<Clients, Unavailable> {
        let endpoint = self.endpoint.borrow().clone();
        let endpoint = endpoint.ok_or_else(|| Unavailable("the engine is not ready yet".to_owned()))?;
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, clients)) = &*present
            && *of == endpoint
        {
            return Ok(clients.clone());
        }
        let clients = Clients::new(&self.config, &endpoint)?;
        *present = Some((endpoint, clients.clone()));
        Ok(clients)
    }
}

impl Clients {
    fn new(config: &Config, endpoint: &Endpoint) -> Result<Clients, Unavailable> {
        let base = client(config, endpoint)?
            .with_url(&endpoint.url)
            .with_user(&endpoint.user)
            .with_password(&endpoint.password)
            .with_product_info("hypocenter", env!("CARGO_PKG_VERSION"))
            .with_compression(clickhouse::Compression::None);
        let packs = match config.compression {
            Compression::Auto => !endpoint.is_loopback(),
            Compression::None => false,
            Compression::Lz4 => true,
        };
        let packed = if packs { clickhouse::Compression::Lz4 } else { clickhouse::Compression::None };
        let roll = base.clone().with_compression(packed);
        let read = limited(roll.clone(), &config.query).with_database(&config.database);
        let insert = if packs { base.clone().with_setting("decompress", "1") } else { base.clone() };
        Ok(Clients { own: base, insert, packs, roll, read })
    }
}

// `readonly=2` allows settings in the request; without it ClickHouse does not cancel on disconnect.
fn limited(client: Client, limits: &QueryLimits) -> Client {
    client
        .with_setting("readonly", "2")
        .with_setting("cancel_http_readonly_queries_on_client_close", "1")
        .with_setting("max_execution_time", limits.timeout.as_secs_f64().to_string())
        .with_setting("timeout_overflow_mode", "throw")
        .with_setting("max_memory_usage", limits.memory_bytes_max.to_string())
        .with_setting("max_rows_to_read", limits.rows_max.to_string())
        .with_setting("read_overflow_mode", "throw")
}

fn client(config: &Config, endpoint: &Endpoint) -> Result<Client, Unavailable> {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(KEEPALIVE));
    http.set_keepalive_interval(Some(KEEPALIVE / 3));
    http.set_keepalive_retries(Some(3));
    http.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
    http.set_nodelay(true);
    let mut builder = Http::builder(TokioExecutor::new());
    builder.pool_idle_timeout(IDLE_MAX);
    if !endpoint.url.starts_with("https:") {
        return Ok(Client::with_http_client(builder.build(http)));
    }
    http.enforce_http(false);
    let https = tls(config)?.https_only().enable_http1();
    Ok(Client::with_http_client(builder.build(https.wrap_connector(http))))
}

fn tls(config: &Config) -> Result<HttpsConnectorBuilder<WantsSchemes>, Unavailable> {
    let provider = rustls::crypto::ring::default_provider();
    let Some(file) = &config.ca_file else {
        // A machine without certificates of its own falls back to the ones compiled in.
        let native = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider.clone());
        let compiled = || HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider);
        return native.or_else(|_| compiled()).map_err(|error| wrong_tls(&error));
    };
    let wrong =
        |error: &dyn Display| Unavailable(format!("reading the authority's certificate {}: {error}", file.display()));
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
        roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"it holds no certificate"));
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions();
    let tls = tls.map_err(|error| wrong_tls(&error))?.with_root_certificates(roots).with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls))
}

fn wrong_tls(error: &dyn Display) -> Unavailable {
    Unavailable(format!("setting up TLS: {error}"))
}
