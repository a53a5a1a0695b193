/** The request page: one trace as a waterfall with its log lines inside. Which span, line, zoom and search: in the link. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, apiUrl, getTraceLogs, getWaterfall } from "../../api/client";
import type { LogLine, Resource, Scope } from "../../api/shapes";
import { collapseFrom, errorCount, findSpans, indexLogs, type LogIndex, reveal, Row, type Rows, spanRows, type Trace, visibleRows } from "../../draw/trace";
import { type Window, zoomWindow } from "../../draw/waterfall";
import { CopyButton } from "../../kit/copy";
import { Icon } from "../../kit/icons";
import { bodyText } from "../../kit/log-line";
import { Dot } from "../../kit/service";
import { Bones, Empty, PartialNote, Trouble } from "../../kit/states";
import { drag } from "../../kit/use";
import { type Command, useCommands } from "../../state/commands";
import { useLoad, usePages } from "../../state/load";
import { prefs, setPref } from "../../state/prefs";
import { zone } from "../../state/range";
import { formatAgo, formatNs, formatUs, nsToMs, usSince } from "../../state/time";
import { link, params, setParams } from "../../state/url";
import { toMarkdown } from "./markdown";
import { Panel, type Tab, TABS, type TraceLogs } from "./panel";
import { Waterfall } from "./waterfall";
import "./request.css";

const PAGE_LOGS = 2000;

export function RequestPage({ id }: { id: string }) {
  const load = useLoad(id, (signal) => getWaterfall(id, signal));
  const logs = useTraceLogs(id, load.data);
  if (load.data) return <Request trace={load.data} logs={logs} />;
  if (!load.error) return <main class="page"><Bones rows={20} /></main>;
  if (load.error instanceof ApiError && load.error.code === "not_found") {
    return (
      <main class="page">
        <Empty title="No request with this trace id" icon="search">
          <p><code>{id}</code> is not stored: its spans may not have arrived yet, were not sampled by the sender, or are older than the retention.</p>
          <div class="row"><button type="button" onClick={load.reload}><Icon name="refresh" />Look again</button><a class="btn" href={link("traces")}>Go to the traces</a></div>
        </Empty>
      </main>
    );
  }
  return <main class="page"><Trouble error={load.error} retry={load.reload} /></main>;
}

/** The log lines of the trace, page by page in time order, indexed by span. */
function useTraceLogs(id: string, trace: Trace | null): TraceLogs & { us: Float64Array } {
  const pages = usePages<{ line: LogLine; resource: Resource | undefined; scope: Scope | undefined }>(id, async (cursor, signal) => {
    const answer = await getTraceLogs(id, PAGE_LOGS, cursor, signal);
    return { items: answer.logs.map((line) => ({ line, resource: answer.resources[line.resource_index], scope: answer.scopes[line.scope_index] })), next: answer.logs_next_cursor, partial: null };
  });
  const items = pages.data?.items;
  const index = useMemo<LogIndex | null>(() => (trace && items ? indexLogs(trace, items.map((i) => i.line)) : null), [trace, items]);
  const us = useMemo(() => Float64Array.from(index?.lines ?? [], (l) => Math.max(0, usSince(trace!.startNs, l.time_ns))), [index]);
  const from = useMemo(() => items ?? [], [items]);
  return { index, us, from, loading: pages.loading, error: pages.error ?? pages.moreError, reload: pages.reload, more: pages.data?.next ? pages.more : null, loadingMore: pages.loadingMore };
}

/** A chosen row: a span by its row, or a log line by its place in time; `off` is nothing. */
type Choice = { kind: "span"; ref: number } | { kind: "log"; ref: number } | { kind: "off"; ref: -1 };
const OFF: Choice = { kind: "off", ref: -1 };

