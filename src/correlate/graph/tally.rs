//! Sums by node and edge. Only integers are added, so neither order nor grouping shows in the result;
//! and the number of nodes is bounded, whatever peers and services call themselves.

use std::collections::HashMap;

use twox_hash::XxHash64;

use super::reason::Reason;
use super::rows::{ConnectionType, EdgeRow, NodeKey, NodeKind, NodeRow};
use super::sketch::{Filling, UNITS};

/// Nodes of one minute. Above it the last in a fixed order (services stay longest, external hosts go
/// first; within a kind by a hash of the name) are counted together as `(other)`: the same ones
/// whatever came first.
pub(super) const NODES_MAX: usize = 10_000;

/// The name of what was counted together.
pub(super) const OTHER: &str = "(other)";

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// One call as an edge counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) units: u64,
    pub(super) error: bool,
    pub(super) duration_ns: u64,
}

#[derive(Clone, Debug, Default)]
struct Sum {
    units: u64,
    errors: u64,
    spans: u64,
    latency: Filling,
}

#[derive(Clone, Debug)]
struct Node {
    key: NodeKey,
    entries: Sum,
    unpaired: [u64; Reason::ALL.len() + 1],
}

/// The sums of a minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    numbers: Map<NodeKey, u32>,
    nodes: Vec<Node>,
    edges: Map<(u32, u32, ConnectionType), Sum>,
}

impl Sum {
    fn add(&mut self, call: Call) {
        self.units = self.units.saturating_add(call.units);
        self.errors = self.errors.saturating_add(if call.error { call.units } else { 0 });
        self.spans += 1;
        self.latency.add(call.duration_ns, call.units);
    }

    fn merge(&mut self, other: &Sum) {
        self.units = self.units.saturating_add(other.units);
        self.errors = self.errors.saturating_add(other.errors);
        self.spans += other.spans;
        self.latency.merge(&other.latency);
    }
}

impl Tally {
    /// The number of a node; it holds until the next [`Tally::fold`].
    pub(super) fn node(&mut self, key: NodeKey) -> u32 {
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = self.nodes.len() as u32;
        self.nodes.push(Node { key: key.clone(), entries: Sum::default(), unpaired: [0; Reason::ALL.len() + 1] });
        self.numbers.insert(key, number);
        number
    }

    /// Work entered a node.
    pub(super) fn entry(&mut self, node: u32, call: Call) {
        self.nodes[node as usize].entries.add(call);
    }

    /// A call along an edge.
    pub(super) fn call(&mut self, source: u32, target: u32, kind: ConnectionType, call: Call) {
        self.edges.entry((source, target, kind)).or_default().add(call);
    }

    /// A span of a node has no partner, or is odd.
    pub(super) fn unpaired(&mut self, node: u32, reason: Reason) {
        self.nodes[node as usize].unpaired[reason as usize] += 1;
    }

    /// Keeps to the bound on nodes; the new number of every node when there was something to do.
    pub(super) fn fold(&mut self, nodes_max: usize) -> Option<Vec<u32>> {
        if self.nodes.len() <= nodes_max {
            return None;
        }
        let is_pinned = |key: &NodeKey| key.kind == NodeKind::User || key.name == OTHER;
        let mut order: Vec<u32> = (0..self.nodes.len() as u32).collect();
        order.retain(|number| !is_pinned(&self.nodes[*number as usize].key));
        if order.len() <= nodes_max {
            return None;
        }
        order.sort_by_cached_key(|number| {
            let key = &self.nodes[*number as usize].key;
            (key.kind, XxHash64::oneshot(0, key.name.as_bytes()), key.name.clone())
        });
        let mut is_folded = vec![false; self.nodes.len()];
        order[nodes_max..].iter().for_each(|number| is_folded[*number as usize] = true);
        let old = std::mem::take(self);
        let mut renumbered = vec![0; old.nodes.len()];
        for (number, node) in old.nodes.iter().enumerate() {
            let key = if is_folded[number] { NodeKey::new(node.key.kind, OTHER) } else { node.key.clone() };
            let new = self.node(key);
            let target = &mut self.nodes[new as usize];
            target.entries.merge(&node.entries);
            target.unpaired.iter_mut().zip(node.unpaired).for_each(|(sum, count)| *sum += count);
            renumbered[number] = new;
        }
        for ((source, target, kind), sum) in &old.edges {
            let ends = (renumbered[*source as usize], renumbered[*target as usize], *kind);
            self.edges.entry(ends).or_default().merge(sum);
        }
        Some(renumbered)
    }

    /// The rows, sorted by key.
    pub(super) fn rows(mut self) -> (Vec<NodeRow>, Vec<EdgeRow>) {
        // What a service did it says itself; for other nodes their callers do, for the user his servers.
        let sums = std::mem::take(&mut self.edges);
        for ((source, target, _), sum) in &sums {
            if self.nodes[*target as usize].key.kind != NodeKind::Service {
                self.nodes[*target as usize].entries.merge(sum);
            }
            if self.nodes[*source as usize].key.kind == NodeKind::User {
                self.nodes[*source as usize].entries.merge(sum);
            }
        }
        let key = |number: u32| self.nodes[number as usize].key.clone();
        let mut edges: Vec<EdgeRow> = sums
            .into_iter()
            .map(|((source, target, kind), sum)| EdgeRow {
                source: key(source),
                target: key(target),
                connection_type: kind,
                calls: sum.units as f64 / UNITS,
                spans: sum.spans,
                errors: sum.errors as f64 / UNITS,
                latency: sum.latency.finish(),
            })
            .collect();
        edges.sort_unstable_by(|a, b| {
            (&a.source, &a.target, a.connection_type).cmp(&(&b.source, &b.target, b.connection_type))
        });
        let mut nodes: Vec<NodeRow> = self.nodes.into_iter().map(Node::row).collect();
        nodes.sort_unstable_by(|a, b| a.node.cmp(&b.node));
        (nodes, edges)
    }
}

impl Node {
    fn row(self) -> NodeRow {
        let counts = Reason::ALL.into_iter().map(|reason| (reason, self.unpaired[reason as usize]));
        NodeRow {
            node: self.key,
            requests: self.entries.units as f64 / UNITS,
            errors: self.entries.errors as f64 / UNITS,
            latency: self.entries.latency.finish(),
            unpaired: counts.filter(|(_, count)| *count > 0).collect(),
        }
    }
}
