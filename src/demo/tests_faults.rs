//! Every fault leaves its footprint where it should, spreads as it should, and nothing else changes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value as Json;

use crate::telemetry::{Item, Log, Payload, Resource, Span, SpanKind};
use crate::tests::{START_NS, logs, run, spans, text};
use crate::*;

const SECOND_NS: i64 = 1_000_000_000;
/// All faults of these tests begin a minute after the start.
const FROM_NS: i64 = START_NS + 60 * SECOND_NS;

/// A run of two minutes with a fault in its second, and the fault's truth.
fn broken(fault: &str) -> (Vec<Item>, Json) {
    let (shop, items) = run(11, 120, &[&format!("{fault}@60s")]);
    let truth = shop.faults()[0].truth();
    assert!(truth["acted"].as_u64().unwrap() > 0, "{truth}");
    assert!(!truth["expect"].as_array().unwrap().is_empty());
    (items, truth)
}

/// What falls due before the fault, and what began under it.
fn halves(items: &[Item]) -> [Vec<(Resource, &Span)>; 2] {
    let all = spans(items);
    [
        all.iter().copied().filter(|(_, span)| span.end_ns < FROM_NS).collect(),
        all.iter().copied().filter(|(_, span)| span.start_ns >= FROM_NS).collect(),
    ]
}

fn median_ms(mut lengths: Vec<i64>) -> f64 {
    assert!(!lengths.is_empty());
    lengths.sort_unstable();
    lengths[lengths.len() / 2] as f64 / 1e6
}

fn durations(spans: &[(Resource, &Span)], service: Svc, kind: SpanKind, named: &str) -> Vec<i64> {
    let wanted = spans
        .iter()
        .filter(|(resource, span)| resource.service == service && span.kind == kind && span.name.contains(named));
    wanted.map(|(_, span)| span.end_ns - span.start_ns).collect()
}

fn errors(spans: &[(Resource, &Span)], service: Svc, kind: SpanKind) -> (usize, usize) {
    let here = spans.iter().filter(|(resource, span)| resource.service == service && span.kind == kind);
    here.fold((0, 0), |(failed, all), (_, span)| (failed + usize::from(span.is_error()), all + 1))
}

fn severe(items: &[Item], service: Svc) -> Vec<&Log> {
    let here = logs(items).into_iter().filter(|(resource, log)| resource.service == service && log.severity >= 17);
    here.map(|(_, log)| log).filter(|log| log.time_ns >= FROM_NS).collect()
}

// Client spans of `service` below which `callee` answers, with the answering span.
fn pairs<'a>(spans: &[(Resource, &'a Span)], service: Svc, callee: Svc) -> Vec<(&'a Span, &'a Span)> {
    let callers: HashMap<u64, &Span> = spans
        .iter()
        .filter(|(resource, span)| resource.service == service && span.kind == SpanKind::Client)
        .map(|(_, span)| (span.span_id, *span))
        .collect();
    let answers = spans.iter().filter(|(resource, span)| resource.service == callee && span.kind == SpanKind::Server);
    answers
        .filter_map(|(_, span)| Some((*callers.get(if span.shared { &span.span_id } else { &span.parent_id })?, *span)))
        .collect()
}

// Scenario: every fault of the menu, from the second minute on.
// Guarantee: until then the run is the one without it, bit by bit; its truth names the times and examples.
#[test]
fn nothing_changes_before_a_fault() {
    let due = |items: &[Item]| -> Vec<Item> { items.iter().filter(|item| item.due_ns < FROM_NS).cloned().collect() };
    let (_, clean) = run(11, 120, &[]);
    for kind in Kind::ALL {
        let (items, truth) = broken(kind.name());
        assert!(due(&items) == due(&clean), "{}", kind.name());
        assert!(items != clean, "{}", kind.name());
        assert_eq!(truth["kind"], kind.name());
        assert_eq!(truth["from_ns"], FROM_NS.to_string());
        assert_eq!(truth["to_ns"], Json::Null);
        let known: HashSet<String> = spans(&items).iter().map(|(_, span)| format!("{:032x}", span.trace_id)).collect();
        let examples = truth["examples"].as_array().unwrap();
        let real = examples.iter().filter(|id| known.contains(id.as_str().unwrap())).count();
        // A gone frontend would leave no trace; those here are gone further down.
        assert_eq!(real, examples.len(), "{truth}");
        assert!(real > 0);
    }
}

