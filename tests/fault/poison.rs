//! Rows that ClickHouse never takes, met at the worst of times: while the journal is full, and with a kill
//! around the burial; refusals that are not about rows at all. Scenarios 49 to 51.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::time::sleep;

use crate::Outcome;
use crate::disks::{refusals, resumes};
use crate::item::mix;
use crate::kills::{orderly_end, usual_load};
use crate::oracle::Command;
use crate::outage::{Letters, pass, with_letters};
use crate::process::{Hypocenter, Setup};
use crate::proxy::{Action, Decide, Proxy};
use crate::report::{Report, Stop};
use crate::rig::{Oracle, Rig};

/// What is in every poison row.
const POISON: &str = "poison-";
const SERVICES: [&str; 3] = ["trace.v1.TraceService", "logs.v1.LogsService", "metrics.v1.MetricsService"];

// Scenario: a row that will never be taken lies in the oldest segment of a journal whose budget is spent.
// Guarantee: refusals are retryable, and readiness says no over HTTP and gRPC, without flapping; the row is buried
// although there is no room, so the rest drains, readiness returns, and all but the one row is stored once.
pub async fn poison_when_full(rig: &Rig) -> Outcome {
    let mut store = rig.store().await?;
    let proxy = Proxy::start(store.address(), pass()).await.map_err(|error| error.to_string())?;
    let mut setup = Setup::remote(&rig.programs, &rig.path("data"), &store, &proxy.url, "hypocenter");
    setup.set("journal.budget=16MiB");
    setup.set("ingest.block_memory_max=4MiB");
    let mut report = Report { cycles: 1, ..Report::default() };
    let mut oracle = rig.oracle().await?;
    let mut hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    report.require(hypocenter.serving(&rig.client).await, "gRPC health did not say SERVING at first");
    store.kill().await;
    let marker = marked(rig, &mut oracle, 0).await?;
    oracle.load(6, 400, 0).await?;
    refusals(&mut report, &mut oracle, &mut hypocenter, 50).await?;
    for _ in 0..40 {
        let status = hypocenter.ready_status(&rig.client).await;
        report.require(status == 503, format!("/ready said {status} while requests were refused"));
        report.require(!hypocenter.serving(&rig.client).await, "gRPC health said SERVING while requests were refused");
        sleep(Duration::from_millis(25)).await;
    }
    proxy.decide(refuse(117, "Unexpected data in a column. (INCORRECT_DATA)"));
    store.restart().await?;
    resumes(&mut report, &mut oracle, &mut hypocenter, Instant::now(), "resume_ms").await?;
    with_letters(rig, &mut report, &mut oracle, &hypocenter, &setup, &store.place, &Letters { markers: vec![marker] })
        .await?;
    report.require(hypocenter.ready_status(&rig.client).await == 200, "it was not ready after the drain");
    report.require(hypocenter.serving(&rig.client).await, "gRPC health did not say SERVING after the drain");
    orderly_end(&mut report, &mut hypocenter).await?;
    Ok(report)
}

// Scenario: one poison row after the other, and the process dies right before its burial, right after it, or at random
// around it; every next life verifies what the one before confirmed.
// Guarantee: each row is exactly one dead letter, counted once; everything else is stored once.
pub async fn poison_killed(rig: &Rig) -> Outcome {
    let store = rig.store().await?;
    let proxy = Proxy::start(store.address(), pass()).await.map_err(|error| error.to_string())?;
    let setup = Setup::remote(&rig.programs, &rig.path("data"), &store, &proxy.url, "hypocenter");
    let mut report = Report::default();
    let mut oracle = rig.oracle().await?;
    let mut markers = Vec::new();
    for cycle in 0..rig.cycles(6, 60) {
        // Nothing is buried before the row is acknowledged.
        proxy.decide(Box::new(|_, _| Action::error(500, 241, "Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)")));
        let point = match cycle % 3 {
            0 => vec!["--crash-at".to_owned(), "before-bury:1".to_owned()],
            1 => vec!["--crash-at".to_owned(), "after-bury:1".to_owned()],
            _ => vec![],
        };
        let mut hypocenter = setup.spawn(&point);
        if !hypocenter.ready().await {
            return Err(Stop::Failed("it did not start".into()));
        }
        oracle.target(Some(&hypocenter.doors)).await?;
        markers.push(marked(rig, &mut oracle, cycle + 1).await?);
        proxy.decide(refuse(117, "Unexpected data in a column. (INCORRECT_DATA)"));
        if point.is_empty() {
            sleep(rig.roll_ms(0, 2500)).await;
        } else if tokio::time::timeout(Duration::from_secs(60), hypocenter.ended()).await.is_err() {
            report.require(false, format!("{point:?} was never passed"));
        }
        hypocenter.kill().await;
        oracle.target(None).await?;
        report.cycles += 1;
    }
    let mut hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    usual_load(&mut oracle).await?;
    sleep(Duration::from_millis(500)).await;
    let count = markers.len() as u64;
    with_letters(rig, &mut report, &mut oracle, &hypocenter, &setup, &store.place, &Letters { markers }).await?;
    let counted = hypocenter.ingest(&rig.client).await?["dead_letters"]["traces"].as_u64();
    report.require(counted == Some(count), format!("{counted:?} dead letters are counted, there are {count}"));
    orderly_end(&mut report, &mut hypocenter).await?;
    Ok(report)
}

