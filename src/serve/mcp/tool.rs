//! The tools by name: what they are for, and their parameters, from which their schemas are made.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::answer::Failure;
use crate::params::Params;

/// A tool.
pub(super) struct Spec {
    pub(super) name: &'static str,
    title: &'static str,
    about: &'static str,
    parameters: &'static [Parameter],
}

/// A parameter of a tool.
struct Parameter {
    name: &'static str,
    kind: Kind,
    about: &'static str,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Required,
    Count,
}

const fn text(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Text, about }
}

const fn count(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Count, about }
}

const fn required(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Required, about }
}

const CURSOR: Parameter = text("cursor", "next_cursor of the page before; the other parameters stay as they were");
const SERVICE: Parameter = text("service", "Only this service");
const TRACE: Parameter = required("trace_id", "32 or 16 hex digits");
const TO: Parameter = text("to", "End; exclusive; now when absent");

/// Every tool, in the order in which they are usually needed.
pub(super) const ALL: &[Spec] = &[
    Spec {
        name: "find_faults",
        title: "Find faults",
        about: "Start here. Says whether and when something looks wrong: windows that fail or drag more than the rest \
                of the range, the services and calls whose errors or durations rose in the newest of them, and who is \
                suspected. Without odd windows it looks at the last 15 minutes of the range.",
        parameters: &[
            text("from", "Start of the range to look at; an hour before its end when absent"),
            TO,
            text("service", "Only what this service depends on, itself included"),
        ],
    },
    Spec {
        name: "explain_fault",
        title: "Explain a fault",
        about: "Who is guilty of what went wrong in a window, and why: services ranked by what the window shows \
                against them that a healthy baseline does not, each with evidence (numbers from both windows), the \
                place in it, ids of failing and good traces, and who suffers from it.",
        parameters: &[
            text("from", "Start of the window in which something was wrong; 15 minutes before its end when absent"),
            TO,
            text(
                "baseline_from",
                "Start of a window in which all was well; usual minutes nearby are chosen when absent",
            ),
            text("baseline_to", "Its end; the start of the fault window when absent"),
            text("service", "Only what this service depends on, itself included"),
            count("limit", "Suspects, 1 to 20; 5 when absent"),
        ],
    },
    Spec {
        name: "compare_windows",
        title: "What changed",
        about: "What is new, vanished, or seen far more or less often in one window than in another: services, calls \
                between them (edges), operations, errors, log patterns, attribute values, instances, versions. What \
                failing requests have and others lack comes first. Or, with two versions: how they differ.",
        parameters: &[
            text("before_from", "Start of the first window; it is as long as the second when absent"),
            text("before_to", "End of the first window; the start of the second when absent"),
            text("after_from", "Start of the second window; 15 minutes before its end when absent"),
            text("after_to", "End of the second window; now when absent"),
            text("service", "Only what belongs to this service"),
            text("before_version", "With service and after_version: this version of it, instead of the first window"),
            text("after_version", "The version that is compared with it, within the second window"),
            count("limit", "Changes, 1 to 100; 30 when absent"),
        ],
    },
    Spec {
        name: "service_graph",
        title: "Service graph",
        about: "Who calls whom in a range: services, databases, queues and external hosts, and the calls between them, \
                with requests, errors and latencies; those with most errors first.",
        parameters: &[
            text("from", "Start, rounded down to a minute; an hour before the end when absent"),
            text("to", "End, rounded up to a minute; now when absent"),
            text("service", "Only what lies around this service"),
            count("hops", "With service: within so many calls, in either direction; 1 when absent"),
            count("limit", "Nodes, and edges, 1 to 200; 60 when absent"),
        ],
    },
    Spec {
        name: "get_trace",
        title: "One trace",
        about: "The spans of one request, depth first, with offsets and durations in milliseconds, status, attributes \
                and events.",
        parameters: &[
            TRACE,
            text("span_id", "Only the span with this id"),
            count("offset", "Spans to pass over, in depth-first order; next_offset of the page before"),
            count("limit", "Spans, 1 to 200; 50 when absent"),
        ],
    },
    Spec {
        name: "trace_logs",
        title: "Logs of one trace",
        about: "What was logged during one request, in time order, by all of its services.",
        parameters: &[
            TRACE,
            text("span_id", "Only the logs of the span with this id"),
            count("limit", "Records, 1 to 200; 50 when absent"),
            CURSOR,
        ],
    },
    Spec {
        name: "search_logs",
        title: "Search logs",
        about: "Log records of a range, newest first.",
        parameters: &[
            text("from", "Start; inclusive; an hour before the end when absent"),
            TO,
            text(
                "query",
                "Words, \"quoted phrases\", key:value (an attribute), and - in front of any of them; all have to hold",
            ),
            SERVICE,
            text("severity", "Lowest severity: trace, debug, info, warn, error, fatal, or 1 to 24"),
            text("trace_id", "Only this trace"),
            text("span_id", "Only this span"),
            text("pattern_id", "Only this log pattern, 16 hex digits"),
            text("order", "newest (first; the default) or oldest"),
            count("limit", "Records, 1 to 200; 30 when absent"),
            CURSOR,
        ],
    },
    Spec {
        name: "log_patterns",
        title: "Log patterns",
        about: "What the logs of a range say, grouped by service and by the text that they share (<*> for what \
                differs), with counts; the most frequent first. Ask with severity=error for what goes wrong.",
        parameters: &[
            text("from", "Start; inclusive; an hour before the end when absent"),
            TO,
            text("query", "As for search_logs"),
            SERVICE,
            text("severity", "Lowest severity: trace, debug, info, warn, error, fatal, or 1 to 24"),
            text("trace_id", "Only this trace"),
            count("limit", "Patterns, 1 to 200; 40 when absent"),
        ],
    },
];

