//! The intake: a received request becomes columns and a journal frame, and the sender is answered
//! when the frame is durable. Here, and nowhere else, a client is told that its data is kept.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use access::{Budget, Code, Error, Permit};
use bytes::Bytes;
use journal::{AppendError, Frame, FrameHeader, Journal};
use model::{Account, Batch, Decoded, Envelope, Protocol, Reason, Signal, mark, time};
use receive::{Arrival, Intake, Receipt};
use tokio::sync::{Semaphore, watch};
use twox_hash::XxHash3_128;
use wire::encoding::Encoding;

use crate::books::Books;
use crate::decode::{self, Refused, Rules};
use crate::lanes::{Message, Payload, tell};
use crate::status::Acceptance;
use crate::waterline::Waterline;

/// Bodies above this are decoded on a blocking thread: below, it takes less than a millisecond.
const INLINE_BYTES_MAX: usize = 512 * 1024;
/// Longest wait for storage when the sender asked to wait for it.
const WAIT_STORED_MAX: Duration = Duration::from_secs(60);
/// What a sender that was refused for lack of room is asked to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The root's implementation of [`receive::Intake`].
#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

struct Inner {
    journal: Journal<Payload>,
    lanes: Sender<Message>,
    waterline: Arc<Waterline>,
    books: Arc<Books>,
    budget: Budget,
    rules: Rules,
    /// The rules as frame headers keep them.
    limits: Bytes,
    /// What an answer promises.
    durability: crate::config::PerReceiver,
    /// Whether requests are taken, as health checks hear it.
    acceptance: Arc<Acceptance>,
    resends: Option<Resends>,
    quota: Mutex<Quota>,
    hash_key: u64,
    /// Turns of large bodies on the blocking threads.
    large: Semaphore,
    /// Told when a sender has waited for its data to be stored.
    stored: Box<dyn Fn() + Send + Sync>,
}

impl Door {
    /// An intake that appends to `journal`.
    #[allow(clippy::too_many_arguments)] // The stations that the intake stands between, each once.
    pub(crate) fn new(
        journal: Journal<Payload>,
        lanes: Sender<Message>,
        waterline: Arc<Waterline>,
        books: Arc<Books>,
        budget: Budget,
        acceptance: Arc<Acceptance>,
        ingest: &crate::config::Ingest,
        recovery: &journal::Recovery,
        stored: Box<dyn Fn() + Send + Sync>,
    ) -> Door {
        let rules = Rules { limits: ingest.limits, body_bytes_max: ingest.body_bytes_max };
        let resends = (!ingest.resend_window.is_zero())
            .then(|| Resends::new(ingest.resend_window, &recovery.recent, budget.open()));
        let quota = Mutex::new(Quota { days: HashMap::new(), per_hour_max: ingest.new_days_per_hour_max });
        Door(Arc::new(Inner {
            journal,
            lanes,
            waterline,
            books,
            budget,
            rules,
            limits: rules.to_bytes(),
            durability: ingest.durability,
            acceptance,
            resends,
            quota,
            hash_key: recovery.hash_key,
            large: Semaphore::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get).max(2)),
            stored,
        }))
    }
}

impl Intake for Door {
    async fn accept(&self, arrival: Arrival) -> Result<Receipt, Error> {
        let door = self.clone();
        // A task of its own: when the client goes away in the middle, the frame may still become
        // durable, and then its repeat must find it.
        let kept = tokio::spawn(async move { door.settle(arrival).await }).await;
        kept.unwrap_or_else(|_| Err(Error::new(Code::Internal, "the request could not be processed")))
    }

    fn budget(&self) -> &Budget {
        &self.0.budget
    }

    fn now_ns(&self) -> i64 {
        crate::clock::now_ns()
    }

    fn is_ready(&self) -> bool {
        self.0.acceptance.refusal().is_none()
    }

    fn note(&self, envelope: &Envelope, signal: Signal, reason: Reason, items: u64, example: String) {
        self.0.books.note(envelope, signal, reason, items, example);
    }
}

