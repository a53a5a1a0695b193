//! What the look of a word says: whether it is a value that a program put into its message, or a
//! word that a programmer wrote. The lists are English and small on purpose; what they miss is
//! found by comparing keys.

use crate::pattern::HOLE;

/// A hole as masking writes it.
pub(super) const HOLE_CHAR: char = HOLE as char;

/// Longer ones were not written by a programmer.
const WORD_BYTES_MAX: usize = 128;

/// What a word may be in its pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Brackets, commas and the like.
    Sign,
    /// A place in the source, Class#12 or main.go:12: the only words in which masking leaves digits.
    Place,
    /// The name of an error.
    Error,
    /// A word that is no name: states in capitals, participles, verbs.
    Fixed,
    /// A preposition: an argument follows.
    Preposition,
    /// A noun that is often followed by a name of such a thing.
    Noun,
    /// A word that may be a name.
    Name,
    /// A name with two dots or more: of a class, a property, an action.
    Dotted,
}

impl Role {
    /// Whether it stays in its pattern whatever else stands there.
    pub(super) fn stays(self) -> bool {
        matches!(self, Role::Place | Role::Error)
    }

    /// Whether it may be a name.
    pub(super) fn is_name(self) -> bool {
        matches!(self, Role::Name | Role::Dotted)
    }
}

/// The role of what [`super::tokens`] left as a word.
pub(super) fn role(word: &str) -> Role {
    if !word.bytes().any(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80) {
        return Role::Sign;
    }
    if has_place(word) {
        return Role::Place;
    }
    if ["Exception", "Error"].iter().any(|end| word.ends_with(end) && word.len() > end.len()) {
        return Role::Error;
    }
    if PREPOSITIONS.contains(&word) {
        return Role::Preposition;
    }
    if NOUNS.contains(&word) {
        return Role::Noun;
    }
    let plain = |byte: u8| byte.is_ascii_alphabetic() || byte >= 0x80 || matches!(byte, b'_' | b'-' | b'.' | b'$');
    let fixed = !word.bytes().all(plain)
        || !word.bytes().any(|byte| byte.is_ascii_lowercase() || byte >= 0x80)
        || word.ends_with("ed")
        || word.ends_with("ing")
        || NEVER_NAMES.contains(&word);
    if fixed {
        Role::Fixed
    } else if word.split('.').filter(|label| !label.is_empty()).count() > 2 {
        Role::Dotted
    } else {
        Role::Name
    }
}

/// Whether a word names a place in the source: only there does masking leave digits.
pub(super) fn has_place(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether a word is a value by its looks alone, holes in it aside.
pub(super) fn is_value(word: &str) -> bool {
    if word.len() > WORD_BYTES_MAX {
        return true;
    }
    if has_place(word) {
        return false;
    }
    word.contains("://")
        || is_path(word)
        || is_host(word)
        || word.split_once('@').is_some_and(|(name, at)| !name.is_empty() && !at.is_empty())
        || matches!(word, "true" | "false" | "True" | "False" | "null" | "NULL" | "nil" | "None" | "NaN" | "undefined")
}

fn is_path(word: &str) -> bool {
    let names = word.bytes().any(|byte| !matches!(byte, b'/' | b'.' | b'\\'));
    let rooted = ["/", "./", "../", "~/", "\\\\"].iter().any(|root| word.starts_with(root));
    names && (rooted || word.contains(":\\") || word.bytes().filter(|byte| *byte == b'/').count() > 1)
}

/// Whether a word is a host name: labels in small letters that end like one.
pub(super) fn is_host(word: &str) -> bool {
    let small = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'.');
    if word == "localhost" {
        return true;
    }
    let Some((before, last)) = word.rsplit_once('.') else { return false };
    if before.is_empty() || before.starts_with('.') || !word.bytes().all(small) {
        return false;
    }
    let mut labels = before.rsplit('.');
    let (second, third) = (labels.next().unwrap_or_default(), labels.next());
    // "java.net" is a package.
    (TOP_DOMAINS.contains(&last) && !before.starts_with("java"))
        || (third.is_some() && PRIVATE_DOMAINS.contains(&last))
        || (last.len() == 2 && SECOND_DOMAINS.contains(&second))
}

