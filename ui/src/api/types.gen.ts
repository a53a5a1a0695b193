// Written by hand in the shape of scripts/types.mjs until the server's OpenAPI document is there; then: `npm run types`.

export interface ErrorAnswer {
  error: {
    code: string;
    message: string;
    details?: Record<string, unknown>;
  };
}

export interface HistogramAnswer {
  step_ns: string;
  buckets: HistogramBucket[];
  partial?: boolean;
  partial_reason?: string;
}

export interface HistogramBucket {
  time_ns: string;
  /** Log lines by lower-case severity; `unset` where none was sent. */
  counts: Record<string, number>;
}

export interface IngestAnswer {
  /** Items per signal since the data directory was created. */
  accepted: Record<string, number>;
  stored: Record<string, number>;
  refused: Record<string, number>;
  rejected: Record<string, number>;
  dead_letters: Record<string, number>;
  duplicates: Record<string, number>;
  journal: {
    bytes: number;
    bytes_max?: number | null;
    /** When the oldest frame that is not yet confirmed in the store was received; null when there is none. */
    oldest_unconfirmed_ns?: string | null;
  };
  store: {
    state: "ok" | "down" | "slow";
    guarantee: "exactly_once" | "at_least_once";
    message?: string | null;
  };
  /** Where to send to: `otlp_grpc`, `otlp_http`, `zipkin` -> `host:port`. */
  addresses?: Record<string, string>;
}

export interface LedgerAnswer {
  entries: LedgerEntry[];
}

export interface LedgerEntry {
  time_ns: string;
  sender: string;
  signal: string;
  reason: string;
  items: number;
  example?: string | null;
}

export interface LogLine {
  time_ns: string;
  service: string;
  severity: string;
  severity_number: number;
  body: unknown;
  attributes: Record<string, unknown>;
  resource_index?: number | null;
  trace_id?: string | null;
  span_id?: string | null;
  join?: "own" | "found" | "placed" | null;
  confidence?: number | null;
  pattern_id?: string | null;
  scope?: Scope | null;
  event_name?: string | null;
}

export interface LogsAnswer {
  logs: LogLine[];
  resources: Resource[];
  next_cursor?: string | null;
  partial?: boolean;
  partial_reason?: string;
}

export interface Operation {
  name: string;
  kind: string;
  spans: number;
  errors: number;
  p50_ns: string;
  p95_ns: string;
  p99_ns: string;
}

export interface OperationsAnswer {
  operations: Operation[];
}

export interface Problem {
  code: string;
  text: string;
  count: number;
}

export interface Resource {
  attributes: Record<string, unknown>;
  schema_url?: string | null;
}

export interface Scope {
  name: string;
  version?: string | null;
  attributes?: Record<string, unknown>;
  schema_url?: string | null;
}

export interface Service {
  name: string;
  spans: number;
  errors: number;
  p50_ns: string;
  p95_ns: string;
  p99_ns: string;
  logs: number;
  first_seen_ns: string;
  last_seen_ns: string;
}

export interface ServicesAnswer {
  services: Service[];
}

export interface Span {
  span_id: string;
  parent_span_id?: string | null;
  depth: number;
  service: string;
  name: string;
  kind: string;
  start_ns: string;
  duration_ns: string;
  status: string;
  status_message?: string | null;
  attributes: Record<string, unknown>;
  resource_index?: number | null;
  scope?: Scope | null;
  trace_state?: string | null;
  events: SpanEvent[];
  links: SpanLink[];
  log_count: number;
  critical: boolean;
}

export interface SpanEvent {
  name: string;
  time_ns: string;
  attributes: Record<string, unknown>;
}

export interface SpanLink {
  trace_id: string;
  span_id: string;
  attributes: Record<string, unknown>;
}

export interface TraceAnswer {
  trace_id: string;
  start_ns: string;
  duration_ns: string;
  total_spans: number;
  total_logs: number;
  services: string[];
  resources: Resource[];
  spans: Span[];
  logs: LogLine[];
  problems: Problem[];
  logs_next_cursor?: string | null;
  partial?: boolean;
  partial_reason?: string;
}

export interface TraceColumns {
  span_id: string[];
  parent: number[];
  depth: number[];
  service: number[];
  name: number[];
  kind: number[];
  start_us: number[];
  duration_us: number[];
  status: number[];
  log_count: number[];
  critical: number[];
}

export interface TraceColumnsAnswer {
  trace_id: string;
  start_ns: string;
  duration_ns: string;
  total_spans: number;
  total_logs: number;
  services: string[];
  names: string[];
  columns: TraceColumns;
  problems: Problem[];
  partial?: boolean;
  partial_reason?: string;
}

export interface TraceSummary {
  trace_id: string;
  root_service: string;
  root_operation: string;
  start_ns: string;
  duration_ns: string;
  spans: number;
  errors: number;
  logs: number;
  services: string[];
  complete: boolean;
}

export interface TracesAnswer {
  traces: TraceSummary[];
  next_cursor?: string | null;
  partial?: boolean;
  partial_reason?: string;
}
