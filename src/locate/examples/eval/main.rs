//! Fault localization on the TrainTicket cases: `HYPOCENTER_DATA=… cargo run --release -p hypocenter-locate
//! --example eval -- [-v]`. Prints AC@1/3/5 and Avg@5 (strict: distinct services, absent is a miss), seconds per
//! case, whether the evidence names the labelled place, the rate of false leads on minutes without a visible
//! fault, and what cross-validated weights would score. Reads files directly; ranking is the library's alone.
#![allow(clippy::print_stdout)]

mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use correlate::evidence::{Minute, sample};
use locate::{EvidenceKind, Question, Report, Suspect, Verdict, Weights, locate};
use model::evidence::{Evidence, Sample};
use read::Telemetry;

const MINUTE_NS: i64 = 60_000_000_000;
const WEIGHT_SETS: usize = 40;

struct Case {
    id: String,
    root: String,
    fault_type: String,
    inner: String,
    baseline: String,
    fault: Window,
}

struct Window {
    rows: Evidence,
    traces: Sample,
}

fn main() {
    let Some(root) = std::env::var_os("HYPOCENTER_DATA") else {
        println!("HYPOCENTER_DATA is not set: it names the folder that holds train-ticket/");
        return;
    };
    let root = PathBuf::from(root).join("train-ticket");
    let verbose = std::env::args().any(|argument| argument == "-v");
    let (cases, baselines) = load(&root);
    let started = Instant::now();
    let reports: Vec<Report> = cases.iter().map(|case| ask(&baselines, case, &[], Weights::default())).collect();
    let seconds = started.elapsed().as_secs_f64() / cases.len() as f64;
    let ranks: Vec<usize> = cases.iter().zip(&reports).map(|(case, report)| rank(report, &case.root)).collect();
    for ((case, report), rank) in cases.iter().zip(&reports).zip(&ranks) {
        if *rank > 1 || verbose {
            tell(case, report, *rank, verbose);
        }
    }
    println!("all {} cases: {}, {seconds:.3} s per case", cases.len(), figures(&ranks));
    let mut types: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    cases.iter().zip(&ranks).for_each(|(case, rank)| types.entry(&case.fault_type).or_default().push(*rank));
    types.iter().for_each(|(fault_type, ranks)| println!("  {fault_type} ({}): {}", ranks.len(), figures(ranks)));
    let named = cases.iter().zip(&reports).filter(|(case, report)| names_place(case, report)).count();
    let localised = reports.iter().filter(|report| report.verdict == Verdict::Localised).count();
    println!("evidence names the labelled place: {named} of {}; verdict localised: {localised}", cases.len());
    background(&root, &cases, &baselines);
    cross_validate(&cases, &baselines);
}

fn load(root: &Path) -> (Vec<Case>, BTreeMap<String, Window>) {
    let text = std::fs::read_to_string(root.join("cases.json")).expect("cases.json");
    let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut baselines = BTreeMap::new();
    let mut cases = Vec::new();
    for case in list.as_array().expect("a list") {
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        baselines.entry(text("baseline")).or_insert_with(|| window(&root.join(text("baseline")), true));
        cases.push(Case {
            id: text("id"),
            root: text("root_service"),
            fault_type: text("fault_type"),
            inner: text("inner"),
            baseline: text("baseline"),
            fault: window(&root.join(text("fault")), true),
        });
    }
    (cases, baselines)
}

fn window(prefix: &Path, with_logs: bool) -> Window {
    let Telemetry { names, spans, logs } = Telemetry::read(prefix, with_logs);
    let mut minute = Minute::default();
    minute.add(&names, &spans, &logs, &[]);
    Window { rows: minute.finish(&names), traces: sample(&names, &spans, &logs, &[]) }
}

fn ask(baselines: &BTreeMap<String, Window>, case: &Case, healthy: &[Evidence], weights: Weights) -> Report {
    question(&baselines[&case.baseline], &case.fault, healthy, weights)
}

