/** One suspect in full: how sure, where, what differs, who suffers, and requests that fail beside such that do not. */
import { useState } from "preact/hooks";
import { getSpan, postFeedback } from "../../api/client";
import type { Evidenced, GraphAnswer, Place, Suspect } from "../../api/shapes";
import { shareText } from "../../draw/graph";
import { type Edges, type Period, phrase } from "../../kit/behind";
import { Meter } from "../../kit/meter";
import { Dot } from "../../kit/service";
import { Bones, TroubleNote } from "../../kit/states";
import type { Loaded } from "../../state/load";
import { useLoad } from "../../state/load";
import { formatDurationNs } from "../../state/time";
import { link } from "../../state/url";
import { GraphSlice } from "./slice";
import { behind, callsLink, kindText } from "./words";

export interface Around {
  fault: Period;
  /** Null when there was nothing to compare with. */
  baseline: Period | null;
  edges: Edges;
  graph: Loaded<GraphAnswer>;
}

export function SuspectInFull({ suspect, around }: { suspect: Suspect; around: Around }) {
  const { graph, fault } = around;
  return (
    <>
      <div class="fault-facts">
        <Confidence suspect={suspect} />
        <Score suspect={suspect} />
        <Places where={suspect.where} suspect={suspect} around={around} />
      </div>
      {suspect.evidence.length > 0 && <section><h3>What differs</h3><Evidence list={suspect.evidence} service={suspect.service} around={around} /></section>}
      <section>
        <h3>Where it is, and where it reaches</h3>
        {graph.data ? <GraphSlice answer={graph.data} suspect={suspect} period={fault} /> : graph.error ? <TroubleNote error={graph.error} retry={graph.reload} /> : <Bones rows={3} />}
      </section>
      <Victims suspect={suspect} around={around} />
      <Examples suspect={suspect} />
      <Feedback suspect={suspect} fault={fault} />
    </>
  );
}

/** Whether it was right, once people know. */
function Feedback({ suspect: { service }, fault }: { suspect: Suspect; fault: Period }) {
  const [said, setSaid] = useState<string | null>(null);
  const say = async (right: boolean) => {
    try {
      await postFeedback({ fault, service, right });
      setSaid(right ? `Kept: it was ${service}.` : `Kept: it was not ${service}.`);
    } catch (error) {
      setSaid(error instanceof Error ? `Not kept: ${error.message}` : "Not kept.");
    }
  };
  return (
    <p class="row wrap feedback">
      <span class="faint">Was it {service}?</span>
      <button type="button" onClick={() => say(true)}>Yes</button>
      <button type="button" onClick={() => say(false)}>No</button>
      <span role="status" class="soft">{said}</span>
    </p>
  );
}

function Confidence({ suspect }: { suspect: Suspect }) {
  return (
    <div>
      <h3>Confidence</h3>
      <p class="large">{shareText(suspect.confidence)}</p>
      <Meter share={suspect.confidence} />
      <p class="faint">that the fault lies in {suspect.service}</p>
    </div>
  );
}

function Score({ suspect }: { suspect: Suspect }) {
  const most = Math.max(1e-9, ...suspect.parts.map((p) => p.score));
  return (
    <div>
      <h3>Score <span class="large">{suspect.score.toFixed(2)}</span></h3>
      <table class="parts">
        <tbody>
          {suspect.parts.map((p) => <tr key={p.name}><th scope="row">{kindText(p.name)}</th><td><Meter share={p.score / most} /></td><td class="num">{p.score.toFixed(2)}</td></tr>)}
        </tbody>
      </table>
      {suspect.parts.length === 0 && <p class="faint">Nothing speaks against it by itself.</p>}
    </div>
  );
}

function Places({ where, suspect, around: { fault, edges } }: { where: Place; suspect: Suspect; around: Around }) {
  const service = suspect.service;
  const [caller, callee] = where.edge.split(" -> ");
  const rows: [string, string, string | null][] = [
    ["Calls", where.edge.replace(" -> ", " → "), caller && callee ? callsLink(caller, callee, fault, edges) : null],
    ["Operation", where.operation, link("traces", { ...fault, service, operation: where.operation })],
    ["In the source", where.location, null],
    ["Instance", where.instance, null],
    ["Version", where.version, link("traces", { ...fault, service, attr: `service.version=${where.version}` })],
  ];
  return (
    <div>
      <h3>Where</h3>
      <dl class="places">
        <div><dt>Service</dt><dd class="row wrap"><a class="row" href={link("graph", { ...fault, node: `service:${service}` })}><Dot service={service} />{service}</a><a class="way" href={link("traces", { ...fault, service })}>traces</a><a class="way" href={link("logs", { ...fault, service })}>logs</a></dd></div>
        {rows.filter(([, value]) => value !== "").map(([name, value, href]) => <div key={name}><dt>{name}</dt><dd>{href ? <a href={href}>{value}</a> : value}</dd></div>)}
      </dl>
    </div>
  );
}

