//! Bits flip, files vanish, writes are torn. What is lost, what is told, what starts anyway.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::segment::{HEADER_BLOCK_BYTES, Header};
use crate::tests_kit::*;
use crate::{Damage, Lsn, Reason};

/// 60 frames in several segments, sealed in tens, as a kill leaves them.
fn written() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    for seed in 0..60 {
        append(&opened.journal, seed, 300 + (seed as usize * 97) % 2500);
        if seed % 10 == 9 {
            opened.journal.seal(seal(u128::from(seed), seed - 8, seed + 1)).unwrap().wait().unwrap();
        }
    }
    // The keeper may still be closing segments: wait for their summaries.
    eventually("closed segments", || {
        let files = segment_files(dir.path());
        files.len() > 5 && files[..files.len() - 3].iter().all(|path| path.metadata().unwrap().len() % (16 << 10) != 0)
    });
    snapshot(dir.path())
}

struct After {
    lost: Vec<Lsn>,
    damage: Vec<Damage>,
    seals: usize,
}

/// Opens, reads, continues, opens again. What is told as lost must be what is lost.
fn check(dir: &Path, frames: u64, what: &str) -> After {
    let opened = open(config(dir));
    let (read, mut damage) = read_all(&opened.journal);
    damage.extend(opened.recovery.damage.iter().cloned());
    let there: BTreeSet<Lsn> = read.iter().map(|(lsn, _)| *lsn).collect();
    assert_eq!(there.len(), read.len(), "{what}: no frame twice");
    assert!(read.iter().all(|(lsn, seed)| *lsn == seed + 1), "{what}: no frame in another's place");
    let lost: Vec<Lsn> = (1..=frames).filter(|lsn| !there.contains(lsn)).collect();
    let told: BTreeSet<Lsn> = damage.iter().filter_map(|one| one.lsns).flat_map(|(from, to)| from..=to).collect();
    assert_eq!(told, lost.iter().copied().collect(), "{what}: told exactly what is lost\n{damage:#?}");
    let next = opened.recovery.next_lsn;
    assert_eq!(append(&opened.journal, next - 1, 50), next, "{what}: goes on");
    let seals = opened.recovery.seals.len();
    drop(opened);
    let again = open(config(dir));
    let (read_again, _) = read_all(&again.journal);
    assert_eq!(read_again[..read.len()], read[..], "{what}: the same after another start");
    assert_eq!(read_again.len(), read.len() + 1, "{what}: and what was added");
    After { lost, damage, seals }
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 24
}

#[test]
fn one_flipped_bit_costs_at_most_one_frame() {
    // Scenario: 400 times, one random bit is flipped anywhere in the used part of any segment.
    // Guarantee: at most one frame is lost, it is named, its bytes are kept, no seal is lost, and
    // the journal goes on.
    let base = written();
    let files = segment_files(base.path());
    let mut lost_frames = 0;
    for seed in 0..400u64 {
        let mut state = seed.wrapping_mul(977) + 1;
        let copy = snapshot(base.path());
        let name = files[(random(&mut state) as usize) % files.len()].file_name().unwrap();
        let path = copy.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
        let at = (random(&mut state) % used) as usize;
        let bit = random(&mut state) % 8;
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        let what = format!("seed {seed}: bit {bit} of byte {at} in {name:?}");
        let after = check(copy.path(), 60, &what);
        assert!(after.lost.len() <= 1, "{what}: lost {:?}", after.lost);
        assert_eq!(after.seals, 6, "{what}: all seals");
        if !after.lost.is_empty() {
            lost_frames += 1;
            let kept = fs::read_dir(copy.path().join("quarantine")).unwrap().count();
            assert!(kept >= 1, "{what}: kept for a human");
        }
    }
    assert!(lost_frames > 150, "most bits are in frames: {lost_frames}");
}

