/**
 * The service graph's geometry: nodes at the server's places and a camera in, shapes in pixels out. Pure, and tested as
 * text; the page's paint.ts only fills what stands here. One unit of x is a layer, one of y a place within it.
 */
import type { GraphAnswer, GraphEdge, GraphNode } from "../api/shapes";
import { logPosition } from "./scale";

/** Pixels at full size (`k` = 1). */
export const CARD_W = 172;
export const CARD_H = 44;
const LAYER_PX = 244;
const ROW_PX = 66;
/** Below this size the text of a card cannot be read: nodes become circles with a label where there is room. */
export const CARD_K_MIN = 0.78;
/** Below this size most names have no room. */
const NAMED_K_MIN = 0.3;
const K_MAX = 2.5;
/** How far out one can go, against the size at which all is seen. */
const ZOOM_OUT = 0.6;
const FIT_K_MAX = 1.1;
/** A graph smaller than the screen is spread no further than this. */
const SPREAD_MAX = 1.35;
const LETTERS_SPREAD = 1.16;
const PAD_PX = 28;

export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
  /** Places of an edge's ends among the nodes. */
  source: Int32Array;
  target: Int32Array;
  /** Where an edge meets the side of its source and target, -0.5 (top) to 0.5: edges of one side lie beside each other. */
  sourcePort: Float32Array;
  targetPort: Float32Array;
  /** Edges of each node. */
  outgoing: number[][];
  incoming: number[][];
  byId: Map<string, number>;
  /** Nodes in reading order: layer by layer, from above. */
  order: number[];
  requestsMax: number;
}

export const edgeId = (e: Pick<GraphEdge, "source" | "target" | "connection_type">): string => `${e.source}>${e.target}:${e.connection_type}`;

export function graphOf(answer: Pick<GraphAnswer, "nodes" | "edges">): Graph {
  const { nodes } = answer;
  const byId = new Map(nodes.map((n, i) => [n.id, i]));
  const edges = answer.edges.filter((e) => byId.has(e.source) && byId.has(e.target));
  const source = Int32Array.from(edges, (e) => byId.get(e.source)!);
  const target = Int32Array.from(edges, (e) => byId.get(e.target)!);
  const [outgoing, incoming] = [nodes.map((): number[] => []), nodes.map((): number[] => [])];
  edges.forEach((_, i) => {
    outgoing[source[i]!]!.push(i);
    incoming[target[i]!]!.push(i);
  });
  const sourcePort = new Float32Array(edges.length);
  const targetPort = new Float32Array(edges.length);
  nodes.forEach((_, n) => {
    // Both sides of a node: what goes to or comes from the left, and the rest.
    for (const left of [true, false]) {
      const ends = [...outgoing[n]!.map((e) => ({ e, other: target[e]!, port: sourcePort })), ...incoming[n]!.map((e) => ({ e, other: source[e]!, port: targetPort }))]
        .filter(({ other }) => other !== n && nodes[other]!.x < nodes[n]!.x - SAME_LAYER === left)
        .sort((a, b) => nodes[a.other]!.y - nodes[b.other]!.y || a.e - b.e);
      ends.forEach(({ e, port }, i) => (port[e] = (i - (ends.length - 1) / 2) * Math.min(0.18, 0.7 / Math.max(1, ends.length - 1))));
    }
  });
  const order = nodes.map((_, i) => i).sort((a, b) => nodes[a]!.x - nodes[b]!.x || nodes[a]!.y - nodes[b]!.y);
  return { nodes, edges, source, target, sourcePort, targetPort, outgoing, incoming, byId, order, requestsMax: edges.reduce((m, e) => Math.max(m, e.requests), 0) };
}

const SAME_LAYER = 0.3;

/** What the whole graph needs on a screen of this size. */
export interface Frame { x0: number; x1: number; y0: number; y1: number; width: number; height: number; /** Size at which all is seen. */ k: number; /** Pixels of a unit, at least. */ sx: number; sy: number }

