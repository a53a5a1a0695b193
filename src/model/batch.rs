//! A batch: the columns of one request, with what was refused of it and why. It is made once, by
//! `wire`, and only ever read or copied from afterwards.

use std::sync::Arc;

use crate::logs::Logs;
use crate::mark;
use crate::metrics::Metrics;
use crate::rows::{DeadLetters, Ledger};
use crate::shared::{Resources, Scopes};
use crate::spans::Spans;
use crate::table::Context;
use crate::time;

/// The language a request came in. The number is stored in journal frames: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Protocol {
    /// OTLP traces, protobuf.
    OtlpTracesProto = 1,
    /// OTLP logs, protobuf.
    OtlpLogsProto = 2,
    /// OTLP metrics, protobuf.
    OtlpMetricsProto = 3,
    /// OTLP traces, JSON.
    OtlpTracesJson = 4,
    /// OTLP logs, JSON.
    OtlpLogsJson = 5,
    /// OTLP metrics, JSON.
    OtlpMetricsJson = 6,
    /// Zipkin v2 spans, JSON.
    ZipkinV2Json = 7,
    /// Zipkin v2 spans, protobuf.
    ZipkinV2Proto = 8,
    /// Zipkin v1 spans, JSON.
    ZipkinV1Json = 9,
    /// Zipkin v1 spans, Thrift.
    ZipkinV1Thrift = 10,
    /// Our own loss ledger entries.
    Ledger = 11,
    /// Our own dead letters.
    DeadLetters = 12,
}

/// The three signals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Metric points.
    Metrics,
}

/// What surrounds a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Tenant; empty without tenancy.
    pub tenant: Arc<str>,
    /// Receive time, nanoseconds since the epoch.
    pub received_ns: i64,
    /// Address and program of the sender, for the ledger.
    pub sender: Arc<str>,
}

/// Why an item was refused or changed. The code is what users read in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Reason {
    /// The trace id is missing, zero or of the wrong length.
    InvalidTraceId,
    /// The span id is missing, zero or of the wrong length.
    InvalidSpanId,
    /// The item breaks a rule of its format.
    InvalidItem,
    /// A value or body was longer than the limit and was cut.
    ValueTruncated,
    /// Attributes above the limit were left out.
    AttributesDropped,
    /// Events above the limit were left out.
    EventsDropped,
    /// Links above the limit were left out.
    LinksDropped,
    /// The event time was nonsense; the row stands at its receive time.
    TimeQuarantined,
    /// Too many day partitions were opened; the row stands at its receive time.
    PartitionsQuarantined,
    /// The log's own ids were malformed; it is kept, unlinked.
    LogUnlinked,
    /// The ids of a span's link or a point's exemplar were malformed; it is kept without them.
    LinkUnlinked,
    /// The id of a span's parent was malformed; the span is kept as a root.
    ParentUnlinked,
    /// A span kind, status code or severity has a number that nobody knows; it is kept aside.
    UnknownNumber,
    /// The request could not be decoded.
    Undecodable,
    /// The request was larger than the limit.
    TooLarge,
    /// Memory or journal budget was spent.
    Overloaded,
    /// The sender may not write.
    NotAllowed,
    /// The same request came again within the resend window.
    Resent,
    /// ClickHouse refused the row for good.
    DeadLetter,
}

/// What became of the item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Outcome {
    /// It is not stored.
    Refused,
    /// It is stored, but not as sent.
    Altered,
    /// It is stored elsewhere.
    SetAside,
    /// It had been stored before.
    Repeated,
}

/// Items refused or altered for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Signal of the items.
    pub signal: Signal,
    /// Why.
    pub reason: Reason,
    /// How many.
    pub items: u64,
    /// The first case in words.
    pub example: String,
}

/// The account of a decoded request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// One entry per reason.
    pub refusals: Vec<Refusal>,
}

/// Columns of one request.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What surrounds the request.
    pub envelope: Envelope,
    /// Resources, pointed to by rows.
    pub resources: Resources,
    /// Scopes, pointed to by rows.
    pub scopes: Scopes,
    /// Spans.
    pub spans: Spans,
    /// Log records.
    pub logs: Logs,
    /// Metric points.
    pub metrics: Metrics,
    /// Loss ledger rows.
    pub ledger: Ledger,
    /// Dead letters.
    pub dead_letters: DeadLetters,
}

