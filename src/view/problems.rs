//! What is odd about a trace, in codes for programs and words for people, with a count. A problem is
//! never an error: the answer is complete, and says what to think of it.

use serde::Serialize;
use utoipa::ToSchema;

/// One kind of oddity.
#[derive(Clone, Debug, Serialize, ToSchema, PartialEq, Eq)]
pub struct Problem {
    /// Code: `missing_parent`.
    pub code: &'static str,
    /// One sentence.
    pub text: &'static str,
    /// How many spans it concerns.
    pub count: u64,
}

/// The oddities that a trace can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    /// No span without a parent.
    NoRoot,
    /// Several spans without a parent.
    SeveralRoots,
    /// Spans whose parent is not there.
    MissingParent,
    /// Spans that name themselves as parent.
    SelfParent,
    /// Circles of parents.
    Cycle,
    /// Spans that share an id without being the two sides of one call.
    SharedId,
    /// Equal spans that came more than once.
    Resent,
    /// Spans that begin before their parent in another service.
    ClockSkew,
    /// Spans that stand at their receive time.
    TimeReplaced,
    /// Spans that end before they begin.
    EndBeforeStart,
    /// Spans of which something was cut or dropped.
    Shortened,
    /// More spans than are shown.
    TooManySpans,
}

impl Oddity {
    /// As a problem of `count` spans.
    pub fn problem(self, count: u64) -> Problem {
        let (code, text) = match self {
            Oddity::NoRoot => {
                ("no_root", "No span is without a parent: the beginning of the request is not here, or not yet.")
            }
            Oddity::SeveralRoots => ("several_roots", "More than one span has no parent."),
            Oddity::MissingParent => (
                "missing_parent",
                "The parent of these spans is not here: not sent, sampled out, refused, or not yet arrived.",
            ),
            Oddity::SelfParent => {
                ("self_parent", "These spans name themselves as their parent; they are shown as roots.")
            }
            Oddity::Cycle => ("cycle", "Parents form a circle; it was cut at its earliest span."),
            Oddity::SharedId => (
                "shared_span_id",
                "Different spans have the same id; children go to the one of their service, else to the first.",
            ),
            Oddity::Resent => ("resent", "These spans came more than once; each is counted and shown once."),
            Oddity::ClockSkew => {
                ("clock_skew", "These spans begin before their parent in another service: clocks differ.")
            }
            Oddity::TimeReplaced => (
                "time_replaced",
                "These spans stand at their receive time: their own is absent, out of range, or on one day too many for its sender.",
            ),
            Oddity::EndBeforeStart => {
                ("end_before_start", "These spans end before they begin; their duration is shown as 0.")
            }
            Oddity::Shortened => (
                "shortened",
                "Attributes, events, links or long values of these spans were dropped or cut by the sender or a limit.",
            ),
            Oddity::TooManySpans => {
                ("too_many_spans", "The trace has more spans than are shown; the earliest are shown.")
            }
        };
        Problem { code, text, count }
    }
}
