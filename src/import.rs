//! `hypocenter import`: sends files to a running server: OTLP JSON lines, Zipkin JSON as it is,
//! Jaeger JSON as OTLP. Files are read in pieces, so that their size does not matter; what the server
//! refuses is counted, and nothing is skipped in silence. Spec: api.md, commands.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::import_formats::{self as formats, Cargo, Format};
use crate::import_items::{Items, Step};
use crate::import_post::{Load, Post, Tally};

/// Arguments of `hypocenter import`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Where OTLP goes (and Jaeger files, converted)
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4318")]
    pub(crate) endpoint: String,
    /// Where Zipkin files go
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9411")]
    pub(crate) zipkin_endpoint: String,
    /// Move all times of all files by one distance, so that the latest event becomes now
    #[arg(long)]
    pub(crate) shift_to_now: bool,
    /// Most spans, records or points in one request
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch: u64,
    /// Header for every request, such as an authorization; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// Seconds to wait for a server that is away or overloaded
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) patience: u64,
    /// Files, plain or gzip; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// Bytes of items that make a request full.
const LOAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of the largest item; servers refuse larger requests anyway.
const ITEM_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a file that tell its format.
const HEAD_BYTES: usize = 1024 * 1024;
const SENDERS: usize = 4;

/// Sends the files and prints what became of them. The exit code is a failure when anything was
/// refused or a file could not be read to its end; the others are sent all the same.
///
/// # Errors
/// When a file cannot be opened or the server cannot be reached; what was sent before stays, and is printed.
pub(crate) fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let headers = args.headers.iter().map(|header| {
        let (name, value) =
            header.split_once(':').with_context(|| format!("--header takes `Name: value`, not `{header}`"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    });
    let headers = headers.collect::<anyhow::Result<_>>()?;
    let post = Post::new(&args.endpoint, &args.zipkin_endpoint, headers, Duration::from_secs(args.patience));
    let mut sources =
        args.files.iter().map(|path| Source::open(path, args.shift_to_now)).collect::<Result<Vec<_>, _>>()?;
    let passes = if args.shift_to_now { 2 } else { 1 };
    let progress = progress(sources.iter().map(|source| source.bytes).sum::<u64>() * passes);
    let shift_ns = if args.shift_to_now { distance_to_now(&mut sources, &progress) } else { 0 };
    let mut tallies = Vec::new();
    let mut posted = Ok(());
    for source in &mut sources {
        progress.set_message(source.name.clone());
        let sent = send(source, &post, shift_ns, args.batch, &progress);
        tallies.push((source.name.clone(), sent.format, sent.tally));
        posted = sent.posted.with_context(|| format!("importing {}", source.name));
        if posted.is_err() {
            break;
        }
    }
    progress.finish_and_clear();
    report(&tallies).context("printing the result")?;
    posted?;
    let whole = tallies.iter().all(|(_, _, tally)| tally.refused == 0 && tally.broken_off.is_none());
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

// A file that can be read from its beginning as often as needed.
struct Source {
    name: String,
    file: Input,
    bytes: u64,
}

enum Input {
    File(File),
    Stdin,
}

impl Source {
    fn open(path: &PathBuf, twice: bool) -> anyhow::Result<Source> {
        if path.as_os_str() == "-" {
            let file = if twice { Input::File(spooled()?) } else { Input::Stdin };
            return Ok(Source { name: "standard input".into(), file, bytes: 0 });
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        let about = file.metadata().with_context(|| format!("opening {name}"))?;
        anyhow::ensure!(!about.is_dir(), "{name} is a directory; name the files in it");
        Ok(Source { name, file: Input::File(file), bytes: about.len() })
    }

    // The plain content from the beginning.
    fn read(&mut self, progress: &ProgressBar) -> io::Result<Box<dyn BufRead + '_>> {
        let raw: Box<dyn Read + '_> = match &mut self.file {
            Input::File(file) => {
                file.rewind()?;
                Box::new(file)
            }
            Input::Stdin => Box::new(io::stdin()),
        };
        let mut raw = BufReader::with_capacity(256 * 1024, progress.wrap_read(raw));
        if raw.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
            return Ok(Box::new(BufReader::with_capacity(256 * 1024, MultiGzDecoder::new(raw))));
        }
        Ok(Box::new(raw))
    }

    // The items of the file, once its beginning has told what they are; `None` for an empty one.
    fn items(&mut self, progress: &ProgressBar) -> anyhow::Result<Option<(Format, Items<impl BufRead + '_>)>> {
        let name = self.name.clone();
        let mut rest = self.read(progress).with_context(|| format!("reading {name}"))?;
        let mut head = Vec::new();
        // `read_to_end` keeps what came before an error; the items of it are good.
        let broken = (&mut rest).take(HEAD_BYTES as u64).read_to_end(&mut head).err();
        if head.iter().all(u8::is_ascii_whitespace) && head.len() < HEAD_BYTES {
            return broken.map_or(Ok(None), |error| Err(error).with_context(|| format!("reading {name}")));
        }
        let (format, shape, lines) = formats::detect(&head)
            .with_context(|| format!("{name} is neither OTLP JSON, Zipkin JSON nor Jaeger JSON"))?;
        Ok(Some((
            format,
            Items::new(Cursor::new(head).chain(Broken(broken)).chain(rest), shape, lines, ITEM_BYTES_MAX),
        )))
    }
}

