//! A trace's spans as a tree: who called whom, in depth-first order, with everything odd about it
//! noted rather than refused. Linear in time and memory but for sorting, whatever the parents say:
//! cycles of any length, a hundred thousand spans under one another or under one id.
//!
//! Knows span ids, services, times; nothing of attributes, storage or JSON.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use model::{kind, mark};

use crate::critical;
use crate::problems::{Oddity, Problem};

/// One span as the tree sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Span id.
    pub span_id: u64,
    /// Parent's span id; 0 for none.
    pub parent_id: u64,
    /// Number of its service in [`Tree::services`].
    pub service: u32,
    /// Number of its name in [`Tree::names`].
    pub name: u32,
    /// Kind by OTLP number.
    pub kind: u8,
    /// Status by OTLP number.
    pub status: u8,
    /// Start, nanoseconds since the epoch.
    pub start_ns: i64,
    /// Duration in nanoseconds.
    pub duration_ns: u64,
    /// Bits of `model::mark`.
    pub marks: u32,
    /// Whether attributes, events or links were dropped.
    pub dropped: bool,
}

/// Spans in depth-first order, children by start.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The spans.
    pub nodes: Vec<Node>,
    /// Row of each span's parent in this order.
    pub parents: Vec<Option<u32>>,
    /// Levels above each span.
    pub depths: Vec<u32>,
    /// Whether each span is on the critical path.
    pub critical: Vec<bool>,
    /// Service names by number.
    pub services: Vec<String>,
    /// Span names by number.
    pub names: Vec<String>,
    /// Row of the root: the earliest parentless span, else the earliest.
    pub root: usize,
    /// Whether there is a root and every parent is there.
    pub complete: bool,
    /// What is odd.
    pub problems: Vec<Problem>,
}

/// Gathers spans and numbers their texts.
#[derive(Default)]
pub struct Builder {
    nodes: Vec<Node>,
    services: Numbered,
    names: Numbered,
}

#[derive(Default)]
struct Numbered {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Node {
    /// End, nanoseconds since the epoch.
    pub fn end_ns(&self) -> i64 {
        self.start_ns.saturating_add_unsigned(self.duration_ns)
    }
}

impl Builder {
    /// Number of a service name.
    pub fn service(&mut self, text: &str) -> u32 {
        self.services.number(text)
    }

    /// Number of a span name.
    pub fn name(&mut self, text: &str) -> u32 {
        self.names.number(text)
    }

    /// Adds a span.
    pub fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Forgets all but the first `count` spans.
    pub fn truncate(&mut self, count: usize) {
        self.nodes.truncate(count);
    }

    /// Spans so far.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The tree.
    pub fn build(self) -> Tree {
        let Builder { mut nodes, services, names } = self;
        let mut odd = Odd::default();
        let before = nodes.len();
        nodes.sort_by_key(|n| (n.start_ns, Reverse(n.duration_ns), n.span_id, n.kind, n.service));
        nodes.dedup_by_key(|n| (n.start_ns, n.duration_ns, n.span_id, n.kind, n.service));
        odd.add(Oddity::Resent, (before - nodes.len()) as u64);
        let mut parents = Parents::of(&nodes, &mut odd);
        cut_cycles(&nodes, &mut parents.rows, &mut odd);
        note_oddities(&nodes, &parents, &mut odd);
        let complete = parents.missing == 0 && parents.parentless > 0;
        depth_first(
            nodes,
            &parents,
            Tree {
                services: services.texts,
                names: names.texts,
                complete,
                problems: odd.problems(),
                ..Tree::default()
            },
        )
    }
}

impl Numbered {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

#[derive(Default)]
struct Odd(Vec<(Oddity, u64)>);

impl Odd {
    fn add(&mut self, oddity: Oddity, count: u64) {
        if count > 0 {
            self.0.push((oddity, count));
        }
    }

