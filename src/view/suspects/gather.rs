//! The evidence of windows: of whole minutes as the keeper stored it, of the rest from its traces.

use std::collections::HashMap;
use std::sync::Arc;

use correlate::graph::{MINUTE_NS, Names};
use model::evidence::{Evidence, Sample};
use store::questions::evidence::{MinuteRow, stored};
use store::questions::{Ask, AskError, Window};

use super::baseline::minute_of;
use super::read::Traces;

/// Spans that are read for the ends of a window that stick out of its whole minutes; of more, the ends are left out.
const ENDS_MAX: u64 = 60_000;
/// Traces of a sample.
const SAMPLE_TRACES: u64 = 2_000;
/// Spans of a trace, about.
const TRACE_SPANS: u64 = 10;

/// What is known of minutes: how they were, and their stored evidence.
#[derive(Debug, Default)]
pub(super) struct Known {
    rows: HashMap<i64, MinuteRow>,
    stored: HashMap<i64, Arc<Evidence>>,
}

/// A window: evidence of its whole minutes, traces of the rest.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    stored: Vec<Arc<Evidence>>,
    traces: Traces,
    /// Whether its ends were left out.
    pub(super) is_trimmed: bool,
}

impl Known {
    /// Adds minutes.
    pub(super) fn add(&mut self, rows: &[MinuteRow]) {
        self.rows.extend(rows.iter().map(|row| (row.minute, *row)));
    }

    /// Reads what is stored of a window's minutes and still true.
    pub(super) async fn read(&mut self, ask: &Ask<'_>, window: Window) -> Result<(), AskError> {
        for (minute, spans, evidence) in stored(ask, window).await? {
            if self.rows.get(&minute).is_some_and(|row| row.spans == spans) {
                self.stored.insert(minute, Arc::new(evidence));
            }
        }
        Ok(())
    }

    // Of minutes without evidence, and of the parts of minutes.
    fn unstored(&self, window: Window) -> u64 {
        self.pieces(window).iter().filter(|piece| piece.minute.is_none()).map(|piece| self.spans(piece.window)).sum()
    }

    /// Spans that would have to be read for windows that are trimmed where that helps.
    pub(super) fn unread(&self, windows: &[Window]) -> u64 {
        windows.iter().map(|window| self.unstored(self.trimmed(*window))).max().unwrap_or(0)
    }

    /// The window without ends that would cost too much.
    pub(super) fn trimmed(&self, window: Window) -> Window {
        let pieces = self.pieces(window);
        let whole = || pieces.iter().filter(|piece| piece.minute.is_some());
        let (Some(first), Some(last)) = (whole().next(), whole().next_back()) else { return window };
        let ends = [Window { to_ns: first.window.from_ns, ..window }, Window { from_ns: last.window.to_ns, ..window }];
        let spans: u64 = ends.iter().filter(|end| !end.is_empty()).map(|end| self.spans(*end)).sum();
        match spans > ENDS_MAX {
            true => Window { from_ns: first.window.from_ns, to_ns: last.window.to_ns },
            false => window,
        }
    }

    /// Spans of a window, by its share of its minutes.
    pub(super) fn spans(&self, window: Window) -> u64 {
        let (first, last) = (minute_of(window.from_ns), minute_of(window.to_ns.saturating_sub(1)));
        let share = |row: &MinuteRow| {
            let from_ns = (row.minute * MINUTE_NS).max(window.from_ns);
            let to_ns = ((row.minute + 1) * MINUTE_NS).min(window.to_ns);
            (row.spans as f64 * (to_ns - from_ns).max(0) as f64 / MINUTE_NS as f64).ceil() as u64
        };
        self.rows.values().filter(|row| (first..=last).contains(&row.minute)).map(share).sum()
    }