// Nothing to read, but the error that was met on the way.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

impl BufRead for Broken {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.take().map_or(Ok(&[]), Err)
    }

    fn consume(&mut self, _: usize) {}
}

// Standard input as a file that goes away with the process.
fn spooled() -> anyhow::Result<File> {
    let path = std::env::temp_dir().join(format!("hypocenter-import-{}-{}", std::process::id(), now_ns()));
    let mut file =
        File::options().read(true).write(true).create_new(true).open(&path).context("keeping standard input")?;
    let removed = std::fs::remove_file(&path);
    io::copy(&mut io::stdin(), &mut file).context("keeping standard input")?;
    removed.context("keeping standard input")?;
    Ok(file)
}

// How far all times are to be moved, in nanoseconds: a whole number of microseconds, so that
// Zipkin's times keep their distance to all others.
fn distance_to_now(sources: &mut [Source], progress: &ProgressBar) -> i64 {
    let (mut event, mut observed) = (0, 0);
    for source in sources {
        progress.set_message(format!("times of {}", source.name));
        let read = each_item(source, progress, &mut |step| {
            if let Parsed::Item(cargo, item, _) = step {
                let latest = formats::latest_ns(cargo, item);
                event = event.max(latest.0);
                observed = observed.max(latest.1);
            }
            Ok(())
        });
        // A file that breaks off is told when it is sent; its times until there count.
        drop(read);
    }
    let latest = if event > 0 { event } else { observed };
    let distance = now_ns() as i64 - latest as i64;
    if latest == 0 { 0 } else { distance - distance % 1000 }
}

// A counted item, or items that cannot be read.
enum Parsed<'i> {
    Item(Cargo, &'i mut Vec<u8>, u64),
    Refused(u64, String),
}

