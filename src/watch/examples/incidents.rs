//! The faults of the demo under a watch: `cargo run --release -p hypocenter-watch --example incidents --
//! [--rates 5,20,50] [--seeds N] [--first N] [--quiet-only] [--pairs [--together]] [--all] [--no-waits] [-v] [FAULT]`. Tells for each how long it took
//! until an incident was noticed and announced, whom it names, how many messages there were, and when it closed.
#![allow(clippy::print_stdout)]

#[path = "../tests/kit/mod.rs"]
mod kit;

use kit::{Case, Run};
use watch::{NoticeKind, State};

const FROM_S: i64 = 543;
const UNTIL_S: i64 = FROM_S + 180;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let value =
        |flag: &str| arguments.iter().position(|argument| argument == flag).and_then(|at| arguments.get(at + 1));
    let rates: Vec<f64> =
        value("--rates").map_or("5,20,50", String::as_str).split(',').filter_map(|rate| rate.parse().ok()).collect();
    let number = |flag: &str| value(flag).and_then(|number| number.parse::<u64>().ok());
    let (first, seeds) = (number("--first").unwrap_or(1), number("--seeds").unwrap_or(1));
    let only = arguments.last().filter(|last| demo::Kind::ALL.iter().any(|kind| last.starts_with(kind.name())));
    let mut faults: Vec<String> = Vec::new();
    for kind in demo::Kind::ALL {
        match has("--all") {
            true => faults.extend(kind.targets().iter().map(|target| format!("{}:{target}", kind.name()))),
            false => faults.push(kind.name().to_owned()),
        }
    }
    match only {
        Some(only) if only.contains(':') => faults = vec![only.clone()],
        Some(only) => faults.retain(|fault| fault.starts_with(only.as_str())),
        None => {}
    }
    if has("--pairs") {
        return pairs(&rates, first..first + seeds, if has("--together") { 0 } else { 60 }, has("-v"));
    }
    let (mut good, mut all) = (0, 0);
    for &rate in &rates {
        for seed in first..first + seeds {
            if only.is_none() {
                quiet(rate, seed, has("-v"));
            }
            for fault in faults.iter().filter(|_| !has("--quiet-only")) {
                all += 1;
                let faults = vec![(fault.clone(), FROM_S, UNTIL_S)];
                let case = Case { rate, seed, length_s: UNTIL_S + 330, faults, no_waits: has("--no-waits") };
                good += u32::from(tell(&case, has("-v")));
            }
        }
    }
    println!("as it should be: {good} of {all}");
}

/// Two faults without a cause in common, the second a minute after the first or together with it.
const PAIRS: [(&str, &str); 6] = [
    ("exception", "latency:frontend->search"),
    ("slow-query", "swallowed:recommendations/GET /recommendations"),
    ("gone", "exception:search"),
    ("full-queue", "broken-propagation"),
    ("latency:frontend->search", "retry-storm"),
    ("bad-version:catalog", "swallowed"),
];

fn pairs(rates: &[f64], seeds: std::ops::Range<u64>, apart_s: i64, at_length: bool) {
    let (mut good, mut all) = (0, 0);
    for &rate in rates {
        for seed in seeds.clone() {
            for (first, second) in PAIRS {
                let faults =
                    vec![(first.to_owned(), FROM_S, UNTIL_S), (second.to_owned(), FROM_S + apart_s, UNTIL_S + apart_s)];
                let run = Run::whole(&Case { rate, seed, length_s: UNTIL_S + 390, faults, ..Case::default() });
                let guilty: Vec<&str> = run.truths.iter().filter_map(|truth| truth["service"].as_str()).collect();
                let opened = run.told.iter().filter(|(_, notice)| notice.kind == NoticeKind::Opened);
                let named: Vec<(i64, &str)> =
                    opened.map(|(at, notice)| (at - FROM_S, notice.suspect.as_str())).collect();
                let names: Vec<&str> = named.iter().map(|(_, name)| *name).collect();
                let right = names.len() == guilty.len() && guilty.iter().all(|guilty| names.contains(guilty));
                (good, all) = (good + u32::from(right), all + 1);
                let mark = if right { "ok " } else { "BAD" };
                println!("{mark} {first} and {second}, {rate}/s, seed {seed}: guilty {guilty:?}, told {named:?}");
                if at_length || !right {
                    dump(&run);
                }
            }
        }
    }
    println!("as it should be: {good} of {all}");
}

fn quiet(rate: f64, seed: u64, at_length: bool) {
    let run = Run::whole(&Case { rate, seed, length_s: 40 * 60, ..Case::default() });
    let told: Vec<&str> = run.told.iter().map(|(_, notice)| notice.title.as_str()).collect();
    println!(
        "no fault, {rate}/s, seed {seed}: {} messages {told:?}, {} asked and dropped; {} subjects, {:?} in the watch",
        told.len(),
        run.watch.incidents().filter(|incident| incident.state == State::Dropped).count(),
        run.watch.subjects(),
        run.spent
    );
    if at_length {
        dump(&run);
    }
}

fn tell(case: &Case, at_length: bool) -> bool {
    let run = Run::whole(case);
    let truth = &run.truths[0];
    let guilty = truth["service"].as_str();
    let noticed = run.noticed.values().min().map(|at| at - FROM_S);
    let of_kind = |kind: NoticeKind| run.told.iter().filter(move |(_, notice)| notice.kind == kind);
    let opened = of_kind(NoticeKind::Opened).next();
    let closed = of_kind(NoticeKind::Closed).next_back();
    let counts = (of_kind(NoticeKind::Opened).count(), of_kind(NoticeKind::Updated).count());
    let suspect = opened.map_or("-", |(_, notice)| &notice.suspect);
    let after = opened.map(|(at, _)| at - FROM_S);
    let over = closed.map(|(at, _)| at - UNTIL_S);
    let right = guilty.is_none_or(|guilty| guilty == suspect);
    let good = counts == (1, 0)
        && after.is_some_and(|after| (0..=60).contains(&after))
        && right
        && over.is_some_and(|over| (0..=300).contains(&over));
    println!(
        "{} {}, {}/s, seed {}: noticed {noticed:?} opened {after:?} s, suspect {suspect}{}, opened/updated {counts:?}, closed {over:?} s after the end, acted {}",
        if good { "ok " } else { "BAD" },
        case.faults[0].0,
        case.rate,
        case.seed,
        if right { String::new() } else { format!(" (guilty {guilty:?})") },
        truth["acted"],
    );
    if at_length || !good {
        dump(&run);
    }
    good
}

fn dump(run: &Run) {
    for (at, notice) in &run.told {
        println!("    {at} {} {}\n        {}", notice.id, notice.title, notice.text.replace('\n', "\n        "));
    }
    for incident in run.watch.incidents() {
        let at = |ns: i64| (ns - kit::START_NS) / kit::SECOND_NS;
        println!(
            "    {} {:?} into {:?} onset {} noticed {} last {} origins {:?}",
            incident.id,
            incident.state,
            incident.merged_into,
            at(incident.onset_ns),
            at(incident.noticed_ns),
            at(incident.last_ns),
            incident.origins
        );
        for symptom in incident.worst(8) {
            println!(
                "        {:.1} since {} {:?} {}",
                symptom.strength,
                at(symptom.since_ns),
                symptom.signal,
                symptom.text
            );
        }
    }
    for (at, id, answer) in run.answers.iter().take(8) {
        let suspects: Vec<String> =
            answer.suspects.iter().take(3).map(|of| format!("{} {:.2}", of.service, of.score)).collect();
        println!("    answer {at} {id} {:?} {suspects:?}", answer.verdict);
    }
}
