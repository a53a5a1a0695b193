//! Windows that are odd: the answer is modest, finite, and always the same.

use model::evidence::{Evidence, Sample};

use crate::tests_shop::{Fate, GOOD, MINUTE_NS, Shop, Window, asked, report};
use crate::{Question, Report, Verdict, Weights, locate};

fn empty() -> Window {
    Window { rows: Evidence::default(), traces: Sample::default() }
}

fn is_finite(report: &Report) -> bool {
    report.suspects.iter().all(|suspect| {
        suspect.score.is_finite()
            && (0.0..=1.0).contains(&suspect.confidence)
            && suspect.evidence.iter().all(|item| (0.0..=1.0).contains(&item.score))
    })
}

// Scenario: windows without anything.
// Guarantee: an answer that says so, and blames nobody.
#[test]
fn empty_windows() {
    let good = Shop::open(GOOD, 0).window();
    let nothing = asked(&empty(), &empty(), &[]);
    assert_eq!((nothing.verdict, nothing.suspects.len()), (Verdict::Unclear, 0));
    let no_baseline = asked(&empty(), &good, &[]);
    assert_eq!(no_baseline.verdict, Verdict::Unclear);
    assert!(no_baseline.summary.contains("baseline window is empty"), "{}", no_baseline.summary);
    let no_fault = asked(&good, &empty(), &[]);
    assert_eq!((no_fault.verdict, no_fault.suspects.len()), (Verdict::Unclear, 0));
    assert!(no_fault.summary.contains("no spans at all"), "{}", no_fault.summary);
}

// Scenario: one trace on either side, good or bad.
// Guarantee: finite scores and no certainty from a single trace.
#[test]
fn one_trace_only() {
    for faults in [&[][..], &["exception"], &["slow edge"]] {
        let faults: &'static [&'static str] = faults;
        let report = report(Fate { faults, requests: 1, ..GOOD });
        assert!(is_finite(&report), "{report:#?}");
        assert_ne!(report.verdict, Verdict::Localised, "{faults:?}: {report:#?}");
    }
}

// Scenario: every parent is the child of its child; ids name themselves.
// Guarantee: an answer, finite.
#[test]
fn cyclic_parents() {
    let mut shop = Shop::open(Fate { faults: &["exception"], ..GOOD }, 20_000);
    for span in &mut shop.spans {
        span.parent_id = match span.at.span_id {
            1 => 3,
            4 => 4,
            id => span.parent_id.max(id / 20),
        };
    }
    let report = asked(&Shop::open(GOOD, 0).window(), &shop.window(), &[]);
    assert!(is_finite(&report) && !report.suspects.is_empty(), "{report:#?}");
}

// Scenario: pay's clock is ten minutes ahead in both windows; its edge gets slow.
// Guarantee: the clock does not hide the fault: gaps compare lengths, not times.
#[test]
fn clocks_apart() {
    let skewed = |fate: Fate, first: u64| {
        let mut shop = Shop::open(fate, first);
        for span in shop.spans.iter_mut().filter(|span| matches!(span.at.span_id, 11 | 12)) {
            span.start_ns += 10 * MINUTE_NS;
        }
        for log in shop.logs.iter_mut().filter(|log| log.at.span_id == 11) {
            log.time_ns += 10 * MINUTE_NS;
        }
        shop.window()
    };
    let report = asked(&skewed(GOOD, 0), &skewed(Fate { faults: &["slow edge"], ..GOOD }, 20_000), &[]);
    assert_eq!(report.suspects[0].service, "pay", "{report:#?}");
    assert!(report.notices.is_empty(), "no clock has changed: {:?}", report.notices);
}

// Scenario: the same question with spans and logs in another order.
// Guarantee: the same report, to the letter.
#[test]
fn order_does_not_matter() {
    let baseline = Shop::open(GOOD, 0).window();
    for faults in [&["exception"][..], &["slow edge"], &["retry storm"], &["gone"]] {
        let faults: &'static [&'static str] = faults;
        let mut shop = Shop::open(Fate { faults, every: 3, ..GOOD }, 20_000);
        let first = asked(&baseline, &shop.window(), &[]);
        shop.spans.reverse();
        shop.logs.reverse();
        let half = shop.spans.len() / 3;
        shop.spans.rotate_left(half);
        assert_eq!(first, asked(&baseline, &shop.window(), &[]), "{faults:?}");
    }
}

// Scenario: all requests fail, in the fault window and in the baseline.
// Guarantee: nothing differs, so nobody is blamed.
#[test]
fn what_always_fails_is_no_news() {
    let bad = |first| Shop::open(Fate { faults: &["exception"], ..GOOD }, first).window();
    let report = asked(&bad(0), &bad(20_000), &[]);
    assert_eq!(report.verdict, Verdict::NoFault, "{report:#?}");
}

// Scenario: no traces are given, only rows; and a service is named whose suspects are wanted.
// Guarantee: the right suspect without examples; none that the named service does not depend on.
#[test]
fn rows_alone() {
    let baseline = Shop::open(GOOD, 0).window();
    let fault = Shop::open(Fate { faults: &["exception", "full queue"], ..GOOD }, 20_000).window();
    let ask = |service| {
        locate(&Question {
            fault: &fault.rows,
            baseline: &baseline.rows,
            fault_ns: MINUTE_NS,
            baseline_ns: MINUTE_NS,
            healthy: &[],
            samples: None,
            service,
            limit: 2,
            weights: Weights::default(),
        })
    };
    let report = ask(None);
    assert_eq!(report.suspects.len(), 2);
    assert!(report.suspects.iter().any(|suspect| suspect.service == "pay"), "{report:#?}");
    assert!(report.suspects.iter().all(|suspect| suspect.examples.failing.is_empty()));
    let report = ask(Some("pay"));
    let services: Vec<&str> = report.suspects.iter().map(|suspect| suspect.service.as_str()).collect();
    assert_eq!(services, ["pay"]);
}