/** What is seen: the size of nodes, and the place (in units) in the middle of the screen. */
export interface Camera { k: number; x: number; y: number }

export function frameOf(nodes: { x: number; y: number }[], width: number, height: number): Frame {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const n of nodes) {
    x0 = Math.min(x0, n.x);
    x1 = Math.max(x1, n.x);
    y0 = Math.min(y0, n.y);
    y1 = Math.max(y1, n.y);
  }
  if (nodes.length === 0) [x0, x1, y0, y1] = [0, 0, 0, 0];
  const [w, h] = [Math.max(50, width - 2 * PAD_PX), Math.max(50, height - 2 * PAD_PX)];
  const k = Math.max(1e-3, Math.min(FIT_K_MAX, w / ((x1 - x0) * LAYER_PX + CARD_W), h / ((y1 - y0) * ROW_PX + CARD_H)));
  // Tall or wide graphs fill the other direction too: without it, 2,000 nodes in ten layers were a thin column.
  const spread = (room: number, units: number, px: number) => (units > 0 ? Math.max(px * k, Math.min(px * SPREAD_MAX, room / units)) : px);
  const card = k >= CARD_K_MIN;
  return { x0, x1, y0, y1, width, height, k, sx: spread(w - (card ? CARD_W * k : 90), x1 - x0, LAYER_PX), sy: spread(h - (card ? CARD_H * k : 36), y1 - y0, ROW_PX) };
}

/** A screen on which the whole is shown at full size, with room between the layers for a few letters. */
export function fullSize(nodes: { x: number; y: number }[]): { width: number; height: number } {
  const reach = (of: number[]) => (of.length > 0 ? Math.max(...of) - Math.min(...of) : 0);
  return { width: reach(nodes.map((n) => n.x)) * LAYER_PX * LETTERS_SPREAD + CARD_W + 2 * PAD_PX, height: reach(nodes.map((n) => n.y)) * ROW_PX + CARD_H + 2 * PAD_PX };
}

const unitX = (f: Frame, k: number) => (k < f.k ? (f.sx * k) / f.k : Math.max(LAYER_PX * k, f.sx));
const unitY = (f: Frame, k: number) => (k < f.k ? (f.sy * k) / f.k : Math.max(ROW_PX * k, f.sy));

/** Everything, within the left `visible` pixels where something covers the right. */
export function wholeOf(f: Frame, visible = f.width): Camera {
  const k = f.width > 0 ? f.k * clamp(visible / f.width, ZOOM_OUT, 1) : f.k;
  return { k, x: (f.x0 + f.x1) / 2 + (f.width - visible) / 2 / unitX(f, k), y: (f.y0 + f.y1) / 2 };
}

export const toScreen = (f: Frame, c: Camera, x: number, y: number): [number, number] => [f.width / 2 + (x - c.x) * unitX(f, c.k), f.height / 2 + (y - c.y) * unitY(f, c.k)];

const clamp = (n: number, low: number, high: number) => Math.min(high, Math.max(low, n));

/** Some of the graph stays on screen. */
function inside(f: Frame, c: Camera): Camera {
  const [mx, my] = [(f.width * 0.4) / unitX(f, c.k), (f.height * 0.4) / unitY(f, c.k)];
  return { k: c.k, x: clamp(c.x, f.x0 - mx, f.x1 + mx), y: clamp(c.y, f.y0 - my, f.y1 + my) };
}

export const atLeast = (f: Frame): number => f.k * ZOOM_OUT;

/** Zooms around a place of the screen that keeps its place. */
export function zoom(f: Frame, c: Camera, factor: number, px: number, py: number): Camera {
  const k = clamp(c.k * factor, atLeast(f), Math.max(f.k, K_MAX));
  const [dx, dy] = [px - f.width / 2, py - f.height / 2];
  return inside(f, { k, x: c.x + dx / unitX(f, c.k) - dx / unitX(f, k), y: c.y + dy / unitY(f, c.k) - dy / unitY(f, k) });
}

