//! The service graph of a range: nodes and edges with their counts, latencies and reasons, placed for
//! drawing. It is read from whole minutes, so the range is rounded outward, and the answer says to what.
//!
//! Hours are merged by the store, and kept as long as their minutes stay what they are: the key holds their
//! generations. So a week is dear for its first reader only; after that, what has changed is read. At the ends
//! of a window, slots of ten minutes are kept with their minutes, so that a window that moves reads nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use correlate::graph::{ConnectionType, NodeKey, NodeKind, Reason, Sketch};
use futures_util::{StreamExt, TryStreamExt, stream};
use model::time::SECOND_NS;
use moka::future::Cache;
use serde::{Serialize, Serializer};
use store::questions::graph::{self, Minutes};
use store::questions::{Ask, Window};
use utoipa::ToSchema;

use crate::layout;
use crate::shared::Ns;
use crate::time::TimeRange;
use crate::{View, ViewError, ask};

/// Answers kept.
const ANSWERS_MAX: u64 = 128;
/// Bytes of merged parts kept.
const PARTS_BYTES_MAX: u64 = 64 << 20;
/// Parts asked for together.
const PARTS_AT_ONCE: usize = 24;
/// Questions for parts at the same time.
const READS_AT_ONCE: usize = 3;
/// Hops around a service when none are asked for.
const HOPS_DEFAULT: usize = 1;
/// A partner may still be on its way for so long after a minute's end.
const LATE_S: i64 = 30;
/// Seconds of a minute.
const MINUTE_S: i64 = 60;
/// Seconds of an hour.
const HOUR_S: i64 = 3_600;
/// Seconds of a slot, for what is not a whole hour.
const SLOT_S: i64 = 600;
/// Above this many edges in its minutes, a slot is merged as far as it lies in the window.
const SLOT_EDGES_MAX: u64 = 5_000;
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