function Request({ trace, logs }: { trace: Trace; logs: TraceLogs & { us: Float64Array } }) {
  const p = params.value;
  const index = logs.index;
  const [collapsed, setCollapsed] = useState<Set<number>>(new Set());
  const [allLogsOf, setAllLogsOf] = useState<Set<number>>(new Set());
  const [choice, setChoice] = useState<Choice>(OFF);
  const ticksMode = p.get("logs") === "ticks";
  const criticalOnly = p.get("critical") === "only";
  const search = p.get("q") ?? "";
  const whole = wholeUs(trace, logs.us);
  const [window, setWindow] = useState<Window>(() => parseZoom(p.get("zoom"), whole));
  const panelOpen = p.get("panel") !== "off";
  const tab: Tab = TABS.find((t) => t === p.get("tab")) ?? (choice.kind === "span" ? "span" : "overview");
  const rows = useMemo(() => visibleRows(trace, collapsed, ticksMode ? null : index, allLogsOf), [trace, collapsed, ticksMode ? null : index, allLogsOf]);
  const matches = useMemo(() => findAll(trace, index, search), [trace, index, search]);
  const selected = useMemo(() => placeOf(rows, choice), [rows, choice]);

  useFollowLink(trace, index, choice, (c) => choose(c, false));
  useWriteLink(trace, choice, window, whole);
  useEffect(() => setWindow((w) => (w.to > whole || p.get("zoom") === null ? { from: 0, to: whole } : w)), [whole]);

  const show = (c: Choice): Set<number> => {
    const span = c.kind === "span" ? c.ref : c.kind === "log" ? (index?.spanOf[c.ref] ?? -1) : -1;
    const next = new Set(collapsed);
    let changed = span >= 0 && reveal(trace, next, span);
    if (c.kind === "log") {
      changed = next.delete(span) || changed;
      if (span >= 0) setAllLogsOf((s) => (s.has(span) ? s : new Set(s).add(span)));
    }
    if (changed) setCollapsed(next);
    return next;
  };
  function choose(c: Choice, reopen = true) {
    show(c);
    setChoice(c);
    if (reopen && c.kind !== "off") {
      const wanted = c.kind === "log" ? "logs" : "span";
      if (params.peek().get("tab") !== wanted || params.peek().get("panel") === "off") setParams({ tab: wanted, panel: null }, true);
    }
  }
  const chooseAt = (at: number, reopen = true) => {
    const kind = rows.kind[at] as Row | undefined;
    const ref = rows.ref[at]!;
    if (kind === Row.Span) choose({ kind: "span", ref }, reopen);
    else if (kind === Row.Log) choose({ kind: "log", ref }, reopen);
  };
  const step = (by: number) => {
    let at = selected < 0 ? (by > 0 ? 0 : rows.count - 1) : selected + by;
    while (at >= 0 && at < rows.count && rows.kind[at]! > Row.Log) at += by;
    if (at >= 0 && at < rows.count) chooseAt(at, false);
  };
  const setOpen = (span: number, open: boolean) => {
    const next = new Set(collapsed);
    if (open ? next.delete(span) : !next.has(span) && next.add(span)) setCollapsed(next);
  };
  const toggleAt = (at: number) => {
    const ref = rows.ref[at]!;
    if (rows.kind[at] === Row.MoreLogs) setAllLogsOf(new Set(allLogsOf).add(ref));
    else if (rows.kind[at] !== Row.Log) setOpen(rows.kind[at] === Row.OrphanHead ? -1 : ref, collapsed.has(rows.kind[at] === Row.OrphanHead ? -1 : ref));
  };
  const chosenSpan = choice.kind === "span" ? choice.ref : choice.kind === "log" ? (index?.spanOf[choice.ref] ?? -1) : -1;
  const fold = () => {
    if (choice.kind === "span" && !collapsed.has(choice.ref) && trace.end[choice.ref]! > choice.ref + 1) setOpen(choice.ref, false);
    else if (choice.kind === "log" && chosenSpan >= 0) choose({ kind: "span", ref: chosenSpan }, false);
    else if (choice.kind === "span" && trace.parent[choice.ref]! >= 0) choose({ kind: "span", ref: trace.parent[choice.ref]! }, false);
  };
  const goTo = (list: Choice[], by: number) => {
    if (list.length === 0) return;
    const here = order(choice, index);
    const next = by > 0 ? list.find((c) => order(c, index) > here) ?? list[0]! : list.findLast((c) => order(c, index) < here) ?? list[list.length - 1]!;
    choose(next);
  };
  const errors = useMemo(() => [...trace.status.keys()].filter((i) => trace.status[i] === 2).map((ref): Choice => ({ kind: "span", ref })), [trace]);
  const level = (by: number) => {
    const open = [...trace.depth.keys()].filter((i) => trace.end[i]! > i + 1 && !collapsed.has(i));
    const deepest = open.reduce((d, i) => Math.max(d, trace.depth[i]!), -1);
    const shallow = collapsed.size ? Math.min(...[...collapsed].map((i) => trace.depth[i] ?? 0)) : 0;
    setCollapsed(by < 0 ? collapseFrom(trace, Math.max(0, collapsed.size ? shallow - 1 : deepest)) : collapseFrom(trace, shallow + 1));
  };
  const zoomBy = (factor: number) => setWindow(zoomWindow(window, (window.from + window.to) / 2, factor, whole));
  const pan = (share: number) => setWindow(zoomWindow({ from: window.from + share * (window.to - window.from), to: window.to + share * (window.to - window.from) }, 0, 1, whole));
  const zoomTo = (row: number) => row >= 0 && setWindow(around(trace, row, whole));
  const say = (patch: Record<string, string | null>) => setParams(patch, true);

  const commands: Command[] = [
    { id: "next-row", keys: ["j", "ArrowDown"], text: "Next row", group: "Request", run: () => step(1) },
    { id: "previous-row", keys: ["k", "ArrowUp"], text: "Previous row", group: "Request", run: () => step(-1) },
    { id: "open-details", keys: ["Enter"], text: "Open the details", group: "Request", run: () => choose(choice) },
    { id: "collapse", keys: ["[", "ArrowLeft"], text: "Collapse, or go to the parent", group: "Request", run: fold },
    { id: "expand", keys: ["]", "ArrowRight"], text: "Expand", group: "Request", run: () => choice.kind === "span" && setOpen(choice.ref, true) },
    { id: "collapse-level", keys: ["{"], text: "Collapse the deepest level", group: "Request", run: () => level(-1) },
    { id: "expand-level", keys: ["}"], text: "Expand one level more", group: "Request", run: () => level(1) },
    { id: "expand-all", keys: ["x"], text: "Expand everything", group: "Request", run: () => setCollapsed(new Set()) },
    { id: "next-error", keys: ["e"], text: "Next span with an error", group: "Request", run: () => goTo(errors, 1) },
    { id: "previous-error", keys: ["E"], text: "Previous span with an error", group: "Request", run: () => goTo(errors, -1) },
    { id: "search-inside", keys: ["f", "/"], text: "Search inside", group: "Request", run: () => document.getElementById("find")?.focus() },
    { id: "next-match", keys: ["n"], text: "Next match", group: "Request", run: () => goTo(matches.list, 1) },
    { id: "previous-match", keys: ["N"], text: "Previous match", group: "Request", run: () => goTo(matches.list, -1) },
    { id: "switch-logs", keys: ["l"], text: "Log lines as rows or as ticks", group: "Request", run: () => say({ logs: ticksMode ? null : "ticks" }) },
    { id: "critical-path", keys: ["c"], text: "Only the critical path in colour", group: "Request", run: () => say({ critical: criticalOnly ? null : "only" }) },
    { id: "zoom-in", keys: ["+", "="], text: "Zoom in", group: "Time", run: () => zoomBy(0.5) },
    { id: "zoom-out", keys: ["-"], text: "Zoom out", group: "Time", run: () => zoomBy(2) },
    { id: "pan-left", keys: ["a"], text: "Earlier", group: "Time", run: () => pan(-0.25) },
    { id: "pan-right", keys: ["d"], text: "Later", group: "Time", run: () => pan(0.25) },
    { id: "zoom-to-span", keys: ["s"], text: "Zoom to the span", group: "Time", run: () => zoomTo(chosenSpan) },
    { id: "zoom-reset", keys: ["z", "0"], text: "See everything", group: "Time", run: () => setWindow({ from: 0, to: whole }) },
    { id: "toggle-panel", keys: ["p"], text: "Open or close the panel", group: "Request", run: () => say({ panel: panelOpen ? "off" : null }) },
    { id: "clear-choice", keys: ["Escape"], text: "Choose nothing", group: "Request", run: () => { setChoice(OFF); say({ span: null, line: null, tab: null }); } },
  ];
  useCommands(commands);

  return (
    <main class="page request">
      <Head trace={trace} index={index} />
      <PartialNote reason={trace.partial ?? (trace.count < trace.totalSpans ? `${trace.count.toLocaleString("en-US")} of ${trace.totalSpans.toLocaleString("en-US")} spans are shown` : null)} />
      <Toolbar search={search} matches={matches.list.length} ticksMode={ticksMode} criticalOnly={criticalOnly} zoomed={window.from > 0 || window.to < whole} logs={logs} trace={trace}
        onNext={(by) => goTo(matches.list, by)} onReset={() => setWindow({ from: 0, to: whole })} onLevel={level} panelOpen={panelOpen} />
      <div class="split">
        <Waterfall trace={trace} rows={rows} collapsed={collapsed} logs={index} logUs={logs.us} ticksMode={ticksMode} criticalOnly={criticalOnly} selected={selected}
          matchSpans={matches.spans} matchLogs={matches.logs} whole={whole} window={window} onWindow={setWindow} onSelect={chooseAt} onToggle={toggleAt} />
        {panelOpen && (
          <>
            <div class="splitter" onPointerDown={(e) => { const x0 = e.clientX; const w0 = prefs.peek().panelPx; const box = e.currentTarget as HTMLElement; const left = box.getBoundingClientRect().left; drag(e, box, (x) => setPref({ panelPx: Math.max(300, Math.min(900, w0 + x0 - (x + left))) }), () => undefined); }} />
            <div class="panel-box" style={{ "--panel": `${prefs.value.panelPx}px` }}>
              <Panel trace={trace} tab={tab} setTab={(t) => say({ tab: t })} span={chosenSpan} line={choice.kind === "log" ? choice.ref : -1} logs={logs}
                onLine={(i) => (i < 0 ? setChoice(OFF) : choose({ kind: "log", ref: i }))} onSpan={(ref) => choose({ kind: "span", ref })} onClose={() => say({ panel: "off" })} />
            </div>
          </>
        )}
      </div>
    </main>
  );
}

