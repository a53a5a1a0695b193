//! Configuration in two steps: what was written (defaults, then the YAML file, then `HYPOCENTER_*`,
//! then flags and `--set`), each value with its source, and what is resolved from it, validated and
//! with units in the types. One table (`keys.rs`) lists every key. Only this file reads the environment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::config_checks;
use crate::configured::{self, Configured, Named};
use crate::keys::{Form, KEYS, environment_name};
use crate::mail::{Mailer, is_address};
use crate::notify::{Form as Message, Receiver};

/// What the configuration resolves to.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Data directory.
    pub(crate) data_dir: PathBuf,
    /// Listen address.
    pub(crate) listen: IpAddr,
    /// Ports.
    pub(crate) ports: Ports,
    /// Where rows are stored.
    pub(crate) storage: Storage,
    /// The durable log.
    pub(crate) journal: journal::Config,
    /// Receiving and batching.
    pub(crate) ingest: Ingest,
    /// How long rows are kept; zero for ever.
    pub(crate) retention: Retention,
    /// Bounds of one query.
    pub(crate) query: Query,
    /// Zipkin's read API.
    pub(crate) zipkin: serve::ZipkinConfig,
    /// Origins whose pages may use the Zipkin port.
    pub(crate) zipkin_cors_origins: Vec<String>,
    /// Whether incidents are watched for.
    pub(crate) watch_enabled: bool,
    /// Rules and silences of every tenant.
    pub(crate) configured: Configured,
    /// Who is told of them.
    pub(crate) receivers: Vec<Receiver>,
    /// By whom mails are sent.
    pub(crate) mailer: Option<Mailer>,
    /// Address of the UI in messages.
    pub(crate) base_url: String,
    /// Whether tenants are separated.
    pub(crate) tenancy_enabled: bool,
    /// Bearer tokens as written.
    pub(crate) tokens: Vec<String>,
    /// Further host names of the UI.
    pub(crate) allowed_hosts: Vec<String>,
    /// TLS of the listening ports.
    pub(crate) tls: Option<Tls>,
    /// Own log: JSON rather than text.
    pub(crate) log_json: bool,
    /// Own log: filter.
    pub(crate) log_level: String,
    /// Variables of the environment that look like keys and are none.
    pub(crate) strange_variables: Vec<String>,
    written: Written,
}

/// Listening ports; 0 is any free one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// UI and own API.
    pub(crate) http: u16,
    /// OTLP over gRPC.
    pub(crate) otlp_grpc: u16,
    /// OTLP over HTTP.
    pub(crate) otlp_http: u16,
    /// Zipkin.
    pub(crate) zipkin: u16,
}

/// Where rows are stored.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    /// ClickHouse's address; `None` is the embedded engine.
    pub(crate) url: Option<String>,
    /// User at the address.
    pub(crate) user: String,
    /// Password at the address.
    pub(crate) password: String,
    /// Database.
    pub(crate) database: String,
    /// Authority of the server's certificate.
    pub(crate) ca_file: Option<PathBuf>,
    /// `auto`, `none` or `lz4`.
    pub(crate) compression: String,
    /// Inserts at the same time.
    pub(crate) inserts_in_flight: usize,
    /// Limit of one insert.
    pub(crate) insert_timeout: Duration,
    /// The embedded engine.
    pub(crate) embedded: Embedded,
}

/// The embedded engine.
#[derive(Clone, Debug)]
pub(crate) struct Embedded {
    /// The library, when named.
    pub(crate) library: Option<PathBuf>,
    /// Memory cap in bytes; `None` lets the engine room choose.
    pub(crate) memory_bytes_max: Option<u64>,
    /// Port for readers; 0 is off.
    pub(crate) http_port: u16,
    /// Password of the reader.
    pub(crate) reader_password: String,
    /// Where installed libraries lie.
    pub(crate) cache_dir: PathBuf,
}

/// Receiving and batching.
#[derive(Clone, Debug)]
pub(crate) struct Ingest {
    /// Body limit in bytes.
    pub(crate) body_bytes_max: usize,
    /// Memory for requests in flight, bytes.
    pub(crate) memory_bytes_max: usize,
    /// Memory for blocks, bytes.
    pub(crate) block_memory_bytes_max: usize,
    /// Rows of one insert.
    pub(crate) block_rows_max: u32,
    /// Bytes of one insert.
    pub(crate) block_bytes_max: usize,
    /// Longest wait of the busiest lanes.
    pub(crate) linger: Duration,
    /// Longest wait of the others.
    pub(crate) linger_cold: Duration,
    /// What a success answer promises.
    pub(crate) durability: PerReceiver,
    /// Resend window; zero is off.
    pub(crate) resend_window: Duration,
    /// Day partitions that senders may open per hour.
    pub(crate) new_days_per_hour_max: usize,
    /// Decode limits.
    pub(crate) limits: model::Limits,
    /// Allowed browser origins.
    pub(crate) cors_origins: Vec<String>,
}

