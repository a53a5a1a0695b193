//! What scenarios are written with: the oracle at the other end of a pipe, directories, seeds, and
//! the end that all of them share (settle, drain, compare, probe).

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::client::Client;
use crate::item::mix;
use crate::oracle::{Command, Doors, Tally};
use crate::process::{Hypocenter, Programs, Setup, Store};
use crate::report::{Report, Stop};
use crate::sql::Place;
use crate::tables::Found;

/// A scenario's surroundings.
pub struct Rig {
    /// What to start.
    pub programs: Programs,
    /// Everything it writes, but for mounts.
    pub dir: PathBuf,
    /// For random choices.
    pub seed: u64,
    /// Full length rather than CI's.
    pub full: bool,
    /// Cycles asked for on the command line.
    pub cycles: Option<u64>,
    /// For requests of the scenario's own.
    pub client: Client,
    dice: std::cell::Cell<u64>,
}

/// Longest wait for what must happen in the end.
pub const DRAIN: Duration = Duration::from_secs(120);
/// More memory than this is a leak: requests (256 MiB) and blocks (96 MiB), plus a tenth, plus the program.
pub const RSS_MAX_MIB: u64 = (256 + 96) * 11 / 10 + 100;

impl Rig {
    /// Surroundings in `dir`.
    pub fn new(programs: Programs, dir: &Path, seed: u64, full: bool, cycles: Option<u64>) -> Rig {
        let dice = std::cell::Cell::new(mix(seed));
        Rig { programs, dir: dir.to_owned(), seed, full, cycles, client: Client::new(), dice }
    }

    /// `short` in CI, `long` in full, or what the command line says.
    pub fn cycles(&self, short: u64, long: u64) -> u64 {
        self.cycles.unwrap_or(if self.full { long } else { short })
    }

    /// A number below `bound`, from the seed.
    pub fn roll(&self, bound: u64) -> u64 {
        self.dice.set(mix(self.dice.get()));
        self.dice.get() % bound.max(1)
    }

    /// A length of time between two, in milliseconds.
    pub fn roll_ms(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.roll(to - from))
    }

    /// A path for the scenario.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A Hypocenter on the embedded engine.
    pub fn embedded(&self) -> Setup {
        Setup::embedded(&self.programs, &self.path("data"))
    }

    /// A Hypocenter on `store`.
    pub fn remote(&self, store: &Store) -> Setup {
        Setup::remote(&self.programs, &self.path("data"), store, &store.place.url, "hypocenter")
    }

    /// A remote ClickHouse.
    pub async fn store(&self) -> Result<Store, Stop> {
        Ok(Store::start(&self.programs, &self.path("store")).await?)
    }

    /// An oracle.
    pub async fn oracle(&self) -> Result<Oracle, Stop> {
        self.oracle_named("oracle").await
    }

    /// An oracle with its ledger in `name`.
    pub async fn oracle_named(&self, name: &str) -> Result<Oracle, Stop> {
        let dir = self.path(name);
        std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = tokio::process::Command::new(program)
            .arg("oracle")
            .arg(&dir)
            .arg(self.seed.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        let stdin = child.stdin.take().ok_or("no standard input")?;
        let lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        Ok(Oracle { _child: child, stdin, lines })
    }

    /// The shared end: no more requests, everything drained, tables compared, a fresh item stored.
    pub async fn finish(
        &self,
        report: &mut Report,
        oracle: &mut Oracle,
        hypocenter: &Hypocenter,
        setup: &Setup,
        place: &Place,
    ) -> Result<(), Stop> {
        let tally: Tally = oracle.ask(&Command::Settle).await?;
        report.note("refusals", tally.refusals);
        report.note("unanswered", tally.unanswered);
        report.note("resent", tally.resent);
        report.require(tally.acked > 0, "nothing was acknowledged: the scenario proved nothing");
        report.require(tally.wrong.is_empty(), format!("wrong answers: {:?}", tally.wrong));
        if let Err(why) = hypocenter.flush(&self.client, DRAIN).await {
            report.against.push(why);
        }
        // What flush promises must be true at the first look.
        let found: Found = oracle.ask(&Command::Check { place: place.clone(), patience_ms: 0 }).await?;
        report.add_zero(found);
        report.add_live(oracle.probe(place).await?);
        self.memory(report, setup);
        Ok(())
    }

    /// Notes the memory high-water mark and requires it to be bounded.
    pub fn memory(&self, report: &mut Report, setup: &Setup) {
        let mib = setup.peak_kib.load(Ordering::Relaxed) / 1024;
        report.rss_max_mib = report.rss_max_mib.max(mib);
        report.require(mib <= RSS_MAX_MIB, format!("{mib} MiB of memory, {RSS_MAX_MIB} are allowed"));
    }
}

/// The oracle process.
pub struct Oracle {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Oracle {
    /// One command, one answer.
    pub async fn ask<T: DeserializeOwned>(&mut self, command: &Command) -> Result<T, Stop> {
        let line = serde_json::to_string(command).map_err(|error| error.to_string())?;
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.map_err(|error| error.to_string())?;
        let answer = tokio::time::timeout(Duration::from_secs(600), self.lines.next_line()).await;
        let answer = answer.map_err(|_| format!("the oracle does not answer {line}"))?;
        let answer = answer.map_err(|error| error.to_string())?.ok_or(format!("the oracle ended at {line}"))?;
        Ok(serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))?)
    }

    /// Tells where the doors are.
    pub async fn target(&mut self, doors: Option<&Doors>) -> Result<(), Stop> {
        let _: Value = self.ask(&Command::Target { doors: doors.cloned() }).await?;
        Ok(())
    }

    /// Begins to send.
    pub async fn load(&mut self, senders: usize, items_max: u32, per_second: u64) -> Result<(), Stop> {
        let _: Value = self.ask(&Command::Load { senders, items_max, per_second, give_up_ms: 90_000 }).await?;
        Ok(())
    }

    /// Counts so far.
    pub async fn tally(&mut self) -> Result<Tally, Stop> {
        self.ask(&Command::Tally).await
    }

    /// Time until two fresh items were in their tables.
    pub async fn probe(&mut self, place: &Place) -> Result<Option<u64>, Stop> {
        let answer: Value = self.ask(&Command::Probe { place: place.clone(), patience_ms: 30_000 }).await?;
        Ok(answer["live_ms"].as_u64())
    }
}
