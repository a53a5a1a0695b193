/** Axes: where the marks stand and what they say. Pure; pixels and microseconds or milliseconds in, numbers out. */
import { formatMs, formatUs, type Zone } from "../state/time";

export interface Tick { x: number; label: string }

/** Marks for a duration axis from `from` to `to` µs over `width` pixels: 1, 2 or 5 times a power of ten apart. */
export function durationTicks(from: number, to: number, width: number, gap = 110): Tick[] {
  const span = to - from;
  if (!(span > 0) || width < 20) return [];
  const rough = (span * gap) / width;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough)!;
  const out: Tick[] = [];
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + step * 1e-6; k++) out.push({ x: ((k * step - from) / span) * width, label: formatUs(round(k * step)) });
  // Zoomed in far from the start, three digits no longer tell neighbours apart.
  const alike = new Set(out.map((t) => t.label)).size < out.length;
  return alike ? out.map((t) => ({ x: t.x, label: preciseUs(from + (t.x / width) * span, step, to) })) : out;
}

/** In the unit that suits the axis' end, with as many decimals as the step needs. */
function preciseUs(us: number, step: number, end: number): string {
  const [unit, name] = end < 1000 ? [1, "µs"] : end < 1e6 ? [1e3, "ms"] : [1e6, "s"];
  const decimals = Math.min(9, Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9)));
  return `${(us / unit).toFixed(decimals)} ${name}`;
}

const round = (n: number) => Math.round(n * 1000) / 1000;

const STEPS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 10800e3, 21600e3, 43200e3, 86400e3, 172800e3, 604800e3];
/** Beyond weeks: whole months, where the calendar has them. */
const STEPS_MONTHS = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200];
const MONTH_MS = 2_629_746_000;

/** Marks for a clock axis, in the zone shown: whole minutes, hours and days where they fall. */
export function clockTicks(from: number, to: number, width: number, zone: Zone, gap = 120): Tick[] {
  const span = to - from;
  if (!(span > 0) || width < 20) return [];
  const step = STEPS_MS.find((s) => s >= (span * gap) / width);
  if (step === undefined) return calendarTicks(from, to, width, zone, gap);
  const offset = zone === "utc" ? 0 : new Date(from).getTimezoneOffset() * -60_000;
  const out: Tick[] = [];
  for (let t = Math.ceil((from + offset) / step) * step - offset; t <= to; t += step) out.push({ x: ((t - from) / span) * width, label: clockLabel(t, step, zone) });
  return out;
}

function calendarTicks(from: number, to: number, width: number, zone: Zone, gap: number): Tick[] {
  const rough = ((to - from) * gap) / width / MONTH_MS;
  const step = STEPS_MONTHS.find((s) => s >= rough) ?? STEPS_MONTHS[STEPS_MONTHS.length - 1]!;
  const out: Tick[] = [];
  const first = monthsOf(from, zone);
  for (let month = Math.ceil(first / step) * step; ; month += step) {
    const t = zone === "utc" ? Date.UTC(Math.floor(month / 12), month % 12, 1) : new Date(Math.floor(month / 12), month % 12, 1).getTime();
    if (!(t <= to)) return out;
    if (t >= from) out.push({ x: ((t - from) / (to - from)) * width, label: formatMs(t, zone, "day").slice(0, step >= 12 ? 4 : 7) });
  }
}

/** Months since the year nought, in the zone shown. */
function monthsOf(ms: number, zone: Zone): number {
  const [year, month] = formatMs(ms, zone, "day").split("-").map(Number) as [number, number];
  return year * 12 + month - 1;
}

function clockLabel(t: number, step: number, zone: Zone): string {
  const full = formatMs(t, zone, "milli");
  if (step >= 86400e3) return full.slice(5, 10);
  if (full.slice(11, 23) === "00:00:00.000") return full.slice(5, 10);
  if (step >= 60e3) return full.slice(11, 16);
  if (step >= 1e3) return full.slice(11, 19);
  return full.slice(14, 23);
}

/** A round histogram step in seconds, so that about `bars` bars fill the window. Answers the API's spelling. */
export function histogramStep(windowMs: number, bars: number): { ms: number; text: string } {
  const steps = [...STEPS_MS, 30 * 86400e3, 365 * 86400e3];
  const ms = steps.find((s) => s >= 1000 && s >= windowMs / bars) ?? steps[steps.length - 1]!;
  return { ms, text: `${ms / 1000}s` };
}

/** Logarithmic position of a duration: 0 at `low`, 1 at `high`. */
export function logPosition(value: number, low: number, high: number): number {
  if (!(high > low)) return 0.5;
  return (Math.log(Math.max(value, 1e-3)) - Math.log(low)) / (Math.log(high) - Math.log(low));
}

export function logValue(position: number, low: number, high: number): number {
  return Math.exp(Math.log(low) + position * (Math.log(high) - Math.log(low)));
}

/** `1,234`; from 100,000 on `123 k`, `4.56 M`. */
export function formatCount(n: number): string {
  if (n < 100_000) return Math.round(n).toLocaleString("en-US");
  if (n < 999_500) return `${(n / 1e3).toFixed(0)} k`;
  if (n < 999.5e6) return `${(n / 1e6).toFixed(n < 9.995e6 ? 2 : n < 99.95e6 ? 1 : 0)} M`;
  return `${(n / 1e9).toFixed(2)} G`;
}

export function formatBytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1023.5 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return `${i === 0 ? n : n.toFixed(n < 9.995 ? 2 : n < 99.95 ? 1 : 0)} ${units[i]}`;
}
