//! The share of all lost time that a service has: its own work's, and that of the slow edges at it.

use std::collections::BTreeMap;

use crate::ask::Question;
use crate::finding::{Channel, Finding, Sign, Unit};
use crate::gaps::Edge;
use crate::own::Work;
use crate::report::{EvidenceKind, Place};
use crate::stats::share;
use crate::words::{percent, time};

/// Lost time counts in full when it is this share of all time that requests took.
const WORTH: f64 = 0.2;

/// What speaks against each service. `gaps` are the findings about edges: the time lost on one goes to the
/// end against which they speak more.
pub(crate) fn findings(question: &Question, edges: &[Edge], work: &[Work], gaps: &[Finding]) -> Vec<Finding> {
    let against: BTreeMap<&str, f64> = gaps.iter().map(|found| (found.service.as_str(), found.strength)).collect();
    let of = |service: &str| against.get(service).copied().unwrap_or_default();
    let mut lost: BTreeMap<&str, f64> = BTreeMap::new();
    for edge in edges {
        let service = if of(edge.caller) > of(edge.callee) { edge.caller } else { edge.callee };
        *lost.entry(service).or_default() += edge.lost_ns;
    }
    for work in work {
        *lost.entry(work.service).or_default() += work.lost_ns;
    }
    let all: f64 = lost.values().sum();
    let requests = question.fault.requests.iter();
    let total: f64 = requests.map(|row| row.duration.mean() * row.duration.count().weight()).sum();
    let worth = (share(all, total) / WORTH).min(1.0);
    let per_request = question.fault.requests.iter().map(|row| row.requests.weight()).sum::<f64>().max(1.0);
    let mut found = Vec::new();
    for (service, lost_ns) in lost {
        let share = share(lost_ns, all);
        if share * worth > 0.01 {
            found.push(Finding {
                service: service.to_owned(),
                channel: Channel::Excess,
                kind: EvidenceKind::Excess,
                strength: share * worth,
                subject: service.to_owned(),
                baseline: 0.0,
                fault: share,
                unit: Unit::Share,
                hits: 0.0,
                text: format!(
                    "{} of the time lost is lost here, {} per request",
                    percent(share),
                    time(lost_ns / per_request)
                ),
                place: Place::default(),
                sign: Sign::None,
            });
        }
    }
    found
}
