/** Traces, the home page: which requests were there? Filters in the link, a scatter of durations, the newest first. */
import { useState } from "preact/hooks";
import { getIngest, getTraces, type TraceFilter } from "../../api/client";
import type { TraceSummary } from "../../api/shapes";
import { Elsewhere } from "../../kit/elsewhere";
import { addressesOf, GettingStarted } from "../../kit/getting-started";
import { Bones, Empty, PartialNote, Trouble, TroubleNote } from "../../kit/states";
import { useCommands } from "../../state/commands";
import { useLoad, usePages } from "../../state/load";
import { isoTime, range, turn, windowMs } from "../../state/range";
import { link, navigate, params, setParams } from "../../state/url";
import { Filters } from "./filters";
import { TraceList } from "./list";
import { ScatterPlot } from "./scatter-plot";
import "./traces.css";

const PAGE_TRACES = 100;

export function TracesPage() {
  const filter = filterOf(params.value);
  const pages = usePages<TraceSummary>(`${turn.value} ${JSON.stringify(filter)}`, async (cursor, signal) => {
    const answer = await getTraces(filter, PAGE_TRACES, cursor, signal);
    return { items: answer.traces, next: answer.next_cursor ?? null, partial: answer.partial ? (answer.partial_reason ?? "the search was cut short") : null };
  });
  const [at, setAt] = useState(-1);
  const traces = pages.data?.items ?? [];
  const move = (by: number) => {
    const next = Math.max(0, Math.min(traces.length - 1, at + by));
    setAt(next);
    document.getElementById(`trace-${next}`)?.scrollIntoView({ block: "nearest" });
  };
  useCommands([
    { id: "next-trace", keys: ["j", "ArrowDown"], text: "Next request", group: "Traces", run: () => move(1) },
    { id: "previous-trace", keys: ["k", "ArrowUp"], text: "Previous request", group: "Traces", run: () => move(-1) },
    { id: "open-trace", keys: ["Enter", "o"], text: "Open the request", group: "Traces", run: () => traces[at] && navigate(link(`trace/${traces[at].trace_id}`)) },
    { id: "filter-service", keys: ["/", "f"], text: "Filter by service", group: "Traces", run: () => document.querySelector<HTMLInputElement>(".filters input")?.focus() },
    { id: "filter-errors", keys: ["e"], text: "Only requests with errors, or all", group: "Traces", run: () => setParams({ status: filter.status === "error" ? null : "error" }) },
    { id: "load-more", keys: ["m"], text: "Load more", group: "Traces", run: pages.more },
  ]);

  return (
    <main class="page">
      <h1 class="sr">Traces</h1>
      <Filters filter={filter} />
      {pages.error && pages.data && <TroubleNote error={pages.error} retry={pages.reload} />}
      <PartialNote reason={pages.data?.partial} />
      <div class={pages.loading ? "busy" : ""}>
        {pages.error && !pages.data ? <Trouble error={pages.error} retry={pages.reload} />
          : !pages.data ? <Bones rows={14} />
          : traces.length === 0 && !pages.loading ? <Nothing filter={filter} />
          : (
            <>
              <ScatterPlot traces={traces} window={windowMs.value} selected={at} onHover={setAt}
                onOpen={(i) => navigate(link(`trace/${traces[i]!.trace_id}`))}
                onSelect={(box) => setParams({ from: isoTime(box.fromMs), to: isoTime(box.toMs), min_duration: box.min, max_duration: box.max })} />
              <TraceList traces={traces} selected={at} />
              <div class="foot">
                <span>{traces.length.toLocaleString("en-US")} {traces.length === 1 ? "request" : "requests"}{pages.data.next ? " so far" : ""}</span>
                {pages.data.next && <button type="button" onClick={pages.more} disabled={pages.loadingMore}>{pages.loadingMore ? "Loading…" : "Load more"}</button>}
                {pages.moreError && <span class="bad">{pages.moreError.message}</span>}
              </div>
            </>
          )}
      </div>
    </main>
  );
}

function filterOf(p: URLSearchParams): TraceFilter {
  return {
    ...range.value,
    service: p.get("service"), operation: p.get("operation"), status: p.get("status"),
    min_duration: p.get("min_duration"), max_duration: p.get("max_duration"), attr: p.getAll("attr"),
    edge_source: p.get("edge_source"), edge_target: p.get("edge_target"),
  };
}

/** Nothing found: because nothing ever came, or because the question was too narrow. */
function Nothing({ filter }: { filter: TraceFilter }) {
  const ingest = useLoad(`ingest ${turn.value}`, getIngest);
  if (ingest.loading && !ingest.data) return <Bones rows={4} />;
  const ever = !ingest.data || Object.values(ingest.data.accepted).some((n) => n > 0);
  if (!ever) {
    return (
      <Empty title="Nothing has arrived yet">
        <p>Hypocenter is listening. Point an OpenTelemetry exporter or a Zipkin reporter at it, and its requests appear here with their logs.</p>
        <GettingStarted addresses={addressesOf(ingest.data)} />
      </Empty>
    );
  }
  const narrowed = !!(filter.service || filter.operation || filter.status || filter.min_duration || filter.max_duration || filter.attr?.length || filter.edge_source);
  return (
    <Empty title="No request fits" icon="search">
      <p>{narrowed ? "Nothing in this time range passes all filters." : "No request began in this time range."}</p>
      <div class="row">
        <Elsewhere />
        {narrowed && <button type="button" onClick={() => setParams({ service: null, operation: null, status: null, min_duration: null, max_duration: null, attr: [], edge_source: null, edge_target: null })}>Remove the filters</button>}
      </div>
    </Empty>
  );
}
