//! `hypocenter demo`: runs the shop in real time (or catches up with it), sends what falls due, and
//! tells people how it goes and tests what is broken. The shop itself is the room `demo`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use demo::{Ends, Item, Kind, Order, Payload, Settings, Simulator, Topology};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::say;
use crate::demo_send::{Counts, Load, Sender, Setup};
use crate::{clock, demo_page};

/// Arguments of `hypocenter demo`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Where OTLP goes [default: http://127.0.0.1:4318, with gRPC http://127.0.0.1:4317]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// How OTLP goes
    #[arg(long, value_enum, default_value = "http")]
    protocol: Protocol,
    /// Where the spans of the Zipkin service go
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9411")]
    zipkin_endpoint: String,
    /// Visits per second
    #[arg(long, value_name = "N", default_value_t = 20.0, value_parser = rate)]
    rate: f64,
    /// Begin so long ago, and send the past as fast as it is taken
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    backfill: Option<f64>,
    /// End after so long, the past included [default: at Ctrl-C]
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    duration: Option<f64>,
    /// The same seed, rate and faults give the same run [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Tenant to send as
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Header for every request, such as an authorization; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Break something: `kind[:target][=size][@start+length]`; may be given several times
    #[arg(long = "fault", value_name = "FAULT", value_parser = Order::parse, allow_hyphen_values = true)]
    faults: Vec<Order>,
    /// Break the next thing of the menu after every such time, for half of it
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    cycle: Option<f64>,
    /// Serve a page here on which faults are switched on and off, such as 127.0.0.1:7701
    #[arg(long, value_name = "ADDR:PORT")]
    control: Option<String>,
    /// Write what is broken here, a line of JSON at each begin and end; `-` is standard output
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Seconds to wait for a server that is away or overloaded
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// Print the menu of faults with all targets
    #[arg(long)]
    list_faults: bool,
    /// Print the shop's graph as JSON
    #[arg(long)]
    topology: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Protocol {
    Http,
    Grpc,
}

/// What the run and its page share.
pub(crate) struct Stage {
    shop: Mutex<Simulator>,
    counts: Mutex<Counts>,
    seed: u64,
}

/// Most items of a kind in one request.
const LOAD_ITEMS_MAX: usize = 2000;
/// Items that are simulated before some are sent, when there is something to catch up with.
const CHUNK_ITEMS: usize = 6000;
/// How long items wait for others.
const TICK: Duration = Duration::from_millis(250);
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// Largest rate: above, the shop cannot be simulated and sent on a small machine anyway.
const RATE_MAX: f64 = 100_000.0;

/// Runs the shop until its end, a signal, or a server that never was there.
///
/// # Errors
/// When an argument is wrong or no server answers.
pub(crate) fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    if args.list_faults {
        say(menu().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    if args.topology {
        say(&format!("{:#}", Topology::of_the_shop().to_json()));
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let code = runtime.block_on(live(args));
    // A request that nobody answers must not keep the program.
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}

async fn live(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let now_ns = clock::now_ns();
    let start_ns = now_ns - ns(args.backfill.unwrap_or(0.0));
    let end_ns = args.duration.map_or(i64::MAX, |length| start_ns.saturating_add(ns(length)));
    let seed = args.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let mut shop = Simulator::new(Settings { seed, start_ns, rate: args.rate });
    for order in &args.faults {
        shop.switch_on(order, start_ns);
    }
    let stage = Arc::new(Stage { shop: Mutex::new(shop), counts: Mutex::default(), seed });
    let (stopper, stop) = watch::channel(false);
    let sender = Sender::new(setup(&args)?, stop.clone())?;
    let mut herald = Herald::new(args.truth.as_ref())?;
    herald.tell(&format!("The shop is open: {} visits a second, seed {seed}. Ctrl-C closes it.", args.rate));
    if let Some(address) = &args.control {
        let url = demo_page::serve(address, stage.clone()).await?;
        herald.tell(&format!("Control page: {url}"));
    }
    let (mut interrupt, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = term.recv() => {}
            }
        };
        next().await;
        stopper.send_replace(true);
        next().await;
        std::process::exit(130);
    });
    let mut show = Show {
        stage,
        sender,
        stop,
        waiting: BinaryHeap::new(),
        numbered: 0,
        end_ns,
        cycle: args.cycle.map(|length| Cycle { length_ms: length, next_ns: start_ns + ns(length), at: 0 }),
        trouble: None,
    };
    show.play(&mut herald).await?;
    let counts = *lock(&show.stage.counts);
    herald.tell(&format!("Closed. {}", in_words(&show.stage)));
    let whole = counts.refused + counts.failed == 0;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

