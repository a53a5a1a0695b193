//! Which rules fire now. All but new patterns is a function of what is kept of the last minutes; nothing is latched.

use std::collections::{BTreeMap, BTreeSet};

use crate::book::{Book, Fresh};
use crate::deviation::{At, Deviation, Signal};
use crate::latency::{Latency, middle};
use crate::rule::{Condition, Measure, Rule, pattern_key, selects};
use crate::subject::Subject;
use crate::symptom::{Symptom, number, percent, time};

/// As unlikely as anything: people said so.
const CERTAIN: f64 = 300.0;

#[derive(Default)]
struct Window {
    requests: f64,
    errors: f64,
    latency: Latency,
}

/// Symptoms of the rules that fire.
pub(crate) fn firing(rules: &[Rule], book: &Book, fresh: &[Fresh], at: &At, now_ns: i64) -> Vec<Symptom> {
    let mut fired = Vec::new();
    for rule in rules.iter().filter(|rule| rule.enabled) {
        let mut fire = |subject: Subject, onset_s: i64, text: String| {
            let found = Deviation { signal: Signal::Rule, decades: CERTAIN, usual: 0.0, now: 0.0, onset_s };
            let mut symptom = Symptom::new(&subject, &found, now_ns);
            (symptom.rule, symptom.text) = (rule.name.clone(), text);
            fired.push(symptom);
        };
        let whole = |service: &str| Subject::Entry { service: service.to_owned(), operation: "*".to_owned() };
        match &rule.when {
            Condition::Threshold { signal, service, operation, above, below, window_s, requests_min } => {
                let is_ours = |subject: &Subject| match subject {
                    Subject::Entry { service: of, operation: named } => {
                        selects(service, of) && (operation.is_empty() || selects(operation, named))
                    }
                    _ => false,
                };
                let fresh = above.is_some();
                for (name, window) in windows(book, at, *window_s, fresh, is_ours, *signal == Measure::P95Ms) {
                    let told = if operation.is_empty() { "*" } else { operation };
                    let Some((value, words)) = measure(*signal, &window, *window_s, *requests_min) else { continue };
                    let limit = match (above, below) {
                        (Some(above), _) if value > *above => format!("above {}", number(*above)),
                        (_, Some(below)) if value < *below && unblinded(at, *window_s) => {
                            format!("below {}", number(*below))
                        }
                        _ => continue,
                    };
                    let subject = Subject::Entry { service: name.to_owned(), operation: told.to_owned() };
                    let text = format!("{name} {told}: {words} in {window_s} s, {limit} (rule {})", rule.name);
                    fire(subject, at.fresh_s - window_s, text);
                }
            }
            Condition::ErrorPattern { service, pattern, severity_min, count, window_s } => {
                let named = pattern_key(pattern);
                let is_ours = |subject: &Subject| match subject {
                    Subject::Lines { service: of, pattern, severity } => {
                        selects(service, of)
                            && severity >= severity_min
                            && named.is_none_or(|named| book.is_of(of, *pattern, named))
                    }
                    _ => false,
                };
                for (name, window) in windows(book, at, *window_s, true, is_ours, false) {
                    if window.requests >= *count as f64 {
                        let text = format!(
                            "{name}: {} error lines in {window_s} s (rule {})",
                            number(window.requests),
                            rule.name
                        );
                        fire(whole(name), at.fresh_s - window_s, text);
                    }
                }
            }
            Condition::NewPattern { service, severity_min } => {
                for fresh in fresh {
                    let Subject::Lines { service: of, pattern, severity } = &fresh.subject else { continue };
                    if selects(service, of) && severity >= severity_min && fresh.slot_s > at.fresh_s - 300 {
                        let text =
                            format!("{of}: a line never seen before, pattern {pattern:016x} (rule {})", rule.name);
                        fire(fresh.subject.clone(), fresh.slot_s, text);
                    }
                }
            }
            Condition::Absence { service, for_s } => {
                for (name, known) in book.services.iter().filter(|(name, _)| selects(service, name)) {
                    let silent_s = at.settled_s - known.seen_s - 10;
                    let seen =
                        at.blind.is_none_or(|blind| known.seen_s >= blind.to_s || at.settled_s - blind.to_s >= *for_s);
                    // Who is away for days has left.
                    if seen && silent_s >= *for_s && silent_s < for_s.saturating_add(86_400) {
                        let text = format!("{name}: nothing for {} (rule {})", time(silent_s as f64 * 1e9), rule.name);
                        fire(whole(name), known.seen_s + 10, text);
                    }
                }
            }
        }
    }
    fired
}

fn measure(signal: Measure, window: &Window, window_s: i64, requests_min: f64) -> Option<(f64, String)> {
    let enough = window.requests >= requests_min.max(1.0);
    match signal {
        Measure::ErrorRatio => enough.then(|| {
            let ratio = window.errors / window.requests;
            (ratio, format!("{} fail", percent(ratio)))
        }),
        Measure::Errors => Some((window.errors, format!("{} errors", number(window.errors)))),
        Measure::P95Ms => window.latency.quantile(0.95).filter(|_| enough).map(|bucket| {
            let ns = middle(bucket);
            (ns / 1e6, format!("p95 {}", time(ns)))
        }),
        Measure::Throughput => {
            let rate = window.requests / window_s as f64;
            Some((rate, format!("{rate:.2} requests a second")))
        }
    }
}

// By service, the sums of a window over the subjects that a rule is about, also of those that are silent now.
fn windows<'b>(
    book: &'b Book,
    at: &At,
    window_s: i64,
    fresh: bool,
    is_ours: impl Fn(&Subject) -> bool,
    timed: bool,
) -> BTreeMap<&'b str, Window> {
    let to_s = if fresh { at.fresh_s } else { at.settled_s };
    let from_s = to_s - window_s;
    let mut windows: BTreeMap<&str, Window> = BTreeMap::new();
    for (subject, series) in book.series.iter().filter(|(subject, _)| is_ours(subject)) {
        let window = windows.entry(subject.service()).or_default();
        let sum = series.sum(from_s, to_s);
        window.requests += sum.requests;
        window.errors += sum.errors;
        if timed {
            window.latency.merge(&series.latency(from_s, to_s));
        }
    }
    let known: BTreeSet<&str> = windows.keys().copied().collect();
    // A service that is as young as the window is not below anything yet.
    let young = |name: &str| book.services.get(name).is_none_or(|known| known.since_s > from_s);
    known.iter().filter(|name| !fresh && young(name)).for_each(|name| {
        windows.remove(name);
    });
    windows
}

fn unblinded(at: &At, window_s: i64) -> bool {
    at.blind.is_none_or(|blind| blind.to_s <= at.settled_s - window_s)
}
