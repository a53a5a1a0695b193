//! Appending, reading, sealing, releasing, and coming back.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use crate::tests_kit::*;
use crate::{AppendError, Config, Durability, Fate, Journal, OpenError, Totals, lock};

#[test]
fn what_was_acknowledged_is_read_back_in_order() {
    // Scenario: 100 frames of mixed sizes over several segments, read while open and after a clean stop.
    // Guarantee: same frames, same order, sink and reader agree, the stop is seen as clean.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    assert_eq!((opened.recovery.next_lsn, opened.recovery.clean), (1, false));
    let wanted: Vec<_> =
        (0..100).map(|seed| (append(&opened.journal, seed, (seed as usize * 37) % 5000), seed)).collect();
    assert_eq!(wanted.first().unwrap().0, 1);
    assert_eq!(read_all(&opened.journal), (wanted.clone(), vec![]));
    assert_eq!(*lock(&opened.sunk), wanted);
    opened.journal.close().unwrap();
    assert_eq!(opened.journal.append(frame(0, 1), 0).unwrap_err(), AppendError::Closed);
    drop(opened);

    let again = open(config(dir.path()));
    assert!(again.recovery.clean && again.recovery.damage.is_empty());
    assert_eq!(again.recovery.next_lsn, 101);
    assert_eq!(read_all(&again.journal), (wanted, vec![]));
    assert_eq!(append(&again.journal, 100, 10), 101);
}

#[test]
fn a_kill_loses_nothing_acknowledged() {
    // Scenario: the directory is copied at once after an acknowledgement, as a kill would leave it.
    // Guarantee: the copy opens, unclean, with every frame and seal; writer ids differ, the key stays.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    let wanted: Vec<_> = (0..30).map(|seed| (append(&opened.journal, seed, 900), seed)).collect();
    opened.journal.seal(seal(7, 1, 30)).unwrap().wait().unwrap();
    let copy = snapshot(dir.path());
    let again = open(config(copy.path()));
    assert!(!again.recovery.clean);
    assert_eq!(again.recovery.damage, vec![]);
    assert_eq!(again.recovery.seals, vec![(seal(7, 1, 30), Fate::Open)]);
    assert_eq!(again.recovery.hash_key, opened.recovery.hash_key);
    assert_ne!(again.recovery.writer, opened.recovery.writer);
    assert_eq!(read_all(&again.journal), (wanted, vec![]));
}

#[test]
fn seals_confirms_totals_and_recent_hashes_survive() {
    // Scenario: seals, one confirmed; totals; two minutes of hashes out of 200 seconds; clean stop.
    // Guarantee: all of it comes back, twice in a row.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    (0..200).for_each(|seed| assert_eq!(append(&opened.journal, seed, 300), seed + 1));
    opened.journal.seal(seal(1, 1, 50)).unwrap().wait().unwrap();
    opened.journal.seal(seal(2, 51, 200)).unwrap().wait().unwrap();
    opened.journal.confirm(1);
    let mut totals = Totals::default();
    totals.0[3] = 77;
    opened.journal.set_totals(totals);
    opened.journal.close().unwrap();
    drop(opened);
    for _ in 0..2 {
        let again = open(config(dir.path()));
        assert_eq!(again.recovery.seals, vec![(seal(1, 1, 50), Fate::Confirmed), (seal(2, 51, 200), Fate::Open)]);
        assert_eq!((again.recovery.totals, again.recovery.totals_lsn), (totals, 201));
        let recent: Vec<_> = again.recovery.recent.iter().map(|note| (note.lsn, note.body_hash, note.items)).collect();
        let wanted: Vec<_> = (80..=200u32).map(|lsn| (u64::from(lsn), u128::from(lsn), [lsn - 1, 1, 2])).collect();
        assert_eq!(recent, wanted[..], "frames of the last 120 s");
        again.journal.close().unwrap();
    }
}

#[test]
fn a_confirmation_becomes_durable_by_itself() {
    // Scenario: a confirmation and new totals, and nothing else happens.
    // Guarantee: both reach the disk without another append.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    append(&opened.journal, 1, 10);
    opened.journal.seal(seal(9, 1, 1)).unwrap().wait().unwrap();
    opened.journal.confirm(9);
    let mut totals = Totals::default();
    totals.0[0] = 5;
    opened.journal.set_totals(totals);
    eventually("confirmation on disk", || {
        let again = open(config(snapshot(dir.path()).path()));
        again.recovery.seals == vec![(seal(9, 1, 1), Fate::Confirmed)] && again.recovery.totals == totals
    });
}