export const pan = (f: Frame, c: Camera, dx: number, dy: number): Camera => inside(f, { k: c.k, x: c.x - dx / unitX(f, c.k), y: c.y - dy / unitY(f, c.k) });

/**
 * The camera that shows a node within the left `visible` pixels: moved no more than needed while the node is on screen
 * and can be read (or `near`: was clicked there), else with the node in the middle.
 */
export function reveal(f: Frame, c: Camera, node: { x: number; y: number }, visible: number, near: boolean): Camera {
  const [x, y] = toScreen(f, c, node.x, node.y);
  const half = PAD_PX + (CARD_W * Math.min(1, c.k)) / 2;
  const dx = x < half ? half - x : x > visible - half ? visible - half - x : 0;
  if (near || (c.k >= NAMED_K_MIN && y > PAD_PX && y < f.height - PAD_PX && x > 0 && x < f.width)) return dx === 0 ? c : pan(f, c, dx, 0);
  const k = Math.max(c.k, 0.9);
  return { k, x: node.x + (f.width - visible) / 2 / unitX(f, k), y: node.y };
}

export interface NodeShape {
  at: number;
  x: number;
  y: number;
  /** Half of its width and height; a circle when they are equal. */
  rx: number;
  ry: number;
  /** Share of requests that failed, 0 to 1. */
  error: number;
}

type Curve = [number, number, number, number, number, number, number, number];

export interface EdgeShape {
  at: number;
  /** A cubic curve from the source to the base of the arrow. */
  curve: Curve;
  /** Its last part, as long as the share of calls that failed. */
  failed: Curve | null;
  share: number;
  width: number;
  dashed: boolean;
  /** Tip and direction (radians) of the arrow, and its length. */
  tip: [number, number, number];
  arrow: number;
  /** Where a label stands. */
  middle: [number, number];
}

export interface Scene { card: boolean; nodes: NodeShape[]; edges: EdgeShape[] }

export const errorShare = (of: { requests: number; errors: number }): number => (of.requests > 0 ? clamp(of.errors / of.requests, 0, 1) : 0);

/** Everything on screen, and nothing else. */
export function sceneOf(g: Graph, f: Frame, c: Camera): Scene {
  const card = c.k >= CARD_K_MIN;
  const r = clamp(Math.min(unitX(f, c.k), unitY(f, c.k)) * 0.2, 2.5, 13);
  const [rx, ry] = card ? [(CARD_W * c.k) / 2, (CARD_H * c.k) / 2] : [r, r];
  const place = g.nodes.map((n) => toScreen(f, c, n.x, n.y));
  const nodes: NodeShape[] = [];
  place.forEach(([x, y], at) => {
    if (x + rx >= 0 && x - rx <= f.width && y + ry + 18 >= 0 && y - ry <= f.height) nodes.push({ at, x, y, rx, ry, error: errorShare(g.nodes[at]!) });
  });
  const edges: EdgeShape[] = [];
  for (let at = 0; at < g.edges.length; at++) {
    const [a, b] = [place[g.source[at]!]!, place[g.target[at]!]!];
    const reach = 60 + rx;
    if (Math.max(a[0], b[0]) + reach < 0 || Math.min(a[0], b[0]) - reach > f.width || Math.max(a[1], b[1]) + reach < 0 || Math.min(a[1], b[1]) - reach > f.height) continue;
    edges.push(edgeShape(g, at, a, b, rx, ry, card));
  }
  return { card, nodes, edges };
}

