//! The processes that are made to suffer: Hypocenter itself, and a second `hypocenter engine` that
//! stands for a remote ClickHouse. Started with free ports and directories of their own, killed when
//! dropped. Knows signals and `/proc`; nothing of items.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::client::Client;
use crate::oracle::Doors;
use crate::sql::Place;

/// A start or an end that takes longer hangs; generous, because test machines are busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is needed to start anything.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The program under test.
    pub hypocenter: PathBuf,
    /// libchdb.
    pub library: PathBuf,
    /// `key=value` for every Hypocenter, from the command line.
    pub settings: Vec<String>,
}

/// How one Hypocenter is started.
#[derive(Clone, Debug)]
pub struct Setup {
    programs: Programs,
    /// Its data directory.
    pub dir: PathBuf,
    /// `key=value` for `--set`.
    pub settings: Vec<String>,
    /// Programs before it on the command line (strace).
    pub wrapper: Vec<String>,
    /// Memory high-water mark over all lives, KiB.
    pub peak_kib: Arc<AtomicU64>,
    reader_port: Option<u16>,
}

const READER_PASSWORD: &str = "fault-reader";

impl Setup {
    /// In `dir`, on the embedded engine, with a port for the checker.
    pub fn embedded(programs: &Programs, dir: &Path) -> Setup {
        let port = free_port();
        let mut setup = Setup::plain(programs, dir);
        setup.reader_port = Some(port);
        setup.set(&format!("storage.embedded.http_port={port}"));
        setup.set(&format!("storage.embedded.reader_password={READER_PASSWORD}"));
        setup
    }

    /// In `dir`, on a remote store, possibly through a proxy at `url`.
    pub fn remote(programs: &Programs, dir: &Path, store: &Store, url: &str, database: &str) -> Setup {
        let mut setup = Setup::plain(programs, dir);
        setup.set(&format!("storage.url={url}"));
        setup.set(&format!("storage.user={}", store.place.user));
        setup.set(&format!("storage.password={}", store.place.password));
        setup.set(&format!("storage.database={database}"));
        setup
    }

    fn plain(programs: &Programs, dir: &Path) -> Setup {
        Setup {
            programs: programs.clone(),
            dir: dir.to_owned(),
            settings: programs.settings.clone(),
            wrapper: Vec::new(),
            peak_kib: Arc::default(),
            reader_port: None,
        }
    }

    /// Adds a setting.
    pub fn set(&mut self, pair: &str) {
        self.settings.push(pair.to_owned());
    }

    /// Where the checker reads when the engine is embedded.
    pub fn reader(&self) -> Place {
        Place {
            url: format!("http://127.0.0.1:{}", self.reader_port.unwrap_or_default()),
            user: "reader".into(),
            password: READER_PASSWORD.into(),
            database: "hypocenter".into(),
        }
    }

