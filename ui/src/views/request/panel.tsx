/** Beside the waterfall: the request in numbers, the chosen span, all log lines in time order, and what is wrong with the data. */
import { useEffect, useState } from "preact/hooks";
import type { LogLine, Problem, Resource, Scope } from "../../api/shapes";
import { formatCount } from "../../draw/scale";
import { type LogIndex, serviceTotals, type Trace } from "../../draw/trace";
import { Icon } from "../../kit/icons";
import { joinText, LOG_ROW_PX, LogDetails, LogRow } from "../../kit/log-line";
import { ServiceName } from "../../kit/service";
import { Bones, TroubleNote } from "../../kit/states";
import { VirtualList } from "../../kit/virtual-list";
import type { Loaded } from "../../state/load";
import { SpanDetails } from "./span-details";

export const TABS = ["overview", "span", "logs", "problems"] as const;
export type Tab = (typeof TABS)[number];

export interface TraceLogs extends Pick<Loaded<unknown>, "loading" | "error" | "reload"> {
  index: LogIndex | null;
  /** Resource and scope of every line, in step with the index. */
  from: { resource: Resource | undefined; scope: Scope | undefined }[];
  more: (() => void) | null;
  loadingMore: boolean;
}

export function Panel({ trace, tab, setTab, span, line, logs, onLine, onSpan, onClose }: {
  trace: Trace; tab: Tab; setTab(t: Tab): void; span: number; line: number; logs: TraceLogs;
  onLine(index: number): void; onSpan(row: number): void; onClose(): void;
}) {
  const counts: Partial<Record<Tab, number>> = { logs: trace.totalLogs, problems: trace.problems.length };
  return (
    <aside class="panel" aria-label="Details">
      <div class="tabs" role="tablist">
        {TABS.map((t) => (
          <button key={t} type="button" role="tab" aria-selected={t === tab} onClick={() => setTab(t)}>
            {t[0]!.toUpperCase() + t.slice(1)}
            {counts[t] ? <span class={`count ${t === "problems" ? "warn" : ""}`}>{formatCount(counts[t])}</span> : null}
          </button>
        ))}
        <span class="grow" />
        <button type="button" class="icon plain small" title="Close (p)" aria-label="Close the panel" onClick={onClose}><Icon name="close" size={13} /></button>
      </div>
      <div class={`panel-body ${tab === "logs" ? "flush" : ""}`} role="tabpanel">
        {tab === "overview" && <Overview trace={trace} onSpan={onSpan} />}
        {tab === "span" && (span >= 0 ? <SpanDetails trace={trace} row={span} /> : <p class="faint hint">Choose a span: click it, or move with <kbd>j</kbd> and <kbd>k</kbd>.</p>)}
        {tab === "logs" && <LogsTab trace={trace} logs={logs} line={line} onLine={onLine} onSpan={onSpan} />}
        {tab === "problems" && <Problems problems={trace.problems} />}
      </div>
    </aside>
  );
}

function Overview({ trace, onSpan }: { trace: Trace; onSpan(row: number): void }) {
  const totals = serviceTotals(trace);
  const errors: number[] = [];
  for (let i = 0; i < trace.count && errors.length < 30; i++) if (trace.status[i] === 2) errors.push(i);
  if (trace.count === 0) return <p class="faint hint">No span with this trace id is stored: only log lines carry it. The sender may not export traces, or its spans were not sampled or have not arrived yet.</p>;
  return (
    <div class="details">
      <section>
        <h3>Services</h3>
        <table class="attrs services">
          <thead><tr><th /><th class="num">Spans</th><th class="num">Errors</th><th class="num">Logs</th></tr></thead>
          <tbody>
            {totals.map((t) => (
              <tr key={t.service}>
                <td><ServiceName name={trace.services[t.service]!} /></td>
                <td class="num">{formatCount(t.spans)}</td>
                <td class={`num ${t.errors ? "bad" : "faint"}`}>{t.errors ? formatCount(t.errors) : "–"}</td>
                <td class="num">{t.logs ? formatCount(t.logs) : <span class="faint">–</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {errors.length > 0 && (
        <section>
          <h3>Spans with errors</h3>
          <ul class="errors">
            {errors.map((i) => <li key={i}><button type="button" class="link" onClick={() => onSpan(i)}><ServiceName name={trace.services[trace.service[i]!]!} /><span class="cut bad">{trace.names[trace.name[i]!]}</span></button></li>)}
          </ul>
        </section>
      )}
      {trace.problems.length > 0 && <section><h3>Problems</h3><Problems problems={trace.problems} /></section>}
    </div>
  );
}

function Problems({ problems }: { problems: Problem[] }) {
  if (problems.length === 0) return <p class="faint hint">Nothing is missing, out of order or unusual in the data of this request.</p>;
  return <ul class="problems">{problems.map((p) => <li key={p.code}><span class="tag warn">{p.count.toLocaleString("en-US")}</span><div><b>{p.code.replaceAll("_", " ")}</b><p class="soft">{p.text}</p></div></li>)}</ul>;
}

function LogsTab({ trace, logs, line, onLine, onSpan }: { trace: Trace; logs: TraceLogs; line: number; onLine(i: number): void; onSpan(row: number): void }) {
  const { index } = logs;
  const [opened, setOpened] = useState<Set<number>>(new Set());
  useEffect(() => setOpened(new Set(line >= 0 ? [line] : [])), [line]);
  if (!index) return logs.error ? <TroubleNote error={logs.error} retry={logs.reload} /> : logs.loading ? <Bones rows={12} /> : null;
  if (index.lines.length === 0) {
    return (
      <p class="faint hint">
        No log line carries this trace id. Lines join a request by their own trace id, or by one found in their text or attributes: switch on the
        logging instrumentation of your SDK, or put the id into your log format.
      </p>
    );
  }
  const joined = joins(index.lines);
  return (
    <>
      {joined && <p class="faint joins">{joined}</p>}
      <VirtualList count={index.lines.length} rowPx={LOG_ROW_PX} label="Log lines of this request" focus={line} opened={opened}
        row={(i) => <LogRow line={index.lines[i]!} origin={trace.startNs} selected={i === line} open={opened.has(i)} onClick={() => (opened.has(i) ? onLine(-1) : onLine(i))} />}
        extra={(i) => (
          <>
            <LogDetails line={index.lines[i]!} resource={logs.from[i]?.resource} scope={logs.from[i]?.scope} inTrace />
            {index.spanOf[i]! >= 0 && <div class="to-span"><button type="button" class="small" onClick={() => onSpan(index.spanOf[i]!)}>Show its span</button></div>}
          </>
        )}
        foot={(
          <div class="foot">
            <span>{index.lines.length.toLocaleString("en-US")}{logs.more ? ` of ${trace.totalLogs.toLocaleString("en-US")}` : ""} lines</span>
            {logs.more && <button type="button" class="small" disabled={logs.loadingMore} onClick={logs.more}>{logs.loadingMore ? "Loading…" : "Load more"}</button>}
          </div>
        )} />
    </>
  );
}

/** How the lines came here, when not all by their own ids. */
function joins(lines: LogLine[]): string {
  const found = lines.filter((l) => l.join === "found");
  const placed = lines.filter((l) => l.join === "placed");
  return [found, placed].filter((l) => l.length > 0).map((l) => `${l.length.toLocaleString("en-US")} ${l[0]!.join === "placed" ? "placed by instance and time (not certain)" : `joined ${joinText(l[0]!)}`}`).join("; ");
}
