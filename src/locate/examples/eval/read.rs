//! OTLP JSON lines, plain or gzipped, as evidence reads them. For this program only: the product has decoders.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use correlate::evidence::{EvidenceLog, EvidenceSpan, Template};
use correlate::graph::{Kind, Name, Names, SpanRef};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// Spans and logs of some files.
#[derive(Default)]
pub(crate) struct Telemetry {
    pub(crate) names: Names,
    pub(crate) spans: Vec<EvidenceSpan>,
    pub(crate) logs: Vec<EvidenceLog>,
}

impl Telemetry {
    /// Of `<prefix>.traces.jsonl.gz` and, where it is there, `<prefix>.logs.jsonl.gz`.
    pub(crate) fn read(prefix: &Path, with_logs: bool) -> Telemetry {
        let mut telemetry = Telemetry::default();
        let file = |kind: &str| {
            let path = format!("{}.{kind}.jsonl.gz", prefix.display());
            let file = File::open(&path).ok()?;
            Some(BufReader::new(MultiGzDecoder::new(file)).lines())
        };
        for line in file("traces").unwrap_or_else(|| panic!("{} has no traces", prefix.display())) {
            telemetry.spans(&serde_json::from_str(&line.expect("a line")).expect("JSON"));
        }
        for line in file("logs").filter(|_| with_logs).into_iter().flatten() {
            telemetry.logs(&serde_json::from_str(&line.expect("a line")).expect("JSON"));
        }
        telemetry
    }

    fn spans(&mut self, value: &Value) {
        for resource in list(&value["resourceSpans"]) {
            let service = self.named(&resource["resource"]["attributes"], "service.name");
            let instance = self.named(&resource["resource"]["attributes"], "k8s.pod.name");
            let version = self.named(&resource["resource"]["attributes"], "service.version");
            for span in list(&resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"])) {
                let (trace_high, trace_low) = trace_id(&span["traceId"]);
                let start_ns = number(&span["startTimeUnixNano"]);
                self.spans.push(EvidenceSpan {
                    at: SpanRef { trace_low, span_id: id(&span["spanId"]) },
                    parent_id: id(&span["parentSpanId"]),
                    trace_high,
                    service,
                    operation: self.names.intern(span["name"].as_str().unwrap_or_default()),
                    kind: Kind::from_number(number(&span["kind"]) as u8),
                    error: number(&span["status"]["code"]) == 2,
                    start_ns,
                    duration_ns: number(&span["endTimeUnixNano"]).saturating_sub(start_ns).max(0) as u64,
                    weight: 1.0,
                    version,
                    instance,
                    ..EvidenceSpan::default()
                });
            }
        }
    }

    fn logs(&mut self, value: &Value) {
        for resource in list(&value["resourceLogs"]) {
            let service = self.named(&resource["resource"]["attributes"], "service.name");
            for log in list(&resource["scopeLogs"]).iter().flat_map(|scope| list(&scope["logRecords"])) {
                let (_, trace_low) = trace_id(&log["traceId"]);
                let severity = number(&log["severityNumber"]) as u8;
                let body = log["body"]["stringValue"].as_str().unwrap_or_default();
                let template = Template::of(body.as_bytes(), severity, "");
                self.logs.push(EvidenceLog {
                    at: SpanRef { trace_low, span_id: id(&log["spanId"]) },
                    service,
                    time_ns: number(&log["timeUnixNano"]),
                    severity,
                    pattern: template.key,
                    template: self.names.intern(&template.text),
                    location: self.names.intern(&template.location),
                });
            }
        }
    }

    fn named(&mut self, attributes: &Value, key: &str) -> Name {
        let found = list(attributes).iter().find(|attribute| attribute["key"] == key);
        self.names.intern(found.and_then(|attribute| attribute["value"]["stringValue"].as_str()).unwrap_or_default())
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], |list| list)
}

fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

fn id(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap_or_default(), 16).unwrap_or_default()
}

fn trace_id(value: &Value) -> (u64, u64) {
    let whole = u128::from_str_radix(value.as_str().unwrap_or_default(), 16).unwrap_or_default();
    ((whole >> 64) as u64, whole as u64)
}
