/** Ingest health: what came, what is kept, what was not and why; where to send to. Asks again every few seconds while seen. */
import { useEffect, useRef } from "preact/hooks";
import { getIngest, getLedger } from "../../api/client";
import type { Counts, IngestAnswer, LedgerEntry } from "../../api/shapes";
import { formatBytes, formatCount } from "../../draw/scale";
import { Combo } from "../../kit/combo";
import { CopyButton } from "../../kit/copy";
import { addressesOf, GettingStarted } from "../../kit/getting-started";
import { RangePicker } from "../../kit/range-picker";
import { Bones, Trouble, TroubleNote } from "../../kit/states";
import { useLoad, usePages } from "../../state/load";
import { range, turn, zone } from "../../state/range";
import { formatMs, formatNs, formatUs, nsToMs } from "../../state/time";
import { params, setParams } from "../../state/url";
import "./ingest.css";

const AGAIN_MS = 5000;

type Signal = keyof Counts;
const SIGNALS: Signal[] = ["traces", "logs", "metrics"];

export function IngestPage() {
  const ingest = useLoad(`ingest ${turn.value}`, getIngest);
  const before = useRef<{ at: number; data: IngestAnswer } | null>(null);
  const latest = useRef<{ at: number; data: IngestAnswer } | null>(null);
  if (ingest.data && latest.current?.data !== ingest.data) {
    before.current = latest.current;
    latest.current = { at: performance.now(), data: ingest.data };
  }
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && ingest.reload(), AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  const data = ingest.data;
  return (
    <main class="page ingest-page">
      <h1>Ingest</h1>
      {ingest.error && data && <TroubleNote error={ingest.error} retry={ingest.reload} />}
      {!data ? (ingest.error ? <Trouble error={ingest.error} retry={ingest.reload} /> : <Bones rows={10} />) : (
        <>
          <Health data={data} />
          <Signals data={data} rate={rateOf(before.current, latest.current)} />
          <Addresses data={data} />
        </>
      )}
      <Ledger />
    </main>
  );
}

function rateOf(a: { at: number; data: IngestAnswer } | null, b: { at: number; data: IngestAnswer } | null) {
  return (signal: Signal): number | null => (a && b && b.at > a.at ? Math.max(0, (b.data.accepted[signal] - a.data.accepted[signal]) / ((b.at - a.at) / 1000)) : null);
}

const STORE: Record<string, { class: string; text: string; note: string }> = {
  ok: { class: "good", text: "Storing", note: "Everything accepted reaches the store." },
  slow: { class: "warn", text: "Store slow", note: "The journal holds what the store has not taken yet; nothing is lost." },
  down: { class: "bad", text: "Store down", note: "Accepted items wait in the journal until the store is back." },
};

const GUARANTEE: Record<string, string> = {
  exactly_once: "Each accepted item is stored exactly once.",
  at_least_once: "Accepted items are stored at least once: this store's tables are not Hypocenter's own.",
};

function Health({ data }: { data: IngestAnswer }) {
  const store = STORE[data.store.state] ?? { class: "warn", text: data.store.state, note: "" };
  const age = ageMs(data.journal.oldest_unconfirmed_ns, Date.now());
  return (
    <dl class="facts">
      <div><dt>Store</dt><dd class={store.class}><i class="dot" />{store.text}</dd><p>{data.store.message || store.note}</p></div>
      <div><dt>Guarantee</dt><dd>{data.store.guarantee.replaceAll("_", " ")}</dd><p>{GUARANTEE[data.store.guarantee] ?? ""}</p></div>
      <div><dt>Journal</dt><dd>{formatBytes(data.journal.bytes)}</dd><p class={data.journal.problem ? "bad" : ""}>{data.journal.problem ? data.journal.problem : data.journal.bytes_max ? `of ${formatBytes(data.journal.bytes_max)} at most` : "on disk"}</p></div>
      <div><dt>Oldest not yet stored</dt><dd class={age !== null && age > 60_000 ? "warn" : ""}>{age === null ? "none" : formatUs(age * 1000)}</dd><p>{age === null ? "All that was accepted is stored." : "Age of the oldest accepted item on its way to the store."}</p></div>
    </dl>
  );
}

/** The field is a moment; small values are read as an age. */
function ageMs(value: string | null | undefined, now: number): number | null {
  if (!value || value === "0") return null;
  const ms = nsToMs(value);
  return ms > 1e11 ? Math.max(0, now - ms) : ms;
}

const COLUMNS: { key: "accepted" | "stored" | "refused" | "rejected" | "dead_letters" | "duplicates"; text: string; note: string; bad?: boolean }[] = [
  { key: "accepted", text: "Accepted", note: "Acknowledged to the sender and safe in the journal" },
  { key: "stored", text: "Stored", note: "Confirmed in the store" },
  { key: "refused", text: "Refused", note: "Turned away whole with an answer to retry: overload, full disk, limits" },
  { key: "rejected", text: "Rejected", note: "Single items that were not valid; the sender was told by partial success", bad: true },
  { key: "dead_letters", text: "Dead letters", note: "Accepted, but the store will not take them; kept aside", bad: true },
  { key: "duplicates", text: "Duplicates", note: "Re-sent requests recognised and not stored again" },
];

