/** Fills what draw/graph.ts laid out. Only pixels here. */
import { serviceColor } from "../../draw/color";
import { CARD_H, CARD_W, type Camera, type EdgeShape, errorShare, type Frame, type Graph, labelsOf, type NodeShape, rateText, type Scene, shareText } from "../../draw/graph";
import { PATHS } from "../../kit/icons";
import type { Palette } from "../../kit/theme";
import { fit } from "../../kit/use";
import { nameOf, tookText } from "./words";

export interface Chosen { node: number; edge: number }

export interface Picture {
  graph: Graph;
  frame: Frame;
  /** What of it is seen, in pixels. */
  width: number;
  camera: Camera;
  scene: Scene;
  colors: Palette;
  seconds: number;
  selected: Chosen;
}

/** A failure here and there reddens the end of the line, not the arrow. */
const RED_ARROW_SHARE = 0.01;

/** From this many on, lines are drawn faint and as thin as can be, or they would hide everything and take long. */
const CROWDED_EDGES = 700;

export function paint(ctx: CanvasRenderingContext2D, p: Picture): void {
  ctx.textBaseline = "middle";
  ctx.lineCap = "butt";
  const { graph, scene, selected } = p;
  const near = around(graph, selected);
  const crowded = scene.edges.length > CROWDED_EDGES;
  const dim = (is: boolean) => (ctx.globalAlpha = near && !is ? 0.22 : 1);
  for (const e of scene.edges) {
    if (e.at === selected.edge) continue;
    const bright = near?.edges.has(e.at) ?? true;
    dim(bright);
    if (crowded && !near) ctx.globalAlpha = e.failed ? 0.8 : 0.35;
    edge(ctx, e, p.colors, false, crowded && !(near && bright));
  }
  ctx.globalAlpha = 1;
  for (const e of scene.edges) if (e.at === selected.edge) edge(ctx, e, p.colors, true);
  for (const n of scene.nodes) {
    dim(near?.nodes.has(n.at) ?? true);
    if (scene.card) card(ctx, n, p, false);
    else circle(ctx, n, p, n.at === selected.node);
  }
  ctx.globalAlpha = 1;
  if (!scene.card) names(ctx, p, near?.nodes);
  for (const e of scene.edges) if (e.at === selected.edge) bubble(ctx, e.middle, edgeLines(p, e.at), p);
}

/** What lies under the pointer, on a canvas of its own: the large picture need not be made again for it. */
export function paintHover(ctx: CanvasRenderingContext2D, p: Picture, hovered: Chosen): void {
  ctx.textBaseline = "middle";
  for (const e of p.scene.edges) {
    if (e.at !== hovered.edge) continue;
    edge(ctx, e, p.colors, true);
    bubble(ctx, e.middle, edgeLines(p, e.at), p);
  }
  for (const n of p.scene.nodes) {
    if (n.at !== hovered.node) continue;
    if (p.scene.card) card(ctx, n, p, true);
    else {
      circle(ctx, n, p, true);
      bubble(ctx, [n.x, n.y - n.ry - 26], nodeLines(p, n.at), p);
    }
  }
}

/** What stays bright beside the chosen: a node with its neighbours, an edge with its ends. */
function around(g: Graph, { node, edge }: Chosen): { nodes: Set<number>; edges: Set<number> } | null {
  if (node < 0 && edge < 0) return null;
  const edges = new Set(edge >= 0 ? [edge] : [...g.outgoing[node]!, ...g.incoming[node]!]);
  const nodes = new Set<number>(node >= 0 ? [node] : []);
  for (const e of edges) nodes.add(g.source[e]!).add(g.target[e]!);
  return { nodes, edges };
}

function edge(ctx: CanvasRenderingContext2D, e: EdgeShape, colors: Palette, strong: boolean, hair = false): void {
  const ink = strong ? colors.accent : colors.edge;
  ctx.setLineDash(e.dashed ? [5 + e.width, 3 + e.width * 0.8] : []);
  ctx.lineWidth = hair ? Math.min(1, e.width) : e.width + (strong ? 1 : 0);
  ctx.strokeStyle = ink;
  stroke(ctx, e.curve);
  if (e.failed) {
    ctx.strokeStyle = colors.error;
    stroke(ctx, e.failed);
  }
  ctx.setLineDash([]);
  const [x, y, turn] = e.tip;
  const half = e.arrow * 0.55;
  const [dx, dy] = [Math.cos(turn), Math.sin(turn)];
  const [bx, by] = [x - dx * e.arrow, y - dy * e.arrow];
  ctx.fillStyle = e.share >= RED_ARROW_SHARE ? colors.error : ink;
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(bx - dy * half, by + dx * half);
  ctx.lineTo(bx + dy * half, by - dx * half);
  ctx.fill();
}

