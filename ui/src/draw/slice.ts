/** Of the service graph, what a fault report shows: the suspect, who suffers from it, and what lies between and beside them. Pure. */
import type { GraphAnswer, GraphEdge, GraphNode, Suspect } from "../api/shapes";
import { type Graph, graphOf } from "./graph";

export type Role = "suspect" | "suffers" | "beside";

export interface Slice {
  graph: Graph;
  /** Of each node. */
  roles: Role[];
  /** Edges on which the fault reaches somebody. */
  path: Set<number>;
  /** Neighbours of the suspect that are left out. */
  more: number;
}

const BESIDE_MAX = 8;

/** As the server writes an edge: `caller -> callee`. */
export const edgeName = (source: string, target: string): string => `${source} -> ${target}`;

export function sliceOf(answer: Pick<GraphAnswer, "nodes" | "edges">, suspect: Pick<Suspect, "service" | "victims" | "where">): Slice {
  // Services first: a database may be called like one.
  const named = new Map<string, GraphNode>();
  for (const n of answer.nodes) if (n.kind === "service" || !named.has(n.name)) named.set(n.name, n);
  const roles = new Map<string, Role>();
  const give = (name: string, role: Role) => {
    const id = named.get(name)?.id;
    if (id !== undefined && !roles.has(id)) roles.set(id, role);
  };
  give(suspect.service, "suspect");
  for (const v of suspect.victims) for (const name of v.path.length > 0 ? v.path : [v.service]) give(name, "suffers");
  // What the suspect itself calls, and who calls it: the busiest.
  const self = named.get(suspect.service)?.id;
  const beside = answer.edges.filter((e) => (e.source === self) !== (e.target === self)).sort((a, b) => b.requests - a.requests || (a.target < b.target ? -1 : 1));
  const others = [...new Set(beside.map((e) => (e.source === self ? e.target : e.source)))].filter((id) => !roles.has(id));
  for (const id of others.slice(0, BESIDE_MAX)) roles.set(id, "beside");
  const core = (id: string) => roles.has(id) && roles.get(id) !== "beside";
  const nodes = answer.nodes.filter((n) => roles.has(n.id));
  const graph = graphOf({ nodes: closeGaps(nodes), edges: answer.edges.filter((e) => (core(e.source) && core(e.target)) || ((e.source === self || e.target === self) && roles.has(e.source) && roles.has(e.target))) });
  const marked = new Set<string>([suspect.where.edge]);
  for (const v of suspect.victims) for (let i = 1; i < v.path.length; i++) marked.add(edgeName(v.path[i]!, v.path[i - 1]!));
  const path = new Set(graph.edges.map((_, i) => i).filter((i) => marked.has(edgeName(graph.nodes[graph.source[i]!]!.name, graph.nodes[graph.target[i]!]!.name))));
  return { graph, roles: graph.nodes.map((n) => roles.get(n.id)!), path, more: Math.max(0, others.length - BESIDE_MAX) };
}

/** The same order and the server's places, without the room of what is left out. */
export function closeGaps<N extends { x: number; y: number }>(nodes: N[]): N[] {
  const [x, y] = [closer(nodes.map((n) => n.x)), closer(nodes.map((n) => n.y))];
  return nodes.map((n) => ({ ...n, x: x.get(n.x)!, y: y.get(n.y)! }));
}

function closer(values: number[]): Map<number, number> {
  const out = new Map<number, number>();
  let [last, at] = [0, 0];
  for (const v of [...new Set(values)].sort((a, b) => a - b)) {
    at = out.size === 0 ? 0 : at + Math.min(1, v - last);
    last = v;
    out.set(v, at);
  }
  return out;
}

/** Every edge by its name. */
export function edgesByName(answer: Pick<GraphAnswer, "nodes" | "edges">): Map<string, GraphEdge> {
  const names = new Map(answer.nodes.map((n) => [n.id, n.name]));
  return new Map(answer.edges.map((e) => [edgeName(names.get(e.source) ?? "", names.get(e.target) ?? ""), e]));
}
