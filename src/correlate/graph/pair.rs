//! The rules of pairing, one trace at a time. They are told in full in the module doc of
//! [`super`]; here each has its function.

use std::collections::HashMap;

use super::books::{Desk, call_of};
use super::index::Index;
use super::kin::{Kin, Parent};
use super::minute_of;
use super::reason::Reason;
use super::rows::ConnectionType::{Database, External, Messaging, Rpc};
use super::source::{Sender, Source};
use super::span::{GraphSpan, Kind, SpanRef};
use super::tally::Call;

/// A caller may seem to begin this much later than its callee before the clocks are called skewed.
pub(super) const CLOCK_TOLERANCE_NS: i64 = 100_000_000;

// OTLP span flags: the context's W3C flags are known to be right when this bit is set (newer senders).
const FLAGS_KNOWN: u32 = 0x100;
const SAMPLED: u32 = 1;

/// Where links lead, for a whole chunk.
pub(super) struct Links<'a> {
    here: &'a Index,
    nearby: &'a Index,
    others: &'a Index,
    minute_ns: i64,
    known: HashMap<SpanRef, Option<Sender>, foldhash::fast::RandomState>,
    targets: Vec<SpanRef>,
    senders: Vec<Sender>,
    routes: Vec<Route>,
}

// How a message came: out of which node, and who put it there when nobody else draws that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    via: u32,
    publisher: Option<u32>,
    duration_ns: u64,
    error: bool,
    is_direct: bool,
}

/// Pairs the trace in `kin`.
pub(super) fn pair(source: &Source, kin: &mut Kin, links: &mut Links, answered: &[SpanRef], desk: &mut Desk) {
    for place in 0..kin.spots.len() {
        if kin.spots[place].here {
            enter(source, kin, links, place, desk);
        }
    }
    // Only now: what is answered from here has been told to other minutes, what they answer is not.
    for at in answered {
        for place in kin.group(at.span_id) {
            if kin.spots[place].here {
                climb(source, kin, place as u32, None);
            }
        }
    }
    for place in 0..kin.spots.len() {
        if kin.spots[place].here && !kin.spots[place].cyclic {
            leave(source, kin, place, desk);
        }
    }
}

/// How the work came to a span.
fn enter(source: &Source, kin: &mut Kin, links: &mut Links, place: usize, desk: &mut Desk) {
    let spot = kin.spots[place];
    let span = source.span(spot.row);
    let own = desk.service(span.service);
    if kin.is_surplus(source, place) {
        desk.unpaired(span, Reason::DuplicateId);
    }
    // What is wanted comes first: a span that arrives later may break a circle.
    want_parent(kin, place, span, desk);
    let twin = if span.kind == Kind::Server { kin.twin(source, place) } else { None };
    if span.kind == Kind::Server && span.shared && !kin.has_client_here(source, place) {
        let reason = if twin.is_some() { Reason::StoredElsewhere } else { Reason::ClientNotStored };
        desk.books.want(span.at, reason);
    }
    if spot.cyclic {
        desk.unpaired(span, Reason::CyclicParents);
        return;
    }
    if let Some(client) = twin {
        called(source, kin, client, span, own, desk);
        return;
    }
    if let Parent::Spot(parent) = spot.parent {
        let caller = source.span(kin.spots[parent as usize].row);
        let is_foreign = caller.service != span.service;
        let receives = is_receiver(span) || (span.kind == Kind::Server && caller.kind == Kind::Producer);
        if receives || (is_foreign && caller.kind == Kind::Producer) {
            receive(source, kin, links, place, Some(parent), desk);
        } else if is_foreign || (span.kind == Kind::Server && caller.kind == Kind::Client) {
            called(source, kin, parent, span, own, desk);
        }
        if !is_foreign {
            step(source, kin, parent, span, desk);
        }
        return;
    }
    if is_receiver(span) {
        receive(source, kin, links, place, None, desk);
        return;
    }
    let lack = lack(kin, place, span);
    if let Some(reason) = lack {
        desk.unpaired(span, reason);
    }
    match span.kind {
        Kind::Server => {
            if !span.peer.is_empty() {
                let caller = desk.external(span.peer);
                desk.call(caller, own, External, call_of(span));
            } else if lack.is_none() {
                let user = desk.user();
                desk.call(user, own, Rpc, call_of(span));
            }
            desk.entry(own, call_of(span));
        }
        // Work that begins by itself; what lost its parent may be a mere step.
        Kind::Internal | Kind::Unspecified if lack.is_none() => desk.entry(own, call_of(span)),
        _ => {}
    }
}

