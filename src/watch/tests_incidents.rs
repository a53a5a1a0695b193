//! From what deviates to what people are told, on steady services.

use crate::tests_kit::*;
use crate::*;

const FAILS: Wrong = Wrong::Fails(0.5);

// Scenario: c fails, and with it b and a, which call it.
// Guarantee: one incident, one message that names c and who suffers, and one when it is over.
#[test]
fn a_chain_is_one_incident() {
    let mut bench = Bench::new("a>b>c a>d");
    bench.answer = Some(suspect("c", &["b", "a"]));
    bench.pass(120, &[("a", FAILS), ("b", FAILS), ("c", FAILS)]);
    assert_eq!(bench.kinds(), [NoticeKind::Opened]);
    let notice = &bench.told[0];
    assert_eq!(notice.suspect, "c");
    assert!(notice.at_ns <= (START_S + 600 + 60) * SECOND_NS, "{}", notice.at_ns);
    assert!(notice.title.starts_with("c: "), "{}", notice.title);
    assert!(notice.text.lines().count() <= 10 && notice.text.contains("Suffering from it: b, a"), "{}", notice.text);
    assert_eq!(notice.path, format!("/incidents/{}", notice.incident));
    bench.pass(290, &[]);
    assert_eq!(bench.kinds(), [NoticeKind::Opened, NoticeKind::Closed]);
    assert_eq!(bench.watch.incidents().count(), 1);
    let incident = bench.watch.incidents().next().unwrap();
    assert_eq!((incident.state, incident.origins.iter().next().unwrap().as_str()), (State::Closed, "c"));
}

// Scenario: a gateway calls b and c; b fails, and a minute later c is slow; the gateway suffers from both.
// Guarantee: two incidents, each with its origin; the first closes though the second lasts.
#[test]
fn two_faults_behind_one_gateway_are_two_incidents() {
    let mut bench = Bench::new("a>b a>c");
    bench.pass(60, &[("a", FAILS), ("b", FAILS)]);
    bench.pass(120, &[("a", FAILS), ("b", FAILS), ("c", Wrong::Slow)]);
    let origins: Vec<_> =
        bench.watch.incidents().map(|incident| incident.origins.iter().cloned().collect::<Vec<_>>()).collect();
    assert_eq!(origins, [["b"], ["c"]]);
    assert_eq!(bench.kinds(), [NoticeKind::Opened, NoticeKind::Opened]);
    bench.pass(240, &[("c", Wrong::Slow)]);
    let states: Vec<State> = bench.watch.incidents().map(|incident| incident.state).collect();
    assert_eq!(states, [State::Closed, State::Open]);
}

// Scenario: only the gateway's failures are seen first; then those of b, where they come from.
// Guarantee: it stays one incident, and its origin moves on.
#[test]
fn an_origin_that_shows_later_is_the_same_incident() {
    let mut bench = Bench::new("a>b>c");
    bench.pass(40, &[("a", FAILS)]);
    bench.pass(60, &[("a", FAILS), ("b", FAILS), ("c", FAILS)]);
    assert_eq!(bench.watch.incidents().count(), 1);
    assert!(bench.watch.incidents().next().unwrap().origins.contains("c"));
    assert_eq!(bench.kinds(), [NoticeKind::Opened]);
}

// Scenario: c is gone; its caller fails.
// Guarantee: one incident at c, though c itself shows nothing but silence.
#[test]
fn a_service_that_is_gone_is_the_origin() {
    let mut bench = Bench::new("a>c a>d");
    bench.pass(60, &[("c", Wrong::Gone), ("a", FAILS)]);
    assert_eq!(bench.watch.incidents().count(), 1);
    let incident = bench.watch.incidents().next().unwrap();
    assert!(incident.origins.contains("c") && incident.origins.len() == 1, "{:?}", incident.origins);
}

// Scenario: two incidents without a call between them; localisation names one suspect for both.
// Guarantee: the later is folded into the one that was told; one message opens, none more follows.
#[test]
fn one_suspect_is_one_incident() {
    let mut bench = Bench::new("a>b c>d");
    bench.answer = Some(suspect("b", &["a", "d"]));
    bench.pass(40, &[("b", FAILS), ("a", FAILS)]);
    bench.pass(120, &[("b", FAILS), ("a", FAILS), ("d", Wrong::Slow), ("c", Wrong::Slow)]);
    assert_eq!(bench.kinds(), [NoticeKind::Opened]);
    let open: Vec<&Incident> = bench.watch.incidents().filter(|incident| incident.state == State::Open).collect();
    assert_eq!(open.len(), 1);
    assert!(open[0].services().contains("d"));
}

