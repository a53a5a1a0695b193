//! The sums of a minute, by key, and their bounds.

use model::evidence::{
    AttributeRow, Count, Cut, Dist, END, EdgeRow, EdgeType, EventKind, EventRow, Evidence, OperationRow, OriginRow,
    PatternRow, RequestRow, START, TransitionRow,
};

use crate::graph::{Name, Names};

use super::bounded::Bounded;
use super::digest::{CallSeen, Digest, Info, Source};
use super::texts::{Texts, mix};

/// Rows of entry operations of a minute.
pub const REQUESTS_MAX: usize = 2_000;
/// Rows of operations of a minute.
pub const OPERATIONS_MAX: usize = 10_000;
/// Rows of edges of a minute.
pub const EDGES_MAX: usize = 10_000;
/// Rows of error origins of a minute.
pub const ORIGINS_MAX: usize = 4_000;
/// Rows of transitions of a minute.
pub const TRANSITIONS_MAX: usize = 40_000;
/// Events of a minute.
pub const EVENTS_MAX: usize = 20_000;
/// Rows of patterns of a minute.
pub const PATTERNS_MAX: usize = 10_000;
/// Rows of attribute values of a minute.
pub const ATTRIBUTES_MAX: usize = 10_000;

// Events that are remembered as named.
const NAMED: usize = 4_096;

// Bytes of an error's message that are kept.
const MESSAGE_BYTES_MAX: usize = 200;

// What an error is: exception type; else HTTP status, or gRPC's behind this many.
type What = (Name, u16);
const GRPC: u16 = 1_000;

/// The sums of a minute.
#[derive(Debug)]
pub(super) struct Tally {
    requests: Bounded<(Name, Name), (Count, Count, Dist)>,
    operations: Bounded<(Name, Name, bool), (Count, Count, Dist)>,
    edges: Bounded<(Name, Name, Name, EdgeType), Edge>,
    origins: Bounded<(Name, Name, What), Origin>,
    transitions: Bounded<(Name, Name, u64, u64), Count>,
    events: Bounded<(u64, bool), Option<Info>>,
    patterns: Bounded<(Name, u64, bool), [Count; 3]>,
    attributes: Bounded<(Name, Name, Name), Attribute>,
    cut: Cut,
    // Events named lately: nearly all are met again.
    named: Vec<(u64, Info)>,
    // Errors of the trace at hand: service, operation, what, starts here.
    errors: Vec<(Name, Name, What, bool, u32)>,
}

#[derive(Debug, Default)]
struct Edge {
    calls: Count,
    errors: Count,
    silent: Count,
    skewed: Count,
    parents: Count,
    retries: Count,
    latency: Dist,
    gap: Dist,
    peer: Name,
}

#[derive(Debug, Default)]
struct Origin {
    starts: Count,
    passes: Count,
    failed: Count,
    message: Option<String>,
}

#[derive(Debug, Default)]
struct Attribute {
    spans: Count,
    origins: Count,
    errors: Count,
    late: Count,
    early: Count,
    self_time: Dist,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            requests: Bounded::new(REQUESTS_MAX),
            operations: Bounded::new(OPERATIONS_MAX),
            edges: Bounded::new(EDGES_MAX),
            origins: Bounded::new(ORIGINS_MAX),
            transitions: Bounded::new(TRANSITIONS_MAX),
            events: Bounded::new(EVENTS_MAX),
            patterns: Bounded::new(PATTERNS_MAX),
            attributes: Bounded::new(ATTRIBUTES_MAX),
            cut: Cut::default(),
            named: vec![(0, Info::default()); NAMED],
            errors: Vec::new(),
        }
    }
}

impl Tally {
    /// Adds a trace.
    pub(super) fn take(&mut self, source: &Source, digest: &Digest) {
        self.cut.spans += digest.spans_cut;
        self.cut.events += digest.events_cut;
        self.take_spans(source, digest);
        self.take_errors(source, digest);
        self.take_calls(source, digest);
        self.take_events(source, digest);
        self.take_lines(source, digest);
    }

