/** Beside the graph: the chosen node or edge in numbers, what is around it, what has no partner, and the ways to what is behind it. */
import type { ComponentChildren } from "preact";
import type { GraphNode } from "../../api/shapes";
import { errorShare, type Graph, rateText, shareText } from "../../draw/graph";
import { formatCount } from "../../draw/scale";
import { Icon, type IconName } from "../../kit/icons";
import { Dot } from "../../kit/service";
import { link } from "../../state/url";
import type { Chosen } from "./paint";
import { isService, KINDS, nameOf, OTHER, reasonsOf, servicesOf, tookText, WAYS } from "./words";

/** The window of the numbers, for links: the same traces are behind both. */
export interface Period { from: string; to: string; seconds: number }

const NEIGHBOURS_MAX = 60;

export function Panel({ graph, selected, period, onNode, onEdge, onFocus, onClose }: {
  graph: Graph; selected: Chosen; period: Period; onNode(at: number): void; onEdge(at: number): void; onFocus(node: number): void; onClose(): void;
}) {
  const node = graph.nodes[selected.node];
  const edge = graph.edges[selected.edge];
  return (
    <aside class="graph-panel" aria-label="Details">
      <button type="button" class="icon plain small close" title="Close (Escape)" aria-label="Close the panel" onClick={onClose}><Icon name="close" size={13} /></button>
      {node && (
        <>
          <header>
            <h2 class="row"><NodeMark node={node} /><span>{nameOf(node)}</span></h2>
            <p class="faint">{KINDS[node.kind] ?? node.kind}</p>
          </header>
          <Numbers of={node} seconds={period.seconds} unit="Requests" />
          <Ways services={servicesOf(graph, selected.node)} own={isService(node)} other={node.name === OTHER} failing={node.errors > 0} period={period}>
            {isService(node) && <button type="button" class="small" onClick={() => onFocus(selected.node)}><Icon name="graph" size={13} />Only around it</button>}
          </Ways>
          <Neighbours title="Called by" graph={graph} edges={graph.incoming[selected.node]!} ends={graph.source} seconds={period.seconds} onNode={onNode} onEdge={onEdge} />
          <Neighbours title="Calls" graph={graph} edges={graph.outgoing[selected.node]!} ends={graph.target} seconds={period.seconds} onNode={onNode} onEdge={onEdge} />
          <Unpaired node={node} />
        </>
      )}
      {edge && (
        <>
          <header>
            <h2 class="edge-ends">
              {[graph.source, graph.target].map((ends, i) => {
                const at = ends[selected.edge]!;
                return <button key={i} type="button" class="link row" onClick={() => onNode(at)}>{i === 1 && <span class="faint">→</span>}<NodeMark node={graph.nodes[at]!} /><span>{nameOf(graph.nodes[at]!)}</span></button>;
              })}
            </h2>
            <p class="faint">{WAYS[edge.connection_type] ?? edge.connection_type}</p>
          </header>
          <Numbers of={edge} seconds={period.seconds} unit={edge.connection_type === "messaging" ? "Messages" : "Calls"} />
          <EdgeWays graph={graph} edge={selected.edge} period={period} />
        </>
      )}
    </aside>
  );
}

export function NodeMark({ node }: { node: GraphNode }) {
  return node.kind === "service" ? <Dot service={node.name} /> : <span class="faint mark"><Icon name={(node.kind in KINDS ? node.kind : "external") as IconName} size={13} /></span>;
}

function Numbers({ of, seconds, unit }: { of: { requests: number; errors: number; p50_ns: string; p95_ns: string; p99_ns: string }; seconds: number; unit: string }) {
  const facts: [string, string, string?][] = [
    [unit, formatCount(of.requests)], ["Rate", rateText(of.requests, seconds)], ["Errors", of.errors > 0 ? `${formatCount(of.errors)} · ${shareText(errorShare(of))}` : "none", of.errors > 0 ? "bad" : "faint"],
    ["p50", tookText(of.p50_ns)], ["p95", tookText(of.p95_ns)], ["p99", tookText(of.p99_ns)],
  ];
  return <dl class="graph-facts">{facts.map(([name, value, look]) => <div key={name}><dt>{name}</dt><dd class={look}>{value}</dd></div>)}</dl>;
}

export const tracesLink = (service: string, { from, to }: Period, failing = false): string => link("traces", { from, to, service, status: failing ? "error" : null });

