//! What services tell of themselves, before it is put into a protocol's form.

/// Something that a service sends.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// When it falls due by the true clock: the end of a span, the time of a log. Its own times may
    /// be another clock's.
    pub due_ns: i64,
    /// Who sends it.
    pub resource: Resource,
    /// What it is.
    pub payload: Payload,
}

/// A span or a log.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// A span that goes out as OTLP.
    Span(Span),
    /// A span that goes out as Zipkin JSON.
    ZipkinSpan(Span),
    /// A log, always OTLP.
    Log(Log),
}

/// One instance of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// The service.
    pub service: crate::Svc,
    /// Number of the pod within it.
    pub pod: u8,
    /// Whether this pod runs the next version (the fault "bad version").
    pub canary: bool,
}

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Trace id.
    pub trace_id: u128,
    /// Span id.
    pub span_id: u64,
    /// Parent's span id; 0 for none.
    pub parent_id: u64,
    /// Whether a Zipkin server shares the id of its caller's span.
    pub shared: bool,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: SpanKind,
    /// Start.
    pub start_ns: i64,
    /// End.
    pub end_ns: i64,
    /// Attributes.
    pub attributes: Attributes,
    /// Exceptions and other events.
    pub events: Vec<Event>,
    /// Links to spans of other traces.
    pub links: Vec<(u128, u64)>,
    /// Status.
    pub status: Status,
    /// Instrumentation scope.
    pub scope: &'static str,
    /// The other side, where the dialect names it: name, address, port.
    pub remote: Option<Remote>,
}

/// The other side of a call, as Zipkin writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Service name.
    pub name: &'static str,
    /// Address.
    pub ipv4: String,
    /// Port.
    pub port: u16,
}

/// Attributes in the order in which they were set.
pub type Attributes = Vec<(&'static str, Value)>;

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// Integer.
    Int(i64),
    /// Yes or no.
    Bool(bool),
}

/// A point in a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Name.
    pub name: &'static str,
    /// Time.
    pub time_ns: i64,
    /// Attributes.
    pub attributes: Attributes,
}

/// Kind of a span, numbered as OTLP does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// Status of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody set one: all went well.
    Unset,
    /// Set to OK by hand.
    Ok,
    /// Failed, with a message.
    Error(String),
}

/// A log record.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// When it was written.
    pub time_ns: i64,
    /// OTLP's severity number.
    pub severity: i32,
    /// How the service writes the severity.
    pub severity_text: &'static str,
    /// The text.
    pub body: String,
    /// Attributes.
    pub attributes: Attributes,
    /// Trace id in its field; 0 when the log has none there.
    pub trace_id: u128,
    /// Span id in its field.
    pub span_id: u64,
    /// Logger.
    pub scope: String,
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Value {
        Value::Int(number.into())
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Value {
        Value::Bool(yes)
    }
}

impl Span {
    /// An attribute.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Whether it failed.
    pub fn is_error(&self) -> bool {
        matches!(self.status, Status::Error(_))
    }
}