/// What a success answer promises, by the family of the request's protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PerReceiver {
    /// OTLP over gRPC and HTTP.
    pub(crate) otlp: journal::Durability,
    /// Zipkin.
    pub(crate) zipkin: journal::Durability,
}

impl PerReceiver {
    /// That of a protocol; our own books are always on disk.
    pub(crate) fn of(self, protocol: model::Protocol) -> journal::Durability {
        use model::Protocol as P;
        match protocol {
            P::OtlpTracesProto | P::OtlpLogsProto | P::OtlpMetricsProto => self.otlp,
            P::OtlpTracesJson | P::OtlpLogsJson | P::OtlpMetricsJson => self.otlp,
            P::ZipkinV2Json | P::ZipkinV2Proto | P::ZipkinV1Json | P::ZipkinV1Thrift => self.zipkin,
            P::Ledger | P::DeadLetters => journal::Durability::Fsync,
        }
    }
}

/// Retention per signal; zero for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// Spans.
    pub(crate) traces: Duration,
    /// Log records.
    pub(crate) logs: Duration,
    /// Metric points.
    pub(crate) metrics: Duration,
    /// Minutes of the service graph.
    pub(crate) graph: Duration,
}

/// Bounds of one query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    /// Longest run.
    pub(crate) timeout: Duration,
    /// Memory in bytes.
    pub(crate) memory_bytes_max: u64,
    /// Rows read.
    pub(crate) rows_max: u64,
}

/// TLS of the listening ports.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// Certificate chain.
    pub(crate) cert_file: PathBuf,
    /// Private key.
    pub(crate) key_file: PathBuf,
    /// Authorities of client certificates.
    pub(crate) client_ca_file: Option<PathBuf>,
}

/// What stopped the configuration from being read; each says where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not YAML.
    #[error("the configuration file {path} is not valid YAML: {reason}")]
    Yaml {
        /// The file.
        path: String,
        /// Why, with line and column.
        reason: String,
    },
    /// A key is not known.
    #[error("unknown key `{key}` ({source_name}){nearest}")]
    Unknown {
        /// The key.
        key: String,
        /// Where it was written.
        source_name: String,
        /// The nearest known name.
        nearest: String,
    },
    /// A value does not fit its key.
    #[error("`{key}` ({source_name}) {reason}")]
    Value {
        /// The key.
        key: String,
        /// Where it was written.
        source_name: String,
        /// What is wrong.
        reason: String,
    },
}

/// What the command line gives: a file and `key=value` pairs that win over everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// The YAML file.
    pub(crate) file: Option<PathBuf>,
    /// Pairs from flags, in order.
    pub(crate) set: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
struct Written(BTreeMap<&'static str, Given>);

/// What was written for a key.
#[derive(Clone, Debug)]
struct Given {
    text: String,
    source: String,
    /// Sources of the items of a list of tables, where they have their own.
    items: Vec<String>,
}

impl Given {
    fn new(text: impl Into<String>, source: impl Into<String>) -> Given {
        Given { text: text.into(), source: source.into(), items: Vec::new() }
    }
}

/// Where the lists of tables have their items.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Located {
    watch: LocatedWatch,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LocatedWatch {
    rules: Vec<Spanned<IgnoredAny>>,
    silences: Vec<Spanned<IgnoredAny>>,
}

/// Reads every source and resolves the result.
pub(crate) fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut written = Written(KEYS.iter().map(|key| (key.name, Given::new(key.default, "default"))).collect());
    if let Some(path) = &sources.file {
        written.read_file(path)?;
    }
    let mut strange = Vec::new();
    for (name, value) in std::env::vars() {
        if !written.read_environment(&name, &value)? && looks_like_key(&name) {
            strange.push(name);
        }
    }
    for (name, value) in &sources.set {
        written.set(name, value.clone(), "command line")?;
    }
    let config = Config { strange_variables: strange, ..resolve(written)? };
    access_config(&config)?;
    match config_checks::first_fault(&config) {
        Some((key, reason)) => Err(config.written.bad(key, reason)),
        None => Ok(config),
    }
}

/// What the doors' keeper is told.
pub(crate) fn access_config(config: &Config) -> Result<access::Config, ConfigError> {
    let tokens = config.tokens.iter().map(|text| token(config, text)).collect::<Result<_, _>>()?;
    Ok(access::Config { tokens, tenancy_enabled: config.tenancy_enabled, ..access::Config::default() })
}

