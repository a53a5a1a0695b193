//! One trace, found by its id alone: its spans in depth-first order with its logs.
//!
//! The tree is made from a narrow read of all spans; what spans carry is read only for the page asked
//! for, so the hundred-thousandth span costs no more than the first. `format=columns` is the whole tree
//! as arrays, without what spans carry, for drawing.

use std::collections::{HashMap, HashSet};

use model::kind::{SPAN_KINDS, STATUS_CODES};
use model::spans::{sent_end, sent_start};
use model::{SpanId, mark};
use serde::Serialize;
use store::questions::logs::{LogSearch, search};
use store::questions::trace::{DetailRow, SkeletonRow, SpanLogsRow, TraceAt, TraceRange};
use store::questions::{Ask, AskError, LogMatch, Window, trace};
use utoipa::ToSchema;

use crate::attributes::Attributes;
use crate::logs::{LogLine, next};
use crate::problems::{Oddity, Problem};
use crate::shared::{
    Gathered, KINDS, Ns, Resource, ResourceKey, STATUSES, Scope, ScopeKey, json, mark_names, number_of, shown_trace_id,
    some,
};
use crate::tree::{Builder, Node, Tree};
use crate::{Limits, View, ViewError, ask, cursor, query};

/// What is asked about a trace.
#[derive(Clone, Debug, Default)]
pub struct TraceQuestion {
    /// Spans to pass over, in depth-first order.
    pub offset: usize,
    /// Spans wanted; 0 for none.
    pub limit: Option<usize>,
    /// Only the spans with this id, and their logs.
    pub span_id: Option<String>,
    /// Whether logs are wanted.
    pub logs: bool,
    /// Log records wanted.
    pub logs_limit: Option<usize>,
    /// Where the previous page of logs ended.
    pub logs_cursor: Option<String>,
    /// Attributes and bodies in OTLP `AnyValue` form.
    pub typed: bool,
}

/// One trace.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TraceAnswer {
    /// Trace id, 32 hex digits, or 16 where the sender used 64 bits.
    pub trace_id: String,
    /// Earliest start.
    #[schema(value_type = String)]
    pub start_ns: Ns,
    /// From the earliest start to the latest end.
    #[schema(value_type = String)]
    pub duration_ns: Ns,
    /// Spans; resent ones count once.
    pub total_spans: u64,
    /// Log records.
    pub total_logs: u64,
    /// Spans with status error.
    pub errors: u64,
    /// Service of the root span; empty without spans.
    pub root_service: String,
    /// Name of the root span; empty without spans.
    pub root_operation: String,
    /// Whether there is a root and every parent is there.
    pub complete: bool,
    /// Services, by name.
    pub services: Vec<String>,
    /// Resources, by `resource_index`.
    pub resources: Vec<Resource>,
    /// Instrumentation scopes, by `scope_index`.
    pub scopes: Vec<Scope>,
    /// Spans in depth-first order.
    pub spans: Vec<Span>,
    /// Log records in time order.
    pub logs: Vec<LogLine>,
    /// Gives the next page of logs, when there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs_next_cursor: Option<String>,
    /// What is odd about the trace.
    pub problems: Vec<Problem>,
    /// True when the trace has more spans than are read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub partial: bool,
    /// Why it is not whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_reason: Option<String>,
}

