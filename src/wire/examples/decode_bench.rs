//! How fast one thread turns OTLP protobuf into columns: the standard workload W-M (about 480 bytes
//! a span, 21 resource attributes, 8 to 11 span attributes, 512 spans a request) and a log twin.
//!
//! `cargo run --release -p hypocenter-wire --example decode_bench [-- ROUNDS [spans|logs]]`

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::sync::Arc;
use std::time::Instant;

use model::{Envelope, Limits, Protocol};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message;

// The allocator of the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SPANS: usize = 512;
const START_NS: u64 = 1_700_000_000_000_000_000;

fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2000);
    let only = std::env::args().nth(2);
    for (name, protocol, body) in
        [("spans", Protocol::OtlpTracesProto, traces()), ("logs", Protocol::OtlpLogsProto, logs())]
    {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let decode = || {
            let envelope = Envelope { tenant: Arc::from(""), received_ns: START_NS as i64, sender: Arc::from("bench") };
            wire::decode(protocol, &body, envelope, &Limits::default()).expect("the bench speaks OTLP")
        };
        let decoded = decode();
        assert_eq!(decoded.batch.items().iter().sum::<u32>() as usize, SPANS);
        assert!(decoded.account.refusals.is_empty(), "{:?}", decoded.account);
        let mut times: Vec<u128> = (0..rounds.max(1))
            .map(|_| {
                let begin = Instant::now();
                std::hint::black_box(decode());
                begin.elapsed().as_nanos()
            })
            .collect();
        times.sort_unstable();
        let per_item = |time_ns: u128| time_ns as f64 / SPANS as f64;
        let (best, middle) = (times[0], times[times.len() / 2]);
        println!(
            "{name}: {} bytes each, best {:.0} ns, median {:.0} ns, {:.0} MB/s",
            body.len() / SPANS,
            per_item(best),
            per_item(middle),
            body.len() as f64 * 1e3 / middle as f64,
        );
    }
}

/// Random numbers (splitmix64), so that every run has the same bytes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn string(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: u64) -> KeyValue {
    pair(key, Value::IntValue(value as i64))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

fn resource() -> Resource {
    let texts = [
        ("service.name", "checkout"),
        ("service.version", "1.42.7"),
        ("service.namespace", "shop"),
        ("service.instance.id", "checkout-6d9f7c5b9d-x2x7k"),
        ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.language", "java"),
        ("telemetry.sdk.version", "1.45.0"),
        ("deployment.environment.name", "production"),
        ("k8s.cluster.name", "eu-west-1-prod"),
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", "checkout-6d9f7c5b9d-x2x7k"),
        ("k8s.pod.uid", "275ecb36-5aa8-4c2a-9c47-d8bb681b9aff"),
        ("k8s.deployment.name", "checkout"),
        ("k8s.node.name", "ip-10-12-3-44.eu-west-1.compute.internal"),
        ("container.id", "3f2a7c5b9d6e4f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8"),
        ("cloud.provider", "aws"),
        ("cloud.region", "eu-west-1"),
        ("cloud.availability_zone", "eu-west-1b"),
        ("host.name", "ip-10-12-3-44"),
        ("host.arch", "amd64"),
    ];
    let mut attributes: Vec<_> = texts.iter().map(|(key, value)| string(key, *value)).collect();
    attributes.push(int("process.pid", 1));
    Resource { attributes, ..Resource::default() }
}

