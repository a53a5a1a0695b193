//! Names and meanings of what the doors count. Every request ends in exactly one count of
//! `receive_requests`, also one whose client went away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Account, Outcome, Signal};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The counters of all doors; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    in_flight: Family<DoorLabels, Gauge>,
    body_bytes: Family<DoorLabels, Counter>,
    plain_bytes: Family<DoorLabels, Counter>,
    answer_seconds: Family<DoorLabels, Histogram>,
    accepted: Family<SignalLabels, Counter>,
    refused: Family<ReasonLabels, Counter>,
    altered: Family<ReasonLabels, Counter>,
    repeated: Family<SignalLabels, Counter>,
    zipkin: Arc<[ZipkinTally; 2]>,
}

/// What a Zipkin door has seen so far, as Zipkin's own metrics count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests.
    pub messages: u64,
    /// Requests of which nothing was kept.
    pub messages_dropped: u64,
    /// Bytes of their bodies, unpacked.
    pub bytes: u64,
    /// Spans accepted.
    pub spans: u64,
    /// Spans refused within accepted requests.
    pub spans_dropped: u64,
}

#[derive(Debug, Default)]
struct ZipkinTally {
    messages: AtomicU64,
    messages_dropped: AtomicU64,
    bytes: AtomicU64,
    spans: AtomicU64,
    spans_dropped: AtomicU64,
}

