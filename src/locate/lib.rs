//! Fault localization: two windows of evidence in, ranked suspects with proof out.
//!
//! Pure and deterministic: no clock, no randomness, no training, no constant of any one system. What spans and
//! logs tell is made into rows elsewhere (`correlate::evidence`); here the rows of a fault window and of a
//! baseline are compared. Nothing is stored; `view` asks, `store` feeds it.
//!
//! # Method
//! Each channel compares one kind of evidence and gives findings: a service, a strength from 0 to 1, a sentence.
//! - `gaps`: the way between caller and callee (client span minus server span), credited to the service that
//!   slow edges have in common. `own`: the time of the work itself. `lost`: the share of all time lost.
//! - `steps`: what follows what inside spans, over log patterns and calls, by the G statistic.
//! - `errors`: where errors start. `absence`: who no longer answers. `values`: failures of one version, pod,
//!   tenant. `fan_out`: calls that multiply. `queues`: messages that wait.
//! - `explain`: what happens in a span mainly when something below it is odd is a consequence, and counts less.
//! - `healthy`: each service against what it shows in healthy minutes.
//!
//! A service's score is the weighted sum of its channels' strongest findings.
//!
//! Beside it, [`changes`] says what is new in a window, whether or not anybody is guilty.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod absence;
mod ask;
mod changes;
mod clocks;
mod errors;
mod examples;
mod explain;
mod fan_out;
mod finding;
mod gaps;
mod healthy;
mod join;
mod lost;
mod own;
mod queues;
mod report;
mod score;
mod side;
mod stats;
mod steps;
mod storms;
mod suspects;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_shop;
mod values;
mod verdict;
mod victims;
mod words;

pub use ask::{Question, Weights};
pub use changes::{Change, changes, version_changes};
pub use report::{EvidenceItem, EvidenceKind, Example, Examples, Part, Place, Report, Suspect, Verdict, Victim};

use std::collections::BTreeMap;

use examples::Album;
use finding::{Channel, Finding};
use healthy::Healthy;

/// Ranks the services by what speaks against them. Ties go by name; the same question has the same answer.
pub fn locate(question: &Question) -> Report {
    let mut findings = look(question);
    let notices = clocks::notices(question);
    if !notices.is_empty() {
        // A wait is a difference of two clocks.
        findings.retain(|found| found.channel != Channel::Queues);
    }
    if let Some((_, fault)) = question.samples {
        let shares = explain::own_shares(fault, &findings);
        for (found, share) in findings.iter_mut().zip(shares) {
            found.strength *= share;
        }
    }
    let mut standings = score::standings(&findings, &question.weights);
    let healthy = Healthy::learn(question, look);
    healthy.discount(&mut standings, question);
    if let Some(service) = question.service {
        let reached = victims::reach(question, service);
        standings.retain(|service, _| reached.contains(service));
    }
    let mut ranked: Vec<_> = standings.into_iter().filter(|(_, standing)| standing.score > 0.0).collect();
    ranked.sort_by(|a, b| b.1.score.total_cmp(&a.1.score).then_with(|| a.0.cmp(&b.0)));
    let album = question.samples.map(|(baseline, fault)| Album::new(baseline, fault, &findings));
    let suspects = suspects::suspects(question, &healthy, &findings, &ranked, album.as_ref());
    verdict::report(question, &healthy, suspects, notices)
}

// The findings of all channels, as the rows give them.
fn look(question: &Question) -> Vec<Finding> {
    let edges = gaps::edges(question);
    let work = own::work(question);
    let mut findings = gaps::findings(&edges);
    findings.extend(lost::findings(question, &edges, &work, &findings));
    findings.extend(own::findings(&work));
    let (absent, told) = absence::findings(question);
    findings.extend(absent);
    let events = steps::findings(question).into_iter().chain(errors::findings(question));
    findings.extend(events.map(|found| retold(found, &told)));
    findings.extend(values::findings(question));
    findings.extend(fan_out::findings(question));
    storms::discount(&mut findings);
    findings.extend(queues::findings(question));
    findings
}

// What happens in client spans because nobody answers is the callee's absence, told already.
fn retold(mut found: Finding, told: &BTreeMap<(String, String), f64>) -> Finding {
    if let Some(calls) = told.get(&(found.service.clone(), found.place.operation.clone())).filter(|_| found.hits > 0.0)
    {
        found.strength *= 1.0 - (calls / found.hits).min(1.0);
    }
    found
}