/// What the doors in are told.
pub(crate) fn receive_config(config: &Config) -> receive::Config {
    let mut settings = receive::Config::default();
    settings.limits.body_bytes_max = config.ingest.body_bytes_max;
    settings.otlp_cors.origins.clone_from(&config.ingest.cors_origins);
    settings.zipkin_cors.origins.clone_from(&config.zipkin_cors_origins);
    settings
}

/// What the doors out are told.
pub(crate) fn serve_config(config: &Config) -> serve::Config {
    serve::Config {
        allowed_hosts: config.allowed_hosts.clone(),
        loopback_only: config.listen.is_loopback(),
        answer_timeout: config.query.timeout + Duration::from_secs(5),
        zipkin: config.zipkin.clone(),
        ..serve::Config::default()
    }
}

/// What the store is told.
pub(crate) fn store_config(config: &Config) -> store::Config {
    let storage = &config.storage;
    let Retention { traces, logs, metrics, graph } = config.retention;
    let Query { timeout, memory_bytes_max, rows_max } = config.query;
    store::Config {
        database: storage.database.clone(),
        compression: match storage.compression.as_str() {
            "none" => store::Compression::None,
            "lz4" => store::Compression::Lz4,
            _ => store::Compression::Auto,
        },
        insert_timeout: storage.insert_timeout,
        ca_file: storage.ca_file.clone(),
        retention: store::Retention { traces, logs, metrics, graph },
        query: store::QueryLimits { timeout, memory_bytes_max, rows_max },
    }
}

// `name:secret[:read|write|read+write[:tenant]]`
fn token(config: &Config, text: &str) -> Result<access::Token, ConfigError> {
    let bad = |reason: &str| config.written.bad("access.tokens", reason);
    let mut parts = text.splitn(4, ':');
    let (Some(name), Some(secret)) = (parts.next(), parts.next()) else {
        return Err(bad("must be a list of name:secret, name:secret:rights or name:secret:rights:tenant"));
    };
    let (may_read, may_write) = match parts.next() {
        None | Some("" | "read+write") => (true, true),
        Some("read") => (true, false),
        Some("write") => (false, true),
        Some(_) => return Err(bad("rights are read, write or read+write")),
    };
    let tenant = parts.next().map(str::to_owned);
    Ok(access::Token { name: name.to_owned(), secret: secret.to_owned(), may_read, may_write, tenant })
}

impl Config {
    /// The effective configuration as YAML, with the source of each value; secrets are hidden.
    pub(crate) fn print(&self) -> String {
        let mut out = String::new();
        let mut open: Vec<&str> = Vec::new();
        for key in KEYS {
            let Given { text: value, source, .. } = &self.written.0[key.name];
            let parts: Vec<&str> = key.name.split('.').collect();
            let (leaf, path) = parts.split_last().unwrap_or((&"", &[]));
            let shared = open.iter().zip(path).take_while(|(a, b)| a == b).count();
            open.truncate(shared);
            for part in &path[shared..] {
                let _ = writeln!(out, "{}{part}:", "  ".repeat(open.len()));
                open.push(part);
            }
            let shown = if (key.form == Form::Secret || ["access.tokens", "notify.slack"].contains(&key.name))
                && !value.is_empty()
            {
                "********"
            } else {
                value
            };
            let indent = "  ".repeat(open.len());
            let _ = writeln!(out, "{indent}{leaf}: {} # {source}", Value::String(shown.to_owned()));
        }
        out
    }
}

