//! Where the nodes of the service graph stand: layers along the calls, few crossings, the same picture
//! for the same graph. A pure function of the *sets* of ids and edges: neither the order of the input
//! nor chance shows, ties go by id, and the sweeps are few, so that a new edge moves little.
//!
//! The usual steps (after Sugiyama): circles are opened, every node gets a layer by its longest way from
//! a source, layers are ordered by the barycentre of the neighbours, and nodes move towards their
//! neighbours as far as the order lets them. Components stand below one another, lone nodes last. No
//! step recurses, none is worse than n log n but for the number of layers that long edges cross, which is
//! bounded.

use std::collections::BTreeSet;

/// Where a node stands, in abstract units: layers are 1.0 apart, nodes of a layer at least 1.0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Along the calls.
    pub x: f64,
    /// Across.
    pub y: f64,
    /// Layer, from 0.
    pub layer: u32,
}

// Places where long edges cross layers, in all. Above it long edges do not take part in ordering.
const BENDS_MAX: usize = 100_000;

// Passes of ordering and of straightening, forth and back each.
const SWEEPS: usize = 3;

// Room between components.
const GAP: f64 = 1.0;

/// Places the nodes; one point for each, in the order of `nodes`. Edges are pairs of places in `nodes`,
/// caller first; those that point nowhere, to themselves or repeat another are of no account.
pub fn layout(nodes: &[&str], edges: &[(u32, u32)]) -> Vec<Point> {
    // From here on a node's number is its rank by id.
    let mut by_rank: Vec<u32> = (0..nodes.len() as u32).collect();
    by_rank.sort_by_key(|place| (nodes[*place as usize], *place));
    let mut ranks = vec![0u32; nodes.len()];
    by_rank.iter().enumerate().for_each(|(rank, place)| ranks[*place as usize] = rank as u32);
    let rank_of = |place: u32| ranks.get(place as usize).copied();
    let edges: BTreeSet<(u32, u32)> =
        edges.iter().filter_map(|(a, b)| Some((rank_of(*a)?, rank_of(*b)?))).filter(|(a, b)| a != b).collect();
    let edges: Vec<(u32, u32)> = edges.into_iter().collect();

    let graph = Graph::of(nodes.len(), &open_circles(nodes.len(), &edges));
    let layers = layers(&graph);
    let mut points = vec![Point::default(); nodes.len()];
    let (components, lone) = components(&graph);
    let mut below = 0.0;
    let mut width = 1;
    for component in &components {
        let ys = place(&graph, &layers, component);
        let top = ys.iter().copied().fold(f64::INFINITY, f64::min);
        let mut bottom: f64 = 0.0;
        for (node, y) in component.iter().zip(&ys) {
            let layer = layers[*node as usize];
            width = width.max(layer + 1);
            bottom = bottom.max(y - top);
            points[by_rank[*node as usize] as usize] = Point { x: f64::from(layer), y: below + y - top, layer };
        }
        below += bottom + 1.0 + GAP;
    }
    let columns = width.max((lone.len() as f64).sqrt().ceil() as u32);
    for (number, node) in lone.iter().enumerate() {
        let layer = number as u32 % columns;
        let y = below + f64::from(number as u32 / columns);
        points[by_rank[*node as usize] as usize] = Point { x: f64::from(layer), y, layer };
    }
    points
}

/// Neighbours of every node, ascending.
struct Graph {
    out: Lists,
    into: Lists,
}

// Lists in one array.
struct Lists {
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    // Pairs (list, item); the items of a list keep their order.
    fn of(count: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Lists {
        let mut starts = vec![0u32; count + 1];
        pairs.clone().for_each(|(list, _)| starts[list as usize + 1] += 1);
        for list in 0..count {
            starts[list + 1] += starts[list];
        }
        let mut ends = starts[..count].to_vec();
        let mut items = vec![0; starts[count] as usize];
        for (list, item) in pairs {
            items[ends[list as usize] as usize] = item;
            ends[list as usize] += 1;
        }
        Lists { ends, items }
    }

    fn get(&self, list: u32) -> &[u32] {
        let start = if list == 0 { 0 } else { self.ends[list as usize - 1] };
        &self.items[start as usize..self.ends[list as usize] as usize]
    }
}

impl Graph {
    // Edges sorted.
    fn of(count: usize, edges: &[(u32, u32)]) -> Graph {
        let back = edges.iter().map(|(a, b)| (*b, *a));
        Graph { out: Lists::of(count, edges.iter().copied()), into: Lists::of(count, back) }
    }

