//! The table of configuration keys: the manual page, the environment variables' names and the checks
//! against unknown keys all derive from it.

use std::fmt::Write as _;

/// Every key: name, default, form, meaning. The meaning is the manual.
pub(crate) const KEYS: &[Key] = &[
    key(
        "data_dir",
        "",
        Form::Path,
        "Where the journal and the embedded engine keep their data. Empty: `$XDG_DATA_HOME/hypocenter`, else `./hypocenter-data`.",
    ),
    key("listen", "127.0.0.1", Form::Text, "Address that all ports listen on. `0.0.0.0` opens them to the network."),
    key("ports.http", "7700", Form::Number, "UI, own API, metrics, health. 0: any free port, printed at start."),
    key("ports.otlp_grpc", "4317", Form::Number, "OTLP over gRPC."),
    key("ports.otlp_http", "4318", Form::Number, "OTLP over HTTP, protobuf and JSON."),
    key("ports.zipkin", "9411", Form::Number, "Zipkin v1 and v2."),
    key(
        "storage.url",
        "",
        Form::Text,
        "ClickHouse's HTTP address, such as `https://clickhouse:8443`. Empty: the embedded engine.",
    ),
    key("storage.user", "default", Form::Text, "User at `storage.url`."),
    key("storage.password", "", Form::Secret, "Password at `storage.url`."),
    key("storage.database", "hypocenter", Form::Text, "Database; created when missing. Never `default`."),
    key(
        "storage.ca_file",
        "",
        Form::Path,
        "PEM file of the authority that signed ClickHouse's certificate. Empty: the system's authorities.",
    ),
    key(
        "storage.compression",
        "auto",
        Form::Choice(&["auto", "none", "lz4"]),
        "Compression of inserts. `auto`: LZ4 to a remote server, none on loopback.",
    ),
    key("storage.inserts_in_flight", "2", Form::Number, "Inserts that run at the same time."),
    key("storage.insert_timeout", "60s", Form::Duration, "An insert that takes longer is tried again."),
    key(
        "storage.embedded.library",
        "",
        Form::Path,
        "Path of the engine library. Empty: the one that `hypocenter engine install` fetched. `HYPOCENTER_ENGINE_LIB` is the same key.",
    ),
    key(
        "storage.embedded.memory_max",
        "auto",
        Form::Bytes,
        "Memory cap of the embedded engine. `auto`: a quarter of the machine's, at most 2GiB.",
    ),
    key(
        "storage.embedded.http_port",
        "0",
        Form::Number,
        "Port on which other programs may read with ClickHouse's HTTP interface as user `reader`. 0: off.",
    ),
    key(
        "storage.embedded.reader_password",
        "",
        Form::Secret,
        "Password of `reader`. Needed when `storage.embedded.http_port` is set.",
    ),
    key(
        "journal.dir",
        "",
        Form::Path,
        "Where the journal lies. Empty: `journal` in the data directory. A disk of its own lowers latency under load.",
    ),
    key(
        "journal.budget",
        "8GiB",
        Form::Bytes,
        "Disk the journal may use. When it is spent, new data is refused with a retryable answer.",
    ),
    key("journal.segment", "64MiB", Form::Bytes, "A segment file is closed after passing this size."),
    key(
        "journal.durability",
        "fsync",
        Form::Choice(&["fsync", "process"]),
        "When a sender is answered: `fsync` after the data is on disk, `process` after the operating system has it (survives a crash of Hypocenter, not of the machine). `memory` needs an upstream to forward to, which this version does not have.",
    ),
    key(
        "journal.confirmed_retention",
        "10m",
        Form::Duration,
        "Stored segments are kept this long, to verify ClickHouse against them after an unclean stop.",
    ),
    key("ingest.body_max", "64MiB", Form::Bytes, "Largest request body, before and after decompression."),
    key(
        "ingest.memory_max",
        "256MiB",
        Form::Bytes,
        "Memory for requests in flight. When it is spent, requests are refused with a retryable answer; a request that would not fit alone is too large. An eighth of it is left for what connections buffer.",
    ),
    key(
        "ingest.block_memory_max",
        "96MiB",
        Form::Bytes,
        "Memory for blocks on their way to ClickHouse. When it is spent, blocks are rebuilt from the journal later.",
    ),
    key("ingest.block_rows_max", "50000", Form::Number, "Rows of one insert."),
    key("ingest.block_bytes_max", "12MiB", Form::Bytes, "Bytes of one insert."),
    key(
        "ingest.otlp_durability",
        "journal",
        Form::Choice(&["journal", "fsync", "process"]),
        "When senders of OTLP are answered; `journal`: as `journal.durability` says.",
    ),
    key("ingest.zipkin_durability", "journal", Form::Choice(&["journal", "fsync", "process"]), "The same for Zipkin."),
    key("ingest.linger", "400ms", Form::Duration, "Longest wait for an insert to fill."),
    key("ingest.linger_cold", "10s", Form::Duration, "Longest wait in partitions beside the busiest."),
    key(
        "ingest.resend_window",
        "2m",
        Form::Duration,
        "An identical request within this time is answered, counted and not stored again. 0: off.",
    ),
    key(
        "ingest.new_days_per_hour_max",
        "100",
        Form::Number,
        "Day partitions outside the last week that senders may open per hour; rows beyond stand at their receive time, with the original kept.",
    ),
    key("ingest.attributes_max", "1024", Form::Number, "Attributes kept per item."),
    key(
        "ingest.attribute_value_max",
        "256KiB",
        Form::Bytes,
        "Bytes kept of an attribute value. Attribute keys, span names and other short texts are cut at 16 KiB; that limit is fixed and has no key.",
    ),
    key("ingest.body_text_max", "1MiB", Form::Bytes, "Bytes kept of a log body."),
    key("ingest.events_max", "4096", Form::Number, "Events kept per span."),
    key("ingest.links_max", "4096", Form::Number, "Links kept per span."),
    key("ingest.cors_origins", "*", Form::List, "Origins whose browsers may send OTLP. Empty: none."),
    key(
        "retention.traces",
        "30d",
        Form::Duration,
        "How long spans are kept, counted from the later of event time and receipt. 0: for ever.",
    ),
    key("retention.logs", "30d", Form::Duration, "How long log records are kept."),
    key("retention.metrics", "30d", Form::Duration, "How long metric points are kept."),
    key("retention.graph", "30d", Form::Duration, "How long minutes of the service graph are kept."),
    key("query.timeout", "30s", Form::Duration, "Longest run of one query."),
    key("query.memory_max", "1GiB", Form::Bytes, "Memory of one query."),
    key("query.rows_max", "200000000", Form::Number, "Rows that one query may read."),
    key(
        "zipkin.strict_trace_id",
        "true",
        Form::Bool,
        "Whether trace ids that agree only in their low 64 bits are different traces in Zipkin's API. Dependencies always unite them.",
    ),
    key(
        "zipkin.search_enabled",
        "true",
        Form::Bool,
        "Whether Zipkin's API searches. Otherwise its lists of traces and names are empty; traces are found by id.",
    ),
    key("zipkin.autocomplete_keys", "", Form::List, "Tags whose values Zipkin's UI offers, such as `env,site`."),
    key("zipkin.default_lookback", "24h", Form::Duration, "Window of Zipkin searches and dependencies that name none."),
    key("zipkin.query_limit", "10", Form::Number, "Traces in a list of Zipkin's API when no limit is given."),
    key("zipkin.query_timeout", "11s", Form::Duration, "Longest time for one answer of Zipkin's API."),
    key("zipkin.cors_origins", "*", Form::List, "Origins whose pages may use the Zipkin port. Empty: none."),
    key("watch.enabled", "true", Form::Bool, "Whether incidents are watched for."),
    key(
        "watch.rules",
        "",
        Form::Tables,
        "Rules of every tenant, a list; each has the fields of a rule at `/api/v1/rules` (`name`, `enabled`, `when` with `kind` and what that kind needs). A rule of the same name that a tenant keeps there stands in its place. In the environment and in `--set` it is a JSON array.",
    ),
    key(
        "watch.silences",
        "",
        Form::Tables,
        "Silences of every tenant, likewise, with the fields of `/api/v1/silences`; times are nanoseconds or RFC 3339.",
    ),
    key(
        "notify.webhooks",
        "",
        Form::List,
        "URLs that get a JSON object for every message about an incident: `id` (the same for a repeat), `kind` (opened, updated, closed), `title`, `text`, `suspect`, `url`.",
    ),
    key("notify.slack", "", Form::List, "Slack's incoming webhooks, and those of others who understand them."),
    key("notify.alertmanager", "", Form::List, "Addresses of Alertmanager's `/api/v2/alerts`."),
    key("notify.email", "", Form::List, "Addresses that get a mail for every message about an incident, each its own."),
    key(
        "notify.smtp",
        "",
        Form::Secret,
        "Server that takes the mails: `smtp://user:password@mail.example.com:587`, user, password and port where needed (usual ports: 587 with a password, 25 without, 465 for `smtps://`). `smtps://` is encrypted from the start; `smtp://` by STARTTLS: always with a password for another host, else where the server offers it. `?tls=required` sends nothing unencrypted, `?tls=none` never encrypts. Write `/` as `%2F`, `#` as `%23`, `?` as `%3F`, `%` as `%25` in user and password.",
    ),
    key(
        "notify.from",
        "",
        Form::Text,
        "Sender of mails, such as `Hypocenter <hypocenter@example.com>`. Empty: `hypocenter@` and the name of this host.",
    ),
    key(
        "notify.base_url",
        "",
        Form::Text,
        "Address of this server's pages in messages. Empty: `http://127.0.0.1` and `ports.http`.",
    ),
    key(
        "tenancy.enabled",
        "false",
        Form::Bool,
        "Whether `X-Scope-OrgID` separates tenants. Otherwise the header is ignored.",
    ),
    key(
        "access.tokens",
        "",
        Form::List,
        "Bearer tokens as `name:secret` or `name:secret:read`, `:write`, `:read+write`, then optionally `:tenant`. Empty: everyone may read and write.",
    ),
    key(
        "access.allowed_hosts",
        "",
        Form::List,
        "Host names, beside loopback and the listen address, under which the UI may be opened.",
    ),
    key("tls.cert_file", "", Form::Path, "PEM certificate chain. Empty: no TLS."),
    key("tls.key_file", "", Form::Path, "PEM private key."),
    key(
        "tls.client_ca_file",
        "",
        Form::Path,
        "PEM authorities of client certificates; when set, clients must show one.",
    ),
    key("log.format", "text", Form::Choice(&["text", "json"]), "Form of Hypocenter's own log, on standard error."),
    key("log.level", "info", Form::Text, "Level, or a filter such as `info,store=debug`."),
];

