//! From findings to a score for every service.

use std::collections::BTreeMap;

use crate::ask::Weights;
use crate::finding::{Channel, Finding};

/// A service's findings and what they add up to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Strength of every channel, 0 to 1.
    pub(crate) channels: BTreeMap<Channel, f64>,
    /// Places of its findings.
    pub(crate) findings: Vec<usize>,
    pub(crate) score: f64,
}

/// How findings of one channel and service become one strength: independent signs add up, but the strongest
/// leads.
pub(crate) fn standings(findings: &[Finding], weights: &Weights) -> BTreeMap<String, Standing> {
    let mut services: BTreeMap<String, Standing> = BTreeMap::new();
    for (place, found) in findings.iter().enumerate() {
        services.entry(found.service.clone()).or_default().findings.push(place);
    }
    for standing in services.values_mut() {
        for channel in Channel::ALL {
            let own = standing.findings.iter().map(|place| &findings[*place]).filter(|found| found.channel == channel);
            let strength = own.map(|found| found.strength).fold(0.0, f64::max);
            if strength > 0.0 {
                standing.channels.insert(channel, strength);
            }
        }
        standing.score = standing.channels.iter().map(|(channel, strength)| weights.of(*channel) * strength).sum();
    }
    services
}

impl Weights {
    /// Of a channel.
    pub(crate) fn of(&self, channel: Channel) -> f64 {
        match channel {
            Channel::Gap => self.gap,
            Channel::OwnTime => self.own_time,
            Channel::Excess => self.excess,
            Channel::Steps => self.steps,
            Channel::Errors => self.errors,
            Channel::Absence => self.absence,
            Channel::Values => self.values,
            Channel::FanOut => self.fan_out,
            Channel::Queues => self.queues,
        }
    }
}
