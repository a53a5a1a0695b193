/** What to do when nothing has arrived yet: where to send, for the common senders, ready to copy. */
import { useState } from "preact/hooks";
import { CodeBox } from "./copy";

/** Host and port of each door; `scheme` goes for all of them. */
export interface Addresses { otlp_grpc: string; otlp_http: string; zipkin: string; scheme: "http" | "https" }

/** The server's own words where it gives them, else the usual ports on the host of this page. */
export function addressesOf(ingest: { addresses: Record<string, string>; tls: boolean } | null): Addresses {
  const told = ingest?.addresses;
  const host = location.hostname.includes(":") && !location.hostname.startsWith("[") ? `[${location.hostname}]` : location.hostname;
  // A server that listens everywhere is reached under the name that this page was reached under.
  const at = (key: string, port: number) => (told?.[key] ?? `${host}:${port}`).replace(/^https?:\/\//, "").replace(/^(0\.0\.0\.0|\[::\])(?=:)/, host);
  return { otlp_grpc: at("otlp_grpc", 4317), otlp_http: at("otlp_http", 4318), zipkin: at("zipkin", 9411), scheme: ingest?.tls ? "https" : "http" };
}

const env = (a: Addresses) => `export OTEL_EXPORTER_OTLP_ENDPOINT=${a.scheme}://${a.otlp_http}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_TRACES_EXPORTER=otlp
export OTEL_LOGS_EXPORTER=otlp
export OTEL_SERVICE_NAME=my-service`;

const WAYS: { name: string; text(a: Addresses): string }[] = [
  { name: "Any SDK", text: env },
  {
    name: "Python",
    text: (a) => `pip install opentelemetry-distro opentelemetry-exporter-otlp
opentelemetry-bootstrap -a install
${env(a)}
opentelemetry-instrument python app.py`,
  },
  {
    name: "Node",
    text: (a) => `npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node
${env(a)}
node --require @opentelemetry/auto-instrumentations-node/register app.js`,
  },
  { name: "Java", text: (a) => `${env(a)}\njava -javaagent:opentelemetry-javaagent.jar -jar app.jar` },
  { name: "Collector", text: (a) => `exporters:\n  otlphttp/hypocenter:\n    endpoint: ${a.scheme}://${a.otlp_http}\n\n# or gRPC\n  otlp/hypocenter:\n    endpoint: ${a.otlp_grpc}${a.scheme === "http" ? "\n    tls: { insecure: true }" : ""}` },
  { name: "Zipkin", text: (a) => `# any Zipkin reporter\n${a.scheme}://${a.zipkin}/api/v2/spans` },
  { name: "Files", text: () => "# OTLP JSON lines (also .gz), Zipkin JSON, Jaeger JSON\nhypocenter import --shift-to-now traces.json logs.json" },
  {
    name: "One span now",
    text: (a) => `NOW=$(date +%s)
curl -sS ${a.scheme}://${a.otlp_http}/v1/traces -H 'content-type: application/json' -d '{"resourceSpans":[{
  "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hello"}}]},
  "scopeSpans":[{"spans":[{"name":"first span","kind":2,
    "traceId":"'$(openssl rand -hex 16)'","spanId":"'$(openssl rand -hex 8)'",
    "startTimeUnixNano":"'$NOW'000000000","endTimeUnixNano":"'$NOW'250000000"}]}]}]}'`,
  },
];

export function GettingStarted({ addresses }: { addresses: Addresses }) {
  const [way, setWay] = useState(0);
  return (
    <div class="ways">
      <div class="seg small" role="group" aria-label="Sender">
        {WAYS.map((w, i) => <button key={w.name} type="button" aria-pressed={i === way} onClick={() => setWay(i)}>{w.name}</button>)}
      </div>
      <CodeBox text={WAYS[way]!.text(addresses)} />
    </div>
  );
}