impl Written {
    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: name.clone(), source })?;
        if text.trim().is_empty() {
            return Ok(());
        }
        let tree: Value = serde_saphyr::from_str(&text)
            .map_err(|error| ConfigError::Yaml { path: name.clone(), reason: error.to_string() })?;
        let mut flat = Vec::new();
        flatten("", tree, &mut flat);
        for (key, value) in flat {
            let line = line_of(&text, &key).map_or(String::new(), |line| format!(", line {line}"));
            let source = format!("{name}{line}");
            let value = interpolated(value).map_err(|reason| ConfigError::Value {
                key: key.clone(),
                source_name: source.clone(),
                reason,
            })?;
            self.set(&key, written(&value), &source)?;
        }
        let located: Located = serde_saphyr::from_str(&text).unwrap_or_default();
        for (key, items) in [("watch.rules", located.watch.rules), ("watch.silences", located.watch.silences)] {
            if let Some(given) = self.0.get_mut(key) {
                given.items = items.iter().map(|item| format!("{name}, line {}", item.referenced.line())).collect();
            }
        }
        Ok(())
    }

    // Whether it is one of ours.
    fn read_environment(&mut self, name: &str, value: &str) -> Result<bool, ConfigError> {
        let key = match name {
            "HYPOCENTER_ENGINE_LIB" => Some("storage.embedded.library"),
            _ => KEYS.iter().map(|key| key.name).find(|key| environment_name(key) == name),
        };
        key.map_or(Ok(()), |key| self.set(key, value.to_owned(), name))?;
        Ok(key.is_some())
    }

    fn set(&mut self, name: &str, value: String, source: &str) -> Result<(), ConfigError> {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            return Err(ConfigError::Unknown {
                key: name.to_owned(),
                source_name: source.to_owned(),
                nearest: nearest(name),
            });
        };
        self.0.insert(key.name, Given::new(value, source));
        Ok(())
    }

    fn text(&self, name: &str) -> &str {
        &self.0[name].text
    }

    fn bad(&self, name: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError::Value { key: name.to_owned(), source_name: self.0[name].source.clone(), reason: reason.into() }
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, ConfigError> {
        let text = self.text(name);
        text.trim().parse().map_err(|_| self.bad(name, format!("must be a whole number in range, not `{text}`")))
    }

    fn boolean(&self, name: &str) -> Result<bool, ConfigError> {
        match self.text(name) {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(self.bad(name, format!("must be true or false, not `{other}`"))),
        }
    }

    fn bytes(&self, name: &str) -> Result<u64, ConfigError> {
        let text = self.text(name);
        parse_bytes(text).ok_or_else(|| self.bad(name, format!("must be a size such as 64MiB, not `{text}`")))
    }

    fn duration(&self, name: &str) -> Result<Duration, ConfigError> {
        let text = self.text(name);
        parse_duration(text).ok_or_else(|| {
            self.bad(name, format!("must be a duration such as 400ms, 10s, 5m, 2h or 30d, not `{text}`"))
        })
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        let text = self.text(name);
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.text(name).split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn tables<T: Named>(&self, name: &str) -> Result<Vec<T>, ConfigError> {
        configured::read(self.text(name)).map_err(|(item, reason)| {
            let given = &self.0[name];
            let source = item.and_then(|at| given.items.get(at)).unwrap_or(&given.source);
            ConfigError::Value { key: name.to_owned(), source_name: source.clone(), reason }
        })
    }

    fn choice(&self, name: &str, choices: &[&str]) -> Result<String, ConfigError> {
        let text = self.text(name);
        if choices.contains(&text) {
            return Ok(text.to_owned());
        }
        Err(self.bad(name, format!("must be one of {}, not `{text}`", choices.join(", "))))
    }
}

/// `memory` answers when somebody else has answered, so there must be somebody else.
const NO_MEMORY: &str = "cannot be memory: that level answers a sender when an upstream Hypocenter has answered, and this version cannot forward to one; \
     process is the weakest level that it has";

fn resolve(written: Written) -> Result<Config, ConfigError> {
    for key in KEYS {
        if key.name.ends_with("durability") && written.text(key.name) == "memory" {
            return Err(written.bad(key.name, NO_MEMORY));
        }
        if let Form::Choice(choices) = key.form {
            written.choice(key.name, choices)?;
        }
    }
    let w = &written;
    let data_dir = w.path("data_dir").unwrap_or_else(default_data_dir);
    let listen = match w.text("listen") {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        text => text
            .trim_matches(['[', ']'])
            .parse()
            .map_err(|_| w.bad("listen", format!("must be an IP address, not `{text}`")))?,
    };
    let database = w.text("storage.database").to_owned();
    if database == "default" || !is_identifier(&database) {
        return Err(
            w.bad("storage.database", "must be a plain name (letters, digits, underscore) other than `default`")
        );
    }
    let url = Some(w.text("storage.url").trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
    if let Some(url) = &url
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        return Err(w.bad("storage.url", "must begin with http:// or https://"));
    }
    let http_port = w.number("storage.embedded.http_port")?;
    let reader_password = w.text("storage.embedded.reader_password").to_owned();
    if http_port != 0 && reader_password.is_empty() {
        return Err(w.bad("storage.embedded.reader_password", "must be set when storage.embedded.http_port is"));
    }
    let embedded = Embedded {
        library: w.path("storage.embedded.library"),
        memory_bytes_max: match w.text("storage.embedded.memory_max") {
            "auto" => None,
            _ => Some(w.bytes("storage.embedded.memory_max")?),
        },
        http_port,
        reader_password,
        cache_dir: cache_dir(),
    };
    let storage = Storage {
        url,
        user: w.text("storage.user").to_owned(),
        password: w.text("storage.password").to_owned(),
        database,
        ca_file: w.path("storage.ca_file"),
        compression: w.text("storage.compression").to_owned(),
        inserts_in_flight: w.number::<usize>("storage.inserts_in_flight")?.max(1),
        insert_timeout: w.duration("storage.insert_timeout")?,
        embedded,
    };
    let tls = match (w.path("tls.cert_file"), w.path("tls.key_file")) {
        (Some(cert_file), Some(key_file)) => {
            Some(Tls { cert_file, key_file, client_ca_file: w.path("tls.client_ca_file") })
        }
        (None, None) => None,
        _ => return Err(w.bad("tls.key_file", "and tls.cert_file must be set together")),
    };
    Ok(Config {
        journal: resolve_journal(w, &data_dir)?,
        data_dir,
        listen,
        ports: Ports {
            http: w.number("ports.http")?,
            otlp_grpc: w.number("ports.otlp_grpc")?,
            otlp_http: w.number("ports.otlp_http")?,
            zipkin: w.number("ports.zipkin")?,
        },
        storage,
        ingest: resolve_ingest(w)?,
        retention: Retention {
            traces: w.duration("retention.traces")?,
            logs: w.duration("retention.logs")?,
            metrics: w.duration("retention.metrics")?,
            graph: w.duration("retention.graph")?,
        },
        query: Query {
            timeout: w.duration("query.timeout")?,
            memory_bytes_max: w.bytes("query.memory_max")?,
            rows_max: w.number("query.rows_max")?,
        },
        zipkin: serve::ZipkinConfig {
            strict_trace_id: w.boolean("zipkin.strict_trace_id")?,
            search_enabled: w.boolean("zipkin.search_enabled")?,
            autocomplete_keys: w.list("zipkin.autocomplete_keys"),
            default_lookback: w.duration("zipkin.default_lookback")?.max(Duration::from_millis(1)),
            query_limit: w.number::<usize>("zipkin.query_limit")?.max(1),
            query_timeout: w.duration("zipkin.query_timeout")?,
        },
        zipkin_cors_origins: w.list("zipkin.cors_origins"),
        watch_enabled: w.boolean("watch.enabled")?,
        configured: Configured { rules: w.tables("watch.rules")?, silences: w.tables("watch.silences")? },
        receivers: resolve_receivers(w)?,
        mailer: resolve_mailer(w)?,
        base_url: match w.text("notify.base_url") {
            "" => format!("{}://127.0.0.1:{}", if tls.is_some() { "https" } else { "http" }, w.text("ports.http")),
            given => given.to_owned(),
        },
        tenancy_enabled: w.boolean("tenancy.enabled")?,
        tokens: w.list("access.tokens"),
        allowed_hosts: w.list("access.allowed_hosts"),
        tls,
        log_json: w.text("log.format") == "json",
        log_level: w.text("log.level").to_owned(),
        strange_variables: Vec::new(),
        written,
    })
}

fn resolve_journal(w: &Written, data_dir: &Path) -> Result<journal::Config, ConfigError> {
    let PerReceiver { otlp, zipkin } = resolve_durability(w);
    Ok(journal::Config {
        budget_bytes: w.bytes("journal.budget")?,
        segment_bytes: w.bytes("journal.segment")?,
        confirmed_retention: w.duration("journal.confirmed_retention")?,
        // The most that any record waits for: seals must not be weaker than the frames they cover.
        durability: otlp.max(zipkin),
        rule: wire::RULE,
        clock: crate::clock::now_ns,
        ..journal::Config::new(w.path("journal.dir").unwrap_or_else(|| data_dir.join("journal")))
    })
}

fn resolve_durability(w: &Written) -> PerReceiver {
    let level = |name| match w.text(name) {
        "process" => Some(journal::Durability::Process),
        "fsync" => Some(journal::Durability::Fsync),
        _ => None,
    };
    let usual = level("journal.durability").unwrap_or_default();
    PerReceiver {
        otlp: level("ingest.otlp_durability").unwrap_or(usual),
        zipkin: level("ingest.zipkin_durability").unwrap_or(usual),
    }
}

fn resolve_receivers(w: &Written) -> Result<Vec<Receiver>, ConfigError> {
    let mut receivers = Vec::new();
    let forms = [
        ("notify.webhooks", Message::Webhook),
        ("notify.slack", Message::Slack),
        ("notify.alertmanager", Message::Alertmanager),
    ];
    for (name, form) in forms {
        for url in w.list(name) {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(w.bad(name, "give URLs that begin with http:// or https://"));
            }
            receivers.push(Receiver { form, address: url });
        }
    }
    for address in w.list("notify.email") {
        if !is_address(&address) {
            return Err(w.bad("notify.email", format!("lists addresses such as ops@example.com, not `{address}`")));
        }
        receivers.push(Receiver { form: Message::Email, address });
    }
    Ok(receivers)
}

