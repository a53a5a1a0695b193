// Runs every src/**/*.test.ts with Node's own test runner, after Vite has turned the TypeScript into plain modules.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const out = join(root, "node_modules", ".tests");
const tests = readdirSync(join(root, "src"), { recursive: true }).map(String).filter((name) => name.endsWith(".test.ts"));

rmSync(out, { recursive: true, force: true });
await build({
  root,
  logLevel: "warn",
  build: {
    ssr: true,
    outDir: out,
    copyPublicDir: false,
    rollupOptions: { input: tests.map((name) => join(root, "src", name)) },
  },
});
// Node 18 does not take the project's own `type` for files below node_modules.
writeFileSync(join(out, "package.json"), '{"type":"module"}\n');
const built = readdirSync(out).filter((name) => name.endsWith(".test.js")).map((name) => join(out, name));
const run = spawnSync(process.execPath, ["--test", ...built], { stdio: "inherit", cwd: root });
process.exit(run.status ?? 1);
