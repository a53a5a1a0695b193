//! How Hypocenter is doing, as the doors out tell it: readiness, counters, journal, store.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use access::{Budget, Code, Error};
use journal::Journal;
use serde_json::Value;
use serve::{Collected, Flushing, Freshening, Readiness, Status};
use store::Store;
use tokio::sync::watch;
use view::ingest::{Counts, Guarantee, IngestAnswer, JournalState, StoreHealth};

use crate::books::{Books, Count};
use crate::clock;
use crate::configured::Configured;
use crate::deliver::StoreState;
use crate::lanes::{Message, Payload, tell};
use crate::roll::CatchUp;
use crate::watching;
use crate::waterline::Waterline;

/// Data that waits longer than this for an insert counts as a slow store.
const SLOW_NS: i64 = 15_000_000_000;
/// How often a flush asks for open blocks to be sealed.
const CUT_EVERY: Duration = Duration::from_millis(250);
/// Longest wait of a flush for the service graph.
const ROLL_UP_WAIT_MAX: Duration = Duration::from_secs(30);

/// Whether requests are taken: the one answer behind `/ready` and the gRPC health service. ClickHouse has
/// no part in it: while it is away, requests are taken and kept.
pub(crate) struct Acceptance {
    journal: Journal<Payload>,
    /// Started, and not yet stopping.
    serving: AtomicBool,
}

impl Acceptance {
    /// Not yet serving.
    pub(crate) fn new(journal: Journal<Payload>) -> Acceptance {
        Acceptance { journal, serving: AtomicBool::new(false) }
    }

    /// Notes that the start is over, or that the end has begun.
    pub(crate) fn serve(&self, serving: bool) {
        self.serving.store(serving, Ordering::Relaxed);
    }

    /// Why requests are refused; `None` while they are taken.
    pub(crate) fn refusal(&self) -> Option<String> {
        if !self.serving.load(Ordering::Relaxed) {
            return Some("starting or stopping".into());
        }
        problem(&self.journal.usage()).map(|why| format!("new data is refused: {why}"))
    }
}

// What keeps the journal from taking frames.
fn problem(usage: &journal::Usage) -> Option<String> {
    if !usage.healthy {
        let why = usage.last_error.as_ref().map_or("its disk is nearly full".into(), |error| error.to_string());
        return Some(format!("the journal cannot be written: {why}"));
    }
    let spent =
        format!("the journal's budget of {} bytes is filled by data that is not stored yet", usage.budget_bytes);
    usage.spent.then_some(spent)
}

fn refusing(reason: &str) -> String {
    format!(
        "ClickHouse answers and refuses inserts; this needs a person, meanwhile the journal keeps the data: {reason}"
    )
}

/// The root's implementation of [`serve::Status`].
pub(crate) struct Health {
    pub(crate) journal: Journal<Payload>,
    pub(crate) waterline: Arc<Waterline>,
    pub(crate) books: Arc<Books>,
    pub(crate) budget: Budget,
    pub(crate) store_state: watch::Receiver<StoreState>,
    pub(crate) store: Store,
    pub(crate) lanes: Sender<Message>,
    /// The roller, to be hurried.
    pub(crate) catch_up: CatchUp,
    /// Whether requests are taken.
    pub(crate) acceptance: Arc<Acceptance>,
    /// What the doors in count.
    pub(crate) doors: OnceLock<receive::Metrics>,
    /// Where the ports ended up.
    pub(crate) addresses: OnceLock<Vec<(&'static str, SocketAddr)>>,
    /// Whether they speak TLS.
    pub(crate) tls: bool,
    /// Rules and silences of the configuration.
    pub(crate) configured: Configured,
}

impl Status for Health {
    fn zipkin_collected(&self) -> [Collected; 2] {
        let tallies = self.doors.get().map(receive::Metrics::zipkin_tally).unwrap_or_default();
        tallies.map(|tally| Collected {
            messages: tally.messages,
            messages_dropped: tally.messages_dropped,
            bytes: tally.bytes,
            spans: tally.spans,
            spans_dropped: tally.spans_dropped,
        })
    }

    fn now_ns(&self) -> i64 {
        clock::now_ns()
    }

