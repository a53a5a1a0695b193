//! Zipkin's query rules against a slow and literal reading of them, and the translation of rows.

use std::collections::BTreeMap;

use model::kind::{CLIENT, SERVER};
use model::{SpanId, Value, mark, value};
use proptest::prelude::*;
use store::questions::zipkin::SpanRow;

use super::query::trace_time;
use super::*;

fn params() -> QueryParams {
    QueryParams { end_ts_ms: 1_000, lookback_ms: 1_000, limit: 10, ..QueryParams::default() }
}

fn asked(annotation_query: &str) -> Vec<(String, String)> {
    let query = Query::new(QueryParams { annotation_query: Some(annotation_query.into()), ..params() });
    query.unwrap().matching.terms
}

// Scenario: annotation queries as people and Zipkin's UI write them.
// Guarantee: terms are split at " and ", trimmed, each key once; the last value wins, a bare word never does.
#[test]
fn annotation_queries() {
    for (text, expected) in [
        ("", ""),
        ("error", "error="),
        ("a=1 and b", "a=1 b="),
        (" a = 1  and  b ", "a=1 b="),
        ("a=1 and a=2", "a=2"),
        ("a=1 and a", "a=1"),
        ("a and a=1", "a=1"),
        ("a=1 and a=", "a="),
        ("http.path=/x?y=z and w", "http.path=/x?y=z w="),
        ("android=1", "android=1"),
        (" and ", ""),
        ("=x", ""),
    ] {
        let drawn: Vec<String> = asked(text).iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(drawn.join(" "), expected, "{text}");
    }
    assert_eq!(asked(&vec!["k"; 500].join("x and ")).len(), 2, "only the first hundred are parted");
}

// Scenario: queries that make no sense, and edge cases that do.
// Guarantee: Zipkin's texts; `all` and empty names ask for nothing.
#[test]
fn queries_are_checked() {
    let cases: [(&str, QueryParams); 8] = [
        ("endTs <= 0", QueryParams { end_ts_ms: 0, ..params() }),
        ("limit <= 0", QueryParams { limit: 0, ..params() }),
        ("lookback <= 0", QueryParams { lookback_ms: -1, ..params() }),
        ("minDuration <= 0", QueryParams { min_duration_us: Some(0), ..params() }),
        ("maxDuration < minDuration", QueryParams { min_duration_us: Some(2), max_duration_us: Some(1), ..params() }),
        ("maxDuration is only valid with minDuration", QueryParams { max_duration_us: Some(1), ..params() }),
        ("", QueryParams { min_duration_us: Some(2), max_duration_us: Some(2), ..params() }),
        ("", QueryParams { span_name: Some("ALL".into()), service: Some(String::new()), ..params() }),
    ];
    for (expected, params) in cases {
        assert_eq!(Query::new(params).err().unwrap_or_default(), expected);
    }
    let query = Query::new(QueryParams { span_name: Some("ALL".into()), service: Some("FrÖnt".into()), ..params() });
    let matching = query.unwrap().matching;
    assert_eq!((matching.service.as_deref(), matching.span_name), (Some("frönt"), None));
}

/// What is asked, for the oracle.
#[derive(Clone, Debug)]
struct Asked {
    service: Option<&'static str>,
    remote: Option<&'static str>,
    name: Option<&'static str>,
    terms: BTreeMap<&'static str, &'static str>,
    durations: Option<(i64, Option<i64>)>,
    end_ms: i64,
    lookback_ms: i64,
}

/// Zipkin's rules, literally: go through the spans of the service and strike off what each meets.
fn literal(asked: &Asked, trace: &[Span]) -> bool {
    let mut roots = Vec::new();
    let mut all = Vec::new();
    for span in trace {
        if span.timestamp_us > 0 {
            all.push(span.timestamp_us);
            if span.parent_id.is_none() {
                roots.push(span.timestamp_us);
            }
        }
    }
    roots.sort_unstable();
    all.sort_unstable();
    let Some(time) = roots.first().or(all.first()) else { return false };
    let time = *time as i64;
    if time < (asked.end_ms - asked.lookback_ms) * 1000 || time > asked.end_ms * 1000 {
        return false;
    }
    let (mut service, mut remote, mut name) = (asked.service, asked.remote, asked.name);
    let mut terms = asked.terms.clone();
    let mut lasted = asked.durations.is_none();
    for span in trace {
        if asked.service.is_some_and(|service| service != span.local_service()) {
            continue;
        }
        service = None;
        if remote == Some(span.remote_service()) {
            remote = None;
        }
        if name == Some(span.name.as_str()) {
            name = None;
        }
        for annotation in &span.annotations {
            if terms.get(annotation.value.as_str()) == Some(&"") {
                terms.remove(annotation.value.as_str());
            }
        }
        for (key, value) in &span.tags {
            if terms.get(key.as_str()).is_some_and(|wanted| wanted.is_empty() || wanted == value) {
                terms.remove(key.as_str());
            }
        }
        if let Some((min, max)) = asked.durations {
            let duration = span.duration_us as i64;
            lasted |= duration >= min && max.is_none_or(|max| duration <= max);
        }
    }
    service.is_none() && remote.is_none() && name.is_none() && terms.is_empty() && lasted
}

