//! An incident: symptoms with one origin, what localisation says of them, and how far it was told.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Suspect, Verdict};
use crate::cluster::CLOCKS;
use crate::notice::NoticeKind;
use crate::symptom::Symptom;

/// Symptoms kept of one incident; further ones are counted.
const SYMPTOMS_MAX: usize = 100;
/// Messages that are remembered, the newest.
pub(crate) const TOLD_MAX: usize = 20;
/// Origins kept.
const ORIGINS_MAX: usize = 20;
/// So much may a symptom that joins have begun before the others.
const EARLIER_NS: i64 = 60_000_000_000;

/// What shows plainly in so many services is strong.
const SEEN_IN: usize = 3;

/// What became of a symptom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    New,
    Known,
    /// There is no room for it.
    Beyond,
}

/// How far an incident is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Seen, not yet announced.
    #[default]
    Suspected,
    /// It lasts.
    Open,
    /// It is over.
    Closed,
    /// It was nothing; nobody was told.
    Dropped,
    /// It belongs to another one.
    Merged,
}

/// A message about an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Why.
    pub kind: NoticeKind,
    /// When, nanoseconds.
    pub at_ns: i64,
}

/// An incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Incident {
    /// Its name for ever.
    pub id: String,
    /// How far it is.
    pub state: State,
    /// The incident that it was folded into; empty otherwise.
    pub merged_into: String,
    /// Since when something deviates.
    pub onset_ns: i64,
    /// When that was noticed.
    pub noticed_ns: i64,
    /// When it became an incident to tell of; 0 before.
    pub opened_ns: i64,
    /// When something last deviated.
    pub last_ns: i64,
    /// When it was found to be over; 0 before.
    pub closed_ns: i64,
    /// How often it came back.
    pub reopened: u32,
    /// What deviates, or did.
    pub symptoms: Vec<Symptom>,
    /// Symptoms beyond those kept.
    pub symptoms_more: u64,
    /// Where its symptoms come from, as the call graph has it: services, or what they call.
    pub origins: BTreeSet<String>,
    /// The last answer of the localisation, the suspects that concern this incident first.
    pub answer: Option<Answer>,
    /// Incidents that were folded into this one.
    pub folded: Vec<String>,
    /// The rule that opened it; empty when a deviation did.
    pub rule: String,
    /// The silence that it falls under; empty without.
    pub silenced_by: String,
    /// What people were told of it, oldest first.
    pub told: Vec<Told>,
    pub(crate) answers: u32,
    // So many answers in a row named the same first suspect.
    pub(crate) agreed: u32,
    pub(crate) asked: u32,
    pub(crate) next_ask_ns: i64,
    pub(crate) notices: u32,
    pub(crate) updates: u32,
    // Whether people believe that it lasts.
    pub(crate) told_open: bool,
    // The suspect that people were told of, and the first of them.
    pub(crate) told_suspect: String,
    pub(crate) opened_as: String,
    // Another one, and how many answers in a row named it.
    pub(crate) rival: (String, u32),
}

impl Incident {
    /// The first suspect, if there is one. A clock is no service's fault.
    pub fn suspect(&self) -> Option<&Suspect> {
        self.answer.as_ref().filter(|_| !self.is_clock()).and_then(|answer| answer.suspects.first())
    }

    /// Services that suffer from the first suspect.
    pub fn victims(&self) -> &[String] {
        self.suspect().map_or(&[], |suspect| &suspect.victims)
    }

    /// Symptoms, those not kept included.
    pub fn symptom_count(&self) -> u64 {
        self.symptoms.len() as u64 + self.symptoms_more
    }

    /// Services with symptoms.
    pub fn services(&self) -> BTreeSet<&str> {
        self.symptoms.iter().map(|symptom| symptom.subject.service()).collect()
    }

    pub(crate) fn is_active(&self) -> bool {
        self.closed_ns == 0 && matches!(self.state, State::Suspected | State::Open | State::Dropped)
    }

    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.state, State::Suspected | State::Open)
    }

    /// Whether it is told whatever localisation says of it.
    pub(crate) fn is_strong(&self) -> bool {
        let plain = |symptom: &&Symptom| symptom.is_plain();
        let services: BTreeSet<&str> =
            self.symptoms.iter().filter(plain).map(|symptom| symptom.subject.service()).collect();
        !self.rule.is_empty() || services.len() >= SEEN_IN || self.symptoms.iter().any(Symptom::is_strong)
    }

    /// Whether it is told when localisation names somebody.
    pub(crate) fn is_tellable(&self) -> bool {
        self.is_strong() || self.symptoms.iter().any(Symptom::is_notable)
    }

    /// Whether it is more than chance in one place: then localisation is asked.
    pub(crate) fn is_worth_asking(&self) -> bool {
        let hard = |symptom: &&Symptom| symptom.signal.is_hard();
        let services: BTreeSet<&str> =
            self.symptoms.iter().filter(hard).map(|symptom| symptom.subject.service()).collect();
        services.len() > 1 || self.is_tellable()
    }

    /// Whether clocks disagree, which is a machine's fault.
    pub fn is_clock(&self) -> bool {
        self.origins.contains(CLOCKS)
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.answer.as_ref().map(|answer| answer.verdict)
    }

    pub(crate) fn names(&self, service: &str) -> bool {
        self.suspect().is_some_and(|suspect| suspect.service == service)
    }

    pub(crate) fn has(&self, symptom: &Symptom) -> bool {
        self.symptoms.iter().any(|known| known.is(symptom))
    }

    /// Takes a symptom.
    pub(crate) fn take(&mut self, seen: &Symptom) -> Taken {
        self.last_ns = self.last_ns.max(seen.last_ns);
        if let Some(known) = self.symptoms.iter_mut().find(|known| known.is(seen)) {
            known.renew(seen);
            return Taken::Known;
        }
        if self.symptoms.len() >= SYMPTOMS_MAX {
            return Taken::Beyond;
        }
        self.symptoms.push(seen.clone());
        self.onset_ns = self.began();
        Taken::New
    }

    // When the first of the strong symptoms began; weak ones may be chance. Once known, it does not move on.
    fn began(&self) -> i64 {
        let strongest = self.symptoms.iter().map(|symptom| symptom.strength).fold(0.0, f64::max);
        let strong = self.symptoms.iter().filter(|symptom| symptom.strength >= strongest.min(20.0) / 2.0);
        let first_ns = strong.map(|symptom| symptom.since_ns).min().unwrap_or(self.onset_ns);
        let known_ns = if self.onset_ns == 0 { first_ns } else { self.onset_ns };
        // What joins later may have begun earlier; not by much, or it would be another story.
        if self.state == State::Suspected {
            first_ns
        } else {
            known_ns.min(first_ns.max(known_ns.saturating_sub(EARLIER_NS)))
        }
    }

    pub(crate) fn add_origin(&mut self, origin: &str) {
        if self.origins.len() < ORIGINS_MAX {
            self.origins.insert(origin.to_owned());
        }
    }

    /// The worst symptoms, those of errors and slowness before those of more or less to do.
    pub fn worst(&self, most: usize) -> Vec<&Symptom> {
        let mut worst: Vec<&Symptom> = self.symptoms.iter().collect();
        let rank = |symptom: &Symptom| (!symptom.signal.is_hard(), -(symptom.strength * 10.0) as i64);
        worst.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.subject.cmp(&b.subject)));
        worst.truncate(most);
        worst
    }
}
