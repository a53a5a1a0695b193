//! One thing that differs between the windows, and whose it is.

use crate::report::{EvidenceKind, Place};

/// A difference that speaks against a service.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) service: String,
    pub(crate) channel: Channel,
    pub(crate) kind: EvidenceKind,
    /// 0 to 1.
    pub(crate) strength: f64,
    /// What differs: edge, operation, pattern, value.
    pub(crate) subject: String,
    pub(crate) baseline: f64,
    pub(crate) fault: f64,
    pub(crate) unit: Unit,
    pub(crate) text: String,
    pub(crate) place: Place,
    /// How many spans of the fault window show it, where that is known; else 0.
    pub(crate) hits: f64,
    /// For looking it up in traces.
    pub(crate) sign: Sign,
}

/// A source of evidence that has a weight of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    Gap,
    OwnTime,
    Excess,
    Steps,
    Errors,
    Absence,
    Values,
    FanOut,
    Queues,
}

impl Channel {
    /// As a part of a score is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Channel::Gap => "edge_gap",
            Channel::OwnTime => "own_time",
            Channel::Excess => "excess",
            Channel::Steps => "steps",
            Channel::Errors => "errors",
            Channel::Absence => "absence",
            Channel::Values => "attributes",
            Channel::FanOut => "fan_out",
            Channel::Queues => "queues",
        }
    }

    pub(crate) const ALL: [Channel; 9] = [
        Channel::Gap,
        Channel::OwnTime,
        Channel::Excess,
        Channel::Steps,
        Channel::Errors,
        Channel::Absence,
        Channel::Values,
        Channel::FanOut,
        Channel::Queues,
    ];
}

/// What numbers of a finding count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds.
    Time,
    /// A share, 0 to 1.
    Share,
    /// A number of times.
    Times,
}

/// How a finding shows in a trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Sign {
    /// Not in single traces.
    #[default]
    None,
    /// A span of the operation has the event.
    Has { operation: String, event: u64 },
    /// A span of the operation has `after`, and the event does not come next.
    Lacks { operation: String, after: u64, event: u64 },
    /// The way from caller to callee takes longer than this, nanoseconds.
    Gap { caller: String, callee: String, above_ns: f64 },
    /// Own time of the operation above this, nanoseconds.
    OwnTime { operation: String, above_ns: f64 },
    /// An error starts in the operation.
    Origin { operation: String },
    /// A client span of the operation without a server span below it.
    Silent { caller: String, operation: String },
    /// A span has several children of the operation; `storm` is how sure it is that they repeat failed ones.
    Repeats { caller: String, operation: String, callee: String, storm: f64 },
    /// A span of the service in this instance or version.
    Instance { value: String },
}
