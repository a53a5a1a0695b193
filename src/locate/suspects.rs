//! Suspects as they are told: parts, sentence, evidence, place, examples, victims.

use crate::ask::Question;
use crate::examples::Album;
use crate::finding::{Channel, Finding, Unit};
use crate::healthy::Healthy;
use crate::report::{EvidenceItem, EvidenceKind, Examples, Part, Place, Suspect};
use crate::score::Standing;
use crate::victims::{Suffering, suffering};
use crate::words::{number, percent, time};

/// Evidence rows of one suspect.
const EVIDENCE_MAX: usize = 12;

/// The ranked services as suspects, at most as many as asked for.
pub(crate) fn suspects(
    question: &Question,
    healthy: &Healthy,
    findings: &[Finding],
    ranked: &[(String, Standing)],
    album: Option<&Album>,
) -> Vec<Suspect> {
    let suffering = suffering(question);
    let mut suspects: Vec<Suspect> = Vec::new();
    for (service, standing) in ranked.iter().take(question.limit) {
        let mut own: Vec<(usize, f64)> = standing
            .findings
            .iter()
            .map(|place| {
                let found = &findings[*place];
                let kept = healthy.kept(service, found.channel, found.strength);
                (*place, question.weights.of(found.channel) * found.strength * kept)
            })
            .filter(|(_, adds)| *adds > 0.005)
            .collect();
        // Of equals the version: it is what can be rolled back.
        let name = |place: usize| (findings[place].place.version.is_empty(), &findings[place].subject);
        own.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| name(a.0).cmp(&name(b.0))));
        let leading: Vec<&Finding> = own.iter().map(|(place, _)| &findings[*place]).collect();
        suspects.push(suspect(question, service, standing, &leading, &own, &suffering, album));
    }
    if let [first, second, ..] = &mut suspects[..] {
        first.not_runner_up = rival(first, second);
    }
    suspects
}

fn suspect(
    question: &Question,
    service: &str,
    standing: &Standing,
    leading: &[&Finding],
    own: &[(usize, f64)],
    suffering: &Suffering,
    album: Option<&Album>,
) -> Suspect {
    let mut parts: Vec<Part> = standing
        .channels
        .iter()
        .map(|(channel, strength)| Part { name: channel.name(), score: question.weights.of(*channel) * strength })
        .filter(|part| part.score >= 0.005)
        .collect();
    parts.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.name.cmp(b.name)));
    // The strongest that shows in single traces.
    let shown =
        |(place, _): &(usize, f64)| album.map(|album| album.examples(*place)).filter(|of| !of.failing.is_empty());
    let examples: Option<Examples> = own.iter().take(6).find_map(shown);
    Suspect {
        service: service.to_owned(),
        score: standing.score,
        confidence: 0.0,
        parts,
        summary: sentence(service, leading),
        place: place(leading),
        evidence: leading.iter().take(EVIDENCE_MAX).map(|found| item(found)).collect(),
        examples: examples.unwrap_or_default(),
        victims: suffering.victims(service),
        not_runner_up: String::new(),
    }
}

// What is said first: a share of lost time says how bad it is, not what.
fn lead<'a>(leading: &[&'a Finding]) -> Option<&'a Finding> {
    leading.iter().find(|found| found.channel != Channel::Excess).or(leading.first()).copied()
}

fn sentence(service: &str, leading: &[&Finding]) -> String {
    let Some(lead) = lead(leading) else { return String::new() };
    let text = &lead.text;
    let mut sentence = match lead.kind {
        EvidenceKind::EdgeGap => format!("The way to or from {service} is slow, not its work: {text}"),
        EvidenceKind::OwnTime => format!("{service} is slow by itself: {text}"),
        EvidenceKind::Excess => format!("Time is lost in {service}: {text}"),
        EvidenceKind::NewLog => format!("{service} says something new: {text}"),
        EvidenceKind::MissingLog => format!("{service} no longer gets as far as before: {text}"),
        EvidenceKind::NewCall | EvidenceKind::MissingCall => format!("{service} takes another way: {text}"),
        EvidenceKind::ErrorOrigin => format!("Errors start in {service}: {text}"),
        EvidenceKind::MissingService => format!("{service} does not answer: {text}"),
        EvidenceKind::BrokenPropagation => format!("{service} no longer passes on the trace context: {text}"),
        EvidenceKind::Attribute => format!("Part of {service} is bad: {text}"),
        EvidenceKind::FanOut => format!("{service} multiplies its calls: {text}"),
        EvidenceKind::QueueWait => format!("{service} does not keep up with its queue: {text}"),
        EvidenceKind::Clock => text.clone(),
    };
    // One bad version or pod is what to roll back: said along, when it is not what is said anyway.
    let bad = leading.iter().find(|found| found.kind == EvidenceKind::Attribute && found.strength > 0.2);
    if let Some(bad) = bad.filter(|_| lead.kind != EvidenceKind::Attribute) {
        sentence.push_str("; ");
        sentence.push_str(&bad.text);
    }
    sentence
}

// Each part of the place from the strongest finding that knows it.
fn place(leading: &[&Finding]) -> Place {
    let first = |part: fn(&Place) -> &String| {
        leading.iter().map(|found| part(&found.place)).find(|part| !part.is_empty()).cloned().unwrap_or_default()
    };
    let is_edge = lead(leading).is_some_and(|found| !found.place.edge.is_empty());
    Place {
        operation: first(|place| &place.operation),
        location: first(|place| &place.location),
        edge: if is_edge { first(|place| &place.edge) } else { String::new() },
        instance: first(|place| &place.instance),
        version: first(|place| &place.version),
    }
}

fn item(found: &Finding) -> EvidenceItem {
    let text = |value: f64| match found.unit {
        Unit::Time => time(value),
        Unit::Share => percent(value),
        Unit::Times => number(value),
    };
    EvidenceItem {
        kind: found.kind,
        subject: found.subject.clone(),
        baseline: text(found.baseline),
        fault: text(found.fault),
        score: found.strength,
        text: found.text.clone(),
        place: found.place.clone(),
    }
}

// Why the second is not it.
fn rival(first: &Suspect, second: &Suspect) -> String {
    let (a, b) = (&first.service, &second.service);
    if let Some(victim) = first.victims.iter().find(|victim| victim.service == *b) {
        return format!("{b} suffers from {a} ({}): {}", victim.path.join(" -> "), victim.text);
    }
    let Some(best) = second.evidence.first() else { return format!("nothing in particular speaks against {b}") };
    let strong = first.evidence.first().map_or("", |item| item.text.as_str());
    if second.score > 0.8 * first.score {
        return format!("{b} is nearly as likely, and may be a fault of its own: {}", best.text);
    }
    format!(
        "less speaks against {b} (score {:.2} against {:.2}): its best evidence is that {}; against {a} it is that {strong}",
        second.score, first.score, best.text
    )
}
