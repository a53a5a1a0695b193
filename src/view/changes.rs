//! What changed: two windows of evidence, or two versions of a service within one, compared (`locate::changes`).

use std::time::Instant;

use locate::Change;
use model::evidence::{Count, Evidence};
use serde::Serialize;
use store::questions::Window;
use utoipa::ToSchema;

use crate::shared::Ns;
use crate::suspects::windows::{Told, told};
use crate::suspects::{WINDOW_MAX_NS, rounded};
use crate::time::TimeRange;
use crate::{View, ViewError, ask};

/// Length of a window when nobody says it.
const LENGTH_NS: i64 = 15 * 60_000_000_000;
/// Changes in an answer when no limit is given, and at most.
const LIMIT: (usize, usize) = (50, 1_000);

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct ChangesQuestion {
    /// The first window; as long as the second, and right before it, when absent.
    pub before: TimeRange,
    /// The second window; the last 15 minutes when absent.
    pub after: TimeRange,
    /// Only what belongs to this service.
    pub service: Option<String>,
    /// Two versions of the service, compared within the second window.
    pub versions: Option<(String, String)>,
    /// At most so many changes.
    pub limit: Option<usize>,
}

/// What changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChangesAnswer {
    /// What has most to do with failing requests first; then the largest.
    pub changes: Vec<Changed>,
    /// Changes in all, those beyond the limit included.
    pub total_changes: u64,
    /// The first window.
    pub before: ChangesWindow,
    /// The second window.
    pub after: ChangesWindow,
    /// Time that the answer took, milliseconds.
    pub took_ms: u64,
    /// True: not everything was compared.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub partial: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_reason: Option<String>,
}

/// A window that was compared.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ChangesWindow {
    /// Its beginning.
    #[schema(value_type = String)]
    pub from_ns: Ns,
    /// Its end.
    #[schema(value_type = String)]
    pub to_ns: Ns,
    /// Requests that began in it, weighted by sampling.
    pub requests: f64,
    /// Those of them that failed.
    pub failing: f64,
}

/// A difference.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Changed {
    /// new, vanished, more or less, and of what: service, edge, operation, error, log_pattern, attribute, instance,
    /// version. Such as new_edge.
    pub kind: String,
    /// What: an edge, operation, template, value.
    pub subject: String,
    /// Its service; of an edge, the one that calls.
    pub service: String,
    /// Place in the source of a log pattern, where known.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub location: String,
    /// How often it was seen before.
    pub before: String,
    /// How often it is seen after.
    pub after: String,
    /// Share of the failing requests of the second window that have it less the share of the others, -1 to 1; of
    /// vanished edges and services, that would have had it.
    pub effect: f64,
    /// By how much its rate differs, per request or as a share of the service's requests.
    pub size: f64,
    /// One sentence.
    pub text: String,
}

impl View {
    /// What changed between two windows, or two versions.
    pub async fn changes(
        &self,
        tenant: &str,
        question: ChangesQuestion,
        now_ns: i64,
    ) -> Result<ChangesAnswer, ViewError> {
        let began = Instant::now();
        let limit = question.limit.unwrap_or(LIMIT.0);
        if !(1..=LIMIT.1).contains(&limit) {
            return Err(ViewError::Invalid(format!("`limit` is 1 to {}", LIMIT.1)));
        }
        let windows = windows(&question, now_ns)?;
        let client = self.store.client()?;
        let told = told(&ask(&client, tenant), &windows).await?;
        let made = tokio::task::spawn_blocking(move || compared(&question, &windows, &told, limit)).await;
        let mut answer = made.map_err(|_| ViewError::Broken("the comparison broke off".into()))?;
        answer.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(answer)
    }
}

// One window for two versions, else two.
fn windows(question: &ChangesQuestion, now_ns: i64) -> Result<Vec<Window>, ViewError> {
    let invalid = ViewError::Invalid;
    let window = |what: &str, range: TimeRange, to_ns: i64, length_ns: i64| {
        let to_ns = range.to.map_or(to_ns, |to| to.at(now_ns));
        let from_ns = range.from.map_or(to_ns.saturating_sub(length_ns), |from| from.at(now_ns));
        let window = Window { from_ns, to_ns }.within(Window::ALL);
        if window.is_empty() {
            return Err(invalid(format!("the window `{what}` is empty: `{what}_to` must lie after `{what}_from`")));
        }
        if window.to_ns - window.from_ns > WINDOW_MAX_NS {
            return Err(invalid(format!("the window `{what}` is at most a day long")));
        }
        Ok(window)
    };
    let after = window("after", question.after, now_ns, LENGTH_NS)?;
    if question.versions.is_some() {
        if question.service.is_none() {
            return Err(invalid("`before_version` and `after_version` are of a `service`".into()));
        }
        if question.before != TimeRange::default() {
            return Err(invalid(
                "versions are compared within one window: give `after_from` and `after_to` only".into(),
            ));
        }
        return Ok(vec![after]);
    }
    let before = window("before", question.before, after.from_ns, after.to_ns - after.from_ns)?;
    Ok(vec![before, after])
}

