//! Rules of people: a threshold, an error pattern, a new pattern, an absence. What is wrong with one is said in a
//! sentence that names the field.

use serde::{Deserialize, Serialize};

/// Longest window of a rule: so much is kept of the past.
const WINDOW_MAX_S: i64 = 600;
/// And of durations.
const WINDOW_MAX_P95_S: i64 = 180;
const ABSENCE_MAX_S: i64 = 7 * 86_400;
const SLOT_S: i64 = 10;

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name; unique.
    pub name: String,
    /// Whether it is looked at.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// When it fires.
    pub when: Condition,
}

/// When a rule fires. A service is selected by its name, `*` for all, or `name*` for those that begin so; with
/// several, each is looked at for itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// A signal of the work that enters a service is above or below a value in a window.
    Threshold {
        /// Which.
        signal: Measure,
        /// Service.
        service: String,
        /// Operation; without, all of the service together.
        #[serde(default)]
        operation: String,
        /// Fires above this.
        #[serde(default)]
        above: Option<f64>,
        /// Fires below this.
        #[serde(default)]
        below: Option<f64>,
        /// Length of the window, seconds.
        window_s: i64,
        /// With fewer requests in the window a ratio or a percentile says nothing.
        #[serde(default = "ten")]
        requests_min: f64,
    },
    /// So many lines of a severity or above, of one pattern or of all together.
    ErrorPattern {
        /// Service.
        service: String,
        /// Pattern id, or key, in hexadecimal; without, any.
        #[serde(default)]
        pattern: String,
        /// Severity number from which on lines count.
        #[serde(default = "error")]
        severity_min: u8,
        /// Fires at so many.
        count: u64,
        /// Length of the window, seconds.
        window_s: i64,
    },
    /// A pattern that its service never wrote before.
    NewPattern {
        /// Service.
        service: String,
        /// Severity number from which on it counts.
        #[serde(default = "error")]
        severity_min: u8,
    },
    /// A service that was there sends nothing.
    Absence {
        /// Service.
        service: String,
        /// For so long, seconds.
        for_s: i64,
    },
}

/// What a threshold is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of requests that fail, 0 to 1.
    ErrorRatio,
    /// Requests that fail.
    Errors,
    /// 95th percentile of the duration, milliseconds.
    P95Ms,
    /// Requests per second.
    Throughput,
}

fn yes() -> bool {
    true
}

fn ten() -> f64 {
    10.0
}

fn error() -> u8 {
    17
}

impl Rule {
    /// Reads a rule from JSON.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn from_json(text: &str) -> Result<Rule, String> {
        let rule: Rule = serde_json::from_str(text).map_err(|error| error.to_string())?;
        rule.check().map(|()| rule)
    }

    /// Whether it can be followed.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn check(&self) -> Result<(), String> {
        if self.name.trim().is_empty() {
            return Err("`name` is empty".to_owned());
        }
        if self.name.len() > 200 || self.name.chars().any(char::is_control) {
            return Err("`name` is longer than 200 bytes or has control characters".to_owned());
        }
        self.when.check().map_err(|error| format!("rule `{}`: {error}", self.name))
    }
}

impl Condition {
    /// The selector of its services.
    pub fn service(&self) -> &str {
        match self {
            Condition::Threshold { service, .. }
            | Condition::ErrorPattern { service, .. }
            | Condition::NewPattern { service, .. }
            | Condition::Absence { service, .. } => service,
        }
    }

    fn check(&self) -> Result<(), String> {
        check_selector("service", self.service())?;
        match self {
            Condition::Threshold { signal, above, below, window_s, requests_min, .. } => {
                let longest_s = if *signal == Measure::P95Ms { WINDOW_MAX_P95_S } else { WINDOW_MAX_S };
                check_window("window_s", *window_s, longest_s)?;
                for (field, value) in [("above", above), ("below", below)] {
                    if value.is_some_and(|value| !value.is_finite() || value < 0.0) {
                        return Err(format!("`{field}` is not a number from 0 on"));
                    }
                    if *signal == Measure::ErrorRatio && value.is_some_and(|value| value > 1.0) {
                        return Err(format!("`{field}` is an error ratio, from 0 to 1: 5 % is 0.05"));
                    }
                }
                if above.is_none() && below.is_none() {
                    return Err("neither `above` nor `below` is given".to_owned());
                }
                if !requests_min.is_finite() || *requests_min < 0.0 {
                    return Err("`requests_min` is not a number from 0 on".to_owned());
                }
                Ok(())
            }
            Condition::ErrorPattern { pattern, severity_min, count, window_s, .. } => {
                check_window("window_s", *window_s, WINDOW_MAX_S)?;
                check_severity(*severity_min)?;
                if *count == 0 {
                    return Err("`count` is 0: it would always fire".to_owned());
                }
                if !pattern.is_empty() && pattern_key(pattern).is_none() {
                    return Err(format!("`pattern` is not an id of up to 16 hexadecimal digits: `{pattern}`"));
                }
                Ok(())
            }
            Condition::NewPattern { severity_min, .. } => check_severity(*severity_min),
            Condition::Absence { for_s, .. } if !(30..=ABSENCE_MAX_S).contains(for_s) => {
                Err(format!("`for_s` is {for_s}; it may be 30 to {ABSENCE_MAX_S} seconds"))
            }
            Condition::Absence { .. } => Ok(()),
        }
    }
}

