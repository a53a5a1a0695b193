//! Who works in the shop: services with their languages, conventions and pods; databases, caches,
//! queues and third parties, which send nothing and are seen only by their callers.

use crate::story::{self, Operation};

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Svc {
    Frontend,
    Catalog,
    Search,
    Recommendations,
    Cart,
    Checkout,
    Payment,
    Inventory,
    Shipping,
    Tax,
    Orders,
    Email,
    Reporting,
}

/// What is known of a service.
#[derive(Debug)]
pub struct Service {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a few words.
    pub does: &'static str,
    /// What it is written in.
    pub language: Language,
    /// The generation of semantic conventions that its instrumentation writes.
    pub dialect: Dialect,
    /// How it writes logs.
    pub logs: LogForm,
    /// The version it runs.
    pub version: &'static str,
    /// The version that the fault "bad version" rolls out.
    pub next_version: &'static str,
    /// The port it listens on.
    pub port: u16,
    /// Its pods: suffix of the name, and the host by number.
    pub pods: &'static [(&'static str, usize)],
}

/// A language, as `telemetry.sdk.language` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Language {
    Nodejs,
    Go,
    Python,
    Java,
    Dotnet,
    Rust,
}

/// Which names attributes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `http.request.method`, `db.system.name`.
    Stable,
    /// `http.method`, `db.system`.
    Old,
    /// Brave's tags, sent as Zipkin JSON with shared spans.
    Zipkin,
}

/// Where a log carries its trace id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// In its own fields.
    Fields,
    /// In the text: `… trace_id=… span_id=…`.
    Text,
    /// The text is a JSON object that holds them.
    Json,
    /// Logback's pattern: `INFO [tax,trace,span] …`.
    Brackets,
    /// In attributes.
    Attributes,
}

/// A database or cache.
#[derive(Debug)]
pub(crate) struct Store {
    /// `db.system`.
    pub(crate) system: &'static str,
    /// `db.system.name`.
    pub(crate) system_name: &'static str,
    /// Database; empty where the instrumentation does not tell.
    pub(crate) namespace: &'static str,
    /// Host name.
    pub(crate) address: &'static str,
    /// Port.
    pub(crate) port: u16,
}

/// A topic or queue with its one consumer.
#[derive(Debug)]
pub(crate) struct Queue {
    /// `messaging.system`.
    pub(crate) system: &'static str,
    /// Topic or queue.
    pub(crate) name: &'static str,
    /// The broker.
    pub(crate) address: &'static str,
    /// Its port.
    pub(crate) port: u16,
    /// Whether the consumer starts a trace of its own, with a link, or goes on in the producer's.
    pub(crate) by_link: bool,
    /// What consumes.
    pub(crate) consumer: &'static Operation,
    /// How long a message waits, usually.
    pub(crate) wait_ms: f64,
}

/// Somebody else's service.
#[derive(Debug)]
pub(crate) struct ThirdParty {
    /// Host name.
    pub(crate) address: &'static str,
    /// Port.
    pub(crate) port: u16,
}

/// The machines, and the subnet of the pods on each. The last one is not part of the cluster.
pub const HOSTS: [(&str, &str); 4] =
    [("node-1", "10.42.1"), ("node-2", "10.42.2"), ("node-3", "10.42.3"), ("legacy-vm-1", "10.80.0")];

