//! Import against a small server in the test: what arrives, in which form, and what is made of its
//! answers.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

// A server that answers each request with what `answer` gives for path and body: status, headers, body.
fn serve(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.unwrap());
                loop {
                    let (mut line, mut length, mut path) = (String::new(), 0, String::new());
                    while reader.read_line(&mut line).unwrap_or(0) > 0 && line.trim() != "" {
                        let lower = line.to_ascii_lowercase();
                        if let Some(value) = lower.strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                        if path.is_empty() {
                            path = line.split(' ').nth(1).unwrap_or("").to_owned();
                        }
                        line.clear();
                    }
                    let mut body = vec![0; length];
                    if path.is_empty() || reader.read_exact(&mut body).is_err() {
                        return;
                    }
                    let (status, answer) = answer(&path, &String::from_utf8(body).unwrap());
                    let head =
                        format!("HTTP/1.1 {status} X\r\nretry-after: 0\r\ncontent-length: {}\r\n\r\n", answer.len());
                    reader.get_mut().write_all((head + &answer).as_bytes()).unwrap();
                }
            });
        }
    });
    address
}

fn args(address: &str, files: &[&Path]) -> ImportArgs {
    ImportArgs {
        endpoint: address.to_owned(),
        zipkin_endpoint: format!("{address}/zipkin/"),
        shift_to_now: false,
        batch: 3,
        headers: vec![],
        patience: 5,
        files: files.iter().map(|path| path.to_path_buf()).collect(),
    }
}

// Sends one file and gives the tally, or why the server did not take part.
fn sent(args: &ImportArgs, path: &Path, shift_ns: i64) -> anyhow::Result<Tally> {
    let post = Post::new(&args.endpoint, &args.zipkin_endpoint, vec![], Duration::from_secs(args.patience));
    let mut source = Source::open(&path.to_path_buf(), false)?;
    let sent = send(&mut source, &post, shift_ns, args.batch, &ProgressBar::hidden());
    sent.posted.map(|()| sent.tally)
}

fn counts(tally: &Tally) -> (u64, u64, u64, u64, u64) {
    (tally.spans, tally.logs, tally.points, tally.accepted, tally.refused)
}

