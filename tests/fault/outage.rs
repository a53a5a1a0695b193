//! A store that is away, hangs, commits and says nothing, or says no. Scenarios 8, 9, 10 and 13.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Outcome;
use crate::item::mix;
use crate::kills::{orderly_end, usual_load};
use crate::process::Setup;
use crate::proxy::{Action, Decide, Proxy};
use crate::report::{Report, Stop};
use crate::rig::Rig;

// Scenario: ClickHouse is away for a while under load, and comes back; so often that blocks in memory are full.
// Guarantee: nothing is refused, what was acknowledged is stored once, the backlog drains, and new data is soon queryable.
pub async fn store_down(rig: &Rig) -> Outcome {
    let mut store = rig.store().await?;
    let mut setup = rig.remote(&store);
    // The backlog must be larger than what may wait in memory, so that it is read back from the journal.
    setup.set("ingest.block_memory_max=4MiB");
    let mut hypocenter = setup.start().await?;
    let mut report = Report { cycles: 1, ..Report::default() };
    let mut oracle = rig.oracle().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    let per_second = if rig.full { 10_000 } else { 4000 };
    oracle.load(8, 200, per_second).await?;
    sleep(Duration::from_secs(1)).await;
    store.kill().await;
    let before = oracle.tally().await?;
    let outage = Duration::from_secs(if rig.full { 180 } else { 7 });
    sleep(outage).await;
    let after = oracle.tally().await?;
    report.require(after.refusals == before.refusals, "data was refused while the journal had room");
    report.require(hypocenter.ready_status(&rig.client).await == 200, "it was not ready while the store was away");
    let backlog = after.acked - before.acked;
    let arrival = backlog as f64 / outage.as_secs_f64();
    let back = Instant::now();
    store.restart().await?;
    report.add_live(oracle.probe(&store.place).await?);
    report.note("newest_queryable_ms", back.elapsed().as_millis() as u64);
    hypocenter.flush(&rig.client, Duration::from_secs(600)).await?;
    let drained = back.elapsed().as_secs_f64();
    report.note("backlog", backlog);
    report.note("arrival_per_s", arrival.round());
    report.note("drain_x", ((backlog as f64 / drained / arrival + 1.0) * 10.0).round() / 10.0);
    report.require(
        setup.log().contains("reading from the journal"),
        "memory was never full: the scenario proved nothing",
    );
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &store.place).await?;
    orderly_end(&mut report, &mut hypocenter).await?;
    Ok(report)
}

// Scenario: ClickHouse is stopped (SIGSTOP) under load and goes on later; once Hypocenter is killed and started meanwhile.
// Guarantee: inserts time out, threads do not pile up, what was acknowledged is stored once.
pub async fn store_hangs(rig: &Rig) -> Outcome {
    let store = rig.store().await?;
    let mut setup = rig.remote(&store);
    setup.set(if rig.full { "storage.insert_timeout=30s" } else { "storage.insert_timeout=2s" });
    let hang = Duration::from_secs(if rig.full { 120 } else { 4 });
    let mut hypocenter = setup.start().await?;
    let mut report = Report::default();
    let mut oracle = rig.oracle().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    usual_load(&mut oracle).await?;
    for cycle in 0..rig.cycles(2, 6) {
        sleep(Duration::from_secs(1)).await;
        let threads = hypocenter.threads();
        store.freeze();
        sleep(hang).await;
        report.require(hypocenter.ready_status(&rig.client).await == 200, "it was not ready while the store hung");
        let more = hypocenter.threads().saturating_sub(threads);
        // A few blocking workers come and go.
        report.require(more <= 16, format!("{more} threads more while the store hung"));
        if cycle % 2 == 1 {
            // A start does not wait for the store for long; the old process's inserts are still on their way.
            hypocenter.kill().await;
            oracle.target(None).await?;
            let mut next = setup.spawn(&[]);
            let ready = tokio::time::timeout(Duration::from_secs(4), next.ready()).await;
            store.thaw();
            if !matches!(ready, Ok(true)) && !next.ready().await {
                return Err(Stop::Failed("it did not start while the store hung".into()));
            }
            hypocenter = next;
            oracle.target(Some(&hypocenter.doors)).await?;
        } else {
            store.thaw();
        }
        report.cycles += 1;
        sleep(Duration::from_secs(1)).await;
    }
    let log = setup.log();
    report.require(log.contains("does not take inserts"), "no insert was hit: the scenario proved nothing");
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &store.place).await?;
    Ok(report)
}

