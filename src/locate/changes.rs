//! What changed between two windows, or two versions of a service: what is new, what vanished, what is seen far more
//! or far less often, ordered by what it has to do with failing requests.
//!
//! Rates, not counts, are compared, and something is new only if the other side was long enough to have shown it. What
//! follows from a new or vanished service (its operations, patterns, values) is not told apart from it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use model::evidence::{Count, EventRow, Evidence, Sample};

use crate::side::{Held, INSTANCE, Side, Thing, VERSION};
use crate::words::{edge_text, number, percent};

/// What is seen so often on one side, by the rate of the other, is no accident when the other has none.
const EXPECTED_MIN: f64 = 4.0;
/// Where the other side was too short to tell, it counts when so many more of the failing requests have it, and so often.
const EFFECT_MIN: f64 = 0.2;
const SEEN_MIN: u64 = 5;
/// Words of a log pattern that tell it apart where its place in the source is known; others may differ.
const WORDS_LOCATED: usize = 6;
/// Below it an effect is chance, and does not order anything.
const EFFECT_NOISE: f64 = 0.05;
/// Far more often: so many times, and so many standard deviations.
const RATIO: f64 = 3.0;
const Z_MIN: f64 = 4.0;

/// A difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What kind of thing, and whether it is new, vanished, seen more or less: `new_edge`, `less_log_pattern`.
    pub kind: String,
    /// What.
    pub subject: String,
    /// Its service; of an edge, the one that calls.
    pub service: String,
    /// Place in the source of a log pattern, where known.
    pub location: String,
    /// How often it was seen before.
    pub before: String,
    /// How often it is seen after.
    pub after: String,
    /// Share of the failing requests that have it less the share of the others; of vanished edges and services, that
    /// would have had it. -1 to 1.
    pub effect: f64,
    /// By how much its rate differs.
    pub size: f64,
    /// One sentence.
    pub text: String,
}

/// What changed between two windows; `sample` are traces of the second. Strongest first.
pub fn changes(before: &Evidence, after: &Evidence, sample: &Sample, service: Option<&str>) -> Vec<Change> {
    let sides = (Side::of_window(before, None, service), Side::of_window(after, Some(sample), service));
    compare(&sides.0, &sides.1, service)
}

/// How one version of a service differs from another in traces of one window. Strongest first.
pub fn version_changes(rows: &Evidence, sample: &Sample, service: &str, versions: (&str, &str)) -> Vec<Change> {
    let side = |version| Side::of_version(rows, sample, service, version);
    compare(&side(versions.0), &side(versions.1), Some(service))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    New,
    Vanished,
    More,
    Less,
}

fn compare(before: &Side<'_>, after: &Side<'_>, service: Option<&str>) -> Vec<Change> {
    // Without requests on both sides nothing can be said to be new.
    if before.requests.is_empty() || after.requests.is_empty() {
        return Vec::new();
    }
    let things: BTreeSet<Thing<'_>> = before.seen.keys().chain(after.seen.keys()).copied().collect();
    let turned: Vec<(Thing<'_>, Turn)> =
        things.iter().filter_map(|thing| Some((*thing, turn(*thing, before, after)?))).collect();
    let is_told = |thing: Thing<'_>, turn: Turn| turned.contains(&(thing, turn));
    let follows = |thing: Thing<'_>, turn: Turn| {
        let service_told = is_told(Thing::Service { service: thing.service() }, turn);
        match thing {
            Thing::Service { .. } | Thing::Edge { .. } | Thing::Error { .. } => false,
            Thing::Operation { service, operation } => {
                let callee = |side: &Side<'_>| {
                    side.calling.get(&(service, operation)).is_some_and(|callee| {
                        turned.iter().any(|(thing, other)| {
                            *other == turn
                                && matches!(thing, Thing::Edge { caller, callee: to } if *caller == service && to == callee)
                        })
                    })
                };
                service_told || callee(before) || callee(after)
            }
            Thing::Pattern { .. } | Thing::Value { .. } => service_told,
        }
    };
    let mut changes: Vec<(f64, Change)> = turned
        .iter()
        .filter(|(thing, turn)| !follows(*thing, *turn))
        // How often a service takes part is told by its edges.
        .filter(|(thing, turn)| !matches!((thing, turn), (Thing::Service { .. }, Turn::More | Turn::Less)))
        .map(|(thing, turn)| change(*thing, *turn, before, after, service))
        .collect();
    changes.sort_by(order);
    changes.into_iter().map(|(_, change)| change).collect()
}

