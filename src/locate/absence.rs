//! What is no longer there: calls that nobody answers, and services without a sign of life.
//!
//! A client span whose operation used to have a server span below it, and has none now, was either not answered
//! (the callee is gone) or its context did not arrive (the callee begins traces of its own: then the caller's
//! side is at fault, for it no longer says whose work it is).

use std::collections::BTreeMap;

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
/// What silence alone says, when no caller complains: traffic may just have gone elsewhere.
const SILENCE: f64 = 0.5;

/// What speaks against each service; and the client operations whose errors are thereby told, with how surely.
pub(crate) fn findings(question: &Question) -> (Vec<Finding>, BTreeMap<(String, String), f64>) {
    let (mut found, mut told) = (Vec::new(), BTreeMap::new());
    let (before, now) = (clients(question.baseline), clients(question.fault));
    let roots = (roots(question.baseline), roots(question.fault));
    let alive = services(question.fault);
    for ((caller, operation), (answered_b, silent_b)) in &before {
        let Some((answered_f, silent_f)) = now.get(&(*caller, *operation)) else { continue };
        let (total_b, total_f) = (answered_b + silent_b, answered_f + silent_f);
        let g = g_signed(*silent_b, total_b, *silent_f, total_f);
        let risen = share(*silent_f, total_f) - share(*silent_b, total_b);
        let sure = risen.max(0.0) * strength(g.max(0.0).sqrt() - ROOT_G_NOISE, ROOT_G_HALF);
        if sure < 0.02 {
            continue;
        }
        for (callee, part) in missed(question, caller, operation) {
            let (root_b, root_f) = (of(&roots.0, callee), of(&roots.1, callee));
            // It does begin more traces of its own than before: as many as calls are missed, about.
            let astray = root_f - root_b * share(total_f, total_b).max(0.01) > 0.3 * part * silent_f;
            let gone = !alive.contains_key(callee);
            let call = Missed { caller, operation, callee, silent: silent_f * part, total: total_f, before: share(*silent_b, total_b) };
            let worth = if gone || astray { 1.0 } else { 0.6 };
            found.push(call.finding(sure * part.sqrt() * worth, astray, gone));
        }
        told.insert((caller.to_string(), operation.to_string()), sure);
    }
    found.extend(silent_services(question, &alive));
    found.extend(unheard(question));
    (found, told)
}

struct Missed<'a> {
    caller: &'a str,
    operation: &'a str,
    callee: &'a str,
    silent: f64,
    total: f64,
    before: f64,
}

impl Missed<'_> {
    fn finding(&self, strength: f64, astray: bool, gone: bool) -> Finding {
        let edge = edge_text(self.caller, self.callee);
        let counts = format!("{} of {} calls {edge}", number(self.silent), number(self.total));
        let (service, kind, text) = if astray {
            let text = format!(
                "{counts} arrive without their trace: {} begins traces of its own instead; {} before",
                self.callee,
                percent(self.before)
            );
            (self.caller, EvidenceKind::BrokenPropagation, text)
        } else if gone {
            let text = format!("{counts} are answered by nobody ({} before), and {} sends no spans at all", percent(self.before), self.callee);
            (self.callee, EvidenceKind::MissingService, text)
        } else {
            (self.callee, EvidenceKind::MissingService, format!("{counts} are answered by nobody, {} before", percent(self.before)))
        };
        let operation = if astray { self.operation.to_owned() } else { String::new() };
        Finding {
            service: service.to_owned(),
            channel: Channel::Absence,
            kind,
            strength,
            subject: edge.clone(),
            baseline: self.before,
            fault: share(self.silent, self.total),
            unit: Unit::Share,
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

// Services that worked in the baseline and send nothing now.
fn silent_services(question: &Question, alive: &BTreeMap<&str, f64>) -> Vec<Finding> {
    let mut entered: BTreeMap<&str, f64> = roots(question.baseline);
    for row in &question.baseline.edges {
        if matches!(row.edge, EdgeType::Rpc | EdgeType::Messaging) {
            *entered.entry(&row.callee).or_default() += row.calls.spans() as f64;
        }
    }
    let requests = |evidence: &Evidence| evidence.requests.iter().map(|row| row.requests.spans() as f64).sum::<f64>();
    let (requests_b, requests_f) = (requests(question.baseline), requests(question.fault));
    let mut found = Vec::new();
    for (service, calls) in entered.into_iter().filter(|(service, _)| !alive.contains_key(service)) {
        // Without any traffic nobody is missed; a window has at most the traffic that it has.
        let expected = if requests_b > 0.0 { calls * requests_f / requests_b } else { 0.0 };
        let strength = SILENCE * strength(expected - 3.0, EXPECTED_HALF);
        if strength > 0.02 {
            found.push(Finding {
                service: service.to_owned(),
                channel: Channel::Absence,
                kind: EvidenceKind::MissingService,
                strength,
                subject: service.to_owned(),
                baseline: calls,
                fault: 0.0,
                unit: Unit::Times,
                text: format!("{service} sends no spans; by the traffic of the others about {} calls would have reached it", number(expected)),
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
            row.edge == EdgeType::Messaging && row.caller == caller && row.operation == operation && row.callee == callee
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
                text: format!("{} of {} messages {edge} are taken by nobody", number(lost(taken_f, sent_f)), number(sent_f)),
                place: Place { edge, ..Place::default() },
                sign: Sign::None,
            });
        }
    }
    found
}
