//! The process body of `hypocenter engine serve`: open, listen, serve, end.
//!
//! Reports to its parent in JSON lines on standard output, watches its parent through standard
//! input, and leaves only by `_exit` once the library is loaded (design section 4). Our own lock
//! on the directory is taken first, because the C interface gives no reason when it refuses one.

use std::io::{BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::body;
use crate::caps::{Caps, config_xml};
use crate::core::{Core, Lanes, OpenError};
use crate::ffi::{Library, LoadError, exit_now};
use crate::http::{Account, Bodies, Door, Site, handle};
use crate::reader;

/// Everything `hypocenter engine serve` needs. The parent sends it as one JSON line on standard
/// input, so that passwords never stand in a process list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServeConfig {
    /// libchdb.
    pub library: PathBuf,
    /// The engine's directory; made if missing; one process at a time.
    pub data_dir: PathBuf,
    /// Port on 127.0.0.1, 0 = any.
    #[serde(default)]
    pub port: u16,
    /// Password of the user `hypocenter`.
    pub password: String,
    /// Password of the user `reader`; without one there is no reader.
    #[serde(default)]
    pub reader_password: Option<String>,
    /// Address of the port that admits the reader only.
    #[serde(default)]
    pub reader_listen: Option<SocketAddr>,
    /// Database of requests that name none; made if missing.
    #[serde(default = "default_database")]
    pub database: String,
    /// Memory and pools.
    #[serde(default)]
    pub caps: Caps,
    /// Bounds on the reader's statements.
    #[serde(default)]
    pub reader_limits: reader::Limits,
    /// Ends when standard input closes.
    #[serde(default)]
    pub watch_parent: bool,
}

fn default_database() -> String {
    "hypocenter".to_owned()
}

/// Name of the user that may do everything.
pub(crate) const OWN_USER: &str = "hypocenter";
/// Name of the user that may read.
pub(crate) const READER_USER: &str = "reader";

/// What the process tells its parent, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Report {
    /// Requests are answered.
    Ready {
        /// Port on 127.0.0.1.
        port: u16,
        /// Port of the reader, when there is one.
        reader_port: Option<u16>,
        /// ClickHouse's version.
        version: String,
    },
    /// It could not start; the process ends with `exit_code`.
    Failed {
        /// One sentence for people.
        reason: String,
        /// See [`ServeError::exit_code`].
        exit_code: i32,
    },
}

/// Why the process could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration on standard input does not parse.
    #[error("reading the engine's configuration from standard input: {0}")]
    Config(String),
    /// The library.
    #[error(transparent)]
    Library(#[from] LoadError),
    /// The directory cannot be made or written.
    #[error("preparing the engine's directory {path}: {error}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Another process has it.
    #[error("the engine's directory {0} is in use by another process (one process per directory)")]
    InUse(PathBuf),
    /// The engine refused.
    #[error("opening the engine's directory {path}: {error}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: OpenError,
    },
    /// A port.
    #[error("listening on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The runtime.
    #[error("starting the engine's runtime: {0}")]
    Runtime(std::io::Error),
}

impl ServeError {
    /// The process's exit code, one per kind, so that a supervisor can tell them apart.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Config(_) => 64,
            Self::Library(_) => 69,
            Self::Directory { .. } => 73,
            Self::InUse(_) => 75,
            Self::Open { .. } => 70,
            Self::Listen { .. } => 71,
            Self::Runtime(_) => 72,
        }
    }
}

impl ServeConfig {
    /// Reads the configuration line the parent sends.
    pub fn from_parent() -> Result<Self, ServeError> {
        const LINE_BYTES_MAX: u64 = 1 << 20;
        let mut line = String::new();
        let stdin = std::io::stdin().lock();
        std::io::BufReader::with_capacity(1, stdin.take(LINE_BYTES_MAX))
            .read_line(&mut line)
            .map_err(|error| ServeError::Config(error.to_string()))?;
        serde_json::from_str(&line).map_err(|error| ServeError::Config(error.to_string()))
    }
}

/// Serves until SIGTERM, SIGINT or, when asked to watch, the end of standard input. Never returns.
pub fn serve(config: ServeConfig) -> ! {
    let code = match try_serve(&config) {
        Ok(()) => 0,
        Err(error) => fail(&error),
    };
    exit_now(code)
}

