//! Requests of an import: grouped items are posted, retried while the server asks for patience, and
//! cut in halves when one item spoils the others.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::import_formats::Cargo;

/// Items of one kind, on their way.
#[derive(Debug)]
pub(crate) struct Load {
    /// What they are.
    pub(crate) cargo: Cargo,
    /// The items, one after the other.
    bytes: Vec<u8>,
    // For each item where it ends, and how many spans, records or points it holds.
    items: Vec<(usize, u64)>,
}

/// What became of the items of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Requests answered.
    pub(crate) requests: u64,
    /// Spans read.
    pub(crate) spans: u64,
    /// Log records read.
    pub(crate) logs: u64,
    /// Points read.
    pub(crate) points: u64,
    /// Items accepted.
    pub(crate) accepted: u64,
    /// Items refused, by the server or because they could not be read.
    pub(crate) refused: u64,
    /// The first reasons for it.
    pub(crate) reasons: Vec<String>,
    /// Why the rest of the file could not be read.
    pub(crate) broken_off: Option<String>,
}

/// Where requests go, and how.
pub(crate) struct Post {
    agent: ureq::Agent,
    otlp: String,
    zipkin: String,
    headers: Vec<(String, String)>,
    patience: Duration,
    /// Set when going on makes no sense.
    pub(crate) given_up: AtomicBool,
}

enum Answer {
    /// Taken, but for so many items.
    Taken(u64, String),
    /// Refused whole; a smaller part might not be.
    Refused(String),
}

const REASONS_MAX: usize = 5;
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(10);

impl Load {
    /// An empty load.
    pub(crate) fn new(cargo: Cargo) -> Load {
        Load { cargo, bytes: Vec::new(), items: Vec::new() }
    }

    /// Adds an item that holds `count` spans, records or points.
    pub(crate) fn push(&mut self, item: &[u8], count: u64) {
        self.bytes.extend_from_slice(item);
        self.items.push((self.bytes.len(), count));
    }

    /// Bytes of the items.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Spans, records or points in the items.
    pub(crate) fn count(&self) -> u64 {
        self.items.iter().map(|(_, count)| count).sum()
    }

    /// Whether there are no items.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn body(&self) -> Vec<u8> {
        let (before, behind) = self.cargo.frame();
        let mut body = Vec::with_capacity(self.bytes.len() + self.items.len() + 32);
        body.extend_from_slice(before);
        let mut start = 0;
        for (at, (end, _)) in self.items.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&self.bytes[start..*end]);
            start = *end;
        }
        body.extend_from_slice(behind);
        body
    }

    // The first and the second half of the items.
    fn halves(&self) -> [Load; 2] {
        let middle = self.items.len() / 2;
        let cut = self.items[middle - 1].0;
        let second = self.items[middle..].iter().map(|(end, count)| (end - cut, *count)).collect();
        [
            Load { cargo: self.cargo, bytes: self.bytes[..cut].to_vec(), items: self.items[..middle].to_vec() },
            Load { cargo: self.cargo, bytes: self.bytes[cut..].to_vec(), items: second },
        ]
    }
}

impl Tally {
    /// Counts what was read.
    pub(crate) fn read(&mut self, cargo: Cargo, count: u64) {
        match cargo {
            Cargo::Traces | Cargo::ZipkinV2 | Cargo::ZipkinV1 => self.spans += count,
            Cargo::Logs => self.logs += count,
            Cargo::Metrics => self.points += count,
        }
    }

    /// Counts items that are not stored.
    pub(crate) fn refuse(&mut self, count: u64, reason: String) {
        self.refused += count;
        if self.reasons.len() < REASONS_MAX && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Adds another tally.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.requests += other.requests;
        self.spans += other.spans;
        self.logs += other.logs;
        self.points += other.points;
        self.accepted += other.accepted;
        self.refused += other.refused;
    }
}

impl Post {
    /// Posts OTLP below `otlp` and Zipkin below `zipkin`; waits up to `patience` for a server that is
    /// away or overloaded.
    pub(crate) fn new(otlp: &str, zipkin: &str, headers: Vec<(String, String)>, patience: Duration) -> Post {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .user_agent(concat!("hypocenter-import/", env!("CARGO_PKG_VERSION")));
        // A proxy from the environment is meant for the world, not for this machine.
        let here = ["//127.", "//localhost", "//[::1]"].iter().any(|host| otlp.contains(host) || zipkin.contains(host));
        let config = if here { config.proxy(None) } else { config };
        Post {
            agent: config.build().into(),
            otlp: otlp.trim_end_matches('/').to_owned(),
            zipkin: zipkin.trim_end_matches('/').to_owned(),
            headers,
            patience,
            given_up: AtomicBool::new(false),
        }
    }