impl Door {
    async fn settle(&self, arrival: Arrival) -> Result<Receipt, Error> {
        let wait_stored = arrival.wait_stored;
        let receipt = self.keep_once(arrival).await?;
        // After the books are closed on the request: it is kept, whether or not it is stored in time.
        if wait_stored {
            let last = self.0.journal.usage().next_lsn.saturating_sub(1);
            tell(&self.0.lanes, Message::Cut);
            if !self.0.waterline.reach(last, WAIT_STORED_MAX).await {
                let why = "the data is kept, but was not stored within the time a sender may wait";
                return Err(Error::new(Code::DeadlineExceeded, why));
            }
            (self.0.stored)();
        }
        Ok(receipt)
    }

    async fn keep_once(&self, arrival: Arrival) -> Result<Receipt, Error> {
        let Some(resends) = self.0.resends.as_ref().filter(|_| may_be_resent(&arrival)) else {
            return self.keep(arrival, 0).await.map(|(receipt, _)| receipt);
        };
        let hash = self.hash(&arrival);
        loop {
            match resends.look(hash, Instant::now()) {
                Seen::New(entry) => {
                    let outcome = self.keep(arrival, hash).await;
                    // Rows without a time of their own cannot be told from new ones.
                    let account =
                        outcome.as_ref().ok().and_then(|(receipt, timed)| timed.then(|| receipt.account.clone()));
                    entry.finish(account);
                    return outcome.map(|(receipt, _)| receipt);
                }
                Seen::Done(account) => return self.repeated(arrival, account).await,
                // The original is on its way: its outcome decides about this one.
                Seen::Pending(mut done) => {
                    let _ = done.wait_for(|done| *done).await;
                }
            }
        }
    }

    // Decode, append, wait for the disk. Also says whether every row had a time of its own.
    async fn keep(&self, arrival: Arrival, hash: u128) -> Result<(Receipt, bool), Error> {
        let Arrival { protocol, encoding, body, plain, envelope, permit, wait_stored: _ } = arrival;
        let plain_bytes = if encoding == Encoding::Identity { 0 } else { plain.len() };
        let (Decoded { batch, account }, days, mut permit) =
            self.decode(protocol, plain, envelope.clone(), permit, true).await?;
        permit.shrink(plain_bytes);
        let items = batch.items();
        let timed = has_own_times(&batch);
        if items == [0; 3] {
            self.0.books.count(&envelope, &account);
            return Ok((Receipt { account, items, repeated: false }, timed));
        }
        let header = FrameHeader {
            protocol: protocol as u8,
            encoding: encoding.number(),
            flags: 0,
            durability: self.0.durability.of(protocol),
            rule: wire::RULE,
            tenant: (&*envelope.tenant).into(),
            sender: (&*envelope.sender).into(),
            received_ns: envelope.received_ns,
            body_hash: if timed { hash } else { 0 },
            items,
            decisions: decode::days_to_bytes(&days).into(),
            limits: self.0.limits.clone(),
            settles: None,
        };
        let appended = match self.0.journal.append(Frame { header, body }, Payload { batch, permit }) {
            Ok(ticket) => ticket.await,
            Err(error) => Err(error),
        };
        appended.map_err(|error| match error {
            AppendError::TooLarge { .. } => Error::new(Code::TooLarge, error.to_string()),
            error => self.overloaded(&envelope, protocol, items, &error.to_string()),
        })?;
        self.0.books.count(&envelope, &account);
        Ok((Receipt { account, items, repeated: false }, timed))
    }

    // Also gives the days that may not be opened, which only `new` requests ask for.
    async fn decode(
        &self,
        protocol: Protocol,
        plain: Bytes,
        envelope: Envelope,
        mut permit: Permit,
        new: bool,
    ) -> Result<(Decoded, Vec<i32>, Permit), Error> {
        let inner = Arc::clone(&self.0);
        let large = plain.len() > INLINE_BYTES_MAX;
        let of = envelope.clone();
        let decode = move || {
            let mut days = Vec::new();
            let decide = |batch: &Batch| {
                if new {
                    days = inner.quota.lock().unwrap_or_else(PoisonError::into_inner).refuse(batch);
                }
                days.clone()
            };
            decode::arrival(protocol, &plain, &of, &inner.rules, &inner.budget, &mut permit, decide)
                .map(|decoded| (decoded, days, permit))
        };
        let decoded = if large {
            // More at once would only hold more memory: the processors are busy with these.
            let _turn = self.0.large.acquire().await;
            tokio::task::spawn_blocking(decode)
                .await
                .map_err(|_| Error::new(Code::Internal, "the request could not be decoded"))?
        } else {
            decode()
        };
        decoded.map_err(|refused| match refused {
            Refused::Malformed(error) => Error::new(Code::InvalidArgument, error.to_string()),
            Refused::TooLarge => Error::new(Code::TooLarge, refused.to_string()),
            Refused::NoRoom => self.overloaded(&envelope, protocol, [0; 3], &refused.to_string()),
        })
    }