fn http(random: &mut Random) -> (i32, String, Vec<KeyValue>) {
    let route =
        ["/api/cart/{id}", "/api/orders", "/api/products/{id}/reviews", "/api/checkout"][random.below(4) as usize];
    let status = if random.below(50) == 0 { 500 } else { 200 };
    let attributes = vec![
        string("http.request.method", ["GET", "POST"][random.below(2) as usize]),
        string("url.scheme", "https"),
        string("url.path", route.replace("{id}", &random.below(100_000).to_string())),
        string("http.route", route),
        int("http.response.status_code", status),
        string("server.address", "shop.example.com"),
        int("server.port", 443),
        string("client.address", format!("10.{}.{}.{}", random.below(255), random.below(255), random.below(255))),
        string("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
        string("network.protocol.version", "1.1"),
        int("thread.id", random.below(200)),
    ];
    (2, format!("GET {route}"), attributes)
}

fn rpc(random: &mut Random) -> (i32, String, Vec<KeyValue>) {
    let method = ["Charge", "GetQuote", "ListItems"][random.below(3) as usize];
    let attributes = vec![
        string("rpc.system", "grpc"),
        string("rpc.service", "shop.v1.PaymentService"),
        string("rpc.method", method),
        int("rpc.grpc.status_code", 0),
        string("server.address", "payment.shop.svc.cluster.local"),
        int("server.port", 8443),
        string("network.peer.address", format!("10.2.{}.{}", random.below(255), random.below(255))),
        int("thread.id", random.below(200)),
    ];
    (3, format!("shop.v1.PaymentService/{method}"), attributes)
}

fn db(random: &mut Random) -> (i32, String, Vec<KeyValue>) {
    let table = ["orders", "items", "users"][random.below(3) as usize];
    let attributes = vec![
        string("db.system.name", "postgresql"),
        string("db.namespace", "shop"),
        string("db.operation.name", "SELECT"),
        string("db.collection.name", table),
        string(
            "db.query.text",
            format!("SELECT id, state, total FROM {table} WHERE customer_id = $1 AND shard = {}", random.below(64)),
        ),
        string("server.address", "pg-orders.internal"),
        int("server.port", 5432),
        int("db.response.returned_rows", random.below(100)),
        string("thread.name", format!("worker-{}", random.below(32))),
    ];
    (3, format!("SELECT shop.{table}"), attributes)
}

fn events(random: &mut Random, time: u64) -> Vec<span::Event> {
    let event = |name: &str, attributes| span::Event {
        time_unix_nano: time,
        name: name.to_owned(),
        attributes,
        dropped_attributes_count: 0,
    };
    match random.below(100) {
        0 | 1 => vec![event(
            "exception",
            vec![
                string("exception.type", "java.lang.IllegalStateException"),
                string("exception.message", format!("payment {} was declined", random.below(1_000_000))),
                string("exception.stacktrace", "at shop.Checkout.pay(Checkout.java:117)\n\t".repeat(20)),
            ],
        )],
        2..20 => vec![event("cache.miss", vec![string("cache.key", format!("user:{}", random.below(100_000)))])],
        _ => Vec::new(),
    }
}

fn traces() -> Vec<u8> {
    let mut random = Random(7);
    let mut trace_id = [0; 16];
    let mut parent = Vec::new();
    let mut spans = Vec::new();
    for at in 0..SPANS {
        if at % 10 == 0 {
            trace_id[..8].copy_from_slice(&random.next().to_be_bytes());
            trace_id[8..].copy_from_slice(&random.next().to_be_bytes());
            parent.clear();
        }
        let (kind, name, attributes) = match random.below(3) {
            0 => http(&mut random),
            1 => rpc(&mut random),
            _ => db(&mut random),
        };
        let start = START_NS + random.below(1_000_000_000);
        let span_id = random.next().to_be_bytes().to_vec();
        spans.push(Span {
            trace_id: trace_id.to_vec(),
            span_id: span_id.clone(),
            parent_span_id: std::mem::replace(&mut parent, span_id),
            flags: 0x101,
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: start + random.below(50_000_000),
            events: events(&mut random, start),
            attributes,
            status: (random.below(50) == 0).then(|| Status { message: "declined".to_owned(), code: 2 }),
            ..Span::default()
        });
    }
    let scope = InstrumentationScope {
        name: "io.opentelemetry.spring-webmvc-6.0".to_owned(),
        version: "2.11.0".to_owned(),
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    let group = ResourceSpans {
        resource: Some(resource()),
        scope_spans,
        schema_url: "https://opentelemetry.io/schemas/1.30.0".to_owned(),
    };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
}

fn logs() -> Vec<u8> {
    let mut random = Random(9);
    let log_records = (0..SPANS)
        .map(|_| {
            let joined = random.below(10) < 6;
            let id = |random: &mut Random| random.next().to_be_bytes();
            LogRecord {
                time_unix_nano: START_NS + random.below(1_000_000_000),
                observed_time_unix_nano: START_NS + 1_000_000,
                severity_number: 9,
                severity_text: "INFO".to_owned(),
                body: Some(AnyValue {
                    value: Some(Value::StringValue(format!(
                        "order {} of customer {} was paid with card ending {:04}, total {}.{:02} EUR",
                        random.below(1_000_000),
                        random.below(100_000),
                        random.below(10_000),
                        random.below(500),
                        random.below(100),
                    ))),
                }),
                attributes: vec![
                    string("code.function.name", "shop.Checkout.pay"),
                    int("code.line.number", 117),
                    string("thread.name", format!("worker-{}", random.below(32))),
                    string("customer.tier", ["gold", "silver", "basic"][random.below(3) as usize]),
                    int("order.items", random.below(20)),
                ],
                trace_id: if joined { [id(&mut random), id(&mut random)].concat() } else { Vec::new() },
                span_id: if joined { id(&mut random).to_vec() } else { Vec::new() },
                flags: 1,
                ..LogRecord::default()
            }
        })
        .collect();
    let scope = InstrumentationScope { name: "shop.Checkout".to_owned(), ..Default::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, schema_url: String::new() }];
    let group = ResourceLogs { resource: Some(resource()), scope_logs, schema_url: String::new() };
    ExportLogsServiceRequest { resource_logs: vec![group] }.encode_to_vec()
}
