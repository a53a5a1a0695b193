//! The outbox: what people are to be told, until the receivers have it. A message is a record of the store from the
//! moment it is posted to the moment that its receiver took it, so a restart loses none; its id lets receivers
//! discard a repeat. Each receiver gets its messages in order; one that is slow or away holds up no other.

use std::time::Duration;

use ::watch::{Notice, alertmanager, slack, webhook};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Store;
use store::records::Record;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use crate::clock;
use crate::mail::Mailer;
use crate::notify_queue::{Queue, Waiting};
use crate::watch_metrics::Metrics;

/// Kind of the records.
const KIND: &str = "notice";
/// Longest wait for a receiver; of a mail, for each step.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How often what is due is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Messages on their way at the same time, each to another receiver.
const UNDER_WAY_MAX: usize = 16;
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
    /// A mail.
    Email,
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Receiver {
    /// How it wants it.
    pub(crate) form: Form,
    /// Where: a URL, or the address of a mailbox.
    #[serde(alias = "url")] // as it was stored before there were mails
    pub(crate) address: String,
}

/// A message to one receiver, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) receiver: Receiver,
    pub(crate) notice: Notice,
}

/// Where messages are posted.
#[derive(Clone)]
pub(crate) struct Outbox {
    receivers: Vec<Receiver>,
    posted: mpsc::UnboundedSender<Waiting>,
}

impl Outbox {
    /// An outbox, and who carries out what is posted; `base` is the address of the UI in messages.
    pub(crate) fn new(
        store: Store,
        receivers: Vec<Receiver>,
        (base, mailer): (String, Option<Mailer>),
        metrics: Metrics,
    ) -> (Outbox, Carrier) {
        let (posted, taken) = mpsc::unbounded_channel();
        let outbox = Outbox { receivers, posted };
        (outbox, Carrier { store, base, mailer, metrics, taken, queue: Queue::default() })
    }

