/** The time range of a page, from the link: `from` and `to` as the API reads them. Relative ranges move; refresh asks again. */
import { computed, signal } from "@preact/signals";
import { prefs } from "./prefs";
import { formatMs, parseTime, type Zone } from "./time";
import { params } from "./url";

export const DEFAULT_FROM = "now-1h";

/** Counts up to ask again: a relative range then means a new window. */
export const turn = signal(0);

export const refresh = (): void => {
  turn.value++;
};

export const range = computed(() => ({ from: params.value.get("from") || DEFAULT_FROM, to: params.value.get("to") || "now" }));

/** The window in milliseconds as it was when last asked. */
export const windowMs = computed(() => {
  void turn.value;
  const now = Date.now();
  const fromMs = parseTime(range.value.from, now, "utc") ?? now - 3_600_000;
  const toMs = parseTime(range.value.to, now, "utc") ?? now;
  return { fromMs: Math.min(fromMs, toMs - 1), toMs };
});

export const PRESETS: { from: string; text: string }[] = [
  { from: "now-5m", text: "Last 5 minutes" },
  { from: "now-15m", text: "Last 15 minutes" },
  { from: "now-1h", text: "Last hour" },
  { from: "now-6h", text: "Last 6 hours" },
  { from: "now-24h", text: "Last 24 hours" },
  { from: "now-7d", text: "Last 7 days" },
  { from: "now-30d", text: "Last 30 days" },
  { from: "now-3650d", text: "Any time" },
];

export function rangeText(from: string, to: string, zone: Zone, now: number): string {
  const preset = to === "now" && PRESETS.find((p) => p.from === from);
  if (preset) return preset.text;
  const show = (t: string) => {
    if (t.startsWith("now")) return t;
    const ms = parseTime(t, now, zone);
    return ms === null ? t : formatMs(ms, zone, "second").replace(/:00$/, "");
  };
  const [a, b] = [show(from), show(to)];
  return a.slice(0, 10) === b.slice(0, 10) && a.length >= 16 ? `${a} – ${b.slice(11)}` : `${a} – ${b}`;
}

/** What a person typed, as the link keeps it: relative as it is, anything else as RFC 3339 in UTC. Null when it is no time. */
export function normalTime(text: string, now: number, zone: Zone): string | null {
  const t = text.trim();
  if (/^now([+-]\d+[smhd])?$/.test(t)) return t;
  const ms = parseTime(t, now, zone);
  return ms === null ? null : isoTime(ms);
}

export const isoTime = (ms: number): string => new Date(ms).toISOString();

export const zone = computed(() => prefs.value.zone);
