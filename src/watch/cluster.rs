//! Which symptoms belong together. Neighbourhood alone does not tell: behind a gateway everything is near
//! everything. So symptoms are followed to where they come from. Errors and slowness travel from the callee to its
//! callers, and a call that deviates says to which callee; missing traffic travels from the caller to its callees.
//! The service at the end of the way is the *origin*, and what leads to one origin is one cluster. A caller may
//! suffer from two of them without making them one.

use std::collections::{BTreeMap, BTreeSet};

use crate::calls::Calls;
use crate::deviation::Signal;
use crate::subject::Subject;
use crate::symptom::Symptom;

/// The origin of all clocks that disagree: a clock is no service's.
pub(crate) const CLOCKS: &str = "(clocks)";

/// Symptoms with one origin.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) origin: String,
    /// Services on the way to the origin, itself included.
    pub(crate) members: BTreeSet<String>,
    /// Places in the list of symptoms. One that leads to several origins is in each.
    pub(crate) symptoms: Vec<usize>,
}

#[derive(Debug, Default)]
struct Node {
    hard: bool,
    // There is less or more to do, which callers decide.
    flow: bool,
    // Those of its callees that its calls accuse.
    accuses: BTreeSet<String>,
}

/// The clusters of what deviates, by origin.
pub(crate) fn clusters(symptoms: &[Symptom], calls: &Calls) -> Vec<Cluster> {
    let clocks = symptoms.iter().any(|symptom| symptom.signal == Signal::Clock);
    // A wait is a difference of two clocks.
    let is_clock = |symptom: &Symptom| {
        clocks && (symptom.signal == Signal::Clock || matches!(symptom.subject, Subject::Wait { .. }))
    };
    let nodes = nodes(symptoms.iter().filter(|symptom| !is_clock(symptom)), calls);
    let origins = origins(&nodes, calls);
    let mut clusters: BTreeMap<&str, Cluster> = BTreeMap::new();
    for (name, of) in &origins {
        for origin in of {
            let cluster = clusters.entry(origin.as_str()).or_default();
            cluster.origin.clone_from(origin);
            cluster.members.insert(name.clone());
        }
    }
    for (place, symptom) in symptoms.iter().enumerate() {
        if is_clock(symptom) {
            let cluster = clusters.entry(CLOCKS).or_default();
            cluster.origin = CLOCKS.to_owned();
            cluster.symptoms.push(place);
            continue;
        }
        // A call leads where its peer leads.
        let peer = match &symptom.subject {
            Subject::Call { peer, .. } if symptom.signal.is_hard() => Some(calls.node(peer)),
            _ => None,
        };
        let of = peer.and_then(|peer| origins.get(peer)).or_else(|| origins.get(symptom.subject.service()));
        for origin in of.into_iter().flatten() {
            if let Some(cluster) = clusters.get_mut(origin.as_str()) {
                cluster.symptoms.push(place);
            }
        }
    }
    clusters.into_values().filter(|cluster| !cluster.symptoms.is_empty()).collect()
}

fn nodes<'a>(symptoms: impl Iterator<Item = &'a Symptom>, calls: &Calls) -> BTreeMap<String, Node> {
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    for symptom in symptoms {
        let node = nodes.entry(symptom.subject.service().to_owned()).or_default();
        node.hard |= symptom.signal.is_hard();
        node.flow |= matches!(symptom.signal, Signal::Drop | Signal::Surge);
        if let (Subject::Call { peer, service, .. }, true) = (&symptom.subject, symptom.signal.is_hard()) {
            let peer = calls.node(peer).to_owned();
            if peer != *service {
                node.accuses.insert(peer.clone());
                nodes.entry(peer).or_default().hard = true;
            }
        }
    }
    nodes
}

// By node, the origins that it leads to.
fn origins(nodes: &BTreeMap<String, Node>, calls: &Calls) -> BTreeMap<String, BTreeSet<String>> {
    let hard = |name: &str| nodes.get(name).is_some_and(|node| node.hard);
    let mut down: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, node) in nodes.iter().filter(|(_, node)| node.hard) {
        let next = down.entry(name).or_default();
        next.extend(node.accuses.iter().map(String::as_str));
        if next.is_empty() {
            next.extend(calls.callees(name).filter(|callee| hard(callee)));
        }
        if next.is_empty() {
            // Somebody between may be too few, or not watched.
            let beyond = calls.callees(name).flat_map(|callee| calls.callees(callee));
            next.extend(beyond.filter(|callee| hard(callee) && callee != name));
        }
    }
    for (name, _) in nodes.iter().filter(|(_, node)| !node.hard && node.flow) {
        let callers = |of| calls.callers(of).filter(|caller| nodes.contains_key(*caller));
        let next = down.entry(name).or_default();
        let near = callers(name).filter(|caller| nodes.get(*caller).is_some_and(|node| node.hard || node.flow));
        next.extend(near);
        if next.is_empty() {
            let beyond = calls.callers(name).flat_map(callers);
            next.extend(beyond.filter(|caller| caller != name && hard(caller)));
        }
    }
    let reach: BTreeMap<&str, BTreeSet<&str>> = nodes.keys().map(|name| (name.as_str(), reach(name, &down))).collect();
    // Where all that a node leads to leads back, nothing is further down; of a ring the first name stands for all.
    let end = |name: &str| {
        let far = &reach[name];
        let is_end = far.iter().all(|further| reach[further].contains(name));
        far.iter().next().filter(|_| is_end).map(|first| (*first).to_owned())
    };
    nodes
        .keys()
        .map(|name| {
            let mut of: BTreeSet<String> = reach[name.as_str()].iter().filter_map(|far| end(far)).collect();
            // Less traffic has one reason; which of its callers' it is, nobody can tell.
            if !nodes[name].hard && of.len() > 1 {
                of = of.into_iter().take(1).collect();
            }
            (name.clone(), of)
        })
        .collect()
}

// Itself, and all that it leads to.
fn reach<'a>(from: &'a str, down: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(name) = next.pop() {
        for further in down.get(name).into_iter().flatten() {
            if reached.insert(further) {
                next.push(further);
            }
        }
    }
    reached
}
