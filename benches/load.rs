//! Load generator: sends a standard workload over OTLP/gRPC, closed loop or at a fixed rate, and
//! prints one JSON line with what was sent, acknowledged and refused, and the acknowledge latencies.
//!
//! `cargo bench --bench load -- --endpoint 127.0.0.1:4317 --workload M --spans 1000000 --rate 50000`

mod workload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use clap::Parser;
use tokio::net::TcpStream;
use workload::{Request, Workload};

#[derive(Clone, Debug, Parser)]
struct Args {
    /// host:port of the gRPC receiver
    #[arg(long, default_value = "127.0.0.1:4317")]
    endpoint: String,
    /// S, M, L or LOG
    #[arg(long, default_value = "M")]
    workload: String,
    /// Items of one request
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Items to send in all
    #[arg(long, default_value_t = 500_000)]
    spans: u64,
    /// Items a second; 0 sends as fast as answers come
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Connections
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests in flight on each connection
    #[arg(long, default_value_t = 2)]
    in_flight: usize,
    /// Compress requests with gzip
    #[arg(long)]
    gzip: bool,
    /// Send refused requests again until they are accepted
    #[arg(long)]
    retry: bool,
    /// Different requests; they are sent in turn, each time with other trace ids
    #[arg(long, default_value_t = 16)]
    different: usize,
    /// Seconds before now over which the times of the different requests are spread
    #[arg(long, default_value_t = 0)]
    over: u64,
    /// First stamp, so that several runs send different bodies
    #[arg(long, default_value_t = 1)]
    stamp: u32,
    /// `cargo bench` passes this
    #[arg(long, hide = true)]
    bench: bool,
}

struct Shared {
    args: Args,
    workload: Workload,
    requests: Vec<Request>,
    stamp: AtomicU32,
    sent: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    began: Instant,
    stop: AtomicBool,
}

#[allow(clippy::print_stdout)]
fn main() {
    let args = Args::parse();
    let workload = Workload::parse(&args.workload).expect("--workload is S, M, L or LOG");
    let now_ns = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let step_ns = args.over * 1_000_000_000 / args.different.max(1) as u64;
    let requests = workload.requests(args.different, args.batch, now_ns, step_ns);
    let bytes: usize = requests.iter().map(|request| request.body.len()).sum();
    let items: usize = requests.iter().map(|request| request.items).sum();
    let shared = Arc::new(Shared {
        stamp: AtomicU32::new(args.stamp),
        args,
        workload,
        requests,
        sent: AtomicU64::new(0),
        acknowledged: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        began: Instant::now(),
        stop: AtomicBool::new(false),
    });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut latencies = runtime.block_on(run(Arc::clone(&shared)));
    let wall = shared.began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: f64| {
        latencies.get(((latencies.len() as f64 - 1.0) * share) as usize).map_or(0.0, |ns| *ns as f64 / 1e6)
    };
    let acknowledged = shared.acknowledged.load(Ordering::Relaxed);
    println!(
        "{}",
        serde_json::json!({
            "workload": shared.args.workload, "batch": shared.args.batch, "bytes_per_item": bytes as f64 / items as f64,
            "sent": shared.sent.load(Ordering::Relaxed), "acknowledged": acknowledged,
            "refused": shared.refused.load(Ordering::Relaxed), "failed": shared.failed.load(Ordering::Relaxed),
            "wall_s": wall, "items_per_s": acknowledged as f64 / wall,
            "ack_ms": {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0)},
        })
    );
}

async fn run(shared: Arc<Shared>) -> Vec<u64> {
    let mut workers = Vec::new();
    for _ in 0..shared.args.connections {
        let stream = TcpStream::connect(&shared.args.endpoint).await.expect("the endpoint accepts connections");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        let (client, connection) = h2::client::Builder::new()
            .initial_window_size(1 << 20)
            .initial_connection_window_size(1 << 20)
            .handshake::<_, Bytes>(stream)
            .await
            .expect("an HTTP/2 handshake");
        tokio::spawn(async move {
            let _ = connection.await;
        });
        for _ in 0..shared.args.in_flight {
            workers.push(tokio::spawn(work(Arc::clone(&shared), client.clone())));
        }
    }
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await.expect("a worker ends"));
    }
    latencies
}

async fn work(shared: Arc<Shared>, client: h2::client::SendRequest<Bytes>) -> Vec<u64> {
    let mut latencies = Vec::new();
    loop {
        let stamp = shared.stamp.fetch_add(1, Ordering::Relaxed);
        let request = &shared.requests[stamp as usize % shared.requests.len()];
        let before = shared.sent.fetch_add(request.items as u64, Ordering::Relaxed);
        if before >= shared.args.spans || shared.stop.load(Ordering::Relaxed) {
            shared.sent.fetch_sub(request.items as u64, Ordering::Relaxed);
            return latencies;
        }
        let body = framed(request.stamped(stamp), shared.args.gzip);
        // Open loop: a late answer does not delay the next request's due time, it counts as waiting.
        let due = (shared.args.rate > 0)
            .then(|| shared.began + Duration::from_secs_f64(before as f64 / shared.args.rate as f64));
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let start = due.unwrap_or_else(Instant::now);
        loop {
            match send(&shared, client.clone(), body.clone()).await {
                Ok(0) => {
                    shared.acknowledged.fetch_add(request.items as u64, Ordering::Relaxed);
                    latencies.push(start.elapsed().as_nanos() as u64);
                    break;
                }
                // RESOURCE_EXHAUSTED, UNAVAILABLE
                Ok(8 | 14) => {
                    shared.refused.fetch_add(request.items as u64, Ordering::Relaxed);
                    if !shared.args.retry {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(_) => {
                    shared.failed.fetch_add(request.items as u64, Ordering::Relaxed);
                    break;
                }
                Err(_) => {
                    shared.failed.fetch_add(request.items as u64, Ordering::Relaxed);
                    shared.stop.store(true, Ordering::Relaxed);
                    return latencies;
                }
            }
        }
    }
}

/// Sends one message; the answer is the gRPC status number.
async fn send(shared: &Shared, client: h2::client::SendRequest<Bytes>, message: Bytes) -> Result<u32, h2::Error> {
    let mut request = http::Request::post(format!("http://{}{}", shared.args.endpoint, shared.workload.path()))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if shared.args.gzip {
        request = request.header("grpc-encoding", "gzip");
    }
    let request = request.body(()).expect("a valid request");
    let mut client = client.ready().await?;
    let (response, mut stream) = client.send_request(request, false)?;
    stream.send_data(message, true)?;
    let response = response.await?;
    if let Some(status) = status_of(response.headers()) {
        return Ok(status);
    }
    let mut body = response.into_body();
    while let Some(chunk) = body.data().await {
        let length = chunk?.len();
        let _ = body.flow_control().release_capacity(length);
    }
    Ok(body.trailers().await?.as_ref().and_then(status_of).unwrap_or(2))
}

fn status_of(headers: &http::HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn framed(body: Vec<u8>, gzip: bool) -> Bytes {
    let body = if gzip {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(&body).and_then(|()| encoder.finish()).expect("compression into memory")
    } else {
        body
    };
    let mut framed = vec![u8::from(gzip)];
    framed.extend_from_slice(&(body.len() as u32).to_be_bytes());
    framed.extend_from_slice(&body);
    framed.into()
}
