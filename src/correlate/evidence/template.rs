//! The kind of a log line from nothing but the line: what evidence uses where no pattern is known yet.
//!
//! The key of [`crate::pattern_key`] covers the whole body; bodies that end in lists or dumps of objects
//! have a new one each time. The beginning tells the event as well: this takes the first words, and the
//! place in the source, which tells apart what the words do not (a caught exception shows as nothing but
//! the absence of the line that would have come next).

use twox_hash::XxHash3_64;

use crate::RULE;
use crate::pattern::{HOLE, mask};

/// Words of the masked body that make a template.
const WORDS_MAX: usize = 12;
/// So many of them where the location is known: it names the statement nearly always, and these tell apart what
/// goes through one place in a wrapper around the logger.
const WORDS_LOCATED: usize = 6;

/// Bytes of a body that are looked at.
const BODY_BYTES_MAX: usize = 512;

/// Kind of a log line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// Stable number; never 0, 1 or 2.
    pub key: u64,
    /// First words of the masked body, `*` for what was masked; without the location.
    pub text: String,
    /// `Class#line` or `file.go:12` as the body or the record's attributes give it; empty when unknown.
    pub location: String,
}

impl Template {
    /// Of a body at a severity. `location` is `code.file.path:code.line.number` or the like where the record
    /// has it; else it is looked for in the body.
    pub fn of(body: &[u8], severity_number: u8, location: &str) -> Template {
        let mut masked = Vec::with_capacity(256);
        mask(&body[..body.len().min(BODY_BYTES_MAX)], &mut masked);
        let masked = String::from_utf8_lossy(&masked);
        let mut found = location.to_owned();
        if found.is_empty() {
            let body = String::from_utf8_lossy(&body[..body.len().min(BODY_BYTES_MAX)]);
            let words = body.split_ascii_whitespace().take(WORDS_MAX);
            found.extend(words.map(trimmed).find(|word| is_location(word)));
        }
        let mut text = String::with_capacity(128);
        for word in masked.split(' ').filter(|word| !word.is_empty() && trimmed(word) != found).take(WORDS_MAX) {
            if !text.is_empty() {
                text.push(' ');
            }
            text.extend(word.chars().map(|letter| if letter == char::from(HOLE) { '*' } else { letter }));
        }
        let mut keyed = vec![severity_number.div_ceil(4)];
        keyed.extend_from_slice(found.as_bytes());
        keyed.push(0);
        let words = if found.is_empty() { WORDS_MAX } else { WORDS_LOCATED };
        text.split(' ').take(words).for_each(|word| keyed.extend_from_slice(word.as_bytes()));
        // Apart from the keys of whole bodies, and from the two events that are no lines.
        let key = XxHash3_64::oneshot_with_seed(RULE ^ 0x7e3a, &keyed).max(16);
        Template { key, text, location: found }
    }
}

fn trimmed(word: &str) -> &str {
    word.trim_end_matches([')', ']', ',', ';', ':']).trim_start_matches(['(', '['])
}

// `f.s.FoodServiceImpl#240`, `o.a.c.C.[dispatcherServlet]#175`, `main.go:17`.
fn is_location(word: &str) -> bool {
    let Some((name, line)) = word.rsplit_once(['#', ':']) else { return false };
    let is_line = (1..=6).contains(&line.len()) && line.bytes().all(|byte| byte.is_ascii_digit());
    let named = name.bytes().any(|byte| byte.is_ascii_alphabetic());
    let file = word.contains('#')
        || name.rsplit_once('.').is_some_and(|(_, extension)| extension.len() <= 5 && !name.contains(':'));
    is_line && named && file && !name.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: lines of one statement with other values and lengths, of another statement, with a location given.
    // Guarantee: one key for the first, another for the second; the location is found or taken over.
    #[test]
    fn a_statement_has_one_key() {
        let of = |body: &str| Template::of(body.as_bytes(), 9, "");
        let first =
            of("16:44:46.662 INFO  a.s.AssuranceServiceImpl#65 TraceID: 6938752d20bbdda2 SpanID: ffffab24d98e25f1 \
                        [create][AddAssurance][Success]");
        let again =
            of("17:01:02.003 INFO  a.s.AssuranceServiceImpl#65 TraceID: 0138752d20bbdda2 SpanID: a1ffab24d98e25f1 \
                        [create][AddAssurance][Success]");
        assert_eq!(first.key, again.key);
        assert_eq!(first.location, "a.s.AssuranceServiceImpl#65");
        assert_eq!(first.text, "* INFO TraceID: * SpanID: * [create][AddAssurance][Success]");
        let other =
            of("16:44:46.662 INFO  a.s.AssuranceServiceImpl#66 TraceID: 6938752d20bbdda2 SpanID: ffffab24d98e25f1 \
                        [create][AddAssurance][Success]");
        assert_ne!(first.key, other.key);
        assert_ne!(of("user 1 in").key, Template::of(b"user 1 in", 17, "").key);
        assert_eq!(Template::of(b"user 1 in", 9, "main.py:3").location, "main.py:3");
        assert_eq!(of("panic at main.go:17: index 5").location, "main.go:17");
        assert_eq!(of("").text, "");
    }
}
