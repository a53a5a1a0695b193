//! How well lines are grouped, measured against groups made by hand: the grouping accuracy and the F1
//! of groups of the log parsing literature (Loghub-2.0).

use std::collections::HashMap;
use std::hash::Hash;

/// What a comparison of groupings gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Grouping {
    /// GA: the part of lines whose group has exactly the lines of a true group; 0 to 1.
    pub accuracy: f64,
    /// FGA: the harmonic mean of the part of groups that are true, and of true groups found; 0 to 1.
    pub f1: f64,
    /// Groups made.
    pub groups: usize,
    /// True groups.
    pub true_groups: usize,
}

/// Compares the groups of the same lines; all 0 when there is none.
pub fn grouping<P: Hash + Eq, T: Hash + Eq>(lines: impl Iterator<Item = (P, T)> + Clone) -> Grouping {
    let mut sizes: HashMap<P, usize> = HashMap::new();
    let mut true_sizes: HashMap<T, usize> = HashMap::new();
    let mut shared: HashMap<(P, T), usize> = HashMap::new();
    let mut total = 0;
    for ((group, true_group), pair) in lines.clone().zip(lines) {
        *sizes.entry(group).or_default() += 1;
        *true_sizes.entry(true_group).or_default() += 1;
        *shared.entry(pair).or_default() += 1;
        total += 1;
    }
    if total == 0 {
        return Grouping::default();
    }
    let exact = shared.iter().filter(|((group, truth), size)| sizes[group] == **size && true_sizes[truth] == **size);
    let (groups_found, lines_found) = exact.fold((0, 0), |(groups, lines), (_, size)| (groups + 1, lines + size));
    Grouping {
        accuracy: lines_found as f64 / total as f64,
        f1: 2.0 * groups_found as f64 / (sizes.len() + true_sizes.len()) as f64,
        groups: sizes.len(),
        true_groups: true_sizes.len(),
    }
}
