//! Exactness: a minute's rows are a function of the set of stored spans, and of nothing else.
//!
//! # The protocol, as the roller follows it
//! [`Roller`] below is the roller with its tables as plain maps, and may crash after every step:
//!
//! 1. **New parts**: parts of the span table whose blocks are not all among those seen. Only the list is
//!    taken now; what is read later may show rows of still newer parts, which are new to the next tick.
//! 2. **Dirty minutes**: those of the new parts' rows; and those whose current `wanted` name an id of a new
//!    row. `wanted` holds *every* reference out of the minute, found (`stored_elsewhere`) or not: another
//!    span under an id that was found may change the choice.
//! 3. **Roll** each: its spans; `others` = all stored spans with the ids of `Minute::missing`; `answered` =
//!    what the current answers of the *other* minutes name in it. Rows first, the manifest row last. The
//!    manifest keeps which answers the generation has used (in a real table: their count and a hash).
//! 4. **Stale minutes**: those whose incoming answers are not the ones that their generation has used. They
//!    are rolled too, until there are none; answers do not depend on answers, so the second round is the
//!    last. This compares states rather than watching changes, because a crash between an answering
//!    minute's manifest and the answered minute's roll would lose a change for ever: rolled again, the
//!    answering minute gives the same answers as before.
//! 5. **Progress** (the blocks of step 1 are seen) is written when nothing is dirty. A crash before repeats
//!    the tick, which is harmless.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;

use super::tests_kit::{draw, one_shot};
use super::tests_world::{Dice, World, garbage, renumbered, traffic};
use super::{GraphSpan, Minute, MinuteGraph, SpanRef, minute_of};

/// The answer in one go: every minute from the whole set.
fn truth(world: &World) -> BTreeMap<i64, MinuteGraph> {
    let minutes: BTreeSet<i64> = world.spans.iter().map(|span| minute_of(span.start_ns)).collect();
    let none = HashSet::new();
    let first: Vec<_> = minutes.iter().map(|at| (*at, one_shot(&world.names, &world.spans, *at, &none))).collect();
    let answered = |minute: i64| -> HashSet<SpanRef> {
        let others = first.iter().filter(|(at, _)| *at != minute);
        let answers = others.flat_map(|(_, graph)| &graph.answers);
        answers.filter(|answer| answer.minute_ns == minute).map(|answer| answer.at).collect()
    };
    minutes.iter().map(|at| (*at, one_shot(&world.names, &world.spans, *at, &answered(*at)))).collect()
}

/// Computes a minute again: shuffled, with repetitions, in chunks of traces, texts numbered anew.
fn recomputed(dice: &mut Dice, world: &World, minute_ns: i64, answered: &HashSet<SpanRef>) -> MinuteGraph {
    let chunks = 1 + dice.below(4);
    let salt = dice.roll();
    let mut minute = Minute::new(minute_ns);
    let mut order: Vec<u64> = (0..chunks).collect();
    dice.shuffle(&mut order);
    for chunk in order {
        let is_ours = |span: &&GraphSpan| {
            minute_of(span.start_ns) == minute_ns && Dice(span.at.trace_low ^ salt).below(chunks) == chunk
        };
        let mut spans: Vec<GraphSpan> = world.spans.iter().filter(is_ours).cloned().collect();
        let again: Vec<GraphSpan> = spans.iter().filter(|_| dice.one_in(3)).cloned().collect();
        spans.extend(again);
        dice.shuffle(&mut spans);
        let missing: HashSet<SpanRef> = Minute::missing(&spans).into_iter().collect();
        let mut others: Vec<GraphSpan> =
            world.spans.iter().filter(|span| missing.contains(&span.at)).cloned().collect();
        dice.shuffle(&mut others);
        let count = spans.len();
        spans.append(&mut others);
        let (names, spans) = renumbered(dice, &world.names, &spans);
        minute.add(&names, &spans[..count], &spans[count..], answered);
    }
    minute.finish()
}

fn same(got: &MinuteGraph, expected: &MinuteGraph) -> Result<(), TestCaseError> {
    prop_assert_eq!(draw(got), draw(expected));
    prop_assert_eq!(got, expected);
    Ok(())
}

fn check_function_of_set(world: &World, seed: u64) -> Result<(), TestCaseError> {
    let mut dice = Dice(seed);
    for (minute_ns, expected) in truth(world) {
        let unanswered = one_shot(&world.names, &world.spans, minute_ns, &HashSet::new());
        prop_assert_eq!(&unanswered.answers, &expected.answers, "answers depend on answers");
        prop_assert_eq!(&unanswered.wanted, &expected.wanted, "references depend on answers");
        for _ in 0..3 {
            same(&recomputed(&mut dice, world, minute_ns, &HashSet::new()), &unanswered)?;
        }
    }
    Ok(())
}

