//! Trace search: whatever columns and indexes it uses, it finds what a plain look at every span finds.

use std::collections::{BTreeMap, BTreeSet};

use model::table::Table;
use model::text::DictColumn;
use model::time::SECOND_NS;
use model::{Batch, MapColumn, Value as Any, value};
use serde_json::Value;
use store::questions::traces::{PageEnd, TraceSearch, search};
use store::questions::{Ask, SpanMatch, TraceMatch, Window};

use crate::support::{Engine, admin, execute, rows};

const FIRST_S: i64 = 1_727_740_800;

// Four traces in five are ours, with promoted columns; the others another program's, without. Routes,
// codes under the newer or the older key, regions on spans or on resources.
const FILL: &str = "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, StatusCode,
    ResourceAttributes, SpanAttributes, RowVersion, ResourceKeys, HttpRoute, HttpStatusCode)
WITH intDiv(number, 4) AS trace, cityHash64(number) AS dice, trace % 5 > 0 AS ours, ['cart', 'front', 'pay'][dice % 3 + 1] AS service,
    if(dice % 7 < 4, concat('/r/', toString(dice % 11)), '') AS route, if(dice % 13 = 0, 504, 200) AS code,
    if(trace % 2 = 0, 'http.status_code', 'http.response.status_code') AS code_key,
    if(dice % 17 = 0, map('region', 'eu', 'service.name', service), map('service.name', service, 'pod', toString(dice % 40))) AS resource
SELECT toDateTime64(1727740800 + cityHash64(trace, 1) % 260000, 9, 'UTC') + toIntervalMillisecond(number % 4 * 9000 + dice % 1000),
    lower(hex(sipHash128(trace))), lower(hex(dice)), 'work', service, if(dice % 19 = 0, 'Error', 'Unset'), resource,
    mapFilter((k, v) -> v != '', map(code_key, toString(code), 'user', toString(dice % 300), 'http.route', route, 'region', if(dice % 23 = 0, 'eu', ''))) AS attributes,
    if(ours, 2, 0), if(ours, concat(',', arrayStringConcat(mapKeys(resource), ','), ','), ''), if(ours, route, ''), if(ours, code, 0)
FROM numbers(6000)";

struct Span {
    trace: String,
    at_ns: i64,
    service: String,
    error: bool,
    maps: [Vec<(String, String)>; 2],
}

impl Span {
    fn read(row: &Value) -> Span {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let map = |name: &str| serde_json::from_value(row[name].clone()).unwrap();
        let at_ns = row["at"].as_str().map_or_else(|| row["at"].as_i64().unwrap(), |text| text.parse().unwrap());
        let maps = [map("of_span"), map("of_resource")];
        Span { trace: text("TraceId"), at_ns, service: text("ServiceName"), error: text("StatusCode") == "Error", maps }
    }

    fn matches(&self, wanted: &SpanMatch) -> bool {
        let has = |pair: &(String, String)| self.maps.iter().any(|map| map.contains(pair));
        wanted.service.as_ref().is_none_or(|service| self.service == *service)
            && (!wanted.error || self.error)
            && wanted.attributes.iter().all(has)
    }
}

const ALL: &str = "SELECT TraceId, toUnixTimestamp64Nano(Timestamp) AS at, ServiceName, StatusCode,
    arrayZip(mapKeys(SpanAttributes), mapValues(SpanAttributes)) AS of_span, arrayZip(mapKeys(ResourceAttributes), mapValues(ResourceAttributes)) AS of_resource
FROM otel_traces";
const FILL_INDEX: &str = "INSERT INTO otel_traces_trace_id_ts (TraceId, Start, End, Spans)
SELECT TraceId, toDateTime(min(Timestamp)), toDateTime(max(Timestamp)) + 1, count() FROM otel_traces GROUP BY TraceId";

fn attributes(pairs: &[(&str, &str)]) -> SpanMatch {
    let attributes = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    SpanMatch { attributes, ..SpanMatch::default() }
}

