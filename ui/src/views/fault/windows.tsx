/** Which windows are compared: the fault's is the page's time range, the other is chosen by the server or given here. */
import { getServices } from "../../api/client";
import type { SuspectsAnswer } from "../../api/shapes";
import { formatCount } from "../../draw/scale";
import { periodOf } from "../../kit/behind";
import { Combo } from "../../kit/combo";
import { CopyButton } from "../../kit/copy";
import { Icon } from "../../kit/icons";
import { RangePicker } from "../../kit/range-picker";
import { Dot } from "../../kit/service";
import { WindowForm } from "../../kit/window-form";
import { useLoad } from "../../state/load";
import { isoTime, range, turn, windowMs } from "../../state/range";
import { link, params, query, setParams } from "../../state/url";
import { isEmpty } from "./words";

export function Windows({ answer }: { answer: SuspectsAnswer | null }) {
  const p = params.value;
  const service = p.get("service") ?? "";
  const from = p.get("baseline_from");
  const window = { ...range.value };
  const services = useLoad(`${turn.value} ${window.from} ${window.to}`, (signal) => getServices(window, signal));
  const give = () => {
    if (from) return;
    // What was compared with last, or the same length of time right before.
    const { fromMs, toMs } = windowMs.value;
    const at = answer && !isEmpty(answer.baseline) ? periodOf(answer.baseline) : { from: isoTime(2 * fromMs - toMs), to: isoTime(fromMs) };
    setParams({ baseline_from: at.from, baseline_to: at.to });
  };
  return (
    <div class="row wrap fault-form">
      <span class="row"><span class="faint">Fault</span><RangePicker /></span>
      <span class="row"><span class="faint">against</span>
        <span class="seg" role="group" aria-label="What it is compared with">
          <button type="button" aria-pressed={!from} title="Minutes near the fault that are as usual; Hypocenter chooses them" onClick={() => setParams({ baseline_from: null, baseline_to: null })}>usual minutes</button>
          <button type="button" aria-pressed={!!from} title="A window of your own" onClick={give}>a window</button>
        </span>
      </span>
      {from && <WindowForm label="Baseline" name="baseline" from={from} to={p.get("baseline_to") ?? "now"} />}
      <Combo label="Only what this service depends on" placeholder="Any service" width={180} value={service} empty={services.error ? "Services could not be read" : "No service in this time range"}
        choices={(services.data?.services ?? []).map((s) => ({ value: s.name, note: formatCount(s.spans), mark: <Dot service={s.name} /> }))}
        onChange={(v) => setParams({ service: v })} />
      <span class="grow" />
      {answer && <a class="btn" href={changedLink(answer)} title="What is new, gone, or seen far more or less often in the fault's window">What changed</a>}
      {answer && <CopyButton text={() => fixedLink(answer)} title="Copy a link to this report: its fault window no longer moves with the clock" icon="link" class="" />}
      {answer && <button type="button" title="Print the report (P)" onClick={() => print()}><Icon name="print" size={14} />Print</button>}
    </div>
  );
}

function fixedLink(answer: SuspectsAnswer): string {
  return location.origin + location.pathname + query({ ...periodOf(answer.fault) }, params.value);
}

function changedLink({ fault, baseline }: SuspectsAnswer): string {
  const before = isEmpty(baseline) ? null : periodOf(baseline);
  return link("changes", { ...periodOf(fault), before_from: before?.from, before_to: before?.to });
}
