//! One trace: its spans, each with its parent. Whatever the ids say, the work stays near linear: rows
//! under one id are put in order once, choices among many are remembered, circles are walked once.

use std::collections::HashMap;
use std::ops::Range;

use super::index::Entry;
use super::names::Name;
use super::source::Source;
use super::span::{GraphSpan, Kind};

/// A span of the trace at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) id: u64,
    pub(super) row: u32,
    pub(super) parent: Parent,
    /// Whether it is of the minute that is being paired.
    pub(super) here: bool,
    /// Whether its callee is stored.
    pub(super) called: bool,
    /// Whether it is its own ancestor.
    pub(super) cyclic: bool,
}

/// A span's parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// It names none.
    None,
    /// It names itself.
    Itself,
    /// It is not at hand.
    Missing,
    /// The spot's number.
    Spot(u32),
}

/// The spans of one trace; the room is used again for the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Kin {
    /// Sorted by id; under one id in canonical order.
    pub(super) spots: Vec<Spot>,
    /// Whether the trace has ids of both widths.
    pub(super) mixed: bool,
    rows: Vec<u32>,
    seen_from: Vec<u32>,
    crowds: HashMap<u64, Crowd, foldhash::fast::RandomState>,
}

// Among many spans under one id, the choice for each service.
type Crowd = HashMap<Name, u32, foldhash::fast::RandomState>;

// Above this many spans under one id, choices are remembered.
const CROWD: usize = 8;

const UNSEEN: u32 = u32::MAX;

impl Kin {
    /// Takes up a trace: `here` are its rows of this minute, `others` those looked up.
    pub(super) fn load(&mut self, source: &mut Source, here: &[Entry], others: &[Entry]) {
        self.spots.clear();
        if !self.crowds.is_empty() {
            self.crowds = HashMap::default(); // clearing a large one for every trace would cost more
        }
        let (mut a, mut b) = (0, 0);
        while a < here.len() || b < others.len() {
            let id_at = |entries: &[Entry], place: usize| entries.get(place).map(|entry| entry.at.span_id);
            let (left, right) = (id_at(here, a), id_at(others, b));
            let id = left.into_iter().chain(right).min().unwrap_or_default();
            // Here, nearly always, one row stands alone.
            if left == Some(id) && right != Some(id) && id_at(here, a + 1) != Some(id) {
                self.push(here[a].row, id, true);
                a += 1;
                continue;
            }
            a = self.load_rows(source, here, a, id, true);
            b = self.load_rows(source, others, b, id, false);
            self.order_group(source, id);
        }
        let mut widths = [false; 2];
        for spot in self.spots.iter().filter(|spot| spot.here) {
            widths[usize::from(source.span(spot.row).trace_high != 0)] = true;
        }
        self.mixed = widths == [true; 2];
        self.find_parents(source);
        self.find_cycles();
    }

    /// The spots with this id.
    pub(super) fn group(&self, id: u64) -> Range<usize> {
        let start = self.spots.partition_point(|spot| spot.id < id);
        let mut end = start;
        while end < self.spots.len() && end < start + CROWD && self.spots[end].id == id {
            end += 1;
        }
        if end == start + CROWD {
            end += self.spots[end..].partition_point(|spot| spot.id == id);
        }
        start..end
    }

    /// The client of a server that joined its span (Zipkin): same id, and either marked as shared or
    /// with the client's parent.
    pub(super) fn twin(&self, source: &Source, spot: usize) -> Option<u32> {
        let server = source.span(self.spots[spot].row);
        let client = self.first_of(source, self.neighbours(spot), Kind::Client)?;
        let parent_id = source.span(self.spots[client as usize].row).parent_id;
        let joined = server.shared || server.parent_id == parent_id || server.parent_id == server.at.span_id;
        joined.then_some(client)
    }

    /// Whether a client of this minute has the spot's id.
    pub(super) fn has_client_here(&self, source: &Source, spot: usize) -> bool {
        let range = self.neighbours(spot);
        let is_client = |spot: &Spot| source.span(spot.row).kind >= Kind::Client;
        let start = range.start + self.spots[range.clone()].partition_point(|spot| !is_client(spot));
        let clients = self.spots[start..range.end].iter();
        clients.take_while(|spot| source.span(spot.row).kind == Kind::Client).take(CROWD).any(|spot| spot.here)
    }

