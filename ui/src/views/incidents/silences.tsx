/** Silences: for a while nobody is told of a service or a rule. The list, and the form that also stands on an open incident. */
import { useRef, useState } from "preact/hooks";
import { endSilence, getServices, putSilence } from "../../api/client";
import type { Silence } from "../../api/shapes";
import { Combo } from "../../kit/combo";
import { Dot } from "../../kit/service";
import { useLoad } from "../../state/load";
import { isoTime, normalTime, rangeText, turn, zone } from "../../state/range";
import { formatAgo, formatMs, msToNs, nsToMs, parseTime } from "../../state/time";
import { Labelled, Said, useSending } from "./form";
import { silenceState } from "./words";

const HOUR_MS = 3_600_000;
const LENGTHS: [string, number][] = [["1 hour", HOUR_MS], ["4 hours", 4 * HOUR_MS], ["1 day", 24 * HOUR_MS]];
const FIELDS = ["service", "rule", "until_ns", "from_ns"];

/** The services of the last day, as what a rule or silence may be of. */
export function ServiceField({ value, onChange, label }: { value: string; onChange(value: string): void; label: string }) {
  const services = useLoad(`last day ${turn.value}`, (signal) => getServices({ from: "now-24h", to: "now" }, signal));
  const choices = [{ value: "*", note: "all" }, ...(services.data?.services ?? []).map((s) => ({ value: s.name, mark: <Dot service={s.name} /> }))];
  return <Combo label={label} placeholder="name, name* or *" width={200} value={value} choices={choices} onChange={onChange} />;
}

export function SilenceForm({ service: at, close }: { service: string; close(said?: string): void }) {
  const [service, setService] = useState(at);
  const [length, setLength] = useState<number | null>(HOUR_MS);
  const [until, setUntil] = useState("now+2h");
  const form = useRef<HTMLFormElement>(null);
  const sending = useSending(FIELDS);
  const now = Date.now();
  const typed = normalTime(until, now, zone.value);
  const send = (event: Event) => {
    event.preventDefault();
    const values = new FormData(form.current!);
    const of = (name: string) => String(values.get(name) ?? "").trim();
    const end = length === null ? parseTime(typed ?? "", Date.now(), "utc") : Date.now() + length;
    if (end === null) return;
    // Its name is read where it holds: on incidents and in messages.
    const id = `${service || of("rule")} until ${formatMs(end, "utc", "minute")} UTC`;
    void sending.run(async () => {
      await putSilence({ id, service, rule: of("rule"), from_ns: msToNs(Date.now()), until_ns: msToNs(end), comment: of("comment") });
      const said = `Nobody is told of ${service || of("rule")} until ${formatMs(end, zone.value, "minute")}.`;
      close(said);
      return said;
    });
  };
  return (
    <form class="wish" ref={form} onSubmit={send} aria-label="New silence">
      <Labelled text="Service" wrong={sending.wrong === "service"}><ServiceField label="Service to silence" value={service} onChange={setService} /></Labelled>
      <Labelled text="Only of the rule" wrong={sending.wrong === "rule"}><input name="rule" placeholder="empty: whatever opens it" aria-invalid={sending.wrong === "rule"} /></Labelled>
      <div class="labelled" role="group" aria-label="How long">
        <span>How long</span>
        <span class="row wrap">
          <span class="seg">
            {LENGTHS.map(([text, ms]) => <button key={text} type="button" aria-pressed={length === ms} onClick={() => setLength(ms)}>{text}</button>)}
            <button type="button" aria-pressed={length === null} onClick={() => setLength(null)}>until…</button>
          </span>
          {length === null && <input value={until} aria-label="Until when" aria-invalid={!typed} title="2026-11-21 04:00, or now+3h" onInput={(e) => setUntil(e.currentTarget.value)} />}
        </span>
      </div>
      <Labelled text="Why" wide><input name="comment" placeholder="for those who come later" /></Labelled>
      <div class="row wrap acts">
        <button type="submit" class="primary" disabled={sending.busy || (length === null && !typed)}>Silence</button>
        <button type="button" onClick={() => close()}>Cancel</button>
        <Said sending={sending} />
      </div>
    </form>
  );
}

export function Silences({ list, reload }: { list: Silence[]; reload(): void }) {
  const sending = useSending([]);
  const now = Date.now();
  const order = { now: 0, later: 1, over: 2 };
  const sorted = [...list].sort((a, b) => order[silenceState(a, now)] - order[silenceState(b, now)] || nsToMs(b.until_ns) - nsToMs(a.until_ns));
  const end = (silence: Silence) => sending.run(async () => {
    await endSilence(silence.id);
    reload();
    return "The silence is ended.";
  }, () => putSilence(silence).then(reload));
  return (
    <>
      {list.length === 0 ? <p class="faint">None: people are told of every incident.</p> : (
        <ul class="wishes">
          {sorted.map((s) => {
            const state = silenceState(s, now);
            return (
              <li key={s.id} class={state === "over" ? "off" : ""}>
                <div>
                  <p class="row wrap"><span class={`tag ${state === "now" ? "sure" : ""}`}>{{ now: "holds", later: "to come", over: "over" }[state]}</span>{s.service && <b class="row"><Dot service={s.service} />{s.service}</b>}{s.rule && <span>rule <b>{s.rule}</b></span>}<span class="faint">{rangeText(isoTime(nsToMs(s.from_ns)), isoTime(nsToMs(s.until_ns)), zone.value, 0).replace(/(:\d\d):\d\d(?= |$)/g, "$1")}{state === "now" && `, ends ${formatAgo(nsToMs(s.until_ns), now)}`}</span></p>
                  {s.comment && <p class="soft">{s.comment}</p>}
                </div>
                {s.source !== "config" && <button type="button" class="small" disabled={sending.busy} aria-label={`${state === "over" ? "Delete" : "End"} the silence ${s.id}`} onClick={() => void end(s)}>{state === "over" ? "Delete" : "End"}</button>}
              </li>
            );
          })}
        </ul>
      )}
      <Said sending={sending} />
    </>
  );
}
