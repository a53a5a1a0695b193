//! Drawn faults, each alone: the right service first, with the right evidence, in a sentence that says it.

use crate::tests_shop::{Fate, GOOD, Shop, asked, report};
use crate::{EvidenceKind, Report, Verdict};

fn evidence(report: &Report, kind: EvidenceKind) -> Option<&str> {
    let items = report.suspects.first()?.evidence.iter();
    items.filter(|item| item.kind == kind).map(|item| item.text.as_str()).next()
}

// Scenario: each fault of the demo in all requests, against a good window.
// Guarantee: the guilty service is first and the verdict says so; its evidence is of the right kind and names the place.
#[test]
fn every_fault_is_found() {
    use EvidenceKind::*;
    let cases: [(&'static [&'static str], &str, EvidenceKind, &str); 9] = [
        (&["slow edge"], "pay", EdgeGap, "the way api -> pay"),
        (
            &["exception"],
            "pay",
            ErrorOrigin,
            "60 failing requests start in Pay/Charge: java.lang.IllegalStateException",
        ),
        (&["swallowed"], "pay", MissingLog, "Pay#9 is missing after SELECT cards in 60 of 60 spans"),
        (&["slow query"], "pay", OwnTime, "SELECT cards itself takes"),
        (&["retry storm"], "api", FanOut, "api makes 4 calls api -> pay"),
        (&["gone"], "pay", MissingService, "60 of 60 calls api -> pay are answered by nobody"),
        (&["bad version"], "pay", Attribute, "service.version 2.0"),
        (&["full queue"], "mail", QueueWait, "messages api -> mail wait 19.9 s before mail takes them"),
        (&["broken propagation"], "web", BrokenPropagation, "api begins traces of its own"),
    ];
    for (faults, guilty, kind, words) in cases {
        let report = report(Fate { faults, ..GOOD });
        let first = report.suspects.first().unwrap_or_else(|| panic!("{faults:?}: nobody"));
        assert_eq!(first.service, guilty, "{faults:?}: {report:#?}");
        assert_eq!(report.verdict, Verdict::Localised, "{faults:?}: {report:#?}");
        let text = evidence(&report, kind).unwrap_or_else(|| panic!("{faults:?} has no {kind:?}: {first:#?}"));
        assert!(text.contains(words), "{faults:?}: {text}");
        assert!(!report.summary.is_empty() && first.confidence > 0.4, "{faults:?}: {first:#?}");
    }
}

// Scenario: a machine's clock is five seconds ahead, nothing else.
// Guarantee: no service is blamed; the clock is named.
#[test]
fn a_wrong_clock_is_nobodys_fault() {
    let report = report(Fate { faults: &["clock"], ..GOOD });
    assert_eq!(report.verdict, Verdict::Unclear, "{report:#?}");
    assert!(report.summary.contains("the clock of node-2 (host.name) is ahead"), "{}", report.summary);
    assert!(report.notices[0].text.contains("100 %"), "{:?}", report.notices);
}

// Scenario: only every third request fails, of one version.
// Guarantee: the place names version and pod, the sentence names the version.
#[test]
fn a_bad_version_is_named() {
    let report = report(Fate { faults: &["bad version"], ..GOOD });
    let first = &report.suspects[0];
    assert_eq!((first.place.version.as_str(), first.place.instance.as_str()), ("2.0", "pay-1"));
    assert!(first.summary.contains("service.version 2.0"), "{}", first.summary);
}

// Scenario: an exception in pay; api and web pass it on.
// Guarantee: they are victims on the path, the runner-up is told from the cause, and three traces show the span.
#[test]
fn victims_and_examples() {
    let report = report(Fate { faults: &["exception"], every: 2, ..GOOD });
    let first = &report.suspects[0];
    let paths: Vec<String> = first.victims.iter().map(|victim| victim.path.join(" > ")).collect();
    assert_eq!(paths, ["pay > api", "pay > api > web"]);
    assert!(first.victims[0].text.contains("50 % of its calls to pay fail, 0 % before"), "{:?}", first.victims);
    assert!(first.not_runner_up.is_empty() == (report.suspects.len() < 2));
    assert_eq!((first.examples.failing.len(), first.examples.good.len()), (3, 3));
    for example in &first.examples.failing {
        // Requests of the fault window are numbered from 20,001; every other one was hit.
        assert!(example.trace_id > 20_000 && example.trace_id % 2 == 1, "{example:?}");
        assert_eq!(example.span_id, 11, "the span in which it was thrown");
    }
    assert!(first.examples.good.iter().all(|example| (10_001..20_000).contains(&example.trace_id)));
}

