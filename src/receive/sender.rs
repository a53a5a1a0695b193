//! Who sent it, for the loss ledger: peer address and program. Both are chosen by strangers, so the
//! text is short and plain. Forwarding headers are not believed.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use access::Error;
use axum::extract::ConnectInfo;
use http::header::USER_AGENT;
use http::request::Parts;

use crate::WAIT_HEADER;

const PROGRAM_BYTES_MAX: usize = 64;

/// `127.0.0.1 OTel-OTLP-Exporter-Python/1.45.2`; the parts that are unknown are left out.
pub(crate) fn describe(parts: &Parts) -> Arc<str> {
    let mut text = String::with_capacity(96);
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| canonical(info.0.ip()));
    if let Some(peer) = peer {
        let _ = write!(text, "{peer}");
    }
    let agent = parts.headers.get(USER_AGENT).map_or(&b""[..], |value| value.as_bytes());
    let program = agent.split(|byte| *byte == b' ').next().unwrap_or_default();
    let program = program.iter().filter(|byte| byte.is_ascii_graphic()).take(PROGRAM_BYTES_MAX);
    let before = text.len();
    text.extend(program.map(|byte| char::from(*byte)));
    if before > 0 && text.len() > before {
        text.insert(before, ' ');
    }
    Arc::from(text)
}

/// Whether the sender asks for the answer after storing.
pub(crate) fn waits_for_storing(parts: &Parts) -> Result<bool, Error> {
    match parts.headers.get(WAIT_HEADER) {
        None => Ok(false),
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"stored") => Ok(true),
        Some(_) => Err(Error::invalid("the header X-Hypocenter-Wait knows only the value `stored`")),
    }
}

// IPv4 clients of an IPv6 socket are IPv4 clients.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: user agents as SDKs write them, and as attackers do; known and unknown peers.
    // Guarantee: the sender is short printable ASCII, and the peer is what the socket says.
    #[test]
    fn senders_are_plain() {
        let long = format!("{}/1", "x".repeat(500));
        let short = "x".repeat(64);
        let cases: [(Option<&str>, &[u8], &str); 8] = [
            (Some("127.0.0.1:5"), b"OTel-OTLP-Exporter-Python/1.45.2", "127.0.0.1 OTel-OTLP-Exporter-Python/1.45.2"),
            (Some("127.0.0.1:5"), b"grpc-python/1.0 grpc-c/2 (linux; x)", "127.0.0.1 grpc-python/1.0"),
            (Some("[::ffff:10.0.0.7]:5"), b"", "10.0.0.7"),
            (Some("[2001:db8::1]:5"), b"curl/8", "2001:db8::1 curl/8"),
            (None, b"curl/8", "curl/8"),
            (None, b"", ""),
            (None, b"a\xffb\tc", "abc"),
            (None, long.as_bytes(), &short),
        ];
        for (peer, agent, expected) in cases {
            let mut request = http::Request::new(());
            if let Some(peer) = peer {
                let peer: SocketAddr = peer.parse().expect("an address");
                request.extensions_mut().insert(ConnectInfo(peer));
            }
            let agent = http::HeaderValue::from_bytes(agent).expect("a header value");
            request.headers_mut().insert(USER_AGENT, agent);
            assert_eq!(&*describe(&request.into_parts().0), expected);
        }
    }
}
