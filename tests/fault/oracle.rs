//! The oracle: a process of its own that no fault touches. It mints items, sends them as SDKs do
//! (the same body again after a retryable answer or none), writes down what it was told, and at the
//! end compares the tables with it. Commands come as JSON lines on standard input, one answer each.
//! Knows nothing of the faults (facts/reliability.md A7, "Oracle").

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::client::{Answer, Broken, Client};
use crate::item::{Kind, Run, mix};
use crate::ledger::{Door, Ledger, Outcome};
use crate::sql::{Place, shortened};
use crate::tables;

/// What the oracle is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Where the doors are now; `None`: nowhere.
    Target { doors: Option<Doors> },
    /// Begin to send.
    Load { senders: usize, items_max: u32, per_second: u64, give_up_ms: u64 },
    /// Stop minting; answer when every request has its outcome.
    Settle,
    /// Stop minting and give up what is on its way.
    Halt,
    /// Counts so far.
    Tally,
    /// Send one item that contains a word, and wait for its outcome.
    Marked { marker: String },
    /// Send two fresh items and wait until they are in their tables.
    Probe { place: Place, patience_ms: u64 },
    /// Compare the tables with what was sent.
    Check { place: Place, patience_ms: u64 },
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doors {
    /// host:port of OTLP/gRPC.
    pub grpc: String,
    /// host:port of OTLP/HTTP.
    pub http: String,
    /// host:port of Zipkin.
    pub zipkin: String,
}

/// Counts of the oracle.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Items sent at least once.
    pub sent: u64,
    /// Items acknowledged.
    pub acked: u64,
    /// Requests acknowledged.
    pub acked_requests: u64,
    /// Retryable refusals received.
    pub refusals: u64,
    /// Attempts that ended without an answer.
    pub unanswered: u64,
    /// Requests that were acknowledged after an attempt without an answer.
    pub resent: u64,
    /// Answers that no correct server gives to correct requests.
    pub wrong: Vec<String>,
}

/// An attempt without an answer by now has failed.
const ATTEMPT_MAX: Duration = Duration::from_secs(15);
/// Pause between attempts, plus as much again at random.
const PAUSE: Duration = Duration::from_millis(40);

struct Oracle {
    run: Run,
    seed: u64,
    client: Client,
    doors: watch::Sender<Option<Doors>>,
    ledger: Mutex<Ledger>,
    minting: AtomicBool,
    giving_up: AtomicBool,
    busy: AtomicUsize,
    refusals: AtomicU64,
    unanswered: AtomicU64,
    resent: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

/// The oracle process: serves commands until standard input ends.
pub fn main(dir: &Path, seed: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(serve(dir, seed));
}

async fn serve(dir: &Path, seed: u64) {
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let oracle = Arc::new(Oracle {
        // Whole microseconds: Zipkin knows no smaller ones.
        run: Run { id: mix(seed ^ now_ns) | 1 << 63, base_ns: now_ns / 1000 * 1000 },
        seed,
        client: Client::new(),
        doors: watch::Sender::new(None),
        ledger: Mutex::new(Ledger::new(dir)),
        minting: AtomicBool::new(false),
        giving_up: AtomicBool::new(false),
        busy: AtomicUsize::new(0),
        refusals: AtomicU64::new(0),
        unanswered: AtomicU64::new(0),
        resent: AtomicU64::new(0),
        wrong: Mutex::new(Vec::new()),
    });
    let (commands, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| commands.send(line)));
    while let Some(line) = lines.recv().await {
        let answer = match serde_json::from_str(&line) {
            Ok(command) => oracle.clone().obey(command).await,
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        };
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
    }
}

impl Oracle {
    async fn obey(self: Arc<Self>, command: Command) -> serde_json::Value {
        match command {
            Command::Target { doors } => {
                let _ = self.doors.send_replace(doors);
                serde_json::json!({})
            }
            Command::Load { senders, items_max, per_second, give_up_ms } => {
                self.minting.store(true, Ordering::SeqCst);
                self.giving_up.store(false, Ordering::SeqCst);
                let pace = Arc::new(Pace::new(per_second));
                for number in 0..senders {
                    let give_up = Duration::from_millis(give_up_ms);
                    tokio::spawn(Arc::clone(&self).sender(number, items_max, Arc::clone(&pace), give_up));
                }
                serde_json::json!({})
            }
            Command::Settle => {
                self.rest(false).await;
                serde_json::json!(self.tally())
            }
            Command::Halt => {
                self.rest(true).await;
                serde_json::json!(self.tally())
            }
            Command::Tally => serde_json::json!(self.tally()),
            Command::Marked { marker } => {
                let number = self.one(Kind::Spans, &marker, Duration::from_secs(30)).await;
                serde_json::json!({ "number": number })
            }
            Command::Probe { place, patience_ms } => self.probe(&place, Duration::from_millis(patience_ms)).await,
            Command::Check { place, patience_ms } => {
                let patience = Duration::from_millis(patience_ms);
                let check = || tables::check(&self.client, &place, &self.run, &self.ledger);
                serde_json::json!(tables::patiently(patience, check).await)
            }
        }
    }

