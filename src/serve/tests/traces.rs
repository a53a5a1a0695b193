//! Services, trace search, one trace.

use model::Protocol;
use serde_json::{Value, json};

use crate::rig::{MS, Rig, T, spans, texts, trace_id};

const SHOP: &str = "
    1 a - front  GET_/        server   0+100
    1 b a front  pay          client   10+50      peer.service=pay
    1 c b pay    POST_/pay    server   15+40      error http.response.status_code=i:500 http.route=/pay
    1 d c pay    INSERT       client   20+10      db.system=mysql user=O'Brien
    2 a - front  GET_/        server   5000+20
    2 b a cart   list         internal 5005+10    empty=
    3 a - batch  nightly      internal 9000+3000
    4 b a front  orphan       server   20000+5
";

// Scenario: nothing stored at all.
// Guarantee: every list is empty, one trace is not found, nothing fails.
#[tokio::test]
async fn empty_store() {
    let rig = Rig::new().await;
    assert_eq!(rig.get("/api/v1/services").await, json!({"services": []}));
    assert_eq!(rig.get("/api/v1/services/x/operations").await, json!({"operations": []}));
    assert_eq!(rig.get("/api/v1/traces").await, json!({"traces": []}));
    assert_eq!(rig.get("/api/v1/logs").await, json!({"logs": [], "resources": [], "scopes": []}));
    assert_eq!(rig.get("/api/v1/ledger").await, json!({"entries": []}));
    assert_eq!(rig.get("/api/v1/logs/histogram").await["buckets"], json!([]));
    let (status, body) = rig.ask(&format!("/api/v1/traces/{}", trace_id("9"))).await;
    assert_eq!((status, body["error"]["code"].as_str()), (404, Some("not_found")));
}

// Scenario: a few requests, one failing, one stored twice over.
// Guarantee: services and operations count each span once, with errors, quantiles, logs, first and last.
#[tokio::test]
async fn services_and_operations() {
    let rig = Rig::new().await;
    rig.spans(SHOP).await;
    rig.logs("1 front INFO - - | hello\n 2 mail INFO - - | only logs").await;
    for resent in [false, true] {
        if resent {
            rig.spans(SHOP).await;
            rig.send(http::Request::post("/api/v1/flush").body(axum::body::Body::empty()).unwrap()).await;
        }
        let services = rig.get("/api/v1/services").await;
        assert_eq!(texts(&services, "services", "name"), ["batch", "cart", "front", "mail", "pay"], "{resent}");
        assert_eq!(texts(&services, "services", "spans"), ["1", "1", "4", "0", "2"], "{resent}");
        assert_eq!(texts(&services, "services", "errors"), ["0", "0", "0", "0", "1"]);
        assert_eq!(texts(&services, "services", "logs"), ["0", "0", "1", "1", "0"]);
        let front = &services["services"][2];
        assert_eq!(front["first_seen_ns"], T.to_string());
        assert_eq!(front["last_seen_ns"], (T + 20_000 * MS).to_string());
        assert_eq!(services["services"][0]["p50_ns"], (3_000 * MS).to_string());
        let operations = rig.get("/api/v1/services/pay/operations").await;
        assert_eq!(texts(&operations, "operations", "name"), ["INSERT", "POST_/pay"]);
        assert_eq!(texts(&operations, "operations", "kind"), ["client", "server"]);
        assert_eq!(texts(&operations, "operations", "spans"), ["1", "1"]);
    }
    let window = rig.get(&format!("/api/v1/services?from={}&to={}", T + 9_000 * MS, T + 20_000 * MS)).await;
    assert_eq!(texts(&window, "services", "name"), ["batch"]);
}

