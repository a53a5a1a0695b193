/** The fault report: who is guilty of what was wrong in a window, and why. The server says it; here it stands on one page. */
import { useMemo } from "preact/hooks";
import { ApiError, getGraph, getServices, getSuspects } from "../../api/client";
import type { Compared, Suspect, SuspectsAnswer } from "../../api/shapes";
import { shareText } from "../../draw/graph";
import { edgesByName } from "../../draw/slice";
import { periodOf, windowText } from "../../kit/behind";
import { Icon } from "../../kit/icons";
import { Meter } from "../../kit/meter";
import { Dot } from "../../kit/service";
import { Bones, Empty, PartialNote, Trouble, TroubleNote } from "../../kit/states";
import { useCommands } from "../../state/commands";
import { useLoad } from "../../state/load";
import { isoTime, range, turn, zone } from "../../state/range";
import { formatMs, formatUs, nsToMs } from "../../state/time";
import { link, params, setParams } from "../../state/url";
import { type Around, Evidence, SuspectInFull } from "./suspect";
import { Windows } from "./windows";
import { isEmpty, VERDICTS } from "./words";
import "./fault.css";

const HOUR_MS = 3_600_000;

export function FaultPage() {
  const p = params.value;
  const from = p.get("baseline_from");
  const baseline = from ? { from, to: p.get("baseline_to") } : null;
  const question = { fault: { ...range.value }, baseline, service: p.get("service") };
  const key = JSON.stringify(question);
  const loaded = useLoad(`${turn.value} ${key}`, async (signal) => ({ key, answer: await getSuspects(question, signal) }));
  useCommands([
    { id: "print-report", keys: ["P"], text: "Print the report", group: "Fault", run: () => print() },
    { id: "next-suspect", keys: ["j", "ArrowDown"], text: "Next suspect", group: "Fault", run: () => step(1) },
    { id: "previous-suspect", keys: ["k", "ArrowUp"], text: "Previous suspect", group: "Fault", run: () => step(-1) },
    { id: "fold-all", keys: ["Escape"], text: "Fold the other suspects", group: "Fault", run: () => setParams({ open: [] }, true) },
  ]);
  const { data, error, loading } = loaded;
  return (
    <main class="page fault-page">
      <h1 class="sr">Fault report</h1>
      <Windows answer={data?.key === key ? data.answer : null} />
      {error && data && <TroubleNote error={error} retry={loaded.reload} />}
      <div class={`fault ${loading ? "busy" : ""}`}>
        {error && !data ? <><Trouble error={error} retry={loaded.reload} />{error instanceof ApiError && error.code === "invalid_argument" && <Others />}</>
          : !data ? <><p class="faint">Comparing the traces of two windows; many take a few seconds.</p><Bones rows={12} /></>
          : <Report answer={data.answer} />}
      </div>
    </main>
  );
}

const step = (by: number) => {
  const all = [...document.querySelectorAll<HTMLElement>(".other > h3 > button")];
  const at = all.indexOf(document.activeElement as HTMLElement);
  (all[at + by] ?? all[by > 0 ? 0 : all.length - 1])?.focus();
};

