import assert from "node:assert/strict";
import test from "node:test";
import { markedWords, templateParts } from "./words";

// Scenario: queries as people write them.
// Guarantee: only words that a line itself can contain are marked; half-typed quotes do no harm.
test("words to mark", () => {
  const cases: [string, string[]][] = [
    ["", []], ["timeout", ["timeout"]], ['"card declined" payment', ["card declined", "payment"]], ["http.status:500 -debug slow", ["slow"]],
    ['service:"my cart" x error', ["error"]], ['"half', ["half"]], ["a OR error AND NOT b", ["error"]], ["(a+)+$ .*", ["(a+)+$", ".*"]],
  ];
  for (const [query, want] of cases) assert.deepEqual(markedWords(query), want, query);
});

// Scenario: templates with holes anywhere, and texts that only look like them.
// Guarantee: holes and texts come in order, nothing is lost.
test("parts of templates", () => {
  const cases: [string, (string | null)[]][] = [
    ["", []], ["disk full", ["disk full"]], ["user <*> logged in", ["user ", null, " logged in"]], ["<*>:<*>", [null, ":", null]], ["<b>&<* >", ["<b>&<* >"]],
  ];
  for (const [template, want] of cases) assert.deepEqual(templateParts(template), want, template);
});
