//! The roller's questions and tables against the real engine.

use std::time::Duration;

use model::Table;
use store::questions::{Ask, graph};
use store::rollup::{AnswerRow, MinuteRow, ProgressRow, Which};

use crate::support::{Engine, admin, execute, number, rows};

/// A generation with one edge of `calls` calls, one reference and one answer.
fn generation(tenant: &str, minute: u32, generation: u64, calls: f64) -> MinuteRow {
    MinuteRow {
        tenant: tenant.to_owned(),
        minute_s: minute * 60,
        generation,
        rule: 1,
        spans: 2,
        answered: 7,
        rolled_ns: 1_000_000_000,
        writer: 5,
        node_kinds: vec!["service"; 2],
        node_names: vec!["pay".to_owned(), "shop".to_owned()],
        node_requests: vec![calls, 0.0],
        node_errors: vec![0.5, 0.0],
        node_buckets: vec![vec![1, 9], Vec::new()],
        node_counts: vec![vec![calls, 1.0], Vec::new()],
        node_reasons: vec![vec!["parent_not_stored", "peer_unknown"], Vec::new()],
        node_unpaired: vec![vec![3, 1], Vec::new()],
        edge_source_kinds: vec!["service"],
        edge_sources: vec!["shop".to_owned()],
        edge_target_kinds: vec!["service"],
        edge_targets: vec!["pay".to_owned()],
        edge_types: vec!["rpc"],
        edge_calls: vec![calls],
        edge_spans: vec![2],
        edge_errors: vec![0.5],
        edge_buckets: vec![vec![1, 9]],
        edge_counts: vec![vec![calls, 1.0]],
        wanted_traces: vec![0xabcd],
        wanted_ids: vec![0x11],
        wanted_reasons: vec!["parent_not_stored"],
        answer_traces: vec![0xabcd],
        answer_ids: vec![generation],
        answer_minutes_s: vec![(minute - 1) * 60],
    }
}

// Scenario: a store whose span table lacks the younger columns and which has no tables for the graph.
// Guarantee: the schema completes it; rows that were there stay; the graph's table has the columns that are
// written to it, and the retention that is asked for.
#[tokio::test]
async fn an_older_store_is_completed() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let client = admin(engine, &store);
    for sql in [
        "INSERT INTO otel_traces (Timestamp, TraceId) VALUES (now64(9), 'old')",
        "ALTER TABLE otel_traces DROP COLUMN DbNamespace, DROP COLUMN MessagingSystem",
        "DROP VIEW graph_edges",
        "DROP VIEW graph_nodes",
        "DROP TABLE graph_minutes SYNC",
        "DROP TABLE graph_progress SYNC",
        "DROP TABLE graph_lease SYNC",
        "DROP TABLE evidence_minutes SYNC",
    ] {
        execute(&client, sql).await;
    }
    let again = engine.store_with(|config| {
        config.database = store.database().to_owned();
        config.retention.graph = Duration::from_secs(86_400);
    });
    again.apply_schema().await.unwrap();
    let old = rows(&client, "SELECT TraceId, DbNamespace, MessagingSystem FROM otel_traces").await;
    assert_eq!(old, [serde_json::json!({"TraceId": "old", "DbNamespace": "", "MessagingSystem": ""})]);
    let ttl = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'graph_minutes' AND engine_full LIKE '%TTL toDateTime(greatest(Minute, RolledAt)) + toIntervalSecond(86400)%'";
    assert_eq!(number(&client, ttl).await, 1);
    let rolled_ns = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
    let row = MinuteRow { rolled_ns, ..generation("a", 100, 1, 2.0) };
    again.rolling().unwrap().write_minutes(&[row]).await.unwrap();
    execute(&client, "OPTIMIZE TABLE graph_minutes FINAL").await;
    assert_eq!(number(&client, "SELECT count() FROM graph_edges").await, 1, "an old minute, rolled up just now");
}

