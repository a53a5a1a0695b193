/** Logs: lines of every service, by words, attributes, service, severity and time; the way from a line to its request. */
import { useEffect, useRef, useState } from "preact/hooks";
import { getIngest, getLogs, getServices, type LogFilter } from "../../api/client";
import type { LogLine, Resource, Scope } from "../../api/shapes";
import { formatCount } from "../../draw/scale";
import { Combo } from "../../kit/combo";
import { Elsewhere } from "../../kit/elsewhere";
import { addressesOf, GettingStarted } from "../../kit/getting-started";
import { Guilty } from "../../kit/guilty";
import { Icon } from "../../kit/icons";
import { LOG_ROW_PX, LogDetails, LogRow } from "../../kit/log-line";
import { RangePicker } from "../../kit/range-picker";
import { Dot } from "../../kit/service";
import { Bones, Empty, Trouble, TroubleNote } from "../../kit/states";
import { VirtualList } from "../../kit/virtual-list";
import { useCommands } from "../../state/commands";
import { useLoad, usePages } from "../../state/load";
import { isoTime, range, turn } from "../../state/range";
import { link, navigate, params, setParams } from "../../state/url";
import { LogHistogram } from "./histogram";
import { LogPatterns } from "./patterns";
import { markedWords } from "./words";
import "./logs.css";

const PAGE_LOGS = 200;
const NO_LINES: Line[] = [];

interface Line { line: LogLine; resource: Resource | undefined; scope: Scope | undefined }

export function LogsPage() {
  const p = params.value;
  const filter = filterOf(p);
  const order = p.get("order") === "oldest" ? "oldest" : "newest";
  const grouped = p.get("patterns") === "1";
  const pages = usePages<Line>(`${turn.value} ${order} ${JSON.stringify(filter)}`, async (cursor, signal) => {
    const answer = await getLogs(filter, order, PAGE_LOGS, cursor, signal);
    const items = answer.logs.map((line) => ({ line, resource: answer.resources[line.resource_index], scope: answer.scopes[line.scope_index] }));
    return { items, next: answer.next_cursor, partial: null };
  });
  const lines = pages.data?.items ?? NO_LINES;
  const { at, setAt, opened, toggle } = useOpened(lines, pages.loading, p.get("line"));
  const words = markedWords(filter.query ?? "");
  useCommands([
    { id: "next-line", keys: ["j", "ArrowDown"], text: "Next line", group: "Logs", run: () => setAt(Math.min(lines.length - 1, at + 1)) },
    { id: "previous-line", keys: ["k", "ArrowUp"], text: "Previous line", group: "Logs", run: () => setAt(Math.max(0, at - 1)) },
    { id: "open-line", keys: ["Enter"], text: "Open or close the line", group: "Logs", run: () => lines[at] && toggle(at) },
    { id: "open-request", keys: ["o"], text: "Open the line's request", group: "Logs", run: () => lines[at]?.line.trace_id && navigate(link(`trace/${lines[at].line.trace_id}`, { span: lines[at].line.span_id })) },
    { id: "search-logs", keys: ["/", "f"], text: "Search", group: "Logs", run: () => document.getElementById("log-query")?.focus() },
    { id: "show-patterns", keys: ["p"], text: "Show or hide the patterns", group: "Logs", run: () => setParams({ patterns: grouped ? null : "1" }) },
    { id: "turn-order", keys: ["s"], text: "Newest or oldest first", group: "Logs", run: () => setParams({ order: order === "newest" ? "oldest" : null }) },
  ]);
  return (
    <main class="page logs-page">
      <h1 class="sr">Logs</h1>
      <LogFilters filter={filter} order={order} grouped={grouped} />
      <LogHistogram filter={filter} quiet={pages.error !== null} onSelect={(fromMs, toMs) => setParams({ from: isoTime(fromMs), to: isoTime(toMs) })} />
      {grouped && <LogPatterns filter={filter} />}
      {pages.error && pages.data && <TroubleNote error={pages.error} retry={pages.reload} />}
      <div class={`lines ${pages.loading ? "busy" : ""}`}>
        {pages.error && !pages.data ? <Trouble error={pages.error} retry={pages.reload} />
          : !pages.data ? <Bones rows={18} />
          : lines.length === 0 && !pages.loading ? <Nothing filter={filter} />
          : (
            <VirtualList id="log-lines" count={lines.length} rowPx={LOG_ROW_PX} label="Log lines" focus={at} opened={opened} onEnd={pages.more}
              row={(i) => <LogRow id={`line-${i}`} line={lines[i]!.line} words={words} selected={i === at} open={opened.has(i)} onClick={() => { setAt(i); toggle(i); }} />}
              extra={(i) => <LogDetails line={lines[i]!.line} resource={lines[i]!.resource} scope={lines[i]!.scope} />}
              foot={(
                <div class="foot">
                  <span>{lines.length.toLocaleString("en-US")} {lines.length === 1 ? "line" : "lines"}{pages.data.next ? " so far" : ", no more"}</span>
                  {pages.data.next && <button type="button" class="small" onClick={pages.more} disabled={pages.loadingMore}>{pages.loadingMore ? "Loading…" : "Load more"}</button>}
                  {pages.moreError && <span class="bad">{pages.moreError.message}</span>}
                </div>
              )} />
          )}
      </div>
    </main>
  );
}

