//! Answers questions to the localisation from the spans and logs that have fallen due.

use std::collections::{BTreeMap, HashMap};

use correlate::evidence::{EvidenceLog, EvidenceSpan, Minute, sample};
use correlate::graph::{Kind, Names};
use locate::{Question, Weights, locate};
use model::evidence::{Evidence, Sample};
use watch::Answer;

use super::read::{Read, What};
use super::{SECOND_NS, START_NS};

const MINUTE_NS: i64 = 60 * SECOND_NS;
const BASELINE: i64 = 4;
const HEALTHY: i64 = 3;
/// Slots of telemetry that are kept.
const KEPT_S: i64 = 20 * 60;

#[derive(Default)]
struct Slot {
    spans: Vec<(i64, EvidenceSpan)>,
    logs: Vec<(i64, EvidenceLog)>,
}

#[derive(Default)]
pub struct Memory {
    pub names: Names,
    // By the second in which the trace began, in slots of ten.
    slots: BTreeMap<i64, Slot>,
    senders: Vec<EvidenceSpan>,
    minutes: HashMap<i64, Evidence>,
    samples: HashMap<i64, Sample>,
}

impl Memory {
    /// Keeps what one visit sent.
    pub fn keep<'a>(&mut self, read: impl Iterator<Item = &'a Read> + Clone) {
        let mut began: HashMap<u64, i64> = HashMap::new();
        for item in read.clone() {
            if let What::Span(span) = &item.what {
                let first = began.entry(span.at.trace_low).or_insert(span.start_ns);
                *first = (*first).min(span.start_ns);
            }
        }
        for item in read {
            match &item.what {
                What::Span(span) => {
                    let slot = self.slots.entry(slot(began[&span.at.trace_low])).or_default();
                    slot.spans.push((item.due_ns, (**span).clone()));
                }
                What::Line { log: Some(log), .. } => {
                    let Some(first) = began.get(&log.at.trace_low) else { continue };
                    let slot = self.slots.entry(slot(*first)).or_default();
                    slot.logs.push((item.due_ns, (**log).clone()));
                }
                What::Line { .. } => {}
            }
        }
        if let Some(newest) = self.slots.keys().last().copied() {
            self.slots = self.slots.split_off(&(newest - KEPT_S));
        }
    }

    /// Which suspects are there in a window, as far as anything is due?
    pub fn ask(&mut self, from_ns: i64, to_ns: i64, due_ns: i64) -> Answer {
        let first = (from_ns - START_NS).div_euclid(MINUTE_NS);
        let mut baseline = Evidence::default();
        for minute in (first - HEALTHY - BASELINE).max(0)..first - HEALTHY {
            baseline.merge(self.minute(minute));
        }
        let healthy: Vec<Evidence> = ((first - HEALTHY).max(0)..first).map(|minute| self.minute(minute)).collect();
        let (spans, logs, senders) = self.window(from_ns, to_ns, due_ns);
        let mut rows = Minute::default();
        rows.add(&self.names, &spans, &logs, &senders);
        let fault = rows.finish(&self.names);
        let bad = sample(&self.names, &spans, &logs, &senders);
        if !self.samples.contains_key(&first) {
            let from_ns = START_NS + (first - HEALTHY - BASELINE).max(0) * MINUTE_NS;
            let (spans, logs, senders) = self.window(from_ns, from_ns + 3 * MINUTE_NS, due_ns);
            self.samples.insert(first, sample(&self.names, &spans, &logs, &senders));
        }
        let report = locate(&Question {
            fault: &fault,
            baseline: &baseline,
            fault_ns: (to_ns - from_ns).max(1),
            baseline_ns: BASELINE * MINUTE_NS,
            healthy: &healthy,
            samples: Some((&self.samples[&first], &bad)),
            service: None,
            limit: 10,
            weights: Weights::default(),
        });
        Answer::from(&report)
    }

    fn minute(&mut self, minute: i64) -> Evidence {
        if !self.minutes.contains_key(&minute) {
            let from_ns = START_NS + minute * MINUTE_NS;
            let (spans, logs, senders) = self.window(from_ns, from_ns + MINUTE_NS, i64::MAX);
            let mut rows = Minute::default();
            rows.add(&self.names, &spans, &logs, &senders);
            self.minutes.insert(minute, rows.finish(&self.names));
        }
        self.minutes[&minute].clone()
    }

    fn window(
        &self,
        from_ns: i64,
        to_ns: i64,
        due_ns: i64,
    ) -> (Vec<EvidenceSpan>, Vec<EvidenceLog>, Vec<EvidenceSpan>) {
        let (mut spans, mut logs, mut senders) = (Vec::new(), Vec::new(), Vec::new());
        let is_due = |due: i64| due <= due_ns;
        for slot in self.slots.range(slot(from_ns)..slot(to_ns) + 10).map(|(_, slot)| slot) {
            spans.extend(slot.spans.iter().filter(|(due, _)| is_due(*due)).map(|(_, span)| span.clone()));
            logs.extend(slot.logs.iter().filter(|(due, _)| is_due(*due)).map(|(_, log)| log.clone()));
        }
        for slot in self.slots.range(slot(from_ns) - 60..slot(to_ns) + 10).map(|(_, slot)| slot) {
            let sent = slot.spans.iter().filter(|(_, span)| span.kind == Kind::Producer);
            senders.extend(sent.map(|(_, span)| span.clone()));
        }
        (spans, logs, senders)
    }
}

fn slot(ns: i64) -> i64 {
    ns.div_euclid(10 * SECOND_NS) * 10
}
