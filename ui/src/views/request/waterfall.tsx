/**
 * The waterfall on screen: a scroll box with one canvas of its own size, repainted at most once per frame.
 * It holds only what the hand is doing (hover, drag, scroll); everything else is given by the page.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { durationTicks } from "../../draw/scale";
import type { LogIndex, Rows, Trace } from "../../draw/trace";
import { Row } from "../../draw/trace";
import { indentOf, type Layout, ROW_PX, scrollScale, toUs, type View, type Window, zoomWindow } from "../../draw/waterfall";
import { bodyText } from "../../kit/log-line";
import { palette } from "../../kit/theme";
import { context, drag, useSize } from "../../kit/use";
import { prefs, setPref } from "../../state/prefs";
import { formatUs } from "../../state/time";
import { Minimap } from "./minimap";
import { paintRows } from "./paint";

export interface WaterfallProps {
  trace: Trace;
  rows: Rows;
  collapsed: Set<number>;
  logs: LogIndex | null;
  logUs: Float64Array;
  ticksMode: boolean;
  criticalOnly: boolean;
  /** Place in the visible rows, or -1. */
  selected: number;
  matchSpans: Set<number>;
  matchLogs: Set<number>;
  whole: number;
  window: Window;
  onWindow(w: Window): void;
  onSelect(at: number): void;
  onToggle(at: number): void;
}

