//! Attribute values and their one stored encoding. ClickHouse's `Map(String, String)` of the
//! exporter keeps only text, so every map has a *type column* beside it, and both together give the
//! OTLP `AnyValue` back exactly.
//!
//! Text of a value: strings as they are; integers in decimal; doubles shortest-round-trip (`NaN`,
//! `Infinity`, `-Infinity`); booleans `true`/`false`; bytes as standard base64; empty as nothing;
//! arrays and maps as JSON in which doubles that are not finite and bytes are strings.
//!
//! Types of a row: one sign per value in order, `s` string, `b` bool, `i` int, `d` double, `y` bytes,
//! `e` empty, `[…]` array, `{…}` map with the signs of their values; a number after a scalar sign
//! repeats it (`i3` = `iii`); strings at the end of the row are left out, so a row of strings only
//! has the empty text.

use std::fmt::Write as _;

/// An OTLP `AnyValue`. Maps keep order and repeated keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value set.
    Empty,
    /// UTF-8 text.
    Str(String),
    /// Boolean.
    Bool(bool),
    /// Signed 64-bit integer.
    Int(i64),
    /// Double; NaN payloads are not kept.
    Double(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Array, mixed types allowed.
    Array(Vec<Value>),
    /// Key-value list.
    Map(Vec<(String, Value)>),
}

/// Appends one sign to a row's types, folding repeats of scalars.
pub fn push_sign(types: &mut Vec<u8>, sign: u8) {
    let digits = types.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let at = types.len() - digits;
    if at > 0 && types[at - 1] == sign && sign.is_ascii_lowercase() {
        let count = parse_count(&types[at..]).unwrap_or(1) + 1;
        types.truncate(at);
        types.extend_from_slice(count.to_string().as_bytes());
    } else {
        types.push(sign);
    }
}

/// Removes what need not be written: a final run of strings at the top level.
pub fn finish_types(types: &mut Vec<u8>) {
    let digits = types.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let at = types.len() - digits;
    if at > 0 && types[at - 1] == b's' {
        types.truncate(at - 1);
    }
}

/// Appends a double as [`Value`] texts write it.
pub fn push_double(out: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else {
        let mut text = String::new();
        // `{:?}` is the shortest text that reads back the same, with an exponent where it is long.
        let _ = write!(text, "{number:?}");
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(&text).as_bytes());
    }
}

/// Appends standard padded base64.
pub fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { digit } else { b'=' });
        }
    }
}

/// Appends a JSON string, quotes included.
pub fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if u32::from(c) < 0x20 => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

impl Value {
    /// Appends the value's text and its types.
    pub fn encode(&self, text: &mut Vec<u8>, types: &mut Vec<u8>) {
        match self {
            Value::Str(value) => {
                text.extend_from_slice(value.as_bytes());
                push_sign(types, b's');
            }
            Value::Empty => push_sign(types, b'e'),
            Value::Bytes(value) => {
                push_base64(text, value);
                push_sign(types, b'y');
            }
            Value::Double(value) => {
                push_double(text, *value);
                push_sign(types, b'd');
            }
            _ => self.encode_json(text, types),
        }
    }

    fn encode_json(&self, text: &mut Vec<u8>, types: &mut Vec<u8>) {
        match self {
            Value::Empty => {
                text.extend_from_slice(b"null");
                push_sign(types, b'e');
            }
            Value::Str(value) => {
                push_json_string(text, value);
                push_sign(types, b's');
            }
            Value::Bool(value) => {
                text.extend_from_slice(if *value { b"true" } else { b"false" });
                push_sign(types, b'b');
            }
            Value::Int(value) => {
                text.extend_from_slice(value.to_string().as_bytes());
                push_sign(types, b'i');
            }
            Value::Double(value) if value.is_finite() => {
                push_double(text, *value);
                push_sign(types, b'd');
            }
            Value::Double(value) => {
                text.push(b'"');
                push_double(text, *value);
                text.push(b'"');
                push_sign(types, b'd');
            }
            Value::Bytes(value) => {
                text.push(b'"');
                push_base64(text, value);
                text.push(b'"');
                push_sign(types, b'y');
            }
            Value::Array(values) => {
                text.push(b'[');
                types.push(b'[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        text.push(b',');
                    }
                    value.encode_json(text, types);
                }
                types.push(b']');
                text.push(b']');
            }
            Value::Map(pairs) => {
                text.push(b'{');
                types.push(b'{');
                for (at, (key, value)) in pairs.iter().enumerate() {
                    if at > 0 {
                        text.push(b',');
                    }
                    push_json_string(text, key);
                    text.push(b':');
                    value.encode_json(text, types);
                }
                types.push(b'}');
                text.push(b'}');
            }
        }
    }
}

