/**
 * The waterfall's geometry: visible rows and a time window in, shapes with pixel positions out. Pure, and tested as text;
 * paint.ts only fills what stands here. Only the rows on screen are laid out: cost does not grow with the trace.
 */
import { formatUs } from "../state/time";
import { type LogIndex, Row, type Rows, type Trace } from "./trace";

export const ROW_PX = 22;
const INDENT_PX = 12;
/** Deeper levels are not indented further, so that deep traces stay readable. */
const INDENT_LEVELS_MAX = 16;
export const MIN_BAR_PX = 2;

export interface Window { from: number; to: number }

export interface View {
  width: number;
  height: number;
  /** Pixels of the name column. */
  nameWidth: number;
  scrollTop: number;
  window: Window;
}

export interface RowShape {
  /** Place in the visible rows. */
  at: number;
  kind: Row;
  ref: number;
  y: number;
  indent: number;
  depth: number;
  /** Toggle mark: 1 open, -1 closed, 0 no children. */
  toggle: number;
  /** Rows hidden below a closed toggle. */
  hidden: number;
  /** Bar (or, for a log row, its moment) within the window, in pixels of the canvas; null when outside. */
  bar: { x: number; w: number; cutLeft: boolean; cutRight: boolean } | null;
  /** Moments of the span's log lines, in ticks mode. */
  ticks: number[];
  label: { text: string; x: number; align: "left" | "right" } | null;
}

export const indentOf = (depth: number): number => 8 + Math.min(depth, INDENT_LEVELS_MAX) * INDENT_PX;

export const toX = (us: number, view: View): number => view.nameWidth + ((us - view.window.from) / (view.window.to - view.window.from)) * (view.width - view.nameWidth);

export const toUs = (x: number, view: View): number => view.window.from + ((x - view.nameWidth) / (view.width - view.nameWidth)) * (view.window.to - view.window.from);

export interface Layout {
  trace: Trace;
  rows: Rows;
  collapsed: Set<number>;
  logs: LogIndex | null;
  /** Offsets of the log lines in µs, in step with `logs.lines`. */
  logUs: Float64Array;
  ticks: boolean;
  view: View;
  /** Width of a text in pixels, given by the canvas (or by a test). */
  measure(text: string): number;
}

export function layoutRows(input: Layout): RowShape[] {
  const { rows, view } = input;
  const first = Math.max(0, Math.floor(view.scrollTop / ROW_PX));
  const last = Math.min(rows.count, Math.ceil((view.scrollTop + view.height) / ROW_PX));
  const out: RowShape[] = [];
  for (let at = first; at < last; at++) out.push(rowShape(input, at));
  return out;
}

function rowShape(input: Layout, at: number): RowShape {
  const { trace, rows, collapsed, logs, view } = input;
  const kind = rows.kind[at]! as Row;
  const ref = rows.ref[at]!;
  const shape: RowShape = { at, kind, ref, y: at * ROW_PX - view.scrollTop, indent: 8, depth: 0, toggle: 0, hidden: 0, bar: null, ticks: [], label: null };
  if (kind === Row.Span) {
    const own = logs && !input.ticks ? logs.first[ref + 1]! - logs.first[ref]! : 0;
    const below = trace.end[ref]! - ref - 1 + own;
    shape.depth = trace.depth[ref]!;
    shape.indent = indentOf(shape.depth);
    shape.toggle = below > 0 ? (collapsed.has(ref) ? -1 : 1) : 0;
    shape.hidden = shape.toggle < 0 ? trace.end[ref]! - ref - 1 : 0;
    shape.bar = barOf(trace.start[ref]!, trace.duration[ref]!, view);
    shape.label = labelOf(formatUs(trace.duration[ref]!), shape.bar, view, input.measure);
    if (input.ticks && logs) for (let l = logs.first[ref]!; l < logs.first[ref + 1]!; l++) pushTick(shape.ticks, toX(input.logUs[logs.items[l]!]!, view), view);
  } else if (kind === Row.OrphanHead) {
    shape.toggle = collapsed.has(-1) ? -1 : 1;
    shape.hidden = shape.toggle < 0 && logs ? logs.orphans.length : 0;
  } else {
    const span = kind === Row.MoreLogs ? ref : logs!.spanOf[ref]!;
    shape.depth = span < 0 ? 1 : trace.depth[span]! + 1;
    shape.indent = indentOf(shape.depth) + 2;
    if (kind === Row.Log) {
      const x = toX(input.logUs[ref]!, view);
      if (x >= view.nameWidth && x <= view.width) shape.bar = { x, w: 0, cutLeft: false, cutRight: false };
    }
  }
  return shape;
}

function barOf(start: number, duration: number, view: View): RowShape["bar"] {
  const { from, to } = view.window;
  if (start > to || start + duration < from) return null;
  const left = Math.max(view.nameWidth, toX(start, view));
  const right = Math.min(view.width, toX(start + duration, view));
  const w = Math.max(MIN_BAR_PX, right - left);
  return { x: Math.min(left, view.width - MIN_BAR_PX), w, cutLeft: start < from, cutRight: start + duration > to };
}

/** Beside the bar where there is room: right, else left, else inside. */
function labelOf(text: string, bar: RowShape["bar"], view: View, measure: (t: string) => number): RowShape["label"] {
  if (!bar) return null;
  const wide = measure(text) + 8;
  if (bar.x + bar.w + wide <= view.width) return { text, x: bar.x + bar.w + 5, align: "left" };
  if (bar.x - wide >= view.nameWidth) return { text, x: bar.x - 5, align: "right" };
  return { text, x: bar.x + 5, align: "left" };
}

/** At most one tick per pixel: a span with 10,000 lines draws no more than its bar is wide. */
function pushTick(ticks: number[], x: number, view: View): void {
  const px = Math.round(x);
  if (px >= view.nameWidth && px <= view.width && ticks[ticks.length - 1] !== px) ticks.push(px);
}

/** Zooms around a moment that keeps its place; never below 1 ns per pixel, never outside the trace. */
export function zoomWindow(window: Window, at: number, factor: number, whole: number): Window {
  const span = Math.min(whole, Math.max(0.01, (window.to - window.from) * factor));
  const from = at - ((at - window.from) / (window.to - window.from)) * span;
  return clampWindow({ from, to: from + span }, whole);
}

export function clampWindow(window: Window, whole: number): Window {
  const span = Math.min(window.to - window.from, whole);
  const from = Math.min(Math.max(0, window.from), whole - span);
  return { from, to: from + span };
}

/** Browsers stop at some 16 million pixels of height; beyond this many the scrollbar moves in scaled steps. */
export const SCROLL_PX_MAX = 12_000_000;

export function scrollScale(rows: number, viewport: number): { height: number; factor: number } {
  const full = rows * ROW_PX;
  if (full <= SCROLL_PX_MAX) return { height: full, factor: 1 };
  return { height: SCROLL_PX_MAX, factor: (full - viewport) / (SCROLL_PX_MAX - viewport) };
}