const WORDS: [&str; 4] = ["a", "b", "c", ""];

fn a_span() -> impl Strategy<Value = Span> {
    let tags = proptest::collection::btree_map(0usize..3, 0usize..4, 0..3);
    let annotations = proptest::collection::vec(0usize..3, 0..3);
    (0u64..3, 0u64..5, 0u64..5, 0usize..4, 0usize..4, 0usize..4, tags, annotations).prop_map(
        |(parent, time, duration, local, remote, name, tags, annotations)| {
            let endpoint = |at: usize| Some(Endpoint { service: WORDS[at].into(), ..Endpoint::default() });
            Span {
                parent_id: (parent > 0).then(|| SpanId(parent.to_be_bytes())),
                timestamp_us: time * 1000,
                duration_us: duration,
                local: endpoint(local),
                remote: endpoint(remote),
                name: WORDS[name].into(),
                tags: tags.into_iter().map(|(key, value)| (WORDS[key].into(), WORDS[value].into())).collect(),
                annotations: annotations
                    .into_iter()
                    .map(|at| Annotation { timestamp_us: 1, value: WORDS[at].into() })
                    .collect(),
                ..Span::default()
            }
        },
    )
}

fn a_question() -> impl Strategy<Value = Asked> {
    let word = || proptest::option::of((0usize..3).prop_map(|at| WORDS[at]));
    let terms = proptest::collection::btree_map(
        (0usize..3).prop_map(|at| WORDS[at]),
        (0usize..4).prop_map(|at| WORDS[at]),
        0..3,
    );
    let durations = proptest::option::of((1i64..5, proptest::option::of(0i64..3)));
    (word(), word(), word(), terms, durations, 1i64..6, 1i64..6).prop_map(
        |(service, remote, name, terms, durations, end_ms, lookback_ms)| {
            let durations = durations.map(|(min, more)| (min, more.map(|more| min + more)));
            Asked { service, remote, name, terms, durations, end_ms, lookback_ms }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    // Scenario: thousands of random traces and questions over few words, so that many match in part.
    // Guarantee: a trace is accepted exactly when the literal reading accepts it.
    #[test]
    fn rules_as_written(trace in proptest::collection::vec(a_span(), 1..5), asked in a_question()) {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let terms: Vec<String> = asked.terms.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let query = Query::new(QueryParams {
            service: own(asked.service), remote_service: own(asked.remote), span_name: own(asked.name),
            annotation_query: Some(terms.join(" and ")),
            min_duration_us: asked.durations.map(|(min, _)| min), max_duration_us: asked.durations.and_then(|(_, max)| max),
            end_ts_ms: asked.end_ms, lookback_ms: asked.lookback_ms, limit: 1,
        }).unwrap();
        prop_assert_eq!(query.accepts(&trace).is_some(), literal(&asked, &trace));
        if let Some(time_us) = query.accepts(&trace) {
            prop_assert_eq!(Some(time_us), trace_time(&trace));
            let ns = time_us as i64 * 1000;
            prop_assert!(query.window().from_ns <= ns && ns < query.window().to_ns);
        }
    }
}

fn stored(values: &[(&str, Value)]) -> (Vec<(String, String)>, String) {
    let mut types = Vec::new();
    let pairs = values.iter().map(|(key, value)| {
        let mut text = Vec::new();
        value.encode(&mut text, &mut types);
        ((*key).to_owned(), String::from_utf8(text).unwrap())
    });
    let pairs = pairs.collect();
    value::finish_types(&mut types);
    (pairs, String::from_utf8(types).unwrap())
}

fn otlp_row() -> SpanRow {
    SpanRow {
        trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
        span_id: "00f067aa0ba902b7".into(),
        parent_span_id: "00f067aa0ba902b8".into(),
        service: "Shop".into(),
        name: "GET /Cart".into(),
        kind: "Client".into(),
        status: "Unset".into(),
        start_ns: 1_700_000_000_123_456_789,
        duration_ns: 999,
        ..SpanRow::default()
    }
}

fn tag<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    span.tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

// Scenario: an OpenTelemetry client span with attributes of every type, a status, an event, a scope, dropped counts.
// Guarantee: it has the form that OpenTelemetry's specification gives it in Zipkin.
#[test]
fn opentelemetry_spans_are_translated() {
    let (attributes, attribute_types) = stored(&[
        ("n", Value::Int(7)),
        ("d", Value::Double(1.5)),
        ("yes", Value::Bool(true)),
        ("list", Value::Array(vec![Value::Int(1), Value::Str("x".into())])),
        ("error", Value::Bool(false)),
        ("n", Value::Int(8)),
    ]);
    let (event, event_types) = stored(&[("k", Value::Int(1))]);
    let row = SpanRow {
        attributes,
        attribute_types,
        dropped_attributes: 2,
        event_times_ns: vec![1_700_000_000_123_460_000, 1_700_000_000_123_459_000],
        event_names: vec!["ex".into(), "plain".into()],
        event_attributes: vec![event, Vec::new()],
        event_attribute_types: vec![event_types, String::new()],
        scope_name: "lib".into(),
        ..otlp_row()
    };
    let span = Span::of(row.clone());
    assert_eq!((span.kind, span.name.as_str(), span.local_service(), span.id64), (CLIENT, "get /cart", "shop", false));
    assert_eq!((span.timestamp_us, span.duration_us), (1_700_000_000_123_456, 1));
    let shown: Vec<String> = span.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        shown.join(" "),
        r#"n=7 d=1.5 yes=true list=[1,"x"] otel.scope.name=lib otel.library.name=lib otel.dropped_attributes_count=2"#
    );
    let events: Vec<&str> = span.annotations.iter().map(|it| it.value.as_str()).collect();
    assert_eq!(events, ["plain", r#""ex":{"k":1}"#]);
    let failed = Span::of(SpanRow { status: "Error".into(), status_message: "boom".into(), ..row.clone() });
    assert_eq!((tag(&failed, "otel.status_code"), tag(&failed, "error")), (Some("ERROR"), Some("boom")));
    let fine = Span::of(SpanRow { status: "Ok".into(), ..row });
    assert_eq!((tag(&fine, "otel.status_code"), tag(&fine, "error")), (Some("OK"), None));
    let odd = SpanRow { marks: mark::NO_TIME, kind: "Internal".into(), service: String::new(), ..otlp_row() };
    let odd = Span::of(odd);
    assert_eq!((odd.timestamp_us, odd.local.as_ref(), odd.kind), (0, None, 1));
}

// Scenario: attributes that say who is on the other side, several at once, on clients and on servers.
// Guarantee: the first in rank names a client's or producer's other side; an address is one; a server has none.
#[test]
fn the_other_side() {
    let remote = |kind: &str, pairs: &[(&str, &str)]| {
        let attributes = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let span = Span::of(SpanRow { kind: kind.into(), attributes, ..otlp_row() });
        span.remote.map_or("-".to_owned(), |it| format!("{} {} {} {}", it.service, it.ipv4, it.ipv6, it.port))
    };
    assert_eq!(remote("Client", &[("db.name", "x"), ("server.address", "DB.local"), ("peer.service", "Db")]), "db   0");
    assert_eq!(remote("Producer", &[("net.peer.name", "kafka")]), "kafka   0");
    assert_eq!(remote("Client", &[("network.peer.address", "10.1.2.3"), ("network.peer.port", "80")]), " 10.1.2.3  80");
    assert_eq!(remote("Client", &[("net.sock.peer.addr", "::1"), ("net.sock.peer.port", "x")]), "  ::1 0");
    assert_eq!(remote("Server", &[("peer.service", "db")]), "-");
    assert_eq!(remote("Client", &[("peer.service", "")]), "-");
}

// Scenario: a Zipkin span with every flag, odd times and endpoints, as stored.
// Guarantee: it comes back as it was sent, and a span without a time has none.
#[test]
fn zipkin_spans_come_back() {
    let row = SpanRow {
        marks: mark::ZIPKIN | mark::SHARED | mark::DEBUG_FALSE | mark::ID64,
        trace_id: "00000000000000008448eb211c80319c".into(),
        kind: "Server".into(),
        duration_ns: 207_000,
        local_endpoint: r#"{"serviceName":"front","ipv4":"10.0.0.1","port":80}"#.into(),
        event_times_ns: vec![5_000, i64::MAX],
        event_names: vec!["ws".into(), "later".into()],
        event_attributes: vec![Vec::new(), vec![("zipkin.timestamp".into(), "9223372036854775806".into())]],
        attributes: vec![("otel.status_code".into(), "OK".into())],
        ..otlp_row()
    };
    let span = Span::of(row.clone());
    assert_eq!(
        (span.shared, span.debug, span.id64, span.kind, span.duration_us),
        (Some(true), Some(false), true, SERVER, 207)
    );
    assert_eq!(span.name, "GET /Cart", "names were lower-cased when they came");
    let local = Endpoint { service: "front".into(), ipv4: "10.0.0.1".into(), ipv6: String::new(), port: 80 };
    assert_eq!((span.local, span.remote), (Some(local), None));
    let times: Vec<i64> = span.annotations.iter().map(|it| it.timestamp_us).collect();
    assert_eq!(times, [5, i64::MAX - 1]);
    assert_eq!(span.tags, [("otel.status_code".to_owned(), "OK".to_owned())]);
    let timeless = SpanRow { marks: row.marks | mark::NO_TIME, ..row.clone() };
    assert_eq!(Span::of(timeless).timestamp_us, 0);
    let past = SpanRow { marks: row.marks | mark::QUARANTINED, original_start_ns: 7_000, ..row.clone() };
    assert_eq!(Span::of(past).timestamp_us, 7);
    let far = SpanRow { marks: row.marks | mark::QUARANTINED | mark::CLAMPED, original_start_ns: u64::MAX, ..row };
    assert_eq!(Span::of(far).timestamp_us, u64::MAX);
}
