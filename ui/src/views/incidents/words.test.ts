import assert from "node:assert/strict";
import test from "node:test";
import type { Incident } from "../../api/shapes";
import { block } from "../../draw/testing";
import { byService, fieldOf, placeOf, ruleOf, ruleText, silenceOf, silenceState, symptomLink, windowsOf } from "./words";

const symptom = (service: string, kind: string, signal: string, text = "") => ({ service, kind, signal, text, since_ns: "0", last_ns: "0", strength: 1 });
const INCIDENT: Incident = {
  id: "a-1", state: "open", onset_ns: "1796064550000000000", opened_ns: "1796064580000000000", closed_ns: null, summary: "", verdict: "", symptoms: [symptom("cart", "entry", "drop"), symptom("pay", "call", "errors"), symptom("cart", "call", "errors")],
  symptoms_more: 0, suspects: [], notices: [], rule: "", silenced_by: "", folded: [], merged_into: "", reopened: 0, told: [],
};
const ONSET_MS = 1796064550000;

// Scenario: an incident that lasts, is over, lasts for days; without suspects.
// Guarantee: the fault's window holds all of it, and never more than the day that the server compares; before it is the usual time.
test("windows and place of an incident", () => {
  const minutes = (incident: Incident, now: number) => {
    const { fault, before } = windowsOf(incident, now);
    return [fault.from, fault.to, before.before_from, before.before_to].map((t) => (Date.parse(t) - ONSET_MS) / 1000);
  };
  assert.deepEqual(minutes(INCIDENT, ONSET_MS + 60_000), [-10, 60, -1810, -10]);
  assert.deepEqual(minutes({ ...INCIDENT, closed_ns: "1796064650000000000" }, ONSET_MS + 9e6), [-10, 100, -1810, -10]);
  assert.deepEqual(minutes(INCIDENT, ONSET_MS + 9e8), [-10, 86_390, -1810, -10]);
  assert.deepEqual([placeOf(INCIDENT), placeOf({ ...INCIDENT, symptoms: [] })], ["cart", ""]);
  assert.deepEqual(byService(INCIDENT.symptoms).map((g) => [g.service, g.symptoms.length]), [["cart", 2], ["pay", 1]]);
});

// Scenario: symptoms of lines, failures and times.
// Guarantee: lines lead to those of their pattern, failures to failing requests, others to the service's requests.
test("symptoms lead to what shows them", () => {
  const period = { from: "A", to: "B" };
  assert.equal([symptom("pay", "lines", "lines", "new ERROR line 08fa52702a5b0887 of pay: 47 a minute"), symptom("pay", "call", "errors"), symptom("pay", "entry", "latency")].map((s) => symptomLink(s, period)).join("\n"), block(`
    /logs?from=A&to=B&service=pay&pattern_id=08fa52702a5b0887
    /traces?from=A&to=B&service=pay&status=error
    /traces?from=A&to=B&service=pay
  `));
});

// Scenario: each kind of rule as a form gives it, with fields left empty; a kind of tomorrow.
// Guarantee: numbers are numbers, empty fields are absent, and a sentence says when it fires.
test("rules", () => {
  const made = (kind: string, values: Record<string, string>) => ruleOf("r", true, kind, "pay*", (f) => values[f] ?? "");
  const rules = [
    made("threshold", { signal: "p95_ms", above: "500", below: "", operation: "", window_s: "60", requests_min: "10" }),
    made("threshold", { signal: "error_ratio", above: "0.05", below: "0", operation: "GET /", window_s: "150", requests_min: "0" }),
    made("error_pattern", { severity_min: "13", pattern: "ab1", count: "5", window_s: "600" }),
    made("new_pattern", { severity_min: "18" }),
    made("absence", { for_s: "7200" }),
  ];
  assert.deepEqual(rules[0], { name: "r", enabled: true, when: { kind: "threshold", service: "pay*", signal: "p95_ms", above: 500, window_s: 60, requests_min: 10 } });
  assert.equal(rules.map(ruleText).join("\n"), block(`
    p95 above 500 ms within 1 m, from 10 requests on
    share of failing requests of GET / above 0.05 or below 0 within 2 m 30 s, from 0 requests on
    5 lines of WARN or above, pattern ab1, within 10 m
    a new pattern of severity 18 or above
    sends nothing for 2 h
  `));
  assert.equal(ruleText({ name: "r", enabled: true, when: { kind: "tomorrow" } }), '{"kind":"tomorrow"}');
});

// Scenario: sentences of the server about a wrong rule, whose name is called like a field; one that names no field.
// Guarantee: the field that is wrong is found.
test("the wrong field", () => {
  const fields = ["name", "service", "window_s"];
  const of = (message: string) => fieldOf(message, fields);
  assert.deepEqual(["rule `name`: `service` is empty; `*` means all", "`name` is empty", "rule `x`: `window_s` is 600; it may be 10 to 180 seconds", "missing field `window_s`", "there are 1000 already"].map(of), ["service", "name", "window_s", "window_s", null]);
});

// Scenario: a silence before, in and after its time; of the suspect, of where it shows, of a rule, of others.
// Guarantee: it says which, its end is exclusive; an incident is silenced as the server does it.
test("silences", () => {
  const silence = { from_ns: "1000000000", until_ns: "2000000000" };
  assert.deepEqual([999, 1000, 1999, 2000].map((now) => silenceState(silence, now)), ["later", "now", "now", "over"]);
  const of = (service: string, rule = "", more: Partial<Incident> = {}) => silenceOf({ ...INCIDENT, ...more }, [{ ...silence, id: "it", service, rule, comment: "" }], 1500);
  const suspects = [{ service: "stock", score: 1, confidence: 1, summary: "", victims: [] }];
  assert.deepEqual([of("pay"), of("ca*"), of("stock"), of("", "slow"), of("*", "slow", { rule: "slow" }), of("cart", "", { suspects }), of("st*", "", { suspects }), of("x", "", { silenced_by: "other" })], ["it", "it", "", "", "it", "", "it", "other"]);
  assert.equal(silenceOf(INCIDENT, [{ ...silence, id: "it", service: "*", rule: "", comment: "" }], 2500), "");
});
