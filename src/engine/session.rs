//! HTTP sessions: engine connections kept between requests, for temporary tables and SET.
//!
//! Bounded in number and in time. A session runs one statement at a time; a second is refused as
//! in ClickHouse. Only our own user has sessions: the reader may change nothing, so a session
//! would hold nothing. Knows connections, not statements.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::exception::Failure;
use crate::ffi::Connection;
use crate::request::SessionAsk;

/// All sessions.
pub(crate) struct Sessions {
    by_id: Mutex<HashMap<String, Entry>>,
    count_max: usize,
}

enum Entry {
    InUse,
    Idle { kept: Kept, until: Instant },
}

/// A session's connection and the name by which its statements can be killed.
pub(crate) struct Kept {
    /// The connection.
    pub connection: Connection,
    /// `log_comment` of all its statements.
    pub mark: String,
}

/// A session taken for one request. Dropping it without [`Taken::keep`] ends the session.
pub(crate) struct Taken {
    sessions: Arc<Sessions>,
    ask: SessionAsk,
    /// The connection, when the session existed.
    pub kept: Option<Kept>,
    returned: bool,
}

impl Sessions {
    /// At most `count_max` sessions at a time.
    pub(crate) fn new(count_max: usize) -> Arc<Self> {
        Arc::new(Self { by_id: Mutex::new(HashMap::new()), count_max })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.by_id.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes the session out for one request.
    pub(crate) fn take(self: &Arc<Self>, ask: &SessionAsk) -> Result<Taken, Failure> {
        let mut by_id = self.lock();
        let kept = match by_id.remove(&ask.id) {
            Some(Entry::InUse) => {
                by_id.insert(ask.id.clone(), Entry::InUse);
                return Err(Failure::new(
                    373,
                    "SESSION_IS_LOCKED",
                    format!("Session {} is locked by a concurrent client", ask.id),
                ));
            }
            Some(Entry::Idle { kept, until }) if until > Instant::now() => Some(kept),
            // An expired connection is closed here, outside no lock but our own.
            Some(Entry::Idle { .. }) | None => None,
        };
        if kept.is_none() && ask.must_exist {
            return Err(Failure::new(372, "SESSION_NOT_FOUND", format!("Session {} not found", ask.id)));
        }
        if by_id.len() >= self.count_max && !evict_oldest(&mut by_id) {
            return Err(Failure::new(
                202,
                "TOO_MANY_SIMULTANEOUS_QUERIES",
                format!("more than {} sessions are in use", self.count_max),
            ));
        }
        by_id.insert(ask.id.clone(), Entry::InUse);
        Ok(Taken { sessions: self.clone(), ask: ask.clone(), kept, returned: false })
    }

    /// Closes sessions whose time is over.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        let expired: Vec<Entry> = {
            let mut by_id = self.lock();
            by_id
                .extract_if(|_, entry| matches!(entry, Entry::Idle { until, .. } if *until <= now))
                .map(|(_, entry)| entry)
                .collect()
        };
        drop(expired);
    }

    /// Closes all idle sessions (at the end of the process).
    pub(crate) fn clear(&self) {
        self.lock().retain(|_, entry| matches!(entry, Entry::InUse));
    }
}

fn evict_oldest(by_id: &mut HashMap<String, Entry>) -> bool {
    let oldest = by_id
        .iter()
        .filter_map(|(id, entry)| match entry {
            Entry::Idle { until, .. } => Some((*until, id.clone())),
            Entry::InUse => None,
        })
        .min();
    oldest.is_some_and(|(_, id)| by_id.remove(&id).is_some())
}

impl Taken {
    /// Puts the session back for its next request.
    pub(crate) fn keep(mut self, kept: Kept) {
        self.returned = true;
        let until = Instant::now() + Duration::from_secs(self.ask.timeout_s);
        self.sessions.lock().insert(self.ask.id.clone(), Entry::Idle { kept, until });
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.returned {
            self.sessions.lock().remove(&self.ask.id);
        }
    }
}
