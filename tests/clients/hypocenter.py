"""What the client scripts share: requests to a running Hypocenter, and its answers as OTLP messages.

The answers are turned back into the official protobuf classes, so that sent and stored are compared
as the same kind of thing, field by field.
"""

import base64
import json
import math
import struct
import time
import urllib.error
import urllib.parse
import urllib.request

from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"]
STATUSES = ["unset", "ok", "error"]


class Api:
    """The own API of a running program, `url` such as http://127.0.0.1:7700."""

    def __init__(self, url):
        self.url = url

    def get(self, path, **parameters):
        query = urllib.parse.urlencode({k: v for k, v in parameters.items() if v is not None})
        status, body = call("GET", f"{self.url}/api/v1{path}{'?' + query if query else ''}")
        if status != 200:
            raise AssertionError(f"GET {path}?{query}: {status} {body[:500]!r}")
        return json.loads(body)

    def trace(self, trace_id, **parameters):
        return self.get(f"/traces/{trace_id}", **parameters)

    def flush(self):
        status, body = call("POST", f"{self.url}/api/v1/flush")
        if status != 200:
            raise AssertionError(f"flush: {status} {body!r}")


def call(method, url, body=None, headers=None):
    """(status, body) of any answer."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def eventually(what, holds, seconds=30):
    """The first true value of `holds()`."""
    end = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"did not happen in time: {what}")
        time.sleep(0.05)


# From the API's typed answers to OTLP messages.


def any_value(json_value):
    value = common_pb2.AnyValue()
    if json_value is None:
        return value
    for kind, content in json_value.items():
        if kind == "stringValue":
            value.string_value = content
        elif kind == "boolValue":
            value.bool_value = content
        elif kind == "intValue":
            value.int_value = int(content)
        elif kind == "doubleValue":
            value.double_value = float(content)
        elif kind == "bytesValue":
            value.bytes_value = base64.b64decode(content)
        elif kind == "arrayValue":
            value.array_value.SetInParent()
            value.array_value.values.extend(any_value(item) for item in content["values"])
        elif kind == "kvlistValue":
            value.kvlist_value.SetInParent()
            value.kvlist_value.values.extend(pairs(content["values"]))
        else:
            raise AssertionError(f"an AnyValue of kind {kind}")
    return value


def pairs(json_pairs):
    return [common_pb2.KeyValue(key=pair["key"], value=any_value(pair["value"])) for pair in json_pairs]


def span_of(answer):
    """A span of `/traces/{id}?typed=true` as the message that was sent (without its trace id)."""
    start = int(answer.get("original_start_ns", answer["start_ns"]))
    end = int(answer["original_end_ns"]) if "original_end_ns" in answer else start + int(answer["duration_ns"])
    odd = answer.get("original_fields", {})
    odd_links = {link["index"]: link for link in odd.get("links", [])}
    span = trace_pb2.Span(
        span_id=bytes.fromhex(answer["span_id"]),
        parent_span_id=bytes.fromhex(odd.get("parent_span_id", answer["parent_span_id"] or "")),
        trace_state=answer["trace_state"],
        flags=answer["flags"],
        name=answer["name"],
        kind=odd.get("kind", KINDS.index(answer["kind"])),
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        attributes=pairs(answer["attributes"]),
        dropped_attributes_count=answer["dropped_attributes_count"],
        dropped_events_count=answer["dropped_events_count"],
        dropped_links_count=answer["dropped_links_count"],
        status=trace_pb2.Status(code=odd.get("status_code", STATUSES.index(answer["status"])), message=answer["status_message"]),
    )
    for event in answer["events"]:
        span.events.add(
            name=event["name"],
            time_unix_nano=int(event["time_ns"]),
            attributes=pairs(event["attributes"]),
            dropped_attributes_count=event["dropped_attributes_count"],
        )
    for index, link in enumerate(answer["links"]):
        link.update(odd_links.get(index, {}))
        span.links.add(
            trace_id=bytes.fromhex(link["trace_id"]),
            span_id=bytes.fromhex(link["span_id"]),
            trace_state=link["trace_state"],
            flags=link["flags"],
            attributes=pairs(link["attributes"]),
            dropped_attributes_count=link["dropped_attributes_count"],
        )
    return span


def log_of(answer):
    """A log record of `/logs?typed=true` as the message that was sent."""
    sent = int(answer.get("original_time_ns", answer["time_ns"]))
    odd = answer.get("original_fields", {})
    own = answer["join"] in (None, "own")
    record = logs_pb2.LogRecord(
        time_unix_nano=sent,
        observed_time_unix_nano=int(answer["observed_time_ns"]),
        severity_number=odd.get("severity_number", answer["severity_number"]),
        severity_text=answer["severity"],
        attributes=pairs(answer["attributes"]),
        dropped_attributes_count=answer["dropped_attributes_count"],
        flags=answer["flags"],
        trace_id=bytes.fromhex(odd.get("trace_id", (answer["trace_id"] or "") if own else "")),
        span_id=bytes.fromhex(odd.get("span_id", (answer["span_id"] or "") if own else "")),
        event_name=answer.get("event_name") or "",
    )
    if "no_body" not in answer.get("marks", []):
        record.body.CopyFrom(any_value(answer["body"]))
    return record


def resource_of(answer):
    from opentelemetry.proto.resource.v1 import resource_pb2

    resource = resource_pb2.Resource(
        attributes=pairs(answer["attributes"]), dropped_attributes_count=answer["dropped_attributes_count"]
    )
    for entity in answer.get("entity_refs") or []:
        resource.entity_refs.add(
            schema_url=entity.get("schemaUrl", ""),
            type=entity.get("type", ""),
            id_keys=entity.get("idKeys", []),
            description_keys=entity.get("descriptionKeys", []),
        )
    return resource, answer["schema_url"]


def scope_of(answer):
    return (
        common_pb2.InstrumentationScope(
            name=answer["name"],
            version=answer["version"],
            attributes=pairs(answer["attributes"]),
            dropped_attributes_count=answer["dropped_attributes_count"],
        ),
        answer["schema_url"],
    )


# Field by field.


def differences(sent, stored, path=""):
    """Every difference between two messages of one type, as text."""
    found = []
    for field in sent.DESCRIPTOR.fields:
        here = f"{path}.{field.name}"
        one, two = getattr(sent, field.name), getattr(stored, field.name)
        if field.is_repeated:
            if len(one) != len(two):
                found.append(f"{here}: {len(one)} sent, {len(two)} stored")
            else:
                for number, (a, b) in enumerate(zip(one, two)):
                    found += compare(field, a, b, f"{here}[{number}]")
        elif field.has_presence and sent.HasField(field.name) != stored.HasField(field.name):
            # An absent message and an empty one say the same, but for the kinds of a value.
            if field.containing_oneof or sent.HasField(field.name) and one.ByteSize() or stored.HasField(field.name) and two.ByteSize():
                found.append(f"{here}: present {sent.HasField(field.name)} sent, {stored.HasField(field.name)} stored")
        elif not field.has_presence or sent.HasField(field.name):
            found += compare(field, one, two, here)
    return found


def compare(field, one, two, path):
    if field.message_type is not None:
        return differences(one, two, path)
    if isinstance(one, float):
        same = struct.pack("d", one) == struct.pack("d", two) or (math.isnan(one) and math.isnan(two))
    else:
        same = one == two
    return [] if same else [f"{path}: sent {one!r}, stored {two!r}"]
