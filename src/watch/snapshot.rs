//! What survives a restart. Baselines do not: they are learnt again from what is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::book::Known;
use crate::incident::Incident;
use crate::rule::Rule;
use crate::silence::Silence;

/// The memory of a watch, to be stored. Unknown fields are left out, missing ones are empty, so that other versions
/// may read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// When it was taken, nanoseconds.
    pub at_ns: i64,
    pub(crate) number: u64,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) services: BTreeMap<String, Known>,
    /// Hashes of the patterns that were ever seen.
    pub(crate) patterns: Vec<u64>,
}
