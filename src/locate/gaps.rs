//! Slow ways: the gap between client and server span, per edge, credited to the service that the slow edges
//! have in common.
//!
//! A span-duration ranking blames the caller of a slow network, for its spans are the longest; the gap belongs
//! to neither end alone. For every service three readings compete: everything into it is slow, everything out
//! of it, or both. Each is as good as its slow edges are slow (*precision*) and as much of all slowness it
//! explains (*recall*). Of both ends of a single slow edge the callee is blamed: the way to a service belongs to
//! it, as far as anybody can see from outside.

use std::collections::BTreeMap;

use model::evidence::{Dist, EdgeRow, EdgeType};

use crate::ask::Question;
use crate::finding::{Channel, Finding, Sign, Unit};
use crate::join::join;
use crate::report::{EvidenceKind, Place};
use crate::stats::{excess_per_call, share, shift, strength, trust};
use crate::words::{edge_text, time};

/// An edge in both windows.
#[derive(Debug)]
pub(crate) struct Edge<'a> {
    pub(crate) caller: &'a str,
    pub(crate) callee: &'a str,
    pub(crate) baseline: Dist,
    pub(crate) fault: Dist,
    /// How far the gap has shifted, in units of its own variation.
    pub(crate) z: f64,
    /// Time lost on it in the fault window beyond what the baseline shows, nanoseconds.
    pub(crate) lost_ns: f64,
}

/// A shift of one is within what calls vary; from there on it counts, a half at two more.
const Z_NOISE: f64 = 1.0;
const Z_HALF: f64 = 2.0;
/// What blaming the caller for what its calls have in common costs, divided by how many they are: one slow edge
/// cannot tell its ends apart, and the callee is the first guess.
const OUT_DISCOUNT: f64 = 0.6;

/// The edges with gaps, of calls.
pub(crate) fn edges<'a>(question: &Question<'a>) -> Vec<Edge<'a>> {
    let key = |row: &EdgeRow| (row.caller.clone(), row.callee.clone(), row.operation.clone(), row.edge);
    let mut sums: BTreeMap<(&str, &str), (Dist, Dist)> = BTreeMap::new();
    for (base, fault) in join(&question.baseline.edges, &question.fault.edges, |a, b| key(a).cmp(&key(b))) {
        let Some(row) = base.or(fault).filter(|row| row.edge == EdgeType::Rpc) else { continue };
        let sum = sums.entry((&row.caller, &row.callee)).or_default();
        base.iter().for_each(|row| sum.0.merge(&row.gap));
        fault.iter().for_each(|row| sum.1.merge(&row.gap));
    }
    let edge = |((caller, callee), (baseline, fault)): ((&'a str, &'a str), (Dist, Dist))| {
        let lost = excess_per_call(&baseline, &fault) - excess_per_call(&baseline, &baseline);
        let known = !baseline.is_empty();
        let lost_ns = if known { lost.max(0.0) * fault.count().weight() } else { 0.0 };
        Edge { caller, callee, z: shift(&baseline, &fault), lost_ns, baseline, fault }
    };
    sums.into_iter().map(edge).collect()
}

/// What speaks against each service.
pub(crate) fn findings(edges: &[Edge]) -> Vec<Finding> {
    let slowness = |edge: &Edge| strength(edge.z - Z_NOISE, Z_HALF);
    let weight = |edge: &Edge| trust(edge.fault.count().spans() as f64) * trust(edge.baseline.count().spans() as f64);
    let all: f64 = edges.iter().map(|edge| edge.lost_ns).sum();
    let mut services: Vec<&str> = edges.iter().flat_map(|edge| [edge.caller, edge.callee]).collect();
    services.sort_unstable();
    services.dedup();
    let mut found = Vec::new();
    for service in services {
        let credit = |own: &dyn Fn(&Edge) -> bool| {
            let (mut slow, mut total, mut lost_ns) = (0.0, 0.0, 0.0);
            for edge in edges.iter().filter(|edge| own(edge)) {
                slow += weight(edge) * slowness(edge);
                total += weight(edge);
                lost_ns += edge.lost_ns;
            }
            share(slow, total) * share(lost_ns, all).sqrt()
        };
        let into = credit(&|edge| edge.callee == service);
        let out = credit(&|edge| edge.caller == service);
        let both = credit(&|edge| edge.callee == service || edge.caller == service);
        let callees = edges.iter().filter(|edge| edge.caller == service).map(slowness).sum::<f64>().max(1.0);
        let best = into.max(both).max(out * (1.0 - OUT_DISCOUNT / callees));
        let of_best = |edge: &&Edge| {
            if into >= best { edge.callee == service } else { edge.callee == service || edge.caller == service }
        };
        let Some(worst) = edges.iter().filter(of_best).max_by(|a, b| slowness(a).total_cmp(&slowness(b))) else {
            continue;
        };
        if best > 0.01 {
            found.push(finding(service, best, worst));
        }
    }
    found
}

fn finding(service: &str, strength: f64, edge: &Edge) -> Finding {
    let median = |dist: &Dist| dist.quantile(0.5).unwrap_or_default();
    // A few slow calls among many leave the median alone.
    let q = if median(&edge.fault) > 1.3 * median(&edge.baseline) { 0.5 } else { 0.95 };
    let at = |dist: &Dist| dist.quantile(q).unwrap_or_default();
    let (before, now) = (at(&edge.baseline), at(&edge.fault));
    let subject = edge_text(edge.caller, edge.callee);
    let which = if q == 0.5 { "typically" } else { "at the 95th percentile" };
    Finding {
        service: service.to_owned(),
        channel: Channel::Gap,
        kind: EvidenceKind::EdgeGap,
        strength,
        baseline: before,
        fault: now,
        unit: Unit::Time,
        hits: 0.0,
        text: format!(
            "the way {subject} (client span minus server span) takes {} {which}, {} before; {} calls",
            time(now),
            time(before),
            edge.fault.count().weight().round(),
        ),
        place: Place { edge: subject.clone(), ..Place::default() },
        subject,
        sign: Sign::Gap {
            caller: edge.caller.to_owned(),
            callee: edge.callee.to_owned(),
            above_ns: edge.baseline.quantile(0.95).unwrap_or_default().max(before * 2.0),
        },
    }
}