// Scenario: 800 ms on the way from checkout to payment.
// Guarantee: the gap between client and server span grows by it, the server span does not, and the
// visitor waits; the truth names edge and service.
#[test]
fn latency() {
    let (items, truth) = broken("latency");
    let [before, under] = halves(&items);
    let gap = |spans: &[(Resource, &Span)]| {
        let pairs = pairs(spans, Svc::Checkout, Svc::Payment);
        median_ms(
            pairs
                .iter()
                .map(|(client, server)| client.end_ns - client.start_ns - (server.end_ns - server.start_ns))
                .collect(),
        )
    };
    assert!(gap(&before) < 3.0 && (650.0..1000.0).contains(&gap(&under)), "{} {}", gap(&before), gap(&under));
    let charge = |spans: &[_]| median_ms(durations(spans, Svc::Payment, SpanKind::Server, "charge"));
    assert!((charge(&under) / charge(&before) - 1.0).abs() < 0.3);
    let visit = |spans: &[_]| median_ms(durations(spans, Svc::Frontend, SpanKind::Server, "checkout"));
    assert!(visit(&under) > visit(&before) + 600.0);
    assert_eq!((&truth["service"], &truth["edge"]["source"]), (&"payment".into(), &"checkout".into()));
    assert_eq!(errors(&under, Svc::Payment, SpanKind::Server).0, 0);
}

// Scenario: payment's charge throws.
// Guarantee: it alone has exception events and logs with stack and place; checkout and frontend fail with it.
#[test]
fn exception() {
    let (items, truth) = broken("exception");
    let [before, under] = halves(&items);
    for service in [Svc::Payment, Svc::Checkout, Svc::Frontend] {
        let (was, _) = errors(&before, service, SpanKind::Server);
        let (is, all) = errors(&under, service, SpanKind::Server);
        assert!(was <= 5 && is > 20, "{service:?} {was} {is} {all}");
    }
    let (failed, all) = errors(&under, Svc::Payment, SpanKind::Server);
    assert!((0.45..0.75).contains(&(failed as f64 / all as f64)), "{failed} of {all}");
    assert!(errors(&under, Svc::Catalog, SpanKind::Server).0 <= 4);
    let origin = severe(&items, Svc::Payment);
    let with_stack = origin.iter().filter(|log| {
        ["exception.stacktrace", "code.line.number"]
            .iter()
            .all(|key| log.attributes.iter().any(|(known, _)| known == key))
    });
    assert!(with_stack.count() > 20);
    assert!(under.iter().any(|(resource, span)| resource.service == Svc::Payment
        && span.events.iter().any(|event| event.name == "exception")));
    assert_eq!(truth["operation"], "POST /charge");
}

// Scenario: payment drops an exception, and recommendations drop another.
// Guarantee: no span fails and no ERROR is written because of it; exactly the line of success is missing;
// for recommendations, the page downstream shows none.
#[test]
fn swallowed() {
    let lines = |items: &[Item], text: &str| -> [usize; 2] {
        let found: Vec<i64> =
            logs(items).iter().filter(|(_, log)| log.body.contains(text)).map(|(_, log)| log.time_ns).collect();
        [
            found.iter().filter(|time| **time < FROM_NS).count(),
            found.iter().filter(|time| **time >= FROM_NS + SECOND_NS).count(),
        ]
    };
    let (items, _) = broken("swallowed");
    let [before, under] = halves(&items);
    assert!(lines(&items, "ledger updated")[0] > 50);
    assert_eq!(lines(&items, "ledger updated")[1], 0);
    assert!(lines(&items, " EUR for order ").iter().all(|count| *count > 50));
    let failed = |spans| errors(spans, Svc::Payment, SpanKind::Server).0;
    assert!(failed(&under) <= failed(&before) + 3);
    assert!(severe(&items, Svc::Payment).len() <= 3);

    let (items, _) = broken("swallowed:recommendations/GET /recommendations");
    assert_eq!(lines(&items, "ranked ")[1], 0);
    assert!(lines(&items, "with 0 recommendations")[0] <= 3 && lines(&items, "with 0 recommendations")[1] > 100);
}