    fn problems(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|(oddity, _)| *oddity);
        self.0.into_iter().map(|(oddity, count)| oddity.problem(count)).collect()
    }
}

/// Each span's parent by row.
struct Parents {
    rows: Vec<Option<u32>>,
    /// Spans that name no parent (or themselves).
    parentless: u64,
    /// Spans whose parent is not there.
    missing: u64,
    /// Row of the earliest parentless span.
    root: Option<u32>,
}

/// Who carries an id: usually one row. Where several do, the choice is made once per id and service,
/// so that a flood of equal ids costs no more than distinct ones.
struct Carriers {
    first: HashMap<u64, u32>,
    /// For ids carried more than once.
    shared: HashMap<u64, Shared>,
    by_service: HashMap<(u64, u32), u32>,
}

struct Shared {
    client: Option<u32>,
    server: Option<u32>,
    others: u64,
}

impl Carriers {
    fn of(nodes: &[Node]) -> Carriers {
        let mut carriers =
            Carriers { first: HashMap::with_capacity(nodes.len()), shared: HashMap::new(), by_service: HashMap::new() };
        for (row, node) in nodes.iter().enumerate() {
            let first = *carriers.first.entry(node.span_id).or_insert(row as u32);
            if first as usize != row {
                if let Entry::Vacant(unshared) = carriers.shared.entry(node.span_id) {
                    unshared.insert(Shared { client: None, server: None, others: 0 });
                    carriers.note(first, &nodes[first as usize]);
                }
                carriers.note(row as u32, node);
            }
        }
        carriers
    }

    fn note(&mut self, row: u32, node: &Node) {
        let Some(shared) = self.shared.get_mut(&node.span_id) else { return };
        match node.kind {
            kind::CLIENT if shared.client.is_none() => shared.client = Some(row),
            // The server side of its service wins over its other spans of that id: children are its.
            kind::SERVER => {
                shared.server.get_or_insert(row);
                self.by_service.insert((node.span_id, node.service), row);
            }
            _ => shared.others += 1,
        }
        self.by_service.entry((node.span_id, node.service)).or_insert(row);
    }

