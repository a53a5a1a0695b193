//! From stored rows to evidence: the traces that begin in a window, whole.

use std::collections::HashMap;

use correlate::evidence::{EvidenceLog, EvidenceSpan, Exception, Minute, PeerType, Template, sample};
use correlate::graph::{Kind, Name, Names, SpanRef};
use model::evidence::{Evidence, Sample};
use model::time::SECOND_NS;
use store::questions::evidence::{LogRow, SpanRow, Whose, logs, spans};
use store::questions::{Ask, AskError, Window};

use crate::edge::{number, trace_id};

/// A trace may have begun so long before a window that its later spans lie in, and go on so long after it.
const MARGIN_NS: i64 = 60 * SECOND_NS;
/// The same of minutes whose evidence is kept: every minute is read with its margins.
const MINUTE_MARGIN_NS: (i64, i64) = (10 * SECOND_NS, 20 * SECOND_NS);
/// The same of slices, which are many.
const SLICE_MARGIN_NS: (i64, i64) = (2 * SECOND_NS, 18 * SECOND_NS);
/// Where some traces stand for a window: slices of it, at most, and the length of each. Spans lie by ten seconds
/// and trace id.
const SLICES_MAX: i64 = 4;
const SLICE_NS: i64 = 10 * SECOND_NS;
/// Characters of messages.
const MESSAGE_CHARS_MAX: usize = 200;
/// Attributes of these name spaces say what a call is, not to which group of requests it belongs.
const OF_CALLS: [&str; 20] = [
    "http.",
    "url.",
    "net.",
    "network.",
    "server.",
    "client.",
    "db.",
    "rpc.",
    "messaging.",
    "code.",
    "thread.",
    "exception.",
    "telemetry.",
    "process.",
    "user_agent.",
    "peer.",
    "otel.",
    "faas.",
    "error.",
    "sampling.",
];

/// Spans and log records of some traces.
#[derive(Debug, Default)]
pub(super) struct Traces {
    spans: Vec<EvidenceSpan>,
    logs: Vec<EvidenceLog>,
    // Of all that was read: they may be linked to.
    producers: Vec<EvidenceSpan>,
    began: HashMap<u64, i64>,
}

impl Traces {
    /// Reads the traces that begin in a minute, for evidence that is kept.
    pub(super) async fn of_minute(ask: &Ask<'_>, minute: Window, names: &mut Names) -> Result<Traces, AskError> {
        Traces::read_slice(ask, minute, MINUTE_MARGIN_NS, Whose::All, names).await
    }

    /// Reads the traces that begin in a window.
    pub(super) async fn read(ask: &Ask<'_>, window: Window, names: &mut Names) -> Result<Traces, AskError> {
        Traces::read_slice(ask, window, (MARGIN_NS, MARGIN_NS), Whose::All, names).await
    }

    /// Some traces of a window, about `traces`: of slices of it, evenly spread, and of neighbouring ids, so that
    /// little else is read.
    pub(super) async fn some(
        ask: &Ask<'_>,
        window: Window,
        traces: u64,
        names: &mut Names,
    ) -> Result<Traces, AskError> {
        let slices = slices(window);
        let traces = traces.div_ceil(slices.len() as u64);
        let mut all = Traces::default();
        for within in slices {
            let whose = Whose::Some { within, traces };
            all.extend(Traces::read_slice(ask, within, SLICE_MARGIN_NS, whose, names).await?);
        }
        Ok(all)
    }

    /// The same, standing for the `spans` spans that the window has in all.
    pub(super) async fn standing_for(
        ask: &Ask<'_>,
        window: Window,
        spans: u64,
        traces: u64,
        names: &mut Names,
    ) -> Result<Traces, AskError> {
        let mut some = Traces::some(ask, window, traces, names).await?;
        let times = (spans as f64 / some.spans.len().max(1) as f64).max(1.0);
        some.spans.iter_mut().chain(&mut some.producers).for_each(|span| span.weight *= times);
        Ok(some)
    }

