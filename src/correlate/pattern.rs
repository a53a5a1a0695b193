//! The key of a log's pattern: what stays of a body when numbers, ids, addresses and quoted values
//! are masked, hashed. It is kept simple and is never changed without a new rule version; what it
//! tells apart too finely is merged later, by what reads the keys.

use model::Batch;
use twox_hash::XxHash3_64;

use crate::RULE;
use crate::place::Places;

/// Bytes of a body that make its pattern; what follows is mostly a stack trace.
pub(crate) const BODY_BYTES_MAX: usize = 2048;

/// Gives every log of the batch its pattern key.
pub fn key_patterns(batch: &mut Batch) {
    let logs = &mut batch.logs;
    let mut masked = Vec::with_capacity(1024);
    let places = Places::of(logs);
    for row in 0..logs.len() {
        let name = logs.event_name.get(row);
        let place = places.as_ref().map_or(0, |places| places.at(logs, row));
        logs.pattern_key[row] = key(&mut masked, logs.body.get(row), name, logs.severity_number[row], place);
    }
}

/// The key of a body at a severity, from a place in the source ([`crate::patterns::place`]; 0 for none).
/// Never 0, which stands for "not computed".
pub fn pattern_key(body: &[u8], event_name: &[u8], severity_number: u8, place: u64) -> u64 {
    key(&mut Vec::new(), body, event_name, severity_number, place)
}

/// What of a body its key is made of: masked, each hole as the byte [`HOLE`].
pub(crate) fn mask_body(body: &[u8], masked: &mut Vec<u8>) {
    mask(&body[..body.len().min(BODY_BYTES_MAX)], masked);
}

fn key(masked: &mut Vec<u8>, body: &[u8], event_name: &[u8], severity_number: u8, place: u64) -> u64 {
    masked.clear();
    // Severities count by their range: 9 to 12 are all "info".
    masked.push(severity_number.div_ceil(4));
    if place != 0 {
        // No range: what follows is a place.
        masked.push(u8::MAX);
        masked.extend_from_slice(&place.to_le_bytes());
    }
    masked.extend_from_slice(event_name);
    masked.push(0);
    mask_body(body, masked);
    XxHash3_64::oneshot_with_seed(RULE, masked).max(1)
}

// Classes of bytes.
const ALPHA: u8 = 1;
const DIGIT: u8 = 2;
const HEX: u8 = 4;
const NOT_HEX: u8 = 8;
const SPACE: u8 = 16;
const QUOTE: u8 = 32;
const EQUALS: u8 = 64;
const WORD: u8 = ALPHA | DIGIT;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT | HEX,
            b'a'..=b'f' | b'A'..=b'F' => ALPHA | HEX,
            b'g'..=b'z' | b'G'..=b'Z' | b'_' | 0x80.. => ALPHA | NOT_HEX,
            b' ' | b'\t' | b'\r' | b'\n' => SPACE,
            b'"' | b'\'' => QUOTE,
            b'=' => EQUALS,
            _ => 0,
        };
        byte += 1;
    }
    class
};

/// Stands for anything masked; adjacent ones melt into one.
pub(crate) const HOLE: u8 = 0x1a;

struct Mask<'b, 'o> {
    body: &'b [u8],
    out: &'o mut Vec<u8>,
    // Everything before is written.
    written: usize,
    // The closing quote of the JSON message being read.
    message_end: usize,
}

/// Appends the masked form of `body`.
pub(crate) fn mask(body: &[u8], out: &mut Vec<u8>) {
    let json = body.trim_ascii_start().first() == Some(&b'{');
    let mut mask = Mask { body, out, written: 0, message_end: 0 };
    let mut at = 0;
    while at < body.len() {
        let class = CLASS[body[at] as usize];
        at = if class & WORD != 0 {
            mask.word(at)
        } else if class & SPACE != 0 {
            mask.space(at)
        } else if class & QUOTE != 0 {
            mask.quoted(at, json)
        } else if class & EQUALS != 0 && !json {
            mask.value(at)
        } else {
            at + 1
        };
    }
    mask.flush(body.len());
}