static SERVICES: [Service; 13] = [
    Service {
        name: "frontend",
        does: "web gateway; every visit begins here",
        language: Language::Nodejs,
        dialect: Dialect::Stable,
        logs: LogForm::Fields,
        version: "3.12.0",
        next_version: "3.13.0-rc1",
        port: 8080,
        pods: &[("q7x2m", 0), ("v9d4k", 1)],
    },
    Service {
        name: "catalog",
        does: "products, from PostgreSQL",
        language: Language::Go,
        dialect: Dialect::Stable,
        logs: LogForm::Fields,
        version: "1.8.3",
        next_version: "1.9.0",
        port: 9090,
        pods: &[("b8n5t", 0), ("j2w6r", 2)],
    },
    Service {
        name: "search",
        does: "full text, from Elasticsearch",
        language: Language::Python,
        dialect: Dialect::Old,
        logs: LogForm::Json,
        version: "0.41.2",
        next_version: "0.42.0",
        port: 8000,
        pods: &[("c4h8s", 1), ("m6p3z", 2)],
    },
    Service {
        name: "recommendations",
        does: "what others bought, cached in Redis",
        language: Language::Python,
        dialect: Dialect::Stable,
        logs: LogForm::Fields,
        version: "2.0.5",
        next_version: "2.1.0",
        port: 8000,
        pods: &[("t5k9d", 0), ("x8r2f", 2)],
    },
    Service {
        name: "cart",
        does: "carts, in Redis",
        language: Language::Dotnet,
        dialect: Dialect::Old,
        logs: LogForm::Text,
        version: "4.2.1",
        next_version: "4.3.0",
        port: 7070,
        pods: &[("d3v7q", 0), ("w9m4b", 1)],
    },
    Service {
        name: "checkout",
        does: "places orders; calls half the shop",
        language: Language::Java,
        dialect: Dialect::Old,
        logs: LogForm::Brackets,
        version: "5.6.0",
        next_version: "5.7.0",
        port: 8080,
        pods: &[("h6z8n", 1), ("r4c2x", 2)],
    },
    Service {
        name: "payment",
        does: "charges cards; asks a fraud check outside",
        language: Language::Java,
        dialect: Dialect::Stable,
        logs: LogForm::Fields,
        version: "2.3.1",
        next_version: "2.4.0",
        port: 8443,
        pods: &[("f2s9j", 0), ("k7t5w", 1), ("n8q3p", 2)],
    },
    Service {
        name: "inventory",
        does: "stock, in MySQL",
        language: Language::Java,
        dialect: Dialect::Old,
        logs: LogForm::Attributes,
        version: "1.15.0",
        next_version: "1.16.0",
        port: 9090,
        pods: &[("g5x4v", 0), ("z3b7h", 2)],
    },
    Service {
        name: "shipping",
        does: "quotes and parcels",
        language: Language::Rust,
        dialect: Dialect::Stable,
        logs: LogForm::Fields,
        version: "0.9.7",
        next_version: "0.10.0",
        port: 50051,
        pods: &[("p9j6c", 1)],
    },
    Service {
        name: "tax",
        does: "the legacy: Brave, sends only Zipkin JSON, joins its caller's spans",
        language: Language::Java,
        dialect: Dialect::Zipkin,
        logs: LogForm::Brackets,
        version: "1.0.44",
        next_version: "1.0.45",
        port: 8081,
        pods: &[("tax", 3)],
    },
    Service {
        name: "orders",
        does: "stores orders that come over Kafka, in the trace of the visit",
        language: Language::Go,
        dialect: Dialect::Stable,
        logs: LogForm::Json,
        version: "1.4.0",
        next_version: "1.5.0",
        port: 8080,
        pods: &[("s7f3k", 1), ("y4n8d", 2)],
    },
    Service {
        name: "email",
        does: "sends mails from RabbitMQ, in traces of its own with links",
        language: Language::Python,
        dialect: Dialect::Old,
        logs: LogForm::Text,
        version: "0.7.3",
        next_version: "0.8.0",
        port: 8000,
        pods: &[("l2g6m", 2)],
    },
    Service {
        name: "reporting",
        does: "the nightly job (here every minute): one INTERNAL root, many queries",
        language: Language::Python,
        dialect: Dialect::Old,
        logs: LogForm::Fields,
        version: "0.3.0",
        next_version: "0.4.0",
        port: 8000,
        pods: &[("29371", 2)],
    },
];

impl Svc {
    /// All services, in the order of the table.
    pub const ALL: [Svc; 13] = [
        Svc::Frontend,
        Svc::Catalog,
        Svc::Search,
        Svc::Recommendations,
        Svc::Cart,
        Svc::Checkout,
        Svc::Payment,
        Svc::Inventory,
        Svc::Shipping,
        Svc::Tax,
        Svc::Orders,
        Svc::Email,
        Svc::Reporting,
    ];

    /// What is known of it.
    pub fn about(self) -> &'static Service {
        &SERVICES[self as usize]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.about().name
    }

    /// The service of this name.
    pub fn named(name: &str) -> Option<Svc> {
        Svc::ALL.into_iter().find(|service| service.name() == name)
    }
}

