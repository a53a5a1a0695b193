//! A small shop for tests: web calls api, api calls cart and pay, pay asks its database, api sends mails. Requests
//! are alike but for a jitter; a fault is a word, and acts on the requests that it is told to.

use correlate::evidence::{EvidenceLog, EvidenceSpan, Exception, Minute, PeerType, sample};
use correlate::graph::{Kind, Name, Names, SpanRef};
use model::evidence::{Evidence, Sample};

use crate::{Question, Report, Weights, locate};

pub(crate) const MINUTE_NS: i64 = 60_000_000_000;
const MS: i64 = 1_000_000;

/// What is wrong in a window, and how it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    /// Words of [`Shop::request`]; empty for a good window.
    pub(crate) faults: &'static [&'static str],
    /// One request in so many is hit.
    pub(crate) every: u64,
    pub(crate) requests: u64,
    pub(crate) kinds: bool,
    pub(crate) logs: bool,
    pub(crate) weight: f64,
}

pub(crate) const GOOD: Fate = Fate { faults: &[], every: 1, requests: 60, kinds: true, logs: true, weight: 1.0 };

/// Spans and logs of a window.
#[derive(Default)]
pub(crate) struct Shop {
    names: Names,
    pub(crate) spans: Vec<EvidenceSpan>,
    pub(crate) logs: Vec<EvidenceLog>,
}

/// A window's evidence and traces.
pub(crate) struct Window {
    pub(crate) rows: Evidence,
    pub(crate) traces: Sample,
}

struct At {
    trace: u64,
    id: u64,
    parent: u64,
    start_ms: f64,
    ms: f64,
}

impl Shop {
    /// The window of a fate; `first` numbers its requests apart from other windows'.
    pub(crate) fn open(fate: Fate, first: u64) -> Shop {
        let mut shop = Shop::default();
        for number in 0..fate.requests {
            let hit = number % fate.every == 0;
            let faults = if hit { fate.faults } else { &[] };
            shop.request(first + number, faults);
        }
        if !fate.kinds {
            for span in &mut shop.spans {
                (span.kind, span.error, span.http_status) = (Kind::Unspecified, false, 0);
                span.exceptions.clear();
            }
        }
        if !fate.logs {
            shop.logs.clear();
        }
        shop.spans.iter_mut().for_each(|span| span.weight = fate.weight);
        shop
    }

    pub(crate) fn window(&self) -> Window {
        let mut minute = Minute::default();
        minute.add(&self.names, &self.spans, &self.logs, &[]);
        Window { rows: minute.finish(&self.names), traces: sample(&self.names, &self.spans, &self.logs, &[]) }
    }

    fn request(&mut self, number: u64, faults: &[&str]) {
        let is = |fault: &str| faults.contains(&fault);
        let jitter = 0.9 + 0.01 * ((number * 7_919) % 21) as f64;
        let trace = number + 1;
        let pod = number % 3;
        let bad_pod = is("bad version") && pod == 1;
        let pay_fails = is("exception") || bad_pod;
        let way = if is("slow edge") { 800.0 } else { 1.0 };
        let query = if is("slow query") { 900.0 } else { 3.0 * jitter };
        let pay_ms = 8.0 * jitter + query;
        let tries = if is("retry storm") { 4 } else { 1 };
        let cart_ms = 5.0 * jitter;
        let mut at = 3.0;
        let api_ms = 20.0 + cart_ms + (pay_ms + way + 2.0) * tries as f64;
        let span = |id, parent, start_ms, ms| At { trace, id, parent, start_ms, ms };
        let fails = pay_fails || is("retry storm") || is("gone");
        self.span(span(1, 0, 0.0, api_ms + 6.0), "web", "GET /", Kind::Server, fails);
        self.span(span(2, 1, 1.0, api_ms + 2.0), "web", "POST", Kind::Client, fails);
        if is("broken propagation") {
            // The callee's spans stand in a trace of their own.
            self.spans.last_mut().unwrap().peer = self.names.intern("api.svc");
        }
        let api = if is("broken propagation") { trace + 1_000_000 } else { trace };
        let parent = if is("broken propagation") { 0 } else { 2 };
        self.span(
            At { trace: api, id: 3, parent, start_ms: 2.0, ms: api_ms },
            "api",
            "POST /order",
            Kind::Server,
            fails,
        );
        self.log(api, 3, "api", 9, "Api#10", at);
        at += 2.0;
        let span = |id, parent, start_ms, ms| At { trace: api, id, parent, start_ms, ms };
        self.span(span(4, 3, at, cart_ms + 1.0), "api", "Cart/Get", Kind::Client, false);
        let ahead = if is("clock") { 5_000.0 } else { 0.0 };
        self.span(span(5, 4, at + 0.5 + ahead, cart_ms), "cart", "Cart/Get", Kind::Server, false);
        let (key, host) = (self.names.intern("host.name"), self.names.intern("node-2"));
        self.spans.last_mut().unwrap().attributes = vec![(key, host)];
        at += cart_ms + 2.0;
        self.log(api, 3, "api", 9, "Api#20", at);
        for attempt in 0..tries {
            at += 1.0;
            let id = 10 + attempt * 10;
            self.span(span(id, 3, at, pay_ms + way), "api", "Pay/Charge", Kind::Client, fails);
            self.spans.last_mut().unwrap().peer = self.names.intern("pay.svc");
            if !is("gone") {
                self.pay(api, id, at + way / 2.0, (pay_ms, query), pod, faults);
            }
            at += pay_ms + way;
        }
        if !fails {
            self.log(api, 3, "api", 9, "Api#30", at + 1.0);
        }
        self.span(span(90, 3, at + 2.0, 1.0), "api", "mails publish", Kind::Producer, false);
        let waits = if is("full queue") { 20_000.0 } else { 30.0 * jitter };
        let mail = At { trace: trace + 2_000_000, id: 91, parent: 0, start_ms: at + 3.0 + waits, ms: 10.0 * jitter };
        self.span(mail, "mail", "mails process", Kind::Consumer, false);
        self.spans.last_mut().unwrap().links = vec![SpanRef { trace_low: api, span_id: 90 }];
    }

