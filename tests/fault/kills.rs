//! Deaths of processes: Hypocenter at random and at every named point, its engine, orderly ends, and
//! a second process on the same directory. Scenarios 1, 2, 3, 14, 18, 21 and 52.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::sleep;

use crate::Outcome;
use crate::process::{Hypocenter, Setup, children, lives, signal};
use crate::report::{Report, Stop};
use crate::rig::{Oracle, Rig};
use crate::sql::Place;

/// Four senders; enough for several frames in every group, few enough that checking stays quick.
const SENDERS: usize = 4;
const ITEMS_MAX: u32 = 60;
const PER_SECOND: u64 = 4000;

// Scenario: `kill -9` at random times, also during the start, while four senders send; ClickHouse is remote and lives on.
// Guarantee: what was acknowledged is stored once.
pub async fn kill_remote(rig: &Rig) -> Outcome {
    let store = rig.store().await?;
    let setup = rig.remote(&store);
    kill_loop(rig, &setup, &store.place, rig.cycles(14, 500), Victim::Itself).await
}

// Scenario: the same on the embedded engine; its process dies with its parent, at the same time, or alone.
// Guarantee: what was acknowledged is stored once; the engine's directory opens again.
pub async fn kill_embedded(rig: &Rig) -> Outcome {
    let setup = rig.embedded();
    kill_loop(rig, &setup, &setup.reader(), rig.cycles(8, 500), Victim::Both).await
}

// Scenario: Hypocenter and a remote ClickHouse, killed at random one after the other, together, or one while the other starts.
// Guarantee: what was acknowledged is stored once.
pub async fn kill_either(rig: &Rig) -> Outcome {
    let mut store = rig.store().await?;
    let setup = rig.remote(&store);
    let mut report = Report::default();
    let mut oracle = rig.oracle().await?;
    let mut hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    oracle.load(SENDERS, ITEMS_MAX, PER_SECOND).await?;
    let (mut collector_kills, mut engine_kills) = (0u64, 0u64);
    for _ in 0..rig.cycles(6, 500) {
        sleep(rig.roll_ms(50, 1500)).await;
        let (engine_dies, collector_dies) = [(true, false), (false, true), (true, true)][rig.roll(3) as usize];
        if engine_dies {
            store.kill().await;
            engine_kills += 1;
            sleep(rig.roll_ms(0, 400)).await;
        }
        if collector_dies {
            hypocenter.kill().await;
            collector_kills += 1;
            oracle.target(None).await?;
            hypocenter = setup.spawn(&[]);
            if rig.roll(4) == 0 {
                // Once more, while it starts.
                sleep(rig.roll_ms(5, 400)).await;
                hypocenter.kill().await;
                collector_kills += 1;
                hypocenter = setup.spawn(&[]);
            }
        }
        if engine_dies {
            store.restart().await?;
        }
        if collector_dies {
            if !hypocenter.ready().await {
                return Err(died(&setup));
            }
            oracle.target(Some(&hypocenter.doors)).await?;
        }
        report.cycles += 1;
    }
    report.note("collector_kills", collector_kills);
    report.note("engine_kills", engine_kills);
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &store.place).await?;
    stops_in_order(&mut report, &mut hypocenter).await?;
    recovered(&mut report, &setup);
    Ok(report)
}

#[derive(Clone, Copy, PartialEq)]
enum Victim {
    Itself,
    Both,
}

async fn kill_loop(rig: &Rig, setup: &Setup, place: &Place, cycles: u64, victim: Victim) -> Outcome {
    let mut report = Report { cycles, ..Report::default() };
    let mut oracle = rig.oracle().await?;
    let mut starts = Vec::new();
    oracle.load(SENDERS, ITEMS_MAX, PER_SECOND).await?;
    for cycle in 0..cycles {
        let mut hypocenter = setup.spawn(&[]);
        // Every fifth dies while it starts.
        if cycle % 5 == 4 {
            sleep(rig.roll_ms(5, 400)).await;
            hypocenter.kill().await;
            continue;
        }
        if !hypocenter.ready().await {
            return Err(died(setup));
        }
        starts.push(hypocenter.ready_after);
        oracle.target(Some(&hypocenter.doors)).await?;
        sleep(rig.roll_ms(50, if rig.full { 2000 } else { 1200 })).await;
        let engine = hypocenter.engine_pid().filter(|_| victim == Victim::Both);
        match (engine, rig.roll(3)) {
            // The engine first, so that it cannot notice its parent's death.
            (Some(engine), 0) => signal(engine, Signal::KILL),
            (Some(engine), 1) => {
                signal(engine, Signal::KILL);
                sleep(rig.roll_ms(0, 300)).await;
            }
            _ => {}
        }
        hypocenter.kill().await;
        oracle.target(None).await?;
        if let Some(engine) = engine {
            ends_alone(&mut report, engine).await;
        }
    }
    let mut hypocenter = setup.start().await?;
    starts.push(hypocenter.ready_after);
    oracle.target(Some(&hypocenter.doors)).await?;
    sleep(Duration::from_millis(500)).await;
    rig.finish(&mut report, &mut oracle, &hypocenter, setup, place).await?;
    stops_in_order(&mut report, &mut hypocenter).await?;
    recovered(&mut report, setup);
    note_starts(&mut report, starts);
    Ok(report)
}

