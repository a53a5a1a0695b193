//! Counts as a store would: by slot and subject, from spans and lines as they fall due.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use correlate::evidence::EvidenceSpan;
use correlate::graph::{Kind, Name, Names, Sketch};
use watch::{Observation, Subject};

use super::SECOND_NS;
use super::read::{Read, What};

/// Two sides of a call disagree when they differ by more than the way can take.
const SKEW_NS: i64 = 200_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Entry(Id, Id),
    Call(Id, Id, Id),
    Wait(Id, Id),
    Roots(Id),
    Lines(Id, u64, u8),
    Clock(Id),
}

// A name, numbered in the order of appearance.
type Id = u32;

#[derive(Default)]
struct Cell {
    requests: f64,
    errors: f64,
    latency: Sketch,
}

#[derive(Clone, Copy)]
struct Side {
    service: Id,
    operation: Id,
    kind: Kind,
    start_ns: i64,
    end_ns: i64,
}

pub struct Counter {
    waits: bool,
    pending: BinaryHeap<Reverse<(i64, u64)>>,
    items: HashMap<u64, Read>,
    number: u64,
    cells: BTreeMap<(i64, Key), Cell>,
    touched: BTreeSet<(i64, Key)>,
    callers: HashMap<u64, Side>,
    waiting: HashMap<u64, Vec<Side>>,
    edges: BTreeSet<(String, String)>,
    ids: HashMap<Name, Id>,
    names: Vec<String>,
}

impl Counter {
    pub fn new(waits: bool) -> Counter {
        Counter {
            waits,
            pending: BinaryHeap::new(),
            items: HashMap::new(),
            number: 0,
            cells: BTreeMap::new(),
            touched: BTreeSet::new(),
            callers: HashMap::new(),
            waiting: HashMap::new(),
            edges: BTreeSet::new(),
            ids: HashMap::new(),
            names: Vec::new(),
        }
    }

    pub fn queue(&mut self, read: Vec<Read>) {
        for item in read {
            self.number += 1;
            self.pending.push(Reverse((item.due_ns, self.number)));
            self.items.insert(self.number, item);
        }
    }

    pub fn edges(&self) -> Vec<(String, String)> {
        self.edges.iter().cloned().collect()
    }

    /// The slots that changed, as they are now.
    pub fn due(&mut self, names: &Names, until_ns: i64) -> Vec<Observation> {
        while let Some(Reverse((due_ns, number))) = self.pending.peek().copied() {
            if due_ns > until_ns {
                break;
            }
            self.pending.pop();
            if let Some(item) = self.items.remove(&number) {
                self.count(names, item);
            }
        }
        let touched = std::mem::take(&mut self.touched);
        touched.iter().map(|(slot_s, key)| self.tell(*slot_s, *key)).collect()
    }

    /// All slots of the last hour.
    pub fn all(&self, now_ns: i64) -> Vec<Observation> {
        let from_s = now_ns / SECOND_NS - 3_600;
        self.cells
            .keys()
            .filter(|(slot_s, _)| *slot_s >= from_s)
            .map(|(slot_s, key)| self.tell(*slot_s, *key))
            .collect()
    }

    fn count(&mut self, names: &Names, item: Read) {
        match item.what {
            What::Line { service, pattern, severity, time_ns, .. } => {
                let service = self.id(names, service);
                self.cell(time_ns, Key::Lines(service, pattern, severity)).requests += 1.0;
            }
            What::Span(span) => self.count_span(names, &span),
        }
    }

    fn count_span(&mut self, names: &Names, span: &EvidenceSpan) {
        let [service, operation, peer] = [span.service, span.operation, span.peer].map(|name| self.id(names, name));
        let calls = matches!(span.kind, Kind::Client | Kind::Producer);
        let enters = matches!(span.kind, Kind::Server | Kind::Consumer);
        let key = if calls {
            Some(Key::Call(service, operation, peer))
        } else if enters || span.parent_id == 0 {
            Some(Key::Entry(service, operation))
        } else {
            None
        };
        if let Some(key) = key {
            let cell = self.cell(span.start_ns, key);
            cell.requests += 1.0;
            cell.errors += f64::from(u8::from(span.error));
            cell.latency.add(span.duration_ns, 1.0);
        }
        if span.kind == Kind::Server && span.parent_id == 0 && !span.shared {
            self.cell(span.start_ns, Key::Roots(service)).requests += 1.0;
        }
        let side = Side {
            service,
            operation,
            kind: span.kind,
            start_ns: span.start_ns,
            end_ns: span.start_ns + span.duration_ns as i64,
        };
        if calls {
            let id = span.at.span_id;
            self.callers.insert(id, side);
            for callee in self.waiting.remove(&id).unwrap_or_default() {
                self.pair(side, callee);
            }
        }
        if enters {
            let parent = if span.shared { span.at.span_id } else { span.parent_id };
            let of = span
                .links
                .first()
                .filter(|_| span.kind == Kind::Consumer && parent == 0)
                .map_or(parent, |link| link.span_id);
            match self.callers.get(&of).copied() {
                Some(caller) => self.pair(caller, side),
                None if of != 0 => self.waiting.entry(of).or_default().push(side),
                None => {}
            }
        }
    }

    fn pair(&mut self, caller: Side, callee: Side) {
        let name = |id: &Id| self.names[*id as usize].clone();
        self.edges.insert((name(&caller.service), name(&callee.service)));
        if callee.kind == Kind::Consumer {
            if self.waits {
                let cell = self.cell(callee.start_ns, Key::Wait(callee.service, callee.operation));
                cell.requests += 1.0;
                cell.latency.add((callee.start_ns - caller.end_ns).max(0) as u64, 1.0);
            }
            return;
        }
        let wrong = callee.start_ns < caller.start_ns - SKEW_NS || callee.end_ns > caller.end_ns + SKEW_NS;
        let cell = self.cell(callee.start_ns, Key::Clock(callee.service));
        cell.requests += 1.0;
        cell.errors += f64::from(u8::from(wrong));
    }

    fn cell(&mut self, at_ns: i64, key: Key) -> &mut Cell {
        let slot_s = at_ns / SECOND_NS / 10 * 10;
        self.touched.insert((slot_s, key));
        self.cells.entry((slot_s, key)).or_default()
    }

    fn id(&mut self, names: &Names, name: Name) -> Id {
        *self.ids.entry(name).or_insert_with(|| {
            self.names.push(names.text(name).to_owned());
            self.names.len() as Id - 1
        })
    }

    fn tell(&self, slot_s: i64, key: Key) -> Observation {
        let cell = &self.cells[&(slot_s, key)];
        let name = |id: Id| self.names[id as usize].clone();
        let subject = match key {
            Key::Entry(service, operation) => Subject::Entry { service: name(service), operation: name(operation) },
            Key::Call(service, operation, peer) => {
                Subject::Call { service: name(service), operation: name(operation), peer: name(peer) }
            }
            Key::Wait(service, operation) => Subject::Wait { service: name(service), operation: name(operation) },
            Key::Roots(service) => Subject::Roots { service: name(service) },
            Key::Lines(service, pattern, severity) => Subject::Lines { service: name(service), pattern, severity },
            Key::Clock(service) => Subject::Clock { service: name(service) },
        };
        let (requests, errors) = (cell.requests, cell.errors);
        Observation { slot_s, subject, requests, errors, latency: cell.latency.buckets() }
    }
}