    /// Delivers a load, counting what became of it.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses the caller, or stays overloaded.
    pub(crate) fn deliver(&self, load: &Load, tally: &Mutex<Tally>) -> anyhow::Result<()> {
        let answer = self.insist(load)?;
        let mut locked = tally.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        locked.requests += 1;
        match answer {
            Answer::Taken(rejected, reason) => {
                locked.accepted += load.count().saturating_sub(rejected);
                if rejected > 0 {
                    locked.refuse(rejected, reason);
                }
            }
            Answer::Refused(reason) if load.items.len() == 1 => locked.refuse(load.count().max(1), reason),
            Answer::Refused(_) => {
                drop(locked);
                for half in load.halves() {
                    self.deliver(&half, tally)?;
                }
            }
        }
        Ok(())
    }

    fn insist(&self, load: &Load) -> anyhow::Result<Answer> {
        let (url, body, begun) = (self.url(load.cargo), load.body(), Instant::now());
        let mut wait = WAIT_MIN;
        loop {
            let trouble = match self.once(&url, &body) {
                Ok((200..=299, answer, _)) => return Ok(taken(&answer)),
                Ok((status @ (429 | 502 | 503 | 504), answer, retry_after)) => {
                    wait = retry_after.unwrap_or(wait);
                    anyhow::anyhow!("the server answered {status}: {}", in_words(&answer))
                }
                Ok((status @ (400 | 413 | 422), answer, _)) => {
                    return Ok(Answer::Refused(format!("{status}: {}", in_words(&answer))));
                }
                Ok((status, answer, _)) => {
                    bail!("posting to {url}: the server answered {status}: {}", in_words(&answer))
                }
                Err(error) => anyhow::Error::from(error),
            };
            if begun.elapsed() + wait > self.patience || self.given_up.load(Ordering::Relaxed) {
                return Err(trouble).with_context(|| format!("posting to {url}"));
            }
            thread::sleep(wait);
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    // Status, body, and how long the server asks to wait.
    fn once(&self, url: &str, body: &[u8]) -> Result<(u16, Vec<u8>, Option<Duration>), ureq::Error> {
        let mut request = self.agent.post(url).header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body)?;
        let seconds = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = seconds.map(|seconds: u64| Duration::from_secs(seconds.clamp(1, 60)));
        let answer = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok((response.status().as_u16(), answer, retry_after))
    }

    fn url(&self, cargo: Cargo) -> String {
        match cargo {
            Cargo::Traces => format!("{}/v1/traces", self.otlp),
            Cargo::Logs => format!("{}/v1/logs", self.otlp),
            Cargo::Metrics => format!("{}/v1/metrics", self.otlp),
            Cargo::ZipkinV2 => format!("{}/api/v2/spans", self.zipkin),
            Cargo::ZipkinV1 => format!("{}/api/v1/spans", self.zipkin),
        }
    }
}

// OTLP's partial success; an empty answer is a whole one.
fn taken(answer: &[u8]) -> Answer {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let partial = ["partialSuccess", "partial_success"].iter().find_map(|key| answer.get(key));
    let Some(partial) = partial else { return Answer::Taken(0, String::new()) };
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let keys = ["rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"];
    let rejected = keys.iter().find_map(|key| number(partial.get(key)?)).unwrap_or(0);
    let reason = partial.get("errorMessage").and_then(Value::as_str).unwrap_or("no reason given");
    Answer::Taken(rejected, reason.to_owned())
}

// The message in an answer that tells of trouble: a Status in JSON, or plain text.
fn in_words(answer: &[u8]) -> String {
    let status: Value = serde_json::from_slice(answer).unwrap_or_default();
    let text = String::from_utf8_lossy(answer);
    let message = status.get("message").and_then(Value::as_str).unwrap_or(&text);
    message.trim().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: answers as servers give them.
    // Guarantee: exactly the refused items are counted.
    #[test]
    fn answers() {
        let check = |answer: &str, expected: (u64, &str)| match taken(answer.as_bytes()) {
            Answer::Taken(rejected, reason) => assert_eq!((rejected, &*reason), expected, "{answer}"),
            Answer::Refused(_) => panic!("{answer}"),
        };
        check("", (0, ""));
        check("{}", (0, ""));
        check("{\"partialSuccess\":{}}", (0, "no reason given"));
        check("{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"bad\"}}", (3, "bad"));
        check("{\"partialSuccess\":{\"rejectedLogRecords\":2}}", (2, "no reason given"));
        assert_eq!(in_words(b"{\"message\":\"too much\"}"), "too much");
        assert_eq!(in_words(b"Expected a JSON_V2 encoded list\n"), "Expected a JSON_V2 encoded list");
    }

    // Scenario: a load of five items, halved.
    // Guarantee: bodies are framed, and the halves hold the items once.
    #[test]
    fn loads() {
        let mut load = Load::new(Cargo::Traces);
        (1..=5).for_each(|number| load.push(format!("{{\"a\":{number}}}").as_bytes(), number));
        let body = |load: &Load| String::from_utf8(load.body()).unwrap();
        assert_eq!((load.count(), load.bytes()), (15, 35));
        let [first, second] = load.halves();
        assert_eq!(body(&first), "{\"resourceSpans\":[{\"a\":1},{\"a\":2}]}");
        assert_eq!(body(&second), "{\"resourceSpans\":[{\"a\":3},{\"a\":4},{\"a\":5}]}");
        assert_eq!((first.count(), second.count()), (3, 12));
    }
}
