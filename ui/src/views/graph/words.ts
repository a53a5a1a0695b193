/** The graph in people's words, and the ways from it to what is behind it. Pure. */
import type { GraphNode } from "../../api/shapes";
import type { Graph } from "../../draw/graph";
import { formatDurationNs } from "../../state/time";

export const KINDS: Record<string, string> = { service: "Service", database: "Database or cache", messaging: "Topic or queue", external: "Not instrumented", user: "Users" };

export const WAYS: Record<string, string> = { rpc: "Calls", messaging: "Messages", database: "Queries", external: "Calls to a peer without spans" };

const REASONS: Record<string, string> = {
  peer_not_instrumented: "The peer is named, but sends no spans: it is drawn as not instrumented",
  peer_unknown: "A call whose other side is not stored and not named",
  not_sampled: "The caller's flags say that the call was not sampled",
  sampled_out: "The parent was probably left out by sampling",
  id_truncated: "The parent is not stored; the trace mixes 64-bit and 128-bit ids, so one was cut on the way",
  parent_not_stored: "The parent is not stored, and nothing says why",
  client_not_stored: "The client's half of a shared Zipkin span is not stored",
  link_not_stored: "None of the messages that the consumer links to is stored",
  no_producer: "A consumer that names neither producer nor topic",
  self_parent: "The span is its own parent",
  cyclic_parents: "The parents run in a circle",
  not_yet_arrived: "Young: the other side may still be on its way",
  clock_skew: "Paired, but the span begins before its caller: the clocks differ",
  duplicate_id: "Paired, but several different spans carry this id",
  refused: "The other side was refused; the loss ledger says why",
};

/** What the server calls all those that it does not keep apart, when there are too many. */
export const OTHER = "(other)";

export const isService = (n: GraphNode): boolean => n.kind === "service" && n.name !== OTHER;

export const nameOf = (n: GraphNode): string => n.name || (n.kind === "service" ? "no service name" : (KINDS[n.kind] ?? n.kind));

/** Most frequent first. */
export const reasonsOf = (unpaired: Record<string, number>): { code: string; text: string; count: number }[] =>
  Object.entries(unpaired).filter(([, count]) => count > 0).map(([code, count]) => ({ code, count, text: REASONS[code] ?? code.replaceAll("_", " ") })).sort((a, b) => b.count - a.count || (a.code < b.code ? -1 : 1));

export const tookText = (ns: string): string => (ns === "0" ? "–" : formatDurationNs(ns));

/** The services whose spans tell of a node: itself, or whoever calls it, or whom the users call. */
export function servicesOf(g: Graph, node: number): string[] {
  const n = g.nodes[node]!;
  if (isService(n)) return [n.name];
  const around = [...g.incoming[node]!.map((e) => g.source[e]!), ...g.outgoing[node]!.map((e) => g.target[e]!)];
  return [...new Set(around.map((i) => g.nodes[i]!).filter(isService).map((o) => o.name))].sort();
}

/** The node that a text means: its id, its name, or the first whose name holds it; -1 when none does. */
export function findNode(g: Graph, text: string): number {
  const want = text.trim().toLowerCase();
  if (want === "") return -1;
  const exact = g.byId.get(text.trim()) ?? g.nodes.findIndex((n) => n.name.toLowerCase() === want);
  return exact >= 0 ? exact : g.nodes.findIndex((n) => n.name.toLowerCase().includes(want));
}
