//! How many files and sockets this process may have open. The usual soft limit (1,024) is meant for
//! programs of the last century that use `select`; the hard one is what the administrator grants.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// More is never needed, and some systems' hard limit is beyond counting.
const WANTED: u64 = 1 << 20;
/// Kept free for the journal, ClickHouse and the program itself.
const RESERVED: u64 = 256;

/// Raises the soft limit to the hard one; gives what is in force. The engine's process inherits it.
pub(crate) fn raise() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let soft = now.current.unwrap_or(u64::MAX);
    let wanted = now.maximum.unwrap_or(u64::MAX).min(WANTED);
    if soft >= wanted {
        return soft;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            warn!(%error, soft, "cannot raise the limit of open files");
            soft
        }
    }
}

/// Connections that one of `ports` ports may hold under a limit of open files, at most `wanted`.
pub(crate) fn connections(limit: u64, ports: usize, wanted: usize) -> usize {
    let each = limit.saturating_sub(RESERVED) / ports.max(1) as u64;
    wanted.min(usize::try_from(each).unwrap_or(usize::MAX)).max(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: the limit is raised twice; limits from tiny to endless are shared among four ports.
    // Guarantee: the soft limit is the hard one (or our need); ports never promise more than there is.
    #[test]
    fn limits_are_raised_and_shared() {
        let limit = raise();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current.unwrap_or(u64::MAX), limit);
        assert!(limit >= now.maximum.unwrap_or(u64::MAX).min(WANTED));
        assert_eq!(raise(), limit);
        let table = [(0, 16), (300, 16), (1024, 192), (20_000, 4096), (u64::MAX, 4096)];
        assert_eq!(table.map(|(limit, _)| connections(limit, 4, 4096)), table.map(|(_, expected)| expected));
    }
}
