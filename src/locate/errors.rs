//! Errors, where they start: "N failing requests start here, M only pass through". An error span without an
//! error below it is where it starts; what lies above only passes it on.

use std::collections::BTreeMap;

use model::evidence::{Count, Evidence, OperationRow, OriginRow, RequestRow};

use crate::ask::Question;
use crate::finding::{Channel, Finding, Sign, Unit};
use crate::join::join;
use crate::report::{EvidenceKind, Place};
use crate::stats::{g_signed, share, strength, trust};
use crate::words::{number, percent};

const ROOT_G_NOISE: f64 = 1.0;
const ROOT_G_HALF: f64 = 2.0;

/// What speaks against each service.
pub(crate) fn findings(question: &Question) -> Vec<Finding> {
    let spans_b = spans(&question.baseline.operations);
    let spans_f = spans(&question.fault.operations);
    let sum = |evidence: &Evidence, of: fn(&RequestRow) -> Count| {
        evidence.requests.iter().map(of).fold(Count::default(), Count::plus)
    };
    let (failed_b, failed_f) = (sum(question.baseline, |row| row.failed), sum(question.fault, |row| row.failed));
    let (all_b, all_f) = (sum(question.baseline, |row| row.requests), sum(question.fault, |row| row.requests));
    // The share of failing requests that is news: where as many failed before, it is another's turn to hiccup.
    let usual = share(failed_b.weight(), all_b.weight()) * all_f.weight();
    let news = share(failed_f.weight() - usual, failed_f.weight()) * trust(failed_f.spans() as f64);
    let order =
        |a: &OriginRow, b: &OriginRow| (&a.service, &a.operation, &a.what).cmp(&(&b.service, &b.operation, &b.what));
    let passes = passes(&question.fault.origins);
    let mut found = Vec::new();
    for (before, now) in join(&question.baseline.origins, &question.fault.origins, order) {
        let Some(row) = now.filter(|row| !row.starts.is_empty()) else { continue };
        let at = (row.service.as_str(), row.operation.as_str());
        let total = |spans: &BTreeMap<(&str, &str), f64>| spans.get(&at).copied().unwrap_or_default();
        // An operation that is new has the baseline's requests to be absent from.
        let (mut total_b, total_f) = (total(&spans_b), total(&spans_f));
        if total_b == 0.0 {
            total_b = question.baseline.requests.iter().map(|row| row.requests.spans() as f64).sum();
        }
        let starts_b = before.map_or(0.0, |row| row.starts.spans() as f64);
        let starts_f = (row.starts.spans() as f64).min(total_f);
        let g = g_signed(starts_b.min(total_b), total_b, starts_f, total_f);
        if g <= 0.0 {
            continue;
        }
        let (rate_b, rate_f) = (share(starts_b, total_b), share(starts_f, total_f));
        let was = before.map_or(0.0, |row| share(row.failed.weight(), failed_b.weight()));
        let of_failing = news * (share(row.failed.weight(), failed_f.weight()) - was);
        let effect = (rate_f - rate_b).max(of_failing).clamp(0.0, 1.0);
        let strength = effect * strength(g.sqrt() - ROOT_G_NOISE, ROOT_G_HALF);
        if strength < 0.01 {
            continue;
        }
        found.push(finding(row, rate_b, rate_f, strength, passes.get(&row.service).copied().unwrap_or_default()));
    }
    found
}

fn finding(row: &OriginRow, rate_b: f64, rate_f: f64, strength: f64, passes: f64) -> Finding {
    let what = if row.what.is_empty() { "errors".to_owned() } else { row.what.clone() };
    let message = if row.message.is_empty() { String::new() } else { format!(" (\"{}\")", row.message) };
    let failing = if row.failed.is_empty() { "errors" } else { "failing requests" };
    let count = if row.failed.is_empty() { row.starts } else { row.failed };
    let through =
        if passes > 0.0 { format!(", {} only pass through this service", number(passes)) } else { String::new() };
    Finding {
        service: row.service.clone(),
        channel: Channel::Errors,
        kind: EvidenceKind::ErrorOrigin,
        strength,
        subject: format!("{} {what}", row.operation),
        baseline: rate_b,
        fault: rate_f,
        unit: Unit::Share,
        hits: row.starts.spans() as f64,
        text: format!(
            "{} {failing} start in {}: {what}{message}; {} of its spans, {} before{through}",
            number(count.weight()),
            row.operation,
            percent(rate_f),
            percent(rate_b),
        ),
        place: Place { operation: row.operation.clone(), ..Place::default() },
        sign: Sign::Origin { operation: row.operation.clone() },
    }
}

// Requests whose errors only pass through, by service; several operations say it of one request, so the most.
fn passes(rows: &[OriginRow]) -> BTreeMap<&String, f64> {
    let mut most: BTreeMap<&String, f64> = BTreeMap::new();
    for row in rows {
        let known = most.entry(&row.service).or_default();
        *known = known.max(row.passes.weight());
    }
    most
}

fn spans(rows: &[OperationRow]) -> BTreeMap<(&str, &str), f64> {
    let mut sums = BTreeMap::new();
    for row in rows {
        *sums.entry((row.service.as_str(), row.operation.as_str())).or_default() += row.spans.spans() as f64;
    }
    sums
}
