//! The shop in time: visits come at random moments, the nightly job once a minute, lines that belong
//! to no request now and then; faults are switched on and off.

use crate::fault::{Ends, Fault, Order, Truth};
use crate::logs;
use crate::random::{Random, mix};
use crate::shop::Svc;
use crate::story::{NIGHTLY_REPORT, VISITS};
use crate::telemetry::{Item, Payload, Resource};
use crate::walk::{Caller, Facts, Walk};

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The same seed gives the same visits.
    pub seed: u64,
    /// When it starts, nanoseconds since the epoch. All times count from it, also the hour of the
    /// shop's day, so that a run looks the same whenever it is started.
    pub start_ns: i64,
    /// Visits per second, in the mean over a day.
    pub rate: f64,
}

/// The shop.
#[derive(Debug)]
pub struct Simulator {
    settings: Settings,
    arrivals: Random,
    visits: u64,
    next_visit_ns: i64,
    jobs: u64,
    next_job_ns: i64,
    murmurs: u64,
    next_murmur_ns: i64,
    faults: Vec<Fault>,
    last_id: u32,
}

const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: f64 = 86_400.0 * 1e9;
/// Faults remembered; those over longest are forgotten first.
const FAULTS_MAX: usize = 500;

// Streams of dice: visits count up from zero.
const ARRIVALS: u64 = u64::MAX;
const JOBS: u64 = 1 << 62;
const MURMURS: u64 = 1 << 61;

impl Simulator {
    /// A shop about to open.
    pub fn new(settings: Settings) -> Simulator {
        let mut shop = Simulator {
            settings,
            arrivals: Random::new(settings.seed, ARRIVALS),
            visits: 0,
            next_visit_ns: settings.start_ns,
            jobs: 0,
            next_job_ns: settings.start_ns + 4 * SECOND_NS,
            murmurs: 0,
            next_murmur_ns: settings.start_ns + SECOND_NS,
            faults: Vec::new(),
            last_id: 0,
        };
        shop.await_visit();
        shop
    }

    /// When something happens next; [`Self::step`] makes it happen.
    pub fn next_ns(&self) -> i64 {
        self.next_visit_ns.min(self.next_job_ns).min(self.next_murmur_ns)
    }

    /// When it started.
    pub fn start_ns(&self) -> i64 {
        self.settings.start_ns
    }

    /// Visits so far.
    pub fn visits(&self) -> u64 {
        self.visits
    }

    /// Lets the next thing happen. What is sent of it is added to `out`, in no order; some of it falls
    /// due only later.
    pub fn step(&mut self, out: &mut Vec<Item>) {
        let now_ns = self.next_ns();
        if now_ns == self.next_visit_ns {
            let mut random = Random::new(self.settings.seed, self.visits);
            self.visits += 1;
            self.await_visit();
            let weights: u32 = VISITS.iter().map(|(_, weight)| weight).sum();
            let mut drawn = random.below(weights as usize) as u32;
            let visit = VISITS.iter().find(|(_, weight)| {
                let here = drawn < *weight;
                drawn = drawn.saturating_sub(*weight);
                here
            });
            let caller = Caller::visitor(&mut random);
            let operation = visit.unwrap_or(&VISITS[0]).0;
            self.walk(random, out, now_ns).visit(operation, caller, now_ns);
        } else if now_ns == self.next_job_ns {
            let mut random = Random::new(self.settings.seed, JOBS + self.jobs);
            self.jobs += 1;
            self.next_job_ns += 60 * SECOND_NS;
            let caller = Caller::visitor(&mut random);
            self.walk(random, out, now_ns).visit(&NIGHTLY_REPORT, caller, now_ns);
        } else {
            self.murmur(now_ns, out);
        }
    }

    /// Puts a fault into the run; its lengths count from `base_ns`.
    pub fn switch_on(&mut self, order: &Order, base_ns: i64) -> &Fault {
        self.last_id += 1;
        if self.faults.len() >= FAULTS_MAX {
            let oldest = self.faults.iter().position(|fault| fault.is_over(base_ns)).unwrap_or(0);
            self.faults.remove(oldest);
        }
        self.faults.push(Fault::new(self.last_id, order, base_ns));
        &self.faults[self.faults.len() - 1]
    }

    /// Ends a fault; its ground truth, or `None` when there is none of this number that lasts.
    pub fn switch_off(&mut self, id: u32, at_ns: i64) -> Option<Truth> {
        let fault = self.faults.iter_mut().find(|fault| fault.id == id && !fault.is_over(at_ns))?;
        fault.ends = Ends::At(at_ns.max(fault.from_ns));
        Some(fault.truth())
    }

    /// All faults of the run, first to last.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    // More visits by day than by night; the shop's day begins at a time that the seed chooses.
    fn await_visit(&mut self) {
        let busy = 1.0 + 0.2 * self.hour(self.next_visit_ns);
        let gap_ns = self.arrivals.gap(1e9 / (self.settings.rate * busy));
        self.next_visit_ns += (gap_ns as i64).max(1);
    }

    // Between -1, the dead of night, and 1.
    fn hour(&self, at_ns: i64) -> f64 {
        let phase = mix(self.settings.seed) as f64 / u64::MAX as f64;
        ((at_ns - self.settings.start_ns) as f64 / DAY_NS + phase).fract().mul_add(std::f64::consts::TAU, 0.0).sin()
    }

    fn walk<'a>(&'a mut self, mut random: Random, out: &'a mut Vec<Item>, now_ns: i64) -> Walk<'a> {
        let pace = 1.0 + 0.15 * self.hour(now_ns);
        let facts = Facts::new(&mut random);
        Walk { random, faults: &mut self.faults, out, facts, pace }
    }

    fn murmur(&mut self, now_ns: i64, out: &mut Vec<Item>) {
        let mut random = Random::new(self.settings.seed, MURMURS + self.murmurs);
        self.murmurs += 1;
        self.next_murmur_ns += (random.gap(1.5e9) as i64).max(1);
        let service = Svc::ALL[random.below(Svc::ALL.len())];
        let pod = random.below(service.about().pods.len()) as u8;
        let number = random.bits() >> 8;
        let facts = Facts::new(&mut random);
        let mut walk = Walk { random, faults: &mut self.faults, out, facts, pace: 1.0 };
        let resource = Resource { service, pod, canary: false };
        // The job's pod is there only while it runs.
        if service == Svc::Reporting || walk.is_away(service, now_ns) {
            return;
        }
        let time_ns = now_ns + walk.skew(resource, now_ns, 0);
        let log = logs::murmur(service.about(), number, time_ns);
        out.push(Item { due_ns: now_ns, resource, payload: Payload::Log(log) });
    }
}

/// Name of the pod that runs the next version of a service, and that version.
pub(crate) fn canary_of(service: Svc) -> (String, &'static str) {
    let resource = Resource { service, pod: 0, canary: true };
    (crate::otlp::pod_name(resource), service.about().next_version)
}
