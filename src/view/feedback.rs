//! What people say of suspects: whether a report was right. It is kept and given back; nothing is learnt from it.

use model::time::SECOND_NS;
use serde::{Deserialize, Serialize};
use store::questions::{Window, records};
use store::records::Record;
use utoipa::ToSchema;

use crate::shared::Ns;
use crate::time::TimeRange;
use crate::{View, ViewError, ask};

/// Kind of the records.
const KIND: &str = "feedback";
/// Characters of a comment and of names.
const COMMENT_CHARS_MAX: usize = 4_000;
const NAME_CHARS_MAX: usize = 500;
/// Given back when no limit is asked for, and most.
const LIMITS: (usize, usize) = (100, 1_000);

/// What is said.
#[derive(Clone, Debug, Default)]
pub struct FeedbackQuestion {
    /// The fault window of the report.
    pub fault: TimeRange,
    /// The suspect.
    pub service: String,
    /// Whether it was the cause.
    pub right: bool,
    /// What was, when it was not.
    pub actual: Option<String>,
    /// Anything else.
    pub comment: Option<String>,
}

/// What somebody said of a suspect.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Feedback {
    /// The same for the same window and suspect: who says something again replaces it.
    pub id: String,
    /// When it was said.
    #[schema(value_type = String)]
    pub time_ns: Ns,
    /// Beginning of the fault window.
    #[schema(value_type = String)]
    pub from_ns: Ns,
    /// End of it.
    #[schema(value_type = String)]
    pub to_ns: Ns,
    /// The suspect.
    pub service: String,
    /// Whether it was the cause.
    pub right: bool,
    /// What was the cause, when it was not the suspect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What people said, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FeedbackAnswer {
    /// Each about one suspect of one window.
    pub feedback: Vec<Feedback>,
}

// As stored.
#[derive(Serialize, Deserialize)]
struct Body {
    from_ns: i64,
    to_ns: i64,
    service: String,
    right: bool,
    actual: Option<String>,
    comment: Option<String>,
}

impl View {
    /// Keeps what somebody says of a suspect.
    pub async fn tell_feedback(
        &self,
        tenant: &str,
        said: FeedbackQuestion,
        now_ns: i64,
    ) -> Result<Feedback, ViewError> {
        if said.fault.from.is_none() {
            return Err(ViewError::Invalid("`fault` needs `from`; `to` is now when absent".to_owned()));
        }
        let mut window = said.fault.window(now_ns)?;
        if said.fault.to.is_none() {
            window.to_ns = now_ns;
        }
        let texts = [
            ("service", Some(&said.service), NAME_CHARS_MAX),
            ("actual", said.actual.as_ref(), NAME_CHARS_MAX),
            ("comment", said.comment.as_ref(), COMMENT_CHARS_MAX),
        ];
        for (name, text, most) in texts {
            if text.is_some_and(|text| text.chars().count() > most) {
                return Err(ViewError::Invalid(format!("`{name}` has more than {most} characters")));
            }
        }
        if said.service.is_empty() {
            return Err(ViewError::Invalid("`service` is empty".to_owned()));
        }
        let FeedbackQuestion { service, right, actual, comment, .. } = said;
        let id = format!("{}-{}-{service}", window.from_ns, window.to_ns);
        let body = Body { from_ns: window.from_ns, to_ns: window.to_ns, service, right, actual, comment };
        let text = serde_json::to_string(&body).map_err(|error| ViewError::Broken(error.to_string()))?;
        self.store.write_records(&[Record::new(tenant, (KIND, &id), now_ns, now_ns, text)]).await?;
        Ok(feedback(id, now_ns, body))
    }

    /// What was said in a range, newest first.
    pub async fn feedback(
        &self,
        tenant: &str,
        range: TimeRange,
        limit: Option<usize>,
        now_ns: i64,
    ) -> Result<FeedbackAnswer, ViewError> {
        let limit = limit.unwrap_or(LIMITS.0);
        if !(1..=LIMITS.1).contains(&limit) {
            return Err(ViewError::Invalid(format!("`limit` is 1 to {}", LIMITS.1)));
        }
        let mut window: Window = range.window(now_ns)?;
        if range.to.is_none() {
            window.to_ns = window.to_ns.max(now_ns.saturating_add(SECOND_NS));
        }
        let client = self.store.client()?;
        let rows = records::list(&ask(&client, tenant), KIND, window, limit as u64).await?;
        let read = |row: records::RecordRow| Some(feedback(row.id, row.at_ns, serde_json::from_str(&row.body).ok()?));
        Ok(FeedbackAnswer { feedback: rows.into_iter().filter_map(read).collect() })
    }
}

fn feedback(id: String, time_ns: i64, body: Body) -> Feedback {
    let Body { from_ns, to_ns, service, right, actual, comment } = body;
    let (time_ns, from_ns, to_ns) = (Ns(time_ns.into()), Ns(from_ns.into()), Ns(to_ns.into()));
    Feedback { id, time_ns, from_ns, to_ns, service, right, actual, comment }
}