/// One span.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Span {
    /// Span id, 16 hex digits.
    pub span_id: String,
    /// Parent's span id as sent; null for a root.
    pub parent_span_id: Option<String>,
    /// Levels above it.
    pub depth: u32,
    /// Service name.
    pub service: String,
    /// Name.
    pub name: String,
    /// unspecified, internal, server, client, producer or consumer.
    pub kind: &'static str,
    /// Start; the receive time where it had none.
    #[schema(value_type = String)]
    pub start_ns: Ns,
    /// Duration.
    #[schema(value_type = String)]
    pub duration_ns: Ns,
    /// The start as sent, where `start_ns` is not it; 0 when none was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub original_start_ns: Option<Ns>,
    /// The end as sent, where start and duration do not give it; 0 when none was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub original_end_ns: Option<Ns>,
    /// Fields as sent that the others cannot hold (ids as hex): `kind` and `status_code` where nobody
    /// knows the number, malformed `parent_span_id` and `links`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub original_fields: Option<serde_json::Value>,
    /// unset, ok or error.
    pub status: &'static str,
    /// Status message.
    pub status_message: String,
    /// W3C trace state.
    pub trace_state: String,
    /// OTLP flags.
    pub flags: u32,
    /// How many spans this one stands for (sampling).
    pub weight: f64,
    /// Attributes.
    #[schema(value_type = crate::AttributesShape)]
    pub attributes: Attributes,
    /// Attributes that the sender or a limit dropped.
    pub dropped_attributes_count: u32,
    /// Events that the sender or a limit dropped.
    pub dropped_events_count: u32,
    /// Links that the sender or a limit dropped.
    pub dropped_links_count: u32,
    /// Number of its resource.
    pub resource_index: u32,
    /// Number of its scope.
    pub scope_index: u32,
    /// Events in the order sent.
    pub events: Vec<SpanEvent>,
    /// Links in the order sent.
    pub links: Vec<SpanLink>,
    /// Log records of this span.
    pub log_count: u64,
    /// Whether it is on the critical path.
    pub critical: bool,
    /// What is special about it, such as `truncated`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub marks: Vec<&'static str>,
    /// What only Zipkin has; absent for spans of other senders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zipkin: Option<ZipkinSpan>,
}

/// An event of a span.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SpanEvent {
    /// Name.
    pub name: String,
    /// When.
    #[schema(value_type = String)]
    pub time_ns: Ns,
    /// Attributes.
    #[schema(value_type = crate::AttributesShape)]
    pub attributes: Attributes,
    /// Attributes that the sender or a limit dropped.
    pub dropped_attributes_count: u32,
}

/// A link of a span.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SpanLink {
    /// Trace id; empty where the sender's was malformed.
    pub trace_id: String,
    /// Span id; empty where the sender's was malformed.
    pub span_id: String,
    /// W3C trace state.
    pub trace_state: String,
    /// Attributes.
    #[schema(value_type = crate::AttributesShape)]
    pub attributes: Attributes,
    /// Attributes that the sender or a limit dropped.
    pub dropped_attributes_count: u32,
    /// OTLP flags.
    pub flags: u32,
}

/// What only Zipkin spans have.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ZipkinSpan {
    /// `shared` as sent.
    pub shared: Option<bool>,
    /// `debug` as sent.
    pub debug: Option<bool>,
    /// `localEndpoint` as sent.
    #[schema(value_type = Option<Object>)]
    pub local_endpoint: Option<serde_json::Value>,
    /// `remoteEndpoint` as sent.
    #[schema(value_type = Option<Object>)]
    pub remote_endpoint: Option<serde_json::Value>,
}

/// One trace as arrays, for drawing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TraceColumnsAnswer {
    /// Trace id.
    pub trace_id: String,
    /// Earliest start.
    #[schema(value_type = String)]
    pub start_ns: Ns,
    /// From the earliest start to the latest end.
    #[schema(value_type = String)]
    pub duration_ns: Ns,
    /// Spans; resent ones count once.
    pub total_spans: u64,
    /// Log records.
    pub total_logs: u64,
    /// Services by number.
    pub services: Vec<String>,
    /// Span names by number.
    pub names: Vec<String>,
    /// The spans, depth first.
    pub columns: TraceColumns,
    /// What is odd about the trace.
    pub problems: Vec<Problem>,
    /// True when the trace has more spans than are read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub partial: bool,
    /// Why it is not whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_reason: Option<String>,
}

/// Spans as one array per property, all of one length.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct TraceColumns {
    /// Span ids, 16 hex digits.
    pub span_id: Vec<String>,
    /// Row of the parent, -1 for none.
    pub parent: Vec<i32>,
    /// Levels above.
    pub depth: Vec<u32>,
    /// Number of the service.
    pub service: Vec<u32>,
    /// Number of the name.
    pub name: Vec<u32>,
    /// 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: Vec<u8>,
    /// Microseconds since the trace's start.
    pub start_us: Vec<f64>,
    /// Microseconds.
    pub duration_us: Vec<f64>,
    /// 0 unset, 1 ok, 2 error.
    pub status: Vec<u8>,
    /// Log records of the span.
    pub log_count: Vec<u64>,
    /// 1 when on the critical path.
    pub critical: Vec<u8>,
}

