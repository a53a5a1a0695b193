//! What follows what inside spans: after `A`, `B` is expected. Compared between the windows by the G statistic
//! (log-likelihood ratio), conditional on `A`, so that another mix of requests changes nothing.
//!
//! The idea is Nezha's (Yu et al., ESEC/FSE 2023: events of logs, traces and alarms in one order, support of
//! patterns in both windows). A swallowed exception shows as nothing but the line that no longer comes.

use std::collections::BTreeMap;

use model::evidence::{END, EventKind, EventRow, START, TransitionRow};

use crate::ask::Question;
use crate::finding::{Channel, Finding, Sign, Unit};
use crate::join::join;
use crate::report::{EvidenceKind, Place};
use crate::stats::{g_signed, share, strength};
use crate::words::{number, percent};

/// An event that comes more, or less, often than before.
#[derive(Debug)]
struct Change<'a> {
    // Over all that it may follow; signed.
    g: f64,
    // Where it shows most.
    top_g: f64,
    top: Option<Cell<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Cell<'a> {
    operation: &'a str,
    from: u64,
    hits_b: f64,
    total_b: f64,
    hits_f: f64,
    total_f: f64,
}

/// Square root of G at which a change is half believed.
const ROOT_G_HALF: f64 = 3.0;
/// Below, a change is noise.
const ROOT_G_NOISE: f64 = 1.0;

/// What speaks against each service, before it is told from its consequences.
pub(crate) fn findings(question: &Question) -> Vec<Finding> {
    let order = |a: &TransitionRow, b: &TransitionRow| {
        (&a.service, &a.operation, a.from, a.to).cmp(&(&b.service, &b.operation, b.from, b.to))
    };
    let pairs = join(&question.baseline.transitions, &question.fault.transitions, order);
    let key = |pair: &(Option<&TransitionRow>, Option<&TransitionRow>)| {
        pair.0.or(pair.1).map(|row| (row.service.clone(), row.operation.clone(), row.from))
    };
    let seen = occurrences(&pairs);
    let mut changes: BTreeMap<(&str, u64, bool), Change> = BTreeMap::new();
    for group in pairs.chunk_by(|a, b| key(a) == key(b)) {
        let weight = |row: &Option<&TransitionRow>| row.map_or(0.0, |row| row.count.spans() as f64);
        let (total_b, total_f): (f64, f64) =
            group.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + weight(&pair.0), sum.1 + weight(&pair.1)));
        if total_b == 0.0 || total_f == 0.0 {
            continue;
        }
        for pair in group {
            let Some(row) = pair.0.or(pair.1).filter(|row| row.to != END) else { continue };
            let cell = Cell {
                operation: &row.operation,
                from: row.from,
                hits_b: weight(&pair.0),
                total_b,
                hits_f: weight(&pair.1),
                total_f,
            };
            let g = surer(g_signed(cell.hits_b, total_b, cell.hits_f, total_f), seen.g(row));
            let change =
                changes.entry((&row.service, row.to, g > 0.0)).or_insert(Change { g: 0.0, top_g: 0.0, top: None });
            change.g += g;
            if g.abs() > change.top_g {
                (change.top_g, change.top) = (g.abs(), Some(cell));
            }
        }
    }
    let events = |event: u64| question.fault.event(event).or(question.baseline.event(event));
    let mut found = Vec::new();
    for ((service, event, _), change) in changes {
        let (Some(cell), Some(row)) = (change.top, events(event)) else { continue };
        let after = events(cell.from);
        found.extend(finding(service, row, after, &cell, change.g));
    }
    found
}

// Of two views of one change the weaker; nothing when they contradict each other.
fn surer(one: f64, other: f64) -> f64 {
    if one * other <= 0.0 {
        0.0
    } else if one.abs() < other.abs() {
        one
    } else {
        other
    }
}

/// How often events occur in spans of an operation, whatever comes before. Two lines written at about the same
/// time may change places; then each comes after another than before, but none is new and none is missing.
struct Occurrences<'a>(BTreeMap<(&'a str, &'a str, u64), (f64, f64)>);

fn occurrences<'a>(pairs: &[(Option<&'a TransitionRow>, Option<&'a TransitionRow>)]) -> Occurrences<'a> {
    let mut seen: BTreeMap<(&str, &str, u64), (f64, f64)> = BTreeMap::new();
    for (baseline, fault) in pairs {
        let Some(row) = baseline.or(*fault) else { continue };
        let spans = |row: &Option<&TransitionRow>| row.map_or(0.0, |row| row.count.spans() as f64);
        // Every span has one end: it counts the spans.
        let sum = seen.entry((&row.service, &row.operation, row.to)).or_default();
        *sum = (sum.0 + spans(baseline), sum.1 + spans(fault));
    }
    Occurrences(seen)
}

