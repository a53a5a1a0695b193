// The pages in Debian's chromium against the real program with data in it: dark and light, with
// nothing on the console (a violated content policy would stand there) and pictures to look at.
//
// usage: ui_pages.mjs PROGRAM PICTURES
// Without chromium it says so and ends with code 3: not run is not passed.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { chromium, launch } from '../../ui/scripts/browser.mjs'

if (!chromium) {
  console.log('not run: no chromium found (Debian: apt-get install chromium, or set CHROMIUM)')
  process.exit(3)
}
const [program, pictures] = process.argv.slice(2)
mkdirSync(pictures, { recursive: true })

const data = mkdtempSync(join(tmpdir(), 'hypocenter-ui-data-'))
const ports = ['http', 'otlp_grpc', 'otlp_http', 'zipkin'].flatMap((port) => ['--set', `ports.${port}=0`])
const running = spawn(program, ['run', '--data-dir', data, ...ports], { stdio: ['ignore', 'pipe', 'inherit'] })
const addresses = {}
await new Promise((resolve, reject) => {
  running.once('exit', (code) => reject(new Error(`the program ended with ${code}`)))
  createInterface({ input: running.stdout }).on('line', (line) => {
    const found = line.trim().match(/^(.+?)\s+(https?:\S+)$/)
    if (found) addresses[found[1]] = found[2]
    if (Object.keys(addresses).length === 4) resolve()
  })
})
const http = addresses['UI, API']

const value = (any) => (typeof any === 'number' ? { intValue: String(any) } : { stringValue: any })
const attributes = (pairs) => Object.entries(pairs).map(([key, any]) => ({ key, value: value(any) }))
const resource = (service) => ({ attributes: attributes({ 'service.name': service, 'host.name': `${service}-1` }) })
const hex = (number, digits) => number.toString(16).padStart(digits, '0')

