//! Simulated traffic: traces as services would send them, and plain garbage. A seed decides everything:
//! who calls whom and how, clocks, losses, repetitions.

use proptest::prelude::*;

use super::tests_kit::MINUTE;
use super::{GraphSpan, Kind, MINUTE_NS, Names, SpanRef};

/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Texts and all spans that were ever stored, repetitions included, in no order.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) names: Names,
    pub(super) spans: Vec<GraphSpan>,
}

// A span under which others are still to be made.
struct Open {
    span: GraphSpan,
    depth: u32,
}

/// Traffic of some traces over about four minutes.
pub(super) fn traffic(seed: u64, traces: u64) -> World {
    let mut dice = Dice(seed);
    let mut world = World::default();
    let skewed = dice.below(6); // one service's clock is off by up to two minutes
    let skew_ns = dice.below(240) as i64 * 1_000_000_000 - 120_000_000_000;
    let mut producers: Vec<SpanRef> = Vec::new();
    for _ in 0..traces {
        let trace_low = dice.roll();
        let high = if dice.one_in(4) { 0 } else { dice.roll() };
        let kindless = dice.one_in(5);
        let start_ns = MINUTE + dice.below(180_000) as i64 * 1_000_000;
        let mut root = world.span(&mut dice, trace_low, 0, Kind::Server);
        root.start_ns = start_ns;
        let mut open = vec![Open { span: root, depth: 0 }];
        let mut count = 0;
        while let Some(Open { span, depth }) = open.pop() {
            count += 1;
            for _ in 0..dice.below(4) {
                if depth < 6 && count + open.len() < 30 {
                    let child = world.child(&mut dice, &span, &mut producers);
                    open.push(Open { span: child, depth: depth + 1 });
                }
            }
            let mut span = span;
            span.trace_high = if dice.one_in(6) { 0 } else { high };
            if kindless {
                span.kind = Kind::Unspecified;
            }
            if world.names.text(span.service) == format!("s{skewed}") {
                span.start_ns += skew_ns;
            }
            if dice.one_in(10) {
                continue; // lost
            }
            while dice.one_in(8) {
                world.spans.push(span.clone());
            }
            world.spans.push(span);
        }
    }
    dice.shuffle(&mut world.spans);
    world
}

impl World {
    fn span(&mut self, dice: &mut Dice, trace_low: u64, parent_id: u64, kind: Kind) -> GraphSpan {
        let service = format!("s{}", dice.below(6));
        let magnitude = 10 + dice.below(25);
        GraphSpan {
            at: SpanRef { trace_low, span_id: dice.roll() | 1 },
            parent_id,
            service: self.names.intern(&service),
            kind,
            error: dice.one_in(10),
            duration_ns: dice.below(1 << magnitude),
            weight: [1.0, 1.0, 4.0, 1.0 / 0.3][dice.below(4) as usize],
            ..GraphSpan::default()
        }
    }

    fn child(&mut self, dice: &mut Dice, parent: &GraphSpan, producers: &mut Vec<SpanRef>) -> GraphSpan {
        let delay_ms = if dice.one_in(4) { 70_000 } else { 50 };
        let delay_ns = dice.below(delay_ms) as i64 * 1_000_000;
        let mut child = self.span(dice, parent.at.trace_low, parent.at.span_id, Kind::Internal);
        child.start_ns = parent.start_ns + delay_ns;
        match parent.kind {
            Kind::Client if dice.one_in(3) => {
                child.kind = Kind::Server;
                child.shared = dice.one_in(2);
                child.at = parent.at;
                child.parent_id = parent.parent_id;
            }
            Kind::Client if dice.one_in(2) => child.kind = Kind::Server,
            Kind::Producer => {
                child.kind = Kind::Consumer;
                if dice.one_in(2) {
                    child.at.trace_low = dice.roll();
                    child.parent_id = 0;
                    child.links.push(parent.at);
                }
                child.destination = self.names.intern(["", "queue"][dice.below(2) as usize]);
                for _ in 0..dice.below(3) {
                    child.links.extend(producers.get(dice.below(producers.len() as u64) as usize));
                }
            }
            _ => {
                if !dice.one_in(8) {
                    child.service = parent.service;
                }
                self.outgoing(dice, &mut child);
                if child.kind == Kind::Producer {
                    producers.push(child.at);
                }
            }
        }
        child
    }

    fn outgoing(&mut self, dice: &mut Dice, span: &mut GraphSpan) {
        match dice.below(8) {
            0 | 1 => {}
            2 => {
                span.kind = Kind::Client;
                span.db_system = self.names.intern("postgresql");
                span.peer = self.names.intern(["", "db-1", "db-2"][dice.below(3) as usize]);
            }
            3 => {
                span.kind = Kind::Producer;
                span.messaging_system = self.names.intern(["", "kafka"][dice.below(2) as usize]);
                span.destination = self.names.intern(["", "orders", "mails"][dice.below(3) as usize]);
            }
            _ => {
                span.kind = Kind::Client;
                span.peer = self.names.intern(["", "s1", "api.example.com"][dice.below(3) as usize]);
            }
        }
    }
}

/// Anything: few ids, so that spans meet in every wrong way.
pub(super) fn garbage() -> impl Strategy<Value = World> {
    prop::collection::vec((any::<u64>(), 0..4u64, 1..8u64, 0..8u64), 1..60).prop_map(|rows| {
        let mut world = World::default();
        for (seed, trace_low, span_id, parent_id) in rows {
            let mut dice = Dice(seed);
            let texts = ["", "a", "b", "c"];
            let mut text = |dice: &mut Dice, n: u64| world.names.intern(texts[dice.below(n) as usize]);
            let span = GraphSpan {
                at: SpanRef { trace_low, span_id },
                parent_id,
                trace_high: dice.below(3),
                service: text(&mut dice, 4),
                kind: Kind::from_number(dice.below(6) as u8),
                error: dice.one_in(3),
                shared: dice.one_in(3),
                flags: if dice.one_in(3) { 0x100 } else { 0 },
                start_ns: MINUTE + dice.below(4) as i64 * MINUTE_NS + dice.below(3) as i64,
                duration_ns: dice.below(3),
                weight: [1.0, 0.0, 7.7, f64::NAN, -1.0, 1e300][dice.below(6) as usize],
                peer: text(&mut dice, 3),
                db_system: text(&mut dice, 2),
                db_namespace: text(&mut dice, 2),
                messaging_system: text(&mut dice, 2),
                destination: text(&mut dice, 3),
                links: (0..dice.below(3))
                    .map(|_| SpanRef { trace_low: dice.below(4), span_id: 1 + dice.below(8) })
                    .collect(),
            };
            world.spans.push(span);
        }
        world
    })
}

/// The same spans with texts numbered in another order.
pub(super) fn renumbered(dice: &mut Dice, names: &Names, spans: &[GraphSpan]) -> (Names, Vec<GraphSpan>) {
    let mut out = Names::default();
    let mut used: Vec<_> = spans
        .iter()
        .flat_map(|s| [s.service, s.peer, s.db_system, s.db_namespace, s.messaging_system, s.destination])
        .collect();
    dice.shuffle(&mut used);
    for name in &used {
        out.intern(names.text(*name));
    }
    let mut spans = spans.to_vec();
    for s in &mut spans {
        for name in [
            &mut s.service,
            &mut s.peer,
            &mut s.db_system,
            &mut s.db_namespace,
            &mut s.messaging_system,
            &mut s.destination,
        ] {
            *name = out.intern(names.text(*name));
        }
    }
    (out, spans)
}
