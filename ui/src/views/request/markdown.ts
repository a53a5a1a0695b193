/** A request as Markdown, for an issue, a chat or an assistant: facts, tree, errors, log lines. Pure; bounded in size. */
import { KINDS, type LogIndex, type Trace } from "../../draw/trace";
import { severityOfLine } from "../../draw/color";
import { bodyText } from "../../kit/log-line";
import { formatNs, formatUs, usSince } from "../../state/time";

const SPANS_MAX = 120;
const LOGS_MAX = 60;

export function toMarkdown(trace: Trace, logs: LogIndex | null, address: string): string {
  const root = trace.count > 0 ? `${trace.services[trace.service[0]!]} ${trace.names[trace.name[0]!]}` : "only log lines";
  const errors = trace.status.reduce((n, s) => n + (s === 2 ? 1 : 0), 0);
  const out = [
    `# Request ${code(trace.id)}`,
    "",
    `- root: ${plain(root)}`,
    `- start: ${formatNs(trace.startNs, "utc")} UTC, duration ${formatUs(trace.durationUs)}`,
    `- ${trace.totalSpans} spans, ${errors} with errors, ${trace.totalLogs} log lines, services: ${trace.services.map(plain).join(", ")}`,
    `- ${address}`,
  ];
  for (const p of trace.problems) out.push(`- problem ${code(p.code)} (${p.count}): ${plain(p.text)}`);
  out.push("", "## Spans", "", ...spans(trace));
  if (logs && logs.lines.length > 0) out.push("", "## Log lines", "", ...lines(trace, logs));
  return `${out.join("\n")}\n`;
}

/** All spans when they are few; else errors, the critical path and the longest, in tree order. */
function spans(trace: Trace): string[] {
  const chosen = new Set<number>();
  if (trace.count <= SPANS_MAX) for (let i = 0; i < trace.count; i++) chosen.add(i);
  else {
    const order = [...trace.status.keys()].sort((a, b) => weight(trace, b) - weight(trace, a) || a - b);
    for (const i of order.slice(0, SPANS_MAX)) chosen.add(i);
  }
  const out = [...chosen].sort((a, b) => a - b).map((i) => {
    const marks = [KINDS[trace.kind[i]!] ?? "", trace.status[i] === 2 ? "**error**" : "", trace.critical[i] ? "critical path" : ""].filter(Boolean);
    const indent = "  ".repeat(Math.min(20, trace.depth[i]!));
    return `${indent}- ${plain(trace.services[trace.service[i]!] ?? "")} · ${plain(trace.names[trace.name[i]!] ?? "")} · ${formatUs(trace.duration[i]!)} at +${formatUs(trace.start[i]!)}${marks.length ? ` (${marks.join(", ")})` : ""}`;
  });
  if (chosen.size < trace.totalSpans) out.push(`- … ${trace.totalSpans - chosen.size} spans more`);
  return out;
}

const weight = (trace: Trace, i: number): number => (trace.status[i] === 2 ? 4e15 : 0) + (trace.critical[i] ? 2e15 : 0) + (i === 0 ? 8e15 : 0) + trace.duration[i]!;

/** Warnings and errors first when not all fit; written in time order. */
function lines(trace: Trace, { lines: all }: LogIndex): string[] {
  const grave = (i: number) => ["warn", "error", "fatal"].includes(severityOfLine(all[i]!));
  const chosen = [...all.keys()].sort((a, b) => Number(grave(b)) - Number(grave(a)) || a - b).slice(0, LOGS_MAX).sort((a, b) => a - b);
  const out = chosen.map((i) => {
    const line = all[i]!;
    const join = line.join && line.join !== "own" ? ` [${line.join}]` : "";
    return `- +${formatUs(usSince(trace.startNs, line.time_ns))} ${line.severity || "–"} ${plain(line.service)}${join}: ${code(bodyText(line).replace(/\s+/g, " ").slice(0, 400))}`;
  });
  if (chosen.length < trace.totalLogs) out.push(`- … ${trace.totalLogs - chosen.length} lines more`);
  return out;
}

const plain = (text: string): string => text.replace(/\s+/g, " ").replace(/([\\`*_[\]<>#|])/g, "\\$1");

/** Code that may itself contain backticks. */
function code(text: string): string {
  const longest = Math.max(0, ...(text.match(/`+/g) ?? []).map((m) => m.length));
  const fence = "`".repeat(longest + 1);
  return longest ? `${fence} ${text} ${fence}` : `\`${text}\``;
}
