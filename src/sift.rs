//! Rows that ClickHouse refuses. A refused block is halved until the rows that it is refused for stand
//! alone; everything else goes in. A row that was refused for its values becomes a dead letter. An error
//! that this version does not know proves nothing by itself: only when ClickHouse took other rows of the
//! same table between two refusals is it about the row; until then the row waits, and says so.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use journal::{Entry, Journal, Seal};
use model::{BatchId, Table};
use store::{Block, LaneKey, SealedBlock};
use tracing::{error, warn};
use wire::books::DeadLetterEntry;

use crate::books;
use crate::decode;
use crate::deliver::{Delivery, PAUSE};
use crate::lanes::Payload;
use crate::ranges::Point;

/// A block that ClickHouse refused because of its rows, or so it seems.
pub(crate) struct Refused {
    pub(crate) seal: Seal,
    pub(crate) sealed: SealedBlock,
    pub(crate) reason: String,
    /// The error speaks of values; otherwise it is one that this version does not know.
    pub(crate) sure: bool,
    /// Successful inserts into the table before the try that was refused.
    pub(crate) stored: u64,
}

/// How often and for how long an unknown error is taken for a passing one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) tries: u32,
    pub(crate) time: Duration,
}

/// For a block as it came.
pub(crate) const PATIENT: Patience = Patience { tries: 6, time: Duration::from_secs(5) };
/// For parts of a block that was refused already.
const SHORT: Patience = Patience { tries: 2, time: Duration::ZERO };
/// For a part that was refused already.
const ONCE: Patience = Patience { tries: 1, time: Duration::ZERO };
/// Without proof that it is about rows, a block is cut into no more parts than this.
const UNPROVEN_MAX: usize = 8;

/// A refused block and how much had been stored when its rows were refused first.
struct Piece {
    refused: Refused,
    stored_first: u64,
    pause: Duration,
}

impl Piece {
    fn is_proven(&self) -> bool {
        self.refused.sure || self.refused.stored > self.stored_first
    }
}

impl Delivery {
    /// Brings in all of a refused block but the rows that it was refused for.
    pub(crate) async fn sift(&self, refused: Refused) {
        let Refused { seal, sealed, reason, stored, sure } = &refused;
        let table = sealed.table.def().name;
        warn!(table, rows = seal.rows, %reason, known = sure, "ClickHouse refuses a block: looking for the row");
        let stored_first = *stored;
        let mut open = VecDeque::from([Piece { refused, stored_first, pause: PAUSE.0 }]);
        while let Some(piece) = open.pop_front() {
            // Nobody would read a dead letter about a dead letter.
            let is_letter = piece.refused.sealed.table == Table::DeadLetters;
            let is_row = piece.refused.seal.rows <= 1;
            match piece.is_proven() {
                true if is_row && !is_letter => self.bury(piece.refused).await,
                false if is_row || open.len() >= UNPROVEN_MAX => open.extend(self.wait_and_try(piece).await),
                _ if is_row => open.extend(self.wait_and_try(piece).await),
                _ => self.halve(piece, &mut open).await,
            }
        }
    }

    // Nothing can be done about it now: a person must look, or other rows must go in first.
    async fn wait_and_try(&self, piece: Piece) -> Option<Piece> {
        let Piece { refused: Refused { seal, sealed, reason, stored, .. }, stored_first, pause } = piece;
        let (batch, longest) = (seal.batch, self.hold(seal.batch, &reason));
        self.stored.wait(sealed.table, stored, pause).await;
        let again = self.attempt_sealed(seal, sealed, ONCE).await;
        self.let_go(batch);
        again.map(|refused| Piece { refused, stored_first, pause: (pause * 2).min(longest) })
    }

    async fn halve(&self, piece: Piece, open: &mut VecDeque<Piece>) {
        let Piece { refused: Refused { seal, sealed, .. }, stored_first, .. } = piece;
        drop(sealed);
        let middle = seal.rows / 2;
        let find =
            move |journal: &Journal<Payload>, lane: &LaneKey, from, to| middle_of(journal, lane, from, to, middle);
        let halves = match self.read_again(&seal, seal.from, seal.to, find).await {
            Some((last_of_first, first_of_second)) => vec![(seal.from, last_of_first), (first_of_second, seal.to)],
            None => vec![(seal.from, seal.to)],
        };
        for (seal, block) in self.seal_again(&seal, &halves).await {
            let refused = self.attempt(seal, block, SHORT).await;
            open.extend(refused.map(|refused| Piece { refused, stored_first, pause: PAUSE.0 }));
        }
    }

