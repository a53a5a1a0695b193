//! Sums by key, so many and no more: the same keys stay, whatever came first.

use std::collections::HashMap;
use std::hash::Hash;

/// Sums by key. Of more than `max` keys those with the least rank stay; what has been cut is never let in
/// again, so the sums of those that stay are whole.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    sums: HashMap<K, V, foldhash::fast::RandomState>,
    max: usize,
    // Keys above this rank were cut.
    limit: u64,
    pub(super) cut: u64,
}

impl<K: Hash + Eq + Copy, V: Default> Bounded<K, V> {
    pub(super) fn new(max: usize) -> Bounded<K, V> {
        Bounded { sums: HashMap::default(), max, limit: u64::MAX, cut: 0 }
    }

    /// The sum of a key, unless it is cut. `rank` must not depend on how texts are numbered.
    pub(super) fn at(&mut self, key: K, rank: impl Fn(&K) -> u64) -> Option<&mut V> {
        if self.limit != u64::MAX && rank(&key) > self.limit {
            self.cut += 1;
            return None;
        }
        if self.sums.len() >= self.max * 2 && !self.sums.contains_key(&key) {
            self.prune(&rank);
            if rank(&key) > self.limit {
                self.cut += 1;
                return None;
            }
        }
        Some(self.sums.entry(key).or_default())
    }

    /// What stays, in any order, and how often something was cut.
    pub(super) fn finish(mut self, rank: impl Fn(&K) -> u64) -> (Vec<(K, V)>, u64) {
        if self.sums.len() > self.max {
            self.prune(&rank);
        }
        (self.sums.into_iter().collect(), self.cut)
    }

    fn prune(&mut self, rank: &impl Fn(&K) -> u64) {
        let mut ranks: Vec<u64> = self.sums.keys().map(rank).collect();
        let (_, limit, _) = ranks.select_nth_unstable(self.max - 1);
        self.limit = *limit;
        let limit = self.limit;
        let before = self.sums.len();
        self.sums.retain(|key, _| rank(key) <= limit);
        self.cut += (before - self.sums.len()) as u64;
    }
}
