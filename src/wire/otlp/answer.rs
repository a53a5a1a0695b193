//! Answers to OTLP clients as bytes: full and partial success, and `google.rpc.Status`, in protobuf
//! and JSON (OTLP specification, "OTLP/HTTP Response" and "Partial Success").

use std::time::Duration;

use model::value::push_json_string;
use model::{Account, Outcome, Signal};

use crate::proto::{cut, push_bytes, push_number};

/// How a message is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// `application/x-protobuf`, and gRPC.
    Protobuf,
    /// `application/json`.
    Json,
}

/// Bytes of a message at most: an answer is for a log line, whatever the request was.
const MESSAGE_BYTES_MAX: u32 = 2048;
/// Bytes of one example within a message at most.
const EXAMPLE_BYTES_MAX: u32 = 300;

const INVALID_ARGUMENT: i32 = 3;
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The answer to an accepted request. Without refusals and alterations of `signal` it is an empty
/// message; else it says how many items were rejected (0 when all are stored, but some not as sent)
/// and why.
pub fn export_response(signal: Signal, format: Format, account: &Account) -> Vec<u8> {
    let message = partial_message(signal, account);
    let rejected = account.refused_of(signal);
    if message.is_empty() {
        return match format {
            Format::Protobuf => Vec::new(),
            Format::Json => b"{}".to_vec(),
        };
    }
    let mut out = Vec::new();
    match format {
        Format::Protobuf => {
            let mut partial = Vec::new();
            push_number(&mut partial, 1, rejected);
            push_bytes(&mut partial, 2, message.as_bytes());
            push_bytes(&mut out, 1, &partial);
        }
        Format::Json => {
            let field = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Logs => "rejectedLogRecords",
                Signal::Metrics => "rejectedDataPoints",
            };
            out.extend_from_slice(
                format!("{{\"partialSuccess\":{{\"{field}\":\"{rejected}\",\"errorMessage\":").as_bytes(),
            );
            push_json_string(&mut out, &message);
            out.extend_from_slice(b"}}");
        }
    }
    out
}

/// A `google.rpc.Status`. With code 3 (INVALID_ARGUMENT) it carries a `BadRequest` detail, with
/// `retry_after` a `RetryInfo` detail. Serves HTTP bodies and gRPC's `grpc-status-details-bin`.
pub fn status(format: Format, code: i32, message: &str, retry_after: Option<Duration>) -> Vec<u8> {
    // A delay of zero would not count as one.
    let retry_after = retry_after.map(|delay| delay.max(Duration::from_millis(1)));
    let message = shortened(message, MESSAGE_BYTES_MAX);
    let bad_request = code == INVALID_ARGUMENT;
    let mut out = Vec::new();
    match format {
        Format::Protobuf => {
            push_number(&mut out, 1, code as i64 as u64);
            push_bytes(&mut out, 2, message.as_bytes());
            if bad_request {
                push_bytes(&mut out, 3, &any(BAD_REQUEST, &bad_request_detail(&message)));
            }
            if let Some(delay) = retry_after {
                push_bytes(&mut out, 3, &any(RETRY_INFO, &retry_detail(delay)));
            }
        }
        Format::Json => {
            out.extend_from_slice(format!("{{\"code\":{code},\"message\":").as_bytes());
            push_json_string(&mut out, &message);
            let mut details = Vec::new();
            if bad_request {
                let mut detail =
                    format!("{{\"@type\":\"{BAD_REQUEST}\",\"fieldViolations\":[{{\"description\":").into_bytes();
                push_json_string(&mut detail, &message);
                detail.extend_from_slice(b"}]}");
                details.push(detail);
            }
            if let Some(delay) = retry_after {
                let text = format!("{{\"@type\":\"{RETRY_INFO}\",\"retryDelay\":\"{}s\"}}", decimal_seconds(delay));
                details.push(text.into_bytes());
            }
            if !details.is_empty() {
                out.extend_from_slice(b",\"details\":[");
                out.extend_from_slice(&details.join(&b","[..]));
                out.push(b']');
            }
            out.push(b'}');
        }
    }
    out
}

fn partial_message(signal: Signal, account: &Account) -> String {
    let noun = match signal {
        Signal::Traces => "spans",
        Signal::Logs => "log records",
        Signal::Metrics => "data points",
    };
    let mut parts = Vec::new();
    for refusal in account.refusals.iter().filter(|refusal| refusal.signal == signal) {
        let outcome = match refusal.reason.outcome() {
            Outcome::Refused => "rejected",
            Outcome::Altered => "stored altered",
            Outcome::SetAside => "set aside",
            Outcome::Repeated => "already stored",
        };
        let example = shortened(&refusal.example, EXAMPLE_BYTES_MAX);
        parts.push(format!("{} {noun} {outcome}: {} (first: {example})", refusal.items, refusal.reason.code()));
    }
    shortened(&parts.join("; "), MESSAGE_BYTES_MAX)
}

fn shortened(text: &str, limit: u32) -> String {
    let kept = String::from_utf8_lossy(cut(text.as_bytes(), limit)).into_owned();
    if kept.len() < text.len() { kept + "…" } else { kept }
}

fn any(type_url: &str, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_bytes(&mut out, 1, type_url.as_bytes());
    push_bytes(&mut out, 2, message);
    out
}

fn bad_request_detail(description: &str) -> Vec<u8> {
    let (mut violation, mut out) = (Vec::new(), Vec::new());
    push_bytes(&mut violation, 2, description.as_bytes());
    push_bytes(&mut out, 1, &violation);
    out
}

fn retry_detail(delay: Duration) -> Vec<u8> {
    let (mut duration, mut out) = (Vec::new(), Vec::new());
    push_number(&mut duration, 1, delay.as_secs());
    push_number(&mut duration, 2, u64::from(delay.subsec_nanos()));
    push_bytes(&mut out, 1, &duration);
    out
}

