//! What may be set.

use serde::{Deserialize, Serialize};

/// How patient and how watchful the watch is. Lengths are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Goes into the ids of incidents, so that those of several watches differ.
    pub mark: String,
    /// A slot is complete so long after its end: clients send every five seconds.
    pub settle_s: i64,
    /// History that a subject needs before anything is said of it.
    pub learn_s: i64,
    /// An incident is over when nothing has deviated for so long.
    pub quiet_s: i64,
    /// What comes back within this time is the same incident.
    pub flap_s: i64,
    /// Localisation is asked when so much of a fault is complete: of few requests much can be said.
    pub seen_s: i64,
    /// An incident is announced without an answer of the localisation after so long.
    pub patience_s: i64,
    /// A deviation that lasts longer is the new normal, and is learnt.
    pub adopt_s: i64,
    /// Services watched.
    pub services_max: usize,
    /// Operations watched: entries, calls, waits.
    pub operations_max: usize,
    /// Log patterns watched.
    pub patterns_max: usize,
    /// Incidents kept, closed ones included.
    pub incidents_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mark: String::new(),
            settle_s: 8,
            learn_s: 120,
            quiet_s: 75,
            flap_s: 600,
            seen_s: 20,
            patience_s: 45,
            adopt_s: 6 * 3600,
            services_max: 2_000,
            operations_max: 10_000,
            patterns_max: 10_000,
            incidents_max: 500,
        }
    }
}
