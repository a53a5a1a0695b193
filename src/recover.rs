//! What a start finds in the journal: which blocks were sealed and not confirmed, what must be
//! verified against ClickHouse, and where reading goes on. Presence in the table decides; nothing is
//! inserted again under an old token.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use journal::{Entry, Fate, Journal, Lsn, Recovery, Seal};
use model::{BatchId, Table};
use store::LookupError;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{info, warn};

use crate::books::{self, Books};
use crate::decode;
use crate::deliver::{Delivery, SETTLE};
use crate::lanes::{Parcel, Payload};
use crate::ranges::{ByLane, Coverage, remainder};
use crate::waterline::Waterline;

/// Batches that are looked up with one question.
const LOOK_UP: usize = 200;
/// First and longest pause after ClickHouse could not say.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The plan of a start.
pub(crate) struct Plan {
    /// The oldest frame that may have rows outside sealed blocks.
    pub next: Lsn,
    /// What sealed blocks cover from there on.
    pub coverage: Coverage,
    /// Blocks that may or may not be in ClickHouse.
    pub unsettled: Vec<Seal>,
    /// Blocks that were confirmed, to be verified after an unclean stop: ClickHouse's machine may have
    /// lost what it had said it had.
    pub confirmed: Vec<Seal>,
}

/// Draws up the plan.
pub(crate) fn plan(recovery: &Recovery) -> Plan {
    let mut coverage = Coverage::default();
    let mut newer = ByLane::new();
    let (mut unsettled, mut confirmed) = (Vec::new(), Vec::new());
    // Newest first: what a newer seal took over, an older one no longer answers for.
    for (seal, fate) in recovery.seals.iter().rev() {
        coverage.add(seal);
        let lane = newer.entry((seal.table, seal.partition.clone())).or_default();
        let left = remainder((seal.from, seal.to), lane);
        lane.push((seal.from, seal.to));
        let seals = left.into_iter().map(|(from, to)| Seal { from, to, ..seal.clone() });
        match fate {
            Fate::Open => unsettled.extend(seals),
            Fate::Confirmed if !recovery.clean => confirmed.extend(seals),
            // Its row is a dead letter: it is in no table, and must not be looked for there.
            Fate::Confirmed | Fate::SetAside => {}
        }
    }
    unsettled.reverse();
    Plan { next: recovery.low_water, coverage, unsettled, confirmed }
}

/// Counts frames that became durable after the counters were last written, before new ones come.
pub(crate) fn count_accepted(journal: &Journal<Payload>, books: &Books) {
    for entry in journal.reader(books.counted_lsn() + 1) {
        if let Ok(Entry::Frame { lsn, header, body }) = entry {
            let letters = header.settles.and_then(|_| decode::frame(&header, &body).ok());
            books.durable(lsn, header.items, letters.map_or([0; 3], |letters| books::set_aside(&letters.batch)));
        }
    }
}

/// Counts what the lanes have to read of earlier lives. Reads the backlog, so it runs beside the start.
pub(crate) fn count_unread(journal: &Journal<Payload>, from: Lsn, before: Lsn, waterline: &Waterline) {
    for entry in journal.reader(from) {
        match entry {
            Ok(Entry::Frame { lsn, header, .. }) if lsn < before => waterline.arrived(header.items),
            Ok(Entry::Damaged(_)) => {}
            _ => break,
        }
    }
}

/// Asks ClickHouse for blocks that were sealed and not confirmed, many at a time and beside the inserts of
/// new data. Those it has are confirmed; the others go to delivery, under new ids.
pub(crate) async fn settle(seals: Vec<Seal>, look: Look) {
    let delivery = Arc::clone(&look.delivery);
    let (total, gone) = (seals.len(), look.renew_absent(seals, |seal| delivery.confirm(seal)).await);
    info!(batches = total, inserted_again = gone, "unconfirmed batches of the last life are settled");
}

/// The same for confirmed blocks.
pub(crate) async fn verify(seals: Vec<Seal>, look: Look) {
    let delivery = Arc::clone(&look.delivery);
    let total = seals.len();
    match look.renew_absent(seals, |seal| delivery.waterline.settled(seal.batch)).await {
        0 => {
            // Nothing was freed before: what is retained may go now.
            delivery.journal.release(delivery.waterline.level());
            info!(batches = total, "ClickHouse has every batch of the last life");
        }
        gone => {
            warn!(batches = total, gone, "ClickHouse had lost batches that it had confirmed; they are inserted again");
        }
    }
}

/// Looks batches up.
#[derive(Clone)]
pub(crate) struct Look {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) parcels: UnboundedSender<Parcel>,
}

impl Look {
    // Gives the number of absent batches.
    async fn renew_absent(&self, seals: Vec<Seal>, confirm: impl Fn(&Seal)) -> usize {
        let (mut absent, mut was_away) = self.absent(seals, &confirm).await;
        while !absent.is_empty() {
            tokio::time::sleep(if was_away { SETTLE.1 } else { SETTLE.0 }).await;
            (absent, was_away) = self.absent(absent, &confirm).await;
            if !was_away {
                break;
            }
        }
        let gone = absent.len();
        self.delivery.renew_all(absent, &self.parcels).await;
        gone
    }

    // The batches that ClickHouse does not have, and whether it was away meanwhile; waits until it can say.
    async fn absent(&self, seals: Vec<Seal>, confirm: &impl Fn(&Seal)) -> (Vec<Seal>, bool) {
        let mut by_table: HashMap<u8, Vec<Seal>> = HashMap::new();
        for seal in seals {
            by_table.entry(seal.table).or_default().push(seal);
        }
        let (mut absent, mut was_away) = (Vec::new(), false);
        for (table, seals) in by_table {
            let Some(table) = Table::from_number(table) else { continue };
            for some in seals.chunks(LOOK_UP) {
                let ids: Vec<BatchId> = some.iter().map(|seal| BatchId(seal.batch)).collect();
                let from_ns = some.iter().map(|seal| seal.min_time_ns).min().unwrap_or_default();
                let to_ns = some.iter().map(|seal| seal.max_time_ns).max().unwrap_or_default();
                let mut pause = PAUSE.0;
                let present = loop {
                    match self.delivery.store.present(table, &ids, (from_ns, to_ns)).await {
                        Ok(present) => break present,
                        // Only a server that was out of reach can have old inserts waiting in its sockets.
                        Err(LookupError::Failed(_)) => was_away = true,
                        Err(_) => {}
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                };
                let (there, gone): (Vec<&Seal>, Vec<&Seal>) =
                    some.iter().partition(|seal| present.contains(&BatchId(seal.batch)));
                there.into_iter().for_each(confirm);
                absent.extend(gone.into_iter().cloned());
            }
        }
        (absent, was_away)
    }
}