#[test]
fn a_full_budget_refuses_until_frames_are_released() {
    // Scenario: appends until refused; then half is released.
    // Guarantee: disk use stays within the budget, refusal is Full and never reaches the sink,
    // seals are still taken, appends work again after the release, unreleased frames are all there.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    let mut last = 0;
    let refused = loop {
        match opened.journal.append(frame(last, 3000), last) {
            Ok(ticket) => last = ticket.wait().unwrap(),
            Err(error) => break error,
        }
        assert!(opened.journal.usage().bytes <= 1 << 20);
    };
    assert_eq!(refused, AppendError::Full { budget_bytes: 1 << 20 });
    assert!(last > 200, "{last} frames fitted");
    opened.journal.seal(seal(3, 1, last)).unwrap().wait().unwrap();
    opened.journal.release(last / 2);
    for seed in 0..100 {
        append(&opened.journal, last + seed, 3000);
        assert!(opened.journal.usage().bytes <= (1 << 20) + (16 << 10));
    }
    assert_eq!(lock(&opened.sunk).len() as u64, last + 100);
    let (frames, damage) = read_all(&opened.journal);
    assert_eq!(damage, vec![]);
    assert!(frames.len() > 210, "no more was given back than was needed: {}", frames.len());
    assert!(frames[0].0 <= last / 2 && frames.last().unwrap().0 == last + 100);
    let disk: u64 = segment_files(dir.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(disk <= (1 << 20) + (32 << 10), "{disk} bytes on disk");
}

#[test]
fn our_own_books_have_room_when_senders_have_none() {
    // Scenario: senders fill their share; then our own books fill theirs; then frames that settle batches,
    // more than any budget has room for.
    // Guarantee: senders are refused, and usage says so until an eighth of the share is free again; books
    // are taken up to the budget; settlements always, and each counts as one after a kill, from the
    // segment being written as well as from closed ones.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    let journal = &opened.journal;
    let mut last = 0;
    assert!(!journal.usage().spent);
    while let Ok(ticket) = journal.append(frame(last, 3000), last) {
        last = ticket.wait().unwrap();
    }
    assert!(journal.usage().spent && journal.usage().healthy);
    let mut books = 0;
    while let Ok(ticket) = journal.append_own(frame(last, 3000), last) {
        last = ticket.wait().unwrap();
        books += 1;
    }
    assert!(books >= 10 && journal.usage().bytes <= 1 << 20, "{books} own frames");
    for batch in 1..=20 {
        journal.seal(seal(batch, batch as u64, batch as u64)).unwrap().wait().unwrap();
        let mut letter = frame(last, 3000);
        letter.header.settles = Some(batch);
        last = journal.append_own(letter, last).unwrap().wait().unwrap();
    }
    journal.seal(seal(21, 21, 21)).unwrap().wait().unwrap();
    let again = open(config(snapshot(dir.path()).path()));
    let fates: Vec<_> = again.recovery.seals.iter().map(|(seal, fate)| (seal.batch, *fate)).collect();
    let wanted: Vec<_> = (1..=20).map(|batch| (batch, Fate::SetAside)).chain([(21, Fate::Open)]).collect();
    assert_eq!(fates, wanted);

    // A little room is not enough to say that there is room again.
    let mut low_water = 0;
    while journal.append(frame(last, 3000), last).is_err() {
        low_water += 1;
        journal.release(low_water);
    }
    assert!(journal.usage().spent, "one frame fits, which is no reason to call for more");
    journal.release(last / 3);
    assert!(!journal.usage().spent);
}

#[test]
fn released_segments_stay_for_the_retention_and_go_oldest_first() {
    // Scenario: everything is confirmed and released, with a retention of an hour, then of zero.
    // Guarantee: with the hour all stay; with zero all closed segments go, the numbering goes on,
    // and a later start reports no damage.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(Config { confirmed_retention: Duration::from_secs(3600), ..config(dir.path()) });
    (0..60).for_each(|seed| assert_eq!(append(&opened.journal, seed, 2000), seed + 1));
    opened.journal.seal(seal(1, 1, 60)).unwrap().wait().unwrap();
    opened.journal.confirm(1);
    opened.journal.release(61);
    eventually("low water noted", || open(config(snapshot(dir.path()).path())).recovery.low_water == 61);
    let before = segment_files(dir.path()).len();
    assert!(before > 7);
    opened.journal.close().unwrap();
    drop(opened);

    let opened = open(Config { confirmed_retention: Duration::ZERO, ..config(dir.path()) });
    assert_eq!((opened.recovery.low_water, opened.recovery.seals.len()), (61, 1));
    append(&opened.journal, 60, 10);
    assert!(segment_files(dir.path()).len() >= before, "nothing goes before the caller has spoken");
    opened.journal.release(61);
    eventually("segments gone", || {
        append(&opened.journal, 61, 10);
        segment_files(dir.path()).len() <= 2
    });
    let next = opened.journal.usage().next_lsn;
    let oldest = opened.journal.usage().oldest_unreleased_ns.unwrap();
    assert_eq!(oldest, frame(60, 0).header.received_ns);
    drop(opened);
    let again = open(config(dir.path()));
    assert_eq!((again.recovery.damage, again.recovery.next_lsn), (vec![], next));
}

#[test]
fn a_directory_has_one_owner_and_private_modes() {
    // Scenario: a second open of the same directory; then after the first is gone.
    // Guarantee: the second is refused by name; modes are 0700 and 0600.
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("a b/journal");
    let opened = open(config(&home));
    append(&opened.journal, 1, 10);
    let refused = Journal::<u64>::open(config(&home), |_| ()).unwrap_err();
    assert!(matches!(&refused, OpenError::InUse { dir } if *dir == home));
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
    assert_eq!(home.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(&home).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    drop(opened);
    open(config(&home));
}

#[test]
fn many_threads_share_flushes_and_keep_the_order() {
    // Scenario: 8 threads append 200 frames each while a reader follows.
    // Guarantee: every ticket's number is unique, the sink's order is the file's order, the reader
    // sees every frame once, and flushes were shared.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(Config { budget_bytes: 64 << 20, segment_bytes: 256 << 10, ..Config::new(dir.path()) });
    let journal = Arc::new(opened.journal.clone());
    let threads: Vec<_> = (0..8u64)
        .map(|thread| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                let mut got = Vec::new();
                for turn in 0..200 {
                    let seed = thread * 1000 + turn;
                    got.push((append(&journal, seed, (seed as usize * 13) % 9000), seed));
                }
                got
            })
        })
        .collect();
    let mut reader = journal.reader(1);
    let mut followed = Vec::new();
    while followed.len() < 1600 {
        match reader.next() {
            Some(entry) => match entry.unwrap() {
                crate::Entry::Frame { lsn, header, .. } => {
                    followed.push((lsn, u64::from_le_bytes((&header.decisions[..]).try_into().unwrap())));
                }
                crate::Entry::Damaged(damage) => panic!("{damage}"),
            },
            None => std::thread::yield_now(),
        }
    }
    let mut got: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got.iter().map(|(lsn, _)| *lsn).collect::<Vec<_>>(), (1..=1600).collect::<Vec<_>>());
    assert_eq!(*lock(&opened.sunk), got);
    assert_eq!(followed, got);
    assert_eq!(read_all(&journal), (got, vec![]));
}

