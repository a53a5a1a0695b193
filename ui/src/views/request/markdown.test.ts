import assert from "node:assert/strict";
import test from "node:test";
import { block, logAt, traceOf } from "../../draw/testing";
import { indexLogs } from "../../draw/trace";
import { toMarkdown } from "./markdown";

// Scenario: a small request with hostile names, copied for an issue.
// Guarantee: facts, tree and lines in order; nothing in a name or line can break out of its place.
test("markdown", () => {
  const trace = { ...traceOf("web <b>* 0+1500 *\n  pay charge_`x` 200+900 !"), totalLogs: 2, problems: [{ code: "clock_skew", text: "pay is behind", count: 1 }] };
  const logs = indexLogs(trace, [logAt(300, "s1", "card `4111`\nrefused", { severity: "ERROR", severity_number: 17 }), logAt(1400, null, "done", { join: "placed" })]);
  assert.equal(toMarkdown(trace, logs, "http://x/trace/1").trimEnd(), block(`
    # Request \`4bf92f3577b34da6a3ce929d0e0e4736\`

    - root: web \\<b\\>\\*
    - start: 2023-11-14 22:13:20.000000000 UTC, duration 1.50 ms
    - 2 spans, 1 with errors, 2 log lines, services: web, pay
    - http://x/trace/1
    - problem \`clock_skew\` (1): pay is behind

    ## Spans

    - web · \\<b\\>\\* · 1.50 ms at +0 (critical path)
      - pay · charge\\_\\\`x\\\` · 900 µs at +200 µs (**error**)

    ## Log lines

    - +300 µs ERROR svc: \`\` card \`4111\` refused \`\`
    - +1.40 ms INFO svc [placed]: \`done\`
  `));
});

// Scenario: a request of 1,000 spans and 500 lines.
// Guarantee: the text stays small, and what matters (errors, critical path, warnings) is in it.
test("markdown of a large request", () => {
  const trace = { ...traceOf(`web root 0+1000 *\n${Array.from({ length: 999 }, (_, i) => `  svc op${i} ${i}+1${i === 900 ? " !" : ""}`).join("\n")}`), totalLogs: 500 };
  const logs = indexLogs(trace, Array.from({ length: 500 }, (_, i) => logAt(i, null, `line ${i}`, i === 490 ? { severity: "WARN", severity_number: 13 } : {})));
  const text = toMarkdown(trace, logs, "x");
  assert.match(text, /op900 .*\*\*error\*\*/);
  assert.match(text, /… 880 spans more/);
  assert.match(text, /line 490/);
  assert.match(text, /… 440 lines more/);
});
