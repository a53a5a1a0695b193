//! `hypocenter import` against a running program: files of each form, whole and faulty.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::program::{Program, now_ns};

fn import(program: &Program, arguments: &[&str], files: &[PathBuf]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hypocenter"))
        .args(["import", "--endpoint", &program.otlp_http, "--zipkin-endpoint", &program.zipkin])
        .args(arguments)
        .args(files)
        .output()
        .unwrap()
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    let file = std::fs::File::create(&path).unwrap();
    if name.ends_with(".gz") {
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap();
    } else {
        std::fs::write(&path, text).unwrap();
    }
    path
}

/// Lines of traces and logs, ten items each, an hour ago in steps of a second.
fn otlp_lines(lines: u64, began: u64) -> String {
    let mut text = String::new();
    for line in 0..lines {
        let items = |each: &dyn Fn(u64) -> Value| (0..10).map(|item| each(line * 10 + item + 1)).collect::<Vec<_>>();
        let time = |number: u64| (began + number * 1_000_000).to_string();
        let spans = items(&|number| {
            json!({"traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"), "name": "imported",
                   "startTimeUnixNano": time(number), "endTimeUnixNano": time(number + 1)})
        });
        let records = items(
            &|number| json!({"timeUnixNano": time(number), "traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"), "body": {"stringValue": "line"}}),
        );
        let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "files"}}]});
        text += &json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).to_string();
        text.push('\n');
        text += &json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}).to_string();
        text.push('\n');
    }
    text
}

// Scenario: OTLP JSON lines plain and gzip, Zipkin JSON, Jaeger JSON.
// Guarantee: the exit code is success, and every item of the files is stored once.
#[test]
fn files_of_every_form() {
    let (program, dir) = (Program::start(), tempfile::tempdir().unwrap());
    let began = now_ns() - 3_600_000_000_000;
    let now_us = began / 1000;
    let zipkin = json!([
        {"traceId": "00000000000000b1", "id": "00000000000000b1", "kind": "SERVER", "name": "get", "timestamp": now_us, "duration": 5,
         "localEndpoint": {"serviceName": "zipkin-file"}},
        {"traceId": "00000000000000b1", "id": "00000000000000b1", "kind": "CLIENT", "name": "get", "timestamp": now_us, "duration": 9, "shared": true,
         "localEndpoint": {"serviceName": "zipkin-client"}}]);
    let jaeger = json!({"data": [{"traceID": "000000000000000000000000000000c1", "processes": {"p1": {"serviceName": "jaeger-file", "tags": []}},
        "spans": [{"traceID": "000000000000000000000000000000c1", "spanID": "00000000000000c1", "operationName": "work", "references": [],
                   "startTime": now_us, "duration": 7, "processID": "p1", "tags": [{"key": "n", "type": "int64", "value": 3}],
                   "logs": [{"timestamp": now_us + 1, "fields": [{"key": "event", "type": "string", "value": "tick"}]}]}]}]});
    let mut packed = otlp_lines(3, began + 60_000_000_000);
    packed = packed.replace("\"traceId\":\"0000", "\"traceId\":\"aaaa");
    let files = [
        write(dir.path(), "plain.jsonl", &otlp_lines(5, began)),
        write(dir.path(), "packed.jsonl.gz", &packed),
        write(dir.path(), "zipkin.json", &zipkin.to_string()),
        write(dir.path(), "jaeger.json", &jaeger.to_string()),
    ];
    let output = import(&program, &[], &files);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    program.flush();
    let ingest = program.api("/ingest");
    assert_eq!(ingest["stored"], json!({"traces": 50 + 30 + 2 + 1, "logs": 50 + 30, "metrics": 0}), "{ingest}");
    let services = program.api("/services?from=now-2h&to=now");
    let names: Vec<&str> =
        services["services"].as_array().unwrap().iter().map(|service| service["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["files", "jaeger-file", "zipkin-client", "zipkin-file"]);
    let trace = program.api("/traces/000000000000000000000000000000c1");
    assert_eq!(
        (&trace["spans"][0]["attributes"]["n"], &trace["spans"][0]["events"][0]["name"]),
        (&json!(3), &json!("tick"))
    );
}

// Scenario: a file of the year 2021 is moved to now; then a file with spans that have no ids.
// Guarantee: distances stay, the last event is now; refusals end in a failing exit code, and are named.
#[test]
fn shifted_and_refused() {
    let (program, dir) = (Program::start(), tempfile::tempdir().unwrap());
    let old = write(dir.path(), "old.jsonl", &otlp_lines(2, 1_620_000_000_000_000_000));
    let before = now_ns();
    let output = import(&program, &["--shift-to-now"], &[old]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program.flush();
    let start = |number: u64| {
        program.api(&format!("/traces/{number:032x}"))["start_ns"].as_str().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(start(20) - start(1), 19_000_000);
    assert!(start(20) + 1_000_000 >= before - 1_000_000 && start(20) <= now_ns(), "{}", start(20));

    let faulty = otlp_lines(1, now_ns() - 1_000_000_000).replace(&format!("{:032x}", 3), "");
    let output = import(&program, &[], &[write(dir.path(), "faulty.jsonl", &faulty)]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("refused"), "{said}");
}

// Scenario: a file that is none of ours stands before a good one.
// Guarantee: it is named, the good one is stored, and the exit code tells of it.
#[test]
fn goes_on_after_a_foreign_file() {
    let (program, dir) = (Program::start(), tempfile::tempdir().unwrap());
    let files = [
        write(dir.path(), "table.csv", "time,service\n1,a\n"),
        write(dir.path(), "good.jsonl", &otlp_lines(2, now_ns() - 1_000_000_000)),
    ];
    let output = import(&program, &[], &files);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("table.csv is neither OTLP JSON, Zipkin JSON nor Jaeger JSON"), "{said}");
    program.flush();
    assert_eq!(program.api("/ingest")["stored"], json!({"traces": 20, "logs": 20, "metrics": 0}));
}

/// The OTLP files below a folder.
fn jsonl_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            jsonl_below(&path, found);
        } else if path.extension().is_some_and(|end| end == "jsonl" || end == "gz") {
            found.push(path);
        }
    }
    found.sort();
}

