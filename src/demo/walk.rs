//! One request on its way through the shop: a walk down the story's steps with a cursor in time. Calls
//! are walked where they happen, so what a fault does below is felt above.

use crate::dialect::{self, Style};
use crate::fault::{Fault, Kind, Peer, Target, Unit, slow_statement};
use crate::logs::{self, Line};
use crate::outcome::Failure;
use crate::random::Random;
use crate::shop::{Dialect, HOSTS, Queue, Service, Store, Svc, ThirdParty};
use crate::stack::stack;
use crate::story::{Level, OnFailure, Operation, Protocol, Step};
use crate::telemetry::{Event, Item, Payload, Remote, Resource, Span, Status};

/// A walk.
pub(crate) struct Walk<'a> {
    pub(crate) random: Random,
    pub(crate) faults: &'a mut [Fault],
    pub(crate) out: &'a mut Vec<Item>,
    pub(crate) facts: Facts,
    /// How slow everything is at this time of the day.
    pub(crate) pace: f64,
}

/// What a visit is about.
pub(crate) struct Facts {
    user: u64,
    product: u64,
    order: u64,
    cents: u64,
    count: u64,
}

/// Who calls.
#[derive(Clone)]
pub(crate) struct Caller {
    trace_id: u128,
    parent_id: u64,
    /// The caller's span, when a Zipkin server joins it.
    shared: bool,
    link: Option<(u128, u64)>,
    address: String,
    queue: Option<&'static Queue>,
    overloads: bool,
}

// An operation being executed.
struct Frame {
    operation: &'static Operation,
    resource: Resource,
    trace_id: u128,
    span_id: u64,
    now_ns: i64,
    events: Vec<Event>,
    // Whether its result is poorer than it should be.
    degraded: bool,
}

struct Served {
    end_ns: i64,
    failure: Option<Failure>,
    degraded: bool,
}

/// Most attempts of a caller in a retry storm.
const ATTEMPTS_MAX: u32 = 6;
/// How often an operation fails for no reason.
const HICCUPS: f64 = 0.0004;
/// How far lines of consecutive steps are apart in the source, and those within blocks.
const LINES: u32 = 20;

impl Caller {
    /// Nobody of the shop: a new trace begins.
    pub(crate) fn visitor(random: &mut Random) -> Caller {
        let address = format!("203.0.113.{}", random.below(254) + 1);
        let trace_id = random.trace_id();
        Caller { trace_id, parent_id: 0, shared: false, link: None, address, queue: None, overloads: false }
    }
}

impl Facts {
    pub(crate) fn new(random: &mut Random) -> Facts {
        Facts {
            user: random.below(5000) as u64,
            product: random.below(800) as u64,
            order: random.bits() >> 32,
            cents: 300 + random.below(20_000) as u64,
            count: 2 + random.below(30) as u64,
        }
    }

    fn fill(&self, template: &str, degraded: bool) -> String {
        if !template.contains('{') {
            return template.to_owned();
        }
        let found = if degraded { 0 } else { self.count };
        template
            .replace("{user}", &format!("u-{}", 10_000 + self.user))
            .replace("{product}", &format!("p-{}", 1000 + self.product))
            .replace("{id}", &(1000 + self.product).to_string())
            .replace("{country}", ["de", "fr", "nl", "at"][(self.user % 4) as usize])
            .replace("{order}", &format!("o-{:08x}", self.order))
            .replace("{amount}", &format!("{}.{:02}", self.cents / 100, self.cents % 100))
            .replace("{found}", &found.to_string())
            .replace("{n}", &self.count.to_string())
    }
}

