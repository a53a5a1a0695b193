//! Exactness: neither order nor chunks nor repetitions show; minutes add up; bounds hold.

use std::time::Instant;

use model::evidence::{Evidence, SampleTrace};
use proptest::prelude::*;

use super::bounded::Bounded;
use super::texts::mix;
use super::{EvidenceLog, EvidenceSpan, Exception, Minute, OPERATIONS_MAX, sample};
use crate::graph::{Kind, Names, SpanRef};

// Of a trace: its id, whether it failed, events, spans with their own times.
type Told = (u128, bool, Vec<u64>, Vec<(u64, u64)>);

type Rows = (Vec<EvidenceSpan>, Vec<EvidenceLog>);

/// Random spans and logs of a few traces: parents that may be missing or circular, few ids, few names.
fn world(names: &mut Names, seeds: &[u64]) -> Rows {
    let (mut spans, mut logs) = (Vec::new(), Vec::new());
    for seed in seeds {
        let mut dice = *seed;
        let mut roll = |sides: u64| {
            dice = mix(dice, 1);
            dice % sides
        };
        let at = SpanRef { trace_low: roll(6), span_id: 1 + roll(12) };
        let service = names.intern(["web", "shop", "pay", "cart"][roll(4) as usize]);
        if roll(3) == 0 {
            let text = names.intern(["begin", "done", "oops"][roll(3) as usize]);
            logs.push(EvidenceLog {
                at: SpanRef { span_id: if roll(8) == 0 { 0 } else { at.span_id }, ..at },
                service,
                time_ns: roll(1_000) as i64 * 1_000,
                severity: [9, 13, 17][roll(3) as usize],
                pattern: 100 + roll(5),
                template: text,
                location: text,
            });
            continue;
        }
        let exception = Exception { time_ns: roll(1_000) as i64, kind: names.intern("Boom"), message: service };
        spans.push(EvidenceSpan {
            at,
            parent_id: roll(13),
            trace_high: roll(2),
            service,
            operation: names.intern(["GET", "POST", "step"][roll(3) as usize]),
            kind: Kind::from_number(roll(6) as u8),
            shared: roll(9) == 0,
            error: roll(4) == 0,
            http_status: [0, 200, 503][roll(3) as usize],
            start_ns: roll(1_000) as i64 * 100_000,
            duration_ns: roll(1_000) * 100_000,
            weight: [1.0, 2.5, 10.0][roll(3) as usize],
            version: names.intern(["", "1", "2"][roll(3) as usize]),
            exceptions: if roll(5) == 0 { vec![exception] } else { Vec::new() },
            links: if roll(6) == 0 { vec![SpanRef { trace_low: roll(6), span_id: 1 + roll(12) }] } else { Vec::new() },
            ..EvidenceSpan::default()
        });
    }
    (spans, logs)
}

fn rows(names: &Names, (spans, logs): &Rows) -> Evidence {
    let mut minute = Minute::default();
    minute.add(names, spans, logs, &[]);
    minute.finish(names)
}

// Spans of one trace, in all else the same; fields that are no part of what makes spans equal may differ.
fn is_told_apart(a: &EvidenceSpan, b: &EvidenceSpan) -> bool {
    (a.at, a.service, a.kind, a.start_ns, a.duration_ns) != (b.at, b.service, b.kind, b.start_ns, b.duration_ns)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    // Scenario: random spans and logs, shuffled, repeated, their texts numbered otherwise.
    // Guarantee: the same rows, byte for byte, and the same sample.
    #[test]
    fn order_does_not_show(seeds in prop::collection::vec(any::<u64>(), 1..80), turn in 0usize..80, again in 0usize..20) {
        let mut names = Names::default();
        let (mut spans, logs) = world(&mut names, &seeds);
        let mut kept: Vec<EvidenceSpan> = Vec::new();
        for span in spans.drain(..) {
            if kept.iter().all(|other| is_told_apart(other, &span)) {
                kept.push(span);
            }
        }
        let first = (kept, logs);
        let expected = rows(&names, &first);

        let mut others = Names::default();
        ["step", "2", "pay", "oops", "POST"].into_iter().for_each(|text| { others.intern(text); });
        let renamed = world(&mut others, &seeds);
        let mut spans: Vec<EvidenceSpan> = Vec::new();
        for span in renamed.0 {
            if spans.iter().all(|other| is_told_apart(other, &span)) {
                spans.push(span);
            }
        }
        let mut logs = renamed.1;
        spans.extend_from_within(..again.min(spans.len()));
        spans.reverse();
        logs.reverse();
        let turn = turn % spans.len().max(1);
        spans.rotate_left(turn);
        let other = (spans, logs);
        prop_assert_eq!(&expected, &rows(&others, &other));
        let traces = |names: &Names, of: &Rows| -> Vec<Told> {
            let told = |trace: SampleTrace| {
                let spans = trace.spans.iter().map(|span| (span.span_id, span.self_ns)).collect();
                (trace.trace_id, trace.failed, trace.events, spans)
            };
            sample(names, &of.0, &of.1, &[]).traces.into_iter().map(told).collect()
        };
        prop_assert_eq!(traces(&names, &first), traces(&others, &other));
    }

    // Scenario: the same traces in one chunk, in two chunks of a minute, and in two minutes added up.
    // Guarantee: the same rows.
    #[test]
    fn minutes_add_up(seeds in prop::collection::vec(any::<u64>(), 1..80)) {
        let mut names = Names::default();
        let mut all = world(&mut names, &seeds);
        all.0.iter_mut().for_each(|span| span.links.clear()); // a link may lead into the other half
        let half = |even: bool| {
            let own = |at: SpanRef| at.trace_low.is_multiple_of(2) == even;
            let spans: Vec<EvidenceSpan> = all.0.iter().filter(|span| own(span.at)).cloned().collect();
            let logs: Vec<EvidenceLog> = all.1.iter().filter(|log| own(log.at)).cloned().collect();
            (spans, logs)
        };
        let (even, odd) = (half(true), half(false));
        let expected = rows(&names, &all);
        let mut chunks = Minute::default();
        chunks.add(&names, &odd.0, &odd.1, &[]);
        chunks.add(&names, &even.0, &even.1, &[]);
        prop_assert_eq!(&expected, &chunks.finish(&names));
        let mut sum = rows(&names, &even);
        sum.merge(rows(&names, &odd));
        prop_assert_eq!(&expected, &sum);
    }
}