fn resolve_mailer(w: &Written) -> Result<Option<Mailer>, ConfigError> {
    match w.text("notify.smtp") {
        "" if w.list("notify.email").is_empty() => Ok(None),
        "" => Err(w.bad("notify.smtp", "must be set when notify.email is")),
        url => Mailer::new(url, w.text("notify.from").trim()).map(Some).map_err(|(key, reason)| w.bad(key, reason)),
    }
}

fn resolve_ingest(w: &Written) -> Result<Ingest, ConfigError> {
    let short = |name| -> Result<u32, ConfigError> {
        u32::try_from(w.bytes(name)?).map_err(|_| w.bad(name, "must be less than 4GiB"))
    };
    let limits = model::Limits {
        attributes_max: w.number("ingest.attributes_max")?,
        attribute_value_bytes_max: short("ingest.attribute_value_max")?,
        body_bytes_max: short("ingest.body_text_max")?,
        events_max: w.number("ingest.events_max")?,
        links_max: w.number("ingest.links_max")?,
        ..model::Limits::default()
    };
    Ok(Ingest {
        body_bytes_max: short("ingest.body_max")? as usize,
        memory_bytes_max: w.bytes("ingest.memory_max")? as usize,
        block_memory_bytes_max: w.bytes("ingest.block_memory_max")? as usize,
        block_rows_max: w.number::<u32>("ingest.block_rows_max")?.max(1),
        block_bytes_max: w.bytes("ingest.block_bytes_max")? as usize,
        linger: w.duration("ingest.linger")?,
        linger_cold: w.duration("ingest.linger_cold")?,
        durability: resolve_durability(w),
        resend_window: w.duration("ingest.resend_window")?,
        new_days_per_hour_max: w.number("ingest.new_days_per_hour_max")?,
        limits,
        cors_origins: w.list("ingest.cors_origins"),
    })
}