// Scenario: a slow edge to pay and a full queue of mails at once.
// Guarantee: both services are among the first three.
#[test]
fn two_faults_at_once() {
    for faults in [&["slow edge", "full queue"][..], &["exception", "full queue"], &["swallowed", "full queue"]] {
        let faults: &'static [&'static str] = faults;
        let report = report(Fate { faults, ..GOOD });
        let first: Vec<&str> = report.suspects.iter().take(3).map(|suspect| suspect.service.as_str()).collect();
        assert!(first.contains(&"pay") && first.contains(&"mail"), "{faults:?}: {report:#?}");
    }
}

// Scenario: spans without kinds and status, as agents of some languages send them.
// Guarantee: what shows without them is found as before.
#[test]
fn without_kinds_and_status() {
    for faults in [&["slow edge"][..], &["swallowed"], &["exception"], &["slow query"]] {
        let faults: &'static [&'static str] = faults;
        let report = report(Fate { faults, kinds: false, ..GOOD });
        assert_eq!(report.suspects[0].service, "pay", "{faults:?}: {report:#?}");
    }
}

// Scenario: no logs at all.
// Guarantee: what shows in spans is found as before.
#[test]
fn without_logs() {
    for faults in [&["slow edge"][..], &["exception"], &["gone"], &["slow query"]] {
        let faults: &'static [&'static str] = faults;
        let report = report(Fate { faults, logs: false, ..GOOD });
        assert_eq!(report.suspects[0].service, "pay", "{faults:?}: {report:#?}");
    }
}

// Scenario: the same windows whole and sampled, one trace standing for ten.
// Guarantee: the same first suspect; counts in sentences are those of the traffic, not of the sample.
#[test]
fn sampled_windows() {
    let report = report(Fate { faults: &["exception"], weight: 10.0, ..GOOD });
    assert_eq!(report.suspects[0].service, "pay");
    let text = evidence(&report, EvidenceKind::ErrorOrigin).unwrap();
    assert!(text.contains("600 failing requests start in Pay/Charge"), "{text}");
}

// Scenario: two windows without a fault, with other jitter; also against healthy minutes.
// Guarantee: nobody is blamed.
#[test]
fn no_fault() {
    let windows: Vec<_> = (0..5).map(|number| Shop::open(GOOD, 10_000 + 1_000 * number).window()).collect();
    let alone = asked(&windows[0], &windows[1], &[]);
    assert_eq!(alone.verdict, Verdict::NoFault, "{alone:#?}");
    let healthy: Vec<_> = windows[2..].iter().map(|window| window.rows.clone()).collect();
    let standardised = asked(&windows[0], &windows[1], &healthy);
    assert_eq!(standardised.verdict, Verdict::NoFault, "{standardised:#?}");
    assert!(standardised.summary.contains("3 healthy minutes") || standardised.suspects.is_empty());
}

// Scenario: a restless service: cart is as slow in healthy minutes as in the fault window; pay is not.
// Guarantee: against healthy minutes pay is first, for cart's slowness is usual.
#[test]
fn restless_services_count_less() {
    let slow_cart = |fate: Fate, first: u64| {
        let mut shop = Shop::open(fate, first);
        for span in shop.spans.iter_mut().filter(|span| span.at.span_id == 5) {
            span.duration_ns *= 40;
        }
        shop.window()
    };
    let baseline = Shop::open(GOOD, 10_000).window();
    let fault = slow_cart(Fate { faults: &["swallowed"], every: 2, ..GOOD }, 20_000);
    let alone = asked(&baseline, &fault, &[]);
    assert_eq!(alone.suspects[0].service, "cart", "{alone:#?}");
    let healthy: Vec<_> = (3..8).map(|number| slow_cart(GOOD, number * 10_000).rows).collect();
    let standardised = asked(&baseline, &fault, &healthy);
    assert_eq!(standardised.suspects[0].service, "pay", "{standardised:#?}");
}

// Scenario: one request of sixty fails in the fault window, by chance, and another one did in the baseline; then ten.
// Guarantee: nobody is blamed where as many failed before; who fails ten times is.
#[test]
fn hiccups_are_no_fault() {
    let failing = |first: u64, id: u64, requests: u64| {
        let mut shop = Shop::open(GOOD, first);
        shop.spans
            .iter_mut()
            .filter(|span| span.at.trace_low <= first + requests && [1, 2, 3, id - 1, id].contains(&span.at.span_id))
            .for_each(|span| span.error = true);
        shop.window()
    };
    let (baseline, cart) = (failing(10_000, 11, 1), 5);
    let report = asked(&baseline, &failing(20_000, cart, 1), &[]);
    assert_eq!(report.verdict, Verdict::NoFault, "{report:#?}");
    assert!(report.suspects.iter().all(|suspect| suspect.score < 0.1), "{report:#?}");
    let report = asked(&baseline, &failing(20_000, cart, 10), &[]);
    assert_eq!((report.suspects[0].service.as_str(), report.verdict), ("cart", Verdict::Localised), "{report:#?}");
}
