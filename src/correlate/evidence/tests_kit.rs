//! Spans and logs as text, for tests.

use model::evidence::{Count, Evidence};

use super::{EvidenceLog, EvidenceSpan, Exception, Minute, PeerType};
use crate::graph::{Kind, Names, SpanRef};

/// Reads spans and logs, one a line:
/// `KIND id<parent service operation at=ms ms=… key=value`, `LOG id service PATTERN at=ms severity=…`.
/// Trace 1 unless `trace=`; times in milliseconds.
pub(super) fn read(names: &mut Names, text: &str) -> (Vec<EvidenceSpan>, Vec<EvidenceLog>) {
    let (mut spans, mut logs) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "LOG" { logs.push(log(names, &words)) } else { spans.push(span(names, &words)) }
    }
    (spans, logs)
}

fn number(text: &str) -> i64 {
    if text.is_empty() { 0 } else { text.parse().unwrap() }
}

fn log(names: &mut Names, words: &[&str]) -> EvidenceLog {
    let mut log = EvidenceLog {
        at: SpanRef { trace_low: 1, span_id: number(words[1]) as u64 },
        service: names.intern(words[2]),
        pattern: 1_000 + words[3].bytes().map(u64::from).sum::<u64>(),
        template: names.intern(words[3]),
        severity: 9,
        ..EvidenceLog::default()
    };
    for word in &words[4..] {
        match word.split_once('=').unwrap() {
            ("trace", value) => log.at.trace_low = number(value) as u64,
            ("at", value) => log.time_ns = number(value) * 1_000_000,
            ("severity", value) => log.severity = number(value) as u8,
            (other, _) => panic!("{other} is no key"),
        }
    }
    log
}

fn span(names: &mut Names, words: &[&str]) -> EvidenceSpan {
    let kind = match words[0] {
        "SERVER" => Kind::Server,
        "CLIENT" => Kind::Client,
        "PRODUCER" => Kind::Producer,
        "CONSUMER" => Kind::Consumer,
        "INTERNAL" => Kind::Internal,
        "-" => Kind::Unspecified,
        other => panic!("{other} is no kind"),
    };
    let (id, parent) = words[1].split_once('<').unwrap();
    let mut span = EvidenceSpan {
        at: SpanRef { trace_low: 1, span_id: number(id) as u64 },
        parent_id: number(parent) as u64,
        service: names.intern(words[2]),
        operation: names.intern(words[3]),
        kind,
        duration_ns: 1_000_000,
        weight: 1.0,
        ..EvidenceSpan::default()
    };
    for word in &words[4..] {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "trace" => span.at.trace_low = number(value) as u64,
            "at" => span.start_ns = number(value) * 1_000_000,
            "ms" => span.duration_ns = number(value) as u64 * 1_000_000,
            "weight" => span.weight = value.parse().unwrap(),
            "error" => span.error = true,
            "shared" => span.shared = true,
            "http" => span.http_status = number(value) as u16,
            "version" => span.version = names.intern(value),
            "peer" => span.peer = names.intern(value),
            "db" => (span.peer, span.peer_type) = (names.intern(value), PeerType::Database),
            "throws" => {
                let kind = names.intern(value);
                span.exceptions.push(Exception { time_ns: span.start_ns, kind, ..Exception::default() });
            }
            "link" => {
                let (trace, id) = value.split_once('/').unwrap();
                span.links.push(SpanRef { trace_low: number(trace) as u64, span_id: number(id) as u64 });
            }
            "host" => {
                let pair = (names.intern("host.name"), names.intern(value));
                span.attributes.push(pair);
            }
            other => panic!("{other} is no key"),
        }
    }
    span
}

/// The evidence of all in one chunk.
pub(super) fn evidence(text: &str) -> Evidence {
    let mut names = Names::default();
    let (spans, logs) = read(&mut names, text);
    let mut minute = Minute::default();
    minute.add(&names, &spans, &logs, &[]);
    minute.finish(&names)
}

/// Rows as text: those lists whose first letters are asked for.
pub(super) fn draw(evidence: &Evidence, what: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let also = |name: &str, count: Count| {
        if count.is_empty() { String::new() } else { format!(" {name} {}", count.weight()) }
    };
    let ms = |dist: &model::evidence::Dist| match dist.quantile(0.5) {
        Some(ns) => format!(" ~{:.0}ms", ns / 1e6),
        None => String::new(),
    };
    if what.contains('r') {
        lines.extend(evidence.requests.iter().map(|row| {
            format!("request {} {} {}{}", row.service, row.operation, row.requests.weight(), also("failed", row.failed))
        }));
    }
    if what.contains('o') {
        lines.extend(evidence.operations.iter().map(|row| {
            let caller = if row.is_caller { " caller" } else { "" };
            format!("operation {} {}{caller}{}", row.service, row.operation, ms(&row.self_time))
        }));
    }
    if what.contains('e') {
        lines.extend(evidence.edges.iter().map(|row| {
            format!(
                "edge {} -> {} {:?} {}{}{}{}{}{} gap{}",
                row.caller,
                row.callee,
                row.edge,
                row.calls.weight(),
                also("errors", row.errors),
                also("silent", row.silent),
                also("skewed", row.skewed),
                also("parents", row.parents),
                also("retries", row.retries),
                ms(&row.gap)
            )
        }));
    }
    if what.contains('s') {
        lines.extend(evidence.origins.iter().map(|row| {
            format!(
                "error {} {} {}{}{}",
                row.service,
                row.operation,
                if row.what.is_empty() { "-" } else { &row.what },
                also("starts", row.starts),
                also("passes", row.passes)
            )
        }));
    }
    if what.contains('t') {
        let mut steps: Vec<String> = evidence.transitions.iter().map(|row| transition(evidence, row)).collect();
        steps.sort();
        lines.extend(steps);
    }
    if what.contains('a') {
        lines.extend(evidence.attributes.iter().map(|row| {
            format!(
                "value {} {}={} {}{}{}{}",
                row.service,
                row.key,
                row.value,
                row.spans.weight(),
                also("origins", row.origins),
                also("late", row.late),
                also("early", row.early)
            )
        }));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn transition(evidence: &Evidence, row: &model::evidence::TransitionRow) -> String {
    let name = |event: u64| match event {
        model::evidence::START => "start".to_owned(),
        model::evidence::END => "end".to_owned(),
        event => evidence.event(event).map(|row| row.text.clone()).unwrap(),
    };
    format!("step {} {}: {} > {} {}", row.service, row.operation, name(row.from), name(row.to), row.count.weight())
}

/// Compares as text, whatever the indent.
pub(super) fn check(what: &str, spans: &str, expected: &str) {
    let got = draw(&evidence(spans), what);
    let expected: String =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
    assert_eq!(got, expected, "\nspans:\n{spans}\ngot:\n{got}");
}
