//! Who calls whom: what makes neighbours.

use std::collections::{BTreeMap, BTreeSet};

/// Edges kept; the ones longest unseen go first.
const EDGES_MAX: usize = 50_000;
/// An edge that was not told for so long is gone.
const STALE_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// The call graph, as far as it was told.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    told: BTreeMap<(String, String), i64>,
    callees: BTreeMap<String, BTreeSet<String>>,
    callers: BTreeMap<String, BTreeSet<String>>,
}

impl Calls {
    /// Takes edges as they are now; older ones stay for a while: a service that is gone calls nobody.
    pub(crate) fn tell(&mut self, edges: &[(String, String)], now_ns: i64) {
        for (caller, callee) in edges.iter().filter(|(caller, callee)| caller != callee) {
            self.told.insert((caller.clone(), callee.clone()), now_ns);
        }
        self.told.retain(|_, at_ns| *at_ns > now_ns.saturating_sub(STALE_NS));
        if self.told.len() > EDGES_MAX {
            let mut times: Vec<i64> = self.told.values().copied().collect();
            times.sort_unstable();
            let oldest_ns = times[times.len() - EDGES_MAX];
            self.told.retain(|_, at_ns| *at_ns > oldest_ns);
        }
        (self.callees, self.callers) = (BTreeMap::new(), BTreeMap::new());
        for (caller, callee) in self.told.keys() {
            self.callees.entry(caller.clone()).or_default().insert(callee.clone());
            self.callers.entry(callee.clone()).or_default().insert(caller.clone());
        }
    }

    pub(crate) fn callees(&self, of: &str) -> impl Iterator<Item = &str> {
        self.callees.get(of).into_iter().flatten().map(String::as_str)
    }

    pub(crate) fn callers(&self, of: &str) -> impl Iterator<Item = &str> {
        self.callers.get(of).into_iter().flatten().map(String::as_str)
    }

    /// The node that a call's peer is: the peer itself, or the service of that host name.
    pub(crate) fn node<'a>(&'a self, peer: &'a str) -> &'a str {
        let known = |name: &str| self.callers.contains_key(name) || self.callees.contains_key(name);
        if !known(peer) && known(host(peer)) { host(peer) } else { peer }
    }
}

/// The first part of a host's name: in clusters that is the service.
pub(crate) fn host(peer: &str) -> &str {
    peer.split(['.', ':']).next().unwrap_or(peer)
}
