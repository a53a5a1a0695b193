import assert from "node:assert/strict";
import test from "node:test";
import { block, logAt, traceOf } from "./testing";
import { collapseFrom, findSpans, indexLogs, type LogIndex, LOGS_PER_SPAN, reveal, Row, serviceTotals, spanRows, subtreeEnds, type Trace, visibleRows } from "./trace";

const SHOP = traceOf(`
  web checkout 0+100 #a
    cart get 5+20 #b
      db select 8+10 #c
    pay charge 30+60 ! #d
      bank call 40+40 #e
    mail send 92+6 #f
`);

function text(trace: Trace, collapsed: number[], logs: LogIndex | null = null, all: number[] = []): string {
  const rows = visibleRows(trace, new Set(collapsed), logs, new Set(all));
  const out: string[] = [];
  for (let i = 0; i < rows.count; i++) {
    const ref = rows.ref[i]!;
    if (rows.kind[i] === Row.Span) out.push(`${"  ".repeat(trace.depth[ref]!)}${trace.services[trace.service[ref]!]}${collapsed.includes(ref) ? " +" : ""}`);
    else if (rows.kind[i] === Row.Log) out.push(`${"  ".repeat((trace.depth[logs!.spanOf[ref]!] ?? 0) + 1)}"${logs!.lines[ref]!.body}"`);
    else out.push(rows.kind[i] === Row.MoreLogs ? "more" : "without a span");
  }
  return out.join("\n");
}

// Scenario: a tree opened and closed, with log lines of several joins.
// Guarantee: a line stands under its span, before the span's children, in time order; closed spans hide both; lines without a span come last.
test("visible rows", () => {
  const logs = indexLogs(SHOP, [logAt(1, "a", "in"), logAt(9, "c", "slow"), logAt(50, "d", "declined"), logAt(55, "gone", "stray"), logAt(60, null, "placed"), logAt(99, "a", "out")]);
  assert.equal(text(SHOP, []), "web\n  cart\n    db\n  pay\n    bank\n  mail");
  assert.equal(text(SHOP, [1, 3]), "web\n  cart +\n  pay +\n  mail");
  assert.equal(text(SHOP, [3], logs), block(`
    web
      "in"
      "out"
      cart
        db
          "slow"
      pay +
      mail
    without a span
      "stray"
      "placed"
  `));
  assert.equal(text(SHOP, [0], logs), 'web +\nwithout a span\n  "stray"\n  "placed"');
});

// Scenario: one span with far more lines than fit.
// Guarantee: a row stands for the rest, and asking for it shows all.
test("many lines of one span", () => {
  const logs = indexLogs(SHOP, Array.from({ length: LOGS_PER_SPAN + 5 }, (_, i) => logAt(i, "f", `line ${i}`)));
  assert.equal(text(SHOP, [], logs).split("\n").filter((l) => l.includes("line")).length, LOGS_PER_SPAN);
  assert.match(text(SHOP, [], logs), /more$/);
  assert.equal(text(SHOP, [], logs, [5]).split("\n").filter((l) => l.includes("line")).length, LOGS_PER_SPAN + 5);
});

test("finding, revealing, counting", () => {
  // Scenario: a search hit inside closed subtrees; a legend; two spans of one id.
  // Guarantee: hits by service, name and id part; only ancestors open; equal ids lead to the first row.
  assert.deepEqual(findSpans(SHOP, "CHA"), [3]);
  assert.deepEqual(findSpans(SHOP, "db"), [2]);
  assert.deepEqual(findSpans(SHOP, "  "), []);
  const closed = collapseFrom(SHOP, 0);
  assert.deepEqual([...closed], [0, 1, 3]);
  assert.equal(reveal(SHOP, closed, 4), true);
  assert.deepEqual([...closed], [1]);
  assert.equal(reveal(SHOP, closed, 4), false);
  assert.deepEqual(serviceTotals(SHOP).map((t) => `${SHOP.services[t.service]} ${t.spans} ${t.errors}`).slice(0, 3), ["web 1 0", "cart 1 0", "db 1 0"]);
  assert.equal(spanRows(traceOf("a x 0+1 #s\n  b y 0+1 #s")).get("s"), 0);
});

// Scenario: 100,000 spans, ten levels deep, 20,000 lines.
// Guarantee: ends, rows and lines agree with a slow reckoning; closing the root leaves one row.
test("100,000 spans", () => {
  const n = 100_000;
  const depth = Int32Array.from({ length: n }, (_, i) => (i === 0 ? 0 : 1 + (i % 9)));
  for (let i = 1; i < n; i++) depth[i] = Math.min(depth[i]!, depth[i - 1]! + 1);
  const end = subtreeEnds(depth);
  for (let i = 0; i < n; i += 997) {
    let e = i + 1;
    while (e < n && depth[e]! > depth[i]!) e++;
    assert.equal(end[i], e);
  }
  const trace: Trace = { ...SHOP, count: n, depth, end, spanId: Array.from({ length: n }, (_, i) => `id${i}`), name: new Int32Array(n), service: new Int32Array(n) };
  const logs = indexLogs(trace, Array.from({ length: 20_000 }, (_, i) => logAt(i, `id${(i * 7) % n}`, "x")));
  assert.equal(visibleRows(trace, new Set(), logs, new Set()).count, 120_000);
  assert.equal(visibleRows(trace, new Set([0]), logs, new Set()).count, 1);
});
