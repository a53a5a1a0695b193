//! How Hypocenter is doing, as the doors out tell it: readiness, counters, journal, store.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use journal::Journal;
use store::{Guarantee, Store};
use tokio::sync::watch;

use crate::books::{Books, Count};
use crate::deliver::StoreState;
use crate::lanes::{Message, Payload, tell};
use crate::waterline::Waterline;

/// The root's implementation of [`serve::Status`].
pub(crate) struct Health {
    journal: Journal<Payload>,
    waterline: Arc<Waterline>,
    books: Arc<Books>,
    store_state: watch::Receiver<StoreState>,
    store: Store,
    lanes: Sender<Message>,
    serving: AtomicBool,
    addresses: OnceLock<Vec<(&'static str, SocketAddr)>>,
}

impl Health {
    /// Looks at the stations of the path.
    pub(crate) fn new(
        journal: Journal<Payload>,
        waterline: Arc<Waterline>,
        books: Arc<Books>,
        store_state: watch::Receiver<StoreState>,
        store: Store,
        lanes: Sender<Message>,
    ) -> Health {
        let (serving, addresses) = (AtomicBool::new(false), OnceLock::new());
        Health { journal, waterline, books, store_state, store, lanes, serving, addresses }
    }

    /// Whether requests are taken.
    pub(crate) fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Relaxed);
    }

    /// Where the ports ended up.
    pub(crate) fn set_addresses(&self, addresses: &[(&'static str, SocketAddr)]) {
        let _ = self.addresses.set(addresses.to_vec());
    }
}