function stroke(ctx: CanvasRenderingContext2D, [x0, y0, x1, y1, x2, y2, x3, y3]: EdgeShape["curve"]): void {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.bezierCurveTo(x1, y1, x2, y2, x3, y3);
  ctx.stroke();
}

const colorOf = (p: Picture, at: number): string => {
  const n = p.graph.nodes[at]!;
  return n.kind === "service" ? serviceColor(n.name, p.colors.dark) : p.colors["text-faint"];
};

/** The ring: the share that failed is red, from the top clockwise. */
function ring(ctx: CanvasRenderingContext2D, x: number, y: number, r: number, width: number, color: string, error: number, red: string): void {
  ctx.lineWidth = width;
  ctx.strokeStyle = color;
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.stroke();
  if (error <= 0) return;
  ctx.strokeStyle = red;
  ctx.beginPath();
  ctx.arc(x, y, r, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * Math.max(0.05, error));
  ctx.stroke();
}

const icons = new Map<string, Path2D>();

function icon(ctx: CanvasRenderingContext2D, kind: string, x: number, y: number, size: number, color: string): void {
  const name = kind in PATHS ? (kind as keyof typeof PATHS) : "external";
  let path = icons.get(name);
  if (!path) icons.set(name, (path = new Path2D(PATHS[name])));
  ctx.save();
  ctx.translate(x - size / 2, y - size / 2);
  ctx.scale(size / 16, size / 16);
  ctx.lineWidth = 1.3;
  ctx.lineJoin = "round";
  ctx.strokeStyle = color;
  ctx.stroke(path);
  ctx.restore();
}

function card(ctx: CanvasRenderingContext2D, n: NodeShape, p: Picture, hovered: boolean): void {
  const { colors, graph, selected } = p;
  const of = graph.nodes[n.at]!;
  const k = (n.ry * 2) / CARD_H;
  const [left, top] = [n.x - n.rx, n.y - n.ry];
  const chosen = n.at === selected.node;
  const alpha = ctx.globalAlpha;
  // Lines must not shine through a dimmed card.
  ctx.globalAlpha = 1;
  ctx.beginPath();
  ctx.roundRect(left, top, CARD_W * k, CARD_H * k, 9 * k);
  ctx.fillStyle = chosen ? colors["bg-selected"] : hovered ? colors["bg-hover"] : colors["bg-raised"];
  ctx.fill();
  ctx.globalAlpha = alpha;
  ctx.lineWidth = chosen ? 2 : 1;
  ctx.strokeStyle = chosen ? colors.accent : colors["line-strong"];
  if (of.kind === "external" || of.kind === "user") ctx.setLineDash([4, 3]);
  ctx.stroke();
  ctx.setLineDash([]);
  const cx = left + 23 * k;
  ring(ctx, cx, n.y, 14 * k, 3 * k, colorOf(p, n.at), n.error, colors.error);
  icon(ctx, of.kind, cx, n.y, 14 * k, colors["text-soft"]);
  let x = left + 45 * k;
  const room = (CARD_W - 45 - 9) * k;
  ctx.textAlign = "left";
  ctx.font = `600 ${12.5 * k}px ${colors.font}`;
  ctx.fillStyle = colors.text;
  ctx.fillText(fit(ctx, nameOf(of), room), x, n.y - 8 * k);
  ctx.font = `${11 * k}px ${colors.font}`;
  for (const [text, color] of nodeNumbers(of, p)) {
    ctx.fillStyle = color;
    ctx.fillText(text, x, n.y + 9 * k);
    x += ctx.measureText(text).width + 8 * k;
  }
}

function nodeNumbers(of: Graph["nodes"][number], { colors, seconds }: Picture): [string, string][] {
  const out: [string, string][] = [[rateText(of.requests, seconds), colors["text-soft"]]];
  if (of.errors > 0) out.push([shareText(errorShare(of)), colors.error]);
  if (of.p95_ns !== "0") out.push([tookText(of.p95_ns), colors["text-faint"]]);
  return out;
}