// Scenario: the process aborts at every named point of the journal and around the insert, one life after the other on one directory.
// Guarantee: what was acknowledged is stored once.
pub async fn crash_points(rig: &Rig) -> Outcome {
    let store = rig.store().await?;
    let mut setup = rig.remote(&store);
    // Small segments and a short retention, so that all points are passed soon.
    setup.set("journal.segment=128KiB");
    setup.set("journal.confirmed_retention=1s");
    let mut report = Report::default();
    let mut oracle = rig.oracle().await?;
    let mut points: Vec<&str> =
        journal::crash::POINTS.iter().copied().chain(["before-insert", "after-insert"]).collect();
    oracle.load(SENDERS, ITEMS_MAX, PER_SECOND).await?;
    let mut slowest = (Duration::ZERO, "");
    for _ in 0..rig.cycles(1, 20) {
        for at in (1..points.len()).rev() {
            points.swap(at, rig.roll(at as u64 + 1) as usize);
        }
        for point in &points {
            let began = Instant::now();
            // These are passed once or twice at the start; the others all the time.
            let rare = ["segment-create", "header-write", "rename", "dir-fsync", "unlink", "segment-close"];
            let nth = 1 + rig.roll(if rare.contains(point) { 3 } else { 20 });
            let mut hypocenter = setup.spawn(&["--crash-at".to_owned(), format!("{point}:{nth}")]);
            if hypocenter.ready().await {
                oracle.target(Some(&hypocenter.doors)).await?;
            }
            match tokio::time::timeout(Duration::from_secs(45), hypocenter.ended()).await {
                Ok(ended) => {
                    let (status, _) = ended?;
                    let aborted = std::os::unix::process::ExitStatusExt::signal(&status) == Some(6);
                    report.require(aborted, format!("at {point}:{nth} it ended otherwise: {status}"));
                }
                Err(_) => report.require(false, format!("{point}:{nth} was never passed")),
            }
            hypocenter.kill().await;
            oracle.target(None).await?;
            report.cycles += 1;
            slowest = slowest.max((began.elapsed(), point));
        }
    }
    let hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    sleep(Duration::from_millis(500)).await;
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &store.place).await?;
    recovered(&mut report, &setup);
    report.note("slowest_point", format!("{} in {:.1} s", slowest.1, slowest.0.as_secs_f64()));
    Ok(report)
}

// Scenario: the engine dies in the middle of inserts, over and over: a remote one that is started again at once, and the embedded one.
// Guarantee: what was acknowledged is stored once, partly visible inserts included; Hypocenter lives on.
pub async fn engine_killed(rig: &Rig) -> Outcome {
    let mut report = Report::default();
    remote_engine_killed(rig, &mut report).await?;
    embedded_engine_killed(rig, &mut report).await?;
    Ok(report)
}

async fn remote_engine_killed(rig: &Rig, report: &mut Report) -> Result<(), Stop> {
    let mut store = rig.store().await?;
    let mut setup = rig.remote(&store);
    // Many small inserts: more of them are hit.
    setup.set("ingest.linger=20ms");
    let mut hypocenter = setup.start().await?;
    let mut oracle = rig.oracle().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    oracle.load(SENDERS, ITEMS_MAX, PER_SECOND).await?;
    for _ in 0..rig.cycles(10, 200) {
        sleep(rig.roll_ms(50, 900)).await;
        store.kill().await;
        sleep(rig.roll_ms(0, 150)).await;
        store.restart().await?;
        report.cycles += 1;
    }
    rig.finish(report, &mut oracle, &hypocenter, &setup, &store.place).await?;
    report.require(!hypocenter.has_ended(), "Hypocenter ended with its store");
    stops_in_order(report, &mut hypocenter).await
}

async fn embedded_engine_killed(rig: &Rig, report: &mut Report) -> Result<(), Stop> {
    let mut setup = Setup::embedded(&rig.programs, &rig.path("data-embedded"));
    setup.set("ingest.linger=20ms");
    let mut hypocenter = setup.start().await?;
    let mut oracle = rig.oracle_named("oracle-embedded").await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    oracle.load(SENDERS, ITEMS_MAX, PER_SECOND).await?;
    for _ in 0..rig.cycles(4, 40) {
        sleep(rig.roll_ms(100, 900)).await;
        let Some(engine) = engine_of(&hypocenter).await else {
            report.require(false, "the engine did not come back");
            break;
        };
        signal(engine, Signal::KILL);
        report.cycles += 1;
    }
    rig.finish(report, &mut oracle, &hypocenter, &setup, &setup.reader()).await?;
    report.require(!hypocenter.has_ended(), "Hypocenter ended with its engine");
    stops_in_order(report, &mut hypocenter).await
}