/** Exactly the requests in which this edge is drawn. */
export function edgeLink(graph: Graph, edge: number, { from, to }: Period, failing = false): string {
  const { source, target } = graph.edges[edge]!;
  return link("traces", { from, to, edge_source: source, edge_target: target, status: failing ? "error" : null });
}

const logsLink = (service: string, { from, to }: Period, severity?: string): string => link("logs", { from, to, service, severity });

function Ways({ services, own, other, failing, period, children }: { services: string[]; own: boolean; other: boolean; failing: boolean; period: Period; children?: ComponentChildren }) {
  if (!own) {
    if (services.length === 0) return null;
    return (
      <section>
        <h3>{other ? "Too many to be kept apart." : "It sends no spans."} What the services around it tell:</h3>
        <ul class="graph-list">
          {services.slice(0, NEIGHBOURS_MAX).map((s) => (
            <li key={s} class="row"><Dot service={s} /><span class="cut grow">{s}</span><a href={tracesLink(s, period)}>traces</a>{failing && <a href={tracesLink(s, period, true)}>failing</a>}<a href={logsLink(s, period)}>logs</a></li>
          ))}
        </ul>
      </section>
    );
  }
  const [service] = services as [string];
  return (
    <div class="row wrap graph-ways">
      <a class="btn small" href={tracesLink(service, period)}>Traces</a>
      {failing && <a class="btn small" href={tracesLink(service, period, true)}>Failing traces</a>}
      <a class="btn small" href={logsLink(service, period)}>Logs</a>
      {failing && <a class="btn small" href={logsLink(service, period, "error")}>Error logs</a>}
      {children}
    </div>
  );
}

function EdgeWays({ graph, edge, period }: { graph: Graph; edge: number; period: Period }) {
  const e = graph.edges[edge]!;
  const ends = [...new Set([graph.source[edge]!, graph.target[edge]!])].map((i) => graph.nodes[i]!).filter(isService);
  return (
    <section>
      <h3>What is behind it</h3>
      <ul class="graph-list">
        <li><a href={edgeLink(graph, edge, period)}>Its traces</a></li>
        {e.errors > 0 && <li><a href={edgeLink(graph, edge, period, true)}>Its traces with errors</a></li>}
        {ends.map((n) => <li key={n.id}><a href={logsLink(n.name, period)}>Logs of {n.name}</a></li>)}
      </ul>
    </section>
  );
}

function Neighbours({ title, graph, edges, ends, seconds, onNode, onEdge }: {
  title: string; graph: Graph; edges: number[]; ends: Int32Array; seconds: number; onNode(at: number): void; onEdge(at: number): void;
}) {
  if (edges.length === 0) return null;
  const sorted = [...edges].sort((a, b) => graph.edges[b]!.requests - graph.edges[a]!.requests || a - b);
  return (
    <section>
      <h3>{title}</h3>
      <ul class="graph-list">
        {sorted.slice(0, NEIGHBOURS_MAX).map((i) => {
          const e = graph.edges[i]!;
          const other = graph.nodes[ends[i]!]!;
          return (
            <li key={i} class="row">
              <button type="button" class="link row grow" title={`Show ${nameOf(other)}`} onClick={() => onNode(ends[i]!)}><NodeMark node={other} /><span class="cut">{nameOf(other)}</span></button>
              {e.errors > 0 && <span class="bad">{shareText(errorShare(e))}</span>}
              <button type="button" class="link soft" title={`Show these ${(WAYS[e.connection_type] ?? "calls").toLowerCase()}`} onClick={() => onEdge(i)}>{rateText(e.requests, seconds)}</button>
            </li>
          );
        })}
        {sorted.length > NEIGHBOURS_MAX && <li class="faint">and {sorted.length - NEIGHBOURS_MAX} more; the table has them all</li>}
      </ul>
    </section>
  );
}

function Unpaired({ node }: { node: GraphNode }) {
  const reasons = reasonsOf(node.unpaired);
  if (reasons.length === 0) return null;
  return (
    <section>
      <h3>Spans without a partner, and other oddities</h3>
      <ul class="graph-list reasons">
        {reasons.map((r) => <li key={r.code} title={r.code}><span class="tag">{formatCount(r.count)}</span><span class="soft">{r.text}</span></li>)}
      </ul>
    </section>
  );
}
