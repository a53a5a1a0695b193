/**
 * The one place that talks to the server: `./api/v1/…` under the page's base. Every call can be cancelled
 * (the server then stops the query) and ends in checked data or in an `ApiError` with a sentence to show.
 */
import type { Trace } from "../draw/trace";
import { subtreeEnds } from "../draw/trace";
import { arr, type Check, column, str } from "./check";
import * as shape from "./shapes";
import type * as T from "./types.gen";

export class ApiError extends Error {
  constructor(readonly code: string, message: string, readonly status = 0) {
    super(message);
    this.name = "ApiError";
  }
}

type Query = Record<string, string | number | boolean | string[] | null | undefined>;

/** The address of an API call, also for links that people copy. */
export function apiUrl(path: string, query: Query = {}): string {
  const url = new URL(`api/v1/${path}`, document.baseURI);
  for (const [key, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const v of value) url.searchParams.append(key, v);
    else if (value !== null && value !== undefined && value !== "") url.searchParams.set(key, String(value));
  }
  return url.href;
}

const get = <A>(path: string, query: Query, check: Check<A>, signal?: AbortSignal) => call(apiUrl(path, query), {}, check, signal);

const post = <A>(path: string, body: object, check: Check<A>, signal?: AbortSignal) =>
  call(apiUrl(path), { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } }, check, signal);

const end = <A>(path: string, check: Check<A>) => call(apiUrl(path), { method: "DELETE" }, check);