// Scenario: the shop, searched in every way.
// Guarantee: each condition finds exactly the traces drawn, newest first; span conditions meet on one span.
#[tokio::test]
async fn search() {
    let rig = Rig::new().await;
    rig.spans(SHOP).await;
    rig.logs("30 pay ERROR 1 c | boom\n 31 pay INFO 1 d | fine").await;
    let table = "
                                                     => 4 3 2 1
        service=front                                => 4 2 1
        service=pay                                  => 1
        service=pay&operation=GET_/                  =>
        service=front&operation=GET_/                => 2 1
        operation=nightly                            => 3
        status=error                                 => 1
        status=error&service=front                   =>
        status=ok                                    => 4 3 2
        min_duration=100ms                           => 3 1
        min_duration=100ms&max_duration=1s           => 1
        max_duration=20ms                            => 4 2
        min_duration=4s                              =>
        attr=http.route=/pay                         => 1
        attr=http.response.status_code=500           => 1
        attr=http.response.status_code=404           =>
        attr=db.system=mysql                         => 1
        attr=service.name=cart                       => 2
        attr=user=O'Brien                            => 1
        attr=user=O'Brien&attr=db.system=mysql       => 1
        attr=user=O'Brien&attr=http.route=/pay       =>
        attr=empty=                                  => 2
        attr=absent=                                 =>
        from=FROM5000&to=FROM9000                    => 2
        from=FROM5001&to=FROM9000                    => 2
        from=FROM5006&to=FROM9000                    =>
        from=now-1h&to=now                           => 4 3 2 1
        from=now-59m                                 =>
        limit=2                                      => 4 3
    ";
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (query, expected) = line.split_once("=>").unwrap();
        let at = |ms: i64| (T + ms * MS).to_string();
        let query = query
            .trim()
            .replace("FROM5000", &at(5_000))
            .replace("FROM5001", &at(5_001))
            .replace("FROM5006", &at(5_006))
            .replace("FROM9000", &at(9_000));
        let answer = rig.get(&format!("/api/v1/traces?{query}")).await;
        let found: Vec<String> = texts(&answer, "traces", "trace_id")
            .iter()
            .map(|id| id.trim_start_matches('0')[1..].trim_start_matches('0').to_owned())
            .collect();
        assert_eq!(found.join(" "), expected.trim(), "{query}");
    }
    let answer = rig.get("/api/v1/traces?service=pay").await;
    let expected = json!({"traces": [{
        "trace_id": trace_id("1"), "root_service": "front", "root_operation": "GET_/", "start_ns": T.to_string(), "duration_ns": (100 * MS).to_string(),
        "spans": 4, "errors": 1, "logs": 2, "services": ["front", "pay"], "complete": true,
    }]});
    assert_eq!(answer, expected);
    assert_eq!(rig.get("/api/v1/traces?operation=orphan").await["traces"][0]["complete"], false);
}