/// Searches page by page, and compares with a look at every span.
async fn compare(ask: &Ask<'_>, spans: &[Span], span: &SpanMatch, whole: TraceMatch, limit: usize, window: Window) {
    let mut keys: BTreeMap<&str, i64> = BTreeMap::new();
    let in_window = |span: &&Span| (window.from_ns..window.to_ns).contains(&span.at_ns);
    let failed: BTreeSet<&str> = spans.iter().filter(|span| span.error).map(|span| span.trace.as_str()).collect();
    for found in spans.iter().filter(in_window).filter(|found| found.matches(span)) {
        if !(whole.ok && failed.contains(found.trace.as_str())) {
            let key = keys.entry(&found.trace).or_insert(i64::MAX);
            *key = found.at_ns.min(*key);
        }
    }
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let asked = TraceSearch { window, span: span.clone(), whole, limit, after };
        let page = search(ask, &asked).await.unwrap();
        assert!(page.traces.len() <= limit && !page.partial);
        listed.extend(page.traces.into_iter().map(|trace| trace.trace_id));
        let Some((key_ns, trace_id)) = page.more else { break };
        after = Some(PageEnd { key_ns, trace_id, snapshot_ns: Window::ALL.to_ns });
    }
    let set: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    assert_eq!(set.len(), listed.len(), "{span:?}: one trace on two pages");
    assert_eq!(set, keys.keys().copied().collect(), "{span:?} {whole:?}");
    // Columns that several keys share find more spans than match; only the traces are exact then.
    let shares = |key: &str| ["status_code", "db.system", "messaging."].iter().any(|part| key.contains(part));
    if !span.attributes.iter().any(|(key, _)| shares(key)) {
        let order: Vec<i64> = listed.iter().map(|trace| keys[trace.as_str()]).collect();
        assert!(order.is_sorted_by(|a, b| a >= b), "{span:?}: {order:?}");
    }
}

// Scenario: three days of traces, ours and another program's; searches by promoted and other keys, on
// spans and on resources, alone and together, over all and over a part of the time, in pages of several
// sizes.
// Guarantee: the pages together hold exactly the traces that a look at every span finds, each once, by
// their earliest matching span where the conditions decide by themselves.
#[tokio::test]
async fn searches_agree_with_a_plain_look() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let own = admin(engine, &store);
    execute(&own, FILL).await;
    execute(&own, FILL_INDEX).await;
    let spans: Vec<Span> = rows(&own, ALL).await.iter().map(Span::read).collect();
    assert_eq!(spans.len(), 6_000);
    let client = store.client().unwrap();
    let ask = Ask { client: &client, tenant: "" };
    let cases = [
        (SpanMatch { service: Some("cart".to_owned()), error: true, ..SpanMatch::default() }, 25),
        (attributes(&[("http.route", "/r/3")]), 50),
        (attributes(&[("http.route", "/r/none")]), 5),
        (attributes(&[("http.response.status_code", "504")]), 20),
        (attributes(&[("http.status_code", "504"), ("http.route", "/r/5")]), 6),
        (attributes(&[("service.name", "pay"), ("user", "7")]), 4),
        (attributes(&[("user", "42")]), 6),
        (attributes(&[("region", "eu")]), 30),
        (attributes(&[("pod", "11"), ("region", "")]), 9),
        (attributes(&[("pod", "11"), ("user", "111")]), 9),
        (SpanMatch { service: Some("front".to_owned()), ..attributes(&[("region", "eu"), ("http.route", "/r/1")]) }, 3),
    ];
    let at = |seconds: i64| (FIRST_S + seconds) * SECOND_NS;
    let windows = [Window::ALL, Window { from_ns: at(100_000) + 500_000_000, to_ns: at(200_000) }];
    for ((span, limit), window) in cases.iter().flat_map(|case| windows.map(|window| (case, window))) {
        compare(&ask, &spans, span, TraceMatch::default(), *limit, window).await;
    }
}

/// Keys whose columns are asked, older names of the same, and others; the same on spans and resources.
const KEYS: [&str; 12] = [
    "http.route",
    "http.response.status_code",
    "http.status_code",
    "db.system.name",
    "db.system",
    "messaging.destination.name",
    "messaging.destination",
    "service.name",
    "service.version",
    "plain",
    "other,key",
    "peer.service",
];

