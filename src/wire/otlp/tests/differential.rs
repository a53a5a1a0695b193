//! Same bytes, same rows: random messages through the walker and through `opentelemetry-proto`.

use model::{Decoded, Limits, Protocol, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message;

use super::oracle::{self, lines};
use super::random::{self, Random};
use crate::DecodeError;
use crate::otlp::schema;

fn decode(protocol: Protocol, body: &[u8]) -> Result<Decoded, DecodeError> {
    crate::decode(protocol, body, super::envelope(), &Limits::default())
}

fn protocols(signal: Signal) -> (Protocol, Protocol) {
    match signal {
        Signal::Traces => (Protocol::OtlpTracesProto, Protocol::OtlpTracesJson),
        Signal::Logs => (Protocol::OtlpLogsProto, Protocol::OtlpLogsJson),
        Signal::Metrics => (Protocol::OtlpMetricsProto, Protocol::OtlpMetricsJson),
    }
}

// Rows by the walker, and how many items were refused.
fn ours(signal: Signal, decoded: &Decoded) -> (Vec<String>, u64) {
    let rows = match signal {
        Signal::Traces => lines(&oracle::read_spans(&decoded.batch)),
        Signal::Logs => lines(&oracle::read_logs(&decoded.batch)),
        Signal::Metrics => lines(&oracle::read_metrics(&decoded.batch)),
    };
    (rows, decoded.account.refused())
}

// Rows by `opentelemetry-proto`; `None` when it cannot decode the bytes.
fn theirs(signal: Signal, body: &[u8]) -> Option<(Vec<String>, u64)> {
    Some(match signal {
        Signal::Traces => {
            let (rows, refused) = oracle::expect_spans(&ExportTraceServiceRequest::decode(body).ok()?);
            (lines(&rows), refused)
        }
        Signal::Logs => (lines(&oracle::expect_logs(&ExportLogsServiceRequest::decode(body).ok()?)), 0),
        Signal::Metrics => (lines(&oracle::expect_metrics(&ExportMetricsServiceRequest::decode(body).ok()?)), 0),
    })
}

fn message(signal: Signal, random: &mut Random) -> Vec<u8> {
    match signal {
        Signal::Traces => random.traces().encode_to_vec(),
        Signal::Logs => random.logs().encode_to_vec(),
        Signal::Metrics => random.metrics().encode_to_vec(),
    }
}

fn any_signal() -> impl Strategy<Value = Signal> {
    prop_oneof![Just(Signal::Traces), Just(Signal::Logs), Just(Signal::Metrics)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    // Scenario: random messages (all fields, nested values, unknown enum numbers, invalid ids) in
    // prost's bytes and rewritten in another legal way.
    // Guarantee: the columns give back exactly the valid part; the rest is counted.
    #[test]
    fn protobuf(signal in any_signal(), seed: u64) {
        let mut random = Random::new(seed);
        let plain = message(signal, &mut random);
        let rewritten = random::rewrite(&plain, schema::request(signal), &mut random);
        for body in [&plain, &rewritten] {
            let decoded = decode(protocols(signal).0, body).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(Some(ours(signal, &decoded)), theirs(signal, body));
        }
    }

    // Scenario: the same messages in random JSON spellings, and in the JSON of `opentelemetry-proto`.
    // Guarantee: JSON gives the rows that protobuf gives.
    #[test]
    fn json(signal in any_signal(), seed: u64) {
        let mut random = Random::new(seed);
        let plain = message(signal, &mut random);
        let mut text = String::new();
        random::json(&plain, schema::request(signal), &mut random, &mut text);
        let decoded = decode(protocols(signal).1, text.as_bytes())
            .map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(Some(ours(signal, &decoded)), theirs(signal, &plain), "{}", text);
    }

    // Scenario: valid messages with some bytes changed, cut or inserted.
    // Guarantee: what prost decodes comes out the same, what it refuses is refused (overridden metric
    // data aside, which is not read), and nothing panics.
    #[test]
    fn mutated(signal in any_signal(), seed: u64) {
        let mut random = Random::new(seed);
        let mut body = message(signal, &mut random);
        for _ in 0..=random.below(3) {
            let at = random.below(body.len());
            match random.below(3) {
                0 if !body.is_empty() => body[at] = random.next() as u8,
                1 => body.insert(at, random.next() as u8),
                _ => body.truncate(body.len().saturating_sub(random.below(20))),
            }
        }
        let decoded = decode(protocols(signal).0, &body);
        match theirs(signal, &body) {
            Some(expected) => {
                let decoded = decoded.map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert_eq!(ours(signal, &decoded), expected);
            }
            None => prop_assert!(decoded.is_err() || signal == Signal::Metrics),
        }
    }

    // Scenario: random bytes, and random JSON-like text, as any protocol.
    // Guarantee: an answer, never a panic.
    #[test]
    fn garbage(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a-zA-Z0-9\\\\. ]{0,80}") {
        crate::fuzz::decode_any(&bytes);
        crate::fuzz::decode_any(text.as_bytes());
        crate::fuzz::decompress_any(&bytes);
    }
}

// Scenario: one message of each signal, cut at every byte, and every byte changed.
// Guarantee: an error or rows, never a panic.
#[test]
fn every_cut() {
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        let body = message(signal, &mut Random::new(4));
        let mut random = Random::new(1);
        let mut text = String::new();
        random::json(&body, schema::request(signal), &mut random, &mut text);
        for cut in 0..body.len() {
            let _ = decode(protocols(signal).0, &body[..cut]);
            let mut changed = body.clone();
            changed[cut] ^= 0x81;
            let _ = decode(protocols(signal).0, &changed);
        }
        for cut in 0..text.len() {
            assert!(decode(protocols(signal).1, &text.as_bytes()[..cut]).is_err(), "an unfinished document");
        }
    }
}

// Scenario: the JSON of an independent writer (serde in `opentelemetry-proto`).
// Guarantee: it is read as the protobuf of the same message is.
#[test]
fn foreign_json() {
    for seed in 0..200 {
        // That writer turns infinite doubles into null, and prost leaves out negative zero.
        let mut random = Random::new(seed);
        random.plain = true;
        let traces = random.traces();
        let (logs, metrics) = (random.logs(), random.metrics());
        let cases = [
            (Signal::Traces, serde_json::to_string(&traces).unwrap(), traces.encode_to_vec()),
            (Signal::Logs, serde_json::to_string(&logs).unwrap(), logs.encode_to_vec()),
            (Signal::Metrics, serde_json::to_string(&metrics).unwrap(), metrics.encode_to_vec()),
        ];
        for (signal, json, protobuf) in cases {
            let (proto_protocol, json_protocol) = protocols(signal);
            let expected = ours(signal, &decode(proto_protocol, &protobuf).unwrap());
            let got = decode(json_protocol, json.as_bytes()).map(|decoded| ours(signal, &decoded));
            assert_eq!(got, Ok(expected), "seed {seed}\n{json}");
        }
    }
}