impl Occurrences<'_> {
    // G of the event among the occurrences of what it should follow.
    fn g(&self, row: &TransitionRow) -> f64 {
        let of = |event: u64| {
            let event = if event == START { END } else { event };
            self.0.get(&(row.service.as_str(), row.operation.as_str(), event)).copied().unwrap_or_default()
        };
        let ((to_b, to_f), (from_b, from_f)) = (of(row.to), of(row.from));
        g_signed(to_b.min(from_b), from_b, to_f.min(from_f), from_f)
    }
}

fn finding(service: &str, event: &EventRow, after: Option<&EventRow>, cell: &Cell, g: f64) -> Option<Finding> {
    let is_new = g > 0.0;
    let (before, now) = (share(cell.hits_b, cell.total_b), share(cell.hits_f, cell.total_f));
    // An error matters where it is rare, too; another way matters as far as it is taken.
    let effect = (now - before).abs();
    let worth = worth(event, is_new) * if is_error(event) { effect.sqrt() } else { effect };
    let strength = worth * strength(g.abs().sqrt() - ROOT_G_NOISE, ROOT_G_HALF);
    if strength < 0.02 {
        return None;
    }
    let kind = match (event.kind, is_new) {
        (EventKind::Call, true) => EvidenceKind::NewCall,
        (EventKind::Call, false) => EvidenceKind::MissingCall,
        (_, true) => EvidenceKind::NewLog,
        (_, false) => EvidenceKind::MissingLog,
    };
    let what = match event.kind {
        EventKind::Log => format!("{} log line {}", level(event.severity), name(event)),
        EventKind::Call => format!("the call of {}", event.text),
        EventKind::Exception => format!("the exception {}", event.text),
    };
    let behind =
        after.map_or_else(|| format!("at the start of {}", cell.operation), |row| format!("after {}", name(row)));
    let text = if is_new {
        format!(
            "{what} comes {behind} in {} of {} spans, {} before",
            number(cell.hits_f),
            number(cell.total_f),
            percent(before)
        )
    } else {
        let missing = cell.total_f - cell.hits_f;
        format!(
            "{what} is missing {behind} in {} of {} spans, it came in {} before",
            number(missing),
            number(cell.total_f),
            percent(before)
        )
    };
    // A missing line points to what came last before it.
    let location = match (is_new, after) {
        (false, Some(after)) if !after.location.is_empty() => format!("{} to {}", after.location, event.location),
        _ => event.location.clone(),
    };
    let operation = cell.operation.to_owned();
    let sign = if is_new {
        Sign::Has { operation: operation.clone(), event: event.event }
    } else {
        Sign::Lacks { operation: operation.clone(), after: cell.from, event: event.event }
    };
    Some(Finding {
        service: service.to_owned(),
        channel: Channel::Steps,
        kind,
        strength,
        subject: name(event),
        baseline: before,
        fault: now,
        unit: Unit::Share,
        hits: cell.hits_f,
        text,
        place: Place { operation, location, ..Place::default() },
        sign,
    })
}

/// What a change of an event is worth: errors speak for themselves; of ordinary lines the missing ones say more
/// than new ones, for new ones are often the consequence of another answer.
fn worth(event: &EventRow, is_new: bool) -> f64 {
    match (event.kind, is_new) {
        (EventKind::Exception, true) => 1.0,
        (EventKind::Log, true) if event.severity >= 17 => 1.0,
        (EventKind::Log, true) if event.severity >= 13 => 0.5,
        (EventKind::Log, true) => 0.25,
        (EventKind::Call, true) => 0.2,
        (EventKind::Log, false) if event.severity < 13 => 0.8,
        (EventKind::Call, false) => 0.45,
        // Fewer errors are no fault.
        (_, false) => 0.0,
    }
}

fn is_error(event: &EventRow) -> bool {
    event.kind == EventKind::Exception || event.severity >= 17
}

/// How an event is called.
fn name(event: &EventRow) -> String {
    match (event.kind, event.location.is_empty()) {
        (EventKind::Log, false) => event.location.clone(),
        (EventKind::Log, true) => format!("\"{}\"", event.text),
        _ => event.text.clone(),
    }
}

fn level(severity: u8) -> &'static str {
    match severity {
        21.. => "FATAL",
        17..=20 => "ERROR",
        13..=16 => "WARN",
        9..=12 => "INFO",
        1..=8 => "DEBUG",
        0 => "the",
    }
}
