/** What changed between two windows, or two versions of a service; what has to do with failing requests first, as the server orders it. */
import { getChanges, getGraph, getServices } from "../../api/client";
import type { Changed, ChangesAnswer, ChangesWindow } from "../../api/shapes";
import { formatCount } from "../../draw/scale";
import { edgesByName } from "../../draw/slice";
import { periodOf, windowText } from "../../kit/behind";
import { Combo } from "../../kit/combo";
import { CopyButton } from "../../kit/copy";
import { Meter } from "../../kit/meter";
import { RangePicker } from "../../kit/range-picker";
import { Dot } from "../../kit/service";
import { Bones, Empty, PartialNote, Trouble, TroubleNote } from "../../kit/states";
import { WindowForm } from "../../kit/window-form";
import { useLoad } from "../../state/load";
import { isoTime, range, turn, windowMs, zone } from "../../state/range";
import { link, params, query, setParams } from "../../state/url";
import { effectText, kindText, nounsOf, partsOf, waysOf } from "./words";
import "./changes.css";

const LIMIT = { first: 100, most: 1000 };

export function ChangesPage() {
  const p = params.value;
  const byVersion = p.get("by") === "versions";
  const [service, was, is] = ["service", "before_version", "after_version"].map((key) => p.get(key));
  const after = { after_from: range.value.from, after_to: range.value.to, service };
  const question = byVersion ? { ...after, before_version: was, after_version: is } : { ...after, before_from: p.get("before_from"), before_to: p.get("before_to") };
  const limit = p.get("all") ? LIMIT.most : LIMIT.first;
  const missing = byVersion && !(service && was && is);
  const key = `${turn.value} ${limit} ${JSON.stringify(question)}`;
  const loaded = useLoad(missing ? null : key, async (signal) => ({ key, answer: await getChanges(question, limit, signal) }));
  const { data, error, loading } = loaded;
  return (
    <main class="page changes-page">
      <h1 class="sr">What changed</h1>
      <Windows answer={data?.key === key ? data.answer : null} byVersion={byVersion} />
      {error && data && <TroubleNote error={error} retry={loaded.reload} />}
      <div class={`changes ${loading ? "busy" : ""}`}>
        {missing ? <Empty title="Choose a service and two of its versions" icon="search"><p>Their requests in the window above are then compared.</p></Empty>
          : data ? <Changes answer={data.answer} byVersion={byVersion} />
          : error ? <Trouble error={error} retry={loaded.reload} />
          : <><p class="faint">Comparing the traces of two windows; many take a few seconds.</p><Bones rows={10} /></>}
      </div>
    </main>
  );
}

function Windows({ answer, byVersion }: { answer: ChangesAnswer | null; byVersion: boolean }) {
  const p = params.value;
  const window = { ...range.value };
  const service = p.get("service") ?? "";
  const from = p.get("before_from");
  const services = useLoad(`${turn.value} ${JSON.stringify(window)}`, (signal) => getServices(window, signal));
  const give = () => {
    const { fromMs, toMs } = windowMs.value;
    const before = answer && !byVersion ? periodOf(answer.before) : { from: isoTime(2 * fromMs - toMs), to: isoTime(fromMs) };
    setParams({ by: null, before_from: before.from, before_to: before.to });
  };
  const way = byVersion ? "versions" : from ? "window" : "before";
  return (
    <div class="row wrap">
      <span class="row"><span class="faint">Now</span><RangePicker /></span>
      <span class="row wrap"><span class="faint">against</span>
        <span class="seg" role="group" aria-label="What it is compared with">
          <button type="button" aria-pressed={way === "before"} title="As long a time right before it" onClick={() => setParams({ by: null, before_from: null, before_to: null })}>right before</button>
          <button type="button" aria-pressed={way === "window"} title="A window of your own" onClick={() => way !== "window" && give()}>a window</button>
          <button type="button" aria-pressed={way === "versions"} title="Two versions of a service, within one window" onClick={() => setParams({ by: "versions", before_from: null, before_to: null })}>a version</button>
        </span>
      </span>
      {way === "window" && <WindowForm label="Before" name="before" from={from!} to={p.get("before_to") ?? "now"} />}
      <Combo label="Only what belongs to this service" placeholder={byVersion ? "Service" : "Any service"} width={170} value={service} empty={services.error ? "Services could not be read" : "No service in this time range"}
        choices={(services.data?.services ?? []).map((s) => ({ value: s.name, note: formatCount(s.spans), mark: <Dot service={s.name} /> }))}
        onChange={(v) => setParams({ service: v })} />
      {byVersion && <Versions service={service} />}
      <span class="grow" />
      {answer && <CopyButton text={() => fixedLink(answer, byVersion)} title="Copy a link to this comparison: its windows no longer move with the clock" icon="link" class="" />}
    </div>
  );
}

/** Offers the versions that the window has more or less of than the time before it. */
function Versions({ service }: { service: string }) {
  const p = params.value;
  const known = useLoad(service ? `${turn.value} ${service} ${JSON.stringify(range.value)}` : null, (signal) => getChanges({ after_from: range.value.from, after_to: range.value.to, service }, LIMIT.most, signal));
  const choices = (known.data?.changes ?? []).filter((c) => partsOf(c.kind).noun === "version").map((c) => ({ value: c.subject, note: kindText(c.kind).split(":")[0]! }));
  const field = (name: string, label: string) => <Combo label={label} placeholder={label} width={130} value={p.get(name) ?? ""} choices={choices} empty="No version came or went; type one" disabled={!service} onChange={(v) => setParams({ [name]: v })} />;
  return <>{field("before_version", "Version before")}<span class="faint" aria-hidden="true">→</span>{field("after_version", "Version now")}</>;
}

