//! A ClickHouse that is not ours to start: `storage.url` at another process. No server package exists
//! for every machine, so a second `hypocenter engine serve` plays it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::graph::{self, SHOP, base_ns, edges, graph_of, shop, sorted};
use crate::program::{Program, eventually, now_ns, request};

/// A ClickHouse on a port and a directory.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(dir: &Path, port: u16) -> Server {
        let config =
            json!({"library": library(), "data_dir": dir, "port": port, "password": "pass", "watch_parent": true});
        let mut child = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
            .args(["engine", "serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It ends when its standard input closes, so that stays open with the child.
        child.stdin.as_mut().unwrap().write_all(format!("{config}\n").as_bytes()).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Value = serde_json::from_str(&lines.next().expect("a report").unwrap()).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let port = said["port"].as_u64().unwrap_or_else(|| panic!("it did not start: {said}"));
        Server { child, port: port as u16 }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        let url = format!("{}/?database={database}", self.url());
        let answer =
            request("POST", &url, &[("x-clickhouse-user", "hypocenter"), ("x-clickhouse-key", "pass")], sql.as_bytes());
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        answer.text().trim_end().to_owned()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// libchdb. A test without it must fail, not pass.
fn library() -> PathBuf {
    let explicit = std::env::var_os("HYPOCENTER_ENGINE_LIB").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .expect("a home directory");
    engine::install::find(explicit.as_deref(), &cache)
        .unwrap_or_else(|error| panic!("this test needs the engine library (`make setup`): {error}"))
}

fn remote(server: &Server) -> Vec<String> {
    [format!("storage.url={}", server.url()), "storage.user=hypocenter".to_owned(), "storage.password=pass".to_owned()]
        .into_iter()
        .flat_map(|pair| ["--set".to_owned(), pair])
        .collect()
}

fn start(server: &Server, more: &[&str]) -> Program {
    let arguments = remote(server);
    let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
    all.extend_from_slice(more);
    Program::start_with(&all)
}

fn body(number: u64) -> Value {
    let now = now_ns();
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "far"}}]},
        "scopeSpans": [{"spans": [{"traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"), "name": "work",
        "startTimeUnixNano": (now - 1000).to_string(), "endTimeUnixNano": now.to_string(),
        "attributes": [{"key": "n", "value": {"intValue": number.to_string()}}]}]}]}]})
}

fn send(program: &Program, number: u64) -> u16 {
    let headers = [("content-type", "application/json")];
    request("POST", &format!("{}/v1/traces", program.otlp_http), &headers, body(number).to_string().as_bytes()).status
}

// Scenario: spans arrive while a remote ClickHouse is there, away (kill -9), and back.
// Guarantee: every one is acknowledged and readable once afterwards; the outage is told; SQL at the
// remote side sees what the API says.
#[test]
fn a_remote_store_goes_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), 0);
    let program = start(&server, &[]);
    for number in 1..=20 {
        assert_eq!(send(&program, number), 200);
    }
    program.flush();
    assert_eq!(server.sql("hypocenter", "SELECT count(), uniqExact(TraceId) FROM otel_traces"), "20\t20");
    let port = server.port;
    server.kill();
    for number in 21..=40 {
        assert_eq!(send(&program, number), 200, "acknowledged without the store");
    }
    eventually("the outage is told", || program.api("/ingest")["store"]["state"] == "down");
    assert_eq!(program.get("/api/v1/services").status, 503);
    let server = Server::start(dir.path(), port);
    eventually("the store is back", || program.api("/ingest")["store"]["state"] == "ok");
    program.flush();
    for number in 1..=40_u64 {
        let trace = program.api(&format!("/traces/{number:032x}"));
        assert_eq!((&trace["total_spans"], &trace["spans"][0]["attributes"]["n"]), (&json!(1), &json!(number)));
    }
    assert_eq!(server.sql("hypocenter", "SELECT count(), uniqExact(TraceId) FROM otel_traces"), "40\t40");
    let ingest = program.api("/ingest");
    assert_eq!((&ingest["stored"]["traces"], &ingest["dead_letters"]["traces"]), (&json!(40), &json!(0)), "{ingest}");
}

