// The ratchet: prints what the first load weighs and fails when it passes the value kept in scripts/budget.json.
// `--lower` writes the present weight (plus 5 %) there; raising it is a decision, made by hand in a commit.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const file = new URL("./budget.json", import.meta.url);
const dist = new URL("../dist/", import.meta.url);
const budget = JSON.parse(readFileSync(file, "utf8"));
const bytes = { js: 0, css: 0 };
for (const name of readdirSync(dist, { recursive: true })) {
  const kind = String(name).split(".").pop();
  if (kind in bytes) bytes[kind] += gzipSync(readFileSync(new URL(String(name), dist)), { level: 9 }).length;
}

let over = false;
for (const kind of Object.keys(bytes)) {
  const most = budget[`${kind}_gzip_bytes`];
  const bad = bytes[kind] > most;
  over ||= bad;
  console.log(`${kind}: ${bytes[kind]} bytes gzip, at most ${most}${bad ? "  <- over the budget" : ""}`);
}
if (process.argv.includes("--lower")) {
  for (const kind of Object.keys(bytes)) {
    const key = `${kind}_gzip_bytes`;
    budget[key] = Math.min(budget[key], Math.ceil(bytes[kind] * 1.05));
  }
  writeFileSync(file, JSON.stringify(budget, null, 2) + "\n");
}
if (over) process.exit(1);
