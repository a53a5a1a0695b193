// Written by hand in the shape of scripts/types.mjs until the server's OpenAPI document is there; then: `npm run types`.

/** Items by signal. */
export interface Counts {
  /** Spans. */
  traces: number;
  /** Log records. */
  logs: number;
  /** Metric points. */
  metrics: number;
}

/** How often an acknowledged item is in the tables. */
export type Guarantee = "exactly_once" | "at_least_once";

/** Log records over time. */
export interface HistogramAnswer {
  /** Width of a bucket. */
  step_ns: string;
  /** Every bucket of the range, empty ones included. */
  buckets: HistogramBucket[];
}

/** One bucket. */
export interface HistogramBucket {
  /** Its beginning, a multiple of the step. */
  time_ns: string;
  /** Records by lower-case severity; `unset` where none was sent. */
  counts: Record<string, number>;
}

/** How ingest is doing. Counts are items since the data directory was created. */
export interface IngestAnswer {
  /** Accepted: durable in the journal and acknowledged. */
  accepted: Counts;
  /** Stored in ClickHouse. */
  stored: Counts;
  /** Refused before or while decoding, in overload or without permission. */
  refused: Counts;
  /** Rejected by the rules of the protocol (partial success). */
  rejected: Counts;
  /** Set aside because ClickHouse refused them for good. */
  dead_letters: Counts;
  /** Resent items that were recognised and not stored again. */
  duplicates: Counts;
  /** The durable log. */
  journal: JournalState;
  /** Where rows are stored. */
  store: StoreState;
  /** Where to send to, by protocol: `otlp_grpc`, `otlp_http`, `zipkin`, `http`. */
  addresses: Record<string, string>;
}

/** The durable log. */
export interface JournalState {
  /** Bytes on disk. */
  bytes: number;
  /** Bytes it may take; new data is refused above. */
  bytes_max?: number | null;
  /** When the oldest frame that is not yet confirmed in the store was received; null without any. */
  oldest_unconfirmed_ns?: string | null;
  /** Whether it can be written; when not, why. */
  problem?: string | null;
}

/** One page of the ledger. */
export interface LedgerAnswer {
  /** Newest first. */
  entries: LedgerEntry[];
  /** Gives the next page, when there is more. */
  next_cursor?: string | null;
}

/** One entry. */
export interface LedgerEntry {
  /** When. */
  time_ns: string;
  /** Address and program of the sender. */
  sender: string;
  /** traces, logs or metrics. */
  signal: string;
  /** Reason code. */
  reason: string;
  /** refused, altered, set_aside or repeated. */
  outcome: string;
  /** Items; 0 when a request was refused before its items could be counted. */
  items: number;
  /** One example in words. */
  example?: string | null;
}

/** One log record. */
export interface LogLine {
  /** Time of the record; its observed or receive time where it had none. */
  time_ns: string;
  /** Observed time as sent; 0 when absent. */
  observed_time_ns: string;
  /** The time as sent, where `time_ns` is not it. */
  original_time_ns?: string | null;
  /** Service name. */
  service: string;
  /** Severity as sent. */
  severity: string;
  /** Severity number as sent, 0 to 24. */
  severity_number: number;
  /** trace, debug, info, warn, error or fatal, by number, else by the text; empty when neither tells. */
  level: string;
  /** Body: a text, or JSON where the sender's was structured; null without one. */
  body: unknown;
  /** Attributes (with `typed=true` a list of `{key, value}` with OTLP `AnyValue`s). */
  attributes: Record<string, unknown>;
  /** Attributes that the sender or a limit dropped. */
  dropped_attributes_count: number;
  /** OTLP flags. */
  flags: number;
  /** Event name. */
  event_name?: string | null;
  /** Number of its resource. */
  resource_index: number;
  /** Number of its scope. */
  scope_index: number;
  /** Trace id, own or found. */
  trace_id?: string | null;
  /** Span id, own or found. */
  span_id?: string | null;
  /** How it came to its trace: own, found or placed. */
  join?: string | null;
  /** Where a found id stood, such as `body:traceparent`. */
  join_source?: string | null;
  /** How certain the join is; 1 for own and found ids. */
  confidence?: number | null;
  /** Pattern of the body, 16 hex digits. */
  pattern_id?: string | null;
  /** What is special about it, such as `truncated`. */
  marks?: string[];
}

/** One page of log records. */
export interface LogsAnswer {
  /** The records. */
  logs: LogLine[];
  /** Their resources, by `resource_index`. */
  resources: Resource[];
  /** Their instrumentation scopes, by `scope_index`. */
  scopes: Scope[];
  /** Gives the next page, when there is more. */
  next_cursor?: string | null;
}

