//! The rows of a minute's graph, in canonical order.

use super::reason::Reason;
use super::sketch::Sketch;
use super::span::SpanRef;

/// All that a minute's spans say. Every list is sorted by its key and has each key once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinuteGraph {
    /// Nodes by key.
    pub nodes: Vec<NodeRow>,
    /// Edges by source, target and type.
    pub edges: Vec<EdgeRow>,
    /// References to spans outside this minute, found or not. A span that arrives with such an id, in
    /// any minute, makes this minute dirty.
    pub wanted: Vec<Wanted>,
    /// Spans of other minutes that have a callee here. A change of the answers that name a minute
    /// makes that minute dirty. They never depend on the answers of others, so nothing goes in circles.
    pub answers: Vec<Answer>,
}

/// Calls from one node to another.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeRow {
    /// Who calls.
    pub source: NodeKey,
    /// Who is called.
    pub target: NodeKey,
    /// How.
    pub connection_type: ConnectionType,
    /// Calls, weighted; a multiple of 1/1024, so that sums are exact.
    pub calls: f64,
    /// Spans behind them, unweighted.
    pub spans: u64,
    /// Failed calls, weighted: either side is an error.
    pub errors: f64,
    /// Durations, weighted.
    pub latency: Sketch,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRow {
    /// Which.
    pub node: NodeKey,
    /// Work that entered it, weighted; a multiple of 1/1024.
    pub requests: f64,
    /// Of it, failed.
    pub errors: f64,
    /// Durations, weighted.
    pub latency: Sketch,
    /// Spans by reason, unweighted, ascending.
    pub unpaired: Vec<(Reason, u64)>,
}

/// What a node is and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey {
    /// What.
    pub kind: NodeKind,
    /// Name, e.g. `checkout`, `postgresql/orders@db-1`, `kafka/orders`.
    pub name: String,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum NodeKind {
    /// An instrumented service.
    Service = 1,
    /// A database or cache.
    Database = 2,
    /// A topic, queue or broker.
    Messaging = 3,
    /// A peer without spans of its own.
    External = 4,
    /// Whoever calls the servers that nobody instrumented calls.
    User = 5,
}

/// How one node reaches another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ConnectionType {
    /// A call that waits for its answer.
    Rpc = 1,
    /// A message.
    Messaging = 2,
    /// A database or cache call.
    Database = 3,
    /// A call to or from a peer without spans.
    External = 4,
}

/// A span that a minute refers to and does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wanted {
    /// Which.
    pub at: SpanRef,
    /// Why it is missing; [`Reason::StoredElsewhere`] when it is stored in another minute.
    pub reason: Reason,
}

/// A span of another minute that has a callee in this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answer {
    /// Which.
    pub at: SpanRef,
    /// Its minute.
    pub minute_ns: i64,
}

impl NodeKey {
    /// A node's key.
    pub fn new(kind: NodeKind, name: impl Into<String>) -> NodeKey {
        NodeKey { kind, name: name.into() }
    }

    /// `service:checkout`.
    pub fn id(&self) -> String {
        format!("{}:{}", self.kind.text(), self.name)
    }

    /// The key with this id.
    pub fn from_id(id: &str) -> Option<NodeKey> {
        let (kind, name) = id.split_once(':')?;
        Some(NodeKey::new(NodeKind::from_text(kind)?, name))
    }
}

impl NodeKind {
    /// Every kind, by number.
    pub const ALL: [NodeKind; 5] =
        [NodeKind::Service, NodeKind::Database, NodeKind::Messaging, NodeKind::External, NodeKind::User];

    /// Its text in answers and tables.
    pub fn text(self) -> &'static str {
        match self {
            NodeKind::Service => "service",
            NodeKind::Database => "database",
            NodeKind::Messaging => "messaging",
            NodeKind::External => "external",
            NodeKind::User => "user",
        }
    }

    /// The kind with this text.
    pub fn from_text(text: &str) -> Option<NodeKind> {
        NodeKind::ALL.into_iter().find(|kind| kind.text() == text)
    }
}

impl ConnectionType {
    /// Every type, by number.
    pub const ALL: [ConnectionType; 4] =
        [ConnectionType::Rpc, ConnectionType::Messaging, ConnectionType::Database, ConnectionType::External];

    /// Its text in answers and tables.
    pub fn text(self) -> &'static str {
        match self {
            ConnectionType::Rpc => "rpc",
            ConnectionType::Messaging => "messaging",
            ConnectionType::Database => "database",
            ConnectionType::External => "external",
        }
    }

    /// The type with this text.
    pub fn from_text(text: &str) -> Option<ConnectionType> {
        ConnectionType::ALL.into_iter().find(|kind| kind.text() == text)
    }
}
