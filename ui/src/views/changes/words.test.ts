import assert from "node:assert/strict";
import test from "node:test";
import { block } from "../../draw/testing";
import { effectText, kindText, linePhrase, nounsOf, waysOf } from "./words";

const EDGES = new Map([["checkout -> stock", { source: "service:checkout", target: "database:stock", connection_type: "database" }]]);
const ways = (kind: string, subject: string) => {
  const { traces, logs, graph } = waysOf({ kind, subject, service: "checkout" }, { from: "A", to: "B" }, EDGES);
  return [traces, logs, graph].map((href) => (href === null ? "none" : decodeURIComponent(href).replace("?from=A&to=B&", "?"))).join("  ");
};

// Scenario: every sort of change; an edge that the graph does not know.
// Guarantee: its traces, logs and place in the graph are those that it speaks of.
test("what is behind a change", () => {
  assert.equal([
    ways("new_edge", "checkout -> stock"), ways("vanished_edge", "checkout -> gone"), ways("vanished_service", "checkout"), ways("more_operation", "POST /pay"), ways("new_error", "POST /pay IOException"),
    ways("new_log_pattern", "card * is refused"), ways("less_attribute", "region=eu=1"), ways("new_version", "2.0"), ways("new_instance", "pod-1"),
  ].join("\n"), block(`
    /traces?edge_source=service:checkout&edge_target=database:stock  none  /graph?edge=service:checkout>database:stock:database
    /traces?service=checkout  none  /graph?node=service:checkout
    /traces?service=checkout  none  /graph?node=service:checkout
    /traces?service=checkout&operation=POST+/pay  none  none
    /traces?service=checkout&status=error  /logs?service=checkout&severity=error  none
    none  /logs?service=checkout&query="is+refused"  none
    /traces?service=checkout&attr=region=eu=1  none  none
    /traces?service=checkout&attr=service.version=2.0  none  none
    /traces?service=checkout  none  none
  `));
});

// Scenario: how the server calls log lines: whole, with an example, by their place.
// Guarantee: what tells the line apart is searched for.
test("phrases of lines", () => {
  assert.deepEqual(["card * is refused", "ERROR [*] com.shop.Orders … (such as : call to *:* failed twice)", "Pay#7", "*"].map(linePhrase), ['"is refused"', '"failed twice"', '"Pay#7"', null]);
});

// Scenario: kinds of today and tomorrow, effects of both signs.
// Guarantee: words for each; nouns are counted in a fixed order, unknown ones last.
test("words", () => {
  assert.deepEqual(["new_log_pattern", "vanished_edge", "more_of_tomorrow", "odd"].map(kindText), ["New: log line", "Gone: call", "More often: of tomorrow", "odd"]);
  assert.deepEqual([0.958, -0.0042, 0, 0.0004, 1].map(effectText), ["+96 %", "−0.4 %", "0 %", "0 %", "+100 %"]);
  assert.deepEqual(nounsOf([{ kind: "new_later" }, { kind: "new_version" }, { kind: "less_edge" }, { kind: "new_edge" }]).map((n) => `${n.text} ${n.count}`), ["Calls 2", "Versions 1", "later 1"]);
});