/// The kept graphs: parts merged from their minutes, and answers. Keys hold the generations.
pub(crate) struct Graphs {
    parts: Cache<PartKey, Arc<Sums>>,
    answers: Cache<AnswerKey, Arc<GraphAnswer>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PartKey {
    tenant: Arc<str>,
    part: Part,
}

/// A part of a window: a slot of `width_s` seconds, as rows of `row_s` seconds each. Where a row is no more than a
/// minute, all of the slot, else as far as it lies in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Part {
    slot: i64,
    width_s: i64,
    row_s: i64,
    // Of the minutes of it that are meant, and their generations.
    digest: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AnswerKey {
    tenant: Arc<str>,
    minutes: Minutes,
    digests: u64,
    young_s: i64,
    service: Option<String>,
    hops: usize,
}

/// The nodes and edges of a part.
#[derive(Debug, Default)]
struct Sums {
    // Seconds of a row.
    row_s: i64,
    nodes: Vec<graph::NodeRow>,
    edges: Vec<graph::EdgeRow>,
}

/// A window's graph, not yet placed.
struct Whole {
    nodes: Vec<GraphNode>,
    edges: Vec<GraphEdge>,
}

impl Graphs {
    pub(crate) fn new() -> Graphs {
        let weight = |_: &PartKey, sums: &Arc<Sums>| sums.bytes();
        Graphs {
            parts: Cache::builder().max_capacity(PARTS_BYTES_MAX).weigher(weight).build(),
            answers: Cache::builder().max_capacity(ANSWERS_MAX).build(),
        }
    }
}

impl Sums {
    fn bytes(&self) -> u32 {
        let latency = |(indexes, counts): &(Vec<i16>, Vec<f64>)| indexes.capacity() * 2 + counts.capacity() * 8;
        let nodes = self.nodes.iter().map(|row| 200 + latency(&row.latency) + row.unpaired.0.len() * 48);
        let edges = self.edges.iter().map(|row| 320 + latency(&row.latency));
        u32::try_from(nodes.chain(edges).sum::<usize>()).unwrap_or(u32::MAX)
    }
}

impl View {
    /// The service graph of a range.
    pub async fn graph(&self, tenant: &str, question: GraphQuestion, now_ns: i64) -> Result<GraphAnswer, ViewError> {
        let mut minutes = minutes_of(question.range.window(now_ns)?);
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        let (slots, behind) = tokio::join!(graph::slots(&ask, minutes, SLOT_S), graph::is_behind(&ask));
        let slots = slots?;
        // Open ends reach as far as there is something.
        let now_s = now_ns.div_euclid(SECOND_NS);
        let now_minute_s = now_s.div_euclid(MINUTE_S) * MINUTE_S;
        if question.range.from.is_none() {
            minutes.from_s = slots.first().map_or(now_minute_s, |slot| slot.first_s).min(minutes.to_s);
        }
        if question.range.to.is_none() {
            minutes.to_s = slots.last().map_or(now_minute_s, |slot| slot.last_s + MINUTE_S).max(minutes.from_s);
        }
        let key = AnswerKey {
            tenant: tenant.into(),
            minutes,
            digests: slots.iter().fold(0, |sum: u64, slot| sum.rotate_left(5).wrapping_add(slot.digest)),
            young_s: ((now_s - LATE_S).div_euclid(MINUTE_S) * MINUTE_S).clamp(0, LATEST_S),
            service: question.service,
            hops: question.hops.unwrap_or(HOPS_DEFAULT),
        };
        let made = self.graphs.answers.try_get_with(key.clone(), async {
            let sums = self.sums(&ask, &key.tenant, minutes, &slots).await?;
            let young = Minutes { from_s: key.young_s.max(minutes.from_s), ..minutes };
            let young = if young.from_s < young.to_s { graph::reasons(&ask, young).await? } else { Vec::new() };
            let rolled_ns = slots.iter().map(|slot| slot.rolled_ns).max();
            let make = move || {
                let whole = merge(&sums, minutes, &young);
                let whole = match &key.service {
                    Some(service) => around(&whole, service, key.hops),
                    None => whole,
                };
                Arc::new(place(whole, minutes, rolled_ns))
            };
            tokio::task::spawn_blocking(make).await.map_err(|_| ViewError::Broken("making the graph broke off".into()))
        });
        let made = made.await.map_err(|error| error.again())?;
        let mut answer = GraphAnswer::clone(&made);
        // Who may not read system tables cannot say.
        if behind.unwrap_or(false) {
            answer.partial = true;
            answer.partial_reason = Some("stored spans are still being rolled up".to_owned());
        }
        Ok(answer)
    }