/// The ids under which a trace's logs may stand: its own, and, for a 128-bit one, its low half alone,
/// which is all that some loggers write.
pub fn log_ids(trace_id: &str) -> Vec<String> {
    let mut ids = vec![trace_id.to_owned()];
    if trace_id.len() == 32 && !trace_id.starts_with("0000000000000000") && &trace_id[16..] != "0000000000000000" {
        ids.push(format!("0000000000000000{}", &trace_id[16..]));
    }
    ids
}

/// A trace read narrowly: where it is, its tree, its log counts.
struct Found {
    /// What the spans carry, when the trace was read in one go.
    carried: Option<Vec<DetailRow>>,
    spans_at: TraceAt,
    logs_at: TraceAt,
    tree: Tree,
    id64: bool,
    total_spans: u64,
    span_logs: Vec<SpanLogsRow>,
    log_counts: Vec<u64>,
}

impl View {
    /// One trace with what its spans carry.
    pub async fn trace(
        &self,
        tenant: &str,
        trace_id: &str,
        question: TraceQuestion,
        now_ns: i64,
    ) -> Result<TraceAnswer, ViewError> {
        let id = query::trace_id(trace_id)?;
        let span_id = question.span_id.as_deref().map(query::span_id).transpose()?;
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        let mut found = find(&ask, &id, &self.limits, question.limit != Some(0)).await?;
        let rows = found.rows(&question, span_id.as_deref(), &self.limits);
        let mut gathered = Gathered::new(question.typed);
        let details = details(&ask, &mut found, &rows).await?;
        let spans = found.spans(&rows, details, &mut gathered, question.typed);
        let (logs, logs_next_cursor) = self.trace_logs(&ask, &found, &question, span_id, &mut gathered, now_ns).await?;
        let (resources, scopes) = gathered.into_lists();
        let (start_ns, duration_ns) = found.extent();
        let root = found.tree.nodes.get(found.tree.root);
        let text =
            |list: &[String], number: Option<u32>| number.map_or(String::new(), |number| list[number as usize].clone());
        let mut services = found.tree.services.clone();
        services.sort_unstable();
        let partial_reason = found.partial_reason();
        Ok(TraceAnswer {
            trace_id: shown_trace_id(&id, found.id64),
            start_ns,
            duration_ns,
            total_spans: found.total_spans,
            total_logs: found.total_logs(),
            errors: found.tree.nodes.iter().filter(|node| node.status == model::kind::STATUS_ERROR).count() as u64,
            root_service: text(&found.tree.services, root.map(|root| root.service)),
            root_operation: text(&found.tree.names, root.map(|root| root.name)),
            complete: found.tree.complete && partial_reason.is_none(),
            services,
            resources,
            scopes,
            spans,
            logs,
            logs_next_cursor,
            problems: found.problems(),
            partial: partial_reason.is_some(),
            partial_reason,
        })
    }

    /// One trace as arrays.
    pub async fn trace_columns(&self, tenant: &str, trace_id: &str) -> Result<TraceColumnsAnswer, ViewError> {
        let id = query::trace_id(trace_id)?;
        let client = self.store.client()?;
        let found = find(&ask(&client, tenant), &id, &self.limits, false).await?;
        let (start_ns, duration_ns) = found.extent();
        let partial_reason = found.partial_reason();
        Ok(TraceColumnsAnswer {
            trace_id: shown_trace_id(&id, found.id64),
            start_ns,
            duration_ns,
            total_spans: found.total_spans,
            total_logs: found.total_logs(),
            columns: columns(&found.tree, &found.log_counts, start_ns),
            problems: found.problems(),
            partial: partial_reason.is_some(),
            partial_reason,
            services: found.tree.services,
            names: found.tree.names,
        })
    }

