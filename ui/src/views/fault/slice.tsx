/** The part of the service graph around a suspect, as a drawing that can be printed; the way of the fault is marked. */
import type { GraphAnswer, GraphNode, Suspect } from "../../api/shapes";
import { CARD_W, type EdgeShape, edgeId, errorShare, frameOf, fullSize, type NodeShape, rateText, sceneOf, shareText, wholeOf } from "../../draw/graph";
import { edgeName, type Role, sliceOf } from "../../draw/slice";
import { serviceColor } from "../../draw/color";
import { type Period, periodOf } from "../../kit/behind";
import { PATHS } from "../../kit/icons";
import { isDark } from "../../state/prefs";
import { rangeText, zone } from "../../state/range";
import { formatDurationNs, nsToMs } from "../../state/time";
import { link } from "../../state/url";

const LETTERS_MAX = 16;
const STEEP_PX = 24;
const ROLES: Record<Role, string> = { suspect: "suspect", suffers: "suffers", beside: "" };

export function GraphSlice({ answer, suspect, period }: { answer: GraphAnswer; suspect: Suspect; period: Period }) {
  const slice = sliceOf(answer, suspect);
  const { graph } = slice;
  if (graph.nodes.length === 0) return <p class="faint">The graph of this window does not know {suspect.service}.</p>;
  const { width, height } = fullSize(graph.nodes);
  const frame = frameOf(graph.nodes, width, height);
  const scene = sceneOf(graph, frame, wholeOf(frame));
  const seconds = Math.max(1, (nsToMs(answer.to_ns) - nsToMs(answer.from_ns)) / 1000);
  const edges = [...scene.edges].sort((a, b) => Number(slice.path.has(a.at)) - Number(slice.path.has(b.at)));
  // What was measured on an edge itself; the strongest comes first.
  const labels = new Map([...suspect.evidence].reverse().filter((e) => e.where.edge !== "").map((e) => [e.where.edge, `${e.baseline} → ${e.fault}`]));
  const minutes = periodOf(answer);
  const told = graph.nodes.map((n, i) => `${n.name}${ROLES[slice.roles[i]!] && ` (${ROLES[slice.roles[i]!]})`}`).join(", ");
  return (
    <figure class="slice">
      <svg viewBox={`0 0 ${Math.ceil(width)} ${Math.ceil(height)}`} style={{ width: `${Math.ceil(width)}px`, "min-width": `${Math.ceil(width * 0.72)}px` }} role="group" aria-label={`Part of the service graph: ${told}`}>
        {edges.map((e) => {
          const of = graph.edges[e.at]!;
          const ends = `${graph.nodes[graph.source[e.at]!]!.name} → ${graph.nodes[graph.target[e.at]!]!.name}`;
          return <Edge key={edgeId(of)} shape={e} path={slice.path.has(e.at)} label={labels.get(edgeName(graph.nodes[graph.source[e.at]!]!.name, graph.nodes[graph.target[e.at]!]!.name)) ?? ""}
            title={`${ends}: ${rateText(of.requests, seconds)}, ${of.errors > 0 ? `${shareText(errorShare(of))} errors` : "no errors"}, p50 ${formatDurationNs(of.p50_ns)}, p95 ${formatDurationNs(of.p95_ns)}`}
            href={link("traces", { ...period, edge_source: of.source, edge_target: of.target })} />;
        })}
        {scene.nodes.map((n) => <Node key={graph.nodes[n.at]!.id} shape={n} of={graph.nodes[n.at]!} role={slice.roles[n.at]!} seconds={seconds} href={link("graph", { ...period, node: graph.nodes[n.at]!.id })} />)}
      </svg>
      <figcaption class="faint">
        {slice.path.size > 0 && <span class="row"><i class="key way" />the way of the fault</span>}
        {[...graph.nodes, ...graph.edges].some((x) => x.errors > 0) && <span class="row"><i class="key fails" />share that fails</span>}
        <span>numbers of whole minutes, {rangeText(minutes.from, minutes.to, zone.value, 0)}</span>
        {slice.more > 0 && <span>{slice.more} more beside {suspect.service} are not drawn</span>}
        <a href={link("graph", { ...period, service: suspect.service, node: `service:${suspect.service}` })}>Open the graph around it</a>
      </figcaption>
    </figure>
  );
}

