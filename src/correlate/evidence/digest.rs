//! What one trace tells: own times, gaps, errors and where they start, events in order, calls.
//!
//! - *Own time*: a span's duration without the union of its children's. Messages are nobody's time. A child
//!   on another clock that lies outside its parent is moved to the middle of it first. Event loops hang the
//!   call of a step beside the step instead of below it: what encloses a sibling's call waits for it.
//! - *Gap*: client span minus server span. Without kinds, a span with exactly one child, in another service,
//!   is a client.
//! - *Where an error starts*: an error span with no error below it.

use model::evidence::{Count, EdgeType, EventKind, SampleSpan, SampleTrace};

use crate::graph::{Kind, Name, Names, SpanRef};

use super::span::{EvidenceLog, EvidenceSpan, PeerType};
use super::texts::Texts;
use super::tree::{Spot, Tree, arrives, is_message};

/// A server span may lie outside its client span by this much before clocks are called skewed.
pub(super) const CLOCK_TOLERANCE_NS: i64 = 20_000_000;

/// Events of one span that are kept.
pub(super) const EVENTS_MAX: usize = 256;

/// One trace, digested; the room is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Digest {
    pub(super) tree: Tree,
    pub(super) trace: SampleTrace,
    pub(super) more: Vec<More>,
    pub(super) calls: Vec<CallSeen>,
    /// Lines of the trace: service, pattern, what it is.
    pub(super) lines: Vec<(Name, u64, Info)>,
    pub(super) count: Count,
    pub(super) events_cut: u64,
    pub(super) spans_cut: u64,
    /// What the events of the trace are, each beside it.
    pub(super) infos: Vec<Info>,
    callers: Vec<bool>,
    found: Vec<(i64, u8, u64, Info)>,
    intervals: Vec<(i64, i64)>,
    logs: Vec<(u64, u32)>,
}

/// What the rows want to know of a span beyond what a sample keeps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct More {
    /// The first span of this service above it, itself included: where the work entered the service.
    pub(super) entry: u32,
    /// Of an entering span: own times in the service, summed up.
    pub(super) inside_ns: u64,
    /// Of an entering span: whether an error starts in the service.
    pub(super) origin_inside: bool,
    /// How far the span lies outside of its caller's, nanoseconds: behind it positive, before it negative; 0 within
    /// the clocks' tolerance.
    pub(super) skewed_ns: i64,
}

/// A call or message.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallSeen {
    /// Place of the span around the client span, whose work it is.
    pub(super) unit: u32,
    pub(super) caller: Name,
    pub(super) operation: Name,
    pub(super) callee: Name,
    /// How the caller names it.
    pub(super) peer: Name,
    pub(super) edge: EdgeType,
    pub(super) start_ns: i64,
    pub(super) error: bool,
    pub(super) silent: bool,
    pub(super) skewed: bool,
    pub(super) latency_ns: u64,
    pub(super) gap_ns: Option<u64>,
}

/// What an event is, texts numbered: a line's template and location, or a callee and its operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) kind: EventKind,
    pub(super) first: Name,
    pub(super) second: Name,
    pub(super) severity: u8,
}

impl Info {
    pub(super) fn of_line(log: &EvidenceLog) -> Info {
        Info { kind: EventKind::Log, first: log.template, second: log.location, severity: log.severity }
    }

    fn of_call(service: Name, operation: Name) -> Info {
        Info { kind: EventKind::Call, first: service, second: operation, severity: 0 }
    }
}

