/** Start against duration for the traces of a list: points, axes, what lies under the pointer, what a drag encloses. Pure. */
import { formatUs, type Zone } from "../state/time";
import { clockTicks, logPosition, logValue, type Tick } from "./scale";

export interface Dot { startMs: number; durationUs: number; error: boolean; service: string }

export interface Scatter {
  left: number;
  top: number;
  width: number;
  height: number;
  fromMs: number;
  toMs: number;
  lowUs: number;
  highUs: number;
}

/** Fits the axes: the time window as asked, durations by whole decades around the dots. */
export function scatterFrame(dots: Dot[], window: { fromMs: number; toMs: number }, width: number, height: number): Scatter {
  let low = Infinity;
  let high = 0;
  for (const d of dots) {
    // Durations of nothing (log lines alone) lie on the axis and do not stretch it.
    if (d.durationUs < 1e-3) continue;
    low = Math.min(low, d.durationUs);
    high = Math.max(high, d.durationUs);
  }
  if (!(high > 0)) [low, high] = [1e3, 1e6];
  const [a, b] = [Math.floor(Math.log10(low) + 1e-9), Math.ceil(Math.log10(high) - 1e-9)];
  return { left: 64, top: 8, width: Math.max(1, width - 64 - 12), height: Math.max(1, height - 8 - 20), ...window, lowUs: 10 ** a, highUs: 10 ** Math.max(b, a + 1) };
}

export const dotX = (f: Scatter, ms: number): number => f.left + ((ms - f.fromMs) / (f.toMs - f.fromMs)) * f.width;
export const dotY = (f: Scatter, us: number): number => f.top + (1 - logPosition(Math.max(us, f.lowUs), f.lowUs, f.highUs)) * f.height;
export const msAt = (f: Scatter, x: number): number => f.fromMs + ((x - f.left) / f.width) * (f.toMs - f.fromMs);
export const usAt = (f: Scatter, y: number): number => logValue(1 - (y - f.top) / f.height, f.lowUs, f.highUs);

export function scatterTicks(f: Scatter, zone: Zone): { x: Tick[]; y: Tick[] } {
  const decades = Math.round(Math.log10(f.highUs / f.lowUs));
  const skip = Math.max(1, Math.ceil((decades * 18) / f.height));
  const y: Tick[] = [];
  for (let k = 0; k <= decades; k += skip) y.push({ x: dotY(f, f.lowUs * 10 ** k), label: formatUs(f.lowUs * 10 ** k).replace(/\.0+ /, " ") });
  return { x: clockTicks(f.fromMs, f.toMs, f.width, zone).map((t) => ({ ...t, x: f.left + t.x })), y };
}

/** The dot nearest to a point, within `reach` pixels, or -1. */
export function dotAt(dots: Dot[], f: Scatter, x: number, y: number, reach = 10): number {
  let best = -1;
  let near = reach * reach;
  dots.forEach((d, i) => {
    const dist = (dotX(f, d.startMs) - x) ** 2 + (dotY(f, d.durationUs) - y) ** 2;
    if (dist < near) [best, near] = [i, dist];
  });
  return best;
}