fn order((a, one): &(f64, Change), (b, other): &(f64, Change)) -> Ordering {
    b.total_cmp(a)
        .then_with(|| other.size.total_cmp(&one.size))
        .then_with(|| (&one.kind, &one.service, &one.subject).cmp(&(&other.kind, &other.service, &other.subject)))
}

fn turn(thing: Thing<'_>, before: &Side<'_>, after: &Side<'_>) -> Option<Turn> {
    let of = |side: &Side<'_>| (side.seen.get(&thing).copied().unwrap_or_default(), side.base(thing));
    let ((was, base_was), (is, base_is)) = (of(before), of(after));
    let ratio = |a: Count, b: Count| if b.is_empty() { 0.0 } else { a.spans() as f64 / b.spans() as f64 };
    let is_value = matches!(thing, Thing::Value { .. });
    // A service that was not there has no values to compare; that it is new is told.
    if is_value && (base_was.is_empty() || base_is.is_empty()) {
        return None;
    }
    if was.is_empty() {
        let expected = is.spans() as f64 * ratio(base_was, base_is);
        let has_effect = is.spans() >= SEEN_MIN && effect(thing, Turn::New, before, after).0 >= EFFECT_MIN;
        return (expected >= EXPECTED_MIN || has_effect).then_some(Turn::New);
    }
    if is.is_empty() {
        return (was.spans() as f64 * ratio(base_is, base_was) >= EXPECTED_MIN).then_some(Turn::Vanished);
    }
    let (seen, expected) = (is.spans() as f64, was.spans() as f64 * ratio(base_is, base_was));
    let z = (seen - expected).abs() / (seen + expected).sqrt().max(1.0);
    let far = seen.max(expected) >= RATIO * seen.min(expected);
    (far && z >= Z_MIN).then_some(if seen > expected { Turn::More } else { Turn::Less })
}

// The effect, and what it weighs: a line that failing requests lack is as telling as one that only they have.
fn effect(thing: Thing<'_>, turn: Turn, before: &Side<'_>, after: &Side<'_>) -> (f64, f64) {
    let held = |thing: &Thing<'_>| after.held.get(thing).copied().unwrap_or_default();
    let differs = |held: Held| if after.failed.is_empty() { 0.0 } else { held.failing - held.good };
    let callers = |of: &str| {
        let to = |thing: &&Thing<'_>| matches!(thing, Thing::Edge { callee, .. } if *callee == of);
        let callers = before.seen.keys().filter(to).map(|thing| thing.service());
        callers.map(|service| differs(held(&Thing::Service { service }))).fold(0.0, f64::max)
    };
    let effect = match (turn, thing) {
        (Turn::Vanished, Thing::Edge { caller, .. }) => differs(held(&Thing::Service { service: caller })).max(0.0),
        (Turn::Vanished, Thing::Service { service }) => callers(service),
        (Turn::Vanished, _) => 0.0,
        _ => differs(held(&thing)),
    };
    let weight = if turn == Turn::Less { -effect } else { effect };
    (effect, if weight < EFFECT_NOISE { 0.0 } else { weight })
}

fn change(thing: Thing<'_>, turn: Turn, before: &Side<'_>, after: &Side<'_>, service: Option<&str>) -> (f64, Change) {
    let (effect, weight) = effect(thing, turn, before, after);
    let event = |event: u64| after.events.get(&event).or_else(|| before.events.get(&event)).copied();
    let rate = |side: &Side<'_>| {
        let base = side.base(thing).weight();
        if base > 0.0 { side.seen.get(&thing).map_or(0.0, |count| count.weight()) / base } else { 0.0 }
    };
    let (was, is) = (rate(before), rate(after));
    let (noun, subject, location) = named(thing, &event);
    let (old, new) = (often(thing, before, was), often(thing, after, is));
    let place = if location.is_empty() || location == subject { String::new() } else { format!(" ({location})") };
    let what = format!("{} {subject}{place}", sentence(thing, noun, service));
    let text = match turn {
        Turn::New => format!("{what} is new: {new}"),
        Turn::Vanished => format!("{what} has vanished: before, {old}"),
        Turn::More => format!("{what} is seen more often: {new}; before, {old}"),
        Turn::Less => format!("{what} is seen less often: {new}; before, {old}"),
    };
    let held = after.held.get(&thing).copied().unwrap_or_default();
    let told = match turn {
        _ if after.failed.is_empty() => String::new(),
        Turn::Vanished if effect > EFFECT_NOISE => {
            format!("; {} more of the failing requests than of the others would have had it", percent(effect))
        }
        Turn::Vanished => String::new(),
        _ => {
            format!("; {} of the failing requests have it, {} of the others", percent(held.failing), percent(held.good))
        }
    };
    let change = Change {
        kind: format!("{}_{noun}", word(turn)),
        subject,
        service: thing.service().to_owned(),
        location,
        before: old,
        after: new,
        effect,
        size: (is - was).abs(),
        text: format!("{text}{told}"),
    };
    (weight, change)
}

