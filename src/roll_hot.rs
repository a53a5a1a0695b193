//! Minutes that are being filled. Rolling one anew for every second's spans would read it dozens of times,
//! so what was read stays: traces that have gone quiet as sums, the others as spans. The next roll reads
//! what batches brought since, and pairs the traces that are not quiet.
//!
//! This is nothing but a shorter way to what `roll_minutes` gives: whenever something touches a quiet trace (a
//! late span, a span that it refers to, an answer to it), the minute is forgotten and read whole.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use correlate::graph::{GraphSpan, MINUTE_NS, Minute, Names, SpanRef};
use model::time::SECOND_NS;
use prometheus_client::metrics::counter::Counter;
use store::LookupError;
use store::rollup::{MinuteState, Rolling, Which};
use tokio::time::Instant;
use view::edge::narrow;

use crate::roll_minutes::{References, Rolled, SPANS_MAX, answers, digest, look_up, naming};

/// A trace is quiet when it got no span for so long.
const QUIET_NS: i64 = 8 * SECOND_NS;
/// A minute that was not rolled for so long is forgotten.
const IDLE: Duration = Duration::from_secs(90);
/// Minutes that are kept.
const MINUTES_MAX: usize = 16;
/// Spans that they may hold; a span takes about 150 bytes.
const OPEN_MAX: usize = 300_000;
/// Batches of one minute; one of more is read whole.
const BATCHES_MAX: usize = 5_000;

type Key = (i64, String);

/// The minutes that are being filled.
#[derive(Debug)]
pub(crate) struct HotMinutes {
    minutes: HashMap<Key, Hot>,
    // Minutes of which something old changed, so that they were read whole.
    whole: Counter,
}

/// Whose new spans a minute's references are looked up for again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relook {
    /// Low halves of trace ids.
    pub(crate) traces: HashSet<u64>,
    /// All.
    pub(crate) all: bool,
}

impl Relook {
    /// Of everything.
    pub(crate) fn all() -> Relook {
        Relook { all: true, ..Relook::default() }
    }

    /// Whether there is anything to look for.
    pub(crate) fn any(&self) -> bool {
        self.all || !self.traces.is_empty()
    }

    /// Both.
    pub(crate) fn merge(&mut self, other: Relook) {
        self.all |= other.all;
        self.traces.extend(other.traces);
    }
}

/// One minute.
#[derive(Debug)]
struct Hot {
    // Batches that were read, and how many spans each brought.
    read: HashMap<u128, u64>,
    names: Names,
    link_highs: HashMap<u64, u64>,
    // What quiet traces gave.
    sums: Minute,
    quiet: HashSet<u64>,
    // Traces that the references of quiet ones lead to.
    referred: HashSet<u64>,
    open: HashMap<u64, Open>,
    // What references of open traces found, nothing included.
    known: HashMap<SpanRef, Vec<GraphSpan>>,
    answered: HashSet<SpanRef>,
    used: Instant,
}

#[derive(Debug, Default)]
struct Open {
    spans: Vec<GraphSpan>,
    // When it got its last span.
    heard_ns: i64,
}

impl HotMinutes {
    /// None yet. `whole` counts minutes that are read whole because something old has changed.
    pub(crate) fn new(whole: Counter) -> HotMinutes {
        HotMinutes { minutes: HashMap::new(), whole }
    }

    /// Whether the minute is kept.
    pub(crate) fn has(&self, minute: i64, tenant: &str) -> bool {
        self.minutes.contains_key(&(minute, tenant.to_owned()))
    }

    /// Forgets what is idle.
    pub(crate) fn tidy(&mut self) {
        self.minutes.retain(|_, hot| hot.used.elapsed() < IDLE);
    }

    /// Whether there is room for another minute.
    pub(crate) fn has_room(&self) -> bool {
        self.minutes.len() < MINUTES_MAX && self.open() < OPEN_MAX / 2
    }

    fn open(&self) -> usize {
        self.minutes.values().flat_map(|hot| hot.open.values()).map(|open| open.spans.len()).sum()
    }

    /// Rolls a minute by what is new since it was rolled last, or all of it where something old has changed.
    /// `None` when it cannot be kept.
    pub(crate) async fn roll(
        &mut self,
        rolling: &Rolling,
        tenant: &str,
        minute: i64,
        relook: &Relook,
        before: Option<&MinuteState>,
        now_ns: i64,
    ) -> Result<Option<Rolled>, LookupError> {
        let key = (minute, tenant.to_owned());
        let kept = self.minutes.remove(&key);
        let was_kept = kept.is_some();
        let mut hot = kept.unwrap_or_else(|| Hot::new(minute));
        let mut rolled = hot.roll(rolling, tenant, minute, relook, before, now_ns).await?;
        if rolled.is_none() && was_kept {
            self.whole.inc();
            hot = Hot::new(minute);
            rolled = hot.roll(rolling, tenant, minute, relook, before, now_ns).await?;
        }
        if rolled.as_ref().is_some_and(|rolled| rolled.row.is_some()) {
            hot.used = Instant::now();
            self.minutes.insert(key, hot);
            while self.open() > OPEN_MAX
                && let Some(largest) = self.largest()
            {
                self.minutes.remove(&largest);
            }
        }
        Ok(rolled)
    }

    fn largest(&self) -> Option<Key> {
        let open = |hot: &Hot| hot.open.values().map(|open| open.spans.len()).sum::<usize>();
        self.minutes.iter().max_by_key(|(key, hot)| (open(hot), key.0)).map(|(key, _)| key.clone())
    }
}

