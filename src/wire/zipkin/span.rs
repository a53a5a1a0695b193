//! Zipkin's span and the rules that make one valid: id widths, lower-case names, absent for empty,
//! sorted annotations. Every format builds spans through these functions and nowhere else.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use model::kind::{CLIENT, CONSUMER, PRODUCER, SERVER};
use model::value::push_json_string;
use model::{SpanId, TraceId};

/// A tag: key and value.
pub type Tag<'a> = (Cow<'a, str>, Cow<'a, str>);

/// A Zipkin v2 span. Text borrows from the request where it can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZipkinSpan<'a> {
    /// Trace id; a 64-bit one stands in the low half.
    pub trace_id: TraceId,
    /// Whether the trace id is a 64-bit one (16 hex digits).
    pub id64: bool,
    /// Parent's span id.
    pub parent_id: Option<SpanId>,
    /// Span id.
    pub id: SpanId,
    /// Kind.
    pub kind: Option<Kind>,
    /// Name, lower-case; empty when absent.
    pub name: Cow<'a, str>,
    /// Start, microseconds since the epoch; 0 when absent.
    pub timestamp_us: u64,
    /// Duration in microseconds; 0 when absent.
    pub duration_us: u64,
    /// Who recorded the span.
    pub local: Option<Endpoint<'a>>,
    /// The other side.
    pub remote: Option<Endpoint<'a>>,
    /// Annotations, ascending, each once.
    pub annotations: Vec<Annotation<'a>>,
    /// Tags in the order sent, each key once.
    pub tags: Vec<Tag<'a>>,
    /// Whether sampling was overridden.
    pub debug: Option<bool>,
    /// Whether another side began the span.
    pub shared: Option<bool>,
}

/// Zipkin's span kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CLIENT
    Client,
    /// SERVER
    Server,
    /// PRODUCER
    Producer,
    /// CONSUMER
    Consumer,
}

/// Network context of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// Service name, lower-case; empty when absent.
    pub service_name: Cow<'a, str>,
    /// IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Port; 0 when absent.
    pub port: u16,
}

/// Something that happened at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Annotation<'a> {
    /// Microseconds since the epoch.
    pub timestamp_us: i64,
    /// What.
    pub value: Cow<'a, str>,
}

impl Kind {
    const ALL: [(Kind, &'static str, u8); 4] = [
        (Kind::Client, "CLIENT", CLIENT),
        (Kind::Server, "SERVER", SERVER),
        (Kind::Producer, "PRODUCER", PRODUCER),
        (Kind::Consumer, "CONSUMER", CONSUMER),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        Kind::ALL[self as usize].1
    }

    /// The number in OTLP and in the column.
    pub fn otlp(self) -> u8 {
        Kind::ALL[self as usize].2
    }

    /// From the name in JSON.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().find(|(_, known, _)| *known == name).map(|(kind, ..)| *kind)
    }

    /// From the number in OTLP; unspecified and internal are no kind in Zipkin.
    pub fn from_otlp(number: u8) -> Option<Kind> {
        Kind::ALL.iter().find(|(.., known)| *known == number).map(|(kind, ..)| *kind)
    }

    /// From the number in Zipkin's protobuf.
    pub fn from_proto(number: u64) -> Option<Kind> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        Kind::ALL.get(at).map(|(kind, ..)| *kind)
    }
}

impl ZipkinSpan<'_> {
    /// Applies the rules that need the whole span: the last one of repeated tags, ordered
    /// annotations, no span its own parent, no shared CLIENT.
    ///
    /// # Errors
    /// When an id is missing.
    pub fn finish(mut self) -> Result<Self, String> {
        let missing = match (self.trace_id.is_none(), self.id.is_none()) {
            (false, false) => None,
            (true, false) => Some("Missing : traceId"),
            (false, true) => Some("Missing : id"),
            (true, true) => Some("Missing : traceId id"),
        };
        if let Some(missing) = missing {
            return Err(missing.into());
        }
        if self.parent_id == Some(self.id) {
            self.parent_id = None;
        }
        if self.kind == Some(Kind::Client) && self.shared == Some(true) {
            self.shared = None;
        }
        self.local = self.local.filter(|endpoint| !endpoint.is_empty());
        self.remote = self.remote.filter(|endpoint| !endpoint.is_empty());
        self.annotations.sort();
        self.annotations.dedup();
        self.keep_last_tags();
        Ok(self)
    }

    /// The tag's value.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
    }

    fn keep_last_tags(&mut self) {
        let repeated = match self.tags.len() {
            0 | 1 => false,
            few @ 2..=16 => (1..few).any(|at| self.tags[..at].iter().any(|(key, _)| *key == self.tags[at].0)),
            _ => true,
        };
        if repeated {
            let mut seen = HashSet::new();
            let keep: Vec<bool> = self.tags.iter().rev().map(|(key, _)| seen.insert(&**key)).collect();
            let mut keep = keep.into_iter().rev();
            self.tags.retain(|_| keep.next().unwrap_or(true));
        }
    }
}

