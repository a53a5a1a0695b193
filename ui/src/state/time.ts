/**
 * Time at the edge of the browser: nanoseconds arrive as decimal strings and leave as text for people.
 * BigInt is used here and nowhere else; the rest of the UI calculates in milliseconds (absolute) and
 * microseconds (inside one trace). This module reads no clock: `now` is a parameter.
 */

export type Zone = "local" | "utc";

/** Milliseconds since the epoch, as a float, from a nanosecond string. Good to about a microsecond. */
export function nsToMs(ns: string): number {
  const value = BigInt(ns);
  return Number(value / 1000n) / 1000;
}

/** Microseconds from `origin` to `ns`, exact to the nanosecond for spans of time below 100 days. */
export function usSince(origin: string, ns: string): number {
  return Number(BigInt(ns) - BigInt(origin)) / 1000;
}

export function msToNs(ms: number): string {
  return (BigInt(Math.round(ms * 1000)) * 1000n).toString();
}

const pad = (n: number, width = 2) => String(n).padStart(width, "0");

interface Fields { y: number; mo: number; d: number; h: number; mi: number; s: number; ms: number }

function fields(ms: number, zone: Zone): Fields {
  const t = new Date(ms);
  return zone === "utc"
    ? { y: t.getUTCFullYear(), mo: t.getUTCMonth() + 1, d: t.getUTCDate(), h: t.getUTCHours(), mi: t.getUTCMinutes(), s: t.getUTCSeconds(), ms: t.getUTCMilliseconds() }
    : { y: t.getFullYear(), mo: t.getMonth() + 1, d: t.getDate(), h: t.getHours(), mi: t.getMinutes(), s: t.getSeconds(), ms: t.getMilliseconds() };
}

export type TimeStyle = "day" | "minute" | "second" | "milli" | "clock";

/** `2026-11-21 04:15:09.123`, cut at the unit asked for; `clock` leaves the date out. */
export function formatMs(ms: number, zone: Zone, style: TimeStyle = "milli"): string {
  if (!Number.isFinite(ms)) return "–";
  const f = fields(ms, zone);
  const day = `${f.y}-${pad(f.mo)}-${pad(f.d)}`;
  const minute = `${pad(f.h)}:${pad(f.mi)}`;
  switch (style) {
    case "day": return day;
    case "minute": return `${day} ${minute}`;
    case "second": return `${day} ${minute}:${pad(f.s)}`;
    case "clock": return `${minute}:${pad(f.s)}.${pad(f.ms, 3)}`;
    case "milli": return `${day} ${minute}:${pad(f.s)}.${pad(f.ms, 3)}`;
  }
}

/** All nine digits, for the places where the exact time is read or copied. */
export function formatNs(ns: string, zone: Zone): string {
  const value = BigInt(ns);
  const rest = ((value % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return `${formatMs(Number((value - rest) / 1_000_000n), zone, "second")}.${pad(Number(rest), 9)}`;
}

/** Three significant digits: `870 ns`, `1.24 ms`, `15.0 s`, `2 m 05 s`, `3 h 20 m`. */
export function formatUs(us: number): string {
  if (!Number.isFinite(us)) return "–";
  if (us < 0) return `-${formatUs(-us)}`;
  if (us === 0) return "0";
  if (us < 0.9995) return `${Math.round(us * 1000)} ns`;
  if (us < 999.5) return `${three(us)} µs`;
  if (us < 999_500) return `${three(us / 1000)} ms`;
  const s = us / 1e6;
  if (s < 59.95) return `${three(s)} s`;
  if (s < 3599.5) return `${Math.floor(Math.round(s) / 60)} m ${pad(Math.round(s) % 60)} s`;
  const m = Math.round(s / 60);
  if (m < 48 * 60) return `${Math.floor(m / 60)} h ${pad(m % 60)} m`;
  return `${Math.floor(m / 1440)} d ${Math.round((m % 1440) / 60)} h`;
}

export const formatDurationNs = (ns: string): string => formatUs(Number(BigInt(ns)) / 1000);

function three(n: number): string {
  return n < 9.995 ? n.toFixed(2) : n < 99.95 ? n.toFixed(1) : n.toFixed(0);
}

/** `just now`, `40 s ago`, `3 min ago`, `2 h ago`, `5 d ago`, `3 y ago`; the future says `in 3 min`. */
export function formatAgo(ms: number, now: number): string {
  const s = Math.abs(now - ms) / 1000;
  if (s < 3) return "just now";
  const text = s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : s < 129_600 ? `${Math.round(s / 3600)} h` : s < 63_072_000 ? `${Math.round(s / 86_400)} d` : `${Math.round(s / 31_556_952)} y`;
  return ms <= now ? `${text} ago` : `in ${text}`;
}

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Reads what the API's `from` and `to` accept (`now-1h`, RFC 3339, epoch in s/ms/µs/ns) and also
 * `2026-11-21 04:00[:05]` in the zone shown. Answers milliseconds, or null when it is none of these.
 */
export function parseTime(text: string, now: number, zone: Zone): number | null {
  const t = text.trim();
  const rel = /^now(?:([+-])(\d+)([smhd]))?$/.exec(t);
  if (rel) return rel[1] ? now + (rel[1] === "-" ? -1 : 1) * Number(rel[2]) * UNIT_MS[rel[3]!]! : now;
  if (/^\d{9,19}$/.test(t)) {
    const n = Number(t);
    return t.length <= 11 ? n * 1000 : t.length <= 14 ? n : t.length <= 17 ? n / 1000 : n / 1e6;
  }
  const local = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3})\d*)?)?)?$/.exec(t);
  if (local) {
    const [y, mo, d, h, mi, s] = [1, 2, 3, 4, 5, 6].map((i) => Number(local[i] ?? 0)) as [number, number, number, number, number, number];
    const ms = Number((local[7] ?? "0").padEnd(3, "0"));
    if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || s > 59) return null;
    return zone === "utc" ? Date.UTC(y, mo - 1, d, h, mi, s, ms) : new Date(y, mo - 1, d, h, mi, s, ms).getTime();
  }
  if (/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:?\d\d)$/i.test(t)) {
    const ms = Date.parse(t);
    return Number.isNaN(ms) ? null : ms;
  }
  return null;
}

/** Milliseconds from `250ms`, `1.5s`, `80us`, `2m`; null when it is none. A bare number is milliseconds. */
export function parseDurationMs(text: string): number | null {
  const m = /^\s*(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h)?\s*$/.exec(text);
  if (!m) return null;
  const unit = { ns: 1e-6, us: 1e-3, "µs": 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[m[2] ?? "ms"]!;
  return Number(m[1]) * unit;
}