impl Mask<'_, '_> {
    // Writes what is kept up to `at`.
    fn flush(&mut self, at: usize) {
        self.out.extend_from_slice(&self.body[self.written..at]);
        self.written = at;
    }

    // Replaces from..to by a hole. A hole and one joining sign before it melt: addresses, dates and
    // lists of numbers become one hole, however many parts they have.
    fn hole(&mut self, from: usize, to: usize) -> usize {
        self.flush(from);
        match self.out[..] {
            [.., HOLE, b',', b' '] => self.out.truncate(self.out.len() - 2),
            [.., HOLE, b'.' | b'-' | b':' | b'/' | b',' | b'+'] => self.out.truncate(self.out.len() - 1),
            // A sign belongs to its number.
            [.., b' ' | b'_' | b'=' | b'(' | b'[' | b':', b'-'] => self.out.truncate(self.out.len() - 1),
            _ => {}
        }
        if self.out.last() != Some(&HOLE) {
            self.out.push(HOLE);
        }
        self.written = to;
        to
    }

    fn word(&mut self, from: usize) -> usize {
        let body = self.body;
        let mut flags = 0;
        let mut to = from;
        while to < body.len() && CLASS[body[to] as usize] & WORD != 0 {
            flags |= CLASS[body[to] as usize];
            to += 1;
        }
        if flags & DIGIT == 0 {
            // Words like "deadbeef", and groups of a UUID that happen to have no digit.
            let behind = self.behind_hole(from);
            let hex = flags & NOT_HEX == 0 && (to - from >= 8 || (to - from >= 4 && behind));
            let token = to - from >= 40 || (to - from >= 16 && behind);
            return if hex || token { self.hole(from, to) } else { to };
        }
        if is_source_line(body, from, to, flags) {
            return to;
        }
        let letters = body[from..to].iter().take_while(|byte| CLASS[**byte as usize] & ALPHA != 0).count();
        let numbered = letters >= 2
            && flags & NOT_HEX != 0
            && body[from + letters..to].iter().all(u8::is_ascii_digit)
            && !self.behind_hole(from);
        // "order7" keeps its name, "7f3k" does not.
        self.hole(if numbered { from + letters } else { from }, to)
    }

    fn behind_hole(&self, from: usize) -> bool {
        self.written + 1 == from
            && self.out.last() == Some(&HOLE)
            && matches!(self.body[self.written], b'.' | b'-' | b':' | b'/' | b'+')
    }

    // Runs of white space are one space.
    fn space(&mut self, from: usize) -> usize {
        let run = self.body[from..].iter().take_while(|byte| CLASS[**byte as usize] & SPACE != 0).count();
        if run > 1 || self.body[from] != b' ' {
            self.flush(from);
            self.out.push(b' ');
            self.written = from + run;
        }
        from + run
    }

    // A quoted value is a hole; in JSON keys are kept, and messages are read like any text.
    fn quoted(&mut self, from: usize, json: bool) -> usize {
        let body = self.body;
        let quote = body[from];
        // An apostrophe is within a word or behind one.
        if quote == b'\'' && (json || (from > 0 && CLASS[body[from - 1] as usize] & WORD != 0)) {
            return from + 1;
        }
        if self.message_end > 0 && from <= self.message_end {
            let to = memchr::memchr(quote, &body[from + 1..self.message_end.max(from + 1)]);
            return to.map_or(from + 1, |to| self.hole(from + 1, from + 1 + to) + 1);
        }
        let Some(to) = closing(body, from + 1, quote) else { return from + 1 };
        if !json {
            // logfmt: msg="took 5 s"
            let key = body[..from].strip_suffix(b"=").map_or(&b""[..], |before| {
                let letters = before.iter().rev().take_while(|byte| CLASS[**byte as usize] & WORD != 0).count();
                &before[before.len() - letters..]
            });
            if is_message(key) {
                self.message_end = to;
                return from + 1;
            }
            // What a request asks for is what happened; which page is a value.
            let method = METHODS.iter().find(|method| body[from + 1..to].starts_with(method)).map_or(0, |m| m.len());
            return self.hole(from + 1 + method, to) + 1;
        }
        let is_key = body[to + 1..].trim_ascii_start().first() == Some(&b':');
        if is_key {
            return to + 1;
        }
        if is_message(key_before(body, from)) {
            self.message_end = to;
            return from + 1;
        }
        self.hole(from + 1, to) + 1
    }

