//! How the demo's telemetry goes out: as any exporter's, over OTLP/HTTP, OTLP/gRPC and Zipkin, with
//! repeats while a server asks for patience, and a count of what became of every item.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use demo::{Log, Resource, Span};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use tokio::sync::watch;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};

use crate::demo_run::lock;

/// Items of one kind, ready to go.
pub(crate) enum Load {
    /// OTLP spans.
    Traces(Vec<(Resource, Span)>),
    /// OTLP logs.
    Logs(Vec<(Resource, Log)>),
    /// Zipkin spans.
    Zipkin(Vec<(Resource, Span)>),
}

/// What became of items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// OTLP spans taken.
    pub(crate) spans: u64,
    /// Logs taken.
    pub(crate) logs: u64,
    /// Zipkin spans taken.
    pub(crate) zipkin_spans: u64,
    /// Items that the server refused for good.
    pub(crate) refused: u64,
    /// Items that could not be delivered in time.
    pub(crate) failed: u64,
    /// Requests answered with success.
    pub(crate) requests: u64,
    /// Requests repeated.
    pub(crate) repeats: u64,
}

/// Where it goes.
pub(crate) struct Sender {
    way: Way,
    agent: ureq::Agent,
    zipkin: String,
    headers: Vec<(String, String)>,
    patience: Duration,
    // Whether waiting makes no sense any more.
    stop: watch::Receiver<bool>,
    // Why it waits.
    trouble: Mutex<Option<String>>,
}

/// How a sender is set up.
pub(crate) struct Setup {
    /// Where OTLP goes.
    pub(crate) otlp: String,
    /// Whether it goes over gRPC.
    pub(crate) grpc: bool,
    /// Where Zipkin's spans go.
    pub(crate) zipkin: String,
    /// Headers for every request.
    pub(crate) headers: Vec<(String, String)>,
    /// How long a request is repeated.
    pub(crate) patience: Duration,
}

enum Way {
    Http(String),
    Grpc(Channel),
}

// How one attempt ended.
enum Attempt {
    /// Taken, but for so many items, for the reason given.
    Taken(u64, String),
    /// Refused for good.
    Refused(String),
    /// To be tried again, not before the time given.
    Later(String, Option<Duration>),
}

const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(5);
const WAIT_ASKED_MAX: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

impl Load {
    fn items(&self) -> u64 {
        match self {
            Load::Traces(spans) | Load::Zipkin(spans) => spans.len() as u64,
            Load::Logs(logs) => logs.len() as u64,
        }
    }
}

impl Counts {
    /// Adds another count.
    pub(crate) fn add(&mut self, other: &Counts) {
        self.spans += other.spans;
        self.logs += other.logs;
        self.zipkin_spans += other.zipkin_spans;
        self.refused += other.refused;
        self.failed += other.failed;
        self.requests += other.requests;
        self.repeats += other.repeats;
    }

    /// Items taken.
    pub(crate) fn taken(&self) -> u64 {
        self.spans + self.logs + self.zipkin_spans
    }
}

impl Sender {
    /// Reaches nobody yet; `stop` ends the waiting for servers that are away.
    ///
    /// # Errors
    /// When an address is none.
    pub(crate) fn new(setup: Setup, stop: watch::Receiver<bool>) -> anyhow::Result<Sender> {
        let Setup { otlp, grpc, zipkin, headers, patience } = setup;
        for url in [&otlp, &zipkin] {
            anyhow::ensure!(
                url.starts_with("http://") || url.starts_with("https://"),
                "`{url}` is no address such as http://127.0.0.1:4318"
            );
        }
        let otlp = otlp.trim_end_matches('/').to_owned();
        let way = if grpc {
            anyhow::ensure!(otlp.starts_with("http://"), "gRPC goes unencrypted; for {otlp} take --protocol http");
            let endpoint = Endpoint::from_shared(otlp.clone()).with_context(|| format!("reading `{otlp}`"))?;
            Way::Grpc(endpoint.connect_timeout(Duration::from_secs(5)).timeout(REQUEST_TIMEOUT).connect_lazy())
        } else {
            Way::Http(otlp.clone())
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(REQUEST_TIMEOUT))
            .user_agent(concat!("hypocenter-demo/", env!("CARGO_PKG_VERSION")));
        // A proxy from the environment is meant for the world, not for this machine.
        let here = ["//127.", "//localhost", "//[::1]"].iter().any(|host| otlp.contains(host) || zipkin.contains(host));
        let config = if here { config.proxy(None) } else { config };
        let zipkin = format!("{}/api/v2/spans", zipkin.trim_end_matches('/'));
        let (agent, trouble) = (config.build().into(), Mutex::default());
        Ok(Sender { way, agent, zipkin, headers, patience, stop, trouble })
    }