function circle(ctx: CanvasRenderingContext2D, n: NodeShape, p: Picture, marked: boolean): void {
  const { colors, graph } = p;
  const alpha = ctx.globalAlpha;
  ctx.globalAlpha = 1;
  ctx.fillStyle = colors["bg-raised"];
  ctx.beginPath();
  ctx.arc(n.x, n.y, n.rx, 0, 2 * Math.PI);
  ctx.fill();
  ctx.globalAlpha = alpha;
  if (n.rx < 6) {
    // Too small for a ring: any failure from one in fifty on makes the dot red.
    ctx.fillStyle = n.error >= 0.02 ? colors.error : colorOf(p, n.at);
    ctx.fill();
  } else {
    const width = Math.max(2, n.rx * 0.24);
    ring(ctx, n.x, n.y, n.rx - width / 2, width, colorOf(p, n.at), n.error, colors.error);
    if (n.rx >= 9) icon(ctx, graph.nodes[n.at]!.kind, n.x, n.y, n.rx * 0.95, colors["text-soft"]);
  }
  if (!marked) return;
  ctx.lineWidth = 2;
  ctx.strokeStyle = colors.accent;
  ctx.beginPath();
  ctx.arc(n.x, n.y, n.rx + 3, 0, 2 * Math.PI);
  ctx.stroke();
}

function names(ctx: CanvasRenderingContext2D, p: Picture, near: Set<number> | undefined): void {
  const { colors, graph, selected } = p;
  ctx.font = `11px ${colors.font}`;
  ctx.textAlign = "center";
  ctx.lineJoin = "round";
  const first = near ?? new Set<number>();
  const measured = (text: string, room: number): [string, number] => {
    const shown = fit(ctx, text, room);
    return [shown, ctx.measureText(shown).width];
  };
  for (const l of labelsOf(graph, p.frame, p.camera, p.scene, first, measured)) {
    const aside = near && !near.has(l.at);
    if (aside && p.scene.edges.length > CROWDED_EDGES) continue;
    ctx.globalAlpha = aside ? 0.35 : 1;
    ctx.lineWidth = 3.5;
    ctx.strokeStyle = colors.bg;
    ctx.strokeText(l.text, l.x, l.y);
    ctx.fillStyle = l.at === selected.node ? colors.accent : colors.text;
    ctx.fillText(l.text, l.x, l.y);
  }
  ctx.globalAlpha = 1;
  ctx.textAlign = "left";
}

type Line = [string, "text" | "text-soft" | "error"][];

function edgeLines(p: Picture, at: number): Line[] {
  const e = p.graph.edges[at]!;
  return [numbers(e, p.seconds), e.p50_ns === "0" && e.p99_ns === "0" ? [] : [[`p50 ${tookText(e.p50_ns)}   p95 ${tookText(e.p95_ns)}   p99 ${tookText(e.p99_ns)}`, "text-soft"]]];
}

function nodeLines(p: Picture, at: number): Line[] {
  const n = p.graph.nodes[at]!;
  return [[[nameOf(n), "text"]], [...numbers(n, p.seconds), ...(n.p95_ns === "0" ? [] : ([[`p95 ${tookText(n.p95_ns)}`, "text-soft"]] as Line))]];
}

function numbers(of: { requests: number; errors: number }, seconds: number): Line {
  return [[rateText(of.requests, seconds), "text"], of.errors > 0 ? [`${shareText(errorShare(of))} errors`, "error"] : ["no errors", "text-soft"]];
}

/** Numbers in a box that stays on the canvas. */
function bubble(ctx: CanvasRenderingContext2D, [mx, my]: [number, number], lines: Line[], { colors, frame, width }: Picture): void {
  const shown = lines.filter((l) => l.length > 0);
  ctx.font = `600 12px ${colors.font}`;
  ctx.textAlign = "left";
  const GAP = 10;
  const w = Math.min(width - 8, Math.max(...shown.map((l) => l.reduce((sum, [text]) => sum + ctx.measureText(text).width + GAP, -GAP))) + 20);
  const h = shown.length * 17 + 10;
  const [x, y] = [Math.max(4, Math.min(width - w - 4, mx - w / 2)), Math.max(4, Math.min(frame.height - h - 4, my - h / 2))];
  ctx.fillStyle = colors["bg-popover"];
  ctx.strokeStyle = colors["line-strong"];
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, 6);
  ctx.fill();
  ctx.stroke();
  shown.forEach((line, i) => {
    let at = x + 10;
    for (const [text, color] of line) {
      ctx.font = `${color === "text" ? 600 : 400} 12px ${colors.font}`;
      ctx.fillStyle = colors[color];
      ctx.fillText(fit(ctx, text, x + w - 6 - at), at, y + 5 + 17 * (i + 0.5));
      at += ctx.measureText(text).width + GAP;
    }
  });
}
