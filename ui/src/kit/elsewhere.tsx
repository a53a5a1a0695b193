/** When a time range holds nothing: the way to where the newest data is, and to wider ranges. */
import { getServices } from "../api/client";
import { useLoad } from "../state/load";
import { isoTime, turn, zone } from "../state/range";
import { formatMs, nsToMs } from "../state/time";
import { setParams } from "../state/url";

const HOUR_MS = 3_600_000;
const WIDER = [["now-24h", "Last 24 hours"], ["now-7d", "Last 7 days"], ["now-3650d", "Any time"]] as const;

export function Elsewhere() {
  const services = useLoad(`everything ${turn.value}`, (signal) => getServices({ from: "now-3650d", to: "now" }, signal));
  const last = Math.max(0, ...(services.data?.services ?? []).map((s) => nsToMs(s.last_seen_ns)));
  const old = last > 0 && Date.now() - last > HOUR_MS;
  return (
    <>
      {old && <button type="button" class="primary" onClick={() => setParams({ from: isoTime(last - HOUR_MS), to: isoTime(last + 60_000) })}>The newest data, {formatMs(last, zone.value, "minute")}</button>}
      {WIDER.map(([from, text]) => <button key={from} type="button" onClick={() => setParams({ from, to: null })}>{text}</button>)}
    </>
  );
}