    // The value of key=value, unless it is one that names the event.
    fn value(&mut self, from: usize) -> usize {
        let body = self.body;
        let key = body[..from].iter().rev().take(24).take_while(|byte| CLASS[**byte as usize] & WORD != 0).count();
        let plain = body.get(from + 1).is_some_and(|byte| CLASS[*byte as usize] & WORD != 0 || *byte == b'/');
        if key == 0 || !plain || is_message(&body[from - key..from]) {
            return from + 1;
        }
        let end = body[from..].iter().position(|byte| {
            matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b';' | b')' | b']' | b'}' | b'&' | b'"' | b'|')
        });
        self.hole(from + 1, end.map_or(body.len(), |end| from + end))
    }
}

// The place in the source that wrote the log is part of the pattern: Class#12, main.go:12.
fn is_source_line(body: &[u8], from: usize, to: usize, flags: u8) -> bool {
    if flags & ALPHA != 0 || to - from > 6 || from < 2 || CLASS[body[from - 2] as usize] & ALPHA == 0 {
        return false;
    }
    match body[from - 1] {
        b'#' => true,
        b':' => {
            let extensions: [&[u8]; 14] = [
                b".java", b".py", b".go", b".rs", b".js", b".ts", b".kt", b".cs", b".rb", b".php", b".scala", b".cc",
                b".cpp", b".c",
            ];
            extensions.iter().any(|extension| body[..from - 1].ends_with(extension))
        }
        _ => false,
    }
}

// As request lines begin, in quotes, in the access logs of web servers.
const METHODS: [&[u8]; 8] = [b"GET ", b"POST ", b"PUT ", b"DELETE ", b"PATCH ", b"HEAD ", b"OPTIONS ", b"CONNECT "];

fn closing(body: &[u8], from: usize, quote: u8) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr::memchr(quote, &body[at..])?;
        let escapes = body[from..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some(at);
        }
        at += 1;
    }
}

// The JSON key whose value's opening quote is at `at`.
fn key_before(body: &[u8], at: usize) -> &[u8] {
    let before = body[..at].trim_ascii_end();
    let Some(before) = before.strip_suffix(b":") else { return b"" };
    let Some(before) = before.trim_ascii_end().strip_suffix(b"\"") else { return b"" };
    let start = memchr::memrchr(b'"', before).map_or(before.len(), |quote| quote + 1);
    &before[start..]
}

