//! How a service writes the same thing: names of spans and attributes by the generation of semantic
//! conventions that its instrumentation follows.

use crate::outcome::Failure;
use crate::shop::{Dialect, Language, Queue, Service, Store, ThirdParty};
use crate::story::{Operation, Protocol};
use crate::telemetry::{Attributes, SpanKind};

/// Name, kind, scope and attributes of a span.
pub(crate) struct Style {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) scope: &'static str,
    pub(crate) attributes: Attributes,
}

/// The span of the side that is called. `peer` is the caller's address, `path` the route with its
/// parameters filled in.
pub(crate) fn server(service: &Service, operation: &Operation, peer: &str, path: &str, queue: Option<&Queue>) -> Style {
    match operation.protocol {
        Protocol::Http => http_server(service, operation, peer, path),
        Protocol::Grpc => {
            let mut attributes = grpc(operation.name);
            match service.dialect {
                Dialect::Stable => attributes.push(("client.address", peer.into())),
                _ => attributes.push(("net.sock.peer.addr", peer.into())),
            }
            let scope = scope(service.language, Work::Grpc);
            Style { name: operation.name.to_owned(), kind: SpanKind::Server, scope, attributes }
        }
        Protocol::Message => consumer(service, queue),
        Protocol::Job => Style {
            name: operation.name.to_owned(),
            kind: SpanKind::Internal,
            scope: "reporting",
            attributes: vec![("job.name", operation.name.into())],
        },
    }
}

fn http_server(service: &Service, operation: &Operation, peer: &str, path: &str) -> Style {
    let (method, route) = operation.name.split_once(' ').unwrap_or(("GET", operation.name));
    let mut attributes: Attributes = match service.dialect {
        Dialect::Stable => vec![
            ("http.request.method", method.into()),
            ("http.route", route.into()),
            ("url.path", path.into()),
            ("url.scheme", "http".into()),
            ("server.address", service.address().into()),
            ("server.port", service.port.into()),
            ("client.address", peer.into()),
            ("network.protocol.version", "1.1".into()),
        ],
        Dialect::Old => vec![
            ("http.method", method.into()),
            ("http.route", route.into()),
            ("http.target", path.into()),
            ("http.scheme", "http".into()),
            ("net.host.name", service.address().into()),
            ("net.host.port", service.port.into()),
            ("net.sock.peer.addr", peer.into()),
        ],
        Dialect::Zipkin => vec![("http.method", method.into()), ("http.path", path.into())],
    };
    if service.language == Language::Nodejs {
        attributes.push(("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101".into()));
    }
    let name = match service.dialect {
        Dialect::Zipkin => operation.name.to_lowercase(),
        _ => operation.name.to_owned(),
    };
    Style { name, kind: SpanKind::Server, scope: scope(service.language, Work::Http), attributes }
}

/// The span of the side that calls.
pub(crate) fn client(service: &Service, callee: &Service, operation: &Operation, path: &str) -> Style {
    let address = callee.address();
    if operation.protocol == Protocol::Grpc {
        let mut attributes = grpc(operation.name);
        peer(&mut attributes, service.dialect, &address, callee.port);
        let scope = scope(service.language, Work::Grpc);
        return Style { name: operation.name.to_owned(), kind: SpanKind::Client, scope, attributes };
    }
    http_client(service, operation.name, &address, callee.port, path)
}

/// A call to somebody outside.
pub(crate) fn outside(service: &Service, third: &ThirdParty, route: &str) -> Style {
    let path = route.split_once(' ').map_or(route, |(_, path)| path);
    http_client(service, route, third.address, third.port, path)
}

fn http_client(service: &Service, route: &str, address: &str, port: u16, path: &str) -> Style {
    let method = route.split(' ').next().unwrap_or("GET");
    let scheme = if port == 443 { "https" } else { "http" };
    let url = format!("{scheme}://{address}:{port}{path}");
    let (name, mut attributes): (_, Attributes) = match service.dialect {
        Dialect::Stable => (method.to_owned(), vec![("http.request.method", method.into()), ("url.full", url.into())]),
        _ => (format!("HTTP {method}"), vec![("http.method", method.into()), ("http.url", url.into())]),
    };
    peer(&mut attributes, service.dialect, address, port);
    Style { name, kind: SpanKind::Client, scope: scope(service.language, Work::Http), attributes }
}

/// A statement.
pub(crate) fn query(service: &Service, store: &Store, statement: &str, table: &str) -> Style {
    let verb = statement.split(' ').next().unwrap_or(statement);
    let attributes: Attributes = match service.dialect {
        Dialect::Stable => {
            let mut attributes: Attributes = vec![
                ("db.system.name", store.system_name.into()),
                ("db.namespace", store.namespace.into()),
                ("db.operation.name", verb.into()),
                ("db.query.text", statement.into()),
            ];
            if !table.is_empty() {
                attributes.push(("db.collection.name", table.into()));
            }
            peer(&mut attributes, service.dialect, store.address, store.port);
            attributes
        }
        Dialect::Old => {
            let mut attributes: Attributes = vec![
                ("db.system", store.system.into()),
                ("db.operation", verb.into()),
                ("db.statement", statement.into()),
            ];
            match store.system {
                "redis" => attributes.push(("db.redis.database_index", 0_i64.into())),
                _ => attributes.push(("db.name", store.namespace.into())),
            }
            if !table.is_empty() {
                attributes.push(("db.sql.table", table.into()));
            }
            peer(&mut attributes, service.dialect, store.address, store.port);
            attributes
        }
        Dialect::Zipkin => vec![("sql.query", statement.into())],
    };
    let name = match service.dialect {
        Dialect::Zipkin => verb.to_lowercase(),
        _ if table.is_empty() => verb.to_owned(),
        Dialect::Stable => format!("{verb} {table}"),
        Dialect::Old => format!("{verb} {}.{table}", store.namespace),
    };
    Style { name, kind: SpanKind::Client, scope: scope(service.language, Work::Database), attributes }
}

