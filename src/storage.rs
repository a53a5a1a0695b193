//! Where rows are stored: the embedded engine, started and watched over here, or a remote ClickHouse.
//! Both are an address to `store`; the embedded one may change with every restart of the child.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use engine::{Caps, State, Supervisor, SupervisorConfig};
use prometheus_client::registry::Registry;
use store::{Endpoint, Store};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::Config;

/// An engine whose parent was killed ends within this time.
const READER_PORT_PATIENCE: Duration = Duration::from_secs(8);

/// An opened store.
pub(crate) struct Place {
    /// The way in.
    pub store: Store,
    engine: Option<Supervisor>,
    schema: watch::Receiver<Schema>,
    embedded: bool,
}

/// Whether the tables are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Not asked yet.
    Pending,
    /// Applied.
    Applied,
    /// The last try failed.
    Failed(String),
}

/// How long a start waits before it says ready without tables: our own engine is a part of the start, a
/// remote ClickHouse is not.
const WAIT: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(4));

/// Opens the configured store. The schema is applied in the background, as often as it takes.
pub(crate) fn open(config: &Config, registry: &mut Registry) -> anyhow::Result<Place> {
    let (engine, endpoint) = match &config.storage.url {
        Some(url) => {
            let endpoint = Endpoint {
                url: url.clone(),
                user: config.storage.user.clone(),
                password: config.storage.password.clone(),
            };
            (None, watch::channel(Some(endpoint)).1)
        }
        None => {
            let (supervisor, endpoint) = start_engine(config)?;
            (Some(supervisor), endpoint)
        }
    };
    let store = Store::new(crate::config::store_config(config), endpoint.clone(), registry)
        .context("cannot set up the ClickHouse client")?;
    let (applied, schema) = watch::channel(Schema::Pending);
    tokio::spawn(apply_schema(store.clone(), endpoint, applied));
    let embedded = engine.is_some();
    Ok(Place { store, engine, schema, embedded })
}

/// Fails when another program has the reader's port. A former life's engine may still be ending.
pub(crate) async fn check_reader_port(config: &Config) -> anyhow::Result<()> {
    let port = config.storage.embedded.http_port;
    if port == 0 || config.storage.url.is_some() {
        return Ok(());
    }
    let address = SocketAddr::new(config.listen, port);
    let until = tokio::time::Instant::now() + READER_PORT_PATIENCE;
    loop {
        match tokio::net::TcpListener::bind(address).await {
            Ok(_) => return Ok(()),
            Err(error) if tokio::time::Instant::now() >= until => {
                return Err(error).with_context(|| {
                    format!(
                        "cannot listen on {address} (storage.embedded.http_port); is another program there? 0 turns it off"
                    )
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

impl Place {
    /// Waits until the tables are there, so that the first question finds them, but not for long: taking
    /// data in does not depend on them.
    pub(crate) async fn wait_ready(&self) {
        let mut schema = self.schema.clone();
        let enough = |schema: &Schema| match schema {
            Schema::Pending => false,
            Schema::Applied => true,
            Schema::Failed(_) => !self.embedded,
        };
        let patience = if self.embedded { WAIT.0 } else { WAIT.1 };
        let seen = tokio::time::timeout(patience, schema.wait_for(enough)).await;
        if !matches!(seen, Ok(Ok(schema)) if *schema == Schema::Applied) {
            warn!("ClickHouse is not there yet; data is accepted and kept in the journal");
        }
    }

    /// Follows whether the tables are there.
    pub(crate) fn schema(&self) -> watch::Receiver<Schema> {
        self.schema.clone()
    }

    /// Stops the embedded engine.
    pub(crate) async fn stop(self) {
        if let Some(engine) = self.engine {
            engine.stop().await;
        }
    }
}

fn start_engine(config: &Config) -> anyhow::Result<(Supervisor, watch::Receiver<Option<Endpoint>>)> {
    let embedded = &config.storage.embedded;
    let library = engine::install::find(embedded.library.as_deref(), &embedded.cache_dir)?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut caps = Caps::default();
    caps.memory_bytes_max = embedded.memory_bytes_max.unwrap_or(caps.memory_bytes_max);
    let supervisor = Supervisor::start(SupervisorConfig {
        reader_password: Some(embedded.reader_password.clone()).filter(|password| !password.is_empty()),
        reader_listen: (embedded.http_port != 0).then(|| SocketAddr::new(config.listen, embedded.http_port)),
        database: config.storage.database.clone(),
        caps,
        ..SupervisorConfig::new(program, library, config.data_dir.join("engine"))
    });
    let mut states = supervisor.state();
    let (publish, endpoint) = watch::channel(None);
    tokio::spawn(async move {
        loop {
            let present = match &*states.borrow_and_update() {
                State::Ready(address) => Some(Endpoint {
                    url: address.url.clone(),
                    user: address.user.clone(),
                    password: address.password.clone(),
                }),
                State::Down { reason, .. } => {
                    warn!(%reason, "the embedded engine is down");
                    None
                }
                State::Starting => None,
            };
            let _ = publish.send(present);
            if states.changed().await.is_err() {
                break;
            }
        }
    });
    Ok((supervisor, endpoint))
}

async fn apply_schema(store: Store, mut endpoint: watch::Receiver<Option<Endpoint>>, applied: watch::Sender<Schema>) {
    let mut pause = Duration::from_millis(50);
    loop {
        if endpoint.borrow_and_update().is_some() {
            match store.apply_schema().await {
                Ok(()) => {
                    info!("the schema is in place");
                    let _ = applied.send(Schema::Applied);
                    return;
                }
                Err(error) => {
                    warn!(%error, "the schema cannot be applied yet");
                    let _ = applied.send(Schema::Failed(error.to_string()));
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        } else if endpoint.changed().await.is_err() {
            return;
        }
    }
}