/// Like [`serve`], with the configuration from the parent process.
pub fn serve_from_parent() -> ! {
    match ServeConfig::from_parent() {
        Ok(config) => serve(config),
        Err(error) => exit_now(fail(&error)),
    }
}

fn fail(error: &ServeError) -> i32 {
    let exit_code = error.exit_code();
    tracing::error!(%error, "the engine process cannot serve");
    report(&Report::Failed { reason: error.to_string(), exit_code });
    exit_code
}

/// Standard output is the pipe to the parent here.
fn report(report: &Report) {
    let Ok(mut line) = serde_json::to_string(report) else { return };
    line.push('\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

const CONNECTIONS_MAX: usize = 512;
const READER_CONNECTIONS_MAX: usize = 64;
/// Running inserts get this long at the end.
const DRAIN: Duration = Duration::from_secs(5);
const WORKER_THREADS: usize = 2;

fn try_serve(config: &ServeConfig) -> Result<(), ServeError> {
    let data_dir = prepare_directory(&config.data_dir)?;
    let _lock = lock(&data_dir)?;
    let library = Library::load(&config.library)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("engine-http")
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let outcome = runtime.block_on(run(config, &data_dir, library));
    // Threads may still hang in the engine; nothing is waited for.
    runtime.shutdown_background();
    outcome
}

fn prepare_directory(path: &Path) -> Result<PathBuf, ServeError> {
    let failed = |error| ServeError::Directory { path: path.to_owned(), error };
    std::fs::create_dir_all(path).map_err(failed)?;
    // The engine takes two spellings of one directory for two directories.
    path.canonicalize().map_err(failed)
}

/// Our own lock, and a look at the engine's (an engine that is not ours may have the directory).
fn lock(data_dir: &Path) -> Result<std::fs::File, ServeError> {
    use rustix::fs::{FlockOperation, flock};
    let failed = |error| ServeError::Directory { path: data_dir.to_owned(), error };
    let path = data_dir.join("hypocenter-engine.lock");
    let file = std::fs::File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| ServeError::InUse(data_dir.to_owned()))?;
    if let Ok(status) = std::fs::File::open(data_dir.join("status")) {
        flock(&status, FlockOperation::NonBlockingLockExclusive).map_err(|_| ServeError::InUse(data_dir.to_owned()))?;
    }
    Ok(file)
}

async fn run(config: &ServeConfig, data_dir: &Path, library: Arc<Library>) -> Result<(), ServeError> {
    let own = listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, config.port).into()).await?;
    let outside = match (config.reader_listen, &config.reader_password) {
        (Some(address), Some(_)) => Some((address, listen(address).await)),
        _ => None,
    };
    let outside = match outside {
        // Under a parent the engine is needed for more than its reader: that port may come later.
        Some((address, Err(error))) if config.watch_parent => {
            tracing::warn!(%error, "the reader's port is not free; trying again until it is");
            Some((address, None))
        }
        Some((address, listener)) => Some((address, Some(listener?))),
        None => None,
    };
    let core = open(config, data_dir, library).await?;
    let version = core.version.clone();
    let reader_port = outside.as_ref().and_then(|(_, listener)| listener.as_ref()).map(local_port);
    let ports = (local_port(&own), reader_port);
    let site = Arc::new(site(config, data_dir, core.clone()));
    let (stop, stopping) = watch::channel(false);
    let accepting = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::spawn(accept(own, Door::Own, site.clone(), accepting, stopping.clone()));
    if let Some((address, listener)) = outside {
        let accepting = Arc::new(Semaphore::new(READER_CONNECTIONS_MAX));
        tokio::spawn(async move {
            let listener = match listener {
                Some(listener) => listener,
                None => listen_until_free(address).await,
            };
            accept(listener, Door::Outside, site, accepting, stopping).await;
        });
    }
    tokio::spawn(expire_sessions(core.clone()));
    report(&Report::Ready { port: ports.0, reader_port: ports.1, version });
    wait_for_end(config.watch_parent).await;
    stop.send_replace(true);
    drain(&core).await;
    Ok(())
}

