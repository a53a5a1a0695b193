import assert from "node:assert/strict";
import test from "node:test";
import type { Evidenced } from "../../api/shapes";
import { block } from "../../draw/testing";
import { periodOf, phrase, windowText } from "../../kit/behind";
import { behind, callsLink, isEmpty, kindText } from "./words";

const EDGES = new Map([["checkout -> payment", { source: "service:checkout", target: "service:payment" }]]);
const WINDOW = { from: "A", to: "B" };
const evidence = (kind: string, subject: string, where: Partial<Evidenced["where"]> = {}): Evidenced => ({
  kind, subject, baseline: "", fault: "", score: 0, text: "", where: { operation: "", location: "", edge: "", instance: "", version: "", ...where },
});
const ways = (e: Evidenced, service = "payment") => {
  const { traces, logs } = behind(e, service, WINDOW, EDGES);
  return [traces, logs].map((href) => (href === null ? "none" : decodeURIComponent(href).replace("from=A&to=B&", ""))).join("  ");
};

// Scenario: every sort of evidence.
// Guarantee: its traces and logs are those that it speaks of: an edge's, an operation's, a value's, a line's.
test("what is behind evidence", () => {
  assert.equal([
    evidence("edge_gap", "checkout -> payment", { edge: "checkout -> payment" }), evidence("edge_gap", "a -> b", { edge: "a -> b" }), evidence("own_time", "POST /charge", { operation: "POST /charge" }),
    evidence("error_origin", "x", { operation: "POST /charge" }), evidence("attribute", "k8s.pod.name=p=1", { instance: "p=1" }), evidence("missing_log", '"charged * to"', { operation: "Charge" }), evidence("excess", "payment"),
  ].map((e) => ways(e)).join("\n"), block(`
    /traces?edge_source=service:checkout&edge_target=service:payment  /logs?service=payment
    /traces?service=payment  /logs?service=payment
    /traces?service=payment&operation=POST+/charge  /logs?service=payment
    /traces?service=payment&operation=POST+/charge&status=error  /logs?service=payment&severity=error
    /traces?service=payment&attr=k8s.pod.name=p=1  /logs?service=payment
    /traces?service=payment&operation=Charge  /logs?service=payment&query="charged"
    /traces?service=payment  /logs?service=payment
  `));
  assert.equal(ways(evidence("clock", "host.name=node-2", { instance: "node-2" }), ""), "/traces?attr=host.name=node-2  none");
});

// Scenario: calls that the graph knows, and such that it does not.
// Guarantee: the edge's traces, else the caller's.
test("calls", () => {
  assert.match(callsLink("checkout", "payment", WINDOW, EDGES), /edge_source=service:checkout&edge_target=service:payment$/);
  assert.match(callsLink("a", "b", WINDOW, EDGES), /to=B&service=a$/);
});

// Scenario: how the server calls log lines.
// Guarantee: the longest words without a gap, a place in the source as it is found; anything else searches for nothing.
test("phrases", () => {
  assert.deepEqual(['"order * is closed since *s by the shop"', '"* *"', '"say "hi" to all"', "f.s.FoodServiceImpl#240", "ChargeService.java:219", "java.lang.IllegalStateException"].map(phrase), ['"is closed since"', null, '"to all"', '"f.s.FoodServiceImpl#240"', "code.line.number:219", null]);
});

// Scenario: windows of whole and of broken milliseconds, and an empty one.
// Guarantee: links leave nothing of a window out; the text says how long it is; a kind of tomorrow is still said.
test("windows and kinds", () => {
  const w = { from_ns: "1795890600000000000", to_ns: "1795890900000001000", spans: 1, chosen: true };
  assert.deepEqual(periodOf(w), { from: "2026-11-28T18:30:00.000Z", to: "2026-11-28T18:35:00.001Z" });
  assert.equal(windowText({ ...w, to_ns: "1795890900000000000" }, "utc"), "2026-11-28 18:30 – 18:35 (5 m 00 s)");
  assert.deepEqual([isEmpty(w), isEmpty({ ...w, to_ns: w.from_ns })], [false, true]);
  assert.deepEqual(["edge_gap", "steps", "of_tomorrow"].map(kindText), ["Way between services", "Log lines and steps", "of tomorrow"]);
});