fn question(baseline: &Window, fault: &Window, healthy: &[Evidence], weights: Weights) -> Report {
    locate(&Question {
        fault: &fault.rows,
        baseline: &baseline.rows,
        fault_ns: MINUTE_NS,
        baseline_ns: MINUTE_NS,
        healthy,
        samples: Some((&baseline.traces, &fault.traces)),
        service: None,
        limit: 10,
        weights,
    })
}

fn rank(report: &Report, root: &str) -> usize {
    report.suspects.iter().position(|suspect| suspect.service == root).map_or(usize::MAX, |place| place + 1)
}

fn figures(ranks: &[usize]) -> String {
    let at = |k: usize| 100.0 * ranks.iter().filter(|rank| **rank <= k).count() as f64 / ranks.len().max(1) as f64;
    let average = (1..=5).map(at).sum::<f64>() / 5.0;
    format!("AC@1 {:.1}, AC@3 {:.1}, AC@5 {:.1}, Avg@5 {average:.1}", at(1), at(3), at(5))
}

// Whether the first three pieces of evidence against the labelled service name the label's log location, or for
// resources the edge or the work that is slow.
fn names_place(case: &Case, report: &Report) -> bool {
    let Some(suspect) = report.suspects.iter().find(|suspect| suspect.service == case.root) else { return false };
    let first = || suspect.evidence.iter().filter(|item| item.kind != EvidenceKind::Excess).take(3);
    match case.fault_type.as_str() {
        "network_delay" => first().any(|item| item.kind == EvidenceKind::EdgeGap && item.subject.contains(&case.root)),
        "cpu_contention" => first().any(|item| matches!(item.kind, EvidenceKind::EdgeGap | EvidenceKind::OwnTime)),
        _ => case.inner.split('_').any(|place| {
            let place = place.trim_end_matches(" start");
            first().any(|item| {
                item.place.location.contains(place) || item.subject.contains(place) || item.text.contains(place)
            })
        }),
    }
}

fn tell(case: &Case, report: &Report, rank: usize, verbose: bool) {
    let place = if names_place(case, report) { "" } else { ", evidence elsewhere" };
    println!("{} {} {}: rank {rank}{place}, {}", case.id, case.root, case.fault_type, report.verdict.code());
    if verbose {
        println!("  {}", report.summary);
    }
    report.suspects.iter().take(if verbose { 2 } else { 3 }).for_each(|suspect| tell_suspect(suspect, verbose));
}

fn tell_suspect(suspect: &Suspect, verbose: bool) {
    let parts: Vec<String> = suspect.parts.iter().map(|part| format!("{} {:.2}", part.name, part.score)).collect();
    println!("    {:.2} sure {:.2} {}: {}", suspect.score, suspect.confidence, suspect.service, parts.join(", "));
    println!("        {}", suspect.summary);
    if verbose {
        suspect
            .evidence
            .iter()
            .take(4)
            .for_each(|item| println!("        {:.2} {}: {}", item.score, item.kind.code(), item.text));
        suspect
            .victims
            .iter()
            .for_each(|victim| println!("        victim {}: {}", victim.path.join(" > "), victim.text));
        println!("        {}", suspect.not_runner_up);
    }
}