#[test]
fn weaker_durability_answers_too_and_is_flushed_later() {
    // Scenario: frames at process and memory level only, then the process is killed.
    // Guarantee: tickets complete, the order holds, and a kill (not a power cut) keeps the frames.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(Config { durability: Durability::Process, ..config(dir.path()) });
    let mut weak = frame(1, 100);
    weak.header.durability = Durability::Memory;
    opened.journal.append(weak, 1).unwrap().wait().unwrap();
    append(&opened.journal, 2, 100);
    let again = open(config(snapshot(dir.path()).path()));
    assert_eq!(again.recovery.next_lsn, 3);
}

#[test]
fn a_ticket_can_be_awaited() {
    // Scenario: an async task appends and awaits its ticket.
    // Guarantee: it is woken with the frame's number.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lsn = runtime.block_on(async { opened.journal.append(frame(1, 1), 1).unwrap().await });
    assert_eq!(lsn, Ok(1));
}

#[test]
fn limits_and_misuse_are_refused() {
    // Scenario: a body one byte too long, a long tenant, a seal for frames that are not there, one
    // that ends before it begins.
    // Guarantee: each is refused with its reason; the journal goes on; the largest frame is taken.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(Config::new(dir.path()));
    let journal = &opened.journal;
    let mut large = frame(1, 0);
    large.body = vec![7; crate::BODY_BYTES_MAX].into();
    let mut larger = large.clone();
    larger.body = vec![7; crate::BODY_BYTES_MAX + 1].into();
    assert!(matches!(journal.append(larger, 1), Err(AppendError::TooLarge { .. })));
    let mut tenant = frame(1, 0);
    tenant.header.tenant = "x".repeat(65_536).into();
    assert!(matches!(journal.append(tenant, 1), Err(AppendError::TooLarge { .. })));
    assert!(matches!(journal.seal(seal(1, 1, 1)).unwrap().wait(), Err(AppendError::Misuse(_))));
    assert!(matches!(journal.seal(seal(1, 2, 1)), Err(AppendError::Misuse(_))));
    assert_eq!(journal.append(large.clone(), 1).unwrap().wait(), Ok(1));
    assert_eq!(append(journal, 2, 10), 2);
    let first = journal.reader(1).next().unwrap().unwrap();
    assert!(matches!(first, crate::Entry::Frame { body, .. } if body == large.body));
}

