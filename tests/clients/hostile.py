"""Hostile bodies, heads and connections on every port of the real program.

usage: hostile.py PID API OTLP_HTTP OTLP_GRPC ZIPKIN
Every answer must be 2xx or 4xx (503 with Retry-After where memory is spent), the connection may be
closed on garbage; after each case a good request works; memory stays bounded; nothing half-stored.
Prints one JSON line {"cases", "rss_mib", "codes"}; exit code 1 and the reasons otherwise.
"""

import gzip
import json
import random
import socket
import struct
import sys
import threading
import time
import urllib.parse
import zlib

import zstd_frames
from hypocenter import Api, call
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

MIB = 1 << 20
# Above what the program uses idle: its budgets, and room for the allocator.
RSS_GROWTH_MIB_MAX = 700


def address(url):
    where = urllib.parse.urlparse(url)
    return where.hostname, where.port


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))


def bomb(megabytes):
    """gzip of so many MiB of zeros; about a thousandth of that."""
    out = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(MIB)
    return b"".join(out.compress(zeros) for _ in range(megabytes)) + out.flush()


def good_span(name="good"):
    request = trace_service_pb2.ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name=name)
    span.trace_id, span.span_id = random.randbytes(16), random.randbytes(8)
    span.start_time_unix_nano = time.time_ns()
    span.end_time_unix_nano = span.start_time_unix_nano + 1
    return request, span


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def nested_any(depth):
    body = b""
    for _ in range(depth):
        body = field(5, field(1, body))
    return body


def span_with(raw):
    """A trace request around raw bytes of a span."""
    request, span = good_span()
    return field(1, field(2, field(2, span.SerializeToString() + raw)))


