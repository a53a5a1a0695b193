//! Zipkin against the real program: spans in all formats in, Zipkin's read API out.

use serde_json::{Value, json};

use crate::program::{Answer, Program, now_ns, request};

const STORED: (&str, &str) = ("x-hypocenter-wait", "stored");

/// Microseconds since the epoch, at a whole minute about an hour ago.
fn then_us() -> u64 {
    (now_ns() / 60_000_000_000 - 60) * 60_000_000
}

fn post(program: &Program, path: &str, headers: &[(&str, &str)], body: &[u8]) {
    let headers = [headers, &[STORED]].concat();
    let answer = request("POST", &format!("{}{path}", program.zipkin), &headers, body);
    assert_eq!((answer.status, answer.text().as_str()), (202, ""), "{path}");
}

fn send(program: &Program, spans: &Value) {
    post(program, "/api/v2/spans", &[("content-type", "application/json")], spans.to_string().as_bytes());
}

fn ask(program: &Program, path: &str) -> Answer {
    request("GET", &format!("{}{path}", program.zipkin), &[], &[])
}

fn get(program: &Program, path: &str) -> Value {
    let answer = ask(program, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json", "{path}");
    answer.json()
}

/// Ids of the traces of an answer, in order.
fn ids(traces: &Value) -> Vec<String> {
    let id = |trace: &Value| trace[0]["traceId"].as_str().unwrap().trim_start_matches('0').to_owned();
    traces.as_array().unwrap().iter().map(id).collect()
}

/// A list of spans in an order of its own.
fn sorted(trace: &Value) -> Vec<String> {
    let mut spans: Vec<String> = trace.as_array().unwrap().iter().map(Value::to_string).collect();
    spans.sort();
    spans
}

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![(number << 3 | 2) as u8, bytes.len() as u8];
    out.extend_from_slice(bytes);
    out
}

