//! Cursors: where a page ended, as an opaque word that goes through URLs unharmed. It holds the sort
//! key, what tells equal keys apart, and the snapshot, so that paging is stable under ingest.

use store::questions::{logs, traces};

/// A cursor that this server did not give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this server gave for this list")]
pub(crate) struct CursorError;

/// Writes the cursor of a trace list.
pub(crate) fn of_traces(end: &traces::PageEnd) -> String {
    format!("t1.{}.{}.{}", end.key_ns, end.trace_id, end.snapshot_ns)
}

/// Reads the cursor of a trace list.
pub(crate) fn to_traces(text: &str) -> Result<traces::PageEnd, CursorError> {
    let [key_ns, trace_id, snapshot_ns] = parts(text, "t1")?;
    let hex = trace_id.len() <= 32 && trace_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex {
        return Err(CursorError);
    }
    Ok(traces::PageEnd { key_ns: number(key_ns)?, trace_id: trace_id.to_owned(), snapshot_ns: number(snapshot_ns)? })
}

/// Writes the cursor of a list of records in time order; `kind` tells lists apart.
pub(crate) fn of_times(kind: &str, end: &logs::PageEnd) -> String {
    format!("{kind}.{}.{}.{}", end.time_ns, end.given, end.snapshot_ns)
}

/// Reads the cursor of a list of records in time order.
pub(crate) fn to_times(kind: &str, text: &str) -> Result<logs::PageEnd, CursorError> {
    let [time_ns, given, snapshot_ns] = parts(text, kind)?;
    let given: u64 = given.parse().map_err(|_| CursorError)?;
    Ok(logs::PageEnd { time_ns: number(time_ns)?, given, snapshot_ns: number(snapshot_ns)? })
}

/// Kind of a log cursor, newest first.
pub(crate) const LOGS_NEWEST: &str = "ln1";
/// Kind of a log cursor, oldest first.
pub(crate) const LOGS_OLDEST: &str = "lo1";
/// Kind of a ledger cursor.
pub(crate) const LEDGER: &str = "e1";

fn parts<'a>(text: &'a str, kind: &str) -> Result<[&'a str; 3], CursorError> {
    let rest = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.')).ok_or(CursorError)?;
    let mut parts = rest.split('.');
    let found = [parts.next(), parts.next(), parts.next()].map(|part| part.ok_or(CursorError));
    let [a, b, c] = found;
    if parts.next().is_some() { Err(CursorError) } else { Ok([a?, b?, c?]) }
}

/// An instant that a `DateTime64(9)` can be compared with.
fn number(text: &str) -> Result<i64, CursorError> {
    let all = store::questions::Window::ALL;
    text.parse().ok().filter(|ns| (all.from_ns..=all.to_ns).contains(ns)).ok_or(CursorError)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: cursors written and read back; foreign, cut and changed ones.
    // Guarantee: ours come back whole; anything else is refused, never half understood.
    #[test]
    fn cursors() {
        let end = traces::PageEnd { key_ns: 17, trace_id: "ab".into(), snapshot_ns: 99 };
        assert_eq!(to_traces(&of_traces(&end)), Ok(end));
        let end = logs::PageEnd { time_ns: 17, given: 3, snapshot_ns: 99 };
        assert_eq!(to_times(LOGS_NEWEST, &of_times(LOGS_NEWEST, &end)), Ok(end.clone()));
        assert!(to_times(LOGS_OLDEST, &of_times(LOGS_NEWEST, &end)).is_err());
        for bad in [
            "",
            "t1",
            "t1.1.ab",
            "t1.1.ab.2.3",
            "t1.x.ab.2",
            "t1.1.'.2",
            "t1.1.ab.99999999999999999999",
            "t1.9223372036854775807.ab.2",
        ] {
            assert!(to_traces(bad).is_err(), "{bad}");
        }
    }
}
