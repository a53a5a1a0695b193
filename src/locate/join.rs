//! Two sorted lists of rows, side by side.

use std::cmp::Ordering;

/// Pairs rows of the baseline and the fault window by key; both are sorted by it, each key once.
pub(crate) fn join<'a, R>(
    baseline: &'a [R],
    fault: &'a [R],
    order: impl Fn(&R, &R) -> Ordering,
) -> Vec<(Option<&'a R>, Option<&'a R>)> {
    let (mut left, mut right) = (baseline.iter().peekable(), fault.iter().peekable());
    let mut pairs = Vec::with_capacity(baseline.len().max(fault.len()));
    loop {
        let first = match (left.peek(), right.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => order(a, b),
        };
        pairs.push(match first {
            Ordering::Less => (left.next(), None),
            Ordering::Greater => (None, right.next()),
            Ordering::Equal => (left.next(), right.next()),
        });
    }
}
