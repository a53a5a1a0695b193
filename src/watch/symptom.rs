//! A deviation as an incident keeps it, and its words.

use serde::{Deserialize, Serialize};

use crate::deviation::{Deviation, Signal};
use crate::subject::Subject;

const SECOND_NS: i64 = 1_000_000_000;
/// Decades.
const STRONG: f64 = 9.0;
const PLAIN: f64 = 7.0;
const NOTABLE: f64 = 5.0;
const NOTABLE_WARNING: f64 = 6.0;

/// Something that deviates, or did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Symptom {
    /// What.
    pub subject: Subject,
    /// How.
    pub signal: Signal,
    /// The rule that says so; empty when history does.
    #[serde(default)]
    pub rule: String,
    /// Since when, nanoseconds.
    pub since_ns: i64,
    /// When it was last seen, nanoseconds.
    pub last_ns: i64,
    /// How unlikely it was without a change, at its worst: -log10 of the probability.
    pub strength: f64,
    /// One line.
    pub text: String,
}

impl Symptom {
    pub(crate) fn new(subject: &Subject, found: &Deviation, now_ns: i64) -> Symptom {
        Symptom {
            subject: subject.clone(),
            signal: found.signal,
            rule: String::new(),
            since_ns: found.onset_s.saturating_mul(SECOND_NS),
            last_ns: now_ns,
            // Short enough to be read as it was written.
            strength: (found.decades.min(300.0) * 100.0).round() / 100.0,
            text: text(subject, found),
        }
    }

    pub(crate) fn is(&self, other: &Symptom) -> bool {
        self.signal == other.signal && self.rule == other.rule && self.subject == other.subject
    }

    /// Whether it is told whatever localisation says of it. More to do is no fault.
    pub(crate) fn is_strong(&self) -> bool {
        self.signal == Signal::Rule || (self.signal != Signal::Surge && self.strength >= STRONG)
    }

    /// Whether others like it make it strong.
    pub(crate) fn is_plain(&self) -> bool {
        self.signal.is_hard() && self.strength >= PLAIN
    }

    /// Whether localisation is asked though nothing else deviates. Warnings come and go.
    pub(crate) fn is_notable(&self) -> bool {
        let is_warning = matches!(self.subject, Subject::Lines { severity: ..17, .. }) && self.signal == Signal::Lines;
        self.strength >= if is_warning { NOTABLE_WARNING } else { NOTABLE }
    }

    /// Takes what was seen of it now.
    pub(crate) fn renew(&mut self, seen: &Symptom) {
        self.last_ns = self.last_ns.max(seen.last_ns);
        self.since_ns = self.since_ns.min(seen.since_ns);
        if seen.strength >= self.strength {
            (self.strength, self.text) = (seen.strength, seen.text.clone());
        }
    }
}

fn text(subject: &Subject, found: &Deviation) -> String {
    let (usual, now) = (found.usual, found.now);
    match found.signal {
        Signal::Errors => format!("{subject}: {} fail, usually {}", percent(now), percent(usual)),
        Signal::Latency => format!("{subject}: p95 {}, usually {}", time(now), time(usual)),
        Signal::Drop => format!("{subject}: {} a minute, usually {}", number(now), number(usual)),
        Signal::Surge | Signal::Roots => format!("{subject}: {} a minute, usually {}", number(now), number(usual)),
        Signal::Lines if usual < 0.05 => format!("new {subject}: {} a minute", number(now)),
        Signal::Lines => format!("{subject}: {} a minute, usually {}", number(now), number(usual)),
        Signal::Vanished => format!("{subject} no longer comes: {} a minute, usually {}", number(now), number(usual)),
        Signal::Clock => format!("{subject}: {} disagree, usually {}", percent(now), percent(usual)),
        Signal::Rule => subject.to_string(),
    }
}

pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent <= 0.0 => "0 %".to_owned(),
        percent if percent < 1.0 => format!("{percent:.1} %"),
        percent => format!("{percent:.0} %"),
    }
}

pub(crate) fn time(ns: f64) -> String {
    match ns {
        ns if ns <= 0.0 => "0 ms".to_owned(),
        ns if ns < 1e6 => format!("{:.0} us", ns / 1e3),
        ns if ns < 1e7 => format!("{:.1} ms", ns / 1e6),
        ns if ns < 1e9 => format!("{:.0} ms", ns / 1e6),
        ns => format!("{:.1} s", ns / 1e9),
    }
}

pub(crate) fn number(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