    fn ingest(&self) -> IngestAnswer {
        let usage = self.journal.usage();
        let accepted = self.books.total(Count::Accepted);
        let dead = self.books.total(Count::DeadLetters);
        let pending = self.waterline.pending_items();
        let stored = std::array::from_fn(|at| accepted[at].saturating_sub(pending[at]).saturating_sub(dead[at]));
        let addresses = self.addresses.get().into_iter().flatten();
        IngestAnswer {
            accepted: counts(accepted),
            stored: counts(stored),
            refused: counts(self.books.total(Count::Refused)),
            rejected: counts(self.books.total(Count::Rejected)),
            dead_letters: counts(dead),
            duplicates: counts(self.books.total(Count::Repeated)),
            journal: JournalState {
                bytes: usage.bytes,
                bytes_max: Some(usage.budget_bytes),
                oldest_unconfirmed_ns: usage.oldest_unreleased_ns.map(Into::into),
                problem: problem(&usage),
            },
            store: self.store_health(usage.oldest_unreleased_ns),
            addresses: addresses.map(|(name, address)| ((*name).to_owned(), address.to_string())).collect(),
            tls: self.tls,
        }
    }

    fn readiness(&self) -> Readiness {
        if let Some(why) = self.acceptance.refusal() {
            return Readiness::NotReady(why);
        }
        match &*self.store_state.borrow() {
            StoreState::Ok => Readiness::Ready,
            StoreState::Down(reason) => {
                Readiness::Degraded(format!("ClickHouse does not take inserts, the journal keeps the data: {reason}"))
            }
            StoreState::Refusing(reason) => Readiness::Degraded(refusing(reason)),
        }
    }

    fn check_wish(&self, kind: &str, body: &str) -> Result<(String, String), String> {
        watching::check_wish(kind, body)
    }

    fn configured(&self, kind: &str) -> Vec<Value> {
        self.configured.values(kind)
    }

    fn freshen(&self) -> Freshening<'_> {
        Box::pin(self.catch_up.freshen())
    }

    fn flush(&self, timeout: Duration) -> Flushing<'_> {
        Box::pin(async move {
            let began = Instant::now();
            self.books.write(&self.journal, &self.budget, clock::now_ns()).await;
            let last = self.journal.usage().next_lsn.saturating_sub(1);
            loop {
                tell(&self.lanes, Message::Cut);
                if self.waterline.reach(last, CUT_EVERY.min(timeout)).await {
                    break;
                }
                if began.elapsed() >= timeout {
                    return Err(Error::new(
                        Code::DeadlineExceeded,
                        "not everything was stored in time; it is kept in the journal",
                    ));
                }
            }
            // Data of thousands of different minutes takes its time; what is stored must not look lost for it.
            let until = timeout.min(began.elapsed() + ROLL_UP_WAIT_MAX);
            loop {
                match tokio::time::timeout(until.saturating_sub(began.elapsed()), self.catch_up.wait()).await {
                    Ok(true) => return Ok(true),
                    _ if began.elapsed() >= until => return Ok(false),
                    _ => tokio::time::sleep(CUT_EVERY).await,
                }
            }
        })
    }
}

impl Health {
    /// Age of the oldest accepted data that is not confirmed, seconds; the progress that alarms watch.
    pub(crate) fn oldest_unconfirmed_s(&self) -> f64 {
        let oldest_ns = self.journal.usage().oldest_unreleased_ns;
        oldest_ns.map_or(0.0, |oldest_ns| (clock::now_ns() - oldest_ns).max(0) as f64 / 1e9)
    }

    fn store_health(&self, oldest_ns: Option<i64>) -> view::ingest::StoreState {
        let weaker: Vec<String> = self
            .store
            .guarantees()
            .into_iter()
            .filter_map(|(table, guarantee)| match guarantee {
                store::Guarantee::ExactlyOnce => None,
                store::Guarantee::AtLeastOnce { reason } => Some(format!("{}: {reason}", table.def().name)),
            })
            .collect();
        let guarantee = if weaker.is_empty() { Guarantee::ExactlyOnce } else { Guarantee::AtLeastOnce };
        let waiting = oldest_ns.is_some_and(|oldest_ns| clock::now_ns() - oldest_ns > SLOW_NS);
        let (state, message) = match &*self.store_state.borrow() {
            StoreState::Down(reason) => (StoreHealth::Down, Some(reason.clone())),
            StoreState::Refusing(reason) => (StoreHealth::Down, Some(refusing(reason))),
            StoreState::Ok if waiting => (StoreHealth::Slow, Some("data waits longer than 15 s for its insert".into())),
            StoreState::Ok => (StoreHealth::Ok, (!weaker.is_empty()).then(|| weaker.join("; "))),
        };
        view::ingest::StoreState { state, guarantee, message }
    }
}

fn counts([traces, logs, metrics]: [u64; 3]) -> Counts {
    Counts { traces, logs, metrics }
}