// Scenario: fifty traces, some reaching over hours, some stored twice, read in pages of every size
// while newer and older traces keep arriving.
// Guarantee: the pages together are the list as it was, each trace once, none missing.
#[tokio::test]
async fn pages_are_stable() {
    let rig = Rig::new().await;
    let mut text = String::new();
    for trace in 0..50u32 {
        // Several begin at one instant; some have a second span hours later.
        let start_ms = u64::from(trace / 3) * 40_000;
        text.push_str(&format!("{trace:x} a - front root server {start_ms}+10\n"));
        if trace % 5 == 0 {
            text.push_str(&format!("{trace:x} b a front late internal {}+1\n", start_ms + 2_000_000));
        }
    }
    rig.spans(&text).await;
    rig.spans("7 a - front root server 80000+10").await;
    let whole = rig.get("/api/v1/traces?limit=1000").await;
    let mut ids = texts(&whole, "traces", "trace_id");
    assert_eq!(ids.len(), 50);
    ids.sort();
    for limit in [1usize, 7, 49, 50] {
        rig.later(1_000 * MS);
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = rig.get(&format!("/api/v1/traces?limit={limit}&cursor={cursor}")).await;
            seen.extend(texts(&page, "traces", "trace_id"));
            rig.later(1);
            let new = seen.len() * 1000 + limit;
            let arriving = spans(&format!(
                "f{new:x} a - new root server 700000+10\n e{new:x} a - old root server 1+10\n 7 c a front more internal 3+1"
            ));
            rig.store("other", Protocol::OtlpTracesJson, &arriving).await;
            if limit == 7 {
                rig.store("", Protocol::OtlpTracesJson, &arriving).await;
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        seen.sort();
        seen.dedup_by(|a, b| a == b && panic!("{a} came twice with limit {limit}"));
        seen.retain(|id| ids.contains(id));
        assert_eq!(seen, ids, "limit {limit}");
    }
}

// Scenario: a span and its logs with everything OTLP can carry, sent as JSON.
// Guarantee: everything comes back, typed and untyped; the trace is found in either case of its id.
#[tokio::test]
async fn one_trace_whole() {
    let rig = Rig::new().await;
    let id = "5b8efff798038103d269b633813fc60c";
    let value = json!({"kvlistValue": {"values": [{"key": "n", "value": {"arrayValue": {"values": [{"intValue": "9007199254740993"}, {"boolValue": true}, {"bytesValue": "AP8="}, {}]}}}]}});
    let attributes = json!([
        {"key": "s", "value": {"stringValue": "x"}}, {"key": "i", "value": {"intValue": "7"}}, {"key": "d", "value": {"doubleValue": 0.5}}, {"key": "m", "value": value},
    ]);
    let body = json!({"resourceSpans": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "front"}}, {"key": "pid", "value": {"intValue": "42"}}], "droppedAttributesCount": 3},
    "schemaUrl": "https://r", "scopeSpans": [{
        "scope": {"name": "lib", "version": "2", "attributes": [{"key": "k", "value": {"boolValue": false}}], "droppedAttributesCount": 1}, "schemaUrl": "https://s",
        "spans": [{
            "traceId": id, "spanId": "eee19b7ec3c1b174", "traceState": "a=b", "flags": 257, "name": "GET /", "kind": 2,
            "startTimeUnixNano": T.to_string(), "endTimeUnixNano": (T + 7).to_string(), "attributes": attributes, "droppedAttributesCount": 1,
            "events": [{"timeUnixNano": (T + 1).to_string(), "name": "e", "attributes": attributes, "droppedAttributesCount": 2}], "droppedEventsCount": 4,
            "links": [{"traceId": id, "spanId": "eee19b7ec3c1b175", "traceState": "l=1", "attributes": attributes, "droppedAttributesCount": 5, "flags": 1}], "droppedLinksCount": 6,
            "status": {"code": 2, "message": "no"},
        }]}]}]});
    rig.store("", Protocol::OtlpTracesJson, &body).await;
    let logs = json!({"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "front"}}]}, "scopeLogs": [{"logRecords": [
        {"timeUnixNano": (T + 3).to_string(), "observedTimeUnixNano": (T + 4).to_string(), "severityNumber": 17, "severityText": "Error", "body": value,
         "attributes": attributes, "droppedAttributesCount": 2, "flags": 1, "traceId": id, "spanId": "eee19b7ec3c1b174", "eventName": "ev"},
        {"timeUnixNano": (T + 2).to_string(), "body": {"stringValue": format!("handled trace_id={id} span_id=eee19b7ec3c1b174")}},
    ]}]}]});
    rig.store("", Protocol::OtlpLogsJson, &logs).await;

    let trace = rig.get(&format!("/api/v1/traces/{}?typed=true", id.to_uppercase())).await;
    let span = &trace["spans"][0];
    let number = |path: &str| trace.pointer(path).and_then(Value::as_u64);
    assert_eq!(
        (trace["trace_id"].as_str(), number("/total_spans"), number("/total_logs")),
        (Some(id), Some(1), Some(2))
    );
    for (field, expected) in [
        ("span_id", json!("eee19b7ec3c1b174")),
        ("parent_span_id", json!(null)),
        ("trace_state", json!("a=b")),
        ("flags", json!(257)),
        ("kind", json!("server")),
        ("start_ns", json!(T.to_string())),
        ("duration_ns", json!("7")),
        ("status", json!("error")),
        ("status_message", json!("no")),
        ("attributes", attributes.clone()),
        ("dropped_attributes_count", json!(1)),
        ("dropped_events_count", json!(4)),
        ("dropped_links_count", json!(6)),
        (
            "events",
            json!([{"name": "e", "time_ns": (T + 1).to_string(), "attributes": attributes, "dropped_attributes_count": 2}]),
        ),
        (
            "links",
            json!([{"trace_id": id, "span_id": "eee19b7ec3c1b175", "trace_state": "l=1", "attributes": attributes, "dropped_attributes_count": 5, "flags": 1}]),
        ),
        ("log_count", json!(2)),
        ("critical", json!(true)),
    ] {
        assert_eq!(span[field], expected, "{field}");
    }
    let resource = &trace["resources"][span["resource_index"].as_u64().unwrap() as usize];
    assert_eq!(resource["attributes"][1], json!({"key": "pid", "value": {"intValue": "42"}}));
    assert_eq!((&resource["schema_url"], &resource["dropped_attributes_count"]), (&json!("https://r"), &json!(3)));
    let scope = &trace["scopes"][span["scope_index"].as_u64().unwrap() as usize];
    assert_eq!(
        scope,
        &json!({"name": "lib", "version": "2", "attributes": [{"key": "k", "value": {"boolValue": false}}], "schema_url": "https://s", "dropped_attributes_count": 1})
    );
    let (found, own) = (&trace["logs"][0], &trace["logs"][1]);
    assert_eq!(
        (&found["join"], &found["trace_id"], &found["span_id"]),
        (&json!("found"), &json!(id), &json!("eee19b7ec3c1b174"))
    );
    assert!(found["join_source"].as_str().unwrap().starts_with("body:"), "{found}");
    for (field, expected) in [
        ("time_ns", json!((T + 3).to_string())),
        ("observed_time_ns", json!((T + 4).to_string())),
        ("severity", json!("Error")),
        ("severity_number", json!(17)),
        ("level", json!("error")),
        ("body", value.clone()),
        ("attributes", attributes.clone()),
        ("dropped_attributes_count", json!(2)),
        ("flags", json!(1)),
        ("event_name", json!("ev")),
        ("join", json!("own")),
        ("confidence", json!(1.0)),
    ] {
        assert_eq!(own[field], expected, "{field}");
    }
    let plain = rig.get(&format!("/api/v1/traces/{id}")).await;
    let expected = json!({"s": "x", "i": 7, "d": 0.5, "m": {"n": ["9007199254740993", true, "AP8=", null]}});
    assert_eq!(plain["spans"][0]["attributes"], expected);
    assert_eq!(plain["logs"][1]["body"], expected["m"]);
}