    /// Why it waits for a server, if it does.
    pub(crate) fn waits_for(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Delivers items, and says what became of them and the first trouble met.
    pub(crate) async fn deliver(&self, load: &Load) -> (Counts, Option<String>) {
        let mut counts = Counts::default();
        let items = load.items();
        if items == 0 {
            return (counts, None);
        }
        let message = Message::of(load, &self.way);
        let (begun, mut wait) = (Instant::now(), WAIT_MIN);
        loop {
            let attempt = self.attempt(&message).await;
            *lock(&self.trouble) = match &attempt {
                Attempt::Later(reason, _) => Some(reason.clone()),
                _ => None,
            };
            match attempt {
                Attempt::Taken(rejected, reason) => {
                    let taken = items.saturating_sub(rejected);
                    match load {
                        Load::Traces(_) => counts.spans = taken,
                        Load::Logs(_) => counts.logs = taken,
                        Load::Zipkin(_) => counts.zipkin_spans = taken,
                    }
                    (counts.refused, counts.requests) = (items - taken, 1);
                    // A message without rejected items is a warning, and worth telling, too.
                    return (counts, (!reason.is_empty()).then_some(reason));
                }
                Attempt::Refused(reason) => {
                    counts.refused = items;
                    return (counts, Some(reason));
                }
                Attempt::Later(reason, asked) => {
                    let pause = asked.unwrap_or(wait).min(WAIT_ASKED_MAX);
                    if begun.elapsed() + pause > self.patience || self.pause(pause).await {
                        counts.failed = items;
                        return (counts, Some(reason));
                    }
                    counts.repeats += 1;
                    wait = (wait * 2).min(WAIT_MAX);
                }
            }
        }
    }

    // Waits; whether waiting has been called off.
    async fn pause(&self, length: Duration) -> bool {
        let mut stop = self.stop.clone();
        let stopped = async {
            // Nobody left who could stop it: then the pause ends it.
            if stop.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = stopped => true,
            () = tokio::time::sleep(length) => false,
        }
    }

    async fn attempt(&self, message: &Message) -> Attempt {
        match (message, &self.way) {
            (Message::GrpcTraces(request), Way::Grpc(channel)) => {
                let mut client = TraceServiceClient::new(channel.clone()).send_compressed(CompressionEncoding::Gzip);
                match client.export(self.with_metadata(request.clone())).await {
                    Ok(answer) => taken_traces(answer.into_inner()),
                    Err(status) => grpc_trouble(&status),
                }
            }
            (Message::GrpcLogs(request), Way::Grpc(channel)) => {
                let mut client = LogsServiceClient::new(channel.clone()).send_compressed(CompressionEncoding::Gzip);
                match client.export(self.with_metadata(request.clone())).await {
                    Ok(answer) => taken_logs(answer.into_inner()),
                    Err(status) => grpc_trouble(&status),
                }
            }
            (Message::Http { path, content_type, body, signal }, way) => {
                let url = match (way, signal) {
                    (Way::Http(otlp), Signal::Traces | Signal::Logs) => format!("{otlp}{path}"),
                    _ => self.zipkin.clone(),
                };
                self.post(url, content_type, body.clone(), *signal).await
            }
            _ => Attempt::Refused("this load goes another way".to_owned()),
        }
    }

    async fn post(&self, url: String, content_type: &'static str, body: bytes::Bytes, signal: Signal) -> Attempt {
        let (agent, headers) = (self.agent.clone(), self.headers.clone());
        let posted = tokio::task::spawn_blocking(move || {
            let mut request = agent.post(&url).header("content-type", content_type).header("content-encoding", "gzip");
            for (name, value) in &headers {
                request = request.header(name, value);
            }
            let mut answer = match request.send(&body[..]) {
                Ok(answer) => answer,
                Err(error) => return Attempt::Later(format!("posting to {url}: {error}"), None),
            };
            let asked = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
            let status = answer.status().as_u16();
            let body = match answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec() {
                Ok(body) => body,
                Err(error) => return Attempt::Later(format!("reading the answer of {url}: {error}"), None),
            };
            judge(&url, status, &body, asked.map(Duration::from_secs), signal)
        });
        posted.await.unwrap_or_else(|error| Attempt::Later(error.to_string(), None))
    }

    fn with_metadata<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        for (name, value) in &self.headers {
            let name = name.to_ascii_lowercase().parse::<tonic::metadata::MetadataKey<tonic::metadata::Ascii>>();
            if let (Ok(name), Ok(value)) = (name, value.parse()) {
                request.metadata_mut().insert(name, value);
            }
        }
        request
    }
}

