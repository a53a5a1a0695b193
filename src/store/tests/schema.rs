//! The schema in the engine is the column table in `model`, however often and by however many it is
//! applied.

use std::fmt::Write as _;
use std::time::Duration;

use model::Table;

use crate::sample;
use crate::support::{Engine, admin, execute, number, rows, seal, until};

// Scenario: the schema is applied to an empty server by two collectors at once, then again.
// Guarantee: every table has exactly the columns, types and codecs of the column table, in order; the
// second time changes nothing.
#[tokio::test]
async fn describe_is_the_column_table() {
    let engine = Engine::shared();
    let store = engine.store();
    let (first, second) = tokio::join!(store.apply_schema(), store.apply_schema());
    first.unwrap();
    second.unwrap();
    let client = admin(engine, &store);
    let tables = "SELECT name, create_table_query, metadata_version FROM system.tables WHERE database = currentDatabase() ORDER BY name";
    let before = rows(&client, tables).await;
    store.apply_schema().await.unwrap();
    assert_eq!(rows(&client, tables).await, before);
    assert_eq!(
        number(&client, "SELECT toUInt64(max(Version)) FROM schema_version").await,
        u64::from(store::SCHEMA_VERSION)
    );
    for table in Table::ALL {
        let sql = format!(
            "SELECT name, type, compression_codec FROM system.columns WHERE database = currentDatabase() AND table = '{}' AND default_kind = '' ORDER BY position",
            table.def().name
        );
        let found: Vec<String> = rows(&client, &sql)
            .await
            .iter()
            .map(|row| format!("{} {} {}", row["name"], row["type"], row["compression_codec"]))
            .collect();
        let expected: Vec<String> = table
            .def()
            .columns
            .iter()
            .map(|column| format!("{:?} {:?} \"CODEC({})\"", column.name, column.ty, column.codec))
            .collect();
        assert_eq!(found, expected, "{}", table.def().name);
    }
    assert!(
        store.guarantees().iter().all(|(_, guarantee)| *guarantee == store::Guarantee::ExactlyOnce),
        "{:?}",
        store.guarantees()
    );
    assert_eq!(store.server_info().await.unwrap().version, "26.7.2.1");
    store.ping().await.unwrap();
}

// Scenario: retention is set, shortened and switched off again, with expired rows in the tables.
// Guarantee: the tables follow; rows that are old by event time but were received just now are kept.
#[tokio::test]
async fn retention_is_followed() {
    let engine = Engine::shared();
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let database = "retention".to_owned();
    let with = |traces: u64| {
        engine.store_with(|config| {
            config.database = database.clone();
            config.retention.traces = days(traces);
            config.retention.logs = days(0);
        })
    };
    let store = with(50_000);
    store.apply_schema().await.unwrap();
    let client = admin(engine, &store);
    let mut batch = sample::on_days(&[20_000], &[]);
    for (first, received_ns) in [(1, batch.envelope.received_ns), (10, now_ns())] {
        batch.envelope.received_ns = received_ns;
        for block in seal(&batch, first) {
            store.insert(&block).await.unwrap();
        }
    }
    let ttl = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'otel_traces' AND engine_full LIKE '% TTL %'";
    assert_eq!((number(&client, ttl).await, number(&client, "SELECT count() FROM otel_traces").await), (1, 2));
    with(1).apply_schema().await.unwrap();
    until("the old row has gone", async || {
        execute(&client, "OPTIMIZE TABLE otel_traces").await;
        number(&client, "SELECT count() FROM otel_traces").await == 1
    })
    .await;
    with(0).apply_schema().await.unwrap();
    assert_eq!(number(&client, ttl).await, 0);
    assert_eq!(
        number(&client, "SELECT count() FROM otel_traces_trace_id_ts").await,
        2,
        "logs are kept for ever, so the index is"
    );
}

// Scenario: questions about an hour of four days of spans, logs and points, about one batch and about a trace.
// Guarantee: the time predicate leaves out other partitions and other parts of the same one; batch and
// trace are found through their indexes.
#[tokio::test]
async fn predicates_prune() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let client = admin(engine, &store);
    let spread = "toDateTime64('2024-10-01 00:00:00', 9, 'UTC') + toIntervalSecond(number * 3)";
    let fill = [
        format!(
            "INSERT INTO otel_traces (Timestamp, TraceId, BatchId) SELECT {spread}, lower(hex(sipHash128(number))), intDiv(number, 5000) FROM numbers(115200)"
        ),
        format!(
            "INSERT INTO otel_logs (Timestamp, TraceId, ServiceName, Body) SELECT {spread}, lower(hex(sipHash128(number))), toString(number % 5), concat('Word', toString(number)) FROM numbers(115200)"
        ),
        format!("INSERT INTO otel_metrics_sum (TimeUnix, MetricName) SELECT {spread}, 'requests' FROM numbers(115200)"),
    ];
    for sql in fill {
        execute(&client, &sql).await;
    }
    for table in ["otel_traces", "otel_logs", "otel_metrics_sum"] {
        execute(&client, &format!("OPTIMIZE TABLE {table} FINAL")).await;
    }
    let hour = |column: &str| {
        format!(
            "{column} >= toDateTime64('2024-10-02 12:00:00', 9, 'UTC') AND {column} < toDateTime64('2024-10-02 13:00:00', 9, 'UTC')"
        )
    };
    let cases = [
        ("otel_traces", hour("Timestamp"), 2),
        ("otel_logs", hour("Timestamp"), 2),
        ("otel_metrics_sum", hour("TimeUnix"), 2),
        ("otel_traces", "BatchId = toUInt128(7)".to_owned(), 2),
        ("otel_traces", "TraceId = lower(hex(sipHash128(toUInt64(50000))))".to_owned(), 3),
        ("otel_logs", "hasAllTokens(lower(Body), ['word50000'])".to_owned(), 1),
    ];
    for (table, predicate, granules_max) in cases {
        let explained =
            rows(&client, &format!("EXPLAIN indexes = 1 SELECT count() FROM {table} WHERE {predicate}")).await;
        let plan = explained.iter().filter_map(|row| row["explain"].as_str()).fold(String::new(), |mut plan, line| {
            let _ = writeln!(plan, "{line}");
            plan
        });
        let granules = plan.lines().filter_map(|line| line.trim().strip_prefix("Granules: ")).next_back();
        let (left, all) =
            granules.and_then(|text| text.split_once('/')).unwrap_or_else(|| panic!("no granules in\n{plan}"));
        let left: u32 = left.parse().unwrap();
        assert!(left <= granules_max && left > 0, "{table} WHERE {predicate}: {left}/{all} granules\n{plan}");
    }
}

fn now_ns() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64
}
