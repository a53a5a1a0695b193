//! The standard workloads: deterministic OTLP requests, encoded once. Every body can be made unlike
//! every other by stamping a counter into its trace ids, because identical requests are recognised
//! as repeats.
//!
//! | name | span or record | request |
//! |---|---|---|
//! | S | about 120 B: 1 int attribute, 1 event | 5 resources of 100 |
//! | M | about 500 B: 20 resource and 8 to 11 span attributes, 20 % events, 2 % exceptions, 2 % errors | 512, 1 resource |
//! | L | about 2.1 KB: 25 attributes, SQL text, long values | 512, 1 resource |
//! | LOG | about 330 B records, 60 % with a trace id | 512, 1 resource |

#![allow(dead_code)] // Each bench uses its part.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};
use prost::Message as _;

/// First bytes of every trace id of the workloads, by which [`Request::stamped`] finds them.
const STAMP: [u8; 4] = [0xA9, 0x48, 0xF9, 0x50];

/// Which workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    S,
    M,
    L,
    Log,
}

/// One encoded request with the places of its stamps.
pub(crate) struct Request {
    pub(crate) body: Vec<u8>,
    pub(crate) items: usize,
    stamps: Vec<usize>,
}

/// A small deterministic generator (SplitMix64).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Workload {
    pub(crate) fn parse(name: &str) -> Option<Workload> {
        match name.to_ascii_uppercase().trim_start_matches("W-") {
            "S" => Some(Workload::S),
            "M" => Some(Workload::M),
            "L" => Some(Workload::L),
            "LOG" => Some(Workload::Log),
            _ => None,
        }
    }

    /// The gRPC method that takes it.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Workload::Log => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            _ => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        }
    }

    /// The HTTP path that takes it.
    pub(crate) fn http_path(self) -> &'static str {
        if self == Workload::Log { "/v1/logs" } else { "/v1/traces" }
    }

    /// `count` different requests; the events of the first lie shortly before `now_ns`, those of each
    /// next one `step_ns` earlier.
    pub(crate) fn requests(self, count: usize, items: usize, now_ns: u64, step_ns: u64) -> Vec<Request> {
        let mut rng = Rng(0x4879_706F_6365_6E74);
        (0..count).map(|number| self.request(&mut rng, number, items, now_ns - number as u64 * step_ns)).collect()
    }

    fn request(self, rng: &mut Rng, number: usize, items: usize, now_ns: u64) -> Request {
        let body = match self {
            Workload::S => {
                let per_resource = items.div_ceil(5).max(1);
                let groups =
                    (0..5).map(|at| resource_spans(rng, self, number * 5 + at, per_resource, now_ns)).collect();
                ExportTraceServiceRequest { resource_spans: groups }.encode_to_vec()
            }
            Workload::M | Workload::L => {
                let group = resource_spans(rng, self, number, items, now_ns);
                ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
            }
            Workload::Log => {
                ExportLogsServiceRequest { resource_logs: vec![resource_logs(rng, number, items, now_ns)] }
                    .encode_to_vec()
            }
        };
        let stamps = (0..body.len().saturating_sub(16)).filter(|at| body[*at..*at + 4] == STAMP).collect();
        let items = if self == Workload::S { items.div_ceil(5).max(1) * 5 } else { items };
        Request { body, items, stamps }
    }
}

impl Request {
    /// A copy whose trace ids no other copy has; they are spread like random ones.
    pub(crate) fn stamped(&self, counter: u32) -> Vec<u8> {
        let mut body = self.body.clone();
        for at in &self.stamps {
            // Spans of a trace have equal low halves, so they get equal high halves.
            let low = body[at + 8..at + 16].iter().fold(0, |low, byte| low << 8 | u64::from(*byte));
            let high = Rng(low ^ u64::from(counter) << 16).next();
            body[*at..at + 8].copy_from_slice(&high.to_be_bytes());
        }
        body
    }
}

const SERVICES: [&str; 14] = [
    "frontend",
    "checkout",
    "cart",
    "payment",
    "shipping",
    "catalog",
    "currency",
    "email",
    "ads",
    "recommendation",
    "quote",
    "fraud",
    "accounting",
    "image-provider",
];
const ROUTES: [&str; 10] = [
    "/api/products/{id}",
    "/api/cart",
    "/api/cart/{id}/items",
    "/api/checkout",
    "/api/shipping/quote",
    "/api/currency/convert",
    "/api/recommendations",
    "/api/ads",
    "/api/orders/{id}",
    "/api/users/{id}/address",
];

fn text(value: impl Into<String>) -> Option<AnyValue> {
    Some(AnyValue { value: Some(any_value::Value::StringValue(value.into())) })
}

fn int(value: i64) -> Option<AnyValue> {
    Some(AnyValue { value: Some(any_value::Value::IntValue(value)) })
}

fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.into(), value, ..Default::default() }
}