    fn take_spans(&mut self, source: &Source, digest: &Digest) {
        let texts = source.texts;
        for (place, seen) in digest.trace.spans.iter().enumerate() {
            let spot = &digest.tree.spots[place];
            let span = source.span(spot);
            let count = Count::new(span.weight);
            if let Some(row) =
                self.operations.at((span.service, span.operation, seen.is_caller), |key| rank2(texts, key.0, key.1))
            {
                row.0.add(count);
                row.1.add(if seen.error { count } else { Count::default() });
                row.2.add(seen.self_ns, count);
            }
            let more = digest.more[place];
            if more.entry as usize != place {
                continue;
            }
            if spot.is_root
                && let Some(row) = self.requests.at((span.service, span.operation), |key| rank2(texts, key.0, key.1))
            {
                row.0.add(count);
                row.1.add(if seen.error || digest.trace.failed { count } else { Count::default() });
                row.2.add(span.duration_ns, count);
            }
            let mut value = |key: Name, value: Name| {
                let rank = |key: &(Name, Name, Name)| mix(rank2(texts, key.0, key.1), texts.hash(key.2));
                let Some(row) = self.attributes.at((span.service, key, value), rank) else { return };
                row.spans.add(count);
                row.origins.add(if more.origin_inside { count } else { Count::default() });
                row.errors.add(if seen.error { count } else { Count::default() });
                row.late.add(if more.skewed_ns > 0 { count } else { Count::default() });
                row.early.add(if more.skewed_ns < 0 { count } else { Count::default() });
                row.self_time.add(more.inside_ns, count);
            };
            for (key, of) in [(VERSION, span.version), (INSTANCE, span.instance)] {
                if !of.is_empty() {
                    value(key, of);
                }
            }
            span.attributes.iter().filter(|(_, of)| !of.is_empty()).for_each(|(key, of)| value(*key, *of));
        }
    }

    // Once for each trace, however many spans say the same.
    fn take_errors(&mut self, source: &Source, digest: &Digest) {
        self.errors.clear();
        for (place, seen) in digest.trace.spans.iter().enumerate().filter(|(_, seen)| seen.error) {
            let span = source.span(&digest.tree.spots[place]);
            let kind = span.exceptions.first().map_or(Name::EMPTY, |exception| exception.kind);
            let status = match (kind.is_empty(), span.http_status, span.grpc_status) {
                (true, http @ 400.., _) => http.min(GRPC - 1),
                (true, _, grpc @ 1..) => grpc.saturating_add(GRPC),
                _ => 0,
            };
            self.errors.push((span.service, span.operation, (kind, status), seen.is_origin, place as u32));
        }
        let texts = source.texts;
        let key = |error: &(Name, Name, What, bool, u32)| {
            (texts.hash(error.0), texts.hash(error.1), texts.hash(error.2.0), error.2.1, error.3, error.4)
        };
        self.errors.sort_unstable_by_key(key);
        self.errors.dedup_by(|next, kept| (next.0, next.1, next.2, next.3) == (kept.0, kept.1, kept.2, kept.3));
        for (service, operation, what, starts, place) in &self.errors {
            let rank =
                |key: &(Name, Name, What)| mix(rank2(texts, key.0, key.1), texts.hash(key.2.0) ^ u64::from(key.2.1));
            let Some(row) = self.origins.at((*service, *operation, *what), rank) else { continue };
            if !starts {
                row.passes.add(digest.count);
                continue;
            }
            row.starts.add(digest.count);
            row.failed.add(if digest.trace.failed { digest.count } else { Count::default() });
            let span = source.span(&digest.tree.spots[*place as usize]);
            let message = span.exceptions.first().map_or(span.message, |exception| exception.message);
            let message = source.names.text(message);
            let cut = message.len().min(MESSAGE_BYTES_MAX);
            let end = (0..=cut).rev().find(|end| message.is_char_boundary(*end)).unwrap_or_default();
            let message = &message[..end];
            if !message.is_empty() && row.message.as_ref().is_none_or(|kept| message < kept.as_str()) {
                row.message = Some(message.to_owned());
            }
        }
    }