async fn open(config: &ServeConfig, data_dir: &Path, library: Arc<Library>) -> Result<Arc<Core>, ServeError> {
    let failed = |error| ServeError::Open { path: data_dir.to_owned(), error };
    let config_file = data_dir.join("hypocenter-engine.xml");
    std::fs::write(&config_file, config_xml(&config.caps))
        .map_err(|error| ServeError::Directory { path: data_dir.to_owned(), error })?;
    let data_path = data_dir.to_owned();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let lanes = Lanes { inserts: cores.max(2), queries: cores + 2, reads: 2 };
    let database = config.database.clone();
    let opened = std::thread::Builder::new()
        .name("engine-open".into())
        .stack_size(8 << 20)
        .spawn(move || Core::open(library, &data_path, &config_file, &database, lanes))
        .map_err(|error| failed(OpenError::Threads(error)))?;
    let opened = tokio::task::spawn_blocking(move || opened.join()).await;
    match opened {
        Ok(Ok(opened)) => opened.map_err(failed),
        _ => Err(failed(OpenError::Refused)),
    }
}

fn site(config: &ServeConfig, data_dir: &Path, core: Arc<Core>) -> Site {
    let account = |user: &str, password: &str| Account { user: user.to_owned(), password: password.to_owned() };
    let spool_dir = data_dir.join("tmp").join("bodies");
    Site {
        core,
        own: account(OWN_USER, &config.password),
        reader: config.reader_password.as_deref().map(|password| account(READER_USER, password)),
        bodies: Bodies {
            limits: body::Limits {
                memory_bytes_max: 24 << 20,
                body_bytes_max: 4 << 30,
                idle: Duration::from_secs(30),
                whole: Duration::from_secs(3600),
                spool_dir: spool_dir.clone(),
            },
            receiving: Semaphore::new(16),
        },
        reader_bodies: Bodies {
            limits: body::Limits {
                memory_bytes_max: 1 << 20,
                body_bytes_max: 16 << 20,
                idle: Duration::from_secs(10),
                whole: Duration::from_secs(60),
                spool_dir,
            },
            receiving: Semaphore::new(16),
        },
        limits: config.reader_limits.clone(),
        idle: Duration::from_secs(60),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|error| ServeError::Listen { address, error })
}

async fn listen_until_free(address: SocketAddr) -> TcpListener {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Ok(listener) = listen(address).await {
            tracing::info!(%address, "the reader's port is free now");
            return listener;
        }
    }
}

fn local_port(listener: &TcpListener) -> u16 {
    listener.local_addr().map_or(0, |address| address.port())
}

async fn accept(
    listener: TcpListener,
    door: Door,
    site: Arc<Site>,
    places: Arc<Semaphore>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: wait rather than spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let site = site.clone();
        let mut stopping = stopping.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| handle(site.clone(), door, request));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .max_buf_size(1 << 20)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = stopping.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "an engine connection ended");
            }
            drop(place);
        });
    }
}

async fn expire_sessions(core: Arc<Core>) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let sessions = core.sessions.clone();
        let _ = tokio::task::spawn_blocking(move || sessions.expire()).await;
    }
}

async fn wait_for_end(watch_parent: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let (parent, parent_gone) = tokio::sync::oneshot::channel::<()>();
    if watch_parent {
        let _ = std::thread::Builder::new().name("parent-watch".into()).spawn(move || {
            let mut byte = [0; 64];
            // Whatever the parent may send, only the end of the pipe counts.
            while matches!(std::io::stdin().lock().read(&mut byte), Ok(count) if count > 0) {}
            drop(parent);
        });
    } else {
        std::mem::forget(parent);
    }
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    let interrupt = async {
        match signal(SignalKind::interrupt()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminate => {}
        () = interrupt => {}
        _ = parent_gone => {}
    }
}

/// Lets running inserts finish and ends everything else; then the anchor is the last connection,
/// and `_exit` is safe with it open or closed.
async fn drain(core: &Arc<Core>) {
    let finished = async {
        while !core.inserts.is_idle() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(DRAIN, finished).await.is_err() {
        tracing::warn!("inserts were still running at the end and are lost unacknowledged");
    }
    core.sessions.clear();
}