export function Evidence({ list, service, around: { fault, baseline, edges } }: { list: Evidenced[]; service: string; around: Around }) {
  return (
    <div class="scroll">
      <table class="evidence">
        <thead><tr><th>Evidence</th><th class="num">Before</th><th class="num">In the fault</th><th>Strength</th><th>Behind it</th></tr></thead>
        <tbody>
          {list.map((e, i) => {
            const now = behind(e, service, fault, edges);
            const before = baseline && behind(e, service, baseline, edges);
            // A line that can be searched for is read in the logs; everything else shows in traces.
            const line = e.kind.endsWith("_log") && phrase(e.subject) !== null;
            const to = (ways: { traces: string; logs: string | null }) => (line && ways.logs ? ways.logs : ways.traces);
            return (
              <tr key={i}>
                <td><span class="tag">{kindText(e.kind)}</span> {e.text}</td>
                <td class="num">{before ? <a href={to(before)}>{e.baseline}</a> : e.baseline}</td>
                <td class="num"><a href={to(now)}>{e.fault}</a></td>
                <td><span class="row"><Meter share={e.score} /><span class="faint">{e.score.toFixed(2)}</span></span></td>
                <td class="ways"><a href={now.traces}>traces</a>{now.logs && <a href={now.logs}>logs</a>}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Victims({ suspect, around: { fault, edges } }: { suspect: Suspect; around: Around }) {
  return (
    <section>
      <h3>Who suffers from it</h3>
      {suspect.victims.length === 0 ? <p class="faint">No caller is slower or fails because of it.</p> : (
        <ul class="victims">
          {suspect.victims.map((v) => (
            <li key={v.service}>
              <span class="row wrap">
                {v.path.map((name, i) => <span key={i} class="row">{i > 0 && <span class="faint" aria-label="reaches">→</span>}<a class="row" href={link("traces", { ...fault, service: name })}><Dot service={name} />{name}</a></span>)}
              </span>
              <a class="soft" href={v.path.length > 1 ? callsLink(v.service, v.path[v.path.length - 2]!, fault, edges) : link("traces", { ...fault, service: v.service })}>{v.text}</a>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

interface Seen { trace: string; span: string; tookNs: string; request: string; service: string; name: string; spanNs: string; message: string; error: boolean }

/** The deciding spans, as they are stored; one that is gone is still a link. */
function Examples({ suspect }: { suspect: Suspect }) {
  const { failing, good, failing_spans, good_spans } = suspect.examples;
  const pairs = (traces: string[], spans: string[]) => traces.map((trace, i) => ({ trace, span: spans[i] ?? "" }));
  const sides = [{ title: "Failing", list: pairs(failing, failing_spans) }, { title: "Good", list: pairs(good, good_spans) }];
  const all = sides.flatMap((s) => s.list);
  const seen = useLoad(all.length > 0 ? JSON.stringify(all) : null, (signal) => Promise.all(all.map((at) => look(at, signal))));
  if (all.length === 0) return null;
  const of = (at: { trace: string; span: string }) => seen.data?.find((s) => s?.trace === at.trace && s.span === at.span) ?? null;
  const most = Math.max(1, ...(seen.data ?? []).map((s) => Number(s?.tookNs ?? 0)));
  return (
    <section>
      <h3>Requests that show it, beside such that took the same way and do not</h3>
      <div class="examples">
        {sides.map(({ title, list }) => (
          <div key={title}>
            <h4>{title}</h4>
            {list.length === 0 && <p class="faint">None in the windows.</p>}
            <ul>{list.map((at) => <Example key={at.trace} at={at} seen={of(at)} most={most} bad={title === "Failing"} />)}</ul>
          </div>
        ))}
      </div>
    </section>
  );
}

async function look({ trace, span }: { trace: string; span: string }, signal: AbortSignal): Promise<Seen | null> {
  try {
    const answer = await getSpan(trace, span, signal);
    const s = answer.spans[0];
    if (!s) return null;
    return { trace, span, tookNs: answer.duration_ns, request: `${answer.root_service} ${answer.root_operation}`, service: s.service, name: s.name, spanNs: s.duration_ns, message: s.status_message, error: s.status === "error" };
  } catch (error) {
    if (signal.aborted) throw error;
    return null;
  }
}

function Example({ at, seen, most, bad }: { at: { trace: string; span: string }; seen: Seen | null; most: number; bad: boolean }) {
  return (
    <li>
      <a href={link(`trace/${at.trace}`, { span: at.span })}>
        <span class="row"><code title={at.trace}>{at.trace.replace(/^0+/, "").slice(0, 16)}</code><span class="cut grow soft">{seen?.request}</span>{seen && <b>{formatDurationNs(seen.tookNs)}</b>}</span>
        {seen && <span class={`meter ${bad ? "strong" : ""}`} aria-hidden="true"><i style={{ width: `${(Number(seen.tookNs) / most) * 100}%` }} /></span>}
        {seen && <span class="row"><Dot service={seen.service} /><span class="cut">{seen.service} {seen.name}</span><span class="faint took">{formatDurationNs(seen.spanNs)}</span>{seen.error && <span class="bad cut">{seen.message || "error"}</span>}</span>}
      </a>
    </li>
  );
}