    fn pay(&mut self, trace: u64, client: u64, at: f64, (ms, query): (f64, f64), pod: u64, faults: &[&str]) {
        let fails = faults.contains(&"exception") || (faults.contains(&"bad version") && pod == 1);
        let is = |fault: &str| faults.contains(&fault);
        let id = client + 1;
        let refuses = is("retry storm");
        self.span(
            At { trace, id, parent: client, start_ms: at, ms },
            "pay",
            "Pay/Charge",
            Kind::Server,
            fails || refuses,
        );
        let (version, instance) = (if pod == 1 { "2.0" } else { "1.0" }, format!("pay-{pod}"));
        let (version, instance) = (self.names.intern(version), self.names.intern(&instance));
        let kind = self.names.intern("java.lang.IllegalStateException");
        let message = self.names.intern("no such card");
        let span = self.spans.last_mut().unwrap();
        (span.version, span.instance) = (version, instance);
        span.grpc_status = if refuses { 14 } else { 0 };
        if fails {
            span.exceptions = vec![Exception { time_ns: ms_ns(at + 2.0), kind, message }];
        }
        self.log(trace, id, "pay", 9, "Pay#5", at + 1.0);
        if refuses {
            return;
        }
        self.span(
            At { trace, id: client + 2, parent: id, start_ms: at + 1.5, ms: query },
            "pay",
            "SELECT cards",
            Kind::Client,
            false,
        );
        let database = self.names.intern("mysql/cards");
        let span = self.spans.last_mut().unwrap();
        (span.peer, span.peer_type) = (database, PeerType::Database);
        if fails {
            self.log(trace, id, "pay", 17, "Pay#7", at + 2.0 + query);
        } else if !is("swallowed") {
            self.log(trace, id, "pay", 9, "Pay#9", at + 2.0 + query);
        }
    }

    fn span(&mut self, at: At, service: &str, operation: &str, kind: Kind, error: bool) {
        self.spans.push(EvidenceSpan {
            at: SpanRef { trace_low: at.trace, span_id: at.id },
            parent_id: at.parent,
            service: self.names.intern(service),
            operation: self.names.intern(operation),
            kind,
            error,
            start_ns: ms_ns(at.start_ms),
            duration_ns: (at.ms * MS as f64) as u64,
            weight: 1.0,
            ..EvidenceSpan::default()
        });
    }

    fn log(&mut self, trace: u64, span: u64, service: &str, severity: u8, location: &str, at_ms: f64) {
        let location: Name = self.names.intern(location);
        self.logs.push(EvidenceLog {
            at: SpanRef { trace_low: trace, span_id: span },
            service: self.names.intern(service),
            time_ns: ms_ns(at_ms),
            severity,
            pattern: 1_000 + u64::from(severity) + 100 * self.names.text(location).bytes().map(u64::from).sum::<u64>(),
            template: location,
            location,
        });
    }
}

fn ms_ns(ms: f64) -> i64 {
    1_000 * MINUTE_NS + (ms * MS as f64) as i64
}

/// The report about a fate, against a good window of the same kind.
pub(crate) fn report(fate: Fate) -> Report {
    let good = Fate { faults: &[], ..fate };
    let (baseline, fault) = (Shop::open(good, 10_000).window(), Shop::open(fate, 20_000).window());
    asked(&baseline, &fault, &[])
}

pub(crate) fn asked(baseline: &Window, fault: &Window, healthy: &[Evidence]) -> Report {
    locate(&Question {
        fault: &fault.rows,
        baseline: &baseline.rows,
        fault_ns: MINUTE_NS,
        baseline_ns: MINUTE_NS,
        healthy,
        samples: Some((&baseline.traces, &fault.traces)),
        service: None,
        limit: 10,
        weights: Weights::default(),
    })
}