impl Hot {
    fn new(minute: i64) -> Hot {
        Hot {
            read: HashMap::new(),
            names: Names::default(),
            link_highs: HashMap::new(),
            sums: Minute::new(minute * MINUTE_NS),
            quiet: HashSet::new(),
            referred: HashSet::new(),
            open: HashMap::new(),
            known: HashMap::new(),
            answered: HashSet::new(),
            used: Instant::now(),
        }
    }

    async fn roll(
        &mut self,
        rolling: &Rolling,
        tenant: &str,
        minute: i64,
        relook: &Relook,
        before: Option<&MinuteState>,
        now_ns: i64,
    ) -> Result<Option<Rolled>, LookupError> {
        let window = (minute * MINUTE_NS, (minute + 1) * MINUTE_NS);
        let stored: HashMap<u128, u64> = rolling.batches(tenant, window).await?.into_iter().collect();
        // Deleted spans, or a batch that is there twice.
        let is_kept = |(batch, spans): (&u128, &u64)| stored.get(batch) == Some(spans);
        if stored.len() > BATCHES_MAX || !self.read.iter().all(is_kept) {
            return Ok(None);
        }
        let new: Vec<(u128, u64)> = stored.into_iter().filter(|(id, _)| !self.read.contains_key(id)).collect();
        if relook.all && !self.referred.is_empty() || relook.traces.iter().any(|low| self.referred.contains(low)) {
            return Ok(None);
        }
        match relook.all {
            true => self.known.clear(),
            false => self.known.retain(|at, _| !relook.traces.contains(&at.trace_low)),
        }
        let answers = answers(rolling.answers(tenant, &[minute]).await?);
        let answered = naming(&answers, minute);
        if answered.symmetric_difference(&self.answered).any(|at| self.quiet.contains(&at.trace_low)) {
            return Ok(None);
        }
        self.answered = answered;
        let ids: Vec<u128> = new.iter().map(|(id, _)| *id).collect();
        let due: u64 = new.iter().map(|(_, spans)| spans).sum();
        let is_first = self.read.is_empty();
        let of = due.div_ceil(SPANS_MAX);
        let mut came = 0;
        for part in 0..of {
            let Some(spans) = self.read(rolling, tenant, window, Which::Batches { ids: &ids, part, of }).await? else {
                return Ok(None);
            };
            came += spans.len() as u64;
            for span in spans {
                let open = self.open.entry(span.at.trace_low).or_default();
                let end_ns = span.start_ns.saturating_add_unsigned(span.duration_ns);
                open.heard_ns = if is_first { open.heard_ns.max(end_ns.min(now_ns)) } else { now_ns };
                open.spans.push(span);
            }
            // Every trace that has spans in this part has all of them in it.
            if part + 1 < of {
                self.calm(rolling, tenant, minute, now_ns).await?;
            }
        }
        if came != due {
            return Ok(None);
        }
        self.read.extend(new);
        self.calm(rolling, tenant, minute, now_ns).await?;
        let spans: Vec<GraphSpan> = self.open.values().flat_map(|open| open.spans.iter().cloned()).collect();
        let others = self.others(rolling, tenant, minute, &spans, &Minute::missing(&spans)).await?;
        let mut whole = self.sums.clone();
        whole.add(&self.names, &spans, &others, &self.answered);
        let stored: u64 = self.read.values().sum();
        let answered = digest(self.answered.iter().copied());
        let rolled = Rolled::new(tenant, minute, stored, answered, whole.finish(), before);
        Ok(Some(Rolled { spans: due, ..rolled }))
    }

    // New spans; `None` when one is of a quiet trace.
    async fn read(
        &mut self,
        rolling: &Rolling,
        tenant: &str,
        window: (i64, i64),
        which: Which<'_>,
    ) -> Result<Option<Vec<GraphSpan>>, LookupError> {
        let mut spans = Vec::new();
        let Hot { names, link_highs, .. } = self;
        rolling.spans(tenant, window, which, |row| spans.extend(narrow(names, row, link_highs))).await?;
        Ok(spans.iter().all(|span| !self.quiet.contains(&span.at.trace_low)).then_some(spans))
    }

    // Quiet traces become sums.
    async fn calm(&mut self, rolling: &Rolling, tenant: &str, minute: i64, now_ns: i64) -> Result<(), LookupError> {
        let quiet = self.open.extract_if(|_, open| open.heard_ns < now_ns - QUIET_NS);
        let spans: Vec<GraphSpan> = quiet.flat_map(|(_, open)| open.spans).collect();
        if spans.is_empty() {
            return Ok(());
        }
        let missing = Minute::missing(&spans);
        let others = self.others(rolling, tenant, minute, &spans, &missing).await?;
        self.quiet.extend(spans.iter().map(|span| span.at.trace_low));
        self.referred.extend(missing.iter().map(|at| at.trace_low));
        self.sums.add(&self.names, &spans, &others, &self.answered);
        missing.iter().for_each(|at| drop(self.known.remove(at)));
        Ok(())
    }

    // The stored spans that the missing references of whole traces mean.
    async fn others(
        &mut self,
        rolling: &Rolling,
        tenant: &str,
        minute: i64,
        spans: &[GraphSpan],
        missing: &[SpanRef],
    ) -> Result<Vec<GraphSpan>, LookupError> {
        let asked: Vec<SpanRef> = missing.iter().filter(|at| !self.known.contains_key(at)).copied().collect();
        if !asked.is_empty() {
            let mut references = References::default();
            references.add(minute, spans, &asked, &self.link_highs);
            let mut found = look_up(rolling, tenant, &[minute], references, &HashMap::new(), &mut self.names).await?;
            self.known.extend(asked.into_iter().map(|at| (at, Vec::new())));
            for span in found.remove(&minute).unwrap_or_default() {
                self.known.entry(span.at).or_default().push(span);
            }
        }
        Ok(missing.iter().filter_map(|at| self.known.get(at)).flatten().cloned().collect())
    }
}
