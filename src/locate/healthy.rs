//! What healthy minutes show: the null that scores are standardised against.
//!
//! Some services are restless. Each channel of each service is therefore compared with what the same channel
//! shows for it in recent healthy minutes (mean and two standard deviations, the latter shrunk towards all
//! services' where minutes are few); what is no stronger than that is nothing, what is far above stays. Healthy
//! minutes are short, so they are restless themselves: the comparison is on the safe side.

use std::collections::BTreeMap;

use crate::ask::Question;
use crate::finding::{Channel, Finding};
use crate::score::{Standing, standings};

/// What the strongest service of a healthy minute scores, where there is no healthy minute to learn it from.
const LEVEL: f64 = 0.3;
/// What that guess weighs, in minutes.
const LEVEL_MINUTES: f64 = 3.0;
/// What the spread over all services weighs against a service's own, in minutes.
const POOL_MINUTES: f64 = 5.0;

/// What to expect of a system without a fault.
#[derive(Debug, Default)]
pub(crate) struct Healthy {
    levels: BTreeMap<(String, Channel), f64>,
    /// What the first suspect of a healthy minute scores, in all but one of twenty.
    pub(crate) top: f64,
    /// Minutes that it was learnt from.
    pub(crate) minutes: usize,
}

impl Healthy {
    /// Learns from the question's healthy minutes. `look` gives a window's findings.
    pub(crate) fn learn(question: &Question, look: impl Fn(&Question) -> Vec<Finding>) -> Healthy {
        let minutes: Vec<BTreeMap<String, Standing>> = question
            .healthy
            .iter()
            .map(|minute| {
                let asked = Question { fault: minute, healthy: &[], samples: None, ..*question };
                standings(&look(&asked), &question.weights)
            })
            .collect();
        let mut healthy = Healthy { top: LEVEL, minutes: minutes.len(), ..Healthy::default() };
        let count = minutes.len() as f64;
        if minutes.is_empty() {
            return healthy;
        }
        let mut shown: BTreeMap<(String, Channel), Vec<f64>> = BTreeMap::new();
        for (service, standing) in minutes.iter().flatten() {
            for (channel, strength) in &standing.channels {
                shown.entry((service.clone(), *channel)).or_default().push(*strength);
            }
        }
        for channel in Channel::ALL {
            let own = || shown.iter().filter(|((_, of), _)| *of == channel);
            let pooled = own().map(|(_, values)| variance(values, count)).sum::<f64>() / own().count().max(1) as f64;
            for (key, values) in own() {
                let mean = values.iter().sum::<f64>() / count;
                let spread = (count * variance(values, count) + POOL_MINUTES * pooled) / (count + POOL_MINUTES);
                healthy.levels.insert(key.clone(), mean + 2.0 * spread.sqrt());
            }
        }
        // With its own restlessness taken off, what does the first of each minute still score?
        let mut tops: Vec<f64> = minutes
            .into_iter()
            .map(|mut minute| {
                healthy.discount(&mut minute, question);
                minute.values().map(|standing| standing.score).fold(0.0, f64::max)
            })
            .collect();
        tops.sort_by(f64::total_cmp);
        let high = tops[(tops.len() * 19).div_ceil(20).clamp(1, tops.len()) - 1];
        healthy.top = (count * high + LEVEL_MINUTES * LEVEL) / (count + LEVEL_MINUTES);
        healthy
    }

    /// Takes off what is usual.
    pub(crate) fn discount(&self, services: &mut BTreeMap<String, Standing>, question: &Question) {
        for (service, standing) in services {
            standing.score = 0.0;
            for (channel, strength) in &mut standing.channels {
                *strength *= self.kept(service, *channel, *strength);
                standing.score += question.weights.of(*channel) * *strength;
            }
        }
    }

    /// The share of a strength that is more than usual.
    pub(crate) fn kept(&self, service: &str, channel: Channel, strength: f64) -> f64 {
        let usual = self.levels.get(&(service.to_owned(), channel)).copied().unwrap_or_default();
        let (own, usual) = (strength * strength, usual * usual);
        if own > usual { (own - usual) / (own + usual) } else { 0.0 }
    }
}

// Around the mean; minutes in which nothing was shown count as zero.
fn variance(values: &[f64], count: f64) -> f64 {
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (squares + (count - values.len() as f64).max(0.0) * mean * mean) / count
}