// Scenario: generations of minutes of two tenants, some replaced, in one table; asked in windows.
// Guarantee: only the newest generation counts, merged over minutes, reasons apart by age; each tenant sees
// its own; flat views say the same.
#[tokio::test]
async fn the_newest_generation_is_the_graph() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let rolling = store.rolling().unwrap();
    rolling.write_minutes(&[generation("a", 100, 1, 8.0), generation("b", 100, 2, 64.0)]).await.unwrap();
    rolling.write_minutes(&[generation("a", 100, 3, 2.0), generation("a", 101, 4, 4.0)]).await.unwrap();
    // A row that comes late and is older does not count.
    rolling.write_minutes(&[generation("a", 101, 2, 100.0)]).await.unwrap();
    let client = store.client().unwrap();
    let ask = Ask { client: &client, tenant: "a" };
    let minutes = graph::Minutes { from_s: 6_000, to_s: 6_120 };
    let edges = graph::edges(&ask, minutes, 3_600).await.unwrap();
    assert_eq!(edges.len(), 1);
    assert_eq!((edges[0].requests, edges[0].errors, edges[0].spans), (6.0, 1.0, 4));
    assert_eq!(edges[0].latency, (vec![1, 9], vec![6.0, 2.0]));
    let nodes = graph::nodes(&ask, minutes, 3_600).await.unwrap();
    let reasons = |times| (vec!["parent_not_stored".to_owned(), "peer_unknown".to_owned()], vec![3 * times, times]);
    assert_eq!(nodes[0].unpaired, reasons(2));
    let young = graph::reasons(&ask, graph::Minutes { from_s: 6_060, ..minutes }).await.unwrap();
    assert_eq!((young.len(), young[0].name.as_str(), &young[0].unpaired), (1, "pay", &reasons(1)));
    assert_eq!((nodes[0].name.as_str(), nodes[0].requests, nodes[1].requests), ("pay", 6.0, 0.0));
    let one = graph::edges(&ask, graph::Minutes { from_s: 6_000, to_s: 6_060 }, 60).await.unwrap();
    assert_eq!(one[0].requests, 2.0);
    let hours = graph::slots(&ask, minutes, 3_600).await.unwrap();
    assert_eq!((hours.len(), hours[0].slot, hours[0].first_s, hours[0].last_s), (1, 1, 6_000, 6_060));
    assert!(!graph::is_behind(&ask).await.unwrap());
    let tens = graph::slots(&ask, graph::Minutes { from_s: 0, to_s: 100_000 }, 60).await.unwrap();
    assert_eq!(tens.iter().map(|slot| slot.slot).collect::<Vec<_>>(), [100, 101]);
    assert_eq!(tens[0].digest.wrapping_add(tens[1].digest), hours[0].digest, "digests add up");
    let admin = admin(engine, &store);
    let flat = "SELECT toUInt64(sum(Calls)) FROM graph_edges WHERE Tenant = 'a'";
    assert_eq!(number(&admin, flat).await, 6);
    assert_eq!(number(&admin, "SELECT count() FROM graph_nodes").await, 6);

    let mut states = rolling.states("a", &[99, 100, 101]).await.unwrap();
    assert_eq!(states.len(), 2);
    let state = states.remove(0);
    assert_eq!((state.minute, state.generation, state.spans, state.answered), (100, 3, 2, 7));
    assert_eq!(state.targets, [99]);
    let answers = rolling.answers("a", &[99, 100]).await.unwrap();
    let answer = |source, id| AnswerRow { source, target: source - 1, low: 0xabcd, id };
    assert_eq!(answers, [answer(100, 3), answer(101, 4)]);
    assert_eq!(rolling.missing("a", &[100], 1, "stored_elsewhere").await.unwrap(), [(100, 0xabcd, 0x11)]);
    assert!(rolling.missing("a", &[100], 1, "parent_not_stored").await.unwrap().is_empty());
    assert!(rolling.missing("a", &[100], 2, "").await.unwrap().is_empty());
    assert_eq!(rolling.strangers(3, 6, 0).await.unwrap(), [("a".to_owned(), 100), ("a".to_owned(), 101)]);
    assert!(rolling.strangers(0, 5, 1).await.unwrap().is_empty());
    assert_eq!(rolling.strangers(9, 5, 2).await.unwrap().len(), 3);
}

