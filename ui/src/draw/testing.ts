/** Traces written as text, for tests: one span per line, indentation is depth. `service name start+duration [!] [*] [#id]`, in µs. */
import type { LogLine } from "../api/shapes";
import { subtreeEnds, type Trace } from "./trace";

export function traceOf(text: string): Trace {
  const lines = text.split("\n").filter((l) => l.trim());
  const base = Math.min(...lines.map(indent));
  const services: string[] = [];
  const names: string[] = [];
  const index = (list: string[], value: string) => (list.includes(value) ? list.indexOf(value) : list.push(value) - 1);
  const rows = lines.map((l, i) => {
    const m = /^\s*(\S+) (\S+) ([\d.]+)\+([\d.]+)( !)?( \*)?(?: #(\w+))?$/.exec(l);
    if (!m) throw new Error(`not a span: ${l}`);
    return { depth: (indent(l) - base) / 2, service: index(services, m[1]!), name: index(names, m[2]!), start: Number(m[3]), duration: Number(m[4]), error: !!m[5], critical: !!m[6], id: m[7] ?? `s${i}` };
  });
  const depth = Int32Array.from(rows, (r) => r.depth);
  const parent = Int32Array.from(rows, (r, i) => {
    for (let p = i - 1; p >= 0; p--) if (depth[p]! < r.depth) return p;
    return -1;
  });
  return {
    id: "4bf92f3577b34da6a3ce929d0e0e4736", startNs: "1700000000000000000", durationUs: Math.max(0, ...rows.map((r) => r.start + r.duration)),
    totalSpans: rows.length, totalLogs: 0, services, names, problems: [], partial: null, count: rows.length, spanId: rows.map((r) => r.id),
    depth, parent, service: Int32Array.from(rows, (r) => r.service), name: Int32Array.from(rows, (r) => r.name), kind: new Uint8Array(rows.length),
    start: Float64Array.from(rows, (r) => r.start), duration: Float64Array.from(rows, (r) => r.duration), status: Uint8Array.from(rows, (r) => (r.error ? 2 : 0)),
    logCount: new Int32Array(rows.length), critical: Uint8Array.from(rows, (r) => (r.critical ? 1 : 0)), end: subtreeEnds(depth),
  };
}

const indent = (line: string): number => line.length - line.trimStart().length;

/** A log line at `us` after the trace's start. */
export function logAt(us: number, spanId: string | null, body: string, more: Partial<LogLine> = {}): LogLine {
  return { time_ns: (1_700_000_000_000_000_000n + BigInt(Math.round(us * 1000))).toString(), service: "svc", severity: "INFO", severity_number: 9, level: "", body, attributes: {}, dropped_attributes_count: 0, original_time_ns: null, event_name: null, resource_index: 0, scope_index: 0, trace_id: null, span_id: spanId, join: "own", join_source: null, confidence: 1, pattern_id: null, marks: [], ...more };
}

/** Takes the common indentation away, so that expected texts can stand in the code. */
export function block(text: string): string {
  const lines = text.replace(/^\n|\n\s*$/g, "").split("\n");
  const base = Math.min(...lines.filter((l) => l.trim()).map(indent));
  return lines.map((l) => l.slice(base).trimEnd()).join("\n");
}