// Scenario: a weak deviation (four errors in one place); localisation sees nothing.
// Guarantee: nobody is told, though localisation was asked; where it names somebody, people are told.
#[test]
fn weak_and_without_a_fault_is_dropped() {
    for (answer, told) in [(Answer { verdict: Verdict::NoFault, ..Answer::default() }, 0), (suspect("a", &[]), 1)] {
        let mut bench = Bench::new("a b");
        bench.answer = Some(answer);
        bench.pass(20, &[("a", Wrong::Fails(0.05))]);
        bench.pass(300, &[]);
        assert!(!bench.asked.is_empty());
        let opened = bench.kinds().iter().filter(|kind| **kind == NoticeKind::Opened).count();
        assert_eq!(opened, told);
    }
}

// Scenario: half of all requests fail, and localisation never answers.
// Guarantee: people are told within the minute all the same, and that the suspect is not known.
#[test]
fn patience_ends() {
    let mut bench = Bench::new("a b");
    bench.pass(40, &[("a", FAILS)]);
    assert!(bench.told.is_empty());
    bench.pass(20, &[("a", FAILS)]);
    assert_eq!(bench.kinds(), [NoticeKind::Opened]);
    assert!(bench.told[0].text.contains("not known yet"), "{}", bench.told[0].text);
}

// Scenario: localisation changes its mind for good, then says it knows nothing.
// Guarantee: one update, only after it named the other several times; the suspect is not taken back.
#[test]
fn another_suspect_is_an_update() {
    let mut bench = Bench::new("a>b");
    bench.answer = Some(suspect("a", &[]));
    let wrong = [("a", FAILS), ("b", FAILS)];
    bench.pass(60, &wrong);
    bench.answer = Some(suspect("b", &["a"]));
    bench.pass(300, &wrong);
    bench.answer = Some(Answer { verdict: Verdict::NoFault, ..Answer::default() });
    bench.pass(600, &wrong);
    assert_eq!(bench.kinds(), [NoticeKind::Opened, NoticeKind::Updated]);
    assert_eq!(bench.told[1].suspect, "b");
    assert_eq!(bench.told[1].opened_as, "a");
    assert_eq!(bench.watch.incidents().next().unwrap().suspect().unwrap().service, "b");
    // Questions become rare.
    assert!((5..20).contains(&bench.asked.len()), "{}", bench.asked.len());
}

// Scenario: two thousand new patterns of ERROR lines, a hundred thousand lines.
// Guarantee: one incident, one message of few lines, bounded symptoms.
#[test]
fn a_flood_of_error_lines_is_one_incident() {
    let mut bench = Bench::new("a>b");
    bench.pass(60, &[("b", Wrong::Lines(2_000))]);
    assert_eq!(bench.watch.incidents().count(), 1);
    assert_eq!(bench.kinds(), [NoticeKind::Opened]);
    let incident = bench.watch.incidents().next().unwrap();
    assert!(incident.symptoms.len() <= 100 && incident.symptom_count() >= 2_000, "{}", incident.symptom_count());
    assert!(bench.told[0].text.lines().count() <= 10);
}

// Scenario: a line of success stops coming; nothing else.
// Guarantee: an incident at its service.
#[test]
fn a_line_that_vanishes_is_noticed() {
    let mut bench = Bench::new("a>b");
    bench.pass(60, &[("b", Wrong::Vanished)]);
    assert_eq!(bench.watch.incidents().count(), 1);
    assert!(bench.watch.incidents().next().unwrap().origins.contains("b"));
}

// Scenario: the same fault comes and goes: a minute of it, three without, four times.
// Guarantee: one incident; one message opens it, later ones are few and no more than updates and ends.
#[test]
fn flapping_is_one_incident() {
    let mut bench = Bench::new("a>b");
    for _ in 0..4 {
        bench.pass(60, &[("a", FAILS), ("b", FAILS)]);
        bench.pass(180, &[]);
    }
    bench.pass(600, &[]);
    assert_eq!(bench.watch.incidents().count(), 1);
    let opened = bench.kinds().iter().filter(|kind| **kind == NoticeKind::Opened).count();
    assert_eq!(opened, 1, "{:?}", bench.kinds());
    assert!(bench.told.len() <= 4, "{:?}", bench.kinds());
    assert!(bench.watch.incidents().next().unwrap().reopened >= 1);
    // Much later it is a new one.
    bench.pass(900, &[]);
    bench.pass(60, &[("a", FAILS), ("b", FAILS)]);
    assert_eq!(bench.watch.incidents().count(), 2);
}

