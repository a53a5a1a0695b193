//! How well patterns match those that people made, on the 2k sets of Loghub, with one configuration:
//! `HYPOCENTER_DATA=folder cargo run --release -p hypocenter-correlate --example pattern_quality`.
//! `-- --differences` also shows the groups that differ.
#![allow(clippy::print_stdout)]

mod loghub;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use correlate::pattern_key;
use correlate::patterns::grouping::{Grouping, grouping};
use correlate::patterns::{Miner, Seen};

fn main() {
    let differences = std::env::args().any(|argument| argument == "--differences");
    let sets = loghub::sets();
    let mut mean = Grouping::default();
    for set in &sets {
        let keys: Vec<u64> = set.lines.iter().map(|line| pattern_key(line.as_bytes(), b"", 0, 0)).collect();
        let mut miner = Miner::default();
        for (key, line) in keys.iter().zip(&set.lines) {
            miner.add(&Seen { key: *key, body: line.as_bytes(), ..Seen::default() });
        }
        miner.settle();
        let patterns: Vec<u64> = keys.iter().map(|key| miner.pattern(*key, 0).expect("settled")).collect();
        let score = grouping(patterns.iter().zip(&set.templates));
        println!(
            "{:12} GA {:.3}  FGA {:.3}  patterns {:3} of {:3}, keys {}",
            set.name,
            score.accuracy,
            score.f1,
            score.groups,
            score.true_groups,
            keys.iter().collect::<BTreeSet<_>>().len()
        );
        mean.accuracy += score.accuracy / sets.len() as f64;
        mean.f1 += score.f1 / sets.len() as f64;
        if differences {
            let templates = miner.patterns().into_iter().map(|pattern| (pattern.id, pattern.template)).collect();
            show(&patterns, &templates, &set.templates);
        }
    }
    if !sets.is_empty() {
        println!("{:12} GA {:.3}  FGA {:.3}  ({} sets)", "mean", mean.accuracy, mean.f1, sets.len());
    }
}

// Patterns that hold several true groups, and true groups in several patterns.
fn show(patterns: &[u64], templates: &HashMap<u64, String>, truth: &[String]) {
    let mut by_pattern: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut by_truth: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (pattern, truth) in patterns.iter().zip(truth) {
        *by_pattern.entry(&templates[pattern]).or_default().entry(truth).or_default() += 1;
        *by_truth.entry(truth).or_default().entry(&templates[pattern]).or_default() += 1;
    }
    for (word, groups) in [("joined", by_pattern), ("parted", by_truth)] {
        for (one, many) in groups.iter().filter(|(_, many)| many.len() > 1) {
            println!("  {word}: {one}");
            many.iter().for_each(|(other, lines)| println!("    {lines:4} {other}"));
        }
    }
}
