//! Traces of a hundred thousand spans and beyond the cap.

use std::fmt::Write as _;
use std::sync::Arc;

use model::{Batch, BatchId, Envelope};
use store::{Block, SealedBlock, lanes};

use crate::rig::{Rig, T, trace_id};

/// A trace of `count` spans: every tenth span is the parent of the next ten.
fn wide_trace(count: u64) -> Batch {
    let mut batch = Batch::new(Envelope { tenant: Arc::from(""), received_ns: T, sender: Arc::from("test") });
    for service in 0..20 {
        batch.resources.push_service(format!("service-{service}").as_bytes());
    }
    batch.scopes.push_plain(b"lib", b"1");
    let mut id = [0; 16];
    id[0] = 0x10;
    id[15] = 7;
    for at in 0..count {
        let s = &mut batch.spans;
        s.resource.push((at % 20) as u32);
        s.scope.push(0);
        s.trace_id.push(id);
        s.span_id.push((at + 1).to_be_bytes());
        s.parent_span_id.push(if at == 0 { [0; 8] } else { ((at - 1) / 10 * 10 / 10 + 1).to_be_bytes() });
        s.trace_state.push(b"");
        let mut name = String::new();
        let _ = write!(name, "op {}", at % 50);
        s.name.push(name.as_bytes());
        s.kind.push(1);
        s.start.push(T + at as i64 * 1_000);
        s.duration.push((count - at) * 1_000);
        s.status.push(0);
        s.status_message.push(b"");
        s.flags.push(1);
        s.attributes.push(b"key", b"value");
        s.attributes.end_row();
        s.attribute_types.push(b"");
        s.dropped_attributes.push(0);
        s.dropped_events.push(0);
        s.dropped_links.push(0);
        s.events.ends.push(0);
        s.links.ends.push(0);
        s.weight.push(1.0);
        s.marks.push(0);
        s.original_start.push(0);
        s.original_end.push(0);
        s.http_route.push(b"");
        s.http_status.push(0);
        s.db_system.push(b"");
        s.peer.push(b"");
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

async fn store(rig: &Rig, batch: &Batch) {
    for (at, (key, ranges)) in lanes(batch).into_iter().enumerate() {
        let mut block = Block::new(key.table);
        ranges.into_iter().for_each(|rows| block.append(batch, rows));
        let id = BatchId::new(0xbeef, at as u64);
        rig.store
            .insert(&SealedBlock { table: key.table, batch: id, rows: block.rows(), native: block.finish(id) })
            .await
            .unwrap();
    }
}

// Scenario: a trace of 100,000 spans, whole as columns, and in pages from both ends; one more span than the cap.
// Guarantee: everything is there; above the cap the earliest are shown and the answer says how many there are.
#[tokio::test]
async fn hundred_thousand_spans() {
    for (count, shown) in [(100_000u64, 100_000usize), (100_500, 100_000)] {
        let rig = Rig::new().await;
        store(&rig, &wide_trace(count)).await;
        let path = format!("/api/v1/traces/{}", trace_id("7"));
        let columns = rig.get(&format!("{path}?format=columns")).await;
        assert_eq!(columns["total_spans"], count);
        assert_eq!(columns["columns"]["span_id"].as_array().unwrap().len(), shown);
        assert_eq!(columns["partial"].as_bool().unwrap_or(false), count > 100_000);
        let first = rig.get(&path).await;
        assert_eq!(first["spans"].as_array().unwrap().len(), 10_000);
        assert_eq!(first["total_spans"], count);
        let last = rig.get(&format!("{path}?offset=99990&limit=100")).await;
        assert_eq!(last["spans"].as_array().unwrap().len(), 10);
        let listed = rig.get("/api/v1/traces").await;
        assert_eq!(listed["traces"][0]["spans"], count);
        assert_eq!(listed["traces"][0]["complete"], true);
    }
}
