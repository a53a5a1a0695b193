/** Fills what draw/waterfall.ts laid out. Only pixels here: no positions are calculated, no data is changed. */
import type { LogLine } from "../../api/shapes";
import { serviceColor, severityOfLine } from "../../draw/color";
import { Row, type Trace } from "../../draw/trace";
import { indentOf, type Layout, layoutRows, ROW_PX, type RowShape, type View } from "../../draw/waterfall";
import type { Tick } from "../../draw/scale";
import { bodyText } from "../../kit/log-line";
import type { Palette } from "../../kit/theme";
import { fit } from "../../kit/use";
import { formatUs } from "../../state/time";

export interface Scene {
  layout: Layout;
  colors: Palette;
  /** Places in the visible rows, or -1. */
  selected: number;
  hovered: number;
  ticks: Tick[];
  /** Dims what is not on the critical path. */
  criticalOnly: boolean;
  matchSpans: Set<number>;
  matchLogs: Set<number>;
  /** A drag in progress, in pixels. */
  brush: [number, number] | null;
}

const MIDDLE = ROW_PX / 2;
const BAR_TOP = 5;
const BAR_PX = 12;

export function paintRows(ctx: CanvasRenderingContext2D, scene: Scene): void {
  const { view } = scene.layout;
  ctx.textBaseline = "middle";
  grid(ctx, scene);
  ctx.fillStyle = scene.colors.line;
  ctx.fillRect(view.nameWidth - 1, 0, 1, view.height);
  for (const shape of layoutRows(scene.layout)) paintRow(ctx, scene, shape);
  if (scene.brush) brush(ctx, scene.brush, view, scene.colors);
}

function paintRow(ctx: CanvasRenderingContext2D, scene: Scene, shape: RowShape): void {
  const { colors, layout } = scene;
  const marked = shape.kind === Row.Span ? scene.matchSpans.has(shape.ref) : shape.kind === Row.Log && scene.matchLogs.has(shape.ref);
  const back = shape.at === scene.selected ? colors["bg-selected"] : marked ? colors.mark : shape.at === scene.hovered ? colors["bg-hover"] : null;
  if (back) {
    ctx.fillStyle = back;
    ctx.globalAlpha = marked && shape.at !== scene.selected ? 0.65 : 1;
    ctx.fillRect(0, shape.y, layout.view.width, ROW_PX);
    ctx.globalAlpha = 1;
    if (shape.at === scene.selected) {
      ctx.fillStyle = colors.accent;
      ctx.fillRect(0, shape.y, 2, ROW_PX);
    }
  }
  guides(ctx, shape, layout.view, colors);
  switch (shape.kind) {
    case Row.Span: return spanRow(ctx, scene, shape);
    case Row.Log: return logRow(ctx, scene, shape, layout.logs!.lines[shape.ref]!);
    case Row.MoreLogs: return noteRow(ctx, scene, shape, moreText(layout, shape.ref), colors.accent);
    case Row.OrphanHead: return noteRow(ctx, scene, shape, `${layout.logs!.orphans.length} log lines of this request that name none of its spans`, colors["text-soft"]);
  }
}

function spanRow(ctx: CanvasRenderingContext2D, scene: Scene, s: RowShape): void {
  const { colors, layout: { trace, view } } = scene;
  const i = s.ref;
  const error = trace.status[i] === 2;
  const color = serviceColor(trace.services[trace.service[i]!] ?? "", colors.dark);
  const dim = scene.criticalOnly && !trace.critical[i];
  ctx.globalAlpha = dim ? 0.32 : 1;
  if (s.toggle !== 0) chevron(ctx, s.indent + 4, s.y + MIDDLE, s.toggle > 0, colors["text-faint"]);
  ctx.fillStyle = color;
  ctx.fillRect(s.indent + 11, s.y + 4, 3, ROW_PX - 8);
  spanName(ctx, scene, s, error);
  if (s.bar) {
    ctx.fillStyle = error ? colors.error : color;
    roundBar(ctx, s.bar.x, s.y + BAR_TOP, s.bar.w, BAR_PX, s.bar.cutLeft ? 0 : 2.5, s.bar.cutRight ? 0 : 2.5);
    if (trace.critical[i]) {
      ctx.fillStyle = colors.critical;
      ctx.fillRect(s.bar.x, s.y + BAR_TOP + BAR_PX + 1.5, s.bar.w, 1.5);
    }
    if (s.ticks.length > 0) {
      ctx.fillStyle = colors.critical;
      for (const x of s.ticks) ctx.fillRect(x - 0.5, s.y + 2, 1.5, 5);
    }
    if (s.label) {
      const inside = s.label.align === "left" && s.label.x < s.bar.x + s.bar.w;
      ctx.font = `11px ${colors.font}`;
      ctx.textAlign = s.label.align;
      ctx.fillStyle = inside ? colors.bg : error ? colors.error : colors["text-faint"];
      ctx.fillText(s.label.text, s.label.x, s.y + MIDDLE);
      ctx.textAlign = "left";
    }
  } else {
    outside(ctx, s, view, trace, colors);
  }
  ctx.globalAlpha = 1;
}

