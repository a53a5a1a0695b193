//! Log patterns: what the logs of a window say, grouped; and the pattern ids that logs are shown with and
//! found by. An id is 16 hex digits; it stays good when its pattern joins others.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use correlate::patterns::template;
use model::kind::severity_name;
use moka::future::Cache;
use serde::Serialize;
use store::questions::logs::LogRow;
pub use store::questions::patterns::PatternName;
use store::questions::patterns::{self, PatternCount, PatternText};
use store::questions::{Ask, Bounds, LogMatch};
use store::rollup::REST_KEY;
use utoipa::ToSchema;

use crate::shared::{Ns, some};
use crate::time::TimeRange;
use crate::{View, ViewError, ask};

/// Patterns in an answer when no limit is given, and at most.
const LIMIT: (usize, usize) = (100, 1_000);
/// The pattern of a key is looked up again after this time: it may have joined another.
const KEPT: Duration = Duration::from_secs(3);
/// Keys of which the pattern is remembered.
const KEYS_MAX: u64 = 100_000;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct PatternsQuestion {
    /// Range of the records' times.
    pub range: TimeRange,
    /// Conditions.
    pub matching: LogMatch,
    /// Patterns wanted.
    pub limit: Option<usize>,
}

/// The patterns of a range.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PatternsAnswer {
    /// The most frequent first.
    pub patterns: Vec<LogPattern>,
    /// Patterns in all, those beyond the limit included.
    pub total_patterns: u64,
    /// Their log records.
    pub total_logs: u64,
}

/// Logs of one service that say the same.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LogPattern {
    /// 16 hex digits. An id that it had before still finds it.
    pub pattern_id: String,
    /// The text that its logs share, `<*>` for what differs; `<*>` alone stands for all that a service
    /// has too many kinds of.
    pub template: String,
    /// Service name.
    pub service: String,
    /// The highest level of its logs: trace, debug, info, warn, error, fatal or unset.
    pub severity: &'static str,
    /// Log records in the range.
    pub count: u64,
    /// The first of them.
    #[schema(value_type = String)]
    pub first_seen_ns: Ns,
    /// The last of them.
    #[schema(value_type = String)]
    pub last_seen_ns: Ns,
    /// The first that is known of at all, in the range or before.
    #[schema(value_type = String)]
    pub known_since_ns: Ns,
    /// The body of one of its logs, as text, cut after 2 KiB; not always one of the range.
    pub example: String,
    /// The place in the source that wrote it, where logs name it: file:line function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The patterns of keys, kept for a moment: by tenant, service and key.
pub(crate) struct KeyPatterns(Cache<(String, String, u64), u64>);

impl KeyPatterns {
    pub(crate) fn new() -> KeyPatterns {
        KeyPatterns(Cache::builder().max_capacity(KEYS_MAX).time_to_live(KEPT).build())
    }
}

/// Which pattern each of some logs has.
#[derive(Debug, Default)]
pub(crate) struct Ids<'r>(HashMap<(&'r str, u64), u64>);

impl Ids<'_> {
    /// The id that the logs with this key are shown with; none for a log that has no key. A key without a
    /// pattern stands for itself.
    pub(crate) fn shown(&self, service: &str, key: u64) -> Option<String> {
        (key != 0).then(|| hex(self.0.get(&(service, key)).copied().unwrap_or(key)))
    }
}

impl View {
    /// The patterns of the logs of a range, the most frequent first.
    pub async fn patterns(
        &self,
        tenant: &str,
        mut question: PatternsQuestion,
        now_ns: i64,
    ) -> Result<PatternsAnswer, ViewError> {
        let limit = match question.limit {
            Some(limit) if limit == 0 || limit > LIMIT.1 => {
                return Err(ViewError::Invalid(format!("`limit` is from 1 to {}", LIMIT.1)));
            }
            limit => limit.unwrap_or(LIMIT.0),
        };
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        understand(&ask, &mut question.matching).await?;
        let nothing = PatternsAnswer { patterns: Vec::new(), total_patterns: 0, total_logs: 0 };
        let window = question.range.window(now_ns)?;
        let Some(window) = Bounds::Logs.clip(&ask, window).await? else { return Ok(nothing) };
        let counts = patterns::counts(&ask, window, &question.matching, limit).await?;
        let Some(first) = counts.first() else { return Ok(nothing) };
        let (total_patterns, total_logs) = (first.patterns, first.all_logs);
        let kept: Vec<u64> = counts.iter().filter(|count| count.is_kept).map(|count| count.id).collect();
        let texts = if kept.is_empty() { Vec::new() } else { patterns::texts(&ask, kept).await? };
        let mut texts: HashMap<u64, PatternText> = texts.into_iter().map(|text| (text.id, text)).collect();
        let unkept: Vec<u64> = counts.iter().filter(|count| !count.is_kept).map(|count| count.key).collect();
        if !unkept.is_empty() {
            for (key, example) in patterns::examples(&ask, window, unkept).await? {
                let template = template(example.as_bytes());
                texts.entry(key).or_insert(PatternText { id: key, template, example, code: Default::default() });
            }
        }
        let patterns = counts.into_iter().map(|count| pattern(&count, texts.get(&count.id))).collect();
        Ok(PatternsAnswer { patterns, total_patterns, total_logs })
    }

