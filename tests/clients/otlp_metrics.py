"""Random metrics of every type made with the official classes, sent as protobuf and as JSON, and read
back with SQL from the exporter's five tables as the read-only user.

usage: otlp_metrics.py API OTLP_HTTP SQL PASSWORD [SEED]
Prints one JSON line {"points"}; exit code 1 and the differences otherwise.
"""

import base64
import json
import random
import struct
import sys
import time
from urllib.parse import urlparse

import clickhouse_connect
from google.protobuf.json_format import MessageToDict
from hypocenter import Api, call
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.common.v1 import common_pb2

INTEGER, HAS_SUM, HAS_MIN, HAS_MAX, NO_VALUE = 1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 20
DOUBLES = [0.0, -0.0, 1.5, -2.75, 1e308, 5e-324, float("inf"), float("-inf"), float("nan")]
INTS = [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.now = time.time_ns()
        self.expected = {}

    def pairs(self):
        found = []
        for number in range(self.r.randrange(4)):
            kind = self.r.randrange(3)
            value = common_pb2.AnyValue(string_value=self.r.choice(["", "x", "Grüße", "1"]))
            if kind == 1:
                value = common_pb2.AnyValue(int_value=self.r.choice(INTS))
            elif kind == 2:
                value = common_pb2.AnyValue(bool_value=True)
            found.append(common_pb2.KeyValue(key=f"key.{number}", value=value))
        return found

    def request(self, number, points):
        request = metrics_service_pb2.ExportMetricsServiceRequest()
        group = request.resource_metrics.add(schema_url="https://example.org/resource")
        group.resource.attributes.add(key="service.name").value.string_value = f"metrics-{number}"
        group.resource.attributes.extend(self.pairs())
        scope = group.scope_metrics.add(schema_url="https://example.org/scope")
        scope.scope.name, scope.scope.version, scope.scope.dropped_attributes_count = "meter", "1.0", 3
        scope.scope.attributes.extend(self.pairs())
        for index in range(points):
            kind = self.r.choice(["gauge", "sum", "histogram", "exponential_histogram", "summary"])
            metric = scope.metrics.add(name=f"{kind}.{number}.{index}", description=self.r.choice(["", "what it says"]), unit=self.r.choice(["", "ms"]))
            data = getattr(metric, kind)
            if hasattr(data, "aggregation_temporality"):
                data.aggregation_temporality = self.r.randrange(3)
            if kind == "sum":
                data.is_monotonic = self.r.random() < 0.5
            point = data.data_points.add(attributes=self.pairs(), flags=self.r.choice([0, 1, 2**32 - 1]))
            point.time_unix_nano = self.now - self.r.randrange(10**12)
            point.start_time_unix_nano = point.time_unix_nano - self.r.randrange(10**12)
            self.fill(kind, point)
            if kind != "summary":
                for _ in range(self.r.randrange(3)):
                    exemplar = point.exemplars.add(
                        filtered_attributes=self.pairs(), time_unix_nano=point.time_unix_nano, trace_id=self.r.randbytes(16), span_id=self.r.randbytes(8))
                    if self.r.random() < 0.5:
                        exemplar.as_int = self.r.choice(INTS)
                    else:
                        exemplar.as_double = self.r.choice(DOUBLES)
            self.expected[metric.name] = (kind, group, scope, metric, point)
        return request

    def fill(self, kind, point):
        if kind in ("gauge", "sum"):
            choice = self.r.randrange(5)
            if choice < 2:
                point.as_int = self.r.choice(INTS)
            elif choice < 4:
                point.as_double = self.r.choice(DOUBLES)
            return
        point.count = self.r.choice([0, 1, 2**64 - 1])
        if kind == "summary":
            point.sum = self.r.choice(DOUBLES)
            for quantile in (0.0, 0.5, 1.0)[: self.r.randrange(4)]:
                point.quantile_values.add(quantile=quantile, value=self.r.choice(DOUBLES))
            return
        for name in ("sum", "min", "max"):
            if self.r.random() < 0.6:
                setattr(point, name, self.r.choice(DOUBLES))
        if kind == "histogram":
            bounds = self.r.randrange(4)
            point.explicit_bounds.extend(float(bound) for bound in range(bounds))
            point.bucket_counts.extend(self.r.choice([0, 5, 2**63]) for _ in range(bounds + 1))
        else:
            point.scale, point.zero_count, point.zero_threshold = self.r.randrange(-10, 20), self.r.choice([0, 7]), self.r.choice([0.0, 0.25])
            for side in (point.positive, point.negative):
                side.offset = self.r.randrange(-100, 100)
                side.bucket_counts.extend(self.r.choice([0, 1, 2**40]) for _ in range(self.r.randrange(4)))


def otlp_json(message):
    def rewrite(node):
        if isinstance(node, list):
            return [rewrite(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {key: base64.b64decode(value).hex() if key in ("traceId", "spanId") else rewrite(value) for key, value in node.items()}

    return json.dumps(rewrite(MessageToDict(message, use_integers_for_enums=True))).encode()


def text(value):
    kind = value.WhichOneof("value")
    content = getattr(value, kind)
    return ("true" if content else "false") if kind == "bool_value" else str(content)


def texts(pairs):
    return {pair.key: text(pair.value) for pair in pairs}


def same(one, two):
    if isinstance(one, float) and isinstance(two, float):
        return struct.pack("d", one) == struct.pack("d", two) or one != one and two != two
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(same(a, b) for a, b in zip(one, two))
    return one == two


def wanted(kind, group, scope, metric, point):
    """Column -> value for one point."""
    data = getattr(metric, kind)
    columns = {
        "ResourceAttributes": texts(group.resource.attributes), "ResourceSchemaUrl": group.schema_url, "ScopeName": scope.scope.name,
        "ScopeVersion": scope.scope.version, "ScopeAttributes": texts(scope.scope.attributes), "ScopeDroppedAttrCount": 3, "ScopeSchemaUrl": scope.schema_url,
        "ServiceName": group.resource.attributes[0].value.string_value, "MetricDescription": metric.description, "MetricUnit": metric.unit,
        "Attributes": texts(point.attributes), "Flags": point.flags, "time": point.time_unix_nano, "start": point.start_time_unix_nano,
    }
    if kind in ("gauge", "sum"):
        which = point.WhichOneof("value")
        columns["mark INTEGER"], columns["mark NO_VALUE"] = which == "as_int", which is None
        columns["Value"] = float(point.as_int) if which == "as_int" else point.as_double
        if which == "as_int":
            columns["ValueInt"] = point.as_int
    if kind in ("histogram", "exponential_histogram"):
        for name, title in (("sum", "Sum"), ("min", "Min"), ("max", "Max")):
            columns[f"mark HAS_{title.upper()}"] = point.HasField(name)
            columns[title] = getattr(point, name)
    if kind == "sum":
        columns["IsMonotonic"] = data.is_monotonic
    if hasattr(data, "aggregation_temporality"):
        columns["AggregationTemporality"] = data.aggregation_temporality
    if kind not in ("gauge", "sum"):
        columns["Count"] = point.count
    if kind == "histogram":
        columns |= {"BucketCounts": list(point.bucket_counts), "ExplicitBounds": list(point.explicit_bounds)}
    if kind == "exponential_histogram":
        columns |= {
            "Scale": point.scale, "ZeroCount": point.zero_count, "ZeroThreshold": point.zero_threshold, "PositiveOffset": point.positive.offset,
            "PositiveBucketCounts": list(point.positive.bucket_counts), "NegativeOffset": point.negative.offset,
            "NegativeBucketCounts": list(point.negative.bucket_counts),
        }
    if kind == "summary":
        columns |= {"Sum": point.sum, "ValueAtQuantiles.Quantile": [q.quantile for q in point.quantile_values], "ValueAtQuantiles.Value": [q.value for q in point.quantile_values]}
    else:
        exemplars = list(point.exemplars)
        columns |= {
            "Exemplars.TraceId": [e.trace_id.hex() for e in exemplars], "Exemplars.SpanId": [e.span_id.hex() for e in exemplars],
            "Exemplars.FilteredAttributes": [texts(e.filtered_attributes) for e in exemplars],
            "Exemplars.Value": [float(e.as_int) if e.WhichOneof("value") == "as_int" else e.as_double for e in exemplars],
        }
    return columns


def main():
    api, http, where, password = Api(sys.argv[1]), sys.argv[2], urlparse(sys.argv[3]), sys.argv[4]
    maker = Maker(int(sys.argv[5]) if len(sys.argv) > 5 else 1)
    trouble = []
    for number in range(20):
        request = maker.request(number, 10)
        as_json = number % 2 == 1
        body = otlp_json(request) if as_json else request.SerializeToString()
        status, answer = call("POST", f"{http}/v1/metrics", body, {"content-type": "application/json" if as_json else "application/x-protobuf"})
        if (status, answer) not in ((200, b""), (200, b"{}")):
            trouble.append(f"request {number}: {status} {answer[:300]!r}")
    api.flush()
    client = clickhouse_connect.get_client(host=where.hostname, port=where.port, username="reader", password=password, database="hypocenter")
    rows = {}
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        found = client.query(f"SELECT *, toUnixTimestamp64Nano(TimeUnix) AS time, toUnixTimestamp64Nano(StartTimeUnix) AS start FROM otel_metrics_{kind} WHERE ServiceName LIKE 'metrics-%'")
        for row in found.named_results():
            if row["MetricName"] in rows:
                trouble.append(f"{row['MetricName']} is there twice")
            rows[row["MetricName"]] = (kind, row)
    marks = {"INTEGER": INTEGER, "HAS_SUM": HAS_SUM, "HAS_MIN": HAS_MIN, "HAS_MAX": HAS_MAX, "NO_VALUE": NO_VALUE}
    for name, (kind, *parts) in maker.expected.items():
        if name not in rows or rows[name][0] != kind:
            trouble.append(f"{name} is missing")
            continue
        row = rows[name][1]
        for column, value in wanted(kind, *parts).items():
            stored = bool(row["Marks"] & marks[column[5:]]) if column.startswith("mark ") else row[column]
            if not same(value, stored):
                trouble.append(f"{name} {column}: sent {value!r}, stored {stored!r}")
    print(json.dumps({"points": len(maker.expected), "differences": len(trouble)}))
    for line in trouble[:40]:
        print(line[:400], file=sys.stderr)
    sys.exit(1 if trouble else 0)


main()
