//! The service graph of a range: nodes and edges with their counts, latencies and reasons, placed for
//! drawing. It is read from whole minutes, so the range is rounded outward, and the answer says to what.
//!
//! Answers are kept as long as the minutes below them stay what they are: the key holds their generations.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use correlate::graph::{ConnectionType, NodeKey, NodeKind, Reason, Sketch};
use model::time::SECOND_NS;
use moka::future::Cache;
use serde::{Serialize, Serializer};
use store::questions::Window;
use store::questions::graph::{self, Minutes, State};
use utoipa::ToSchema;

use crate::layout;
use crate::shared::Ns;
use crate::time::TimeRange;
use crate::{View, ViewError, ask};

/// Answers kept.
const ANSWERS_MAX: u64 = 128;
/// Hops around a service when none are asked for.
const HOPS_DEFAULT: usize = 1;
/// A partner may still be on its way for so long after a minute's end.
const LATE_S: i64 = 30;
/// Seconds of a minute.
const MINUTE_S: i64 = 60;
/// Last second of ClickHouse's DateTime.
const LATEST_S: i64 = u32::MAX as i64;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct GraphQuestion {
    /// Range.
    pub range: TimeRange,
    /// Only what lies around this service (its name), or node (its id).
    pub service: Option<String>,
    /// Within so many calls, in either direction.
    pub hops: Option<usize>,
}

/// Who calls whom in a window.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GraphAnswer {
    /// Everything that calls or is called.
    pub nodes: Vec<GraphNode>,
    /// Calls between nodes.
    pub edges: Vec<GraphEdge>,
    /// The window's beginning, rounded outward to a whole minute.
    #[schema(value_type = String)]
    pub from_ns: Ns,
    /// The window's end, rounded outward to a whole minute.
    #[schema(value_type = String)]
    pub to_ns: Ns,
    /// When the newest of its minutes was rolled up; absent when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub rolled_to_ns: Option<Ns>,
    /// True: not everything that is stored is in it yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub partial: bool,
    /// Why it is not everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_reason: Option<String>,
}

/// A service, or a peer without spans of its own.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GraphNode {
    /// Such as `service:checkout`.
    pub id: String,
    /// Such as `checkout`.
    pub name: String,
    /// service, database, messaging, external or user.
    pub kind: &'static str,
    /// Requests that entered it, weighted by sampling.
    #[schema(value_type = f64)]
    pub requests: Amount,
    /// Failed ones.
    #[schema(value_type = f64)]
    pub errors: Amount,
    /// Median duration.
    #[schema(value_type = String)]
    pub p50_ns: Ns,
    /// 95th percentile of the duration.
    #[schema(value_type = String)]
    pub p95_ns: Ns,
    /// 99th percentile of the duration.
    #[schema(value_type = String)]
    pub p99_ns: Ns,
    /// Spans without a partner, by reason; `clock_skew` and `duplicate_id` are notes about paired ones.
    pub unpaired: BTreeMap<&'static str, u64>,
    /// Layer, from 0.
    pub rank: u32,
    /// Along the calls: layers are 1.0 apart.
    pub x: f64,
    /// Across: nodes of a layer are at least 1.0 apart.
    pub y: f64,
}

/// Calls from one node to another.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GraphEdge {
    /// Id of the node that calls.
    pub source: String,
    /// Id of the node that is called.
    pub target: String,
    /// How: rpc, messaging, database or external.
    pub connection_type: &'static str,
    /// Calls, weighted by sampling.
    #[schema(value_type = f64)]
    pub requests: Amount,
    /// Failed calls.
    #[schema(value_type = f64)]
    pub errors: Amount,
    /// Median duration.
    #[schema(value_type = String)]
    pub p50_ns: Ns,
    /// 95th percentile of the duration.
    #[schema(value_type = String)]
    pub p95_ns: Ns,
    /// 99th percentile of the duration.
    #[schema(value_type = String)]
    pub p99_ns: Ns,
}

