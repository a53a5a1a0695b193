//! Silences: for a while nobody is told of a service or of a rule. Incidents are recorded all the same.

use serde::{Deserialize, Serialize};

use crate::incident::Incident;
use crate::rule::{check_selector, selects};

/// A silence. Empty selectors select all, but not both may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Silence {
    /// Its name.
    pub id: String,
    /// Service: the suspect, or where the symptoms come from; `name*` for those that begin so.
    pub service: String,
    /// Rule that opened the incident.
    pub rule: String,
    /// From when on, nanoseconds; written as text, as 64-bit numbers do not survive every JSON reader. RFC 3339 is read, too.
    #[serde(with = "as_text")]
    pub from_ns: i64,
    /// Until when.
    #[serde(with = "as_text")]
    pub until_ns: i64,
    /// Why.
    pub comment: String,
}

mod as_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(i64),
        Text(String),
    }

    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
    pub(super) fn serialize<S: Serializer>(ns: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(ns)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Number(ns) => Ok(ns),
            Written::Text(text) => {
                let moment = || text.trim().parse::<jiff::Timestamp>().ok()?.as_nanosecond().try_into().ok();
                let ns = text.trim().parse().ok().or_else(moment);
                ns.ok_or_else(|| {
                    D::Error::custom(format!("`{text}` is no number of nanoseconds, and no time by RFC 3339"))
                })
            }
        }
    }
}

impl Silence {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn check(&self) -> Result<(), String> {
        if self.id.trim().is_empty() {
            return Err("`id` is empty".to_owned());
        }
        if self.service.is_empty() && self.rule.is_empty() {
            return Err("`service` and `rule` are both empty; `*` as service silences everything".to_owned());
        }
        for (field, selector) in [("service", &self.service), ("rule", &self.rule)] {
            if !selector.is_empty() {
                check_selector(field, selector)?;
            }
        }
        if self.until_ns <= self.from_ns {
            return Err("`until_ns` is not after `from_ns`".to_owned());
        }
        Ok(())
    }

    /// Whether it covers an incident now.
    pub fn covers(&self, incident: &Incident, now_ns: i64) -> bool {
        if !(self.from_ns..self.until_ns).contains(&now_ns) {
            return false;
        }
        let rule = self.rule.is_empty() || (!incident.rule.is_empty() && selects(&self.rule, &incident.rule));
        // The suspect decides; until there is one, where the symptoms come from.
        let service = self.service.is_empty()
            || match incident.suspect() {
                Some(suspect) => selects(&self.service, &suspect.service),
                None => {
                    self.service == "*"
                        || incident.origins.iter().any(|origin| selects(&self.service, origin))
                        || incident.services().iter().any(|service| selects(&self.service, service))
                }
            };
        rule && service
    }
}
