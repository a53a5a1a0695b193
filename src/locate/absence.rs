//! What is no longer there: calls that nobody answers, and services without a sign of life.
//!
//! A client span whose operation used to have a server span below it, and has none now, was either not answered
//! (the callee is gone) or its context did not arrive (the callee begins traces of its own: then the caller's
//! side is at fault, for it no longer says whose work it is).

use std::collections::{BTreeMap, BTreeSet};

use model::evidence::{EdgeRow, EdgeType, Evidence};

use crate::ask::Question;
use crate::finding::{Channel, Finding, Sign, Unit};
use crate::report::{EvidenceKind, Place};
use crate::stats::{g_signed, share, strength};
use crate::words::{edge_text, number, percent};

const ROOT_G_NOISE: f64 = 1.0;
const ROOT_G_HALF: f64 = 3.0;
/// Calls that would have come and did not: at so many a service without callers to ask is half missed.
const EXPECTED_HALF: f64 = 10.0;
/// The same for work that begins by itself.
const STARTS_HALF: f64 = 5.0;
/// What silence alone says, when no caller complains: traffic may just have gone elsewhere.
const SILENCE: f64 = 0.5;

/// What speaks against each service; and how many calls of each client operation are thereby told.
pub(crate) fn findings(question: &Question) -> (Vec<Finding>, BTreeMap<(String, String), f64>) {
    let (mut found, mut told) = (Vec::new(), BTreeMap::new());
    let roots = (roots(question.baseline), roots(question.fault));
    let alive = services(question.fault);
    for call in meant(question).into_iter().chain(unnamed(question)) {
        let g = g_signed(call.silent_b, call.total_b, call.silent, call.total);
        let before = share(call.silent_b, call.total_b);
        let risen = share(call.silent, call.total) - before;
        let sure = risen.max(0.0) * strength(g.max(0.0).sqrt() - ROOT_G_NOISE, ROOT_G_HALF);
        if sure < 0.02 {
            continue;
        }
        // It does begin more traces of its own than before: as many as calls are missed, about.
        let usual = of(&roots.0, call.callee) * share(call.total, call.total_b);
        let astray = of(&roots.1, call.callee) - usual > 0.3 * call.silent;
        let gone = !alive.contains_key(call.callee);
        let worth = if gone || astray { 1.0 } else { 0.6 };
        found.push(call.finding(sure * worth, astray, gone));
        // However few they are: what those calls show is this.
        let calls = risen.max(0.0) * call.total;
        *told.entry((call.caller.to_owned(), call.operation.to_owned())).or_default() += calls;
    }
    found.extend(silent_services(question, &alive));
    found.extend(unheard(question));
    (found, told)
}

// Calls that name whom they are meant for: the baseline tells whose address that is.
fn meant<'a>(question: &Question<'a>) -> Vec<Missed<'a>> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for row in &question.baseline.edges {
        if row.edge == EdgeType::Rpc && !row.peer.is_empty() {
            owners.insert(&row.peer, &row.callee);
        }
    }
    let silent = |evidence: &'a Evidence| {
        let mut sums: BTreeMap<(&str, &str, &str), f64> = BTreeMap::new();
        for row in evidence.edges.iter().filter(|row| !row.silent.is_empty()) {
            if let Some(owner) = owners.get(row.callee.as_str()) {
                *sums.entry((&row.caller, &row.operation, owner)).or_default() += row.silent.spans() as f64;
            }
        }
        sums
    };
    let answered = |evidence: &Evidence, key: (&str, &str, &str)| {
        let own = evidence.edges.iter().filter(|row| {
            row.edge == EdgeType::Rpc && (row.caller.as_str(), row.operation.as_str(), row.callee.as_str()) == key
        });
        own.map(|row| row.calls.spans() as f64).sum::<f64>()
    };
    let before = silent(question.baseline);
    let call = |((caller, operation, callee), silent): ((&'a str, &'a str, &'a str), f64)| {
        let key = (caller, operation, callee);
        let silent_b = before.get(&key).copied().unwrap_or_default();
        let total_b = silent_b + answered(question.baseline, key);
        let total = silent + answered(question.fault, key);
        Missed { caller, operation, callee, silent, total, silent_b, total_b }
    };
    silent(question.fault).into_iter().map(call).collect()
}

