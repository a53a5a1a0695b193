//! What patterns cost, on the 2k sets of Loghub: `HYPOCENTER_DATA=folder cargo run --release -p hypocenter-correlate
//! --example pattern_cost`. First the path of every line, one core: its key, and the lookup of the key's pattern; then
//! what a new key costs, and the merging of many.
#![allow(clippy::print_stdout)]

mod loghub;

use std::hint::black_box;
use std::time::Instant;

use correlate::pattern_key;
use correlate::patterns::{Bounds, Miner, Seen};

fn main() {
    let sets = loghub::sets();
    let mut all = (0, 0.0);
    for set in &sets {
        let mut miner = Miner::default();
        let seconds = best(|| {
            for line in &set.lines {
                let body = line.as_bytes();
                let key = pattern_key(body, b"", 0, 0);
                miner.add(&Seen { key, body, ..Seen::default() });
                black_box(miner.pattern(key, 0));
            }
            miner.settle();
        });
        let bytes: usize = set.lines.iter().map(String::len).sum();
        println!(
            "{:12} {:5.2} M lines/s, {:4.0} MB/s",
            set.name,
            set.lines.len() as f64 / seconds / 1e6,
            bytes as f64 / seconds / 1e6
        );
        all = (all.0 + set.lines.len(), all.1 + seconds);
    }
    if !sets.is_empty() {
        println!("{:12} {:5.2} M lines/s", "all", all.0 as f64 / all.1 / 1e6);
    }

    let bodies: Vec<String> = (0..Bounds::default().templates).map(body).collect();
    let keys: Vec<u64> = bodies.iter().map(|body| pattern_key(body.as_bytes(), b"", 0, 0)).collect();
    let mut settled = 0.0;
    let added = best(|| {
        let mut miner = Miner::default();
        for (key, body) in keys.iter().zip(&bodies) {
            miner.add(&Seen { key: *key, body: body.as_bytes(), ..Seen::default() });
        }
        let start = Instant::now();
        miner.settle();
        settled = start.elapsed().as_secs_f64();
        assert!(!miner.patterns().is_empty());
    }) - settled;
    println!(
        "new keys: {:.1} µs each; merging {}: {:.1} ms",
        added / keys.len() as f64 * 1e6,
        keys.len(),
        settled * 1e3
    );
}

// A body unlike the others, with some values in it.
fn body(number: usize) -> String {
    let word = |part: usize| {
        let mut hash = (number * 31 + part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let letters = (0..5).map(|_| {
            hash = hash.rotate_left(9).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            char::from(b'a' + (hash >> 40) as u8 % 20)
        });
        letters.collect::<String>()
    };
    format!("{} {} 17 of /a/b for user {} took 5 ms: {} ({}) [x, y]", word(1), word(2), word(3), word(4), word(5))
}

// Seconds of the fastest of several runs.
fn best(mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}
