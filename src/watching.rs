//! The watch at work: every ten seconds, or five while something is wrong, it hands what the store has counted to `watch`,
//! one for each tenant, and does what its events ask for: suspects are asked for (beside the looks), incidents are written, people are told.
//!
//! Who rolls up the service graph watches too, so that one collector does it for a database. What has to survive a
//! restart are records of the store; what is usual is learnt again from the last hour's spans.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ::watch::{Answer, Event, Observation, Pattern, Rule, Settings, Snapshot, Subject, Suspect, Verdict, Watch};
use model::time::SECOND_NS;
use store::records::Record;
use store::rollup::Rolling;
use store::rollup::watch::{ClockSlot, Counted};
use store::{LookupError, Store};
use tokio::sync::Semaphore;
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, warn};
use twox_hash::XxHash64;
use view::View;
use view::incidents::{INCIDENT, RULE, SILENCE};
use view::patterns::PatternName;
use view::suspects::{SuspectsAnswer, SuspectsQuestion};
use view::time::{TimePoint, TimeRange};

use crate::clock;
use crate::configured::{Configured, with_kept};
use crate::notify::Outbox;
use crate::watch_metrics::Metrics;

/// A tick, and a slot. While nothing is wrong, each second tick is left out; the other comes when a slot is complete.
const TICK: Duration = Duration::from_secs(5);
const COMPLETE_S: i64 = 8;
const SLOT_NS: i64 = 10 * SECOND_NS;
/// After a start, senders repeat what was not taken.
const CATCHING_UP: Duration = Duration::from_secs(15);
/// Nothing is said while the store is so far behind; rows for a partition with few wait for ten seconds.
const BEHIND_NS: i64 = 20 * SECOND_NS;
/// What is accepted happened so long before.
const ON_THE_WAY_NS: i64 = 5 * SECOND_NS;
/// Slots are counted until they are complete, and once more when stragglers have come.
const FRESH_NS: i64 = 15 * SECOND_NS;
const AGAIN_NS: (i64, i64) = (70 * SECOND_NS, 60 * SECOND_NS);
/// What is usual is learnt from so much of the past, in pieces, and from no more than so many spans.
const PAST_NS: i64 = 3_600 * SECOND_NS;
const PIECE_NS: i64 = 300 * SECOND_NS;
const PAST_SPANS_MAX: u64 = 20_000_000;
/// So much of the day before is read at a time: what was usual at this time of the day.
const DAY_NS: i64 = 86_400 * SECOND_NS;
const TIME_NS: i64 = 600 * SECOND_NS;
/// Minutes of the graph that say who calls whom, and whose clocks are compared.
const CALLS_NS: i64 = 900 * SECOND_NS;
const CLOCKS_NS: i64 = 180 * SECOND_NS;
/// How often the call graph is read.
const CALLS_EVERY: Duration = Duration::from_secs(30);
/// The watch's memory is written at most so often.
const REMEMBER_EVERY: Duration = Duration::from_secs(60);
/// Longest wait for suspects, and questions for them at a time.
const SUSPECTS_MAX: Duration = Duration::from_secs(30);
const ASKING_MAX: usize = 2;
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// Kind and id of the record that is a watch's memory.
const MEMORY: (&str, &str) = ("watch", "memory");
/// Tenants whose memory is read.
const TENANTS_MAX: u64 = 100_000;
/// Keys whose patterns are asked for at a time.
const KEYS_MAX: usize = 1_000;
/// Rules, and silences, of all tenants.
const WISHES_MAX: u64 = 200_000;