/// A door, as label value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum DoorName {
    OtlpGrpc,
    OtlpHttp,
    Zipkin,
    ZipkinGrpc,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    door: &'static str,
    signal: &'static str,
    code: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct DoorLabels {
    door: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct SignalLabels {
    signal: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ReasonLabels {
    signal: &'static str,
    reason: &'static str,
}

impl DoorName {
    fn name(self) -> &'static str {
        match self {
            DoorName::OtlpGrpc => "otlp_grpc",
            DoorName::OtlpHttp => "otlp_http",
            DoorName::Zipkin => "zipkin",
            DoorName::ZipkinGrpc => "zipkin_grpc",
        }
    }

    fn labels(self) -> DoorLabels {
        DoorLabels { door: self.name() }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        // From a bare fsync to a client's usual deadline.
        let buckets = || Histogram::new([0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0]);
        Metrics {
            requests: Family::default(),
            in_flight: Family::default(),
            body_bytes: Family::default(),
            plain_bytes: Family::default(),
            answer_seconds: Family::new_with_constructor(buckets as fn() -> Histogram),
            accepted: Family::default(),
            refused: Family::default(),
            altered: Family::default(),
            repeated: Family::default(),
            zipkin: Arc::default(),
        }
    }
}

impl Metrics {
    /// Declares the metrics on a registry.
    pub fn new(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let m = metrics.clone();
        registry.register("receive_requests", "Requests by door, signal and outcome", m.requests);
        registry.register("receive_requests_in_flight", "Requests that are not answered yet", m.in_flight);
        registry.register("receive_body_bytes", "Bytes of request bodies as received", m.body_bytes);
        registry.register("receive_plain_bytes", "Bytes of request bodies after decompression", m.plain_bytes);
        registry.register_with_unit(
            "receive_answer",
            "Time from the head of an accepted request to its answer",
            Unit::Seconds,
            m.answer_seconds,
        );
        registry.register("receive_items_accepted", "Spans, log records and points accepted", m.accepted);
        registry.register("receive_items_refused", "Items refused within accepted requests", m.refused);
        registry.register("receive_items_altered", "Items accepted, but not as sent", m.altered);
        registry.register("receive_requests_repeated", "Requests that had been accepted before", m.repeated);
        metrics
    }

    /// Requests that ended with this outcome so far, over all signals (for tests and health).
    #[cfg(test)]
    pub(crate) fn requests_with(&self, door: DoorName, code: &'static str) -> u64 {
        [Signal::Traces, Signal::Logs, Signal::Metrics]
            .map(|signal| RequestLabels { door: door.name(), signal: signal.name(), code })
            .iter()
            .map(|labels| self.requests.get_or_create(labels).get())
            .sum()
    }

    /// Requests of a door that are not answered yet.
    #[cfg(test)]
    pub(crate) fn requests_in_flight(&self, door: DoorName) -> i64 {
        self.in_flight.get_or_create(&door.labels()).get()
    }

    /// What came in on the Zipkin port, over HTTP and over gRPC.
    pub fn zipkin_tally(&self) -> [Tally; 2] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [&self.zipkin[0], &self.zipkin[1]].map(|tally| Tally {
            messages: read(&tally.messages),
            messages_dropped: read(&tally.messages_dropped),
            bytes: read(&tally.bytes),
            spans: read(&tally.spans),
            spans_dropped: read(&tally.spans_dropped),
        })
    }

    fn zipkin(&self, door: DoorName) -> Option<&ZipkinTally> {
        match door {
            DoorName::Zipkin => Some(&self.zipkin[0]),
            DoorName::ZipkinGrpc => Some(&self.zipkin[1]),
            DoorName::OtlpGrpc | DoorName::OtlpHttp => None,
        }
    }

    pub(crate) fn opened(&self, door: DoorName) {
        if let Some(tally) = self.zipkin(door) {
            tally.messages.fetch_add(1, Ordering::Relaxed);
        }
        self.in_flight.get_or_create(&door.labels()).inc();
    }

    pub(crate) fn closed(&self, door: DoorName, signal: Signal, code: &'static str) {
        if let Some(tally) = self.zipkin(door).filter(|_| code != "ok") {
            tally.messages_dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.requests.get_or_create(&RequestLabels { door: door.name(), signal: signal.name(), code }).inc();
        self.in_flight.get_or_create(&door.labels()).dec();
    }

    pub(crate) fn bytes(&self, door: DoorName, body: usize, plain: usize) {
        self.body_bytes.get_or_create(&door.labels()).inc_by(body as u64);
        self.plain_bytes.get_or_create(&door.labels()).inc_by(plain as u64);
        if let Some(tally) = self.zipkin(door) {
            tally.bytes.fetch_add(plain as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn answered(&self, door: DoorName, seconds: f64) {
        self.answer_seconds.get_or_create(&door.labels()).observe(seconds);
    }

    pub(crate) fn items(&self, door: DoorName, items: [u32; 3], account: &Account) {
        if let Some(tally) = self.zipkin(door) {
            let refused = account.refusals.iter().filter(|refusal| refusal.reason.outcome() == Outcome::Refused);
            tally.spans.fetch_add(u64::from(items[0]), Ordering::Relaxed);
            tally.spans_dropped.fetch_add(refused.map(|refusal| refusal.items).sum(), Ordering::Relaxed);
        }
        for (signal, items) in [Signal::Traces, Signal::Logs, Signal::Metrics].into_iter().zip(items) {
            if items > 0 {
                self.accepted.get_or_create(&SignalLabels { signal: signal.name() }).inc_by(u64::from(items));
            }
        }
        for refusal in &account.refusals {
            let labels = ReasonLabels { signal: refusal.signal.name(), reason: refusal.reason.code() };
            let family = match refusal.reason.outcome() {
                Outcome::Refused => &self.refused,
                _ => &self.altered,
            };
            family.get_or_create(&labels).inc_by(refusal.items);
        }
    }

    pub(crate) fn repeat(&self, signal: Signal) {
        self.repeated.get_or_create(&SignalLabels { signal: signal.name() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Reason;

    // Scenario: one request with accepted, refused and altered items is counted and scraped.
    // Guarantee: each lands under its own name, with units and labels spelt as documented.
    #[test]
    fn names_are_stable() {
        let mut registry = Registry::with_prefix("hypocenter");
        let metrics = Metrics::new(&mut registry);
        metrics.opened(DoorName::OtlpGrpc);
        let mut account = Account::default();
        account.count(Signal::Traces, Reason::InvalidTraceId, String::new);
        account.count(Signal::Traces, Reason::ValueTruncated, String::new);
        metrics.items(DoorName::OtlpGrpc, [3, 0, 0], &account);
        metrics.bytes(DoorName::OtlpGrpc, 10, 100);
        metrics.answered(DoorName::OtlpGrpc, 0.003);
        metrics.repeat(Signal::Traces);
        metrics.closed(DoorName::OtlpGrpc, Signal::Traces, "ok");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
        for line in [
            "hypocenter_receive_requests_total{door=\"otlp_grpc\",signal=\"traces\",code=\"ok\"} 1",
            "hypocenter_receive_requests_in_flight{door=\"otlp_grpc\"} 0",
            "hypocenter_receive_body_bytes_total{door=\"otlp_grpc\"} 10",
            "hypocenter_receive_plain_bytes_total{door=\"otlp_grpc\"} 100",
            "hypocenter_receive_answer_seconds_count{door=\"otlp_grpc\"} 1",
            "hypocenter_receive_items_accepted_total{signal=\"traces\"} 3",
            "hypocenter_receive_items_refused_total{signal=\"traces\",reason=\"invalid_trace_id\"} 1",
            "hypocenter_receive_items_altered_total{signal=\"traces\",reason=\"value_truncated\"} 1",
            "hypocenter_receive_requests_repeated_total{signal=\"traces\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