// The run: a shop, what it has sent off but is not due, and where it goes.
struct Show {
    stage: Arc<Stage>,
    sender: Sender,
    stop: watch::Receiver<bool>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    numbered: u64,
    end_ns: i64,
    cycle: Option<Cycle>,
    trouble: Option<String>,
}

struct Cycle {
    length_ms: f64,
    next_ns: i64,
    at: usize,
}

impl Show {
    async fn play(&mut self, herald: &mut Herald) -> anyhow::Result<()> {
        let mut told = Instant::now();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let stopped = *self.stop.borrow();
            let (reached_ns, caught_up) = if stopped { (self.end_ns, true) } else { self.simulate() };
            let over = stopped || reached_ns >= self.end_ns;
            // At the end, what is still under way is not waited for.
            self.send_due(if over { i64::MAX } else { reached_ns }, herald).await?;
            let now_ns = clock::now_ns().min(self.end_ns);
            herald.tell_faults(&self.stage, if stopped { now_ns } else { reached_ns })?;
            if over {
                self.close(herald, now_ns)?;
                return Ok(());
            }
            if told.elapsed() >= STATUS_EVERY {
                told = Instant::now();
                herald.tell(&format!("{}{}", in_words(&self.stage), broken(&self.stage)));
                if let Some(trouble) = self.trouble.take() {
                    herald.tell(&format!("  the first trouble: {trouble}"));
                }
            }
            if caught_up {
                let mut stop = self.stop.clone();
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
        }
    }

    // Lets happen what has happened by now, in pieces; until when, and whether that is now.
    fn simulate(&mut self) -> (i64, bool) {
        let horizon_ns = clock::now_ns().min(self.end_ns);
        let mut shop = lock(&self.stage.shop);
        let mut items = Vec::new();
        while shop.next_ns() < horizon_ns && items.len() < CHUNK_ITEMS {
            if let Some(cycle) = &mut self.cycle
                && shop.next_ns() >= cycle.next_ns
            {
                let mut order = Order::of(Kind::ALL[cycle.at % Kind::ALL.len()]);
                order.for_ms = Some(cycle.length_ms / 2.0);
                shop.switch_on(&order, cycle.next_ns);
                cycle.at += 1;
                cycle.next_ns += ns(cycle.length_ms).max(1);
            }
            shop.step(&mut items);
        }
        let caught_up = shop.next_ns() >= horizon_ns;
        let reached_ns = if caught_up { horizon_ns } else { shop.next_ns() };
        drop(shop);
        for item in items {
            self.numbered += 1;
            self.waiting.push(Reverse(Waiting { due_ns: item.due_ns, number: self.numbered, item }));
        }
        (reached_ns, caught_up)
    }