// Scenario: a statement of inventory is slow.
// Guarantee: its client spans are longer by the size, the other statements' are not; callers wait.
#[test]
fn slow_query() {
    let (items, truth) = broken("slow-query");
    let [before, under] = halves(&items);
    let statement = truth["statement"].as_str().unwrap();
    let lengths = |spans: &[(Resource, &Span)], slow: bool| {
        let here = spans.iter().filter(|(resource, span)| {
            resource.service == Svc::Inventory
                && text(span, &["db.statement"]).is_some_and(|told| (told == statement) == slow)
        });
        median_ms(here.map(|(_, span)| span.end_ns - span.start_ns).collect())
    };
    assert!(lengths(&before, true) < 6.0 && (1000.0..1500.0).contains(&lengths(&under, true)));
    assert!((lengths(&under, false) / lengths(&before, false) - 1.0).abs() < 0.3);
    let visit = |spans: &[_]| median_ms(durations(spans, Svc::Frontend, SpanKind::Server, "checkout"));
    assert!(visit(&under) > visit(&before) + 900.0);
}

// Scenario: checkout repeats what inventory refuses.
// Guarantee: calls on the edge multiply, inventory's server spans with them; most fail; other callers are untouched.
#[test]
fn retry_storm() {
    let (items, _) = broken("retry-storm");
    let [before, under] = halves(&items);
    let per_order = |spans: &[(Resource, &Span)]| {
        let orders = durations(spans, Svc::Checkout, SpanKind::Server, "orders").len();
        pairs(spans, Svc::Checkout, Svc::Inventory).len() as f64 / orders as f64
    };
    assert!((0.9..1.1).contains(&per_order(&before)) && (2.2..4.0).contains(&per_order(&under)));
    assert!(
        pairs(&under, Svc::Checkout, Svc::Inventory)
            .iter()
            .filter(|(client, server)| client.is_error() && server.is_error())
            .count()
            > 100
    );
    assert!(pairs(&under, Svc::Frontend, Svc::Inventory).iter().filter(|(client, _)| client.is_error()).count() <= 3);
}

// Scenario: shipping is gone; then tax, which only Zipkin knows; then the consumer of the mails.
// Guarantee: nothing is heard of them; callers see refused connections without a server span, and the
// order fails; mails are simply not consumed.
#[test]
fn gone() {
    for (name, service) in [("shipping", Svc::Shipping), ("tax", Svc::Tax)] {
        let (items, _) = broken(&format!("gone:{name}"));
        let [before, under] = halves(&items);
        let heard =
            |spans: &[(Resource, &Span)]| spans.iter().filter(|(resource, _)| resource.service == service).count();
        assert!(heard(&before) > 50);
        assert_eq!(heard(&under), 0);
        assert!(
            !logs(&items)
                .iter()
                .any(|(resource, log)| resource.service == service && log.time_ns > FROM_NS + SECOND_NS)
        );
        let refused = under.iter().filter(|(resource, span)| {
            resource.service == Svc::Checkout
                && span.kind == SpanKind::Client
                && matches!(&span.status, Status::Error(message) if message.contains("refused"))
        });
        assert!(refused.count() > 50);
        let (failed, all) = errors(&under, Svc::Checkout, SpanKind::Server);
        assert_eq!(failed, all);
    }
    let (items, _) = broken("gone:email");
    let [_, under] = halves(&items);
    assert!(!under.iter().any(|(resource, _)| resource.service == Svc::Email));
    assert!(errors(&under, Svc::Checkout, SpanKind::Server).0 <= 3);
    // The cart's page goes on without a quote.
    let (items, _) = broken("gone:shipping");
    assert!(logs(&items).iter().any(|(resource, log)| {
        resource.service == Svc::Frontend && log.body.starts_with("going on without shipping")
    }));
}