    fn take_calls(&mut self, source: &Source, digest: &Digest) {
        let texts = source.texts;
        let mut before: Option<&CallSeen> = None;
        for call in &digest.calls {
            let of = |call: &CallSeen| (call.unit, call.caller, call.operation, call.callee, call.edge);
            let again = before.filter(|before| of(before) == of(call));
            before = Some(call);
            let key = (call.caller, call.operation, call.callee, call.edge);
            let rank = |key: &(Name, Name, Name, EdgeType)| mix(rank2(texts, key.0, key.1), texts.hash(key.2));
            let Some(row) = self.edges.at(key, rank) else { continue };
            let when = |holds: bool| if holds { digest.count } else { Count::default() };
            row.calls.add(digest.count);
            row.errors.add(when(call.error));
            row.silent.add(when(call.silent));
            row.skewed.add(when(call.skewed));
            row.parents.add(when(again.is_none()));
            row.retries.add(when(again.is_some_and(|before| before.error)));
            row.latency.add(call.latency_ns, digest.count);
            if row.peer != call.peer && least(source.names, row.peer, call.peer) {
                row.peer = call.peer;
            }
            if let Some(gap_ns) = call.gap_ns {
                row.gap.add(gap_ns, digest.count);
            }
        }
    }

    fn take_events(&mut self, source: &Source, digest: &Digest) {
        for seen in &digest.trace.spans {
            let (service, operation) = (Name::of_number(seen.service), Name::of_number(seen.operation));
            let range = seen.events.start as usize..seen.events.end as usize;
            if range.is_empty() {
                continue;
            }
            let mut from = START;
            for (event, info) in digest.trace.events[range.clone()].iter().zip(&digest.infos[range]) {
                self.name_event(source.names, *event, *info);
                self.follow(source.texts, (service, operation, from, *event), digest.count);
                from = *event;
            }
            self.follow(source.texts, (service, operation, from, END), digest.count);
        }
    }

    fn follow(&mut self, texts: &Texts, key: (Name, Name, u64, u64), count: Count) {
        // By operation and first event, so that what may follow stays whole.
        let rank = |key: &(Name, Name, u64, u64)| mix(rank2(texts, key.0, key.1), key.2);
        if let Some(row) = self.transitions.at(key, rank) {
            row.add(count);
        }
    }

    fn name_event(&mut self, names: &Names, event: u64, info: Info) {
        let slot = &mut self.named[event as usize % NAMED];
        if *slot == (event, info) {
            return;
        }
        *slot = (event, info);
        let severe = info.severity >= 13;
        let Some(row) = self.events.at((event, severe), |key| priority(key.1, mix(key.0, 0))) else { return };
        // As rows of other minutes are added: the least.
        let order = |info: &Info| (info.kind, info.severity, names.text(info.second), names.text(info.first));
        match row {
            Some(known) if *known == info || order(known) < order(&info) => {}
            _ => *row = Some(info),
        }
    }

    fn take_lines(&mut self, source: &Source, digest: &Digest) {
        let texts = source.texts;
        let mut before = None;
        for (service, pattern, info) in &digest.lines {
            let severe = info.severity >= 13;
            self.name_event(source.names, *pattern, *info);
            let rank = |key: &(Name, u64, bool)| priority(key.2, mix(texts.hash(key.0), key.1));
            let Some(row) = self.patterns.at((*service, *pattern, severe), rank) else { continue };
            row[0].add(digest.count);
            if before != Some((*service, *pattern)) {
                row[if digest.trace.failed { 1 } else { 2 }].add(digest.count);
            }
            before = Some((*service, *pattern));
        }
    }

