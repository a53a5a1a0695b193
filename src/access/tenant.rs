//! Which tenant a request belongs to: the `X-Scope-OrgID` header, read strictly.
//!
//! The rules are those of the Grafana family, whose clients send this header: letters, digits and
//! `!-_.*'()`, at most 150 bytes, never `.` or `..`. Two headers, commas or bars would have two
//! meanings, so they are refused.

use std::sync::Arc;

use http::HeaderMap;

use crate::code::Error;

/// The header that names the tenant.
pub const HEADER: &str = "x-scope-orgid";

/// Longest tenant name, in bytes.
pub const BYTES_MAX: usize = 150;

/// The tenant that the headers name; `None` when they name none, or an empty one.
pub fn from_headers(headers: &HeaderMap) -> Result<Option<Arc<str>>, Error> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::invalid("the header X-Scope-OrgID is given more than once"));
    }
    let name = value.to_str().map_err(|_| Error::invalid("the header X-Scope-OrgID is not plain text"))?;
    // Proxies and templates leave the header empty where they have no tenant: it names none.
    if name.is_empty() {
        return Ok(None);
    }
    if let Some(problem) = problem(name) {
        return Err(Error::invalid(format!("the header X-Scope-OrgID {problem}")));
    }
    Ok(Some(Arc::from(name)))
}

/// What is wrong with a tenant name, if anything.
pub fn problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > BYTES_MAX {
        return Some("is longer than 150 bytes");
    }
    if name == "." || name == ".." {
        return Some("must not be `.` or `..`");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!-_.*'()".contains(&byte)) {
        return Some("has a character other than letters, digits and !-_.*'()");
    }
    None
}

/// Whether a name matches a pattern in which `*` stands for any characters, also none.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The leftmost place is always the best one: it leaves most for the parts that follow.
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: header lines as honest, careless and hostile clients send them.
    // Guarantee: one well-formed header is a tenant, none is none, everything else is refused.
    #[test]
    fn header_has_one_meaning() {
        let long = "a".repeat(150);
        let longer = "a".repeat(151);
        // Header lines, and the tenant or a part of the refusal.
        type Row<'a> = (&'a [&'a str], Result<Option<&'a str>, &'a str>);
        let cases: &[Row<'_>] = &[
            (&[], Ok(None)),
            (&["team-a"], Ok(Some("team-a"))),
            (&["a.b_c!*'()"], Ok(Some("a.b_c!*'()"))),
            (&[&long], Ok(Some(&long))),
            (&[&longer], Err("longer")),
            (&["a", "b"], Err("more than once")),
            (&["a", "a"], Err("more than once")),
            (&[""], Ok(None)),
            (&["", "a"], Err("more than once")),
            (&["a|b"], Err("character")),
            (&["a,b"], Err("character")),
            (&["a/b"], Err("character")),
            (&["a b"], Err("character")),
            (&["a'; DROP"], Err("character")),
            (&[".."], Err("must not")),
            (&["."], Err("must not")),
            (&["\u{e4}"], Err("plain text")),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in *lines {
                let value = http::HeaderValue::from_bytes(line.as_bytes()).expect("a header value");
                headers.append(HEADER, value);
            }
            match (from_headers(&headers), expected) {
                (Ok(found), Ok(wanted)) => assert_eq!(found.as_deref(), *wanted, "{lines:?}"),
                (Err(error), Err(part)) => assert!(error.message.contains(part), "{lines:?}: {error}"),
                (found, _) => panic!("{lines:?}: {found:?}"),
            }
        }
    }

    // Scenario: patterns with stars in every place.
    // Guarantee: `*` is any run of characters, all else is literal and the whole name must match.
    #[test]
    fn patterns() {
        let table = [
            ("*", "anything", true),
            ("*", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*b", "ab", true),
            ("*b", "ba", false),
            ("a*b", "ab", true),
            ("a*b", "a", false),
            ("a*a", "a", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("*-prod", "shop-prod", true),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "ab", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