    // The parts of a window: kept ones, and those that have changed since, asked for together.
    async fn sums(
        &self,
        ask: &Ask<'_>,
        tenant: &Arc<str>,
        minutes: Minutes,
        slots: &[graph::Slot],
    ) -> Result<Vec<Arc<Sums>>, ViewError> {
        let key = |part: &Part| PartKey { tenant: Arc::clone(tenant), part: *part };
        let mut sums = Vec::new();
        let mut absent: Vec<Part> = Vec::new();
        for part in parts(slots, minutes) {
            match self.graphs.parts.get(&key(&part)).await {
                Some(kept) => sums.push(kept),
                None => absent.push(part),
            }
        }
        let follows = |a: &Part, b: &Part| (a.width_s, a.row_s, a.slot + 1) == (b.width_s, b.row_s, b.slot);
        let runs = absent.chunk_by(follows).flat_map(|run| run.chunks(PARTS_AT_ONCE));
        let reads: Vec<_> = runs.map(|run| read_parts(ask, minutes, run)).collect();
        let mut read = stream::iter(reads).buffered(READS_AT_ONCE);
        while let Some(run) = read.try_next().await? {
            for (part, made) in run {
                let made = Arc::new(made);
                self.graphs.parts.insert(key(&part), Arc::clone(&made)).await;
                sums.push(made);
            }
        }
        Ok(sums)
    }
}

// Parts of one kind that follow each other.
async fn read_parts(ask: &Ask<'_>, minutes: Minutes, run: &[Part]) -> Result<Vec<(Part, Sums)>, ViewError> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(Vec::new()) };
    let Part { width_s, row_s, .. } = *first;
    let all = Minutes { from_s: first.slot * width_s, to_s: (last.slot + 1) * width_s };
    let read = match row_s <= MINUTE_S {
        true => all,
        false => Minutes { from_s: all.from_s.max(minutes.from_s), to_s: all.to_s.min(minutes.to_s) },
    };
    let (nodes, edges) = tokio::try_join!(graph::nodes(ask, read, row_s), graph::edges(ask, read, row_s))?;
    let mut by_slot: HashMap<i64, Sums> = HashMap::new();
    let slot = |row: i64| (row * row_s).div_euclid(width_s);
    nodes.into_iter().for_each(|row| by_slot.entry(slot(row.slot)).or_default().nodes.push(row));
    edges.into_iter().for_each(|row| by_slot.entry(slot(row.slot)).or_default().edges.push(row));
    let made = |part: &Part| (*part, Sums { row_s, ..by_slot.remove(&part.slot).unwrap_or_default() });
    Ok(run.iter().map(made).collect())
}

// Hours that lie wholly in the window as one part each, what is left in slots.
fn parts(slots: &[graph::Slot], minutes: Minutes) -> Vec<Part> {
    let hour_of = |slot: &graph::Slot| (slot.slot * SLOT_S).div_euclid(HOUR_S);
    let mut parts = Vec::new();
    for some in slots.chunk_by(|a, b| hour_of(a) == hour_of(b)) {
        let hour = hour_of(&some[0]);
        if minutes.from_s <= hour * HOUR_S && (hour + 1) * HOUR_S <= minutes.to_s {
            let digest = some.iter().fold(0, |sum: u64, slot| sum.wrapping_add(slot.digest));
            parts.push(Part { slot: hour, width_s: HOUR_S, row_s: HOUR_S, digest });
        } else {
            let part = |slot: &graph::Slot| match slot.edges <= SLOT_EDGES_MAX {
                true => Part { slot: slot.slot, width_s: SLOT_S, row_s: MINUTE_S, digest: slot.around },
                false => Part { slot: slot.slot, width_s: SLOT_S, row_s: SLOT_S, digest: slot.digest },
            };
            parts.extend(some.iter().map(part));
        }
    }
    parts
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

/// What is summed over parts.
#[derive(Default)]
struct Sum<'a> {
    requests: f64,
    errors: f64,
    latencies: Vec<&'a (Vec<i16>, Vec<f64>)>,
    unpaired: BTreeMap<&'static str, u64>,
}

impl<'a> Sum<'a> {
    fn add(&mut self, requests: f64, errors: f64, latency: &'a (Vec<i16>, Vec<f64>)) {
        self.requests += requests;
        self.errors += errors;
        self.latencies.push(latency);
    }