    /// The rows.
    pub(super) fn finish(self, names: &Names, texts: &Texts) -> Evidence {
        let text = |name: Name| names.text(name).to_owned();
        let mut evidence = Evidence { cut: self.cut, ..Evidence::default() };
        let mut cut = 0;
        let mut rows = |more: u64| cut += more;
        let (requests, more) = self.requests.finish(|key| rank2(texts, key.0, key.1));
        rows(more);
        evidence.requests.extend(requests.into_iter().map(|((service, operation), (requests, failed, duration))| {
            RequestRow { service: text(service), operation: text(operation), requests, failed, duration }
        }));
        let (operations, more) = self.operations.finish(|key| rank2(texts, key.0, key.1));
        rows(more);
        evidence.operations.extend(operations.into_iter().map(
            |((service, operation, is_caller), (spans, errors, self_time))| OperationRow {
                service: text(service),
                operation: text(operation),
                is_caller,
                spans,
                errors,
                self_time,
            },
        ));
        let (edges, more) = self.edges.finish(|key| mix(rank2(texts, key.0, key.1), texts.hash(key.2)));
        rows(more);
        evidence.edges.extend(edges.into_iter().map(|((caller, operation, callee, edge), of)| EdgeRow {
            caller: text(caller),
            operation: text(operation),
            callee: text(callee),
            edge,
            calls: of.calls,
            errors: of.errors,
            silent: of.silent,
            skewed: of.skewed,
            parents: of.parents,
            retries: of.retries,
            latency: of.latency,
            gap: of.gap,
            peer: text(of.peer),
        }));
        let (origins, more) =
            self.origins.finish(|key| mix(rank2(texts, key.0, key.1), texts.hash(key.2.0) ^ u64::from(key.2.1)));
        rows(more);
        evidence.origins.extend(origins.into_iter().map(|((service, operation, (kind, status)), of)| OriginRow {
            service: text(service),
            operation: text(operation),
            what: match status {
                0 => text(kind),
                GRPC.. => format!("gRPC {}", status - GRPC),
                _ => format!("HTTP {status}"),
            },
            starts: of.starts,
            passes: of.passes,
            failed: of.failed,
            message: of.message.unwrap_or_default(),
        }));
        let (transitions, more) = self.transitions.finish(|key| mix(rank2(texts, key.0, key.1), key.2));
        rows(more);
        evidence.transitions.extend(transitions.into_iter().map(|((service, operation, from, to), count)| {
            TransitionRow { service: text(service), operation: text(operation), from, to, count }
        }));
        let (events, more) = self.events.finish(|key| priority(key.1, mix(key.0, 0)));
        rows(more);
        evidence
            .events
            .extend(events.into_iter().map(|((event, _), info)| event_row(names, event, info.unwrap_or_default())));
        let (patterns, more) = self.patterns.finish(|key| priority(key.2, mix(texts.hash(key.0), key.1)));
        rows(more);
        evidence.patterns.extend(patterns.into_iter().map(|((service, event, _), [lines, failing, good])| {
            PatternRow { service: text(service), event, lines, failing, good }
        }));
        let (attributes, more) = self.attributes.finish(|key| mix(rank2(texts, key.0, key.1), texts.hash(key.2)));
        rows(more);
        evidence.attributes.extend(attributes.into_iter().map(|((service, key, value), of)| AttributeRow {
            service: text(service),
            key: attribute_key(names, key),
            value: text(value),
            spans: of.spans,
            origins: of.origins,
            errors: of.errors,
            late: of.late,
            early: of.early,
            self_time: of.self_time,
        }));
        evidence.cut.rows += cut;
        // Sorts, and adds up keys that differ in nothing that is kept.
        evidence.merge(Evidence::default());
        evidence
    }
}

// Numbers that no interner gives.
const VERSION: Name = Name::of_number(u32::MAX);
const INSTANCE: Name = Name::of_number(u32::MAX - 1);

fn attribute_key(names: &Names, key: Name) -> String {
    match key {
        VERSION => "service.version".to_owned(),
        INSTANCE => "service.instance.id".to_owned(),
        key => names.text(key).to_owned(),
    }
}

fn event_row(names: &Names, event: u64, info: Info) -> EventRow {
    let (first, second) = (names.text(info.first), names.text(info.second));
    let (text, location) = match info.kind {
        EventKind::Log => (first.to_owned(), second.to_owned()),
        EventKind::Exception => (first.to_owned(), String::new()),
        EventKind::Call if first.is_empty() => (second.to_owned(), String::new()),
        EventKind::Call => (format!("{first} {second}"), String::new()),
    };
    EventRow { event, kind: info.kind, text, location, severity: info.severity }
}

// Whether the second text is one, and less than the first, if that is one.
fn least(names: &Names, kept: Name, other: Name) -> bool {
    !other.is_empty() && (kept.is_empty() || names.text(other) < names.text(kept))
}

fn rank2(texts: &Texts, a: Name, b: Name) -> u64 {
    mix(texts.hash(a), texts.hash(b))
}

// What is severe stays longest.
fn priority(severe: bool, rank: u64) -> u64 {
    if severe { rank >> 1 } else { rank >> 1 | 1 << 63 }
}
