/** Changes in people's words, and the ways from one to the traces, logs and the part of the graph behind it. Pure. */
import type { Changed } from "../../api/shapes";
import { edgeId } from "../../draw/graph";
import { type Period, phrase } from "../../kit/behind";
import { link, type Patch } from "../../state/url";

const TURNS: Record<string, string> = { new: "New", vanished: "Gone", more: "More often", less: "Less often" };

/** What changes are of, in the order in which they can be chosen. */
export const NOUNS: Record<string, { one: string; many: string }> = {
  service: { one: "service", many: "Services" }, edge: { one: "call", many: "Calls" }, operation: { one: "operation", many: "Operations" }, error: { one: "error", many: "Errors" },
  log_pattern: { one: "log line", many: "Log lines" }, attribute: { one: "value", many: "Values" }, instance: { one: "instance", many: "Instances" }, version: { one: "version", many: "Versions" },
};

/** `new_log_pattern` is a turn and a noun. */
export function partsOf(kind: string): { turn: string; noun: string } {
  const at = kind.indexOf("_");
  return at < 0 ? { turn: "", noun: kind } : { turn: kind.slice(0, at), noun: kind.slice(at + 1) };
}

/** `New log line`; one of tomorrow is still said. */
export function kindText(kind: string): string {
  const { turn, noun } = partsOf(kind);
  return TURNS[turn] ? `${TURNS[turn]}: ${NOUNS[noun]?.one ?? noun.replaceAll("_", " ")}` : kind.replaceAll("_", " ");
}

/** How many there are of each noun, of those that are there. */
export function nounsOf(changes: Pick<Changed, "kind">[]): { noun: string; text: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { kind } of changes) counts.set(partsOf(kind).noun, (counts.get(partsOf(kind).noun) ?? 0) + 1);
  const order = Object.keys(NOUNS);
  const place = (noun: string) => (order.indexOf(noun) + order.length + 1) % (order.length + 1);
  return [...counts].map(([noun, count]) => ({ noun, count, text: NOUNS[noun]?.many ?? noun.replaceAll("_", " ") })).sort((a, b) => place(a.noun) - place(b.noun));
}

/** `+96 %`, `−4 %`, `0 %`. */
export function effectText(effect: number): string {
  const percent = Math.abs(effect) * 100;
  if (percent < 0.05) return "0 %";
  return `${effect > 0 ? "+" : "−"}${percent < 9.95 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** What tells the lines of a pattern: the end of the example, where only that differs. */
export function linePhrase(subject: string): string | null {
  if (/^\S+[#:]\d+$/.test(subject)) return phrase(subject);
  return phrase(`"${/ … \(such as (.*)\)$/s.exec(subject)?.[1] ?? subject}"`);
}

export interface Ways { traces: string | null; logs: string | null; graph: string | null }

type Known = Map<string, { source: string; target: string; connection_type: string }>;

/** What stands behind a change in a window. */
export function waysOf({ kind, subject, service }: Pick<Changed, "kind" | "subject" | "service">, period: Period, edges: Known): Ways {
  const { noun } = partsOf(kind);
  const edge = noun === "edge" ? edges.get(subject) : undefined;
  const traces: Patch =
    edge ? { edge_source: edge.source, edge_target: edge.target }
    : noun === "operation" ? { service, operation: subject }
    : noun === "error" ? { service, status: "error" }
    : noun === "attribute" ? { service, attr: subject }
    : noun === "version" ? { service, attr: `service.version=${subject}` }
    : { service };
  const logs: Patch | null = noun === "log_pattern" ? { service, query: linePhrase(subject) } : noun === "error" ? { service, severity: "error" } : null;
  return {
    traces: noun === "log_pattern" ? null : link("traces", { ...period, ...traces }),
    logs: logs && link("logs", { ...period, ...logs }),
    graph: edge ? link("graph", { ...period, edge: edgeId(edge) }) : noun === "service" || noun === "edge" ? link("graph", { ...period, node: `service:${service}` }) : null,
  };
}
