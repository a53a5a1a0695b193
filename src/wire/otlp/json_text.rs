//! A pull reader for JSON (RFC 8259): tokens from text that is known to be UTF-8, without a tree and
//! without recursion, so that depth costs no stack.

use std::borrow::Cow;

/// What is wrong, in words; the place is the reader's.
pub(super) type Wrong = &'static str;

/// Unknown values may be nested this deep; deeper ones are no telemetry.
const SKIP_DEPTH_MAX: usize = 10_000;

/// Reads one document from front to back.
pub(super) struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Json<'a> {
    pub(super) fn new(text: &'a str) -> Json<'a> {
        Json { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The first byte of the next token.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                _ => return Some(*byte),
            }
        }
        None
    }

    /// Takes the next byte if it is `wanted`.
    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Takes `word` (`null`, `true`, `false`).
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        self.peek();
        let found = self.text[self.at..].starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    /// The next element or member of a list: `true` when there is one. `first` is the list's state.
    pub(super) fn next(&mut self, first: &mut bool, close: u8) -> Result<bool, Wrong> {
        if self.take(close) {
            return Ok(false);
        }
        if !std::mem::replace(first, false) {
            if !self.take(b',') {
                return Err("a comma or the end of the list is missing");
            }
            if self.peek() == Some(close) {
                return Err("a value is missing after a comma");
            }
        }
        Ok(true)
    }

    /// A member's name and its colon.
    pub(super) fn name(&mut self) -> Result<Cow<'a, str>, Wrong> {
        if self.peek() != Some(b'"') {
            return Err("a member name in quotes is missing");
        }
        let name = self.string()?;
        if self.take(b':') { Ok(name) } else { Err("a colon is missing after a member name") }
    }

    /// A string; borrowed unless it has escapes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Wrong> {
        if !self.take(b'"') {
            return Err("a string was expected");
        }
        let start = self.at;
        let plain = self.plain_part()?;
        if self.text.as_bytes()[self.at] == b'"' {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut out = self.text[start..self.at].to_owned();
        loop {
            self.at += 1;
            match self.text.as_bytes()[self.at - 1] {
                b'"' => return Ok(Cow::Owned(out)),
                _ => out.push(self.escape()?),
            }
            out.push_str(self.plain_part()?);
        }
    }

    // Up to, and not including, the next quote or backslash.
    fn plain_part(&mut self) -> Result<&'a str, Wrong> {
        let rest = &self.text.as_bytes()[self.at..];
        let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        let Some(stop) = stop else { return Err("a string does not end") };
        if rest[stop] < 0x20 {
            self.at += stop;
            return Err("a control character stands unescaped in a string");
        }
        let part = &self.text[self.at..self.at + stop];
        self.at += stop;
        Ok(part)
    }

    // After the backslash.
    fn escape(&mut self) -> Result<char, Wrong> {
        let letter = self.text.as_bytes().get(self.at).copied().ok_or("a string does not end")?;
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let first = self.hex4()?;
                let code = match first {
                    0xd800..0xdc00 => {
                        let rest = &self.text.as_bytes()[self.at..];
                        if !rest.starts_with(b"\\u") {
                            return Err("a lone surrogate stands in a string");
                        }
                        self.at += 2;
                        let second = self.hex4()?;
                        if !(0xdc00..0xe000).contains(&second) {
                            return Err("a lone surrogate stands in a string");
                        }
                        0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    code => code,
                };
                char::from_u32(code).ok_or("a lone surrogate stands in a string")?
            }
            _ => return Err("an unknown escape stands in a string"),
        })
    }

    fn hex4(&mut self) -> Result<u32, Wrong> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or("a string does not end")?;
        self.at += 4;
        let mut code = 0;
        for digit in digits {
            let value = char::from(*digit).to_digit(16).ok_or("an escape is not four hex digits")?;
            code = code << 4 | value;
        }
        Ok(code)
    }

    /// A number as it is written.
    pub(super) fn number(&mut self) -> Result<&'a str, Wrong> {
        self.peek();
        let rest = &self.text[self.at..];
        let end = rest.bytes().position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let token = &rest[..end.unwrap_or(rest.len())];
        if !is_number(token) {
            return Err("a number was expected");
        }
        self.at += token.len();
        Ok(token)
    }

    /// Passes over one value of any kind and depth.
    pub(super) fn skip(&mut self) -> Result<(), Wrong> {
        let mut open: Vec<u8> = Vec::new();
        let mut first = false;
        loop {
            match self.peek() {
                Some(b'{' | b'[') if open.len() == SKIP_DEPTH_MAX => return Err("values are nested too deeply"),
                Some(byte @ (b'{' | b'[')) => {
                    self.at += 1;
                    open.push(byte + 2);
                    first = true;
                }
                Some(b'"') => drop(self.string()?),
                Some(b't' | b'f' | b'n') => {
                    if !(self.take_word("true") || self.take_word("false") || self.take_word("null")) {
                        return Err("a value was expected");
                    }
                }
                Some(_) => drop(self.number().map_err(|_| "a value was expected")?),
                None => return Err("the document ends too early"),
            }
            // Close what ends here, then stand before the next value.
            loop {
                let Some(close) = open.last().copied() else { return Ok(()) };
                if self.next(&mut first, close)? {
                    if close == b'}' {
                        self.name()?;
                    }
                    break;
                }
                open.pop();
                first = false;
            }
        }
    }
}