impl Digest {
    /// Takes up the trace with these rows of spans and of logs.
    pub(super) fn load(&mut self, source: &Source, rows: &[u32], logs: &[u32]) {
        let mut kept = std::borrow::Cow::Borrowed(rows);
        if rows.len() > SampleTrace::SPANS_MAX {
            // Those that began first: roots before what they did endlessly.
            let order = |row: &u32| (source.spans[*row as usize].start_ns, source.spans[*row as usize].at.span_id);
            kept.to_mut().sort_by_key(order);
            kept.to_mut().truncate(SampleTrace::SPANS_MAX);
        }
        self.spans_cut = (rows.len() - kept.len()) as u64;
        self.events_cut = 0;
        self.tree
            .load(source.spans, &kept, |span| (source.texts.hash(span.service), source.texts.hash(span.operation)));
        self.trace.spans.clear();
        self.trace.events.clear();
        self.more.clear();
        self.calls.clear();
        self.lines.clear();
        self.infos.clear();
        self.read_spans(source);
        self.read_errors();
        self.read_calls(source);
        self.read_events(source, logs);
        self.sum_up(source);
    }

    fn read_spans(&mut self, source: &Source) {
        self.callers.clear();
        self.callers.extend(self.tree.spots.iter().map(|spot| is_caller(source, &self.tree, spot)));
        for (place, spot) in self.tree.spots.iter().enumerate() {
            let span = source.span(spot);
            let is_caller = self.callers[place];
            let parent = spot.parent.map(|parent| source.span(&self.tree.spots[parent as usize]));
            let arriving = parent.filter(|parent| arrives(parent, span));
            let waits = arriving.filter(|parent| !is_message(parent, span));
            let from_caller =
                waits.is_some() && spot.parent.is_some_and(|parent| self.trace.spans[parent as usize].is_caller);
            let skewed_ns = waits.map_or(0, |parent| lies_outside(parent, span));
            let entry = match (spot.parent, arriving) {
                (Some(parent), None) => self.more[parent as usize].entry,
                _ => place as u32,
            };
            let self_ns = own_time(source, &self.tree, &self.callers, place, &mut self.intervals);
            self.trace.spans.push(SampleSpan {
                span_id: span.at.span_id,
                parent: spot.parent,
                service: span.service.number() as u32,
                operation: span.operation.number() as u32,
                instance: span.instance.number() as u32,
                version: span.version.number() as u32,
                duration_ns: span.duration_ns,
                self_ns,
                is_caller,
                gap_ns: waits.filter(|_| from_caller).map(|client| client.duration_ns.saturating_sub(span.duration_ns)),
                error: is_error(span),
                is_origin: false,
                events: 0..0,
            });
            self.more.push(More { entry, skewed_ns, ..More::default() });
            if !is_caller {
                let inside = &mut self.more[entry as usize].inside_ns;
                *inside = inside.saturating_add(self_ns);
            }
        }
    }

    // Children stand behind their parents, so one way back sees the deepest first.
    fn read_errors(&mut self) {
        let spans = &mut self.trace.spans;
        let mut below = vec![false; spans.len()];
        for place in (0..spans.len()).rev() {
            spans[place].is_origin = spans[place].error && !below[place];
            if spans[place].is_origin {
                let entry = self.more[place].entry as usize;
                self.more[entry].origin_inside = true;
            }
            if let Some(parent) = spans[place].parent {
                below[parent as usize] |= below[place] || spans[place].error;
            }
        }
    }

