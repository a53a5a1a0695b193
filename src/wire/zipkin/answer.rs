//! The answers of Zipkin's read API and of its health, information and metrics pages, as bytes.

use model::value::push_json_string;

use super::encode::push_span;
use super::span::ZipkinSpan;

/// Appends a list of texts.
pub fn push_names<'a>(out: &mut Vec<u8>, names: impl IntoIterator<Item = &'a str>) {
    push_list(out, names, push_json_string);
}

/// Appends a trace: a list of spans.
pub fn push_trace<'a>(out: &mut Vec<u8>, spans: impl IntoIterator<Item = ZipkinSpan<'a>>) {
    push_list(out, spans, |out, span| push_span(out, &span));
}

/// Appends a list of things, each by `push`.
pub fn push_list<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut push: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(out, item);
    }
    out.push(b']');
}

/// Calls between two services.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// Who calls.
    pub parent: &'a str,
    /// Who is called.
    pub child: &'a str,
    /// How often.
    pub calls: u64,
    /// How many of the calls failed.
    pub errors: u64,
}

/// Appends dependency links. Without errors there is no count of them.
pub fn push_links<'a>(out: &mut Vec<u8>, links: impl IntoIterator<Item = Link<'a>>) {
    push_list(out, links, |out, link| {
        out.extend_from_slice(b"{\"parent\":");
        push_json_string(out, link.parent);
        out.extend_from_slice(b",\"child\":");
        push_json_string(out, link.child);
        out.extend_from_slice(format!(",\"callCount\":{}", link.calls).as_bytes());
        if link.errors > 0 {
            out.extend_from_slice(format!(",\"errorCount\":{}", link.errors).as_bytes());
        }
        out.push(b'}');
    });
}

/// What Zipkin's UI wants to know.
#[derive(Clone, Copy, Debug)]
pub struct UiConfig {
    /// Traces in a list.
    pub query_limit: usize,
    /// Window of a search, milliseconds.
    pub default_lookback_ms: u64,
    /// Whether there is a search.
    pub search_enabled: bool,
}

/// `config.json`.
pub fn ui_config(config: UiConfig) -> String {
    let UiConfig { query_limit, default_lookback_ms, search_enabled } = config;
    format!(
        concat!(
            r#"{{"environment":"","queryLimit":{},"defaultLookback":{},"searchEnabled":{},"#,
            r#""logsUrl":null,"supportUrl":null,"archivePostUrl":null,"archiveUrl":null,"#,
            r#""dependency":{{"enabled":true,"lowErrorRate":0.5,"highErrorRate":0.75}}}}"#
        ),
        query_limit, default_lookback_ms, search_enabled
    )
}

/// `/health`: the storage by name, and what is wrong with it, if anything.
pub fn health(storage: &str, trouble: Option<&str>) -> Vec<u8> {
    let status = if trouble.is_none() { "UP" } else { "DOWN" };
    let mut out = format!(r#"{{"status":"{status}","zipkin":{{"status":"{status}","details":{{"#).into_bytes();
    push_json_string(&mut out, storage);
    out.extend_from_slice(format!(r#":{{"status":"{status}""#).as_bytes());
    if let Some(trouble) = trouble {
        out.extend_from_slice(br#","details":{"error":"#);
        push_json_string(&mut out, trouble);
        out.push(b'}');
    }
    out.extend_from_slice(b"}}}}");
    out
}

/// `/info`.
pub fn info(version: &str) -> Vec<u8> {
    let mut out = b"{\"zipkin\":{\"version\":".to_vec();
    push_json_string(&mut out, version);
    out.extend_from_slice(b",\"commit\":\"unknown\"}}");
    out
}

/// What came in by one transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Requests.
    pub messages: u64,
    /// Requests that were refused or could not be read.
    pub messages_dropped: u64,
    /// Bytes of their bodies, unpacked.
    pub bytes: u64,
    /// Spans accepted.
    pub spans: u64,
    /// Spans refused within accepted requests.
    pub spans_dropped: u64,
}

impl Collected {
    fn counters(&self) -> [(&'static str, u64); 5] {
        [
            ("messages", self.messages),
            ("messages_dropped", self.messages_dropped),
            ("bytes", self.bytes),
            ("spans", self.spans),
            ("spans_dropped", self.spans_dropped),
        ]
    }
}

/// `/metrics`: counters by transport, as JSON.
pub fn metrics(transports: &[(&str, Collected)]) -> String {
    let counters = transports.iter().flat_map(|(transport, collected)| {
        collected.counters().map(|(name, count)| format!(r#""counter.zipkin_collector.{name}.{transport}":{count}"#))
    });
    format!("{{{}}}", counters.collect::<Vec<_>>().join(","))
}

/// `/prometheus`: the same counters in Prometheus' text format.
pub fn prometheus(transports: &[(&str, Collected)]) -> String {
    let mut out = String::new();
    for at in 0..Collected::default().counters().len() {
        for (place, (transport, collected)) in transports.iter().enumerate() {
            let (name, count) = collected.counters()[at];
            if place == 0 {
                out.push_str(&format!("# TYPE zipkin_collector_{name}_total counter\n"));
            }
            out.push_str(&format!("zipkin_collector_{name}_total{{transport=\"{transport}\"}} {count}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: each small answer, with texts that need escaping.
    // Guarantee: it is JSON of Zipkin's shape.
    #[test]
    fn small_answers() {
        let mut out = Vec::new();
        push_names(&mut out, ["a\"b", "ü"]);
        assert_eq!(String::from_utf8(out).unwrap(), r#"["a\"b","ü"]"#);
        let mut out = Vec::new();
        push_links(
            &mut out,
            [
                Link { parent: "a", child: "b", calls: 2, errors: 0 },
                Link { parent: "b", child: "c\\", calls: 3, errors: 1 },
            ],
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"[{"parent":"a","child":"b","callCount":2},{"parent":"b","child":"c\\","callCount":3,"errorCount":1}]"#
        );
        assert_eq!(
            String::from_utf8(health("ClickHouse", None)).unwrap(),
            r#"{"status":"UP","zipkin":{"status":"UP","details":{"ClickHouse":{"status":"UP"}}}}"#
        );
        let read = |bytes: &[u8]| -> serde_json::Value { serde_json::from_slice(bytes).unwrap() };
        let down = read(&health("ClickHouse", Some("no \"way\"")));
        assert_eq!(down["zipkin"]["details"]["ClickHouse"]["details"]["error"], "no \"way\"");
        assert_eq!(down["status"], "DOWN");
        assert_eq!(read(&info("1.2"))["zipkin"]["version"], "1.2");
        let config = UiConfig { query_limit: 10, default_lookback_ms: 900_000, search_enabled: true };
        let config = read(ui_config(config).as_bytes());
        assert_eq!((&config["queryLimit"], &config["defaultLookback"]), (&10.into(), &900_000.into()));
        assert_eq!(config["dependency"]["lowErrorRate"], 0.5);
        let collected = Collected { messages: 1, bytes: 2, spans: 3, ..Collected::default() };
        let counted = read(metrics(&[("http", collected), ("grpc", Collected::default())]).as_bytes());
        assert_eq!(counted["counter.zipkin_collector.spans.http"], 3);
        assert_eq!(counted["counter.zipkin_collector.messages_dropped.grpc"], 0);
        let text = prometheus(&[("http", collected), ("grpc", Collected::default())]);
        assert!(text.contains("zipkin_collector_bytes_total{transport=\"http\"} 2\n"), "{text}");
        assert_eq!(text.matches("# TYPE").count(), 5);
    }
}
