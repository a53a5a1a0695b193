//! What localisation answers, as far as an incident keeps it.

use serde::{Deserialize, Serialize};

/// Whether there is somebody to blame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first suspect stands out.
    Localised,
    /// Something differs, but it points nowhere in particular.
    #[default]
    Unclear,
    /// Nothing differs more than healthy minutes do.
    NoFault,
}

/// A service to blame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Suspect {
    /// The service.
    pub service: String,
    /// How much speaks against it.
    pub score: f64,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// Why, in one sentence.
    pub sentence: String,
    /// Services that suffer from it.
    pub victims: Vec<String>,
}

/// An answer of the localisation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Whether there is somebody to blame.
    pub verdict: Verdict,
    /// One sentence about it.
    pub summary: String,
    /// Best first.
    pub suspects: Vec<Suspect>,
    /// What is wrong and no service's fault: a clock. One sentence each.
    pub notices: Vec<String>,
}

/// Suspects of an answer that are kept.
pub(crate) const SUSPECTS_MAX: usize = 5;

impl From<&locate::Report> for Answer {
    fn from(report: &locate::Report) -> Answer {
        let suspect = |suspect: &locate::Suspect| Suspect {
            service: suspect.service.clone(),
            score: suspect.score,
            confidence: suspect.confidence,
            sentence: suspect.summary.clone(),
            victims: suspect.victims.iter().map(|victim| victim.service.clone()).collect(),
        };
        Answer {
            verdict: match report.verdict {
                locate::Verdict::Localised => Verdict::Localised,
                locate::Verdict::Unclear => Verdict::Unclear,
                locate::Verdict::NoFault => Verdict::NoFault,
            },
            summary: report.summary.clone(),
            suspects: report.suspects.iter().map(suspect).collect(),
            notices: report.notices.iter().map(|notice| notice.text.clone()).collect(),
        }
    }
}
