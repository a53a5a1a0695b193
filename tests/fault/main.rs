//! The fault rig: starts the real program, lets an oracle of its own process send to it, hurts it in
//! every way listed in `SCENARIOS`, and compares the tables with what the oracle knows. One JSON line
//! per scenario, a table, and cargo's own last line.
//!
//! `cargo test --test fault -- [NAME…] [--only ID,ID] [--seed N] [--cycles N] [--full]`; the environment
//! variable `HYPOCENTER_FAULT=full` means `--full` (`make fault-test`), `HYPOCENTER_FAULT_PROGRAM` names
//! another program to test. `--set key=value` configures it. Ids are those of the reliability notes; from 49
//! on they are our own.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, unreachable_pub)]

mod backlog;
mod client;
mod crowds;
mod disks;
mod hostile;
mod item;
mod kills;
mod ledger;
mod mount;
mod oracle;
mod outage;
mod poison;
mod process;
mod proxy;
mod report;
mod rig;
mod shapes;
mod sql;
mod tables;
mod upgrade;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use process::Programs;
use report::{Report, Stop};
use rig::Rig;

type Outcome = Result<Report, Stop>;
type Run = for<'a> fn(&'a Rig) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

struct Scenario {
    id: u32,
    name: &'static str,
    run: Run,
}

macro_rules! scenarios {
    ($($id:literal $name:literal $run:path;)*) => {
        &[$(Scenario { id: $id, name: $name, run: |rig| Box::pin($run(rig)) }),*]
    };
}

const SCENARIOS: &[Scenario] = scenarios! {
    1 "kill_remote" kills::kill_remote;
    2 "kill_embedded" kills::kill_embedded;
    3 "crash_points" kills::crash_points;
    5 "cut_tail" backlog::cut_tail;
    6 "bit_flips" backlog::bit_flips;
    7 "damaged_segments" backlog::damaged_segments;
    8 "store_down" outage::store_down;
    9 "store_hangs" outage::store_hangs;
    10 "answers_lost" outage::answers_lost;
    13 "store_errors" outage::store_errors;
    14 "engine_killed" kills::engine_killed;
    15 "journal_disk_full" disks::journal_disk_full;
    16 "disk_errors" disks::disk_errors;
    17 "engine_disk_full" disks::engine_disk_full;
    18 "terminate" kills::terminate;
    19 "newer_journal" upgrade::newer_journal;
    20 "limits_changed" upgrade::limits_changed;
    21 "one_directory" kills::one_directory;
    31 "bombs" hostile::bombs;
    32 "broken_bodies" hostile::broken_bodies;
    33 "huge_trace" shapes::huge_trace;
    34 "huge_items" hostile::huge_items;
    35 "hostile_text" hostile::hostile_text;
    36 "nonsense_times" shapes::nonsense_times;
    37 "twisted_traces" shapes::twisted_traces;
    38 "resent" shapes::resent;
    39 "crowds" crowds::crowds;
    49 "poison_when_full" poison::poison_when_full;
    50 "poison_killed" poison::poison_killed;
    51 "refused_for_reasons" poison::refused_for_reasons;
    52 "kill_either" kills::kill_either;
};

/// What the short round runs: a few minutes. The others take longer or need their full length; they run by
/// name, by `--only` and in the full round.
const SHORT: &[u32] = &[1, 2, 3, 8, 9, 10, 14, 15, 16, 17, 18, 19, 20, 21, 31, 32, 33, 34, 35, 37, 38, 39, 49, 50];

#[derive(Debug, Default)]
struct Arguments {
    names: Vec<String>,
    only: Vec<u32>,
    seed: Option<u64>,
    cycles: Option<u64>,
    full: bool,
    list: bool,
    keep: bool,
    settings: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, dir, seed] = &words[..]
        && first == "oracle"
    {
        oracle::main(Path::new(dir), seed.parse().unwrap_or(0));
        return ExitCode::SUCCESS;
    }
    let arguments = match parse(&words) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("fault: {why}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        SCENARIOS.iter().for_each(|scenario| println!("{}: test", scenario.name));
        return ExitCode::SUCCESS;
    }
    let programs = match programs() {
        Ok(programs) => programs,
        Err(why) => {
            eprintln!("fault: {why}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        tokio::select! {
            code = run_all(&arguments, &programs) => code,
            // Dropping the scenario kills its processes and takes its mounts away.
            _ = tokio::signal::ctrl_c() => ExitCode::from(130),
        }
    })
}

fn parse(words: &[String]) -> Result<Arguments, String> {
    let mut arguments = Arguments { full: is_full(), ..Arguments::default() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        let number = |text: &String| text.parse::<u64>().map_err(|_| format!("{word} needs a number, not {text}"));
        match word.as_str() {
            "--only" => {
                for id in value()?.split(',') {
                    let id = number(&id.to_owned())? as u32;
                    if SCENARIOS.iter().all(|scenario| scenario.id != id) {
                        return Err(format!("there is no scenario {id}"));
                    }
                    arguments.only.push(id);
                }
            }
            "--seed" => arguments.seed = Some(number(value()?)?),
            "--cycles" => arguments.cycles = Some(number(value()?)?),
            "--set" => arguments.settings.push(value()?.clone()),
            "--full" => arguments.full = true,
            "--keep" => arguments.keep = true,
            "--list" => arguments.list = true,
            "--test-threads" | "--color" | "--format" => drop(value()?),
            // What cargo's own harness understands and this one has no use for.
            flag if flag.starts_with('-') => {}
            name => arguments.names.push(name.to_owned()),
        }
    }
    Ok(arguments)
}

