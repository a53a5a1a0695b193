//! The watch itself: what is observed becomes symptoms, symptoms become incidents.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::answer::{Answer, Verdict};
use crate::book::{Book, Refused};
use crate::calls::Calls;
use crate::cluster::{CLOCKS, Cluster, clusters};
use crate::concern::{concerning, is_part};
use crate::deviation::{At, HOLDS, OPENS, Signal, deviations};
use crate::event::Event;
use crate::firing::firing;
use crate::follow;
use crate::history::SLOT_S;
use crate::incident::{Incident, State, Taken};
use crate::names::Pattern;
use crate::rule::Rule;
use crate::series::Span;
use crate::settings::Settings;
use crate::silence::Silence;
use crate::snapshot::Snapshot;
use crate::subject::{Observation, Subject};
use crate::symptom::Symptom;

pub(crate) const SECOND_NS: i64 = 1_000_000_000;
/// A clock that goes back by more has jumped; one that goes back by less stands still.
const BACK_NS: i64 = 5 * SECOND_NS;
/// Nobody ticks for so long: the time between was not watched.
const GAP_NS: i64 = 180 * SECOND_NS;
const DAY_S: i64 = 86_400;
/// Weak deviations that localisation is asked about at a time.
const WEAK_MAX: usize = 5;
/// Closed incidents' slots are kept out of what is learnt anew after a start.
const EXCLUDED_S: i64 = 2 * 3_600;

/// Watches for incidents.
#[derive(Debug, Default)]
pub struct Watch {
    pub(crate) settings: Settings,
    pub(crate) incidents: VecDeque<Incident>,
    pub(crate) silences: Vec<Silence>,
    book: Book,
    calls: Calls,
    rules: Vec<Rule>,
    excluded: BTreeMap<Subject, Span>,
    blind: Option<Span>,
    ticked_ns: Option<i64>,
    number: u64,
}

impl Watch {
    /// Watches from now on.
    pub fn new(settings: Settings) -> Watch {
        Watch { settings, ..Watch::default() }
    }

    /// Goes on where a snapshot was taken. What is stored of the last hour should be observed next.
    pub fn restore(settings: Settings, snapshot: Snapshot) -> Watch {
        let mut watch = Watch::new(settings);
        watch.number = snapshot.number;
        watch.incidents = snapshot.incidents.into();
        watch.rules = snapshot.rules;
        watch.silences = snapshot.silences;
        watch.book.services = snapshot.services;
        watch.book.seen = snapshot.patterns.into_iter().collect();
        watch.exclude(snapshot.at_ns);
        watch
    }

    /// What has to survive a restart. Incidents that were over for hours are no part of it: they are stored already.
    pub fn snapshot(&self, now_ns: i64) -> Snapshot {
        Snapshot {
            at_ns: now_ns,
            number: self.number,
            incidents: self.incidents.iter().filter(|incident| self.matters(incident, now_ns)).cloned().collect(),
            rules: self.rules.clone(),
            silences: self.silences.clone(),
            services: self.book.services.clone(),
            patterns: self.book.seen.iter().copied().collect(),
        }
    }

    /// Takes what was counted, oldest slots first. The newest numbers of a slot count; what is late beyond use, or
    /// beyond the limits, is counted in [`Self::refused`].
    pub fn observe(&mut self, now_ns: i64, observations: &[Observation]) {
        self.book.observe(&self.settings, now_ns.div_euclid(SECOND_NS), observations, &self.excluded);
    }

    /// Takes what was counted in `from_s..until_s` of the day before. Subjects with less to do at this time of the day
    /// are not missed, those with more are no surprise; without observations nothing is known of that time.
    pub fn day_before(&mut self, from_s: i64, until_s: i64, observations: &[Observation]) {
        let slots = (until_s - from_s) as f64 / SLOT_S as f64;
        // A little before: what is complete lags behind.
        let today = Span { from_s: from_s + DAY_S - 60, to_s: until_s + DAY_S };
        self.book.day_before(today, slots, observations);
    }

    /// Takes the call graph as it is: caller and callee.
    pub fn edges(&mut self, now_ns: i64, edges: &[(String, String)]) {
        self.calls.tell(edges, now_ns);
    }

    /// Up to so many keys (service and key) whose pattern is to be told to [`Self::name`].
    pub fn unnamed(&self, now_ns: i64, most: usize) -> Vec<(String, u64)> {
        self.book.unnamed(now_ns.div_euclid(SECOND_NS), most)
    }