#[test]
fn a_torn_tail_is_dropped_silently_at_every_byte() {
    // Scenario: the last segment ends at every byte of its last two frames: cut off, followed by
    // zeros, or followed by noise.
    // Guarantee: whole frames stay, nothing is reported, the number of the torn frame is used again.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    (1..=5).for_each(|seed| assert_eq!(append(&opened.journal, seed - 1, 40), seed));
    let copy = snapshot(dir.path());
    drop(opened);
    let path = segment_files(copy.path())[0].clone();
    let bytes = fs::read(&path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let used = used.next_multiple_of(8);
    let frame_bytes = (used - HEADER_BLOCK_BYTES as usize - 296) / 5;
    assert_eq!(HEADER_BLOCK_BYTES as usize + 296 + 5 * frame_bytes, used, "a mark and five frames");
    for cut in used - 2 * frame_bytes..used {
        for fill in ["cut", "zeros", "noise"] {
            let mut torn = bytes[..cut].to_vec();
            match fill {
                "cut" => {}
                "zeros" => torn.resize(bytes.len(), 0),
                _ => torn.extend((0..200u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)),
            }
            let home = tempfile::tempdir().unwrap();
            copy_into(copy.path(), home.path());
            fs::write(home.path().join(path.file_name().unwrap()), &torn).unwrap();
            // A frame's last four bytes only repeat its length: without them it can still be read,
            // unless the file ends there.
            let spare = if fill == "cut" { 0 } else { 4 };
            let whole = (cut + spare - HEADER_BLOCK_BYTES as usize - 296) / frame_bytes;
            let opened = open(config(home.path()));
            assert_eq!(opened.recovery.damage, vec![], "{fill} at {cut}");
            let (read, damage) = read_all(&opened.journal);
            assert_eq!((read.len(), damage.len()), (whole, 0), "{fill} at {cut}");
            assert_eq!(opened.recovery.next_lsn, whole as u64 + 1);
            assert_eq!(append(&opened.journal, whole as u64, 40), whole as u64 + 1);
        }
    }
}

/// What happens to one segment in the middle.
fn mutilate(path: &Path, how: &str) {
    let bytes = fs::read(path).unwrap();
    let put = |bytes: &[u8]| fs::write(path, bytes).unwrap();
    match how {
        "deleted" => fs::remove_file(path).unwrap(),
        "zeroed" => put(&vec![0; bytes.len()]),
        "emptied" => put(&[]),
        "cut to 100 bytes" => put(&bytes[..100]),
        "cut to the header" => put(&bytes[..HEADER_BLOCK_BYTES as usize]),
        "cut in half" => put(&bytes[..bytes.len() / 2]),
        "first page zeroed" => put(&[&vec![0; 4096], &bytes[4096..]].concat()),
        "second half zeroed" => put(&[&bytes[..bytes.len() / 2], &vec![0; bytes.len() - bytes.len() / 2]].concat()),
        "middle page zeroed" => put(&[&bytes[..8192], &vec![0; 4096][..], &bytes[12288..]].concat()),
        "noise" => put(&(0..bytes.len() as u64)
            .map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8)
            .collect::<Vec<_>>()),
        _ => unreachable!("{how}"),
    }
}

/// The same file with `field` written into both header copies at `place`, checksums right.
fn reheaded(bytes: &[u8], place: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in [0, 2048] {
        bytes[at + place..at + place + field.len()].copy_from_slice(field);
        let length = u32::from_le_bytes(bytes[at + 12..at + 16].try_into().unwrap()) as usize;
        let crc = crc32c::crc32c(&bytes[at..at + length - 4]);
        bytes[at + length - 4..at + length].copy_from_slice(&crc.to_le_bytes());
    }
    bytes
}