fn compared(question: &ChangesQuestion, windows: &[Window], told: &Told, limit: usize) -> ChangesAnswer {
    let none = Evidence::default();
    let (first, last) = (told.rows.first().unwrap_or(&none), told.rows.last().unwrap_or(&none));
    let changes: Vec<Change> = match (&question.service, &question.versions) {
        (Some(service), Some((before, after))) => locate::version_changes(last, &told.sample, service, (before, after)),
        (service, _) => locate::changes(first, last, &told.sample, service.as_deref()),
    };
    let side = |window: Option<&Window>, rows: &Evidence| {
        let sum = |count: fn(&model::evidence::RequestRow) -> Count| {
            rows.requests.iter().map(count).fold(Count::default(), Count::plus).weight()
        };
        let window = window.copied().unwrap_or(Window { from_ns: 0, to_ns: 0 });
        ChangesWindow {
            from_ns: Ns(window.from_ns.into()),
            to_ns: Ns(window.to_ns.into()),
            requests: sum(|row| row.requests),
            failing: sum(|row| row.failed),
        }
    };
    let (before, after) = (side(windows.first(), first), side(windows.last(), last));
    let mut reasons: Vec<String> = told.partial_reason.clone().into_iter().collect();
    for (window, name) in [(before, "before"), (after, "after")] {
        if window.requests == 0.0 {
            reasons.push(format!("the window `{name}` holds no requests, so nothing can be compared"));
        }
    }
    ChangesAnswer {
        total_changes: changes.len() as u64,
        changes: changes.into_iter().take(limit).map(changed).collect(),
        before,
        after,
        took_ms: 0,
        partial: !reasons.is_empty(),
        partial_reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
    }
}

fn changed(change: Change) -> Changed {
    let Change { kind, subject, service, location, before, after, effect, size, text } = change;
    Changed { kind, subject, service, location, before, after, effect: rounded(effect), size: rounded(size), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimePoint;

    const MINUTE_NS: i64 = 60_000_000_000;
    const NOW_NS: i64 = 1_000 * MINUTE_NS;

    fn range(from: Option<i64>, to: Option<i64>) -> TimeRange {
        let at = |minutes: i64| TimePoint::FromNow(minutes * MINUTE_NS);
        TimeRange { from: from.map(at), to: to.map(at) }
    }

    // Scenario: windows given wholly, in part, not at all, reversed, too long; versions with and without service.
    // Guarantee: what is absent follows from what is there; what makes no sense is refused.
    #[test]
    fn windows_default() {
        let asked = |before, after| windows(&ChangesQuestion { before, after, ..Default::default() }, NOW_NS);
        let minutes = |windows: Vec<Window>| -> Vec<(i64, i64)> {
            let ago = |ns: i64| (ns - NOW_NS) / MINUTE_NS;
            windows.into_iter().map(|window| (ago(window.from_ns), ago(window.to_ns))).collect()
        };
        let none = TimeRange::default();
        assert_eq!(minutes(asked(none, none).unwrap()), [(-30, -15), (-15, 0)]);
        assert_eq!(minutes(asked(none, range(Some(-5), None)).unwrap()), [(-10, -5), (-5, 0)]);
        assert_eq!(minutes(asked(none, range(Some(-9), Some(-6))).unwrap()), [(-12, -9), (-9, -6)]);
        assert_eq!(minutes(asked(range(Some(-60), None), range(Some(-5), None)).unwrap()), [(-60, -5), (-5, 0)]);
        assert_eq!(minutes(asked(range(None, Some(-40)), none).unwrap()), [(-55, -40), (-15, 0)]);
        assert!(asked(none, range(Some(0), Some(-5))).is_err());
        assert!(asked(none, range(Some(-1_441), None)).is_err());
        let versions = Some(("1".to_owned(), "2".to_owned()));
        let of = |service: Option<&str>, before| {
            let service = service.map(str::to_owned);
            windows(&ChangesQuestion { service, before, versions: versions.clone(), ..Default::default() }, NOW_NS)
        };
        assert_eq!(minutes(of(Some("pay"), none).unwrap()), [(-15, 0)]);
        assert!(of(None, none).is_err() && of(Some("pay"), range(Some(-9), None)).is_err());
    }
}