/// The tool of a name.
pub(super) fn named(name: &str) -> Option<&'static Spec> {
    ALL.iter().find(|spec| spec.name == name)
}

impl Spec {
    /// As the protocol describes it.
    pub(super) fn described(&self) -> Tool {
        let hints = ToolAnnotations::with_title(self.title).read_only(true).idempotent(true).open_world(false);
        Tool::new(self.name, self.about, Arc::new(self.schema())).with_title(self.title).with_annotations(hints)
    }

    /// Arguments that are known; others are refused.
    pub(super) fn read(&self, arguments: &Map<String, Value>) -> Result<Params, Failure> {
        let known: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name).collect();
        Params::of_arguments(arguments, &known, &[])
    }

    fn schema(&self) -> Map<String, Value> {
        let mut properties = Map::new();
        for Parameter { name, kind, about } in self.parameters {
            let schema = match kind {
                Kind::Text | Kind::Required => json!({"type": "string", "description": about}),
                Kind::Count => json!({"type": "integer", "minimum": 0, "description": about}),
            };
            properties.insert((*name).to_owned(), schema);
        }
        let required: Vec<&str> =
            self.parameters.iter().filter(|one| matches!(one.kind, Kind::Required)).map(|one| one.name).collect();
        let mut schema = Map::new();
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), properties.into());
        schema.insert("required".into(), required.into());
        schema.insert("additionalProperties".into(), false.into());
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: every tool.
    // Guarantee: it has a name of its own, says what it is for, only reads, and describes every parameter; arguments
    // of other names are refused, numbers and null are taken.
    #[test]
    fn tools_are_described() {
        for spec in ALL {
            assert_eq!(named(spec.name).map(|found| found.title), Some(spec.title));
            let tool = serde_json::to_value(spec.described()).unwrap();
            assert_eq!(tool["annotations"]["readOnlyHint"], true);
            assert!(tool["description"].as_str().unwrap().len() > 30);
            for (name, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
                assert!(!schema["description"].as_str().unwrap().is_empty(), "{} {name}", spec.name);
            }
            let wrong = serde_json::from_value(json!({"limits": 3})).unwrap();
            assert!(spec.read(&wrong).is_err(), "{}", spec.name);
        }
        let spec = named("search_logs").unwrap();
        let read = |arguments: Value| spec.read(arguments.as_object().unwrap());
        let params =
            read(json!({"limit": 3, "query": "timeout", "service": null, "from": 1_790_000_000})).ok().unwrap();
        assert_eq!(params.count("limit").ok(), Some(Some(3)));
        assert_eq!((params.text("service"), params.text("from")), (None, Some("1790000000")));
        assert!(read(json!({"query": ["a"]})).is_err());
    }
}