// Scenario: `make eval-import`: HYPOCENTER_DATA names a folder with the TrainTicket recordings.
// Guarantee: every span, record and point of the files is accepted and stored once.
#[test]
fn evaluation_data_imports_completely() {
    let Some(data) = std::env::var_os("HYPOCENTER_DATA") else { return };
    let mut files = Vec::new();
    jsonl_below(&PathBuf::from(data), &mut files);
    assert!(!files.is_empty(), "no .jsonl or .gz file below HYPOCENTER_DATA");
    let program = Program::start();
    let output = import(&program, &[], &files);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    program.flush();
    let mut counted = [0_u64; 3];
    for file in &files {
        count(file, &mut counted);
    }
    let ingest = program.api("/ingest");
    let wanted = json!({"traces": counted[0], "logs": counted[1], "metrics": counted[2]});
    assert_eq!(ingest["stored"], wanted, "{said}");
    assert_eq!(ingest["accepted"], wanted);
}

/// Items of a file, counted by their JSON alone.
fn count(file: &Path, counted: &mut [u64; 3]) {
    use std::io::{BufRead as _, BufReader};
    let plain = std::fs::File::open(file).unwrap();
    let reader: Box<dyn std::io::Read> = match file.extension() {
        Some(end) if end == "gz" => Box::new(flate2::read::MultiGzDecoder::new(plain)),
        _ => Box::new(plain),
    };
    for line in BufReader::new(reader).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        for (number, path) in
            [["resourceSpans", "scopeSpans", "spans"], ["resourceLogs", "scopeLogs", "logRecords"]].iter().enumerate()
        {
            counted[number] += items(&line, path).len() as u64;
        }
        for metric in items(&line, &["resourceMetrics", "scopeMetrics", "metrics"]) {
            for kind in ["gauge", "sum", "histogram", "exponentialHistogram", "summary"] {
                counted[2] += metric[kind]["dataPoints"].as_array().map_or(0, |points| points.len() as u64);
            }
        }
    }
}

fn items<'a>(value: &'a Value, path: &[&str]) -> Vec<&'a Value> {
    let Some((first, rest)) = path.split_first() else { return vec![value] };
    value[first].as_array().into_iter().flatten().flat_map(|item| items(item, rest)).collect()
}
