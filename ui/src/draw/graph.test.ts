import assert from "node:assert/strict";
import test from "node:test";
import type { GraphEdge, GraphNode } from "../api/shapes";
import { atLeast, type Camera, CARD_H, CARD_W, edgeId, type Frame, frameOf, type Graph, graphOf, hitAt, labelsOf, nextNode, pan, pointAt, rateText, reveal, sceneOf, shareText, toScreen, wholeOf, zoom } from "./graph";
import { block } from "./testing";

/** Graphs as text: `name x,y` is a node, `a -> b requests/errors [type]` an edge. */
function draw(text: string): Graph {
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const measured = { p50_ns: "0", p95_ns: "0", p99_ns: "0" };
  for (const line of text.split("\n").map((l) => l.trim()).filter(Boolean)) {
    const edge = /^(\S+) -> (\S+) (\d+)\/(\d+)(?: (\w+))?$/.exec(line);
    if (edge) edges.push({ source: edge[1]!, target: edge[2]!, requests: Number(edge[3]), errors: Number(edge[4]), connection_type: edge[5] ?? "rpc", ...measured });
    else {
      const node = /^(\S+) (-?[\d.]+),(-?[\d.]+)(?: (\d+)\/(\d+))?$/.exec(line)!;
      nodes.push({ id: node[1]!, name: node[1]!, kind: "service", x: Number(node[2]), y: Number(node[3]), requests: Number(node[4] ?? 1), errors: Number(node[5] ?? 0), unpaired: {}, ...measured });
    }
  }
  return graphOf({ nodes, edges });
}

const n = Math.round;
const shown = (g: Graph, f: Frame, c: Camera): string => {
  const scene = sceneOf(g, f, c);
  return [
    ...scene.nodes.map((s) => `${g.nodes[s.at]!.name} at ${n(s.x)},${n(s.y)} ${scene.card ? `card ${n(s.rx * 2)}x${n(s.ry * 2)}` : `circle ${n(s.rx)}`}${s.error > 0 ? ` red ${s.error.toFixed(2)}` : ""}`),
    ...scene.edges.map((e) => `${edgeId(g.edges[e.at]!)} ${n(e.curve[0])},${n(e.curve[1])} to ${n(e.tip[0])},${n(e.tip[1])}${Math.cos(e.tip[2]) < -0.5 ? " leftwards" : ""} width ${e.width.toFixed(1)}${e.dashed ? " dashed" : ""}${e.failed ? ` red from ${n(e.failed[0])},${n(e.failed[1])}` : ""}`),
  ].join("\n");
};

const SHOP = draw(`
  web 0,1 1000/20
  cart 1,0 900/0
  pay 1,2 100/50
  db 2,1 900/0
  web -> cart 900/0
  web -> pay 100/50
  cart -> db 900/0 database
  pay -> db 100/0 messaging
  cart -> pay 10/0
  db -> cart 1/0
  pay -> pay 5/5
`);

// Scenario: a small graph with a call back, a call within a layer, a call to oneself and a message.
// Guarantee: cards at the server's places; forward calls run from right to left sides, calls back from left to right ones,
// beside each other; wide where there are many, dashed where they are messages, red as far as they fail.
test("a small graph", () => {
  const f = frameOf(SHOP.nodes, 900, 400);
  assert.equal(shown(SHOP, f, wholeOf(f)), block(`
    web at 123,200 card 189x48 red 0.02
    cart at 450,111 card 189x48
    pay at 450,289 card 189x48 red 0.50
    db at 777,200 card 189x48
    web>cart:rpc 217,196 to 354,111 width 5.5
    web>pay:rpc 217,204 to 354,289 width 4.1 red from 281,247
    cart>db:database 545,102 to 682,191 width 5.5
    pay>db:messaging 545,293 to 682,209 width 4.1 dashed
    cart>pay:rpc 545,120 to 546,285 leftwards width 2.6
    db>cart:rpc 683,200 to 546,111 leftwards width 1.2
    pay>pay:rpc 545,279 to 516,264 width 2.2 red from 545,279
  `));
});

// Scenario: the same graph in a narrow window.
// Guarantee: everything is on screen, as circles, because cards could not be read.
test("a narrow window", () => {
  const f = frameOf(SHOP.nodes, 300, 300);
  const scene = sceneOf(SHOP, f, wholeOf(f));
  assert.equal(scene.card, false);
  assert.equal(scene.nodes.map((s) => `${SHOP.nodes[s.at]!.name} ${n(s.x)},${n(s.y)}`).join("; "), "web 60,150; cart 150,61; pay 150,239; db 240,150");
});

/** Ten layers of two hundred services, each calling three of the next. */
function large(): Graph {
  const lines: string[] = [];
  for (let i = 0; i < 2000; i++) lines.push(`service-${i} ${Math.floor(i / 200)},${i % 200} ${1 + ((i * 7919) % 5000)}/${i % 100 === 0 ? 1 : 0}`);
  for (let i = 0; i < 1800; i++) for (const k of [0, 31, 77]) lines.push(`service-${i} -> service-${(Math.floor(i / 200) + 1) * 200 + ((i + k) % 200)} ${1 + i}/${i % 90 === 0 ? 1 : 0}`);
  return draw(lines.join("\n"));
}

