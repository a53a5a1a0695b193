/** A fault report in people's words, and the ways from its numbers to the traces and logs behind them. Pure. */
import type { Compared, Evidenced } from "../../api/shapes";
import { type Edges, type Period, phrase } from "../../kit/behind";
import { link, type Patch } from "../../state/url";

export const VERDICTS: Record<string, { text: string; look: string }> = {
  localised: { text: "One suspect stands out", look: "sure" },
  unclear: { text: "Nobody stands out", look: "warn" },
  no_fault: { text: "No fault is seen", look: "" },
};

const KINDS: Record<string, string> = {
  edge_gap: "Way between services", own_time: "Own work", excess: "Share of lost time", new_log: "New log line", missing_log: "Missing log line",
  new_call: "New call", missing_call: "Missing call", error_origin: "Errors start here", missing_service: "No answer", broken_propagation: "Trace context lost",
  attribute: "Bound to a value", fan_out: "More calls", queue_wait: "Waiting messages", clock: "Clock",
};

const PARTS: Record<string, string> = { steps: "Log lines and steps", errors: "Errors start here", absence: "No answer", attributes: "Bound to a value", queues: "Waiting messages" };

/** Of a kind of evidence, or of a part of a score; one of tomorrow is still said. */
export const kindText = (code: string): string => KINDS[code] ?? PARTS[code] ?? code.replaceAll("_", " ");

export const isEmpty = (w: Compared): boolean => BigInt(w.to_ns) <= BigInt(w.from_ns);

/** What stands behind a piece of evidence in a window. */
export function behind(e: Evidenced, service: string, period: Period, edges: Edges): { traces: string; logs: string | null } {
  const edge = edges.get(e.where.edge);
  const status = e.kind === "error_origin" ? "error" : null;
  let traces: Patch = { service, operation: e.where.operation, status };
  if (edge) traces = { edge_source: edge.source, edge_target: edge.target, status };
  else if (e.kind === "attribute") traces = { service, attr: e.subject };
  else if (e.kind === "clock") traces = { attr: e.subject };
  const query = e.kind.endsWith("_log") ? phrase(e.subject) : null;
  return { traces: link("traces", { ...period, ...traces }), logs: service ? link("logs", { ...period, service, query, severity: query ? null : status }) : null };
}

/** Traces of the calls between two services, or of the first where the graph does not know them. */
export function callsLink(caller: string, callee: string, period: Period, edges: Edges): string {
  const edge = edges.get(`${caller} -> ${callee}`);
  return link("traces", { ...period, ...(edge ? { edge_source: edge.source, edge_target: edge.target } : { service: caller }) });
}
