/** Attributes as a quiet table: typed values, copy, and the way to all traces with the same value. Text only, never HTML. */
import { isoTime } from "../state/range";
import { nsToMs } from "../state/time";
import { link } from "../state/url";
import { CopyButton } from "./copy";
import { Icon } from "./icons";

const DAY_MS = 86_400_000;
/** Longer values scroll within their row. */
const LONG_CHARS = 600;

export function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

/** Short lists and maps stay on one line. */
function jsonText(value: unknown): string {
  const short = JSON.stringify(value);
  return short.length <= 60 ? short.replace(/([,:])(?=["\d[{tfn-])/g, "$1 ") : JSON.stringify(value, null, 2);
}

export function Value({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span class="v-null">empty</span>;
  if (typeof value === "object") return <code class="v-json"><pre>{jsonText(value)}</pre></code>;
  if (typeof value === "string") return <span class={value.length > LONG_CHARS ? "v-long" : undefined}>{value === "" ? <i class="v-null">empty text</i> : value}</span>;
  return <span class={`v-${typeof value}`}>{String(value)}</span>;
}

export function periodAround(ns: string): { from: string; to?: string } {
  const ms = nsToMs(ns);
  return Date.now() - ms < DAY_MS ? { from: "now-24h" } : { from: isoTime(ms - DAY_MS / 24), to: isoTime(ms + DAY_MS / 24) };
}

/** `near` (nanoseconds) offers a search for requests with the same value, around that moment. */
export function Attributes({ of, near, empty = "None." }: { of: Record<string, unknown>; near?: string; empty?: string }) {
  const keys = Object.keys(of).sort();
  if (keys.length === 0) return <p class="faint">{empty}</p>;
  return (
    <table class="attrs">
      <tbody>
        {keys.map((key) => {
          const value = of[key];
          const plain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
          return (
            <tr key={key}>
              <td>{key}</td>
              <td><Value value={value} /></td>
              <td class="acts">
                {near && plain && (
                  <a href={link("traces", { attr: `${key}=${value}`, ...periodAround(near) })} title={`Traces with this ${key}`} aria-label={`Traces with this ${key}`}><Icon name="search" size={13} /></a>
                )}
                <CopyButton text={() => valueText(value)} title={`Copy ${key}`} class="plain" />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