function edgeShape(g: Graph, at: number, a: [number, number], b: [number, number], rx: number, ry: number, card: boolean): EdgeShape {
  const e = g.edges[at]!;
  const weight = g.requestsMax > 0 ? clamp(logPosition(e.requests, g.requestsMax / 1000, g.requestsMax), 0, 1) : 0;
  const scale = clamp(ry / 13, 0.35, 1);
  const width = (1.1 + 4.4 * weight) * scale;
  const arrow = (5 + width * 1.1) * Math.max(0.6, scale);
  const self = g.source[at] === g.target[at];
  const layers = g.nodes[g.target[at]!]!.x - g.nodes[g.source[at]!]!.x;
  // Forward from right to left side, backward from left to right side, within a layer around the right sides.
  const [out, into] = layers > SAME_LAYER ? [1, -1] : layers < -SAME_LAYER ? [-1, 1] : [1, 1];
  let [x0, y0] = [a[0] + out * rx, a[1] + (card ? g.sourcePort[at]! * ry * 2 : 0)];
  let [x3, y3] = [b[0] + into * (rx + 1), b[1] + (card ? g.targetPort[at]! * ry * 2 : 0)];
  if (self) {
    [x0, y0, x3, y3] = [a[0] + rx, a[1] - ry * 0.4, a[0] + rx * 0.7, a[1] - ry - 1];
    const base = y3 - arrow;
    return finish(at, e, [x0, y0, x0 + 34 * scale, y0 - 8 * scale, x3, base - 26 * scale, x3, base], [x3, y3, Math.PI / 2], arrow, width);
  }
  const bx = x3 + into * arrow;
  const bend = layers > SAME_LAYER || layers < -SAME_LAYER ? Math.max(8, Math.abs(bx - x0) * 0.45) : 26 * scale + Math.min(60, Math.abs(y3 - y0) * 0.12);
  return finish(at, e, [x0, y0, x0 + out * bend, y0, bx + into * bend, y3, bx, y3], [x3, y3, into < 0 ? 0 : Math.PI], arrow, width);
}

function finish(at: number, e: GraphEdge, curve: Curve, tip: [number, number, number], arrow: number, width: number): EdgeShape {
  const share = errorShare(e);
  // The smallest share is still seen.
  const failed = share > 0 ? lastPart(curve, 1 - Math.max(share, 0.05)) : null;
  return { at, curve, failed, share, width, dashed: e.connection_type === "messaging", tip, arrow, middle: pointAt(curve, 0.5) };
}

export function pointAt([x0, y0, x1, y1, x2, y2, x3, y3]: Curve, t: number): [number, number] {
  const [a, b, c, d] = [(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t ** 3];
  return [a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3];
}

/** The curve from `t` to its end. */
function lastPart(curve: Curve, t: number): Curve {
  if (t <= 0) return curve;
  const [x0, y0, x1, y1, x2, y2, x3, y3] = curve;
  const mix = (a: number, b: number) => a + (b - a) * t;
  const [cx, cy] = [mix(x2, x3), mix(y2, y3)];
  const [bx, by] = [mix(mix(x1, x2), cx), mix(mix(y1, y2), cy)];
  const [sx, sy] = [mix(mix(mix(x0, x1), mix(x1, x2)), bx), mix(mix(mix(y0, y1), mix(y1, y2)), by)];
  return [sx, sy, bx, by, cx, cy, x3, y3];
}

/** What lies under a point: a node, else an edge within reach. */
export function hitAt(scene: Scene, x: number, y: number): { node: number } | { edge: number } | null {
  let best: { node: number } | { edge: number } | null = null;
  let near = Infinity;
  for (const n of scene.nodes) {
    const over = scene.card ? Math.abs(x - n.x) <= n.rx && Math.abs(y - n.y) <= n.ry : Math.hypot(x - n.x, y - n.y) <= Math.max(8, n.rx + 3);
    const distance = Math.hypot(x - n.x, y - n.y);
    if (over && distance < near) [best, near] = [{ node: n.at }, distance];
  }
  if (best) return best;
  near = 6;
  for (const e of scene.edges) {
    const [x0, y0, x1, y1, x2, y2, x3, y3] = e.curve;
    if (x < Math.min(x0, x1, x2, x3) - 6 || x > Math.max(x0, x1, x2, x3, e.tip[0]) + 6 || y < Math.min(y0, y1, y2, y3) - 6 || y > Math.max(y0, y1, y2, y3, e.tip[1]) + 6) continue;
    let [px, py] = [x0, y0];
    for (let i = 1; i <= 24; i++) {
      const [qx, qy] = pointAt(e.curve, i / 24);
      const distance = toSegment(x, y, px, py, qx, qy);
      if (distance < near) [best, near] = [{ edge: e.at }, distance];
      [px, py] = [qx, qy];
    }
  }
  return best;
}

function toSegment(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const t = length > 0 ? clamp(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1) : 0;
  return Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay));
}

