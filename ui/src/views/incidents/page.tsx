/** The list of incidents, and what is wrong now above the home page: who is to blame first. Asks again while seen. */
import { useEffect } from "preact/hooks";
import { getIncidents } from "../../api/client";
import type { Incident } from "../../api/shapes";
import { Elsewhere } from "../../kit/elsewhere";
import { RangePicker } from "../../kit/range-picker";
import { Dot } from "../../kit/service";
import { Bones, Empty, Trouble, TroubleNote } from "../../kit/states";
import { useLoad } from "../../state/load";
import { range, turn, zone } from "../../state/range";
import { formatMs, formatUs, nsToMs } from "../../state/time";
import { link } from "../../state/url";
import { byService, placeOf, windowsOf } from "./words";
import "./incidents.css";

const AGAIN_MS = 10_000;
const HOME_MAX = 3;

export function useAgain(reload: () => void) {
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && reload(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [reload]);
}

export function IncidentsPage() {
  const loaded = useLoad(`incidents ${turn.value} ${JSON.stringify(range.value)}`, (signal) => getIncidents(range.value, signal));
  useAgain(loaded.reload);
  const { data, error } = loaded;
  return (
    <main class="page incidents-page">
      <div class="row wrap"><h1 class="sr">Incidents</h1><Tabs at="incidents" /><span class="grow" /><RangePicker /></div>
      {error && data && <TroubleNote error={error} retry={loaded.reload} />}
      {!data ? (error ? <Trouble error={error} retry={loaded.reload} /> : <Bones rows={6} />) : data.incidents.length === 0 ? (
        <Empty title="No incident in this time" icon="check">
          <p>What deviates from its own last hour opens one by itself; <a href={link("rules")}>rules</a> open one whatever is usual.</p>
          <div class="row"><Elsewhere /></div>
        </Empty>
      ) : data.incidents.map((one) => <Card key={one.id} incident={one} />)}
    </main>
  );
}

export function Tabs({ at }: { at: "incidents" | "rules" }) {
  const tab = (to: "incidents" | "rules", text: string) => <a class="btn" href={link(to)} aria-current={at === to ? "page" : undefined}>{text}</a>;
  return <nav class="subpages" aria-label="Of incidents">{tab("incidents", "Incidents")}{tab("rules", "Rules and silences")}</nav>;
}

/** Above the home page: what is wrong now. */
export function OpenIncidents() {
  const loaded = useLoad(`open ${turn.value}`, (signal) => getIncidents({ state: "open" }, signal));
  useAgain(loaded.reload);
  const open = loaded.data?.incidents ?? [];
  if (open.length === 0) return null;
  return (
    <section class="open-incidents" aria-label="Open incidents">
      {open.slice(0, HOME_MAX).map((one) => <Card key={one.id} incident={one} short />)}
      {open.length > HOME_MAX && <a href={link("incidents")}>All {open.length} open incidents</a>}
    </section>
  );
}

function Card({ incident, short = false }: { incident: Incident; short?: boolean }) {
  const [first] = incident.suspects;
  const to = link(`incidents/${encodeURIComponent(incident.id)}`);
  const { fault } = windowsOf(incident, Date.now());
  const services = byService(incident.symptoms).length;
  const count = incident.symptoms.length + incident.symptoms_more;
  return (
    <article class={`incident ${incident.state}`}>
      <h2 class="row wrap">
        <State incident={incident} />
        <a class="row" href={to}>{placeOf(incident) && <Dot service={placeOf(incident)} />}{placeOf(incident) || "Somewhere"}</a>
        <When incident={incident} />
        <Marks incident={incident} />
      </h2>
      <p class="sentence">{first?.summary || incident.summary || "Nobody stands out yet."}</p>
      {!short && <p class="soft">{incident.symptoms[0]?.text}{count > 1 && <span class="faint">{` and ${count - 1} more ${count === 2 ? "symptom" : "symptoms"}${services > 1 ? `, in ${services} services` : ""}`}</span>}</p>}
      {first && first.victims.length > 0 && <p class="faint">Suffering from it: {first.victims.join(", ")}</p>}
      <p class="row wrap acts">
        <a class="btn small" href={to}>Open</a><a class="btn small" href={link("fault", fault)}>Fault report</a>
        {incident.closed_ns === null && !incident.silenced_by && <a class="btn small" href={`${to}?silence=1`}>Silence…</a>}
      </p>
    </article>
  );
}

const STATES: Record<string, string> = { open: "bad", suspected: "warn" };

export const State = ({ incident: { state } }: { incident: Incident }) => <span class={`tag ${STATES[state] ?? ""}`}>{state}</span>;

export function When({ incident }: { incident: Incident }) {
  const time = (ns: string) => formatMs(nsToMs(ns), zone.value, "second");
  const lasted = ((incident.closed_ns === null ? Date.now() : nsToMs(incident.closed_ns)) - nsToMs(incident.onset_ns)) * 1000;
  return <span class="faint when">{incident.closed_ns === null ? `since ${time(incident.onset_ns)}` : `${time(incident.onset_ns)} – ${time(incident.closed_ns).slice(11)}`} ({formatUs(lasted)})</span>;
}

export function Marks({ incident }: { incident: Incident }) {
  return (
    <>
      {incident.silenced_by && <a class="tag" href={link("rules")} title="Nobody is told">silenced: {incident.silenced_by}</a>}
      {incident.rule && <a class="tag" href={link("rules")}>rule {incident.rule}</a>}
      {incident.reopened > 0 && <span class="tag">came back {incident.reopened === 1 ? "once" : `${incident.reopened} times`}</span>}
    </>
  );
}
