/** One incident: who is to blame, what shows it and who suffers, and the ways to the report, the requests and the logs of its time. */
import { useState } from "preact/hooks";
import { getIncident, getSilences } from "../../api/client";
import type { Incident } from "../../api/shapes";
import { shareText } from "../../draw/graph";
import { Icon } from "../../kit/icons";
import { Meter } from "../../kit/meter";
import { Dot } from "../../kit/service";
import { Bones, Trouble, TroubleNote } from "../../kit/states";
import { useLoad } from "../../state/load";
import { turn, zone } from "../../state/range";
import { formatMs, nsToMs } from "../../state/time";
import { link, params, setParams } from "../../state/url";
import { Marks, State, Tabs, useAgain, When } from "./page";
import { SilenceForm } from "./silences";
import { byService, placeOf, silenceOf, symptomLink, windowsOf } from "./words";

type Period = { from: string; to: string };

export function IncidentPage({ id }: { id: string }) {
  const loaded = useLoad(`incident ${turn.value} ${id}`, (signal) => getIncident(id, signal));
  useAgain(loaded.reload);
  const { data, error } = loaded;
  return (
    <main class="page incidents-page">
      <Tabs at="incidents" />
      {error && data && <TroubleNote error={error} retry={loaded.reload} />}
      {!data ? (error ? <><h1>Incident {id}</h1><Trouble error={error} retry={loaded.reload} /></> : <Bones rows={10} />) : <Whole incident={data} reload={loaded.reload} />}
    </main>
  );
}

function Whole({ incident: known, reload }: { incident: Incident; reload(): void }) {
  const silences = useLoad(`silences ${turn.value}`, getSilences);
  const incident = { ...known, silenced_by: silenceOf(known, silences.data?.silences ?? [], Date.now()) };
  const [first, ...others] = incident.suspects;
  const { fault, before } = windowsOf(incident, Date.now());
  const [told, setTold] = useState("");
  const place = placeOf(incident);
  const silencing = params.value.get("silence") !== null;
  const time = (ns: string) => formatMs(nsToMs(ns), zone.value, "second");
  const also = [...incident.folded.map((id) => ["Folded into it", id] as const), ...(incident.merged_into ? [["Turned out to be part of", incident.merged_into] as const] : [])];
  return (
    <>
      <header class={`incident whole ${incident.state}`}>
        <p class="row wrap"><State incident={incident} /><When incident={incident} /><Marks incident={incident} /></p>
        <h1 class="row">{place && <Dot service={place} />}{place || "Somewhere"}{first ? <Sure share={first.confidence} /> : <span class="faint">is where it shows first</span>}</h1>
        <p class="sentence">{first?.summary || incident.summary || "Nobody stands out yet."}</p>
        {first && <Victims of={first} period={fault} />}
        <p class="row wrap">
          <a class="btn main" href={link("fault", fault)}><Icon name="target" size={14} />Fault report</a>
          <a class="btn" href={link("changes", { ...fault, ...before })}>What changed</a>
          <a class="btn" href={link("traces", { ...fault, status: "error" })}>Failing traces</a>
          <a class="btn" href={link("logs", { ...fault, severity: "error" })}>Errors in logs</a>
          <a class="btn" href={link("graph", { ...fault, node: place ? `service:${place}` : null })}>Graph</a>
          {incident.closed_ns === null && !silencing && !incident.silenced_by && <button type="button" onClick={() => setParams({ silence: "1" }, true)}>Silence{place && ` ${place}`}…</button>}
        </p>
        {silencing && <SilenceForm service={place} close={(said) => { setTold(said ?? ""); setParams({ silence: null }, true); silences.reload(); reload(); }} />}
        <p role="status" class="soft" hidden={!told}>{told}</p>
      </header>
      {incident.notices.length > 0 && <section><h2>No service's fault, but wrong</h2><ul>{incident.notices.map((text) => <li key={text}>{text}</li>)}</ul></section>}
      <Symptoms incident={incident} period={fault} />
      {others.length > 0 && <section><h2>Other suspects</h2><ol class="suspects">{others.map((s) => <Other key={s.service} suspect={s} period={fault} />)}</ol></section>}
      {also.length > 0 && <section><h2>Other incidents</h2><ul>{also.map(([what, id]) => <li key={id}><span class="faint">{what}:</span> <a href={link(`incidents/${encodeURIComponent(id)}`)}>{id}</a></li>)}</ul></section>}
      <p class="faint">Incident {incident.id}. First seen {time(incident.onset_ns)}, opened {time(incident.opened_ns)}{incident.closed_ns !== null && `, over ${time(incident.closed_ns)}`}. {incident.told.length > 0 ? `Messages: ${incident.told.map((told) => `${told.kind} ${time(told.at_ns).slice(11)}`).join(", ")}.` : "No message was sent."}</p>
    </>
  );
}

type Suspect = Incident["suspects"][number];

const Sure = ({ share }: { share: number }) => <span class="row" title="How sure it is"><Meter share={share} /><span class="faint">{shareText(share)}</span></span>;

function Other({ suspect, period }: { suspect: Suspect; period: Period }) {
  const { service } = suspect;
  return (
    <li>
      <span class="row who"><Dot service={service} /><b class="cut">{service}</b></span>
      <Sure share={suspect.confidence} />
      <div>
        <p>{suspect.summary || "Nothing speaks against it by itself."}</p>
        <Victims of={suspect} period={period} />
      </div>
      <span class="row ways"><a href={link("traces", { ...period, service })}>traces</a><a href={link("logs", { ...period, service })}>logs</a></span>
    </li>
  );
}

/** Folded: they are not what is wrong. */
function Victims({ of: { victims }, period }: { of: Suspect; period: Period }) {
  if (victims.length === 0) return null;
  return (
    <details>
      <summary>{victims.length === 1 ? "One service suffers" : `${victims.length} services suffer`} from it</summary>
      <p class="row wrap">{victims.map((v) => <a key={v} class="row" href={link("traces", { ...period, service: v })}><Dot service={v} />{v}</a>)}</p>
    </details>
  );
}

function Symptoms({ incident, period }: { incident: Incident; period: Period }) {
  const groups = byService(incident.symptoms);
  if (groups.length === 0) return null;
  const one = (s: Incident["symptoms"][number]) => <><a href={symptomLink(s, period)}>{s.text}</a> <span class="faint">since {formatMs(nsToMs(s.since_ns), zone.value, "clock").slice(0, 8)}</span></>;
  return (
    <section>
      <h2>What shows it</h2>
      <ul class="symptoms">
        {groups.map(({ service, symptoms: [strongest, ...more] }) => (
          <li key={service}>
            <span class="row who"><Dot service={service} /><b class="cut">{service}</b></span>
            <div>
              <p>{one(strongest!)}</p>
              {more.length > 0 && <details><summary>and {more.length} more</summary><ul>{more.map((s, i) => <li key={i}>{one(s)}</li>)}</ul></details>}
            </div>
          </li>
        ))}
      </ul>
      {incident.symptoms_more > 0 && <p class="faint">And {incident.symptoms_more} weaker ones.</p>}
    </section>
  );
}