fn word(turn: Turn) -> &'static str {
    match turn {
        Turn::New => "new",
        Turn::Vanished => "vanished",
        Turn::More => "more",
        Turn::Less => "less",
    }
}

// Noun of the kind, subject, place in the source.
fn named<'e>(thing: Thing<'_>, event: &impl Fn(u64) -> Option<&'e EventRow>) -> (&'static str, String, String) {
    let none = String::new();
    match thing {
        Thing::Service { service } => ("service", service.to_owned(), none),
        Thing::Edge { caller, callee } => ("edge", edge_text(caller, callee), none),
        Thing::Operation { operation, .. } => ("operation", operation.to_owned(), none),
        Thing::Error { operation, what: "", .. } => ("error", operation.to_owned(), none),
        Thing::Error { operation, what, .. } => ("error", format!("{operation} {what}"), none),
        Thing::Pattern { event: number, .. } => {
            let row = event(number);
            let text = row.map_or_else(|| format!("{number:016x}"), |row| shared(&row.text, &row.location));
            ("log_pattern", text, row.map_or(none, |row| row.location.clone()))
        }
        Thing::Value { key: VERSION, value, .. } => ("version", value.to_owned(), none),
        Thing::Value { key: INSTANCE, value, .. } => ("instance", value.to_owned(), none),
        Thing::Value { key, value, .. } => ("attribute", format!("{key}={value}"), none),
    }
}

// What all lines of a pattern have in common, and, apart from it, what one of them goes on with.
fn shared(text: &str, location: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    match words.get(..WORDS_LOCATED).filter(|_| !location.is_empty() && words.len() > WORDS_LOCATED) {
        Some(first) => format!("{} … (such as {})", first.join(" "), words[WORDS_LOCATED..].join(" ")),
        None => text.to_owned(),
    }
}

fn sentence(thing: Thing<'_>, noun: &str, service: Option<&str>) -> String {
    let noun = noun.replace('_', " ");
    match thing {
        Thing::Service { .. } | Thing::Edge { .. } => format!("the {noun}"),
        _ if service == Some(thing.service()) => format!("the {noun}"),
        _ => format!("in {} the {noun}", thing.service()),
    }
}

