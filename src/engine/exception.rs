//! Failures as ClickHouse's HTTP interface shows them: status, text, and the in-band form for a
//! failure after the headers have gone.
//!
//! Clients match on `Code: N. DB::Exception:` and on the status, so both follow ClickHouse.

use crate::ffi::EngineError;

/// A failure to be shown to a client.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// ClickHouse's error code.
    pub code: u32,
    /// HTTP status.
    pub status: u16,
    text: String,
}

impl Failure {
    /// A failure of our own with ClickHouse's code and name for it.
    pub(crate) fn new(code: u32, name: &str, message: impl std::fmt::Display) -> Self {
        Self { code, status: http_status(code), text: format!("Code: {code}. DB::Exception: {message}. ({name})") }
    }

    /// The same with another status.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The body of an error answer.
    pub(crate) fn text(&self, version: &str) -> String {
        let text = self.text.trim_end();
        if text.contains(" (version ") {
            return format!("{text}\n");
        }
        format!("{text} (version {version} (official build))\n")
    }

    /// The failure inside an answer that has begun (ClickHouse 25.11 and later): clients find
    /// it by the tag that they were told in `X-ClickHouse-Exception-Tag`.
    pub(crate) fn in_band(&self, tag: &str, version: &str) -> Vec<u8> {
        let mut text = self.text(version);
        truncate(&mut text, IN_BAND_TEXT_BYTES_MAX);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let length = text.len();
        format!("\r\n__exception__\r\n{tag}\r\n{text}{length} {tag}\r\n__exception__\r\n").into_bytes()
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let code = error.code();
        Self { code, status: http_status(code), text: error.0 }
    }
}

/// Clients look for the mark in the last 16 to 32 KiB.
const IN_BAND_TEXT_BYTES_MAX: usize = 15 << 10;

fn truncate(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let mut end = bytes_max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

/// ClickHouse's table of codes to statuses; 500 for all others.
fn http_status(code: u32) -> u16 {
    match code {
        194 => 401,
        192 | 193 | 497 | 512 | 516 => 403,
        6 | 8 | 15 | 25 | 26 | 27 | 36 | 37 | 38 | 41 | 44 | 53 | 62 | 72 | 117 | 123 | 167 | 168 | 223 | 321 | 376
        | 427 | 441 | 675 | 676 => 400,
        46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 152 | 336 | 511 => 404,
        159 => 408,
        381 => 411,
        229 => 413,
        779 => 415,
        48 => 501,
        76 | 202 | 209 | 439 => 503,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: a failure after output, with a text far over the bound.
    // Guarantee: the length counts the text's bytes with its line end, as every client computes it.
    #[test]
    fn in_band_form_is_self_describing() {
        for text in ["boom".to_owned(), "é".repeat(40_000)] {
            let failure = Failure::new(159, "TIMEOUT_EXCEEDED", text);
            let bytes = failure.in_band("0123456789abcdef", "26");
            let shown = String::from_utf8(bytes).unwrap();
            let inner = shown
                .strip_prefix("\r\n__exception__\r\n0123456789abcdef\r\n")
                .and_then(|rest| rest.strip_suffix(" 0123456789abcdef\r\n__exception__\r\n"))
                .unwrap();
            let (message, length) = inner.rsplit_once('\n').unwrap();
            assert_eq!(length.parse::<usize>().unwrap(), message.len() + 1);
            assert!(shown.len() < 16 << 10);
            assert!(message.starts_with("Code: 159. DB::Exception: "));
        }
    }
}
