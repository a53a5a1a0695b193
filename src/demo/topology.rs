//! What the shop's graph is, from the story alone: the truth that a graph made from spans is held against.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fault::each_step;
use crate::shop::{Dialect, QUEUES, STORES, Store, Svc, THIRD_PARTIES};
use crate::story::{OPERATIONS, Protocol, Step, VISITS};

/// Nodes and edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// By id.
    pub nodes: Vec<Node>,
    /// By source and target.
    pub edges: Vec<Edge>,
}

/// A service, a database, a queue, somebody outside, or the user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// `kind:name`.
    pub id: String,
    /// `service`, `database`, `messaging`, `external` or `user`.
    pub kind: &'static str,
    /// The service's name, `system/namespace@address` (without a namespace where spans name none), `system/queue`, or an address.
    pub name: String,
}

/// Who calls whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Id of the caller, or of what sends.
    pub source: String,
    /// Id of the callee, or of what receives.
    pub target: String,
    /// `rpc`, `database`, `messaging` or `external`.
    pub connection_type: &'static str,
    /// How spans tell of it.
    pub seen_as: &'static str,
}

impl Topology {
    /// The shop's.
    pub fn of_the_shop() -> Topology {
        let mut nodes: Vec<Node> = Svc::ALL.iter().map(|service| node("service", service.name().to_owned())).collect();
        // Brave names the address of its database and nothing else: who reads the spans sees an address.
        nodes.extend(STORES.iter().map(|store| store_node(store)));
        nodes.extend(QUEUES.iter().map(|queue| node("messaging", format!("{}/{}", queue.system, queue.name))));
        nodes.extend(THIRD_PARTIES.iter().map(|third| node("external", third.address.to_owned())));
        nodes.push(node("user", "user".to_owned()));
        nodes.sort();
        let mut edges = BTreeMap::new();
        let mut add = |source: String, target: String, connection_type, seen_as| {
            let edge = Edge { source, target, connection_type, seen_as };
            edges.insert((edge.source.clone(), edge.target.clone()), edge);
        };
        for (visit, _) in VISITS {
            add(id("user", "user"), service_id(visit.service), "rpc", "SERVER spans without a parent");
        }
        for operation in OPERATIONS {
            let from = service_id(operation.service);
            each_step(operation.steps, &mut |step| match step {
                Step::Call(to, ..) => {
                    let seen_as = match (to.service.about().dialect, to.protocol) {
                        (Dialect::Zipkin, _) => "CLIENT span shared by a Zipkin SERVER span",
                        (_, Protocol::Grpc) => "CLIENT and SERVER span, gRPC",
                        _ => "CLIENT and SERVER span, HTTP",
                    };
                    add(from.clone(), service_id(to.service), "rpc", seen_as);
                }
                Step::Query(store, ..) | Step::Cached(store, ..) => {
                    let target = store_node(store);
                    let connection_type = if target.kind == "external" { "external" } else { "database" };
                    add(from.clone(), target.id, connection_type, "CLIENT spans");
                }
                Step::Ask(third, ..) => {
                    add(
                        from.clone(),
                        id("external", third.address),
                        "external",
                        "CLIENT spans; nobody answers with spans",
                    );
                }
                Step::Publish(queue) => {
                    let topic = id("messaging", &format!("{}/{}", queue.system, queue.name));
                    let seen_as = match queue.by_link {
                        true => "PRODUCER span; CONSUMER span in another trace, with a link",
                        false => "PRODUCER span, parent of the CONSUMER span",
                    };
                    add(from.clone(), topic.clone(), "messaging", seen_as);
                    add(topic, service_id(queue.consumer.service), "messaging", seen_as);
                }
                _ => {}
            });
        }
        Topology { nodes, edges: edges.into_values().collect() }
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let nodes = self.nodes.iter().map(|node| json!({"id": node.id, "kind": node.kind, "name": node.name}));
        let edges = self.edges.iter().map(|edge| {
            json!({"source": edge.source, "target": edge.target, "connection_type": edge.connection_type,
                   "seen_as": edge.seen_as})
        });
        json!({"nodes": nodes.collect::<Vec<_>>(), "edges": edges.collect::<Vec<_>>()})
    }
}

fn store_node(store: &Store) -> Node {
    match store.address.contains(".shop.") {
        true if store.namespace.is_empty() => node("database", format!("{}@{}", store.system, store.address)),
        true => node("database", format!("{}/{}@{}", store.system, store.namespace, store.address)),
        false => node("external", store.address.to_owned()),
    }
}

fn node(kind: &'static str, name: String) -> Node {
    Node { id: id(kind, &name), kind, name }
}

fn id(kind: &str, name: &str) -> String {
    format!("{kind}:{name}")
}

fn service_id(service: Svc) -> String {
    id("service", service.name())
}
