//! What a log search asks for. Words are whole tokens of the body, found through the text index on
//! `lower(Body)`; phrases are substrings, for which the index is the sieve. Nothing that a user wrote
//! is a pattern: no wildcard, no regular expression.

use clickhouse::Row;
use serde::Deserialize;

use super::sql::{Conditions, Param};

/// Conditions on a log record. All hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogMatch {
    /// Service name.
    pub service: Option<String>,
    /// Lowest severity number, 1 to 24; records with only a severity text count by its number.
    pub severity_min: Option<u8>,
    /// Trace ids, 32 hex digits each; any of them. Empty: every record.
    pub trace_ids: Vec<String>,
    /// Span id, 16 hex digits.
    pub span_id: Option<String>,
    /// Pattern.
    pub pattern: Option<PatternMatch>,
    /// The terms of the query.
    pub terms: Vec<Term>,
}

/// A pattern by any id that it ever had, or by a key that has none yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternMatch {
    /// As asked for.
    pub id: u64,
    /// The patterns that the id stands for now ([`super::patterns::meanings`]).
    pub means: Vec<Meaning>,
}

/// A service's pattern.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct Meaning {
    /// The service.
    pub service: String,
    /// The pattern's present id.
    pub id: u64,
    /// Whether it stands for all keys that have no pattern of their own.
    pub is_rest: bool,
}

impl PatternMatch {
    /// A pattern by its id, of which it is not known yet what it stands for.
    pub fn new(id: u64) -> PatternMatch {
        PatternMatch { id, means: Vec::new() }
    }
}

/// One term of a log query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// Text in the body, whole words at both ends, case-insensitive.
    Words(String),
    /// Text in the body, case-insensitive, anywhere.
    Phrase(String),
    /// An attribute of the record, its resource or its scope, compared as text.
    Attribute(String, String),
    /// An attribute that is there at all.
    HasAttribute(String),
    /// Service name.
    Service(String),
    /// Lowest severity number.
    SeverityMin(u8),
    /// Trace id, 32 hex digits.
    TraceId(String),
    /// Span id, 16 hex digits.
    SpanId(String),
    /// Pattern.
    Pattern(PatternMatch),
    /// Event name.
    EventName(String),
    /// Not so.
    Not(Box<Term>),
}

/// The severity number of a row, by its text where the sender gave no number, followed by `$tail`.
/// The names are those of `model::kind::severity_number`; a test compares.
macro_rules! severity_number {
    ($tail:literal) => {
        concat!(
            "toUInt8(if(SeverityNumber > 0, SeverityNumber, transform(lower(SeverityText), ",
            "['trace', 'verbose', 'debug', 'fine', 'info', 'information', 'informational', 'notice', 'warn', 'warning', 'error', 'err', 'severe', 'crit', 'critical', 'alert', 'emerg', 'fatal', 'panic'], ",
            "[1, 1, 5, 5, 9, 9, 9, 10, 13, 13, 17, 17, 17, 18, 21, 21, 24, 21, 24], 0)))",
            $tail
        )
    };
}
pub(crate) use severity_number;

/// The pair `@1`, `@2` in a map.
macro_rules! in_map {
    ($map:literal) => {
        concat!(
            "arrayExists((k, v) -> k = {@1:String} AND v = {@2:String}, mapKeys(",
            $map,
            "), mapValues(",
            $map,
            "))"
        )
    };
}
pub(crate) use in_map;

const SEVERITY_MIN: &str = severity_number!(" >= {@:UInt8}");

impl LogMatch {
    /// The patterns that are asked for, wherever they stand.
    pub fn patterns_mut(&mut self) -> Vec<&mut PatternMatch> {
        fn within(term: &mut Term) -> Option<&mut PatternMatch> {
            match term {
                Term::Pattern(pattern) => Some(pattern),
                Term::Not(term) => within(term),
                _ => None,
            }
        }
        self.pattern.iter_mut().chain(self.terms.iter_mut().filter_map(within)).collect()
    }

    /// As conditions on `otel_logs`.
    pub fn conditions(&self, prefix: &'static str) -> Conditions {
        let mut out = Conditions::new(prefix);
        if !self.trace_ids.is_empty() {
            out.and("TraceId IN {@:Array(String)}", [Param::Texts(self.trace_ids.clone())]);
        }
        if let Some(span_id) = &self.span_id {
            Term::SpanId(span_id.clone()).add(&mut out);
        }
        if let Some(service) = &self.service {
            Term::Service(service.clone()).add(&mut out);
        }
        if let Some(number) = self.severity_min {
            Term::SeverityMin(number).add(&mut out);
        }
        if let Some(pattern) = &self.pattern {
            pattern.add(&mut out);
        }
        for term in &self.terms {
            term.add(&mut out);
        }
        out
    }
}

