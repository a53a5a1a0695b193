//! The answer.

/// Whether there is somebody to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first suspect stands out.
    Localised,
    /// Something differs, but it points nowhere in particular.
    Unclear,
    /// Nothing differs more than healthy minutes do.
    NoFault,
}

impl Verdict {
    /// As the API says it.
    pub fn code(self) -> &'static str {
        match self {
            Verdict::Localised => "localised",
            Verdict::Unclear => "unclear",
            Verdict::NoFault => "no_fault",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Whether there is somebody to blame.
    pub verdict: Verdict,
    /// One sentence about the verdict.
    pub summary: String,
    /// Distinct services, best first.
    pub suspects: Vec<Suspect>,
    /// What is wrong and no service's fault: a clock.
    pub notices: Vec<EvidenceItem>,
}

/// A service, and what speaks against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// The service.
    pub service: String,
    /// How much speaks against it: the sum of its parts, 0 or more.
    pub score: f64,
    /// How sure it is that the fault lies here, 0 to 1.
    pub confidence: f64,
    /// What each source of evidence adds to the score; those that add nothing are left out.
    pub parts: Vec<Part>,
    /// One sentence.
    pub summary: String,
    /// Where in the service.
    pub place: Place,
    /// What differs between the windows, strongest first.
    pub evidence: Vec<EvidenceItem>,
    /// Traces that show it.
    pub examples: Examples,
    /// What suffers from it.
    pub victims: Vec<Victim>,
    /// For the first suspect: why the second is not it; empty otherwise.
    pub not_runner_up: String,
}

/// A part of a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Source of the evidence.
    pub name: &'static str,
    /// What it adds.
    pub score: f64,
}

/// Where in a service; what is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Operation.
    pub operation: String,
    /// Place in the source, `Class#line`.
    pub location: String,
    /// `caller -> callee`.
    pub edge: String,
    /// Instance (pod).
    pub instance: String,
    /// Version.
    pub version: String,
}

/// Kind of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceKind {
    /// The way between caller and callee takes longer.
    EdgeGap,
    /// Work in the service itself takes longer.
    OwnTime,
    /// Share of all time lost.
    Excess,
    /// A log line that did not come here before.
    NewLog,
    /// A log line that no longer comes.
    MissingLog,
    /// A call or step that did not come here before.
    NewCall,
    /// A call or step that no longer comes.
    MissingCall,
    /// Errors that start here.
    ErrorOrigin,
    /// Calls that nobody answers.
    MissingService,
    /// Callers' context that does not arrive.
    BrokenPropagation,
    /// Failures bound to an attribute value.
    Attribute,
    /// More calls per request.
    FanOut,
    /// Messages that wait longer.
    QueueWait,
    /// A clock that is wrong.
    Clock,
}

impl EvidenceKind {
    /// As the API says it.
    pub fn code(self) -> &'static str {
        match self {
            EvidenceKind::EdgeGap => "edge_gap",
            EvidenceKind::OwnTime => "own_time",
            EvidenceKind::Excess => "excess",
            EvidenceKind::NewLog => "new_log",
            EvidenceKind::MissingLog => "missing_log",
            EvidenceKind::NewCall => "new_call",
            EvidenceKind::MissingCall => "missing_call",
            EvidenceKind::ErrorOrigin => "error_origin",
            EvidenceKind::MissingService => "missing_service",
            EvidenceKind::BrokenPropagation => "broken_propagation",
            EvidenceKind::Attribute => "attribute",
            EvidenceKind::FanOut => "fan_out",
            EvidenceKind::QueueWait => "queue_wait",
            EvidenceKind::Clock => "clock",
        }
    }
}

/// A difference between the windows.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceItem {
    /// Kind.
    pub kind: EvidenceKind,
    /// What differs.
    pub subject: String,
    /// In the baseline, with unit.
    pub baseline: String,
    /// In the fault window, with unit.
    pub fault: String,
    /// How strong it is, 0 to 1.
    pub score: f64,
    /// One sentence.
    pub text: String,
    /// Where in the service it shows.
    pub place: Place,
}

/// Traces to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examples {
    /// Traces of the fault window that show the evidence, at most three.
    pub failing: Vec<Example>,
    /// Traces that took the same way and do not, at most three.
    pub good: Vec<Example>,
}

/// A trace, and the span to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// Trace.
    pub trace_id: u128,
    /// The deciding span.
    pub span_id: u64,
}

/// A service that suffers from a suspect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// The service.
    pub service: String,
    /// The way on which the fault reaches it, suspect first: `payment, checkout, frontend`.
    pub path: Vec<String>,
    /// What it suffers.
    pub text: String,
}
