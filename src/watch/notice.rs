//! What people are told of an incident: few lines, the suspect first.

use serde::{Deserialize, Serialize};

use crate::answer::Verdict;
use crate::incident::Incident;

/// Lines of symptoms.
const SYMPTOMS_MAX: usize = 3;
/// Names in a line.
const NAMES_MAX: usize = 8;
/// Characters of a line.
const LINE_MAX: usize = 300;

/// Why people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// It began.
    Opened,
    /// There is another suspect, or it came back.
    Updated,
    /// It is over.
    Closed,
}

/// A message to people, before it has a receiver's form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Stable: the same message has the same id, however often it is sent.
    pub id: String,
    /// Incident.
    pub incident: String,
    /// Why.
    pub kind: NoticeKind,
    /// Number of the message within the incident, from 1.
    pub number: u32,
    /// When it was written, nanoseconds.
    pub at_ns: i64,
    /// Since when something is wrong, nanoseconds.
    pub started_ns: i64,
    /// When it was over, nanoseconds; 0 while it lasts.
    pub ended_ns: i64,
    /// The first suspect; empty when there is none.
    pub suspect: String,
    /// The first suspect that people were told of in this incident: it stays what it is.
    pub opened_as: String,
    /// The rule that opened it; empty when a deviation did.
    pub rule: String,
    /// Services with symptoms.
    pub services: Vec<String>,
    /// One line.
    pub title: String,
    /// A few lines.
    pub text: String,
    /// Where the incident is shown.
    pub path: String,
}

impl NoticeKind {
    /// As it is told.
    pub fn code(self) -> &'static str {
        match self {
            NoticeKind::Opened => "opened",
            NoticeKind::Updated => "updated",
            NoticeKind::Closed => "closed",
        }
    }
}

impl Notice {
    /// The message about an incident as it is.
    pub(crate) fn new(kind: NoticeKind, number: u32, incident: &Incident, now_ns: i64) -> Notice {
        let suspect = incident.suspect().map_or("", |suspect| &suspect.service).to_owned();
        let words = match kind {
            NoticeKind::Opened => "",
            NoticeKind::Updated => "Update: ",
            NoticeKind::Closed if !incident.merged_into.is_empty() => "Part of another incident: ",
            NoticeKind::Closed => "Over: ",
        };
        Notice {
            id: id(&incident.id, kind, number),
            incident: incident.id.clone(),
            kind,
            number,
            at_ns: now_ns,
            started_ns: incident.onset_ns,
            ended_ns: if kind == NoticeKind::Closed { incident.closed_ns } else { 0 },
            opened_as: incident.opened_as.clone(),
            rule: incident.rule.clone(),
            services: incident.services().into_iter().map(str::to_owned).collect(),
            title: line(&format!("{words}{}", title(incident))),
            text: text(incident),
            path: format!("/incidents/{}", incident.id),
            suspect,
        }
    }

    /// The id of the incident's first message.
    pub(crate) fn first_id(&self) -> String {
        id(&self.incident, NoticeKind::Opened, 1)
    }
}

fn id(incident: &str, kind: NoticeKind, number: u32) -> String {
    format!("{incident}-{}-{number}", kind.code())
}

fn title(incident: &Incident) -> String {
    if incident.is_clock() {
        let notice = incident.answer.as_ref().and_then(|answer| answer.notices.first());
        return notice.map_or("clocks disagree", |notice| notice.split(": ").next().unwrap_or(notice)).to_owned();
    }
    let worst = incident.worst(1).first().map_or("", |symptom| symptom.text.as_str()).to_owned();
    let rule = if incident.rule.is_empty() { String::new() } else { format!(" (rule {})", incident.rule) };
    match incident.suspect().filter(|_| incident.verdict() == Some(Verdict::Localised)) {
        Some(suspect) => format!("{}: {}{rule}", suspect.service, worst),
        None => format!("{worst}{rule}"),
    }
}

fn text(incident: &Incident) -> String {
    let mut lines = Vec::new();
    let answer = incident.answer.as_ref();
    let clock = answer.filter(|_| incident.is_clock()).and_then(|answer| answer.notices.first());
    match (clock, incident.suspect()) {
        (Some(notice), _) => lines.push(format!("Cause: {notice}")),
        (None, Some(suspect)) if incident.verdict() == Some(Verdict::Localised) => {
            lines.push(format!("Suspect: {}. {}", suspect.service, suspect.sentence));
        }
        (None, Some(suspect)) => {
            lines.push(format!("No service stands out; first guess: {}. {}", suspect.service, suspect.sentence));
        }
        (None, None) if answer.is_some() => lines.push("Suspect: none found".to_owned()),
        (None, None) => lines.push("Suspect: not known yet".to_owned()),
    }
    let victims = incident.victims();
    if !victims.is_empty() {
        lines.push(format!("Suffering from it: {}", names(victims)));
    }
    let count = incident.symptom_count();
    lines.push(format!("{count} {}:", if count == 1 { "symptom" } else { "symptoms" }));
    lines.extend(incident.worst(SYMPTOMS_MAX).iter().map(|symptom| format!("- {}", symptom.text)));
    if !incident.folded.is_empty() {
        lines.push(format!("Folded in: {} more of the same origin", incident.folded.len()));
    }
    if !incident.merged_into.is_empty() {
        lines.push(format!("It goes on as incident {}", incident.merged_into));
    } else if incident.closed_ns > 0 {
        let minutes = (incident.closed_ns.saturating_sub(incident.onset_ns)) as f64 / 6e10;
        lines.push(format!("It lasted {minutes:.1} minutes"));
    } else if incident.reopened > 0 {
        lines.push(format!("It came back ({} times)", incident.reopened));
    }
    lines.iter().map(|text| line(text)).collect::<Vec<_>>().join("\n")
}

fn names(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let told = names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{told} and {more} more") } else { told }
}

// One line of bounded length: telemetry may hold anything.
fn line(text: &str) -> String {
    let printable = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut line: String = printable.take(LINE_MAX).collect();
    if text.chars().nth(LINE_MAX).is_some() {
        line.push('…');
    }
    line
}