// Calls that do not: the operation used to have server spans below it, and whose it has fewer of is missed.
fn unnamed<'a>(question: &Question<'a>) -> Vec<Missed<'a>> {
    let named: BTreeSet<(&str, &str)> = meant(question).iter().map(|call| (call.caller, call.operation)).collect();
    let (before, now) = (clients(question.baseline), clients(question.fault));
    let mut calls = Vec::new();
    for ((caller, operation), (answered_b, silent_b)) in before {
        let Some((answered_f, silent_f)) = now.get(&(caller, operation)) else { continue };
        if named.contains(&(caller, operation)) || answered_b == 0.0 {
            continue;
        }
        for (callee, part) in missed(question, caller, operation) {
            let (total_b, total) = ((answered_b + silent_b) * part, (answered_f + silent_f) * part);
            calls.push(Missed {
                caller,
                operation,
                callee,
                silent: silent_f * part,
                total,
                silent_b: silent_b * part,
                total_b,
            });
        }
    }
    calls
}

struct Missed<'a> {
    caller: &'a str,
    operation: &'a str,
    callee: &'a str,
    silent: f64,
    total: f64,
    silent_b: f64,
    total_b: f64,
}

impl Missed<'_> {
    fn finding(&self, strength: f64, astray: bool, gone: bool) -> Finding {
        let edge = edge_text(self.caller, self.callee);
        let before = share(self.silent_b, self.total_b);
        let counts = format!("{} of {} calls {edge}", number(self.silent), number(self.total));
        let (service, kind, text) = if astray {
            let text = format!(
                "{counts} arrive without their trace: {} begins traces of its own instead; {} before",
                self.callee,
                percent(before)
            );
            (self.caller, EvidenceKind::BrokenPropagation, text)
        } else if gone {
            let text = format!(
                "{counts} are answered by nobody ({} before), and {} sends no spans at all",
                percent(before),
                self.callee
            );
            (self.callee, EvidenceKind::MissingService, text)
        } else {
            (
                self.callee,
                EvidenceKind::MissingService,
                format!("{counts} are answered by nobody, {} before", percent(before)),
            )
        };
        let operation = if astray { self.operation.to_owned() } else { String::new() };
        Finding {
            service: service.to_owned(),
            channel: Channel::Absence,
            kind,
            strength,
            subject: edge.clone(),
            baseline: before,
            fault: share(self.silent, self.total),
            unit: Unit::Share,
            hits: 0.0,
            text,
            place: Place { edge, operation, ..Place::default() },
            sign: Sign::Silent { caller: self.caller.to_owned(), operation: self.operation.to_owned() },
        }
    }
}

// Client operations: how many of their spans have a server span below, and how many do not.
fn clients(evidence: &Evidence) -> BTreeMap<(&str, &str), (f64, f64)> {
    let mut sums: BTreeMap<(&str, &str), (f64, f64)> = BTreeMap::new();
    for row in &evidence.operations {
        let sum = sums.entry((&row.service, &row.operation)).or_default();
        *(if row.is_caller { &mut sum.0 } else { &mut sum.1 }) += row.spans.spans() as f64;
    }
    sums
}

// Whom the client operation no longer reaches, with the share of what it misses.
fn missed<'a>(question: &Question<'a>, caller: &str, operation: &str) -> Vec<(&'a str, f64)> {
    let calls = |evidence: &'a Evidence| {
        let own = move |row: &&EdgeRow| row.caller == caller && row.operation == operation && row.edge == EdgeType::Rpc;
        let rows = evidence.edges.iter().filter(own);
        rows.map(|row| (row.callee.as_str(), row.calls.spans() as f64)).collect::<BTreeMap<&str, f64>>()
    };
    let (before, now) = (calls(question.baseline), calls(question.fault));
    let (total_b, total_f): (f64, f64) = (before.values().sum(), spans_of(question.fault, caller, operation));
    let drop = |(callee, calls): (&&'a str, &f64)| {
        let left = share(now.get(callee).copied().unwrap_or_default(), total_f);
        (*callee, (share(*calls, total_b) - left).max(0.0))
    };
    let mut drops: Vec<(&str, f64)> = before.iter().map(drop).filter(|(_, drop)| *drop > 0.05).collect();
    let all: f64 = drops.iter().map(|(_, drop)| drop).sum();
    drops.iter_mut().for_each(|(_, drop)| *drop = share(*drop, all));
    drops
}

fn spans_of(evidence: &Evidence, service: &str, operation: &str) -> f64 {
    let own = evidence.operations.iter().filter(|row| row.service == service && row.operation == operation);
    own.map(|row| row.spans.spans() as f64).sum()
}

