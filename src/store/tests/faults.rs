//! Trouble on the way: servers that refuse, hang, or are not there.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use model::Table;
use store::{Config, Endpoint, InsertError, SealedBlock, Store};

use crate::sample;
use crate::support::{ALWAYS, Engine, admin, number, of, seal, store_at};

fn block() -> SealedBlock {
    of(seal(&sample::on_days(&[20_000; 50], &[]), 1), Table::Traces).remove(0)
}

fn store_for(url: String) -> Store {
    let endpoint = Endpoint { url, user: "u".into(), password: "p".into() };
    store_at(endpoint, Config { insert_timeout: Duration::from_secs(2), ..Config::default() })
}

// Answers every request with `answer` once its body has ended, or never, when there is none.
fn scripted(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut hanging = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let Some(answer) = answer else {
                hanging.push(stream);
                continue;
            };
            let (mut seen, mut buffer) = (Vec::new(), [0; 65536]);
            while !seen.ends_with(b"0\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => seen.extend_from_slice(&buffer[..count]),
                }
            }
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

// Scenario: scripted answers of servers and proxies in trouble; nobody listening; a server that takes
// the connection and never answers.
// Guarantee: each has its class, and nothing takes longer than the insert timeout.
#[tokio::test]
async fn classes_of_trouble() {
    let answers = [
        ("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 51\r\n\r\nCode: 241. DB::Exception: memory limit exceeded....", "retry"),
        ("HTTP/1.1 404 Not Found\r\nX-ClickHouse-Exception-Code: 60\r\nContent-Length: 36\r\n\r\nCode: 60. DB::Exception: no table....", "schema"),
        ("HTTP/1.1 400 Bad Request\r\nX-ClickHouse-Exception-Code: 117\r\nContent-Length: 36\r\n\r\nCode: 117. DB::Exception: bad data...", "poison"),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "retry"),
        ("HTTP/1.1 500 Internal Server Error\r\nX-ClickHouse-Exception-Code: 252\r\nContent-Length: 0\r\n\r\n", "retry"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "retry"),
        ("", "retry"),
    ];
    for (answer, class) in answers {
        let error = store_for(scripted(Some(answer))).insert(&block()).await.unwrap_err();
        assert_eq!(error.class(), class, "{answer}: {error}");
    }
    let began = Instant::now();
    let hanging = store_for(scripted(None)).insert(&block()).await.unwrap_err();
    assert!(matches!(hanging, InsertError::Retry(_)), "{hanging}");
    let nobody = store_for("http://127.0.0.1:1".into());
    assert_eq!(nobody.insert(&block()).await.unwrap_err().class(), "retry");
    assert!(nobody.ping().await.is_err() && nobody.apply_schema().await.is_err());
    assert!(began.elapsed() < Duration::from_secs(30), "hanging servers are noticed");
}

// Scenario: there is no endpoint yet; later there is.
// Guarantee: everything says so and can be tried again; nothing hangs.
#[tokio::test]
async fn a_store_that_comes_later() {
    let engine = Engine::shared();
    let (sender, endpoint) = tokio::sync::watch::channel(None);
    let config = Config { database: "later".into(), ..Config::default() };
    let store = Store::new(config, endpoint, &mut prometheus_client::registry::Registry::default()).unwrap();
    assert_eq!(store.insert(&block()).await.unwrap_err().class(), "retry");
    assert!(store.client().is_err() && store.apply_schema().await.is_err());
    sender.send(Some(engine.endpoint.clone())).unwrap();
    assert_eq!(store.insert(&block()).await.unwrap_err().class(), "schema", "the database is not there yet");
    store.apply_schema().await.unwrap();
    store.insert(&block()).await.unwrap();
    assert!(store.is_present(Table::Traces, block().batch, ALWAYS).await.unwrap());
}

// Scenario: a value that the table refuses (here: a constraint), in a block with good rows.
// Guarantee: the block is refused for good, and nothing of it is in the table.
#[tokio::test]
async fn poison_is_told_from_trouble() {
    let engine = Engine::shared();
    let store = engine.store();
    store.apply_schema().await.unwrap();
    let client = admin(engine, &store);
    client.query("ALTER TABLE otel_traces ADD CONSTRAINT c CHECK Duration != 13").execute().await.unwrap();
    let mut batch = sample::on_days(&[20_000; 9], &[]);
    batch.spans.duration[4] = 13;
    let block = of(seal(&batch, 1), Table::Traces).remove(0);
    assert_eq!(store.insert(&block).await.unwrap_err().class(), "poison");
    assert_eq!(number(&client, "SELECT count() FROM otel_traces").await, 0);
    assert!(block.native.row_as_json(4).contains("\"Duration\":13"));
}

// Scenario: the server is stopped (SIGSTOP) while blocks of a few bytes and of several megabytes are
// sent, then goes on, and the same blocks are sent again until they are taken.
// Guarantee: a stopped server is noticed within the timeout; every row is there once.
#[tokio::test]
async fn a_stopped_server_is_noticed() {
    let engine = Engine::start();
    let store = engine.store_with(|config| config.insert_timeout = Duration::from_secs(3));
    store.apply_schema().await.unwrap();
    let client = admin(&engine, &store);
    let small = block();
    let large = of(seal(&sample::on_days(&vec![20_001; 40_000], &[]), 70), Table::Traces).remove(0);
    assert!(large.native.bytes() > 8 << 20);
    signal(engine.pid, "-STOP");
    let began = Instant::now();
    for block in [&small, &large] {
        assert_eq!(store.insert(block).await.unwrap_err().class(), "retry");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    signal(engine.pid, "-CONT");
    for block in [&small, &large] {
        while let Err(error) = store.insert(block).await {
            assert_eq!(error.class(), "retry", "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(number(&client, "SELECT count() FROM otel_traces").await, 40_050);
}

fn signal(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}
