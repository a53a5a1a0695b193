//! `hypocenter incidents`: what is or was wrong, as a running server has it.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;

use crate::ask_server::ServerArgs;
use crate::cli::say;
use crate::locate_report::{list, text, time};

/// Symptoms of an incident that are printed.
const SYMPTOMS: usize = 3;

/// Arguments of `hypocenter incidents`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct IncidentsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Those that were not over so long ago
    #[arg(long, value_name = "LENGTH", default_value = "1d")]
    since: String,
    /// Only those in this state: open, closed, suspected, dropped, merged [default: open and closed]
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Print the answer as it came
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub(crate) fn run(args: &IncidentsArgs) -> anyhow::Result<ExitCode> {
    let state = args.state.as_ref().map(|state| format!("&state={state}")).unwrap_or_default();
    let answer = args.server.ask(&format!("incidents?from=now-{}{state}", args.since), None)?;
    if args.json {
        say(answer.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let answer: Value = serde_json::from_str(&answer).context("the server's answer is not JSON")?;
    let incidents = list(&answer["incidents"]);
    if incidents.is_empty() {
        say(&format!("No incidents in the last {}.", args.since));
    }
    for incident in incidents {
        say(report(incident).trim_end());
        say("");
    }
    Ok(ExitCode::SUCCESS)
}

fn report(incident: &Value) -> String {
    let suspect = &incident["suspects"][0];
    let over =
        incident["closed_ns"].as_str().map(|_| format!(" to {}", time(&incident["closed_ns"]))).unwrap_or_default();
    let named = [suspect["service"].as_str(), incident["symptoms"][0]["service"].as_str()];
    let mut lines = vec![format!(
        "{}  {}  {}{over}  {}",
        text(&incident["state"]),
        named.into_iter().flatten().next().unwrap_or("nobody"),
        time(&incident["onset_ns"]),
        text(&incident["id"]),
    )];
    let sentences = [text(&suspect["summary"]), text(&incident["summary"])];
    lines.extend(sentences.into_iter().find(|sentence| !sentence.is_empty()).map(|sentence| format!("  {sentence}")));
    let symptoms = list(&incident["symptoms"]);
    lines.extend(symptoms.iter().take(SYMPTOMS).map(|symptom| format!("  - {}", text(&symptom["text"]))));
    if symptoms.len() > SYMPTOMS {
        lines.push(format!("  and {} more", symptoms.len() - SYMPTOMS));
    }
    let victims: Vec<&str> = list(&suspect["victims"]).iter().filter_map(Value::as_str).collect();
    if !victims.is_empty() {
        lines.push(format!("  suffering: {}", victims.join(", ")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // Scenario: an incident that lasts, with a suspect and a victim; one that is over, with nobody to blame.
    // Guarantee: who, since when, why, and who suffers; without a suspect the service with the symptoms.
    #[test]
    fn reports() {
        let open = report(
            &json!({"id": "i1", "state": "open", "onset_ns": "1700000000000000000", "symptoms": [{"text": "fails", "service": "web"}],
            "suspects": [{"service": "pay", "summary": "pay is slow", "victims": ["web"]}]}),
        );
        assert!(open.starts_with("open  pay  2023-11-14"), "{open}");
        assert!(open.ends_with("i1\n  pay is slow\n  - fails\n  suffering: web"), "{open}");
        let over = report(
            &json!({"id": "i2", "state": "closed", "onset_ns": "1700000000000000000", "closed_ns": "1700000060000000000",
            "symptoms": [{"text": "fails", "service": "web"}], "suspects": [], "summary": "Nobody stands out."}),
        );
        assert!(over.starts_with("closed  web  2023-11-14") && over.contains(" to 2023-11-14"), "{over}");
    }
}