/// Whether parts between colons make one address: of a network card, IPv6, `host:port`.
pub(super) fn is_address(word: &str) -> bool {
    let mut parts = word.split(':');
    let (Some(first), Some(second)) = (parts.next(), parts.next()) else { return false };
    if parts.next().is_none() {
        let octet = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hole = |part: &str| part.contains(HOLE_CHAR);
        let host = first == "localhost"
            || (first.contains('.') && !first.bytes().any(|byte| byte.is_ascii_uppercase()) && !first.ends_with('.'));
        return match (hole(first), hole(second)) {
            (true, true) => true,
            (true, false) => octet(second),
            (false, true) => octet(first) || (host && second.chars().eq([HOLE_CHAR])),
            (false, false) => false,
        };
    }
    let group = |part: &str| {
        part.chars().eq([HOLE_CHAR]) || (part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    word.contains(HOLE_CHAR) && word.split(':').all(group)
}

/// Whether a word behind a number is its unit; a logger picks it by size.
pub(super) fn is_unit(word: &str) -> bool {
    UNITS.contains(&word)
}

/// Whether a word is the name of a day or month as dates spell it.
pub(super) fn is_date_word(word: &str) -> bool {
    DATE_WORDS.contains(&word)
}

/// Whether a word behind a time is its zone.
pub(super) fn is_zone(word: &str) -> bool {
    ZONES.contains(&word)
}

const PREPOSITIONS: [&str; 19] = [
    "for", "from", "to", "at", "on", "by", "of", "in", "with", "via", "as", "into", "onto", "through", "against",
    "under", "using", "within", "between",
];

const NOUNS: [&str; 44] = [
    "user",
    "username",
    "account",
    "host",
    "hostname",
    "node",
    "client",
    "server",
    "file",
    "directory",
    "folder",
    "path",
    "device",
    "interface",
    "process",
    "program",
    "command",
    "service",
    "class",
    "method",
    "function",
    "module",
    "package",
    "container",
    "pod",
    "image",
    "volume",
    "job",
    "task",
    "queue",
    "topic",
    "channel",
    "table",
    "database",
    "schema",
    "index",
    "bucket",
    "session",
    "domain",
    "group",
    "driver",
    "protocol",
    "action",
    "block",
];

// Words that stand where a name could, and are none.
const NEVER_NAMES: [&str; 40] = [
    "is", "are", "was", "were", "be", "been", "has", "have", "had", "not", "no", "and", "or", "the", "a", "an", "this",
    "that", "it", "its", "all", "any", "which", "who", "but", "will", "can", "could", "does", "did", "unknown",
    "invalid", "illegal", "up", "down", "out", "off", "ok", "dead", "alive",
];

const TOP_DOMAINS: [&str; 6] = ["com", "net", "org", "edu", "gov", "mil"];

const PRIVATE_DOMAINS: [&str; 8] = ["local", "internal", "lan", "arpa", "localdomain", "io", "info", "biz"];

const SECOND_DOMAINS: [&str; 9] = ["co", "com", "net", "org", "edu", "ac", "gov", "ne", "or"];

const UNITS: [&str; 38] = [
    "B",
    "KB",
    "MB",
    "GB",
    "TB",
    "kB",
    "KiB",
    "MiB",
    "GiB",
    "TiB",
    "K",
    "M",
    "G",
    "byte",
    "bytes",
    "ns",
    "us",
    "µs",
    "ms",
    "msec",
    "s",
    "sec",
    "secs",
    "second",
    "seconds",
    "millis",
    "milliseconds",
    "m",
    "min",
    "mins",
    "minute",
    "minutes",
    "h",
    "hour",
    "hours",
    "day",
    "days",
    "%",
];

const DATE_WORDS: [&str; 19] = [
    "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
    "Oct", "Nov", "Dec",
];

const ZONES: [&str; 16] =
    ["UTC", "GMT", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "CET", "CEST", "BST", "JST", "AM", "PM"];