    async fn trace_logs(
        &self,
        ask: &Ask<'_>,
        found: &Found,
        question: &TraceQuestion,
        span_id: Option<String>,
        gathered: &mut Gathered,
        now_ns: i64,
    ) -> Result<(Vec<LogLine>, Option<String>), ViewError> {
        let after =
            question.logs_cursor.as_deref().map(|text| cursor::to_times(cursor::LOGS_OLDEST, text)).transpose()?;
        let limit = question.logs_limit.unwrap_or(self.limits.trace_logs_default).min(self.limits.list_max);
        if !question.logs || limit == 0 || found.total_logs() == 0 {
            return Ok((Vec::new(), None));
        }
        let snapshot_ns = after.as_ref().map_or(now_ns, |end| end.snapshot_ns);
        let matching = LogMatch { trace_ids: found.logs_at.ids.clone(), span_id, ..LogMatch::default() };
        let asked = LogSearch { window: found.logs_at.window, matching, newest_first: false, limit, after };
        let page = search(ask, &asked).await?;
        let cursor = next(cursor::LOGS_OLDEST, &page, snapshot_ns);
        Ok((self.lines(ask, page.logs, gathered, question.typed).await?, cursor))
    }
}

/// Traces up to this size are read in one go; of larger ones first what the tree needs.
const WHOLE_MAX: usize = 500;

/// Finds a trace: its range from the index, its spans (narrowly, or `carried` with them what they
/// carry), its log counts.
async fn find(ask: &Ask<'_>, id: &str, limits: &Limits, carried: bool) -> Result<Found, ViewError> {
    let log_ids = log_ids(id);
    let ranges = trace::ranges(ask, &log_ids).await?;
    let own = ranges.iter().find(|range| range.trace_id == id);
    let spans_at = TraceAt { ids: vec![id.to_owned()], window: own.map_or(Window::ALL, TraceRange::window) };
    let logs_at = TraceAt { ids: log_ids, window: own.and_then(|_| union(&ranges)).unwrap_or(Window::ALL) };
    let small = carried && own.is_some_and(|own| own.spans <= WHOLE_MAX as u64);
    let (read, span_logs) = tokio::try_join!(read(ask, &spans_at, limits, small), trace::span_logs(ask, &logs_at))?;
    let Read { mut builder, id64, carried } = read;
    if builder.is_empty() && span_logs.is_empty() {
        return Err(ViewError::NotFound(format!("no span and no log of trace {id} is stored")));
    }
    let more = builder.len() > limits.trace_spans_max;
    builder.truncate(limits.trace_spans_max);
    let tree = builder.build();
    let total_spans = if more { trace::span_count(ask, &spans_at).await? } else { tree.nodes.len() as u64 };
    let log_counts = log_counts(&tree, &span_logs);
    Ok(Found { carried, spans_at, logs_at, tree, id64, total_spans, span_logs, log_counts })
}

/// A trace's spans as read.
#[derive(Default)]
struct Read {
    builder: Builder,
    id64: bool,
    carried: Option<Vec<DetailRow>>,
}

async fn read(ask: &Ask<'_>, at: &TraceAt, limits: &Limits, small: bool) -> Result<Read, AskError> {
    let mut read = Read::default();
    if small && let Some(rows) = trace::whole(ask, at, WHOLE_MAX.min(limits.trace_spans_max)).await? {
        rows.iter().for_each(|row| read.push(&narrow(row)));
        return Ok(Read { carried: Some(rows), ..read });
    }
    trace::skeleton(ask, at, limits.trace_spans_max + 1, |row| read.push(row)).await?;
    Ok(read)
}

impl Read {
    fn push(&mut self, row: &SkeletonRow<'_>) {
        self.id64 |= row.padded_id && row.marks & mark::ID64 != 0;
        let node = Node {
            span_id: id_number(row.span_id),
            parent_id: id_number(row.parent_span_id),
            service: self.builder.service(row.service),
            name: self.builder.name(row.name),
            kind: number_of(&SPAN_KINDS, row.kind),
            status: number_of(&STATUS_CODES, row.status),
            start_ns: row.start_ns,
            duration_ns: row.duration_ns,
            marks: row.marks,
            dropped: row.dropped,
        };
        self.builder.push(node);
    }
}

