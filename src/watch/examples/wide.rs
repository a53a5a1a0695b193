//! What watching costs: `cargo run --release -p hypocenter-watch --example wide`. 2,000 services with 10,000
//! operations and 10,000 patterns, all of them seen in every slot of twenty minutes.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use watch::{Observation, Settings, Subject, Watch};

const SERVICES: u64 = 2_000;
const SLOTS: i64 = 120;
const START_S: i64 = 1_764_331_200;

fn main() {
    let mut watch = Watch::new(Settings::default());
    let edges: Vec<(String, String)> =
        (1..SERVICES).map(|service| (format!("service-{}", service / 3), format!("service-{service}"))).collect();
    watch.edges(0, &edges);
    let (mut observing, mut ticking, mut longest, mut events) = (Duration::ZERO, Duration::ZERO, Duration::ZERO, 0);
    for slot in 0..SLOTS {
        let slot_s = START_S + slot * 10;
        let seen = seen(slot_s);
        let now_ns = (slot_s + 14) * 1_000_000_000;
        let began = Instant::now();
        watch.observe(now_ns, &seen);
        observing += began.elapsed();
        let began = Instant::now();
        events += watch.tick(now_ns).len();
        ticking += began.elapsed();
        longest = longest.max(began.elapsed());
    }
    let mean = |sum: Duration| sum / SLOTS as u32;
    println!(
        "{} subjects: observing {:?} a slot, ticking {:?} (longest {longest:?}), {:.1} % of a core; {events} events; {} MiB",
        watch.subjects(),
        mean(observing),
        mean(ticking),
        (mean(observing) + mean(ticking)).as_secs_f64() * 10.0,
        resident_mib()
    );
}

fn seen(slot_s: i64) -> Vec<Observation> {
    let mut seen = Vec::new();
    for service in 0..SERVICES {
        let name = format!("service-{service}");
        for number in 0..5 {
            let jitter = ((slot_s as u64 / 10 * 7 + service * 13 + number * 5) % 17) as f64;
            let operation = format!("GET /things/{number}");
            let (service, peer) = (name.clone(), format!("service-{}", service * 3 + number));
            let subject = match number {
                0..3 => Subject::Entry { service, operation },
                _ => Subject::Call { service, operation, peer },
            };
            let buckets: Vec<i16> = (0..30).map(|bucket| 1_000 + bucket * 3).collect();
            let latency = (buckets, vec![1.0 + jitter / 20.0; 30]);
            seen.push(Observation { slot_s, subject, requests: 30.0 + jitter, errors: 0.0, latency });
            let subject = Subject::Lines { service: name.clone(), pattern: number, severity: 9 };
            seen.push(Observation { slot_s, subject, requests: 30.0 + jitter, ..Observation::default() });
        }
    }
    seen
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1_024
}
