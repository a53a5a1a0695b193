//! The demo's shop under the watch, on simulated time: its faults are found, named, told once, and over; without a
//! fault nothing is told. `examples/incidents.rs` does the same at more rates and seeds.

#![allow(clippy::unwrap_used)]

mod kit;

use kit::{Case, Run, SECOND_NS, START_NS};
use watch::{Incident, NoticeKind, Signal, Silence, State};

const FROM_S: i64 = 483;
const UNTIL_S: i64 = FROM_S + 120;

fn case(rate: f64, seed: u64, fault: &str) -> Case {
    let faults = vec![(fault.to_owned(), FROM_S, UNTIL_S)];
    Case { rate, seed, length_s: UNTIL_S + 300, faults, ..Case::default() }
}

fn told(run: &Run) -> String {
    let lines = run.told.iter().map(|(at, notice)| format!("{at} {} {}\n{}\n", notice.id, notice.title, notice.text));
    lines.collect()
}

fn kinds(run: &Run) -> Vec<NoticeKind> {
    run.told.iter().map(|(_, notice)| notice.kind).collect()
}

fn check(rate: f64, seed: u64, fault: &str) {
    let run = Run::whole(&case(rate, seed, fault));
    let truth = &run.truths[0];
    assert!(truth["acted"].as_u64().unwrap() > 5, "{fault} acts: {truth}");
    assert_eq!(kinds(&run), [NoticeKind::Opened, NoticeKind::Closed], "{fault} at {rate}/s\n{}", told(&run));
    let (opened_s, opened) = &run.told[0];
    assert!((FROM_S..=FROM_S + 60).contains(opened_s), "{fault} at {rate}/s: opened at {opened_s}");
    match truth["service"].as_str() {
        Some(guilty) => assert_eq!(opened.suspect, guilty, "{fault} at {rate}/s\n{}", told(&run)),
        // A clock is a machine's.
        None => assert!(opened.text.contains(truth["host"].as_str().unwrap()), "{fault}: {}", opened.text),
    }
    assert!(opened.text.lines().count() <= 10, "{}", opened.text);
    assert!((UNTIL_S..=UNTIL_S + 300).contains(&run.told[1].0), "{fault}: closed at {}", run.told[1].0);
    let last: Vec<&Incident> = run.watch.incidents().filter(|incident| incident.state == State::Closed).collect();
    assert_eq!(last.len(), 1);
}

// Scenario: every fault of the demo for two minutes, at five visits a second.
// Guarantee: within a minute one message that names the guilty service (or machine), one when it is over, within
// five minutes of its end; none besides.
#[test]
fn latency_exception_swallowed() {
    ["latency", "exception", "swallowed"].iter().for_each(|fault| check(5.0, 1, fault));
}

#[test]
fn slow_query_retry_storm_gone() {
    ["slow-query", "retry-storm", "gone"].iter().for_each(|fault| check(5.0, 1, fault));
}

#[test]
fn bad_version_full_queue_clock_skew_broken_propagation() {
    ["bad-version", "full-queue", "clock-skew", "broken-propagation"].iter().for_each(|fault| check(5.0, 1, fault));
}

// Scenario: the same at twenty visits a second, for the faults that show least.
// Guarantee: as above.
#[test]
fn more_visits() {
    check(20.0, 2, "bad-version");
    check(20.0, 2, "swallowed");
}

// Scenario: half an hour without a fault (after ten minutes of learning), at two rates.
// Guarantee: nothing is told.
#[test]
fn no_fault_no_message() {
    for rate in [5.0, 20.0] {
        let run = Run::whole(&Case { rate, seed: 3, length_s: 2_400, ..Case::default() });
        assert!(run.told.is_empty(), "{}", told(&run));
    }
}

// Scenario: payment throws, and a minute later search's index is slow; the frontend suffers from both.
// Guarantee: two incidents, each with its own suspect, two messages to open and two to close.
#[test]
fn two_faults_are_two_incidents() {
    let faults = vec![
        ("exception".to_owned(), FROM_S, FROM_S + 180),
        ("latency:frontend->search".to_owned(), FROM_S + 60, FROM_S + 240),
    ];
    let run = Run::whole(&Case { rate: 10.0, seed: 5, length_s: FROM_S + 540, faults, ..Case::default() });
    let of = |kind| run.told.iter().filter(move |(_, notice)| notice.kind == kind);
    let suspects: Vec<&str> = of(NoticeKind::Opened).map(|(_, notice)| notice.suspect.as_str()).collect();
    assert_eq!(suspects, ["payment", "search"], "{}", told(&run));
    assert_eq!(of(NoticeKind::Updated).count(), 0, "{}", told(&run));
    assert_eq!(of(NoticeKind::Closed).count(), 2, "{}", told(&run));
}