// Scenario: spans are inserted in parts, which are merged; one of them is referred to by a rolled minute.
// Guarantee: parts tell their minutes and who refers to their spans; narrow reading gives each span once,
// whole or in parts, by id and by trace.
#[tokio::test]
async fn parts_tell_what_they_touch() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let client = admin(engine, &store);
    let rolling = store.rolling().unwrap();
    let table = rolling.table(Table::Traces).await.unwrap().unwrap();
    assert!(table.ordered && !table.id.is_empty());
    execute(&client, "SYSTEM STOP MERGES otel_traces").await;
    let insert = |tenant: &str, trace: &str, id: &str, at_s: u32| {
        format!(
            "INSERT INTO otel_traces (Tenant, Timestamp, TraceId, SpanId, SpanKind, ServiceName, StatusCode, Marks, `Links.TraceId`, `Links.SpanId`) VALUES ('{tenant}', toDateTime64({at_s}, 9), '{trace}', '{id}', 'Server', 'pay', 'Error', 32, ['{trace}'], ['{id}'])"
        )
    };
    let trace = "0000000000000001000000000000abcd";
    execute(&client, &insert("a", trace, "0000000000000011", 6_000)).await;
    execute(&client, &insert("a", trace, "0000000000000012", 6_061)).await;
    execute(&client, &insert("b", trace, "0000000000000011", 6_000)).await;
    rolling.write_minutes(&[generation("a", 200, 1, 2.0)]).await.unwrap();
    let parts = rolling.parts(Table::Traces).await.unwrap();
    assert_eq!(parts.len(), 3);
    assert!(parts.is_sorted_by_key(|part| part.last));
    let names: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
    let touched = rolling.touched(&names).await.unwrap();
    let touched: Vec<_> = touched.iter().map(|row| (row.tenant.as_str(), row.minute, row.spans)).collect();
    assert_eq!(touched, [("a", 100, 1), ("a", 101, 1), ("b", 100, 1)]);
    let wanting = rolling.wanting(&names).await.unwrap();
    assert_eq!(wanting.iter().map(|row| (row.tenant.as_str(), row.minute)).collect::<Vec<_>>(), [("a", 200)]);
    assert_eq!(wanting[0].lows.len(), 1);
    assert!(rolling.wanting(&names[1..]).await.unwrap().is_empty(), "another tenant's span is no answer");
    assert_eq!(rolling.counts("a", 100, 101).await.unwrap(), [(100, 1), (101, 1)]);

    let window = (6_000_000_000_000, 6_120_000_000_000);
    let ids = ["0000000000000011".to_owned()];
    let batches = rolling.batches("a", window).await.unwrap();
    assert_eq!(batches, [(0, 2)], "the hand-written rows have no batch of their own");
    let traces = [trace.to_owned()];
    let mut read = Vec::new();
    for which in [
        Which::All,
        Which::Part { part: 0, of: 2 },
        Which::Part { part: 1, of: 2 },
        Which::Batches { ids: &[0], part: 0, of: 1 },
        Which::Batches { ids: &[0, u128::MAX], part: 0, of: 2 },
        Which::Batches { ids: &[u128::MAX], part: 0, of: 1 },
        Which::TraceIds(&traces, &ids),
    ] {
        let mut found = Vec::new();
        rolling
            .spans("a", window, which, |row| {
                assert!(row.error && row.shared && row.kind == "Server" && row.weight == 1.0);
                assert_eq!(
                    (row.link_trace_ids.as_slice(), row.link_span_ids.as_slice()),
                    (&[trace][..], &[row.span_id][..])
                );
                found.push(row.start_ns / 1_000_000_000);
            })
            .await
            .unwrap();
        found.sort_unstable();
        read.push(found);
    }
    assert_eq!(read[0], [6_000, 6_061]);
    assert_eq!([read[1].clone(), read[2].clone()].concat(), [6_000, 6_061], "one of the parts has the trace whole");
    let of_batches = (&read[3], read[4].len() % 2, &read[5]);
    assert_eq!(of_batches, (&read[0], 0, &vec![]), "batches are read whole, a part has the trace whole or not at all");
    assert_eq!(read[6], [6_000]);

    execute(&client, "SYSTEM START MERGES otel_traces").await;
    execute(&client, "OPTIMIZE TABLE otel_traces FINAL").await;
    let merged = rolling.parts(Table::Traces).await.unwrap();
    assert_eq!((merged.len(), merged[0].first, merged[0].last), (1, parts[0].first, parts[2].last));
    assert!(rolling.touched(&names).await.unwrap().is_empty(), "parts that are gone touch nothing");
}

// Scenario: progress is noted twice; two take the lease, one lets it expire.
// Guarantee: the later note counts, a forgotten partition is gone; the lease is held by the lowest owner of
// the highest epoch until it expires.
#[tokio::test]
async fn progress_and_leases() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let rolling = store.rolling().unwrap();
    let row = |partition: &str, last: &[i64]| ProgressRow {
        partition: partition.to_owned(),
        first: last.iter().map(|last| last - 1).collect(),
        last: last.to_vec(),
    };
    rolling.write_progress("t", 1, &[row("p", &[4]), row("q", &[5, 9])]).await.unwrap();
    rolling.write_progress("t", 2, &[row("p", &[])]).await.unwrap();
    rolling.write_progress("other", 3, &[row("q", &[7])]).await.unwrap();
    assert_eq!(rolling.progress("t").await.unwrap(), [row("q", &[5, 9])]);

    assert_eq!(rolling.leader().await.unwrap(), None);
    rolling.lease(1, 20, Duration::from_secs(60)).await.unwrap();
    rolling.lease(1, 10, Duration::from_millis(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let leader = rolling.leader().await.unwrap().unwrap();
    assert_eq!((leader.epoch, leader.owner, leader.alive), (1, 10, false));
    rolling.lease(2, 30, Duration::from_secs(60)).await.unwrap();
    let leader = rolling.leader().await.unwrap().unwrap();
    assert_eq!((leader.epoch, leader.owner, leader.alive), (2, 30, true));
}