export interface Label { at: number; x: number; y: number; text: string }

const LABELS_MAX = 160;
const LABEL_PX = 14;

/** Names at circles where they do not cover each other: the chosen first, then what fails, then what is busiest. Below, or beside in close columns. */
export function labelsOf(g: Graph, f: Frame, c: Camera, scene: Scene, first: Set<number>, fit: (text: string, room: number) => [string, number]): Label[] {
  const beside = unitY(f, c.k) < 34;
  const room = clamp(unitX(f, c.k) - 16, 60, 180);
  const importance = (n: NodeShape) => (first.has(n.at) ? 1e18 : 0) + g.nodes[n.at]!.errors * 100 + g.nodes[n.at]!.requests;
  const taken: { x: number; y: number; w: number }[] = [];
  const out: Label[] = [];
  for (const n of [...scene.nodes].sort((a, b) => importance(b) - importance(a) || a.at - b.at).slice(0, 8 * LABELS_MAX)) {
    if (out.length >= LABELS_MAX) break;
    const [text, w] = fit(g.nodes[n.at]!.name, room);
    const side = n.x + n.rx + 4 + w > f.width ? -1 : 1;
    const [x, y] = beside ? [n.x + side * (n.rx + 4 + w / 2), n.y] : [n.x, n.y + n.ry + 3 + LABEL_PX / 2];
    if (text === "" || taken.some((b) => Math.abs(b.y - y) < LABEL_PX && Math.abs(b.x - x) < (b.w + w) / 2 + 6)) continue;
    taken.push({ x, y, w });
    out.push({ at: n.at, x, y, text });
  }
  return out;
}

/** The nearest node in a direction, seen from a node; -1 when there is none. */
export function nextNode(g: Graph, from: number, dx: number, dy: number): number {
  const at = g.nodes[from];
  if (!at) return g.order[0] ?? -1;
  let best = -1;
  let near = Infinity;
  g.nodes.forEach((n, i) => {
    const [x, y] = [(n.x - at.x) * LAYER_PX, (n.y - at.y) * ROW_PX];
    const along = x * dx + y * dy;
    const across = Math.abs(x * dy) + Math.abs(y * dx);
    // Up and down stay in the layer.
    if (i === from || along < 1 || (dy !== 0 && across > LAYER_PX / 2)) return;
    const distance = along + 2 * across;
    if (distance < near) [best, near] = [i, distance];
  });
  return best;
}

/** `123/s`, `1.23/s`, `12/min`, `3/h`. */
export function rateText(count: number, seconds: number): string {
  const r = seconds > 0 ? count / seconds : 0;
  if (!(r > 0)) return "0/s";
  if (r >= 0.995) return r < 9.995 ? `${r.toFixed(2)}/s` : r < 99.95 ? `${r.toFixed(1)}/s` : r < 99_999.5 ? `${Math.round(r).toLocaleString("en-US")}/s` : `${(r / 1000).toFixed(0)} k/s`;
  const minute = r * 60;
  if (minute >= 0.995) return `${minute < 9.95 ? minute.toFixed(1) : Math.round(minute)}/min`;
  const hour = r * 3600;
  return `${hour < 9.95 ? hour.toFixed(1) : Math.round(hour)}/h`;
}

/** `0 %`, `<0.1 %`, `1.2 %`, `34 %`; never 100 % when something succeeded. */
export function shareText(share: number): string {
  const p = share * 100;
  if (p === 0 || p >= 100) return `${p === 0 ? 0 : 100} %`;
  return p < 0.1 ? "<0.1 %" : p < 9.95 ? `${p.toFixed(1)} %` : p > 99 ? ">99 %" : `${Math.round(p)} %`;
}
