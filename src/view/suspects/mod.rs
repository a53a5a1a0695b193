//! Suspects: what is guilty of a fault, and why. Reads the traces of two windows, has them made into evidence
//! (`correlate::evidence`) and compared (`locate`), and says it in the user's words. Nothing is decided here
//! but with what the fault is compared when nobody says so (`baseline`).

mod baseline;
mod gather;
mod odd;
mod read;
pub(crate) mod windows;

use std::time::Instant;

use correlate::graph::{MINUTE_NS, Names};
use locate::{EvidenceItem, Example, Question, Report, Weights};
use model::evidence::Evidence;
use serde::Serialize;
use store::questions::{Window, evidence};
use utoipa::ToSchema;

use crate::shared::Ns;
use crate::time::TimeRange;
use crate::{View, ViewError, ask};
use baseline::{Chosen, REACH_NS, choose};
use gather::{Known, Stretch};
pub use odd::OddWindow;
use read::Traces;

/// Spans of a window that are looked at; of more, some traces stand for all.
const SPANS_MAX: u64 = 400_000;
/// The same of a minute whose evidence is kept, and how many traces then stand for it.
const MINUTE_SPANS_MAX: u64 = 75_000;
const MINUTE_TRACES: u64 = 6_000;
/// Longest fault window and baseline.
pub(crate) const WINDOW_MAX_NS: i64 = 86_400_000_000_000;
/// Suspects when no limit is given.
const LIMIT: usize = 10;
/// Most that can be asked for.
const LIMIT_MAX: usize = 100;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct SuspectsQuestion {
    /// When something was wrong; both ends are given.
    pub fault: TimeRange,
    /// When nothing was; chosen when absent.
    pub baseline: Option<TimeRange>,
    /// Only what this service depends on, itself included.
    pub service: Option<String>,
    /// At most so many suspects.
    pub limit: Option<usize>,
}

/// Who is guilty of a fault, and why.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SuspectsAnswer {
    /// localised: the first suspect stands out; unclear: something differs, and nobody stands out; no_fault:
    /// nothing differs more than it usually does.
    pub verdict: &'static str,
    /// The verdict in a sentence.
    pub summary: String,
    /// Distinct services, best first.
    pub suspects: Vec<Suspect>,
    /// What is wrong and no service's fault, such as a clock.
    pub notices: Vec<Evidenced>,
    /// The fault window.
    pub fault: Compared,
    /// What it was compared with.
    pub baseline: Compared,
    /// Time that the answer took, milliseconds.
    pub took_ms: u64,
    /// True: not all of the traces of the windows were looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub partial: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_reason: Option<String>,
}

/// A window that was compared.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Compared {
    /// Its beginning.
    #[schema(value_type = String)]
    pub from_ns: Ns,
    /// Its end.
    #[schema(value_type = String)]
    pub to_ns: Ns,
    /// Spans of it that were looked at.
    pub spans: u64,
    /// Whether we chose it.
    pub chosen: bool,
}

/// A service, and what speaks against it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Suspect {
    /// Its name.
    pub service: String,
    /// How much speaks against it: the sum of `parts`.
    pub score: f64,
    /// How sure it is that the fault lies here, 0 to 1.
    pub confidence: f64,
    /// One sentence.
    pub summary: String,
    /// What adds how much to the score.
    pub parts: Vec<Part>,
    /// Where in the service.
    pub r#where: Where,
    /// What differs, strongest first.
    pub evidence: Vec<Evidenced>,
    /// Traces to look at.
    pub examples: Examples,
    /// Services that suffer from it.
    pub victims: Vec<Victim>,
    /// Of the first suspect: why the second is not it.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub not_runner_up: String,
}

/// A part of a score.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Part {
    /// Kind of evidence.
    pub name: &'static str,
    /// What it adds.
    pub score: f64,
}

/// Where in a service; what is not known is left out.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Where {
    /// Operation.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub operation: String,
    /// Place in the source.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub location: String,
    /// `caller -> callee`.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub edge: String,
    /// Instance.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub instance: String,
    /// Version.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub version: String,
}

/// Something that differs between the windows.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Evidenced {
    /// Kind, such as edge_gap, own_time, missing_log, error_origin.
    pub kind: &'static str,
    /// What differs.
    pub subject: String,
    /// What it was in the baseline, with unit.
    pub baseline: String,
    /// What it is in the fault window.
    pub fault: String,
    /// How strong it is, 0 to 1.
    pub score: f64,
    /// One sentence.
    pub text: String,
    /// Where in the service.
    pub r#where: Where,
}

