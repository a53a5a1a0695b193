//! The keeper of log patterns: keeps `log_patterns` equal to what the pattern keys of the stored logs say.
//!
//! ```text
//! changed parts → keys of their logs → one log of each key that is new → correlate::patterns
//!               → ids noted → rows written → progress noted
//! ```
//!
//! The patterns of a service are a function of the set of its keys, so order, repetition and restarts cannot
//! show in them; all that is held here can be read from the table again. A look at parts that was not
//! finished is made again. It works while this process rolls (`roll.rs` holds the lease); a keeper that has
//! not noticed that its reign is over writes rows of an older generation, which do not count.
//!
//! Nothing here is in the way of ingest: when ClickHouse is away, this waits and tries again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use correlate::patterns::{Miner, PATTERN_RULE};
use model::Table;
use store::rollup::{ExampleRow, KeyRow, PartRow, PatternRow, ProgressRow, REST_KEY, Rolling};
use store::{LookupError, Store};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::clock;
use crate::pattern_books::{Book, Books, Found, Known, News, Whose, seen};
use crate::pattern_metrics::Metrics;
use crate::roll_feed::{self, Feed};

/// How often the parts are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a look that took long, so many times its time is waited, but not longer than [`FRESH`].
const REST_TIMES: u32 = 10;
/// The longest rest.
const FRESH: Duration = Duration::from_secs(3);
/// Pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// Rows of the parts that are looked at together, and how many parts.
const NEWS_MAX: (u64, usize) = (1_000_000, 1_000);
/// Keys of a service in one look. No service has so many patterns: what is beyond is counted.
const KEYS_MAX: usize = 200_000;
/// Keys whose logs are read together.
const EXAMPLES_MAX: usize = 5_000;
/// Rows that are written together.
const ROWS_MAX: usize = 10_000;
/// Patterns whose rows are read together.
const IDS_MAX: usize = 500;
/// How often it is seen to whether the table is still the same.
const FOLLOW_EVERY: Duration = Duration::from_secs(4);
/// Progress is noted at most so often; what is looked at again costs little.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// The keeper of one process.
pub(crate) struct Keeper {
    store: Store,
    metrics: Metrics,
    /// The epoch of our reign, while we roll.
    reigns: watch::Receiver<Option<u64>>,
    /// Writes so far: a later one counts, within an epoch.
    sequence: Arc<AtomicU64>,
}

impl Keeper {
    /// A keeper, not yet running.
    pub(crate) fn new(store: Store, reigns: watch::Receiver<Option<u64>>, metrics: Metrics) -> Keeper {
        Keeper { store, metrics, reigns, sequence: Arc::default() }
    }