/// What the tree needs of a span.
fn narrow(row: &DetailRow) -> SkeletonRow<'_> {
    SkeletonRow {
        span_id: &row.span_id,
        parent_span_id: &row.parent_span_id,
        service: &row.service,
        name: &row.name,
        kind: &row.kind,
        status: &row.status,
        start_ns: row.start_ns,
        duration_ns: row.duration_ns,
        marks: row.marks,
        dropped: row.dropped_attributes > 0 || row.dropped_events > 0 || row.dropped_links > 0,
        padded_id: row.padded_id,
    }
}

fn union(ranges: &[TraceRange]) -> Option<Window> {
    ranges
        .iter()
        .map(TraceRange::window)
        .reduce(|a, b| Window { from_ns: a.from_ns.min(b.from_ns), to_ns: a.to_ns.max(b.to_ns) })
}

fn id_number(hex: &str) -> u64 {
    SpanId::from_hex(hex.as_bytes()).map_or(0, |id| u64::from_be_bytes(id.0))
}

fn id_text(number: u64) -> String {
    format!("{number:016x}")
}

/// Log records of each span. Where several spans have one id (Zipkin's two sides of a call), a record
/// belongs to the one of its service, else to the first.
fn log_counts(tree: &Tree, span_logs: &[SpanLogsRow]) -> Vec<u64> {
    let mut counts = vec![0; tree.nodes.len()];
    if span_logs.is_empty() {
        return counts;
    }
    let mut first: HashMap<u64, usize> = HashMap::with_capacity(tree.nodes.len());
    let mut by_service: HashMap<(u64, &str), usize> = HashMap::with_capacity(tree.nodes.len());
    for (row, node) in tree.nodes.iter().enumerate() {
        first.entry(node.span_id).or_insert(row);
        by_service.entry((node.span_id, tree.services[node.service as usize].as_str())).or_insert(row);
    }
    for logs in span_logs.iter().filter(|logs| !logs.span_id.is_empty()) {
        let id = id_number(&logs.span_id);
        let row = by_service.get(&(id, logs.service.as_str())).or_else(|| first.get(&id));
        if let Some(row) = row {
            counts[*row] += logs.logs;
        }
    }
    counts
}

/// What tells a span's rows apart.
type Identity = (u64, String, u8, i64, u64);

fn identity(tree: &Tree, node: &Node) -> Identity {
    (node.span_id, tree.services[node.service as usize].clone(), node.kind, node.start_ns, node.duration_ns)
}

fn carrier(row: &DetailRow) -> Identity {
    let kind = number_of(&SPAN_KINDS, &row.kind);
    (id_number(&row.span_id), row.service.clone(), kind, row.start_ns, row.duration_ns)
}

/// What the spans of a page carry, by identity.
async fn details(ask: &Ask<'_>, found: &mut Found, rows: &[usize]) -> Result<HashMap<Identity, DetailRow>, ViewError> {
    let mut read = HashMap::with_capacity(rows.len());
    if rows.is_empty() {
        return Ok(read);
    }
    if let Some(carried) = found.carried.take() {
        read.extend(carried.into_iter().map(|row| (carrier(&row), row)));
        return Ok(read);
    }
    let nodes = || rows.iter().map(|row| &found.tree.nodes[*row]);
    let wanted: HashSet<Identity> = nodes().map(|node| identity(&found.tree, node)).collect();
    let first_ns = nodes().map(|node| node.start_ns).min().unwrap_or(0);
    let last_ns = nodes().map(|node| node.start_ns).max().unwrap_or(0);
    let window = Window { from_ns: first_ns, to_ns: last_ns.saturating_add(1) }.within(Window::ALL);
    let at = TraceAt { ids: found.spans_at.ids.clone(), window };
    let mut ids: Vec<String> = nodes().map(|node| id_text(node.span_id)).collect();
    ids.sort_unstable();
    ids.dedup();
    trace::details(ask, &at, &ids, |row| {
        let identity = carrier(&row);
        if wanted.contains(&identity) {
            read.insert(identity, row);
        }
    })
    .await?;
    Ok(read)
}

