//! What the room's tests share: a supervised engine in a fresh directory, and an HTTP client so
//! small that a test can break off wherever it likes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{Address, Supervisor, SupervisorConfig};

/// libchdb. A test without it must fail, not pass.
pub(crate) fn library() -> PathBuf {
    let explicit = std::env::var_os("HYPOCENTER_ENGINE_LIB").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .expect("a home directory");
    engine::install::find(explicit.as_deref(), &cache)
        .unwrap_or_else(|error| panic!("this test needs the engine library (`make setup`): {error}"))
}

/// The example that stands for `hypocenter engine serve`.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().expect("own path");
    let target = test.parent().and_then(Path::parent).expect("target directory");
    let program = target.join("examples").join("engine_serve");
    assert!(program.is_file(), "{} is built by `cargo test`", program.display());
    program
}

pub(crate) const READER_PASSWORD: &str = "reader's secret";

pub(crate) fn config(data_dir: &Path) -> SupervisorConfig {
    let mut config = SupervisorConfig::new(program(), library(), data_dir.to_owned());
    config.arguments.clear();
    config.reader_password = Some(READER_PASSWORD.to_owned());
    config.reader_listen = Some(([127, 0, 0, 1], 0).into());
    config
}

/// A running engine with its directory and runtime.
pub(crate) struct Engine {
    pub(crate) supervisor: Option<Supervisor>,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) address: Address,
}

impl Engine {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut SupervisorConfig)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = config(&dir.path().join("engine data"));
        change(&mut config);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let supervisor = runtime.block_on(async { Supervisor::start(config) });
        let address = runtime.block_on(supervisor.ready()).expect("a ready engine");
        Self { supervisor: Some(supervisor), runtime, dir, address }
    }

    /// Waits for the next life of the process after the one known.
    pub(crate) fn wait_for_restart(&mut self) {
        let supervisor = self.supervisor.as_ref().expect("not stopped");
        let old = self.address.pid;
        let mut states = supervisor.state();
        self.address = self.runtime.block_on(async {
            loop {
                if let engine::State::Ready(address) = &*states.borrow_and_update()
                    && address.pid != old
                {
                    return address.clone();
                }
                states.changed().await.expect("the supervisor lives");
            }
        });
    }

    pub(crate) fn stop(&mut self) {
        if let Some(supervisor) = self.supervisor.take() {
            self.runtime.block_on(supervisor.stop());
        }
    }

    pub(crate) fn own(&self) -> Client {
        Client {
            port: self.address.url.rsplit(':').next().expect("a port").parse().expect("a number"),
            user: self.address.user.clone(),
            password: self.address.password.clone(),
        }
    }

    /// The reader at the outside port.
    pub(crate) fn reader(&self) -> Client {
        Client {
            port: self.address.reader_port.expect("a reader port"),
            user: "reader".to_owned(),
            password: READER_PASSWORD.to_owned(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as HTTP says it must.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> String {
        assert!(self.status == 200 && self.whole, "{self:?} {}", self.text());
        self.text().trim_end().to_owned()
    }

    /// The code of a failure.
    #[track_caller]
    pub(crate) fn code(&self) -> u32 {
        assert_ne!(self.status, 200, "{}", self.text());
        let code = self.header("X-ClickHouse-Exception-Code").expect("a code");
        code.parse().expect("a number")
    }
}

pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

impl Client {
    /// Opens a connection and sends a request's head.
    pub(crate) fn begin(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        if !self.user.is_empty() {
            head += &format!("X-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\n", self.user, self.password);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(head.as_bytes()).expect("a sent head");
        stream.write_all(b"\r\n").expect("a sent head");
        stream
    }

    pub(crate) fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        all.push(("Content-Length", &length));
        let mut stream = self.begin(method, target, &all);
        // The server may answer before it has read everything.
        let _ = stream.write_all(body);
        read_answer(stream)
    }

    /// A statement in the body.
    pub(crate) fn sql(&self, sql: &str) -> Answer {
        self.request("POST", "/", &[], sql.as_bytes())
    }

    /// A statement in the body, parameters in the URL.
    pub(crate) fn sql_with(&self, parameters: &str, sql: &str) -> Answer {
        self.request("POST", &format!("/?{parameters}"), &[], sql.as_bytes())
    }

    /// An insert: statement in the URL, data in the body.
    pub(crate) fn insert(&self, sql: &str, data: &[u8]) -> Answer {
        self.request("POST", &format!("/?query={}", encode(sql)), &[], data)
    }
}

pub(crate) fn read_answer(stream: TcpStream) -> Answer {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a status line");
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let mut body = Vec::new();
    let whole = if chunked {
        read_chunks(&mut reader, &mut body)
    } else {
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        reader.take(length).read_to_end(&mut body).is_ok() && body.len() as u64 == length
    };
    Answer { status, headers, body, whole }
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> bool {
    loop {
        let mut line = String::new();
        if !matches!(reader.read_line(&mut line), Ok(count) if count > 0) {
            return false;
        }
        let Ok(length) = usize::from_str_radix(line.trim(), 16) else { return false };
        let mut chunk = vec![0; length + 2];
        if reader.read_exact(&mut chunk).is_err() {
            return false;
        }
        body.extend_from_slice(&chunk[..length]);
        if length == 0 {
            return true;
        }
    }
}
