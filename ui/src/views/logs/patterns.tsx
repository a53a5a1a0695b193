/** What the lines of the present search say, grouped: how often, who, what they share; the way to the lines of one group. */
import { getPatterns, type LogFilter } from "../../api/client";
import type { LogPattern } from "../../api/shapes";
import { type Severity } from "../../draw/color";
import { formatCount } from "../../draw/scale";
import { ServiceName } from "../../kit/service";
import { Bones, TroubleNote } from "../../kit/states";
import { useLoad } from "../../state/load";
import { turn, zone } from "../../state/range";
import { formatMs, nsToMs } from "../../state/time";
import { setParams } from "../../state/url";
import { templateParts } from "./words";

const MOST = 200;

export function LogPatterns({ filter }: { filter: LogFilter }) {
  // All patterns stay in sight while the lines of one are shown.
  const asked = { ...filter, pattern_id: null };
  const { data, error, loading, reload } = useLoad(`${turn.value} ${JSON.stringify(asked)}`, (signal) => getPatterns(asked, MOST, signal));
  const chosen = filter.pattern_id ?? null;
  return (
    <section class={`patterns ${loading && data ? "busy" : ""}`} aria-label="Patterns">
      {error && <TroubleNote error={error} retry={reload} />}
      {!data ? !error && <Bones rows={5} />
        : data.patterns.length === 0 ? <p class="faint">No pattern here: no line fits, or the lines were stored without pattern keys.</p>
        : (
          <>
            <ul>{data.patterns.map((p) => <Row key={p.pattern_id} pattern={p} chosen={p.pattern_id === chosen} />)}</ul>
            <p class="faint">{formatCount(data.total_patterns)} {data.total_patterns === 1 ? "pattern" : "patterns"} in {formatCount(data.total_logs)} lines{data.total_patterns > data.patterns.length ? `; the ${data.patterns.length} most frequent are shown` : ""}</p>
          </>
        )}
    </section>
  );
}

function Row({ pattern: p, chosen }: { pattern: LogPattern; chosen: boolean }) {
  const when = (ns: string) => formatMs(nsToMs(ns), zone.value, "second");
  const severity = p.severity as Severity;
  return (
    <li>
      <button type="button" class="plain pattern" aria-pressed={chosen} title={`${p.code ? `${p.code}\n` : ""}For example: ${p.example}`}
        onClick={() => setParams({ pattern_id: chosen ? null : p.pattern_id, line: null })}>
        <span class="num">{formatCount(p.count)}</span>
        <span class={`sev sev-${severity}`}>{severity === "unset" ? "–" : severity}</span>
        <ServiceName name={p.service} />
        <span class="template"><Template text={p.template} /></span>
        <span class="faint seen" title={`In this range from ${when(p.first_seen_ns)} to ${when(p.last_seen_ns)}; known since ${when(p.known_since_ns)}`}>{when(p.first_seen_ns)} – {formatMs(nsToMs(p.last_seen_ns), zone.value, "clock")}</span>
      </button>
    </li>
  );
}

function Template({ text }: { text: string }) {
  if (text === "<*>") return <i>all that this service has too many kinds of</i>;
  return <>{templateParts(text).map((part, i) => (part === null ? <i key={i} class="hole" title="differs from line to line">∗</i> : part))}</>;
}
