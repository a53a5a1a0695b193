"""The OpenTelemetry Python SDK: traces, logs (from `logging`) and metrics over gRPC and HTTP.

usage: otel_python.py API OTLP_HTTP OTLP_GRPC
Prints one JSON line {"ways": {way: trace id}}; exit code 1 and the reason on any failure.
"""

import json
import logging
import sys

from hypocenter import Api, eventually
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def expect(what, found, wanted):
    if found != wanted:
        raise AssertionError(f"{what}: found {found!r}, wanted {wanted!r}")


def exporters(way, http, grpc_url):
    if way == "grpc":
        return GrpcSpans(endpoint=grpc_url, insecure=True), GrpcLogs(endpoint=grpc_url, insecure=True), GrpcMetrics(endpoint=grpc_url, insecure=True)
    if way == "grpc gzip":
        import grpc

        gzip = grpc.Compression.Gzip
        return (
            GrpcSpans(endpoint=grpc_url, insecure=True, compression=gzip),
            GrpcLogs(endpoint=grpc_url, insecure=True, compression=gzip),
            GrpcMetrics(endpoint=grpc_url, insecure=True, compression=gzip),
        )
    how = Compression.Gzip if way == "http gzip" else Compression.NoCompression
    return (
        HttpSpans(endpoint=f"{http}/v1/traces", compression=how),
        HttpLogs(endpoint=f"{http}/v1/logs", compression=how),
        HttpMetrics(endpoint=f"{http}/v1/metrics", compression=how),
    )


def send(way, http, grpc_url):
    spans_to, logs_to, metrics_to = exporters(way, http, grpc_url)
    service = f"python-{way.replace(' ', '-')}"
    resource = Resource.create({"service.name": service, "service.version": "1.2.3", "host.cpus": 4, "tags": ["a", "b"]})
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(spans_to))
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(logs_to))
    meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(metrics_to, export_interval_millis=3_600_000)])
    logger = logging.getLogger(service)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=logs))
    tracer = traces.get_tracer("shop", "4.5.6", schema_url="https://opentelemetry.io/schemas/1.30.0", attributes={"scope.key": True})

    with tracer.start_as_current_span("earlier") as earlier:
        linked = earlier.get_span_context()
    with tracer.start_as_current_span(
        "GET /cart", kind=trace.SpanKind.SERVER, links=[trace.Link(linked, {"why": "follows"})],
        attributes={"s": "text", "i": -7, "big": 2**62, "f": 1.5, "b": True, "ss": ["x", "y"], "is": [1, 2], "fs": [0.5], "bs": [True, False]},
    ) as root:
        root.add_event("cache miss", {"key": "cart:1", "tries": 2})
        logger.warning("cart %s is empty", 17, extra={"cart": 17})
        with tracer.start_as_current_span("SELECT cart", kind=trace.SpanKind.CLIENT) as child:
            try:
                raise ValueError("no such cart")
            except ValueError as error:
                child.record_exception(error)
                child.set_status(trace.StatusCode.ERROR, "no such cart")
                logger.exception("reading the cart failed")
    logger.info("outside of any span")
    meter = meters.get_meter("shop")
    meter.create_counter("orders", unit="1").add(3, {"kind": "new"})
    meter.create_histogram("latency", unit="ms").record(12.5)
    meter.create_up_down_counter("open").add(-2)
    meter.create_observable_gauge("temperature", callbacks=[lambda _: [__import__("opentelemetry.metrics", fromlist=["Observation"]).Observation(21.5)]])
    for provider in (traces, logs, meters):
        if provider.force_flush() is False:
            raise AssertionError(f"{way}: the SDK could not send everything")
        provider.shutdown()
    context = root.get_span_context()
    return {
        "service": service,
        "trace_id": f"{context.trace_id:032x}",
        "root": f"{context.span_id:016x}",
        "child": f"{child.get_span_context().span_id:016x}",
        "linked": (f"{linked.trace_id:032x}", f"{linked.span_id:016x}"),
        "start_ns": str(root.start_time),
        "end_ns": root.end_time,
    }