    /// Whether the spot's id says more than it can: one client and one server may share an id, no others.
    pub(super) fn is_surplus(&self, source: &Source, spot: usize) -> bool {
        let lone = |place: usize| self.spots.get(place).is_none_or(|other| other.id != self.spots[spot].id);
        if lone(spot + 1) && (spot == 0 || lone(spot - 1)) {
            return false;
        }
        let range = self.neighbours(spot);
        let first = |kind| self.first_of(source, range.clone(), kind);
        let (client, server) = (first(Kind::Client), first(Kind::Server));
        let place = Some(spot as u32);
        place != client && place != server && (client.or(server).is_some() || spot != range.start)
    }

    fn neighbours(&self, spot: usize) -> Range<usize> {
        let id = self.spots[spot].id;
        let lone =
            self.spots.get(spot + 1).is_none_or(|next| next.id != id) && (spot == 0 || self.spots[spot - 1].id != id);
        if lone { spot..spot + 1 } else { self.group(id) }
    }

    fn first_of(&self, source: &Source, range: Range<usize>, kind: Kind) -> Option<u32> {
        // Canonical order begins with the kind.
        let start = range.start + self.spots[range.clone()].partition_point(|spot| source.span(spot.row).kind < kind);
        (start < range.end && source.span(self.spots[start].row).kind == kind).then_some(start as u32)
    }

    fn push(&mut self, row: u32, id: u64, here: bool) {
        self.spots.push(Spot { id, row, parent: Parent::None, here, called: false, cyclic: false });
    }

    fn load_rows(&mut self, source: &mut Source, entries: &[Entry], from: usize, id: u64, here: bool) -> usize {
        let count = entries[from..].partition_point(|entry| entry.at.span_id == id);
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        rows.extend(entries[from..from + count].iter().map(|entry| entry.row));
        source.settle(&mut rows);
        rows.iter().for_each(|row| self.push(*row, id, here));
        self.rows = rows;
        from + count
    }

    // Spans of this minute and others under one id, each in order already, in one order.
    fn order_group(&mut self, source: &Source, id: u64) {
        let start = self.spots.iter().rposition(|spot| spot.id != id).map_or(0, |before| before + 1);
        self.spots[start..].sort_by(|a, b| source.order(source.span(a.row), source.span(b.row)));
    }

    fn find_parents(&mut self, source: &Source) {
        for place in 0..self.spots.len() {
            if !self.spots[place].here {
                continue;
            }
            let span = source.span(self.spots[place].row);
            self.spots[place].parent = match span.parent_id {
                0 => Parent::None,
                id if id == span.at.span_id => Parent::Itself,
                id => self.choose(source, id, span).map_or(Parent::Missing, Parent::Spot),
            };
        }
    }

    // Of several spans under the parent's id: one of the child's own service, its server side first;
    // else a server; else the first.
    fn choose(&mut self, source: &Source, id: u64, child: &GraphSpan) -> Option<u32> {
        let range = self.group(id);
        if range.len() < 2 {
            return (!range.is_empty()).then_some(range.start as u32);
        }
        let own = if range.len() > CROWD {
            if !self.crowds.contains_key(&id) {
                let crowd = self.crowd(source, range.clone());
                self.crowds.insert(id, crowd);
            }
            self.crowds[&id].get(&child.service).copied()
        } else {
            let own = range.clone().filter(|place| source.span(self.spots[*place].row).service == child.service);
            own.min_by_key(|place| (source.span(self.spots[*place].row).kind != Kind::Server, *place))
                .map(|place| place as u32)
        };
        own.or_else(|| self.first_of(source, range.clone(), Kind::Server)).or(Some(range.start as u32))
    }

    fn crowd(&self, source: &Source, range: Range<usize>) -> Crowd {
        let mut crowd = Crowd::default();
        for server in [true, false] {
            for place in range.clone() {
                let span = source.span(self.spots[place].row);
                if (span.kind == Kind::Server) == server {
                    crowd.entry(span.service).or_insert(place as u32);
                }
            }
        }
        crowd
    }

    // Marks what is on a circle. Every spot is walked over once.
    fn find_cycles(&mut self) {
        self.seen_from.clear();
        self.seen_from.resize(self.spots.len(), UNSEEN);
        for start in 0..self.spots.len() as u32 {
            let mut place = start;
            while self.seen_from[place as usize] == UNSEEN {
                self.seen_from[place as usize] = start;
                let Parent::Spot(parent) = self.spots[place as usize].parent else { break };
                place = parent;
            }
            // Back at a spot of this very walk that has a parent: a circle.
            if self.seen_from[place as usize] == start {
                while let Parent::Spot(parent) = self.spots[place as usize].parent {
                    if std::mem::replace(&mut self.spots[place as usize].cyclic, true) {
                        break;
                    }
                    place = parent;
                }
            }
        }
    }
}
