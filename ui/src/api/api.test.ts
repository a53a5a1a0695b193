import assert from "node:assert/strict";
import test from "node:test";
// @ts-expect-error a plain script without types
import { generate } from "../../scripts/types.mjs";
import { block } from "../draw/testing";
import { waterfall } from "./client";
import * as shape from "./shapes";

const COLUMNS = { span_id: ["aa", "bb"], parent: [-1, 0], depth: [0, 1], service: [0, 0], name: [0, 1], kind: [2, 3], start_us: [0, 1.5], duration_us: [10, 2], status: [0, 2], log_count: [0, 3], critical: [true, 0] };
const HEAD = { trace_id: "aa", start_ns: "1700000000000000000", duration_ns: "10000", total_spans: 2, total_logs: 3, services: ["a"], names: ["x", "y"], problems: [] };

// Scenario: an answer in columns, sound and broken.
// Guarantee: it becomes typed arrays; unequal columns and wrong types are refused with the place named.
test("columns", () => {
  const t = waterfall({ ...HEAD, columns: COLUMNS }, "");
  assert.deepEqual([t.count, t.durationUs, [...t.end], [...t.critical], t.partial], [2, 10, [2, 2], [1, 0], null]);
  assert.throws(() => waterfall({ ...HEAD, columns: { ...COLUMNS, depth: [0] } }, ""), /2 rows \(it has 1\): columns\.depth/);
  assert.throws(() => waterfall({ ...HEAD, columns: { ...COLUMNS, start_us: [0, "x"] } }, ""), /columns\.start_us\[1\]/);
  assert.throws(() => waterfall({ ...HEAD, start_ns: "soon", columns: COLUMNS }, ""), /start_ns/);
  assert.equal(waterfall({ ...HEAD, columns: COLUMNS, partial: true, partial_reason: "time" }, "").partial, "time");
});

// Scenario: answers with absent, null, additional and hostile fields.
// Guarantee: what may be missing gets its default, what is new is passed over, `__proto__` is only a key.
test("answers", () => {
  const line = shape.logLine(JSON.parse('{"time_ns":"1","body":{"a":1},"attributes":{"__proto__":{"x":1}},"new_field":1,"service":null}'), "logs[0]");
  assert.deepEqual([line.service, line.join, line.severity_number, Object.keys(line.attributes)], ["", null, 0, ["__proto__"]]);
  assert.equal(({} as Record<string, unknown>)["x"], undefined);
  assert.throws(() => shape.logs({ logs: [{ time_ns: 1.5 }] }, ""), /nanoseconds as decimal digits: logs\[0\]\.time_ns/);
  assert.deepEqual(shape.resource({ attributes: { "service.name": "a" } }, "").attributes["service.name"], "a");
  const report = shape.suspects({ verdict: "no_fault", summary: "", suspects: [], fault: { from_ns: "1", to_ns: "2" }, baseline: { from_ns: "1", to_ns: "1", chosen: true }, notices: null }, "");
  assert.deepEqual([report.notices, report.partial, report.fault.spans, report.fault.chosen], [[], false, 0, false]);
  assert.throws(() => shape.suspects({ ...report, suspects: [{ service: "a" }] }, ""), /a number: suspects\[0\]\.score/);
  assert.throws(() => shape.traces("nonsense", ""), /a string where this page expects an object/);
});

// Scenario: the server's document, with everything our generator knows and one thing it does not.
// Guarantee: readable interfaces; the unknown stops it rather than becoming a wrong type.
test("types from OpenAPI", () => {
  const of = (schema: unknown) => generate({ components: { schemas: { X: schema } } }).split("\n").slice(2).join("\n").trim();
  assert.equal(of({
    type: "object", description: "One thing.", required: ["id", "state"],
    properties: { id: { type: "string", description: "Its */ id." }, state: { enum: ["ok", "down"] }, "odd-key": { type: ["integer", "null"] }, list: { type: "array", items: { oneOf: [{ type: "string" }, { $ref: "#/components/schemas/Y" }] } }, map: { type: "object", additionalProperties: { type: "number" } }, any: {}, inner: { type: "object", properties: { a: { type: "boolean" } } } },
  }), block(`
    /** One thing. */
    export interface X {
      /** Its * / id. */
      id: string;
      state: "ok" | "down";
      "odd-key"?: number | null;
      list?: (string | Y)[];
      map?: Record<string, number>;
      any?: unknown;
      inner?: {
        a?: boolean;
      };
    }
  `));
  assert.equal(of({ type: "string", enum: ["a"] }), 'export type X = "a";');
  assert.throws(() => of({ type: "tuple" }), /does not know/);
});
