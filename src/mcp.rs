//! `hypocenter mcp`: an assistant that starts a program and speaks over its pipes reaches a running server's `/mcp`.
//! One message a line in, one a line out; nothing is known here about what they say, but for what the way over HTTP
//! needs. Spec: modelcontextprotocol.io, stdio and Streamable HTTP.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::ask_server::ServerArgs;

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Answers that are waited for at once, and messages that wait behind them.
const AT_ONCE: usize = 4;
/// Largest message, either way.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Code of an error on the way, in the protocol's numbers.
const BROKEN: i32 = -32_603;
const UNREADABLE: i32 = -32_700;

/// Runs until the assistant closes our standard input.
pub(crate) fn run(args: &ServerArgs) -> anyhow::Result<ExitCode> {
    let way = Arc::new(Way::new(args)?);
    let (queue, waiting) = sync_channel::<Value>(AT_ONCE);
    let waiting = Arc::new(Mutex::new(waiting));
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (way, waiting) = (Arc::clone(&way), Arc::clone(&waiting));
            std::thread::spawn(move || {
                while let Some(message) = next(&waiting) {
                    tell(way.carried(&message))
                }
            })
        })
        .collect();
    let mut lines = std::io::stdin().lock();
    while let Some(line) = line(&mut lines).context("standard input cannot be read")? {
        match serde_json::from_slice::<Value>(&line) {
            Ok(message) if message["method"] == "initialize" => tell(way.initialized(&message)),
            Ok(message) => queue.send(message).context("every worker has ended")?,
            Err(_) if line.iter().all(u8::is_ascii_whitespace) => {}
            Err(problem) => tell(Some(error(&Value::Null, UNREADABLE, &format!("the message is no JSON: {problem}")))),
        }
    }
    drop(queue);
    for worker in workers {
        let _ = worker.join();
    }
    Ok(ExitCode::SUCCESS)
}

fn next(waiting: &Mutex<Receiver<Value>>) -> Option<Value> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

// A line without its end; none at the end of all.
fn line(input: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let bytes = std::io::Read::take(&mut *input, MESSAGE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    Ok((bytes > 0).then_some(line))
}

#[allow(clippy::print_stdout)] // the protocol's channel
fn tell(answer: Option<Value>) {
    if let Some(answer) = answer {
        let mut out = std::io::stdout().lock();
        // Whoever no longer listens closes our input too.
        let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
    }
}

/// The way to the server.
struct Way {
    agent: ureq::Agent,
    url: String,
    headers: Vec<(String, String)>,
    // What `initialize` agreed upon.
    version: RwLock<Option<String>>,
}

impl Way {
    fn new(args: &ServerArgs) -> anyhow::Result<Way> {
        let mut headers = Vec::new();
        for header in &args.headers {
            let (name, value) =
                header.split_once(':').with_context(|| format!("--header takes NAME: VALUE, not `{header}`"))?;
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        headers.extend(args.tenant.iter().map(|tenant| ("x-scope-orgid".to_owned(), tenant.clone())));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_MAX)).build();
        let url = format!("{}/mcp", args.endpoint.trim_end_matches('/'));
        Ok(Way { agent: agent.into(), url, headers, version: RwLock::default() })
    }

    fn initialized(&self, message: &Value) -> Option<Value> {
        let answer = self.carried(message);
        let version = answer.as_ref().and_then(|answer| answer["result"]["protocolVersion"].as_str());
        if let Some(version) = version {
            *self.version.write().unwrap_or_else(PoisonError::into_inner) = Some(version.to_owned());
        }
        answer
    }

    // The answer; none to what is no request.
    fn carried(&self, message: &Value) -> Option<Value> {
        let id = message.get("id").filter(|_| message.get("method").is_some());
        match (self.sent(message), id) {
            (Ok(answer), Some(_)) => answer,
            (Err(problem), Some(id)) => Some(error(id, BROKEN, &format!("{problem:#}"))),
            (_, None) => None,
        }
    }

    fn sent(&self, message: &Value) -> anyhow::Result<Option<Value>> {
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        // Newer clients say with each message what they speak, and what it is about goes into headers too.
        let params = &message["params"];
        let own = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str().map(str::to_owned);
        let agreed = || self.version.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(version) = own.or_else(agreed) {
            request = request.header("mcp-protocol-version", version);
        }
        let about = [("mcp-method", message["method"].as_str()), ("mcp-name", params["name"].as_str())];
        for (name, value) in about {
            if let Some(value) = value.filter(|value| value.bytes().all(|byte| byte.is_ascii_graphic())) {
                request = request.header(name, value);
            }
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = request
            .send(message.to_string())
            .with_context(|| format!("no Hypocenter answers at {}: start one, or name it with --endpoint", self.url))?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(MESSAGE_BYTES_MAX as u64).read_to_string()?;
        if body.trim().is_empty() {
            anyhow::ensure!(status.is_success(), "the server answered {status}");
            return Ok(None);
        }
        let Some(answer) = answer(&body) else { anyhow::bail!("the server answered {status}: {}", beginning(&body)) };
        // Refusals before the protocol's door are in the API's form.
        match answer["error"]["message"].as_str() {
            Some(text) if answer.get("jsonrpc").is_none() => anyhow::bail!("{text}"),
            _ => Ok(Some(answer)),
        }
    }
}

// The message of a body: JSON, or the last event of a stream.
fn answer(body: &str) -> Option<Value> {
    serde_json::from_str(body).ok().or_else(|| {
        let data = body.lines().filter_map(|line| line.strip_prefix("data:"));
        data.filter_map(|data| serde_json::from_str(data.trim()).ok()).next_back()
    })
}

fn error(id: &Value, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

fn beginning(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: bodies as JSON, as an event stream, as text; lines with and without an end.
    // Guarantee: the message is found, or it is said that there is none.
    #[test]
    fn messages() {
        assert_eq!(answer("{\"id\":1}").unwrap()["id"], 1);
        assert_eq!(answer("id: 0\ndata:\n\ndata: {\"id\":2}\n\n").unwrap()["id"], 2);
        assert_eq!(answer("Not Acceptable"), None);
        let mut input = "{}\n[]".as_bytes();
        let mut lines = Vec::new();
        while let Some(line) = line(&mut input).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, [b"{}\n".to_vec(), b"[]".to_vec()]);
        assert_eq!(error(&json!(7), BROKEN, "x")["id"], 7);
    }
}