/// Traces to look at.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Examples {
    /// Ids of traces that show it, at most three.
    pub failing: Vec<String>,
    /// Ids of traces that took the same way and do not.
    pub good: Vec<String>,
    /// The span to look at in each of `failing`.
    pub failing_spans: Vec<String>,
    /// The span to look at in each of `good`.
    pub good_spans: Vec<String>,
}

/// A service that suffers from a suspect.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Victim {
    /// Its name.
    pub service: String,
    /// The way on which the fault reaches it, the suspect first.
    pub path: Vec<String>,
    /// What it suffers.
    pub text: String,
}

// What was gathered for a question.
struct Gathered {
    names: Names,
    fault: Stretch,
    baseline: Stretch,
    healthy: Vec<Stretch>,
    // Traces of baseline and fault, where not all of theirs were read.
    samples: Option<(Traces, Traces)>,
}

impl View {
    /// Ranks the services by what speaks against them.
    pub async fn suspects(
        &self,
        tenant: &str,
        question: SuspectsQuestion,
        now_ns: i64,
    ) -> Result<SuspectsAnswer, ViewError> {
        let began = Instant::now();
        let fault = whole("fault", question.fault, now_ns)?;
        let given = question.baseline.map(|range| whole("baseline", range, now_ns)).transpose()?;
        let limit = question.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(ViewError::Invalid(format!("`limit` is 1 to {LIMIT_MAX}")));
        }
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        let around = Window {
            from_ns: fault.from_ns.saturating_sub(REACH_NS),
            to_ns: fault.to_ns.saturating_add(REACH_NS).min(now_ns.max(fault.to_ns)),
        };
        let minutes = evidence::minutes(&ask, around).await?;
        let chosen = match given {
            Some(_) => Chosen::default(),
            None => choose(&minutes, fault),
        };
        let mut known = Known::default();
        known.add(&minutes);
        let good: Vec<Window> = given.map_or_else(|| chosen.baseline_windows(), |given| vec![given]);
        let usual: Vec<Window> = chosen.healthy_windows();
        if let Some(given) = given {
            known.add(&evidence::minutes(&ask, given).await?);
        }
        known.read(&ask, fault).await?;
        let others = || good.iter().chain(&usual);
        if let (Some(from_ns), Some(to_ns)) =
            (others().map(|window| window.from_ns).min(), others().map(|window| window.to_ns).max())
        {
            known.read(&ask, Window { from_ns, to_ns }).await?;
        }
        // All windows are thinned out alike.
        let of = known.unread(&[&[fault], &good[..], &usual[..]].concat()).div_ceil(SPANS_MAX).max(1);
        let mut names = Names::default();
        let (mut baseline, mut healthy) = (Stretch::default(), Vec::new());
        let bad = known.gather(&ask, fault, of, &mut names).await?;
        for window in &good {
            baseline.extend(known.gather(&ask, *window, of, &mut names).await?);
        }
        for window in &usual {
            healthy.push(known.gather(&ask, *window, of, &mut names).await?);
        }
        let compared = Window {
            from_ns: good.iter().map(|window| window.from_ns).min().unwrap_or(fault.from_ns),
            to_ns: good.iter().map(|window| window.to_ns).max().unwrap_or(fault.from_ns),
        };
        let samples = match bad.is_read() && baseline.is_read() {
            true => None,
            false => Some((
                known.sample(&ask, &good, &mut names).await?,
                known.sample(&ask, &[known.trimmed(fault)], &mut names).await?,
            )),
        };
        let is_trimmed = bad.is_trimmed;
        let windows = Windows {
            fault: known.trimmed(fault),
            baseline: compared,
            baseline_ns: good.iter().map(|window| window.to_ns - window.from_ns).sum(),
            chosen: given.is_none(),
        };
        let gathered = Gathered { names, fault: bad, baseline, healthy, samples };
        let service = question.service;
        let made = tokio::task::spawn_blocking(move || located(&gathered, windows, service.as_deref(), limit)).await;
        let mut answer = made.map_err(|_| ViewError::Broken("localization broke off".into()))?;
        let mut reasons = Vec::new();
        if of > 1 {
            reasons.push(format!("of the traces without stored evidence one of {of} was looked at"));
        }
        if is_trimmed {
            reasons.push("the window was cut to whole minutes".to_owned());
        }
        if !reasons.is_empty() {
            answer.partial = true;
            answer.partial_reason = Some(reasons.join("; "));
        }
        answer.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(answer)
    }

    /// The evidence of a minute that has about `spans` spans, for the keeper to store.
    pub async fn evidence_of(&self, tenant: &str, minute: i64, spans: u64) -> Result<Evidence, ViewError> {
        let client = self.store.background_client()?;
        let window = Window { from_ns: minute * MINUTE_NS, to_ns: (minute + 1) * MINUTE_NS };
        let mut names = Names::default();
        let ask = ask(&client, tenant);
        let traces = match spans > MINUTE_SPANS_MAX {
            true => Traces::standing_for(&ask, window, spans, MINUTE_TRACES, &mut names).await?,
            false => Traces::of_minute(&ask, window, &mut names).await?,
        };
        let made = tokio::task::spawn_blocking(move || traces.evidence(&names)).await;
        made.map_err(|_| ViewError::Broken("making evidence broke off".into()))
    }
}