#[test]
fn metrics_are_registered_under_their_names() {
    // Scenario: a few appends, one refusal, then the registry is encoded.
    // Guarantee: names and values as documented.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    append(&opened.journal, 1, 10);
    assert!(opened.journal.seal(seal(1, 2, 1)).is_err());
    let mut registry = prometheus_client::registry::Registry::default();
    opened.journal.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "journal_appends_total 1",
        "journal_healthy 1",
        "journal_refusals_total{reason=\"Misuse\"} 1",
        "journal_fsync_seconds_count",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[test]
fn a_sink_that_panics_closes_the_journal_loudly() {
    // Scenario: the sink panics on the second frame.
    // Guarantee: the ticket tells, later appends are refused as closed, close() reports, health
    // shows it, and both frames, durable as they are, come back.
    let dir = tempfile::tempdir().unwrap();
    let sink = |group: Vec<(u64, u64)>| assert!(group[0].0 < 2, "a defect in the caller");
    let (journal, _) = Journal::open(config(dir.path()), sink).unwrap();
    append(&journal, 0, 10);
    let told = journal.append(frame(1, 10), 1).unwrap().wait();
    assert_eq!(told, Err(AppendError::Closed));
    eventually("closed", || journal.append(frame(2, 10), 2).is_err());
    assert!(journal.close().is_err() && !journal.usage().healthy);
    assert!(journal.usage().last_error.unwrap().contains("panicked"));
    drop(journal);
    assert_eq!(open(config(dir.path())).recovery.next_lsn, 3);
}

#[test]
fn the_last_clone_may_be_dropped_by_the_sink() {
    // Scenario: the sink holds the last clone and drops it.
    // Guarantee: nobody waits for ever, and the directory becomes free.
    let dir = tempfile::tempdir().unwrap();
    let slot: Arc<std::sync::Mutex<Option<Journal<u64>>>> = Arc::default();
    let inside = slot.clone();
    let (journal, _) = Journal::open(config(dir.path()), move |_: Vec<(u64, u64)>| drop(lock(&inside).take())).unwrap();
    *lock(&slot) = Some(journal.clone());
    let ticket = journal.append(frame(0, 10), 0).unwrap();
    drop(journal);
    assert_eq!(ticket.wait(), Ok(1));
    eventually("the directory is free", || Journal::<u64>::open(config(dir.path()), |_| ()).is_ok());
}

#[test]
fn a_reader_is_not_alarmed_by_what_is_released_under_it() {
    // Scenario: a reader stands in the first segment while everything is released and deleted.
    // Guarantee: it goes on at what is left, without reporting damage.
    let dir = tempfile::tempdir().unwrap();
    let opened = open(Config { confirmed_retention: Duration::ZERO, ..config(dir.path()) });
    (0..60).for_each(|seed| assert_eq!(append(&opened.journal, seed, 2000), seed + 1));
    let mut reader = opened.journal.reader(1);
    assert!(matches!(reader.next(), Some(Ok(crate::Entry::Frame { lsn: 1, .. }))));
    opened.journal.release(61);
    eventually("segments gone", || segment_files(dir.path()).len() <= 2);
    assert_eq!(append(&opened.journal, 60, 10), 61);
    let mut last = 1;
    for entry in reader {
        match entry.unwrap() {
            crate::Entry::Frame { lsn, .. } => last = lsn,
            crate::Entry::Damaged(damage) => panic!("{damage}"),
        }
    }
    assert_eq!(last, 61);
}
