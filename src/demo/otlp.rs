//! The shop's telemetry as OTLP: one resource per pod, with the attributes that SDKs, Kubernetes and
//! hosts give it.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as OtlpSpan, Status as OtlpStatus};

use crate::random::mix;
use crate::shop::{Dialect, HOSTS, Svc};
use crate::telemetry::{Attributes, Log, Resource, Span, Status, Value};

/// A request with these spans, grouped by pod and scope.
pub fn traces(spans: &[(Resource, Span)]) -> ExportTraceServiceRequest {
    let mut groups: BTreeMap<Resource, BTreeMap<&str, Vec<OtlpSpan>>> = BTreeMap::new();
    for (resource, span) in spans {
        groups.entry(*resource).or_default().entry(span.scope).or_default().push(otlp_span(span));
    }
    let resource_spans = groups.into_iter().map(|(resource, scopes)| ResourceSpans {
        resource: Some(otlp_resource(resource)),
        scope_spans: scopes
            .into_iter()
            .map(|(name, spans)| ScopeSpans { scope: Some(scope(name)), spans, schema_url: String::new() })
            .collect(),
        schema_url: schema_url(resource).to_owned(),
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

/// A request with these logs, grouped by pod and logger.
pub fn logs(logs: &[(Resource, Log)]) -> ExportLogsServiceRequest {
    let mut groups: BTreeMap<Resource, BTreeMap<&str, Vec<LogRecord>>> = BTreeMap::new();
    for (resource, log) in logs {
        groups.entry(*resource).or_default().entry(&log.scope).or_default().push(otlp_log(log));
    }
    let resource_logs = groups.into_iter().map(|(resource, scopes)| ResourceLogs {
        resource: Some(otlp_resource(resource)),
        scope_logs: scopes
            .into_iter()
            .map(|(name, log_records)| ScopeLogs { scope: Some(scope(name)), log_records, schema_url: String::new() })
            .collect(),
        schema_url: schema_url(resource).to_owned(),
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

/// What a pod says of itself.
pub fn resource_attributes(resource: Resource) -> Attributes {
    let service = resource.service.about();
    let version = if resource.canary { service.next_version } else { service.version };
    let host = HOSTS[service.pods[usize::from(resource.pod)].1].0;
    let pod = pod_name(resource);
    let instance = mix(pod.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte))));
    let mut attributes: Attributes = vec![
        ("service.name", service.name.into()),
        ("service.namespace", "shop".into()),
        ("service.version", version.into()),
        ("service.instance.id", uuid(instance).into()),
        ("deployment.environment.name", "demo".into()),
        ("host.name", host.into()),
    ];
    if service.dialect == Dialect::Zipkin {
        // The agent that reads the legacy's log file knows neither an SDK nor Kubernetes.
        return attributes;
    }
    attributes.extend([
        ("telemetry.sdk.name", "opentelemetry".into()),
        ("telemetry.sdk.language", service.language.name().into()),
        ("telemetry.sdk.version", "1.45.0".into()),
        ("k8s.cluster.name", "demo".into()),
        ("k8s.namespace.name", "shop".into()),
        ("k8s.node.name", host.into()),
        ("k8s.pod.name", pod.into()),
        ("k8s.pod.ip", service.pod_ip(resource.pod).into()),
    ]);
    match resource.service {
        Svc::Reporting => attributes.push(("k8s.cronjob.name", "nightly-report".into())),
        _ => attributes.push(("k8s.deployment.name", service.name.into())),
    }
    attributes
}

/// The pod's name: of another replica set when it runs the next version.
pub(crate) fn pod_name(resource: Resource) -> String {
    let service = resource.service.about();
    let suffix = service.pods[usize::from(resource.pod)].0;
    if service.dialect == Dialect::Zipkin {
        return format!("{}-1", service.name);
    }
    let version = if resource.canary { service.next_version } else { service.version };
    let set = version.bytes().chain(service.name.bytes()).fold(7, |hash, byte| mix(hash ^ u64::from(byte)));
    let set: String =
        (0..9).map(|at| b"bcdfghjklmnpqrstvwxz2456789"[(set >> (at * 6)) as usize % 27] as char).collect();
    format!("{}-{set}-{suffix}", service.name)
}

fn uuid(bits: u64) -> String {
    let low = mix(bits);
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        bits >> 32,
        bits >> 16 & 0xffff,
        bits & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

fn schema_url(resource: Resource) -> &'static str {
    match resource.service.about().dialect {
        Dialect::Stable => "https://opentelemetry.io/schemas/1.37.0",
        Dialect::Old => "https://opentelemetry.io/schemas/1.20.0",
        Dialect::Zipkin => "",
    }
}

fn otlp_resource(resource: Resource) -> OtlpResource {
    OtlpResource { attributes: pairs(&resource_attributes(resource)), ..OtlpResource::default() }
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope { name: name.to_owned(), ..InstrumentationScope::default() }
}

fn otlp_span(span: &Span) -> OtlpSpan {
    let (message, code) = match &span.status {
        Status::Unset => (String::new(), 0),
        Status::Ok => (String::new(), 1),
        Status::Error(message) => (message.clone(), 2),
    };
    let events = span.events.iter().map(|event| Event {
        time_unix_nano: event.time_ns as u64,
        name: event.name.to_owned(),
        attributes: pairs(&event.attributes),
        dropped_attributes_count: 0,
    });
    let links = span.links.iter().map(|(trace, id)| Link {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        ..Link::default()
    });
    OtlpSpan {
        trace_id: span.trace_id.to_be_bytes().to_vec(),
        span_id: span.span_id.to_be_bytes().to_vec(),
        parent_span_id: if span.parent_id == 0 { Vec::new() } else { span.parent_id.to_be_bytes().to_vec() },
        // Sampled.
        flags: 0x101,
        name: span.name.clone(),
        kind: span.kind as i32,
        start_time_unix_nano: span.start_ns as u64,
        end_time_unix_nano: span.end_ns as u64,
        attributes: pairs(&span.attributes),
        events: events.collect(),
        links: links.collect(),
        status: (code != 0).then_some(OtlpStatus { message, code }),
        ..OtlpSpan::default()
    }
}

fn otlp_log(log: &Log) -> LogRecord {
    let id = |bytes: &[u8]| if bytes.iter().all(|byte| *byte == 0) { Vec::new() } else { bytes.to_vec() };
    LogRecord {
        time_unix_nano: log.time_ns as u64,
        // Agents and SDKs see a line a little later.
        observed_time_unix_nano: (log.time_ns + 2_000_000) as u64,
        severity_number: log.severity,
        severity_text: log.severity_text.to_owned(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(log.body.clone())) }),
        attributes: pairs(&log.attributes),
        flags: u32::from(log.trace_id != 0),
        trace_id: id(&log.trace_id.to_be_bytes()),
        span_id: id(&log.span_id.to_be_bytes()),
        ..LogRecord::default()
    }
}

fn pairs(attributes: &Attributes) -> Vec<KeyValue> {
    let pairs = attributes.iter().map(|(key, value)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue {
            value: Some(match value {
                Value::Text(text) => any_value::Value::StringValue(text.clone()),
                Value::Int(number) => any_value::Value::IntValue(*number),
                Value::Bool(yes) => any_value::Value::BoolValue(*yes),
            }),
        }),
        ..KeyValue::default()
    });
    pairs.collect()
}