/// What decoding gives: the good part and the account of the rest.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// What is stored.
    pub batch: Batch,
    /// What is not, or not as sent.
    pub account: Account,
}

impl Protocol {
    const ALL: [Protocol; 12] = [
        Protocol::OtlpTracesProto,
        Protocol::OtlpLogsProto,
        Protocol::OtlpMetricsProto,
        Protocol::OtlpTracesJson,
        Protocol::OtlpLogsJson,
        Protocol::OtlpMetricsJson,
        Protocol::ZipkinV2Json,
        Protocol::ZipkinV2Proto,
        Protocol::ZipkinV1Json,
        Protocol::ZipkinV1Thrift,
        Protocol::Ledger,
        Protocol::DeadLetters,
    ];

    /// The protocol with this number.
    pub fn from_number(number: u8) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|protocol| *protocol as u8 == number)
    }

    /// The signal it carries; our own books count as logs.
    pub fn signal(self) -> Signal {
        match self {
            Protocol::OtlpLogsProto | Protocol::OtlpLogsJson | Protocol::Ledger | Protocol::DeadLetters => Signal::Logs,
            Protocol::OtlpMetricsProto | Protocol::OtlpMetricsJson => Signal::Metrics,
            _ => Signal::Traces,
        }
    }

    /// Whether users' data comes in it (not our own books).
    pub fn is_outside(self) -> bool {
        !matches!(self, Protocol::Ledger | Protocol::DeadLetters)
    }
}

impl Signal {
    /// `traces`, `logs` or `metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }
}

impl Reason {
    /// The code that users read.
    pub fn code(self) -> &'static str {
        match self {
            Reason::InvalidTraceId => "invalid_trace_id",
            Reason::InvalidSpanId => "invalid_span_id",
            Reason::InvalidItem => "invalid_item",
            Reason::ValueTruncated => "value_truncated",
            Reason::AttributesDropped => "attributes_dropped",
            Reason::EventsDropped => "events_dropped",
            Reason::LinksDropped => "links_dropped",
            Reason::TimeQuarantined => "time_quarantined",
            Reason::PartitionsQuarantined => "partitions_quarantined",
            Reason::LogUnlinked => "log_unlinked",
            Reason::LinkUnlinked => "link_unlinked",
            Reason::ParentUnlinked => "parent_unlinked",
            Reason::UnknownNumber => "unknown_number",
            Reason::Undecodable => "undecodable",
            Reason::TooLarge => "too_large",
            Reason::Overloaded => "overloaded",
            Reason::NotAllowed => "not_allowed",
            Reason::Resent => "resent",
            Reason::DeadLetter => "dead_letter",
        }
    }

    /// What becomes of items for this reason.
    pub fn outcome(self) -> Outcome {
        match self {
            Reason::ValueTruncated
            | Reason::AttributesDropped
            | Reason::EventsDropped
            | Reason::LinksDropped
            | Reason::TimeQuarantined
            | Reason::PartitionsQuarantined
            | Reason::LogUnlinked
            | Reason::LinkUnlinked
            | Reason::ParentUnlinked
            | Reason::UnknownNumber => Outcome::Altered,
            Reason::Resent => Outcome::Repeated,
            Reason::DeadLetter => Outcome::SetAside,
            _ => Outcome::Refused,
        }
    }
}

impl Outcome {
    /// The word that users read.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Refused => "refused",
            Outcome::Altered => "altered",
            Outcome::SetAside => "set_aside",
            Outcome::Repeated => "repeated",
        }
    }
}

impl Account {
    /// Counts one item; the first example of each reason is kept.
    pub fn count(&mut self, signal: Signal, reason: Reason, example: impl FnOnce() -> String) {
        self.count_many(signal, reason, 1, example);
    }