impl Found {
    /// The rows of the tree that the answer shows.
    fn rows(&self, question: &TraceQuestion, span_id: Option<&str>, limits: &Limits) -> Vec<usize> {
        let limit = question.limit.unwrap_or(limits.trace_spans_default).min(limits.trace_spans_max);
        let wanted = span_id.map(id_number);
        let rows = self.tree.nodes.iter().enumerate().filter(|(_, node)| wanted.is_none_or(|id| node.span_id == id));
        rows.map(|(row, _)| row).skip(question.offset).take(limit).collect()
    }

    fn total_logs(&self) -> u64 {
        self.span_logs.iter().map(|logs| logs.logs).sum()
    }

    /// Start and duration: of the spans, or of the logs when there are none.
    fn extent(&self) -> (Ns, Ns) {
        let nodes = &self.tree.nodes;
        let (start_ns, end_ns) = if nodes.is_empty() {
            let start_ns = self.span_logs.iter().map(|logs| logs.first_ns).min().unwrap_or(0);
            (start_ns, self.span_logs.iter().map(|logs| i128::from(logs.last_ns)).max().unwrap_or(0))
        } else {
            let start_ns = nodes.iter().map(|node| node.start_ns).min().unwrap_or(0);
            (
                start_ns,
                nodes.iter().map(|node| i128::from(node.start_ns) + i128::from(node.duration_ns)).max().unwrap_or(0),
            )
        };
        (start_ns.into(), Ns((end_ns - i128::from(start_ns)).max(0)))
    }

    fn partial_reason(&self) -> Option<String> {
        let shown = self.tree.nodes.len() as u64;
        (self.total_spans > shown)
            .then(|| format!("the trace has {} spans, of which the {shown} earliest are shown", self.total_spans))
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.tree.problems.clone();
        if self.total_spans > self.tree.nodes.len() as u64 {
            problems.push(Oddity::TooManySpans.problem(self.total_spans - self.tree.nodes.len() as u64));
        }
        problems
    }

    fn spans(
        &self,
        rows: &[usize],
        mut details: HashMap<Identity, DetailRow>,
        gathered: &mut Gathered,
        typed: bool,
    ) -> Vec<Span> {
        rows.iter()
            .filter_map(|row| {
                let node = &self.tree.nodes[*row];
                // Absent only when retention dropped it between the two reads.
                let detail = details.remove(&identity(&self.tree, node))?;
                Some(self.span(*row, node, detail, gathered, typed))
            })
            .collect()
    }

    fn span(&self, row: usize, node: &Node, detail: DetailRow, gathered: &mut Gathered, typed: bool) -> Span {
        let sent_start = sent_start(node.start_ns, detail.original_start_ns, detail.marks);
        let sent_end = sent_end(node.start_ns, node.duration_ns, detail.original_end_ns, detail.marks);
        let end = (node.start_ns as u64).wrapping_add(node.duration_ns);
        Span {
            span_id: id_text(node.span_id),
            parent_span_id: (node.parent_id != 0).then(|| id_text(node.parent_id)),
            depth: self.tree.depths[row],
            service: self.tree.services[node.service as usize].clone(),
            name: self.tree.names[node.name as usize].clone(),
            kind: KINDS[usize::from(node.kind)],
            start_ns: node.start_ns.into(),
            duration_ns: node.duration_ns.into(),
            original_start_ns: (sent_start != node.start_ns as u64).then(|| sent_start.into()),
            original_end_ns: (sent_end != end).then(|| sent_end.into()),
            original_fields: json(&detail.original_fields),
            status: STATUSES[usize::from(node.status)],
            flags: detail.flags,
            weight: detail.weight,
            attributes: Attributes::read(&detail.attributes, &detail.attribute_types, typed),
            dropped_attributes_count: detail.dropped_attributes,
            dropped_events_count: detail.dropped_events,
            dropped_links_count: detail.dropped_links,
            events: events(&detail, typed),
            links: links(&detail, typed),
            log_count: self.log_counts[row],
            critical: self.tree.critical[row],
            marks: mark_names(detail.marks),
            zipkin: zipkin(&detail),
            status_message: detail.status_message,
            trace_state: detail.trace_state,
            resource_index: gathered.resource(ResourceKey {
                attributes: detail.resource_attributes,
                types: detail.resource_attribute_types,
                schema_url: detail.resource_schema_url,
                dropped: detail.resource_dropped,
                entity_refs: detail.entity_refs,
            }),
            scope_index: gathered.scope(ScopeKey {
                name: detail.scope_name,
                version: detail.scope_version,
                attributes: detail.scope_attributes,
                types: detail.scope_attribute_types,
                schema_url: detail.scope_schema_url,
                dropped: detail.scope_dropped,
            }),
        }
    }
}