fn decimal_seconds(delay: Duration) -> String {
    match delay.subsec_nanos() {
        0 => delay.as_secs().to_string(),
        nanos => format!("{}.{nanos:09}", delay.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Reason;
    use opentelemetry_proto::tonic::collector::{logs::v1 as logs, metrics::v1 as metrics, trace::v1 as trace};
    use prost::Message;

    fn account(cases: &[(Signal, Reason, u64)]) -> Account {
        let mut account = Account::default();
        for (signal, reason, items) in cases {
            account.count_many(*signal, *reason, *items, || "resource 0, scope 0, item 1: \"x\"".to_owned());
        }
        account
    }

    // Scenario: accounts without entries, with refusals, with alterations only, with entries of another signal.
    // Guarantee: full success is an empty message; refused items are counted exactly, altered ones only told.
    #[test]
    fn partial_success() {
        let check = |cases: &[(Signal, Reason, u64)], expected: Option<i64>| {
            let account = account(cases);
            let bytes = export_response(Signal::Traces, Format::Protobuf, &account);
            let read = trace::ExportTraceServiceResponse::decode(&bytes[..]).unwrap().partial_success;
            assert_eq!(read.as_ref().map(|partial| partial.rejected_spans), expected);
            assert!(read.is_none_or(|partial| !partial.error_message.is_empty()));
            let json = export_response(Signal::Traces, Format::Json, &account);
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let rejected =
                json.get("partialSuccess").map(|partial| partial["rejectedSpans"].as_str().unwrap().parse().unwrap());
            assert_eq!(rejected, expected, "{json}");
        };
        check(&[], None);
        check(&[(Signal::Logs, Reason::InvalidItem, 3)], None);
        check(&[(Signal::Traces, Reason::InvalidTraceId, 2), (Signal::Traces, Reason::InvalidSpanId, 5)], Some(7));
        check(&[(Signal::Traces, Reason::TimeQuarantined, 4)], Some(0));
        check(&[(Signal::Traces, Reason::TimeQuarantined, 4), (Signal::Traces, Reason::InvalidSpanId, 1)], Some(1));

        let account = account(&[(Signal::Logs, Reason::InvalidItem, 1), (Signal::Metrics, Reason::InvalidItem, 9)]);
        let bytes = export_response(Signal::Logs, Format::Protobuf, &account);
        let read = logs::ExportLogsServiceResponse::decode(&bytes[..]).unwrap().partial_success.unwrap();
        assert_eq!(read.rejected_log_records, 1);
        let bytes = export_response(Signal::Metrics, Format::Protobuf, &account);
        let read = metrics::ExportMetricsServiceResponse::decode(&bytes[..]).unwrap().partial_success.unwrap();
        assert_eq!(read.rejected_data_points, 9);
    }

    // Scenario: a huge example with characters of several bytes, many reasons.
    // Guarantee: the answer stays small and is valid UTF-8.
    #[test]
    fn messages_are_short() {
        let mut account = Account::default();
        for reason in [Reason::InvalidTraceId, Reason::InvalidSpanId, Reason::ValueTruncated, Reason::TimeQuarantined] {
            account.count(Signal::Traces, reason, || "é€😀".repeat(1_000_000));
        }
        for format in [Format::Protobuf, Format::Json] {
            assert!(export_response(Signal::Traces, format, &account).len() < 3000);
            assert!(status(format, 3, &"é€😀".repeat(1_000_000), None).len() < 9000);
        }
    }

    // Scenario: statuses for 400 and for overload, in both formats.
    // Guarantee: code and message are there; 400 has a BadRequest, overload a positive RetryInfo.
    #[test]
    fn statuses() {
        let json = |code, message, retry| -> serde_json::Value {
            serde_json::from_slice(&status(Format::Json, code, message, retry)).unwrap()
        };
        let bad = json(3, "bad \"x\"", None);
        assert_eq!((bad["code"].as_i64(), bad["message"].as_str()), (Some(3), Some("bad \"x\"")));
        assert_eq!(bad["details"][0]["@type"], BAD_REQUEST);
        assert_eq!(bad["details"][0]["fieldViolations"][0]["description"], "bad \"x\"");
        let busy = json(14, "busy", Some(Duration::from_millis(1500)));
        assert_eq!(busy["details"][0]["retryDelay"], "1.500000000s");
        assert!(json(13, "x", None).get("details").is_none());

        #[derive(Clone, PartialEq, Message)]
        struct Any {
            #[prost(string, tag = "1")]
            type_url: String,
            #[prost(bytes = "vec", tag = "2")]
            value: Vec<u8>,
        }
        #[derive(Clone, PartialEq, Message)]
        struct Status {
            #[prost(int32, tag = "1")]
            code: i32,
            #[prost(string, tag = "2")]
            message: String,
            #[prost(message, repeated, tag = "3")]
            details: Vec<Any>,
        }
        let read = Status::decode(&status(Format::Protobuf, 14, "busy", Some(Duration::new(2, 5)))[..]).unwrap();
        assert_eq!((read.code, read.message.as_str()), (14, "busy"));
        assert_eq!(
            (read.details[0].type_url.as_str(), &read.details[0].value[..]),
            (RETRY_INFO, &[10, 4, 8, 2, 16, 5][..])
        );
        let read = Status::decode(&status(Format::Protobuf, 3, "bad", None)[..]).unwrap();
        assert_eq!(
            (read.details[0].type_url.as_str(), &read.details[0].value[..]),
            (BAD_REQUEST, &b"\x0a\x05\x12\x03bad"[..])
        );
    }
}
