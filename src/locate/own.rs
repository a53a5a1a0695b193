//! Slow work: the own time of operations. Client sides of calls are not in here; their own time is the edge's.

use model::evidence::OperationRow;

use crate::ask::Question;
use crate::finding::{Channel, Finding, Sign, Unit};
use crate::join::join;
use crate::report::{EvidenceKind, Place};
use crate::stats::{excess_per_call, shift, strength};
use crate::words::time;

/// An operation in both windows.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub(crate) service: &'a str,
    pub(crate) baseline: &'a OperationRow,
    pub(crate) fault: &'a OperationRow,
    pub(crate) z: f64,
    /// Time lost in the fault window beyond what the baseline shows, nanoseconds.
    pub(crate) lost_ns: f64,
}

const Z_NOISE: f64 = 1.0;
const Z_HALF: f64 = 2.0;

/// The operations that both windows know.
pub(crate) fn work<'a>(question: &Question<'a>) -> Vec<Work<'a>> {
    let order = |a: &OperationRow, b: &OperationRow| {
        (&a.service, &a.operation, a.is_caller).cmp(&(&b.service, &b.operation, b.is_caller))
    };
    let pairs = join(&question.baseline.operations, &question.fault.operations, order);
    let both = pairs.into_iter().filter_map(|(baseline, fault)| baseline.zip(fault));
    both.filter(|(baseline, _)| !baseline.is_caller)
        .map(|(baseline, fault)| {
            let (before, now) = (&baseline.self_time, &fault.self_time);
            let lost = excess_per_call(before, now) - excess_per_call(before, before);
            let lost_ns = lost.max(0.0) * now.count().weight();
            Work { service: &baseline.service, baseline, fault, z: shift(before, now), lost_ns }
        })
        .collect()
}

/// What speaks against each service: its operations' shifts, weighed by the time they take.
pub(crate) fn findings(work: &[Work]) -> Vec<Finding> {
    let mut found = Vec::new();
    for own in work.chunk_by(|a, b| a.service == b.service) {
        let weight = |work: &Work| {
            let total = |row: &OperationRow| row.self_time.mean() * row.self_time.count().weight();
            total(work.fault).max(0.0)
        };
        let all: f64 = own.iter().map(weight).sum();
        if all <= 0.0 {
            continue;
        }
        let slowness = |work: &Work| strength(work.z - Z_NOISE, Z_HALF);
        let mean = own.iter().map(|work| weight(work) * slowness(work)).sum::<f64>() / all;
        let Some(worst) = own.iter().max_by(|a, b| (weight(a) * slowness(a)).total_cmp(&(weight(b) * slowness(b))))
        else {
            continue;
        };
        if mean > 0.01 {
            found.push(finding(worst, mean));
        }
    }
    found
}

fn finding(work: &Work, strength: f64) -> Finding {
    let (before, now) = (&work.baseline.self_time, &work.fault.self_time);
    let median = |dist: &model::evidence::Dist| dist.quantile(0.5).unwrap_or_default();
    let q = if median(now) > 1.3 * median(before) { 0.5 } else { 0.95 };
    let (at_b, at_f) = (before.quantile(q).unwrap_or_default(), now.quantile(q).unwrap_or_default());
    let which = if q == 0.5 { "typically" } else { "at the 95th percentile" };
    let operation = &work.baseline.operation;
    Finding {
        service: work.service.to_owned(),
        channel: Channel::OwnTime,
        kind: EvidenceKind::OwnTime,
        strength,
        subject: operation.clone(),
        baseline: at_b,
        fault: at_f,
        unit: Unit::Time,
        hits: 0.0,
        text: format!(
            "{operation} itself takes {} {which}, {} before; {} calls",
            time(at_f),
            time(at_b),
            now.count().weight().round()
        ),
        place: Place { operation: operation.clone(), ..Place::default() },
        sign: Sign::OwnTime {
            operation: operation.clone(),
            above_ns: before.quantile(0.95).unwrap_or_default().max(median(before) * 2.0),
        },
    }
}