    /// Keeps patterns for ever, whenever this process rolls.
    pub(crate) async fn run(mut self) {
        let mut pause = PAUSE.0;
        loop {
            let Ok(epoch) = self.reigns.wait_for(Option::is_some).await.map(|epoch| *epoch) else { return };
            let began = Instant::now();
            if let Err(error) = self.reign(epoch.unwrap_or_default()).await {
                self.metrics.failures.inc();
                if pause == PAUSE.0 {
                    warn!(%error, "log patterns cannot be kept now; trying again");
                } else {
                    debug!(%error, "log patterns cannot be kept yet");
                }
            }
            if began.elapsed() > PAUSE.1 * 2 {
                pause = PAUSE.0;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    async fn reign(&self, epoch: u64) -> Result<(), LookupError> {
        let sequence = Arc::clone(&self.sequence);
        let mut reign = Reign::begin(self.store.rolling()?, self.metrics.clone(), epoch, sequence).await?;
        while *self.reigns.borrow() == Some(epoch) {
            let began = Instant::now();
            let more = reign.round().await?;
            let took = began.elapsed();
            let pause = if more { took / 2 } else { LOOK_EVERY.max((took * REST_TIMES).min(FRESH)) };
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }
}

/// One who keeps, from the beginning of a reign to its end or the loss of the way to ClickHouse.
struct Reign {
    rolling: Rolling,
    metrics: Metrics,
    epoch: u64,
    sequence: Arc<AtomicU64>,
    table: String,
    followed: Instant,
    feed: Feed,
    books: Books,
    unnoted: HashMap<String, ProgressRow>,
    noted: Instant,
    /// The first look: what it finds may have been written in part by the one before.
    first: bool,
    rows: Vec<PatternRow>,
}

impl Reign {
    async fn begin(
        rolling: Rolling,
        metrics: Metrics,
        epoch: u64,
        sequence: Arc<AtomicU64>,
    ) -> Result<Reign, LookupError> {
        let table = rolling.table(Table::Logs).await?;
        let (id, ordered) = table.map_or((String::new(), true), |table| (table.id, table.ordered));
        let feed = Feed::new(ordered, rolling.progress(&id).await?);
        let mut reign = Reign {
            rolling,
            metrics,
            epoch,
            sequence,
            table: id,
            followed: Instant::now(),
            feed,
            books: Books::default(),
            unnoted: HashMap::new(),
            noted: Instant::now(),
            first: true,
            rows: Vec::new(),
        };
        for whose in reign.rolling.outdated_patterns(PATTERN_RULE as u16).await? {
            reign.keep(whose, &[], &[], true).await?;
        }
        reign.write().await?;
        Ok(reign)
    }

    // One look; whether there is more to do at once.
    async fn round(&mut self) -> Result<bool, LookupError> {
        if self.followed.elapsed() >= FOLLOW_EVERY {
            self.follow_table().await?;
        }
        let began = Instant::now();
        let more = self.look().await?;
        self.note().await?;
        self.metrics.seconds.inc_by(began.elapsed().as_secs_f64());
        let (keys, templates) = self.books.size();
        self.metrics.held.set(keys as i64);
        self.metrics.templates.set(templates as i64);
        Ok(more)
    }

    // Changed parts → keys → patterns. A part can be merged away between being listed and being read: reading
    // is repeated until all that was read was there before and after.
    async fn look(&mut self) -> Result<bool, LookupError> {
        let mut parts = self.rolling.parts(Table::Logs).await?;
        let changed = self.feed.forget(&parts);
        self.unnoted.extend(changed.into_iter().map(|row| (row.partition.clone(), row)));
        let mut read: HashSet<String> = HashSet::new();
        let mut found: HashMap<Whose, HashMap<u64, Found>> = HashMap::new();
        let (news, left) = loop {
            let (news, left) = self.some_news(&parts);
            let names: Vec<String> =
                news.iter().filter(|part| !read.contains(&part.name)).map(|part| part.name.clone()).collect();
            if names.is_empty() {
                break (news, left);
            }
            let overflowed = &self.metrics.overflowed;
            self.rolling.pattern_keys(&names, |row| add(&mut found, row, overflowed)).await?;
            read.extend(names);
            parts = self.rolling.parts(Table::Logs).await?;
        };
        self.metrics.behind.set(left as i64);
        let names: Vec<String> = news.iter().map(|part| part.name.clone()).collect();
        let mut all = true;
        for (whose, found) in found {
            let found: Vec<Found> = found.into_values().collect();
            all &= self.keep(whose, &names, &found, false).await?;
        }
        self.write().await?;
        if !all {
            // Parts were merged meanwhile, and some logs are elsewhere now.
            return Ok(true);
        }
        self.metrics.logs.inc_by(news.iter().map(|part| part.rows).sum());
        let progress = self.feed.take(&news);
        self.unnoted.extend(progress.into_iter().map(|row| (row.partition.clone(), row)));
        self.first &= left > 0;
        Ok(left > 0)
    }

    // Parts that are looked at together, and how many rows are left for later.
    fn some_news(&self, parts: &[PartRow]) -> (Vec<PartRow>, u64) {
        let mut rows = 0;
        let mut news: Vec<PartRow> = Vec::new();
        let mut left = 0;
        for part in parts.iter().filter(|part| self.feed.news(part) != roll_feed::News::None) {
            rows += part.rows;
            if left == 0 && (news.is_empty() || (rows <= NEWS_MAX.0 && news.len() < NEWS_MAX.1)) {
                news.push(part.clone());
            } else {
                left += part.rows;
            }
        }
        (news, left)
    }

    // Takes in the keys of one service; false when a log of one could not be found. With `all`, what is
    // stored is made anew.
    async fn keep(&mut self, whose: Whose, parts: &[String], found: &[Found], all: bool) -> Result<bool, LookupError> {
        let mut book = match self.books.take(&whose) {
            Some(book) => book,
            None => self.open(&whose).await?,
        };
        let now_ns = clock::now_ns();
        let wanted: Vec<Found> = found.iter().filter(|found| book.wants(found, now_ns)).copied().collect();
        let is_doubtful = all || (self.first && !book.known.is_empty());
        let mut whole = true;
        if is_doubtful || !wanted.is_empty() {
            if book.miner.is_none() {
                book.miner = Some(self.miner(&whose, &book).await?);
            }
            let mut chunks: Vec<&[Found]> = wanted.chunks(EXAMPLES_MAX).collect();
            if chunks.is_empty() {
                chunks.push(&[]);
            }
            for some in chunks {
                let keys: Vec<u64> = some.iter().map(|found| found.key).collect();
                let mut examples: Vec<ExampleRow> = Vec::new();
                if !keys.is_empty() {
                    examples = self.rolling.pattern_examples(parts, &whose.0, &whose.1, &keys).await?;
                }
                whole &= examples.len() == keys.len();
                let news;
                (book, news) = mine(whose.clone(), book, examples, some.to_vec(), all, now_ns).await?;
                self.change(&whose, &book, news).await?;
                if book.is_full() {
                    break;
                }
            }
        }
        let overflowed = found.iter().filter(|found| book.overflows(found.key)).map(|found| found.logs);
        self.metrics.overflowed.inc_by(overflowed.sum());
        self.books.put(whose, book);
        Ok(whole)
    }

    // What is known of a service.
    async fn open(&self, (tenant, service): &Whose) -> Result<Book, LookupError> {
        let known = self.rolling.known_patterns(tenant, service).await?;
        let known = known
            .into_iter()
            .map(|row| (row.key, Known { id: row.id, first_ns: row.first_ns, written_ns: row.written_ns }));
        Ok(Book::of(known))
    }

    async fn miner(&self, (tenant, service): &Whose, book: &Book) -> Result<Miner, LookupError> {
        let mut miner = Miner::new(Default::default());
        if !book.known.is_empty() {
            self.rolling
                .patterns(tenant, service, &[], |row| {
                    if row.key != REST_KEY {
                        miner.add(&seen(&example(row)));
                    }
                })
                .await?;
        }
        Ok(miner)
    }

    // Rows to write: the new ones, and the stored ones of patterns that became others.
    async fn change(&mut self, (tenant, service): &Whose, book: &Book, news: News) -> Result<(), LookupError> {
        self.metrics.keys.inc_by(news.rows.len() as u64);
        let fresh: HashSet<u64> = news.rows.iter().map(|row| row.key).collect();
        self.rows.extend(news.rows);
        if !news.former.is_empty() {
            // What is not written yet is not found in the table.
            self.write().await?;
        }
        for ids in news.former.chunks(IDS_MAX) {
            let rows = &mut self.rows;
            let became = |row: PatternRow| {
                let id = book.known.get(&row.key).map_or(row.id, |known| known.id);
                if let (Some(template), false) = (news.templates.get(&id), fresh.contains(&row.key)) {
                    rows.push(PatternRow { id, template: template.clone(), rule: PATTERN_RULE as u16, ..row });
                }
            };
            self.rolling.patterns(tenant, service, ids, became).await?;
            self.write().await?;
        }
        if self.rows.len() >= ROWS_MAX {
            self.write().await?;
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), LookupError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let generation = self.generation();
        self.rows.iter_mut().for_each(|row| row.generation = generation);
        journal::crash::crash_point("before-patterns");
        self.rolling.write_patterns(&self.rows).await?;
        journal::crash::crash_point("after-patterns");
        self.metrics.written.inc_by(self.rows.len() as u64);
        self.rows.clear();
        Ok(())
    }

    fn generation(&self) -> u64 {
        (self.epoch << 32) + self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn note(&mut self) -> Result<(), LookupError> {
        if self.unnoted.is_empty() || self.noted.elapsed() < NOTE_EVERY {
            return Ok(());
        }
        let rows: Vec<ProgressRow> = self.unnoted.values().cloned().collect();
        self.rolling.write_progress(&self.table, self.generation(), &rows).await?;
        self.unnoted.clear();
        self.noted = Instant::now();
        Ok(())
    }

    // A table that was dropped and made anew begins its numbers again.
    async fn follow_table(&mut self) -> Result<(), LookupError> {
        let table = self.rolling.table(Table::Logs).await?;
        if let Some(table) = table.filter(|table| table.id != self.table) {
            self.feed = Feed::new(table.ordered, self.rolling.progress(&table.id).await?);
            self.table = table.id;
            self.unnoted.clear();
        }
        self.followed = Instant::now();
        Ok(())
    }
}

// Away from the tasks that answer: a service with many kinds of logs takes a while.
async fn mine(
    whose: Whose,
    mut book: Book,
    examples: Vec<ExampleRow>,
    found: Vec<Found>,
    all: bool,
    now_ns: i64,
) -> Result<(Book, News), LookupError> {
    let mining = tokio::task::spawn_blocking(move || {
        let news = book.take(&whose, examples, &found, all, now_ns);
        (book, news)
    });
    mining.await.map_err(|error| LookupError::Failed(format!("mining patterns ended: {error}")))
}

fn add(
    found: &mut HashMap<Whose, HashMap<u64, Found>>,
    row: KeyRow,
    overflowed: &prometheus_client::metrics::counter::Counter,
) {
    let keys = found.entry((row.tenant, row.service)).or_default();
    if keys.len() >= KEYS_MAX && !keys.contains_key(&row.key) {
        overflowed.inc_by(row.logs);
        return;
    }
    let (first_ns, last_ns) = (row.first_ns, row.last_ns);
    let known = keys.entry(row.key).or_insert(Found { key: row.key, logs: 0, first_ns, last_ns });
    known.logs += row.logs;
    known.first_ns = known.first_ns.min(first_ns);
    known.last_ns = known.last_ns.max(last_ns);
}

fn example(row: PatternRow) -> ExampleRow {
    ExampleRow {
        key: row.key,
        example: row.example,
        event_name: row.event_name,
        severity_number: row.severity_number,
        code_file: row.code_file,
        code_line: row.code_line,
        code_function: row.code_function,
    }
}