/** One operation: a span name and kind. */
export interface Operation {
  /** Span name. */
  name: string;
  /** Span kind: unspecified, internal, server, client, producer or consumer. */
  kind: string;
  /** Spans; resent ones count once. */
  spans: number;
  /** Spans with status error. */
  errors: number;
  /** Median duration. */
  p50_ns: string;
  /** 95th percentile of the duration. */
  p95_ns: string;
  /** 99th percentile of the duration. */
  p99_ns: string;
}

/** Operations of one service. */
export interface OperationsAnswer {
  /** By name and kind. */
  operations: Operation[];
}

/** One kind of oddity. */
export interface Problem {
  /** Code: `missing_parent`. */
  code: string;
  /** One sentence. */
  text: string;
  /** How many spans it concerns. */
  count: number;
}

/** A resource: what produced spans or logs. */
export interface Resource {
  /** Attributes (with `typed=true` a list of `{key, value}` with OTLP `AnyValue`s). */
  attributes: Record<string, unknown>;
  /** Schema URL, or empty. */
  schema_url: string;
  /** Attributes that the sender or a limit dropped. */
  dropped_attributes_count: number;
  /** Entity references as sent; absent without any. */
  entity_refs?: Record<string, unknown>[] | null;
}

/** An instrumentation scope. */
export interface Scope {
  /** Name. */
  name: string;
  /** Version. */
  version: string;
  /** Attributes. */
  attributes: Record<string, unknown>;
  /** Schema URL, or empty. */
  schema_url: string;
  /** Attributes that the sender or a limit dropped. */
  dropped_attributes_count: number;
}

/** One service. */
export interface Service {
  /** Name; empty where the sender gave none. */
  name: string;
  /** Spans; resent ones count once. */
  spans: number;
  /** Spans with status error. */
  errors: number;
  /** Median duration. */
  p50_ns: string;
  /** 95th percentile of the duration. */
  p95_ns: string;
  /** 99th percentile of the duration. */
  p99_ns: string;
  /** Log records. */
  logs: number;
  /** First span or record in the window. */
  first_seen_ns: string;
  /** Last span or record in the window. */
  last_seen_ns: string;
}

/** Services of a window. */
export interface ServicesAnswer {
  /** By name. */
  services: Service[];
}

/** One span. */
export interface Span {
  /** Span id, 16 hex digits. */
  span_id: string;
  /** Parent's span id as sent; null for a root. */
  parent_span_id?: string | null;
  /** Levels above it. */
  depth: number;
  /** Service name. */
  service: string;
  /** Name. */
  name: string;
  /** unspecified, internal, server, client, producer or consumer. */
  kind: string;
  /** Start; the receive time where it had none. */
  start_ns: string;
  /** Duration. */
  duration_ns: string;
  /** The start as sent, where `start_ns` is not it. */
  original_start_ns?: string | null;
  /** The end as sent, where start and duration do not give it. */
  original_end_ns?: string | null;
  /** unset, ok or error. */
  status: string;
  /** Status message. */
  status_message: string;
  /** W3C trace state. */
  trace_state: string;
  /** OTLP flags. */
  flags: number;
  /** How many spans this one stands for (sampling). */
  weight: number;
  /** Attributes (with `typed=true` a list of `{key, value}` with OTLP `AnyValue`s). */
  attributes: Record<string, unknown>;
  /** Attributes that the sender or a limit dropped. */
  dropped_attributes_count: number;
  /** Events that the sender or a limit dropped. */
  dropped_events_count: number;
  /** Links that the sender or a limit dropped. */
  dropped_links_count: number;
  /** Number of its resource. */
  resource_index: number;
  /** Number of its scope. */
  scope_index: number;
  /** Events in the order sent. */
  events: SpanEvent[];
  /** Links in the order sent. */
  links: SpanLink[];
  /** Log records of this span. */
  log_count: number;
  /** Whether it is on the critical path. */
  critical: boolean;
  /** What is special about it, such as `truncated`. */
  marks?: string[];
  /** What only Zipkin has; absent for spans of other senders. */
  zipkin?: ZipkinSpan | null;
}

/** An event of a span. */
export interface SpanEvent {
  /** Name. */
  name: string;
  /** When. */
  time_ns: string;
  /** Attributes. */
  attributes: Record<string, unknown>;
  /** Attributes that the sender or a limit dropped. */
  dropped_attributes_count: number;
}

/** A link of a span. */
export interface SpanLink {
  /** Trace id; empty where the sender's was malformed. */
  trace_id: string;
  /** Span id; empty where the sender's was malformed. */
  span_id: string;
  /** W3C trace state. */
  trace_state: string;
  /** Attributes. */
  attributes: Record<string, unknown>;
  /** Attributes that the sender or a limit dropped. */
  dropped_attributes_count: number;
  /** OTLP flags. */
  flags: number;
}