function fixedLink({ before, after }: ChangesAnswer, byVersion: boolean): string {
  const { from, to } = periodOf(before);
  return location.origin + location.pathname + query({ ...periodOf(after), ...(byVersion ? {} : { before_from: from, before_to: to }) }, params.value);
}

function Changes({ answer, byVersion }: { answer: ChangesAnswer; byVersion: boolean }) {
  const p = params.value;
  const { changes, before, after } = answer;
  const noun = p.get("kind");
  const nouns = nounsOf(changes);
  const shown = noun ? changes.filter((c) => partsOf(c.kind).noun === noun) : changes;
  const windows = [periodOf(before), periodOf(after)] as const;
  // Only the graph knows the ends of a call.
  const edges = useLoad(changes.some((c) => partsOf(c.kind).noun === "edge") ? JSON.stringify(windows) : null, async (signal) => {
    const [was, is] = await Promise.all(windows.map((w) => getGraph(w, signal)));
    return new Map([...edgesByName(was!), ...edgesByName(is!)]);
  });
  const names = byVersion ? [`Version ${p.get("before_version")}`, `Version ${p.get("after_version")}`] as const : ["Before", "Now"] as const;
  const ratio = after.requests > 0 ? after.failing / after.requests : 0;
  return (
    <>
      <dl class="compared">
        {!byVersion && <Window name="Before" of={before} />}
        <Window name={byVersion ? "In" : "Now"} of={after} />
      </dl>
      <PartialNote reason={answer.partial ? (answer.partial_reason ?? "not everything was compared") : null} />
      {changes.length === 0 ? <Empty title="Nothing changed" icon="check"><p>Nothing is new, gone, or seen far more or less often. Rates are compared, and what was seen only a few times is not told.</p></Empty> : (
        <>
          <div class="row wrap" role="group" aria-label="Only changes of">
            <button type="button" class="small" aria-pressed={!noun} onClick={() => setParams({ kind: null }, true)}>All {changes.length}</button>
            {nouns.map((n) => <button key={n.noun} type="button" class="small" aria-pressed={noun === n.noun} onClick={() => setParams({ kind: n.noun }, true)}>{n.text} {n.count}</button>)}
          </div>
          <table class="changed">
            <thead><tr><th scope="col">What</th><th scope="col">{names[0]}</th><th scope="col">{names[1]}</th><th scope="col" title="Share of the failing requests that have it, less the share of the others; of what is gone, that would have had it">In failing requests</th><th scope="col">Behind it</th></tr></thead>
            <tbody>{shown.map((c) => <Row key={`${c.kind} ${c.service} ${c.subject}`} change={c} older={olderOf(c, changes)} names={names} ways={windows.map((w) => waysOf(c, w, edges.data ?? new Map()))} />)}</tbody>
          </table>
          <p class="faint">{ratio > 0 ? "First what failing requests have and others lack: the share of the failing ones less the share of the others." : "No request fails now: the largest change is first."}</p>
          {answer.total_changes > changes.length && <p class="foot">The first {changes.length} of {answer.total_changes.toLocaleString("en-US")} changes. {!p.get("all") && <button type="button" onClick={() => setParams({ all: "1" }, true)}>Show more</button>}</p>}
        </>
      )}
    </>
  );
}

function Window({ name, of }: { name: string; of: ChangesWindow }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{windowText(of, zone.value)}, <a href={link("traces", { ...periodOf(of), service: params.value.get("service") })}>{formatCount(of.requests)} requests</a>{of.failing > 0 && <>, <a class="bad" href={link("traces", { ...periodOf(of), service: params.value.get("service"), status: "error" })}>{formatCount(of.failing)} fail</a></>}</dd>
    </div>
  );
}

/** The version that a new one, or one seen more often, takes the place of. */
function olderOf({ kind, service, subject }: Changed, all: Changed[]): string | null {
  if (kind !== "new_version" && kind !== "more_version") return null;
  return all.find((c) => partsOf(c.kind).noun === "version" && c.service === service && c.subject !== subject)?.subject ?? null;
}

function Row({ change, older, names, ways: [was, is] }: { change: Changed; older: string | null; names: readonly [string, string]; ways: ReturnType<typeof waysOf>[] }) {
  const { turn } = partsOf(change.kind);
  // What is gone is seen before.
  const now = turn === "vanished" ? was! : is!;
  const count = (text: string, { traces, logs }: ReturnType<typeof waysOf>) => (text.startsWith("not once") ? <span class="faint">{text}</span> : <a href={(logs && !traces ? logs : traces) ?? undefined}>{text}</a>);
  return (
    <tr>
      <td title={change.text}>
        <span class="tag">{kindText(change.kind)}</span> {partsOf(change.kind).noun !== "edge" && <b class="of"><Dot service={change.service} /> {change.service}</b>} <span class="subject">{change.subject}</span>
        {change.location && change.location !== change.subject && <span class="faint"> {change.location}</span>}
      </td>
      <td data-name={names[0]}>{count(change.before, was!)}</td>
      <td data-name={names[1]}>{count(change.after, is!)}</td>
      <td data-name="In failing requests"><span class="row"><Meter share={Math.abs(change.effect)} /><span class={change.effect === 0 ? "faint" : ""}>{effectText(change.effect)}</span></span></td>
      <td class="ways">{now.traces && <a href={now.traces}>traces</a>}{now.logs && <a href={now.logs}>logs</a>}{now.graph && <a href={now.graph}>graph</a>}{older && <a href={link("changes", { ...range.value, by: "versions", service: change.service, before_version: older, after_version: change.subject })}>compare</a>}</td>
    </tr>
  );
}
