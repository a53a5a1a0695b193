//! Incidents as people see them, and what people wish of the watch: rules and silences. All are records of the store;
//! the watch writes incidents in its own words, of which this reads what is shown.

use serde::{Deserialize, Serialize};
use store::questions::{Window, records};
use store::records::Record;
use utoipa::ToSchema;

use crate::shared::Ns;
use crate::time::TimeRange;
use crate::{View, ViewError, ask};

/// Kinds of records.
pub const INCIDENT: &str = "incident";
/// A rule: when an incident is opened whatever is usual.
pub const RULE: &str = "rule";
/// A silence: nobody is told for a while.
pub const SILENCE: &str = "silence";

/// Incidents in an answer when no limit is asked for, and most.
const LIMITS: (usize, usize) = (100, 1_000);
/// Incidents read to choose from.
const READ_MAX: u64 = 2_000;

/// Something that was wrong for a while.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Incident {
    /// Its name for ever.
    pub id: String,
    /// open or closed; suspected, dropped (nobody was told) and merged only when asked for.
    pub state: String,
    /// Since when something deviates.
    #[schema(value_type = String)]
    pub onset_ns: Ns,
    /// When it was opened; the onset while it is only suspected.
    #[schema(value_type = String)]
    pub opened_ns: Ns,
    /// When it was over; absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub closed_ns: Option<Ns>,
    /// What localization says, in a sentence; empty before it has answered.
    pub summary: String,
    /// localised, unclear or no_fault; empty before.
    pub verdict: String,
    /// What deviates, strongest first.
    pub symptoms: Vec<Symptom>,
    /// Symptoms beyond these.
    pub symptoms_more: u64,
    /// Who is to blame, best first.
    pub suspects: Vec<IncidentSuspect>,
    /// What is wrong and no service's fault, such as a clock.
    pub notices: Vec<String>,
    /// The rule that opened it; empty when a deviation did.
    pub rule: String,
    /// The silence that covers it; empty without.
    pub silenced_by: String,
    /// Incidents that turned out to be part of it.
    pub folded: Vec<String>,
    /// The incident that it turned out to be part of; empty otherwise.
    pub merged_into: String,
    /// How often it came back.
    pub reopened: u32,
    /// What people were told of it, oldest first; the newest 20.
    pub told: Vec<Told>,
}

/// A message about an incident, to every receiver.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Told {
    /// opened, updated or closed.
    pub kind: String,
    /// When it was written; receivers that are away get it later.
    #[schema(value_type = String)]
    pub at_ns: Ns,
}

/// What deviates.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Symptom {
    /// Service.
    pub service: String,
    /// What is watched of it: entry, call, wait, roots, lines, clock.
    pub kind: String,
    /// How it deviates: errors, latency, drop, surge, lines, vanished, roots, clock, rule.
    pub signal: String,
    /// One line.
    pub text: String,
    /// Since when.
    #[schema(value_type = String)]
    pub since_ns: Ns,
    /// When it was last seen.
    #[schema(value_type = String)]
    pub last_ns: Ns,
    /// How unlikely it is without a change: -log10 of the probability.
    pub strength: f64,
}

/// A service to blame for an incident.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IncidentSuspect {
    /// Its name.
    pub service: String,
    /// How much speaks against it.
    pub score: f64,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// One sentence.
    pub summary: String,
    /// Services that suffer from it.
    pub victims: Vec<String>,
}

/// Incidents, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IncidentsAnswer {
    /// The incidents.
    pub incidents: Vec<Incident>,
}

