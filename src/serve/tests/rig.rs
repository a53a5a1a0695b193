//! One engine for all tests, a database and a router of its own for each, and short ways to send and ask.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use engine::{Supervisor, SupervisorConfig};
use http::{Request, Response};
use model::{BatchId, Envelope, Limits, Protocol};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use serve::{Config, Flushing, Readiness, Status};
use store::{Block, Endpoint, Retention, SealedBlock, Store, lanes};
use tokio::sync::watch;
use tower::ServiceExt;
use view::View;
use view::ingest::{Counts, Guarantee, IngestAnswer, JournalState, StoreHealth, StoreState};

/// The moment at which all tests play, in nanoseconds: 2026-09-21.
pub(crate) const T: i64 = 1_790_000_000_000_000_000;
/// One millisecond in nanoseconds.
pub(crate) const MS: i64 = 1_000_000;

/// A server without sockets.
pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) router: Router,
    clock: Arc<Fake>,
}

/// A process that is always well, with a clock that tests set.
struct Fake {
    now_ns: AtomicI64,
}

impl Status for Fake {
    fn check_wish(&self, kind: &str, _: &str) -> Result<(String, String), String> {
        Err(format!("this server keeps no {kind}"))
    }

    fn now_ns(&self) -> i64 {
        self.now_ns.load(Ordering::Relaxed)
    }

    fn ingest(&self) -> IngestAnswer {
        let none = Counts::default();
        IngestAnswer {
            accepted: Counts { traces: 1, ..none },
            stored: none,
            refused: none,
            rejected: none,
            dead_letters: none,
            duplicates: none,
            journal: JournalState::default(),
            store: StoreState { state: StoreHealth::Ok, guarantee: Guarantee::ExactlyOnce, message: None },
            addresses: [("http".to_owned(), "127.0.0.1:7700".to_owned())].into(),
            tls: false,
        }
    }

    fn readiness(&self) -> Readiness {
        Readiness::Degraded("the store is away".into())
    }

    fn flush(&self, _timeout: Duration) -> Flushing<'_> {
        Box::pin(async { Ok(true) })
    }
}

impl Rig {
    /// With open doors.
    pub(crate) async fn new() -> Rig {
        Rig::with(access::Access::open()).await
    }

    /// With these doors.
    pub(crate) async fn with(access: access::Access) -> Rig {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut config = store::Config {
            database: format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            ..store::Config::default()
        };
        config.retention =
            Retention { traces: Duration::ZERO, logs: Duration::ZERO, metrics: Duration::ZERO, graph: Duration::ZERO };
        let (_, endpoint) = watch::channel(Some(engine().clone()));
        let store = Store::new(config, endpoint, &mut Registry::default()).unwrap();
        store.apply_schema().await.unwrap();
        Rig::over(store, access)
    }

    /// Over a store that may not be there.
    pub(crate) fn over(store: Store, access: access::Access) -> Rig {
        let _ = tracing_subscriber::fmt()
            .with_test_writer()
            .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
            .try_init();
        let clock = Arc::new(Fake { now_ns: AtomicI64::new(T + 3_600_000 * MS) });
        let registry = Registry::with_prefix("hypocenter");
        let router =
            serve::routers(View::new(store.clone()), Arc::clone(&clock), Arc::new(access), Config::default(), registry)
                .own;
        Rig { store, router, clock }
    }

    /// Lets time pass.
    pub(crate) fn later(&self, ns: i64) {
        self.clock.now_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Stores a request, received now.
    pub(crate) async fn store(&self, tenant: &str, protocol: Protocol, body: &Value) {
        static BATCH: AtomicU64 = AtomicU64::new(1);
        let envelope = Envelope { tenant: tenant.into(), received_ns: self.clock.now_ns(), sender: "test".into() };
        let mut batch =
            wire::decode(protocol, body.to_string().as_bytes(), envelope, &Limits::default()).unwrap().batch;
        correlate::absorb(&mut batch);
        for (key, ranges) in lanes(&batch) {
            let mut block = Block::new(key.table);
            ranges.into_iter().for_each(|rows| block.append(&batch, rows));
            let id = BatchId::new(0xabcd, BATCH.fetch_add(1, Ordering::Relaxed));
            let sealed = SealedBlock { table: key.table, batch: id, rows: block.rows(), native: block.finish(id) };
            self.store.insert(&sealed).await.unwrap();
        }
    }

    /// Stores spans drawn as text (see [`spans`]).
    pub(crate) async fn spans(&self, text: &str) {
        self.store("", Protocol::OtlpTracesJson, &spans(text)).await;
    }

    /// Stores logs drawn as text (see [`logs`]).
    pub(crate) async fn logs(&self, text: &str) {
        self.store("", Protocol::OtlpLogsJson, &logs(text)).await;
    }

    /// The answer to any request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Status and JSON of a GET.
    pub(crate) async fn ask(&self, path: &str) -> (u16, Value) {
        let request = Request::get(path).header("host", "127.0.0.1:7700").body(Body::empty()).unwrap();
        let response = self.send(request).await;
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 30).await.unwrap();
        (
            status,
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())),
        )
    }

    /// JSON of a GET that succeeds.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

