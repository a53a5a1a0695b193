import assert from "node:assert/strict";
import test from "node:test";
import { block, logAt, traceOf } from "./testing";
import { indexLogs, visibleRows } from "./trace";
import { type Layout, layoutRows, ROW_PX, SCROLL_PX_MAX, scrollScale, toUs, toX, type View, type Window, zoomWindow } from "./waterfall";

const NAMES = 10;
const TIME = 40;

const TRACE = traceOf(`
  web checkout 0+100 #a
    cart get 10+20 #b
    pay charge 50+45 ! #d
      bank call 55+0.01 #e
`);

/** One character is one pixel: name column, time column, label. */
function draw(window: Window, ticks = false, collapsed: number[] = []): string {
  const logs = indexLogs(TRACE, [logAt(15, "b", "one"), logAt(28, "b", "two"), logAt(70, "d", "x")]);
  const closed = new Set(collapsed);
  const view: View = { width: NAMES + TIME, height: ROW_PX * 50, nameWidth: NAMES, scrollTop: 0, window };
  const layout: Layout = { trace: TRACE, rows: visibleRows(TRACE, closed, ticks ? null : logs, new Set()), collapsed: closed, logs, logUs: Float64Array.from([15, 28, 70]), ticks, view, measure: () => 0 };
  return layoutRows(layout).map((s) => {
    const name = s.kind === 0 ? `${" ".repeat(s.depth)}${s.toggle > 0 ? "v" : s.toggle < 0 ? ">" : "-"}${TRACE.services[TRACE.service[s.ref]!]}${s.hidden ? `+${s.hidden}` : ""}` : `${" ".repeat(s.depth)}"${logs.lines[s.ref]!.body}"`;
    const cells = Array.from({ length: TIME }, () => " ");
    if (s.bar) for (let x = Math.round(s.bar.x); x < Math.max(Math.round(s.bar.x) + 1, Math.round(s.bar.x + s.bar.w)); x++) cells[Math.min(TIME - 1, x - NAMES)] = s.kind === 0 ? "=" : "o";
    if (s.bar?.cutLeft) cells[0] = "<";
    if (s.bar?.cutRight) cells[TIME - 1] = ">";
    for (const x of s.ticks) cells[x - NAMES] = "'";
    return `${name.padEnd(NAMES)}|${cells.join("")}|${s.label?.text ?? ""}`;
  }).join("\n");
}

// Scenario: a small request, all of it in the window.
// Guarantee: bars lie where their times are, tiny spans are still seen, lines sit on their own row at their moment.
test("whole window", () => {
  assert.equal(draw({ from: 0, to: 100 }), block(`
    vweb      |========================================|100 µs
     vcart    |    ========                            |20.0 µs
      "one"   |      o                                 |
      "two"   |           o                            |
     vpay     |                    ==================  |45.0 µs
      "x"     |                            o           |
      -bank   |                      ==                |10 ns
  `));
});

// Scenario: zoomed to the middle, lines as ticks, one span closed.
// Guarantee: cut bars say so, what is outside has no bar, ticks sit on the bars, the closed span tells what it hides.
test("zoomed, ticks, collapsed", () => {
  assert.equal(draw({ from: 20, to: 60 }, true, [2]), block(`
    vweb      |<======================================>|100 µs
     -cart    |<======='=                              |20.0 µs
     >pay+1   |                              =========>|45.0 µs
  `));
});

// Scenario: zooming in and out around the pointer, at and beyond the ends.
// Guarantee: the moment under the pointer stays, the window never leaves the trace nor shrinks to nothing.
test("zoom", () => {
  assert.deepEqual(zoomWindow({ from: 0, to: 100 }, 50, 0.5, 100), { from: 25, to: 75 });
  assert.deepEqual(zoomWindow({ from: 0, to: 100 }, 0, 0.1, 100), { from: 0, to: 10 });
  assert.deepEqual(zoomWindow({ from: 90, to: 100 }, 99, 4, 100), { from: 60, to: 100 });
  assert.deepEqual(zoomWindow({ from: 20, to: 30 }, 25, 100, 100), { from: 0, to: 100 });
  const tiny = zoomWindow({ from: 10, to: 10.01 }, 10.005, 0.001, 100);
  assert.ok(tiny.to - tiny.from >= 0.0099);
  const view: View = { width: 300, height: 1, nameWidth: 100, scrollTop: 0, window: { from: 7, to: 9 } };
  assert.equal(toUs(toX(8.25, view), view), 8.25);
});

// Scenario: more rows than a browser's scrollbar has pixels.
// Guarantee: below the limit one pixel is one pixel; above, the last row is still reached.
test("scroll range", () => {
  assert.deepEqual(scrollScale(1000, 800), { height: 1000 * ROW_PX, factor: 1 });
  const rows = 2_000_000;
  const { height, factor } = scrollScale(rows, 800);
  assert.equal(height, SCROLL_PX_MAX);
  assert.equal(Math.round((height - 800) * factor), rows * ROW_PX - 800);
});