// Scenario: an empty server; then spans as JSON v2 (with every field), protobuf, JSON v1 and Thrift; then every way to read them, at the root and under /zipkin on both ports.
// Guarantee: empty lists at first; afterwards every span comes back as it was sent, at once; errors in Zipkin's own words.
#[test]
fn spans_in_and_out() {
    let program = Program::start_with(&["--set", "zipkin.autocomplete_keys=env,site"]);
    for path in [
        "services",
        "spans?serviceName=a",
        "remoteServices?serviceName=a",
        "traces",
        "traceMany?traceIds=1,2",
        "autocompleteValues?key=env",
        "dependencies?endTs=1000",
    ] {
        assert_eq!(get(&program, &format!("/api/v2/{path}")), json!([]), "{path}");
    }
    let at_us = then_us();
    let whole = json!([
        {"traceId": "0000000000000abc", "parentId": "6b221d5bc9e6496c", "id": "5b4185666d50f68b", "kind": "SERVER", "name": "get \"{}\"",
         "timestamp": at_us, "duration": 207_000, "localEndpoint": {"serviceName": "frontend", "ipv4": "10.0.0.1", "port": 80},
         "remoteEndpoint": {"serviceName": "gate", "ipv6": "2001:db8::c001", "port": 1}, "annotations": [{"timestamp": at_us + 1, "value": "ws"}, {"timestamp": at_us + 2, "value": "ws"}],
         "tags": {"http.path": "/api", "http.path.morepath": "x", "error": "", "env": "prod", "long": "y".repeat(4096)}, "debug": true, "shared": true},
        {"traceId": "0000000000000abc", "id": "6b221d5bc9e6496c", "name": "plain", "timestamp": at_us - 5}
    ]);
    send(&program, &whole);
    let trace = get(&program, "/api/v2/trace/abc");
    assert_eq!(sorted(&trace), sorted(&whole));
    assert_eq!(get(&program, "/zipkin/api/v2/trace/0000000000000abc%20"), trace);
    assert_eq!(program.get("/zipkin/api/v2/trace/abc").json(), trace);
    // id 1, name "p", CLIENT, local endpoint "proto".
    let span = [
        field(1, &[0, 0, 0, 0, 0, 0, 0xab, 1]),
        field(3, &[0, 0, 0, 0, 0, 0, 0, 1]),
        vec![0x20, 1],
        field(5, b"p"),
        [&[0x31], &at_us.to_le_bytes()[..]].concat(),
        vec![0x38, 9],
        field(8, &field(1, b"proto")),
    ]
    .concat();
    post(&program, "/api/v2/spans", &[("content-type", "application/x-protobuf")], &field(1, &span));
    let expected = json!([{"traceId": "000000000000ab01", "id": "0000000000000001", "kind": "CLIENT", "name": "p", "timestamp": at_us, "duration": 9, "localEndpoint": {"serviceName": "proto"}}]);
    assert_eq!(get(&program, "/api/v2/trace/ab01"), expected);
    let v1 = json!([{"traceId": "ab02", "id": "2", "name": "v1", "timestamp": at_us, "duration": 10,
        "annotations": [{"timestamp": at_us, "value": "sr", "endpoint": {"serviceName": "old"}}, {"timestamp": at_us + 10, "value": "ss", "endpoint": {"serviceName": "old"}}]}]);
    post(&program, "/api/v1/spans", &[], v1.to_string().as_bytes());
    let old = get(&program, "/api/v2/trace/ab02");
    assert_eq!((&old[0]["kind"], &old[0]["localEndpoint"]["serviceName"]), (&json!("SERVER"), &json!("old")));
    // A list of one struct: trace id, name, id, no annotations, timestamp.
    let thrift = [
        &[
            12, 0, 0, 0, 1, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0xab, 3, 11, 0, 3, 0, 0, 0, 1, b't', 10, 0, 4, 0, 0, 0, 0, 0,
            0, 0, 3, 15, 0, 6, 12, 0, 0, 0, 0, 15, 0, 8, 12, 0, 0, 0, 0, 10, 0, 10,
        ][..],
        &at_us.to_be_bytes(),
        &[0],
    ]
    .concat();
    post(&program, "/api/v1/spans", &[("content-type", "application/x-thrift")], &thrift);
    assert_eq!(
        get(&program, "/api/v2/trace/ab03"),
        json!([{"traceId": "000000000000ab03", "id": "0000000000000003", "name": "t", "timestamp": at_us}])
    );

    let services = ask(&program, "/api/v2/services");
    assert_eq!(services.json(), json!(["frontend", "old", "proto"]));
    assert_eq!(services.header("cache-control"), "", "few services are asked for anew");
    assert_eq!(get(&program, "/api/v2/spans?serviceName=FrontEnd"), json!(["get \"{}\""]));
    assert_eq!(get(&program, "/api/v2/remoteServices?serviceName=frontend"), json!(["gate"]));
    assert_eq!(get(&program, "/api/v2/spans?serviceName="), json!([]));
    let keys = ask(&program, "/api/v2/autocompleteKeys");
    assert_eq!((keys.json(), keys.header("cache-control")), (json!(["env", "site"]), "max-age=300, must-revalidate"));
    assert_eq!(get(&program, "/api/v2/autocompleteValues?key=env"), json!(["prod"]));
    assert_eq!(get(&program, "/api/v2/autocompleteValues?key=error"), json!([]));
    send(
        &program,
        &json!([{"traceId": "ab04", "id": "1", "name": "x", "timestamp": at_us, "localEndpoint": {"serviceName": "más"}}]),
    );
    assert_eq!(get(&program, "/api/v2/spans?serviceName=m%C3%A1s"), json!(["x"]));
    let services = ask(&program, "/api/v2/services");
    assert_eq!(services.json(), json!(["frontend", "más", "old", "proto"]), "what was stored is there at once");
    assert_eq!(services.header("cache-control"), "max-age=300, must-revalidate");
    let many = get(&program, "/api/v2/traceMany?traceIds=abc,ab01,ffff");
    assert_eq!(ids(&many), ["abc", "ab01"]);
    for (path, status, text) in [
        ("trace/dead", 404, "dead not found"),
        ("trace/0x1", 400, "0x1 should be lower-hex encoded with no prefix"),
        ("trace/ABC", 400, "ABC should be lower-hex encoded with no prefix"),
        ("traceMany?traceIds=", 400, "traceIds parameter is empty"),
        ("traceMany?traceIds=abc", 400, "Use /api/v2/trace/{traceId} endpoint to retrieve a single trace"),
        ("traceMany?traceIds=abc,abc", 400, "redundant traceId: abc"),
        ("traces?endTs=0", 400, "endTs <= 0"),
        ("traces?limit=0", 400, "limit <= 0"),
        ("traces?maxDuration=1", 400, "maxDuration is only valid with minDuration"),
        ("dependencies?endTs=0", 400, "endTs <= 0"),
        ("dependencies?endTs=1&lookback=0", 400, "lookback <= 0"),
        ("dependencies", 400, "the parameter endTs is missing"),
        ("traces?limit=ten", 400, "limit is not a whole number in range: ten"),
    ] {
        let answer = ask(&program, &format!("/api/v2/{path}"));
        assert_eq!((answer.status, answer.text().as_str()), (status, text), "{path}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
}

// Scenario: traces of several services, ids of both widths, late fragments, spans without a time, spans of an OpenTelemetry sender; every kind of condition.
// Guarantee: Zipkin's rules decide, newest traces first.
#[test]
fn searches() {
    let program = Program::start();
    let at_us = then_us();
    let front = json!({"serviceName": "front", "ipv4": "10.0.0.1"});
    let back = json!({"serviceName": "back"});
    let mut spans = vec![
        json!({"traceId": "a1", "id": "1", "kind": "CLIENT", "name": "get", "timestamp": at_us, "duration": 100, "localEndpoint": front, "remoteEndpoint": back}),
        json!({"traceId": "a1", "id": "2", "parentId": "1", "name": "local", "timestamp": at_us + 10, "duration": 7, "localEndpoint": front, "tags": {"http.path": "/a", "empty": ""}, "annotations": [{"timestamp": at_us, "value": "retry"}]}),
        json!({"traceId": "a1", "id": "3", "parentId": "1", "kind": "SERVER", "name": "serve", "timestamp": at_us + 20, "duration": 50, "localEndpoint": back, "tags": {"error": "boom", "http.path": "/b", "http.status_code": "500"}}),
        json!({"traceId": "a2", "id": "1", "name": "get", "timestamp": at_us + 1000, "localEndpoint": front}),
        json!({"traceId": "a2", "id": "1", "name": "get", "timestamp": at_us + 1000, "duration": 5000, "localEndpoint": front}),
        json!({"traceId": "4d1e00c0db9010db86154a4ba6e91385", "id": "1", "name": "wide", "timestamp": at_us + 2000, "localEndpoint": front}),
        json!({"traceId": "86154a4ba6e91385", "id": "2", "parentId": "1", "name": "narrow", "timestamp": at_us + 2001, "localEndpoint": back}),
        json!({"traceId": "a4", "id": "1", "name": "timeless", "localEndpoint": front, "tags": {"only": "here"}}),
        json!({"traceId": "a5", "id": "1", "name": "timed", "timestamp": at_us + 3000, "localEndpoint": front}),
        json!({"traceId": "a5", "id": "2", "parentId": "1", "name": "without", "localEndpoint": front, "tags": {"far": "away"}}),
    ];
    spans.push(json!({"traceId": "a6", "id": "1", "name": "x", "timestamp": at_us - 86_400_000_000u64, "localEndpoint": front}));
    send(&program, &json!(spans));
    let ns = |us: u64| (us * 1000).to_string();
    let otlp = json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "OTel"}}]}, "scopeSpans": [{"spans": [
        {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "00f067aa0ba902b7", "name": "Work", "kind": 3, "startTimeUnixNano": ns(at_us + 4000), "endTimeUnixNano": ns(at_us + 4001), "status": {"code": 2, "message": "broke"},
         "attributes": [{"key": "peer.service", "value": {"stringValue": "Db"}}, {"key": "n", "value": {"intValue": "7"}}]}]}]}]});
    assert_eq!(program.send_json("traces", &otlp).status, 200);
    let end_ms = at_us / 1000 + 60_000;
    let found = |query: &str| ids(&get(&program, &format!("/api/v2/traces?endTs={end_ms}&lookback=3600000&{query}")));
    let wide = "4d1e00c0db9010db86154a4ba6e91385";
    let narrow = "86154a4ba6e91385";
    let otel = "af7651916cd43dd8448eb211c80319c";
    for (query, expected) in [
        ("", vec![otel, "a5", narrow, wide, "a2", "a1"]),
        ("limit=2", vec![otel, "a5"]),
        ("serviceName=front", vec!["a5", wide, "a2", "a1"]),
        ("serviceName=FRONT&spanName=GET", vec!["a2", "a1"]),
        ("serviceName=front&spanName=all&limit=1", vec!["a5"]),
        ("serviceName=front&remoteServiceName=Back", vec!["a1"]),
        ("serviceName=back&remoteServiceName=back", vec![]),
        ("serviceName=front&remoteServiceName=back&spanName=local", vec!["a1"]),
        ("serviceName=front&annotationQuery=retry", vec!["a1"]),
        ("serviceName=back&annotationQuery=retry", vec![]),
        ("annotationQuery=retry%20and%20error%3Dboom", vec!["a1"]),
        ("serviceName=front&annotationQuery=retry%20and%20error", vec![]),
        ("annotationQuery=http.path%3D/a", vec!["a1"]),
        ("serviceName=back&annotationQuery=http.path%3D/a", vec![]),
        ("annotationQuery=http.status_code%3D500", vec!["a1"]),
        ("annotationQuery=empty", vec!["a1"]),
        ("annotationQuery=empty%3D1", vec![]),
        ("annotationQuery=error", vec![otel, "a1"]),
        ("annotationQuery=error%3Dbroke", vec![otel]),
        ("annotationQuery=otel.status_code%3DERROR%20and%20n%3D7", vec![otel]),
        ("serviceName=otel&spanName=work&remoteServiceName=db", vec![otel]),
        ("serviceName=front&minDuration=100", vec!["a2", "a1"]),
        ("serviceName=front&minDuration=100&maxDuration=100", vec!["a1"]),
        ("serviceName=front&minDuration=7&maxDuration=7&spanName=get&remoteServiceName=back", vec!["a1"]),
        ("serviceName=back&minDuration=51", vec![]),
        ("annotationQuery=only", vec![]),
        ("annotationQuery=far%3Daway", vec!["a5"]),
        ("spanName=without&serviceName=front", vec!["a5"]),
        ("serviceName=nobody", vec![]),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    let at = |end_us: u64, lookback_ms: u64| {
        ids(&get(&program, &format!("/api/v2/traces?endTs={}&lookback={lookback_ms}", end_us / 1000)))
    };
    assert_eq!(at(at_us, 1), ["a1"], "both ends count");
    assert_eq!(at(at_us + 1000, 1), ["a2", "a1"]);
    assert!(at(at_us - 1000, 1).is_empty());
    assert_eq!(at(at_us - 86_400_000_000, 1000), ["a6"]);
    assert_eq!(get(&program, "/api/v2/trace/a2").as_array().unwrap().len(), 2);
    assert_eq!(get(&program, &format!("/api/v2/trace/{wide}")).as_array().unwrap().len(), 1);
    assert_eq!(get(&program, "/api/v2/trace/a4")[0]["timestamp"], Value::Null);
    // Its timed copy makes it found, with both.
    send(
        &program,
        &json!([{"traceId": "a4", "id": "1", "name": "timeless", "timestamp": at_us + 5000, "localEndpoint": front, "tags": {"only": "here"}}]),
    );
    let both = get(&program, &format!("/api/v2/traces?endTs={end_ms}&lookback=3600000&annotationQuery=only"));
    assert_eq!(both[0].as_array().unwrap().len(), 2);
    let named = get(&program, "/api/v2/remoteServices?serviceName=otel");
    assert_eq!(named, json!(["db"]));
}