/// Texts at `pointer` of every item of a list.
pub(crate) fn texts(answer: &Value, list: &str, field: &str) -> Vec<String> {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    answer[list].as_array().unwrap().iter().map(|item| shown(&item[field])).collect()
}

/// A 32-digit trace id from a short one.
pub(crate) fn trace_id(short: &str) -> String {
    format!("{:0>32}", format!("1{:0>31}", short))
}

fn span_id(short: &str) -> String {
    if short == "-" { String::new() } else { format!("{short:0>16}") }
}

/// OTLP JSON of lines `trace span parent service name kind start_ms+duration_ms [error] [key=value…]`.
/// Values `i:7` are integers.
pub(crate) fn spans(text: &str) -> Value {
    let mut resources = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (start_ms, duration_us) = words[6].split_once('+').unwrap();
        let start_ns = T + start_ms.parse::<i64>().unwrap() * MS;
        let end_ns = start_ns + (duration_us.parse::<f64>().unwrap() * MS as f64) as i64;
        let kind = ["-", "internal", "server", "client", "producer", "consumer"]
            .iter()
            .position(|kind| *kind == words[5])
            .unwrap();
        let pairs: Vec<Value> = words[7..]
            .iter()
            .filter_map(|word| word.split_once('='))
            .map(|(key, value)| attribute(key, value))
            .collect();
        let status = if words.contains(&"error") { json!({"code": 2, "message": "broke"}) } else { json!({}) };
        resources.push(json!({
            "resource": {"attributes": [attribute("service.name", words[3])]},
            "scopeSpans": [{"scope": {"name": "lib", "version": "1"}, "spans": [{
                "traceId": trace_id(words[0]), "spanId": span_id(words[1]), "parentSpanId": span_id(words[2]), "name": words[4], "kind": kind,
                "startTimeUnixNano": start_ns.to_string(), "endTimeUnixNano": end_ns.to_string(), "status": status, "attributes": pairs,
            }]}]
        }));
    }
    json!({"resourceSpans": resources})
}

/// OTLP JSON of lines `time_ms service severity trace span [key=value…] | body`; severity `-` for none.
pub(crate) fn logs(text: &str) -> Value {
    let mut resources = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (head, body) = line.split_once(" | ").unwrap();
        let words: Vec<&str> = head.split_whitespace().collect();
        let time_ns = T + words[0].parse::<i64>().unwrap() * MS;
        let number = model::kind::severity_number(words[2]);
        let severity = if words[2] == "-" { "" } else { words[2] };
        let trace = if words[3] == "-" { String::new() } else { trace_id(words[3]) };
        let pairs: Vec<Value> = words[5..]
            .iter()
            .filter_map(|word| word.split_once('='))
            .map(|(key, value)| attribute(key, value))
            .collect();
        resources.push(json!({
            "resource": {"attributes": [attribute("service.name", words[1])]},
            "scopeLogs": [{"logRecords": [{
                "timeUnixNano": time_ns.to_string(), "severityText": severity, "severityNumber": number, "traceId": trace, "spanId": span_id(words[4]),
                "body": {"stringValue": body}, "attributes": pairs,
            }]}]
        }));
    }
    json!({"resourceLogs": resources})
}

fn attribute(key: &str, value: &str) -> Value {
    match value.strip_prefix("i:") {
        Some(number) => json!({"key": key, "value": {"intValue": number}}),
        None => json!({"key": key, "value": {"stringValue": value}}),
    }
}

/// The engine that all tests share.
pub(crate) fn engine() -> &'static Endpoint {
    static ENGINE: OnceLock<(Endpoint, tokio::runtime::Runtime, Supervisor, tempfile::TempDir)> = OnceLock::new();
    let started = ENGINE.get_or_init(|| {
        // On a thread of its own: the test that comes first runs inside a runtime.
        std::thread::spawn(|| {
            let dir = tempfile::tempdir().unwrap();
            let mut config = SupervisorConfig::new(program(), library(), dir.path().join("engine"));
            config.arguments.clear();
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let supervisor = runtime.block_on(async { Supervisor::start(config) });
            let address = runtime.block_on(supervisor.ready()).expect("the engine starts");
            let endpoint = Endpoint { url: address.url, user: address.user, password: address.password };
            (endpoint, runtime, supervisor, dir)
        })
        .join()
        .unwrap()
    });
    &started.0
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
    test.parent().and_then(Path::parent).unwrap().join("examples").join("serve_engine")
}
