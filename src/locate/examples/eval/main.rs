//! eval
#![allow(clippy::print_stdout, clippy::expect_used)]
mod read;

use std::collections::BTreeMap;
use std::path::Path;

use correlate::evidence::{Minute, sample};
use locate::{Question, Weights, locate};
use model::evidence::{Evidence, Sample};
use read::Telemetry;

fn load(path: &Path, logs: bool) -> (Evidence, Sample) {
    let telemetry = Telemetry::read(path, logs);
    let mut minute = Minute::default();
    minute.add(&telemetry.names, &telemetry.spans, &telemetry.logs, &[]);
    (minute.finish(&telemetry.names), sample(&telemetry.names, &telemetry.spans, &telemetry.logs, &[]))
}

fn main() {
    let root = std::env::var("HYPOCENTER_DATA").expect("HYPOCENTER_DATA");
    let root = Path::new(&root).join("train-ticket");
    let cases: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(root.join("cases.json")).unwrap()).unwrap();
    let mut baselines = BTreeMap::new();
    let verbose = std::env::args().any(|a| a == "-v");
    let mut ranks = Vec::new();
    for case in cases.as_array().unwrap() {
        let text = |key: &str| case[key].as_str().unwrap();
        let baseline = baselines.entry(text("baseline").to_owned()).or_insert_with(|| load(&root.join(text("baseline")), true));
        let fault = load(&root.join(text("fault")), true);
        let ns = 60_000_000_000;
        let out = locate(&Question { fault: &fault.0, baseline: &baseline.0, fault_ns: ns, baseline_ns: ns, healthy: &[],
            samples: Some((&baseline.1, &fault.1)), service: None, limit: 10, weights: Weights::default() });
        let rank = out.suspects.iter().position(|s| s.service == text("root_service")).map_or(99, |r| r + 1);
        ranks.push(rank);
        println!("{} {} {} rank {rank}", text("id"), text("root_service"), text("fault_type"));
        if verbose || rank > 1 {
            println!("   {:?} {}", out.verdict, out.summary); for s in out.suspects.iter().take(rank.min(4).max(2)) { println!("   {:.2} {:.2} {} {}", s.score, s.confidence, s.service, s.parts.iter().map(|p| format!("{}={:.2}", p.name, p.score)).collect::<Vec<_>>().join(" ")); println!("      {}", s.summary); for e in s.evidence.iter().take(3) { println!("        {:.2} {:?} {} {} -> {}", e.score, e.kind, e.subject, e.baseline, e.fault); } if !s.not_runner_up.is_empty() {println!("      not: {}", s.not_runner_up);} println!("      victims {:?}", s.victims.iter().map(|v| v.path.join("<")).collect::<Vec<_>>()); println!("      {:?}", s.examples.failing.len()); }
        }
    }
    let ac = |k: usize| ranks.iter().filter(|r| **r <= k).count() as f64 / ranks.len() as f64 * 100.0;
    println!("AC@1 {:.1} AC@3 {:.1} AC@5 {:.1} Avg@5 {:.1}", ac(1), ac(3), ac(5), (1..=5).map(ac).sum::<f64>() / 5.0);
}
