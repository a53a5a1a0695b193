/** The same data in rows: to sort, to search with the browser, to read without seeing the drawing. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { edgeId, errorShare, type Graph, rateText, shareText } from "../../draw/graph";
import { formatCount } from "../../draw/scale";
import { setParams } from "../../state/url";
import type { Chosen } from "./paint";
import { edgeLink, NodeMark, type Period, tracesLink } from "./panel";
import { KINDS, nameOf, servicesOf, tookText, WAYS } from "./words";

interface Measured { requests: number; errors: number; p50_ns: string; p95_ns: string; p99_ns: string }

const SORTS: { key: string; text: string; of(m: Measured): number }[] = [
  { key: "rate", text: "Rate", of: (m) => m.requests },
  { key: "errors", text: "Errors", of: (m) => errorShare(m) + m.errors * 1e-12 },
  { key: "p50", text: "p50", of: (m) => Number(m.p50_ns) },
  { key: "p95", text: "p95", of: (m) => Number(m.p95_ns) },
  { key: "p99", text: "p99", of: (m) => Number(m.p99_ns) },
];

const ROWS_MAX = 300;

export function GraphTable({ graph, period, selected, sort, onNode, onEdge }: { graph: Graph; period: Period; selected: Chosen; sort: string | null; onNode(at: number): void; onEdge(at: number): void }) {
  const by = SORTS.find((s) => s.key === sort) ?? SORTS[0]!;
  const sorted = (rows: Measured[], name: (i: number) => string) => rows.map((_, i) => i).sort((a, b) => by.of(rows[b]!) - by.of(rows[a]!) || (name(a) < name(b) ? -1 : 1));
  const traces = (service: string | null | undefined, failing: boolean) => (service ? <><a href={tracesLink(service, period)}>traces</a>{failing && <a href={tracesLink(service, period, true)}>failing</a>}</> : <span class="faint">–</span>);
  return (
    <div class="graph-table">
      <Rows title="Nodes" first={["Name", "Kind"]} by={by.key} list={sorted(graph.nodes, (i) => graph.nodes[i]!.id)} row={(i) => {
        const n = graph.nodes[i]!;
        const services = servicesOf(graph, i);
        return (
          <tr key={n.id} class={i === selected.node ? "at" : ""}>
            <td><button type="button" class="link row" onClick={() => onNode(i)}><NodeMark node={n} /><span class="cut">{nameOf(n)}</span></button></td>
            <td class="faint">{KINDS[n.kind] ?? n.kind}</td>
            <Cells of={n} seconds={period.seconds} />
            <td class="num">{traces(services.length === 1 ? services[0] : null, n.errors > 0)}</td>
          </tr>
        );
      }} />
      <Rows title="Edges" first={["From → to", "How"]} by={by.key} list={sorted(graph.edges, (i) => edgeId(graph.edges[i]!))} row={(i) => {
        const e = graph.edges[i]!;
        const [source, target] = [graph.nodes[graph.source[i]!]!, graph.nodes[graph.target[i]!]!];
        return (
          <tr key={edgeId(e)} class={i === selected.edge ? "at" : ""}>
            <td><button type="button" class="link row" onClick={() => onEdge(i)}><NodeMark node={source} /><span class="cut">{nameOf(source)}</span><span class="faint">→</span><NodeMark node={target} /><span class="cut">{nameOf(target)}</span></button></td>
            <td class="faint">{WAYS[e.connection_type] ?? e.connection_type}</td>
            <Cells of={e} seconds={period.seconds} />
            <td class="num"><a href={edgeLink(graph, i, period)}>traces</a>{e.errors > 0 && <a href={edgeLink(graph, i, period, true)}>failing</a>}</td>
          </tr>
        );
      }} />
    </div>
  );
}

function Cells({ of, seconds }: { of: Measured; seconds: number }) {
  return (
    <>
      <td class="num" title={`${formatCount(of.requests)} in the window`}>{rateText(of.requests, seconds)}</td>
      <td class={`num ${of.errors > 0 ? "bad" : "faint"}`} title={`${formatCount(of.errors)} in the window`}>{of.errors > 0 ? shareText(errorShare(of)) : "–"}</td>
      <td class="num">{tookText(of.p50_ns)}</td><td class="num">{tookText(of.p95_ns)}</td><td class="num">{tookText(of.p99_ns)}</td>
    </>
  );
}

function Rows({ title, first, by, list, row }: { title: string; first: [string, string]; by: string; list: number[]; row(i: number): ComponentChildren }) {
  const [all, setAll] = useState(false);
  if (list.length === 0) return null;
  const shown = all ? list : list.slice(0, ROWS_MAX);
  return (
    <section>
      <h2>{title} <span class="faint">{list.length.toLocaleString("en-US")}</span></h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              {first.map((text) => <th key={text}>{text}</th>)}
              {SORTS.map((s) => (
                <th key={s.key} class="num" aria-sort={s.key === by ? "descending" : undefined}>
                  <button type="button" class="link" aria-pressed={s.key === by} title={`Largest ${s.text.toLowerCase()} first`} onClick={() => setParams({ sort: s.key === "rate" ? null : s.key }, true)}>{s.text}{s.key === by ? " ↓" : ""}</button>
                </th>
              ))}
              <th class="num">Behind it</th>
            </tr>
          </thead>
          <tbody>{shown.map(row)}</tbody>
        </table>
      </div>
      {shown.length < list.length && <div class="foot"><button type="button" class="small" onClick={() => setAll(true)}>Show all {list.length.toLocaleString("en-US")}</button></div>}
    </section>
  );
}