/// A part of the span table: rows of an interval of blocks.
struct Part {
    blocks: (u64, u64),
    spans: Vec<GraphSpan>,
}

/// A minute's current generation, and the answers that it has used.
#[derive(Default)]
struct Generation {
    graph: MinuteGraph,
    used: HashSet<SpanRef>,
}

/// What outlives a crash.
#[derive(Default)]
struct Tables {
    parts: Vec<Part>,
    block: u64,
    minutes: BTreeMap<i64, Generation>,
    seen: HashSet<u64>,
}

/// The world sends its spans in batches, each to one of four writers, in no order, some twice.
struct Feed {
    batches: Vec<Vec<GraphSpan>>,
    /// What each writer holds back still: it inserts a batch later than others inserted newer ones.
    writers: [Vec<Vec<GraphSpan>>; 4],
}

struct Crash;

struct Roller<'a> {
    world: &'a World,
    tables: Tables,
    feed: Feed,
    dice: Dice,
    crashes_left: u32,
}

impl Roller<'_> {
    // A moment in which anything may happen: rows arrive, parts merge, the process dies.
    fn step(&mut self) -> Result<(), Crash> {
        if self.dice.one_in(3) {
            self.insert();
        }
        if self.dice.one_in(5) && self.tables.parts.len() > 1 {
            let at = self.dice.below(self.tables.parts.len() as u64 - 1) as usize;
            let next = self.tables.parts.remove(at + 1);
            let part = &mut self.tables.parts[at];
            part.blocks.1 = next.blocks.1;
            part.spans.extend(next.spans);
        }
        if self.crashes_left > 0 && self.dice.one_in(8) {
            self.crashes_left -= 1;
            return Err(Crash);
        }
        Ok(())
    }

    fn insert(&mut self) {
        if let Some(batch) = self.feed.batches.pop() {
            let writer = self.dice.below(4) as usize;
            if self.dice.one_in(4) {
                self.feed.writers[self.dice.below(4) as usize].push(batch.clone()); // the answer was lost: sent again
            }
            self.feed.writers[writer].push(batch);
        }
        let writer = &mut self.feed.writers[self.dice.below(4) as usize];
        if !writer.is_empty() {
            let spans = writer.swap_remove(self.dice.below(writer.len() as u64) as usize);
            self.tables.block += 1;
            self.tables.parts.push(Part { blocks: (self.tables.block, self.tables.block), spans });
        }
    }

    fn has_more(&self) -> bool {
        !self.feed.batches.is_empty() || self.feed.writers.iter().any(|writer| !writer.is_empty())
    }

    fn tick(&mut self) -> Result<(), Crash> {
        let is_seen = |part: &&Part| (part.blocks.0..=part.blocks.1).all(|block| self.tables.seen.contains(&block));
        let new: Vec<&Part> = self.tables.parts.iter().filter(|part| !is_seen(part)).collect();
        let blocks: Vec<u64> = new.iter().flat_map(|part| part.blocks.0..=part.blocks.1).collect();
        let rows: Vec<&GraphSpan> = new.iter().flat_map(|part| &part.spans).collect();
        let ids: HashSet<SpanRef> = rows.iter().map(|span| span.at).collect();
        let mut dirty: BTreeSet<i64> = rows.iter().map(|span| minute_of(span.start_ns)).collect();
        self.step()?;
        let wants = |generation: &Generation| generation.graph.wanted.iter().any(|wanted| ids.contains(&wanted.at));
        dirty.extend(self.tables.minutes.iter().filter(|(_, generation)| wants(generation)).map(|(at, _)| at));
        let mut rounds = 0;
        while !dirty.is_empty() {
            for minute in dirty {
                self.roll(minute)?;
            }
            dirty = self.stale();
            rounds += 1;
            // Rows that arrive meanwhile may make a round more; nothing goes in circles.
            assert!(rounds < 100, "the answers do not come to rest");
        }
        self.step()?;
        self.tables.seen.extend(blocks);
        Ok(())
    }

    fn roll(&mut self, minute: i64) -> Result<(), Crash> {
        self.step()?;
        let used = self.incoming(minute);
        self.step()?;
        let here: Vec<GraphSpan> = self.stored().filter(|span| minute_of(span.start_ns) == minute).cloned().collect();
        self.step()?; // rows may arrive between the two questions
        let missing: HashSet<SpanRef> = Minute::missing(&here).into_iter().collect();
        let others: Vec<GraphSpan> = self.stored().filter(|span| missing.contains(&span.at)).cloned().collect();
        let mut pairing = Minute::new(minute);
        pairing.add(&self.world.names, &here, &others, &used);
        let graph = pairing.finish();
        self.step()?; // rows are written, the manifest is not: they stay unseen
        self.tables.minutes.insert(minute, Generation { graph, used });
        self.step()
    }

    fn stored(&self) -> impl Iterator<Item = &GraphSpan> {
        self.tables.parts.iter().flat_map(|part| &part.spans)
    }

    fn incoming(&self, minute: i64) -> HashSet<SpanRef> {
        let others = self.tables.minutes.iter().filter(|(at, _)| **at != minute);
        let answers = others.flat_map(|(_, generation)| &generation.graph.answers);
        answers.filter(|answer| answer.minute_ns == minute).map(|answer| answer.at).collect()
    }

    fn stale(&self) -> BTreeSet<i64> {
        let answers = self.tables.minutes.values().flat_map(|generation| &generation.graph.answers);
        let named = answers.map(|answer| answer.minute_ns);
        let known: BTreeSet<i64> = named.chain(self.tables.minutes.keys().copied()).collect();
        let used = |minute: &i64| self.tables.minutes.get(minute).map(|generation| &generation.used);
        known.into_iter().filter(|minute| used(minute) != Some(&self.incoming(*minute))).collect()
    }
}