/// A weighted count: written without a fraction where it has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount(pub f64);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && (0.0..9e15).contains(&self.0) {
            return serializer.serialize_u64(self.0 as u64);
        }
        serializer.serialize_f64(self.0)
    }
}

/// The graph in the words of Grafana's node graph panel.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NodeGraphAnswer {
    /// Frame `nodes`.
    pub nodes: Vec<PanelNode>,
    /// Frame `edges`.
    pub edges: Vec<PanelEdge>,
}

/// A node of the panel.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PanelNode {
    /// Id.
    pub id: String,
    /// Name.
    pub title: String,
    /// Kind.
    pub subtitle: &'static str,
    /// Requests.
    pub mainstat: String,
    /// 95th percentile of the duration.
    pub secondarystat: String,
    /// Share of requests that succeeded.
    #[serde(rename = "arc__ok")]
    pub arc_ok: f64,
    /// Share that failed.
    #[serde(rename = "arc__error")]
    pub arc_error: f64,
    /// Failed requests.
    #[serde(rename = "detail__errors")]
    pub detail_errors: f64,
    /// Spans without a partner.
    #[serde(rename = "detail__unpaired")]
    pub detail_unpaired: u64,
}

/// An edge of the panel.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PanelEdge {
    /// Id.
    pub id: String,
    /// Id of the node that calls.
    pub source: String,
    /// Id of the node that is called.
    pub target: String,
    /// Calls.
    pub mainstat: String,
    /// 95th percentile of the duration.
    pub secondarystat: String,
    /// How.
    #[serde(rename = "detail__type")]
    pub detail_type: &'static str,
    /// Failed calls.
    #[serde(rename = "detail__errors")]
    pub detail_errors: f64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: String,
    minutes: Minutes,
    state: State,
    young_s: i64,
}

/// The kept graphs: whole, and as they were asked for.
pub(crate) struct Graphs {
    whole: Cache<Key, Arc<Whole>>,
    placed: Cache<(Key, Option<String>, usize), Arc<GraphAnswer>>,
}

/// A window's graph, not yet placed.
struct Whole {
    nodes: Vec<GraphNode>,
    edges: Vec<GraphEdge>,
}

impl Graphs {
    pub(crate) fn new() -> Graphs {
        Graphs {
            whole: Cache::builder().max_capacity(ANSWERS_MAX).build(),
            placed: Cache::builder().max_capacity(ANSWERS_MAX).build(),
        }
    }
}

impl View {
    /// The service graph of a range.
    pub async fn graph(&self, tenant: &str, question: GraphQuestion, now_ns: i64) -> Result<GraphAnswer, ViewError> {
        let window = question.range.window(now_ns)?;
        let mut minutes = minutes_of(window);
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        let (state, behind) = tokio::join!(graph::state(&ask, minutes), graph::is_behind(&ask));
        let state = state?;
        // Open ends reach as far as there is something.
        let (first_s, end_s) = if state.minutes == 0 {
            let now_s = now_ns.div_euclid(SECOND_NS * MINUTE_S) * MINUTE_S;
            (now_s, now_s)
        } else {
            (state.first_s, state.last_s + MINUTE_S)
        };
        if question.range.from.is_none() {
            minutes.from_s = first_s.min(minutes.to_s);
        }
        if question.range.to.is_none() {
            minutes.to_s = end_s.max(minutes.from_s);
        }
        let now_s = now_ns.div_euclid(SECOND_NS);
        let young_s = ((now_s - LATE_S).div_euclid(MINUTE_S) * MINUTE_S).max(0);
        let key = Key { tenant: tenant.to_owned(), minutes, state, young_s };
        let hops = question.hops.unwrap_or(HOPS_DEFAULT);
        let placed = (key.clone(), question.service.clone(), hops);
        let answer = match self.graphs.placed.get(&placed).await {
            Some(answer) => answer,
            None => {
                let whole = self
                    .graphs
                    .whole
                    .try_get_with(key, async {
                        let (nodes, edges) =
                            tokio::try_join!(graph::nodes(&ask, minutes, young_s), graph::edges(&ask, minutes))?;
                        Ok::<_, ViewError>(Arc::new(told(nodes, edges)))
                    })
                    .await
                    .map_err(|error| error.again())?;
                let service = question.service;
                let answer = tokio::task::spawn_blocking(move || {
                    let (nodes, edges) = match &service {
                        Some(service) => around(&whole, service, hops),
                        None => (whole.nodes.clone(), whole.edges.clone()),
                    };
                    place(nodes, edges, minutes, &state)
                })
                .await
                .map_err(|_| ViewError::Broken("placing the graph broke off".into()))?;
                let answer = Arc::new(answer);
                self.graphs.placed.insert(placed, Arc::clone(&answer)).await;
                answer
            }
        };
        let mut answer = GraphAnswer::clone(&answer);
        // Who may not read system tables cannot say.
        if behind.unwrap_or(false) {
            answer.partial = true;
            answer.partial_reason = Some("stored spans are still being rolled up".to_owned());
        }
        Ok(answer)
    }
}