    /// Takes what lines say.
    pub fn name(&mut self, now_ns: i64, patterns: Vec<Pattern>) {
        self.book.names.learn(now_ns.div_euclid(SECOND_NS), patterns);
        for incident in self.incidents.iter_mut().filter(|incident| incident.is_active()) {
            incident.symptoms.iter_mut().for_each(|symptom| self.book.names.tell(&symptom.subject, &mut symptom.text));
        }
    }

    /// Takes the present ids of the patterns that rules name, by the id in the rule.
    pub fn set_present(&mut self, present: BTreeMap<u64, BTreeSet<u64>>) {
        self.book.present = present;
    }

    /// Replaces the rules.
    ///
    /// # Errors
    /// What is wrong with the first that is; then all stays as it was.
    pub fn set_rules(&mut self, rules: Vec<Rule>) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for rule in &rules {
            rule.check()?;
            if !names.insert(&rule.name) {
                return Err(format!("`name`: two rules are called `{}`", rule.name));
            }
        }
        self.rules = rules;
        Ok(())
    }

    /// Replaces the silences.
    ///
    /// # Errors
    /// What is wrong with the first that is; then all stays as it was.
    pub fn set_silences(&mut self, silences: Vec<Silence>) -> Result<(), String> {
        silences
            .iter()
            .try_for_each(|silence| silence.check().map_err(|error| format!("silence `{}`: {error}", silence.id)))?;
        self.silences = silences;
        Ok(())
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The silences.
    pub fn silences(&self) -> &[Silence] {
        &self.silences
    }

    /// All incidents that are kept, oldest first.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.iter()
    }

    /// One of them.
    pub fn incident(&self, id: &str) -> Option<&Incident> {
        self.incidents.iter().find(|incident| incident.id == id)
    }

    /// Whether nothing is suspected or open.
    pub fn is_calm(&self) -> bool {
        self.incidents.iter().all(|incident| !incident.is_watched())
    }

    /// What was not taken in.
    pub fn refused(&self) -> Refused {
        self.book.refused
    }

    /// Subjects that are watched.
    pub fn subjects(&self) -> usize {
        self.book.series.len()
    }

    /// Looks at what was observed.
    pub fn tick(&mut self, now_ns: i64) -> Vec<Event> {
        let now_ns = self.mind_the_clock(now_ns);
        let now_s = now_ns.div_euclid(SECOND_NS);
        self.exclude(now_ns);
        self.book.learn(now_s, &self.excluded);
        let at = self.at(now_s);
        let (seen, opens) = self.symptoms(at, now_ns);
        let mut events = Vec::new();
        let clusters = clusters(&seen, &self.calls);
        let origins: BTreeSet<&str> = clusters.iter().map(|cluster| cluster.origin.as_str()).collect();
        let mut beyond: BTreeMap<String, u64> = BTreeMap::new();
        for cluster in &clusters {
            let Some(place) = self.home(cluster, (&seen, &opens), &origins, now_ns, &mut events) else { continue };
            let joins = |symptom: &&Symptom| self.incidents[place].has(symptom) || !self.is_held(symptom);
            let joining: Vec<&Symptom> = cluster.symptoms.iter().map(|place| &seen[*place]).filter(joins).collect();
            let incident = &mut self.incidents[place];
            incident.add_origin(&cluster.origin);
            let (mut fresh, mut new) = (false, false);
            for symptom in joining {
                let is_known_service = incident.services().contains(symptom.subject.service());
                match incident.take(symptom) {
                    Taken::New => (fresh, new) = (fresh || !is_known_service, true),
                    Taken::Beyond => *beyond.entry(incident.id.clone()).or_default() += 1,
                    Taken::Known => {}
                }
                if symptom.signal == Signal::Rule && incident.rule.is_empty() && incident.state == State::Suspected {
                    incident.rule.clone_from(&symptom.rule);
                }
            }
            if new {
                events.push(Event::Changed { id: incident.id.clone() });
            }
            if fresh {
                incident.next_ask_ns = incident.next_ask_ns.min(now_ns.saturating_add(5 * SECOND_NS));
            }
        }
        for incident in &mut self.incidents {
            let more = beyond.get(&incident.id).copied().unwrap_or_default();
            incident.symptoms_more = incident.symptoms_more.max(more);
        }
        for incident in &mut self.incidents {
            follow::follow(incident, &self.settings, &self.silences, now_ns, &mut events);
        }
        self.bound();
        once(events)
    }

    /// Takes an answer of the localisation.
    pub fn located(&mut self, id: &str, answer: Answer, now_ns: i64) -> Vec<Event> {
        let mut events = Vec::new();
        let now_ns = self.ticked_ns.map_or(now_ns, |ticked_ns| now_ns.max(ticked_ns));
        let Some(place) = self.incidents.iter().position(|incident| incident.id == id) else { return events };
        if !self.incidents[place].is_active() {
            return events;
        }
        let answer = concerning(answer, &self.incidents[place], &self.calls);
        follow::answered(&mut self.incidents[place], answer);
        let is_watched = |incident: &Incident| incident.is_watched();
        let others: Vec<usize> =
            (0..self.incidents.len()).filter(|other| *other != place && is_watched(&self.incidents[*other])).collect();
        for other in others {
            let (this, that) = (&self.incidents[place], &self.incidents[other]);
            if !is_watched(this) || !(is_part(this, that) || is_part(that, this)) {
                continue;
            }
            // The one that people know stays, else the one whose suspect the other's is a victim of.
            let keeps_other = match (this.told_open, that.told_open) {
                (false, true) => true,
                (true, false) => false,
                _ => is_part(this, that) && (other < place || !is_part(that, this)),
            };
            let (keep, fold) = if keeps_other { (other, place) } else { (place, other) };
            self.fold(fold, keep, now_ns, &mut events);
        }
        let incident = &mut self.incidents[place];
        events.push(Event::Changed { id: incident.id.clone() });
        follow::follow(incident, &self.settings, &self.silences, now_ns, &mut events);
        once(events)
    }

    fn matters(&self, incident: &Incident, now_ns: i64) -> bool {
        let kept_s = EXCLUDED_S.max(self.settings.flap_s);
        incident.is_active() || now_ns.saturating_sub(incident.closed_ns) < kept_s.saturating_mul(SECOND_NS)
    }

    fn at(&self, now_s: i64) -> At {
        let floor = |at_s: i64| at_s - at_s.rem_euclid(SLOT_S);
        At {
            settled_s: floor(now_s - self.settings.settle_s),
            fresh_s: floor(now_s) + SLOT_S,
            blind: self.blind,
            errors: self.book.errors,
            lines: self.book.lines(floor(now_s) - 13 * SLOT_S),
            learn_slots: (self.settings.learn_s / SLOT_S).max(1) as f64,
        }
    }

    // Symptoms of now, and which of them are strong enough to open an incident.
    fn symptoms(&mut self, at: At, now_ns: i64) -> (Vec<Symptom>, Vec<bool>) {
        let mut known: BTreeMap<&Subject, BTreeSet<Signal>> = BTreeMap::new();
        for symptom in
            self.incidents.iter().filter(|incident| incident.is_active()).flat_map(|incident| &incident.symptoms)
        {
            known.entry(&symptom.subject).or_default().insert(symptom.signal);
        }
        let (mut seen, mut opens) = (Vec::new(), Vec::new());
        for (subject, series) in &self.book.series {
            let found = deviations(subject, series, &at, OPENS);
            if let Some(signals) = known.get(subject) {
                let held = deviations(subject, series, &at, HOLDS);
                let held = held.into_iter().filter(|held| {
                    signals.contains(&held.signal) && found.iter().all(|found| found.signal != held.signal)
                });
                for held in held {
                    seen.push(Symptom::new(subject, &held, now_ns));
                    opens.push(false);
                }
            }
            seen.extend(found.iter().map(|found| Symptom::new(subject, found, now_ns)));
            opens.resize(seen.len(), true);
        }
        let fresh = self.book.take_fresh(now_ns.div_euclid(SECOND_NS));
        seen.extend(firing(&self.rules, &self.book, &fresh, &at, now_ns));
        opens.resize(seen.len(), true);
        seen.iter_mut().for_each(|symptom| self.book.names.tell(&symptom.subject, &mut symptom.text));
        (seen, opens)
    }

    // The incident that a cluster belongs to; a new one where there is none.
    fn home(
        &mut self,
        cluster: &Cluster,
        (seen, opens): (&[Symptom], &[bool]),
        origins: &BTreeSet<&str>,
        now_ns: i64,
        events: &mut Vec<Event>,
    ) -> Option<usize> {
        let opening = cluster.symptoms.iter().any(|place| opens[*place]);
        let origin = cluster.origin.as_str();
        let has = |incident: &Incident| {
            cluster.symptoms.iter().any(|place| incident.symptoms.iter().any(|known| known.is(&seen[*place])))
        };
        let active = |incident: &Incident| incident.is_active();
        // One that is known to come from here; one that seemed to come from somewhere on the way here.
        let from_here = |incident: &Incident| {
            active(incident) && (incident.origins.contains(origin) || (origin != CLOCKS && incident.names(origin)))
        };
        let on_the_way = |incident: &Incident| {
            active(incident)
                && incident.origins.iter().all(|of| cluster.members.contains(of))
                && !incident.origins.iter().any(|of| of != origin && origins.contains(of.as_str()))
        };
        let found: Vec<usize> = (0..self.incidents.len())
            .filter(|place| from_here(&self.incidents[*place]) || on_the_way(&self.incidents[*place]))
            .collect();
        // What was nothing takes no part in what is something: its past would be taken for the beginning.
        let strong = opening && cluster.symptoms.iter().any(|place| opens[*place] && seen[*place].is_strong());
        let found: Vec<usize> = found
            .into_iter()
            .filter(|place| {
                let incident = &mut self.incidents[*place];
                let ends = strong && incident.state == State::Dropped;
                incident.closed_ns = if ends { now_ns } else { incident.closed_ns };
                !ends
            })
            .collect();
        if let Some(keep) =
            found.iter().copied().find(|place| self.incidents[*place].told_open).or(found.first().copied())
        {
            for other in found.into_iter().filter(|other| *other != keep) {
                if self.incidents[other].is_watched() {
                    self.fold(other, keep, now_ns, events);
                }
            }
            return Some(keep);
        }
        // One that had symptoms here; one that is suffered from here.
        let here = |incident: &Incident| {
            active(incident) && ((incident.services().contains(origin) && has(incident)) || (!opening && has(incident)))
        };
        let suffers = |incident: &Incident| {
            incident.is_watched()
                && incident.verdict() == Some(Verdict::Localised)
                && incident.victims().iter().any(|victim| victim == origin)
        };
        let place = self.incidents.iter().position(here).or_else(|| self.incidents.iter().position(suffers));
        if place.is_some() || !opening {
            return place;
        }
        let flap_ns = self.settings.flap_s.saturating_mul(SECOND_NS);
        let back = self.incidents.iter().rposition(|incident| {
            incident.state == State::Closed
                && now_ns.saturating_sub(incident.closed_ns) <= flap_ns
                && (incident.origins.contains(origin) || incident.names(origin))
                && has(incident)
        });
        if let Some(place) = back {
            follow::reopen(&mut self.incidents[place], now_ns, events);
            return Some(place);
        }
        // What a gateway suffers from another incident says nothing of when, and where, this one began.
        let symptoms: Vec<&Symptom> = cluster.symptoms.iter().map(|place| &seen[*place]).collect();
        let own: Vec<&Symptom> = symptoms.iter().copied().filter(|symptom| !self.is_held(symptom)).collect();
        let mut incident = Incident { noticed_ns: now_ns, last_ns: now_ns, ..Incident::default() };
        for symptom in if own.is_empty() { symptoms } else { own } {
            incident.take(symptom);
        }
        let weak = self.incidents.iter().filter(|other| other.state == State::Suspected && !other.is_strong()).count();
        if !incident.is_worth_asking() || (weak >= WEAK_MAX && !incident.is_strong()) {
            return None;
        }
        self.number += 1;
        incident.id = format!("{:x}-{}{}", now_ns.div_euclid(SECOND_NS).max(0), self.settings.mark, self.number);
        incident.next_ask_ns = now_ns;
        events.push(Event::Changed { id: incident.id.clone() });
        self.incidents.push_back(incident);
        Some(self.incidents.len() - 1)
    }

    // Whether an incident that is watched has it already.
    fn is_held(&self, symptom: &Symptom) -> bool {
        self.incidents.iter().any(|incident| incident.is_watched() && incident.has(symptom))
    }

    fn fold(&mut self, from: usize, into: usize, now_ns: i64, events: &mut Vec<Event>) {
        let target = self.incidents[into].id.clone();
        let folded = &mut self.incidents[from];
        (folded.merged_into, folded.closed_ns) = (target.clone(), now_ns);
        let known = folded.told_open;
        follow::end(folded, State::Merged, now_ns, events);
        let (id, symptoms, origins) = (folded.id.clone(), folded.symptoms.clone(), folded.origins.clone());
        let last_ns = folded.last_ns;
        let keeper = &mut self.incidents[into];
        symptoms.iter().for_each(|symptom| {
            keeper.take(symptom);
        });
        origins.iter().for_each(|origin| keeper.add_origin(origin));
        keeper.last_ns = keeper.last_ns.max(last_ns);
        keeper.next_ask_ns = keeper.next_ask_ns.min(now_ns.saturating_add(5 * SECOND_NS));
        if known || keeper.folded.len() < 100 {
            keeper.folded.push(id);
        }
        events.push(Event::Changed { id: target });
    }

    // Slots of incidents are not learnt, unless one lasts so long that it is how things are.
    fn exclude(&mut self, now_ns: i64) {
        self.excluded.clear();
        let now_s = now_ns.div_euclid(SECOND_NS);
        for incident in &self.incidents {
            let age_s = now_s.saturating_sub(incident.onset_ns.div_euclid(SECOND_NS));
            let closed_s = incident.closed_ns.div_euclid(SECOND_NS);
            let to_s = match incident.state {
                State::Suspected | State::Open if age_s < self.settings.adopt_s => i64::MAX,
                State::Closed | State::Merged if now_s.saturating_sub(closed_s) < EXCLUDED_S => closed_s,
                _ => continue,
            };
            for symptom in &incident.symptoms {
                let from_s = symptom.since_ns.div_euclid(SECOND_NS) - SLOT_S;
                let span = self.excluded.entry(symptom.subject.clone()).or_insert(Span { from_s, to_s });
                *span = Span { from_s: span.from_s.min(from_s), to_s: span.to_s.max(to_s) };
            }
        }
    }

    // What time it is: the same as before when a clock stutters. A jump means that time was not watched.
    fn mind_the_clock(&mut self, now_ns: i64) -> i64 {
        let now_s = now_ns.div_euclid(SECOND_NS);
        let end_s = now_s.saturating_add(SLOT_S);
        let Some(last_ns) = self.ticked_ns else {
            // The first: what was before, nobody ticked for.
            self.ticked_ns = Some(now_ns);
            self.blind = Some(Span { from_s: i64::MIN, to_s: end_s });
            self.shift(now_ns, 0);
            return now_ns;
        };
        if now_ns < last_ns && now_ns > last_ns.saturating_sub(BACK_NS) {
            return last_ns;
        }
        self.ticked_ns = Some(now_ns);
        if now_ns < last_ns {
            self.book.forget(now_s);
            self.blind = Some(Span { from_s: i64::MIN, to_s: end_s });
            self.shift(now_ns, 0);
        } else if now_ns.saturating_sub(last_ns) > GAP_NS {
            self.blind = Some(Span { from_s: last_ns.div_euclid(SECOND_NS), to_s: end_s });
            self.shift(now_ns, now_ns.saturating_sub(last_ns));
        }
        now_ns
    }

    // Brings what lasts to the new time: nothing happened in the future, and what was not watched did not pass.
    fn shift(&mut self, now_ns: i64, gap_ns: i64) {
        for incident in self.incidents.iter_mut().filter(|incident| incident.is_active()) {
            incident.last_ns = if gap_ns > 0 { incident.last_ns.saturating_add(gap_ns).min(now_ns) } else { now_ns };
            incident.onset_ns = incident.onset_ns.min(now_ns);
            incident.noticed_ns = incident.noticed_ns.min(now_ns);
            incident.opened_ns = incident.opened_ns.min(now_ns);
            incident.next_ask_ns = incident.next_ask_ns.min(now_ns);
        }
        // Of a time that has not come yet: as if it were now.
        for incident in self.incidents.iter_mut().filter(|incident| !incident.is_active()) {
            incident.closed_ns = incident.closed_ns.min(now_ns);
        }
    }

    fn bound(&mut self) {
        while self.incidents.len() > self.settings.incidents_max.max(1) {
            let oldest = self.incidents.iter().position(|incident| !incident.is_active()).unwrap_or(0);
            self.incidents.remove(oldest);
        }
    }
}

// To store an incident once is enough.
fn once(mut events: Vec<Event>) -> Vec<Event> {
    let mut stored = BTreeSet::new();
    events.retain(|event| match event {
        Event::Changed { id } => stored.insert(id.clone()),
        _ => true,
    });
    events
}
