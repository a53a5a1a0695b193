"""A Zipkin reporter (py_zipkin) in each of its encodings, and v1 bodies as old reporters send them.

usage: zipkin_python.py API ZIPKIN
Prints one JSON line {"ways": {way: trace id}}; exit code 1 and the reason on any failure.
"""

import json
import random
import struct
import sys
import time

from hypocenter import Api, call
from py_zipkin import Encoding, Kind
from py_zipkin.zipkin import ZipkinAttrs, zipkin_span


def expect(what, found, wanted):
    if found != wanted:
        raise AssertionError(f"{what}: found {found!r}, wanted {wanted!r}")


TYPES = {"json": "application/json", "thrift": "application/x-thrift", "proto": "application/x-protobuf"}


def post(url, content_type, body):
    status, answer = call("POST", url, body, {"content-type": content_type})
    expect(f"answer of {url}", (status, answer), (202, b""))


def reporter(zipkin, encoding, wide):
    url, content_type = {
        Encoding.V1_JSON: (f"{zipkin}/api/v1/spans", TYPES["json"]),
        Encoding.V2_JSON: (f"{zipkin}/api/v2/spans", TYPES["json"]),
        Encoding.V2_PROTO3: (f"{zipkin}/api/v2/spans", TYPES["proto"]),
    }[encoding]
    trace_id, span_id = f"{random.getrandbits(128 if wide else 64) | 1:0{32 if wide else 16}x}", f"{random.getrandbits(64) | 1:016x}"
    bodies = []
    with zipkin_span(
        service_name="Front-End", span_name="GET /Cart", transport_handler=bodies.append, encoding=encoding, port=8080, sample_rate=100,
        zipkin_attrs=ZipkinAttrs(trace_id, span_id, None, None, True), kind=Kind.SERVER, host="10.0.0.1", use_128bit_trace_id=wide,
        binary_annotations={"http.path": "/cart", "empty": ""},
    ) as root:
        with zipkin_span(service_name="Front-End", span_name="query", kind=Kind.CLIENT, binary_annotations={"sql": "SELECT 1"}) as child:
            child.add_sa_binary_annotation(port=3306, service_name="MySQL", host="10.0.0.2")
            child.add_annotation("retry", time.time())
            time.sleep(0.002)
    for body in bodies:
        post(url, content_type, body if isinstance(body, bytes) else body.encode())
    return trace_id, span_id


def check_reporter(api, trace_id, span_id):
    answer = api.trace(trace_id)
    expect("trace id as sent", answer["trace_id"], trace_id)
    expect("spans", answer["total_spans"], 2)
    root, child = answer["spans"]
    expect("ids", (root["span_id"], root["parent_span_id"], child["parent_span_id"]), (span_id, None, span_id))
    expect("service is lower-cased", (root["service"], child["service"]), ("front-end", "front-end"))
    expect("names are lower-cased", (root["name"], child["name"]), ("get /cart", "query"))
    expect("kinds", (root["kind"], child["kind"]), ("server", "client"))
    expect("tags", {key: root["attributes"].get(key) for key in ("http.path", "empty")}, {"http.path": "/cart", "empty": ""})
    expect("tag of the child", child["attributes"].get("sql"), "SELECT 1")
    expect("annotation", [event["name"] for event in child["events"]], ["retry"])
    remote = child["zipkin"]["remote_endpoint"]
    expect("remote endpoint", (remote["serviceName"], remote["ipv4"], remote["port"]), ("mysql", "10.0.0.2", 3306))
    local = root["zipkin"]["local_endpoint"]
    expect("local endpoint", (local["serviceName"], local["ipv4"], local["port"]), ("front-end", "10.0.0.1", 8080))
    expect("duration", int(child["duration_ns"]) >= 2_000_000, True)


def hand_made(api, zipkin):
    """Version 2 JSON with all that OTLP has no place for."""
    now = int(time.time() * 1e6)
    trace_id = f"{random.getrandbits(64) | 1:016x}"
    spans = [
        {"traceId": trace_id, "id": "1", "kind": "CLIENT", "name": "get", "timestamp": now, "duration": 2000, "debug": True,
         "localEndpoint": {"serviceName": "web", "ipv4": "10.0.0.1"}, "remoteEndpoint": {"ipv6": "2001:db8::1", "port": 80}, "tags": {"error": ""}},
        {"traceId": trace_id, "id": "1", "kind": "SERVER", "name": "get", "timestamp": now + 500, "duration": 1000, "shared": True,
         "localEndpoint": {"serviceName": "api"}, "annotations": [{"timestamp": now + 600, "value": "worked"}]},
        {"traceId": trace_id, "id": "2", "parentId": "1", "localEndpoint": {"serviceName": "api"}},
    ]
    post(f"{zipkin}/api/v2/spans", TYPES["json"], json.dumps(spans).encode())
    api.flush()
    found = {(span["service"], span["kind"]): span for span in api.trace(trace_id)["spans"]}
    expect("all three spans", sorted(found), [("api", "server"), ("api", "unspecified"), ("web", "client")])
    client, server = found["web", "client"], found["api", "server"]
    expect("both sides share an id", (client["span_id"], server["span_id"]), ("0000000000000001", "0000000000000001"))
    expect("flags", (client["zipkin"]["debug"], server["zipkin"]["shared"], client["zipkin"]["shared"]), (True, True, None))
    expect("remote endpoint", client["zipkin"]["remote_endpoint"], {"ipv6": "2001:db8::1", "port": 80})
    expect("microseconds", (client["start_ns"], client["duration_ns"]), (str(now * 1000), "2000000"))
    expect("annotation", [(event["name"], event["time_ns"]) for event in server["events"]], [("worked", str((now + 600) * 1000))])
    expect("no time", found["api", "unspecified"]["original_start_ns"], "0")
    return trace_id


