//! The shop without faults: reproducible, whole, and shaped as its topology says.

use std::collections::{BTreeSet, HashMap, HashSet};

use prost::Message as _;

use crate::telemetry::{Item, Log, Payload, Resource, Span, SpanKind};
use crate::*;

/// A start on a Saturday in 2025.
pub(crate) const START_NS: i64 = 1_760_000_000_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// What a run of so many seconds sends, by due time; faults as on the command line.
pub(crate) fn run(seed: u64, seconds: i64, faults: &[&str]) -> (Simulator, Vec<Item>) {
    run_from(START_NS, seed, seconds, faults)
}

fn run_from(start_ns: i64, seed: u64, seconds: i64, faults: &[&str]) -> (Simulator, Vec<Item>) {
    let mut shop = Simulator::new(Settings { seed, start_ns, rate: 20.0 });
    for fault in faults {
        shop.switch_on(&Order::parse(fault).unwrap(), start_ns);
    }
    let mut items = Vec::new();
    while shop.next_ns() < start_ns + seconds * SECOND_NS {
        shop.step(&mut items);
    }
    items.sort_by_key(|item| item.due_ns);
    (shop, items)
}

/// The spans of a run, with who sent them.
pub(crate) fn spans(items: &[Item]) -> Vec<(Resource, &Span)> {
    let span = |item: &'_ Item| matches!(item.payload, Payload::Span(_) | Payload::ZipkinSpan(_));
    let spans = items.iter().filter(|item| span(item)).map(|item| match &item.payload {
        Payload::Span(span) | Payload::ZipkinSpan(span) => (item.resource, span),
        Payload::Log(_) => unreachable!(),
    });
    spans.collect()
}

/// The logs of a run.
pub(crate) fn logs(items: &[Item]) -> Vec<(Resource, &Log)> {
    let logs = items.iter().filter_map(|item| match &item.payload {
        Payload::Log(log) => Some((item.resource, log)),
        _ => None,
    });
    logs.collect()
}

/// An attribute that holds text.
pub(crate) fn text<'a>(span: &'a Span, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| match span.attribute(key) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    })
}

fn shift(items: &mut [Item], by_ns: i64) {
    for item in items {
        item.due_ns += by_ns;
        match &mut item.payload {
            Payload::Span(span) | Payload::ZipkinSpan(span) => {
                span.start_ns += by_ns;
                span.end_ns += by_ns;
                span.events.iter_mut().for_each(|event| event.time_ns += by_ns);
            }
            Payload::Log(log) => log.time_ns += by_ns,
        }
    }
}

// Scenario: the same seed twice, at another time, with every fault, and another seed.
// Guarantee: the same seed and faults give the same ids, texts and distances whenever they start; another seed does not.
#[test]
fn a_seed_is_a_run() {
    let menu: Vec<String> = Kind::ALL.iter().map(|kind| format!("{}@10s+10s", kind.name())).collect();
    let menu: Vec<&str> = menu.iter().map(String::as_str).collect();
    for faults in [&[][..], &menu] {
        let (_, first) = run(7, 30, faults);
        let (_, again) = run(7, 30, faults);
        assert!(first.len() > 5000, "{}", first.len());
        assert!(first == again);
        let later_ns = 98_765_432_123_456;
        let (_, mut later) = run_from(START_NS + later_ns, 7, 30, faults);
        shift(&mut later, -later_ns);
        assert!(first == later);
        assert!(first != run(8, 30, faults).1);
    }
}

// Scenario: a run without faults.
// Guarantee: every span id is used once (by a Zipkin server a second time), every parent was sent, and
// lies around its children, which are of the same trace; consumers begin after their producers end.
#[test]
fn spans_form_whole_trees() {
    let (_, items) = run(1, 120, &[]);
    let spans = spans(&items);
    let mut seen = HashSet::new();
    let by_id: HashMap<(u64, bool), &Span> =
        spans.iter().map(|(_, span)| ((span.span_id, span.shared), *span)).collect();
    let (mut roots, mut shared) = (0, 0);
    for (resource, span) in &spans {
        assert!(seen.insert((span.span_id, span.shared)), "{span:?}");
        assert!(span.end_ns - span.start_ns >= 1000, "{span:?}");
        if span.shared {
            shared += 1;
            let caller = by_id[&(span.span_id, false)];
            assert_eq!((caller.trace_id, caller.parent_id), (span.trace_id, span.parent_id));
            assert!(caller.start_ns < span.start_ns && span.end_ns < caller.end_ns);
            assert_eq!(resource.service, Svc::Tax);
            continue;
        }
        if span.parent_id == 0 {
            roots += 1;
            assert!(span.kind == SpanKind::Consumer || matches!(resource.service, Svc::Frontend | Svc::Reporting));
        } else {
            // Children of a joined server stand below the shared span.
            let parent = by_id.get(&(span.parent_id, true)).unwrap_or_else(|| &by_id[&(span.parent_id, false)]);
            assert_eq!(parent.trace_id, span.trace_id);
            match span.kind {
                SpanKind::Consumer => assert!(parent.kind == SpanKind::Producer && parent.end_ns < span.start_ns),
                _ => assert!(parent.start_ns <= span.start_ns && span.end_ns <= parent.end_ns, "{parent:?} {span:?}"),
            }
        }
        for (trace, id) in &span.links {
            let producer = by_id[&(*id, false)];
            assert_eq!((producer.trace_id, producer.kind), (*trace, SpanKind::Producer));
            assert!(*trace != span.trace_id && producer.end_ns < span.start_ns);
        }
    }
    assert!(roots > 2000 && shared > 100, "{roots} roots, {shared} shared");
}

