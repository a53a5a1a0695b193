//! Trees drawn as text: one line per span, `id parent service kind start+duration`, and what becomes of them.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Builder {
    let mut builder = Builder::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap_or_default();
        let id = |word: &str| if word == "-" { 0 } else { u64::from_str_radix(word, 16).unwrap() };
        let (span_id, parent_id) = (id(word()), id(word()));
        let service = builder.service(word());
        let (kind, mut marks) = match word() {
            "server" => (kind::SERVER, 0),
            "shared" => (kind::SERVER, mark::SHARED),
            "client" => (kind::CLIENT, 0),
            "producer" => (kind::PRODUCER, 0),
            "consumer" => (kind::CONSUMER, 0),
            _ => (kind::INTERNAL, 0),
        };
        let (start, duration) = word().split_once('+').unwrap();
        if word() == "untimed" {
            marks |= mark::NO_TIME;
        }
        let name = builder.name("n");
        builder.push(Node {
            span_id,
            parent_id,
            service,
            name,
            kind,
            status: 0,
            start_ns: start.parse().unwrap(),
            duration_ns: duration.parse().unwrap(),
            marks,
            dropped: false,
        });
    }
    builder
}

fn draw(tree: &Tree) -> String {
    let mut out = String::new();
    for (row, node) in tree.nodes.iter().enumerate() {
        let indent = "  ".repeat(tree.depths[row] as usize);
        let star = if tree.critical[row] { "*" } else { "" };
        let root = if row == tree.root { " root" } else { "" };
        out.push_str(&format!("{indent}{:x} {}{star}{root}\n", node.span_id, tree.services[node.service as usize]));
    }
    for problem in &tree.problems {
        out.push_str(&format!("! {} {}\n", problem.code, problem.count));
    }
    if !tree.complete {
        out.push_str("incomplete\n");
    }
    out
}

fn check(spans: &str, expected: &str) {
    let drawn = draw(&read(spans).build());
    let lines: Vec<&str> = expected.lines().filter(|line| !line.trim().is_empty()).collect();
    let margin = lines.iter().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    let expected: String = lines.iter().map(|line| format!("{}\n", &line[margin..])).collect();
    assert_eq!(drawn, expected, "{spans}");
}

// Scenario: a plain request, children sent out of order.
// Guarantee: depth first, children by start, the last-finishing ones critical.
#[test]
fn plain() {
    check(
        "
        4 1 db internal 60+30
        1 - front server 0+100
        2 1 front client 10+20
        3 2 cart server 12+15
        5 1 front internal 20+5
        ",
        "
        1 front* root
          2 front*
            3 cart*
          5 front
          4 db*
        ",
    );
}

// Scenario: Zipkin's shared span: both sides of a call have one id; a child belongs to the server side.
// Guarantee: the server hangs under the client, its children under it, nothing is odd.
#[test]
fn shared_span() {
    check(
        "
        1 - front server 0+100
        2 1 front client 10+50
        2 1 cart shared 15+40
        3 2 cart internal 20+10
        4 2 front internal 12+1
        ",
        "
        1 front* root
          2 front*
            4 front*
            2 cart*
              3 cart*
        ",
    );
}

// Scenario: the shared root: the client began the trace, the server joined it under the same id.
// Guarantee: one root.
#[test]
fn shared_root() {
    check(
        "
        1 - app client 0+50
        1 - api shared 5+40
        ",
        "
        1 app* root
          1 api*
        ",
    );
}

// Scenario: spans that are their own parent, alone, and in a circle of two and of three.
// Guarantee: each circle is cut at its earliest span, each span shown once, everything counted.
#[test]
fn circles() {
    check(
        "
        1 1 a internal 0+10
        2 3 b internal 1+1
        3 2 c internal 2+1
        6 4 f internal 3+1
        5 6 e internal 4+1
        4 5 d internal 5+1
        7 6 g internal 6+1
        ",
        "
        1 a* root
        2 b
          3 c
        6 f
          5 e
            4 d
          7 g
        ! self_parent 1
        ! cycle 2
        ",
    );
}

// Scenario: orphans before and after a root; two roots; nothing but orphans.
// Guarantee: all shown, the parentless earliest is the root, else the earliest; the answer says what is missing.
#[test]
fn orphans_and_roots() {
    check(
        "
        9 8 early internal 0+5
        1 - front server 10+10
        2 - front server 20+10
        3 7 late internal 30+5
        ",
        "
        9 early
        1 front* root
        2 front
        3 late
        ! several_roots 2
        ! missing_parent 2
        incomplete
        ",
    );
    check(
        "
        2 1 b internal 5+5
        3 1 c internal 1+5
        ",
        "
        3 c* root
        2 b
        ! no_root 1
        ! missing_parent 2
        incomplete
        ",
    );
}