/// What is asked of incidents.
#[derive(Clone, Debug, Default)]
pub struct IncidentsQuestion {
    /// When they were opened; those that last are listed whenever they were.
    pub range: TimeRange,
    /// Only those in this state; open and closed ones when absent.
    pub state: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

// An incident as the watch writes it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    id: String,
    state: String,
    merged_into: String,
    onset_ns: i64,
    opened_ns: i64,
    closed_ns: i64,
    reopened: u32,
    symptoms: Vec<WrittenSymptom>,
    symptoms_more: u64,
    answer: Option<WrittenAnswer>,
    folded: Vec<String>,
    rule: String,
    silenced_by: String,
    told: Vec<WrittenTold>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenTold {
    kind: String,
    at_ns: i64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenSymptom {
    subject: WrittenSubject,
    signal: String,
    since_ns: i64,
    last_ns: i64,
    strength: f64,
    text: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenSubject {
    kind: String,
    service: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenAnswer {
    verdict: String,
    summary: String,
    suspects: Vec<WrittenSuspect>,
    notices: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenSuspect {
    service: String,
    score: f64,
    confidence: f64,
    sentence: String,
    victims: Vec<String>,
}

impl View {
    /// The incidents of a range.
    pub async fn incidents(
        &self,
        tenant: &str,
        question: IncidentsQuestion,
        now_ns: i64,
    ) -> Result<IncidentsAnswer, ViewError> {
        let limit = question.limit.unwrap_or(LIMITS.0);
        if !(1..=LIMITS.1).contains(&limit) {
            return Err(ViewError::Invalid(format!("`limit` is 1 to {}", LIMITS.1)));
        }
        let states = ["open", "closed", "suspected", "dropped", "merged"];
        if let Some(state) = question.state.as_deref().filter(|state| !states.contains(state)) {
            return Err(ViewError::Invalid(format!("`state` is one of {}, not `{state}`", states.join(", "))));
        }
        let window = question.range.window(now_ns)?;
        let client = self.store.client()?;
        let before = Window { from_ns: Window::ALL.from_ns, ..window };
        let rows = records::list(&ask(&client, tenant), INCIDENT, before, READ_MAX).await?;
        let wanted = |incident: &Incident| match &question.state {
            Some(state) => incident.state == *state,
            None => incident.state == "open" || incident.state == "closed",
        };
        // One that lasts is of today, however old.
        let of_now =
            |incident: &Incident| incident.closed_ns.is_none() || incident.closed_ns >= Some(Ns(window.from_ns.into()));
        let mut incidents: Vec<Incident> = rows.into_iter().filter_map(|row| read(&row.body)).collect();
        incidents.retain(|incident| wanted(incident) && of_now(incident));
        // Those that last come first.
        incidents.sort_by_key(|incident| (incident.state != "open", std::cmp::Reverse(incident.opened_ns)));
        incidents.truncate(limit);
        Ok(IncidentsAnswer { incidents })
    }

    /// One incident.
    pub async fn incident(&self, tenant: &str, id: &str) -> Result<Incident, ViewError> {
        let body = self.record(tenant, INCIDENT, id).await?;
        body.and_then(|body| read(&body)).ok_or_else(|| ViewError::NotFound(format!("there is no incident `{id}`")))
    }

    /// The text of a record; `None` when there is none.
    pub async fn record(&self, tenant: &str, kind: &str, id: &str) -> Result<Option<String>, ViewError> {
        let client = self.store.client()?;
        Ok(records::one(&ask(&client, tenant), kind, id).await?.map(|row| row.body))
    }

    /// The texts of the records of a kind, the newest `limit`.
    pub async fn records(&self, tenant: &str, kind: &str, limit: u64) -> Result<Vec<String>, ViewError> {
        let client = self.store.client()?;
        let rows = records::list(&ask(&client, tenant), kind, Window::ALL, limit).await?;
        Ok(rows.into_iter().map(|row| row.body).collect())
    }

    /// Keeps a record, or ends it where there is no text.
    pub async fn keep_record(
        &self,
        tenant: &str,
        (kind, id): (&str, &str),
        body: Option<String>,
        now_ns: i64,
    ) -> Result<(), ViewError> {
        let record = match body {
            Some(body) => Record::new(tenant, (kind, id), now_ns, now_ns, body),
            None => Record::new(tenant, (kind, id), now_ns, now_ns, String::new()).deleted(),
        };
        Ok(self.store.write_records(&[record]).await?)
    }
}

fn read(body: &str) -> Option<Incident> {
    let written: Written = serde_json::from_str(body).ok()?;
    let answer = written.answer.unwrap_or_default();
    let opened_ns = if written.opened_ns > 0 { written.opened_ns } else { written.onset_ns };
    let mut symptoms: Vec<Symptom> = written.symptoms.into_iter().map(symptom).collect();
    symptoms.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    Some(Incident {
        id: written.id,
        state: written.state,
        onset_ns: Ns::from(written.onset_ns),
        opened_ns: Ns::from(opened_ns),
        closed_ns: (written.closed_ns > 0).then(|| Ns::from(written.closed_ns)),
        summary: answer.summary,
        verdict: answer.verdict,
        symptoms,
        symptoms_more: written.symptoms_more,
        suspects: answer.suspects.into_iter().map(suspect).collect(),
        notices: answer.notices,
        rule: written.rule,
        silenced_by: written.silenced_by,
        folded: written.folded,
        merged_into: written.merged_into,
        reopened: written.reopened,
        told: written.told.into_iter().map(|told| Told { kind: told.kind, at_ns: Ns::from(told.at_ns) }).collect(),
    })
}

fn symptom(written: WrittenSymptom) -> Symptom {
    let WrittenSymptom { subject, signal, since_ns, last_ns, strength, text } = written;
    let (since_ns, last_ns) = (Ns::from(since_ns), Ns::from(last_ns));
    Symptom { service: subject.service, kind: subject.kind, signal, text, since_ns, last_ns, strength }
}

fn suspect(written: WrittenSuspect) -> IncidentSuspect {
    let WrittenSuspect { service, score, confidence, sentence, victims } = written;
    IncidentSuspect { service, score, confidence, summary: sentence, victims }
}