// Scenario: OTLP lines of three signals, gzipped, with a broken line and an item that is none.
// Guarantee: everything arrives once, in requests of its kind; the broken is counted.
#[test]
fn otlp_lines() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let address = serve(move |path, body| {
        let read: serde_json::Value = serde_json::from_str(body).unwrap();
        log.lock().unwrap().push(format!("{path} {read}"));
        (200, "{}".into())
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.jsonl.gz");
    let span = r#"{"scopeSpans":[{"spans":[{"name":"a"},{"name":"b"}]}]}"#;
    let text = format!(
        "{{\"resourceSpans\":[{span},{span}]}}\n{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{}}]}}]}}]}}\n{{\"resourceSpans\":[{span}\n{{\"resourceSpans\":[5]}}\n{{\"resourceMetrics\":[{{\"scopeMetrics\":[{{\"metrics\":[{{\"sum\":{{\"dataPoints\":[{{}},{{}}]}}}}]}}]}}]}}\n"
    );
    let mut gzip = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap();
    let tally = sent(&args(&address, &[]), &path, 0).unwrap();
    assert_eq!(counts(&tally), (6, 1, 2, 9, 2));
    assert_eq!(tally.requests, 5);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    let span: serde_json::Value = serde_json::from_str(span).unwrap();
    assert_eq!(seen.iter().filter(|line| **line == format!("/v1/traces {{\"resourceSpans\":[{span}]}}")).count(), 3);
    assert!(seen[0].starts_with("/v1/logs") && seen[1].starts_with("/v1/metrics"));
}

// Scenario: a server that is overloaded at first, then refuses requests that hold one bad span, and
// some spans of good ones.
// Guarantee: retried, halved until the bad one is alone, partial success counted.
#[test]
fn refusals() {
    let turns = Arc::new(Mutex::new(0));
    let address = serve(move |path, body| {
        let mut turns = turns.lock().unwrap();
        *turns += 1;
        match path {
            _ if *turns <= 2 => (503, "busy".into()),
            "/zipkin/api/v2/spans" if body.contains("bad") => (400, "traceId is empty".into()),
            "/zipkin/api/v2/spans" => (202, String::new()),
            _ => (200, "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"zero id\"}}".into()),
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("zipkin.json");
    let span = |name: &str| format!("{{\"traceId\":\"1\",\"id\":\"2\",\"name\":\"{name}\",\"tags\":{{}}}}");
    let spans = ["a", "b", "c", "d", "bad", "f", "g"].map(span).join(",\n");
    std::fs::write(&path, format!("[{spans}]")).unwrap();
    let tally = sent(&args(&address, &[]), &path, 0).unwrap();
    assert_eq!(counts(&tally), (7, 0, 0, 6, 1));
    assert_eq!(tally.reasons, ["400: traceId is empty"]);
    let path = directory.path().join("jaeger.json");
    std::fs::write(
        &path,
        r#"{"data":[{"traceID":"1","spans":[{"spanID":"1","processID":"p"},{"spanID":"0"}],"processes":{}}]}"#,
    )
    .unwrap();
    let tally = sent(&args(&address, &[]), &path, 0).unwrap();
    assert_eq!(counts(&tally), (1, 0, 0, 0, 2));
}

// Scenario: an OTLP document on many lines and a Zipkin file, moved to now.
// Guarantee: the latest event of both is now, and their distance is what it was.
#[test]
fn shifted() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let address = serve(move |_, body| {
        log.lock().unwrap().push(body.to_owned());
        (200, String::new())
    });
    let directory = tempfile::tempdir().unwrap();
    let (otlp, zipkin) = (directory.path().join("a.json"), directory.path().join("b.json"));
    std::fs::write(
        &otlp,
        "{\n \"resourceSpans\": [\n {\"scopeSpans\": [{\"spans\": [{\n\"startTimeUnixNano\": \"1600000000000000123\", \"endTimeUnixNano\": \"1600000001000000123\"}]}]}\n ]\n}\n",
    )
    .unwrap();
    std::fs::write(&zipkin, "[{\"traceId\":\"1\",\"id\":\"2\",\"timestamp\":1600000000000000,\"duration\":5}]")
        .unwrap();
    let args = args(&address, &[&otlp, &zipkin]);
    let mut sources: Vec<Source> = args.files.iter().map(|path| Source::open(path, true).unwrap()).collect();
    let distance = distance_to_now(&mut sources, &ProgressBar::hidden());
    assert_eq!(distance % 1000, 0);
    let now = now_ns() as i64;
    let latest = 1_600_000_001_000_000_123 + distance;
    assert!(latest <= now && now - latest < 60_000_000_000);
    for path in [&otlp, &zipkin] {
        assert_eq!(sent(&args, path, distance).unwrap().accepted, 1);
    }
    let seen = seen.lock().unwrap().join("");
    assert!(seen.contains(&format!("\"startTimeUnixNano\": \"{}\"", 1_600_000_000_000_000_123 + distance)), "{seen}");
    assert!(
        seen.contains(&format!("\"timestamp\":{},\"duration\":5", 1_600_000_000_000_000 + distance / 1000)),
        "{seen}"
    );
}

// Scenario: a compressed file whose end is missing, as a broken download leaves it.
// Guarantee: what can be read of it is sent, and the tally says that there is more.
#[test]
fn broken_off() {
    let address = serve(|_, _| (200, "{}".into()));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut.jsonl.gz");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    for name in 0..1000 {
        writeln!(gzip, "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"name\":\"{name}\"}}]}}]}}]}}").unwrap();
    }
    let whole = gzip.finish().unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let tally = sent(&args(&address, &[]), &path, 0).unwrap();
    assert!((400..600).contains(&tally.accepted) && tally.accepted == tally.spans, "{tally:?}");
    assert!(tally.broken_off.unwrap().contains("reading "));
}

// Scenario: no server, a server that does not know the path, a file of another kind, an empty one, a directory.
// Guarantee: it is said what and where; an empty file is no error.
#[test]
fn trouble() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    std::fs::write(&path, "[{\"traceId\":\"1\",\"id\":\"2\"}]").unwrap();
    let mut nowhere = args("http://127.0.0.1:1", &[]);
    nowhere.patience = 0;
    let error = format!("{:#}", sent(&nowhere, &path, 0).unwrap_err());
    assert!(error.contains("posting to http://127.0.0.1:1/zipkin/api/v2/spans"), "{error}");
    let address = serve(|_, _| (404, "not here".into()));
    let error = format!("{:#}", sent(&args(&address, &[]), &path, 0).unwrap_err());
    assert!(error.contains("the server answered 404: not here"), "{error}");
    std::fs::write(&path, "timestamp,level\n").unwrap();
    let tally = sent(&nowhere, &path, 0).unwrap();
    assert!(tally.broken_off.unwrap().contains("is neither OTLP JSON, Zipkin JSON nor Jaeger JSON"));
    let error = format!("{:#}", sent(&nowhere, directory.path(), 0).unwrap_err());
    assert!(error.contains("is a directory; name the files in it"), "{error}");
    std::fs::write(&path, "\n").unwrap();
    assert_eq!(counts(&sent(&nowhere, &path, 0).unwrap()), (0, 0, 0, 0, 0));
}