// Scenario: one pod of payment runs 2.4.0.
// Guarantee: only its spans fail, by version and pod as the truth names them; the others go on as before.
#[test]
fn bad_version() {
    let (items, truth) = broken("bad-version");
    let [_, under] = halves(&items);
    let mut by_pod: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for (resource, span) in
        under.iter().filter(|(resource, span)| resource.service == Svc::Payment && span.kind == SpanKind::Server)
    {
        let attributes = otlp::resource_attributes(*resource);
        let part = |key: &str| match attributes.iter().find(|(known, _)| *known == key) {
            Some((_, Value::Text(text))) => text.clone(),
            _ => panic!("no {key}"),
        };
        let counts = by_pod.entry((part("service.version"), part("k8s.pod.name"))).or_default();
        counts.0 += usize::from(span.is_error());
        counts.1 += 1;
    }
    assert_eq!(by_pod.len(), 3, "{by_pod:?}");
    let guilty = (truth["version"].as_str().unwrap().to_owned(), truth["pod"].as_str().unwrap().to_owned());
    for (pod, (failed, all)) in by_pod {
        match pod == guilty {
            true => assert!(failed * 10 > all * 4, "{failed} of {all}"),
            false => assert!(failed <= 2 && pod.0 == "2.3.1", "{pod:?} {failed} of {all}"),
        }
    }
}

// Scenario: both queues fill up.
// Guarantee: the wait between producer and consumer grows through the minute; the consumer works as fast
// as ever, and the visitor does not notice.
#[test]
fn full_queue() {
    for (queue, service) in [("mails", Svc::Email), ("orders", Svc::Orders)] {
        let (items, _) = broken(&format!("full-queue:{queue}"));
        let all = spans(&items);
        let producers: HashMap<u64, &Span> = all
            .iter()
            .filter(|(_, span)| span.kind == SpanKind::Producer)
            .map(|(_, span)| (span.span_id, *span))
            .collect();
        let waits = |from_s: i64, to_s: i64| {
            let consumers =
                all.iter().filter(|(resource, span)| resource.service == service && span.kind == SpanKind::Consumer);
            let waits = consumers.filter_map(|(_, span)| {
                let producer = producers[&span.links.first().map_or(span.parent_id, |(_, id)| *id)];
                let sent_s = (producer.end_ns - START_NS) / SECOND_NS;
                (from_s..to_s).contains(&sent_s).then_some(span.start_ns - producer.end_ns)
            });
            median_ms(waits.collect())
        };
        assert!(waits(0, 60) < 100.0);
        assert!((1500.0..4500.0).contains(&waits(61, 69)), "{}", waits(61, 69));
        assert!(waits(100, 120) > 18_000.0, "{}", waits(100, 120));
        let [before, under] = halves(&items);
        let works = |spans: &[_]| median_ms(durations(spans, service, SpanKind::Consumer, ""));
        assert!((works(&under) / works(&before) - 1.0).abs() < 0.4);
        let visit = |spans: &[_]| median_ms(durations(spans, Svc::Frontend, SpanKind::Server, "checkout"));
        assert!((visit(&under) / visit(&before) - 1.0).abs() < 0.3);
    }
}

// Scenario: the clock of node-2 is two seconds ahead, or behind.
// Guarantee: spans and logs of its pods alone are shifted, with their durations unchanged; children on
// other hosts do not lie within their parents any more.
#[test]
fn clock_skew() {
    for (size, shift_ns) in [("2s", 2 * SECOND_NS), ("-2s", -2 * SECOND_NS)] {
        let (items, truth) = broken(&format!("clock-skew:node-2={size}"));
        assert_eq!((&truth["host"], &truth["service"]), (&"node-2".into(), &Json::Null));
        let (_, clean) = run(11, 120, &[]);
        let key = |item: &Item| (item.due_ns, item.resource);
        let mut shifted: BTreeSet<usize> = BTreeSet::new();
        for (item, was) in items.iter().zip(&clean) {
            assert_eq!(key(item), key(was));
            let moved = match (&item.payload, &was.payload) {
                (Payload::Log(log), Payload::Log(was)) => log.time_ns - was.time_ns,
                (Payload::Span(span), Payload::Span(was)) | (Payload::ZipkinSpan(span), Payload::ZipkinSpan(was)) => {
                    assert_eq!(span.end_ns - span.start_ns, was.end_ns - was.start_ns);
                    span.start_ns - was.start_ns
                }
                _ => panic!("another item"),
            };
            let host = item.resource.service.about().pods[usize::from(item.resource.pod)].1;
            if moved != 0 {
                assert_eq!(moved, shift_ns);
                shifted.insert(host);
            } else if item.due_ns > FROM_NS + 5 * SECOND_NS {
                assert_ne!(HOSTS[host].0, "node-2");
            }
        }
        assert_eq!(shifted, [1].into());
    }
}

