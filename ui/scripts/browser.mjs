// Drives Debian's chromium over its debugging pipe, without any package: open, act, look, collect what went wrong.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const chromium = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((p) => p && existsSync(p));

const CALL_MS_MAX = 40_000;

export async function launch({ width = 1440, height = 900, dark = false } = {}) {
  const profile = mkdtempSync(join(tmpdir(), "hypocenter-ui-"));
  const child = spawn(chromium, ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars=false", "--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-pipe", `--user-data-dir=${profile}`, `--window-size=${width},${height}`, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const waiting = new Map();
  const listeners = [];
  let last = 0;
  let rest = "";
  child.stdio[4].on("data", (data) => {
    const parts = (rest + data).split("\0");
    rest = parts.pop();
    for (const part of parts) {
      const message = JSON.parse(part);
      if (message.id) {
        const call = waiting.get(message.id);
        waiting.delete(message.id);
        if (message.error) call?.reject(new Error(message.error.message));
        else call?.resolve(message.result);
      } else for (const listen of listeners) listen(message);
    }
  });
  let gone = false;
  const lost = () => {
    gone = true;
    for (const { reject } of waiting.values()) reject(new Error("the browser is gone"));
    waiting.clear();
  };
  child.once("exit", lost);
  child.once("error", lost);
  for (const pipe of [child.stdio[3], child.stdio[4]]) pipe.on("error", lost);
  const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
    if (gone) return void reject(new Error("the browser is gone"));
    const id = ++last;
    // No call takes this long but one that is lost: nothing may wait for ever.
    const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), CALL_MS_MAX);
    waiting.set(id, { resolve: (v) => (clearTimeout(timer), resolve(v)), reject: (e) => (clearTimeout(timer), reject(e)) });
    child.stdio[3].write(`${JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) })}\0`);
  });

  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const call = (method, params) => send(method, params, sessionId);
  const faults = [];
  listeners.push(({ method, params }) => {
    if (method === "Runtime.exceptionThrown") faults.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Log.entryAdded" && params.entry.level === "error") faults.push(`${params.entry.text} ${params.entry.url ?? ""}`);
    if (method === "Runtime.consoleAPICalled" && params.type === "error") faults.push(params.args.map((a) => a.value ?? a.description).join(" "));
  });
  await call("Page.enable");
  await call("Runtime.enable");
  await call("Log.enable");
  await call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
  await call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });

  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const run = async (expression) => {
    const { result, exceptionDetails } = await call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  const KEYS = { Enter: 13, Escape: 27, ArrowDown: 40, ArrowUp: 38 };
  return {
    faults, run, sleep,
    open: (url) => call("Page.navigate", { url }),
    /** Waits until an expression is true; says which when it never is. */
    async until(expression, ms = 15_000) {
      for (const end = Date.now() + ms; Date.now() < end; await sleep(50)) if (await run(`!!(${expression})`).catch(() => false)) return;
      throw new Error(`never came true: ${expression}`);
    },
    async key(key) {
      const text = key.length === 1 ? key : key === "Enter" ? "\r" : undefined;
      await call("Input.dispatchKeyEvent", { type: "keyDown", key, text, windowsVirtualKeyCode: KEYS[key] });
      await call("Input.dispatchKeyEvent", { type: "keyUp", key, windowsVirtualKeyCode: KEYS[key] });
      await sleep(40);
    },
    type: (text) => call("Input.insertText", { text }),
    async mouse(...points) {
      const [[x0, y0], ...others] = points;
      const at = (type, x, y, buttons) => call("Input.dispatchMouseEvent", { type, x, y, button: "left", buttons, clickCount: 1 });
      await at("mouseMoved", x0, y0, 0);
      await at("mousePressed", x0, y0, 1);
      for (const [x, y] of others) await at("mouseMoved", x, y, 1);
      const [x, y] = others.at(-1) ?? [x0, y0];
      await at("mouseReleased", x, y, 0);
      await sleep(60);
    },
    hover: (x, y) => call("Input.dispatchMouseEvent", { type: "mouseMoved", x, y }),
    async shot(file) {
      const { data } = await call("Page.captureScreenshot", { format: "png" });
      writeFileSync(file, Buffer.from(data, "base64"));
    },
    /** What the page is on paper: A4, as its print rules say. */
    async pdf() {
      const { data } = await call("Page.printToPDF", { preferCSSPageSize: true, printBackground: false });
      return Buffer.from(data, "base64");
    },
    async close() {
      await send("Browser.close").catch(() => undefined);
      await Promise.race([new Promise((done) => child.once("exit", done)), sleep(3000)]);
      child.kill();
      rmSync(profile, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
