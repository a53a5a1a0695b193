//! Times of items: which of them a row stands at, and what becomes of absent and nonsense ones.
//! [`model::Spans::sent_start`] and its sisters read back what was sent.

use model::mark;

use super::shared::Bounds;

/// Where a row stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stand {
    /// The time of the row.
    pub(super) time: i64,
    /// The time as sent, where `time` is not it; else 0.
    pub(super) original: u64,
    /// Bits of [`mark`].
    pub(super) marks: u32,
}

/// Places a row whose sender says `sent` and, failing that, `else_sent` (0 is absent).
#[inline]
pub(super) fn place(sent: u64, else_sent: u64, bounds: &Bounds) -> Stand {
    match plausible(sent, bounds) {
        Some(time) => Stand { time, original: 0, marks: 0 },
        None => place_elsewhere(sent, else_sent, bounds),
    }
}

#[cold]
fn place_elsewhere(sent: u64, else_sent: u64, bounds: &Bounds) -> Stand {
    if sent == 0 {
        let time = plausible(else_sent, bounds).unwrap_or(bounds.received_ns);
        return Stand { time, original: 0, marks: mark::NO_TIME };
    }
    let clamped = if i64::try_from(sent).is_err() { mark::CLAMPED } else { 0 };
    Stand { time: bounds.received_ns, original: sent, marks: mark::QUARANTINED | clamped }
}

#[inline]
fn plausible(sent: u64, bounds: &Bounds) -> Option<i64> {
    let time = i64::try_from(sent).ok()?;
    let latest = bounds.received_ns.saturating_add(bounds.limits.time_ahead_max_ns);
    (time != 0 && time >= bounds.limits.time_min_ns && time <= latest).then_some(time)
}

/// A time that places nothing (an event's, an exemplar's): kept modulo 2^64, so that a cast gives
/// it back; [`mark::CLAMPED`] says that it does not fit.
#[inline]
pub(super) fn aside(sent: u64, marks: &mut u32) -> i64 {
    if sent > i64::MAX as u64 {
        *marks |= mark::CLAMPED;
    }
    sent as i64
}