    fn read_calls(&mut self, source: &Source) {
        for (place, spot) in self.tree.spots.iter().enumerate() {
            let span = source.span(spot);
            if let Some(parent) = spot.parent {
                let client = &self.tree.spots[parent as usize];
                let by = source.span(client);
                if arrives(by, span) {
                    let message = is_message(by, span);
                    let calls = self.trace.spans[parent as usize].is_caller;
                    let waited = span.start_ns.saturating_sub(by.start_ns.saturating_add_unsigned(by.duration_ns));
                    self.calls.push(CallSeen {
                        unit: if calls || message { client.parent.unwrap_or(parent) } else { parent },
                        caller: by.service,
                        operation: by.operation,
                        callee: span.service,
                        peer: if calls { by.peer } else { Name::EMPTY },
                        edge: if message { EdgeType::Messaging } else { EdgeType::Rpc },
                        start_ns: if calls { by.start_ns } else { span.start_ns },
                        error: is_error(span) || (calls && is_error(by)),
                        silent: false,
                        skewed: self.more[place].skewed_ns != 0,
                        latency_ns: if calls { by.duration_ns } else { span.duration_ns },
                        gap_ns: if message { Some(waited.max(0) as u64) } else { self.trace.spans[place].gap_ns },
                    });
                }
            }
            let has_callee = self.trace.spans[place].is_caller;
            let names = span.peer_type == PeerType::Database && !span.peer.is_empty();
            if (span.kind == Kind::Client || (names && span.kind == Kind::Unspecified)) && !has_callee {
                let edge = match span.peer_type {
                    PeerType::Service => EdgeType::External,
                    PeerType::Database => EdgeType::Database,
                    PeerType::Topic => continue,
                };
                self.calls.push(CallSeen {
                    unit: spot.parent.unwrap_or(place as u32),
                    caller: span.service,
                    operation: span.operation,
                    callee: span.peer,
                    peer: span.peer,
                    edge,
                    start_ns: span.start_ns,
                    error: is_error(span),
                    silent: edge == EdgeType::External,
                    skewed: false,
                    latency_ns: span.duration_ns,
                    gap_ns: None,
                });
            }
            for link in if matches!(span.kind, Kind::Consumer | Kind::Client) { &span.links[..] } else { &[] } {
                let Some(sender) = source.sender(*link).filter(|sender| sender.service != span.service) else {
                    continue;
                };
                let sent_ns = sender.start_ns.saturating_add_unsigned(sender.duration_ns);
                self.calls.push(CallSeen {
                    unit: place as u32,
                    caller: sender.service,
                    operation: sender.operation,
                    callee: span.service,
                    peer: Name::EMPTY,
                    edge: EdgeType::Messaging,
                    start_ns: span.start_ns,
                    error: is_error(span),
                    silent: false,
                    skewed: false,
                    latency_ns: span.duration_ns,
                    gap_ns: Some(span.start_ns.saturating_sub(sent_ns).max(0) as u64),
                });
            }
        }
        let texts = source.texts;
        self.calls.sort_by_key(|call| {
            let of = |name| texts.hash(name);
            (call.unit, of(call.caller), of(call.operation), of(call.callee), call.edge, call.start_ns, call.error)
        });
    }

    fn read_events(&mut self, source: &Source, logs: &[u32]) {
        self.logs.clear();
        for row in logs {
            let log = &source.logs[*row as usize];
            self.lines.push((log.service, log.pattern, Info::of_line(log)));
            self.logs.push((self.span_of(source, log), *row));
        }
        self.logs.sort_unstable();
        self.lines.sort_unstable_by_key(|(service, pattern, _)| (source.texts.hash(*service), *pattern));
        let mut lines = &self.logs[..];
        // Spans by id, so that the lines, which are sorted by id too, are met in one pass.
        let mut by_id: Vec<(u64, u32)> =
            self.trace.spans.iter().enumerate().map(|(place, span)| (span.span_id, place as u32)).collect();
        by_id.sort_unstable();
        for (at, (span_id, place)) in by_id.iter().enumerate() {
            let spot = &self.tree.spots[*place as usize];
            let span = source.span(spot);
            self.found.clear();
            while lines.first().is_some_and(|line| line.0 < *span_id) {
                lines = &lines[1..];
            }
            let shares_next = by_id.get(at + 1).is_some_and(|next| next.0 == *span_id);
            let mut own = lines;
            while let Some(line) = own.first().filter(|line| line.0 == *span_id) {
                let log = &source.logs[line.1 as usize];
                // Two spans under one id: each takes the lines of its service.
                if !shares_next && (at == 0 || by_id[at - 1].0 != *span_id) || log.service == span.service {
                    self.found.push((log.time_ns, 1, log.pattern, Info::of_line(log)));
                }
                own = &own[1..];
            }
            for exception in &span.exceptions {
                let info =
                    Info { kind: EventKind::Exception, first: exception.kind, second: Name::EMPTY, severity: 17 };
                self.found.push((exception.time_ns, 2, source.texts.exception(exception.kind), info));
            }
            for child in spot.children.0..spot.children.1 {
                if let Some(info) = self.call_event(source, span, child) {
                    let start_ns = source.span(&self.tree.spots[child as usize]).start_ns;
                    self.found.push((start_ns, 0, source.texts.call(info.first, info.second), info));
                }
            }
            if self.found.len() > EVENTS_MAX {
                self.events_cut += (self.found.len() - EVENTS_MAX) as u64;
            }
            self.found.sort_unstable_by_key(|found| (found.0, found.1, found.2));
            self.found.truncate(EVENTS_MAX);
            // How often a loop went round is no difference.
            self.found.dedup_by_key(|found| found.2);
            let start = self.trace.events.len() as u32;
            self.trace.events.extend(self.found.iter().map(|found| found.2));
            self.infos.extend(self.found.iter().map(|found| found.3));
            self.trace.spans[*place as usize].events = start..self.trace.events.len() as u32;
        }
    }

