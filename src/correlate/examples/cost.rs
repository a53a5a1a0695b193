//! What correlation costs per log, in nanoseconds: `cargo run --release -p hypocenter-correlate --example cost`.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

fn main() {
    let plain = "2023-01-30 11:39:01.123  INFO 1 --- [nio-8080-exec-7] o.s.web.servlet.DispatcherServlet : Completed \
        request POST /api/v1/orderservice/order/refresh for account 4d2a46c7-71cb-4cf1-b5bb-b68406d9da6f in 37 ms, \
        status 200 OK, 12 orders returned from the order repository, cache warm, connection pool has 8 of 10 idle";
    let with_id = format!("{plain} trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7");
    let json = format!("{{\"level\":\"info\",\"ts\":1675078741.123,\"msg\":\"{plain}\",\"user\":\"bob\",\"n\":7}}");
    for (name, body) in [("text without an id", plain), ("text with an id", &with_id), ("JSON without an id", &json)] {
        let find = cost(|| correlate::find_in_text(black_box(body.as_bytes())));
        let key = cost(|| correlate::pattern_key(black_box(body.as_bytes()), b"", 9, 0));
        println!("{name}, {} B: find {find:.0} ns, pattern key {key:.0} ns", body.len());
    }
}

fn cost<T>(mut work: impl FnMut() -> T) -> f64 {
    let rounds = 200_000;
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        (0..rounds).for_each(|_| drop(black_box(work())));
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(rounds));
    }
    best
}
