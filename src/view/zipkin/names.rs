//! Names for Zipkin's menus: services, spans, other sides, tag values. They are asked anew each time,
//! so that what has just been stored is among them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use store::questions::{Bounds, Window, zipkin};

pub use store::questions::zipkin::Names;

use super::{ALL_ROWS_MAX, NAMES_NS};
use crate::{View, ViewError, ask};

/// Most names in an answer.
const NAMES_MAX: usize = 10_000;

/// Most tenants whose count of services is remembered.
const TENANTS_MAX: usize = 10_000;

/// How many services each tenant had when last asked.
#[derive(Default)]
pub(crate) struct ServiceCounts(Mutex<HashMap<String, usize>>);

impl ServiceCounts {
    fn note(&self, tenant: &str, services: usize) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= TENANTS_MAX {
            counts.clear();
        }
        counts.insert(tenant.to_owned(), services);
    }

    fn get(&self, tenant: &str) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).copied().unwrap_or(0)
    }
}

impl View {
    /// Names, in order. Those of services and spans are lower-case.
    pub async fn zipkin_names(&self, tenant: &str, names: Names<'_>) -> Result<Vec<String>, ViewError> {
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        let mut found = match Bounds::Spans.held(&ask).await? {
            None => Vec::new(),
            Some((rows, held)) => zipkin::names(&ask, names, searched(rows, held), NAMES_MAX).await?,
        };
        if !matches!(names, Names::TagValues(_)) {
            // The store's lower case is not quite Zipkin's.
            found.iter_mut().for_each(|name| *name = name.to_lowercase());
            found.retain(|name| !name.is_empty());
            found.sort_unstable();
            found.dedup();
        }
        if matches!(names, Names::Services) {
            self.zipkin_services.note(tenant, found.len());
        }
        Ok(found)
    }

    /// How many services there were when they were last asked for.
    pub fn zipkin_service_count(&self, tenant: &str) -> usize {
        self.zipkin_services.get(tenant)
    }

    /// Whether the store answers.
    pub async fn ping(&self) -> Result<(), ViewError> {
        self.store.ping().await.map_err(|error| ViewError::Unavailable(error.to_string()))
    }
}

// All, unless that is too much.
fn searched(rows: u64, held: Window) -> Option<Window> {
    (rows > ALL_ROWS_MAX).then(|| Window { from_ns: held.to_ns.saturating_sub(NAMES_NS), ..held })
}
