//! Damage to a journal that waits for its store: a cut tail, flipped bits, segments gone, and files
//! that are none of its business. Scenarios 5, 6 and 7. One backlog is built and copied for each case,
//! and each copy drains into a database of its own.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Outcome;
use crate::oracle::{Command, Tally};
use crate::process::{Setup, Store};
use crate::report::{Report, Stop};
use crate::rig::{DRAIN, Oracle, Rig};
use crate::tables::Found;

// Scenario: the last segment of a backlog is cut, or zeroed, within its last frames, or a write was torn behind them.
// Guarantee: it starts; only the newest requests that the cut touched are gone, none because of a torn write; the rest is stored once.
pub async fn cut_tail(rig: &Rig) -> Outcome {
    // One sender with one item a request: the order of the frames is the order of the requests.
    let mut backlog = Backlog::build(rig, 1, 1, if rig.full { 64 } else { 2 }).await?;
    let mut report = Report::default();
    let total = backlog.tally.acked_requests;
    for case in 0..rig.cycles(6, 200) {
        let (setup, database) = backlog.copy(rig, case)?;
        let (path, end) = data_end(&setup)?;
        let cut = 1 + rig.roll(900);
        let file = writable(&path)?;
        match case % 3 {
            0 => file.set_len(end - cut).map_err(|error| error.to_string())?,
            1 => write(&file, &vec![0; cut as usize], end - cut)?,
            _ => write(&file, &noise(rig, cut as usize), end.next_multiple_of(8))?,
        }
        let found = backlog.drain(rig, &mut report, &setup, &database).await?;
        let lost = found.lost_requests;
        let newest = found.lost_at.iter().copied().eq(total - lost..total);
        report.require(newest, format!("case {case}: requests other than the newest are gone: {:?}", found.lost_at));
        // The smallest frame has more than 200 bytes.
        let most = if case % 3 == 2 { 0 } else { cut / 200 + 1 };
        report.require(lost <= most, format!("case {case}: {lost} requests lost by {cut} bytes"));
        keep_rest(&mut report, found, case);
    }
    backlog.end(rig, &mut report);
    Ok(report)
}

// Scenario: one random bit of a backlog is flipped.
// Guarantee: it starts; at most the one frame around the bit is lost, and then that is said and the bytes are kept aside; the rest is stored once.
pub async fn bit_flips(rig: &Rig) -> Outcome {
    let mut backlog = Backlog::build(rig, 4, 40, if rig.full { 256 } else { 2 }).await?;
    let mut report = Report::default();
    let mut hits = 0u64;
    for case in 0..rig.cycles(6, 1000) {
        let (setup, database) = backlog.copy(rig, case)?;
        let segments = segments(&setup.dir.join("journal"))?;
        let path = &segments[rig.roll(segments.len() as u64) as usize];
        let end = last_nonzero(path)?;
        let at = rig.roll(end);
        let file = writable(path)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).map_err(|error| error.to_string())?;
        byte[0] ^= 1 << rig.roll(8);
        write(&file, &byte, at)?;
        let found = backlog.drain(rig, &mut report, &setup, &database).await?;
        let lost = found.lost_requests;
        report.require(lost <= 1, format!("case {case}: one bit cost {lost} requests"));
        if lost > 0 {
            hits += 1;
            report.require(setup.log().contains("damage"), format!("case {case}: the loss is not in the log"));
            report.require(found.kept_aside, format!("case {case}: the damaged bytes are not kept"));
        }
        keep_rest(&mut report, found, case);
    }
    report.note("frames_hit", hits);
    report.require(hits > 0, "no frame was hit: the scenario proved nothing");
    backlog.end(rig, &mut report);
    Ok(report)
}