fn often(thing: Thing<'_>, side: &Side<'_>, rate: f64) -> String {
    let count = side.seen.get(&thing).map_or(0.0, |count| count.weight());
    let of = side.base(thing).weight();
    match thing {
        Thing::Value { .. } => format!("{} of its requests ({})", percent(rate), number(count)),
        _ if count == 0.0 => format!("not once in {} requests", number(of)),
        _ => format!("{} times in {} requests", number(count), number(of)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_shop::{Fate, GOOD, Shop};

    fn between(before: Fate, after: Fate) -> Vec<Change> {
        let (before, after) = (Shop::open(before, 10_000).window(), Shop::open(after, 20_000).window());
        changes(&before.rows, &after.rows, &after.traces, None)
    }

    fn drawn(changes: &[Change]) -> Vec<String> {
        changes.iter().map(|change| format!("{} {} {}", change.kind, change.service, change.subject)).collect()
    }

    // Scenario: two good windows; twice as many requests in the second; an empty one before.
    // Guarantee: nothing changed.
    #[test]
    fn nothing_changed() {
        assert_eq!(between(GOOD, GOOD), []);
        assert_eq!(between(GOOD, Fate { requests: 120, ..GOOD }), []);
        assert_eq!(between(Fate { requests: 0, ..GOOD }, GOOD), []);
        assert_eq!(between(GOOD, Fate { requests: 0, ..GOOD }), []);
    }

    // Scenario: an exception in every third request.
    // Guarantee: the error and its log line come first, with their whole effect; what good requests lack too does not.
    #[test]
    fn what_failing_requests_have_comes_first() {
        let found = between(GOOD, Fate { faults: &["exception"], every: 3, ..GOOD });
        let names = drawn(&found);
        assert_eq!(
            &names[..2],
            ["new_error pay Pay/Charge java.lang.IllegalStateException", "new_log_pattern pay Pay#7"],
            "{found:#?}"
        );
        assert!(found[..2].iter().all(|change| change.effect == 1.0), "{found:#?}");
        assert_eq!(
            found[1].text,
            "in pay the log pattern Pay#7 is new: 20 times in 120 requests; 100 % of the failing requests have it, 0 % of the others"
        );
        assert_eq!((found[1].before.as_str(), found[1].location.as_str()), ("not once in 120 requests", "Pay#7"));
    }

    // Scenario: a service no longer answers; the same the other way around.
    // Guarantee: it has vanished, its operations and patterns are not told one by one; later it is new.
    #[test]
    fn a_service_comes_and_goes() {
        let gone = Fate { faults: &["gone"], ..GOOD };
        let found = between(GOOD, gone);
        let names = drawn(&found);
        assert!(names.contains(&"vanished_service pay pay".to_owned()), "{names:#?}");
        assert!(
            !names.iter().any(|name| name.starts_with("vanished_operation") || name.contains("pattern pay")),
            "{names:#?}"
        );
        let back = drawn(&between(gone, GOOD));
        assert!(back.contains(&"new_service pay pay".to_owned()), "{back:#?}");
    }

    // Scenario: a line is no longer written, nothing fails; only the logs of another service are asked for.
    // Guarantee: it has vanished, with no effect; and is not told of the other service.
    #[test]
    fn a_line_vanishes() {
        let found = between(GOOD, Fate { faults: &["swallowed"], ..GOOD });
        assert_eq!(drawn(&found), ["vanished_log_pattern pay Pay#9"], "{found:#?}");
        assert_eq!((found[0].effect, found[0].after.as_str()), (0.0, "not once in 120 requests"));
        let (before, after) =
            (Shop::open(GOOD, 10_000).window(), Shop::open(Fate { faults: &["swallowed"], ..GOOD }, 20_000).window());
        assert_eq!(changes(&before.rows, &after.rows, &after.traces, Some("api")), []);
    }

    // Scenario: templates of statements whose place is known, or not.
    // Guarantee: what they share is said apart from what one of them goes on with.
    #[test]
    fn patterns_say_what_is_shared() {
        let text = "call to pay failed: call to stock failed";
        assert_eq!(shared(text, "main.go:7"), "call to pay failed: call to … (such as stock failed)");
        assert_eq!(shared(text, ""), text);
        assert_eq!(shared("call to pay", "main.go:7"), "call to pay");
    }

    // Scenario: calls multiply.
    // Guarantee: the edge is seen more often, with both counts.
    #[test]
    fn more_calls() {
        let found = between(GOOD, Fate { faults: &["retry storm"], ..GOOD });
        let edge = found.iter().find(|change| change.kind == "more_edge").unwrap_or_else(|| panic!("{found:#?}"));
        assert_eq!((edge.subject.as_str(), edge.size), ("api -> pay", 1.5));
    }

    // Scenario: of two versions of a service one throws and logs it.
    // Guarantee: that is how it differs from the other; an unknown version differs in nothing.
    #[test]
    fn versions_differ() {
        let window = Shop::open(Fate { faults: &["bad version"], ..GOOD }, 1).window();
        let found = version_changes(&window.rows, &window.traces, "pay", ("1.0", "2.0"));
        let names = drawn(&found);
        for expected in ["new_log_pattern pay Pay#7", "new_error pay Pay/Charge", "vanished_log_pattern pay Pay#9"] {
            assert!(names.contains(&expected.to_owned()), "{expected}: {found:#?}");
        }
        assert_eq!(version_changes(&window.rows, &window.traces, "pay", ("1.0", "3.0")), []);
        assert_eq!(version_changes(&window.rows, &window.traces, "pay", ("1.0", "1.0")), []);
    }
}