// Scenario: an error that nobody knows for three rows, each alone in its block; the same error for everything, for a
// while; then no right to insert.
// Guarantee: the rows are held, and buried once other rows go in, which they do not hold up; nothing is buried while nothing goes in; a missing
// right is held, said loudly (status, readiness, metric), and over when the right is there.
pub async fn refused_for_reasons(rig: &Rig) -> Outcome {
    let store = rig.store().await?;
    let proxy = Proxy::start(store.address(), pass()).await.map_err(|error| error.to_string())?;
    let setup = Setup::remote(&rig.programs, &rig.path("data"), &store, &proxy.url, "hypocenter");
    let mut report = Report { cycles: 3, ..Report::default() };
    let mut oracle = rig.oracle().await?;
    let mut hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;

    // As many as there are inserts at a time, each alone in its block: none can prove the other.
    proxy.decide(refuse(2999, "Nobody knows this one. (INVENTED)"));
    let mut markers = Vec::new();
    for number in 0..3 {
        markers.push(marked(rig, &mut oracle, number).await?);
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_secs(7)).await;
    let buried = hypocenter.ingest(&rig.client).await?["dead_letters"]["traces"].as_u64();
    report.require(buried == Some(0), format!("{buried:?} rows were buried while nothing went in"));
    report.require(comes_to_be_held(rig, &hypocenter).await?, "rows with an unknown error are not told");
    usual_load(&mut oracle).await?;
    let began = Instant::now();
    while hypocenter.ingest(&rig.client).await?["dead_letters"]["traces"] != markers.len() {
        if began.elapsed() > Duration::from_secs(90) {
            report.require(false, "the rows with the unknown error were not found");
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    report.note("unknown_found_ms", began.elapsed().as_millis() as u64);

    proxy.decide(Box::new(|_, _| Action::error(500, 2999, "Nobody knows this one. (INVENTED)")));
    sleep(Duration::from_secs(12)).await;
    let buried = hypocenter.ingest(&rig.client).await?["dead_letters"]["traces"].as_u64();
    report.require(buried == Some(markers.len() as u64), format!("{buried:?}: rows were buried while nothing went in"));
    report.require(comes_to_be_held(rig, &hypocenter).await?, "an unknown error for everything is not told");
    proxy.decide(pass());
    sleep(Duration::from_secs(1)).await;

    proxy.decide(Box::new(|_, _| Action::error(403, 497, "hypocenter: Not enough privileges. (ACCESS_DENIED)")));
    report.require(comes_to_be_held(rig, &hypocenter).await?, "a missing right is not told");
    report
        .require(hypocenter.ready_status(&rig.client).await == 200, "data was not accepted while a right was missing");
    proxy.decide(pass());
    with_letters(rig, &mut report, &mut oracle, &hypocenter, &setup, &store.place, &Letters { markers }).await?;
    report.require(!is_held(rig, &hypocenter).await?, "it still calls for a person when all is well");
    orderly_end(&mut report, &mut hypocenter).await?;
    Ok(report)
}

async fn comes_to_be_held(rig: &Rig, hypocenter: &Hypocenter) -> Result<bool, Stop> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if is_held(rig, hypocenter).await? {
            return Ok(true);
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

/// Status, readiness and metrics say that a person is needed.
async fn is_held(rig: &Rig, hypocenter: &Hypocenter) -> Result<bool, Stop> {
    let store = hypocenter.ingest(&rig.client).await?["store"].clone();
    let told = store["state"] == "down" && store["message"].as_str().unwrap_or_default().contains("needs a person");
    let metrics = hypocenter.text(&rig.client, "/metrics").await?;
    let held = metrics.lines().find_map(|line| line.strip_prefix("hypocenter_store_held_blocks "));
    let ready: Value = serde_json::from_str(&hypocenter.text(&rig.client, "/ready").await?).unwrap_or_default();
    let degraded = ready["reason"].as_str().unwrap_or_default().contains("needs a person");
    Ok(told && degraded && held.is_some_and(|blocks| blocks.trim() != "0"))
}

/// Sends one item that no insert may contain.
async fn marked(rig: &Rig, oracle: &mut Oracle, number: u64) -> Result<String, Stop> {
    let marker = format!("{POISON}{:016x}", mix(rig.seed ^ 0xbad ^ number << 32));
    let answer: Value = oracle.ask(&Command::Marked { marker: marker.clone() }).await?;
    answer["number"].as_u64().ok_or("the poison row was not sent")?;
    Ok(marker)
}

fn refuse(code: u32, text: &'static str) -> Decide {
    Box::new(move |target, body| {
        let poisoned = body.windows(POISON.len()).any(|window| window == POISON.as_bytes());
        if poisoned && target.contains("otel_traces") { Action::error(500, code, text) } else { Action::Pass }
    })
}

impl Hypocenter {
    /// What gRPC health says of every OTLP service; they must agree.
    async fn serving(&self, client: &crate::client::Client) -> bool {
        let mut said = Vec::new();
        for service in
            SERVICES.map(|name| format!("opentelemetry.proto.collector.{name}")).iter().chain([&String::new()])
        {
            let mut message = vec![];
            if !service.is_empty() {
                message.extend([0x0a, service.len() as u8]);
                message.extend(service.as_bytes());
            }
            let method = "grpc.health.v1.Health/Check";
            let answer = client.call(&self.doors.grpc, method, None, &message, Duration::from_secs(5)).await;
            said.push(answer.is_ok_and(|answer| answer.message() == Bytes::from_static(&[0x08, 1])));
        }
        said.iter().all(|serving| *serving)
    }

    /// GET `/api/v1/ingest`.
    async fn ingest(&self, client: &crate::client::Client) -> Result<Value, Stop> {
        let text = self.text(client, "/api/v1/ingest").await?;
        Ok(serde_json::from_str(&text).map_err(|error| error.to_string())?)
    }

    async fn text(&self, client: &crate::client::Client, path: &str) -> Result<String, Stop> {
        let url = format!("http://{}{path}", self.http);
        let answer = client.get(&url, Duration::from_secs(10)).await.map_err(|broken| broken.to_string())?;
        Ok(answer.text())
    }
}
