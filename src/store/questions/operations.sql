-- The operations (span name and kind) of one service in a window. Every stored row counts.
SELECT
    SpanName AS name,
    SpanKind AS kind,
    count() AS rows,
    uniqExact(cityHash64(TraceId, SpanId, Timestamp, Duration)) AS spans,
    countIf(StatusCode = 'Error') AS errors,
    arrayMap(q -> toUInt64(q), quantilesTDigest(0.5, 0.95, 0.99)(Duration)) AS quantiles_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND ServiceName = {service:String}
GROUP BY name, kind
ORDER BY name, kind