fn values() -> Vec<Any> {
    vec![
        Any::Str("a".into()),
        Any::Str("200".into()),
        Any::Int(200),
        Any::Double(200.0),
        Any::Str("0200".into()),
        Any::Int(70_000),
        Any::Double(9.91),
        Any::Bool(true),
        Any::Array(vec![Any::Int(1), Any::Str("a".into())]),
        Any::Str(String::new()),
        Any::Empty,
        Any::Str("long ".repeat(60)),
    ]
}

fn text(value: &Any) -> String {
    let mut text = Vec::new();
    value.encode(&mut text, &mut Vec::new());
    String::from_utf8(text).unwrap()
}

/// A chain of numbers below a bound.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// Attributes as one row of a map; keys may repeat.
    fn attributes(&mut self, most: usize, map: &mut MapColumn, types: &mut DictColumn) -> Vec<(&'static str, Any)> {
        let values = values();
        let count = self.below(most + 1);
        let pairs: Vec<_> =
            (0..count).map(|_| (KEYS[self.below(KEYS.len())], values[self.below(values.len())].clone())).collect();
        let mut signs = Vec::new();
        for (key, value) in &pairs {
            let mut text = Vec::new();
            value.encode(&mut text, &mut signs);
            map.push(key.as_bytes(), &text);
        }
        map.end_row();
        value::finish_types(&mut signs);
        types.push(&signs);
        pairs
    }
}

/// What decoding puts into a promoted column: the first string or integer of the best key.
fn promoted(pairs: &[(&str, Any)], keys: &[&str]) -> String {
    let usual = |value: &Any| matches!(value, Any::Str(text) if !text.is_empty()) || matches!(value, Any::Int(_));
    let of = |key: &&str| pairs.iter().find(|(known, value)| known == key && usual(value));
    keys.iter().find_map(of).map(|(_, value)| text(value)).unwrap_or_default()
}

fn odd_traces(seed: u64, traces: usize) -> Batch {
    let mut dice = Dice(seed);
    let mut batch = crate::sample::on_days(&[], &[]);
    batch.envelope.tenant = "".into();
    for trace in 0..traces {
        for _ in 0..=dice.below(3) {
            let start_ns = (FIRST_S + dice.below(1_500) as i64) * SECOND_NS + dice.below(1_000_000) as i64;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&seed.to_be_bytes());
            id[8..].copy_from_slice(&(trace as u64 + 1).to_be_bytes());
            crate::sample::push_span(&mut batch, id, start_ns, 5);
        }
    }
    // The sample's own attributes make way for odd ones.
    let spans = batch.spans.len();
    let resources = &mut batch.resources;
    *resources = Default::default();
    for _ in 0..8 {
        let pairs = dice.attributes(3, &mut resources.attributes, &mut resources.attribute_types);
        resources.service_name.push(promoted(&pairs, &["service.name"]).as_bytes());
        resources.service_version.push(promoted(&pairs, &["service.version"]).as_bytes());
        resources.service_instance.push(b"");
        resources.dropped_attributes.push(0);
        resources.schema_url.push(b"");
        resources.entity_refs.push(b"");
    }
    let rows = &mut batch.spans;
    [&mut rows.http_route, &mut rows.db_system, &mut rows.messaging_destination, &mut rows.attribute_types]
        .into_iter()
        .for_each(|column| *column = DictColumn::default());
    rows.attributes = MapColumn::default();
    rows.http_status.clear();
    for row in 0..spans {
        rows.resource[row] = dice.below(8) as u32;
        rows.status[row] = if dice.below(5) == 0 { 2 } else { 0 };
        let pairs = dice.attributes(4, &mut rows.attributes, &mut rows.attribute_types);
        rows.http_route.push(promoted(&pairs, &["http.route"]).as_bytes());
        let code = promoted(&pairs, &["http.response.status_code", "http.status_code"]);
        rows.http_status.push(code.parse().unwrap_or(0));
        rows.db_system.push(promoted(&pairs, &["db.system.name", "db.system"]).as_bytes());
        let destination = promoted(&pairs, &["messaging.destination.name", "messaging.destination"]);
        rows.messaging_destination.push(destination.as_bytes());
    }
    rows.assert_whole();
    batch
}

