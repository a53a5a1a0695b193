// zipkin-js with its HTTP transport, in both JSON versions.
//
// usage: zipkin_node.mjs API ZIPKIN
// Prints one JSON line {"ways": {way: trace id}}; exit code 1 and the reason on any failure.

import assert from 'node:assert/strict'
import zipkin from 'zipkin'
import transport from 'zipkin-transport-http'

const { Annotation, BatchRecorder, ExplicitContext, jsonEncoder, Tracer } = zipkin
const [api, url] = process.argv.slice(2)

async function get(path) {
  const answer = await fetch(`${api}/api/v1${path}`)
  assert.equal(answer.status, 200, `GET ${path}: ${answer.status}`)
  return answer.json()
}

async function report(version, encoder, traceId128Bit) {
  const logger = new transport.HttpLogger({ endpoint: `${url}/api/${version}/spans`, jsonEncoder: encoder, httpInterval: 50 })
  const recorder = new BatchRecorder({ logger })
  const tracer = new Tracer({ ctxImpl: new ExplicitContext(), recorder, localServiceName: 'js-shop', traceId128Bit })
  let ids
  tracer.scoped(() => {
    const root = tracer.createRootId()
    tracer.setId(root)
    tracer.recordServiceName('js-shop')
    tracer.recordRpc('GET')
    tracer.recordBinary('http.path', '/cart')
    tracer.recordAnnotation(new Annotation.ServerRecv())
    const child = tracer.createChildId()
    tracer.letId(child, () => {
      tracer.recordServiceName('js-shop')
      tracer.recordRpc('query')
      tracer.recordAnnotation(new Annotation.ClientSend())
      tracer.recordMessage('retry')
      tracer.recordAnnotation(new Annotation.ClientRecv())
    })
    tracer.recordAnnotation(new Annotation.ServerSend())
    ids = { traceId: root.traceId, root: root.spanId, child: child.spanId }
  })
  return ids
}

async function found(ids) {
  for (let tries = 0; tries < 300; tries++) {
    const answer = await fetch(`${api}/api/v1/traces/${ids.traceId}`)
    if (answer.status === 200) {
      const trace = await answer.json()
      if (trace.total_spans === 2) return trace
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`the trace ${ids.traceId} did not arrive`)
}

const ways = {}
for (const [version, encoder] of [['v1', jsonEncoder.JSON_V1], ['v2', jsonEncoder.JSON_V2]]) {
  for (const wide of [false, true]) {
    const ids = await report(version, encoder, wide)
    const { trace_id, spans: [root, child] } = await found(ids)
    assert.equal(trace_id, ids.traceId)
    assert.deepEqual([root.span_id, root.name, root.kind, root.service], [ids.root, 'get', 'server', 'js-shop'])
    assert.deepEqual([child.span_id, child.parent_span_id, child.name, child.kind], [ids.child, ids.root, 'query', 'client'])
    assert.equal(root.attributes['http.path'], '/cart')
    assert.deepEqual(child.events.map((event) => event.name), ['retry'])
    ways[`${version} ${wide ? 128 : 64}`] = trace_id
  }
}
console.log(JSON.stringify({ ways }))
process.exit(0)
