//! The demo's shop under a watch, on simulated time: its telemetry is counted as a store would count it, handed over
//! as it falls due, and questions to the localisation are answered from the same spans and logs.
#![allow(dead_code, unreachable_pub)]

mod count;
mod read;
mod suspects;

use std::collections::BTreeMap;

use demo::{Order, Settings as Shop, Simulator};
use watch::{Answer, Event, Notice, Settings, Snapshot, Watch};

use count::Counter;
use suspects::Memory;

pub const SECOND_NS: i64 = 1_000_000_000;
pub const START_NS: i64 = 1_764_331_200 * SECOND_NS;
/// Between ticks.
pub const TICK_S: i64 = 5;
/// How long telemetry is on its way.
const DELAY_NS: i64 = 3 * SECOND_NS;

/// A run of the shop, in seconds from its start.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub rate: f64,
    pub seed: u64,
    pub length_s: i64,
    /// Faults: `kind[:target]`, from, until.
    pub faults: Vec<(String, i64, i64)>,
    /// Without the subject `Wait`.
    pub no_waits: bool,
}

/// A case that is running.
pub struct Run {
    pub watch: Watch,
    /// When people were told what, seconds from the start.
    pub told: Vec<(i64, Notice)>,
    /// When incidents were first heard of.
    pub noticed: BTreeMap<String, i64>,
    /// When answers came, and what they were.
    pub answers: Vec<(i64, String, Answer)>,
    pub now_s: i64,
    /// Added to the clock that the watch is told.
    pub skew_s: i64,
    pub truths: Vec<serde_json::Value>,
    shop: Simulator,
    counter: Counter,
    memory: Memory,
    asked: Vec<(String, i64, i64)>,
    /// Time spent in the watch.
    pub spent: std::time::Duration,
}

impl Run {
    pub fn new(case: &Case) -> Run {
        let mut shop = Simulator::new(Shop { seed: case.seed, start_ns: START_NS, rate: case.rate });
        for (fault, from_s, until_s) in &case.faults {
            let mut order = Order::parse(fault).expect("a fault of the menu");
            (order.after_ms, order.for_ms) = (*from_s as f64 * 1e3, Some((until_s - from_s) as f64 * 1e3));
            shop.switch_on(&order, START_NS);
        }
        Run {
            watch: Watch::new(Settings::default()),
            told: Vec::new(),
            noticed: BTreeMap::new(),
            answers: Vec::new(),
            now_s: 0,
            skew_s: 0,
            truths: Vec::new(),
            shop,
            counter: Counter::new(!case.no_waits),
            memory: Memory::default(),
            asked: Vec::new(),
            spent: std::time::Duration::ZERO,
        }
    }

    pub fn whole(case: &Case) -> Run {
        let mut run = Run::new(case);
        run.until(case.length_s);
        run
    }

    /// Lets time pass.
    pub fn until(&mut self, until_s: i64) {
        while self.now_s < until_s {
            self.step();
        }
        self.truths = self.shop.faults().iter().map(demo::Fault::truth).collect();
    }

    fn step(&mut self) {
        self.now_s += TICK_S;
        let now_ns = START_NS + self.now_s * SECOND_NS;
        let mut items = Vec::new();
        while self.shop.next_ns() < now_ns {
            self.shop.step(&mut items);
            let read = read::read(&mut self.memory.names, &items);
            items.clear();
            self.memory.keep(read.iter());
            self.counter.queue(read);
        }
        let seen = self.counter.due(&self.memory.names, now_ns - DELAY_NS);
        let told_ns = now_ns + self.skew_s * SECOND_NS;
        let shifted: Vec<_> = seen
            .into_iter()
            .map(|mut seen| {
                seen.slot_s += self.skew_s - self.skew_s.rem_euclid(10);
                seen
            })
            .collect();
        let answers: Vec<_> = self
            .asked
            .drain(..)
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(id, from_ns, to_ns)| (id, self.memory.ask(from_ns, to_ns, now_ns - DELAY_NS)))
            .collect();
        let began = std::time::Instant::now();
        self.watch.observe(told_ns, &shifted);
        if self.now_s % 60 < TICK_S {
            self.watch.edges(told_ns, &self.counter.edges());
        }
        let mut events = self.watch.tick(told_ns);
        for (id, answer) in answers {
            self.answers.push((self.now_s, id.clone(), answer.clone()));
            events.extend(self.watch.located(&id, answer, told_ns));
        }
        self.spent += began.elapsed();
        for event in events {
            match event {
                Event::Locate { id, from_ns, to_ns } => {
                    let shift_ns = self.skew_s * SECOND_NS;
                    self.asked.push((id, from_ns - shift_ns, to_ns - shift_ns));
                }
                Event::Changed { id } => {
                    self.noticed.entry(id).or_insert(self.now_s);
                }
                Event::Notify(notice) => self.told.push((self.now_s, *notice)),
            }
        }
    }

    /// A restart: the memory, through its stored form, and the slots of the last hour.
    pub fn restart(&mut self) {
        let now_ns = START_NS + self.now_s * SECOND_NS;
        let stored = serde_json::to_string(&self.watch.snapshot(now_ns)).expect("a snapshot is JSON");
        let snapshot: Snapshot = serde_json::from_str(&stored).expect("and is read again");
        self.watch = Watch::restore(Settings::default(), snapshot);
        self.watch.observe(now_ns, &self.counter.all(now_ns));
        self.watch.edges(now_ns, &self.counter.edges());
        self.asked.clear();
    }
}