// Scenario: a run without faults, whose edges are read from its spans: parents, links, shared spans, peers.
// Guarantee: they are exactly those of the topology, and so are the nodes.
#[test]
fn the_topology_is_what_is_sent() {
    let (_, items) = run(3, 180, &[]);
    let spans = spans(&items);
    let mut by_id: HashMap<u64, Vec<(Resource, &Span)>> = HashMap::new();
    for (resource, span) in &spans {
        by_id.entry(span.span_id).or_default().push((*resource, *span));
    }
    let service = |resource: Resource| format!("service:{}", resource.service.name());
    let topic = |span: &Span| {
        let part = |key: &str| text(span, &[key]).unwrap().to_owned();
        format!("messaging:{}/{}", part("messaging.system"), part("messaging.destination.name"))
    };
    let answered: HashSet<u64> = spans
        .iter()
        .filter(|(_, span)| span.kind == SpanKind::Server)
        .map(|(_, span)| if span.shared { span.span_id } else { span.parent_id })
        .collect();
    let mut edges = BTreeSet::new();
    for (resource, span) in &spans {
        let here = service(*resource);
        match span.kind {
            SpanKind::Server if span.parent_id == 0 => drop(edges.insert(("user:user".to_owned(), here, "rpc"))),
            SpanKind::Server => {
                let caller = if span.shared { span.span_id } else { span.parent_id };
                let (caller, _) = by_id[&caller].iter().find(|(_, span)| span.kind == SpanKind::Client).unwrap();
                edges.insert((service(*caller), here, "rpc"));
            }
            SpanKind::Producer => drop(edges.insert((here, topic(span), "messaging"))),
            SpanKind::Consumer => drop(edges.insert((topic(span), here, "messaging"))),
            SpanKind::Internal => assert_eq!(resource.service, Svc::Reporting),
            SpanKind::Client if answered.contains(&span.span_id) => {}
            SpanKind::Client => {
                let peer = text(span, &["server.address", "net.peer.name"]).map(str::to_owned);
                let peer = peer.or_else(|| span.remote.as_ref().map(|remote| remote.name.to_owned())).unwrap();
                let system = text(span, &["db.system.name", "db.system"]);
                edges.insert(match system {
                    Some(system) => {
                        let name =
                            text(span, &["db.namespace", "db.name"]).map_or(String::new(), |name| format!("/{name}"));
                        (here, format!("database:{system}{name}@{peer}"), "database")
                    }
                    None => (here, format!("external:{peer}"), "external"),
                });
            }
        }
    }
    let topology = Topology::of_the_shop();
    let told: BTreeSet<_> =
        topology.edges.iter().map(|edge| (edge.source.clone(), edge.target.clone(), edge.connection_type)).collect();
    assert_eq!(edges, told);
    let mut touched: BTreeSet<String> = edges.into_iter().flat_map(|(source, target, _)| [source, target]).collect();
    touched.extend(spans.iter().map(|(resource, _)| service(*resource)));
    assert_eq!(touched, topology.nodes.into_iter().map(|node| node.id).collect());
}