// Kubernetes tells every pod about a service called hypocenter by such variables too.
fn looks_like_key(name: &str) -> bool {
    let rest = name.strip_prefix("HYPOCENTER_").unwrap_or("");
    let of_kubernetes = rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_");
    let of_our_tests = rest == "DATA" || rest.starts_with("FAULT");
    !rest.is_empty() && !of_kubernetes && !of_our_tests
}

fn flatten(prefix: &str, tree: Value, out: &mut Vec<(String, Value)>) {
    match tree {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                flatten(&path, value, out);
            }
        }
        Value::Array(items) if prefix.is_empty() && !items.is_empty() => out.push(("-".to_owned(), Value::Null)),
        Value::Null if prefix.is_empty() => {}
        other => out.push((prefix.to_owned(), other)),
    }
}

// A list as its items between commas; one of tables as JSON.
fn written(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().any(Value::is_object) => value.to_string(),
        Value::Array(items) => items.iter().map(written).collect::<Vec<_>>().join(","),
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn interpolated(value: Value) -> Result<Value, String> {
    match value {
        Value::String(text) => interpolate(&text).map(Value::String),
        Value::Array(items) => items.into_iter().map(interpolated).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| Ok((name, interpolated(value)?))).collect(),
        other => Ok(other),
    }
}

// Only inside parsed scalars, so that a variable can never change the file's structure.
fn interpolate(value: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = value;
    while let Some(start) = rest.find("${env:") {
        let after = &rest[start + 6..];
        let Some(end) = after.find('}') else {
            return Err("has `${env:` without `}`".to_owned());
        };
        out.push_str(&rest[..start]);
        let name = &after[..end];
        if name.is_empty() {
            return Err("has `${env:}` without a name".to_owned());
        }
        out.push_str(
            &std::env::var(name).map_err(|_| format!("names the environment variable {name}, which is not set"))?,
        );
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

// The line where the key's last part stands below its parents; good enough to point a reader there.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let mut parts = key.split('.').peekable();
    for (number, line) in text.lines().enumerate() {
        let wanted = parts.peek()?;
        let name =
            line.trim_start().trim_start_matches("- ").split(':').next().unwrap_or("").trim().trim_matches(['"', '\'']);
        if name == *wanted {
            parts.next();
            if parts.peek().is_none() {
                return Some(number + 1);
            }
        }
    }
    None
}

fn nearest(name: &str) -> String {
    if name == "-" {
        return "; the file is a list, and keys with values are wanted".to_owned();
    }
    if KEYS.iter().any(|key| key.name.starts_with(&format!("{name}."))) {
        return "; it holds further keys and no value of its own".to_owned();
    }
    let leaf = |text: &str| text.rsplit('.').next().unwrap_or(text).to_owned();
    let best = KEYS
        .iter()
        .map(|key| (distance(name, key.name).min(distance(&leaf(name), &leaf(key.name)) + 1), key.name))
        .min();
    match best {
        Some((distance, known)) if distance <= 4 => format!("; did you mean `{known}`?"),
        _ => "; `hypocenter print-config` lists the known keys".to_owned(),
    }
}

// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let cost = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = cost.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

/// A size: a number with B, KiB/KB/K, MiB/MB/M, GiB/GB/G or TiB (binary units); plain is bytes.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1u64,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    Some((number * unit as f64) as u64)
}