// Scenario: the same span sent twice, and different spans under one id.
// Guarantee: equal ones are one; different ones all stay, children go to the one of their service, else the first.
#[test]
fn equal_ids() {
    check(
        "
        1 - front server 0+100
        1 - front server 0+100
        2 1 cart internal 10+5
        2 1 stock internal 20+5
        3 2 stock internal 21+1
        4 2 other internal 11+1
        ",
        "
        1 front* root
          2 cart*
            4 other*
          2 stock*
            3 stock*
        ! shared_span_id 2
        ! resent 1
        ",
    );
}

// Scenario: a callee whose clock is behind, one that ends late by skew, and a message handled after its sender ended.
// Guarantee: skewed calls are on the path, the message is not; skew is told.
#[test]
fn skew_and_messages() {
    check(
        "
        1 - front server 1000+100
        2 1 front client 1010+50
        3 2 cart server 900+40
        4 1 front producer 1070+10
        5 4 mail consumer 1200+500
        ",
        "
        1 front* root
          2 front*
            3 cart*
          4 front*
            5 mail
        ! clock_skew 1
        ",
    );
}

// Scenario: parallel children; the slower one decides, and what ran beside it does not.
// Guarantee: only the last-finishing chain is critical.
#[test]
fn parallel() {
    check(
        "
        1 - front server 0+100
        2 1 a internal 10+80
        3 1 b internal 10+30
        4 1 c internal 2+7
        5 3 d internal 15+5
        ",
        "
        1 front* root
          4 c*
          2 a*
          3 b
            5 d
        ",
    );
}

// Scenario: 100,000 spans in one chain, under one parent, under one id, in one circle.
// Guarantee: built without deep recursion or quadratic work; every span is there once.
#[test]
fn large_shapes() {
    let shapes: [fn(u64) -> (u64, u64); 4] = [
        |i| (i + 1, i),
        |i| (i + 1, u64::from(i > 0)),
        |i| (if i == 0 { 1 } else { 7 }, u64::from(i > 0) * 7),
        |i| (i + 1, (i + 1) % 100_000 + 1),
    ];
    for shape in shapes {
        let mut builder = Builder::default();
        let (service, name) = (builder.service("s"), builder.name("n"));
        for i in 0..100_000u64 {
            let (span_id, parent_id) = shape(i);
            builder.push(Node {
                span_id,
                parent_id,
                service,
                name,
                kind: 1,
                status: 0,
                start_ns: i as i64,
                duration_ns: 200_000 - i,
                marks: 0,
                dropped: false,
            });
        }
        assert_eq!(builder.build().nodes.len(), 100_000);
    }
}

proptest! {
    // Scenario: random spans with few ids, so that circles, shared ids and orphans abound.
    // Guarantee: every distinct span appears once, after its parent, one level below it; the root is critical; times cannot overflow.
    #[test]
    fn any_spans(spans in prop::collection::vec((1u64..12, 0u64..12, 0u32..3, 0u8..6, prop_oneof![0i64..50, Just(i64::MAX)], prop_oneof![0u64..50, Just(u64::MAX)], any::<bool>()), 0..60)) {
        let mut builder = Builder::default();
        let name = builder.name("n");
        for text in ["a", "b", "c"] {
            builder.service(text);
        }
        let mut distinct = std::collections::HashSet::new();
        for (span_id, parent_id, service, kind, start_ns, duration_ns, shared) in spans {
            let marks = if shared { mark::SHARED } else { 0 };
            distinct.insert((span_id, service, kind, start_ns, duration_ns));
            builder.push(Node { span_id, parent_id, service, name, kind, status: 0, start_ns, duration_ns, marks, dropped: false });
        }
        let tree = builder.build();
        prop_assert_eq!(tree.nodes.len(), distinct.len());
        for (row, parent) in tree.parents.iter().enumerate() {
            match parent {
                Some(parent) => {
                    prop_assert!((*parent as usize) < row);
                    prop_assert_eq!(tree.depths[row], tree.depths[*parent as usize] + 1);
                }
                None => prop_assert_eq!(tree.depths[row], 0),
            }
            if tree.critical[row] && row != tree.root {
                prop_assert!(parent.is_some_and(|parent| tree.critical[parent as usize]));
            }
        }
        if !tree.nodes.is_empty() {
            prop_assert!(tree.critical[tree.root]);
        }
    }
}