function Head({ trace, index }: { trace: Trace; index: LogIndex | null }) {
  const errors = useMemo(() => errorCount(trace), [trace]);
  const root = trace.count > 0 ? { service: trace.services[trace.service[0]!] ?? "", name: trace.names[trace.name[0]!] ?? "" } : null;
  const start = nsToMs(trace.startNs);
  return (
    <header class="request-head">
      <div class="row">
        {root && <Dot service={root.service} />}
        <h1 class="cut">{root ? root.service || "no service name" : "Log lines without spans"} {root && <span class="soft">{root.name}</span>}</h1>
        <span class="grow" />
        <CopyButton text={trace.id} title="Copy the trace id"><code class="id">{trace.id}</code></CopyButton>
        <CopyButton text={() => apiUrl(`traces/${trace.id}`, { logs: true })} title="Copy the address of this request as JSON" icon="link">JSON</CopyButton>
        <CopyButton text={() => toMarkdown(trace, index, location.href)} title="Copy as Markdown, for an issue or an assistant">Markdown</CopyButton>
      </div>
      <div class="row wrap soft facts-line">
        {trace.count > 0 && <b>{formatUs(trace.durationUs)}</b>}
        <span title={formatNs(trace.startNs, zone.value)}>{formatNs(trace.startNs, zone.value).slice(0, 23)} <span class="faint">{formatAgo(start, Date.now())}</span></span>
        <span>{trace.totalSpans.toLocaleString("en-US")} {trace.totalSpans === 1 ? "span" : "spans"}</span>
        {errors > 0 && <span class="bad">{errors.toLocaleString("en-US")} {errors === 1 ? "error" : "errors"}</span>}
        <span>{trace.totalLogs.toLocaleString("en-US")} log {trace.totalLogs === 1 ? "line" : "lines"}</span>
        {trace.services.length > 0 && <span>{trace.services.length} {trace.services.length === 1 ? "service" : "services"}</span>}
        {trace.problems.length > 0 && <button type="button" class="link warn" onClick={() => setParams({ tab: "problems", panel: null }, true)}>{trace.problems.length === 1 ? trace.problems[0]!.code.replaceAll("_", " ") : `${trace.problems.length} problems`}</button>}
      </div>
    </header>
  );
}

