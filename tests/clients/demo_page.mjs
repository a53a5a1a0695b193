// The demo's page in Debian's chromium: a fault is broken and mended with the mouse, without a script
// on the page and with nothing on the console (a violated content policy would stand there).
//
// usage: demo_page.mjs PROGRAM PICTURES
// Without chromium it says so and ends with code 3: not run is not passed.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { mkdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { chromium, launch } from '../../ui/scripts/browser.mjs'

if (!chromium) {
  console.log('not run: no chromium found (Debian: apt-get install chromium, or set CHROMIUM)')
  process.exit(3)
}
const [program, pictures] = process.argv.slice(2)
mkdirSync(pictures, { recursive: true })

// A server that takes everything; the page is what is looked at.
const sink = createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(request.url.endsWith('/spans') ? 202 : 200).end())
})
await new Promise((listening) => sink.listen(0, '127.0.0.1', listening))
const taker = `http://127.0.0.1:${sink.address().port}`
const running = spawn(program, ['demo', '--endpoint', taker, '--zipkin-endpoint', taker, '--control', '127.0.0.1:0', '--backfill', '1m'], { stdio: ['ignore', 'pipe', 'inherit'] })
const url = await new Promise((resolve, reject) => {
  running.once('exit', (code) => reject(new Error(`the demo ended with ${code}`)))
  createInterface({ input: running.stdout }).on('line', (line) => line.startsWith('Control page: ') && resolve(line.slice(14)))
})
const faults = async () => (await fetch(`${url}/api/faults`)).json()

const page = await launch({ width: 1200, height: 1400 })
try {
  await page.open(url)
  const frame = "document.querySelector('iframe').contentDocument"
  await page.until(`${frame}?.body?.textContent.includes('Nothing is broken')`)
  const row = "[...document.querySelectorAll('tr')].find((row) => row.textContent.includes('bad-version'))"
  await page.run(`${row}.querySelector('select').value = 'catalog'; ${row}.querySelector('[name=size]').value = '80%'; ${row}.querySelector('button').click()`)
  await page.until(`document.readyState === 'complete' && ${frame}?.body?.textContent.includes('bad-version catalog 0.8')`)
  const [on] = (await faults()).on
  assert.deepEqual([on.kind, on.target, on.service, on.version], ['bad-version', 'catalog', 'catalog', '1.9.0'])
  await page.shot(`${pictures}/demo-broken.png`)
  await page.run(`[...${frame}.querySelectorAll('button')].find((button) => button.textContent === 'Mend').click()`)
  await page.until(`document.readyState === 'complete' && ${frame}?.body?.textContent.includes('mended: bad-version catalog')`)
  assert.equal((await faults()).on.length, 0)
  // What is wrong is said, and the way back is shown.
  await page.run(`${row}.querySelector('[name=size]').value = 'a lot'; ${row}.querySelector('button').click()`)
  await page.until("document.body.textContent.includes('a share such as 0.6 or 60%')")
  // Chromium tells of every answer above 399 on its console.
  assert.deepEqual(page.faults.filter((fault) => !fault.includes('400 (Bad Request)')), [])
  console.log(JSON.stringify({ page: 'ok' }))
} finally {
  await page.close()
  running.removeAllListeners('exit')
  running.kill('SIGKILL')
  sink.close()
  sink.closeAllConnections()
}
