//! What a scenario reports: numbers first, then whatever was against its guarantee, in words.

use std::time::Duration;

use serde_json::{Value, json};

use crate::tables::Found;

/// The outcome of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What the comparison found, summed over several.
    pub found: Found,
    /// Time until a fresh item was queryable, the longest.
    pub live_ms: Option<u64>,
    /// Highest memory of Hypocenter.
    pub rss_max_mib: u64,
    /// Faults injected.
    pub cycles: u64,
    /// Further numbers worth knowing.
    pub notes: Vec<(String, Value)>,
    /// What broke the guarantee; empty is a pass.
    pub against: Vec<String>,
}

/// Why a scenario did not come to an end.
#[derive(Debug)]
pub enum Stop {
    /// It cannot run here; this says why.
    NotRun(String),
    /// It broke.
    Failed(String),
}

impl From<String> for Stop {
    fn from(why: String) -> Stop {
        Stop::Failed(why)
    }
}

impl From<&str> for Stop {
    fn from(why: &str) -> Stop {
        Stop::Failed(why.to_owned())
    }
}

impl Report {
    /// Adds a number.
    pub fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.notes.push((name.to_owned(), value.into()));
    }

    /// Requires something; otherwise it is against the guarantee.
    pub fn require(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.against.push(otherwise.into());
        }
    }

    /// Adds a comparison that must have found nothing wrong.
    pub fn add_zero(&mut self, found: Found) {
        let wrong = !found.is_zero_set();
        let words = found.error.clone().into_iter().chain(found.examples.clone()).collect::<Vec<_>>().join("; ");
        self.add(found);
        self.require(!wrong, format!("not the zero set: {words}"));
    }

    /// Adds the numbers of a comparison.
    pub fn add(&mut self, found: Found) {
        let sum = &mut self.found;
        for (to, from) in [
            (&mut sum.sent, found.sent),
            (&mut sum.acked, found.acked),
            (&mut sum.stored, found.stored),
            (&mut sum.lost, found.lost),
            (&mut sum.dup, found.dup),
            (&mut sum.corrupt, found.corrupt),
            (&mut sum.spurious, found.spurious),
            (&mut sum.index_off, found.index_off),
            (&mut sum.torn_requests, found.torn_requests),
            (&mut sum.lost_requests, found.lost_requests),
        ] {
            *to += from;
        }
        if let Some(error) = found.error {
            self.against.push(error);
        }
    }

    /// Adds a probe's outcome: a fresh item must be queryable within ten seconds.
    pub fn add_live(&mut self, live_ms: Option<u64>) {
        match live_ms {
            Some(ms) => {
                self.live_ms = self.live_ms.max(Some(ms));
                self.require(ms <= 10_000, format!("a fresh item took {ms} ms"));
            }
            None => self.against.push("a fresh item was never queryable".into()),
        }
    }

    /// The JSON line.
    pub fn line(&self, id: u32, name: &str, seed: u64, wall: Duration) -> Value {
        let found = &self.found;
        let mut line = json!({
            "id": id, "name": name, "seed": seed, "sent": found.sent, "acked": found.acked, "stored": found.stored,
            "lost": found.lost, "dup": found.dup, "corrupt": found.corrupt, "spurious": found.spurious,
            "index_off": found.index_off, "live_ms": self.live_ms, "rss_max_mib": self.rss_max_mib,
            "wall_s": (wall.as_secs_f64() * 10.0).round() / 10.0, "cycles": self.cycles,
            "verdict": if self.against.is_empty() { "pass" } else { "FAIL" },
        });
        for (name, value) in &self.notes {
            line[name] = value.clone();
        }
        if !self.against.is_empty() {
            line["against"] = json!(self.against);
        }
        line
    }
}
