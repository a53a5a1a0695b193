//! THE PATH: a request's way from socket to table, as a list of stations. They start from the store
//! outwards, so that nothing is accepted before there is a place for it, and stop from the doors
//! inwards, so that nothing accepted is left behind.
//!
//! ```text
//! doors (receive) → intake → journal → lanes → delivery → store ⇒ ClickHouse → questions → view → serve
//!                                                                   ⇅
//!                                                                 roller (the service graph)
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use access::{Access, Budget};
use anyhow::Context as _;
use journal::Journal;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;
use tracing::{info, warn};
use view::View;

use crate::books::{self, Books};
use crate::cli::say;
use crate::config::Config;
use crate::deliver::{DELIVERY_SEQUENCE, Delivery, Progress, StoreState};
use crate::intake::Door;
use crate::lanes::{Bounds, Lanes, Message, Payload, Start, tell};
use crate::listen::{self, Port};
use crate::notify::Outbox;
use crate::patterns::Keeper;
use crate::roll::Roller;
use crate::status::{Acceptance, Health};
use crate::vitals::Vitals;
use crate::waterline::Waterline;
use crate::{clock, descriptors, evidence, pattern_metrics, recover, roll_metrics, storage, watch_metrics, watching};

/// Open requests may end within this time after the signal.
const GRACE: Duration = Duration::from_secs(2);
/// Blocks on their way may arrive within this time; what does not is verified at the next start.
const DRAIN: Duration = Duration::from_secs(4);
/// The engine may end within this time.
const ENGINE_STOP: Duration = Duration::from_secs(3);
/// How often counters and ledger entries are written.
const BOOKS_EVERY: Duration = Duration::from_secs(1);