// Scenario: the context is lost between frontend and search, and on the way to the Zipkin service.
// Guarantee: the callee's spans are roots of traces of their own, not shared; the client spans stay without an answer.
#[test]
fn broken_propagation() {
    for (edge, from, to) in
        [("frontend->search", Svc::Frontend, Svc::Search), ("checkout->tax", Svc::Checkout, Svc::Tax)]
    {
        let (items, _) = broken(&format!("broken-propagation:{edge}"));
        let [before, under] = halves(&items);
        assert!(pairs(&before, from, to).len() > 50);
        assert_eq!(pairs(&under, from, to).len(), 0);
        let answers: Vec<_> =
            under.iter().filter(|(resource, span)| resource.service == to && span.kind == SpanKind::Server).collect();
        assert!(answers.len() > 50);
        assert!(answers.iter().all(|(_, span)| span.parent_id == 0 && !span.shared));
    }
}

// Scenario: a fault with an end, and one that is switched off.
// Guarantee: each acts from its begin to its end and not after; the truth says until when.
#[test]
fn faults_end() {
    let (shop, items) = run(4, 90, &["exception=1@20s+20s"]);
    let failed: Vec<i64> = spans(&items)
        .iter()
        .filter(|(resource, span)| resource.service == Svc::Payment && span.kind == SpanKind::Server && span.is_error())
        .map(|(_, span)| (span.start_ns - START_NS) / SECOND_NS)
        .collect();
    let within = failed.iter().filter(|second| (20..=40).contains(*second)).count();
    assert!(within > 15 && failed.len() - within <= 3, "{failed:?}");
    assert_eq!(shop.faults()[0].truth()["to_ns"], (START_NS + 40 * SECOND_NS).to_string());

    let mut shop = Simulator::new(Settings { seed: 1, start_ns: START_NS, rate: 20.0 });
    let id = shop.switch_on(&Order::of(Kind::Gone), START_NS).id;
    assert!(shop.faults()[0].is_on(START_NS));
    let truth = shop.switch_off(id, START_NS + 5).unwrap();
    assert_eq!(truth["to_ns"], (START_NS + 5).to_string());
    assert!(shop.switch_off(id, START_NS + 6).is_none() && shop.switch_off(99, START_NS).is_none());
    assert!(!shop.faults()[0].is_on(START_NS + 5));
}

// Scenario: orders as they are typed, right and wrong.
// Guarantee: right ones mean what they say; wrong ones are refused with a sentence that names what would be right.
#[test]
fn orders() {
    let good = [
        ("latency", "latency checkout->payment 800ms"),
        ("latency:payment->api.fraudshield.example=2s", "latency payment->api.fraudshield.example 2s"),
        ("latency:frontend → search", "latency frontend->search 800ms"),
        ("latency:cart->redis-cart=1.5s", "latency cart->redis-cart 1.5s"),
        ("exception:catalog=30%", "exception catalog 0.3"),
        ("exception:payment/POST /charge", "exception payment/POST /charge 0.6"),
        ("clock-skew:legacy-vm-1=-2s@1m+30s", "clock-skew legacy-vm-1 -2s"),
        ("gone:tax@0s", "gone tax"),
    ];
    for (text, told) in good {
        let order = Order::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(Fault::new(1, &order, 0).to_string(), told);
    }
    let order = Order::parse("gone:tax@90s+2m").unwrap();
    assert_eq!((order.after_ms, order.for_ms), (90e3, Some(120e3)));
    let bad = [
        ("fire", "there are latency, exception"),
        ("gone:nobody", "it can on frontend, catalog"),
        ("gone=2s", "has no size"),
        ("exception=140%", "a share such as 0.6 or 60%"),
        ("latency=-1s", "a length such as 800ms or 2s"),
        ("latency=2h", "at most 1h"),
        ("gone@soon", "`soon` in `soon` is not a length of time"),
        ("gone@1s+-2s", "is not a length of time"),
        ("", "no fault is called ``"),
    ];
    for (text, reason) in bad {
        let error = Order::parse(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
    for kind in Kind::ALL {
        for target in kind.targets() {
            Order::new(kind.name(), Some(&target), None).unwrap_or_else(|error| panic!("{target}: {error}"));
        }
    }
}
