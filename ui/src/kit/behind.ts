/** From what the server names (a window, an edge, a log line) to the traces and logs behind it. Pure. */
import { isoTime, rangeText } from "../state/range";
import { formatUs, nsToMs, type Zone } from "../state/time";

export interface Period { from: string; to: string }

interface Window { from_ns: string; to_ns: string }

/** The window for links: whole milliseconds, nothing of it left out. */
export const periodOf = (w: Window): Period => ({ from: isoTime(Math.floor(nsToMs(w.from_ns))), to: isoTime(Math.ceil(nsToMs(w.to_ns))) });

/** `2026-11-21 04:00 – 04:05 (5 m 00 s)`. */
export function windowText(w: Window, zone: Zone): string {
  const { from, to } = periodOf(w);
  return `${rangeText(from, to, zone, 0)} (${formatUs((nsToMs(w.to_ns) - nsToMs(w.from_ns)) * 1000)})`;
}

/** Ids of the ends of edges, by the name that the server gives an edge. */
export type Edges = Map<string, { source: string; target: string }>;

/**
 * What to search the logs for, from how the server calls a line: by its longest words without a gap, by `Class#line`
 * (which stands in the line), or by `file:line` (which is kept as attributes).
 */
export function phrase(subject: string): string | null {
  const quoted = /^"(.*)"$/s.exec(subject)?.[1];
  if (quoted === undefined) return /^\S+#\d+$/.test(subject) ? `"${subject}"` : /^\S+:\d+$/.test(subject) ? `code.line.number:${subject.slice(subject.lastIndexOf(":") + 1)}` : null;
  const pieces = quoted.split(/\S*[*"]\S*/).map((piece) => piece.trim()).sort((a, b) => b.length - a.length);
  return pieces[0] ? `"${pieces[0]}"` : null;
}
