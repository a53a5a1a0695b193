/**
 * A trace as the waterfall needs it: columns in depth-first order, no object per span. Tested with 100,000 spans.
 * Pure. The tree, the critical path and the joins come from the server; nothing here decides them.
 */
import type { LogLine, Problem } from "../api/shapes";

export interface Trace {
  id: string;
  startNs: string;
  durationUs: number;
  totalSpans: number;
  totalLogs: number;
  services: string[];
  names: string[];
  problems: Problem[];
  /** Why this is not the whole trace, or null. */
  partial: string | null;
  /** Rows in the columns below. */
  count: number;
  spanId: string[];
  parent: Int32Array;
  depth: Int32Array;
  service: Int32Array;
  name: Int32Array;
  kind: Uint8Array;
  /** Microseconds from the trace's start. */
  start: Float64Array;
  duration: Float64Array;
  /** 0 unset, 1 ok, 2 error. */
  status: Uint8Array;
  logCount: Int32Array;
  critical: Uint8Array;
  /** First row after the span's subtree. */
  end: Int32Array;
}

export const KINDS = ["", "internal", "server", "client", "producer", "consumer"];

/** For every row of a depth-first list, the first row that is not below it. One pass. */
export function subtreeEnds(depth: Int32Array): Int32Array {
  const end = new Int32Array(depth.length).fill(depth.length);
  const open: number[] = [];
  for (let i = 0; i < depth.length; i++) {
    while (open.length > 0 && depth[open[open.length - 1]!]! >= depth[i]!) end[open.pop()!] = i;
    open.push(i);
  }
  return end;
}

/** Row of a span id, built when first asked for: `Map` over all ids. */
export function spanRows(trace: Trace): Map<string, number> {
  let rows = rowMaps.get(trace);
  if (!rows) {
    rows = new Map();
    // From the end, so that of equal ids (shared spans) the first row wins.
    for (let i = trace.count - 1; i >= 0; i--) rows.set(trace.spanId[i]!, i);
    rowMaps.set(trace, rows);
  }
  return rows;
}

const rowMaps = new WeakMap<Trace, Map<string, number>>();

/** Log lines by span row: the lines of span `i` are `items[first[i]] … items[first[i + 1] - 1]`, in time order. */
export interface LogIndex {
  lines: LogLine[];
  first: Int32Array;
  items: Int32Array;
  /** Lines that name no span of this trace, in time order. */
  orphans: Int32Array;
  /** Span row of every line, or -1. */
  spanOf: Int32Array;
}

export function indexLogs(trace: Trace, lines: LogLine[]): LogIndex {
  const rows = spanRows(trace);
  const spanOf = new Int32Array(lines.length);
  const first = new Int32Array(trace.count + 1);
  let lost = 0;
  lines.forEach((line, i) => {
    const row = line.span_id ? (rows.get(line.span_id) ?? -1) : -1;
    spanOf[i] = row;
    if (row < 0) lost++;
    else first[row + 1]!++;
  });
  for (let i = 0; i < trace.count; i++) first[i + 1]! += first[i]!;
  const next = first.slice();
  const items = new Int32Array(lines.length - lost);
  const orphans = new Int32Array(lost);
  let o = 0;
  for (let i = 0; i < lines.length; i++) {
    const row = spanOf[i]!;
    if (row < 0) orphans[o++] = i;
    else items[next[row]!++] = i;
  }
  return { lines, first, items, orphans, spanOf };
}

/** What a visible row shows. */
export const enum Row { Span = 0, Log = 1, MoreLogs = 2, OrphanHead = 3 }

export interface Rows {
  count: number;
  kind: Uint8Array;
  /** Span row for `Span` and `MoreLogs`, log index for `Log`. */
  ref: Int32Array;
}

/** Log rows shown under one span before the row "n more lines". */
export const LOGS_PER_SPAN = 20;

/**
 * The rows that can be scrolled to: subtrees of collapsed spans left out, log lines under their span when `logs` is given.
 * Cost: the number of visible rows, not of spans.
 */
export function visibleRows(trace: Trace, collapsed: Set<number>, logs: LogIndex | null, allLogsOf: Set<number>): Rows {
  const room = trace.count + (logs ? logs.lines.length + trace.count + 1 : 0);
  const kind = new Uint8Array(room);
  const ref = new Int32Array(room);
  let n = 0;
  const push = (k: Row, r: number) => {
    kind[n] = k;
    ref[n++] = r;
  };
  for (let i = 0; i < trace.count; ) {
    push(Row.Span, i);
    if (logs && !collapsed.has(i)) {
      const from = logs.first[i]!;
      const to = logs.first[i + 1]!;
      const cut = to - from > LOGS_PER_SPAN && !allLogsOf.has(i) ? from + LOGS_PER_SPAN : to;
      for (let l = from; l < cut; l++) push(Row.Log, logs.items[l]!);
      if (cut < to) push(Row.MoreLogs, i);
    }
    i = collapsed.has(i) ? trace.end[i]! : i + 1;
  }
  if (logs && logs.orphans.length > 0) {
    push(Row.OrphanHead, -1);
    if (!collapsed.has(-1)) for (const l of logs.orphans) push(Row.Log, l);
  }
  return { count: n, kind: kind.subarray(0, n), ref: ref.subarray(0, n) };
}

/** Opens every ancestor of a span; answers whether anything changed. */
export function reveal(trace: Trace, collapsed: Set<number>, row: number): boolean {
  let changed = false;
  for (let p = trace.parent[row] ?? -1; p >= 0; p = trace.parent[p]!) changed = collapsed.delete(p) || changed;
  return changed;
}

/** All spans with children at `depth` or deeper, to be collapsed. */
export function collapseFrom(trace: Trace, depth: number): Set<number> {
  const out = new Set<number>();
  for (let i = 0; i < trace.count; i++) if (trace.depth[i]! >= depth && trace.end[i]! > i + 1) out.add(i);
  return out;
}

/** Rows of spans whose service, name or id contains `text` (no case), up to `most`. Names are compared once each. */
export function findSpans(trace: Trace, text: string, most = 100_000): number[] {
  const want = text.trim().toLowerCase();
  if (!want) return [];
  const names = trace.names.map((name) => name.toLowerCase().includes(want));
  const services = trace.services.map((name) => name.toLowerCase().includes(want));
  const maybeId = /^[0-9a-f]{4,16}$/.test(want);
  const out: number[] = [];
  for (let i = 0; i < trace.count && out.length < most; i++) {
    if (names[trace.name[i]!] || services[trace.service[i]!] || (maybeId && trace.spanId[i]!.includes(want))) out.push(i);
  }
  return out;
}

/** Spans, errors and busy share per service, for the legend: most spans first. */
export function serviceTotals(trace: Trace): { service: number; spans: number; errors: number; logs: number }[] {
  const spans = new Int32Array(trace.services.length);
  const errors = new Int32Array(trace.services.length);
  const logs = new Int32Array(trace.services.length);
  for (let i = 0; i < trace.count; i++) {
    const s = trace.service[i]!;
    spans[s]!++;
    if (trace.status[i] === 2) errors[s]!++;
    logs[s]! += trace.logCount[i]!;
  }
  return [...trace.services.keys()].map((service) => ({ service, spans: spans[service]!, errors: errors[service]!, logs: logs[service]! })).sort((a, b) => b.spans - a.spans);
}

export const errorCount = (trace: Trace): number => trace.status.reduce((n, s) => n + (s === 2 ? 1 : 0), 0);