    /// Counts `items` items.
    pub fn count_many(&mut self, signal: Signal, reason: Reason, items: u64, example: impl FnOnce() -> String) {
        match self.refusals.iter_mut().find(|refusal| refusal.signal == signal && refusal.reason == reason) {
            Some(refusal) => refusal.items += items,
            None => self.refusals.push(Refusal { signal, reason, items, example: example() }),
        }
    }

    /// Items of `signal` that are not stored.
    pub fn refused_of(&self, signal: Signal) -> u64 {
        let refused = self.refusals.iter().filter(|r| r.signal == signal && r.reason.outcome() == Outcome::Refused);
        refused.map(|refusal| refusal.items).sum()
    }

    /// Items that are not stored.
    pub fn refused(&self) -> u64 {
        self.refusals.iter().filter(|refusal| refusal.reason.outcome() == Outcome::Refused).map(|r| r.items).sum()
    }
}

impl Batch {
    /// An empty batch.
    pub fn new(envelope: Envelope) -> Batch {
        Batch {
            envelope,
            resources: Resources::default(),
            scopes: Scopes::default(),
            spans: Spans::default(),
            logs: Logs::default(),
            metrics: Metrics::default(),
            ledger: Ledger::default(),
            dead_letters: DeadLetters::default(),
        }
    }

    /// What column expressions need beside their rows.
    pub fn context(&self) -> Context<'_> {
        Context { envelope: &self.envelope, resources: &self.resources, scopes: &self.scopes }
    }

    /// Stored items by signal: spans, log records, points.
    pub fn items(&self) -> [u32; 3] {
        [self.spans.len() as u32, self.logs.len() as u32, self.metrics.len() as u32]
    }

    /// Bytes held, spare room of the columns included: what the memory budget is charged.
    pub fn heap_bytes(&self) -> usize {
        self.resources.heap_bytes()
            + self.scopes.heap_bytes()
            + self.spans.heap_bytes()
            + self.logs.heap_bytes()
            + self.metrics.heap_bytes()
            + self.ledger.heap_bytes()
            + self.dead_letters.heap_bytes()
    }

    /// The days (UTC) that the rows lie in, ascending, each once.
    pub fn days(&self) -> Vec<i32> {
        let times = self.spans.start.iter().chain(&self.logs.time);
        let points = self.metrics.points();
        let times = times.chain(points.iter().flat_map(|points| points.time.iter()));
        let mut days: Vec<i32> = Vec::new();
        for day in times.map(|time_ns| time::day(*time_ns)) {
            if days.last() != Some(&day) {
                days.push(day);
            }
        }
        days.sort_unstable();
        days.dedup();
        days
    }

    /// Moves rows of `days` to the receive time, keeping the original: the partition quota's answer
    /// to senders that open too many days. Returns how many rows moved.
    pub fn quarantine_days(&mut self, days: &[i32]) -> u64 {
        let received_ns = self.envelope.received_ns;
        let set_aside = |times: &mut [i64], originals: &mut [u64], marks: &mut [u32], moved: &mut Vec<usize>| {
            for row in 0..times.len() {
                if days.contains(&time::day(times[row]))
                    && marks[row] & mark::QUARANTINED == 0
                    && times[row] != received_ns
                {
                    originals[row] = if marks[row] & mark::NO_TIME == 0 { times[row] as u64 } else { 0 };
                    times[row] = received_ns;
                    marks[row] |= mark::QUARANTINED;
                    moved.push(row);
                }
            }
        };
        let mut rows = Vec::new();
        let spans = &mut self.spans;
        set_aside(&mut spans.start, &mut spans.original_start, &mut spans.marks, &mut rows);
        for row in &rows {
            // Where the end was sent as something else than start + duration, it is kept already.
            if spans.marks[*row] & (mark::END_BEFORE_START | mark::NO_TIME) == 0 {
                spans.original_end[*row] = spans.original_start[*row].wrapping_add(spans.duration[*row]);
            }
        }
        set_aside(&mut self.logs.time, &mut self.logs.original_time, &mut self.logs.marks, &mut rows);
        for points in self.metrics.points_mut() {
            set_aside(&mut points.time, &mut points.original_time, &mut points.marks, &mut rows);
        }
        rows.len() as u64
    }
}