    /// A message for every receiver, and the records that keep them. They are carried once they are given to
    /// [`Outbox::post`], which must not be before they are kept.
    pub(crate) fn write(&self, tenant: &str, notice: &Notice) -> (Vec<Record>, Vec<Waiting>) {
        let now_ns = clock::now_ns();
        let mut records = Vec::new();
        let mut waiting = Vec::new();
        for receiver in &self.receivers {
            let id = format!("{} {:?} {}", notice.id, receiver.form, receiver.address);
            let message = Message { receiver: receiver.clone(), notice: notice.clone() };
            let Ok(body) = serde_json::to_string(&message) else { continue };
            records.push(Record::new(tenant, (KIND, &id), notice.at_ns, now_ns, body));
            waiting.push(Waiting { tenant: tenant.to_owned(), id, message });
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
    mailer: Option<Mailer>,
    metrics: Metrics,
    taken: mpsc::UnboundedReceiver<Waiting>,
    queue: Queue,
}

impl Carrier {
    /// Carries for ever, while this process rolls.
    pub(crate) async fn run(self, mut reigns: watch::Receiver<Option<u64>>) {
        let Carrier { store, base, mailer, metrics, mut taken, mut queue } = self;
        while reigns.wait_for(Option::is_some).await.is_ok() {
            // What was posted is stored, too, unless another process has delivered it since.
            while taken.try_recv().is_ok() {}
            recall(&store, &mut queue).await;
            let deliver = |waiting| deliver(&store, &base, mailer.as_ref(), &metrics, waiting);
            carry(&mut queue, &mut taken, &metrics, || reigns.borrow().is_some(), deliver).await;
            queue.clear();
        }
    }
}

// What an earlier process, or another one, left.
async fn recall(store: &Store, queue: &mut Queue) {
    loop {
        match store.records_of_all(KIND, WAITING_MAX).await {
            Ok(left) => {
                for row in left {
                    if let Ok(message) = serde_json::from_str(&row.body) {
                        queue.take(Waiting { tenant: row.tenant, id: row.id, message });
                    }
                }
                return;
            }
            Err(error) => debug!(%error, "messages that wait cannot be read yet"),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

// Gives what is due to `deliver`, one message of each receiver at a time, as long as it `goes_on`; then waits for what is
// on its way.
async fn carry<D: Future<Output = (Waiting, Result<(), String>)>>(
    queue: &mut Queue,
    taken: &mut mpsc::UnboundedReceiver<Waiting>,
    metrics: &Metrics,
    goes_on: impl Fn() -> bool,
    deliver: impl Fn(Waiting) -> D,
) {
    let mut under_way = FuturesUnordered::new();
    loop {
        let goes_on = goes_on();
        while let Ok(message) = taken.try_recv() {
            queue.take(message);
        }
        if goes_on {
            under_way.extend(queue.next(clock::now_ns(), UNDER_WAY_MAX - under_way.len()).into_iter().map(&deliver));
        } else if under_way.is_empty() {
            return;
        }
        metrics.waiting.set(queue.len() as i64);
        tokio::select! {
            Some((message, sent)) = under_way.next() => match sent {
                Ok(()) => queue.done(&message, clock::now_ns()),
                Err(reason) => {
                    metrics.undelivered.inc();
                    if queue.failed(&message, clock::now_ns()) {
                        warn!(%reason, "a message cannot be delivered; trying again");
                    }
                }
            },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

// Sends a message and notes that it is done with: delivered, or given up. It fails when it is worth another try.
async fn deliver(
    store: &Store,
    base: &str,
    mailer: Option<&Mailer>,
    metrics: &Metrics,
    waiting: Waiting,
) -> (Waiting, Result<(), String>) {
    match send(&waiting.tenant, &waiting.message, base, mailer).await {
        Ok(()) => drop(metrics.delivered.inc()),
        Err(reason) if waiting.is_old(clock::now_ns()) => {
            let notice = &waiting.message.notice.id;
            warn!(%reason, notice, "a message is given up: its receiver did not take it for three days");
        }
        Err(reason) => return (waiting, Err(reason)),
    }
    let record =
        Record::new(&waiting.tenant, (KIND, &waiting.id), waiting.message.notice.at_ns, clock::now_ns(), String::new());
    // Delivered and not noted: it is repeated after a restart, under the same id.
    if let Err(error) = store.write_records(&[record.deleted()]).await {
        debug!(%error, "a delivery cannot be noted");
    }
    (waiting, Ok(()))
}

async fn send(tenant: &str, message: &Message, base: &str, mailer: Option<&Mailer>) -> Result<(), String> {
    let mut body: Value = match message.receiver.form {
        Form::Webhook => webhook(&message.notice, base),
        Form::Slack => slack(&message.notice, base),
        Form::Alertmanager => alertmanager(&message.notice, base),
        Form::Email => return send_mail(tenant, message, base, mailer).await,
    };
    match message.receiver.form {
        Form::Webhook if !tenant.is_empty() => body["tenant"] = Value::from(tenant),
        Form::Alertmanager if !tenant.is_empty() => body[0]["labels"]["tenant"] = Value::from(tenant),
        _ => {}
    }
    let (url, id) = (message.receiver.address.clone(), message.notice.id.clone());
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

async fn send_mail(tenant: &str, message: &Message, base: &str, mailer: Option<&Mailer>) -> Result<(), String> {
    // Of an earlier start, with another configuration.
    let mailer = mailer.ok_or("there is no `notify.smtp` to send a mail by")?.clone();
    let (tenant, base, message) = (tenant.to_owned(), base.to_owned(), message.clone());
    let sent = tokio::task::spawn_blocking(move || {
        mailer.send((&tenant, &message.notice, &base), &message.receiver.address, ANSWER_MAX)
    });
    sent.await.unwrap_or_else(|_| Err("sending broke off".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::notify_queue::tests::waiting;

    // Scenario: messages for a receiver that takes them, one that fails at first, and one that answers much later; then
    // this process rolls no more.
    // Guarantee: the quick one has its messages while the slow one is waited for; what is on its way then is waited for,
    // and nothing new is begun.
    #[tokio::test]
    async fn a_slow_receiver_holds_up_nobody() {
        let (posted, mut taken) = mpsc::unbounded_channel();
        for number in 1..=3 {
            ["quick", "slow", "shy"].into_iter().for_each(|to| drop(posted.send(waiting(to, number))));
        }
        let (sent, shy, goes_on) = (Mutex::new(Vec::new()), AtomicUsize::new(0), AtomicBool::new(true));
        let metrics = Metrics::default();
        let deliver = |message: Waiting| {
            let (sent, shy, goes_on) = (&sent, &shy, &goes_on);
            async move {
                let to = message.message.receiver.address.clone();
                if to == "shy" && shy.fetch_add(1, Ordering::SeqCst) == 0 {
                    return (message, Err("not now".to_owned()));
                }
                if to == "slow" {
                    // It answers when nobody else has anything left.
                    while sent.lock().unwrap().len() < 6 {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    goes_on.store(false, Ordering::SeqCst);
                }
                sent.lock().unwrap().push((to, message.message.notice.number));
                (message, Ok(()))
            }
        };
        let mut queue = Queue::default();
        carry(&mut queue, &mut taken, &metrics, || goes_on.load(Ordering::SeqCst), deliver).await;
        let sent = sent.into_inner().unwrap();
        let of =
            |name: &str| -> Vec<u32> { sent.iter().filter(|(to, _)| to == name).map(|(_, number)| *number).collect() };
        assert_eq!((of("quick"), of("shy"), of("slow")), (vec![1, 2, 3], vec![1, 2, 3], vec![1]));
        assert_eq!((queue.len(), metrics.undelivered.get()), (2, 1));
    }

    // Scenario: a message as it was stored before there were mails.
    // Guarantee: it is read.
    #[test]
    fn former_messages_are_read() {
        let mut stored = serde_json::to_value(&waiting("http://h.example", 1).message).unwrap();
        assert_eq!(stored["receiver"], serde_json::json!({"form": "webhook", "address": "http://h.example"}));
        stored["receiver"] = serde_json::json!({"form": "webhook", "url": "http://h.example"});
        let read: Message = serde_json::from_value(stored).unwrap();
        assert_eq!(read.receiver.address, "http://h.example");
    }
}