// Scenario: ClickHouse commits, and three of ten answers never arrive; Hypocenter is killed now and then.
// Guarantee: what was acknowledged is stored once.
pub async fn answers_lost(rig: &Rig) -> Outcome {
    let store = rig.store().await?;
    let mut dice = mix(rig.seed);
    let lose: Decide = Box::new(move |_, _| {
        dice = mix(dice);
        if dice % 10 < 3 { Action::LoseAnswer } else { Action::Pass }
    });
    let proxy = Proxy::start(store.address(), lose).await.map_err(|error| error.to_string())?;
    let mut setup = Setup::remote(&rig.programs, &rig.path("data"), &store, &proxy.url, "hypocenter");
    setup.set("ingest.linger=50ms");
    let mut report = Report::default();
    let mut oracle = rig.oracle().await?;
    usual_load(&mut oracle).await?;
    for _ in 0..rig.cycles(3, 60) {
        let mut hypocenter = setup.start().await?;
        oracle.target(Some(&hypocenter.doors)).await?;
        sleep(rig.roll_ms(1500, 3000)).await;
        hypocenter.kill().await;
        oracle.target(None).await?;
        report.cycles += 1;
    }
    let hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    sleep(Duration::from_secs(1)).await;
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &store.place).await?;
    report.note("answers_lost", proxy.lost());
    report.note("inserts_passed", proxy.passed());
    report.require(proxy.lost() > 0, "no answer was lost: the scenario proved nothing");
    Ok(report)
}

// Scenario: every error that a ClickHouse in trouble gives, table and column really missing, and a row that it will never take.
// Guarantee: each is met in its way: tried again, schema applied, or halved down to the one row, which becomes a readable dead letter.
pub async fn store_errors(rig: &Rig) -> Outcome {
    let store = rig.store().await?;
    let proxy = Proxy::start(store.address(), pass()).await.map_err(|error| error.to_string())?;
    let setup = Setup::remote(&rig.programs, &rig.path("data"), &store, &proxy.url, "hypocenter");
    let mut hypocenter = setup.start().await?;
    let mut report = Report::default();
    let mut oracle = rig.oracle().await?;
    oracle.target(Some(&hypocenter.doors)).await?;

    // Really missing, while nothing is in them yet.
    let tables = &store.place;
    for sql in [
        "DROP TABLE otel_logs SYNC",
        "ALTER TABLE otel_traces DROP COLUMN Marks",
        "DROP TABLE otel_traces_trace_id_ts SYNC",
    ] {
        tables.run(&rig.client, sql).await?;
    }
    usual_load(&mut oracle).await?;
    sleep(Duration::from_millis(1500)).await;
    for sql in ["SELECT count() FROM otel_logs", "SELECT max(Marks) FROM otel_traces"] {
        let answered = tables.run(&rig.client, sql).await;
        report.require(answered.is_ok(), format!("the schema was not repaired: {answered:?}"));
    }

    // Every error, at inserts of whatever table comes.
    let mut script: VecDeque<Action> = VecDeque::new();
    for _ in 0..rig.cycles(1, 10) {
        script.extend([
            Action::Refuse { status: 500, code: None, text: "<html>Internal Server Error</html>".into() },
            Action::Refuse { status: 503, code: None, text: "upstream connect error".into() },
            Action::error(500, 241, "Memory limit (total) exceeded: would use 4.00 GiB. (MEMORY_LIMIT_EXCEEDED)"),
            Action::error(
                500,
                252,
                "Too many parts (3000). Merges are processing significantly slower. (TOO_MANY_PARTS)",
            ),
            Action::error(500, 243, "Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"),
            Action::error(500, 164, "Cannot execute query in readonly mode. (READONLY)"),
            Action::error(404, 60, "Table hypocenter.otel_traces does not exist. (UNKNOWN_TABLE)"),
            Action::error(404, 16, "No such column Marks in table. (NO_SUCH_COLUMN_IN_TABLE)"),
            Action::error(500, 159, "Timeout exceeded. (TIMEOUT_EXCEEDED)"),
            Action::error(500, 202, "Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)"),
            Action::error(403, 516, "hypocenter: Authentication failed. (AUTHENTICATION_FAILED)"),
        ]);
    }
    let scripted = script.len() as u64;
    proxy.decide(Box::new(move |_, _| script.pop_front().unwrap_or(Action::Pass)));
    let began = Instant::now();
    while proxy.refused() < scripted && began.elapsed() < Duration::from_secs(600) {
        sleep(Duration::from_millis(50)).await;
    }
    report.require(proxy.refused() == scripted, format!("{} of {scripted} errors were met", proxy.refused()));
    report.note("errors_met", proxy.refused());

    // A row that no insert may contain.
    let marker = format!("poison-{:016x}", mix(rig.seed ^ 0xbad));
    let needle = marker.clone();
    proxy.decide(Box::new(move |target, body| {
        let found =
            target.contains("otel_traces") && body.windows(needle.len()).any(|window| window == needle.as_bytes());
        if found { Action::error(500, 117, "Unexpected data in a column. (INCORRECT_DATA)") } else { Action::Pass }
    }));
    let answer: serde_json::Value = oracle.ask(&crate::oracle::Command::Marked { marker: marker.clone() }).await?;
    report.require(answer["number"].is_u64(), "the poison row was not sent");
    let letters = Letters { markers: vec![marker] };
    with_letters(rig, &mut report, &mut oracle, &hypocenter, &setup, tables, &letters).await?;
    report.cycles = scripted + 4;
    orderly_end(&mut report, &mut hypocenter).await?;
    Ok(report)
}