fn events(detail: &DetailRow, typed: bool) -> Vec<SpanEvent> {
    (0..detail.event_times_ns.len())
        .map(|at| SpanEvent {
            name: detail.event_names[at].clone(),
            // Stored modulo 2^64: what does not fit a signed number comes back as sent.
            time_ns: (detail.event_times_ns[at] as u64).into(),
            attributes: Attributes::read(
                &detail.event_attributes[at],
                text_at(&detail.event_attribute_types, at),
                typed,
            ),
            dropped_attributes_count: detail.event_dropped.get(at).copied().unwrap_or(0),
        })
        .collect()
}

fn links(detail: &DetailRow, typed: bool) -> Vec<SpanLink> {
    (0..detail.link_trace_ids.len())
        .map(|at| SpanLink {
            trace_id: detail.link_trace_ids[at].clone(),
            span_id: detail.link_span_ids[at].clone(),
            trace_state: detail.link_trace_states[at].clone(),
            attributes: Attributes::read(&detail.link_attributes[at], text_at(&detail.link_attribute_types, at), typed),
            dropped_attributes_count: detail.link_dropped.get(at).copied().unwrap_or(0),
            flags: detail.link_flags.get(at).copied().unwrap_or(0),
        })
        .collect()
}

/// Our own list columns are empty in rows that another program wrote.
fn text_at(list: &[String], at: usize) -> &str {
    list.get(at).map_or("", String::as_str)
}

fn zipkin(detail: &DetailRow) -> Option<ZipkinSpan> {
    let flag = |yes: u32, no: u32| match detail.marks {
        marks if marks & yes != 0 => Some(true),
        marks if marks & no != 0 => Some(false),
        _ => None,
    };
    let endpoint = |text: &String| some(text.clone()).and_then(|text| json(&text));
    (detail.marks & mark::ZIPKIN != 0).then(|| ZipkinSpan {
        shared: flag(mark::SHARED, mark::SHARED_FALSE),
        debug: flag(mark::DEBUG, mark::DEBUG_FALSE),
        local_endpoint: endpoint(&detail.local_endpoint),
        remote_endpoint: endpoint(&detail.remote_endpoint),
    })
}

fn columns(tree: &Tree, log_counts: &[u64], start: Ns) -> TraceColumns {
    let us = |ns: i128| ns as f64 / 1_000.0;
    let nodes = &tree.nodes;
    TraceColumns {
        span_id: nodes.iter().map(|node| id_text(node.span_id)).collect(),
        parent: tree.parents.iter().map(|parent| parent.map_or(-1, |parent| parent as i32)).collect(),
        depth: tree.depths.clone(),
        service: nodes.iter().map(|node| node.service).collect(),
        name: nodes.iter().map(|node| node.name).collect(),
        kind: nodes.iter().map(|node| node.kind).collect(),
        start_us: nodes.iter().map(|node| us(i128::from(node.start_ns) - start.0)).collect(),
        duration_us: nodes.iter().map(|node| us(i128::from(node.duration_ns))).collect(),
        status: nodes.iter().map(|node| node.status).collect(),
        log_count: log_counts.to_vec(),
        critical: tree.critical.iter().map(|critical| u8::from(*critical)).collect(),
    }
}