/** The service is named where it changes on the way down; below, the colour is enough. */
function spanName(ctx: CanvasRenderingContext2D, { colors, layout: { trace, view, rows } }: Scene, s: RowShape, error: boolean): void {
  const i = s.ref;
  const parent = trace.parent[i]!;
  const before = s.at > 0 && rows.kind[s.at - 1] === Row.Span ? rows.ref[s.at - 1]! : -1;
  const named = parent < 0 || trace.service[parent] !== trace.service[i] || (before >= 0 && before !== parent && trace.service[before] !== trace.service[i]);
  let x = s.indent + 20;
  const pill = s.hidden > 0 ? `+${s.hidden.toLocaleString("en-US")}` : "";
  ctx.font = `11px ${colors.font}`;
  const right = view.nameWidth - 8 - (pill ? ctx.measureText(pill).width + 14 : 0);
  if (pill) {
    ctx.fillStyle = colors["text-faint"];
    ctx.textAlign = "right";
    ctx.fillText(pill, view.nameWidth - 10, s.y + MIDDLE);
    ctx.textAlign = "left";
  }
  if (named) {
    ctx.font = `600 12px ${colors.font}`;
    ctx.fillStyle = error ? colors.error : colors.text;
    const text = fit(ctx, trace.services[trace.service[i]!] || "no service name", Math.max(0, right - x));
    ctx.fillText(text, x, s.y + MIDDLE);
    x += ctx.measureText(text).width + 7;
  }
  ctx.font = `12px ${colors.font}`;
  ctx.fillStyle = error ? colors.error : named ? colors["text-soft"] : colors.text;
  if (right - x > 12) ctx.fillText(fit(ctx, trace.names[trace.name[i]!] || "unnamed", right - x), x, s.y + MIDDLE);
}

/** A line's text runs over the whole row, because there it can be read; its moment is a diamond, or a pin where text stands. */
function logRow(ctx: CanvasRenderingContext2D, scene: Scene, s: RowShape, line: LogLine): void {
  const { colors, layout: { view, logUs } } = scene;
  const severity = severityOfLine(line);
  const color = colors[`sev-${severity}`];
  const bad = severity === "error" || severity === "fatal";
  let x = s.indent + 10;
  ctx.fillStyle = color;
  ctx.fillRect(x, s.y + 7, 3, ROW_PX - 14);
  x += 9;
  ctx.font = `11px ${colors.font}`;
  ctx.fillStyle = colors["text-faint"];
  ctx.textAlign = "right";
  const label = formatUs(logUs[s.ref]!);
  ctx.fillText(label, view.width - 6, s.y + MIDDLE);
  ctx.textAlign = "left";
  const labelFrom = view.width - 6 - ctx.measureText(label).width;
  const room = labelFrom - 12 - x;
  ctx.font = `11.5px ${colors.mono}`;
  ctx.fillStyle = bad ? colors.error : severity === "warn" ? colors.warn : colors["text-soft"];
  const text = `${line.join && line.join !== "own" ? `[${line.join}] ` : ""}${bodyText(line).slice(0, 600).replace(/\s+/g, " ")}`;
  const shown = fit(ctx, text, room);
  ctx.fillText(shown, x, s.y + MIDDLE);
  if (!s.bar) return;
  const covered = s.bar.x < x + ctx.measureText(shown).width + 8 || s.bar.x > labelFrom - 8;
  if (covered) pin(ctx, s.bar.x, s.y, color);
  else diamond(ctx, s.bar.x, s.y + MIDDLE, 4, color, line.join === "placed");
}