    /// The log of all lives.
    pub fn log_path(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    /// The log's text.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// The command line.
    pub fn command(&self, arguments: &[String]) -> Command {
        let mut words: Vec<String> = self.wrapper.clone();
        words.push(self.programs.hypocenter.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("run").arg("--data-dir").arg(&self.dir);
        for port in ["http", "otlp_grpc", "otlp_http", "zipkin"] {
            command.args(["--set", &format!("ports.{port}=0")]);
        }
        for pair in &self.settings {
            command.args(["--set", pair]);
        }
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log can be written");
        command.args(arguments).env("HYPOCENTER_ENGINE_LIB", &self.programs.library);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        command
    }

    /// Starts without waiting.
    pub fn spawn(&self, arguments: &[String]) -> Hypocenter {
        let mut child = self.command(arguments).spawn().expect("the program can be started");
        let top = child.id().unwrap_or_default();
        let lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        watch_memory(top, !self.wrapper.is_empty(), Arc::clone(&self.peak_kib));
        Hypocenter {
            child,
            top,
            wrapped: !self.wrapper.is_empty(),
            lines,
            began: Instant::now(),
            ready_after: Duration::ZERO,
            http: String::new(),
            doors: Doors { grpc: String::new(), http: String::new(), zipkin: String::new() },
        }
    }

    /// Starts and waits until it says that it is ready.
    pub async fn start(&self) -> Result<Hypocenter, String> {
        let mut hypocenter = self.spawn(&[]);
        match hypocenter.ready().await {
            true => Ok(hypocenter),
            false => Err(format!("the program ended before it was ready: {}", last_lines(&self.log(), 6))),
        }
    }
}

/// A running Hypocenter.
pub struct Hypocenter {
    child: Child,
    top: u32,
    wrapped: bool,
    lines: Option<tokio::io::Lines<BufReader<tokio::process::ChildStdout>>>,
    began: Instant,
    /// From the start to the printed addresses.
    pub ready_after: Duration,
    /// host:port of the own API.
    pub http: String,
    /// host:port of the doors in.
    pub doors: Doors,
}

impl Hypocenter {
    /// Waits for the addresses; false when it ended before.
    pub async fn ready(&mut self) -> bool {
        let Some(lines) = self.lines.as_mut() else { return false };
        let mut found = 0;
        while found < 4 {
            let Ok(Ok(Some(line))) = tokio::time::timeout(PATIENCE, lines.next_line()).await else { return false };
            let Some((label, address)) = line.trim().rsplit_once(' ') else { continue };
            let Some(address) = address.strip_prefix("http://") else { continue };
            let place = match label.trim() {
                "UI, API" => &mut self.http,
                "OTLP/gRPC" => &mut self.doors.grpc,
                "OTLP/HTTP" => &mut self.doors.http,
                "Zipkin" => &mut self.doors.zipkin,
                _ => continue,
            };
            *place = address.to_owned();
            found += 1;
        }
        self.ready_after = self.began.elapsed();
        // Keep reading, so that the program never waits for us.
        if let Some(mut lines) = self.lines.take() {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        }
        true
    }

    /// Process id of Hypocenter itself.
    pub fn pid(&self) -> u32 {
        if self.wrapped { children(self.top).first().copied().unwrap_or(self.top) } else { self.top }
    }

    /// The embedded engine's process.
    pub fn engine_pid(&self) -> Option<u32> {
        children(self.pid()).first().copied()
    }

    /// SIGKILL, and waits.
    pub async fn kill(&mut self) {
        if self.wrapped {
            signal(self.pid(), Signal::KILL);
        }
        let _ = self.child.kill().await;
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        signal(self.pid(), Signal::TERM);
    }

    /// Waits for the end: status and time since the call.
    pub async fn ended(&mut self) -> Result<(ExitStatus, Duration), String> {
        let began = Instant::now();
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => Ok((status.map_err(|error| error.to_string())?, began.elapsed())),
            Err(_) => Err(format!("the program did not end within {PATIENCE:?}")),
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGTERM and the end.
    pub async fn stop(&mut self) -> Result<(ExitStatus, Duration), String> {
        self.terminate();
        self.ended().await
    }

    /// Waits until everything accepted is stored.
    pub async fn flush(&self, client: &Client, patience: Duration) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let url = format!("http://{}/api/v1/flush?timeout=60s", self.http);
            let sent = client.send("POST", &url, &[], bytes::Bytes::new(), Duration::from_secs(70)).await;
            let why = match sent {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) => format!("{}: {}", answer.status, answer.text()),
                Err(broken) => broken.to_string(),
            };
            if began.elapsed() > patience {
                return Err(format!("flush did not succeed: {why}"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Status of GET `/ready`.
    pub async fn ready_status(&self, client: &Client) -> u16 {
        let url = format!("http://{}/ready", self.http);
        client.get(&url, Duration::from_secs(5)).await.map_or(0, |answer| answer.status)
    }

    /// Threads of the process.
    pub fn threads(&self) -> u64 {
        status_field(self.pid(), "Threads:").unwrap_or(0)
    }
}

impl Drop for Hypocenter {
    fn drop(&mut self) {
        // strace lets its tracee go when it is killed.
        if self.wrapped && !self.has_ended() {
            signal(self.pid(), Signal::KILL);
        }
    }
}

/// A second `hypocenter engine`: the remote ClickHouse.
pub struct Store {
    programs: Programs,
    dir: PathBuf,
    child: Option<Child>,
    // Its end ends the engine.
    _stdin: Option<ChildStdin>,
    port: u16,
    /// Where it is.
    pub place: Place,
}

impl Store {
    /// Starts one in `dir`.
    pub async fn start(programs: &Programs, dir: &Path) -> Result<Store, String> {
        let place = Place {
            url: String::new(),
            user: "hypocenter".into(),
            password: "fault-remote".into(),
            database: "hypocenter".into(),
        };
        let mut store =
            Store { programs: programs.clone(), dir: dir.to_owned(), child: None, _stdin: None, port: 0, place };
        store.restart().await?;
        Ok(store)
    }

    /// Starts it again, on the same port.
    pub async fn restart(&mut self) -> Result<(), String> {
        let log_path = self.dir.with_extension("log");
        let log = File::options().create(true).append(true).open(log_path).map_err(|error| error.to_string())?;
        let mut child = Command::new(&self.programs.hypocenter)
            .args(["engine", "serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        let config = serde_json::json!({
            "library": self.programs.library, "data_dir": self.dir, "port": self.port,
            "password": self.place.password, "watch_parent": true,
        });
        let mut stdin = child.stdin.take().ok_or("no standard input")?;
        stdin.write_all(format!("{config}\n").as_bytes()).await.map_err(|error| error.to_string())?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        let line = match tokio::time::timeout(PATIENCE, lines.next_line()).await {
            Ok(Ok(Some(line))) => line,
            _ => return Err("the engine did not start".to_owned()),
        };
        let report: serde_json::Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let port = report["port"].as_u64().ok_or(format!("the engine did not start: {line}"))?;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.port = port as u16;
        self.place.url = format!("http://127.0.0.1:{port}");
        (self.child, self._stdin) = (Some(child), Some(stdin));
        Ok(())
    }

    /// The tables of one database.
    pub fn database(&self, name: &str) -> Place {
        Place { database: name.to_owned(), ..self.place.clone() }
    }

    /// SIGKILL, and waits.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill().await;
        }
        self._stdin = None;
    }

    /// SIGSTOP.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// host:port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn signal(&self, what: Signal) {
        signal(self.child.as_ref().and_then(Child::id).unwrap_or_default(), what);
    }
}

/// Sends a signal, if there is such a process.
pub fn signal(pid: u32, what: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = kill_process(pid, what);
    }
}

/// The child processes of one.
pub fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    for task in tasks {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found
}

/// Whether a process lives (a zombie does not).
pub fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|text| !text.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['Z', 'X'])))
}

/// The last lines of a text, in one.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().rev().take(count).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// A port that nobody uses right now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn status_field(pid: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

// The kernel keeps the high-water mark itself; it only has to be read before the process is gone.
fn watch_memory(top: u32, wrapped: bool, peak_kib: Arc<AtomicU64>) {
    tokio::spawn(async move {
        while lives(top) {
            let pid = if wrapped { children(top).first().copied().unwrap_or(top) } else { top };
            peak_kib.fetch_max(status_field(pid, "VmHWM:").unwrap_or(0), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}
