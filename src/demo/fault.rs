//! The menu of faults: what each does, where it may be put, and the ground truth that is told of it.

use std::fmt;

use serde_json::{Value, json};

use crate::shop::{self, HOSTS, Queue, Store, Svc, ThirdParty};
use crate::story::{OPERATIONS, Operation, Step};
use crate::units::{parse_length, tell_length};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Latency,
    Exception,
    Swallowed,
    SlowQuery,
    RetryStorm,
    Gone,
    BadVersion,
    FullQueue,
    ClockSkew,
    BrokenPropagation,
}

/// What the size of a fault means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Milliseconds.
    Length,
    /// A share of the calls, up to 1.
    Share,
    /// It has none.
    Nothing,
}

/// Where a fault is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// On the way from a service to what it calls.
    Edge(Svc, Peer),
    /// In a service, or only in one of its operations.
    Code(Svc, Option<&'static Operation>),
    /// In a queue.
    Queue(&'static Queue),
    /// On a machine, by number.
    Host(usize),
}

/// What a service calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Service(Svc),
    Store(&'static Store),
    Outside(&'static ThirdParty),
}

/// A fault as it is asked for: `kind[:target][=size][@start+length]`.
#[derive(Clone, Debug)]
pub struct Order {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) size: f64,
    /// From the start of the run, in milliseconds.
    pub after_ms: f64,
    /// How long; without, until it is switched off.
    pub for_ms: Option<f64>,
}

/// A fault in a run.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its number in this run.
    pub id: u32,
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) size: f64,
    /// When it begins.
    pub from_ns: i64,
    /// When it ends.
    pub ends: Ends,
    /// How often it acted: calls, spans or messages that it touched.
    pub(crate) acted: u64,
    /// Some of the traces that it acted in.
    pub(crate) examples: Vec<u128>,
}

/// When a fault ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// When somebody switches it off.
    Open,
    /// At this time, nanoseconds since the epoch.
    At(i64),
}

/// The ground truth of a fault, as JSON.
pub type Truth = Value;

const EXAMPLES_MAX: usize = 5;

impl Kind {
    /// The menu.
    pub const ALL: [Kind; 10] = [
        Kind::Latency,
        Kind::Exception,
        Kind::Swallowed,
        Kind::SlowQuery,
        Kind::RetryStorm,
        Kind::Gone,
        Kind::BadVersion,
        Kind::FullQueue,
        Kind::ClockSkew,
        Kind::BrokenPropagation,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Latency => "latency",
            Kind::Exception => "exception",
            Kind::Swallowed => "swallowed",
            Kind::SlowQuery => "slow-query",
            Kind::RetryStorm => "retry-storm",
            Kind::Gone => "gone",
            Kind::BadVersion => "bad-version",
            Kind::FullQueue => "full-queue",
            Kind::ClockSkew => "clock-skew",
            Kind::BrokenPropagation => "broken-propagation",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What it does.
    pub fn meaning(self) -> &'static str {
        match self {
            Kind::Latency => "calls on one edge take longer on their way; the callee is as fast as ever",
            Kind::Exception => "an operation throws: an ERROR log, an exception event, failed callers",
            Kind::Swallowed => {
                "an exception is caught and dropped: no error anywhere, one log line is missing, the result is poorer"
            }
            Kind::SlowQuery => "one statement of a service takes longer in the database",
            Kind::RetryStorm => {
                "a caller repeats at once what an overloaded callee refuses, up to five times: its calls multiply"
            }
            Kind::Gone => "a service is away: no spans and logs of it, callers see refused connections",
            Kind::BadVersion => "one pod runs a new version, and only that one fails",
            Kind::FullQueue => "messages wait longer and longer before they are consumed",
            Kind::ClockSkew => "the clock of one host is wrong: all times from it are shifted",
            Kind::BrokenPropagation => "the trace context is lost on one edge: the callee begins new traces",
        }
    }

