//! Layouts drawn as text, and what must hold for any graph.

use proptest::prelude::*;

use super::{Point, layout};

// One row of text per y (rounded), one column per layer.
fn draw(text: &str) -> String {
    let pairs: Vec<(&str, &str)> =
        text.split_whitespace().map(|edge| edge.split_once('>').unwrap_or((edge, ""))).collect();
    let mut nodes: Vec<&str> = pairs.iter().flat_map(|(a, b)| [*a, *b]).filter(|id| !id.is_empty()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let number = |id: &str| nodes.iter().position(|node| *node == id).map(|place| place as u32);
    let edges: Vec<(u32, u32)> = pairs.iter().filter_map(|(a, b)| Some((number(a)?, number(b)?))).collect();
    let points = layout(&nodes, &edges);
    let rows = points.iter().map(|point| point.y.round() as usize).max().unwrap_or_default() + 1;
    let columns = points.iter().map(|point| point.layer as usize).max().unwrap_or_default() + 1;
    let mut grid = vec![vec!["."; columns]; rows];
    for (node, point) in nodes.iter().zip(&points) {
        grid[point.y.round() as usize][point.layer as usize] = node;
    }
    grid.iter().map(|row| row.join(" ")).collect::<Vec<_>>().join("\n")
}

fn check(edges: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    let got = draw(edges);
    assert_eq!(got, expected.join("\n"), "{edges}:\n{got}");
}

// Scenario: a chain, a fan, a diamond, a circle, two components and lone nodes, an edge to itself.
// Guarantee: calls run to the right; components below one another, lone nodes last; a circle is opened at its first node.
#[test]
fn small_graphs() {
    check("a>b b>c", "a b c");
    check(
        "a>b a>c a>d",
        ". b
         a c
         . d",
    );
    check("b>c c>a a>b", "a b c");
    check("a>a a>b", "a b");
    check(
        "a>b c>d e f",
        "a b
         . .
         c d
         . .
         e f",
    );
    // A source stands right before what it calls.
    check(
        "a>b b>c z>c",
        "a b .
         . z c",
    );
}

// Scenario: parents whose children stand in the wrong order by id.
// Guarantee: the children are reordered, so that edges do not cross.
#[test]
fn crossings_are_undone() {
    check(
        "a>z b>y c>x",
        "a z
         . .
         b y
         . .
         c x",
    );
    check(
        "r>a r>b a>z b>y",
        ". a z
         r b y",
    );
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("service:{number:04}")).collect()
}

fn placed(ids: &[String], edges: &[(u32, u32)]) -> Vec<Point> {
    let nodes: Vec<&str> = ids.iter().map(String::as_str).collect();
    layout(&nodes, edges)
}

proptest! {
    // Scenario: any graph, circles, repeated and dangling edges included; the same one in another order.
    // Guarantee: a place for every node, one apart; the same places whatever the order.
    #[test]
    fn any_graph(
        count in 1..40usize,
        edges in prop::collection::vec((0..42u32, 0..42u32), 0..120),
        seed in any::<u64>(),
    ) {
        let ids = ids(count);
        let points = placed(&ids, &edges);
        prop_assert_eq!(points.len(), count);
        for (place, a) in points.iter().enumerate() {
            prop_assert!(a.x.is_finite() && a.y.is_finite() && a.y >= 0.0 && a.x == f64::from(a.layer));
            for b in &points[place + 1..] {
                prop_assert!(a.layer != b.layer || (a.y - b.y).abs() > 0.999, "{a:?} and {b:?} overlap");
            }
        }
        // Another order of nodes and edges: rotated and reversed.
        let turn = seed as usize % count;
        let moved = |place: u32| if (place as usize) < count { ((place as usize + turn) % count) as u32 } else { place };
        let mut turned = ids.clone();
        turned.rotate_right(turn);
        let turned_edges: Vec<(u32, u32)> = edges.iter().rev().map(|(a, b)| (moved(*a), moved(*b))).collect();
        let again = placed(&turned, &turned_edges);
        for (place, point) in points.iter().enumerate() {
            prop_assert_eq!(point, &again[moved(place as u32) as usize]);
        }
    }

    // Scenario: a graph without circles.
    // Guarantee: every edge runs to the right.
    #[test]
    fn edges_run_right(edges in prop::collection::vec((0..30u32, 0..30u32), 0..80)) {
        let edges: Vec<(u32, u32)> = edges.into_iter().filter(|(a, b)| a < b).collect();
        let points = placed(&ids(30), &edges);
        for (a, b) in edges {
            prop_assert!(points[a as usize].layer < points[b as usize].layer);
        }
    }
}

// Scenario: two thousand services with ten thousand edges, tangled; one chain of all; a star; no edges.
// Guarantee: every one gets its place (how fast, `cargo run --release -p hypocenter-view --example layout_cost` tells).
#[test]
fn two_thousand_services() {
    let ids = ids(2_000);
    let tangle: Vec<(u32, u32)> = (0..10_000u32).map(|n| (n * 7_919 % 2_000, (n * 104_729 + n / 3) % 2_000)).collect();
    let chain: Vec<(u32, u32)> =
        (1..2_000).map(|n| (n - 1, n)).chain((0..8_000).map(|n| (n % 900, 1_000 + n % 997))).collect();
    let star: Vec<(u32, u32)> = (1..2_000).map(|n| (0, n)).collect();
    for edges in [&tangle[..], &chain, &star, &[]] {
        let points = placed(&ids, edges);
        let mut seen: Vec<(u32, i64)> = points.iter().map(|point| (point.layer, (point.y * 1_000.0) as i64)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2_000);
    }
}

// Scenario: a new edge to a new node far down the order.
// Guarantee: the rest keeps its layers, and its order within them.
#[test]
fn a_new_edge_moves_little() {
    let ids = ids(60);
    let mut edges: Vec<(u32, u32)> = (1..59).map(|n| ((n - 1) / 3, n)).collect();
    let before = placed(&ids, &edges);
    edges.push((19, 59));
    let after = placed(&ids, &edges);
    for a in 0..59 {
        assert_eq!(before[a].layer, after[a].layer);
        for b in 0..a {
            let same = before[a].layer == before[b].layer;
            assert!(!same || (before[a].y < before[b].y) == (after[a].y < after[b].y), "{a} and {b} changed places");
        }
    }
}