/// Watches for ever, whenever this process rolls: while `reigns` has the epoch of its reign.
///
/// `unstored_ns` says since when something accepted waits to be stored.
pub(crate) async fn run(
    store: Store,
    view: View,
    mut reigns: Receiver<Option<u64>>,
    configured: Configured,
    outbox: Outbox,
    metrics: Metrics,
    unstored_ns: impl Fn() -> Option<i64> + Sync,
) {
    while reigns.wait_for(Option::is_some).await.is_ok() {
        if let Err(error) = reign(&store, &view, &reigns, &configured, &outbox, &metrics, &unstored_ns).await {
            metrics.failures.inc();
            debug!(%error, "the watch cannot look now; trying again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

// How long it is, after a while, until a slot is complete.
fn until_complete(after: Duration) -> Duration {
    let then_ns = clock::now_ns() + after.as_nanos() as i64 - COMPLETE_S * SECOND_NS;
    Duration::from_nanos((SLOT_NS - then_ns.rem_euclid(SLOT_NS)).unsigned_abs())
}

async fn reign(
    store: &Store,
    view: &View,
    reigns: &Receiver<Option<u64>>,
    configured: &Configured,
    outbox: &Outbox,
    metrics: &Metrics,
    unstored_ns: &(impl Fn() -> Option<i64> + Sync),
) -> Result<(), LookupError> {
    let mut room = Room {
        unstored_ns,
        rolling: store.rolling()?,
        store,
        view,
        configured,
        outbox,
        metrics,
        watches: BTreeMap::new(),
        remembered: HashMap::new(),
        calls_read: None,
        again_ns: 0,
        day_before_ns: 0,
        asking: HashMap::new(),
        questions: JoinSet::new(),
        turns: Arc::new(Semaphore::new(ASKING_MAX)),
    };
    room.recall().await?;
    room.learn().await?;
    // Whoever could not send while we were away sends now.
    let mut ticks = tokio::time::interval_at(Instant::now() + CATCHING_UP + until_complete(CATCHING_UP), TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while reigns.borrow().is_some() {
        tokio::select! {
            _ = ticks.tick() => {}
            Some(done) = room.questions.join_next() => {
                room.answered(done.ok()).await?;
                continue;
            }
        }
        let is_between = (clock::now_ns() / SECOND_NS - COMPLETE_S).rem_euclid(10) >= 5;
        if is_between && room.watches.values().all(Watch::is_calm) {
            continue;
        }
        // What is not stored yet must not look like silence.
        if unstored_ns().is_some_and(|since_ns| clock::now_ns() - since_ns > BEHIND_NS) {
            metrics.skipped.inc();
            continue;
        }
        let began = Instant::now();
        room.look().await?;
        metrics.seconds.inc_by(began.elapsed().as_secs_f64());
    }
    Ok(())
}

struct Room<'a> {
    unstored_ns: &'a (dyn Fn() -> Option<i64> + Sync),
    rolling: Rolling,
    store: &'a Store,
    view: &'a View,
    configured: &'a Configured,
    outbox: &'a Outbox,
    metrics: &'a Metrics,
    watches: BTreeMap<String, Watch>,
    /// When a tenant's memory was written.
    remembered: HashMap<String, Instant>,
    calls_read: Option<Instant>,
    /// The slot up to which stragglers were counted.
    again_ns: i64,
    /// The time of the day before that was read.
    day_before_ns: i64,
    /// Incidents (tenant, id) for which suspects are being asked, and the window to ask for next.
    asking: HashMap<(String, String), Option<(i64, i64)>>,
    questions: JoinSet<Answered>,
    turns: Arc<Semaphore>,
}

/// What localization said of an incident; nothing when it could not answer.
struct Answered {
    tenant: String,
    id: String,
    answer: Option<Answer>,
}

impl Room<'_> {
    // What was, up to now.
    async fn learn(&mut self) -> Result<(), LookupError> {
        let now_ns = clock::now_ns();
        let from_ns = now_ns - PAST_NS;
        let since_ns = self.rolling.since(from_ns, PAST_SPANS_MAX).await?.map_or(now_ns, |since_s| since_s * SECOND_NS);
        let mut at_ns = since_ns.max(from_ns).div_euclid(SLOT_NS) * SLOT_NS;
        while at_ns < now_ns {
            let end_ns = (at_ns + PIECE_NS).min(now_ns);
            let mut counted = self.rolling.counted(at_ns, end_ns).await?;
            counted.waits = self.rolling.waits(at_ns, end_ns).await?;
            let clocks = self.rolling.clocks(at_ns, end_ns).await?;
            self.observe(now_ns, counted, clocks);
            at_ns = end_ns;
        }
        self.read_calls(now_ns).await
    }

    async fn look(&mut self) -> Result<(), LookupError> {
        let now_ns = clock::now_ns();
        let slot_ns = now_ns.div_euclid(SLOT_NS) * SLOT_NS;
        let fresh_ns = (now_ns - FRESH_NS).div_euclid(SLOT_NS) * SLOT_NS;
        let mut counted = self.rolling.counted(fresh_ns, now_ns).await?;
        if slot_ns != self.again_ns {
            counted.waits = self.rolling.waits(fresh_ns, now_ns).await?;
            let again = self.rolling.counted(slot_ns - AGAIN_NS.0, slot_ns - AGAIN_NS.1).await?;
            let clocks = self.rolling.clocks(now_ns - CLOCKS_NS, now_ns).await?;
            self.observe(now_ns, again, clocks);
            self.again_ns = slot_ns;
        }
        self.observe(now_ns, counted, Vec::new());
        self.read_day_before(now_ns).await?;
        if self.calls_read.is_none_or(|read| read.elapsed() >= CALLS_EVERY) {
            self.read_calls(now_ns).await?;
        }
        self.follow_wishes().await?;
        let tenants: Vec<String> = self.watches.keys().cloned().collect();
        for tenant in tenants {
            self.name_lines(&tenant, now_ns).await?;
            let Some(watch) = self.watches.get_mut(&tenant) else { continue };
            let events = watch.tick(now_ns);
            self.metrics.ticks.inc();
            self.act(&tenant, events).await?;
        }
        let open = self.watches.values().flat_map(Watch::incidents);
        self.metrics.open.set(open.filter(|incident| incident.state == ::watch::State::Open).count() as i64);
        self.metrics.subjects.set(self.watches.values().map(Watch::subjects).sum::<usize>() as i64);
        Ok(())
    }

    fn observe(&mut self, now_ns: i64, counted: Counted, clocks: Vec<ClockSlot>) {
        for (tenant, observations) in observations(counted, clocks) {
            let anew = || Watch::new(settings(&tenant));
            self.watches.entry(tenant.clone()).or_insert_with(anew).observe(now_ns, &observations);
        }
    }

    async fn read_day_before(&mut self, now_ns: i64) -> Result<(), LookupError> {
        let from_ns = (now_ns - DAY_NS).div_euclid(TIME_NS) * TIME_NS;
        if from_ns == self.day_before_ns {
            return Ok(());
        }
        let (from_s, until_s) = (from_ns / SECOND_NS, (from_ns + TIME_NS) / SECOND_NS);
        let counted = self.rolling.counted_by(until_s - from_s, from_ns, from_ns + TIME_NS).await?;
        for (tenant, observations) in observations(counted, Vec::new()) {
            if let Some(watch) = self.watches.get_mut(&tenant) {
                watch.day_before(from_s, until_s, &observations);
            }
        }
        self.day_before_ns = from_ns;
        Ok(())
    }

    async fn read_calls(&mut self, now_ns: i64) -> Result<(), LookupError> {
        let mut edges: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for edge in self.rolling.edges(now_ns - CALLS_NS, now_ns).await? {
            edges.entry(edge.tenant).or_default().push((edge.source, edge.target));
        }
        for (tenant, edges) in edges {
            if let Some(watch) = self.watches.get_mut(&tenant) {
                watch.edges(now_ns, &edges);
            }
        }
        self.calls_read = Some(Instant::now());
        Ok(())
    }

    // What events change is written at once, the watch's memory with it: who is killed between has told nobody of what
    // it would not know again.
    async fn act(&mut self, tenant: &str, events: Vec<Event>) -> Result<(), LookupError> {
        let mut changed = BTreeSet::new();
        let (mut records, mut messages) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Locate { id, from_ns, to_ns } => self.ask(tenant, id, (from_ns, to_ns)),
                Event::Changed { id } => drop(changed.insert(id)),
                Event::Notify(notice) => {
                    let (kept, waiting) = self.outbox.write(tenant, &notice);
                    records.extend(kept);
                    messages.extend(waiting);
                }
            }
        }
        let is_due = self.remembered.get(tenant).is_none_or(|at| at.elapsed() >= REMEMBER_EVERY);
        if changed.is_empty() && records.is_empty() && !is_due {
            return Ok(());
        }
        let Some(watch) = self.watches.get(tenant) else { return Ok(()) };
        let now_ns = clock::now_ns();
        records.extend(changed.iter().filter_map(|id| incident_record(tenant, watch.incident(id)?, now_ns)));
        let memory = serde_json::to_string(&watch.snapshot(now_ns)).ok();
        records.extend(memory.map(|body| Record::new(tenant, MEMORY, now_ns, now_ns, body)));
        self.store.write_records(&records).await?;
        self.remembered.insert(tenant.to_owned(), Instant::now());
        self.outbox.post(messages);
        Ok(())
    }

    // One question for an incident at a time, few for all: the looks go on meanwhile. Requests of which a part waits to
    // be stored would look as if nobody had answered them.
    fn ask(&mut self, tenant: &str, id: String, (from_ns, to_ns): (i64, i64)) {
        let window = (from_ns, (self.unstored_ns)().map_or(to_ns, |since_ns| to_ns.min(since_ns - ON_THE_WAY_NS)));
        if window.1 <= from_ns {
            return;
        }
        if let Some(next) = self.asking.get_mut(&(tenant.to_owned(), id.clone())) {
            *next = Some(window);
            return;
        }
        self.asking.insert((tenant.to_owned(), id.clone()), None);
        let (view, turns, tenant) = (self.view.clone(), Arc::clone(&self.turns), tenant.to_owned());
        self.questions.spawn(async move {
            let _turn = turns.acquire().await;
            let answer = locate(&view, &tenant, window).await;
            Answered { tenant, id, answer }
        });
    }

    async fn answered(&mut self, done: Option<Answered>) -> Result<(), LookupError> {
        let Some(Answered { tenant, id, answer }) = done else {
            self.asking.clear();
            return Ok(());
        };
        let next = self.asking.remove(&(tenant.clone(), id.clone())).flatten();
        if let (Some(answer), Some(watch)) = (answer, self.watches.get_mut(&tenant)) {
            let events = watch.located(&id, answer, clock::now_ns());
            self.act(&tenant, events).await?;
        }
        if let Some(window) = next {
            self.ask(&tenant, id, window);
        }
        Ok(())
    }

    // Rules and silences as people have them now, and what the patterns in them are called now.
    async fn follow_wishes(&mut self) -> Result<(), LookupError> {
        let (mut rules, mut silences) = (self.kept(RULE).await?, self.kept(SILENCE).await?);
        for (tenant, watch) in &mut self.watches {
            let rules: Vec<Rule> = with_kept(&self.configured.rules, &rules.remove(tenant).unwrap_or_default());
            let silences = with_kept(&self.configured.silences, &silences.remove(tenant).unwrap_or_default());
            let mut present: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
            for named in rules.iter().filter_map(Rule::pattern) {
                if let Ok(ids) = self.view.present_patterns(tenant, named).await {
                    present.insert(named, ids.into_iter().collect());
                }
            }
            watch.set_present(present);
            if let Err(reason) = watch.set_rules(rules).and(watch.set_silences(silences)) {
                warn!(%reason, tenant, "a stored rule or silence makes no sense; the former ones stay");
            }
        }
        Ok(())
    }

    // Texts of the records of a kind, by tenant.
    async fn kept(&self, kind: &str) -> Result<BTreeMap<String, Vec<String>>, LookupError> {
        let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for record in self.store.records_of_all(kind, WISHES_MAX).await? {
            kept.entry(record.tenant).or_default().push(record.body);
        }
        Ok(kept)
    }

    // What lines say, so that people are told that and no key.
    async fn name_lines(&mut self, tenant: &str, now_ns: i64) -> Result<(), LookupError> {
        let Some(watch) = self.watches.get_mut(tenant) else { return Ok(()) };
        let unnamed = watch.unnamed(now_ns, KEYS_MAX);
        let Ok(names) = self.view.pattern_names(tenant, &unnamed).await else { return Ok(()) };
        let pattern = |name: PatternName| Pattern {
            service: name.service,
            key: name.key,
            id: name.id,
            template: name.template,
            since_s: name.since_ns.div_euclid(SECOND_NS),
        };
        watch.name(now_ns, names.into_iter().map(pattern).collect());
        Ok(())
    }

    // Goes on with every tenant that there is a memory of, also one that is silent now.
    async fn recall(&mut self) -> Result<(), LookupError> {
        for kept in self.store.records_of_all(MEMORY.0, TENANTS_MAX).await? {
            match serde_json::from_str::<Snapshot>(&kept.body) {
                Ok(snapshot) => {
                    let watch = Watch::restore(settings(&kept.tenant), snapshot);
                    self.watches.insert(kept.tenant, watch);
                }
                Err(error) => warn!(%error, tenant = kept.tenant, "what the watch knew cannot be read; it begins anew"),
            }
        }
        Ok(())
    }
}

// Receivers tell incidents apart by their ids, whoever's they are.
fn settings(tenant: &str) -> Settings {
    let hash = || XxHash64::oneshot(0, tenant.as_bytes()) >> 32;
    let mark = if tenant.is_empty() { String::new() } else { format!("{:08x}-", hash()) };
    Settings { mark, ..Settings::default() }
}

async fn locate(view: &View, tenant: &str, (from_ns, to_ns): (i64, i64)) -> Option<Answer> {
    let fault = TimeRange { from: Some(TimePoint::At(from_ns)), to: Some(TimePoint::At(to_ns)) };
    let question = SuspectsQuestion { fault, ..SuspectsQuestion::default() };
    match tokio::time::timeout(SUSPECTS_MAX, view.suspects(tenant, question, clock::now_ns())).await {
        Ok(Ok(answer)) => Some(answer_of(answer)),
        Ok(Err(error)) => {
            debug!(%error, "suspects of an incident cannot be found now");
            None
        }
        Err(_) => None,
    }
}

fn incident_record(tenant: &str, incident: &::watch::Incident, now_ns: i64) -> Option<Record> {
    let at_ns = if incident.opened_ns > 0 { incident.opened_ns } else { incident.onset_ns };
    let body = serde_json::to_string(incident).ok()?;
    Some(Record::new(tenant, (INCIDENT, &incident.id), at_ns, now_ns, body))
}

// By tenant, oldest slots first.
fn observations(counted: Counted, clocks: Vec<ClockSlot>) -> BTreeMap<String, Vec<Observation>> {
    let mut all: BTreeMap<String, Vec<Observation>> = BTreeMap::new();
    let mut roots: BTreeMap<(String, i64, String), f64> = BTreeMap::new();
    for row in counted.spans {
        let (service, operation) = (row.service, row.operation);
        if row.roots > 0.0 {
            *roots.entry((row.tenant.clone(), row.slot_s, service.clone())).or_default() += row.roots;
        }
        let subject = match row.enters {
            true => Subject::Entry { service, operation },
            false => Subject::Call { service, operation, peer: row.peer },
        };
        let (slot_s, requests, errors, latency) = (row.slot_s, row.requests, row.errors, row.latency);
        all.entry(row.tenant).or_default().push(Observation { slot_s, subject, requests, errors, latency });
    }
    for ((tenant, slot_s, service), requests) in roots {
        let subject = Subject::Roots { service };
        all.entry(tenant).or_default().push(Observation { slot_s, subject, requests, ..Observation::default() });
    }
    for row in counted.waits {
        let subject = Subject::Wait { service: row.service, operation: row.operation };
        let (slot_s, requests, latency) = (row.slot_s, row.requests, row.latency);
        let observation = Observation { slot_s, subject, requests, latency, ..Observation::default() };
        all.entry(row.tenant).or_default().push(observation);
    }
    for row in counted.lines {
        let subject = Subject::Lines { service: row.service, pattern: row.pattern, severity: row.severity };
        let (slot_s, requests) = (row.slot_s, row.lines as f64);
        all.entry(row.tenant).or_default().push(Observation { slot_s, subject, requests, ..Observation::default() });
    }
    for row in clocks {
        let subject = Subject::Clock { service: row.service };
        let (slot_s, requests, errors) = (row.slot_s, row.requests, row.skewed);
        let observation = Observation { slot_s, subject, requests, errors, ..Observation::default() };
        all.entry(row.tenant).or_default().push(observation);
    }
    all.values_mut().for_each(|observations| observations.sort_by_key(|observation| observation.slot_s));
    all
}

fn answer_of(answer: SuspectsAnswer) -> Answer {
    let suspect = |suspect: view::suspects::Suspect| Suspect {
        service: suspect.service,
        score: suspect.score,
        confidence: suspect.confidence,
        sentence: suspect.summary,
        victims: suspect.victims.into_iter().map(|victim| victim.service).collect(),
    };
    Answer {
        verdict: match answer.verdict {
            "localised" => Verdict::Localised,
            "no_fault" => Verdict::NoFault,
            _ => Verdict::Unclear,
        },
        summary: answer.summary,
        suspects: answer.suspects.into_iter().map(suspect).collect(),
        notices: answer.notices.into_iter().map(|notice| notice.text).collect(),
    }
}

/// Whether a wish of people makes sense: its id, and its text as it is kept.
///
/// # Errors
/// A sentence that names the field.
pub(crate) fn check_wish(kind: &str, body: &str) -> Result<(String, String), String> {
    let kept = |text: Result<String, serde_json::Error>| text.map_err(|error| error.to_string());
    match kind {
        RULE => {
            let rule = ::watch::Rule::from_json(body)?;
            Ok((rule.name.clone(), kept(serde_json::to_string(&rule))?))
        }
        SILENCE => {
            let silence: ::watch::Silence = serde_json::from_str(body).map_err(|error| error.to_string())?;
            silence.check()?;
            Ok((silence.id.clone(), kept(serde_json::to_string(&silence))?))
        }
        other => Err(format!("there is no `{other}`")),
    }
}