// Scenario: random traces whose attributes repeat their keys, have odd types, stand on the span or on the
// resource, under the older and the newer name; some rows as another program or an older version of ours
// would have written them. Every key with every value, alone; many together, and with conditions on the
// whole trace.
// Guarantee: the pages hold exactly the traces that a look at every span finds; some rows are left to their
// columns and some are not.
#[tokio::test]
async fn odd_attributes_are_found() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let own = admin(engine, &store);
    for seed in 1..=2 {
        for block in crate::support::of(crate::support::seal(&odd_traces(seed, 150), seed * 1_000), Table::Traces) {
            store.insert(&block).await.unwrap();
        }
    }
    let vouched =
        rows(&own, "SELECT countIf(RowVersion = 2) AS yes, countIf(RowVersion = 1) AS no FROM otel_traces").await;
    assert!(vouched[0]["yes"].as_u64() > Some(50) && vouched[0]["no"].as_u64() > Some(50), "{vouched:?}");
    execute(&own, "INSERT INTO otel_traces SELECT * REPLACE (concat('1', substring(TraceId, 2)) AS TraceId, 1 AS RowVersion) FROM otel_traces WHERE cityHash64(TraceId) % 5 = 0").await;
    execute(&own, "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, StatusCode, SpanAttributes, ResourceAttributes) SELECT Timestamp, concat('2', substring(TraceId, 2)), SpanId, SpanName, ServiceName, StatusCode, SpanAttributes, ResourceAttributes FROM otel_traces WHERE startsWith(TraceId, '0') AND cityHash64(TraceId, 1) % 5 = 0").await;
    // A trace in which all three kinds meet.
    execute(&own, "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanAttributes) SELECT Timestamp, TraceId, SpanId, map('http.route', '/late', 'plain', 'a') FROM otel_traces WHERE cityHash64(SpanId, TraceId) % 9 = 0").await;
    execute(&own, FILL_INDEX).await;
    let spans: Vec<Span> = rows(&own, ALL).await.iter().map(Span::read).collect();
    let client = store.client().unwrap();
    let ask = Ask { client: &client, tenant: "" };
    let texts: BTreeSet<String> = values().iter().map(text).chain(["/late".to_owned(), "none".to_owned()]).collect();
    let any = TraceMatch::default();
    let matching = |key, text: &String| spans.iter().filter(|span| span.matches(&attributes(&[(key, text)]))).count();
    assert!(KEYS.iter().all(|key| texts.iter().filter(|text| matching(key, text) > 0).count() > 8));
    for key in KEYS {
        for text in &texts {
            compare(&ask, &spans, &attributes(&[(key, text)]), any, 200, Window::ALL).await;
        }
    }
    let texts: Vec<&String> = texts.iter().collect();
    let mut dice = Dice(77);
    for round in 0..40 {
        let mut pair = || (KEYS[dice.below(KEYS.len())], texts[dice.below(texts.len())].as_str());
        let span = SpanMatch { error: round % 7 == 0, ..attributes(&[pair(), pair()][..1 + round % 2]) };
        compare(&ask, &spans, &span, TraceMatch { ok: round % 3 == 0, ..any }, 15, Window::ALL).await;
    }
}

// Scenario: spans of two resources through the path of ours.
// Guarantee: the keys of each resource stand in their column, each between commas.
#[tokio::test]
async fn keys_of_resources() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let own = admin(engine, &store);
    let batch = crate::sample::batch(7, 40);
    for block in crate::support::of(crate::support::seal(&batch, 1), Table::Traces) {
        store.insert(&block).await.unwrap();
    }
    let wrong = "SELECT ResourceKeys, ResourceAttributes FROM otel_traces WHERE ResourceKeys != if(empty(ResourceAttributes), '', concat(',', arrayStringConcat(mapKeys(ResourceAttributes), ','), ','))";
    assert_eq!(rows(&own, wrong).await, Vec::<Value>::new());
}
