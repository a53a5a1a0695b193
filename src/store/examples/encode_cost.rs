//! What it costs to gather spans into Native blocks, in nanoseconds and bytes per span, for requests
//! shaped like the standard workload W-M (512 spans, one resource of 20 attributes, 8 to 11 span
//! attributes, an event on every fifth span). `cargo run --release -p hypocenter-store --example encode_cost`

#![allow(clippy::print_stdout)] // The figures are the output.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::time::DAY_NS;
use model::{Batch, BatchId, Envelope, Table};
use store::{Block, lanes};

const SPANS_PER_REQUEST: usize = 512;
const SPANS_PER_BLOCK: u32 = 10_240;

fn main() {
    let batches: Vec<Batch> = (0..40).map(request).collect();
    for round in 0..3 {
        let mut totals = [Duration::ZERO; 3];
        let (mut spans, mut bytes, mut index_rows) = (0u64, 0u64, 0u64);
        for _ in 0..10 {
            let (mut block, mut index) = (Block::new(Table::Traces), Block::new(Table::TraceIndex));
            for batch in &batches {
                let began = Instant::now();
                let lanes = lanes(batch);
                totals[0] += began.elapsed();
                for (key, ranges) in lanes {
                    let began = Instant::now();
                    let target = if key.table == Table::Traces { &mut block } else { &mut index };
                    ranges.into_iter().for_each(|rows| target.append(batch, rows));
                    totals[if key.table == Table::Traces { 1 } else { 2 }] += began.elapsed();
                }
                if block.rows() >= SPANS_PER_BLOCK {
                    let began = Instant::now();
                    let native = block.finish(BatchId(1));
                    totals[1] += began.elapsed();
                    spans += u64::from(native.rows());
                    bytes += native.bytes() as u64;
                    block = Block::new(Table::Traces);
                    let began = Instant::now();
                    index_rows += u64::from(index.finish(BatchId(2)).rows());
                    totals[2] += began.elapsed();
                    index = Block::new(Table::TraceIndex);
                }
            }
        }
        let per_span = |total: Duration| total.as_nanos() as f64 / spans as f64;
        println!(
            "round {round}: {spans} spans, {} B/span; ns/span: lanes {:.1}, span rows {:.1}, index {:.1} ({:.2} rows/span)",
            bytes / spans,
            per_span(totals[0]),
            per_span(totals[1]),
            per_span(totals[2]),
            index_rows as f64 / spans as f64
        );
    }
}

fn request(seed: u64) -> Batch {
    let day = 20_000 * DAY_NS;
    let mut batch = Batch::new(Envelope { tenant: Arc::from(""), received_ns: day, sender: Arc::from("bench") });
    let service = format!("service-{}", seed % 14);
    batch.resources.push_service(service.as_bytes());
    batch.resources.attributes = model::MapColumn::default();
    for at in 0..20 {
        batch
            .resources
            .attributes
            .push(format!("resource.attribute.{at}").as_bytes(), format!("value of {at} at {service}").as_bytes());
    }
    batch.resources.attributes.end_row();
    batch.scopes.push_plain(b"io.opentelemetry.instrumentation", b"1.2.3");
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut number = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for at in 0..SPANS_PER_REQUEST {
        let s = &mut batch.spans;
        s.resource.push(0);
        s.scope.push(0);
        let trace = seed * 1000 + at as u64 / 14;
        s.trace_id
            .push((u128::from(trace.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(trace)).to_be_bytes());
        s.span_id.push(number().to_be_bytes());
        s.parent_span_id.push(number().to_be_bytes());
        s.trace_state.push(b"");
        s.name.push(format!("GET /api/{}", number() % 10).as_bytes());
        s.kind.push((number() % 5) as u8 + 1);
        s.start.push(day + (number() % 1_000_000_000) as i64);
        s.duration.push(number() % 100_000_000);
        s.status.push(0);
        s.status_message.push(b"");
        s.flags.push(1);
        for key in 0..8 + number() % 4 {
            let value = format!("value {} {}", number() % 1000, number() % 1000);
            s.attributes.push(format!("http.request.attribute.{key}").as_bytes(), value.as_bytes());
        }
        s.attributes.end_row();
        s.attribute_types.push(b"s3i");
        s.dropped_attributes.push(0);
        s.dropped_events.push(0);
        s.dropped_links.push(0);
        if at % 5 == 0 {
            s.events.time.push(day);
            s.events.name.push(b"event");
            s.events.attributes.push(b"message.type", b"SENT");
            s.events.attributes.push(b"message.id", b"42");
            s.events.attributes.end_row();
            s.events.attribute_types.push(b"");
            s.events.dropped_attributes.push(0);
        }
        s.events.ends.push(s.events.time.len() as u32);
        s.links.ends.push(0);
        s.weight.push(1.0);
        s.marks.push(0);
        s.original_start.push(0);
        s.original_end.push(0);
        s.http_route.push(b"/api/{id}");
        s.http_status.push(200);
        s.db_system.push(b"");
        s.peer.push(b"peer");
        s.messaging_destination.push(b"");
        s.db_namespace.push(b"");
        s.messaging_system.push(b"");
        s.local_endpoint.push(b"");
        s.remote_endpoint.push(b"");
        s.original_fields.push(b"");
    }
    batch.spans.assert_whole();
    batch
}