// Scenario: more keys than there is room for, in two orders.
// Guarantee: the same keys stay, their sums are whole, and every count that was left out is counted.
#[test]
fn bounds_choose_the_same() {
    let keys = || (0..1_000u64).chain(0..1_000);
    let fill = |keys: &mut dyn Iterator<Item = u64>| {
        let mut sums: Bounded<u64, u64> = Bounded::new(100);
        let mut refused = 0;
        keys.for_each(|key| match sums.at(key, |key| mix(*key, 0)) {
            Some(sum) => *sum += 1,
            None => refused += 1,
        });
        let (mut rows, cut) = sums.finish(|key| mix(*key, 0));
        rows.sort_unstable();
        assert!(cut >= refused && cut > 0);
        rows
    };
    let forth = fill(&mut keys());
    assert_eq!(forth.len(), 100);
    assert!(forth.iter().all(|(_, sum)| *sum == 2));
    assert_eq!(forth, fill(&mut keys().collect::<Vec<_>>().into_iter().rev()));
}

// Scenario: a service that puts ids into its operations' names.
// Guarantee: so many rows and no more, the rest counted.
#[test]
fn too_many_operations() {
    let mut names = Names::default();
    let span = |number: u64| EvidenceSpan {
        at: SpanRef { trace_low: number, span_id: 1 },
        service: names.intern("shop"),
        operation: names.intern(&format!("GET /{number}")),
        weight: 1.0,
        ..EvidenceSpan::default()
    };
    let spans: Vec<EvidenceSpan> = (0..OPERATIONS_MAX as u64 + 500).map(span).collect();
    let evidence = rows(&names, &(spans, Vec::new()));
    assert_eq!(evidence.operations.len(), OPERATIONS_MAX);
    assert!(evidence.cut.rows >= 500, "{:?}", evidence.cut);
}

// Scenario: hundreds of thousands of spans in one trace: in a chain, under one id, on one circle, each with a line.
// Guarantee: seconds, not hours; what is beyond the bound is counted.
#[test]
fn huge_traces() {
    let mut names = Names::default();
    let shapes: [fn(u64) -> (u64, u64); 4] = [|n| (n + 1, n), |n| (7, n), |n| (n + 1, n % 19_999 + 2), |n| (n + 1, 1)];
    for shape in shapes {
        let span = |number: u64| EvidenceSpan {
            at: SpanRef { trace_low: 1, span_id: shape(number).0 },
            parent_id: shape(number).1,
            service: names.intern(if number.is_multiple_of(2) { "a" } else { "b" }),
            start_ns: number as i64,
            duration_ns: 1_000,
            weight: 1.0,
            ..EvidenceSpan::default()
        };
        let spans: Vec<EvidenceSpan> = (0..100_000).map(span).collect();
        let log = |number: u64| EvidenceLog {
            at: SpanRef { trace_low: 1, span_id: number % 3 },
            service: spans[0].service,
            time_ns: number as i64,
            pattern: 100 + number % 7,
            ..EvidenceLog::default()
        };
        let logs: Vec<EvidenceLog> = (0..20_000).map(log).collect();
        let started = Instant::now();
        let evidence = rows(&names, &(spans, logs));
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
        assert_eq!(evidence.cut.spans, 80_000);
    }
}
