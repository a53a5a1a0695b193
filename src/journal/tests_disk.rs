//! The disk says no: full, failing, low.

use std::process::Command;
use std::sync::atomic::Ordering;

use crate::faults::Faults;
use crate::tests_kit::*;
use crate::{AppendError, Config, Lsn, Reason, lock};

/// Appends until `wanted` frames are in; refused ones must be retryable.
fn insist(opened: &Opened, seed: u64, wanted: &mut Vec<(Lsn, u64)>) {
    eventually("the disk to be accepted again", || {
        match opened.journal.append(frame(seed, 700), seed).and_then(|ticket| ticket.wait()) {
            Ok(lsn) => {
                wanted.push((lsn, seed));
                true
            }
            Err(AppendError::DiskLow { .. } | AppendError::Io(_)) => false,
            Err(error) => panic!("{error}"),
        }
    });
}

fn refused(opened: &Opened, seed: u64) -> AppendError {
    opened.journal.append(frame(seed, 700), seed).and_then(|ticket| ticket.wait()).unwrap_err()
}

/// What is in the directory now, as after a kill, is what was acknowledged.
fn check_copy(opened: &Opened, dir: &std::path::Path, wanted: &[(Lsn, u64)]) {
    assert_eq!(*lock(&opened.sunk), wanted, "the sink saw what was acknowledged");
    assert_eq!(read_all(&opened.journal), (wanted.to_vec(), vec![]));
    let copy = snapshot(dir);
    for turn in 0..2 {
        let again = open(config(copy.path()));
        assert_eq!(again.recovery.damage, vec![], "start {turn}");
        assert_eq!(read_all(&again.journal), (wanted.to_vec(), vec![]), "start {turn}");
    }
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    // Scenario: the disk takes a few more bytes, cuts one write in half, then takes nothing; later
    // there is room again. Twice.
    // Guarantee: refusals are DiskLow, unhealthy is shown, writing resumes without help, and the
    // refused frames are nowhere.
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let faults = config.disk.faults.clone();
    let opened = open(config);
    let mut wanted = Vec::new();
    (0..5).for_each(|seed| insist(&opened, seed, &mut wanted));
    for round in 0..2 {
        faults.room.store(2500, Ordering::SeqCst);
        let mut refusals = 0;
        for seed in 100..120 {
            match opened.journal.append(frame(seed, 700), seed).and_then(|ticket| ticket.wait()) {
                Ok(lsn) => wanted.push((lsn, seed)),
                Err(AppendError::DiskLow { .. }) => refusals += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(refusals > 10, "round {round}: {refusals}");
        assert!(!opened.journal.usage().healthy && opened.journal.usage().last_error.is_some());
        check_copy(&opened, dir.path(), &wanted);
        faults.room.store(-1, Ordering::SeqCst);
        (200..230).for_each(|seed| insist(&opened, seed, &mut wanted));
        eventually("healthy", || opened.journal.usage().healthy);
        check_copy(&opened, dir.path(), &wanted);
    }
}

#[test]
fn a_failed_flush_is_never_trusted_again() {
    // Scenario: one flush fails (in turn: the nth), with and without the file being cuttable after;
    // frames follow.
    // Guarantee: the group is refused and does not come back, though its bytes may still stand in
    // the file; frames before and after it are there; no damage is reported.
    for truncate_broken in [false, true] {
        for nth in 0..6 {
            let dir = tempfile::tempdir().unwrap();
            let config = config(dir.path());
            let faults = config.disk.faults.clone();
            let opened = open(config);
            let mut wanted = Vec::new();
            (0..4).for_each(|seed| insist(&opened, seed, &mut wanted));
            faults.truncate_broken.store(truncate_broken, Ordering::SeqCst);
            faults.sync_fails_after.store(nth, Ordering::SeqCst);
            let mut refusals = 0;
            for seed in 50..60 {
                match opened.journal.append(frame(seed, 700), seed).and_then(|ticket| ticket.wait()) {
                    Ok(lsn) => wanted.push((lsn, seed)),
                    Err(_) => refusals += 1,
                }
            }
            (60..64).for_each(|seed| insist(&opened, seed, &mut wanted));
            assert!(refusals >= 1 || faults.sync_fails_after.load(Ordering::SeqCst) < 0, "nth {nth}");
            check_copy(&opened, dir.path(), &wanted);
            opened.journal.seal(seal(1, 1, 5)).unwrap().wait().unwrap();
            opened.journal.close().unwrap();
            drop(opened);
            let again = open(crate::tests_kit::config(dir.path()));
            assert!(again.recovery.clean, "nth {nth}");
            assert_eq!(read_all(&again.journal), (wanted, vec![]), "nth {nth}");
        }
    }
}

#[test]
fn a_disk_that_fails_for_long_refuses_and_recovers() {
    // Scenario: all flushes fail for a while.
    // Guarantee: everything is refused, the journal shows it, then goes on by itself; what was
    // refused stays away, and what was acknowledged stays.
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let faults = config.disk.faults.clone();
    let opened = open(config);
    let mut wanted = Vec::new();
    (0..3).for_each(|seed| insist(&opened, seed, &mut wanted));
    faults.sync_broken.store(true, Ordering::SeqCst);
    for seed in 10..15 {
        assert!(matches!(refused(&opened, seed), AppendError::Io(_)));
        std::thread::sleep(std::time::Duration::from_millis(120));
    }
    assert!(opened.journal.seal(seal(1, 1, 3)).unwrap().wait().is_err());
    assert!(!opened.journal.usage().healthy);
    faults.sync_broken.store(false, Ordering::SeqCst);
    (20..25).for_each(|seed| insist(&opened, seed, &mut wanted));
    assert_eq!(wanted.iter().map(|(lsn, _)| *lsn).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    check_copy(&opened, dir.path(), &wanted);
}

#[test]
fn low_space_refuses_frames_but_not_seals() {
    // Scenario: the file system reports less free space than the limit, then more.
    // Guarantee: frames are refused with DiskLow, seals are taken, released segments go early.
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let faults = config.disk.faults.clone();
    let opened = open(config);
    let mut wanted = Vec::new();
    (0..60).for_each(|seed| insist(&opened, seed, &mut wanted));
    let before = segment_files(dir.path()).len();
    faults.free_bytes.store(1000, Ordering::SeqCst);
    eventually("refusal", || {
        opened.journal.append(frame(99, 1), 99).map(|ticket| ticket.wait().map(|lsn| wanted.push((lsn, 99)))).is_err()
    });
    assert!(matches!(refused(&opened, 98), AppendError::DiskLow { free_bytes: 1000 }));
    opened.journal.seal(seal(1, 1, 60)).unwrap().wait().unwrap();
    opened.journal.confirm(1);
    opened.journal.release(61);
    eventually("segments given back", || segment_files(dir.path()).len() < before - 1);
    faults.free_bytes.store(0, Ordering::SeqCst);
    insist(&opened, 100, &mut wanted);
    assert_eq!(*lock(&opened.sunk), wanted);
}

#[test]
fn tiny_file_systems_shrink_the_defaults() {
    // Scenario: default configuration on file systems of 64 MiB and of 1 TiB.
    // Guarantee: segments and the free-space limit shrink with the file system, and only then.
    let config = Config::new("unused");
    let resolve = |total_bytes| {
        let limits = config.resolve(crate::disk::Space { free_bytes: total_bytes, total_bytes });
        (limits.segment_bytes, limits.free_min_bytes)
    };
    assert_eq!(resolve(64 << 20), (2 << 20, (64 << 20) / 20));
    assert_eq!(resolve(1 << 40), (64 << 20, 256 << 20));
}

#[test]
#[allow(clippy::print_stderr)]
fn a_real_full_file_system() {
    // Scenario (root only): the journal on a tmpfs of 8 MiB is filled by itself, then by a stranger;
    // space returns. Guarantee: retryable refusals, seals still taken, frees by releasing, resumes
    // by itself, everything acknowledged is there.
    let mount = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(mount.path()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT RUN: a_real_full_file_system needs root to mount a tmpfs");
        return;
    }
    let _unmount = Unmount(mount.path().to_owned());
    let home = mount.path().join("journal");
    let opened = open(Config::new(&home));
    let mut wanted = Vec::new();
    for seed in 0.. {
        match opened.journal.append(frame(seed, 30_000), seed).and_then(|ticket| ticket.wait()) {
            Ok(lsn) => wanted.push((lsn, seed)),
            Err(AppendError::DiskLow { .. } | AppendError::Io(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let last = wanted.last().unwrap().0;
    assert!(last > 100, "{last} frames of 30 kB in 8 MiB");
    // A stranger takes the rest.
    let stranger = mount.path().join("stranger");
    let filled = std::fs::write(&stranger, vec![1; 8 << 20]);
    assert!(filled.is_err());
    for batch in 0..50 {
        opened.journal.seal(seal(batch, 1, last)).unwrap().wait().unwrap();
    }
    assert_eq!(read_all(&opened.journal), (wanted.clone(), vec![]));
    opened.journal.release(last / 2);
    std::fs::remove_file(&stranger).unwrap();
    eventually("resumed", || match opened.journal.append(frame(9999, 1000), 9999).and_then(|ticket| ticket.wait()) {
        Ok(lsn) => {
            wanted.push((lsn, 9999));
            true
        }
        Err(_) => false,
    });
    let (read, damage) = read_all(&opened.journal);
    assert_eq!(damage, vec![]);
    assert!(read[0].0 <= last / 2);
    assert_eq!(read[..], wanted[wanted.len() - read.len()..]);
    drop(opened);
    assert!(open(Config::new(&home)).recovery.damage.iter().all(|one| one.reason == Reason::ForeignFile));
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn power_cuts_keep_what_was_acknowledged() {
    // Scenario: at every flush, the directory is copied as a power cut during that flush could leave
    // it: of what was written since the file's last flush, random sectors are zero.
    // Guarantee: every copy opens and holds every frame that was acknowledged until then.
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let faults: std::sync::Arc<Faults> = config.disk.faults.clone();
    let opened = open(config);
    let acknowledged = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let images = faults.record_power_cuts(dir.path(), acknowledged.clone());
    for seed in 0..60 {
        let lsn = append(&opened.journal, seed, 200 + (seed as usize * 53) % 3000);
        acknowledged.store(lsn, Ordering::SeqCst);
    }
    faults.stop_recording();
    drop(opened);
    let images = std::mem::take(&mut *lock(&images));
    assert!(images.len() > 60);
    for (copy, acknowledged) in images {
        let again = open(crate::tests_kit::config(copy.path()));
        let (read, _) = read_all(&again.journal);
        let there: std::collections::BTreeSet<_> = read.iter().map(|(lsn, _)| *lsn).collect();
        let lost: Vec<_> = (1..=acknowledged).filter(|lsn| !there.contains(lsn)).collect();
        assert_eq!(lost, Vec::<Lsn>::new());
    }
}