impl Rule {
    /// The pattern that it is about, if it is about one.
    pub fn pattern(&self) -> Option<u64> {
        match &self.when {
            Condition::ErrorPattern { pattern, .. } => pattern_key(pattern),
            _ => None,
        }
    }
}

pub(crate) fn pattern_key(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// Whether a selector means a name.
pub(crate) fn selects(selector: &str, name: &str) -> bool {
    match selector.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => selector == name,
    }
}

pub(crate) fn check_selector(field: &str, selector: &str) -> Result<(), String> {
    if selector.trim().is_empty() {
        return Err(format!("`{field}` is empty; `*` means all"));
    }
    let stars = selector.matches('*').count();
    if stars > 1 || (stars == 1 && !selector.ends_with('*')) {
        return Err(format!("`{field}` may have one `*`, at its end: `{selector}`"));
    }
    Ok(())
}

fn check_window(field: &str, window_s: i64, max_s: i64) -> Result<(), String> {
    if !(SLOT_S..=max_s).contains(&window_s) {
        return Err(format!("`{field}` is {window_s}; it may be {SLOT_S} to {max_s} seconds"));
    }
    Ok(())
}

fn check_severity(severity: u8) -> Result<(), String> {
    if !(1..=24).contains(&severity) {
        return Err(format!("`severity_min` is {severity}; OTLP has 1 to 24, 17 is ERROR"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: rules as people write them, right and wrong.
    // Guarantee: the right ones are read; each wrong one is refused by a sentence with the field's name.
    #[test]
    fn wrong_rules_are_refused_by_field() {
        for right in [
            r#"{"name":"a","when":{"kind":"threshold","signal":"error_ratio","service":"pay","above":0.05,"window_s":60}}"#,
            r#"{"name":"a","when":{"kind":"error_pattern","service":"*","count":100,"window_s":600}}"#,
            r#"{"name":"a","enabled":false,"when":{"kind":"new_pattern","service":"pay*"}}"#,
            r#"{"name":"a","when":{"kind":"absence","service":"pay","for_s":300}}"#,
        ] {
            let rule = Rule::from_json(right).unwrap();
            assert_eq!(Rule::from_json(&serde_json::to_string(&rule).unwrap()).unwrap(), rule);
        }
        for (wrong, field) in [
            (r#"{"name":" ","when":{"kind":"absence","service":"pay","for_s":300}}"#, "`name`"),
            (r#"{"name":"a","when":{"kind":"absence","service":"","for_s":300}}"#, "`service`"),
            (r#"{"name":"a","when":{"kind":"absence","service":"a*b","for_s":300}}"#, "`service`"),
            (r#"{"name":"a","when":{"kind":"absence","service":"pay","for_s":5}}"#, "`for_s`"),
            (r#"{"name":"a","when":{"kind":"absence","service":"pay","for_s":300,"foo":1}}"#, "foo"),
            (r#"{"name":"a","what":1,"when":{"kind":"absence","service":"pay","for_s":300}}"#, "what"),
            (r#"{"name":"a","when":{"kind":"presence","service":"pay"}}"#, "presence"),
            (
                r#"{"name":"a","when":{"kind":"threshold","signal":"error_ratio","service":"p","window_s":60}}"#,
                "`above`",
            ),
            (
                r#"{"name":"a","when":{"kind":"threshold","signal":"error_ratio","service":"p","above":5,"window_s":60}}"#,
                "`above`",
            ),
            (
                r#"{"name":"a","when":{"kind":"threshold","signal":"p95_ms","service":"p","above":-5,"window_s":60}}"#,
                "`above`",
            ),
            (
                r#"{"name":"a","when":{"kind":"threshold","signal":"p95_ms","service":"p","above":5,"window_s":190}}"#,
                "`window_s`",
            ),
            (r#"{"name":"a","when":{"kind":"threshold","signal":"p99","service":"p","above":5,"window_s":60}}"#, "p99"),
            (r#"{"name":"a","when":{"kind":"error_pattern","service":"*","count":0,"window_s":60}}"#, "`count`"),
            (
                r#"{"name":"a","when":{"kind":"error_pattern","service":"*","pattern":"xyz","count":1,"window_s":60}}"#,
                "`pattern`",
            ),
            (r#"{"name":"a","when":{"kind":"new_pattern","service":"*","severity_min":0}}"#, "`severity_min`"),
        ] {
            let error = Rule::from_json(wrong).unwrap_err();
            assert!(error.contains(field), "{wrong}: {error}");
        }
    }
}
