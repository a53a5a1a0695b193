import assert from "node:assert/strict";
import test from "node:test";
import { niceMax, stackBars } from "./bars";
import { oklch, serviceColor, severityOf } from "./color";
import { ERROR_CELL, minimapCells } from "./minimap";
import { clockTicks, durationTicks, formatBytes, formatCount, histogramStep } from "./scale";
import { type Dot, dotAt, dotX, dotY, msAt, scatterFrame, scatterTicks, usAt } from "./scatter";
import { block, traceOf } from "./testing";
import { withoutColours } from "./text";
import { scrollFor, slice } from "./virtual";

const map = (width: number, height: number, text: string) => {
  const cells = minimapCells(traceOf(text), width, height);
  return Array.from({ length: height }, (_, y) => Array.from(cells.subarray(y * width, (y + 1) * width), (c) => (c === 0 ? "." : c === ERROR_CELL ? "!" : String.fromCharCode(96 + c))).join("")).join("\n");
};

// Scenario: a request in a strip of few pixels.
// Guarantee: every span leaves at least one cell, services differ, errors are drawn over the rest.
test("minimap", () => {
  assert.equal(map(20, 4, "web a 0+100\n  cart b 10+20\n  pay c 50+45 !\n    bank d 55+0.01"), block(`
    aaaaaaaaaaaaaaaaaaaa
    ..bbbb..............
    ..........!!!!!!!!!.
    ...........d........
  `));
  assert.equal(map(4, 1, "web a 0+100\n  pay c 50+45 !"), "aa!!");
  assert.equal(map(3, 2, "web a 0+0"), "...\n...");
});

// Scenario: hundreds of spans in one cell, a few of them failed.
// Guarantee: the cell is red only when one in eight or more failed.
test("crowded minimap", () => {
  const of = (bad: number) => map(2, 1, `web a 0+100\n${Array.from({ length: 40 }, (_, i) => `  web x 60+1${i < bad ? " !" : ""}`).join("\n")}`);
  assert.equal(of(1), "aa");
  assert.equal(of(6), "a!");
});

// Scenario: the same service on other pages, days and machines.
// Guarantee: its colour follows from the name alone, and no service is ever red.
test("service colours", () => {
  assert.deepEqual(["frontend", "checkout", "ts-order-service", ""].map((n) => serviceColor(n, false)), ["#009e83", "#b666a0", "#814686", "#8a929c"]);
  for (let i = 0; i < 500; i++) {
    for (const dark of [true, false]) {
      const [r, g, b] = [1, 3, 5].map((p) => parseInt(serviceColor(`service-${i}`, dark).slice(p, p + 2), 16)) as [number, number, number];
      assert.ok(!(r > 150 && g < 0.62 * r && b < 0.62 * r), `service-${i} looks red: ${r} ${g} ${b}`);
    }
  }
  assert.equal(oklch(1, 0, 0), "#ffffff");
});

test("severities", () => {
  // Scenario: numbers of OpenTelemetry, and words of senders that give no number.
  // Guarantee: each falls into one of the known steps.
  assert.deepEqual([[1, ""], [9, "x"], [13, ""], [17, ""], [24, ""], [0, "WARNING"], [0, "err"], [0, "Critical"], [0, "NOTICE"], [0, ""], [99, "fine"]].map(([n, t]) => severityOf(n as number, t as string)),
    ["trace", "info", "warn", "error", "fatal", "warn", "error", "fatal", "info", "unset", "debug"]);
});

test("axes", () => {
  // Scenario: axes of all lengths.
  // Guarantee: round steps, in order, inside the axis.
  const labels = (a: number, b: number) => durationTicks(a, b, 600).map((t) => t.label).join(" ");
  assert.equal(labels(0, 842_300), "0 200 ms 400 ms 600 ms 800 ms");
  assert.equal(labels(70_000, 70_010), "70.000 ms 70.002 ms 70.004 ms 70.006 ms 70.008 ms 70.010 ms");
  assert.equal(labels(92e6, 92e6 + 3), "92.0000000 s 92.0000010 s 92.0000020 s 92.0000030 s".replace(/0 s/g, " s"));
  assert.equal(labels(1.5, 1.5 + 0.05), "1.50 µs 1.51 µs 1.52 µs 1.53 µs 1.54 µs 1.55 µs");
  assert.deepEqual(durationTicks(5, 5, 100), []);
  const noon = Date.UTC(2026, 10, 21, 12);
  assert.equal(clockTicks(noon, noon + 3_600_000, 700, "utc").map((t) => t.label).join(" "), "12:00 12:15 12:30 12:45 13:00");
  assert.equal(clockTicks(noon, noon + 7 * 86_400_000, 900, "utc").map((t) => t.label).join(" "), "11-22 11-23 11-24 11-25 11-26 11-27 11-28");
  assert.equal(clockTicks(noon, noon + 400, 500, "utc").map((t) => t.label).join(" "), "00:00.000 00:00.100 00:00.200 00:00.300 00:00.400");
  const longer = (years: number) => clockTicks(noon - years * 31_556_952_000, noon, 700, "utc").map((t) => t.label).join(" ");
  assert.equal(longer(0.9), "2026-01 2026-03 2026-05 2026-07 2026-09 2026-11");
  assert.equal(longer(3.8), "2024 2025 2026");
  assert.equal(longer(56), "1980 1990 2000 2010 2020");
  assert.deepEqual([1000, 3_600_000, 86_400_000, 2e11].map((w) => histogramStep(w, 90).text), ["1s", "60s", "1800s", "2592000s"]);
});