impl Language {
    /// As `telemetry.sdk.language` writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::Nodejs => "nodejs",
            Language::Go => "go",
            Language::Python => "python",
            Language::Java => "java",
            Language::Dotnet => "dotnet",
            Language::Rust => "rust",
        }
    }
}

/// The products.
pub(crate) static PRODUCTS_DB: Store = Store {
    system: "postgresql",
    system_name: "postgresql",
    namespace: "catalog",
    address: "pg-catalog.shop.svc",
    port: 5432,
};
/// The search index.
pub(crate) static SEARCH_INDEX: Store = Store {
    system: "elasticsearch",
    system_name: "elasticsearch",
    namespace: "products-v3",
    address: "es-search.shop.svc",
    port: 9200,
};
/// The cache of recommendations.
pub(crate) static RECOMMENDATION_CACHE: Store = Store {
    system: "redis",
    system_name: "redis",
    namespace: "1",
    address: "redis-recommendations.shop.svc",
    port: 6379,
};
/// The carts.
pub(crate) static CARTS: Store =
    Store { system: "redis", system_name: "redis", namespace: "", address: "redis-cart.shop.svc", port: 6379 };
/// The payments.
pub(crate) static PAYMENTS_DB: Store = Store {
    system: "postgresql",
    system_name: "postgresql",
    namespace: "payments",
    address: "pg-payments.shop.svc",
    port: 5432,
};
/// The stock.
pub(crate) static STOCK_DB: Store =
    Store { system: "mysql", system_name: "mysql", namespace: "stock", address: "mysql-stock.shop.svc", port: 3306 };
/// The orders.
pub(crate) static ORDERS_DB: Store = Store {
    system: "postgresql",
    system_name: "postgresql",
    namespace: "orders",
    address: "pg-orders.shop.svc",
    port: 5432,
};
/// The tax rates; Brave tells only the name of its address.
pub(crate) static TAX_DB: Store =
    Store { system: "mysql", system_name: "mysql", namespace: "tax", address: "mysql-tax", port: 3306 };
/// All databases and caches.
pub(crate) static STORES: [&Store; 8] =
    [&PRODUCTS_DB, &SEARCH_INDEX, &RECOMMENDATION_CACHE, &CARTS, &PAYMENTS_DB, &STOCK_DB, &ORDERS_DB, &TAX_DB];

/// Placed orders; the consumer goes on in the trace of the visit.
pub(crate) static ORDER_TOPIC: Queue = Queue {
    system: "kafka",
    name: "orders",
    address: "kafka.shop.svc",
    port: 9092,
    by_link: false,
    consumer: &story::STORE_ORDER,
    wait_ms: 12.0,
};
/// Mails to send; the consumer links to the producer.
pub(crate) static MAIL_QUEUE: Queue = Queue {
    system: "rabbitmq",
    name: "mails",
    address: "rabbitmq.shop.svc",
    port: 5672,
    by_link: true,
    consumer: &story::SEND_MAIL,
    wait_ms: 40.0,
};
/// All queues.
pub(crate) static QUEUES: [&Queue; 2] = [&ORDER_TOPIC, &MAIL_QUEUE];

/// The fraud check.
pub(crate) static FRAUD_CHECK: ThirdParty = ThirdParty { address: "api.fraudshield.example", port: 443 };
/// The mail relay.
pub(crate) static MAIL_RELAY: ThirdParty = ThirdParty { address: "relay.mailpost.example", port: 443 };
/// All third parties.
pub(crate) static THIRD_PARTIES: [&ThirdParty; 2] = [&FRAUD_CHECK, &MAIL_RELAY];

impl Service {
    /// Where callers find it.
    pub(crate) fn address(&self) -> String {
        match self.dialect {
            Dialect::Zipkin => format!("{}.legacy.example", self.name),
            Dialect::Stable | Dialect::Old => format!("{}.shop.svc", self.name),
        }
    }

    /// The address of one of its pods.
    pub(crate) fn pod_ip(&self, pod: u8) -> String {
        let host = self.pods[usize::from(pod)].1;
        let last = 10 + crate::random::mix(self.port.into()) % 90 + u64::from(pod) * 100;
        format!("{}.{}", HOSTS[host].1, (last + self.name.len() as u64 * 3) % 250 + 2)
    }
}
