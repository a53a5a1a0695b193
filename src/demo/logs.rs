//! Logs as services write them: severities in their language's words, trace ids where their logger
//! puts them, and where in the code a line was written.

use serde_json::json;

use crate::outcome::Failure;
use crate::shop::{Dialect, Language, LogForm, Service};
use crate::story::{Level, Operation};
use crate::telemetry::{Attributes, Log};

/// A line to be written.
pub(crate) struct Line<'a> {
    pub(crate) level: Level,
    pub(crate) text: String,
    pub(crate) time_ns: i64,
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    /// Line in the source file.
    pub(crate) line: u32,
    /// The exception that it tells of, with its stack.
    pub(crate) exception: Option<(&'a Failure, String)>,
}

/// The log of a line in an operation.
pub(crate) fn log(service: &Service, operation: &Operation, line: Line<'_>) -> Log {
    let (file, function, _) = operation.code;
    let mut attributes: Attributes = match service.dialect {
        Dialect::Stable => vec![
            ("code.file.path", file.into()),
            ("code.function.name", function.into()),
            ("code.line.number", i64::from(line.line).into()),
        ],
        Dialect::Old => vec![
            ("code.filepath", file.into()),
            ("code.function", function.rsplit('.').next().unwrap_or(function).into()),
            ("code.lineno", i64::from(line.line).into()),
        ],
        // A plain file of lines, read by an agent.
        Dialect::Zipkin => vec![("log.file.path", "/var/log/tax/tax.log".into())],
    };
    if let Some((failure, stack)) = line.exception {
        attributes.push(("exception.type", failure.exception.clone().into()));
        attributes.push(("exception.message", failure.message.clone().into()));
        attributes.push(("exception.stacktrace", stack.into()));
    }
    let (trace, span) = (format!("{:032x}", line.trace_id), format!("{:016x}", line.span_id));
    let logger = logger(service.language, function, file);
    let severity_text = severity_text(service.language, line.level);
    let text = line.text;
    let (mut trace_id, mut span_id) = (0, 0);
    let body = match service.logs {
        LogForm::Fields => {
            (trace_id, span_id) = (line.trace_id, line.span_id);
            text
        }
        LogForm::Attributes => {
            attributes.push(("trace_id", trace.into()));
            attributes.push(("span_id", span.into()));
            text
        }
        LogForm::Text => format!("{text} trace_id={trace} span_id={span}"),
        LogForm::Json => json!({
            "level": severity_text, "logger": logger, "message": text, "trace_id": trace, "span_id": span,
            "caller": format!("{file}:{}", line.line),
        })
        .to_string(),
        LogForm::Brackets => {
            let file = file.rsplit('/').next().unwrap_or(file);
            format!(
                "{severity_text:>5} [{},{trace},{span}] 1 --- [nio-{}-exec-{}] {logger} ({file}:{}) : {text}",
                service.name,
                service.port,
                line.span_id % 10 + 1,
                line.line
            )
        }
    };
    let severity = severity(line.level);
    Log { time_ns: line.time_ns, severity, severity_text, body, attributes, trace_id, span_id, scope: logger }
}

/// A line that belongs to no request.
pub(crate) fn murmur(service: &Service, number: u64, time_ns: i64) -> Log {
    let (level, body) = match (number % 4, service.language) {
        (0, Language::Java) => {
            (Level::Info, format!("GC(412) Pause Young (Normal) 84M->31M(256M) {}ms", number % 17 + 1))
        }
        (0, Language::Go) => {
            (Level::Detail, format!("gc: heap {} MB, {} goroutines", number % 90 + 20, number % 300 + 40))
        }
        (1, _) => (Level::Warn, format!("connection pool: {} of 50 in use", number % 20 + 25)),
        (2, _) => (Level::Detail, "health check answered".to_owned()),
        _ => (Level::Info, format!("configuration read again, {} keys", number % 40 + 10)),
    };
    let (severity, severity_text) = (severity(level), severity_text(service.language, level));
    let scope = format!("{}.runtime", service.name);
    Log { time_ns, severity, severity_text, body, attributes: Vec::new(), trace_id: 0, span_id: 0, scope }
}

fn severity(level: Level) -> i32 {
    match level {
        Level::Detail => 5,
        Level::Info => 9,
        Level::Warn => 13,
        Level::Error => 17,
    }
}

fn severity_text(language: Language, level: Level) -> &'static str {
    match (language, level) {
        (Language::Nodejs, Level::Detail) => "debug",
        (Language::Nodejs, Level::Info) => "info",
        (Language::Nodejs, Level::Warn) => "warn",
        (Language::Nodejs, Level::Error) => "error",
        (Language::Dotnet, Level::Info) => "Information",
        (Language::Dotnet, Level::Warn) => "Warning",
        (Language::Dotnet, Level::Error) => "Error",
        (Language::Dotnet, Level::Detail) => "Debug",
        (Language::Python, Level::Warn) => "WARNING",
        (_, Level::Detail) => "DEBUG",
        (_, Level::Info) => "INFO",
        (_, Level::Warn) => "WARN",
        (_, Level::Error) => "ERROR",
    }
}

// The logger's name, as the language's libraries choose it.
fn logger(language: Language, function: &str, file: &str) -> String {
    match language {
        Language::Java => function.rsplit_once('.').map_or(function, |(class, _)| class).to_owned(),
        Language::Rust => function.rsplit_once("::").map_or(function, |(module, _)| module).to_owned(),
        _ => file.rsplit_once('.').map_or(file, |(stem, _)| stem).replace('/', "."),
    }
}
