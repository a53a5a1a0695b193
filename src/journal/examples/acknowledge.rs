//! How long an acknowledgement takes: `cargo run -p hypocenter-journal --example acknowledge -- DIR`.
//!
//! Appends frames of 250 KiB at 100 per second, then as fast as they are taken, and prints the
//! median and the 99th percentile of the time until the ticket completes. Prints, asserts nothing.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use journal::{Config, Durability, Frame, FrameHeader, Journal};

const BODY_BYTES: usize = 250 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: acknowledge DIR")?;
    for (name, bytes, per_second, count, threads) in [
        ("250 KiB, 100/s", BODY_BYTES, 100, 1000, 1),
        ("250 KiB, flat out, 1 thread", BODY_BYTES, 0, 2000, 1),
        ("250 KiB, flat out, 8 threads", BODY_BYTES, 0, 4000, 8),
        ("4 KiB, flat out, 8 threads", 4 << 10, 0, 40_000, 8),
    ] {
        let home = std::path::Path::new(&dir).join("acknowledge");
        let released = Arc::new(Mutex::new(0));
        let last = released.clone();
        let config = Config { budget_bytes: 1 << 30, ..Config::new(&home) };
        let (journal, _) = Journal::open(config, move |group: Vec<(u64, ())>| {
            if let (Some((lsn, ())), Ok(mut last)) = (group.last(), last.lock()) {
                *last = *lsn;
            }
        })?;
        let start = Instant::now();
        let mut times = run(&journal, bytes, per_second, count, threads, &released);
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let megabytes = (times.len() * bytes) as f64 / 1e6 / start.elapsed().as_secs_f64();
        println!(
            "{name}: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms; {megabytes:.0} MB/s",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
        // As after a kill: the last segment has no summary.
        drop(journal);
        let start = Instant::now();
        let (journal, recovery) = Journal::<()>::open(Config::new(&home), |_| ())?;
        println!(
            "    opened again after an unclean stop in {:.1} ms, {} frames kept",
            start.elapsed().as_secs_f64() * 1e3,
            recovery.next_lsn - recovery.first_lsn
        );
        drop(journal);
        std::fs::remove_dir_all(&home)?;
    }
    Ok(())
}

fn run(
    journal: &Journal<()>,
    bytes: usize,
    per_second: u32,
    count: usize,
    threads: usize,
    released: &Mutex<u64>,
) -> Vec<Duration> {
    let body: Bytes = (0..bytes as u64).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect();
    let one = || {
        let mut times = Vec::new();
        for turn in 0..count / threads {
            let start = Instant::now();
            let told = journal.append(frame(body.clone()), ()).and_then(|ticket| ticket.wait());
            if told.is_err() {
                continue;
            }
            times.push(start.elapsed());
            if turn % 16 == 0
                && let Ok(last) = released.lock()
            {
                journal.release(*last);
            }
            if let Some(pause) = Duration::from_secs(1).checked_div(per_second) {
                std::thread::sleep(pause.saturating_sub(start.elapsed()));
            }
        }
        times
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

fn frame(body: Bytes) -> Frame {
    let header = FrameHeader {
        protocol: 0,
        encoding: 0,
        flags: 0,
        durability: Durability::Fsync,
        rule: 0,
        tenant: "".into(),
        sender: "".into(),
        received_ns: 0,
        body_hash: 0,
        items: [512, 0, 0],
        decisions: Bytes::new(),
        limits: Bytes::new(),
        settles: None,
    };
    Frame { header, body }
}
