// @clickhouse/client against the embedded engine.
//
// usage: node engine_node.mjs URL USER PASSWORD [--read-only]
// Prints one JSON line {"client", "passed": [...], "failed": {name: why}}; exit code 1 on any failure.
// The package is found from NODE_PATH or node_modules beside this file or the working directory.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import { Readable } from 'node:stream'

const load = (name) => {
  for (const base of [import.meta.url, path.join(process.cwd(), 'x.js')]) {
    try {
      return createRequire(base)(name)
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error
    }
  }
  throw new Error(`${name} is not installed`)
}
const { ClickHouseLogLevel, createClient } = load('@clickhouse/client')

const [url, username, password, flag] = process.argv.slice(2)
const readOnly = flag === '--read-only'
const make = (more = {}) => createClient({ url, username, password, log: { level: ClickHouseLogLevel.OFF }, request_timeout: 60_000, ...more })
const client = make({ database: 'hypocenter' })
const rows = async (query, more = {}) => {
  const found = await (more.client ?? client).query({ query, format: 'JSONEachRow', ...more.options })
  return found.json()
}
const refused = async (work, ...codes) => {
  const error = await work().then(
    () => assert.fail('was not refused'),
    (error) => error,
  )
  assert.ok(codes.includes(String(error.code)), `refused otherwise: ${error.code} ${error.message}`)
}
const TABLE = 'node_client_test'

const reads = {
  async ping() {
    assert.equal((await client.ping()).success, true)
  },
  async query() {
    assert.deepEqual(await rows('SELECT number AS n FROM numbers(3)'), [{ n: '0' }, { n: '1' }, { n: '2' }].map(({ n }) => ({ n: Number(n) })))
  },
  async default_database() {
    assert.deepEqual(await rows('SELECT 1 AS one', { client: make() }), [{ one: 1 }])
  },
  async parameters() {
    const query_params = { text: "a'b\n\t\\", list: [1, 2], map: { k: 'v' } }
    const query = 'SELECT {text:String} AS text, {list:Array(UInt8)} AS list, {map:Map(String, String)} AS map'
    assert.deepEqual(await rows(query, { options: { query_params } }), [query_params])
  },
  async formats() {
    for (const [format, expected] of [['CSV', '1,"a"\n'], ['TabSeparated', '1\ta\n'], ['JSONCompactEachRow', '[1, "a"]\n']]) {
      const found = await client.query({ query: "SELECT 1, 'a'", format })
      assert.equal(await found.text(), expected)
    }
    const json = await (await client.query({ query: 'SELECT 1 AS a', format: 'JSON' })).json()
    assert.equal(json.rows, 1)
  },
  async stream() {
    const found = await client.query({ query: 'SELECT number FROM numbers(300000)', format: 'JSONEachRow' })
    let count = 0
    for await (const part of found.stream()) count += part.length
    assert.equal(count, 300000)
  },
  async compression() {
    const compressed = make({ compression: { response: true, request: true } })
    assert.equal((await rows("SELECT repeat('x', 1000) AS x FROM numbers(2000)", { client: compressed })).length, 2000)
    await compressed.close()
  },
  async errors() {
    await refused(() => rows('SELECT * FROM no_such_table'), '60')
    await refused(() => rows('SELEC 1 FROM'), '62')
    assert.deepEqual(await rows('SELECT 1 AS one'), [{ one: 1 }])
  },
  async late_error() {
    const query = 'SELECT number, throwIf(number = 3000000) FROM numbers(4000000)'
    await refused(() => rows(query), '395')
    assert.deepEqual(await rows('SELECT 1 AS one'), [{ one: 1 }])
  },
  async wrong_password() {
    const stranger = make({ password: 'wrong' })
    await refused(() => rows('SELECT 1', { client: stranger }), '516')
    await stranger.close()
  },
  async abort() {
    const abort = new AbortController()
    const work = client.query({
      query: 'SELECT count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))',
      abort_signal: abort.signal,
    })
    setTimeout(() => abort.abort(), 300)
    await assert.rejects(work)
    assert.deepEqual(await rows('SELECT 1 AS one'), [{ one: 1 }])
  },
  async in_parallel() {
    const all = await Promise.all([...Array(20).keys()].map((at) => rows(`SELECT ${at} AS at`)))
    assert.deepEqual(all.map(([{ at }]) => at), [...Array(20).keys()])
  },
}
const writes = {
  async ddl_and_inserts() {
    await client.command({ query: `DROP TABLE IF EXISTS ${TABLE}` })
    await client.command({ query: `CREATE TABLE ${TABLE} (n UInt32, s String) ENGINE = MergeTree ORDER BY n` })
    const values = [...Array(5000).keys()].map((n) => ({ n, s: `é\n\n;${n}` }))
    for (const compression of [{}, { request: true, response: true }]) {
      const writer = make({ database: 'hypocenter', compression })
      const done = await writer.insert({ table: TABLE, values, format: 'JSONEachRow' })
      assert.equal(done.summary?.written_rows, '5000')
      await writer.insert({ table: TABLE, values: Readable.from([Buffer.from('5000,"x\n\ny"\n')], { objectMode: false }), format: 'CSV' })
      assert.deepEqual(await rows(`SELECT s FROM ${TABLE} WHERE n IN (4999, 5000) ORDER BY n`, { client: writer }), [{ s: 'é\n\n;4999' }, { s: 'x\n\ny' }])
      await writer.command({ query: `TRUNCATE TABLE ${TABLE}` })
      await writer.close()
    }
    await client.command({ query: `DROP TABLE ${TABLE}` })
  },
  async session() {
    const session = make({ database: 'hypocenter', session_id: `node-${process.pid}`, max_open_connections: 1 })
    await session.command({ query: 'CREATE TEMPORARY TABLE temporary_one (a UInt8)' })
    await session.insert({ table: 'temporary_one', values: [{ a: 1 }, { a: 2 }], format: 'JSONEachRow' })
    assert.deepEqual(await rows('SELECT sum(a)::UInt32 AS sum FROM temporary_one', { client: session }), [{ sum: 3 }])
    await session.close()
  },
  async settings() {
    const clickhouse_settings = { max_threads: 3 }
    assert.deepEqual(await rows("SELECT getSetting('max_threads')::UInt8 AS n", { options: { clickhouse_settings } }), [{ n: 3 }])
  },
}
const refusals = {
  async writing_is_refused() {
    for (const query of [`CREATE TABLE ${TABLE} (a UInt8) ENGINE = Memory`, 'DROP DATABASE hypocenter', 'SYSTEM STOP MERGES']) {
      await refused(() => client.command({ query }), '164')
    }
    await refused(() => client.insert({ table: TABLE, values: [{ a: 1 }], format: 'JSONEachRow' }), '164')
  },
  async files_are_refused() {
    await refused(() => rows("SELECT file('/etc/passwd')"), '497')
  },
}

const started = Date.now()
const passed = []
const failed = {}
for (const [name, test] of Object.entries({ ...reads, ...(readOnly ? refusals : writes) })) {
  try {
    await test()
    passed.push(name)
  } catch (error) {
    failed[name] = String(error?.message ?? error).slice(0, 500)
  }
}
await client.close()
const seconds = (Date.now() - started) / 1000
console.log(JSON.stringify({ client: '@clickhouse/client', passed, failed, seconds }))
process.exit(Object.keys(failed).length > 0 ? 1 : 0)