function Signals({ data, rate }: { data: IngestAnswer; rate(signal: Signal): number | null }) {
  const none = SIGNALS.every((s) => !data.accepted[s] && !data.refused[s] && !data.rejected[s]);
  if (none) {
    return (
      <section class="quiet">
        <h2>Nothing has arrived yet</h2>
        <p class="soft">Send the first item, and this page counts it.</p>
        <GettingStarted addresses={addressesOf(data)} />
      </section>
    );
  }
  return (
    <section>
      <h2>Items since the data directory was created</h2>
      <div class="scroll">
        <table class="counts">
          <thead><tr><th>Signal</th><th class="num">Now</th>{COLUMNS.map((c) => <th key={c.key} class="num" title={c.note}>{c.text}</th>)}</tr></thead>
          <tbody>
            {SIGNALS.map((s) => {
              const r = rate(s);
              return (
                <tr key={s}>
                  <td>{s === "traces" ? "Spans" : s === "logs" ? "Log lines" : "Metric points"}</td>
                  <td class="num soft">{r === null ? "–" : `${formatCount(r)} / s`}</td>
                  {COLUMNS.map((c) => {
                    const n = data[c.key][s];
                    return <td key={c.key} class={`num ${n === 0 ? "faint" : c.bad ? "bad" : ""}`}>{n === 0 ? "–" : n.toLocaleString("en-US")}</td>;
                  })}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Addresses({ data }: { data: IngestAnswer }) {
  const a = addressesOf(data);
  const list = [
    { name: "OTLP / HTTP", value: `${a.scheme}://${a.otlp_http}`, note: "protobuf or JSON" },
    { name: "OTLP / gRPC", value: a.otlp_grpc, note: a.scheme === "https" ? "protobuf; with TLS" : "protobuf; without TLS" },
    { name: "Zipkin", value: `${a.scheme}://${a.zipkin}/api/v2/spans`, note: "v2 JSON and protobuf, v1 JSON and Thrift" },
  ];
  return (
    <section>
      <h2>Where to send</h2>
      <ul class="addresses">
        {list.map((x) => <li key={x.name} class="row"><span class="soft">{x.name}</span><code>{x.value}</code><CopyButton text={x.value} title={`Copy ${x.value}`} class="small plain" /><span class="faint cut">{x.note}</span></li>)}
      </ul>
    </section>
  );
}

function Ledger() {
  const p = params.value;
  const filter = { ...range.value, from: p.get("from") || "now-24h", sender: p.get("sender"), reason: p.get("reason") };
  const period = { from: filter.from, to: filter.to };
  const whole = useLoad(`all ${turn.value} ${filter.from} ${filter.to}`, (signal) => getLedger(period, null, signal));
  const shown = usePages<LedgerEntry>(`${turn.value} ${JSON.stringify(filter)}`, async (cursor, signal) => {
    const answer = await getLedger(filter, cursor, signal);
    return { items: answer.entries, next: answer.next_cursor, partial: null };
  });
  const narrowed = !!(filter.sender || filter.reason);
  const entries = shown.data?.items ?? [];
  const values = (pick: (e: LedgerEntry) => string) => [...new Set((whole.data?.entries ?? []).map(pick))].filter(Boolean).sort().map((value) => ({ value }));
  return (
    <section class="ledger">
      <div class="row wrap">
        <h2>Loss ledger</h2>
        <span class="faint grow">Everything refused, truncated, rejected, set aside or recognised as sent twice, by sender and reason.</span>
        <Combo label="Sender" placeholder="Any sender" width={170} value={filter.sender ?? ""} choices={values((e) => e.sender)} onChange={(v) => setParams({ sender: v })} />
        <Combo label="Reason" placeholder="Any reason" width={170} value={filter.reason ?? ""} choices={values((e) => e.reason)} onChange={(v) => setParams({ reason: v })} />
        <RangePicker fallback="now-24h" />
      </div>
      {shown.error && !shown.data ? <TroubleNote error={shown.error} retry={shown.reload} />
        : !shown.data ? <Bones rows={3} />
        : entries.length === 0 ? <p class="clean">{narrowed ? "No entry with this sender and reason in this time range." : "Nothing was lost, refused or changed in this time range."}</p>
        : (
          <div class="scroll">
            <table>
              <thead><tr><th>Time</th><th>Sender</th><th>Signal</th><th>Reason</th><th>Outcome</th><th class="num">Items</th><th>Example</th></tr></thead>
              <tbody>
                {entries.map((e, i) => (
                  <tr key={i}>
                    <td class="soft nowrap" title={formatNs(e.time_ns, zone.value)}>{formatMs(nsToMs(e.time_ns), zone.value, "second")}</td>
                    <td><button type="button" class="link" onClick={() => setParams({ sender: e.sender })}>{e.sender || "unknown"}</button></td>
                    <td>{e.signal}</td>
                    <td><button type="button" class="link" onClick={() => setParams({ reason: e.reason })}>{e.reason.replaceAll("_", " ")}</button></td>
                    <td class="soft">{e.outcome.replaceAll("_", " ")}</td>
                    <td class="num" title={e.items === 0 ? "Refused before its items could be counted" : undefined}>{e.items === 0 ? "?" : e.items.toLocaleString("en-US")}</td>
                    <td class="mono faint example">{e.example}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            {shown.data.next && <div class="foot"><button type="button" class="small" onClick={shown.more} disabled={shown.loadingMore}>{shown.loadingMore ? "Loading…" : "Load more"}</button></div>}
          </div>
        )}
    </section>
  );
}
