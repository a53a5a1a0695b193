// Opens the built pages in a real browser against scripts/mock.mjs, under a base path and the strict CSP, and works with them:
// keys, drags, links, hostile texts, empty, failing and slow servers, a request of 100,000 spans. `npm run build` first.
// Without chromium it says so and ends with code 3: not run is not passed. `--shots DIR` keeps a picture of every step;
// `--only fault` runs the checks whose names begin so.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium, launch } from "./browser.mjs";

if (!chromium) {
  console.log("not run: no chromium found (Debian: apt-get install chromium, or set CHROMIUM)");
  process.exit(3);
}
const option = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : null);
const only = option("--only") ?? "";
const shots = option("--shots");
if (shots) mkdirSync(shots, { recursive: true });

const mocks = [];
function mock(...options) {
  const child = spawn(process.execPath, [fileURLToPath(new URL("./mock.mjs", import.meta.url)), "--port", "0", ...options], { stdio: ["ignore", "pipe", "inherit"] });
  mocks.push(child);
  return new Promise((done) => child.stdout.once("data", (line) => done(String(line).trim())));
}

const TRACE = "4bf92f3577b34da6a3ce929d0e0e47";
const full = await mock("--base", "/deep/prefix/");
const empty = await mock("--scenario", "empty");
const failing = await mock("--scenario", "error");
const slow = await mock("--scenario", "slow");

let passed = 0;
async function check(name, run, { dark = false, width = 1440, faults = [] } = {}) {
  if (!name.startsWith(only)) return;
  // A busy machine sometimes kills a browser at its start; once more is fair, for ever is not.
  const open = () => launch({ dark, width, height: 900 });
  const b = await open().catch(open);
  try {
    await run(b);
    const unexpected = b.faults.filter((f) => !faults.some((known) => f.includes(known)));
    assert.deepEqual(unexpected, [], "the console stays silent");
    assert.notEqual(await b.run("document.title"), "owned", "hostile text stays text");
    if (shots) await b.shot(`${shots}/${name.replace(/\W+/g, "-")}.png`);
    passed++;
    console.log(`ok   ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}\n     ${error.message}`);
    if (shots) await b.shot(`${shots}/failed-${name.replace(/\W+/g, "-")}.png`);
    process.exitCode = 1;
  } finally {
    await b.close();
  }
}

const text = (b) => b.run("document.body.innerText");
const url = (b) => b.run("location.pathname + location.search");
const ink = (selector) => `(() => { const c = document.querySelector(${JSON.stringify(selector)}); if (!c || !c.width) return 0; const d = c.getContext("2d").getImageData(0, 0, c.width, Math.min(c.height, 600)).data; let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i]) n++; return n; })()`;

