/** Rules (what opens an incident whatever is usual) and silences (of what nobody is told for a while): listed, added, changed, ended. */
import { useRef, useState } from "preact/hooks";
import { endRule, getRules, getSilences, putRule } from "../../api/client";
import type { Rule } from "../../api/shapes";
import { Dot } from "../../kit/service";
import { Bones, Trouble } from "../../kit/states";
import { useLoad } from "../../state/load";
import { turn } from "../../state/range";
import { Labelled, Said, useSending } from "./form";
import { Tabs } from "./page";
import { ServiceField, SilenceForm, Silences } from "./silences";
import { type Field, KINDS, ruleOf, ruleText } from "./words";

export function RulesPage() {
  const rules = useLoad(`rules ${turn.value}`, getRules);
  const silences = useLoad(`silences ${turn.value}`, getSilences);
  const [edited, edit] = useState<{ rule: Rule | null; turn: number } | null>(null);
  const [silencing, setSilencing] = useState(false);
  const shut = () => edit(null);
  return (
    <main class="page incidents-page">
      <h1 class="sr">Rules and silences</h1>
      <Tabs at="rules" />
      <section>
        <div class="row wrap"><h2>Rules</h2><span class="faint grow">open an incident whatever is usual</span>{!edited && <button type="button" onClick={() => edit({ rule: null, turn: 0 })}>Add a rule</button>}</div>
        {edited && <RuleForm key={`${edited.rule?.name} ${edited.turn}`} rule={edited.rule} taken={(rules.data?.rules ?? []).map((r) => r.name)} close={shut} kept={rules.reload} />}
        {!rules.data ? (rules.error ? <Trouble error={rules.error} retry={rules.reload} /> : <Bones rows={3} />)
          : <Rules list={rules.data.rules} reload={rules.reload} edit={(rule) => edit({ rule, turn: (edited?.turn ?? 0) + 1 })} />}
      </section>
      <section>
        <div class="row wrap"><h2>Silences</h2><span class="faint grow">incidents are recorded all the same, and nobody is told</span>{!silencing && <button type="button" onClick={() => setSilencing(true)}>Add a silence</button>}</div>
        {silencing && <SilenceForm service="" close={() => { setSilencing(false); silences.reload(); }} />}
        {!silences.data ? (silences.error ? <Trouble error={silences.error} retry={silences.reload} /> : <Bones rows={3} />)
          : <Silences list={silences.data.silences} reload={silences.reload} />}
      </section>
    </main>
  );
}

function Rules({ list, reload, edit }: { list: Rule[]; reload(): void; edit(rule: Rule): void }) {
  const sending = useSending([]);
  const turnTo = (rule: Rule) => sending.run(async () => {
    await putRule({ ...rule, enabled: !rule.enabled });
    reload();
    return `${rule.name} is ${rule.enabled ? "no longer" : "again"} looked at.`;
  });
  const end = (rule: Rule) => sending.run(async () => {
    await endRule(rule.name);
    reload();
    return `${rule.name} is deleted.`;
  }, () => putRule(rule).then(reload));
  return (
    <>
      {list.length === 0 ? <p class="faint">None: only what deviates from its own last hour opens an incident.</p> : (
        <ul class="wishes">
          {list.map((rule) => {
            const service = String(rule.when["service"] ?? "");
            return (
              <li key={rule.name} class={rule.enabled ? "" : "off"}>
                <div>
                  <p class="row wrap"><b>{rule.name}</b><span class="tag">{KINDS[String(rule.when["kind"])]?.text ?? String(rule.when["kind"])}</span>{!rule.enabled && <span class="tag">off</span>}{rule.source === "config" && <span class="tag">from the configuration</span>}</p>
                  <p class="soft row wrap"><span class="row">{service === "*" ? "every service" : <><Dot service={service} />{service}</>}:</span>{ruleText(rule)}</p>
                </div>
                <button type="button" class="small" disabled={sending.busy} aria-label={`Switch ${rule.name} ${rule.enabled ? "off" : "on"}`} onClick={() => void turnTo(rule)}>{rule.enabled ? "Switch off" : "Switch on"}</button>
                {KINDS[String(rule.when["kind"])] && <button type="button" class="small" aria-label={`Change ${rule.name}`} onClick={() => edit(rule)}>Change</button>}
                {rule.source !== "config" && <button type="button" class="small" disabled={sending.busy} aria-label={`Delete ${rule.name}`} onClick={() => void end(rule)}>Delete</button>}
              </li>
            );
          })}
        </ul>
      )}
      <Said sending={sending} />
    </>
  );
}

function RuleForm({ rule, taken, close, kept }: { rule: Rule | null; taken: string[]; close(): void; kept(): void }) {
  const [kind, setKind] = useState(String(rule?.when["kind"] ?? "threshold"));
  const [service, setService] = useState(String(rule?.when["service"] ?? "*"));
  const form = useRef<HTMLFormElement>(null);
  const { fields, says } = KINDS[kind]!;
  const sending = useSending(["name", "service", ...fields.map((f) => f.name)]);
  const send = (event: Event) => {
    event.preventDefault();
    const values = new FormData(form.current!);
    const of = (name: string) => String(values.get(name) ?? "");
    const name = of("name").trim();
    void sending.run(async () => {
      // Names are what tells rules apart: one that is taken would replace, a new one leaves the old where it is.
      if (name !== rule?.name && taken.includes(name)) throw new Error("There is a rule of this `name` already.");
      await putRule(ruleOf(name, rule?.enabled ?? true, kind, service, of));
      if (rule && rule.name !== name) await endRule(rule.name);
      kept();
      close();
      return "Kept.";
    });
  };
  const wrong = (name: string) => sending.wrong === name;
  return (
    <form class="wish" ref={form} onSubmit={send} aria-label={rule ? `Change ${rule.name}` : "New rule"}>
      <div class="labelled wide" role="group" aria-label="Kind of rule">
        <span class="seg">{Object.entries(KINDS).map(([key, { text }]) => <button key={key} type="button" aria-pressed={kind === key} onClick={() => setKind(key)}>{text}</button>)}</span>
        <span class="faint">{says}</span>
      </div>
      <Labelled text="Name" wrong={wrong("name")}><input name="name" required autofocus defaultValue={rule?.name ?? ""} aria-invalid={wrong("name")} /></Labelled>
      <Labelled text="Service" wrong={wrong("service")}><ServiceField label="Service of the rule" value={service} onChange={setService} /></Labelled>
      {fields.map((f) => <Labelled key={`${kind} ${f.name}`} text={f.label} note={f.note} wrong={wrong(f.name)}><Input field={f} value={rule?.when[f.name]} wrong={wrong(f.name)} /></Labelled>)}
      <div class="row wrap acts">
        <button type="submit" class="primary" disabled={sending.busy}>{rule ? "Keep the change" : "Add the rule"}</button>
        <button type="button" onClick={close}>Cancel</button>
        <Said sending={sending} />
      </div>
    </form>
  );
}

function Input({ field, value, wrong }: { field: Field; value: unknown; wrong: boolean }) {
  const given = value === undefined || value === null || value === "" ? (field.fallback ?? "") : String(value);
  if (field.choices) {
    const known = field.choices.some(([of]) => of === given) ? field.choices : [...field.choices, [given, given] as [string, string]];
    return <select name={field.name} aria-invalid={wrong}>{known.map(([of, text]) => <option key={of} value={of} selected={of === given}>{text}</option>)}</select>;
  }
  const same = { name: field.name, required: !field.optional, defaultValue: given, "aria-invalid": wrong };
  return field.number ? <input type="number" step="any" {...same} /> : <input {...same} />;
}
