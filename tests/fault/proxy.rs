//! What stands between Hypocenter and its store in tests: passes requests on, and at a scenario's word
//! refuses an insert in ClickHouse's manner, or lets it be committed and loses the answer. Knows
//! HTTP; what an insert holds, the scenario may look for.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::client::Client;
use crate::oracle::lock;

/// What becomes of an insert.
#[derive(Clone, Debug)]
pub enum Action {
    /// It goes through.
    Pass,
    /// It goes through and is committed; the connection ends instead of the answer.
    LoseAnswer,
    /// It never arrives; this is the answer.
    Refuse {
        /// HTTP status.
        status: u16,
        /// ClickHouse's error code, when it is ClickHouse that speaks.
        code: Option<u32>,
        /// The answer's text.
        text: String,
    },
}

impl Action {
    /// A refusal in ClickHouse's words.
    pub fn error(status: u16, code: u32, text: &str) -> Action {
        Action::Refuse { status, code: Some(code), text: format!("Code: {code}. DB::Exception: {text}") }
    }
}

/// Decides about an insert from its SQL and its body.
pub type Decide = Box<dyn FnMut(&str, &[u8]) -> Action + Send>;

/// A running proxy; ends when dropped.
pub struct Proxy {
    /// `http://…` for Hypocenter.
    pub url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    upstream: String,
    client: Client,
    decide: Mutex<Decide>,
    passed: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
}

impl Proxy {
    /// A proxy to `upstream` (host:port).
    pub async fn start(upstream: String, decide: Decide) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            upstream,
            client: Client::new(),
            decide: Mutex::new(decide),
            passed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Proxy { url, shared, task })
    }

    /// Decides otherwise from now on.
    pub fn decide(&self, decide: Decide) {
        *lock(&self.shared.decide) = decide;
    }

    /// Inserts that went through with their answers.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }

    /// Inserts that were committed and whose answers were lost.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Inserts refused here.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let is_insert = target.contains("INSERT");
    let action = if is_insert { (lock(&shared.decide))(&target, &body) } else { Action::Pass };
    if let Action::Refuse { status, code, text } = action {
        shared.refused.fetch_add(1, Ordering::Relaxed);
        let mut answer = Response::builder().status(status);
        if let Some(code) = code {
            answer = answer.header("X-ClickHouse-Exception-Code", code);
        }
        return answer.body(Full::new(Bytes::from(text))).map_err(io::Error::other);
    }
    let skipped = ["host", "content-length", "transfer-encoding", "connection"];
    let headers: Vec<(&str, &str)> = head
        .headers
        .iter()
        .filter(|(name, _)| !skipped.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let url = format!("http://{}{target}", shared.upstream);
    let sent = shared.client.send(head.method.as_str(), &url, &headers, body, Duration::from_secs(300)).await;
    let upstream = sent.map_err(|broken| io::Error::other(broken.to_string()))?;
    if matches!(action, Action::LoseAnswer) {
        shared.lost.fetch_add(u64::from(upstream.status == 200), Ordering::Relaxed);
        return Err(io::Error::other("the answer is lost"));
    }
    shared.passed.fetch_add(u64::from(is_insert), Ordering::Relaxed);
    let mut answer = Response::builder().status(upstream.status);
    for (name, value) in upstream.headers.iter().filter(|(name, _)| !skipped.contains(&name.as_str())) {
        answer = answer.header(name, value);
    }
    answer.body(Full::new(upstream.body)).map_err(io::Error::other)
}
