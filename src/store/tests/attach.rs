//! Tables that the OpenTelemetry ClickHouse exporter made before us.

use store::Guarantee;

use crate::sample;
use crate::support::{Engine, admin, execute, number, rows, seal};

/// The exporter's tables, abridged where it does not matter: names, types, keys and engines are its own.
const EXPORTER: [&str; 3] = [
    "CREATE TABLE otel_traces (
        Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)), TraceId String CODEC(ZSTD(1)), SpanId String CODEC(ZSTD(1)),
        ParentSpanId String CODEC(ZSTD(1)), TraceState String CODEC(ZSTD(1)), SpanName LowCardinality(String) CODEC(ZSTD(1)),
        SpanKind LowCardinality(String) CODEC(ZSTD(1)), ServiceName LowCardinality(String) CODEC(ZSTD(1)),
        ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)), ScopeName String CODEC(ZSTD(1)), ScopeVersion String CODEC(ZSTD(1)),
        SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)), Duration UInt64 CODEC(ZSTD(1)),
        StatusCode LowCardinality(String) CODEC(ZSTD(1)), StatusMessage String CODEC(ZSTD(1)),
        Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
        Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
        INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
    ) ENGINE = MergeTree() PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
    TTL toDateTime(Timestamp) + toIntervalDay(3) SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1",
    "CREATE TABLE otel_traces_trace_id_ts (TraceId String CODEC(ZSTD(1)), Start DateTime CODEC(Delta, ZSTD(1)), End DateTime CODEC(Delta, ZSTD(1)),
        INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
    ) ENGINE = MergeTree() PARTITION BY toDate(Start) ORDER BY (TraceId, Start)",
    "CREATE TABLE otel_logs (
        Timestamp DateTime64(9), TimestampTime DateTime DEFAULT toDateTime(Timestamp), TraceId String, SpanId String, TraceFlags UInt8,
        SeverityText LowCardinality(String), SeverityNumber UInt8, ServiceName LowCardinality(String), Body String,
        ResourceSchemaUrl LowCardinality(String), ResourceAttributes Map(LowCardinality(String), String), ScopeSchemaUrl LowCardinality(String),
        ScopeName String, ScopeVersion LowCardinality(String), ScopeAttributes Map(LowCardinality(String), String), LogAttributes Map(LowCardinality(String), String),
        `__otel_materialized_k8s.pod.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.pod.name'] CODEC(ZSTD(1))
    ) ENGINE = MergeTree() PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, TimestampTime, Timestamp)",
];

// Scenario: the exporter made the tables and put rows in; we attach, twice, and insert.
// Guarantee: old rows stay readable, new rows are stored whole, repeats are recognised; where its
// partitions do not fit our promise, that is said.
#[tokio::test]
async fn exporter_tables_are_completed() {
    let engine = Engine::shared();
    let store = engine.store();
    let client = admin(engine, &store);
    execute(&client.clone().with_database("system"), &format!("CREATE DATABASE {}", store.database())).await;
    for sql in EXPORTER {
        execute(&client, sql).await;
    }
    execute(&client, "INSERT INTO otel_traces (Timestamp, TraceId, `Events.Timestamp`, `Events.Name`, `Events.Attributes`) VALUES (now64(9), 'old', [now64(9), now64(9)], ['a', 'b'], [map('k', 'v'), map()])").await;
    store.apply_schema().await.unwrap();
    store.apply_schema().await.unwrap();
    let batch = sample::batch(11, 60);
    for _ in 0..2 {
        for block in seal(&batch, 1) {
            store.insert(&block).await.unwrap();
            assert!(store.is_present(block.table, block.batch, crate::support::ALWAYS).await.unwrap());
        }
    }
    assert_eq!(number(&client, "SELECT count() FROM otel_traces").await, 61);
    assert_eq!(number(&client, "SELECT count() FROM otel_logs").await, 60);
    let old = rows(
        &client,
        "SELECT `Events.Name` AS n, `Events.AttributeTypes` AS t, Tenant FROM otel_traces WHERE TraceId = 'old'",
    )
    .await;
    assert_eq!(old, [serde_json::json!({"n": ["a", "b"], "t": ["", ""], "Tenant": ""})]);
    assert!(
        number(&client, "SELECT countIf(length(`Links.Flags`) > 0) FROM otel_traces WHERE Tenant = 'blue'").await > 0
    );
    for (table, guarantee) in store.guarantees() {
        match (table, guarantee) {
            (model::Table::TraceIndex, Guarantee::AtLeastOnce { reason }) => {
                assert!(reason.contains("toDate(Start)"), "{reason}")
            }
            (_, guarantee) => assert_eq!(guarantee, Guarantee::ExactlyOnce, "{table:?}"),
        }
    }
    let settings = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'otel_logs' AND engine_full LIKE '%non_replicated_deduplication_window = 10000%' AND engine_full LIKE '%fsync_after_insert = 1%'";
    assert_eq!(number(&client, settings).await, 1);
}

// Scenario: tables that may not be altered (here: an engine that cannot be), and one whose columns are
// of another kind altogether.
// Guarantee: rows go in with the columns that exist, and the weaker guarantee is told; what cannot be
// joined is refused with the table and column named.
#[tokio::test]
async fn foreign_tables() {
    let engine = Engine::shared();
    let store = engine.store();
    let client = admin(engine, &store);
    execute(&client.clone().with_database("system"), &format!("CREATE DATABASE {}", store.database())).await;
    execute(&client, "CREATE TABLE otel_traces (Timestamp DateTime64(9), TraceId String, SpanName LowCardinality(String), SpanAttributes Map(LowCardinality(String), String)) ENGINE = Log").await;
    store.apply_schema().await.unwrap();
    let batch = sample::on_days(&[20_000, 20_000], &[]);
    for block in seal(&batch, 1) {
        store.insert(&block).await.unwrap();
        let known = store.is_present(block.table, block.batch, crate::support::ALWAYS).await.unwrap();
        assert_eq!(known, block.table != model::Table::Traces);
    }
    assert_eq!(number(&client, "SELECT count() FROM otel_traces WHERE TraceId != ''").await, 2);
    let guarantees = store.guarantees();
    assert!(
        matches!(&guarantees[0].1, Guarantee::AtLeastOnce { reason } if reason.contains("columns cannot be added")),
        "{guarantees:?}"
    );
    execute(&client, "DROP TABLE otel_logs SYNC").await;
    execute(
        &client,
        "CREATE TABLE otel_logs (Timestamp DateTime64(9), LogAttributes JSON) ENGINE = MergeTree ORDER BY Timestamp",
    )
    .await;
    let error = store.apply_schema().await.unwrap_err().to_string();
    assert!(error.contains("otel_logs") && error.contains("LogAttributes") && error.contains("JSON"), "{error}");
}
