//! The collector's own work on a span without sockets and disks: decode, columns, block, LZ4, as often
//! as asked. `benches/run.py instructions` counts its instructions under valgrind with two numbers of
//! requests; the difference leaves out start and first allocations.
//!
//! `cargo bench --bench work -- --workload M --requests 400`

mod workload;

use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use model::{BatchId, Envelope, Limits, Protocol, Table};
use store::Block;
use workload::Workload;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Args {
    /// S, M, L or LOG
    #[arg(long, default_value = "M")]
    workload: String,
    /// Items of one request
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Requests to work through
    #[arg(long, default_value_t = 400)]
    requests: usize,
    #[arg(long, hide = true)]
    bench: bool,
}

/// As the program cuts blocks by default.
const BLOCK_ROWS_MAX: u32 = 50_000;
const BLOCK_BYTES_MAX: usize = 12 << 20;
/// A time of day at which no workload crosses midnight, so that every run does the same.
const NOW_NS: u64 = 1_790_000_000_000_000_000;

#[derive(Default)]
struct Sent {
    blocks: usize,
    rows: usize,
    plain: usize,
    packed: usize,
}

#[allow(clippy::print_stdout)]
fn main() {
    let args = Args::parse();
    let workload = Workload::parse(&args.workload).expect("--workload is S, M, L or LOG");
    let protocol = if workload == Workload::Log { Protocol::OtlpLogsProto } else { Protocol::OtlpTracesProto };
    let requests = workload.requests(16, args.batch, NOW_NS, 0);
    // The stamps are the generator's work: the bodies stay as they are.
    let bytes: usize = requests.iter().map(|request| request.body.len()).sum();
    let items: usize = requests.iter().map(|request| request.items).sum();
    let mut open: Vec<(store::LaneKey, Block)> = Vec::new();
    let mut sent = Sent::default();
    let mut done = 0;
    let began = Instant::now();
    for number in 0..args.requests {
        let envelope = Envelope { tenant: Arc::from(""), received_ns: NOW_NS as i64, sender: Arc::from("bench") };
        let request = &requests[number % requests.len()];
        let mut decoded =
            wire::decode(protocol, &request.body, envelope, &Limits::default()).expect("the workload is valid");
        correlate::absorb(&mut decoded.batch);
        done += request.items;
        for (lane, ranges) in store::lanes(&decoded.batch) {
            let at = open.iter().position(|(key, _)| *key == lane).unwrap_or_else(|| {
                open.push((lane, Block::new(lane.table)));
                open.len() - 1
            });
            ranges.into_iter().for_each(|rows| open[at].1.append(&decoded.batch, rows));
            if open[at].1.rows() >= BLOCK_ROWS_MAX || open[at].1.bytes() >= BLOCK_BYTES_MAX {
                send(&open.swap_remove(at).1, &mut sent);
            }
        }
    }
    open.iter().for_each(|(_, block)| send(block, &mut sent));
    let ns = began.elapsed().as_nanos();
    println!(
        "{}",
        serde_json::json!({
            "workload": args.workload, "requests": args.requests, "items": done,
            "received_bytes_per_item": bytes as f64 / items as f64,
            "ns_per_item": ns as f64 / done.max(1) as f64,
            "blocks": sent.blocks, "rows": sent.rows,
            "plain_bytes_per_item": sent.plain as f64 / done.max(1) as f64,
            "packed_bytes_per_item": sent.packed as f64 / done.max(1) as f64,
        })
    );
}

fn send(block: &Block, sent: &mut Sent) {
    let native = block.finish(BatchId(7));
    sent.blocks += 1;
    sent.rows += if block.table() == Table::TraceIndex { 0 } else { native.rows() as usize };
    let mut packer = store::Packer::default();
    for chunk in native.to_chunks() {
        sent.plain += chunk.len();
        sent.packed += packer.pack(&chunk).expect("chunks are small").len();
    }
}
