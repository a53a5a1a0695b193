"""Random OTLP made with the official protobuf classes, sent in every encoding, read back over the API
with `typed=true` and compared field by field.

usage: otlp_readback.py API OTLP_HTTP OTLP_GRPC [SEED [REQUESTS]]
Prints one JSON line {"spans", "logs", "requests"}; exit code 1 and the differences otherwise.
"""

import base64
import gzip
import json
import random
import sys
import time

import grpc
from google.protobuf.json_format import MessageToDict
from hypocenter import Api, call, differences, log_of, resource_of, scope_of, span_of
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

TEXTS = [
    "", "a", "GET /cart", "Grüße", "日本語", "🦀🦀", "\x00nul\x00", "line\nline\r\n\ttab", "\u2028\u2029", "'; DROP TABLE otel_traces; --",
    '"quoted"', "back\\slash", "<script>alert(1)</script>", "${jndi:ldap://x/a}", "{}", "[1]", "null", "true", "12", "1.5", "NaN", " ",
    "\ufeffbom", "e\u0301", "\U0010ffff", "%s%d{}", "a" * 3000, "\x7f\x1b[31m", "\ud7ff\ue000",
]
INTS = [0, 1, -1, 2**31, -(2**31), 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
DOUBLES = [0.0, -0.0, 1.0, 1.5, -2.75, 1e308, 5e-324, 0.1, 1e16, 1e22, 123456789.123456789, float("inf"), float("-inf"), float("nan")]
SECOND, DAY = 10**9, 86_400 * 10**9
ODD_TIMES = [0, 1, 1_700_000_000, 1_700_000_000_000, 10**18 * 9, 2**63 - 1, 2**63, 2**64 - 1]


class Maker:
    def __init__(self, seed, service):
        self.r = random.Random(seed)
        self.service = service
        self.now = time.time_ns()

    def text(self):
        if self.r.random() < 0.7:
            return self.r.choice(TEXTS)
        return "".join(chr(self.r.choice([self.r.randrange(32, 127), self.r.randrange(160, 0xD800)])) for _ in range(self.r.randrange(1, 30)))

    def any_value(self, depth=0):
        kind = self.r.randrange(8 if depth < 5 else 6)
        if kind == 0:
            return common_pb2.AnyValue()
        if kind == 1:
            return common_pb2.AnyValue(bool_value=self.r.random() < 0.5)
        if kind == 2:
            return common_pb2.AnyValue(int_value=self.r.choice([*INTS, self.r.randrange(-(2**63), 2**63)]))
        if kind == 3:
            return common_pb2.AnyValue(double_value=self.r.choice([*DOUBLES, self.r.uniform(-1e6, 1e6)]))
        if kind == 4:
            return common_pb2.AnyValue(bytes_value=self.r.randbytes(self.r.choice([0, 1, 2, 3, 40])))
        if kind == 5:
            return common_pb2.AnyValue(string_value=self.text())
        value = common_pb2.AnyValue()
        if kind == 6:
            value.array_value.SetInParent()
            value.array_value.values.extend(self.any_value(depth + 1) for _ in range(self.r.randrange(4)))
        else:
            value.kvlist_value.SetInParent()
            value.kvlist_value.values.extend(self.pairs(depth + 1))
        return value

    def pairs(self, depth=0):
        found = []
        for _ in range(self.r.randrange(5)):
            key = self.r.choice(["", "k", "a.b.c", "http.route", "http.status_code", "db.system", "peer.service", self.text()])
            pair = common_pb2.KeyValue(key=key)
            if self.r.random() < 0.95:
                pair.value.CopyFrom(self.any_value(depth))
            found.append(pair)
        return found

    def count(self):
        return self.r.choice([0, 0, 1, 7, 2**31, 2**32 - 1])

    def flags(self):
        return self.r.choice([0, 1, 0x100, 0x301, 2**31, 2**32 - 1])

    def near(self):
        return self.now - self.r.randrange(2 * DAY)

    def time(self):
        return self.near() if self.r.random() < 0.85 else self.r.choice(ODD_TIMES)

    def trace_id(self):
        if self.r.random() < 0.2:
            return bytes(8) + self.r.randbytes(8)
        return self.r.randbytes(16)

    def number(self, known):
        """Of an enumeration; sometimes one that it does not have."""
        return self.r.randrange(known) if self.r.random() < 0.9 else self.r.choice([known, 99, -1, 2**31 - 1, -(2**31)])

    def odd(self, good):
        """An id; sometimes none, or of a wrong length."""
        return good if self.r.random() < 0.9 else self.r.choice([b"", self.r.randbytes(1), self.r.randbytes(7), self.r.randbytes(17)])

    def resource(self):
        pairs = [common_pb2.KeyValue(key="service.name", value=common_pb2.AnyValue(string_value=self.service))] + self.pairs()
        self.r.shuffle(pairs)
        resource = resource_pb2.Resource(attributes=pairs, dropped_attributes_count=self.count())
        for _ in range(self.r.choice([0, 0, 1, 3])):
            resource.entity_refs.add(
                schema_url=self.r.choice(["", "https://opentelemetry.io/schemas/1.30.0"]),
                type=self.text(),
                id_keys=[self.text() for _ in range(self.r.randrange(3))],
                description_keys=[self.text() for _ in range(self.r.randrange(3))],
            )
        return resource

    def scope(self):
        return common_pb2.InstrumentationScope(
            name=self.text(), version=self.text(), attributes=self.pairs(), dropped_attributes_count=self.count()
        )

    def schema_url(self):
        return self.r.choice(["", "https://opentelemetry.io/schemas/1.21.0", self.text()])

    def span(self, trace_id, parent):
        start = self.time()
        end = self.r.choice([start, start + self.r.randrange(10 * SECOND), max(0, start - SECOND), *ODD_TIMES]) if self.r.random() < 0.4 else start + self.r.randrange(SECOND)
        span = trace_pb2.Span(
            trace_id=trace_id,
            span_id=self.r.randbytes(7) + b"\x01",
            parent_span_id=parent,
            trace_state=self.r.choice(["", "ot=th:8", "a=b,c=d", self.text()]),
            flags=self.flags(),
            name=self.text(),
            kind=self.number(6),
            start_time_unix_nano=start,
            end_time_unix_nano=min(end, 2**64 - 1),
            attributes=self.pairs(),
            dropped_attributes_count=self.count(),
            dropped_events_count=self.count(),
            dropped_links_count=self.count(),
        )
        if self.r.random() < 0.7:
            span.status.code = self.number(3)
            span.status.message = self.text()
        for _ in range(self.r.randrange(4)):
            span.events.add(name=self.text(), time_unix_nano=self.time(), attributes=self.pairs(), dropped_attributes_count=self.count())
        for _ in range(self.r.randrange(3)):
            span.links.add(
                trace_id=self.odd(self.trace_id()), span_id=self.odd(self.r.randbytes(8)), trace_state=self.text(), flags=self.flags(),
                attributes=self.pairs(), dropped_attributes_count=self.count(),
            )
        return span

    def record(self):
        record = logs_pb2.LogRecord(
            time_unix_nano=self.time(),
            observed_time_unix_nano=self.time(),
            severity_number=self.r.choice([*range(25), *range(25), 25, 99, 255, 256, -1, 2**31 - 1]),
            severity_text=self.r.choice(["INFO", "Warning", "", self.text()]),
            attributes=self.pairs(),
            dropped_attributes_count=self.count(),
            flags=self.flags(),
            event_name=self.r.choice(["", "browser.page_view", self.text()]),
        )
        if self.r.random() < 0.9:
            record.body.CopyFrom(self.any_value())
        link = self.r.randrange(4)
        if link:
            record.trace_id = self.odd(self.trace_id())
        if link > 1:
            record.span_id = self.odd(self.r.randbytes(8))
        return record

    def traces(self):
        request = trace_service_pb2.ExportTraceServiceRequest()
        for _ in range(self.r.randrange(1, 3)):
            group = request.resource_spans.add(resource=self.resource(), schema_url=self.schema_url())
            for _ in range(self.r.randrange(1, 3)):
                spans = group.scope_spans.add(schema_url=self.schema_url())
                if self.r.random() < 0.9:
                    spans.scope.CopyFrom(self.scope())
                trace_id, parent = self.trace_id(), self.r.choice([b"", self.r.randbytes(8)])
                for _ in range(self.r.randrange(1, 5)):
                    spans.spans.append(self.span(trace_id, self.odd(parent)))
                    parent = self.r.choice([parent, spans.spans[-1].span_id])
        return request

    def logs(self):
        request = logs_service_pb2.ExportLogsServiceRequest()
        for _ in range(self.r.randrange(1, 3)):
            group = request.resource_logs.add(resource=self.resource(), schema_url=self.schema_url())
            for _ in range(self.r.randrange(1, 3)):
                records = group.scope_logs.add(schema_url=self.schema_url())
                if self.r.random() < 0.9:
                    records.scope.CopyFrom(self.scope())
                for _ in range(self.r.randrange(1, 5)):
                    record = self.record()
                    # How a record is found again, whatever else it says.
                    record.attributes.add(key="readback.number").value.int_value = len(self.service) + self.r.randrange(2**62)
                    records.log_records.append(record)
        return request


def otlp_json(message):
    """OTLP's own JSON: hex ids, integers for enums."""

    def rewrite(node):
        if isinstance(node, list):
            return [rewrite(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: base64.b64decode(value).hex() if key in ("traceId", "spanId", "parentSpanId") and isinstance(value, str) else rewrite(value)
            for key, value in node.items()
        }

    return json.dumps(rewrite(MessageToDict(message, use_integers_for_enums=True))).encode()


ANSWERS = {
    "traces": trace_service_pb2.ExportTraceServiceResponse,
    "logs": logs_service_pb2.ExportLogsServiceResponse,
}


class Sender:
    def __init__(self, http, grpc_url):
        self.http = http
        channel = grpc.insecure_channel(grpc_url.split("://", 1)[1])
        self.stubs = {
            "traces": trace_service_pb2_grpc.TraceServiceStub(channel),
            "logs": logs_service_pb2_grpc.LogsServiceStub(channel),
        }

    def send(self, how, signal, request):
        if how.startswith("grpc"):
            compression = grpc.Compression.Gzip if how == "grpc gzip" else grpc.Compression.NoCompression
            answer = self.stubs[signal].Export(request, timeout=30, compression=compression)
            partial = MessageToDict(answer).get("partialSuccess", {})
            return self.must_be_kept(how, partial)
        as_json = "json" in how
        body = otlp_json(request) if as_json else request.SerializeToString()
        headers = {"content-type": "application/json" if as_json else "application/x-protobuf"}
        if "gzip" in how:
            body = gzip.compress(body)
            headers["content-encoding"] = "gzip"
        status, answer = call("POST", f"{self.http}/v1/{signal}", body, headers)
        if status != 200:
            raise AssertionError(f"{how}: {status} {answer!r}")
        if as_json:
            return self.must_be_kept(how, json.loads(answer).get("partialSuccess", {}))
        self.must_be_kept(how, MessageToDict(ANSWERS[signal].FromString(answer)).get("partialSuccess", {}))

    def must_be_kept(self, how, partial):
        """Nothing was rejected; times, numbers and ids that are nonsense may be warned of."""
        rejected = sum(int(count) for name, count in partial.items() if name.startswith("rejected"))
        message = partial.get("errorMessage", "")
        known = ("time_quarantined", "unknown_number", "parent_unlinked", "link_unlinked", "log_unlinked")
        if rejected or (message and not any(reason in message for reason in known)):
            raise AssertionError(f"{how}: partial success {partial}")


def read_spans(api, request, trouble, label):
    checked = 0
    for group in request.resource_spans:
        for scope in group.scope_spans:
            trace_id = scope.spans[0].trace_id.hex()
            answer = api.trace(trace_id, typed="true", limit=1000)
            if answer["trace_id"] != trace_id:
                trouble.append(f"{label}: asked for trace {trace_id}, told {answer['trace_id']}")
            stored = {span["span_id"]: span for span in answer["spans"]}
            if len(answer["spans"]) != len(scope.spans):
                trouble.append(f"{label} {trace_id}: {len(scope.spans)} spans sent, {len(answer['spans'])} stored")
            for sent in scope.spans:
                found = stored.get(sent.span_id.hex())
                if found is None:
                    trouble.append(f"{label} {trace_id}: span {sent.span_id.hex()} is missing")
                    continue
                span = span_of(found)
                span.trace_id = sent.trace_id
                around(group, scope, answer, found, trouble, f"{label} span {trace_id}/{sent.span_id.hex()}")
                trouble += [f"{label} {trace_id}/{found['span_id']}{text}" for text in differences(sent, span)]
                checked += 1
    return checked


def around(group, scope, answer, found, trouble, label):
    resource, resource_url = resource_of(answer["resources"][found["resource_index"]])
    stored_scope, scope_url = scope_of(answer["scopes"][found["scope_index"]])
    trouble += [f"{label} resource{text}" for text in differences(group.resource, resource)]
    trouble += [f"{label} scope{text}" for text in differences(scope.scope, stored_scope)]
    if (resource_url, scope_url) != (group.schema_url, scope.schema_url):
        trouble.append(f"{label}: schema URLs {resource_url!r} {scope_url!r}")


def number_of(attributes):
    return next((pair.value.int_value for pair in reversed(attributes) if pair.key == "readback.number"), None)


def read_logs(api, service, request, trouble, label):
    stored, answer_of, cursor = {}, {}, None
    while True:
        answer = api.get("/logs", **{"from": "1999-01-01T00:00:00Z", "to": "now+3d"}, service=service, typed="true", limit=100, cursor=cursor)
        for found in answer["logs"]:
            record = log_of(found)
            number = number_of(record.attributes)
            if number in stored:
                trouble.append(f"{label}: record {number} is there twice")
            stored[number], answer_of[number] = record, (answer, found)
        cursor = answer.get("next_cursor")
        if not cursor:
            break
    checked = 0
    for group in request.resource_logs:
        for scope in group.scope_logs:
            for sent in scope.log_records:
                number = number_of(sent.attributes)
                if number not in stored:
                    trouble.append(f"{label}: record {number} is missing")
                    continue
                around(group, scope, *answer_of[number], trouble, f"{label} record {number}")
                trouble += [f"{label} record {number}{text}" for text in differences(sent, stored[number])]
                checked += 1
    return checked


def main():
    api, sender = Api(sys.argv[1]), Sender(sys.argv[2], sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    requests = int(sys.argv[5]) if len(sys.argv) > 5 else 60
    ways = ["http protobuf", "http json", "grpc", "http protobuf gzip", "http json gzip", "grpc gzip"]
    sent, trouble = [], []
    for number in range(requests):
        service = f"readback-{seed}-{number}"
        maker = Maker(seed * 1_000_003 + number, service)
        for signal in ("traces", "logs"):
            request, how = getattr(maker, signal)(), ways[number % len(ways)]
            label = f"seed {seed} request {number} {how}"
            try:
                sender.send(how, signal, request)
                sent.append((signal, service, request, label))
            except AssertionError as error:
                trouble.append(f"{label}: {error}")
    api.flush()
    spans = logs = 0
    for signal, service, request, label in sent:
        if signal == "traces":
            spans += read_spans(api, request, trouble, label)
        else:
            logs += read_logs(api, service, request, trouble, label)
    print(json.dumps({"spans": spans, "logs": logs, "requests": len(sent), "differences": len(trouble)}))
    for line in trouble[:40]:
        print(line[:600], file=sys.stderr)
    sys.exit(1 if trouble else 0)


main()
