//! Starts the real program for a test, on free ports and a data directory of its own, and speaks to it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a start may take; generous, because test machines are busy.
const START: Duration = Duration::from_secs(60);

/// A running Hypocenter.
pub struct Program {
    child: Child,
    // Removed with the program.
    _temporary: Option<tempfile::TempDir>,
    /// `http://…` of the own API.
    pub http: String,
    /// `http://…` of OTLP over gRPC.
    pub otlp_grpc: String,
    /// `http://…` of OTLP over HTTP.
    pub otlp_http: String,
    /// `http://…` of Zipkin.
    pub zipkin: String,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header, or empty.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Program {
    /// Starts with a fresh data directory.
    pub fn start() -> Program {
        Program::start_with(&[])
    }

    /// Starts with a fresh data directory and further arguments.
    pub fn start_with(arguments: &[&str]) -> Program {
        let temporary = tempfile::tempdir().unwrap();
        let mut program = Program::start_in(temporary.path(), arguments);
        program._temporary = Some(temporary);
        program
    }

    /// Starts on an existing data directory.
    pub fn start_in(dir: &Path, arguments: &[&str]) -> Program {
        let program = Program::spawn(dir, arguments);
        eventually("ready", || program.get("/ready").status == 200);
        program
    }

    /// Starts with a fresh data directory, and leaves it to the caller to ask whether it is ready.
    pub fn start_unasked(arguments: &[&str]) -> Program {
        let temporary = tempfile::tempdir().unwrap();
        let mut program = Program::spawn(temporary.path(), arguments);
        program._temporary = Some(temporary);
        program
    }

    fn spawn(dir: &Path, arguments: &[&str]) -> Program {
        let mut child = command(dir, arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let began = Instant::now();
        let mut addresses = std::collections::HashMap::new();
        while addresses.len() < 4 {
            assert!(began.elapsed() < START, "the program did not print its addresses");
            let line = match lines.next() {
                Some(line) => line.unwrap(),
                None => panic!("the program ended before it was ready: {:?}", child.wait()),
            };
            if let Some((label, address)) = line.trim().rsplit_once(' ')
                && address.starts_with("http")
            {
                addresses.insert(label.trim().to_owned(), address.to_owned());
            }
        }
        // Keep reading, so that the program never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Program {
            child,
            _temporary: None,
            http: addresses["UI, API"].clone(),
            otlp_grpc: addresses["OTLP/gRPC"].clone(),
            otlp_http: addresses["OTLP/HTTP"].clone(),
            zipkin: addresses["Zipkin"].clone(),
        }
    }

    /// GET from the own port.
    pub fn get(&self, path: &str) -> Answer {
        request("GET", &format!("{}{path}", self.http), &[], &[])
    }

    /// GET from the own API, as JSON; the status must be 200.
    pub fn api(&self, path: &str) -> Value {
        let answer = self.get(&format!("/api/v1{path}"));
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        answer.json()
    }

    /// POST of a JSON body to OTLP over HTTP; answers when it is stored.
    pub fn send_json(&self, signal: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json"), ("x-hypocenter-wait", "stored")];
        request("POST", &format!("{}/v1/{signal}", self.otlp_http), &headers, body.to_string().as_bytes())
    }

    /// Waits until everything accepted is stored.
    pub fn flush(&self) {
        let answer = request("POST", &format!("{}/api/v1/flush", self.http), &[], &[]);
        assert_eq!(answer.status, 200, "flush: {}", answer.text());
    }

    /// Sends a signal by number.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Kills it as a power cut of the process would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends it with SIGTERM and waits.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < START, "the program did not end after SIGTERM");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with a data directory, free ports and further arguments.
pub fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hypocenter"));
    command.arg("run").arg("--data-dir").arg(dir);
    for port in ["http", "otlp_grpc", "otlp_http", "zipkin"] {
        command.args(["--set", &format!("ports.{port}=0")]);
    }
    command.args(arguments);
    command
}

/// One HTTP request; any status is an answer.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = agent.run(request.body(body).unwrap()).unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let headers = answer.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body = answer.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    Answer { status: answer.status().as_u16(), headers, body }
}

/// Tries until it holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < START, "did not happen in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Nanoseconds since the epoch.
pub fn now_ns() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
}
