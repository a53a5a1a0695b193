//! What makes no sense although every value has the right form: found when the configuration is read,
//! so that `validate` says it, and not some later part that would start and then take nothing.

use std::collections::HashMap;

use crate::config::{Config, access_config};

/// Least sizes with which Hypocenter can work, bytes.
const LEAST: [(&str, u64); 4] = [
    ("ingest.body_max", 1 << 10),
    ("ingest.memory_max", 4 << 20),
    ("journal.budget", 1 << 20),
    ("storage.embedded.memory_max", 256 << 20),
];

/// The first key that makes no sense, and why.
pub(crate) fn first_fault(config: &Config) -> Option<(&'static str, String)> {
    too_small(config).or_else(|| same_ports(config)).or_else(|| origins(config)).or_else(|| log_level(config))
}

fn too_small(config: &Config) -> Option<(&'static str, String)> {
    let given = [
        Some(config.ingest.body_bytes_max as u64),
        Some(config.ingest.memory_bytes_max as u64),
        Some(config.journal.budget_bytes),
        config.storage.embedded.memory_bytes_max,
    ];
    let fault = LEAST.into_iter().zip(given).find(|((_, least), given)| given.is_some_and(|given| given < *least));
    fault
        .map(|((key, least), _)| (key, format!("is at least {}KiB: with less, nothing could be taken in", least >> 10)))
}

fn same_ports(config: &Config) -> Option<(&'static str, String)> {
    let reader = if config.storage.url.is_none() { config.storage.embedded.http_port } else { 0 };
    let ports = [
        ("ports.http", config.ports.http),
        ("ports.otlp_grpc", config.ports.otlp_grpc),
        ("ports.otlp_http", config.ports.otlp_http),
        ("ports.zipkin", config.ports.zipkin),
        ("storage.embedded.http_port", reader),
    ];
    let mut taken = HashMap::new();
    ports.into_iter().filter(|(_, port)| *port != 0).find_map(|(key, port)| {
        let other = taken.insert(port, key)?;
        Some((key, format!("is {port}, and so is `{other}`")))
    })
}

fn origins(config: &Config) -> Option<(&'static str, String)> {
    let is_origin = |text: &String| text.contains("://") || text.contains('*') || text == "null";
    let lists =
        [("ingest.cors_origins", &config.ingest.cors_origins), ("zipkin.cors_origins", &config.zipkin_cors_origins)];
    lists.into_iter().find_map(|(key, list)| {
        let fault = list.iter().find(|text| !is_origin(text))?;
        Some((key, format!("lists origins such as https://shop.example.com, or *, not `{fault}`")))
    })
}

fn log_level(config: &Config) -> Option<(&'static str, String)> {
    let text = &config.log_level;
    let names_levels = text.split(',').all(|part| !part.trim_end().ends_with('='));
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) if names_levels => None,
        _ => Some(("log.level", format!("must be a level, or target=level separated by commas, not `{text}`"))),
    }
}

/// What only the machine can tell: tokens can be read and the TLS files fit together.
///
/// # Errors
/// In one sentence per level, what is wrong with which file or token.
pub(crate) fn try_files(config: &Config) -> anyhow::Result<()> {
    access::Access::new(access_config(config)?)?;
    if let Some(tls) = &config.tls {
        crate::listen::acceptor(tls)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::{Sources, load};

    // Scenario: values of the right form that cannot work.
    // Guarantee: each is refused with its key and the reason; the least that works is taken.
    #[test]
    fn senseless_values_are_refused() {
        let check = |pairs: &[(&str, &str)], wanted: &[&str]| {
            let set = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            match load(&Sources { file: None, set }) {
                Ok(_) => assert!(wanted.is_empty(), "{pairs:?} was taken"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(!wanted.is_empty() && wanted.iter().all(|part| text.contains(part)), "{pairs:?}: {text}");
                }
            }
        };
        check(&[("ingest.body_max", "0")], &["`ingest.body_max`", "at least 1KiB"]);
        check(&[("ingest.body_max", "1KiB")], &[]);
        check(&[("ingest.memory_max", "0")], &["`ingest.memory_max`", "at least"]);
        check(&[("journal.budget", "1KiB")], &["`journal.budget`", "at least 1024KiB"]);
        check(&[("storage.embedded.memory_max", "1KiB")], &["`storage.embedded.memory_max`"]);
        check(&[("storage.embedded.memory_max", "auto")], &[]);
        check(&[("ports.http", "4317")], &["`ports.otlp_grpc`", "`ports.http`", "4317"]);
        check(&[("ports.http", "0"), ("ports.zipkin", "0")], &[]);
        check(&[("ingest.cors_origins", "https://a.example,garbage")], &["`ingest.cors_origins`", "`garbage`"]);
        check(&[("ingest.cors_origins", "https://*.example,null")], &[]);
        check(&[("zipkin.cors_origins", "garbage")], &["`zipkin.cors_origins`", "`garbage`"]);
        check(&[("log.level", "blah=")], &["`log.level`"]);
        check(&[("log.level", "info,hypocenter=debug")], &[]);
        check(&[("access.tokens", "x")], &["`access.tokens`", "name:secret"]);
    }
}