// Scenario: a fault that lasts for half an hour, then ends, then comes again half an hour later.
// Guarantee: it is not learnt as usual meanwhile: it stays open, and is found again.
#[test]
fn what_belongs_to_an_incident_is_not_learnt() {
    let mut bench = Bench::new("a>b");
    let wrong = [("a", Wrong::Fails(0.2)), ("b", Wrong::Fails(0.2))];
    bench.pass(1_800, &wrong);
    assert_eq!(bench.watch.incidents().next().unwrap().state, State::Open);
    bench.pass(1_800, &[]);
    bench.pass(120, &wrong);
    assert_eq!(bench.watch.incidents().filter(|incident| incident.state == State::Open).count(), 1);
    assert_eq!(bench.watch.incidents().count(), 2);
}

// Scenario: an operation and a service that were not there before, failing from the start.
// Guarantee: they are learnt first: nobody is told.
#[test]
fn what_is_new_is_learnt_first() {
    let mut bench = Bench::new("a");
    bench.services.push("new");
    bench.pass(600, &[("new", FAILS)]);
    assert!(bench.told.is_empty(), "{:?}", bench.told);
}

// Scenario: a fault while the clock goes an hour back, and one while it goes an hour on; slots of both times.
// Guarantee: no jump opens anything; after some minutes faults are found as before.
#[test]
fn clocks_that_jump() {
    for jump_s in [-3_600, 3_600, -40, 400, 86_400 * 365] {
        let mut bench = Bench::new("a>b");
        bench.now_s += jump_s;
        bench.pass(600, &[]);
        assert!(bench.told.is_empty() && bench.asked.is_empty(), "{jump_s}: {:?}", bench.told);
        bench.pass(60, &[("a", FAILS), ("b", FAILS)]);
        assert_eq!(bench.kinds(), [NoticeKind::Opened], "{jump_s}");
        bench.now_s += jump_s;
        bench.pass(290, &[]);
        assert_eq!(bench.kinds(), [NoticeKind::Opened, NoticeKind::Closed], "{jump_s}");
    }
}

// Scenario: a restart while an incident is open, one that was closed is known, and a silence is set.
// Guarantee: nothing is told again; the incident closes as itself; what comes back is the same one.
#[test]
fn a_restart_forgets_nothing() {
    let mut bench = Bench::new("a>b c");
    bench.answer = Some(suspect("b", &["a"]));
    let wrong = [("a", FAILS), ("b", FAILS)];
    bench.pass(60, &wrong);
    assert_eq!(bench.kinds(), [NoticeKind::Opened]);
    let silence = Silence { id: "s".into(), service: "c".into(), until_ns: i64::MAX, ..Silence::default() };
    bench.watch.set_silences(vec![silence.clone()]).unwrap();
    let stored = serde_json::to_string(&bench.watch.snapshot(bench.now_s * SECOND_NS)).unwrap();
    let snapshot: Snapshot = serde_json::from_str(&stored).unwrap();
    assert_eq!(snapshot, bench.watch.snapshot(bench.now_s * SECOND_NS));
    bench.watch = Watch::restore(Settings::default(), snapshot);
    // The last ten minutes of what is stored, and the fault goes on.
    let until_s = bench.now_s;
    let stored = bench.history(START_S, until_s, |slot_s| if slot_s < START_S + 600 { vec![] } else { wrong.to_vec() });
    bench.watch.observe(until_s * SECOND_NS, &stored);
    bench.pass(60, &wrong);
    assert_eq!(bench.kinds(), [NoticeKind::Opened]);
    assert_eq!(bench.watch.silences(), [silence]);
    bench.pass(290, &[]);
    assert_eq!(bench.kinds(), [NoticeKind::Opened, NoticeKind::Closed]);
    assert_eq!(bench.told[0].incident, bench.told[1].incident);
    bench.pass(60, &wrong);
    assert_eq!(bench.watch.incidents().count(), 1);
}