    /// Where it is when nobody says where.
    pub fn default_target(self) -> &'static str {
        match self {
            Kind::Latency => "checkout->payment",
            Kind::Exception | Kind::Swallowed => "payment/POST /charge",
            Kind::SlowQuery => "inventory->mysql/stock",
            Kind::RetryStorm => "checkout->inventory",
            Kind::Gone => "shipping",
            Kind::BadVersion => "payment",
            Kind::FullQueue => "mails",
            Kind::ClockSkew => "node-2",
            Kind::BrokenPropagation => "frontend->search",
        }
    }

    /// How big it is when nobody says how big, in milliseconds or as a share.
    pub(crate) fn default_size(self) -> f64 {
        match self {
            Kind::Latency => 800.0,
            Kind::SlowQuery => 1200.0,
            Kind::Exception | Kind::BadVersion => 0.6,
            Kind::Swallowed | Kind::BrokenPropagation => 1.0,
            Kind::RetryStorm => 0.7,
            Kind::FullQueue => 20_000.0,
            Kind::ClockSkew => 2_000.0,
            Kind::Gone => 0.0,
        }
    }

    pub(crate) fn unit(self) -> Unit {
        match self {
            Kind::Latency | Kind::SlowQuery | Kind::FullQueue | Kind::ClockSkew => Unit::Length,
            Kind::Exception | Kind::Swallowed | Kind::RetryStorm | Kind::BadVersion | Kind::BrokenPropagation => {
                Unit::Share
            }
            Kind::Gone => Unit::Nothing,
        }
    }

    /// What the size means, for people.
    pub fn size_means(self) -> &'static str {
        match self {
            Kind::Latency | Kind::SlowQuery => "added time",
            Kind::FullQueue => "longest wait; it grows by half a second each second",
            Kind::ClockSkew => "how far the clock is ahead (negative: behind)",
            Kind::Exception | Kind::BadVersion => "share of the calls that fail",
            Kind::RetryStorm => "share of the attempts that are refused",
            Kind::Swallowed | Kind::BrokenPropagation => "share of the calls",
            Kind::Gone => "",
        }
    }

    /// The default size as it is typed.
    pub fn default_size_text(self) -> String {
        size_text(self.unit(), self.default_size())
    }

    /// Everywhere it may be.
    pub fn targets(self) -> Vec<String> {
        let mut targets: Vec<String> = self.all_targets().iter().map(Target::to_string).collect();
        let mut seen = std::collections::HashSet::new();
        targets.retain(|target| seen.insert(target.clone()));
        targets
    }

    fn all_targets(self) -> Vec<Target> {
        let services = || Svc::ALL.into_iter().map(|service| Target::Code(service, None));
        match self {
            Kind::Latency => edges().map(|(from, to)| Target::Edge(from, to)).collect(),
            Kind::SlowQuery => edges()
                .filter(|(_, to)| matches!(to, Peer::Store(_)))
                .map(|(from, to)| Target::Edge(from, to))
                .collect(),
            Kind::RetryStorm | Kind::BrokenPropagation => edges()
                .filter(|(_, to)| matches!(to, Peer::Service(_)))
                .map(|(from, to)| Target::Edge(from, to))
                .collect(),
            Kind::Exception => {
                let operations = OPERATIONS.iter().map(|operation| Target::Code(operation.service, Some(operation)));
                services().chain(operations).collect()
            }
            Kind::Swallowed => OPERATIONS
                .iter()
                .filter(|operation| operation.steps.iter().any(|step| matches!(step, Step::Try(_))))
                .map(|operation| Target::Code(operation.service, Some(operation)))
                .collect(),
            Kind::Gone => services().collect(),
            // The job has no pod that stays.
            Kind::BadVersion => {
                services().filter(|target| !matches!(target, Target::Code(Svc::Reporting, _))).collect()
            }
            Kind::FullQueue => shop::QUEUES.iter().map(|queue| Target::Queue(queue)).collect(),
            Kind::ClockSkew => (0..HOSTS.len()).map(Target::Host).collect(),
        }
    }
}