#[test]
fn a_mutilated_segment_costs_no_more_than_itself() {
    // Scenario: the second, a middle, or the last but one segment is deleted, zeroed, cut, or replaced
    // by noise.
    // Guarantee: the journal opens, names exactly the frames that are gone, keeps the rest and all
    // bytes that it could not read, and goes on.
    let base = written();
    let files = segment_files(base.path());
    let hows = [
        ("deleted", Some(Reason::Missing)),
        ("zeroed", Some(Reason::Header)),
        ("emptied", Some(Reason::Header)),
        ("cut to 100 bytes", Some(Reason::Header)),
        ("cut to the header", None),
        ("cut in half", None),
        ("first page zeroed", Some(Reason::Header)),
        ("second half zeroed", None),
        ("middle page zeroed", None),
        ("noise", Some(Reason::Header)),
    ];
    for file in [&files[0], &files[1], &files[files.len() / 2], &files[files.len() - 3]] {
        for (how, reason) in hows {
            let copy = snapshot(base.path());
            let name = file.file_name().unwrap();
            mutilate(&copy.path().join(name), how);
            let what = format!("{name:?} {how}");
            let after = check(copy.path(), 60, &what);
            assert!(!after.damage.is_empty(), "{what}: told");
            assert!(after.lost.len() < 14, "{what}: lost {:?}", after.lost);
            assert!(!after.lost.is_empty() || how == "first page zeroed", "{what}");
            assert!(how != "first page zeroed" || after.lost.is_empty(), "{what}: only the header is gone");
            if let Some(reason) = reason {
                assert!(after.damage.iter().any(|one| one.reason == reason), "{what}: {:?}", after.damage);
            }
            let gone = ["zeroed", "noise"].contains(&how);
            assert!(!gone || copy.path().join("quarantine").join(name).exists(), "{what}: kept for a human");
        }
    }
}

#[test]
fn a_newer_versions_log_is_refused_untouched() {
    // Scenario: an upgrade is taken back: the first, a middle or the last segment has the header of a newer
    // format, or of this format with newer decode rules.
    // Guarantee: the journal does not open and says which file and which versions; no file was moved, made
    // or changed; with the headers as before, everything is there.
    let base = written();
    let files = segment_files(base.path());
    for file in [&files[0], &files[files.len() / 2], &files[files.len() - 1]] {
        for (place, field, words) in [(8, &3u32.to_le_bytes()[..], "format 3"), (64, &5u16.to_le_bytes(), "rules 5")] {
            let copy = snapshot(base.path());
            let path = copy.path().join(file.file_name().unwrap());
            let before = fs::read(&path).unwrap();
            fs::write(&path, reheaded(&before, place, field)).unwrap();
            let contents = || {
                let mut all: Vec<_> = fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
                all.retain(|path| !path.ends_with("lock"));
                all.sort();
                all.into_iter().map(|path| (fs::read(&path).unwrap_or_default(), path)).collect::<Vec<_>>()
            };
            let untouched = contents();
            let refused = crate::Journal::<u64>::open(crate::Config { rule: 4, ..config(copy.path()) }, |_| ());
            let Err(error) = refused else { panic!("{words}: opened") };
            let told = error.to_string();
            assert!(told.contains(words) && told.contains(".seg") && told.contains("newer version"), "{told}");
            assert_eq!(contents(), untouched);
            fs::write(&path, before).unwrap();
            let opened = open(crate::Config { rule: 4, ..config(copy.path()) });
            assert_eq!((read_all(&opened.journal).0.len(), opened.recovery.damage.len()), (60, 0));
        }
    }
}

