/** Everything one span carries, asked for when the span is chosen. What the waterfall knows already is shown at once. */
import { useEffect, useState } from "preact/hooks";
import { getSpan } from "../../api/client";
import type { Span, SpanEvent, TraceAnswer } from "../../api/shapes";
import { KINDS, type Trace } from "../../draw/trace";
import { Attributes } from "../../kit/attributes";
import { CopyButton } from "../../kit/copy";
import { LogDetails, LogRow, Notes } from "../../kit/log-line";
import { ServiceName } from "../../kit/service";
import { Bones, TroubleNote } from "../../kit/states";
import { useLoad } from "../../state/load";
import { zone } from "../../state/range";
import { formatNs, formatUs, usSince } from "../../state/time";
import { link } from "../../state/url";

/** Holding `j` runs over many spans; only the one it rests on is asked for. */
const REST_MS = 120;
const LOGS_SHOWN = 100;

export function SpanDetails({ trace, row }: { trace: Trace; row: number }) {
  const spanId = trace.spanId[row]!;
  const [asked, setAsked] = useState(spanId);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(spanId), REST_MS);
    return () => clearTimeout(timer);
  }, [spanId]);
  const answer = useLoad(`${trace.id} ${asked}`, (signal) => getSpan(trace.id, asked, signal));
  const here = answer.data?.spans.some((s) => s.span_id === spanId) ? answer.data : null;
  const error = trace.status[row] === 2;
  const span = here && pick(here.spans, trace, row);
  return (
    <div class="details">
      <header>
        <ServiceName name={trace.services[trace.service[row]!] ?? ""} />
        <h2 class={error ? "bad" : ""}>{trace.names[trace.name[row]!] || "unnamed"}</h2>
        <div class="row wrap faint">
          <b class="soft">{formatUs(trace.duration[row]!)}</b>
          <span>at +{formatUs(trace.start[row]!)}</span>
          {trace.kind[row]! > 0 && <span class="tag">{KINDS[trace.kind[row]!]}</span>}
          <span class={`tag ${error ? "bad" : ""}`}>{["status unset", "ok", "error"][trace.status[row]!]}</span>
          {!!trace.critical[row] && <span class="tag">critical path</span>}
          <CopyButton text={spanId} title="Copy the span id" class="small plain"><code>{spanId}</code></CopyButton>
        </div>
      </header>
      {answer.error && !here && <TroubleNote error={answer.error} retry={answer.reload} />}
      {!span || !here ? (!answer.error || answer.loading ? <Bones rows={6} /> : null) : <Body trace={trace} span={span} answer={here} />}
    </div>
  );
}

/** Two halves of a shared span have one id: service and start tell them apart. */
function pick(spans: Span[], trace: Trace, row: number): Span | null {
  const service = trace.services[trace.service[row]!];
  const same = spans.filter((s) => s.span_id === trace.spanId[row] && s.service === service);
  const start = (s: Span) => Math.abs(usSince(trace.startNs, s.start_ns) - trace.start[row]!);
  return same.sort((a, b) => start(a) - start(b))[0] ?? spans[0] ?? null;
}