impl Walk<'_> {
    /// Walks an operation for a caller.
    pub(crate) fn visit(&mut self, operation: &'static Operation, caller: Caller, at_ns: i64) {
        if !self.is_gone(operation.service, at_ns, caller.trace_id) {
            self.serve(operation, caller, at_ns);
        }
    }

    fn serve(&mut self, operation: &'static Operation, caller: Caller, at_ns: i64) -> Served {
        let service = operation.service.about();
        let pod = self.random.below(service.pods.len()) as u8;
        let canary = pod == 0 && self.is_on(Kind::BadVersion, at_ns, |target| is_code(target, operation));
        let resource = Resource { service: operation.service, pod, canary };
        let span_id = if caller.shared { caller.parent_id } else { self.random.id() };
        let trace_id = caller.trace_id;
        let mut frame =
            Frame { operation, resource, trace_id, span_id, now_ns: at_ns, events: Vec::new(), degraded: false };
        let route = operation.name.split_once(' ').map_or(operation.name, |(_, path)| path);
        let path = self.facts.fill(route, false);
        let mut style = dialect::server(service, operation, &caller.address, &path, caller.queue);
        let outcome = self.handle(&mut frame, &caller);
        let failure = outcome.err();
        frame.now_ns += self.length(0.05, 0.3);
        dialect::ending(&mut style.attributes, service.dialect, operation.protocol, failure.as_ref(), true);
        let (end_ns, degraded) = (frame.now_ns, frame.degraded);
        let status = match &failure {
            Some(failure) => Status::Error(failure.message.clone()),
            None if operation.protocol == Protocol::Job => Status::Ok,
            None => Status::Unset,
        };
        let remote = Remote { name: "", ipv4: caller.address.clone(), port: 0 };
        let parent_id = if caller.shared { caller.link.map_or(0, |(_, parent)| parent) } else { caller.parent_id };
        let links = if caller.shared { Vec::new() } else { caller.link.into_iter().collect() };
        let events = std::mem::take(&mut frame.events);
        let ids = Ids { trace_id, span_id, parent_id, shared: caller.shared };
        self.span(&frame, ids, style, (at_ns, end_ns), Ending { status, events, links, remote: Some(remote) });
        Served { end_ns, failure, degraded }
    }

    fn handle(&mut self, frame: &mut Frame, caller: &Caller) -> Result<(), Failure> {
        let (operation, steps) = (frame.operation, frame.operation.steps);
        let begin = operation.code.2;
        if caller.overloads {
            let failure = Failure::overloaded(operation.service.about().language);
            self.log(frame, Level::Warn, format!("refused {}: {}", operation.name, failure.message), begin + 2, None);
            return Err(failure);
        }
        let (first, rest) = steps.split_at(1);
        self.run(frame, first, begin, LINES)?;
        self.mishap(frame, begin + LINES + 7)?;
        self.run(frame, rest, begin + LINES, LINES)
    }

    // Whether the operation itself fails, by a fault or for no reason.
    fn mishap(&mut self, frame: &mut Frame, line: u32) -> Result<(), Failure> {
        let operation = frame.operation;
        let language = operation.service.about().language;
        let at_ns = frame.now_ns;
        let hiccup = self.random.happens(HICCUPS);
        if self.strike(Kind::Exception, at_ns, frame.trace_id, |target| is_code(target, operation)).is_some() {
            let message = format!("unexpected state NEGATIVE in {}", operation.name);
            return Err(self.throw(frame, Failure::bug(language, message), line));
        }
        if frame.resource.canary
            && self.strike(Kind::BadVersion, at_ns, frame.trace_id, |target| is_code(target, operation)).is_some()
        {
            let message = format!("unknown field \"currency_v2\" in request of {}", operation.name);
            return Err(self.throw(frame, Failure::bug(language, message), line + 1));
        }
        if hiccup {
            return Err(self.throw(frame, Failure::hiccup(language), line + 2));
        }
        Ok(())
    }

    // An exception where it begins: an event in the span and an ERROR log, both with the stack.
    fn throw(&mut self, frame: &mut Frame, failure: Failure, line: u32) -> Failure {
        frame.now_ns += self.length(0.2, 0.3);
        let language = frame.operation.service.about().language;
        let stack = stack(language, &failure, frame.operation, line);
        frame.events.push(exception(&failure, &stack, frame.now_ns));
        let text = format!("{} failed: {}", frame.operation.name, failure.message);
        self.log(frame, Level::Error, text, line, Some((&failure, stack)));
        failure
    }

    fn run(&mut self, frame: &mut Frame, steps: &'static [Step], line: u32, lines: u32) -> Result<(), Failure> {
        for (at, step) in steps.iter().enumerate() {
            let line = line + at as u32 * lines + 1;
            match step {
                Step::Work(ms) => frame.now_ns += self.length(*ms, 0.35),
                Step::Log(level, template) => {
                    let text = self.facts.fill(template, frame.degraded);
                    self.log(frame, *level, text, line, None);
                }
                Step::Call(to, chance, on_failure) => {
                    if *chance >= 1.0 || self.random.happens(*chance) {
                        self.call(frame, to, *on_failure, line)?;
                    }
                }
                Step::Query(store, statement, table, ms) => self.query(frame, store, statement, table, *ms),
                Step::Repeat(times, inner) => {
                    for _ in 0..*times {
                        self.run(frame, std::slice::from_ref(*inner), line, 0)?;
                        frame.now_ns += self.length(0.4, 0.3);
                    }
                }
                Step::Cached(store, hit, miss) => {
                    self.query(frame, store, "GET", "", 0.5);
                    if !self.random.happens(*hit) {
                        self.run(frame, miss, line, 1)?;
                        self.query(frame, store, "SET", "", 0.6);
                    }
                }
                Step::Ask(third, route, ms) => self.ask(frame, third, route, *ms, line)?,
                Step::Publish(queue) => self.publish(frame, queue, line),
                Step::Try(inner) => self.guarded(frame, inner, line),
            }
        }
        Ok(())
    }

    fn guarded(&mut self, frame: &mut Frame, inner: &'static [Step], line: u32) {
        let operation = frame.operation;
        let struck = self.strike(Kind::Swallowed, frame.now_ns, frame.trace_id, |target| is_code(target, operation));
        // The exception falls right before the log of success.
        let done = if struck.is_some() { &inner[..inner.len() - 1] } else { inner };
        let outcome = self.run(frame, done, line, 5);
        frame.degraded |= struck.is_some() || outcome.is_err();
    }

    fn call(
        &mut self,
        frame: &mut Frame,
        to: &'static Operation,
        on_failure: OnFailure,
        line: u32,
    ) -> Result<(), Failure> {
        let (from, callee) = (frame.operation.service, to.service);
        let mut attempt = 0;
        let failure = loop {
            attempt += 1;
            let overloads = self
                .strike(Kind::RetryStorm, frame.now_ns, frame.trace_id, |target| {
                    is_edge(target, from, Peer::Service(callee))
                })
                .is_some();
            let served = self.attempt(frame, to, overloads);
            let Some(failure) = served.failure else {
                frame.degraded |= served.degraded;
                return Ok(());
            };
            if !overloads || attempt == ATTEMPTS_MAX {
                break failure;
            }
            let text = format!("attempt {attempt} to call {} failed, trying again: {}", callee.name(), failure.message);
            self.log(frame, Level::Warn, text, line + 1, None);
            frame.now_ns += self.length(0.5, 0.3);
        };
        let failure = Failure::passed_on(callee.name(), &failure);
        match on_failure {
            OnFailure::Fail => {
                self.log(frame, Level::Error, failure.message.clone(), line + 2, None);
                Err(failure)
            }
            OnFailure::Degrade => {
                self.log(
                    frame,
                    Level::Warn,
                    format!("going on without {}: {}", callee.name(), failure.message),
                    line + 3,
                    None,
                );
                frame.degraded = true;
                Ok(())
            }
        }
    }

    // One client span, and what is behind it.
    fn attempt(&mut self, frame: &mut Frame, to: &'static Operation, overloads: bool) -> Served {
        let (from, callee) = (frame.operation.service, to.service);
        let (service, other) = (from.about(), callee.about());
        let start_ns = frame.now_ns;
        let span_id = self.random.id();
        let route = to.name.split_once(' ').map_or(to.name, |(_, path)| path);
        let mut style = dialect::client(service, other, to, &self.facts.fill(route, false));
        let arrival_ns = start_ns + self.travel(frame, from, Peer::Service(callee));
        let mut events = Vec::new();
        let gone = self.is_gone(callee, start_ns, frame.trace_id);
        let mut served = if gone {
            let address = format!("{}:{}", other.address(), other.port);
            let failure = Failure::refused(service.language, &address);
            let end_ns = start_ns + self.length(0.8, 0.4);
            let (line, operation) = (frame.operation.code.2 + 3, frame.operation);
            events.push(exception(&failure, &stack(service.language, &failure, operation, line), end_ns));
            Served { end_ns, failure: Some(failure), degraded: false }
        } else {
            let edge = |target: &Target| is_edge(target, from, Peer::Service(callee));
            let broken = self.strike(Kind::BrokenPropagation, start_ns, frame.trace_id, edge).is_some();
            let address = service.pod_ip(frame.resource.pod);
            let shared = other.dialect == Dialect::Zipkin && !broken;
            let (trace_id, parent_id) = if broken { (self.random.trace_id(), 0) } else { (frame.trace_id, span_id) };
            // A shared span keeps its caller's parent; it travels in the place of a link.
            let link = shared.then_some((frame.trace_id, frame.span_id));
            let caller = Caller { trace_id, parent_id, shared, link, address, queue: None, overloads };
            self.serve(to, caller, arrival_ns)
        };
        if !gone {
            served.end_ns += self.length(0.3, 0.4);
        }
        frame.now_ns = served.end_ns;
        dialect::ending(&mut style.attributes, service.dialect, to.protocol, served.failure.as_ref(), !gone);
        let status = match &served.failure {
            // HTTP clients leave the message to the status code.
            Some(_) if to.protocol == Protocol::Http && !gone => Status::Error(String::new()),
            Some(failure) => Status::Error(failure.message.clone()),
            None => Status::Unset,
        };
        let ids = Ids { trace_id: frame.trace_id, span_id, parent_id: frame.span_id, shared: false };
        let ending = Ending { status, events, links: Vec::new(), remote: None };
        self.span(frame, ids, style, (start_ns, served.end_ns), ending);
        served
    }

    fn query(&mut self, frame: &mut Frame, store: &'static Store, statement: &'static str, table: &str, ms: f64) {
        let from = frame.operation.service;
        let service = from.about();
        let start_ns = frame.now_ns;
        let mut end_ns = start_ns + self.travel(frame, from, Peer::Store(store)) + self.length(ms, 0.4);
        let is_slow = |target: &Target| {
            is_edge(target, from, Peer::Store(store))
                && slow_statement(from, store).is_some_and(|(_, slow)| slow == statement)
        };
        if let Some(ms) = self.strike(Kind::SlowQuery, start_ns, frame.trace_id, is_slow) {
            end_ns += self.length(ms, 0.1);
        }
        frame.now_ns = end_ns;
        let style = dialect::query(service, store, statement, table);
        let remote = Remote { name: store.address, ipv4: "10.80.0.7".to_owned(), port: store.port };
        self.leaf(frame, style, start_ns, Status::Unset, Some(remote));
    }

    fn ask(
        &mut self,
        frame: &mut Frame,
        third: &'static ThirdParty,
        route: &str,
        ms: f64,
        line: u32,
    ) -> Result<(), Failure> {
        let from = frame.operation.service;
        let service = from.about();
        let start_ns = frame.now_ns;
        frame.now_ns += self.travel(frame, from, Peer::Outside(third)) + self.length(ms, 0.5);
        let failure = self.random.happens(HICCUPS).then(|| Failure::hiccup(service.language));
        let mut style = dialect::outside(service, third, route);
        dialect::ending(&mut style.attributes, service.dialect, Protocol::Http, failure.as_ref(), true);
        let status = if failure.is_some() { Status::Error(String::new()) } else { Status::Unset };
        self.leaf(frame, style, start_ns, status, None);
        match failure {
            None => Ok(()),
            Some(failure) => {
                let failure = Failure::passed_on(third.address, &failure);
                self.log(frame, Level::Error, failure.message.clone(), line + 2, None);
                Err(failure)
            }
        }
    }

    fn publish(&mut self, frame: &mut Frame, queue: &'static Queue, line: u32) {
        let service = frame.operation.service.about();
        let start_ns = frame.now_ns;
        let message = format!("{:016x}", self.random.bits());
        frame.now_ns += self.length(1.4, 0.4);
        let style = dialect::producer(service, queue, &message);
        let producer_id = self.leaf(frame, style, start_ns, Status::Unset, None);
        let sent_ns = frame.now_ns;
        let mut wait_ns = self.length(queue.wait_ms, 0.5);
        // A queue that is full grows by half a second each second, up to the size of the fault.
        let filling = |target: &Target| matches!(target, Target::Queue(filled) if filled.name == queue.name);
        let since_ns = self
            .faults
            .iter()
            .find(|fault| fault.kind == Kind::FullQueue && fault.is_on(sent_ns) && filling(&fault.target));
        let since_ns = since_ns.map(|fault| fault.from_ns);
        if let Some(longest_ms) = self.strike(Kind::FullQueue, sent_ns, frame.trace_id, filling) {
            let grown_ms = since_ns.map_or(0.0, |since_ns| (sent_ns - since_ns) as f64 / 2e6);
            wait_ns += self.length(grown_ms.min(longest_ms), 0.02);
            if grown_ms > 1000.0 && self.random.happens(0.2) {
                let text = format!("queue {} is long: {} messages wait", queue.name, (grown_ms / 20.0) as u64);
                self.log(frame, Level::Warn, text, line + 1, None);
            }
        }
        let received_ns = sent_ns + wait_ns;
        if self.is_gone(queue.consumer.service, received_ns, frame.trace_id) {
            return;
        }
        let (trace_id, parent_id, link) = match queue.by_link {
            true => (self.random.trace_id(), 0, Some((frame.trace_id, producer_id))),
            false => (frame.trace_id, producer_id, None),
        };
        let address = queue.address.to_owned();
        let caller = Caller { trace_id, parent_id, shared: false, link, address, queue: Some(queue), overloads: false };
        self.serve(queue.consumer, caller, received_ns);
    }

    // A span without anything below it, from `start_ns` until now; its id.
    fn leaf(&mut self, frame: &Frame, style: Style, start_ns: i64, status: Status, remote: Option<Remote>) -> u64 {
        let span_id = self.random.id();
        let ids = Ids { trace_id: frame.trace_id, span_id, parent_id: frame.span_id, shared: false };
        let ending = Ending { status, events: Vec::new(), links: Vec::new(), remote };
        self.span(frame, ids, style, (start_ns, frame.now_ns), ending);
        span_id
    }

    // The way there, with what a fault adds to it.
    fn travel(&mut self, frame: &Frame, from: Svc, to: Peer) -> i64 {
        let usual = self.length(0.3, 0.4);
        let added = self.strike(Kind::Latency, frame.now_ns, frame.trace_id, |target| is_edge(target, from, to));
        usual + added.map_or(0, |ms| self.length(ms, 0.1))
    }

    // A length around a median, in nanoseconds; at least a microsecond, which is Zipkin's least.
    fn length(&mut self, median_ms: f64, sigma: f64) -> i64 {
        ((self.random.about(median_ms * self.pace, sigma) * 1e6) as i64).max(1000)
    }

    fn is_on(&self, kind: Kind, at_ns: i64, here: impl Fn(&Target) -> bool) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind && fault.is_on(at_ns) && here(&fault.target))
    }

    // The size of a fault that acts here and now. Chance is asked only where a fault is on, so that
    // without faults everything stays as it was.
    fn strike(&mut self, kind: Kind, at_ns: i64, trace_id: u128, here: impl Fn(&Target) -> bool) -> Option<f64> {
        let random = &mut self.random;
        let fault = self
            .faults
            .iter_mut()
            .filter(|fault| fault.kind == kind && fault.is_on(at_ns) && here(&fault.target))
            .find(|fault| kind.unit() != Unit::Share || random.happens(fault.size))?;
        fault.act(trace_id);
        Some(fault.size)
    }

    fn is_gone(&mut self, service: Svc, at_ns: i64, trace_id: u128) -> bool {
        self.strike(Kind::Gone, at_ns, trace_id, |target| matches!(target, Target::Code(gone, _) if *gone == service))
            .is_some()
    }

    /// Whether a service is gone, without counting it as an effect.
    pub(crate) fn is_away(&self, service: Svc, at_ns: i64) -> bool {
        self.is_on(Kind::Gone, at_ns, |target| matches!(target, Target::Code(gone, _) if *gone == service))
    }

    fn log(&mut self, frame: &mut Frame, level: Level, text: String, line: u32, exception: Option<(&Failure, String)>) {
        frame.now_ns += self.length(0.02, 0.3);
        let due_ns = frame.now_ns;
        let time_ns = due_ns + self.skew(frame.resource, due_ns, frame.trace_id);
        let (trace_id, span_id) = (frame.trace_id, frame.span_id);
        let line = Line { level, text, time_ns, trace_id, span_id, line, exception };
        let log = logs::log(frame.operation.service.about(), frame.operation, line);
        self.out.push(Item { due_ns, resource: frame.resource, payload: Payload::Log(log) });
    }

    fn span(&mut self, frame: &Frame, ids: Ids, style: Style, (start_ns, end_ns): (i64, i64), ending: Ending) {
        let service: &Service = frame.operation.service.about();
        let skew_ns = self.skew(frame.resource, start_ns, ids.trace_id);
        let Ending { status, mut events, links, remote } = ending;
        events.iter_mut().for_each(|event| event.time_ns += skew_ns);
        let is_zipkin = service.dialect == Dialect::Zipkin;
        let span = Span {
            trace_id: ids.trace_id,
            span_id: ids.span_id,
            parent_id: ids.parent_id,
            shared: ids.shared,
            name: style.name,
            kind: style.kind,
            start_ns: start_ns + skew_ns,
            end_ns: end_ns + skew_ns,
            attributes: style.attributes,
            events,
            links,
            status,
            scope: style.scope,
            remote: remote.filter(|_| is_zipkin),
        };
        let payload = if is_zipkin { Payload::ZipkinSpan(span) } else { Payload::Span(span) };
        self.out.push(Item { due_ns: end_ns, resource: frame.resource, payload });
    }

    // How far the clock of the resource's host is ahead.
    pub(crate) fn skew(&mut self, resource: Resource, at_ns: i64, trace_id: u128) -> i64 {
        let host = resource.service.about().pods[usize::from(resource.pod)].1;
        debug_assert!(host < HOSTS.len());
        let ms = self.strike(
            Kind::ClockSkew,
            at_ns,
            trace_id,
            |target| matches!(target, Target::Host(skewed) if *skewed == host),
        );
        ms.map_or(0, |ms| (ms * 1e6) as i64)
    }
}

struct Ids {
    trace_id: u128,
    span_id: u64,
    parent_id: u64,
    shared: bool,
}

struct Ending {
    status: Status,
    events: Vec<Event>,
    links: Vec<(u128, u64)>,
    remote: Option<Remote>,
}

fn is_edge(target: &Target, from: Svc, to: Peer) -> bool {
    matches!(target, Target::Edge(source, peer) if *source == from && *peer == to)
}

fn is_code(target: &Target, operation: &Operation) -> bool {
    matches!(target, Target::Code(service, only) if *service == operation.service
        && only.is_none_or(|only| std::ptr::eq(only, operation)))
}

fn exception(failure: &Failure, stack: &str, time_ns: i64) -> Event {
    let attributes = vec![
        ("exception.type", failure.exception.clone().into()),
        ("exception.message", failure.message.clone().into()),
        ("exception.stacktrace", stack.to_owned().into()),
    ];
    Event { name: "exception", time_ns, attributes }
}
