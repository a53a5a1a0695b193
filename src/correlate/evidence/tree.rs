//! One trace as a tree: every span with its parent, parents before their children, whatever the ids say.
//!
//! The rules are the service graph's (`crate::graph`): a server that joined its client's span hangs under
//! that client; of several spans under the parent's id a child takes the one of its own service, its server
//! first, else a server, else the first. Spans on a circle of parents lose theirs. Near linear.

use crate::graph::Kind;

use super::span::EvidenceSpan;

/// A span's place in the tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// Row of the span.
    pub(super) row: u32,
    /// Place of its parent.
    pub(super) parent: Option<u32>,
    /// Places of its children: `children.0..children.1`, by start.
    pub(super) children: (u32, u32),
    /// Whether it names no parent; else it may have lost one.
    pub(super) is_root: bool,
}

/// The trace at hand; the room is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Parents before children, siblings side by side.
    pub(super) spots: Vec<Spot>,
    // By span id; (id, row).
    ids: Vec<(u64, u32)>,
    // Parent's place in `ids`, for each place in `ids`.
    parents: Vec<u32>,
    // (parent's place, place), sorted.
    pairs: Vec<(u32, u32)>,
    seen: Vec<u32>,
}

const NONE: u32 = u32::MAX;
// Of more spans under one id only so many are looked at.
const CROWD: usize = 64;

impl Tree {
    /// Takes up the spans in `rows`, all of one trace, in canonical order; equal ones once.
    pub(super) fn load(&mut self, spans: &[EvidenceSpan], rows: &[u32], order: impl Fn(&EvidenceSpan) -> (u64, u64)) {
        let span = |row: u32| &spans[row as usize];
        let key = |row: u32| {
            let span = span(row);
            (span.at.span_id, span.kind, span.start_ns, span.duration_ns, order(span), span.parent_id)
        };
        self.ids.clear();
        self.ids.extend(rows.iter().map(|row| (span(*row).at.span_id, *row)));
        self.ids.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(&key(b.1))));
        self.ids.dedup_by(|next, kept| {
            let (next, kept) = (span(next.1), span(kept.1));
            (next.at, next.service, next.kind, next.start_ns, next.duration_ns)
                == (kept.at, kept.service, kept.kind, kept.start_ns, kept.duration_ns)
        });
        self.parents.clear();
        for place in 0..self.ids.len() {
            self.parents.push(self.parent_of(spans, place));
        }
        self.cut_circles();
        self.pairs.clear();
        self.pairs.extend(self.parents.iter().enumerate().map(|(place, parent)| (*parent, place as u32)));
        let ids = &self.ids;
        let by_time = |place: u32| {
            let at = span(ids[place as usize].1);
            (at.start_ns, place)
        };
        self.pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| by_time(a.1).cmp(&by_time(b.1))));
        self.lay_out(spans);
    }

    // From the roots downwards, level by level: siblings end up side by side.
    fn lay_out(&mut self, spans: &[EvidenceSpan]) {
        self.spots.clear();
        self.seen.clear();
        let spot = |ids: &[(u64, u32)], place: u32, parent: Option<u32>| {
            let row = ids[place as usize].1;
            Spot { row, parent, children: (0, 0), is_root: spans[row as usize].parent_id == 0 }
        };
        let children = |pairs: &[(u32, u32)], parent: u32| {
            let start = pairs.partition_point(|pair| pair.0 < parent);
            start..start + pairs[start..].partition_point(|pair| pair.0 == parent)
        };
        for pair in &self.pairs[children(&self.pairs, NONE)] {
            self.spots.push(spot(&self.ids, pair.1, None));
            self.seen.push(pair.1);
        }
        let mut next = 0;
        while next < self.spots.len() {
            let start = self.spots.len() as u32;
            for pair in &self.pairs[children(&self.pairs, self.seen[next])] {
                self.spots.push(spot(&self.ids, pair.1, Some(next as u32)));
                self.seen.push(pair.1);
            }
            self.spots[next].children = (start, self.spots.len() as u32);
            next += 1;
        }
    }

    fn parent_of(&self, spans: &[EvidenceSpan], place: usize) -> u32 {
        let row = self.ids[place].1;
        let span = &spans[row as usize];
        let others = |id: u64| {
            let start = self.ids.partition_point(|(known, _)| *known < id);
            let known = self.ids[start..].iter().take_while(move |(known, _)| *known == id).take(CROWD);
            known.enumerate().map(move |(offset, (_, row))| ((start + offset) as u32, &spans[*row as usize]))
        };
        if span.kind == Kind::Server {
            let joined = |client: &EvidenceSpan| {
                span.shared || client.parent_id == span.parent_id || span.parent_id == span.at.span_id
            };
            let twin = others(span.at.span_id).find(|(_, other)| other.kind == Kind::Client);
            if let Some((client, _)) = twin.filter(|(_, client)| joined(client)) {
                return client;
            }
        }
        if span.parent_id == 0 || span.parent_id == span.at.span_id {
            return NONE;
        }
        let rank = |other: &EvidenceSpan| (other.service != span.service, other.kind != Kind::Server);
        others(span.parent_id).min_by_key(|(place, other)| (rank(other), *place)).map_or(NONE, |(place, _)| place)
    }

    // Every span is walked over once; those on a circle become roots.
    fn cut_circles(&mut self) {
        self.seen.clear();
        self.seen.resize(self.ids.len(), NONE);
        for start in 0..self.ids.len() as u32 {
            let mut place = start;
            while place != NONE && self.seen[place as usize] == NONE {
                self.seen[place as usize] = start;
                place = self.parents[place as usize];
            }
            while place != NONE && self.seen[place as usize] == start && self.parents[place as usize] != NONE {
                // Met on this very walk: all of the circle loses its parents, one by one.
                place = std::mem::replace(&mut self.parents[place as usize], NONE);
            }
        }
    }
}

/// Whether a child is where work arrives from its parent: another service, or a server under its client.
pub(super) fn arrives(parent: &EvidenceSpan, child: &EvidenceSpan) -> bool {
    parent.service != child.service
        || (parent.kind == Kind::Client && child.kind == Kind::Server)
        || (parent.kind == Kind::Producer && child.kind == Kind::Consumer)
}

/// Whether a child is a message: nobody waits for it.
pub(super) fn is_message(parent: &EvidenceSpan, child: &EvidenceSpan) -> bool {
    child.kind == Kind::Consumer || (parent.kind == Kind::Producer && parent.service != child.service)
}
