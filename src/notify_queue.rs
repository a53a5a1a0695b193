//! Messages that wait, by receiver: who gets which next, and when. It knows no clock and no network, so an hour without
//! a receiver is a matter of numbers.

use std::collections::BTreeMap;

use model::time::SECOND_NS;

use crate::notify::{Message, Receiver};

/// Pause after a failed try, seconds: doubled each time, up to the second.
const PAUSE_S: (i64, i64) = (2, 120);
/// A message that nobody took for so long is given up.
const GIVE_UP_NS: i64 = 3 * 86_400 * SECOND_NS;

/// A message that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// Whose incident it tells of.
    pub(crate) tenant: String,
    /// Id of its record; with the tenant it is unique.
    pub(crate) id: String,
    /// The message.
    pub(crate) message: Message,
}

/// All messages that wait. A receiver gets its own one after the other, oldest first; receivers do not wait for each
/// other.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lines: BTreeMap<Receiver, Line>,
}

/// The messages of one receiver.
#[derive(Debug, Default)]
struct Line {
    /// Oldest first; never empty.
    messages: Vec<Waiting>,
    /// Whether one of them is on its way.
    is_sending: bool,
    /// Tries that failed in a row.
    failures: u32,
    /// When the next try may begin.
    due_ns: i64,
}

impl Waiting {
    fn is(&self, other: &Waiting) -> bool {
        (&self.tenant, &self.id) == (&other.tenant, &other.id)
    }

    /// Whether it is not worth another try.
    pub(crate) fn is_old(&self, now_ns: i64) -> bool {
        now_ns.saturating_sub(self.message.notice.at_ns) > GIVE_UP_NS
    }
}

impl Queue {
    /// Takes a message, unless it waits already.
    pub(crate) fn take(&mut self, message: Waiting) {
        let line = self.lines.entry(message.message.receiver.clone()).or_default();
        if line.messages.iter().all(|known| !known.is(&message)) {
            line.messages.push(message);
            line.messages.sort_by_key(|waiting| (waiting.message.notice.at_ns, waiting.message.notice.number));
        }
    }

    /// What is to be sent now, at most `most`, one for each receiver whose pause is over and to whom nothing is on its
    /// way; each stays with its receiver until [`Queue::done`] or [`Queue::failed`] is told of it.
    pub(crate) fn next(&mut self, now_ns: i64, most: usize) -> Vec<Waiting> {
        let mut due: Vec<&mut Line> =
            self.lines.values_mut().filter(|line| !line.is_sending && line.due_ns <= now_ns).collect();
        // Who waits longest comes first, so that many who do not answer leave room for the others.
        due.sort_by_key(|line| line.due_ns);
        let taken = due.into_iter().take(most).filter_map(|line| {
            line.is_sending = true;
            line.messages.first().cloned()
        });
        taken.collect()
    }

    /// A message was taken, or is given up.
    pub(crate) fn done(&mut self, message: &Waiting, now_ns: i64) {
        let receiver = &message.message.receiver;
        let Some(line) = self.lines.get_mut(receiver) else { return };
        line.messages.retain(|known| !known.is(message));
        (line.is_sending, line.failures, line.due_ns) = (false, 0, now_ns);
        if line.messages.is_empty() {
            self.lines.remove(receiver);
        }
    }

    /// A message was not taken; whether that is the first time in a row.
    pub(crate) fn failed(&mut self, message: &Waiting, now_ns: i64) -> bool {
        let Some(line) = self.lines.get_mut(&message.message.receiver) else { return false };
        let pause_s = (PAUSE_S.0 << line.failures.min(10)).min(PAUSE_S.1);
        (line.is_sending, line.due_ns) = (false, now_ns.saturating_add(pause_s * SECOND_NS));
        line.failures += 1;
        line.failures == 1
    }