impl Endpoint<'_> {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.service_name.is_empty() && self.ipv4.is_none() && self.ipv6.is_none() && self.port == 0
    }

    /// Takes an address in text; one that is none is passed over, as Zipkin does.
    pub fn set_ip_text(&mut self, text: &str) {
        let embedded = text.strip_prefix("::").map(|rest| {
            let mapped = rest
                .split_once(':')
                .filter(|(mark, _)| mark.len() == 4 && mark.bytes().all(|byte| matches!(byte, b'f' | b'F' | b'0')));
            mapped.map_or(rest, |(_, dotted)| dotted)
        });
        if let Ok(ip) = embedded.unwrap_or(text).parse::<Ipv4Addr>() {
            self.ipv4 = Some(ip);
        } else if !text.contains('.')
            && let Ok(ip) = text.parse::<Ipv6Addr>()
        {
            self.ipv6 = Some(ip);
        }
    }

    /// Takes an address in bytes; an IPv4-compatible one becomes IPv4, other lengths are passed over.
    pub fn set_ip_bytes(&mut self, bytes: &[u8]) {
        if let Ok(four) = <[u8; 4]>::try_from(bytes) {
            self.ipv4 = Some(four.into());
        } else if let Ok(sixteen) = <[u8; 16]>::try_from(bytes) {
            let ip = Ipv6Addr::from(sixteen);
            if sixteen[..12] == [0; 12] && ip != Ipv6Addr::LOCALHOST {
                self.ipv4 = Some(Ipv4Addr::new(sixteen[12], sixteen[13], sixteen[14], sixteen[15]));
            } else {
                self.ipv6 = Some(ip);
            }
        }
    }

    /// Takes a port; 0 and less is absent.
    ///
    /// # Errors
    /// When it is above 65535.
    pub fn set_port(&mut self, port: i64) -> Result<(), String> {
        self.port = u16::try_from(port.max(0)).map_err(|_| format!("invalid port {port}"))?;
        Ok(())
    }

    /// Appends the one JSON form of the endpoint; absent fields are left out.
    pub fn push_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let key = |out: &mut Vec<u8>, name: &str| {
            if out.last() != Some(&b'{') {
                out.push(b',');
            }
            push_json_string(out, name);
            out.push(b':');
        };
        if !self.service_name.is_empty() {
            key(out, "serviceName");
            push_json_string(out, &self.service_name);
        }
        if let Some(ip) = self.ipv4 {
            key(out, "ipv4");
            push_json_string(out, &ip.to_string());
        }
        if let Some(ip) = self.ipv6 {
            key(out, "ipv6");
            push_json_string(out, &ipv6_text(ip));
        }
        if self.port != 0 {
            key(out, "port");
            out.extend_from_slice(self.port.to_string().as_bytes());
        }
        out.push(b'}');
    }
}

/// A trace id of 1 to 32 lower-case hex digits, and whether it is a 64-bit one.
///
/// # Errors
/// Zipkin's texts.
pub fn trace_id(text: &str) -> Result<(TraceId, bool), String> {
    check_hex(text, "traceId", 32)?;
    let id = TraceId::from_hex(text.as_bytes()).ok_or("traceId is all zeros")?;
    Ok((id, text.len() <= 16 || id.is_64_bit()))
}

/// A span id of 1 to 16 lower-case hex digits.
///
/// # Errors
/// Zipkin's texts.
pub fn span_id(text: &str) -> Result<SpanId, String> {
    check_hex(text, "id", 16)?;
    SpanId::from_hex(text.as_bytes()).ok_or_else(|| "id is all zeros".to_owned())
}

/// A parent's id of 1 to 16 lower-case hex digits; zeros are none.
///
/// # Errors
/// Zipkin's texts.
pub fn parent_id(text: &str) -> Result<Option<SpanId>, String> {
    check_hex(text, "parentId", 16)?;
    Ok(SpanId::from_hex(text.as_bytes()))
}

/// The name in lower case, borrowed when it already is.
pub fn lower_case(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return text;
    }
    Cow::Owned(text.to_lowercase())
}

fn check_hex(text: &str, field: &str, length_max: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{field} is empty"));
    }
    if text.len() > length_max {
        return Err(format!("{field}.length > {length_max}"));
    }
    if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(format!("{text} should be lower-hex encoded with no prefix"))
}

// Zipkin's text of an IPv6 address: the first longest run of zeros is compressed, be it a single
// group, and the last four bytes are never written with dots.
pub(super) fn ipv6_text(ip: Ipv6Addr) -> String {
    let groups = ip.segments();
    let (mut start, mut length, mut run) = (8, 0, 0);
    for (at, group) in groups.iter().enumerate() {
        run = if *group == 0 { run + 1 } else { 0 };
        if run > length {
            (start, length) = (at + 1 - run, run);
        }
    }
    let mut out = String::new();
    let mut at = 0;
    while at < 8 {
        if at == start {
            out.push_str("::");
            at += length;
            continue;
        }
        if at > 0 && !out.ends_with(':') {
            out.push(':');
        }
        let _ = write!(out, "{:x}", groups[at]);
        at += 1;
    }
    out
}