// A load in its protocol's form, made once for all attempts.
enum Message {
    GrpcTraces(ExportTraceServiceRequest),
    GrpcLogs(ExportLogsServiceRequest),
    Http { path: &'static str, content_type: &'static str, body: bytes::Bytes, signal: Signal },
}

#[derive(Clone, Copy)]
enum Signal {
    Traces,
    Logs,
    Zipkin,
}

impl Message {
    fn of(load: &Load, way: &Way) -> Message {
        let protobuf = "application/x-protobuf";
        let (path, content_type, signal, body) = match (load, way) {
            (Load::Traces(spans), Way::Grpc(_)) => return Message::GrpcTraces(demo::otlp::traces(spans)),
            (Load::Logs(logs), Way::Grpc(_)) => return Message::GrpcLogs(demo::otlp::logs(logs)),
            (Load::Traces(spans), Way::Http(_)) => {
                ("/v1/traces", protobuf, Signal::Traces, demo::otlp::traces(spans).encode_to_vec())
            }
            (Load::Logs(logs), Way::Http(_)) => {
                ("/v1/logs", protobuf, Signal::Logs, demo::otlp::logs(logs).encode_to_vec())
            }
            (Load::Zipkin(spans), _) => {
                ("", "application/json", Signal::Zipkin, demo::zipkin::spans(spans).to_string().into_bytes())
            }
        };
        Message::Http { path, content_type, body: gzip(&body).into(), signal }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing into memory cannot fail.
    let _ = packer.write_all(bytes);
    packer.finish().unwrap_or_default()
}

fn judge(url: &str, status: u16, body: &[u8], asked: Option<Duration>, signal: Signal) -> Attempt {
    match status {
        200..=299 => match signal {
            Signal::Traces => taken_traces(ExportTraceServiceResponse::decode(body).unwrap_or_default()),
            Signal::Logs => taken_logs(ExportLogsServiceResponse::decode(body).unwrap_or_default()),
            Signal::Zipkin => Attempt::Taken(0, String::new()),
        },
        429 | 502 | 503 | 504 => Attempt::Later(format!("{url} answered {status}: {}", in_words(body)), asked),
        _ => Attempt::Refused(format!("{url} answered {status}: {}", in_words(body))),
    }
}

fn taken_traces(answer: ExportTraceServiceResponse) -> Attempt {
    let partial = answer.partial_success.unwrap_or_default();
    Attempt::Taken(u64::try_from(partial.rejected_spans).unwrap_or(0), partial.error_message)
}

fn taken_logs(answer: ExportLogsServiceResponse) -> Attempt {
    let partial = answer.partial_success.unwrap_or_default();
    Attempt::Taken(u64::try_from(partial.rejected_log_records).unwrap_or(0), partial.error_message)
}

fn grpc_trouble(status: &tonic::Status) -> Attempt {
    use tonic::Code;
    let reason = format!("{:?}: {}", status.code(), status.message());
    let asked = retry_delay(status.details());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Attempt::Later(reason, asked),
        Code::ResourceExhausted if asked.is_some() => Attempt::Later(reason, asked),
        _ => Attempt::Refused(reason),
    }
}

// `google.rpc.Status` with a `RetryInfo` among its details, as far as it is needed here.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<RpcAny>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RpcAny {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<RetryDelay>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryDelay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn retry_delay(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?.min(999_999_999)))
}