    /// Messages that wait.
    pub(crate) fn len(&self) -> usize {
        self.lines.values().map(|line| line.messages.len()).sum()
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use watch::{Notice, NoticeKind};

    use super::*;
    use crate::notify::Form;

    /// The `number`th message about an incident, written in the `number`th second, for the receiver called `to`.
    pub(crate) fn waiting(to: &str, number: u32) -> Waiting {
        let receiver = Receiver { form: Form::Webhook, address: to.to_owned() };
        let notice = Notice {
            id: format!("a-{number}"),
            incident: "a".to_owned(),
            kind: NoticeKind::Updated,
            number,
            at_ns: i64::from(number) * SECOND_NS,
            started_ns: 0,
            ended_ns: 0,
            suspect: String::new(),
            opened_as: String::new(),
            rule: String::new(),
            services: Vec::new(),
            title: "pay: slow".to_owned(),
            text: String::new(),
            path: "/incidents/a".to_owned(),
        };
        let id = format!("{} {to}", notice.id);
        Waiting { tenant: String::new(), id, message: Message { receiver, notice } }
    }

    // Lets time pass second by second up to `until_s`, with a receiver that takes from second `up_s` on; what it was
    // sent, as second and number of the message.
    fn tries(queue: &mut Queue, from_s: i64, until_s: i64, up_s: i64) -> Vec<(i64, u32)> {
        let mut tries = Vec::new();
        for now_s in from_s..until_s {
            let now_ns = now_s * SECOND_NS;
            // A second has room for all that a receiver that answers at once can be sent.
            loop {
                let sent = queue.next(now_ns, usize::MAX);
                for message in &sent {
                    tries.push((now_s, message.message.notice.number));
                    if now_s < up_s {
                        queue.failed(message, now_ns);
                    } else {
                        queue.done(message, now_ns);
                    }
                }
                if sent.is_empty() {
                    break;
                }
            }
        }
        tries
    }

    // Scenario: three messages for a receiver that is away for an hour; they come in the wrong order, and one twice.
    // Guarantee: the first is tried after 2, 4, 8, … 120 s and no more often; when the receiver is back, each is
    // delivered once, in order, and the next outage begins with short pauses again.
    #[test]
    fn an_hour_away() {
        let mut queue = Queue::default();
        [2, 1, 3, 1].into_iter().for_each(|number| queue.take(waiting("a", number)));
        assert_eq!(queue.len(), 3);
        let tries_made = tries(&mut queue, 0, 3_800, 3_600);
        let (failed, taken): (Vec<_>, Vec<_>) = tries_made.into_iter().partition(|(at_s, _)| *at_s < 3_600);
        let seconds: Vec<i64> = failed.iter().map(|(at_s, _)| *at_s).collect();
        assert_eq!(seconds[..8], [0, 2, 6, 14, 30, 62, 126, 246]);
        assert!(seconds[7..].windows(2).all(|pair| pair[1] - pair[0] == 120), "{seconds:?}");
        assert!(failed.iter().all(|(_, number)| *number == 1), "{failed:?}");
        let at_s = seconds[seconds.len() - 1] + 120;
        assert_eq!(taken, [(at_s, 1), (at_s, 2), (at_s, 3)]);
        assert_eq!(queue.len(), 0);
        queue.take(waiting("a", 4));
        assert_eq!(tries(&mut queue, 4_000, 4_004, 4_003), [(4_000, 4), (4_002, 4)]);
    }

    // Scenario: two receivers; one never answers, the other takes everything; then five who are all due, and two places.
    // Guarantee: nobody waits for another; a receiver has one message on its way; who waits longest is served first.
    #[test]
    fn receivers_are_independent() {
        let mut queue = Queue::default();
        for number in 1..=3 {
            queue.take(waiting("slow", number));
            queue.take(waiting("quick", number));
        }
        let first = queue.next(0, usize::MAX);
        assert_eq!(first.len(), 2);
        let quick = first.iter().find(|message| message.message.receiver.address == "quick").unwrap();
        queue.done(quick, 0);
        let rest = tries(&mut queue, 0, 10, 0);
        assert_eq!(rest, [(0, 2), (0, 3)], "the quick one's; the first of the slow one is still on its way");
        assert_eq!(queue.len(), 3);

        let mut queue = Queue::default();
        let names = ["a", "b", "c", "d", "e"];
        names.into_iter().for_each(|name| queue.take(waiting(name, 1)));
        let mut served = Vec::new();
        for round in 0..3 {
            let sent = queue.next(round * 200 * SECOND_NS, 2);
            assert!(sent.len() == 2 && queue.next(round * 200 * SECOND_NS, 0).is_empty());
            for message in sent {
                queue.failed(&message, round * 200 * SECOND_NS);
                served.push(message.message.receiver.address);
            }
        }
        served[..5].sort_unstable();
        assert_eq!(served[..5], names, "everybody once before anybody twice");
    }

    // Scenario: a message is on its way; an older one comes in; the first fails, or is taken.
    // Guarantee: what is told of the one does not concern the other.
    #[test]
    fn an_older_one_comes_later() {
        let mut queue = Queue::default();
        queue.take(waiting("a", 2));
        let sent = queue.next(0, 1);
        queue.take(waiting("a", 1));
        assert!(queue.next(0, 1).is_empty());
        queue.done(&sent[0], 0);
        assert_eq!(tries(&mut queue, 0, 1, 0), [(0, 1)]);
    }

    // Scenario: a restart while the receiver is away and a message is on its way: all that was not noted as taken is
    // read again, and posted once more by who did not know.
    // Guarantee: the order stays, each is delivered once, nothing waits for the former pause.
    #[test]
    fn a_restart_in_the_middle() {
        let mut queue = Queue::default();
        (1..=3).for_each(|number| queue.take(waiting("a", number)));
        assert_eq!(tries(&mut queue, 0, 100, 100).len(), 6);
        let under_way = queue.next(126 * SECOND_NS, 1);
        assert_eq!(under_way.len(), 1);
        queue.clear();
        (1..=3).for_each(|number| queue.take(waiting("a", number)));
        queue.take(waiting("a", 3));
        assert_eq!(tries(&mut queue, 127, 128, 127), [(127, 1), (127, 2), (127, 3)]);
        // Late news of the former life.
        queue.done(&under_way[0], 0);
        assert!(!queue.failed(&under_way[0], 0) && queue.len() == 0);
    }

    // Scenario: a message that nobody takes.
    // Guarantee: it is given up after three days, not before.
    #[test]
    fn old_ones_are_given_up() {
        let message = waiting("a", 1);
        assert!(!message.is_old(GIVE_UP_NS + SECOND_NS) && message.is_old(GIVE_UP_NS + SECOND_NS + 1));
    }
}