function Toolbar({ search, matches, ticksMode, criticalOnly, zoomed, logs, trace, onNext, onReset, onLevel, panelOpen }: {
  search: string; matches: number; ticksMode: boolean; criticalOnly: boolean; zoomed: boolean; logs: TraceLogs; trace: Trace; panelOpen: boolean;
  onNext(by: number): void; onReset(): void; onLevel(by: number): void;
}) {
  const say = (patch: Record<string, string | null>) => setParams(patch, true);
  return (
    <div class="row wrap toolbar">
      <span class="field find">
        <Icon name="search" size={13} />
        <input id="find" value={search} placeholder="Find a span, service, id or log text" aria-label="Search inside this request" spellcheck={false} autocomplete="off"
          onInput={(e) => say({ q: e.currentTarget.value })}
          onKeyDown={(e) => { if (e.key === "Enter") onNext(e.shiftKey ? -1 : 1); if (e.key === "Escape") { say({ q: null }); e.currentTarget.blur(); } }} />
        {search && <span class={`hits ${matches ? "faint" : "warn"}`}>{matches.toLocaleString("en-US")}</span>}
      </span>
      <span class="seg small" role="group" aria-label="Log lines">
        <button type="button" aria-pressed={!ticksMode} title="Log lines as rows under their span (l)" onClick={() => say({ logs: null })}>Log rows</button>
        <button type="button" aria-pressed={ticksMode} title="Log lines as ticks on the bars (l)" onClick={() => say({ logs: "ticks" })}>Ticks</button>
      </span>
      <button type="button" class="small" aria-pressed={criticalOnly} title="Only the critical path in colour (c)" onClick={() => say({ critical: criticalOnly ? null : "only" })}>Critical path</button>
      <span class="seg small" role="group" aria-label="Levels">
        <button type="button" title="Collapse the deepest level ({)" aria-label="Collapse a level" onClick={() => onLevel(-1)}>−</button>
        <button type="button" title="Expand one level more (})" aria-label="Expand a level" onClick={() => onLevel(1)}>+</button>
      </span>
      {zoomed && <button type="button" class="small" title="See everything (z)" onClick={onReset}>Reset zoom</button>}
      <span class="grow" />
      {logs.error && <span class="bad">Log lines: {logs.error.message} <button type="button" class="link" onClick={logs.reload}>Try again</button></span>}
      {!logs.error && logs.more && logs.index && <span class="faint">{logs.index.lines.length.toLocaleString("en-US")} of {trace.totalLogs.toLocaleString("en-US")} log lines <button type="button" class="link" disabled={logs.loadingMore} onClick={logs.more}>{logs.loadingMore ? "loading" : "load more"}</button></span>}
      {!panelOpen && <button type="button" class="small" title="Open the panel (p)" onClick={() => say({ panel: null })}>Details</button>}
    </div>
  );
}

