import assert from "node:assert/strict";
import test from "node:test";
import { formatAgo, formatMs, formatNs, formatUs, msToNs, nsToMs, parseDurationMs, parseTime, usSince } from "./time";

// Scenario: durations of every size stand in one column.
// Guarantee: three significant digits, one unit, never "60.0 s" or "1000 ms".
test("durations", () => {
  const cases: [number, string][] = [
    [0, "0"], [0.087, "87 ns"], [0.9999, "1.00 µs"], [1.234, "1.23 µs"], [999.4, "999 µs"], [999.6, "1.00 ms"], [1500, "1.50 ms"], [15_000, "15.0 ms"],
    [842_300, "842 ms"], [999_600, "1.00 s"], [59_940_000, "59.9 s"], [59_960_000, "1 m 00 s"], [92e6, "1 m 32 s"], [3_599_600_000, "1 h 00 m"], [12_000e6, "3 h 20 m"], [200 * 3600e6, "8 d 8 h"], [-1500, "-1.50 ms"],
  ];
  for (const [us, text] of cases) assert.equal(formatUs(us), text, String(us));
});

// Scenario: times as people, links and APIs write them.
// Guarantee: all are read, nonsense is refused, and nothing is guessed.
test("times read", () => {
  const now = Date.UTC(2026, 10, 21, 12, 0, 0);
  const iso = (text: string) => {
    const ms = parseTime(text, now, "utc");
    return ms === null ? "refused" : new Date(ms).toISOString();
  };
  const cases: [string, string][] = [
    ["now", "2026-11-21T12:00:00.000Z"], ["now-90m", "2026-11-21T10:30:00.000Z"], ["now+1d", "2026-11-22T12:00:00.000Z"],
    ["2026-11-21", "2026-11-21T00:00:00.000Z"], ["2026-11-21 04:00", "2026-11-21T04:00:00.000Z"], ["2026-11-21 04:00:05.25", "2026-11-21T04:00:05.250Z"],
    ["2026-11-21T04:00:00+02:00", "2026-11-21T02:00:00.000Z"], ["1700000000", "2023-11-14T22:13:20.000Z"], ["1700000000123", "2023-11-14T22:13:20.123Z"],
    ["1700000000123456", "2023-11-14T22:13:20.123Z"], ["1700000000123456789", "2023-11-14T22:13:20.123Z"],
    ["", "refused"], ["yesterday", "refused"], ["now-1w", "refused"], ["2026-13-01", "refused"], ["2026-11-21 25:00", "refused"], ["12", "refused"],
  ];
  for (const [text, want] of cases) assert.equal(iso(text), want, text);
});

// Scenario: nanoseconds that a double cannot hold.
// Guarantee: what is shown has all nine digits; differences inside a trace are exact.
test("nanoseconds stay exact", () => {
  assert.equal(formatNs("1700000000123456789", "utc"), "2023-11-14 22:13:20.123456789");
  assert.equal(formatNs("-1", "utc"), "1969-12-31 23:59:59.999999999");
  assert.equal(usSince("1700000000000000001", "1700000000000000002"), 0.001);
  assert.equal(msToNs(nsToMs("1700000000123000000")), "1700000000123000000");
  assert.equal(formatMs(Number.NaN, "utc"), "–");
});

test("short durations and ages", () => {
  // Scenario: what is typed into a duration field, and how old things are said to be.
  // Guarantee: the API's spellings are understood, others refused; ages read well on both sides of now.
  assert.deepEqual(["250ms", "1.5s", "80us", "2m", "7", "x", "1 d"].map(parseDurationMs), [250, 1500, 0.08, 120_000, 7, null, null]);
  assert.deepEqual([0, 5e3, 120e3, 8e6, 3e8, 1.2e11, -6e4].map((d) => formatAgo(1e12 - d, 1e12)), ["just now", "5 s ago", "2 min ago", "2 h ago", "3 d ago", "4 y ago", "in 60 s"]);
});