    // The histograms laid over each other in `scratch`, which is left as it was found: all zero.
    fn quantiles(&self, scratch: &mut Vec<f64>) -> [Ns; 3] {
        for (indexes, counts) in &self.latencies {
            for (index, count) in indexes.iter().zip(counts) {
                let at = usize::try_from(*index).unwrap_or(0);
                if at >= scratch.len() {
                    scratch.resize(at + 1, 0.0);
                }
                scratch[at] += count;
            }
        }
        let (mut indexes, mut counts) = (Vec::new(), Vec::new());
        for (at, count) in scratch.iter_mut().enumerate().filter(|(_, count)| **count != 0.0) {
            indexes.push(at as i16);
            counts.push(std::mem::take(count));
        }
        let sketch = Sketch::from_buckets(&indexes, &counts);
        [0.5, 0.95, 0.99].map(|q| sketch.quantile(q).unwrap_or(0).into())
    }
}

// What the window has of its parts.
fn merge(parts: &[Arc<Sums>], minutes: Minutes, young: &[graph::ReasonsRow]) -> Whole {
    let mut nodes: BTreeMap<(&str, &str), Sum<'_>> = BTreeMap::new();
    let mut edges: BTreeMap<[&str; 5], Sum<'_>> = BTreeMap::new();
    for part in parts {
        let is_within = |row: i64| row * part.row_s < minutes.to_s && (row + 1) * part.row_s > minutes.from_s;
        for row in part.nodes.iter().filter(|row| is_within(row.slot)) {
            let sum = nodes.entry((&row.kind, &row.name)).or_default();
            sum.add(row.requests, row.errors, &row.latency);
            for (code, count) in row.unpaired.0.iter().zip(&row.unpaired.1) {
                let reason = Reason::from_code(code);
                reason.into_iter().for_each(|reason| *sum.unpaired.entry(reason.code()).or_insert(0) += count);
            }
        }
        for row in part.edges.iter().filter(|row| is_within(row.slot)) {
            let key = [&row.source_kind, &row.source, &row.target_kind, &row.target, &row.connection_type];
            edges.entry(key.map(String::as_str)).or_default().add(row.requests, row.errors, &row.latency);
        }
    }
    // In the youngest minutes some partners are only late.
    for row in young {
        let Some(sum) = nodes.get_mut(&(row.kind.as_str(), row.name.as_str())) else { continue };
        for (code, count) in row.unpaired.0.iter().zip(&row.unpaired.1) {
            let Some(reason) = Reason::from_code(code) else { continue };
            let told = reason.at_age(0, 1);
            if told != reason {
                let known = sum.unpaired.entry(reason.code()).or_insert(0);
                let moved = (*known).min(*count);
                *known -= moved;
                *sum.unpaired.entry(told.code()).or_insert(0) += moved;
            }
        }
        sum.unpaired.retain(|_, count| *count > 0);
    }
    let mut scratch = Vec::new();
    let id = |kind: &str, name: &str| Some(NodeKey::new(NodeKind::from_text(kind)?, name).id());
    let node = |((kind, name), sum): ((&str, &str), Sum<'_>)| {
        let [p50_ns, p95_ns, p99_ns] = sum.quantiles(&mut scratch);
        Some(GraphNode {
            id: id(kind, name)?,
            name: name.to_owned(),
            kind: NodeKind::from_text(kind)?.text(),
            requests: Amount(sum.requests),
            errors: Amount(sum.errors),
            p50_ns,
            p95_ns,
            p99_ns,
            unpaired: sum.unpaired,
            rank: 0,
            x: 0.0,
            y: 0.0,
        })
    };
    let nodes = nodes.into_iter().filter_map(node).collect();
    let edge = |(key, sum): ([&str; 5], Sum<'_>)| {
        let [p50_ns, p95_ns, p99_ns] = sum.quantiles(&mut scratch);
        let [source_kind, source, target_kind, target, connection_type] = key;
        Some(GraphEdge {
            source: id(source_kind, source)?,
            target: id(target_kind, target)?,
            connection_type: ConnectionType::from_text(connection_type)?.text(),
            requests: Amount(sum.requests),
            errors: Amount(sum.errors),
            p50_ns,
            p95_ns,
            p99_ns,
        })
    };
    Whole { nodes, edges: edges.into_iter().filter_map(edge).collect() }
}

// What lies within so many calls of a service, whichever way they go; nothing when it is not there.
fn around(whole: &Whole, service: &str, hops: usize) -> Whole {
    let named = NodeKey::new(NodeKind::Service, service).id();
    let is_it = |node: &&GraphNode| node.id == named || node.id == service;
    let Some(start) = whole.nodes.iter().find(is_it) else {
        return Whole { nodes: Vec::new(), edges: Vec::new() };
    };
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
    Whole { nodes, edges: whole.edges.iter().filter(within).cloned().collect() }
}

fn place(whole: Whole, minutes: Minutes, rolled_ns: Option<i64>) -> GraphAnswer {
    let Whole { mut nodes, edges } = whole;
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
        rolled_to_ns: rolled_ns.map(Into::into),
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
            let Whole { nodes, edges } = around(&whole, service, hops);
            format!("{} {}", nodes.iter().map(|node| node.name.as_str()).collect::<String>(), edges.len())
        };
        assert_eq!(names("c", 1), "bcd 2");
        assert_eq!(names("service:c", 0), "c 0");
        assert_eq!(names("e", 2), "cde 2");
        assert_eq!(names("a", 99), "abcde 4");
        assert_eq!(names("x", 5), " 0");
    }

    // Scenario: slots of three hours in a window that cuts the first and the last; a quarter later; one slot with very many edges.
    // Guarantee: the whole hour is one part, the others are slots whose key does not depend on where they are cut, but for the large one.
    #[test]
    fn windows_are_made_of_parts() {
        let slot = |slot, digest| {
            let edges = if slot == 13 { SLOT_EDGES_MAX + 1 } else { 9 };
            graph::Slot { slot, edges, digest, around: digest * 3, first_s: 0, last_s: 0, rolled_ns: 0 }
        };
        let slots = [slot(5, 1), slot(6, 2), slot(11, 4), slot(12, 8), slot(13, 16)];
        let drawn = |from_s, to_s| {
            let parts = parts(&slots, Minutes { from_s, to_s });
            let drawn: Vec<String> =
                parts.iter().map(|part| format!("{}x{}={}", part.slot, part.width_s, part.digest)).collect();
            drawn.join(" ")
        };
        assert_eq!(drawn(3_000, 8_400), "5x600=3 1x3600=6 12x600=24 13x600=16");
        assert_eq!(drawn(3_660, 8_400), "5x600=3 6x600=6 11x600=12 12x600=24 13x600=16");
        assert_eq!(drawn(0, 10_800), "0x3600=1 1x3600=6 2x3600=24");
    }

    // Scenario: two hours and two minutes, of which one is outside, with the same node and edge; reasons of which some
    // stand in young minutes.
    // Guarantee: counts and histograms of the window add up; what may be late is told as late; nothing is lost.
    #[test]
    fn hours_add_up() {
        let latency = |index: i16| (vec![3, index], vec![1.0, 1.0]);
        let sums = |row_s, slot, index| {
            let node = graph::NodeRow {
                slot,
                kind: "service".into(),
                name: "pay".into(),
                requests: 2.0,
                errors: 0.5,
                latency: latency(index),
                unpaired: (vec!["clock_skew".into(), "peer_unknown".into()], vec![1, 4]),
            };
            let edge = graph::EdgeRow {
                slot,
                source_kind: "service".into(),
                source: "shop".into(),
                target_kind: "service".into(),
                target: "pay".into(),
                connection_type: "rpc".into(),
                requests: 2.0,
                errors: 0.5,
                spans: 2,
                latency: latency(index),
            };
            Arc::new(Sums { row_s, nodes: vec![node], edges: vec![edge] })
        };
        let reasons = (vec!["clock_skew".into(), "peer_unknown".into()], vec![1, 3]);
        let young = graph::ReasonsRow { kind: "service".into(), name: "pay".into(), unpaired: reasons };
        let parts = [sums(3_600, 1, 9), sums(60, 120, 400), sums(60, 121, 900)];
        let whole = merge(&parts, Minutes { from_s: 3_600, to_s: 7_260 }, &[young]);
        let (node, edge) = (&whole.nodes[0], &whole.edges[0]);
        assert_eq!(
            (node.requests, node.errors, edge.requests, edge.errors),
            (Amount(4.0), Amount(1.0), Amount(4.0), Amount(1.0))
        );
        assert_eq!((node.p50_ns, node.p99_ns, edge.p50_ns, edge.p99_ns), (Ns(3), Ns(400), Ns(3), Ns(400)));
        assert_eq!(node.unpaired, BTreeMap::from([("clock_skew", 2), ("not_yet_arrived", 3), ("peer_unknown", 5)]));
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
        let answer = place(whole, Minutes { from_s: 0, to_s: 60 }, Some(5));
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
