/** The checkers for every answer the pages read: one per type of types.gen.ts, side by side with it. */
import { any, arr, bool, dict, type Check, ns, num, obj, or, str } from "./check";
import type * as T from "./types.gen";

const attributes = or(dict(any), {} as Record<string, unknown>);
const partial = { partial: or(bool, undefined), partial_reason: or(str, undefined) };
const counts: Check<Record<string, number>> = (v, at) => (typeof v === "number" ? { items: v } : or(dict(num), {} as Record<string, number>)(v, at));

export const scope = obj<T.Scope>({ name: or(str, ""), version: or(str, null), attributes, schema_url: or(str, null) });

/** A resource is `{attributes, …}`; a bare map of attributes is read as one too. */
export const resource: Check<T.Resource> = (v, at) => {
  const whole = dict(any)(v, at);
  const inner = whole["attributes"];
  if (typeof inner === "object" && inner !== null && !Array.isArray(inner)) return obj<T.Resource>({ attributes, schema_url: or(str, null) })(v, at);
  return { attributes: whole, schema_url: null };
};

export const logLine = obj<T.LogLine>({
  time_ns: ns,
  service: or(str, ""),
  severity: or(str, ""),
  severity_number: or(num, 0),
  body: any,
  attributes,
  resource_index: or(num, null),
  trace_id: or(str, null),
  span_id: or(str, null),
  join: or(str as Check<NonNullable<T.LogLine["join"]>>, null),
  confidence: or(num, null),
  pattern_id: or(str, null),
  scope: or(scope, null),
  event_name: or(str, null),
});

const problem = obj<T.Problem>({ code: str, text: or(str, ""), count: or(num, 1) });

export const service = obj<T.Service>({
  name: str, spans: or(num, 0), errors: or(num, 0), p50_ns: or(ns, "0"), p95_ns: or(ns, "0"), p99_ns: or(ns, "0"),
  logs: or(num, 0), first_seen_ns: or(ns, "0"), last_seen_ns: or(ns, "0"),
});

export const services = obj<T.ServicesAnswer>({ services: arr(service) });

export const operations = obj<T.OperationsAnswer>({
  operations: arr(obj<T.Operation>({
    name: str, kind: or(str, ""), spans: or(num, 0), errors: or(num, 0), p50_ns: or(ns, "0"), p95_ns: or(ns, "0"), p99_ns: or(ns, "0"),
  })),
});

export const traces = obj<T.TracesAnswer>({
  traces: arr(obj<T.TraceSummary>({
    trace_id: str, root_service: or(str, ""), root_operation: or(str, ""), start_ns: ns, duration_ns: ns,
    spans: num, errors: or(num, 0), logs: or(num, 0), services: or(arr(str), []), complete: or(bool, true),
  })),
  next_cursor: or(str, null),
  ...partial,
});

export const trace = obj<T.TraceAnswer>({
  trace_id: str, start_ns: ns, duration_ns: ns, total_spans: num, total_logs: or(num, 0),
  services: or(arr(str), []),
  resources: or(arr(resource), []),
  spans: or(arr(obj<T.Span>({
    span_id: str, parent_span_id: or(str, null), depth: or(num, 0), service: or(str, ""), name: or(str, ""), kind: or(str, ""),
    start_ns: ns, duration_ns: ns, status: or(str, "unset"), status_message: or(str, null), attributes, resource_index: or(num, null),
    scope: or(scope, null), trace_state: or(str, null),
    events: or(arr(obj<T.SpanEvent>({ name: or(str, ""), time_ns: ns, attributes })), []),
    links: or(arr(obj<T.SpanLink>({ trace_id: str, span_id: or(str, ""), attributes })), []),
    log_count: or(num, 0), critical: or(bool, false),
  })), []),
  logs: or(arr(logLine), []),
  problems: or(arr(problem), []),
  logs_next_cursor: or(str, null),
  ...partial,
});

/** Everything of the columns answer but the columns, which client.ts turns into typed arrays. */
export const columnsHead = obj<Omit<T.TraceColumnsAnswer, "columns"> & { columns: Record<string, unknown> }>({
  trace_id: str, start_ns: ns, duration_ns: ns, total_spans: num, total_logs: or(num, 0),
  services: arr(str), names: arr(str), columns: dict(any), problems: or(arr(problem), []), ...partial,
});

export const logs = obj<T.LogsAnswer>({ logs: arr(logLine), resources: or(arr(resource), []), next_cursor: or(str, null), ...partial });

export const histogram = obj<T.HistogramAnswer>({
  step_ns: ns, buckets: arr(obj<T.HistogramBucket>({ time_ns: ns, counts: dict(num) })), ...partial,
});

export const ingest = obj<T.IngestAnswer>({
  accepted: counts, stored: counts, refused: counts, rejected: counts, dead_letters: counts, duplicates: counts,
  journal: obj<T.IngestAnswer["journal"]>({ bytes: or(num, 0), bytes_max: or(num, null), oldest_unconfirmed_ns: or(ns, null) }),
  store: obj<T.IngestAnswer["store"]>({
    state: str as Check<T.IngestAnswer["store"]["state"]>, guarantee: str as Check<T.IngestAnswer["store"]["guarantee"]>, message: or(str, null),
  }),
  addresses: or(dict(str), undefined),
});

export const ledger = obj<T.LedgerAnswer>({
  entries: arr(obj<T.LedgerEntry>({ time_ns: ns, sender: or(str, ""), signal: or(str, ""), reason: or(str, ""), items: or(num, 0), example: or(str, null) })),
});