async function call<A>(url: string, how: RequestInit, check: Check<A>, signal?: AbortSignal): Promise<A> {
  let response: Response;
  try {
    response = await fetch(url, { ...how, signal: signal ?? null, headers: { accept: "application/json", ...how.headers } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("unreachable", "Hypocenter does not answer. Is it still running?");
  }
  let body: unknown;
  try {
    body = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (response.ok) throw new ApiError("internal", "The answer broke off, or is not JSON.", response.status);
  }
  if (!response.ok) {
    const told = (body as Partial<T.ErrorAnswer> | undefined)?.error;
    throw new ApiError(told?.code ?? "internal", told?.message ?? `The server answered ${response.status} ${response.statusText}.`, response.status);
  }
  return check(body, "");
}

export type Range = { from: string; to: string };

export interface TraceFilter extends Range {
  service?: string | null;
  operation?: string | null;
  status?: string | null;
  min_duration?: string | null;
  max_duration?: string | null;
  attr?: string[];
  /** Both or none: ids of the two nodes of an edge that the traces draw in the service graph. */
  edge_source?: string | null;
  edge_target?: string | null;
}

export interface LogFilter extends Range {
  query?: string | null;
  service?: string | null;
  severity?: string | null;
  trace_id?: string | null;
  span_id?: string | null;
  pattern_id?: string | null;
}

const id = encodeURIComponent;

export const getServices = (range: Range, signal?: AbortSignal) => get("services", range, shape.services, signal);

export const getOperations = (service: string, range: Range, signal?: AbortSignal) =>
  get(`services/${id(service)}/operations`, range, shape.operations, signal);

export const getTraces = (filter: TraceFilter, limit: number, cursor: string | null, signal?: AbortSignal) =>
  get("traces", { ...filter, limit, cursor }, shape.traces, signal);

export const getLogs = (filter: LogFilter, order: string, limit: number, cursor: string | null, signal?: AbortSignal) =>
  get("logs", { ...filter, order, limit, cursor }, shape.logs, signal);

export const getHistogram = (filter: LogFilter, step: string, signal?: AbortSignal) => get("logs/histogram", { ...filter, step }, shape.histogram, signal);

export const getPatterns = (filter: LogFilter, limit: number, signal?: AbortSignal) => get("patterns", { ...filter, limit }, shape.patterns, signal);

export const getIngest = (signal?: AbortSignal) => get("ingest", {}, shape.ingest, signal);

export const getLedger = (filter: Range & { sender?: string | null; reason?: string | null }, cursor: string | null, signal?: AbortSignal) =>
  get("ledger", { ...filter, cursor }, shape.ledger, signal);

/** The whole graph, or what is at most `hops` calls away from a service. */
export const getGraph = (filter: Range & { service?: string | null; hops?: string | null }, signal?: AbortSignal) => get("graph", { ...filter }, shape.graph, signal);

/** Who is guilty of what was wrong in a window, and why. */
export const getSuspects = (question: T.SuspectsBody, signal?: AbortSignal) => post("suspects", question, shape.suspects, signal);

/** Keeps whether a suspect of a window was right. */
export const postFeedback = (said: T.FeedbackBody) => post("feedback", said, shape.feedback);

/** What was or is wrong. */
export const getIncidents = (filter: Partial<Range> & { state?: string }, signal?: AbortSignal) => get("incidents", { ...filter }, shape.incidents, signal);

/** One incident. */
export const getIncident = (name: string, signal?: AbortSignal) => get(`incidents/${id(name)}`, {}, shape.incident, signal);

/** Rules and silences: what people wish of the watch. To put one of the same name replaces it. */
export const getRules = (signal?: AbortSignal) => get("rules", {}, shape.rules, signal);
export const putRule = (rule: shape.Rule) => post("rules", rule, shape.rule);
export const endRule = (name: string) => end(`rules/${id(name)}`, shape.rules);
export const getSilences = (signal?: AbortSignal) => get("silences", {}, shape.silences, signal);
export const putSilence = (silence: shape.Silence) => post("silences", silence, shape.silence);
export const endSilence = (name: string) => end(`silences/${id(name)}`, shape.silences);

export interface ChangesQuestion {
  after_from: string;
  after_to: string;
  before_from?: string | null;
  before_to?: string | null;
  service?: string | null;
  before_version?: string | null;
  after_version?: string | null;
}

/** What is new, gone, or seen far more or less often in the second of two windows, or in another version. */
export const getChanges = (question: ChangesQuestion, limit: number, signal?: AbortSignal) => get("changes", { ...question, limit }, shape.changes, signal);

/** One span with everything it carries, and its log lines. */
export const getSpan = (trace: string, span: string, signal?: AbortSignal) =>
  get(`traces/${id(trace)}`, { span_id: span, typed: false, logs: true }, shape.trace, signal);

/** A page of the trace's log lines in time order, no spans. */
export const getTraceLogs = (trace: string, limit: number, cursor: string | null, signal?: AbortSignal) =>
  get(`traces/${id(trace)}`, { logs: true, limit: 0, logs_limit: limit, logs_cursor: cursor }, shape.trace, signal);

/** The waterfall: all spans of a trace as typed arrays, depth first. */
export const getWaterfall = (trace: string, signal?: AbortSignal): Promise<Trace> =>
  get(`traces/${id(trace)}`, { format: "columns" }, waterfall, signal);

export const waterfall: Check<Trace> = (value, at) => {
  const head = shape.columnsHead(value, at);
  const c = head.columns;
  const spanId = arr(str)(c["span_id"], "columns.span_id");
  const rows = () => spanId.length;
  const ints = (name: string) => column(Int32Array, rows)(c[name], `columns.${name}`);
  const bytes = (name: string) => column(Uint8Array, rows)(c[name], `columns.${name}`);
  const floats = (name: string) => column(Float64Array, rows)(c[name], `columns.${name}`);
  const depth = ints("depth");
  return {
    id: head.trace_id, startNs: head.start_ns, durationUs: Number(BigInt(head.duration_ns)) / 1000,
    totalSpans: head.total_spans, totalLogs: head.total_logs, services: head.services, names: head.names, problems: head.problems,
    partial: head.partial ? (head.partial_reason ?? "the server stopped early") : null,
    count: spanId.length, spanId, depth, parent: ints("parent"), service: ints("service"), name: ints("name"), kind: bytes("kind"),
    start: floats("start_us"), duration: floats("duration_us"), status: bytes("status"), logCount: ints("log_count"), critical: bytes("critical"),
    end: subtreeEnds(depth),
  };
};