/** A moment that lies under the text: a mark at the row's upper edge, clear of the letters. */
function pin(ctx: CanvasRenderingContext2D, x: number, y: number, color: string): void {
  ctx.fillStyle = color;
  ctx.beginPath();
  ctx.moveTo(x - 4, y);
  ctx.lineTo(x + 4, y);
  ctx.lineTo(x, y + 5);
  ctx.fill();
}

function noteRow(ctx: CanvasRenderingContext2D, { colors, layout: { view } }: Scene, s: RowShape, text: string, color: string): void {
  if (s.toggle !== 0) chevron(ctx, s.indent + 4, s.y + MIDDLE, s.toggle > 0, colors["text-faint"]);
  ctx.font = `12px ${colors.font}`;
  ctx.fillStyle = color;
  ctx.fillText(fit(ctx, text, (s.kind === Row.OrphanHead ? view.width : view.nameWidth) - s.indent - 24), s.indent + 14, s.y + MIDDLE);
}

const moreText = (layout: Layout, span: number): string => `${(layout.logs!.first[span + 1]! - layout.logs!.first[span]! - 20).toLocaleString("en-US")} more lines of this span`;

function grid(ctx: CanvasRenderingContext2D, { ticks, colors, layout: { view } }: Scene): void {
  ctx.fillStyle = colors.line;
  ctx.globalAlpha = 0.6;
  for (const t of ticks) if (t.x > 1) ctx.fillRect(Math.round(view.nameWidth + t.x), 0, 1, view.height);
  ctx.globalAlpha = 1;
}

function guides(ctx: CanvasRenderingContext2D, s: RowShape, view: View, colors: Palette): void {
  ctx.fillStyle = colors.line;
  const levels = Math.min(s.depth, 16);
  for (let d = 0; d < levels; d++) {
    const x = indentOf(d) + 4;
    if (x < view.nameWidth) ctx.fillRect(x, s.y, 1, ROW_PX);
  }
}

/** A span outside the window: a small arrow says on which side it lies. */
function outside(ctx: CanvasRenderingContext2D, s: RowShape, view: View, trace: Trace, colors: Palette): void {
  const right = trace.start[s.ref]! > view.window.to;
  const x = right ? view.width - 8 : view.nameWidth + 8;
  const d = right ? 4 : -4;
  ctx.fillStyle = colors["line-strong"];
  ctx.beginPath();
  ctx.moveTo(x + d, s.y + MIDDLE);
  ctx.lineTo(x, s.y + MIDDLE - 4);
  ctx.lineTo(x, s.y + MIDDLE + 4);
  ctx.fill();
}

function brush(ctx: CanvasRenderingContext2D, [a, b]: [number, number], view: View, colors: Palette): void {
  ctx.fillStyle = colors.accent;
  ctx.globalAlpha = 0.14;
  ctx.fillRect(Math.min(a, b), 0, Math.abs(b - a), view.height);
  ctx.globalAlpha = 1;
  ctx.fillRect(Math.min(a, b), 0, 1, view.height);
  ctx.fillRect(Math.max(a, b), 0, 1, view.height);
}

function chevron(ctx: CanvasRenderingContext2D, x: number, y: number, open: boolean, color: string): void {
  ctx.strokeStyle = color;
  ctx.lineWidth = 1.4;
  ctx.beginPath();
  if (open) {
    ctx.moveTo(x - 3.5, y - 1.5);
    ctx.lineTo(x, y + 2);
    ctx.lineTo(x + 3.5, y - 1.5);
  } else {
    ctx.moveTo(x - 1.5, y - 3.5);
    ctx.lineTo(x + 2, y);
    ctx.lineTo(x - 1.5, y + 3.5);
  }
  ctx.stroke();
}

function diamond(ctx: CanvasRenderingContext2D, x: number, y: number, r: number, color: string, hollow: boolean): void {
  ctx.beginPath();
  ctx.moveTo(x, y - r);
  ctx.lineTo(x + r, y);
  ctx.lineTo(x, y + r);
  ctx.lineTo(x - r, y);
  ctx.closePath();
  ctx.strokeStyle = ctx.fillStyle = color;
  ctx.lineWidth = 1.2;
  if (hollow) ctx.stroke();
  else ctx.fill();
}

function roundBar(ctx: CanvasRenderingContext2D, x: number, y: number, w: number, h: number, left: number, right: number): void {
  ctx.beginPath();
  const [l, r] = [Math.min(left, w / 2), Math.min(right, w / 2)];
  ctx.roundRect(x, y, w, h, [l, r, r, l]);
  ctx.fill();
}