async function send(signal, body) {
  const answer = await fetch(`${addresses['OTLP/HTTP']}/v1/${signal}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  assert.equal(answer.status, 200, await answer.text())
}

/** 300 requests through four services over the last ten minutes; each tenth fails in the database, in the last two minutes all do. */
async function demo() {
  const now = BigInt(Date.now()) * 1_000_000n
  const services = ['frontend', 'checkout', 'payment', 'orders']
  const spans = Object.fromEntries(services.map((service) => [service, []]))
  const logs = Object.fromEntries(services.map((service) => [service, []]))
  for (let n = 1; n <= 300; n++) {
    const traceId = hex(n, 32).replace(/^0/, 'a')
    const start = now - BigInt(n) * 2_000_000_000n
    const fails = n % 10 === 0 || n <= 60
    services.forEach((service, depth) => {
      const began = start + BigInt(depth) * 3_000_000n
      const ended = start + BigInt(60 + (n % 7) * 20 - depth * 5) * 1_000_000n
      spans[service].push({
        traceId, spanId: hex(n * 10 + depth, 16), parentSpanId: depth ? hex(n * 10 + depth - 1, 16) : '', kind: 2,
        name: ['GET /cart', 'POST /checkout', 'POST /pay', 'INSERT order'][depth], startTimeUnixNano: String(began), endTimeUnixNano: String(ended),
        attributes: attributes({ 'http.route': '/cart', attempt: n, note: '<img src=x onerror="document.title=\'owned\'">' }),
        status: fails && depth === 3 ? { code: 2, message: 'deadlock detected' } : {},
      })
      logs[service].push({
        timeUnixNano: String(began + 1_000_000n), severityNumber: fails && depth === 3 ? 17 : 9, severityText: fails && depth === 3 ? 'ERROR' : 'INFO',
        traceId, spanId: hex(n * 10 + depth, 16), body: { stringValue: fails && depth === 3 ? `deadlock detected in order ${n}` : `worked on order ${n}` },
      })
    })
  }
  for (const service of services) {
    await send('traces', { resourceSpans: [{ resource: resource(service), scopeSpans: [{ spans: spans[service] }] }] })
    await send('logs', { resourceLogs: [{ resource: resource(service), scopeLogs: [{ logRecords: logs[service] }] }] })
  }
  const rule = { name: 'orders fail', when: { kind: 'error_pattern', service: 'orders', count: 5, window_s: 600 } }
  assert.equal((await fetch(`${http}/api/v1/rules`, { method: 'POST', body: JSON.stringify(rule) })).status, 200)
  const silence = { id: 'frontend for an hour', service: 'frontend', from_ns: String(now), until_ns: String(now + 3_600_000_000_000n), comment: 'it moves' }
  assert.equal((await fetch(`${http}/api/v1/silences`, { method: 'POST', body: JSON.stringify(silence) })).status, 200)
  await send('traces', { resourceSpans: [{ scopeSpans: [{ spans: [{ name: 'without ids' }] }] }] })
  assert.equal((await fetch(`${http}/api/v1/flush`, { method: 'POST' })).status, 200)
  const time = (ms) => new Date(Number(now / 1_000_000n) + ms).toISOString()
  return { trace: hex(10, 32).replace(/^0/, 'a'), bad: `from=${time(-120_000)}&to=${time(0)}`, good: `from=${time(-600_000)}&to=${time(-130_000)}` }
}

/** The rule above opens one: its lines are there. */
async function incident() {
  for (const end = Date.now() + 120_000; Date.now() < end; await new Promise((wait) => setTimeout(wait, 1_000))) {
    const { incidents } = await (await fetch(`${http}/api/v1/incidents?state=open`)).json()
    if (incidents.length) return incidents[0].id
  }
  throw new Error('no incident opened')
}

const press = (browser, name) => browser.run(`[...document.querySelectorAll('main button')].find((x) => (x.getAttribute('aria-label') ?? x.innerText) === ${JSON.stringify(name)}).click()`)
const fill = (browser, name, text) => browser.run(`document.querySelector('form.wish [name=${name}]').value = ${JSON.stringify(text)}`)
const listed = "[...document.querySelectorAll('.wishes > li')].map((x) => x.innerText).join('|')"

/** Each kind of rule is taken from its form; what is wrong is said beside it. */
async function rulesByHand(browser) {
  await browser.open(`${http}/rules`)
  await browser.until(`${listed}.includes('orders fail')`)
  for (const [kind, field, wrong, right, shown] of [
    ['Threshold', 'above', '5', '0.05', 'share of failing requests above 0.05 within 1 m'], ['Pattern count', 'window_s', '900', '300', '100 lines of ERROR or above within 5 m'],
    ['New pattern', 'name', ' ', 'New pattern', 'a new pattern of ERROR or above'], ['Absence', 'for_s', '5', '3600', 'sends nothing for 1 h'],
  ]) {
    await press(browser, 'Add a rule')
    await browser.until("document.querySelector('form.wish')")
    await press(browser, kind)
    await browser.until(`document.querySelector('form.wish [name=${field}]')`)
    await fill(browser, 'name', kind)
    await fill(browser, field, wrong)
    await press(browser, 'Add the rule')
    await browser.until(`document.querySelector('form.wish [name=${field}][aria-invalid=true]') && document.querySelector('.wish .said').innerText.includes('\`${field}\`')`)
    await fill(browser, field, right)
    await press(browser, 'Add the rule')
    await browser.until(`${listed}.includes(${JSON.stringify(shown)}) && !document.querySelector('form.wish')`)
  }
  await press(browser, 'Switch Absence off')
  await browser.until("document.querySelector('[aria-label=\"Switch Absence on\"]')")
  await press(browser, 'Delete Absence')
  await browser.until(`!${listed}.includes('sends nothing')`)
  await press(browser, 'End the silence frontend for an hour')
  await browser.until(`!${listed}.includes('it moves')`)
}

/** Its place is filled in, and the incident says that it is silenced. */
async function silenceFrom(browser, opened) {
  await browser.open(`${http}/incidents/${opened}`)
  await browser.until("document.querySelector('.whole')")
  await press(browser, 'Silence orders…')
  await browser.until("document.querySelector('form.wish input')?.value === 'orders'")
  await fill(browser, 'comment', 'known')
  await press(browser, '4 hours')
  await press(browser, 'Silence')
  await browser.until("document.querySelector('.whole [role=status]:not([hidden])')?.innerText.startsWith('Nobody is told of orders until')")
  await browser.until("document.querySelector('.whole .tag[href]')?.innerText.startsWith('silenced: orders until')", 60_000)
}

let failed = 0
try {
  const { trace, bad, good } = await demo()
  const opened = await incident()
  const as = (name) => good.replace('from=', `${name}_from=`).replace('to=', `${name}_to=`)
  const report = "document.querySelector('.verdict .sentence')?.innerText.includes('orders') && document.querySelector('.slice .suspect') && document.querySelectorAll('.examples b').length > 3"
  const pages = {
    traces: ['traces', "document.querySelectorAll('a.trace-row').length > 0"],
    request: [`trace/${trace}`, "document.querySelector('.wf-scroll canvas')?.height > 100"],
    graph: ['graph?node=service:payment', "/Called by\\s+checkout\\s+[\\s\\S]*Calls\\s+orders/.test(document.querySelector('.graph-panel')?.innerText) && document.querySelector('.graph-box canvas')?.height > 100"],
    'graph-table': ['graph?view=table&sort=errors', "document.querySelector('.graph-table tbody tr')?.innerText.startsWith('orders')"],
    logs: ['logs?query=deadlock', "document.body.innerText.includes('deadlock detected in order')"],
    fault: [`fault?${bad}`, report],
    'fault-against': [`fault?${bad}&${as('baseline')}`, `${report} && document.querySelector('.windows').innerText.includes('given')`],
    changes: [`changes?${bad}&${as('before')}`, "[...document.querySelectorAll('.changed tbody tr')].some((x) => x.innerText.includes('deadlock detected') && x.querySelector('.ways a')) && /, 60 requests/.test(document.querySelector('.compared').innerText)"],
    home: ['', "document.querySelector('.open-incidents .incident h2')?.innerText.includes('orders') && document.querySelectorAll('a.trace-row').length > 0"],
    incidents: ['incidents', "document.querySelector('.incident.open')?.innerText.includes('orders fail')"],
    incident: [`incidents/${opened}?silence=1`, "document.querySelector('.whole h1')?.innerText.includes('orders') && document.querySelector('.symptoms')?.innerText.includes('error lines in 600 s') && document.querySelector('form.wish input')?.value === 'orders'"],
    rules: ['rules', "/orders fail[\\s\\S]*5 lines of ERROR or above within 10 m[\\s\\S]*frontend[\\s\\S]*it moves/.test(document.querySelector('main').innerText)"],
    ingest: ['ingest', "document.body.innerText.includes('invalid_trace_id') || /rejected|refused/i.test(document.body.innerText)"],
  }
  for (const dark of [false, true]) {
    for (const [name, [path, shown]] of Object.entries(pages)) {
      const label = `${name} ${dark ? 'dark' : 'light'}`
      const open = () => launch({ dark, width: 1440, height: 900 })
      const browser = await open().catch(open)
      try {
        await browser.open(`${http}/${path}`)
        await browser.until(shown)
        await browser.sleep(500)
        assert.deepEqual(browser.faults, [], 'the console stays silent')
        assert.notEqual(await browser.run('document.title'), 'owned', 'hostile text stays text')
        console.log(`ok   ${label}`)
      } catch (error) {
        failed++
        console.log(`FAIL ${label}\n     ${error.message}`)
      } finally {
        await browser.shot(join(pictures, `${label.replace(' ', '-')}.png`)).catch(() => {})
        await browser.close()
      }
    }
  }
  for (const [name, act] of Object.entries({ 'rules by hand': rulesByHand, 'silence from an incident': (browser) => silenceFrom(browser, opened) })) {
    const browser = await launch({ width: 400, height: 1400 })
    try {
      await act(browser)
      assert.ok(await browser.run('document.documentElement.scrollWidth <= innerWidth'), 'nothing sticks out')
      assert.deepEqual(browser.faults.filter((fault) => !fault.includes('400')), [], 'the console stays silent')
      console.log(`ok   ${name}`)
    } catch (error) {
      failed++
      console.log(`FAIL ${name}\n     ${error.message}`)
    } finally {
      await browser.shot(join(pictures, `${name.replaceAll(' ', '-')}.png`)).catch(() => {})
      await browser.close()
    }
  }
  const browser = await launch({ dark: true, width: 420, height: 2000 })
  try {
    await browser.open(`${http}/fault?${bad}`)
    await browser.until(report)
    assert.ok(await browser.run('document.documentElement.scrollWidth <= innerWidth'), 'nothing sticks out')
    await browser.shot(join(pictures, 'fault-narrow.png'))
    const paper = await browser.pdf()
    writeFileSync(join(pictures, 'fault.pdf'), paper)
    assert.equal(paper.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length, 1, 'the report is one page')
    assert.deepEqual(browser.faults, [], 'the console stays silent')
    console.log('ok   fault narrow, and on paper')
  } catch (error) {
    failed++
    console.log(`FAIL fault narrow, and on paper\n     ${error.message}`)
  } finally {
    await browser.close()
  }
} finally {
  running.removeAllListeners('exit')
  running.kill('SIGTERM')
  const code = await new Promise((resolve) => running.once('exit', resolve))
  if (code !== 0) {
    failed++
    console.log(`FAIL the program ended with ${code}`)
  }
  rmSync(data, { recursive: true, force: true })
}
process.exit(failed ? 1 : 0)
