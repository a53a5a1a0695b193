//! Localisation looks at all that happens in a window; an incident is a part of that. Which suspects concern it?

use std::collections::BTreeSet;

use crate::answer::{Answer, SUSPECTS_MAX, Suspect, Verdict};
use crate::calls::{Calls, host};
use crate::deviation::Signal;
use crate::incident::Incident;
use crate::subject::Subject;
use crate::symptom::Symptom;

/// What a suspect beside the incident's services counts: one that an origin calls (what is further down may show
/// later), one that calls an origin, any other.
const BELOW: f64 = 0.9;
const ABOVE: f64 = 0.6;
const ELSEWHERE: f64 = 0.15;
/// So much less than the first of all may the first that concerns the incident have, and still stand out.
const STANDS_OUT: f64 = 0.5;

/// The answer with the suspects that concern the incident first.
pub(crate) fn concerning(mut answer: Answer, incident: &Incident, calls: &Calls) -> Answer {
    for suspect in &mut answer.suspects {
        // What is no number cannot be stored, nor compared.
        for value in [&mut suspect.score, &mut suspect.confidence] {
            *value = if value.is_finite() { *value } else { 0.0 };
        }
    }
    let first = answer.suspects.first().map_or(0.0, |suspect| suspect.score);
    let only_flow = incident.symptoms.iter().all(|symptom| matches!(symptom.signal, Signal::Drop | Signal::Surge));
    // Missing traffic may come from anywhere.
    if !only_flow && !incident.is_clock() {
        let mut own: BTreeSet<&str> = incident.services();
        own.extend(incident.origins.iter().map(String::as_str));
        for symptom in incident.symptoms.iter().filter(|symptom| symptom.signal.is_hard()) {
            if let Subject::Call { peer, .. } = &symptom.subject {
                // By its host's name, too: the call graph may not know it yet.
                own.extend([calls.node(peer), host(peer)]);
            }
        }
        let weight = |service: &str| {
            if own.contains(service) {
                1.0
            } else if incident.origins.iter().any(|origin| calls.callees(origin).any(|callee| callee == service)) {
                BELOW
            } else if incident.origins.iter().any(|origin| calls.callers(origin).any(|caller| caller == service)) {
                ABOVE
            } else {
                ELSEWHERE
            }
        };
        let mut weighed: Vec<_> =
            answer.suspects.into_iter().map(|suspect| (suspect.score * weight(&suspect.service), suspect)).collect();
        weighed.sort_by(|a, b| b.0.total_cmp(&a.0));
        answer.suspects = weighed.into_iter().map(|(_, suspect)| suspect).collect();
    }
    if answer.suspects.first().is_some_and(|suspect| suspect.score < STANDS_OUT * first)
        && answer.verdict == Verdict::Localised
    {
        answer.verdict = Verdict::Unclear;
    }
    if answer.verdict != Verdict::Localised
        && let Some(silent) = silent(incident, calls)
    {
        let sentence = format!("Far less comes from {silent} than usual, and from what it calls.");
        answer.suspects.retain(|suspect| suspect.service != silent);
        answer.suspects.insert(0, Suspect { service: silent, score: first, sentence, ..Suspect::default() });
    }
    answer.suspects.truncate(SUSPECTS_MAX);
    answer
}

// Of what is gone no spans tell. Where all that deviates is less traffic, it is the origin that calls most of it.
fn silent(incident: &Incident, calls: &Calls) -> Option<String> {
    let is_less = |symptom: &Symptom| matches!(symptom.signal, Signal::Drop | Signal::Vanished);
    if !incident.symptoms.iter().all(is_less) {
        return None;
    }
    let entries = incident
        .symptoms
        .iter()
        .filter(|symptom| symptom.signal == Signal::Drop && matches!(symptom.subject, Subject::Entry { .. }));
    let silent: BTreeSet<&str> = entries.map(|symptom| symptom.subject.service()).collect();
    let origins = incident.origins.iter().filter(|origin| silent.contains(origin.as_str()));
    origins.max_by_key(|origin| calls.callees(origin).filter(|callee| silent.contains(callee)).count()).cloned()
}

/// Whether `later` is a part of `earlier`: one suspect, or what suffers from it.
pub(crate) fn is_part(later: &Incident, earlier: &Incident) -> bool {
    if later.is_clock() || earlier.is_clock() {
        return false;
    }
    let localised = |incident: &Incident| incident.verdict() == Some(Verdict::Localised);
    let (Some(suspect), true) = (earlier.suspect(), localised(earlier)) else { return false };
    let suffers = |service: &str| service == suspect.service || suspect.victims.iter().any(|victim| victim == service);
    let origins = !later.origins.is_empty() && later.origins.iter().all(|origin| suffers(origin));
    origins || (localised(later) && later.suspect().is_some_and(|suspect| suffers(&suspect.service)))
}