#[derive(Clone, Copy)]
struct Windows {
    fault: Window,
    baseline: Window,
    baseline_ns: i64,
    chosen: bool,
}

fn located(gathered: &Gathered, windows: Windows, service: Option<&str>, limit: usize) -> SuspectsAnswer {
    let Gathered { names, fault, baseline, healthy, samples } = gathered;
    let healthy: Vec<Evidence> = healthy.iter().map(|part| part.evidence(names)).collect();
    let (good_rows, bad_rows) = (baseline.evidence(names), fault.evidence(names));
    let (good_sample, bad_sample) = match samples {
        Some((good, bad)) => (good.sample(names), bad.sample(names)),
        None => (baseline.sample(names), fault.sample(names)),
    };
    let report = locate::locate(&Question {
        fault: &bad_rows,
        baseline: &good_rows,
        fault_ns: windows.fault.to_ns - windows.fault.from_ns,
        baseline_ns: windows.baseline_ns,
        healthy: &healthy,
        samples: Some((&good_sample, &bad_sample)),
        service,
        limit,
        weights: Weights::default(),
    });
    let compared = |window: Window, rows: &Evidence, chosen: bool| Compared {
        from_ns: Ns(window.from_ns.into()),
        to_ns: Ns(window.to_ns.into()),
        spans: rows.operations.iter().map(|row| row.spans.spans()).sum(),
        chosen,
    };
    told(report, compared(windows.fault, &bad_rows, false), compared(windows.baseline, &good_rows, windows.chosen))
}

fn told(report: Report, fault: Compared, baseline: Compared) -> SuspectsAnswer {
    let suspects = report.suspects.into_iter().map(|suspect| Suspect {
        service: suspect.service,
        score: rounded(suspect.score),
        confidence: rounded(suspect.confidence),
        summary: suspect.summary,
        parts: suspect.parts.iter().map(|part| Part { name: part.name, score: rounded(part.score) }).collect(),
        r#where: place(suspect.place),
        evidence: suspect.evidence.into_iter().map(evidenced).collect(),
        examples: Examples {
            failing: trace_ids(&suspect.examples.failing),
            good: trace_ids(&suspect.examples.good),
            failing_spans: span_ids(&suspect.examples.failing),
            good_spans: span_ids(&suspect.examples.good),
        },
        victims: suspect
            .victims
            .into_iter()
            .map(|victim| Victim { service: victim.service, path: victim.path, text: victim.text })
            .collect(),
        not_runner_up: suspect.not_runner_up,
    });
    SuspectsAnswer {
        verdict: report.verdict.code(),
        summary: report.summary,
        suspects: suspects.collect(),
        notices: report.notices.into_iter().map(evidenced).collect(),
        fault,
        baseline,
        took_ms: 0,
        partial: false,
        partial_reason: None,
    }
}

fn evidenced(item: EvidenceItem) -> Evidenced {
    Evidenced {
        kind: item.kind.code(),
        subject: item.subject,
        baseline: item.baseline,
        fault: item.fault,
        score: rounded(item.score),
        text: item.text,
        r#where: place(item.place),
    }
}

fn place(place: locate::Place) -> Where {
    let locate::Place { operation, location, edge, instance, version } = place;
    Where { operation, location, edge, instance, version }
}

fn trace_ids(examples: &[Example]) -> Vec<String> {
    examples.iter().map(|example| format!("{:032x}", example.trace_id)).collect()
}

fn span_ids(examples: &[Example]) -> Vec<String> {
    examples.iter().map(|example| format!("{:016x}", example.span_id)).collect()
}

// Four digits are more than anybody reads.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

fn whole(what: &str, range: TimeRange, now_ns: i64) -> Result<Window, ViewError> {
    if range.from.is_none() {
        return Err(ViewError::Invalid(format!("`{what}` needs `from`; `to` is now when absent")));
    }
    let mut window = range.window(now_ns)?;
    if range.to.is_none() {
        window.to_ns = now_ns;
    }
    if window.is_empty() {
        return Err(ViewError::Invalid(format!("`{what}` is empty: `to` must lie after `from`")));
    }
    if window.to_ns.saturating_sub(window.from_ns) > WINDOW_MAX_NS {
        return Err(ViewError::Invalid(format!("`{what}` is at most a day long")));
    }
    Ok(window)
}
