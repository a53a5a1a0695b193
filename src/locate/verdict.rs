//! Whether there is somebody to blame at all, and how sure that is.

use model::evidence::Evidence;

use crate::ask::Question;
use crate::healthy::Healthy;
use crate::report::{EvidenceItem, Report, Suspect, Verdict};
use crate::stats::trust;

/// Confidence from which the first suspect is the answer. Two faults of the same strength still are.
const SURE: f64 = 0.4;
/// What a runner-up with the same score takes off.
const RIVAL: f64 = 0.5;

/// The report about ranked suspects.
pub(crate) fn report(
    question: &Question,
    healthy: &Healthy,
    mut suspects: Vec<Suspect>,
    notices: Vec<EvidenceItem>,
) -> Report {
    let scores: Vec<f64> = suspects.iter().map(|suspect| suspect.score).collect();
    let believed = trust(requests(question.fault)) * trust(requests(question.baseline));
    for (place, suspect) in suspects.iter_mut().enumerate() {
        let above = suspect.score * suspect.score;
        let evidence = above / (above + healthy.top * healthy.top);
        // The strongest of the others; two faults at once make neither sure alone, but both true.
        let other =
            scores.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, score)| *score).fold(0.0, f64::max);
        let crowd = (other / suspect.score.max(1e-9)).min(2.0);
        suspect.confidence = believed * evidence * (1.0 - RIVAL * crowd * crowd).max(0.05);
    }
    let empty = question.fault.operations.is_empty();
    let no_baseline = question.baseline.operations.is_empty();
    let top = suspects.first();
    let (verdict, summary) = match top {
        _ if no_baseline => {
            (Verdict::Unclear, "There is nothing to compare with: the baseline window is empty.".to_owned())
        }
        top if !notices.is_empty() && top.is_none_or(|first| first.score <= healthy.top) => {
            (Verdict::Unclear, format!("No service is at fault, but {}", notices[0].text))
        }
        _ if empty => (
            Verdict::Unclear,
            "There are no spans at all in the fault window: either nothing works, or nothing arrives.".to_owned(),
        ),
        None => (Verdict::NoFault, "Nothing differs between the windows.".to_owned()),
        Some(first) if first.score <= healthy.top => {
            let told =
                if healthy.minutes > 0 { format!(" ({} healthy minutes)", healthy.minutes) } else { String::new() };
            (
                Verdict::NoFault,
                format!(
                    "Nothing differs more than it does without a fault{told}; what differs most: {}",
                    first.summary
                ),
            )
        }
        Some(first) if first.confidence < SURE => {
            (Verdict::Unclear, format!("No service stands out; the first guess: {}", first.summary))
        }
        Some(first) => (Verdict::Localised, first.summary.clone()),
    };
    Report { verdict, summary, suspects, notices }
}

fn requests(evidence: &Evidence) -> f64 {
    evidence.requests.iter().map(|row| row.requests.spans() as f64).sum()
}
