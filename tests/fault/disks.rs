//! Disks that are full or fail: the journal's, the engine's, and errors of single system calls.
//! Scenarios 15, 16 and 17.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Outcome;
use crate::kills::{orderly_end, usual_load};
use crate::mount::Tmpfs;
use crate::process::{Hypocenter, Setup};
use crate::report::{Report, Stop};
use crate::rig::{Oracle, Rig};

// Scenario: the journal's disk of 64 MiB fills up while the store is away; later because of somebody else's file.
// Guarantee: new data is refused with a retryable answer, the process lives on, goes on by itself when there is room, and keeps what it acknowledged.
pub async fn journal_disk_full(rig: &Rig) -> Outcome {
    let disk = Tmpfs::mount(&rig.path("journal"), 64)?;
    let mut store = rig.store().await?;
    let mut setup = rig.remote(&store);
    setup.set(&format!("journal.dir={}", rig.path("journal").join("log").display()));
    let mut report = Report { cycles: 2, ..Report::default() };
    let mut oracle = rig.oracle().await?;
    let mut hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    store.kill().await;
    oracle.load(6, 400, 0).await?;
    refusals(&mut report, &mut oracle, &mut hypocenter, 50).await?;
    // Full, and the power goes: it must start on the full disk.
    hypocenter.kill().await;
    oracle.target(None).await?;
    store.restart().await?;
    let mut hypocenter = setup.start().await?;
    let back = Instant::now();
    oracle.target(Some(&hypocenter.doors)).await?;
    resumes(&mut report, &mut oracle, &mut hypocenter, back, "resume_after_drain_ms").await?;

    let ballast = disk.fill(0)?;
    refusals(&mut report, &mut oracle, &mut hypocenter, 50).await?;
    report.note("ready_while_full", hypocenter.ready_status(&rig.client).await);
    std::fs::remove_file(ballast).map_err(|error| error.to_string())?;
    resumes(&mut report, &mut oracle, &mut hypocenter, Instant::now(), "resume_after_room_ms").await?;
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &store.place).await?;
    orderly_end(&mut report, &mut hypocenter).await?;
    Ok(report)
}

// Scenario: fdatasync, write, rename and the reservation of space fail now and then (strace injects EIO and ENOSPC).
// Guarantee: what was not flushed is not acknowledged, the process lives on, and what was acknowledged is stored once, over a kill as well.
pub async fn disk_errors(rig: &Rig) -> Outcome {
    let works = std::process::Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        return Err(Stop::NotRun("needs strace, and the right to trace".into()));
    }
    let store = rig.store().await?;
    let mut report = Report::default();
    let mut oracle = rig.oracle().await?;
    usual_load(&mut oracle).await?;
    let mut setup = rig.remote(&store);
    setup.set("journal.segment=512KiB");
    let injections = [
        "fdatasync:error=EIO:when=7+23",
        "pwritev,pwrite64:error=ENOSPC:when=9+17",
        "pwritev,pwrite64:error=EIO:when=9+29",
        "rename,renameat2,renameat:error=EIO:when=2+2",
        "fallocate:error=ENOSPC:when=2+3",
        "fsync:error=EIO:when=2+2",
        "ftruncate,fdatasync:error=EIO:when=5+11",
    ];
    for injection in injections.iter().cycle().take(rig.cycles(injections.len() as u64, 140) as usize) {
        let calls = injection.split(':').next().unwrap_or_default();
        let mut wrapped = setup.clone();
        wrapped.wrapper =
            ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"]
                .iter()
                .map(|word| (*word).to_owned())
                .chain([format!("inject={injection}")])
                .collect();
        let mut hypocenter = wrapped.spawn(&[]);
        if hypocenter.ready().await {
            oracle.target(Some(&hypocenter.doors)).await?;
            sleep(Duration::from_millis(1500)).await;
            report.require(!hypocenter.has_ended(), format!("it ended because of {injection}"));
        } else if !injection.starts_with("fsync") && !injection.starts_with("rename") {
            // A directory that cannot be flushed or renamed in may keep it from starting.
            report.require(false, format!("it did not start because of {injection}"));
        }
        hypocenter.kill().await;
        oracle.target(None).await?;
        report.cycles += 1;
    }
    let refused = oracle.tally().await?.refusals;
    report.require(refused > 0, "nothing was refused: the scenario proved nothing");
    let hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    sleep(Duration::from_millis(300)).await;
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &store.place).await?;
    Ok(report)
}

// Scenario: the embedded engine's disk is full while the journal has room.
// Guarantee: data is accepted all the while, readiness stays, and everything is stored once when there is room again.
pub async fn engine_disk_full(rig: &Rig) -> Outcome {
    let disk = Tmpfs::mount(&rig.path("data").join("engine"), 384)?;
    let setup: Setup = rig.embedded();
    let mut report = Report { cycles: 1, ..Report::default() };
    let mut oracle = rig.oracle().await?;
    let mut hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    usual_load(&mut oracle).await?;
    sleep(Duration::from_secs(1)).await;
    let before = oracle.tally().await?;
    let ballast = disk.fill(64 << 10)?;
    sleep(Duration::from_secs(if rig.full { 60 } else { 6 })).await;
    let after = oracle.tally().await?;
    report.require(after.acked > before.acked, "nothing was accepted while the engine's disk was full");
    report.require(after.refusals == before.refusals, "data was refused while the journal had room");
    report.require(hypocenter.ready_status(&rig.client).await == 200, "it was not ready while the journal had room");
    report.require(setup.log().contains("does not take inserts"), "no insert failed: the scenario proved nothing");
    if rig.full {
        // The engine must also be started on the full disk, or wait until it can.
        hypocenter.kill().await;
        oracle.target(None).await?;
        hypocenter = setup.start().await?;
        oracle.target(Some(&hypocenter.doors)).await?;
        sleep(Duration::from_secs(5)).await;
    }
    std::fs::remove_file(ballast).map_err(|error| error.to_string())?;
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &setup.reader()).await?;
    orderly_end(&mut report, &mut hypocenter).await?;
    Ok(report)
}

/// Waits until senders have been refused so often.
pub async fn refusals(
    report: &mut Report,
    oracle: &mut Oracle,
    hypocenter: &mut Hypocenter,
    wanted: u64,
) -> Result<(), Stop> {
    let before = oracle.tally().await?.refusals;
    let began = Instant::now();
    while oracle.tally().await?.refusals < before + wanted {
        if began.elapsed() > Duration::from_secs(60) || hypocenter.has_ended() {
            report.require(false, "the full disk refused nobody");
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    report.require(!hypocenter.has_ended(), "it ended because its disk was full");
    Ok(())
}

/// Waits until data is accepted again.
pub async fn resumes(
    report: &mut Report,
    oracle: &mut Oracle,
    hypocenter: &mut Hypocenter,
    since: Instant,
    note: &str,
) -> Result<(), Stop> {
    let before = oracle.tally().await?.acked;
    while oracle.tally().await?.acked < before + 1000 {
        if since.elapsed() > Duration::from_secs(60) || hypocenter.has_ended() {
            report.require(false, "it did not accept data again");
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    report.note(note, since.elapsed().as_millis() as u64);
    Ok(())
}
