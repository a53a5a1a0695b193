//! One incident in time: when it is asked about, announced, over, and back.

use crate::answer::{Answer, Verdict};
use crate::event::Event;
use crate::incident::{Incident, State, TOLD_MAX, Told};
use crate::notice::{Notice, NoticeKind};
use crate::settings::Settings;
use crate::silence::Silence;
use crate::watch::SECOND_NS;

/// Pauses between questions to the localisation, seconds; the last repeats.
const PAUSES_S: [i64; 10] = [5, 5, 5, 5, 10, 15, 30, 60, 120, 300];
/// A fault window need not be longer to tell what a fault is.
const WINDOW_NS: i64 = 900 * SECOND_NS;
/// So much of a fault has to be seen before a suspect is believed, unless so many answers in a row name it and a
/// little was seen.
const BELIEVED_NS: i64 = 40 * SECOND_NS;
const AGREED_NS: i64 = 25 * SECOND_NS;
const AGREED_ANSWERS: u32 = 2;
/// What points nowhere is told after so much, if it is strong: a little more may show who it is.
const UNCLEAR_NS: i64 = 48 * SECOND_NS;
const ASKED_NS: i64 = 20 * SECOND_NS;
/// A weak deviation without a fault is dropped after so long: a fault that begins shows more by then.
const NOTHING_NS: i64 = 30 * SECOND_NS;
/// A weak deviation that nobody answers for, or that points nowhere, is told or dropped after so long.
const WEAK_NS: i64 = 60 * SECOND_NS;
const NOWHERE_NS: i64 = 90 * SECOND_NS;
/// What came back is told when it stays for so long.
const BACK_NS: i64 = 60 * SECOND_NS;
/// Updates of one incident.
const UPDATES_MAX: u32 = 3;
/// Answers in a row that name another suspect before people are told.
const RIVAL_ANSWERS: u32 = 3;

/// What is to be done about an incident now.
pub(crate) fn follow(
    incident: &mut Incident,
    settings: &Settings,
    silences: &[Silence],
    now_ns: i64,
    events: &mut Vec<Event>,
) {
    if !incident.is_active() {
        return;
    }
    // What flaps is watched longer each time.
    let quiet_s = settings.quiet_s.saturating_mul(1 << incident.reopened.min(2));
    if now_ns.saturating_sub(incident.last_ns) >= quiet_s.saturating_mul(SECOND_NS) {
        let ends = if incident.state == State::Open { State::Closed } else { State::Dropped };
        incident.closed_ns = now_ns;
        return end(incident, ends, now_ns, events);
    }
    match incident.state {
        State::Suspected => match ripeness(incident, settings, now_ns) {
            Ripeness::Ripe => {
                (incident.state, incident.opened_ns) = (State::Open, now_ns);
                let silence = silences.iter().find(|silence| silence.covers(incident, now_ns));
                match silence {
                    Some(silence) => incident.silenced_by.clone_from(&silence.id),
                    None => tell(incident, NoticeKind::Opened, now_ns, events),
                }
                changed(incident, events);
            }
            Ripeness::Nothing => {
                incident.state = State::Dropped;
                changed(incident, events);
                return;
            }
            Ripeness::Unripe => {}
        },
        State::Open => lasting(incident, silences, now_ns, events),
        // It grew: it is looked at again.
        State::Dropped if incident.is_strong() => {
            (incident.state, incident.noticed_ns, incident.next_ask_ns) = (State::Suspected, now_ns, now_ns);
            changed(incident, events);
        }
        _ => return,
    }
    let complete_ns = now_ns.saturating_sub(settings.settle_s.saturating_mul(SECOND_NS));
    let seen_ns = complete_ns.saturating_sub(incident.onset_ns);
    if now_ns >= incident.next_ask_ns && seen_ns >= settings.seen_s.saturating_mul(SECOND_NS) {
        let pause_s = PAUSES_S[(incident.asked as usize).min(PAUSES_S.len() - 1)];
        incident.asked += 1;
        incident.next_ask_ns = now_ns.saturating_add(pause_s * SECOND_NS);
        let (id, from_ns) = (incident.id.clone(), incident.onset_ns);
        events.push(Event::Locate {
            id,
            from_ns,
            to_ns: complete_ns.min(from_ns.saturating_add(WINDOW_NS)).max(from_ns),
        });
    }
}

/// Takes an answer, its suspects in the order in which they concern the incident.
pub(crate) fn answered(incident: &mut Incident, answer: Answer) {
    let first = answer.suspects.first().map(|suspect| suspect.service.clone()).unwrap_or_default();
    if answer.verdict == Verdict::Localised && !first.is_empty() && first != incident.told_suspect {
        let row = if incident.rival.0 == first { incident.rival.1 + 1 } else { 1 };
        incident.rival = (first, row);
    } else {
        incident.rival = (String::new(), 0);
    }
    incident.answers += 1;
    let same = incident.verdict() == Some(Verdict::Localised)
        && answer.verdict == Verdict::Localised
        && incident.suspect().map(|suspect| &suspect.service) == answer.suspects.first().map(|first| &first.service);
    incident.agreed = if same { incident.agreed + 1 } else { u32::from(answer.verdict == Verdict::Localised) };
    // People were told of a suspect; an answer that knows none does not take that back, and one that knows another is
    // believed when it stays.
    let was_told = incident.state == State::Open && incident.verdict() == Some(Verdict::Localised);
    let is_rival = !incident.rival.0.is_empty() && incident.rival.1 < RIVAL_ANSWERS;
    if !was_told || (answer.verdict == Verdict::Localised && !is_rival) {
        incident.answer = Some(answer);
    }
}

