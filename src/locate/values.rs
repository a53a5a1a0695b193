//! Failures bound to a value: one version, pod, host, region, tenant or feature flag fails and the others do not.

use model::evidence::{AttributeRow, Dist, Evidence};

use crate::ask::Question;
use crate::finding::{Channel, Finding, Sign, Unit};
use crate::report::{EvidenceKind, Place};
use crate::stats::{g_signed, share, shift, strength};
use crate::words::{percent, time};

const ROOT_G_NOISE: f64 = 1.5;
const ROOT_G_HALF: f64 = 3.0;

/// What speaks against each service.
pub(crate) fn findings(question: &Question) -> Vec<Finding> {
    let mut found = Vec::new();
    let rows = &question.fault.attributes;
    for values in rows.chunk_by(|a, b| a.service == b.service && a.key == b.key) {
        found.extend(values.iter().filter_map(|row| failing(question.baseline, row, values)));
        found.extend(values.iter().filter_map(|row| slow(row, values)));
    }
    found
}

// Errors start with this value more often than with the others, or, if there are none, than before it came.
fn failing(baseline: &Evidence, row: &AttributeRow, values: &[AttributeRow]) -> Option<Finding> {
    let spans = |row: &AttributeRow| (row.origins.spans() as f64, row.spans.spans() as f64);
    let (hits, total) = spans(row);
    let mut others = sum(values.iter().filter(|other| other.value != row.value).map(spans));
    let known = |other: &&AttributeRow| other.service == row.service && other.key == row.key;
    let is_new = !baseline.attributes.iter().filter(known).any(|other| other.value == row.value);
    let rest = if others.1 > 0.0 { "the others" } else { "the others before" };
    if others.1 == 0.0 && is_new {
        others = sum(baseline.attributes.iter().filter(known).map(spans));
    }
    let g = g_signed(others.0, others.1, hits, total);
    let (rate, other) = (share(hits, total), share(others.0, others.1));
    let of_all = share(hits, hits + others.0);
    let strength = (rate - other).max(0.0) * of_all * strength(g.max(0.0).sqrt() - ROOT_G_NOISE, ROOT_G_HALF);
    let text = format!(
        "{} of the errors that start in {} come from {} {}: {} of its requests fail, {} of {rest}",
        percent(of_all),
        row.service,
        row.key,
        row.value,
        percent(rate),
        percent(other)
    );
    (strength > 0.02).then(|| finding(row, EvidenceKind::Attribute, strength, (other, rate, Unit::Share), text))
}

// The service's own work takes longer with this value.
fn slow(row: &AttributeRow, values: &[AttributeRow]) -> Option<Finding> {
    let mut others = Dist::default();
    values.iter().filter(|other| other.value != row.value).for_each(|other| others.merge(&other.self_time));
    let strength = 0.5 * strength(shift(&others, &row.self_time) - 2.0, 2.0);
    let median = |dist: &Dist| dist.quantile(0.5).unwrap_or_default();
    let (other, own) = (median(&others), median(&row.self_time));
    let text = format!("work with {} {} takes {}, with the others {}", row.key, row.value, time(own), time(other));
    (strength > 0.02).then(|| finding(row, EvidenceKind::Attribute, strength, (other, own, Unit::Time), text))
}

fn sum(of: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    of.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

fn finding(row: &AttributeRow, kind: EvidenceKind, strength: f64, numbers: (f64, f64, Unit), text: String) -> Finding {
    let mut place = Place::default();
    match row.key.as_str() {
        "service.version" => place.version.clone_from(&row.value),
        "service.instance.id" | "k8s.pod.name" => place.instance.clone_from(&row.value),
        _ => {}
    }
    Finding {
        service: row.service.clone(),
        channel: Channel::Values,
        kind,
        strength,
        subject: format!("{}={}", row.key, row.value),
        baseline: numbers.0,
        fault: numbers.1,
        unit: numbers.2,
        hits: 0.0,
        text,
        place,
        sign: Sign::Instance { value: row.value.clone() },
    }
}
