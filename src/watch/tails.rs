//! How unlikely a count is, given what was counted before. Predictive distributions with a prior: a short history
//! knows little, and says so. The unit is the *decade*: -log10 of the probability of this much or more (or less).

/// Decades of `seen` or more in `slots`, where `before` were counted in `slots_before`.
pub(crate) fn more(seen: f64, slots: f64, before: f64, slots_before: f64) -> f64 {
    // Gamma prior, Poisson counts: negative binomial.
    let (shape, stays) = (before + 0.5, slots_before / (slots_before + slots));
    let next = (seen + shape) / (seen + 1.0) * (1.0 - stays);
    tail(ln_negative_binomial(seen, shape, stays), next)
}

/// Decades of `seen` or less in `slots`, where `before` were counted in `slots_before`.
pub(crate) fn less(seen: f64, slots: f64, before: f64, slots_before: f64) -> f64 {
    let (shape, stays) = (before + 0.5, slots_before / (slots_before + slots));
    let next = if seen < 1.0 { 0.0 } else { seen / ((seen - 1.0 + shape) * (1.0 - stays)) };
    tail(ln_negative_binomial(seen, shape, stays), next)
}

/// Decades of `seen` or more among `of`, where it was `yes` to `no` before (priors included, both above 0).
pub(crate) fn share(seen: f64, of: f64, yes: f64, no: f64) -> f64 {
    let rest = (of - seen).max(0.0);
    let ln_beta = |a: f64, b: f64| ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    let choose = ln_gamma(of + 1.0) - ln_gamma(seen + 1.0) - ln_gamma(rest + 1.0);
    let next = rest * (seen + yes) / ((seen + 1.0) * (rest - 1.0 + no).max(1e-9));
    tail(choose + ln_beta(seen + yes, rest + no) - ln_beta(yes, no), next)
}

// The first term of a tail and the share of it that the second has; further ones shrink at least as fast.
fn tail(ln_first: f64, next: f64) -> f64 {
    if !ln_first.is_finite() || next.is_nan() || next >= 1.0 {
        return 0.0; // not in the tail
    }
    (-(ln_first - (1.0 - next).ln()) / std::f64::consts::LN_10).max(0.0)
}

fn ln_negative_binomial(seen: f64, shape: f64, stays: f64) -> f64 {
    ln_gamma(seen + shape) - ln_gamma(shape) - ln_gamma(seen + 1.0)
        + shape * stays.ln()
        + seen * (1.0 - stays).max(1e-300).ln()
}

// Stirling's series, after stepping up to where it is exact to ten digits. For x > 0.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x.max(1e-9), 0.0);
    while x < 8.0 {
        below += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.918_938_533_204_672_8 + series - below
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: factorials, and a half.
    // Guarantee: ln Γ is right to eight digits.
    #[test]
    fn gamma_is_right() {
        for (x, wanted) in
            [(1.0, 0.0), (2.0, 0.0), (5.0, 24f64.ln()), (11.0, 3_628_800f64.ln()), (0.5, 0.572_364_942_9)]
        {
            assert!((ln_gamma(x) - wanted).abs() < 1e-8, "{x}: {}", ln_gamma(x));
        }
    }

    // Scenario: counts as usual, and ever further from it, after short and long histories.
    // Guarantee: the usual is no surprise; what is further off is more of one, and more so the longer the history.
    #[test]
    fn surprise_grows_with_distance_and_history() {
        assert!(more(10.0, 6.0, 100.0, 60.0) < 0.5 && less(10.0, 6.0, 100.0, 60.0) < 0.5);
        assert!(share(3.0, 100.0, 30.5, 970.5) < 0.6);
        let mut last = 0.0;
        for seen in [20.0, 40.0, 80.0] {
            let now = more(seen, 6.0, 100.0, 60.0);
            assert!(now > last && more(seen, 6.0, 10.0, 6.0) < now, "{seen}: {now}");
            last = now;
        }
        // Poisson: e^-16.5 is 7.2 decades; a history of 48 slots is nearly as sure.
        let silence = less(0.0, 3.0, 264.0, 48.0);
        assert!((6.5..7.2).contains(&silence), "{silence}");
        assert!(share(6.0, 27.0, 0.5, 300.0) > 5.0);
    }

    // Scenario: all tails against sums of their terms.
    // Guarantee: the bound is within a tenth of a decade of the truth where it matters.
    #[test]
    fn tails_are_close_to_sums() {
        for seen in [12.0, 20.0, 45.0] {
            let terms = (0..2_000).map(|more| ln_negative_binomial(seen + f64::from(more), 30.5, 60.0 / 66.0).exp());
            let exact = -terms.sum::<f64>().log10();
            let told = more(seen, 6.0, 30.0, 60.0);
            assert!((told - exact).abs() < 0.1, "{seen}: {told} {exact}");
        }
    }
}