/// Whether `token` is a number by JSON's grammar.
pub(super) fn is_number(token: &str) -> bool {
    let unsigned = token.strip_prefix('-').unwrap_or(token);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

/// The integer that a number denotes exactly, also in forms such as `1.5e3`; `None` when it is a
/// fraction or out of all bounds.
pub(super) fn integer(token: &str) -> Option<i128> {
    let (negative, unsigned) = match token.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, token),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = [whole.trim_start_matches('0'), fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    // Trailing zeros may take up a negative shift.
    let significant = digits.trim_end_matches('0');
    let shift = exponent.checked_sub(fraction.len() as i32)?.checked_add((digits.len() - significant.len()) as i32)?;
    if shift < 0 || significant.len() as i64 + i64::from(shift) > 30 {
        return None;
    }
    let value = significant.parse::<i128>().ok()?.checked_mul(10i128.checked_pow(shift as u32)?)?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: documents of all shapes, well-formed and not.
    // Guarantee: exactly the well-formed ones are passed over whole.
    #[test]
    fn skipping() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let (fine, too_deep) = (deep(SKIP_DEPTH_MAX), deep(SKIP_DEPTH_MAX + 1));
        let good = [
            "{}",
            "[]",
            "1",
            "-0.5e+7",
            "\"a\\u00e9\\ud83d\\ude00\\n\"",
            "null",
            "true",
            "false",
            " { \"a\" : [ 1 , { } , [ ] , \"x\" ] , \"b\" : null } ",
            &fine,
        ];
        for text in good {
            let mut json = Json::new(text);
            assert_eq!(json.skip().map(|()| json.peek()), Ok(None), "{text:.40}");
        }
        let bad = [
            "",
            "{",
            "[",
            "{]",
            "[}",
            "[1,]",
            "{\"a\":1,}",
            "[,1]",
            "{,}",
            "[1 2]",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\"}",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "0x10",
            "NaN",
            "nul",
            "tru",
            "\"a",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\\u12\"",
            "\"a\nb\"",
            "'a'",
            "\"\\u12é4\"",
            &too_deep,
        ];
        for text in bad {
            let mut json = Json::new(text);
            assert!(json.skip().is_err() || json.peek().is_some(), "{text:.40}");
        }
    }

    // Scenario: integers in every notation, fractions, huge exponents.
    // Guarantee: exactly the whole numbers within 30 digits are read, exactly.
    #[test]
    fn integers() {
        for (token, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0e999999999", Some(0)),
            ("18446744073709551615", Some(18_446_744_073_709_551_615)),
            ("-9223372036854775808", Some(-9_223_372_036_854_775_808)),
            ("1.0", Some(1)),
            ("1.5e1", Some(15)),
            ("1.7e9", Some(1_700_000_000)),
            ("100e-2", Some(1)),
            ("0.00100e3", Some(1)),
            ("1e-1", None),
            ("1.05e1", None),
            ("1e400", None),
            ("1e99999999999", None),
            ("1e-2147483648", None),
        ] {
            assert_eq!(integer(token), expected, "{token}");
        }
    }
}
