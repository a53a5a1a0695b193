//! What the watch asks of those around it.

use crate::notice::Notice;

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Localise, and tell [`crate::Watch::located`] the answer.
    Locate {
        /// Incident.
        id: String,
        /// Start of the fault window, nanoseconds.
        from_ns: i64,
        /// Its end.
        to_ns: i64,
    },
    /// Store this incident: it is new, or another than before.
    Changed {
        /// Incident.
        id: String,
    },
    /// Tell people.
    Notify(Box<Notice>),
}