// Scenario: two collectors share a ClickHouse; each gets half of the spans of every trace, some get both; the one
// that rolls is killed, and more spans come to the other.
// Guarantee: both give the same graph, which is that of all spans; a flush waits for it on either; the other
// takes over.
#[test]
fn two_collectors_roll_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), 0);
    let mut first = start(&server, &[]);
    let second = start(&server, &[]);
    let base_ns = base_ns();
    for (number, span) in shop(base_ns, 0..40).chunks(7).enumerate() {
        let to = if number % 2 == 0 { &first } else { &second };
        graph::send(to, "", span);
        if number % 5 == 0 {
            graph::send(&second, "", span);
        }
    }
    first.flush();
    second.flush();
    first.flush();
    let graphs = [graph_of(&first, "", ""), graph_of(&second, "", "")];
    assert_eq!(sorted(&edges(&graphs[0])), sorted(SHOP));
    assert_eq!((&graphs[0]["nodes"], &graphs[0]["edges"]), (&graphs[1]["nodes"], &graphs[1]["edges"]));
    first.kill();
    graph::send(&second, "", &shop(base_ns, 40..50));
    second.flush();
    let expected = SHOP.replace(" 40", " 50");
    assert_eq!(sorted(&edges(&graph_of(&second, "", ""))), sorted(&expected));
    assert_eq!(
        server.sql("hypocenter", "SELECT count() >= 2 FROM (SELECT DISTINCT Epoch, Owner FROM graph_lease)"),
        "1"
    );
}

const EXPORTER_TRACES: &str = "CREATE TABLE otel_traces (
    `Timestamp` DateTime64(9) CODEC(Delta(8), ZSTD(1)), `TraceId` String CODEC(ZSTD(1)), `SpanId` String CODEC(ZSTD(1)),
    `ParentSpanId` String CODEC(ZSTD(1)), `TraceState` String CODEC(ZSTD(1)), `SpanName` LowCardinality(String) CODEC(ZSTD(1)),
    `SpanKind` LowCardinality(String) CODEC(ZSTD(1)), `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)), `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` String CODEC(ZSTD(1)), `SpanAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `Duration` UInt64 CODEC(ZSTD(1)), `StatusCode` LowCardinality(String) CODEC(ZSTD(1)), `StatusMessage` String CODEC(ZSTD(1)),
    `Events.Timestamp` Array(DateTime64(9)) CODEC(ZSTD(1)), `Events.Name` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Events.Attributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)), `Links.TraceId` Array(String) CODEC(ZSTD(1)),
    `Links.SpanId` Array(String) CODEC(ZSTD(1)), `Links.TraceState` Array(String) CODEC(ZSTD(1)),
    `Links.Attributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1";

// Scenario: the OpenTelemetry exporter made its table in the database and wrote a row; then we attach
// and ingest.
// Guarantee: new spans are stored and found beside the old row, which SQL still reads; the weaker
// guarantee, if any, is told.
#[test]
fn tables_of_the_exporter_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), 0);
    server.sql("default", "CREATE DATABASE otel");
    server.sql("otel", EXPORTER_TRACES);
    server.sql("otel", "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, SpanAttributes) SELECT now64(9), 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'aaaaaaaaaaaaaaaa', 'old', 'elder', map('k', 'v')");
    let program = start(&server, &["--set", "storage.database=otel"]);
    assert_eq!(send(&program, 7), 200);
    program.flush();
    assert_eq!(program.api(&format!("/traces/{:032x}", 7))["total_spans"], 1);
    assert_eq!(server.sql("otel", "SELECT SpanName FROM otel_traces ORDER BY SpanName"), "old\nwork");
    let listed = program.api("/traces?from=now-1h&to=now%2B1m&service=elder");
    assert_eq!(listed["traces"][0]["root_operation"], "old", "{listed}");
    let guarantee = program.api("/ingest")["store"]["guarantee"].clone();
    assert!(["exactly_once", "at_least_once"].iter().any(|known| guarantee == *known), "{guarantee}");
}
