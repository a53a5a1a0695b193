//! Rules and silences of the configuration: they are every tenant's, unless it keeps one of the same name by the API.

use ::watch::{Rule, Silence};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use view::incidents::{RULE, SILENCE};

/// Most of each.
const MOST: usize = 1_000;

/// What is written in `watch.rules` and `watch.silences`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configured {
    /// Rules; no two have the same name.
    pub(crate) rules: Vec<Rule>,
    /// Silences; no two have the same id.
    pub(crate) silences: Vec<Silence>,
}

/// What rules and silences have in common.
pub(crate) trait Named: Clone + Serialize + DeserializeOwned {
    /// What tells it from others of its tenant.
    fn name(&self) -> &str;

    /// Whether it makes sense.
    ///
    /// # Errors
    /// A sentence that names the field.
    fn check(&self) -> Result<(), String>;
}

impl Named for Rule {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), String> {
        Rule::check(self)
    }
}

impl Named for Silence {
    fn name(&self) -> &str {
        &self.id
    }

    fn check(&self) -> Result<(), String> {
        Silence::check(self)
    }
}

impl Configured {
    /// Those of a kind as the API shows them.
    pub(crate) fn values(&self, kind: &str) -> Vec<Value> {
        fn all<T: Serialize>(items: &[T]) -> Vec<Value> {
            items.iter().filter_map(|item| serde_json::to_value(item).ok()).collect()
        }
        match kind {
            RULE => all(&self.rules),
            SILENCE => all(&self.silences),
            _ => Vec::new(),
        }
    }
}

/// Reads a JSON array.
///
/// # Errors
/// The number of the item that is wrong, from 0, where one is, and a sentence.
pub(crate) fn read<T: Named>(text: &str) -> Result<Vec<T>, (Option<usize>, String)> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let items: Vec<Value> = serde_json::from_str(text)
        .map_err(|_| (None, "must be a list of tables; outside of the file, a JSON array".to_owned()))?;
    if items.len() > MOST {
        return Err((Some(MOST), format!("may have {MOST} items")));
    }
    let mut read: Vec<T> = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let bad = |reason: String| (Some(at), format!("item {}: {reason}", at + 1));
        let item: T = serde_json::from_value(item).map_err(|error| bad(error.to_string()))?;
        item.check().map_err(bad)?;
        if read.iter().any(|other| other.name() == item.name()) {
            return Err(bad(format!("there is one called `{}` before it", item.name())));
        }
        read.push(item);
    }
    Ok(read)
}

/// What a tenant keeps, with those of the configuration whose names it does not use; what cannot be read is left out.
pub(crate) fn with_kept<T: Named>(configured: &[T], kept: &[String]) -> Vec<T> {
    let mut all: Vec<T> = kept.iter().filter_map(|body| serde_json::from_str(body).ok()).collect();
    let others = configured.iter().filter(|item| all.iter().all(|kept| kept.name() != item.name()));
    let others: Vec<T> = others.cloned().collect();
    all.extend(others);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<Rule> {
        read(text).unwrap()
    }

    const PAY: &str = r#"{"name":"pay","when":{"kind":"absence","service":"pay","for_s":60}}"#;

    // Scenario: lists of rules, right and wrong.
    // Guarantee: what is wrong is refused with the number of its item and the field.
    #[test]
    fn wrong_items_are_refused_by_number() {
        assert_eq!((rules("").len(), rules("[]").len(), rules(&format!("[{PAY}]")).len()), (0, 0, 1));
        for (text, at, part) in [
            ("pay,cart".to_owned(), None, "list of tables"),
            ("[1]".to_owned(), Some(0), "item 1: "),
            (format!("[{PAY},{PAY}]"), Some(1), "item 2: there is one called `pay`"),
            (
                format!("[{PAY},{}]", PAY.replace("60", "5").replace("\"pay\",\"when", "\"b\",\"when")),
                Some(1),
                "`for_s`",
            ),
            (format!("[{}]", PAY.replace("for_s", "for")), Some(0), "`for`"),
            (format!("[{}]", [PAY; MOST + 1].join(",")), Some(MOST), "1000"),
        ] {
            let (found, reason) = read::<Rule>(&text).unwrap_err();
            assert!(found == at && reason.contains(part), "{reason}");
        }
    }

    // Scenario: a tenant keeps a rule with the name of a configured one, another, and one that nobody can read.
    // Guarantee: its own stand in place of the configured ones; the others stay.
    #[test]
    fn a_tenants_own_come_first() {
        let configured = rules(&format!("[{PAY},{}]", PAY.replace("\"pay\",\"when", "\"cart\",\"when")));
        let own = PAY.replace("60", "90");
        let all =
            with_kept(&configured, &[own.clone(), "?".to_owned(), own.replace("\"pay\",\"when", "\"new\",\"when")]);
        let told: Vec<(&str, bool)> =
            all.iter().map(|rule| (rule.name.as_str(), serde_json::to_string(rule).unwrap().contains("90"))).collect();
        assert_eq!(told, [("pay", true), ("new", true), ("cart", false)]);
    }
}