    async fn rest(&self, at_once: bool) {
        self.minting.store(false, Ordering::SeqCst);
        self.giving_up.store(at_once, Ordering::SeqCst);
        while self.busy.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        lock(&self.ledger).flush();
    }

    fn tally(&self) -> Tally {
        let (sent, acked, acked_requests) = lock(&self.ledger).counts();
        Tally {
            sent,
            acked,
            acked_requests,
            refusals: self.refusals.load(Ordering::Relaxed),
            unanswered: self.unanswered.load(Ordering::Relaxed),
            resent: self.resent.load(Ordering::Relaxed),
            wrong: lock(&self.wrong).clone(),
        }
    }

    /// One sender: a request at a time, as one SDK's exporter.
    async fn sender(self: Arc<Self>, number: usize, items_max: u32, pace: Arc<Pace>, give_up: Duration) {
        let mut dice = mix(self.seed ^ (number as u64) << 40);
        loop {
            self.busy.fetch_add(1, Ordering::SeqCst);
            let _busy = Busy(&self.busy);
            if !self.minting.load(Ordering::SeqCst) {
                return;
            }
            dice = mix(dice);
            let items = 1 + (dice % u64::from(items_max.max(1))) as u32;
            let kind = if dice >> 20 & 1 == 0 { Kind::Spans } else { Kind::Logs };
            let door = match (number % 2, dice >> 21 & 3) {
                _ if kind == Kind::Spans && dice >> 23 & 3 == 0 => Door::Zipkin,
                (0, 0) => Door::GrpcGzip,
                (0, _) => Door::Grpc,
                (_, 0) => Door::HttpGzip,
                _ => Door::Http,
            };
            pace.take(items).await;
            self.deliver(kind, door, items, "", give_up).await;
        }
    }

    async fn one(&self, kind: Kind, marker: &str, give_up: Duration) -> u64 {
        let was = self.giving_up.swap(false, Ordering::SeqCst);
        let number = self.deliver(kind, Door::Grpc, 1, marker, give_up).await;
        self.giving_up.store(was, Ordering::SeqCst);
        number
    }

    /// Mints a request and sends it until it is answered for good.
    async fn deliver(&self, kind: Kind, door: Door, items: u32, marker: &str, give_up: Duration) -> u64 {
        let (at, first) = lock(&self.ledger).mint(kind, door, items);
        let plain = match door {
            Door::Zipkin => self.run.zipkin_request(first, items),
            _ => self.run.request(kind, first, items, marker),
        };
        let body = Bytes::from(packed(door, plain));
        let began = Instant::now();
        let mut unanswered = false;
        let outcome = loop {
            let doors = self.doors.borrow().clone();
            match doors {
                None => {}
                Some(doors) => match self.attempt(&doors, kind, door, body.clone()).await {
                    Attempt::Acked => {
                        self.resent.fetch_add(u64::from(unanswered), Ordering::Relaxed);
                        break Outcome::Acked;
                    }
                    Attempt::Refused => drop(self.refusals.fetch_add(1, Ordering::Relaxed)),
                    Attempt::NotSent => {}
                    Attempt::Unanswered => {
                        unanswered = true;
                        self.unanswered.fetch_add(1, Ordering::Relaxed);
                    }
                    Attempt::Wrong(why) => {
                        let mut wrong = lock(&self.wrong);
                        if wrong.len() < 20 {
                            wrong.push(why);
                        }
                        break Outcome::Refused;
                    }
                },
            }
            if began.elapsed() > give_up || self.giving_up.load(Ordering::SeqCst) {
                break if unanswered { Outcome::Unknown } else { Outcome::Refused };
            }
            tokio::time::sleep(PAUSE + PAUSE.mul_f64((mix(at as u64 ^ first) % 100) as f64 / 100.0)).await;
        };
        lock(&self.ledger).decide(at, outcome);
        first
    }

