/** How many lines when, stacked by severity. Drag over it to narrow the time. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { getHistogram, type LogFilter } from "../../api/client";
import type { HistogramBucket } from "../../api/shapes";
import { type BarFrame, bucketTotal, bySeverity, niceMax, stackBars } from "../../draw/bars";
import { SEVERITIES } from "../../draw/color";
import { clockTicks, formatCount, histogramStep } from "../../draw/scale";
import { TroubleNote } from "../../kit/states";
import { palette } from "../../kit/theme";
import { context, drag, useSize } from "../../kit/use";
import { useLoad } from "../../state/load";
import { isoTime, turn, windowMs, zone } from "../../state/range";
import { formatMs, nsToMs } from "../../state/time";

const BARS = 90;
const LEFT = 52;
const FOOT = 18;
const HEAD = 20;
const WIDE_MS = 60 * 86_400_000;

interface Shown { buckets: HistogramBucket[]; fromMs: number; toMs: number; stepMs: number }

/** A window of years ("any time") is asked again and finer, for the part where the lines are, until they fill it. */
async function load(filter: LogFilter, window: { fromMs: number; toMs: number }, signal: AbortSignal, again = window.toMs - window.fromMs > WIDE_MS ? 4 : 0): Promise<Shown> {
  const step = histogramStep(window.toMs - window.fromMs, BARS);
  const answer = await getHistogram(filter, step.text, signal);
  const stepMs = Number(answer.step_ns) / 1e6 || step.ms;
  const filled = answer.buckets.filter((b) => bucketTotal(b) > 0);
  const first = filled[0];
  const last = filled[filled.length - 1];
  if (again > 0 && first && last) {
    const fit = { fromMs: Math.max(window.fromMs, nsToMs(first.time_ns)), toMs: Math.min(window.toMs, nsToMs(last.time_ns) + stepMs) };
    if (fit.toMs - fit.fromMs < (window.toMs - window.fromMs) / 4) return load({ ...filter, from: isoTime(fit.fromMs), to: isoTime(fit.toMs) }, fit, signal, again - 1);
  }
  return { buckets: filled, ...window, stepMs };
}

export function LogHistogram({ filter, quiet, onSelect }: {
  filter: LogFilter;
  /** The list below already tells of the same trouble. */
  quiet: boolean;
  onSelect(fromMs: number, toMs: number): void;
}) {
  const answer = useLoad<Shown>(`${turn.value} ${JSON.stringify(filter)}`, (signal) => load(filter, windowMs.peek(), signal));
  if (answer.error && !answer.data) return quiet ? null : <TroubleNote error={answer.error} retry={answer.reload} />;
  return <Chart data={answer.data} onSelect={onSelect} />;
}

function Chart({ data, onSelect }: { data: Shown | null; onSelect(fromMs: number, toMs: number): void }) {
  const wrap = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSize(wrap);
  const [brush, setBrush] = useState<[number, number] | null>(null);
  const [hover, setHover] = useState<number | null>(null);
  const frame = useMemo<BarFrame>(() => ({
    width: Math.max(1, size.width - LEFT), height: Math.max(1, size.height - FOOT - HEAD),
    fromMs: data?.fromMs ?? 0, toMs: data?.toMs ?? 1, stepMs: data?.stepMs ?? 1, max: niceMax(Math.max(1, ...(data?.buckets ?? []).map(bucketTotal))),
  }), [data, size]);
  const colors = palette.value;
  const z = zone.value;
  const total = useMemo(() => (data?.buckets ?? []).reduce((n, b) => n + bucketTotal(b), 0), [data]);

  useEffect(() => {
    const ctx = canvas.current && context(canvas.current, size);
    if (!ctx || size.width === 0) return;
    ctx.translate(LEFT, HEAD);
    ctx.font = `11px ${colors.font}`;
    ctx.fillStyle = colors["text-faint"];
    ctx.fillRect(0, frame.height, frame.width, 1);
    if (!data) return;
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    if (total > 0) ctx.fillText(formatCount(frame.max), -8, 5);
    ctx.fillText("0", -8, frame.height);
    ctx.textAlign = "center";
    for (const t of clockTicks(frame.fromMs, frame.toMs, frame.width, z)) if (t.x > 14 && t.x < frame.width - 20) ctx.fillText(t.label, t.x, frame.height + 11);
    for (const b of stackBars(data.buckets, frame)) {
      ctx.fillStyle = colors[`sev-${b.severity}`];
      ctx.fillRect(b.x, b.y, b.w, b.h);
    }
    if (brush) {
      ctx.fillStyle = colors.accent;
      ctx.globalAlpha = 0.18;
      ctx.fillRect(Math.min(...brush), 0, Math.abs(brush[1] - brush[0]), frame.height);
      ctx.globalAlpha = 1;
    } else if (hover !== null) {
      ctx.fillStyle = colors["text-faint"];
      ctx.fillRect(Math.round(hover), 0, 1, frame.height);
    }
  }, [data, frame, brush, hover, colors, z, total]);

  const msAt = (x: number) => frame.fromMs + (Math.max(0, Math.min(frame.width, x)) / frame.width) * (frame.toMs - frame.fromMs);
  const down = (event: PointerEvent) => {
    if (event.button !== 0 || !wrap.current || !data) return;
    const x0 = event.clientX - wrap.current.getBoundingClientRect().left - LEFT;
    drag(event, wrap.current, (x, _, moved) => moved && setBrush([Math.max(0, x0), Math.max(0, Math.min(frame.width, x - LEFT))]), (x, _, moved) => {
      setBrush(null);
      const [a, b] = [msAt(x0), msAt(x - LEFT)].sort((p, q) => p - q) as [number, number];
      if (moved && b - a >= 1) onSelect(Math.floor(a), Math.ceil(b));
    });
  };
  const move = (event: PointerEvent) => {
    const x = event.clientX - wrap.current!.getBoundingClientRect().left - LEFT;
    setHover(x >= 0 && x <= frame.width ? x : null);
  };
  const under = hover === null || !data ? undefined : data.buckets.find((b) => nsToMs(b.time_ns) <= msAt(hover) && msAt(hover) < nsToMs(b.time_ns) + frame.stepMs);
  return (
    <div class="histogram" ref={wrap} onPointerDown={down} onPointerMove={move} onPointerLeave={() => setHover(null)}>
      <canvas ref={canvas} role="img" aria-label={`${total} log lines over time, by severity`} />
      <div class="legend">
        {under ? <><span class="soft">{formatMs(nsToMs(under.time_ns), z, "second")}</span><Counts bucket={under} /></>
          : data && <span class="faint">{total.toLocaleString("en-US")} {total === 1 ? "line" : "lines"}</span>}
      </div>
    </div>
  );
}

function Counts({ bucket }: { bucket: HistogramBucket }) {
  const counts = bySeverity(bucket);
  return <>{SEVERITIES.filter((s) => counts[s] > 0).map((s) => <span key={s} class="row"><i class="dot" style={{ "--c": `var(--sev-${s})` }} />{s} {formatCount(counts[s])}</span>)}</>;
}