    // A trace that goes on for longer than `after_ns` is cut, one that began longer than `before_ns` before the
    // slice is taken for one that begins in it.
    async fn read_slice(
        ask: &Ask<'_>,
        window: Window,
        (before_ns, after_ns): (i64, i64),
        whose: Whose,
        names: &mut Names,
    ) -> Result<Traces, AskError> {
        let wide =
            Window { from_ns: window.from_ns.saturating_sub(before_ns), to_ns: window.to_ns.saturating_add(after_ns) };
        let mut traces = Traces::default();
        spans(ask, wide, whose, |row| {
            let Some(span) = span_of(names, row) else { return };
            let began = traces.began.entry(span.at.trace_low).or_insert(span.start_ns);
            *began = span.start_ns.min(*began);
            if span.kind == Kind::Producer {
                traces.producers.push(span.clone());
            }
            traces.spans.push(span);
        })
        .await?;
        let Traces { began, spans, .. } = &mut traces;
        began.retain(|_, began| window.from_ns <= *began && *began < window.to_ns);
        spans.retain(|span| began.contains_key(&span.at.trace_low));
        let mut templates = HashMap::new();
        logs(ask, wide, whose, |row| {
            traces
                .logs
                .extend(log_of(names, row, &mut templates).filter(|log| traces.began.contains_key(&log.at.trace_low)));
        })
        .await?;
        Ok(traces)
    }

    /// Takes all of others; no trace is in both.
    pub(super) fn extend(&mut self, other: Traces) {
        self.spans.extend(other.spans);
        self.logs.extend(other.logs);
        self.producers.extend(other.producers);
        self.began.extend(other.began);
    }

    /// What they tell, added up.
    pub(super) fn evidence(&self, names: &Names) -> Evidence {
        let mut minute = Minute::default();
        minute.add(names, &self.spans, &self.logs, &self.producers);
        minute.finish(names)
    }

    /// Some of them one by one.
    pub(super) fn sample(&self, names: &Names) -> Sample {
        sample(names, &self.spans, &self.logs, &self.producers)
    }
}

fn slices(window: Window) -> Vec<Window> {
    let length_ns = (window.to_ns - window.from_ns).max(1);
    let count = (length_ns / (2 * SLICE_NS)).clamp(1, SLICES_MAX);
    let slice = |number: i64| {
        let from_ns = window.from_ns + length_ns / count * number + (length_ns / count - SLICE_NS).max(0) / 2;
        Window { from_ns, to_ns: (from_ns + SLICE_NS).min(window.to_ns) }
    };
    (0..count).map(slice).collect()
}

fn span_of(names: &mut Names, row: &SpanRow<'_>) -> Option<EvidenceSpan> {
    let (trace_high, trace_low) = trace_id(row.trace_id)?;
    let (peer, peer_type) = match (row.db_system, row.destination) {
        ("", "") if row.peer.is_empty() => (names.intern(attribute(row, "rpc.service")), PeerType::Service),
        ("", "") => (names.intern(row.peer), PeerType::Service),
        ("", topic) => (names.intern(topic), PeerType::Topic),
        (system, _) if row.db_namespace.is_empty() => (names.intern(system), PeerType::Database),
        (system, _) => (names.intern(&format!("{system}/{}", row.db_namespace)), PeerType::Database),
    };
    let mut attributes = Vec::new();
    for (key, value) in row.resource_attributes.iter().chain(row.span_attributes.iter().filter(is_group)) {
        attributes.push((names.intern(key), names.intern(value)));
    }
    let exceptions = row.exception_times_ns.iter().zip(&row.exception_types).zip(&row.exception_messages);
    let exceptions = exceptions
        .map(|((time_ns, kind), message)| Exception {
            time_ns: *time_ns,
            kind: names.intern(kind),
            message: names.intern(beginning(message)),
        })
        .collect();
    let links = row.link_trace_ids.iter().zip(&row.link_span_ids);
    let links = links
        .filter_map(|(trace, span)| Some(SpanRef { trace_low: trace_id(trace)?.1, span_id: number(span)? }))
        .collect();
    Some(EvidenceSpan {
        at: SpanRef { trace_low, span_id: number(row.span_id)? },
        parent_id: number(row.parent_span_id).unwrap_or(0),
        trace_high,
        service: names.intern(row.service),
        operation: names.intern(row.operation),
        kind: Kind::from_text(row.kind),
        shared: row.shared,
        error: row.error,
        http_status: row.http_status,
        grpc_status: ["rpc.grpc.status_code", "rpc.response.status_code"]
            .iter()
            .find_map(|key| attribute(row, key).parse().ok())
            .unwrap_or(0),
        start_ns: row.start_ns,
        duration_ns: row.duration_ns,
        weight: row.weight,
        version: names.intern(row.version),
        instance: names.intern(row.instance),
        message: names.intern(beginning(row.message)),
        peer,
        peer_type,
        attributes,
        exceptions,
        links,
    })
}