/** Whether rows go into the store. */
export type StoreHealth = "ok" | "down" | "slow";

/** Where rows are stored. */
export interface StoreState {
  /** Whether rows go in. */
  state: StoreHealth;
  /** What holds between the journal and the tables. */
  guarantee: Guarantee;
  /** What is wrong, when something is. */
  message?: string | null;
}

/** One trace. */
export interface TraceAnswer {
  /** Trace id, 32 hex digits, or 16 where the sender used 64 bits. */
  trace_id: string;
  /** Earliest start. */
  start_ns: string;
  /** From the earliest start to the latest end. */
  duration_ns: string;
  /** Spans; resent ones count once. */
  total_spans: number;
  /** Log records. */
  total_logs: number;
  /** Spans with status error. */
  errors: number;
  /** Service of the root span; empty without spans. */
  root_service: string;
  /** Name of the root span; empty without spans. */
  root_operation: string;
  /** Whether there is a root and every parent is there. */
  complete: boolean;
  /** Services, by name. */
  services: string[];
  /** Resources, by `resource_index`. */
  resources: Resource[];
  /** Instrumentation scopes, by `scope_index`. */
  scopes: Scope[];
  /** Spans in depth-first order. */
  spans: Span[];
  /** Log records in time order. */
  logs: LogLine[];
  /** Gives the next page of logs, when there is more. */
  logs_next_cursor?: string | null;
  /** What is odd about the trace. */
  problems: Problem[];
  /** True when the trace has more spans than are read. */
  partial?: boolean;
  /** Why it is not whole. */
  partial_reason?: string | null;
}

/** Spans as one array per property, all of one length. */
export interface TraceColumns {
  /** Span ids, 16 hex digits. */
  span_id: string[];
  /** Row of the parent, -1 for none. */
  parent: number[];
  /** Levels above. */
  depth: number[];
  /** Number of the service. */
  service: number[];
  /** Number of the name. */
  name: number[];
  /** 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number[];
  /** Microseconds since the trace's start. */
  start_us: number[];
  /** Microseconds. */
  duration_us: number[];
  /** 0 unset, 1 ok, 2 error. */
  status: number[];
  /** Log records of the span. */
  log_count: number[];
  /** 1 when on the critical path. */
  critical: number[];
}

/** One trace as arrays, for drawing. */
export interface TraceColumnsAnswer {
  /** Trace id. */
  trace_id: string;
  /** Earliest start. */
  start_ns: string;
  /** From the earliest start to the latest end. */
  duration_ns: string;
  /** Spans; resent ones count once. */
  total_spans: number;
  /** Log records. */
  total_logs: number;
  /** Services by number. */
  services: string[];
  /** Span names by number. */
  names: string[];
  /** The spans, depth first. */
  columns: TraceColumns;
  /** What is odd about the trace. */
  problems: Problem[];
  /** True when the trace has more spans than are read. */
  partial?: boolean;
  /** Why it is not whole. */
  partial_reason?: string | null;
}

/** What a list says about a trace. */
export interface TraceSummary {
  /** Trace id, 32 hex digits, or 16 where the sender used 64 bits. */
  trace_id: string;
  /** Service of the root span: the earliest without a parent, else the earliest. */
  root_service: string;
  /** Name of the root span. */
  root_operation: string;
  /** Earliest start. */
  start_ns: string;
  /** From the earliest start to the latest end. */
  duration_ns: string;
  /** Spans; resent ones count once. */
  spans: number;
  /** Spans with status error. */
  errors: number;
  /** Log records. */
  logs: number;
  /** Services, by name. */
  services: string[];
  /** Whether there is a root and every parent is there. */
  complete: boolean;
}

/** One page of traces. */
export interface TracesAnswer {
  /** Newest first. */
  traces: TraceSummary[];
  /** Gives the next page, when there is more. */
  next_cursor?: string | null;
  /** True when the search stopped early; `next_cursor` goes on. */
  partial?: boolean;
  /** Why it stopped. */
  partial_reason?: string | null;
}

/** What only Zipkin spans have. */
export interface ZipkinSpan {
  /** `shared` as sent. */
  shared?: boolean | null;
  /** `debug` as sent. */
  debug?: boolean | null;
  /** `localEndpoint` as sent. */
  local_endpoint?: Record<string, unknown> | null;
  /** `remoteEndpoint` as sent. */
  remote_endpoint?: Record<string, unknown> | null;
}

/** Body of every error answer. */
export interface ErrorAnswer {
  error: {
    code: string;
    message: string;
    details?: Record<string, unknown>;
  };
}
