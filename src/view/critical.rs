//! The critical path: the spans that the request's duration was spent in. From the root's end
//! backwards, the child that finished last carried on the work; before it began, the one that finished
//! last before that; and so on, inside each of them again.
//!
//! Clocks differ between hosts, so a callee that sticks out of its caller by skew is moved inside it
//! where it fits; work that goes on after its caller ended (a message) is not part of the path.

use model::kind;

use crate::tree::{Children, Node, Tree};

/// A span's time as far as its parent's reaches, in nanoseconds.
#[derive(Clone, Copy)]
struct Fitted {
    row: u32,
    start_ns: i64,
    end_ns: i64,
}

/// Siblings may overlap by this part of the earlier one and still follow each other.
const OVERLAP_PART: i64 = 20;

/// Whether each span of the tree is on the critical path.
pub(crate) fn path(tree: &Tree) -> Vec<bool> {
    let mut critical = vec![false; tree.nodes.len()];
    if tree.nodes.is_empty() {
        return critical;
    }
    let children = Children::of(&tree.parents);
    let root = &tree.nodes[tree.root];
    let mut stack = vec![Fitted { row: tree.root as u32, start_ns: root.start_ns, end_ns: root.end_ns() }];
    let mut inside: Vec<Fitted> = Vec::new();
    while let Some(parent) = stack.pop() {
        critical[parent.row as usize] = true;
        inside.clear();
        let caller = &tree.nodes[parent.row as usize];
        inside.extend(
            children.of_row(parent.row).iter().filter_map(|row| fit(&tree.nodes[*row as usize], *row, caller, parent)),
        );
        inside.sort_unstable_by_key(|child| (child.end_ns, child.start_ns));
        let mut cursor_ns = parent.end_ns;
        for child in inside.iter().rev() {
            let slack_ns = (child.end_ns - child.start_ns) / OVERLAP_PART;
            if child.end_ns <= cursor_ns.saturating_add(slack_ns) {
                stack.push(Fitted { end_ns: child.end_ns.min(cursor_ns).max(child.start_ns), ..*child });
                cursor_ns = child.start_ns;
            }
        }
    }
    critical
}

/// The child's time inside its parent's; `None` when it has no part in it.
fn fit(child: &Node, row: u32, caller: &Node, parent: Fitted) -> Option<Fitted> {
    let (start_ns, end_ns) = (child.start_ns, child.end_ns());
    let length_ns = end_ns.saturating_sub(start_ns);
    if length_ns <= 0 {
        return None;
    }
    let room_ns = parent.end_ns.saturating_sub(parent.start_ns);
    let sticks_out = start_ns < parent.start_ns || end_ns > parent.end_ns;
    let call = caller.kind == kind::CLIENT && child.kind == kind::SERVER;
    if call && sticks_out && length_ns <= room_ns {
        let start_ns = start_ns.clamp(parent.start_ns, parent.end_ns - length_ns);
        return Some(Fitted { row, start_ns, end_ns: start_ns + length_ns });
    }
    let fitted = Fitted { row, start_ns: start_ns.max(parent.start_ns), end_ns: end_ns.min(parent.end_ns) };
    (fitted.start_ns < fitted.end_ns).then_some(fitted)
}
