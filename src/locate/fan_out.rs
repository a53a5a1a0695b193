//! Calls that multiply: more calls for each piece of work, repeated after failures (a retry storm) or not (one
//! query for each row). Whoever calls does it.

use model::evidence::EdgeRow;

use crate::ask::Question;
use crate::finding::{Channel, Finding, Sign, Unit};
use crate::join::join;
use crate::report::{EvidenceKind, Place};
use crate::stats::{g_signed, share, strength, trust};
use crate::words::{edge_text, number, percent};

/// So many surplus calls among all are nothing unusual.
const USUAL: f64 = 0.25;
/// What is believed of more calls that repeat no failed one: the requests may be bigger.
const BIGGER: f64 = 0.3;

/// What speaks against each service.
pub(crate) fn findings(question: &Question) -> Vec<Finding> {
    let order = |a: &EdgeRow, b: &EdgeRow| {
        (&a.caller, &a.callee, &a.operation, a.edge).cmp(&(&b.caller, &b.callee, &b.operation, b.edge))
    };
    let pairs = join(&question.baseline.edges, &question.fault.edges, order);
    pairs
        .into_iter()
        .filter_map(|(before, now)| before.zip(now))
        .filter_map(|(before, now)| finding(before, now))
        .collect()
}

fn finding(before: &EdgeRow, now: &EdgeRow) -> Option<Finding> {
    let calls = |row: &EdgeRow| row.calls.spans() as f64;
    let each = |row: &EdgeRow| calls(row) / (row.parents.spans() as f64).max(1.0);
    // The share of calls that would not have been made before.
    let surplus = 1.0 - each(before).max(1.0) / each(now).max(1e-9);
    let surplus = if surplus > USUAL { surplus } else { 0.0 };
    let believed = trust(before.parents.spans() as f64) * trust(now.parents.spans() as f64);
    let (retries_b, retries_f) = (before.retries.spans() as f64, now.retries.spans() as f64);
    let g = g_signed(retries_b, calls(before), retries_f, calls(now));
    let retried = share(retries_f, calls(now)) - share(retries_b, calls(before));
    let storm = if retried > 0.0 { strength(g.max(0.0).sqrt() - 1.0, 3.0) } else { 0.0 };
    let strength = believed * surplus * (BIGGER + (1.0 - BIGGER) * storm);
    let edge = edge_text(&now.caller, if now.callee.is_empty() { &now.operation } else { &now.callee });
    let again = if storm > 0.1 {
        format!("; {} of them repeat one that has just failed", percent(share(retries_f, calls(now))))
    } else {
        String::new()
    };
    (strength > 0.02).then(|| Finding {
        service: now.caller.clone(),
        channel: Channel::FanOut,
        kind: EvidenceKind::FanOut,
        strength,
        subject: edge.clone(),
        baseline: each(before),
        fault: each(now),
        unit: Unit::Times,
        hits: 0.0,
        text: format!(
            "{} makes {} calls {edge} for each piece of work, {} before{again}",
            now.caller,
            number(each(now)),
            number(each(before))
        ),
        place: Place { edge, operation: now.operation.clone(), ..Place::default() },
        sign: Sign::Repeats {
            caller: now.caller.clone(),
            operation: now.operation.clone(),
            callee: now.callee.clone(),
            storm: if surplus > 0.0 { storm } else { 0.0 },
        },
    })
}