// Minutes without a visible fault, traces only, each against the baseline of its day; and the cases of that day
// standardised against these minutes.
fn background(root: &Path, cases: &[Case], baselines: &BTreeMap<String, Window>) {
    let folder = std::fs::read_dir(root.join("background")).expect("background");
    let mut prefixes: Vec<PathBuf> = folder
        .filter_map(|entry| Some(entry.ok()?.path().to_str()?.strip_suffix(".traces.jsonl.gz")?.into()))
        .collect();
    prefixes.sort();
    let mut minutes: Vec<Window> = prefixes.iter().map(|prefix| window(prefix, false)).collect();
    let day = "baseline/2023-01-30_11_39";
    let baseline = window(&root.join(day), false);
    let count =
        |reports: &[Report], verdict: Verdict| reports.iter().filter(|report| report.verdict == verdict).count();
    let alone: Vec<Report> =
        minutes.iter().map(|minute| question(&baseline, minute, &[], Weights::default())).collect();
    let mut standardised = Vec::new();
    for place in 0..minutes.len() {
        let own = minutes.remove(place);
        let others: Vec<Evidence> = minutes.iter().map(|minute| minute.rows.clone()).collect();
        standardised.push(question(&baseline, &own, &others, Weights::default()));
        minutes.insert(place, own);
    }
    for (how, reports) in [("alone", &alone), ("against the other minutes", &standardised)] {
        println!(
            "background, {how}: {} false leads, {} unclear, {} no fault, of {}",
            count(reports, Verdict::Localised),
            count(reports, Verdict::Unclear),
            count(reports, Verdict::NoFault),
            reports.len()
        );
    }
    let healthy: Vec<Evidence> = minutes.into_iter().map(|minute| minute.rows).collect();
    let same_day = || cases.iter().filter(|case| case.baseline == day);
    let reports: Vec<Report> = same_day().map(|case| ask(baselines, case, &healthy, Weights::default())).collect();
    let ranks: Vec<usize> = same_day().zip(&reports).map(|(case, report)| rank(report, &case.root)).collect();
    println!(
        "cases of that day, standardised: {}, {} localised of {}",
        figures(&ranks),
        count(&reports, Verdict::Localised),
        ranks.len()
    );
}

// Weights are chosen on the other groups and scored on their own; a group is a service and a fault type.
fn cross_validate(cases: &[Case], baselines: &BTreeMap<String, Window>) {
    let mut dice = 7u64;
    let mut sets = vec![Weights::default()];
    while sets.len() < WEIGHT_SETS {
        let mut vary = |weight: &mut f64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // From a third to three times as much.
            *weight *= 3f64.powf((dice >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0);
        };
        let mut set = Weights::default();
        [&mut set.gap, &mut set.own_time, &mut set.excess, &mut set.steps].into_iter().for_each(&mut vary);
        sets.push(set);
    }
    let ranks: Vec<Vec<usize>> = sets
        .iter()
        .map(|set| cases.iter().map(|case| rank(&ask(baselines, case, &[], *set), &case.root)).collect())
        .collect();
    let at_1 = |ranks: &[usize], own: &dyn Fn(usize) -> bool| {
        let hits = ranks.iter().enumerate().filter(|(case, rank)| own(*case) && **rank == 1);
        hits.count() as f64
    };
    let mut all: Vec<f64> = ranks.iter().map(|ranks| 100.0 * at_1(ranks, &|_| true) / cases.len() as f64).collect();
    all.sort_by(f64::total_cmp);
    let threes = ranks.iter().map(|ranks| ranks.iter().filter(|rank| **rank <= 3).count());
    println!(
        "{} random sets of weights (a third to three times): AC@1 lowest {:.1}, quartiles {:.1} / {:.1} / {:.1}; AC@3 lowest {:.1}",
        sets.len(),
        all[0],
        all[all.len() / 4],
        all[all.len() / 2],
        all[all.len() * 3 / 4],
        100.0 * threes.min().unwrap_or_default() as f64 / cases.len() as f64,
    );
    let group = |case: &Case| (case.root.clone(), case.fault_type.clone());
    let mut groups: Vec<_> = cases.iter().map(group).collect();
    groups.sort();
    groups.dedup();
    let (mut hits, mut shares) = (0.0, Vec::new());
    for held_out in &groups {
        let inside = |case: usize| group(&cases[case]) == *held_out;
        let outside = |case: usize| !inside(case);
        // The first of equals: the default comes first.
        let best = (0..sets.len()).max_by(|a, b| {
            let (a_hits, b_hits) = (at_1(&ranks[*a], &outside), at_1(&ranks[*b], &outside));
            a_hits.total_cmp(&b_hits).then(b.cmp(a))
        });
        let size = (0..cases.len()).filter(|case| inside(*case)).count() as f64;
        let own = at_1(&ranks[best.unwrap_or_default()], &inside);
        hits += own;
        shares.push(100.0 * own / size);
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let spread = (shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / shares.len() as f64).sqrt();
    println!(
        "cross-validated over {} groups (service, fault type): AC@1 {:.1}; per group mean {mean:.1}, spread {spread:.1}",
        groups.len(),
        100.0 * hits / cases.len() as f64
    );
}
