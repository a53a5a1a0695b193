//! Trace search: whatever columns and indexes it uses, it finds what a plain look at every span finds.

use std::collections::{BTreeMap, BTreeSet};

use model::time::SECOND_NS;
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
    ours, if(ours, concat(',', arrayStringConcat(mapKeys(resource), ','), ','), ''), if(ours, route, ''), if(ours, code, 0)
FROM numbers(6000)";

struct Span {
    trace: String,
    at_ns: i64,
    service: String,
    error: bool,
    maps: [BTreeMap<String, String>; 2],
}

impl Span {
    fn read(row: &Value) -> Span {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let map = |name: &str| serde_json::from_value(row[name].clone()).unwrap();
        let at_ns = row["at"].as_str().map_or_else(|| row["at"].as_i64().unwrap(), |text| text.parse().unwrap());
        let maps = [map("SpanAttributes"), map("ResourceAttributes")];
        Span { trace: text("TraceId"), at_ns, service: text("ServiceName"), error: text("StatusCode") == "Error", maps }
    }

    fn matches(&self, wanted: &SpanMatch) -> bool {
        let has = |(key, value): &(String, String)| self.maps.iter().any(|map| map.get(key) == Some(value));
        wanted.service.as_ref().is_none_or(|service| self.service == *service)
            && (!wanted.error || self.error)
            && wanted.attributes.iter().all(has)
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
    execute(&own, "INSERT INTO otel_traces_trace_id_ts (TraceId, Start, End, Spans) SELECT TraceId, toDateTime(min(Timestamp)), toDateTime(max(Timestamp)) + 1, count() FROM otel_traces GROUP BY TraceId").await;
    let all = "SELECT TraceId, toUnixTimestamp64Nano(Timestamp) AS at, ServiceName, StatusCode, SpanAttributes, ResourceAttributes FROM otel_traces";
    let spans: Vec<Span> = rows(&own, all).await.iter().map(Span::read).collect();
    assert_eq!(spans.len(), 6_000);
    let client = store.client().unwrap();
    let ask = Ask { client: &client, tenant: "" };
    let attributes = |pairs: &[(&str, &str)]| {
        let attributes = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        SpanMatch { attributes, ..SpanMatch::default() }
    };
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
        let mut keys: BTreeMap<&str, i64> = BTreeMap::new();
        let in_window = |span: &&Span| (window.from_ns..window.to_ns).contains(&span.at_ns);
        for found in spans.iter().filter(in_window).filter(|found| found.matches(span)) {
            let key = keys.entry(&found.trace).or_insert(i64::MAX);
            *key = found.at_ns.min(*key);
        }
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let asked = TraceSearch { window, span: span.clone(), whole: TraceMatch::default(), limit: *limit, after };
            let page = search(&ask, &asked).await.unwrap();
            assert!(page.traces.len() <= *limit && !page.partial);
            listed.extend(page.traces.into_iter().map(|trace| trace.trace_id));
            let Some((key_ns, trace_id)) = page.more else { break };
            after = Some(PageEnd { key_ns, trace_id, snapshot_ns: Window::ALL.to_ns });
        }
        let set: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
        assert_eq!(set.len(), listed.len(), "{span:?}: one trace on two pages");
        assert_eq!(set, keys.keys().copied().collect(), "{span:?}");
        if !span.attributes.iter().any(|(key, _)| key.contains("status_code")) {
            let order: Vec<i64> = listed.iter().map(|trace| keys[trace.as_str()]).collect();
            assert!(order.is_sorted_by(|a, b| a >= b), "{span:?}: {order:?}");
        }
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
    for block in crate::support::of(crate::support::seal(&batch, 1), model::Table::Traces) {
        store.insert(&block).await.unwrap();
    }
    let wrong = "SELECT ResourceKeys, ResourceAttributes FROM otel_traces WHERE ResourceKeys != if(empty(ResourceAttributes), '', concat(',', arrayStringConcat(mapKeys(ResourceAttributes), ','), ','))";
    assert_eq!(rows(&own, wrong).await, Vec::<Value>::new());
}
