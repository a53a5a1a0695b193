//! The `clickhouse` crate, which is how our own code reaches the engine.

use clickhouse::{Client, Compression};

use crate::support::Engine;

#[derive(clickhouse::Row, serde::Serialize, serde::Deserialize, Debug, PartialEq, Clone)]
struct Event {
    n: u64,
    name: String,
    tags: Vec<(String, String)>,
}

fn client(engine: &Engine) -> Client {
    Client::default()
        .with_url(&engine.address.url)
        .with_user(&engine.address.user)
        .with_password(&engine.address.password)
        .with_database("hypocenter")
}

// Scenario: the crate's typed and formatted inserts, typed and raw answers, parameters, errors,
// with and without its LZ4.
// Guarantee: everything round-trips; failures arrive as ClickHouse's text, also late ones.
#[test]
fn the_crate_works() {
    let mut engine = Engine::start();
    for compression in [Compression::None, Compression::Lz4] {
        let client = client(&engine).with_compression(compression);
        engine.runtime.block_on(async {
            client
                .query("CREATE OR REPLACE TABLE e (n UInt64, name String, tags Map(String, String)) ENGINE = MergeTree ORDER BY n")
                .execute()
                .await
                .unwrap();
            let rows: Vec<Event> = (0..5000)
                .map(|n| Event { n, name: format!("é\n\n;{n}"), tags: vec![("k".into(), n.to_string())] })
                .collect();
            let mut insert = client.insert::<Event>("e").await.unwrap();
            for row in &rows {
                insert.write(row).await.unwrap();
            }
            insert.end().await.unwrap();
            let back = client.query("SELECT ?fields FROM e ORDER BY n").fetch_all::<Event>().await.unwrap();
            assert_eq!(back, rows);
            let one = client
                .query("SELECT ?fields FROM e WHERE name = {name:String}")
                .param("name", "é\n\n;77")
                .fetch_one::<Event>()
                .await
                .unwrap();
            assert_eq!(one.n, 77);

            // Raw Native out, raw Native in, under a token.
            let mut bytes = client.query("SELECT * FROM e ORDER BY n").fetch_bytes("Native").unwrap();
            let native = bytes.collect().await.unwrap();
            client.query("CREATE OR REPLACE TABLE f AS e SETTINGS non_replicated_deduplication_window = 100").execute().await.unwrap();
            for _ in 0..2 {
                let mut insert = client
                    .insert_formatted_with("INSERT INTO f FORMAT Native")
                    .with_setting("insert_deduplication_token", "once")
                    .with_setting("async_insert", "0");
                insert.send(native.clone()).await.unwrap();
                insert.end().await.unwrap();
            }
            let same = "SELECT assumeNotNull((SELECT count() FROM f) = 5000 AND (SELECT groupArray((n, name)) FROM (SELECT * FROM e ORDER BY n)) = (SELECT groupArray((n, name)) FROM (SELECT * FROM f ORDER BY n))) = 1";
            assert!(client.query(same).fetch_one::<bool>().await.unwrap());

            // Dropped before its end: nothing arrives.
            let mut insert = client.insert_formatted_with("INSERT INTO f FORMAT Native");
            insert.send(native.clone()).await.unwrap();
            drop(insert);

            let error = client.query("SELECT * FROM nowhere").execute().await.unwrap_err().to_string();
            assert!(error.contains("Code: 60"), "{error}");
            let mut insert = client.insert_formatted_with("INSERT INTO nowhere FORMAT Native");
            let sent = insert.send(native.clone()).await;
            let error = sent.and(insert.end().await).unwrap_err().to_string();
            assert!(error.contains("Code: 60"), "{error}");
            let late = client
                .query("SELECT number, throwIf(number = 3000000) FROM numbers(4000000)")
                .fetch_all::<(u64, u8)>()
                .await
                .unwrap_err()
                .to_string();
            assert!(late.contains("Code: 395"), "{late}");
            let rows = client.query("SELECT count() FROM f").fetch_one::<u64>().await.unwrap();
            assert_eq!(rows, 5000);
        });
    }
    engine.stop();
}

// Scenario: a typed answer of many blocks, read through the crate.
// Guarantee: every row arrives once, whatever the engine's blocks were.
#[test]
fn typed_answers_of_many_blocks() {
    let mut engine = Engine::start();
    let client = client(&engine);
    engine.runtime.block_on(async {
        let sql = "SELECT number AS n, 'name' AS name, [('k', toString(number))]::Map(String, String) AS tags FROM numbers(200000) UNION ALL SELECT number, 'x', map() FROM numbers(7)";
        let rows = client.query(sql).with_setting("max_block_size", "10000").fetch_all::<Event>().await.unwrap();
        assert_eq!(rows.len(), 200_007);
        assert_eq!(rows.iter().map(|row| row.n).sum::<u64>(), 199_999 * 100_000 + 21);
    });
    engine.stop();
}
