//! The process dies at every named point, and at any other time.
//!
//! The test binary runs itself: the child appends, seals, confirms and releases, and tells what it
//! was answered in a file of its own; the parent then compares. Two deaths in a row each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::tests_kit::*;
use crate::{Config, Lsn, crash};

const DIR: &str = "JOURNAL_TEST_CRASH_DIR";
const POINT: &str = "JOURNAL_TEST_CRASH_POINT";
const NTH: &str = "JOURNAL_TEST_CRASH_NTH";
const STEPS: u64 = 150;

/// The child. Without its environment it is a test that does nothing.
#[test]
fn child() {
    // Scenario: run by the other tests of this file as a process of its own.
    // Guarantee: none by itself.
    let Some(home) = std::env::var_os(DIR) else { return };
    let home = Path::new(&home);
    let mut told = OpenOptions::new().append(true).create(true).open(home.join("told")).unwrap();
    if let (Ok(point), Ok(nth)) = (std::env::var(POINT), std::env::var(NTH)) {
        crash::arm(&point, nth.parse().unwrap());
    }
    let endless = std::env::var_os(POINT).is_none();
    let opened = open(child_config(&home.join("journal")));
    let first = opened.recovery.next_lsn;
    let mut seed = first * 1_000;
    let mut batch = u128::from(opened.recovery.writer) << 64;
    let mut open_from = opened.recovery.low_water;
    for step in 0.. {
        if step == STEPS && !endless {
            break;
        }
        seed += 1;
        tell(&mut told, &format!("try {seed}"));
        let lsn = append(&opened.journal, seed, (seed as usize * 131) % 3000);
        tell(&mut told, &format!("ack {lsn} {seed}"));
        if step % 7 == 6 {
            batch += 1;
            opened.journal.seal(seal(batch, open_from, lsn)).unwrap().wait().unwrap();
            tell(&mut told, &format!("seal {batch} {open_from} {lsn}"));
            opened.journal.confirm(batch);
            tell(&mut told, &format!("release {}", lsn + 1));
            opened.journal.release(lsn + 1);
            open_from = lsn + 1;
        }
    }
    opened.journal.close().unwrap();
    tell(&mut told, "end");
}

fn child_config(dir: &Path) -> Config {
    Config { confirmed_retention: std::time::Duration::ZERO, ..config(dir) }
}

fn tell(told: &mut File, line: &str) {
    told.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn spawn(home: &Path, arm: Option<(&str, u32)>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tests_crash::child", "--nocapture", "--test-threads=1"]).env(DIR, home);
    if let Some((point, nth)) = arm {
        command.env(POINT, point).env(NTH, nth.to_string());
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Everything that was told must be there; nothing else may be.
fn verify(home: &Path, what: &str) {
    let told = std::fs::read_to_string(home.join("told")).unwrap();
    let mut acked: BTreeMap<Lsn, u64> = BTreeMap::new();
    let (mut tried, mut seals, mut released) = (BTreeSet::new(), Vec::new(), 1);
    for line in told.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u128>().unwrap();
        match words[0] {
            "try" => drop(tried.insert(number(1) as u64)),
            "ack" => {
                let before = acked.insert(number(1) as u64, number(2) as u64);
                assert_eq!(before, None, "{what}: number {} given twice", words[1]);
            }
            "seal" => seals.push((number(1), number(3) as u64)),
            "release" => released = number(1) as u64,
            "end" => {}
            other => panic!("{what}: {other}"),
        }
    }
    let copy = snapshot(&home.join("journal"));
    let opened = open(child_config(copy.path()));
    assert_eq!(opened.recovery.damage, vec![], "{what}");
    let (read, damage) = read_all(&opened.journal);
    assert_eq!(damage, vec![], "{what}");
    let there: BTreeMap<Lsn, u64> = read.iter().copied().collect();
    for (lsn, seed) in acked.range(released..) {
        assert_eq!(there.get(lsn), Some(seed), "{what}: frame {lsn}");
    }
    for (lsn, seed) in &there {
        let known = acked.get(lsn).map_or_else(|| tried.contains(seed), |acked| acked == seed);
        assert!(known, "{what}: frame {lsn} with {seed} was never sent");
    }
    let sealed: BTreeSet<u128> = opened.recovery.seals.iter().map(|(seal, _)| seal.batch).collect();
    for (batch, to) in seals {
        assert!(to < opened.recovery.first_lsn || sealed.contains(&batch), "{what}: seal {batch}");
    }
    assert!(opened.recovery.low_water <= released, "{what}: nothing is released by itself");
}

#[test]
fn every_crash_point_keeps_what_was_told() {
    // Scenario: for each point the child dies there the 1st, 2nd and 9th time, twice in a row on the
    // same directory.
    // Guarantee: no acknowledged frame or seal is lost, nothing is invented, no damage is seen; each
    // point was really passed.
    for point in crash::POINTS {
        let mut deaths = 0;
        for nth in [1, 2, 9] {
            let home = tempfile::tempdir().unwrap();
            for turn in 0..2 {
                let status = spawn(home.path(), Some((point, nth))).wait().unwrap();
                assert!(status.success() || status.signal() == Some(6), "{point} {nth}: {status}");
                deaths += u32::from(!status.success());
                if home.path().join("journal").exists() {
                    verify(home.path(), &format!("{point}, time {nth}, turn {turn}"));
                }
            }
        }
        assert!(deaths > 0, "{point} was never passed");
    }
}

#[test]
fn kill_at_any_time_keeps_what_was_told() {
    // Scenario: 25 times, one directory, kill -9 after a random while.
    // Guarantee: as above.
    let home = tempfile::tempdir().unwrap();
    for turn in 0..25u64 {
        let mut child = spawn(home.path(), None);
        eventually("the child to work", || home.path().join("told").exists());
        std::thread::sleep(std::time::Duration::from_millis(20 + turn * 37 % 150));
        child.kill().unwrap();
        child.wait().unwrap();
        verify(home.path(), &format!("kill {turn}"));
    }
}

#[test]
fn a_second_process_is_refused() {
    // Scenario: another process holds the directory, then is killed.
    // Guarantee: refused while it lives, taken at once afterwards.
    let home = tempfile::tempdir().unwrap();
    let mut child = spawn(home.path(), None);
    let told = home.path().join("told");
    eventually("the child to work", || std::fs::read_to_string(&told).is_ok_and(|told| told.contains("ack")));
    let refused = crate::Journal::<u64>::open(child_config(&home.path().join("journal")), |_| ());
    assert!(matches!(refused, Err(crate::OpenError::InUse { .. })));
    child.kill().unwrap();
    child.wait().unwrap();
    open(child_config(&home.path().join("journal")));
}
