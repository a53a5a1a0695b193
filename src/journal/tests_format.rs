//! Stored formats keep their ancestors: logs written by earlier versions read as they always did.
//!
//! `samples/<name>/` is a journal directory, `samples/<name>.txt` what it must read as. With
//! `UPDATE_SAMPLES=1` missing samples are written and readings are refreshed, to be reviewed.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tests_kit::*;
use crate::{Entry, Fate, Totals};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

fn updating() -> bool {
    std::env::var_os("UPDATE_SAMPLES").is_some()
}

fn check(name: &str) {
    let (dir, reading) = (samples().join(name), samples().join(format!("{name}.txt")));
    let copy = snapshot(&dir);
    let found = read(copy.path());
    if updating() {
        fs::write(&reading, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&reading).unwrap(), "{name}");
}

fn read(dir: &Path) -> String {
    let opened = open(config(dir));
    let found = &opened.recovery;
    let mut text = String::new();
    let out = &mut text;
    writeln!(
        out,
        "key {:016x} next {} first {} low water {}",
        found.hash_key, found.next_lsn, found.first_lsn, found.low_water
    )
    .unwrap();
    writeln!(out, "clean {} torn {} damage {}", found.clean, found.torn_bytes, found.damage.len()).unwrap();
    writeln!(out, "totals {:?} from {}", found.totals.0, found.totals_lsn).unwrap();
    for (seal, fate) in &found.seals {
        match fate {
            Fate::SetAside => writeln!(out, "set aside {seal:?}").unwrap(),
            fate => writeln!(out, "confirmed {} {seal:?}", *fate == Fate::Confirmed).unwrap(),
        }
    }
    for note in &found.recent {
        writeln!(out, "{note:?}").unwrap();
    }
    for entry in opened.journal.reader(0) {
        match entry.unwrap() {
            Entry::Frame { lsn, header, body } => {
                if !header.limits.is_empty() {
                    writeln!(out, "limits {:02x?}", header.limits).unwrap();
                }
                writeln!(
                    out,
                    "frame {lsn} {header:?} {:02x?} body {} {:08x}",
                    header.decisions,
                    body.len(),
                    crc32c::crc32c(&body)
                )
                .unwrap();
            }
            Entry::Damaged(damage) => writeln!(out, "{:?} {:?}", damage.reason, damage.lsns).unwrap(),
        }
    }
    text
}

#[test]
fn version_1_reads_as_it_always_did() {
    // Scenario: a log of format version 1, two closed segments and one as a kill leaves it, with
    // seals, a confirmation, totals.
    // Guarantee: the same reading as when it was written.
    check("v1");
}

#[test]
fn version_2_reads_as_it_always_did() {
    // Scenario: the same of format version 2, with frames that carry limits and one that settles a batch.
    // Guarantee: the same reading as when it was written.
    let dir = samples().join("v2");
    if updating() && !dir.exists() {
        write_sample(&dir);
    }
    check("v2");
}

fn write_sample(into: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let small = crate::Config { segment_bytes: 8 << 10, ..config(dir.path()) };
    let opened = open(small.clone());
    (0..8).for_each(|seed| assert_eq!(append(&opened.journal, seed, 100 * seed as usize), seed + 1));
    opened.journal.seal(seal(0xABCD, 1, 4)).unwrap().wait().unwrap();
    opened.journal.seal(seal(0xDEAD, 5, 5)).unwrap().wait().unwrap();
    let mut letter = frame(8, 200);
    letter.header.limits = vec![1, 200, 3].into();
    letter.header.settles = Some(0xDEAD);
    opened.journal.append_own(letter, 8).unwrap().wait().unwrap();
    opened.journal.confirm(0xABCD);
    let mut totals = Totals::default();
    totals.0[0] = 8;
    totals.0[31] = u64::MAX;
    opened.journal.set_totals(totals);
    opened.journal.close().unwrap();
    drop(opened);
    let opened = open(small);
    (9..12).for_each(|seed| assert_eq!(append(&opened.journal, seed, 100), seed + 1));
    opened.journal.seal(seal(0xEF01, 5, 10)).unwrap().wait().unwrap();
    fs::create_dir_all(into).unwrap();
    copy_into(dir.path(), into);
    fs::remove_file(into.join("lock")).unwrap();
}
