/** The time range of a page: relative presets, or two times typed. Everything chosen goes into the link. */
import { useRef, useState } from "preact/hooks";
import { useCommands } from "../state/commands";
import { setPref } from "../state/prefs";
import { normalTime, PRESETS, range, rangeText, refresh, windowMs, zone } from "../state/range";
import { formatMs } from "../state/time";
import { params, setParams } from "../state/url";
import { Icon } from "./icons";
import { useOutside } from "./use";
import "./range-picker.css";

/** `fallback` is what the page asks for when the link names no time. */
export function RangePicker({ fallback }: { fallback?: string } = {}) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useOutside(box, () => setOpen(false));
  useCommands([
    { id: "choose-range", keys: ["t"], text: "Choose the time range", group: "Page", run: () => setOpen(true) },
    { id: "refresh", keys: ["r"], text: "Ask again", group: "Page", run: refresh },
  ]);
  const { to } = range.value;
  const from = params.value.get("from") || fallback || range.value.from;
  const pick = (patch: { from: string; to: string | null }) => {
    setOpen(false);
    setParams(patch);
    refresh();
  };
  return (
    <div class="row range" ref={box} onKeyDown={(e) => e.key === "Escape" && setOpen(false)}>
      <button type="button" aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(!open)}>
        <Icon name="clock" size={14} />
        {rangeText(from, to, zone.value, Date.now())}
        <Icon name="down" size={12} />
      </button>
      <button type="button" class="icon" title="Ask again (r)" aria-label="Ask again" onClick={refresh}><Icon name="refresh" size={14} /></button>
      {open && <Panel from={from} to={to} pick={pick} />}
    </div>
  );
}

function Panel({ from, to, pick }: { from: string; to: string; pick(p: { from: string; to: string | null }): void }) {
  const z = zone.value;
  const show = (text: string, ms: number) => (text.startsWith("now") ? text : formatMs(ms, z, "milli").replace(/\.000$/, ""));
  const [a, setA] = useState(show(from, windowMs.value.fromMs));
  const [b, setB] = useState(show(to, windowMs.value.toMs));
  const now = Date.now();
  const [na, nb] = [normalTime(a, now, z), normalTime(b, now, z)];
  return (
    <div class="pop range-panel" role="dialog" aria-label="Time range">
      <ul>
        {PRESETS.map((p) => (
          <li key={p.from}><button type="button" class="plain" aria-current={p.from === from && to === "now"} onClick={() => pick({ from: p.from, to: null })}>{p.text}</button></li>
        ))}
      </ul>
      <form onSubmit={(e) => { e.preventDefault(); if (na && nb) pick({ from: na, to: nb === "now" ? null : nb }); }}>
        <label>From<input autofocus value={a} aria-invalid={!na} onInput={(e) => setA(e.currentTarget.value)} spellcheck={false} /></label>
        <label>To<input value={b} aria-invalid={!nb} onInput={(e) => setB(e.currentTarget.value)} spellcheck={false} /></label>
        <p class="faint">{na && nb ? "2026-11-21 04:00, now-3h, RFC 3339 or epoch" : "Not a time. Try 2026-11-21 04:00 or now-3h."}</p>
        <div class="row">
          <button type="submit" class="primary grow" disabled={!na || !nb}>Apply</button>
          <span class="seg" role="group" aria-label="Time zone">
            {(["local", "utc"] as const).map((k) => <button key={k} type="button" aria-pressed={z === k} onClick={() => setPref({ zone: k })}>{k === "utc" ? "UTC" : "Local"}</button>)}
          </span>
        </div>
      </form>
    </div>
  );
}
