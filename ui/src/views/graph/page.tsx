/** The service graph: who calls whom, how often, how well. The server says what is there and where it stands; here it is drawn. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import { getGraph, getIngest, getServices } from "../../api/client";
import type { GraphAnswer } from "../../api/shapes";
import { edgeId, errorShare, type Graph, graphOf, rateText, shareText } from "../../draw/graph";
import { formatCount } from "../../draw/scale";
import { type Choice, Combo } from "../../kit/combo";
import { Elsewhere } from "../../kit/elsewhere";
import { addressesOf, GettingStarted } from "../../kit/getting-started";
import { Guilty } from "../../kit/guilty";
import { Icon, type IconName } from "../../kit/icons";
import { RangePicker } from "../../kit/range-picker";
import { Dot } from "../../kit/service";
import { Bones, Empty, PartialNote, Trouble, TroubleNote } from "../../kit/states";
import { useSize } from "../../kit/use";
import { useCommands } from "../../state/commands";
import { useLoad } from "../../state/load";
import { isoTime, range, turn, zone } from "../../state/range";
import { formatMs, nsToMs } from "../../state/time";
import { navigate, params, setParams } from "../../state/url";
import { GraphCanvas } from "./canvas";
import type { Chosen } from "./paint";
import { edgeLink, NodeMark, Panel, type Period, tracesLink } from "./panel";
import { GraphTable } from "./table";
import { findNode, isService, KINDS, nameOf, servicesOf, tookText, WAYS } from "./words";
import "./graph.css";

const AGAIN_MS = 10_000;
const HOPS = ["1", "2", "3"];

export function GraphPage() {
  const p = params.value;
  const service = p.get("service");
  const hops = service ? (p.get("hops") ?? "1") : null;
  const filter = { ...range.value, service, hops };
  const question = JSON.stringify(filter);
  const loaded = useLoad(`${turn.value} ${question}`, async (signal) => ({ question, answer: await getGraph(filter, signal) }));
  useEffect(() => {
    // A window that moves with the clock is asked for again while it is seen.
    if (!filter.to.startsWith("now")) return;
    const timer = setInterval(() => document.visibilityState === "visible" && loaded.reload(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [filter.to]);
  const split = useRef<HTMLDivElement>(null);
  const room = useSize(split);
  const answer = loaded.data?.answer;
  const graph = useMemo(() => (answer ? graphOf(answer) : null), [answer]);
  const choices = useMemo(() => (graph ? choicesOf(graph) : []), [graph]);
  const selected = chosen(graph, p);
  const period = useMemo(() => (answer ? periodOf(answer) : null), [answer]);
  const table = p.get("view") === "table";
  const node = (at: number) => graph?.nodes[at] && setParams({ node: graph.nodes[at].id, edge: null }, selected.node >= 0);
  const edge = (at: number) => setParams({ node: null, edge: graph?.edges[at] ? edgeId(graph.edges[at]) : null }, selected.edge >= 0);
  const none = () => setParams({ node: null, edge: null }, true);
  const focus = (at: number) => {
    const n = graph?.nodes[at];
    if (n && isService(n)) setParams({ service: n.name, hops: null, node: n.id, edge: null });
  };
  const open = () => {
    if (!graph || !period) return;
    const behind = selected.node >= 0 ? servicesOf(graph, selected.node)[0] : null;
    if (selected.edge >= 0) navigate(edgeLink(graph, selected.edge, period));
    else if (behind) navigate(tracesLink(behind, period));
  };
  const failing = () => {
    if (!graph) return;
    const worst = graph.nodes.map((_, i) => i).filter((i) => graph.nodes[i]!.errors > 0).sort((a, b) => errorShare(graph.nodes[b]!) - errorShare(graph.nodes[a]!) || a - b);
    if (worst.length > 0) node(worst[(worst.indexOf(selected.node) + 1) % worst.length]!);
  };
  const group = "Graph";
  useCommands([
    { id: "find-node", keys: ["/", "f"], text: "Find a node", group, run: () => document.querySelector<HTMLInputElement>(".graph-find input")?.focus() },
    { id: "open-behind", keys: ["Enter", "o"], text: "Open the traces behind the node or edge", group, run: open },
    { id: "next-failing", keys: ["e"], text: "The next node with errors, worst first", group, run: failing },
    { id: "focus-node", keys: ["a"], text: "Only what is around the node, or everything", group, run: () => (service ? setParams({ service: null, hops: null }) : focus(selected.node)) },
    { id: "graph-or-table", keys: ["v"], text: "Drawing or table", group, run: () => setParams({ view: table ? null : "table" }) },
    { id: "choose-nothing", keys: ["Escape"], text: "Choose nothing", group, run: none },
  ]);
  const missing = graph && loaded.data?.question === question && (p.get("node") || p.get("edge")) && selected.node < 0 && selected.edge < 0;

  return (
    <main class="page graph-page">
      <h1 class="sr">Service graph</h1>
      <div class="row wrap filters">
        <RangePicker />
        <Around service={service} hops={hops} />
        <span class="graph-find">
          <Combo label="Find a node" placeholder="Find a node" width={200} value={graph?.nodes[selected.node]?.name ?? ""} empty="No node in this time range"
            choices={choices} onChange={(text) => { const at = graph ? findNode(graph, text) : -1; if (at >= 0) node(at); else setParams({ node: text || null, edge: null }, true); }} />
        </span>
        <span class="grow" />
        <Guilty />
        <span class="seg" role="group" aria-label="View">
          {[[null, "Drawing"], ["table", "Table"]].map(([value, text]) => <button key={text} type="button" aria-pressed={(value === "table") === table} onClick={() => setParams({ view: value })}>{text}</button>)}
        </span>
      </div>
      {loaded.error && answer && <TroubleNote error={loaded.error} retry={loaded.reload} />}
      <PartialNote reason={answer?.partial ? (answer.partial_reason ?? "the server stopped early") : null} />
      {missing && <div class="note" role="status"><Icon name="search" /><span class="grow">What the link names is not in this time range: {p.get("node") ?? p.get("edge")}</span><button type="button" class="small plain" onClick={none}>Choose nothing</button></div>}
      <div ref={split} class={`graph-split ${loaded.loading && loaded.data?.question !== question ? "busy" : ""}`}>
        {loaded.error && !answer ? <Trouble error={loaded.error} retry={loaded.reload} />
          : !graph || !answer || !period ? <Bones rows={14} />
          : graph.nodes.length === 0 ? (loaded.loading ? <Bones rows={14} /> : <Nothing service={service} />)
          : (
            <>
              {table
                ? <GraphTable graph={graph} period={period} selected={selected} sort={p.get("sort")} onNode={node} onEdge={edge} />
                : <GraphCanvas graph={graph} room={room} seconds={period.seconds} focus={`${service} ${hops}`} selected={selected} onNode={node} onEdge={(at) => (at < 0 ? none() : edge(at))} onFocus={focus} describe={describe(graph, selected, period)} />}
              {(selected.node >= 0 || selected.edge >= 0) && <Panel graph={graph} selected={selected} period={period} onNode={node} onEdge={edge} onFocus={focus} onClose={none} />}
            </>
          )}
      </div>
      {graph && answer && graph.nodes.length > 0 && !table && <Legend graph={graph} answer={answer} />}
    </main>
  );
}

function chosen(graph: Graph | null, p: URLSearchParams): Chosen {
  const [node, edge] = [p.get("node"), p.get("edge")];
  return { node: node ? (graph?.byId.get(node) ?? -1) : -1, edge: edge && !node && graph ? graph.edges.findIndex((e) => edgeId(e) === edge) : -1 };
}

/** The window of the numbers: whole minutes, so the links to traces name it exactly. A rate counts no time that is still to come. */
function periodOf(answer: GraphAnswer): Period {
  const [from, to] = [nsToMs(answer.from_ns), nsToMs(answer.to_ns)];
  return { from: isoTime(from), to: isoTime(to), seconds: Math.max(1, (Math.min(to, Date.now()) - from) / 1000) };
}