    async fn repeated(&self, arrival: Arrival, account: Option<Account>) -> Result<Receipt, Error> {
        let Arrival { protocol, plain, envelope, permit, .. } = arrival;
        let (decoded, ..) = self.decode(protocol, plain, envelope.clone(), permit, false).await?;
        // Known from before a restart only: decoding is pure, so it gives the same account again.
        let account = account.unwrap_or(decoded.account);
        self.0.books.repeated(&envelope, protocol.signal(), decoded.batch.items());
        Ok(Receipt { account, items: [0; 3], repeated: true })
    }

    fn overloaded(&self, envelope: &Envelope, protocol: Protocol, items: [u32; 3], why: &str) -> Error {
        let items = items.iter().map(|count| u64::from(*count)).sum();
        self.0.books.note(envelope, protocol.signal(), Reason::Overloaded, items, why.to_owned());
        Error::unavailable(why, RETRY_AFTER)
    }

    fn hash(&self, arrival: &Arrival) -> u128 {
        let key = self.0.hash_key;
        let scope =
            XxHash3_128::oneshot_with_seed(key ^ u64::from(arrival.protocol as u8), arrival.envelope.tenant.as_bytes());
        XxHash3_128::oneshot_with_seed(key ^ scope as u64, &arrival.plain) ^ scope
    }
}

/// Metrics are cumulative and empty bodies alike: their repeats mean something.
fn may_be_resent(arrival: &Arrival) -> bool {
    arrival.protocol.signal() != Signal::Metrics && !arrival.plain.is_empty()
}

fn has_own_times(batch: &Batch) -> bool {
    batch.spans.marks.iter().chain(&batch.logs.marks).all(|marks| marks & mark::NO_TIME == 0)
}

/// Requests of the last minutes by the hash of their bodies.
struct Resends {
    window: Duration,
    state: Mutex<Remembered>,
}

struct Remembered {
    entries: HashMap<u128, Entry>,
    /// Finished entries in order of their end.
    order: VecDeque<(Instant, u128)>,
    /// The memory of finished entries. They are kept even where requests are refused for it.
    permit: Permit,
}

/// What an entry takes in both collections, with the room in which they grow.
const ENTRY_BYTES: usize = 160;

enum Entry {
    Pending(watch::Receiver<bool>),
    Done(Option<Account>),
}

enum Seen<'a> {
    New(Pending<'a>),
    Pending(watch::Receiver<bool>),
    Done(Option<Account>),
}

/// The original of a request, while it is on its way.
struct Pending<'a> {
    resends: &'a Resends,
    hash: u128,
    done: watch::Sender<bool>,
    account: Option<Account>,
}

impl Resends {
    fn new(window: Duration, recent: &[journal::Recent], permit: Permit) -> Resends {
        let mut remembered = Remembered { entries: HashMap::new(), order: VecDeque::new(), permit };
        let now = Instant::now();
        for recent in recent.iter().filter(|recent| recent.body_hash != 0) {
            remembered.finished(recent.body_hash, None, now);
        }
        Resends { window, state: Mutex::new(remembered) }
    }

