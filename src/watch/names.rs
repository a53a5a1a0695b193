//! What the lines of pattern keys say, told by whoever knows the patterns: for words that people can read, and for
//! rules about a pattern, to which many keys may belong.

use std::collections::BTreeMap;

use crate::subject::Subject;

/// Patterns change: a name is asked for again after so long.
const GOOD_S: i64 = 300;
/// The most that is shown of a template.
const SHOWN_MAX: usize = 90;

/// The pattern of a service's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Service.
    pub service: String,
    /// Key.
    pub key: u64,
    /// The pattern's id.
    pub id: u64,
    /// What its lines share.
    pub template: String,
    /// When the first of them came, seconds since the epoch.
    pub since_s: i64,
}

/// What is known of keys.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<(String, u64), (i64, Pattern)>);

impl Names {
    pub(crate) fn learn(&mut self, now_s: i64, patterns: Vec<Pattern>) {
        let known = patterns.into_iter().map(|pattern| ((pattern.service.clone(), pattern.key), (now_s, pattern)));
        self.0.extend(known);
    }

    pub(crate) fn of(&self, service: &str, key: u64) -> Option<&Pattern> {
        self.0.get(&(service.to_owned(), key)).map(|(_, pattern)| pattern)
    }

    pub(crate) fn is_good(&self, now_s: i64, service: &str, key: u64) -> bool {
        self.0.get(&(service.to_owned(), key)).is_some_and(|(told_s, _)| now_s - told_s < GOOD_S)
    }

    /// Keeps what is still watched.
    pub(crate) fn retain(&mut self, is_watched: impl Fn(&str, u64) -> bool) {
        self.0.retain(|(service, key), _| is_watched(service, *key));
    }

    /// A text about a subject, with the key replaced by what its lines say.
    pub(crate) fn tell(&self, subject: &Subject, text: &mut String) {
        let Subject::Lines { service, pattern, .. } = subject else { return };
        let Some(known) = self.of(service, *pattern) else { return };
        let mut words: String = known.template.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Some((end, _)) = words.char_indices().nth(SHOWN_MAX) {
            words.truncate(end);
            words.push('…');
        }
        *text = text.replacen(&format!("{pattern:016x}"), &format!("\"{words}\""), 1);
    }
}
