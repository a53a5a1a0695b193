//! The outbox: what people are to be told, until the receivers have it. A message is a record of the store from the
//! moment it is posted to the moment that its receiver took it, so a restart loses none; its id lets receivers
//! discard a repeat. Each receiver gets its messages in order; one that is away holds up others for no longer than one
//! try takes.

use std::collections::BTreeMap;
use std::time::Duration;

use ::watch::{Notice, alertmanager, slack, webhook};
use model::time::SECOND_NS;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Store;
use store::records::Record;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use crate::clock;
use crate::watch_metrics::Metrics;

/// Kind of the records.
const KIND: &str = "notice";
/// Longest wait for a receiver.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How often what is due is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Pause after a failed delivery: doubled each time, up to the second.
const PAUSE_S: (i64, i64) = (2, 120);
/// A message that nobody took for so long is given up.
const GIVE_UP_NS: i64 = 3 * 86_400 * SECOND_NS;
/// Messages read at start.
const WAITING_MAX: u64 = 10_000;

/// Form of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// All that is known, as JSON.
    Webhook,
    /// Slack's incoming webhooks.
    Slack,
    /// Alertmanager's API.
    Alertmanager,
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Receiver {
    /// How it wants it.
    pub(crate) form: Form,
    /// Where.
    pub(crate) url: String,
}

/// A message to one receiver, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Message {
    receiver: Receiver,
    notice: Notice,
}

/// A message that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    tenant: String,
    id: String,
    message: Message,
    failures: u32,
    due_ns: i64,
}

/// Where messages are posted.
#[derive(Clone)]
pub(crate) struct Outbox {
    receivers: Vec<Receiver>,
    posted: mpsc::UnboundedSender<Waiting>,
}

impl Outbox {
    /// An outbox, and who carries out what is posted.
    pub(crate) fn new(store: Store, receivers: Vec<Receiver>, base: String, metrics: Metrics) -> (Outbox, Carrier) {
        let (posted, taken) = mpsc::unbounded_channel();
        let outbox = Outbox { receivers, posted };
        (outbox, Carrier { store, base, metrics, taken, waiting: BTreeMap::new() })
    }

    /// A message for every receiver, and the records that keep them. They are carried once they are given to
    /// [`Outbox::post`], which must not be before they are kept.
    pub(crate) fn write(&self, tenant: &str, notice: &Notice) -> (Vec<Record>, Vec<Waiting>) {
        let now_ns = clock::now_ns();
        let mut records = Vec::new();
        let mut waiting = Vec::new();
        for receiver in &self.receivers {
            let id = format!("{} {:?} {}", notice.id, receiver.form, receiver.url);
            let message = Message { receiver: receiver.clone(), notice: notice.clone() };
            let Ok(body) = serde_json::to_string(&message) else { continue };
            records.push(Record::new(tenant, (KIND, &id), notice.at_ns, now_ns, body));
            waiting.push(Waiting { tenant: tenant.to_owned(), id, message, failures: 0, due_ns: now_ns });
        }
        (records, waiting)
    }

    /// Hands messages to the carrier.
    pub(crate) fn post(&self, messages: Vec<Waiting>) {
        messages.into_iter().for_each(|message| drop(self.posted.send(message)));
    }
}

/// Carries messages to their receivers.
pub(crate) struct Carrier {
    store: Store,
    base: String,
    metrics: Metrics,
    taken: mpsc::UnboundedReceiver<Waiting>,
    // By receiver, in order.
    waiting: BTreeMap<Receiver, Vec<Waiting>>,
}

impl Carrier {
    /// Carries for ever, while this process rolls.
    pub(crate) async fn run(mut self, mut reigns: watch::Receiver<Option<u64>>) {
        while reigns.wait_for(Option::is_some).await.is_ok() {
            self.recall().await;
            while reigns.borrow().is_some() {
                tokio::time::sleep(LOOK_EVERY).await;
                while let Ok(message) = self.taken.try_recv() {
                    self.take(message);
                }
                self.carry().await;
            }
            self.waiting.clear();
        }
    }