impl GraphAnswer {
    /// In the words of Grafana's node graph panel.
    pub fn node_graph(&self) -> NodeGraphAnswer {
        let node = |node: &GraphNode| {
            let failed = if node.requests.0 > 0.0 { (node.errors.0 / node.requests.0).clamp(0.0, 1.0) } else { 0.0 };
            PanelNode {
                id: node.id.clone(),
                title: node.name.clone(),
                subtitle: node.kind,
                mainstat: format!("{} requests", node.requests.0),
                secondarystat: format!("p95 {}", shown_duration(node.p95_ns)),
                arc_ok: 1.0 - failed,
                arc_error: failed,
                detail_errors: node.errors.0,
                detail_unpaired: node.unpaired.values().sum(),
            }
        };
        let edge = |edge: &GraphEdge| PanelEdge {
            id: format!("{}|{}|{}", edge.source, edge.target, edge.connection_type),
            source: edge.source.clone(),
            target: edge.target.clone(),
            mainstat: format!("{} requests", edge.requests.0),
            secondarystat: format!("p95 {}", shown_duration(edge.p95_ns)),
            detail_type: edge.connection_type,
            detail_errors: edge.errors.0,
        };
        NodeGraphAnswer { nodes: self.nodes.iter().map(node).collect(), edges: self.edges.iter().map(edge).collect() }
    }
}

/// The window of whole minutes around a window.
pub(crate) fn outward(window: Window) -> Window {
    let minutes = minutes_of(window);
    let from_ns = if window.from_ns == Window::ALL.from_ns { window.from_ns } else { minutes.from_s * SECOND_NS };
    let to_ns = if window.to_ns == Window::ALL.to_ns { window.to_ns } else { minutes.to_s * SECOND_NS };
    Window { from_ns, to_ns }
}

fn minutes_of(Window { from_ns, to_ns }: Window) -> Minutes {
    let minute_ns = MINUTE_S * SECOND_NS;
    let from_s = from_ns.div_euclid(minute_ns).saturating_mul(MINUTE_S).clamp(0, LATEST_S);
    let to_s = to_ns.saturating_add(minute_ns - 1).div_euclid(minute_ns).saturating_mul(MINUTE_S).clamp(0, LATEST_S);
    Minutes { from_s, to_s: to_s.max(from_s) }
}