export function Waterfall(props: WaterfallProps) {
  const { trace, rows, window, whole } = props;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSize(box);
  const [hovered, setHovered] = useState(-1);
  const [brush, setBrush] = useState<[number, number] | null>(null);
  const [top, setTop] = useState(0);
  const colors = palette.value;
  const nameWidth = Math.round(size.width * prefs.value.nameShare);
  const { height, factor } = scrollScale(rows.count, size.height);
  const scrollTop = factor === 1 ? top : top * factor;
  const view: View = { width: size.width, height: size.height, nameWidth, scrollTop, window };
  const ticks = useMemo(() => durationTicks(window.from, window.to, size.width - nameWidth), [window.from, window.to, size.width, nameWidth]);

  useEffect(() => {
    const frame = requestAnimationFrame(() => {
      const ctx = canvas.current && context(canvas.current, size);
      if (!ctx || size.width === 0) return;
      const measure = (text: string) => {
        ctx.font = `11px ${colors.font}`;
        return ctx.measureText(text).width;
      };
      const layout: Layout = { trace, rows, collapsed: props.collapsed, logs: props.logs, logUs: props.logUs, ticks: props.ticksMode, view, measure };
      paintRows(ctx, { layout, colors, ticks, brush, hovered, ...props });
    });
    return () => cancelAnimationFrame(frame);
  });

  useEffect(() => {
    const el = box.current;
    if (!el || props.selected < 0) return;
    const y = props.selected * ROW_PX;
    const real = el.scrollTop * factor;
    if (y < real) el.scrollTop = y / factor;
    else if (y + ROW_PX > real + el.clientHeight) el.scrollTop = (y + ROW_PX - el.clientHeight) / factor;
  }, [props.selected, rows]);

  const place = (event: MouseEvent) => {
    const r = canvas.current!.getBoundingClientRect();
    const [x, y] = [event.clientX - r.left, event.clientY - r.top];
    const at = Math.floor((y + scrollTop) / ROW_PX);
    return { x, at: at >= 0 && at < rows.count ? at : -1 };
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0 || !canvas.current) return;
    const { x: x0, at } = place(event);
    const inTime = x0 >= nameWidth;
    const inside = (x: number) => Math.max(nameWidth, Math.min(size.width, x));
    drag(event, canvas.current, (x, _, moved) => inTime && moved && setBrush([x0, inside(x)]), (x, _, moved) => {
      setBrush(null);
      if (inTime && moved) {
        const [a, b] = [toUs(x0, view), toUs(inside(x), view)].sort((p, q) => p - q) as [number, number];
        if (b - a >= 0.01) props.onWindow({ from: Math.max(0, a), to: Math.min(whole, b) });
      } else if (!moved && at >= 0) {
        if (onToggleMark(props, at, x0) || rows.kind[at] === Row.MoreLogs || rows.kind[at] === Row.OrphanHead) props.onToggle(at);
        else props.onSelect(at);
      }
    });
  };
  const wheel = (event: WheelEvent) => {
    const { x } = place(event);
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      props.onWindow(zoomWindow(window, toUs(Math.max(nameWidth, x), view), Math.exp(event.deltaY * 0.004), whole));
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && window.to - window.from < whole) {
      event.preventDefault();
      const shift = (event.deltaX / (size.width - nameWidth)) * (window.to - window.from);
      const from = Math.max(0, Math.min(whole - (window.to - window.from), window.from + shift));
      props.onWindow({ from, to: from + window.to - window.from });
    }
  };
  const wheelNow = useRef(wheel);
  wheelNow.current = wheel;
  useEffect(() => {
    const el = box.current!;
    const run = (event: WheelEvent) => wheelNow.current(event);
    el.addEventListener("wheel", run, { passive: false });
    return () => el.removeEventListener("wheel", run);
  }, []);

  return (
    <div class="waterfall">
      <div class="wf-head">
        <div class="wf-names faint" style={{ width: `${nameWidth}px` }}>Service, operation{props.ticksMode ? "" : ", log lines"}</div>
        <div class="wf-time grow">
          <Minimap trace={trace} whole={whole} window={window} onWindow={props.onWindow} />
          <div class="wf-axis">{ticks.map((t, i) => (t.x < size.width - nameWidth - 40 ? <span key={i} style={{ left: `${t.x}px` }}>{t.label}</span> : null))}</div>
        </div>
      </div>
      <div class="wf-scroll" ref={box} tabIndex={0} role="application" aria-label={`Waterfall of ${trace.count.toLocaleString("en-US")} spans; j and k move, Enter opens, question mark lists the keys`}
        onScroll={(e) => setTop(e.currentTarget.scrollTop)}>
        <canvas ref={canvas} onPointerDown={down} onPointerMove={(e) => !e.buttons && setHovered(place(e).at)} onPointerLeave={() => setHovered(-1)}
          onDblClick={(e) => { const { at, x } = place(e); if (x >= nameWidth) props.onWindow({ from: 0, to: whole }); else if (at >= 0) props.onToggle(at); }}
          title={hovered >= 0 ? rowTitle(props, hovered) : undefined} />
        <div style={{ height: `${Math.max(0, height - size.height)}px` }} />
      </div>
      <div class="wf-divider" style={{ left: `${nameWidth - 3}px` }} onPointerDown={(e) => drag(e, box.current!, (x) => setPref({ nameShare: Math.min(0.7, Math.max(0.12, x / size.width)) }), () => undefined)} />
      <p class="sr" aria-live="polite">{props.selected >= 0 ? rowTitle(props, props.selected) : ""}</p>
    </div>
  );
}

function onToggleMark({ rows, trace }: WaterfallProps, at: number, x: number): boolean {
  if (rows.kind[at] === Row.OrphanHead) return true;
  if (rows.kind[at] !== Row.Span) return false;
  const left = indentOf(trace.depth[rows.ref[at]!]!);
  return x >= left - 5 && x <= left + 12;
}

function rowTitle({ rows, trace, logs, logUs }: WaterfallProps, at: number): string {
  const ref = rows.ref[at]!;
  if (at >= rows.count) return "";
  if (rows.kind[at] === Row.Span) {
    const error = trace.status[ref] === 2 ? ", error" : "";
    return `${trace.services[trace.service[ref]!] ?? ""} ${trace.names[trace.name[ref]!] ?? ""}\n${formatUs(trace.duration[ref]!)}, begins at ${formatUs(trace.start[ref]!)}${error}${trace.logCount[ref] ? `, ${trace.logCount[ref]} log lines` : ""}`;
  }
  if (rows.kind[at] === Row.Log && logs) return `${formatUs(logUs[ref]!)} ${logs.lines[ref]!.severity}\n${bodyText(logs.lines[ref]!).slice(0, 1500)}`;
  return "";
}
