//! Who is below whom in a cleaned trace. A shared span is known by its id and by who recorded it, any
//! other by its id alone; a child prefers the shared span of its own side as parent. What has no
//! parent here hangs below the first root, or, where there is none, below a root that is no span.

use std::collections::HashMap;

use super::{Endpoint, LinkSpan};

/// The tree of a trace, by places in its list of spans.
pub(super) struct Tree {
    /// The root, when it is a span.
    pub(super) root: Option<usize>,
    /// Children by parent, in the order of the walk: where each parent's begin, and the list. The root
    /// that is no span stands behind all spans.
    begins: Vec<u32>,
    children: Vec<u32>,
    kinded: Vec<bool>,
}

/// How a span is found.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Plain(u64),
    Shared(u64, Endpoint),
}

/// Parents by key, in the order in which keys came first.
#[derive(Default)]
struct Parents {
    places: HashMap<Key, usize>,
    entries: Vec<Option<(Key, Option<Key>)>>,
}

impl Parents {
    fn put(&mut self, key: Key, parent: Option<Key>) {
        let at = *self.places.entry(key).or_insert(self.entries.len());
        if at == self.entries.len() {
            self.entries.push(None);
        }
        self.entries[at] = Some((key, parent));
    }

    fn remove(&mut self, key: Key) {
        if let Some(at) = self.places.remove(&key) {
            self.entries[at] = None;
        }
    }
}

impl Tree {
    /// The tree of cleaned spans.
    pub(super) fn build(spans: &[LinkSpan]) -> Tree {
        let mut parents = Parents::default();
        for span in spans {
            match span.shared {
                true => parents.put(Key::Shared(span.id, span.local), Some(Key::Plain(span.id))),
                false => parents.put(Key::Plain(span.id), span.parent_key()),
            }
        }
        let mut root = None;
        let mut found: HashMap<Key, usize> = HashMap::with_capacity(spans.len());
        for (at, span) in spans.iter().enumerate() {
            if span.shared {
                found.insert(Key::Shared(span.id, span.local), at);
                found.insert(Key::Shared(span.id, Endpoint::default()), at);
                continue;
            }
            let key = Key::Plain(span.id);
            if span.parent == 0 && root.is_none() {
                root = Some(at);
                parents.remove(key);
                continue;
            }
            // A local span below the server's half of a call, not below the client's.
            let same_side = Key::Shared(span.parent, span.local);
            if span.parent != 0 && parents.places.contains_key(&same_side) {
                parents.put(key, Some(same_side));
            }
            found.insert(key, at);
        }
        let top = root.unwrap_or(spans.len());
        let edges = parents.entries.into_iter().flatten().filter_map(|(key, parent)| {
            let parent = parent.and_then(|parent| found.get(&parent).copied()).unwrap_or(top);
            Some((parent, *found.get(&key)?))
        });
        let kinded = spans.iter().map(|span| span.kind.is_some()).collect();
        Tree::of(root, edges.collect(), spans, kinded)
    }

    fn of(root: Option<usize>, mut edges: Vec<(usize, usize)>, spans: &[LinkSpan], kinded: Vec<bool>) -> Tree {
        // Stable: children of one instant stay in order. An absent time is the earliest.
        edges.sort_by_key(|(parent, child)| (*parent, spans[*child].timestamp_us));
        let mut begins = vec![0; spans.len() + 2];
        for (parent, _) in &edges {
            begins[parent + 1] += 1;
        }
        for at in 1..begins.len() {
            begins[at] += begins[at - 1];
        }
        Tree { root, begins, children: edges.into_iter().map(|(_, child)| child as u32).collect(), kinded }
    }

    /// Calls `each` for every span that is reached, parents before children, level by level: with its
    /// place, that of its nearest ancestor that has a kind, and whether it has no children.
    pub(super) fn walk(&self, mut each: impl FnMut(usize, Option<usize>, bool)) {
        let spans = self.kinded.len();
        let mut seen = vec![false; spans + 1];
        let mut queue: Vec<(usize, Option<usize>)> = vec![(self.root.unwrap_or(spans), None)];
        let mut next = 0;
        while let Some(&(at, ancestor)) = queue.get(next) {
            next += 1;
            let children = &self.children[self.begins[at] as usize..self.begins[at + 1] as usize];
            let mut below = ancestor;
            if at < spans {
                each(at, ancestor, children.is_empty());
                below = if self.kinded[at] { Some(at) } else { ancestor };
            }
            seen[at] = true;
            for child in children {
                if !std::mem::replace(&mut seen[*child as usize], true) {
                    queue.push((*child as usize, below));
                }
            }
        }
    }
}

impl LinkSpan {
    fn parent_key(&self) -> Option<Key> {
        (self.parent != 0).then_some(Key::Plain(self.parent))
    }
}