    fn count(&self) -> u32 {
        self.out.ends.len() as u32
    }
}

// Turns edges round until there is no circle. Only what is left when callers without callers and
// callees without callees are taken away, again and again, can be on one; there edges run away from where
// calls come in (nearest first, then by id), which keeps tangles short.
fn open_circles(count: usize, edges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let graph = Graph::of(count, edges);
    let mut core = vec![true; count];
    peel(&graph.into, &graph.out, &mut core);
    peel(&graph.out, &graph.into, &mut core);
    let surplus = |node: u32| graph.into.get(node).len() as i64 - graph.out.get(node).len() as i64;
    let is_entry = |node: &u32| graph.into.get(*node).iter().any(|from| !core[*from as usize]);
    let mut starts: Vec<u32> = (0..count as u32).filter(|node| core[*node as usize]).collect();
    let mut queue: Vec<u32> = starts.iter().copied().filter(is_entry).collect();
    starts.sort_by_key(|node| (surplus(*node), *node));
    let mut distance = vec![u32::MAX; count];
    queue.iter().for_each(|node| distance[*node as usize] = 0);
    let mut next = 0;
    for start in starts {
        while let Some(node) = queue.get(next).copied() {
            next += 1;
            for child in graph.out.get(node) {
                if core[*child as usize] && distance[*child as usize] == u32::MAX {
                    distance[*child as usize] = distance[node as usize] + 1;
                    queue.push(*child);
                }
            }
        }
        if distance[start as usize] == u32::MAX {
            distance[start as usize] = 0;
            queue.push(start);
        }
    }
    let is_back =
        |a: u32, b: u32| core[a as usize] && core[b as usize] && (distance[a as usize], a) > (distance[b as usize], b);
    let open: BTreeSet<(u32, u32)> =
        edges.iter().map(|(a, b)| if is_back(*a, *b) { (*b, *a) } else { (*a, *b) }).collect();
    open.into_iter().collect()
}

// Takes away nodes without `before`, until all have some.
fn peel(before: &Lists, behind: &Lists, core: &mut [bool]) {
    let nodes = 0..core.len() as u32;
    let mut left: Vec<usize> =
        nodes.clone().map(|node| before.get(node).iter().filter(|from| core[**from as usize]).count()).collect();
    let mut bare: Vec<u32> = nodes.filter(|node| core[*node as usize] && left[*node as usize] == 0).collect();
    while let Some(node) = bare.pop() {
        core[node as usize] = false;
        for next in behind.get(node).iter().filter(|next| core[**next as usize]) {
            left[*next as usize] -= 1;
            if left[*next as usize] == 0 {
                bare.push(*next);
            }
        }
    }
}

// The longest way from a source; sources stand right before the first that they call.
fn layers(graph: &Graph) -> Vec<u32> {
    let count = graph.count();
    let mut layers = vec![0u32; count as usize];
    let mut left: Vec<usize> = (0..count).map(|node| graph.into.get(node).len()).collect();
    let mut ready: Vec<u32> = (0..count).filter(|node| left[*node as usize] == 0).collect();
    let sources = ready.clone();
    while let Some(node) = ready.pop() {
        for child in graph.out.get(node) {
            layers[*child as usize] = layers[*child as usize].max(layers[node as usize] + 1);
            left[*child as usize] -= 1;
            if left[*child as usize] == 0 {
                ready.push(*child);
            }
        }
    }
    for source in sources {
        let nearest = graph.out.get(source).iter().map(|child| layers[*child as usize]).min();
        layers[source as usize] = nearest.map_or(0, |nearest| nearest.saturating_sub(1));
    }
    layers
}

// Components of two and more nodes, largest first, then by their first id; and the nodes without edges.
fn components(graph: &Graph) -> (Vec<Vec<u32>>, Vec<u32>) {
    let mut seen = vec![false; graph.count() as usize];
    let (mut components, mut lone) = (Vec::new(), Vec::new());
    for start in 0..graph.count() {
        if std::mem::replace(&mut seen[start as usize], true) {
            continue;
        }
        let mut component = vec![start];
        let mut next = 0;
        while let Some(node) = component.get(next).copied() {
            next += 1;
            for other in graph.out.get(node).iter().chain(graph.into.get(node)) {
                if !std::mem::replace(&mut seen[*other as usize], true) {
                    component.push(*other);
                }
            }
        }
        component.sort_unstable();
        if component.len() > 1 { components.push(component) } else { lone.push(start) }
    }
    components.sort_by_key(|component| (usize::MAX - component.len(), component[0]));
    (components, lone)
}

/// A component's nodes and the bends of its long edges, layer by layer.
struct Stack {
    // Of every item: its layer, its place in it, its neighbours before and behind.
    layer: Vec<u32>,
    at: Vec<u32>,
    before: Lists,
    behind: Lists,
    rows: Vec<Vec<u32>>,
    // Items below this number are nodes.
    nodes: u32,
}

// The y of every node of a component.
fn place(graph: &Graph, layers: &[u32], component: &[u32]) -> Vec<f64> {
    let mut stack = Stack::of(graph, layers, component);
    stack.order();
    stack.straighten()
}

impl Stack {
    fn of(graph: &Graph, layers: &[u32], component: &[u32]) -> Stack {
        let number = |node: u32| component.binary_search(&node).unwrap_or_default() as u32;
        let first = component.iter().map(|node| layers[*node as usize]).min().unwrap_or_default();
        let mut layer: Vec<u32> = component.iter().map(|node| layers[*node as usize] - first).collect();
        let edges: Vec<(u32, u32)> = (0..component.len() as u32)
            .flat_map(|from| graph.out.get(component[from as usize]).iter().map(move |to| (from, number(*to))))
            .collect();
        let steps = |(from, to): &(u32, u32)| layer[*to as usize] - layer[*from as usize];
        let bends: usize = edges.iter().map(|edge| steps(edge) as usize - 1).sum();
        let mut links = Vec::new();
        for (from, to) in edges {
            let mut last = from;
            if bends <= BENDS_MAX {
                for at in layer[from as usize] + 1..layer[to as usize] {
                    links.push((last, layer.len() as u32));
                    last = layer.len() as u32;
                    layer.push(at);
                }
            }
            links.push((last, to));
        }
        let depth = layer.iter().max().map_or(0, |last| *last as usize + 1);
        let mut rows = vec![Vec::new(); depth];
        let mut at = vec![0; layer.len()];
        for (item, layer) in layer.iter().enumerate() {
            at[item] = rows[*layer as usize].len() as u32;
            rows[*layer as usize].push(item as u32);
        }
        let before = Lists::of(layer.len(), links.iter().map(|(from, to)| (*to, *from)));
        let behind = Lists::of(layer.len(), links.iter().copied());
        Stack { layer, at, before, behind, rows, nodes: component.len() as u32 }
    }