// Scenario: a fault in a silenced service; the silence ends while it lasts. Another one ends within its silence.
// Guarantee: both are recorded; the first is told when the silence ends, the second never.
#[test]
fn silences_end() {
    for (silent_s, told) in [(120, vec![NoticeKind::Opened, NoticeKind::Closed]), (4_000, vec![])] {
        let mut bench = Bench::new("a>b");
        bench.answer = Some(suspect("b", &["a"]));
        let until_ns = (bench.now_s + silent_s) * SECOND_NS;
        let silence = Silence { id: "s".into(), service: "b".into(), until_ns, ..Silence::default() };
        bench.watch.set_silences(vec![silence]).unwrap();
        let wrong = [("a", FAILS), ("b", FAILS)];
        bench.pass(100, &wrong);
        assert!(bench.told.is_empty());
        let incident = bench.watch.incidents().next().unwrap();
        assert_eq!((incident.state, incident.silenced_by.as_str()), (State::Open, "s"));
        bench.pass(60, &wrong);
        bench.pass(300, &[]);
        assert_eq!(bench.kinds(), told);
        if let Some(first) = bench.told.first() {
            assert!((until_ns..until_ns + 20 * SECOND_NS).contains(&first.at_ns), "{}", first.at_ns - until_ns);
        }
    }
}

// Scenario: all of a system is silent for two minutes because nobody ticked, not because it was.
// Guarantee: nothing is told.
#[test]
fn what_was_not_watched_was_not_absent() {
    let mut bench = Bench::new("a>b c");
    bench.now_s += 300;
    bench.pass(120, &[]);
    assert!(bench.told.is_empty() && bench.asked.is_empty());
}

// Scenario: two incidents were told of apart; then localisation names the first's suspect for both.
// Guarantee: the later ends as a part of the earlier, and says so; what is left is told no further.
#[test]
fn what_was_told_apart_is_folded_with_a_word() {
    let mut bench = Bench::new("a>b c>d");
    let wrong = [("a", FAILS), ("b", FAILS), ("c", FAILS), ("d", FAILS)];
    bench.pass(60, &wrong);
    assert_eq!(bench.kinds(), [NoticeKind::Opened, NoticeKind::Opened]);
    bench.answer = Some(suspect("b", &["a", "d", "c"]));
    bench.pass(300, &wrong);
    let folded = &bench.told[2];
    assert_eq!(folded.kind, NoticeKind::Closed);
    assert!(folded.text.contains(&format!("It goes on as incident {}", bench.told[0].incident)), "{}", folded.text);
    let states: Vec<State> = bench.watch.incidents().map(|incident| incident.state).collect();
    assert_eq!(states, [State::Open, State::Merged]);
}

// Scenario: at this time of the day before there was as little to do as there suddenly is now; and, in another shop, as
// much as ever.
// Guarantee: what is usual at this time is not told; what is not, is.
#[test]
fn the_time_of_the_day_counts() {
    for (usual, told) in [(0.0, 0), (REQUESTS * 60.0, 1)] {
        let mut bench = Bench::new("a>b a>c");
        let from_s = bench.now_s - bench.now_s.rem_euclid(600) - 86_400;
        let subjects = ["a", "b"].map(|name| Subject::Entry { service: name.into(), operation: "op".into() });
        let call = Subject::Call { service: "a".into(), operation: "call".into(), peer: "b".into() };
        let before = |(subject, requests)| Observation { slot_s: from_s, subject, requests, ..Observation::default() };
        let [a, b] = subjects;
        let seen = [(a, REQUESTS * 60.0), (b, usual), (call, usual)].map(before);
        bench.watch.day_before(from_s, from_s + 1_200, &seen);
        bench.pass(120, &[("b", Wrong::Idle)]);
        assert_eq!(bench.told.len(), told, "{usual}: {:#?}", bench.told);
    }
}

// Scenario: no line of any service comes any more, while requests go on; much later all lines come again. In another
// shop only b's lines stop.
// Guarantee: that the way of the logs is broken is no incident of every service, and its end is none; one service that
// falls silent is one.
#[test]
fn logs_that_do_not_arrive() {
    let all = ["a", "b", "c", "d"].map(|service| (service, Wrong::Vanished));
    let mut bench = Bench::new("a>b b>c a>d");
    bench.pass(4_200, &all);
    bench.pass(600, &[]);
    assert!(bench.told.is_empty(), "{:#?}", bench.told);
    bench.pass(120, &[("b", Wrong::Vanished)]);
    assert_eq!(bench.kinds(), [NoticeKind::Opened]);
}

// Scenario: nobody comes any more: every service has nothing to do.
// Guarantee: one incident.
#[test]
fn nobody_comes_any_more() {
    let mut bench = Bench::new("a>b b>c a>d d>e");
    bench.pass(180, &["a", "b", "c", "d", "e"].map(|service| (service, Wrong::Idle)));
    assert_eq!(bench.kinds(), [NoticeKind::Opened], "{:#?}", bench.told);
}
