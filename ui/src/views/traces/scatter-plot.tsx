/** Every request of the list as a dot: start against duration. Click opens, drag narrows the search to a box. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { TraceSummary } from "../../api/shapes";
import { serviceColor } from "../../draw/color";
import { type Dot, dotAt, dotX, dotY, msAt, scatterFrame, scatterTicks, usAt } from "../../draw/scatter";
import { palette } from "../../kit/theme";
import { context, drag, useSize } from "../../kit/use";
import { zone } from "../../state/range";
import { formatMs, formatUs, nsToMs } from "../../state/time";

type Box = { x0: number; y0: number; x1: number; y1: number };

export function ScatterPlot({ traces, window, selected, onHover, onOpen, onSelect }: {
  traces: TraceSummary[]; window: { fromMs: number; toMs: number }; selected: number;
  onHover(index: number): void; onOpen(index: number): void; onSelect(box: { fromMs: number; toMs: number; min: string; max: string }): void;
}) {
  const wrap = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSize(wrap);
  const [box, setBox] = useState<Box | null>(null);
  const [tip, setTip] = useState<number>(-1);
  const dots = useMemo<Dot[]>(() => traces.map((t) => ({ startMs: nsToMs(t.start_ns), durationUs: Number(t.duration_ns) / 1000, error: t.errors > 0, service: t.root_service })), [traces]);
  const frame = useMemo(() => scatterFrame(dots, fit(dots, window), size.width, size.height), [dots, window, size]);
  const colors = palette.value;
  const z = zone.value;

  useEffect(() => {
    const ctx = canvas.current && context(canvas.current, size);
    if (!ctx || size.width === 0) return;
    const ticks = scatterTicks(frame, z);
    ctx.font = `11px ${colors.font}`;
    ctx.fillStyle = colors["text-faint"];
    ctx.strokeStyle = colors.line;
    ctx.textBaseline = "middle";
    ctx.textAlign = "right";
    for (const t of ticks.y) {
      line(ctx, frame.left, Math.round(t.x) + 0.5, frame.left + frame.width, Math.round(t.x) + 0.5);
      ctx.fillText(t.label, frame.left - 8, t.x);
    }
    ctx.textAlign = "center";
    for (const t of ticks.x) if (t.x < frame.left + frame.width - 10) ctx.fillText(t.label, Math.max(t.x, frame.left + 14), frame.top + frame.height + 12);
    dots.forEach((d, i) => {
      const [x, y] = [dotX(frame, d.startMs), dotY(frame, d.durationUs)];
      ctx.globalAlpha = i === selected || i === tip ? 1 : 0.72;
      ctx.fillStyle = d.error ? colors.error : serviceColor(d.service, colors.dark);
      ctx.beginPath();
      ctx.arc(x, y, i === selected || i === tip ? 6 : 3.6, 0, 7);
      ctx.fill();
      if (i === selected || i === tip) {
        ctx.strokeStyle = colors.text;
        ctx.stroke();
      }
    });
    ctx.globalAlpha = 1;
    if (box) {
      ctx.fillStyle = colors.accent;
      ctx.globalAlpha = 0.14;
      ctx.fillRect(box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0);
      ctx.globalAlpha = 1;
      ctx.strokeStyle = colors.accent;
      ctx.strokeRect(box.x0 + 0.5, box.y0 + 0.5, box.x1 - box.x0, box.y1 - box.y0);
    }
  }, [frame, dots, selected, tip, box, colors, z]);

  const down = (event: PointerEvent) => {
    if (event.button !== 0 || !wrap.current) return;
    const el = wrap.current;
    const start = el.getBoundingClientRect();
    const [x0, y0] = [event.clientX - start.left, event.clientY - start.top];
    const between = (x: number, y: number): Box => ({ x0: Math.max(frame.left, Math.min(x0, x)), x1: Math.min(frame.left + frame.width, Math.max(x0, x)), y0: Math.max(frame.top, Math.min(y0, y)), y1: Math.min(frame.top + frame.height, Math.max(y0, y)) });
    drag(event, el, (x, y, moved) => moved && setBox(between(x, y)), (x, y, moved) => {
      setBox(null);
      const hit = dotAt(dots, frame, x, y);
      if (!moved) return void (hit >= 0 && onOpen(hit));
      const b = between(x, y);
      if (b.x1 - b.x0 < 4 || b.y1 - b.y0 < 4) return;
      onSelect({ fromMs: Math.floor(msAt(frame, b.x0)), toMs: Math.ceil(msAt(frame, b.x1)), min: `${Math.floor(usAt(frame, b.y1))}us`, max: `${Math.ceil(usAt(frame, b.y0))}us` });
    });
  };
  const hover = (event: PointerEvent) => {
    if (event.buttons) return;
    const at = wrap.current!.getBoundingClientRect();
    const hit = dotAt(dots, frame, event.clientX - at.left, event.clientY - at.top);
    if (hit !== tip) {
      setTip(hit);
      if (hit >= 0) onHover(hit);
    }
  };
  const t = traces[tip];
  return (
    <div class="scatter" ref={wrap} onPointerDown={down} onPointerMove={hover} onPointerLeave={() => setTip(-1)} data-hit={tip >= 0}>
      <canvas ref={canvas} role="img" aria-label={`Durations of ${traces.length} requests over time`} />
      {t && dots[tip] && (
        <div class="tip" style={{ left: `${Math.min(dotX(frame, dots[tip].startMs) + 12, size.width - 250)}px`, top: `${Math.min(dotY(frame, dots[tip].durationUs) + 10, size.height - 50)}px` }}>
          <b class="cut">{t.root_service} <span class="soft">{t.root_operation}</span></b>
          <span>{formatUs(dots[tip].durationUs)} · {t.spans} spans{t.errors ? <span class="bad"> · {t.errors} errors</span> : ""} · {formatMs(dots[tip].startMs, z, "clock")}</span>
        </div>
      )}
    </div>
  );
}

/** A window much wider than its dots ("any time") is drawn as wide as they need. */
function fit(dots: Dot[], window: { fromMs: number; toMs: number }): { fromMs: number; toMs: number } {
  if (dots.length === 0) return window;
  let [first, last] = [Infinity, -Infinity];
  for (const d of dots) [first, last] = [Math.min(first, d.startMs), Math.max(last, d.startMs)];
  const spread = Math.max(last - first, 1000);
  return spread > (window.toMs - window.fromMs) / 8 ? { fromMs: Math.min(first, window.fromMs), toMs: Math.max(last, window.toMs) } : { fromMs: first - spread * 0.06, toMs: last + spread * 0.06 };
}

function line(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
