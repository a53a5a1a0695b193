/** A second window of a page, as two times that are typed; the first is the page's range. */
import { useEffect, useState } from "preact/hooks";
import { normalTime, zone } from "../state/range";
import { formatMs, parseTime } from "../state/time";
import { setParams } from "../state/url";

/** `name` is how the link calls it: `<name>_from` and `<name>_to`. */
export function WindowForm({ label, name, from, to }: { label: string; name: string; from: string; to: string }) {
  const z = zone.value;
  const now = Date.now();
  const show = (text: string) => {
    const ms = text.startsWith("now") ? null : parseTime(text, now, "utc");
    return ms === null ? text : formatMs(ms, z, "milli").replace(/(:00)?\.000$/, "");
  };
  const [shownFrom, shownTo] = [show(from), show(to)];
  const [a, setA] = useState(shownFrom);
  const [b, setB] = useState(shownTo);
  useEffect(() => {
    setA(shownFrom);
    setB(shownTo);
  }, [shownFrom, shownTo]);
  const [na, nb] = [normalTime(a, now, z), normalTime(b, now, z)];
  const same = a === shownFrom && b === shownTo;
  const apply = (event: Event) => {
    event.preventDefault();
    if (na && nb) setParams({ [`${name}_from`]: na, [`${name}_to`]: nb });
  };
  return (
    <form class="row window-form" onSubmit={apply}>
      <input value={a} aria-label={`${label} from`} aria-invalid={!na} spellcheck={false} onInput={(e) => setA(e.currentTarget.value)} />
      <span class="faint">–</span>
      <input value={b} aria-label={`${label} to`} aria-invalid={!nb} spellcheck={false} onInput={(e) => setB(e.currentTarget.value)} />
      <button type="submit" class={same ? "" : "primary"} disabled={!na || !nb || same} title={na && nb ? "Compare with this window" : "Not a time. Try 2026-11-21 04:00 or now-3h."}>Compare</button>
    </form>
  );
}