// Scenario: lines that were written for a terminal, and ones that only look so.
// Guarantee: control sequences are gone, every other character stays.
test("terminal colours", () => {
  const cases: [string, string][] = [
    ["plain [0m text", "plain [0m text"], ["\u001b[35m\u001b[1mGET /fail\u001b[0m 500", "GET /fail 500"], ["a\u001b[38;5;196mb\u001b[Kc", "abc"],
    ["\u001b]0;title\u0007x\u001b]8;;http://h\u001b\\y", "xy"], ["\u001bMup \u001b", "up \u001b"],
  ];
  for (const [raw, want] of cases) assert.equal(withoutColours(raw), want, JSON.stringify(raw));
});

test("numbers", () => {
  assert.deepEqual([0, 999, 12_345, 123_456, 1_234_567, 1.2e9].map(formatCount), ["0", "999", "12,345", "123 k", "1.23 M", "1.20 G"]);
  assert.deepEqual([0, 1023, 1024, 73_400_320, 8_589_934_592].map(formatBytes), ["0 B", "1023 B", "1.00 KiB", "70.0 MiB", "8.00 GiB"]);
});

// Scenario: bars of a histogram, one of them before the window, one with a single error among many.
// Guarantee: the gravest stands at the bottom, whatever is there is seen, nothing is drawn outside.
test("stacked bars", () => {
  const bars = stackBars([{ time_ns: "-500000000", counts: { info: 2 } }, { time_ns: "1000000000", counts: { info: 999, ERROR: 1, odd: 0 } }], { width: 40, height: 100, fromMs: 0, toMs: 4000, stepMs: 1000, max: 1000 });
  assert.deepEqual(bars.map((b) => `${b.severity} x${b.x} w${b.w} y${b.y.toFixed(1)} h${b.h.toFixed(1)}`), ["info x0 w4 y99.0 h1.0", "error x10 w9 y99.0 h1.0", "info x10 w9 y0.0 h99.9"]);
  assert.deepEqual([1, 4, 5, 11, 26, 51, 99, 101, 3001].map(niceMax), [4, 4, 5, 20, 40, 80, 100, 200, 4000]);
});

// Scenario: dots of a trace list, the pointer and a drag over them.
// Guarantee: positions and their inverses agree; the nearest dot within reach is hit.
test("scatter", () => {
  const dots: Dot[] = [{ startMs: 100, durationUs: 1500, error: false, service: "a" }, { startMs: 900, durationUs: 80_000, error: true, service: "b" }, { startMs: 500, durationUs: 0, error: false, service: "c" }];
  const f = scatterFrame(dots, { fromMs: 0, toMs: 1000 }, 500, 200);
  assert.deepEqual([f.lowUs, f.highUs], [1000, 100_000]);
  assert.deepEqual(scatterTicks(f, "utc").y.map((t) => t.label), ["1 ms", "10 ms", "100 ms"]);
  assert.equal(Math.round(msAt(f, dotX(f, 100))), 100);
  assert.equal(Math.round(usAt(f, dotY(f, 80_000))), 80_000);
  assert.equal(dotAt(dots, f, dotX(f, 900) + 3, dotY(f, 80_000) - 3), 1);
  assert.equal(dotAt(dots, f, dotX(f, 900) + 30, dotY(f, 80_000)), -1);
  assert.ok(Number.isFinite(scatterFrame([], { fromMs: 0, toMs: 1 }, 10, 10).highUs));
});

// Scenario: a list of 100,000 rows, two of them opened.
// Guarantee: what is on screen is rendered and little more; the offsets include what hangs below opened rows.
test("virtual rows", () => {
  const extra = new Map([[2, 100], [50_000, 40]]);
  assert.deepEqual(slice(100_000, 20, extra, 0, 200, 0), { first: 0, last: 6, before: 0, total: 2_000_140 });
  assert.deepEqual(slice(100_000, 20, extra, 90, 50, 0), { first: 2, last: 3, before: 40, total: 2_000_140 });
  assert.deepEqual(slice(100_000, 20, extra, 160, 40, 0), { first: 3, last: 6, before: 160, total: 2_000_140 });
  assert.deepEqual(slice(100_000, 20, extra, 2_000_040, 100, 0), { first: 99_995, last: 100_000, before: 2_000_040, total: 2_000_140 });
  assert.deepEqual(slice(0, 20, new Map(), 0, 100), { first: 0, last: 0, before: 0, total: 0 });
  assert.deepEqual([scrollFor(3, 20, extra, 0, 100), scrollFor(0, 20, extra, 0, 100), scrollFor(1, 20, extra, 50, 100)], [80, null, 20]);
});