    fn look(&self, hash: u128, now: Instant) -> Seen<'_> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(&(finished, old)) = state.order.front() {
            if now.saturating_duration_since(finished) < self.window {
                break;
            }
            state.order.pop_front();
            state.entries.remove(&old);
            state.permit.shrink(ENTRY_BYTES);
        }
        match state.entries.get(&hash) {
            Some(Entry::Done(account)) => Seen::Done(account.clone()),
            Some(Entry::Pending(done)) => Seen::Pending(done.clone()),
            None => {
                let (done, follow) = watch::channel(false);
                state.entries.insert(hash, Entry::Pending(follow));
                Seen::New(Pending { resends: self, hash, done, account: None })
            }
        }
    }
}

impl Remembered {
    fn finished(&mut self, hash: u128, account: Option<Account>, now: Instant) {
        self.entries.insert(hash, Entry::Done(account));
        self.order.push_back((now, hash));
        self.permit.grow_beyond(ENTRY_BYTES);
    }
}

impl Pending<'_> {
    /// Ends the request: with an account its repeats are known, without they are new.
    fn finish(mut self, account: Option<Account>) {
        self.account = account;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let mut state = self.resends.state.lock().unwrap_or_else(PoisonError::into_inner);
        match self.account.take() {
            Some(account) => state.finished(self.hash, Some(account), Instant::now()),
            None => {
                state.entries.remove(&self.hash);
            }
        }
        let _ = self.done.send(true);
    }
}

/// How many day partitions senders may open: a hostile clock must not fill the store with parts.
struct Quota {
    days: HashMap<i32, i64>,
    per_hour_max: usize,
}

/// Days this near to the receive time are always open.
const NEAR_DAYS: i32 = 7;
const HOUR_NS: i64 = 3600 * time::SECOND_NS;

impl Quota {
    /// The days of `batch` that may not be opened now.
    fn refuse(&mut self, batch: &Batch) -> Vec<i32> {
        let now_ns = batch.envelope.received_ns;
        let today = time::day(now_ns);
        let far: Vec<i32> = batch.days().into_iter().filter(|day| (today - day).abs() > NEAR_DAYS).collect();
        if far.is_empty() {
            return far;
        }
        self.days.retain(|_, opened_ns| now_ns - *opened_ns < HOUR_NS);
        far.into_iter()
            .filter(|day| {
                if self.days.len() < self.per_hour_max || self.days.contains_key(day) {
                    self.days.entry(*day).or_insert(now_ns);
                    return false;
                }
                true
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: a request comes again while the first is on its way, after it ended well, after it failed, and after the window.
    // Guarantee: only a repeat of a kept request within the window is known.
    #[test]
    fn repeats_are_known_only_after_success() {
        let resends = Resends::new(Duration::from_secs(120), &[], Budget::new(0).open());
        let start = Instant::now();
        let Seen::New(first) = resends.look(1, start) else { panic!("unknown bodies are new") };
        assert!(matches!(resends.look(1, start), Seen::Pending(_)));
        first.finish(None);
        let Seen::New(second) = resends.look(1, start) else { panic!("a failed request leaves nothing") };
        second.finish(Some(Account::default()));
        assert!(matches!(resends.look(1, Instant::now()), Seen::Done(Some(_))));
        assert!(matches!(resends.look(2, start), Seen::New(_)));
        assert!(matches!(resends.look(1, Instant::now() + Duration::from_secs(121)), Seen::New(_)));
    }

    // Scenario: a sender with events on 400 days, then again, then an hour later.
    // Guarantee: as many days as the quota says are opened, the same ones stay open, the hour ends.
    #[test]
    fn day_quota() {
        let hour_ns = 3600 * time::SECOND_NS;
        let mut quota = Quota { days: HashMap::new(), per_hour_max: 100 };
        let batch = |received_ns: i64| {
            let envelope = Envelope { tenant: "".into(), received_ns, sender: "".into() };
            let mut batch = Batch::new(envelope);
            batch.logs.time = (0..400).map(|day| received_ns - day * time::DAY_NS).collect();
            batch
        };
        let now_ns = 20_000 * time::DAY_NS;
        assert_eq!(quota.refuse(&batch(now_ns)).len(), 400 - 8 - 100);
        assert_eq!(quota.refuse(&batch(now_ns + 1)).len(), 400 - 8 - 100);
        assert_eq!(quota.refuse(&batch(now_ns + hour_ns)).len(), 400 - 8 - 100);
    }
}