/// Reads the types of one row, value by value.
pub struct Types<'a> {
    rest: &'a [u8],
    repeat: Option<(u8, u32)>,
    nested: u32,
}

impl<'a> Types<'a> {
    /// Reads `types`, the content of a type column.
    pub fn new(types: &'a [u8]) -> Types<'a> {
        Types { rest: types, repeat: None, nested: 0 }
    }

    /// The next value, whose text is `text`. A text that does not fit its sign (a cut one, or one
    /// that another program wrote) is given back as a string.
    pub fn value(&mut self, text: &str) -> Value {
        let sign = self.sign();
        match sign {
            b's' => Value::Str(text.to_owned()),
            b'e' => Value::Empty,
            b'y' => parse_base64(text).map_or_else(|| Value::Str(text.to_owned()), Value::Bytes),
            b'd' => parse_double(text).map_or_else(|| Value::Str(text.to_owned()), Value::Double),
            b'b' | b'i' => scalar(sign, text).unwrap_or_else(|| Value::Str(text.to_owned())),
            _ => {
                let mut json = Json { text, at: 0 };
                match self.nested(sign, &mut json) {
                    Some(value) if json.at == text.len() => value,
                    _ => {
                        self.skip_open();
                        Value::Str(text.to_owned())
                    }
                }
            }
        }
    }

    fn sign(&mut self) -> u8 {
        if let Some((sign, left)) = self.repeat.take() {
            if left > 1 {
                self.repeat = Some((sign, left - 1));
            }
            return sign;
        }
        let Some((&sign, rest)) = self.rest.split_first() else { return b's' };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Some(count) = parse_count(&rest[..digits])
            && count > 1
        {
            self.repeat = Some((sign, count - 1));
        }
        self.rest = &rest[digits..];
        match sign {
            b'[' | b'{' => self.nested += 1,
            b']' | b'}' => self.nested = self.nested.saturating_sub(1),
            _ => {}
        }
        sign
    }

    // After a text that could not be read: pass over the signs of what it should have been.
    fn skip_open(&mut self) {
        self.repeat = None;
        while self.nested > 0 && !self.rest.is_empty() {
            self.sign();
            self.repeat = None;
        }
    }

    fn ends(&mut self, close: u8) -> bool {
        if self.repeat.is_none() && self.rest.first() == Some(&close) {
            self.sign();
            return true;
        }
        false
    }

    fn nested(&mut self, sign: u8, json: &mut Json<'_>) -> Option<Value> {
        match sign {
            b'[' => {
                json.eat(b'[')?;
                let mut values = Vec::new();
                while !self.ends(b']') {
                    if !values.is_empty() {
                        json.eat(b',')?;
                    }
                    let sign = self.sign();
                    values.push(self.nested(sign, json)?);
                }
                json.eat(b']')?;
                Some(Value::Array(values))
            }
            b'{' => {
                json.eat(b'{')?;
                let mut pairs = Vec::new();
                while !self.ends(b'}') {
                    if !pairs.is_empty() {
                        json.eat(b',')?;
                    }
                    let key = json.string()?;
                    json.eat(b':')?;
                    let sign = self.sign();
                    pairs.push((key, self.nested(sign, json)?));
                }
                json.eat(b'}')?;
                Some(Value::Map(pairs))
            }
            b's' => json.string().map(Value::Str),
            b'y' => parse_base64(&json.string()?).map(Value::Bytes),
            b'e' => (json.word() == "null").then_some(Value::Empty),
            b'd' if json.peek() == Some(b'"') => parse_double(&json.string()?).map(Value::Double),
            b'd' => parse_double(json.word()).map(Value::Double),
            b'b' | b'i' => scalar(sign, json.word()),
            _ => None,
        }
    }
}

/// Bytes of a standard padded base64 text; `None` when it is not one.
pub fn parse_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let last = text.len() / 4;
    for (at, chunk) in text.chunks(4).enumerate() {
        let padding = chunk.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && at + 1 != last) {
            return None;
        }
        let mut word = 0u32;
        for byte in &chunk[..4 - padding] {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word = word << 6 | u32::from(digit);
        }
        let bytes = (word << (6 * padding)).to_be_bytes();
        out.extend_from_slice(&bytes[1..4 - padding]);
    }
    Some(out)
}