/** By name where the name is one node's alone, else by id. */
function choicesOf(graph: Graph): Choice[] {
  const names = new Map<string, number>();
  for (const n of graph.nodes) names.set(n.name, (names.get(n.name) ?? 0) + 1);
  return graph.nodes.map((n) => ({ value: names.get(n.name) === 1 ? n.name : n.id, note: n.kind === "service" ? "" : KINDS[n.kind] ?? n.kind, mark: <NodeMark node={n} /> })).sort((a, b) => (a.value < b.value ? -1 : 1));
}

/** The service the graph is about, and how far it goes. */
function Around({ service, hops }: { service: string | null; hops: string | null }) {
  const window = { ...range.value };
  const services = useLoad(`${turn.value} ${window.from} ${window.to}`, (signal) => getServices(window, signal));
  return (
    <>
      <Combo label="Around a service" placeholder="All services" width={180} value={service ?? ""} empty={services.error ? "Services could not be read" : "No service in this time range"}
        choices={(services.data?.services ?? []).map((s) => ({ value: s.name, note: formatCount(s.spans), mark: <Dot service={s.name} /> }))}
        onChange={(v) => setParams({ service: v, hops: null, node: null, edge: null })} />
      {service && (
        <span class="seg" role="group" aria-label="Calls away from it at most">
          {HOPS.map((h) => <button key={h} type="button" title={`What is at most ${h} ${h === "1" ? "call" : "calls"} away`} aria-pressed={h === hops} onClick={() => setParams({ hops: h === "1" ? null : h })}>{h} {h === "1" ? "hop" : "hops"}</button>)}
        </span>
      )}
    </>
  );
}