/// A duration: numbers with ms, s, m, h or d, added up (`1h30m`); a bare 0 is zero.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..letters] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(total).ok()
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn default_data_dir() -> PathBuf {
    match std::env::var_os("XDG_DATA_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir).join("hypocenter"),
        None => PathBuf::from("hypocenter-data"),
    }
}

fn cache_dir() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_CACHE_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(|| PathBuf::from(".cache"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hypocenter.yaml");
        std::fs::write(&path, text).unwrap();
        load(&Sources { file: Some(path), set: Vec::new() })
    }

    // Scenario: nothing is written anywhere.
    // Guarantee: the defaults are valid and are the fixed ports and limits.
    #[test]
    fn zero_configuration() {
        let config = load(&Sources::default()).unwrap();
        assert_eq!(
            (config.ports.http, config.ports.otlp_grpc, config.ports.otlp_http, config.ports.zipkin),
            (7700, 4317, 4318, 9411)
        );
        assert_eq!(config.ingest.body_bytes_max, 64 << 20);
        assert_eq!(config.retention.traces, Duration::from_secs(30 * 86_400));
        assert!(config.print().contains("otlp_grpc: \"4317\" # default"));
    }

    // Scenario: a file with nested keys, lists and sizes, overridden from the command line.
    // Guarantee: later sources win, and each value keeps its source.
    #[test]
    fn sources_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, "ports:\n  http: 0\ningest:\n  body_max: 2MiB\naccess:\n  tokens: [a:b, c:d:read]\n")
            .unwrap();
        let set = vec![("ports.http".to_owned(), "7777".to_owned())];
        let config = load(&Sources { file: Some(path), set }).unwrap();
        assert_eq!(config.ports.http, 7777);
        assert_eq!(config.ingest.body_bytes_max, 2 << 20);
        assert_eq!(config.tokens, ["a:b", "c:d:read"]);
        assert!(config.print().contains("line 4"), "{}", config.print());
    }

    // Scenario: a durability level for all receivers, for one, and `memory`.
    // Guarantee: each receiver has its level, seals wait for the strongest, and `memory` is refused with the reason.
    #[test]
    fn durability_per_receiver() {
        use journal::Durability::{Fsync, Process};
        use model::Protocol::{OtlpLogsJson, ZipkinV1Thrift};
        let levels = |text: &str| {
            let config = file(text).unwrap();
            let of = config.ingest.durability;
            (of.of(OtlpLogsJson), of.of(ZipkinV1Thrift), config.journal.durability)
        };
        assert_eq!(levels(""), (Fsync, Fsync, Fsync));
        assert_eq!(levels("journal:\n  durability: process"), (Process, Process, Process));
        assert_eq!(levels("ingest:\n  zipkin_durability: process"), (Fsync, Process, Fsync));
        for key in ["journal:\n  durability: memory", "ingest:\n  otlp_durability: memory"] {
            let told = file(key).unwrap_err().to_string();
            assert!(told.contains("upstream") && told.contains("durability"), "{told}");
        }
    }

    // Scenario: typing errors and values that do not fit.
    // Guarantee: the error names key, line and the nearest known name, or says what the value must be.
    #[test]
    fn errors_point_at_the_line() {
        let check = |text: &str, wanted: &[&str]| {
            let error = file(text).unwrap_err().to_string();
            assert!(wanted.iter().all(|part| error.contains(part)), "{error}");
        };
        check("ports:\n  htpp: 1\n", &["`ports.htpp`", "line 2", "did you mean `ports.http`"]);
        check("retention:\n  traces: soon\n", &["`retention.traces`", "line 2", "duration"]);
        check("storage:\n  database: default\n", &["`storage.database`", "other than `default`"]);
        check("ports: [\n", &["not valid YAML"]);
        check("listen: ${env:HYPOCENTER_NO_SUCH_VARIABLE}\n", &["HYPOCENTER_NO_SUCH_VARIABLE", "not set"]);
        check("tls:\n  cert_file: a.pem\n", &["set together"]);
        check("ports: 5\n", &["`ports`", "line 1", "further keys"]);
        check("- a\n", &["is a list"]);
        check("listen: a${env:}\n", &["without a name"]);
    }

    // Scenario: rules and silences in a file, with a variable, replaced by a flag; wrong ones.
    // Guarantee: they are read; one that is wrong is refused with the line where it begins, its number and the reason.
    #[test]
    fn rules_are_read_or_refused_by_line() {
        let text = "watch:\n  rules:\n    - name: slow\n      when: {kind: threshold, signal: p95_ms, service: \"pay*\", above: 500, window_s: 60}\n\n    # said of \"all\"\n    - when:\n        kind: absence\n        service: '${env:PATH}'\n        for_s: 60\n      name: gone\n  silences:\n    - id: tests\n      service: test*\n      until_ns: 2100-01-01T00:00:00Z\n";
        let configured = file(text).unwrap().configured;
        let names: Vec<&str> = configured.rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(
            (names, configured.rules[1].when.service()),
            (vec!["slow", "gone"], std::env::var("PATH").unwrap().as_str())
        );
        assert_eq!(configured.silences[0].until_ns, 4_102_444_800_000_000_000);
        for (from, to, wanted) in [
            ("for_s: 60", "for_s: 5", ["line 7", "item 2", "rule `gone`", "`for_s` is 5"]),
            ("signal: p95_ms, ", "", ["line 3", "item 1", "missing field", "`signal`"]),
            ("name: gone", "name: slow", ["line 7", "item 2", "`slow`", "before it"]),
            ("id: tests", "id: \"\"", ["`watch.silences`", "line 13", "item 1", "`id`"]),
            ("2100-01-01T00:00:00Z", "tomorrow", ["`watch.silences`", "line 13", "`tomorrow`", "RFC 3339"]),
        ] {
            let error = file(&text.replace(from, to)).unwrap_err().to_string();
            assert!(wanted.iter().all(|part| error.contains(part)), "{error}");
        }
        for (value, part) in [("slow", "list of tables"), ("[{\"name\":\"a\"}]", "(command line) item 1")] {
            let set = vec![("watch.rules".to_owned(), value.to_owned())];
            let error = load(&Sources { file: None, set }).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let shown = file(text).unwrap().print();
        let shown: BTreeMap<String, Value> = serde_saphyr::from_str(&shown).unwrap();
        let set = vec![("watch.rules".to_owned(), shown["watch"]["rules"].as_str().unwrap().to_owned())];
        assert_eq!(load(&Sources { file: None, set }).unwrap().configured.rules, configured.rules);
    }

    // Scenario: mails, with and without what they need.
    // Guarantee: every address is a receiver; what is missing or wrong is refused by its key; a password is shown nowhere.
    #[test]
    fn mails_need_a_server() {
        let config =
            file("notify:\n  email: [a@example.com, b@example.com]\n  smtp: smtp://u:secret@h.example\n").unwrap();
        let addresses: Vec<&str> = config.receivers.iter().map(|receiver| receiver.address.as_str()).collect();
        assert!(addresses == ["a@example.com", "b@example.com"] && config.mailer.is_some());
        assert!(config.print().contains("smtp: \"********\"") && !config.print().contains("secret"));
        for (text, wanted) in [
            ("email: [a@example.com]", ["`notify.smtp`", "must be set when notify.email is"]),
            ("email: [Ops <a@example.com>]\n  smtp: smtp://h.example", ["`notify.email`", "Ops"]),
            ("smtp: u:secret@h.example", ["`notify.smtp`", "line 2"]),
            ("smtp: smtp://h.example\n  from: nobody", ["`notify.from`", "line 3"]),
        ] {
            let error = file(&format!("notify:\n  {text}\n")).unwrap_err().to_string();
            assert!(wanted.iter().all(|part| error.contains(part)) && !error.contains("secret"), "{text}: {error}");
        }
    }

    // Scenario: sizes and durations as people write them.
    // Guarantee: binary units, summed durations, nonsense refused.
    #[test]
    fn units() {
        assert_eq!(parse_bytes("1.5MiB"), Some(3 << 19));
        assert_eq!(parse_bytes("12 parsecs"), None);
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("5"), None);
    }

    // Scenario: the reference page in docs.
    // Guarantee: it is what the key table says; UPDATE_DOCS=1 rewrites it.
    #[test]
    fn reference_page_is_fresh() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, crate::keys::reference()).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            crate::keys::reference(),
            "run the tests with UPDATE_DOCS=1"
        );
    }
}
