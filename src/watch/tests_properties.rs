//! Whatever is handed over, at whatever time: no panic, no growth without end.

use proptest::prelude::*;

use crate::*;

fn subject() -> impl Strategy<Value = Subject> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d", ""]).prop_map(str::to_owned);
    prop_oneof![
        (name(), name()).prop_map(|(service, operation)| Subject::Entry { service, operation }),
        (name(), name(), name()).prop_map(|(service, operation, peer)| Subject::Call { service, operation, peer }),
        (name(), name()).prop_map(|(service, operation)| Subject::Wait { service, operation }),
        name().prop_map(|service| Subject::Roots { service }),
        name().prop_map(|service| Subject::Clock { service }),
        (name(), 0..5u64, any::<u8>()).prop_map(|(service, pattern, severity)| Subject::Lines {
            service,
            pattern,
            severity
        }),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..500.0, 1 => any::<f64>(), 1 => prop::sample::select(vec![f64::NAN, -1.0, f64::INFINITY, 1e300])]
}

fn observation() -> impl Strategy<Value = Observation> {
    let buckets = prop::collection::vec((any::<i16>(), number()), 0..4);
    let slot = prop_oneof![9 => -400..20i64, 1 => any::<i64>()];
    (slot, subject(), number(), number(), buckets).prop_map(|(slot_s, subject, requests, errors, buckets)| {
        Observation { slot_s, subject, requests, errors, latency: buckets.into_iter().unzip() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    // Scenario: nonsense: slots of any time, counts that are none, clocks that go anywhere, answers about anything.
    // Guarantee: never a panic; every question is about a window that is one; the state survives its stored form.
    #[test]
    fn nonsense_does_no_harm(
        steps in prop::collection::vec((prop_oneof![9 => 0..40i64, 1 => any::<i64>()], prop::collection::vec(observation(), 0..40)), 1..60),
        edges in prop::collection::vec(("[a-d]", "[a-d]"), 0..8),
    ) {
        let mut watch = Watch::new(Settings { learn_s: 10, ..Settings::default() });
        let mut now_ns = 1_764_331_200_000_000_000i64;
        watch.edges(now_ns, &edges);
        for (pause, mut seen) in steps {
            now_ns = now_ns.saturating_add(pause.saturating_mul(1_000_000_000));
            for seen in &mut seen {
                seen.slot_s = seen.slot_s.saturating_add(now_ns / 1_000_000_000);
            }
            watch.observe(now_ns, &seen);
            for event in watch.tick(now_ns) {
                if let Event::Locate { id, from_ns, to_ns } = event {
                    prop_assert!(from_ns <= to_ns);
                    let suspects = vec![Suspect { service: "b".into(), score: f64::NAN, ..Suspect::default() }];
                    let answer = Answer { verdict: Verdict::Localised, suspects, ..Answer::default() };
                    watch.located(&id, answer, now_ns);
                }
            }
        }
        let stored = serde_json::to_string(&watch.snapshot(now_ns)).unwrap();
        let read: Snapshot = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(serde_json::to_string(&Watch::restore(Settings::default(), read).snapshot(now_ns)).unwrap(), stored);
    }
}

// Scenario: more services, operations and patterns than there is room for.
// Guarantee: what is beyond the limits is counted, not kept.
#[test]
fn what_is_beyond_the_limits_is_counted() {
    let settings = Settings { services_max: 3, operations_max: 5, patterns_max: 4, ..Settings::default() };
    let mut watch = Watch::new(settings);
    let now_s = 1_764_331_200;
    let mut seen = Vec::new();
    for number in 0..10u64 {
        let subjects = [
            Subject::Entry { service: format!("s{}", number.min(2)), operation: number.to_string() },
            Subject::Lines { service: "s0".into(), pattern: number, severity: 9 },
            Subject::Roots { service: format!("s{number}") },
        ];
        let tell = |subject| Observation { slot_s: now_s, subject, requests: 1.0, ..Observation::default() };
        seen.extend(subjects.map(tell));
    }
    watch.observe(now_s * 1_000_000_000, &seen);
    let refused = watch.refused();
    assert_eq!((refused.services, refused.operations, refused.patterns), (7, 5, 6));
    assert_eq!(watch.subjects(), 5 + 4 + 3);
}

// Scenario: the slots of a run in order, and the same ones again with numbers that grew meanwhile, some of them late.
// Guarantee: the newest numbers of a slot count, whatever came before.
#[test]
fn the_newest_numbers_of_a_slot_count() {
    let run = |partial: bool| {
        let mut watch = Watch::new(Settings::default());
        let mut told = Vec::new();
        for slot in 0..90 {
            let slot_s = 1_764_331_200 + slot * 10;
            let now_ns = (slot_s + 14) * 1_000_000_000;
            let errors = if slot >= 80 { 20.0 } else { 0.0 };
            let subject = Subject::Entry { service: "a".into(), operation: "op".into() };
            let whole = Observation { slot_s, subject, requests: 40.0, errors, ..Observation::default() };
            if partial {
                let half = Observation { requests: 11.0, errors: 3.0, ..whole.clone() };
                watch.observe(now_ns - 5_000_000_000, &[half]);
            }
            watch.observe(now_ns, std::slice::from_ref(&whole));
            let events = watch.tick(now_ns);
            told.extend(events.into_iter().filter_map(|event| match event {
                Event::Notify(notice) => Some((notice.at_ns, notice.text.clone())),
                _ => None,
            }));
        }
        told
    };
    assert_eq!(run(false), run(true));
    assert_eq!(run(true).len(), 1);
}