function Legend({ graph, answer }: { graph: Graph; answer: GraphAnswer }) {
  const kinds = Object.keys(KINDS).filter((kind) => graph.nodes.some((n) => n.kind === kind));
  const count = (n: number, one: string) => `${n.toLocaleString("en-US")} ${one}${n === 1 ? "" : "s"}`;
  return (
    <div class="graph-legend faint">
      <span>{count(graph.nodes.length, "node")}, {count(graph.edges.length, "edge")}</span>
      {kinds.map((kind) => <span key={kind} class="row"><Icon name={kind as IconName} size={13} />{KINDS[kind]}</span>)}
      <span class="row"><i class="key wide" />wider: more calls</span>
      <span class="row"><i class="key red" />share that fails</span>
      {graph.edges.some((e) => e.connection_type === "messaging") && <span class="row"><i class="key dashed" />messages</span>}
      <span class="grow" />
      {answer.rolled_to_ns && answer.rolled_to_ns !== "0" && <span title="Minutes up to here are rolled up; later ones are joined as they are asked for">rolled up to {formatMs(nsToMs(answer.rolled_to_ns), zone.value, "second")}</span>}
    </div>
  );
}

/** For those who hear the page. */
function describe(graph: Graph, { node, edge }: Chosen, { seconds }: Period): string {
  const of = graph.nodes[node] ?? graph.edges[edge];
  if (!of) return "";
  const e = graph.edges[edge];
  const what = e && node < 0 ? `${nameOf(graph.nodes[graph.source[edge]!]!)} to ${nameOf(graph.nodes[graph.target[edge]!]!)}, ${WAYS[e.connection_type] ?? e.connection_type}` : `${nameOf(graph.nodes[node]!)}, ${KINDS[graph.nodes[node]!.kind] ?? ""}`;
  return `${what}: ${rateText(of.requests, seconds)}, ${of.errors > 0 ? `${shareText(errorShare(of))} errors` : "no errors"}, 95th percentile ${tookText(of.p95_ns)}`;
}

/** Nothing to draw: because nothing ever came, or because the question was too narrow. */
function Nothing({ service }: { service: string | null }) {
  const ingest = useLoad(`ingest ${turn.value}`, getIngest);
  if (ingest.loading && !ingest.data) return <Bones rows={4} />;
  if (ingest.data && ingest.data.accepted.traces === 0) {
    return (
      <Empty title="Nothing has arrived yet" icon="graph">
        <p>The graph is drawn from spans. Point an OpenTelemetry exporter or a Zipkin reporter at Hypocenter, and the services appear here with the calls between them.</p>
        <GettingStarted addresses={addressesOf(ingest.data)} />
      </Empty>
    );
  }
  return (
    <Empty title={service ? `${service} is not in this time range` : "No calls in this time range"} icon="graph">
      <p>{service ? "No span of this service, and none that calls it, began in this time range." : "No span began in this time range."}</p>
      <div class="row">
        <Elsewhere />
        {service && <button type="button" onClick={() => setParams({ service: null, hops: null })}>All services</button>}
      </div>
    </Empty>
  );
}