// Scenario: the watch's clock jumps an hour on, and later two hours back; then payment throws.
// Guarantee: the jumps are not told of; the fault is, once.
#[test]
fn clocks_that_jump() {
    let mut run = Run::new(&Case { faults: vec![("exception".to_owned(), 1_500, 1_620)], ..case(5.0, 1, "exception") });
    run.until(600);
    run.skew_s = 3_600;
    run.until(1_000);
    run.skew_s = -3_600;
    run.until(1_500);
    assert!(run.told.is_empty(), "{}", told(&run));
    run.until(1_560);
    assert_eq!(kinds(&run), [NoticeKind::Opened]);
    run.until(1_920);
    assert_eq!(kinds(&run), [NoticeKind::Opened, NoticeKind::Closed]);
}

// Scenario: payment throws under a silence that ends a minute and a half later.
// Guarantee: the incident is there all the time, and told with its suspect when the silence ends.
#[test]
fn a_silence_that_ends_during_an_incident() {
    let mut run = Run::new(&case(5.0, 1, "exception"));
    let until_ns = START_NS + (FROM_S + 90) * SECOND_NS;
    let silence = Silence { id: "s".into(), service: "payment".into(), until_ns, ..Silence::default() };
    run.watch.set_silences(vec![silence]).unwrap();
    run.until(FROM_S + 85);
    assert!(run.told.is_empty(), "{}", told(&run));
    let open = run.watch.incidents().find(|incident| incident.state == State::Open).unwrap();
    assert_eq!((open.silenced_by.as_str(), open.suspect().unwrap().service.as_str()), ("s", "payment"));
    run.until(UNTIL_S + 300);
    assert_eq!(kinds(&run), [NoticeKind::Opened, NoticeKind::Closed], "{}", told(&run));
    assert!((FROM_S + 90..FROM_S + 100).contains(&run.told[0].0), "{}", run.told[0].0);
    assert_eq!(run.told[0].1.suspect, "payment");
}

// Scenario: payment throws for a minute, is well for three, and so on.
// Guarantee: one incident, one message that opens it.
#[test]
fn flapping() {
    let faults = (0..3).map(|round| ("exception".to_owned(), FROM_S + round * 240, FROM_S + round * 240 + 60));
    let run =
        Run::whole(&Case { rate: 5.0, seed: 1, length_s: FROM_S + 1_100, faults: faults.collect(), ..Case::default() });
    let opened = run.told.iter().filter(|(_, notice)| notice.kind == NoticeKind::Opened).count();
    assert_eq!(opened, 1, "{}", told(&run));
    assert!(run.told.len() <= 4, "{}", told(&run));
    let told_of: Vec<&Incident> = run.watch.incidents().filter(|incident| incident.opened_ns > 0).collect();
    assert_eq!(told_of.len(), 1);
}

// Scenario: a restart in the middle of a fault, with nothing but the snapshot and the stored slots.
// Guarantee: the message is not sent again; the incident goes on, and is over as itself.
#[test]
fn a_restart_in_the_middle() {
    let mut run = Run::new(&case(5.0, 1, "latency"));
    run.until(FROM_S + 70);
    assert_eq!(kinds(&run), [NoticeKind::Opened]);
    run.restart();
    run.until(FROM_S + 115);
    let open = run.watch.incidents().find(|incident| incident.state == State::Open).unwrap();
    assert!(open.last_ns > START_NS + (FROM_S + 100) * SECOND_NS);
    assert!(open.symptoms.iter().any(|symptom| symptom.signal == Signal::Latency));
    run.until(UNTIL_S + 300);
    assert_eq!(kinds(&run), [NoticeKind::Opened, NoticeKind::Closed], "{}", told(&run));
    assert_eq!(run.told[0].1.incident, run.told[1].1.incident);
}