fn roots(evidence: &Evidence) -> BTreeMap<&str, f64> {
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    evidence.requests.iter().for_each(|row| *sums.entry(&row.service).or_default() += row.requests.spans() as f64);
    sums
}

fn services(evidence: &Evidence) -> BTreeMap<&str, f64> {
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    evidence.operations.iter().for_each(|row| *sums.entry(&row.service).or_default() += row.spans.spans() as f64);
    sums
}

fn of(sums: &BTreeMap<&str, f64>, service: &str) -> f64 {
    sums.get(service).copied().unwrap_or_default()
}

// Services that worked in the baseline and send nothing now. What others call is expected by the others' traffic;
// what begins by itself, by the time.
fn silent_services(question: &Question, alive: &BTreeMap<&str, f64>) -> Vec<Finding> {
    let starts = roots(question.baseline);
    let mut called: BTreeMap<&str, f64> = BTreeMap::new();
    for row in &question.baseline.edges {
        if matches!(row.edge, EdgeType::Rpc | EdgeType::Messaging) {
            *called.entry(&row.callee).or_default() += row.calls.spans() as f64;
        }
    }
    let requests = |evidence: &Evidence| evidence.requests.iter().map(|row| row.requests.spans() as f64).sum::<f64>();
    let traffic = requests(question.fault) / requests(question.baseline).max(1.0);
    let time = question.fault_ns.max(0) as f64 / question.baseline_ns.max(1) as f64;
    // A window without anything says nothing of single services.
    if alive.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for service in services(question.baseline).into_keys().filter(|service| !alive.contains_key(service)) {
        let (expected, doubt) = (of(&starts, service) * time, of(&called, service) * traffic);
        let strength = SILENCE * strength(expected, STARTS_HALF).max(strength(doubt - 3.0, EXPECTED_HALF));
        if strength > 0.02 {
            let expected = expected.max(doubt);
            found.push(Finding {
                service: service.to_owned(),
                channel: Channel::Absence,
                kind: EvidenceKind::MissingService,
                strength,
                subject: service.to_owned(),
                baseline: expected,
                fault: 0.0,
                unit: Unit::Times,
                hits: 0.0,
                text: format!(
                    "{service} sends no spans; about {} pieces of work were to be expected of it",
                    number(expected)
                ),
                place: Place::default(),
                sign: Sign::None,
            });
        }
    }
    found
}

// Messages that were sent as before and are taken by nobody.
fn unheard(question: &Question) -> Vec<Finding> {
    let mut found = Vec::new();
    let messages = |evidence: &Evidence, caller: &str, operation: &str, callee: &str| {
        let own = evidence.edges.iter().filter(|row| {
            row.edge == EdgeType::Messaging
                && row.caller == caller
                && row.operation == operation
                && row.callee == callee
        });
        own.map(|row| row.calls.spans() as f64).sum::<f64>()
    };
    for row in question.baseline.edges.iter().filter(|row| row.edge == EdgeType::Messaging) {
        let sent = |evidence: &Evidence| spans_of(evidence, &row.caller, &row.operation);
        let (sent_b, sent_f) = (sent(question.baseline), sent(question.fault));
        let taken_b = row.calls.spans() as f64;
        let taken_f = messages(question.fault, &row.caller, &row.operation, &row.callee);
        let lost = |taken: f64, sent: f64| (sent - taken).max(0.0);
        let g = g_signed(lost(taken_b, sent_b), sent_b, lost(taken_f, sent_f), sent_f);
        let risen = share(lost(taken_f, sent_f), sent_f) - share(lost(taken_b, sent_b), sent_b);
        let strength = risen.max(0.0) * strength(g.max(0.0).sqrt() - ROOT_G_NOISE, ROOT_G_HALF);
        if strength > 0.02 {
            let edge = edge_text(&row.caller, &row.callee);
            found.push(Finding {
                service: row.callee.clone(),
                channel: Channel::Absence,
                kind: EvidenceKind::MissingService,
                strength,
                subject: edge.clone(),
                baseline: share(lost(taken_b, sent_b), sent_b),
                fault: share(lost(taken_f, sent_f), sent_f),
                unit: Unit::Share,
                hits: 0.0,
                text: format!(
                    "{} of {} messages {edge} are taken by nobody",
                    number(lost(taken_f, sent_f)),
                    number(sent_f)
                ),
                place: Place { edge, ..Place::default() },
                sign: Sign::None,
            });
        }
    }
    found
}
