/** The log histogram's geometry: stacked bars by severity in, rectangles out. Pure. */
import type { HistogramBucket } from "../api/shapes";
import { nsToMs } from "../state/time";
import { SEVERITIES, type Severity, severityOf } from "./color";

export interface Bar { x: number; y: number; w: number; h: number; severity: Severity; bucket: number }

export interface BarFrame { width: number; height: number; fromMs: number; toMs: number; stepMs: number; max: number }

/** Counts of one bucket by our six steps (senders' own words are folded into them). */
export function bySeverity(bucket: HistogramBucket): Record<Severity, number> {
  const out = Object.fromEntries(SEVERITIES.map((s) => [s, 0])) as Record<Severity, number>;
  for (const [word, n] of Object.entries(bucket.counts)) out[severityOf(0, word)] += n;
  return out;
}

export const bucketTotal = (bucket: HistogramBucket): number => Object.values(bucket.counts).reduce((a, b) => a + b, 0);

/** Stacked with the gravest at the bottom, where it is not hidden by the many; a bar with anything in it shows at least one pixel. */
export function stackBars(buckets: HistogramBucket[], f: BarFrame): Bar[] {
  const out: Bar[] = [];
  const px = f.width / (f.toMs - f.fromMs);
  buckets.forEach((bucket, i) => {
    const left = (nsToMs(bucket.time_ns) - f.fromMs) * px;
    const x = Math.max(0, left);
    const w = Math.min(f.width, left + f.stepMs * px) - x - (f.stepMs * px > 4 ? 1 : 0);
    if (w <= 0) return;
    const counts = bySeverity(bucket);
    let y = f.height;
    for (const severity of [...SEVERITIES].reverse()) {
      if (counts[severity] === 0) continue;
      const h = Math.max(1, (counts[severity] / f.max) * f.height);
      y -= h;
      out.push({ x, y: Math.max(0, y), w, h, severity, bucket: i });
    }
  });
  return out;
}

/** A round number at or above the highest bar, for the axis. */
export function niceMax(n: number): number {
  if (n <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 2.5, 4, 5, 8, 10].map((k) => k * power).find((v) => v >= n && Number.isInteger(v)) ?? n;
}