// Scenario: a segment in the middle is deleted, zeroed, cut in half, or has a strange header; strange files lie around.
// Guarantee: it starts; at most that segment's frames are lost, strange files cost nothing; the rest is stored once.
pub async fn damaged_segments(rig: &Rig) -> Outcome {
    let mut backlog = Backlog::build(rig, 1, 30, if rig.full { 128 } else { 3 }).await?;
    let mut report = Report::default();
    for case in 0..rig.cycles(6, 60) {
        let (setup, database) = backlog.copy(rig, case)?;
        let dir = setup.dir.join("journal");
        let segments = segments(&dir)?;
        let path = &segments[1 + rig.roll(segments.len() as u64 - 2) as usize];
        let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
        let file = writable(path)?;
        match case % 6 {
            0 => std::fs::remove_file(path).map_err(|error| error.to_string())?,
            1 => write(&file, &vec![0; length as usize], 0)?,
            2 => file.set_len(length / 2).map_err(|error| error.to_string())?,
            3 => [8, 2048 + 8].iter().try_for_each(|at| write(&file, &99u32.to_le_bytes(), *at))?,
            4 => write(&file, &noise(rig, length as usize), 0)?,
            _ => litter(rig, &dir)?,
        }
        let found = backlog.drain(rig, &mut report, &setup, &database).await?;
        let lost = found.lost_requests;
        let (first, last) = (found.lost_at.first(), found.lost_at.last());
        let together = first.zip(last).is_none_or(|(first, last)| last - first + 1 == lost);
        report.require(
            together,
            format!("case {case}: requests of other segments are gone: {first:?} to {last:?}, {lost}"),
        );
        report.require(case % 6 != 5 || lost == 0, format!("case {case}: strange files cost {lost} requests"));
        report.require(lost == 0 || setup.log().contains("damage"), format!("case {case}: the loss is not in the log"));
        report.note(&format!("lost_requests_{case}"), lost);
        keep_rest(&mut report, found, case);
    }
    backlog.end(rig, &mut report);
    Ok(report)
}

/// A journal full of frames that are not stored, and who knows what is in it.
struct Backlog {
    store: Store,
    setup: Setup,
    oracle: Oracle,
    /// Sends fresh items to each copy; apart, because they are in no other copy.
    prober: Oracle,
    tally: Tally,
    drains: Vec<u64>,
}

impl Backlog {
    async fn build(rig: &Rig, senders: usize, items_max: u32, mib: u64) -> Result<Backlog, Stop> {
        let mut store = rig.store().await?;
        let mut setup = rig.remote(&store);
        setup.set("journal.segment=256KiB");
        setup.set("journal.confirmed_retention=500ms");
        setup.set("ingest.block_memory_max=1MiB");
        let mut hypocenter = setup.start().await?;
        store.kill().await;
        let mut oracle = rig.oracle().await?;
        oracle.target(Some(&hypocenter.doors)).await?;
        oracle.load(senders, items_max, 0).await?;
        let journal = setup.dir.join("journal");
        let began = Instant::now();
        let grown = |segments: &[PathBuf]| {
            let bytes: u64 = segments.iter().map(|path| last_nonzero(path).unwrap_or(0)).sum();
            bytes >= mib << 20
        };
        while !grown(&segments(&journal)?) && began.elapsed() < Duration::from_secs(300) {
            sleep(Duration::from_millis(100)).await;
        }
        let tally: Tally = oracle.ask(&Command::Settle).await?;
        hypocenter.kill().await;
        store.restart().await?;
        let prober = rig.oracle_named("prober").await?;
        Ok(Backlog { store, setup, oracle, prober, tally, drains: Vec::new() })
    }

    /// A copy of the data directory, and the name of a database for it.
    fn copy(&self, rig: &Rig, case: u64) -> Result<(Setup, String), Stop> {
        let database = format!("case_{case}");
        let dir = rig.path(&database);
        copy_dir(&self.setup.dir, &dir)?;
        let mut setup = self.setup.clone();
        setup.dir = dir;
        setup.set(&format!("storage.database={database}"));
        Ok((setup, database))
    }