    async fn send_due(&mut self, until_ns: i64, herald: &Herald) -> anyhow::Result<()> {
        loop {
            let (mut spans, mut logs, mut zipkin) = (Vec::new(), Vec::new(), Vec::new());
            while spans.len().max(logs.len()).max(zipkin.len()) < LOAD_ITEMS_MAX
                && self.waiting.peek().is_some_and(|waiting| waiting.0.due_ns <= until_ns)
            {
                let Some(Reverse(Waiting { item, .. })) = self.waiting.pop() else { break };
                match item.payload {
                    Payload::Span(span) => spans.push((item.resource, span)),
                    Payload::ZipkinSpan(span) => zipkin.push((item.resource, span)),
                    Payload::Log(log) => logs.push((item.resource, log)),
                }
            }
            let (traces, logs, zipkin) = (Load::Traces(spans), Load::Logs(logs), Load::Zipkin(zipkin));
            let sender = &self.sender;
            let sent = async { tokio::join!(sender.deliver(&traces), sender.deliver(&logs), sender.deliver(&zipkin)) };
            let mut sent = std::pin::pin!(sent);
            let sent = loop {
                tokio::select! {
                    sent = &mut sent => break sent,
                    () = tokio::time::sleep(STATUS_EVERY) => {
                        let reason = sender.waits_for().unwrap_or_else(|| "no answer yet".to_owned());
                        herald.tell(&format!("  waiting for the server: {reason}"));
                    }
                }
            };
            let mut counts = lock(&self.stage.counts);
            for (sent, trouble) in [sent.0, sent.1, sent.2] {
                counts.add(&sent);
                if self.trouble.is_none() {
                    self.trouble = trouble;
                }
            }
            if counts.taken() == 0 && counts.failed > 0 {
                let trouble = self.trouble.take().unwrap_or_default();
                anyhow::bail!(
                    "{trouble}; start a server with `hypocenter run`, or name one with --endpoint and --zipkin-endpoint"
                );
            }
            drop(counts);
            if self.waiting.peek().is_none_or(|waiting| waiting.0.due_ns > until_ns) {
                return Ok(());
            }
        }
    }

    // Faults that last end with the run.
    fn close(&mut self, herald: &mut Herald, now_ns: i64) -> anyhow::Result<()> {
        let mut shop = lock(&self.stage.shop);
        let lasting: Vec<u32> =
            shop.faults().iter().filter(|fault| fault.is_on(now_ns)).map(|fault| fault.id).collect();
        lasting.into_iter().for_each(|id| drop(shop.switch_off(id, now_ns)));
        drop(shop);
        herald.tell_faults(&self.stage, now_ns)?;
        if let Some(trouble) = self.trouble.take() {
            herald.tell(&format!("  the first trouble: {trouble}"));
        }
        Ok(())
    }
}

impl Stage {
    /// The shop. It is held only for moments.
    pub(crate) fn shop(&self) -> MutexGuard<'_, Simulator> {
        lock(&self.shop)
    }

    /// What time it is in the shop: behind the clock while it catches up.
    pub(crate) fn now_ns(&self) -> i64 {
        self.shop().next_ns().min(clock::now_ns())
    }

    /// How the run goes, as JSON.
    pub(crate) fn status(&self) -> Value {
        let counts = *lock(&self.counts);
        let now_ns = self.now_ns();
        let shop = self.shop();
        json!({
            "seed": self.seed,
            "start_ns": shop.start_ns().to_string(),
            "now_ns": now_ns.to_string(),
            "visits": shop.visits(),
            "sent": {"spans": counts.spans, "logs": counts.logs, "zipkin_spans": counts.zipkin_spans},
            "refused": counts.refused,
            "failed": counts.failed,
            "requests": counts.requests,
            "repeats": counts.repeats,
        })
    }
}

/// How the run goes, in a line.
pub(crate) fn in_words(stage: &Stage) -> String {
    let counts = *lock(&stage.counts);
    let now_ns = stage.now_ns();
    let shop = stage.shop();
    let seconds = (now_ns - shop.start_ns()).max(0) / 1_000_000_000;
    format!(
        "{:02}:{:02}:{:02}  {} visits; sent {} spans, {} logs, {} Zipkin spans; {} refused, {} failed",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        shop.visits(),
        counts.spans,
        counts.logs,
        counts.zipkin_spans,
        counts.refused,
        counts.failed
    )
}

// What is broken now, to be appended to a line; empty when nothing is.
fn broken(stage: &Stage) -> String {
    let now_ns = stage.now_ns();
    let shop = stage.shop();
    let on: Vec<String> = shop.faults().iter().filter(|fault| fault.is_on(now_ns)).map(ToString::to_string).collect();
    if on.is_empty() { String::new() } else { format!("; broken: {}", on.join(", ")) }
}

