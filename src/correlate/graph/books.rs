//! What pairing writes down: sums, references, answers, and producers whose consumers may still show up
//! in another chunk.

use std::collections::{HashMap, HashSet};

use super::names::{Name, Names};
use super::reason::Reason;
use super::rows::{Answer, ConnectionType, MinuteGraph, NodeKey, NodeKind, Wanted};
use super::span::{GraphSpan, SpanRef};
use super::tally::{Call, NODES_MAX, Tally};
use super::{minute_of, sketch};

/// What a span without a service name is filed under (OpenTelemetry's default).
const NO_SERVICE: &str = "unknown_service";

/// Sums and lists of a minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    pub(super) minute_ns: i64,
    tally: Tally,
    wanted: Vec<Wanted>,
    answers: Vec<Answer>,
    // Producers of this minute that consumers of this minute link to.
    linked: HashSet<SpanRef, foldhash::fast::RandomState>,
    // Producers that can be paired by such a link only.
    waiting: Vec<(SpanRef, u32, Reason)>,
}

/// The books while one chunk is paired: its texts have numbers.
pub(super) struct Desk<'a> {
    pub(super) books: &'a mut Books,
    names: &'a Names,
    services: Vec<u32>,
    others: HashMap<(NodeKind, [Name; 3]), u32, foldhash::fast::RandomState>,
}

const UNKNOWN: u32 = u32::MAX;

impl Books {
    pub(super) fn new(minute_ns: i64) -> Books {
        Books { minute_ns, ..Books::default() }
    }

    /// Ends a chunk: the lists are kept short, and the nodes within their bound.
    pub(super) fn settle(&mut self) {
        self.wanted.sort_unstable();
        self.wanted.dedup_by_key(|wanted| wanted.at);
        self.answers.sort_unstable();
        self.answers.dedup();
        if let Some(renumbered) = self.tally.fold(NODES_MAX) {
            self.waiting.iter_mut().for_each(|(_, node, _)| *node = renumbered[*node as usize]);
        }
    }

    /// The rows.
    pub(super) fn finish(mut self) -> MinuteGraph {
        for (at, node, reason) in &self.waiting {
            if !self.linked.contains(at) {
                self.tally.unpaired(*node, *reason);
            }
        }
        let (nodes, edges) = self.tally.rows();
        MinuteGraph { nodes, edges, wanted: self.wanted, answers: self.answers }
    }

    /// A span outside the minute is referred to.
    pub(super) fn want(&mut self, at: SpanRef, reason: Reason) {
        self.wanted.push(Wanted { at, reason });
    }

    /// A span of another minute has its callee here.
    pub(super) fn answer(&mut self, at: SpanRef, start_ns: i64) {
        self.answers.push(Answer { at, minute_ns: minute_of(start_ns) });
    }

    /// A producer has a consumer that links to it.
    pub(super) fn link(&mut self, at: SpanRef, start_ns: i64) {
        if minute_of(start_ns) == self.minute_ns {
            self.linked.insert(at);
        } else {
            self.answer(at, start_ns);
        }
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(books: &'a mut Books, names: &'a Names) -> Desk<'a> {
        Desk { books, names, services: vec![UNKNOWN; names.len()], others: HashMap::default() }
    }

    /// The node of a service.
    pub(super) fn service(&mut self, name: Name) -> u32 {
        match self.services.get(name.number()) {
            Some(known) if *known != UNKNOWN => *known,
            slot => {
                let is_new = slot.is_some();
                let text = self.names.text(name);
                let text = if text.is_empty() { NO_SERVICE } else { text };
                let number = self.books.tally.node(NodeKey::new(NodeKind::Service, text));
                if is_new {
                    self.services[name.number()] = number;
                }
                number
            }
        }
    }

    /// `postgresql/orders@db-1`: one node per system, namespace and host.
    pub(super) fn database(&mut self, span: &GraphSpan) -> u32 {
        self.other(NodeKind::Database, [span.db_system, span.db_namespace, span.peer])
    }

    /// `kafka/orders`; without a destination the broker, `kafka@broker-1`; none when neither is known.
    pub(super) fn topic(&mut self, system: Name, destination: Name, peer: Name) -> Option<u32> {
        match (destination.is_empty(), peer.is_empty()) {
            (false, _) => Some(self.other(NodeKind::Messaging, [system, destination, Name::EMPTY])),
            (true, false) => Some(self.other(NodeKind::Messaging, [system, Name::EMPTY, peer])),
            (true, true) => None,
        }
    }

    /// A peer that has no spans.
    pub(super) fn external(&mut self, peer: Name) -> u32 {
        self.other(NodeKind::External, [Name::EMPTY, Name::EMPTY, peer])
    }

    /// Whoever calls from outside.
    pub(super) fn user(&mut self) -> u32 {
        self.other(NodeKind::User, [Name::EMPTY; 3])
    }

    pub(super) fn entry(&mut self, node: u32, call: Call) {
        self.books.tally.entry(node, call);
    }

    pub(super) fn call(&mut self, source: u32, target: u32, kind: ConnectionType, call: Call) {
        self.books.tally.call(source, target, kind, call);
    }

    pub(super) fn unpaired(&mut self, span: &GraphSpan, reason: Reason) {
        let node = self.service(span.service);
        self.books.tally.unpaired(node, reason);
    }

    /// A producer that names no topic: only a consumer can tell where its message went.
    pub(super) fn wait(&mut self, span: &GraphSpan, reason: Reason) {
        let node = self.service(span.service);
        self.books.waiting.push((span.at, node, reason));
    }

    fn other(&mut self, kind: NodeKind, parts: [Name; 3]) -> u32 {
        if let Some(number) = self.others.get(&(kind, parts)) {
            return *number;
        }
        let [system, place, host] = parts.map(|part| self.names.text(part));
        let mut name = String::from(system);
        for (mark, part) in [('/', place), ('@', host)] {
            if !name.is_empty() && !part.is_empty() {
                name.push(mark);
            }
            name.push_str(part);
        }
        if kind == NodeKind::User {
            name.push_str("user");
        }
        let number = self.books.tally.node(NodeKey::new(kind, name));
        self.others.insert((kind, parts), number);
        number
    }
}

/// The span as a call.
pub(super) fn call_of(span: &GraphSpan) -> Call {
    Call { units: sketch::units(span.weight), error: span.error, duration_ns: span.duration_ns }
}