const curve = ([x0, y0, x1, y1, x2, y2, x3, y3]: EdgeShape["curve"]) => `M${r(x0)} ${r(y0)}C${r(x1)} ${r(y1)} ${r(x2)} ${r(y2)} ${r(x3)} ${r(y3)}`;
const r = (n: number) => Math.round(n * 10) / 10;

function Edge({ shape: e, path, label, title, href }: { shape: EdgeShape; path: boolean; label: string; title: string; href: string }) {
  const width = 1 + e.width * 0.4 + (path ? 1.2 : 0);
  const [x, y, turn] = e.tip;
  const [dx, dy, half] = [Math.cos(turn), Math.sin(turn), e.arrow * 0.6];
  const [bx, by] = [x - dx * e.arrow, y - dy * e.arrow];
  // Beside a steep line, above a flat one.
  const rise = Math.abs(e.curve[1] - e.curve[7]) > STEEP_PX ? e.curve[1] - e.curve[7] : 0;
  return (
    <a href={href} class={path ? "edge way" : "edge"} tabIndex={path ? 0 : -1} aria-label={title}>
      <title>{title}</title>
      <path class="reach" d={curve(e.curve)} />
      <path d={curve(e.curve)} stroke-width={width} stroke-dasharray={e.dashed ? "6 4" : undefined} />
      {e.failed && <path class="failed" d={curve(e.failed)} stroke-width={width} />}
      <polygon points={`${r(x)},${r(y)} ${r(bx - dy * half)},${r(by + dx * half)} ${r(bx + dy * half)},${r(by - dx * half)}`} />
      {label && <text class="label" text-anchor={rise > STEEP_PX ? "end" : rise < -STEEP_PX ? "start" : "middle"} x={r(e.middle[0] - 8 * Math.sign(rise))} y={r(e.middle[1] - 6)}>{label}</text>}
    </a>
  );
}

function Node({ shape: n, of, role, seconds, href }: { shape: NodeShape; of: GraphNode; role: Role; seconds: number; href: string }) {
  const k = (n.rx * 2) / CARD_W;
  const [left, top] = [n.x - n.rx, n.y - n.ry];
  const cx = left + 23 * k;
  const text = left + 45 * k;
  const name = of.name || of.kind;
  const service = of.kind === "service";
  return (
    <a href={href} class={`node ${role}`} aria-label={`${name}${ROLES[role] && `, ${ROLES[role]}`}`}>
      <title>{name}</title>
      <rect x={r(left)} y={r(top)} width={r(n.rx * 2)} height={r(n.ry * 2)} rx={9} stroke-dasharray={of.kind === "external" || of.kind === "user" ? "4 3" : undefined} />
      <circle cx={r(cx)} cy={r(n.y)} r={r(14 * k)} style={{ stroke: service ? serviceColor(of.name, isDark.value) : "var(--text-faint)" }} />
      {n.error > 0 && <circle class="failed" cx={r(cx)} cy={r(n.y)} r={r(14 * k)} pathLength={100} stroke-dasharray={`${r(Math.max(5, n.error * 100))} 100`} transform={`rotate(-90 ${r(cx)} ${r(n.y)})`} />}
      <path class="sign" d={PATHS[of.kind in PATHS ? (of.kind as keyof typeof PATHS) : "external"]} transform={`translate(${r(cx - 7 * k)} ${r(n.y - 7 * k)}) scale(${r(8.75 * k) / 10})`} />
      <text class="name" x={r(text)} y={r(n.y - 3 * k)}>{name.length > LETTERS_MAX ? `${name.slice(0, LETTERS_MAX - 1)}…` : name}</text>
      <text class="numbers" x={r(text)} y={r(n.y + 13 * k)}>
        {rateText(of.requests, seconds)}{of.errors > 0 && <tspan class="fails" dx="7">{shareText(errorShare(of))}</tspan>}{of.p95_ns !== "0" && <tspan dx="7">{formatDurationNs(of.p95_ns)}</tspan>}
      </text>
      {ROLES[role] && <text class="role" x={r(left + 4)} y={r(top - 6)}>{ROLES[role]}</text>}
    </a>
  );
}
