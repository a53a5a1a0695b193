/** One log line, closed (a row of 24 pixels) and open (everything it carries). Used by the log page and the request page. */
import { severityOfLine } from "../draw/color";
import type { LogLine, Resource, Scope } from "../api/shapes";
import { range, zone } from "../state/range";
import { withoutColours } from "../draw/text";
import { formatMs, formatNs, formatUs, nsToMs, usSince } from "../state/time";
import { link } from "../state/url";
import { Attributes, periodAround, valueText } from "./attributes";
import { CopyButton } from "./copy";
import { ServiceName } from "./service";

export const LOG_ROW_PX = 24;

export const bodyText = (line: LogLine): string => withoutColours(valueText(line.body ?? line.event_name ?? ""));

const JOIN_TEXT: Record<string, string> = {
  own: "by its own trace id",
  found: "by a trace id found in its text or attributes",
  placed: "placed by instance and time; not certain",
};

export function joinText(line: LogLine): string {
  if (!line.join) return "";
  const how = JOIN_TEXT[line.join] ?? line.join;
  return line.join === "placed" && typeof line.confidence === "number" ? `${how} (confidence ${line.confidence.toFixed(2)})` : how;
}

/** The words that matched, marked; everything stays text. */
export function Marked({ text, words }: { text: string; words: string[] }) {
  if (words.length === 0) return <>{text}</>;
  const pattern = new RegExp(`(${words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "gi");
  return <>{text.split(pattern).map((part, i) => (i % 2 === 1 ? <mark key={i}>{part}</mark> : part))}</>;
}

export function LogRow({ line, words = [], origin, selected, open, id, onClick }: {
  line: LogLine; words?: string[]; origin?: string; selected?: boolean; open?: boolean; id?: string; onClick?: () => void;
}) {
  const severity = severityOfLine(line);
  const text = bodyText(line);
  return (
    <div class={`log sev-row-${severity}`} role="option" id={id} aria-selected={!!selected} aria-expanded={open} onClick={onClick}>
      <span class="when">{origin ? `+${formatUs(usSince(origin, line.time_ns))}` : <><span class="date">{formatMs(nsToMs(line.time_ns), zone.value, "day")} </span>{formatMs(nsToMs(line.time_ns), zone.value, "clock")}</>}</span>
      <span class={`sev sev-${severity}`}>{severity === "unset" ? "–" : severity}</span>
      <ServiceName name={line.service} />
      <span class="body" title={text.length > 80 ? text.slice(0, 2000) : undefined}><Marked text={text.slice(0, 1000)} words={words} /></span>
      {origin && line.join && line.join !== "own" ? <span class={`tag ${line.join === "placed" ? "warn" : ""}`} title={joinText(line)}>{line.join}</span> : <span />}
    </div>
  );
}

export function LogDetails({ line, resource, scope, inTrace = false }: { line: LogLine; resource: Resource | undefined; scope: Scope | undefined; inTrace?: boolean }) {
  return (
    <div class="log-more">
      <div class="row wrap">
        {!inTrace && line.trace_id && <a class="btn small" href={link(`trace/${line.trace_id}`, { span: line.span_id })}>Open the request</a>}
        {line.pattern_id && <a class="btn small" href={link("logs", { pattern_id: line.pattern_id, ...(inTrace ? periodAround(line.time_ns) : range.value) })} title="All lines that say the same, whatever the values">Same pattern</a>}
        <span class="mono faint">{formatNs(line.time_ns, zone.value)}</span>
        {line.severity && <span class="tag">{line.severity}{line.severity_number ? ` · ${line.severity_number}` : ""}</span>}
        {line.trace_id ? <span class="faint">joined {joinText(line) || "by id"}</span> : <span class="faint">belongs to no known request</span>}
        <span class="grow" />
        <CopyButton text={() => JSON.stringify(line, null, 2)} title="Copy this line as JSON">JSON</CopyButton>
        <CopyButton text={() => bodyText(line)} title="Copy the text">Text</CopyButton>
      </div>
      <pre>{typeof line.body === "string" ? withoutColours(line.body) : JSON.stringify(line.body, null, 2)}</pre>
      {Object.keys(line.attributes).length > 0 && <section><h3>Attributes</h3><Attributes of={line.attributes} /></section>}
      {resource && <section><h3>Resource</h3><Attributes of={resource.attributes} /></section>}
      <Notes notes={[
        scope?.name && `Scope ${scope.name} ${scope.version}`,
        line.event_name && `Event ${line.event_name}`,
        line.join_source && `The id stood in ${line.join_source}`,
        line.original_time_ns && `Sent with the time ${line.original_time_ns}`,
        line.dropped_attributes_count > 0 && `${line.dropped_attributes_count} attributes dropped`,
        ...line.marks.map((m) => m.replaceAll("_", " ")),
      ]} />
    </div>
  );
}

/** Small facts in one line: what was dropped, replaced or is special. */
export function Notes({ notes }: { notes: (string | false | null | undefined)[] }) {
  const said = notes.filter(Boolean);
  return said.length > 0 ? <p class="faint notes">{said.join(" · ")}</p> : null;
}
