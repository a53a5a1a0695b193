//! A trace of 100,000 spans, and a request that is larger than the memory for blocks.

use serde_json::{Value, json};

use crate::program::{Program, now_ns};

const SPANS: usize = 100_000;
const TRACE: &str = "5b8efff798038103d269b633813fc6ff";

/// A tree of ten children each, numbered breadth first; names are the numbers.
fn spans(from: usize, to: usize, began: u64) -> Value {
    let spans: Vec<Value> = (from..to)
        .map(|number| {
            let parent = if number == 0 { String::new() } else { format!("{:016x}", (number - 1) / 10 + 1) };
            let start = began + number as u64 * 10;
            json!({"traceId": TRACE, "spanId": format!("{:016x}", number + 1), "parentSpanId": parent, "name": number.to_string(),
                   "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 5).to_string()})
        })
        .collect();
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "wide"}}]},
                              "scopeSpans": [{"spans": spans}]}]})
}

/// The numbers depth first, children by start.
fn depth_first() -> Vec<usize> {
    let (mut order, mut open) = (Vec::new(), vec![0]);
    while let Some(number) = open.pop() {
        order.push(number);
        open.extend((number * 10 + 1..=number * 10 + 10).filter(|&child| child < SPANS).rev());
    }
    order
}

// Scenario: 100,000 spans of one trace arrive in ten requests, the last first; it is read whole in
// columns, in pages, and from its end.
// Guarantee: every span stands once, in depth-first order, however it is read.
#[test]
fn a_hundred_thousand_spans() {
    let program = Program::start();
    let began = now_ns() - 60_000_000_000;
    for part in (0..10).rev() {
        assert_eq!(program.send_json("traces", &spans(part * SPANS / 10, (part + 1) * SPANS / 10, began)).status, 200);
    }
    program.flush();
    let order = depth_first();
    let mut seen: Vec<usize> = Vec::new();
    for offset in (0..SPANS).step_by(20_000) {
        let page = program.api(&format!("/traces/{TRACE}?offset={offset}&limit=20000&logs=false"));
        assert_eq!((&page["total_spans"], &page["complete"]), (&json!(SPANS), &json!(true)));
        seen.extend(
            page["spans"]
                .as_array()
                .unwrap()
                .iter()
                .map(|span| span["name"].as_str().unwrap().parse::<usize>().unwrap()),
        );
    }
    assert!(
        seen == order,
        "pages: {} spans, the first out of place: {:?}",
        seen.len(),
        seen.iter().zip(&order).position(|(a, b)| a != b)
    );
    let last = program.api(&format!("/traces/{TRACE}?offset={}&limit=10", SPANS - 1));
    assert_eq!(last["spans"].as_array().unwrap().len(), 1);
    let columns = program.api(&format!("/traces/{TRACE}?format=columns"));
    let ids = columns["columns"]["span_id"].as_array().unwrap();
    assert!(
        ids.iter().map(|id| usize::from_str_radix(id.as_str().unwrap(), 16).unwrap() - 1).eq(order),
        "columns out of order"
    );
    let listed = program.api("/traces?from=now-1h&to=now%2B1m");
    assert_eq!((&listed["traces"][0]["spans"], &listed["traces"][0]["root_operation"]), (&json!(SPANS), &json!("0")));
}

// Scenario: one request of 20,000 spans, whose rows take far more memory than blocks may have, then small ones.
// Guarantee: the large one goes into blocks part by part and is stored whole, once, and what comes behind it too.
#[test]
fn a_request_larger_than_the_memory_for_blocks() {
    let program = Program::start_with(&[
        "--set",
        "ingest.block_memory_max=1MiB",
        "--set",
        "ingest.block_bytes_max=512KiB",
        "--set",
        "ingest.linger=50ms",
    ]);
    let began = now_ns() - 60_000_000_000;
    assert_eq!(program.send_json("traces", &spans(0, 20_000, began)).status, 200);
    for part in 0..5 {
        let (from, to) = (20_000 + part * 10, 20_010 + part * 10);
        assert_eq!(program.send_json("traces", &spans(from, to, began)).status, 200);
    }
    program.flush();
    let page = program.api(&format!("/traces/{TRACE}?offset=0&limit=10&logs=false"));
    assert_eq!((&page["total_spans"], &page["complete"]), (&json!(20_050), &json!(true)));
}