/// A message sent.
pub(crate) fn producer(service: &Service, queue: &Queue, message: &str) -> Style {
    let mut attributes: Attributes = vec![
        ("messaging.system", queue.system.into()),
        ("messaging.destination.name", queue.name.into()),
        ("messaging.message.id", message.into()),
    ];
    let name = match service.dialect {
        Dialect::Stable => {
            attributes.push(("messaging.operation.type", "send".into()));
            format!("send {}", queue.name)
        }
        _ => {
            attributes.push(("messaging.operation", "publish".into()));
            format!("{} publish", queue.name)
        }
    };
    peer(&mut attributes, service.dialect, queue.address, queue.port);
    Style { name, kind: SpanKind::Producer, scope: scope(service.language, Work::Messaging), attributes }
}

fn consumer(service: &Service, queue: Option<&Queue>) -> Style {
    let (system, topic, address, port) =
        queue.map_or(("", "", "", 0), |queue| (queue.system, queue.name, queue.address, queue.port));
    let mut attributes: Attributes =
        vec![("messaging.system", system.into()), ("messaging.destination.name", topic.into())];
    let name = match service.dialect {
        Dialect::Stable => {
            attributes.push(("messaging.operation.type", "process".into()));
            attributes.push(("messaging.consumer.group.name", service.name.into()));
            format!("process {topic}")
        }
        _ => {
            attributes.push(("messaging.operation", "process".into()));
            format!("{topic} process")
        }
    };
    peer(&mut attributes, service.dialect, address, port);
    Style { name, kind: SpanKind::Consumer, scope: scope(service.language, Work::Messaging), attributes }
}

/// Adds how a call ended: `failure` as this side sees it, `answered` when there was an answer at all.
pub(crate) fn ending(
    attributes: &mut Attributes,
    dialect: Dialect,
    protocol: Protocol,
    failure: Option<&Failure>,
    answered: bool,
) {
    let http = failure.map_or(200, |failure| failure.http);
    let grpc = failure.map_or(0, |failure| failure.grpc);
    match protocol {
        Protocol::Http if answered => match dialect {
            Dialect::Stable => attributes.push(("http.response.status_code", http.into())),
            Dialect::Old => attributes.push(("http.status_code", http.into())),
            // Brave writes the code only where it is an error.
            Dialect::Zipkin if failure.is_some() => attributes.push(("http.status_code", http.to_string().into())),
            Dialect::Zipkin => {}
        },
        Protocol::Grpc if answered || failure.is_some() => attributes.push(("rpc.grpc.status_code", grpc.into())),
        _ => {}
    }
    if let Some(failure) = failure {
        match dialect {
            Dialect::Stable if answered && protocol == Protocol::Http => {
                attributes.push(("error.type", http.to_string().into()));
            }
            Dialect::Stable => attributes.push(("error.type", failure.exception.clone().into())),
            Dialect::Old => {}
            Dialect::Zipkin => attributes.push(("error", failure.message.clone().into())),
        }
    }
}

fn grpc(name: &str) -> Attributes {
    let (service, method) = name.split_once('/').unwrap_or((name, ""));
    vec![("rpc.system", "grpc".into()), ("rpc.service", service.into()), ("rpc.method", method.into())]
}

fn peer(attributes: &mut Attributes, dialect: Dialect, address: &str, port: u16) {
    let (name, number) = match dialect {
        Dialect::Stable => ("server.address", "server.port"),
        Dialect::Old => ("net.peer.name", "net.peer.port"),
        Dialect::Zipkin => return,
    };
    attributes.push((name, address.into()));
    attributes.push((number, port.into()));
}

enum Work {
    Http,
    Grpc,
    Database,
    Messaging,
}

// The instrumentation library that writes such spans in such a language.
fn scope(language: Language, work: Work) -> &'static str {
    match (language, work) {
        (Language::Nodejs, Work::Grpc) => "@opentelemetry/instrumentation-grpc",
        (Language::Nodejs, _) => "@opentelemetry/instrumentation-http",
        (Language::Go, Work::Grpc) => "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
        (Language::Go, Work::Http) => "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
        (Language::Go, Work::Database) => "github.com/XSAM/otelsql",
        (Language::Go, Work::Messaging) => "shop/orders/kafka",
        (Language::Python, Work::Database) => "opentelemetry.instrumentation.dbapi",
        (Language::Python, Work::Messaging) => "opentelemetry.instrumentation.pika",
        (Language::Python, _) => "opentelemetry.instrumentation.fastapi",
        (Language::Java, Work::Grpc) => "io.opentelemetry.grpc-1.6",
        (Language::Java, Work::Http) => "io.opentelemetry.spring-webmvc-6.0",
        (Language::Java, Work::Database) => "io.opentelemetry.jdbc",
        (Language::Java, Work::Messaging) => "io.opentelemetry.kafka-clients-0.11",
        (Language::Dotnet, Work::Database) => "OpenTelemetry.Instrumentation.StackExchangeRedis",
        (Language::Dotnet, _) => "OpenTelemetry.Instrumentation.AspNetCore",
        (Language::Rust, _) => "tracing-opentelemetry",
    }
}
