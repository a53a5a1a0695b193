//! What a request asks for: ClickHouse's URL parameters, headers and credentials, sorted out.
//!
//! Pure parsing: nothing here touches the engine, and nothing decides what a user may do.

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};

use crate::compress::Encoding;
use crate::exception::Failure;

/// A request's parameters.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The `query` parameter.
    pub query: String,
    /// Current database.
    pub database: Option<String>,
    /// Output format when the statement names none.
    pub default_format: Option<String>,
    /// The client's name for the query.
    pub query_id: Option<String>,
    /// Session wanted.
    pub session: Option<SessionAsk>,
    /// Settings for this statement, in order.
    pub settings: Vec<(String, String)>,
    /// Values for `{name:Type}`.
    pub params: Vec<(String, String)>,
    /// `compress=1`.
    pub compress: bool,
    /// `decompress=1`.
    pub decompress: bool,
    /// `wait_end_of_query=1`.
    pub wait_end: bool,
    /// `enable_http_compression`, when given.
    pub http_compression: Option<bool>,
    /// `client_protocol_version`, which changes the Native format.
    pub protocol_version: u64,
}

/// A session as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionAsk {
    /// Its name.
    pub id: String,
    /// Seconds it lives without use.
    pub timeout_s: u64,
    /// Whether it must exist already.
    pub must_exist: bool,
}

/// Who says they are asking.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// User name, empty when none was given.
    pub user: String,
    /// Password.
    pub password: String,
    /// Whether anything was given at all.
    pub given: bool,
}

/// Settings that steer ClickHouse's HTTP server and mean nothing to the engine itself.
const HTTP_ONLY: &[&str] = &[
    "http_zlib_compression_level",
    "http_headers_progress_interval_ms",
    "http_native_compression_disable_checksumming_on_decompress",
    "http_response_buffer_size",
    "http_wait_end_of_query",
    "http_write_exception_in_output_format",
    "send_progress_in_http_headers",
    "cancel_http_readonly_queries_on_client_close",
    "add_http_cors_header",
    "http_make_head_request",
];

const SESSION_TIMEOUT_S: u64 = 60;
const SESSION_TIMEOUT_S_MAX: u64 = 3600;

/// Splits and decodes an `a=b&c=d` string.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => match bytes.get(at + 1..at + 3).and_then(hex_byte) {
                Some(byte) => {
                    out.push(byte);
                    at += 2;
                }
                None => out.push(b'%'),
            },
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}

impl Ask {
    /// Sorts parameters and headers out. Unknown names are settings; their syntax is checked here,
    /// their existence by whoever knows the engine.
    pub(crate) fn new(pairs: &[(String, String)], headers: &HeaderMap) -> Result<Self, Failure> {
        let mut ask = Self {
            database: header(headers, "X-ClickHouse-Database"),
            default_format: header(headers, "X-ClickHouse-Format"),
            ..Self::default()
        };
        let (mut session_id, mut session_timeout, mut session_check) = (None, None, false);
        for (name, value) in pairs {
            match name.as_str() {
                "query" => ask.query.push_str(value),
                "database" => ask.database = non_empty(value),
                "default_format" => ask.default_format = non_empty(value),
                "query_id" => ask.query_id = non_empty(value),
                "session_id" => session_id = non_empty(value),
                "session_timeout" => session_timeout = Some(value),
                "session_check" => session_check = flag(value),
                "compress" => ask.compress = flag(value),
                "decompress" => ask.decompress = flag(value),
                "wait_end_of_query" => ask.wait_end = flag(value),
                "enable_http_compression" => ask.http_compression = Some(flag(value)),
                "client_protocol_version" => ask.protocol_version = value.parse().unwrap_or(0),
                "user" | "password" | "quota_key" | "role" | "buffer_size" | "close_session" | "stacktrace"
                | "http_port" => {}
                name if HTTP_ONLY.contains(&name) => {}
                name => ask.take_other(name, value)?,
            }
        }
        if let Some(id) = session_id {
            ask.session = Some(SessionAsk {
                id,
                timeout_s: session_timeout_s(session_timeout.map(String::as_str))?,
                must_exist: session_check,
            });
        }
        if let Some(format) = &ask.default_format {
            check_name(format, "format")?;
        }
        Ok(ask)
    }