fn is_message(key: &[u8]) -> bool {
    const MESSAGES: [&[u8]; 20] = [
        b"msg",
        b"message",
        b"level",
        b"lvl",
        b"severity",
        b"event",
        b"body",
        b"logger",
        b"logger_name",
        b"caller",
        b"component",
        b"module",
        b"error",
        b"err",
        b"exception",
        b"method",
        b"status",
        b"state",
        b"log",
        b"type",
    ];
    MESSAGES.iter().any(|known| known.eq_ignore_ascii_case(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(body: &str) -> String {
        let mut out = Vec::new();
        mask(body.as_bytes(), &mut out);
        String::from_utf8_lossy(&out).replace(char::from(HOLE), "#")
    }

    // Scenario: lines of many loggers, with everything in them that changes from line to line.
    // Guarantee: what changes is masked, what names the event and its place in the source stays.
    #[test]
    fn masks() {
        let cases = [
            ("user 42 logged in", "user # logged in"),
            (
                "16:44:46.662 INFO  a.s.AssuranceServiceImpl#65 [create][Success]",
                "# INFO a.s.AssuranceServiceImpl#65 [create][Success]",
            ),
            ("TraceID: 6938752d20bbdda236614f3da953b121 SpanID: ffffab24d98e25f1 done", "TraceID: # SpanID: # done"),
            ("orderId: f2bc480e-810a-4d49-b678-cd8177bf6e83", "orderId: #"),
            ("orderId: deadbeef-face-4d49-abcd-cdaabbffeeaa", "orderId: #"),
            ("connect 10.0.0.1:8080 failed", "connect # failed"),
            ("2023-01-30T11:39:01.123Z start", "# start"),
            ("2023-01-30 11:39:01,123 start", "# # start"),
            ("took 12ms, 3.5 s, 0x7fff", "took # s, #"),
            ("GET /api/v1/users/123/orders?page=2", "GET /api/#/users/#/orders?page=#"),
            ("User \"bob \\\"x\\\"\" not found", "User \"#\" not found"),
            ("10.0.0.1 \"GET /a?b=1 HTTP/1.1\" 200", "# \"GET #\" #"),
            ("said \"GETTING there\"", "said \"#\""),
            ("can't open 'file.txt' for reading", "can't open '#' for reading"),
            ("level=info msg=\"took 5 s\" user=alice path=/a/b", "level=info msg=\"took # s\" user=# path=#"),
            ("level=info msg=\"user \\\"bob\\\" left\" by=\"x y\"", "level=info msg=\"user \\\"#\" left\" by=\"#\""),
            ("Order(id=5, status=PAID, owner=x)", "Order(id=#, status=PAID, owner=#)"),
            (
                "{\"level\":\"info\",\"msg\":\"user 7 left\",\"user\":\"bob\",\"n\":12}",
                "{\"level\":\"info\",\"msg\":\"user # left\",\"user\":\"#\",\"n\":#}",
            ),
            ("{\"msg\":\"user \\\"bob\\\" 7\",\"a\":\"b\"}", "{\"msg\":\"user \\\"#\" #\",\"a\":\"#\"}"),
            ("{\"level\" : \"info\", \"at\" : \"2023\"}", "{\"level\" : \"info\", \"at\" : \"#\"}"),
            ("block blk_-17 and blk_17 at -5", "block blk_# and blk_# at #"),
            ("worker order7 on node-12 got 7f3k9", "worker order# on node-# got #"),
            ("ids [1, 2, 3] and 1,2,3,4", "ids [#] and #"),
            ("panic at main.go:17: index 5", "panic at main.go:17: index #"),
            ("retry\tin \n 5s", "retry in #"),
            ("größe 5", "größe #"),
            ("", ""),
            ("\"", "\""),
            ("=", "="),
        ];
        for (body, expected) in cases {
            assert_eq!(masked(body), expected, "{body}");
        }
    }

    // Scenario: the same event twice, another event, another severity, another place.
    // Guarantee: the first two share a key, the others do not; keys are stable over releases.
    #[test]
    fn keys() {
        let key = |body: &str| pattern_key(body.as_bytes(), b"", 9, 0);
        assert_eq!(key("a.Impl#65 user 42 in"), key("a.Impl#65 user 4711 in"));
        assert_ne!(key("a.Impl#65 user 42 in"), key("a.Impl#66 user 42 in"));
        assert_ne!(key("user 42 in"), key("user 42 out"));
        assert_ne!(key("x"), pattern_key(b"x", b"", 17, 0));
        assert_eq!(key("x"), pattern_key(b"x", b"", 10, 0));
        assert_ne!(key("x"), pattern_key(b"x", b"started", 9, 0));
        let located = |place| pattern_key(b"user 42 logged in", b"", 9, place);
        assert_ne!(located(7), located(8));
        assert_ne!(located(7), located(0));
        assert_eq!(key("user 42 logged in"), STABLE, "a new key needs a new RULE");
    }
    const STABLE: u64 = 17_936_270_306_366_165_203;

    proptest! {
        // Scenario: any bytes.
        // Guarantee: a key, never a panic, the same one each time, never 0.
        #[test]
        fn any_bytes_have_a_key(body in prop::collection::vec(any::<u8>(), 0..300), text in "[\"'=a-f0-9#:{},. \\\\-]{0,100}") {
            for body in [&body[..], text.as_bytes()] {
                let key = pattern_key(body, b"", 0, 0);
                prop_assert_eq!(key, pattern_key(body, b"", 0, 0));
                prop_assert_ne!(key, 0);
            }
        }
    }
}
