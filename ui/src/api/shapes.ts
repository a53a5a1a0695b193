/** The checkers for every answer the pages read, tied to the generated types. What a checker gives is the type that pages use. */
import { any, arr, bool, dict, type Checked, list, ns, num, or, pick, str } from "./check";
import type * as T from "./types.gen";

const attributes = or(dict(any), {} as Record<string, unknown>);
const texts = list(str);
const dropped = or(num, 0);

export const scope = pick<T.Scope>()({ name: or(str, ""), version: or(str, ""), attributes });
export type Scope = Checked<typeof scope>;

export const resource = pick<T.Resource>()({ attributes, schema_url: or(str, ""), dropped_attributes_count: dropped });
export type Resource = Checked<typeof resource>;

const shared = { resources: list(resource), scopes: list(scope) };

export const logLine = pick<T.LogLine>()({
  time_ns: ns,
  original_time_ns: or(ns, null),
  service: or(str, ""),
  severity: or(str, ""),
  severity_number: or(num, 0),
  level: or(str, ""),
  body: any,
  attributes,
  dropped_attributes_count: dropped,
  event_name: or(str, null),
  resource_index: or(num, -1),
  scope_index: or(num, -1),
  trace_id: or(str, null),
  span_id: or(str, null),
  join: or(str, null),
  join_source: or(str, null),
  confidence: or(num, null),
  pattern_id: or(str, null),
  marks: texts,
});
export type LogLine = Checked<typeof logLine>;

const problem = pick<T.Problem>()({ code: str, text: or(str, ""), count: or(num, 1) });
export type Problem = Checked<typeof problem>;

export const services = pick<T.ServicesAnswer>()({
  services: arr(pick<T.Service>()({ name: str, spans: or(num, 0), logs: or(num, 0), last_seen_ns: or(ns, "0") })),
});

export const operations = pick<T.OperationsAnswer>()({
  operations: arr(pick<T.Operation>()({ name: str, kind: or(str, ""), spans: or(num, 0) })),
});

const summary = pick<T.TraceSummary>()({
  trace_id: str, root_service: or(str, ""), root_operation: or(str, ""), start_ns: ns, duration_ns: ns,
  spans: num, errors: or(num, 0), logs: or(num, 0), services: texts, complete: or(bool, true),
});
export type TraceSummary = Checked<typeof summary>;

export const traces = pick<T.TracesAnswer>()({ traces: arr(summary), next_cursor: or(str, null), partial: or(bool, false), partial_reason: or(str, null) });

const event = pick<T.SpanEvent>()({ name: or(str, ""), time_ns: ns, attributes, dropped_attributes_count: dropped });
export type SpanEvent = Checked<typeof event>;

const spanLink = pick<T.SpanLink>()({ trace_id: or(str, ""), span_id: or(str, ""), trace_state: or(str, ""), attributes });
const zipkin = pick<T.ZipkinSpan>()({ shared: or(bool, null), debug: or(bool, null), local_endpoint: any, remote_endpoint: any });

const span = pick<T.Span>()({
  span_id: str, parent_span_id: or(str, null), service: or(str, ""), name: or(str, ""), start_ns: ns, duration_ns: ns,
  original_start_ns: or(ns, null), original_end_ns: or(ns, null), status: or(str, ""), status_message: or(str, ""), trace_state: or(str, ""), weight: or(num, 1),
  attributes, dropped_attributes_count: dropped, dropped_events_count: dropped, dropped_links_count: dropped,
  resource_index: or(num, -1), scope_index: or(num, -1), events: list(event), links: list(spanLink),
  log_count: or(num, 0), marks: texts, zipkin: or(zipkin, null),
});
export type Span = Checked<typeof span>;

export const trace = pick<T.TraceAnswer>()({
  trace_id: str, start_ns: ns, duration_ns: or(ns, "0"), root_service: or(str, ""), root_operation: or(str, ""), ...shared, spans: list(span), logs: list(logLine), logs_next_cursor: or(str, null),
});
export type TraceAnswer = Checked<typeof trace>;

/** Everything of the columns answer but the columns, which client.ts turns into typed arrays. */
export const columnsHead = pick<Omit<T.TraceColumnsAnswer, "columns"> & { columns: Record<string, unknown> }>()({
  trace_id: str, start_ns: ns, duration_ns: ns, total_spans: num, total_logs: or(num, 0),
  services: arr(str), names: arr(str), columns: dict(any), problems: list(problem), partial: or(bool, false), partial_reason: or(str, null),
});

export const logs = pick<T.LogsAnswer>()({ logs: arr(logLine), ...shared, next_cursor: or(str, null) });

const bucket = pick<T.HistogramBucket>()({ time_ns: ns, counts: dict(num) });
export type HistogramBucket = Checked<typeof bucket>;
export const histogram = pick<T.HistogramAnswer>()({ step_ns: ns, buckets: arr(bucket) });

const pattern = pick<T.LogPattern>()({
  pattern_id: str, template: or(str, ""), service: or(str, ""), severity: or(str, "unset"), count: num,
  first_seen_ns: ns, last_seen_ns: ns, known_since_ns: ns, example: or(str, ""), code: or(str, null),
});
export type LogPattern = Checked<typeof pattern>;

export const patterns = pick<T.PatternsAnswer>()({ patterns: arr(pattern), total_patterns: or(num, 0), total_logs: or(num, 0) });

const counts = pick<T.Counts>()({ traces: or(num, 0), logs: or(num, 0), metrics: or(num, 0) });
export type Counts = Checked<typeof counts>;

