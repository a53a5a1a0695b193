/** The filters of the trace search. Every change goes straight into the link; there is no "apply". */
import { useEffect, useState } from "preact/hooks";
import { getOperations, getServices, type TraceFilter } from "../../api/client";
import { formatCount } from "../../draw/scale";
import { Combo } from "../../kit/combo";
import { Guilty } from "../../kit/guilty";
import { Icon } from "../../kit/icons";
import { RangePicker } from "../../kit/range-picker";
import { Dot } from "../../kit/service";
import { useLoad } from "../../state/load";
import { range, turn } from "../../state/range";
import { parseDurationMs } from "../../state/time";
import { link, params, setParams } from "../../state/url";

export function Filters({ filter }: { filter: TraceFilter }) {
  const window = { ...range.value };
  const key = `${turn.value} ${window.from} ${window.to}`;
  const services = useLoad(key, (signal) => getServices(window, signal));
  const service = filter.service ?? "";
  const operations = useLoad(service ? `${service} ${key}` : null, (signal) => getOperations(service, window, signal));
  const attrs = filter.attr ?? [];
  return (
    <div class="filters">
      <div class="row wrap">
        <RangePicker />
        <Combo label="Service" placeholder="Any service" width={180} value={service} empty={services.error ? "Services could not be read" : "No service in this time range"}
          choices={(services.data?.services ?? []).map((s) => ({ value: s.name, note: formatCount(s.spans), mark: <Dot service={s.name} /> }))}
          onChange={(v) => setParams({ service: v, operation: null })} />
        {service && <a class="btn icon" title={`The graph around ${service}`} aria-label={`The graph around ${service}`} href={link("graph", { from: params.value.get("from"), to: params.value.get("to"), service, node: `service:${service}` })}><Icon name="graph" size={14} /></a>}
        <Combo label="Operation" placeholder={service ? "Any operation" : "Operation"} width={220} value={filter.operation ?? ""} empty={service ? "No operation in this time range" : "Choose a service to see its operations"}
          choices={unique((operations.data?.operations ?? []).map((o) => ({ value: o.name, note: formatCount(o.spans) })))}
          onChange={(v) => setParams({ operation: v })} />
        <span class="seg" role="group" aria-label="Status">
          {[[null, "All"], ["ok", "Good"], ["error", "Errors"]].map(([value, text]) => (
            <button key={text} type="button" aria-pressed={(filter.status ?? null) === value} onClick={() => setParams({ status: value })}>{text}</button>
          ))}
        </span>
        <span class="row between">
          <DurationField label="Shortest" value={filter.min_duration ?? ""} onChange={(v) => setParams({ min_duration: v })} />
          <span class="faint">–</span>
          <DurationField label="Longest" value={filter.max_duration ?? ""} onChange={(v) => setParams({ max_duration: v })} />
        </span>
        <AttributeField add={(a) => setParams({ attr: [...attrs.filter((x) => x !== a), a] })} />
        {filter.edge_source && filter.edge_target && (
          <span class="chip" title={`Requests in which ${filter.edge_source} calls ${filter.edge_target}`}>
            <span class="cut">{bare(filter.edge_source)} → {bare(filter.edge_target)}</span>
            <button type="button" aria-label="Remove the edge" onClick={() => setParams({ edge_source: null, edge_target: null })}><Icon name="close" size={11} /></button>
          </span>
        )}
        {attrs.map((a) => (
          <span key={a} class="chip" title={a}>
            <span class="cut">{a}</span>
            <button type="button" aria-label={`Remove ${a}`} onClick={() => setParams({ attr: attrs.filter((x) => x !== a) })}><Icon name="close" size={11} /></button>
          </span>
        ))}
        <span class="grow" />
        <Guilty short />
      </div>
    </div>
  );
}

/** A node's id without its kind. */
const bare = (node: string) => node.slice(node.indexOf(":") + 1);

const unique = <C extends { value: string }>(list: C[]) => list.filter((c, i) => list.findIndex((d) => d.value === c.value) === i);

function DurationField({ label, value, onChange }: { label: string; value: string; onChange(value: string): void }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const bad = text.trim() !== "" && parseDurationMs(text) === null;
  const done = () => {
    const t = text.trim().replace("µs", "us").replace(/\s+/g, "");
    if (!bad && t !== value) onChange(/^[\d.]+$/.test(t) ? `${t}ms` : t);
  };
  return (
    <input class="duration" value={text} placeholder={label} aria-label={`${label} duration`} aria-invalid={bad} title={bad ? "Such as 250ms or 1.5s" : `${label} duration, such as 250ms or 1.5s`} spellcheck={false}
      onInput={(e) => setText(e.currentTarget.value)} onBlur={done} onKeyDown={(e) => e.key === "Enter" && done()} />
  );
}

function AttributeField({ add }: { add(pair: string): void }) {
  const [text, setText] = useState("");
  const ok = /^[^=\s][^=]*=.+$/.test(text.trim());
  return (
    <input class="attribute" value={text} placeholder="attribute=value" aria-label="Attribute to filter by" aria-invalid={text.includes(" ") && !ok} spellcheck={false}
      title="For example http.route=/cart; Enter adds it"
      onInput={(e) => setText(e.currentTarget.value)}
      onKeyDown={(e) => {
        if (e.key !== "Enter" || !ok) return;
        add(text.trim());
        setText("");
      }} />
  );
}