/// A call that waits for its answer.
fn called(source: &Source, kin: &mut Kin, caller: u32, span: &GraphSpan, own: u32, desk: &mut Desk) {
    let by = source.span(kin.spots[caller as usize].row);
    let from = desk.service(by.service);
    note_clock(by.start_ns, span, desk);
    desk.call(from, own, Rpc, Call { error: span.error || by.error, ..call_of(span) });
    desk.entry(own, call_of(span));
    climb(source, kin, caller, Some(desk));
}

/// A message that arrives, through the parent, links, or both.
fn receive(source: &Source, kin: &mut Kin, links: &mut Links, place: usize, parent: Option<u32>, desk: &mut Desk) {
    let span = source.span(kin.spots[place].row);
    let own = desk.service(span.service);
    let caller = parent.map(|parent| source.span(kin.spots[parent as usize].row));
    let is_step = caller.is_some_and(|caller| caller.service == span.service && is_receiver(caller));
    links.senders.clear();
    let is_sender = |sender: &Sender| sender.is_producer || sender.service != span.service;
    if let (Some(caller), Some(parent)) = (caller, parent)
        && is_sender(&caller.into())
    {
        links.senders.push(caller.into());
        climb(source, kin, parent, Some(desk));
    }
    let from_parent = links.senders.len();
    if is_receiver(span) {
        follow_links(source, links, span, desk);
        links.senders.retain(is_sender);
    }
    let from_parent = from_parent.min(links.senders.len());
    for sender in &links.senders[from_parent..] {
        if sender.is_producer {
            desk.books.link(sender.at, sender.start_ns);
        }
    }
    if is_step && (links.senders.is_empty() || caller.is_some_and(|caller| !caller.links.is_empty())) {
        return; // its receiving span has counted the message
    }
    if links.senders.is_empty() {
        let lack = lack(kin, place, span);
        if let Some(topic) = desk.topic(span.messaging_system, span.destination, span.peer) {
            desk.call(topic, own, Messaging, call_of(span));
        } else if let Some(reason) = lack {
            desk.unpaired(span, reason);
        } else if parent.is_some() {
            return; // a step within the service
        } else {
            let reason = if span.links.is_empty() { Reason::NoProducer } else { Reason::LinkNotStored };
            desk.unpaired(span, reason);
        }
        desk.entry(own, call_of(span));
        return;
    }
    if let Some(latest_ns) = links.senders.iter().map(|sender| sender.start_ns).max() {
        note_clock(latest_ns, span, desk);
    }
    links.routes.clear();
    for sender in &links.senders {
        let system = if span.messaging_system.is_empty() { sender.messaging_system } else { span.messaging_system };
        let told = if sender.is_producer {
            desk.topic(sender.messaging_system, sender.destination, sender.peer)
        } else {
            None
        };
        let topic = told.or_else(|| desk.topic(system, span.destination, span.peer));
        let service = desk.service(sender.service);
        links.routes.push(Route {
            via: topic.unwrap_or(service),
            publisher: (topic.is_some() && told.is_none()).then_some(service),
            duration_ns: sender.duration_ns,
            error: sender.error,
            is_direct: topic.is_none(),
        });
    }
    deliver(&mut links.routes, span, own, desk);
    desk.entry(own, call_of(span));
}

// One span counts once on every edge, however many of its links run along it.
fn deliver(routes: &mut [Route], span: &GraphSpan, own: u32, desk: &mut Desk) {
    routes.sort_unstable();
    for along in routes.chunk_by(|a, b| a.via == b.via) {
        let error = span.error || along.iter().any(|route| route.is_direct && route.error);
        desk.call(along[0].via, own, Messaging, Call { error, ..call_of(span) });
        for published in along.chunk_by(|a, b| a.publisher == b.publisher) {
            let longest = published[published.len() - 1];
            if let Some(publisher) = longest.publisher {
                let error = published.iter().any(|route| route.error);
                let call = Call { error, duration_ns: longest.duration_ns, ..call_of(span) };
                desk.call(publisher, along[0].via, Messaging, call);
            }
        }
    }
}