#[test]
fn strangers_in_the_directory_are_left_alone() {
    // Scenario: foreign files, a segment under another's name, a segment of another journal, an
    // unfinished file, a damaged identity.
    // Guarantee: everything of ours is read; each stranger is reported; foreign files stay.
    let base = written();
    let other = written();
    let home = base.path();
    fs::write(home.join("notes.txt"), "mine").unwrap();
    fs::write(home.join("1.seg"), "short name").unwrap();
    fs::create_dir(home.join("000000000999.seg")).unwrap();
    fs::write(home.join("000000000998.seg.tmp"), "unfinished").unwrap();
    let files = segment_files(home);
    fs::copy(&files[0], home.join("000000000500.seg")).unwrap();
    fs::copy(segment_files(other.path())[1].clone(), home.join("000000000501.seg")).unwrap();
    fs::write(home.join("identity"), "damaged").unwrap();
    let opened = open(config(home));
    let (read, _) = read_all(&opened.journal);
    assert_eq!(read.len(), 60);
    let told = |reason| opened.recovery.damage.iter().filter(|one| one.reason == reason).count();
    assert_eq!((told(Reason::ForeignFile), told(Reason::Misplaced)), (3, 2), "{:#?}", opened.recovery.damage);
    assert!(opened.recovery.damage.iter().all(|one| one.lsns.is_none()));
    assert_eq!(fs::read_to_string(home.join("notes.txt")).unwrap(), "mine");
    assert!(!home.join("000000000998.seg.tmp").exists());
    assert!(home.join("quarantine/000000000501.seg").exists());
}

#[test]
fn a_body_cannot_smuggle_a_record_in() {
    // Scenario: a sender puts whole records of this very format into a body; then the head of the
    // frame around them is damaged, so that the reader searches for the next record.
    // Guarantee: the smuggled ones are not taken for records; exactly that frame is lost.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    append(&opened.journal, 0, 10);
    let mut body = Vec::new();
    for key in [0, 1, u64::MAX] {
        let salt = crate::record::salt(key, 1);
        (0..4).for_each(|_| crate::record::put(&mut body, crate::Kind::Frame, 2, b"forged", salt));
    }
    let mut evil = frame(1, 0);
    evil.body = body.into();
    opened.journal.append(evil, 1).unwrap().wait().unwrap();
    append(&opened.journal, 2, 10);
    let copy = snapshot(dir.path());
    drop(opened);
    let path = segment_files(copy.path())[0].clone();
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(4).enumerate().filter(|(_, window)| window == b"HyRc").map(|(at, _)| at).nth(2).unwrap();
    bytes[place + 1] ^= 4;
    fs::write(&path, bytes).unwrap();
    let after = check(copy.path(), 3, "damaged frame with records in its body");
    assert_eq!(after.lost, vec![2]);
}

#[test]
fn headers_hold_twice() {
    // Scenario: each of the two header copies is destroyed in turn, then both.
    // Guarantee: one is enough; a version that is not known is told apart from noise.
    let header = Header { number: 7, key: 8, writer: 9, boot: 10, created_ns: 11, rule: 12 };
    let block = header.encode();
    let good = crate::segment::Opening::Good(header);
    assert_eq!(Header::decode(&block), (good, 2));
    for at in [5, 2050] {
        let mut broken = block.clone();
        broken[at] ^= 1;
        assert_eq!(Header::decode(&broken), (good, 1));
    }
    let newer = reheaded(&block, 8, &3u32.to_le_bytes());
    assert_eq!(Header::decode(&newer).0, crate::segment::Opening::Unsupported(3));
    assert_eq!(Header::decode(&[0; 4096]).0, crate::segment::Opening::Unreadable);
}

#[test]
fn lost_segments_at_the_ends_are_noticed() {
    // Scenario: the oldest segments are removed by hand; all segments are removed by hand.
    // Guarantee: the first is reported with its frames; the second starts empty.
    let base = written();
    let files: Vec<PathBuf> = segment_files(base.path());
    fs::remove_file(&files[0]).unwrap();
    fs::remove_file(&files[1]).unwrap();
    let after = check(base.path(), 60, "oldest removed");
    assert!(after.lost.len() > 5 && after.lost[0] == 1);
    segment_files(base.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
    let opened = open(config(base.path()));
    assert_eq!(opened.recovery.next_lsn, 1);
}
