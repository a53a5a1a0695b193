//! Merges templates that differ only where they name things. A function of the set of templates:
//! the order in which they came is nowhere seen, and more templates never part what fewer joined.
//!
//! Three rules, all of the form "this evidence joins these": where a sentence has a place for a name
//! and several stand in it ([`arguments`]); where many words stand in one place ([`fans`]); and a
//! template that one of the joined already covers ([`covered`]).

use std::collections::{HashMap, HashSet};

use super::shape::{Shape, Symbol, Words};
use super::words::Role;

/// Different words in one place that show that it is a value.
const WORDS_IN_PLACE: usize = 16;
/// The same for names, anywhere but first: the first token says most about what happened.
const NAMES_IN_PLACE: usize = 8;
/// The same for names, where the place in the source says that one statement wrote them.
const NAMES_OF_STATEMENT: usize = 2;
/// Words that the rest of a template must have for its places to be compared.
const WORDS_MIN: usize = 2;
/// Rounds of covering; in practice the second finds nothing.
const ROUNDS_MAX: usize = 16;

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;
type Set<K> = HashSet<K, foldhash::fast::FixedState>;

/// Which group each shape belongs to: the number of one of its members.
pub(super) fn merge(shapes: &[Shape], words: &Words) -> Vec<u32> {
    let mut groups = Groups::new(shapes.len());
    arguments(shapes, words, &mut groups);
    fans(shapes, words, &mut groups);
    for _ in 0..ROUNDS_MAX {
        if !covered(shapes, words, &mut groups) {
            break;
        }
    }
    (0..shapes.len() as u32).map(|shape| groups.of(shape)).collect()
}

/// The template of a group: what its members share.
pub(super) fn common<'s>(mut members: impl Iterator<Item = &'s Shape>) -> Vec<Symbol> {
    let mut common = members.next().map(|shape| shape.symbols.to_vec()).unwrap_or_default();
    for member in members {
        for (mine, its) in common.iter_mut().zip(&member.symbols) {
            if *mine != *its {
                *mine = mine.hole();
            }
        }
    }
    common
}

// Names in the places that a sentence has for them.
fn arguments(shapes: &[Shape], words: &Words, groups: &mut Groups) {
    let mut alike: Map<u64, Vec<u32>> = Map::default();
    for (number, shape) in shapes.iter().enumerate() {
        let places: Vec<usize> = (0..shape.symbols.len()).filter(|at| needed(shape, *at, words).is_some()).collect();
        let others =
            shape.symbols.iter().enumerate().filter(|(at, symbol)| !places.contains(at) && is_word(**symbol, words));
        if !places.is_empty() && others.count() >= WORDS_MIN {
            let skeleton = hash_without(shape, &places);
            alike.entry(skeleton).or_default().push(number as u32);
        }
    }
    for members in alike.values().filter(|members| members.len() > 1) {
        let first = &shapes[members[0] as usize];
        let mut open = Vec::new();
        for at in 0..first.symbols.len() {
            let mut values = Set::default();
            let mut enough = usize::MAX;
            for member in members {
                let member = &shapes[*member as usize];
                if let Some(needed) = needed(member, at, words) {
                    enough = enough.min(needed);
                    values.insert(member.symbols[at]);
                }
            }
            // A hole is a value that others were masked to: it stands for more than one.
            let holes = usize::from(values.iter().any(|value| value.is_hole()));
            if values.len() > 1 && values.len() + holes >= enough {
                open.push(at);
            }
        }
        let mut firsts: Map<u64, u32> = Map::default();
        for member in members {
            let first = *firsts.entry(hash_without(&shapes[*member as usize], &open)).or_insert(*member);
            groups.join(first, *member);
        }
    }
}

// How many different names at this place make it a value; none when it is no place for a name. A
// function of the template alone, as everything here that is not a count.
fn needed(shape: &Shape, at: usize, words: &Words) -> Option<usize> {
    let sign = |at: usize| shape.symbols.get(at).map(|symbol| words.word(*symbol));
    // A hole stands for names of any kind.
    let role = |at: usize| {
        let symbol = *shape.symbols.get(at)?;
        Some(if symbol.is_hole() { Role::Dotted } else { words.role(symbol) })
    };
    let own = role(at).filter(|role| role.is_name())?;
    let is_hole = shape.symbols[at].is_hole();
    let dotted = own == Role::Dotted && !is_hole;
    // A colon may stand between a noun and its name.
    let labelled = at > 1 && sign(at - 1) == Some(":");
    let before = at.checked_sub(if labelled { 2 } else { 1 })?;
    let introduced = before > 0
        && (role(before - 1) == Some(Role::Preposition) || matches!(sign(before - 1), Some("invalid" | "illegal")));
    let next = role(at + 1);
    let closed = matches!(next, None | Some(Role::Sign | Role::Preposition));
    match role(before)? {
        Role::Noun if introduced => Some(2),
        Role::Noun | Role::Preposition if dotted => Some(2),
        _ if labelled && dotted => Some(2),
        _ if labelled && (is_hole || sign(at + 1) == Some("=")) => Some(4),
        Role::Noun if closed => Some(3),
        Role::Preposition if next == Some(Role::Preposition) => Some(3),
        Role::Preposition => Some(4),
        // The argument of a call.
        Role::Sign if sign(at - 1) == Some("(") && !shape.symbols[at - 1].is_spaced() => {
            matches!(sign(at + 1), Some(")" | ",")).then_some(3)
        }
        _ => None,
    }
}