    // Orders every layer by the middle of its neighbours, forth and back, and keeps the best of all.
    fn order(&mut self) {
        let mut best = (self.crossings(), self.rows.clone());
        for _ in 0..SWEEPS {
            for forth in [true, false] {
                let depth = self.rows.len();
                for step in 0..depth {
                    self.order_row(if forth { step } else { depth - 1 - step }, forth);
                }
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.rows.clone());
            }
        }
        self.rows = best.1;
        self.number_rows();
    }

    fn order_row(&mut self, row: usize, forth: bool) {
        let items = std::mem::take(&mut self.rows[row]);
        let lists = if forth { &self.before } else { &self.behind };
        // As a share of the neighbour's layer, so that neighbours of different layers compare.
        let share = |item: u32| {
            let count = self.rows[self.layer[item as usize] as usize].len().max(1) as f64;
            (f64::from(self.at[item as usize]) + 0.5) / count
        };
        let own = items.len().max(1) as f64;
        let middle = |(place, item): (usize, u32)| {
            let near = lists.get(item);
            let sum: f64 = near.iter().map(|item| share(*item)).sum();
            (if near.is_empty() { (place as f64 + 0.5) / own } else { sum / near.len() as f64 }, item)
        };
        let mut keyed: Vec<(f64, u32)> = items.into_iter().enumerate().map(middle).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0)); // stable: ties stay as they are, at first by id
        self.rows[row] = keyed.into_iter().map(|(_, item)| item).collect();
        for (place, item) in self.rows[row].iter().enumerate() {
            self.at[*item as usize] = place as u32;
        }
    }

    fn number_rows(&mut self) {
        for row in &self.rows {
            row.iter().enumerate().for_each(|(place, item)| self.at[*item as usize] = place as u32);
        }
    }

    // Pairs of edges between neighbouring layers that cross. (Edges that skip layers are not counted.)
    fn crossings(&self) -> u64 {
        let mut crossings = 0;
        for row in 1..self.rows.len() {
            let width = self.rows[row - 1].len();
            let mut tree = vec![0u64; width + 1];
            let mut total = 0;
            for item in &self.rows[row] {
                let near = self.before.get(*item).iter().filter(|from| self.layer[**from as usize] as usize == row - 1);
                for from in near.clone() {
                    // Edges drawn so far that begin further down cross this one.
                    let mut place = self.at[*from as usize] as usize + 1;
                    crossings += total;
                    while place > 0 {
                        crossings -= tree[place];
                        place &= place - 1;
                    }
                }
                for from in near {
                    total += 1;
                    let mut place = self.at[*from as usize] as usize + 1;
                    while place <= width {
                        tree[place] += 1;
                        place += place & place.wrapping_neg();
                    }
                }
            }
        }
        crossings
    }

    // Moves the nodes towards the middle of their neighbours, in their order and one apart.
    fn straighten(&self) -> Vec<f64> {
        let mut y = vec![0.0; self.layer.len()];
        let nodes_only = |row: &Vec<u32>| row.iter().copied().filter(|item| *item < self.nodes).collect::<Vec<u32>>();
        let rows: Vec<Vec<u32>> = self.rows.iter().map(nodes_only).collect();
        let most = rows.iter().map(Vec::len).max().unwrap_or_default() as f64;
        for row in &rows {
            let top = (most - row.len() as f64) / 2.0;
            row.iter().enumerate().for_each(|(place, item)| y[*item as usize] = top + place as f64);
        }
        self.place_bends(&mut y);
        for _ in 0..SWEEPS {
            for forth in [true, false] {
                let lists = if forth { &self.before } else { &self.behind };
                for step in 0..rows.len() {
                    let row = &rows[if forth { step } else { rows.len() - 1 - step }];
                    let wish = |item: &u32| {
                        let near = lists.get(*item);
                        let sum: f64 = near.iter().map(|item| y[*item as usize]).sum();
                        if near.is_empty() { y[*item as usize] } else { sum / near.len() as f64 }
                    };
                    let wishes: Vec<f64> = row.iter().map(wish).collect();
                    row.iter().zip(one_apart(&wishes)).for_each(|(item, at)| y[*item as usize] = at);
                }
                self.place_bends(&mut y);
            }
        }
        y.truncate(self.nodes as usize);
        y
    }

    // A bend lies between its two ends, whatever its layer.
    fn place_bends(&self, y: &mut [f64]) {
        let bends = self.nodes..self.layer.len() as u32;
        for bend in bends.clone() {
            y[bend as usize] = self.before.get(bend).first().map_or(0.0, |from| y[*from as usize]);
        }
        for bend in bends.rev() {
            let behind = self.behind.get(bend).first().map_or(0.0, |to| y[*to as usize]);
            y[bend as usize] = (y[bend as usize] + behind) / 2.0;
        }
    }
}

// The places nearest to the wishes (least squares) that keep the order and are one apart: neighbours
// whose wishes conflict are pooled and share the mean.
fn one_apart(wishes: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (place, wish) in wishes.iter().enumerate() {
        pools.push((wish - place as f64, 1));
        while let [.., (above, above_count), (below, below_count)] = pools[..] {
            if above / above_count as f64 <= below / below_count as f64 {
                break;
            }
            pools.pop();
            let last = pools.len() - 1;
            pools[last] = (above + below, above_count + below_count);
        }
    }
    let offsets = pools.iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / *count as f64, *count));
    offsets.enumerate().map(|(place, offset)| offset + place as f64).collect()
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