/** The link leads the choice: at the start, with the browser's buttons, and when a link in the panel is followed. */
function useFollowLink(trace: Trace, index: LogIndex | null, choice: Choice, choose: (c: Choice) => void): void {
  const p = params.value;
  const [span, line] = [p.get("span"), p.get("line")];
  const done = useRef("");
  useEffect(() => {
    if (line !== null && !index) return;
    const key = `${span} ${line}`;
    if (done.current === key) return;
    done.current = key;
    const at = Number(line);
    if (line !== null && index && Number.isInteger(at) && at >= 0 && at < index.lines.length) {
      if (choice.kind !== "log" || choice.ref !== at) choose({ kind: "log", ref: at });
    } else if (span !== null) {
      const row = spanRows(trace).get(span.toLowerCase());
      if (row !== undefined && !(choice.kind === "span" && trace.spanId[choice.ref] === span)) choose({ kind: "span", ref: row });
    }
  }, [trace, index, span, line]);
}

/** And follows it, when the hand rests: browsers refuse a link that changes with every key of a held `j`. */
function useWriteLink(trace: Trace, choice: Choice, window: Window, whole: number): void {
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    const timer = setTimeout(() => {
      const zoom = window.from > 0 || window.to < whole ? `${+window.from.toFixed(3)}-${+window.to.toFixed(3)}` : null;
      const at: Record<string, string | null> = choice.kind === "off" ? {} : { span: choice.kind === "span" ? trace.spanId[choice.ref]! : null, line: choice.kind === "log" ? String(choice.ref) : null };
      setParams({ zoom, ...at }, true);
    }, 250);
    return () => clearTimeout(timer);
  }, [choice, window.from, window.to]);
}