fn told(nodes: Vec<graph::NodeRow>, edges: Vec<graph::EdgeRow>) -> Whole {
    let node = |row: graph::NodeRow| {
        let kind = NodeKind::from_text(&row.kind)?;
        let [p50_ns, p95_ns, p99_ns] = quantiles(&row.latency);
        let mut unpaired = BTreeMap::new();
        for (age, (codes, counts)) in [(1, row.old), (0, row.new)] {
            for (code, count) in codes.iter().zip(counts) {
                let reason = Reason::from_code(code).map(|reason| reason.at_age(age, 1));
                reason.into_iter().for_each(|reason| *unpaired.entry(reason.code()).or_insert(0) += count);
            }
        }
        Some(GraphNode {
            id: NodeKey::new(kind, row.name.as_str()).id(),
            name: row.name,
            kind: kind.text(),
            requests: Amount(row.requests),
            errors: Amount(row.errors),
            p50_ns,
            p95_ns,
            p99_ns,
            unpaired,
            rank: 0,
            x: 0.0,
            y: 0.0,
        })
    };
    let edge = |row: graph::EdgeRow| {
        let [p50_ns, p95_ns, p99_ns] = quantiles(&row.latency);
        Some(GraphEdge {
            source: NodeKey::new(NodeKind::from_text(&row.source_kind)?, row.source).id(),
            target: NodeKey::new(NodeKind::from_text(&row.target_kind)?, row.target).id(),
            connection_type: ConnectionType::from_text(&row.connection_type)?.text(),
            requests: Amount(row.requests),
            errors: Amount(row.errors),
            p50_ns,
            p95_ns,
            p99_ns,
        })
    };
    Whole { nodes: nodes.into_iter().filter_map(node).collect(), edges: edges.into_iter().filter_map(edge).collect() }
}

fn quantiles((buckets, counts): &(Vec<i16>, Vec<f64>)) -> [Ns; 3] {
    let sketch = Sketch::from_buckets(buckets, counts);
    [0.5, 0.95, 0.99].map(|q| sketch.quantile(q).unwrap_or(0).into())
}

// What lies within so many calls of a service, whichever way they go; nothing when it is not there.
fn around(whole: &Whole, service: &str, hops: usize) -> (Vec<GraphNode>, Vec<GraphEdge>) {
    let named = NodeKey::new(NodeKind::Service, service).id();
    let is_it = |node: &&GraphNode| node.id == named || node.id == service;
    let Some(start) = whole.nodes.iter().find(is_it) else { return (Vec::new(), Vec::new()) };
    let mut neighbours: HashMap<&str, Vec<&str>> = HashMap::new();
    for edge in &whole.edges {
        neighbours.entry(&edge.source).or_default().push(&edge.target);
        neighbours.entry(&edge.target).or_default().push(&edge.source);
    }
    let mut kept = HashSet::from([start.id.as_str()]);
    let mut rim = vec![start.id.as_str()];
    for _ in 0..hops {
        let next = rim.iter().filter_map(|id| neighbours.get(id)).flatten().copied();
        rim = next.filter(|id| kept.insert(id)).collect();
        if rim.is_empty() {
            break;
        }
    }
    let nodes = whole.nodes.iter().filter(|node| kept.contains(node.id.as_str())).cloned().collect();
    let within = |edge: &&GraphEdge| kept.contains(edge.source.as_str()) && kept.contains(edge.target.as_str());
    (nodes, whole.edges.iter().filter(within).cloned().collect())
}

fn place(mut nodes: Vec<GraphNode>, edges: Vec<GraphEdge>, minutes: Minutes, state: &State) -> GraphAnswer {
    let numbers: HashMap<&str, u32> = nodes.iter().zip(0..).map(|(node, at)| (node.id.as_str(), at)).collect();
    let ids: Vec<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
    let calls: Vec<(u32, u32)> = edges
        .iter()
        .filter_map(|edge| Some((*numbers.get(edge.source.as_str())?, *numbers.get(edge.target.as_str())?)))
        .collect();
    let points = layout::layout(&ids, &calls);
    for (node, point) in nodes.iter_mut().zip(points) {
        (node.rank, node.x, node.y) = (point.layer, point.x, point.y);
    }
    GraphAnswer {
        nodes,
        edges,
        from_ns: (minutes.from_s * SECOND_NS).into(),
        to_ns: (minutes.to_s * SECOND_NS).into(),
        rolled_to_ns: (state.minutes > 0).then(|| state.rolled_ns.into()),
        partial: false,
        partial_reason: None,
    }
}

