//! The statistics: all robust, all defined for no data, none ever infinite or not a number.

use model::evidence::Dist;

/// How much durations of one kind vary between calls, on a logarithmic scale, before anything is known:
/// half as long or twice as long is nothing unusual.
const SCALE_PRIOR: f64 = 0.5;
/// What that prior weighs, in calls.
const PRIOR_CALLS: f64 = 5.0;
/// How much durations drift between windows without any fault (load, caches, neighbours), on the same scale.
const DRIFT: f64 = 0.4;
/// One call counts at most so much, however slow: a single stuck call is no trend.
const Z_MAX: f64 = 8.0;
/// With so many calls half of what they say is believed.
const CALLS_HALF: f64 = 3.0;

/// How far durations of the fault window lie above the baseline's, in units of the baseline's own variation
/// per call: the mean of every call's robust logarithmic z, clipped, less what the baseline itself shows, and
/// shrunk where calls are few. 0 where either has none; negative when faster.
pub(crate) fn shift(baseline: &Dist, fault: &Dist) -> f64 {
    let (calls_b, calls_f) = (baseline.count().spans() as f64, fault.count().spans() as f64);
    let Some(median) = baseline.quantile(0.5).filter(|_| calls_f > 0.0) else { return 0.0 };
    let center = median.ln();
    let mad = median_distance(baseline, center) * 1.4826;
    let variance = (calls_b * mad * mad + PRIOR_CALLS * SCALE_PRIOR * SCALE_PRIOR) / (calls_b + PRIOR_CALLS);
    let scale = (variance + DRIFT * DRIFT).sqrt();
    let mean = |dist: &Dist| {
        let z = |value: f64| ((value.ln() - center) / scale).clamp(-Z_MAX, Z_MAX);
        let (sum, total) = dist.values().fold((0.0, 0.0), |(sum, total), (value, w)| (sum + z(value) * w, total + w));
        if total > 0.0 { sum / total } else { 0.0 }
    };
    (mean(fault) - mean(baseline)) * trust(calls_b) * trust(calls_f)
}

/// The share of what so many calls say that is believed.
pub(crate) fn trust(calls: f64) -> f64 {
    calls.max(0.0) / (calls.max(0.0) + CALLS_HALF)
}

fn median_distance(dist: &Dist, center: f64) -> f64 {
    let mut distances: Vec<(f64, f64)> = dist.values().map(|(value, w)| ((value.ln() - center).abs(), w)).collect();
    distances.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half: f64 = distances.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut seen = 0.0;
    let found = distances.iter().find(|(_, weight)| {
        seen += weight;
        seen >= half
    });
    found.map_or(0.0, |(distance, _)| *distance)
}

/// Time beyond the baseline's median, summed over calls, per call of the window: nanoseconds.
pub(crate) fn excess_per_call(baseline: &Dist, of: &Dist) -> f64 {
    let median = baseline.quantile(0.5).unwrap_or_default();
    let (sum, total) =
        of.values().fold((0.0, 0.0), |(sum, total), (value, w)| (sum + (value - median).max(0.0) * w, total + w));
    if total > 0.0 { sum / total } else { 0.0 }
}

/// G of one cell of a two-rows table: how surely `hits` of `total` differ between the windows. Signed:
/// positive when the fault window has more. (Log-likelihood ratio, about z squared.)
pub(crate) fn g_signed(hits_b: f64, total_b: f64, hits_f: f64, total_f: f64) -> f64 {
    let (hits, total) = (hits_b + hits_f, total_b + total_f);
    if total_b <= 0.0 || total_f <= 0.0 || hits <= 0.0 || hits >= total {
        return 0.0;
    }
    let term = |seen: f64, expected: f64| if seen > 0.0 { seen * (seen / expected).ln() } else { 0.0 };
    let rate = hits / total;
    let g = term(hits_b, total_b * rate)
        + term(hits_f, total_f * rate)
        + term(total_b - hits_b, total_b * (1.0 - rate))
        + term(total_f - hits_f, total_f * (1.0 - rate));
    let g = (2.0 * g).max(0.0);
    if hits_f / total_f >= hits_b / total_b { g } else { -g }
}

/// A z as strength from 0 to 1: a half at `half`.
pub(crate) fn strength(z: f64, half: f64) -> f64 {
    let z = z.max(0.0);
    if z.is_finite() { z / (z + half) } else { 1.0 }
}

/// A share; 0 of nothing.
pub(crate) fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 }
}