/// The same symptoms again, soon after the end.
pub(crate) fn reopen(incident: &mut Incident, now_ns: i64, events: &mut Vec<Event>) {
    incident.state = State::Open;
    (incident.closed_ns, incident.opened_ns, incident.last_ns) = (0, now_ns, now_ns);
    incident.reopened = incident.reopened.saturating_add(1);
    incident.told_open = false;
    incident.next_ask_ns = now_ns;
    changed(incident, events);
}

/// Ends it; people who were told that it began are told.
pub(crate) fn end(incident: &mut Incident, state: State, now_ns: i64, events: &mut Vec<Event>) {
    incident.state = state;
    if incident.told_open {
        tell(incident, NoticeKind::Closed, now_ns, events);
        incident.told_open = false;
    }
    changed(incident, events);
}

enum Ripeness {
    Ripe,
    Unripe,
    Nothing,
}

fn ripeness(incident: &Incident, settings: &Settings, now_ns: i64) -> Ripeness {
    let patience_ns = settings.patience_s.saturating_mul(SECOND_NS);
    let waited_ns = now_ns.saturating_sub(incident.noticed_ns);
    let shown_ns = now_ns.saturating_sub(incident.onset_ns);
    let strong = incident.is_strong();
    let ripe_after = |ns: i64| if waited_ns >= ns { Ripeness::Ripe } else { Ripeness::Unripe };
    let Some(answer) = &incident.answer else {
        return ripe_after(if strong { patience_ns } else { WEAK_NS.max(patience_ns) });
    };
    // A clock is no suspect, but it is a cause.
    if incident.is_clock() && !answer.notices.is_empty() {
        return Ripeness::Ripe;
    }
    match answer.verdict {
        // A few errors by chance are localised, too: they did happen there.
        Verdict::Localised if !incident.is_tellable() && waited_ns < NOWHERE_NS => Ripeness::Unripe,
        Verdict::Localised if !incident.is_tellable() => Ripeness::Nothing,
        Verdict::Localised if shown_ns >= BELIEVED_NS => Ripeness::Ripe,
        Verdict::Localised if shown_ns >= AGREED_NS && incident.agreed >= AGREED_ANSWERS => Ripeness::Ripe,
        Verdict::Localised => ripe_after(patience_ns),
        // It is something; what, may show a little later.
        _ if strong && shown_ns >= UNCLEAR_NS => ripe_after(ASKED_NS),
        _ if strong => Ripeness::Unripe,
        Verdict::NoFault if incident.answers >= 2 && waited_ns >= NOTHING_NS => Ripeness::Nothing,
        _ if waited_ns >= NOWHERE_NS => Ripeness::Nothing,
        _ => Ripeness::Unripe,
    }
}

fn lasting(incident: &mut Incident, silences: &[Silence], now_ns: i64, events: &mut Vec<Event>) {
    let silence = silences.iter().find(|silence| silence.covers(incident, now_ns)).map(|silence| silence.id.clone());
    if !incident.told_open {
        if let Some(id) = silence {
            if incident.silenced_by != id {
                incident.silenced_by = id;
                changed(incident, events);
            }
        } else if incident.notices == 0 {
            incident.silenced_by.clear();
            tell(incident, NoticeKind::Opened, now_ns, events);
            changed(incident, events);
        } else if now_ns.saturating_sub(incident.opened_ns) >= BACK_NS && incident.updates < UPDATES_MAX {
            incident.silenced_by.clear();
            incident.updates += 1;
            tell(incident, NoticeKind::Updated, now_ns, events);
            changed(incident, events);
        }
        return;
    }
    // People know of it already; a silence spares them what more there is to say until it is over.
    let covered = silence.clone().unwrap_or_default();
    if incident.silenced_by != covered {
        incident.silenced_by = covered;
        changed(incident, events);
    }
    let is_other =
        !incident.is_clock() && incident.rival.1 >= RIVAL_ANSWERS && incident.rival.0 != incident.told_suspect;
    if is_other && silence.is_none() && incident.updates < UPDATES_MAX {
        incident.updates += 1;
        tell(incident, NoticeKind::Updated, now_ns, events);
        changed(incident, events);
    }
}

fn tell(incident: &mut Incident, kind: NoticeKind, now_ns: i64, events: &mut Vec<Event>) {
    incident.notices = incident.notices.saturating_add(1);
    incident.told_open = kind != NoticeKind::Closed;
    if kind != NoticeKind::Closed {
        incident.told_suspect = incident.suspect().map_or("", |suspect| &suspect.service).to_owned();
        if incident.opened_as.is_empty() {
            incident.opened_as.clone_from(&incident.told_suspect);
        }
        incident.rival = (String::new(), 0);
    }
    if incident.told.len() >= TOLD_MAX {
        incident.told.remove(0);
    }
    incident.told.push(Told { kind, at_ns: now_ns });
    events.push(Event::Notify(Box::new(Notice::new(kind, incident.notices, incident, now_ns))));
}

fn changed(incident: &Incident, events: &mut Vec<Event>) {
    events.push(Event::Changed { id: incident.id.clone() });
}
