/** Incidents, rules and silences in people's words, the ways from them, and the fields of a rule. Pure. */
import type { Incident, Rule, Silence } from "../../api/shapes";
import { isoTime } from "../../state/range";
import { formatUs, nsToMs } from "../../state/time";
import { link } from "../../state/url";

const BEFORE_MS = 10_000;
const USUAL_MS = 30 * 60_000;
/** A window is at most so long. */
const DAY_MS = 86_400_000;

type Symptom = Incident["symptoms"][number];

/** Who is to blame, or else where it shows first. */
export const placeOf = (incident: Incident): string => incident.suspects[0]?.service ?? incident.symptoms[0]?.service ?? "";

/** The time of an incident, and the usual time right before it. */
export function windowsOf(incident: Incident, nowMs: number): { fault: { from: string; to: string }; before: { before_from: string; before_to: string } } {
  const onset = nsToMs(incident.onset_ns);
  const until = Math.min(incident.closed_ns === null ? nowMs : nsToMs(incident.closed_ns), onset + DAY_MS - BEFORE_MS);
  return { fault: { from: isoTime(onset - BEFORE_MS), to: isoTime(until) }, before: { before_from: isoTime(onset - BEFORE_MS - USUAL_MS), before_to: isoTime(onset - BEFORE_MS) } };
}

/** The log lines or requests in which a symptom shows. */
export function symptomLink({ service, signal, kind, text }: Symptom, period: { from: string; to: string }): string {
  if (kind === "lines") return link("logs", { ...period, service, pattern_id: / line ([0-9a-f]{16}) of /.exec(text)?.[1] });
  return link("traces", { ...period, service, status: signal === "errors" ? "error" : null });
}

/** Symptoms by their service; the one with the strongest first. */
export function byService(symptoms: Symptom[]): { service: string; symptoms: Symptom[] }[] {
  const groups = new Map<string, Symptom[]>();
  for (const symptom of symptoms) groups.set(symptom.service, [...(groups.get(symptom.service) ?? []), symptom]);
  return [...groups].map(([service, list]) => ({ service, symptoms: list }));
}

export interface Field { name: string; label: string; note?: string; number?: true; fallback?: string; optional?: boolean; choices?: [string, string][] }

const WINDOW: Field = { name: "window_s", label: "In a window of", note: "seconds", number: true, fallback: "60" };
const SEVERITY: Field = { name: "severity_min", label: "Lines from severity", number: true, fallback: "17", choices: [["9", "INFO"], ["13", "WARN"], ["17", "ERROR"], ["21", "FATAL"]] };
const SIGNALS: [string, string][] = [["error_ratio", "Share of requests that fail (0 to 1)"], ["errors", "Requests that fail"], ["p95_ms", "95th percentile of the duration (ms)"], ["throughput", "Requests a second"]];

/** Every kind of rule, with the fields beside its name and service. */
export const KINDS: Record<string, { text: string; says: string; fields: Field[] }> = {
  threshold: {
    text: "Threshold", says: "The work that enters a service is above or below a value.",
    fields: [
      { name: "signal", label: "What of it", choices: SIGNALS, fallback: "error_ratio" }, { name: "operation", label: "Operation", note: "empty: all together", optional: true },
      { name: "above", label: "Above", number: true, optional: true }, { name: "below", label: "Below", number: true, optional: true }, WINDOW,
      { name: "requests_min", label: "Only from so many requests on", number: true, fallback: "10" },
    ],
  },
  error_pattern: {
    text: "Pattern count", says: "So many log lines of a severity, of one pattern or of all together.",
    fields: [SEVERITY, { name: "pattern", label: "Pattern id", note: "empty: any", optional: true }, { name: "count", label: "So many lines", number: true, fallback: "100" }, WINDOW],
  },
  new_pattern: { text: "New pattern", says: "A service writes a log line of a pattern that it never wrote before.", fields: [SEVERITY] },
  absence: { text: "Absence", says: "A service that was there sends nothing.", fields: [{ name: "for_s", label: "For so long", note: "seconds", number: true, fallback: "300" }] },
};

/** A rule from what a form holds; what is left empty is left out. */
export function ruleOf(name: string, enabled: boolean, kind: string, service: string, values: (field: string) => string): Rule {
  const filled = KINDS[kind]!.fields.map((f) => [f, values(f.name).trim()] as const).filter(([, text]) => text !== "");
  return { name, enabled, when: { kind, service, ...Object.fromEntries(filled.map(([f, text]) => [f.name, f.number ? Number(text) : text])) } };
}

const severityText = (value: unknown): string => SEVERITY.choices!.find(([n]) => n === String(value ?? 17))?.[1] ?? `severity ${value}`;
const lasting = (seconds: unknown): string => formatUs(Number(seconds) * 1e6).replace(/\.0 s$/, " s").replace(" 00 s", "").replace(" 00 m", "");

/** When a rule fires; one of tomorrow is still shown. */
export function ruleText({ when }: Rule): string {
  const of = (field: string) => when[field] as string | number | null | undefined;
  switch (when["kind"]) {
    case "threshold": {
      const signal = { error_ratio: "share of failing requests", errors: "failing requests", p95_ms: "p95", throughput: "requests a second" }[String(of("signal"))] ?? of("signal");
      const unit = of("signal") === "p95_ms" ? " ms" : "";
      const sides = (["above", "below"] as const).filter((side) => of(side) !== null && of(side) !== undefined).map((side) => `${side} ${of(side)}${unit}`);
      return `${signal}${of("operation") ? ` of ${of("operation")}` : ""} ${sides.join(" or ")} within ${lasting(of("window_s"))}, from ${of("requests_min") ?? 10} requests on`;
    }
    case "error_pattern": return `${of("count")} lines of ${severityText(of("severity_min"))} or above${of("pattern") ? `, pattern ${of("pattern")},` : ""} within ${lasting(of("window_s"))}`;
    case "new_pattern": return `a new pattern of ${severityText(of("severity_min"))} or above`;
    case "absence": return `sends nothing for ${lasting(of("for_s"))}`;
    default: return JSON.stringify(when);
  }
}

/** The field that the server's sentence names, of those that a form has. */
export function fieldOf(message: string, fields: string[]): string | null {
  const said = message.replace(/^rule `.*?`: /, "");
  return [...said.matchAll(/`(\w+)`/g)].map((m) => m[1]!).find((name) => fields.includes(name)) ?? null;
}

/** Whether a silence is yet to come, holds, or is over. */
export function silenceState({ from_ns, until_ns }: Pick<Silence, "from_ns" | "until_ns">, nowMs: number): "later" | "now" | "over" {
  return nsToMs(until_ns) <= nowMs ? "over" : nsToMs(from_ns) > nowMs ? "later" : "now";
}

const selects = (selector: string, name: string): boolean => (selector.endsWith("*") ? name.startsWith(selector.slice(0, -1)) : selector === name);

/** The silence that holds for an incident, also when people were told of it before: the server names only the others. */
export function silenceOf(incident: Incident, silences: Silence[], nowMs: number): string {
  const places = incident.suspects[0] ? [incident.suspects[0].service] : incident.symptoms.map((s) => s.service);
  const covers = (s: Silence) => silenceState(s, nowMs) === "now" && (!s.rule || (incident.rule !== "" && selects(s.rule, incident.rule))) && (!s.service || s.service === "*" || places.some((name) => selects(s.service, name)));
  return incident.silenced_by || (silences.find(covers)?.id ?? "");
}