def check(api, sent):
    answer = eventually("both spans and logs", lambda: (
        lambda found: found if found["total_spans"] == 2 and found["total_logs"] == 2 else None
    )(api.trace(sent["trace_id"])))
    root, child = answer["spans"]
    expect("ids", (root["span_id"], root["parent_span_id"], child["span_id"], child["parent_span_id"]), (sent["root"], None, sent["child"], sent["root"]))
    expect("depths", (root["depth"], child["depth"]), (0, 1))
    expect("service", root["service"], sent["service"])
    expect("names", (root["name"], root["kind"], child["name"], child["kind"]), ("GET /cart", "server", "SELECT cart", "client"))
    expect("start", root["start_ns"], sent["start_ns"])
    expect("end", int(root["start_ns"]) + int(root["duration_ns"]), sent["end_ns"])
    expect("attributes", root["attributes"], {
        "s": "text", "i": -7, "big": str(2**62), "f": 1.5, "b": True, "ss": ["x", "y"], "is": [1, 2], "fs": [0.5], "bs": [True, False],
    })
    expect("event", [(event["name"], event["attributes"]) for event in root["events"]], [("cache miss", {"key": "cart:1", "tries": 2})])
    expect("link", [(link["trace_id"], link["span_id"], link["attributes"]) for link in root["links"]], [(*sent["linked"], {"why": "follows"})])
    expect("status", (root["status"], child["status"], child["status_message"]), ("unset", "error", "no such cart"))
    exception = child["events"][0]
    expect("exception", (exception["name"], exception["attributes"]["exception.type"], exception["attributes"]["exception.message"]), ("exception", "ValueError", "no such cart"))
    expect("a stack trace", "Traceback" in exception["attributes"]["exception.stacktrace"], True)
    resource = answer["resources"][root["resource_index"]]["attributes"]
    expect("resource", (resource["service.name"], resource["service.version"], resource["host.cpus"], resource["tags"]), (sent["service"], "1.2.3", 4, ["a", "b"]))
    expect("language", resource["telemetry.sdk.language"], "python")
    scope = answer["scopes"][root["scope_index"]]
    expect("scope", (scope["name"], scope["version"], scope["schema_url"], scope["attributes"]), ("shop", "4.5.6", "https://opentelemetry.io/schemas/1.30.0", {"scope.key": True}))
    warning, failure = answer["logs"]
    expect("warning", (warning["body"], warning["level"], warning["span_id"], warning["join"], warning["attributes"]["cart"]), ("cart 17 is empty", "warn", sent["root"], "own", 17))
    expect("failure", (failure["body"], failure["level"], failure["span_id"]), ("reading the cart failed", "error", sent["child"]))
    expect("exception of the log", failure["attributes"]["exception.type"], "ValueError")
    outside = api.get("/logs", **{"from": "now-1h", "to": "now+1m"}, service=sent["service"], query="outside")["logs"]
    expect("unlinked log", [(log["body"], log["trace_id"]) for log in outside], [("outside of any span", None)])
    found = api.get("/traces", **{"from": "now-1h", "to": "now+1m"}, service=sent["service"], status="error")["traces"]
    expect("search", [one["trace_id"] for one in found], [sent["trace_id"]])


def main():
    api = Api(sys.argv[1])
    before = api.get("/ingest")["accepted"].get("metrics", 0)
    ways = {}
    for way in ("grpc", "grpc gzip", "http", "http gzip"):
        sent = send(way, sys.argv[2], sys.argv[3])
        api.flush()
        try:
            check(api, sent)
        except AssertionError as error:
            raise AssertionError(f"{way}: {error}") from error
        ways[way] = sent["trace_id"]
    metrics = api.get("/ingest")["accepted"]["metrics"] - before
    # Four instruments, and whatever the SDK measures of itself.
    expect("metric points accepted", metrics >= 4 * len(ways), True)
    print(json.dumps({"ways": ways, "metric_points": metrics}))


main()
