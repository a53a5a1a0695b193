/** The requests found, one line each. The whole line is a link, so that it opens in a new tab like any other. */
import type { TraceSummary } from "../../api/shapes";
import { formatCount, logPosition } from "../../draw/scale";
import { serviceColor } from "../../draw/color";
import { Dot } from "../../kit/service";
import { isDark } from "../../state/prefs";
import { zone } from "../../state/range";
import { formatAgo, formatDurationNs, formatMs, formatNs, nsToMs } from "../../state/time";
import { link } from "../../state/url";

const DOTS_MAX = 7;

/** This year goes without saying. */
const shortDay = (text: string, now: number): string => (text.startsWith(formatMs(now, zone.value, "day").slice(0, 5)) ? text.slice(5) : text);

export function TraceList({ traces, selected }: { traces: TraceSummary[]; selected: number }) {
  const longest = traces.reduce((max, t) => Math.max(max, Number(t.duration_ns)), 1);
  const shortest = traces.reduce((min, t) => Math.min(min, Number(t.duration_ns) || min), longest);
  // Logarithmic, because one slow request would make all others a dot.
  const share = (ns: number) => (ns <= 0 ? 0 : 4 + 96 * logPosition(ns, shortest / 2, longest));
  const now = Date.now();
  return (
    <div class="traces">
      <div class="trace-row head" aria-hidden="true">
        <span>Started</span><span>Request</span><span>Duration</span><span class="num">Spans</span><span class="num">Errors</span><span class="num">Logs</span><span>Services</span>
      </div>
      {traces.map((t, i) => (
        <a key={t.trace_id} id={`trace-${i}`} class={`trace-row${i === selected ? " at" : ""}`} href={link(`trace/${t.trace_id}`)}>
          <span class="faint" title={formatNs(t.start_ns, zone.value)}>
            <span class="soft">{shortDay(formatMs(nsToMs(t.start_ns), zone.value, "second"), now)}</span> <span class="ago">{formatAgo(nsToMs(t.start_ns), now)}</span>
          </span>
          <span class="row">
            <Dot service={t.root_service} />
            <b class="cut svc-name">{t.root_service || "no root yet"}</b>
            <span class="cut soft">{t.root_operation}</span>
            {!t.complete && <span class="tag warn" title="Spans of this request are missing: not yet arrived, not sent, or refused">incomplete</span>}
          </span>
          <span class="took" title="The bar is logarithmic">
            <i style={{ width: `${share(Number(t.duration_ns))}%`, background: serviceColor(t.root_service, isDark.value) }} />
            <span>{formatDurationNs(t.duration_ns)}</span>
          </span>
          <span class="num">{formatCount(t.spans)}</span>
          <span class={`num ${t.errors ? "bad" : "faint"}`}>{t.errors ? formatCount(t.errors) : "–"}</span>
          <span class={`num ${t.logs ? "" : "faint"}`}>{t.logs ? formatCount(t.logs) : "–"}</span>
          <span class="row dots" title={t.services.join(", ")}>
            {t.services.slice(0, DOTS_MAX).map((s) => <Dot key={s} service={s} />)}
            {t.services.length > DOTS_MAX && <span class="faint">+{t.services.length - DOTS_MAX}</span>}
          </span>
        </a>
      ))}
    </div>
  );
}