    fn take_other(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        if let Some(name) = name.strip_prefix("param_") {
            check_name(name, "query parameter")?;
            self.params.push((name.to_owned(), value.to_owned()));
            return Ok(());
        }
        check_name(name, "setting")?;
        if value.contains('\0') {
            return Err(bad_argument(format!("the value of setting {name} holds a NUL byte")));
        }
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
}

fn session_timeout_s(text: Option<&str>) -> Result<u64, Failure> {
    let Some(text) = text else { return Ok(SESSION_TIMEOUT_S) };
    text.parse().ok().filter(|seconds| *seconds <= SESSION_TIMEOUT_S_MAX).ok_or_else(|| {
        Failure::new(
            374,
            "INVALID_SESSION_TIMEOUT",
            format!("Invalid session timeout '{text}': at most {SESSION_TIMEOUT_S_MAX} seconds"),
        )
    })
}

/// Names reach the engine as arguments and inside SQL, so only identifiers pass.
fn check_name(name: &str, what: &str) -> Result<(), Failure> {
    let fits =
        !name.is_empty() && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits { Ok(()) } else { Err(bad_argument(format!("'{name}' is not the name of a {what}"))) }
}

fn bad_argument(message: String) -> Failure {
    Failure::new(36, "BAD_ARGUMENTS", message)
}

fn non_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn flag(value: &str) -> bool {
    matches!(value, "1" | "true" | "True" | "TRUE")
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).and_then(non_empty)
}

/// The credentials from, in this order, the `X-ClickHouse-*` headers, Basic authentication or the
/// URL. Mixing them is not refused as ClickHouse does; the first found decides.
pub(crate) fn credentials(pairs: &[(String, String)], headers: &HeaderMap) -> Credentials {
    let user = header(headers, "X-ClickHouse-User");
    let key = header(headers, "X-ClickHouse-Key");
    if user.is_some() || key.is_some() {
        return Credentials { user: user.unwrap_or_default(), password: key.unwrap_or_default(), given: true };
    }
    if let Some(basic) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        let (user, password) = basic_credentials(basic).unwrap_or_default();
        return Credentials { user, password, given: true };
    }
    let from_url = |wanted: &str| pairs.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let (user, password) = (from_url("user"), from_url("password"));
    let given = user.is_some() || password.is_some();
    Credentials { user: user.unwrap_or_default(), password: password.unwrap_or_default(), given }
}

fn basic_credentials(header: &str) -> Option<(String, String)> {
    use base64::Engine as _;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Whether the URL asks for the answer in ClickHouse's own compressed blocks.
pub(crate) fn wants_blocks(query: &str) -> bool {
    pairs(query).iter().any(|(name, value)| name == "compress" && flag(value))
}

/// The encoding of the body.
pub(crate) fn content_encoding(headers: &HeaderMap) -> Result<Encoding, Failure> {
    let Some(name) = headers.get(CONTENT_ENCODING) else { return Ok(Encoding::Identity) };
    name.to_str()
        .ok()
        .and_then(Encoding::named)
        .ok_or_else(|| Failure::new(48, "NOT_IMPLEMENTED", format!("Unknown compression method: {name:?}")))
}

/// The encoding wanted for the answer.
pub(crate) fn accepted_encoding(headers: &HeaderMap) -> Encoding {
    let header = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    header.map_or(Encoding::Identity, Encoding::accepted)
}

/// The boundary of a multipart form, when the body is one.
pub(crate) fn multipart_boundary(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    rest.split(';').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.to_owned())
    })
}

/// The fields of a multipart form. Files (external tables) are refused.
pub(crate) fn multipart_fields(body: &[u8], boundary: &str) -> Result<Vec<(String, String)>, Failure> {
    let damaged = || bad_argument("the multipart form is damaged".to_owned());
    let delimiter = format!("--{boundary}").into_bytes();
    let mut fields = Vec::new();
    let mut rest = &body[find(body, &delimiter).ok_or_else(damaged)? + delimiter.len()..];
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n").ok_or_else(damaged)?;
        let head_end = find(rest, b"\r\n\r\n").ok_or_else(damaged)?;
        let (name, is_file) = disposition(&rest[..head_end]).ok_or_else(damaged)?;
        if is_file {
            return Err(Failure::new(
                48,
                "NOT_IMPLEMENTED",
                "external tables in a multipart form are not supported by the embedded engine",
            ));
        }
        rest = &rest[head_end + 4..];
        let end_mark = [b"\r\n", &delimiter[..]].concat();
        let end = find(rest, &end_mark).ok_or_else(damaged)?;
        let value = std::str::from_utf8(&rest[..end]).map_err(|_| damaged())?;
        fields.push((name, value.to_owned()));
        rest = &rest[end + end_mark.len()..];
    }
    Ok(fields)
}