fn follow_links(source: &Source, links: &mut Links, span: &GraphSpan, desk: &mut Desk) {
    let mut targets = std::mem::take(&mut links.targets);
    targets.clear();
    targets.extend(span.links.iter().filter(|at| **at != span.at));
    targets.sort_unstable();
    targets.dedup();
    for at in &targets {
        let sender = match links.known.get(at) {
            Some(known) => *known,
            None => {
                let found = links.find(source, *at);
                links.known.insert(*at, found);
                found
            }
        };
        match sender {
            None => desk.books.want(*at, Reason::LinkNotStored),
            Some(sender) => {
                if minute_of(sender.start_ns) != links.minute_ns {
                    desk.books.want(*at, Reason::StoredElsewhere);
                }
                links.senders.push(sender);
            }
        }
    }
    links.targets = targets;
}

impl<'a> Links<'a> {
    pub(super) fn new(here: &'a Index, nearby: &'a Index, others: &'a Index, minute_ns: i64) -> Links<'a> {
        let (targets, senders, routes) = (Vec::new(), Vec::new(), Vec::new());
        Links { here, nearby, others, minute_ns, known: HashMap::default(), targets, senders, routes }
    }

    // This minute's spans first, wherever they stand, so that the cut into chunks does not show.
    fn find(&self, source: &Source, at: SpanRef) -> Option<Sender> {
        let found = [self.here, self.nearby, self.others].into_iter().map(|index| index.find(at));
        let mut rows: Vec<u32> = found.into_iter().find(|found| !found.is_empty())?.iter().map(|e| e.row).collect();
        let is_producer = |row: &u32| source.span(*row).kind == Kind::Producer;
        if rows.iter().any(is_producer) {
            rows.retain(is_producer);
        }
        source.first(&rows).as_ref().map(Sender::from)
    }
}

/// A step within the service. A client that names its peer may lie in another client that does not.
fn step(source: &Source, kin: &mut Kin, parent: u32, span: &GraphSpan, desk: &mut Desk) {
    let outer = kin.spots[parent as usize];
    let caller = source.span(outer.row);
    if !names_peer(span) || is_inner(span, caller) || !is_caller(caller) {
        return;
    }
    if outer.here {
        kin.spots[parent as usize].called = true;
    } else {
        desk.books.answer(caller.at, caller.start_ns);
    }
}

/// Marks a span and those around it within its service as having a callee. `desk` takes what is to be
/// told to other minutes.
fn climb(source: &Source, kin: &mut Kin, from: u32, mut desk: Option<&mut Desk>) {
    let mut place = from as usize;
    loop {
        let spot = kin.spots[place];
        let span = source.span(spot.row);
        if matches!(span.kind, Kind::Server | Kind::Consumer) {
            return;
        }
        if !spot.here {
            if let Some(desk) = &mut desk {
                desk.books.answer(span.at, span.start_ns);
            }
            return;
        }
        if std::mem::replace(&mut kin.spots[place].called, true) {
            return;
        }
        let Parent::Spot(parent) = spot.parent else { return };
        if source.span(kin.spots[parent as usize].row).service != span.service {
            return;
        }
        place = parent as usize;
    }
}

/// What a span calls that has no spans of its own.
fn leave(source: &Source, kin: &Kin, place: usize, desk: &mut Desk) {
    let spot = kin.spots[place];
    let span = source.span(spot.row);
    if matches!(span.kind, Kind::Server | Kind::Consumer) || is_receiver(span) {
        return;
    }
    let caller = match spot.parent {
        Parent::Spot(parent) => Some(source.span(kin.spots[parent as usize].row)),
        _ => None,
    };
    let outer = caller.filter(|caller| caller.service == span.service);
    if outer.is_some_and(|outer| is_inner(span, outer)) {
        return;
    }
    let is_client = matches!(span.kind, Kind::Client | Kind::Producer);
    let unsampled = (span.flags & FLAGS_KNOWN != 0 && span.flags & SAMPLED == 0).then_some(Reason::NotSampled);
    if span.kind == Kind::Producer {
        // Whether or not anybody receives it, the message went there.
        if let Some(topic) = desk.topic(span.messaging_system, span.destination, span.peer) {
            let own = desk.service(span.service);
            desk.call(own, topic, Messaging, call_of(span));
        } else if !spot.called {
            desk.wait(span, unsampled.unwrap_or(Reason::PeerUnknown));
        }
        return;
    }
    if spot.called {
        return;
    }
    let own = desk.service(span.service);
    let sends = !span.messaging_system.is_empty() || !span.destination.is_empty();
    if !span.db_system.is_empty() {
        let database = desk.database(span);
        desk.call(own, database, Database, call_of(span));
    } else if let Some(topic) =
        (is_client && sends).then(|| desk.topic(span.messaging_system, span.destination, span.peer)).flatten()
    {
        desk.call(own, topic, Messaging, call_of(span));
    } else if !span.peer.is_empty() && (is_client || (span.kind == Kind::Unspecified && outer.is_some())) {
        let external = desk.external(span.peer);
        desk.call(own, external, External, call_of(span));
        desk.unpaired(span, unsampled.unwrap_or(Reason::PeerNotInstrumented));
    } else if is_client {
        desk.unpaired(span, unsampled.unwrap_or(Reason::PeerUnknown));
    }
}

/// Whether the span takes messages: a consumer, or a client that receives (it links to what it got).
fn is_receiver(span: &GraphSpan) -> bool {
    span.kind == Kind::Consumer
        || (span.kind == Kind::Client && !span.messaging_system.is_empty() && !span.links.is_empty())
}

fn is_caller(span: &GraphSpan) -> bool {
    matches!(span.kind, Kind::Client | Kind::Producer)
}

fn names_peer(span: &GraphSpan) -> bool {
    let is_named = !span.destination.is_empty() || !span.peer.is_empty();
    (is_caller(span) && is_named) || (!matches!(span.kind, Kind::Server | Kind::Consumer) && !span.db_system.is_empty())
}

// Whether the outer span, of the same service, has told of the call already.
fn is_inner(span: &GraphSpan, outer: &GraphSpan) -> bool {
    if span.kind == Kind::Producer {
        outer.kind == Kind::Producer && names_peer(outer) && outer.destination == span.destination
    } else {
        names_peer(outer) && !is_receiver(outer)
    }
}

fn want_parent(kin: &Kin, place: usize, span: &GraphSpan, desk: &mut Desk) {
    let at = SpanRef { trace_low: span.at.trace_low, span_id: span.parent_id };
    match kin.spots[place].parent {
        Parent::Missing => desk.books.want(at, lack(kin, place, span).unwrap_or(Reason::ParentNotStored)),
        Parent::Spot(parent) if !kin.spots[parent as usize].here => {
            desk.books.want(at, Reason::StoredElsewhere);
        }
        _ => {}
    }
}

/// Why a span without a parent at hand has none; nothing is wrong with a root.
fn lack(kin: &Kin, place: usize, span: &GraphSpan) -> Option<Reason> {
    let reason = match kin.spots[place].parent {
        Parent::Spot(_) => return None,
        Parent::None if !span.shared => return None,
        Parent::Itself if !span.shared => return Some(Reason::SelfParent),
        Parent::Missing if kin.mixed => Reason::IdTruncated,
        Parent::Missing if span.weight > 1.0 => Reason::SampledOut,
        _ => Reason::ParentNotStored,
    };
    Some(if span.shared && span.kind == Kind::Server { Reason::ClientNotStored } else { reason })
}

fn note_clock(caller_start_ns: i64, span: &GraphSpan, desk: &mut Desk) {
    if span.start_ns.saturating_add(CLOCK_TOLERANCE_NS) < caller_start_ns {
        desk.unpaired(span, Reason::ClockSkew);
    }
}