function Report({ answer }: { answer: SuspectsAnswer }) {
  const fault = periodOf(answer.fault);
  const graph = useLoad(answer.fault.spans > 0 ? JSON.stringify(fault) : null, (signal) => getGraph(fault, signal));
  const edges = useMemo(() => (graph.data ? edgesByName(graph.data) : new Map()), [graph.data]);
  const around: Around = { fault, baseline: isEmpty(answer.baseline) ? null : periodOf(answer.baseline), edges, graph };
  const none = answer.verdict === "no_fault";
  const [first, ...rest] = answer.suspects;
  // Without a fault nobody is shown as its suspect; what differs most can still be looked at.
  const others = none ? answer.suspects : rest;
  return (
    <>
      <Verdict answer={answer} />
      <PartialNote reason={answer.partial ? (answer.partial_reason ?? "not all traces were looked at") : null} />
      {answer.notices.length > 0 && <section><h2>No service's fault, but wrong</h2><Evidence list={answer.notices} service="" around={around} /></section>}
      {none && <NoFault answer={answer} />}
      {!none && !first && answer.notices.length === 0 && <Empty title="Nobody to suspect" icon="search"><p>Give a window to compare with in which requests were served, or look at another time.</p><Others /></Empty>}
      {first && !none && (
        <article class="first">
          <h2 class="row"><span class="faint">{answer.verdict === "localised" ? "Suspect" : "First guess"}</span><Dot service={first.service} /><span>{first.service}</span></h2>
          {!answer.summary.includes(first.summary) && <p>{first.summary}</p>}
          <SuspectInFull suspect={first} around={around} />
          {first.not_runner_up && rest[0] && <section><h3>Why it is not {rest[0].service}</h3><p>{first.not_runner_up}.</p></section>}
        </article>
      )}
      {others.length > 0 && <section class="others"><h2>{none ? "What differs most, and no more than usual" : "Other suspects"}</h2>{others.map((s) => <Other key={s.service} suspect={s} around={around} />)}</section>}
      <p class="printed faint">{location.href}</p>
    </>
  );
}

function Verdict({ answer }: { answer: SuspectsAnswer }) {
  const verdict = VERDICTS[answer.verdict] ?? { text: answer.verdict, look: "" };
  return (
    <header class="verdict">
      <p><span class={`tag ${verdict.look}`}>{verdict.text}</span></p>
      <p class="sentence">{answer.summary}</p>
      <dl class="windows">
        <Window name="Fault" of={answer.fault} how={null} />
        <Window name="Compared with" of={answer.baseline} how={answer.baseline.chosen ? "the usual minutes in it, chosen by Hypocenter" : "given"} />
        {params.value.get("service") && <div><dt>Only</dt><dd>what {params.value.get("service")} depends on, itself included</dd></div>}
        <div class="took"><dt>Took</dt><dd>{formatUs(answer.took_ms * 1000)}</dd></div>
      </dl>
    </header>
  );
}

function Window({ name, of, how }: { name: string; of: Compared; how: string | null }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{isEmpty(of) ? "nothing: no usual minutes were found" : <>{windowText(of, zone.value)}, <a href={link("traces", { ...periodOf(of) })}>{of.spans.toLocaleString("en-US")} spans</a> looked at{how && `; ${how}`}</>}</dd>
    </div>
  );
}

function Other({ suspect, around }: { suspect: Suspect; around: Around }) {
  const opened = params.value.getAll("open");
  const open = opened.includes(suspect.service);
  const toggle = () => setParams({ open: open ? opened.filter((s) => s !== suspect.service) : [...opened, suspect.service] }, true);
  return (
    <article class="other">
      <h3>
        <button type="button" class="plain" aria-expanded={open} onClick={toggle}>
          <Icon name={open ? "down" : "right"} size={12} /><Dot service={suspect.service} /><b class="cut">{suspect.service}</b>
          <Meter share={suspect.confidence} /><span class="faint num">{shareText(suspect.confidence)}</span><span class="soft cut">{suspect.summary || "Nothing speaks against it by itself."}</span>
        </button>
      </h3>
      {open && <SuspectInFull suspect={suspect} around={around} />}
    </article>
  );
}

function NoFault({ answer }: { answer: SuspectsAnswer }) {
  const empty = answer.fault.spans === 0;
  return (
    <Empty title={empty ? "No span in the fault window" : "Nothing stands out in this window"} icon={empty ? "inbox" : "check"}>
      <p>{empty ? "Choose a time in which requests were served." : "If something was wrong then, choose the window more narrowly, or give a window to compare with in which all was well. What fails anyway stands in the traces."}</p>
      <Others errors={empty ? null : link("traces", { ...periodOf(answer.fault), status: "error" })} />
    </Empty>
  );
}

/** What to do when there is no report: other times. */
function Others({ errors = null }: { errors?: string | null }) {
  const services = useLoad(`everything ${turn.value}`, (signal) => getServices({ from: "now-3650d", to: "now" }, signal));
  const last = Math.max(0, ...(services.data?.services ?? []).map((s) => nsToMs(s.last_seen_ns)));
  const old = last > 0 && Date.now() - last > HOUR_MS;
  return (
    <div class="row fault-next">
      {errors && <a class="btn" href={errors}>Requests with errors in it</a>}
      {old && <button type="button" class="primary" onClick={() => setParams({ from: isoTime(last - HOUR_MS), to: isoTime(last + 60_000) })}>The newest data, {formatMs(last, zone.value, "minute")}</button>}
      {[["now-15m", "Last 15 minutes"], ["now-1h", "Last hour"], ["now-6h", "Last 6 hours"]].map(([from, text]) => <button key={from} type="button" onClick={() => setParams({ from, to: null })}>{text}</button>)}
    </div>
  );
}