def span_json(**fields):
    now = time.time_ns()
    span = {"traceId": random.randbytes(16).hex(), "spanId": random.randbytes(8).hex(), "name": "x", "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1)}
    span.update(fields)
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


PROTOBUF = {
    "garbage": b"\xff" * 1000,
    "random": random.Random(1).randbytes(5000),
    "a varint of 11 bytes": b"\x08" + b"\xff" * 11 + b"\x01",
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x0f",
    "a length of 2^63": b"\x0a" + b"\xff" * 9 + b"\x01",
    "a group never ended": b"\x0b" * 1000,
    "an end of no group": b"\x0c",
    "field number zero": b"\x02\x01a",
    "wire type 7": b"\x0f",
    "cut in the middle": span_with(b"")[:-3],
    "invalid UTF-8 in a name": span_with(field(5, b"\xff\xfe")),
    "invalid UTF-8 in a key": span_with(field(9, field(1, b"\xc3\x28"))),
    "values 10,000 deep": span_with(field(9, field(1, b"k") + field(2, nested_any(10_000)))),
    "10,000 attributes": span_with(b"".join(field(9, field(1, b"k%d" % n) + field(2, field(1, b"v"))) for n in range(10_000))),
    "a key of 1 MiB": span_with(field(9, field(1, b"k" * MIB) + field(2, field(1, b"v")))),
    "a value of 8 MiB": span_with(field(9, field(1, b"k") + field(2, field(1, b"v" * 8 * MIB)))),
    "an empty key": span_with(field(9, field(1, b"") + field(2, field(1, b"v")))),
    "500,000 empty resources": field(1, b"") * 500_000,
    "200,000 empty spans": field(1, field(2, field(2, b"") * 200_000)),
    "100,000 events": span_with(field(11, b"") * 100_000),
}
JSON = {
    "nothing of JSON": b"hello",
    "an array": b"[]",
    "a cut object": b'{"resourceSpans":[{',
    "trailing text": b'{"resourceSpans":[]} x',
    "100,000 brackets": b"[" * 100_000,
    "objects 100,000 deep": b'{"a":' * 100_000,
    "unknown keys 10,000 deep": b'{"unknown":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "values 10,000 deep": span_json()[:-6] + b',"attributes":[{"key":"k","value":' + b'{"arrayValue":{"values":[' * 10_000 + b"]}}" * 10_000 + b"}]}]}]}]}",
    "lone surrogate": span_json().replace(b'"x"', b'"\\ud800"'),
    "NUL": span_json(name="a\u0000b"),
    "invalid UTF-8": span_json().replace(b'"x"', b'"\xff"'),
    "duplicate keys": b'{"resourceSpans":[],"resourceSpans":[]}',
    "1e400": span_json(attributes=[{"key": "k", "value": {"doubleValue": "1e400"}}]),
    "a bare 1e400": span_json(flags=0).replace(b'"flags": 0', b'"flags": 1e400'),
    "2^64": span_json(startTimeUnixNano=str(2**64)),
    "a negative time": span_json(startTimeUnixNano=-1),
    "wrong types": span_json(name={"a": 1}),
    "ids in base64": span_json(traceId="W47/95gDgQPSabYzgT/GDA==", spanId="7uGbfsPB/4Q="),
    "ids of odd length": span_json(traceId="abc"),
    "zero ids": span_json(traceId="0" * 32),
    "null everywhere": b'{"resourceSpans":null}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "SQL": span_json(name="'; DROP TABLE otel_traces; --"),
    "its own parent": span_json(spanId="00000000000000ff", parentSpanId="00000000000000ff"),
}
THRIFT = {
    "a list of 2^31 - 1": b"\x0c\x7f\xff\xff\xff",
    "a negative list": b"\x0c\x80\x00\x00\x00",
    "structs 10,000 deep": b"\x0c\x00\x00\x00\x01" + b"\x0c\x00\x01" * 10_000,
    "a string of 2^31 - 1": b"\x0c\x00\x00\x00\x01\x0b\x00\x03\x7f\xff\xff\xff",
    "a negative string": b"\x0c\x00\x00\x00\x01\x0b\x00\x03\xff\xff\xff\xff",
    "a map of maps": b"\x0c\x00\x00\x00\x01\x0d\x00\x63\x0d\x0d\x7f\xff\xff\xff",
    "an unknown type": b"\x0c\x00\x00\x00\x01\x63\x00\x01",
    "a list of nothing": b"\x0c\x00\x00\x00\x01\x0f\x00\x06\x00\x7f\xff\xff\xff",
    "cut": b"\x0c\x00",
}
ZIPKIN_JSON = {
    "an object": b"{}",
    "a null span": b"[null]",
    "a number": b"[1]",
    "deep": b"[" * 100_000,
    "no ids": b'[{"name":"x"}]',
    "upper-case ids": b'[{"traceId":"ABCDEF0123456789","id":"ABCDEF0123456789"}]',
    "zero ids": b'[{"traceId":"0000000000000000","id":"0000000000000001"}]',
    "long ids": b'[{"traceId":"' + b"a" * 33 + b'","id":"1"}]',
    "a port of 70000": b'[{"traceId":"1","id":"1","localEndpoint":{"port":70000}}]',
    "a number as tag": b'[{"traceId":"1","id":"1","tags":{"a":1}}]',
    "a null tag": b'[{"traceId":"1","id":"1","tags":{"a":null}}]',
    "a nonsense address": b'[{"traceId":"1","id":"1","localEndpoint":{"ipv4":"1.2.3.4.5","ipv6":"::::"}}]',
    "v1 on v2": b'[{"traceId":"1","id":"1","binaryAnnotations":[]}]',
    "a huge time": b'[{"traceId":"1","id":"1","timestamp":9223372036854775807,"duration":9223372036854775807}]',
    "a negative time": b'[{"traceId":"1","id":"1","timestamp":-5}]',
}


class Run:
    def __init__(self, pid, api, otlp_http, otlp_grpc, zipkin):
        self.pid, self.api, self.http, self.grpc, self.zipkin = pid, Api(api), otlp_http, otlp_grpc, zipkin
        self.trouble, self.codes, self.cases = [], {}, 0
        self.rss_start = self.rss_max = rss_mib(pid)

    def check(self, label, method, url, body=None, headers=None, allowed=None):
        self.cases += 1
        try:
            status, answer = call(method, url, body, headers)
        except OSError as error:
            # A refused upload may end in a reset before the answer is read.
            if not isinstance(error, (ConnectionResetError, BrokenPipeError)) and "reset" not in str(error) and "pipe" not in str(error):
                self.trouble.append(f"{label}: {error}")
            status, answer = 0, b""
        self.note(label, status, answer, allowed)
        return status, answer

    def note(self, label, status, answer, allowed=None):
        self.codes[status] = self.codes.get(status, 0) + 1
        if status >= 500 and status != 503 or (allowed and status not in allowed):
            self.trouble.append(f"{label}: {status} {answer[:200]!r}")
        self.rss_max = max(self.rss_max, rss_mib(self.pid))

    def good(self, after):
        request, span = good_span()
        status, body = call("POST", f"{self.http}/v1/traces", request.SerializeToString(), {"content-type": "application/x-protobuf"})
        if status != 200 or body:
            self.trouble.append(f"a good request after {after}: {status} {body[:200]!r}")
        status, body = call("POST", f"{self.zipkin}/api/v2/spans", b"[]", {"content-type": "application/json"})
        if status != 202:
            self.trouble.append(f"a good Zipkin request after {after}: {status}")

    def otlp(self):
        proto, text = {"content-type": "application/x-protobuf"}, {"content-type": "application/json"}
        for signal in ("traces", "logs", "metrics"):
            url = f"{self.http}/v1/{signal}"
            for name, body in PROTOBUF.items():
                self.check(f"OTLP {signal} protobuf: {name}", "POST", url, body, proto)
            for name, body in JSON.items():
                self.check(f"OTLP {signal} JSON: {name}", "POST", url, body, text)
            for name, body in {"garbage": b"\x1f\x8bgarbage", "cut": gzip.compress(b"{}" * 1000)[:-9], "nothing": b"", "bomb of 1 GiB": BOMB}.items():
                for coding in ("gzip", "zstd", "deflate", "br", "gzip, gzip"):
                    allowed = (400, 413, 415, 0) if body is BOMB or name == "garbage" else None
                    self.check(f"OTLP {signal} {coding}: {name}", "POST", url, body, {**proto, "content-encoding": coding}, allowed)
            self.check(f"OTLP {signal} zstd bomb", "POST", url, zstd_frames.bomb(1024), {**proto, "content-encoding": "zstd"}, (400, 413, 0))
            for kind in ("", "text/plain", "application/x-protobuf; charset=\xfc", "application/jsonx"):
                self.check(f"content type {kind!r}", "POST", url, b"{}", {"content-type": kind}, (415, 400))
            for method in ("GET", "PUT", "DELETE", "PATCH", "TRACE"):
                self.check(f"{method}", method, url, None, proto, (405,))
            self.check("65 MiB", "POST", url, bytes(65 * MIB), proto, (413, 0))
        self.good("OTLP/HTTP")

    def zipkin_bodies(self):
        for prefix in ("", "/zipkin"):
            for name, body in ZIPKIN_JSON.items():
                for version in ("v2", "v1"):
                    self.check(f"Zipkin {version}: {name}", "POST", f"{self.zipkin}{prefix}/api/{version}/spans", body, {"content-type": "application/json"})
            for name, body in {**THRIFT, **{n: b for n, b in PROTOBUF.items()}}.items():
                self.check(f"thrift: {name}", "POST", f"{self.zipkin}{prefix}/api/v1/spans", body, {"content-type": "application/x-thrift"})
                self.check(f"Zipkin protobuf: {name}", "POST", f"{self.zipkin}{prefix}/api/v2/spans", body, {"content-type": "application/x-protobuf"})
        for name, body in {"garbage": b"\x1f\x8bgarbage", "bomb": BOMB}.items():
            self.check(f"Zipkin gzip: {name}", "POST", f"{self.zipkin}/api/v2/spans", body, {"content-type": "application/json", "content-encoding": "gzip"}, (400, 413, 0))
        self.good("Zipkin")

    def api_requests(self):
        paths = [
            "/services?from=x", "/services?from=now&to=now-1h", "/traces?limit=-1", "/traces?limit=99999999999999999999", "/traces?cursor=x",
            "/traces?cursor=" + "A" * 10_000, "/traces?attr=x", "/traces?attr==", "/traces?min_duration=x", "/traces?min_duration=-1s",
            "/traces?status=bad", "/traces/x", "/traces/" + "0" * 32, "/traces/" + "f" * 31, "/traces/%00", "/traces/..%2f..%2fetc%2fpasswd",
            "/traces/" + "a" * 32 + "?offset=99999999999", "/traces/" + "a" * 32 + "?limit=x", "/logs?query=" + "(" * 2000, "/logs?query=%22", "/logs?query=%ff",
            "/logs?query='%3BDROP%20TABLE%20otel_logs", "/logs?service='%3B--", "/logs?severity=99", "/logs?severity=x", "/logs?trace_id=x", "/logs?span_id=zz",
            "/logs?pattern_id=x", "/logs?order=x", "/logs?query=a:b:c", "/logs?query=" + urllib.parse.quote("\\' OR 1=1"), "/logs/histogram?step=0",
            "/logs/histogram?step=1ns&from=2000-01-01T00:00:00Z&to=now", "/logs/histogram?step=-1s", "/ledger?reason=x", "/ledger?from=9999999999999999999999",
            "/services/%2F..%2F/operations", "/services//operations", "/services/" + "x" * 5000 + "/operations", "/nowhere", "/services?" + "&".join(f"a{n}=1" for n in range(10_000)),
            "/services?" + "a" * 100_000, "/traces?from=1e400", "/traces?from=%F0%9F%A6%80", "/ingest?x=1",
        ]
        for path in paths:
            self.check(f"GET {path[:80]}", "GET", f"{self.api.url}/api/v1{path}")
        for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/../../Cargo.toml", "//etc/passwd"):
            status, body = self.check(f"GET {path}", "GET", f"{self.api.url}{path}")
            if b"root:" in body or b"[package]" in body:
                self.trouble.append(f"GET {path} gave a file away")
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "POST"):
            self.check(f"{method} /services", method, f"{self.api.url}/api/v1/services", b"x" if method != "TRACE" else None, allowed=(405, 403, 404))
        self.check("flush with a body", "POST", f"{self.api.url}/api/v1/flush?timeout=x", b"x" * MIB)
        status, _ = call("GET", f"{self.api.url}/api/v1/services", None, {"host": "evil.example", "sec-fetch-site": "same-origin"})
        if status not in (403, 421):
            self.trouble.append(f"a page under a foreign name was answered with {status}")

    def raw(self, label, url, data, linger=1.0, expect_answer=False):
        """Bytes as they are; reads what comes within `linger` seconds."""
        self.cases += 1
        got = b""
        with socket.create_connection(address(url), timeout=linger) as connection:
            try:
                connection.sendall(data)
                while len(got) < 65536:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    got += piece
            except (TimeoutError, ConnectionError):
                pass
        if got.startswith(b"HTTP/1.1 "):
            self.note(f"{label} on {url}", int(got[9:12]), got)
        elif expect_answer:
            self.trouble.append(f"{label} on {url}: no answer but {got[:60]!r}")
        self.rss_max = max(self.rss_max, rss_mib(self.pid))

    def heads(self):
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        frame = lambda kind, flags, stream, body=b"": struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body
        settings = frame(4, 0, 0)
        for url in (self.api.url, self.http, self.zipkin, self.grpc):
            http1 = url != self.grpc
            self.raw("1 MiB of header", url, b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"a" * MIB + b"\r\n\r\n")
            self.raw("10,000 headers", url, b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 10_000 + b"\r\n")
            self.raw("1 MiB of path", url, b"GET /" + b"a" * MIB + b" HTTP/1.1\r\nhost: x\r\n\r\n")
            self.raw("garbage", url, bytes(range(256)) * 10)
            self.raw("TLS on a plain port", url, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))
            self.raw("two lengths", url, b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef")
            self.raw("length and chunks", url, b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
            self.raw("a length of 2^64", url, b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 18446744073709551616\r\n\r\n")
            self.raw("a length too large", url, b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{}", 0.3)
            self.raw("a bad chunk", url, b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", expect_answer=http1)
            self.raw("a chunk of 2^63", url, b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n7fffffffffffffff\r\n", 0.3)
            self.raw("rapid reset", url, preface + settings + b"".join(
                frame(1, 5, n, b"\x82\x84\x86\x41\x01x") + frame(3, 0, n, b"\0\0\0\x08") for n in range(1, 20_001, 2)))
            self.raw("continuation flood", url, preface + settings + frame(1, 0, 1, b"\x82") + b"".join(frame(9, 0, 1, b"\x40\x01a\x01b" * 3000) for _ in range(200)))
            self.raw("a window of nothing", url, preface + frame(4, 0, 0, struct.pack(">HI", 4, 0)) + frame(1, 5, 1, b"\x82\x84\x86\x41\x01x"), 0.3)
            self.raw("a ping flood", url, preface + settings + frame(6, 0, 0, bytes(8)) * 20_000)
            self.raw("a settings flood", url, preface + settings * 20_000)
            self.raw("a frame of 16 MiB", url, preface + settings + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(MIB))
        self.good("broken HTTP")

    def slow(self):
        """Many connections that send a byte now and then, and many that send nothing."""
        held = []
        for url in (self.api.url, self.http, self.zipkin, self.grpc):
            for number in range(100):
                connection = socket.create_connection(address(url), timeout=2)
                if number % 2:
                    connection.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
                held.append(connection)
        self.good("400 idle connections")
        for connection in held:
            connection.close()
        # Answers that nobody reads.
        for _ in range(20):
            connection = socket.create_connection(address(self.api.url), timeout=2)
            connection.sendall(b"GET /api/openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 50)
            held.append(connection)
        self.good("answers nobody reads")
        for connection in held:
            connection.close()
        # Endless bodies in chunks, from several at once: ended at the limit.
        def endless(url):
            sent = 0
            try:
                with socket.create_connection(address(url), timeout=20) as connection:
                    connection.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n")
                    while sent < 200 * MIB:
                        connection.sendall(b"100000\r\n" + bytes(MIB) + b"\r\n")
                        sent += MIB
                self.trouble.append(f"an endless body was taken: {sent} bytes")
            except OSError:
                pass
        threads = [threading.Thread(target=endless, args=(self.http,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.note("endless bodies", 0, b"")
        self.good("endless bodies")

    def grpc_bodies(self):
        import grpc

        channel = grpc.insecure_channel(self.grpc.split("://", 1)[1])
        final = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.CANCELLED}
        for signal, service in (("traces", "trace.v1.Trace"), ("logs", "logs.v1.Logs"), ("metrics", "metrics.v1.Metrics")):
            export = channel.unary_unary(f"/opentelemetry.proto.collector.{service}Service/Export")
            for name, body in {**PROTOBUF, "65 MiB": bytes(65 * MIB), "JSON": b"{}"}.items():
                for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
                    self.cases += 1
                    try:
                        export(body, timeout=30, compression=compression)
                        code = grpc.StatusCode.OK
                    except grpc.RpcError as error:
                        code = error.code()
                    self.codes[code.name] = self.codes.get(code.name, 0) + 1
                    if code not in final:
                        self.trouble.append(f"gRPC {signal} {name} {compression}: {code}")
                    self.rss_max = max(self.rss_max, rss_mib(self.pid))
        for path in ("/nowhere/Nothing", "/opentelemetry.proto.collector.trace.v1.TraceService/Import", "/"):
            try:
                channel.unary_unary(path)(b"", timeout=10)
                self.trouble.append(f"gRPC {path} was answered")
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                    self.trouble.append(f"gRPC {path}: {error.code()}")
        self.good("gRPC")

    def stored_whole(self):
        """A body that breaks off after good spans stores none of them; refused ones are counted."""
        request, span = good_span("half")
        status, _ = call("POST", f"{self.http}/v1/traces", request.SerializeToString() + b"\x0a\x7f", {"content-type": "application/x-protobuf"})
        self.api.flush()
        found, _ = call("GET", f"{self.api.url}/api/v1/traces/{span.trace_id.hex()}")
        if (status, found) != (400, 404):
            self.trouble.append(f"a cut body: answered {status}, then its span {found}")
        request, span = good_span("kept")
        bad = request.resource_spans[0].scope_spans[0].spans.add(name="no ids")
        status, body = call("POST", f"{self.http}/v1/traces", request.SerializeToString(), {"content-type": "application/x-protobuf"})
        partial = trace_service_pb2.ExportTraceServiceResponse.FromString(body).partial_success
        self.api.flush()
        kept = self.api.trace(span.trace_id.hex())["total_spans"]
        if (status, partial.rejected_spans, bool(partial.error_message), kept) != (200, 1, True, 1):
            self.trouble.append(f"partial success: {status} {partial} kept {kept}")
        logs = logs_service_pb2.ExportLogsServiceRequest()
        record = logs.resource_logs.add().scope_logs.add().log_records.add(trace_id=b"abc", span_id=b"x" * 9, time_unix_nano=time.time_ns())
        record.body.string_value = marker = f"oddids{random.randrange(10**12)}"
        status, body = call("POST", f"{self.http}/v1/logs", logs.SerializeToString(), {"content-type": "application/x-protobuf"})
        self.api.flush()
        found = self.api.get("/logs", query=marker, **{"from": "now-1h", "to": "now+1m"})["logs"]
        if status != 200 or [log["trace_id"] for log in found] != [None]:
            self.trouble.append(f"a log with malformed ids: {status} {found}")


BOMB = bomb(1024)


def main():
    run = Run(int(sys.argv[1]), *sys.argv[2:6])
    run.good("nothing")
    for part in (run.otlp, run.zipkin_bodies, run.grpc_bodies, run.api_requests, run.heads, run.slow, run.stored_whole):
        began = time.monotonic()
        part()
        print(f"{part.__name__}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    run.api.flush()
    ingest = run.api.get("/ingest")
    if any(ingest["dead_letters"].values()):
        run.trouble.append(f"dead letters: {ingest['dead_letters']}")
    grown = run.rss_max - run.rss_start
    if grown > RSS_GROWTH_MIB_MAX:
        run.trouble.append(f"memory grew by {grown} MiB")
    print(json.dumps({"cases": run.cases, "rss_mib": [run.rss_start, run.rss_max], "codes": {str(code): count for code, count in run.codes.items()}}))
    for line in run.trouble[:60]:
        print(line[:500], file=sys.stderr)
    sys.exit(1 if run.trouble else 0)


main()
