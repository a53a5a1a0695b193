// A stand-in for the server while working on the pages (never shipped, never a reference: the server's tests are that).
//   node scripts/mock.mjs [--port 7799] [--base /prefix/] [--scenario full|empty|error|slow]
// The graph has 21 nodes, and 2,000 when the range is "Last 30 days" (from=now-30d).
// It serves ui/dist with the server's rules (base tag, CSP, index never cached) and invented answers under api/v1:
//   trace …01 a shop request with logs, an exception, hostile texts; …02 100,000 spans; …03 log lines only; …04 incomplete
import { createServer } from "node:http";
import { existsSync, readFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const CSP = "default-src 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'";
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const HOUR = 3_600_000;

/** A small seeded generator: the same pages at every start. */
const random = ((seed) => () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32)(7);
const int = (n) => Math.floor(random() * n);
const pickOf = (list) => list[int(list.length)];
const hex = (n) => Array.from({ length: n }, () => int(16).toString(16)).join("");
const ns = (ms) => `${BigInt(Math.round(ms * 1000)) * 1000n}`;

const EVIL = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
const SERVICES = ["frontend", "checkout", "cart", "payment", "inventory", "shipping", "email", "recommendation", "ts-order-service", "postgres-proxy", "auth"];
const OPERATIONS = { frontend: ["GET /", "GET /product/{id}", "POST /cart/checkout"], checkout: ["PlaceOrder"], cart: ["GetCart", "AddItem"], payment: ["Charge"], inventory: ["Reserve", "SELECT stock"], shipping: ["Quote", "Ship"], email: ["send confirmation"], recommendation: ["List"], "ts-order-service": ["POST /api/v1/orderservice/order"], "postgres-proxy": ["SELECT"], auth: ["verify token"] };
const BODIES = {
  info: ["cart loaded user=u-3391 items=3", "order accepted id=9f31", "quote calculated in 12ms carrier=DHL", "token verified sub=u-3391", '{"msg":"stock reserved","sku":"OLJCESPC7Z","count":2}'],
  debug: ["cache miss key=product:OLJCESPC7Z", "pool size 12 idle 9"], warn: ["retrying payment gateway attempt=2", "slow query 812ms SELECT * FROM stock WHERE sku = $1"],
  error: ["payment refused: card expired trace_id=%T", `template failed: ${EVIL}`],
};
const NUMBERS = { debug: 5, info: 9, warn: 13, error: 17 };

function line(timeMs, service, traceId, spanId, join) {
  const severity = pickOf(["info", "info", "info", "info", "debug", "warn", "error"]);
  return {
    time_ns: ns(timeMs), service, severity: severity.toUpperCase(), severity_number: NUMBERS[severity], level: severity, dropped_attributes_count: join === "found" ? 2 : 0, ...(join === "found" ? { join_source: "body:trace_id" } : {}), body: pickOf(BODIES[severity]).replace("%T", traceId ?? "-"),
    attributes: { "code.function": "handle", "thread.id": int(64), "http.request.size": 1024 * int(90), nested: { a: [1, 2, { b: true }] } }, resource_index: 0,
    trace_id: traceId, span_id: spanId, join, confidence: join === "placed" ? 0.5 : 1, pattern_id: hex(16), scope_index: 0,
  };
}

/** A tree of `count` spans in depth-first order, as plain rows. */
function tree(id, count, depthMax, startMs) {
  const rows = [];
  const whole = count > 1000 ? 92_000_000 : 842_300;
  const grow = (parent, depth, start, duration, service, budget, critical) => {
    const at = rows.length;
    rows.push({ id: hex(16), parent, depth, service, name: pickOf(OPERATIONS[service]), kind: parent < 0 ? 2 : 1 + int(5), start, duration, status: random() < 0.02 ? 2 : random() < 0.3 ? 1 : 0, logs: random() < 0.35 ? 1 + int(3) : 0, critical });
    let left = budget - 1;
    if (left <= 0) return;
    const children = depth >= depthMax ? left : Math.min(left, depth === 0 ? Math.max(6, Math.ceil(count / 400)) : 2 + int(4));
    const lane = duration / children;
    for (let c = 0; c < children; c++) {
      const mine = c === children - 1 ? left : Math.max(1, Math.round((left / (children - c)) * (0.5 + random())));
      const wait = random() * lane * 0.3;
      grow(at, depth + 1, start + c * lane * 0.97 + wait, Math.max(2, (lane - wait) * (0.5 + random() * 0.5)), random() < 0.45 ? service : pickOf(SERVICES), Math.min(mine, left - (children - c - 1)), critical && c === children - 1 ? 1 : 0);
      left -= Math.min(mine, left - (children - c - 1));
    }
  };
  grow(-1, 0, 0, whole, "frontend", count, 1);
  return { id, startMs, durationUs: whole, rows };
}

const now = Date.now();
const ID = (n) => `4bf92f3577b34da6a3ce929d0e0e47${String(n).padStart(2, "0")}`;
const traces = new Map();
for (const [n, count, depth] of [[1, 48, 6], [2, 100_000, 9], [4, 9, 3]]) traces.set(ID(n), tree(ID(n), count, depth, now - 5 * 60_000));
const one = traces.get(ID(1));
Object.assign(one.rows[5], { status: 2, name: "Charge", service: "payment", logs: 3 });
Object.assign(one.rows[9], { name: EVIL, logs: 42 });
traces.set(ID(3), { id: ID(3), startMs: now - 60_000, durationUs: 0, rows: [] });
for (const t of traces.values()) {
  t.lines = t.rows.slice(0, 20_000).flatMap((r) => Array.from({ length: r.logs }, () => line(t.startMs + (r.start + random() * r.duration) / 1000, r.service, t.id, r.id, pickOf(["own", "own", "own", "found"]))));
  for (let i = 0; i < 6; i++) t.lines.push(line(t.startMs + random() * (t.durationUs || 5e5) / 1000, "email", t.id, null, pickOf(["placed", "found"])));
  t.lines.sort((a, b) => Number(BigInt(a.time_ns) - BigInt(b.time_ns)));
}

const summaries = Array.from({ length: 350 }, (_, i) => {
  const known = [...traces.keys()][i];
  const t = traces.get(known);
  const root = pickOf(SERVICES);
  const services = t?.rows.length ? [...new Set(t.rows.map((r) => r.service))] : [...new Set([root, ...Array.from({ length: int(9) }, () => pickOf(SERVICES))])];
  return {
    trace_id: known ?? hex(32), root_service: t ? "frontend" : root, root_operation: i === 6 ? EVIL : t ? "POST /cart/checkout" : pickOf(OPERATIONS[root]), start_ns: ns(now - (i < 4 ? i * 1000 : (i * HOUR) / 300)),
    duration_ns: ns(t ? t.durationUs / 1000 : Math.exp(random() * 7) * (random() < 0.06 ? 20 : 1)), spans: t?.rows.length ?? 1 + int(60), errors: t ? t.rows.filter((r) => r.status === 2).length : random() < 0.12 ? 1 + int(4) : 0, logs: t?.lines.length ?? int(40), services, complete: i !== 3 && random() > 0.04,
  };
});
const logLines = Array.from({ length: 3000 }, (_, i) => line(now - ((i + 260 * Math.sin(i / 130)) * HOUR) / 3000 - random() * 900, pickOf(SERVICES), random() < 0.7 ? summaries[int(300)].trace_id : null, null, "own"));
logLines[2].body = EVIL;
logLines[4].body = `java.lang.IllegalStateException: order 9f31 is closed\n${"\tat com.shop.Order.close(Order.java:88)\n".repeat(14)}`;

const RESOURCE = { attributes: { "service.name": "checkout", "service.version": "2.14.1", "k8s.pod.name": "checkout-7c9d-x2", "host.name": "node-3", "process.pid": 4711 }, schema_url: "https://opentelemetry.io/schemas/1.27.0" };
const SCOPES = [{ name: "io.opentelemetry.express", version: "0.41.0", attributes: {}, schema_url: "", dropped_attributes_count: 0 }];
const PROBLEMS = [{ code: "missing_parent", text: "Spans name a parent that is not stored: not yet arrived, not sent, or refused.", count: 2 }, { code: "clock_skew", text: "Spans of payment begin before their parent; its clock is about 4 ms behind.", count: 5 }];

function columns(t) {
  const services = [...new Set(t.rows.map((r) => r.service))];
  const names = [...new Set(t.rows.map((r) => r.name))];
  const col = (f) => t.rows.map(f);
  return {
    ...head(t), services, names,
    columns: { span_id: col((r) => r.id), parent: col((r) => r.parent), depth: col((r) => r.depth), service: col((r) => services.indexOf(r.service)), name: col((r) => names.indexOf(r.name)), kind: col((r) => r.kind), start_us: col((r) => r.start), duration_us: col((r) => r.duration), status: col((r) => r.status), log_count: col((r) => r.logs), critical: col((r) => r.critical) },
  };
}

const head = (t) => ({ trace_id: t.id, start_ns: ns(t.startMs), duration_ns: ns(t.durationUs / 1000), total_spans: t.rows.length, total_logs: t.lines.length, problems: t.id === ID(1) || t.id === ID(4) ? PROBLEMS : [] });

function spanAnswer(t, spanId) {
  const r = t.rows.find((x) => x.id === spanId);
  const error = r.status === 2;
  const stack = `${EVIL}\n${"    at Gateway.charge (gateway.js:41:17)\n".repeat(12)}`;
  return {
    ...head(t), services: [r.service], resources: [RESOURCE], scopes: SCOPES, logs: t.lines.filter((l) => l.span_id === spanId),
    spans: [{
      span_id: r.id, parent_span_id: t.rows[r.parent]?.id ?? null, depth: r.depth, service: r.service, name: r.name, kind: "server", start_ns: ns(t.startMs + r.start / 1000), duration_ns: ns(r.duration / 1000), status: ["unset", "ok", "error"][r.status], status_message: error ? "card declined by the issuer" : null,
      attributes: { "http.request.method": "POST", "http.route": "/cart/checkout", "http.response.status_code": error ? 500 : 200, "user.id": "u-3391", "order.total": 81.5, "order.gift": false, "evil.html": EVIL, "big.id": "9007199254740993", empty: "", none: null, "order.items": ["OLJCESPC7Z", "66VCHSJNUP"], "long.text": "lorem ipsum dolor sit amet ".repeat(12) },
      resource_index: 0, scope_index: 0, weight: 1, dropped_events_count: 3, marks: ["truncated"], zipkin: { shared: true, local_endpoint: { serviceName: r.service, ipv4: "10.0.0.7", port: 8080 } }, log_count: r.logs, critical: !!r.critical,
      events: error ? [{ name: "exception", time_ns: ns(t.startMs + r.start / 1000 + 1), attributes: { "exception.type": "PaymentError", "exception.message": "card declined", "exception.stacktrace": stack } }] : [{ name: "cache.lookup", time_ns: ns(t.startMs + r.start / 1000), attributes: { hit: false } }],
      links: [{ trace_id: ID(4), span_id: hex(16), attributes: { "messaging.batch": 3 } }],
    }],
  };
}

function page(list, q, key, size) {
  const from = Number(q.get("cursor") ?? q.get("logs_cursor") ?? 0);
  const n = Number(q.get(size) ?? 100);
  return { [key]: list.slice(from, from + n), next: from + n < list.length ? String(from + n) : null };
}

function logsOf(q) {
  const words = (q.get("query") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return logLines.filter((l) => words.every((w) => String(l.body).toLowerCase().includes(w)) && (!q.get("service") || l.service === q.get("service")) && (!q.get("trace_id") || l.trace_id === q.get("trace_id")) && l.severity_number >= (NUMBERS[q.get("severity")] ?? 0));
}

function timeOf(text, fallback) {
  const m = /^now-(\d+)([smhd])$/.exec(text ?? "");
  if (m) return now - Number(m[1]) * { s: 1e3, m: 6e4, h: HOUR, d: 24 * HOUR }[m[2]];
  return Date.parse(text ?? "") || fallback;
}

/** Nodes with places as the server gives them: a layer per 1.0 of x, a place per 1.0 of y. */
const node = (kind, name, x, y, requests, share, p95) => ({ id: `${kind}:${name}`, name, kind, requests, errors: Math.round(requests * share), p50_ns: ns(p95 / 3), p95_ns: ns(p95), p99_ns: ns(p95 * 2.3), unpaired: share > 0.02 ? { peer_unknown: 12, parent_not_stored: 3, clock_skew: 140, a_reason_of_tomorrow: 1 } : {}, x, y });
const SHOP = [
  node("user", "user", 0, 3, 91_200, 0.012, 420), node("service", "frontend", 1, 3, 91_200, 0.012, 410), node("service", "checkout", 2, 1.5, 8_400, 0.11, 780), node("service", "cart", 2, 3, 41_000, 0, 12),
  node("service", "recommendation", 2, 4.5, 22_000, 0.0004, 31), node("service", "auth", 2, 5.5, 88_000, 0, 4), node("service", "payment", 3, 0, 8_300, 0.34, 640), node("service", "inventory", 3, 1, 16_000, 0.01, 55),
  node("service", "shipping", 3, 2, 8_200, 0, 90), node("database", "redis@cache-1", 3, 3, 82_000, 0, 1.2), node("service", "ts-a-service-with-quite-a-long-name", 3, 4, 9_100, 0, 22), node("messaging", "kafka/orders", 3, 5, 8_100, 0, 6),
  node("external", "api.bank.example", 4, 0, 8_300, 0.3, 600), node("database", "postgresql/stock@db-1", 4, 1, 31_000, 0.002, 18), node("external", "carrier.example:443", 4, 2, 8_200, 0, 70), node("service", "accounting", 4, 4, 8_100, 0, 44),
  node("service", "email", 4, 5, 8_000, 0.25, 240), node("database", "postgresql/ledger@db-2", 5, 4, 8_100, 0, 9), node("external", "smtp.example", 5, 5, 8_000, 0.25, 230), node("service", "batch", 1, 6, 60, 0, 90_000), node("service", EVIL, 0, 6, 3, 0, 1),
];
const CALLS = [[0, 1], [1, 2], [1, 3], [1, 4], [1, 5], [2, 6], [2, 7], [2, 8], [2, 3, 0.2], [3, 9], [4, 10], [2, 11, 1, "messaging"], [11, 15, 1, "messaging"], [11, 16, 1, "messaging"], [6, 12, 1, "external"], [7, 13, 1, "database"], [8, 14, 1, "external"], [15, 17, 1, "database"], [16, 18, 1, "external"], [7, 7, 0.1], [16, 5, 0.1], [19, 13, 1, "database"], [6, 7, 0.1], [20, 19]];
const call = (a, b, of = 1, type = "rpc") => ({ source: a.id, target: b.id, connection_type: type, requests: Math.ceil(Math.min(a.requests, b.requests) * of), errors: Math.floor((Math.min(a.requests, b.requests) * of * b.errors * 0.9) / b.requests), p50_ns: b.p50_ns, p95_ns: b.p95_ns, p99_ns: b.p99_ns });

function largeGraph() {
  const nodes = Array.from({ length: 2000 }, (_, i) => node(i % 17 === 5 ? "database" : i % 23 === 7 ? "messaging" : "service", `team-${i % 40}-service-${i}`, Math.floor(i / 200), i % 200, Math.ceil(9e6 / (1 + (i * 7919) % 2000)), i % 31 === 0 ? 0.2 : 0, 5 + (i % 300)));
  const edges = nodes.flatMap((n, i) => (i < 1800 ? [1, 2, 3].map((k) => call(n, nodes[(Math.floor(i / 200) + 1) * 200 + ((i % 200) * k + k * 3) % 200])) : []));
  return { nodes, edges: [...new Map(edges.map((e) => [e.source + e.target, e])).values()] };
}

function graphAnswer(q, from, to) {
  let { nodes, edges } = q.get("from") === "now-30d" ? largeGraph() : { nodes: SHOP, edges: CALLS.map(([a, b, of, type]) => call(SHOP[a], SHOP[b], of, type)) };
  if (q.get("service")) {
    let near = new Set(nodes.filter((n) => n.name === q.get("service")).map((n) => n.id));
    for (let i = 0; i < Number(q.get("hops") ?? 1); i++) near = new Set([...near, ...edges.filter((e) => near.has(e.source) || near.has(e.target)).flatMap((e) => [e.source, e.target])]);
    nodes = nodes.filter((n) => near.has(n.id));
    edges = edges.filter((e) => near.has(e.source) && near.has(e.target));
  }
  const minute = (ms, round) => ns(round(ms / 60_000) * 60_000);
  return { nodes, edges, from_ns: minute(from, Math.floor), to_ns: minute(to, Math.ceil), rolled_to_ns: minute(now - 60_000, Math.floor) };
}

const differs = (kind, subject, baseline, fault, score, text, where = {}) => ({ kind, subject, baseline, fault, score, text, where });
const suspect = (service, score, confidence, summary, parts, where, evidence, victims = [], ids = [1, 4], more = {}) => ({
  service, score, confidence, summary, parts, where, evidence, victims,
  examples: { failing: ids.map(ID), good: [5, 6, 7].map((i) => summaries[i].trace_id), failing_spans: ids.map((i) => traces.get(ID(i)).rows[3].id), good_spans: [5, 6, 7].map(() => one.rows[3].id) }, ...more,
});

/** Of the invented shop: payment refuses. `service` cart is unclear and partial, auth is without fault, batch with nothing to compare. */
function suspectsAnswer(body, now) {
  const [from, to] = [timeOf(body.fault.from, now - HOUR), timeOf(body.fault.to, now)];
  if (to - from > 24 * HOUR) return [400, { error: { code: "invalid_argument", message: "`fault` is at most a day long", details: {} } }];
  const baseline = body.baseline ? { from_ns: ns(timeOf(body.baseline.from, now)), to_ns: ns(timeOf(body.baseline.to, now)), spans: 51_200, chosen: false } : { from_ns: ns(from - HOUR / 2), to_ns: ns(from), spans: 51_200, chosen: true };
  const base = { notices: [], fault: { from_ns: ns(from), to_ns: ns(to), spans: 48_210, chosen: false }, baseline, took_ms: 412 };
  const payment = suspect("payment", 1.31, 0.96, "Errors start in payment: 2,821 failing requests start in Charge", [{ name: "errors", score: 0.81 }, { name: "steps", score: 0.38 }, { name: "edge_gap", score: 0.12 }], { operation: "Charge", location: "gateway.js:41", version: "2.14.1", instance: "payment-7c9d-x2" }, [
    differs("error_origin", "Charge PaymentError", "0.1 %", "34 %", 0.92, `2,821 failing requests start in Charge: PaymentError ("card declined ${EVIL}"); 34 % of its spans, 0.1 % before`, { operation: "Charge" }),
    differs("missing_log", '"charged * to card"', "100 %", "66 %", 0.61, 'INFO log line "charged * to card" is missing after Charge in 2821 of 8300 spans, it came in 100 % before', { operation: "Charge" }),
    differs("attribute", "service.version=2.14.1", "0.1 %", "71 %", 0.55, "98 % of the errors that start in payment come from service.version 2.14.1: 71 % of its requests fail, 0.1 % of the others", { version: "2.14.1" }),
    differs("edge_gap", "checkout -> payment", "0.9 ms", "14 ms", 0.2, "the way checkout -> payment takes 14 ms typically, 0.9 ms before; 8300 calls", { edge: "checkout -> payment" }),
    differs("of_tomorrow", "x", "1", "2", 0.1, "a kind of evidence that this page does not know"),
  ], [{ service: "checkout", path: ["payment", "checkout"], text: "34 % of its calls to payment fail, 0.1 % before" }, { service: "frontend", path: ["payment", "checkout", "frontend"], text: "11 % of its calls to checkout fail, 0 % before" }], [1, 4], { not_runner_up: "checkout suffers from payment (payment -> checkout): 34 % of its calls to payment fail, 0.1 % before" });
  const others = [
    suspect("checkout", 0.21, 0.03, "checkout takes another way: the call of Ship is missing", [{ name: "steps", score: 0.21 }], { operation: "PlaceOrder" }, [differs("missing_call", "Ship", "99 %", "65 %", 0.21, "the call of Ship is missing after Charge", { operation: "PlaceOrder" })], [{ service: "frontend", path: ["checkout", "frontend"], text: "11 % of its calls to checkout fail" }]),
    suspect("ts-a-service-with-quite-a-long-name", 0.02, 0.0004, "", [], {}, []),
  ];
  const clock = differs("clock", "host.name=node-2", "0 %", "100 %", 1, "the clock of node-2 (host.name) is ahead: 100 % of the calls that it receives seem to end after their caller's span, 0 % before", { instance: "node-2" });
  if (scenario === "empty") return [200, { ...base, verdict: "no_fault", summary: "The fault window is empty, and nothing was expected in it.", suspects: [], fault: { ...base.fault, spans: 0 }, baseline: { ...baseline, from_ns: ns(from), to_ns: ns(from), spans: 0 } }];
  if (body.service === "auth") return [200, { ...base, verdict: "no_fault", summary: `Nothing differs more than it does without a fault (12 healthy minutes); what differs most: ${others[0].summary}`, suspects: others }];
  if (body.service === "cart") return [200, { ...base, verdict: "unclear", summary: `No service stands out; the first guess: ${payment.summary}`, suspects: [{ ...payment, confidence: 0.22 }, ...others], notices: [clock], partial: true, partial_reason: "one of 3 traces was looked at" }];
  if (body.service === "batch") return [200, { ...base, verdict: "unclear", summary: "There is nothing to compare with: the baseline window is empty.", suspects: [], baseline: { ...baseline, spans: 0 } }];
  return [200, { ...base, verdict: "localised", summary: payment.summary, suspects: [payment, ...others] }];
}

/** payment was deployed and refuses: an incident that lasts, one that is over. The strongest change first, one kind of tomorrow. */
const symptom = (service, kind, signal, text) => ({ service, kind, signal, text, since_ns: ns(now - HOUR / 4), last_ns: ns(now), strength: 40 });
const SYMPTOMS = [symptom("payment", "entry", "errors", "payment Charge: 34 % fail, usually 0.1 %"), symptom("payment", "lines", "lines", `new ERROR line 000000000abc0002 of payment: 47 a minute ${EVIL}`), symptom("checkout", "call", "errors", "checkout -> payment Charge: 34 % fail, usually 0.1 %"), symptom("frontend", "entry", "latency", "frontend POST /buy: p95 900 ms, usually 80 ms")];
const INCIDENT = { id: "5fa1c-2", state: "open", onset_ns: ns(now - HOUR / 4), opened_ns: ns(now - HOUR / 5), closed_ns: null, summary: "Errors start in payment", verdict: "localised", symptoms: SYMPTOMS, symptoms_more: 3, suspects: [{ service: "payment", score: 1.3, confidence: 0.96, summary: `Errors start in payment: 2,821 failing requests start in Charge: PaymentError ("card declined ${EVIL}")`, victims: ["checkout", "frontend"] }, { service: "checkout", score: 0.2, confidence: 0.03, summary: "checkout takes another way", victims: [] }], notices: ["the clock of node-2 is ahead"], rule: "", silenced_by: "", folded: ["5fa1c-1"], merged_into: "", reopened: 1 };
const INCIDENTS = [INCIDENT, { ...INCIDENT, id: "5fa1c-0", state: "closed", closed_ns: ns(now - HOUR / 8), suspects: [], summary: "", symptoms: SYMPTOMS.slice(3), symptoms_more: 0, notices: [], rule: "slow shop", folded: [], reopened: 0 }];
const wishes = { rules: [{ name: "slow shop", enabled: true, when: { kind: "threshold", signal: "p95_ms", service: "frontend", operation: "", above: 500, below: null, window_s: 60, requests_min: 10 } }, { name: "of tomorrow", enabled: false, when: { kind: "tomorrow", service: "*" } }], silences: [{ id: "email until later", service: "email", rule: "", from_ns: ns(now - HOUR), until_ns: ns(now + HOUR), comment: `the relay is moved ${EVIL}` }] };

/** Put one, or end one: as the server, which says what is wrong with a field. */
function wish(kind, name, body, method) {
  const key = kind === "rules" ? "name" : "id";
  const rest = wishes[kind].filter((w) => w[key] !== (body?.[key] ?? name));
  if (method === "POST") {
    const wrong = kind === "rules" ? body.when.window_s > 600 && `rule \`${body.name}\`: \`window_s\` is ${body.when.window_s}; it may be 10 to 600 seconds` : !body.service && !body.rule && "`service` and `rule` are both empty; `*` as service silences everything";
    if (wrong) return [400, { error: { code: "invalid_argument", message: wrong, details: {} } }];
    wishes[kind] = [body, ...rest];
    return [200, body];
  }
  if (method === "DELETE") wishes[kind] = rest;
  return [200, { [kind]: scenario === "empty" ? [] : wishes[kind] }];
}

function changesAnswer(q) {
  const [from, to] = [timeOf(q.get("after_from"), now - HOUR / 4), timeOf(q.get("after_to"), now)];
  if (to - from > 24 * HOUR) return [400, { error: { code: "invalid_argument", message: "the window `after` is at most a day long", details: {} } }];
  const [was, is] = [timeOf(q.get("before_from"), 2 * from - to), timeOf(q.get("before_to"), from)];
  const change = (kind, service, subject, before, after, effect, location = "") => ({ kind, service, subject, location, before, after, effect, size: 0.3, text: `in ${service} the ${kind} ${subject}: ${after}` });
  const all = [
    change("new_error", "payment", "Charge PaymentError", "not once in 51200 requests", "2821 times in 48210 requests", 0.99), change("vanished_log_pattern", "payment", `charged * to card ${EVIL}`, "8300 times in 51200 requests", "not once in 48210 requests", 0.6, "gateway.js:41"),
    change("new_version", "payment", "2.14.1", "0 % of its requests (0)", "71 % of its requests (5900)", 0.5), change("less_version", "payment", "2.14.0", "100 % of its requests (8300)", "29 % of its requests (2400)", -0.5),
    change("new_edge", "checkout", "checkout -> payment", "not once in 51200 requests", "8300 times in 48210 requests", 0.2), change("more_of_tomorrow", "cart", "x", "1", "2", 0),
  ].filter((c) => !q.get("service") || c.service === q.get("service"));
  const window = (a, b, requests, failing) => ({ from_ns: ns(a), to_ns: ns(b), requests, failing });
  return [200, scenario === "empty" ? { changes: [], total_changes: 0, before: window(was, is, 0, 0), after: window(from, to, 0, 0), took_ms: 2, partial: true, partial_reason: "the window `before` holds no requests, so nothing can be compared" } : { changes: all, total_changes: all.length + 200, before: window(was, is, 51_200, 12), after: window(from, to, 48_210, 2_830), took_ms: 412 }];
}

function answer(path, q, body, method) {
  const empty = scenario === "empty";
  const trace = /^traces\/([0-9a-f]+)$/.exec(path);
  if (trace) {
    const t = traces.get(trace[1]) ?? (summaries.some((s) => s.trace_id === trace[1]) ? one : null);
    if (!t || empty) return [404, { error: { code: "not_found", message: `no spans or log lines of trace ${trace[1]} are stored`, details: {} } }];
    if (q.get("format") === "columns") return [200, columns(t)];
    if (q.get("span_id")) return [200, spanAnswer(t, q.get("span_id"))];
    const { logs, next } = page(t.lines, q, "logs", "logs_limit");
    return [200, { ...head(t), services: SERVICES, resources: [RESOURCE], scopes: SCOPES, spans: [], logs, logs_next_cursor: next }];
  }
  const [from, to] = [timeOf(q.get("from"), now - HOUR), timeOf(q.get("to"), now)];
  const within = (x) => Number(x) / 1e6 >= from && Number(x) / 1e6 < to;
  switch (path) {
    case "traces": {
      const fit = empty ? [] : summaries.filter((t) => within(t.start_ns) && (!q.get("service") || t.services.includes(q.get("service"))) && (!q.get("operation") || t.root_operation === q.get("operation")) && (q.get("status") !== "error" || t.errors > 0));
      const { traces: list, next } = page(fit, q, "traces", "limit");
      return [200, { traces: list, next_cursor: next, ...(q.get("attr") ? { partial: true, partial_reason: "the search was stopped after 10 s; the newest 2 h were read" } : {}) }];
    }
    case "services": return [200, { services: empty ? [] : SERVICES.map((name) => ({ name, spans: int(90000), errors: int(90), p50_ns: "1200000", p95_ns: "9200000", p99_ns: "20000000", logs: int(9000) + 1, first_seen_ns: ns(now - HOUR), last_seen_ns: ns(now) })) }];
    case "logs": {
      const fit = empty ? [] : logsOf(q).filter((l) => within(l.time_ns));
      if (q.get("order") === "oldest") fit.reverse();
      const { logs, next } = page(fit, q, "logs", "limit");
      return [200, { logs, resources: [RESOURCE], scopes: SCOPES, next_cursor: next }];
    }
    case "logs/histogram": {
      const step = Number.parseFloat(q.get("step")) * 1000;
      const buckets = new Map();
      for (const l of empty ? [] : logsOf(q)) {
        const t = Number(l.time_ns) / 1e6;
        if (t < from || t >= to) continue;
        const at = Math.floor(t / step) * step;
        const counts = buckets.get(at) ?? buckets.set(at, {}).get(at);
        counts[l.severity.toLowerCase()] = (counts[l.severity.toLowerCase()] ?? 0) + 1;
      }
      return [200, { step_ns: `${step}000000`, buckets: [...buckets].sort((a, b) => a[0] - b[0]).map(([t, counts]) => ({ time_ns: ns(t), counts })) }];
    }
    case "suspects": return suspectsAnswer(body, now);
    case "changes": return changesAnswer(q);
    case "incidents": return [200, { incidents: empty ? [] : INCIDENTS.filter((i) => !q.get("state") || i.state === q.get("state")) }];
    case "patterns": {
      const groups = new Map();
      for (const l of empty ? [] : logsOf(q).filter((l) => within(l.time_ns))) {
        const key = `${l.service} ${l.severity} ${String(l.body).replace(/\d+/g, "<*>")}`;
        const group = groups.get(key) ?? groups.set(key, []).get(key);
        group.push(l);
      }
      const list = [...groups.values()].sort((a, b) => b.length - a.length).map((of, i) => ({
        pattern_id: (0xabc000 + i).toString(16).padStart(16, "0"), template: String(of[0].body).replace(/\d+/g, "<*>"), service: of[0].service, severity: of[0].severity.toLowerCase(),
        count: of.length, first_seen_ns: of[of.length - 1].time_ns, last_seen_ns: of[0].time_ns, known_since_ns: of[of.length - 1].time_ns, example: String(of[0].body),
      }));
      return [200, { patterns: list.slice(0, Number(q.get("limit") ?? 100)), total_patterns: list.length, total_logs: list.reduce((n, p) => n + p.count, 0) }];
    }
    case "graph": return [200, empty ? { nodes: [], edges: [], from_ns: ns(from), to_ns: ns(to) } : graphAnswer(q, from, to)];
    case "ingest": {
      const zero = { traces: 0, logs: 0, metrics: 0 };
      const grown = Math.round((Date.now() - now) * 1.3);
      return [200, empty ? { accepted: zero, stored: zero, refused: zero, rejected: zero, dead_letters: zero, duplicates: zero, journal: { bytes: 0, bytes_max: 8e9, oldest_unconfirmed_ns: null }, store: { state: "ok", guarantee: "exactly_once" } }
        : { accepted: { traces: 1284213 + grown, logs: 884120 + grown, metrics: 52011 }, stored: { traces: 1284013 + grown, logs: 884120, metrics: 52011 }, refused: { traces: 1200, logs: 0, metrics: 0 }, rejected: { traces: 14, logs: 2, metrics: 0 }, dead_letters: zero, duplicates: { traces: 600, logs: 0, metrics: 0 }, journal: { bytes: 73_400_320, bytes_max: 8_589_934_592, oldest_unconfirmed_ns: ns(Date.now() - 380) }, store: { state: "ok", guarantee: "exactly_once" }, addresses: { otlp_grpc: "127.0.0.1:4317", otlp_http: "127.0.0.1:4318", zipkin: "127.0.0.1:9411" } }];
    }
    case "ledger": {
      const all = empty ? [] : Array.from({ length: 14 }, (_, i) => ({ time_ns: ns(now - i * 700_000), sender: pickOf(["10.0.3.7", "10.0.3.9", "checkout"]), signal: pickOf(["traces", "logs"]), reason: pickOf(["span_id_zero", "attribute_truncated", "resent", "timestamp_nonsense"]), outcome: pickOf(["refused", "altered", "repeated"]), items: i === 4 ? 0 : 1 + int(400), example: i === 2 ? EVIL : "span 0000000000000000 of checkout" }));
      return [200, { entries: all.filter((e) => (!q.get("sender") || e.sender === q.get("sender")) && (!q.get("reason") || e.reason === q.get("reason"))) }];
    }
    default: {
      const [, kind, name] = /^(rules|silences|incidents)(?:\/(.+))?$/.exec(path) ?? [];
      if (kind === "incidents" && INCIDENTS.some((i) => i.id === name)) return [200, INCIDENTS.find((i) => i.id === name)];
      if (kind && kind !== "incidents") return wish(kind, name && decodeURIComponent(name), body, method);
      const service = /^services\/(.+)\/operations$/.exec(path);
      if (service) return [200, { operations: (OPERATIONS[decodeURIComponent(service[1])] ?? []).map((name) => ({ name, kind: "server", spans: int(9000), errors: 3, p50_ns: "1", p95_ns: "2", p99_ns: "3" })) }];
      return [404, { error: { code: "not_found", message: "no such path", details: {} } }];
    }
  }
}

async function bodyOf(request) {
  let text = "";
  for await (const part of request) text += part;
  return JSON.parse(text);
}

const option = (name, fallback) => (process.argv.includes(`--${name}`) ? process.argv[process.argv.indexOf(`--${name}`) + 1] : fallback);
const base = option("base", "/");
const scenario = option("scenario", "full");

createServer(async (request, response) => {
  const url = new URL(request.url, "http://mock");
  if (!url.pathname.startsWith(base)) return response.writeHead(404).end("outside the base path");
  const path = url.pathname.slice(base.length);
  const common = { "content-security-policy": CSP, "x-content-type-options": "nosniff" };
  if (path.startsWith("api/v1/")) {
    const asked = request.method === "POST" ? await bodyOf(request) : null;
    if (scenario === "slow") await new Promise((done) => setTimeout(done, 60_000));
    const [status, body] = scenario === "error" ? [503, { error: { code: "unavailable", message: "the store has been down for 12 s; what arrives is kept in the journal", details: {} } }] : answer(path.slice(7), url.searchParams, asked, request.method);
    return response.writeHead(status, { ...common, "content-type": "application/json" }).end(JSON.stringify(body));
  }
  const file = normalize(join(DIST, path));
  if (path && file.startsWith(DIST) && extname(path) && existsSync(file)) return response.writeHead(200, { ...common, "content-type": TYPES[extname(path)] ?? "application/octet-stream", "cache-control": "public, max-age=31536000, immutable" }).end(readFileSync(file));
  const up = "../".repeat(path.split("/").length - 1) || "./";
  const html = readFileSync(join(DIST, "index.html"), "utf8").replace('<base href="./" />', `<base href="${up}" />`);
  response.writeHead(200, { ...common, "content-type": TYPES[".html"], "cache-control": "no-cache" }).end(html);
}).listen(Number(option("port", "7799")), "127.0.0.1", function () {
  console.log(`http://127.0.0.1:${this.address().port}${base}`);
});