/// Runs until a signal; the exit code says whether it ended as it should.
pub(crate) fn run(config: Config) -> anyhow::Result<ExitCode> {
    // Before any child is started, which inherits it.
    descriptors::raise();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let outcome = runtime.block_on(live(config));
    // Whatever still blocks (a reader of a huge answer) must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}

async fn live(config: Config) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let mut registry = Registry::with_prefix("hypocenter");
    // The rest is for what lies in sockets' buffers and the allocator, which nobody can count.
    let budget = Budget::new(config.ingest.memory_bytes_max / 8 * 7);
    budget.register(&mut registry);

    storage::check_reader_port(&config).await?;

    // The journal first: it holds what earlier lives accepted, and it locks the data directory.
    let (to_lanes, lanes_messages) = mpsc::channel();
    let arrivals = Arc::new(OnceLock::<(Arc<Waterline>, Arc<Books>)>::new());
    let (journal, recovery) = {
        let (arrivals, to_lanes) = (Arc::clone(&arrivals), to_lanes.clone());
        let sink = move |frames: Vec<(journal::Lsn, Payload)>| {
            if let Some((waterline, books)) = arrivals.get() {
                for (lsn, payload) in &frames {
                    waterline.arrived(payload.batch.items());
                    books.durable(*lsn, payload.batch.items(), books::set_aside(&payload.batch));
                }
            }
            tell(&to_lanes, Message::Frames(frames));
        };
        Journal::open(config.journal.clone(), sink)
            .with_context(|| format!("cannot open the journal in {}", config.journal.dir.display()))?
    };
    journal.metrics().register(&mut registry);
    let books = Arc::new(Books::new(recovery.totals));
    let plan = recover::plan(&recovery);
    let waterline = Arc::new(Waterline::new(plan.next));
    recover::count_accepted(&journal, &books);
    let _ = arrivals.set((Arc::clone(&waterline), Arc::clone(&books)));
    report_recovery(&recovery, plan.unsettled.len());

    // The store: the engine's child process or a remote server; both may come and go.
    let place = storage::open(&config, &mut registry)?;
    let store = place.store.clone();

    // Delivery: sealed blocks to ClickHouse, beside them those of the last life.
    let (to_delivery, parcels) = unbounded_channel();
    let store_state = watch::Sender::new(StoreState::Down("the schema is not in place yet".into()));
    let delivery = Arc::new(Delivery {
        journal: journal.clone(),
        store: store.clone(),
        waterline: Arc::clone(&waterline),
        books: Arc::clone(&books),
        budget: budget.clone(),
        state: store_state.clone(),
        block_memory_bytes_max: config.ingest.block_memory_bytes_max,
        stored: Progress::default(),
        held: Mutex::default(),
        writer: recovery.writer,
        sequence: AtomicU64::new(DELIVERY_SEQUENCE),
        marker: tokio::sync::Mutex::new(None),
    });
    plan.unsettled.iter().chain(&plan.confirmed).for_each(|seal| waterline.sent(seal, 0));
    let look = recover::Look { delivery: Arc::clone(&delivery), parcels: to_delivery.clone() };
    if !plan.unsettled.is_empty() {
        tokio::spawn(recover::settle(plan.unsettled, look.clone()));
    }
    if plan.confirmed.is_empty() {
        journal.release(waterline.level());
    } else {
        tokio::spawn(recover::verify(plan.confirmed, look));
    }
    let counting = (journal.clone(), Arc::clone(&waterline), plan.next, recovery.next_lsn);
    tokio::task::spawn_blocking(move || recover::count_unread(&counting.0, counting.2, counting.3, &counting.1));
    let watching = tokio::spawn(Arc::clone(&delivery).watch(place.schema()));
    let mut delivered = tokio::spawn(delivery.run(parcels, config.storage.inserts_in_flight));

    // Lanes: durable frames to blocks. A thread of their own: the work is all copying.
    let start = Start { next: plan.next, coverage: plan.coverage, writer: recovery.writer, sequence: 0 };
    let lanes =
        Lanes::new(journal.clone(), Arc::clone(&waterline), to_delivery, budget.clone(), bounds(&config), start);
    let lanes = std::thread::Builder::new().name("lanes".into()).spawn(move || lanes.run(&lanes_messages))?;

    // The roller: stored spans to the service graph. Nothing waits for it but a flush.
    let roll_metrics = roll_metrics::Metrics::register(&mut registry);
    let (roller, catch_up) =
        Roller::new(store.clone(), roll_owner(recovery.hash_key), config.storage.url.is_none(), roll_metrics.clone());
    // The keeper of patterns, while we roll: the pattern keys of stored logs to patterns.
    let reigns = roller.reigns();
    let patterns = Keeper::new(store.clone(), reigns.clone(), pattern_metrics::Metrics::register(&mut registry));
    let keeping_patterns = tokio::spawn(patterns.run());
    let rolling = tokio::spawn(roller.run(place.schema()));

    // What is stored frees the journal; counters and ledger are written every second.
    let releasing = tokio::spawn(release(journal.clone(), waterline.follow()));
    let writing = tokio::spawn(keep_books(journal.clone(), Arc::clone(&books), budget.clone()));

    // Intake and doors, last: now there is a place for everything.
    let acceptance = Arc::new(Acceptance::new(journal.clone()));
    let view = View::new(store.clone());
    let keeping = tokio::spawn(evidence::keep(store.clone(), view.clone(), reigns.clone(), roll_metrics));
    // The watch, while we roll: what is counted to incidents, incidents to messages.
    let watch_metrics = watch_metrics::Metrics::register(&mut registry);
    let way = (config.base_url.clone(), config.mailer.clone());
    let (outbox, carrier) = Outbox::new(store.clone(), config.receivers.clone(), way, watch_metrics.clone());
    let carrying = tokio::spawn(carrier.run(reigns.clone()));
    let behind = journal.clone();
    let unstored_ns = move || behind.usage().oldest_unreleased_ns;
    let looking_out = config.watch_enabled.then(|| {
        let configured = config.configured.clone();
        let watch = watching::run(store.clone(), view.clone(), reigns, configured, outbox, watch_metrics, unstored_ns);
        tokio::spawn(watch)
    });
    let names = view.clone();
    let intake = Door::new(
        journal.clone(),
        to_lanes.clone(),
        Arc::clone(&waterline),
        Arc::clone(&books),
        budget.clone(),
        Arc::clone(&acceptance),
        &config.ingest,
        &recovery,
        // Who waited until its data was stored shall see it in the next answer.
        Box::new(move || names.forget_names()),
    );
    let health = Arc::new(Health {
        journal: journal.clone(),
        waterline: Arc::clone(&waterline),
        books: Arc::clone(&books),
        budget: budget.clone(),
        store_state: store_state.subscribe(),
        store,
        lanes: to_lanes.clone(),
        catch_up,
        acceptance: Arc::clone(&acceptance),
        doors: OnceLock::new(),
        addresses: OnceLock::new(),
        tls: config.tls.is_some(),
        configured: config.configured.clone(),
    });
    let doors = Doors::open(&config, intake, Arc::clone(&health), view, registry).await?;
    let _ = health.addresses.set(doors.addresses.clone());
    let announcement = doors.announcement(&config);
    let stop = watch::Sender::new(false);
    let serving = doors.serve(stop.subscribe());
    let up = async {
        // Senders are served meanwhile; only readiness waits, so that the first question finds its tables.
        place.wait_ready().await;
        announcement.iter().for_each(|line| say(line));
        acceptance.serve(true);
        info!("ready");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = up => {}
        () = signals.first() => {}
    }

    // The reverse: doors, books, lanes, delivery, keeper and roller, journal, store.
    info!("stopping: no new requests; what was accepted is being stored");
    acceptance.serve(false);
    tokio::spawn(async move { signals.again_ends_at_once().await });
    let _ = stop.send(true);
    for port in serving {
        let _ = port.await;
    }
    writing.abort();
    watching.abort();
    books.write(&journal, &budget, clock::now_ns()).await;
    tell(&to_lanes, Message::Stop);
    let _ = tokio::task::spawn_blocking(move || lanes.join()).await;
    if tokio::time::timeout(DRAIN, &mut delivered).await.is_err() {
        warn!(
            blocks = waterline.sent_blocks(),
            "ClickHouse did not take the last blocks in time; the journal keeps them"
        );
        delivered.abort();
    }
    // What they leave undone is done again after the next start.
    keeping_patterns.abort();
    rolling.abort();
    keeping.abort();
    carrying.abort();
    looking_out.inspect(|looking_out| looking_out.abort());
    releasing.abort();
    journal.release(waterline.level());
    journal.set_totals(books.totals());
    if let Err(error) = journal.close() {
        warn!(%error, "the journal was not closed in order; the next start verifies it");
    }
    if tokio::time::timeout(ENGINE_STOP, place.stop()).await.is_err() {
        warn!("the engine did not end in time and was killed; its data is verified at the next start");
    }
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// The ports with their routes, bound and not yet served.
struct Doors {
    ports: Vec<(Port, axum::Router)>,
    addresses: Vec<(&'static str, SocketAddr)>,
    tls: Option<tokio_rustls::TlsAcceptor>,
    limits: access::Limits,
}

impl Doors {
    async fn open(
        config: &Config,
        intake: Door,
        health: Arc<Health>,
        view: View,
        mut registry: Registry,
    ) -> anyhow::Result<Doors> {
        let tls = config.tls.as_ref().map(listen::acceptor).transpose()?;
        let access = Arc::new(Access::new(crate::config::access_config(config)?)?);
        let settings = crate::config::receive_config(config);
        let metrics = receive::Metrics::new(&mut registry);
        Vitals::register(&health, &mut registry);
        let intake = Arc::new(intake);
        let grpc = receive::otlp_grpc_router(Arc::clone(&intake), Arc::clone(&access), &settings, &metrics);
        let http = receive::otlp_http_router(Arc::clone(&intake), Arc::clone(&access), &settings, &metrics);
        let spans = receive::zipkin_ingest_router(Arc::clone(&intake), Arc::clone(&access), &settings, &metrics);
        let reports = receive::zipkin_grpc_router(intake, Arc::clone(&access), &settings, &metrics);
        let _ = health.doors.set(metrics);
        let serve::Routers { own: ui, zipkin } =
            serve::routers(view, health, access, crate::config::serve_config(config), registry);
        let zipkin = receive::cors::apply(zipkin.merge(spans).merge(reports), settings.zipkin_cors.clone());
        let mut ports = Vec::new();
        for (name, port, routes) in [
            ("http", config.ports.http, ui),
            ("otlp_grpc", config.ports.otlp_grpc, grpc),
            ("otlp_http", config.ports.otlp_http, http),
            ("zipkin", config.ports.zipkin, zipkin),
        ] {
            ports.push((Port::bind(name, config.listen, port).await?, routes));
        }
        let addresses = ports.iter().map(|(port, _)| (port.name, port.address())).collect();
        let mut limits = settings.limits;
        limits.connections_max = descriptors::connections(descriptors::raise(), ports.len(), limits.connections_max);
        Ok(Doors { ports, addresses, tls, limits })
    }

    fn announcement(&self, config: &Config) -> Vec<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let purposes = ["UI, API     ", "OTLP/gRPC   ", "OTLP/HTTP   ", "Zipkin      "];
        let mut lines =
            vec![format!("Hypocenter {} is ready; data in {}", env!("CARGO_PKG_VERSION"), config.data_dir.display())];
        for ((_, address), purpose) in self.addresses.iter().zip(purposes) {
            lines.push(format!("  {purpose} {scheme}://{address}"));
        }
        if config.storage.embedded.http_port != 0 && config.storage.url.is_none() {
            lines.push(format!("  SQL (reader) http://{}:{}", config.listen, config.storage.embedded.http_port));
        }
        lines
    }

    fn serve(self, stop: watch::Receiver<bool>) -> Vec<tokio::task::JoinHandle<()>> {
        let Doors { ports, tls, limits, .. } = self;
        let limits = Arc::new(limits);
        let serve = |(port, routes): (Port, axum::Router)| {
            tokio::spawn(port.serve(routes, tls.clone(), Arc::clone(&limits), stop.clone(), GRACE))
        };
        ports.into_iter().map(serve).collect()
    }
}

fn bounds(config: &Config) -> Bounds {
    let ingest = &config.ingest;
    Bounds {
        rows_max: ingest.block_rows_max,
        bytes_max: ingest.block_bytes_max,
        memory_bytes_max: ingest.block_memory_bytes_max,
        linger: ingest.linger,
        linger_cold: ingest.linger_cold,
    }
}

// Known to other collectors of the same database: the directory, but not its secret.
fn roll_owner(hash_key: u64) -> u64 {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one((hash_key, "roller"))
}

fn report_recovery(recovery: &journal::Recovery, parcels: usize) {
    for damage in &recovery.damage {
        warn!(?damage, "the journal is damaged; the rest of it is kept");
    }
    if recovery.next_lsn > 1 && (!recovery.clean || parcels > 0) {
        info!(clean = recovery.clean, from = recovery.low_water, to_verify = parcels, "going on from the journal");
    }
}

async fn release(journal: Journal<Payload>, mut level: watch::Receiver<journal::Lsn>) {
    while level.changed().await.is_ok() {
        let level = *level.borrow_and_update();
        journal.release(level);
    }
}

async fn keep_books(journal: Journal<Payload>, books: Arc<Books>, budget: Budget) {
    let mut every = tokio::time::interval(BOOKS_EVERY);
    loop {
        every.tick().await;
        books.write(&journal, &budget, clock::now_ns()).await;
        journal.set_totals(books.totals());
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    term: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn first(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn again_ends_at_once(&mut self) {
        self.first().await;
        warn!("second signal: ending at once; the journal keeps what was accepted");
        std::process::exit(130);
    }
}