fn check_protocol(world: &World, seed: u64) -> Result<(), TestCaseError> {
    let mut dice = Dice(seed);
    let mut spans = world.spans.clone();
    dice.shuffle(&mut spans);
    let mut batches = Vec::new();
    while !spans.is_empty() {
        let count = 1 + dice.below(spans.len().div_ceil(6) as u64) as usize;
        batches.push(spans.split_off(spans.len().saturating_sub(count)));
    }
    let feed = Feed { batches, writers: Default::default() };
    let mut roller = Roller { world, tables: Tables::default(), feed, dice, crashes_left: 3 };
    while roller.has_more() || roller.crashes_left > 0 {
        roller.insert();
        let _ = roller.tick(); // a crash: all but the tables is forgotten, which is what a tick starts from
    }
    prop_assert!(roller.tick().is_ok());
    let truth = truth(world);
    prop_assert_eq!(roller.tables.minutes.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
    for (minute, expected) in &truth {
        same(&roller.tables.minutes[minute].graph, expected)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    // Scenario: simulated traffic with losses, repetitions, skew and links, each minute computed in chunks, shuffled.
    // Guarantee: the same rows, bit for bit; references and answers do not depend on answers.
    #[test]
    fn traffic_is_a_function_of_the_set(seed in any::<u64>(), traces in 1..25u64) {
        check_function_of_set(&traffic(seed, traces), seed)?;
    }

    // Scenario: four writers, rows in any order and some twice, merges, three crashes at any step, then quiet.
    // Guarantee: every minute's rows are those of one computation over the final set.
    #[test]
    fn traffic_converges(seed in any::<u64>(), traces in 1..12u64) {
        check_protocol(&traffic(seed, traces), seed)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    // Scenario: garbage whose ids collide in every way, each minute computed in chunks, shuffled.
    // Guarantee: the same rows, bit for bit; no panic.
    #[test]
    fn garbage_is_a_function_of_the_set(world in garbage(), seed in any::<u64>()) {
        check_function_of_set(&world, seed)?;
    }

    // Scenario: garbage through four writers and three crashes.
    // Guarantee: every minute's rows are those of one computation over the final set.
    #[test]
    fn garbage_converges(world in garbage(), seed in any::<u64>()) {
        check_protocol(&world, seed)?;
    }
}

// Scenario: the simulated traffic itself.
// Guarantee: it has what the properties are about: every type of edge, links, answers, every reason but a few.
#[test]
fn traffic_is_rich() {
    let (mut drawn, mut answers) = (BTreeSet::new(), 0);
    for seed in 0..40 {
        for graph in truth(&traffic(seed, 20)).values() {
            drawn.extend(graph.edges.iter().map(|edge| edge.connection_type.text()));
            drawn.extend(graph.nodes.iter().flat_map(|node| &node.unpaired).map(|(reason, _)| reason.code()));
            answers += graph.answers.len();
        }
    }
    let expected = ["rpc", "messaging", "database", "external", "peer_not_instrumented", "parent_not_stored"];
    let more = ["client_not_stored", "link_not_stored", "clock_skew", "sampled_out", "id_truncated", "peer_unknown"];
    for word in expected.iter().chain(&more) {
        assert!(drawn.contains(word), "no {word} in {drawn:?}");
    }
    assert!(answers > 100, "{answers} answers");
}