// Scenario: SIGTERM while four senders send, over and over; then a second SIGTERM right after the first.
// Guarantee: it ends with success within ten seconds (at once at the second signal), and what was acknowledged is stored once.
pub async fn terminate(rig: &Rig) -> Outcome {
    let setup = rig.embedded();
    let mut report = Report::default();
    let mut oracle = rig.oracle().await?;
    oracle.load(SENDERS, ITEMS_MAX, 0).await?;
    let mut ends = Vec::new();
    for cycle in 0..rig.cycles(3, 50) {
        let mut hypocenter = setup.start().await?;
        oracle.target(Some(&hypocenter.doors)).await?;
        sleep(rig.roll_ms(500, 1500)).await;
        hypocenter.terminate();
        let twice = cycle % 3 == 2;
        if twice {
            sleep(rig.roll_ms(1, 60)).await;
            hypocenter.terminate();
        }
        let (status, took) = hypocenter.ended().await?;
        let code = status.code();
        report
            .require(code == Some(0) || (twice && code == Some(130)), format!("after SIGTERM it ended with {status}"));
        report.require(took <= Duration::from_secs(10), format!("it took {took:?} to end"));
        oracle.target(None).await?;
        ends.push(took.as_millis() as u64);
        report.cycles += 1;
    }
    let hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    sleep(Duration::from_millis(300)).await;
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &setup.reader()).await?;
    report.note("end_ms", ends);
    Ok(report)
}

// Scenario: a second process is started on the data directory of a running one; and once more on the engine's directory alone.
// Guarantee: the second refuses with a clear sentence, the first does not notice.
pub async fn one_directory(rig: &Rig) -> Outcome {
    let setup = rig.embedded();
    let mut report = Report { cycles: 1, ..Report::default() };
    let mut oracle = rig.oracle().await?;
    let hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    oracle.load(2, ITEMS_MAX, 1000).await?;
    let mut second = setup.command(&[]);
    let second =
        tokio::time::timeout(Duration::from_secs(30), second.stderr(std::process::Stdio::piped()).output()).await;
    let output =
        second.map_err(|_| "the second process neither ran nor refused")?.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    report.require(!output.status.success(), "the second process did not refuse");
    report.require(said.contains("in use"), format!("the second process does not say why it refuses: {said}"));
    report.note("refusal", said.trim());
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &setup.reader()).await?;
    Ok(report)
}

/// The engine's process, once it is there.
async fn engine_of(hypocenter: &Hypocenter) -> Option<u32> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if let Some(engine) = hypocenter.engine_pid().filter(|pid| lives(*pid)) {
            return Some(engine);
        }
        sleep(Duration::from_millis(20)).await;
    }
    None
}

async fn ends_alone(report: &mut Report, engine: u32) {
    let began = Instant::now();
    while lives(engine) && began.elapsed() < Duration::from_secs(15) {
        sleep(Duration::from_millis(5)).await;
    }
    report.require(!lives(engine), format!("the engine outlived its parent by {:?}", began.elapsed()));
    report.require(children(engine).is_empty(), "the engine left children");
}

async fn stops_in_order(report: &mut Report, hypocenter: &mut Hypocenter) -> Result<(), Stop> {
    let (status, took) = hypocenter.stop().await?;
    report.require(status.success(), format!("after SIGTERM it ended with {status}"));
    report.require(took <= Duration::from_secs(10), format!("it took {took:?} to end"));
    Ok(())
}

/// What was meant to be tested must have happened.
fn recovered(report: &mut Report, setup: &Setup) {
    let log = setup.log();
    let going_on = log.lines().filter(|line| line.contains("going on from the journal"));
    let (mut replays, mut seals) = (0u64, 0u64);
    for line in going_on {
        replays += 1;
        let count = line.split("to_verify=").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        seals += u64::from(count.unwrap_or(0u64) > 0);
    }
    report.note("replays", replays);
    report.note("seal_recoveries", seals);
    report.require(replays > 0, "no start went on from the journal: the scenario proved nothing");
    report.require(seals > 0, "no start had to verify a seal: the scenario proved nothing");
}

fn note_starts(report: &mut Report, mut starts: Vec<Duration>) {
    starts.sort_unstable();
    let at =
        |share: f64| starts.get(((starts.len() - 1) as f64 * share) as usize).map_or(0, |time| time.as_millis() as u64);
    report.note("ready_ms", serde_json::json!({ "p50": at(0.5), "p99": at(0.99), "max": at(1.0) }));
}

fn died(setup: &Setup) -> Stop {
    Stop::Failed(format!("it did not start: {}", crate::process::last_lines(&setup.log(), 6)))
}

/// For other scenarios' ends.
pub async fn orderly_end(report: &mut Report, hypocenter: &mut Hypocenter) -> Result<(), Stop> {
    stops_in_order(report, hypocenter).await
}

/// Loads for other scenarios.
pub async fn usual_load(oracle: &mut Oracle) -> Result<(), Stop> {
    oracle.load(SENDERS, ITEMS_MAX, PER_SECOND).await
}
