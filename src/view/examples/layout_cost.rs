//! What a layout costs: `cargo run --release -p hypocenter-view --example layout_cost`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

fn main() {
    let ids: Vec<String> = (0..2_000).map(|number| format!("service:{number:04}")).collect();
    let nodes: Vec<&str> = ids.iter().map(String::as_str).collect();
    // Most calls lead to the next tier, some anywhere.
    let tiers = |n: u32| {
        let (from, noise) = (n * 7_919 % 2_000, n.wrapping_mul(2_654_435_761) >> 16);
        (from, if n.is_multiple_of(20) { noise % 2_000 } else { (from / 200 * 200 + 200 + noise % 200) % 2_000 })
    };
    let graphs: [(&str, Vec<(u32, u32)>); 3] = [
        ("ten tiers", (0..10_000).map(tiers).collect()),
        ("anything", (0..10_000u32).map(|n| (n * 7_919 % 2_000, (n * 104_729 + n / 3) % 2_000)).collect()),
        (
            "one chain and more",
            (1..2_000).map(|n| (n - 1, n)).chain((0..8_000).map(|n| (n % 900, 1_000 + n % 997))).collect(),
        ),
    ];
    for (name, edges) in graphs {
        let start = Instant::now();
        let points = view::layout::layout(&nodes, &edges);
        let layers = points.iter().map(|point| point.layer).max().unwrap_or_default() + 1;
        println!("{name}: {} nodes, {} edges, {layers} layers: {:.0?}", points.len(), edges.len(), start.elapsed());
    }
}