/// Rows that no table takes: each must be one dead letter.
pub struct Letters {
    /// What is in each of them and in nothing else.
    pub markers: Vec<String>,
}

/// The end that all scenarios share, where some rows are dead letters by design.
#[allow(clippy::too_many_arguments)] // The whole scene, once.
pub async fn with_letters(
    rig: &Rig,
    report: &mut Report,
    oracle: &mut crate::rig::Oracle,
    hypocenter: &crate::process::Hypocenter,
    setup: &Setup,
    tables: &crate::sql::Place,
    letters: &Letters,
) -> Result<(), Stop> {
    let mut inner = Report::default();
    let wanted = letters.markers.len() as u64;
    rig.finish(&mut inner, oracle, hypocenter, setup, tables).await?;
    // Those rows are not in their table by design; everything else must be.
    let lost = std::mem::take(&mut inner.found.lost);
    let index_off = std::mem::take(&mut inner.found.index_off);
    inner.against.retain(|why| !why.starts_with("not the zero set"));
    report.require(lost == wanted, format!("{lost} items are missing, {wanted} of them are dead letters"));
    // The index is a table of its own and took its rows of the spans.
    report
        .require(index_off == wanted, format!("the index differs by {index_off}, by {wanted} because of dead letters"));
    let zero = inner.found.dup + inner.found.corrupt + inner.found.spurious + inner.found.torn_requests;
    report.require(zero == 0, format!("not the zero set: {:?}", inner.found));
    for marker in &letters.markers {
        let sql = format!("SELECT count() FROM dead_letters WHERE position(Row, '{marker}') > 0");
        let found = tables.number(&rig.client, &sql).await?;
        report.require(found == 1, format!("{found} dead letters of the one row {marker}"));
    }
    let all = tables.number(&rig.client, "SELECT count() FROM dead_letters").await?;
    report.require(all == wanted, format!("{all} dead letters of {wanted} rows that ClickHouse does not take"));
    report.note("dead_letters", all);
    report.live_ms = inner.live_ms;
    report.rss_max_mib = inner.rss_max_mib;
    report.against.append(&mut inner.against);
    report.notes.append(&mut inner.notes);
    report.add(inner.found);
    Ok(())
}

/// Everything goes through.
pub fn pass() -> Decide {
    Box::new(|_, _| Action::Pass)
}