    /// Starts on the damaged copy, lets it drain, and compares.
    async fn drain(&mut self, rig: &Rig, report: &mut Report, setup: &Setup, database: &str) -> Result<Found, Stop> {
        let mut hypocenter = setup.start().await?;
        let began = Instant::now();
        if let Err(why) = hypocenter.flush(&rig.client, DRAIN).await {
            report.against.push(format!("{database}: {why}"));
        }
        self.drains.push(began.elapsed().as_millis() as u64);
        let place = self.store.database(database);
        let mut found: Found = self.oracle.ask(&Command::Check { place: place.clone(), patience_ms: 0 }).await?;
        self.prober.target(Some(&hypocenter.doors)).await?;
        report.add_live(self.prober.probe(&place).await?);
        if found.lost_requests == 1 {
            found.kept_aside = keeps_damage(&setup.dir.join("journal")).await;
        }
        hypocenter.kill().await;
        rig.memory(report, setup);
        report.cycles += 1;
        // Room for the next copy.
        let sql = format!("DROP DATABASE {database} SYNC");
        self.store.place.run(&rig.client, &sql).await?;
        let _ = std::fs::remove_dir_all(&setup.dir);
        Ok(found)
    }

    fn end(&self, rig: &Rig, report: &mut Report) {
        report.note("backlog_items", self.tally.acked);
        report.note("drain_ms_max", self.drains.iter().max().copied().unwrap_or(0));
        report.require(self.tally.wrong.is_empty(), format!("wrong answers: {:?}", self.tally.wrong));
        rig.memory(report, &self.setup);
    }
}

/// What may be lost was judged; nothing else may be wrong.
fn keep_rest(report: &mut Report, found: Found, case: u64) {
    let wrong = found.dup + found.corrupt + found.spurious + found.index_off + found.torn_requests;
    report.require(wrong == 0, format!("case {case}: {:?}", found.examples));
    report.note("lost_by_damage", found.lost);
    report.add(Found { lost: 0, ..found });
}

/// Damaged bytes are copied aside before the segment that holds them is removed.
async fn keeps_damage(journal: &Path) -> bool {
    let began = Instant::now();
    loop {
        let aside = std::fs::read_dir(journal.join("quarantine")).is_ok_and(|mut entries| entries.next().is_some());
        if aside || began.elapsed() > Duration::from_secs(5) {
            return aside;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn segments(dir: &Path) -> Result<Vec<PathBuf>, Stop> {
    let entries = std::fs::read_dir(dir).map_err(|error| error.to_string())?;
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "seg"))
        // The spare that is made ahead of need holds nothing but its header.
        .filter(|path| last_nonzero(path).is_ok_and(|end| end > 4096))
        .collect();
    paths.sort();
    Ok(paths)
}

fn data_end(setup: &Setup) -> Result<(PathBuf, u64), Stop> {
    let path = segments(&setup.dir.join("journal"))?.pop().ok_or("there is no segment")?;
    let end = last_nonzero(&path)?;
    Ok((path, end))
}

fn last_nonzero(path: &Path) -> Result<u64, Stop> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    Ok(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1))
}

fn writable(path: &Path) -> Result<std::fs::File, Stop> {
    Ok(std::fs::File::options().read(true).write(true).open(path).map_err(|error| error.to_string())?)
}

fn write(file: &std::fs::File, bytes: &[u8], at: u64) -> Result<(), Stop> {
    Ok(file.write_all_at(bytes, at).map_err(|error| error.to_string())?)
}

fn noise(rig: &Rig, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| rig.roll(256) as u8).collect()
}

fn litter(rig: &Rig, dir: &Path) -> Result<(), Stop> {
    let put = |name: &str, bytes: Vec<u8>| std::fs::write(dir.join(name), bytes).map_err(|error| error.to_string());
    put("notes.txt", b"do not read me".to_vec())?;
    put("000000000000.seg", noise(rig, 5000))?;
    put("999999999998.seg", Vec::new())?;
    put("000000000007.seg.bak", noise(rig, 5000))?;
    put("x.tmp", noise(rig, 100))?;
    Ok(std::fs::create_dir(dir.join("lost+found")).map_err(|error| error.to_string())?)
}

fn copy_dir(from: &Path, to: &Path) -> Result<(), Stop> {
    std::fs::create_dir_all(to).map_err(|error| error.to_string())?;
    for entry in std::fs::read_dir(from).map_err(|error| error.to_string())?.flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_dir(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target).map_err(|error| error.to_string())?),
        }
    }
    Ok(())
}
