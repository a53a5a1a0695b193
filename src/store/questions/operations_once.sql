-- The operations of one service when spans were resent: equal ones count once.
SELECT
    name,
    kind,
    count() AS rows,
    count() AS spans,
    countIf(error) AS errors,
    arrayMap(q -> toUInt64(q), quantilesTDigest(0.5, 0.95, 0.99)(duration)) AS quantiles_ns
FROM
(
    SELECT
        any(SpanName) AS name,
        any(SpanKind) AS kind,
        any(Duration) AS duration,
        max(StatusCode = 'Error') AS error
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND ServiceName = {service:String}
    GROUP BY cityHash64(TraceId, SpanId, SpanKind, Timestamp, Duration)
)
GROUP BY name, kind
ORDER BY name, kind
