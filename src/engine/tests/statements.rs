//! The HTTP interface as ClickHouse's clients use it.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::support::{Client, Engine, encode};

// Scenario: statements in the URL, the body, both; parameters, settings, formats, databases.
// Guarantee: answers, headers and failures as from ClickHouse.
#[test]
fn answers_like_clickhouse() {
    let mut engine = Engine::start();
    let client = engine.own();
    client.sql("CREATE DATABASE other").ok();
    client.sql("CREATE TABLE other.t ENGINE = MergeTree ORDER BY n AS SELECT number AS n FROM numbers(10)").ok();
    for (parameters, sql, expected) in [
        ("", "SELECT 1", "1"),
        ("", "SELECT 1;", "1"),
        ("query=SELECT+1", "", "1"),
        ("query=SELECT", " 1 + 1", "2"),
        ("default_format=JSONCompactEachRow", "SELECT 1, 'a'", "[1, \"a\"]"),
        ("default_format=JSON", "SELECT 1 FORMAT CSV", "1"),
        ("param_x=a%27b&param_n=5", "SELECT concat({x:String}, toString({n:UInt8})) FORMAT TSVRaw", "a'b5"),
        ("param_a=%5B1%2C2%5D", "SELECT {a:Array(UInt8)}", "[1,2]"),
        ("database=other", "SELECT count() FROM t", "10"),
        ("max_threads=3", "SELECT getSetting('max_threads')", "3"),
        ("", "SHOW TABLES FROM other", "t"),
        ("", "DESCRIBE other.t FORMAT TSVRaw", "n\tUInt64"),
        ("", "EXPLAIN SYNTAX SELECT 1", "SELECT 1\nFROM system.one"),
        ("", "EXISTS TABLE other.t", "1"),
        ("", "WITH 1 AS x SELECT x", "1"),
        ("", "INSERT INTO other.t SELECT 77", ""),
        ("", "ALTER TABLE other.t DELETE WHERE n = 77 SETTINGS mutations_sync = 1", ""),
        ("", "SELECT count() FROM other.t", "10"),
        ("query_id=mine&send_progress_in_http_headers=1", "SELECT 1", "1"),
    ] {
        assert_eq!(client.sql_with(parameters, sql).ok(), expected, "{parameters} {sql}");
    }
    for (parameters, sql, status, code) in [
        ("", "", 400, 62),
        ("", "SELEC", 404, 47),
        ("", "SELECT * FROM", 400, 62),
        ("", "SELECT 1; SELECT 2", 400, 62),
        ("", "SELECT * FROM nowhere", 404, 60),
        ("", "SELECT nothing", 404, 47),
        ("database=nowhere", "SELECT 1", 404, 81),
        ("no_such_setting=1", "SELECT 1", 404, 115),
        ("max_threads=x", "SELECT 1", 400, 27),
        ("", "SELECT {x:String}", 400, 456),
        ("", "SELECT throwIf(1)", 500, 395),
        (
            "max_execution_time=1",
            "SELECT count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))",
            408,
            159,
        ),
        ("max_memory_usage=10000000", "SELECT groupArray(number) FROM numbers(10000000)", 500, 241),
        ("wait_end_of_query=1", "SELECT number, throwIf(number = 900000) FROM numbers(1000000)", 500, 395),
    ] {
        let answer = client.sql_with(parameters, sql);
        assert_eq!(answer.code(), code, "{sql}: {}", answer.text());
        if code != 456 {
            assert_eq!(answer.status, status, "{sql}: {}", answer.text());
        }
        assert!(answer.text().starts_with(&format!("Code: {code}. DB::Exception: ")), "{}", answer.text());
        assert!(answer.text().contains("(version 26."), "{}", answer.text());
    }
    let answer = client.sql_with("query_id=mine", "SELECT 1 FORMAT JSON");
    for (name, value) in [
        ("X-ClickHouse-Query-Id", "mine"),
        ("X-ClickHouse-Format", "JSON"),
        ("X-ClickHouse-Server-Display-Name", "hypocenter-engine"),
        ("Content-Type", "application/json; charset=UTF-8"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    assert!(answer.header("X-ClickHouse-Timezone").is_some());
    let summary: serde_json::Value = serde_json::from_str(answer.header("X-ClickHouse-Summary").unwrap()).unwrap();
    assert_eq!(summary["result_rows"], "1");
    // GET promises to change nothing.
    let get = |sql: &str| client.request("GET", &format!("/?query={}", encode(sql)), &[], b"");
    assert_eq!(get("SELECT 1").ok(), "1");
    assert_eq!(get("CREATE TABLE x (a UInt8) ENGINE = Memory").code(), 164);
    assert_eq!(get("INSERT INTO other.t VALUES (1)").code(), 164);
    assert_eq!(client.request("GET", "/ping", &[], b"").text(), "Ok.\n");
    assert_eq!(client.request("GET", "/", &[], b"").text(), "Ok.\n");
    assert_eq!(client.request("GET", "/nowhere", &[], b"").status, 404);
    engine.stop();
}

// Scenario: right and wrong credentials in every place, at both ports.
// Guarantee: only the two users get in, our own one not at the outside port.
#[test]
fn lets_in_whom_it_knows() {
    let mut engine = Engine::start();
    let (own, reader) = (engine.own(), engine.reader());
    let nobody = |client: &Client| Client { user: String::new(), ..client.clone() };
    let as_user = |client: &Client, user: &str, password: &str| Client {
        port: client.port,
        user: user.to_owned(),
        password: password.to_owned(),
    };
    for (client, status) in [
        (own.clone(), 200),
        (reader.clone(), 200),
        (as_user(&own, "reader", &reader.password), 200),
        (as_user(&reader, "hypocenter", &own.password), 403),
        (as_user(&own, "hypocenter", ""), 403),
        (as_user(&own, "hypocenter", &reader.password), 403),
        (as_user(&own, "reader", &own.password), 403),
        (as_user(&own, "default", ""), 403),
        (nobody(&own), 401),
        (nobody(&reader), 401),
    ] {
        let answer = client.sql("SELECT 1");
        assert_eq!(answer.status, status, "{}: {}", client.user, answer.text());
        assert!(status == 200 || answer.code() == 516);
    }
    let basic = |user: &str, password: &str| {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        nobody(&own).request("POST", "/", &[("Authorization", &format!("Basic {encoded}"))], b"SELECT 1").status
    };
    assert_eq!((basic("hypocenter", &own.password), basic("hypocenter", "x")), (200, 403));
    let url = |user: &str, password: &str| {
        let target = format!("/?user={user}&password={}", encode(password));
        nobody(&own).request("POST", &target, &[], b"SELECT 1").status
    };
    assert_eq!((url("reader", &reader.password), url("reader", "x")), (200, 403));
    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", engine.address.pid)).unwrap();
    let environment = std::fs::read_to_string(format!("/proc/{}/environ", engine.address.pid)).unwrap();
    for secret in [&own.password, &reader.password] {
        assert!(!arguments.contains(secret) && !environment.contains(secret));
    }
    engine.stop();
}

// Scenario: answers compressed in every way a client may ask for.
// Guarantee: the same bytes come out.
#[test]
fn compresses_answers() {
    let mut engine = Engine::start();
    let client = engine.own();
    let sql = b"SELECT number, toString(number) FROM numbers(500000)";
    let expected = client.request("POST", "/", &[], sql);
    expected.ok();
    for encoding in ["gzip", "zstd", "lz4"] {
        let answer = client.request("POST", "/?enable_http_compression=1", &[("Accept-Encoding", encoding)], sql);
        assert_eq!(answer.header("Content-Encoding"), Some(encoding));
        assert!(answer.whole && answer.body.len() < expected.body.len());
        let mut out = Vec::new();
        match encoding {
            "gzip" => flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut out).unwrap(),
            "zstd" => zstd::stream::read::Decoder::new(&answer.body[..]).unwrap().read_to_end(&mut out).unwrap(),
            _ => lz4_flex::frame::FrameDecoder::new(&answer.body[..]).read_to_end(&mut out).unwrap(),
        };
        assert!(out == expected.body, "{encoding}");
    }
    let plain = client.request("POST", "/?enable_http_compression=0", &[("Accept-Encoding", "gzip")], b"SELECT 1");
    assert_eq!((plain.header("Content-Encoding"), plain.ok().as_str()), (None, "1"));
    let blocks = client.request("POST", "/?compress=1", &[], sql);
    let mut out = Vec::new();
    let mut rest = &blocks.body[..];
    while !rest.is_empty() {
        let compressed = u32::from_le_bytes(rest[17..21].try_into().unwrap()) as usize;
        let uncompressed = u32::from_le_bytes(rest[21..25].try_into().unwrap()) as usize;
        let frame = &rest[16..16 + compressed];
        assert_eq!(cityhash_rs::cityhash_102_128(frame).rotate_right(64).to_le_bytes(), rest[..16]);
        out.extend(lz4_flex::block::decompress(&frame[9..], uncompressed).unwrap());
        rest = &rest[16 + compressed..];
    }
    assert!(out == expected.body);
    engine.stop();
}

// Scenario: a query fails after megabytes of output, plain and compressed.
// Guarantee: the answer ends with the failure under the tag told in the headers, and is cut.
#[test]
fn a_late_failure_is_seen() {
    let mut engine = Engine::start();
    let client = engine.own();
    let sql = b"SELECT number, throwIf(number = 3000000) FROM numbers(4000000)";
    let check = |answer: &crate::support::Answer, body: &[u8]| {
        let tag = answer.header("X-ClickHouse-Exception-Tag").unwrap();
        let end = format!(" {tag}\r\n__exception__\r\n");
        let text = String::from_utf8_lossy(&body[body.len() - 2000..]).into_owned();
        assert!(answer.status == 200 && !answer.whole);
        assert!(text.ends_with(&end) && text.contains("Code: 395. DB::Exception"), "{text}");
    };
    let answer = client.request("POST", "/", &[], sql);
    check(&answer, &answer.body);
    let answer = client.request("POST", "/", &[("Accept-Encoding", "gzip")], sql);
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut body).unwrap();
    check(&answer, &body);
    let answer = client.request("POST", "/?compress=1", &[], sql);
    check(&answer, &answer.body);
    let early = client.request("POST", "/?compress=1", &[], b"SELECT nothing");
    assert_eq!((early.code(), early.body[16]), (47, 0x02));
    engine.stop();
}

