//! Incidents: what deviates, which of it belongs together, and when people are told.
//!
//! Pure: no clock, no I/O, no runtime; time is a parameter. Whoever owns a [`Watch`] hands it what was counted in
//! slots of ten seconds ([`Observation`]), who calls whom, and the time; and does what its [`Event`]s ask for:
//! localise, store, tell people. A tick says: all that could be read up to now has been observed. Who could not
//! read must not tick, or silence is taken for absence.
//!
//! # Method
//! - `deviation`: every subject against its own last hour (`history`), by predictive tails (`tails`) in windows of 20
//!   to 120 seconds, with a least number of events and a least size of the change. Events that come in bursts count
//!   for fewer. Slots in incidents are not learnt. A new subject is learnt first; lines, requests without callers and
//!   clocks of a known service count from zero.
//! - `cluster`: symptoms are followed along the call graph to their origin; one origin is one incident.
//! - `concern`: of the suspects that localisation names, those that have to do with the incident come first. Incidents
//!   with one suspect, or among one's victims, are one.
//! - `follow`: an incident is announced once it is localised, or it is strong and patience ends; a weak one without a
//!   fault is dropped; it is over when all is quiet; what comes back is the same incident.
//! - `rule`, `silence`: what people ask for. `names`: what the lines of a key say. `notice`, `render`: what they are told.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod book;
mod calls;
mod cluster;
mod concern;
mod deviation;
mod event;
mod firing;
mod follow;
mod history;
mod incident;
mod latency;
mod names;
mod notice;
mod render;
mod rule;
mod series;
mod settings;
mod silence;
mod snapshot;
mod subject;
mod symptom;
mod tails;
#[cfg(test)]
mod tests_incidents;
#[cfg(test)]
mod tests_kit;
#[cfg(test)]
mod tests_properties;
#[cfg(test)]
mod tests_rules;
mod watch;

pub use answer::{Answer, Suspect, Verdict};
pub use book::Refused;
pub use deviation::Signal;
pub use event::Event;
pub use incident::{Incident, State, Told};
pub use latency::Buckets;
pub use names::Pattern;
pub use notice::{Notice, NoticeKind};
pub use render::{Email, alertmanager, email, slack, webhook};
pub use rule::{Condition, Measure, Rule};
pub use settings::Settings;
pub use silence::Silence;
pub use snapshot::Snapshot;
pub use subject::{Observation, Subject};
pub use symptom::Symptom;
pub use watch::Watch;
