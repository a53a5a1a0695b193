//! Who is guilty, and why.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ask;
mod explain;
mod finding;
mod gaps;
mod join;
mod lost;
mod own;
mod report;
mod score;
mod stats;
mod steps;
mod words;

pub use ask::{Question, Weights};
pub use report::{EvidenceItem, EvidenceKind, Example, Examples, Part, Place, Report, Suspect, Verdict, Victim};

/// debugging
pub fn locate(question: &Question) -> Vec<(String, f64, String)> {
    let edges = gaps::edges(question);
    let work = own::work(question);
    let mut findings = gaps::findings(&edges);
    findings.extend(lost::findings(question, &edges, &work, &findings));
    findings.extend(own::findings(&work));
    findings.extend(steps::findings(question));
    if let Some((_, fault)) = question.samples {
        let shares = explain::own_shares(fault, &findings);
        for (found, share) in findings.iter_mut().zip(shares) {
            found.strength *= share;
        }
    }
    let standings = score::standings(&findings, &question.weights);
    let mut out: Vec<_> = standings
        .into_iter()
        .map(|(service, standing)| {
            let mut own: Vec<_> = standing.findings.iter().map(|place| &findings[*place]).collect();
            own.sort_by(|a, b| b.strength.total_cmp(&a.strength));
            let texts: Vec<String> = own.iter().take(3).map(|found| format!("{:.2} {}", found.strength, found.text)).collect();
            (service, standing.score, format!("{:?}\n        {}", standing.channels, texts.join("\n        ")))
        })
        .collect();
    out.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    out
}