fn running(client: &Client, needle: &str) -> usize {
    let sql = format!(
        "SELECT count() FROM system.processes WHERE query LIKE '%{needle}%' AND query NOT LIKE '%system.processes%' AND NOT is_cancelled"
    );
    client.sql(&sql).ok().parse().unwrap()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(30), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

// Scenario: clients leave before the first byte, in mid-answer, and stop reading.
// Guarantee: their queries end, and the lane is free again; others are never held up.
#[test]
fn queries_end_with_their_client() {
    let mut engine = Engine::start();
    let client = engine.own();
    for sql in [
        "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number), 'gone')",
        "SELECT number, sipHash64(number), 'gone' FROM numbers(1000000000000)",
        "INSERT INTO FUNCTION null('x UInt64') SELECT sipHash64(number, 'gone') FROM numbers(1000000000000)",
    ] {
        let begin = |_| {
            let length = sql.len().to_string();
            let mut stream = client.begin("POST", "/", &[("Content-Length", &length)]);
            std::io::Write::write_all(&mut stream, sql.as_bytes()).unwrap();
            stream
        };
        let mut streams: Vec<_> = (0..2).map(begin).collect();
        wait_for("queries to begin", || running(&client, "gone") == 2);
        // More than the lane holds: the last ones wait in line and leave from there.
        streams.extend((0..6).map(begin));
        let inserts = "INSERT INTO FUNCTION null('x UInt8') FORMAT CSV";
        client.insert(inserts, b"1\n").ok();
        drop(streams);
        wait_for("queries to end", || running(&client, "gone") == 0);
        assert_eq!(client.sql("SELECT 1").ok(), "1");
    }
    engine.stop();
}

// Scenario: an answer of 2 GB, read slowly.
// Guarantee: the process's memory does not follow.
#[test]
fn answers_are_streamed() {
    let mut engine = Engine::start();
    let client = engine.own();
    let sql = b"SELECT repeat(toString(number), 100) FROM numbers(3000000)";
    let mut stream = client.begin("POST", "/?max_block_size=8192", &[("Content-Length", &sql.len().to_string())]);
    std::io::Write::write_all(&mut stream, sql).unwrap();
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", engine.address.pid)).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    };
    let (mut total, mut peak) = (0usize, 0);
    let mut piece = vec![0; 1 << 20];
    loop {
        let count = stream.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        if (total >> 26) != ((total + count) >> 26) {
            peak = peak.max(memory());
        }
        total += count;
    }
    assert!(total > 1_900_000_000, "{total}");
    assert!(peak < 600, "{peak} MiB");
    engine.stop();
}

// Scenario: sessions with temporary tables, SET and URL settings; errors; two at once; bounds.
// Guarantee: a session keeps its state over errors, a request's settings do not stay, and a busy
// session refuses a second request.
#[test]
fn sessions_keep_their_state() {
    let mut engine = Engine::start();
    let client = engine.own();
    let session = |sql: &str| client.sql_with("session_id=a", sql);
    session("CREATE TEMPORARY TABLE x (n UInt64)").ok();
    client.request("POST", "/?session_id=a&query=INSERT+INTO+x+FORMAT+CSV", &[], b"5\n6\n").ok();
    session("SET max_threads = 3").ok();
    assert_eq!(session("SELECT sum(n), getSetting('max_threads') FROM x").ok(), "11\t3");
    let both = "SELECT getSetting('max_threads'), getSetting('max_block_size')";
    assert_eq!(client.sql_with("session_id=a&max_threads=7&max_block_size=99", both).ok(), "7\t99");
    assert_eq!(session(both).ok(), "3\t65409");
    assert_eq!(session("SELECT nothing").code(), 47);
    assert_eq!(session("SELEC 1").code(), 62);
    assert_eq!(session("SELECT count() FROM x").ok(), "2");
    assert_eq!(client.sql_with("session_id=b", "SELECT count() FROM x").code(), 60);
    assert_eq!(client.sql_with("session_id=c&session_check=1", "SELECT 1").code(), 372);
    let busy = std::thread::spawn({
        let client = client.clone();
        move || client.sql_with("session_id=a", "SELECT sleep(2)").ok()
    });
    wait_for("the session to be busy", || running(&client, "sleep(2)") == 1);
    assert_eq!(session("SELECT 1").code(), 373);
    busy.join().unwrap();
    assert_eq!(session("SELECT count() FROM x").ok(), "2");
    for number in 0..100 {
        client.sql_with(&format!("session_id=many{number}"), "SELECT 1").ok();
    }
    engine.stop();
}

// Scenario: the Go client's greeting, plain and in the encodings it may ask for.
// Guarantee: one block at the client's revision that reports revision 0.
#[test]
fn greets_the_go_client() {
    let mut engine = Engine::start();
    let client = engine.own();
    let sql = b"SELECT displayName(), version(), revision(), timezone()";
    let plain = client.request("POST", "/?default_format=Native&client_protocol_version=54483", &[], sql).body;
    assert_eq!(plain[..10], [1, 0, 2, 255, 255, 255, 255, 0, 4, 1]);
    let revision = b"\x0arevision()\x06UInt32\0\0\0\0\0\x0a";
    assert!(plain.windows(revision.len()).any(|part| part == revision));
    let blocks = client.request("POST", "/?client_protocol_version=54483&compress=1", &[], sql).body;
    let block = lz4_flex::block::decompress(&blocks[25..], plain.len()).unwrap();
    assert_eq!(block, plain);
    let gzip = [("Accept-Encoding", "gzip")];
    let answer = client.request("POST", "/?client_protocol_version=54483", &gzip, sql);
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut body).unwrap();
    assert_eq!(body, plain);
    engine.stop();
}

// Scenario: parameters in a multipart form, as the Rust and JavaScript clients send them.
// Guarantee: they are bound; a form with a file is refused.
#[test]
fn forms_bind_parameters() {
    let mut engine = Engine::start();
    let client = engine.own();
    let form = |inner: &str| format!("--B\r\nContent-Disposition: form-data; name=\"param_x\"{inner}\r\n--B--\r\n");
    let headers = [("Content-Type", "multipart/form-data; boundary=B")];
    let post = |body: String| client.request("POST", "/?query=SELECT+%7Bx%3AString%7D", &headers, body.as_bytes());
    assert_eq!(post(form("\r\n\r\na -- b")).ok(), "a -- b");
    assert_eq!(post(form("; filename=\"f\"\r\n\r\nx")).code(), 48);
    assert_eq!(post("nonsense".to_owned()).code(), 36);
    engine.stop();
}
