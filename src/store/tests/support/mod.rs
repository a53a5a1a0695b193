//! One engine for all tests, a database of its own for each, and short ways to ask it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use engine::{Supervisor, SupervisorConfig};
use model::{Batch, BatchId, Table};
use prometheus_client::registry::Registry;
use serde_json::Value;
use store::{Block, Config, Endpoint, Retention, SealedBlock, Store, lanes};
use tokio::sync::watch;

/// A running engine.
pub(crate) struct Engine {
    pub(crate) endpoint: Endpoint,
    pub(crate) pid: u32,
    supervisor: Option<Supervisor>,
    runtime: Option<tokio::runtime::Runtime>,
    _dir: tempfile::TempDir,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.supervisor = None;
        // Tests run inside a runtime of their own, where this one may not be waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    pub(crate) fn start() -> Engine {
        let dir = tempfile::tempdir().unwrap();
        let mut config = SupervisorConfig::new(program(), library(), dir.path().join("engine"));
        config.arguments.clear();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // On a thread of its own: the test that comes first may itself run inside a runtime.
        let (supervisor, address) = std::thread::scope(|scope| {
            let start = || {
                let supervisor = runtime.block_on(async { Supervisor::start(config) });
                let address = runtime.block_on(supervisor.ready()).expect("the engine starts");
                (supervisor, address)
            };
            scope.spawn(start).join().unwrap()
        });
        let endpoint = Endpoint { url: address.url, user: address.user, password: address.password };
        Engine { endpoint, pid: address.pid, supervisor: Some(supervisor), runtime: Some(runtime), _dir: dir }
    }

    /// The engine that tests share.
    pub(crate) fn shared() -> &'static Engine {
        static ENGINE: OnceLock<Engine> = OnceLock::new();
        ENGINE.get_or_init(Engine::start)
    }

    /// A store in a database of its own.
    pub(crate) fn store(&self) -> Store {
        self.store_with(|_| {})
    }

    pub(crate) fn store_with(&self, change: impl FnOnce(&mut Config)) -> Store {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut config = config(&format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        change(&mut config);
        store_at(self.endpoint.clone(), config)
    }
}

/// A configuration that keeps rows for ever: samples stand in the past, and so does their receipt.
pub(crate) fn config(database: &str) -> Config {
    let retention =
        Retention { traces: Duration::ZERO, logs: Duration::ZERO, metrics: Duration::ZERO, graph: Duration::ZERO };
    Config { database: database.to_owned(), retention, ..Config::default() }
}

pub(crate) fn store_at(endpoint: Endpoint, config: Config) -> Store {
    let (_, endpoint) = watch::channel(Some(endpoint));
    Store::new(config, endpoint, &mut Registry::default()).unwrap()
}

// libchdb. A test without it must fail, not pass.
fn library() -> PathBuf {
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".cache"))).unwrap();
    engine::install::find(named("HYPOCENTER_ENGINE_LIB").as_deref(), &cache)
        .unwrap_or_else(|error| panic!("this test needs the engine library (`make setup`): {error}"))
}

fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).unwrap();
    target.join("examples").join("store_engine")
}

/// A plain client with all rights in the store's database.
pub(crate) fn admin(engine: &Engine, store: &Store) -> clickhouse::Client {
    clickhouse::Client::default()
        .with_url(&engine.endpoint.url)
        .with_user(&engine.endpoint.user)
        .with_password(&engine.endpoint.password)
        .with_compression(clickhouse::Compression::None)
        .with_database(store.database())
}

/// The rows of an answer.
pub(crate) async fn rows(client: &clickhouse::Client, sql: &str) -> Vec<Value> {
    let mut answer = client
        .query(sql)
        .with_setting("output_format_json_quote_64bit_integers", "0")
        .with_setting("output_format_json_quote_64bit_floats", "0")
        .fetch_bytes("JSONEachRow")
        .unwrap();
    let bytes = answer.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

pub(crate) async fn number(client: &clickhouse::Client, sql: &str) -> u64 {
    client.query(sql).fetch_one().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

pub(crate) async fn execute(client: &clickhouse::Client, sql: &str) {
    client.query(sql).execute().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The blocks of a batch, one per lane, with ids from `first` on.
pub(crate) fn seal(batch: &Batch, first: u64) -> Vec<SealedBlock> {
    let sealed = |(at, (key, ranges)): (usize, (store::LaneKey, Vec<std::ops::Range<u32>>))| {
        let mut block = Block::new(key.table);
        ranges.into_iter().for_each(|rows| block.append(batch, rows));
        let id = BatchId::new(0xabcd, first + at as u64);
        SealedBlock { table: key.table, batch: id, rows: block.rows(), native: block.finish(id) }
    };
    lanes(batch).into_iter().enumerate().map(sealed).collect()
}

pub(crate) fn of(blocks: Vec<SealedBlock>, table: Table) -> Vec<SealedBlock> {
    blocks.into_iter().filter(|block| block.table == table).collect()
}

/// All times.
pub(crate) const ALWAYS: (i64, i64) = (0, i64::MAX / 2);

/// Asks again until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    for _ in 0..600 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came about that {what}");
}