export const ingest = pick<T.IngestAnswer>()({
  accepted: counts, stored: counts, refused: counts, rejected: counts, dead_letters: counts, duplicates: counts,
  journal: pick<T.JournalState>()({ bytes: or(num, 0), bytes_max: or(num, null), oldest_unconfirmed_ns: or(ns, null), problem: or(str, null) }),
  store: pick<T.StoreState>()({ state: str, guarantee: str, message: or(str, null) }),
  addresses: or(dict(str), {} as Record<string, string>), tls: or(bool, false),
});
export type IngestAnswer = Checked<typeof ingest>;

const entry = pick<T.LedgerEntry>()({
  time_ns: ns, sender: or(str, ""), signal: or(str, ""), reason: or(str, ""), outcome: or(str, ""), items: or(num, 0), example: or(str, null),
});
export type LedgerEntry = Checked<typeof entry>;
export const ledger = pick<T.LedgerAnswer>()({ entries: arr(entry), next_cursor: or(str, null) });

const measured = { requests: num, errors: or(num, 0), p50_ns: or(ns, "0"), p95_ns: or(ns, "0"), p99_ns: or(ns, "0") };

const graphNode = pick<T.GraphNode>()({ id: str, name: str, kind: str, ...measured, unpaired: or(dict(num), {} as Record<string, number>), x: num, y: num });
export type GraphNode = Checked<typeof graphNode>;

const graphEdge = pick<T.GraphEdge>()({ source: str, target: str, connection_type: or(str, ""), ...measured });
export type GraphEdge = Checked<typeof graphEdge>;

export const graph = pick<T.GraphAnswer>()({
  nodes: arr(graphNode), edges: arr(graphEdge), from_ns: ns, to_ns: ns, rolled_to_ns: or(ns, null), partial: or(bool, false), partial_reason: or(str, null),
});
export type GraphAnswer = Checked<typeof graph>;

const place = pick<T.Where>()({ operation: or(str, ""), location: or(str, ""), edge: or(str, ""), instance: or(str, ""), version: or(str, "") });
export type Place = Checked<typeof place>;

const evidenced = pick<T.Evidenced>()({ kind: str, subject: or(str, ""), baseline: or(str, ""), fault: or(str, ""), score: or(num, 0), text: str, where: place });
export type Evidenced = Checked<typeof evidenced>;

const suspect = pick<T.Suspect>()({
  service: str, score: num, confidence: num, summary: str, where: place, evidence: list(evidenced), not_runner_up: or(str, ""),
  parts: list(pick<T.Part>()({ name: str, score: num })),
  examples: pick<T.Examples>()({ failing: texts, good: texts, failing_spans: texts, good_spans: texts }),
  victims: list(pick<T.Victim>()({ service: str, path: texts, text: or(str, "") })),
});
export type Suspect = Checked<typeof suspect>;

const compared = pick<T.Compared>()({ from_ns: ns, to_ns: ns, spans: or(num, 0), chosen: or(bool, false) });
export type Compared = Checked<typeof compared>;

export const suspects = pick<T.SuspectsAnswer>()({
  verdict: str, summary: str, suspects: arr(suspect), notices: list(evidenced), fault: compared, baseline: compared,
  took_ms: or(num, 0), partial: or(bool, false), partial_reason: or(str, null),
});
const incidentSuspect = pick<T.IncidentSuspect>()({ service: str, score: or(num, 0), confidence: or(num, 0), summary: or(str, ""), victims: list(str) });
const symptom = pick<T.Symptom>()({ service: str, kind: or(str, ""), signal: or(str, ""), text: or(str, ""), since_ns: ns, last_ns: ns, strength: or(num, 0) });
const toldAt = pick<T.Told>()({ kind: str, at_ns: ns });
export const incident = pick<T.Incident>()({
  id: str, state: str, onset_ns: ns, opened_ns: ns, closed_ns: or(ns, null), summary: or(str, ""), verdict: or(str, ""),
  symptoms: list(symptom), symptoms_more: or(num, 0), suspects: list(incidentSuspect), notices: list(str), rule: or(str, ""),
  silenced_by: or(str, ""), folded: list(str), merged_into: or(str, ""), reopened: or(num, 0), told: list(toldAt),
});
export type Incident = Checked<typeof incident>;
export const incidents = pick<T.IncidentsAnswer>()({ incidents: arr(incident) });
export const feedback = pick<T.Feedback>()({ service: str, right: bool });
export type SuspectsAnswer = Checked<typeof suspects>;

// Rules and silences come back as they were written, so their fields stand here and not in the API's description.
export interface Rule { name: string; enabled: boolean; when: Record<string, unknown>; source?: string }
export const rule = pick<Rule>()({ name: str, enabled: or(bool, true), when: dict(any), source: or(str, "api") });
export const rules = pick<{ rules: Rule[] }>()({ rules: arr(rule) });
export interface Silence { id: string; service: string; rule: string; from_ns: string; until_ns: string; comment: string; source?: string }
export const silence = pick<Silence>()({ id: str, service: or(str, ""), rule: or(str, ""), from_ns: ns, until_ns: ns, comment: or(str, ""), source: or(str, "api") });
export const silences = pick<{ silences: Silence[] }>()({ silences: arr(silence) });

const changed = pick<T.Changed>()({ kind: str, subject: str, service: or(str, ""), location: or(str, ""), before: or(str, ""), after: or(str, ""), effect: or(num, 0), text: or(str, "") });
export type Changed = Checked<typeof changed>;
const changesWindow = pick<T.ChangesWindow>()({ from_ns: ns, to_ns: ns, requests: or(num, 0), failing: or(num, 0) });
export type ChangesWindow = Checked<typeof changesWindow>;
export const changes = pick<T.ChangesAnswer>()({
  changes: arr(changed), total_changes: or(num, 0), before: changesWindow, after: changesWindow, took_ms: or(num, 0), partial: or(bool, false), partial_reason: or(str, null),
});
export type ChangesAnswer = Checked<typeof changes>;