// Reads the file, converting what needs conversion.
fn each_item(
    source: &mut Source,
    progress: &ProgressBar,
    visit: &mut dyn FnMut(Parsed<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Option<Format>> {
    let name = source.name.clone();
    let Some((format, mut items)) = source.items(progress)? else { return Ok(None) };
    let mut item = Vec::new();
    loop {
        let key = match items.next(&mut item).with_context(|| format!("reading {name}"))? {
            Step::End => return Ok(Some(format)),
            Step::Broken(at, why) => {
                visit(Parsed::Refused(1, format!("at byte {at}: {why}")))?;
                continue;
            }
            Step::Item(key) => key,
        };
        match format {
            Format::Otlp => counted(Cargo::of_key(key), &mut item, visit)?,
            Format::Zipkin => counted(formats::zipkin_version(&item), &mut item, visit)?,
            Format::Jaeger => match wire::jaeger::to_resource_spans(&item) {
                Ok(converted) => {
                    if converted.refused > 0 {
                        visit(Parsed::Refused(converted.refused, "a span has no usable trace or span id".into()))?;
                    }
                    for resource_spans in converted.resource_spans {
                        counted(Cargo::Traces, &mut resource_spans.into_bytes(), visit)?;
                    }
                }
                Err(reason) => visit(Parsed::Refused(1, reason))?,
            },
        }
    }
}

fn counted(
    cargo: Cargo,
    item: &mut Vec<u8>,
    visit: &mut dyn FnMut(Parsed<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    match formats::count(cargo, item) {
        Ok(count) => visit(Parsed::Item(cargo, item, count)),
        Err(error) => visit(Parsed::Refused(1, format!("an item is not what it should be: {error}"))),
    }
}

// What became of one file.
struct Sent {
    // `None` for a file without items.
    format: Option<Format>,
    tally: Tally,
    // Whether the server took part; without it, going on makes no sense.
    posted: anyhow::Result<()>,
}

// Sends one file: one thread reads and groups, some post.
fn send(source: &mut Source, post: &Post, shift_ns: i64, batch: u64, progress: &ProgressBar) -> Sent {
    let tally = Mutex::new(Tally::default());
    let mut read = Tally::default();
    let (sender, receiver) = mpsc::sync_channel(SENDERS);
    let receiver = Mutex::new(receiver);
    let (grouped, posted) = thread::scope(|scope| {
        let posters: Vec<_> = (0..SENDERS).map(|_| scope.spawn(|| post_all(post, &receiver, &tally))).collect();
        let grouped = group(source, &sender, &mut read, shift_ns, batch, post, progress);
        drop(sender);
        // All are waited for, the first trouble is told.
        let mut posted = Ok(());
        for poster in posters {
            posted = posted.and(poster.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        (grouped, posted)
    });
    let mut tally = tally.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    tally.add(&read);
    read.reasons.into_iter().for_each(|reason| tally.refuse(0, reason));
    let format = match grouped {
        Ok(format) => format,
        Err(error) => {
            tally.broken_off = posted.is_ok().then(|| format!("{error:#}"));
            None
        }
    };
    Sent { format, tally, posted }
}

// Groups items into loads of their kind and hands them on; also those before the place where a file breaks off.
fn group(
    source: &mut Source,
    sender: &SyncSender<Load>,
    read: &mut Tally,
    shift_ns: i64,
    batch: u64,
    post: &Post,
    progress: &ProgressBar,
) -> anyhow::Result<Option<Format>> {
    let mut loads: Vec<Load> = Vec::new();
    // A channel that nobody reads any more means that posting has failed; that error is told.
    let hand_on = |load: Load| drop(sender.send(load));
    let outcome = each_item(source, progress, &mut |step| {
        anyhow::ensure!(!post.given_up.load(Ordering::Relaxed), "posting has failed");
        let (cargo, item, count) = match step {
            Parsed::Item(cargo, item, count) => (cargo, item, count),
            Parsed::Refused(count, reason) => {
                read.refuse(count, reason);
                return Ok(());
            }
        };
        if shift_ns != 0 {
            formats::shift(cargo, item, shift_ns);
        }
        read.read(cargo, count);
        let at = loads.iter().position(|load| load.cargo == cargo).unwrap_or_else(|| {
            loads.push(Load::new(cargo));
            loads.len() - 1
        });
        let load = &mut loads[at];
        let full = load.bytes() + item.len() > LOAD_BYTES_MAX || load.count() + count > batch;
        if full && !load.is_empty() {
            hand_on(std::mem::replace(load, Load::new(cargo)));
        }
        load.push(item, count);
        Ok(())
    });
    loads.into_iter().filter(|load| !load.is_empty()).for_each(hand_on);
    outcome
}

fn post_all(post: &Post, receiver: &Mutex<Receiver<Load>>, tally: &Mutex<Tally>) -> anyhow::Result<()> {
    loop {
        let load = receiver.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv();
        let Ok(load) = load else { return Ok(()) };
        if post.given_up.load(Ordering::Relaxed) {
            continue;
        }
        let delivered = post.deliver(&load, tally);
        if delivered.is_err() {
            post.given_up.store(true, Ordering::Relaxed);
            // The others and the reader are let go, lest they wait for a free place for ever.
            while receiver.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv().is_ok() {}
            return delivered;
        }
    }
}

fn progress(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn report(tallies: &[(String, Option<Format>, Tally)]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut total = Tally::default();
    writeln!(
        out,
        "{:>9} {:>10} {:>10} {:>10} {:>10} {:>10}  file",
        "requests", "spans", "logs", "points", "accepted", "refused"
    )?;
    let mut line = |tally: &Tally, name: &str| {
        writeln!(
            out,
            "{:>9} {:>10} {:>10} {:>10} {:>10} {:>10}  {name}",
            tally.requests, tally.spans, tally.logs, tally.points, tally.accepted, tally.refused
        )
    };
    for (name, format, tally) in tallies {
        let format =
            if tally.broken_off.is_some() { "not read to its end" } else { format.map_or("empty", Format::name) };
        line(tally, &format!("{name} ({format})"))?;
        total.add(tally);
    }
    line(&total, "total")?;
    for (name, _, tally) in tallies {
        for reason in &tally.reasons {
            writeln!(out, "refused in {name}: {reason}")?;
        }
        if let Some(reason) = &tally.broken_off {
            writeln!(out, "not read to its end: {reason}")?;
        }
    }
    Ok(())
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