def old_json(api, zipkin):
    """Version 1 JSON with core annotations and addresses."""
    now = int(time.time() * 1e6)
    trace_id = f"{random.getrandbits(64) | 1:016x}"
    front, back = {"serviceName": "old-front", "ipv4": "10.0.0.1", "port": 80}, {"serviceName": "old-back", "ipv4": "10.0.0.2", "port": 81}
    span = {"traceId": trace_id, "id": "000000000000000a", "name": "get", "timestamp": now, "duration": 900,
            "annotations": [{"timestamp": now, "value": "cs", "endpoint": front}, {"timestamp": now + 900, "value": "cr", "endpoint": front},
                            {"timestamp": now + 100, "value": "sr", "endpoint": back}, {"timestamp": now + 800, "value": "ss", "endpoint": back}],
            "binaryAnnotations": [{"key": "http.path", "value": "/x", "endpoint": front}]}
    post(f"{zipkin}/api/v1/spans", TYPES["json"], json.dumps([span]).encode())
    api.flush()
    found = {(span["service"], span["kind"]): span for span in api.trace(trace_id)["spans"]}
    expect("a span became two", sorted(found), [("old-back", "server"), ("old-front", "client")])
    expect("the server joined", found["old-back", "server"]["zipkin"]["shared"], True)
    expect("durations", (found["old-front", "client"]["duration_ns"], found["old-back", "server"]["duration_ns"]), ("900000", "700000"))
    return trace_id


def thrift(api, zipkin):
    """Version 1 thrift written by hand: most reporters can no longer write it."""
    now = int(time.time() * 1e6)
    low = random.getrandbits(62) | 1
    i16, i32, i64 = (lambda n: struct.pack(">h", n)), (lambda n: struct.pack(">i", n)), (lambda n: struct.pack(">q", n))
    text = lambda s: i32(len(s.encode())) + s.encode()
    field = lambda kind, number, body: bytes([kind]) + i16(number) + body
    endpoint = field(8, 1, i32(0x0A000001)) + field(6, 2, i16(80)) + field(11, 3, text("thrift-service")) + b"\0"
    note = lambda at, value: field(10, 1, i64(at)) + field(11, 2, text(value)) + field(12, 3, endpoint) + b"\0"
    tag = field(11, 1, text("http.path")) + field(11, 2, text("/t")) + field(8, 3, i32(6)) + field(12, 4, endpoint) + b"\0"
    span = (
        field(10, 1, i64(low)) + field(11, 3, text("get")) + field(10, 4, i64(77))
        + field(15, 6, b"\x0c" + i32(2) + note(now, "sr") + note(now + 500, "ss"))
        + field(15, 8, b"\x0c" + i32(1) + tag) + field(2, 9, b"\1") + field(10, 10, i64(now)) + field(10, 11, i64(500)) + b"\0"
    )
    post(f"{zipkin}/api/v1/spans", TYPES["thrift"], b"\x0c" + i32(1) + span)
    api.flush()
    (found,) = api.trace(f"{low:016x}")["spans"]
    expect("thrift span", (found["service"], found["kind"], found["name"], found["span_id"], found["duration_ns"]), ("thrift-service", "server", "get", f"{77:016x}", "500000"))
    expect("thrift tags", (found["attributes"]["http.path"], found["zipkin"]["debug"]), ("/t", True))
    expect("thrift endpoint", found["zipkin"]["local_endpoint"]["ipv4"], "10.0.0.1")
    return f"{low:016x}"


def main():
    api, zipkin = Api(sys.argv[1]), sys.argv[2]
    ways = {}
    for encoding in (Encoding.V1_JSON, Encoding.V2_JSON, Encoding.V2_PROTO3):
        for wide in (False, True):
            way = f"py_zipkin {encoding.value} {128 if wide else 64}"
            try:
                ids = reporter(zipkin, encoding, wide)
                api.flush()
                check_reporter(api, *ids)
            except AssertionError as error:
                raise AssertionError(f"{way}: {error}") from error
            ways[way] = ids[0]
    ways["v2 by hand"], ways["v1 by hand"], ways["thrift by hand"] = hand_made(api, zipkin), old_json(api, zipkin), thrift(api, zipkin)
    print(json.dumps({"ways": ways}))


main()