// Scenario: ids of both widths with `zipkin.strict_trace_id` off; another server with `zipkin.search_enabled` off.
// Guarantee: the low 64 bits decide, each span keeps the id it was sent with; without search, lists are empty and traces are still found by id.
#[test]
fn options() {
    let program = Program::start_with(&["--set", "zipkin.strict_trace_id=false"]);
    let at_us = then_us();
    let local = json!({"serviceName": "app"});
    send(
        &program,
        &json!([
            {"traceId": "4d1e00c0db9010db86154a4ba6e91385", "id": "1", "name": "a", "timestamp": at_us, "localEndpoint": local},
            {"traceId": "86154a4ba6e91385", "id": "2", "parentId": "1", "name": "b", "timestamp": at_us + 1, "localEndpoint": local},
            {"traceId": "463ac35c9f6413ad86154a4ba6e91386", "id": "1", "name": "c", "timestamp": at_us + 2000, "localEndpoint": local}
        ]),
    );
    for id in ["4d1e00c0db9010db86154a4ba6e91385", "86154a4ba6e91385"] {
        assert_eq!(get(&program, &format!("/api/v2/trace/{id}")).as_array().unwrap().len(), 2, "{id}");
    }
    let many =
        get(&program, "/api/v2/traceMany?traceIds=4d1e00c0db9010db86154a4ba6e91385,86154a4ba6e91385,86154a4ba6e91386");
    assert_eq!(
        many.as_array().unwrap().iter().map(|trace| trace.as_array().unwrap().len()).collect::<Vec<_>>(),
        [2, 1]
    );
    let found = get(&program, "/api/v2/traces?serviceName=app&spanName=b");
    let mut widths: Vec<usize> =
        found[0].as_array().unwrap().iter().map(|span| span["traceId"].as_str().unwrap().len()).collect();
    widths.sort_unstable();
    assert_eq!((found.as_array().unwrap().len(), widths), (1, vec![16, 32]));

    let program =
        Program::start_with(&["--set", "zipkin.search_enabled=false", "--set", "zipkin.autocomplete_keys=env"]);
    send(
        &program,
        &json!([{"traceId": "a", "id": "1", "name": "a", "timestamp": at_us, "localEndpoint": local, "tags": {"env": "x"}}]),
    );
    for path in
        ["services", "spans?serviceName=app", "remoteServices?serviceName=app", "traces", "autocompleteValues?key=env"]
    {
        assert_eq!(get(&program, &format!("/api/v2/{path}")), json!([]), "{path}");
    }
    assert_eq!(get(&program, "/api/v2/trace/a")[0]["name"], "a");
    assert_eq!(get(&program, "/zipkin/config.json")["searchEnabled"], false);
}