    /// What the patterns of keys (service and key) look like, as far as they are known by now.
    pub async fn pattern_names(&self, tenant: &str, keys: &[(String, u64)]) -> Result<Vec<PatternName>, ViewError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.store.client()?;
        let services: BTreeSet<&String> = keys.iter().map(|(service, _)| service).collect();
        let services = services.into_iter().cloned().collect();
        let wanted = keys.iter().map(|(_, key)| *key).chain([REST_KEY]).collect();
        let found = patterns::names(&ask(&client, tenant), services, wanted).await?;
        let found: HashMap<(&str, u64), &PatternName> =
            found.iter().map(|name| ((name.service.as_str(), name.key), name)).collect();
        let named = |(service, key): &(String, u64)| {
            let name = found.get(&(service.as_str(), *key)).or_else(|| found.get(&(service.as_str(), REST_KEY)))?;
            Some(PatternName { key: *key, ..(*name).clone() })
        };
        Ok(keys.iter().filter_map(named).collect())
    }

    /// The present ids of the pattern that has an id, or had it.
    pub async fn present_patterns(&self, tenant: &str, id: u64) -> Result<Vec<u64>, ViewError> {
        let client = self.store.client()?;
        let means = patterns::meanings(&ask(&client, tenant), id).await?;
        Ok(means.into_iter().map(|meaning| meaning.id).collect())
    }

    /// The patterns of logs.
    pub(crate) async fn pattern_ids<'r>(&self, ask: &Ask<'_>, rows: &'r [LogRow]) -> Result<Ids<'r>, ViewError> {
        let mut ids = Ids::default();
        let of: BTreeSet<(&str, u64)> =
            rows.iter().filter(|row| row.pattern_key != 0).map(|row| (row.service.as_str(), row.pattern_key)).collect();
        let mut unknown: Vec<(&str, u64)> = Vec::new();
        let kept = &self.patterns.0;
        for (service, key) in of {
            match kept.get(&(ask.tenant.to_owned(), service.to_owned(), key)).await {
                Some(id) => drop(ids.0.insert((service, key), id)),
                None => unknown.push((service, key)),
            }
        }
        if unknown.is_empty() {
            return Ok(ids);
        }
        let services: BTreeSet<&str> = unknown.iter().map(|(service, _)| *service).collect();
        let services = services.into_iter().map(str::to_owned).collect();
        let keys = unknown.iter().map(|(_, key)| *key).chain([REST_KEY]).collect();
        let found = patterns::of_keys(ask, services, keys).await?;
        let found: HashMap<(&str, u64), u64> =
            found.iter().map(|row| ((row.service.as_str(), row.key), row.id)).collect();
        for (service, key) in unknown {
            if let Some(id) = found.get(&(service, key)).or_else(|| found.get(&(service, REST_KEY))) {
                ids.0.insert((service, key), *id);
                kept.insert((ask.tenant.to_owned(), service.to_owned(), key), *id).await;
            }
        }
        Ok(ids)
    }
}

/// Finds out what the pattern ids of a search stand for.
pub(crate) async fn understand(ask: &Ask<'_>, matching: &mut LogMatch) -> Result<(), ViewError> {
    for pattern in matching.patterns_mut() {
        pattern.means = patterns::meanings(ask, pattern.id).await?;
    }
    Ok(())
}

fn pattern(count: &PatternCount, text: Option<&PatternText>) -> LogPattern {
    let code = text.map(|text| place(&text.code)).and_then(some);
    LogPattern {
        pattern_id: hex(count.id),
        template: text.map_or(String::new(), |text| text.template.clone()),
        service: count.service.clone(),
        severity: match severity_name(count.severity) {
            "" => "unset",
            name => name,
        },
        count: count.logs,
        first_seen_ns: count.first_ns.into(),
        last_seen_ns: count.last_ns.into(),
        known_since_ns: if count.is_kept { count.since_ns.min(count.first_ns) } else { count.first_ns }.into(),
        example: text.map_or(String::new(), |text| text.example.clone()),
        code,
    }
}

fn place((file, line, function): &(String, String, String)) -> String {
    let colon = if line.is_empty() { "" } else { ":" };
    format!("{file}{colon}{line} {function}").trim().to_owned()
}

fn hex(id: u64) -> String {
    format!("{id:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: logs that name all, some and nothing of their place.
    // Guarantee: what is named is shown, without signs that stand for nothing.
    #[test]
    fn places() {
        let shown = |file: &str, line: &str, function: &str| place(&(file.into(), line.into(), function.into()));
        assert_eq!(shown("a.rs", "12", "run"), "a.rs:12 run");
        assert_eq!(shown("a.rs", "", "run"), "a.rs run");
        assert_eq!(shown("", "", "run"), "run");
        assert_eq!(shown("a.rs", "12", ""), "a.rs:12");
        assert_eq!(shown("", "", ""), "");
    }
}
