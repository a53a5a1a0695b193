//! Services that work steadily, and what is wrong with them at a time, in words; no noise: what is not said is as ever.

use crate::*;

pub(crate) const SECOND_NS: i64 = 1_000_000_000;
pub(crate) const START_S: i64 = 1_764_331_200;
/// Requests of a service in a slot.
pub(crate) const REQUESTS: f64 = 40.0;

/// What is wrong with a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wrong {
    Fails(f64),
    Slow,
    Gone,
    Idle,
    Lines(u64),
    Vanished,
}

/// Services in a row or beside one another, and the watch.
pub(crate) struct Bench {
    pub(crate) watch: Watch,
    pub(crate) now_s: i64,
    pub(crate) edges: Vec<(String, String)>,
    pub(crate) services: Vec<&'static str>,
    pub(crate) told: Vec<Notice>,
    pub(crate) asked: Vec<String>,
    /// What localisation answers; nothing while there is none.
    pub(crate) answer: Option<Answer>,
}

pub(crate) fn suspect(service: &str, victims: &[&str]) -> Answer {
    Answer {
        verdict: Verdict::Localised,
        summary: format!("{service} is it"),
        suspects: vec![Suspect {
            service: service.to_owned(),
            score: 0.8,
            confidence: 0.9,
            sentence: format!("{service} is it"),
            victims: victims.iter().map(|victim| (*victim).to_owned()).collect(),
        }],
        notices: Vec::new(),
    }
}

impl Bench {
    /// `edges`: `a>b b>c d`. Ten healthy minutes have passed.
    pub(crate) fn new(edges: &'static str) -> Bench {
        let mut services = Vec::new();
        let mut pairs = Vec::new();
        for part in edges.split(' ') {
            let names: Vec<&'static str> = part.split('>').collect();
            pairs.extend(names.windows(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())));
            services.extend(names);
        }
        services.sort_unstable();
        services.dedup();
        let (watch, told, asked) = (Watch::new(Settings::default()), Vec::new(), Vec::new());
        let mut bench = Bench { watch, now_s: START_S, edges: pairs, services, told, asked, answer: None };
        bench.pass(600, &[]);
        assert!(bench.told.is_empty() && bench.asked.is_empty());
        bench
    }

    /// Lets time pass in which this is wrong.
    pub(crate) fn pass(&mut self, seconds: i64, wrong: &[(&str, Wrong)]) {
        for _ in 0..seconds / 10 {
            let seen = self.seen(self.now_s, wrong);
            self.now_s += 10;
            let now_ns = (self.now_s + 8) * SECOND_NS;
            self.watch.observe(now_ns, &seen);
            self.watch.edges(now_ns, &self.edges.clone());
            let events = self.watch.tick(now_ns);
            self.take(events, now_ns);
        }
    }

    pub(crate) fn take(&mut self, events: Vec<Event>, now_ns: i64) {
        for event in events {
            match event {
                Event::Locate { id, from_ns, to_ns } => {
                    assert!(from_ns <= to_ns && to_ns <= now_ns, "{id} {from_ns} {to_ns}");
                    self.asked.push(id.clone());
                    if let Some(answer) = self.answer.clone() {
                        let more = self.watch.located(&id, answer, now_ns);
                        self.take(more, now_ns);
                    }
                }
                Event::Changed { id } => assert!(self.watch.incident(&id).is_some()),
                Event::Notify(notice) => self.told.push(*notice),
            }
        }
    }

    /// What a store would have of a time.
    pub(crate) fn history(
        &self,
        from_s: i64,
        until_s: i64,
        wrong: impl Fn(i64) -> Vec<(&'static str, Wrong)>,
    ) -> Vec<Observation> {
        (from_s..until_s).step_by(10).flat_map(|slot_s| self.seen(slot_s, &wrong(slot_s))).collect()
    }

    pub(crate) fn kinds(&self) -> Vec<NoticeKind> {
        self.told.iter().map(|notice| notice.kind).collect()
    }

    // What a slot shows: every service is entered, calls its callees, writes a line.
    fn seen(&self, slot_s: i64, wrong: &[(&str, Wrong)]) -> Vec<Observation> {
        let mut seen = Vec::new();
        let mut tell = |subject: Subject, requests: f64, errors: f64, slow: bool| {
            let latency =
                if slow { (vec![1_400], vec![requests]) } else { (vec![1_000, 1_030], vec![requests - 2.0, 2.0]) };
            let latency = if matches!(subject, Subject::Lines { .. }) { Buckets::default() } else { latency };
            seen.push(Observation { slot_s, subject, requests, errors, latency });
        };
        for service in &self.services {
            let of: Vec<Wrong> = wrong.iter().filter(|(name, _)| name == service).map(|(_, wrong)| *wrong).collect();
            let fails = of.iter().find_map(|wrong| if let Wrong::Fails(share) = wrong { Some(*share) } else { None });
            let slow = of.contains(&Wrong::Slow);
            if of.contains(&Wrong::Gone) || of.contains(&Wrong::Idle) {
                continue;
            }
            let name = (*service).to_owned();
            let errors = fails.unwrap_or_default() * REQUESTS;
            tell(Subject::Entry { service: name.clone(), operation: "op".to_owned() }, REQUESTS, errors, slow);
            for (caller, callee) in self.edges.iter().filter(|(caller, _)| caller == service) {
                if wrong.contains(&(callee.as_str(), Wrong::Idle)) {
                    continue;
                }
                let at = |wanted: Wrong| wrong.iter().any(|(name, wrong)| name == callee && *wrong == wanted);
                let fails = wrong.iter().find_map(|(name, wrong)| match wrong {
                    Wrong::Fails(share) if name == callee => Some(*share),
                    Wrong::Gone if name == callee => Some(1.0),
                    _ => None,
                });
                let subject =
                    Subject::Call { service: caller.clone(), operation: "call".to_owned(), peer: callee.clone() };
                tell(subject, REQUESTS, fails.unwrap_or_default() * REQUESTS, at(Wrong::Slow));
            }
            if !of.contains(&Wrong::Vanished) {
                tell(Subject::Lines { service: name.clone(), pattern: 7, severity: 9 }, REQUESTS, 0.0, false);
            }
            for wrong in of {
                if let Wrong::Lines(patterns) = wrong {
                    for pattern in 100..100 + patterns {
                        let subject = Subject::Lines { service: name.clone(), pattern, severity: 17 };
                        tell(subject, 50.0, 0.0, false);
                    }
                }
            }
        }
        seen
    }
}
