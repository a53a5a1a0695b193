//! Merges pattern keys into patterns. A key is stateless and tells too much apart: where a body names
//! a user or a path that no mask knows, each one has its own key. Here the keys of one service are
//! compared and get patterns: templates with holes. Rows keep their keys; what a key means is
//! resolved when rows are read, so patterns improve without rewriting anything.
//!
//! The patterns are a function of the *set* of keys: neither the order in which they came nor the
//! process that saw them matters, and a pattern's id is a hash of its template, so collectors that saw
//! the same variety give the same ids. More keys only ever join patterns: the keys of a pattern stay
//! together, and an old id leads to what its pattern became.
//!
//! Severity range, event name and place in the source are part of the identity; whoever uses a
//! pattern adds the tenant and service, whose keys were compared. Spec: design section 7.

pub mod grouping;
mod merge;
mod shape;
mod tokens;
mod words;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use twox_hash::XxHash3_64;

use crate::pattern::{BODY_BYTES_MAX, mask_body};
use shape::{Shape, Words};

/// Version of the merging rules: the seed of pattern ids.
pub const PATTERN_RULE: u64 = 1;

/// The pattern of the keys beyond a miner's bound.
pub const OVERFLOW: u64 = u64::MAX;

/// What a miner holds at most. A service that needs more has bodies that no rule understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Keys; about 40 bytes each.
    pub keys: usize,
    /// Templates before merging; about half a kilobyte each, 4 at worst.
    pub templates: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { keys: 50_000, templates: 5_000 }
    }
}

/// One log that has the key, and what of it the key does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// As stored with the row: [`crate::pattern_key`] of the fields below.
    pub key: u64,
    /// The body.
    pub body: &'a [u8],
    /// The event's name; empty for none.
    pub event_name: &'a [u8],
    /// 0 to 24.
    pub severity_number: u8,
    /// The place in the source from the log's attributes (see [`place`]); 0 for none.
    pub place: u64,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was known.
    Known,
    /// It is new; patterns may have changed.
    New,
    /// It is new, and there is no room for it.
    Overflow,
}

/// Keys that say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Hash of what makes the pattern.
    pub id: u64,
    /// The text that its logs share, with `<*>` for what they do not.
    pub template: String,
    /// Its keys and places, in order.
    pub keys: Vec<(u64, u64)>,
}

// Each merge gives a new id, and there are fewer merges than templates.
const GIVEN_PER_TEMPLATE: usize = 4;

/// The keys of one tenant's service, and their patterns.
#[derive(Debug, Default)]
pub struct Miner {
    bounds: Bounds,
    words: Words,
    shapes: Vec<Shape>,
    // By template hash.
    shape_of: HashMap<u64, u32, foldhash::fast::RandomState>,
    // By key and place.
    keys: HashMap<(u64, u64), u32, foldhash::fast::RandomState>,
    // Pattern of each shape; shorter than `shapes` while not settled.
    ids: Vec<u64>,
    // Each id ever given, and a shape that had it.
    given: HashMap<u64, u32, foldhash::fast::RandomState>,
    overflowed: u64,
}

impl Miner {
    /// A miner that holds at most so much.
    pub fn new(bounds: Bounds) -> Miner {
        Miner { bounds, ..Miner::default() }
    }

    /// Takes in a key. One that is known costs a lookup.
    pub fn add(&mut self, seen: &Seen<'_>) -> Added {
        if self.keys.contains_key(&(seen.key, seen.place)) {
            return Added::Known;
        }
        let shape = if self.keys.len() < self.bounds.keys { self.shape(seen) } else { None };
        let Some(shape) = shape else {
            self.overflowed += 1;
            return Added::Overflow;
        };
        self.keys.insert((seen.key, seen.place), shape);
        Added::New
    }

    // The number of its template; none when there is no room for a new one.
    fn shape(&mut self, seen: &Seen<'_>) -> Option<u32> {
        let masked = masked(seen.body);
        let kin = kin(seen);
        if self.shapes.len() >= self.bounds.templates {
            // Words of a template that is turned away are not kept.
            let mut words = Words::default();
            let symbols = words.read(&masked);
            return self.shape_of.get(&Shape::id(kin, &symbols, &words)).copied();
        }
        let symbols = self.words.read(&masked);
        let number = *self.shape_of.entry(Shape::id(kin, &symbols, &self.words)).or_insert(self.shapes.len() as u32);
        if number as usize == self.shapes.len() {
            self.shapes.push(Shape { kin, located: seen.place != 0, symbols });
        }
        Some(number)
    }

