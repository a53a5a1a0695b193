//! Failures bound to a value: one version, pod, host, region, tenant or feature flag fails and the others do not.

use model::evidence::{AttributeRow, Dist, Evidence};

use crate::ask::Question;
use crate::finding::{Channel, Finding, Sign, Unit};
use crate::report::{EvidenceKind, Place};
use crate::stats::{g_signed, share, shift, strength};
use crate::words::{percent, time};

const ROOT_G_NOISE: f64 = 1.5;
const ROOT_G_HALF: f64 = 3.0;

// One key of a service: what all of its values have, now and in the baseline.
struct Key<'a> {
    all: (f64, f64),
    time: Dist,
    before: &'a [AttributeRow],
}

/// What speaks against each service.
pub(crate) fn findings(question: &Question) -> Vec<Finding> {
    let mut found = Vec::new();
    let rows = &question.fault.attributes;
    for values in rows.chunk_by(|a, b| a.service == b.service && a.key == b.key) {
        let mut time = Dist::default();
        values.iter().for_each(|row| time.merge(&row.self_time));
        let key = Key { all: sum(values.iter().map(spans)), time, before: of_key(question.baseline, &values[0]) };
        found.extend(values.iter().filter_map(|row| failing(row, &key)));
        found.extend(values.iter().filter_map(|row| slow(row, &key)));
    }
    found
}

// The values of the same key; rows are in order.
fn of_key<'a>(evidence: &'a Evidence, row: &AttributeRow) -> &'a [AttributeRow] {
    let order = |other: &AttributeRow| (&other.service, &other.key).cmp(&(&row.service, &row.key));
    let rows = &evidence.attributes;
    let first = rows.partition_point(|other| order(other).is_lt());
    let count = rows[first..].partition_point(|other| order(other).is_eq());
    &rows[first..first + count]
}

fn spans(row: &AttributeRow) -> (f64, f64) {
    (row.origins.spans() as f64, row.spans.spans() as f64)
}

// Errors start with this value more often than with the others, or, if there are none, than before it came.
fn failing(row: &AttributeRow, key: &Key) -> Option<Finding> {
    let (hits, total) = spans(row);
    let mut others = (key.all.0 - hits, key.all.1 - total);
    let rest = if others.1 > 0.0 { "the others" } else { "the others before" };
    let is_new = || key.before.binary_search_by(|other| other.value.cmp(&row.value)).is_err();
    if others.1 == 0.0 && is_new() {
        others = sum(key.before.iter().map(spans));
    }
    let g = g_signed(others.0, others.1, hits, total);
    let (rate, other) = (share(hits, total), share(others.0, others.1));
    let of_all = share(hits, hits + others.0);
    let strength = (rate - other).max(0.0) * of_all * strength(g.max(0.0).sqrt() - ROOT_G_NOISE, ROOT_G_HALF);
    let text = || {
        format!(
            "{} of the errors that start in {} come from {} {}: {} of its requests fail, {} of {rest}",
            percent(of_all),
            row.service,
            row.key,
            row.value,
            percent(rate),
            percent(other)
        )
    };
    (strength > 0.02).then(|| finding(row, EvidenceKind::Attribute, strength, (other, rate, Unit::Share), text()))
}

// The service's own work takes longer with this value.
fn slow(row: &AttributeRow, key: &Key) -> Option<Finding> {
    let others = key.time.without(&row.self_time);
    let strength = 0.5 * strength(shift(&others, &row.self_time) - 2.0, 2.0);
    if strength <= 0.02 {
        return None;
    }
    let median = |dist: &Dist| dist.quantile(0.5).unwrap_or_default();
    let (other, own) = (median(&others), median(&row.self_time));
    let text = format!("work with {} {} takes {}, with the others {}", row.key, row.value, time(own), time(other));
    Some(finding(row, EvidenceKind::Attribute, strength, (other, own, Unit::Time), text))
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
