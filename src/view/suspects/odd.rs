//! Which minutes of a range look wrong as a whole: for those who do not know yet when something happened.

use correlate::graph::MINUTE_NS;
use serde::Serialize;
use store::questions::Window;
use store::questions::evidence::{MinuteRow, minutes};
use utoipa::ToSchema;

use super::baseline::{median, minute_of};
use super::rounded;
use crate::shared::Ns;
use crate::time::TimeRange;
use crate::{View, ViewError, ask};

/// Longest range.
const RANGE_MAX_NS: i64 = 86_400_000_000_000;
/// So much more than usual: share of spans with an error, added; duration, times.
const ERRORS_MORE: f64 = 0.005;
const SLOWER: f64 = 1.15;
/// So far beyond what minutes usually differ by.
const DEVIATIONS: f64 = 6.0;
/// Minutes with fewer spans than this part of the usual say little.
const FEW: f64 = 0.1;
/// Odd minutes so close together are of one window.
const GAP_MINUTES: i64 = 1;

/// Minutes that look wrong.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OddWindow {
    /// Its beginning.
    #[schema(value_type = String)]
    pub from_ns: Ns,
    /// Its end.
    #[schema(value_type = String)]
    pub to_ns: Ns,
    /// Share of its spans that have an error.
    pub error_share: f64,
    /// That of usual minutes of the range.
    pub usual_error_share: f64,
    /// Typical duration of work that enters services (the geometric mean).
    #[schema(value_type = String)]
    pub duration_ns: Ns,
    /// That of usual minutes of the range.
    #[schema(value_type = String)]
    pub usual_duration_ns: Ns,
}

impl View {
    /// The windows of a range that look wrong beside its other minutes, oldest first. Nothing where all are alike:
    /// a fault without errors and delays does not show here, nor one that lasts as long as the range.
    pub async fn odd_windows(&self, tenant: &str, range: TimeRange, now_ns: i64) -> Result<Vec<OddWindow>, ViewError> {
        let window = range.window(now_ns)?;
        if window.to_ns.saturating_sub(window.from_ns) > RANGE_MAX_NS {
            return Err(ViewError::Invalid("the range is at most a day long".into()));
        }
        let client = self.store.client()?;
        let whole = Window { from_ns: minute_of(window.from_ns) * MINUTE_NS, ..window };
        let found = odd(&minutes(&ask(&client, tenant), whole).await?);
        Ok(found.into_iter().map(|odd| odd.clipped(window)).collect())
    }
}

impl OddWindow {
    fn clipped(mut self, window: Window) -> OddWindow {
        self.from_ns = self.from_ns.max(window.from_ns.into());
        self.to_ns = self.to_ns.min(window.to_ns.into());
        self
    }
}

fn odd(rows: &[MinuteRow]) -> Vec<OddWindow> {
    // Of minutes that are not rolled up yet nothing but their spans is known.
    let rows: Vec<&MinuteRow> = rows.iter().filter(|row| row.slow_ns > 0).collect();
    let spans = median(rows.iter().map(|row| row.spans as f64).collect());
    let rows: Vec<&MinuteRow> = rows.into_iter().filter(|row| row.spans as f64 >= spans * FEW).collect();
    let share = |row: &MinuteRow| row.errors as f64 / row.spans.max(1) as f64;
    let errors = usual(rows.iter().map(|row| share(row)).collect());
    let slow = usual(rows.iter().map(|row| row.slow_ns as f64).collect());
    let is_odd = |row: &&&MinuteRow| {
        let (errors_more, slower) = (share(row) - errors.0, row.slow_ns as f64 - slow.0);
        let is_failing = errors_more > ERRORS_MORE && errors_more > DEVIATIONS * errors.1;
        is_failing || (slower > slow.0 * (SLOWER - 1.0) && slower > DEVIATIONS * slow.1)
    };
    let odd: Vec<&MinuteRow> = rows.iter().filter(is_odd).copied().collect();
    let windows = odd.chunk_by(|a, b| b.minute - a.minute <= GAP_MINUTES + 1).map(|run| {
        let (spans, failed) = run.iter().fold((0, 0), |sum, row| (sum.0 + row.spans, sum.1 + row.errors));
        let slowest = run.iter().map(|row| row.slow_ns).max().unwrap_or_default();
        OddWindow {
            from_ns: (run[0].minute * MINUTE_NS).into(),
            to_ns: ((run[run.len() - 1].minute + 1) * MINUTE_NS).into(),
            error_share: rounded(failed as f64 / spans.max(1) as f64),
            usual_error_share: rounded(errors.0),
            duration_ns: slowest.into(),
            usual_duration_ns: (slow.0 as u64).into(),
        }
    });
    windows.collect()
}

// What is usual: the lower quartile, for half of the range may be odd, and how far the lower half spreads about it.
fn usual(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let low = values[..values.len().div_ceil(2)].to_vec();
    let center = median(low.clone());
    (center, median(low.iter().map(|value| (value - center).abs()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(drawn: &str) -> Vec<MinuteRow> {
        let row = |(minute, word): (usize, &str)| {
            let jitter = (minute as u64 * 7) % 5;
            let (errors, slow_ns, spans) = match word {
                "x" => (90, 1_000 + jitter, 1_000),
                "s" => (2, 1_500 + jitter, 1_000),
                "?" => (0, 0, 400),
                "-" => (9, 1_400, 10),
                _ => (2 + jitter, 1_000 + jitter * 10, 1_000),
            };
            MinuteRow { minute: minute as i64, spans, errors, slow_ns }
        };
        drawn.split_whitespace().enumerate().map(row).collect()
    }

    // Scenario: quiet minutes; failing, slow, nearly empty and unknown ones among them; a gap of one; few minutes.
    // Guarantee: what fails or drags is found, what lies close together is one window, chance and emptiness are not.
    #[test]
    fn odd_minutes() {
        let table = [
            ("o o o o o o o o o o", ""),
            ("o o o o o o o x x x ?", "7-10"),
            ("o o s s o o x o x o o - o", "2-4 6-9"),
            ("o x", "1-2"),
            ("x", ""),
            ("", ""),
        ];
        for (drawn, expected) in table {
            let minute = |ns: Ns| ns.0 / i128::from(MINUTE_NS);
            let found: Vec<String> = odd(&rows(drawn))
                .into_iter()
                .map(|odd| format!("{}-{}", minute(odd.from_ns), minute(odd.to_ns)))
                .collect();
            assert_eq!(found.join(" "), expected, "{drawn}");
        }
    }
}
