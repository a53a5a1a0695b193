import assert from "node:assert/strict";
import test from "node:test";
import { query } from "./url";

// Scenario: a page changes some of its parameters.
// Guarantee: empty ones leave no trace, repeated ones stay repeated, the others are kept, and everything odd is encoded.
test("parameters", () => {
  const from = new URLSearchParams("service=cart&attr=a%3D1&attr=b%3D2&from=now-1h");
  assert.equal(query({ service: null }, from), "?attr=a%3D1&attr=b%3D2&from=now-1h");
  assert.equal(query({ attr: ["x=&"], to: "", status: "error" }, from), "?service=cart&from=now-1h&attr=x%3D%26&status=error");
  assert.equal(query({ attr: [], service: undefined, from: null }, from), "");
  assert.equal(query({ from: "2026-11-21T04:00:00.000Z" }), "?from=2026-11-21T04:00:00.000Z");
});