    // Whole minutes with stored evidence, and what lies between.
    fn pieces(&self, window: Window) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut from_ns = window.from_ns;
        let mut minutes: Vec<i64> = self.stored.keys().copied().collect();
        minutes.sort_unstable();
        for minute in minutes {
            let whole = Window { from_ns: minute * MINUTE_NS, to_ns: (minute + 1) * MINUTE_NS };
            if whole.from_ns < window.from_ns || whole.to_ns > window.to_ns {
                continue;
            }
            pieces.push(Piece { window: Window { from_ns, to_ns: whole.from_ns }, minute: None });
            pieces.push(Piece { window: whole, minute: Some(minute) });
            from_ns = whole.to_ns;
        }
        pieces.push(Piece { window: Window { from_ns, to_ns: window.to_ns }, minute: None });
        pieces.retain(|piece| !piece.window.is_empty());
        pieces
    }

    /// Gathers a window; one trace of `of` where traces are read.
    pub(super) async fn gather(
        &self,
        ask: &Ask<'_>,
        window: Window,
        of: u64,
        names: &mut Names,
    ) -> Result<Stretch, AskError> {
        let trimmed = self.trimmed(window);
        let mut part = Stretch { is_trimmed: trimmed != window, ..Stretch::default() };
        for piece in self.pieces(trimmed) {
            match piece.minute {
                Some(minute) => {
                    part.stored.extend(self.stored.get(&minute).cloned());
                }
                // Also where nothing is known of its minutes: they may not be rolled up yet.
                None if of <= 1 => part.traces.extend(Traces::read(ask, piece.window, names).await?),
                None => {
                    let spans = self.spans(piece.window);
                    let traces = spans / of / TRACE_SPANS;
                    let some = Traces::standing_for(ask, piece.window, spans, traces.max(1), names).await?;
                    part.traces.extend(some);
                }
            }
        }
        Ok(part)
    }

    /// Traces of windows of which not all were read: all of them where they are few, so that it does not show
    /// whether evidence was stored meanwhile; else some.
    pub(super) async fn sample(
        &self,
        ask: &Ask<'_>,
        windows: &[Window],
        names: &mut Names,
    ) -> Result<Traces, AskError> {
        let are_few = windows.iter().map(|window| self.spans(*window)).sum::<u64>() <= ENDS_MAX;
        let share = SAMPLE_TRACES.div_ceil(windows.len().max(1) as u64);
        let mut traces = Traces::default();
        for window in windows {
            traces.extend(match are_few {
                true => Traces::read(ask, *window, names).await?,
                false => Traces::some(ask, *window, share, names).await?,
            });
        }
        Ok(traces)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    window: Window,
    // Its minute, where its evidence is stored.
    minute: Option<i64>,
}

impl Stretch {
    /// Whether all of its traces were read.
    pub(super) fn is_read(&self) -> bool {
        self.stored.is_empty()
    }

    /// Takes all of another.
    pub(super) fn extend(&mut self, other: Stretch) {
        self.stored.extend(other.stored);
        self.traces.extend(other.traces);
        self.is_trimmed |= other.is_trimmed;
    }

    /// What it tells, added up.
    pub(super) fn evidence(&self, names: &Names) -> Evidence {
        let mut sum = self.traces.evidence(names);
        sum.merge_all(self.stored.iter().map(|evidence| Evidence::clone(evidence)));
        sum
    }

    /// Its traces one by one.
    pub(super) fn sample(&self, names: &Names) -> Sample {
        self.traces.sample(names)
    }
}

#[cfg(test)]
mod tests {
    use model::time::SECOND_NS;

    use super::*;

    fn known(minutes: impl IntoIterator<Item = (i64, u64)>, stored: &[i64]) -> Known {
        let rows: Vec<MinuteRow> =
            minutes.into_iter().map(|(minute, spans)| MinuteRow { minute, spans, errors: 0, slow_ns: 0 }).collect();
        let mut known = Known::default();
        known.add(&rows);
        known.stored = stored.iter().map(|minute| (*minute, Arc::default())).collect();
        known
    }

    fn window(from_s: i64, to_s: i64) -> Window {
        Window { from_ns: from_s * SECOND_NS, to_ns: to_s * SECOND_NS }
    }

    // Scenario: a window that begins and ends within minutes, over minutes with and without stored evidence, few and many spans.
    // Guarantee: its pieces are the window, each once; ends are cut off only where they cost too much and minutes remain.
    #[test]
    fn windows_come_in_pieces() {
        let few = known((0..5).map(|minute| (minute, 600)), &[1, 2]);
        let pieces: Vec<_> = few.pieces(window(30, 270)).iter().map(|piece| (piece.window, piece.minute)).collect();
        let expected =
            [(window(30, 60), None), (window(60, 120), Some(1)), (window(120, 180), Some(2)), (window(180, 270), None)];
        assert_eq!(pieces, expected);
        assert_eq!(few.trimmed(window(30, 270)), window(30, 270));
        assert_eq!(few.unread(&[window(30, 270)]), 300 + 900);
        let many = known((0..5).map(|minute| (minute, 600_000)), &[1, 2]);
        assert_eq!(many.trimmed(window(30, 270)), window(60, 180));
        assert_eq!(many.unread(&[window(30, 270)]), 0);
        assert_eq!(many.trimmed(window(65, 70)), window(65, 70), "nothing would be left");
    }
}
