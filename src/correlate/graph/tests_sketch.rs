//! The sketch against exact quantiles, and its sums against order.

use proptest::prelude::*;

use super::Sketch;

fn of(durations: &[(u64, f64)]) -> Sketch {
    let mut sketch = Sketch::default();
    durations.iter().for_each(|(duration_ns, weight)| sketch.add(*duration_ns, *weight));
    sketch
}

fn durations() -> impl Strategy<Value = Vec<(u64, f64)>> {
    let duration = prop_oneof![
        Just(0u64),
        Just(u64::MAX),
        0..2_000u64,
        (0..64u32, any::<u64>()).prop_map(|(shift, bits)| bits >> shift),
    ];
    let weight = prop_oneof![Just(1.0), (1..100u32).prop_map(f64::from), Just(1.0 / 0.3)];
    prop::collection::vec((duration, weight), 1..300)
}

proptest! {
    // Scenario: durations of every magnitude from zero to the greatest, any share asked for.
    // Guarantee: within 1 % of the exact nearest rank.
    #[test]
    fn quantiles_are_near(durations in durations(), q in 0.0..=1.0f64) {
        let mut exact: Vec<u64> = durations.iter().map(|(duration_ns, _)| *duration_ns).collect();
        exact.sort_unstable();
        let rank = ((q * exact.len() as f64).ceil() as usize).clamp(1, exact.len());
        let expected = exact[rank - 1] as f64;
        let ones: Vec<(u64, f64)> = exact.iter().map(|duration_ns| (*duration_ns, 1.0)).collect();
        let got = of(&ones).quantile(q).unwrap() as f64;
        prop_assert!((got - expected).abs() <= expected * 0.01, "{got} for {expected}");
    }

    // Scenario: weighted durations, split and merged in two ways, stored and read back.
    // Guarantee: equal in every bit.
    #[test]
    fn merging_is_exact(mut durations in durations(), cut in any::<prop::sample::Index>()) {
        let whole = of(&durations);
        let (left, right) = durations.split_at(cut.index(durations.len()));
        let (mut a, mut b) = (of(left), of(right));
        let (left, right) = (a.clone(), b.clone());
        a.merge(&right);
        b.merge(&left);
        prop_assert_eq!(&a, &whole);
        prop_assert_eq!(&b, &whole);
        durations.reverse();
        prop_assert_eq!(&of(&durations), &whole);
        let (indexes, counts) = whole.buckets();
        prop_assert!(indexes.is_sorted());
        prop_assert_eq!(counts.iter().sum::<f64>(), whole.count());
        prop_assert_eq!(&Sketch::from_buckets(&indexes, &counts), &whole);
    }
}

// Scenario: nothing; only zero durations; senseless weights; stored buckets that make no sense.
// Guarantee: no quantile of nothing; zero is zero; a senseless weight is one span; nonsense is left out.
#[test]
fn edges_of_the_sketch() {
    assert_eq!(Sketch::default().quantile(0.5), None);
    assert_eq!(of(&[(0, 1.0), (0, 1.0)]).quantile(0.99), Some(0));
    assert_eq!(of(&[(5, f64::NAN), (5, -3.0), (5, 0.0), (5, f64::INFINITY)]).count(), 4.0);
    let sketch = Sketch::from_buckets(&[-4, 30_000, 7, 7, 9], &[1.0, 1.0, 2.0, 3.0, f64::NAN]);
    assert_eq!(sketch.buckets(), (vec![7], vec![5.0]));
}
