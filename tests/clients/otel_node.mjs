// The OpenTelemetry JavaScript SDK: traces and logs as JSON, protobuf and gRPC.
//
// usage: otel_node.mjs API OTLP_HTTP OTLP_GRPC
// Prints one JSON line {"ways": {way: trace id}}; exit code 1 and the reason on any failure.

import assert from 'node:assert/strict'
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { SeverityNumber } from '@opentelemetry/api-logs'
import { OTLPLogExporter as GrpcLogs } from '@opentelemetry/exporter-logs-otlp-grpc'
import { OTLPLogExporter as JsonLogs } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtoLogs } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPTraceExporter as GrpcSpans } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonSpans } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtoSpans } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'

const [api, http, grpc] = process.argv.slice(2)

const WAYS = {
  json: [JsonSpans, JsonLogs, (signal) => ({ url: `${http}/v1/${signal}` })],
  'json gzip': [JsonSpans, JsonLogs, (signal) => ({ url: `${http}/v1/${signal}`, compression: 'gzip' })],
  protobuf: [ProtoSpans, ProtoLogs, (signal) => ({ url: `${http}/v1/${signal}` })],
  grpc: [GrpcSpans, GrpcLogs, () => ({ url: grpc })],
}

async function get(path) {
  const answer = await fetch(`${api}/api/v1${path}`)
  assert.equal(answer.status, 200, `GET ${path}: ${answer.status}`)
  return answer.json()
}

async function send(way) {
  const [Spans, Logs, settings] = WAYS[way]
  const service = `node-${way.replace(' ', '-')}`
  const resource = resourceFromAttributes({ 'service.name': service, 'host.cpus': 4 })
  const traces = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new Spans(settings('traces')))] })
  const processor = new BatchLogRecordProcessor({ exporter: new Logs(settings('logs')) })
  const logs = new LoggerProvider({ resource, processors: [processor] })
  const tracer = traces.getTracer('shop', '1.0.0')
  const root = tracer.startSpan('GET /cart', { kind: SpanKind.SERVER, attributes: { s: 'text', i: -7, f: 1.5, b: true, ss: ['x', 'y'], is: [1, 2] } })
  const inside = trace.setSpan(context.active(), root)
  const child = tracer.startSpan('SELECT cart', { kind: SpanKind.CLIENT, links: [{ context: root.spanContext(), attributes: { why: 'test' } }] }, inside)
  child.recordException(new TypeError('no such cart'))
  child.setStatus({ code: SpanStatusCode.ERROR, message: 'no such cart' })
  const logger = logs.getLogger('shop')
  logger.emit({ severityNumber: SeverityNumber.WARN, severityText: 'WARN', body: 'cart is empty', attributes: { cart: 17 }, context: trace.setSpan(inside, child) })
  logger.emit({ severityNumber: SeverityNumber.INFO, body: { nested: { list: [1, 'two', 3.5, true] } }, context: inside })
  child.end()
  root.addEvent('done', { tries: 2 })
  root.end()
  await Promise.all([traces.forceFlush(), logs.forceFlush()])
  await Promise.all([traces.shutdown(), logs.shutdown()])
  return { service, traceId: root.spanContext().traceId, root: root.spanContext().spanId, child: child.spanContext().spanId }
}

async function check(sent) {
  const answer = await get(`/traces/${sent.traceId}`)
  assert.equal(answer.total_spans, 2)
  const [root, child] = answer.spans
  assert.deepEqual([root.span_id, root.parent_span_id, child.span_id, child.parent_span_id], [sent.root, null, sent.child, sent.root])
  assert.deepEqual([root.service, root.name, root.kind, child.kind], [sent.service, 'GET /cart', 'server', 'client'])
  assert.deepEqual(root.attributes, { s: 'text', i: -7, f: 1.5, b: true, ss: ['x', 'y'], is: [1, 2] })
  assert.deepEqual(root.events.map((event) => [event.name, event.attributes]), [['done', { tries: 2 }]])
  assert.deepEqual(child.links.map((link) => [link.trace_id, link.span_id, link.attributes]), [[sent.traceId, sent.root, { why: 'test' }]])
  assert.deepEqual([child.status, child.status_message], ['error', 'no such cart'])
  assert.equal(child.events[0].attributes['exception.type'], 'TypeError')
  assert.equal(answer.resources[root.resource_index].attributes['host.cpus'], 4)
  assert.equal(answer.total_logs, 2)
  const warning = answer.logs.find((log) => log.span_id === sent.child)
  assert.deepEqual([warning.body, warning.level, warning.join, warning.attributes], ['cart is empty', 'warn', 'own', { cart: 17 }])
  const structured = answer.logs.find((log) => log.span_id === sent.root)
  assert.deepEqual(structured.body, { nested: { list: [1, 'two', 3.5, true] } })
}

const ways = {}
for (const way of Object.keys(WAYS)) {
  const sent = await send(way)
  assert.equal((await fetch(`${api}/api/v1/flush`, { method: 'POST' })).status, 200)
  try {
    await check(sent)
  } catch (error) {
    error.message = `${way}: ${error.message}`
    throw error
  }
  ways[way] = sent.traceId
}
console.log(JSON.stringify({ ways }))
process.exit(0)