    async fn attempt(&self, doors: &Doors, kind: Kind, door: Door, body: Bytes) -> Attempt {
        let packing = matches!(door, Door::GrpcGzip | Door::HttpGzip).then_some("gzip");
        match door {
            Door::Grpc | Door::GrpcGzip => {
                let method = match kind {
                    Kind::Spans => "opentelemetry.proto.collector.trace.v1.TraceService/Export",
                    Kind::Logs => "opentelemetry.proto.collector.logs.v1.LogsService/Export",
                };
                grpc_outcome(self.client.call(&doors.grpc, method, packing, &body, ATTEMPT_MAX).await)
            }
            Door::Zipkin => {
                let url = format!("http://{}/api/v2/spans", doors.zipkin);
                let headers = [("content-type", "application/json")];
                http_outcome(self.client.send("POST", &url, &headers, body, ATTEMPT_MAX).await)
            }
            Door::Http | Door::HttpGzip => {
                let path = if kind == Kind::Spans { "traces" } else { "logs" };
                let mut headers = vec![("content-type", "application/x-protobuf")];
                headers.extend(packing.map(|name| ("content-encoding", name)));
                let url = format!("http://{}/v1/{path}", doors.http);
                http_outcome(self.client.send("POST", &url, &headers, body, ATTEMPT_MAX).await)
            }
        }
    }

    async fn probe(&self, place: &Place, patience: Duration) -> serde_json::Value {
        let began = Instant::now();
        let spans = self.one(Kind::Spans, "", patience).await;
        let logs = self.one(Kind::Logs, "", patience).await;
        while began.elapsed() < patience {
            let spans = tables::rows_of(&self.client, place, &self.run, Kind::Spans, spans).await;
            let logs = tables::rows_of(&self.client, place, &self.run, Kind::Logs, logs).await;
            if spans == Ok(1) && logs == Ok(1) {
                return serde_json::json!({ "live_ms": began.elapsed().as_millis() as u64 });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        serde_json::json!({ "live_ms": null })
    }
}

/// How one attempt ended.
enum Attempt {
    Acked,
    Refused,
    NotSent,
    Unanswered,
    Wrong(String),
}

fn http_outcome(sent: Result<Answer, Broken>) -> Attempt {
    match sent {
        Ok(Answer { status: 200, body, .. }) => whole_success(&body),
        // Zipkin's success.
        Ok(Answer { status: 202, .. }) => Attempt::Acked,
        Ok(Answer { status: 429 | 502 | 503 | 504, .. }) => Attempt::Refused,
        Ok(answer) => Attempt::Wrong(format!("HTTP {}: {}", answer.status, shortened(&answer.text()))),
        Err(Broken::NotSent(_)) => Attempt::NotSent,
        Err(Broken::Unknown(_)) => Attempt::Unanswered,
    }
}

fn grpc_outcome(sent: Result<Answer, Broken>) -> Attempt {
    match sent {
        Ok(answer) => match answer.grpc_status {
            Some(0) => whole_success(&answer.message()),
            // UNAVAILABLE; the others that OTLP calls retryable.
            Some(14) => Attempt::Refused,
            Some(1 | 4 | 8 | 10 | 11 | 15) => Attempt::Unanswered,
            // The connection ended while the answer was on its way.
            None => Attempt::Unanswered,
            Some(code) => Attempt::Wrong(format!("gRPC {code}: {:?}", answer.headers.get("grpc-message"))),
        },
        Err(Broken::NotSent(_)) => Attempt::NotSent,
        Err(Broken::Unknown(_)) => Attempt::Unanswered,
    }
}

// Both signals' answers have the same fields. All of our items are legal: none may be rejected.
fn whole_success(body: &[u8]) -> Attempt {
    match ExportTraceServiceResponse::decode(body) {
        Ok(answer) => match answer.partial_success {
            Some(partial) if partial.rejected_spans != 0 => {
                Attempt::Wrong(format!("{} items rejected: {}", partial.rejected_spans, partial.error_message))
            }
            _ => Attempt::Acked,
        },
        Err(error) => Attempt::Wrong(format!("an answer that does not decode: {error}")),
    }
}

fn packed(door: Door, body: Vec<u8>) -> Vec<u8> {
    match door {
        Door::Grpc | Door::Http | Door::Zipkin => body,
        Door::GrpcGzip | Door::HttpGzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(&body).and_then(|()| out.finish()).expect("packing into memory")
        }
    }
}

struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Items a second over all senders; zero is as fast as answers come.
struct Pace {
    per_second: u64,
    began: Instant,
    taken: AtomicU64,
}

impl Pace {
    fn new(per_second: u64) -> Pace {
        Pace { per_second, began: Instant::now(), taken: AtomicU64::new(0) }
    }

    async fn take(&self, items: u32) {
        let taken = self.taken.fetch_add(u64::from(items), Ordering::Relaxed);
        if self.per_second > 0 {
            let due = Duration::from_secs_f64(taken as f64 / self.per_second as f64);
            tokio::time::sleep(due.saturating_sub(self.began.elapsed())).await;
        }
    }
}

/// A lock whose holder panicked still guards counts that are right to read.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
