//! Random histories against a simple model.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::tests_kit::*;
use crate::{AppendError, Config, Fate, Lsn, Totals};

#[derive(Clone, Debug)]
enum Act {
    /// Appends this many frames of about this size, then waits for all.
    Append(u8, u16),
    Seal,
    Confirm(u8),
    /// Releases this share of what is sealed.
    Release(u8),
    Count(u64),
    Reopen,
    /// Continues on a copy of the directory, as after a kill.
    Kill,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (1..20u8, 0..6000u16).prop_map(|(count, bytes)| Act::Append(count, bytes)),
        3 => Just(Act::Seal),
        2 => any::<u8>().prop_map(Act::Confirm),
        2 => any::<u8>().prop_map(Act::Release),
        1 => any::<u64>().prop_map(Act::Count),
        1 => Just(Act::Reopen),
        1 => Just(Act::Kill),
    ];
    proptest::collection::vec(act, 1..40)
}

#[derive(Default)]
struct Model {
    /// Seed of each frame; frame n stands at n - 1.
    frames: Vec<u64>,
    /// Batch -> (from, to, confirmed).
    seals: BTreeMap<u128, (Lsn, Lsn, bool)>,
    sealed_to: Lsn,
    released: Lsn,
    /// Low water that the last start found, while this process has released nothing.
    found_low_water: Option<Lsn>,
    totals: Totals,
}

struct World {
    dir: tempfile::TempDir,
    opened: Opened,
    model: Model,
}

impl World {
    fn config(dir: &std::path::Path) -> Config {
        Config { confirmed_retention: Duration::from_millis(5), ..config(dir) }
    }

    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let opened = open(Self::config(dir.path()));
        Self { dir, opened, model: Model::default() }
    }

    fn act(&mut self, act: &Act) {
        let (journal, model) = (&self.opened.journal, &mut self.model);
        match *act {
            Act::Append(count, bytes) => {
                let tickets: Vec<_> = (0..u64::from(count))
                    .filter_map(|turn| {
                        let seed = model.frames.len() as u64 * 100 + turn;
                        match journal.append(frame(seed, usize::from(bytes)), seed) {
                            Ok(ticket) => Some((seed, ticket)),
                            Err(AppendError::Full { .. }) => None,
                            Err(error) => panic!("{error}"),
                        }
                    })
                    .collect();
                for (seed, ticket) in tickets {
                    model.frames.push(seed);
                    assert_eq!(ticket.wait(), Ok(model.frames.len() as Lsn));
                }
            }
            Act::Seal => {
                let (from, to) = (model.sealed_to + 1, model.frames.len() as Lsn);
                if from <= to {
                    let batch = u128::from(to);
                    journal.seal(seal(batch, from, to)).unwrap().wait().unwrap();
                    model.seals.insert(batch, (from, to, false));
                    model.sealed_to = to;
                }
            }
            Act::Confirm(which) => {
                let open: Vec<u128> = model.seals.iter().filter(|(_, seal)| !seal.2).map(|(batch, _)| *batch).collect();
                if !open.is_empty() {
                    let batch = open[usize::from(which) % open.len()];
                    journal.confirm(batch);
                    model.seals.entry(batch).and_modify(|seal| seal.2 = true);
                }
            }
            Act::Release(share) => {
                let until = model.seals.values().take_while(|seal| seal.2).map(|seal| seal.1).max().unwrap_or(0);
                let low_water = (until * u64::from(share) / 255 + 1).max(model.released).max(1);
                model.released = low_water;
                model.found_low_water = None;
                journal.release(low_water);
            }
            Act::Count(count) => {
                model.totals.0[(count % 32) as usize] = count;
                journal.set_totals(model.totals);
            }
            Act::Reopen => self.reopen(true),
            Act::Kill => self.reopen(false),
        }
    }

    fn reopen(&mut self, clean: bool) {
        if clean {
            self.opened.journal.close().unwrap();
        } else {
            // The keeper may be removing segments: what a copy misses of that is what a kill shows.
            self.dir = snapshot(self.dir.path());
        }
        // A journal that is still open holds its old directory only.
        self.opened = if clean {
            let dir = self.dir.path().to_owned();
            let stale = std::mem::replace(&mut self.opened, open(config(tempfile::tempdir().unwrap().path())));
            drop(stale);
            open(Self::config(&dir))
        } else {
            open(Self::config(self.dir.path()))
        };
        self.compare(clean);
        // Totals, low water and confirmations are noted once a second: a kill may lose the last.
        for (seal, fate) in &self.opened.recovery.seals {
            self.model.seals.entry(seal.batch).and_modify(|known| known.2 = *fate == Fate::Confirmed);
        }
        self.model.totals = self.opened.recovery.totals;
        self.model.found_low_water = Some(self.opened.recovery.low_water);
    }

    fn compare(&self, clean: bool) {
        let (recovery, model) = (&self.opened.recovery, &self.model);
        assert_eq!(recovery.damage, vec![]);
        // Killed before anything was written, the last stop is still a clean one.
        assert!(recovery.clean || !clean);
        assert_eq!(recovery.next_lsn, model.frames.len() as Lsn + 1);
        assert!(recovery.low_water <= model.released.max(1));
        let (read, damage) = read_all(&self.opened.journal);
        assert_eq!(damage, vec![]);
        let first = recovery.first_lsn;
        assert!(first <= model.released.max(1), "only released frames are gone");
        let wanted: Vec<_> = (first..recovery.next_lsn).map(|lsn| (lsn, model.frames[lsn as usize - 1])).collect();
        assert_eq!(read, wanted);
        let found: BTreeMap<u128, bool> =
            recovery.seals.iter().map(|(seal, fate)| (seal.batch, *fate == Fate::Confirmed)).collect();
        for (batch, (from, to, confirmed)) in &model.seals {
            match found.get(batch) {
                Some(sure) => assert!(sure == confirmed || (!clean && *confirmed), "confirmation of {batch}"),
                None => assert!(*to < first, "seal {batch} of {from} to {to} is gone, frames from {first} are there"),
            }
        }
        if clean {
            let low_water = model.found_low_water.unwrap_or(model.released).max(first).max(1);
            assert_eq!((recovery.totals, recovery.low_water), (model.totals, low_water));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_is_what_the_model_says(acts in acts()) {
        // Scenario: random appends, seals, confirmations, releases, clean and unclean restarts.
        // Guarantee: after each restart frames, seals, confirmations and totals are the model's.
        let mut world = World::new();
        for act in &acts {
            world.act(act);
        }
        world.reopen(false);
        world.reopen(true);
    }
}