fn resource(number: usize, wide: bool) -> Resource {
    let service = SERVICES[number % SERVICES.len()];
    let pod = format!("{service}-7d9c6b5f4-{:05x}", (number * 7919) % 0xFFFFF);
    let mut attributes = vec![pair("service.name", text(service))];
    if wide {
        attributes.extend([
            pair("service.version", text(format!("1.{}.3", number % 4))),
            pair("service.namespace", text("shop")),
            pair("service.instance.id", text(format!("627cc493-f310-47de-96bd-71410b7d{:04x}", number % 0xFFFF))),
            pair("deployment.environment.name", text("production")),
            pair("telemetry.sdk.name", text("opentelemetry")),
            pair("telemetry.sdk.language", text("java")),
            pair("telemetry.sdk.version", text("1.44.1")),
            pair("process.pid", int(1)),
            pair("process.runtime.name", text("OpenJDK Runtime Environment")),
            pair("process.runtime.version", text("21.0.5+11-LTS")),
            pair("process.executable.path", text("/opt/java/openjdk/bin/java")),
            pair("os.type", text("linux")),
            pair("host.name", text(pod.clone())),
            pair("host.arch", text("amd64")),
            pair("k8s.cluster.name", text("prod-eu-1")),
            pair("k8s.namespace.name", text("shop")),
            pair("k8s.deployment.name", text(service)),
            pair("k8s.node.name", text(format!("ip-10-0-{}-{}.internal", number % 16, number % 200))),
            pair("k8s.pod.name", text(pod)),
            pair("k8s.pod.uid", text(format!("0b0c1d2e-3f40-5162-7384-95a6b7c8{:04x}", number % 0xFFFF))),
        ]);
    }
    Resource { attributes, ..Default::default() }
}

fn trace_id(rng: &mut Rng) -> Vec<u8> {
    let mut id = STAMP.to_vec();
    id.extend_from_slice(&[0; 4]);
    id.extend_from_slice(&rng.next().to_be_bytes());
    id
}

fn resource_spans(rng: &mut Rng, workload: Workload, number: usize, items: usize, now_ns: u64) -> ResourceSpans {
    let mut spans = Vec::with_capacity(items);
    let mut trace = trace_id(rng);
    let mut parent = Vec::new();
    for at in 0..items {
        if at % 10 == 0 {
            trace = trace_id(rng);
            parent = Vec::new();
        }
        let id = rng.next().to_be_bytes().to_vec();
        let mut span = match workload {
            Workload::S => small_span(rng, now_ns),
            _ => typical_span(rng, now_ns, workload == Workload::L),
        };
        span.trace_id = trace.clone();
        span.parent_span_id = std::mem::replace(&mut parent, id.clone());
        span.span_id = id;
        spans.push(span);
    }
    let scope = InstrumentationScope {
        name: "io.opentelemetry.tomcat-10.0".into(),
        version: "2.10.0-alpha".into(),
        ..Default::default()
    };
    ResourceSpans {
        resource: Some(resource(number, workload != Workload::S)),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }],
        ..Default::default()
    }
}

fn small_span(rng: &mut Rng, now_ns: u64) -> Span {
    let start = now_ns - rng.below(5_000_000_000);
    Span {
        trace_state: "active".into(),
        name: "operation".into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + rng.below(1_000_000),
        attributes: vec![pair("counter", int(rng.below(1000) as i64))],
        events: vec![Event { time_unix_nano: start, name: "event".into(), ..Default::default() }],
        ..Default::default()
    }
}

fn typical_span(rng: &mut Rng, now_ns: u64, large: bool) -> Span {
    let start = now_ns - rng.below(5_000_000_000);
    let route = ROUTES[rng.below(10) as usize];
    let failed = rng.chance(2);
    let (name, kind, mut attributes) = match rng.below(3) {
        0 => (format!("GET {route}"), SpanKind::Server, http_attributes(rng, route, failed)),
        1 => ("oteldemo.CartService/GetCart".to_owned(), SpanKind::Client, rpc_attributes(rng)),
        _ => (format!("SELECT shop.{}", table_of(route)), SpanKind::Client, db_attributes(rng, route)),
    };
    if large {
        for at in 0..15 {
            // 40 digits, as a SHA-1 has them.
            let noise = format!("{:016x}{:016x}{:08x}", rng.next(), rng.next(), rng.next() as u32);
            attributes.push(pair(&format!("app.detail.{at}"), text(format!("value {at} of the request, {noise}"))));
        }
        let columns: Vec<String> = (0..27).map(|at| format!("t{}.column_{at}", at % 3)).collect();
        attributes.push(pair(
            "db.query.text",
            text(format!("SELECT {} FROM orders t0 JOIN items t1 ON t1.order_id = t0.id", columns.join(", "))),
        ));
    }
    let mut events = Vec::new();
    if failed {
        events.push(exception(rng, start));
    } else if rng.chance(20) {
        let attributes =
            vec![pair("message.id", int(rng.below(100_000) as i64)), pair("message.type", text("RECEIVED"))];
        events.push(Event { time_unix_nano: start + 1000, name: "message".into(), attributes, ..Default::default() });
    }
    let status =
        failed.then(|| Status { code: StatusCode::Error as i32, message: "upstream request timed out".into() });
    Span {
        name,
        kind: kind as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 50_000 + rng.below(200_000_000),
        attributes,
        events,
        status,
        flags: 0x101,
        ..Default::default()
    }
}