impl PatternMatch {
    fn add(&self, out: &mut Conditions) {
        out.and_any(|any| {
            for meaning in &self.means {
                let service = Param::Text(meaning.service.clone());
                if meaning.is_rest {
                    any.and(
                        "ServiceName = {@1:String} AND PatternKey != 0 AND PatternKey NOT IN (SELECT PatternKey FROM log_patterns WHERE Tenant = {tenant:String} AND Service = {@1:String})",
                        [service],
                    );
                } else {
                    any.and(
                        "ServiceName = {@1:String} AND PatternKey IN (SELECT PatternKey FROM log_patterns FINAL WHERE Tenant = {tenant:String} AND Service = {@1:String} AND PatternId = {@2:UInt64})",
                        [service, Param::U64(meaning.id)],
                    );
                }
            }
            any.and("PatternKey = {@:UInt64}", [Param::U64(self.id)]);
        });
    }
}

impl Term {
    fn add(&self, out: &mut Conditions) {
        let text = |text: &String| [Param::Text(text.clone())];
        match self {
            Term::Words(words) => body_text(out, words, true),
            Term::Phrase(phrase) => body_text(out, phrase, false),
            // Keys may come twice, so no look-up by key: it gives the first.
            Term::Attribute(key, value) => out.and(
                concat!(in_map!("LogAttributes"), " OR ", in_map!("ResourceAttributes"), " OR ", in_map!("ScopeAttributes")),
                [Param::Text(key.clone()), Param::Text(value.clone())],
            ),
            Term::HasAttribute(key) => out.and(
                "mapContains(LogAttributes, {@1:String}) OR mapContains(ResourceAttributes, {@1:String}) OR mapContains(ScopeAttributes, {@1:String})",
                text(key),
            ),
            Term::Service(service) => out.and("ServiceName = {@:String}", text(service)),
            Term::SeverityMin(number) => out.and(SEVERITY_MIN, [Param::U64(u64::from(*number))]),
            Term::TraceId(id) => out.and("TraceId = {@:String}", text(id)),
            Term::SpanId(id) => out.and("SpanId = {@:String}", text(id)),
            Term::Pattern(pattern) => pattern.add(out),
            Term::EventName(name) => out.and("EventName = {@:String}", text(name)),
            Term::Not(term) => out.and_not(|inner| term.add(inner)),
        }
    }
}

/// A text in the body: the tokens that must be there whole (the index answers), then the text itself,
/// unless it is one token, which the index has settled.
fn body_text(out: &mut Conditions, text: &str, whole_ends: bool) {
    let lower = text.to_ascii_lowercase();
    let tokens = whole_tokens(&lower, whole_ends);
    let is_settled = whole_ends && tokens.len() == 1 && tokens[0] == lower;
    if !tokens.is_empty() {
        out.and("hasAllTokens(lower(Body), {@:Array(String)})", [Param::Texts(tokens)]);
    }
    if !is_settled {
        out.and("positionCaseInsensitiveUTF8(Body, {@:String}) > 0", [Param::Text(text.to_owned())]);
    }
}

/// Tokens as ClickHouse's `splitByNonAlpha` cuts them: runs of ASCII letters and digits and of
/// anything that is not ASCII. Without `whole_ends` those at the very ends may be parts of longer ones
/// and are left out; so are those with letters outside ASCII: `lower` does not know their cases, and
/// scripts without spaces make whole sentences of them.
fn whole_tokens(lower: &str, whole_ends: bool) -> Vec<String> {
    let in_token = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii();
    let mut tokens: Vec<String> = Vec::new();
    let mut start = None;
    for (at, c) in lower.char_indices().chain([(lower.len(), ' ')]) {
        match (in_token(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                let token = &lower[from..at];
                if token.is_ascii() && (whole_ends || (from > 0 && at < lower.len())) {
                    tokens.push(token.to_owned());
                }
                start = None;
            }
            _ => {}
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    // ClickHouse takes at most 64 tokens; fewer are a coarser sieve, not a wrong one.
    tokens.truncate(64);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: words, dashed words, phrases that begin and end inside words, other scripts.
    // Guarantee: only tokens that must stand whole in every match are asked of the index.
    #[test]
    fn tokens_of_texts() {
        let cases = [
            ("timeout", true, "timeout"),
            ("order-4711", true, "4711|order"),
            ("onnection refus", false, ""),
            ("for user-123 took", false, "123|user"),
            (" failed ", false, "failed"),
            ("Grüße an bob", true, "an|bob"),
            ("支払いエラー", true, ""),
            ("a_b", true, "a|b"),
            ("::", true, ""),
        ];
        for (text, whole_ends, expected) in cases {
            assert_eq!(whole_tokens(text, whole_ends).join("|"), expected, "{text}");
        }
    }

    // Scenario: every severity name in the condition.
    // Guarantee: the condition and the model agree on its number.
    #[test]
    fn severities_agree() {
        let list = |open: usize| {
            let from = SEVERITY_MIN.match_indices('[').nth(open).unwrap().0;
            SEVERITY_MIN[from + 1..]
                .split(']')
                .next()
                .unwrap()
                .split(", ")
                .map(|item| item.trim_matches('\''))
                .collect::<Vec<_>>()
        };
        let (names, numbers) = (list(0), list(1));
        assert_eq!(names.len(), numbers.len());
        for (name, number) in names.iter().zip(numbers) {
            assert_eq!(model::kind::severity_number(name).to_string(), number, "{name}");
        }
    }
}