// Scenario: five minutes without faults.
// Guarantee: about one visit in a thousand or a few fails; logs are of every severity and of every form
// that the table names, their ids are those of spans that were sent, and some belong to no request.
#[test]
fn a_normal_day() {
    let (shop, items) = run(5, 300, &[]);
    assert!((4700..7400).contains(&shop.visits()), "{}", shop.visits());
    let roots =
        spans(&items).into_iter().filter(|(resource, span)| span.parent_id == 0 && resource.service == Svc::Frontend);
    let (failed, all) = roots.fold((0, 0), |(failed, all), (_, span)| (failed + usize::from(span.is_error()), all + 1));
    assert_eq!(all, shop.visits());
    assert!((1..=40).contains(&failed), "{failed} of {all}");

    let ids: HashSet<String> =
        spans(&items).iter().map(|(_, span)| format!("{:032x}{:016x}", span.trace_id, span.span_id)).collect();
    let (mut forms, mut severities, mut loose) = (HashMap::new(), BTreeSet::new(), 0);
    for (resource, log) in logs(&items) {
        severities.insert(log.severity);
        let part = |text: &str, key: &str, length: usize| {
            let at = text.find(key).unwrap_or_else(|| panic!("{text} has no {key}")) + key.len();
            text[at..at + length].to_owned()
        };
        if log.scope.ends_with(".runtime") {
            loose += 1;
            continue;
        }
        let form = resource.service.about().logs;
        let attribute = |key: &str| match log.attributes.iter().find(|(known, _)| *known == key) {
            Some((_, Value::Text(text))) => text.clone(),
            other => panic!("{other:?}"),
        };
        let id = match form {
            LogForm::Fields => format!("{:032x}{:016x}", log.trace_id, log.span_id),
            LogForm::Text => part(&log.body, "trace_id=", 32) + &part(&log.body, "span_id=", 16),
            LogForm::Json => part(&log.body, "\"trace_id\":\"", 32) + &part(&log.body, "\"span_id\":\"", 16),
            LogForm::Brackets => {
                let inner = part(&log.body, &format!("[{},", resource.service.name()), 49);
                inner.replace(',', "")
            }
            LogForm::Attributes => attribute("trace_id") + &attribute("span_id"),
        };
        assert!(ids.contains(&id), "{log:?}");
        *forms.entry(format!("{form:?}")).or_insert(0) += 1;
    }
    assert_eq!(severities, [5, 9, 13, 17].into());
    assert_eq!(forms.len(), 5, "{forms:?}");
    assert!(forms.values().all(|count| *count > 100) && loose > 50, "{forms:?} {loose}");
}

// Scenario: a run is encoded.
// Guarantee: OTLP holds every span and log once, with resources of one pod each; Zipkin's JSON keeps
// ids, shared and times.
#[test]
fn encodings_keep_everything() {
    let (_, items) = run(2, 20, &["exception"]);
    let owned = |zipkin: bool| -> Vec<(Resource, Span)> {
        let items = items.iter().filter_map(|item| match &item.payload {
            Payload::Span(span) if !zipkin => Some((item.resource, span.clone())),
            Payload::ZipkinSpan(span) if zipkin => Some((item.resource, span.clone())),
            _ => None,
        });
        items.collect()
    };
    let (otlp, legacy) = (owned(false), owned(true));
    let request = otlp::traces(&otlp);
    let request = opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest::decode(
        request.encode_to_vec().as_slice(),
    )
    .unwrap();
    let resources: HashSet<Resource> = otlp.iter().map(|(resource, _)| *resource).collect();
    assert_eq!(request.resource_spans.len(), resources.len());
    let sent = request.resource_spans.iter().flat_map(|group| &group.scope_spans).flat_map(|group| &group.spans);
    let ids: HashSet<Vec<u8>> = sent.map(|span| span.span_id.clone()).collect();
    assert_eq!(ids.len(), otlp.len());
    let records: Vec<(Resource, Log)> =
        logs(&items).into_iter().map(|(resource, log)| (resource, log.clone())).collect();
    let request = otlp::logs(&records);
    let sent = request.resource_logs.iter().flat_map(|group| &group.scope_logs).map(|group| group.log_records.len());
    assert_eq!(sent.sum::<usize>(), records.len());

    let json = zipkin::spans(&legacy);
    let json = json.as_array().unwrap();
    assert!(json.len() == legacy.len() && !json.is_empty());
    for (span, json) in legacy.iter().map(|(_, span)| span).zip(json) {
        assert_eq!(json["traceId"], format!("{:032x}", span.trace_id));
        assert_eq!(json["parentId"], format!("{:016x}", span.parent_id));
        assert_eq!(json["shared"].as_bool().unwrap_or(false), span.shared);
        assert_eq!(json["timestamp"], span.start_ns / 1000);
        assert_eq!(json["localEndpoint"]["serviceName"], "tax");
        assert_eq!(json["kind"], if span.shared { "SERVER" } else { "CLIENT" });
    }
}

// Scenario: the pods of the shop.
// Guarantee: names, instance ids and addresses are different, also those of pods of the next version.
#[test]
fn pods_are_told_apart() {
    let mut seen = HashSet::new();
    let mut addresses = HashSet::new();
    for service in Svc::ALL {
        for pod in 0..service.about().pods.len() as u8 {
            assert!(addresses.insert(service.about().pod_ip(pod)), "{service:?} {pod}");
            for canary in [false, true] {
                let attributes = otlp::resource_attributes(Resource { service, pod, canary });
                let instance = attributes.iter().find(|(key, _)| *key == "service.instance.id").unwrap();
                let fresh = seen.insert(format!("{:?}", instance.1));
                assert!(fresh || (service == Svc::Tax && canary), "{service:?} {pod} {canary}");
            }
        }
    }
}

// Scenario: docs/demo.md.
// Guarantee: its tables are those of the code. UPDATE_DOCS=1 writes them.
#[test]
fn the_page_is_true() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/demo.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (words, tables) = page.split_at(page.find("## Services").expect("the page has tables"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{words}{}", guide())).unwrap();
        return;
    }
    assert!(tables == guide(), "docs/demo.md is stale; UPDATE_DOCS=1 cargo test -p hypocenter-demo the_page_is_true");
}
