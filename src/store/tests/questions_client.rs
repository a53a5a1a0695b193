//! The client that questions are asked with: bounded, read only, cancelled when its asker goes away.

use std::time::Duration;

use crate::support::{Engine, admin, number, until};

// Scenario: a question that writes, one that reads too much, one that runs too long, and one whose
// asker goes away.
// Guarantee: each ends with the code of its limit; the last one is stopped on the server.
#[tokio::test]
async fn questions_are_bounded() {
    let engine = Engine::shared();
    let store = engine.store_with(|config| {
        config.query.timeout = Duration::from_secs(2);
        config.query.rows_max = 1_000_000;
    });
    store.apply_schema().await.unwrap();
    let client = store.client().unwrap();
    let refused = async |sql: &str, code: &str| {
        let error = client.query(sql).fetch_all::<u64>().await.unwrap_err().to_string();
        assert!(error.contains(code), "{sql}: {error}");
    };
    refused("INSERT INTO loss_ledger (Items) VALUES (1)", "Code: 164").await;
    refused("SELECT count() FROM (SELECT number FROM system.numbers LIMIT 2000000 OFFSET 1000)", "Code: 158").await;
    refused("SELECT sleepEachRow(1) + number FROM numbers(10) SETTINGS max_block_size = 1", "Code: 159").await;
    let with_parameters = client.query("SELECT {n:UInt64} + 1").param("n", 41u64).fetch_one::<u64>().await.unwrap();
    assert_eq!(with_parameters, 42);

    let patient = engine.store().client().unwrap();
    let sql = "SELECT sleepEachRow(1) + number + 987654321 FROM numbers(25) SETTINGS max_block_size = 1";
    let asked = tokio::spawn(async move { patient.with_database("system").query(sql).fetch_all::<u64>().await });
    let own = admin(engine, &store);
    let running =
        "SELECT count() FROM system.processes WHERE query LIKE '%987654321%' AND query NOT LIKE '%processes%'";
    until("it runs", async || number(&own, running).await == 1).await;
    asked.abort();
    until("it is stopped", async || number(&own, running).await == 0).await;
}