impl Order {
    /// Reads `kind[:target][=size][@start+length]`.
    ///
    /// # Errors
    /// A sentence that says what is wrong, and what would be right.
    pub fn parse(text: &str) -> Result<Order, String> {
        let (what, when) = match text.rsplit_once('@') {
            Some((what, when)) => (what, Some(when)),
            None => (text, None),
        };
        let (what, size) = match what.rsplit_once('=') {
            Some((what, size)) => (what, Some(size)),
            None => (what, None),
        };
        let (kind, target) = match what.split_once(':') {
            Some((kind, target)) => (kind, Some(target)),
            None => (what, None),
        };
        let mut order = Order::new(kind, target, size)?;
        if let Some(when) = when {
            let (after, length) = match when.split_once('+') {
                Some((after, length)) => (after, Some(length)),
                None => (when, None),
            };
            let read = |text: &str| {
                parse_length(text)
                    .filter(|ms| *ms >= 0.0)
                    .ok_or_else(|| format!("`{text}` in `{when}` is not a length of time such as 90s or 5m"))
            };
            order.after_ms = read(after)?;
            order.for_ms = length.map(read).transpose()?;
        }
        Ok(order)
    }

    /// An order for now, from its parts.
    ///
    /// # Errors
    /// A sentence that says what is wrong, and what would be right.
    pub fn new(kind: &str, target: Option<&str>, size: Option<&str>) -> Result<Order, String> {
        let names = || Kind::ALL.map(Kind::name).join(", ");
        let kind =
            Kind::named(kind.trim()).ok_or_else(|| format!("no fault is called `{kind}`; there are {}", names()))?;
        let wanted = target.map(str::trim).filter(|target| !target.is_empty()).unwrap_or(kind.default_target());
        let wanted = wanted.replace('→', "->").replace(" -> ", "->");
        let target = kind.all_targets().into_iter().find(|target| target.to_string() == wanted).ok_or_else(|| {
            format!("{} cannot be put on `{wanted}`; it can on {}", kind.name(), kind.targets().join(", "))
        })?;
        let size = match size.map(str::trim).filter(|size| !size.is_empty()) {
            None => kind.default_size(),
            Some(size) => read_size(kind, size)?,
        };
        Ok(Order { kind, target, size, after_ms: 0.0, for_ms: None })
    }

    /// The kind's default.
    pub fn of(kind: Kind) -> Order {
        Order::new(kind.name(), None, None).unwrap_or_else(|error| unreachable!("the menu's own default: {error}"))
    }
}

fn read_size(kind: Kind, text: &str) -> Result<f64, String> {
    let refuse = |wanted: &str| format!("the size of {} is {wanted}, not `{text}`", kind.name());
    match kind.unit() {
        Unit::Nothing => Err(format!("{} has no size", kind.name())),
        Unit::Share => {
            let share = match text.strip_suffix('%') {
                Some(percent) => percent.parse().map(|percent: f64| percent / 100.0),
                None => text.parse(),
            };
            share.ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| refuse("a share such as 0.6 or 60%"))
        }
        Unit::Length => {
            let ms = parse_length(text).filter(|ms| *ms >= 0.0 || kind == Kind::ClockSkew);
            ms.filter(|ms| ms.abs() <= 3.6e6).ok_or_else(|| refuse("a length such as 800ms or 2s, at most 1h"))
        }
    }
}

fn size_text(unit: Unit, size: f64) -> String {
    match unit {
        Unit::Length => tell_length(size),
        Unit::Share => size.to_string(),
        Unit::Nothing => String::new(),
    }
}

// Every way from a service to something that answers.
fn edges() -> impl Iterator<Item = (Svc, Peer)> {
    let mut found = Vec::new();
    for operation in OPERATIONS {
        each_step(operation.steps, &mut |step| {
            let peer = match step {
                Step::Call(to, ..) => Peer::Service(to.service),
                Step::Query(store, ..) | Step::Cached(store, ..) => Peer::Store(store),
                Step::Ask(third, ..) => Peer::Outside(third),
                _ => return,
            };
            found.push((operation.service, peer));
        });
    }
    found.into_iter()
}