    /// The row that `child` hangs under when it names `id` as its parent.
    fn parent(&self, id: u64, child: &Node) -> Option<u32> {
        let first = *self.first.get(&id)?;
        let Some(shared) = self.shared.get(&id) else { return Some(first) };
        Some(self.by_service.get(&(id, child.service)).copied().or(shared.server).unwrap_or(first))
    }
}

impl Parents {
    fn of(nodes: &[Node], odd: &mut Odd) -> Parents {
        let carriers = Carriers::of(nodes);
        let mut out = Parents { rows: Vec::with_capacity(nodes.len()), parentless: 0, missing: 0, root: None };
        let mut itself = 0;
        for (row, node) in nodes.iter().enumerate() {
            let client = client_side(&carriers, nodes, row);
            let parent = if client.is_some() {
                client
            } else if node.parent_id == 0 || node.parent_id == node.span_id {
                itself += u64::from(node.parent_id != 0);
                out.parentless += 1;
                out.root.get_or_insert(row as u32);
                None
            } else {
                let found = carriers.parent(node.parent_id, node);
                out.missing += u64::from(found.is_none());
                found
            };
            out.rows.push(parent);
        }
        odd.add(Oddity::SelfParent, itself);
        odd.add(Oddity::SharedId, carriers.shared.values().map(|shared| shared.others).sum());
        out
    }
}

/// The client row of a call whose server row carries the same id (Zipkin's shared spans).
fn client_side(carriers: &Carriers, nodes: &[Node], row: usize) -> Option<u32> {
    let node = &nodes[row];
    if node.kind != kind::SERVER {
        return None;
    }
    let client = carriers.shared.get(&node.span_id)?.client?;
    let marked = node.marks & mark::SHARED != 0;
    let same_parent = node.parent_id == nodes[client as usize].parent_id;
    (marked || same_parent || node.parent_id == node.span_id).then_some(client)
}

/// Follows parents from every row; a circle is cut at its earliest row.
fn cut_cycles(nodes: &[Node], parents: &mut [Option<u32>], odd: &mut Odd) {
    const UNSEEN: u32 = u32::MAX;
    let mut seen_from = vec![UNSEEN; nodes.len()];
    let mut cycles = 0;
    for start in 0..nodes.len() as u32 {
        let mut row = start;
        while seen_from[row as usize] == UNSEEN {
            seen_from[row as usize] = start;
            match parents[row as usize] {
                Some(parent) => row = parent,
                None => break,
            }
        }
        // Back at a row of this very walk: a circle, unless the walk ended at it as a root.
        if seen_from[row as usize] == start && parents[row as usize].is_some() {
            let mut earliest = row;
            let mut next = parents[row as usize];
            while let Some(member) = next.filter(|member| *member != row) {
                earliest = earliest.min(member); // rows are in order of start
                next = parents[member as usize];
            }
            parents[earliest as usize] = None;
            cycles += 1;
        }
    }
    odd.add(Oddity::Cycle, cycles);
}

fn note_oddities(nodes: &[Node], parents: &Parents, odd: &mut Odd) {
    if nodes.is_empty() {
        return;
    }
    odd.add(Oddity::NoRoot, u64::from(parents.parentless == 0));
    odd.add(Oddity::SeveralRoots, if parents.parentless > 1 { parents.parentless } else { 0 });
    odd.add(Oddity::MissingParent, parents.missing);
    let marked = |bits: u32| nodes.iter().filter(|node| node.marks & bits != 0).count() as u64;
    odd.add(Oddity::TimeReplaced, marked(mark::QUARANTINED | mark::NO_TIME));
    odd.add(Oddity::EndBeforeStart, marked(mark::END_BEFORE_START));
    odd.add(
        Oddity::Shortened,
        nodes.iter().filter(|node| node.dropped || node.marks & (mark::TRUNCATED | mark::TRIMMED) != 0).count() as u64,
    );
    let unplaced = mark::QUARANTINED | mark::NO_TIME;
    let skewed = nodes.iter().zip(&parents.rows).filter(|(node, parent)| {
        parent.is_some_and(|parent| {
            let parent = &nodes[parent as usize];
            node.start_ns < parent.start_ns
                && node.service != parent.service
                && (node.marks | parent.marks) & unplaced == 0
        })
    });
    odd.add(Oddity::ClockSkew, skewed.count() as u64);
}

/// Puts the rows into depth-first order and marks the critical path.
fn depth_first(nodes: Vec<Node>, parents: &Parents, mut tree: Tree) -> Tree {
    let count = nodes.len();
    let children = Children::of(&parents.rows);
    let mut place = vec![0u32; count];
    let mut stack: Vec<(u32, u32)> = Vec::new();
    let roots = (0..count as u32).filter(|row| parents.rows[*row as usize].is_none());
    tree.nodes.reserve_exact(count);
    for root in roots {
        stack.push((root, 0));
        while let Some((row, depth)) = stack.pop() {
            place[row as usize] = tree.nodes.len() as u32;
            tree.nodes.push(nodes[row as usize]);
            tree.depths.push(depth);
            tree.parents.push(parents.rows[row as usize].map(|parent| place[parent as usize]));
            stack.extend(children.of_row(row).iter().rev().map(|child| (*child, depth + 1)));
        }
    }
    debug_assert_eq!(tree.nodes.len(), count, "every span has its place");
    tree.root = parents.root.map_or(0, |root| place[root as usize] as usize);
    if parents.root.is_none() {
        // No beginning: the earliest span stands for it. Rows were in order of start.
        tree.root = if count > 0 { place[0] as usize } else { 0 };
    }
    tree.critical = critical::path(&tree);
    tree
}

/// Children of every row, in row order, in one array.
pub(crate) struct Children {
    ends: Vec<u32>,
    rows: Vec<u32>,
}

impl Children {
    /// Of parents by row.
    pub(crate) fn of(parents: &[Option<u32>]) -> Children {
        let mut ends = vec![0u32; parents.len()];
        for parent in parents.iter().flatten() {
            ends[*parent as usize] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            let start = sum;
            sum += *end;
            *end = start;
        }
        let mut rows = vec![0u32; sum as usize];
        for (row, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                let next = &mut ends[*parent as usize];
                rows[*next as usize] = row as u32;
                *next += 1;
            }
        }
        Children { ends, rows }
    }

    /// The children of one row.
    pub(crate) fn of_row(&self, row: u32) -> &[u32] {
        let start = if row == 0 { 0 } else { self.ends[row as usize - 1] };
        &self.rows[start as usize..self.ends[row as usize] as usize]
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
