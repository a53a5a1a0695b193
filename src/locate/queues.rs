//! Messages that wait: the time from the producer's end to the consumer's start. The consumer is who should have
//! taken them.

use std::collections::BTreeMap;

use model::evidence::{Dist, EdgeType, Evidence};

use crate::ask::Question;
use crate::finding::{Channel, Finding, Sign, Unit};
use crate::report::{EvidenceKind, Place};
use crate::stats::{shift, strength};
use crate::words::{edge_text, number, time};

const Z_NOISE: f64 = 1.0;
const Z_HALF: f64 = 2.0;

/// What speaks against each service.
pub(crate) fn findings(question: &Question) -> Vec<Finding> {
    let (before, now) = (waits(question.baseline), waits(question.fault));
    let mut found = Vec::new();
    for ((caller, callee), wait) in &now {
        let Some(usual) = before.get(&(*caller, *callee)) else { continue };
        let strength = strength(shift(usual, wait) - Z_NOISE, Z_HALF);
        if strength < 0.02 {
            continue;
        }
        let at = |dist: &Dist, q: f64| dist.quantile(q).unwrap_or_default();
        let edge = edge_text(caller, callee);
        found.push(Finding {
            service: callee.to_string(),
            channel: Channel::Queues,
            kind: EvidenceKind::QueueWait,
            strength,
            subject: edge.clone(),
            baseline: at(usual, 0.5),
            fault: at(wait, 0.5),
            unit: Unit::Time,
            hits: 0.0,
            text: format!(
                "messages {edge} wait {} before {callee} takes them (at worst {}), {} before; {} messages",
                time(at(wait, 0.5)),
                time(at(wait, 1.0)),
                time(at(usual, 0.5)),
                number(wait.count().weight())
            ),
            place: Place { edge, ..Place::default() },
            sign: Sign::None,
        });
    }
    found
}

fn waits(evidence: &Evidence) -> BTreeMap<(&str, &str), Dist> {
    let mut sums: BTreeMap<(&str, &str), Dist> = BTreeMap::new();
    for row in evidence.edges.iter().filter(|row| row.edge == EdgeType::Messaging) {
        sums.entry((&row.caller, &row.callee)).or_default().merge(&row.gap);
    }
    sums
}