    // Seals parts of a lost or refused batch anew and rebuilds their blocks. All seals are durable
    // before the old batch is let go: what newer seals cover, recovery takes from the old one.
    pub(crate) async fn seal_again(&self, old: &Seal, parts: &[(Point, Point)]) -> Vec<(Seal, Block)> {
        let mut renewed = Vec::new();
        for &(from, to) in parts {
            let (block, rows) = self.read_again(old, from, to, rebuild).await;
            if rows == 0 {
                warn!(?from, ?to, "rows of a batch are no longer in the journal");
                continue;
            }
            let batch = BatchId::new(self.writer, self.sequence.fetch_add(1, Ordering::Relaxed)).0;
            let (min_time_ns, max_time_ns) = block.time_range_ns();
            let seal = Seal { batch, from, to, rows, min_time_ns, max_time_ns, token: batch, ..old.clone() };
            self.waterline.sent(&seal, block.bytes());
            if !self.make_durable(self.journal.seal(seal.clone()), &seal).await {
                return Vec::new();
            }
            renewed.push((seal, block));
        }
        self.confirm(old);
        renewed
    }

    // Reads rows of the seal's lane from the journal on a blocking thread, as often as it takes: to give
    // up would be to lose them.
    async fn read_again<T, F>(&self, seal: &Seal, from: Point, to: Point, read: F) -> T
    where
        T: Send + 'static,
        F: Fn(&Journal<Payload>, &LaneKey, Point, Point) -> std::io::Result<T> + Clone + Send + 'static,
    {
        let mut pause = PAUSE.0;
        loop {
            let (journal, read) = (self.journal.clone(), read.clone());
            let lane = LaneKey::parse(seal.table, &seal.partition);
            let outcome = tokio::task::spawn_blocking(move || match lane {
                Some(lane) => read(&journal, &lane, from, to),
                None => Err(std::io::Error::other("the seal names a lane that this version does not know")),
            });
            match outcome.await {
                Ok(Ok(found)) => return found,
                Ok(Err(error)) => error!(%error, "rows cannot be read again from the journal; trying again"),
                Err(error) => error!(%error, "reading rows again from the journal was cut off; trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    // The dead letter and the settlement of its batch are one record: killed at any instant, the row is
    // buried once, or not yet.
    async fn bury(&self, refused: Refused) {
        let Refused { seal, sealed, reason, .. } = refused;
        let table = sealed.table.def().name;
        let now_ns = crate::clock::now_ns();
        let row = cut(sealed.native.row_as_json(0));
        let letter = DeadLetterEntry { time_ns: now_ns, table: table.to_owned(), reason: reason.clone(), row };
        let mut pause = PAUSE.0;
        journal::crash::crash_point("before-bury");
        while !books::bury(&self.journal, &self.budget, now_ns, &letter, seal.batch).await {
            warn!(table, "a dead letter cannot be journalled now; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
        journal::crash::crash_point("after-bury");
        warn!(table, %reason, "a row was set aside as a dead letter");
        self.books.dead_letter(table, crate::waterline::items_of(seal.table, 1), &reason);
        self.waterline.settled(seal.batch);
    }
}

/// Longest text of a row in a dead letter, bytes.
const LETTER_BYTES_MAX: usize = 4 << 20;

fn cut(mut row: String) -> String {
    if row.len() > LETTER_BYTES_MAX {
        let end = (0..=LETTER_BYTES_MAX).rev().find(|at| row.is_char_boundary(*at)).unwrap_or(0);
        row.truncate(end);
    }
    row
}

/// Visits the rows of a lane between two points, frame by frame. What is damaged or cannot be decoded is
/// passed over: the reader and the lanes have told of it.
fn walk(
    journal: &Journal<Payload>,
    lane: &LaneKey,
    (from, to): (Point, Point),
    mut visit: impl FnMut(journal::Lsn, &model::Batch, Range<u32>),
) -> std::io::Result<()> {
    for entry in journal.reader(from.0) {
        let Entry::Frame { lsn, header, body } = entry? else { continue };
        if lsn > to.0 {
            break;
        }
        let Ok(decoded) = decode::frame(&header, &body) else { continue };
        for (key, ranges) in store::lanes(&decoded.batch) {
            if key != *lane {
                continue;
            }
            for rows in ranges {
                let start = if lsn == from.0 { rows.start.max(from.1) } else { rows.start };
                let end = if lsn == to.0 { rows.end.min(to.1.saturating_add(1)) } else { rows.end };
                if start < end {
                    visit(lsn, &decoded.batch, start..end);
                }
            }
        }
    }
    Ok(())
}

/// The block of a lane's rows between two points.
fn rebuild(journal: &Journal<Payload>, lane: &LaneKey, from: Point, to: Point) -> std::io::Result<(Block, u32)> {
    let mut block = Block::new(lane.table);
    let mut count = 0;
    walk(journal, lane, (from, to), |_, batch, rows| {
        count += rows.end - rows.start;
        block.append(batch, rows);
    })?;
    Ok((block, count))
}

/// The last row of the first half and the first row of the second.
fn middle_of(
    journal: &Journal<Payload>,
    lane: &LaneKey,
    from: Point,
    to: Point,
    middle: u32,
) -> std::io::Result<Option<(Point, Point)>> {
    let (mut seen, mut last, mut cut) = (0, from, None);
    walk(journal, lane, (from, to), |lsn, _, rows| {
        for row in rows {
            if seen == middle {
                cut = Some((last, (lsn, row)));
            }
            last = (lsn, row);
            seen += 1;
        }
    })?;
    Ok(cut)
}