// Scenario: 2,000 services and 5,400 edges.
// Guarantee: the whole fills the window in both directions, names do not cover each other, and near by only what is on screen is drawn.
test("2,000 services", () => {
  const g = large();
  const f = frameOf(g.nodes, 1400, 800);
  const scene = sceneOf(g, f, wholeOf(f));
  assert.deepEqual([scene.nodes.length, scene.edges.length, scene.card], [2000, 5400, false]);
  const xs = scene.nodes.map((s) => s.x);
  const ys = scene.nodes.map((s) => s.y);
  assert.deepEqual([Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)].map(n), [73, 1327, 29, 771]);
  const labels = labelsOf(g, f, wholeOf(f), scene, new Set([1234]), (text) => [text, 6 * text.length]);
  assert.equal(labels[0]!.text, "service-1234");
  assert.ok(labels.length > 100, `${labels.length} names`);
  for (const [i, a] of labels.entries()) {
    assert.ok(a.x - 3 * a.text.length >= 0 && a.x + 3 * a.text.length <= 1400, `${a.text} is cut`);
    for (const b of labels.slice(i + 1)) assert.ok(Math.abs(a.y - b.y) >= 14 || Math.abs(a.x - b.x) >= 3 * (a.text.length + b.text.length), `${a.text} covers ${b.text}`);
  }
  const near = reveal(f, wholeOf(f), g.nodes[1234]!, 1400, false);
  const close = sceneOf(g, f, near);
  assert.equal(close.card, true);
  assert.ok(close.nodes.length < 120, `${close.nodes.length} nodes`);
  assert.deepEqual(toScreen(f, near, g.nodes[1234]!.x, g.nodes[1234]!.y), [700, 400]);
  assert.deepEqual(hitAt(close, 700, 400), { node: 1234 });
});

// Scenario: the wheel, a drag, and a panel that covers the right.
// Guarantee: the place under the pointer stays there; one can go out a little further than the whole; the graph cannot be lost;
// what is chosen is moved out from under the panel, and no further.
test("the camera", () => {
  const f = frameOf(SHOP.nodes, 900, 400);
  const whole = wholeOf(f);
  const before = { x: whole.x + 0.4, y: whole.y - 0.2 };
  const at = toScreen(f, whole, before.x, before.y);
  const closer = zoom(f, whole, 1.5, at[0], at[1]);
  assert.deepEqual(toScreen(f, closer, before.x, before.y).map(n), at.map(n));
  assert.equal(zoom(f, whole, 0.001, 0, 0).k, atLeast(f));
  assert.equal(zoom(f, whole, 1000, 450, 200).k, 2.5);
  const [x] = toScreen(f, pan(f, whole, 1e6, 0), f.x0, 1);
  assert.ok(x < 900, "its left end stays on screen");
  const covered = reveal(f, whole, SHOP.nodes[3]!, 560, true);
  assert.ok(toScreen(f, covered, 2, 1)[0] + CARD_W / 2 <= 560);
  assert.equal(reveal(f, whole, SHOP.nodes[0]!, 560, true), whole);
  const left = wholeOf(f, 600);
  for (const s of sceneOf(SHOP, f, left).nodes) assert.ok(s.x - s.rx >= 0 && s.x + s.rx <= 600, `${SHOP.nodes[s.at]!.name} lies left of the panel`);
});

// Scenario: a pointer over a card, a line, and nothing; arrows from node to node.
// Guarantee: the nearest within reach is meant; arrows go where they point, up and down within a layer.
test("pointer and keys", () => {
  const f = frameOf(SHOP.nodes, 900, 400);
  const scene = sceneOf(SHOP, f, wholeOf(f));
  const cart = scene.nodes[1]!;
  assert.deepEqual(hitAt(scene, cart.x + CARD_W / 2 - 2, cart.y + CARD_H / 2 - 2), { node: 1 });
  const [x, y] = pointAt(scene.edges[0]!.curve, 0.5);
  assert.deepEqual(hitAt(scene, x + 2, y), { edge: 0 });
  assert.equal(hitAt(scene, 5, 5), null);
  const walk = (from: number, dx: number, dy: number) => SHOP.nodes[nextNode(SHOP, from, dx, dy)]?.name ?? "none";
  assert.deepEqual([walk(-1, 1, 0), walk(0, 1, 0), walk(1, 0, 1), walk(2, 0, -1), walk(2, 1, 0), walk(3, 1, 0), walk(0, 0, 1)], ["web", "cart", "pay", "cart", "db", "none", "none"]);
});

// Scenario: no node, one node, an edge whose end is not among the nodes, no requests at all.
// Guarantee: finite places, nothing invented.
test("odd graphs", () => {
  const none = draw("");
  const f = frameOf(none.nodes, 0, 0);
  assert.deepEqual(sceneOf(none, f, wholeOf(f)), { card: false, nodes: [], edges: [] });
  const one = draw("a 7,-3 0/0\na -> gone 5/0\na -> a 0/0");
  assert.deepEqual(one.edges.map(edgeId), ["a>a:rpc"]);
  const g = frameOf(one.nodes, 500, 300);
  assert.equal(shown(one, g, wholeOf(g)), "a at 250,150 card 189x48\na>a:rpc 345,140 to 316,125 width 1.1");
  assert.ok(sceneOf(one, g, wholeOf(g)).edges[0]!.curve.every(Number.isFinite));
});

test("rates and shares", () => {
  // Scenario: from three calls in an hour to many thousands in a second; from nothing failing to everything.
  // Guarantee: three digits and the unit that suits; never 0 % when something failed, never 100 % when something did not.
  assert.deepEqual([0, 3, 59, 360, 3590, 36_000, 3.6e6, 9e8, 9e9].map((count) => rateText(count, 3600)), ["0/s", "3.0/h", "59/h", "6.0/min", "1.00/s", "10.0/s", "1,000/s", "250 k/s", "2500 k/s"]);
  assert.equal(rateText(5, 0), "0/s");
  assert.deepEqual([0, 0.0001, 0.012, 0.34, 0.9949, 0.9999, 1].map(shareText), ["0 %", "<0.1 %", "1.2 %", "34 %", ">99 %", ">99 %", "100 %"]);
});