// Many words in one place.
fn fans(shapes: &[Shape], words: &Words, groups: &mut Groups) {
    let (mut all, mut names, mut statements) = (Vec::new(), Vec::new(), Vec::new());
    for (number, shape) in shapes.iter().enumerate() {
        let word_count = shape.symbols.iter().filter(|symbol| is_word(**symbol, words)).count();
        let located = shape.located || shape.symbols.iter().any(|symbol| words.role(*symbol) == Role::Place);
        let hash = hash(shape);
        for (at, symbol) in shape.symbols.iter().enumerate() {
            let role = words.role(*symbol);
            let word = is_word(*symbol, words);
            if !(word || symbol.is_hole()) || role.stays() || word_count < WORDS_MIN + usize::from(word) {
                continue;
            }
            let one = (without(hash, at, *symbol), at as u32, number as u32);
            all.push(one);
            if role.is_name() || symbol.is_hole() {
                names.extend((at > 0).then_some(one));
                statements.extend(located.then_some(one));
            }
        }
    }
    for (mut places, enough) in [(all, WORDS_IN_PLACE), (names, NAMES_IN_PLACE), (statements, NAMES_OF_STATEMENT)] {
        places.sort_unstable();
        for same in places.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).filter(|same| same.len() >= enough) {
            for (_, _, number) in same {
                groups.join(same[0].2, *number);
            }
        }
    }
}

// Joins each group with the shapes that its template covers. Whether there were any.
fn covered(shapes: &[Shape], words: &Words, groups: &mut Groups) -> bool {
    let mut members: Map<u32, Vec<u32>> = Map::default();
    for shape in 0..shapes.len() as u32 {
        members.entry(groups.of(shape)).or_default().push(shape);
    }
    // Templates with holes in the same places are looked up together.
    let mut masks: Map<(usize, Vec<usize>), Map<u64, u32>> = Map::default();
    for (group, members) in members.iter().filter(|(_, members)| members.len() > 1) {
        let common = common(members.iter().map(|member| &shapes[*member as usize]));
        let holes: Vec<usize> = (0..common.len()).filter(|at| common[*at].is_hole()).collect();
        let hash = hash_without(&shapes[members[0] as usize], &holes);
        masks.entry((common.len(), holes)).or_default().insert(hash, *group);
    }
    let mut joins = Vec::new();
    for ((length, holes), templates) in &masks {
        for (number, shape) in shapes.iter().enumerate().filter(|(_, shape)| shape.symbols.len() == *length) {
            if holes.iter().any(|at| words.role(shape.symbols[*at]).stays()) {
                continue;
            }
            if let Some(group) = templates.get(&hash_without(shape, holes)) {
                joins.push((*group, number as u32));
            }
        }
    }
    joins.into_iter().fold(false, |joined, (group, shape)| groups.join(group, shape) || joined)
}

fn is_word(symbol: Symbol, words: &Words) -> bool {
    !symbol.is_hole() && words.role(symbol) != Role::Sign
}

// The hash of a shape is a sum over its places, so that a place is taken out without reading the rest.
fn hash(shape: &Shape) -> u64 {
    let start = mix(shape.kin, shape.symbols.len() as u64);
    shape.symbols.iter().enumerate().fold(start, |sum, (at, symbol)| sum.wrapping_add(place(at, *symbol)))
}

fn without(hash: u64, at: usize, symbol: Symbol) -> u64 {
    hash.wrapping_sub(place(at, symbol)).wrapping_add(place(at, symbol.hole()))
}

fn hash_without(shape: &Shape, places: &[usize]) -> u64 {
    let symbols = places.iter().filter_map(|at| Some((*at, *shape.symbols.get(*at)?)));
    symbols.fold(hash(shape), |hash, (at, symbol)| without(hash, at, symbol))
}

fn place(at: usize, symbol: Symbol) -> u64 {
    mix(at as u64, symbol.word() as u64 * 2 + u64::from(symbol.is_spaced()))
}

// Spreads two numbers over 64 bits (the finalizer of SplitMix64).
fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(b).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Disjoint sets of shapes.
struct Groups {
    parents: Vec<u32>,
}

impl Groups {
    fn new(shapes: usize) -> Groups {
        Groups { parents: (0..shapes as u32).collect() }
    }

    fn of(&mut self, shape: u32) -> u32 {
        let mut at = shape;
        while self.parents[at as usize] != at {
            self.parents[at as usize] = self.parents[self.parents[at as usize] as usize];
            at = self.parents[at as usize];
        }
        at
    }

    // Whether they were apart.
    fn join(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.of(a), self.of(b));
        self.parents[a.max(b) as usize] = a.min(b);
        a != b
    }
}