function Body({ trace, span, answer }: { trace: Trace; span: Span; answer: TraceAnswer }) {
  const resource = answer.resources[span.resource_index];
  const scope = answer.scopes[span.scope_index];
  const lines = answer.logs.filter((l) => l.span_id === span.span_id);
  return (
    <>
      {span.status_message && <p class="message bad">{span.status_message}</p>}
      <section><h3>Attributes</h3><Attributes of={span.attributes} near={span.start_ns} empty="This span carries none." /></section>
      {span.events.length > 0 && (
        <section>
          <h3>Events <span class="faint">{span.events.length}</span></h3>
          {span.events.map((e, i) => <Event key={i} event={e} origin={trace.startNs} />)}
        </section>
      )}
      {lines.length > 0 && (
        <section>
          <h3>Log lines <span class="faint">{lines.length}</span></h3>
          <Lines answer={answer} lines={lines.slice(0, LOGS_SHOWN)} origin={trace.startNs} />
          {span.log_count > Math.min(lines.length, LOGS_SHOWN) && <a href={link("logs", { trace_id: trace.id, span_id: span.span_id, from: "now-3650d" })}>All {span.log_count.toLocaleString("en-US")} lines</a>}
        </section>
      )}
      {span.links.length > 0 && (
        <section>
          <h3>Links <span class="faint">{span.links.length}</span></h3>
          {span.links.map((l, i) => (
            <div key={i} class="linked">
              {l.trace_id ? <a class="mono" href={link(`trace/${l.trace_id}`, { span: l.span_id })}>{l.trace_id.slice(0, 16)}… span {l.span_id || "unknown"}</a> : <span class="faint">its ids were malformed</span>}
              {Object.keys(l.attributes).length > 0 && <Attributes of={l.attributes} />}
            </div>
          ))}
        </section>
      )}
      {resource && <section><h3>Resource</h3><Attributes of={resource.attributes} /></section>}
      <section>
        <h3>More</h3>
        <Attributes of={{
          start: formatNs(span.start_ns, zone.value),
          ...(span.parent_span_id ? { "parent span": span.parent_span_id } : {}),
          ...(scope?.name ? { scope: `${scope.name} ${scope.version}`.trim() } : {}),
          ...scope?.attributes,
          ...(span.trace_state ? { "trace state": span.trace_state } : {}),
          ...(span.weight !== 1 ? { "stands for spans": span.weight } : {}),
          ...(resource?.schema_url ? { schema: resource.schema_url } : {}),
          ...(span.original_start_ns ? { "start as sent": span.original_start_ns } : {}),
          ...(span.original_end_ns ? { "end as sent": span.original_end_ns } : {}),
          ...zipkinFacts(span),
        }} />
        <Notes notes={[
          span.dropped_attributes_count > 0 && `${span.dropped_attributes_count} attributes dropped`,
          span.dropped_events_count > 0 && `${span.dropped_events_count} events dropped`,
          span.dropped_links_count > 0 && `${span.dropped_links_count} links dropped`,
          ...span.marks.map((m) => m.replaceAll("_", " ")),
        ]} />
      </section>
    </>
  );
}

/** What only Zipkin has, as far as it was sent. */
function zipkinFacts({ zipkin }: Span): Record<string, unknown> {
  const facts = { "zipkin shared": zipkin?.shared, "zipkin debug": zipkin?.debug, "zipkin local endpoint": zipkin?.local_endpoint, "zipkin remote endpoint": zipkin?.remote_endpoint };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== null && value !== undefined));
}

function Event({ event, origin }: { event: SpanEvent; origin: string }) {
  const { "exception.stacktrace": stack, "exception.type": type, "exception.message": message, ...rest } = event.attributes;
  const exception = event.name === "exception" || type !== undefined;
  return (
    <div class={`event ${exception ? "is-exception" : ""}`}>
      <div class="row"><span class="faint mono">+{formatUs(usSince(origin, event.time_ns))}</span><b class="cut">{exception && type !== undefined ? String(type) : event.name}</b></div>
      {message !== undefined && <p class="bad">{String(message)}</p>}
      {stack !== undefined && <details open><summary>Stack trace</summary><div class="codebox"><pre>{String(stack)}</pre><CopyButton text={String(stack)} title="Copy the stack trace" class="small plain" /></div></details>}
      {Object.keys(rest).length > 0 && <Attributes of={rest} />}
    </div>
  );
}

function Lines({ lines, answer, origin }: { lines: TraceAnswer["logs"]; answer: TraceAnswer; origin: string }) {
  const [open, setOpen] = useState(-1);
  return (
    <div role="listbox" aria-label="Log lines of this span" class="near-lines">
      {lines.map((line, i) => (
        <div key={i} role="presentation">
          <LogRow line={line} origin={origin} open={i === open} onClick={() => setOpen(i === open ? -1 : i)} />
          {i === open && <LogDetails line={line} resource={answer.resources[line.resource_index]} scope={answer.scopes[line.scope_index]} inTrace />}
        </div>
      ))}
    </div>
  );
}