    // The child as an event of its parent: whom it calls, else what it does.
    fn call_event(&self, source: &Source, parent: &EvidenceSpan, place: u32) -> Option<Info> {
        let spot = &self.tree.spots[place as usize];
        let child = source.span(spot);
        if is_message(parent, child) {
            return None;
        }
        if arrives(parent, child) {
            return Some(Info::of_call(child.service, child.operation));
        }
        if self.trace.spans[place as usize].is_caller {
            let callee = source.span(&self.tree.spots[spot.children.0 as usize]);
            return Some(Info::of_call(callee.service, callee.operation));
        }
        Some(Info::of_call(Name::EMPTY, child.operation))
    }

    // A line without a span id goes to the deepest span of its service that covers it.
    fn span_of(&self, source: &Source, log: &EvidenceLog) -> u64 {
        if log.at.span_id != 0 {
            return log.at.span_id;
        }
        let covers = |span: &&EvidenceSpan| {
            let end_ns = span.start_ns.saturating_add_unsigned(span.duration_ns);
            span.service == log.service && (span.start_ns..=end_ns).contains(&log.time_ns)
        };
        let spots = &self.tree.spots[..self.tree.spots.len().min(CROWD)];
        spots.iter().rev().map(|spot| source.span(spot)).find(covers).map_or(0, |span| span.at.span_id)
    }

    fn sum_up(&mut self, source: &Source) {
        let spots = &self.tree.spots;
        let spans = || spots.iter().map(|spot| source.span(spot));
        self.trace.start_ns = spans().map(|span| span.start_ns).min().unwrap_or_default();
        let first = spots.iter().find(|spot| spot.is_root).or(spots.first()).map(|spot| source.span(spot));
        let low = first.map_or(0, |span| span.at.trace_low);
        let high = spans().map(|span| span.trace_high).max().unwrap_or_default();
        self.trace.trace_id = u128::from(high) << 64 | u128::from(low);
        self.trace.weight = first.map_or(1.0, |span| span.weight);
        self.count = Count::new(self.trace.weight);
        let says = |span: &EvidenceSpan| is_error(span) || span.kind != Kind::Unspecified || span.http_status != 0;
        self.trace.failed = if spans().any(says) {
            first.is_some_and(is_error)
        } else {
            self.logs.iter().any(|(_, row)| (17..=24).contains(&source.logs[*row as usize].severity))
        };
    }
}

// So many spans are searched for a line that names none.
const CROWD: usize = 256;

