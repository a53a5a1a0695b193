//! What is watched, and how it is told.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::latency::Buckets;

/// Something that is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// Work that enters a service: server and consumer spans, and those without a caller.
    Entry {
        /// Service.
        service: String,
        /// Operation.
        operation: String,
    },
    /// Calls that a service makes: client and producer spans.
    Call {
        /// Who calls.
        service: String,
        /// Name of the calling span.
        operation: String,
        /// What is called: a service's name where it is known, else the address; a database, a topic.
        peer: String,
    },
    /// How long messages waited before a service took them.
    Wait {
        /// Who consumes.
        service: String,
        /// The consumer's operation.
        operation: String,
    },
    /// Server spans of a service without a parent; they multiply when callers' context is lost.
    Roots {
        /// Service.
        service: String,
    },
    /// Log lines of one pattern key.
    Lines {
        /// Service.
        service: String,
        /// Pattern key.
        pattern: u64,
        /// Severity number of OTLP.
        severity: u8,
    },
    /// Calls whose two sides have clocks that disagree, of those that a service receives.
    Clock {
        /// Service.
        service: String,
    },
}

/// What was counted of a subject in a slot of ten seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observation {
    /// Start of the slot, seconds since the epoch, a multiple of ten.
    pub slot_s: i64,
    /// What was counted.
    pub subject: Subject,
    /// Spans or lines, weighted. For clocks: calls that were compared.
    pub requests: f64,
    /// Those that failed. For clocks: those whose sides disagree.
    pub errors: f64,
    /// Durations, in the buckets of the stored sketches; empty where there are none.
    pub latency: Buckets,
}

impl Default for Subject {
    fn default() -> Subject {
        Subject::Roots { service: String::new() }
    }
}

impl Subject {
    /// The service that it belongs to.
    pub fn service(&self) -> &str {
        match self {
            Subject::Entry { service, .. }
            | Subject::Call { service, .. }
            | Subject::Wait { service, .. }
            | Subject::Roots { service }
            | Subject::Lines { service, .. }
            | Subject::Clock { service } => service,
        }
    }

    /// Its operation, where it has one.
    pub fn operation(&self) -> &str {
        match self {
            Subject::Entry { operation, .. } | Subject::Call { operation, .. } | Subject::Wait { operation, .. } => {
                operation
            }
            _ => "",
        }
    }

    pub(crate) fn is_line(&self) -> bool {
        matches!(self, Subject::Lines { .. })
    }

    // Of a service that is known, nothing of these is as telling as something.
    pub(crate) fn counts_from_zero(&self) -> bool {
        matches!(self, Subject::Roots { .. } | Subject::Lines { .. } | Subject::Clock { .. })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Entry { service, operation } => write!(f, "{service} {operation}"),
            Subject::Call { service, operation, peer } => write!(f, "{service} -> {peer} {operation}"),
            Subject::Wait { service, operation } => write!(f, "messages for {service} {operation}"),
            Subject::Roots { service } => write!(f, "requests to {service} without a caller"),
            Subject::Lines { service, pattern, severity } => {
                let level = match severity {
                    21.. => "FATAL",
                    17..=20 => "ERROR",
                    13..=16 => "WARN",
                    9..=12 => "INFO",
                    _ => "DEBUG",
                };
                write!(f, "{level} line {pattern:016x} of {service}")
            }
            Subject::Clock { service } => write!(f, "clocks of calls to {service}"),
        }
    }
}