/// Visits every step, also those within others.
pub(crate) fn each_step(steps: &'static [Step], visit: &mut dyn FnMut(&'static Step)) {
    for step in steps {
        visit(step);
        match step {
            Step::Repeat(_, inner) => each_step(std::slice::from_ref(*inner), visit),
            Step::Cached(_, _, inner) | Step::Try(inner) => each_step(inner, visit),
            _ => {}
        }
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Peer) -> bool {
        match (self, other) {
            (Peer::Service(this), Peer::Service(that)) => this == that,
            (Peer::Store(this), Peer::Store(that)) => this.address == that.address,
            (Peer::Outside(this), Peer::Outside(that)) => this.address == that.address,
            _ => false,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Service(service) => f.write_str(service.name()),
            Peer::Store(store) if store.system == "redis" => f.write_str(store.address.split('.').next().unwrap_or("")),
            Peer::Store(store) => write!(f, "{}/{}", store.system, store.namespace),
            Peer::Outside(third) => f.write_str(third.address),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Edge(from, to) => write!(f, "{}->{to}", from.name()),
            Target::Code(service, None) => f.write_str(service.name()),
            Target::Code(service, Some(operation)) => write!(f, "{}/{}", service.name(), operation.name),
            Target::Queue(queue) => f.write_str(queue.name),
            Target::Host(host) => f.write_str(HOSTS[*host].0),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.target)?;
        match self.kind.unit() {
            Unit::Nothing => Ok(()),
            unit => write!(f, " {}", size_text(unit, self.size)),
        }
    }
}

impl Fault {
    /// The fault that an order asks for; its lengths count from `start_ns`.
    pub(crate) fn new(id: u32, order: &Order, start_ns: i64) -> Fault {
        let ns = |ms: f64| (ms * 1e6) as i64;
        let from_ns = start_ns.saturating_add(ns(order.after_ms));
        let ends = order.for_ms.map_or(Ends::Open, |length| Ends::At(from_ns.saturating_add(ns(length))));
        let Order { kind, target, size, .. } = *order;
        Fault { id, kind, target, size, from_ns, ends, acted: 0, examples: Vec::new() }
    }

    /// Whether it is on at a time.
    pub fn is_on(&self, at_ns: i64) -> bool {
        at_ns >= self.from_ns && !self.is_over(at_ns)
    }

    /// Whether it is past at a time.
    pub fn is_over(&self, at_ns: i64) -> bool {
        matches!(self.ends, Ends::At(end_ns) if at_ns >= end_ns)
    }

    pub(crate) fn act(&mut self, trace_id: u128) {
        self.acted += 1;
        if self.examples.len() < EXAMPLES_MAX && !self.examples.contains(&trace_id) {
            self.examples.push(trace_id);
        }
    }

    // The service to blame; a host and a queue stand for themselves.
    fn guilty(&self) -> Option<Svc> {
        match (self.kind, self.target) {
            // The way to a service belongs to that service, as far as anybody can see from outside.
            (Kind::Latency, Target::Edge(_, Peer::Service(to))) => Some(to),
            (_, Target::Edge(from, _)) => Some(from),
            (_, Target::Code(service, _)) => Some(service),
            (_, Target::Queue(queue)) => Some(queue.consumer.service),
            (_, Target::Host(_)) => None,
        }
    }

