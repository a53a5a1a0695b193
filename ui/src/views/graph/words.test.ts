import assert from "node:assert/strict";
import test from "node:test";
import type { GraphNode } from "../../api/shapes";
import { graphOf } from "../../draw/graph";
import { findNode, reasonsOf, servicesOf, tookText } from "./words";

const measured = { requests: 1, errors: 0, p50_ns: "0", p95_ns: "0", p99_ns: "0" };
const node = (kind: string, name: string): GraphNode => ({ id: `${kind}:${name}`, kind, name, ...measured, unpaired: {}, x: 0, y: 0 });
const edge = (source: string, target: string, connection_type = "rpc") => ({ source, target, connection_type, ...measured });
const GRAPH = graphOf({
  nodes: [node("user", "user"), node("service", "cart"), node("database", "cart"), node("service", "Pay"), node("external", "bank.example"), node("service", "(other)")],
  edges: [edge("user:user", "service:cart"), edge("service:cart", "database:cart", "database"), edge("service:Pay", "database:cart", "database"), edge("service:Pay", "external:bank.example", "external"), edge("service:cart", "service:Pay"), edge("service:Pay", "service:(other)")],
});

// Scenario: nodes with and without spans of their own.
// Guarantee: what is behind them is a service that stored spans of these calls: the one called, else the callers. What the server lumps together is none.
test("what is behind", () => {
  assert.deepEqual(GRAPH.nodes.map((_, i) => servicesOf(GRAPH, i).join(" ")), ["cart", "cart", "Pay cart", "Pay", "Pay", "Pay"]);
});

// Scenario: what people type to find a node.
// Guarantee: an id is exact, then the whole name, then a part of it, in any case.
test("finding", () => {
  assert.deepEqual(["database:cart", "cart", "pay", "BANK", "nobody", " "].map((text) => GRAPH.nodes[findNode(GRAPH, text)]?.id ?? "none"), ["database:cart", "service:cart", "service:Pay", "external:bank.example", "none", "none"]);
});

// Scenario: reasons known and not yet known, and one that counts nothing.
// Guarantee: the most frequent first, in words; an unknown one is still said.
test("reasons", () => {
  assert.deepEqual(reasonsOf({ no_producer: 1, clock_skew: 0, peer_unknown: 7, of_tomorrow: 2 }).map((r) => `${r.count} ${r.text}`), ["7 A call whose other side is not stored and not named", "2 of tomorrow", "1 A consumer that names neither producer nor topic"]);
  assert.deepEqual(["0", "1500000"].map(tookText), ["–", "1.50 ms"]);
});