fn http_attributes(rng: &mut Rng, route: &str, failed: bool) -> Vec<KeyValue> {
    let id = format!("{:012X}", rng.next() & 0xFFFF_FFFF_FFFF);
    vec![
        pair("http.request.method", text("GET")),
        pair("http.route", text(route)),
        pair("url.scheme", text("http")),
        pair("url.path", text(route.replace("{id}", &id))),
        pair("http.response.status_code", int(if failed { 504 } else { 200 })),
        pair("server.address", text("frontend-proxy")),
        pair("server.port", int(8080)),
        pair("client.address", text(format!("10.0.{}.{}", rng.below(256), rng.below(256)))),
        pair("network.peer.port", int(30_000 + rng.below(30_000) as i64)),
        pair("user_agent.original", text("python-requests/2.32.3")),
        pair("thread.id", int(rng.below(200) as i64)),
    ]
}

fn rpc_attributes(rng: &mut Rng) -> Vec<KeyValue> {
    vec![
        pair("rpc.system", text("grpc")),
        pair("rpc.service", text("oteldemo.CartService")),
        pair("rpc.method", text("GetCart")),
        pair("rpc.grpc.status_code", int(0)),
        pair("server.address", text("cart")),
        pair("server.port", int(7070)),
        pair("network.peer.address", text(format!("10.0.{}.{}", rng.below(256), rng.below(256)))),
        pair("app.user.id", text(format!("{:08x}-{:04x}", rng.next() as u32, rng.below(0xFFFF)))),
        pair("thread.id", int(rng.below(200) as i64)),
    ]
}

/// The table that a route reads: its first word after `/api/`.
fn table_of(route: &str) -> &str {
    route.split('/').nth(2).unwrap_or(route)
}

fn db_attributes(rng: &mut Rng, route: &str) -> Vec<KeyValue> {
    vec![
        pair("db.system.name", text("postgresql")),
        pair("db.namespace", text("shop")),
        pair("db.operation.name", text("SELECT")),
        pair("db.collection.name", text(table_of(route))),
        pair("db.query.summary", text(format!("SELECT {}", table_of(route)))),
        pair("server.address", text("postgres.shop.svc")),
        pair("server.port", int(5432)),
        pair("db.response.returned_rows", int(rng.below(500) as i64)),
    ]
}

fn exception(rng: &mut Rng, start: u64) -> Event {
    let frames: Vec<String> = (0..6)
        .map(|at| format!("\tat com.shop.orders.Handler{at}.invoke(Handler{at}.java:{})", rng.below(400)))
        .collect();
    Event {
        time_unix_nano: start + 2000,
        name: "exception".into(),
        attributes: vec![
            pair("exception.type", text("java.net.SocketTimeoutException")),
            pair("exception.message", text("Read timed out")),
            pair(
                "exception.stacktrace",
                text(format!("java.net.SocketTimeoutException: Read timed out\n{}", frames.join("\n"))),
            ),
        ],
        ..Default::default()
    }
}

fn resource_logs(rng: &mut Rng, number: usize, items: usize, now_ns: u64) -> ResourceLogs {
    let mut trace = trace_id(rng);
    let records = (0..items)
        .map(|at| {
            if at % 5 == 0 {
                trace = trace_id(rng);
            }
            let linked = rng.chance(60);
            let order = format!("{:08x}", rng.next() as u32);
            LogRecord {
                time_unix_nano: now_ns - rng.below(5_000_000_000),
                observed_time_unix_nano: now_ns,
                severity_number: if rng.chance(3) { 17 } else { 9 },
                severity_text: "INFO".into(),
                body: text(format!(
                    "Order {order} placed by user {} in {} ms, total {}.{:02} EUR",
                    rng.below(100_000),
                    rng.below(900),
                    rng.below(500),
                    rng.below(100)
                )),
                attributes: vec![
                    pair("logger.name", text("com.shop.orders.OrderService")),
                    pair("thread.name", text(format!("http-nio-8080-exec-{}", rng.below(50)))),
                    pair("code.function.name", text("com.shop.orders.OrderService.place")),
                    pair("code.line.number", int(118)),
                    pair("order.id", text(order)),
                ],
                // An unlinked record still carries the stamp, so that bodies differ.
                trace_id: if linked { trace.clone() } else { Vec::new() },
                span_id: if linked { rng.next().to_be_bytes().to_vec() } else { Vec::new() },
                flags: u32::from(linked),
                ..Default::default()
            }
        })
        .collect();
    let scope = InstrumentationScope { name: "com.shop.orders".into(), ..Default::default() };
    ResourceLogs {
        resource: Some(resource(number, true)),
        scope_logs: vec![ScopeLogs { scope: Some(scope), log_records: records, ..Default::default() }],
        ..Default::default()
    }
}