try {
  await check("traces: list, keys, filter, back", async (b) => {
    await b.open(`${full}traces`);
    await b.until("document.querySelectorAll('a.trace-row').length === 100");
    await b.until(`${ink(".scatter canvas")} > 500`);
    await b.key("j");
    await b.key("j");
    await b.until("document.querySelector('.trace-row.at')?.id === 'trace-1'");
    await b.key("e");
    await b.until("location.search.includes('status=error')");
    await b.run("history.back()");
    await b.until("!location.search.includes('status')");
    await b.until("document.querySelectorAll('a.trace-row').length === 100 && !document.querySelector('.busy')");
    await b.key("m");
    await b.until("document.querySelectorAll('a.trace-row').length === 200");
    await b.key("?");
    await b.until("document.querySelector('dialog').open");
    await b.key("Escape");
    await b.until("!document.querySelector('dialog').open");
    await b.key("Enter");
    await b.until("location.pathname.startsWith('/deep/prefix/trace/')");
  });

  await check("traces: drag over the dots narrows the search", async (b) => {
    await b.open(`${full}traces`);
    await b.until("document.querySelectorAll('a.trace-row').length > 0 && document.querySelector('.open-incidents')");
    const top = await b.run("document.querySelector('.scatter canvas').getBoundingClientRect().top");
    await b.mouse([500, top + 15], [800, top + 80], [1100, top + 120]);
    await b.until("location.search.includes('min_duration=') && /from=\\d{4}-/.test(location.search)");
  });

  await check("traces: a partial answer says so", async (b) => {
    await b.open(`${full}traces?attr=user.id%3D7`);
    await b.until("document.querySelector('.note')?.innerText.includes('stopped after 10 s')");
  });

  await check("request: rows, choice, details, link", async (b) => {
    await b.open(`${full}trace/${TRACE}01`);
    await b.until("document.querySelector('.wf-scroll canvas')?.height > 300");
    await b.until(`${ink(".wf-scroll canvas")} > 3000`);
    await b.key("e");
    await b.key("Enter");
    await b.until("document.querySelector('.details .message')");
    await b.until("location.search.includes('span=')");
    assert.match(await text(b), /PaymentError[\s\S]*card declined/);
    const there = await url(b);
    await b.key("l");
    await b.until("location.search.includes('logs=ticks')");
    await b.key("+");
    await b.until("location.search.includes('zoom=')");
    await b.key("z");
    await b.until("!location.search.includes('zoom=')");
    await b.open(new URL(there, full).href);
    await b.until("document.querySelector('.details .message')");
  });

  await check("request: find inside, next match, log line", async (b) => {
    await b.open(`${full}trace/${TRACE}01`);
    await b.until("document.querySelector('.wf-scroll canvas')?.height > 300");
    await b.key("f");
    await b.type("payment refused");
    await b.until("Number(document.querySelector('.hits')?.innerText) > 0");
    await b.key("Enter");
    await b.until("location.search.includes('line=') && document.querySelector('.panel .log-more')");
    assert.match(await text(b), /payment refused: card expired/);
  });

  await check("request: drag zooms, click chooses", async (b) => {
    await b.open(`${full}trace/${TRACE}01`);
    await b.until("document.querySelector('.wf-scroll canvas')?.height > 300");
    await b.mouse([500, 400], [600, 400], [800, 410]);
    await b.until("/zoom=[\\d.]+-[\\d.]+/.test(location.search)");
    await b.mouse([120, 240]);
    await b.until("location.search.includes('span=')");
    await b.until("document.querySelector('.details .attrs')");
  });

  await check("request: 100,000 spans", async (b) => {
    await b.open(`${full}trace/${TRACE}02`);
    await b.until("document.querySelector('.wf-scroll canvas')?.height > 300", 30_000);
    const shown = Math.round(await b.run("performance.now()"));
    await b.run("document.querySelector('.wf-scroll').scrollTop = 1e7");
    await b.until(`document.querySelector(".wf-scroll").scrollTop > 1e6 && ${ink(".wf-scroll canvas")} > 3000`);
    assert.ok((await b.run("document.querySelector('.wf-scroll canvas').height")) < 2000, "the canvas is as large as the screen, not as the list");
    assert.ok((await b.run("document.querySelectorAll('*').length")) < 900, "few elements");
    const timed = async (expression) => Math.round(await b.run(`(async () => { const t = performance.now(); ${expression}; await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame); return performance.now() - t; })()`));
    const key = (k) => `dispatchEvent(new KeyboardEvent("keydown", { key: ${JSON.stringify(k)}, bubbles: true }))`;
    const took = { "scroll by a page": await timed("document.querySelector('.wf-scroll').scrollTop -= 600"), "next row": await timed(key("j")), "collapse a level": await timed(key("{")), "expand all": await timed(key("x")), "next error": await timed(key("e")) };
    console.log(`     shown ${shown} ms after navigation; ${Object.entries(took).map(([k, v]) => `${k} ${v} ms`).join(", ")} (two frames included; printed, not judged)`);
  }, { dark: true });

  await check("request: log lines only", async (b) => {
    await b.open(`${full}trace/${TRACE}03`);
    await b.until("document.body.innerText.includes('Log lines without spans')");
    assert.match(await text(b), /only log lines carry it/i);
  });

  await check("request: unknown id", async (b) => {
    await b.open(`${full}trace/abcdef`);
    await b.until("document.body.innerText.includes('No request with this trace id')");
  }, { faults: ["404"] });

  await check("logs: search, open, to the request", async (b) => {
    await b.open(`${full}logs`);
    await b.until("document.querySelectorAll('.log').length > 10");
    assert.ok((await b.run("document.querySelectorAll('.log').length")) < 90, "only what is on screen is rendered");
    await b.key("/");
    await b.type("payment");
    await b.key("Enter");
    await b.until("location.search.includes('query=payment') && document.querySelector('.log mark') && !document.querySelector('.lines.busy')");
    await b.run("document.activeElement.blur()");
    await b.key("j");
    await b.key("Enter");
    await b.until("document.querySelector('.log-more') && location.search.includes('line=')");
    const links = await b.run("[...document.querySelectorAll('.log-more a')].map((a) => a.getAttribute('href'))");
    for (const l of links) assert.match(l, /trace\/[0-9a-f]{32}|logs\?.*pattern_id=[0-9a-f]{16}/, "no dead link");
    await b.mouse([400, 180], [500, 180], [700, 180]);
    await b.until("/from=\\d{4}-/.test(location.search)");
  });

  await check("logs: patterns, the lines of one, and back", async (b) => {
    await b.open(`${full}logs`);
    await b.until("document.querySelectorAll('.log').length > 10");
    await b.key("p");
    await b.until("document.querySelectorAll('.pattern .hole').length > 0 && location.search.includes('patterns=1')");
    await b.run("document.querySelector('.pattern').click()");
    await b.until("/pattern_id=[0-9a-f]{16}/.test(location.search) && document.querySelector('.pattern[aria-pressed=true]')");
    await b.run("document.querySelector('.pattern').click()");
    await b.until("!location.search.includes('pattern_id')");
  });

  await check("logs: the end of the list loads more", async (b) => {
    await b.open(`${full}logs`);
    await b.until("document.querySelectorAll('.log').length > 10");
    await b.run("document.querySelector('.vlist').scrollTop = 1e6");
    await b.until("/[4-9]00 lines/.test(document.querySelector('.foot').innerText)");
  });

  await check("ingest: counts, addresses, ledger filter", async (b) => {
    await b.open(`${full}ingest`);
    await b.until("document.querySelectorAll('.ledger tbody tr').length > 5");
    assert.match(await text(b), /exactly once[\s\S]*127\.0\.0\.1:4318/);
    await b.run("document.querySelector('.ledger tbody button').click()");
    await b.until("location.search.includes('sender=')");
  }, { dark: true });

  await check("graph: keys, click, links to exactly this window, back", async (b) => {
    await b.open(`${full}graph`);
    await b.until(`${ink(".graph-box canvas")} > 5000`);
    await b.key("e");
    await b.key("ArrowLeft");
    await b.until("document.querySelector('.graph-panel h2')?.innerText === 'checkout'");
    await b.key("ArrowRight");
    await b.until("document.querySelector('.graph-panel h2').innerText === 'inventory'");
    await b.key("ArrowUp");
    await b.until("document.querySelector('.graph-panel h2').innerText === 'payment'");
    assert.match(await text(b), /Called by\s+checkout[\s\S]*Paired, but the span begins before its caller/);
    const link = await b.run("[...document.querySelectorAll('.graph-panel a')].find((a) => a.innerText === 'Failing traces').getAttribute('href')");
    assert.match(link, /^\/deep\/prefix\/traces\?from=[\dT:.-]+:00\.000Z&to=[\dT:.-]+:00\.000Z&service=payment&status=error$/);
    await b.run("[...document.querySelectorAll('.graph-panel h3 + ul button.soft')][0].click()");
    await b.until("location.search.includes('edge=') && document.querySelector('.edge-ends')");
    await b.key("Escape");
    await b.until("!document.querySelector('.graph-panel')");
    await b.key("/");
    await b.type("ledger");
    await b.key("Enter");
    await b.until("document.querySelector('.graph-panel h2')?.innerText === 'postgresql/ledger@db-2'");
    await b.run("document.activeElement.blur()");
    await b.key("Enter");
    await b.until("location.pathname.endsWith('/traces') && location.search.includes('service=accounting')");
    await b.run("history.back()");
    await b.until("document.querySelector('.graph-panel h2')");
  });

  await check("graph: mouse chooses, drags, zooms, focuses", async (b) => {
    await b.open(`${full}graph`);
    await b.until(`${ink(".graph-box canvas")} > 5000`);
    const ring = await b.run("(() => { const r = document.querySelector('.graph-box').getBoundingClientRect(); return [r.x + 80, r.y + r.height / 2]; })()");
    await b.mouse(ring);
    await b.until("document.querySelector('.graph-panel h2')?.innerText === 'user'");
    await b.mouse([700, 160], [600, 200], [500, 200]);
    assert.ok(await b.run("document.querySelector('.graph-panel h2')?.innerText === 'user'"), "a drag chooses nothing");
    await b.key("z");
    await b.key("+");
    await b.open(`${full}graph?service=checkout&hops=2`);
    await b.until("document.querySelector('.graph-legend')?.innerText.includes('nodes')");
    assert.match(await text(b), /1[0-9] nodes/);
    await b.key("a");
    await b.until("!location.search.includes('service=') && document.querySelector('.graph-legend').innerText.includes('21 nodes')");
  }, { dark: true });

  await check("graph: table", async (b) => {
    await b.open(`${full}graph`);
    await b.until("document.querySelector('.graph-box canvas')");
    await b.key("v");
    await b.until("document.querySelectorAll('.graph-table tbody tr').length === 45");
    await b.run("[...document.querySelectorAll('th button')].find((x) => x.innerText.startsWith('Errors')).click()");
    await b.until("location.search.includes('sort=errors') && document.querySelector('.graph-table tbody tr').innerText.startsWith('payment')");
  });

  await check("graph: 2,000 nodes", async (b) => {
    await b.open(`${full}graph?from=now-30d`);
    await b.until(`${ink(".graph-box canvas")} > 50000`, 30_000);
    const timed = async (expression) => Math.round(await b.run(`(async () => { const t = performance.now(); ${expression}; await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame); return performance.now() - t; })()`));
    const key = (k) => `dispatchEvent(new KeyboardEvent("keydown", { key: ${JSON.stringify(k)}, bubbles: true }))`;
    const took = { "zoom in": await timed(key("+")), "next node": await timed(key("ArrowRight")), everything: await timed(key("z")) };
    console.log(`     ${Object.entries(took).map(([k, v]) => `${k} ${v} ms`).join(", ")} (two frames included; printed, not judged)`);
    await b.key("v");
    await b.until("document.querySelectorAll('.graph-table tbody tr').length === 600");
  });

  await check("fault: from the logs to the report, to a trace and back", async (b) => {
    await b.open(`${full}logs?from=now-6h`);
    await b.until("document.querySelector('a.guilty')");
    await b.run("document.querySelector('a.guilty').click()");
    await b.until("document.querySelector('.verdict .sentence')?.innerText.startsWith('Errors start in payment') && document.querySelector('.slice svg')");
    assert.equal(await url(b), "/deep/prefix/fault?from=now-6h");
    const said = await text(b);
    assert.match(said, /96 %[\s\S]*PaymentError[\s\S]*of tomorrow[\s\S]*payment\s+→\s+checkout\s+→\s+frontend[\s\S]*Why it is not checkout/);
    await b.key("j");
    await b.key("Enter");
    await b.until("location.search.includes('open=checkout') && document.querySelectorAll('.slice').length === 2");
    await b.key("Escape");
    await b.until("!location.search.includes('open=')");
    await b.run("[...document.querySelectorAll('.seg button')].find((x) => x.innerText === 'a window').click()");
    await b.until("/baseline_from=[\\dT:.-]+Z/.test(location.search) && document.querySelector('.window-form input') && /given/.test(document.querySelector('.windows').innerText)");
    await b.until("document.querySelector('.examples b')");
    await b.run("document.querySelector('.slice .way').dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }))");
    await b.until("location.search.includes('edge_source=service:')");
    assert.match(await url(b), /^\/deep\/prefix\/traces\?from=/);
    await b.run("history.back()");
    await b.until("document.querySelector('.examples a b')");
    await b.run("document.querySelector('.examples a').click()");
    await b.until("location.pathname.endsWith('01') && location.search.includes('span=')");
  });

  await check("fault: unclear, partial, with a notice", async (b) => {
    await b.open(`${full}fault?service=cart`);
    await b.until("document.querySelector('.slice svg') && document.querySelector('.note')?.innerText.includes('one of 3 traces')");
    assert.match(await text(b), /Nobody stands out[\s\S]*clock of node-2[\s\S]*First guess/);
  }, { dark: true });

  await check("fault: no fault, nothing to compare with, a window too long", async (b) => {
    await b.open(`${full}fault?service=auth`);
    await b.until("document.querySelector('.state')?.innerText.includes('Nothing stands out') && document.querySelector('.fault-next a')");
    await b.open(`${full}fault?service=batch`);
    await b.until("document.querySelector('.state')?.innerText.includes('Nobody to suspect')");
    await b.open(`${empty}fault`);
    await b.until("document.querySelector('.state')?.innerText.includes('No span in the fault window')");
    await b.open(`${full}fault?from=now-7d`);
    await b.until("document.querySelector('[role=alert]')?.innerText.includes('at most a day long') && document.querySelector('.fault-next button')");
  }, { faults: ["400"] });

  await check("fault: on paper", async (b) => {
    await b.open(`${full}fault?open=checkout`);
    await b.until("document.querySelector('.slice svg') && document.querySelector('.examples b')");
    const pdf = await b.pdf();
    assert.equal(pdf.toString("latin1").match(/\/Type\s*\/Page\b/g)?.length, 1, "one page");
  }, { dark: true });

  {
    const page = "fault";
    await check(`${page}: the server fails`, async (b) => {
      await b.open(`${failing}${page}`);
      await b.until("document.querySelector('[role=alert]')?.innerText.includes('the store has been down for 12 s')");
    }, { faults: ["503"] });
    await check(`${page}: the server is slow`, async (b) => {
      await b.open(`${slow}${page}`);
      await b.until("document.querySelector('.bones')");
    });
    await check(`${page}: narrow`, async (b) => {
      await b.open(`${full}${page}`);
      await b.until("document.querySelector('.slice svg')");
      await b.sleep(200);
      assert.ok(await b.run("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out");
    }, { width: 420 });
  }

  await check("changes: kinds, ways, a window of one's own, two versions", async (b) => {
    await b.open(`${full}fault`);
    await b.until("[...document.querySelectorAll('.fault-form a')].some((a) => a.innerText === 'What changed')");
    await b.run("[...document.querySelectorAll('.fault-form a')].find((a) => a.innerText === 'What changed').click()");
    await b.until("document.querySelectorAll('.changed tbody tr').length === 6 && location.search.includes('before_from=')");
    assert.match(await b.run("[...document.querySelectorAll('.changed a')].find((a) => a.innerText === 'compare').getAttribute('href')"), /by=versions&service=payment&before_version=2.14.0&after_version=2.14.1/);
    assert.match(await text(b), /Before[\s\S]*51,200 requests[\s\S]*Charge PaymentError[\s\S]*\+99 %[\s\S]*of tomorrow/);
    assert.match(await text(b), /The first 6 of 206 changes/);
    await b.until("[...document.querySelectorAll('.changed a')].some((a) => a.getAttribute('href').includes('edge=service:checkout'))");
    await b.run("[...document.querySelectorAll('[aria-label=\"Only changes of\"] button')].find((x) => x.innerText.startsWith('Log lines')).click()");
    await b.until("location.search.includes('kind=log_pattern') && document.querySelectorAll('.changed tbody tr').length === 1");
    await b.run("document.querySelector('.changed td a').click()");
    await b.until("location.pathname.endsWith('/logs') && location.search.includes('query=')");
    await b.run("history.back()");
    await b.until("document.querySelector('.changed')");
    await b.run("[...document.querySelectorAll('.seg button')].find((x) => x.innerText === 'a version').click()");
    await b.until("document.querySelector('.state')?.innerText.includes('Choose a service')");
    await b.open(`${full}changes?by=versions&service=payment&before_version=2.14.0&after_version=2.14.1`);
    await b.until("document.querySelector('.changed thead')?.innerText.includes('Version 2.14.1')");
    await b.open(`${full}changes?from=now-7d`);
    await b.until("document.querySelector('[role=alert]')?.innerText.includes('at most a day long')");
    await b.open(`${empty}changes`);
    await b.until("document.querySelector('.note')?.innerText.includes('holds no requests') && document.querySelector('.state')");
  }, { faults: ["400"] });

  await check("incidents: above the home page, one whole, a silence from it", async (b) => {
    await b.open(full);
    await b.until("document.querySelector('.open-incidents .incident') && document.querySelector('.trace-row')");
    await b.run("document.querySelector('.incident h2 a').click()");
    await b.until("document.querySelector('.incident.whole h1')?.innerText.startsWith('payment') && document.querySelectorAll('.symptoms > li').length === 3");
    const said = await text(b);
    assert.match(said, /came back once[\s\S]*2 services suffer from it[\s\S]*clock of node-2[\s\S]*And 3 weaker ones[\s\S]*checkout takes another way[\s\S]*5fa1c-1/);
    const links = await b.run("[...document.querySelectorAll('main a')].map((a) => a.getAttribute('href')).join(' ')");
    assert.match(links, /fault\?from=[\dT:.-]+Z&to=[\dT:.-]+Z[\s\S]*changes\?from=\S+before_from=/);
    assert.match(links, /logs\?\S+pattern_id=000000000abc0002/);
    await b.run("[...document.querySelectorAll('main button')].find((x) => x.innerText.startsWith('Silence payment')).click()");
    await b.until("document.querySelector('form.wish input')?.value === 'payment' && location.search === '?silence=1'");
    await b.run("[...document.querySelectorAll('.wish .seg button')].find((x) => x.innerText === '4 hours').click()");
    await b.run("document.querySelector('form.wish').requestSubmit()");
    await b.until("document.querySelector('.whole [role=status]:not([hidden])')?.innerText.startsWith('Nobody is told of payment until') && !location.search");
    await b.open(`${full}incidents/none`);
    await b.until("document.querySelector('[role=alert]')?.innerText.includes('Nothing found')");
    await b.open(`${empty}incidents`);
    await b.until("document.querySelector('.state')?.innerText.includes('No incident in this time')");
  }, { faults: ["404"] });

  await check("rules: add with the server's word, change, switch, delete, undo; silences", async (b) => {
    const press = (name) => b.run(`[...document.querySelectorAll('main button')].find((x) => (x.getAttribute('aria-label') ?? x.innerText) === ${JSON.stringify(name)}).click()`);
    const rows = "[...document.querySelectorAll('.wishes > li')].map((x) => x.innerText).join('|')";
    await b.open(`${full}rules`);
    await b.until(`${rows}.includes('p95 above 500 ms within 1 m')`);
    await press("Add a rule");
    await b.until("document.activeElement?.name === 'name'");
    await b.type("lines");
    await press("Pattern count");
    await b.until("document.querySelector('[name=count]')");
    await b.run("document.querySelector('[name=window_s]').value = '900'");
    await press("Add the rule");
    await b.until("document.querySelector('.said')?.innerText.includes('it may be 10 to 600 seconds') && document.querySelector('[name=window_s][aria-invalid=true]')");
    await b.run("document.querySelector('[name=window_s]').value = '600'");
    await press("Add the rule");
    await b.until(`${rows}.includes('100 lines of ERROR or above within 10 m') && !document.querySelector('form.wish')`);
    await press("Switch lines off");
    await b.until(`${rows}.includes('Switch on')`);
    await press("Change lines");
    await b.until("document.querySelector('[name=name]')?.value === 'lines' && document.querySelector('[name=window_s]').value === '600'");
    await press("Cancel");
    await press("Delete lines");
    await b.until(`!${rows}.includes('100 lines') && document.querySelector('.said .link')`);
    await b.run("document.querySelector('.said .link').click()");
    await b.until(`${rows}.includes('100 lines')`);
    await press("Add a silence");
    await b.until("document.querySelector('form.wish')");
    await press("Silence");
    await b.until("document.querySelector('.wish .said')?.innerText.includes('both empty') && document.querySelector('.labelled.wrong')");
    await press("End the silence email until later");
    await b.until(`!${rows}.includes('relay')`);
  }, { faults: ["400"], dark: true });

  for (const page of ["changes", "incidents", "incidents/5fa1c-2?silence=1", "rules"]) {
    await check(`${page.split("?")[0]}: narrow, failing, slow`, async (b) => {
      await b.open(`${full}${page}`);
      await b.until("document.querySelector('.changed, .incident, .wishes')");
      await b.sleep(200);
      assert.ok(await b.run("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out");
      assert.ok(await b.run("[...document.querySelectorAll('main :is(input, select)')].every((x) => x.ariaLabel || x.labels?.length)"), "every field has a label");
      await b.open(`${failing}${page}`);
      await b.until("document.querySelector('[role=alert]')?.innerText.includes('the store has been down for 12 s')");
      await b.open(`${slow}${page}`);
      await b.until("document.querySelector('.bones')");
    }, { width: 400, faults: ["503"] });
  }

  for (const page of ["traces", "graph", "logs", "ingest"]) {
    await check(`${page}: nothing has arrived`, async (b) => {
      await b.open(`${empty}${page}`);
      await b.until("document.querySelector('.codebox')?.innerText.includes('OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318')");
    });
    await check(`${page}: the server fails`, async (b) => {
      await b.open(`${failing}${page}`);
      await b.until("document.querySelector('[role=alert]')?.innerText.includes('the store has been down for 12 s')");
    }, { faults: ["503"] });
    await check(`${page}: the server is slow`, async (b) => {
      await b.open(`${slow}${page}`);
      await b.until("document.querySelector('.bones')");
    });
    await check(`${page}: narrow`, async (b) => {
      await b.open(`${full}${page}`);
      await b.until("document.querySelector('.trace-row, .graph-legend, .log, .ledger tr')");
      await b.sleep(200);
      assert.ok(await b.run("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out");
    }, { width: 420 });
  }
  await check("request: narrow", async (b) => {
    await b.open(`${full}trace/${TRACE}01?tab=span`);
    await b.until("document.querySelector('.wf-scroll canvas')?.height > 100");
    await b.sleep(200);
    assert.ok(await b.run("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out");
  }, { width: 420 });

  await check("preferences outlive the page, links do not change them", async (b) => {
    await b.open(`${full}traces`);
    await b.until("document.querySelector('.trace-row')");
    await b.key("D");
    await b.key("U");
    await b.open(`${full}logs?from=now-6h`);
    await b.until("document.documentElement.dataset.theme === 'dark'");
    assert.deepEqual(await b.run("(({ theme, zone }) => [theme, zone])(JSON.parse(localStorage.getItem('hypocenter.prefs')))"), ["dark", "utc"]);
  });
  console.log(`${passed} passed${process.exitCode ? ", some failed" : ""}`);
} finally {
  for (const m of mocks) m.kill();
}