// Scenario: two days of traces, one of them sent twice with another order and id width; spans of an OpenTelemetry sender.
// Guarantee: links of exactly the traces with a span in the window, each call once, errors counted.
#[test]
fn dependencies() {
    let program = Program::start();
    let at_us = then_us();
    let day_us = 86_400_000_000u64;
    let trace = |id: &str, at_us: u64, error: bool| {
        let tags = if error { json!({"error": ""}) } else { json!({}) };
        vec![
            json!({"traceId": id, "id": "1", "kind": "SERVER", "name": "a", "timestamp": at_us, "localEndpoint": {"serviceName": "web"}}),
            json!({"traceId": id, "id": "2", "parentId": "1", "kind": "CLIENT", "name": "b", "timestamp": at_us + 1, "localEndpoint": {"serviceName": "web"}}),
            json!({"traceId": id, "id": "2", "parentId": "1", "kind": "SERVER", "shared": true, "name": "b", "timestamp": at_us + 2, "localEndpoint": {"serviceName": "app"}}),
            json!({"traceId": id, "id": "3", "parentId": "2", "kind": "CLIENT", "name": "c", "timestamp": at_us + 3, "localEndpoint": {"serviceName": "app"}, "remoteEndpoint": {"serviceName": "db"}, "tags": tags}),
        ]
    };
    send(&program, &json!(trace("a1", at_us, false)));
    let mut again = trace("4d1e00c0db9010db00000000000000a1", at_us, false);
    again.reverse();
    send(&program, &json!(again));
    send(&program, &json!(trace("a2", at_us - day_us, true)));
    let ns = |us: u64| (us * 1000).to_string();
    let side = |service: &str, id: &str, parent: &str, kind: u8| {
        json!({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}, "scopeSpans": [{"spans": [
        {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": id, "parentSpanId": parent, "name": "w", "kind": kind, "startTimeUnixNano": ns(at_us), "endTimeUnixNano": ns(at_us + 9), "status": {"code": 2}}]}]})
    };
    let otlp = json!({"resourceSpans": [side("Caller", "00000000000000a1", "", 3), side("Called", "00000000000000a2", "00000000000000a1", 2)]});
    assert_eq!(program.send_json("traces", &otlp).status, 200);
    let links = |end_us: u64, lookback_us: u64| {
        get(&program, &format!("/api/v2/dependencies?endTs={}&lookback={}", end_us / 1000, lookback_us / 1000))
    };
    let link = |parent: &str, child: &str, calls: u64, errors: u64| match errors {
        0 => json!({"parent": parent, "child": child, "callCount": calls}),
        _ => json!({"parent": parent, "child": child, "callCount": calls, "errorCount": errors}),
    };
    let today =
        [link("web", "app", 1, 0), link("app", "db", 1, 0), link("caller", "called", 1, 1)].map(|it| it.to_string());
    let both =
        [link("web", "app", 2, 0), link("app", "db", 2, 1), link("caller", "called", 1, 1)].map(|it| it.to_string());
    let in_order = |wanted: [String; 3]| {
        let mut wanted = wanted.to_vec();
        wanted.sort();
        wanted
    };
    assert_eq!(sorted(&links(at_us + 60_000_000, day_us / 2)), in_order(today.clone()));
    assert_eq!(sorted(&links(at_us + 60_000_000, 2 * day_us)), in_order(both));
    assert_eq!(sorted(&links(at_us, 1000)), in_order(today), "a trace that goes on after the window is whole");
    assert_eq!(links(at_us - 2_000_000, 1_000_000), json!([]));
}

// Scenario: health, info, counters, config, redirects, unknown methods and paths, CORS with the default and with a listed origin.
// Guarantee: as Zipkin's server says it.
#[test]
fn the_rest_of_the_port() {
    let program = Program::start_with(&["--set", "zipkin.cors_origins=http://good.example"]);
    send(&program, &json!([{"traceId": "a", "id": "1", "name": "a"}]));
    let health = ask(&program, "/health");
    assert_eq!(
        (health.status, health.json()),
        (200, json!({"status": "UP", "zipkin": {"status": "UP", "details": {"ClickHouse": {"status": "UP"}}}}))
    );
    let info = ask(&program, "/info");
    assert_eq!(info.header("content-type"), "application/json; charset=utf-8");
    assert!(info.json()["zipkin"]["version"].is_string() && info.json()["zipkin"]["commit"].is_string());
    let metrics = ask(&program, "/metrics").json();
    assert_eq!(
        (&metrics["counter.zipkin_collector.messages.http"], &metrics["counter.zipkin_collector.spans.http"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(metrics["counter.zipkin_collector.spans_dropped.grpc"], 0);
    assert!(ask(&program, "/prometheus").text().contains("zipkin_collector_spans_total{transport=\"http\"} 1"));
    let config = ask(&program, "/zipkin/config.json");
    assert_eq!((&config.json()["queryLimit"], &config.json()["defaultLookback"]), (&json!(10), &json!(900_000)));
    assert!(config.header("cache-control").starts_with("max-age=600"));
    let agent: ureq::Agent = ureq::Agent::config_builder().max_redirects(0).http_status_as_error(false).build().into();
    for base in
        [format!("{}/", program.zipkin), format!("{}/zipkin", program.zipkin), format!("{}/zipkin", program.http)]
    {
        let answer = agent.get(&base).call().unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()),
            (302, "/zipkin/"),
            "{base}"
        );
    }
    assert_eq!(ask(&program, "/zipkin/").status, 200);
    for (method, path, status) in [
        ("TRACE", "/api/v2/services", 405),
        ("TRACE", "/nowhere", 405),
        ("TRACE", "/api/v1/spans", 405),
        ("PUT", "/api/v2/spans", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/spans", 405),
    ] {
        let answer = request(method, &format!("{}{path}", program.zipkin), &[], &[]);
        assert_eq!(answer.status, status, "{method} {path}");
    }
    let from = |origin: &'static str| {
        request("GET", &format!("{}/api/v2/services", program.zipkin), &[("origin", origin)], &[])
    };
    let good = from("http://good.example");
    assert_eq!(
        (good.header("access-control-allow-origin"), good.header("vary").contains("origin")),
        ("http://good.example", true)
    );
    assert_eq!(from("http://bad.example").header("access-control-allow-origin"), "");
    let headers = [
        ("origin", "http://good.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let preflight = request("OPTIONS", &format!("{}/api/v2/traces", program.zipkin), &headers, &[]);
    assert!(preflight.header("access-control-allow-methods").contains("GET"), "{:?}", preflight.headers);
    assert_eq!(preflight.header("access-control-allow-headers"), "content-type");
}

// Scenario: two tenants send the same ids and names; a third asks; one forgets to say who it is.
// Guarantee: each sees its own, names and links and metrics of search included; without a tenant nobody is let in.
#[test]
fn tenants_are_apart() {
    let program = Program::start_with(&["--set", "tenancy.enabled=true"]);
    let at_us = then_us();
    for tenant in ["one", "two"] {
        let spans = json!([{"traceId": "a", "id": "1", "kind": "CLIENT", "name": format!("name-{tenant}"), "timestamp": at_us, "localEndpoint": {"serviceName": tenant}, "remoteEndpoint": {"serviceName": "db"}}]);
        post(&program, "/api/v2/spans", &[("x-scope-orgid", tenant)], spans.to_string().as_bytes());
    }
    let as_tenant = |tenant: &str, path: &str| {
        request("GET", &format!("{}/api/v2/{path}", program.zipkin), &[("x-scope-orgid", tenant)], &[])
    };
    let end_ms = at_us / 1000 + 1000;
    for tenant in ["one", "two"] {
        assert_eq!(as_tenant(tenant, "services").json(), json!([tenant]));
        assert_eq!(as_tenant(tenant, "trace/a").json()[0]["name"], format!("name-{tenant}"));
        assert_eq!(as_tenant(tenant, "traces").json().as_array().unwrap().len(), 1);
        assert_eq!(
            as_tenant(tenant, &format!("dependencies?endTs={end_ms}")).json(),
            json!([{"parent": tenant, "child": "db", "callCount": 1}])
        );
    }
    assert_eq!(as_tenant("three", "services").json(), json!([]));
    assert_eq!(as_tenant("three", "trace/a").status, 404);
    assert_eq!(as_tenant("three", &format!("dependencies?endTs={end_ms}")).json(), json!([]));
    assert_eq!(ask(&program, "/api/v2/services").status, 401);
    let under = request("GET", &format!("{}/zipkin/api/v2/services", program.http), &[("x-scope-orgid", "one")], &[]);
    assert_eq!(under.json(), json!(["one"]));
}
