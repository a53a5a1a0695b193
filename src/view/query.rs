//! The log query language: words, "quoted phrases", `key:value`, and `-` in front of any of them.
//! Everything is text; nothing is a pattern. Terms are joined by "and".

use model::kind;
use model::{SpanId, TraceId};
use store::questions::{PatternMatch, Term};

/// Terms in one query; more are refused.
const TERMS_MAX: usize = 50;

/// A query that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A quotation mark without its partner.
    #[error("a quotation mark is not closed")]
    Quote,
    /// Too many terms.
    #[error("the query has more than {TERMS_MAX} terms")]
    Terms,
    /// A value that its key cannot have.
    #[error("`{value}` is not a {what}")]
    Value {
        /// As written.
        value: String,
        /// What was expected.
        what: &'static str,
    },
}

/// Reads a query.
pub fn parse(text: &str) -> Result<Vec<Term>, QueryError> {
    let mut terms = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (negated, body) = match rest.strip_prefix('-') {
            Some(body) if !body.is_empty() && !body.starts_with(char::is_whitespace) => (true, body),
            _ => (false, rest),
        };
        let (term, tail) = one(body)?;
        if let Some(term) = term {
            terms.push(if negated { Term::Not(Box::new(term)) } else { term });
        }
        if terms.len() > TERMS_MAX {
            return Err(QueryError::Terms);
        }
        rest = tail.trim_start();
    }
    Ok(terms)
}

/// Reads a severity: a name (`warn`) or a number from 1 to 24.
pub fn severity(text: &str) -> Result<u8, QueryError> {
    let number = text.parse().unwrap_or_else(|_| kind::severity_number(text));
    if (1..=24).contains(&number) {
        Ok(number)
    } else {
        Err(value(text, "severity: give trace, debug, info, warn, error, fatal, or a number from 1 to 24"))
    }
}

/// Reads a pattern id: 16 hex digits.
pub fn pattern(text: &str) -> Result<PatternMatch, QueryError> {
    let good = !text.is_empty() && text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = good.then(|| u64::from_str_radix(text, 16).ok()).flatten();
    id.map(PatternMatch::new).ok_or_else(|| value(text, "pattern id (16 hex digits)"))
}

/// Reads a trace id: 32 hex digits, or 16, which are padded; either case.
pub fn trace_id(text: &str) -> Result<String, QueryError> {
    let text = text.trim();
    let id = if matches!(text.len(), 16 | 32) { TraceId::from_hex(text.as_bytes()) } else { None };
    id.map(|id| id.to_string()).ok_or_else(|| value(text, "trace id (32 or 16 hex digits, not all zero)"))
}

/// Reads a span id: 16 hex digits, either case.
pub fn span_id(text: &str) -> Result<String, QueryError> {
    let text = text.trim();
    let id = if text.len() == 16 { SpanId::from_hex(text.as_bytes()) } else { None };
    id.map(|id| id.to_string()).ok_or_else(|| value(text, "span id (16 hex digits, not all zero)"))
}

/// One term and what follows it; `None` for punctuation that asks for nothing.
fn one(text: &str) -> Result<(Option<Term>, &str), QueryError> {
    if text.starts_with('"') {
        let (phrase, tail) = quoted(text)?;
        return Ok(((!phrase.is_empty()).then_some(Term::Phrase(phrase)), tail));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    if let Some(colon) = text[..end].find(':')
        && is_key(&text[..colon])
    {
        let (key, after) = (&text[..colon], &text[colon + 1..]);
        if after.starts_with('"') {
            let (value, tail) = quoted(after)?;
            return Ok((Some(keyed(key, value)?), tail));
        }
        let value = &text[colon + 1..end];
        // `http://host` is a word, and so is the `Error:` of a message.
        if !value.is_empty() && !value.starts_with("//") {
            return Ok((Some(keyed(key, value.to_owned())?), &text[end..]));
        }
    }
    let word = text[..end].trim_matches(|c: char| c.is_ascii_punctuation());
    let word = if word.is_empty() { None } else { Some(Term::Words(word.to_owned())) };
    Ok((word, &text[end..]))
}

/// The content of a quoted text (`\"` and `\\` stand for themselves) and what follows it.
fn quoted(text: &str) -> Result<(String, &str), QueryError> {
    let mut out = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((out, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\'))) => out.push(escaped),
                Some((_, other)) => out.extend(['\\', other]),
                None => break,
            },
            other => out.push(other),
        }
    }
    Err(QueryError::Quote)
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '@')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | '@' | '[' | ']'))
}

fn keyed(key: &str, value: String) -> Result<Term, QueryError> {
    Ok(match key {
        "service" => Term::Service(value),
        "severity" | "level" => Term::SeverityMin(severity(&value)?),
        "trace_id" => Term::TraceId(trace_id(&value)?),
        "span_id" => Term::SpanId(span_id(&value)?),
        "pattern_id" => Term::Pattern(pattern(&value)?),
        "event_name" => Term::EventName(value),
        "body" => Term::Phrase(value),
        _ if value == "*" => Term::HasAttribute(key.to_owned()),
        _ => Term::Attribute(key.to_owned(), value),
    })
}

fn value(text: &str, what: &'static str) -> QueryError {
    QueryError::Value { value: text.chars().take(60).collect(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: queries as people type them, with colons, dashes and quotes in unexpected places.
    // Guarantee: each reads as drawn; what cannot be read says why.
    #[test]
    fn queries() {
        let table = r#"
            timeout                      => Words("timeout")
            connection refused           => Words("connection") Words("refused")
            "connection refused"         => Phrase("connection refused")
            -timeout -"a b"              => Not(Words("timeout")) Not(Phrase("a b"))
            order-4711                   => Words("order-4711")
            service:cart                 => Service("cart")
            service:"my cart"            => Service("my cart")
            level:warn                   => SeverityMin(13)
            -severity:17                 => Not(SeverityMin(17))
            http.route:/api/x            => Attribute("http.route", "/api/x")
            user.id:"O'Brien"            => Attribute("user.id", "O'Brien")
            k8s.pod.name:*               => HasAttribute("k8s.pod.name")
            trace_id:0AF7651916CD43DD8448EB211C80319C => TraceId("0af7651916cd43dd8448eb211c80319c")
            trace_id:8448eb211c80319c    => TraceId("00000000000000008448eb211c80319c")
            Error: boom                  => Words("Error") Words("boom")
            http://host/x                => Words("http://host/x")
            12:30:45                     => Words("12:30:45")
            "say \"hi\" \\ \n"           => Phrase("say \"hi\" \\ \\n")
            - x                          => Words("x")
            ... !                        =>
            (timeout),                   => Words("timeout")
            100%                         => Words("100")
            "open                        => a quotation mark is not closed
            level:loud                   => `loud` is not a severity: give trace, debug, info, warn, error, fatal, or a number from 1 to 24
            trace_id:xyz                 => `xyz` is not a trace id (32 or 16 hex digits, not all zero)
            span_id:0000000000000000     => `0000000000000000` is not a span id (16 hex digits, not all zero)
        "#;
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (text, expected) = line.split_once("=>").unwrap();
            let read = match parse(text) {
                Ok(terms) => terms.iter().map(|term| format!("{term:?}")).collect::<Vec<_>>().join(" "),
                Err(error) => error.to_string(),
            };
            assert_eq!(read, expected.trim(), "{text}");
        }
    }
}
