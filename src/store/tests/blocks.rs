//! What goes in as a batch comes out of the tables as the same rows, once.

use std::collections::{BTreeMap, HashSet};

use model::{BatchId, Table, TableDef};
use serde_json::Value;
use store::{Block, SealedBlock, Store, lanes};

use crate::sample;
use crate::support::{ALWAYS, Engine, admin, number, of, rows, seal};

// Scenario: random batches with every column filled: empty and nested lists, several tenants' worth
// of resources, hostile texts, rows over three days.
// Guarantee: every table holds exactly the rows of the blocks, value by value.
#[tokio::test]
async fn every_column_comes_back() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let client = admin(engine, &store);
    let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (seed, size) in [(1, 1), (2, 7), (3, 300)] {
        let batch = sample::batch(seed, size);
        for block in seal(&batch, seed * 1000) {
            store.insert(&block).await.unwrap();
            let rows = (0..block.native.rows())
                .map(|row| canonical(serde_json::from_str(&block.native.row_as_json(row)).unwrap()));
            expected.entry(block.table.def().name).or_default().extend(rows);
        }
    }
    for table in Table::ALL {
        let def = table.def();
        let sql = format!("SELECT {} FROM (SELECT * FROM {})", select_list(def), def.name);
        let mut found: Vec<String> = rows(&client, &sql).await.into_iter().map(canonical).collect();
        let mut wanted = expected.remove(def.name).unwrap();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found.len(), wanted.len(), "{}", def.name);
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "{}", def.name);
        }
    }
    let sizes = store.table_sizes().await.unwrap();
    let of_traces = sizes.iter().find(|size| size.table == "otel_traces").unwrap();
    assert_eq!(of_traces.rows, 308);
}

// Scenario: columns with 300, 65,536 and 70,000 distinct values, in one block each.
// Guarantee: ClickHouse reads the wider indexes; every value is there once.
#[tokio::test]
async fn wide_dictionaries() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let client = admin(engine, &store);
    for (at, distinct) in [300u32, 65_536, 70_000].into_iter().enumerate() {
        let mut batch = sample::on_days(&vec![20_000; distinct as usize], &[]);
        batch.spans.name = model::DictColumn::default();
        for row in 0..distinct {
            batch.spans.name.push(format!("name {row}").as_bytes());
        }
        for block in of(seal(&batch, 100 * at as u64), Table::Traces) {
            store.insert(&block).await.unwrap();
            let sql = format!(
                "SELECT uniqExact(SpanName) FROM otel_traces WHERE BatchId = toUInt128('{}') AND SpanName LIKE 'name %'",
                block.batch.0
            );
            assert_eq!(number(&client, &sql).await, u64::from(distinct));
        }
    }
}

// Scenario: a block is inserted twice under its token, and its rows once more under another id; batches
// are looked up that are there, that are not, and in the wrong times.
// Guarantee: a repeat adds nothing; presence is told by id.
#[tokio::test]
async fn repeats_and_presence() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let client = admin(engine, &store);
    let batch = sample::on_days(&[20_000, 20_000], &[(20_000, true)]);
    for first in [1, 1, 50] {
        for block in seal(&batch, first) {
            store.insert(&block).await.unwrap();
        }
    }
    let counts = "SELECT [(SELECT count() FROM otel_traces), (SELECT count() FROM otel_logs), (SELECT count() FROM otel_traces_trace_id_ts)] AS n";
    assert_eq!(rows(&client, counts).await[0]["n"], serde_json::json!([4, 2, 4]));
    for block in seal(&batch, 1) {
        let (table, id) = (block.table, block.batch);
        let other = BatchId::new(1, 1);
        assert!(store.is_present(table, id, times(&batch, table)).await.unwrap(), "{table:?}");
        assert_eq!(store.present(table, &[other, id], ALWAYS).await.unwrap(), HashSet::from([id]));
        assert!(!store.is_present(table, id, (0, 1)).await.unwrap(), "{table:?} is bounded by time");
    }
}

// Scenario: 60,000 rows of one day, above the size where ClickHouse would cut or join blocks by itself.
// Guarantee: the insert is one part.
#[tokio::test]
async fn one_insert_is_one_part() {
    let engine = Engine::shared();
    let store = engine.store_with(|config| config.compression = store::Compression::Lz4);
    store.apply_schema().await.unwrap();
    let client = admin(engine, &store);
    let batch = sample::on_days(&vec![20_000; 60_000], &[]);
    insert_table(&store, &batch, Table::Traces).await;
    let parts =
        "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'otel_traces' AND level = 0";
    assert_eq!((number(&client, "SELECT count() FROM otel_traces").await, number(&client, parts).await), (60_000, 1));
}

async fn insert_table(store: &Store, batch: &model::Batch, table: Table) {
    for (key, ranges) in lanes(batch).into_iter().filter(|(key, _)| key.table == table) {
        let mut block = Block::new(key.table);
        ranges.into_iter().for_each(|rows| block.append(batch, rows));
        let id = BatchId::new(9, 9);
        store.insert(&SealedBlock { table, batch: id, rows: block.rows(), native: block.finish(id) }).await.unwrap();
    }
}

fn times(batch: &model::Batch, table: Table) -> (i64, i64) {
    let mut block = Block::new(table);
    for (_, ranges) in lanes(batch).into_iter().filter(|(key, _)| key.table == table) {
        ranges.into_iter().for_each(|rows| block.append(batch, rows));
    }
    block.time_range_ns()
}

// Columns as a dead letter shows them: times as numbers, wide numbers as text.
fn select_list(def: &TableDef) -> String {
    let column = |column: &model::ColumnDef| {
        let name = format!("`{}`", column.name);
        match column.ty {
            "DateTime64(9)" => format!("toUnixTimestamp64Nano({name}) AS {name}"),
            "Array(DateTime64(9))" => format!("arrayMap(t -> toUnixTimestamp64Nano(t), {name}) AS {name}"),
            "DateTime" => format!("toUnixTimestamp({name}) AS {name}"),
            _ => name,
        }
    };
    def.columns.iter().filter(|def| def.name != "BatchId").map(column).collect::<Vec<_>>().join(", ")
}

fn canonical(row: Value) -> String {
    let Value::Object(pairs) = row else { panic!("{row} is no row") };
    let kept = pairs.into_iter().filter(|(_, value)| {
        !(value.is_null()
            || value == ""
            || value == false
            || value.as_f64() == Some(0.0)
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty))
    });
    Value::Object(kept.collect()).to_string()
}
