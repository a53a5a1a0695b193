//! What a start finds in the journal: which blocks were sealed and not confirmed, what must be
//! verified against ClickHouse, and where reading goes on. Presence in the table decides; nothing is
//! inserted again under an old token.

use std::collections::HashMap;

use journal::{Entry, Journal, Lsn, Recovery, Seal};

use crate::books::Books;
use crate::lanes::{Parcel, Payload};
use crate::ranges::{Coverage, Point, remainder};

/// The plan of a start.
pub(crate) struct Plan {
    /// The oldest frame that may have rows outside sealed blocks.
    pub next: Lsn,
    /// What sealed blocks cover from there on.
    pub coverage: Coverage,
    /// Blocks to verify, and to insert again under a new id when ClickHouse has lost them.
    pub parcels: Vec<Parcel>,
    /// Items in frames from `next` on.
    pub unread_items: [u64; 3],
}

/// Draws up the plan, and counts frames that became durable after the counters were last written.
pub(crate) fn plan(journal: &Journal<Payload>, recovery: &Recovery, books: &Books) -> Plan {
    let mut coverage = Coverage::default();
    let mut newer: HashMap<(u8, Box<str>), Vec<(Point, Point)>> = HashMap::new();
    let mut parcels = Vec::new();
    // Newest first: what a newer seal took over, an older one no longer answers for.
    for (seal, confirmed) in recovery.seals.iter().rev() {
        coverage.add(seal);
        let lane = newer.entry((seal.table, seal.partition.clone())).or_default();
        let left = remainder((seal.from, seal.to), lane);
        lane.push((seal.from, seal.to));
        if !confirmed || !recovery.clean {
            parcels.extend(left.into_iter().map(|(from, to)| parcel(seal, from, to)));
        }
    }
    parcels.reverse();
    let unread_items = count(journal, recovery, books);
    Plan { next: recovery.low_water, coverage, parcels, unread_items }
}

fn parcel(seal: &Seal, from: Point, to: Point) -> Parcel {
    let seal = Seal { from, to, ..seal.clone() };
    Parcel { seal, block: None, sealed: None, verify: true }
}

fn count(journal: &Journal<Payload>, recovery: &Recovery, books: &Books) -> [u64; 3] {
    let mut unread = [0; 3];
    let from = recovery.low_water.min(books.counted_lsn() + 1).max(1);
    for entry in journal.reader(from) {
        let Ok(Entry::Frame { lsn, header, .. }) = entry else { continue };
        books.accepted(lsn, header.items);
        if lsn >= recovery.low_water {
            (0..3).for_each(|at| unread[at] += u64::from(header.items[at]));
        }
    }
    unread
}