function parseZoom(text: string | null, whole: number): Window {
  const m = /^([\d.]+)-([\d.]+)$/.exec(text ?? "");
  const [from, to] = m ? [Number(m[1]), Number(m[2])] : [0, whole];
  return from >= 0 && to > from ? { from, to } : { from: 0, to: whole };
}

/** The time axis ends where the last span does, or shortly after with the log lines that still followed. */
function wholeUs(trace: Trace, logUs: Float64Array): number {
  const last = logUs.length > 0 ? logUs[logUs.length - 1]! : 0;
  if (trace.count === 0) return Math.max(1, trace.durationUs, last * 1.02);
  return Math.max(1, trace.durationUs, last > trace.durationUs && last <= trace.durationUs * 1.5 ? last * 1.02 : 0);
}

function around(trace: Trace, row: number, whole: number): Window {
  const pad = Math.max(0.05, trace.duration[row]! * 0.1);
  return { from: Math.max(0, trace.start[row]! - pad), to: Math.min(whole, trace.start[row]! + trace.duration[row]! + pad) };
}

function findAll(trace: Trace, index: LogIndex | null, text: string): { spans: Set<number>; logs: Set<number>; list: Choice[] } {
  const spans = findSpans(trace, text);
  const want = text.trim().toLowerCase();
  const logs = want && index ? [...index.lines.keys()].filter((i) => bodyText(index.lines[i]!).toLowerCase().includes(want)) : [];
  const list: Choice[] = [...spans.map((ref): Choice => ({ kind: "span", ref })), ...logs.map((ref): Choice => ({ kind: "log", ref }))];
  return { spans: new Set(spans), logs: new Set(logs), list: list.sort((a, b) => order(a, index) - order(b, index)) };
}

/** Where a choice stands from top to bottom: a span's lines come between it and the next span, lines without a span at the end. */
function order(c: Choice, index: LogIndex | null): number {
  if (c.kind === "span") return c.ref;
  if (c.kind === "off") return -1;
  const span = index?.spanOf[c.ref] ?? -1;
  return (span < 0 ? 1e9 : span) + (c.ref + 1) / ((index?.lines.length ?? 0) + 2);
}

function placeOf(rows: Rows, choice: Choice): number {
  if (choice.kind === "off") return -1;
  const kind = choice.kind === "span" ? Row.Span : Row.Log;
  for (let at = 0; at < rows.count; at++) if (rows.ref[at] === choice.ref && rows.kind[at] === kind) return at;
  return -1;
}