    // What an earlier process, or another one, left.
    async fn recall(&mut self) {
        loop {
            match self.store.records_of_all(KIND, WAITING_MAX).await {
                Ok(left) => {
                    for row in left {
                        if let Ok(message) = serde_json::from_str(&row.body) {
                            self.take(Waiting { tenant: row.tenant, id: row.id, message, failures: 0, due_ns: 0 });
                        }
                    }
                    return;
                }
                Err(error) => debug!(%error, "messages that wait cannot be read yet"),
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    fn take(&mut self, message: Waiting) {
        let queue = self.waiting.entry(message.message.receiver.clone()).or_default();
        if queue.iter().all(|known| (&known.tenant, &known.id) != (&message.tenant, &message.id)) {
            queue.push(message);
            queue.sort_by_key(|waiting| (waiting.message.notice.at_ns, waiting.message.notice.number));
        }
    }

    // The first message of every receiver, where it is due; all at the same time.
    async fn carry(&mut self) {
        let now_ns = clock::now_ns();
        let due: Vec<Waiting> = self
            .waiting
            .values()
            .filter_map(|queue| queue.first())
            .filter(|first| first.due_ns <= now_ns)
            .cloned()
            .collect();
        let base = &self.base;
        let sent =
            futures_util::future::join_all(due.iter().map(|waiting| send(&waiting.tenant, &waiting.message, base)))
                .await;
        for (waiting, sent) in due.into_iter().zip(sent) {
            let receiver = waiting.message.receiver.clone();
            let is_old = now_ns.saturating_sub(waiting.message.notice.at_ns) > GIVE_UP_NS;
            match sent {
                Ok(()) => drop(self.metrics.delivered.inc()),
                Err(reason) if is_old => {
                    warn!(%reason, id = waiting.id, "a message is given up: nobody took it for three days");
                }
                Err(reason) => {
                    self.metrics.undelivered.inc();
                    if waiting.failures == 0 {
                        warn!(%reason, "a message cannot be delivered; trying again");
                    }
                    if let Some(first) = self.waiting.get_mut(&receiver).and_then(|queue| queue.first_mut()) {
                        first.failures += 1;
                        let pause_s = (PAUSE_S.0 << first.failures.min(10)).min(PAUSE_S.1);
                        first.due_ns = clock::now_ns() + pause_s * SECOND_NS;
                    }
                    continue;
                }
            }
            let Waiting { tenant, id, message, .. } = waiting;
            let done =
                Record::new(&tenant, (KIND, &id), message.notice.at_ns, clock::now_ns(), String::new()).deleted();
            // Delivered and not noted: it is repeated after a restart, under the same id.
            if let Err(error) = self.store.write_records(&[done]).await {
                debug!(%error, "a delivery cannot be noted");
            }
            if let Some(queue) = self.waiting.get_mut(&receiver) {
                queue.retain(|known| (&known.tenant, &known.id) != (&tenant, &id));
            }
        }
        self.waiting.retain(|_, queue| !queue.is_empty());
        self.metrics.waiting.set(self.waiting.values().map(Vec::len).sum::<usize>() as i64);
    }
}

async fn send(tenant: &str, message: &Message, base: &str) -> Result<(), String> {
    let mut body: Value = match message.receiver.form {
        Form::Webhook => webhook(&message.notice, base),
        Form::Slack => slack(&message.notice, base),
        Form::Alertmanager => alertmanager(&message.notice, base),
    };
    if message.receiver.form == Form::Webhook && !tenant.is_empty() {
        body["tenant"] = Value::from(tenant);
    }
    let (url, id) = (message.receiver.url.clone(), message.notice.id.clone());
    let posted = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_MAX)).http_status_as_error(false);
        let agent = ureq::Agent::new_with_config(config.build());
        let request = agent.post(&url).header("content-type", "application/json").header("idempotency-key", &id);
        request.send(body.to_string()).map(|answer| answer.status().as_u16())
    });
    match posted.await {
        Ok(Ok(200..300)) => Ok(()),
        Ok(Ok(status)) => Err(format!("the receiver answered with status {status}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("sending broke off".to_owned()),
    }
}