    /// Merges what was added since. Costs a pass over all keys; call it once per batch of new ones.
    pub fn settle(&mut self) {
        if self.ids.len() == self.shapes.len() {
            return;
        }
        let groups = merge::merge(&self.shapes, &self.words);
        let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
        for (shape, group) in groups.iter().enumerate() {
            members.entry(*group).or_default().push(shape as u32);
        }
        self.ids.resize(self.shapes.len(), 0);
        for members in members.values() {
            let common = merge::common(members.iter().map(|member| &self.shapes[*member as usize]));
            let id = Shape::id(self.shapes[members[0] as usize].kin, &common, &self.words);
            members.iter().for_each(|member| self.ids[*member as usize] = id);
            self.given.insert(id, members[0]);
        }
    }

    /// The pattern of a key at a place, as last settled; [`OVERFLOW`] for any other key once one was
    /// turned away, none for one that is new.
    pub fn pattern(&self, key: u64, place: u64) -> Option<u64> {
        match self.keys.get(&(key, place)) {
            Some(shape) => self.ids.get(*shape as usize).copied(),
            None => (self.overflowed > 0).then_some(OVERFLOW),
        }
    }

    /// All patterns as last settled, by id.
    pub fn patterns(&self) -> Vec<Pattern> {
        let mut keys: HashMap<u64, Vec<(u64, u64)>> = HashMap::new();
        let mut members: HashMap<u64, Vec<u32>> = HashMap::new();
        for (key, shape) in &self.keys {
            let Some(id) = self.ids.get(*shape as usize) else { continue };
            keys.entry(*id).or_default().push(*key);
            members.entry(*id).or_default().push(*shape);
        }
        let mut patterns: Vec<Pattern> = keys
            .into_iter()
            .map(|(id, mut keys)| {
                keys.sort_unstable();
                let common = merge::common(members[&id].iter().map(|shape| &self.shapes[*shape as usize]));
                Pattern { id, template: self.words.text(&common), keys }
            })
            .collect();
        patterns.sort_unstable_by_key(|pattern| pattern.id);
        patterns
    }

    /// What the pattern that once had this id is now; none for an id that was never given.
    pub fn current(&self, id: u64) -> Option<u64> {
        self.ids.get(*self.given.get(&id)? as usize).copied()
    }

    /// Says that a key had this pattern, in an earlier life or in another process, so that
    /// [`Miner::current`] knows the id. Whether the key is known here and there
    /// was room for the id.
    pub fn recall(&mut self, id: u64, key: u64, place: u64) -> bool {
        let Some(shape) = self.keys.get(&(key, place)) else { return false };
        let room = self.given.len() < GIVEN_PER_TEMPLATE * self.bounds.templates;
        if room {
            self.given.entry(id).or_insert(*shape);
        }
        room
    }

    /// How many keys and templates it holds.
    pub fn size(&self) -> (usize, usize) {
        (self.keys.len(), self.shapes.len())
    }

    /// How often a key was turned away for want of room.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

/// The place in the source that a log's attributes name (`code.file.path`, `code.line.number`,
/// `code.function.name`), as part of a pattern's identity; 0 when they name none.
pub fn place(file: &[u8], line: &[u8], function: &[u8]) -> u64 {
    if file.is_empty() && line.is_empty() && function.is_empty() {
        return 0;
    }
    let place = [file, line, function].join(&0);
    XxHash3_64::oneshot_with_seed(PATTERN_RULE, &place).max(1)
}

/// The id by which people know a service's pattern: two services that say the same have two. Applied to
/// that, it gives the miner's id again.
pub fn of_service(service: &[u8], id: u64) -> u64 {
    id ^ XxHash3_64::oneshot_with_seed(PATTERN_RULE, service)
}

/// The template of one body, compared with no other.
pub fn template(body: &[u8]) -> String {
    let mut words = Words::default();
    let symbols = words.read(&masked(body));
    words.text(&symbols)
}

// What of a body its key is made of, but for a word that was cut in two.
fn masked(body: &[u8]) -> String {
    let mut masked = Vec::new();
    mask_body(body, &mut masked);
    if body.len() > BODY_BYTES_MAX {
        let words = masked.iter().rposition(|byte| *byte == b' ').unwrap_or(masked.len());
        masked.truncate(words);
    }
    String::from_utf8_lossy(&masked).into_owned()
}

fn kin(seen: &Seen<'_>) -> u64 {
    let mut kin = seen.event_name.to_vec();
    kin.extend_from_slice(&seen.place.to_le_bytes());
    // As in the key, severities count by their range.
    kin.push(seen.severity_number.div_ceil(4));
    XxHash3_64::oneshot_with_seed(PATTERN_RULE, &kin)
}