/** Which lines are open and where the keyboard stands; the line last opened is in the link. */
function useOpened(lines: Line[], loading: boolean, linked: string | null) {
  const [at, setAt] = useState(-1);
  const [opened, setOpened] = useState<Set<number>>(new Set());
  const first = lines[0];
  useEffect(() => {
    if (loading) return;
    const found = linked ? lines.findIndex((l) => l.line.time_ns === linked) : -1;
    setOpened(new Set(found >= 0 ? [found] : []));
    setAt(found);
  }, [first, loading]);
  const toggle = (i: number) => {
    const next = new Set(opened);
    if (!next.delete(i)) next.add(i);
    setOpened(next);
    setParams({ line: next.has(i) ? lines[i]!.line.time_ns : null }, true);
  };
  return { at, setAt, opened, toggle };
}

function filterOf(p: URLSearchParams): LogFilter {
  return {
    ...range.value,
    query: p.get("query"), service: p.get("service"), severity: p.get("severity"),
    trace_id: p.get("trace_id"), span_id: p.get("span_id"), pattern_id: p.get("pattern_id"),
  };
}

function LogFilters({ filter, order, grouped }: { filter: LogFilter; order: string; grouped: boolean }) {
  const window = { ...range.value };
  const services = useLoad(`${turn.value} ${window.from} ${window.to}`, (signal) => getServices(window, signal));
  const ids = (["trace_id", "span_id", "pattern_id"] as const).filter((k) => filter[k]);
  return (
    <div class="row wrap">
      <RangePicker />
      <QueryBox value={filter.query ?? ""} />
      <Combo label="Service" placeholder="Any service" width={180} value={filter.service ?? ""} empty={services.error ? "Services could not be read" : "No service in this time range"}
        choices={(services.data?.services ?? []).filter((s) => s.logs > 0).map((s) => ({ value: s.name, note: formatCount(s.logs), mark: <Dot service={s.name} /> }))}
        onChange={(v) => setParams({ service: v })} />
      <select aria-label="Least severity" value={filter.severity ?? ""} onChange={(e) => setParams({ severity: e.currentTarget.value })}>
        <option value="">Any severity</option>
        {["debug", "info", "warn", "error", "fatal"].map((s) => <option key={s} value={s}>{s === "fatal" ? "fatal" : `${s} and above`}</option>)}
      </select>
      <span class="seg" role="group" aria-label="Order">
        {(["newest", "oldest"] as const).map((o) => <button key={o} type="button" aria-pressed={order === o} onClick={() => setParams({ order: o === "newest" ? null : o })}>{o === "newest" ? "Newest" : "Oldest"}</button>)}
      </span>
      <button type="button" class="toggle" aria-pressed={grouped} title="Lines that say the same, counted (p)" onClick={() => setParams({ patterns: grouped ? null : "1" })}>Patterns</button>
      <Guilty />
      {ids.map((k) => (
        <span key={k} class="chip" title={`${k} ${filter[k]}`}>
          <span class="cut">{k.replace("_id", "")} {filter[k]!.slice(0, 16)}</span>
          <button type="button" aria-label={`Remove ${k}`} onClick={() => setParams({ [k]: null })}><Icon name="close" size={11} /></button>
        </span>
      ))}
    </div>
  );
}

function QueryBox({ value }: { value: string }) {
  const [text, setText] = useState(value);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => setText(value), [value]);
  const done = () => text.trim() !== value && setParams({ query: text.trim() });
  return (
    <span class="field query">
      <Icon name="search" size={14} />
      <input id="log-query" ref={input} value={text} placeholder={'words  "a phrase"  key:value  -without'} aria-label="Search the logs" spellcheck={false} autocomplete="off"
        onInput={(e) => setText(e.currentTarget.value)} onBlur={done}
        onKeyDown={(e) => { if (e.key === "Enter") done(); if (e.key === "Escape") input.current?.blur(); }} />
    </span>
  );
}

function Nothing({ filter }: { filter: LogFilter }) {
  const ingest = useLoad(`ingest ${turn.value}`, getIngest);
  if (ingest.loading && !ingest.data) return <Bones rows={4} />;
  const ever = !ingest.data || ingest.data.accepted.logs > 0;
  if (!ever) {
    return (
      <Empty title="No log has arrived yet">
        <p>Switch on the log exporter of your OpenTelemetry SDK. Lines with a trace id, or with one in their text, join their request.</p>
        <GettingStarted addresses={addressesOf(ingest.data)} />
      </Empty>
    );
  }
  const narrowed = !!(filter.query || filter.service || filter.severity || filter.trace_id || filter.span_id || filter.pattern_id);
  return (
    <Empty title="No line fits" icon="search">
      <p>{narrowed ? "Nothing in this time range passes the search." : "No line was written in this time range."}</p>
      <div class="row">
        <Elsewhere />
        {narrowed && <button type="button" onClick={() => setParams({ query: null, service: null, severity: null, trace_id: null, span_id: null, pattern_id: null })}>Clear the search</button>}
      </div>
    </Empty>
  );
}
