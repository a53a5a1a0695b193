//! What is asked: two windows, and what else is known.

use model::evidence::{Evidence, Sample};

/// A question: what of `fault` is new against `baseline`?
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Evidence of the window in which something is wrong, added up.
    pub fault: &'a Evidence,
    /// Evidence of a window in which nothing was, added up. It may be much longer.
    pub baseline: &'a Evidence,
    /// Length of the fault window, nanoseconds; rates are compared by it.
    pub fault_ns: i64,
    /// Length of the baseline window, nanoseconds.
    pub baseline_ns: i64,
    /// Evidence of recent healthy stretches (minutes), each for itself and none of them in `baseline`: against
    /// what they show, scores are standardised. May be empty; then scores have less to stand on.
    pub healthy: &'a [Evidence],
    /// Some traces of both windows: `(baseline, fault)`. Without them causes are not told from consequences
    /// within traces, and there are no examples.
    pub samples: Option<(&'a Sample, &'a Sample)>,
    /// Only suspects that this service depends on, itself included.
    pub service: Option<&'a str>,
    /// At most so many suspects.
    pub limit: usize,
    /// How the channels weigh.
    pub weights: Weights,
}

/// What the channels weigh in a score. Each is a strength from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Slow edges that have the service in common.
    pub gap: f64,
    /// Slow work in the service itself.
    pub own_time: f64,
    /// The service's share of all time lost.
    pub excess: f64,
    /// Events that newly follow, or no longer follow, inside spans.
    pub steps: f64,
    /// Errors that start here.
    pub errors: f64,
    /// Spans, services or edges that are gone.
    pub absence: f64,
    /// Failures bound to an instance, a version or another attribute value.
    pub values: f64,
    /// Calls that multiplied.
    pub fan_out: f64,
    /// Messages that wait.
    pub queues: f64,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights {
            gap: 1.0,
            own_time: 0.7,
            excess: 0.5,
            steps: 1.0,
            errors: 1.0,
            absence: 1.0,
            values: 0.3,
            fan_out: 1.0,
            queues: 0.8,
        }
    }
}