fn disposition(head: &[u8]) -> Option<(String, bool)> {
    let head = std::str::from_utf8(head).ok()?;
    let line = head.split("\r\n").find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let mut name = None;
    let mut is_file = false;
    for part in line.split(';').skip(1) {
        let (key, value) = part.split_once('=')?;
        match key.trim() {
            "name" => name = Some(value.trim().trim_matches('"').to_owned()),
            "filename" | "filename*" => is_file = true,
            _ => {}
        }
    }
    Some((name?, is_file))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &str) -> Result<Ask, Failure> {
        Ask::new(&pairs(query), &HeaderMap::new())
    }

    // Scenario: parameters as real clients send them, and hostile names.
    // Guarantee: each lands where it belongs; nothing but an identifier becomes a setting's name.
    #[test]
    fn sorts_parameters() {
        let parsed = ask("query=SELECT+%7Bx%3AString%7D&param_x=a%09b&database=d&max_threads=1&max_threads=2\
             &default_format=JSON&query_id=q&compress=1&send_progress_in_http_headers=1&role=r\
             &session_id=s&session_timeout=5&session_check=1")
        .unwrap();
        assert_eq!(parsed.query, "SELECT {x:String}");
        assert_eq!(parsed.params, [("x".to_owned(), "a\tb".to_owned())]);
        assert_eq!(parsed.settings, [("max_threads".to_owned(), "2".to_owned())]);
        assert_eq!(parsed.session.unwrap().timeout_s, 5);
        assert!(parsed.compress && parsed.database.as_deref() == Some("d"));
        for hostile in [
            "a-b=1",
            "a%3Db=1",
            "--path=1",
            "a%00=1",
            "a=%00",
            "%C3%A9=1",
            "param_a-b=1",
            "session_id=s&session_timeout=3601",
            "default_format=a%20b",
        ] {
            assert!(ask(hostile).is_err(), "{hostile}");
        }
    }

    // Scenario: the three ways to give credentials, and a damaged one.
    // Guarantee: headers win over Basic over the URL; a damaged header is no way in.
    #[test]
    fn finds_credentials() {
        let url = pairs("user=u&password=p%26");
        let mut headers = HeaderMap::new();
        let named =
            |user: &str, password: &str, given| Credentials { user: user.into(), password: password.into(), given };
        assert_eq!(credentials(&[], &headers), named("", "", false));
        assert_eq!(credentials(&url, &headers), named("u", "p&", true));
        headers.insert(AUTHORIZATION, "Basic YTpiOmM=".parse().unwrap());
        assert_eq!(credentials(&url, &headers), named("a", "b:c", true));
        headers.insert("X-ClickHouse-User", "h".parse().unwrap());
        headers.insert("X-ClickHouse-Key", "k".parse().unwrap());
        assert_eq!(credentials(&url, &headers), named("h", "k", true));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, "Bearer x".parse().unwrap());
        assert_eq!(credentials(&url, &headers), named("", "", true));
    }

    // Scenario: a form as the Rust and JavaScript clients build it, cut anywhere.
    // Guarantee: fields come back whole, line ends in values included; a cut form is an error.
    #[test]
    fn reads_multipart_forms() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"param_a\"\r\n\r\nx\r\n--y\r\n\
                     --B\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT 1\r\n--B--\r\n";
        let fields = multipart_fields(body, "B").unwrap();
        assert_eq!(fields[0], ("param_a".to_owned(), "x\r\n--y".to_owned()));
        assert_eq!(fields[1], ("query".to_owned(), "SELECT 1".to_owned()));
        for cut in 0..body.len() - 4 {
            assert!(multipart_fields(&body[..cut], "B").is_err(), "cut at {cut}");
        }
    }
}