/// What a key's value looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Text,
    Secret,
    Path,
    Number,
    Bool,
    Bytes,
    Duration,
    List,
    Tables,
    Choice(&'static [&'static str]),
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) default: &'static str,
    pub(crate) form: Form,
    pub(crate) about: &'static str,
}

const fn key(name: &'static str, default: &'static str, form: Form, about: &'static str) -> Key {
    Key { name, default, form, about }
}

/// The reference page: every key with default, environment variable and meaning.
pub(crate) fn reference() -> String {
    let mut page = String::from(
        "# Configuration\n\nGenerated from the key table in `src/keys.rs`. Sources, later ones win: defaults, the YAML file (`--config`), \
         environment, flags and `--set key=value`. `${env:NAME}` inside a YAML value is replaced by the variable.\n\n\
         | key | default | environment | meaning |\n|---|---|---|---|\n",
    );
    for key in KEYS {
        let default = if key.default.is_empty() { "" } else { &format!("`{}`", key.default) };
        let choices = match key.form {
            Form::Choice(choices) => format!(" One of {}.", choices.join(", ")),
            _ => String::new(),
        };
        let _ = writeln!(
            page,
            "| `{}` | {default} | `{}` | {}{choices} |",
            key.name,
            environment_name(key.name),
            key.about
        );
    }
    page
}

/// The environment variable of a key.
pub(crate) fn environment_name(key: &str) -> String {
    format!("HYPOCENTER_{}", key.replace('.', "_").to_uppercase())
}
