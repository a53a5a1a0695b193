//! Who suffers: callers of the suspect that are slower or fail because of it, and their callers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::evidence::{Count, Dist, EdgeRow, EdgeType};

use crate::ask::Question;
use crate::report::Victim;
use crate::stats::{g_signed, share, shift};
use crate::words::{percent, time};

/// An edge suffers when its calls are slower by so much of what they vary, or fail more often by so much G.
const SLOWER: f64 = 1.5;
const FAILS_G: f64 = 7.0;
/// Victims that are told.
const VICTIMS_MAX: usize = 20;

/// What the callers notice: by callee, who and what.
#[derive(Debug, Default)]
pub(crate) struct Suffering {
    edges: BTreeMap<String, Vec<(String, String)>>,
}

#[derive(Default)]
struct Sum {
    calls: Count,
    errors: Count,
    latency: Dist,
}

/// Finds the edges that suffer.
pub(crate) fn suffering(question: &Question) -> Suffering {
    let sums = |rows: &[EdgeRow]| {
        let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.edge == EdgeType::Rpc) {
            let sum = sums.entry((row.caller.clone(), row.callee.clone())).or_default();
            sum.calls.add(row.calls);
            sum.errors.add(row.errors);
            sum.latency.merge(&row.latency);
        }
        sums
    };
    let (before, now) = (sums(&question.baseline.edges), sums(&question.fault.edges));
    let mut found = Suffering::default();
    for ((caller, callee), sum) in now {
        let Some(usual) = before.get(&(caller.clone(), callee.clone())).filter(|_| caller != callee) else { continue };
        let spans = |count: Count| count.spans() as f64;
        let rates =
            (share(usual.errors.weight(), usual.calls.weight()), share(sum.errors.weight(), sum.calls.weight()));
        let g = g_signed(spans(usual.errors), spans(usual.calls), spans(sum.errors), spans(sum.calls));
        let text = if g > FAILS_G && rates.1 - rates.0 > 0.02 {
            format!("{} of its calls to {callee} fail, {} before", percent(rates.1), percent(rates.0))
        } else if shift(&usual.latency, &sum.latency) > SLOWER {
            let at = |dist: &Dist| dist.mean();
            format!(
                "its calls to {callee} take {} on average, {} before",
                time(at(&sum.latency)),
                time(at(&usual.latency))
            )
        } else {
            continue;
        };
        found.edges.entry(callee).or_default().push((caller, text));
    }
    found
}

impl Suffering {
    /// Who suffers from `service`, nearest first.
    pub(crate) fn victims(&self, service: &str) -> Vec<Victim> {
        let mut seen = BTreeSet::from([service.to_owned()]);
        let mut next = VecDeque::from([vec![service.to_owned()]]);
        let mut victims = Vec::new();
        while let Some(path) = next.pop_front() {
            let last = path.last().cloned().unwrap_or_default();
            for (caller, text) in self.edges.get(&last).into_iter().flatten() {
                if victims.len() < VICTIMS_MAX && seen.insert(caller.clone()) {
                    let path: Vec<String> = path.iter().chain([caller]).cloned().collect();
                    victims.push(Victim { service: caller.clone(), path: path.clone(), text: text.clone() });
                    next.push_back(path);
                }
            }
        }
        victims
    }
}

/// `service` and all that it calls, directly or through others.
pub(crate) fn reach(question: &Question, service: &str) -> BTreeSet<String> {
    let mut calls: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in question.fault.edges.iter().chain(&question.baseline.edges) {
        calls.entry(&row.caller).or_default().push(&row.callee);
    }
    let mut reached = BTreeSet::from([service.to_owned()]);
    let mut next = vec![service];
    while let Some(caller) = next.pop() {
        for callee in calls.get(caller).into_iter().flatten() {
            if reached.insert((*callee).to_owned()) {
                next.push(callee);
            }
        }
    }
    reached
}