/// Takes a lock whatever its last holder did: what is in it stays whole between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

// Tells people and tests.
struct Herald {
    truth: Option<File>,
    // Standard output belongs to the truth.
    quiet: bool,
    begun: HashSet<u32>,
    ended: HashSet<u32>,
}

impl Herald {
    fn new(truth: Option<&PathBuf>) -> anyhow::Result<Herald> {
        let quiet = truth.is_some_and(|path| path.as_os_str() == "-");
        let file = match truth {
            Some(path) if !quiet => Some(File::create(path).with_context(|| format!("creating {}", path.display()))?),
            _ => None,
        };
        Ok(Herald { truth: file, quiet, begun: HashSet::new(), ended: HashSet::new() })
    }

    #[allow(clippy::print_stderr)] // People read there when the truth has standard output.
    fn tell(&self, line: &str) {
        if self.quiet { eprintln!("{line}") } else { say(line) }
    }

    // The begins and ends of faults up to a time.
    fn tell_faults(&mut self, stage: &Stage, until_ns: i64) -> anyhow::Result<()> {
        let mut lines = Vec::new();
        for fault in stage.shop().faults() {
            if fault.from_ns <= until_ns && self.begun.insert(fault.id) {
                lines.push((format!("broken: {fault}"), "begins", fault.truth()));
            }
            if self.begun.contains(&fault.id)
                && matches!(fault.ends, Ends::At(end_ns) if end_ns <= until_ns)
                && self.ended.insert(fault.id)
            {
                lines.push((format!("mended: {fault}"), "ends", fault.truth()));
            }
        }
        for (words, event, mut truth) in lines {
            self.tell(&words);
            truth["event"] = event.into();
            if self.quiet {
                say(&truth.to_string());
            }
            if let Some(file) = &mut self.truth {
                writeln!(file, "{truth}").context("writing the truth")?;
            }
        }
        Ok(())
    }
}

struct Waiting {
    due_ns: i64,
    number: u64,
    item: Item,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Waiting) -> bool {
        self.number == other.number
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Waiting) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Waiting) -> std::cmp::Ordering {
        (self.due_ns, self.number).cmp(&(other.due_ns, other.number))
    }
}

fn setup(args: &DemoArgs) -> anyhow::Result<Setup> {
    let grpc = args.protocol == Protocol::Grpc;
    let usual = if grpc { "http://127.0.0.1:4317" } else { "http://127.0.0.1:4318" };
    let mut headers = Vec::new();
    for header in &args.headers {
        let (name, value) =
            header.split_once(':').with_context(|| format!("--header takes `Name: value`, not `{header}`"))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    headers.extend(args.tenant.iter().map(|tenant| ("X-Scope-OrgID".to_owned(), tenant.clone())));
    Ok(Setup {
        otlp: args.endpoint.clone().unwrap_or_else(|| usual.to_owned()),
        grpc,
        zipkin: args.zipkin_endpoint.clone(),
        headers,
        patience: Duration::from_secs(args.patience),
    })
}

fn menu() -> String {
    let mut menu = String::new();
    for kind in Kind::ALL {
        let size = kind.default_size_text();
        let size = if size.is_empty() { size } else { format!("={size} ({})", kind.size_means()) };
        menu.push_str(&format!("{}:{}{size}\n    {}\n", kind.name(), kind.default_target(), kind.meaning()));
        menu.push_str(&format!("    targets: {}\n\n", kind.targets().join(", ")));
    }
    menu
}

fn ns(ms: f64) -> i64 {
    (ms * 1e6) as i64
}

fn length(text: &str) -> Result<f64, String> {
    demo::parse_length(text)
        .filter(|ms| *ms > 0.0)
        .ok_or_else(|| "a length of time is written 90s, 30m or 2h".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| *rate > 0.0 && *rate <= RATE_MAX);
    rate.ok_or_else(|| format!("a rate is a number above 0, at most {RATE_MAX}"))
}