fn is_full() -> bool {
    std::env::var_os("HYPOCENTER_FAULT").is_some_and(|value| value == "full")
}

/// The program under test, and the engine library where the program itself would find it.
fn programs() -> Result<Programs, String> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let hypocenter =
        named("HYPOCENTER_FAULT_PROGRAM").unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_hypocenter")));
    let cache = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache"))).unwrap_or_default();
    let library = engine::install::find(named("HYPOCENTER_ENGINE_LIB").as_deref(), &cache);
    Ok(Programs { hypocenter, library: library.map_err(|error| error.to_string())?, settings: Vec::new() })
}

async fn run_all(arguments: &Arguments, programs: &Programs) -> ExitCode {
    let wanted = |scenario: &&Scenario| {
        let short = !arguments.full && arguments.only.is_empty() && arguments.names.is_empty();
        let ids: &[u32] = if short { SHORT } else { &arguments.only };
        let by_id = ids.is_empty() || ids.contains(&scenario.id);
        by_id && (arguments.names.is_empty() || arguments.names.iter().any(|name| scenario.name.contains(&**name)))
    };
    let selected: Vec<&Scenario> = SCENARIOS.iter().filter(wanted).collect();
    let began = Instant::now();
    let (mut rows, mut passed, mut failed, mut not_run) = (Vec::new(), 0, 0, 0);
    println!("\nrunning {} fault scenarios ({})", selected.len(), if arguments.full { "full" } else { "shortened" });
    for scenario in &selected {
        let seed = arguments.seed.unwrap_or_else(|| 1000 + u64::from(scenario.id));
        let (outcome, wall) = run_one(scenario, arguments, programs, seed).await;
        let line = match outcome {
            Ok(report) => {
                if report.against.is_empty() {
                    passed += 1
                } else {
                    failed += 1
                }
                report.line(scenario.id, scenario.name, seed, wall)
            }
            Err(Stop::NotRun(why)) => {
                not_run += 1;
                let verdict = format!("not run: {why}");
                serde_json::json!({"id": scenario.id, "name": scenario.name, "seed": seed, "verdict": verdict})
            }
            Err(Stop::Failed(why)) => {
                failed += 1;
                let report = Report { against: vec![why], ..Report::default() };
                report.line(scenario.id, scenario.name, seed, wall)
            }
        };
        println!("{line}");
        rows.push(line);
    }
    table(&rows);
    let filtered = SCENARIOS.len() - selected.len();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    if not_run > 0 {
        println!("{not_run} not run (not counted as passed)");
    }
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {filtered} filtered out; \
         finished in {:.2}s\n",
        began.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run_one(scenario: &Scenario, arguments: &Arguments, programs: &Programs, seed: u64) -> (Outcome, Duration) {
    let began = Instant::now();
    let dir = tempfile::Builder::new().prefix("hypocenter-fault-").tempdir().expect("a directory");
    let programs = Programs { settings: arguments.settings.clone(), ..programs.clone() };
    let rig = Rig::new(programs, dir.path(), seed, arguments.full, arguments.cycles);
    let outcome = (scenario.run)(&rig).await;
    let good = outcome.as_ref().map_or_else(|stop| matches!(stop, Stop::NotRun(_)), |report| report.against.is_empty());
    if !good && arguments.keep {
        eprintln!("fault: scenario {} is kept in {}", scenario.id, dir.keep().display());
    }
    (outcome, began.elapsed())
}

fn table(rows: &[serde_json::Value]) {
    println!(
        "\n{:>3} {:<18} {:>8} {:>8} {:>8} {:>5} {:>4} {:>7} {:>8} {:>8} {:>5} {:>7} {:>6} verdict",
        "id",
        "name",
        "sent",
        "acked",
        "stored",
        "lost",
        "dup",
        "corrupt",
        "spurious",
        "live_ms",
        "MiB",
        "wall_s",
        "cycles"
    );
    let cell = |row: &serde_json::Value, name: &str| match &row[name] {
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for row in rows {
        let cell = |name| cell(row, name);
        println!(
            "{:>3} {:<18} {:>8} {:>8} {:>8} {:>5} {:>4} {:>7} {:>8} {:>8} {:>5} {:>7} {:>6} {}",
            cell("id"),
            cell("name"),
            cell("sent"),
            cell("acked"),
            cell("stored"),
            cell("lost"),
            cell("dup"),
            cell("corrupt"),
            cell("spurious"),
            cell("live_ms"),
            cell("rss_max_mib"),
            cell("wall_s"),
            cell("cycles"),
            cell("verdict")
        );
    }
}