/// The rows at hand, and where links lead.
pub(super) struct Source<'a> {
    pub(super) names: &'a Names,
    pub(super) texts: &'a Texts,
    pub(super) spans: &'a [EvidenceSpan],
    pub(super) logs: &'a [EvidenceLog],
    /// Spans that links lead to, by their ids.
    pub(super) senders: &'a [(SpanRef, &'a EvidenceSpan)],
}

impl Source<'_> {
    pub(super) fn span(&self, spot: &Spot) -> &EvidenceSpan {
        &self.spans[spot.row as usize]
    }

    fn sender(&self, at: SpanRef) -> Option<&EvidenceSpan> {
        let start = self.senders.partition_point(|(known, _)| *known < at);
        self.senders.get(start).filter(|(known, _)| *known == at).map(|(_, span)| *span)
    }
}

/// Whether a span failed.
pub(super) fn is_error(span: &EvidenceSpan) -> bool {
    span.error || span.http_status >= 500
}

fn is_caller(source: &Source, tree: &Tree, spot: &Spot) -> bool {
    let span = source.span(spot);
    let mut children = (spot.children.0..spot.children.1).map(|place| source.span(&tree.spots[place as usize]));
    let calls = |child: &EvidenceSpan| arrives(span, child) && !is_message(span, child);
    match span.kind {
        Kind::Client => children.any(calls),
        Kind::Unspecified | Kind::Internal => spot.children.1 - spot.children.0 == 1 && children.all(calls),
        _ => false,
    }
}

fn lies_outside(parent: &EvidenceSpan, child: &EvidenceSpan) -> i64 {
    let end = |span: &EvidenceSpan| span.start_ns.saturating_add_unsigned(span.duration_ns);
    let before = parent.start_ns.saturating_sub(child.start_ns);
    let behind = end(child).saturating_sub(end(parent));
    if child.duration_ns > parent.duration_ns || before.max(behind) <= CLOCK_TOLERANCE_NS {
        0 // it went on after its caller had turned away, or all is well
    } else if behind > before {
        behind
    } else {
        before.saturating_neg()
    }
}

// Of more siblings none are looked at.
const SIBLINGS: u32 = 64;

fn own_time(source: &Source, tree: &Tree, callers: &[bool], place: usize, intervals: &mut Vec<(i64, i64)>) -> u64 {
    let spot = &tree.spots[place];
    let span = source.span(spot);
    let siblings = match spot.parent.map(|parent| tree.spots[parent as usize].children) {
        Some(range) if !callers[place] && range.1 - range.0 <= SIBLINGS => range.0..range.1,
        _ => 0..0,
    };
    if spot.children.0 == spot.children.1 && siblings.len() < 2 {
        return span.duration_ns;
    }
    let end = |span: &EvidenceSpan| span.start_ns.saturating_add_unsigned(span.duration_ns);
    intervals.clear();
    for place in spot.children.0..spot.children.1 {
        let child = source.span(&tree.spots[place as usize]);
        if is_message(span, child) {
            continue;
        }
        let mut start = child.start_ns;
        if arrives(span, child)
            && child.duration_ns <= span.duration_ns
            && (start < span.start_ns || end(child) > end(span))
        {
            start = span.start_ns.saturating_add_unsigned((span.duration_ns - child.duration_ns) / 2);
        }
        let stop = start.saturating_add_unsigned(child.duration_ns).min(end(span));
        intervals.push((start.max(span.start_ns), stop));
    }
    for other in siblings.filter(|other| callers[*other as usize]) {
        let call = source.span(&tree.spots[other as usize]);
        if call.service == span.service && call.start_ns >= span.start_ns && end(call) <= end(span) {
            intervals.push((call.start_ns, end(call)));
        }
    }
    intervals.sort_unstable();
    let (mut covered, mut reached) = (0u64, span.start_ns);
    for (start, stop) in intervals.iter() {
        let start = (*start).max(reached);
        if *stop > start {
            covered = covered.saturating_add(stop.abs_diff(start));
            reached = *stop;
        }
    }
    span.duration_ns.saturating_sub(covered)
}
