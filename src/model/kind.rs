//! The closed sets of OpenTelemetry: span kinds, status codes, severities, with the texts that the
//! OpenTelemetry ClickHouse exporter stores.

/// Span kinds by OTLP number; the texts are the exporter's since v0.106.
pub const SPAN_KINDS: [&str; 6] = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];

/// Status codes by OTLP number.
pub const STATUS_CODES: [&str; 3] = ["Unset", "Ok", "Error"];

/// OTLP number of kind SERVER.
pub const SERVER: u8 = 2;
/// OTLP number of kind CLIENT.
pub const CLIENT: u8 = 3;
/// OTLP number of kind PRODUCER.
pub const PRODUCER: u8 = 4;
/// OTLP number of kind CONSUMER.
pub const CONSUMER: u8 = 5;
/// OTLP number of kind INTERNAL.
pub const INTERNAL: u8 = 1;
/// OTLP number of status ERROR.
pub const STATUS_ERROR: u8 = 2;
/// OTLP number of status OK.
pub const STATUS_OK: u8 = 1;

/// The OTLP severity number (1 to 24) of a severity text as loggers spell it; 0 when unknown.
pub fn severity_number(text: &str) -> u8 {
    let known: [(&str, u8); 19] = [
        ("trace", 1),
        ("verbose", 1),
        ("debug", 5),
        ("fine", 5),
        ("info", 9),
        ("information", 9),
        ("informational", 9),
        ("notice", 10),
        ("warn", 13),
        ("warning", 13),
        ("error", 17),
        ("err", 17),
        ("severe", 17),
        ("crit", 18),
        ("critical", 21),
        ("alert", 21),
        ("emerg", 24),
        ("fatal", 21),
        ("panic", 24),
    ];
    known.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map_or(0, |(_, number)| *number)
}

/// The short lower-case name of a severity number's range: `trace` … `fatal`; empty for 0 and above 24.
pub fn severity_name(number: u8) -> &'static str {
    match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => "",
    }
}
