//! Rows that ClickHouse refuses. A refused block is halved until the rows that it is refused for stand
//! alone; everything else goes in. A row that was refused for its values becomes a dead letter. An error
//! that this version does not know proves nothing by itself: only when ClickHouse took other rows of the
//! same table between two refusals is it about the row; until then the row waits, and says so.

use std::collections::VecDeque;
use std::time::Duration;

use journal::{Journal, Seal};
use model::Table;
use store::{LaneKey, SealedBlock};
use tracing::warn;
use wire::books::DeadLetterEntry;

use crate::books;
use crate::deliver::{Delivery, PAUSE, Place};
use crate::lanes::Payload;
use crate::ranges::Point;
use crate::renew::walk;

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
    pub(crate) async fn sift(&self, refused: Refused, place: &mut Place) {
        let Refused { seal, sealed, reason, stored, sure } = &refused;
        let table = sealed.table.def().name;
        warn!(table, rows = seal.rows, %reason, known = sure, "ClickHouse refuses a block: looking for the row");
        let stored_first = *stored;
        let mut open = VecDeque::from([Piece { refused, stored_first, pause: PAUSE.0 }]);
        while let Some(piece) = open.pop_front() {
            // Nobody would read a dead letter about a dead letter.
            let is_letter = piece.refused.sealed.table == Table::DeadLetters;
            let is_row = piece.refused.seal.rows <= 1;
            let waits = match piece.is_proven() {
                true => is_row && is_letter,
                false => is_row || open.len() >= UNPROVEN_MAX,
            };
            if waits {
                open.extend(self.wait_and_try(piece, place).await);
                continue;
            }
            self.let_go(piece.refused.seal.batch);
            match is_row {
                true => self.bury(piece.refused).await,
                false => self.halve(piece, &mut open, place).await,
            }
        }
    }

    // Nothing can be done about it now: a person must look, or other rows must go in first.
    async fn wait_and_try(&self, piece: Piece, place: &mut Place) -> Option<Piece> {
        let Piece { refused: Refused { seal, sealed, reason, stored, .. }, stored_first, pause } = piece;
        let longest = self.hold(seal.batch, &reason);
        place.step_aside();
        self.stored.wait(sealed.table, stored, pause).await;
        let again = self.attempt_sealed(seal, sealed, ONCE, place).await;
        again.map(|refused| Piece { refused, stored_first, pause: (pause * 2).min(longest) })
    }

    async fn halve(&self, piece: Piece, open: &mut VecDeque<Piece>, place: &mut Place) {
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
            let refused = self.attempt(seal, block, SHORT, place).await;
            open.extend(refused.map(|refused| Piece { refused, stored_first, pause: PAUSE.0 }));
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
