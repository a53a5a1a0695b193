/** Incidents: what was or is wrong, who is to blame, and the way to the report. Asks again while seen. */
import { useEffect } from "preact/hooks";
import { getIncident, getIncidents } from "../../api/client";
import type { Incident } from "../../api/shapes";
import { RangePicker } from "../../kit/range-picker";
import { Dot } from "../../kit/service";
import { Bones, Empty, Trouble, TroubleNote } from "../../kit/states";
import { useLoad } from "../../state/load";
import { isoTime, range, turn, zone } from "../../state/range";
import { formatMs, nsToMs } from "../../state/time";
import { link } from "../../state/url";

const AGAIN_MS = 10_000;
const BEFORE_MS = 60_000;

function useAgain(reload: () => void) {
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
    <main class="page">
      <div class="row wrap"><h1>Incidents</h1><span class="grow" /><RangePicker /></div>
      {error && data && <TroubleNote error={error} retry={loaded.reload} />}
      {!data ? (error ? <Trouble error={error} retry={loaded.reload} /> : <Bones rows={6} />) : data.incidents.length === 0 ? (
        <Empty title="No incident in this time" icon="check"><p>What deviates from its own last hour opens one by itself; rules and silences are kept by <code>/api/v1/rules</code> and <code>/api/v1/silences</code>.</p></Empty>
      ) : data.incidents.map((one) => <Card key={one.id} incident={one} />)}
    </main>
  );
}

export function IncidentPage({ id }: { id: string }) {
  const loaded = useLoad(`incident ${turn.value} ${id}`, (signal) => getIncident(id, signal));
  useAgain(loaded.reload);
  const { data, error } = loaded;
  return (
    <main class="page">
      <h1>Incident {id}</h1>
      {!data ? (error ? <Trouble error={error} retry={loaded.reload} /> : <Bones rows={6} />) : <Card incident={data} whole />}
      <p><a href={link("incidents")}>All incidents</a></p>
    </main>
  );
}

/** Above the home page: what is wrong now. */
export function OpenIncidents() {
  const loaded = useLoad(`open ${turn.value}`, (signal) => getIncidents({ state: "open" }, signal));
  useAgain(loaded.reload);
  const open = loaded.data?.incidents ?? [];
  if (open.length === 0) return null;
  return <section class="page" aria-label="Open incidents">{open.map((one) => <Card key={one.id} incident={one} />)}</section>;
}

const STATES: Record<string, string> = { open: "bad", suspected: "warn" };

function Card({ incident, whole = false }: { incident: Incident; whole?: boolean }) {
  const [first, ...others] = incident.suspects;
  const time = (ns: string) => formatMs(nsToMs(ns), zone.value, "second");
  const until = incident.closed_ns === null ? Date.now() : nsToMs(incident.closed_ns);
  const report = link("fault", { from: isoTime(nsToMs(incident.onset_ns) - BEFORE_MS / 6), to: isoTime(until) });
  const shown = whole ? incident.symptoms : incident.symptoms.slice(0, 3);
  const more = incident.symptoms.length - shown.length + incident.symptoms_more;
  return (
    <article class="note" style={{ display: "block" }}>
      <h2 class="row wrap">
        <span class={`tag ${STATES[incident.state] ?? ""}`}>{incident.state}</span>
        {first ? <><Dot service={first.service} /><a href={report}>{first.service}</a></> : <a href={report}>{incident.symptoms[0]?.service ?? "something"}</a>}
        <span class="faint">{time(incident.onset_ns)}{incident.closed_ns !== null && ` to ${time(incident.closed_ns)}`}</span>
        {incident.silenced_by && <span class="tag">silenced by {incident.silenced_by}</span>}
        {incident.rule && <span class="tag">rule {incident.rule}</span>}
      </h2>
      <p>{first?.summary || incident.summary || "Nobody stands out yet."}</p>
      <ul>
        {shown.map((symptom, i) => <li key={i} class="soft">{symptom.text}</li>)}
        {more > 0 && <li class="faint">and {more} more</li>}
      </ul>
      {first && first.victims.length > 0 && <p class="faint">Suffering from it: {first.victims.join(", ")}</p>}
      {whole && others.length > 0 && <p class="faint">Other suspects: {others.map((s) => s.service).join(", ")}</p>}
      {whole && incident.folded.length > 0 && <p class="faint">Folded into it: {incident.folded.join(", ")}</p>}
      <p class="row wrap"><a class="btn" href={report}>The fault report</a>{!whole && <a href={link(`incidents/${encodeURIComponent(incident.id)}`)}>{incident.id}</a>}</p>
    </article>
  );
}
