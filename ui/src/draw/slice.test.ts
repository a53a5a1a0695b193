import assert from "node:assert/strict";
import test from "node:test";
import type { GraphEdge, GraphNode, Suspect } from "../api/shapes";
import { closeGaps, edgesByName, sliceOf } from "./slice";
import { block } from "./testing";

const measured = { requests: 10, errors: 0, p50_ns: "0", p95_ns: "0", p99_ns: "0" };
const node = (kind: string, name: string, x: number, y: number): GraphNode => ({ id: `${kind}:${name}`, kind, name, ...measured, unpaired: {}, x, y });
const edge = (source: string, target: string, requests = 10): GraphEdge => ({ source, target, connection_type: "rpc", ...measured, requests });
const GRAPH = {
  nodes: [node("user", "user", 0, 4), node("service", "frontend", 1, 4), node("service", "checkout", 2, 7.5), node("service", "cart", 2, 0), node("database", "payment", 4, 9), node("service", "payment", 3, 7), node("external", "bank", 4, 7)],
  edges: [edge("user:user", "service:frontend"), edge("service:frontend", "service:checkout"), edge("service:frontend", "service:cart"), edge("service:checkout", "service:payment"), edge("service:checkout", "service:cart"), edge("service:payment", "external:bank"), edge("service:payment", "database:payment", 90)],
};
const suspect = (service: string, paths: string[], where = ""): Pick<Suspect, "service" | "victims" | "where"> => ({
  service, where: { operation: "", location: "", edge: where, instance: "", version: "" }, victims: paths.map((p) => ({ service: p.split(" ").pop()!, path: p.split(" "), text: "" })),
});
const told = (of: ReturnType<typeof suspect>, graph = GRAPH) => {
  const s = sliceOf(graph, of);
  const { nodes, edges, source, target } = s.graph;
  return [...nodes.map((n, i) => `${n.id} ${s.roles[i]} ${n.x},${n.y}`), ...edges.map((_, i) => `${nodes[source[i]!]!.name} -> ${nodes[target[i]!]!.name}${s.path.has(i) ? " *" : ""}`), ...(s.more ? [`${s.more} more`] : [])].join("\n");
};

// Scenario: a suspect, called like a database, with two victims.
// Guarantee: they and the suspect's neighbours stay, with the edges among them, closed up in the server's order; the fault's way is marked.
test("slice", () => {
  assert.equal(told(suspect("payment", ["payment checkout", "payment checkout frontend"])), block(`
    service:frontend suffers 0,0
    service:checkout suffers 1,1.5
    database:payment beside 3,2.5
    service:payment suspect 2,1
    external:bank beside 3,1
    frontend -> checkout *
    checkout -> payment *
    payment -> bank
    payment -> payment
  `));
});

// Scenario: a suspect without victims whose fault lies on an edge; one that nobody knows; one with many neighbours.
// Guarantee: the edge is marked; nothing is drawn; the busiest are, and the rest is counted.
test("slice without victims", () => {
  assert.match(told(suspect("checkout", [], "checkout -> payment")), /checkout -> payment \*\n(.*\n)*checkout -> cart$/);
  assert.equal(told(suspect("nobody", ["nobody else"])), "");
  const many = Array.from({ length: 11 }, (_, i) => node("service", `s${i}`, 1, i));
  const graph = { nodes: [node("service", "hub", 0, 0), ...many], edges: many.map((n, i) => edge("service:hub", n.id, i + 1)) };
  assert.match(told(suspect("hub", []), graph), /^service:hub suspect 0,0\nservice:s3 beside 1,1\n[\s\S]*\n3 more$/);
});

// Scenario: places far apart, near each other, and equal.
// Guarantee: a gap is one at most; nothing changes its order or comes nearer than it was.
test("gaps", () => {
  assert.deepEqual(closeGaps([{ x: 5, y: 2 }, { x: 1, y: 2 }, { x: 1, y: 2.4 }, { x: 9, y: 30 }]), [{ x: 1, y: 0 }, { x: 0, y: 0 }, { x: 0, y: 0.3999999999999999 }, { x: 2, y: 1.4 }]);
});

// Scenario: edges by name.
// Guarantee: as the server writes them in a suspect's place.
test("edges by name", () => {
  assert.deepEqual(edgesByName(GRAPH).get("checkout -> payment"), GRAPH.edges[3]);
});
