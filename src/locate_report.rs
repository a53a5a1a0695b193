//! `hypocenter locate`: asks a running server who is guilty and prints a report that a terminal can hold.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::ask_server::ServerArgs;
use crate::cli::say;

/// Rows of evidence for the first suspect, and for the others.
const EVIDENCE: (usize, usize) = (5, 2);

/// Arguments of `hypocenter locate`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LocateArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Something has been wrong for so long
    #[arg(long, value_name = "LENGTH", default_value = "15m", conflicts_with = "from")]
    since: String,
    /// Something was wrong from then on: RFC 3339, epoch, or now-30m
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until then
    #[arg(long, value_name = "TIME", default_value = "now")]
    to: String,
    /// When nothing was wrong [default: usual minutes near the fault]
    #[arg(long, value_name = "FROM..TO")]
    baseline: Option<String>,
    /// Only what this service depends on
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// At most so many suspects
    #[arg(long, value_name = "N", default_value_t = 5)]
    limit: usize,
    /// Print the answer as it came
    #[arg(long)]
    json: bool,
}

/// Asks and prints. Succeeds when there is an answer, whatever it says.
pub(crate) fn run(args: &LocateArgs) -> anyhow::Result<ExitCode> {
    let text = ask(args)?;
    if args.json {
        say(text.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let answer: Value = serde_json::from_str(&text).context("the server's answer is not JSON")?;
    say(report(&answer).trim_end());
    Ok(ExitCode::SUCCESS)
}

fn ask(args: &LocateArgs) -> anyhow::Result<String> {
    let from = args.from.clone().unwrap_or_else(|| format!("now-{}", args.since));
    let mut body = json!({"fault": {"from": from, "to": args.to}, "limit": args.limit});
    if let Some(baseline) = &args.baseline {
        let (from, to) = baseline.split_once("..").context("--baseline takes FROM..TO, such as now-2h..now-1h")?;
        body["baseline"] = json!({"from": from, "to": to});
    }
    if let Some(service) = &args.service {
        body["service"] = json!(service);
    }
    args.server.ask("suspects", Some(&body))
}

fn report(answer: &Value) -> String {
    let mut out = String::new();
    let line = |out: &mut String, text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(&mut out, text(&answer["summary"]));
    let window = |value: &Value| format!("{} to {}", time(&value["from_ns"]), time(&value["to_ns"]));
    let chosen = if answer["baseline"]["chosen"] == true { " (chosen)" } else { "" };
    line(&mut out, &format!("Fault     {}, {} spans", window(&answer["fault"]), answer["fault"]["spans"]));
    line(
        &mut out,
        &format!("Baseline  {}, {} spans{chosen}", window(&answer["baseline"]), answer["baseline"]["spans"]),
    );
    if let Some(reason) = answer["partial_reason"].as_str() {
        line(&mut out, &format!("Partial: {reason}."));
    }
    for (rank, suspect) in list(&answer["suspects"]).iter().enumerate() {
        let percent = (suspect["confidence"].as_f64().unwrap_or(0.0) * 100.0).round();
        line(&mut out, "");
        line(
            &mut out,
            &format!(
                "{}. {}   score {}, confidence {percent} %",
                rank + 1,
                text(&suspect["service"]),
                suspect["score"]
            ),
        );
        line(&mut out, &format!("   {}", text(&suspect["summary"])));
        let place: Vec<String> = ["operation", "location", "edge", "instance", "version"]
            .iter()
            .filter_map(|key| Some(format!("{key} {}", suspect["where"][*key].as_str()?)))
            .collect();
        if !place.is_empty() {
            line(&mut out, &format!("   Where: {}", place.join(", ")));
        }
        let rows = if rank == 0 { EVIDENCE.0 } else { EVIDENCE.1 };
        for item in list(&suspect["evidence"]).iter().take(rows) {
            line(&mut out, &format!("   - {}", text(&item["text"])));
        }
        if rank == 0 {
            for (title, key) in [("Failing", "failing"), ("Good", "good")] {
                let ids: Vec<&str> = list(&suspect["examples"][key]).iter().map(text).collect();
                if !ids.is_empty() {
                    line(&mut out, &format!("   {title} traces: {}", ids.join(" ")));
                }
            }
            for victim in list(&suspect["victims"]) {
                line(&mut out, &format!("   Suffers: {}", text(&victim["text"])));
            }
            if let Some(why) = suspect["not_runner_up"].as_str() {
                line(&mut out, &format!("   {why}"));
            }
        }
    }
    for notice in list(&answer["notices"]) {
        let _ = writeln!(out, "\nNote: {}", text(&notice["text"]));
    }
    out
}

// What other machines' terminals would do with control characters is not for telemetry to decide.
pub(crate) fn text(value: &Value) -> &str {
    let text = value.as_str().unwrap_or_default();
    if text.chars().any(char::is_control) { "(text with control characters; see --json)" } else { text }
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn time(ns: &Value) -> String {
    let ns = ns.as_str().and_then(|text| text.parse::<i128>().ok()).unwrap_or_default();
    let seconds = i64::try_from(ns / 1_000_000_000).unwrap_or_default();
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: an answer with one suspect, and one whose text holds an escape sequence.
    // Guarantee: verdict, windows, place, evidence and examples can be read; no control character passes.
    #[test]
    fn a_report_reads() {
        let answer = json!({
            "summary": "payment is slow.", "fault": {"from_ns": "0", "to_ns": "60000000000", "spans": 12},
            "baseline": {"from_ns": "0", "to_ns": "0", "spans": 0, "chosen": true},
            "suspects": [{
                "service": "payment", "score": 1.5, "confidence": 0.934, "summary": "Calls to the bank take 2 s.",
                "where": {"operation": "POST /pay", "edge": "payment -> bank"},
                "evidence": [{"text": "2 s against 4 ms"}, {"text": "\u{1b}[31mred"}],
                "examples": {"failing": ["abc"], "good": []}, "victims": [{"text": "checkout waits."}], "not_runner_up": "bank is well."
            }]
        });
        let expected = "payment is slow.
Fault     1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z, 12 spans
Baseline  1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z, 0 spans (chosen)

1. payment   score 1.5, confidence 93 %
   Calls to the bank take 2 s.
   Where: operation POST /pay, edge payment -> bank
   - 2 s against 4 ms
   - (text with control characters; see --json)
   Failing traces: abc
   Suffers: checkout waits.
   bank is well.
";
        assert_eq!(report(&answer), expected);
    }
}
