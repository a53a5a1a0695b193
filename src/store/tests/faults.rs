//! Trouble on the way: servers that refuse, hang, or are not there.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use model::Table;
use store::{Config, Endpoint, InsertError, SealedBlock, Store};

use crate::sample;
use crate::support::{ALWAYS, Engine, admin, config, number, of, seal, store_at};

fn block() -> SealedBlock {
    of(seal(&sample::on_days(&[20_000; 50], &[]), 1), Table::Traces).remove(0)
}

fn large() -> SealedBlock {
    let large = of(seal(&sample::on_days(&vec![20_001; 40_000], &[]), 70), Table::Traces).remove(0);
    assert!(large.native.bytes() > 8 << 20);
    large
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
        (
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 51\r\n\r\nCode: 241. DB::Exception: memory limit exceeded....",
            "retry",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nX-ClickHouse-Exception-Code: 60\r\nContent-Length: 36\r\n\r\nCode: 60. DB::Exception: no table....",
            "schema",
        ),
        (
            "HTTP/1.1 400 Bad Request\r\nX-ClickHouse-Exception-Code: 117\r\nContent-Length: 36\r\n\r\nCode: 117. DB::Exception: bad data...",
            "poison",
        ),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "lost"),
        (
            "HTTP/1.1 500 Internal Server Error\r\nX-ClickHouse-Exception-Code: 252\r\nContent-Length: 0\r\n\r\n",
            "retry",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Le", "lost"),
        ("", "lost"),
    ];
    for (answer, class) in answers {
        let error = store_for(scripted(Some(answer))).insert(&block()).await.unwrap_err();
        assert_eq!(error.class(), class, "{answer}: {error}");
    }
    let began = Instant::now();
    let hanging = store_for(scripted(None)).insert(&block()).await.unwrap_err();
    assert!(matches!(hanging, InsertError::Lost(_)), "{hanging}");
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
    let config = config("later");
    let store = Store::new(config, endpoint, &mut prometheus_client::registry::Registry::default()).unwrap();
    assert_eq!(store.insert(&block()).await.unwrap_err().class(), "retry");
    assert!(store.client().is_err() && store.apply_schema().await.is_err());
    sender.send(Some(engine.endpoint.clone())).unwrap();
    assert_eq!(store.insert(&block()).await.unwrap_err().class(), "schema", "the database is not there yet");
    let large = large();
    assert_eq!(
        store.insert(&large).await.unwrap_err().class(),
        "schema",
        "the refusal is heard over the rest of a large body"
    );
    store.apply_schema().await.unwrap();
    store.insert(&block()).await.unwrap();
    store.insert(&large).await.unwrap();
    assert!(store.is_present(Table::Traces, block().batch, ALWAYS).await.unwrap());
}

// Scenario: ClickHouse behind TLS with a certificate of a private authority: known, not known, and a
// file that holds no certificate.
// Guarantee: inserts and questions work with the authority's file, and nothing is sent without it.
#[tokio::test]
async fn tls_with_a_private_authority() {
    let engine = Engine::shared();
    let url = tls_in_front_of(&engine.endpoint.url).await;
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let at = |ca_file: Option<&str>| {
        let endpoint = Endpoint { url: url.clone(), ..engine.endpoint.clone() };
        let config = Config { ca_file: ca_file.map(|name| fixtures.join(name)), ..config("over_tls") };
        store_at(endpoint, config)
    };
    let store = at(Some("ca.pem"));
    store.apply_schema().await.unwrap();
    store.insert(&large()).await.unwrap();
    assert_eq!(store.client().unwrap().query("SELECT 7").fetch_one::<u8>().await.unwrap(), 7);
    let unknown = at(None).ping().await.unwrap_err().to_string();
    assert!(unknown.to_lowercase().contains("certificate"), "{unknown}");
    let no_certificate = at(Some("README.md")).ping().await.unwrap_err().to_string();
    assert!(no_certificate.contains("README.md"), "{no_certificate}");
}

// Ends TLS and passes everything on.
async fn tls_in_front_of(url: &str) -> String {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = CertificateDer::from_pem_slice(include_bytes!("fixtures/tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("fixtures/tls/server.key")).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = url.strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            tokio::spawn(async move {
                let Ok(mut inside) = acceptor.accept(stream).await else { return };
                let mut outside = tokio::net::TcpStream::connect(target).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
            });
        }
    });
    format!("https://localhost:{port}")
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
    let large = large();
    signal(engine.pid, "-STOP");
    let began = Instant::now();
    for block in [&small, &large] {
        assert_eq!(store.insert(block).await.unwrap_err().class(), "lost");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    signal(engine.pid, "-CONT");
    for block in [&small, &large] {
        while let Err(error) = store.insert(block).await {
            assert!(matches!(error.class(), "retry" | "lost"), "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(number(&client, "SELECT count() FROM otel_traces").await, 40_050);
}

fn signal(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}