    /// What it is, where, when, and what should be seen of it. Absent parts are null.
    pub fn truth(&self) -> Truth {
        let operation = match self.target {
            Target::Code(_, operation) => operation.map(|operation| operation.name.to_owned()),
            Target::Edge(from, Peer::Store(store)) if self.kind == Kind::SlowQuery => {
                slow_statement(from, store).map(|(operation, _)| operation.name.to_owned())
            }
            Target::Queue(queue) => Some(queue.consumer.name.to_owned()),
            _ => None,
        };
        let statement = match self.target {
            Target::Edge(from, Peer::Store(store)) if self.kind == Kind::SlowQuery => {
                slow_statement(from, store).map(|(_, statement)| statement)
            }
            _ => None,
        };
        let edge = match self.target {
            Target::Edge(from, to) => json!({"source": from.name(), "target": to.to_string()}),
            Target::Queue(queue) => json!({"source": queue.name, "target": queue.consumer.service.name()}),
            _ => Value::Null,
        };
        let canary = (self.kind == Kind::BadVersion).then(|| self.guilty()).flatten().map(crate::simulate::canary_of);
        let host = match self.target {
            Target::Host(host) => Some(HOSTS[host].0),
            _ => None,
        };
        let end_ns = match self.ends {
            Ends::At(end_ns) => Some(end_ns.to_string()),
            Ends::Open => None,
        };
        let examples: Vec<String> = self.examples.iter().map(|id| format!("{id:032x}")).collect();
        json!({
            "id": self.id,
            "kind": self.kind.name(),
            "target": self.target.to_string(),
            "size": size_text(self.kind.unit(), self.size),
            "service": self.guilty().map(Svc::name),
            "edge": edge,
            "operation": operation,
            "statement": statement,
            "pod": canary.as_ref().map(|(pod, _)| pod),
            "version": canary.as_ref().map(|(_, version)| version),
            "host": host,
            "from_ns": self.from_ns.to_string(),
            "to_ns": end_ns,
            "acted": self.acted,
            "examples": examples,
            "expect": self.expect(),
        })
    }

    // The evidence that a localizer may find: what kind, where, in words.
    fn expect(&self) -> Vec<Value> {
        let evidence =
            |kind: &str, subject: String, text: &str| json!({"evidence": kind, "subject": subject, "text": text});
        let target = self.target.to_string();
        let name = self.guilty().map_or("", Svc::name).to_owned();
        match self.kind {
            Kind::Latency => vec![evidence(
                "edge_gap",
                target,
                "client spans are longer than their server spans by the added time; server spans are unchanged",
            )],
            Kind::Exception => vec![
                evidence("exception", target, "exception events with stack traces and new ERROR logs with code.*"),
                evidence("error_status", name, "server spans with status ERROR, passed on to the callers"),
            ],
            Kind::Swallowed => vec![
                evidence(
                    "missing_log",
                    target,
                    "the INFO line at the end of the guarded block is not written any more",
                ),
                evidence("no_error", name, "no span fails and no ERROR is logged"),
            ],
            Kind::SlowQuery => vec![evidence(
                "span_duration",
                target,
                "client spans of this statement are longer by the added time; other statements are unchanged",
            )],
            Kind::RetryStorm => vec![
                evidence("call_count", target.clone(), "several client spans of this edge within one caller's span"),
                evidence(
                    "error_status",
                    target,
                    "calls are answered as unavailable; the caller warns before each attempt",
                ),
            ],
            Kind::Gone => vec![
                evidence("silence", name.clone(), "no spans and no logs of this service"),
                evidence(
                    "connection_refused",
                    name,
                    "client spans to it end with refused connections, without a server span",
                ),
            ],
            Kind::BadVersion => vec![
                evidence("version", name.clone(), "all new errors come from one service.version and one k8s.pod.name"),
                evidence("exception", name, "exception events with stack traces and new ERROR logs with code.*"),
            ],
            Kind::FullQueue => vec![evidence(
                "queue_wait",
                target,
                "the time between the producer's and the consumer's span grows; their own durations do not",
            )],
            Kind::ClockSkew => vec![evidence(
                "clock",
                target,
                "spans of this host lie outside of their parents by the same distance; durations are unchanged",
            )],
            Kind::BrokenPropagation => vec![
                evidence("missing_child", target, "client spans of this edge have no server span"),
                evidence("new_root", name, "the callee's spans begin traces of their own"),
            ],
        }
    }
}

/// The statement that the fault "slow query" slows down: the first that the service sends there.
pub(crate) fn slow_statement(service: Svc, store: &Store) -> Option<(&'static Operation, &'static str)> {
    let mut found = None;
    for operation in OPERATIONS.iter().filter(|operation| operation.service == service) {
        each_step(operation.steps, &mut |step| {
            let statement = match step {
                Step::Query(asked, statement, ..) if asked.address == store.address => statement,
                Step::Cached(asked, ..) if asked.address == store.address => "GET",
                _ => return,
            };
            found.get_or_insert((*operation, statement));
        });
    }
    found
}