fn parse_count(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn parse_double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

fn scalar(sign: u8, text: &str) -> Option<Value> {
    match sign {
        b'b' => text.parse().ok().map(Value::Bool),
        _ => text.parse().ok().map(Value::Int),
    }
}

// A reader for exactly the JSON that `encode_json` writes: no white space, known escapes.
struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Json<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find([',', ']', '}']).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn string(&mut self) -> Option<String> {
        self.eat(b'"')?;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let stop = rest.find(['"', '\\'])?;
            out.push_str(&rest[..stop]);
            self.at += stop + 1;
            if rest.as_bytes()[stop] == b'"' {
                return Some(out);
            }
            let escape = self.peek()?;
            self.at += 1;
            match escape {
                b'n' => out.push('\n'),
                b'r' => out.push('\r'),
                b't' => out.push('\t'),
                b'u' => {
                    let code = u32::from_str_radix(self.text.get(self.at..self.at + 4)?, 16).ok()?;
                    out.push(char::from_u32(code)?);
                    self.at += 4;
                }
                b'"' | b'\\' => out.push(char::from(escape)),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Empty),
            any::<String>().prop_map(Value::Str),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            prop_oneof![any::<f64>(), Just(-0.0), Just(f64::INFINITY)]
                .prop_filter("NaN is unequal to itself", |number| !number.is_nan())
                .prop_map(Value::Double),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::vec((any::<String>(), inner), 0..6).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        // Scenario: rows of random values, nested, with repeated keys and hostile strings.
        // Guarantee: text and types together give back each value exactly.
        #[test]
        fn values_come_back(values in prop::collection::vec(any_value(), 0..12)) {
            let (mut texts, mut types) = (Vec::new(), Vec::new());
            for value in &values {
                let mut text = Vec::new();
                value.encode(&mut text, &mut types);
                texts.push(String::from_utf8(text).unwrap());
            }
            finish_types(&mut types);
            let mut reader = Types::new(&types);
            for (value, text) in values.iter().zip(&texts) {
                prop_assert_eq!(&reader.value(text), value);
            }
        }

        // Scenario: texts and types that do not belong together.
        // Guarantee: reading ends, and never panics.
        #[test]
        fn foreign_text_is_harmless(types in "[sbidye0-9\\[\\]{}]{0,20}", texts in prop::collection::vec(any::<String>(), 0..6)) {
            let mut reader = Types::new(types.as_bytes());
            for text in &texts {
                let _ = reader.value(text);
            }
        }
    }

    // Scenario: the signs of typical rows.
    // Guarantee: rows of strings cost nothing, repeats are folded.
    #[test]
    fn types_are_short() {
        let check = |values: &[Value], expected: &str| {
            let (mut text, mut types) = (Vec::new(), Vec::new());
            values.iter().for_each(|value| value.encode(&mut text, &mut types));
            finish_types(&mut types);
            assert_eq!(String::from_utf8(types).unwrap(), expected);
        };
        let s = || Value::Str("x".into());
        check(&[s(), s()], "");
        check(&[s(), s(), Value::Int(1), s()], "s2i");
        check(&[Value::Array(vec![Value::Int(1), Value::Int(2), Value::Bool(true)])], "[i2b]");
        check(&[Value::Map(vec![("a".into(), s())]), Value::Empty], "{s}e");
    }
}