fn shown_duration(ns: Ns) -> String {
    let ns = ns.0 as f64;
    match ns {
        ns if ns >= 1e9 => format!("{:.2} s", ns / 1e9),
        ns if ns >= 1e6 => format!("{:.1} ms", ns / 1e6),
        ns => format!("{:.0} µs", ns / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> GraphNode {
        let zero = Ns(0);
        GraphNode {
            id: format!("service:{name}"),
            name: name.to_owned(),
            kind: "service",
            requests: Amount(4.0),
            errors: Amount(1.0),
            p50_ns: zero,
            p95_ns: Ns(1_500_000),
            p99_ns: zero,
            unpaired: BTreeMap::from([("peer_unknown", 2)]),
            rank: 0,
            x: 0.0,
            y: 0.0,
        }
    }

    fn chain(names: &[&str]) -> Whole {
        let edge = |pair: &[&str]| GraphEdge {
            source: format!("service:{}", pair[0]),
            target: format!("service:{}", pair[1]),
            connection_type: "rpc",
            requests: Amount(2.5),
            errors: Amount(0.0),
            p50_ns: Ns(0),
            p95_ns: Ns(0),
            p99_ns: Ns(0),
        };
        Whole { nodes: names.iter().map(|name| node(name)).collect(), edges: names.windows(2).map(edge).collect() }
    }

    // Scenario: a chain of calls, seen from its middle, its end, by id, and from a service that is not there.
    // Guarantee: what lies within the hops in either direction, with the calls between; nothing for the unknown.
    #[test]
    fn neighbourhoods() {
        let whole = chain(&["a", "b", "c", "d", "e"]);
        let names = |service: &str, hops| {
            let (nodes, edges) = around(&whole, service, hops);
            format!("{} {}", nodes.iter().map(|node| node.name.as_str()).collect::<String>(), edges.len())
        };
        assert_eq!(names("c", 1), "bcd 2");
        assert_eq!(names("service:c", 0), "c 0");
        assert_eq!(names("e", 2), "cde 2");
        assert_eq!(names("a", 99), "abcde 4");
        assert_eq!(names("x", 5), " 0");
    }

    // Scenario: ranges inside a minute, on its borders, before the epoch and beyond what a table holds.
    // Guarantee: whole minutes around them, within bounds.
    #[test]
    fn ranges_grow_to_minutes() {
        let minutes = |from_ns, to_ns| {
            let minutes = minutes_of(Window { from_ns, to_ns });
            (minutes.from_s, minutes.to_s)
        };
        assert_eq!(minutes(61 * SECOND_NS, 62 * SECOND_NS), (60, 120));
        assert_eq!(minutes(60 * SECOND_NS, 120 * SECOND_NS), (60, 120));
        assert_eq!(minutes(60 * SECOND_NS, 60 * SECOND_NS), (60, 60));
        assert_eq!(minutes(i64::MIN, i64::MAX), (0, LATEST_S));
    }

    // Scenario: a node and an edge for Grafana's panel and for the API.
    // Guarantee: the panel's names, shares that sum to one; whole counts without a fraction, others with it.
    #[test]
    fn words() {
        let whole = chain(&["a", "b"]);
        let state = State { minutes: 1, digest: 1, first_s: 0, last_s: 0, rolled_ns: 5 };
        let answer = place(whole.nodes, whole.edges, Minutes { from_s: 0, to_s: 60 }, &state);
        let panel = serde_json::to_value(answer.node_graph()).unwrap();
        assert_eq!(panel["nodes"][0]["arc__ok"], 0.75);
        assert_eq!(panel["nodes"][0]["secondarystat"], "p95 1.5 ms");
        assert_eq!(panel["edges"][0]["id"], "service:a|service:b|rpc");
        let own = serde_json::to_value(&answer).unwrap();
        assert_eq!((&own["nodes"][0]["requests"], &own["edges"][0]["requests"]), (&4.into(), &2.5.into()));
        assert_eq!((&own["to_ns"], &own["rolled_to_ns"]), (&"60000000000".into(), &"5".into()));
        assert!(own["nodes"][0]["x"].as_f64() < own["nodes"][1]["x"].as_f64(), "x grows along the calls");
    }
}