// The message of an answer that tells of trouble: a Status, or plain text.
fn in_words(body: &[u8]) -> String {
    let status = RpcStatus::decode(body).ok().filter(|status| !status.message.is_empty());
    let text = status.map_or_else(|| String::from_utf8_lossy(body).into_owned(), |status| status.message);
    text.trim().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::net::TcpListener;

    use super::*;

    // A server that gives these answers, one a connection; what it was asked comes back.
    fn server(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let heard = answers.into_iter().map(|answer| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let at = head.len();
                    reader.read_line(&mut head).unwrap();
                    if let Some(value) = head[at..].to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                head.to_lowercase()
            });
            heard.collect()
        });
        (url, asked)
    }

    fn http(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    fn load() -> Load {
        let mut shop =
            demo::Simulator::new(demo::Settings { seed: 1, start_ns: 1_760_000_000_000_000_000, rate: 20.0 });
        let mut items = Vec::new();
        while items.len() < 20 {
            shop.step(&mut items);
        }
        let spans = items.into_iter().filter_map(|item| match item.payload {
            demo::Payload::Span(span) => Some((item.resource, span)),
            _ => None,
        });
        Load::Traces(spans.take(5).collect())
    }

    fn deliver(url: &str, patience: Duration) -> (Counts, Option<String>) {
        let (_keep, stop) = watch::channel(false);
        let setup = Setup {
            otlp: url.to_owned(),
            grpc: false,
            zipkin: url.to_owned(),
            headers: vec![("X-Scope-OrgID".into(), "shop-a".into())],
            patience,
        };
        let sender = Sender::new(setup, stop).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(sender.deliver(&load()))
    }

    // Scenario: a server asks for patience twice, once with a time, then takes the spans but two.
    // Guarantee: the request is repeated until it is taken; what was rejected is counted and told.
    #[test]
    fn repeats_until_taken() {
        let partial = ExportTraceServiceResponse {
            partial_success: Some(opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess {
                rejected_spans: 2,
                error_message: "two are odd".into(),
            }),
        };
        let partial = String::from_utf8(partial.encode_to_vec()).unwrap();
        let busy = http("503 Service Unavailable\r\nretry-after: 0", "come back");
        let (url, asked) = server(vec![busy, http("429 Too Many Requests", ""), http("200 OK", &partial)]);
        let (counts, reason) = deliver(&url, Duration::from_secs(60));
        let wanted = Counts { spans: 3, refused: 2, requests: 1, repeats: 2, ..Counts::default() };
        assert_eq!((counts, reason.as_deref()), (wanted, Some("two are odd")));
        let asked = asked.join().unwrap();
        assert_eq!(asked.len(), 3);
        for head in asked {
            for line in [
                "post /v1/traces ",
                "content-type: application/x-protobuf",
                "content-encoding: gzip",
                "x-scope-orgid: shop-a",
            ] {
                assert!(head.contains(line), "{head}");
            }
        }
    }

    // Scenario: a server refuses for good; another is not there.
    // Guarantee: the first is not asked again and its items are refused; at the second they fail when patience ends.
    #[test]
    fn gives_up_in_words() {
        let (url, asked) = server(vec![http("400 Bad Request", "what is this?")]);
        let (counts, reason) = deliver(&url, Duration::from_secs(60));
        assert_eq!((counts.refused, counts.failed, counts.taken()), (5, 0, 0));
        assert!(reason.unwrap().ends_with("answered 400: what is this?"));
        assert_eq!(asked.join().unwrap().len(), 1);
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (counts, reason) = deliver(&format!("http://{nobody}"), Duration::from_millis(300));
        assert_eq!((counts.refused, counts.failed), (0, 5));
        assert!(reason.unwrap().contains("posting to http://127.0.0.1"));
    }

    // Scenario: gRPC statuses, with and without a time to wait.
    // Guarantee: OTLP's table decides which are final; the server's time is kept.
    #[test]
    fn grpc_answers() {
        let details = RpcStatus {
            message: String::new(),
            details: vec![RpcAny {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
                value: RetryInfo { retry_delay: Some(RetryDelay { seconds: 1, nanos: 500_000_000 }) }.encode_to_vec(),
            }],
        };
        let details = bytes::Bytes::from(details.encode_to_vec());
        let check = |code, details: &bytes::Bytes, wanted: Option<Option<Duration>>| {
            let found = match grpc_trouble(&tonic::Status::with_details(code, "m", details.clone())) {
                Attempt::Later(_, asked) => Some(asked),
                _ => None,
            };
            assert_eq!(found, wanted, "{code:?}");
        };
        let none = bytes::Bytes::new();
        let asked = Duration::from_millis(1500);
        check(tonic::Code::Unavailable, &none, Some(None));
        check(tonic::Code::Unavailable, &details, Some(Some(asked)));
        check(tonic::Code::ResourceExhausted, &details, Some(Some(asked)));
        check(tonic::Code::ResourceExhausted, &none, None);
        check(tonic::Code::InvalidArgument, &none, None);
        check(tonic::Code::Unauthenticated, &details, None);
    }
}