fn attribute<'a>(row: &SpanRow<'a>, key: &str) -> &'a str {
    row.span_attributes.iter().find(|(known, _)| *known == key).map_or("", |(_, value)| value)
}

// Equal bodies have equal templates; many lines are the same words.
type Templates = HashMap<(String, u8), (u64, Name, Name)>;

/// Templates that are remembered.
const TEMPLATES_MAX: usize = 20_000;

fn log_of(names: &mut Names, row: &LogRow<'_>, templates: &mut Templates) -> Option<EvidenceLog> {
    let (_, trace_low) = trace_id(row.trace_id)?;
    let file = row.file.rsplit(['/', '\\']).next().unwrap_or_default();
    let location = match (file, row.line) {
        ("", _) => String::new(),
        (file, "") => file.to_owned(),
        (file, line) => format!("{file}:{line}"),
    };
    let key = (format!("{location}\0{}", row.body), row.severity);
    let (pattern, template, location) = match templates.get(&key) {
        Some(known) => *known,
        None => {
            let made = Template::of(row.body.as_bytes(), row.severity, &location);
            let made = (made.key, names.intern(&made.text), names.intern(&made.location));
            if templates.len() < TEMPLATES_MAX {
                templates.insert(key, made);
            }
            made
        }
    };
    Some(EvidenceLog {
        at: SpanRef { trace_low, span_id: number(row.span_id).unwrap_or(0) },
        service: names.intern(row.service),
        time_ns: row.time_ns,
        severity: row.severity,
        pattern,
        template,
        location,
    })
}

// Whether an attribute may tell groups of requests apart: a tenant, a flag, a region, and not an id.
fn is_group((key, value): &&(&str, &str)) -> bool {
    if key.ends_with("tenant.id") || *key == "tenant_id" {
        return true;
    }
    let is_id = key.ends_with("id") || key.ends_with("Id") || value.bytes().filter(u8::is_ascii_digit).count() >= 5;
    !is_id && !OF_CALLS.iter().any(|space| key.starts_with(space))
}

fn beginning(text: &str) -> &str {
    text.char_indices().nth(MESSAGE_CHARS_MAX).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: windows of a second, a minute and an hour.
    // Guarantee: slices lie in the window, apart, and are as many as it has room for.
    #[test]
    fn slices_are_spread() {
        for (length_s, count) in [(1, 1), (15, 1), (60, 3), (3_600, 4)] {
            let window = Window { from_ns: 1_000, to_ns: 1_000 + length_s * SECOND_NS };
            let slices = slices(window);
            assert_eq!(slices.len(), count);
            assert!(slices.iter().all(|slice| window.from_ns <= slice.from_ns && slice.to_ns <= window.to_ns));
            assert!(slices.windows(2).all(|pair| pair[0].to_ns < pair[1].from_ns));
        }
    }

    // Scenario: attributes of calls, of requests, ids, numbers.
    // Guarantee: only what may stand for a group of requests is compared by outcome.
    #[test]
    fn groups_of_requests() {
        let is = |key, value| is_group(&&(key, value));
        for (key, value) in
            [("feature_flag.variant", "on"), ("app.region", "eu-1"), ("tenant.id", "acme"), ("plan", "free")]
        {
            assert!(is(key, value), "{key}");
        }
        for (key, value) in [("http.route", "/a"), ("order.id", "x"), ("userId", "7"), ("basket", "1234567")] {
            assert!(!is(key, value), "{key}");
        }
        assert_eq!(beginning("short"), "short");
        assert_eq!(beginning(&"ä".repeat(300)).chars().count(), MESSAGE_CHARS_MAX);
    }
}
