//! The roller: keeps the service graph of every (tenant, minute) equal to what its stored spans say.
//!
//! ```text
//! changed parts → dirty minutes → narrow spans → references looked up → correlate::graph
//!               → generation written → minutes that its answers name → progress noted
//! ```
//!
//! A minute's graph is a function of the set of stored spans, and is made anew whenever that set may have
//! changed: because a new part holds spans of it, because a new part holds a span that it refers to, or
//! because what other minutes answer to it changed. So order, repetition, delay, restarts and the number
//! of writers cannot show in it. A generation is one row: it is there whole or not at all.
//!
//! Which blocks were rolled up is noted only after every minute that they made dirty was written; a killed
//! process leaves nothing but work to do again. One process rolls for a database: it holds a lease. Should
//! two overlap, the one that stays makes anew what the other wrote meanwhile.
//!
//! Nothing here is in the way of ingest: when ClickHouse is away, this waits and tries again. With an engine of
//! our own we also know who asks: while nobody does, minutes that are being filled are rolled more rarely.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use correlate::graph::{MINUTE_NS, RULE};
use model::Table;
use store::rollup::{MinuteState, PartRow, ProgressRow, Rolling};
use store::{LookupError, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::clock;
use crate::roll_feed::{Feed, News};
use crate::roll_hot::{HotMinutes, Relook};
use crate::roll_metrics::Metrics;
use crate::roll_minutes::{self, Rolled, SPANS_MAX, Wish, digest, naming};
use crate::storage::Schema;

/// How often the parts are looked at, and how often while nobody asks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_IDLE: Duration = Duration::from_secs(3);
/// A minute is left alone for so many times the time that rolling it took: the first, but not longer than
/// [`FRESH`], so that a new span is in the graph soon; where that is too dear, the second.
const REST_TIMES: [u32; 2] = [20, 12];
/// A rest that leaves the graph fresh.
const FRESH: Duration = Duration::from_millis(3_500);
/// Shortest rest of a minute that is being filled, while nobody asks.
const REST_IDLE: Duration = Duration::from_secs(20);
/// Who has asked once may ask again for so long.
const ASKED: Duration = Duration::from_secs(30);
/// Who asks first waits for what is new, at most so long.
const FRESH_WAIT: Duration = Duration::from_millis(1_500);
/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(60);
/// A minute that ClickHouse refused is left alone for this time.
const REFUSED_REST: Duration = Duration::from_secs(10);
/// A lease ends after this time without renewal.
const LEASE: Duration = Duration::from_secs(15);
/// How often it is renewed, and looked at by those who do not hold it; and how often where there is nobody else.
const RENEW_EVERY: Duration = Duration::from_secs(4);
const RENEW_ALONE: Duration = Duration::from_secs(60);
/// Two that take a lease at the same instant see each other after this time.
const CONTEST: Duration = Duration::from_millis(500);
/// Pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// So many of the newest minutes are kept while they fill.
const NOW_MINUTES: i64 = 3;
/// Above this many dirty minutes no further parts are looked at.
const DIRTY_MAX: usize = 100_000;
/// Rows of the parts that are looked at together.
const NEWS_ROWS_MAX: u64 = 20_000_000;
/// Minutes that are rolled together.
const MINUTES_MAX: usize = 60;
/// After this time the parts are looked at again, whatever waits.
const ROUND: Duration = Duration::from_secs(1);
/// Progress is noted at most so often.
const NOTE_EVERY: Duration = Duration::from_secs(2);

/// Asks the roller to catch up.
#[derive(Clone, Debug)]
pub(crate) struct CatchUp {
    ask: mpsc::UnboundedSender<oneshot::Sender<()>>,
    interest: Arc<Interest>,
}

impl CatchUp {
    /// Ends when everything stored before the call is rolled up; false when that cannot be any more.
    pub(crate) async fn wait(&self) -> bool {
        let (done, waiting) = oneshot::channel();
        self.ask.send(done).is_ok() && waiting.await.is_ok()
    }

    /// Says that somebody asks for the graph. Ends at once, but for the first one after a while: when what is new
    /// is rolled up, or has taken too long.
    pub(crate) async fn freshen(&self) {
        if self.interest.is_new() {
            let _ = tokio::time::timeout(FRESH_WAIT, self.wait()).await;
        }
    }
}

/// Whether somebody asks for the graph.
#[derive(Debug)]
struct Interest {
    /// Whether all who ask ask us.
    known: bool,
    asked: watch::Sender<Option<Instant>>,
}

impl Interest {
    fn lasts(&self) -> bool {
        !self.known || self.asked.borrow().is_some_and(|asked| asked.elapsed() < ASKED)
    }

    // Notes that somebody asks; true when nobody has for a while.
    fn is_new(&self) -> bool {
        let was = self.lasts();
        self.asked.send_replace(Some(Instant::now()));
        !was
    }
}

/// The roller of one process.
pub(crate) struct Roller {
    store: Store,
    metrics: Metrics,
    /// Who we are in leases: the data directory, so that a restart takes its own lease over at once.
    owner: u64,
    /// Whether nobody else can write to the database.
    alone: bool,
    asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    interest: Arc<Interest>,
    /// The epoch of our reign, while it lasts: for others who work for the whole database.
    reigns: watch::Sender<Option<u64>>,
}

/// Why a reign ended.
enum End {
    /// Another one rolls.
    Deposed,
    Trouble(LookupError),
}

impl From<LookupError> for End {
    fn from(error: LookupError) -> End {
        End::Trouble(error)
    }
}

impl Roller {
    /// A roller, not yet running, and the way to ask it.
    pub(crate) fn new(store: Store, owner: u64, alone: bool, metrics: Metrics) -> (Roller, CatchUp) {
        let (ask, asked) = mpsc::unbounded_channel();
        let interest = Arc::new(Interest { known: alone, asked: watch::Sender::new(None) });
        let catch_up = CatchUp { ask, interest: Arc::clone(&interest) };
        (Roller { store, metrics, owner, alone, asked, interest, reigns: watch::Sender::new(None) }, catch_up)
    }

    /// The epoch of our reign, while we roll.
    pub(crate) fn reigns(&self) -> watch::Receiver<Option<u64>> {
        self.reigns.subscribe()
    }

    /// Rolls for ever, once there are tables: as the one who does, or waiting to be.
    pub(crate) async fn run(mut self, mut schema: watch::Receiver<Schema>) {
        if schema.wait_for(|schema| *schema == Schema::Applied).await.is_err() {
            return;
        }
        let mut pause = PAUSE.0;
        loop {
            let began = Instant::now();
            self.metrics.leading.set(0);
            self.reigns.send_replace(None);
            match self.live().await {
                Ok(()) => return,
                Err(End::Deposed) => info!("another collector rolls up the service graph; standing by"),
                Err(End::Trouble(error)) => {
                    self.metrics.failures.inc();
                    if pause == PAUSE.0 {
                        warn!(%error, "the service graph cannot be rolled up now; trying again");
                    } else {
                        debug!(%error, "the service graph cannot be rolled up yet");
                    }
                    if matches!(error, LookupError::Refused(_)) {
                        // A table or column may be gone.
                        let _ = self.store.apply_schema().await;
                    }
                }
            }
            if began.elapsed() > PAUSE.1 * 2 {
                pause = PAUSE.0;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    async fn live(&mut self) -> Result<(), End> {
        let rolling = self.store.rolling()?;
        let epoch = loop {
            if let Some(epoch) = self.take_lease(&rolling).await? {
                break epoch;
            }
            self.stand_by(&rolling).await?;
        };
        self.metrics.leading.set(1);
        self.reigns.send_replace(Some(epoch));
        let mut reign = Reign::begin(rolling, self, epoch).await?;
        loop {
            let more = reign.round().await?;
            let pause = match (more, self.interest.lasts()) {
                (true, _) => reign.took / 2,
                (false, true) => LOOK_EVERY,
                (false, false) => LOOK_IDLE,
            };
            tokio::select! {
                asked = self.asked.recv() => match asked {
                    Some(asked) => reign.hurry(asked),
                    None => return Ok(()),
                },
                () = tokio::time::sleep(pause), if !reign.hurries() => {}
                () = tokio::time::sleep(Duration::from_millis(20)), if reign.hurries() => {}
            }
        }
    }

    // The epoch of our reign, if it is ours to reign.
    async fn take_lease(&self, rolling: &Rolling) -> Result<Option<u64>, LookupError> {
        let leader = rolling.leader().await?;
        if leader.as_ref().is_some_and(|leader| leader.alive && leader.owner != self.owner && !self.alone) {
            return Ok(None);
        }
        let epoch = leader.map_or(1, |leader| leader.epoch + 1);
        rolling.lease(epoch, self.owner, LEASE).await?;
        if !self.alone {
            tokio::time::sleep(CONTEST).await;
        }
        let leader = rolling.leader().await?;
        Ok(leader.filter(|leader| leader.owner == self.owner && leader.epoch == epoch).map(|_| epoch))
    }

    // While another one rolls: those who wait for it are told when it has come far enough.
    async fn stand_by(&mut self, rolling: &Rolling) -> Result<(), LookupError> {
        let until = Instant::now() + RENEW_EVERY;
        loop {
            match tokio::time::timeout_at(until, self.asked.recv()).await {
                Err(_) | Ok(None) => return Ok(()),
                Ok(Some(asked)) => {
                    let rolling = rolling.clone();
                    tokio::spawn(async move {
                        if watch_progress(&rolling).await.is_ok() {
                            let _ = asked.send(());
                        }
                    });
                }
            }
        }
    }
}

// Ends when every part that there is now is noted as rolled up.
async fn watch_progress(rolling: &Rolling) -> Result<(), LookupError> {
    let Some(table) = rolling.table(Table::Traces).await? else { return Ok(()) };
    let mut open = rolling.parts(Table::Traces).await?;
    loop {
        let feed = Feed::new(table.ordered, rolling.progress(&table.id).await?);
        open.retain(|part| feed.news(part) != News::None);
        if open.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY / 2).await;
    }
}

/// Minute and tenant: in order of time.
type Key = (i64, String);

/// Why a minute is to be rolled, and since when.
#[derive(Clone, Debug)]
struct Dirt {
    /// The first look at the parts that found it.
    since: u64,
    /// References that were not found are to be looked for again.
    relook: Relook,
    /// It may be as it was: a part held seen and unseen blocks.
    doubtful: bool,
    /// Spans of it in new parts.
    more: u64,
}

/// One who rolls, from taking the lease to losing it or the way to ClickHouse.
struct Reign {
    rolling: Rolling,
    metrics: Metrics,
    owner: u64,
    epoch: u64,
    sequence: u64,
    renewed: Instant,
    renew_every: Duration,
    interest: Arc<Interest>,
    table: String,
    feed: Feed,
    dirty: BTreeMap<Key, Dirt>,
    /// Minutes that are left alone for a while.
    resting: HashMap<Key, Instant>,
    /// Minutes that ClickHouse refused to read or write.
    refused: HashMap<Key, Instant>,
    hot: HotMinutes,
    /// Looks at the parts, numbered; when, and which blocks are rolled up once all that they found is.
    looks: VecDeque<(u64, Instant, Vec<ProgressRow>)>,
    look: u64,
    /// Rolled up and not yet noted.
    unnoted: HashMap<String, ProgressRow>,
    noted: Instant,
    /// The first look since the beginning: what it finds may have been rolled by the one before.
    first: bool,
    /// There are parts that were not looked at yet.
    behind: bool,
    /// Those who wait, and for which look.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
    newcomers: Vec<oneshot::Sender<()>>,
    took: Duration,
}

impl Reign {
    async fn begin(rolling: Rolling, roller: &Roller, epoch: u64) -> Result<Reign, End> {
        let table = rolling.table(Table::Traces).await?;
        let (id, ordered) = table.map_or((String::new(), true), |table| (table.id, table.ordered));
        let feed = Feed::new(ordered, rolling.progress(&id).await?);
        let now = Instant::now();
        let mut reign = Reign {
            hot: HotMinutes::new(roller.metrics.whole.clone()),
            rolling,
            metrics: roller.metrics.clone(),
            owner: roller.owner,
            epoch,
            sequence: 0,
            renewed: now,
            renew_every: if roller.alone { RENEW_ALONE } else { RENEW_EVERY },
            interest: Arc::clone(&roller.interest),
            table: id,
            feed,
            dirty: BTreeMap::new(),
            resting: HashMap::new(),
            refused: HashMap::new(),
            looks: VecDeque::new(),
            look: 0,
            unnoted: HashMap::new(),
            noted: now,
            first: true,
            behind: false,
            waiting: Vec::new(),
            newcomers: Vec::new(),
            took: Duration::ZERO,
        };
        // What others wrote in this reign, and what was made by other rules, is made anew.
        reign.suspect(RULE as u16).await?;
        Ok(reign)
    }

    fn hurry(&mut self, asked: oneshot::Sender<()>) {
        self.newcomers.push(asked);
    }

    fn hurries(&self) -> bool {
        !self.waiting.is_empty() || !self.newcomers.is_empty()
    }

    // One look and as much rolling as fits; whether there is more to do at once.
    async fn round(&mut self) -> Result<bool, End> {
        let began = Instant::now();
        if self.renewed.elapsed() >= self.renew_every {
            self.renew().await?;
            self.suspect(0).await?;
            self.follow_table().await?;
        }
        let newcomers = std::mem::take(&mut self.newcomers);
        let looked = self.look().await;
        let wait_for = if self.behind { u64::MAX } else { self.look };
        match looked {
            // Who waits for all of it waits until all of it was looked at.
            Ok(()) if wait_for == u64::MAX => self.newcomers = newcomers,
            Ok(()) => self.waiting.extend(newcomers.into_iter().map(|asked| (wait_for, asked))),
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        self.refused.retain(|_, until| *until > now);
        self.hot.tidy();
        let mut more = false;
        let (mut done, mut refused) = (0, None);
        while let Some((tenant, batch)) = self.next_batch() {
            let keys: Vec<Key> = batch.iter().map(|(minute, _)| (*minute, tenant.clone())).collect();
            match self.roll(&tenant, batch).await {
                Ok(()) => done += 1,
                // One that ClickHouse refuses must not be in the way of the others.
                Err(End::Trouble(error @ LookupError::Refused(_))) => {
                    warn!(%error, minutes = keys.len(), "minutes of the service graph are put off");
                    self.metrics.failures.inc();
                    let until = Instant::now() + REFUSED_REST;
                    self.refused.extend(keys.into_iter().map(|key| (key, until)));
                    refused = Some(error);
                }
                Err(end) => return Err(end),
            }
            if began.elapsed() >= ROUND {
                more = true;
                break;
            }
        }
        if let (0, Some(error)) = (done, refused) {
            return Err(error.into());
        }
        self.settle().await?;
        self.took = began.elapsed();
        Ok(more || self.behind)
    }

    // Changed parts → dirty minutes. A part can be merged away between being listed and being read:
    // reading is repeated until all that was read was there before and after.
    async fn look(&mut self) -> Result<(), LookupError> {
        self.behind = false;
        if self.dirty.len() >= DIRTY_MAX {
            self.behind = true;
            return Ok(());
        }
        let mut parts = self.rolling.parts(Table::Traces).await?;
        let changed = self.feed.forget(&parts);
        let look = self.look + 1;
        let mut looked_at: HashSet<String> = HashSet::new();
        let news = loop {
            let mut rows = 0;
            let new = |part: &&PartRow| self.feed.news(part) != News::None;
            let all: Vec<PartRow> = parts.iter().filter(new).cloned().collect();
            let within = |part: &&PartRow| {
                rows += part.rows;
                rows == part.rows || rows <= NEWS_ROWS_MAX
            };
            let news: Vec<PartRow> = all.iter().take_while(within).cloned().collect();
            let unread: Vec<&PartRow> = news.iter().filter(|part| !looked_at.contains(&part.name)).collect();
            if unread.is_empty() {
                self.behind = news.len() < all.len();
                break news;
            }
            for doubtful in [false, true] {
                let is_doubtful = |part: &&&PartRow| (self.first || self.feed.news(part) == News::Some) == doubtful;
                let names: Vec<String> = unread.iter().filter(is_doubtful).map(|part| part.name.clone()).collect();
                if names.is_empty() {
                    continue;
                }
                for touched in self.rolling.touched(&names).await? {
                    let dirt = Dirt { since: look, relook: Relook::default(), doubtful, more: touched.spans };
                    self.mark((touched.minute, touched.tenant), dirt);
                }
                for wanting in self.rolling.wanting(&names).await? {
                    let relook = Relook { traces: wanting.lows.into_iter().collect(), all: false };
                    self.mark((wanting.minute, wanting.tenant), Dirt { since: look, relook, doubtful: false, more: 0 });
                }
                looked_at.extend(names);
            }
            parts = self.rolling.parts(Table::Traces).await?;
        };
        if !news.is_empty() || !changed.is_empty() {
            let mut progress = changed;
            progress.extend(self.feed.take(&news));
            self.look = look;
            self.looks.push_back((look, Instant::now(), progress));
        }
        if !self.behind {
            self.first = false;
        }
        Ok(())
    }

    fn mark(&mut self, key: Key, dirt: Dirt) {
        let known = self.dirty.entry(key).or_insert(Dirt { more: 0, ..dirt.clone() });
        known.since = known.since.min(dirt.since);
        known.relook.merge(dirt.relook);
        known.doubtful &= dirt.doubtful;
        known.more = known.more.saturating_add(dirt.more);
    }

    // Minutes of one tenant that may be rolled now, the newest first. They may lie apart, but not where the
    // minutes between would have to be counted.
    fn next_batch(&self) -> Option<(String, Vec<(i64, Dirt)>)> {
        let now = Instant::now();
        let hurried = self.waiting.iter().map(|(look, _)| *look).max().unwrap_or(0);
        let is_over = |until: Option<&Instant>| until.is_none_or(|until| *until <= now);
        let is_rested = |key: &Key, dirt: &Dirt| dirt.since <= hurried || is_over(self.resting.get(key));
        let may = |key: &Key, dirt: &Dirt| is_rested(key, dirt) && is_over(self.refused.get(key));
        let mut ready = self.dirty.iter().rev().filter(|(key, dirt)| may(key, dirt)).peekable();
        let tenant = ready.peek()?.0.1.clone();
        let mut batch: Vec<(i64, Dirt)> = Vec::new();
        let mut spans = 0;
        // With many tenants, only so far back.
        let near = ready.take(10 * MINUTES_MAX).filter(|(key, _)| key.1 == tenant);
        for ((minute, _), dirt) in near.take(MINUTES_MAX) {
            spans += dirt.more;
            if let Some((later, last)) = batch.last()
                && (spans > SPANS_MAX || (minute + 1 != *later && (dirt.doubtful || last.doubtful)))
            {
                break;
            }
            batch.push((*minute, dirt.clone()));
        }
        batch.reverse();
        Some((tenant, batch))
    }

    // Dirty minutes → generations.
    async fn roll(&mut self, tenant: &str, batch: Vec<(i64, Dirt)>) -> Result<(), End> {
        let began = Instant::now();
        let minutes: Vec<i64> = batch.iter().map(|(minute, _)| *minute).collect();
        let states = self.rolling.states(tenant, &minutes).await?;
        let states: HashMap<i64, MinuteState> = states.into_iter().map(|state| (state.minute, state)).collect();
        let mut unchanged: Vec<i64> = Vec::new();
        if let (Some(first), true) = (minutes.first(), batch.iter().any(|(_, dirt)| dirt.doubtful)) {
            let last = minutes.last().unwrap_or(first);
            let counts: HashMap<i64, u64> = self.rolling.counts(tenant, *first, *last).await?.into_iter().collect();
            let same = |minute: &i64| {
                let state = states.get(minute);
                state.is_some_and(|state| u32::from(state.rule) == RULE && counts.get(minute) == Some(&state.spans))
            };
            unchanged
                .extend(batch.iter().filter(|(minute, dirt)| dirt.doubtful && same(minute)).map(|(minute, _)| minute));
        }
        let mut rolled: Vec<Rolled> = Vec::new();
        for minute in &unchanged {
            // It may have been written, and the minutes that it answers not yet.
            let targets = states.get(minute).map_or(Vec::new(), |state| state.targets.clone());
            rolled.push(Rolled { minute: *minute, spans: 0, row: None, targets });
        }
        let mut wishes: Vec<(Wish, u64)> = Vec::new();
        for (minute, dirt) in batch.iter().filter(|(minute, _)| !unchanged.contains(minute)) {
            if let Some(hot) = self.roll_hot(tenant, *minute, dirt, states.get(minute)).await? {
                rolled.push(hot);
                continue;
            }
            let spans = dirt.more + states.get(minute).map_or(0, |state| state.spans);
            wishes.push((Wish { minute: *minute, relook: dirt.relook.any() }, spans));
        }
        for some in runs(&wishes) {
            let spans = some.iter().map(|(_, spans)| spans).sum();
            let wishes: Vec<Wish> = some.iter().map(|(wish, _)| *wish).collect();
            rolled.extend(roll_minutes::roll(&self.rolling, tenant, &wishes, &states, spans).await?);
        }
        self.write(&mut rolled).await?;
        let since = batch.iter().map(|(_, dirt)| dirt.since).min().unwrap_or(self.look);
        for (minute, _) in &batch {
            self.dirty.remove(&(*minute, tenant.to_owned()));
        }
        self.follow_answers(tenant, &rolled, since).await?;
        // Each rests as long as its share of the time asks for.
        let all: u64 = rolled.iter().map(|rolled| rolled.spans).sum();
        for rolled in &rolled {
            let share = began.elapsed().as_secs_f64() * rolled.spans as f64 / all.max(1) as f64;
            let mut rest = rest(Duration::from_secs_f64(share));
            if is_now(rolled.minute) && !self.interest.lasts() {
                rest = rest.max(REST_IDLE);
            }
            self.resting.insert((rolled.minute, tenant.to_owned()), Instant::now() + rest);
        }
        self.metrics.spans.inc_by(all);
        self.metrics.seconds.inc_by(began.elapsed().as_secs_f64());
        Ok(())
    }

    // A minute that is being filled, by what is new in it; `None` when it is to be read whole.
    async fn roll_hot(
        &mut self,
        tenant: &str,
        minute: i64,
        dirt: &Dirt,
        before: Option<&MinuteState>,
    ) -> Result<Option<Rolled>, LookupError> {
        let may = self.hot.has(minute, tenant) || (is_now(minute) && self.hot.has_room());
        if !may {
            return Ok(None);
        }
        self.hot.roll(&self.rolling, tenant, minute, &dirt.relook, before, clock::now_ns()).await
    }

    async fn write(&mut self, rolled: &mut [Rolled]) -> Result<(), End> {
        let mut rows = Vec::new();
        for row in rolled.iter_mut().filter_map(|rolled| rolled.row.take()) {
            self.sequence += 1;
            let generation = (self.epoch << 32) + self.sequence;
            rows.push(store::rollup::MinuteRow { generation, writer: self.owner, rolled_ns: clock::now_ns(), ..row });
        }
        if self.renewed.elapsed() >= self.renew_every {
            self.renew().await?;
        }
        journal::crash::crash_point("before-roll");
        self.rolling.write_minutes(&rows).await?;
        journal::crash::crash_point("after-roll");
        self.metrics.minutes.inc_by(rows.len() as u64);
        Ok(())
    }

    // Minutes that were made with other answers than there are now are dirty.
    async fn follow_answers(&mut self, tenant: &str, rolled: &[Rolled], since: u64) -> Result<(), LookupError> {
        let mut targets: Vec<i64> = rolled.iter().flat_map(|rolled| rolled.targets.iter().copied()).collect();
        targets.sort_unstable();
        targets.dedup();
        if targets.is_empty() {
            return Ok(());
        }
        let answers = roll_minutes::answers(self.rolling.answers(tenant, &targets).await?);
        for state in self.rolling.states(tenant, &targets).await? {
            if digest(naming(&answers, state.minute)) != state.answered {
                let key = (state.minute, tenant.to_owned());
                self.mark(key, Dirt { since, relook: Relook::default(), doubtful: false, more: 0 });
            }
        }
        Ok(())
    }

    // What is done: progress is noted, those who waited are told.
    async fn settle(&mut self) -> Result<(), LookupError> {
        let open = self.dirty.values().map(|dirt| dirt.since).min().unwrap_or(u64::MAX);
        while let Some((look, _, _)) = self.looks.front()
            && *look < open
            && let Some((_, _, progress)) = self.looks.pop_front()
        {
            self.unnoted.extend(progress.into_iter().map(|row| (row.partition.clone(), row)));
        }
        let told = |(look, _): &mut (u64, oneshot::Sender<()>)| *look < open;
        let done: Vec<_> = self.waiting.extract_if(.., told).collect();
        if !self.unnoted.is_empty() && (!done.is_empty() || self.noted.elapsed() >= NOTE_EVERY) {
            let rows: Vec<ProgressRow> = self.unnoted.values().cloned().collect();
            self.sequence += 1;
            self.rolling.write_progress(&self.table, (self.epoch << 32) + self.sequence, &rows).await?;
            self.unnoted.clear();
            self.noted = Instant::now();
        }
        for (_, asked) in done {
            let _ = asked.send(());
        }
        self.metrics.dirty.set(self.dirty.len() as i64);
        self.metrics.lag.set(self.looks.front().map_or(0.0, |(_, at, _)| at.elapsed().as_secs_f64()));
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), End> {
        self.rolling.lease(self.epoch, self.owner, LEASE).await?;
        match self.rolling.leader().await? {
            Some(leader) if leader.owner == self.owner && leader.epoch == self.epoch => {
                self.renewed = Instant::now();
                Ok(())
            }
            _ => Err(End::Deposed),
        }
    }

    async fn suspect(&mut self, rule: u16) -> Result<(), LookupError> {
        for (tenant, minute) in self.rolling.strangers(self.epoch << 32, self.owner, rule).await? {
            self.mark((minute, tenant), Dirt { since: self.look + 1, relook: Relook::all(), doubtful: false, more: 0 });
        }
        Ok(())
    }

    // A table that was dropped and made anew begins its numbers again.
    async fn follow_table(&mut self) -> Result<(), LookupError> {
        let table = self.rolling.table(Table::Traces).await?;
        if let Some(table) = table.filter(|table| table.id != self.table) {
            self.feed = Feed::new(table.ordered, self.rolling.progress(&table.id).await?);
            self.table = table.id;
            self.unnoted.clear();
            self.looks.iter_mut().for_each(|(_, _, progress)| progress.clear());
        }
        Ok(())
    }
}

// Whether the minute may be filling.
fn is_now(minute: i64) -> bool {
    let now = clock::now_ns() / MINUTE_NS;
    (now - NOW_MINUTES..=now).contains(&minute)
}

// How long a minute is left alone that took so long to roll.
fn rest(took: Duration) -> Duration {
    let [usual, dear] = REST_TIMES.map(|times| took * times);
    usual.min(FRESH).max(dear).clamp(LOOK_EVERY / 2, REST_MAX)
}

// Runs of consecutive minutes that are held at once.
fn runs(wishes: &[(Wish, u64)]) -> Vec<&[(Wish, u64)]> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut spans = 0;
    for at in 0..wishes.len() {
        let (wish, count) = wishes[at];
        let follows = at > start && wishes[at - 1].0.minute + 1 == wish.minute;
        if at > start && (!follows || spans + count > SPANS_MAX) {
            runs.push(&wishes[start..at]);
            (start, spans) = (at, 0);
        }
        spans += count;
    }
    if start < wishes.len() {
        runs.push(&wishes[start..]);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: minutes that took from nothing to a minute to roll.
    // Guarantee: rolling is at most a twentieth of the time while that keeps the graph fresh, never more than a
    // twelfth, and no minute waits for ever.
    #[test]
    fn rests_follow_cost() {
        let rested = |took_ms| rest(Duration::from_millis(took_ms)).as_millis();
        assert_eq!([0, 100, 200, 290, 1_000, 60_000].map(rested), [500, 2_000, 3_500, 3_500, 12_000, 60_000]);
    }

    // Scenario: with an engine of our own, and with one that others ask too; nobody has asked, somebody does, twice.
    // Guarantee: only who asks first waits, and only where nobody else could have asked.
    #[test]
    fn interest_is_noticed() {
        let interest = |known| Interest { known, asked: watch::Sender::new(None) };
        let (ours, shared) = (interest(true), interest(false));
        assert!(shared.lasts() && !shared.is_new());
        assert!(!ours.lasts() && ours.is_new() && ours.lasts() && !ours.is_new());
        ours.asked.send_replace(Instant::now().checked_sub(ASKED));
        assert!(!ours.lasts() && ours.is_new());
    }

    // Scenario: minutes with gaps and of several sizes.
    // Guarantee: runs are consecutive, hold no more than may be held, and a large minute stands alone.
    #[test]
    fn runs_are_bounded() {
        let wish = |minute, spans| (Wish { minute, relook: false }, spans);
        let wishes =
            [wish(1, 10), wish(2, 10), wish(4, SPANS_MAX), wish(5, 1), wish(6, SPANS_MAX * 3), wish(7, 1), wish(8, 1)];
        let lengths: Vec<usize> = runs(&wishes).iter().map(|run| run.len()).collect();
        assert_eq!(lengths, [2, 1, 1, 1, 2]);
        assert!(runs(&[]).is_empty());
    }
}
