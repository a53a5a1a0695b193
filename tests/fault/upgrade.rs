//! What changes between two lives: the program's version, its configuration. Scenarios 19 and 20.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::sleep;

use crate::Outcome;
use crate::kills::{orderly_end, usual_load};
use crate::oracle::{Command, Tally};
use crate::process::{Setup, Store};
use crate::report::{Report, Stop};
use crate::rig::{DRAIN, Oracle, Rig};

// Scenario: an upgrade is taken back: a segment with acknowledged data has a newer version's header.
// Guarantee: the older version refuses to start, says why, and touches nothing; the newer one then stores everything once.
pub async fn newer_journal(rig: &Rig) -> Outcome {
    let mut store = rig.store().await?;
    let mut setup = rig.remote(&store);
    setup.set("journal.segment=256KiB");
    let mut report = Report::default();
    let mut oracle = rig.oracle().await?;
    backlog(&mut oracle, &setup, &mut store).await?;
    let journal = setup.dir.join("journal");
    let segments = names(&journal)?.into_iter().filter(|name| name.ends_with(".seg")).collect::<Vec<_>>();
    for name in [segments.first(), segments.get(segments.len() / 2), segments.last()].into_iter().flatten() {
        let path = journal.join(name);
        let before = std::fs::read(&path).map_err(|error| error.to_string())?;
        std::fs::write(&path, as_newer(before.clone())).map_err(|error| error.to_string())?;
        let listed = names(&journal)?;
        let refused = setup.command(&[]).stderr(Stdio::piped()).output();
        let refused = tokio::time::timeout(Duration::from_secs(30), refused).await;
        let output = refused.map_err(|_| "the older version started")?.map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        report.require(!output.status.success(), format!("{name}: it did not refuse"));
        report.require(said.contains("newer version"), format!("{name}: it does not say why: {said}"));
        report.require(names(&journal)? == listed, format!("{name}: files were moved, made or removed"));
        report.note("refusal", said.trim());
        std::fs::write(&path, before).map_err(|error| error.to_string())?;
        report.cycles += 1;
    }
    store.restart().await?;
    let mut hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &store.place).await?;
    orderly_end(&mut report, &mut hypocenter).await?;
    Ok(report)
}

// Scenario: a backlog written under one set of limits is stored by a process with much smaller ones.
// Guarantee: the rows are what the senders were told when they were acknowledged: nothing is cut afterwards.
pub async fn limits_changed(rig: &Rig) -> Outcome {
    let mut store = rig.store().await?;
    let setup = rig.remote(&store);
    let mut report = Report { cycles: 1, ..Report::default() };
    let mut oracle = rig.oracle().await?;
    let backlog = backlog(&mut oracle, &setup, &mut store).await?;
    report.note("backlog", backlog.acked);
    store.restart().await?;
    let mut tight = setup.clone();
    for pair in [
        "ingest.attributes_max=1",
        "ingest.attribute_value_max=2",
        "ingest.body_text_max=2",
        "ingest.events_max=0",
        "ingest.links_max=0",
        "ingest.body_max=1KiB",
    ] {
        tight.set(pair);
    }
    let mut hypocenter = tight.start().await?;
    hypocenter.flush(&rig.client, DRAIN).await?;
    hypocenter.kill().await;
    let mut hypocenter = setup.start().await?;
    oracle.target(Some(&hypocenter.doors)).await?;
    rig.finish(&mut report, &mut oracle, &hypocenter, &setup, &store.place).await?;
    let verified = setup.log().contains("going on from the journal");
    report.require(verified, "no start went on from the journal: the scenario proved nothing");
    orderly_end(&mut report, &mut hypocenter).await?;
    Ok(report)
}

/// Acknowledged data that is in the journal only: the store is dead, and so is the process.
async fn backlog(oracle: &mut Oracle, setup: &Setup, store: &mut Store) -> Result<Tally, Stop> {
    let mut hypocenter = setup.start().await?;
    store.kill().await;
    oracle.target(Some(&hypocenter.doors)).await?;
    usual_load(oracle).await?;
    sleep(Duration::from_millis(2500)).await;
    let tally: Tally = oracle.ask(&Command::Settle).await?;
    hypocenter.kill().await;
    oracle.target(None).await?;
    Ok(tally)
}

fn names(dir: &Path) -> Result<Vec<String>, Stop> {
    let entries = std::fs::read_dir(dir).map_err(|error| error.to_string())?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// The same segment as a later version would begin it: another number in both copies of the header, with
/// the checksum that belongs to it.
fn as_newer(mut bytes: Vec<u8>) -> Vec<u8> {
    for at in [0, 2048] {
        bytes[at + 8..at + 12].copy_from_slice(&99u32.to_le_bytes());
        let length = u32::from_le_bytes([bytes[at + 12], bytes[at + 13], bytes[at + 14], bytes[at + 15]]) as usize;
        let crc = crc32c(&bytes[at..at + length - 4]);
        bytes[at + length - 4..at + length].copy_from_slice(&crc.to_le_bytes());
    }
    bytes
}

// Bit by bit: it is used six times.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0x82f6_3b78 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