// Scenario: one trace asked for in parts: by offset and limit, by span, without logs, with pages of logs.
// Guarantee: the parts are those of the whole, in depth-first order; totals never change.
#[tokio::test]
async fn one_trace_in_parts() {
    let rig = Rig::new().await;
    rig.spans(SHOP).await;
    rig.logs("10 front INFO 1 a | one\n 10 front INFO 1 a | one\n 10 front INFO 1 a | two\n 20 pay ERROR 1 c | three\n 30 front INFO 1 - | four").await;
    let path = format!("/api/v1/traces/{}", trace_id("1"));
    let whole = rig.get(&path).await;
    assert_eq!(texts(&whole, "spans", "name"), ["GET_/", "pay", "POST_/pay", "INSERT"]);
    assert_eq!(texts(&whole, "spans", "depth"), ["0", "1", "2", "3"]);
    assert_eq!(texts(&whole, "spans", "log_count"), ["3", "0", "1", "0"]);
    assert_eq!(texts(&whole, "logs", "body").len(), 5);
    let page = rig.get(&format!("{path}?offset=1&limit=2&logs=false")).await;
    assert_eq!(page["spans"].as_array().unwrap()[..], whole["spans"].as_array().unwrap()[1..3]);
    assert_eq!(
        (page["total_spans"].as_u64(), page["total_logs"].as_u64(), &page["logs"]),
        (Some(4), Some(5), &json!([]))
    );
    let span = rig.get(&format!("{path}?span_id=000000000000000C")).await;
    assert_eq!(
        (texts(&span, "spans", "name"), texts(&span, "logs", "body")),
        (vec!["POST_/pay".to_owned()], vec!["three".to_owned()])
    );
    let mut bodies = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = rig.get(&format!("{path}?limit=0&logs_limit=1&logs_cursor={cursor}")).await;
        assert_eq!(page["spans"], json!([]));
        bodies.extend(texts(&page, "logs", "body"));
        match page["logs_next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(bodies, texts(&whole, "logs", "body"));
    let columns = rig.get(&format!("{path}?format=columns")).await;
    assert_eq!(columns["columns"]["parent"], json!([-1, 0, 1, 2]));
    assert_eq!(columns["columns"]["start_us"], json!([0.0, 10_000.0, 15_000.0, 20_000.0]));
    assert_eq!(columns["columns"]["status"], json!([0, 0, 2, 0]));
    assert_eq!(columns["columns"]["log_count"], json!([3, 0, 1, 0]));
    assert_eq!(columns["names"], json!(["GET_/", "pay", "POST_/pay", "INSERT"]));
}

// Scenario: Zipkin spans under a 64-bit id, both sides of a call sharing one span id; a log that knows
// only the low half of a 128-bit id; a trace of logs alone.
// Guarantee: ids come back as sent, Zipkin's own fields too, the log is in its trace, logs alone are a trace.
#[tokio::test]
async fn narrow_ids_and_zipkin() {
    let rig = Rig::new().await;
    let us = T / 1_000;
    let zipkin = json!([
        {"traceId": "463ac35c9f6413ad", "id": "463ac35c9f6413ad", "name": "get", "kind": "CLIENT", "timestamp": us, "duration": 100, "localEndpoint": {"serviceName": "app"}, "debug": true},
        {"traceId": "463ac35c9f6413ad", "id": "463ac35c9f6413ad", "name": "get", "kind": "SERVER", "timestamp": us + 10, "duration": 50, "shared": true, "localEndpoint": {"serviceName": "api", "ipv4": "10.0.0.1", "port": 80}},
    ]);
    rig.store("", Protocol::ZipkinV2Json, &zipkin).await;
    for id in ["463ac35c9f6413ad", "0000000000000000463AC35C9F6413AD"] {
        let trace = rig.get(&format!("/api/v1/traces/{id}")).await;
        assert_eq!(trace["trace_id"], "463ac35c9f6413ad");
        assert_eq!(texts(&trace, "spans", "service"), ["app", "api"]);
        assert_eq!(texts(&trace, "spans", "depth"), ["0", "1"]);
        assert_eq!(
            trace["spans"][0]["zipkin"],
            json!({"shared": null, "debug": true, "local_endpoint": {"serviceName": "app"}, "remote_endpoint": null})
        );
        assert_eq!(trace["spans"][1]["zipkin"]["shared"], true);
        assert_eq!(trace["problems"], json!([]));
    }
    rig.spans("5 a - front GET server 0+10").await;
    let low = u64::from_str_radix(&trace_id("5")[16..], 16).unwrap();
    rig.logs(&format!("5 front INFO - - dd.trace_id={low} | datadog\n 6 lone INFO 77 - | alone")).await;
    let trace = rig.get(&format!("/api/v1/traces/{}", trace_id("5"))).await;
    assert_eq!(texts(&trace, "logs", "body"), ["datadog"]);
    assert_eq!(rig.get("/api/v1/traces?operation=GET").await["traces"][0]["logs"], 1);
    let alone = rig.get(&format!("/api/v1/traces/{}", trace_id("77"))).await;
    assert_eq!((alone["total_spans"].as_u64(), texts(&alone, "logs", "body")), (Some(0), vec!["alone".to_owned()]));
}

// Scenario: attributes in every place and type in which senders put them: promoted keys as booleans, doubles
// and arrays, on the span instead of the resource and the other way round, the older and the newer name with
// different values, keys that come twice; sent as OTLP.
// Guarantee: `attr` finds each by the text of its value, and nothing else by it.
#[tokio::test]
async fn attributes_wherever_they_stand() {
    let text = |value: &str| json!({"stringValue": value});
    let int = |value: &str| json!({"intValue": value});
    let double = |value: f64| json!({"doubleValue": value});
    let yes = json!({"boolValue": true});
    let list = json!({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "x"}]}});
    type Pairs = Vec<(&'static str, Value)>;
    let cases: Vec<(Pairs, Pairs, &str)> = vec![
        (vec![], vec![("http.route", yes.clone())], "http.route=true"),
        (vec![], vec![("http.route", list)], "http.route=[1,\"x\"]"),
        (vec![], vec![("service.version", text("9.9.1"))], "service.version=9.9.1"),
        (vec![("service.version", int("991"))], vec![], "service.version=991"),
        (vec![("service.version", double(9.91))], vec![], "service.version=9.91"),
        (vec![("http.route", text("/res1"))], vec![], "http.route=/res1"),
        (vec![], vec![("http.response.status_code", text("597"))], "http.response.status_code=597"),
        (vec![], vec![("http.response.status_code", double(596.0))], "http.response.status_code=596"),
        (vec![("http.response.status_code", int("595"))], vec![], "http.response.status_code=595"),
        (vec![], vec![("db.system", text("mssql")), ("db.system.name", text("sql_server"))], "db.system=mssql"),
        (
            vec![],
            vec![("db.system", text("mssql2")), ("db.system.name", text("sql_server2"))],
            "db.system.name=sql_server2",
        ),
        (vec![], vec![("http.status_code", int("594"))], "http.status_code=594"),
        (
            vec![],
            vec![("http.status_code", int("593")), ("http.response.status_code", int("592"))],
            "http.status_code=593",
        ),
        (vec![], vec![("http.response.status_code", int("70000"))], "http.response.status_code=70000"),
        (vec![], vec![("messaging.destination.name", yes)], "messaging.destination.name=true"),
        (vec![], vec![("peer.service", text("ps")), ("server.address", text("sa"))], "peer.service=ps"),
        (vec![], vec![("peer.service", text("ps2")), ("server.address", text("sa2"))], "server.address=sa2"),
        (vec![], vec![("service.instance.id", text("inst"))], "service.instance.id=inst"),
        (vec![], vec![("k.dup", text("one")), ("k.dup", text("two"))], "k.dup=two"),
        (vec![("r.dup", text("one")), ("r.dup", text("two"))], vec![], "r.dup=two"),
        (vec![("r.k", text("rk"))], vec![], "r.k=rk"),
        (vec![("rs.k", text("rsr"))], vec![("rs.k", text("rss"))], "rs.k=rsr"),
        (vec![], vec![("http.route", text("")), ("uq", text("e1"))], "http.route="),
        (vec![], vec![("k.empty", text(""))], "k.empty="),
        (vec![], vec![("service.name", text("on-span"))], "service.name=on-span"),
        (vec![], vec![("http.route", text("/1")), ("http.route", text("/2"))], "http.route=/2"),
    ];
    let rig = Rig::new().await;
    let pairs =
        |pairs: &Pairs| pairs.iter().map(|(key, value)| json!({"key": key, "value": value})).collect::<Vec<_>>();
    let span = |(at, (resource, span, _)): (usize, &(Pairs, Pairs, &str))| {
        json!({"resource": {"attributes": pairs(resource)}, "scopeSpans": [{"spans": [{
            "traceId": format!("{:032x}", at + 1), "spanId": "000000000000000a", "name": "n",
            "startTimeUnixNano": T.to_string(), "endTimeUnixNano": (T + 5).to_string(), "attributes": pairs(span),
        }]}]})
    };
    let spans: Vec<Value> = cases.iter().enumerate().map(span).collect();
    rig.store("", Protocol::OtlpTracesJson, &json!({"resourceSpans": spans})).await;
    for (at, (_, _, attribute)) in cases.iter().enumerate() {
        let escaped: String = attribute.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let found = texts(&rig.get(&format!("/api/v1/traces?limit=100&attr={escaped}")).await, "traces", "trace_id");
        assert_eq!(found, [format!("{:032x}", at + 1)], "{attribute}");
    }
}
