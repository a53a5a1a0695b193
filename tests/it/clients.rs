//! Real clients against the real program: SDKs, reporters and ClickHouse drivers in their own
//! languages, installed by `tests/clients/setup.sh`. The scripts judge; here they are only run.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};

use serde_json::Value;

use crate::program::Program;

const PASSWORD: &str = "pass word";

/// A program that ClickHouse's clients may read from.
struct Readable {
    program: Program,
    /// Where they read, as user `reader`.
    sql: String,
}

impl std::ops::Deref for Readable {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

/// One program for the scripts that only add and read; each uses ids of its own.
fn shared() -> Arc<Readable> {
    static SHARED: Mutex<Weak<Readable>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        // Not one of those that the kernel gives: another program could get it before ours asks for it.
        let first = 20_000 + (std::process::id() % 10_000) as u16;
        let port = (first..32_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
        let (port_set, password_set) =
            (format!("storage.embedded.http_port={port}"), format!("storage.embedded.reader_password={PASSWORD}"));
        let program = Program::start_with(&["--set", &port_set, "--set", &password_set]);
        let program = Arc::new(Readable { program, sql: format!("http://127.0.0.1:{port}") });
        *shared = Arc::downgrade(&program);
        program
    })
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Runs a script; its last line on standard output is its report.
pub fn run(script: &str, arguments: &[&str]) -> Value {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/venv/bin/python");
    let installed = python.exists() && clients().join("node_modules").exists();
    assert!(installed, "the clients are not installed: run tests/clients/setup.sh, as `make test` does");
    let mut command = match script.rsplit_once('.') {
        Some((_, "py")) => {
            let mut command = Command::new(python);
            command.args(["-W", "ignore"]);
            command
        }
        Some((_, "mjs")) => Command::new("node"),
        _ => Command::new("sh"),
    };
    let output = command.arg(clients().join(script)).args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{out}\n{err}", output.status);
    let report = out.lines().last().unwrap_or_default();
    serde_json::from_str(report).unwrap_or_else(|error| panic!("{script}: {error}: {out}\n{err}"))
}

// Scenario: the OpenTelemetry Python SDK sends spans, logs of `logging`, and metrics over gRPC and
// HTTP, plain and gzip.
// Guarantee: ids, kinds, every attribute type, events, exceptions, links, status, resource and scope
// read back as the SDK had them; logs stand in their spans.
#[test]
fn python_sdk() {
    let program = shared();
    let report = run("otel_python.py", &[&program.http, &program.otlp_http, &program.otlp_grpc]);
    assert_eq!(report["ways"].as_object().unwrap().len(), 4);
}

// Scenario: the OpenTelemetry JavaScript SDK sends spans and logs as JSON, protobuf and gRPC.
// Guarantee: they read back as the SDK had them.
#[test]
fn javascript_sdk() {
    let program = shared();
    let report = run("otel_node.mjs", &[&program.http, &program.otlp_http, &program.otlp_grpc]);
    assert_eq!(report["ways"].as_object().unwrap().len(), 4);
}

// Scenario: random messages with every field, made by the official Python classes, sent as protobuf
// and as JSON, over HTTP and gRPC, plain and gzip.
// Guarantee: read back with `typed=true`, every field of every item is what was sent.
#[test]
fn random_otlp_reads_back() {
    let program = shared();
    for seed in ["1", "2"] {
        let report = run("otlp_readback.py", &[&program.http, &program.otlp_http, &program.otlp_grpc, seed, "60"]);
        assert!(report["spans"].as_u64() > Some(200) && report["logs"].as_u64() > Some(200), "{report}");
    }
}

// Scenario: random metrics of every type, made by the official Python classes, sent as protobuf and JSON.
// Guarantee: SQL over the exporter's five tables gives back every point, once, with every field.
#[test]
fn random_metrics_read_back() {
    let program = shared();
    let report = run("otlp_metrics.py", &[&program.http, &program.otlp_http, &program.sql, PASSWORD]);
    assert_eq!(report["points"], 200);
}

// Scenario: py_zipkin and zipkin-js report in each encoding that they have; v1 JSON and Thrift as old
// reporters write them.
// Guarantee: both widths of ids, kinds, tags, annotations, endpoints, shared and debug read back.
#[test]
fn zipkin_reporters() {
    let program = shared();
    for script in ["zipkin_python.py", "zipkin_node.mjs"] {
        run(script, &[&program.http, &program.zipkin]);
    }
}

// Scenario: clickhouse-connect, @clickhouse/client and curl come as the user `reader`.
// Guarantee: reading works in all their ways; writing and files are refused.
#[test]
fn clickhouse_clients_read() {
    let program = shared();
    for script in ["engine_python.py", "engine_node.mjs", "engine_curl.sh"] {
        let report = run(script, &[&program.sql, "reader", PASSWORD, "--read-only"]);
        assert!(
            report["passed"].as_array().unwrap().len() > 10 && report["failed"].as_object().unwrap().is_empty(),
            "{report}"
        );
    }
}

// Scenario: hundreds of hostile bodies, heads and connections on every port: bombs, broken encodings,
// depth, sizes, wrong types, floods of frames, slow and endless senders.
// Guarantee: answers are 2xx or 4xx, the next good request works, memory stays bounded, and a body is
// stored whole or not at all.
#[test]
fn hostile_input() {
    let program = Program::start();
    let pid = program.pid().to_string();
    let report = run("hostile.py", &[&pid, &program.http, &program.otlp_http, &program.otlp_grpc, &program.zipkin]);
    assert!(report["cases"].as_u64() > Some(500), "{report}");
}
